"""Rewriting rules, and values at the ends of a domain: what they give, and what they refuse."""

from __future__ import annotations

import pytest
import sympy as sp

from theory.boundary import boundary_value
from theory.checks import separate
from theory.laws import Laplace
from theory.rewrite import bessel_basis, linearise, peel, restrict, vanishes
from theory.special import StruveL

Q = sp.Rational
X = sp.Symbol("x", positive=True)
Y = sp.Symbol("y", real=True)
U, C = sp.Symbol("u"), sp.Symbol("c", positive=True)
N = sp.Symbol("n", integer=True, positive=True)
L = sp.Symbol("l", integer=True, positive=True)
F = sp.Function("F")


@pytest.mark.parametrize("order", [-4, -2, 2, 5])
def test_bessel_basis_has_two_orders(order: int) -> None:
    found = bessel_basis(sp.besselk(order, X) + StruveL(order, X))
    assert {f.args[0] for f in found.atoms(sp.besselk)} <= {0, 1}
    assert {f.args[0] for f in found.atoms(StruveL)} <= {-1, 0}
    for point in (Q(1, 2), Q(3)):
        assert separate(
            found.subs(X, point), (sp.besselk(order, point) + StruveL(order, point))
        ) is (None)


def test_linearise_and_peel() -> None:
    assert linearise(sp.Sum(C, (L, 1, N))) == C * N
    assert linearise(sp.Integral(U**2 * C, (U, 0, 2))) == Q(8, 3) * C
    assert peel(sp.Sum(F(L), (L, 1, N))) == sp.Sum(F(L), (L, 1, N))
    assert linearise(sp.Integral(F(U), U)) == sp.Integral(F(U), U)


def test_restrict() -> None:
    step = sp.Piecewise((1, Y > 2), (2, Y < -2), (3, True))
    assert restrict(step, Y, 2, sp.oo) == 1
    assert restrict(step, Y, -sp.oo, -2) == 2
    assert restrict(step, Y, -2, 2) == 3
    assert restrict(sp.Abs(Y), Y, -1, 0) == -Y
    assert restrict(Laplace().survival(Y), Y, 0, sp.oo) == sp.exp(-sp.sqrt(2) * Y) / 2


@pytest.mark.parametrize(
    ("expr", "match"),
    [
        (sp.Piecewise((1, Y > 2), (2, True)), "not decided"),
        (sp.Piecewise((1, Y**2 > 2), (2, True)), "does not compare"),
        (sp.Piecewise((1, sp.Eq(Y, 9)), (2, True)), "cannot use"),
        (sp.Piecewise((1, Y > 9)), "no branch"),
    ],
)
def test_restrict_refuses(expr: sp.Expr, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        restrict(expr, Y, 1, 3)


def test_vanishes_is_none_for_what_does_not() -> None:
    assert vanishes(X) is None
    assert vanishes(sp.Integer(0)) == "identical"


# ------------------------------------------------------------------------------ boundaries


@pytest.mark.parametrize(
    ("expr", "point", "value"),
    [
        (X * sp.besselk(0, X), 0, 0),
        (X * sp.besselk(1, X), 0, 1),
        (X**2 * sp.besselk(2, X), 0, 2),
        (sp.besselk(1, X) * StruveL(0, X), 0, 2 / sp.pi),
        (X**3 * sp.besselk(0, X), sp.oo, 0),
        (X * sp.erfc(X), sp.oo, 0),
        (sp.erfc(-X), sp.oo, 2),
        (sp.exp(-X) * X**5 + 3, sp.oo, 3),
        (sp.betainc_regularized(2, Q(1, 2), 0, 1 / (1 + X)), sp.oo, 0),
        (sp.betainc_regularized(2, Q(1, 2), 0, 1 / (1 + X)), 0, 1),
        (X ** (-C) * (1 + X**2) ** Q(0), sp.oo, 0),
        ((1 + X**2 / C) ** (-C - 1) * X**2, sp.oo, 0),
        (sp.sin(X) / X, 0, 1),
        (C + 0 * X, 0, C),
    ],
    ids=str,
)
def test_boundary_values(expr: sp.Expr, point: object, value: sp.Expr) -> None:
    found = boundary_value(expr, X, point)
    assert found is not None
    assert sp.simplify(found - value) == 0


@pytest.mark.parametrize(
    ("expr", "point"),
    [
        (sp.besselk(0, X), 0),
        (X**C, sp.oo),
        (X * (1 + X**2) ** (-C), sp.oo),  # the sign of 1 - 2 c is open
        (sp.sin(X), sp.oo),
        (StruveL(0, X) - X, sp.oo),
    ],
    ids=str,
)
def test_boundary_values_that_are_not_claimed(expr: sp.Expr, point: object) -> None:
    found = boundary_value(expr, X, point)
    assert found is None or found.is_infinite


def test_boundary_from_both_sides() -> None:
    inverse = sp.exp(-1 / Y)
    assert boundary_value(inverse, Y, 0, "+") == 0
    assert boundary_value(sp.exp(1 / Y), Y, 0, "-") == 0
    step = sp.Piecewise((1, Y < 2), (5, True))  # SymPy's own limit from below is 5
    assert boundary_value(step, Y, 2, "-") is None
    with pytest.raises(ValueError, match="side must be"):
        boundary_value(step, Y, 2, "0")
