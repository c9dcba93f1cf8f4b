"""Sorted histograms for the figures of deep masks: real networks, and the limit without one."""

from __future__ import annotations

import numpy as np

from numerics.masks_histogram import degree_histogram
from numerics.pruning import prune
from numerics.seeds import derive
from verify.trial import trial
from verify.trials.deep_masks import (
    Metrics,
    batch_of,
    loss_of,
    network,
    reference,
    widths_of,
)

__all__ = ["predicted_histogram", "sorted_mask"]

DIGITS = 4
"""Decimals of stored densities: there are thousands in each histogram."""


def _layer(depth: int) -> int:
    """The middle one of the matrices between hidden layers, from 1."""
    return 1 + depth // 2


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
    mask = pruned.masks[_layer(depth) - 1]
    assert mask is not None
    found = degree_histogram(mask.numpy(), bins, 1)
    return {
        "density": pruned.densities[_layer(depth) - 1],
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
    layer = found.layers[_layer(depth) - 1]
    return {
        "density": float(layer.density.value),
        "error": float(np.sqrt(np.mean(layer.histogram.error**2))),
        "histogram": np.round(layer.histogram.value, DIGITS).ravel().tolist(),
    }
