"""Gradients against automatic differentiation; training against what the tangent kernel says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from numerics.empirical_ntk import TRAINABLE, empirical_ntk
from numerics.losses import LOSSES
from numerics.losses import loss as find_loss
from numerics.mlp import MLP
from numerics.mlp_masks import graphon_masks
from numerics.regression import gradient_flow, modes
from numerics.training import gradients, train

WIDTHS = (4, 9, 7, 3)


def data(n: int, d: int, outputs: int, loss: str = "squared") -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(3)
    x = torch.from_numpy(rng.standard_normal((n, d)))
    if loss == "cross-entropy":
        return x, torch.from_numpy(rng.integers(outputs, size=n))
    return x, torch.from_numpy(rng.standard_normal((n, outputs)))


@pytest.mark.parametrize("trainable", TRAINABLE)
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("activation", ["relu", "tanh", "gabor"])
def test_gradients_are_derivatives(activation: str, loss: str, trainable: str) -> None:
    net = MLP(WIDTHS, activation, gain=2.0, bias=(0.2, 0.0, 0.1), seed=1)
    net = net.pruned(graphon_masks([0.5, None, 0.7], WIDTHS))
    x, y = data(6, 4, 3, loss)
    found = gradients(net, x, y, loss, trainable)
    chosen = find_loss(loss)
    if trainable == "all":
        effective = [net.effective(k + 1) for k in range(3)]
        net = net.pruned([None] * 3).replaced(effective)
    W = [w.clone().requires_grad_(True) for w in net.weights]
    b = [None if v is None else v.clone().requires_grad_(True) for v in net.biases]
    value = chosen.total(net.replaced(W, b)(x), y)
    assert found.value == pytest.approx(float(value.detach()), rel=1e-12)
    value.backward()
    for got, leaf in zip([*found.weights, *found.biases], [*W, *b], strict=True):
        assert (got is None) is (leaf is None)
        if got is not None and leaf is not None:
            torch.testing.assert_close(got, leaf.grad, rtol=1e-11, atol=1e-13)


def test_one_step_by_hand() -> None:
    net = MLP(WIDTHS, "tanh", bias=0.1, seed=2).pruned(graphon_masks(0.5, WIDTHS))
    x, y = data(6, 4, 3)
    before = [w.clone() for w in net.weights]
    g = gradients(net, x, y)
    history = train(net, x, y, 1, 0.05)
    for old, w, slope, new in zip(
        before, net.weights, g.weights, history.network.weights, strict=True
    ):
        assert torch.equal(old, w)  # the network that was given is untouched
        torch.testing.assert_close(new, old - 0.05 * slope)
    assert history.losses[0] == pytest.approx(g.value)
    assert float(history.losses[1]) < float(history.losses[0])
    torch.testing.assert_close(history.outputs[0], net(x))
    torch.testing.assert_close(history.outputs[1], history.network(x))


def test_pruned_weights_stay_pruned_or_grow() -> None:
    net = MLP(WIDTHS, "tanh", seed=2).pruned(graphon_masks(0.5, WIDTHS))
    x, y = data(6, 4, 3)
    survivors = train(net, x, y, 5, 0.1).network
    everything = train(net, x, y, 5, 0.1, trainable="all").network
    for k, mask in enumerate(net.masks):
        assert mask is not None
        moved = survivors.weights[k] != net.weights[k]
        assert not bool((moved & ~mask).any())
        assert bool((moved & mask).any())
        assert everything.masks[k] is None
        assert float(everything.weights[k][~mask].abs().max()) > 0.0
    assert float(survivors.effective(1)[~net.masks[0]].abs().max()) == 0.0  # type: ignore[operator]


@pytest.mark.parametrize("trainable", TRAINABLE)
def test_a_wide_masked_network_follows_its_kernel(trainable: str) -> None:
    """Lazy training: the distance to the kernel's own dynamics falls as 1 / √width."""
    x = data(6, 5, 1)[0]
    y = torch.sin(2 * x[:, :1])
    distances = []
    for width in (64, 1024):
        gaps = []
        for seed in range(4):
            widths = (5, width, width, 1)
            net = MLP(widths, "tanh", gain=2.0, seed=seed)
            net = net.pruned(graphon_masks(0.3, widths, seed))
            kernel = empirical_ntk(net, x, trainable=trainable)
            rate = 0.2 / float(modes(kernel).values[0])
            history = train(net, x, y, 40, rate, trainable=trainable)
            predicted = gradient_flow(
                kernel, y, history.steps, start=net(x), rate=rate, dynamics="descent"
            )
            gaps.append(float((history.outputs - predicted.train).abs().max()))
        distances.append(float(np.mean(gaps)))
    # Sixteen times the width: a quarter of the distance, with room for four seeds.
    assert distances[1] < distances[0] / 2


