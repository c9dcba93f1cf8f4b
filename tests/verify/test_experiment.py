"""Experiments: grids, aggregation, sharing with claims, commands, report and book."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import demo_claims
import demo_experiments as demo
import demo_trials as trials
import numpy as np
import pytest
from matplotlib.figure import Figure

from verify import book, cli, experiments, plots, report, runner
from verify.decision import mean_interval
from verify.experiment import Experiment, Experiments, Part, register, registered_in
from verify.measured import Result, Row, Table, exactly, jackknifed, summarised, summary
from verify.outcome import TrialResult
from verify.store import LONG, Store
from verify.trial import trial_seed


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that the tests of this module share."""
    return tmp_path_factory.mktemp("experiments") / "s.sqlite"


@pytest.fixture(scope="module")
def result(store: Path) -> Result:
    """The demonstration figure, measured once."""
    return demo.FIGURE.run(jobs=1, store=store)


def part(**more: Any) -> Part:
    """A small part, for what is wrong with it."""
    return Part(**({"name": "p", "trial": trials.noisy_mean, "axes": {"n": (10, 20)}} | more))


def experiment(**more: Any) -> Experiment:
    """A small experiment, for what is wrong with it."""
    defaults = {
        "name": "x", "title": "X", "protocol": "P", "paper": "own", "item": "i", "parts": (part(),)
    }  # fmt: skip
    return Experiment(**(defaults | more))


def test_cells_are_the_grid_with_the_last_axis_fastest() -> None:
    cells = demo.FIGURE.parts[0].cells("quick")
    assert [(c["method"], c["n"]) for c in cells] == [
        (m, n) for m in demo.METHODS for n in demo.WIDTHS
    ]
    assert all(c["cells"] == demo.CELLS for c in cells)
    assert demo.FIGURE.trials("quick") == 4 * 4 + 2
    assert demo.FIGURE.trials("full") == 4 * 6 + 2


