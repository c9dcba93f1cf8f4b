"""Every trial at a tiny width, and the expected values beside them by independent formulas."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import integrate, optimize, special, stats

from numerics.data import GaussianTeacher
from numerics.network import OneHiddenLayer
from numerics.seeds import generator
from theory import criteria
from theory.averages import moment_values
from verify.trial import Trial
from verify.trials import counterexamples, masks, networks

Array = NDArray[np.float64]
MODULES: tuple[ModuleType, ...] = (counterexamples, masks, networks)

TINY: dict[str, list[dict[str, Any]]] = {
    "few_sources": [{"n": 30}],
    "alternating": [{"n": 16, "side": "row"}, {"n": 16, "side": "column"}],
    "shared_noise": [{"n": 13}],
    "tied_scores": [{"n": 12, "example": "sign noise"}, {"n": 12, "example": "zero rows"}],
    "gap_at_threshold": [{"n": 15}],
    "unbounded_profile": [{"n": 14}],
    "mask_cut": [
        {"n": 14, "criterion": name, "density": density}
        for name, density in (("random", 0.3), ("snip", 0.2), ("grasp-signed", 0.7))
    ],
    "latent_gap": [{"n": 12, "criterion": "snip", "density": 0.2}],
    "degree_variance": [{"n": 15, "criterion": "snip", "density": 0.3}],
    "sorted_constant": [{"n": 24, "density": 0.3, "aspect": 2, "cells": 4}],
    "pruned_network": [
        {"n": 32, "criterion": name, "activation": activation, "density": 0.2, **more}
        for name, activation, more in (
            ("random", "tanh", {}),
            ("magnitude", "tanh", {}),
            ("synflow", "tanh", {}),
            ("snip", "tanh", {}),
            ("snip", "relu", {"intercept": 0.5}),
            ("grasp", "erf", {"parameters": "all"}),
            ("grasp-signed", "tanh", {"sample_factor": 1.0}),
        )
    ],
    "sampling_error": [{"samples": 64, "n": 16, "d": 4, "activation": "tanh"}],
    "signed_output": [
        {"n": 32, "criterion": name, "d": 8, "density": 0.2} for name in ("snip", "grasp-signed")
    ],
}
CASES = [
    pytest.param(name, settings, id="-".join([name, *map(str, settings.values())]))
    for name, several in TINY.items()
    for settings in several
]


def trials() -> dict[str, Trial]:
    """Every trial defined in the modules, by the name of its function."""
    return {
        name: value
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, Trial) and value.module == module.__name__
    }


def test_every_trial_is_in_the_battery() -> None:
    assert set(TINY) == set(trials())


@pytest.mark.parametrize(("name", "settings"), CASES)
class TestEveryTrial:
    """What holds for every trial at every setting."""

    def test_gives_the_same_numbers_from_the_same_seed(
        self, name: str, settings: dict[str, Any]
    ) -> None:
        trial = trials()[name]
        trial.require_settings(settings)
        first, again, *others = (trial(seed, **settings) for seed in (3, 3, 4, 5, 6))
        assert first  # and finite: a trial checks what it returns
        assert first == again
        assert all(set(other) == set(first) for other in others)
        # Seeds decide which sources share a value that is kept, and the norm does not ask which.
        if name != "shared_noise":
            assert any(other != first for other in others)
        if {"lower", "upper"} <= set(first):
            assert 0 <= first["lower"] <= first["upper"] <= 1


# ----------------------------------------------------------------------------- counterexamples


def weighted_cut(values: Array, targets: Array, sources: Array) -> float:
    """Cut norm of a step function by enumeration of all unions of its blocks."""
    weighted = values * targets[:, None] * sources[None, :]
    sides = [list(itertools.product((0.0, 1.0), repeat=size)) for size in values.shape]
    return max(
        abs(float(np.array(rows) @ weighted @ np.array(columns)))
        for rows in sides[0]
        for columns in sides[1]
    )


def test_few_sources_by_enumerating_the_masks_of_a_target() -> None:
    """A target's two edges have four patterns; each is a block of targets."""
    kept = counterexamples.DENSITY
    patterns = np.array(list(itertools.product((0.0, 1.0), repeat=counterexamples.SOURCES)))
    shares = np.prod(np.where(patterns == 1, kept, 1 - kept), axis=1)
    sources = np.full(counterexamples.SOURCES, 1 / counterexamples.SOURCES)
    exact = weighted_cut(patterns - kept, shares, sources)
    assert counterexamples.few_sources_limit() == pytest.approx(exact, rel=1e-12)
    found = counterexamples.few_sources(1, n=4000)
    assert abs(found["lower"] - exact) < 5 * 0.5 / np.sqrt(4000)


