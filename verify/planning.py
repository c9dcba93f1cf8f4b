"""Planning: how many replicates a check needs, before anything runs.

Two error kinds are stated. `level` bounds the probability that the interval misses the truth, and
so both wrong verdicts (support of a value off by the margin or more, refutation of one within it).
`undecided_rate` is the accepted probability that a true reading is left undecided although it holds
exactly; one minus it is the power.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from verify.decision import (
    MIN_REPLICATES,
    Floats,
    _gamma_grid,
    _require_widths,
    critical_value,
    limit_coefficients,
    rate_coefficients,
)

MAX_REPLICATES = 10**7


@dataclass(frozen=True)
class Plan:
    """What a check will need.

    replicates: per width, or None if no number suffices; half_width: of the interval at that
    number; systematic: the part of it that more replicates do not remove (the range of γ times the
    size of the finite-width term); margin, level, undecided_rate: what was asked for.
    """

    replicates: tuple[int, ...] | None
    half_width: float
    systematic: float
    margin: float
    level: float
    undecided_rate: float


def looks(start: int, budget: int, factor: int = 2) -> tuple[int, ...]:
    """Planned numbers of replicates: start, start·factor, … and at last the budget."""
    if start < MIN_REPLICATES or budget < start:
        raise ValueError(
            f"replicates must satisfy {MIN_REPLICATES} <= start <= budget; got ({start}, {budget})"
        )
    found = []
    count = start
    while count < budget:
        found.append(count)
        count *= factor
    return (*found, budget)


def plan_value(deviation: float, margin: float, level: float, undecided_rate: float = 0.05) -> Plan:
    """Replicates for a value at one setting; `deviation` is the pilot's standard deviation."""
    return _plan([np.array([1.0])], [deviation], (1,), margin, level, undecided_rate, 0.0)


def plan_limit(
    widths: ArrayLike,
    deviations: ArrayLike,
    gamma: float | tuple[float, float],
    margin: float,
    level: float,
    undecided_rate: float = 0.05,
    *,
    means: ArrayLike | None = None,
    allocation: Sequence[int] | None = None,
) -> Plan:
    """Replicates per width for a limit m(n) = ℓ + b n^{-γ}.

    deviations (and means, if a pilot has them): standard deviation and mean of one replicate at
    each width. Without means the systematic part, due to not knowing γ, is taken to be zero.
    """
    n = _require_widths(widths)
    contrasts = [limit_coefficients(n, g)[0] for g in _gamma_grid(gamma)]
    systematic = 0.0
    if means is not None:
        estimates = [float(c @ np.asarray(means, dtype=float)) for c in contrasts]
        systematic = (max(estimates) - min(estimates)) / 2
    return _plan(
        contrasts,
        deviations,
        allocation or (1,) * len(n),
        margin,
        level,
        undecided_rate,
        systematic,
    )


def plan_rate(
    widths: ArrayLike,
    relative_deviations: ArrayLike,
    margin: float,
    level: float,
    undecided_rate: float = 0.05,
    *,
    allocation: Sequence[int] | None = None,
) -> Plan:
    """Replicates per width for a slope; deviations are relative to the mean at that width."""
    n = _require_widths(widths)
    return _plan(
        [rate_coefficients(n)],
        relative_deviations,
        allocation or (1,) * len(n),
        margin,
        level,
        undecided_rate,
        0.0,
    )


def _plan(
    contrasts: Sequence[Floats],
    deviations: ArrayLike,
    allocation: Sequence[int],
    margin: float,
    level: float,
    undecided_rate: float,
    systematic: float,
) -> Plan:
    spread = np.asarray(deviations, dtype=float)
    share = np.asarray(allocation, dtype=float)
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"margin must be positive; got {margin}")
    for name, value in (("level", level), ("undecided_rate", undecided_rate)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie in (0, 1); got {value}")
    if spread.shape != contrasts[0].shape or not np.all(spread >= 0):
        raise ValueError(
            f"deviations must be one non-negative number per width; got {deviations!r}"
        )
    if share.shape != spread.shape or not np.all(share >= 1):
        raise ValueError(f"allocation must be one number >= 1 per width; got {allocation}")
    scale = max(math.sqrt(float((c**2 * spread**2 / share).sum())) for c in contrasts)

    def reach(count: int) -> float:
        """Half width, plus what the estimate itself wanders, at `count` replicates."""
        counts = count * share
        wander = critical_value(undecided_rate, counts)
        return scale / math.sqrt(count) * (critical_value(level, counts) + wander) + systematic

    def plan(count: int | None) -> Plan:
        used = MAX_REPLICATES if count is None else count
        half = scale / math.sqrt(used) * critical_value(level, used * share) + systematic
        counts = None if count is None else tuple(int(used * s) for s in share)
        return Plan(counts, half, systematic, margin, level, undecided_rate)

    if reach(MAX_REPLICATES) > margin:
        return plan(None)
    low, high = MIN_REPLICATES, MAX_REPLICATES
    while low < high:  # the reach falls with the count
        middle = (low + high) // 2
        low, high = (low, middle) if reach(middle) <= margin else (middle + 1, high)
    return plan(low)
