"""The cut norm of a matrix as a certified bracket [lower, upper].

``‖A‖_□ = max over S, T of |sum_{S×T} A| / (mn)``, or with probability weights mu, nu on rows and
columns ``max |sum mu_i A_ij nu_j|`` (A. Frieze and R. Kannan, Combinatorica 19, 1999; L. Lovász,
Large Networks and Graph Limits, §8). Computing it is NP-hard; here

- ``lower`` is the value of explicit sets S and T, found by :mod:`numerics.cutnorm_lower` and
  summed once without error (:mod:`numerics.cutnorm_problem`);
- ``upper`` is a dual certificate or an enumeration, proved in floating point
  (:mod:`numerics.cutnorm_upper`, :mod:`numerics.cutnorm_exact`).

Both hold whatever the seed, the device and the effort; those only decide how close they are.
Arrays are ``(target, source)``, so ``rows`` are targets and ``columns`` sources.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch

from numerics import cutnorm_exact, cutnorm_lower, cutnorm_relaxation, cutnorm_upper
from numerics.cutnorm_problem import Merged, Problem, merge_equal, power_of_two_scale
from numerics.matrix_input import (
    BoolArray,
    FloatArray,
    MatrixLike,
    as_count,
    as_matrix,
    as_weights,
)
from numerics.refinement import difference, overlap_of, read_widths
from numerics.seeds import generator

_NEGLIGIBLE = 1e-25
_TIGHT = 1.0 - 1e-9  # a bound this close to the value found needs no other

Device = torch.device | str | None
Widths = tuple[MatrixLike | None, MatrixLike | None] | None


@dataclass(frozen=True)
class CutNormBracket:
    """A cut norm between two rigorous bounds.

    Attributes:
        lower: at most the value of ``rows`` × ``columns``, to a rounding.
        upper: certified to be at least the cut norm.
        rows: shape (m,), bool, the set S.
        columns: shape (n,), bool, the set T.
        method: what proved ``upper``: "enumeration", "dual" or "elementary".
    """

    lower: float
    upper: float
    rows: BoolArray
    columns: BoolArray
    method: str

    @property
    def width(self) -> float:
        """Upper minus lower."""
        return self.upper - self.lower

    @property
    def ratio(self) -> float:
        """Upper over lower; 1 where both are zero."""
        if self.upper == 0.0:
            return 1.0
        return self.upper / self.lower if self.lower > 0.0 else math.inf

    def contains(self, value: float) -> bool:
        """Whether ``value`` lies between the bounds, ends included."""
        return self.lower <= value <= self.upper


@dataclass(frozen=True)
class _Effort:
    rank: int
    iterations: int
    tolerance: float
    starts: int
    cooling: int
    enumeration: int
    dtype: torch.dtype


EFFORTS = {
    "fast": _Effort(16, 25, 1e-4, 16, 12, 2**20, torch.float32),
    "default": _Effort(32, 30, 1e-5, 32, 20, 2**22, torch.float32),
    "high": _Effort(64, 1000, 1e-9, 256, 60, 2**26, torch.float64),
}
"""How hard a bracket is worked for, by name."""


def bracket(
    A: MatrixLike,
    *,
    row_weights: MatrixLike | None = None,
    column_weights: MatrixLike | None = None,
    seed: int = 0,
    effort: str = "default",
    device: Device = None,
) -> CutNormBracket:
    """Bracket the cut norm of a real matrix.

    Args:
        A: shape (m, n); array-like or tensor of booleans, integers or floats.
        row_weights, column_weights: shapes (m,), (n,), probability weights; equal if absent.
        seed: of the starts of the search; the same arguments give the same bracket.
        effort: "fast" for Monte-Carlo trials, "default", or "high".
        device: where the relaxation is solved; the device of ``A`` if it is a tensor, else the
            CPU. Certificates are computed on the CPU in float64 in any case: with k = min(m, n)
            in memory of about four matrices (m, n) and three (k, k), in time of order k²·max(m, n).

    Raises:
        ValueError: ``A`` not a finite, real, non-empty matrix; weights of the wrong shape,
            negative, or not summing to 1; unknown ``effort``; negative ``seed``.

    >>> bracket([[1, -1], [-1, 1]]).upper
    0.25
    """
    problem = _problem(A, row_weights, column_weights)
    if device is None and isinstance(A, torch.Tensor):
        device = A.device
    return bracket_problem(problem, seed=seed, effort=effort, device=device)


def lower_bound(
    A: MatrixLike,
    *,
    row_weights: MatrixLike | None = None,
    column_weights: MatrixLike | None = None,
    seed: int = 0,
    effort: str = "fast",
    device: Device = None,
) -> CutNormBracket:
    """Explicit sets only: the search of :func:`bracket` without its relaxation.

    For users who need a large cut and no proof that there is none larger; several times faster.
    The ``upper`` of the result is a certified bound still, but a crude one.
    Arguments and errors as in :func:`bracket`.

    >>> lower_bound([[1, -1], [-1, 1]]).lower
    0.25
    """
    problem = _problem(A, row_weights, column_weights)
    if effort not in EFFORTS:
        raise ValueError(f"effort must be one of {', '.join(EFFORTS)}, got {effort!r}")
    rng = generator(as_count(seed, "seed", minimum=0), "cut norm")
    if device is None and isinstance(A, torch.Tensor):
        device = A.device
    sums = cutnorm_upper.sums_of(problem)
    settings = EFFORTS[effort]
    inputs, _ = _tensors(problem, sums, settings, device)
    found = cutnorm_lower.search(
        *inputs, None, starts=settings.starts, cooling=settings.cooling, rng=rng
    )
    polished = [cutnorm_lower.polish(problem.weighted, rows, columns) for rows, columns in found]
    best = max(polished, key=lambda item: item[0])
    return _assembled(problem, [best[1:]], cutnorm_upper.elementary(problem, sums), "elementary")


def exact(
    A: MatrixLike,
    *,
    row_weights: MatrixLike | None = None,
    column_weights: MatrixLike | None = None,
) -> CutNormBracket:
    """The cut norm of a small matrix by enumeration.

    The bracket is a point for integer matrices of equal weights (up to the rounding of the
    division), and as wide as the rounding of the sums otherwise.

    Raises:
        ValueError: as :func:`bracket`, or more than 24 distinct rows and more than 24 distinct
            columns.
    """
    problem = _problem(A, row_weights, column_weights)
    merged = merge_equal(problem)
    if min(merged.problem.shape) > cutnorm_exact.LARGEST_SIDE:
        raise ValueError(
            f"A must have at most {cutnorm_exact.LARGEST_SIDE} distinct rows or columns to be "
            f"enumerated, got {merged.problem.shape}; use bracket instead"
        )
    return _enumerated(problem, merged)


def bracket_between(
    P: MatrixLike,
    Q: MatrixLike,
    *,
    row_widths: Widths = None,
    column_widths: Widths = None,
    seed: int = 0,
    effort: str = "default",
    device: Device = None,
) -> CutNormBracket:
    """Bracket ``‖P − Q‖_□`` of two step graphons on the unit square, of any resolutions.

    Args:
        P, Q: shapes (K, L) and (K', L'): values on grids of intervals.
        row_widths, column_widths: pairs of interval lengths, those of P and those of Q; None, for
            the pair or for one of the two, means equal intervals. Lengths are rescaled to sum
            to exactly one.
        seed, effort, device: as in :func:`bracket`.

    Returns:
        The bracket; its ``rows`` and ``columns`` are sets of pieces of the common refinement
        (:func:`numerics.refinement.overlap_of`), in order.

    Raises:
        ValueError: as :func:`bracket`, naming P, Q, row_widths or column_widths.
    """
    p, q = as_matrix(P, "P"), as_matrix(Q, "Q")
    overlaps = []
    for axis, widths, name in ((0, row_widths, "row_widths"), (1, column_widths, "column_widths")):
        first, second = split_pair(widths, name)
        sizes = (p.shape[axis], q.shape[axis])
        overlaps.append(
            overlap_of(
                read_widths(first, sizes[0], f"{name}[0]"),
                read_widths(second, sizes[1], f"{name}[1]"),
                sizes,
            )
        )
    return bracket_problem(difference(p, q, *overlaps), seed=seed, effort=effort, device=device)


def bracket_problem(
    problem: Problem, *, seed: int = 0, effort: str = "default", device: Device = None
) -> CutNormBracket:
    """Bracket a prepared :class:`numerics.cutnorm_problem.Problem`; as :func:`bracket`."""
    if effort not in EFFORTS:
        raise ValueError(f"effort must be one of {', '.join(EFFORTS)}, got {effort!r}")
    settings = EFFORTS[effort]
    seed = as_count(seed, "seed", minimum=0)
    everything = np.ones(problem.shape[0], np.bool_), np.ones(problem.shape[1], np.bool_)
    if not problem.weighted.any() and problem.entry_roundings == 0:
        return CutNormBracket(0.0, 0.0, ~everything[0], ~everything[1], "elementary")
    if (problem.weighted >= 0.0).all() or (problem.weighted <= 0.0).all():
        upper = cutnorm_upper.elementary(problem, cutnorm_upper.sums_of(problem))
        return _assembled(problem, [everything], upper, "elementary")
    merged = merge_equal(problem)
    if _enumerable(merged.problem, settings.enumeration):
        return _enumerated(problem, merged)
    small = merged.problem
    turned = small.shape[0] < small.shape[1]
    upper, method, sets = _relaxed(small.transposed() if turned else small, seed, settings, device)
    if turned:
        sets = [(columns, rows) for rows, columns in sets]
    return _assembled(problem, _unmerged(merged, sets), upper, method)


def _problem(
    A: MatrixLike, row_weights: MatrixLike | None, column_weights: MatrixLike | None
) -> Problem:
    entries = as_matrix(A, "A")
    total = Fraction(1)
    measures: list[FloatArray] = []
    for length, weights, name in (
        (entries.shape[0], row_weights, "row_weights"),
        (entries.shape[1], column_weights, "column_weights"),
    ):
        if weights is None:
            measures.append(np.ones(length))
            total *= length
        else:
            measures.append(as_weights(weights, length, name))
    exponent = power_of_two_scale(entries)
    if exponent:
        entries = np.ldexp(entries, -exponent)
        total /= Fraction(2) ** exponent
    # a rescaled entry may have underflowed, which the allowance for one rounding includes
    return Problem(entries, measures[0], measures[1], total, int(exponent != 0))


def _relaxed(
    problem: Problem, seed: int, settings: _Effort, device: Device
) -> tuple[float, str, list[tuple[BoolArray, BoolArray]]]:
    """Upper bound, what proved it, and candidate sets of a problem no wider than tall."""
    sums = cutnorm_upper.sums_of(problem)
    inputs, scale = _tensors(problem, sums, settings, device)
    rng = generator(seed, "cut norm")
    relaxation = cutnorm_relaxation.solve(
        *inputs,
        rank=settings.rank,
        iterations=settings.iterations,
        tolerance=settings.tolerance,
        rng=rng,
    )
    found = cutnorm_lower.search(
        *inputs, relaxation, starts=settings.starts, cooling=settings.cooling, rng=rng
    )
    polished = [cutnorm_lower.polish(problem.weighted, rows, columns) for rows, columns in found]
    best = max(polished, key=lambda item: item[0])
    elementary = cutnorm_upper.elementary(problem, sums)
    if best[0] >= elementary * _TIGHT:
        return elementary, "elementary", [best[1:]]
    scaled_back = cutnorm_relaxation.rescaled(relaxation, scale)
    dual = cutnorm_upper.certified(problem, sums, scaled_back)
    upper, method = (dual, "dual") if dual <= elementary else (elementary, "elementary")
    return upper, method, [best[1:]]


def _tensors(
    problem: Problem, sums: cutnorm_upper.Sums, settings: _Effort, device: Device
) -> tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], float]:
    """The matrix and its sums, scaled to entries of at most one, and the scale."""
    scale = float(np.abs(problem.weighted).max()) or 1.0

    def tensor(array: FloatArray) -> torch.Tensor:
        scaled = array / scale
        scaled[np.abs(scaled) < _NEGLIGIBLE] = 0.0  # subnormal numbers are slow in float32
        return torch.from_numpy(scaled).to(dtype=settings.dtype, device=device)

    return (tensor(problem.weighted), tensor(sums.rows), tensor(sums.columns)), scale


def _enumerable(problem: Problem, most: int) -> bool:
    flat = problem if problem.shape[0] <= problem.shape[1] else problem.transposed()
    return cutnorm_exact.work(flat) <= most and flat.shape[0] <= cutnorm_exact.LARGEST_SIDE


def _enumerated(problem: Problem, merged: Merged) -> CutNormBracket:
    small = merged.problem
    if small.shape[0] <= small.shape[1]:
        value, rows, columns = cutnorm_exact.enumerate_sets(small)
    else:
        value, columns, rows = cutnorm_exact.enumerate_sets(small.transposed())
    return _assembled(problem, _unmerged(merged, [(rows, columns)]), value, "enumeration")


def _unmerged(
    merged: Merged, sets: Iterable[tuple[BoolArray, BoolArray]]
) -> list[tuple[BoolArray, BoolArray]]:
    return [(rows[merged.row_label], columns[merged.column_label]) for rows, columns in sets]


def _assembled(
    problem: Problem, sets: list[tuple[BoolArray, BoolArray]], upper: float, method: str
) -> CutNormBracket:
    values = [problem.attained(rows, columns) for rows, columns in sets]
    best = int(np.argmax(values))
    rows, columns = sets[best]
    return CutNormBracket(values[best], problem.normalised_up(upper), rows, columns, method)


def split_pair(widths: Widths, name: str) -> tuple[MatrixLike | None, MatrixLike | None]:
    """The interval lengths of P and those of Q; ValueError unless None or a pair."""
    if widths is None:
        return None, None
    if not isinstance(widths, tuple | list) or len(widths) != 2:
        raise ValueError(f"{name} must be a pair: the interval lengths of P and those of Q")
    return widths[0], widths[1]
