"""What is unusual about a coupled kernel: said once, from what its replicates show."""

from __future__ import annotations

from itertools import pairwise

from numerics.coupled_dense import DenseLatents
from numerics.coupled_masks import Rule
from numerics.latent_batch import LatentBatch
from numerics.latent_threshold import Thresholds, lost

__all__ = ["Notes"]

_FEW = 50
"""Weights of an end that a replicate keeps: fewer make a coarse mask."""


class Notes:
    """Notes about replicates of ``samples`` neurons a layer, added as they come."""

    def __init__(self, batch: LatentBatch, rule: Rule, samples: int) -> None:
        self.batch, self.rule, self.samples = batch, rule, samples
        self.counts = [n * m for n, m in pairwise(batch.widths)]
        self._found: set[str] = set()
        self._levels: list[Thresholds] = []

    def latents(self, latents: DenseLatents) -> None:
        """Those of one replicate's dense latents."""
        for name, held, columns, first in (
            ("z", latents.S, self.batch.n, 2),
            ("b", latents.B, self.batch.n * self.batch.outputs, 1),
        ):
            for layer, each in enumerate(held, start=first):
                if each.rank < columns:
                    self._found.add(
                        f"the covariance of {name} in layer {layer} is singular (rank {each.rank} "
                        f"of {columns}): a pseudo-inverse is used"
                    )

    def thresholds(self, level: Thresholds) -> None:
        """Those of one replicate's thresholds and densities."""
        self._levels.append(level)

    def all(self) -> tuple[str, ...]:
        """The notes; at least one replicate."""
        return (*self._before(), *sorted(self._found), *self._kept(), *self._tied())

    def _before(self) -> list[str]:
        batch, out = self.batch, []
        latents = batch.n * batch.outputs
        if batch.depth > 1 and self.samples < 4 * latents:
            out.append(
                f"samples is less than four times the latents of a neuron ({latents}): the "
                "coupling of pruned to dense latents is overrated; see bias"
            )
        if self.rule.criterion in ("snip", "grasp") and not batch.residual_given:
            out.append("the residual is random: the kernel is an average over initial outputs")
        return out

    def _kept(self) -> list[str]:
        """Layers that lose all their weights, and ends whose masks are drawn from too few.

        The ends are drawn weight by weight, so under one threshold a density that is too low to
        show in a replicate is only known from all of them, and only as well as they can tell.
        """
        batch, out = self.batch, []
        sides = {1: batch.widths[0], batch.layers: batch.outputs}
        drawn = {layer: self.samples * side for layer, side in sides.items()}
        densities = [
            sum(each) / len(each) for each in zip(*(p.densities for p in self._levels), strict=True)
        ]
        gone: set[int] = set()
        for level in self._levels:
            gone.update(k for k in lost(level.densities, self.counts) if k not in drawn)
        for layer in lost(densities, self.counts):
            size = self.counts[layer - 1]
            if self.rule.scope == "layer" or size < 2 * drawn.get(layer, 0) * len(self._levels):
                gone.add(layer)
        out += [
            f"layer {layer} keeps less than one of its {self.counts[layer - 1]} weights in some "
            "replicate"
            for layer in sorted(gone)
        ]
        for layer, number in drawn.items():
            if layer not in self.rule.keep and densities[layer - 1] * number < _FEW:
                out.append(
                    f"of the {number} weights that stand for layer {layer} in a replicate about "
                    f"{densities[layer - 1] * number:.2g} are kept: that is coarse, and more "
                    "samples are needed"
                )
        return out

    def _tied(self) -> list[str]:
        density = self.rule.density
        asked = density if isinstance(density, tuple) else (density,) * self.batch.layers
        ties = [
            level.tie[k]
            for level in self._levels
            for k, tau in enumerate(level.tau)
            if tau == 0.0 and asked[k] < 1.0 and k + 1 not in self.rule.independent
        ]
        if max(ties, default=0.0) == 0.0:
            return []
        return [
            "more weights are kept than have a score: of scores that vanish a share of "
            f"{max(ties):.3g} is kept at random"
        ]
