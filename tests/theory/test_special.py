"""Bessel-Struve densities: three implementations against one another and against their meaning."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.core.function import ArgumentIndexError

from theory.certify import disjoint, enclose, integrate
from theory.special import (
    StruveL,
    path_density,
    path_density_mp,
    path_density_values,
    row_density,
    row_density_mp,
    row_density_values,
)

Q = sp.Rational
X = sp.Symbol("x", positive=True)
Z = sp.Symbol("z", positive=True)


# --------------------------------------------------------------------------- Struve function


@pytest.mark.parametrize("order", [-1, 0, 1, 3, Q(1, 2)])
@pytest.mark.parametrize("value", [Q(1, 5), Q(2), Q(15)])
def test_struve_agrees_in_mpmath_and_balls(order: sp.Expr, value: sp.Expr) -> None:
    with mpmath.workdps(30):
        exact = (
            mpmath.struvel(mpmath.mpf(sp.Rational(order).p) / sp.Rational(order).q, value.p)
            if (value.is_Integer)
            else mpmath.struvel(
                mpmath.mpf(sp.Rational(order).p) / sp.Rational(order).q,
                mpmath.mpf(value.p) / value.q,
            )
        )
        found = StruveL(order, value).evalf(25)
        assert abs(mpmath.mpf(str(found)) - exact) < 1e-20 * abs(exact)
        ball = enclose(StruveL(order, value))
        assert abs(float(ball.mid()) - float(exact)) <= 1e-12 * abs(float(exact))


@pytest.mark.parametrize("order", [-3, -2, -1, 0, 1, 2])
def test_struve_derivative_stays_exact(order: int) -> None:
    slope = sp.diff(StruveL(order, X), X)
    at = Q(7, 5)
    found = enclose(slope.subs(X, at), prec=200)
    with mpmath.workdps(40):
        numeric = mpmath.diff(lambda s: mpmath.struvel(order, s), mpmath.mpf(7) / 5)
        assert abs(mpmath.mpf(found.mid().str(30, radius=False)) - numeric) < 1e-15


def test_struve_at_zero_and_its_latex() -> None:
    assert StruveL(0, 0) == 0
    assert StruveL(-1, 0) == 2 / sp.pi
    assert sp.latex(StruveL(-1, X)) == r"\mathbf{L}_{-1}\left(x\right)"
    assert sp.latex(StruveL(0, X) ** 2) == r"\mathbf{L}_{0}^{2}\left(x\right)"
    assert StruveL(0, X).is_real
    with pytest.raises(ArgumentIndexError):
        StruveL(0, X).fdiff(1)


@pytest.mark.parametrize("modules", [["scipy", "numpy"], "mpmath"])
def test_struve_lambdifies(modules: object) -> None:
    call = sp.lambdify(X, row_density(X), modules)
    assert abs(float(call(2.0)) - float(row_density_mp(2))) < 1e-13


# ------------------------------------------------------------------------------- densities


@pytest.mark.parametrize("x", [Q(1, 1000), Q(1, 3), Q(1), Q(4), Q(20)])
def test_closed_forms_are_the_integrals(x: sp.Expr) -> None:
    far = x + 60
    for closed, area, rest in (
        (row_density(x), 2 / sp.pi * sp.besselk(0, Z), row_density(far)),
        (path_density(x), 2 / sp.pi * Z * sp.besselk(1, Z), path_density(far)),
    ):
        found = integrate(area, Z, x, far, tolerance=Q(1, 10**14))
        assert found.overlaps(enclose(closed - rest))
        assert disjoint(found, enclose(Q(21, 20) * closed)) or x == 20


@pytest.mark.parametrize("x", [0, 1e-300, 1e-6, 0.3, 1, 5, 30, 200, 600])
def test_values_have_full_relative_accuracy(x: float) -> None:
    with mpmath.workdps(25):
        row, path = float(row_density_mp(x)), float(path_density_mp(x))
    np.testing.assert_allclose(row_density_values([x])[0], row, rtol=2e-15)
    np.testing.assert_allclose(path_density_values([x])[0], path, rtol=2e-15)


def test_three_evaluations_agree() -> None:
    for x in (Q(1, 7), Q(5, 2), Q(40)):
        ball = enclose(row_density(x))
        assert abs(float(ball.mid()) / float(row_density_mp(float(x))) - 1) < 1e-13
        assert abs(float(row_density(x).evalf(30)) / float(ball.mid()) - 1) < 1e-14
        other = enclose(path_density(x))
        assert abs(float(path_density(x).evalf(30)) / float(other.mid()) - 1) < 1e-14


def test_precision_follows_mpmath() -> None:
    with mpmath.workdps(60):
        long = row_density_mp(mpmath.mpf(3))
    with mpmath.workdps(15):
        short = row_density_mp(mpmath.mpf(3))
    with mpmath.workdps(60):
        assert abs(long - short) < 1e-16
        wanted = 1 - 2 / mpmath.pi * mpmath.quad(lambda s: mpmath.besselk(0, s), [0, 0.1, 1, 3])
        assert abs(long - wanted) < 1e-30


def test_ends() -> None:
    assert row_density(0) == 1
    assert path_density(0) == 1
    assert row_density(sp.oo) == 0
    assert path_density(sp.oo) == 0
    assert row_density_mp(mpmath.inf) == 0
    assert path_density_mp(0) == 1
    np.testing.assert_array_equal(row_density_values([np.inf, 0.0, 1e5]) > 0, [0, 1, 0])
    assert path_density_values(np.inf) == 0


def test_meaning_by_simulation_free_identity() -> None:
    """``E[D(tau/r)]`` weights: the a^2-average of what is kept exceeds the plain average."""
    x = np.linspace(0.01, 30, 200)
    row, path = row_density_values(x), path_density_values(x)
    assert np.all(path > row)
    assert np.all(np.diff(row) < 0)
    assert np.all(np.diff(path) < 0)


@settings(max_examples=60)
@given(st.lists(st.floats(0, 500), min_size=1, max_size=20))
def test_values_keep_the_shape_and_the_bounds(points: list[float]) -> None:
    array = np.array(points)[:, None] * np.ones((1, 2))
    for function in (row_density_values, path_density_values):
        values = function(array)
        assert values.shape == array.shape
        assert values.dtype == np.float64
        assert np.all((values >= 0) & (values <= 1 + 1e-15))


def test_many_points_in_pieces() -> None:
    x = np.linspace(0, 10, 10_001)
    whole = row_density_values(x)
    np.testing.assert_array_equal(whole[::1000], row_density_values(x[::1000]))


@pytest.mark.parametrize("value", [-1, -1e-9])
def test_negative_arguments_are_refused(value: float) -> None:
    for function in (row_density, path_density, row_density_mp, path_density_mp):
        with pytest.raises(ValueError, match="x must be non-negative"):
            function(value)
    for array_function in (row_density_values, path_density_values):
        with pytest.raises(ValueError, match="x must be non-negative"):
            array_function([1.0, value])
        with pytest.raises(ValueError, match="x must be non-negative"):
            array_function([np.nan])
