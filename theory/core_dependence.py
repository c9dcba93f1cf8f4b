"""What an exact global count does to the number of fully connected neurons.

Masks keep exactly ``K = round(rho d n)`` entries, so their threshold is a quantile of all scores
and ties all neurons together: the binomial law of :mod:`theory.dense_core` holds for a *fixed*
threshold. Two answers are given.

Rigorous, at finite width: the count can only grow as the threshold falls. If at most K scores
reach the threshold of a lower density ``rho' < rho``, the exact-count mask contains the
fixed-threshold mask of ``rho'``, so

``Pr[N < m] <= Pr[Binomial(n, q(rho')) < m] + Pr[more than K scores reach tau(rho')]``,

and the last term is small by bounded differences (McDiarmid 1989): one source moves the share
of kept entries by at most 1/d, one target by 1/n, one edge by 1/(dn).

Asymptotic, for n and d growing together: the threshold moves by the fluctuation of the latents,
which is of order ``n^{-1/2}``, the count by n times that, as much as its own binomial standard
deviation. So with random latents the *variance* of the count is not ``n q (1 - q)``, not even in
the limit, unless the graphon is constant or ``q -> 0``; :func:`dispersion` gives the factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from theory.averages import average, moment_values
from theory.core_width import check_delta
from theory.dense_core import BinomialCount, check_count, exact_ball, exact_probability
from theory.expressivity import (
    check_limit,
    constant_value,
    core_probability,
    core_probability_ball,
    least_factor,
)
from theory.limit import LimitGraphon

__all__ = ["GuaranteedWidth", "dispersion", "guaranteed_width", "overflow_bound"]

_POSITIONS = ("grid", "random")


def overflow_bound(n: int, d: int, slack: Any, *, latents: bool = True) -> float:
    """``Pr[share of kept entries exceeds its mean by slack] <= exp(-2 slack^2 / w)``.

    ``w = 1/n + 1/d + 1/(dn)`` for independent random latents of targets and sources, and
    ``1/(dn)`` where the score has no latents (``latents=False``: Random, Magnitude). One if the
    slack is not positive. Raises ValueError for sizes below one.
    """
    n, d = check_count(n, "n"), check_count(d, "d")
    weight = 1 / (n * d) + (1 / n + 1 / d if latents else 0.0)
    value = float(slack)
    return math.exp(-2 * value**2 / weight) if value > 0 else 1.0


@dataclass(frozen=True)
class GuaranteedWidth:
    """A width that suffices for masks with an exact global count, and how it was found.

    ``width`` n, ``inputs`` d, ``lowered`` the density rho' of the mask inside,
    ``probability`` its core probability, ``overflow`` the part of delta spent on the threshold.
    """

    width: int
    inputs: int
    lowered: float
    probability: float
    overflow: float


def guaranteed_width(
    limit: LimitGraphon, k: int, m: int, delta: Any, *, share: Any = 0.5, aspect: float = 1.0
) -> GuaranteedWidth:
    """A width for m neurons on k inputs under an exact global count, random latents.

    Parameters
    ----------
    limit: limit graphon, monotone in its factors.
    k, m: inputs of the best ``share`` (worst case within it) and neurons wanted.
    delta: allowed probability of failure, strictly between 0 and 1.
    aspect: ``n / d``; the number of inputs is ``max(k + 1, round(n / aspect))``.

    The minimum over a grid of lower densities of a rigorous bound, so it suffices but need not
    be the least. The k inputs are given, not random: their edges count as if all were kept.
    Raises ValueError for arguments out of range.
    """
    limit = check_limit(limit)
    k, m = check_count(k, "k"), check_count(m, "m")
    level = check_delta(delta)
    if not (math.isfinite(aspect) and aspect > 0):
        raise ValueError(f"aspect must be positive and finite, got {aspect}")
    factors = [least_factor(limit, share)] * k
    latents, rho = constant_value(limit) is None, float(limit.density)
    best: GuaranteedWidth | None = None
    for drop in (0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5):
        inside = limit.model.limit(rho * (1 - drop))
        q = exact_probability(core_probability_ball(inside, factors=factors))
        if q == 0:
            continue

        def attempt(n: int, q: Any = q, lowered: float = rho * (1 - drop)) -> tuple[float, int]:
            d = max(k + 1, round(n / aspect))
            rest = d - k
            slack = (rho * d * n - 0.5 - k * n) / (rest * n) - lowered
            return overflow_bound(n, rest, slack, latents=latents), d

        def enough(n: int, q: Any = q, attempt: Any = attempt) -> bool:
            overflow = attempt(n)[0]
            short = BinomialCount(n, q).below(m)
            return n >= m and bool(short + arb(overflow) <= exact_ball(level))

        high = max(m, 2)
        while not enough(high) and (best is None or high < 2 * best.width):
            high *= 2
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        if enough(high) and (best is None or high < best.width):
            overflow, d = attempt(high)
            best = GuaranteedWidth(high, d, rho * (1 - drop), float(q), overflow)
    if best is None:
        raise ValueError("limit gives a core with probability 0 on these inputs")
    return best


def dispersion(
    limit: LimitGraphon, *, positions: Any = None, factors: Any = None,
    aspect: float = 1.0, sources: str = "grid", targets: str = "random",
) -> float:  # fmt: skip
    """``lim Var(N) / (n q (1 - q))`` for exact-count masks, n / d -> ``aspect``.

    With D and C the degrees of sources and targets and ``q'`` the derivative of the core
    probability with respect to the density, linearising the empirical threshold gives

    ``Var N / n -> q (1 - q) - 2 q' Cov(Q, C) + q'^2 (Var C + aspect Var D)``,

    Q(v) the probability given the target's position. Positions on a grid contribute no variance:
    ``sources="grid"`` drops Var D, ``targets="grid"`` leaves only ``E[Q (1 - Q)]``. One for a
    constant graphon. Derived here by linearisation, not a bound; it needs ``k`` and q fixed.

    Raises ValueError for unknown names, q of 0 or 1, and like :func:`core_probability`.
    """
    limit = check_limit(limit)
    for name, value in (("sources", sources), ("targets", targets)):
        if value not in _POSITIONS:
            raise ValueError(f"{name} must be one of {_POSITIONS}, got {value!r}")
    q = core_probability(limit, positions=positions, factors=factors)
    if not 0 < q < 1:
        raise ValueError(f"factors must give a core probability strictly inside (0, 1), got {q}")
    if constant_value(limit) is not None:
        return 1.0
    model, level = limit.model, limit.tau
    given_factors = factors if factors is not None else model.row(np.asarray(positions, float))
    rr = np.asarray(given_factors, np.float64)
    cv, cw = model.column.nodes()
    rv, rw = model.row.nodes()

    def chance(threshold: float) -> np.ndarray:
        each = moment_values(model, 0, rr[:, None], cv[None, :], threshold)
        return np.asarray(np.clip(each, 0, 1).prod(axis=0))

    step = 1e-4 * (abs(level) or 1.0)
    up, down = level + step, level - step
    rise = average(model, 0, up) - average(model, 0, down)
    slope = float((chance(up) - chance(down)) @ cw) / rise
    edges = moment_values(model, 0, rv[:, None], cv[None, :], level)
    column_degree, row_degree = rw @ edges, edges @ cw
    given, rho = chance(level), float(limit.density)
    if targets == "grid":
        variance = float(cw @ (given * (1 - given)))
    else:
        covariance = float(cw @ (given * column_degree)) - q * rho
        spread = float(cw @ column_degree**2) - rho**2
        variance = q * (1 - q) - 2 * slope * covariance + slope**2 * spread
    if sources == "random":
        variance += slope**2 * aspect * (float(rw @ row_degree**2) - rho**2)
    return variance / (q * (1 - q))
