"""What latent-feature graphons say, and refuse, where densities are low or scores cancel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from numerics.data import digits
from numerics.latent_batch import LatentBatch
from numerics.latent_graphon import LatentGraphon

DATA = digits(normalise=True)


def images(count: int) -> tuple[Tensor, Tensor]:
    return DATA.x[:count], DATA.y[:count]


def test_a_density_that_is_asked_for_is_not_lost_for_want_of_samples() -> None:
    x, y = images(8)
    batch = LatentBatch(x, (64, 50, 20_000, 2), "tanh", y=y % 2)
    graphon = LatentGraphon(batch, "snip", 1e-4, scope="layer")
    limit = graphon.solve(samples=64, replicates=2, bins=2)
    assert [note for note in limit.notes if "less than one" in note] == [
        "layer 1 keeps less than one of its 3200 weights"
    ]


def test_more_than_half_of_signed_scores_is_no_tie() -> None:
    x, y = images(8)
    x = x[:, x.any(dim=0)]
    for density in (0.5, 0.7):
        batch = LatentBatch(x, (x.shape[1], 50, 50, 10), "tanh", y=y)
        limit = LatentGraphon(batch, "grasp-signed", density).solve(
            samples=64, replicates=2, bins=4
        )
        assert not any("scores that vanish" in note for note in limit.notes)


def test_opposite_inputs_whose_scores_cancel_have_no_limit() -> None:
    """An odd activation has opposite states, equal slopes: no score is left but rounding."""
    x, _ = images(2)
    r = torch.tensor([[0.37], [0.21], [0.37], [0.21]], dtype=torch.float64)
    batch = LatentBatch(torch.cat([x, -x]), (64, 50, 50, 1), "tanh", residual=r)
    for dtype in (torch.float32, torch.float64):
        with pytest.raises(ValueError, match="scores are all zero"):
            LatentGraphon(batch, "snip", 0.2, dtype=dtype).solve(samples=64, replicates=2, bins=4)
