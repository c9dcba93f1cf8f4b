"""Interval estimates and three-valued decisions: all of the project's statistics.

Unit of replication: one independently seeded network or mask. Entries of one mask are never
treated as replicates, since they share a threshold.

Error rates. Every decision rests on an interval that misses the true value with probability at
most its level, and supports a value only if the whole interval lies within the margin, refutes it
only if the interval lies wholly outside. So supporting a value that is off by the margin or more,
and refuting one that is not, both need the interval to miss.

A claim passes only if every one of its statements is supported and every near miss refuted. If any
of them should not be, that one has to slip through by itself, whatever the others do. So each may
use the whole error rate of the claim, shared only by the looks at it: an intersection-union test
(Berger 1982). A claim is overturned, on the other hand, by any statement that is refuted and
spoilt by any near miss that is supported, so there the error rate is split (Bonferroni) over all
metrics of all its checks as well. Looks share unequally: most checks are decided at the first one,
which has `FIRST_SHARE` of the rate, and the later ones have the rest in equal parts.
`decision_levels` gives both levels at each look and `decide_both` uses them. Several readings of
one metric use the same intervals, so they cost nothing extra. Intervals that let a claim pass cover
one by one, not jointly.

The intervals are Student t with the degrees of freedom of the smallest sample. That is safe for any
variances: with Z normal, Y_w = χ²_w/ν_w and λ_w the (unknown) shares of the variance, Pr[|T| ≤ t] =
E G(Σ λ_w Y_w) for the concave G(y) = 2Φ(t√y) − 1, hence at least Σ λ_w E G(Y_w), a mean of Student
probabilities, the smallest of which has the smallest ν (Hájek 1962). The usual approximation of
Welch and Satterthwaite is not safe at the small levels in use here: with four replicates and
unequal variances it misses some 30 times too often at level 1e-5. What is assumed is that replicate
values are close to normal, as network-wide averages are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from verify.outcome import Verdict

Floats = NDArray[np.float64]
Bounds = tuple[float, float]

GAMMA_GRID = 33
MIN_REPLICATES = 4
FIRST_SHARE = 0.8
"""Of an error rate, what the first of several looks may use."""


class Interval(NamedTuple):
    """An estimate with bounds (scalars or arrays of one shape)."""

    estimate: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Samples:
    """Sufficient statistics of replicates: the last axis runs over widths.

    mean, variance: shape (..., widths), the variance unbiased; count: shape (widths,).
    """

    mean: Floats
    variance: Floats
    count: Floats

    @property
    def has_spread(self) -> bool:
        """Whether the replicates differ at every width (else a t-interval says nothing)."""
        scale = np.maximum(np.abs(self.mean), np.finfo(float).tiny)
        return bool(np.all(self.variance > (1e-14 * scale) ** 2))


def summarise(replicates: Sequence[ArrayLike]) -> Samples:
    """Statistics of one array of replicates per width; ValueError for fewer than two or non-finite.

    Each array has shape (..., replicates); leading axes, if any, must agree (batches of whole
    experiments, used to certify the decision rules).
    """
    arrays = [np.asarray(values, dtype=float) for values in replicates]
    if not arrays:
        raise ValueError("replicates must hold one array per width; got none")
    for values in arrays:
        if values.ndim < 1 or values.shape[-1] < 2:
            raise ValueError(f"replicates must hold at least 2 values; got shape {values.shape}")
        if not np.all(np.isfinite(values)):
            raise ValueError("replicates must be finite")
    return Samples(
        mean=np.stack([a.mean(axis=-1) for a in arrays], axis=-1),
        variance=np.stack([a.var(axis=-1, ddof=1) for a in arrays], axis=-1),
        count=np.array([a.shape[-1] for a in arrays], dtype=float),
    )


class Levels(NamedTuple):
    """Levels of a check's intervals at one look: for passing, and for overturning its claim."""

    passing: float
    overturning: float


def decision_levels(error_rate: float, looks: int, metrics: int) -> tuple[Levels, ...]:
    """Levels at each of a check's planned looks.

    metrics: how many are judged in the claim, summed over its checks. Raises ValueError for an
    error rate outside (0, 1), no look or no metric.
    """
    _require_level(error_rate, "error_rate")
    if looks < 1 or metrics < 1:
        raise ValueError(f"looks and metrics must be at least 1; got {looks} and {metrics}")
    shares = [1.0]
    if looks > 1:
        shares = [FIRST_SHARE] + [(1 - FIRST_SHARE) / (looks - 1)] * (looks - 1)
    return tuple(Levels(error_rate * share, error_rate * share / metrics) for share in shares)


def contrast_interval(coefficients: ArrayLike, samples: Samples, level: float) -> Interval:
    """Interval for Σ_w c_w μ_w, missing it with probability `level`.

    The coefficients (shape (widths,)) are fixed by the design, never by the data. Degrees of
    freedom: one less than the smallest number of replicates (see the module's docstring).
    """
    _require_level(level, "level")
    c = np.asarray(coefficients, dtype=float)
    estimate = np.asarray(samples.mean @ c)
    deviation = np.sqrt((c**2 * samples.variance / samples.count).sum(axis=-1))
    half = critical_value(level, samples.count) * deviation
    return Interval(estimate, estimate - half, estimate + half)


