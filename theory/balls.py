"""SymPy expressions compiled to ball arithmetic (python-flint's ``arb`` and ``acb``).

A :class:`Program` is a straight-line list of instructions, one per distinct subexpression.
Evaluated on real balls (``arb``) it returns a ball that contains every real value of the
expression on the input balls, or a non-finite ball where it cannot bound it. Evaluated on
complex balls (``acb``) with ``analytic=True`` it returns a non-finite ball unless the
expression is holomorphic on the input, which is what ``acb.integral`` asks for.

Floating-point numbers in an expression are read as the exact dyadic numbers they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sympy as sp
from flint import acb, arb, ctx, fmpq
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from theory.ball_functions import (
    CONSTANTS,
    ENTIRE,
    GENERAL,
    INSIDE,
    Ball,
    integer_power,
    nan,
    power,
    square_root,
)

__all__ = ["Ball", "Program", "Unsupported", "precision"]


class Unsupported(ValueError):
    """The expression contains a function or symbol without a ball implementation."""


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Set the working precision of python-flint for a block."""
    saved = ctx.prec
    ctx.prec = max(16, int(bits))
    try:
        yield
    finally:
        ctx.prec = saved


def _real(value: Ball) -> arb:
    return value if isinstance(value, arb) else value.real


class Program:
    """A compiled expression.

    Parameters
    ----------
    expr
        Expression without unevaluated derivatives, sums or integrals.

    Raises
    ------
    Unsupported
        If some function in ``expr`` has no ball implementation; the message names it.
    """

    def __init__(self, expr: sp.Expr) -> None:
        self.expr = sp.sympify(expr)
        self.symbols: dict[sp.Symbol, int] = {}
        self.undecided = False
        """Whether the last run met a branch condition it could not decide."""
        self._steps: list[Callable[[list[Ball], bool], Ball]] = []
        self._index: dict[sp.Basic, int] = {}
        self._constant: list[bool] = []
        self._cache: dict[int, dict[int, Ball]] = {}
        self._root = self._compile(self.expr)

    # ------------------------------------------------------------------------------ running

    def run(self, env: Mapping[sp.Symbol, Ball], analytic: bool = False) -> Ball:
        """Evaluate at the current precision.

        Raises
        ------
        Unsupported
            If ``env`` lacks a symbol of the expression.
        """
        missing = [str(s) for s in self.symbols if s not in env]
        if missing:
            raise Unsupported(f"no value given for {', '.join(sorted(missing))}")
        self.undecided = False
        complex_mode = any(isinstance(env[s], acb) for s in self.symbols)
        cache = self._cache.setdefault(ctx.prec, {})
        values: list[Ball] = [None] * len(self._steps)
        for symbol, index in self.symbols.items():
            value = env[symbol]
            values[index] = acb(value) if complex_mode else value
        for index, step in enumerate(self._steps):
            if values[index] is not None:
                continue
            if self._constant[index]:
                if index not in cache:
                    cache[index] = step(values, False)
                value = cache[index]
                if complex_mode and isinstance(value, arb):
                    value = acb(value)
                values[index] = value
            else:
                values[index] = step(values, analytic)
        return values[self._root]

    # ---------------------------------------------------------------------------- compiling

    def _emit(self, expr: sp.Basic, step: Callable[..., Ball], constant: bool) -> int:
        self._steps.append(step)
        self._constant.append(constant)
        self._index[expr] = len(self._steps) - 1
        return len(self._steps) - 1

    def _compile(self, expr: sp.Basic) -> int:
        if expr in self._index:
            return self._index[expr]
        if isinstance(expr, sp.Symbol):
            index = self._emit(expr, lambda values, analytic: None, False)
            self.symbols[expr] = index
            return index
        if isinstance(expr, sp.Rational):
            p, q = int(expr.p), int(expr.q)
            return self._emit(expr, lambda values, analytic: arb(fmpq(p, q)), True)
        if isinstance(expr, sp.Float):
            exact = sp.Rational(expr)
            p, q = int(exact.p), int(exact.q)
            return self._emit(expr, lambda values, analytic: arb(fmpq(p, q)), True)
        if expr in CONSTANTS:
            make = CONSTANTS[expr]
            return self._emit(expr, lambda values, analytic: make(), True)
        if isinstance(expr, sp.Piecewise):
            return self._compile_piecewise(expr)
        if isinstance(expr, sp.Pow):
            return self._compile_power(expr)
        if isinstance(expr, sp.hyper):
            return self._compile_hyper(expr)
        args = [self._compile(arg) for arg in expr.args] if expr.args else []
        constant = bool(args) and all(self._constant[i] for i in args)
        return self._emit(expr, self._function(expr, args), constant)

    def _function(self, expr: sp.Basic, args: list[int]) -> Callable[..., Ball]:
        if isinstance(expr, sp.Add):
            return lambda values, analytic: _total([values[i] for i in args])
        if isinstance(expr, sp.Mul):
            return lambda values, analytic: _product([values[i] for i in args])
        head = type(expr)
        if head in ENTIRE:
            name, (only,) = ENTIRE[head], args
            return lambda values, analytic: getattr(values[only], name)()
        if head in INSIDE:
            method, region = INSIDE[head]
            (only,) = args

            def guarded(values: list[Ball], analytic: bool) -> Ball:
                x = values[only]
                if isinstance(x, acb) and analytic and not region(x):
                    return nan(x)
                return getattr(x, method)()

            return guarded
        if head in GENERAL:
            call = GENERAL[head]
            if head in (sp.Heaviside,):
                args = args[:1]
            return lambda values, analytic: call([values[i] for i in args], analytic)
        if hasattr(expr, "_ball_"):
            hook = expr._ball_
            return lambda values, analytic: hook([values[i] for i in args], analytic)
        raise Unsupported(f"no ball implementation of {head.__name__} in {expr}")

    def _compile_power(self, expr: sp.Pow) -> int:
        base, exponent = expr.as_base_exp() if expr.base is sp.E else expr.args
        b = self._compile(base)
        if exponent.is_Integer:
            whole = int(exponent)
            return self._emit(
                expr, lambda values, analytic: integer_power(values[b], whole), self._constant[b]
            )
        known = bool(base.is_nonnegative)

        def clean(value: Ball) -> Ball:
            # Rounding can push a ball that starts at zero slightly below it.
            if known and isinstance(value, arb) and not value > 0:
                return value.nonnegative_part()
            return value

        if exponent == sp.Rational(1, 2):
            return self._emit(
                expr,
                lambda values, analytic: square_root(clean(values[b]), analytic),
                self._constant[b],
            )
        e = self._compile(exponent)
        return self._emit(
            expr,
            lambda values, analytic: power(clean(values[b]), values[e], analytic),
            self._constant[b] and self._constant[e],
        )

    def _compile_hyper(self, expr: sp.hyper) -> int:
        top = [self._compile(arg) for arg in expr.ap]
        bottom = [self._compile(arg) for arg in expr.bq]
        z = self._compile(expr.argument)
        cut = len(top) == len(bottom) + 1

        def step(values: list[Ball], analytic: bool) -> Ball:
            x = values[z]
            if cut and isinstance(x, acb) and analytic and not x.real < 1:
                return nan(x)
            a, b = [values[i] for i in top], [values[i] for i in bottom]
            if len(a) == 2 and len(b) == 1:
                return x.hypgeom_2f1(a[0], a[1], b[0])
            return x.hypgeom(a, b)

        return self._emit(expr, step, all(self._constant[i] for i in [*top, *bottom, z]))

    def _compile_piecewise(self, expr: sp.Piecewise) -> int:
        branches = [(self._compile(value), self._condition(test)) for value, test in expr.args]

        def step(values: list[Ball], analytic: bool) -> Ball:
            hull: Ball = None
            for value, test in branches:
                truth = test(values)
                if truth is False:
                    continue
                if truth is None:
                    self.undecided = True
                    if analytic:
                        return nan(values[value])
                hull = values[value] if hull is None else hull.union(values[value])
                if truth is True:
                    return hull
            return arb("nan")  # no branch is known to apply

        return self._emit(expr, step, False)

    def _condition(self, test: sp.Basic) -> Callable[[list[Ball]], bool | None]:
        """A three-valued test of a condition on balls."""
        if isinstance(test, BooleanTrue | BooleanFalse):
            answer = bool(test)
            return lambda values: answer
        if isinstance(test, sp.Not):
            inner = self._condition(test.args[0])

            def negation(values: list[Ball]) -> bool | None:
                truth = inner(values)
                return None if truth is None else not truth

            return negation
        if isinstance(test, sp.And | sp.Or):
            parts = [self._condition(arg) for arg in test.args]
            decisive = isinstance(test, sp.Or)

            def junction(values: list[Ball]) -> bool | None:
                truths = [part(values) for part in parts]
                if decisive in truths:
                    return decisive
                return None if None in truths else not decisive

            return junction
        if isinstance(test, sp.core.relational.Relational):
            gap = self._compile(test.lhs - test.rhs)
            return lambda values: _decide(type(test), _real(values[gap]))
        raise Unsupported(f"no ball test of the condition {test}")


def _total(values: list[Ball]) -> Ball:
    result = values[0]
    for value in values[1:]:
        result = result + value
    return result


def _product(values: list[Ball]) -> Ball:
    result = values[0]
    for value in values[1:]:
        result = result * value
    return result


def _decide(relation: Any, gap: arb) -> bool | None:
    """Whether ``gap <relation> 0`` for all points of the ball, for none, or unknown."""
    if not gap.is_finite():
        return None
    positive, negative, zero = gap > 0, gap < 0, gap == 0
    outcomes = {
        sp.StrictGreaterThan: (positive, gap <= 0),
        sp.GreaterThan: (gap >= 0, negative),
        sp.StrictLessThan: (negative, gap >= 0),
        sp.LessThan: (gap <= 0, positive),
        sp.Equality: (zero, positive or negative),
        sp.Unequality: (positive or negative, zero),
    }
    yes, no = outcomes[relation]
    if yes:
        return True
    return False if no else None
