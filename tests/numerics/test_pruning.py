"""Masks of deep networks: exact counts, thresholds, what is dead, and nothing silent."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from numerics.deep_derivatives import mean_gradients
from numerics.deep_scores import grasp_scores, snip_scores
from numerics.initialisation import initialised
from numerics.masks import keep_largest
from numerics.mlp import MLP
from numerics.mlp_masks import graphon_masks
from numerics.pruning import DEEP_CRITERIA, Pruned, prune, scores
from numerics.pruning_report import dead_neurons
from numerics.ranking import kept_count
from numerics.selection import largest
from numerics.synflow import synflow

WIDTHS = (6, 20, 15, 10, 4)
SCORED = tuple(name for name in DEEP_CRITERIA if name != "synflow")


def network(**options: object) -> MLP:
    return MLP(WIDTHS, "tanh", gain=2.0, seed=3, **options)


def data(n: int = 12, d: int = 6) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.standard_normal((n, d))), torch.from_numpy(rng.integers(4, size=n))


# ------------------------------------------------------------------------------------ selection


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 2, 70_000, 299_999, 300_000])
@pytest.mark.parametrize("kind", ["normal", "heavy", "few", "constant"])
def test_selection_is_a_sort(kind: str, count: int, dtype: torch.dtype) -> None:
    """Large enough for the bracket; atoms of ties at the threshold, and extreme counts."""
    rng = np.random.default_rng(0)
    draws: dict[str, Callable[[tuple[int, int]], object]] = {
        "normal": rng.standard_normal,
        "heavy": lambda shape: rng.standard_cauchy(shape) ** 3,
        "few": lambda shape: rng.integers(3, size=shape).astype(float),
        "constant": np.ones,
    }
    parts = [torch.as_tensor(draws[kind](s), dtype=dtype) for s in ((100, 500), (500, 500))]
    masks, threshold = largest(parts, count)
    flat, kept = (torch.cat([each.ravel() for each in many]) for many in (parts, masks))
    assert int(kept.sum()) == count
    assert float(flat[kept].min()) == threshold == float(flat.sort(descending=True)[0][count - 1])
    assert count == 300_000 or float(flat[~kept].max()) <= threshold


def test_selection_agrees_with_its_twin_in_memory() -> None:
    rng = np.random.default_rng(0)
    parts = [torch.from_numpy(np.round(rng.standard_normal(s), 2)) for s in ((300, 700), (200, 9))]
    ours, _ = largest(parts, kept_count(0.3, 211_800), seed=4)
    theirs = keep_largest(parts, 0.3, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_bracket_that_misses_is_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    from numerics import selection

    monkeypatch.setattr(selection, "_pilot", lambda scores, seed: np.linspace(50.0, 60.0, 2**16))
    part = torch.from_numpy(np.random.default_rng(0).standard_normal((600, 600)))
    (mask,), threshold = largest([part], 1000)
    assert threshold == float(part.ravel().sort(descending=True)[0][999])
    assert int(mask.sum()) == 1000


@pytest.mark.parametrize("count", [0, 13])
def test_impossible_counts(count: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 12"):
        largest([torch.ones(3, 4)], count)


# ------------------------------------------------------------------------------------- counting


@pytest.mark.parametrize("criterion", SCORED)
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("keep", [(), (1,), (1, 4)])
def test_counts_and_thresholds(criterion: str, scope: str, keep: tuple[int, ...]) -> None:
    net, (x, y) = network(), data()
    pruned = prune(net, criterion, 0.37, x, y, scope=scope, keep=keep)
    values = scores(net, criterion, x, y)
    layers = [layer for layer in range(1, 5) if layer not in keep]
    sizes = {layer: net.weights[layer - 1].numel() for layer in layers}
    masks = {layer: pruned.masks[layer - 1] for layer in layers}
    kept = {layer: int(mask.sum()) for layer, mask in masks.items() if mask is not None}
    assert set(kept) == set(layers)
    if scope == "global":
        assert sum(kept.values()) == kept_count(0.37, sum(sizes.values()))
        assert len({pruned.thresholds[layer - 1] for layer in layers}) == 1
    else:
        assert kept == {layer: kept_count(0.37, size) for layer, size in sizes.items()}
    for layer in range(1, 5):
        threshold = pruned.thresholds[layer - 1]
        if layer in keep:
            assert (pruned.masks[layer - 1], threshold) == (None, None)
            assert pruned.densities[layer - 1] == 1.0
            continue
        assert threshold is not None
        assert torch.equal(masks[layer], values[layer - 1] >= threshold)
        assert pruned.densities[layer - 1] == kept[layer] / sizes[layer]
    assert pruned.achieved == sum(kept.values()) / sum(sizes.values())
    assert (pruned.criterion, pruned.density) == (criterion, 0.37)
    assert pruned.apply(net).densities == pytest.approx(pruned.densities)


def test_criteria_by_name_are_the_scores() -> None:
    net, (x, y) = network(), data()
    signed = scores(net, "grasp-signed", x, y, temperature=5.0)
    for a, b, c in zip(
        signed,
        grasp_scores(net, x, y, temperature=5.0),
        scores(net, "grasp", x, y, temperature=5.0),
        strict=True,
    ):
        assert torch.equal(a, b)
        assert torch.equal(a.abs(), c)
    for a, b in zip(scores(net, "snip", x, y), snip_scores(net, x, y), strict=True):
        assert torch.equal(a, b)


def test_grasp_keeps_what_its_paper_keeps() -> None:
    """The weights with the largest −θ ∘ Hg are removed: removal changes |g|² by −2 θ ∘ Hg."""
    net, (x, y) = network(), data()
    pruned = prune(net, "grasp-signed", 0.6, x, y, loss="cross-entropy")
    values = grasp_scores(net, x, y)
    removed = [-s[~m] for s, m in zip(values, pruned.masks, strict=True) if m is not None]
    kept = [-s[m] for s, m in zip(values, pruned.masks, strict=True) if m is not None]
    assert float(torch.cat(removed).min()) >= float(torch.cat(kept).max())

    def flow(W: Tensor) -> float:
        weights = [net.weights[0], W, *net.weights[2:]]
        return sum(float(g.square().sum()) for g in mean_gradients(net.replaced(weights), x, y))

    W, step = net.weights[1], 1e-5
    shrunk = W.clone()
    shrunk[3, 4] *= 1 - step
    change = (flow(shrunk) - flow(W)) / step
    assert change == pytest.approx(-2 * float(values[1][3, 4]), rel=1e-3)


def test_parametrisation_of_the_network_is_the_default() -> None:
    x, y = data()
    for criterion in ("magnitude", "grasp-signed"):
        kaiming = initialised(WIDTHS, "tanh", "kaiming", seed=3)
        own = prune(kaiming, criterion, 0.3, x, y)
        standard, ntk = (
            prune(kaiming, criterion, 0.3, x, y, parametrisation=p) for p in ("standard", "ntk")
        )
        assert own.densities == standard.densities
        assert own.densities != ntk.densities
    by_layer = [
        prune(kaiming, "magnitude", 0.3, scope="layer", parametrisation=p).masks
        for p in ("standard", "ntk")
    ]
    assert all(torch.equal(a, b) for a, b in zip(*by_layer, strict=True))  # a factor per layer


def test_seed_draws_random_masks_and_decides_ties_alone() -> None:
    net, (x, y) = network(), data()
    same = [prune(net, "snip", 0.3, x, y, seed=seed).masks for seed in (0, 1)]
    assert all(torch.equal(a, b) for a, b in zip(*same, strict=True))
    one, again, other = (prune(net, "random", 0.3, seed=seed).masks[1] for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_pruning_a_pruned_network() -> None:
    net = network().pruned([None, *graphon_masks(0.5, WIDTHS, count="exact")[1:]])
    x, y = data()
    for criterion, scope in product(SCORED, ("global", "layer")):
        pruned = prune(net, criterion, 0.3, x, y, scope=scope, keep=(4,))
        for before, after in zip(net.masks[1:], pruned.masks[1:], strict=True):
            assert not bool((after & ~before).any())
        assert torch.equal(pruned.masks[3], net.masks[3])
        total = sum(W.numel() for W in net.weights[:3])
        assert abs(pruned.achieved * total - 0.3 * total) <= (0.5 if scope == "global" else 1.5)
    with pytest.raises(ValueError, match=r"density must be at most 0\.5"):
        prune(net, "grasp-signed", 0.51, x, y, scope="layer")


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_synflow_is_the_one_of_its_module(scope: str) -> None:
    net = network()
    pruned = prune(net, "synflow", 0.2, scope=scope, keep=(4,), rounds=7, schedule="linear")
    direct = synflow(net.weights, 0.2, scope=scope, keep=(4,), rounds=7, schedule="linear")
    assert all(torch.equal(a, b) for a, b in zip(pruned.masks[:3], direct.masks[:3], strict=True))
    assert pruned.masks[3] is None
    assert pruned.densities == direct.densities
    assert pruned.dead.off_path == direct.dead
    last = direct.thresholds[-1].tolist()
    assert pruned.thresholds == (*(last * 3 if scope == "global" else last), None)
    once = prune(net, "synflow", 0.2, scope=scope, keep=(4,), rounds=1)
    assert not torch.equal(once.masks[1], pruned.masks[1])


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("first", ["random", "magnitude", "snip"])
def test_synflow_keeps_what_is_asked_of_a_pruned_network(first: str, scope: str) -> None:
    """Earlier masks leave edges without flow; what is gone must not be drawn in their place."""
    x, y = data()
    net = MLP((6, 40, 40, 40, 4), "relu", gain=2.0, seed=1)
    before = prune(net, first, 0.05, x, y, scope=scope)
    sparse = before.apply(net)
    for density in (0.05, 0.049, 0.02):
        pruned = prune(sparse, "synflow", density, rounds=5, scope=scope)
        for after, mask, W in zip(pruned.masks, before.masks, net.weights, strict=True):
            assert not bool((after & ~mask).any())
            if scope == "layer":
                assert int(after.sum()) == kept_count(density, W.numel())
        if scope == "global":
            size = sum(W.numel() for W in net.weights)
            assert sum(int(m.sum()) for m in pruned.masks) == kept_count(density, size)
        assert not any("weights less" in note for note in pruned.notes)
    if scope == "global":  # nothing is left to cut
        same = prune(sparse, "synflow", 0.05)
        assert all(torch.equal(a, b) for a, b in zip(same.masks, before.masks, strict=True))
    with pytest.raises(ValueError, match=r"density must be at most 0\.05"):
        prune(sparse, "synflow", 0.3)


# --------------------------------------------------------------------------- what became of it


def brute_dead(masks: list[np.ndarray]) -> tuple[list[int], list[int], list[int]]:
    """Enumerate the paths."""
    sizes = [masks[0].shape[1], *(len(m) for m in masks)]
    on_path = [set() for _ in sizes]
    for path in product(*(range(n) for n in sizes)):
        if all(m[j, i] for m, i, j in zip(masks, path, path[1:], strict=False)):
            for found, unit in zip(on_path, path, strict=True):
                found.add(unit)
    hidden = range(1, len(sizes) - 1)
    return (
        [sum(not masks[k - 1][i].any() for i in range(sizes[k])) for k in hidden],
        [sum(not masks[k][:, i].any() for i in range(sizes[k])) for k in hidden],
        [sizes[k] - len(on_path[k]) for k in hidden],
    )


@given(seed=st.integers(0, 10**6), density=st.floats(0.1, 0.7), dense=st.integers(0, 4))
def test_dead_neurons_are_on_no_path(seed: int, density: float, dense: int) -> None:
    widths = (3, 4, 5, 3, 2)
    rng = np.random.default_rng(seed)
    arrays = [rng.random((n, m)) < density for m, n in pairwise(widths)]
    masks: list[Tensor | None] = [torch.from_numpy(a) for a in arrays]
    if dense < 4:
        arrays[dense][:] = True
        masks[dense] = None
    dead = dead_neurons(masks, widths)
    assert (list(dead.incoming), list(dead.outgoing), list(dead.off_path)) == brute_dead(arrays)


def test_a_severed_layer_is_reported() -> None:
    net = network()
    net.weights[1] *= 1e-9
    pruned = prune(net, "magnitude", 0.2)
    assert pruned.severed == (2,)
    assert pruned.densities[1] == 0.0
    assert not pruned.connected
    assert "layer 2 lost all its weights" in pruned.notes
    assert pruned.dead.incoming[1] == 15
    assert pruned.dead.outgoing[0] == 20
    assert pruned.dead.off_path == (20, 15, 10)
    assert prune(net, "magnitude", 0.2, scope="layer").severed == ()
    assert pruned.apply(net).severed == (2,)


def test_a_network_may_be_severed_with_weights_in_every_layer() -> None:
    net = MLP((2, 2, 2, 1), seed=0)
    net.weights[0][:] = torch.tensor([[9.0, 8.0], [0.1, 0.2]])
    net.weights[1][:] = torch.tensor([[0.1, 7.0], [0.3, 0.2]])
    net.weights[2][:] = torch.tensor([[6.0, 0.1]])
    pruned = prune(net, "magnitude", 0.4)
    assert pruned.severed == ()
    assert not pruned.connected
    assert pruned.notes == ("no path leads from the inputs to the outputs",)
    assert pruned.dead.off_path == (2, 2)
    assert pruned.dead.incoming == (1, 1)
    assert pruned.dead.outgoing == (1, 1)


def notes(pruned: Pruned) -> str:
    return "; ".join(pruned.notes)


def test_degenerate_batches_are_noted() -> None:
    net, (x, y) = network(), data()
    assert prune(net, "snip", 0.5, x, y).notes == ()
    assert prune(net, "snip", 0.5, x, y).connected
    assert "all labels of the batch are equal" in notes(prune(net, "snip", 0.5, x, y * 0))
    x[:, 1], x[:, 2] = 0.0, 1.0
    said = notes(prune(net, "grasp-signed", 0.5, x, y))
    assert "2 of 6 inputs are constant over the batch, 1 of them zero" in said
    pairs = [(x[:6], y[:6]), (x[6:], y[6:])]
    assert notes(prune(net, "grasp-signed", 0.5, pairs)) == said
    assert "single sample" in notes(prune(net, "snip", 0.5, x[:1], y[:1]))


def test_weights_kept_by_lot_are_noted() -> None:
    net, (x, y) = network(), data()
    x[:, :3] = 0.0
    pruned = prune(net, "snip", 0.6, x, y, scope="layer")
    assert "12 kept weights of layer 1 score zero and were drawn by lot" in pruned.notes
    assert pruned.thresholds[0] == 0.0
    assert "drawn by lot" in notes(prune(net, "snip", 0.99, x, y))
    assert "drawn by lot" not in notes(prune(net, "snip", 0.3, x, y))


def test_scores_without_a_ranking_are_errors() -> None:
    net, (x, y) = network(), data()
    with pytest.raises(ValueError, match="scores are all zero"):
        prune(net.pruned([None, torch.zeros(15, 20, dtype=torch.bool), None, None]),
              "grasp-signed", 0.1, x * 0, y, keep=(3, 4))  # fmt: skip
    with pytest.raises(ValueError, match="scores of layer 1 are all zero"):
        prune(net, "snip", 0.1, x * 0, y, scope="layer")
    net.weights[2][0, 0] = torch.inf
    with pytest.raises(ValueError, match="scores of layer 3 must be finite"):
        prune(net, "magnitude", 0.1)
    net.weights[2][0, 0] = torch.nan
    with pytest.raises(ValueError, match="must be finite"):
        prune(net, "snip", 0.1, x, y)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("snap", 0.5), "criterion must be one of random"),
        (("snip", 0.5), "needs data"),
        (("random", 0.0), "density"),
        (("random", 1.5), "density"),
    ],
)
def test_bad_arguments(arguments: tuple[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        prune(network(), *arguments)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"scope": "neuron"}, "scope"),
        ({"keep": (0,)}, "keep must hold layers from 1 to 4"),
        ({"keep": (5,)}, "keep"),
        ({"keep": 1}, "keep"),
        ({"keep": (1, 2, 3, 4)}, "keep must leave"),
        ({"temperature": 2.0}, "temperature"),
        ({"loss": "hinge"}, "loss"),
        ({"x": torch.zeros(12, 5)}, "x must be a tensor of shape"),
    ],
)
def test_bad_options(options: dict[str, object], named: str) -> None:
    x, y = data()
    with pytest.raises(ValueError, match=named):
        prune(network(), "snip", 0.5, **({"x": x, "y": y} | options))


@pytest.mark.gpu
@pytest.mark.parametrize("criterion", SCORED)
def test_devices_agree(criterion: str) -> None:
    widths, (x, y) = (6, 300, 900, 4), data()
    nets = [
        initialised(widths, "tanh", "kaiming", seed=3, device=place, bias=True)
        for place in ("cpu", "cuda")
    ]
    here, there = (prune(net, criterion, 0.3, x.to(net.device), y) for net in nets)
    for a, b in zip(here.masks, there.masks, strict=True):
        assert b.device.type == "cuda"
        assert int((a != b.cpu()).sum()) <= 2  # scores differ by rounding
    assert here.dead == there.dead
