"""Student's law of unit variance, and its quantile function.

The tail needs the regularised incomplete beta function and the quantile its inverse, for which
SymPy has no function; both are exact objects here, with numbers to any precision. The closed
forms are proved in :mod:`theory.derivations.laws` for every ``df > 2`` at once.
"""

from __future__ import annotations

from typing import Any, ClassVar

import mpmath
import sympy as sp
from sympy.core.function import ArgumentIndexError

from theory.law_base import Law, as_parameter, require

__all__ = ["MPMATH", "StudentQuantile", "StudentT", "student_density"]

_HALF = sp.Rational(1, 2)


def _regularised(a: Any, b: Any, low: Any, high: Any) -> Any:
    return mpmath.betainc(a, b, low, high, regularized=True)


MPMATH = ({"betainc_regularized": _regularised}, "mpmath")
"""Modules for ``sympy.lambdify`` in mpmath: SymPy 1.14 prints the regularised incomplete beta
function as the one that is not."""


class StudentQuantile(sp.Function):
    """``StudentQuantile(df, p)``: the quantile of Student's law with ``df`` degrees of freedom.

    There is no elementary inverse for general ``df``. The derivative in ``p`` is exact (one
    over the density); numbers come from the incomplete beta function to any precision.
    """

    nargs = (2,)

    @classmethod
    def eval(cls, df: sp.Expr, p: sp.Expr) -> sp.Expr | None:
        if p == _HALF:
            return sp.Integer(0)
        return None

    def fdiff(self, argindex: int = 2) -> sp.Expr:
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        return 1 / student_density(self.args[0], self)

    def _eval_is_extended_real(self) -> bool | None:
        df, p = self.args
        inside = sp.And(p > 0, p < 1)
        return True if df.is_positive and inside == sp.true else None

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        df, p = self.args
        if not (df.is_number and p.is_number):
            return None
        # Near the median and near one the level must be known much better than the quantile.
        bits = prec + 20
        for gap in (p - _HALF, 1 - p):
            size = abs(gap.evalf(10))
            if size != 0 and size < 1:
                bits += int(-sp.log(size, 2).evalf(5))
        with mpmath.workprec(bits):
            value = _student_quantile(df._to_mpmath(bits), p._to_mpmath(bits))
        return sp.Float._new(value._mpf_, prec)

    def _numpycode(self, printer: Any) -> str:
        """What ``sympy.lambdify`` writes for NumPy and SciPy."""
        df, p = (printer._print(arg) for arg in self.args)
        return f"{printer._module_format('scipy.special.stdtrit')}({df}, {p})"

    _scipycode = _numpycode

    @staticmethod
    def _imp_(df: Any, p: Any) -> Any:  # what ``sympy.lambdify`` calls for mpmath
        return _student_quantile(mpmath.mpf(df), mpmath.mpf(p))

    def _ball_(self, args: list[Any], analytic: bool) -> Any:
        """Enclosure by a certified change of sign around an mpmath root; monotone in ``p``."""
        df, p = args
        if not (type(p).__name__ == "arb" and self.args[0].is_number):
            raise TypeError("StudentQuantile encloses only real p and a numeric df")
        low = _bracket(self.args[0], df, p.lower(), -1)
        high = _bracket(self.args[0], df, p.upper(), 1)
        return low.union(high)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        df, p = (printer.doprint(arg) for arg in self.args)
        body = rf"t_{{{df}}}^{{-1}}\left({p}\right)"
        return body if exp is None else rf"\left({body}\right)^{{{exp}}}"


def _student_quantile(df: Any, p: Any) -> Any:
    """Quantile of Student's law in the current mpmath precision, by bisection, then Newton.

    The unknown is the logarithm of ``|y|`` and the equation is one between logarithms, so that
    both far tails and the neighbourhood of the median are tame.
    """
    half = mpmath.mpf(1) / 2
    if not 0 < p < 1:
        return mpmath.nan
    q = min(p, 1 - p)
    if q == half:
        return mpmath.mpf(0)

    def tail(y: Any) -> Any:
        return mpmath.betainc(df / 2, half, 0, df / (df + y * y), regularized=True) / 2

    low, high = mpmath.mpf(-1), mpmath.mpf(1)
    while tail(mpmath.exp(low)) < q:
        low *= 2
    while tail(mpmath.exp(high)) > q:
        high *= 2
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(mpmath.exp(middle)) > q else (low, middle)
    s = (low + high) / 2
    log_constant = mpmath.loggamma((df + 1) / 2) - mpmath.loggamma(df / 2)
    constant = mpmath.exp(log_constant) / mpmath.sqrt(df * mpmath.pi)
    for _ in range(8 + int(mpmath.log(mpmath.mp.prec, 2))):
        y = mpmath.exp(s)
        value = tail(y)
        slope = -y * constant * (1 + y * y / df) ** (-(df + 1) / 2) / value
        step = mpmath.log(value / q) / slope
        s -= step
        if abs(step) < mpmath.ldexp(1, 8 - mpmath.mp.prec):
            break
    return -mpmath.exp(s) if p < half else mpmath.exp(s)


