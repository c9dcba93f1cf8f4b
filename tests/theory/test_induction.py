"""Induction over families that are only given by a recurrence, unrolling, and bound variables."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory.derivation import Induction, Status

N = sp.Symbol("n", integer=True, positive=True)
L = sp.Symbol("l", integer=True, positive=True)
U, V = sp.symbols("u v", nonnegative=True)
C = sp.Symbol("c", positive=True)
F, G, H = (sp.Function(name, positive=True) for name in "FGH")
W = sp.Function("W", positive=True)


def doubled(factor: sp.Expr) -> Induction:
    """F(n + 1) = c F(n)^1 beside G(n + 1) = G(n) * H(n): claim F = factor * G."""
    return Induction(
        N,
        sp.Eq(F(N), factor * G(N), evaluate=False),
        {F(1): C * H(1)},
        {F(N + 1): C * H(N + 1) * F(N)},
        given={G(1): H(1), G(N + 1): H(N + 1) * G(N)},
    )


def test_a_multiple_of_a_family_that_is_not_solved() -> None:
    assert doubled(C**N).run().status is Status.PROVED


@pytest.mark.parametrize("wrong", [C, C ** (N + 1), N * C**N, sp.Rational(21, 20) * C**N])
def test_wrong_multiples_are_refuted(wrong: sp.Expr) -> None:
    assert doubled(wrong).run().status is Status.FAILED


def test_without_the_definition_nothing_is_proved() -> None:
    bare = Induction(
        N,
        sp.Eq(F(N), C**N * G(N), evaluate=False),
        {F(1): C * G(1)},
        {F(N + 1): C * H(N + 1) * F(N)},
    )
    assert bare.run().status is not Status.PROVED


def paths(factor: sp.Expr) -> Induction:
    """Path densities through arbitrary kernels, at a position."""
    return Induction(
        N,
        sp.Eq(F(N, V), factor * G(N, V), evaluate=False),
        {F(1, V): C * W(1, V)},
        {F(N + 1, V): sp.Integral(W(N + 1, U, V) * F(N, U), (U, 0, 1))},
        given={
            G(1, V): W(1, V),
            G(N + 1, V): sp.Integral(W(N + 1, U, V) * G(N, U), (U, 0, 1)),
        },
    )


def test_families_with_positions() -> None:
    assert paths(C).run().status is Status.PROVED
    assert paths(C**N).run().status is Status.FAILED


def test_unrolling_renames_bound_variables() -> None:
    (third,) = paths(C).unrolled(3)
    outer = third.lhs
    assert isinstance(outer, sp.Integral)
    assert outer.free_symbols == {C, V}
    inner = outer.function.atoms(sp.Integral).pop()
    assert inner.variables != outer.variables
    assert outer.has(W(2, inner.variables[0], outer.variables[0]))  # not W(2, u, u)


def test_a_failing_step_refutes_only_at_a_depth_where_the_claim_is_false() -> None:
    # F(n) = 1 for all n, but 1 = (2 - 1/F) needs more than F = 1 at the step's free G
    weak = Induction(
        N,
        sp.Eq(F(N), G(N), evaluate=False),
        {F(1): 1},
        {F(N + 1): F(N) ** 2},
        given={G(1): sp.S.One, G(N + 1): G(N)},
    )
    assert all(check.run().status is Status.PROVED for check in weak.base())
    assert any(check.run().status is Status.FAILED for check in weak.step())
    found = weak.run()
    assert found.status is Status.UNDECIDED
    assert "no depth" in found.detail


def test_sums_and_products_over_a_known_range_are_written_out() -> None:
    claim = sp.Eq(F(N), sp.Sum(H(L), (L, 1, N)), evaluate=False)
    check = Induction(N, claim, {F(1): H(1)}, {F(N + 1): F(N) + H(N + 1)})
    assert check.run().status is Status.PROVED
    claim = sp.Eq(F(N), sp.Product(H(L), (L, 1, N - 1)), evaluate=False)
    check = Induction(N, claim, {F(1): H(1)}, {F(N + 1): F(N) * H(N + 1)})
    assert check.run().status is Status.FAILED


@given(st.integers(1, 4), st.fractions(0, 2, max_denominator=7))
def test_unrolled_values_are_the_recurrence(depth: int, start: object) -> None:
    check = Induction(N, sp.Eq(F(N), N), {F(1): start}, {F(N + 1): 2 * F(N) + N})
    value = sp.Rational(start)
    for at in range(1, depth):
        value = 2 * value + at
    assert check.unrolled(depth)[0].lhs == value


def test_refusals() -> None:
    with pytest.raises(ValueError, match="depth must be at least 1"):
        doubled(C**N).unrolled(0)
    with pytest.raises(ValueError, match="given must define families that are not claimed"):
        Induction(N, sp.Eq(F(N), 1), {F(1): 1}, {F(N + 1): F(N)}, given={F(1): 1})
    with pytest.raises(ValueError, match="given must define"):
        Induction(N, sp.Eq(F(N), 1), {F(1): 1}, {F(N + 1): F(N)}, given={C: 1})
    with pytest.raises(ValueError, match="given must not refer"):
        Induction(N, sp.Eq(F(N), 1), {F(1): 1}, {F(N + 1): F(N)}, given={G(1): F(1)})
    for head, value in ((G(N), 1), (G(N + 1, U**2), 1), (G(N + 1, N + 1), 1)):
        with pytest.raises(ValueError, match="given must be at n"):
            Induction(N, sp.Eq(F(N), 1), {F(1): 1}, {F(N + 1): F(N)}, given={head: value})
    with pytest.raises(ValueError, match="by itself"):
        Induction(N, sp.Eq(F(N), 1), {F(1): 1}, {F(N + 1): F(N)}, given={G(N + 1): 1 + G(N + 1)})
