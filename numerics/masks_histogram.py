"""Block means of a drawn mask, sorted by latents and by degrees, without a copy of the mask."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.histogram import overlap_lengths
from numerics.masks_stream import MaskStream, positive_integer

if TYPE_CHECKING:
    from theory.saliency import SaliencyModel

__all__ = ["StreamedHistogram", "degree_histogram", "stream_histogram"]


@dataclass(frozen=True)
class StreamedHistogram:
    """Block means of one drawn mask, both float64 arrays of shape (k, k), ``(target, source)``.

    ``latent``: rows and columns in the order of their positions. ``degree``: in the order of
    their degrees, ascending, ties by index (sorting and smoothing, [A] Section 4.3). Cells are
    equal parts of the unit square, as in :mod:`numerics.histogram`.
    """

    latent: NDArray[np.float64]
    degree: NDArray[np.float64]
    threshold: float
    kept: int


def _row_cells(
    mask: NDArray[np.bool_], order: NDArray[np.integer], k: int, jobs: int
) -> NDArray[np.int64]:
    """Rows in an order, summed over ``k`` equal cells in units of 1/(n k); shape (k, d).

    Whole rows are added as bytes, 255 at a time, which is as fast as memory gives them; rows
    that straddle two cells count in each with their part.
    """
    n = len(mask)

    def cell(index: int) -> NDArray[np.int64]:
        left, right = index * n, (index + 1) * n  # row i covers [i k, (i + 1) k]
        first, last = -(-left // k), right // k
        total = np.zeros(mask.shape[1], dtype=np.int64)
        for start in range(first, last, 255):
            rows = mask[order[start : min(start + 255, last)]].view(np.uint8)
            total += np.add.reduce(rows, axis=0, dtype=np.uint8)
        total *= k
        for row in {left // k, (right - 1) // k} - set(range(first, last)):
            part = min((row + 1) * k, right) - max(row * k, left)
            total += part * mask[order[row]]
        return total

    if jobs == 1:
        return np.stack([cell(index) for index in range(k)])
    with ThreadPoolExecutor(jobs) as pool:
        return np.stack(list(pool.map(cell, range(k))))


def _block_means(
    row_cells: NDArray[np.int64], order: NDArray[np.integer], n: int
) -> NDArray[np.float64]:
    """Block means from sums over row cells, (k, d), and an order of the columns.

    All sums are integers below 2^53, so they are exact in float64.
    """
    k, d = row_cells.shape
    sums = row_cells[:, order].astype(np.float64) @ overlap_lengths(d, k).T
    means: NDArray[np.float64] = sums / (float(n) * float(d))
    return means


def _ascending(values: NDArray[Any]) -> NDArray[np.int64]:
    return np.argsort(values, kind="stable")


def degree_histogram(
    mask: NDArray[np.bool_], k: int, jobs: int | None = None
) -> NDArray[np.float64]:
    """The k×k block means of a mask (n, d) with rows and columns sorted by degree.

    Exactly :func:`numerics.histogram.sas`, without a copy of the mask; ``jobs`` threads, None for
    as many as PyTorch uses. Raises ValueError for a ``k`` below 1 or what is no bool matrix.
    """
    positive_integer("k", k)
    if (
        not isinstance(mask, np.ndarray)
        or mask.dtype != np.bool_
        or mask.ndim != 2
        or not mask.size
    ):
        raise ValueError("mask must be a bool array with two axes and at least one entry")
    threads = torch.get_num_threads() if jobs is None else positive_integer("jobs", jobs)
    n = len(mask)
    # Every row lies in the cells with weight k in all, so this is k times the columns' degrees.
    col_degrees = _row_cells(mask, np.arange(n), k, threads).sum(axis=0)
    return _by_degree(mask, col_degrees, k, threads)


def _by_degree(
    mask: NDArray[np.bool_], col_degrees: NDArray[np.int64], k: int, jobs: int
) -> NDArray[np.float64]:
    row_degrees = np.array([np.count_nonzero(row) for row in mask])
    cells = _row_cells(mask, _ascending(row_degrees), k, jobs)
    return _block_means(cells, _ascending(col_degrees), len(mask))


def stream_histogram(
    model: SaliencyModel,
    n: int,
    d: int,
    density: float,
    seed: int,
    k: int = 64,
    *,
    positions: str = "grid",
    columns: str = "random",
    dtype: torch.dtype = torch.float32,
    tile: int | None = None,
    jobs: int | None = None,
) -> StreamedHistogram:
    """The k×k block means of the mask that :func:`numerics.masks.draw` draws.

    Nothing of size (n, d) is held but the mask itself, one byte an entry. Parameters as in
    ``draw``; ``k`` is positive. Raises like it. The result is exactly that of
    :func:`numerics.histogram.sas` and :func:`numerics.histogram.block_means`.
    """
    positive_integer("k", k)
    stream = MaskStream(model, n, d, density, seed, positions, columns, dtype, tile, jobs)
    mask, threshold = stream.run()
    cells = _row_cells(mask, _ascending(stream.v), k, stream.jobs)
    latent = _block_means(cells, _ascending(stream.u), n)
    degree = _by_degree(mask, cells.sum(axis=0), k, stream.jobs)
    return StreamedHistogram(latent, degree, threshold, stream.kept)
