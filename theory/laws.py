"""Weight laws by name, and their tail moments as objects that exist before they are evaluated.

``TailMoment(law, k, t)`` is ``E[w^k; w >= t]`` and ``TwoSidedTail(law, k, t)`` is
``E[w^k; |w| >= t]``. Both stay unevaluated until asked: ``.rewrite(sp.Integral)`` gives the
definition, ``.doit()`` the closed form, ``.diff`` the fundamental theorem.
"""

from __future__ import annotations

from typing import Any, Final

import sympy as sp

from theory.law_base import Law
from theory.law_families import Gaussian, Laplace, TruncatedNormal, Uniform
from theory.law_student import MPMATH, StudentQuantile, StudentT

__all__ = [
    "LAWS",
    "MPMATH",
    "Gaussian",
    "Laplace",
    "Law",
    "StudentQuantile",
    "StudentT",
    "TailMoment",
    "TruncatedNormal",
    "TwoSidedTail",
    "Uniform",
    "law",
]

LAWS: Final[dict[str, type[Law]]] = {
    family.name: family for family in (Gaussian, Uniform, TruncatedNormal, Laplace, StudentT)
}
"""Every family by its registry name."""


def law(name: str, **params: Any) -> Law:
    """Return the law called ``name`` with the given parameters.

    Raises
    ------
    ValueError
        If there is no family of that name, or a parameter is out of its range.
    TypeError
        If the family takes no parameter of a given name.
    """
    try:
        family = LAWS[name]
    except (KeyError, TypeError):
        known = ", ".join(sorted(LAWS))
        raise ValueError(f"name must be one of {known}; got {name!r}") from None
    return family(**params)


class _Tail(sp.Expr):
    """What one- and two-sided tail moments share: three arguments and their checks."""

    is_commutative = True

    def __new__(cls, law: Law, k: Any, t: Any) -> _Tail:
        if not isinstance(law, Law):
            raise TypeError(f"law must be a Law, got {type(law).__name__}")
        k = sp.sympify(k)
        if not (k.is_Integer and 0 <= k <= 2):
            raise ValueError(f"k must be 0, 1 or 2, got {k}")
        return sp.Expr.__new__(cls, law, k, sp.sympify(t))

    @property
    def law(self) -> Law:
        """The law of ``w``."""
        return self.args[0]

    @property
    def order(self) -> int:
        """The power ``k`` of ``w``."""
        return int(self.args[1])

    @property
    def threshold(self) -> sp.Expr:
        """The cut ``t``."""
        return self.args[2]

    @property
    def free_symbols(self) -> set[sp.Basic]:
        return self.args[0].free_symbols | self.args[2].free_symbols

    def _eval_is_extended_real(self) -> bool | None:
        return True if self.threshold.is_extended_real else None

    def _integrand(self) -> tuple[sp.Expr, sp.Symbol]:
        w = sp.Dummy("w", real=True)
        return w**self.order * self.law.density(w), w

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        closed = self.doit()
        return closed._eval_evalf(prec) if closed.is_number else None


class TailMoment(_Tail):
    """``E[w^k; w >= t]``, unevaluated.

    Raises
    ------
    TypeError
        If ``law`` is not a :class:`Law`.
    ValueError
        If ``k`` is not 0, 1 or 2.
    """

    def doit(self, **hints: Any) -> sp.Expr:
        """Return the closed form, proved in :mod:`theory.derivations.laws`."""
        return self.law.tail_moment(self.order, self.threshold)

    def _eval_rewrite_as_Integral(self, *args: Any, **kwargs: Any) -> sp.Expr:
        integrand, w = self._integrand()
        return sp.Integral(integrand, (w, self.threshold, sp.oo))

    def _eval_derivative(self, symbol: sp.Symbol) -> sp.Expr:
        if symbol in self.law.free_symbols:
            return self.doit().diff(symbol)
        t = self.threshold
        return -(t**self.order) * self.law.density(t) * t.diff(symbol)

    def _latex(self, printer: Any) -> str:
        power = {0: "", 1: "w", 2: "w^{2}"}[self.order]
        t = printer.doprint(self.threshold)
        if not power:
            return rf"\Pr\left[w \geq {t}\right]"
        return rf"\mathbb{{E}}\left[{power};\, w \geq {t}\right]"


class TwoSidedTail(_Tail):
    """``E[w^k; |w| >= t]`` for ``t >= 0``, unevaluated; zero for odd ``k`` by symmetry.

    Raises
    ------
    TypeError
        If ``law`` is not a :class:`Law`.
    ValueError
        If ``k`` is not 0, 1 or 2, or ``t`` is known to be negative.
    """

    def __new__(cls, law: Law, k: Any, t: Any) -> TwoSidedTail:
        if sp.sympify(t).is_negative:
            raise ValueError(f"t must be non-negative, got {t}")
        return super().__new__(cls, law, k, t)

    def doit(self, **hints: Any) -> sp.Expr:
        """Return the closed form, proved in :mod:`theory.derivations.laws`."""
        if self.order == 1:
            return sp.Integer(0)
        if self.order == 0:
            return self.law.two_sided_survival(self.threshold)
        return self.law.two_sided_second(self.threshold)

    def _eval_rewrite_as_Integral(self, *args: Any, **kwargs: Any) -> sp.Expr:
        integrand, w = self._integrand()
        t = self.threshold
        return sp.Integral(integrand, (w, t, sp.oo)) + sp.Integral(integrand, (w, -sp.oo, -t))

    def _eval_derivative(self, symbol: sp.Symbol) -> sp.Expr:
        if self.order == 1:
            return sp.Integer(0)
        if symbol in self.law.free_symbols:
            return self.doit().diff(symbol)
        t = self.threshold
        return -2 * t**self.order * self.law.density(t) * t.diff(symbol)

    def _latex(self, printer: Any) -> str:
        power = {0: "", 1: "w", 2: "w^{2}"}[self.order]
        t = printer.doprint(self.threshold)
        if not power:
            return rf"\Pr\left[|w| \geq {t}\right]"
        return rf"\mathbb{{E}}\left[{power};\, |w| \geq {t}\right]"