@pytest.mark.parametrize("side", ["row", "column"])
def test_alternating_limits_are_half_an_l1_distance(side: str) -> None:
    def factor(x: float) -> float:
        return x if side == "row" else float(special.ndtri((1 + x) / 2))

    def kept(x: float, level: float) -> float:
        return float(special.erfc(level / (np.sqrt(2) * factor(x)))) if x > 0 else 0.0

    level = optimize.brentq(
        lambda tau: integrate.quad(kept, 0, 1, args=(tau,))[0] - counterexamples.DENSITY, 0.1, 5
    )
    exact = integrate.quad(
        lambda x: abs(kept(x, level) - counterexamples.DENSITY) / 2, 0, 1, limit=200
    )[0]
    assert counterexamples.alternating_limit(side) == pytest.approx(exact, abs=1e-5)
    lower = counterexamples.alternating(2, n=200, side=side)["lower"]
    # The explicit sets hold less than 200^2 edges, each with a deviation below one half.
    assert abs(lower - exact) < 5 * 0.5 / 200 + 1 / 200


def test_shared_noise_keeps_whole_sources() -> None:
    exact = weighted_cut(np.array([[0.8, -0.2]]), np.array([1.0]), np.array([0.2, 0.8]))
    assert counterexamples.shared_noise_limit() == pytest.approx(exact, rel=1e-12)
    found = counterexamples.shared_noise(5, n=20)
    assert found["lower"] == pytest.approx(exact, rel=1e-12)
    assert found["upper"] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("example", ["sign noise", "zero rows"])
def test_tied_scores_by_blocks(example: str) -> None:
    # Sources with the larger factor come first in line; ties fill what is left of the density.
    shares = np.array([0.5, 0.5]) if example == "sign noise" else np.array([0.9, 0.1])
    surely = 0.0 if example == "sign noise" else shares[1]
    tied = 1 if example == "sign noise" else 0
    q = (counterexamples.DENSITY - surely) / shares[tied]
    difference = np.zeros((2, 2))
    difference[:, tied] = [q - 1, q]
    exact = weighted_cut(difference, np.array([q, 1 - q]), shares)
    assert counterexamples.tied_scores_limit(example) == pytest.approx(exact, rel=1e-12)
    found = counterexamples.tied_scores(6, n=60, example=example)
    noise = 0.5 / np.sqrt(60)  # of the random mask, in cut norm
    assert found["lower"] - noise < exact < found["upper"] + noise


# ------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("criterion", criteria.CRITERIA)
@pytest.mark.parametrize("density", [0.05, 0.4, 0.8])
def test_the_own_threshold_solves_the_density_equation(criterion: str, density: float) -> None:
    model = criteria.criterion(criterion)
    rng = np.random.default_rng(7)
    r, c = np.abs(rng.standard_normal((1, 30))), np.abs(rng.standard_normal((20, 1)))
    level = masks._own_threshold(model, r, c, density)
    assert moment_values(model, 0, r, c, level).mean() == pytest.approx(density, abs=1e-10)


def test_a_threshold_too_high_keeps_less_by_the_distance() -> None:
    def density(level: float) -> float:
        """Of SNIP, from scipy's Bessel integral: E over r of Pr[|w a| >= level / r]."""
        tail = lambda x: 2 / np.pi * (np.pi / 2 - special.iti0k0(x)[1])  # noqa: E731
        weight = lambda r: np.sqrt(2 / np.pi) * np.exp(-(r**2) / 2)  # noqa: E731
        return float(
            integrate.quad(lambda r: weight(r) * tail(level / r), 1e-9, 12, epsabs=1e-12)[0]
        )

    level = criteria.snip().limit(0.2).tau
    assert density(level) == pytest.approx(0.2, abs=1e-8)
    found = masks.tau_off_distance("snip", 0.2)
    assert found == pytest.approx(0.2 - density(1.05 * level), abs=1e-8)
    # A negative threshold moves away from zero as well, which keeps less: upwards in value.
    assert masks.tau_off_distance("grasp-signed", 0.7) > 0


