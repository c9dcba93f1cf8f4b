"""Masks with an exact number of kept edges, from scores; what became of them.

Masks drawn from a saliency model, whose scores need not fit in memory, are made by
:mod:`numerics.masks_stream`, their histograms by :mod:`numerics.masks_histogram`; both are
offered here too.

Ties at the threshold are the rule, not the exception: scores of a dead neuron are all zero, an
antisymmetric network has every score twice. Here they are resolved at random, from a seed, and
never by removing or keeping all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from torch import Tensor

from numerics.masks_histogram import StreamedHistogram, stream_histogram
from numerics.masks_stream import MaskSample, draw
from numerics.ranking import kept_count, select_largest
from numerics.seeds import generator

__all__ = [
    "PER",
    "MaskReport",
    "MaskSample",
    "StreamedHistogram",
    "draw",
    "keep_largest",
    "kept_count",
    "report",
    "stream_histogram",
]

PER = ("global", "layer", "target", "source")


def _check_scores(scores: object, name: str) -> np.ndarray:
    if not isinstance(scores, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(scores).__name__}")
    if scores.dtype == torch.bool or scores.is_complex():
        raise ValueError(f"{name} must hold real numbers, got dtype {scores.dtype}")
    if scores.numel() == 0:
        raise ValueError(f"{name} must hold at least one entry, got shape {tuple(scores.shape)}")
    values = scores.detach().cpu()
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    if values.is_floating_point():
        if values.isnan().any():
            raise ValueError(f"{name} must be finite; it has NaN")
        if values.isinf().any():
            raise ValueError(f"{name} must be finite; it has infinity")
    if not values.any():
        raise ValueError(f"{name} has an all-zero score: no ranking, hence no mask")
    return np.asarray(values.numpy())


def _mask(values: np.ndarray, density: float, rng: np.random.Generator) -> np.ndarray:
    kept, _ = select_largest(values.ravel(), kept_count(density, values.size), rng)
    mask = np.zeros(values.size, dtype=bool)
    mask[kept] = True
    return mask.reshape(values.shape)


@overload
def keep_largest(scores: Tensor, density: float, seed: int = 0, per: str = "global") -> Tensor: ...


@overload
def keep_largest(
    scores: Sequence[Tensor], density: float, seed: int = 0, per: str = "global"
) -> list[Tensor]: ...


def keep_largest(
    scores: Tensor | Sequence[Tensor], density: float, seed: int = 0, per: str = "global"
) -> Tensor | list[Tensor]:
    """The mask of the largest scores: exactly :func:`kept_count` entries, ties drawn at random.

    Parameters
    ----------
    scores: one tensor of any shape, or a list of them (layers); signed scores count as they are.
    density: share kept, in (0, 1].
    seed: integer that decides ties, and nothing else.
    per: where the count is exact: ``"global"`` over everything, ``"layer"`` in each tensor,
        ``"target"`` in each row (neuron) and ``"source"`` in each column (input) of matrices.

    Returns bool tensors of the scores' shapes on their devices. Every kept score is at least as
    large as every dropped one within the same unit. Raises ValueError for a density outside
    (0, 1], NaN or infinite scores, an all-zero score, an empty tensor, an unknown ``per``, and
    ``"target"`` or ``"source"`` for something that is no matrix.
    """
    if per not in PER:
        raise ValueError(f"per must be one of {PER}, got {per!r}")
    kept_count(density, 1)
    single = isinstance(scores, Tensor)
    layers: list[Tensor] = [scores] if isinstance(scores, Tensor) else list(scores)
    if not layers:
        raise ValueError("scores must hold at least one tensor")
    if per == "global" and len(layers) > 1:
        flat = [each.detach().cpu().ravel() for each in layers if isinstance(each, Tensor)]
        if len(flat) < len(layers):
            raise TypeError("scores must be a torch.Tensor or a sequence of them")
        values = _check_scores(torch.cat(flat), "scores")
        whole = torch.from_numpy(_mask(values, density, generator(seed, "ties")))
        parts = whole.split([each.numel() for each in layers])
        return [part.view(each.shape).to(each.device) for part, each in zip(parts, layers)]  # noqa: B905

    masks = []
    for index, layer in enumerate(layers):
        name = "scores" if single else f"scores[{index}]"
        values = _check_scores(layer, name)
        key: tuple[int | str, ...] = ("ties",) if single else ("ties", index)
        if per in ("global", "layer"):
            mask = _mask(values, density, generator(seed, *key))
        else:
            if values.ndim != 2:
                raise ValueError(f"{name} must be a matrix for per={per!r}, got {values.ndim} axes")
            lines = values if per == "target" else values.T
            rng = generator(seed, *key)
            mask = np.stack([_mask(line, density, rng) for line in lines])
            mask = np.ascontiguousarray(mask if per == "target" else mask.T)
        masks.append(torch.from_numpy(mask).to(layer.device))
    return masks[0] if single else masks


@dataclass(frozen=True)
class MaskReport:
    """What became of a mask of shape (n, d): entries kept, and what is dead.

    ``dead_targets`` and ``dead_sources`` are the indices of rows (neurons) and columns (inputs)
    without a kept entry, int64.
    """

    kept: int
    size: int
    dead_targets: Tensor
    dead_sources: Tensor

    @property
    def density(self) -> float:
        """Share of entries kept."""
        return self.kept / self.size

    def __str__(self) -> str:
        return (
            f"{self.kept} of {self.size} kept (density {self.density:.6g}), "
            f"{len(self.dead_targets)} dead neurons, {len(self.dead_sources)} dead inputs"
        )


def report(mask: Tensor) -> MaskReport:
    """Achieved density and dead rows and columns of a bool mask of shape (n, d).

    Raises ValueError for another dtype, another number of axes, or an empty mask.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.ndim != 2:
        raise ValueError("mask must be a tensor of dtype torch.bool with two axes")
    if mask.numel() == 0:
        raise ValueError(f"mask must hold at least one entry, got shape {tuple(mask.shape)}")
    return MaskReport(
        kept=int(mask.sum()),
        size=mask.numel(),
        dead_targets=torch.nonzero(~mask.any(dim=1)).ravel(),
        dead_sources=torch.nonzero(~mask.any(dim=0)).ravel(),
    )
