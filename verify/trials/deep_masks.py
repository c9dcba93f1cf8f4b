"""Masks of deep networks on real digits, against the latent-feature limit of their own residual.

Each network is drawn under Kaiming's initialisation in standard parametrisation (weights carry
their scale, as in public code), without biases, and pruned under one global threshold. Its limit
is predicted from the batch and from the residual that its outputs leave on it, and from nothing
else about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.cutnorm import bracket
from numerics.data import Dataset, digits, mnist5k
from numerics.deep_derivatives import hessian_product, mean_gradients
from numerics.initialisation import initialised
from numerics.latent_batch import LatentBatch
from numerics.latent_graphon import LatentGraphon
from numerics.latent_limit import LatentLimit
from numerics.masks_histogram import degree_histogram
from numerics.mlp import MLP
from numerics.pruning import prune
from numerics.pruning_report import Pruned
from numerics.seeds import derive, generator
from theory.sorting import sas_bias_cells
from verify.trial import trial

Array = NDArray[np.float64]
Metrics = dict[str, float | list[float]]

CONSTANT = ("random", "magnitude", "synflow")
"""Criteria whose graphon, where one is claimed, is constant in every wide layer."""
OUTPUTS = 10
_SETS = {"digits": digits, "mnist5k": mnist5k}


# ------------------------------------------------------------------------------ data and networks
@lru_cache(maxsize=16)
def batch_of(dataset: str, size: int, which: str = "mixed", labels: str = "class") -> Dataset:
    """A fixed batch of images of norm √d: ``size`` of them, float64, and their labels.

    ``which``: "mixed" for the first of a fixed random order, "other" for the next ones, "single"
    for images of the class 0. ``labels``: as :func:`numerics.data.prepare`. ValueError for others.
    """
    if dataset not in _SETS or which not in ("mixed", "other", "single"):
        raise ValueError(f"no batch {which!r} of data set {dataset!r}")
    data = _SETS[dataset](normalise=True, labels=labels)
    order = torch.from_numpy(generator(0, "batch").permutation(len(data.x)))
    if which == "single":
        classes = _SETS[dataset]().y
        order = order[classes[order] == 0]
    start = size if which == "other" else 0
    chosen = order[start : start + size]
    return Dataset(data.x[chosen], data.y[chosen])


def widths_of(dataset: str, n: int, depth: int, outputs: int = OUTPUTS) -> tuple[int, ...]:
    """``(d, n, .., n, outputs)`` with ``depth`` hidden layers."""
    return (batch_of(dataset, 1).x.shape[1], *[n] * depth, outputs)


def gain_of(activation: str) -> float:
    """2 for ReLU, which keeps the scale of its signals, else 1."""
    return 2.0 if activation == "relu" else 1.0


def network(seed: int, widths: tuple[int, ...], activation: str = "relu") -> MLP:
    """A network in single precision under Kaiming's initialisation."""
    return initialised(
        widths, activation, "kaiming", derive(seed, "network"), gain=gain_of(activation),
        dtype=torch.float32,
    )  # fmt: skip


def loss_of(data: Dataset) -> str:
    """Cross-entropy for classes, squared loss for real labels."""
    return "squared" if data.y.is_floating_point() else "cross-entropy"


def graphon_of(
    net: MLP, data: Dataset, criterion: str, density: float, own: bool = True
) -> LatentGraphon:
    """The latent-feature limit of a network on a batch: ``own`` takes the residual it has there.

    Nothing else of the network is looked at; without ``own`` the residual is left random.
    """
    f = net(data.x.to(net.dtype)).double() if own else None
    seen = LatentBatch(
        data.x, net.widths, net.activation.name, gain=net.gains, loss=loss_of(data), y=data.y,
        output=f, parametrisation="standard",
    )  # fmt: skip
    return LatentGraphon(seen, criterion, density)


def pruned_by(net: MLP, data: Dataset, criterion: str, density: float, seed: int) -> Pruned:
    """The network's masks on a batch, under one threshold; ``seed`` decides ties."""
    x = data.x.to(net.dtype)
    return prune(net, criterion, density, x, data.y, loss=loss_of(data), seed=derive(seed, "ties"))


