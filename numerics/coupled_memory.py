"""How much of a coupled kernel's work is done at once, so that it fits under a cap."""

from __future__ import annotations

from typing import NamedTuple

import torch

from numerics.coupled_masks import PAIRS
from numerics.latent_batch import LatentBatch

__all__ = ["Tiles", "tiles"]

_ROWS = {"cpu": 256, "cuda": 2048}
_SLACK = 24.0
"""MiB of buffers of the libraries underneath."""
_PAIRS = {"cpu": 1024, "cuda": 8192}


class Tiles(NamedTuple):
    """Rows of edges and pairs of inputs at a time, and the estimated peak in MiB."""

    rows: int
    pairs: int
    mib: float


def tiles(
    batch: LatentBatch,
    samples: int,
    inputs: int,
    full: bool,
    dtype: torch.dtype,
    device: torch.device,
    memory: float,
    *,
    halves: bool = True,
) -> Tiles:
    """The largest tiles that fit in ``memory`` MiB; ValueError, with what is needed, if none do.

    ``halves`` says whether the bias is estimated, which takes kernels of half the samples.
    """
    item, J, M = dtype.itemsize, samples, inputs
    N, depth, d = batch.n, batch.depth, batch.widths[0]
    own, wide = N * batch.outputs, M * batch.outputs
    latents = depth * (4 * N + own + 2 * M) + 3 * own + 5 * wide + 5 * d + 4 * batch.outputs
    # A replicate's kernels are L + 1 shares and the outputs' second moment; each of these and the
    # sum of the shares has a mean and its squares. Estimating the bias doubles it all.
    runs, block = 2 if halves else 1, batch.outputs**2 if full else 1
    kernels = runs * (3 * depth + 5) * block + block + runs * 3 + 5
    held = item * J * latents + 8 * (6 * (own if depth > 1 else 1) ** 2 + kernels * M * M + J * d)
    # The histogram of a layer's scores, in float64 with its logarithms and classes.
    threshold = 72 * min(J * J, max(PAIRS, J)) + 24 * J * d
    every = M * (M + 1) // 2
    rows, pairs = min(J, _ROWS[device.type]), min(every, _PAIRS[device.type])
    while True:
        edges = item * rows * (9 * J + 3 * max(own, wide))
        products = item * (2 * J * pairs + rows * pairs * (3 + 4 * batch.outputs) + rows * J * 3)
        needed = _SLACK + (held + max(edges, products, threshold)) / 2**20
        if needed <= memory:
            return Tiles(rows, pairs, needed)
        if rows <= 8 and pairs <= 8:  # no smaller tiles
            raise ValueError(
                f"memory must be at least {needed:.0f} MiB for {J} samples, {N} inputs of the "
                f"batch, {batch.outputs} outputs and {M} inputs of the kernel; got {memory:.0f}"
            )
        if rows <= 8 or pairs > rows:
            pairs = max(8, pairs // 2)
        else:
            rows = max(8, rows // 2)
