"""Symmetric weight laws of unit variance: Gaussian, uniform, truncated normal, Laplace.

The closed forms here are *stored*, not integrated: each is proved by the fundamental theorem
of calculus and certified by ball quadrature in :mod:`theory.derivations.laws`.

Scales are standard deviations throughout, so that a change of family at the same ``scale``
leaves every dense network's signal variance alone. What that means for the usual parameters:
half-width ``sqrt(3) * scale`` (uniform), rate ``sqrt(2) / scale`` (Laplace), and a rescaled
truncated normal. Student's law is in :mod:`theory.law_student`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import sympy as sp

from theory.law_base import Law, as_parameter, require

__all__ = ["Gaussian", "Laplace", "TruncatedNormal", "Uniform"]

_HALF = sp.Rational(1, 2)


def _phi(y: sp.Expr) -> sp.Expr:
    return sp.exp(-(y**2) / 2) / sp.sqrt(2 * sp.pi)


class Gaussian(Law):
    """Normal law with mean 0 and standard deviation ``scale``.

    Raises
    ------
    ValueError
        If ``scale`` is not known to be positive.
    """

    name: ClassVar[str] = "gaussian"

    def __new__(cls, scale: Any = 1) -> Gaussian:
        scale = as_parameter(scale, "scale")
        require(scale.is_positive, "scale", "positive", scale)
        return sp.Basic.__new__(cls, scale)

    @property
    def scale(self) -> sp.Expr:
        return self.args[0]

    def _inner_density(self, x: sp.Expr) -> sp.Expr:
        return _phi(x / self.scale) / self.scale

    def _inner_survival(self, x: sp.Expr) -> sp.Expr:
        return sp.erfc(x / (sp.sqrt(2) * self.scale)) / 2

    def _inner_mean(self, x: sp.Expr) -> sp.Expr:
        return self.scale * _phi(x / self.scale)

    def _inner_second(self, x: sp.Expr) -> sp.Expr:
        return self.scale**2 * self._inner_survival(x) + self.scale * x * _phi(x / self.scale)

    def quantile(self, p: Any) -> sp.Expr:
        return sp.sqrt(2) * self.scale * sp.erfinv(2 * sp.sympify(p) - 1)

    def two_sided_quantile(self, rho: Any) -> sp.Expr:
        return sp.sqrt(2) * self.scale * sp.erfinv(1 - sp.sympify(rho))

    @property
    def latex(self) -> str:
        return rf"\mathcal{{N}}\left(0, {sp.latex(self.variance)}\right)"


class Uniform(Law):
    """Uniform law on ``[-sqrt(3) scale, sqrt(3) scale]``, of standard deviation ``scale``.

    Raises
    ------
    ValueError
        If ``scale`` is not known to be positive.
    """

    name: ClassVar[str] = "uniform"

    def __new__(cls, scale: Any = 1) -> Uniform:
        scale = as_parameter(scale, "scale")
        require(scale.is_positive, "scale", "positive", scale)
        return sp.Basic.__new__(cls, scale)

    @property
    def scale(self) -> sp.Expr:
        return self.args[0]

    @property
    def half_width(self) -> sp.Expr:
        return sp.sqrt(3) * self.scale

    def _inner_density(self, x: sp.Expr) -> sp.Expr:
        return 1 / (2 * self.half_width)

    def _inner_survival(self, x: sp.Expr) -> sp.Expr:
        return _HALF - x / (2 * self.half_width)

    def _inner_mean(self, x: sp.Expr) -> sp.Expr:
        a = self.half_width
        return (a**2 - x**2) / (4 * a)

    def _inner_second(self, x: sp.Expr) -> sp.Expr:
        a = self.half_width
        return (a**3 - x**3) / (6 * a)

    def quantile(self, p: Any) -> sp.Expr:
        return self.half_width * (2 * sp.sympify(p) - 1)

    def two_sided_quantile(self, rho: Any) -> sp.Expr:
        return self.half_width * (1 - sp.sympify(rho))

    @property
    def latex(self) -> str:
        a = sp.latex(self.half_width)
        return rf"\mathcal{{U}}\left[-{a}, {a}\right]"


class TruncatedNormal(Law):
    """Normal law cut at ``cut`` of *its own* deviations, rescaled to standard deviation ``scale``.

    Before the cut the normal has deviation ``base``; the cut takes away variance, and ``base``
    makes up for it: ``scale^2 = base^2 (1 - 2 cut phi(cut) / (2 Phi(cut) - 1))``.

    Raises
    ------
    ValueError
        If ``cut`` or ``scale`` is not known to be positive.
    """

    name: ClassVar[str] = "truncated_normal"

    def __new__(cls, cut: Any = 2, scale: Any = 1) -> TruncatedNormal:
        cut, scale = as_parameter(cut, "cut"), as_parameter(scale, "scale")
        require(cut.is_positive, "cut", "positive", cut)
        require(scale.is_positive, "scale", "positive", scale)
        return sp.Basic.__new__(cls, cut, scale)

    @property
    def cut(self) -> sp.Expr:
        """Where the normal is cut, in its own standard deviations."""
        return self.args[0]

    @property
    def scale(self) -> sp.Expr:
        return self.args[1]

    @property
    def mass(self) -> sp.Expr:
        """Probability that the uncut normal lies inside the cut."""
        return sp.erf(self.cut / sp.sqrt(2))

    @property
    def base(self) -> sp.Expr:
        """Standard deviation of the normal before it is cut."""
        return self.scale / sp.sqrt(1 - 2 * self.cut * _phi(self.cut) / self.mass)

    @property
    def half_width(self) -> sp.Expr:
        return self.cut * self.base

    def _inner_density(self, x: sp.Expr) -> sp.Expr:
        return _phi(x / self.base) / (self.base * self.mass)

    def _inner_survival(self, x: sp.Expr) -> sp.Expr:
        return (self.mass - sp.erf(x / (sp.sqrt(2) * self.base))) / (2 * self.mass)

    def _inner_mean(self, x: sp.Expr) -> sp.Expr:
        return self.base * (_phi(x / self.base) - _phi(self.cut)) / self.mass

    def _inner_second(self, x: sp.Expr) -> sp.Expr:
        y = x / self.base
        edge = y * _phi(y) - self.cut * _phi(self.cut)
        return self.base**2 * (self._inner_survival(x) + edge / self.mass)

    def quantile(self, p: Any) -> sp.Expr:
        return sp.sqrt(2) * self.base * sp.erfinv(self.mass * (2 * sp.sympify(p) - 1))

    def two_sided_quantile(self, rho: Any) -> sp.Expr:
        return sp.sqrt(2) * self.base * sp.erfinv(self.mass * (1 - sp.sympify(rho)))

    @property
    def latex(self) -> str:
        return (
            rf"\mathcal{{N}}\left(0, {sp.latex(self.variance)}\right)"
            rf"\big|_{{\pm {sp.latex(self.cut)}}}"
        )


class Laplace(Law):
    """Laplace (two-sided exponential) law of standard deviation ``scale``.

    Raises
    ------
    ValueError
        If ``scale`` is not known to be positive.
    """

    name: ClassVar[str] = "laplace"
    entire: ClassVar[bool] = False

    def __new__(cls, scale: Any = 1) -> Laplace:
        scale = as_parameter(scale, "scale")
        require(scale.is_positive, "scale", "positive", scale)
        return sp.Basic.__new__(cls, scale)

    @property
    def scale(self) -> sp.Expr:
        return self.args[0]

    @property
    def width(self) -> sp.Expr:
        """Mean absolute deviation ``b`` in the density ``exp(-|x|/b) / (2b)``."""
        return self.scale / sp.sqrt(2)

    def _inner_density(self, x: sp.Expr) -> sp.Expr:
        return sp.exp(-x / self.width) / (2 * self.width)

    def _inner_survival(self, x: sp.Expr) -> sp.Expr:
        return sp.exp(-x / self.width) / 2

    def _inner_mean(self, x: sp.Expr) -> sp.Expr:
        return (x + self.width) * sp.exp(-x / self.width) / 2

    def _inner_second(self, x: sp.Expr) -> sp.Expr:
        b = self.width
        return (x**2 + 2 * b * x + 2 * b**2) * sp.exp(-x / b) / 2

    def quantile(self, p: Any) -> sp.Expr:
        p = sp.sympify(p)
        return sp.Piecewise(
            (self.width * sp.log(2 * p), p <= _HALF),
            (-self.width * sp.log(2 * (1 - p)), True),
        )

    def two_sided_quantile(self, rho: Any) -> sp.Expr:
        return -self.width * sp.log(sp.sympify(rho))

    @property
    def latex(self) -> str:
        return rf"\operatorname{{Laplace}}\left(0, {sp.latex(self.width)}\right)"
