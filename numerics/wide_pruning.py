"""One wide network drawn, pruned and reduced to histograms: a trial that fits in memory.

At four hidden layers of 10 000 neurons there are 3·10⁸ weights. They are held once in single
precision, their scores once, their masks as bytes; the threshold is exact and nothing is sorted
(:mod:`numerics.selection`), and the histograms read the masks in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.activations import Activation, Elementwise
from numerics.gradients import Batches
from numerics.initialisation import initialised
from numerics.losses import Loss
from numerics.masks_histogram import degree_histogram
from numerics.masks_stream import positive_integer
from numerics.mlp import check_widths
from numerics.pruning import prune
from numerics.pruning_report import Pruned

__all__ = ["PrunedHistograms", "mask_histograms", "pruned_histograms"]


@dataclass(frozen=True)
class PrunedHistograms:
    """Degree-sorted block means of a pruned network's masks.

    ``histograms``: per layer float64 (bins, bins), ``(target, source)``, or None for a layer left
    dense. ``pruned``: everything else about the masks, which are themselves let go (its list of
    masks is empty). ``notes``: those of ``pruned``, and layers with fewer neurons than bins.
    """

    histograms: list[NDArray[np.float64] | None]
    pruned: Pruned
    notes: tuple[str, ...]


def mask_histograms(
    masks: Sequence[Tensor | None], bins: int = 64, *, jobs: int | None = None
) -> tuple[list[NDArray[np.float64] | None], tuple[str, ...]]:
    """Degree-sorted block means of each layer's mask, and notes.

    A layer with fewer neurons than bins gets the exact projection of its step function, in which
    neighbouring cells repeat one another; a note says so. None stays None. ``jobs`` threads,
    None for as many as PyTorch uses. Raises ValueError for ``bins`` below 1 and masks that are
    no bool matrices.
    """
    positive_integer("bins", bins)
    found: list[NDArray[np.float64] | None] = []
    notes = []
    for layer, mask in enumerate(masks, start=1):
        if mask is None:
            found.append(None)
            continue
        if not isinstance(mask, Tensor) or mask.ndim != 2 or mask.dtype != torch.bool:
            raise ValueError(f"masks[{layer - 1}] must be None or a bool matrix of PyTorch")
        if min(mask.shape) < bins:
            notes.append(f"layer {layer} has {min(mask.shape)} neurons on a side for {bins} bins")
        found.append(degree_histogram(mask.cpu().numpy(), bins, jobs))
    return found, tuple(notes)


def pruned_histograms(
    widths: Sequence[int],
    activation: str | Activation | Elementwise,
    criterion: str,
    density: float,
    x: Tensor | Batches | None = None,
    y: Tensor | None = None,
    *,
    bins: int = 64,
    seed: int = 0,
    scheme: str = "ntk",
    bias: bool | float = False,
    gain: float | Sequence[float] | None = None,
    loss: str | Loss = "cross-entropy",
    scope: str = "global",
    keep: Sequence[int] = (),
    rounds: int = 100,
    schedule: str = "exponential",
    temperature: float | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> PrunedHistograms:
    """Draw a network, prune it, and keep the masks' degree-sorted histograms alone.

    Arguments, and errors, are those of :func:`numerics.initialisation.initialised` and
    :func:`numerics.pruning.prune`; ``bins`` is the number of cells on a side. Single precision by
    default: scores then rank as in double precision but for near ties, and weights are other
    numbers than those drawn in double precision.
    """
    positive_integer("bins", bins)
    net = initialised(
        check_widths(widths), activation, scheme, seed, bias=bias, gain=gain, device=device,
        dtype=dtype,
    )  # fmt: skip
    pruned = prune(
        net, criterion, density, x, y, loss=loss, scope=scope, keep=keep, rounds=rounds,
        schedule=schedule, temperature=temperature, seed=seed,
    )  # fmt: skip
    del net
    histograms, notes = mask_histograms(pruned.masks, bins)
    return PrunedHistograms(histograms, replace(pruned, masks=[]), pruned.notes + notes)
