"""The coupled kernel: every proof and mutant, and its pieces against samples and networks."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import derivations
from theory.coupled import contribution, regression, selected, source_moments
from theory.derivation import Status
from theory.derivations.coupled_cases import pruned_given_dense
from theory.laws import Gaussian, Laplace, Uniform

NAMES = sorted(name for name in derivations.names() if name.startswith("coupled."))
CONDITIONAL = {"coupled.recursion"}
T, M = sp.Symbol("t", positive=True), sp.Symbol("m", real=True)


def test_the_chains_are_registered() -> None:
    assert set(NAMES) == CONDITIONAL | {
        "coupled.backward",
        "coupled.dense",
        "coupled.forward",
        "coupled.kernel",
        "coupled.magnitude",
        "coupled.one_hidden_layer",
        "coupled.other_laws",
        "coupled.outputs",
        "coupled.regression",
        "coupled.regression_on_itself",
        "coupled.sampling",
        "coupled.selection",
        "coupled.symmetry",
        "coupled.weights_given_signals",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_chain_is_proved_and_refutes_its_mutants(name: str) -> None:
    chain = derivations.get(name)
    found = chain.verify()
    for mutant, result in found.mutants:
        assert result.status is Status.FAILED, (mutant, result.detail)
    assert len(found.mutants) >= 3
    for formula in (chain.statement, *(step.latex for step in chain.steps)):
        assert formula.count("{") == formula.count("}")
        assert not re.search(r"\\q?quad[A-Za-z]", formula), formula
    if name not in CONDITIONAL:
        assert found.status is Status.PROVED, found.reasons
        return
    kinds = {result.kind for _, result in found.steps if result.status is not Status.PROVED}
    assert kinds == {"cited"}
    assert len(found.conditional_on) == 2


# ---------------------------------------------------------------------------- one weight


@pytest.mark.parametrize("law", [Gaussian(), Uniform(), Laplace()], ids=lambda law: law.name)
@pytest.mark.parametrize("mean", [0.0, 0.3, -0.4])
def test_selected_moments_are_those_of_samples(law: Gaussian, mean: float) -> None:
    rng, cut = np.random.default_rng(0), 0.7
    w = {
        "gaussian": lambda: rng.standard_normal(400_000),
        "uniform": lambda: rng.uniform(-math.sqrt(3), math.sqrt(3), 400_000),
        "laplace": lambda: rng.laplace(0, 1 / math.sqrt(2), 400_000),
    }[law.name]()
    w = w + mean
    for order in (0, 1, 2):
        expected = float(selected(law, order, cut, mean))
        found = (w**order * (np.abs(w) >= cut)).mean()
        assert found == pytest.approx(expected, abs=0.012), order


def test_the_rest_is_cubic_and_uniform_in_the_cut() -> None:
    exact = sp.lambdify((T, M), selected(Gaussian(), 1, T, M), ["scipy", "numpy"])
    slope = sp.lambdify(T, Gaussian().two_sided_second(T), ["scipy", "numpy"])
    cuts, means = np.meshgrid(np.linspace(0.01, 6, 60), np.linspace(-2, 2, 81))
    rest = np.abs(exact(cuts, means) - slope(cuts) * means)
    bound = math.sqrt(6) * (1 + np.abs(means)) * np.abs(means) ** 3 / 6
    assert (rest <= bound + 1e-12).all()
    small = np.abs(exact(1.5, 1e-2) - slope(1.5) * 1e-2)
    third = 1.5**3 * math.exp(-(1.5**2) / 2) / math.sqrt(2 * math.pi) / 3
    assert small == pytest.approx(third * 1e-6, rel=1e-3)


def test_orders_other_than_three_are_refused() -> None:
    with pytest.raises(ValueError, match="order must be 0, 1 or 2"):
        selected(Gaussian(), 3, 1)


@pytest.mark.parametrize("name", ["gaussian", "uniform"])
def test_many_selected_weights_follow_v_for_any_law(name: str) -> None:
    """Sums of w and of M w over many sources: regression V for uniform weights as well."""
    rng, n, rows, cut = np.random.default_rng(2), 200, 20_000, 1.2
    law = {"gaussian": Gaussian(), "uniform": Uniform()}[name]
    w = {
        "gaussian": lambda: rng.standard_normal((rows, n)),
        "uniform": lambda: rng.uniform(-math.sqrt(3), math.sqrt(3), (rows, n)),
    }[name]()
    z = w.sum(axis=1)
    kept = (w * (np.abs(w) >= cut)).sum(axis=1)
    slope = (kept * z).mean() / (z * z).mean()
    assert slope == pytest.approx(float(law.two_sided_second(cut)), abs=0.02)
    shift = float(law.two_sided_survival(cut) + 2 * cut * law.density(cut))
    if name == "uniform":
        assert abs(slope - shift) > 0.1  # the shift's slope is refuted by the same samples


def test_the_second_moment_bends_as_its_integral_says() -> None:
    """d^2/dm^2 at 0 of E[(e + m)^2; |e + m| >= t] against samples of w^2 He_2(w)."""
    w = np.random.default_rng(3).standard_normal(1_000_000)
    for cut in (0.4, 1.3):
        found = (w**2 * (w**2 - 1) * (np.abs(w) >= cut)).mean()
        bend = sp.diff(selected(Gaussian(), 2, T, M), M, 2).subs({M: 0, T: cut})
        assert float(bend) == pytest.approx(found, abs=0.05)


# ---------------------------------------------------------------------------- conditioning


def _positive(seed: int, size: int) -> np.ndarray:
    a = np.random.default_rng(seed).integers(-3, 4, (size, size + 2))
    return a @ a.T + np.eye(size, dtype=int)


@given(st.integers(0, 50), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_regression_is_the_schur_complement(seed: int, m: int, k: int) -> None:
    joint = sp.Matrix(_positive(seed, m + k))
    own, cross, given_ = joint[:m, :m], joint[:m, m:], joint[m:, m:]
    found = regression(own, cross, given_)
    assert found.weights * given_ == cross
    assert found.covariance == joint.inv()[:m, :m].inv()
    mixture = found.weights * given_ * found.weights.T + found.covariance
    assert mixture == own


@given(st.lists(st.fractions(0, 1, max_denominator=8), min_size=4, max_size=4), st.integers(0, 30))
@settings(max_examples=20, deadline=None)
def test_covariances_are_positive_at_finite_width(values: list[sp.Rational], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pruned, dense = rng.integers(-3, 4, (2, 4)), rng.integers(-3, 4, (2, 4))
    dense[:, :2] = [[1, 0], [0, 1]]
    q, r, sigma = source_moments([sp.Rational(v) for v in values], pruned, dense, gain=2)
    found = np.array(regression(q, r, sigma).covariance, dtype=float)
    assert np.linalg.eigvalsh(found).min() > -1e-12


def test_nothing_pruned_leaves_no_noise() -> None:
    dense = [[1, 2, 0], [0, 1, 1]]
    for bias in (0, sp.Rational(1, 3)):
        found = regression(*source_moments([1, 1, 1], dense, dense, gain=2, bias=bias))
        assert found.weights == sp.eye(2)
        assert found.covariance == sp.zeros(2, 2)


def test_a_bias_is_never_pruned() -> None:
    """Moments with a bias, by samples of one target's weights and its bias."""
    rng, cut, beta = np.random.default_rng(13), 1.1, 0.6
    dense, pruned = np.array([[1.0, -0.5]]), np.array([[0.7, 1.2]])
    w, b = rng.standard_normal((2, 400_000)), math.sqrt(beta) * rng.standard_normal(400_000)
    z = (dense @ w)[0] + b  # gain 2 over two sources
    zt = (pruned @ (w * (np.abs(w) >= cut)))[0] + b
    V = float(Gaussian().two_sided_second(cut))
    q, r, sigma = source_moments([V, V], pruned, dense, gain=2, bias=beta)
    for found, expected in ((zt * zt, q), (zt * z, r), (z * z, sigma)):
        assert found.mean() == pytest.approx(float(expected[0]), abs=0.02)


