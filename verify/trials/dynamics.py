"""Training of wide pruned networks mode by mode, and the spectrum under Magnitude pruning."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.empirical_ntk import empirical_ntk
from numerics.kernel import GraphonKernel
from numerics.masks import keep_largest
from numerics.mlp import MLP
from numerics.regression import modes
from numerics.seeds import derive
from numerics.training import train
from theory.criteria import magnitude
from theory.reduction import Output, density_factor, limit_factor
from verify.trial import trial
from verify.trials.kernels import GAIN, INPUTS, dimension, finite, inputs

Array = NDArray[np.float64]
Metrics = dict[str, float | list[float]]
MODES = 2
RESIDUAL = 0.2
STEP = 0.2
"""Step of gradient descent in units of the inverse of the largest rate."""


@lru_cache(maxsize=16)
def dense_kernel(depth: int, count: int) -> Array:
    """The dense ReLU kernel on the common inputs, shape (count, count)."""
    return np.asarray(GraphonKernel("relu", depth=depth, gain=GAIN)(inputs(64, count), get="ntk"))


@trial
def mode_decay(
    seed: int, n: int, depth: int, density: float, output: str = "pruned", aspect: int = 1
) -> Metrics:
    """Gradient descent of one randomly pruned network of width n on all inputs at once.

    The labels leave the same residual in every eigenvector of the dense kernel. ``rate``: mean
    over the first modes of ``-ln(r_k(t)/r_k(0)) / (t c^m lambda_k)`` at ``t = 1/(c^m lambda_k)``,
    with m pruned matrices; ``rate_less`` and ``rate_more`` divide by other powers of c.
    ``tilt`` is the rate of the last of these modes over that of the first.
    """
    case = "constant" if output == "pruned" else "dense output"
    d = dimension(n, aspect)
    net = finite(seed, n, case, "independent-mask", d, depth=depth, density=density)
    x = torch.from_numpy(inputs(d))
    spectrum = modes(torch.from_numpy(dense_kernel(depth, INPUTS)))
    kept: Output = "pruned" if output == "pruned" else "dense"
    speeds = float(density_factor(density, depth, output=kept)) * spectrum.values[:MODES]
    residual = RESIDUAL * spectrum.vectors.sum(dim=1)
    labels = net.forward(x)[:, 0].double() - residual
    rate = STEP / float(speeds[0])
    at = [max(round(1.0 / (float(speed) * rate)), 1) for speed in speeds]
    history = train(net, x, labels[:, None].float(), at[-1], rate, record=[0, *at])
    left = spectrum.components(history.outputs[:, :, 0].double() - labels)
    steps = history.steps.tolist()
    measured = []
    for k, when in enumerate(at):
        share = float(left[steps.index(when), k] / left[0, k])
        # The exact decay of descent steps, so that the finite step is no part of the error.
        exact = -when * math.log1p(-rate * float(speeds[k]))
        measured.append(-math.log(max(share, 1e-9)) / exact)
    mean = float(np.mean(measured))
    return {
        "rate": mean,
        "rate_less": mean * density,
        "rate_more": mean / density,
        "tilt": measured[-1] / measured[0],
    }


SPECTRUM_INPUTS = 10


@trial
def magnitude_spectrum(seed: int, n: int, depth: int, density: float, aspect: int = 1) -> Metrics:
    """Eigenvalues of a Magnitude-pruned ReLU network's kernel against those of the dense limit.

    ``shift``: mean of ``ln lambda_k - ln lambda_k(dense)``; ``tilt``: slope of that difference
    against ``ln lambda_k(dense)``, 0 if all eigenvalues move together.
    """
    d = dimension(n, aspect, SPECTRUM_INPUTS)
    net = MLP(
        (d, *([n] * depth), 1), "relu", gain=GAIN, seed=derive(seed, "weights"), dtype=torch.float32
    )
    net = net.pruned([keep_largest(W.abs(), density, seed=seed) for W in net.weights])
    theta = empirical_ntk(net, torch.from_numpy(inputs(d, SPECTRUM_INPUTS)))
    dense = dense_kernel(depth, SPECTRUM_INPUTS)
    ours, theirs = np.linalg.eigvalsh(theta.numpy()), np.linalg.eigvalsh(dense)
    difference, level = np.log(ours / theirs), np.log(theirs)
    slope = np.polyfit(level - level.mean(), difference, 1)[0]
    return {"shift": float(difference.mean()), "tilt": float(slope)}


def magnitude_law(density: float, depth: int) -> float:
    """Logarithm of the factor that the reduction law gives all eigenvalues."""
    return math.log(limit_factor(magnitude().limit(density), depth))


def magnitude_shift(density: float, mask_power: int, variance_power: int) -> float:
    """``ln(rho^a v^b)`` with v the second moment that Magnitude leaves: near misses of the law."""
    v = magnitude().limit(density).total("variance")
    return mask_power * math.log(density) + variance_power * math.log(v)
