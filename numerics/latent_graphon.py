"""Limit graphons of pruned deep networks on a batch: latents instead of a network.

With the notation of :mod:`numerics.latent_batch` a first-order score of a weight between wide
layers is ``|w| kappa |<psi, h>|`` with independent latents of its two neurons, so that the limit
of the mask is ``P(psi, h) = Pr[|w| kappa |<psi, h>| >= tau]`` on R^N x R^N, and one threshold
couples the layers. Sorted by degrees it is what the sort-and-smooth estimate of a mask tends to.

>>> from numerics.data import digits
>>> images = digits(normalise=True)
>>> batch = LatentBatch(images.x[:8], (64, 100, 100, 10), "tanh", y=images.y[:8])
>>> limit = LatentGraphon(batch, "snip", 0.2).solve(samples=64, replicates=2, bins=8)
>>> [layer.histogram.value.shape for layer in limit.layers]
[(8, 8), (8, 8), (8, 8)]

The law depends on the residual at initialisation, which is itself random: a batch whose residual
is given has one limit; otherwise the result is an average over residuals and says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from numerics.latent_batch import LatentBatch
from numerics.latent_histogram import Sorted, binomial_profile, sorted_histogram
from numerics.latent_layers import LayerDraw, draw_layer
from numerics.latent_limit import LatentLimit, LayerLimit
from numerics.latent_threshold import (
    SCOPES,
    Population,
    Scales,
    Thresholds,
    layer_numbers,
    lost,
    threshold,
)
from numerics.matrix_input import as_count
from numerics.ranking import checked_density
from numerics.seeds import generator

__all__ = ["CRITERIA", "LatentBatch", "LatentGraphon", "LatentLimit", "LayerLimit"]

CRITERIA = ("random", "magnitude", "snip", "grasp", "grasp-signed")
"""Criteria with a limit of this kind; "grasp-signed" keeps the largest ``w (H g)``."""
_CONSTANT = ("random", "magnitude")
_OUTPUT_SAMPLES = 16


class LatentGraphon:
    """The limit of a criterion's masks on a batch.

    Args:
        batch: the batch, the architecture and the residual.
        criterion: one of :data:`CRITERIA`.
        density: share of weights kept, of the layers not in ``keep``, in (0, 1].
        scope: "global" (one threshold) or "layer" (one each).
        keep: layers from 1 to L + 1 that stay dense.
        dtype: of samples, float32 or float64.

    Raises ValueError naming the argument.
    """

    def __init__(
        self,
        batch: LatentBatch,
        criterion: str,
        density: float,
        *,
        scope: str = "global",
        keep: Sequence[int] = (),
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not isinstance(batch, LatentBatch):
            raise TypeError(f"batch must be a LatentBatch, got {type(batch).__name__}")
        if criterion not in CRITERIA:
            raise ValueError(f"criterion must be one of {CRITERIA}, got {criterion!r}")
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
        self.batch, self.criterion, self.density = batch, criterion, checked_density(density)
        self.scope, self.dtype = scope, dtype
        self.keep = layer_numbers("keep", keep, batch.layers)
        self.signed = criterion == "grasp-signed"
        widths = batch.widths
        self.counts = [a * b for a, b in itertools.pairwise(widths)]
        if scope not in SCOPES:
            raise ValueError(f"scope must be one of {SCOPES}, got {scope!r}")
        if not self.pruned:
            raise ValueError("keep must leave at least one layer to be pruned")

    @property
    def pruned(self) -> list[int]:
        """Layers that are not kept dense, from 1."""
        return [k for k in range(1, self.batch.layers + 1) if k not in self.keep]

    def residual(self, seed: int, draw: int) -> Tensor:
        """The effective residual of a draw, (N, outputs): the given one, or an NNGP draw's.

        That of equal inputs is summed at the first of them, which changes no score.

        Raises ValueError if it makes all scores of the criterion zero.
        """
        batch = self.batch
        r, output = batch.given, batch.output
        if r is None:
            output = batch.draw_output(generator(seed, "residual", draw))
            r = batch.residual_of(output)
        return batch.scored_residual(r, output, self.criterion)

    def draws(
        self, residual: Tensor, shapes: Sequence[tuple[int, int]], seed: int, *key: int | str
    ) -> dict[int, LayerDraw]:
        """Latents of the layers that are pruned; ``shapes`` has targets and sources of each."""
        return {
            layer: draw_layer(
                self.batch, layer, residual, *shapes[layer - 1],
                generator(seed, "latents", layer, *key), signed=self.signed, dtype=self.dtype,
            )
            for layer in self.pruned
        }  # fmt: skip

    def thresholds(self, draws: dict[int, LayerDraw]) -> Thresholds:
        """The threshold that the density asks for, from one draw of the pruned layers."""
        members: list[Population | None] = [None] * self.batch.layers
        for layer, draw in draws.items():
            try:
                members[layer - 1] = draw.population()
            except ValueError as error:
                raise ValueError(
                    f"x, residual and gain must give scores that are finite in {self.dtype}; "
                    f"those of layer {layer} are not"
                ) from error
        return threshold(members, self.counts, self.density, self.scope, self.keep)

    @cached_property
    def _constant(self) -> Thresholds:
        """Of Magnitude; densities of Random are put in its place."""
        batch, layers = self.batch, range(1, self.batch.layers + 1)
        scaled = self.criterion == "magnitude" and batch.parametrisation == "standard"
        members = [Scales(np.array([batch.scale(k) if scaled else 1.0]), batch.law) for k in layers]
        return threshold(members, self.counts, self.density, self.scope, self.keep)

    # ------------------------------------------------------------------------------ results
    def solve(
        self, *, samples: int = 4096, replicates: int = 8, bins: int = 64, seed: int = 0,
        repeats: int = 2,
    ) -> LatentLimit:  # fmt: skip
        """The limit: thresholds, densities, sorted histograms and degrees, with their errors.

        Args:
            samples: latents a side (sixteen times as many of the output layer's sources).
            replicates: independent repetitions, each with its own threshold; at least 2. Where
                the residual is random each has its own residual, and what is averaged is the
                *sorted* histogram.
            bins: cells a side; fewer where a finite side is shorter (see ``notes``).
            repeats: repetitions for each residual that is drawn; two or more tell its spread
                from Monte-Carlo error.
            seed: integer; the result depends on nothing else.

        Raises ValueError for numbers out of range.
        """
        _check(samples, replicates, bins, repeats)
        if self.criterion in _CONSTANT:
            return self._known(bins)
        shapes = [(samples, samples)] * self.batch.depth + [(samples, _OUTPUT_SAMPLES * samples)]
        return self._run(shapes, replicates, bins, seed, repeats, samples, masks=False)

    def sampled(
        self, n: int | None = None, *, replicates: int = 8, bins: int = 64, seed: int = 0,
        repeats: int = 2,
    ) -> LatentLimit:  # fmt: skip
        """What masks of width ``n`` show: latents and edges drawn from the limit, then sorted.

        Hidden layers have ``n`` neurons (None: the batch's widths), and the threshold keeps the
        density among them. Sorting by degrees of finitely many edges is itself a pattern, so
        ``graphon.sampled(n).minus(graphon.solve())`` is the bias of the sort-and-smooth
        estimate, without a network. With the same ``seed`` residuals are the same as in
        :meth:`solve`.

        Raises ValueError for a width smaller than the grid.
        """
        widths = list(self.batch.widths)
        if n is not None:
            widths[1:-1] = [as_count(n, "n")] * self.batch.depth
        least = min(widths[1:-1])
        if least < bins:
            raise ValueError(f"n must be at least the {bins} bins of the grid, got {least}")
        _check(least, replicates, bins, repeats)
        shapes = [(b, a) for a, b in itertools.pairwise(widths)]
        return self._run(shapes, replicates, bins, seed, repeats, least, masks=True)

    def grid(self, layer: int, bins: int) -> tuple[int, int]:
        """Cells of targets and sources: ``bins``, fewer on a finite side that is shorter."""
        target = min(bins, self.batch.outputs) if layer == self.batch.layers else bins
        return target, (min(bins, self.batch.widths[0]) if layer == 1 else bins)

    # ---------------------------------------------------------------------------- internals
    def _run(
        self, shapes: Sequence[tuple[int, int]], replicates: int, bins: int, seed: int,
        repeats: int, samples: int, *, masks: bool,
    ) -> LatentLimit:  # fmt: skip
        constant = self.criterion in _CONSTANT
        drawn = not constant and not self.batch.residual_given
        groups = [repeats] * replicates if drawn else [replicates]
        found: dict[int, list[list[Sorted]]] = {layer: [] for layer in self.pruned}
        levels: list[list[Thresholds]] = []
        units: list[float] = []
        vanishing = 0.0
        for draw, count in enumerate(groups):
            residual, unit = None, 1.0
            if not constant:  # of size one in the work: single precision has a narrow range
                residual = self.residual(seed, draw)
                unit = float(residual.abs().max())
                residual = residual / unit
            units.append(unit)
            levels.append([])
            for layer in self.pruned:
                found[layer].append([])
            for repeat in range(count):
                key: tuple[int | str, ...] = (draw, repeat, "masks" if masks else "limit")
                layers: dict[int, LayerDraw] = {}
                if residual is None:
                    level = self._constant
                else:
                    layers = self.draws(residual, shapes, seed, *key)
                    level = self.thresholds(layers)
                levels[-1].append(level)
                ties = [level.tie[k - 1] for k in self.pruned if level.tau[k - 1] == 0.0]
                vanishing = max([vanishing, *ties])
                for layer in self.pruned:
                    rng = generator(seed, "edges", layer, *key)
                    tau, tie = level.tau[layer - 1], level.tie[layer - 1]
                    if layer not in layers:
                        noise = torch.from_numpy(rng.random(shapes[layer - 1], dtype=np.float32))
                        kept = noise < self._share(layer)
                    elif masks:
                        kept = layers.pop(layer).mask(tau, tie, rng)
                    else:
                        kept = layers.pop(layer).kept(tau, tie, rng)
                    found[layer][-1].append(sorted_histogram(kept, *self.grid(layer, bins)))
        result = []
        for layer in range(1, self.batch.layers + 1):
            if layer not in found:
                result.append(self._dense(layer, bins))
                continue
            none = self.criterion == "random"
            tau_of = [
                [np.nan if none else unit * each.tau[layer - 1] for each in group]
                for unit, group in zip(units, levels, strict=True)
            ]
            result.append(LayerLimit.of(layer, found[layer], tau_of))
        notes = self._notes(bins, vanishing) + self._lost(result)
        return self._result(result, samples, replicates, f"width {samples}" if masks else "limit",
                            notes)  # fmt: skip

    def _share(self, layer: int) -> float:
        """Density of a layer whose mask graphon is constant."""
        if self.criterion == "random":
            return float(self.density)
        return self._constant.densities[layer - 1]

    def _dense(self, layer: int, bins: int) -> LayerLimit:
        return LayerLimit.known(layer, np.ones(self.grid(layer, bins)), -np.inf)

    def _known(self, bins: int) -> LatentLimit:
        """The limit where P is constant: only finite sides, binomial degrees, make a pattern."""
        result = []
        for layer in range(1, self.batch.layers + 1):
            if layer in self.keep:
                result.append(self._dense(layer, bins))
                continue
            share, grid = self._share(layer), self.grid(layer, bins)
            histogram = np.full(grid, share)
            if layer == 1:
                histogram[:] = binomial_profile(self.batch.widths[0], share, grid[0])[:, None]
            elif layer == self.batch.layers:
                histogram[:] = binomial_profile(self.batch.outputs, share, grid[1])
            tau = self._constant.tau[layer - 1] if self.criterion == "magnitude" else np.nan
            result.append(LayerLimit.known(layer, histogram, tau))
        notes = self._notes(bins, 0.0) + self._lost(result)
        return self._result(result, 0, 0, "limit", notes)

    def _result(
        self, layers: list[LayerLimit], samples: int, replicates: int, kind: str,
        notes: tuple[str, ...],
    ) -> LatentLimit:  # fmt: skip
        given = "given" if self.batch.residual_given else "averaged"
        return LatentLimit(
            tuple(layers), self.criterion, float(self.density), self.scope,
            "none" if self.criterion in _CONSTANT else given, samples, replicates, kind, notes,
        )  # fmt: skip

    def _lost(self, layers: Sequence[LayerLimit]) -> tuple[str, ...]:
        densities = [float(layer.density.value) for layer in layers]
        if self.scope == "layer":  # known, where samples may be too few to show it
            asked = float(self.density)
            densities = [1.0 if k in self.keep else asked for k in range(1, len(layers) + 1)]
        return tuple(
            f"layer {k} keeps less than one of its {self.counts[k - 1]} weights"
            for k in lost(densities, self.counts)
        )

    def _notes(self, bins: int, tie: float) -> tuple[str, ...]:
        batch = self.batch
        out: list[str] = []
        if self.criterion not in _CONSTANT:
            out += batch.notes
            if not batch.residual_given:
                out.append("the limit is random: averaged over residuals at initialisation")
        for layer, side, size in ((1, "inputs", batch.widths[0]),
                                  (batch.layers, "outputs", batch.outputs)):  # fmt: skip
            if size < bins:
                out.append(f"layer {layer} has {size} {side}, so {size} of {bins} cells that side")
        narrow = [n for n in batch.widths[1:-1] if n < bins]
        if narrow:
            out.append(f"hidden widths {narrow} are smaller than the grid of {bins} bins")
        if 0.0 < tie <= 1.0 and self.density < 1.0:
            out.append(
                "more weights are kept than have a score: of scores that vanish a share of "
                f"{tie:.3g} is kept at random"
            )
        return tuple(out)


def _check(samples: int, replicates: int, bins: int, repeats: int) -> None:
    for name, value in (("samples", samples), ("replicates", replicates), ("repeats", repeats)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{name} must be an integer, got {value!r}")
    as_count(bins, "bins")
    if samples < bins:
        raise ValueError(f"bins must lie between 1 and the {samples} samples, got {bins}")
    if replicates < 2:
        raise ValueError(f"replicates must be at least 2 to have an error, got {replicates}")
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
