"""SynFlow's cuts: the smallest scores of a group of layers, on lists of candidates.

A round drops few edges, and path sums move little. So each layer has a list of its edges with
small scores, and only those are scored again, for as long as a bound on the layer's other scores
shows that none of them could be dropped. What is dropped is what scoring every edge would drop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.path_sums import PathSums

__all__ = ["Group", "Layer", "border"]

_LIST = 8  # new lists hold about so many times what a round drops,
_SHARE = 1 / 24  # and at least this share of the surviving edges
_FEW = 1 / 16  # a layer's list is extended, not made anew, for at most this share of neurons
_SAMPLE = 1 << 15  # edges that are looked at to find the bar of new lists
_SMALL = 1 << 15  # of so few surviving edges all are listed
_STRIDE = 64  # one in so many listed scores is looked at to bracket a threshold
_TRIES = 16  # lists are improved so often at most, then every edge is listed


class Layer:
    """One matrix that is pruned: its surviving weights, and which of them are listed.

    ``weight`` (n_l, n_{l-1}) is written to: dropped entries become zero. ``alive`` says which
    survive, so that a weight that was zero from the start counts until it is dropped. What a
    ``mask`` has taken is gone already.
    """

    def __init__(self, weight: Tensor, mask: Tensor | None = None) -> None:
        self.weight = weight if mask is None else weight.mul_(mask)
        self.alive = torch.ones_like(weight, dtype=torch.bool) if mask is None else mask.clone()
        self.where = torch.zeros(0, dtype=torch.int64, device=weight.device)
        self.rows = self.columns = self.where
        self.values = self.scores = weight.new_zeros(0)
        self.g = weight.new_zeros(0)  # path sums when the list was made
        self.h = weight.new_zeros(0)
        self.bar = 0.0  # and a lower bound, then, on scores that are not on it
        self.listed = torch.zeros_like(self.alive)
        self.full = (self.listed[:, 0], self.listed[0])  # rows and columns listed as a whole

    def all_scores(self, g: Tensor, h: Tensor) -> Tensor:
        """Scores of every edge, zero where dropped; same shape as the weights."""
        return (self.weight * h).mul_(g[:, None])

    def make_list(self, scores: Tensor, bar: float, g: Tensor, h: Tensor) -> None:
        """List the surviving edges with a score below ``bar``; all of them where it is infinite."""
        self.g, self.h, self.bar = g, h, bar
        self.full = (torch.zeros_like(g, dtype=torch.bool), torch.zeros_like(h, dtype=torch.bool))
        below = self.alive if bar == math.inf else scores < bar
        self.listed = torch.logical_and(below, self.alive)
        if self.listed.is_cuda:
            self.where = torch.nonzero(self.listed.ravel()).ravel()
        else:  # NumPy is several times faster here
            self.where = torch.from_numpy(np.flatnonzero(self.listed.numpy()))
        self._locate()
        self.scores = scores.ravel()[self.where]

    def _locate(self) -> None:
        width = self.weight.shape[1]
        self.rows = torch.div(self.where, width, rounding_mode="floor")
        self.columns = self.where - self.rows * width
        self.values = self.weight.ravel()[self.where]

    def score_list(self, g: Tensor, h: Tensor) -> None:
        """Score the listed edges again."""
        self.scores = self.values * h[self.columns] * g[self.rows]

    def complete(self, g: Tensor, h: Tensor, threshold: float) -> bool:
        """Whether no unlisted edge can score ``threshold`` or less."""
        return self.bar * float(self._fallen(0, g).min() * self._fallen(1, h).min()) > threshold

    def _fallen(self, side: int, now: Tensor) -> Tensor:
        """By what factor each row's (column's) sum has changed, for those with unlisted edges."""
        before = self.h if side else self.g
        # An edge without flow is on the list, whatever the bar.
        return torch.where((before > 0) & ~self.full[side], now / before, torch.inf)

    def extend(self, g: Tensor, h: Tensor, threshold: float) -> bool:
        """List all edges of the few neurons whose sums have fallen too far; False if many have."""
        if not 0.0 < threshold < self.bar:
            return False
        limit = math.sqrt(threshold / self.bar) * (1.0 + 1e-6)
        weak = [self._fallen(side, now) <= limit for side, now in enumerate((g, h))]
        if sum(int(part.sum()) for part in weak) > _FEW * (g.numel() + h.numel()):
            return False
        width = self.weight.shape[1]
        parts = [self.where]
        for side, part in enumerate(weak):
            line = torch.nonzero(part).ravel()
            new = self.alive.index_select(side, line) & ~self.listed.index_select(side, line)
            self.listed.index_fill_(side, line, True)
            found = torch.nonzero(new)
            found[:, side] = line[found[:, side]]
            parts.append(found[:, 0] * width + found[:, 1])
        self.full = (self.full[0] | weak[0], self.full[1] | weak[1])
        self.where = torch.cat(parts)
        self._locate()
        self.score_list(g, h)
        return True

    def drop(self, gone: NDArray[np.bool_]) -> None:
        """Remove listed edges, given as a bool vector over the list."""
        device = self.weight.device
        out = self.where[torch.from_numpy(np.flatnonzero(gone)).to(device)]
        self.weight.ravel().index_fill_(0, out, 0.0)
        self.alive.ravel().index_fill_(0, out, False)
        stay = torch.from_numpy(np.flatnonzero(~gone)).to(device)
        self.where, self.rows, self.columns, self.values = (
            each[stay] for each in (self.where, self.rows, self.columns, self.values)
        )


class Group:
    """Layers that share one threshold; ``numbers`` are their indices in the network.

    ``size`` edges in all, of which ``left`` survive.
    """

    def __init__(
        self, numbers: Sequence[int], weights: Sequence[Tensor], masks: Sequence[Tensor | None]
    ) -> None:
        self.numbers = tuple(numbers)
        self.layers = [Layer(weights[number], masks[number]) for number in numbers]
        self.size = sum(layer.weight.numel() for layer in self.layers)
        self.left = sum(int(torch.count_nonzero(layer.alive)) for layer in self.layers)
        self._stretch = 1.0  # bar over threshold in new lists

    @property
    def alive(self) -> tuple[Tensor, ...]:
        """Which edges survive, one mask for each layer."""
        return tuple(layer.alive for layer in self.layers)

    def cut(self, count: int, sums: PathSums, rng: np.random.Generator) -> float:
        """Drop the ``count`` edges with the smallest scores; the smallest score that is kept.

        Raises ValueError for scores that are not finite.
        """
        pairs = [(sums.outgoing[i], sums.incoming[i]) for i in self.numbers]
        for layer, (g, h) in zip(self.layers, pairs, strict=True):
            layer.score_list(g, h)
        listed = self._listed()
        for _ in range(_TRIES):
            if self._complete(listed, count, pairs):
                break
            listed = self._listed()
        else:  # one or two tries are the rule; whatever the numbers do, this ends
            for layer, (g, h) in zip(self.layers, pairs, strict=True):
                layer.make_list(layer.all_scores(g, h), math.inf, g, h)
            listed = self._listed()
        if not np.isfinite(listed.sum()):
            raise ValueError("weights must have finite path sums, and a finite flow on each edge")
        last, smallest_kept = border(listed, count)
        gone = listed < last
        ties = np.flatnonzero(listed == last)
        missing = count - int(np.count_nonzero(gone))
        if missing < ties.size:
            ties = rng.choice(ties, size=missing, replace=False, shuffle=False)
        gone[ties] = True
        start = 0
        for layer in self.layers:
            stop = start + layer.where.numel()
            layer.drop(gone[start:stop])
            start = stop
        self.left -= count
        return smallest_kept

    def _complete(
        self, listed: NDArray[np.floating], count: int, pairs: Sequence[tuple[Tensor, Tensor]]
    ) -> bool:
        """Whether the lists hold every edge that could go; if not, new lists are made."""
        if listed.size == self.left:
            return True
        if listed.size <= count:
            self._relist(count, pairs)
            return False
        # The lists are parts, so this is at least the true threshold.
        threshold = border(listed, count)[1]
        short = [
            index
            for index, (layer, (g, h)) in enumerate(zip(self.layers, pairs, strict=True))
            if not layer.complete(g, h, threshold)
        ]
        extended = [self.layers[index].extend(*pairs[index], threshold) for index in short]
        if short and (not any(extended) or not threshold > 0.0):
            self._relist(count, pairs)
            return False
        for index, done in zip(short, extended, strict=True):
            if not done:
                layer, (g, h) = self.layers[index], pairs[index]
                layer.make_list(layer.all_scores(g, h), self._stretch * threshold, g, h)
        return not short

    def _relist(self, count: int, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Score every edge, and list those with the smallest scores."""
        everything = [
            layer.all_scores(g, h) for layer, (g, h) in zip(self.layers, pairs, strict=True)
        ]
        stride = max(1, self.size // _SAMPLE)
        sample = torch.cat(
            [
                scores.ravel()[::stride][layer.alive.ravel()[::stride]]
                for layer, scores in zip(self.layers, everything, strict=True)
            ]
        )
        wanted = max(_LIST * (count + 1), int(_SHARE * self.left))
        rank = sample.numel() * wanted // self.left
        bar = math.inf
        if 0 < rank < sample.numel() and self.left > _SMALL:
            bar = float(sample.kthvalue(rank + 1).values)
        while True:
            for layer, scores, (g, h) in zip(self.layers, everything, pairs, strict=True):
                layer.make_list(scores, bar, g, h)
            listed = self._listed()
            if listed.size > count or bar == math.inf:
                break
            bar = math.inf  # the sample misled
        if listed.size > count:
            threshold = border(listed, count)[1]
            self._stretch = max(1.0001, bar / threshold) if threshold > 0.0 else math.inf

    def _listed(self) -> NDArray[np.floating]:
        return np.concatenate([layer.scores.cpu().numpy() for layer in self.layers])


def border(listed: NDArray[np.floating], count: int) -> tuple[float, float]:
    """The largest of the ``count`` smallest, and the next one; infinity if there is none.

    A sorted sample brackets the two, so that only what lies between needs a partition.
    """
    if listed.size == count:
        return float(listed.max()), math.inf
    sample = np.sort(listed[::_STRIDE])
    middle, spread = count // _STRIDE, 2 + int(5.0 * math.sqrt(count / _STRIDE))
    low = sample[middle - spread] if middle >= spread else -math.inf
    high = sample[middle + spread] if middle + spread < sample.size else math.inf
    below = int(np.count_nonzero(listed < low))
    between = listed[(listed >= low) & (listed <= high)]
    rank = count - below
    if not 0 < rank < between.size:  # the sample misled, or there are many ties
        between, rank = listed, count
    parted = np.partition(between, rank)
    return float(parted[:rank].max()), float(parted[rank])
