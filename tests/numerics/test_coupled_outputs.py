"""Outputs of networks whose masks know the dense outputs, against real networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from numerics.coupled_kernel import CoupledKernel
from numerics.latent_batch import LatentBatch


def kept(scores: np.ndarray, density: float) -> np.ndarray:
    """The mask of the largest scores."""
    dropped = scores.size - int(density * scores.size)
    mask: np.ndarray = scores >= np.partition(scores.ravel(), dropped)[dropped]
    return mask


def test_outputs_of_masks_that_know_the_outputs() -> None:
    """Squared loss with labels 0: the residual is the output, and the masks prefer what made it."""
    n, density, seeds = 200, 0.1, 3000
    x = 2.0 * torch.eye(2, 4, dtype=torch.float64)
    rng = np.random.default_rng(1)
    outputs = np.empty((seeds, 2))
    for k in range(seeds):
        W, a = rng.standard_normal((n, 4)), rng.standard_normal(n)
        h = np.tanh(W @ x.numpy().T / 2.0)
        score = np.abs(a * (h @ (h.T @ a)))
        outputs[k] = h.T @ (a * kept(score, density)) / n**0.5
    squares = (outputs**2).mean(axis=1)
    mean, error = squares.mean(), squares.std() / seeds**0.5
    seen = LatentBatch(x, (4, n, 1), "tanh", loss="squared", y=torch.zeros(2))
    found, blind = (
        CoupledKernel(seen, "snip", density, keep=(1,), samples=256, replicates=400, bias=False,
                      coupling=coupling)()
        for coupling in ("full", "none")
    )  # fmt: skip
    for kernel, close in ((found, True), (blind, False)):
        spread = float(kernel.error["nngp"].diagonal().square().mean().sqrt())
        gap = abs(float(kernel.nngp.diagonal().mean()) - mean)
        assert bool(gap < 4.0 * np.hypot(error, spread)) is close


X = 1.2 * torch.from_numpy(np.random.default_rng(3).standard_normal((2, 6)))
Y = torch.tensor([0, 1])


def moments_of_networks(output: Any, n: int, dense_end: bool, seeds: int) -> np.ndarray:
    """``sum_o f'_o f'_o^T / 2`` (seeds, 2, 2) of tanh networks that give ``output`` before pruning.

    Their output weights are drawn given that; masks are SNIP's under cross-entropy.
    """
    x, f, rng = X.numpy(), np.array(output), np.random.default_rng(0)
    p = torch.softmax(torch.tensor(f), dim=1).numpy() - np.eye(2)
    out = np.empty((seeds, 2, 2))
    for k in range(seeds):
        W, a = rng.standard_normal((n, 6)), rng.standard_normal((n, 2))
        h = np.tanh(x @ W.T / 6**0.5)
        A = h / n**0.5
        a += A.T @ np.linalg.solve(A @ A.T, f - A @ a)
        mask = kept(np.abs(W * (((1.0 - h * h) * (p @ a.T)).T @ x)), 0.1)
        end = 1.0 if dense_end else kept(np.abs(a * (h.T @ p)), 0.1)
        pruned = np.tanh(x @ (W * mask).T / 6**0.5) @ (a * end) / n**0.5
        out[k] = pruned @ pruned.T / 2.0
    return out


@pytest.mark.parametrize("dense_end", [True, False])
@pytest.mark.parametrize("output", [[[3.0, 3.0], [3.0, 3.0]], [[2.0, -2.0], [-2.0, 2.0]]])
def test_two_outputs_are_coupled_through_the_masks(
    output: list[list[float]], dense_end: bool
) -> None:
    """A hidden neuron's mask saw its weights to both outputs, so each tells about the other."""
    n, seeds = 800, 1200
    found = moments_of_networks(output, n, dense_end, seeds)
    mean, error = found.mean(axis=0), found.std(axis=0) / seeds**0.5
    batch = LatentBatch(X, (6, n, 2), "tanh", y=Y, output=torch.tensor(output))
    kernel = CoupledKernel(
        batch, "snip", 0.1, scope="layer", keep=(2,) if dense_end else (), samples=1024,
        replicates=100, bias=False,
    )()  # fmt: skip
    gap, own = np.abs(kernel.nngp.numpy() - mean), kernel.error["nngp"].numpy()  # type: ignore[union-attr]
    scale = float(np.trace(mean)) / 2.0
    assert float((gap - 4.0 * np.hypot(error, own)).max()) < 0.04 * scale
    assert float(np.hypot(error, own).max()) < 0.06 * scale


def test_outputs_that_are_not_pruned_are_those_given() -> None:
    """Nothing pruned: the pruned outputs are the dense ones, whatever they are."""
    output = torch.tensor([[2.0, -1.0, 0.5], [-2.0, 3.0, 0.0]], dtype=torch.float64)
    batch = LatentBatch(X, (6, 50, 3), "tanh", y=Y, output=output, bias=0.3)
    kernel = CoupledKernel(batch, "snip", 1.0, samples=2048, replicates=24, bias=False)()
    exact = output @ output.T / 3.0
    assert float(((kernel.nngp - exact) / kernel.error["nngp"]).abs().max()) < 4.0
    assert torch.allclose(kernel.nngp, exact, rtol=0.07)
