"""Distances between a limit and its near misses, from the theory alone: what margins derive from.

A margin is a fixed share, below one half, of the distance to the nearest near miss. It is known
before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from theory import criteria
from theory.limit import LimitGraphon
from theory.profiles import ConstantProfile
from verify.trials.networks import GRID

SHARE = 0.45
"""Of the distance to the nearest near miss; a margin must be below half of it."""

Array = NDArray[np.float64]


def rms(first: Array, second: Array) -> float:
    """Root mean square difference of two block grids."""
    return float(np.sqrt(np.mean((first - second) ** 2)))


def near_miss_limits(criterion: str, density: float) -> dict[str, LimitGraphon]:
    """The limits that the block trials compare with, by the name of their metric."""
    base = criterion if criterion in ("snip", "grasp", "grasp-signed") else "snip"
    other = "grasp" if criterion == "grasp-signed" else "grasp-signed"
    one = ConstantProfile(1)
    return {
        "other_tail": criteria.criterion(other).limit(density),
        "flat_column": criteria.criterion(base, column_law=one).limit(density),
        "flat_row": criteria.criterion(base, row_profile=one).limit(density),
        "constant": criteria.random().limit(density),
        "as_snip": criteria.snip().limit(density),
    }


def mask_margin(criterion: str, density: float, *names: str) -> Callable[[], float]:
    """Margin for a block error of masks: ``SHARE`` of the distance to the nearest of ``names``."""

    def margin() -> float:
        truth = criteria.criterion(criterion).limit(density).grid(GRID)
        limits = near_miss_limits(criterion, density)
        return SHARE * min(rms(truth, limits[name].grid(GRID)) for name in names)

    return margin


def moment_margin(criterion: str, density: float) -> Callable[[], float]:
    """Margin for block errors of V and mu: half-way to V = P, or to mu = 0 for signed rules."""

    def margin() -> float:
        limit = criteria.criterion(criterion).limit(density)
        gap = rms(limit.grid(GRID, which="variance"), limit.grid(GRID))
        if not limit.model.rule.even:
            gap = min(gap, rms(limit.grid(GRID, which="mean"), 0.0 * limit.grid(GRID)))
        return SHARE * gap

    return margin


def total(criterion: str, density: float, which: str) -> float:
    """Integral of a limit graphon over the unit square."""
    return criteria.criterion(criterion).limit(density).total(which)  # type: ignore[arg-type]
