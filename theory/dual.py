"""Dual activations: the Gaussian second moments that carry a covariance through a nonlinearity.

For centred Gaussians (X, Y) with variances ``q11``, ``q22`` and covariance ``q12``, the dual of
an activation is ``kappa = E[s(X) s(Y)]`` and its derivative dual is ``kappa_dot = E[s'(X) s'(Y)]``
([A] eq. (3) and Theorem 1). One class per activation gives its expression and, where it is
known, the closed form; everything else (moments, Hermite coefficients, the expansion with its
error) follows from the base class, and so do the numerics, the proofs and the tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final, Literal

import sympy as sp

__all__ = ["DualActivation", "Parity", "gaussian_mean", "q", "q11", "q12", "q22", "z"]

z: Final = sp.Symbol("z", real=True)
"""A pre-activation."""

q11: Final = sp.Symbol("q11", positive=True)
"""Variance of the first Gaussian."""
q22: Final = sp.Symbol("q22", positive=True)
"""Variance of the second Gaussian."""
q12: Final = sp.Symbol("q12", real=True)
"""Covariance; ``q12**2 <= q11 q22``."""
q: Final = sp.Symbol("q", positive=True)
"""A variance."""

Parity = Literal["even", "odd"]
"""How a function behaves under reflection."""


def gaussian_mean(integrand: sp.Expr) -> sp.Integral:
    """``E[integrand(Z)]`` for Z ~ N(0, 1), unevaluated; the integrand is written in ``z``."""
    weight = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
    return sp.Integral(integrand * weight, (z, -sp.oo, sp.oo))


class DualActivation(ABC):
    """An elementwise activation with its duals as SymPy expressions.

    Subclasses give ``name``, ``expr`` (in :data:`z`) and, if they have one, the closed forms
    ``_kappa``, ``_kappa_dot`` and the one-dimensional moments; the attributes below say what a
    claim may assume. Two activations are equal if they have the same class and parameters.
    """

    name: str
    """Registry name of the family."""
    parameters: tuple[str, ...] = ()
    """Names of the constructor's arguments, each of them an attribute."""
    closed: bool = True
    """Whether ``kappa`` and ``kappa_dot`` are closed forms; else they are Integrals."""
    degree: Any = None
    """``k`` if ``s(a z) = a^k s(z)`` for every a > 0 (positive homogeneity), else None."""
    parity: Parity | None = None
    """``"even"``, ``"odd"`` or None."""
    kinks: tuple[Any, ...] = ()
    """Points where ``s`` or ``s'`` is not smooth: quadrature puts panel edges there."""
    weakly_differentiable: bool = True
    """False where ``s`` jumps, or its slope is unbounded at a kink: the tangent kernel of the a.e.
    derivative is then not the limit."""
    variance_limit: Any = sp.oo
    """The duals are finite for variances below this."""
    strip: Any = sp.oo
    """``s`` is analytic for ``|Im z|`` below this (0 with kinks): it sets how fast quadrature
    and the Hermite expansion converge. None if unknown."""

    @property
    @abstractmethod
    def expr(self) -> sp.Expr:
        """The activation in ``z``."""

    @property
    def derivative(self) -> sp.Expr:
        """The derivative in ``z``, almost everywhere."""
        return self.expr.diff(z)

    # --------------------------------------------------------------------------- two Gaussians

    def kappa(self, a: Any = q11, b: Any = q22, c: Any = q12) -> sp.Expr:
        """``E[s(X) s(Y)]`` for variances ``a``, ``b`` and covariance ``c``.

        Raises ValueError for numbers that are no covariance matrix or exceed
        ``variance_limit``.
        """
        return self._kappa(*self._covariance(a, b, c))

    def kappa_dot(self, a: Any = q11, b: Any = q22, c: Any = q12) -> sp.Expr:
        """``E[s'(X) s'(Y)]`` for variances ``a``, ``b`` and covariance ``c``; raises as kappa."""
        return self._kappa_dot(*self._covariance(a, b, c))

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return self._integral(self.expr, a, b, c)

    def _kappa_dot(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return self._integral(self.derivative, a, b, c)

    # ----------------------------------------------------------------------------- one Gaussian

    def second_moment(self, a: Any = q) -> sp.Expr:
        """``E[s(X)^2]`` at variance ``a``: the dual on the diagonal, without its limits."""
        return gaussian_mean((self.expr.subs(z, sp.sqrt(a) * z)) ** 2)

    def second_moment_dot(self, a: Any = q) -> sp.Expr:
        """``E[s'(X)^2]`` at variance ``a``."""
        return gaussian_mean((self.derivative.subs(z, sp.sqrt(a) * z)) ** 2)

    def mean(self, a: Any = q) -> sp.Expr:
        """``E[s(X)]`` at variance ``a``; 0 for odd activations."""
        if self.parity == "odd":
            return sp.S.Zero
        return gaussian_mean(self.expr.subs(z, sp.sqrt(a) * z))

    def mean_dot(self, a: Any = q) -> sp.Expr:
        """``E[s'(X)]`` at variance ``a``; 0 for even activations."""
        if self.parity == "even":
            return sp.S.Zero
        return gaussian_mean(self.derivative.subs(z, sp.sqrt(a) * z))

    # ------------------------------------------------------------------------------- expansion

    def hermite(self, order: int, a: Any = q) -> sp.Expr:
        """Coefficient of the normalised Hermite polynomial ``he_n / sqrt(n!)`` at variance ``a``.

        With these, ``kappa = sum_n h_n(q11) h_n(q22) rho^n`` with the correlation ``rho``, and the
        terms beyond order K are at most ``|rho|^(K+1) sqrt(tail(q11) tail(q22))`` in size, where
        ``tail(q) = E[s^2] - sum_{n<=K} h_n(q)^2`` (Cauchy-Schwarz). Raises ValueError for a
        negative order.
        """
        _require_order(order)
        if self.parity is not None and (order % 2 == 0) == (self.parity == "odd"):
            return sp.S.Zero
        # SymPy's Hermite polynomials are the physicists' ones.
        he = sp.hermite(order, z / sp.sqrt(2)) / 2 ** sp.Rational(order, 2)
        scaled = self.expr.subs(z, sp.sqrt(a) * z)
        return gaussian_mean(scaled * sp.expand(he)) / sp.sqrt(sp.factorial(order))

    def expansion(self, order: int, a: Any = q11, b: Any = q22, c: Any = q12) -> sp.Expr:
        """``sum_{n <= order} h_n(a) h_n(b) rho^n``, the truncated Mehler series of ``kappa``.

        Raises ValueError for a negative order.
        """
        _require_order(order)
        rho = sp.sympify(c) / sp.sqrt(a * b)
        return sp.Add(*[self.hermite(n, a) * self.hermite(n, b) * rho**n for n in range(order + 1)])

    def tail(self, order: int, a: Any = q) -> sp.Expr:
        """``E[s^2] - sum_{n <= order} h_n^2`` at variance ``a``: what the expansion leaves out.

        Raises ValueError for a negative order.
        """
        _require_order(order)
        return self.second_moment(a) - sp.Add(*[self.hermite(n, a) ** 2 for n in range(order + 1)])

    def expansion_error(self, order: int, a: Any = q11, b: Any = q22, c: Any = q12) -> sp.Expr:
        """A bound of ``|kappa - expansion|``, by Cauchy-Schwarz on the terms beyond ``order``.

        Raises ValueError for a negative order.
        """
        rho = sp.sympify(c) / sp.sqrt(a * b)
        # One root each: the root of a product makes SymPy evaluate the integrals for their sign.
        roots = sp.sqrt(self.tail(order, a)) * sp.sqrt(self.tail(order, b))
        return sp.Abs(rho) ** (order + 1) * roots

    def smooth_tail(self, order: int, times: int, a: Any = q) -> sp.Expr:
        """A bound of ``tail`` that is known in advance, for a smooth activation.

        ``a^m E[(d^m s/dz^m)^2] / ((K+1) K ... (K+2-m))`` with ``m = times`` and ``K = order``,
        since ``sum_n n!/(n-m)! h_n^2 = a^m E[(d^m s)^2]``. Raises ValueError if ``order`` is
        negative, ``times`` is not between 0 and ``order + 1``, or the activation has kinks.
        """
        _require_order(order)
        if not 0 <= times <= order + 1:
            raise ValueError(f"times must be between 0 and order + 1 = {order + 1}, got {times}")
        if self.kinks and times > 0:
            raise ValueError(f"times must be 0 for {self.name}, which is not smooth, got {times}")
        derived = self.expr.diff(z, times) if times else self.expr
        moment = gaussian_mean(derived.subs(z, sp.sqrt(a) * z) ** 2)
        return sp.sympify(a) ** times * moment / sp.ff(order + 1, times)

    # --------------------------------------------------------------------------------- helpers

    def _integral(self, function: sp.Expr, a: Any, b: Any, c: Any) -> sp.Expr:
        """``E[f(X) f(Y)]`` as an iterated Integral over two independent standard normals."""
        other = sp.Symbol("y", real=True)
        slope = c / sp.sqrt(a)
        second = slope * z + sp.sqrt(b - slope**2) * other
        weight = sp.exp(-(z**2 + other**2) / 2) / (2 * sp.pi)
        integrand = function.subs(z, sp.sqrt(a) * z) * function.subs(z, second) * weight
        return sp.Integral(integrand, (z, -sp.oo, sp.oo), (other, -sp.oo, sp.oo))

    def _covariance(self, a: Any, b: Any, c: Any) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
        """The three entries as expressions; refused where they are known to be impossible."""
        first, second, mixed = (sp.sympify(entry) for entry in (a, b, c))
        for label, variance in (("a", first), ("b", second)):
            if variance.is_negative:
                raise ValueError(f"{label} must be a variance, at least 0, got {variance}")
            if self.variance_limit != sp.oo and (variance - self.variance_limit).is_nonnegative:
                raise ValueError(
                    f"{label} must be below {self.variance_limit}, where the dual of {self.name} "
                    f"diverges, got {variance}"
                )
        if (first * second - mixed**2).is_negative:
            raise ValueError(f"c must satisfy c^2 <= a b, got a={first}, b={second}, c={mixed}")
        return first, second, mixed

    def _key(self) -> tuple[Any, ...]:
        return (type(self), *(getattr(self, name) for name in self.parameters))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DualActivation) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle \sigma(z) = {sp.latex(self.expr)}$"

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)}" for name in self.parameters)
        return f"{type(self).__name__}({values})"


def _require_order(order: int) -> None:
    if isinstance(order, bool) or not isinstance(order, int):
        raise TypeError(f"order must be an integer, got {order!r}")
    if order < 0:
        raise ValueError(f"order must be non-negative, got {order}")
