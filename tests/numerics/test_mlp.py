"""Deep networks against their definition; masks and profiles against their graphons."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics.mlp import MLP
from numerics.mlp_masks import graphon_masks, variance_profile
from theory import criteria, laws
from theory.graphon import BlockGraphon, ConstantGraphon

WIDTHS = (3, 5, 4, 2)


def inputs(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


# ------------------------------------------------------------------------------------ network


@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_forward_is_the_definition(bias: float) -> None:
    net = MLP(WIDTHS, "tanh", gain=(1.5, 2.0, 0.7), bias=bias, seed=3)
    net = net.pruned(graphon_masks(0.6, WIDTHS, seed=1))
    x = inputs(4, 3)
    for k in range(4):
        h = [float(v) for v in x[k]]
        for layer, gain in enumerate((1.5, 2.0, 0.7)):
            W, M, b = net.weights[layer], net.masks[layer], net.biases[layer]
            assert M is not None
            assert (b is None) is (bias == 0.0)
            z = [
                sum(
                    math.sqrt(gain / len(h)) * float(M[j, i] * W[j, i]) * h[i]
                    for i in range(len(h))
                )
                + (0.0 if b is None else math.sqrt(bias) * float(b[j]))
                for j in range(len(W))
            ]
            np.testing.assert_allclose(net.states(x).z[layer][k].numpy(), z, rtol=1e-12)
            h = [math.tanh(v) for v in z]
        np.testing.assert_allclose(net(x)[k].numpy(), z, rtol=1e-12)


def test_a_network_without_hidden_layers_is_linear() -> None:
    net = MLP((3, 2), gain=2.0)
    torch.testing.assert_close(
        net(inputs(4, 3)), inputs(4, 3) @ net.weights[0].T * math.sqrt(2 / 3)
    )


@pytest.mark.parametrize("several", [False, True])
def test_backward_is_the_derivative(several: bool) -> None:
    net = MLP(WIDTHS, "gelu", seed=3, bias=0.1).pruned(graphon_masks(0.7, WIDTHS))
    x = inputs(4, 3)
    residual = inputs(3, 8, seed=5).view(3, 4, 2) if several else inputs(4, 2, seed=5)
    states = net.states(x)
    deltas = net.backward(states, residual)
    for layer in range(1, 3):
        z = states.z[layer - 1].clone().requires_grad_(True)
        f = z
        for later in range(layer, 3):
            b = net.biases[later]
            assert b is not None
            f = (net.activation(f) * net.scales[later]) @ net.effective(later + 1).T
            f = f + net.bias_scales[later] * b
        for r, delta in zip(
            residual.view(-1, 4, 2), deltas[layer - 1].view(-1, *z.shape), strict=True
        ):
            (expected,) = torch.autograd.grad((f * r).sum(), z, retain_graph=True)
            torch.testing.assert_close(delta, expected, rtol=1e-12, atol=1e-14)


def test_weights_depend_on_seed_and_layer_alone() -> None:
    one, two = (
        MLP((4, 6, 6, 6, 1), seed=1),
        MLP((4, 6, 6, 6, 3), "tanh", bias=0.5, gain=2.0, seed=1),
    )
    for k in range(3):
        assert torch.equal(one.weights[k], two.weights[k])
    assert not torch.equal(one.weights[1], one.weights[2])
    assert not torch.equal(one.weights[0], MLP((4, 6, 1), seed=2).weights[0])


def test_law_and_variances_scale_the_weights() -> None:
    plain = MLP(WIDTHS, seed=7)
    scaled = MLP(WIDTHS, seed=7, law=laws.Gaussian(3))
    torch.testing.assert_close(scaled.weights[1], 3 * plain.weights[1])
    profile = [None, 4.0, torch.tensor([[0.0, 1.0, 9.0, 0.25], [1.0, 1.0, 0.0, 4.0]])]
    shaped = MLP(WIDTHS, seed=7, variances=profile)
    assert torch.equal(shaped.weights[0], plain.weights[0])
    torch.testing.assert_close(shaped.weights[1], 2 * plain.weights[1])
    torch.testing.assert_close(shaped.weights[2], plain.weights[2] * profile[2].double().sqrt())


def test_pruning_shares_weights_and_tells_what_is_severed() -> None:
    net = MLP(WIDTHS, "relu")
    empty = torch.zeros(4, 5, dtype=torch.bool)
    pruned = net.pruned([None, empty, torch.ones(2, 4, dtype=torch.bool)])
    assert pruned.weights[0] is net.weights[0]
    assert net.masks == [None] * 3
    assert net.severed == ()
    assert pruned.severed == (2,)
    assert pruned.densities == (1.0, 0.0, 1.0)
    assert repr(pruned) == "MLP(3–5–4–2, 'relu', densities=(1, 0, 1), severed=(2,))"
    assert float(pruned(inputs(5, 3)).abs().max()) == 0.0


def test_replaced_keeps_masks() -> None:
    net = MLP(WIDTHS).pruned(graphon_masks(0.5, WIDTHS))
    other = net.replaced(MLP(WIDTHS, seed=1).weights)
    assert other.masks is net.masks
    assert not torch.equal(other(inputs(2, 3)), net(inputs(2, 3)))
    with pytest.raises(ValueError, match=r"weights\[1\] must have shape \(4, 5\)"):
        net.replaced([net.weights[0], net.weights[0], net.weights[2]])
    with pytest.raises(ValueError, match=r"biases\[0\] must have shape None"):
        net.replaced(net.weights, [torch.zeros(5), None, None])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": (3,)}, "widths must be positive integers"),
        ({"widths": (3, 0, 1)}, "widths must be positive integers"),
        ({"widths": (3, 2.0, 1)}, "widths must be positive integers"),
        ({"widths": 3}, "widths must be a sequence"),
        ({"activation": "swish"}, "activation must be one of"),
        ({"gain": -1.0}, "gain must be finite and non-negative"),
        ({"gain": (1.0, 2.0)}, "gain must be one number or 3"),
        ({"gain": "much"}, "gain must hold numbers"),
        ({"bias": math.nan}, "bias must be finite"),
        ({"variances": [None]}, "variances must be a list with one entry per layer"),
        ({"variances": 1.0}, "variances must be a list with one entry per layer"),
        ({"variances": [None, torch.ones(5, 4), None]}, r"variances\[1\] must have shape \(4, 5\)"),
        ({"variances": [-1.0, None, None]}, r"variances\[0\] must be finite and non-negative"),
        ({"variances": [None, None, "x"]}, r"variances\[2\] must hold numbers"),
        ({"dtype": torch.float16}, "dtype must be"),
        ({"device": "tpu"}, "device must be one of"),
    ],
)
def test_bad_networks(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MLP(**({"widths": WIDTHS} | arguments))


def test_bad_masks_and_inputs() -> None:
    net = MLP(WIDTHS)
    with pytest.raises(ValueError, match="masks must be a list with one entry per layer"):
        net.pruned([None])
    with pytest.raises(
        ValueError, match=r"masks\[0\] must be None or a tensor of dtype torch.bool"
    ):
        net.pruned([torch.ones(5, 3), None, None])
    with pytest.raises(ValueError, match=r"masks\[2\] must have shape \(2, 4\), got \(4, 2\)"):
        net.pruned([None, None, torch.ones(4, 2, dtype=torch.bool)])
    with pytest.raises(ValueError, match=r"x must be a tensor of shape \(N, 3\) with N ≥ 1"):
        net(torch.ones(2, 4))
    with pytest.raises(ValueError, match="x must be a tensor of shape"):
        net(torch.ones(0, 3))
    with pytest.raises(ValueError, match="x must be finite"):
        net(torch.tensor([[1.0, math.nan, 0.0]]))
    with pytest.raises(ValueError, match=r"x must be finite in torch\.float32"):
        MLP(WIDTHS, dtype=torch.float32)(torch.full((1, 3), 1e300, dtype=torch.float64))
    with pytest.raises(ValueError, match="x must hold real numbers"):
        net(torch.ones(1, 3, dtype=torch.complex64))
    with pytest.raises(ValueError, match="layer must lie between 1 and 3"):
        net.effective(0)


# -------------------------------------------------------------------------------------- masks


def test_bernoulli_masks_have_the_graphons_frequencies() -> None:
    """Block frequencies within five standard errors; layers and seeds are independent draws."""
    widths = (300, 400, 400, 1)
    blocks = [[0.1, 0.6], [0.3, 0.9]]
    masks = graphon_masks([BlockGraphon(blocks), lambda u, v: 0.3 + 0.5 * v, None], widths, seed=2)
    assert masks[2] is None
    first, second = masks[0], masks[1]
    assert first is not None
    assert second is not None
    for a in range(2):
        for b in range(2):
            part = first[a * 200 : (a + 1) * 200, b * 150 : (b + 1) * 150].double()
            p = blocks[a][b]
            assert abs(float(part.mean()) - p) < 5 * math.sqrt(p * (1 - p) / part.numel())
    v = (torch.arange(400) + 0.5) / 400
    expected = 0.3 + 0.5 * v
    share = second.double().mean(dim=1)
    assert float((share - expected).abs().max()) < 6 * math.sqrt(0.25 / 400)
    agree = float((graphon_masks(0.5, (200, 200))[0] == graphon_masks(0.5, (200, 200), 1)[0]).double().mean())  # type: ignore[union-attr]  # fmt: skip  # noqa: E501
    assert abs(agree - 0.5) < 5 * 0.5 / 200


@given(p=st.floats(0.0, 1.0), d=st.integers(1, 9), n=st.integers(1, 9), seed=st.integers(0, 2**70))
def test_exact_counts(p: float, d: int, n: int, seed: int) -> None:
    mask = graphon_masks(p, (d, n), seed, count="exact")[0]
    assert mask is not None
    assert int(mask.sum()) in {math.floor(p * d * n + 0.5 + s) for s in (-1e-8, 0.0, 1e-8)}
    again = graphon_masks([p], (d, n), seed, count="exact")[0]
    assert again is not None
    assert torch.equal(mask, again)


def test_exact_masks_respect_zero_and_one_and_keep_inclusion_probabilities() -> None:
    def graphon(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.where(v < 0.25, 0.0, np.where(v > 0.75, 1.0, 0.2 + 0.5 * u)) + 0.0 * u

    total = torch.zeros(40, 40, dtype=torch.float64)
    draws = 200
    for seed in range(draws):
        mask = graphon_masks(graphon, (40, 40), seed, count="exact")[0]
        assert mask is not None
        total += mask
    assert float(total[:10].max()) == 0.0
    assert float(total[30:].min()) == draws
    expected = 0.2 + 0.5 * (torch.arange(40) + 0.5) / 40
    column = total[10:30].mean(dim=0) / draws
    assert float((column - expected).abs().max()) < 5 * math.sqrt(0.25 / (20 * draws))


def test_graphon_forms_agree() -> None:
    """A number, a graphon, a callable, a matrix: one graphon, one mask."""
    forms = [0.4, ConstantGraphon(0.4), lambda u, v: 0.4, np.full((3, 2), 0.4), [torch.full((1, 1), 0.4)]]  # fmt: skip  # noqa: E501
    masks = [graphon_masks(form, (20, 30), seed=4)[0] for form in forms]
    for mask in masks[1:]:
        assert mask is not None
        assert torch.equal(mask, masks[0])


def test_positions_move_the_graphon() -> None:
    limit = criteria.snip().limit(0.3)
    plain = variance_profile(limit, (4, 3))[0]
    u, v = np.array([0.9, 0.1, 0.5, 0.5]), np.array([0.2, 0.8, 0.3])
    moved = variance_profile(limit, (4, 3), positions=[u, v])[0]
    assert plain is not None
    assert moved is not None
    np.testing.assert_allclose(moved.numpy(), limit.values(u[None, :], v[:, None]), rtol=1e-14)
    grid = ((np.arange(4) + 0.5) / 4)[None, :], ((np.arange(3) + 0.5) / 3)[:, None]
    np.testing.assert_allclose(plain.numpy(), limit.values(*grid), rtol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.5, (3, 2)), r"graphons\[0\] must have values in \[0, 1\], got 1\.5"),
        ((lambda u, v: u - v, (3, 2)), r"graphons\[0\] must have finite, non-negative"),
        ((lambda u, v: np.nan, (3, 2)), r"graphons\[0\] must have finite"),
        ((lambda u, v: np.ones(7), (3, 2)), r"graphons\[0\] must give values that broadcast"),
        (([0.5, 0.5], (3, 2)), "graphons must be one graphon or a list of 1"),
        (("half", (3, 2)), r"graphons\[0\] must be None, a number, a graphon"),
        (([0.5, [0.5]], (3, 2, 1)), r"graphons\[1\] must be None, a number"),
    ],
)
def test_bad_graphons(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        graphon_masks(*arguments)


def test_bad_mask_options() -> None:
    with pytest.raises(ValueError, match="count must be one of"):
        graphon_masks(0.5, (3, 2), count="some")
    with pytest.raises(ValueError, match="positions must be a list with 2 entries"):
        graphon_masks(0.5, (3, 2), positions=[None])
    with pytest.raises(ValueError, match=r"positions\[1\] must hold 2 numbers in \[0, 1\]"):
        graphon_masks(0.5, (3, 2), positions=[None, [0.5, 1.5]])
    assert variance_profile([3.0], (3, 2))[0] is not None


def test_threads_draw_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from numerics import mlp

    one = MLP(WIDTHS, bias=0.2, seed=7, law=laws.Uniform())
    monkeypatch.setattr(mlp, "_MANY", 0)
    several = MLP(WIDTHS, bias=0.2, seed=7, law=laws.Uniform())
    for a, b in zip(one.weights + one.biases, several.weights + several.biases, strict=True):
        assert torch.equal(a, b)
