"""Activations as PyTorch functions with their first and second derivatives.

Every name of :data:`theory.duals.DUALS` is an activation here, compiled from its expression on
first use, or written by hand where that is faster or safer in floating point; a test holds each
to the SymPy derivatives of its expression. The derivatives feed the closed forms of
:mod:`numerics.gradients` and :mod:`numerics.mlp`. A member of a family with its own parameters,
an expression, or any elementwise callable is an activation too; the derivatives of a callable
come from automatic differentiation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import sympy as sp
import torch
from torch import Tensor

from numerics.evaluate import torch_function
from theory.dual import DualActivation, z
from theory.duals import DUALS, dual

__all__ = ["ACTIVATIONS", "Activation", "activation", "compiled"]

Elementwise = Callable[[Tensor], Tensor]
Reusing = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """An elementwise function and its first two derivatives.

    ``slope(z, h)`` and ``bend(z, h)`` are the derivatives at ``z``, given ``h = value(z)`` too,
    which spares tanh its second evaluation. ``odd`` says whether the function is known to be odd.
    Everything maps tensors to a tensor of the same shape, dtype and device. At a kink the
    derivative is PyTorch's for ReLU and the absolute value (0), else one of the one-sided ones;
    at a jump it is 0.
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


def _bell(z: Tensor) -> Tensor:
    """Derivative of the logistic function, without cancellation on the right."""
    return torch.sigmoid(z) * torch.sigmoid(-z)


class _Formula:
    """An expression in ``z`` as an elementwise function, compiled when it is first called."""

    def __init__(self, source: Callable[[], sp.Expr]) -> None:
        self._source = source

    @cached_property
    def _function(self) -> Elementwise:
        return torch_function(self._source(), z)

    def __call__(self, values: Tensor) -> Tensor:
        result = self._function(values)
        # Callers work in place: neither the argument nor an expanded constant may be the answer.
        return result.clone() if result is values else result.contiguous()


def compiled(family: DualActivation) -> Activation:
    """The activation of an expression: value and derivatives from SymPy, each on first use.

    ValueError where there is no expression (a numeric function, a map of covariances).
    """
    family.expr  # noqa: B018 - it raises if there is none, and here rather than at a forward pass
    value = _Formula(lambda: family.expr)
    first = _Formula(lambda: family.derivative)
    second = _Formula(lambda: family.derivative.diff(z))
    odd = {"odd": True, "even": False, None: None}[family.parity]
    return Activation(family.name, value, lambda t, h: first(t), lambda t, h: second(t), odd)


_BY_HAND: dict[str, Activation] = {
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
        Activation(
            "abs",
            torch.abs,
            lambda z, h: torch.sign(z),
            lambda z, h: torch.zeros_like(z),
            odd=False,
        ),
        Activation(
            "softplus",
            lambda z: torch.logaddexp(z, torch.zeros_like(z)),
            lambda z, h: torch.sigmoid(z),
            lambda z, h: _bell(z),
            odd=False,
        ),
        Activation(
            "silu",
            lambda z: z * torch.sigmoid(z),
            lambda z, h: torch.sigmoid(z) + z * _bell(z),
            lambda z, h: _bell(z) * (2.0 - z * torch.tanh(0.5 * z)),
            odd=False,
        ),
    )
}

ACTIVATIONS: dict[str, Activation] = _BY_HAND | {
    name: compiled(family) for name, family in DUALS.items() if name not in _BY_HAND
}
"""Activations by name, families with their default parameters; ``gelu`` is the exact
``z Phi(z)``."""


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


def activation(value: str | Activation | DualActivation | sp.Expr | Elementwise) -> Activation:
    """The activation that ``value`` stands for.

    A name in :data:`ACTIVATIONS`, an :class:`Activation`, a :class:`theory.dual.DualActivation`
    (``dual("leaky_relu", alpha=0.2)``), a SymPy expression in one symbol, or an elementwise
    callable on tensors. Raises ValueError for an unknown name, an expression that PyTorch cannot
    evaluate or that has several symbols, and a callable that does not keep the shape; TypeError
    for something that is none of these.
    """
    if isinstance(value, Activation):
        return value
    if isinstance(value, str):
        if value not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {value!r}")
        return ACTIVATIONS[value]
    if isinstance(value, sp.Expr):
        value = dual(value)
    if isinstance(value, DualActivation):
        known = DUALS.get(value.name)
        return ACTIVATIONS[value.name] if known == value else compiled(value)
    if not callable(value):
        raise TypeError(
            f"activation must be one of {sorted(ACTIVATIONS)}, a formula or a callable on "
            f"tensors; got {type(value).__name__}"
        )
    for each in _BY_HAND.values():
        if each.value is value:
            return each
    probe = torch.linspace(-1.0, 1.0, 5, dtype=torch.float64)
    image = value(probe)
    if not isinstance(image, Tensor) or image.shape != probe.shape:
        raise ValueError("activation must map a tensor to a tensor of the same shape")
    name = getattr(value, "__name__", type(value).__name__)
    slope, bend = _derivative(value), _second(value)
    return Activation(name, value, lambda z, h: slope(z), lambda z, h: bend(z))
