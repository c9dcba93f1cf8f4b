"""Real one-hidden-layer networks, scored by autograd or its closed twin, against their limits.

The setting of the factorised saliency model: Gaussian inputs, a linear teacher with coefficients
``beta ~ N(0, I/d)``, squared loss, NTK parametrisation. Everything the prediction uses is known
at initialisation: the network's own linear part ``b_i = E[f x_i]`` and offset ``E[f]`` follow
from its weights by one-dimensional Gaussian integrals (Stein's lemma), no sample is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.activations import activation as find_activation
from numerics.data import GaussianTeacher, TeacherBatches
from numerics.histogram import block_means
from numerics.masks import keep_largest
from numerics.network import OneHiddenLayer
from numerics.scores import factor
from numerics.seeds import derive, generator
from theory import criteria
from theory.limit import LimitGraphon, Which
from theory.profiles import ConstantProfile, EmpiricalProfile
from verify.trial import trial

Array = NDArray[np.float64]
Metrics = dict[str, float | list[float]]
GRID = 8
FIGURE_GRID = 32

_EDGES = np.concatenate((-np.geomspace(9.0, 0.05, 24), [0.0], np.geomspace(0.05, 9.0, 24)))
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)


def _gauss_rule() -> tuple[Array, Array]:
    """Nodes and weights for E f(g), g ~ N(0, 1), with a panel edge at 0 for kinked activations."""
    width = np.diff(_EDGES)
    nodes = (_EDGES[:-1, None] + 0.5 * width[:, None] * (_NODES + 1.0)).ravel()
    weights = (0.5 * width[:, None] * _WEIGHTS).ravel()
    return nodes, weights * np.exp(-0.5 * nodes**2) / np.sqrt(2.0 * np.pi)


@dataclass(frozen=True)
class LinearPart:
    """What Stein's lemma says of a dense network: slopes per input, and the offset.

    ``slope`` (d,) is ``b_i - beta_i``; ``gain`` is E sigma'; ``curvature`` is E sigma''; ``offset``
    is ``E[f - y]``.
    """

    slope: Array
    gain: float
    curvature: float
    offset: float


def linear_part(network: OneHiddenLayer, beta: Array, intercept: float = 0.0) -> LinearPart:
    """The dense network's linear part, from its weights alone; ``beta`` has shape (d,)."""
    nodes, weights = _gauss_rule()
    W, a = network.W.double().cpu().numpy(), network.a.double().cpu().numpy()[0]
    sd = np.linalg.norm(W, axis=1) * network.input_scale
    sigma = find_activation(network.activation)
    z = torch.from_numpy(sd[:, None] * nodes[None, :])
    gains = sigma.first(z).numpy() @ weights
    means = sigma.value(z).numpy() @ weights
    unit = torch.from_numpy(nodes)
    first = sigma.first(unit).numpy()
    slope = network.input_scale * network.output_scale * ((a * gains) @ W) - beta
    return LinearPart(
        slope=slope,
        gain=float(first @ weights),
        curvature=float((first * nodes) @ weights),
        offset=float(network.output_scale * (a @ means)) - intercept,
    )


def rms(first: Array, second: Array) -> float:
    """Root mean square difference of two arrays of one shape."""
    return float(np.sqrt(np.mean((first - second) ** 2)))


def _rms(difference: Array) -> float:
    blocks = block_means(difference, GRID, GRID)
    return rms(blocks, np.zeros_like(blocks))


DATA_DRIVEN = ("snip", "grasp", "grasp-signed")
WHICH: tuple[Which, ...] = ("mask", "variance", "mean")


def _limit_at(criterion: str, row: Array, column: Array, density: float) -> LimitGraphon:
    """The criterion's limit with the factors of one network in place of their laws."""
    profiles = {
        "row_profile": EmpiricalProfile(row),
        "column_law": EmpiricalProfile(column, name="c"),
    }
    used = criteria.FACTORS[criterion]
    model = criteria.criterion(criterion, **{key: profiles[key] for key in used})
    return model.limit(density)


@dataclass(frozen=True)
class Shifted:
    """A teacher's batches with an intercept added to the labels; can be iterated again."""

    batches: TeacherBatches
    intercept: float

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for x, y in self.batches:
            yield x, y + self.intercept


