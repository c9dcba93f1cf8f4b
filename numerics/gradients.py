"""Gradients and Hessian–vector products of one-hidden-layer networks, streamed over samples.

Two ways to the same numbers. ``"autograd"`` is automatic differentiation and the reference.
``"closed"`` writes the passes out as matrix products in pieces that stay in the cache, builds no
graph, and for the Hessian differentiates the backward pass in one direction by hand. It takes
about two thirds of the time for a gradient and half for a Hessian–vector product. A test holds
it to the reference.

With ``z = s_in x Wᵀ``, ``h = σ(z)``, ``f = s_out h aᵀ`` and ``e = ∂ℒ/∂f``:

    δ = s_out (e a) ∘ σ'(z),   ∂ℒ/∂W = s_in δᵀ x,   ∂ℒ/∂a = s_out eᵀ h,

and in the direction (W', a'):  ``z' = s_in x W'ᵀ``, ``f' = s_out (h a'ᵀ + (σ'(z) ∘ z') aᵀ)``,
``e' = B f'`` (B the Hessian of the loss in f),

    δ' = s_out [(e' a + e a') ∘ σ'(z) + (e a) ∘ σ''(z) ∘ z'],
    (H·)_W = s_in δ'ᵀ x,   (H·)_a = s_out [e'ᵀ h + eᵀ (σ'(z) ∘ z')].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from numerics.losses import Loss
from numerics.network import OneHiddenLayer

__all__ = ["METHODS", "PARAMETERS", "Batches", "Pair", "batches", "gradient", "hessian_gradient"]

METHODS = ("closed", "autograd")
PARAMETERS = ("input", "all")


class Pair(NamedTuple):
    """One tensor for the input weights, (n, d), and one for the output weights, (outputs, n)."""

    W: Tensor
    a: Tensor


class Batches(Protocol):
    """Something that yields the same pairs ``(x, y)`` every time it is iterated."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Pairs of inputs (N, d) and labels."""


class _Slices:
    """A data set in memory, in batches."""

    def __init__(self, x: Tensor, y: Tensor, size: int) -> None:
        self.x, self.y, self.size = x, y, size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(self.x), self.size):
            yield self.x[start : start + self.size], self.y[start : start + self.size]


class _Checked:
    """Somebody's pairs, each looked at as it comes by, and the same number of samples each time."""

    def __init__(self, pairs: Batches) -> None:
        self.pairs = pairs
        self.samples: int | None = None

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        samples = 0
        for pair in self.pairs:
            good = isinstance(pair, tuple | list) and len(pair) == 2
            if not good or not all(isinstance(each, Tensor) for each in pair):
                raise ValueError("x must yield pairs (x, y) of tensors, inputs and labels")
            x, y = pair
            if x.ndim == 0 or y.ndim == 0 or len(x) == 0 or len(x) != len(y):
                raise ValueError(
                    "x must yield pairs of at least one sample each and as many labels, "
                    f"got shapes {tuple(x.shape)} and {tuple(y.shape)}"
                )
            samples += len(x)
            yield x, y
        if self.samples not in (None, samples):
            raise ValueError(
                f"x must yield the same batches every time: it had {self.samples} samples, "
                f"then {samples}"
            )
        self.samples = samples


def batches(x: Tensor | Batches, y: Tensor | None, size: int) -> Batches:
    """Inputs and labels as batches of at most ``size`` samples.

    ``x`` is a tensor (N, d) with labels ``y``, or an iterable of pairs ``(x, y)`` with
    ``y=None``, whose own batches are kept. It is iterated more than once, so a generator will
    not do; what it yields is checked on the way. Raises ValueError or TypeError if it is neither.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"batch_size must be a positive integer, got {size!r}")
    if isinstance(x, _Slices | _Checked) and y is None:
        return x
    if isinstance(x, Tensor):
        if x.ndim == 0 or x.is_complex():
            raise ValueError(f"x must hold rows of real numbers, got {x.dtype} {tuple(x.shape)}")
        if not isinstance(y, Tensor) or y.ndim == 0 or len(y) != len(x):
            raise ValueError(f"y must be a tensor with {len(x)} labels, one for each row of x")
        if len(x) == 0:
            raise ValueError("x must hold at least one sample")
        return _Slices(x, y, size)
    if y is not None:
        raise TypeError("y must be None where x is an iterable of pairs (x, y)")
    if not hasattr(x, "__iter__") or iter(x) is x:
        raise TypeError("x must be a tensor, or an iterable of pairs that can be iterated twice")
    return _Checked(x)


def _passes(network: OneHiddenLayer, data: Batches, loss: Loss) -> Iterator[tuple[Tensor, Tensor]]:
    """Checked batches on the network's device."""
    for x, y in data:
        x = network.check_inputs(x)
        if not torch.isfinite(x).all():
            raise ValueError("x must be finite; it has NaN or infinity")
        checked = loss.check(y, len(x), network.outputs, x)
        if checked.is_floating_point() and not torch.isfinite(checked).all():
            raise ValueError("y must be finite; it has NaN or infinity")
        yield x, checked


Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _accumulate(network: OneHiddenLayer, data: Batches, loss: Loss, step: Step) -> Pair:
    """The sum of ``step`` over batches, in float64, divided by the number of samples."""
    total = Pair(
        torch.zeros_like(network.W, dtype=torch.float64),
        torch.zeros_like(network.a, dtype=torch.float64),
    )
    samples = 0
    for x, y in _passes(network, data, loss):
        W, a = step(x, y)
        total.W.add_(W)
        total.a.add_(a)
        samples += len(x)
    if samples == 0:
        raise ValueError("x must hold at least one sample")
    W, a = (part.div_(samples).to(network.dtype) for part in total)
    return Pair(W if network.mask is None else W * network.mask, a)