def _bracket(exact_df: sp.Expr, df: Any, p: Any, side: int) -> Any:
    """A point provably below (``side=-1``) or above (``side=1``) the quantile at the ball ``p``."""
    from flint import ctx

    arb, bits = type(p), int(ctx.prec)
    if not (p > 0 and p < 1):
        return arb("nan")
    digits = bits * 302 // 1000 + 12
    with mpmath.workprec(bits + 20):
        level = mpmath.mpf(p.mid().str(digits, radius=False))
        guess = _student_quantile(exact_df._to_mpmath(bits + 20), level)
        y = arb(mpmath.nstr(guess, digits))
    slack = (abs(y) + arb(2) ** (-bits)) * arb(2) ** (16 - bits)
    for _ in range(24):
        point = (y + side * slack).mid()
        near = (point * point / (df + point * point)).beta_lower(arb(1) / 2, df / 2, True) / 2
        cdf = arb(1) / 2 + (near if point > 0 else -near)
        if abs(near) > arb(1) / 4:  # far out, where the other form does not cancel
            tail = (df / (df + point * point)).beta_lower(df / 2, arb(1) / 2, True) / 2
            cdf = tail if point < 0 else 1 - tail
        if (cdf < p) if side < 0 else (cdf > p):
            return point
        slack *= 64
    return arb("nan")


def student_density(df: sp.Expr, y: sp.Expr) -> sp.Expr:
    """Density of Student's law with ``df`` degrees of freedom (variance ``df/(df-2)``)."""
    constant = sp.gamma((df + 1) / 2) / (sp.sqrt(df * sp.pi) * sp.gamma(df / 2))
    return constant * (1 + y**2 / df) ** (-(df + 1) / 2)


class StudentT(Law):
    """Student's law with ``df > 2`` degrees of freedom, rescaled to standard deviation ``scale``.

    ``df`` may be any exact number above 2, or a symbol known to exceed 2 (as ``2 + delta``
    with ``delta`` positive).

    Raises
    ------
    ValueError
        If ``df`` is not known to exceed 2 or ``scale`` is not known to be positive.
    """

    name: ClassVar[str] = "student_t"
    entire: ClassVar[bool] = False

    def __new__(cls, df: Any = 5, scale: Any = 1) -> StudentT:
        df, scale = as_parameter(df, "df"), as_parameter(scale, "scale")
        require((df - 2).is_positive, "df", "greater than 2 (finite variance)", df)
        require(scale.is_positive, "scale", "positive", scale)
        return sp.Basic.__new__(cls, df, scale)

    @property
    def df(self) -> sp.Expr:
        """Degrees of freedom, above 2."""
        return self.args[0]

    @property
    def scale(self) -> sp.Expr:
        return self.args[1]

    @property
    def unit(self) -> sp.Expr:
        """Factor from the textbook Student variable to this one."""
        return self.scale * sp.sqrt((self.df - 2) / self.df)

    def _inner_density(self, x: sp.Expr) -> sp.Expr:
        return student_density(self.df, x / self.unit) / self.unit

    def _inner_survival(self, x: sp.Expr) -> sp.Expr:
        if x.is_zero:
            return _HALF  # SymPy leaves I_1(a, b) = 1 unevaluated
        y, df = x / self.unit, self.df
        return sp.betainc_regularized(df / 2, _HALF, 0, df / (df + y**2)) / 2

    def _inner_mean(self, x: sp.Expr) -> sp.Expr:
        y, df = x / self.unit, self.df
        return self.unit * student_density(df, y) * (df + y**2) / (df - 1)

    def _inner_second(self, x: sp.Expr) -> sp.Expr:
        y, df = x / self.unit, self.df
        edge = y * (1 + y**2 / df) * student_density(df, y)
        return self.scale**2 * (edge + self._inner_survival(x))

    def quantile(self, p: Any) -> sp.Expr:
        return self.unit * StudentQuantile(self.df, sp.sympify(p))

    def two_sided_quantile(self, rho: Any) -> sp.Expr:
        return -self.unit * StudentQuantile(self.df, sp.sympify(rho) / 2)

    @property
    def latex(self) -> str:
        scale = "" if self.scale == 1 else sp.latex(self.scale) + r"\,"
        return rf"{scale}t_{{{sp.latex(self.df)}}}\sqrt{{{sp.latex((self.df - 2) / self.df)}}}"
