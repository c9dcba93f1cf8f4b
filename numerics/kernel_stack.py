"""Discrete layers: matrices between nodes, which is all that the kernel recursion looks at.

A node stands for a share of a layer's neurons that behave alike: a cell of a step graphon, a
quadrature node of a smooth one, or a sampled latent. Between the nodes of neighbouring layers
``V`` holds the second moment of a weight and ``T`` the share of weights that train.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from numerics.matrix_input import FloatArray, as_matrix, as_weights

__all__ = ["Stack", "StackLayer", "as_factor"]


@dataclass(frozen=True)
class StackLayer:
    """One layer of weights between source nodes and target nodes.

    Attributes:
        V: second moments of the weights, shape (targets, sources), non-negative.
        T: shares of the weights that train, the same shape; None means ``V``.
        weights: measure of the source nodes, shape (sources,), summing to 1; None for equal.
        gain: factor on the variance of the weights, non-negative (2 is He's for ReLU).
        bias: variance of the biases; non-negative.
        bias_trains: whether the biases train.

    Raises:
        ValueError: shapes that do not fit, entries that are negative or not finite.
    """

    V: FloatArray
    T: FloatArray | None = None
    weights: FloatArray | None = None
    gain: float = 1.0
    bias: float = 0.0
    bias_trains: bool = True
    shared: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        variance = _non_negative(self.V, "V")
        trained = variance if self.T is None else _non_negative(self.T, "T")
        if trained.shape != variance.shape:
            raise ValueError(f"T must have the shape of V, {variance.shape}, got {trained.shape}")
        count = variance.shape[1]
        weights = (
            np.full(count, 1.0 / count)
            if self.weights is None
            else as_weights(self.weights, count, "weights")
        )
        for name in ("gain", "bias"):
            object.__setattr__(self, name, as_factor(getattr(self, name), name))
        object.__setattr__(self, "V", variance)
        object.__setattr__(self, "T", trained)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "shared", bool(np.array_equal(variance, trained)))

    @property
    def forward(self) -> FloatArray:
        """``gain * V * weights``: what averages kernels over the sources."""
        assert self.weights is not None
        return self.gain * self.V * self.weights

    @property
    def tangent(self) -> FloatArray:
        """``gain * T * weights``."""
        assert self.T is not None
        assert self.weights is not None
        return self.gain * self.T * self.weights


def _non_negative(value: Any, name: str) -> FloatArray:
    array = as_matrix(value, name)
    if (array < 0).any():
        raise ValueError(f"{name} must be non-negative, but holds {array.min()}")
    return array


def as_factor(value: Any, name: str) -> float:
    """A finite non-negative number, or ValueError naming the argument."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a number, got {value!r}") from error
    if not (math.isfinite(number) and number >= 0.0):
        raise ValueError(f"{name} must be finite and non-negative, got {value!r}")
    return number


@dataclass(frozen=True)
class Stack:
    """Layers from the input coordinates (sources of the first) to the output (one target).

    The last layer may have several targets; the kernel is then their mean, the kernel of a
    random output. Raises ValueError for an empty stack or neighbours that do not share nodes.
    """

    layers: tuple[StackLayer, ...]

    def __init__(self, layers: Sequence[StackLayer]) -> None:
        layers = tuple(layers)
        if not layers:
            raise ValueError("layers must hold at least one layer of weights")
        for index, (below, above) in enumerate(itertools.pairwise(layers)):
            if above.V.shape[1] != below.V.shape[0]:
                raise ValueError(
                    f"layers[{index + 1}] must have {below.V.shape[0]} sources, the targets of "
                    f"layers[{index}]; got {above.V.shape[1]}"
                )
        object.__setattr__(self, "layers", layers)

    @property
    def depth(self) -> int:
        """Number of hidden layers."""
        return len(self.layers) - 1

    @property
    def nodes(self) -> list[int]:
        """Nodes of each hidden layer."""
        return [layer.V.shape[0] for layer in self.layers[:-1]]

    @property
    def has_bias(self) -> bool:
        """Whether any layer has biases."""
        return any(layer.bias > 0.0 for layer in self.layers)

    @property
    def coordinates(self) -> int | None:
        """Input coordinates the first layer tells apart; None if it treats all alike."""
        first = self.layers[0]
        assert first.T is not None
        assert first.weights is not None
        alike = (first.V[:, :1] == first.V).all() and (first.T[:, :1] == first.T).all()
        even = (first.weights == first.weights[0]).all()
        return None if alike and even else int(first.V.shape[1])

    def only_trained(self, index: int) -> Stack:
        """The same network with only the weights and biases of one layer training."""
        return Stack(
            [
                layer if k == index else replace(layer, T=np.zeros_like(layer.V), bias_trains=False)
                for k, layer in enumerate(self.layers)
            ]
        )

    def collapsed(self) -> Stack:
        """The same kernel with as few nodes as exact equality allows.

        Nodes that no weight tells apart from below carry the same kernels, so they are merged
        and what they send upwards is averaged; the output's targets are averaged.
        """
        layers: list[StackLayer] = []
        below = self.layers[0]
        if self.coordinates is None:
            below = replace(below, V=below.V[:, :1], T=_first(below.T), weights=np.ones(1))
        for above in self.layers[1:]:
            assert below.T is not None
            assert above.T is not None
            assert above.weights is not None
            rows = np.concatenate((below.V, below.T), axis=1)
            _, first, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
            group = group.reshape(-1)
            merged = np.zeros((len(first), len(group)))
            merged[group, np.arange(len(group))] = above.weights
            total = merged.sum(axis=1)
            share = np.divide(
                merged, total[:, None], out=np.zeros_like(merged), where=total[:, None] > 0
            )
            if len(first) == len(group):
                layers.append(below)
                below = above
                continue
            assert below.T is not None
            layers.append(replace(below, V=below.V[first], T=below.T[first]))
            total = total / total.sum()
            below = replace(above, V=above.V @ share.T, T=above.T @ share.T, weights=total)
        assert below.T is not None
        mean = replace(
            below, V=below.V.mean(axis=0, keepdims=True), T=below.T.mean(axis=0, keepdims=True)
        )
        return Stack([*layers, mean])


def _first(array: FloatArray | None) -> FloatArray | None:
    return None if array is None else array[:, :1]
