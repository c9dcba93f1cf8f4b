"""Duals of smooth activations in closed form: erf, Gaussian, Gabor, GELU.

All are Gaussian integrals of exponentials of quadratic polynomials, or follow from such ones by
Price's theorem. Parameters as in :mod:`theory.dual_waves`: ``a`` scales the output, ``b`` the
input, ``c`` shifts the output.
"""

from __future__ import annotations

from typing import Any, Final

import sympy as sp

from theory.dual import DualActivation, q, z
from theory.law_base import as_parameter

__all__ = ["Erf", "GELU", "Gabor", "Gaussian", "SigmoidLike"]

_HALF: Final = sp.Rational(1, 2)


class Erf(DualActivation):
    """``a erf(b z) + c``, with the arcsine kernel (Williams 1997, eq. 11).

    Raises TypeError for a parameter that is not a number or an expression.
    """

    name = "erf"
    parameters: tuple[str, ...] = ("a", "b", "c")

    def __init__(self, a: Any = 1, b: Any = 1, c: Any = 0) -> None:
        self.a, self.b, self.c = (as_parameter(v, n) for v, n in ((a, "a"), (b, "b"), (c, "c")))
        if self.c == 0:
            self.parity = "odd"

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return self.a * sp.erf(self.b * z) + self.c

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        square = 2 * self.b**2
        ratio = square * c / sp.sqrt((1 + square * a) * (1 + square * b))
        return self.a**2 * 2 / sp.pi * sp.asin(ratio) + self.c**2

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        square = 2 * self.b**2
        root = sp.sqrt((1 + square * a) * (1 + square * b) - (square * c) ** 2)
        return self.a**2 * 2 * square / (sp.pi * root)

    def second_moment(self, a: Any = q) -> sp.Expr:
        """``a^2 (2/pi) asin(2 b^2 q / (1 + 2 b^2 q)) + c^2``."""
        square = 2 * self.b**2 * a
        return self.a**2 * 2 / sp.pi * sp.asin(square / (1 + square)) + self.c**2

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """``4 a^2 b^2 / (pi sqrt(1 + 4 b^2 q))``."""
        return 4 * self.a**2 * self.b**2 / (sp.pi * sp.sqrt(1 + 4 * self.b**2 * a))

    def mean(self, a: Any = q) -> sp.Expr:
        """``c``."""
        return self.c

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """``2 a b / sqrt(pi (1 + 2 b^2 q))``."""
        return 2 * self.a * self.b / sp.sqrt(sp.pi * (1 + 2 * self.b**2 * a))

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """Odd orders ``n``: those of the arcsine series in ``2 b^2 q / (1 + 2 b^2 q)``."""
        if order < 0:
            raise ValueError(f"order must be non-negative, got {order}")
        if order == 0:
            return self.c
        if order % 2 == 0:
            return sp.S.Zero
        half = (order - 1) // 2
        series = sp.binomial(2 * half, half) / (4**half * sp.Integer(order))
        ratio = 2 * self.b**2 * a / (1 + 2 * self.b**2 * a)
        size = sp.sqrt(2 / sp.pi * series) * ratio ** sp.Rational(order, 2)
        # sign(b) = b / sqrt(b^2) for real b, kept without a case distinction
        direction = self.b / sp.sqrt(self.b**2) if self.b != 0 else sp.S.Zero
        return self.a * direction * (-1) ** half * size


class SigmoidLike(Erf):
    """``erf(z / 2.4020563531719796) / 2 + 1/2``, close to the logistic sigmoid.

    The constant is that of neural-tangents, the least-squares fit on [-5, 5].
    """

    name = "sigmoid_like"
    parameters: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__(_HALF, 1 / sp.Rational("2.4020563531719796"), _HALF)


