"""Duals of the activations that are piecewise powers: the ReLU family, rectified powers, sign.

With the angle ``theta = acos(q12 / sqrt(q11 q22))`` every one of them is an arc-cosine kernel
(Cho and Saul 2009). All are positively homogeneous, which is what the reduction laws ask for.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory.dual import DualActivation, q, z
from theory.law_base import as_parameter

__all__ = ["ABReLU", "Abs", "LeakyReLU", "ReLU", "RectifiedPower", "Sign", "Step"]


def _angle(a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
    return sp.acos(c / sp.sqrt(a * b))


class ABReLU(DualActivation):
    """``a min(z, 0) + b max(z, 0)``: slope ``a`` on the left and ``b`` on the right.

    ``kappa = (a-b)^2 (sqrt(q11 q22 - q12^2) - q12 theta)/(2 pi) + (a^2+b^2) q12/2`` (Tsuchida et
    al. 2018). Raises TypeError for a parameter that is not a number or an expression.
    """

    name = "ab_relu"
    parameters: tuple[str, ...] = ("a", "b")
    degree: Any = 1

    def __init__(self, a: Any = 0.25, b: Any = 1) -> None:
        self.a, self.b = as_parameter(a, "a"), as_parameter(b, "b")
        if self.a == self.b:
            self.parity = "odd"
        elif self.a == -self.b:
            self.parity = "even"
        self.kinks = () if self.a == self.b else (sp.S.Zero,)
        self.strip = sp.oo if self.a == self.b else sp.S.Zero

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return self.a * sp.Min(z, 0) + self.b * sp.Max(z, 0)

    @property
    def derivative(self) -> sp.Expr:
        """The slope; that of the left half at 0."""
        return sp.Piecewise((self.b, z > 0), (self.a, True))

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        bend = (self.a - self.b) ** 2 / (2 * sp.pi)
        return bend * (sp.sqrt(a * b - c**2) - c * _angle(a, b, c)) + self._power * c

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return self._power - (self.a - self.b) ** 2 / (2 * sp.pi) * _angle(a, b, c)

    @property
    def _power(self) -> sp.Expr:
        return (self.a**2 + self.b**2) / 2

    def second_moment(self, a: Any = q) -> sp.Expr:
        """``(a^2 + b^2) q / 2``."""
        return self._power * a

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """``(a^2 + b^2) / 2``."""
        return self._power

    def mean(self, a: Any = q) -> sp.Expr:
        """``(b - a) sqrt(q / (2 pi))``."""
        return (self.b - self.a) * sp.sqrt(a / (2 * sp.pi))

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """``(a + b) / 2``."""
        return (self.a + self.b) / 2

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """The linear part has order 1, the modulus all even orders."""
        right = RectifiedPower(1).hermite(order, a)
        left = right * (-1) ** order  # min(z, 0) = -max(-z, 0)
        return self.b * right - self.a * left


class ReLU(ABReLU):
    """``max(z, 0)``."""

    name = "relu"
    parameters: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__(0, 1)


class LeakyReLU(ABReLU):
    """``max(z, 0) + alpha min(z, 0)``. Raises TypeError if ``alpha`` is no number."""

    name = "leaky_relu"
    parameters: tuple[str, ...] = ("alpha",)

    def __init__(self, alpha: Any = 0.01) -> None:
        super().__init__(as_parameter(alpha, "alpha"), 1)
        self.alpha = self.a


class Abs(ABReLU):
    """``|z|``."""

    name = "abs"
    parameters: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__(-1, 1)

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return sp.Abs(z)


class RectifiedPower(DualActivation):
    """``max(z, 0)^p`` for a whole ``p >= 0``; a step for ``p = 0``.

    ``kappa = (q11 q22)^{p/2} J_p(theta) / (2 pi)`` with the arc-cosine kernel
    ``J_p = (-1)^p sin^{2p+1} (1/sin d/dtheta)^p [(pi - theta)/sin]`` (Cho and Saul 2009, eq. 4).
    Raises TypeError or ValueError if ``p`` is not a non-negative integer.
    """

    name = "rectified_power"
    parameters: tuple[str, ...] = ("p",)

    def __init__(self, p: Any = 2) -> None:
        self.p = natural(p, "p")
        self.degree = self.p
        self.kinks = (sp.S.Zero,)
        self.strip = sp.S.Zero
        self.weakly_differentiable = self.p > 0

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        if self.p == 0:
            return sp.Piecewise((1, z > 0), (0, True))
        return sp.Max(z, 0) ** self.p

    @property
    def derivative(self) -> sp.Expr:
        """The derivative in ``z``, almost everywhere; 0 at 0."""
        return self.p * RectifiedPower(self.p - 1).expr if self.p else sp.S.Zero

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        root, angle = _arc_cosine(self.p)
        p, product = self.p, a * b

        def homogeneous(terms: list[int], total: int) -> sp.Expr:
            return sp.Add(
                *[n * c**j * product ** ((total - j) // 2) for j, n in enumerate(terms) if n]
            )

        sine = sp.sqrt(product - c**2) * homogeneous(root, p - 1)
        return (sine + (sp.pi - _angle(a, b, c)) * homogeneous(angle, p)) / (2 * sp.pi)

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return self.p**2 * RectifiedPower(self.p - 1)._kappa(a, b, c) if self.p else sp.S.Zero

    def second_moment(self, a: Any = q) -> sp.Expr:
        """``(2p - 1)!! q^p / 2``."""
        return sp.factorial2(2 * self.p - 1) * sp.sympify(a) ** self.p / 2

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """``p^2 (2p - 3)!! q^{p-1} / 2``."""
        return self.p**2 * RectifiedPower(self.p - 1).second_moment(a) if self.p else sp.S.Zero

    def mean(self, a: Any = q) -> sp.Expr:
        """``(2q)^{p/2} Gamma((p+1)/2) / (2 sqrt(pi))``."""
        half = sp.Rational(self.p, 2)
        return (
            (2 * sp.sympify(a)) ** half * sp.gamma(half + sp.Rational(1, 2)) / (2 * sp.sqrt(sp.pi))
        )

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """``p`` times the mean of the next lower power."""
        return self.p * RectifiedPower(self.p - 1).mean(a) if self.p else sp.S.Zero

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """By parts ``min(n, p)`` times; what is left is a mean, or a boundary term at 0."""
        if order < 0:
            raise ValueError(f"order must be non-negative, got {order}")
        p, scale = self.p, sp.sympify(a) ** sp.Rational(self.p, 2)
        if order <= p:
            moment = sp.ff(p, order) * RectifiedPower(p - order).mean(1)
        else:
            he = sp.hermite(order - p - 1, 0) / 2 ** sp.Rational(order - p - 1, 2)
            moment = sp.factorial(p) * he / sp.sqrt(2 * sp.pi)
        return scale * moment / sp.sqrt(sp.factorial(order))


class Step(RectifiedPower):
    """``1`` for ``z > 0``, else 0. It jumps, so ``kappa_dot = 0`` is not the NTK's limit."""

    name = "step"
    parameters: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__(0)