def test_settings_may_be_given_per_profile() -> None:
    made = part(axes={"quick": {"n": (10,)}, "full": {"n": (10, 20)}}, replicates={"quick": 2})
    assert made.profiles() == ("quick",)
    assert made.cells("full") == ({"n": 10}, {"n": 20})
    with pytest.raises(ValueError, match="profile must be quick"):
        experiment(parts=(made,)).run("full")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"axes": {"n": ()}}, "axes must hold sequences"),
        ({"axes": {"n": "ab"}}, "axes must hold sequences"),
        ({"axes": {"n": (10, 10)}}, "axes must hold different values"),
        ({"axes": {"m": (10,)}}, "settings of trial"),
        ({"axes": {"n": (10,)}, "settings": {"n": 3}}, "settings must not repeat axes"),
        ({"replicates": 0}, "replicates must be a whole number"),
        ({"replicates": (8, 16)}, "replicates must be a whole number"),
    ],
)
def test_a_part_that_is_not_well_formed_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"experiment x, part p: .*{message}"):
        experiment(parts=(part(**more),))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"name": "No Name"}, "kebab-case"),
        ({"title": " "}, "title must not be empty"),
        ({"protocol": ""}, "protocol must not be empty"),
        ({"paper": "C"}, "paper must be one of"),
        ({"parts": ()}, "names of parts must differ"),
        ({"parts": (part(), part())}, "names of parts must differ"),
        (
            {"parts": (part(replicates={"quick": 4}), part(name="q", replicates={"full": 4}))},
            "no profile in common",
        ),
    ],
)
def test_an_experiment_that_is_not_well_formed_is_refused(
    more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        experiment(**more)


def test_the_registry_knows_each_name_once_and_says_what_is_near() -> None:
    found = Experiments()
    made = register(experiment(), found)
    assert made.module == __name__
    assert registered_in(__name__, "x") is made
    assert found.names() == ("x",)
    assert "x" in found
    with pytest.raises(ValueError, match="registered twice"):
        register(experiment(), found)
    with pytest.raises(ValueError, match="did you mean demo-figure"):
        demo.DEMO.get("demo-figur")
    assert demo.DEMO.reported("quick") == (demo.FIGURE,)
    assert all(each.module for each in experiments.load())


def test_lists_are_averaged_entry_by_entry_over_the_seeds(result: Result) -> None:
    row = result["networks"].row(method="ramp", n=64)
    seeds = [
        trial_seed(0, trials.histograms.name, {"method": "ramp", "n": 64, "cells": 64}, k)
        for k in range(4)
    ]
    direct = [trials.histograms(seed, n=64, method="ramp") for seed in seeds]
    stack = np.array([values["image_2"] for values in direct])
    assert row.replicates == 4
    assert np.array_equal(row["image_2"].mean, stack.mean(axis=0))
    assert np.allclose(row["image_2"].sd, stack.std(axis=0, ddof=1), rtol=1e-12)
    assert row.array("image_2", 64, 64).shape == (64, 64)
    expected = mean_interval([values["distance_1"] for values in direct], 0.05)
    assert row["distance_1"].low == pytest.approx(float(expected.low), rel=1e-12)
    assert row["distance_1"].high == pytest.approx(float(expected.high), rel=1e-12)


def test_one_replicate_has_no_interval(result: Result) -> None:
    row = result["limit"].row(method="flat")
    assert row.replicates == 1
    assert np.isnan(row["image"].sd).all()
    assert row["image"].to_json()["low"] == [None] * 4096
    assert np.allclose(row.array("image"), 0.2)


def test_tables_are_asked_by_settings(result: Result) -> None:
    table = result["networks"]
    assert table.values("n") == demo.WIDTHS
    series = table.series("distance_1", "n", method="flat")
    assert series.x.tolist() == list(demo.WIDTHS)
    assert np.all(np.diff(series.mean) < 0)
    assert np.all((series.low < series.mean) & (series.mean < series.high))
    for wrong, message in (
        (lambda: table.row(method="flat"), "2 cells"),
        (lambda: table.row(method="none"), "no cell"),
        (lambda: table.series("distance_1", "n"), "must fix method"),
        (lambda: table.values("m"), "axis must be one of method, n"),
        (lambda: result["other"], "part must be one of networks, limit"),
        (lambda: result.table, "2 tables"),
        (lambda: table.rows[0].mean("image_1"), "is a list"),
        (lambda: table.rows[0].array("distance_1"), "is a scalar"),
        (lambda: table.rows[0]["none"], "metric must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()


def test_tables_print_scalars_only(result: Result) -> None:
    header, lines = result["networks"].cells()
    assert header == ("method", "n", "replicates", "distance_1", "distance_2")
    assert len(lines) == 4
    assert all(re.fullmatch(r"[0-9.e-]+ ± [0-9.e-]+", line[-1]) for line in lines)
    assert result["limit"].shown() == ()


def test_a_jackknife_of_a_mean_is_students_interval_and_samples_add_up() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=6), 1.0 + rng.normal(size=6)
    one = jackknifed(lambda sample: float(sample.mean()), first)
    student = summary(first.tolist())
    assert float(one.mean) == pytest.approx(float(student.mean), rel=1e-12)
    assert float(one.half_width) == pytest.approx(float(student.half_width), rel=1e-12)
    both = jackknifed(lambda a, b: float(b.mean() - a.mean()), first, second)
    other = float(summary(second.tolist()).half_width)
    assert float(both.half_width) == pytest.approx(np.hypot(float(one.half_width), other))
    assert np.isnan(both.sd)
    few = jackknifed(lambda a, b: float(b.mean() - a.mean()), first, second[:3])
    assert np.isnan(few.half_width)
    assert np.isfinite(few.mean)
    with pytest.raises(ValueError, match="samples must not be empty"):
        jackknifed(lambda: 0.0)


def test_jackknife_intervals_of_a_distance_hold_what_they_should() -> None:
    """Of the distance between a mean of vectors and a point, 19 times of 20."""
    rng, held = np.random.default_rng(4), 0
    centre = np.array([2.0, 0.0, 0.0])
    for _ in range(400):
        sample = centre + rng.normal(size=(16, 3))
        found = jackknifed(lambda each: float(np.linalg.norm(each.mean(axis=0))), sample)
        held += float(found.low) <= 2.0 <= float(found.high)
    assert 0.91 < held / 400 < 0.98


def test_what_is_not_there_is_a_dash() -> None:
    rows = (Row({"n": 3}, 1, {"a": exactly(0.5), "b": exactly(float("nan"))}),)
    table = Table("t", ("n",), rows)
    assert table.cells() == (("n", "replicates", "a", "b"), (("3", "1", "0.5", "–"),))
    assert table.to_json()["rows"][0]["metrics"]["b"]["mean"] is None


def test_json_holds_everything(result: Result) -> None:
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert found["experiment"] == "demo-figure"
    assert found["environment"]["profile"] == "quick"
    cell = found["tables"][0]["rows"][0]
    assert cell["settings"] == {"cells": 64, "method": "flat", "n": 16}
    assert set(cell["metrics"]["image_1"]) == {"mean", "sd", "low", "high"}
    assert len(cell["metrics"]["image_1"]["mean"]) == 4096


def test_finished_trials_are_taken_from_the_store(result: Result, store: Path) -> None:
    before = store.stat().st_mtime_ns
    with Store(store) as opened:
        count = len(opened)
    again = demo.FIGURE.run(jobs=2, store=store)
    with Store(store) as opened:
        assert len(opened) == count
    assert before <= store.stat().st_mtime_ns
    assert again["networks"].to_json() == result["networks"].to_json()


def test_the_number_of_jobs_changes_nothing(result: Result, tmp_path: Path) -> None:
    again = demo.FIGURE.run(jobs=2, store=tmp_path / "s.sqlite")
    assert again["networks"].to_json() == result["networks"].to_json()
    other = demo.FIGURE.run(jobs=1, store=tmp_path / "s.sqlite", seed=5)
    assert other["networks"].to_json() != result["networks"].to_json()


def test_claims_and_experiments_share_trials(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    together = runner.run(
        (demo_claims.LIMIT,), experiments=(demo.SHARED,), jobs=1, store=path, seed=3
    )
    with Store(path) as opened:
        assert len(opened) == 4 * 16  # the claim is decided at its first look of 16
    used = together.outcomes[0].trials("limit")
    mean = np.mean([t.values["mean"] for t in used if t.settings["n"] == 20])
    assert together.results[0].table.row(n=20).mean("mean") == pytest.approx(mean, rel=1e-15)
    alone = demo.SHARED.run(jobs=1, store=path, seed=3)
    assert alone.table.to_json() == together.results[0].table.to_json()


def test_an_experiment_that_fails_says_so_and_stops_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    found = runner.run(
        (demo_claims.LIMIT,), experiments=(demo.FAILING, demo.SHARED), jobs=1, store=path,
        figures=True,
    )  # fmt: skip
    assert found.as_recorded
    assert "no such network" in found.results[0].error
    assert found.results[0].tables == ()
    assert not found.results[1].error
    assert "It stopped: trial failed: RuntimeError: no such network" in report.render(found)
    with pytest.raises(RuntimeError, match="experiment demo-failing: trial failed"):
        demo.FAILING.run(jobs=1, store=path)


def test_replicates_must_agree_in_their_metrics() -> None:
    one = TrialResult({}, 1, {"a": 1.0, "b": [1.0, 2.0]}, 0.0)
    with pytest.raises(ValueError, match="same metrics"):
        summarised([one, TrialResult({}, 2, {"a": 1.0}, 0.0)])
    with pytest.raises(ValueError, match="lists of one length"):
        summarised([one, TrialResult({}, 2, {"a": 1.0, "b": [1.0]}, 0.0)])


def test_long_results_are_compressed_and_come_back_exactly(tmp_path: Path) -> None:
    values = {"image": np.random.default_rng(0).random(4096).tolist(), "a": 0.1}
    path = tmp_path / "s.sqlite"
    with Store(path) as opened:
        opened.put("k", "name", "digest", TrialResult({"n": 3}, 7, values, 0.5))
        row = opened._connection.execute("SELECT result FROM trials").fetchone()
        assert isinstance(row[0], bytes)
        assert len(row[0]) < len(json.dumps(values)) > LONG
    with Store(path) as opened:
        assert opened.get(["k"])["k"].values == values


def test_a_store_of_the_first_schema_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path) as opened:
        opened.put("k", "name", "digest", TrialResult({}, 7, {"a": 1.0}, 0.5))
        opened._connection.execute("PRAGMA user_version = 1")
    with Store(path) as opened:
        assert opened.get(["k"])["k"].values == {"a": 1.0}
        assert opened._connection.execute("PRAGMA user_version").fetchone()[0] == 2


def test_the_figure_holds_images_limits_and_curves(result: Result) -> None:
    drawn = demo.FIGURE.figure(result)
    assert isinstance(drawn, Figure)
    shown = [axes for axes in drawn.axes if axes.images]
    assert len(shown) == 2 * 2 * (len(demo.WIDTHS) + 1)
    curves = [axes for axes in drawn.axes if axes.get_legend() is not None]
    assert [axes.get_title(loc="left") for axes in curves] == ["layer 1", "layer 2"]
    image = shown[len(demo.WIDTHS)].images[0].get_array()
    assert np.allclose(image, result["limit"].row(method="flat").array("image", 64, 64))
    assert plots.to_png(drawn).startswith(b"\x89PNG")
    assert demo.SHARED.figure(result) is None


def test_the_report_shows_protocol_table_and_figure(result: Result, store: Path) -> None:
    found = runner.run((), experiments=(demo.FIGURE,), jobs=2, store=store, figures=True)
    drawn = found.drawings["experiment", "demo-figure"]
    assert drawn.address.startswith("data:image/")
    page = report.render(found)
    assert drawn.address in page
    assert "&amp; &lt;nothing&gt; else" in page
    assert "graphonlimit experiment demo-figure --profile quick --seed 0" in page
    assert "distance_2" in page
    assert "Experiments</h2>" not in report.render(runner.run((), jobs=1, store=store))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    """The command and the book find the demonstration experiments, and the tests' store."""
    monkeypatch.setattr(experiments, "load", lambda: demo.DEMO)
    monkeypatch.setenv("GRAPHONLIMIT_STORE", str(store))


@pytest.mark.usefixtures("loaded", "result")
def test_the_command_prints_tables_and_draws(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    target = tmp_path / "figure.png"
    assert cli.main(["experiment", "demo-figure", "--jobs", "1", "--figure", str(target)]) == 0
    out = capsys.readouterr().out
    assert "Images and distances" in out
    assert "distance_1" in out
    assert target.read_bytes().startswith(b"\x89PNG")
    assert cli.main(["experiment", "demo-figure", "--jobs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 0


@pytest.mark.usefixtures("loaded")
def test_the_command_lists_and_fails_as_the_others_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["experiments"]) == 0
    assert "3 experiments" in capsys.readouterr().out
    assert cli.main(["experiments", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == list(demo.DEMO.names())
    assert listed[0]["trials"] == {"quick": 18, "full": 26}
    assert cli.main(["experiment", "demo-failing", "--jobs", "1"]) == 1
    assert "no such network" in capsys.readouterr().err
    for arguments, message in (
        (["demo-figur"], "did you mean demo-figure"),
        (["demo-figure", "--figure", str(tmp_path / "a.pdf")], "--figure must end with .png"),
        (["demo-shared", "--figure", str(tmp_path / "a.png")], "has no figure"),
        (["demo-figure", "--figure", str(tmp_path / "new" / "a.png")], "--figure must name a file"),
    ):
        assert cli.main(["experiment", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert message in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("loaded", "result")
def test_the_book_shows_protocol_figure_and_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    book.show_experiment("demo-figure")
    assert "The source states" in shown[0]
    assert type(shown[1]).__name__ == "Image"
    assert "distance_1" in shown[2]
    assert "graphonlimit experiment demo-figure" in shown[-1]
    with pytest.raises(ValueError, match="NAME must be"):
        book.show_experiment("none")
