"""Masks and variance profiles of a deep network, drawn from one graphon per layer.

Index i of m sits at position (i + 1/2) / m unless positions are given. A graphon may be None
(dense), a number, an object with ``values(u, v)`` (:class:`theory.graphon.Graphon`,
:class:`theory.limit.LimitGraphon`), a callable of broadcastable arrays (u, v), or a matrix of
block values of any size, array ``[target block, source block]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.mlp import check_widths
from numerics.ranking import select_largest
from numerics.sampling import uniform
from numerics.seeds import generator
from theory.graphon import BlockGraphon

__all__ = ["COUNTS", "graphon_masks", "variance_profile"]

COUNTS = ("bernoulli", "exact")
_TILE = 1 << 22  # entries of a graphon that are evaluated at once


def _positions(given: Any, layers: int, widths: tuple[int, ...]) -> list[NDArray[np.float64]]:
    """Positions of the units of layers 0 .. L + 1."""
    entries = [None] * layers if given is None else given
    if not isinstance(entries, Sequence) or len(entries) != layers:
        raise ValueError(f"positions must be a list with {layers} entries, inputs to outputs")
    result = []
    for index, (entry, n) in enumerate(zip(entries, widths, strict=True)):
        x = (np.arange(n) + 0.5) / n if entry is None else np.asarray(entry, dtype=np.float64)
        if x.shape != (n,) or not (x >= 0.0).all() or not (x <= 1.0).all():
            raise ValueError(f"positions[{index}] must hold {n} numbers in [0, 1]")
        result.append(x)
    return result


def _blocks(matrix: Any, uu: Any, vv: Any, name: str) -> NDArray[np.float64]:
    """A step function's values; positions are looked up the way BlockGraphon does it."""
    array = matrix.detach().cpu().numpy() if isinstance(matrix, Tensor) else matrix
    try:
        array = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"{name} must be None, a number, a graphon, a callable of (u, v) or a matrix, "
            f"got {type(matrix).__name__}"
        )
    cells = BlockGraphon(np.zeros(array.shape))
    cells.blocks = array  # a variance profile may leave [0, 1]
    return cells.values(uu[None, :], vv[:, None])


def _evaluate(graphon: Any, uu: Any, vv: Any, name: str, top: float | None) -> NDArray[np.float64]:
    """A graphon's values on (targets, sources), checked to lie in [0, top]."""
    shape = (len(vv), len(uu))
    if isinstance(graphon, (int, float)) and not isinstance(graphon, bool):
        values = np.full(shape, float(graphon))
    elif isinstance(graphon, (Tensor, np.ndarray)):
        values = _blocks(graphon, uu, vv, name)
    elif hasattr(graphon, "values") and callable(graphon.values):
        values = graphon.values(uu[None, :], vv[:, None])
    elif callable(graphon):
        values = graphon(uu[None, :], vv[:, None])
    else:
        values = _blocks(graphon, uu, vv, name)
    try:
        values = np.broadcast_to(np.asarray(values, dtype=np.float64), shape)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must give values that broadcast to {shape}") from None
    if not np.isfinite(values).all() or values.min() < 0.0:
        raise ValueError(f"{name} must have finite, non-negative values")
    if top is not None and values.max() > top:
        raise ValueError(f"{name} must have values in [0, {top:g}], got {values.max():.6g}")
    return values


def _layers(graphons: Any, widths: tuple[int, ...]) -> list[Any]:
    layers = len(widths) - 1
    if isinstance(graphons, (str, bytes, Tensor, np.ndarray)) or not isinstance(graphons, Sequence):
        return [graphons] * layers
    if len(graphons) != layers:
        raise ValueError(
            f"graphons must be one graphon or a list of {layers}, one per layer, "
            f"got {len(graphons)}"
        )
    return list(graphons)


def graphon_masks(
    graphons: Any,
    widths: Sequence[int],
    seed: int = 0,
    *,
    count: str = "bernoulli",
    positions: Sequence[Any] | None = None,
) -> list[Tensor | None]:
    """Masks ``M_l[j, i] ~ Bernoulli(P_l(u_i, v_j))``, independent, one for each layer.

    ``graphons`` is one graphon for all layers or a list of L + 1 (see the module); ``widths``
    are ``(d, n_1, .., outputs)``. ``count="exact"`` keeps the expected number of entries,
    ``Σ P`` rounded half up, in each layer: uniform without replacement where P is constant,
    else by Pareto sampling (Rosén, J. Statist. Plann. Inference 62, 1997), whose inclusion
    probabilities are P up to a vanishing error. ``positions`` are one vector (or None) for each
    of the L + 2 layers of units. A mask depends on seed and layer, not on the other layers.

    Returns bool tensors of shape (n_l, n_{l-1}) on the CPU, None where the graphon is None.
    Raises ValueError for values outside [0, 1], lists of the wrong length, unknown ``count``.
    """
    sizes = check_widths(widths)
    if count not in COUNTS:
        raise ValueError(f"count must be one of {COUNTS}, got {count!r}")
    places = _positions(positions, len(sizes), sizes)
    masks: list[Tensor | None] = []
    for index, graphon in enumerate(_layers(graphons, sizes)):
        if graphon is None:
            masks.append(None)
            continue
        rng = generator(seed, "mask", index + 1)
        name = f"graphons[{index}]"
        uu, vv = places[index], places[index + 1]
        rows = max(1, _TILE // len(uu))
        mask = np.empty((len(vv), len(uu)), dtype=bool)
        keys, total = np.empty(mask.shape if count == "exact" else (0, 0)), 0.0
        for start in range(0, len(vv), rows):
            part = slice(start, start + rows)
            P = _evaluate(graphon, uu, vv[part], name, top=1.0)
            noise = uniform(rng, P.shape)
            if count == "bernoulli":
                mask[part] = noise < P
                continue
            total += float(P.sum())
            with np.errstate(divide="ignore"):
                # log of Rosén's ranking variable, negated; P = 1 is +∞ and P = 0 is -∞.
                keys[part] = np.log(P) - np.log1p(-P) - np.log(noise) + np.log1p(-noise)
        if count == "exact":
            kept = int(total + 0.5 + 1e-9)  # a sum of rounded numbers just below a half goes up
            mask[:] = False
            if kept:
                big = np.finfo(np.float64).max
                chosen, _ = select_largest(np.clip(keys, -big, big).ravel(), kept, rng)
                mask.ravel()[chosen] = True
        masks.append(torch.from_numpy(mask))
    return masks


def variance_profile(
    graphons: Any, widths: Sequence[int], *, positions: Sequence[Any] | None = None
) -> list[Tensor | None]:
    """``𝒲_l(u_i, v_j)`` as float64 tensors of shape (n_l, n_{l-1}), for ``MLP(variances=..)``.

    Arguments as in :func:`graphon_masks`, but values may exceed 1. None where the graphon is None.
    """
    sizes = check_widths(widths)
    places = _positions(positions, len(sizes), sizes)
    result: list[Tensor | None] = []
    for index, graphon in enumerate(_layers(graphons, sizes)):
        if graphon is None:
            result.append(None)
            continue
        values = _evaluate(
            graphon, places[index], places[index + 1], f"graphons[{index}]", top=None
        )
        result.append(torch.from_numpy(values.copy()))
    return result