def hidden(pruned: Pruned, bins: int) -> list[Array]:
    """Degree-sorted histograms of the masks between hidden layers, (bins, bins) each."""
    inner = [mask for mask in pruned.masks[1:-1] if mask is not None]
    return [degree_histogram(mask.numpy(), bins, 1) for mask in inner]


def probabilities(net: MLP, data: Dataset, pruned: Pruned, layer: int) -> Tensor:
    """P at the network's own latents, (n_l, n_{l-1}): float64; layers count from 1.

    The latents of two neurons enter through one number, the derivative of their weight; it is
    taken from the network, the threshold too. Constant for criteria without data.
    """
    criterion = pruned.criterion
    if criterion in CONSTANT:
        return torch.full_like(net.weights[layer - 1], pruned.densities[layer - 1]).double()
    x = data.x.to(net.dtype)
    if criterion == "snip":
        derivative = mean_gradients(net, x, data.y, loss_of(data))[layer - 1]
    else:
        derivative = hessian_product(net, x, data.y, loss_of(data))[layer - 1]
    level = pruned.thresholds[layer - 1]
    assert level is not None
    scale = derivative.double().abs()
    share = torch.special.erfc(level / (scale * 2.0**0.5))
    return share / 2.0 if criterion == "grasp-signed" else share


def mean_square(first: list[Array], second: list[Array]) -> float:
    """Mean over layers and cells of the squared difference."""
    return float(np.mean([np.mean((a - b) ** 2) for a, b in zip(first, second, strict=True)]))


def root(first: list[Array], second: list[Array]) -> float:
    """Root mean square difference over layers and cells."""
    return mean_square(first, second) ** 0.5


def rms(first: Array, second: Array) -> float:
    """Root mean square difference of two arrays of one shape."""
    return float(np.sqrt(np.mean((first - second) ** 2)))


# ----------------------------------------------------------------------------------- near misses
NEAR = {
    "random": ("snip",),
    "magnitude": ("snip",),
    "snip": ("one input",),
    "grasp": ("one input",),
    "grasp-signed": ("grasp", "one input"),
}
"""Near misses of each criterion's limit: another criterion's, or the same one's on another batch,
of one class only or of the first image alone."""


def _averaged(
    criterion: str, n: int, depth: int, density: float, batch: int, dataset: str, activation: str,
    which: str,
) -> LatentGraphon:  # fmt: skip
    """The limit of a batch whose residual is left random."""
    data = batch_of(dataset, batch, which)
    seen = LatentBatch(
        data.x, widths_of(dataset, n, depth), activation, gain=gain_of(activation), y=data.y,
        parametrisation="standard",
    )  # fmt: skip
    return LatentGraphon(seen, criterion, density)


@lru_cache(maxsize=256)
def reference(
    criterion: str, n: int, depth: int, density: float, batch: int, bins: int, dataset: str,
    activation: str, which: str = "mixed", samples: int = 512,
) -> LatentLimit:  # fmt: skip
    """A limit averaged over residuals, with no network; ``which`` as in :func:`batch_of`."""
    graphon = _averaged(criterion, n, depth, density, batch, dataset, activation, which)
    return graphon.solve(samples=samples, replicates=8, repeats=1, bins=bins, seed=1)


def near_miss(
    criterion: str, miss: str, n: int, depth: int, density: float, batch: int, bins: int,
    dataset: str, activation: str,
) -> list[Array]:  # fmt: skip
    """Histograms between hidden layers of a near miss in :data:`NEAR`.

    With one image the score of a weight is a product of two factors, as in the factorised model.
    """
    on = {"one input": (criterion, 1, "mixed"), "one class": (criterion, batch, "single")}
    name, size, which = on.get(miss, (miss, batch, "mixed"))
    found = reference(name, n, depth, density, size, bins, dataset, activation, which)
    return found.histograms[1:-1]


