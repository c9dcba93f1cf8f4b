"""Tangent kernel of a finite network: ``Θ(x, x') = Σ_θ ∂f(x)/∂θ ∂f(x')/∂θ``, in closed form.

The derivative of an output by the effective weight from source j to target i of layer l is
``scale_l δ_i h_j``, a product. If all entries train, the layer's share is therefore a Hadamard
product of two Gram matrices; if only survivors train it is a sum over them, which
:mod:`numerics.masked_gram` computes. No automatic differentiation is involved.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from numerics.masked_gram import METHODS, gram, masked_gram
from numerics.mlp import MLP

__all__ = ["OUTPUTS", "TRAINABLE", "empirical_covariance", "empirical_ntk"]

TRAINABLE = ("survivors", "all")
OUTPUTS = ("trace-mean", "full")


class _Sides(NamedTuple):
    """One or two sets of inputs: ``h[l]`` holds tensors (N, n_l), ``d[l-1]`` (outputs, N, n_l)."""

    h: list[list[Tensor]]
    d: list[list[Tensor]]


def _sides(net: MLP, x1: Tensor, x2: Tensor | None) -> _Sides:
    result = _Sides([[] for _ in range(net.layers)], [[] for _ in range(net.layers - 1)])
    eye = torch.eye(net.outputs, dtype=net.dtype, device=net.device)
    for name, x in (("x1", x1), ("x2", x2)):
        if x is None:
            continue
        states = net.states(net.check_inputs(x, name))
        deltas = net.backward(states, eye[:, None, :].expand(-1, len(x), -1))[:-1]
        for held, h in zip(result.h, states.h, strict=True):
            held.append(h)
        for held, d in zip(result.d, deltas, strict=True):
            held.append(d)
    return result


def _second(pair: list[Tensor]) -> Tensor | None:
    return pair[1] if len(pair) > 1 else None


def _deltas(d: list[Tensor], full: bool) -> Tensor:
    """Gram of the δ's summed over targets: (N1, N2), the mean over outputs, or (N1, N2, O, O)."""
    outputs, n1, n2 = d[0].shape[0], d[0].shape[1], d[-1].shape[1]
    if not full:
        second = _second(d)
        parts = (gram(d[0][o], None if second is None else second[o]) for o in range(outputs))
        return sum(parts, torch.zeros((), dtype=torch.float64, device=d[0].device)) / outputs
    flat = [part.flatten(0, 1) for part in d]
    return gram(flat[0], _second(flat)).view(outputs, n1, outputs, n2).permute(1, 3, 0, 2)


def _output_layer(h: list[Tensor], mask: Tensor | None, outputs: int, full: bool) -> Tensor:
    """Weights of the output layer: output o has those of row o alone, its δ's are an identity."""
    if not full:
        if mask is None:
            return gram(h[0], _second(h))
        share = mask.sum(dim=0).to(h[0].dtype).div_(outputs).sqrt_()
        weighted = [part * share for part in h]
        return gram(weighted[0], _second(weighted))
    shape = (len(h[0]), len(h[-1]), outputs, outputs)
    result = torch.zeros(shape, dtype=torch.float64, device=h[0].device)
    for o in range(outputs):
        kept = h if mask is None else [part[:, mask[o]] for part in h]
        result[:, :, o, o] = gram(kept[0], _second(kept))
    return result


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, got {value!r}")


def _finite(result: Tensor) -> Tensor:
    if not bool(torch.isfinite(result).all()):
        raise ValueError(
            "x1 and the network's weights must give finite derivatives; "
            "they overflow or are not a number"
        )
    return result