def test_pruned_sums_given_dense_sums() -> None:
    """Rows of Gaussian weights through fixed cuts: the regression of z~ on z, and what is left."""
    rng, n, rows = np.random.default_rng(5), 300, 20_000
    h = rng.standard_normal((2, n))
    pruned = 0.7 * h[:1] + 0.5 * rng.standard_normal((1, n))
    cuts = 1 / np.abs(h[0] + 0.3 * rng.standard_normal(n))
    V = [float(Gaussian().two_sided_second(cut)) for cut in cuts]
    w = rng.standard_normal((rows, n))
    z, zt = w @ h.T / math.sqrt(n), (w * (np.abs(w) >= cuts)) @ pruned.T / math.sqrt(n)
    expected = regression(*source_moments(V, pruned, h))
    weights = np.array(expected.weights, dtype=float)
    slope, *_ = np.linalg.lstsq(z, zt, rcond=None)
    assert np.allclose(slope.T, weights, atol=0.02)
    left = (zt - z @ weights.T).var()
    assert left == pytest.approx(float(expected.covariance[0]), rel=0.04)
    assert abs(left - zt.var()) > 0.1 * zt.var()  # z does say something about z~


def test_magnitude_mixes_signal_and_fresh_noise() -> None:
    v, size = sp.symbols("v Sigma", positive=True)
    weight, left = pruned_given_dense(v, size)
    assert weight == v
    assert sp.simplify(left - (v - v**2) * size) == 0


