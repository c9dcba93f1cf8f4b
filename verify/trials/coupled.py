"""Deep networks on real digits, pruned by what their own gradients say, beside three kernels.

Every replicate is a network of its own, and the kernels it is compared with are solved for *its*
initial residual: the limit is random through that residual, and what the two share drops out of
their ratio. The kernels' random numbers are the replicate's own, so their Monte-Carlo error is
part of the spread between replicates and of every interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from numerics.coupled_kernel import CoupledKernel
from numerics.data import Dataset, digits, mnist5k
from numerics.empirical_ntk import empirical_ntk
from numerics.latent_batch import LatentBatch
from numerics.losses import loss as find_loss
from numerics.mlp import MLP
from numerics.pruning import prune
from numerics.seeds import derive, generator
from verify.trial import trial

Metrics = dict[str, float | list[float]]
GAINS = {"relu": 2.0, "tanh": 1.5, "erf": 1.5}
"""Variance of weights times fan-in that keeps signals alive through a few layers."""
READINGS: dict[str, dict[str, Any]] = {
    "coupled": {"coupling": "full"},
    "uncoupled": {"coupling": "none"},
    "graphon": {"coupling": "none", "variance": "graphon"},
}
"""The coupled kernel; right second moments, independent of the dense signals; fresh weights."""


class Problem(NamedTuple):
    """Batch x (N, d) with labels y that makes the masks, and inputs (M, d) of the kernel."""

    x: Tensor
    y: Tensor
    inputs: Tensor


SETS: dict[str, Callable[..., Dataset]] = {"digits": digits, "mnist5k": mnist5k}


@lru_cache(maxsize=32)
def problem(batch: int, points: int, outputs: int, dataset: str = "digits") -> Problem:
    """Images of norm √d: ``batch`` labelled ones and ``points`` others, the same for all seeds.

    One output learns the parity, ten the class. ValueError for a set that is not in ``SETS``.
    """
    if dataset not in SETS:
        raise ValueError(f"dataset must be one of {sorted(SETS)}, got {dataset!r}")
    data = SETS[dataset](normalise=True, labels="parity" if outputs == 1 else "class")
    chosen = torch.from_numpy(generator(0, "coupled digits").permutation(len(data.x)))
    own, other = chosen[:batch], chosen[batch : batch + points]
    return Problem(data.x[own], data.y[own], data.x[other])


def loss_of(outputs: int) -> str:
    """Squared loss for one output, cross-entropy for several."""
    return "squared" if outputs == 1 else "cross-entropy"


def traces(shares: Tensor) -> list[float]:
    """Mean diagonal of each layer's share (L + 1, M, M)."""
    return [float(share.diagonal().mean()) for share in shares]


@trial
def pruned_network(
    seed: int, n: int, criterion: str = "snip", depth: int = 3, density: float = 0.2,
    activation: str = "relu", outputs: int = 1, scope: str = "layer", batch: int = 8,
    points: int = 4, samples: int = 512, readings: tuple[str, ...] = tuple(READINGS),
    dataset: str = "digits",
) -> Metrics:  # fmt: skip
    """Logarithms of the network's kernel over each reading's, zero where the reading is right.

    ``coupled``, ``uncoupled``, ``graphon``: of the mean diagonal of the tangent kernel;
    ``layer_1`` ..: of the layers' shares in it, and ``beside``: of the sum off the diagonal,
    against the coupled kernel; ``density``: largest distance of a layer's density from its, and
    ``uneven`` from the density asked for.
    """
    if points < 2:
        raise ValueError(f"points must be at least 2, got {points}")
    given = problem(batch, points, outputs, dataset)
    widths = (given.x.shape[1], *([n] * depth), outputs)
    gain, loss = GAINS[activation], loss_of(outputs)
    net = MLP(widths, activation, gain=gain, seed=derive(seed, "weights"), dtype=torch.float32)
    pruned = prune(net, criterion, density, given.x, given.y, loss=loss, scope=scope)
    shares = empirical_ntk(pruned.apply(net), given.inputs, per_layer=True)
    mine, total = traces(shares), shares.sum(dim=0)
    if not min(mine) > 0.0:
        raise ValueError(f"density must leave a path through width {n}, got {density}")
    output = net(given.x).double()
    seen = LatentBatch(
        given.x, widths, activation, gain=gain, loss=find_loss(loss), y=given.y, output=output
    )
    found: Metrics = {}
    for name in readings:
        kernel = CoupledKernel(
            seen, criterion, density, scope=scope, samples=samples, replicates=2, bias=False,
            seed=derive(seed, "latents", name), dtype=torch.float32, **READINGS[name],
        )  # fmt: skip
        result = kernel(given.inputs)
        theirs = traces(result.per_layer)
        found[name] = math.log(sum(mine) / sum(theirs))
        if name == "coupled":
            for layer, (a, b) in enumerate(zip(mine, theirs, strict=True), start=1):
                found[f"layer_{layer}"] = math.log(a / b)
            found["beside"] = math.log(_beside(total) / _beside(result.ntk))
            densities = zip(pruned.densities, result.densities, strict=True)
            found["density"] = max(abs(a - b) for a, b in densities)
            found["uneven"] = max(abs(a - density) for a in pruned.densities)
    return found


def _beside(kernel: Tensor) -> float:
    return float(kernel.sum() - kernel.diagonal().sum())
