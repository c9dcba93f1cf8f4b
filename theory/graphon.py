"""Bipartite graphons that are not limits of a criterion: constant, block, product, sampled.

They serve as inputs to the cut norm, as counterexamples, and (per layer) to kernels. A graphon
here is a measurable function P(u, v) of a source and a target position with values in [0, 1];
the two sides need not be alike, so no symmetry is asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.profiles import Profile, as_profile
from theory.symbols import u, v

Array = NDArray[np.float64]


def cell_averages(
    values: Callable[[Array, Array], Array],
    targets: int,
    sources: int | None = None,
    *,
    order: int = 6,
) -> Array:
    """Averages of a function of (u, v) over the cells of a uniform grid, by Gauss rules per cell.

    Cell averages, not midpoints, are what a mask's block means estimate. Returns float64 of
    shape ``(targets, sources)``. Raises ValueError for grid sizes below one.
    """
    sources = targets if sources is None else sources
    if targets < 1 or sources < 1:
        raise ValueError(f"targets and sources must be at least 1, got {targets}, {sources}")
    x, weight = np.polynomial.legendre.leggauss(order)
    inner, weight = (x + 1.0) / 2.0, weight / 2.0
    uu = ((np.arange(sources)[:, None] + inner) / sources).ravel()
    vv = ((np.arange(targets)[:, None] + inner) / targets).ravel()
    blocks = values(uu[None, :], vv[:, None]).reshape(targets, order, sources, order)
    return np.asarray(np.einsum("tasb,a,b->ts", blocks, weight, weight))


class Graphon(ABC):
    """A function P(u, v) on the unit square with values in [0, 1]."""

    @abstractmethod
    def values(self, uu: Any, vv: Any) -> Array:
        """P at positions ``uu`` (source) and ``vv`` (target), broadcast, float64."""

    @property
    def expr(self) -> sp.Expr | None:
        """P as an expression in ``u`` and ``v``, or None where it is only known by values."""
        return None

    def grid(self, targets: int, sources: int | None = None) -> Array:
        """Cell averages on a uniform grid, shape ``(targets, sources)``; see `cell_averages`."""
        return cell_averages(self.values, targets, sources)


def _unit_interval(values: Array, argument: str) -> Array:
    if not np.all(np.isfinite(values)) or values.min() < 0.0 or values.max() > 1.0:
        raise ValueError(f"{argument} must have values in [0, 1]")
    return values


class ConstantGraphon(Graphon):
    """The limit of random pruning: P = density everywhere. ValueError outside [0, 1]."""

    def __init__(self, density: Any) -> None:
        self.density = sp.sympify(density)
        number = not self.density.free_symbols
        if number and not (self.density.is_real and 0 <= self.density <= 1):
            raise ValueError(f"density must lie in [0, 1], got {density}")

    @property
    def expr(self) -> sp.Expr | None:
        """The constant."""
        return self.density

    def values(self, uu: Any, vv: Any) -> Array:
        """The constant, broadcast."""
        shape = np.broadcast_shapes(np.shape(uu), np.shape(vv))
        return np.full(shape, float(self.density))


class BlockGraphon(Graphon):
    """A step function on a uniform ``targets x sources`` grid of blocks.

    ``blocks[a][b]`` is the density between target block ``a`` and source block ``b``.
    Raises ValueError for ragged arrays and values outside [0, 1].
    """

    def __init__(self, blocks: Sequence[Sequence[float]] | Array) -> None:
        try:
            array = np.asarray(blocks, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"blocks must be a matrix of numbers: {error}") from error
        if array.ndim != 2 or array.size == 0:
            raise ValueError(f"blocks must be a non-empty matrix, got shape {array.shape}")
        self.blocks = _unit_interval(array, "blocks")

    def values(self, uu: Any, vv: Any) -> Array:
        """The block that a position falls in; 1 belongs to the last block."""
        rows, cols = self.blocks.shape
        i = np.clip((np.asarray(vv, np.float64) * rows).astype(np.int64), 0, rows - 1)
        j = np.clip((np.asarray(uu, np.float64) * cols).astype(np.int64), 0, cols - 1)
        return np.asarray(self.blocks[i, j])


class ProductGraphon(Graphon):
    """P(u, v) = f(v) g(u), with profiles ``target_factor`` f and ``source_factor`` g.

    Raises ValueError if the product leaves [0, 1] on a test grid.
    """

    def __init__(self, target_factor: Any, source_factor: Any) -> None:
        self.target: Profile = as_profile(target_factor, "target_factor")
        self.source: Profile = as_profile(source_factor, "source_factor")
        probe = (np.arange(200) + 0.5) / 200
        _unit_interval(np.outer(self.target(probe), self.source(probe)), "target_factor")

    @property
    def expr(self) -> sp.Expr | None:
        """The product of the factors at ``v`` and ``u``."""
        return self.target.at(v) * self.source.at(u)

    def values(self, uu: Any, vv: Any) -> Array:
        """f(v) g(u), broadcast."""
        return self.target(np.asarray(vv, np.float64)) * self.source(np.asarray(uu, np.float64))


def chain_density(grids: Sequence[Array]) -> float:
    """Homomorphism density of a path through layers, ``int .. int prod_l W_l``.

    ``grids[l]`` holds cell averages of layer ``l + 1``'s graphon, shape (targets, sources), from
    the input upwards; neighbouring layers must share a grid. For step graphons the value is
    exact. Raises ValueError for an empty chain or grids that do not fit.
    """
    if len(grids) == 0:
        raise ValueError("grids must hold at least one layer")
    state: Array | None = None
    for index, grid in enumerate(grids):
        if grid.ndim != 2 or grid.size == 0:
            raise ValueError(f"grids[{index}] must be a matrix, got shape {grid.shape}")
        state = np.ones(grid.shape[1]) if state is None else state
        if grid.shape[1] != state.size:
            raise ValueError(
                f"grids[{index}] must have {state.size} source cells, got shape {grid.shape}"
            )
        state = grid @ state / grid.shape[1]
    assert state is not None
    return float(state.mean())
