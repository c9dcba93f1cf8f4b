"""The trials behind SynFlow's claims."""

from __future__ import annotations

import pytest

from verify.trials import synflow as trials


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
    slow = trials.slow_path(seed=2, n=100, hidden=1, density=0.33, pace=10.0)
    fast = trials.slow_path(seed=2, n=100, hidden=1, density=0.33, pace=1.0)
    assert slow["outer"] == slow["dead"][0] > fast["outer"]
    assert slow["living"] - slow["excess"] == pytest.approx(0.3173105, abs=1e-6)
    three = trials.slow_path(seed=2, n=60, hidden=3, density=0.2, pace=4.0)
    assert len(three["dead"]) == 3
    assert three["outer"] == pytest.approx((three["dead"][0] + three["dead"][2]) / 2)
