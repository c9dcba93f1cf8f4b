"""Two step graphons on one grid: the common refinement of two partitions of [0, 1].

A step graphon is a matrix with a partition of [0, 1] into intervals for its rows and one for its
columns. Two of them differ, on the common refinement, by a matrix again, and the cut norm of that
matrix with the lengths of the pieces as weights is the cut norm of the difference of the
graphons. Lengths are computed as exact rationals.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from numerics.cutnorm_problem import Problem
from numerics.matrix_input import FloatArray, MatrixLike, as_weights


@dataclass(frozen=True)
class Overlap:
    """The pieces of the common refinement of two partitions, in order.

    Attributes:
        first, second: shapes (pieces,), int64: the interval of each partition a piece lies in.
        measure: shape (pieces,), float64: lengths times ``total``.
        total: what the measures sum to.
        exact: whether ``measure`` holds exact integers rather than rounded lengths.
    """

    first: np.ndarray
    second: np.ndarray
    measure: FloatArray
    total: int
    exact: bool


def equal_overlap(first: int, second: int) -> Overlap:
    """Refine ``first`` equal intervals with ``second`` equal intervals; lengths are integers.

    >>> equal_overlap(2, 3).measure
    array([2., 1., 1., 2.])
    """
    total = math.lcm(first, second)
    edges = np.union1d(
        np.arange(first + 1, dtype=np.int64) * (total // first),
        np.arange(second + 1, dtype=np.int64) * (total // second),
    )
    starts = edges[:-1]
    return Overlap(
        starts // (total // first),
        starts // (total // second),
        np.diff(edges).astype(np.float64),
        total,
        True,
    )


def overlap(first: list[Fraction], second: list[Fraction]) -> Overlap:
    """Refine two partitions given by exact lengths, each summing to one."""
    edges_first, edges_second = _edges(first), _edges(second)
    edges = sorted(set(edges_first) | set(edges_second))
    labels: list[list[int]] = [[], []]
    for label, own in zip(labels, (edges_first, edges_second), strict=True):
        # of intervals of no length at one point, the last one holds what follows
        interval = 0
        for start in edges[:-1]:
            while interval + 1 < len(own) - 1 and own[interval + 1] <= start:
                interval += 1
            label.append(interval)
    measure = np.array([float(b - a) for a, b in itertools.pairwise(edges)])
    return Overlap(np.array(labels[0]), np.array(labels[1]), measure, 1, False)


def read_widths(value: MatrixLike | None, length: int, name: str) -> list[Fraction] | None:
    """Interval lengths as exact rationals rescaled to sum to exactly one; None for equal ones.

    Raises:
        ValueError: as :func:`numerics.matrix_input.as_weights`.
    """
    if value is None:
        return None
    lengths = [Fraction(x) for x in as_weights(value, length, name).tolist()]
    total = sum(lengths, Fraction(0))
    return [x / total for x in lengths]


def overlap_of(
    first: list[Fraction] | None, second: list[Fraction] | None, sizes: tuple[int, int]
) -> Overlap:
    """Overlap of two partitions, ``None`` standing for equal intervals."""
    if first is None and second is None:
        return equal_overlap(*sizes)
    return overlap(first or _equal(sizes[0]), second or _equal(sizes[1]))


def difference(P: FloatArray, Q: FloatArray, rows: Overlap, columns: Overlap) -> Problem:
    """The cut-norm problem of P − Q on the common refinement."""
    p = P[np.ix_(rows.first, columns.first)]
    q = Q[np.ix_(rows.second, columns.second)]
    entries = p - q
    roundings = 0 if _subtraction_is_exact(p, q, entries) else 1
    roundings += (not rows.exact) + (not columns.exact)
    return Problem(
        entries, rows.measure, columns.measure, Fraction(rows.total * columns.total), roundings
    )


def _equal(count: int) -> list[Fraction]:
    return [Fraction(1, count)] * count


def _edges(lengths: list[Fraction]) -> list[Fraction]:
    edges = [Fraction(0)]
    for length in lengths:
        edges.append(edges[-1] + length)
    return edges


def _subtraction_is_exact(p: FloatArray, q: FloatArray, entries: FloatArray) -> bool:
    """Whether p − q was not rounded anywhere (the error term of Knuth's two-sum is zero)."""
    back = entries - p
    error = (p - (entries - back)) - (q + back)
    return not error.any()
