"""Activations whose dual has no closed form: tanh, sigmoid, softplus, SiLU.

Their duals are the integrals, and what is computed is the Hermite (Mehler) expansion

    kappa = sum_{n<=K} h_n(q11) h_n(q22) rho^n + R,   |R| <= |rho|^{K+1} sqrt(tail(q11) tail(q22)),

whose error the base class gives both exactly (``tail``) and in advance (``smooth_tail``). The
coefficients are one-dimensional integrals of a function that is analytic for ``|Im z| < strip``,
so the trapezoidal rule with step ``h`` has error at most ``quadrature_error`` (Trefethen and
Weideman 2014, Theorem 5.1).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import sympy as sp

from theory.dual import DualActivation, q, z

__all__ = ["Expanded", "SiLU", "Sigmoid", "Softplus", "Tanh"]


class Expanded(DualActivation):
    """An activation analytic in a strip, with a bound on its size there."""

    closed = False

    @abstractmethod
    def majorant(self, height: Any) -> tuple[sp.Expr, sp.Expr]:
        """``(m0, m1)`` with ``|s(x + iy)| <= m0 + m1 |x|`` for real x and ``|y| <= height``.

        ``height`` is below ``strip``.
        """

    def quadrature_error(self, step: Any, height: Any, order: int = 0, a: Any = q) -> sp.Expr:
        """Error of the infinite trapezoidal sum for ``E[s(X) X^order / q^{order/2}]``.

        With ``y = height`` in units of the standard normal variable (``sqrt(a) y < strip``), the
        sum of spacing ``step`` errs by at most ``2 M / (exp(2 pi y / step) - 1)``, where ``M``
        bounds the integral of the modulus along ``|Im| <= y``:
        ``|phi(x + iy)| = phi(x) exp(y^2/2)`` and ``|x + iy|^n <= 2^n (|x|^n + y^n)``. Raises
        ValueError for a negative order or a height that is known to leave the strip.
        """
        if order < 0:
            raise ValueError(f"order must be non-negative, got {order}")
        height, root = sp.sympify(height), sp.sqrt(a)
        if (root * height - self.strip).is_nonnegative:
            raise ValueError(f"height must be below strip / sqrt(a), got {height}")
        flat, slope = self.majorant(root * height)

        def moment(n: int) -> sp.Expr:  # E|Z|^n
            half = sp.Rational(n, 2)
            return 2**half * sp.gamma(half + sp.Rational(1, 2)) / sp.sqrt(sp.pi)

        def weighted(n: int) -> sp.Expr:  # E[|Z|^n |Z + iy|^order]
            if order == 0:
                return moment(n)
            return 2**order * (moment(n + order) + height**order * moment(n))

        size = sp.exp(height**2 / 2) * (flat * weighted(0) + slope * root * weighted(1))
        return 2 * size / (sp.exp(2 * sp.pi * height / step) - 1)


class Tanh(Expanded):
    """``tanh z``; ``|tanh(x + iy)| <= max(1, tan|y|)``, poles at ``+- i pi/2``."""

    name = "tanh"
    parity = "odd"
    strip = sp.pi / 2

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return sp.tanh(z)

    def majorant(self, height: Any) -> tuple[sp.Expr, sp.Expr]:
        """``|tanh(x+iy)|^2 = (sinh^2 x + sin^2 y)/(sinh^2 x + cos^2 y)``."""
        return sp.Max(1, sp.tan(height)), sp.S.Zero


class Sigmoid(Expanded):
    """``1 / (1 + exp(-z))``; poles at ``+- i pi``."""

    name = "sigmoid"
    strip = sp.pi

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return 1 / (1 + sp.exp(-z))

    @property
    def derivative(self) -> sp.Expr:
        """``s (1 - s)``, written so that no exponential overflows into NaN."""
        return 1 / ((1 + sp.exp(-z)) * (1 + sp.exp(z)))

    def mean(self, a: Any = q) -> sp.Expr:
        """1/2, since the sigmoid less 1/2 is odd."""
        return sp.Rational(1, 2)

    def majorant(self, height: Any) -> tuple[sp.Expr, sp.Expr]:
        """``s = (1 + tanh(z/2)) / 2``."""
        return (1 + sp.Max(1, sp.tan(sp.sympify(height) / 2))) / 2, sp.S.Zero


class Softplus(Expanded):
    """``log(1 + exp z)``; branch points at ``+- i pi``."""

    name = "softplus"
    strip = sp.pi

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return sp.log(1 + sp.exp(z))

    @property
    def derivative(self) -> sp.Expr:
        """The sigmoid."""
        return 1 / (1 + sp.exp(-z))

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """1/2: the derivative is the sigmoid."""
        return sp.Rational(1, 2)

    def majorant(self, height: Any) -> tuple[sp.Expr, sp.Expr]:
        """Its slope is the sigmoid, and ``s(0) = log 2``: ``|s(z)| <= log 2 + |z| m``."""
        height = sp.sympify(height)
        slope = (1 + sp.Max(1, sp.tan(height / 2))) / 2
        return sp.log(2) + slope * height, slope


class SiLU(Expanded):
    """``z / (1 + exp(-z))``, also called swish; poles at ``+- i pi``."""

    name = "silu"
    strip = sp.pi

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return z / (1 + sp.exp(-z))

    @property
    def derivative(self) -> sp.Expr:
        """``s + z s (1 - s)`` with the sigmoid ``s``."""
        return 1 / (1 + sp.exp(-z)) + z / ((1 + sp.exp(-z)) * (1 + sp.exp(z)))

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """1/2: ``s(z) - z/2`` is even."""
        return sp.Rational(1, 2)

    def majorant(self, height: Any) -> tuple[sp.Expr, sp.Expr]:
        """``|z|`` times the bound of the sigmoid."""
        height = sp.sympify(height)
        slope = (1 + sp.Max(1, sp.tan(height / 2))) / 2
        return slope * height, slope
