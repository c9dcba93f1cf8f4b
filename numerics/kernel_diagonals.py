"""Variances: what each input carries through the layers, before any pair is looked at."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from numerics.kernel_duals import DualValues
from numerics.kernel_gram import FirstLayer, GivenGram, Inputs
from numerics.kernel_stack import Stack

__all__ = ["Diagonals", "Matrices", "diagonals"]


class Matrices(NamedTuple):
    """P_V and P_T of each layer, (targets, sources), float64 on the device."""

    forward: list[Tensor]
    tangent: list[Tensor]


class Diagonals(NamedTuple):
    """What one set of inputs carries through the layers, float64.

    ``plain`` (before biases), ``deviation`` and ``root`` hold, for each hidden layer, standard
    deviations of the pre-activation and roots of ``E[s^2]``, shape (nodes, inputs); ``bare`` is
    the first layer's before biases, of the scaled inputs; ``nngp`` and ``ntk`` are the kernels at
    equal inputs, shape (inputs,); ``error`` bounds what series leave out of either, absolute.
    """

    bare: Tensor
    plain: list[Tensor]
    deviation: list[Tensor]
    root: list[Tensor]
    nngp: Tensor
    ntk: Tensor
    error: tuple[float, float]


def diagonals(
    stack: Stack,
    duals: list[DualValues],
    first: FirstLayer | GivenGram,
    matrices: Matrices,
    inputs: Inputs,
    scale: Tensor,
) -> Diagonals:
    """Variances and diagonal kernels of a set of scaled inputs.

    ``scale``, shape (inputs,), is what the recursion multiplies the scaled inputs by. Raises
    ValueError, naming the hidden layer and the variance, for a dual that diverges or overflows.
    """
    layers = stack.layers
    bare = first.deviation_of(inputs.values)
    current = bare * scale
    tangent = first.tangent_diagonal(inputs.values, current, scale)
    if layers[0].bias_trains:
        tangent = tangent + layers[0].bias
    plain, deviations, roots = [], [], []
    error_s = error_t = 0.0
    for index, dual in enumerate(duals):
        plain.append(current)
        deviation = _hypot(current, layers[index].bias)
        top = float(deviation.max()) ** 2 if float(deviation.max()) < 1e154 else math.inf
        if not top < dual.limit:
            raise ValueError(
                f"hidden layer {index + 1}: the dual of {dual.name} diverges at variance "
                f"{top:.6g}; it is finite below {dual.limit:.6g}"
            )
        moments = dual.moments(deviation)
        if not all(bool(torch.isfinite(part).all()) for part in moments):
            raise ValueError(
                f"hidden layer {index + 1}: the dual of {dual.name} overflows at variance {top:.6g}"
            )
        deviations.append(deviation)
        roots.append(moments.root)
        above, forward = layers[index + 1], matrices.forward[index + 1]
        square = moments.root**2
        # bounds of what the series leave out, carried along
        kappa, slope, bend = dual.error(deviation)
        steepest = float(moments.dot.max())
        error_k = kappa + steepest * error_s
        error_d = (slope + bend * error_s) * float(tangent.max()) + steepest * error_t
        widest, widest_t = (
            float(m.sum(dim=1).max()) for m in (forward, matrices.tangent[index + 1])
        )
        error_s, error_t = widest * error_k, widest_t * error_k + widest * error_d
        tangent = matrices.tangent[index + 1] @ square + forward @ (moments.dot * tangent)
        if above.bias_trains:
            tangent = tangent + above.bias
        # by way of the largest root: squares of 1e-160 are zero
        largest = moments.root.amax(dim=0).clamp(min=1e-300)
        current = (forward @ (moments.root / largest) ** 2).sqrt() * largest
    nngp = _hypot(current, layers[-1].bias) ** 2
    return Diagonals(bare, plain, deviations, roots, nngp[0], tangent[0], (error_s, error_t))


def _hypot(deviation: Tensor, bias: float) -> Tensor:
    return torch.hypot(deviation, torch.full_like(deviation, math.sqrt(bias)))
