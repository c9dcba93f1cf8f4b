"""Limits with no network, and the near misses that masks of deep networks are held against."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from numerics.latent_graphon import LatentGraphon
from numerics.latent_histogram import Estimate
from numerics.latent_limit import LatentLimit
from verify.trials.deep_networks import Array, batch_of, between, latents_of

NEAR = {
    "snip": ("one input", "one class"),
    "grasp": ("snip", "one class"),
    "grasp-signed": ("grasp", "one class"),
}
"""Near misses of each limit: another criterion's, or the same one's on another batch, of one class
or of the first image alone. Where the limit is constant they are constants ``OFF`` off."""


@lru_cache(maxsize=16)
def averaged(
    criterion: str, n: int, depth: int, density: float, batch: int, dataset: str, activation: str,
    which: str = "mixed",
) -> LatentGraphon:  # fmt: skip
    """The limit of a batch whose residual is left random."""
    data = batch_of(dataset, batch, which)
    return LatentGraphon(latents_of(data, n, depth, activation), criterion, density)


@lru_cache(maxsize=256)
def reference(
    criterion: str, n: int, depth: int, density: float, batch: int, bins: int, dataset: str,
    activation: str, which: str = "mixed", samples: int = 256, replicates: int = 8,
) -> LatentLimit:  # fmt: skip
    """A limit averaged over residuals, with no network; ``which`` as in :func:`batch_of`."""
    graphon = averaged(criterion, n, depth, density, batch, dataset, activation, which)
    return graphon.solve(samples=samples, replicates=replicates, repeats=1, bins=bins, seed=1)


Place = tuple[int, int, float, int, int, str, str]
"""Width, hidden layers, density, batch, cells, data set and activation of a limit."""


def near_miss(criterion: str, miss: str, place: Place) -> list[Estimate]:
    """Histograms between hidden layers of a near miss in :data:`NEAR`, residuals averaged over.

    With one image the score of a weight is a product of two factors, as in the factorised model.
    """
    n, depth, density, batch, bins, dataset, activation = place
    on = {"one input": (criterion, 1, "mixed"), "one class": (criterion, batch, "single")}
    name, size, which = on.get(miss, (miss, batch, "mixed"))
    found = reference(  # fewer draws than for the limit: a near miss is far from the masks
        name, n, depth, density, size, bins, dataset, activation, which, replicates=4
    )
    return [each.histogram for each in found.layers[1:-1]]


@lru_cache(maxsize=64)
def nearest(criterion: str, place: Place) -> float:
    """Mean squared distance from a limit to the nearest of its near misses, from theory alone."""
    truth = [each.histogram for each in reference(criterion, *place).layers[1:-1]]
    return min(between(truth, near_miss(criterion, miss, place)) for miss in NEAR[criterion])


@lru_cache(maxsize=256)
def without_ends(
    criterion: str, n: int, depth: int, density: float, batch: int, dataset: str, activation: str,
    samples: int = 512, draws: int = 4,
) -> Array:  # fmt: skip
    """Densities of all layers if first and last layer had the scale of a hidden one."""
    graphon = averaged(criterion, n, depth, density, batch, dataset, activation)
    found = []
    for draw in range(draws):
        sides = [(samples, samples)] * (depth + 1)
        layers = graphon.draws(graphon.residual(1, draw), sides, 1, "ends", draw)
        for end in (1, depth + 1):
            factor = graphon.batch.kappa(2) / graphon.batch.kappa(end)
            layers[end] = replace(layers[end], targets=layers[end].targets * factor)
        found.append(graphon.thresholds(layers).densities)
    return np.mean(found, axis=0)
