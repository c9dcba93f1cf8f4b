"""Path sums of a network: what all paths from the inputs, and to the outputs, add up to.

With absolute weights, ``h_j`` sums the weights of the paths from the inputs to neuron j, each the
product over its edges, and ``g_i`` those of the paths from neuron i to the outputs. The flow
through an edge, ``g_i |w_ij| h_j``, is SynFlow's score. Every path crosses every layer once, so
the flows of each layer add up to the same total. Here each layer is divided by that total, which
keeps numbers in range whatever the depth, and leaves the ranking over all layers as it is. Where
single precision would still lose some, because weights or paths differ by many orders of
magnitude, double precision takes over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["PathSums", "least_entries", "magnitudes", "path_sums", "source_vector", "sums"]


@dataclass(frozen=True)
class PathSums:
    """Path sums of a network of L + 1 weight matrices, each vector divided by its own mean.

    incoming: h_0 .. h_L at the sources of each matrix; outgoing: g_1 .. g_{L+1} at its targets,
    divided so that ``g_i |w_ij| h_j`` sums to one over each layer. log_flow: logarithm of the sum
    over all paths; minus infinity, with all sums zero, where no path is left. In the dtype of the
    weights, or in float64 where that has not the range; then units on no path have zero sums.
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


def least_entries(layers: Sequence[Tensor]) -> list[float]:
    """The smallest positive entry of each matrix; infinity where there is none."""
    return [_least(layer) for layer in layers]


def _least(entries: Tensor) -> float:
    least = float(entries.min())
    return least or float(entries.masked_fill(entries == 0.0, torch.inf).min())


def _plain(layers: Sequence[Tensor], source: Tensor, floors: Sequence[float]) -> PathSums | None:
    """In the matrices' own dtype; None if a sum, or a product in one, may leave its range."""
    tiny, largest = torch.finfo(layers[0].dtype).tiny, torch.finfo(layers[0].dtype).max
    mean = float(source.mean())
    forward = source / mean
    log_flow = math.log(mean) if 0.0 < mean < math.inf else math.nan
    incoming: list[Tensor] = []
    lowest: list[float] = []
    for layer, floor in zip(layers, floors, strict=True):
        incoming.append(forward)
        lowest.append(_least(forward))
        total = layer @ forward
        mean = float(total.mean())
        if not 0.0 < mean < math.inf or not lowest[-1] * floor >= tiny:
            return None
        log_flow += math.log(mean)
        forward = total / mean
    log_flow += math.log(forward.numel())
    backward = torch.ones_like(forward)
    outgoing: list[Tensor] = []
    for index in reversed(range(len(layers))):
        below = layers[index].T @ backward
        share = torch.dot(below, incoming[index])  # the sum of this layer's scores, undivided
        whole = float(share)
        if not 0.0 < whole < math.inf:
            return None
        least = _least(backward) * min(1.0, 1.0 / whole, lowest[index] / whole)
        if not least * floors[index] >= tiny or not float(backward.max()) / whole < largest:
            return None
        outgoing.append(backward / share)
        backward = below / share
    if not math.isfinite(log_flow):
        return None
    return PathSums(tuple(incoming), tuple(reversed(outgoing)), log_flow)


def _on_paths(layers: Sequence[Tensor], source: Tensor) -> list[Tensor]:
    """Which units of each layer some path from the source to an output crosses."""
    edges = [(layer > 0).to(layer.dtype) for layer in layers]
    reached = [source > 0]
    for edge in edges:
        reached.append(edge @ reached[-1].to(edge.dtype) > 0)
    leading = [torch.ones_like(reached[-1])]
    for edge in reversed(edges):
        leading.insert(0, edge.T @ leading[0].to(edge.dtype) > 0)
    return [a & b for a, b in zip(reached, leading, strict=True)]


def _careful(layers: Sequence[Tensor], source: Tensor) -> PathSums:
    """In float64, and of the units on paths alone: others could be far larger than all of them."""
    live = _on_paths(layers, source)
    if not bool(live[0].any()):
        return PathSums(
            tuple(each.new_zeros(each.shape[1]) for each in layers),
            tuple(each.new_zeros(each.shape[0]) for each in layers),
            -math.inf,
        )
    message = "weights must have sums over paths within the range of torch.float64"
    incoming: list[Tensor] = []
    log_flow = 0.0
    total = torch.where(live[0], source.double(), 0.0)
    for layer, here in zip(layers, live[1:], strict=True):
        mean = float(total.mean())
        if not 0.0 < mean < math.inf:  # though there is a path
            raise ValueError(message)
        log_flow += math.log(mean)
        incoming.append(total / mean)
        total = torch.where(here, layer.double() @ incoming[-1], 0.0)
    last = float(total.sum())
    if not 0.0 < last < math.inf:
        raise ValueError(message)
    log_flow += math.log(last)
    backward = live[-1].double()
    outgoing: list[Tensor] = []
    for layer, h, here in zip(
        reversed(layers), reversed(incoming), reversed(live[:-1]), strict=True
    ):
        below = torch.where(here, layer.double().T @ backward, 0.0)
        share = torch.dot(below, h)
        g = backward / share
        if not 0.0 < float(share) < math.inf or not bool(g.isfinite().all()):
            raise ValueError(message)
        outgoing.append(g)
        backward = below / share
    return PathSums(tuple(incoming), tuple(reversed(outgoing)), log_flow)


def sums(layers: Sequence[Tensor], source: Tensor, floors: list[float] | None = None) -> PathSums:
    """Path sums of non-negative matrices and a non-negative source; see `PathSums`.

    Computes in the dtype of the matrices as long as no product can underflow there, and else in
    float64, with zero sums for units that are on no path. ``floors`` are lower bounds on the
    positive entries of each matrix, as `least_entries` gives them; where they are not good enough
    they are brought up to date. Raises ValueError where there are paths and float64 cannot hold
    their sums.
    """
    found = None if floors is None else _plain(layers, source, floors)
    if found is None:
        found_floors = least_entries(layers)
        if floors is not None:
            floors[:] = found_floors
        found = _plain(layers, source, found_floors)
    return _careful(layers, source) if found is None else found


def path_sums(
    weights: Sequence[Tensor],
    masks: Sequence[Tensor] | None = None,
    source: Tensor | None = None,
) -> PathSums:
    """Path sums of a network with matrices (n_l, n_{l-1}), after its masks if there are any.

    ``source`` is what each input carries, all ones by default. Computes in float64 if the weights
    do, or where float32 has not the range, else in float32. Raises ValueError or TypeError for what
    `synflow` refuses.
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
