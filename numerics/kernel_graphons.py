"""Graphons of all kinds as layers of nodes: what turns a network's description into a stack.

A hidden layer's nodes serve the graphon below (as targets) and the one above (as sources).
Constants need one node and step functions one for each cell, exactly; smooth graphons get the
nodes of a tanh-sinh rule, which copes with the singular ends that quantile functions have. The
rule is refined until the kernel stands still (see :mod:`numerics.kernel`).
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from numerics.kernel_stack import Stack, StackLayer
from numerics.matrix_input import FloatArray, as_matrix
from theory.graphon import BlockGraphon, ConstantGraphon, Graphon, ProductGraphon
from theory.limit import LimitGraphon
from theory.profiles import EmpiricalProfile, Profile

__all__ = ["FINEST", "KernelLayer", "Network", "Surface", "surface"]

FINEST = 5
"""Finest level of refinement: level k has ``16 * 2**k + 1`` nodes between neighbouring edges."""
_ROOM = 1e-12
"""Values may leave [0, 1] by this much, which is rounding."""

Values = Callable[[FloatArray, FloatArray], Any]


@dataclass(frozen=True)
class KernelLayer:
    """One layer of weights: where they are, how large, and which of them train.

    ``variance`` is ``E[w^2]`` as a function of the positions, ``mask`` the share of weights that
    train (None: the same as ``variance``, weights that are there with variance one and train).
    Either is a number, a graphon of :mod:`theory.graphon`, a limit graphon, a function of
    ``(u, v)`` = (source, target) positions on arrays, or a matrix (targets, sources): cells of
    equal size, or in the first layer one column for each input coordinate. ``mask`` must have
    values in [0, 1]; so must ``variance`` where ``mask`` is None. ``gain`` and ``bias`` (factor on
    the variance, variance of the biases) override those of the kernel.
    """

    variance: Any
    mask: Any = None
    gain: float | None = None
    bias: float | None = None


@dataclass(frozen=True)
class Surface:
    """A function of two positions, with what is known of its shape on either side.

    ``sources`` and ``targets`` are numbers of equal cells on which it is constant, or None where
    it is smooth.
    """

    values: Values
    sources: int | None
    targets: int | None


def profile_cells(profile: Profile) -> int | None:
    """Number of equal cells on which a profile is constant, or None if it is smooth."""
    if profile.constant is not None:
        return 1
    if not isinstance(profile, EmpiricalProfile):
        return None
    shares = [Fraction(float(s)).limit_denominator(10**7) for s in profile.nodes()[1]]
    return math.lcm(*(share.denominator for share in shares))


def surface(value: Any, name: str, which: Any = "mask") -> Surface:
    """What a layer may be described by, as a :class:`Surface`; ``which`` is for limit graphons.

    Raises TypeError for something that describes no graphon, ValueError for a bad matrix.
    """
    if isinstance(value, Surface):
        return value
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        number = float(value)
        return Surface(lambda uu, vv: np.full(np.broadcast(uu, vv).shape, number), 1, 1)
    if isinstance(value, ConstantGraphon):
        return Surface(value.values, 1, 1)
    if isinstance(value, BlockGraphon):
        return Surface(value.values, value.blocks.shape[1], value.blocks.shape[0])
    if isinstance(value, ProductGraphon):
        return Surface(value.values, profile_cells(value.source), profile_cells(value.target))
    if isinstance(value, LimitGraphon):
        limit = value

        def values(uu: FloatArray, vv: FloatArray) -> Any:
            return limit.values(uu, vv, which)

        return Surface(values, profile_cells(limit.model.row), profile_cells(limit.model.column))
    if isinstance(value, Graphon):
        return Surface(value.values, None, None)
    if isinstance(value, np.ndarray | torch.Tensor | Sequence) and not isinstance(value, str):
        array = as_matrix(value, name)
        rows, columns = array.shape

        def cells(uu: FloatArray, vv: FloatArray) -> Any:
            i = np.clip((np.asarray(vv) * rows).astype(np.int64), 0, rows - 1)
            j = np.clip((np.asarray(uu) * columns).astype(np.int64), 0, columns - 1)
            return array[i, j]

        return Surface(cells, columns, rows)
    if callable(value):
        return Surface(value, None, None)
    raise TypeError(
        f"{name} must be a number, a graphon, a function of (u, v) or a matrix; "
        f"got {type(value).__name__}"
    )


def _tanh_sinh(level: int) -> tuple[FloatArray, FloatArray]:
    """Nodes in (0, 1) and weights of level ``level``; exact for constants."""
    count = 8 * 2**level
    t = np.arange(-count, count + 1) * (3.0 / count)
    inner = 0.5 * np.pi * np.sinh(t)
    nodes = 1.0 / (1.0 + np.exp(-2.0 * inner))
    weights = np.cosh(t) / np.cosh(inner) ** 2
    return nodes, weights / weights.sum()


def positions(cells: Sequence[int | None], level: int) -> tuple[FloatArray, FloatArray]:
    """Nodes for functions with these numbers of cells (None: smooth), and their weights."""
    edges = {Fraction(0), Fraction(1)}
    for count in cells:
        edges.update(Fraction(k, count) for k in range(1, count or 0) if count)
    ends = np.array([float(edge) for edge in sorted(edges)])
    widths = np.diff(ends)
    if None not in cells:
        return ends[:-1] + 0.5 * widths, widths / widths.sum()
    nodes, weights = _tanh_sinh(level)
    inside = (ends[:-1, None] + widths[:, None] * nodes).ravel()
    return inside, (widths[:, None] * weights).ravel() / widths.sum()


class Network:
    """A list of layers that becomes a stack once the number of coordinates is known.

    ``layers`` runs from the input to the output, ``gains`` and ``biases`` hold one number for each.
    Raises ValueError for values outside what :class:`KernelLayer` allows, when a stack is built.
    """

    def __init__(
        self, layers: Sequence[Any], gains: Sequence[float], biases: Sequence[float]
    ) -> None:
        self.layers = [as_layer(layer) for layer in layers]
        self.gains, self.biases = gains, biases
        self.variances: list[Surface] = []
        self.masks: list[Surface | None] = []
        for index, layer in enumerate(self.layers):
            name = f"layers[{index}]"
            both = layer.mask is not None
            which = "variance" if both else "mask"
            self.variances.append(surface(layer.variance, f"{name} variance", which))
            self.masks.append(surface(layer.mask, f"{name} mask") if both else None)

    @property
    def smooth(self) -> bool:
        """Whether any hidden layer needs quadrature, so that levels differ."""
        return any(None in self._around(index) for index in range(len(self.layers) - 1)) or (
            None in self._sides(len(self.layers) - 1, "targets")
        )

    @property
    def alike(self) -> bool:
        """Whether the first layer treats all input coordinates alike."""
        return all(count == 1 for count in self._sides(0, "sources"))

    def _sides(self, index: int, side: str) -> list[int | None]:
        found = (self.variances[index], self.masks[index])
        return [getattr(each, side) for each in found if each is not None]

    def _around(self, index: int) -> list[int | None]:
        return self._sides(index, "targets") + self._sides(index + 1, "sources")

    def stack(self, coordinates: int, level: int) -> Stack:
        """The stack for inputs of that many coordinates at a level of refinement, collapsed."""
        built = []
        sources: tuple[FloatArray, FloatArray] | None = None
        last = len(self.layers) - 1
        for index in range(len(self.layers)):
            cells = self._sides(last, "targets") if index == last else self._around(index)
            targets = positions(cells, level)
            average = targets[1] if index == last else None
            V = self._matrix(index, self.variances[index], sources, targets[0], coordinates)
            own = self.masks[index]
            T = V if own is None else self._matrix(index, own, sources, targets[0], coordinates)
            self._check(index, V, T)
            V, T = np.maximum(V, 0.0), np.maximum(T, 0.0)  # rounding only
            if average is not None:
                V, T = average[None] @ V, average[None] @ T
            layer = self.layers[index]
            gain = self.gains[index] if layer.gain is None else layer.gain
            bias = self.biases[index] if layer.bias is None else layer.bias
            weights = None if sources is None else sources[1]
            built.append(StackLayer(V, T, weights, gain, bias))
            sources = targets
        return Stack(built).collapsed()

    def _matrix(
        self,
        index: int,
        function: Surface,
        sources: tuple[FloatArray, FloatArray] | None,
        targets: FloatArray,
        coordinates: int,
    ) -> FloatArray:
        if sources is not None:
            uu = sources[0]
        elif function.sources == 1:
            uu = np.full(coordinates, 0.5)
        else:
            uu = (np.arange(coordinates) + 0.5) / coordinates
        values = np.asarray(function.values(uu[None, :], targets[:, None]), dtype=np.float64)
        shape = (targets.size, uu.size)
        try:
            values = np.broadcast_to(values, shape)
        except ValueError as error:
            raise ValueError(
                f"layers[{index}] must broadcast its positions to {shape}, got {values.shape}"
            ) from error
        if not np.isfinite(values).all():
            raise ValueError(f"layers[{index}] must be finite, but holds NaN or infinity")
        return values

    def _check(self, index: int, V: FloatArray, T: FloatArray) -> None:
        if T.min() < -_ROOM or T.max() > 1.0 + _ROOM:
            raise ValueError(
                f"layers[{index}] must have values in [0, 1] where it is a mask, got "
                f"[{T.min():.6g}, {T.max():.6g}]"
            )
        if V.min() < -_ROOM:
            raise ValueError(
                f"layers[{index}] must have variances of at least 0, got {V.min():.6g}"
            )


def as_layer(value: Any) -> KernelLayer:
    """A :class:`KernelLayer` from one, from a pair (variance, mask), or from a single graphon."""
    if isinstance(value, KernelLayer):
        return value
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(f"layers must hold pairs (variance, mask), got {len(value)} entries")
        return KernelLayer(*value)
    return KernelLayer(value)
