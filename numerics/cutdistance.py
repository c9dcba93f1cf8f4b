"""The bipartite cut distance of two step graphons as a certified bracket.

``δ_□(P, Q) = inf over measure-preserving maps φ of rows and ψ of columns of ‖P − Q^{φ,ψ}‖_□``,
rows and columns rearranged separately, because a mask joins two different layers.

- ``upper``: any alignment gives one, with the certified cut norm of what it leaves.
- ``lower``: quantities that no rearrangement changes, and that the cut norm controls:

  *Degrees.* With T everything, ``max(∫(d_P − d_Q)⁺, ∫(d_P − d_Q)⁻) ≤ ‖P − Q‖_□`` for the row
  degrees d, and the left side is ``½(‖d_P − d_Q‖₁ + |∫d_P − ∫d_Q|)``; rearranging both increasingly
  lowers the L¹ distance most. The same for columns.

  *Densities* t(F, ·) of a bipartite graph F, for non-negative kernels: replacing edges one by one
  (the counting lemma; L. Lovász, Large Networks and Graph Limits, Lemma 10.23) leaves one edge
  of difference between functions of one variable each, 0 ≤ f(x) ≤ a and 0 ≤ g(y) ≤ b, worth at
  most ab·‖P − Q‖_□. Keeping what the other edges contribute gives for the 4-cycle the constant
  ``(M_P + M_Q)(M_P ρ_P + M_Q ρ_Q)``, M the largest values and ρ the densities, at most 4 for
  graphons and much less for sparse ones; and for the path with 3 edges, r and c the row and column
  degrees, ``max Qᵀr_Q + max r_Q · max c_P + max P c_P``, or the same with P and Q exchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from numerics.alignment import Alignment, degrees, identity_alignment, matching_alignment
from numerics.cutnorm import CutNormBracket, Device, Widths, bracket_problem, split_pair
from numerics.cutnorm_problem import gamma
from numerics.matrix_input import FloatArray, MatrixLike, as_matrix
from numerics.refinement import difference, overlap_of, read_widths

_LARGEST_MATCHING = 256
Lengths = list[Fraction] | None


@dataclass(frozen=True)
class CutDistanceBracket:
    """A cut distance between two rigorous bounds.

    Attributes:
        lower, upper: the bounds.
        invariant: what gave ``lower``: "row degrees", "column degrees", "4-cycles", "3-paths".
        alignment: what gave ``upper``: "identity", "degrees", "matching", "matched degrees".
        invariants: every lower bound computed, by name.
        residual: the cut-norm bracket that the alignment leaves.
        aligned: P and Q as aligned; on these steps (of lengths ``row_widths``, ``column_widths``)
            the cut norm of the difference is that of ``residual``. Blown up to common steps where
            the alignment needed it.
        row_widths, column_widths: pairs of step lengths of the aligned matrices.
    """

    lower: float
    upper: float
    invariant: str
    alignment: str
    invariants: dict[str, float]
    residual: CutNormBracket
    aligned: tuple[FloatArray, FloatArray]
    row_widths: tuple[FloatArray | None, FloatArray | None]
    column_widths: tuple[FloatArray | None, FloatArray | None]


@dataclass(frozen=True)
class _Steps:
    """A step graphon: values, and exact lengths of its row and column steps (None: equal)."""

    values: FloatArray
    rows: Lengths
    columns: Lengths

    def moved(self, alignment: Alignment) -> _Steps:
        return _Steps(
            alignment.apply(self.values),
            _taken(self.rows, alignment.rows),
            _taken(self.columns, alignment.columns),
        )

    def weights(self) -> tuple[FloatArray, FloatArray]:
        return _floats(self.rows, self.values.shape[0]), _floats(self.columns, self.values.shape[1])


def cut_distance_bracket(
    P: MatrixLike,
    Q: MatrixLike,
    *,
    row_widths: Widths = None,
    column_widths: Widths = None,
    seed: int = 0,
    effort: str = "default",
    device: Device = None,
) -> CutDistanceBracket:
    """Bracket the bipartite cut distance of two step graphons of any resolutions.

    Args:
        P, Q, row_widths, column_widths, seed, effort, device: as in
            :func:`numerics.cutnorm.bracket_between`.

    Raises:
        ValueError: as :func:`numerics.cutnorm.bracket_between`.
    """
    p, q = as_matrix(P, "P"), as_matrix(Q, "Q")
    lengths = []
    for axis, widths, name in ((0, row_widths, "row_widths"), (1, column_widths, "column_widths")):
        first, second = split_pair(widths, name)
        lengths.append(
            (
                read_widths(first, p.shape[axis], f"{name}[0]"),
                read_widths(second, q.shape[axis], f"{name}[1]"),
            )
        )
    first_steps = _Steps(p, lengths[0][0], lengths[1][0])
    second_steps = _Steps(q, lengths[0][1], lengths[1][1])
    tried = [
        (_residual(a, b, seed, effort, device), name, a, b)
        for name, a, b in _candidates(first_steps, second_steps)
    ]
    residual, name, a, b = min(tried, key=lambda item: item[0].upper)
    bounds = lower_bounds(first_steps, second_steps)
    best = max(bounds, key=lambda key: bounds[key])
    return CutDistanceBracket(
        bounds[best],
        residual.upper,
        best,
        name,
        bounds,
        residual,
        (a.values, b.values),
        (_maybe(a.rows), _maybe(b.rows)),
        (_maybe(a.columns), _maybe(b.columns)),
    )


def lower_bounds(first: _Steps, second: _Steps) -> dict[str, float]:
    """Every lower bound on the cut distance that the module's invariants give, by name.

    Each is lowered by a bound on its own rounding, and none is below zero.
    """
    p, q = first.values, second.values
    steps = sum(p.shape) + sum(q.shape)
    error = gamma(32 * (steps + 32))
    weights_p, weights_q = first.weights(), second.weights()
    row_p, column_p = p @ weights_p[1], weights_p[0] @ p
    row_q, column_q = q @ weights_q[1], weights_q[0] @ q
    density_p, density_q = float(weights_p[0] @ row_p), float(weights_q[0] @ row_q)
    largest = float(np.abs(p).max()) + float(np.abs(q).max())
    gap = abs(density_p - density_q)
    bounds = {}
    for name, d_p, d_q, lengths in (
        ("row degrees", row_p, row_q, (first.rows, second.rows)),
        ("column degrees", column_p, column_q, (first.columns, second.columns)),
    ):
        distance = _rearranged_distance(d_p, d_q, *lengths)
        bounds[name] = max(0.0, 0.5 * (distance + gap) - error * largest)
    if min(float(p.min()), float(q.min())) < 0.0:
        return bounds
    high_p, high_q = float(p.max()), float(q.max())
    cycles = _four_cycles(p, *weights_p), _four_cycles(q, *weights_q)
    constant = (high_p + high_q) * (high_p * density_p + high_q * density_q)
    bounds["4-cycles"] = _quotient(*cycles, constant, error)
    paths = (
        float(column_p @ (weights_p[1] * (row_p * weights_p[0] @ p))),
        float(column_q @ (weights_q[1] * (row_q * weights_q[0] @ q))),
    )
    ends = [
        (float((r * w[0] @ a).max()), float((a @ (c * w[1])).max()), float(r.max()), float(c.max()))
        for a, r, c, w in ((p, row_p, column_p, weights_p), (q, row_q, column_q, weights_q))
    ]
    orders = [
        ends[one][0] + ends[one][2] * ends[other][3] + ends[other][1]
        for one, other in ((0, 1), (1, 0))
    ]
    bounds["3-paths"] = _quotient(*paths, min(orders), error)
    return bounds


def _quotient(first: float, second: float, constant: float, error: float) -> float:
    if constant <= 0.0:
        return 0.0
    return max(0.0, abs(first - second) - error * (first + second)) / constant * (1.0 - 4.0 * error)


def _four_cycles(values: FloatArray, rows: FloatArray, columns: FloatArray) -> float:
    if values.shape[0] > values.shape[1]:
        values, rows, columns = values.T, columns, rows
    shared = (values * columns) @ values.T
    return float(rows @ (shared * shared) @ rows)


def _rearranged_distance(
    first: FloatArray, second: FloatArray, first_lengths: Lengths, second_lengths: Lengths
) -> float:
    """L¹ distance of the increasing rearrangements of two step functions on [0, 1]."""
    orders = np.argsort(first, kind="stable"), np.argsort(second, kind="stable")
    pieces = overlap_of(
        _taken(first_lengths, orders[0]),
        _taken(second_lengths, orders[1]),
        (len(first), len(second)),
    )
    gaps = np.abs(first[orders[0]][pieces.first] - second[orders[1]][pieces.second])
    return float(gaps @ pieces.measure) / pieces.total


def _residual(
    first: _Steps, second: _Steps, seed: int, effort: str, device: Device
) -> CutNormBracket:
    rows = overlap_of(first.rows, second.rows, (first.values.shape[0], second.values.shape[0]))
    columns = overlap_of(
        first.columns, second.columns, (first.values.shape[1], second.values.shape[1])
    )
    problem = difference(first.values, second.values, rows, columns)
    return bracket_problem(problem, seed=seed, effort=effort, device=device)


def _candidates(first: _Steps, second: _Steps) -> list[tuple[str, _Steps, _Steps]]:
    """Alignments to try, by name, cheapest first."""
    sorted_pair = first.moved(_by_degree(first)), second.moved(_by_degree(second))
    tried = [("identity", first, second), ("degrees", *sorted_pair)]
    if any(x is not None for s in (first, second) for x in (s.rows, s.columns)):
        return tried
    common = tuple(
        math.lcm(a, b) for a, b in zip(first.values.shape, second.values.shape, strict=True)
    )
    if max(common) > _LARGEST_MATCHING:
        return tried
    for name, (a, b) in (("matching", (first, second)), ("matched degrees", sorted_pair)):
        big_a, big_b = _blown(a.values, common), _blown(b.values, common)
        start = identity_alignment(*common)
        match = matching_alignment(big_a, big_b, start=start)
        if not np.array_equal(match.rows, start.rows) or not np.array_equal(
            match.columns, start.columns
        ):
            tried.append((name, _Steps(big_a, None, None), _Steps(match.apply(big_b), None, None)))
    return tried


def _by_degree(steps: _Steps) -> Alignment:
    rows, columns = steps.weights()
    by_row, by_column = degrees(steps.values, row_weights=rows, column_weights=columns)
    return Alignment(np.argsort(by_row, kind="stable"), np.argsort(by_column, kind="stable"))


def _blown(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    taller = np.repeat(values, shape[0] // values.shape[0], axis=0)
    return np.repeat(taller, shape[1] // values.shape[1], axis=1)


def _taken(lengths: Lengths, order: np.ndarray) -> Lengths:
    return None if lengths is None else [lengths[k] for k in order.tolist()]


def _floats(lengths: Lengths, count: int) -> FloatArray:
    if lengths is None:
        return np.full(count, 1.0 / count)
    return np.array([float(x) for x in lengths])


def _maybe(lengths: Lengths) -> FloatArray | None:
    return None if lengths is None else _floats(lengths, len(lengths))
