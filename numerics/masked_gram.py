"""The sum ``Σ_ij M_ij ⟨δ_i(x), δ_i(x')⟩ h_j(x) h_j(x')`` over the surviving weights of a layer.

It does not factorise as the sum over all entries does. There are two ways to compute it, and
:func:`masked_gram` takes the cheaper one:

- *edges*: the Jacobian's surviving columns, a chunk at a time, and their Gram matrix: about
  ``nnz · outputs · N1 N2`` multiplications (half of it for one set of inputs), and for all pairs
  of outputs as many times again as there are outputs;
- *pairs*: ``M (h_j h'_j)`` for a chunk of input pairs as one matrix product, contracted with the
  δ's: about ``n_l n_{l-1} N1 N2``, whatever the density and the number of outputs.

Arrays have units first: ``h`` is (n_{l-1}, N), ``d`` is (n_l, outputs, N), so an edge is a row.
Chunks are computed in the arrays' dtype and added up in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
from torch import Tensor

__all__ = ["METHODS", "gram", "masked_gram"]

METHODS = ("auto", "edges", "pairs")

_EDGES = 4096
"""Rows of a chunk unless a memory budget says fewer: enough for BLAS, few enough for a cache."""
_PAIRS_MIB = 32.0
_GPU_MIB = 1024.0
_EDGE_COST = 1.6
"""Time of a multiplication in *edges*, its gathers included, to one in *pairs*; measured at
N = 128 in both dtypes on one thread."""


def gram(a: Tensor, b: Tensor | None) -> Tensor:
    """``a bᵀ`` for (p, K) and (q, K) in float64; ``b=None`` is ``a``, exactly symmetric then."""
    product = (a @ (a if b is None else b).T).double()
    return product if b is not None else (product + product.T).div_(2.0)


@cache
def _openblas() -> Any:
    """NumPy's BLAS, to be held to one thread while several of ours call it."""
    return ThreadpoolController().select(internal_api="openblas")