@lru_cache(maxsize=256)
def without_ends(
    criterion: str, n: int, depth: int, density: float, batch: int, dataset: str, activation: str,
    samples: int = 512, draws: int = 4,
) -> Array:  # fmt: skip
    """Densities of all layers if first and last layer had the scale of a hidden one."""
    graphon = _averaged(criterion, n, depth, density, batch, dataset, activation, "mixed")
    found = []
    for draw in range(draws):
        sides = [(samples, samples)] * (depth + 1)
        layers = graphon.draws(graphon.residual(1, draw), sides, 1, "ends", draw)
        for end in (1, depth + 1):
            factor = graphon.batch.kappa(2) / graphon.batch.kappa(end)
            layers[end] = replace(layers[end], targets=layers[end].targets * factor)
        found.append(graphon.thresholds(layers).densities)
    return np.mean(found, axis=0)


# -------------------------------------------------------------------------------------- the trials
Cases = Sequence[Sequence[float]]
"""Pairs (hidden layers, density)."""


def _mean_over(rows: list[dict[str, float]]) -> Metrics:
    """Means of scalar metrics over cases."""
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


@trial
def deep_cut(
    seed: int, n: int, criterion: str, cases: Cases, batch: int = 32, dataset: str = "digits",
    activation: str = "relu",
) -> Metrics:  # fmt: skip
    """Cut norm of the middle layer's mask less P at the network's own latents, certified.

    ``lower``, ``upper``: the ends of the bracket, means over the cases.
    """
    rows = []
    for depth, density in cases:
        data = batch_of(dataset, batch)
        net = network(seed, widths_of(dataset, n, int(depth)), activation)
        pruned = pruned_by(net, data, criterion, density, seed)
        middle = 1 + int(depth) // 2
        mask = pruned.masks[middle - 1]
        assert mask is not None
        gap = mask.double() - probabilities(net, data, pruned, middle)
        found = bracket(gap.numpy(), seed=seed, effort="fast")
        rows.append({"lower": found.lower, "upper": found.upper})
    return _mean_over(rows)


@trial
def deep_histograms(
    seed: int, n: int, criterion: str, cases: Cases, batch: int = 32, bins: int = 8,
    dataset: str = "digits", activation: str = "relu", samples: int = 384,
) -> Metrics:  # fmt: skip
    """One network's sorted masks and densities against the limit of its own residual.

    Means over the cases of: ``distance``, root mean square over cells and layers between hidden
    layers of sorted histograms less the limit's; the same for each near miss (:data:`NEAR`), by
    name, and ``flat`` for a constant in each layer; ``density_gap``, root mean square over *all*
    layers of densities less predicted ones, ``density_uniform`` less the global density,
    ``density_ends`` less what follows if the two ends had a hidden layer's scale (criteria with
    data only).
    """
    rows = []
    for depth, density in cases:
        depth = int(depth)
        data = batch_of(dataset, batch)
        net = network(seed, widths_of(dataset, n, depth), activation)
        pruned = pruned_by(net, data, criterion, density, seed)
        graphon = graphon_of(net, data, criterion, density)
        limit = graphon.solve(samples=samples, replicates=2, bins=bins, seed=seed)
        histograms, expected = hidden(pruned, bins), limit.histograms[1:-1]
        row = {
            "distance": root(histograms, expected),
            "flat": root(histograms, [np.full_like(each, each.mean()) for each in expected]),
        }
        for miss in NEAR[criterion]:
            other = near_miss(criterion, miss, n, depth, density, batch, bins, dataset, activation)
            row[miss] = root(histograms, other)
        achieved, predicted = np.array(pruned.densities), np.array(limit.densities)
        row["density_gap"] = rms(achieved, predicted)
        row["density_uniform"] = rms(achieved, np.full_like(achieved, density))
        if criterion not in CONSTANT:
            ends = without_ends(criterion, n, depth, density, batch, dataset, activation)
            row["density_ends"] = rms(achieved, ends)
        rows.append(row)
    return _mean_over(rows)


@trial
def sampled_ratio(
    seed: int, n: int, criterion: str, depth: int, density: float, batch: int = 32, bins: int = 8,
    dataset: str = "digits", activation: str = "relu", samples: int = 384,
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
