"""The trials behind SynFlow's claims."""

from __future__ import annotations

import numpy as np
import pytest

from verify import experiments
from verify.experiments import synflow_transition as experiment
from verify.measured import Result, Table, summarised
from verify.outcome import TrialResult
from verify.trials import synflow as trials
from verify.trials import synflow_transition as transition


def test_every_layer_carries_the_same_flow() -> None:
    flows = trials.layer_flows(seed=3)
    assert len(flows) == 4
    assert len(set(flows)) == 1
    assert flows[0] > 0


def test_mutants_of_the_response_are_far_from_it() -> None:
    for density, rounds in ((0.5, 5), (0.3, 1)):
        alone, one_way = trials.spread_ratios(density, rounds)
        assert min(abs(1.0 - alone), abs(1.0 - one_way)) > 0.05


def test_response_is_near_its_prediction() -> None:
    found = trials.response(seed=1, n=400, density=0.6, rounds=8)
    assert found["ratio"] == pytest.approx(1.0, abs=0.06)
    assert 0.0 < found["degree"] < 0.15


def test_a_slow_path_kills_neurons_and_a_fast_one_fewer() -> None:
    slow = trials.slow_path(seed=2, n=100, hidden=1, density=0.25, pace=10.0)
    fast = trials.slow_path(seed=2, n=100, hidden=1, density=0.25, pace=1.0)
    assert slow["outer"] == slow["dead"][0] > fast["outer"]
    assert slow["living"] - slow["excess"] == pytest.approx(0.3173105, abs=1e-6)
    three = trials.slow_path(seed=2, n=60, hidden=3, density=0.2, pace=4.0)
    assert len(three["dead"]) == 3
    assert three["outer"] == pytest.approx((three["dead"][0] + three["dead"][2]) / 2)


def test_a_path_that_ends_too_early_to_locate_the_transition_is_refused() -> None:
    with pytest.raises(ValueError, match="density must be low enough for 20% of the neurons"):
        trials.slow_path(seed=2, n=100, hidden=1, density=0.5, pace=1.0)


def test_the_passage_reads_off_what_its_names_say() -> None:
    found = transition.passage(seed=1, n=100, pace=40.0)
    dead, excess = np.array(found["dead"]), np.array(found["excess"])
    assert dead.shape == transition.DENSITIES.shape
    assert dead[0] == 0.0
    assert (np.diff(dead) >= 0.0).all()
    assert dead[-1] == pytest.approx(1.0 - 0.16 / transition.critical(), abs=0.15)
    assert excess.shape == transition.SHARES.shape
    assert 0.0 < found["scaled"] < transition.limit_excess()
    with pytest.raises(ValueError, match="pace must let 40% of the neurons die"):
        transition.passage(seed=1, n=100, pace=0.4)


def test_the_response_of_a_slow_run_is_the_linear_one_far_above_the_transition() -> None:
    found = transition.passage(seed=2, n=300, pace=40.0)
    above, predicted = transition.linear_spread(0.6)
    assert np.array(found["spread"])[: len(above)] == pytest.approx(predicted, rel=0.15)


def test_the_experiment_shows_both_sides_and_both_scalings() -> None:
    chosen = experiments.load().get("synflow-transition")
    rows = [
        summarised([TrialResult({"n": n, "pace": pace}, 0, passage_like(n, pace), 0.0)] * 3)
        for n in (64, 128)
        for pace in (16, 64)
    ]
    table = Table("passage", ("n", "pace"), tuple(rows))
    result = Result("synflow-transition", "quick", 0, (table,))
    drawn = experiment.draw(result)
    assert len(drawn.axes) == 4
    collapsed = experiment.against_rounds(result, 0.5)
    assert collapsed["n = 64"].x.tolist() == [2.0, 8.0]
    assert set(chosen.parts[0].show) <= set(passage_like(64, 16))


def passage_like(n: int, pace: float) -> dict[str, object]:
    """Metrics of the shape that the trial returns."""
    ones = [0.5] * len(transition.DENSITIES)
    return {"dead": ones, "spread": ones, "excess": [0.4] * len(transition.SHARES), "scaled": 0.4}
