"""Rigorous enclosures of SymPy expressions and of their integrals.

``enclose`` returns a ball that provably contains the value, ``integrate`` the same for an
integral (python-flint's ``acb.integral``, which bounds its own error), ``disjoint`` decides
whether two balls prove two numbers different, and ``decide`` proves or refutes an inequality
on a whole box by subdivision. Nothing here compares floating-point values to a tolerance.

Source: F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic",
IEEE Trans. Computers 66 (2017); "Numerical integration in arbitrary-precision ball arithmetic",
ICMS 2018.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from flint import acb, arb

from theory.balls import Program, Unsupported, precision

__all__ = ["Decision", "Unsupported", "ball", "decide", "disjoint", "enclose", "integrate"]

_MAX_FACTOR = 32
"""How far the working precision may rise above the one asked for, to beat cancellation."""


def ball(value: Any, prec: int = 128) -> arb:
    """Return an ``arb`` that contains ``value``: a number, an expression or a pair ``(lo, hi)``.

    Raises
    ------
    ValueError
        If a pair is not an ordered pair of numbers.
    Unsupported
        If an expression has a free symbol or an unknown function.
    """
    if isinstance(value, arb):
        return value
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(f"an interval must be a pair (lo, hi), got {value}")
        low, high = ball(value[0], prec), ball(value[1], prec)
        if low > high:
            raise ValueError(f"an interval must have lo <= hi, got {value}")
        with precision(prec):
            return low.union(high)
    with precision(prec):
        return _as_real(Program(sp.sympify(value)).run({}))


def _as_real(value: Any) -> arb:
    if isinstance(value, arb):
        return value
    return value.real if value.imag.contains(0) else arb("nan")


def enclose(expr: Any, env: Mapping[sp.Symbol, Any] | None = None, prec: int = 128) -> arb:
    """Return a ball that contains ``expr`` for every choice of its symbols in ``env``.

    Parameters
    ----------
    expr
        SymPy expression, real on the given inputs.
    env
        For each free symbol a number, an ``arb``, a numeric expression, or a pair ``(lo, hi)``.
    prec
        Accuracy asked for in bits. With point inputs the working precision is raised until the
        ball is that accurate (relatively), up to 32-fold; with intervals it is not.

    Raises
    ------
    Unsupported
        If a symbol has no value or a function has no ball implementation.

    Examples
    --------
    >>> enclose(sp.erf(1)).contains(enclose(1 - sp.erfc(1), prec=256))
    True
    """
    program = Program(sp.sympify(expr))
    values = dict(env or {})
    points = not any(isinstance(value, tuple | arb) for value in values.values())
    work = prec + 32
    while True:
        with precision(work):
            inputs = {sp.sympify(s): ball(value, work) for s, value in values.items()}
            result = _as_real(program.run(inputs))
        accurate = result.rel_accuracy_bits() >= prec or result.rad() < arb(2) ** (-6 * prec)
        if not points or (result.is_finite() and accurate) or work >= _MAX_FACTOR * prec:
            return result
        work *= 2


def disjoint(a: arb, b: arb) -> bool:
    """Whether two balls have no point in common, so that the numbers they contain differ."""
    return bool(a.is_finite() and b.is_finite() and not a.overlaps(b))


def integrate(
    expr: Any,
    var: sp.Symbol,
    a: Any,
    b: Any,
    params: Mapping[sp.Symbol, Any] | None = None,
    prec: int = 64,
    split: tuple[Any, ...] = (),
    tolerance: Any = None,
) -> arb:
    """Return a ball that contains the integral of ``expr`` over ``var`` from ``a`` to ``b``.

    Parameters
    ----------
    expr, var
        Integrand and its variable.
    a, b
        Finite ends: numbers or expressions in ``params``.
    params
        Values of the other symbols, as in :func:`enclose`.
    split
        Points at which the integrand is not smooth; naming them makes it fast, not right.
    tolerance
        If given, the precision is doubled (at most four times) until the radius is below it.

    Raises
    ------
    ValueError
        If an end is not finite.
    """
    if sp.sympify(a).is_infinite or sp.sympify(b).is_infinite:
        raise ValueError(f"a and b must be finite, got {a} and {b}; bound the tail separately")
    program = Program(sp.sympify(expr))
    goal = None if tolerance is None else ball(tolerance)
    for attempt in range(5):
        bits = prec * 2**attempt + 16
        with precision(bits):
            finer = None if goal is None else goal / 16**attempt
            result = _integrate_once(program, var, (a, *split, b), params or {}, bits, finer)
        if goal is None or result.rad() < goal:
            break
    return result


def _integrate_once(
    program: Program,
    var: sp.Symbol,
    ends: tuple[Any, ...],
    params: Mapping[sp.Symbol, Any],
    bits: int,
    goal: arb | None,
) -> arb:
    known = {s: ball(value, bits) for s, value in params.items()}
    marks = [_as_real(Program(sp.sympify(e)).run(known)) for e in ends]
    inside = {s: acb(value) for s, value in known.items()}
    options = {} if goal is None else {"abs_tol": goal / 8, "rel_tol": arb(2) ** (-bits)}

    def integrand(z: acb, analytic: bool) -> acb:
        return acb(program.run({**inside, var: z}, analytic))

    total = arb(0)
    for low, high in itertools.pairwise(marks):
        total += _as_real(
            acb.integral(integrand, low, high, eval_limit=50_000, depth_limit=4 * bits, **options)
        )
    return total


@dataclass(frozen=True)
class Decision:
    """Answer of :func:`decide`: ``truth`` is True, False (with a witness box) or None."""

    truth: bool | None
    boxes: int
    witness: dict[str, str] | None = None


def decide(
    expr: Any,
    domain: Mapping[sp.Symbol, tuple[Any, Any]],
    strict: bool = True,
    budget: int = 4000,
    prec: int = 80,
) -> Decision:
    """Prove or refute ``expr > 0`` (``>= 0`` if not ``strict``) on a closed box.

    Boxes are bisected along the side that matters most until a ball evaluation settles each.
    Two enclosures are intersected: the direct one and the mean-value form
    ``f(m) + sum_i f_i(box) (x_i - m_i)``, valid where no branch is undecided.

    Raises
    ------
    Unsupported
        If a symbol of ``expr`` is not in ``domain`` or a function has no ball implementation.
    """
    expr = sp.sympify(expr)
    names = [s for s in domain if expr.has(s)]
    if expr.free_symbols - set(names):
        lost = ", ".join(sorted(map(str, expr.free_symbols - set(names))))
        raise Unsupported(f"no interval given for {lost}")
    program = Program(expr)
    slopes = _slopes(expr, names)
    with precision(prec):
        first = tuple((ball(domain[s][0], prec), ball(domain[s][1], prec)) for s in names)
        queue: list[tuple[float, int, tuple[tuple[arb, arb], ...]]] = [(0.0, 0, first)]
        count = 0
        while queue:
            _, _, box = heapq.heappop(queue)
            count += 1
            value, gradient = _bound(program, slopes, names, box)
            if _settled(value, strict):
                continue
            middle = {s: ((lo + hi) / 2).mid() for s, (lo, hi) in zip(names, box, strict=True)}
            at_middle = _as_real(program.run(middle))
            if _refuted(value, strict) or _refuted(at_middle, strict):
                return Decision(False, count, {str(s): m.str(12) for s, m in middle.items()})
            if count >= budget or not names:
                return Decision(None, count)
            side = _widest(box, gradient)
            lo, hi = box[side]
            cut = middle[names[side]]
            if not (lo < cut and cut < hi):
                return Decision(None, count)
            for half in ((lo, cut), (cut, hi)):
                smaller = (*box[:side], half, *box[side + 1 :])
                heapq.heappush(queue, (_priority(value), count * 2 + (half[0] is lo), smaller))
        return Decision(True, count)


def _slopes(expr: sp.Expr, names: list[sp.Symbol]) -> list[Program] | None:
    try:
        return [Program(sp.diff(expr, s)) for s in names]
    except Unsupported:
        return None


def _bound(
    program: Program,
    slopes: list[Program] | None,
    names: list[sp.Symbol],
    box: tuple[tuple[arb, arb], ...],
) -> tuple[arb, list[arb] | None]:
    """Enclosure of the expression on a box, and of its gradient where there is one."""
    inputs = {s: lo.union(hi) for s, (lo, hi) in zip(names, box, strict=True)}
    direct = _as_real(program.run(inputs))
    if slopes is None or program.undecided:
        return direct, None
    gradient = [_as_real(slope.run(inputs)) for slope in slopes]
    if any(slope.undecided for slope in slopes):
        return direct, None
    middle = {s: x.mid() for s, x in inputs.items()}
    centred = _as_real(program.run(middle))
    for s, g in zip(names, gradient, strict=True):
        centred += g * (inputs[s] - middle[s])
    if not centred.is_finite():
        return direct, gradient
    if not direct.is_finite():
        return centred, gradient
    return (direct.intersection(centred) if direct.overlaps(centred) else direct), gradient


def _settled(value: arb, strict: bool) -> bool:
    return bool(value.is_finite() and (value > 0 if strict else value >= 0))


def _refuted(value: arb, strict: bool) -> bool:
    return bool(value.is_finite() and (value <= 0 if strict else value < 0))


def _widest(box: tuple[tuple[arb, arb], ...], gradient: list[arb] | None) -> int:
    def weight(i: int) -> float:
        lo, hi = box[i]
        width = float((hi - lo).mid())
        slope = float(abs(gradient[i]).upper()) if gradient and gradient[i].is_finite() else 1.0
        return width * max(slope, 1e-30)

    return max(range(len(box)), key=weight)


def _priority(value: arb) -> float:
    """Boxes most likely to hold a violation come first, so that refutations are quick."""
    return float(value.mid()) if value.is_finite() else 0.0
