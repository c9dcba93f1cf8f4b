"""The range of a factor: its quantiles from above and from below, and shares above a level.

A profile is a function of the position and need not be monotone; what a set of best inputs can
reach depends on the law of its values only. Exact for constant, half-normal and sampled profiles
and for expressions whose derivative has one sign by its structure, otherwise read off a fine
grid of positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy import special

from theory.dense_core import exact_probability
from theory.profiles import EmpiricalProfile, HalfNormalProfile, Profile

__all__ = ["FactorRange", "check_share", "factor_range"]

_GRID = 2**14
_ROUNDING = 1e-12


@dataclass(frozen=True)
class FactorRange:
    """The values of a factor in ascending order with their measures, or a half-normal law.

    ``values`` is None for a half-normal law of scale ``scale``. ``exact`` is False where the
    values are those on a grid of positions. ``highest`` is the essential supremum (infinite for
    an unbounded profile).
    """

    values: NDArray[np.float64] | None
    measures: NDArray[np.float64] | None
    scale: float
    highest: float
    exact: bool

    def from_above(self, share: Any) -> float:
        """The largest x with ``Pr[factor >= x] >= share``; share in (0, 1]."""
        part = check_share(share)
        if self.values is None or self.measures is None:
            return float(self.scale * math.sqrt(2) * special.erfinv(1 - part))
        return _first(self.values[::-1], self.measures[::-1], part)

    def from_below(self, share: Any) -> float:
        """The smallest x with ``Pr[factor <= x] >= share``; share in (0, 1]."""
        part = check_share(share)
        if self.values is None or self.measures is None:
            return float(self.scale * math.sqrt(2) * special.erfinv(part))
        return _first(self.values, self.measures, part)

    def share_above(self, level: float) -> float:
        """``Pr[factor > level]`` for a level of at least 0."""
        if self.values is None or self.measures is None:
            return float(special.erfc(level / (self.scale * math.sqrt(2))))
        return float(min(1.0, self.measures[self.values > level].sum()))

    def best_sets(self, *, falling: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Edges of nested best sets and their measures: the top ones, or the bottom ones.

        Every value where there are finitely many, 2000 values of a half-normal law.
        """
        if self.values is None or self.measures is None:
            edges = self.scale * np.geomspace(1e-3, 30.0, 2000)
            above = special.erfc(edges / (self.scale * math.sqrt(2)))
            return edges, 1 - above if falling else above
        step = 1 if falling else -1
        return self.values[::step], np.minimum(np.cumsum(self.measures[::step]), 1.0)


def _first(values: NDArray[np.float64], measures: NDArray[np.float64], share: float) -> float:
    """The first value at which the accumulated measure reaches the share, up to rounding."""
    reached = np.cumsum(measures) >= share - _ROUNDING
    return float(values[int(np.argmax(reached)) if reached.any() else -1])


def check_share(value: Any, name: str = "share") -> float:
    """A measure in (0, 1] as a float; ValueError or TypeError naming ``name`` otherwise."""
    share = float(exact_probability(value, name))
    if share == 0.0:
        raise ValueError(f"{name} must lie in (0, 1], got {value}")
    return share


def factor_range(profile: Profile) -> FactorRange:
    """The range of a profile's values. Raises TypeError for what is no profile."""
    if not isinstance(profile, Profile):
        raise TypeError(f"profile must be a theory.profiles.Profile, got {type(profile).__name__}")
    if isinstance(profile, HalfNormalProfile):
        return FactorRange(None, None, float(profile.scale), math.inf, True)
    if profile.constant is not None:
        value = float(profile.constant)
        return FactorRange(np.array([value]), np.ones(1), 1.0, value, True)
    if isinstance(profile, EmpiricalProfile):
        values, weights = profile.nodes()
        return FactorRange(values, weights, 1.0, float(values[-1]), True)
    values = np.sort(profile((np.arange(_GRID) + 0.5) / _GRID))
    highest = math.inf if profile.bounded is False else float(values[-1])
    if profile.bounded and profile.expr is not None:
        highest = max(highest, *_ends(profile.expr))
    return FactorRange(values, np.full(_GRID, 1 / _GRID), 1.0, highest, False)


def _ends(expr: sp.Expr) -> list[float]:
    """Limits at both ends, where SymPy finds them: the supremum of a monotone profile."""
    found = []
    for at, side in ((0, "+"), (1, "-")):
        limit = sp.limit(expr, next(iter(expr.free_symbols)), at, side)
        found.append(float(limit) if limit.is_finite else -math.inf)
    return found
