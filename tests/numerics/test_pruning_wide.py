"""Trials that keep histograms alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from numerics.histogram import sas
from numerics.initialisation import initialised
from numerics.masks_histogram import degree_histogram
from numerics.pruning import prune
from numerics.wide_pruning import mask_histograms, pruned_histograms

WIDTHS = (30, 90, 70, 5)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.standard_normal((20, 30), dtype=np.float32))
    return x, torch.from_numpy(rng.integers(5, size=20))


@pytest.mark.parametrize("shape", [(64, 64), (300, 77), (10, 200), (1, 1), (600, 3)])
@pytest.mark.parametrize("k", [1, 7, 64])
@pytest.mark.parametrize("jobs", [None, 1])
def test_sorted_means_are_those_of_sort_and_smooth(
    shape: tuple[int, int], k: int, jobs: int | None
) -> None:
    rng = np.random.default_rng(0)
    rows, cols = (rng.random(n) for n in shape)
    mask = rng.random(shape) < rows[:, None] * cols
    np.testing.assert_allclose(degree_histogram(mask, k, jobs), sas(mask, k), rtol=1e-14)


def test_sorted_means_need_a_mask() -> None:
    with pytest.raises(ValueError, match="mask must be a bool array"):
        degree_histogram(np.ones((3, 3)), 2)
    with pytest.raises(ValueError, match="k must be a positive integer"):
        degree_histogram(np.ones((3, 3), dtype=bool), 0)


@pytest.mark.parametrize("criterion", ["snip", "synflow"])
def test_a_trial_is_its_parts(criterion: str) -> None:
    x, y = data()
    found = pruned_histograms(
        WIDTHS, "tanh", criterion, 0.3, x, y, bins=8, seed=4, scheme="pytorch", bias=True,
        keep=(2,), rounds=5,
    )  # fmt: skip
    net = initialised(WIDTHS, "tanh", "pytorch", 4, bias=True, dtype=torch.float32)
    pruned = prune(net, criterion, 0.3, x, y, keep=(2,), rounds=5, seed=4)
    assert found.histograms[1] is None
    for k in (0, 2):
        mask, histogram = pruned.masks[k], found.histograms[k]
        assert mask is not None
        assert histogram is not None
        np.testing.assert_allclose(histogram, sas(mask, 8), rtol=1e-14)
        assert histogram.mean() == pytest.approx(pruned.densities[k], rel=1e-12)
    assert found.pruned.masks == []
    assert found.pruned.thresholds == pruned.thresholds
    assert found.pruned.dead == pruned.dead


def test_layers_too_small_for_the_grid_are_noted() -> None:
    masks = [torch.ones(4, 9, dtype=torch.bool), None, torch.ones(9, 9, dtype=torch.bool)]
    histograms, notes = mask_histograms(masks, 9)
    assert notes == ("layer 1 has 4 neurons on a side for 9 bins",)
    assert [h is None for h in histograms] == [False, True, False]
    found = pruned_histograms(WIDTHS, "relu", "random", 0.3, bins=40)
    assert found.notes[-2:] == (
        "layer 1 has 30 neurons on a side for 40 bins",
        "layer 3 has 5 neurons on a side for 40 bins",
    )