@pytest.mark.parametrize("trainable", TRAINABLE)
def test_a_small_step_moves_outputs_by_the_kernel(trainable: str) -> None:
    """``df/dt = -Θ (f - y)`` at any width; the second difference bounds what a step leaves out."""
    net = MLP((4, 9, 7, 1), "tanh", bias=0.1, seed=2)
    net = net.pruned(graphon_masks(0.5, net.widths))
    x, y = data(6, 4, 1)
    kernel = empirical_ntk(net, x, trainable=trainable)
    expected = -kernel @ (net(x) - y)
    errors = []
    for rate in (1e-4, 1e-5):
        moved = train(net, x, y, 1, rate, trainable=trainable).outputs
        errors.append(float(((moved[1] - moved[0]) / rate - expected).abs().max()))
    assert errors[1] < 1e-3 * float(expected.abs().max())
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.05)  # first order in the step


def test_records() -> None:
    net = MLP(WIDTHS, "tanh")
    x, y = data(6, 4, 3)
    assert train(net, x, y, 7, 0.01, record=3).steps.tolist() == [0, 3, 6, 7]
    history = train(net, x, y, 7, 0.01, record=[5, 0])
    assert history.steps.tolist() == [0, 5]
    assert history.outputs.shape == (2, 6, 3)
    every = train(net, x, y, 7, 0.01)
    torch.testing.assert_close(history.losses, every.losses[[0, 5]])
    assert train(net, x, y, 0, 0.01).steps.tolist() == [0]


def test_accuracy() -> None:
    net = MLP((4, 64, 3), "relu", gain=2.0)
    x, y = data(6, 4, 3, "cross-entropy")
    history = train(net, x, y, 200, 0.3, loss="cross-entropy", record=200)
    accuracy = history.accuracy(y)
    assert accuracy.shape == (2,)
    assert float(accuracy[0]) == float((net(x).argmax(dim=1) == y).double().mean())
    assert float(accuracy[1]) == 1.0
    one = train(MLP((4, 64, 1), "relu", gain=2.0), x, torch.ones(6), 100, 0.05)
    assert float(one.accuracy(torch.ones(6))[-1]) == 1.0
    assert float(one.accuracy(-torch.ones(6))[-1]) == 0.0
    with pytest.raises(ValueError, match=r"y must have shape \(6,\)"):
        history.accuracy(y[:3])


def test_bad_arguments() -> None:
    net = MLP(WIDTHS, "relu")
    x, y = data(6, 4, 3)
    with pytest.raises(ValueError, match="trainable must be one of"):
        gradients(net, x, y, trainable="some")
    with pytest.raises(ValueError, match="trainable must be one of"):
        train(net, x, y, 1, 0.1, trainable="some")
    with pytest.raises(ValueError, match="loss must be one of"):
        train(net, x, y, 1, 0.1, loss="hinge")
    with pytest.raises(ValueError, match="y must be a tensor"):
        train(net, x, None, 1, 0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"y must have shape \(6, 3\)"):
        train(net, x, y[:4], 1, 0.1)
    for steps in (-1, 1.5, True):
        with pytest.raises(ValueError, match="steps must be an integer of at least 0"):
            train(net, x, y, steps, 0.1)  # type: ignore[arg-type]
    for rate in (0.0, -1.0, math.nan, "fast"):
        with pytest.raises(ValueError, match="rate must be a positive number"):
            train(net, x, y, 1, rate)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="record must be an integer of at least 1"):
        train(net, x, y, 1, 0.1, record=0)
    for record in ([], [2], [0.5]):
        with pytest.raises(ValueError, match="record must hold steps from 0 to 1"):
            train(net, x, y, 1, 0.1, record=record)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rate must be small enough to converge"):
        train(net, x, y, 200, 1e6)
