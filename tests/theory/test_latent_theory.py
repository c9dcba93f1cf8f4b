"""Latent features: every proof and mutant, and the formulas against networks and samples."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory import derivations
from theory.derivation import Status
from theory.latent import (
    backward_covariances,
    cut,
    effective_residual,
    graphon,
    hidden_scale,
    kept_share,
    output_scale,
    softmax_hessian,
)
from theory.laws import Laplace

NAMES = sorted(name for name in derivations.names() if name.startswith("latent."))
CONDITIONAL = {"latent.gauss_newton_deep"}


def test_the_chains_are_registered() -> None:
    assert set(NAMES) == CONDITIONAL | {
        "latent.backward",
        "latent.gauss_newton",
        "latent.graphons",
        "latent.score",
        "latent.threshold",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_chain_is_proved_and_refutes_its_mutants(name: str) -> None:
    found = derivations.get(name).verify()
    for mutant, result in found.mutants:
        assert result.status is Status.FAILED, (mutant, result.detail)
    open_steps = [step for step, result in found.steps if result.status is not Status.PROVED]
    if name in CONDITIONAL:
        assert [step.check.run().kind for step in open_steps] == ["cited"]
    else:
        assert found.status is Status.PROVED, found.reasons


def network(widths: tuple[int, ...], gains: list[float], seed: int) -> dict[str, list[np.ndarray]]:
    """A tanh network with a batch of five, its signals and derivatives, in plain NumPy."""
    rng = np.random.default_rng(seed)
    W = [rng.standard_normal((m, k)) for k, m in pairwise(widths)]
    h, z = [rng.standard_normal((widths[0], 5))], []
    for w, g in zip(W, gains, strict=True):
        z.append(np.sqrt(g / w.shape[1]) * w @ h[-1])
        h.append(np.tanh(z[-1]))
    residual = rng.standard_normal((widths[-1], 5))
    delta = [residual]
    for k in range(len(W) - 1, 0, -1):
        back = np.sqrt(gains[k] / W[k].shape[1]) * W[k].T @ delta[0]
        delta.insert(0, back * (1 - np.tanh(z[k - 1]) ** 2))
    return {"W": W, "h": h, "z": z, "delta": delta, "r": [residual]}


def loss(W: list[np.ndarray], x: np.ndarray, r: np.ndarray, gains: list[float]) -> float:
    h = x
    for k, (w, g) in enumerate(zip(W, gains, strict=True)):
        h = np.sqrt(g / w.shape[1]) * w @ h
        h = np.tanh(h) if k < len(W) - 1 else h
    return float((r * h).sum())


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_score_is_a_weight_times_scale_times_inner_product(layer: int) -> None:
    widths, gains = (4, 6, 5, 2), [1.5, 2.0, 0.7]
    net = network(widths, gains, 3)
    W, h = net["W"], net["h"]
    if layer < 2:
        psi = np.sqrt(widths[layer + 1]) * net["delta"][layer]
        scale = float(hidden_scale(gains[layer], widths[layer], widths[layer + 1]))
    else:
        psi, scale = net["r"][0], float(output_scale(gains[2], widths[2]))
    predicted = scale * psi @ h[layer].T
    i, j, step = 1, 2, 1e-5
    sides = []
    for sign in (1, -1):
        moved = [w.copy() for w in W]
        moved[layer][i, j] += sign * step
        sides.append(loss(moved, h[0], net["r"][0], gains))
    assert predicted[i, j] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-6)


def test_backward_latents_have_the_stated_covariance() -> None:
    """A wide network; one input alone is sent back, so that b is one number per neuron."""
    n, gains = 1500, [1.0, 2.0, 1.3]
    net = network((50, n, n, 1), gains, 0)
    slopes = [(1 - np.tanh(z) ** 2)[:, 0] for z in net["z"][:2]]
    last = np.sqrt(gains[2]) * net["W"][2][0]
    first = np.sqrt(gains[1] / n) * net["W"][1].T @ (slopes[1] * last)
    expected = backward_covariances(gains, [float((s**2).mean()) for s in slopes])
    for b, variance in zip((first, last), expected, strict=True):
        assert (b**2).mean() == pytest.approx(float(variance), rel=0.2)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("inner", [0.8, -1.7])
def test_graphons_are_moments_of_the_weights_that_stay(inner: float, signed: bool) -> None:
    w = np.random.default_rng(1).standard_normal(400_000)
    level, scale = 0.6, 0.5
    score = -w * scale * inner if signed else np.abs(w * scale * inner)
    stays = score >= level
    for which, power in (("mask", 0), ("mean", 1), ("variance", 2)):
        found = float(graphon(which, inner, level, scale, signed=signed))
        assert found == pytest.approx((w**power * stays).mean(), abs=0.008), which


def test_a_law_of_ones_own_and_the_cut() -> None:
    q, tau = sp.Symbol("q", real=True, nonzero=True), sp.Symbol("tau", positive=True)
    assert cut(tau, 2, -3) == tau / 6
    found = graphon("mask", q, tau, law=Laplace())
    assert sp.simplify(found - sp.exp(-sp.sqrt(2) * tau / sp.Abs(q))) == 0
    with pytest.raises(ValueError, match="which"):
        graphon("median", 1, 1)  # type: ignore[arg-type]


@given(st.lists(st.fractions("1/5", 3, max_denominator=9), min_size=1, max_size=5))
def test_backward_recursion(values: list[sp.Rational]) -> None:
    dots = [sp.Rational(x) for x in values]
    gains = [sp.Rational(k + 1, 2) for k in range(len(dots) + 1)]
    found = backward_covariances(gains, dots)
    assert found[-1] == gains[-1]
    for k in range(len(dots) - 1):
        assert found[k] == gains[k + 1] * dots[k + 1] * found[k + 1]


def test_no_hidden_layer_has_no_backward_latents() -> None:
    assert backward_covariances([1], []) == []


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="gains must have one entry more"):
        backward_covariances([1], [1])
    with pytest.raises(ValueError, match="densities"):
        kept_share([1, 2], [1])
    with pytest.raises(ValueError, match="targets must be positive"):
        hidden_scale(1, 10, 0)
    with pytest.raises(ValueError, match="gain must be positive"):
        output_scale(-1, 10)
    with pytest.raises(ValueError, match="hessian must be 2 x 2"):
        effective_residual(sp.eye(3), sp.eye(2), [1, 2])


def test_the_average_density_is_weighted_by_the_layers_sizes() -> None:
    assert kept_share([100, 300], [1, sp.Rational(1, 5)]) == sp.Rational(2, 5)


def test_gauss_newton_part_of_a_linear_model_is_all_of_it() -> None:
    """Logistic regression: H g = J'(B Theta r) exactly, by second differences."""
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((6, 3)), np.array([1, 0, 2, 2, 1, 0])
    w = 0.3 * rng.standard_normal((3, 3))

    def gradient(w: np.ndarray) -> np.ndarray:
        e = np.exp(x @ w.T)
        return (e / e.sum(1, keepdims=True) - np.eye(3)[y]).T @ x

    e = np.exp(x @ w.T)
    p = e / e.sum(1, keepdims=True)
    g, step = gradient(w), 1e-5
    exact = (gradient(w + step * g) - gradient(w - step * g)) / (2 * step)
    hessian = sp.diag(*[softmax_hessian(list(map(sp.Float, row))) for row in p])
    J = np.kron(x, np.eye(3))  # outputs stacked input by input; parameters likewise
    r = (p - np.eye(3)[y]).reshape(-1)
    effective = effective_residual(hessian, sp.Matrix(J @ J.T), sp.Matrix(r))
    found = (J.T @ np.array(effective, dtype=float)[:, 0]).reshape(3, 3).T
    assert np.allclose(found, exact, rtol=1e-5)
