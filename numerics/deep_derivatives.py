"""Gradients and Hessian products of a deep network's loss in its weights, without a graph.

With ``z_l``, ``h_l`` and ``s_l`` as in :mod:`numerics.mlp`, ℒ the mean loss over samples,
``e = ∂ℒ/∂f`` and ``p_l = s_l δ_l W_l`` what a layer passes down, the gradient is

    δ_{L+1} = e,   δ_{l-1} = p_l ∘ σ'(z_{l-1}),   g_l = s_l δ_lᵀ h_{l-1}.

The Hessian of ℒ in the weights, applied to a direction D, comes from differentiating the two
passes along D, a prime for the derivative:

    z'_l = s_l (h_{l-1} D_lᵀ + h'_{l-1} W_lᵀ),   h'_l = σ'(z_l) ∘ z'_l,   h'_0 = 0,
    δ'_{L+1} = B f',   p'_l = s_l (δ_l D_l + δ'_l W_l),
    δ'_{l-1} = p'_l ∘ σ'(z_{l-1}) + p_l ∘ σ''(z_{l-1}) ∘ z'_{l-1},
    (H D)_l = s_l (δ'_lᵀ h_{l-1} + δ_lᵀ h'_{l-1}),

with B the Hessian of ℒ in the outputs. Its Gauss–Newton part ``JᵀBJ D`` keeps the terms of
``δ'`` that come from B alone: ``δ'_{l-1} = s_l (δ'_l W_l) ∘ σ'``, ``(H D)_l = s_l δ'_lᵀ h_{l-1}``.

The network's biases are part of it but not of the weights: derivatives are in the weights alone.
Weights under a mask have none. Source of the second pass: Pearlmutter 1994.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from numerics.gradients import Batches, batches
from numerics.initialisation import stored_scales
from numerics.losses import Loss
from numerics.losses import loss as find_loss
from numerics.mlp import MLP, States

__all__ = [
    "hessian_gradient",
    "hessian_product",
    "in_batches",
    "mean_gradients",
    "no_arrays",
    "shrunk",
]

_STATE_ENTRIES = 2**25
"""Entries of the hidden states that are held at once, unless a batch size is given."""


class _Pass(NamedTuple):
    """One batch, forward and backward: labels, states, ``δ_l`` and ``p_{l+1}`` of layer l.

    ``passed[l-1]`` belongs to ``z_l``; it has no entry for the output.
    """

    labels: Tensor
    states: States
    deltas: list[Tensor]
    passed: list[Tensor]


def _forward_backward(
    net: MLP, data: Batches, loss: Loss, effective: list[Tensor]
) -> Iterator[_Pass]:
    """Checked batches, each with its passes; δ's are those of the summed loss."""
    seen = False
    for x, y in data:
        seen = True
        states = net.states(x)
        f = states.z[-1]
        labels = loss.check(y, len(f), net.outputs, f)
        if labels.is_floating_point() and not bool(torch.isfinite(labels).all()):
            raise ValueError("y must be finite; it has NaN or infinity")
        deltas = [loss.residual(f, labels)]
        passed: list[Tensor] = []
        for layer in range(net.layers, 1, -1):
            p = (deltas[0] * net.scales[layer - 1]) @ effective[layer - 1]
            z, h = states.z[layer - 2], states.h[layer - 1]
            passed.insert(0, p)
            deltas.insert(0, net.activation.slope(z, h).mul_(p))
        yield _Pass(labels, states, deltas, passed)
    if not seen:
        raise ValueError("x must hold at least one sample")


class _Sum:
    """One tensor per layer, added up over batches; the first batch's product is its own home."""

    def __init__(self, net: MLP) -> None:
        self.net = net
        self.layers: list[Tensor | None] = [None] * net.layers

    def add(self, layer: int, delta: Tensor, h: Tensor, scale: float) -> None:
        """``+= scale · deltaᵀ h``."""
        held = self.layers[layer - 1]
        if held is None:
            self.layers[layer - 1] = (delta * scale).T @ h
        else:
            held.addmm_(delta.T, h, alpha=scale)

    def masked(self) -> list[Tensor]:
        """The sums, zero where the network's masks are."""
        result = []
        for total, mask in zip(self.layers, self.net.masks, strict=True):
            assert total is not None
            result.append(total if mask is None else total.mul_(mask))
        return result


