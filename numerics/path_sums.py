"""Path sums of a network: what all paths from the inputs, and to the outputs, add up to.

With absolute weights, ``h_j`` sums the weights of the paths from the inputs to neuron j, each the
product over its edges, and ``g_i`` those of the paths from neuron i to the outputs. The flow
through an edge, ``g_i |w_ij| h_j``, is SynFlow's score. Every path crosses every layer once, so
the flows of each layer add up to the same total. Here each layer is divided by that total, which
keeps every number in range whatever the depth, and leaves the ranking over all layers as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["PathSums", "magnitudes", "path_sums", "source_vector", "sums"]


@dataclass(frozen=True)
class PathSums:
    """Path sums of a network of L + 1 weight matrices, each vector divided by its own mean.

    incoming: h_0 .. h_L at the sources of each matrix; outgoing: g_1 .. g_{L+1} at its targets,
    divided so that ``g_i |w_ij| h_j`` sums to one over each layer. log_flow: logarithm of the sum
    over all paths; minus infinity, with zero outgoing sums, where no path is left.
    """

    incoming: tuple[Tensor, ...]
    outgoing: tuple[Tensor, ...]
    log_flow: float

    @property
    def severed(self) -> bool:
        """Whether no path is left from the inputs to the outputs."""
        return self.log_flow == -math.inf


def magnitudes(weights: Sequence[Tensor]) -> list[Tensor]:
    """Checked copies of the absolute weights, contiguous; float64 if one of them is, else float32.

    Raises ValueError for anything but a list of finite matrices that chain, TypeError for one
    that is no tensor of real numbers.
    """
    if isinstance(weights, Tensor) or not isinstance(weights, Sequence) or not weights:
        raise ValueError("weights must be a list of matrices (n_l, n_{l-1}), inputs to outputs")
    result: list[Tensor] = []
    for index, weight in enumerate(weights):
        name = f"weights[{index}]"
        if not isinstance(weight, Tensor) or not weight.is_floating_point():
            raise TypeError(f"{name} must be a real torch.Tensor")
        if weight.ndim != 2 or weight.numel() == 0:
            raise ValueError(f"{name} must be a matrix with entries, got {tuple(weight.shape)}")
        if result and weight.shape[1] != result[-1].shape[0]:
            raise ValueError(
                f"{name} must have {result[-1].shape[0]} columns, one for each row of the matrix "
                f"before it, got {weight.shape[1]}"
            )
        if not bool(weight.detach().isfinite().all()):
            raise ValueError(f"{name} must be finite")
        result.append(weight.detach())
    double = any(weight.dtype == torch.float64 for weight in result)
    dtype = torch.float64 if double else torch.float32
    return [weight.to(dtype).abs().contiguous() for weight in result]


def source_vector(source: Tensor | None, first: Tensor) -> Tensor:
    """What the inputs carry, checked: non-negative, in the dtype of the first matrix.

    Raises ValueError for a vector of another length, or one that is negative, not finite or zero.
    """
    if source is None:
        return first.new_ones(first.shape[1])
    if not isinstance(source, Tensor) or source.shape != first.shape[1:]:
        raise ValueError(f"source must be a vector of {first.shape[1]} numbers or None")
    vector = source.detach().to(first)
    if not bool(vector.isfinite().all()) or not bool((vector >= 0).all()) or not bool(vector.any()):
        raise ValueError("source must hold finite numbers >= 0, not all of them zero")
    return vector


def sums(layers: Sequence[Tensor], source: Tensor) -> PathSums:
    """Path sums of non-negative matrices and a non-negative source; see `PathSums`."""
    mean = float(source.mean())
    log_flow = math.log(mean)
    forward = source / mean
    incoming: list[Tensor] = []
    for layer in layers:
        incoming.append(forward)
        total = layer @ forward
        mean = float(total.mean())
        if not math.isfinite(mean):
            raise ValueError(f"weights must have sums within the range of {layer.dtype}")
        if not mean > 0.0:
            return PathSums(
                tuple(each.new_zeros(each.shape[1]) for each in layers),
                tuple(each.new_zeros(each.shape[0]) for each in layers),
                -math.inf,
            )
        log_flow += math.log(mean)
        forward = total / mean
    log_flow += math.log(forward.numel())
    backward = torch.ones_like(forward)
    outgoing: list[Tensor] = []
    for layer, h in zip(reversed(layers), reversed(incoming), strict=True):
        below = layer.T @ backward
        share = torch.dot(below, h)  # the sum of this layer's scores, before it is divided by it
        outgoing.append(backward / share)
        backward = below / share
    return PathSums(tuple(incoming), tuple(reversed(outgoing)), log_flow)


def path_sums(
    weights: Sequence[Tensor],
    masks: Sequence[Tensor] | None = None,
    source: Tensor | None = None,
) -> PathSums:
    """Path sums of a network with matrices (n_l, n_{l-1}), after its masks if there are any.

    ``source`` is what each input carries, all ones by default. Computes in float64 if the weights
    do, else in float32. Raises ValueError or TypeError for what `synflow` refuses.
    """
    layers = magnitudes(weights)
    if masks is not None:
        if len(masks) != len(layers):
            raise ValueError(f"masks must hold {len(layers)} tensors, got {len(masks)}")
        for index, (layer, mask) in enumerate(zip(layers, masks, strict=True)):
            if mask.shape != layer.shape or mask.dtype != torch.bool:
                raise ValueError(f"masks[{index}] must be bool of shape {tuple(layer.shape)}")
            layer.mul_(mask)
    return sums(layers, source_vector(source, layers[0]))
