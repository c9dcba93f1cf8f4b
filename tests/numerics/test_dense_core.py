"""Dense cores: of given masks by brute force, of drawn masks by their law, of real networks."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from numerics.dense_core import (
    active_inputs,
    best_coordinates,
    core,
    core_counts,
    full_neurons,
    largest_core,
    realise,
)
from numerics.masks import keep_largest
from numerics.network import OneHiddenLayer
from numerics.scores import score
from numerics.seeds import generator
from theory import criteria
from theory.core_dependence import dispersion
from theory.core_width import width
from theory.dense_core import UniformMaskCount
from theory.expressivity import core_probability, fixed_count

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 8), st.integers(1, 7))).filter(lambda m: m.any())

# -------------------------------------------------------------------------------- given masks


@given(mask=MASKS, data=st.data())
def test_full_neurons_are_those_that_see_everything(mask: np.ndarray, data: Any) -> None:
    d = mask.shape[1]
    chosen = data.draw(st.lists(st.integers(0, d - 1), min_size=1, max_size=d, unique=True))
    expected = [j for j, row in enumerate(mask) if all(row[i] for i in chosen)]
    found = core(torch.from_numpy(mask), chosen)
    assert found.neurons.tolist() == expected
    assert (found.size, found.inputs) == (len(expected), len(chosen))
    assert not bool((found.mask & ~torch.from_numpy(mask)).any())
    assert int(found.mask.sum()) == len(expected) * len(chosen)


@given(mask=MASKS, method=st.sampled_from(["greedy", "degree"]), data=st.data())
def test_heuristics_give_cores_and_start_optimally(
    mask: np.ndarray, method: str, data: Any
) -> None:
    tensor = torch.from_numpy(mask)
    active = int(mask.any(axis=0).sum())
    assert active_inputs(tensor).numel() == active
    k = data.draw(st.integers(1, active))
    chosen = best_coordinates(tensor, k, method)
    assert chosen.unique().numel() == k
    best = max(
        mask[:, list(s)].all(axis=1).sum() for s in itertools.combinations(range(mask.shape[1]), k)
    )
    size = largest_core(tensor, k, method).size
    assert size <= best
    if k == 1:
        assert size == best
    nested = [largest_core(tensor, j, method).size for j in range(1, k + 1)]
    assert nested == sorted(nested, reverse=True)


@pytest.mark.parametrize(
    ("k", "method", "message"),
    [
        (0, "greedy", "k must be an integer between 1 and 2"),
        (3, "greedy", "k must be an integer between 1 and 2"),
        (1.0, "greedy", "k must be an integer"),
        (1, "best", "method must be one of"),
    ],
)
def test_more_inputs_than_are_active_are_refused(k: Any, method: str, message: str) -> None:
    mask = torch.tensor([[True, False, True], [True, False, False]])
    with pytest.raises(ValueError, match=message):
        best_coordinates(mask, k, method)


@pytest.mark.parametrize(
    ("coordinates", "message"),
    [
        ([], "non-empty vector"),
        ([0, 0], "distinct"),
        ([3], "between 0 and 2"),
        ([-1], "between 0 and 2"),
        ([0.5], "vector of indices"),
        ([True], "not a bool vector"),
        ("ab", "coordinates must be"),
    ],
)
def test_bad_coordinates_are_named(coordinates: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        full_neurons(torch.ones(2, 3, dtype=torch.bool), coordinates)


@pytest.mark.parametrize("mask", [torch.ones(2, 3), torch.ones(3, dtype=torch.bool), np.ones(3)])
def test_bad_masks_are_named(mask: Any) -> None:
    with pytest.raises(ValueError, match="mask must be a tensor of dtype"):
        full_neurons(mask, [0])


def test_an_empty_layer_is_named() -> None:
    with pytest.raises(ValueError, match="the layer is empty"):
        best_coordinates(torch.zeros(2, 3, dtype=torch.bool), 1)
    with pytest.raises(ValueError, match="at least one entry"):
        best_coordinates(torch.zeros(0, 3, dtype=torch.bool), 1)


# -------------------------------------------------------------------------------- drawn masks

DRAWS = 600


@pytest.mark.parametrize("columns", ["random", "grid"])
def test_counts_of_snip_have_their_mean_and_spread(columns: str) -> None:
    """The threshold of an exact count changes the variance, and by as much as computed."""
    n = d = 200
    chosen = [190, 195]
    limit = criteria.snip().limit(0.2)
    positions = [(i + 0.5) / d for i in chosen]
    q = core_probability(limit, positions=positions)
    factor = dispersion(limit, positions=positions, targets=columns)
    counts = core_counts(limit.model, n, d, 0.2, chosen, DRAWS, seed=11, columns=columns)
    deviation = math.sqrt(n * q * (1 - q) * factor)
    assert abs(counts.mean() - n * q) < 4.5 * deviation / math.sqrt(DRAWS) + 0.02 * n * q
    found = counts.var(ddof=1) / (n * q * (1 - q))
    assert abs(found / factor - 1) < 4.5 * math.sqrt(2 / DRAWS) + 3 / d
    assert found < 1 - 4.5 * math.sqrt(2 / DRAWS) * found  # no binomial


@pytest.mark.parametrize(("n", "d"), [(200, 200), (400, 100)])
def test_random_sources_spread_the_threshold(n: int, d: int) -> None:
    """The chosen inputs keep their factors, the other latents are drawn anew each time."""
    factors, density = np.array([1.5, 2.0]), 0.2
    limit = criteria.snip().limit(density)
    q = core_probability(limit, factors=factors)
    factor = dispersion(limit, factors=factors, aspect=n / d, sources="random")
    rng, counts = generator(17, "random sources"), np.empty(DRAWS)
    for i in range(DRAWS):
        rows = np.concatenate((factors, np.abs(rng.standard_normal(d - 2))))
        columns = np.abs(rng.standard_normal(n))
        scores = np.abs(rng.standard_normal((n, d))) * rows * columns[:, None]
        level = np.partition(scores.ravel(), -round(density * n * d))[-round(density * n * d)]
        counts[i] = (scores[:, :2] >= level).all(axis=1).sum()
    found = counts.var(ddof=1) / (n * q * (1 - q))
    assert abs(found / factor - 1) < 4.5 * math.sqrt(2 / DRAWS) + 3 / d
    assert factor > dispersion(limit, factors=factors)


def test_counts_of_random_masks_have_their_exact_law() -> None:
    n, d, k = 60, 6, 2
    law = UniformMaskCount(n, d, k, round(0.3 * n * d))
    counts = core_counts(criteria.random(), n, d, 0.3, range(k), 1000, seed=3)
    assert abs(counts.mean() - law.mean) < 4.5 * math.sqrt(law.variance / 1000)
    masses = law.pmf(12)
    observed = np.bincount(counts, minlength=13)[:13]
    expected = 1000 * masses
    usual = expected > 5
    statistic = ((observed - expected)[usual] ** 2 / expected[usual]).sum()
    assert statistic < usual.sum() + 5 * math.sqrt(2 * usual.sum())


def test_the_promised_width_keeps_its_promise() -> None:
    """Random, k = 2, rho = 0.3: 16 neurons with probability 0.95, exact count."""
    n = width(0.09, 16, 0.05)
    counts = core_counts(criteria.random(), n, 40, 0.3, [0, 1], 400, seed=5)
    failures = int((counts < 16).sum())
    assert failures <= 0.05 * 400 + 4.5 * math.sqrt(400 * 0.05 * 0.95)
    few = core_counts(criteria.random(), n // 2, 40, 0.3, [0, 1], 100, seed=5)
    assert (few < 16).mean() > 0.5


def test_draws_are_counted() -> None:
    with pytest.raises(ValueError, match="draws must be a positive integer"):
        core_counts(criteria.random(), 4, 4, 0.5, [0], 0)


# ------------------------------------------------------------------------------- real networks


def teacher(d: int, seed: int) -> tuple[Tensor, Tensor]:
    rng = generator(seed, "teacher")
    x = torch.from_numpy(rng.standard_normal((10_000, d)))
    return x, x @ torch.from_numpy(rng.standard_normal(d))


def test_cores_of_snip_pruned_networks() -> None:
    """Row factors |E[e x_i]| and column factors |a_j| of the network itself predict the count."""
    d, n, density = 40, 800, 0.2
    deviations = []
    for seed in range(4):
        network = OneHiddenLayer(d, n, "tanh", seed=seed)
        x, y = teacher(d, seed)
        mask = keep_largest(score(network, x, y, "snip"), density, seed)
        rows = ((network(x).ravel() - y)[:, None] * x).mean(dim=0).abs().numpy()
        columns = network.a.abs().ravel().numpy()
        chosen = np.argsort(-rows)[3:6]
        limit = criteria.snip(rows, columns).limit(density)
        law = fixed_count(limit, rows[chosen], columns)
        count = full_neurons(mask, chosen).numel()
        deviations.append((count - law.mean) / math.sqrt(law.variance))
    assert max(map(abs, deviations)) < 4.5
    assert abs(np.mean(deviations)) < 4.5 / 2


def test_the_sparse_network_computes_the_dense_one() -> None:
    network = OneHiddenLayer(10, 50, "tanh", seed=1)
    mask = keep_largest(torch.from_numpy(generator(1, "s").random((50, 10))), 0.4)
    sparse = network.pruned(mask)
    chosen = core(mask, [2, 7])
    assert chosen.size > 0
    rng = generator(2, "weights")
    w, a = (torch.from_numpy(rng.standard_normal(s)) for s in ((chosen.size, 2), (chosen.size,)))
    x = torch.from_numpy(rng.standard_normal((20, 10)))
    expected = torch.tanh(x[:, [2, 7]] @ w.T) @ a
    made = realise(sparse, chosen, w, a)
    torch.testing.assert_close(made(x).ravel(), expected)
    assert not bool((made.W.ne(0) & ~mask).any())
    own = realise(sparse, chosen)
    part = network.W[chosen.neurons][:, [2, 7]] * network.input_scale
    inner = torch.tanh(x[:, [2, 7]] @ part.T) @ network.a[0, chosen.neurons]
    torch.testing.assert_close(own(x).ravel(), inner * network.output_scale)
    assert bool(sparse.W.ne(0).all())  # the original is left alone


def test_no_core_outside_the_mask() -> None:
    network = OneHiddenLayer(4, 3)
    full = torch.ones(3, 4, dtype=torch.bool)
    chosen = core(full, [0, 1])
    with pytest.raises(ValueError, match="network must have a mask"):
        realise(network, chosen)
    holed = full.clone()
    holed[1, 1] = False
    with pytest.raises(ValueError, match="an edge of it is missing"):
        realise(network.pruned(holed), chosen)
    with pytest.raises(ValueError, match="weights must have shape"):
        realise(network.pruned(full), chosen, torch.zeros(2, 2))
    with pytest.raises(ValueError, match="output must have shape"):
        realise(network.pruned(full), chosen, None, torch.zeros(2))
    with pytest.raises(ValueError, match="chosen must be a core of shape"):
        realise(network.pruned(full), core(torch.ones(2, 4, dtype=torch.bool), [0]))