@dataclass(frozen=True)
class Pruned:
    """A scored and pruned network, sorted so that row and column factors increase.

    ``mask``, ``weights`` are (n, d) float64; ``oriented`` is the weights in the orientation in
    which their score grows; ``row`` (d,) and ``column`` (n,) are the predicted factors.
    """

    mask: Array
    weights: Array
    oriented: Array
    row: Array
    column: Array
    beta: Array
    part: LinearPart


def prune(
    seed: int, n: int, d: int, samples: int, criterion: str, activation: str, density: float,
    parameters: str = "input", intercept: float = 0.0, device: str = "cpu",
) -> Pruned:  # fmt: skip
    """Draw a network and a teacher, score the input weights, keep the largest, sort by factors."""
    beta = generator(seed, "teacher").standard_normal(d) / np.sqrt(d)
    network = OneHiddenLayer(
        d, n, activation, seed=derive(seed, "network"), device=device, dtype=torch.float32
    )
    if criterion == "random":
        scores = torch.from_numpy(generator(seed, "random scores").random((n, d)))
    else:
        teacher = GaussianTeacher(d, beta)
        batches = teacher.batches(samples, seed=derive(seed, "data"), dtype=torch.float32)
        data = tuple(Shifted(batches, intercept))  # drawn once: GraSP goes through them twice
        scores = network.W * factor(network, data, criterion=criterion, parameters=parameters)
        scores = scores if criterion == "grasp-signed" else scores.abs()
    mask = keep_largest(scores, density, seed=seed).cpu().double().numpy()
    part = linear_part(network, beta, intercept)
    a = network.a.double().cpu().numpy()[0]
    weights = network.W.double().cpu().numpy()
    oriented = weights * np.sign(a)[:, None] * np.sign(part.slope)[None, :]
    rows, columns = np.argsort(np.abs(part.slope)), np.argsort(np.abs(a))
    pick = np.ix_(columns, rows)
    return Pruned(
        mask[pick], weights[pick], oriented[pick], np.abs(part.slope)[rows], np.abs(a)[columns],
        beta[rows], part,
    )  # fmt: skip


