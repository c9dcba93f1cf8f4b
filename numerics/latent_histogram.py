"""Degree-sorted histograms of sampled layers, with their errors and their spread over residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.stats
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.histogram import overlap_lengths

__all__ = ["Estimate", "Sorted", "binomial_profile", "combined", "sorted_histogram"]

Array = NDArray[np.float64]


class Sorted(NamedTuple):
    """A histogram (bins of targets, bins of sources), increasing degrees, and the degrees.

    ``rows`` and ``columns`` are quantile functions of the degrees at the middles of the bins.
    """

    histogram: Array
    rows: Array
    columns: Array

    @property
    def density(self) -> float:
        """The mean of the matrix."""
        return float(self.histogram.mean())


@dataclass(frozen=True)
class Estimate:
    """A mean over replicates, arrays of one shape.

    Attributes:
        value: the mean.
        error: its standard error, residuals included where they are drawn.
        spread: standard deviation over residuals, without the Monte-Carlo error; zero where the
            residual is given.
        noise: standard deviation of one replicate with its residual given.
    """

    value: Array
    error: Array
    spread: Array
    noise: Array

    @classmethod
    def exact(cls, value: Array) -> Estimate:
        """A value without error."""
        zero = np.zeros_like(value)
        return cls(value, zero, zero, zero)


def sorted_histogram(kept: Tensor, k_target: int, k_source: int) -> Sorted:
    """Rows and columns sorted by their means, then block means on a grid; float64 on the CPU.

    ``kept`` (targets, sources) is bool or floating; ties keep their order, which is random for
    sampled latents.
    """
    m, n = kept.shape
    values = kept if kept.is_floating_point() else kept.float()
    rows = values.sum(dim=1).double() / n  # sums of masks are exact in float32 up to 2^24 edges
    columns = values.sum(dim=0).double() / m
    row_order, column_order = rows.argsort(stable=True), columns.argsort(stable=True)
    source = _sent(n, k_source, column_order).to(values)
    target = _sent(m, k_target, row_order)
    reduced = (values @ source.T).double()
    histogram = (target.to(reduced) @ reduced) / (float(m) * float(n))
    return Sorted(
        histogram.cpu().numpy(),
        _quantiles(rows[row_order].cpu().numpy(), k_target),
        _quantiles(columns[column_order].cpu().numpy(), k_source),
    )


def _sent(length: int, cells: int, order: Tensor) -> Tensor:
    """Overlaps (cells, length) whose column i belongs to unsorted row i, float64."""
    overlaps = torch.from_numpy(overlap_lengths(length, cells)).to(order.device)
    out = torch.empty_like(overlaps)
    out[:, order] = overlaps
    return out


def _quantiles(ordered: Array, cells: int) -> Array:
    """The quantile function of sorted samples at the middles of equal cells."""
    levels = (np.arange(len(ordered)) + 0.5) / len(ordered)
    return np.interp((np.arange(cells) + 0.5) / cells, levels, ordered)


def binomial_profile(trials: int, share: float, cells: int) -> Array:
    """Means over equal cells of the quantile function of ``Binomial(trials, share) / trials``."""
    edges = np.linspace(0.0, 1.0, cells + 1)
    counts = np.arange(trials + 1)
    law = scipy.stats.binom(trials, share)
    high = np.minimum(law.cdf(counts), 1.0)
    low = np.concatenate(([0.0], high[:-1]))
    overlap = np.minimum(high, edges[1:, None]) - np.maximum(low, edges[:-1, None])
    profile: Array = np.maximum(overlap, 0.0) @ (counts / trials) * cells
    return profile


def combined(groups: Sequence[Sequence[Array]]) -> Estimate:
    """Mean, error and spread of replicates, grouped by their residual.

    One group for a residual that is given; groups of equal size, one for each residual, where
    it is drawn. At least two replicates in all.
    """
    values = np.array([[np.asarray(each, dtype=np.float64) for each in part] for part in groups])
    residuals, repeats = values.shape[:2]
    centre = values.mean(axis=(0, 1))
    noise = values.var(axis=1, ddof=1).mean(axis=0) if repeats > 1 else np.zeros_like(centre)
    if residuals == 1:
        zero = np.zeros_like(centre)
        return Estimate(centre, np.sqrt(noise / repeats), zero, np.sqrt(noise))
    between = values.mean(axis=1).var(axis=0, ddof=1)
    spread = np.sqrt(np.maximum(between - noise / repeats, 0.0))
    return Estimate(centre, np.sqrt(between / residuals), spread, np.sqrt(noise))
