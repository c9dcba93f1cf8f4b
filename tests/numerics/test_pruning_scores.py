"""Scores of deep networks against automatic differentiation; initialisations against frameworks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from numerics.deep_derivatives import hessian_product, mean_gradients
from numerics.deep_scores import (
    Tempered,
    grasp_scores,
    magnitude_scores,
    random_scores,
    snip_scores,
)
from numerics.initialisation import SCHEMES, initialised
from numerics.losses import loss as find_loss
from numerics.mlp import MLP
from numerics.mlp_masks import graphon_masks

WIDTHS = (5, 7, 6, 4, 3)
LOSSES = ("squared", "cross-entropy")
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def sample(loss: str, n: int = 11, d: int = 5, outputs: int = 3) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.standard_normal((n, d)))
    if loss == "squared":
        return x, torch.from_numpy(rng.standard_normal((n, outputs)))
    return x, torch.from_numpy(rng.integers(outputs, size=n))


def network(activation: str = "tanh", bias: float = 0.0, masked: bool = False) -> MLP:
    net = MLP(WIDTHS, activation, gain=(1.5, 2.0, 0.7, 1.2), bias=bias, seed=3)
    return net.pruned(graphon_masks(0.7, WIDTHS, seed=1)) if masked else net


class Reference:
    """The network with its weights as leaves, in either parametrisation; nothing in closed form."""

    def __init__(self, net: MLP, scales: tuple[float, ...] | None = None) -> None:
        self.net = net
        self.stored = scales or (1.0,) * net.layers
        self.leaves = [
            (W * s).requires_grad_(True) for W, s in zip(net.weights, self.stored, strict=True)
        ]

    def loss(self, x: Tensor, y: Tensor, loss: str, temperature: float = 1.0) -> Tensor:
        h = x
        for layer, leaf in enumerate(self.leaves):
            mask, b = self.net.masks[layer], self.net.biases[layer]
            W = leaf if mask is None else leaf * mask
            z = h @ W.T * (self.net.scales[layer] / self.stored[layer])
            if b is not None:
                z = z + self.net.bias_scales[layer] * b
            h = self.net.activation(z)
        f = z / temperature
        if loss == "squared":
            return 0.5 * (f - y).square().sum(dim=1).mean()
        return torch.nn.functional.cross_entropy(f, y)

    def gradients(self, *arguments: object) -> list[Tensor]:
        return list(torch.autograd.grad(self.loss(*arguments), self.leaves, create_graph=True))

    def grasp(self, *arguments: object) -> list[Tensor]:
        g = self.gradients(*arguments)
        product = sum((u * u.detach()).sum() for u in g)
        pairs = zip(self.leaves, self.net.masks, strict=True)
        masks = [torch.ones_like(W) if m is None else m for W, m in pairs]
        found = torch.autograd.grad(product, self.leaves)
        return [t.detach() * M * H for t, M, H in zip(self.leaves, masks, found, strict=True)]


# --------------------------------------------------------------------------------------- scores


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("bias", [0.0, 0.3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_scores_are_what_automatic_differentiation_gives(
    activation: str, loss: str, bias: float, masked: bool
) -> None:
    net = network(activation, bias, masked)
    x, y = sample(loss)
    reference = Reference(net)
    g = reference.gradients(x, y, loss)
    for ours, theirs in zip(mean_gradients(net, x, y, loss), g, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), **CLOSE)
    for ours, theirs, W in zip(snip_scores(net, x, y, loss), g, net.weights, strict=True):
        torch.testing.assert_close(ours, (theirs.detach() * W).abs(), **CLOSE)
    for ours, theirs in zip(
        grasp_scores(net, x, y, loss), reference.grasp(x, y, loss), strict=True
    ):
        torch.testing.assert_close(ours, theirs, **CLOSE)
        assert float(theirs.abs().max()) > 1e-6


@pytest.mark.parametrize("activation", ["leaky_relu", "gelu", "abs", torch.sin])
def test_scores_of_other_activations(activation: str | Callable[[Tensor], Tensor]) -> None:
    net = MLP(WIDTHS, activation, gain=1.5, bias=0.2, seed=3)
    x, y = sample("cross-entropy")
    expected = Reference(net).grasp(x, y, "cross-entropy")
    for ours, theirs in zip(grasp_scores(net, x, y), expected, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("loss", LOSSES)
def test_temperature_divides_the_outputs_in_both_passes(loss: str) -> None:
    net, (x, y) = network("sigmoid", 0.3), sample(loss)
    expected = Reference(net).grasp(x, y, loss, 7.0)
    for ours, theirs in zip(grasp_scores(net, x, y, loss, temperature=7.0), expected, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)
    plain = grasp_scores(net, x, y, loss)
    for cold, unit in zip(grasp_scores(net, x, y, loss, temperature=1.0), plain, strict=True):
        assert torch.equal(cold, unit)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_temperatures_are_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        grasp_scores(network(), *sample("squared"), "squared", temperature=temperature)


@pytest.mark.parametrize("loss", LOSSES)
def test_tempered_loss_is_the_loss_at_divided_outputs(loss: str) -> None:
    x, y = sample(loss)
    f = x[:, :3].clone().requires_grad_(True)
    tempered = Tempered(find_loss(loss), 3.0)
    (slope,) = torch.autograd.grad(tempered.total(f, y), f, create_graph=True)
    torch.testing.assert_close(tempered.residual(f.detach(), y), slope.detach())
    direction = x[:, 1:4]
    (bend,) = torch.autograd.grad((slope * direction).sum(), f)
    torch.testing.assert_close(tempered.curvature(f.detach(), direction), bend)


def test_gauss_newton_is_jacobians_around_the_loss_curvature() -> None:
    net, (x, y) = network("tanh", 0.3, masked=True), sample("cross-entropy")
    layers = range(1, net.layers + 1)

    def outputs(*leaves: Tensor) -> Tensor:
        return net.replaced(list(leaves))(x)

    weights = tuple(net.weights)
    g = tuple(mean_gradients(net, x, y))
    jacobians = torch.autograd.functional.jacobian(outputs, weights)
    f_dot = sum((J * D).flatten(2).sum(dim=2) for J, D in zip(jacobians, g, strict=True))
    pushed = find_loss("cross-entropy").curvature(net(x), f_dot) / len(x)
    ours = grasp_scores(net, x, y, gauss_newton=True)
    for J, score, layer in zip(jacobians, ours, layers, strict=True):
        expected = net.effective(layer) * torch.tensordot(pushed, J, dims=2)
        torch.testing.assert_close(score, expected, **CLOSE)


def test_piecewise_linear_networks_without_hidden_layers_are_gauss_newton() -> None:
    net = MLP((5, 3), seed=1)
    x, y = sample("cross-entropy")
    (whole,), (part,) = (grasp_scores(net, x, y, gauss_newton=v) for v in (False, True))
    torch.testing.assert_close(whole, part, **CLOSE)
    deep = network("relu")
    whole, part = (grasp_scores(deep, x, y, gauss_newton=v)[0] for v in (False, True))
    assert not torch.allclose(whole, part)


def test_hessian_product_in_a_direction() -> None:
    net, (x, y) = network("sigmoid"), sample("cross-entropy")
    rng = np.random.default_rng(5)
    direction = [torch.from_numpy(rng.standard_normal(W.shape)) for W in net.weights]
    reference = Reference(net)
    g = reference.gradients(x, y, "cross-entropy")
    expected = torch.autograd.grad(
        sum((u * D).sum() for u, D in zip(g, direction, strict=True)), reference.leaves
    )
    for ours, theirs in zip(hessian_product(net, x, y, direction=direction), expected, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)
    with pytest.raises(ValueError, match="direction"):
        hessian_product(net, x, y, direction=direction[1:])


@pytest.mark.parametrize("loss", LOSSES)
def test_scores_do_not_depend_on_batches(loss: str) -> None:
    net, (x, y) = network("tanh", 0.3, masked=True), sample(loss)
    pairs = [(x[:4], y[:4]), (x[4:], y[4:])]
    for function in (snip_scores, grasp_scores):
        whole = function(net, x, y, loss)
        for other in (function(net, x, y, loss, batch_size=3), function(net, pairs, None, loss)):
            for a, b in zip(whole, other, strict=True):
                torch.testing.assert_close(a, b, **CLOSE)


def test_data_are_checked() -> None:
    net, (x, y) = network(), sample("cross-entropy")
    with pytest.raises(ValueError, match="x must be finite"):
        snip_scores(net, torch.where(x > 1, torch.nan, x), y)
    with pytest.raises(ValueError, match="y must be finite"):
        snip_scores(net, x, torch.full((11, 3), torch.inf), "squared")
    with pytest.raises(ValueError, match="y must hold classes"):
        grasp_scores(net, x, y + 1)
    with pytest.raises(ValueError, match="at least one sample"):
        grasp_scores(net, x[:0], y[:0])
    with pytest.raises(ValueError, match="at least one sample"):
        snip_scores(net, [])


def test_scores_change_neither_network_nor_data() -> None:
    net, (x, y) = network("relu"), sample("squared")
    before = [W.clone() for W in net.weights], x.clone(), y.clone()
    for name in ("ntk", "standard"):
        magnitude_scores(net, name)
        grasp_scores(net, x, y, "squared", parametrisation=name)
    snip_scores(net, x, y, "squared")
    assert all(torch.equal(a, b) for a, b in zip(before[0], net.weights, strict=True))
    assert torch.equal(before[1], x)
    assert torch.equal(before[2], y)


# ------------------------------------------------------------------------------ parametrisation


def test_what_the_parametrisation_changes() -> None:
    """SNIP is invariant; Magnitude and GraSP are not, and are what the stored weights give."""
    net, (x, y) = network("sigmoid", 0.2, masked=True), sample("cross-entropy")
    stored = Reference(net, net.scales)
    g = stored.gradients(x, y, "cross-entropy")
    for ours, slope, leaf in zip(snip_scores(net, x, y), g, stored.leaves, strict=True):
        torch.testing.assert_close(ours, (slope * leaf).abs().detach(), **CLOSE)
    grasp = grasp_scores(net, x, y, parametrisation="standard")
    expected = stored.grasp(x, y, "cross-entropy")
    for ours, other, theirs in zip(grasp, grasp_scores(net, x, y), expected, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)
        ratio = (ours / other)[other.abs() > 1e-8]
        assert float(ratio.std()) > 1e-3  # more than a factor per layer
    for layer, leaf in enumerate(stored.leaves):
        mask = net.masks[layer]
        assert mask is not None
        large = magnitude_scores(net, "standard")[layer]
        torch.testing.assert_close(large, (leaf.abs() * mask).detach(), **CLOSE)
        torch.testing.assert_close(large, magnitude_scores(net)[layer] * net.scales[layer])


def test_unknown_parametrisations() -> None:
    with pytest.raises(ValueError, match="parametrisation must be one of ntk, standard"):
        magnitude_scores(network(), "mup")


def test_random_scores_depend_on_seed_and_layer() -> None:
    one, again, other = (random_scores(network(masked=True), seed) for seed in (0, 0, 1))
    for a, b, c, mask in zip(one, again, other, network(masked=True).masks, strict=True):
        assert mask is not None
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
        assert torch.equal(a > 0, mask)
    assert not torch.equal(one[0].ravel()[:20], one[1].ravel()[:20])


# ------------------------------------------------------------------------------- initialisation


def torch_twin(net: MLP) -> torch.nn.Sequential:
    """The same function as a torch module with stored weights."""
    parts: list[torch.nn.Module] = []
    for W, s, b, beta in zip(net.weights, net.scales, net.biases, net.bias_scales, strict=True):
        linear = torch.nn.Linear(W.shape[1], W.shape[0], bias=b is not None, dtype=W.dtype)
        linear.weight.data = W * s
        if b is not None:
            linear.bias.data = beta * b
        parts += [linear, torch.nn.Sigmoid()]
    return torch.nn.Sequential(*parts[:-1])


def kaiming(n: int, d: int) -> torch.nn.Linear:
    linear = torch.nn.Linear(d, n)
    torch.nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    torch.nn.init.zeros_(linear.bias)
    return linear


@pytest.mark.parametrize(
    ("scheme", "theirs"),
    [("kaiming", kaiming), ("pytorch", lambda n, d: torch.nn.Linear(d, n))],
)
def test_stored_weights_have_the_frameworks_law(
    scheme: str, theirs: Callable[[int, int], torch.nn.Linear]
) -> None:
    from scipy import stats

    net = initialised((50, 400, 3), "sigmoid", scheme, seed=2, bias=True)
    torch.manual_seed(0)
    linear, ours = theirs(400, 50), torch_twin(net)[0]
    for key in ("weight", "bias"):
        a, b = (getattr(m, key).detach().double().numpy().ravel() for m in (linear, ours))
        if not b.any():
            assert not a.any()
            continue
        assert stats.ks_2samp(a, b).pvalue > 1e-3
        assert math.isclose(a.std(), b.std(), rel_tol=0.12)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 50)))
    torch.testing.assert_close(torch_twin(net)(x), net(x))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bias", [False, True])
def test_what_a_scheme_fixes(scheme: str, bias: bool) -> None:
    net = initialised(WIDTHS, "tanh", scheme, seed=1, bias=bias)
    assert net.gains == ({"ntk": 1.0, "kaiming": 2.0, "pytorch": 1 / 3}[scheme],) * 4
    assert net.parametrisation == ("ntk" if scheme == "ntk" else "standard")
    assert net.pruned([None] * 4).parametrisation == net.parametrisation
    for n, b, beta in zip(WIDTHS, net.biases, net.bias_scales, strict=False):
        assert (b is not None) is bias
        if b is not None:
            assert bool(b.any()) is (scheme != "kaiming")
            assert math.isclose(beta, 1 / math.sqrt(3 * n) if scheme == "pytorch" else 1.0)


def test_normal_schemes_share_their_numbers() -> None:
    ntk, other = initialised(WIDTHS), initialised(WIDTHS, scheme="kaiming")
    assert all(torch.equal(a, b) for a, b in zip(ntk.weights, other.weights, strict=True))
    assert initialised(WIDTHS, gain=3.0, bias=0.25).bias_scales == (0.5,) * 4


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"scheme": "xavier"}, "scheme"),
        ({"scheme": "pytorch", "gain": 2.0}, "gain"),
        ({"scheme": "kaiming", "bias": 0.5}, "bias"),
        ({"bias": -1.0}, "bias"),
    ],
)
def test_impossible_schemes(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        initialised(WIDTHS, **options)