def critical_value(level: float, count: ArrayLike) -> float:
    """Two-sided Student critical value for samples of these sizes (the smallest one counts)."""
    return -float(special.stdtrit(float(np.min(count)) - 1, level / 2))


def mean_interval(values: ArrayLike, level: float) -> Interval:
    """Student interval for the mean of the last axis of `values`."""
    return contrast_interval([1.0], summarise([values]), level)


@dataclass(frozen=True)
class LimitFit:
    """The fit m(n) = ℓ + b n^{-γ}: interval for ℓ, and the best-fitting curve.

    interval: hull over the declared range of γ of the intervals for ℓ. gamma, slope: those of the
    best-fitting curve. lack_of_fit: p-value of the best-fitting curve (small: the form itself is
    contradicted); allowance: what was added on both sides because of that, 0 if it was not.
    All have the leading shape of the samples.
    """

    interval: Interval
    gamma: Floats
    slope: Floats
    lack_of_fit: Floats
    allowance: Floats

    def curve(self, widths: ArrayLike) -> Floats:
        """The best-fitting curve at the given widths (for one experiment, not a batch)."""
        n = np.asarray(widths, dtype=float)
        return np.asarray(self.interval.estimate + self.slope * n**-self.gamma)


def limit_coefficients(widths: ArrayLike, gamma: float) -> tuple[Floats, Floats]:
    """Coefficients of the least-squares estimates of ℓ and of b in m(n) = ℓ + b n^{-γ}.

    Shape (widths,) each. Ordinary least squares, so that they depend on the design alone.
    """
    return _least_squares(tuple(np.asarray(widths, dtype=float).tolist()), float(gamma))


@lru_cache(maxsize=4096)
def _least_squares(widths: tuple[float, ...], gamma: float) -> tuple[Floats, Floats]:
    n = np.array(widths)
    design = np.stack([np.ones_like(n), (n / n[0]) ** -gamma], axis=1)
    inverse = np.linalg.pinv(design)
    inverse[1] *= n[0] ** gamma
    inverse.flags.writeable = False  # shared by all who ask
    return inverse[0], inverse[1]


def fit_limit(
    widths: ArrayLike,
    samples: Samples,
    gamma: float | tuple[float, float],
    level: float,
) -> LimitFit:
    """Interval for the limit ℓ of a metric observed at several widths.

    For every γ on a grid over the declared range the interval for ℓ is that of a fixed contrast.
    The hull over the grid contains the interval of the true γ, so it misses ℓ with probability at
    most `level` if m(n) = ℓ + b n^{-γ} for some γ in the range. If even the best γ does not fit
    (p-value below `level`) the hull is widened by the largest residual times Σ|c_w|, the most that
    a deviation of that size can move the estimate.
    """
    widths = _require_widths(widths)
    grid = _gamma_grid(gamma)
    best = np.full(samples.mean.shape[:-1], np.inf)
    low, high = best.copy(), -best
    estimate, chosen, slope, widening = (np.zeros_like(best) for _ in range(4))
    for value in grid:
        to_limit, to_slope = limit_coefficients(widths, value)
        part = contrast_interval(to_limit, samples, level)
        low, high = np.minimum(low, part.low), np.maximum(high, part.high)
        misfit, residual = _misfit(samples, (widths / widths[0]) ** -value)
        better = misfit < best
        best = np.where(better, misfit, best)
        estimate = np.where(better, part.estimate, estimate)
        chosen = np.where(better, value, chosen)
        slope = np.where(better, samples.mean @ to_slope, slope)
        widening = np.where(better, residual * np.abs(to_limit).sum(), widening)
    p_value = _lack_of_fit(best, samples, fitted=2 if len(grid) == 1 else 3)
    allowance = np.where(p_value < level, widening, 0.0)
    interval = Interval(estimate, low - allowance, high + allowance)
    return LimitFit(interval, chosen, slope, p_value, allowance)


@dataclass(frozen=True)
class RateFit:
    """The fit log m(n) = a + s log n: interval for the slope s, and the p-value of the form."""

    interval: Interval
    intercept: Floats
    lack_of_fit: Floats
    allowance: Floats

    def curve(self, widths: ArrayLike) -> Floats:
        """The fitted power law at the given widths (for one experiment, not a batch)."""
        n = np.asarray(widths, dtype=float)
        return np.asarray(np.exp(self.intercept) * n**self.interval.estimate)


def rate_coefficients(widths: ArrayLike) -> Floats:
    """Coefficients of the least-squares slope of a quantity against log n, shape (widths,)."""
    x = np.log(np.asarray(widths, dtype=float))
    x = x - x.mean()
    return np.asarray(x / (x @ x))


