"""Alignments: order, stability, equivariance, and matchings that only improve."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics.alignment import (
    Alignment,
    degree_alignment,
    degrees,
    identity_alignment,
    matching_alignment,
)

shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(shape=shapes, seed=st.integers(0, 10**6))
def test_degrees_increase_after_alignment_and_ties_keep_their_order(shape, seed):
    mask = np.random.default_rng(seed).random(shape) < 0.4
    alignment = degree_alignment(mask)
    rows, columns = degrees(alignment.apply(mask))
    for found, order in ((rows, alignment.rows), (columns, alignment.columns)):
        assert (np.diff(found) >= 0).all()
        assert sorted(order.tolist()) == list(range(len(order)))
        assert (np.diff(order)[np.diff(found) == 0] > 0).all()


@given(shape=shapes, seed=st.integers(0, 10**6))
def test_sorted_degrees_do_not_depend_on_the_order_given(shape, seed):
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 3, shape)
    shuffled = mask[rng.permutation(shape[0])][:, rng.permutation(shape[1])]
    for a, b in zip(
        degrees(degree_alignment(mask).apply(mask)),
        degrees(degree_alignment(shuffled).apply(shuffled)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_weights_enter_the_degrees():
    matrix = [[1.0, 0.0], [0.0, 1.0]]
    rows, columns = degrees(matrix, row_weights=[0.25, 0.75], column_weights=[0.9, 0.1])
    np.testing.assert_allclose(rows, [0.9, 0.1])
    np.testing.assert_allclose(columns, [0.25, 0.75])
    weighted = degree_alignment(matrix, row_weights=[0.25, 0.75], column_weights=[0.9, 0.1])
    np.testing.assert_array_equal(weighted.rows, [1, 0])
    np.testing.assert_array_equal(weighted.columns, [0, 1])


def test_tensors_are_aligned_like_arrays():
    mask = np.random.default_rng(0).random((9, 7)) < 0.3
    tensor = torch.from_numpy(mask)
    by_array, by_tensor = degree_alignment(mask), degree_alignment(tensor)
    np.testing.assert_array_equal(by_array.rows, by_tensor.rows)
    moved = by_tensor.apply(tensor)
    assert isinstance(moved, torch.Tensor)
    np.testing.assert_array_equal(moved.numpy(), by_array.apply(mask))


@given(shape=shapes, seed=st.integers(0, 10**6))
def test_composition_is_one_after_the_other(shape, seed):
    rng = np.random.default_rng(seed)
    first, second = (
        Alignment(rng.permutation(shape[0]), rng.permutation(shape[1])) for _ in range(2)
    )
    matrix = rng.random(shape)
    np.testing.assert_array_equal(
        first.then(second).apply(matrix), second.apply(first.apply(matrix))
    )


@given(shape=shapes, seed=st.integers(0, 10**6))
def test_matching_never_gets_worse_and_ends_without_a_better_swap(shape, seed):
    rng = np.random.default_rng(seed)
    P, Q = rng.random(shape), rng.random(shape)
    start = Alignment(rng.permutation(shape[0]), rng.permutation(shape[1]))
    moved = matching_alignment(P, Q, start=start, rounds=100).apply(Q)
    distance = np.sum((P - moved) ** 2)
    assert distance <= np.sum((P - start.apply(Q)) ** 2) + 1e-12
    for a in range(shape[0]):
        order = np.arange(shape[0])
        order[[0, a]] = order[[a, 0]]
        assert np.sum((P - moved[order]) ** 2) >= distance - 1e-12


def test_matching_recovers_a_row_permutation():
    rng = np.random.default_rng(7)
    P = rng.random((20, 15))
    order = rng.permutation(20)
    match = matching_alignment(P, P[order])
    np.testing.assert_array_equal(match.apply(P[order]), P)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: degrees([1.0]), "A"),
        (lambda: degrees([[np.inf]]), "A"),
        (lambda: degrees([["x"]]), "A"),
        (lambda: degrees([[1.0]], row_weights=[0.5]), "row_weights"),
        (lambda: identity_alignment(0, 3), "rows"),
        (lambda: identity_alignment(2, 2).apply(np.ones((2, 3))), "A"),
        (lambda: matching_alignment(np.ones((2, 2)), np.ones((2, 3))), "Q"),
        (lambda: matching_alignment([[1.0]], [[1.0]], rounds=0), "rounds"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name} "):
        call()
