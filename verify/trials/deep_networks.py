"""Deep networks on real digits, their masks, and the limit that their own residual predicts.

Each network is drawn under Kaiming's initialisation in standard parametrisation (weights carry
their scale, as in public code), without biases, and pruned under one global threshold. Its limit
is predicted from the batch and from the residual that its outputs leave on it, and from nothing
else about it.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from torch import Tensor

from numerics.data import Dataset, digits, mnist5k
from numerics.deep_derivatives import hessian_product, mean_gradients
from numerics.initialisation import initialised
from numerics.latent_batch import LatentBatch
from numerics.latent_graphon import LatentGraphon
from numerics.latent_histogram import Estimate
from numerics.masks_histogram import degree_histogram
from numerics.mlp import MLP
from numerics.pruning import prune
from numerics.pruning_report import Pruned
from numerics.seeds import derive, generator

Array = NDArray[np.float64]
Metrics = dict[str, float | list[float]]

CONSTANT = ("random", "magnitude", "synflow")
"""Criteria whose graphon, where one is claimed, is constant in every wide layer."""
OUTPUTS = 10
OFF = 0.2
"""How far, in shares of a density, a constant is off that is the near miss of a constant."""
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


def middle_of(depth: int) -> int:
    """The middle one of the matrices between hidden layers, from 1."""
    return 1 + depth // 2


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


def latents_of(
    data: Dataset, n: int, depth: int, activation: str = "relu", outputs: int = OUTPUTS,
    output: Tensor | None = None,
) -> LatentBatch:  # fmt: skip
    """A batch and the law of such networks on it, with no network; the residual of ``output``.

    Without ``output`` the residual is left random.
    """
    widths = (data.x.shape[1], *[n] * depth, outputs)
    return LatentBatch(
        data.x, widths, activation, gain=gain_of(activation), loss=loss_of(data), y=data.y,
        output=output, parametrisation="standard",
    )  # fmt: skip


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


def derivatives(net: MLP, data: Dataset, criterion: str, layer: int) -> Tensor:
    """What a criterion multiplies the weights of a layer with, sizes only, (n_l, n_{l-1}) float64.

    The latents of two neurons enter a score through this one number. ``layer`` counts from 1.
    """
    x = data.x.to(net.dtype)
    of = mean_gradients if criterion == "snip" else hessian_product
    return of(net, x, data.y, loss_of(data))[layer - 1].double().abs()


def _kept(scale: Tensor, level: float, tails: int) -> Tensor:
    """Probability that a standard normal weight times ``scale`` is kept above ``level``.

    A score that is zero whatever the weight is kept if the level is negative; at a level of zero it
    is a tie, and counts as dropped.
    """
    # Below the smallest normal number results take many times longer, and matter to nobody.
    level_of_weight = (level / (scale * 2.0**0.5)).clamp(max=26.0)
    share = torch.special.erfc(level_of_weight) * (tails / 2.0)
    return torch.where(scale > 0.0, share, float(level < 0.0))


def _tails(criterion: str) -> int:
    return 1 if criterion == "grasp-signed" else 2


def probabilities(net: MLP, data: Dataset, pruned: Pruned, layer: int) -> Tensor:
    """P at the network's own latents, (n_l, n_{l-1}): float64; layers count from 1.

    The number that the latents enter through is taken from the network, the threshold too.
    Constant for criteria without data.
    """
    criterion = pruned.criterion
    if criterion in CONSTANT:
        return torch.full_like(net.weights[layer - 1], pruned.densities[layer - 1]).double()
    level = pruned.thresholds[layer - 1]
    assert level is not None
    return _kept(derivatives(net, data, criterion, layer), level, _tails(criterion))


def misread(net: MLP, data: Dataset, pruned: Pruned, layer: int) -> Tensor:
    """P of the nearest wrong theory for the layer, at the same latents and of the same density.

    SNIP: scores that factorise, with the means of the real ones over rows and over columns.
    |GraSP|: SNIP's scores. Signed GraSP: two tails. Criteria without data: :data:`OFF` more.
    """
    criterion, density = pruned.criterion, pruned.densities[layer - 1]
    if criterion in CONSTANT:
        return torch.full_like(net.weights[layer - 1], (1.0 + OFF) * density).double()
    scale = derivatives(net, data, "snip" if criterion == "grasp" else criterion, layer)
    if criterion == "snip":
        scale = torch.outer(scale.mean(dim=1), scale.mean(dim=0))

    def gap(log_level: float) -> float:
        return float(_kept(scale, math.exp(log_level), 2).mean()) - density

    middle = math.log(float(scale.mean()))
    return _kept(scale, math.exp(float(brentq(gap, middle - 12.0, middle + 12.0))), 2)


def mean_square(first: list[Array], second: list[Array]) -> float:
    """Mean over layers and cells of the squared difference."""
    return float(np.mean([np.mean((a - b) ** 2) for a, b in zip(first, second, strict=True)]))


def without_noise(first: list[Array], limit: list[Estimate]) -> float:
    """Mean squared distance of histograms to a sampled limit, less what its sampling adds."""
    noise = float(np.mean([np.mean(each.error**2) for each in limit]))
    return mean_square(first, [each.value for each in limit]) - noise


def between(first: list[Estimate], second: list[Estimate]) -> float:
    """Mean squared distance of two sampled limits, less what the sampling of both adds."""
    noise = float(np.mean([np.mean(each.error**2) for each in first]))
    return without_noise([each.value for each in first], second) - noise


def root(first: list[Array], second: list[Array]) -> float:
    """Root mean square difference over layers and cells."""
    return mean_square(first, second) ** 0.5


def rms(first: Array, second: Array) -> float:
    """Root mean square difference of two arrays of one shape."""
    return float(np.sqrt(np.mean((first - second) ** 2)))
