"""Pre-activations of finite pruned networks by position: variance, law, and the printed forms.

Weights are drawn from a uniform law where a central limit theorem has to do the work: Gaussian
weights would make every pre-activation Gaussian given the layer below, at any width.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.kernel import GraphonKernel
from numerics.mlp import MLP
from numerics.mlp_masks import graphon_masks
from numerics.seeds import derive
from theory.laws import law
from theory.ntk import independent_mask
from verify.trial import trial
from verify.trials.kernels import GAIN, INPUTS, dimension, inputs, layers_of

Array = NDArray[np.float64]
Metrics = dict[str, float | list[float]]
CASE = "blocks"
FREQUENCIES = (1.0, 2.0)


@lru_cache(maxsize=64)
def covariance_at(position: int, layer: int, d: int, blind: bool = False) -> Array:
    """Covariance of hidden pre-activations at a cell of targets, shape (INPUTS, INPUTS).

    ``layer`` counts from 1. It is the NNGP kernel of the network cut off above that cell;
    ``blind`` replaces every graphon by its mean density.
    """
    layers: list[Any] = layers_of(CASE)[:layer]
    if blind:
        layers = [np.full((1, 1), each.mean()) for each in layers]
    else:
        layers[-1] = layers[-1][position : position + 1]
    kernel = GraphonKernel("relu", layers, gain=GAIN)
    return np.asarray(kernel(inputs(d), get="nngp").numpy())


@trial
def positions(seed: int, n: int, weights: str = "uniform", aspect: int = 2) -> Metrics:
    """Second hidden layer of a network with the graphons of `blocks`, by halves of its neurons.

    ``error``: relative distance of the two halves' covariances from the predicted ones;
    ``blind_error`` from those of constant graphons of the same densities. ``ratio``: variance of
    the first half over that of the second. ``fourth``: mean of ``z^4 / (3 q^2)``. ``cosine_1``
    and ``cosine_2``: means of ``cos(t z / sqrt(q))`` for t = 1, 2, with q predicted.
    """
    d = dimension(n, aspect)
    layers = layers_of(CASE)
    widths = (d, *([n] * (len(layers) - 1)), 1)
    net = MLP(widths, "relu", gain=GAIN, law=law(weights), seed=derive(seed, "weights"))
    net = net.pruned(graphon_masks(layers, widths, seed=derive(seed, "masks")))
    z = net.states(torch.from_numpy(inputs(d))).z[1].numpy()
    halves = (z[:, : n // 2], z[:, n // 2 :])
    found = np.stack([half @ half.T / half.shape[1] for half in halves])
    expected = np.stack([covariance_at(k, 2, d) for k in range(2)])
    blind = np.stack([covariance_at(0, 2, d, blind=True)] * 2)
    norm = np.linalg.norm(expected)
    unit = np.concatenate(
        [half / np.sqrt(np.diag(q))[:, None] for half, q in zip(halves, expected, strict=True)],
        axis=1,
    )
    cosines = [float(np.cos(t * unit).mean()) for t in FREQUENCIES]
    return {
        "error": float(np.linalg.norm(found - expected) / norm),
        "blind_error": float(np.linalg.norm(found - blind) / norm),
        "ratio": float(np.trace(found[0]) / np.trace(found[1])),
        "fourth": float((unit**4).mean() / 3.0),
        "cosine_1": cosines[0],
        "cosine_2": cosines[1],
    }


def ratio_of_variances() -> float:
    """The predicted ratio: constant in the width, since the first layer treats inputs alike."""
    return float(
        np.trace(covariance_at(0, 2, 2 * INPUTS)) / np.trace(covariance_at(1, 2, 2 * INPUTS))
    )


@trial
def gradients(seed: int, n: int, aspect: int = 2) -> Metrics:
    """Backward signals at the first hidden layer of `blocks`, by halves of its neurons.

    ``ratio``: mean squared derivative of the output by the pre-activations of the first half over
    that of the second half; it depends on the position through what the layer above reads.
    """
    d = dimension(n, aspect)
    layers = layers_of(CASE)
    widths = (d, *([n] * (len(layers) - 1)), 1)
    net = MLP(widths, "relu", gain=GAIN, seed=derive(seed, "weights"))
    net = net.pruned(graphon_masks(layers, widths, seed=derive(seed, "masks")))
    states = net.states(torch.from_numpy(inputs(d)))
    delta = net.backward(states, torch.ones(INPUTS, 1, dtype=torch.float64))[0].numpy()
    first, second = (delta[:, : n // 2] ** 2).mean(), (delta[:, n // 2 :] ** 2).mean()
    return {"ratio": float(first / second)}


def ratio_of_gradients() -> float:
    """``G_1`` at the two halves, by the backward recursion; the same for every input."""
    layers = [layer.tolist() for layer in layers_of(CASE)]
    first, second = independent_mask("relu", layers, gain=GAIN).solve((1, 1, 1)).gradient[0]
    return float(first / second)


def gaussian_cosine(t: float) -> float:
    """``E cos(t Z)`` of a standard normal."""
    return math.exp(-t * t / 2.0)


def laplace_cosine(t: float) -> float:
    """The same for the Laplace law of unit variance."""
    return 1.0 / (1.0 + t * t / 2.0)


def uniform_cosine(t: float) -> float:
    """The same for the uniform law of unit variance."""
    return math.sin(math.sqrt(3.0) * t) / (math.sqrt(3.0) * t)
