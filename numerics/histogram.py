"""Sort-and-smooth histograms: block means of a matrix over a K × K grid, also panel by panel.

A matrix (m, n) is the step function on the unit square with equal steps, and the histogram is
its average over equal cells. Where K does not divide m, the rows that straddle two cells count
in each with the part of them that lies there, so that the histogram is exactly the step
function's L² projection, and its mean is exactly the mean of the matrix. Overlaps are measured
in units of 1/(mK), where they are integers: for masks every sum is exact, in whatever panels
and order they come.

Source: sort and smooth is by S. Chan and E. Airoldi (ICML 2014); its use for pruning masks is
that of the graphon limit hypothesis, with K = 64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from numerics.alignment import Alignment, degree_alignment
from numerics.matrix_input import FloatArray, MatrixLike, as_count, as_matrix, as_real_array

Panels = Callable[[], Iterable[tuple[int, MatrixLike]]]
"""Called once per pass; yields (first row, panel of shape (rows, n)) in any order."""


def overlap_lengths(length: int, cells: int) -> FloatArray:
    """Overlaps of ``length`` equal steps with ``cells`` equal cells, in units of 1/(length·cells).

    Returns shape (cells, length), float64, integers; rows sum to ``length``, columns to ``cells``.

    >>> overlap_lengths(3, 2)
    array([[2., 1., 0.],
           [0., 1., 2.]])
    """
    steps = np.arange(as_count(length, "length"), dtype=np.int64) * as_count(cells, "cells")
    left = np.arange(cells, dtype=np.int64)[:, None] * length
    shared = np.minimum(steps + cells, left + length) - np.maximum(steps, left)
    return np.maximum(shared, 0).astype(np.float64)


def block_means(array: MatrixLike, k_target: int, k_source: int | None = None) -> FloatArray:
    """Averages over ``k_target`` × ``k_source`` equal cells of the unit square.

    Args:
        array: shape (m, n), booleans, integers or floats, on any device.
        k_target, k_source: numbers of cells; ``k_source`` is ``k_target`` if absent. They need
            not divide, and may exceed, m and n.

    Returns:
        shape (k_target, k_source), float64, on the CPU.

    Raises:
        ValueError: ``array`` not a finite, real, non-empty matrix, or a cell count below 1.
    """
    matrix = as_matrix(array, "array")
    accumulator = HistogramAccumulator(matrix.shape, k_target, k_source)
    accumulator.add(0, matrix)
    return accumulator.result()


def sas(mask: MatrixLike, k: int, k_source: int | None = None) -> FloatArray:
    """Sort rows and columns by degree (increasing), then average over ``k`` × ``k_source`` cells.

    Raises:
        ValueError: as :func:`block_means`, naming ``mask``.
    """
    matrix = as_matrix(mask, "mask")
    return block_means(degree_alignment(matrix).apply(matrix), k, k_source)


@dataclass
class DegreeAccumulator:
    """Row and column sums of a matrix that comes in panels of rows.

    Attributes:
        shape: (m, n) of the whole matrix.
    """

    shape: tuple[int, int]

    def __post_init__(self) -> None:
        rows, columns = self.shape
        self._rows = np.zeros(as_count(rows, "shape[0]"))
        self._columns = np.zeros(as_count(columns, "shape[1]"))
        self._seen = np.zeros(rows, dtype=np.bool_)

    def add(self, first_row: int, panel: MatrixLike) -> None:
        """Take the rows from ``first_row`` on; panel of shape (rows, n).

        Raises:
            ValueError: a panel that does not fit, or holds rows already taken.
        """
        array = as_real_array(panel, "panel")
        place = _place(array.shape, first_row, self.shape, self._seen)
        self._rows[place] = array.sum(1, dtype=np.float64)
        self._columns += array.sum(0, dtype=np.float64)
        self._seen[place] = True

    def alignment(self) -> Alignment:
        """Rows and columns sorted by degree, increasing, ties in order.

        Raises:
            ValueError: rows are missing, or a sum is not finite.
        """
        _complete(self._seen)
        if not (np.isfinite(self._rows).all() and np.isfinite(self._columns).all()):
            raise ValueError("panel must be finite, but some held NaN or infinity")
        return Alignment(
            np.argsort(self._rows, kind="stable").astype(np.int64),
            np.argsort(self._columns, kind="stable").astype(np.int64),
        )


class HistogramAccumulator:
    """Block means of a matrix that comes in panels of rows, optionally aligned.

    Panels that are tensors are multiplied on their own device in float64.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        k_target: int,
        k_source: int | None = None,
        alignment: Alignment | None = None,
    ) -> None:
        """Start from zero.

        Args:
            shape: (m, n) of the whole matrix.
            k_target, k_source: numbers of cells.
            alignment: where rows and columns go before averaging; nowhere if absent.

        Raises:
            ValueError: counts below 1, or an alignment of another shape.
        """
        m, n = as_count(shape[0], "shape[0]"), as_count(shape[1], "shape[1]")
        self.shape = (m, n)
        k_target = as_count(k_target, "k_target")
        k_source = k_target if k_source is None else as_count(k_source, "k_source")
        target, source = overlap_lengths(m, k_target), overlap_lengths(n, k_source)
        if alignment is not None:
            if (len(alignment.rows), len(alignment.columns)) != self.shape:
                raise ValueError(f"alignment must be of a matrix of shape {self.shape}")
            target, source = _sent(target, alignment.rows), _sent(source, alignment.columns)
        self._target = target
        self._source = torch.from_numpy(np.ascontiguousarray(source.T))
        self._sums = np.zeros((k_target, k_source))
        self._seen = np.zeros(m, dtype=np.bool_)

    def add(self, first_row: int, panel: MatrixLike) -> None:
        """Take the rows from ``first_row`` on; panel of shape (rows, n).

        Raises:
            ValueError: a panel that does not fit, or holds rows already taken.
        """
        if isinstance(panel, torch.Tensor) and not panel.is_complex():
            tensor = panel.detach()
        else:
            tensor = torch.from_numpy(np.ascontiguousarray(as_real_array(panel, "panel")))
        place = _place(tuple(tensor.shape), first_row, self.shape, self._seen)
        if self._source.device != tensor.device:
            self._source = self._source.to(tensor.device)
        reduced = (tensor.double() @ self._source).cpu().numpy()
        self._sums += self._target[:, place] @ reduced
        self._seen[place] = True

    def result(self) -> FloatArray:
        """The block means, shape (k_target, k_source), float64.

        Raises:
            ValueError: rows are missing, or a mean is not finite.
        """
        _complete(self._seen)
        if not np.isfinite(self._sums).all():
            raise ValueError("panel must be finite, but some held NaN or infinity")
        return self._sums / (float(self.shape[0]) * float(self.shape[1]))


