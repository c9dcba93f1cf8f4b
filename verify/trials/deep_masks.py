"""Masks of deep networks on real digits, against the latent-feature limit of their own residual."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from numerics.cutnorm import bracket, lower_bound
from numerics.latent_limit import LatentLimit
from numerics.pruning import prune
from numerics.seeds import derive
from theory.sorting import sas_bias_cells
from verify.trial import trial
from verify.trials.deep_near import NEAR, Place, near_miss, nearest, without_ends
from verify.trials.deep_networks import (
    CONSTANT,
    OFF,
    Array,
    Metrics,
    batch_of,
    graphon_of,
    hidden,
    mean_square,
    middle_of,
    misread,
    network,
    probabilities,
    pruned_by,
    rms,
    widths_of,
    without_noise,
)

__all__ = [
    "between_graphons",
    "deep_cut",
    "deep_histograms",
    "sampled_ratio",
    "sorted_constant_deep",
]

Cases = Sequence[Sequence[float]]
"""Pairs (hidden layers, density)."""


def _mean(rows: list[dict[str, float]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


@lru_cache(maxsize=64)
def between_graphons(
    criterion: str, n: int, depth: int, density: float, batch: int, dataset: str,
    activation: str = "relu", seed: int = 1,
) -> float:  # fmt: skip
    """Lower bound of the cut norm of P less the wrong theory's, middle layer, for one network.

    For margins: the network is none of the trials'.
    """
    data = batch_of(dataset, batch)
    net = network(derive(seed, "between graphons"), widths_of(dataset, n, depth), activation)
    pruned = pruned_by(net, data, criterion, density, seed)
    middle = middle_of(depth)
    gap = probabilities(net, data, pruned, middle) - misread(net, data, pruned, middle)
    return lower_bound(gap.numpy(), seed=seed).lower


@trial
def deep_cut(
    seed: int, n: int, criterion: str, cases: Cases, batch: int = 32, dataset: str = "digits",
    activation: str = "relu",
) -> Metrics:  # fmt: skip
    """Cut norm of the middle layer's mask less P at the network's own latents, certified.

    ``lower``, ``upper``: the ends of the bracket; ``lower_unit``, ``upper_unit``: the same over the
    root mean variance ``P(1 - P)`` of the edges, since the share that one threshold leaves the
    layer depends on n. ``wrong`` (criteria with data): a lower bound of the cut norm of P less that
    of the nearest wrong theory (``misread``). ``upper_share``, ``wrong_share`` (without): the upper
    end and a lower bound for the mask less the wrong theory's P, over P. Means over the cases.
    """
    rows = []
    for depth, density in cases:
        data, middle = batch_of(dataset, batch), middle_of(int(depth))
        net = network(seed, widths_of(dataset, n, int(depth)), activation)
        pruned = pruned_by(net, data, criterion, density, seed)
        mask = pruned.masks[middle - 1]
        assert mask is not None
        kept, graphon = mask.double(), probabilities(net, data, pruned, middle)
        misreading = misread(net, data, pruned, middle)
        found = bracket((kept - graphon).numpy(), seed=seed, effort="fast")
        unit = math.sqrt(float((graphon * (1.0 - graphon)).mean()))
        row = {"lower": found.lower, "upper": found.upper}
        row |= {"lower_unit": found.lower / unit, "upper_unit": found.upper / unit}
        if criterion in CONSTANT:
            share = pruned.densities[middle - 1]
            row["upper_share"] = found.upper / share
            row["wrong_share"] = lower_bound((kept - misreading).numpy(), seed=seed).lower / share
        else:
            row["wrong"] = lower_bound((graphon - misreading).numpy(), seed=seed).lower
        rows.append(row)
    return {name: _mean(rows, name) for name in rows[0]}


def _constant_case(
    histograms: list[Array], densities: Sequence[float], n: int, bins: int
) -> dict[str, float]:
    """Squared deviation from constants and from near misses, in units of that between them.

    What sorting makes of a constant graphon and the noise of the cells are known, and taken away.
    """
    row = {}
    for name, factor in (("excess", 1.0), ("more", 1.0 + OFF), ("less", 1.0 - OFF)):
        parts = []
        for found, p in zip(histograms, densities, strict=True):
            known = float((sas_bias_cells(p, n, n, bins) ** 2).mean())
            known += p * (1.0 - p) * (bins / n) ** 2
            parts.append((float(np.mean((found - factor * p) ** 2)) - known) / (OFF * p) ** 2)
        row[name] = float(np.mean(parts))
    return row


@lru_cache(maxsize=64)
def edge_variance(
    criterion: str, n: int, depth: int, density: float, batch: int, dataset: str, activation: str
) -> float:
    """Mean of P(1 - P) over the layers between hidden layers, for one network of its own."""
    data = batch_of(dataset, batch)
    net = network(derive(1, "edge variance"), widths_of(dataset, n, depth), activation)
    pruned = pruned_by(net, data, criterion, density, 1)
    graphons = (probabilities(net, data, pruned, layer) for layer in range(2, depth + 1))
    return float(np.mean([float((P * (1.0 - P)).mean()) for P in graphons]))


def _data_case(
    histograms: list[Array], limit: LatentLimit, criterion: str, place: Place, unit: float
) -> dict[str, float]:
    """Squared distances to the limit of the own residual and to near misses, over ``unit``.

    The noise of the edges in a cell has a size of its own, and is taken away.
    """
    n, depth, density, batch, bins, dataset, activation = place
    variance = edge_variance(criterion, n, depth, density, batch, dataset, activation)
    noise = variance * (bins / n) ** 2
    square = without_noise(histograms, [each.histogram for each in limit.layers[1:-1]])
    flat = [np.full_like(each, each.mean()) for each in limit.histograms[1:-1]]
    row = {
        "square": square,
        "sorted": square - noise,
        "excess": (square - noise) / unit,
        "flat": (mean_square(histograms, flat) - noise) / unit,
    }
    for miss in NEAR[criterion]:
        other = without_noise(histograms, near_miss(criterion, miss, place))
        row[miss] = (other - noise) / unit
    return row


@trial
def deep_histograms(
    seed: int, n: int, criterion: str, cases: Cases, widest: int, batch: int = 32, bins: int = 8,
    dataset: str = "digits", activation: str = "relu", samples: int = 256,
) -> Metrics:  # fmt: skip
    """One network's sorted masks and densities against the limit of its own residual.

    Squared distances of sorted histograms, means over cells and layers between hidden layers, less
    what Monte Carlo adds to the limit's. ``square``: to the limit, mean over the cases (criteria
    with data); ``sorted``: that less the noise of the edges in a cell, so what the order of the
    neurons and their number leave. ``excess``: the latter over the squared distance, at width
    ``widest``, from the limit to its nearest near miss; the largest over the cases. By the names of
    the near misses (``more`` and ``less`` for constant limits; ``NEAR`` and ``flat``, a constant in
    each layer, for others): to these, in the same unit and without that noise; the smallest over
    the cases. For limits that are not constant ``excess`` is called ``distance``, and it and the
    others are roots, zero where the estimate of the square is negative.

    ``density_gap``: root mean square over *all* layers of densities less predicted ones,
    ``density_uniform`` less the global density, ``density_ends`` less what follows if the two ends
    had a hidden layer's scale (criteria with data only), ``density_more`` less a fifth more than
    predicted (criteria without data); means over the cases.
    """
    rows, data = [], batch_of(dataset, batch)
    for depth, density in ((int(depth), density) for depth, density in cases):
        net = network(seed, widths_of(dataset, n, depth), activation)
        pruned = pruned_by(net, data, criterion, density, seed)
        graphon = graphon_of(net, data, criterion, density)
        limit = graphon.solve(samples=samples, replicates=2, bins=bins, seed=seed)
        histograms, expected = hidden(pruned, bins), np.array(limit.densities)
        if criterion in CONSTANT:
            row = _constant_case(histograms, expected[1:-1].tolist(), n, bins)
            row["density_more"] = rms(np.array(pruned.densities), (1.0 + OFF) * expected)
        else:
            place = (n, depth, density, batch, bins, dataset, activation)
            unit = nearest(criterion, (widest, *place[1:]))
            row = _data_case(histograms, limit, criterion, place, unit)
            ends = without_ends(criterion, n, depth, density, batch, dataset, activation)
            row["density_ends"] = rms(np.array(pruned.densities), ends)
        achieved = np.array(pruned.densities)
        row["density_gap"] = rms(achieved, expected)
        row["density_uniform"] = rms(achieved, np.full_like(achieved, density))
        rows.append(row)
    found: Metrics = {}
    for name in rows[0]:
        if name in ("square", "sorted") or name.startswith("density"):
            found[name] = _mean(rows, name)
        else:
            each = [row[name] for row in rows]
            worst = max(each) if name == "excess" else min(each)
            found[name] = worst if criterion in CONSTANT else math.sqrt(max(worst, 0.0))
    if criterion not in CONSTANT:
        found["distance"] = found.pop("excess")
    return found


@trial
def sampled_ratio(
    seed: int, n: int, criterion: str, depth: int, density: float, batch: int = 32, bins: int = 8,
    dataset: str = "digits", activation: str = "relu", samples: int = 256,
) -> Metrics:  # fmt: skip
    """Distance to the limit of a network's sorted masks, and of masks drawn from that limit.

    ``ratio``: of their mean squares; the second is that of single masks of the same width.
    """
    data = batch_of(dataset, batch)
    net = network(seed, widths_of(dataset, n, depth), activation)
    pruned = pruned_by(net, data, criterion, density, seed)
    graphon = graphon_of(net, data, criterion, density)
    limit = graphon.solve(samples=samples, replicates=2, bins=bins, seed=seed)
    drawn = graphon.sampled(n, replicates=4, bins=bins, seed=derive(seed, "sampled"))
    own = mean_square(hidden(pruned, bins), limit.histograms[1:-1])
    return {"ratio": own / _of_sampled(drawn, limit)}


def _of_sampled(drawn: LatentLimit, limit: LatentLimit) -> float:
    """Mean squared distance to the limit of *one* mask drawn from it, from the mean of several."""
    share = 1.0 - 1.0 / drawn.replicates
    return float(
        np.mean(
            [
                np.mean((one.histogram.value - two.histogram.value) ** 2)
                + share * np.mean(one.histogram.noise**2)
                for one, two in zip(drawn.layers[1:-1], limit.layers[1:-1], strict=True)
            ]
        )
    )


@trial
def sorted_constant_deep(seed: int, n: int, criterion: str, depth: int, density: float, bins: int,
                         dataset: str = "digits") -> Metrics:  # fmt: skip
    """A constant graphon's sorted histograms as a multiple of what sorting does to it.

    ``explained``: mean squared deviation of the histograms between hidden layers from their
    density, over the square of the predicted pattern plus the cells' own noise.
    """
    net = network(seed, widths_of(dataset, n, depth))
    pruned = prune(net, criterion, density, seed=derive(seed, "ties"))
    share = pruned.densities[1]
    pattern = sas_bias_cells(share, n, n, bins)
    noise = share * (1.0 - share) * (bins / n) ** 2
    flat = [np.full((bins, bins), each) for each in pruned.densities[1:-1]]
    found = mean_square(hidden(pruned, bins), flat)
    return {"explained": found / (float((pattern**2).mean()) + noise)}
