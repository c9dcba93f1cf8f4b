"""The decision rules keep the error rates they state, and rules that do not are caught."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from verify import decision
from verify.decision import (
    Samples,
    contrast_interval,
    decide,
    decide_both,
    decision_levels,
    fit_limit,
    fit_rate,
    limit_coefficients,
    mean_interval,
    summarise,
)
from verify.outcome import Verdict

Floats = NDArray[np.float64]
WIDTHS = np.array([100.0, 200.0, 400.0, 800.0])
LEVEL = 0.05
EXPERIMENTS = 4000
CHANCE = 1e-6  # that one of these tests fails although the rule is sound


def most_errors(level: float, experiments: int) -> float:
    """More errors than this are not compatible with the level."""
    return float(stats.binom.isf(CHANCE, experiments, level))


def replicates(seed: int, truth: float, spread: Floats, count: int, gamma: float) -> list[Floats]:
    """One (experiments, count) array per width: truth + 2 n^-gamma + noise of unequal size."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(len(WIDTHS), EXPERIMENTS, count))
    return [truth + 2 * n**-gamma + s * z for n, s, z in zip(WIDTHS, spread, noise, strict=True)]


Rule = Callable[[list[Floats], float, float], list[Verdict]]


def decisions(low: Floats, high: Floats, predicted: float, margin: float) -> list[Verdict]:
    return [decide(a, b, predicted, margin) for a, b in zip(low, high, strict=True)]


def sequential_rule(data: list[Floats], predicted: float, margin: float) -> list[Verdict]:
    """What `LimitCheck` does: looks at 8, 16 and 32 replicates, the level shared by the looks."""
    verdicts = [Verdict.UNDECIDED] * EXPERIMENTS
    for count, levels in zip((8, 16, 32), decision_levels(LEVEL, 3, 1), strict=True):
        samples = summarise([values[:, :count] for values in data])
        fit = fit_limit(WIDTHS, samples, (0.4, 1.2), levels.passing)
        new = decisions(fit.interval.low, fit.interval.high, predicted, margin)
        verdicts = [b if a is Verdict.UNDECIDED else a for a, b in zip(verdicts, new, strict=True)]
    return verdicts


def point_rule(data: list[Floats], predicted: float, margin: float) -> list[Verdict]:
    """Broken: takes the estimate for the truth."""
    samples = summarise(data)
    estimate = samples.mean @ limit_coefficients(WIDTHS, 0.7)[0]
    return decisions(estimate, estimate, predicted, margin)


def one_width_rule(data: list[Floats], predicted: float, margin: float) -> list[Verdict]:
    """Broken: takes the largest width for the limit."""
    found = mean_interval(data[-1], LEVEL)
    return decisions(found.low, found.high, predicted, margin)


def pooled_rule(data: list[Floats], predicted: float, margin: float) -> list[Verdict]:
    """Broken: counts replicates as if each were a hundred."""
    samples = summarise(data)
    crowd = Samples(samples.mean, samples.variance, samples.count * 100)
    found = contrast_interval(limit_coefficients(WIDTHS, 0.7)[0], crowd, LEVEL)
    return decisions(found.low, found.high, predicted, margin)


def worst_error(rule: Rule, margin: float) -> int:
    """The larger number of wrong verdicts, over the worst cases at both ends of the margin."""
    spread = np.array([0.2, 0.1, 0.1, 0.05])
    worst = 0
    for seed, (side, gamma) in enumerate([(1, 0.7), (-1, 0.7), (1, 0.45), (-1, 1.1)]):
        outside = replicates(seed, 1.0 + side * margin * 1.0001, spread, 32, gamma)
        inside = replicates(seed + 100, 1.0 + side * margin * 0.9999, spread, 32, gamma)
        worst = max(
            worst,
            rule(outside, 1.0, margin).count(Verdict.SUPPORTED),
            rule(inside, 1.0, margin).count(Verdict.REFUTED),
        )
    return worst


def test_false_support_and_false_refutation_are_as_rare_as_stated() -> None:
    assert worst_error(sequential_rule, 0.3) <= most_errors(LEVEL, EXPERIMENTS)


@pytest.mark.parametrize("broken", [point_rule, one_width_rule, pooled_rule])
def test_a_broken_rule_is_caught(broken: Rule) -> None:
    assert worst_error(broken, 0.1) > most_errors(LEVEL, EXPERIMENTS)


