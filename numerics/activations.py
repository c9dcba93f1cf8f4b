"""Activations as PyTorch functions with their first and second derivatives.

The derivatives feed the closed forms of :mod:`numerics.gradients`; a test holds each to the
SymPy derivative of the activation's own expression. Any elementwise callable is an activation
too: its derivatives then come from automatic differentiation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["ACTIVATIONS", "Activation", "activation"]

Elementwise = Callable[[Tensor], Tensor]
Reusing = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """An elementwise function and its first two derivatives.

    ``slope(z, h)`` and ``bend(z, h)`` are the derivatives at ``z``, given ``h = value(z)`` too,
    which spares tanh its second evaluation. ``odd`` says whether the function is known to be odd.
    Everything maps tensors to a tensor of the same shape, dtype and device; at a kink the
    derivative is that of PyTorch (0 for ReLU).
    """

    name: str
    value: Elementwise
    slope: Reusing = field(repr=False)
    bend: Reusing = field(repr=False)
    odd: bool | None = None

    def __call__(self, z: Tensor) -> Tensor:
        return self.value(z)

    def first(self, z: Tensor) -> Tensor:
        """The first derivative at ``z``."""
        return self.slope(z, self.value(z))

    def second(self, z: Tensor) -> Tensor:
        """The second derivative at ``z``."""
        return self.bend(z, self.value(z))


def _density(z: Tensor) -> Tensor:
    """Standard normal density."""
    return torch.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def _distribution(z: Tensor) -> Tensor:
    """Standard normal distribution function, without cancellation on the left."""
    return 0.5 * torch.erfc(z * -math.sqrt(0.5))


def _erf_slope(z: Tensor, h: Tensor) -> Tensor:
    return 2.0 / math.sqrt(math.pi) * torch.exp(-z * z)


ACTIVATIONS: dict[str, Activation] = {
    each.name: each
    for each in (
        Activation(
            "tanh",
            torch.tanh,
            lambda z, h: 1.0 - h * h,
            lambda z, h: 2.0 * h * (h * h - 1.0),
            odd=True,
        ),
        Activation(
            "erf", torch.erf, _erf_slope, lambda z, h: -2.0 * z * _erf_slope(z, h), odd=True
        ),
        Activation(
            "relu",
            torch.relu,
            lambda z, h: (z > 0).to(z.dtype),
            lambda z, h: torch.zeros_like(z),
            odd=False,
        ),
        Activation(
            "sigmoid",
            torch.sigmoid,
            lambda z, h: h * (1.0 - h),
            lambda z, h: h * (1.0 - h) * (1.0 - 2.0 * h),
            odd=False,
        ),
        Activation(
            "gelu",
            lambda z: z * _distribution(z),
            lambda z, h: _distribution(z) + z * _density(z),
            lambda z, h: _density(z) * (2.0 - z * z),
            odd=False,
        ),
    )
}
"""Activations by name; ``gelu`` is the exact ``z Phi(z)``."""


def _derivative(function: Elementwise) -> Elementwise:
    """The derivative of an elementwise function by automatic differentiation."""

    def derivative(z: Tensor) -> Tensor:
        with torch.enable_grad():
            inner = z if z.requires_grad else z.detach().requires_grad_(True)
            value = function(inner)
            if not value.requires_grad:  # constant, so PyTorch has nothing to differentiate
                return torch.zeros_like(z)
            (result,) = torch.autograd.grad(
                value.sum(), inner, create_graph=True, allow_unused=True
            )
        if result is None:
            return torch.zeros_like(z)
        return result if z.requires_grad else result.detach()

    return derivative


def _second(function: Elementwise) -> Elementwise:
    """The second derivative; the first one must keep its graph, so the input asks for one."""
    outer = _derivative(_derivative(function))
    return lambda z: outer(z.detach())


def activation(value: str | Activation | Elementwise) -> Activation:
    """The activation of a name, or one made from an elementwise callable on tensors.

    Raises ValueError for an unknown name and for a callable that does not keep the shape,
    TypeError for something that is neither.
    """
    if isinstance(value, Activation):
        return value
    if isinstance(value, str):
        if value not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {value!r}")
        return ACTIVATIONS[value]
    if not callable(value):
        raise TypeError(
            f"activation must be one of {sorted(ACTIVATIONS)} or a callable on tensors; "
            f"got {type(value).__name__}"
        )
    for known in ACTIVATIONS.values():
        if known.value is value:
            return known
    probe = torch.linspace(-1.0, 1.0, 5, dtype=torch.float64)
    image = value(probe)
    if not isinstance(image, Tensor) or image.shape != probe.shape:
        raise ValueError("activation must map a tensor to a tensor of the same shape")
    name = getattr(value, "__name__", type(value).__name__)
    slope, bend = _derivative(value), _second(value)
    return Activation(name, value, lambda z, h: slope(z), lambda z, h: bend(z))
