"""SynFlow's cuts in small networks: every surviving edge of a group in one flat list.

Below a few hundred thousand edges the lists of :mod:`numerics.synflow_cut` cost more in calls than
they save in scores. Here a round scores every surviving edge of all layers at once, in NumPy, and
drops the same edges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.path_sums import PathSums
from numerics.synflow_cut import border

__all__ = ["FlatGroup"]

_HOLES = 1 / 16  # dropped edges stay on the list up to this share of it


class FlatGroup:
    """Layers that share one threshold; as `numerics.synflow_cut.Group`, for weights on the CPU.

    ``size`` edges in all, of which ``left`` survive; ``alive`` says which, one mask for each layer.
    The weights are written to: dropped entries become zero.
    """

    def __init__(
        self, numbers: Sequence[int], weights: Sequence[Tensor], masks: Sequence[Tensor | None]
    ) -> None:
        self.numbers = tuple(numbers)
        chosen = [weights[number] for number in numbers]
        earlier = [masks[number] for number in numbers]
        self.alive = tuple(
            torch.ones_like(weight, dtype=torch.bool) if mask is None else mask.clone()
            for weight, mask in zip(chosen, earlier, strict=True)
        )
        self.size = sum(weight.numel() for weight in chosen)
        self._flat = [weight.numpy().reshape(-1) for weight in chosen]
        self._kept = [alive.numpy().reshape(-1) for alive in self.alive]
        values, rows, columns, places = [], [], [], []
        row = column = 0  # where the units of a layer start among those of all
        for matrix, flat, kept in zip(chosen, self._flat, self._kept, strict=True):
            where, (height, width) = np.flatnonzero(kept), matrix.shape
            places.append(where)
            values.append(flat[where])
            rows.append(where // width + row)
            columns.append(where % width + column)
            row, column = row + height, column + width
        self._starts = np.cumsum([0] + [flat.size for flat in self._flat])
        self._values = np.concatenate(values)
        self._rows, self._columns = np.concatenate(rows), np.concatenate(columns)
        self._where = np.concatenate(
            [where + start for where, start in zip(places, self._starts, strict=False)]
        )
        self._holes: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self.left = self._where.size

    def cut(self, count: int, sums: PathSums, rng: np.random.Generator) -> float:
        """Drop the ``count`` edges with the smallest scores; the smallest score that is kept.

        Raises ValueError for scores that are not finite.
        """
        g = np.concatenate([sums.outgoing[i].numpy() for i in self.numbers])
        h = np.concatenate([sums.incoming[i].numpy() for i in self.numbers])
        scores = self._values * h.take(self._columns)
        scores *= g.take(self._rows)
        if not np.isfinite(scores.sum()):
            raise ValueError("weights must have finite path sums, and a finite flow on each edge")
        scores[self._holes] = np.inf
        last, smallest_kept = border(scores, count)
        gone = np.flatnonzero(scores <= last)
        if gone.size > count:
            tied = scores[gone] == last
            ties = gone[tied]
            missing = count - (gone.size - ties.size)
            chosen = rng.choice(ties, size=missing, replace=False, shuffle=False)
            gone = np.concatenate((gone[~tied], chosen))
        self._drop(gone)
        self.left -= count
        return smallest_kept

    def _drop(self, gone: NDArray[np.intp]) -> None:
        """Remove listed edges, given by their places on the list."""
        out = self._where[gone]
        layer = np.searchsorted(self._starts, out, side="right") - 1
        for index, (flat, kept) in enumerate(zip(self._flat, self._kept, strict=True)):
            here = out[layer == index] - self._starts[index]
            flat[here] = 0.0
            kept[here] = False
        self._values[gone] = 0.0
        self._holes = np.concatenate((self._holes, gone))
        if self._holes.size > _HOLES * self._values.size:
            stay = np.ones(self._values.size, dtype=bool)
            stay[self._holes] = False
            self._values, self._rows = self._values[stay], self._rows[stay]
            self._columns, self._where = self._columns[stay], self._where[stay]
            self._holes = self._holes[:0]
