"""What pruners refuse: batches that are none, densities that are no numbers, wrong networks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from numerics.mlp import MLP
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