def test_degree_variances() -> None:
    limit = criteria.synflow().limit(0.2)
    square = integrate.quad(
        lambda x: (special.erfc(limit.tau / (np.sqrt(2) * x)) - 0.2) ** 2
        * np.sqrt(2 / np.pi) * np.exp(-(x**2) / 2),
        0, 12,
    )[0]  # fmt: skip
    assert masks.degree_variances("synflow", 0.2, "target") == pytest.approx(square, abs=1e-7)
    assert masks.degree_variances("synflow", 0.2, "source") == pytest.approx(0, abs=1e-20)
    assert masks.degree_variances("magnitude", 0.2, "target") == pytest.approx(0, abs=1e-20)
    both = [masks.degree_variances("snip", 0.2, side) for side in ("source", "target")]
    assert both[0] == pytest.approx(both[1], rel=1e-9)


def test_the_estimate_of_degree_variance_is_centred() -> None:
    """Means over seeds against the limit's variance, in units of their standard error."""
    expected = masks.degree_variances("snip", 0.2, "source")
    found = [
        masks.degree_variance(seed, n=120, criterion="snip", density=0.2) for seed in range(60)
    ]
    for side in ("source", "target"):
        values = np.array([each[side] for each in found])
        error = values.std(ddof=1) / np.sqrt(values.size)
        # Latents are drawn, so at n = 120 a bias of order 1/n is left beside the error.
        assert abs(values.mean() - expected) < stats.norm.isf(1e-4) * error + expected / 20
        assert values.mean() > 10 * error


def test_the_latent_gap_is_of_order_one_over_root_n() -> None:
    def mean_gap(n: int) -> float:
        settings = {"n": n, "criterion": "snip", "density": 0.2}
        return float(np.mean([masks.latent_gap(seed, **settings)["gap"] for seed in range(40)]))

    gaps = mean_gap(25), mean_gap(400)
    assert 2.5 < gaps[0] / gaps[1] < 6.5  # four, but for chance


# ---------------------------------------------------------------------------------- networks


def expected_of(function: Callable[[float], float]) -> float:
    """E f(g), g ~ N(0, 1), by adaptive quadrature split at zero."""
    parts = [
        integrate.quad(lambda x: function(x) * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), low, high)[
            0
        ]
        for low, high in ((-12, 0), (0, 12))
    ]
    return sum(parts)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("parametrisation", ["ntk", "standard"])
def test_the_linear_part_is_that_of_a_large_sample(activation: str, parametrisation: str) -> None:
    d, n, size, intercept = 4, 12, 200_000, 0.3
    network = OneHiddenLayer(d, n, activation, seed=11, parametrisation=parametrisation)
    beta = np.array([0.5, -1.0, 0.0, 2.0])
    part = networks.linear_part(network, beta, intercept)
    x = generator(12, "inputs").standard_normal((size, d))
    f = network(torch.from_numpy(x)).numpy()[:, 0]
    terms = (f - x @ beta - intercept)[:, None] * x
    limit = stats.norm.isf(1e-5)
    errors = terms.std(axis=0) / np.sqrt(size)
    assert np.all(np.abs(terms.mean(axis=0) - part.slope) < limit * errors)
    assert abs(f.mean() - intercept - part.offset) < limit * f.std() / np.sqrt(size)
    # The same sample refutes a slope that forgets the network's own part.
    assert np.any(np.abs(terms.mean(axis=0) + beta) > limit * errors)


