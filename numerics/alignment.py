"""Bipartite alignments: permutations of rows and of columns, chosen separately.

A mask between two layers is a bipartite graph, so its rows (targets) and columns (sources) are
relabelled by two permutations. Sorting both by degree is the alignment of the sort-and-smooth
estimate (S. Chan and E. Airoldi, ICML 2014) that the graphon limit hypothesis uses; matching one
matrix to another by alternating assignments is the alignment that cut distances need.
Degrees are sorted in increasing order, so that position is a quantile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from numerics.matrix_input import (
    FloatArray,
    MatrixLike,
    as_count,
    as_matrix,
    as_real_array,
    as_weights,
)

Matrix = TypeVar("Matrix", np.ndarray, torch.Tensor)


@dataclass(frozen=True)
class Alignment:
    """Which row and which column of a matrix goes to each place.

    Attributes:
        rows: shape (m,), int64; ``rows[k]`` is the row put at place k.
        columns: shape (n,), int64.
    """

    rows: np.ndarray
    columns: np.ndarray

    def apply(self, A: Matrix) -> Matrix:
        """``A[rows][:, columns]``, an array or tensor like ``A``.

        Raises:
            ValueError: ``A`` has another shape.
        """
        if tuple(A.shape) != (len(self.rows), len(self.columns)):
            raise ValueError(
                f"A must have shape ({len(self.rows)}, {len(self.columns)}), got {tuple(A.shape)}"
            )
        if isinstance(A, torch.Tensor):
            rows = torch.from_numpy(self.rows).to(A.device)
            columns = torch.from_numpy(self.columns).to(A.device)
            return A.index_select(0, rows).index_select(1, columns)
        return A[self.rows][:, self.columns]

    def then(self, following: Alignment) -> Alignment:
        """The alignment that applies this one first and ``following`` to its result."""
        return Alignment(self.rows[following.rows], self.columns[following.columns])


def identity_alignment(rows: int, columns: int) -> Alignment:
    """The alignment that moves nothing."""
    return Alignment(np.arange(as_count(rows, "rows")), np.arange(as_count(columns, "columns")))


def degrees(
    A: MatrixLike,
    *,
    row_weights: MatrixLike | None = None,
    column_weights: MatrixLike | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Row and column degrees: averages over columns (with their weights) and over rows.

    Returns float64 arrays of shapes (m,) and (n,). Sums of integers are exact.

    Raises:
        ValueError: ``A`` not a finite, real, non-empty matrix, or weights that are no
            probability weights.
    """
    array = as_real_array(A, "A")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"A must be a non-empty matrix, got shape {array.shape}")
    m, n = array.shape
    if column_weights is None:
        by_row = array.sum(1, dtype=np.float64) / n
    else:
        by_row = as_matrix(array, "A") @ as_weights(column_weights, n, "column_weights")
    if row_weights is None:
        by_column = array.sum(0, dtype=np.float64) / m
    else:
        by_column = as_weights(row_weights, m, "row_weights") @ as_matrix(array, "A")
    if not (np.isfinite(by_row).all() and np.isfinite(by_column).all()):
        raise ValueError("A must be finite with finite sums, but holds NaN or infinity")
    return by_row, by_column


def degree_alignment(
    A: MatrixLike,
    *,
    row_weights: MatrixLike | None = None,
    column_weights: MatrixLike | None = None,
) -> Alignment:
    """Sort rows and columns by degree, increasing; equal degrees keep their order.

    Raises:
        ValueError: as :func:`degrees`.

    >>> degree_alignment([[1, 1], [0, 1]]).rows
    array([1, 0])
    """
    by_row, by_column = degrees(A, row_weights=row_weights, column_weights=column_weights)
    return Alignment(
        np.argsort(by_row, kind="stable").astype(np.int64),
        np.argsort(by_column, kind="stable").astype(np.int64),
    )


def matching_alignment(
    P: MatrixLike, Q: MatrixLike, *, start: Alignment | None = None, rounds: int = 20
) -> Alignment:
    """Align Q to P by alternating assignments that lower ``‖P − Q[rows][:, columns]‖_F``.

    With the columns fixed the best rows are a linear assignment, and with the rows fixed the
    best columns are; alternating them ends in a local minimum, no pair of rows nor pair of
    columns of which can be swapped to gain.

    Args:
        P, Q: same shape (m, n), steps of equal widths.
        start: alignment of Q to begin from; the identity if absent.
        rounds: most rounds.

    Raises:
        ValueError: P or Q not a matrix as in :func:`numerics.cutnorm.bracket`, shapes that differ,
            ``start`` of another shape, or ``rounds`` below 1.
    """
    p, q = as_matrix(P, "P"), as_matrix(Q, "Q")
    if p.shape != q.shape:
        raise ValueError(f"Q must have the shape of P, {p.shape}, got {q.shape}")
    rounds = as_count(rounds, "rounds")
    current = start or identity_alignment(*p.shape)
    moved = current.apply(q)
    for _ in range(rounds):
        before = float(np.sum((p - moved) ** 2))
        rows = linear_sum_assignment(p @ moved.T, maximize=True)[1]
        step = moved[rows]
        columns = linear_sum_assignment(p.T @ step, maximize=True)[1]
        step = step[:, columns]
        if not float(np.sum((p - step) ** 2)) < before:
            break
        current = current.then(Alignment(rows.astype(np.int64), columns.astype(np.int64)))
        moved = step
    return current
