"""Sorted histograms for the figures of deep masks: real networks, and the limit without one."""

from __future__ import annotations

import numpy as np

from numerics.masks_histogram import degree_histogram
from numerics.pruning import prune
from numerics.seeds import derive
from verify.trial import trial
from verify.trials.deep_near import averaged, reference
from verify.trials.deep_networks import (
    Metrics,
    batch_of,
    loss_of,
    middle_of,
    network,
    widths_of,
)

__all__ = ["MASKS", "drawn_histogram", "predicted_histogram", "sorted_mask"]

DIGITS = 4
"""Decimals of stored densities: there are thousands in each histogram."""
MASKS = 2
"""Masks in one histogram of `drawn_histogram`."""


@trial
def sorted_mask(
    seed: int, n: int, criterion: str, depth: int, density: float, batch: int, bins: int,
    dataset: str = "digits", activation: str = "relu", rounds: int = 100,
) -> Metrics:  # fmt: skip
    """One network's mask of a middle layer: ``histogram`` (bins x bins) and the ``density``."""
    data = batch_of(dataset, batch)
    net = network(seed, widths_of(dataset, n, depth), activation)
    pruned = prune(
        net, criterion, density, data.x.to(net.dtype), data.y, loss=loss_of(data), rounds=rounds,
        seed=derive(seed, "ties"),
    )  # fmt: skip
    mask = pruned.masks[middle_of(depth) - 1]
    assert mask is not None
    found = degree_histogram(mask.numpy(), bins, 1)
    return {
        "density": pruned.densities[middle_of(depth) - 1],
        "histogram": np.round(found, DIGITS).ravel().tolist(),
    }


@trial
def predicted_histogram(
    seed: int, n: int, criterion: str, depth: int, density: float, batch: int, bins: int,
    dataset: str = "digits", activation: str = "relu", samples: int = 1024,
) -> Metrics:  # fmt: skip
    """The limit of that layer, averaged over residuals; widths enter through the threshold alone.

    ``histogram``, ``density``, and ``error``, the root mean square of the cells' standard errors.
    The seed is not used: predictions do not change with it.
    """
    found = reference(
        criterion, n, depth, density, batch, bins, dataset, activation, samples=samples
    )
    layer = found.layers[middle_of(depth) - 1]
    return {
        "density": float(layer.density.value),
        "error": float(np.sqrt(np.mean(layer.histogram.error**2))),
        "histogram": np.round(layer.histogram.value, DIGITS).ravel().tolist(),
    }


@trial
def drawn_histogram(
    seed: int, n: int, criterion: str, depth: int, density: float, batch: int, bins: int,
    dataset: str = "digits", activation: str = "relu",
) -> Metrics:  # fmt: skip
    """Masks of that layer drawn from the limit at width n, each with a residual of its own, sorted.

    ``histogram`` (bins x bins), the mean over :data:`MASKS` of them, and their ``density``. No
    network is made, so what is left of the limit is what sorting a mask of this width leaves of it.
    """
    graphon = averaged(criterion, n, depth, density, batch, dataset, activation)
    drawn = graphon.sampled(n, replicates=MASKS, repeats=1, bins=bins, seed=derive(seed, "drawn"))
    layer = drawn.layers[middle_of(depth) - 1]
    return {
        "density": float(layer.density.value),
        "histogram": np.round(layer.histogram.value, DIGITS).ravel().tolist(),
    }
