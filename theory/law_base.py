"""The contract of a symmetric weight law: tail moments as expressions in a real argument.

A law supplies its formulas on the non-negative half of its support, and says whether the same
formulas hold on the negative half; this module extends them to every real argument. Under
symmetry, with ``F(x) = Pr[w >= x]``,

    F(-x) = 1 - F(x),  E[w; w >= -x] = E[w; w >= x],  E[w^2; w >= -x] = Var(w) - E[w^2; w >= x],

so nothing has to be derived twice.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import sympy as sp

__all__ = ["Law", "as_parameter"]


def as_parameter(value: Any, name: str) -> sp.Expr:
    """Return ``value`` as an exact SymPy expression.

    A float is read as the decimal it prints as (0.1 is 1/10), so that a law built from a
    configuration file is the law that was written there.

    Raises
    ------
    TypeError
        If ``value`` is not a number, a numeric string or a SymPy expression.
    """
    if isinstance(value, bool):
        raise TypeError(f"{name} must be a number or a SymPy expression, got {value!r}")
    try:
        result = sp.Rational(repr(value)) if isinstance(value, float) else sp.sympify(value)
    except (sp.SympifyError, TypeError, ValueError, SyntaxError) as error:
        raise TypeError(f"{name} must be a number or a SymPy expression, got {value!r}") from error
    if not isinstance(result, sp.Expr):
        raise TypeError(f"{name} must be a number or a SymPy expression, got {value!r}")
    return sp.Rational(str(result)) if isinstance(result, sp.Float) else result


def require(condition: Any, name: str, requirement: str, value: Any) -> None:
    """Raise ValueError naming the argument unless ``condition`` is known to be true."""
    if condition is not True and condition != sp.true:
        raise ValueError(f"{name} must be {requirement}, got {value}")


class Law(sp.Basic):
    """A symmetric law on the real line with finite variance, as SymPy expressions.

    Every public method returns an expression that is right for *every* real argument, whether
    a number, a symbol or another expression. A symbol that is known to be non-negative gives
    the shorter one-sided formula.

    Subclasses give ``scale`` as first or last argument; by default the standard deviation is 1.
    """

    name: ClassVar[str]
    """Registry name of the family."""

    entire: ClassVar[bool] = True
    """Whether the formulas inside the support hold for negative arguments too."""

    # ------------------------------------------------------------------ what a family supplies

    @property
    @abstractmethod
    def scale(self) -> sp.Expr:
        """Standard deviation, positive."""

    @property
    def half_width(self) -> sp.Expr:
        """Largest value of the support; ``oo`` for laws on the whole line."""
        return sp.oo

    @abstractmethod
    def _inner_density(self, x: sp.Expr) -> sp.Expr:
        """Density at ``x`` inside the support (``x >= 0`` unless ``entire``)."""

    @abstractmethod
    def _inner_survival(self, x: sp.Expr) -> sp.Expr:
        """``Pr[w >= x]`` inside the support (``x >= 0`` unless ``entire``)."""

    @abstractmethod
    def _inner_mean(self, x: sp.Expr) -> sp.Expr:
        """``E[w; w >= x]`` inside the support (``x >= 0`` unless ``entire``)."""

    @abstractmethod
    def _inner_second(self, x: sp.Expr) -> sp.Expr:
        """``E[w^2; w >= x]`` inside the support (``x >= 0`` unless ``entire``)."""

    @abstractmethod
    def quantile(self, p: Any) -> sp.Expr:
        """The ``x`` with ``Pr[w < x] = p``, for ``0 < p < 1``."""

    @abstractmethod
    def two_sided_quantile(self, rho: Any) -> sp.Expr:
        """The ``t >= 0`` with ``Pr[|w| >= t] = rho``, for ``0 < rho <= 1``.

        This is the threshold of a magnitude rule; unlike ``quantile(1 - rho/2)`` it does not
        cancel when ``rho`` is small.
        """

    @property
    @abstractmethod
    def latex(self) -> str:
        """The law in LaTeX, without dollar signs."""

    # ------------------------------------------------------------------ what follows from it

    @property
    def variance(self) -> sp.Expr:
        """``E[w^2]``."""
        return self.scale**2

    @property
    def support(self) -> sp.Interval:
        """Smallest closed interval with probability one."""
        return sp.Interval(-self.half_width, self.half_width)

    @property
    def breakpoints(self) -> tuple[sp.Expr, ...]:
        """Arguments at which the formulas change, in increasing order (empty for one formula)."""
        if self.half_width is not sp.oo:
            return (-self.half_width, self.half_width)
        return () if self.entire else (sp.Integer(0),)

    def density(self, x: Any) -> sp.Expr:
        """Density at ``x``; zero outside the support, the inner value on its edge."""
        x = sp.sympify(x)
        if not self.entire:
            return self._inner_density(sp.Abs(x))
        return self._clip(x, self._inner_density, sp.Integer(0), sp.Integer(0))

    def survival(self, x: Any) -> sp.Expr:
        """``Pr[w >= x]``."""
        x = sp.sympify(x)
        if not self.entire:
            return self._reflect(x, self._inner_survival, sp.Integer(1))
        return self._clip(x, self._inner_survival, sp.Integer(0), sp.Integer(1))

    def cdf(self, x: Any) -> sp.Expr:
        """``Pr[w <= x]``, by symmetry ``Pr[w >= -x]``."""
        return self.survival(-sp.sympify(x))

    def mean_above(self, x: Any) -> sp.Expr:
        """``E[w; w >= x]``, an even function of ``x``."""
        x = sp.sympify(x)
        if not self.entire:
            return self._inner_mean(sp.Abs(x))
        return self._clip(x, self._inner_mean, sp.Integer(0), sp.Integer(0))

    def second_above(self, x: Any) -> sp.Expr:
        """``E[w^2; w >= x]``."""
        x = sp.sympify(x)
        if not self.entire:
            return self._reflect(x, self._inner_second, self.variance)
        return self._clip(x, self._inner_second, sp.Integer(0), self.variance)

    def tail_moment(self, k: int, x: Any) -> sp.Expr:
        """``E[w^k; w >= x]`` for ``k`` in {0, 1, 2}.

        Raises
        ------
        ValueError
            If ``k`` is not 0, 1 or 2.
        """
        methods: dict[int, Callable[[Any], sp.Expr]] = {
            0: self.survival,
            1: self.mean_above,
            2: self.second_above,
        }
        if k not in methods:
            raise ValueError(f"k must be 0, 1 or 2, got {k}")
        return methods[int(k)](x)

    def two_sided_survival(self, t: Any) -> sp.Expr:
        """``Pr[|w| >= t]`` for ``t >= 0``; a ``t`` known to be negative gives 1."""
        return self._two_sided(t, self._inner_survival, sp.Integer(1))

    def two_sided_second(self, t: Any) -> sp.Expr:
        """``E[w^2; |w| >= t]`` for ``t >= 0``; a ``t`` known to be negative gives the variance."""
        return self._two_sided(t, self._inner_second, self.variance)

    # ------------------------------------------------------------------ extension by symmetry

    def _two_sided(self, t: Any, inner: Callable[[sp.Expr], sp.Expr], total: sp.Expr) -> sp.Expr:
        t = sp.sympify(t)
        if t.is_negative:
            return total
        a = self.half_width
        if a is sp.oo:
            return 2 * inner(t)
        return sp.Piecewise((sp.Integer(0), t >= a), (2 * inner(t), True))

    def _clip(
        self, x: sp.Expr, inner: Callable[[sp.Expr], sp.Expr], above: sp.Expr, below: sp.Expr
    ) -> sp.Expr:
        a = self.half_width
        if a is sp.oo:
            return inner(x)
        if x.is_nonnegative:
            return sp.Piecewise((above, x > a), (inner(x), True))
        return sp.Piecewise((above, x > a), (below, x < -a), (inner(x), True))

    def _reflect(self, x: sp.Expr, inner: Callable[[sp.Expr], sp.Expr], total: sp.Expr) -> sp.Expr:
        if x.is_nonnegative:
            return inner(x)
        if x.is_nonpositive:
            return total - inner(-x)
        return sp.Piecewise((inner(x), x >= 0), (total - inner(-x), True))

    def _latex(self, printer: Any) -> str:
        return self.latex

    def _sympystr(self, printer: Any) -> str:
        return f"{type(self).__name__}({', '.join(printer.doprint(arg) for arg in self.args)})"
