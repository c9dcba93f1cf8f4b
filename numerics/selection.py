"""The largest of several tensors' entries: an exact count, in one pass and without sorting.

Also what stands around it in every pruner: checks of the scores, and masks that are there already.

A sample of the entries brackets the threshold; everything above the bracket is kept, and only
what lies inside, about a hundredth, is ranked. The result does not depend on the sample: if the
bracket misses the threshold it is widened. Ties are drawn at random from a seed, as in
:func:`numerics.masks.keep_largest`, whose selection this is where that fits in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from numerics.ranking import kept_count, select_largest
from numerics.seeds import generator

__all__ = ["check_left", "check_ranking", "keep_share", "largest"]

_PILOT = 2**16
_WIDTHS = (6.0, 48.0, math.inf)
"""Half-widths of the bracket, in standard deviations of the pilot's quantile."""


def _pilot(scores: Sequence[Tensor], seed: int) -> np.ndarray:
    """A random sample of all entries, with replacement, ascending."""
    sizes = [each.numel() for each in scores]
    rng = generator(seed, "pilot")
    counts = rng.multinomial(_PILOT, np.array(sizes) / sum(sizes))
    parts = []
    for each, size, count in zip(scores, sizes, counts, strict=True):
        where = torch.from_numpy(rng.integers(size, size=count)).to(each.device)
        parts.append(each.view(-1)[where].cpu())
    return np.sort(torch.cat(parts).numpy())


def _bracket(pilot: np.ndarray, share: float, width: float) -> tuple[float, float]:
    """Scores ``low <= τ < high``, very likely, for a share of entries below τ."""
    half = width * math.sqrt(_PILOT * share * (1.0 - share)) + width
    low, high = share * _PILOT - half, share * _PILOT + half
    low_score = float(pilot[int(low)]) if low >= 0.0 else -math.inf
    if high >= _PILOT - 1:
        return low_score, math.inf
    # The upper end is excluded, so it is one step above the pilot's value: an atom is inside.
    return low_score, float(np.nextafter(pilot[int(high)], pilot.dtype.type(np.inf)))


def largest(scores: Sequence[Tensor], count: int, seed: int = 0) -> tuple[list[Tensor], float]:
    """Bool masks of the ``count`` largest of all entries, and the smallest entry kept.

    Args:
        scores: contiguous tensors of one floating dtype, on one device; no NaN. Entries of -∞
            are kept last.
        count: between 1 and the number of entries.
        seed: decides ties, and nothing else.

    Raises:
        ValueError: a count out of range.
    """
    size = sum(each.numel() for each in scores)
    if not 1 <= count <= size:
        raise ValueError(f"count must lie between 1 and {size}, got {count}")
    pilot = None if size <= 4 * _PILOT else _pilot(scores, seed)
    for width in (math.inf,) if pilot is None else _WIDTHS:
        low, high = -math.inf, math.inf
        if pilot is not None and not math.isinf(width):
            low, high = _bracket(pilot, 1.0 - count / size, width)
        masks, where, what = [], [], []
        for each in scores:
            flat = each.view(-1)
            mask = flat >= high
            index = torch.nonzero((flat >= low).logical_xor_(mask)).view(-1)
            masks.append(mask)
            where.append(index)
            what.append(flat[index].cpu().numpy())
        missing = count - sum(int(torch.count_nonzero(mask)) for mask in masks)
        candidates = np.concatenate(what)
        if 1 <= missing <= candidates.size:
            break
    chosen, threshold = select_largest(candidates, missing, generator(seed, "ties"))
    chosen.sort()
    ends = np.cumsum([each.size for each in what])
    for mask, index, part, end in zip(masks, where, what, ends, strict=True):
        first, last = np.searchsorted(chosen, (end - part.size, end))
        inside = torch.from_numpy(chosen[first:last] - (end - part.size)).to(index.device)
        mask[index[inside]] = True
    return [mask.view(each.shape) for mask, each in zip(masks, scores, strict=True)], threshold


def check_ranking(scores: Sequence[Tensor], names: Sequence[str], each_alone: bool = False) -> None:
    """ValueError, naming the layer, for NaN or infinite scores and where all of them are zero.

    ``each_alone`` asks for a ranking in every tensor, and not only in all of them together.
    """
    nonzero = False
    for score, name in zip(scores, names, strict=True):
        low, high = (float(v) for v in torch.aminmax(score))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"scores of layer {name} must be finite; they have NaN or infinity")
        nonzero = nonzero or low != 0.0 or high != 0.0
        if each_alone and low == high == 0.0:
            raise ValueError(f"scores of layer {name} are all zero: no ranking, hence no mask")
    if not nonzero:
        raise ValueError("scores are all zero: no ranking, hence no masks")


def check_left(sizes: Sequence[int], before: Sequence[Tensor | None], density: float) -> None:
    """ValueError if masks that are there already leave fewer entries than a density asks for.

    ``sizes`` are numbers of entries, ``before`` bool masks or None where all are left.
    """
    left = sum(
        size if mask is None else int(torch.count_nonzero(mask))
        for size, mask in zip(sizes, before, strict=True)
    )
    if kept_count(density, sum(sizes)) > left:
        raise ValueError(
            f"density must be at most {left / sum(sizes):.6g}, the share of weights that earlier "
            f"masks have left, got {density}"
        )


def keep_share(
    scores: Sequence[Tensor], before: Sequence[Tensor | None], density: float, seed: int = 0
) -> tuple[list[Tensor], float, int]:
    """Masks of the largest scores under one threshold, among what earlier masks have left.

    Args:
        scores: as in :func:`largest`; overwritten where a mask is false.
        before: a bool mask of the same shape for each, or None.
        density: of all entries, also of those that are gone.
        seed: decides ties.

    Returns:
        masks, the smallest score kept, and how many are kept by lot because they score zero.

    Raises:
        ValueError: as :func:`check_left`.
    """
    sizes = [each.numel() for each in scores]
    check_left(sizes, before, density)
    for score, mask in zip(scores, before, strict=True):
        if mask is not None:
            score.masked_fill_(~mask, -torch.inf)
    masks, threshold = largest(scores, kept_count(density, sum(sizes)), seed)
    lots = 0
    if threshold == 0.0:
        lots = sum(int(((s == 0) & m).sum()) for s, m in zip(scores, masks, strict=True))
    return masks, threshold, lots
