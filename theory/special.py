"""Bessel-Struve densities of a product of two Gaussians, and the modified Struve function.

With independent standard normal ``w`` and ``a``, the product ``w a`` has density
``K_0(|x|)/pi``. The two functions here are what a one-hidden-layer network pruned by
``|w a| >= x`` keeps of one input, for ``x = tau / r``:

* row density ``D(x) = Pr[|w a| >= x] = (2/pi) int_x^oo K_0``,
* path density ``A(x) = E[a^2; |w a| >= x] = (2/pi) int_x^oo z K_1(z) dz``,

in closed form ``D = 1 - x (K_0 L_{-1} + K_1 L_0)`` and ``A = D + (2/pi) x K_0``. Both closed
forms are proved in :mod:`theory.derivations.row_density`. SymPy has no Struve functions, so
``L`` is defined here. Source: DLMF chapters 10 and 11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import mpmath
import numpy as np
import sympy as sp
from sympy.core.function import ArgumentIndexError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "StruveL",
    "path_density",
    "path_density_mp",
    "path_density_values",
    "row_density",
    "row_density_mp",
    "row_density_values",
]

_NODES: Final = 176
_CHUNK: Final = 4096


class StruveL(sp.Function):
    """Modified Struve function ``L_nu(x)`` (DLMF 11.2.2), which SymPy lacks.

    Derivatives step towards the orders -1 and 0 and never leave that pair once there:
    ``L_0' = L_{-1}`` and ``L_{-1}' = L_0 + (2/pi - L_{-1})/x``, from DLMF 11.4.30-33.
    """

    nargs = (2,)

    @classmethod
    def eval(cls, nu: sp.Expr, x: sp.Expr) -> sp.Expr | None:
        if x.is_zero and nu == -1:
            return 2 / sp.pi
        if x.is_zero and (nu + 1).is_positive:
            return sp.Integer(0)
        return None

    def fdiff(self, argindex: int = 2) -> sp.Expr:
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        nu, x = self.args
        if nu.is_negative:
            source = (x / 2) ** nu / (sp.sqrt(sp.pi) * sp.gamma(nu + sp.Rational(3, 2)))
            return StruveL(nu + 1, x) + nu / x * self + source
        return StruveL(nu - 1, x) - nu / x * self

    def _eval_is_extended_real(self) -> bool | None:
        nu, x = self.args
        if nu.is_integer and x.is_extended_real:
            return True
        return True if nu.is_extended_real and x.is_positive else None

    def _eval_is_finite(self) -> bool | None:
        nu, x = self.args
        return True if nu.is_integer and x.is_finite else None

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        nu, x = self.args
        if not (nu.is_number and x.is_number):
            return None
        with mpmath.workprec(prec + 20):
            value = mpmath.struvel(nu._to_mpmath(prec + 20), x._to_mpmath(prec + 20))
        return sp.Expr._from_mpmath(value, prec)

    def _numpycode(self, printer: Any) -> str:
        """What ``sympy.lambdify`` writes for NumPy and SciPy."""
        nu, x = (printer._print(arg) for arg in self.args)
        return f"{printer._module_format('scipy.special.modstruve')}({nu}, {x})"

    _scipycode = _numpycode

    def _mpmathcode(self, printer: Any) -> str:
        """What ``sympy.lambdify`` writes for mpmath."""
        nu, x = (printer._print(arg) for arg in self.args)
        return f"{printer._module_format('mpmath.struvel')}({nu}, {x})"

    def _ball_(self, args: list[Any], analytic: bool) -> Any:
        """Enclosure by the hypergeometric series ``(x/2)^(nu+1) 1F2(1; 3/2, nu+3/2; x^2/4)``."""
        nu, x = args
        half = type(x)(1) / 2
        series = (x * x / 4).hypgeom([type(x)(1)], [3 * half, nu + 3 * half])
        norm = (3 * half).gamma() * (nu + 3 * half).gamma()
        order = self.args[0] + 1
        power = (x / 2) ** int(order) if order.is_Integer else (x / 2) ** (nu + 1)
        if analytic and not order.is_Integer and not x.real > 0:
            return x * float("nan")
        return power * series / norm

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        nu, x = (printer.doprint(arg) for arg in self.args)
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"\mathbf{{L}}_{{{nu}}}{power}\left({x}\right)"


def row_density(x: Any) -> sp.Expr:
    """``D(x) = Pr[|w a| >= x] = 1 - x (K_0(x) L_{-1}(x) + K_1(x) L_0(x))`` for ``x >= 0``.

    Raises
    ------
    ValueError
        If ``x`` is known to be negative.
    """
    x = _ratio(x)
    if x.is_zero:
        return sp.Integer(1)
    if x is sp.oo:
        return sp.Integer(0)
    pair = sp.besselk(0, x) * StruveL(-1, x) + sp.besselk(1, x) * StruveL(0, x)
    return 1 - x * pair


def path_density(x: Any) -> sp.Expr:
    """``A(x) = E[a^2; |w a| >= x] = D(x) + (2/pi) x K_0(x)`` for ``x >= 0``.

    Raises
    ------
    ValueError
        If ``x`` is known to be negative.
    """
    x = _ratio(x)
    if x.is_zero:
        return sp.Integer(1)
    if x is sp.oo:
        return sp.Integer(0)
    return row_density(x) + 2 / sp.pi * x * sp.besselk(0, x)


def _ratio(x: Any) -> sp.Expr:
    x = sp.sympify(x)
    if x.is_negative:
        raise ValueError(f"x must be non-negative, got {x}")
    return x


def row_density_mp(x: Any) -> Any:
    """``D(x)`` as an mpmath number, to the current ``mpmath.mp`` precision (relative).

    From the closed form up to ``x = 4``, beyond that from an integral that does not cancel.

    Raises
    ------
    ValueError
        If ``x`` is negative.
    """
    return _closed_mp(x)[0]


def path_density_mp(x: Any) -> Any:
    """``A(x)`` as an mpmath number, to the current ``mpmath.mp`` precision (relative).

    Raises
    ------
    ValueError
        If ``x`` is negative.
    """
    return _closed_mp(x)[1]


def _closed_mp(x: Any) -> tuple[Any, Any]:
    x = mpmath.mpf(x)
    if x < 0 or mpmath.isnan(x):
        raise ValueError(f"x must be non-negative, got {x}")
    if x == 0:
        return mpmath.mpf(1), mpmath.mpf(1)
    if mpmath.isinf(x):
        return mpmath.mpf(0), mpmath.mpf(0)
    if x > 4:
        row = _trapezoid(x)
        with mpmath.workprec(mpmath.mp.prec + 10):
            path = row + 2 / mpmath.pi * x * mpmath.besselk(0, x)
        return +row, +path
    with mpmath.workprec(mpmath.mp.prec + 60):  # at most 30 bits cancel up to x = 4
        k0, k1 = mpmath.besselk(0, x), mpmath.besselk(1, x)
        row = 1 - x * (k0 * mpmath.struvel(-1, x) + k1 * mpmath.struvel(0, x))
        path = row + 2 / mpmath.pi * x * k0
    return +row, +path


def _trapezoid(x: Any) -> Any:
    """``D(x) = (2/pi) int_0^oo exp(-x cosh s) / cosh s ds`` to the current relative precision.

    On the lines ``Im s = 1, -1`` the integrand is at most ``exp(-x cos 1 cosh t)/(cos 1 cosh t)``,
    so the rule with step ``h`` errs by less than ``2 (pi / cos 1) exp(-x cos 1 - 2 pi / h)``; the
    step makes that small beside ``exp(-x)``. The closed form would lose ``3 x`` bits instead.
    """
    bits = mpmath.mp.prec
    with mpmath.workprec(bits + 30):
        small = (bits + 20) * mpmath.log(2)
        step = 2 * mpmath.pi / (x * (1 - mpmath.cos(1)) + small + mpmath.log(x + 1))
        last = int(mpmath.acosh(1 + (small + mpmath.log(x + 1)) / x) / step) + 1
        total = mpmath.mpf(1) / 2
        for i in range(1, last + 1):
            half = mpmath.sinh(i * step / 2)
            rise = 2 * half * half  # cosh(s) - 1
            total += mpmath.exp(-x * rise) / (1 + rise)
        value = 2 / mpmath.pi * mpmath.exp(-x) * step * total
    return +value


def row_density_values(x: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """``D(x)`` in double precision for an array of any shape; full *relative* accuracy.

    ``D(x) = (2/pi) int_0^oo exp(-x cosh s) / cosh s ds`` by the trapezoidal rule, which
    converges geometrically because the integrand is analytic in ``|Im s| < pi/2``. The step
    shrinks as ``x^(-1/2)`` with the width of the peak. The Bessel-Struve form itself is of no
    use in double precision: it cancels to nothing beyond ``x`` of about 18.

    Raises
    ------
    ValueError
        If any ``x`` is negative or NaN.
    """
    x = np.asarray(x, np.float64)
    if not np.all(x >= 0):
        raise ValueError("x must be non-negative (and not NaN)")
    flat = np.minimum(x.ravel(), 1e300)
    out = np.empty_like(flat)
    for start in range(0, flat.size, _CHUNK):
        piece = flat[start : start + _CHUNK, None]
        step = 1.0 / np.sqrt(16.0 + 2.1 * piece)
        s = step * np.arange(_NODES)
        with np.errstate(over="ignore", under="ignore"):
            weight = np.exp(-2.0 * piece * np.sinh(np.minimum(s, 300.0) / 2) ** 2) / np.cosh(
                np.minimum(s, 300.0)
            )
            weight[:, 0] *= 0.5
            out[start : start + _CHUNK] = (
                (2 / np.pi) * np.exp(-piece[:, 0]) * step[:, 0] * weight.sum(axis=1)
            )
    return out.reshape(x.shape)


def path_density_values(x: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """``A(x)`` in double precision for an array of any shape; full *relative* accuracy.

    Raises
    ------
    ValueError
        If any ``x`` is negative or NaN.
    """
    from scipy.special import k0e

    x = np.asarray(x, np.float64)
    row = row_density_values(x)
    safe = np.clip(x, np.finfo(np.float64).tiny, 1e300)
    with np.errstate(under="ignore"):
        return np.asarray(row + (2 / np.pi) * safe * k0e(safe) * np.exp(-safe))