def sas_panels(
    panels: Panels, shape: tuple[int, int], k: int, k_source: int | None = None
) -> FloatArray:
    """:func:`sas` of a matrix too large to hold: one pass for degrees, one for block means.

    Args:
        panels: called twice, must yield the same matrix both times.
        shape: (m, n).
        k, k_source: numbers of cells.

    Raises:
        ValueError: panels that do not fit, overlap, or leave rows out.
    """
    counted = DegreeAccumulator(shape)
    for first_row, panel in panels():
        counted.add(first_row, panel)
    histogram = HistogramAccumulator(shape, k, k_source, counted.alignment())
    for first_row, panel in panels():
        histogram.add(first_row, panel)
    return histogram.result()


def _sent(overlaps: FloatArray, order: np.ndarray) -> FloatArray:
    """Columns of the overlaps rearranged so that index i is an unsorted row of the matrix."""
    sent = np.empty_like(overlaps)
    sent[:, order] = overlaps
    return sent


def _place(
    panel: tuple[int, ...], first_row: int, shape: tuple[int, int], seen: np.ndarray
) -> slice:
    first = as_count(first_row, "first_row", minimum=0)
    if len(panel) != 2 or panel[1] != shape[1] or first + panel[0] > shape[0]:
        raise ValueError(
            f"panel must have shape (rows, {shape[1]}) and end by row {shape[0]}, "
            f"got {tuple(panel)} from row {first}"
        )
    place = slice(first, first + panel[0])
    if seen[place].any():
        raise ValueError(f"panel from row {first} holds rows that were already taken")
    return place


def _complete(seen: np.ndarray) -> None:
    if not seen.all():
        raise ValueError(f"panels must cover every row; row {int(np.argmin(seen))} is missing")
