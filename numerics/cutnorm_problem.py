"""The cut-norm problem: a weighted matrix, what is exact about it, and sums rounded one way.

The cut norm of a matrix A with row measure mu and column measure nu is
``max over S, T of |sum_{i in S, j in T} mu_i A_ij nu_j| / total``. With equal weights mu and nu
are ones and ``total`` is the number of entries, so that a mask of integers stays a matrix of
integers and its sums are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from numerics.matrix_input import BoolArray, FloatArray

UNIT = 2.0**-53
"""Unit roundoff of float64 in round-to-nearest."""

_TINY = 2.0**-1074
_EXTREME = 400
_NEGLIGIBLE = 2.0**-64


def gamma(operations: int) -> float:
    """Higham's constant k·u/(1 − k·u), which bounds k successive relative roundings.

    Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), Lemma 3.1.
    """
    product = operations * UNIT
    if product >= 0.5:
        raise ValueError(f"operations must stay below 2**52, got {operations}")
    return product / (1.0 - product)


def rounded_down(value: Fraction) -> float:
    """The largest float64 that is at most ``value``."""
    nearest = float(value)
    if Fraction(nearest) > value:
        return math.nextafter(nearest, -math.inf)
    return nearest


def rounded_up(value: Fraction) -> float:
    """The smallest float64 that is at least ``value``."""
    return -rounded_down(-value)


@dataclass(frozen=True)
class Problem:
    """A matrix of finite numbers with a measure on its rows and on its columns.

    Attributes:
        entries: shape (m, n), float64.
        row_measure, column_measure: shapes (m,), (n,), float64, non-negative.
        total: what a sum over S × T is divided by.
        roundings: how many relative roundings of one unit each entry already carries.
        weighted: shape (m, n), ``row_measure · entries · column_measure`` in float64.
        entry_roundings: the same count for ``weighted``.
        exact: whether every partial sum of ``weighted`` is free of rounding (integers whose
            absolute sum stays below 2**53).
    """

    entries: FloatArray
    row_measure: FloatArray
    column_measure: FloatArray
    total: Fraction
    roundings: int = 0
    weighted: FloatArray = field(init=False, repr=False)
    entry_roundings: int = field(init=False)
    exact: bool = field(init=False)

    def __post_init__(self) -> None:
        weighted = self.entries
        count = self.roundings
        for measure in (self.row_measure[:, None], self.column_measure[None, :]):
            if not (measure == 1.0).all():
                weighted = weighted * measure
                count += 1
        integral = self.roundings == 0 and all(
            _integral(array[:1]) and _integral(array)  # the first entries spare most full passes
            for array in (self.row_measure, self.column_measure, self.entries)
        )
        exact = integral and float(np.abs(weighted).sum()) < 2.0**53
        object.__setattr__(self, "weighted", weighted)
        object.__setattr__(self, "exact", exact)
        object.__setattr__(self, "entry_roundings", 0 if exact else count)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.entries.shape
        return rows, columns

    def transposed(self) -> Problem:
        """The same problem with rows and columns exchanged."""
        return Problem(
            np.ascontiguousarray(self.entries.T),
            self.column_measure,
            self.row_measure,
            self.total,
            self.roundings,
        )

    def entry_slack(self) -> float:
        """Bound on how much the roundings of the entries can move any sum over S × T."""
        if self.entry_roundings == 0:
            return 0.0
        mass = float(np.abs(self.weighted).sum()) * (1.0 + gamma(self.weighted.size))
        underflow = 2.0 * self.weighted.size * _TINY
        return gamma(self.entry_roundings + 2) * mass + underflow

    def attained(self, rows: BoolArray, columns: BoolArray) -> float:
        """A lower bound on |sum over S × T|/total.

        One exactly summed and rounded number, less a bound on that rounding and on what the
        roundings of the entries can amount to; all of them zero for exact problems.
        """
        block = self.weighted[rows][:, columns]
        if self.exact:
            return rounded_down(Fraction(abs(float(block.sum()))) / self.total)
        numbers = block.ravel()
        value, error = _faithful_sum(numbers)
        magnitude = Fraction(abs(value)) - error
        if self.entry_roundings:
            mass, mass_error = _faithful_sum(np.abs(numbers))
            magnitude -= Fraction(gamma(self.entry_roundings + 2)) * (Fraction(mass) + mass_error)
            magnitude -= Fraction(_TINY) * 2 * len(numbers)
        return rounded_down(max(magnitude, Fraction(0)) / self.total)

    def normalised_up(self, value: float) -> float:
        """An upper bound on ``value`` / total, infinite where float64 ends."""
        try:
            return rounded_up(Fraction(value) / self.total)
        except OverflowError:
            return math.inf


def _faithful_sum(numbers: FloatArray) -> tuple[float, Fraction]:
    """The sum rounded to float64, and a bound on its error.

    Exact summation of many magnitudes is slow, so numbers too small to matter at the last place
    are summed in floating point and their error is bounded.
    """
    if numbers.size == 0:
        return 0.0, Fraction(0)
    absolute = np.abs(numbers)
    small = absolute < float(absolute.max()) * _NEGLIGIBLE
    rest = numbers[small]
    tail = float(rest.sum())
    value = math.fsum([*numbers[~small].tolist(), tail])
    error = Fraction(math.ulp(value)) / 2
    if rest.size:
        error += Fraction(gamma(2 * rest.size)) * Fraction(float(absolute[small].sum()))
    return value, error


def power_of_two_scale(entries: FloatArray) -> int:
    """An exponent e such that entries·2**−e neither overflow nor vanish in sums and squares.

    Zero for ordinary magnitudes, so that the numbers stay as they were given.
    """
    largest = max(float(entries.max()), -float(entries.min()))
    if largest == 0.0:
        return 0
    exponent = math.frexp(largest)[1]
    return exponent if abs(exponent) > _EXTREME else 0


@dataclass(frozen=True)
class Merged:
    """A problem whose equal rows and equal columns have been put together.

    Attributes:
        problem: the smaller problem; its measures are the sums of those merged.
        row_label, column_label: shapes (m,), (n,), int64: where each row and column went.
    """

    problem: Problem
    row_label: np.ndarray
    column_label: np.ndarray


def merge_equal(problem: Problem) -> Merged:
    """Put equal rows together, then equal columns; the cut norm does not change.

    The sum over S × T is linear in how much of a class of equal rows S takes, so a maximiser
    takes all of it or nothing. Rows and columns of measure zero are left to the arithmetic.
    """
    row_label, row_first = _classes(problem.entries)
    entries = problem.entries
    if len(row_first) < len(entries):
        entries = entries[row_first]
    column_label, column_first = _classes(entries.T)
    if (len(row_first), len(column_first)) == problem.shape:
        return Merged(problem, row_label, column_label)
    entries = np.ascontiguousarray(entries[:, column_first])
    merged = Problem(
        entries,
        _class_sums(row_label, problem.row_measure),
        _class_sums(column_label, problem.column_measure),
        problem.total,
        # a merged measure is a sum of rounded numbers: at most one rounding per term
        problem.roundings + _summing_roundings(problem),
    )
    return Merged(merged, row_label, column_label)


def _summing_roundings(problem: Problem) -> int:
    total = 0
    for measure in (problem.row_measure, problem.column_measure):
        if not _integral(measure):
            total += measure.size
    return total


def _class_sums(label: np.ndarray, measure: FloatArray) -> FloatArray:
    return np.bincount(label, weights=measure).astype(np.float64)


def _integral(array: FloatArray) -> bool:
    return np.array_equal(array, np.rint(array))


def _classes(matrix: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of equal rows in order of first appearance, and the first row of each class."""
    count, width = matrix.shape
    # a few columns tell most different rows apart, so whole rows are read only where needed
    sample = np.ascontiguousarray(matrix[:, :: max(1, width // 64)]) + 0.0
    short: dict[bytes, int] = {}
    ambiguous = False
    for row in sample:
        key = row.tobytes()
        ambiguous = ambiguous or key in short
        short[key] = 1
    if not ambiguous:
        return np.arange(count), np.arange(count)
    labels = np.empty(count, dtype=np.int64)
    first: list[int] = []
    seen: dict[bytes, int] = {}
    for index in range(count):
        key = (matrix[index] + 0.0).tobytes()  # adding zero turns −0 into +0
        label = seen.setdefault(key, len(seen))
        if label == len(first):
            first.append(index)
        labels[index] = label
    return labels, np.asarray(first, dtype=np.int64)
