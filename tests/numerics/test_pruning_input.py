"""What pruners refuse: batches that are none, densities that are no numbers, wrong networks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from numerics.mlp import MLP
from numerics.module_pruning import prune_module
from numerics.pruning import prune


def network() -> MLP:
    return MLP((6, 20, 15, 10, 4), "tanh", gain=2.0, seed=3)


def data(n: int = 12) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.standard_normal((n, 6))), torch.from_numpy(rng.integers(4, size=n))


class Changing:
    """Another number of samples each time: what a generator in disguise, or a loader, may do."""

    def __init__(self) -> None:
        self.left = 12

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        x, y = data(self.left)
        self.left -= 4
        return iter([(x, y)])


X, Y = data()
ODD = {
    "complex": (X.cfloat(), Y, "x must hold rows of real numbers"),
    "scalar": (X[0, 0], Y, "x must hold rows"),
    "no pairs": ([X, X], None, r"x must yield pairs \(x, y\) of tensors"),
    "no tensors": ([(X.numpy(), Y.numpy())], None, r"x must yield pairs \(x, y\) of tensors"),
    "an empty batch": ([(X, Y), (X[:0], Y[:0])], None, "at least one sample each"),
    "few labels": ([(X, Y[:3])], None, "as many labels"),
    "two widths": ([(X, Y), (X[:, :3], Y)], None, "of one shape"),
    "no batch": ([], None, "x must hold at least one sample"),
    "changing": (Changing(), None, "x must yield the same batches every time"),
}


@pytest.mark.parametrize("criterion", ["snip", "grasp-signed"])
@pytest.mark.parametrize("name", ODD)
def test_batches_that_will_not_do(criterion: str, name: str) -> None:
    x, y, named = ODD[name]
    with pytest.raises(ValueError, match=named):
        prune(network(), criterion, 0.3, Changing() if name == "changing" else x, y)


def test_a_generator_is_refused() -> None:
    with pytest.raises(TypeError, match="can be iterated twice"):
        prune(network(), "snip", 0.3, (pair for pair in [(X, Y)]))


def test_complex_labels_are_refused() -> None:
    net = MLP((6, 5, 1), seed=0)
    with pytest.raises(ValueError, match="y must hold real numbers"):
        prune(net, "snip", 0.3, X, Y.cfloat(), loss="squared")


@pytest.mark.parametrize("density", [True, "0.5", None, [0.5]])
def test_densities_that_are_no_numbers(density: object) -> None:
    for criterion in ("random", "synflow"):
        with pytest.raises(TypeError, match="density must be a number"):
            prune(network(), criterion, density)  # type: ignore[arg-type]


def test_what_is_not_used_is_checked_too() -> None:
    with pytest.raises(TypeError, match="net must be an MLP, got Linear; prune_module"):
        prune(torch.nn.Linear(2, 2), "random", 0.3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="parametrisation must be one of"):
        prune(network(), "snip", 0.3, X, Y, parametrisation="other")
    with pytest.raises(ValueError, match="keep must hold layers"):
        prune(network(), "random", 0.3, keep=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="temperature must be positive"):
        prune(network(), "grasp-signed", 0.3, X, Y, temperature="hot")  # type: ignore[arg-type]


def test_synflow_has_a_threshold_where_its_last_rounds_cut_nothing() -> None:
    pruned = prune(network(), "synflow", 1e-9)
    assert None not in pruned.thresholds
    assert prune(network(), "synflow", 1.0).thresholds == (None,) * 4


def both(
    criterion: str, x: object = X, y: object = Y, **options: object
) -> list[tuple[float, ...]]:
    """Densities of a network and of its twin among modules."""
    net = network()
    module = nn.Sequential()
    for W, s in zip(net.weights, net.scales, strict=True):
        linear = nn.Linear(W.shape[1], W.shape[0], bias=False, dtype=W.dtype)
        linear.weight.data = W * s
        module.extend([linear, nn.Tanh()])
    found = prune(net, criterion, 0.3, x, y, parametrisation="standard", **options)  # type: ignore[arg-type]
    given = prune_module(module[:-1], criterion, 0.3, x, y, **options)  # type: ignore[arg-type]
    return [found.densities, tuple(given.densities.values())]


def test_temperatures_and_losses_are_checked_alike() -> None:
    one, other = both("grasp-signed", temperature=2.0)
    assert one == other
    assert both("grasp-signed", temperature=np.float32(2.0)) == [one, one]
    assert both("grasp-signed", temperature=2) == [one, one]
    net, module = network(), nn.Linear(6, 4, dtype=torch.float64)
    for pruner in (prune, prune_module):
        given: object = net if pruner is prune else module
        for temperature in (True, "2", 0, -1.0, float("nan"), torch.tensor(2.0)):
            with pytest.raises(ValueError, match="temperature must be positive"):
                pruner(given, "grasp-signed", 0.3, X, Y, temperature=temperature)  # type: ignore[operator]
        for loss in (None, True, ["squared"], "hinge"):
            with pytest.raises(ValueError, match="loss must be"):
                pruner(given, "snip", 0.3, X, Y, loss=loss)  # type: ignore[operator]
        for x, y, named in ((X.numpy(), Y, "x"), (X, Y.numpy(), "y")):
            with pytest.raises(TypeError, match=f"{named} must be a tensor, got an array of NumPy"):
                pruner(given, "snip", 0.3, x, y)  # type: ignore[operator]
    with pytest.raises(ValueError, match="temperature must be positive"):
        prune_module(module, "grasp", 0.3, X, Y, loss=nn.CrossEntropyLoss(), temperature=True)


@pytest.mark.parametrize("depth", [70, 74])
@pytest.mark.parametrize("criterion", ["grasp", "grasp-signed"])
def test_grasp_of_deep_networks_in_single_precision(criterion: str, depth: int) -> None:
    """Scores of the order of the gradient's square are no floats of single precision."""
    net = MLP([20, *[40] * depth, 5], "relu", gain=0.5, seed=0, dtype=torch.float32)
    double = net.replaced([W.double() for W in net.weights])
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((16, 20), dtype=np.float32))
    y = torch.from_numpy(rng.integers(5, size=16))
    module = nn.Sequential()
    for W, s in zip(net.weights, net.scales, strict=True):
        linear = nn.Linear(W.shape[1], W.shape[0], bias=False)
        linear.weight.data = W * s
        module.extend([linear, nn.ReLU()])
    found = prune(net, criterion, 0.1, x, y, parametrisation="standard")
    exact = prune(double, criterion, 0.1, x.double(), y, parametrisation="standard")
    given = prune_module(module[:-1], criterion, 0.1, x, y, apply=False)
    assert found.notes == exact.notes
    assert found.thresholds[0] == pytest.approx(exact.thresholds[0], rel=1e-3)
    size = sum(W.numel() for W in net.weights)
    for masks in (found.masks, list(given.masks.values())):
        differ = sum(int((a ^ b).sum()) for a, b in zip(masks, exact.masks, strict=True))  # type: ignore[operator]
        assert differ <= 1e-4 * size


def test_scores_below_the_range_are_noted() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((16, 20), dtype=np.float32))
    y = torch.from_numpy(rng.integers(5, size=16))
    net = MLP([20, *[40] * 70, 5], "relu", gain=0.14, seed=0, dtype=torch.float32)
    for criterion in ("snip", "grasp"):
        assert any(
            "end of the range of torch.float32" in note
            for note in prune(net, criterion, 0.1, x, y).notes
        )