class _Edges:
    """The sum by chunks of surviving weights; ``shape`` (N1, N2) or (O N1, O N2) if full."""

    def __init__(self, h: Sequence[Tensor], d: Sequence[Tensor], full: bool) -> None:
        self.h, self.d, self.full = h, d, full
        self.outputs = d[0].shape[1]
        factor = self.outputs if full else 1
        self.shape = (factor * h[0].shape[1], factor * h[-1].shape[1])

    def chunk(self, mib: float | None, workers: int) -> int:
        """Edges per chunk, at least one: three arrays for each set of inputs are held."""
        if mib is None and self.h[0].device.type == "cpu":
            return max(1, _EDGES // self.outputs)
        width = 3 * self.outputs * sum(part.shape[1] for part in self.h)
        budget = (_GPU_MIB if mib is None else mib) * 2**20 / workers
        return max(1, int(budget / (width * self.h[0].element_size())))

    def on_gpu(self, rows: Tensor, cols: Tensor, size: int) -> Tensor:
        """PyTorch throughout."""
        total = torch.zeros(self.shape, dtype=torch.float64, device=rows.device)
        for start in range(0, len(rows), size):
            i, j = rows[start : start + size], cols[start : start + size]
            J = []
            for h, d in zip(self.h, self.d, strict=True):
                block = d[i] * h[j][:, None, :]
                J.append(block.flatten(1) if self.full else block.flatten(0, 1))
            total += (J[0].T @ J[-1]).double()
        return total

    def on_cpu(self, rows: Tensor, cols: Tensor, size: int, workers: int) -> Tensor:
        """NumPy in as many threads as PyTorch would use, each with a BLAS of one thread.

        Chunks are independent, so this scales where two thread pools (PyTorch's for the gathers,
        BLAS's for the Gram matrix) would wait for each other. ``J.T @ J`` with one array on both
        sides makes NumPy compute one triangle only (BLAS syrk), which PyTorch has not.
        """
        i, j = rows.numpy(), cols.numpy()
        hs, ds = [h.numpy() for h in self.h], [d.numpy() for d in self.d]

        def part(worker: int) -> np.ndarray:
            total = np.zeros(self.shape)
            buffers = [np.empty((size, *d.shape[1:]), d.dtype) for d in ds]
            for start in range(worker * size, len(i), workers * size):
                chunk = slice(start, start + size)
                J = []
                for h, d, buffer in zip(hs, ds, buffers, strict=True):
                    block = buffer[: len(i[chunk])]
                    # Indices come from a mask of the right shape; "clip" spares their check.
                    np.take(d, i[chunk], axis=0, out=block, mode="clip")
                    block *= h.take(j[chunk], axis=0, mode="clip")[:, None, :]
                    rows_of = len(block) if self.full else len(block) * self.outputs
                    J.append(block.reshape(rows_of, -1))
                total += J[0].T @ J[-1]
            return total

        with _openblas().limit(limits=1):
            if workers == 1:
                return torch.from_numpy(part(0))
            with ThreadPoolExecutor(workers) as pool:
                return torch.from_numpy(sum(pool.map(part, range(workers)), np.zeros(self.shape)))

    def total(self, rows: Tensor, cols: Tensor, mib: float | None) -> Tensor:
        """The sum over the edges (rows, cols), float64 of the class's shape."""
        if rows.device.type != "cpu":
            return self.on_gpu(rows, cols, self.chunk(mib, 1))
        workers = torch.get_num_threads()
        size = min(self.chunk(mib, workers), len(rows))
        workers = max(1, min(workers, len(rows) // max(1, size)))
        return self.on_cpu(rows, cols, max(1, size), workers)


def _by_edges(
    h: Sequence[Tensor], d: Sequence[Tensor], mask: Tensor, full: bool, mib: float | None
) -> Tensor:
    work = _Edges(h, d, full)
    rows, cols = mask.nonzero(as_tuple=True)
    total = work.total(rows, cols, mib)
    if not full:
        return total / work.outputs
    shape = (work.outputs, h[0].shape[1], work.outputs, h[-1].shape[1])
    return total.view(shape).permute(1, 3, 0, 2)


def _by_pairs(
    h: Sequence[Tensor], d: Sequence[Tensor], mask: Tensor, full: bool, mib: float | None
) -> Tensor:
    symmetric = len(h) == 1
    (h1, h2), (d1, d2) = (h[0], h[-1]), (d[0], d[-1])
    targets, o, n1 = d1.shape
    n2 = h2.shape[1]
    M = mask.to(h1.dtype)
    shape = (n1, n2, o, o) if full else (n1, n2)
    total = torch.zeros(shape, dtype=torch.float64, device=h1.device)
    # Held for each pair of inputs: h h', its image under M, and products with the δ's.
    per_pair = len(h1) + (3 + (2 * o if full else 0)) * targets
    default = _PAIRS_MIB if h1.device.type == "cpu" else _GPU_MIB
    entries = (default if mib is None else mib) * 2**20 / h1.element_size()
    pairs = max(1, int(entries / max(1, per_pair)))
    step = min(n1, max(1, pairs // n2))
    width = max(1, pairs // step)
    for start in range(0, n1, step):
        rows = slice(start, min(start + step, n1))
        for low in range(start if symmetric else 0, n2, width):
            cols = slice(low, min(low + width, n2))
            block = h1[:, rows, None] * h2[:, None, cols]
            sums = (M @ block.flatten(1)).view(targets, *block.shape[1:])
            if not full:
                deltas = torch.bmm(d1[:, :, rows].transpose(1, 2), d2[:, :, cols])
                total[rows, cols] = (deltas.mul_(sums).sum(dim=0) / o).double()
                continue
            right = d2[:, :, cols].permute(2, 0, 1)
            for at in range(sums.shape[1]):
                left = sums[:, at, None, :] * d1[:, :, start + at, None]
                total[start + at, cols] = torch.bmm(left.permute(2, 1, 0), right).double()
    return _mirrored(total) if symmetric else total


def _mirrored(total: Tensor) -> Tensor:
    """The lower triangle of inputs from the upper one; output indices swap sides too."""
    n = total.shape[0]
    i, j = torch.triu_indices(n, n, 1, device=total.device)
    if total.ndim == 2:
        total[j, i] = total[i, j]
        return total
    total[j, i] = total[i, j].transpose(-1, -2)
    same = total.diagonal(dim1=0, dim2=1)  # (O, O, N): an input with itself
    same.copy_((same + same.transpose(0, 1)) / 2.0)
    return total


def masked_gram(
    h: Sequence[Tensor],
    d: Sequence[Tensor],
    mask: Tensor,
    *,
    full: bool = False,
    mib: float | None = None,
    method: str = "auto",
) -> Tensor:
    """The sum of the module's first line, for one set of inputs or between two.

    ``h`` and ``d`` hold one or two tensors (see the module for their shapes); ``mask`` is bool of
    shape (n_l, n_{l-1}). ⟨δ, δ'⟩ is the mean over outputs, and the result (N1, N2); with ``full``
    it is every pair of outputs, (N1, N2, outputs, outputs). Float64, exactly symmetric for one
    set. ``mib`` bounds the working buffers. Raises ValueError for an unknown ``method``.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    # Rows of zeros contribute nothing: dead ReLUs, pixels that are black in every image.
    sources = torch.stack([part.any(dim=1) for part in h]).all(dim=0).nonzero()[:, 0]
    targets = torch.stack([part.flatten(1).any(dim=1) for part in d]).all(dim=0).nonzero()[:, 0]
    if len(sources) < mask.shape[1]:
        h, mask = [part[sources] for part in h], mask[:, sources]
    if len(targets) < mask.shape[0]:
        d, mask = [part[targets] for part in d], mask[targets]
    outputs = d[0].shape[1]
    edges = int(mask.sum()) * outputs * (outputs if full else 1) * _EDGE_COST
    by_edges = method == "edges" or (method == "auto" and edges <= mask.numel())
    return (_by_edges if by_edges else _by_pairs)(h, d, mask, full, mib)