def _sizes(n: int, aspect: int, factor: float, power: float) -> tuple[int, int]:
    d = max(n // aspect, 2)
    return d, max(round(factor * d**power), 1)


@lru_cache(maxsize=64)
def near_miss_grid(criterion: str, density: float, name: str) -> Array:
    """Block means of a near miss of a criterion's limit, shape (GRID, GRID).

    ``"truth"`` is the limit itself; ``"other_tail"`` swaps one- and two-sided tails;
    ``"flat_column"`` and ``"flat_row"`` make a factor constant; ``"constant"`` has no structure;
    ``"as_snip"`` is SNIP's limit, for criteria that see no data.
    """
    base = criterion if criterion in DATA_DRIVEN else "snip"
    other = "grasp" if criterion == "grasp-signed" else "grasp-signed"
    one = ConstantProfile(1)
    models = {
        "truth": lambda: criteria.criterion(criterion),
        "other_tail": lambda: criteria.criterion(other),
        "flat_column": lambda: criteria.criterion(base, column_law=one),
        "flat_row": lambda: criteria.criterion(base, row_profile=one),
        "constant": criteria.random,
        "as_snip": criteria.snip,
    }
    return models[name]().limit(density).grid(GRID)


NEAR_MISSES = ("other_tail", "flat_column", "flat_row", "constant", "as_snip")


@trial
def pruned_network(
    seed: int, n: int, criterion: str, activation: str, density: float, aspect: int = 4,
    sample_factor: float = 2.0, sample_power: float = 2.0, parameters: str = "input",
    intercept: float = 0.0, device: str = "cpu",
) -> Metrics:  # fmt: skip
    """A network of width n with ``d = n/aspect`` inputs and ``factor * d^power`` samples.

    Errors are root mean squares over an 8 x 8 grid of blocks, sorted by the predicted factors:
    ``error``, ``variance_error`` and ``mean_error`` against P, V and mu at the network's own
    factors, ``limit_error`` against the deterministic limit, and one per near miss of it.
    ``labels_only`` and ``conditional_error`` are for SNIP and repeat ``error`` elsewhere; the
    conditional model itself, ``model_blocks``, is there for SNIP only.
    """
    d, samples = _sizes(n, aspect, sample_factor, sample_power)
    net = prune(seed, n, d, samples, criterion, activation, density, parameters, intercept, device)
    mask, squares, firsts = net.mask, net.weights**2 * net.mask, net.oriented * net.mask
    coarse = block_means(mask, GRID, GRID)
    fine = block_means(mask, FIGURE_GRID, FIGURE_GRID)
    limit = _limit_at(criterion, net.row, net.column, density)
    own = {which: _expected(criterion, limit, net.row, net.column, which) for which in WHICH}
    error = _rms(mask - own["mask"])
    metrics: Metrics = {
        "error": error,
        "variance_error": _rms(squares - own["variance"]),
        "mean_error": _rms(firsts - own["mean"]),
        "variance_is_mask": _rms(squares - own["mask"]),
        "zero_mean": _rms(firsts),
        "labels_only": error,
        "conditional_error": error,
        "limit_error": rms(coarse, near_miss_grid(criterion, density, "truth")),
        "second_moment": float(squares.mean()),
        "first_moment": float(firsts.mean()),
        "offset": abs(net.part.offset),
        "blocks": fine.ravel().tolist(),
    }
    for name in NEAR_MISSES:
        metrics[name] = rms(coarse, near_miss_grid(criterion, density, name))
    if criterion == "snip":
        slopes = np.abs(net.beta)
        of_labels = _limit_at(criterion, slopes, net.column, density)
        labels = _expected(criterion, of_labels, slopes, net.column, "mask")
        metrics["labels_only"] = _rms(mask - labels)
        model = _conditional(net, density, own["mask"])
        metrics["conditional_error"] = _rms(mask - model)
        metrics["model_blocks"] = block_means(model, FIGURE_GRID, FIGURE_GRID).ravel().tolist()
    return metrics


def _expected(
    criterion: str, limit: LimitGraphon, row: Array, column: Array, which: Which
) -> Array:
    """The graphon ``which`` at the factors of one network, shape (n, d)."""
    used = criteria.FACTORS[criterion]
    return limit.at_factors(
        row[None, :] if "row_profile" in used else np.ones((1, row.size)),
        column[:, None] if "column_law" in used else np.ones((column.size, 1)),
        which,
    )


def _conditional(net: Pruned, density: float, factorised: Array) -> Array:
    """SNIP's conditional model at a network's own factors, (n, d); ``factorised`` where B = 0."""
    offset = abs(net.part.offset * net.part.curvature)
    if offset < 1e-6:
        return factorised
    row = net.part.gain * np.sqrt(net.row.size) * net.row
    model = criteria.snip(
        EmpiricalProfile(row), EmpiricalProfile(net.column, name="c"), offset=float(offset)
    )
    return model.limit(density).at_factors(row[None, :], net.column[:, None])


@trial
def sampling_error(seed: int, samples: int, n: int, d: int, activation: str) -> Metrics:
    """Relative distance of SNIP's gradient factor from the rank-one matrix of the FSM."""
    beta = generator(seed, "teacher").standard_normal(d) / np.sqrt(d)
    network = OneHiddenLayer(d, n, activation, seed=derive(seed, "network"), dtype=torch.float32)
    factors = [
        factor(
            network,
            GaussianTeacher(d, beta).batches(samples, seed=derive(seed, part), dtype=torch.float32),
        )
        for part in ("first", "second")
    ]
    mean = (factors[0] + factors[1]) / 2
    noise = (factors[0] - factors[1]) / np.sqrt(2.0)
    return {"relative": float(noise.norm() / mean.norm())}


@trial
def signed_output(seed: int, n: int, criterion: str, d: int, density: float) -> Metrics:
    """Root mean square output of a tanh network pruned by a sampled FSM rule, over 64 inputs.

    Scores are those of the factorised model itself, so nothing but the rule's mean graphon can
    make the output grow.
    """
    rng = generator(seed, "network")
    weights, a = rng.standard_normal((n, d)), rng.standard_normal(n)
    slope = rng.standard_normal(d)
    scores = weights * a[:, None] * slope[None, :]
    if criterion != "grasp-signed":
        scores = np.abs(scores)
    mask = keep_largest(torch.from_numpy(scores), density, seed=seed).numpy()
    x = rng.standard_normal((64, d))
    z = x @ (weights * mask).T / np.sqrt(d)
    output = np.tanh(z) @ a / np.sqrt(n)
    return {"rms": float(np.sqrt(np.mean(output**2)))}
