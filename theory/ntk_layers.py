"""One weight matrix of a network in the limit, and the positions between two of them.

Positions on which nothing depends are one node; step functions have one node per cell; for
anything else a position is a symbol that is integrated over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import sympy as sp

from theory.graphon import BlockGraphon, Graphon
from theory.limit import LimitGraphon
from theory.symbols import u, v

__all__ = ["Axis", "LayerGraphon", "cells", "entry_at", "gauss"]


def _entry(value: Any, argument: str) -> Any:
    """An expression in ``u`` and ``v``, or a matrix of blocks (targets x sources)."""
    if isinstance(value, LimitGraphon):
        raise ValueError(f"{argument} must say which of a limit's graphons is meant")
    if isinstance(value, BlockGraphon):
        value = [[sp.Rational(float(x)) for x in row] for row in value.blocks]
    elif isinstance(value, Graphon):
        if value.expr is None:
            raise ValueError(f"{argument} must be a graphon with an expression, got {value}")
        return value.expr
    try:
        if isinstance(value, sp.MatrixBase | list | tuple) or getattr(value, "ndim", 0) == 2:
            value = sp.ImmutableMatrix(value)
            if 0 in value.shape:
                raise ValueError("a matrix needs at least one block")
            return value
        return sp.sympify(value)
    except (sp.SympifyError, TypeError, ValueError) as error:
        raise ValueError(f"{argument} must be a graphon or an expression: {error}") from error


@dataclass(frozen=True)
class LayerGraphon:
    """One weight matrix in the limit.

    ``V`` and ``T`` are expressions in :data:`theory.symbols.u` (source) and ``v`` (target),
    numbers, matrices of blocks (targets x sources), or constant, block and product graphons.
    ``T`` defaults to ``V``: survivors of an independent mask train. ``gain`` is a factor on the
    variance of the weights, ``bias`` the variance of the (trained) biases.

    Raises
    ------
    ValueError
        If V or T is none of these, or has an entry that is negative.
    """

    V: Any
    T: Any = None
    gain: Any = 1
    bias: Any = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "V", _entry(self.V, "V"))
        object.__setattr__(self, "T", self.V if self.T is None else _entry(self.T, "T"))
        for label in ("gain", "bias"):
            object.__setattr__(self, label, sp.sympify(getattr(self, label)))
        for label in ("V", "T", "gain", "bias"):
            value = getattr(self, label)
            for entry in value if isinstance(value, sp.MatrixBase) else [value]:
                if entry.is_negative or entry.has(sp.nan, sp.oo, sp.zoo, sp.S.NegativeInfinity):
                    raise ValueError(f"{label} must be finite and not negative, got {entry}")

    def depends(self, position: sp.Symbol) -> bool:
        """Whether V or T depends on ``u`` or ``v`` other than by blocks."""
        both = (self.V, self.T)
        return any(not isinstance(entry, sp.MatrixBase) and entry.has(position) for entry in both)

    def blocks(self, side: int) -> int:
        """Number of equal cells on which the blocks are constant; side 0 targets, 1 sources."""
        both = (self.V, self.T)
        sizes = [entry.shape[side] for entry in both if isinstance(entry, sp.MatrixBase)]
        return common(*sizes)


def common(*counts: int) -> int:
    """Number of cells of the common refinement of uniform grids."""
    return int(sp.ilcm(1, 1, *counts))


@dataclass(frozen=True)
class Axis:
    """Positions of a layer: nodes with weights, or one symbol (``weights`` None)."""

    points: tuple[sp.Expr, ...]
    weights: tuple[sp.Expr, ...] | None

    def mean(self, values: Sequence[Any]) -> sp.Expr:
        """The average over positions of what is given per node."""
        if self.weights is None:
            return sp.Integral(values[0], (self.points[0], 0, 1))
        return sp.Add(*[weight * x for weight, x in zip(self.weights, values, strict=True)])


def cells(count: int) -> Axis:
    """The midpoints of ``count`` equal cells."""
    points = tuple(sp.Rational(2 * i + 1, 2 * count) for i in range(count))
    return Axis(points, (sp.Rational(1, count),) * count)


def gauss(nodes: int, digits: int) -> Axis:
    """Gauss-Legendre nodes on (0, 1)."""
    with mp.workdps(digits + 10):
        x = sp.Symbol("x")
        roots = mp.polyroots(
            [mp.mpf(int(c.p)) / int(c.q) for c in sp.Poly(sp.legendre(nodes, x), x).all_coeffs()],
            maxsteps=500,
            extraprec=20 * nodes + 200,
        )
        slope = sp.lambdify(x, sp.legendre(nodes, x).diff(x), "mpmath")
        weights = [1 / ((1 - r**2) * slope(r) ** 2) for r in roots]
        points = tuple(sp.Float((1 + r) / 2, digits) for r in roots)
        return Axis(points, tuple(sp.Float(w, digits) for w in weights))


def entry_at(entry: Any, source: sp.Expr, target: sp.Expr) -> sp.Expr:
    """V or T at a pair of positions."""
    if not isinstance(entry, sp.MatrixBase):
        return entry.subs({u: source, v: target}, simultaneous=True)
    rows, columns = entry.shape
    return sp.Piecewise(
        *[
            (sp.Piecewise(*[(entry[i, j], test) for j, test in _cell(source, columns)]), row)
            for i, row in _cell(target, rows)
        ]
    )


def _cell(position: sp.Expr, count: int) -> list[tuple[int, Any]]:
    """The cell a position falls in, with a condition where it is a symbol; 1 is in the last."""
    if position.is_number:
        return [(min(int(sp.floor(position * count)), count - 1), sp.true)]
    steps = [(i, position < sp.Rational(i + 1, count)) for i in range(count - 1)]
    return [*steps, (count - 1, sp.true)]
