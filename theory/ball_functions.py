"""Ball implementations of the functions that a SymPy expression may contain.

Each takes the balls of its arguments and a flag ``analytic``; with the flag set it returns a
non-finite ball unless the function is holomorphic on its (complex) arguments. Real functions
that are monotone are enclosed from their two ends, which is tighter than a derivative bound on
the wide balls that box subdivision produces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sympy as sp
from flint import acb, arb

__all__ = [
    "Ball",
    "CONSTANTS",
    "ENTIRE",
    "GENERAL",
    "INSIDE",
    "integer_power",
    "nan",
    "power",
    "square_root",
]

Ball = Any
"""An ``arb`` or an ``acb``."""


def nan(like: Ball) -> Ball:
    """A ball of the same kind that bounds nothing."""
    return type(like)("nan") if isinstance(like, arb) else acb(arb("nan"))


ENTIRE: Final = {
    sp.exp: "exp",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.sech: "sech",
    sp.erfi: "erfi",
    sp.gamma: "gamma",
}

INSIDE: Final[dict[Any, tuple[str, Callable[[acb], bool]]]] = {
    sp.loggamma: ("lgamma", lambda z: z.real > 0),
    sp.asin: ("asin", lambda z: abs(z.real) < 1),
    sp.acos: ("acos", lambda z: abs(z.real) < 1),
    sp.atan: ("atan", lambda z: abs(z.imag) < 1),
    sp.asinh: ("asinh", lambda z: abs(z.imag) < 1),
    sp.acosh: ("acosh", lambda z: z.real > 1),
    sp.atanh: ("atanh", lambda z: abs(z.real) < 1),
}
"""Functions with cuts: the flint method and a region, free of cuts, where it is holomorphic."""


def _log(value: Ball, analytic: bool) -> Ball:
    return value.log() if isinstance(value, arb) else value.log(analytic=analytic)


def square_root(value: Ball, analytic: bool) -> Ball:
    """Principal square root."""
    return value.sqrt() if isinstance(value, arb) else value.sqrt(analytic=analytic)


def integer_power(base: Ball, exponent: int) -> Ball:
    """Whole power; an even power of a real interval is enclosed from its smallest modulus."""
    if exponent < 0:
        return 1 / integer_power(base, -exponent)
    if isinstance(base, arb) and exponent % 2 == 0 and exponent and not base.is_exact():
        return (base.abs_lower() ** exponent).union(base.abs_upper() ** exponent)
    return base**exponent


def power(base: Ball, exponent: Ball, analytic: bool) -> Ball:
    """Principal power; a real base must be non-negative, or the result is non-finite."""
    if isinstance(base, acb):
        return base.pow(exponent, analytic=analytic)
    low = base.lower()
    if low > 0:
        return base**exponent
    if base >= 0 and exponent > 0:  # touches zero: the power increases from zero
        return (base.upper() ** exponent).union(arb(0))
    return nan(base)


def _monotone(call: Callable[[arb], arb], x: arb) -> arb:
    """Range of a monotone function over a ball, from its two ends."""
    return call(x.lower()).union(call(x.upper()))


def _bessel_k(order: arb, x: arb) -> arb:
    """``K_nu(x)``; ``K_1`` from the Wronskian ``I_0 K_1 + I_1 K_0 = 1/x`` (DLMF 10.28.2).

    Nothing cancels there, and flint's own ``K_1`` takes half a minute in a band of precisions.
    """
    if order == 1:
        zero = order - 1
        return (1 / x - x.bessel_i(order) * x.bessel_k(zero)) / x.bessel_i(zero)
    return x.bessel_k(order)


def _bessel(name: str) -> Callable[[list[Ball], bool], Ball]:
    def call(args: list[Ball], analytic: bool) -> Ball:
        order, x = args
        if isinstance(x, acb) and analytic and not x.real > 0:
            return nan(x)
        if name == "bessel_k" and isinstance(x, arb) and x > 0:  # decreasing for every order
            return _monotone(lambda point: _bessel_k(order, point), x)
        return getattr(x, name)(order)

    return call


def _erf(name: str) -> Callable[[Ball], Ball]:
    def call(x: Ball) -> Ball:
        if isinstance(x, arb) and x.is_finite() and not x.is_exact():
            return _monotone(lambda point: getattr(point, name)(), x)
        return getattr(x, name)()

    return call


def _beta_regularized(args: list[Ball], analytic: bool, regularized: bool = True) -> Ball:
    first, second, low, high = args

    def below(x: Ball) -> Ball:
        if isinstance(x, acb):
            if analytic and not (x.real > 0 and x.real < 1):
                return nan(x)
            return x.beta_lower(first, second, regularized=regularized)
        # The function is real on [0, 1] only, and ball arithmetic may push an argument that
        # lies there across an end: what is enclosed is the range over the part inside.
        if not x.is_finite() or x > 1 or x < 0:
            return nan(x)
        ends = []
        for point in (x.lower(), x.upper()):  # increasing in x, so the ends bound the middle
            if point <= 0:
                ends.append(arb(0))
            else:
                ends.append(_incomplete(first, second, point if point < 1 else arb(1), regularized))
        return ends[0].union(ends[1])

    start = low * 0 if low == 0 else below(low)
    return below(high) - start


def _incomplete(first: arb, second: arb, x: arb, regularized: bool) -> arb:
    """``B_x`` or ``I_x``; near one, where flint fails, ``1 - I_{1-x}`` with ``a, b`` swapped."""
    if not (regularized and 2 * x > 1):
        return x.beta_lower(first, second, regularized=regularized)
    rest = 1 - x
    return 1 - rest.beta_lower(second, first, regularized=True) if rest > 0 else arb(1)


def _polygamma(args: list[Ball], analytic: bool) -> Ball:
    order, x = args
    if order == 0:
        return x.digamma()
    return acb(x).polygamma(order).real if isinstance(x, arb) else x.polygamma(order)


def _beta(args: list[Ball], analytic: bool) -> Ball:
    first, second = args
    return first.gamma() * second.gamma() * (first + second).rgamma()


def _maximum(values: list[Ball], analytic: bool, sign: int = 1) -> Ball:
    result = values[0]
    for value in values[1:]:
        if isinstance(result, arb):
            result = result.max(value) if sign > 0 else result.min(value)
        else:
            pick = acb.real_max if sign > 0 else acb.real_min
            result = pick(result, value, analytic)
    return result


def _absolute(args: list[Ball], analytic: bool) -> Ball:
    (x,) = args
    return abs(x) if isinstance(x, arb) else x.real_abs(analytic=analytic)


def _sign(args: list[Ball], analytic: bool) -> Ball:
    (x,) = args
    return x.sgn() if isinstance(x, arb) else x.real_sgn(analytic=analytic)


def _step(args: list[Ball], analytic: bool) -> Ball:
    return (_sign(args[:1], analytic) + 1) / 2


def _inverse(name: str) -> Callable[[list[Ball], bool], Ball]:
    def call(args: list[Ball], analytic: bool) -> Ball:
        (x,) = args
        if isinstance(x, arb):
            return getattr(x, name)()
        if x.imag == 0 and not analytic:
            return acb(getattr(x.real, name)())
        return nan(x)

    return call


def _lambert(args: list[Ball]) -> Ball:
    """The principal branch on the real line; other branches and complex arguments are refused."""
    x = args[0]
    return x.lambertw() if isinstance(x, arb) and len(args) == 1 else nan(x)


GENERAL: Final[dict[Any, Callable[[list[Ball], bool], Ball]]] = {
    sp.log: lambda args, analytic: _log(args[0], analytic),
    sp.besselk: _bessel("bessel_k"),
    sp.besseli: _bessel("bessel_i"),
    sp.besselj: _bessel("bessel_j"),
    sp.bessely: _bessel("bessel_y"),
    sp.betainc_regularized: _beta_regularized,
    sp.betainc: lambda args, analytic: _beta_regularized(args, analytic, regularized=False),
    sp.beta: _beta,
    sp.polygamma: _polygamma,
    sp.erf: lambda args, analytic: _erf("erf")(args[0]),
    sp.erfc: lambda args, analytic: _erf("erfc")(args[0]),
    sp.erf2: lambda args, analytic: args[1].erf() - args[0].erf(),
    sp.erfinv: _inverse("erfinv"),
    sp.erfcinv: _inverse("erfcinv"),
    sp.LambertW: lambda args, analytic: _lambert(args),
    sp.Abs: _absolute,
    sp.sign: _sign,
    sp.Heaviside: _step,
    sp.Max: _maximum,
    sp.Min: lambda args, analytic: _maximum(args, analytic, sign=-1),
    sp.factorial: lambda args, analytic: (args[0] + 1).gamma(),
    sp.uppergamma: lambda args, analytic: args[1].gamma_upper(args[0]),
    sp.lowergamma: lambda args, analytic: args[1].gamma_lower(args[0]),
}

CONSTANTS: Final[dict[Any, Callable[[], arb]]] = {
    sp.pi: arb.pi,
    sp.E: arb.const_e,
    sp.EulerGamma: arb.const_euler,
    sp.Catalan: arb.const_catalan,
    sp.GoldenRatio: lambda: (1 + arb(5).sqrt()) / 2,
    sp.S.ImaginaryUnit: lambda: acb(0, 1),
}
