"""Duals of polynomials, by pairing: monomials, Hermite polynomials and any other.

``E[X^i Y^j]`` is a sum over the number ``l`` of pairs that join X to Y (Isserlis), so
``kappa = sum_l q12^l / l! R_l(q11) R_l(q22)`` with ``R_l(q) = E[s^{(l)}(X)]``, which is also the
Hermite expansion, finite here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from theory.dual import DualActivation, q, z
from theory.dual_piecewise import natural
from theory.law_base import as_parameter

__all__ = ["Hermite", "Monomial", "Polynomial"]


class Polynomial(DualActivation):
    """``sum_i coefficients[i] z^i``, lowest power first as in ``numpy.polynomial``.

    Raises TypeError for a coefficient that is not a number or an expression, ValueError if there
    is none.
    """

    name = "polynomial"
    parameters: tuple[str, ...] = ("coefficients",)

    def __init__(self, coefficients: Sequence[Any] = (1, 1, 0.5)) -> None:
        if isinstance(coefficients, str) or not hasattr(coefficients, "__iter__"):
            raise TypeError(f"coefficients must be a sequence of numbers, got {coefficients!r}")
        terms = [as_parameter(_plain(term), "coefficients") for term in coefficients]
        while len(terms) > 1 and terms[-1] == 0:
            terms.pop()
        if not terms:
            raise ValueError("coefficients must contain at least one number")
        self.coefficients: tuple[sp.Expr, ...] = tuple(terms)
        powers = [i for i, term in enumerate(terms) if term != 0]
        if len(powers) == 1:
            self.degree = powers[0]
        if all(i % 2 == 0 for i in powers):
            self.parity = "even"
        elif all(i % 2 == 1 for i in powers):
            self.parity = "odd"

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""
        return sp.Add(*[term * z**i for i, term in enumerate(self.coefficients)])

    def derivative_mean(self, order: int, a: Any = q) -> sp.Expr:
        """``R_l(q) = E[s^{(l)}(X)]`` at variance ``a`` for ``l = order``."""
        total: sp.Expr = sp.S.Zero
        for i, term in enumerate(self.coefficients):
            pairs, odd = divmod(i - order, 2)
            if odd or i < order:
                continue
            count = sp.factorial(i) / (sp.factorial(pairs) * 2**pairs)
            total += term * count * sp.sympify(a) ** pairs
        return total

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return sp.Add(*[self._term(n, a, b) * c**n / sp.factorial(n) for n in self._orders])

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return sp.Add(
            *[
                self._term(n, a, b) * c ** (n - 1) / sp.factorial(n - 1)
                for n in self._orders
                if n > 0
            ]
        )

    @property
    def _orders(self) -> range:
        return range(len(self.coefficients))

    def _term(self, order: int, a: sp.Expr, b: sp.Expr) -> sp.Expr:
        return self.derivative_mean(order, a) * self.derivative_mean(order, b)

    def second_moment(self, a: Any = q) -> sp.Expr:
        """A polynomial in ``q`` of the same number of terms at most."""
        a = sp.sympify(a)
        return sp.expand(self._kappa(a, a, a))

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """The same for the derivative."""
        a = sp.sympify(a)
        return sp.expand(self._kappa_dot(a, a, a))

    def mean(self, a: Any = q) -> sp.Expr:
        """``R_0``."""
        return self.derivative_mean(0, a)

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """``R_1``."""
        return self.derivative_mean(1, a)

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """``q^{n/2} R_n(q) / sqrt(n!)``; 0 beyond the polynomial's own degree."""
        if order < 0:
            raise ValueError(f"order must be non-negative, got {order}")
        root = sp.sympify(a) ** sp.Rational(order, 2)
        return root * self.derivative_mean(order, a) / sp.sqrt(sp.factorial(order))


class Monomial(Polynomial):
    """``z^p`` for a whole ``p >= 0``. Raises TypeError or ValueError for another ``p``."""

    name = "monomial"
    parameters: tuple[str, ...] = ("p",)

    def __init__(self, p: Any = 3) -> None:
        self.p = natural(p, "p")
        super().__init__([0] * self.p + [1])


class Hermite(Polynomial):
    """``he_n(z) / sqrt(n!)``, of unit norm under N(0, 1); there ``kappa = q12^n``.

    The formulas hold for every variance. Raises TypeError or ValueError if ``order`` is not a
    non-negative integer.
    """

    name = "hermite"
    parameters: tuple[str, ...] = ("order",)

    def __init__(self, order: Any = 3) -> None:
        self.order = natural(order, "order")
        n = self.order
        physicist = sp.Poly(sp.hermite(n, z / sp.sqrt(2)), z) if n else sp.Poly(1, z)
        scale = sp.sqrt(sp.factorial(n)) * 2 ** sp.Rational(n, 2)
        super().__init__([term / scale for term in reversed(physicist.all_coeffs())])


def _plain(value: Any) -> Any:
    """A NumPy scalar as the Python number it holds."""
    return value.item() if hasattr(value, "item") and not isinstance(value, sp.Basic) else value
