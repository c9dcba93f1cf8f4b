"""The edge floor: the largest p with P >= p on a rectangle of given measures.

``edge_floor(P, alpha, beta)`` is the maximum, over sets A of sources of measure ``alpha`` and
sets B of targets of measure ``beta``, of the essential infimum of P on ``A x B``; [B]'s Lemma
5.6 (reconstructed) starts from such a rectangle.

Where every ``P(u, .)`` grows with the same column factor, the best targets are the top ones
whatever A is: for any B, ``inf_B P(u, .)`` is at most the value at the top set's lower edge. So
the floor is the upper ``alpha``-quantile of that value over the sources, and if P grows with the
row factor too it is P at two quantiles. For general step graphons the problem is that of a
largest biclique; it is solved exactly while there are few subsets and bracketed beyond.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.averages import moment_values
from theory.expressivity import check_limit, constant_value, direction
from theory.factor_range import check_share, factor_range
from theory.graphon import BlockGraphon, ConstantGraphon, Graphon, ProductGraphon
from theory.limit import LimitGraphon

__all__ = ["EdgeFloor", "edge_floor"]

_MOST_SUBSETS = 50_000
_ROUNDING = 1e-12


@dataclass(frozen=True)
class EdgeFloor:
    """``lower <= floor <= upper``; ``exact`` if the formula is exact and not read off a grid.

    ``sources`` and ``targets`` say in words which sets reach ``lower``.
    """

    lower: float
    upper: float
    exact: bool
    sources: str
    targets: str

    @property
    def value(self) -> float:
        """The floor that is guaranteed: the lower end."""
        return self.lower


def edge_floor(
    limit: LimitGraphon | Graphon, source_measure: Any, target_measure: Any
) -> EdgeFloor:
    """The largest edge floor over sets of sources and targets of the given measures.

    Exact for constant, product and small block graphons and for every criterion whose score
    grows with its factors (Random, Magnitude, SNIP, |GraSP|, SynFlow, signed GraSP); for an
    offset rule and for profiles that are only known by values it is computed on a grid, and for
    large block graphons bracketed. Raises ValueError for measures outside (0, 1] and TypeError
    for other graphons.
    """
    alpha = check_share(source_measure, "source_measure")
    beta = check_share(target_measure, "target_measure")
    if isinstance(limit, ConstantGraphon):
        value = float(limit.density)
        return EdgeFloor(value, value, True, "any", "any")
    if isinstance(limit, ProductGraphon):
        rows, columns = factor_range(limit.source), factor_range(limit.target)
        value = rows.from_above(alpha) * columns.from_above(beta)
        exact = rows.exact and columns.exact
        return EdgeFloor(value, value, exact, f"top {alpha:g}", f"top {beta:g}")
    if isinstance(limit, BlockGraphon):
        return _blocks(limit.blocks, alpha, beta)
    if isinstance(limit, Graphon):
        raise TypeError(f"limit must be constant, product or block, got {type(limit).__name__}")
    return _limit(check_limit(limit), alpha, beta)


def _limit(limit: LimitGraphon, alpha: float, beta: float) -> EdgeFloor:
    constant = constant_value(limit)
    if constant is not None:
        return EdgeFloor(constant, constant, True, "any", "any")
    way = direction(limit)
    rows, columns = factor_range(limit.model.row), factor_range(limit.model.column)
    if way is None:
        return _offset(limit, alpha, beta)
    side = "bottom" if way < 0 else "top"
    if way < 0:
        pair = rows.from_below(alpha), columns.from_below(beta)
    else:
        pair = rows.from_above(alpha), columns.from_above(beta)
    if np.isinf(pair).any():  # a turned-over rule on everything: P falls to one half
        value = 0.5
    else:
        value = float(limit.at_factors(*pair))
    exact = rows.exact and columns.exact
    return EdgeFloor(value, value, exact, f"{side} {alpha:g}", f"{side} {beta:g}")


def _offset(limit: LimitGraphon, alpha: float, beta: float) -> EdgeFloor:
    """Monotone in the column factor only: the upper quantile over sources at the top targets."""
    edge = factor_range(limit.model.column).from_above(beta)
    values, weights = limit.model.row.nodes()
    heights = moment_values(limit.model, 0, values, np.array([edge]), limit.tau)
    order = np.argsort(-heights)
    reached = np.cumsum(weights[order]) >= alpha - _ROUNDING
    value = float(heights[order][int(np.argmax(reached)) if reached.any() else -1])
    return EdgeFloor(value, value, False, f"densest {alpha:g}", f"top {beta:g}")


# --------------------------------------------------------------------------------------- blocks


def _blocks(blocks: NDArray[np.float64], alpha: float, beta: float) -> EdgeFloor:
    """Bottleneck biclique of a step graphon: a set of positive measure in a block counts it."""
    targets, sources = blocks.shape
    a, b = math.ceil(alpha * sources - _ROUNDING), math.ceil(beta * targets - _ROUNDING)
    names = f"{a} of {sources} blocks", f"{b} of {targets} blocks"
    if math.comb(sources, a) <= _MOST_SUBSETS:
        best = max(_reach(blocks, list(s), b) for s in itertools.combinations(range(sources), a))
        return EdgeFloor(best, best, True, *names)
    return EdgeFloor(_nested(blocks, a, b), _peeled(blocks, a, b), False, *names)


def _reach(blocks: NDArray[np.float64], subset: list[int], b: int) -> float:
    """Floor of the given sources with their best ``b`` targets."""
    lowest = blocks[:, subset].min(axis=1)
    return float(np.sort(lowest)[-b])


def _nested(blocks: NDArray[np.float64], a: int, b: int) -> float:
    """A lower bound: start at the densest sources, then alternate best targets and sources."""
    chosen = np.argsort(-blocks.mean(axis=0), kind="stable")[:a]
    best = 0.0
    for _ in range(50):
        rows = np.argsort(-blocks[:, chosen].min(axis=1), kind="stable")[:b]
        best_before, best = best, max(best, float(blocks[np.ix_(rows, chosen)].min()))
        chosen = np.argsort(-blocks[rows].min(axis=0), kind="stable")[:a]
        best = max(best, float(blocks[np.ix_(rows, chosen)].min()))
        if best == best_before:
            break
    return best


def _peeled(blocks: NDArray[np.float64], a: int, b: int) -> float:
    """An upper bound: the largest level whose graph survives peeling to the needed degrees."""
    levels = np.unique(blocks)
    low, high = 0, len(levels) - 1  # the lowest level keeps everything
    while low < high:
        middle = (low + high + 1) // 2
        if _survives(blocks >= levels[middle], a, b):
            low = middle
        else:
            high = middle - 1
    return float(levels[low])


def _survives(graph: NDArray[np.bool_], a: int, b: int) -> bool:
    """Whether rows of degree >= a and columns of degree >= b remain in sufficient number."""
    rows, columns = np.ones(graph.shape[0], bool), np.ones(graph.shape[1], bool)
    while True:
        keep_rows = rows & ((graph & columns).sum(axis=1) >= a)
        keep_columns = columns & ((graph & keep_rows[:, None]).sum(axis=0) >= b)
        if (keep_rows == rows).all() and (keep_columns == columns).all():
            return bool(rows.sum() >= b and columns.sum() >= a)
        rows, columns = keep_rows, keep_columns