def test_the_rule_decides_what_is_clear() -> None:
    """A rule that never decides would pass the test above."""
    data = replicates(5, 1.0, np.array([0.2, 0.1, 0.1, 0.05]), 32, 0.7)
    assert sequential_rule(data, 1.0, 0.4).count(Verdict.SUPPORTED) > 0.95 * EXPERIMENTS
    assert sequential_rule(data, 2.0, 0.4).count(Verdict.REFUTED) > 0.95 * EXPERIMENTS


# ------------------------------------------------------------------------- small levels


def tail_misses(interval: Callable[[Floats, Samples, float], decision.Interval]) -> int:
    """Misses of a nominal 1e-3 interval: four replicates, very unequal variances."""
    rng = np.random.default_rng(11)
    spread = np.array([1.0, 0.3, 0.1, 0.03])
    size = (400_000, 4)
    mean = rng.normal(size=size) * spread / 2
    variance = rng.chisquare(3, size=size) / 3 * spread**2
    samples = Samples(mean, variance, np.full(4, 4.0))
    found = interval(limit_coefficients(WIDTHS, 0.5)[0], samples, 1e-3)
    return int(np.sum((found.low > 0) | (found.high < 0)))


def welch(coefficients: Floats, samples: Samples, level: float) -> decision.Interval:
    """The usual approximate degrees of freedom."""
    parts = coefficients**2 * samples.variance / samples.count
    variance = parts.sum(axis=-1)
    freedom = variance**2 / (parts**2 / (samples.count - 1)).sum(axis=-1)
    half = stats.t.isf(level / 2, freedom) * np.sqrt(variance)
    estimate = samples.mean @ coefficients
    return decision.Interval(estimate, estimate - half, estimate + half)


def test_contrast_is_safe_at_small_levels_where_welch_satterthwaite_is_not() -> None:
    allowed = most_errors(1e-3, 400_000)
    assert tail_misses(contrast_interval) <= allowed
    assert tail_misses(welch) > 2 * allowed


def test_contrast_is_exact_for_one_sample() -> None:
    values = np.random.default_rng(3).normal(size=(EXPERIMENTS, 5))
    found = mean_interval(values, LEVEL)
    misses = int(np.sum((found.low > 0) | (found.high < 0)))
    assert misses <= most_errors(LEVEL, EXPERIMENTS)
    assert misses >= stats.binom.ppf(CHANCE, EXPERIMENTS, LEVEL)


# ------------------------------------------------------------------------- limits and rates


@pytest.mark.parametrize("gamma", [0.5, 0.73, 1.5])
def test_hull_covers_the_limit_for_every_exponent_of_the_range(gamma: float) -> None:
    data = replicates(7, 1.0, np.array([0.1, 0.1, 0.1, 0.1]), 8, gamma)
    fit = fit_limit(WIDTHS, summarise(data), (0.5, 1.5), LEVEL)
    misses = int(np.sum((fit.interval.low > 1) | (fit.interval.high < 1)))
    assert misses <= most_errors(LEVEL, EXPERIMENTS)


def test_hull_contains_the_interval_of_each_exponent() -> None:
    samples = summarise([v[0] for v in replicates(8, 1.0, np.full(4, 0.1), 8, 0.7)])
    hull = fit_limit(WIDTHS, samples, (0.5, 1.5), LEVEL).interval
    for gamma in (0.5, 0.7, 1.0, 1.5):
        one = fit_limit(WIDTHS, samples, gamma, LEVEL).interval
        assert hull.low <= one.low + 1e-12
        assert one.high - 1e-12 <= hull.high


def test_exact_data_give_the_limit_exponent_and_amplitude() -> None:
    mean = 0.25 - 3 * WIDTHS**-0.8
    samples = Samples(mean, np.full(4, 1e-20), np.full(4, 8.0))
    fit = fit_limit(WIDTHS, samples, 0.8, LEVEL)
    assert fit.interval.estimate == pytest.approx(0.25, abs=1e-9)
    assert fit.slope == pytest.approx(-3, rel=1e-6)
    assert fit.curve([200.0]) == pytest.approx([mean[1]], abs=1e-9)


def test_lack_of_fit_is_noticed_and_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    bent = [m + 1e-4 * rng.normal(size=16) for m in (0.0, 1.0, 0.0, 1.0)]
    fit = fit_limit(WIDTHS, summarise(bent), (0.5, 1.5), 1e-3)
    assert fit.lack_of_fit < 1e-3
    assert fit.allowance > 0.1
    straight = [1.0 + n**-1.0 + 1e-4 * rng.normal(size=16) for n in WIDTHS]
    fine = fit_limit(WIDTHS, summarise(straight), (0.5, 1.5), 1e-3)
    assert fine.lack_of_fit > 1e-3
    assert fine.allowance == 0


