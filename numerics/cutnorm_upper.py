"""Rigorous upper bounds on the cut norm: a dual certificate checked against rounding.

Let ``4·s·(sum of B over S × T) = ½ vᵀMv + s·t`` with v = (x, y, 1) a vector of signs,
``M = s·[[0, B, r], [Bᵀ, 0, c], [rᵀ, cᵀ, 0]]``, r and c the row and column sums of B, t its total.
For positive numbers p, ``vᵀMv ≤ λ·Σ 1/p²`` whenever λ is at least the largest eigenvalue of
``diag(p)·M·diag(p)``. The numbers p come from the gradient of the relaxation and need not be
good for the bound to hold. That λ is large enough is shown by a floating-point Cholesky
factorisation that runs to its end (S. M. Rump, BIT 46, 2006; N. J. Higham, Accuracy and Stability
of Numerical Algorithms, Theorem 10.5), with every rounding before it bounded.

Matrix products are assumed to be sums of products in some order (no Strassen-like algorithm), as
in every common BLAS; certificates are always computed in float64 on the CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg.lapack import dpotrf
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from numerics.cutnorm_problem import Problem, gamma
from numerics.cutnorm_relaxation import SIGNS, Relaxation
from numerics.matrix_input import FloatArray
from numerics.seeds import generator

_FLOOR = 1e-5  # of the mean dual weight: bounds the cost of rows whose gradient vanishes
_SAFETY = 4  # blocked factorisations may round a few times more than the textbook's
_ATTEMPTS = 12
_OUTWARD = 1.0 + 2.0**-45


@dataclass(frozen=True)
class Sums:
    """Floating-point sums of a problem's weighted matrix and a bound on what they lack.

    Attributes:
        rows, columns: shapes (m,), (n,).
        total: their sum.
        mass: upper bound on the sum of absolute entries.
        slack: bound on the change of ``xᵀBy + xᵀr + cᵀy + t`` by all roundings in B, r, c, t.
    """

    rows: FloatArray
    columns: FloatArray
    total: float
    mass: float
    slack: float


def sums_of(problem: Problem) -> Sums:
    """Row, column and total sums with their rounding bound."""
    weighted = problem.weighted
    m, n = weighted.shape
    rows, columns = weighted.sum(1), weighted.sum(0)
    if problem.exact:
        return Sums(rows, columns, float(rows.sum()), float(np.abs(weighted).sum()), 0.0)
    mass = float(np.abs(weighted).sum()) * (1.0 + gamma(m * n))
    slack = (4.0 * problem.entry_slack() + 4.0 * gamma(m + n + 4) * mass) * _OUTWARD
    return Sums(rows, columns, float(rows.sum()), mass, slack)


def elementary(problem: Problem, sums: Sums) -> float:
    """The least of the bounds that cost one pass over the matrix, on max |sum over S × T|.

    Either all positive or all negative entries; and a quarter of the absolute sum of the
    matrix bordered to zero sums.
    """
    weighted = problem.weighted
    one_sign = max(float(weighted[weighted > 0].sum()), -float(weighted[weighted < 0].sum()))
    room = (1.0 + gamma(weighted.size)) * _OUTWARD
    if not problem.exact:
        one_sign = one_sign * room + problem.entry_slack()
    border = float(np.abs(sums.rows).sum() + np.abs(sums.columns).sum()) + abs(sums.total)
    return min(one_sign, 0.25 * (sums.mass + border * room + sums.slack) * _OUTWARD)


def certified(problem: Problem, sums: Sums, relaxation: Relaxation) -> float:
    """Upper bound on max |sum over S × T| of the problem (not yet divided by its total).

    The branch that promises more is bounded first; the other only has to be shown smaller.
    """
    totals = [
        value + sign * sums.total for value, sign in zip(relaxation.values, SIGNS, strict=True)
    ]
    order = (0, 1) if totals[0] >= totals[1] else (1, 0)
    bound = 0.0
    for branch in order:
        bound = max(bound, _branch(problem, sums, relaxation, branch, bound))
    return bound


def one_sided(problem: Problem, sums: Sums, sign: float, dual: FloatArray, enough: float) -> float:
    """Upper bound on max of sign·(sum over S × T) from dual weights.

    Args:
        problem: with no fewer rows than columns for speed.
        sums: of the problem.
        sign: +1 or −1.
        dual: shape (m + n + 1,), positive weights of rows, columns and the constant; any
            positive numbers give a valid bound, those of the relaxation give a good one.
        enough: a bound not below this one need not be improved; 0 asks for the best.
    """
    m, n = problem.shape
    scale = 1.0 / np.sqrt(dual)
    p, q, z = scale[:m], scale[m : m + n], float(scale[-1])
    trace = float((1.0 / scale**2).sum()) * (1.0 + gamma(m + n + 6))
    matrix = problem.weighted * p[:, None]
    matrix *= q
    row_border = sign * sums.rows * p * z
    column_border = sign * sums.columns * q * z
    pencil = _Pencil(matrix, row_border, column_border, sign)

    def bound(eigenvalue: float) -> float:
        half = 0.5 * eigenvalue * trace * _OUTWARD
        cancelled = (half + abs(sums.total) + sums.slack) * 2.0**-50
        value = half + sign * sums.total + sums.slack + cancelled
        return 0.25 * value * _OUTWARD if value > 0.0 else 0.0

    if enough > 0.0:
        candidate = 2.0 * (4.0 * enough - sign * sums.total - sums.slack) / trace * (1.0 - 2e-9)
        if candidate > 0.0:
            eigenvalue = pencil.eigenvalue_below(candidate)
            if eigenvalue is not None and bound(eigenvalue) <= enough:
                return bound(eigenvalue)
    estimate = pencil.estimate()
    margin = 1e-6
    for _ in range(_ATTEMPTS):
        eigenvalue = pencil.eigenvalue_below(estimate * (1.0 + margin))
        if eigenvalue is not None:
            return bound(eigenvalue)
        margin *= 8.0
    return math.inf


class _Pencil:
    """The scaled bordered matrix K = [[0, C, a], [Cᵀ, 0, b], [aᵀ, bᵀ, 0]] and its top eigenvalue.

    λ − K is positive semidefinite iff its Schur complement
    ``[[λ − CᵀC/λ, −(b + Cᵀa/λ)], [·, λ − aᵀa/λ]]`` is; and adding η to λ adds at least η to the
    complement, so a complement proved to be at least −η gives λ + η.
    """

    def __init__(
        self, matrix: FloatArray, rows: FloatArray, columns: FloatArray, sign: float
    ) -> None:
        self.height, width = matrix.shape
        self.size = width + 1
        self.columns = columns
        self.gram = matrix.T @ matrix  # the sign of the branch drops out
        self.mixed = sign * (rows @ matrix)
        self.corner = float(rows @ rows)
        square = float(np.trace(self.gram)) + self.corner + float(columns @ columns)
        self.square = square * (1.0 + gamma(self.height * self.size + 2 * self.size))

    def complement(self, value: float) -> FloatArray:
        """The Schur complement at ``value``, shape (n + 1, n + 1), float64, symmetric."""
        out = np.empty((self.size, self.size))
        np.divide(self.gram, -value, out=out[:-1, :-1])
        out[-1, :-1] = -(self.columns + self.mixed / value)
        out[:-1, -1] = out[-1, :-1]
        out[-1, -1] = -self.corner / value
        out[np.diag_indices(self.size)] += value
        return out

    def estimate(self) -> float:
        """The top eigenvalue, roughly: no bound."""
        complement = self.complement(1.0)
        if self.size < 32:
            return math.sqrt(max(1.0 - float(np.linalg.eigvalsh(complement)[0]), 1e-12))
        # Lanczos on 1 − complement, whose top eigenvalue is near 1: its tolerance is relative
        operator = LinearOperator(
            complement.shape, matvec=lambda x: x.ravel() - complement @ x.ravel(), dtype=np.float64
        )
        start = generator(0, "Lanczos").standard_normal(self.size)
        try:
            top = float(
                eigsh(operator, k=1, which="LA", tol=1e-4, v0=start, return_eigenvectors=False)[0]
            )
        except ArpackNoConvergence:
            top = 1.0 - float(np.linalg.eigvalsh(complement)[0])
        return math.sqrt(max(top, 1e-12))

    def eigenvalue_below(self, value: float) -> float | None:
        """A rigorous bound on the top eigenvalue close to ``value``, or None if not proved."""
        if not (math.isfinite(value) and value > 0.0):
            return None
        complement = self.complement(value)
        trace = float(np.trace(complement))
        # the transpose is the same matrix in the order that LAPACK works on in place
        factor, info = dpotrf(complement.T, lower=1, clean=0, overwrite_a=1)
        if info != 0 or not np.isfinite(factor.diagonal()).all():
            return None
        norm = math.sqrt(self.square)
        steps = _SAFETY * (self.size + 4)
        factorisation = gamma(steps) / (1.0 - gamma(steps)) * abs(trace)
        forming = 4.0 * gamma(self.height + 12) * (self.square / value + norm + value)
        scaling = 8.0 * 2.0**-53 * norm + 1e-290  # and whatever underflowed
        return (value + factorisation + forming + scaling) * _OUTWARD


def _branch(
    problem: Problem, sums: Sums, relaxation: Relaxation, branch: int, enough: float
) -> float:
    parts = (
        relaxation.row_gradient[:, branch],
        relaxation.column_gradient[:, branch],
        relaxation.constant_gradient[branch : branch + 1],
    )
    dual = torch.cat(parts).double().cpu().numpy()
    mean = float(dual.mean())
    if not (math.isfinite(mean) and mean > 0.0):
        dual = np.ones_like(dual)
        mean = 1.0
    return one_sided(problem, sums, SIGNS[branch], np.maximum(dual, _FLOOR * mean), enough)
