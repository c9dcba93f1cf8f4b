"""SynFlow by path sums against SynFlow by autograd, entry by entry; counts, ties, collapse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from numerics.path_sums import PathSums, path_sums
from numerics.ranking import kept_count
from numerics.seeds import generator
from numerics.synflow import SynFlow, scheduled, synflow
from numerics.synflow_cut import Group
from numerics.synflow_flat import FlatGroup


@pytest.fixture(autouse=True, scope="module", params=["one flat list", "lists of candidates"])
def way_of_cutting(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test here goes both ways, whatever the size of its network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("numerics.synflow._FLAT", 0 if "candidates" in request.param else 1 << 40)
        yield


def normal(widths: tuple[int, ...], seed: int = 0, dtype: Any = torch.float64) -> list[Tensor]:
    rng = generator(seed, "weights")
    pairs = itertools.pairwise(widths)
    return [torch.from_numpy(rng.standard_normal((n, d))).to(dtype) for d, n in pairs]


def by_autograd(
    weights: list[Tensor],
    density: float,
    rounds: int,
    schedule: str,
    scope: str,
    keep: tuple[int, ...],
    source: Tensor | None,
) -> list[Tensor]:
    """Score every edge in every round with autograd; sort; drop the smallest."""
    size = [w.numel() for w in weights]
    masks = [torch.ones_like(w) for w in weights]
    pruned = [i for i in range(len(weights)) if i + 1 not in keep]
    for step in range(1, rounds + 1):
        leaves = [w.abs().requires_grad_() for w in weights]
        h = torch.ones(weights[0].shape[1], dtype=torch.float64) if source is None else source
        for leaf, mask in zip(leaves, masks, strict=True):
            h = (leaf * mask) @ h
        h.sum().backward()
        if schedule == "linear" and step < rounds:
            share = 1.0 - (1.0 - density) * step / rounds
        else:
            share = density if step == rounds else density ** (step / rounds)
        for part in [pruned] if scope == "global" else [[i] for i in pruned]:
            scores = []
            for i in part:
                gradient = leaves[i].grad
                assert gradient is not None
                alive = masks[i] > 0
                scores.append(torch.where(alive, gradient * leaves[i].detach(), -1.0).ravel())
            order = torch.argsort(torch.cat(scores), descending=True)
            kept = torch.zeros(order.numel(), dtype=torch.float64)
            kept[order[: kept_count(share, sum(size[i] for i in part))]] = 1.0
            for i, piece in zip(part, kept.split([size[i] for i in part]), strict=True):
                masks[i] = piece.view(weights[i].shape)
    return [mask.bool() for mask in masks]


CASES: list[dict[str, Any]] = [
    {},
    {"rounds": 1, "density": 0.3},
    {"schedule": "linear", "rounds": 30},
    {"scope": "layer"},
    {"keep": (1,), "density": 0.1},
    {"keep": (2, 4), "scope": "layer"},
    {"source": torch.linspace(0.0, 2.0, 30, dtype=torch.float64)},
    {"density": 0.05, "rounds": 60},  # neurons die on the way
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_masks_are_those_of_autograd(case: dict[str, Any]) -> None:
    full = {
        "density": 0.2, "rounds": 100, "schedule": "exponential", "scope": "global", "keep": (),
        "source": None, **case,
    }  # fmt: skip
    weights = normal((30, 60, 50, 40, 10))
    density = full.pop("density")
    found = synflow(weights, density, **full)
    slow = by_autograd(weights, density, **full)
    for fast, expected in zip(found.masks, slow, strict=True):
        assert torch.equal(fast, expected)
    assert found.notes == ()


def test_a_wide_layer_uses_the_lists() -> None:
    """Wide enough that samples and lists are parts of the whole."""
    weights = normal((100, 300, 300, 20), seed=3)
    found = synflow(weights, 0.3, rounds=40)
    slow = by_autograd(weights, 0.3, 40, "exponential", "global", (), None)
    assert all(torch.equal(a, b) for a, b in zip(found.masks, slow, strict=True))


@given(
    density=st.floats(0.01, 1.0), rounds=st.integers(1, 12), seed=st.integers(0, 99),
    schedule=st.sampled_from(["exponential", "linear"]), equal=st.booleans(),
)  # fmt: skip
def test_counts_are_exact_whatever_ties(
    density: float, rounds: int, seed: int, schedule: str, equal: bool
) -> None:
    weights = normal((6, 9, 7, 3), seed)
    if equal:
        weights = [torch.full_like(w, -2.0) for w in weights]
    found = synflow(weights, density, rounds=rounds, schedule=schedule, seed=seed)
    size = sum(w.numel() for w in weights)
    assert sum(found.kept) == kept_count(density, size)
    again = synflow(weights, density, rounds=rounds, schedule=schedule, seed=seed)
    assert all(torch.equal(a, b) for a, b in zip(found.masks, again.masks, strict=True))


def test_seed_decides_ties_only() -> None:
    equal = [torch.ones(20, 20)] * 3
    first, second = (synflow(equal, 0.5, seed=seed) for seed in (0, 1))
    assert not all(torch.equal(a, b) for a, b in zip(first.masks, second.masks, strict=True))
    weights = normal((20, 20, 20))
    first, second = (synflow(weights, 0.5, seed=seed) for seed in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.masks, second.masks, strict=True))


def test_scales_of_layers_do_not_matter_and_nothing_overflows() -> None:
    weights = normal((20, 40, 40, 40, 40, 10), dtype=torch.float32)
    scaled = [w * s for w, s in zip(weights, (1e30, 1e30, 1e-30, 1e25, 3.0), strict=True)]
    first, second = synflow(weights, 0.3), synflow(scaled, 0.3)
    assert all(torch.equal(a, b) for a, b in zip(first.masks, second.masks, strict=True))


def test_weights_stay_as_they_were() -> None:
    weights = normal((10, 20, 5))
    before = [w.clone() for w in weights]
    synflow(weights, 0.2)
    assert all(torch.equal(a, b) for a, b in zip(weights, before, strict=True))


def test_path_sums_are_sums_over_paths() -> None:
    weights = normal((3, 4, 2, 3), seed=5)
    masks = [torch.from_numpy(generator(1, i).random(w.shape) < 0.7) for i, w in enumerate(weights)]
    a, b, c = (w.abs() * m for w, m in zip(weights, masks, strict=True))
    source = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    found = path_sums(weights, masks, source)
    assert found.log_flow == pytest.approx(math.log(float((c @ b @ a @ source).sum())))
    through = torch.outer(torch.ones(3, dtype=torch.float64) @ c, a @ source) * b
    measured = found.outgoing[1][:, None] * b * found.incoming[1]
    assert torch.allclose(measured, through / through.sum())
    for g, layer, h in zip(found.outgoing, (a, b, c), found.incoming, strict=True):
        assert float(g @ layer @ h) == pytest.approx(1.0)


def test_one_shot_collapse_is_reported_and_iterations_avoid_it() -> None:
    """A thin layer has large scores only if the others are wide; one round can empty it."""
    weights = normal((40, 40, 40, 40), seed=2)
    weights[1] = torch.ones_like(weights[1])
    weights[1][:20] = 0.4  # a layer whose scores are all near their mean
    once = synflow(weights, 0.02, rounds=1)
    assert 2 in once.collapsed
    assert any("layer 2 lost all its edges" in note for note in once.notes)
    many = synflow(weights, 0.02, rounds=100)
    assert many.collapsed == ()
    assert many.notes == ()


def test_cuts_after_collapse_are_counted_and_noted() -> None:
    weights = [torch.eye(3), torch.zeros(3, 3), torch.eye(3)]
    found = synflow(weights, 0.3, rounds=5)
    assert sum(found.kept) == kept_count(0.3, 27)
    assert "no path was left before round 1" in found.notes[0]
    assert found.dead == (3, 3)


def test_dead_neurons_are_counted() -> None:
    weights = normal((4, 5, 3))
    weights[0][1] = 0.0
    weights[1][:, 2] = 0.0
    found = synflow(weights, 1.0)
    assert found.dead == (2,)
    assert found.densities == (1.0, 1.0)
    assert found.thresholds.isnan().all()


def test_thresholds_are_the_smallest_scores_kept() -> None:
    weights = normal((20, 30, 30, 10))
    found = synflow(weights, 0.4, rounds=1)
    sums = path_sums(weights)
    scores = [
        g[:, None] * w.abs() * h
        for g, w, h in zip(sums.outgoing, weights, sums.incoming, strict=True)
    ]
    kept = torch.cat([s[m] for s, m in zip(scores, found.masks, strict=True)])
    assert float(found.thresholds[0, 0]) == pytest.approx(float(kept.min()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": []}, "weights must be a list"),
        ({"weights": normal((3, 4)) + normal((3, 4))}, "must have 4 columns"),
        ({"weights": [torch.tensor([[math.nan]])]}, "must be finite"),
        ({"weights": [torch.zeros(0, 3)]}, "must be a matrix with entries"),
        ({"density": 0.0}, "density must lie in"),
        ({"density": 1.5}, "density must lie in"),
        ({"rounds": 0}, "rounds must be"),
        ({"schedule": "cosine"}, "schedule must be one of"),
        ({"scope": "row"}, "scope must be one of"),
        ({"keep": (0,)}, "keep must hold layer numbers"),
        ({"keep": (1, 2)}, "keep must leave"),
        ({"source": torch.ones(2)}, "source must be a vector of 3"),
        ({"source": -torch.ones(3)}, "source must hold finite"),
        ({"source": torch.zeros(3)}, "source must hold finite"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"weights": normal((3, 4, 2)), "density": 0.5, **change}
    with pytest.raises(ValueError, match=message):
        synflow(**arguments)


def test_no_tensor() -> None:
    with pytest.raises(TypeError, match="weights\\[0\\] must be a real"):
        synflow([np.ones((2, 2))], 0.5)  # type: ignore[list-item]


def test_schedules() -> None:
    assert scheduled(0.25, 1, 2) == pytest.approx(0.5)
    assert scheduled(0.25, 1, 2, "linear") == pytest.approx(0.625)
    assert scheduled(0.3, 7, 7) == 0.3
    with pytest.raises(ValueError, match="step must lie"):
        scheduled(0.3, 8, 7)


@pytest.mark.gpu
def test_cuda_keeps_the_same_edges() -> None:
    weights = normal((50, 200, 200, 10))
    here: SynFlow = synflow(weights, 0.2)
    there = synflow([w.cuda() for w in weights], 0.2)
    assert all(torch.equal(a, b.cpu()) for a, b in zip(here.masks, there.masks, strict=True))


def test_edges_without_flow_that_must_stay_are_noted() -> None:
    weights = [torch.ones(4, 4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)]
    weights[1][2:] = 0.0  # two neurons lead nowhere, and so do half of the first layer's edges
    told = synflow(weights, 0.75, rounds=1, scope="layer", keep=(2,))
    assert told.notes == ("from round 1 edges without flow are kept, at random",)
    assert int(told.masks[0][:2].sum()) == 8
    assert synflow(weights, 0.5, rounds=1, scope="layer", keep=(2,)).notes == ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_beyond_the_range_of_single_precision(dtype: torch.dtype) -> None:
    huge = [torch.full(shape, 1e38, dtype=dtype) for shape in ((20, 20), (3, 20))]
    found = synflow(huge, 0.5)
    assert found.notes == ()
    plain = synflow([torch.ones_like(each, dtype=torch.float64) for each in huge], 0.5)
    assert all(torch.equal(a, b) for a, b in zip(found.masks, plain.masks, strict=True))
    with pytest.raises(ValueError, match=r"weights must have sums over paths .* torch\.float64"):
        synflow([torch.full((20, 20), 1e307, dtype=torch.float64)] * 2, 0.5)
    with pytest.raises(ValueError, match="keep must hold layer numbers"):
        synflow(huge, 0.5, keep=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("small", [1e-10, 1e-20, 1e-25, 1e-40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_weak_path_beside_a_strong_dead_end(small: float, dtype: torch.dtype) -> None:
    """The strong neuron leads nowhere, so the scale is that of the only path."""
    weights = [
        torch.tensor(rows, dtype=dtype)
        for rows in ([[1.0], [small]], [[1.0, 0.0], [0.0, small]], [[0.0, 1.0]])
    ]
    assert path_sums(weights).log_flow == pytest.approx(2 * math.log(small), rel=1e-3)
    found = synflow(weights, 0.4, rounds=1)
    expected = [[[False], [True]], [[False, False], [False, True]], [[False, True]]]
    assert [mask.tolist() for mask in found.masks] == expected
    assert found.notes == ()


@pytest.mark.parametrize("scale", [1e-42, 1e-36, 1e-20])
def test_tiny_weights_have_the_masks_of_double_precision(scale: float) -> None:
    weights = [w * scale for w in normal((30, 60, 60, 10), dtype=torch.float32)]
    single, double = (
        synflow(weights, 0.2, rounds=5),
        synflow([w.double() for w in weights], 0.2, rounds=5),
    )
    assert single.notes == double.notes == ()
    differ = sum(int((a ^ b).sum()) for a, b in zip(single.masks, double.masks, strict=True))
    assert differ <= 0.002 * sum(w.numel() for w in weights)


def test_paths_that_no_float_can_hold_are_refused() -> None:
    least = [torch.full((2, 2), 1e-320, dtype=torch.float64)] * 2
    with pytest.raises(ValueError, match=r"range of torch\.float64"):
        synflow(least, 0.5)


@pytest.mark.parametrize("kind", [Group, FlatGroup])
def test_cuts_end_whatever_the_sums(kind: type[Group] | type[FlatGroup]) -> None:
    """Sums that are not numbers make no list complete; the cut says so instead of going on."""
    weights = normal((40, 300, 300, 10))
    sums = path_sums(weights)
    group = kind([0, 1, 2], weights, [None] * 3)
    broken = PathSums(sums.incoming, tuple(g * math.nan for g in sums.outgoing), 0.0)
    group.cut(1000, sums, generator(0))
    with pytest.raises(ValueError, match="finite path sums"):
        group.cut(1000, broken, generator(0))


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_earlier_masks_are_pruned_further(scope: str) -> None:
    weights = normal((20, 30, 30, 10))
    first = synflow(weights, 0.5, rounds=10, scope=scope)
    masks: list[Tensor | None] = [*first.masks[:2], None]
    second = synflow(weights, 0.3, rounds=10, scope=scope, masks=masks)
    assert first.masks[0].sum() == masks[0].sum()  # type: ignore[union-attr]
    for mask, before in zip(second.masks[:2], first.masks[:2], strict=True):
        assert not bool((mask & ~before).any())
    assert sum(second.kept) == sum(
        kept_count(0.3, n) for n in ([w.numel() for w in weights] if scope == "layer" else [1800])
    )
    columns_first = [None if mask is None else mask.T.contiguous().T for mask in masks]
    again = synflow(weights, 0.3, rounds=10, scope=scope, masks=columns_first)
    assert all(torch.equal(a, b) for a, b in zip(again.masks, second.masks, strict=True))
    held = synflow(weights, 0.3, keep=(1,), masks=masks, scope=scope)
    assert torch.equal(held.masks[0], first.masks[0])
    assert synflow(weights, 0.5, masks=first.masks, scope=scope).thresholds.isnan().all()
    with pytest.raises(ValueError, match="density must be at most"):
        synflow(weights, 0.9, masks=first.masks)
    for bad in (masks[:2], [None, None, first.masks[0]], [None, None, weights[2]]):
        with pytest.raises(ValueError, match="masks"):
            synflow(weights, 0.1, masks=bad)
