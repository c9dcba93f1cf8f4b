"""Distances between a limit and its near misses, from the theory alone: what margins derive from.

A margin is a fixed share, below one half, of the distance to the nearest near miss. It is known
before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from theory import criteria
from theory.limit import Which
from verify.trials.networks import GRID, near_miss_grid, rms

SHARE = 0.45
"""Of the distance to the nearest near miss; a margin must be below half of it."""


def mask_margin(criterion: str, density: float, *names: str) -> Callable[[], float]:
    """Margin for a block error of masks: ``SHARE`` of the distance to the nearest of ``names``."""

    def margin() -> float:
        truth = near_miss_grid(criterion, density, "truth")
        return SHARE * min(rms(truth, near_miss_grid(criterion, density, name)) for name in names)

    return margin


def moment_margin(criterion: str, density: float) -> Callable[[], float]:
    """Margin for block errors of V and mu: half-way to V = P, or to mu = 0 for signed rules."""

    def margin() -> float:
        limit = criteria.criterion(criterion).limit(density)
        gap = rms(limit.grid(GRID, which="variance"), limit.grid(GRID))
        if not limit.model.rule.even:
            gap = min(gap, rms(limit.grid(GRID, which="mean"), np.zeros((GRID, GRID))))
        return SHARE * gap

    return margin


def total(criterion: str, density: float, which: Which) -> float:
    """Integral of a limit graphon over the unit square."""
    return criteria.criterion(criterion).limit(density).total(which)