@torch.no_grad()
def empirical_ntk(
    net: MLP,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    trainable: str = "survivors",
    per_layer: bool = False,
    outputs: str = "trace-mean",
    memory: float | None = None,
    method: str = "auto",
) -> Tensor:
    """The tangent kernel of a network between inputs ``x1`` (N1, d) and ``x2`` (N2, d).

    Parameters
    ----------
    x2: None is ``x1``, at about half the cost; the result is then exactly symmetric.
    trainable: ``"survivors"``: weights that a mask keeps; ``"all"``: every entry of ``M ∘ W``, so
        that the sum runs over pruned entries too (signals still pass survivors only). Without
        masks the two are the same; with a variance profile too, for there W itself trains.
        Biases train in either case.
    per_layer: the shares of the L + 1 layers (weights and bias) in a leading dimension; their sum
        is the kernel.
    outputs: ``"trace-mean"``, the mean over outputs of ``Θ_oo``, shape (N1, N2); ``"full"``, all
        pairs of outputs, shape (N1, N2, outputs, outputs).
    memory: MiB that the working buffers of one chunk may take (beyond the network's states and
        the result); less means smaller chunks. None is a size that suits the processor's cache.
    method: how masked layers are summed, ``"auto"``, ``"edges"`` or ``"pairs"``; see
        :mod:`numerics.masked_gram`.

    Returns a float64 tensor on the network's device, summed in float64 from chunks in the
    network's dtype. Kernel of [A] Theorem 1 at finite width. Raises ValueError for inputs of
    another shape or not finite, unknown options, ``memory`` that is not positive, and derivatives
    that overflow.
    """
    _check("trainable", trainable, TRAINABLE)
    _check("outputs", outputs, OUTPUTS)
    _check("method", method, METHODS)
    if memory is not None and not (math.isfinite(memory) and memory > 0.0):
        raise ValueError(f"memory must be a positive number of MiB, got {memory!r}")
    full = outputs == "full"
    sides = _sides(net, x1, x2)
    shares: list[Tensor] = []
    for layer in range(1, net.layers + 1):
        mask = net.masks[layer - 1] if trainable == "survivors" else None
        if mask is not None and bool(mask.all()):
            mask = None
        h, beta, gain = sides.h[layer - 1], net.bias_scales[layer - 1], net.scales[layer - 1] ** 2
        if layer == net.layers:
            share = _output_layer(h, mask, net.outputs, full) * gain
            if full:
                share += beta**2 * torch.eye(net.outputs, dtype=share.dtype, device=share.device)
            else:
                share += beta**2
        else:
            d = sides.d[layer - 1]
            deltas = _deltas(d, full) if mask is None or beta > 0.0 else None
            if mask is None:
                assert deltas is not None
                sources = gram(h[0], _second(h)) * gain
                share = deltas * (sources[:, :, None, None] if full else sources)
            else:
                columns = [part.T.contiguous() for part in h]
                rows = [part.permute(2, 0, 1).contiguous() for part in d]
                share = masked_gram(columns, rows, mask, full=full, mib=memory, method=method)
                share = share * gain
            if deltas is not None and beta > 0.0:
                share = share + deltas * beta**2
        if per_layer or not shares:
            shares.append(share)
        else:
            shares[0] += share
    return _finite(torch.stack(shares) if per_layer else shares[0])


@torch.no_grad()
def empirical_covariance(
    net: MLP, x1: Tensor, x2: Tensor | None = None, *, per_layer: bool = False
) -> Tensor:
    """Covariance of pre-activations over the neurons of a layer, ``z_l(x)ᵀ z_l(x') / n_l``.

    At infinite width and without masks this is the NNGP kernel. For layer L + 1 (the outputs)
    the shape is (N1, N2); with ``per_layer`` (L + 1, N1, N2). Float64; raises like
    :func:`empirical_ntk`.
    """
    first = net.states(net.check_inputs(x1, "x1")).z
    second = first if x2 is None else net.states(net.check_inputs(x2, "x2")).z
    pairs = list(zip(first, second, strict=True))
    result = [(a.double() @ b.double().T) / a.shape[1] for a, b in pairs[0 if per_layer else -1 :]]
    return _finite(torch.stack(result) if per_layer else result[0])
