"""Plans hold: with the planned replicates a true reading is rarely left undecided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from verify.decision import MIN_REPLICATES, fit_limit, fit_rate, mean_interval, summarise
from verify.planning import looks, plan_limit, plan_rate, plan_value

WIDTHS = (100, 200, 400, 800)
EXPERIMENTS = 3000
ALLOWED = float(stats.binom.isf(1e-6, EXPERIMENTS, 0.1))


def test_planned_replicates_of_a_limit_decide_a_true_reading() -> None:
    spread = (0.2, 0.15, 0.1, 0.1)
    means = [1 + 0.5 * n**-0.5 for n in WIDTHS]
    plan = plan_limit(WIDTHS, spread, (0.4, 0.6), 0.3, 0.01, 0.1, means=means)
    assert plan.replicates is not None
    assert 0 < plan.systematic < plan.half_width < plan.margin
    rng = np.random.default_rng(0)
    data = [
        m + s * rng.normal(size=(EXPERIMENTS, count))
        for m, s, count in zip(means, spread, plan.replicates, strict=True)
    ]
    found = fit_limit(WIDTHS, summarise(data), (0.4, 0.6), 0.01).interval
    undecided = np.sum((found.low < 0.7) | (found.high > 1.3))
    assert undecided <= ALLOWED


def test_planned_replicates_of_a_value_and_of_a_rate_decide() -> None:
    rng = np.random.default_rng(1)
    plan = plan_value(1.0, 0.5, 0.001, 0.1)
    assert plan.replicates is not None
    found = mean_interval(rng.normal(size=(EXPERIMENTS, plan.replicates[0])), 0.001)
    assert np.sum((found.low < -0.5) | (found.high > 0.5)) <= ALLOWED

    rate = plan_rate(WIDTHS, (0.2,) * 4, 0.15, 0.001, 0.1)
    assert rate.replicates is not None
    data = [
        n**-0.5 * (1 + 0.2 * rng.normal(size=(EXPERIMENTS, count)))
        for n, count in zip(WIDTHS, rate.replicates, strict=True)
    ]
    slope = fit_rate(WIDTHS, summarise(data), 0.001).interval
    assert np.sum((slope.low < -0.65) | (slope.high > -0.35)) <= ALLOWED


def test_no_number_of_replicates_makes_up_for_an_unknown_exponent() -> None:
    means = [1 + 5 * n**-0.5 for n in WIDTHS]
    plan = plan_limit(WIDTHS, (0.1,) * 4, (0.25, 2.0), 0.01, 1e-4, means=means)
    assert plan.replicates is None
    assert plan.systematic > 0.01


@given(st.floats(0.01, 10), st.floats(0.05, 5), st.floats(1e-6, 0.1))
def test_more_is_needed_for_less_margin_and_smaller_errors(
    deviation: float, margin: float, level: float
) -> None:
    def needed(m: float, a: float) -> int:
        plan = plan_value(deviation, m, a)
        assert plan.replicates is not None
        return plan.replicates[0]

    assert needed(margin / 2, level) >= needed(margin, level) >= MIN_REPLICATES
    assert needed(margin, level / 10) >= needed(margin, level)


def test_allocation_multiplies() -> None:
    plan = plan_limit(WIDTHS, (1.0,) * 4, 0.5, 0.5, 0.01, allocation=(4, 2, 1, 1))
    assert plan.replicates is not None
    base = plan.replicates[-1]
    assert plan.replicates == (4 * base, 2 * base, base, base)


@given(st.integers(MIN_REPLICATES, 50), st.integers(0, 500))
def test_looks_grow_to_the_budget(start: int, extra: int) -> None:
    planned = looks(start, start + extra)
    assert planned[0] == start or planned == (start + extra,)
    assert planned[-1] == start + extra
    assert list(planned) == sorted(set(planned))


def test_bad_plans_are_refused() -> None:
    for start, budget in ((1, 8), (8, 4)):
        with pytest.raises(ValueError, match="replicates"):
            looks(start, budget)
    with pytest.raises(ValueError, match="margin"):
        plan_value(1.0, 0.0, 0.01)
    with pytest.raises(ValueError, match="level"):
        plan_value(1.0, 1.0, 1.5)
    with pytest.raises(ValueError, match="deviations"):
        plan_limit(WIDTHS, (1.0,), 0.5, 0.1, 0.01)
    with pytest.raises(ValueError, match="allocation"):
        plan_limit(WIDTHS, (1.0,) * 4, 0.5, 0.1, 0.01, allocation=(0, 1, 1, 1))