def test_lack_of_fit_is_rarely_found_where_there_is_none() -> None:
    data = replicates(9, 1.0, np.array([0.2, 0.1, 0.1, 0.05]), 8, 0.7)
    fit = fit_limit(WIDTHS, summarise(data), 0.7, LEVEL)
    assert np.sum(fit.lack_of_fit < LEVEL) <= most_errors(LEVEL, EXPERIMENTS)


def test_rate_interval_covers_the_slope() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(4, EXPERIMENTS, 8))
    data = [3 * n**-0.5 * (1 + 0.2 * z) for n, z in zip(WIDTHS, noise, strict=True)]
    fit = fit_rate(WIDTHS, summarise(data), LEVEL)
    misses = int(np.sum((fit.interval.low > -0.5) | (fit.interval.high < -0.5)))
    assert misses <= most_errors(LEVEL, EXPERIMENTS)
    assert np.mean(fit.interval.estimate) == pytest.approx(-0.5, abs=0.01)


def test_a_rate_needs_positive_means() -> None:
    with pytest.raises(ValueError, match="positive means"):
        fit_rate(WIDTHS, Samples(np.array([1.0, 1, -1, 1]), np.ones(4), np.full(4, 8.0)), LEVEL)


# ------------------------------------------------------------------------- decide

finite = st.floats(-1e6, 1e6)


@given(finite, finite, finite, st.floats(1e-6, 1e3))
def test_decide_is_what_it_says(a: float, b: float, predicted: float, margin: float) -> None:
    low, high = min(a, b), max(a, b)
    verdict = decide(low, high, predicted, margin)
    inside = predicted - margin <= low and high <= predicted + margin
    disjoint = high < predicted - margin or low > predicted + margin
    expected = Verdict.SUPPORTED if inside else Verdict.REFUTED if disjoint else Verdict.UNDECIDED
    assert verdict is expected


@given(finite, finite, finite)
def test_the_two_sides_of_an_inequality_are_never_both_supported(
    a: float, b: float, bound: float
) -> None:
    low, high = min(a, b), max(a, b)
    most = decide(low, high, bound, 0.0, "<=")
    least = decide(low, high, bound, 0.0, ">=")
    if low < high:
        assert not (most is Verdict.SUPPORTED and least is Verdict.SUPPORTED)
    assert (most is Verdict.UNDECIDED) == (low <= bound < high)


@given(st.floats(1e-6, 0.4), st.integers(1, 6), st.integers(1, 40))
def test_looks_and_metrics_share_the_error_rate(rate: float, looks: int, metrics: int) -> None:
    levels = decision_levels(rate, looks, metrics)
    assert len(levels) == looks
    assert sum(at.passing for at in levels) == pytest.approx(rate)
    assert sum(metrics * at.overturning for at in levels) == pytest.approx(rate)
    assert all(levels[0].passing >= at.passing > 0 for at in levels)


METRICS, LOOKS = 8, (6, 12)
CLAIM_LEVELS = decision_levels(LEVEL, len(LOOKS), METRICS)


def claim_verdicts(means: Floats, levels: Sequence[decision.Levels]) -> list[Verdict]:
    """What becomes of claims with one statement (0 up to 1) for each mean, looked at twice."""
    rng = np.random.default_rng(17)
    data = means[:, None] + rng.normal(size=(EXPERIMENTS, METRICS, max(LOOKS)))
    found = np.full((EXPERIMENTS, METRICS), Verdict.UNDECIDED, dtype=object)
    for count, at_look in zip(LOOKS, levels, strict=True):
        both = [mean_interval(data[..., :count], level) for level in at_look]
        for at in zip(*np.nonzero(found == Verdict.UNDECIDED), strict=True):
            bounds = [(float(one.low[at]), float(one.high[at])) for one in both]
            found[at], _ = decide_both(bounds[0], bounds[1], 0.0, 1.0)
    refuted = (found == Verdict.REFUTED).any(axis=1)
    supported = (found == Verdict.SUPPORTED).all(axis=1)
    return [
        Verdict.REFUTED if no else Verdict.SUPPORTED if yes else Verdict.UNDECIDED
        for no, yes in zip(refuted, supported, strict=True)
    ]


