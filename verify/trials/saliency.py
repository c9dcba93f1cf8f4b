"""Kernels of networks that were really pruned by SNIP, |GraSP| and Magnitude, one hidden layer.

Three readings of the infinite-width kernel, with the network's own row factors at its inputs:

* saliency: surviving weights have second moment V, a share P of them trains, and the output
  weights of neurons at position v have second moment c(v)^2;
* graphon only: weights independent of a mask drawn from P, output weights independent of it;
* shape only: V = P, but with the output weights' dependence on the position.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.data import digits
from numerics.empirical_ntk import empirical_ntk
from numerics.kernel_networks import independent_mask, saliency_mask, sorted_output
from numerics.masks import keep_largest
from numerics.mlp import MLP
from numerics.network import OneHiddenLayer
from numerics.scores import factor
from numerics.seeds import derive, generator
from theory import criteria
from theory.profiles import EmpiricalProfile, HalfNormalProfile
from verify.trial import trial
from verify.trials.kernels import distance, scale
from verify.trials.networks import prune

Array = NDArray[np.float64]
Metrics = dict[str, float | list[float]]
INPUTS = 6
TOLERANCE = 1e-3
"""Of the quadrature over positions: far below the margins of the claims."""

READINGS = ("saliency", "graphon", "shape")


def kernels(
    criterion: str, rows: Array, x: Array, activation: str, density: float
) -> dict[str, Array]:
    """The kernel of each reading on ``x`` (inputs, d); coordinates ascend with ``rows`` (d,)."""
    used = criteria.FACTORS[criterion]
    profiles = {"row_profile": EmpiricalProfile(rows), "column_law": HalfNormalProfile()}
    limit = criteria.criterion(criterion, **{key: profiles[key] for key in used}).limit(density)
    found = {
        "saliency": saliency_mask(activation, [limit], tolerance=TOLERANCE),
        "graphon": independent_mask(activation, [limit, 1.0], tolerance=TOLERANCE),
        "shape": independent_mask(activation, [limit, sorted_output(limit)], tolerance=TOLERANCE),
    }
    return {name: np.asarray(kernel(x, get="ntk")) for name, kernel in found.items()}


def _measured(weights: Array, mask: Array, a: Array, x: Array, activation: str) -> Array:
    n, d = weights.shape
    net = MLP((d, n, 1), activation).replaced(
        [torch.from_numpy(weights), torch.from_numpy(a)[None]]
    )
    net = net.pruned([torch.from_numpy(mask > 0.5), None])
    return np.asarray(empirical_ntk(net, torch.from_numpy(x)))


def _compare(theta: Array, readings: dict[str, Array]) -> Metrics:
    found: Metrics = {}
    for name, kernel in readings.items():
        found[f"{name}_scale"] = scale(theta, kernel)
        found[f"{name}_error"] = distance(theta, kernel)
    return found


@trial
def teacher_kernel(
    seed: int, n: int, criterion: str, activation: str = "erf", density: float = 0.2,
    aspect: int = 4, sample_factor: float = 2.0,
) -> Metrics:  # fmt: skip
    """Gaussian teacher, ``d = n/aspect``, ``sample_factor d^2`` samples; fresh Gaussian inputs.

    ``<reading>_scale``: the multiple of the reading nearest to the network's kernel;
    ``<reading>_error``: relative Frobenius distance.
    """
    d = max(n // aspect, 2)
    net = prune(seed, n, d, round(sample_factor * d * d), criterion, activation, density)
    x = generator(seed, "evaluation inputs").standard_normal((INPUTS, d))
    theta = _measured(net.weights, net.mask, net.column, x, activation)
    return _compare(theta, kernels(criterion, net.row, x, activation, density))


@lru_cache(maxsize=1)
def digit_inputs() -> tuple[Array, Array]:
    """Standardised pixels of scikit-learn's digits, constant ones dropped, and labels even/odd.

    Shapes (1797, 61) and (1797, 1).
    """
    data = digits()
    x, y = np.asarray(data.x, np.float64), np.asarray(data.y)
    x = x[:, x.std(axis=0) > 0.02]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return x, np.where(y % 2 == 0, 1.0, -1.0)[:, None]


@trial
def digits_kernel(
    seed: int, n: int, criterion: str, activation: str = "erf", density: float = 0.2
) -> Metrics:
    """The same on 1797 digits with all of them as the batch; the row factor is ``|E[e x_i]|``.

    ``rank_one``: relative distance of the score's factor from the nearest multiple of a rank-one
    matrix with the output weights as one side, which the factorised model takes it for.
    """
    x, y = digit_inputs()
    d = x.shape[1]
    net = OneHiddenLayer(d, n, activation, seed=derive(seed, "network"))
    data, labels = torch.from_numpy(x), torch.from_numpy(y)
    g = factor(net, data, labels, criterion=criterion)
    mask = keep_largest((net.W * g).abs(), density, seed=seed)
    rows = ((net.forward(data) - labels) * data).mean(dim=0).abs().numpy()
    order = np.argsort(rows)
    a, slopes = net.a.numpy()[0], g.numpy()
    fitted = np.outer(a, a @ slopes) / (a @ a)
    picked = generator(seed, "evaluation inputs").choice(len(x), INPUTS, replace=False)
    inputs = np.ascontiguousarray(x[picked][:, order])
    theta = _measured(
        np.ascontiguousarray(net.W.numpy()[:, order]), mask.numpy()[:, order].astype(np.float64),
        a, inputs, activation,
    )  # fmt: skip
    found = _compare(theta, kernels(criterion, rows[order], inputs, activation, density))
    rank_one = float(np.linalg.norm(slopes - fitted) / np.linalg.norm(slopes))
    return found | {"rank_one": rank_one}


@trial
def model_kernel(
    seed: int, n: int, activation: str = "relu", density: float = 0.2, aspect: int = 4
) -> Metrics:
    """Masks by the scores ``|w| r c`` themselves, half-normal r and ``c = |a|``; any activation.

    No data and no gradient: what is left is the effect of a mask that looked at the weights.
    """
    d = max(n // aspect, 2)
    rng = generator(seed, "model")
    weights, a = rng.standard_normal((n, d)), rng.standard_normal(n)
    rows = np.sort(np.abs(rng.standard_normal(d)))
    scores = np.abs(weights) * np.abs(a)[:, None] * rows[None, :]
    mask = keep_largest(torch.from_numpy(scores), density, seed=seed).numpy()
    x = rng.standard_normal((INPUTS, d))
    theta = _measured(weights, mask.astype(np.float64), a, x, activation)
    return _compare(theta, kernels("snip", rows, x, activation, density))