class Gaussian(DualActivation):
    """``a exp(b z^2)``, ``b < 0`` as a rule; for ``b > 0`` only variances below ``1/(4b)``.

    Raises TypeError for a parameter that is not a number or an expression.
    """

    name = "gaussian"
    parameters: tuple[str, ...] = ("a", "b")
    parity = "even"

    def __init__(self, a: Any = 1, b: Any = -1) -> None:
        self.a, self.b = as_parameter(a, "a"), as_parameter(b, "b")
        if self.b.is_positive:
            self.variance_limit = 1 / (4 * self.b)

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return self.a * sp.exp(self.b * z**2)

    def _determinant(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        twice = 2 * self.b
        return (1 - twice * a) * (1 - twice * b) - (twice * c) ** 2

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return self.a**2 / sp.sqrt(self._determinant(a, b, c))

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        three_halves = sp.Rational(3, 2)
        return 4 * self.a**2 * self.b**2 * c / self._determinant(a, b, c) ** three_halves

    def second_moment(self, a: Any = q) -> sp.Expr:
        """``a^2 / sqrt(1 - 4 b q)``."""
        return self.a**2 / sp.sqrt(1 - 4 * self.b * a)

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """``4 a^2 b^2 q / (1 - 4 b q)^{3/2}``."""
        return 4 * self.a**2 * self.b**2 * a / (1 - 4 * self.b * a) ** sp.Rational(3, 2)

    def mean(self, a: Any = q) -> sp.Expr:
        """``a / sqrt(1 - 2 b q)``."""
        return self.a / sp.sqrt(1 - 2 * self.b * a)

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """Even orders ``2m``: ``a t^m sqrt((2m)!) / (2^m m! sqrt(1 - 2bq))``, t = 2bq/(1-2bq)."""
        if order < 0:
            raise ValueError(f"order must be non-negative, got {order}")
        if order % 2:
            return sp.S.Zero
        half = order // 2
        ratio = 2 * self.b * a / (1 - 2 * self.b * a)
        weight = sp.sqrt(sp.factorial(order)) / (2**half * sp.factorial(half))
        return self.mean(a) * weight * ratio**half


class Gabor(DualActivation):
    """``exp(-z^2) sin z``: the Gaussian factor tilts the pair, then the dual is that of sine."""

    name = "gabor"
    parity = "odd"

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return sp.exp(-(z**2)) * sp.sin(z)

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        # the tilted pair has covariance (S^{-1} + 2)^{-1} and total mass det(1 + 2 S)^{-1/2}
        det = (1 + 2 * a) * (1 + 2 * b) - 4 * c**2
        spread = (a + b + 4 * (a * b - c**2)) / 2
        return (sp.exp((c - spread) / det) - sp.exp(-(c + spread) / det)) / (2 * sp.sqrt(det))

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        det = (1 + 2 * a) * (1 + 2 * b) - 4 * c**2
        gap, total = 4 * (a * b - c**2), a + b
        spread = (total + gap) / 2
        even = 1 + 2 * total + 4 * (c**2 + a * b)
        odd = 4 * c * (gap + 3 * total + 2)
        slow = sp.exp((c - spread) / det) * (even + odd)
        fast = sp.exp(-(c + spread) / det) * (even - odd)
        return (slow + fast) / (2 * det ** sp.Rational(5, 2))

    def second_moment(self, a: Any = q) -> sp.Expr:
        """``(1 - exp(-2q/(1+4q))) / (2 sqrt(1+4q))``."""
        a = sp.sympify(a)
        return (1 - sp.exp(-2 * a / (1 + 4 * a))) / (2 * sp.sqrt(1 + 4 * a))

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """``kappa_dot`` with ``q11 = q22 = q12``."""
        a = sp.sympify(a)
        det = 1 + 4 * a
        even, odd = 1 + 4 * a + 8 * a**2, 8 * a * (1 + 3 * a)
        return (even + odd + (even - odd) * sp.exp(-2 * a / det)) / (2 * det ** sp.Rational(5, 2))

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """``(1 + 2q)^{-3/2} exp(-q / (2 (1 + 2q)))``."""
        a = sp.sympify(a)
        return sp.exp(-a / (2 * (1 + 2 * a))) / (1 + 2 * a) ** sp.Rational(3, 2)

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """From ``E[s(X) e^{tZ - t^2/2}]``, the imaginary part of an exponential in ``t``."""
        if order < 0:
            raise ValueError(f"order must be non-negative, got {order}")
        if order % 2 == 0:
            return sp.S.Zero
        a = sp.sympify(a)
        square, linear = a / (1 + 2 * a), sp.sqrt(a) / (1 + 2 * a)
        total: sp.Expr = sp.S.Zero
        for j in range((order + 1) // 2):
            rest = order - 2 * j
            sign = (-1) ** (j + (rest - 1) // 2)
            total += sign * square**j * linear**rest / (sp.factorial(j) * sp.factorial(rest))
        weight = sp.exp(-square / 2) / sp.sqrt(1 + 2 * a)
        return sp.sqrt(sp.factorial(order)) * weight * total


class GELU(DualActivation):
    """``z Phi(z)`` exactly, with the normal distribution function (Tsuchida et al. 2020)."""

    name = "gelu"

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return z * sp.erfc(-z / sp.sqrt(2)) / 2

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        shifted = (1 + a) * (1 + b)
        square = shifted - c**2
        level = (c**2 + a * b * square) / (shifted * sp.sqrt(square))
        return c / 4 + (level + c * sp.asin(c / sp.sqrt(shifted))) / (2 * sp.pi)

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        shifted = (1 + a) * (1 + b)
        square = shifted - c**2
        level = c / sp.sqrt(square) * (1 / square + (1 - a * b) / shifted + 1)
        return sp.Rational(1, 4) + (level + sp.asin(c / sp.sqrt(shifted))) / (2 * sp.pi)

    def second_moment(self, a: Any = q) -> sp.Expr:
        """``q/4 + q^2/(pi (1+q) sqrt(1+2q)) + q asin(q/(1+q))/(2 pi)``."""
        a = sp.sympify(a)
        level = a**2 / (sp.pi * (1 + a) * sp.sqrt(1 + 2 * a))
        return a / 4 + level + a * sp.asin(a / (1 + a)) / (2 * sp.pi)

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """``kappa_dot`` with ``q11 = q22 = q12``."""
        a = sp.sympify(a)
        level = a / sp.sqrt(1 + 2 * a) * (1 / (1 + 2 * a) + (1 - a) / (1 + a) + 1)
        return sp.Rational(1, 4) + (level + sp.asin(a / (1 + a))) / (2 * sp.pi)

    def mean(self, a: Any = q) -> sp.Expr:
        """``q / sqrt(2 pi (1 + q))``."""
        return a / sp.sqrt(2 * sp.pi * (1 + a))

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """1/2."""
        return _HALF

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """``z he_n = he_{n+1} + n he_{n-1}`` on the coefficients ``g`` of ``Phi``."""
        if order < 0:
            raise ValueError(f"order must be non-negative, got {order}")
        normal = Erf(_HALF, 1 / sp.sqrt(2), _HALF)
        total = sp.sqrt(order + 1) * normal.hermite(order + 1, a)
        if order:
            total += sp.sqrt(order) * normal.hermite(order - 1, a)
        return sp.sqrt(a) * total