def fit_rate(widths: ArrayLike, samples: Samples, level: float) -> RateFit:
    """Interval for the slope of log E[m] against log n (delta method).

    The second-order bias of the logarithm of a mean is taken off. If a power law is contradicted
    (p-value below `level`), the interval is widened as in `fit_limit`. ValueError unless all means
    are positive.
    """
    widths = _require_widths(widths)
    if not np.all(samples.mean > 0):
        raise ValueError("a rate needs positive means at every width")
    relative = samples.variance / samples.mean**2
    logs = Samples(np.log(samples.mean) + relative / (2 * samples.count), relative, samples.count)
    coefficients = rate_coefficients(widths)
    interval = contrast_interval(coefficients, logs, level)
    misfit, residual = _misfit(logs, np.log(widths))
    p_value = _lack_of_fit(misfit, logs, fitted=2)
    widening = np.where(p_value < level, residual * np.abs(coefficients).sum(), 0.0)
    widened = Interval(interval.estimate, interval.low - widening, interval.high + widening)
    intercept = logs.mean.mean(axis=-1) - interval.estimate * np.log(widths).mean()
    return RateFit(widened, np.asarray(intercept), p_value, widening)


def decide(
    low: float, high: float, predicted: float, margin: float, relation: str = "="
) -> Verdict:
    """What an interval [low, high] for the truth says of a reading.

    ``"="``: supported if it lies within predicted ± margin, refuted if it is disjoint from that.
    ``"<="``, ``">="``: supported if it lies on that side of `predicted`, refuted if on the other.
    """
    if not low <= high:  # also catches NaN
        return Verdict.UNDECIDED
    if relation == "=":
        inside = predicted - margin <= low and high <= predicted + margin
        outside = high < predicted - margin or low > predicted + margin
    elif relation == "<=":
        inside, outside = high <= predicted, low > predicted
    elif relation == ">=":
        inside, outside = low >= predicted, high < predicted
    else:
        raise ValueError(f"relation must be '=', '<=' or '>='; got {relation!r}")
    if inside:
        return Verdict.SUPPORTED
    return Verdict.REFUTED if outside else Verdict.UNDECIDED


def decide_both(
    passing: Bounds,
    overturning: Bounds,
    predicted: float,
    margin: float,
    relation: str = "=",
    *,
    hoped: Verdict = Verdict.SUPPORTED,
) -> tuple[Verdict, bool]:
    """The verdict from the intervals of both levels, and whether it rests on the second one.

    hoped: what lets the claim pass, SUPPORTED for a statement and REFUTED for a near miss. Only the
    passing interval ever says that, and only the overturning one the opposite.
    """
    first = decide(*passing, predicted, margin, relation)
    if first is hoped:
        return hoped, False
    second = decide(*overturning, predicted, margin, relation)
    if second is hoped or second is Verdict.UNDECIDED:
        return Verdict.UNDECIDED, first is not Verdict.UNDECIDED
    return second, True


def _misfit(samples: Samples, regressor: Floats) -> tuple[Floats, Floats]:
    """Weighted residual sum of squares of mean = a + b·regressor, and the largest residual."""
    squared = samples.variance / samples.count
    floor = (1e-12 * np.maximum(np.abs(samples.mean), 1e-300)) ** 2
    weight = 1.0 / np.maximum(squared, np.maximum(floor, np.finfo(float).tiny))
    x = np.broadcast_to(regressor, samples.mean.shape)
    total = weight.sum(axis=-1, keepdims=True)
    x = x - (weight * x).sum(axis=-1, keepdims=True) / total
    y = samples.mean - (weight * samples.mean).sum(axis=-1, keepdims=True) / total
    slope = (weight * x * y).sum(axis=-1, keepdims=True) / (weight * x * x).sum(
        axis=-1, keepdims=True
    )
    residual = y - slope * x
    return np.asarray((weight * residual**2).sum(axis=-1)), np.abs(residual).max(axis=-1)


def _lack_of_fit(misfit: Floats, samples: Samples, fitted: int) -> Floats:
    """P-value of the residual sum of squares; conservative in its degrees of freedom."""
    free = samples.mean.shape[-1] - fitted
    if free < 1:
        return np.ones_like(misfit)
    return np.asarray(special.fdtrc(free, samples.count.min() - 1, misfit / free))


def _gamma_grid(gamma: float | tuple[float, float]) -> Floats:
    low, high = gamma if isinstance(gamma, tuple | list) else (gamma, gamma)
    if not 0 < low <= high < np.inf:
        raise ValueError(f"gamma must be positive, or a range 0 < low <= high; got {gamma!r}")
    return np.array([low]) if low == high else np.geomspace(low, high, GAMMA_GRID)


def _require_widths(widths: ArrayLike) -> Floats:
    n = np.asarray(widths, dtype=float)
    if n.ndim != 1 or len(n) < 3 or not np.all(np.diff(n) > 0) or n[0] <= 0:
        raise ValueError(f"widths must be at least 3 increasing positive numbers; got {widths!r}")
    return n


def _require_level(level: float, name: str) -> None:
    if not 0 < level < 1:
        raise ValueError(f"{name} must lie in (0, 1); got {level}")