def test_outputs_of_a_pruned_layer_are_correlated() -> None:
    """E[V b_1 b_2] = E[t^3 phi(t)] for r = (1, 1), by samples of both sides."""
    rng, tau = np.random.default_rng(7), 1.1
    b = rng.standard_normal((2, 1_000_000))
    t = tau / np.abs(b.sum(axis=0))
    second = sp.lambdify(T, Gaussian().two_sided_second(T), ["scipy", "numpy"])
    found = (second(t) * b[0] * b[1]).mean()
    expected = (t**3 * np.exp(-(t**2) / 2)).mean() / math.sqrt(2 * math.pi)
    assert found == pytest.approx(expected, abs=0.004)
    assert found > 0.05


def test_two_inputs_are_not_many() -> None:
    """Magnitude, ReLU, inputs e_1 and e_2: half of phi(t)^2, below the dual at covariance v."""
    rng, cut = np.random.default_rng(9), 1.0
    w = rng.standard_normal((2, 1_000_000))
    kept = np.maximum(w * (np.abs(w) >= cut), 0) / math.sqrt(2)
    found = (kept[0] * kept[1]).mean()
    assert found == pytest.approx(math.exp(-(cut**2)) / (4 * math.pi), abs=4e-4)
    v = float(Gaussian().two_sided_second(cut))
    assert v / (4 * math.pi) > 1.5 * found
    diagonal = (kept[0] ** 2).mean()
    assert diagonal == pytest.approx(v / 4, abs=2e-3)  # exact with any number of inputs


# ---------------------------------------------------------------------------- shares


def test_shares_are_the_tangent_kernel_of_a_network_with_three_outputs() -> None:
    """Two hidden layers, tanh, masks: sums over weights of products of numerical derivatives."""
    rng, widths, gains = np.random.default_rng(11), (2, 4, 3, 3), (1.5, 2.0, 0.7)
    W = [rng.standard_normal((m, k)) for k, m in itertools.pairwise(widths)]
    M = [(rng.random(w.shape) < 0.7).astype(float) for w in W]
    inputs = rng.standard_normal((2, 2))
    scale = [math.sqrt(g / w.shape[1]) for g, w in zip(gains, W, strict=True)]

    def signals(weights: list[np.ndarray], x: np.ndarray) -> list[np.ndarray]:
        h = [x]
        for layer, (s, mask, w) in enumerate(zip(scale, M, weights, strict=True)):
            z = s * (mask * w) @ h[-1]
            h.append(np.tanh(z) if layer < 2 else z)
        return h

    def gradient(x: np.ndarray) -> np.ndarray:
        """Outputs x weights."""
        columns = []
        for layer, w in enumerate(W):
            for at in np.ndindex(w.shape):
                sides = []
                for sign in (1, -1):
                    moved = [each.copy() for each in W]
                    moved[layer][at] += sign * 1e-5
                    sides.append(signals(moved, x)[-1])
                columns.append((sides[0] - sides[1]) / 2e-5)
        return np.array(columns).T

    def latents(x: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Activations, and psi~ of the hidden layers (targets x outputs)."""
        h = signals(W, x)
        slope = [1 - each**2 for each in h[1:3]]
        last = math.sqrt(gains[2]) * (M[2] * W[2]).T * slope[1][:, None]
        back = math.sqrt(gains[1] / widths[2]) * (M[1] * W[1]).T @ last
        return h, [back * slope[0][:, None], last]

    expected = gradient(inputs[0]) @ gradient(inputs[1]).T
    (h, psi), (g, chi) = (latents(x) for x in inputs)
    for o, p in np.ndindex(3, 3):
        found = sum(
            float(contribution(M[k], psi[k][:, o] * chi[k][:, p], h[k] * g[k], gains[k]))
            for k in (0, 1)
        )
        if o == p:
            found += float(contribution(M[2][o : o + 1], [1], h[2] * g[2], gains[2]))
        assert found == pytest.approx(expected[o, p], abs=1e-7)


def test_a_share_is_a_mean_over_pairs() -> None:
    P = np.array([[1, 2], [3, 4], [5, 6]]) / 10
    found = contribution(P, [1, 2, 3], [5, 7], gain=2)
    expected = 2 * np.mean(P * np.outer([1, 2, 3], [5, 7]))
    assert float(found) == pytest.approx(expected)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="masks must be 1 x 2"):
        contribution([[1]], [1], [1, 2])
    with pytest.raises(ValueError, match="3 columns"):
        source_moments([1, 1, 1], [[1, 2]], [[1, 2, 3]])
    with pytest.raises(ValueError, match="own must be"):
        regression(sp.eye(2), [[1]], [[1]])
    with pytest.raises(ValueError, match="given must be square"):
        regression([[1]], [[1, 0]], [[1]])
    with pytest.raises(ValueError, match="repeat each other"):
        regression([[1]], [[1, 1]], [[1, 1], [1, 1]])
