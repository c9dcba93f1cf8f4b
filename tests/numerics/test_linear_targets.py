"""Path densities on correlated inputs: values, the certified optimum, and the lasso."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.linear_targets import best_path_density, data_suboptimality, linear_complexity
from theory.path_density_optimum import optimal_density, suboptimality


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9), st.floats(1e-3, 10.0))
@settings(max_examples=40)
def test_value_and_certificate(seed: int, n: int, d: int, ridge: float) -> None:
    rng = np.random.default_rng(seed)
    x, y, path = rng.standard_normal((n, d)), rng.standard_normal(n), rng.random(d) + 0.01
    kernel = (x * path) @ x.T / d + ridge * np.eye(n)
    value = linear_complexity(x, y, path, ridge)
    assert value == pytest.approx(y @ np.linalg.solve(kernel, y), rel=1e-7)
    best = best_path_density(x, y, float(path.sum()), ridge)
    assert best.path.sum() == pytest.approx(path.sum())
    assert best.lower <= best.value * (1 + 1e-9)
    assert best.lower <= value * (1 + 1e-9)  # a bound for every path density of that sum
    assert best.value <= value * (1 + 1e-4)
    assert best.value - best.lower <= 2e-2 * best.value


def test_orthogonal_inputs_give_the_closed_optimum() -> None:
    """X^T X = N: the ridge is the floor d ridge / N of the path-density bound."""
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.standard_normal((40, 6)))[0] * math.sqrt(40)
    beta = np.array([0.1, 0.5, 1.0, 2.0, 3.0, 0.02])
    floor = 6 * 0.5 / 40
    best = best_path_density(x, x @ beta, 2.0, 0.5, gap=1e-9)
    assert best.path == pytest.approx(optimal_density(beta, 2.0, floor=floor), abs=2e-3)
    path = rng.random(6)
    measured = data_suboptimality(x, x @ beta, path, 0.5)
    assert measured == pytest.approx(suboptimality(beta, path, floor), rel=1e-3)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"x": np.ones(3)}, "x and y"),
        ({"y": np.ones(2)}, "x and y"),
        ({"x": np.full((3, 2), math.nan)}, "NaN"),
        ({"y": np.zeros(3)}, "y must"),
        ({"ridge": 0.0}, "ridge"),
        ({"path": np.ones(3)}, "path"),
        ({"path": -np.ones(2)}, "path"),
        ({"path": np.zeros(2)}, "path"),
    ],
)
def test_bad_arguments(change: dict[str, object], name: str) -> None:
    arguments = {"x": np.ones((3, 2)), "y": np.ones(3), "path": np.ones(2), "ridge": 1.0}
    with pytest.raises(ValueError, match=name):
        linear_complexity(**(arguments | change))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="budget"):
        best_path_density(np.ones((3, 2)), np.ones(3), 0.0, 1.0)
