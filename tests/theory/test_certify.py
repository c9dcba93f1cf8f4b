"""Ball arithmetic on expressions: what it encloses, what it refuses, and that it can refute."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp
from flint import acb, arb
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.ball_functions import integer_power
from theory.balls import Program, precision
from theory.certify import Unsupported, ball, decide, disjoint, enclose, integrate
from theory.special import StruveL

Q = sp.Rational
X = sp.Symbol("x", positive=True)
Y = sp.Symbol("y", real=True)
THIRD = Q(1, 3)

EXPRESSIONS = [
    sp.exp(-X) + sp.log(X),
    sp.sqrt(X) * sp.erf(X) - sp.erfc(X),
    sp.besselk(0, X) * sp.besseli(1, X),
    sp.besselk(Q(1, 3), X) + sp.besselj(2, X) + sp.bessely(0, X),
    StruveL(-1, X) + StruveL(0, X) * StruveL(2, X),
    sp.gamma(X + 1) / sp.beta(X, Q(1, 2)),
    sp.hyper([Q(1, 2), 2], [Q(3, 2)], -X),
    sp.hyper([1], [Q(3, 2), 2], X),
    sp.betainc_regularized(Q(5, 2), Q(1, 2), 0, 1 / (1 + X)),
    sp.betainc(2, 3, Q(1, 10), 1 / (1 + X)),
    sp.erfinv(1 / (1 + X)) + sp.tanh(X) + sp.atan(X),
    X ** Q(7, 3) + X**-3 + X**X,
    sp.Max(X, 1) - sp.Min(X, Q(1, 2), 3) + sp.Abs(1 - X) + sp.sign(X - 5),
    sp.Piecewise((X, X > 3), (X**2, (X > 1) & (X <= 3)), (sp.pi, True)),
    sp.loggamma(X)
    + sp.digamma(X)
    + sp.polygamma(2, X)
    + sp.acosh(1 + X)
    + sp.asinh(X)
    + sp.factorial(X),
    sp.uppergamma(2, X) + sp.lowergamma(Q(1, 2), X) + sp.erf2(X, 2 * X) + sp.Heaviside(X),
    sp.EulerGamma + sp.Catalan * sp.GoldenRatio + sp.E**X,
]


@pytest.mark.parametrize("expr", EXPRESSIONS, ids=str)
@pytest.mark.parametrize("value", [Q(1, 7), Q(3, 2), Q(4)])
def test_encloses_what_sympy_evaluates(expr: sp.Expr, value: sp.Expr) -> None:
    found = enclose(expr, {X: value}, prec=100)
    exact = expr.subs(X, value).evalf(45)
    with precision(160):
        reference = ball(exact, 160)
        assert found.rad() < arb(2) ** -60
        assert abs(found - reference) < arb(10) ** -24


@settings(max_examples=25)
@given(st.integers(1, 400), st.integers(1, 60))
def test_an_interval_holds_the_values_inside(start: int, width: int) -> None:
    low, high = Q(start, 100), Q(start + width, 100)
    for expr in EXPRESSIONS:
        wide = enclose(expr, {X: (low, high)}, prec=64)
        for value in (low, (low + high) / 2, high):
            point = enclose(expr, {X: value}, prec=64)
            assert not wide.is_finite() or wide.overlaps(point)


def test_cancellation_raises_the_precision() -> None:
    tiny = sp.exp(-X) * (1 - sp.tanh(X))
    found = enclose(tiny, {X: 60}, prec=64)
    assert found.rel_accuracy_bits() >= 60


@pytest.mark.parametrize("value", [Q(1, 50), Q(3), Q(400)])
def test_second_bessel_function_by_its_wronskian(value: sp.Expr) -> None:
    # 1200 bits at x = 400 lie where flint's own routine takes half a minute.
    found = enclose(sp.besselk(1, X), {X: value}, prec=1200)
    assert found.rel_accuracy_bits() >= 1200
    with mpmath.workprec(160):
        exact = mpmath.besselk(1, mpmath.mpf(value.p) / value.q)
        reference = ball(sp.Float(exact, precision=160), 200)
    assert abs(found / reference - 1) < 1e-14


def test_a_branch_that_is_not_decided_gives_the_hull() -> None:
    expr = sp.Piecewise((0, Y < 0), (1, True))
    hull = enclose(expr, {Y: (-1, 1)})
    assert hull.contains(0)
    assert hull.contains(1)
    assert enclose(expr, {Y: (1, 2)}) == 1


def test_no_branch_applies() -> None:
    assert not enclose(sp.Piecewise((1, Y > 0)), {Y: -1}).is_finite()


def test_three_valued_conditions() -> None:
    expr = sp.Piecewise((1, sp.Or(Y < 0, Y > 5)), (2, sp.Not(sp.And(Y > 1, Y < 2))), (3, True))
    assert enclose(expr, {Y: -1}) == 1
    assert enclose(expr, {Y: 3}) == 2
    assert enclose(expr, {Y: Q(3, 2)}) == 3


def test_floats_are_exact_dyadic_numbers() -> None:
    assert disjoint(enclose(sp.Float(0.1)), enclose(Q(1, 10)))
    assert enclose(sp.Float(0.1), prec=200).contains(ball(Q(0.1), 300))


def test_disjoint_needs_finite_balls() -> None:
    assert disjoint(arb(1), arb(2))
    assert not disjoint(arb(1), arb("nan"))
    assert not disjoint(arb(0, 1), arb(0.5))


@pytest.mark.parametrize(
    ("expr", "env", "match"),
    [
        (sp.zeta(X), {X: 2}, "zeta"),
        (X + Y, {X: 2}, "no value given for y"),
        (sp.Function("f")(X), {X: 1}, "no ball implementation of f"),
        (sp.Piecewise((1, sp.Symbol("b", bool=True)), (2, True)), {}, "condition"),
    ],
)
def test_refuses_by_name(expr: sp.Expr, env: dict[sp.Symbol, int], match: str) -> None:
    with pytest.raises(Unsupported, match=match):
        enclose(expr, env)


@pytest.mark.parametrize("pair", [(2, 1), (1, 2, 3)])
def test_bad_intervals(pair: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="interval"):
        ball(pair)


# ------------------------------------------------------------------------------- integrals


@pytest.mark.parametrize(
    ("expr", "low", "high", "exact"),
    [
        (sp.exp(-(Y**2)), -2, 3, sp.sqrt(sp.pi) / 2 * (sp.erf(3) + sp.erf(2))),
        (sp.Abs(Y), -1, 2, Q(5, 2)),
        (sp.sqrt(X), 0, 4, Q(16, 3)),
        (sp.log(X), 1, 2, 2 * sp.log(2) - 1),
        (sp.Piecewise((1, THIRD > Y), (Y, True)), 0, 1, Q(1, 3) + Q(4, 9)),
        (sp.besselk(1, X), 1, 5, sp.besselk(0, 1) - sp.besselk(0, 5)),
        (sp.atan(Y), 0, 1, sp.pi / 4 - sp.log(2) / 2),
        (sp.Max(Y, 0), -1, 1, Q(1, 2)),
    ],
    ids=str,
)
def test_integrals(expr: sp.Expr, low: int, high: int, exact: sp.Expr) -> None:
    variable = next(iter(expr.free_symbols))
    area = integrate(expr, variable, low, high, tolerance=Q(1, 10**9))
    assert area.rad() < 1e-9
    assert area.overlaps(enclose(exact))
    assert disjoint(area, enclose(exact * Q(21, 20) + Q(1, 1000)))


def test_an_integral_with_an_interval_parameter_holds_both_ends() -> None:
    area = integrate(sp.exp(-X * Y), Y, 0, 1, {X: (1, Q(11, 10))})
    for value in (Q(1), Q(11, 10)):
        assert area.overlaps(enclose((1 - sp.exp(-value)) / value))


def test_integrals_need_finite_ends() -> None:
    with pytest.raises(ValueError, match="a and b must be finite"):
        integrate(sp.exp(-X), X, 0, sp.oo)


def test_inverse_functions_are_real_only() -> None:
    program = Program(sp.erfinv(X))
    assert program.run({X: acb(0.5)}).real.overlaps(arb(0.5).erfinv())
    assert not program.run({X: acb(0.5, 0.1)}, True).is_finite()


@pytest.mark.parametrize(
    "expr",
    [
        sp.besselk(0, X),
        sp.acosh(X),
        sp.loggamma(X),
        sp.hyper([1, 2], [3], X + 3),
        sp.betainc_regularized(2, 3, 0, X),
        sp.Piecewise((1, X < THIRD), (2, True)),
        StruveL(Q(1, 2), X),
    ],
    ids=str,
)
def test_not_analytic_across_a_cut(expr: sp.Expr) -> None:
    across = acb(arb(0, 0.5), arb(0, 0.5))
    assert not Program(expr).run({X: across}, True).is_finite()


# ----------------------------------------------------------------------------- inequalities


def test_decide_proves_and_refutes() -> None:
    box = {X: (Q(1, 10), 5)}
    assert decide(sp.besselk(1, X) - sp.besselk(0, X), box).truth is True
    refuted = decide(sp.besselk(1, X) - 2 * sp.besselk(0, X), box)
    assert refuted.truth is False
    assert refuted.witness is not None


def test_decide_in_two_dimensions() -> None:
    expr = X**2 + Y**2 - X * Y + Q(1, 100)
    assert decide(expr, {X: (-1, 1), Y: (-1, 1)}).truth is True
    assert decide(expr - Q(1, 10), {X: (-1, 1), Y: (-1, 1)}).truth is False


def test_decide_cannot_prove_what_touches_zero_strictly() -> None:
    answer = decide((Y - Q(1, 3)) ** 2, {Y: (0, 1)}, strict=True, budget=60)
    assert answer.truth is not True


def test_decide_ends_with_its_budget() -> None:
    answer = decide((Y - Q(1, 3)) ** 2 + sp.exp(-200), {Y: (0, 1)}, budget=20)
    assert answer.truth is None
    assert answer.boxes >= 20


def test_decide_wants_every_symbol() -> None:
    with pytest.raises(Unsupported, match="no interval given for y"):
        decide(X + Y, {X: (0, 1)})


def test_decide_across_a_jump_does_not_use_slopes() -> None:
    step = sp.Piecewise((-1, THIRD > Y), (1, True))
    assert decide(step + Q(1, 2), {Y: (0, 1)}).truth is False
    assert decide(step + 2, {Y: (0, 1)}).truth is True


@given(st.integers(-30, 30), st.integers(0, 30), st.integers(-4, 6))
def test_integer_powers_of_intervals(low: int, width: int, exponent: int) -> None:
    interval = ball((Q(low, 7), Q(low + width, 7)))
    if exponent < 0 and interval.contains(0):
        return
    power = integer_power(interval, exponent)
    for i in range(5):
        value = Q(low, 7) + Q(width * i, 28)
        if value or exponent > 0:
            assert power.overlaps(ball(value**exponent))


def test_precision_is_restored() -> None:
    from flint import ctx

    before = ctx.prec
    with pytest.raises(ZeroDivisionError), precision(300):
        raise ZeroDivisionError
    assert ctx.prec == before
    assert mpmath.mp.prec > 0
