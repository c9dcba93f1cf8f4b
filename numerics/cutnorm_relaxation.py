"""Low-rank solutions of the one-sided semidefinite relaxation of the cut norm.

With s = ±1 and ±1 vectors x, y the indicator of S is (1 + x)/2, so
``4·s·(sum of B over S × T) = s·(xᵀBy + xᵀr + cᵀy + t)``, where r and c hold the row and column
sums of B and t its total. The relaxation replaces each sign by a unit vector and the constant 1
by one more unit vector z. Keeping the two signs s apart, each with its own z, is tighter than
the relaxation of the ∞→1 norm of B bordered to zero sums, where the two border vectors are free.

The solver is the low-rank factorisation of Burer and Monteiro (Math. Program. 95, 2003) by block
coordinate ascent with extrapolation. It promises nothing: its vectors start the search for sets,
and its gradient starts the search for a dual bound, and both are checked by others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

SIGNS = (1.0, -1.0)
"""The order of the two branches in every tensor of this module."""

_EXTRAPOLATION = 0.7
_CHECK_EVERY = 10
_TINY = 1e-30


@dataclass(frozen=True)
class Relaxation:
    """Vectors and gradient of both branches; index 0 is s = +1, index 1 is s = −1.

    Attributes:
        rows: shape (m, 2, rank), unit vectors of x (zero where the gradient is zero).
        columns: shape (n, 2, rank), unit vectors of y.
        constant: shape (2, rank), the unit vector z.
        row_gradient, column_gradient, constant_gradient: shapes (m, 2), (n, 2), (2,): lengths
            of the gradients; at a maximiser they solve the dual problem.
        values: shape (2,), ``s·(xᵀBy + xᵀr + cᵀy)`` reached.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    constant: torch.Tensor
    row_gradient: torch.Tensor
    column_gradient: torch.Tensor
    constant_gradient: torch.Tensor
    values: tuple[float, float]


def solve(
    matrix: torch.Tensor,
    row_sums: torch.Tensor,
    column_sums: torch.Tensor,
    *,
    rank: int,
    iterations: int,
    tolerance: float,
    rng: np.random.Generator,
) -> Relaxation:
    """Ascend on both branches at once.

    Args:
        matrix: shape (m, n), any floating dtype and device.
        row_sums, column_sums: shapes (m,), (n,), same dtype and device.
        rank: dimension of the vectors.
        iterations: most rounds of coordinate ascent.
        tolerance: stop when ten rounds gain less than this, relatively, on both branches.
        rng: draws the first vectors.
    """
    m, n = matrix.shape
    sign = matrix.new_tensor(SIGNS)
    row_term = row_sums[:, None, None] * sign[:, None]
    column_term = column_sums[:, None, None] * sign[:, None]

    def drawn(*shape: int) -> torch.Tensor:
        return _unit(torch.from_numpy(rng.standard_normal(shape)).to(matrix))

    def row_field(columns: torch.Tensor, constant: torch.Tensor) -> torch.Tensor:
        product = (matrix @ columns.reshape(n, 2 * rank)).view(m, 2, rank)
        return product * sign[:, None] + row_term * constant

    def column_field(rows: torch.Tensor, constant: torch.Tensor) -> torch.Tensor:
        product = (matrix.T @ rows.reshape(m, 2 * rank)).view(n, 2, rank)
        return product * sign[:, None] + column_term * constant

    def constant_field(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        return (row_term * rows).sum(0) + (column_term * columns).sum(0)

    columns, constant = drawn(n, 2, rank), drawn(2, rank)
    rows = _unit(row_field(columns, constant))
    old_columns, old_constant = columns, constant
    reached = torch.full((2,), -np.inf, dtype=torch.float64)
    for step in range(1, iterations + 1):
        ahead = columns + _EXTRAPOLATION * (columns - old_columns)
        ahead_constant = constant + _EXTRAPOLATION * (constant - old_constant)
        rows = _unit(row_field(ahead, ahead_constant))
        old_columns, old_constant = columns, constant
        columns = _unit(column_field(rows, constant))
        pull = constant_field(rows, columns)
        constant = _unit(pull)
        if step % _CHECK_EVERY == 0:
            value = (pull * constant).sum(1) + _bilinear(matrix, rows, columns, sign)
            value = value.double().cpu()
            if bool((value - reached <= tolerance * value.abs()).all()):
                break
            reached = value
    field_of_rows = row_field(columns, constant)
    field_of_columns = column_field(rows, constant)
    pull = constant_field(rows, columns)
    linear = (rows * (field_of_rows - row_term * constant)).sum((0, 2))
    final = (linear + (pull * constant).sum(1)).double().cpu().tolist()
    return Relaxation(
        rows,
        columns,
        constant,
        field_of_rows.norm(dim=2),
        field_of_columns.norm(dim=2),
        pull.norm(dim=1),
        (final[0], final[1]),
    )


def rescaled(relaxation: Relaxation, factor: float) -> Relaxation:
    """The relaxation of the matrix times ``factor`` > 0: same vectors, gradients in float64."""
    return replace(
        relaxation,
        row_gradient=relaxation.row_gradient.double() * factor,
        column_gradient=relaxation.column_gradient.double() * factor,
        constant_gradient=relaxation.constant_gradient.double() * factor,
        values=(relaxation.values[0] * factor, relaxation.values[1] * factor),
    )


def _bilinear(
    matrix: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, sign: torch.Tensor
) -> torch.Tensor:
    product = (matrix @ columns.reshape(columns.shape[0], -1)).view(rows.shape)
    return (rows * product).sum((0, 2)) * sign


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(_TINY)