@pytest.mark.parametrize("false", [1, 3])
def test_a_claim_with_a_false_part_passes_as_rarely_as_stated(false: int) -> None:
    means = np.where(np.arange(METRICS) < false, 1.0001, 0.0)
    passed = claim_verdicts(means, CLAIM_LEVELS).count(Verdict.SUPPORTED)
    assert passed <= most_errors(LEVEL, EXPERIMENTS)


def test_a_true_claim_is_overturned_as_rarely_as_stated() -> None:
    means = np.full(METRICS, 0.9999)
    wrong = claim_verdicts(means, CLAIM_LEVELS).count(Verdict.REFUTED)
    assert wrong <= most_errors(LEVEL, EXPERIMENTS)
    # The level that is enough for passing is not enough for this.
    careless = [decision.Levels(at.passing, at.passing) for at in CLAIM_LEVELS]
    assert claim_verdicts(means, careless).count(Verdict.REFUTED) > most_errors(LEVEL, EXPERIMENTS)


@pytest.mark.parametrize(
    ("passing", "overturning", "hoped", "verdict", "second"),
    [
        ((0.5, 0.8), (0.4, 1.2), Verdict.SUPPORTED, Verdict.SUPPORTED, False),
        ((1.1, 1.8), (0.9, 2.0), Verdict.SUPPORTED, Verdict.UNDECIDED, True),
        ((1.2, 1.8), (1.1, 2.0), Verdict.SUPPORTED, Verdict.REFUTED, True),
        ((1.1, 1.8), (0.9, 2.0), Verdict.REFUTED, Verdict.REFUTED, False),
        ((0.5, 0.8), (0.4, 1.2), Verdict.REFUTED, Verdict.UNDECIDED, True),
        ((0.5, 0.8), (0.4, 0.9), Verdict.REFUTED, Verdict.SUPPORTED, True),
        ((0.5, 1.2), (0.4, 1.3), Verdict.SUPPORTED, Verdict.UNDECIDED, False),
        # An interval may be widened at one level only; the second one still cannot let it pass.
        ((0.5, 1.2), (0.6, 0.9), Verdict.SUPPORTED, Verdict.UNDECIDED, False),
    ],
)
def test_passing_and_overturning_have_intervals_of_their_own(
    passing: tuple[float, float],
    overturning: tuple[float, float],
    hoped: Verdict,
    verdict: Verdict,
    second: bool,
) -> None:
    assert decide_both(passing, overturning, 0.0, 1.0, hoped=hoped) == (verdict, second)


@pytest.mark.parametrize("interval", [(-np.inf, np.inf), (np.nan, 1.0), (0.0, np.nan), (2.0, 1.0)])
def test_no_information_is_undecided(interval: tuple[float, float]) -> None:
    assert decide(*interval, 0.5, 0.1) is Verdict.UNDECIDED


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="relation"):
        decide(0, 1, 0, 1, "<")
    with pytest.raises(ValueError, match="at least 2"):
        summarise([[1.0]])
    with pytest.raises(ValueError, match="finite"):
        summarise([[1.0, np.nan]])
    with pytest.raises(ValueError, match="gamma"):
        fit_limit(WIDTHS, summarise([[1.0, 2.0]] * 4), (2.0, 1.0), LEVEL)
    with pytest.raises(ValueError, match="widths"):
        fit_limit([4, 2, 1], summarise([[1.0, 2.0]] * 3), 1.0, LEVEL)
    with pytest.raises(ValueError, match="level"):
        mean_interval([1.0, 2.0], 0.0)
    with pytest.raises(ValueError, match="error_rate"):
        decision_levels(1.0, 1, 1)
    for looks, metrics in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="looks and metrics must be at least 1"):
            decision_levels(0.1, looks, metrics)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=12).filter(lambda v: np.std(v) > 1e-3),
    st.floats(0.1, 10),
    st.floats(-100, 100),
)
def test_intervals_follow_shift_and_scale(values: list[float], scale: float, shift: float) -> None:
    one = mean_interval(values, 0.01)
    other = mean_interval(np.asarray(values) * scale + shift, 0.01)
    assert other.low == pytest.approx(one.low * scale + shift, rel=1e-6, abs=1e-6)
    assert other.high == pytest.approx(one.high * scale + shift, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("level", [0.05, 1e-4, 1e-8])
@pytest.mark.parametrize("count", [4, 8, 64])
def test_critical_values_are_those_of_student(level: float, count: int) -> None:
    expected = stats.t.isf(level / 2, count - 1)
    assert decision.critical_value(level, [count, 100]) == pytest.approx(expected, rel=1e-9)
