"""Finite pruned networks of any depth against the infinite-width kernels of their graphons.

Inputs of every width have one Gram matrix, so that a kernel whose first layer treats coordinates
alike is the same number at every width. Masks, weights and nothing else differ between seeds.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.empirical_ntk import empirical_ntk
from numerics.kernel import GraphonKernel
from numerics.mlp import MLP
from numerics.mlp_masks import graphon_masks, variance_profile
from numerics.seeds import derive, generator
from verify.trial import trial

Array = NDArray[np.float64]
Metrics = dict[str, float | list[float]]
INPUTS = 6
GAIN = 2.0
DENSITY = 0.4
COMMON = (3.0, 0.0)
"""Length of what the inputs share in either half of their coordinates."""

LOPSIDED = ((0.9, 0.1), (0.3, 0.5))
ASSORTATIVE = ((0.95, 0.05), (0.05, 0.6))

CASES: dict[str, tuple[Any, ...]] = {
    # One graphon per layer of weights, from the input to the output, as cells [target][source].
    "blocks": (((0.9,), (0.2,)), LOPSIDED, ((0.8, 0.3),)),
    "chain": (((0.8,), (0.2,)), ASSORTATIVE, LOPSIDED, ((0.9, 0.2),)),
    "input": (((0.9, 0.1),), ((1.0,),), ((1.0,),), ((1.0,),)),
}
"""Structured graphons by name: `blocks` has two hidden layers, `chain` and `input` three."""


def layers_of(case: str, depth: int = 0, density: float = DENSITY) -> list[Array]:
    """The layers of a case; `constant` and `dense output` are made for a depth and a density."""
    if case in CASES:
        return [np.asarray(layer, dtype=np.float64) for layer in CASES[case]]
    if case not in ("constant", "dense output", "dense"):
        raise ValueError(f"case must be one of {sorted(CASES)} or constant; got {case!r}")
    c = 1.0 if case == "dense" else density
    layers = [np.full((1, 1), c) for _ in range(depth + 1)]
    if case == "dense output":
        layers[-1] = np.ones((1, 1))
    return layers


@lru_cache(maxsize=64)
def inputs(d: int, count: int = INPUTS) -> Array:
    """Inputs of even dimension d, shape (count, d), with the same Gram matrices for every d.

    The first and the second half of the coordinates hold two different configurations of unit
    vectors, each in a random frame, and those of the first lie closer together: a first layer
    that weighs the halves differently sees other angles than a dense one. Raises ValueError
    where a half has no room for them.
    """
    half = d // 2
    if d % 2 or half < count:
        raise ValueError(f"d must be even and at least {2 * count}, got {d}")
    parts = []
    for part in range(2):
        wanted = generator(0, "kernel inputs", count, part).standard_normal((count, count))
        wanted[:, 0] += COMMON[part]
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        rng = generator(0, "kernel frame", d, count, part)
        frame, _ = np.linalg.qr(rng.standard_normal((half, count)))
        parts.append(math.sqrt(half) * wanted @ frame.T)
    return np.concatenate(parts, axis=1)


NETWORKS = ("independent-mask", "variance-profile")


@lru_cache(maxsize=256)
def predicted(
    case: str, network: str, d: int, activation: str = "relu", depth: int = 0,
    density: float = DENSITY, gain: float = GAIN, part: str = "all",
) -> Array:  # fmt: skip
    """The infinite-width NTK on the common inputs, shape (INPUTS, INPUTS).

    ``part="printed"`` leaves out the output layer's own term, as [A] equation (4) does.
    """
    layers: list[Any] = list(layers_of(case, depth, density))
    if network == "variance-profile":
        layers = [(layer, np.ones_like(layer)) for layer in layers]
    kernel = GraphonKernel(activation, layers, gain=gain)
    x = inputs(d)
    if part == "printed":
        return kernel(x, get=("ntk",), per_layer=True).per_layer[:-1].sum(dim=0).numpy()
    return np.asarray(kernel(x, get="ntk").numpy())


def finite(
    seed: int, n: int, case: str, network: str, d: int, activation: str = "relu", depth: int = 0,
    density: float = DENSITY, gain: float = GAIN,
) -> MLP:  # fmt: skip
    """A network of width n with the case's graphons as masks or as a variance profile.

    In float32: its rounding is a thousandth of what one network differs from the next.
    """
    layers = layers_of(case, depth, density)
    widths = (d, *([n] * (len(layers) - 1)), 1)
    profile = variance_profile(layers, widths) if network == "variance-profile" else None
    net = MLP(
        widths, activation, gain=gain, variances=profile, seed=derive(seed, "weights"),
        dtype=torch.float32,
    )  # fmt: skip
    if network == "independent-mask":
        net = net.pruned(graphon_masks(layers, widths, seed=derive(seed, "masks")))
    return net


def scale(measured: Array, expected: Array) -> float:
    """The multiple of ``expected`` that is nearest to ``measured``."""
    return float((measured * expected).sum() / (expected * expected).sum())


def distance(measured: Array, expected: Array) -> float:
    """Frobenius distance relative to ``expected``."""
    return float(np.linalg.norm(measured - expected) / np.linalg.norm(expected))


def dimension(n: int, aspect: int, count: int = INPUTS) -> int:
    """Number of inputs of a network of width n: even, and enough for ``count`` of them."""
    return max(2 * (n // aspect // 2), 2 * count)


@trial
def graphon_network(
    seed: int, n: int, case: str, network: str, activation: str = "relu", aspect: int = 2
) -> Metrics:
    """The tangent kernel of one finite network against every reading of the limit.

    ``scale`` and ``error`` are against the kernel of this network's own kind; ``printed``,
    ``survivors`` and ``everything`` are the scale against [A] (4) as printed, the kernel in
    which survivors train and the one in which all entries do; ``dense`` against the dense
    kernel. ``toward_input``: see :func:`toward_input`.
    """
    d = dimension(n, aspect)
    net = finite(seed, n, case, network, d, activation)
    theta = empirical_ntk(net, torch.from_numpy(inputs(d))).numpy()
    own = predicted(case, network, d, activation)
    depth = len(layers_of(case)) - 1
    return {
        "scale": scale(theta, own),
        "error": distance(theta, own),
        "printed": scale(theta, predicted(case, "variance-profile", d, activation, part="printed")),
        "survivors": scale(theta, predicted(case, "independent-mask", d, activation)),
        "everything": scale(theta, predicted(case, "variance-profile", d, activation)),
        "dense": scale(theta, predicted("dense", "independent-mask", d, activation, depth)),
        "toward_input": toward_input(theta, activation, depth),
    }


def shape(case: str, activation: str = "relu", depth: int = 0) -> Array:
    """The kernel of independent masks divided by its trace, shape (INPUTS, INPUTS)."""
    kernel = predicted(case, "independent-mask", 2 * INPUTS, activation, depth)
    return kernel / np.trace(kernel)


def toward_input(theta: Array, activation: str, depth: int) -> float:
    """How far a kernel's shape lies from the dense one towards that of input-layer structure.

    0 for a multiple of the dense kernel, 1 for one of the kernel of the case `input`: the
    component of the difference of kernels divided by their traces along that direction.
    """
    dense = shape("dense", activation, depth)
    direction = shape("input", activation) - dense
    return scale(theta / np.trace(theta) - dense, direction)


@trial
def density_exponent(
    seed: int, n: int, depth: int, activation: str, trained: str, output: str,
    density: float = DENSITY, aspect: int = 1,
) -> Metrics:  # fmt: skip
    """``log(tr Theta / tr Theta_std) / log c`` of one network of constant density c.

    ``trained`` is "survivors" or "all", ``output`` "pruned" or "dense". ``Theta_std`` is the dense
    kernel at infinite width.
    """
    case = "constant" if output == "pruned" else "dense output"
    network = "independent-mask" if trained == "survivors" else "variance-profile"
    d = dimension(n, aspect)
    gain = 2.0 if activation == "relu" else 2.0 / 3.0
    net = finite(seed, n, case, network, d, activation, depth, density, gain)
    theta = empirical_ntk(net, torch.from_numpy(inputs(d))).numpy()
    dense = predicted("dense", "independent-mask", d, activation, depth, gain=gain)
    return {"exponent": float(np.log(np.trace(theta) / np.trace(dense)) / np.log(density))}
