"""The cut norm by enumeration of one side, for small matrices and for few distinct rows.

For each set S of rows the best T is all columns with a positive sum over S (or all with a
negative one), so 2^m sets S are enough. The problem is NP-hard, and this is the oracle that the
bounds are held to.
"""

from __future__ import annotations

import numpy as np

from numerics.cutnorm_problem import Problem, gamma
from numerics.matrix_input import BoolArray, FloatArray

LARGEST_SIDE = 24
"""The most rows that :func:`enumerate_sets` takes: 2**24 sets."""

_TABLE_ENTRIES = 2**18


def work(problem: Problem) -> int:
    """Additions that the enumeration of the rows would take."""
    m, n = problem.shape
    return n << min(m, 62)


def enumerate_sets(problem: Problem) -> tuple[float, BoolArray, BoolArray]:
    """Best sets by enumerating all sets of rows.

    Args:
        problem: with at most 24 rows.

    Returns:
        An upper bound on max |sum over S × T| (the best value plus a bound on its rounding, zero
        for exact problems), and sets S, T, shapes (m,), (n,), that reach it up to that rounding.

    Raises:
        ValueError: more than 24 rows.
    """
    m, n = problem.shape
    if m > LARGEST_SIDE:
        raise ValueError(f"problem must have at most {LARGEST_SIDE} rows, got {m}")
    weighted = problem.weighted
    low = max(0, min(m, (_TABLE_ENTRIES // n).bit_length() - 1))
    table = _subset_sums(weighted[:low])
    best, best_set, best_sign = -1.0, 0, 1.0
    for high in range(1 << (m - low)):
        base = _set_sum(weighted[low:], high)
        sums = table + base
        positive = np.maximum(sums, 0.0).sum(1)
        negative = positive - sums.sum(1)
        for sign, values in ((1.0, positive), (-1.0, negative)):
            index = int(values.argmax())
            if values[index] > best:
                best, best_set, best_sign = float(values[index]), (high << low) | index, sign
    rows = np.array([(best_set >> k) & 1 for k in range(m)], dtype=np.bool_)
    columns = best_sign * weighted[rows].sum(0) > 0.0
    if problem.exact:
        return best, rows, columns
    mass = float(np.abs(weighted).sum()) * (1.0 + gamma(m * n))
    slack = 4.0 * gamma(m + n + 8) * mass + problem.entry_slack()
    return (best + slack) * (1.0 + 2.0**-50), rows, columns


def _subset_sums(rows: FloatArray) -> FloatArray:
    """Sums of all subsets of the rows, shape (2**count, n), subset k by the bits of k."""
    table = np.zeros((1, rows.shape[1]))
    for row in rows:
        table = np.concatenate((table, table + row))
    return table


def _set_sum(rows: FloatArray, subset: int) -> FloatArray:
    chosen = [k for k in range(rows.shape[0]) if (subset >> k) & 1]
    return np.asarray(rows[chosen].sum(0), dtype=np.float64)
