"""Kernel regression and kernel dynamics against linear algebra written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics.regression import fitted_rates, gradient_flow, kernel_regression, modes


def kernel(n: int, rank: int | None = None, seed: int = 0) -> torch.Tensor:
    A = np.random.default_rng(seed).standard_normal((n, n + 3 if rank is None else rank))
    return torch.from_numpy(A @ A.T)


Y = torch.from_numpy(np.random.default_rng(9).standard_normal((8, 2)))

# --------------------------------------------------------------------------------- regression


@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_regression_solves_the_equation(ridge: float) -> None:
    K = kernel(8)
    found = kernel_regression(K, Y, ridge=ridge)
    expected = np.linalg.solve(K.numpy() + ridge * np.eye(8), Y.numpy())
    np.testing.assert_allclose(found.coefficients, expected, rtol=1e-9)
    assert (found.jitter, found.ridge) == (0.0, ridge)
    assert found.residual < 1e-10
    assert found.condition == pytest.approx(np.linalg.cond(K.numpy() + ridge * np.eye(8)), rel=1e-6)
    np.testing.assert_allclose(found.predict(K[:3]), K[:3].numpy() @ expected, rtol=1e-9)
    single = kernel_regression(K, Y[:, 0], ridge=ridge)
    assert single.coefficients.shape == (8,)
    torch.testing.assert_close(single.coefficients, found.coefficients[:, 0])


def test_singular_kernels_say_what_was_added() -> None:
    K = kernel(8, rank=5)
    y = K @ Y  # in the kernel's range, so a little jitter does little harm
    found = kernel_regression(K, y)
    assert 0.0 < found.jitter <= 1e-8 * float(K.diagonal().mean()) * (1 + 1e-9)
    assert found.residual < 1e-6
    assert 1e8 < found.condition < math.inf
    off = kernel_regression(K, Y)  # not in the range: the residual shows it
    assert off.residual > 0.01
    with pytest.raises(ValueError, match="kernel must be positive definite for regression"):
        kernel_regression(K, y, jitter=0.0)
    assert kernel_regression(K, y, ridge=1.0, jitter=0.0).jitter == 0.0


def test_indefinite_kernels_are_refused() -> None:
    K = kernel(8) - 8.0 * torch.eye(8)
    with pytest.raises(ValueError, match=r"its least eigenvalue is -\d"):
        kernel_regression(K, Y)
    with pytest.raises(ValueError, match="kernel must be positive semi-definite"):
        gradient_flow(K, Y, [1.0])


# ----------------------------------------------------------------------------------- dynamics


def test_modes_descend_and_diagonalise() -> None:
    K = kernel(8)
    found = modes(K)
    assert bool((found.values[1:] <= found.values[:-1]).all())
    torch.testing.assert_close(found.vectors * found.values @ found.vectors.T, K)
    r = Y[:, 0]
    torch.testing.assert_close(found.components(r), found.vectors.T @ r)
    torch.testing.assert_close(
        found.components(torch.stack([r, 2 * r]))[1], found.vectors.T @ r * 2
    )
    with pytest.raises(ValueError, match=r"residual must have shape \(\.\., 8\)"):
        found.components(Y)


@given(seed=st.integers(0, 50), t=st.floats(0.0, 5.0), rate=st.floats(0.01, 1.0))
def test_flow_is_the_matrix_exponential(seed: int, t: float, rate: float) -> None:
    K = kernel(8, rank=5 if seed % 2 else None, seed=seed) / 8
    start, whole = torch.ones(8, 2, dtype=torch.float64), kernel(11, seed=seed + 1) / 8
    flow = gradient_flow(K, Y, [t], start=start, rate=rate)
    decay = scipy.linalg.expm(-rate * t * K.numpy())
    np.testing.assert_allclose(flow.train[0], Y.numpy() + decay @ (start - Y).numpy(), atol=1e-10)
    # Test points: f' = -rate K(test, train) (f - y), so they follow one matrix exponential too.
    block = whole[8:, :8]
    flow = gradient_flow(whole[:8, :8], Y, [t], rate=rate, cross=block, start_test=torch.ones(3, 2))
    generator = np.zeros((11, 11))
    generator[:, :8] = -rate * whole[:, :8].numpy()
    state = np.concatenate([-Y.numpy(), np.ones((3, 2))])
    moved = scipy.linalg.expm(t * generator) @ state
    assert flow.test is not None
    np.testing.assert_allclose(flow.test[0], moved[8:], atol=1e-9)


def test_flow_ends_in_regression() -> None:
    whole = kernel(11)
    K, block = whole[:8, :8], whole[8:, :8]
    flow = gradient_flow(K, Y[:, 0], [0.0, math.inf], cross=block)
    assert flow.train.shape == (2, 8)
    assert float(flow.train[0].abs().max()) == 0.0
    torch.testing.assert_close(flow.train[1], Y[:, 0])
    assert flow.test is not None
    expected = kernel_regression(K, Y[:, 0]).predict(block)
    torch.testing.assert_close(flow.test[1], expected, rtol=1e-8, atol=1e-10)


def test_null_modes_never_move() -> None:
    K = kernel(8, rank=5)
    null = modes(K).vectors[:, 5:]
    flow = gradient_flow(K, Y, [1e3, 1e30, math.inf])
    assert float((null.T @ flow.train).abs().max()) < 1e-10


@pytest.mark.parametrize("steps", [0, 1, 2, 7, 100])
def test_descent_is_its_own_iteration(steps: int) -> None:
    K = kernel(8)
    rate = 1.7 / float(modes(K).values[0])  # some modes change sign, most are slow
    f = torch.ones(8, 2, dtype=torch.float64)
    g = torch.zeros(3, 2, dtype=torch.float64)
    block = kernel(11, seed=4)[8:, :8]
    for _ in range(steps):
        g = g - rate * block @ (f - Y)
        f = f - rate * K @ (f - Y)
    flow = gradient_flow(
        K, Y, [steps], start=torch.ones(8, 2), rate=rate, cross=block, dynamics="descent"
    )
    torch.testing.assert_close(flow.train[0], f, rtol=1e-9, atol=1e-11)
    assert flow.test is not None
    torch.testing.assert_close(flow.test[0], g, rtol=1e-8, atol=1e-9)


def test_descent_that_diverges() -> None:
    K = kernel(8)
    rate = 2.5 / float(modes(K).values[0])
    assert float(gradient_flow(K, Y, [50], rate=rate, dynamics="descent").train.abs().max()) > 1e3
    with pytest.raises(ValueError, match=r"rate must be below 2 / λ_1 = "):
        gradient_flow(K, Y, [10_000], rate=rate, dynamics="descent")


# -------------------------------------------------------------------------------------- rates


def test_rates_of_modes_are_the_eigenvalues() -> None:
    """[A] eq. (68): mode k decays at rate λ_k."""
    K = kernel(8)
    found = modes(K)
    t = torch.linspace(0, 0.5, 20, dtype=torch.float64)
    flow = gradient_flow(K, Y[:, 0], t, rate=0.3)
    rates = fitted_rates(t, found.components(flow.train - Y[:, 0]))
    torch.testing.assert_close(rates.rates, 0.3 * found.values, rtol=1e-6, atol=1e-9)
    assert float(rates.errors.max()) < 1e-5
    assert rates.points.tolist() == [20] * 8


def test_rates_stop_at_rounding_and_have_least_squares_errors() -> None:
    import scipy.stats

    t = np.arange(30.0)
    a = np.stack(
        [np.exp(-3.0 * t) + 1e-16, np.exp(-0.1 * t), np.full(30, 1e-300), np.cos(t)], axis=1
    )
    a[:, 1] *= np.exp(0.01 * np.random.default_rng(0).standard_normal(30))
    found = fitted_rates(t, a)
    assert float(found.rates[0]) == pytest.approx(3.0, rel=1e-3)
    assert int(found.points[0]) == 10  # exp(-30) is the first below 1e-12
    reference = scipy.stats.linregress(t, np.log(a[:, 1]))
    assert float(found.rates[1]) == pytest.approx(-reference.slope, rel=1e-9)
    assert float(found.errors[1]) == pytest.approx(reference.stderr, rel=1e-9)
    assert float(found.rates[2]) == 0.0
    assert math.isnan(float(found.rates[3]))  # cos changes sign after two points
    assert math.isnan(float(found.errors[3]))


# ------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda K: kernel_regression(K, Y[:5]), r"y must have shape \(8,\) or \(8, outputs\)"),
        (lambda K: kernel_regression(K, Y * math.nan), "y must hold finite numbers"),
        (lambda K: kernel_regression(K, "labels"), "y must hold real numbers"),
        (lambda K: kernel_regression(K, Y, ridge=-1), "ridge must be finite and non-negative"),
        (lambda K: kernel_regression(K, Y, jitter="some"), "jitter must be a number"),
        (lambda K: kernel_regression(K[:, :5], Y), "kernel must be a square matrix"),
        (
            lambda K: kernel_regression(K, Y).predict(K[:, :5]),
            r"cross must have shape \(N_test, 8\)",
        ),
        (lambda K: kernel_regression(K, Y).predict(K * math.nan), "cross must hold finite numbers"),
        (lambda K: gradient_flow(K, Y, []), "times must hold at least one number"),
        (
            lambda K: gradient_flow(K, Y, [-1.0]),
            "times must hold at least one number, none negative",
        ),
        (lambda K: gradient_flow(K, Y, [0.5], dynamics="descent"), "times must be whole numbers"),
        (lambda K: gradient_flow(K, Y, [1.0], dynamics="jump"), "dynamics must be one of"),
        (lambda K: gradient_flow(K, Y, [1.0], rate=0.0), "rate must be finite and positive"),
        (lambda K: gradient_flow(K, Y, [1.0], start=Y[:, 0]), "start must have the shape of y"),
        (lambda K: gradient_flow(K, Y, [1.0], start_test=Y), "start_test must come with cross"),
        (lambda K: fitted_rates([0.0, 1.0], K[:2]), r"components must have shape \(2, N\)"),
        (lambda K: fitted_rates([0.0, 2.0, 1.0], K[:3]), "times must increase"),
        (lambda K: fitted_rates([0.0, 1.0, 2.0], K[:3] * math.nan), "must hold finite numbers"),
    ],
)
def test_bad_arguments(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call(kernel(8))
