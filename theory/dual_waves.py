"""Duals of sine, cosine, their random-feature kernel, and the exponential, in closed form.

The exponential of a linear function has the Gaussian's own transform as its mean, so every dual
here solves a linear equation in ``q12``. Parameters follow one scheme: ``a`` scales the output,
``b`` the input, ``c`` is a phase.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory.dual import DualActivation, q, z
from theory.law_base import as_parameter

__all__ = ["Cos", "Exp", "ExpNormalized", "Rbf", "Sin"]


class Sin(DualActivation):
    """``a sin(b z + c)``.

    Raises TypeError for a parameter that is not a number or an expression.
    """

    name = "sin"
    parameters: tuple[str, ...] = ("a", "b", "c")

    def __init__(self, a: Any = 1, b: Any = 1, c: Any = 0) -> None:
        self.a, self.b, self.c = (as_parameter(v, n) for v, n in ((a, "a"), (b, "b"), (c, "c")))
        if sp.sin(self.phase) == 0:
            self.parity = "odd"
        elif sp.cos(self.phase) == 0:
            self.parity = "even"

    @property
    def phase(self) -> sp.Expr:
        """Phase as a sine."""
        return self.c

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return self.a * sp.sin(self.b * z + self.c)

    def _waves(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """``E cos`` of the difference and of the sum of the two arguments."""
        square, average = self.b**2, (a + b) / 2
        slow = sp.exp(square * (c - average))
        return slow, sp.cos(2 * self.phase) * sp.exp(-square * (c + average))

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        slow, fast = self._waves(a, b, c)
        return self.a**2 * (slow - fast) / 2

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        slow, fast = self._waves(a, b, c)
        return self.a**2 * self.b**2 * (slow + fast) / 2

    def second_moment(self, a: Any = q) -> sp.Expr:
        """``a^2 (1 - exp(-2 b^2 q) cos 2c) / 2``."""
        a = sp.sympify(a)
        return self._kappa(a, a, a)

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """``a^2 b^2 (1 + exp(-2 b^2 q) cos 2c) / 2``."""
        a = sp.sympify(a)
        return self._kappa_dot(a, a, a)

    def mean(self, a: Any = q) -> sp.Expr:
        """``a sin(c) exp(-b^2 q / 2)``."""
        return self.a * sp.sin(self.phase) * sp.exp(-(self.b**2) * sp.sympify(a) / 2)

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """``a b cos(c) exp(-b^2 q / 2)``."""
        return self.a * self.b * sp.cos(self.phase) * sp.exp(-(self.b**2) * sp.sympify(a) / 2)

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """``a b^n q^{n/2} sin(c + n pi/2) exp(-b^2 q / 2) / sqrt(n!)``."""
        if order < 0:
            raise ValueError(f"order must be non-negative, got {order}")
        a = sp.sympify(a)
        wave = sp.sin(self.phase + order * sp.pi / 2) * sp.exp(-(self.b**2) * a / 2)
        root = sp.sqrt(sp.factorial(order))
        return self.a * self.b**order * a ** sp.Rational(order, 2) * wave / root


class Cos(Sin):
    """``a cos(b z + c)``; raises as :class:`Sin`."""

    name = "cos"

    @property
    def phase(self) -> sp.Expr:
        """Phase as a sine."""
        return self.c + sp.pi / 2

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return self.a * sp.cos(self.b * z + self.c)


class Rbf(Sin):
    """``sqrt(2) sin(sqrt(2 gamma) z + pi/4)``: ``kappa = exp(-gamma E(X - Y)^2)``.

    Raises TypeError if ``gamma`` is no number, ValueError unless it is positive.
    """

    name = "rbf"
    parameters: tuple[str, ...] = ("gamma",)

    def __init__(self, gamma: Any = 1) -> None:
        self.gamma = as_parameter(gamma, "gamma")
        if self.gamma.is_positive is not True:
            raise ValueError(f"gamma must be positive, got {self.gamma}")
        super().__init__(sp.sqrt(2), sp.sqrt(2 * self.gamma), sp.pi / 4)


class Exp(DualActivation):
    """``a exp(b z)``. Raises TypeError for a parameter that is not a number or expression."""

    name = "exp"
    parameters: tuple[str, ...] = ("a", "b")

    def __init__(self, a: Any = 1, b: Any = 1) -> None:
        self.a, self.b = as_parameter(a, "a"), as_parameter(b, "b")

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return self.a * sp.exp(self.b * z)

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return self.a**2 * sp.exp(self.b**2 * ((a + b) / 2 + c))

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return self.b**2 * self._kappa(a, b, c)

    def second_moment(self, a: Any = q) -> sp.Expr:
        """``a^2 exp(2 b^2 q)``."""
        return self.a**2 * sp.exp(2 * self.b**2 * a)

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """``a^2 b^2 exp(2 b^2 q)``."""
        return self.b**2 * self.second_moment(a)

    def mean(self, a: Any = q) -> sp.Expr:
        """``a exp(b^2 q / 2)``."""
        return self.a * sp.exp(self.b**2 * sp.sympify(a) / 2)

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """``a b exp(b^2 q / 2)``."""
        return self.b * self.mean(a)

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """``a b^n q^{n/2} exp(b^2 q / 2) / sqrt(n!)``."""
        if order < 0:
            raise ValueError(f"order must be non-negative, got {order}")
        power = self.b**order * sp.sympify(a) ** sp.Rational(order, 2)
        return power * self.mean(a) / sp.sqrt(sp.factorial(order))


class ExpNormalized(DualActivation):
    """``kappa = sqrt(q11 q22) exp(gamma (rho + shift))``: a kernel map, not an activation.

    No elementwise function has this dual at every variance: it would be homogeneous of degree 1,
    hence a min/max of two lines, whose dual is another. At variance 1 it is the dual of the
    function with Hermite coefficients :meth:`hermite`, which has no closed form, so ``expr``
    and what is computed from it raise ValueError. Shankar et al. 2020, "Neural kernels without
    tangents". Raises TypeError for a parameter that is no number, ValueError unless ``gamma`` is
    positive.
    """

    name = "exp_normalized"
    parameters: tuple[str, ...] = ("gamma", "shift")
    degree = 1  # of the map in the scale of the inputs, as for ReLU
    strip = None

    def __init__(self, gamma: Any = 1, shift: Any = -1) -> None:
        self.gamma, self.shift = as_parameter(gamma, "gamma"), as_parameter(shift, "shift")
        if self.gamma.is_positive is not True:
            raise ValueError(f"gamma must be positive, got {self.gamma}")

    @property
    def expr(self) -> sp.Expr:
        """Raises ValueError: there is none."""
        raise ValueError("exp_normalized is a kernel map and has no elementwise expression")

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return sp.sqrt(a * b) * self._kappa_dot(a, b, c) / self.gamma

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return self.gamma * sp.exp(self.gamma * (c / sp.sqrt(a * b) + self.shift))

    def second_moment(self, a: Any = q) -> sp.Expr:
        """``q exp(gamma (1 + shift))``."""
        return a * sp.exp(self.gamma * (1 + self.shift))

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """``gamma exp(gamma (1 + shift))``."""
        return self.gamma * sp.exp(self.gamma * (1 + self.shift))

    def mean(self, a: Any = q) -> sp.Expr:
        """The coefficient of order 0."""
        return self.hermite(0, a)

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """The coefficient of order 1 over ``sqrt(q)``."""
        return self.hermite(1, a) / sp.sqrt(a)

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """``sqrt(q gamma^n exp(gamma shift) / n!)``."""
        if order < 0:
            raise ValueError(f"order must be non-negative, got {order}")
        weight = self.gamma**order * sp.exp(self.gamma * self.shift) / sp.factorial(order)
        return sp.sqrt(a * weight)

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle \kappa = {sp.latex(self.kappa())}$"
