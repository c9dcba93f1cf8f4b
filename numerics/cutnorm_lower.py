"""Search for sets S, T with a large |sum over S × T|: the lower half of a cut-norm bracket.

Nothing here needs to be trusted. Whatever sets come back, their value is found by one exact sum
(:meth:`numerics.cutnorm_problem.Problem.attained`), and it is a lower bound because they exist.

The search runs on B bordered to zero row and column sums, where sets are signs relative to the
border's and both signs of the sum are one problem. Starts are random hyperplane roundings of the
relaxation (N. Alon and A. Naor, SIAM J. Comput. 35, 2006) and random fields; all of them are
cooled together through the mean-field equations ``x = tanh(βBy)``, ``y = tanh(βBᵀx)``, and then
alternated ``x = sign(By)``, ``y = sign(Bᵀx)`` until none gains.
"""

from __future__ import annotations

import numpy as np
import torch

from numerics.cutnorm_relaxation import Relaxation
from numerics.matrix_input import BoolArray, FloatArray

_COLDEST = 3.0
_WARMEST = 0.5
_MOST_SWEEPS = 200
_KEPT_FOR_POLISHING = 4


def bordered(
    matrix: torch.Tensor, row_sums: torch.Tensor, column_sums: torch.Tensor
) -> torch.Tensor:
    """Append the column and the row that make every row and column sum zero.

    Returns shape (m + 1, n + 1), dtype and device of ``matrix``. The cut norm is unchanged, and
    the ∞→1 norm of the result is four times the cut norm.
    """
    m, n = matrix.shape
    wide = matrix.new_empty((m + 1, n + 1))
    wide[:m, :n] = matrix
    wide[:m, n] = -row_sums
    wide[m, :n] = -column_sums
    wide[m, n] = row_sums.sum()
    return wide


def search(
    matrix: torch.Tensor,
    row_sums: torch.Tensor,
    column_sums: torch.Tensor,
    relaxation: Relaxation | None,
    *,
    starts: int,
    cooling: int,
    rng: np.random.Generator,
) -> list[tuple[BoolArray, BoolArray]]:
    """The best few pairs of sets found, best first.

    Args:
        matrix: shape (m, n), any floating dtype and device.
        row_sums, column_sums: shapes (m,), (n,).
        relaxation: vectors to round for half of the starts; None for random starts only.
        starts: how many columns are cooled together.
        cooling: number of temperatures.
        rng: draws the hyperplanes and the random fields.
    """
    wide = bordered(matrix, row_sums, column_sums)
    if relaxation is None:
        y = torch.from_numpy(rng.standard_normal((wide.shape[1], starts))).to(wide)
    else:
        y = _first_fields(relaxation, starts, rng)
    transposed = wide.T
    x = y.new_zeros((wide.shape[0], starts))
    for beta in np.linspace(_WARMEST, _COLDEST, cooling).tolist():
        x = _cooled(wide @ y, beta)
        y = _cooled(transposed @ x, beta)
    x, y, value = _alternate(wide, _signs(x), _signs(y))
    best = torch.argsort(value, descending=True)[:_KEPT_FOR_POLISHING]
    rows = (x[:-1, best] != x[-1:, best]).cpu().numpy()
    columns = (y[:-1, best] != y[-1:, best]).cpu().numpy()
    return [(rows[:, k], columns[:, k]) for k in range(rows.shape[1])]


def polish(
    weighted: FloatArray, rows: BoolArray, columns: BoolArray
) -> tuple[float, BoolArray, BoolArray]:
    """Alternate in float64 from given sets, with the sign they start with.

    Returns the absolute sum reached (not certified) and the sets, shapes (m,) and (n,).
    """
    sign = 1.0 if float(weighted[rows][:, columns].sum()) >= 0.0 else -1.0
    value = -np.inf
    for _ in range(_MOST_SWEEPS):
        row_gain = sign * (weighted @ columns.astype(np.float64))
        new_rows = row_gain > 0.0
        column_gain = sign * (new_rows.astype(np.float64) @ weighted)
        new_columns = column_gain > 0.0
        reached = float(column_gain[new_columns].sum())
        if reached <= value:
            break
        value, rows, columns = reached, new_rows, new_columns
    return value, rows, columns


def _first_fields(relaxation: Relaxation, starts: int, rng: np.random.Generator) -> torch.Tensor:
    """Fields on the columns and their border, shape (n + 1, starts): half rounded, half random."""
    vectors = relaxation.columns
    n, _, rank = vectors.shape
    rounded = starts // 2
    normal = torch.from_numpy(rng.standard_normal((rank, rounded))).to(vectors)
    fields = torch.from_numpy(rng.standard_normal((n + 1, starts))).to(vectors)
    for branch in range(2):
        part = slice(branch, rounded, 2)
        fields[:n, part] = vectors[:, branch] @ normal[:, part]
        # column sets are signs relative to the border's, which stands for the constant reversed
        fields[n, part] = -(relaxation.constant[branch] @ normal[:, part])
    return fields


def _cooled(fields: torch.Tensor, beta: float) -> torch.Tensor:
    scale = fields.abs().mean(0, keepdim=True).clamp_min(1e-30)
    return torch.tanh(fields * (beta / scale))


def _signs(fields: torch.Tensor) -> torch.Tensor:
    return torch.where(fields < 0, -1.0, 1.0).to(fields.dtype)


def _alternate(
    wide: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    value = torch.full((y.shape[1],), -torch.inf, dtype=wide.dtype, device=wide.device)
    for _ in range(_MOST_SWEEPS):
        new_x = _signs(wide @ y)
        field = wide.T @ new_x
        new_y = _signs(field)
        reached = field.abs().sum(0)
        better = reached > value
        if not bool(better.any()):
            break
        x = torch.where(better, new_x, x)
        y = torch.where(better, new_y, y)
        value = torch.maximum(reached, value)
    return x, y, value