class Sign(DualActivation):
    """``sign(z)``. It jumps, so ``kappa_dot = 0`` is not the NTK's limit."""

    name = "sign"
    degree = 0
    parity = "odd"
    kinks = (sp.S.Zero,)
    strip = sp.S.Zero
    weakly_differentiable = False

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return sp.sign(z)

    @property
    def derivative(self) -> sp.Expr:
        """0, almost everywhere."""
        return sp.S.Zero

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return 2 / sp.pi * sp.asin(c / sp.sqrt(a * b))

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return sp.S.Zero

    def second_moment(self, a: Any = q) -> sp.Expr:
        """1."""
        return sp.S.One

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """0."""
        return sp.S.Zero

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """0."""
        return sp.S.Zero

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """``sign`` is two steps less one."""
        return 2 * Step().hermite(order, a) - (1 if order == 0 else 0)


def natural(value: Any, name: str) -> int:
    """``value`` as a non-negative ``int``; TypeError or ValueError naming the argument if not."""
    if isinstance(value, bool) or not isinstance(value, int | sp.Integer):
        raise TypeError(f"{name} must be a non-negative integer, got {value!r}")
    if value < 0:
        raise ValueError(f"{name} must be a non-negative integer, got {value}")
    return int(value)


def _arc_cosine(p: int) -> tuple[list[int], list[int]]:
    """``J_p = A(cos) sin + B(cos) (pi - theta)``: coefficients of A and B, lowest first.

    One application of ``(1/sin) d/dtheta`` to ``(A sin + B (pi - theta)) / sin^{2k+1}`` gives
    ``A <- -(1-x^2) A' - 2k x A - B`` and ``B <- -(1-x^2) B' - (2k+1) x B`` with ``x = cos``.
    """
    x = sp.Symbol("x")
    root, angle = sp.Poly(0, x), sp.Poly(1, x)
    for k in range(p):
        damp = sp.Poly(x**2 - 1, x)
        root, angle = (
            damp * root.diff(x) - 2 * k * sp.Poly(x, x) * root - angle,
            damp * angle.diff(x) - (2 * k + 1) * sp.Poly(x, x) * angle,
        )
    sign = (-1) ** p
    return tuple([sign * int(n) for n in reversed(f.all_coeffs())] for f in (root, angle))  # type: ignore[return-value]