_CHUNK_ENTRIES = 2**20
"""Entries of a hidden activation in a closed pass: such arrays stay in the processor's cache."""


def _chunks(network: OneHiddenLayer, x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    on_cpu = network.device.type == "cpu"
    size = max(1, _CHUNK_ENTRIES // network.n) if on_cpu else len(x)
    return zip(x.split(size), y.split(size), strict=True)


def gradient(network: OneHiddenLayer, data: Batches, loss: Loss, method: str = "closed") -> Pair:
    """Gradient of the mean loss by both weight matrices; zero where the mask is.

    Raises ValueError for an unknown ``method`` and for inputs or labels of a wrong shape.
    """
    _check_method(method)
    s_in, s_out = network.input_scale, network.output_scale
    sigma, a = network.activation, network.a

    @torch.no_grad()
    def closed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        out = Pair(torch.zeros_like(network.W), torch.zeros_like(a))
        for part, labels in _chunks(network, x, y):
            z = network.preactivation(part)
            h = sigma.value(z)
            e = loss.residual(h @ (a.T * s_out), labels)
            slope = sigma.slope(z, h)
            if len(a) == 1:  # δᵀ x = s_out diag(a) σ'(z)ᵀ diag(e) x: x is the smaller array
                out.W.addmm_(slope.T, part * e, alpha=s_in)
            else:
                out.W.addmm_(slope.mul_(e @ (a * s_out)).T, part, alpha=s_in)
            out.a.addmm_(e.T, h, alpha=s_out)
        if len(a) == 1:
            out.W.mul_(a.T * s_out)
        return out

    def autograd(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        W, b = _leaves(network)
        slope_W, slope_a = torch.autograd.grad(loss.total(network.forward(x, W, b), y), (W, b))
        return slope_W, slope_a

    return _accumulate(network, data, loss, closed if method == "closed" else autograd)


def hessian_gradient(
    network: OneHiddenLayer,
    data: Batches,
    loss: Loss,
    parameters: str = "input",
    method: str = "closed",
) -> Pair:
    """``H g``: the Hessian of the mean loss applied to its own gradient.

    ``parameters="input"`` lets only the input weights enter g and H (the ``a`` part is then
    zero), ``"all"`` both matrices. Raises ValueError for unknown names and wrong shapes.
    """
    _check_method(method)
    if parameters not in PARAMETERS:
        raise ValueError(f"parameters must be one of {PARAMETERS}, got {parameters!r}")
    both = parameters == "all"
    g = gradient(network, data, loss, method)
    s_in, s_out = network.input_scale, network.output_scale
    sigma, a = network.activation, network.a

    @torch.no_grad()
    def closed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        out = Pair(torch.zeros_like(network.W), torch.zeros_like(a))
        for part, labels in _chunks(network, x, y):
            z = network.preactivation(part)
            h = sigma.value(z)
            slope, bend = sigma.slope(z, h), sigma.bend(z, h)
            f = h @ (a.T * s_out)
            e = loss.residual(f, labels)
            z_dot = part @ (g.W.T * s_in)
            h_dot = slope * z_dot
            f_dot = h_dot @ (a.T * s_out)
            if both:
                f_dot += h @ (g.a.T * s_out)
            e_dot = loss.curvature(f, f_dot)
            inner = e_dot @ a
            if both:
                inner += e @ g.a
                out.a.addmm_(e_dot.T, h, alpha=s_out).addmm_(e.T, h_dot, alpha=s_out)
            delta_dot = slope.mul_(inner).add_(bend.mul_(z_dot).mul_(e @ a))
            out.W.addmm_(delta_dot.T, part, alpha=s_in * s_out)
        return out

    def autograd(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        W, b = _leaves(network)
        leaves, direction = ((W, b), (g.W, g.a)) if both else ((W,), (g.W,))
        first = torch.autograd.grad(
            loss.total(network.forward(x, W, b), y), leaves, create_graph=True
        )
        # The derivative of <gradient, direction> is the Hessian applied to the direction.
        product = torch.stack([(u * v).sum() for u, v in zip(first, direction, strict=True)]).sum()
        second = torch.autograd.grad(product, leaves, allow_unused=True)
        filled = [
            s if s is not None else torch.zeros_like(p) for s, p in zip(second, leaves, strict=True)
        ]
        return filled[0], filled[1] if both else torch.zeros_like(a)

    return _accumulate(network, data, loss, closed if method == "closed" else autograd)


def _leaves(network: OneHiddenLayer) -> tuple[Tensor, Tensor]:
    W, a = (p.detach().clone().requires_grad_(True) for p in (network.W, network.a))
    return W, a


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