@pytest.mark.parametrize(
    ("activation", "value", "slope", "curvature"),
    [
        ("tanh", np.tanh, lambda z: 1 / np.cosh(z) ** 2, 0.0),
        ("relu", lambda z: max(z, 0.0), lambda z: float(z > 0), 1 / np.sqrt(2 * np.pi)),
        ("sigmoid", special.expit, lambda z: special.expit(z) * special.expit(-z), 0.0),
    ],
)
def test_gains_and_curvatures_are_gaussian_means(
    activation: str,
    value: Callable[[float], float],
    slope: Callable[[float], float],
    curvature: float,
) -> None:
    network = OneHiddenLayer(3, 5, activation, seed=2)
    part = networks.linear_part(network, np.zeros(3))
    assert part.gain == pytest.approx(expected_of(slope), rel=1e-9)
    assert part.curvature == pytest.approx(curvature, abs=1e-12)
    sd = np.linalg.norm(network.W.numpy(), axis=1) / np.sqrt(3)
    means = [expected_of(lambda g, s=s: value(s * g)) for s in sd]
    exact = network.a.numpy()[0] @ np.array(means) / np.sqrt(5)
    assert part.offset == pytest.approx(exact, abs=1e-10)


def test_a_pruned_network_is_sorted_by_its_factors() -> None:
    net = networks.prune(3, 40, 10, 400, "snip", "tanh", 0.25)
    assert net.mask.shape == net.weights.shape == (40, 10)
    assert net.mask.sum() == 100
    assert set(np.unique(net.mask)) == {0.0, 1.0}
    assert np.all(np.diff(net.row) >= 0)
    assert np.all(np.diff(net.column) >= 0)
    np.testing.assert_array_equal(np.abs(net.oriented), np.abs(net.weights))
    assert np.corrcoef(net.row, net.mask.mean(axis=0))[0, 1] > 0.5


def test_signed_scores_grow_with_the_oriented_weights() -> None:
    signed = networks.prune(3, 100, 20, 2000, "grasp-signed", "tanh", 0.25)
    even = networks.prune(3, 100, 20, 2000, "grasp", "tanh", 0.25)
    assert (signed.oriented * signed.mask).mean() > 0.1
    assert abs((even.oriented * even.mask).mean()) < 0.1


def test_an_intercept_shifts_the_labels() -> None:
    batches = GaussianTeacher(3, np.ones(3)).batches(10, seed=1)
    for (x, y), (same, shifted) in zip(batches, networks.Shifted(batches, 2.0), strict=True):
        assert torch.equal(x, same)
        assert torch.allclose(shifted - y, torch.full_like(y, 2.0))


@pytest.mark.parametrize("criterion", criteria.CRITERIA)
def test_near_misses_miss(criterion: str) -> None:
    truth = networks.near_miss_grid(criterion, 0.2, "truth")
    np.testing.assert_array_equal(
        truth, criteria.criterion(criterion).limit(0.2).grid(networks.GRID)
    )
    for name in networks.NEAR_MISSES:
        grid = networks.near_miss_grid(criterion, 0.2, name)
        assert grid.shape == (networks.GRID, networks.GRID)
        assert grid.mean() == pytest.approx(0.2, abs=1e-3)
        same = {
            ("random", "constant"), ("magnitude", "constant"),
            ("snip", "as_snip"), ("grasp", "as_snip"), ("synflow", "flat_row"),
        }  # fmt: skip
        distance = networks.rms(truth, grid)
        if (criterion, name) in same:
            assert distance < 1e-12
        else:
            assert distance > 0.01


def test_sizes_of_networks() -> None:
    assert networks._sizes(512, 4, 2.0, 2.0) == (128, 2 * 128**2)
    assert networks._sizes(4, 8, 0.001, 1.0) == (2, 1)


def test_factors_of_a_network_are_its_models_profiles() -> None:
    """A criterion that ignores a factor is given none of it."""
    row, column = np.array([0.5, 1.0, 4.0]), np.array([1.0, 2.0])
    for name in criteria.CRITERIA:
        grid = networks._expected(
            name, networks._limit_at(name, row, column, 0.3), row, column, "mask"
        )
        assert grid.shape == (2, 3)
        assert grid.mean() == pytest.approx(0.3, abs=1e-11)
        used = criteria.FACTORS[name]
        assert (np.ptp(grid, axis=1).max() > 0) == ("row_profile" in used)
        assert (np.ptp(grid, axis=0).max() > 0) == ("column_law" in used)
