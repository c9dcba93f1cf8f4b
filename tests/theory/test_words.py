"""Identities between matrices of any size: proofs by rewriting, disproofs by example."""

from __future__ import annotations

import pytest
import sympy as sp

from theory.derivation import Status
from theory.words import MatrixIdentity, matrices, transpose, value

H, Ht, K, W = matrices("H H^T K W")
a = sp.Symbol("a")
h = sp.Matrix([[1, 2, 0], [0, 1, 1]])
EXAMPLE = {H: h, Ht: h.T, K: (h * h.T).inv(), W: sp.diag(1, 2, 3), a: sp.Integer(3)}
FACTS = ((H * Ht * K, sp.S.One), (K * H * Ht, sp.S.One))
PROJECTION = Ht * K * H


def status(lhs: object, rhs: object) -> Status:
    return MatrixIdentity(lhs, rhs, FACTS, EXAMPLE).run().status


def test_a_projection_is_one() -> None:
    assert status(PROJECTION**2, PROJECTION) is Status.PROVED
    assert status((1 - PROJECTION) ** 3, 1 - PROJECTION) is Status.PROVED
    assert status(H * (1 - PROJECTION), 0) is Status.PROVED
    assert status(a * H * PROJECTION - a * H, 0) is Status.PROVED


def test_what_is_false_is_refuted() -> None:
    assert status(PROJECTION, 1) is Status.FAILED
    assert status(H * W * Ht, Ht * H) is Status.FAILED  # not even of one shape
    assert status(2 * H, H) is Status.FAILED
    assert status(a * H * Ht, H * Ht) is Status.FAILED


def test_products_do_not_commute() -> None:
    assert status(W * PROJECTION, PROJECTION * W) is Status.FAILED


def test_what_holds_at_the_example_only_is_left_open() -> None:
    """W is diagonal there and symmetric; no fact says so."""
    one = {**EXAMPLE, W: sp.eye(3)}
    assert MatrixIdentity(W, 1, FACTS, one).run().status is Status.UNDECIDED


def test_facts_must_hold_at_the_example() -> None:
    with pytest.raises(ValueError, match="example must obey"):
        MatrixIdentity(H, H, ((Ht * H, sp.S.One),), EXAMPLE)
    with pytest.raises(ValueError, match="products of matrices"):
        MatrixIdentity(H, H, ((H * Ht + 1, sp.S.One),), EXAMPLE)


def test_a_rule_that_never_ends_is_undecided() -> None:
    one = {W: sp.eye(2), K: sp.eye(2)}
    found = MatrixIdentity(W, K, ((W, W * W),), one).run()
    assert found.status is Status.UNDECIDED


def test_transposes() -> None:
    pairs = {H: Ht}
    assert transpose(H * W * Ht + 2 * K, pairs) == H * W * Ht + 2 * K
    assert transpose(3 * H * W, pairs) == 3 * W * Ht
    left = value(transpose(H * W * W, pairs), EXAMPLE)
    assert left == value(H * W * W, EXAMPLE).T


def test_values() -> None:
    assert value(a * H + H, EXAMPLE) == 4 * h
    assert value(1 + H * Ht, EXAMPLE) == sp.eye(2) + h * h.T
    assert value(a, EXAMPLE) == 3
    with pytest.raises(ValueError, match="example must give W"):
        value(W, {H: h})
    with pytest.raises(ValueError, match="multiple of the identity"):
        value(1 + H, EXAMPLE)
    with pytest.raises(ValueError, match="polynomial"):
        value(1 / W, EXAMPLE)


def test_description() -> None:
    text = MatrixIdentity(H, H, FACTS, EXAMPLE).describe()
    assert "H = H as words" in text
