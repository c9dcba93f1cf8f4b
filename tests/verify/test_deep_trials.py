"""The trials behind the claims about deep masks, and the experiment that shows them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from numerics.deep_scores import grasp_scores, snip_scores
from numerics.histogram import sas
from numerics.masks_histogram import degree_histogram
from theory import criteria
from verify import experiments
from verify.experiment import Experiment
from verify.experiments import figure_1
from verify.measured import Result
from verify.trials import deep_figures, deep_limits, deep_masks
from verify.trials.deep_near import NEAR, near_miss, nearest, reference
from verify.trials.deep_networks import (
    batch_of,
    misread,
    network,
    probabilities,
    pruned_by,
    widths_of,
)

CASES = [[4, 0.2]]


def test_batches_are_fixed_disjoint_and_of_the_class_that_is_asked_for() -> None:
    mixed, other = batch_of("digits", 16), batch_of("digits", 16, "other")
    single = batch_of("digits", 16, "single")
    assert not (mixed.x[:, None] == other.x[None]).all(dim=2).any()
    assert len(mixed.y.unique()) > 5
    assert set(single.y.tolist()) == {0}
    assert torch.allclose(mixed.x.square().sum(dim=1), torch.tensor(64.0, dtype=torch.float64))
    assert batch_of("digits", 16, "single", "parity").y.unique().tolist() == [1.0]
    with pytest.raises(ValueError, match="no batch 'new'"):
        batch_of("digits", 16, "new")


@pytest.mark.parametrize("criterion", ["snip", "grasp", "grasp-signed"])
def test_probabilities_have_the_scale_of_the_scores_and_the_density_of_the_mask(
    criterion: str,
) -> None:
    data = batch_of("digits", 32)
    net = network(5, widths_of("digits", 200, 4))
    pruned = pruned_by(net, data, criterion, 0.2, 0)
    found = probabilities(net, data, pruned, 3)
    x = data.x.to(net.dtype)
    score = (snip_scores if criterion == "snip" else grasp_scores)(net, x, data.y)[2].double().abs()
    level = pruned.thresholds[2]
    assert level is not None
    cut = level * net.weights[2].double().abs() / score  # tau over the scale of the score
    share = torch.special.erfc(cut / math.sqrt(2.0)) / (2.0 if criterion == "grasp-signed" else 1.0)
    assert torch.allclose(found, share, atol=1e-6)
    assert float(found.mean()) == pytest.approx(pruned.densities[2], abs=0.006)


def test_the_own_limit_is_nearer_than_its_near_misses() -> None:
    for criterion in ("snip", "grasp-signed"):
        each = [
            deep_masks.deep_histograms(
                seed=seed, n=512, criterion=criterion, cases=CASES, widest=512
            )
            for seed in range(3, 7)
        ]
        found = {name: float(np.mean([row[name] for row in each])) for name in each[0]}
        misses = [found[miss] for miss in ("flat", *NEAR[criterion])]
        assert found["distance"] < 0.5 * min(misses)
        assert min(misses) > 0.5  # in units of the nearest, whose residuals are averaged over
        assert 0.0 < found["sorted"] < found["square"]
        assert found["density_gap"] < 0.4 * min(found["density_uniform"], found["density_ends"])


@pytest.mark.parametrize("criterion", ["snip", "grasp"])
def test_the_unit_is_the_nearest_near_miss(criterion: str) -> None:
    place = (256, 4, 0.2, 32, 8, "digits", "relu")
    truth = [each.histogram for each in reference(criterion, *place).layers[1:-1]]
    squares = {}
    for miss in NEAR[criterion]:
        squares[miss] = np.mean([
            np.mean((mine.value - other.value) ** 2 - mine.error**2 - other.error**2)
            for mine, other in zip(truth, near_miss(criterion, miss, place), strict=True)
        ])  # fmt: skip
    assert nearest(criterion, place) == pytest.approx(min(squares.values()), rel=1e-6)
    assert min(squares.values()) > 0.0
    assert min(squares, key=lambda miss: squares[miss]) == "one class"


def test_a_constant_twenty_per_cent_off_is_told_from_the_density() -> None:
    found = [
        deep_masks.deep_histograms(
            seed=seed, n=512, criterion="random", cases=[[4, 0.3]], widest=512
        )
        for seed in range(3)
    ]
    assert np.mean([each["excess"] for each in found]) == pytest.approx(0.0, abs=0.1)
    for miss in ("more", "less"):
        assert np.mean([each[miss] for each in found]) == pytest.approx(1.0, abs=0.2)
    for each in found:
        assert each["density_more"] == pytest.approx(0.2 * 0.3, rel=0.1)
        assert each["density_gap"] < 0.3 * each["density_more"]


@pytest.mark.parametrize("criterion", ["random", "snip", "grasp", "grasp-signed"])
def test_the_wrong_graphon_is_another_one_of_the_same_density(criterion: str) -> None:
    data = batch_of("digits", 32)
    net = network(5, widths_of("digits", 128, 4))
    pruned = pruned_by(net, data, criterion, 0.2, 0)
    right, wrong = probabilities(net, data, pruned, 3), misread(net, data, pruned, 3)
    excess = 0.2 if criterion == "random" else 0.0
    assert float(wrong.mean()) == pytest.approx((1.0 + excess) * pruned.densities[2], rel=1e-6)
    assert float((right - wrong).abs().mean()) > 0.01


def test_cases_are_averaged() -> None:
    both = deep_masks.deep_cut(seed=4, n=64, criterion="snip", cases=[[4, 0.2], [5, 0.1]])
    each = [
        deep_masks.deep_cut(seed=4, n=64, criterion="snip", cases=[case])
        for case in ([4, 0.2], [5, 0.1])
    ]
    for name in ("lower", "upper", "lower_unit", "upper_unit", "wrong"):
        assert both[name] == pytest.approx((each[0][name] + each[1][name]) / 2)
    assert 0.0 < both["lower"] <= both["upper"]


def test_the_unit_of_a_cut_norm_is_the_spread_of_the_edges() -> None:
    found = deep_masks.deep_cut(seed=7, n=64, criterion="random", cases=[[4, 0.2]])
    for end in ("lower", "upper"):
        assert found[end] / found[f"{end}_unit"] == pytest.approx(0.4, rel=0.02)  # (0.2 · 0.8)^½
    assert found["upper"] / found["upper_share"] == pytest.approx(0.2, rel=0.05)
    assert 0.15 < found["wrong_share"] < 0.2 + found["upper_share"]


def test_certified_noise_of_edges_halves_over_four_times_the_width() -> None:
    narrow, wide = (
        deep_masks.deep_cut(seed=6, n=n, criterion="snip", cases=CASES)["upper"] for n in (64, 256)
    )
    assert narrow / wide == pytest.approx(2.0, rel=0.25)


def test_the_pattern_of_sorting_explains_a_constant_graphon() -> None:
    found = [
        deep_masks.sorted_constant_deep(
            seed=seed, n=256, criterion="magnitude", depth=4, density=0.2, bins=8
        )["explained"]
        for seed in range(4)
    ]
    assert np.mean(found) == pytest.approx(1.0, abs=0.06)


def test_masks_drawn_from_the_limit_are_about_as_far_from_it() -> None:
    found = [
        deep_masks.sampled_ratio(seed=seed, n=128, criterion="snip", depth=4, density=0.2)["ratio"]
        for seed in range(4)
    ]
    assert 0.4 < np.mean(found) < 1.8


def test_the_sorted_average_has_the_histogram_and_not_the_structure() -> None:
    data = batch_of("digits", 32)
    net = network(1, widths_of("digits", 128, 4))
    P = probabilities(net, data, pruned_by(net, data, "snip", 0.2, 0), 3)
    ordered = P[P.mean(dim=1).argsort()][:, P.mean(dim=0).argsort()]
    average = ordered.reshape(16, 8, 16, 8).mean(dim=(1, 3))
    average = average.repeat_interleave(8, 0).repeat_interleave(8, 1)
    np.testing.assert_allclose(sas(P, 16), sas(average, 16), atol=1e-12)
    found = deep_limits.functionals(P, 16, 0)
    assert 0.005 < found["lower"] <= found["upper"]
    assert found["third"] > 2.5 * found["third_sorted"]
    assert 0.0 < found["cycles"] < found["upper"]
    with pytest.raises(ValueError, match="multiple of the 16 bins"):
        deep_limits.functionals(P[:100, :100], 16, 0)


def test_sorting_is_faithful_where_the_graphon_increases_with_both_degrees() -> None:
    P = torch.from_numpy(criteria.snip().limit(0.2).grid(128))
    coarse, fine = (deep_limits.functionals(P, bins, 0) for bins in (8, 32))
    assert fine["upper"] < 0.35 * coarse["lower"]
    assert fine["third_sorted"] > 0.95 * fine["third"]
    same = deep_limits.functionals(torch.full((32, 32), 0.2, dtype=torch.float64), 8, 0)
    assert same["upper"] == pytest.approx(0.0, abs=1e-12)


def test_two_batches_move_the_mask_and_magnitude_ignores_them() -> None:
    common = {"n": 128, "depth": 4, "density": 0.2}
    moved = deep_limits.two_batches(seed=2, criterion="snip", **common)
    alike = deep_limits.two_batches(seed=2, criterion="magnitude", **common)
    assert moved["apart"] > 0.05
    assert alike["apart"] == 0.0


def test_two_limits_of_one_network_are_as_far_apart_as_its_masks() -> None:
    case = {"depth": 4, "density": 0.2}
    limits = {
        other: deep_limits.batches_apart("snip", 512, other=other, draws=8, **case)
        for other in ("single", "mixed")
    }
    assert limits["mixed"] < 0.15 * limits["single"]  # one batch, one output: one limit
    assert deep_limits.batches_apart("magnitude", 512, draws=2, **case) == 0.0
    rows = [deep_limits.two_batches(seed=s, n=512, criterion="snip", **case) for s in range(24)]
    measured = float(np.mean([row["apart"] for row in rows]))
    assert limits["single"] == pytest.approx(measured, rel=0.2)


def test_gain_is_what_the_limits_differ_by() -> None:
    rows = [deep_limits.two_networks(seed=s, n=256, depth=4, density=0.2) for s in range(8)]
    for row in rows:
        assert row["excess"] == pytest.approx(row["gain"] - row["between"])
    gain, between = (np.array([row[name] for row in rows]) for name in ("gain", "between"))
    assert np.corrcoef(gain, between)[0, 1] > 0.8
    predicted = deep_limits.between_residuals(4, 0.2, residuals=24)
    assert 0.0003 < predicted < 0.006


def test_the_rest_of_grasp_falls_and_moves_fewer_edges() -> None:
    rows = [
        [deep_limits.gauss_newton(seed=s, n=n, depth=3, activation="tanh") for s in range(3)]
        for n in (64, 256)
    ]
    for name, least in (("relative", 1.5), ("masks", 1.3)):
        narrow, wide = (np.mean([row[name] for row in each]) for each in rows)
        assert narrow > least * wide > 0.0
    one = rows[0][0]
    assert one["relative"] == pytest.approx(one["rest"] / one["part"])


def test_synflow_stays_away_from_a_constant_below_the_critical_density() -> None:
    above, below = (
        deep_limits.synflow_mask(seed=1, n=256, depth=4, density=density, rounds=25)
        for density in (0.5, 0.2)
    )
    assert above["upper"] < 0.5 * below["lower"]


def test_predicted_histogram_is_that_of_wide_masks() -> None:
    settings = {"depth": 4, "density": 0.2, "batch": 32, "bins": 8}
    limit = deep_figures.predicted_histogram(0, n=384, criterion="snip", samples=256, **settings)
    masks = [
        deep_figures.sorted_mask(s, n=384, criterion="snip", **settings)["histogram"]
        for s in range(4)
    ]
    gap = np.array(limit["histogram"]) - np.mean(masks, axis=0)
    assert np.sqrt(np.mean(gap**2)) < 0.035
    assert np.mean(limit["histogram"]) == pytest.approx(limit["density"], abs=1e-4)


def test_masks_drawn_from_the_limit_have_its_density_and_are_as_far_from_it_as_networks() -> None:
    settings = {"n": 96, "criterion": "snip", "depth": 4, "density": 0.2, "batch": 32, "bins": 8}
    limit = deep_figures.predicted_histogram(0, **{**settings, "n": 384}, samples=256)
    drawn = [deep_figures.drawn_histogram(seed, **settings) for seed in range(6)]
    assert np.mean([each["histogram"] for each in drawn]) == pytest.approx(
        np.mean([each["density"] for each in drawn]), abs=1e-4
    )
    assert drawn[0] != drawn[1]
    stack = np.array([each["histogram"] for each in drawn])
    expected = figure_1.Sorted.of_masks(stack).apart(
        figure_1.Sorted(np.array(limit["histogram"])), 1
    )
    networks = [
        np.array(deep_figures.sorted_mask(seed, **settings)["histogram"]) for seed in range(6)
    ]
    found = [figure_1.euclidean(each, np.array(limit["histogram"])) for each in networks]
    assert 0.7 < np.mean(found) / expected < 1.4


def test_sorting_is_expected_to_leave_what_it_leaves_of_a_constant() -> None:
    rng = np.random.default_rng(1)
    n, cells, density = 96, 12, 0.2
    masks = [degree_histogram(rng.random((n, n)) < density, cells, 1).ravel() for _ in range(60)]
    flat = figure_1.Sorted(np.full(cells**2, density))
    exact = figure_1.Sorted.of_constant(density, n, cells)
    one = [figure_1.euclidean(each, flat.mean) for each in masks]
    six = [
        figure_1.euclidean(np.mean(masks[k : k + 6], axis=0), flat.mean) for k in range(0, 60, 6)
    ]
    assert np.sqrt(np.mean(np.square(one))) == pytest.approx(exact.apart(flat, 1), rel=0.05)
    assert np.sqrt(np.mean(np.square(six))) == pytest.approx(exact.apart(flat, 6), rel=0.05)
    pairs = np.array(masks).reshape(30, deep_figures.MASKS, -1).mean(axis=1)
    drawn = figure_1.Sorted.of_masks(pairs)
    for count in (1, 6, 100):
        assert drawn.apart(flat, count) == pytest.approx(exact.apart(flat, count), rel=0.05)
    assert exact.apart(exact, 10**9) == pytest.approx(0.0, abs=1e-3)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Result]:
    """The experiment at small widths, and what it measures there."""
    chosen = experiments.load().get("a-figure-1")
    parts = []
    for part in chosen.parts:
        axes, settings = dict(part.axes), dict(part.settings["quick"])
        axes = dict(axes.get("quick", axes))
        if "n" in axes:
            axes["n"] = (16, 32)
        if "bins" in settings:
            settings["bins"] = 8
        if "samples" in settings:
            settings["samples"] = 64
        if "n" in settings:
            settings["n"] = 32
        count = 1 if part.replicates == 1 else 4
        parts.append(replace(part, axes=axes, settings=settings, replicates=count))
    made = replace(chosen, parts=tuple(parts))
    store = tmp_path_factory.mktemp("figure") / "s.sqlite"
    return made, made.run(jobs=1, device="cpu", store=store)


def test_the_distances_are_in_tables_with_intervals(small: tuple[Experiment, Result]) -> None:
    _, result = small
    limits, widest, proxy = (
        result[name] for name in (figure_1.LIMIT, figure_1.WIDEST, figure_1.PROXY)
    )
    for name in figure_1.PREDICTED:
        row, mean = (table.row(criterion=name, n=16) for table in (limits, result["masks"]))
        limit = result["limits"].row(criterion=name).array("histogram")
        found = figure_1.euclidean(mean.array("histogram"), limit)
        assert row.mean("mean") == pytest.approx(found)
        assert row.mean("network") > row.mean("mean")  # the mean has less noise
        assert row.mean("drawn") > row.mean("drawn mean")
        for metric in ("network", "mean"):
            assert row[metric].half_width > 0.0
        assert np.isnan(row["drawn"].half_width) == (name in figure_1.CONSTANT)
        beside = proxy.row(criterion=name, n=16)
        assert beside.mean("lower") <= beside.mean("upper")
        rms = row.mean("network") / 8.0
        assert beside.mean("ratio") == pytest.approx(rms / beside.mean("upper"))
    assert widest.values("n") == (16,)
    assert widest.row(criterion="synflow")["mean"].half_width > 0.0
    assert widest.cells()[1][-1][-1] == "–"  # no limit is predicted for SynFlow
    shown = json.loads(json.dumps(result.to_json(), allow_nan=False))
    entry = next(table for table in shown["tables"] if table["name"] == figure_1.LIMIT)
    assert {"mean", "low", "high"} <= set(entry["rows"][0]["metrics"]["network"])
    assert entry["rows"][0]["metrics"]["mean"]["low"] is not None


def test_the_figure_has_what_sorting_leaves_beside_the_distances(
    small: tuple[Experiment, Result],
) -> None:
    made, result = small
    drawn = made.figure(result)
    assert isinstance(drawn, Figure)
    panels = [axes for axes in drawn.axes if axes.get_legend() is not None]
    assert len(panels) == 4
    grey = panels[2].get_lines()
    expected = result[figure_1.LIMIT].series("drawn mean", "n", criterion="random")
    assert any(np.array_equal(line.get_ydata(), expected.mean) for line in grey)
    colours = [
        dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))["SNIP"][0].get_color()
        for axes in (panels[0], panels[3])
    ]
    assert colours[0] == colours[1]


def test_the_experiment_is_in_the_report() -> None:
    chosen = experiments.load().get("a-figure-1")
    assert chosen in experiments.load().reported("quick")


def test_the_experiment_measures_distances_as_the_paper_does() -> None:
    first, second = np.zeros((4, 4)), np.full((4, 4), 0.5)
    assert figure_1.euclidean(first, second) == 2.0
    chosen = experiments.load().get("a-figure-1")
    assert chosen.trials("full") == 6 * 4 * 100 + 5 + 2 * 4 + 3 * 4 * 16 + 5 * 4 * 16
    masks = chosen.parts[0]
    assert {cell["criterion"] for cell in masks.cells("full")} == set(figure_1.CRITERIA)
    assert {cell["bins"] for cell in masks.cells("full")} == {64}
