"""Sound rewriting: the fixed list of strategies by which two expressions are proved equal.

Each strategy replaces an expression by an equal one, or by its numerator over a common
denominator, so that zero is reached only from zero (wherever the expression is defined). None
evaluates at random points, forces an assumption or integrates: :func:`vanishes` says which
strategy brought a difference to zero, or None, which is no proof of anything.

SymPy's reduction of Bessel functions stops short of a basis and it has no Struve functions,
so recurrences are applied here (DLMF 10.29.1 and 11.4.23).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sympy as sp

from theory.special import StruveL

__all__ = [
    "STRATEGIES",
    "bessel_basis",
    "linearise",
    "peel",
    "restrict",
    "vanishes",
]


def bessel_basis(expr: sp.Expr) -> sp.Expr:
    """Write ``K_n`` and ``L_n`` of integer order through ``K_0, K_1`` and ``L_{-1}, L_0``."""

    def reduce_k(order: sp.Expr, x: sp.Expr) -> sp.Expr:
        n = abs(int(order))
        if n <= 1:
            return sp.besselk(n, x)
        return reduce_k(sp.Integer(n - 2), x) + 2 * (n - 1) / x * reduce_k(sp.Integer(n - 1), x)

    def reduce_l(order: sp.Expr, x: sp.Expr) -> sp.Expr:
        n = int(order)
        if n in (-1, 0):
            return StruveL(n, x)
        m = n - 1 if n > 0 else n + 1  # L_{m-1} - L_{m+1} = 2 m L_m / x + s_m
        source = (x / 2) ** m / (sp.sqrt(sp.pi) * sp.gamma(m + sp.Rational(3, 2)))
        middle = 2 * m / x * reduce_l(sp.Integer(m), x) + source
        if n > 0:
            return reduce_l(sp.Integer(n - 2), x) - middle
        return reduce_l(sp.Integer(n + 2), x) + middle

    def whole(e: sp.Basic, head: Any) -> bool:
        return isinstance(e, head) and bool(e.args[0].is_Integer)

    expr = expr.replace(lambda e: whole(e, sp.besselk), lambda e: reduce_k(*e.args))
    return expr.replace(lambda e: whole(e, StruveL), lambda e: reduce_l(*e.args))


def linearise(expr: sp.Expr) -> sp.Expr:
    """Pull constants out of integrals and sums, split them over terms, do the polynomial ones."""

    def split(e: sp.Expr) -> sp.Expr:
        body, limits = e.args[0], e.args[1:]
        if len(limits) > 1:
            inner = split(e.func(body, limits[0]))
            return sp.Add(*[_outer(e.func, term, limits[1:]) for term in sp.Add.make_args(inner)])
        (limit,) = limits
        if len(limit) != 3:
            return e
        terms = sp.Add.make_args(sp.expand(body))
        return sp.Add(*[_single(e.func, term, limit) for term in terms])

    def _outer(func: Any, term: sp.Expr, limits: tuple[Any, ...]) -> sp.Expr:
        return split(func(term, *limits))

    return expr.replace(lambda e: isinstance(e, sp.Integral | sp.Sum), split)


def _single(func: Any, term: sp.Expr, limit: sp.Tuple) -> sp.Expr:
    """One term of a single integral or sum: constant factor times what depends on the variable."""
    var, low, high = limit
    factor, rest = term.as_independent(var, as_Add=False)
    if rest == 1:
        length = high - low + (1 if func is sp.Sum else 0)
        return factor * length
    if func is sp.Integral and low.is_finite and high.is_finite:
        base, exponent = rest.as_base_exp()
        if base == var and exponent.is_Integer and exponent.is_positive:
            return factor * (high ** (exponent + 1) - low ** (exponent + 1)) / (exponent + 1)
    return factor * func(rest, limit)


def peel(expr: sp.Expr) -> sp.Expr:
    """Bring sums and products that end at ``n + k`` for several whole ``k`` to the smallest one.

    ``sum_{l=a}^{n+1} f(l) = sum_{l=a}^{n} f(l) + f(n+1)`` holds for ``n >= a - 1``, the range in
    which a symbolic depth is used. An end ``n + k`` with ``k > 0`` alone is brought to ``n``.
    """
    lowest: dict[Any, int] = {}
    for e in expr.atoms(sp.Sum, sp.Product):
        if len(e.args) == 2 and len(e.args[1]) == 3:
            shift, rest = e.args[1][2].as_coeff_Add()
            if shift.is_Integer and rest.free_symbols:
                lowest[rest] = min(lowest.get(rest, 0), int(shift))

    def last(e: sp.Expr) -> sp.Expr:
        body, (var, low, high) = e.args[0], e.args[1]
        shift, rest = high.as_coeff_Add()
        if not (rest in lowest and shift.is_Integer and shift > lowest[rest]):
            return e
        shorter = last(e.func(body, (var, low, high - 1)))
        term = body.subs(var, high)
        return shorter + term if isinstance(e, sp.Sum) else shorter * term

    def applies(e: sp.Basic) -> bool:
        return isinstance(e, sp.Sum | sp.Product) and len(e.args) == 2 and len(e.args[1]) == 3

    return expr.replace(applies, last)


def restrict(expr: sp.Expr, var: sp.Symbol, low: Any, high: Any) -> sp.Expr:
    """Resolve ``Piecewise`` and ``Abs`` on the open interval ``(low, high)`` of ``var``.

    Every condition must compare ``var`` with a constant; it is decided only if that constant is
    provably outside the open interval.

    Raises
    ------
    ValueError
        If some condition is not constant on the interval, or this cannot be decided.
    """
    low, high = sp.sympify(low), sp.sympify(high)

    def truth(test: sp.Basic) -> bool:
        if test in (sp.true, sp.false):
            return bool(test)
        if isinstance(test, sp.And):
            return all(truth(part) for part in test.args)
        if isinstance(test, sp.Or):
            return any(truth(part) for part in test.args)
        if isinstance(test, sp.Not):
            return not truth(test.args[0])
        side, mark = _comparison(test, var)
        if (low - mark).is_nonnegative:
            return side > 0
        if (high - mark).is_nonpositive:
            return side < 0
        raise ValueError(f"expr: the condition {test} is not decided on ({low}, {high})")

    def pick(e: sp.Piecewise) -> sp.Expr:
        for value, test in e.args:
            if truth(test):
                return value
        raise ValueError(f"expr: no branch of {e} applies on ({low}, {high})")

    expr = expr.replace(lambda e: isinstance(e, sp.Piecewise), pick)
    if low.is_nonnegative:
        return expr.replace(sp.Abs(var), var)
    return expr.replace(sp.Abs(var), -var) if high.is_nonpositive else expr


def _comparison(test: sp.Basic, var: sp.Symbol) -> tuple[int, sp.Expr]:
    """A relational as ``var > mark`` (+1) or ``var < mark`` (-1)."""
    if not isinstance(test, sp.core.relational.Relational) or test.func in (sp.Eq, sp.Ne):
        raise ValueError(f"expr: cannot use the condition {test} on an interval")
    left, right = test.lhs, test.rhs
    greater = isinstance(test, sp.StrictGreaterThan | sp.GreaterThan)
    if right == var and not left.has(var):
        left, right, greater = right, left, not greater
    if left != var or right.has(var):
        raise ValueError(f"expr: the condition {test} does not compare {var} with a constant")
    return (1 if greater else -1), right


# ------------------------------------------------------------------------------- strategies


def _elementary(expr: sp.Expr) -> sp.Expr:
    """Complementary error functions through the error function."""
    return sp.expand(expr.replace(sp.erfc, lambda z: 1 - sp.erf(z)))


def _gammas(expr: sp.Expr) -> sp.Expr:
    """``Gamma(a + m)`` through ``Gamma(a)``, with ``a`` free of whole shifts (DLMF 5.5.1)."""

    def lower(argument: sp.Expr) -> sp.Expr:
        shift, rest = argument.as_coeff_Add()
        whole = int(sp.floor(shift))
        if not rest.free_symbols or not 0 < whole <= 20:
            return sp.gamma(argument)
        start = rest + shift - whole
        return sp.gamma(start) * sp.Mul(*[start + i for i in range(whole)])

    expr = sp.powsimp(expr.replace(sp.gamma, lower))
    return sp.powsimp(sp.expand(sp.together(expr).as_numer_denom()[0]))


def _algebraic(expr: sp.Expr) -> sp.Expr:
    """Powers of sums over a common denominator, beta functions through gammas, then collect.

    ``(a + x^2/b)^e`` becomes ``(a b + x^2)^e b^{-e}`` where the assumptions allow it, so that the
    powers in two forms of an algebraic expression meet.
    """

    def settle(e: sp.Pow) -> sp.Expr:
        base, exponent = e.as_base_exp()
        return sp.expand_power_base(sp.factor(sp.together(base)) ** exponent, force=False)

    expr = expr.replace(sp.beta, lambda a, b: sp.gamma(a) * sp.gamma(b) / sp.gamma(a + b))
    expr = expr.replace(lambda e: isinstance(e, sp.Pow) and e.base.is_Add, settle)
    common = sp.together(sp.powsimp(sp.powdenest(expr)))
    numerator = sp.expand(sp.powsimp(sp.gammasimp(common.as_numer_denom()[0])))
    return sp.powsimp(numerator) if numerator != 0 else numerator


_HYPERBOLIC: Final = [sp.sinh, sp.cosh, sp.tanh, sp.sech]

STRATEGIES: Final[tuple[tuple[str, Callable[[sp.Expr], sp.Expr]], ...]] = (
    ("identical", lambda e: e),
    ("expand", sp.expand),
    ("evaluate", lambda e: sp.expand(e.doit(integrals=False)) if _has_pending(e) else e),
    ("peel", lambda e: sp.expand(peel(e))),
    ("linearise", lambda e: sp.expand(linearise(e))),
    ("error functions", _elementary),
    ("Bessel-Struve basis", lambda e: sp.expand(bessel_basis(e))),
    ("exponentials", lambda e: sp.expand(e.rewrite(_HYPERBOLIC, sp.exp))),
    ("powers", lambda e: sp.powsimp(sp.expand(e))),
    ("common denominator", lambda e: sp.cancel(sp.together(e)) if _is_light(e) else e),
    ("gamma functions", lambda e: _gammas(e) if e.has(sp.gamma) else e),
    ("algebraic powers", _algebraic),
    ("simplify", lambda e: sp.simplify(e) if not e.has(sp.Integral, sp.Sum) else e),
)
"""The strategies in the order in which they are applied, each to the result of the one before."""


def _has_pending(expr: sp.Expr) -> bool:
    return bool(expr.has(sp.Derivative, sp.Subs))


def _is_light(expr: sp.Expr) -> bool:
    """Whether polynomial cancellation is cheap enough to try."""
    return int(expr.count_ops()) < 400


def vanishes(expr: sp.Expr) -> str | None:
    """The name of the strategy that brings ``expr`` to zero, or None if none does.

    A result much larger than what it came from is set aside, so that one strategy's explosion
    does not become the next one's input.
    """
    current = sp.sympify(expr)
    for name, strategy in STRATEGIES:
        result = strategy(current)
        if result == 0:
            return name
        if result.count_ops() <= 2 * current.count_ops() + 20:
            current = result
    return None
