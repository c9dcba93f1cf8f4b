"""Scores against automatic differentiation and finite differences; streaming changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from numerics import data, gradients, losses, scores
from numerics.activations import ACTIVATIONS
from numerics.network import OneHiddenLayer
from theory import criteria

D, N_HIDDEN, SAMPLES = 4, 6, 23
DATA_DRIVEN = ("snip", "grasp", "grasp-signed")


def case(
    loss: str = "squared", activation: str = "tanh", seed: int = 0, masked: bool = False,
    parametrisation: str = "ntk",
) -> tuple[OneHiddenLayer, Tensor, Tensor]:  # fmt: skip
    rng = np.random.default_rng(seed)
    outputs = 3 if loss == "cross-entropy" else 2
    net = OneHiddenLayer(
        D, N_HIDDEN, activation, outputs=outputs, seed=seed, parametrisation=parametrisation
    )
    if masked:
        net = net.pruned(torch.from_numpy(rng.random((N_HIDDEN, D)) < 0.6))
    x = torch.from_numpy(rng.standard_normal((SAMPLES, D)))
    if loss == "cross-entropy":
        return net, x, torch.from_numpy(rng.integers(outputs, size=SAMPLES))
    return net, x, torch.from_numpy(rng.standard_normal((SAMPLES, outputs)))


def test_criteria_are_those_of_theory() -> None:
    assert set(scores.CRITERIA) == set(criteria.CRITERIA)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("parametrisation", ["ntk", "standard"])
@pytest.mark.parametrize("loss", sorted(losses.LOSSES))
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS.keys() - {"step", "sign"}))
def test_closed_forms_are_derivatives(
    activation: str, loss: str, parametrisation: str, masked: bool
) -> None:
    net, x, y = case(loss, activation, seed=5, masked=masked, parametrisation=parametrisation)
    batches = gradients.batches(x, y, 7)
    chosen = losses.loss(loss)
    pairs = [(m, gradients.gradient(net, batches, chosen, m)) for m in gradients.METHODS]
    torch.testing.assert_close(pairs[0][1], pairs[1][1], rtol=1e-10, atol=1e-14)
    for parameters in gradients.PARAMETERS:
        closed, autograd = (
            gradients.hessian_gradient(net, batches, chosen, parameters, m)
            for m in ("closed", "autograd")
        )
        torch.testing.assert_close(closed, autograd, rtol=1e-9, atol=1e-14)
        assert float(closed.W.abs().max()) > 0.0
        assert (float(closed.a.abs().max()) > 0.0) is (parameters == "all")


def mean_loss(net: OneHiddenLayer, W: Tensor, x: Tensor, y: Tensor) -> float:
    f = net.forward(x, W)
    return float(0.5 * (f - y).square().sum(dim=1).mean())


def test_gradient_is_the_limit_of_differences() -> None:
    """The definition itself, so that no shared slip in the two methods can hide."""
    net, x, y = case()
    g = scores.factor(net, x, y, "snip")
    step = 1e-5
    for j in range(N_HIDDEN):
        for i in range(D):
            E = torch.zeros_like(net.W)
            E[j, i] = step
            slope = (mean_loss(net, net.W + E, x, y) - mean_loss(net, net.W - E, x, y)) / (2 * step)
            assert float(g[j, i]) == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("parameters", gradients.PARAMETERS)
def test_hessian_product_is_the_derivative_of_the_gradient(parameters: str) -> None:
    net, x, y = case()
    batches, squared = gradients.batches(x, y, 100), losses.loss("squared")
    g = gradients.gradient(net, batches, squared)
    W, a, step = net.W, net.a, 1e-5
    moved = []
    for sign in (1, -1):
        net.W = W + sign * step * g.W
        net.a = a + sign * step * g.a if parameters == "all" else a
        moved.append(gradients.gradient(net, batches, squared))
    net.W, net.a = W, a
    product = gradients.hessian_gradient(net, batches, squared, parameters)
    expected = (moved[0].W - moved[1].W) / (2 * step)
    torch.testing.assert_close(product.W, expected, rtol=1e-5, atol=1e-9)


@given(batch_size=st.integers(1, 40), criterion=st.sampled_from(DATA_DRIVEN))
def test_batches_change_nothing(batch_size: int, criterion: str) -> None:
    net, x, y = case()
    whole = scores.score(net, x, y, criterion, batch_size=SAMPLES)
    parts = scores.score(net, x, y, criterion, batch_size=batch_size)
    torch.testing.assert_close(parts, whole, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("criterion", DATA_DRIVEN)
def test_iterables_of_batches(criterion: str) -> None:
    teacher = data.GaussianTeacher(D, np.ones(D), noise=0.1)
    net = OneHiddenLayer(D, N_HIDDEN, "erf")
    whole = scores.score(net, *teacher.sample(3000, seed=2), criterion)
    streamed = scores.score(net, teacher.batches(3000, 700, seed=2), None, criterion)
    torch.testing.assert_close(streamed, whole, rtol=1e-10, atol=1e-15)


def test_scores_are_made_of_factors() -> None:
    net, x, y = case()
    for criterion in DATA_DRIVEN:
        signed = net.W * scores.factor(net, x, y, criterion)
        expected = signed if criterion == "grasp-signed" else signed.abs()
        torch.testing.assert_close(scores.score(net, x, y, criterion), expected)
    assert torch.equal(scores.score(net, criterion="magnitude"), net.W.abs())
    assert bool((scores.score(net, x, y, "grasp-signed") < 0).any())


def test_synflow_is_the_gradient_of_path_sums() -> None:
    net, _, _ = case(masked=True)
    W = net.effective.abs().clone().requires_grad_(True)
    x = torch.ones(1, D, dtype=torch.float64)
    paths = ((x @ W.T) * net.input_scale) @ net.a.abs().T * net.output_scale
    (slope,) = torch.autograd.grad(paths.sum(), W)
    torch.testing.assert_close(scores.score(net, criterion="synflow"), W.detach() * slope)


def test_random_scores() -> None:
    net, _, _ = case()
    one = scores.score(net, criterion="random", seed=1)
    assert one.shape == (N_HIDDEN, D)
    assert torch.equal(one, scores.score(net, criterion="random", seed=1))
    assert not torch.equal(one, scores.score(net, criterion="random", seed=2))
    with pytest.raises(ValueError, match="'random' has no factor"):
        scores.factor(net, criterion="random")


@pytest.mark.parametrize("criterion", scores.CRITERIA)
def test_masked_weights_score_zero(criterion: str) -> None:
    net, x, y = case(masked=True)
    got = scores.score(net, x, y, criterion)
    assert net.mask is not None
    assert bool((got[~net.mask] == 0).all())
    assert bool((got[net.mask] != 0).all())


def test_single_precision_follows() -> None:
    net = OneHiddenLayer(16, 32, dtype=torch.float32, seed=1)
    double = OneHiddenLayer(16, 32, seed=1)
    double.W, double.a = net.W.double(), net.a.double()
    x, y = data.GaussianTeacher(16, np.ones(16)).sample(5000)
    for criterion in DATA_DRIVEN:
        single = scores.score(net, x, y, criterion)
        assert single.dtype == torch.float32
        exact = scores.score(double, x, y, criterion)
        error = (single.double() - exact).abs().max() / exact.abs().max()
        assert float(error) < 1e-4


def test_snip_score_factorises_for_an_odd_activation() -> None:
    """The claim that the models of theory rest on, on one network: |w| r c with c = |a|.

    With labels alone (f ≡ 0) and many samples, the factor is -a_j κ_j β_i to leading order, so
    its logarithm is additive in source and target up to sampling noise and 1/d corrections.
    """
    d, n, samples = 32, 64, 200_000
    beta = np.linspace(1.0, 2.0, d)
    net = OneHiddenLayer(d, n, "tanh", antisymmetric=True, seed=2)
    teacher = data.GaussianTeacher(d, beta)
    g = scores.factor(net, teacher.batches(samples, 20_000, seed=1), None, "snip").numpy()
    left, values, right = np.linalg.svd(g)
    assert values[1] < 0.05 * values[0]
    pattern = np.abs(right[0]) / np.linalg.norm(right[0])
    assert np.corrcoef(pattern, beta)[0, 1] > 0.98
    assert np.corrcoef(np.abs(left[:, 0]), net.a[0].abs().numpy())[0, 1] > 0.98


def test_bad_arguments() -> None:
    net, x, y = case()
    with pytest.raises(ValueError, match=r"criterion must be one of random, magnitude.*'fisher'"):
        scores.score(net, x, y, "fisher")
    with pytest.raises(ValueError, match=r"loss must be one of \['cross-entropy', 'squared'\]"):
        scores.score(net, x, y, loss="hinge")
    with pytest.raises(ValueError, match="parameters must be one of"):
        scores.score(net, x, y, "grasp", parameters="output")
    with pytest.raises(ValueError, match="method must be one of"):
        scores.score(net, x, y, method="jax")
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        scores.score(net, x, y, batch_size=0)
    with pytest.raises(ValueError, match="'snip' needs data"):
        scores.score(net)
    with pytest.raises(ValueError, match="y must be a tensor with 23 labels"):
        scores.score(net, x, y[:-1])
    with pytest.raises(ValueError, match="y must be a tensor with"):
        scores.score(net, x)
    with pytest.raises(ValueError, match="at least one sample"):
        scores.score(net, x[:0], y[:0])
    with pytest.raises(ValueError, match=r"y must have shape \(23, 2\), got \(23,\)"):
        scores.score(net, x, y[:, 0])
    with pytest.raises(ValueError, match=r"x must be a tensor of shape \(N, 4\)"):
        scores.score(net, x[:, :2], y)
    with pytest.raises(ValueError, match="x must be finite"):
        scores.score(net, x / 0, y)
    with pytest.raises(ValueError, match="y must be finite"):
        scores.score(net, x, y * float("nan"))
    with pytest.raises(TypeError, match="iterated twice"):
        scores.score(net, iter([(x, y)]))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="y must be None"):
        scores.score(net, [(x, y)], y)  # type: ignore[arg-type]


def test_bad_classes() -> None:
    net, x, y = case("cross-entropy")
    with pytest.raises(ValueError, match="y must hold integer classes"):
        scores.score(net, x, y.double(), loss="cross-entropy")
    with pytest.raises(ValueError, match="classes from 0 to 2"):
        scores.score(net, x, y + 1, loss="cross-entropy")
    one = OneHiddenLayer(D, 4)
    with pytest.raises(ValueError, match="at least two outputs"):
        scores.score(one, x, y, loss="cross-entropy")
