"""Dense cores of drawn and of real masks, and what networks express through them.

One replicate is one mask or network, or a batch of independent ones where the quantity is a
variance or a frequency. Masks keep an exact number of entries throughout.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray

from numerics.activations import activation as find_activation
from numerics.dense_core import core, full_neurons
from numerics.masks import draw
from numerics.random_features import KernelTarget, error_curve, fit, random_features
from numerics.ranking import kept_count
from numerics.seeds import derive, generator
from theory import criteria
from theory.approximation_floor import ApproximationFloor, inactive_floor, parity_floor
from theory.expressivity import core_probability, fixed_count, least_factor
from theory.expressivity_table import boundary_inputs, core_width
from theory.laws import Uniform
from theory.limit import LimitGraphon
from theory.profiles import ConstantProfile, EmpiricalProfile, HalfNormalProfile, SymbolicProfile
from theory.saliency import SaliencyModel
from theory.symbols import u
from verify.trial import trial
from verify.trials.networks import prune

Array = NDArray[np.float64]
Metrics = dict[str, float | list[float]]

FACTOR = 1.5
"""Row factor of the inputs whose common neurons are counted."""
INPUTS = 2
DELTA = Fraction(1, 100)
EDGE = 0.5
"""Edge probability of the constant graphon on both sides of the boundary."""
SETS = 128
"""Disjoint sets of inputs that are counted in one mask of a constant graphon."""
SIDES = {"inside": 0.5, "on": 0.0, "outside": -0.5}
"""Epsilon in ``k_n = (1 - epsilon) log n / log(1/p)``."""


@lru_cache(maxsize=32)
def snip_limit(density: float) -> LimitGraphon:
    """SNIP's limit with half-normal factors."""
    return criteria.snip().limit(density)


@lru_cache(maxsize=32)
def chance(density: float, factor: float = FACTOR, inputs: int = INPUTS) -> float:
    """SNIP's core probability for inputs of one factor."""
    return core_probability(snip_limit(density), factors=[factor] * inputs)


def model_counts(
    seed: int, n: int, d: int, density: float, sources: str, factor: float, batch: int
) -> NDArray[np.int64]:
    """Fully connected neurons of ``INPUTS`` inputs in masks of ``|w| r c``, shape (batch,).

    The chosen inputs have the given factor; those of the others are half-normal quantiles
    (``sources="grid"``) or draws (``"random"``), and targets are draws. Raises ValueError for
    other names.
    """
    if sources not in ("grid", "random"):
        raise ValueError(f"sources must be 'grid' or 'random'; got {sources!r}")
    rng, others = generator(seed, "counts"), d - INPUTS
    grid = HalfNormalProfile()((np.arange(others) + 0.5) / others)
    dropped = n * d - kept_count(density, n * d)
    found = np.empty(batch, np.int64)
    for i in range(batch):
        rest = grid if sources == "grid" else np.abs(rng.standard_normal(others))
        rows = np.concatenate((np.full(INPUTS, factor), rest)).astype(np.float32)
        scores = np.abs(rng.standard_normal((n, d), dtype=np.float32))
        scores *= rows
        scores *= np.abs(rng.standard_normal((n, 1), dtype=np.float32))
        level = np.partition(scores.ravel(), dropped)[dropped]
        found[i] = (scores[:, :INPUTS] >= level).all(axis=1).sum()
    return found


