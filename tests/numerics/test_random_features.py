"""Random features through a core: the rate, the bound, and errors that no width removes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.dense_core import core
from numerics.random_features import (
    ErrorCurve,
    KernelTarget,
    error_curve,
    fit,
    random_features,
)
from numerics.seeds import generator
from theory import criteria
from theory.approximation_floor import inactive_floor, parity_floor

FULL = core(torch.ones(30, 5, dtype=torch.bool), [1, 3])
TARGET = KernelTarget((0.5, 1.0, -1.0), (6, 7))


def test_features_are_what_they_say() -> None:
    features = random_features(FULL, "tanh", seed=4, scale=2.0, bias=0.5)
    x = torch.from_numpy(generator(0, "x").standard_normal((7, 5)))
    expected = torch.tanh(x[:, [1, 3]] @ features.weights.T + features.biases)
    torch.testing.assert_close(features(x), expected)
    half = core(torch.ones(30, 5, dtype=torch.bool), [1, 3])
    part = random_features(type(half)(half.neurons[::2], half.coordinates, half.shape), "tanh",
                           seed=4, scale=2.0, bias=0.5)  # fmt: skip
    torch.testing.assert_close(part.weights, features.weights[::2])
    assert not bool(random_features(FULL, seed=4, bias=0.0).biases.any())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(8, 40), columns=st.integers(1, 6))
def test_least_squares_is_numpys(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    h, y = rng.standard_normal((rows, columns)), rng.standard_normal(rows)
    found = fit(torch.from_numpy(h), torch.from_numpy(y), torch.from_numpy(h), torch.from_numpy(y),
                rcond=1e-12)  # fmt: skip
    expected, _, rank, values = np.linalg.lstsq(h, y, rcond=1e-12)
    np.testing.assert_allclose(found.coefficients, expected, atol=1e-8)
    assert found.train == found.test == pytest.approx(((h @ expected - y) ** 2).mean())
    assert found.rank == rank
    assert found.condition == pytest.approx(values[0] / values[-1])


def test_conditioning_is_reported() -> None:
    h = torch.ones(10, 2, dtype=torch.float64)
    y = torch.arange(10.0)
    found = fit(h, y, h, y)
    assert found.rank == 1
    assert found.condition > 1e12
    empty = fit(h[:, :0], y, h[:, :0], y)
    assert empty.test == pytest.approx(float((y**2).mean()))
    assert empty.rank == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": torch.full((4, 2), math.nan)}, "features must be finite"),
        ({"y": torch.ones(3)}, "y must be a real tensor of shape"),
        ({"test_y": torch.tensor([1.0, math.inf, 0, 0])}, "test_y must be finite"),
        ({"test_features": torch.ones(4, 3)}, "test_features must have 2 columns"),
        ({"features": torch.ones(4)}, "features must be a tensor of shape"),
    ],
)
def test_bad_fits_are_named(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"features": torch.ones(4, 2), "y": torch.ones(4)}
    good |= {"test_features": torch.ones(4, 2), "test_y": torch.ones(4)}
    with pytest.raises(ValueError, match=message):
        fit(**(good | change))


def test_bad_features_are_named() -> None:
    with pytest.raises(ValueError, match="scale must be positive"):
        random_features(FULL, scale=0.0)
    with pytest.raises(ValueError, match="bias must be non-negative"):
        random_features(FULL, bias=-1.0)
    with pytest.raises(ValueError, match="x must have shape"):
        random_features(FULL)(torch.ones(2, 3))
    with pytest.raises(ValueError, match="anchor must be one longer"):
        KernelTarget((1.0,), (1, 2))


def test_the_kernel_target_is_its_integral() -> None:
    rng = generator(1, "integral")
    w = torch.from_numpy(rng.standard_normal((400_000, 3)))
    x = torch.from_numpy(rng.standard_normal((3, 8)))
    anchor = torch.tensor(TARGET.anchor, dtype=torch.float64)
    wide = torch.cat((torch.ones(3, 1, dtype=torch.float64), x[:, 6:8]), dim=1)
    samples = torch.erf(w @ anchor)[:, None] * torch.erf(w @ wide.T)
    error = samples.std(dim=0) / math.sqrt(len(w))
    assert bool(((samples.mean(dim=0) - TARGET(x)).abs() < 4.5 * error).all())


def test_the_monte_carlo_bound_holds_and_is_exact_without_fitting() -> None:
    """E |mean of m features - f|^2 = C / m, and least squares is below it in every mean."""
    constant, spread = TARGET.constant()
    assert 0 < spread < 0.01 * constant
    rng = generator(2, "bound")
    x = torch.from_numpy(rng.standard_normal((2000, 8)))
    wide = torch.cat((torch.ones(len(x), 1, dtype=torch.float64), x[:, 6:8]), dim=1)
    anchor = torch.tensor(TARGET.anchor, dtype=torch.float64)
    errors = []
    for _ in range(400):
        w = torch.from_numpy(rng.standard_normal((20, 3)))
        guess = (torch.erf(w @ anchor) * torch.erf(wide @ w.T)).mean(dim=1)
        errors.append(float(((guess - TARGET(x)) ** 2).mean()))
    scaled = 20 * np.array(errors)
    assert abs(scaled.mean() - constant) < 4.5 * scaled.std() / 20 + 0.03 * constant
    curve = error_curve(criteria.random(), 0.5, [20, 60, 180], 8, [6, 7], TARGET, draws=6,
                        samples=2000, test_samples=2000)  # fmt: skip
    there = curve.cores.mean(axis=1)
    assert (curve.mean < constant / there).all()
    assert curve.slope < -1 + 2 * curve.slope_error


def test_a_function_of_active_inputs_is_reached() -> None:
    curve = error_curve(
        criteria.snip(), 0.2, [100, 300, 900], 20, [18, 19],
        lambda x: (x[:, 18] * x[:, 19]).abs(), activation="relu", draws=3, samples=3000,
    )  # fmt: skip
    assert curve.mean[0] > curve.mean[1] > curve.mean[2]
    assert curve.slope < -0.5
    assert curve.core_slope[0] < -0.5
    assert str(curve).count("\n") == 3


@pytest.mark.parametrize("through", ["core", "all"])
def test_a_function_of_an_inactive_input_is_not(through: str) -> None:
    rows = np.concatenate((np.zeros(5), np.linspace(0.5, 2, 15)))
    x, y = sp.symbols("x y")
    floor = float(inactive_floor(x * (1 + y) + y**2 / 2, y).value)

    def target(inputs: torch.Tensor) -> torch.Tensor:
        a, b = inputs[:, 19], inputs[:, 2]
        return a * (1 + b) + b**2 / 2

    curve = error_curve(criteria.snip(row_profile=rows), 0.3, [30, 90, 270], 20, [18, 19], target,
                        draws=3, samples=6000, test_samples=6000, through=through)  # fmt: skip
    error = curve.mean / floor
    assert (error > 0.9).all()  # sampling: the noise has heavy tails
    assert error.min() < 1.15


def test_without_bias_the_even_part_stays() -> None:
    x = sp.symbols("x")
    floor = float(parity_floor(x**2 + x).value)

    def target(inputs: torch.Tensor) -> torch.Tensor:
        return inputs[:, 3] ** 2 + inputs[:, 3]

    none, some = (
        error_curve(criteria.random(), 0.5, [200], 5, [3], target, draws=4, bias=bias)
        for bias in (0.0, 2.0)
    )
    assert none.mean[0] > 0.85 * floor
    assert some.mean[0] < 0.1 * floor


def test_bad_curves_are_named() -> None:
    with pytest.raises(ValueError, match="through must be"):
        error_curve(criteria.random(), 0.5, [10], 8, [6, 7], TARGET, through="core and all")
    with pytest.raises(ValueError, match="must be positive"):
        error_curve(criteria.random(), 0.5, [], 8, [6, 7], TARGET)
    flat = ErrorCurve(np.array([1, 2]), np.ones((2, 1)), np.ones((2, 1), int), np.ones((2, 1)))
    with pytest.raises(ValueError, match="at least three sizes"):
        _ = flat.slope
