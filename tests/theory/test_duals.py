"""A battery that every dual activation inherits, against quadrature that knows only ``expr``."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import HermiteE
from numpy.typing import NDArray
from scipy import special

from theory.dual import DualActivation, q, q11, q12, q22, z
from theory.dual_expansion import Expanded
from theory.duals import (
    DUALS,
    ABReLU,
    Cos,
    CustomDual,
    Erf,
    Exp,
    ExpNormalized,
    Gaussian,
    Hermite,
    LeakyReLU,
    Monomial,
    Polynomial,
    Rbf,
    RectifiedPower,
    Sin,
    dual,
)

Array = NDArray[np.float64]
Q = sp.Rational
COVARIANCES = ((Q(1), Q(1), Q(3, 10)), (Q(1, 2), Q(17, 10), Q(-3, 5)), (Q(6, 5), Q(4, 5), Q(9, 10)))
VARIANCES = (Q(3, 10), Q(1), Q(8, 5))
OTHERS = (
    ABReLU(-0.3, 0.7),
    ABReLU(2, 2),
    LeakyReLU(0.2),
    RectifiedPower(1),
    RectifiedPower(3),
    RectifiedPower(5),
    Erf(2, -0.7, 0.3),
    Sin(2, 0.7, 0.4),
    Cos(1.5, 0.6, 0.3),
    Rbf(0.3),
    Exp(2, 0.5),
    Gaussian(2, -0.5),
    Gaussian(1, 0.05),
    Monomial(0),
    Monomial(1),
    Monomial(4),
    Polynomial([0.1, -1, 0, 2, 0.3]),
    Hermite(0),
    Hermite(5),
)
EVERY = [pytest.param(each, id=repr(each)) for each in (*DUALS.values(), *OTHERS)]
CLOSED = [pytest.param(each, id=repr(each)) for each in (*DUALS.values(), *OTHERS) if each.closed]
OPEN = [pytest.param(each, id=repr(each)) for each in DUALS.values() if not each.closed]

MODULES: list[object] = [{"erf": special.erf, "erfc": special.erfc}, "numpy"]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(40)


def numeric(expr: sp.Expr) -> Callable[[Array], Array]:
    compiled = sp.lambdify(z, expr, MODULES)
    return lambda x: np.broadcast_to(np.asarray(compiled(x), dtype=float), x.shape)


def panels(edges: Array) -> tuple[Array, Array]:
    half = np.diff(edges)[:, None] / 2
    centre = (edges[1:] + edges[:-1])[:, None] / 2
    return (half * NODES + centre).ravel(), (half * WEIGHTS).ravel()


LINE, LINE_WEIGHTS = panels(np.linspace(-11.0, 11.0, 23))
LINE_WEIGHTS = LINE_WEIGHTS * np.exp(-(LINE**2) / 2) / math.sqrt(2 * math.pi)
RADII, RADIAL = panels(np.linspace(0.0, 11.0, 12))
RADIAL = RADIAL * RADII * np.exp(-(RADII**2) / 2) / (2 * math.pi)


def one(function: Callable[[Array], Array], variance: sp.Rational) -> float:
    """``E f(X)``; zero is a panel edge."""
    return float(np.sum(LINE_WEIGHTS * function(math.sqrt(variance) * LINE)))


def two(function: Callable[[Array], Array], case: tuple[sp.Rational, ...]) -> float:
    """``E f(X) f(Y)`` in polar coordinates, with panel edges on the lines X = 0 and Y = 0."""
    a, b, c = (float(entry) for entry in case)
    slope = c / math.sqrt(a)
    rest = math.sqrt(b - slope**2)
    turn = math.atan2(-slope, rest) % math.pi
    edges = np.sort([math.pi / 2, 3 * math.pi / 2, turn, turn + math.pi])
    angles, angular = panels(np.append(edges, edges[0] + 2 * math.pi))
    first = math.sqrt(a) * np.outer(np.cos(angles), RADII)
    second = np.outer(slope * np.cos(angles) + rest * np.sin(angles), RADII)
    return float(angular @ (function(first) * function(second)) @ RADIAL)


def same(found: sp.Expr, expected: float) -> None:
    assert float(found) == pytest.approx(expected, rel=2e-11, abs=2e-11)


# ----------------------------------------------------------------------------- the closed forms


@pytest.mark.parametrize("activation", CLOSED)
@pytest.mark.parametrize("case", COVARIANCES, ids=str)
def test_two_point_duals(activation: DualActivation, case: tuple[sp.Rational, ...]) -> None:
    same(activation.kappa(*case), two(numeric(activation.expr), case))
    same(activation.kappa_dot(*case), two(numeric(activation.derivative), case))


@pytest.mark.parametrize("activation", CLOSED)
@pytest.mark.parametrize("variance", VARIANCES, ids=str)
def test_one_point_moments(activation: DualActivation, variance: sp.Rational) -> None:
    value, slope = numeric(activation.expr), numeric(activation.derivative)
    same(activation.mean(variance), one(value, variance))
    same(activation.mean_dot(variance), one(slope, variance))
    same(activation.second_moment(variance), one(lambda x: value(x) ** 2, variance))
    same(activation.second_moment_dot(variance), one(lambda x: slope(x) ** 2, variance))


def test_the_quadrature_tells_a_wrong_constant() -> None:
    case = COVARIANCES[0]
    right = two(numeric(DUALS["relu"].expr), case)
    with pytest.raises(AssertionError):
        same(DUALS["relu"].kappa(*case) * Q(10**9 + 1, 10**9), right)


@pytest.mark.parametrize("activation", CLOSED)
def test_diagonal_and_independence_are_limits_of_kappa(activation: DualActivation) -> None:
    a, b = Q(7, 10), Q(6, 5)
    for two_point, diagonal, mean in (
        (activation.kappa, activation.second_moment, activation.mean),
        (activation.kappa_dot, activation.second_moment_dot, activation.mean_dot),
    ):
        assert sp.N(two_point(a, a, a) - diagonal(a), 40, chop=True) == pytest.approx(0, abs=1e-30)
        product = sp.N(two_point(a, b, 0) - mean(a) * mean(b), 40, chop=True)
        assert product == pytest.approx(0, abs=1e-30)


@pytest.mark.parametrize("activation", CLOSED)
def test_opposite_inputs(activation: DualActivation) -> None:
    """At correlation -1 the dual is ``E s(X) s(-X)``."""
    value = numeric(activation.expr)
    expected = one(lambda x: value(x) * value(-x), Q(9, 10))
    same(activation.kappa(Q(9, 10), Q(9, 10), Q(-9, 10)), expected)


@pytest.mark.parametrize("activation", CLOSED)
def test_price_at_high_precision(activation: DualActivation) -> None:
    """``d kappa / d q12 = kappa_dot``; a jump adds what the a.e. derivative does not see."""
    point = {q11: Q(3, 4), q22: Q(5, 4), q12: Q(2, 5)}
    gap = sp.N((activation.kappa().diff(q12) - activation.kappa_dot()).subs(point), 40)
    assert (abs(gap) < 1e-30) == activation.weakly_differentiable


# -------------------------------------------------------------------------------- Hermite series


@pytest.mark.parametrize("activation", EVERY)
def test_hermite_coefficients(activation: DualActivation) -> None:
    value = numeric(activation.expr)
    for order in range(7):
        weight = HermiteE.basis(order)(LINE) / math.sqrt(math.factorial(order))
        expected = float(LINE_WEIGHTS @ (value(math.sqrt(0.8) * LINE) * weight))
        found = activation.hermite(order, Q(4, 5))
        if found.has(sp.Integral):
            with mpmath.workdps(20):
                body = sp.lambdify(z, found.atoms(sp.Integral).pop().function, "mpmath")
                factor = found / found.atoms(sp.Integral).pop()
                found = factor.evalf(20) * sp.Float(mpmath.quad(body, [-12, -4, 0, 4, 12]))
        same(found, expected)


@pytest.mark.parametrize("activation", CLOSED)
def test_the_tail_bounds_the_error_of_the_expansion(activation: DualActivation) -> None:
    case, order = COVARIANCES[0], 8
    error = abs(sp.N(activation.kappa(*case) - activation.expansion(order, *case), 30))
    assert error <= sp.N(activation.expansion_error(order, *case), 30) + Q(1, 10**25)
    assert sp.N(activation.tail(order, Q(1)), 30) >= -Q(1, 10**25)


@pytest.mark.parametrize("name", ["sin", "exp", "gelu", "erf", "gaussian"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_the_tail_is_bounded_in_advance(name: str, times: int) -> None:
    activation = DUALS[name]
    bound = activation.smooth_tail(4, times, Q(1, 2))
    integral = bound.atoms(sp.Integral).pop()
    size = (bound / integral) * one(
        numeric(integral.function * sp.sqrt(2 * sp.pi) * sp.exp(z**2 / 2)), Q(1)
    )
    assert float(size) >= float(sum(activation.hermite(n, Q(1, 2)) ** 2 for n in range(5, 9)))


@pytest.mark.parametrize("activation", OPEN)
def test_what_has_no_closed_form_is_an_integral(activation: DualActivation) -> None:
    assert activation.kappa().has(sp.Integral)
    assert activation.kappa_dot().has(sp.Integral)
    derived = numeric(activation.expr.diff(z) - activation.derivative)
    assert np.max(np.abs(derived(np.linspace(-20, 20, 101)))) < 1e-12
    for found, function in (
        (activation.mean(Q(4, 5)), activation.expr),
        (activation.mean_dot(Q(4, 5)), activation.derivative),
    ):
        if not found.has(sp.Integral):
            same(found, one(numeric(function), Q(4, 5)))


@pytest.mark.parametrize("activation", OPEN)
def test_the_strip_bound_of_the_trapezoidal_rule(activation: Expanded) -> None:
    variance, step, height = Q(4, 5), Q(1, 2), Q(3, 2)
    flat, slope = (float(m) for m in activation.majorant(sp.sqrt(variance) * height))
    function = sp.lambdify(z, activation.expr, "numpy")
    for y in np.linspace(0, math.sqrt(variance) * 1.5, 7):
        x = np.linspace(-12, 12, 401)
        assert np.all(np.abs(function(x + 1j * y)) <= (flat + slope * np.abs(x)) * (1 + 1e-12))
    for order in (0, 1, 4):
        grid: Array = float(step) * np.arange(-30.0, 31.0, dtype=np.float64)
        weight = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi) * grid**order
        value = numeric(activation.expr)
        total = float(step) * np.sum(weight * value(math.sqrt(variance) * grid))
        exact = float(LINE_WEIGHTS @ (value(math.sqrt(variance) * LINE) * LINE**order))
        bound = float(activation.quadrature_error(step, height, order, variance))
        assert abs(total - exact) <= bound < 1.0
    with pytest.raises(ValueError, match="height"):
        activation.quadrature_error(step, 4, 0, Q(1))
    with pytest.raises(ValueError, match="order"):
        activation.quadrature_error(step, height, -1)


# ------------------------------------------------------------------------------------ properties


@pytest.mark.parametrize("activation", EVERY)
def test_declared_properties(activation: DualActivation) -> None:
    value = numeric(activation.expr)
    x = np.linspace(0.05, 4.0, 80)
    even = np.allclose(value(-x), value(x), rtol=1e-12)
    odd = np.allclose(value(-x), -value(x), rtol=1e-12)
    assert activation.parity == ("even" if even else "odd" if odd else None)
    if activation.degree is not None:
        k = float(activation.degree)
        both = np.concatenate([-x, x])
        assert np.allclose(value(3 * both), 3**k * value(both), rtol=1e-12)
        assert activation.kappa(4, 9, 1).equals(
            6**activation.degree * activation.kappa(1, 1, Q(1, 6))
        )
    jump = abs(float(value(np.array([1e-9]))[0] - value(np.array([-1e-9]))[0]))
    assert activation.weakly_differentiable == (jump < 1e-6)


@pytest.mark.parametrize("activation", EVERY)
def test_an_expression_is_read_as_what_it_is(activation: DualActivation) -> None:
    """A custom activation of the same expression has the same declared properties."""
    custom = CustomDual(activation.expr)
    assert custom.parity == activation.parity
    assert custom.degree == activation.degree
    assert custom.kinks == activation.kinks
    assert custom.weakly_differentiable == activation.weakly_differentiable
    x = np.array([-1.3, -0.2, 0.4, 2.1])
    assert np.allclose(numeric(custom.derivative)(x), numeric(activation.derivative)(x))


@settings(max_examples=30)
@given(st.integers(-40, 40), st.integers(-40, 40), st.integers(1, 30), st.integers(-29, 29))
def test_leaky_family_by_scaling(a: int, b: int, size: int, shift: int) -> None:
    """``kappa`` of slopes (a, b): symmetric, and bounded by the diagonal."""
    activation = ABReLU(Q(a, 10), Q(b, 10))
    left, right = Q(size, 10), Q(31, 10)
    c = Q(shift, 30) * sp.sqrt(left * right)
    value = float(activation.kappa(left, right, c))
    assert value == pytest.approx(float(activation.kappa(right, left, c)), abs=1e-12)
    bound = math.sqrt(float(activation.second_moment(left) * activation.second_moment(right)))
    assert abs(value) <= bound * (1 + 1e-12)
    assert activation.kappa() == ABReLU(Q(-b, 10), Q(-a, 10)).kappa()


@settings(max_examples=20)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=7), st.integers(-9, 9))
def test_polynomials_by_moments(terms: list[int], tenth: int) -> None:
    """Against the moments of X and Y = rho X + sqrt(1 - rho^2) W, term by term."""
    rho = Q(tenth, 10)
    x, w = sp.symbols("x w")
    activation = Polynomial(terms)
    other = activation.expr.subs(z, rho * x + sp.sqrt(1 - rho**2) * w)
    product = sp.Poly(sp.expand(activation.expr.subs(z, x) * other), x, w)
    moment = sum(
        weight * sp.factorial2(i - 1) * sp.factorial2(j - 1)
        for (i, j), weight in product.terms()
        if i % 2 == 0 and j % 2 == 0
    )
    assert sp.simplify(activation.kappa(1, 1, rho) - moment) == 0


# ------------------------------------------------------------------------------ the kernel map


def test_exp_normalized_is_a_map_without_an_activation() -> None:
    kernel = dual("exp_normalized", gamma=2, shift=0)
    assert isinstance(kernel, ExpNormalized)
    assert kernel.kappa(1, 4, 1) == 2 * sp.E
    assert sp.simplify(kernel.kappa().diff(q12) - kernel.kappa_dot()) == 0
    assert kernel.second_moment(3) == kernel.kappa(3, 3, 3)
    error = kernel.kappa(1, 2, Q(1, 2)) - kernel.expansion(14, 1, 2, Q(1, 2))
    assert abs(sp.N(error, 30)) < 1e-10
    for use in (lambda: kernel.expr, lambda: kernel.derivative):
        with pytest.raises(ValueError, match="no elementwise expression"):
            use()
    with pytest.raises(ValueError, match="gamma"):
        ExpNormalized(0)


# -------------------------------------------------------------------------------------- custom


def test_a_callable_on_symbols_is_a_formula() -> None:
    assert dual(lambda x: x * abs(x)) == dual(z * sp.Abs(z))
    assert dual(sp.tanh).expr == sp.tanh(z)
    assert dual(lambda x: 2).expr == 2
    assert dual(sp.Symbol("x") ** 2).expr == z**2


def test_a_numeric_callable_has_no_formula() -> None:
    activation = dual(np.tanh, parity="odd", kinks=[0, 1], weakly_differentiable=True, degree=None)
    assert isinstance(activation, CustomDual)
    assert activation.function is np.tanh
    assert (activation.parity, activation.kinks) == ("odd", (0, 1))
    for use in (
        activation.kappa,
        activation.kappa_dot,
        activation.second_moment,
        activation.mean_dot,
    ):
        with pytest.raises(ValueError, match="no formula"):
            use()


def test_what_sympy_cannot_settle_is_left_open() -> None:
    wild = dual(sp.Abs(sp.sin(z)))  # infinitely many kinks
    assert wild.parity is None
    assert not wild.weakly_differentiable
    assert not dual(sp.sqrt(sp.Abs(z))).weakly_differentiable  # unbounded slope
    clipped = dual(sp.Min(sp.Max(z, -1), 2))
    assert clipped.kinks == (-1, 2)
    assert clipped.weakly_differentiable
    assert clipped.derivative.subs(z, 0) == 1
    assert clipped.derivative.subs(z, 3) == 0


@pytest.mark.parametrize(
    ("value", "parameters", "error", "message"),
    [
        ("relv", {}, ValueError, "value must be one of"),
        ("relu", {"alpha": 1}, ValueError, "parameters of 'relu'"),
        (ABReLU(1, 2), {"a": 1}, ValueError, "parameters must be empty"),
        (z + sp.Symbol("s"), {}, ValueError, "one symbol"),
        (z, {"slope": 1}, ValueError, "properties"),
        (z, {"parity": "neither"}, ValueError, "parity"),
        (3, {}, TypeError, "value must be"),
        (lambda x: np.sum(np.tanh(x)), {}, ValueError, "keep the shape"),
        (lambda x: math.tanh(x), {}, TypeError, "NumPy"),
    ],
)
def test_refusals(value: object, parameters: dict[str, object], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        dual(value, **parameters)


def test_more_refusals() -> None:
    with pytest.raises(TypeError, match="p must"):
        RectifiedPower(1.5)
    with pytest.raises(ValueError, match="p must"):
        Monomial(-1)
    with pytest.raises(ValueError, match="order"):
        Hermite(-2)
    with pytest.raises(ValueError, match="coefficients"):
        Polynomial([])
    with pytest.raises(TypeError, match="coefficients"):
        Polynomial("12")
    with pytest.raises(TypeError, match="coefficients"):
        Polynomial([None])
    with pytest.raises(TypeError, match="alpha"):
        LeakyReLU(None)
    with pytest.raises(ValueError, match="gamma"):
        Rbf(-1)
    with pytest.raises(ValueError, match="a must be a variance"):
        DUALS["relu"].kappa(-1, 1, 0)
    with pytest.raises(ValueError, match="c must satisfy"):
        DUALS["relu"].kappa(1, 1, 2)
    with pytest.raises(ValueError, match=r"b must be below 1/4"):
        Gaussian(1, 1).kappa(Q(1, 8), Q(1, 4), 0)
    with pytest.raises(TypeError, match="activation"):
        CustomDual("relu")
    with pytest.raises(ValueError, match="z alone"):
        CustomDual(sp.Symbol("z"))
    for each in (DUALS["tanh"], DUALS["relu"], DUALS["erf"], DUALS["polynomial"], DUALS["sin"]):
        with pytest.raises(ValueError, match="order"):
            each.hermite(-1)
    with pytest.raises(ValueError, match="order"):
        DUALS["tanh"].tail(-1)
    with pytest.raises(TypeError, match="order"):
        DUALS["tanh"].expansion(1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="times"):
        DUALS["tanh"].smooth_tail(2, 4)
    with pytest.raises(ValueError, match="not smooth"):
        DUALS["relu"].smooth_tail(2, 1)


# ------------------------------------------------------------------------------------- registry


@pytest.mark.parametrize("name", DUALS)
def test_registry(name: str) -> None:
    activation = DUALS[name]
    assert dual(name) is activation
    assert dual(activation) is activation
    given_again = {each: getattr(activation, each) for each in activation.parameters}
    again = dual(name, **given_again)
    assert again == activation
    assert hash(again) == hash(activation)
    assert activation != ABReLU(7, 8)
    assert type(activation).__name__ in repr(activation)
    assert activation._repr_latex_().startswith("$")
    assert activation.expr.free_symbols <= {z}
    assert activation.second_moment().free_symbols <= {q}


@pytest.mark.parametrize(
    ("power", "expected"), [(sp.Rational(3, 2), True), (sp.Rational(1, 2), False), (1, True)]
)
def test_the_slope_at_a_kink_is_a_limit(power: sp.Expr, expected: bool) -> None:
    assert dual(sp.Abs(z) ** power).weakly_differentiable is expected