def no_arrays(x: Any, y: Any) -> None:
    """TypeError for data that are arrays of NumPy."""
    for name, given in (("x", x), ("y", y)):
        if isinstance(given, np.ndarray):
            raise TypeError(
                f"{name} must be a tensor, got an array of NumPy; torch.from_numpy makes it one"
            )


def shrunk(direction: list[Tensor]) -> float:
    """Divide tensors, in place, by a power of two about their largest entry; that power.

    It is 1 where all entries are zero, or some are not finite.
    """
    largest = max(float(each.abs().max()) for each in direction)
    if not 0.0 < largest < math.inf:
        return 1.0
    power = math.frexp(largest)[1]
    half = power // 2  # in two steps: the reciprocal of a subnormal number is out of range
    for each in direction:
        each.mul_(2.0**-half).mul_(2.0 ** (half - power))
    return 2.0**power


def in_batches(
    net: MLP, x: Tensor | Batches, y: Tensor | None = None, batch_size: int | None = None
) -> Batches:
    """Data in batches that a network's hidden states fit; ``batch_size`` None chooses the size.

    Errors as in :func:`no_arrays` and :func:`numerics.gradients.batches`.
    """
    no_arrays(x, y)
    size = max(64, _STATE_ENTRIES // sum(net.widths)) if batch_size is None else batch_size
    return batches(x, y, size)


def _prepared(
    net: MLP, x: Tensor | Batches, y: Tensor | None, loss: str | Loss, batch_size: int | None
) -> tuple[Batches, Loss, int, bool]:
    """Batches, the loss, the number of samples and whether there is one batch alone."""
    data = in_batches(net, x, y, batch_size)
    sizes = [len(part) for part, _ in data]
    if sum(sizes) == 0:
        raise ValueError("x must hold at least one sample")
    return data, find_loss(loss), sum(sizes), len(sizes) == 1


def _gradients(
    net: MLP, data: Batches, loss: Loss, samples: int
) -> tuple[list[Tensor], list[Tensor], _Pass]:
    """Mean gradients, effective weights, and the last batch's passes."""
    effective = [net.effective(layer) for layer in range(1, net.layers + 1)]
    total = _Sum(net)
    for last in _forward_backward(net, data, loss, effective):
        for layer, (delta, h) in enumerate(zip(last.deltas, last.states.h, strict=True), start=1):
            total.add(layer, delta, h, net.scales[layer - 1] / samples)
    return total.masked(), effective, last


@torch.no_grad()
def mean_gradients(
    net: MLP,
    x: Tensor | Batches,
    y: Tensor | None = None,
    loss: str | Loss = "cross-entropy",
    *,
    batch_size: int | None = None,
) -> list[Tensor]:
    """``∂ℒ/∂W_l`` of the mean loss, shapes (n_l, n_{l-1}); zero where a mask is.

    ``x`` is (N, d) with labels ``y``, or an iterable of pairs ``(x, y)`` that can be iterated
    twice, and ``y=None``; ``batch_size`` samples are held at a time. Raises ValueError for wrong
    shapes, data that are not finite, an unknown loss and no samples.
    """
    data, chosen, samples, _ = _prepared(net, x, y, loss, batch_size)
    return _gradients(net, data, chosen, samples)[0]


@torch.no_grad()
def hessian_product(
    net: MLP,
    x: Tensor | Batches,
    y: Tensor | None = None,
    loss: str | Loss = "cross-entropy",
    *,
    direction: list[Tensor] | None = None,
    gauss_newton: bool = False,
    parametrisation: str | None = None,
    batch_size: int | None = None,
) -> list[Tensor]:
    """``H D`` per layer: the Hessian of the mean loss in the weights W, applied to a direction.

    ``direction`` is one tensor per layer, zero where a mask is; None is the gradient, under
    ``"standard"`` divided by the squared scales (see the module). ``gauss_newton`` takes
    ``JᵀBJ`` for H, with J the derivative of the outputs and B the loss's Hessian in them.
    Errors as in :func:`mean_gradients`.
    """
    data, chosen, samples, _ = _prepared(net, x, y, loss, batch_size)
    if direction is None:
        found, unit = hessian_gradient(
            net, data, None, chosen, gauss_newton=gauss_newton, parametrisation=parametrisation
        )
        return [each.mul_(unit) for each in found]
    stored_scales(net, parametrisation)
    shapes = [tuple(W.shape) for W in net.weights]
    if [tuple(D.shape) for D in direction] != shapes:
        raise ValueError(f"direction must hold tensors of shapes {shapes}")
    effective = [net.effective(layer) for layer in range(1, net.layers + 1)]
    total = _Sum(net)
    for each in _forward_backward(net, data, chosen, effective):
        _add_product(net, each, chosen, effective, direction, gauss_newton, samples, total)
    return total.masked()


@torch.no_grad()
def hessian_gradient(
    net: MLP,
    x: Tensor | Batches,
    y: Tensor | None = None,
    loss: str | Loss = "cross-entropy",
    *,
    gauss_newton: bool = False,
    parametrisation: str | None = None,
    batch_size: int | None = None,
) -> tuple[list[Tensor], float]:
    """``H g / u`` per layer, and u: the product with the gradient, of which u is about the size.

    u is a power of two, so that products are the same digits. In a deep network they are of the
    order of the gradient's square, which single precision cannot always hold. Arguments and errors
    as in :func:`hessian_product`.
    """
    data, chosen, samples, single = _prepared(net, x, y, loss, batch_size)
    stored = stored_scales(net, parametrisation)
    direction, effective, last = _gradients(net, data, chosen, samples)
    for D, s in zip(direction, stored, strict=True):
        if s != 1.0:
            D.mul_(s**-2 if s else 0.0)
    unit = shrunk(direction)
    total = _Sum(net)
    for each in [last] if single else _forward_backward(net, data, chosen, effective):
        _add_product(net, each, chosen, effective, direction, gauss_newton, samples, total)
    return total.masked(), unit


def _add_product(
    net: MLP, one: _Pass, loss: Loss, effective: list[Tensor], direction: list[Tensor],
    gauss_newton: bool, samples: int, total: _Sum,
) -> None:  # fmt: skip
    """Add one batch's share of ``H D``."""
    z, h = one.states
    sigma, scales = net.activation, net.scales
    z_dot: list[Tensor] = []
    h_dot: list[Tensor | None] = [None]
    slopes: list[Tensor] = []
    for layer in range(1, net.layers + 1):
        D, W, s = direction[layer - 1], effective[layer - 1], scales[layer - 1]
        dot = (h[layer - 1] * s) @ D.T
        before = h_dot[-1]
        if before is not None:
            dot.addmm_(before, W.T, alpha=s)
        z_dot.append(dot)
        if layer < net.layers:
            slopes.append(sigma.slope(z[layer - 1], h[layer]))
            h_dot.append(slopes[-1] * dot)
    delta_dot = loss.curvature(z[-1], z_dot[-1])
    for layer in range(net.layers, 0, -1):
        D, W, s = direction[layer - 1], effective[layer - 1], scales[layer - 1]
        total.add(layer, delta_dot, h[layer - 1], s / samples)
        before = h_dot[layer - 1]
        if before is not None and not gauss_newton:
            total.add(layer, one.deltas[layer - 1], before, s / samples)
        if layer == 1:
            break
        p_dot = (delta_dot * s) @ W
        if not gauss_newton:
            p_dot.addmm_(one.deltas[layer - 1], D, alpha=s)
        delta_dot = p_dot.mul_(slopes[layer - 2])
        if not gauss_newton:
            bend = sigma.bend(z[layer - 2], h[layer - 1])
            delta_dot.addcmul_(bend.mul_(one.passed[layer - 2]), z_dot[layer - 2])