@trial
def spread_of_counts(
    seed: int, n: int, sources: str, aspect: int = 1, density: float = 0.2, batch: int = 64
) -> Metrics:
    """Mean and variance of the count over a batch of SNIP masks, ``d = n/aspect``.

    ``mean`` in units of n q, ``spread`` in units of the binomial variance n q (1 - q).
    """
    counts = model_counts(seed, n, n // aspect, density, sources, FACTOR, batch)
    q = chance(density)
    return {
        "mean": float(counts.mean()) / (n * q),
        "spread": float(counts.var(ddof=1)) / (n * q * (1 - q)),
    }


@lru_cache(maxsize=8)
def table_width(m: int, density: float) -> int:
    """The width table's entry for SNIP, two inputs of the better half and delta one per cent."""
    return core_width(snip_limit(density), INPUTS, m, DELTA, share=0.5)


@trial
def core_failures(seed: int, m: int, aspect: int, density: float = 0.2, batch: int = 64) -> Metrics:
    """The share of SNIP masks, random latents, with fewer than m neurons on two inputs.

    The inputs have the median factor, the worst of the best half, and n is the width of the table.
    """
    limit = snip_limit(density)
    n, factor = table_width(m, density), least_factor(limit, 0.5)
    counts = model_counts(seed, n, n // aspect, density, "random", factor, batch)
    return {"failed": float((counts < m).mean())}


@trial
def boundary_masks(seed: int, n: int, side: str) -> Metrics:
    """A random mask with ``k_n`` inputs per set: mean ``count`` of a set, share with a ``core``."""
    k = boundary_inputs(n, EDGE, SIDES[side])
    mask = draw(criteria.random(), n, k * SETS, EDGE, seed).mask
    counts = mask.view(n, SETS, k).all(dim=2).sum(dim=0).double()
    return {"count": float(counts.mean()), "core": float((counts > 0).double().mean())}


@trial
def network_core(
    seed: int, n: int, aspect: int = 8, density: float = 0.2, activation: str = "tanh"
) -> Metrics:
    """Cores of a network that SNIP pruned on a Gaussian teacher, ``d = n/aspect``, 2 d^2 samples.

    For k = 2 and 3 the better half of the inputs is split into disjoint sets of k neighbours,
    and their counts are added up. ``own_k``: in units of the expectation at the network's own
    row and column factors; ``edges_k``: as if the edges of a neuron were independent, with the
    inputs' mean degrees; ``constant_k``: in units of n rho^k.
    """
    d = n // aspect
    net = prune(seed, n, d, 2 * d * d, "snip", activation, density)
    model = criteria.snip(EmpiricalProfile(net.row), EmpiricalProfile(net.column, name="c"))
    limit = model.limit(density)
    mask = torch.from_numpy(net.mask > 0.5)
    degrees = np.array([fixed_count(limit, [row], net.column).mean / n for row in net.row])
    found: Metrics = {}
    for k in (2, 3):
        sets = [list(range(d - k * (i + 1), d - k * i)) for i in range(d // 2 // k)]
        counted = sum(full_neurons(mask, each).numel() for each in sets)
        own = sum(fixed_count(limit, net.row[each], net.column).mean for each in sets)
        edges = sum(n * float(degrees[each].prod()) for each in sets)
        found[f"own_{k}"] = counted / own
        found[f"edges_{k}"] = counted / edges
        found[f"constant_{k}"] = counted / (n * density**k * len(sets))
    return found


# -------------------------------------------------------------------------------- approximation

KERNEL_TARGET = KernelTarget((0.5, 1.0, -1.0), (18, 19))
SOURCES = 20
"""Inputs of the masks that approximations go through; the last two are the target's."""
PRODUCT_VARIANCE = 1 - 4 / math.pi**2
"""Variance of ``|x y|`` for independent standard normals."""


@lru_cache(maxsize=1)
def kernel_constant() -> float:
    """``C`` of the bound C/m for the kernel target; its sampling error is below one per cent."""
    return KERNEL_TARGET.constant()[0]


@trial
def kernel_target(seed: int, n: int, criterion: str, density: float, draws: int = 16) -> Metrics:
    """The kernel target by erf features through a core: Monte Carlo weights and least squares.

    ``average``: error of the mean of the core's features with their known coefficients, itself
    a mean over ``draws`` draws of features; ``average_per_core`` and ``average_per_width``: times
    core size or width, over C; ``fitted_per_core``: the same for least squares, one draw.
    """
    mask = draw(criteria.criterion(criterion), n, SOURCES, density, seed).mask
    chosen = core(mask, list(KERNEL_TARGET.coordinates))
    samples = max(1000, 4 * n)
    x = torch.from_numpy(generator(seed, "inputs").standard_normal((2 * samples, SOURCES)))
    y, (intercept, *anchor) = KERNEL_TARGET(x), KERNEL_TARGET.anchor
    z, error = torch.tensor(anchor, dtype=torch.float64), 0.0
    for i in range(draws):
        features = random_features(chosen, "erf", seed=derive(seed, "features", i))
        outer = torch.erf(features.weights @ z + intercept * features.biases) / max(chosen.size, 1)
        few = slice(250 * (i % 8), 250 * (i % 8 + 1))
        error += float(((features(x[few]) @ outer - y[few]) ** 2).mean()) / draws
    h = features(x)
    fitted = fit(h[:samples], y[:samples], h[samples:], y[samples:]).test
    constant = kernel_constant()
    return {
        "average": error,
        "average_per_core": error * chosen.size / constant,
        "average_per_width": error * n / constant,
        "fitted_per_core": fitted * chosen.size / constant,
    }


def _product_errors(seed: int, mask: torch.Tensor) -> Metrics:
    """``|x y|`` of the last two inputs by ReLU features, error in units of its variance."""
    n, d = mask.shape
    samples = max(2000, 4 * n)
    x = torch.from_numpy(generator(seed, "inputs").standard_normal((2 * samples, d)))
    y = (x[:, -2] * x[:, -1]).abs()
    found: Metrics = {}
    for name, inputs in (("error", [d - 2, d - 1]), ("one_input", [d - 1])):
        chosen = core(mask, inputs)
        h = random_features(chosen, "relu", seed=derive(seed, "features"))(x)
        test = fit(h[:samples], y[:samples], h[samples:], y[samples:]).test
        found[name] = test / PRODUCT_VARIANCE
    return found


@trial
def absolute_product(seed: int, n: int, criterion: str, density: float) -> Metrics:
    """``|x y|`` of two inputs by ReLU features through the core of a drawn mask.

    ``error``: of least squares, in units of the target's variance; ``one_input``: through the
    neurons that see the second input, with its weights only.
    """
    return _product_errors(
        seed, draw(criteria.criterion(criterion), n, SOURCES, density, seed).mask
    )


@trial
def network_product(seed: int, n: int, density: float = 0.2) -> Metrics:
    """The same through the core of a tanh network that SNIP pruned on a teacher's data.

    The two inputs are those of the largest row factors, known before pruning.
    """
    net = prune(seed, n, SOURCES, 2 * SOURCES**2, "snip", "tanh", density)
    return _product_errors(seed, torch.from_numpy(net.mask > 0.5))


# --------------------------------------------------------------------- what no width approximates

SEEN, UNSEEN = sp.symbols("x y", real=True)
INACTIVE_TARGET = SEEN * (1 + UNSEEN) + UNSEEN**2 / 2
EVEN_TARGET = SEEN + UNSEEN + SEEN**2
BLIND = (1, 7)
"""An inactive and an active input of eight."""


def bounded_model() -> SaliencyModel:
    """SNIP with uniform weights and one column factor: inputs below a row factor are inactive."""
    return criteria.snip(SymbolicProfile(u), ConstantProfile(1), Uniform())


@lru_cache(maxsize=1)
def blind_floor() -> ApproximationFloor:
    """The least error for a function that needs an inactive input."""
    return inactive_floor(INACTIVE_TARGET, UNSEEN)


@lru_cache(maxsize=1)
def even_floor() -> ApproximationFloor:
    """The least error of odd functions."""
    return parity_floor(EVEN_TARGET)


def _target(expr: sp.Expr, seen: int, unseen: int) -> Any:
    function = sp.lambdify((SEEN, UNSEEN), expr, "math")
    return lambda x: function(x[:, seen], x[:, unseen])


@trial
def inactive_input(seed: int, n: int, density: float = 0.3, kept: bool = False) -> Metrics:
    """A function of an inactive input, by erf features of all neurons: error over its floor.

    Eight inputs, masks of :func:`bounded_model`; samples in proportion to n^2. ``kept=True``
    restores the edges of the inactive input, ``edges`` is the share of them that the mask has.
    """
    blind, seen = BLIND
    mask = draw(bounded_model(), n, 8, density, seed, columns="grid").mask
    edges = float(mask[:, blind].double().mean())
    if kept:
        mask[:, blind] = True
    numbers = torch.from_numpy(generator(seed, "features").standard_normal((n, 9)))
    samples = max(2000, n * n)
    x = torch.from_numpy(generator(seed, "inputs").standard_normal((2 * samples, 8)))
    z = x @ (numbers[:, 1:] * mask).T + numbers[:, 0]
    h, y = find_activation("erf").value(z), _target(INACTIVE_TARGET, seen, blind)(x)
    found = fit(h[:samples], y[:samples], h[samples:], y[samples:])
    return {"error": found.test / float(blind_floor().value), "edges": edges}


@trial
def without_bias(seed: int, n: int, bias: float, density: float = 0.5) -> Metrics:
    """``x + y + x^2`` by erf features through a core of random masks: error over the floor.

    The floor is that of odd functions, all that is reached without bias; samples grow with n^2.
    """
    samples = max(2000, n * n // 8)
    found = error_curve(
        criteria.random(), density, [n], 4, [2, 3], _target(EVEN_TARGET, 2, 3), draws=1,
        samples=samples, test_samples=samples, seed=seed, bias=bias,
    )  # fmt: skip
    return {"error": float(found.errors[0, 0]) / float(even_floor().value)}
