"""Histograms: exact projections, panels in any order, and equivariance."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics.alignment import degree_alignment
from numerics.histogram import (
    DegreeAccumulator,
    HistogramAccumulator,
    block_means,
    overlap_lengths,
    sas,
    sas_panels,
)

sizes = st.integers(1, 12)


def averaged_exactly(matrix: np.ndarray, k: int, l: int) -> np.ndarray:  # noqa: E741
    """Cell averages of the step function by exact rational integration."""
    m, n = matrix.shape

    def shares(count: int, cells: int, cell: int) -> list[Fraction]:
        low, high = Fraction(cell, cells), Fraction(cell + 1, cells)
        return [
            max(Fraction(0), min(high, Fraction(i + 1, count)) - max(low, Fraction(i, count)))
            for i in range(count)
        ]

    out = np.empty((k, l))
    for a in range(k):
        rows = shares(m, k, a)
        for b in range(l):
            columns = shares(n, l, b)
            total = sum(
                rows[i] * columns[j] * int(matrix[i, j]) for i in range(m) for j in range(n)
            )
            out[a, b] = float(total * k * l)
    return out


@given(shape=st.tuples(sizes, sizes), cells=st.tuples(sizes, sizes), seed=st.integers(0, 10**6))
def test_block_means_are_exact_integrals(shape, cells, seed):
    matrix = np.random.default_rng(seed).integers(0, 5, shape)
    np.testing.assert_array_equal(block_means(matrix, *cells), averaged_exactly(matrix, *cells))


@given(shape=st.tuples(sizes, sizes), cells=st.tuples(sizes, sizes), seed=st.integers(0, 10**6))
def test_the_mean_is_kept_and_transposition_commutes(shape, cells, seed):
    matrix = np.random.default_rng(seed).random(shape)
    found = block_means(matrix, *cells)
    assert found.mean() == pytest.approx(matrix.mean(), rel=1e-12)
    np.testing.assert_allclose(found.T, block_means(matrix.T, *cells[::-1]), rtol=1e-12)


def test_dividing_cells_are_plain_means():
    matrix = np.random.default_rng(1).integers(0, 2, (12, 8))
    plain = matrix.reshape(4, 3, 2, 4).mean(axis=(1, 3))
    np.testing.assert_array_equal(block_means(matrix, 4, 2), plain)
    np.testing.assert_array_equal(block_means(matrix, 12, 8), matrix)
    assert overlap_lengths(5, 3).sum() == 15


@given(
    shape=st.tuples(sizes, sizes),
    k=sizes,
    seed=st.integers(0, 10**6),
    cuts=st.sets(st.integers(1, 11)),
)
def test_panels_in_any_order_give_the_same_bits(shape, k, seed, cuts):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.3
    edges = [0, *sorted(c for c in cuts if c < shape[0]), shape[0]]
    panels = [(a, torch.from_numpy(mask[a:b])) for a, b in itertools.pairwise(edges)]
    rng.shuffle(panels)
    np.testing.assert_array_equal(sas_panels(lambda: panels, shape, k), sas(mask, k))


def test_sas_ignores_the_labels():
    rng = np.random.default_rng(3)
    weights = rng.permutation(900).reshape(30, 30) + 1  # no two degrees are likely equal
    shuffled = weights[rng.permutation(30)][:, rng.permutation(30)]
    rows, columns = weights.sum(1), weights.sum(0)
    assert len(set(rows)) == 30
    assert len(set(columns)) == 30
    np.testing.assert_array_equal(sas(weights, 7), sas(shuffled, 7))
    aligned = degree_alignment(weights).apply(weights)
    np.testing.assert_array_equal(sas(weights, 7), block_means(aligned, 7))


def test_sas_of_independent_edges_shows_the_sorting_pattern():
    # sorting noise makes corners differ even where the graphon is constant: low first
    rng = np.random.default_rng(4)
    found = sas(rng.random((400, 400)) < 0.2, 8)
    assert found[0, 0] < 0.2 < found[-1, -1]
    assert found.mean() == pytest.approx(0.2, abs=0.005)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: block_means([[1.0]], 0), "k_target"),
        (lambda: block_means([[1.0]], 1, 1.5), "k_source"),
        (lambda: block_means([[np.nan]], 1), "array"),
        (lambda: sas([1.0], 1), "mask"),
        (lambda: HistogramAccumulator((0, 1), 1), r"shape\[0\]"),
        (lambda: HistogramAccumulator((2, 2), 1, None, degree_alignment([[1]])), "alignment"),
        (lambda: HistogramAccumulator((2, 2), 1).add(0, np.ones((1, 3))), "panel"),
        (lambda: HistogramAccumulator((2, 2), 1).add(-1, np.ones((1, 2))), "first_row"),
        (lambda: HistogramAccumulator((2, 2), 1).result(), "panels"),
        (lambda: DegreeAccumulator((2, 2)).alignment(), "panels"),
        (lambda: sas_panels(lambda: [(0, np.ones((1, 2)))] * 2, (2, 2), 1), "panel"),
        (lambda: sas_panels(lambda: [(0, [[np.inf, 0.0]])], (1, 2), 1), "panel"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name} "):
        call()
