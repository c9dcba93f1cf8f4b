"""Complexity, label noise, alignment, and the bound beside the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.complexity import (
    alignment,
    bound_against_truth,
    check_labels,
    complexity,
    curves_cross,
    error_interval,
    linear_floor,
    noise_curve,
    noisy_labels,
)
from theory.generalisation import expected_complexity, kernel_bound


def _kernel(seed: int, n: int = 12) -> np.ndarray:
    root = np.random.default_rng(seed).standard_normal((n, n + 3))
    return root @ root.T / n


def _labels(seed: int, n: int = 12) -> np.ndarray:
    y = np.where(np.random.default_rng(seed).random(n) < 0.5, -1.0, 1.0)
    y[:2] = 1.0, -1.0
    return y


SEEDS = st.integers(0, 10**6)


class TestComplexity:
    """The quadratic form and its companions."""

    @given(SEEDS, st.floats(1e-3, 1e3))
    @settings(max_examples=30)
    def test_values_and_scale(self, seed: int, scale: float) -> None:
        K, y = _kernel(seed), _labels(seed)
        found = complexity(K, y)
        assert found.value == pytest.approx(y @ np.linalg.solve(K, y), rel=1e-8)
        assert found.trace == pytest.approx(np.trace(K))
        assert found.trace_inverse == pytest.approx(np.trace(np.linalg.inv(K)), rel=1e-8)
        assert found.condition == pytest.approx(np.linalg.cond(K), rel=1e-6)
        assert found.jitter == 0.0
        scaled = complexity(scale * K, y)
        assert scaled.value == pytest.approx(found.value / scale, rel=1e-8)
        assert scaled.normalised == pytest.approx(found.normalised, rel=1e-8)
        assert scaled.excess == pytest.approx(found.excess, rel=1e-8)

    def test_singular_kernels(self) -> None:
        y = np.array([1.0, -1.0, 1.0])
        rank_two = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
        jittered = complexity(rank_two, y)
        assert jittered.jitter > 0.0
        assert jittered.residual > 0.5  # equal inputs with different labels cannot be fitted
        with pytest.raises(ValueError, match="positive definite"):
            complexity(rank_two, y, jitter=0.0)
        with pytest.raises(ValueError, match="positive definite"):
            complexity(-np.eye(3), y)

    def test_bad_input(self) -> None:
        with pytest.raises(ValueError, match="NaN"):
            complexity(np.full((2, 2), math.nan), [1.0, -1.0])
        with pytest.raises(ValueError, match="y must have shape"):
            complexity(np.eye(2), [1.0])


class TestLabels:
    """Labels +1 and -1, and their noise."""

    @pytest.mark.parametrize(
        ("y", "error", "text"),
        [
            ([1.0, 1.0], ValueError, "both classes"),
            ([0.0, 1.0], ValueError, r"\+1 and -1"),
            ([math.nan, 1.0], ValueError, r"\+1 and -1"),
            ([], ValueError, "non-empty"),
            ([[1.0, -1.0]], ValueError, "vector"),
            ([True, False], TypeError, "bool"),
            (["a", "b"], TypeError, "dtype"),
        ],
    )
    def test_refused(self, y: list[object], error: type[Exception], text: str) -> None:
        with pytest.raises(error, match=text):
            check_labels(y)

    def test_accepted(self) -> None:
        assert check_labels(torch.tensor([1, -1])).tolist() == [1.0, -1.0]
        with pytest.raises(ValueError, match="3 entries"):
            check_labels([1, -1], 3)

    def test_noise(self) -> None:
        y = _labels(0, 4000)
        assert (noisy_labels(y, 0.0) == y).all()
        half = noisy_labels(y, 0.5, draws=50, seed=1)
        assert half.shape == (50, 4000)
        wrong = (half != y).mean()  # a quarter of all labels: 200 000 tosses
        assert abs(wrong - 0.25) < 5 * math.sqrt(0.25 * 0.75 / half.size)
        more = noisy_labels(y, 0.75, draws=50, seed=1)
        assert ((half != y) <= (more != y)).all()  # nested
        for bad in (-0.1, 1.1, math.nan):
            with pytest.raises(ValueError, match="share"):
                noisy_labels(y, bad)
        with pytest.raises(ValueError, match="draws"):
            noisy_labels(y, 0.5, draws=0)

    @given(SEEDS)
    @settings(max_examples=15)
    def test_curve_agrees_with_its_exact_mean(self, seed: int) -> None:
        curve = noise_curve(_kernel(seed), _labels(seed), (0.0, 0.5, 1.0), draws=400, seed=seed)
        assert curve.values[0] == pytest.approx(curve.clean.value)
        assert curve.expected[0] == pytest.approx(curve.clean.value)
        assert curve.expected[2] == pytest.approx(curve.clean.trace_inverse)
        # 5 standard errors: one comparison in 1.7 million would fail by chance
        assert (np.abs(curve.mean - curve.expected)[1:] < 5 * curve.error[1:]).all()

    def test_curve_errors(self) -> None:
        assert np.isnan(noise_curve(np.eye(2), [1, -1], draws=1).error).all()
        with pytest.raises(ValueError, match="shares"):
            noise_curve(np.eye(2), [1, -1], ())

    def test_crossing(self) -> None:
        y = np.array([1.0, -1.0, 1.0, -1.0])
        unit = y / 2.0
        favours = np.eye(4) * 0.5 + 4.0 * np.outer(unit, unit)
        plain = complexity(np.eye(4), y)
        at = curves_cross(complexity(favours, y), plain)
        assert at is not None
        other = complexity(favours, y)
        values = [expected_complexity(c.value, c.trace_inverse, at) for c in (other, plain)]
        assert values[0] == pytest.approx(values[1])
        assert curves_cross(plain, complexity(0.5 * np.eye(4), y)) is None
        assert curves_cross(plain, complexity(0.5 * favours, y), normalised=True) == pytest.approx(
            curves_cross(plain, other, normalised=True)
        )
        with pytest.raises(ValueError, match="second"):
            curves_cross(plain, complexity(np.eye(2), [1.0, -1.0]))


class TestAlignment:
    """Kernel-target alignment."""

    @given(SEEDS, st.floats(1e-3, 1e3))
    @settings(max_examples=30)
    def test_range_and_scale(self, seed: int, scale: float) -> None:
        K, y = _kernel(seed), _labels(seed)
        for centred in (True, False):
            found = alignment(K, y, centred=centred)
            assert 0.0 <= found <= 1.0
            assert alignment(scale * K, y, centred=centred) == pytest.approx(found)
        C = np.eye(12) - 1.0 / 12.0
        Kc, yc = C @ K @ C, C @ y
        expected = (yc @ Kc @ yc) / (np.linalg.norm(Kc) * np.linalg.norm(np.outer(yc, yc)))
        assert alignment(K, y) == pytest.approx(expected)

    def test_extremes(self) -> None:
        y = np.array([1.0, 1.0, -1.0])
        assert alignment(np.outer(y, y), y, centred=False) == pytest.approx(1.0)
        shifted = np.outer(y, y) + 100.0  # a constant part does not count once centred
        assert alignment(shifted, y) == pytest.approx(1.0)
        assert alignment(shifted, y, centred=False) < 0.5
        with pytest.raises(ValueError, match="constant"):
            alignment(np.zeros((3, 3)), y)


class TestTruth:
    """Intervals, the floor, and the bound beside a test set."""

    @given(st.integers(1, 60), st.integers(0, 60))
    def test_interval_covers(self, count: int, errors: int) -> None:
        errors = min(errors, count)
        found = error_interval(errors, count)
        assert 0.0 <= found.low <= found.value <= found.high <= 1.0
        from scipy.stats import binom

        if errors:
            assert binom.sf(errors - 1, count, found.low) == pytest.approx(0.025, rel=1e-6)
        if errors < count:
            assert binom.cdf(errors, count, found.high) == pytest.approx(0.025, rel=1e-6)

    def test_interval_errors(self) -> None:
        for errors, count in ((1, 0), (-1, 3), (4, 3)):
            with pytest.raises(ValueError, match="errors"):
                error_interval(errors, count)
        with pytest.raises(ValueError, match="confidence"):
            error_interval(1, 2, 1.0)

    @given(SEEDS)
    @settings(max_examples=20)
    def test_floor(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        x, path = rng.standard_normal((8, 3)), rng.random(3)
        kernel = (x * path) @ x.T / 3 + 0.25 * np.eye(8)
        found = linear_floor(kernel, x, path)
        assert found.least == pytest.approx(0.25)
        top = np.linalg.eigvalsh(x.T @ x / 8)[-1]
        assert found.floor == pytest.approx(3 * 0.25 / (top * 8))
        too_much = linear_floor(kernel, x, path + 10.0)
        assert too_much.least < 0.0
        assert too_much.floor == 0.0
        with pytest.raises(ValueError, match="path"):
            linear_floor(kernel, x, np.ones(2))
        with pytest.raises(ValueError, match="x must"):
            linear_floor(kernel, x[:3], path)

    def test_bound_against_truth(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((300, 4))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        y = np.where(x[:, 0] > 0, 1.0, -1.0)
        gram = 0.5 * (1.0 + x @ x.T) ** 3 / 8.0 + 0.01 * np.eye(300)
        found = bound_against_truth(gram[:200, :200], y[:200], gram[200:, :200], y[200:])
        alpha = np.linalg.solve(gram[:200, :200], y[:200])
        outputs = gram[200:, :200] @ alpha
        assert found.error.value == pytest.approx((outputs * y[200:] <= 0).mean())
        loss = np.minimum(1.0, np.abs(outputs - y[200:]))
        assert found.loss.value == pytest.approx(loss.mean())
        half = 1.959963985 * loss.std(ddof=1) / 10.0
        assert found.loss.high - found.loss.value == pytest.approx(half)
        expected = kernel_bound(y[:200] @ alpha, float(np.trace(gram[:200, :200])), 200)
        assert found.bound.total == pytest.approx(expected.total, abs=1e-8)
        assert found.looseness == pytest.approx(found.bound.total / found.loss.value)
        assert found.error.value <= found.loss.value  # a wrong sign costs 1
        with pytest.raises(ValueError, match="cross"):
            bound_against_truth(gram[:200, :200], y[:200], gram[200:, :200], y[199:])
        with pytest.raises(ValueError, match="y_test"):
            bound_against_truth(gram[:200, :200], y[:200], gram[200:, :200], np.ones(100))
