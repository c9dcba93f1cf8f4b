"""What a coupled kernel says about low densities, ties and scores that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from numerics.coupled_kernel import CoupledKernel
from numerics.latent_batch import LatentBatch

RNG = np.random.default_rng(2)
X = torch.from_numpy(RNG.standard_normal((6, 10)))
R = torch.from_numpy(RNG.standard_normal((6, 1)))
FEW: dict[str, Any] = {"replicates": 2, "bias": False}


def batch(widths: tuple[int, ...], x: Tensor = X, r: Tensor = R, name: str = "relu") -> LatentBatch:
    return LatentBatch(x, widths, name, gain=2.0, residual=r)


# ------------------------------------------------------------------------------ low densities


@pytest.mark.parametrize("density", [4e-4, 1.4e-3])
def test_low_densities_are_met_on_average(density: float) -> None:
    """Of 1024 weights of the output layer 0.4 and 1.4 are to be kept, not 0 and 1."""
    wide = batch((10, 20_000, 1))
    options: dict[str, Any] = {"scope": "layer", "bias": False}
    found = CoupledKernel(wide, "snip", density, samples=1024, replicates=200, **options)()
    assert found.densities == pytest.approx((density, density), rel=1e-6)
    share = [float(each.diagonal().mean()) for each in found.per_layer]
    error = [float(each.diagonal().mean()) for each in found.error["per_layer"]]  # type: ignore[union-attr]
    assert all(s > 3.0 * e > 0.0 for s, e in zip(share, error, strict=True))
    assert any("weights that stand for layer 2 in a replicate about" in n for n in found.notes)
    assert not any("less than one" in note for note in found.notes)


def test_enough_samples_are_not_called_coarse() -> None:
    wide = batch((10, 200, 1))
    found = CoupledKernel(wide, "snip", 0.1, scope="layer", samples=1024, **FEW)()
    assert not any("coarse" in note for note in found.notes)
    coarse = CoupledKernel(wide, "snip", 0.1, scope="layer", samples=256, **FEW)()
    assert sum("coarse" in note for note in coarse.notes) == 1
    kept = CoupledKernel(wide, "snip", 0.1, scope="layer", keep=(2,), samples=256, **FEW)()
    assert not any("coarse" in note for note in kept.notes)


def test_a_common_threshold_cannot_tell_what_it_has_too_few_samples_for() -> None:
    """Four of 20000 weights are expected, and none of 128 samples is kept."""
    found = CoupledKernel(batch((10, 20_000, 1)), "snip", 2e-4, samples=64, **FEW)()
    assert not any("layer 2 keeps less than one" in note for note in found.notes)
    assert any("stand for layer 2" in note for note in found.notes)


# --------------------------------------------------------------------------------------- ties


def test_more_weights_than_scores_is_a_note() -> None:
    blank = X.clone()
    blank[:, ::2] = 0.0
    options: dict[str, Any] = {"scope": "layer", "samples": 256, **FEW}
    found = CoupledKernel(batch((10, 50, 1), blank, name="tanh"), "snip", 0.8, **options)()
    assert found.thresholds[0] == 0.0
    assert found.densities[0] == pytest.approx(0.8, abs=1e-9)
    assert any("of scores that vanish a share of 0.6 is kept at random" in n for n in found.notes)
    for density, name in ((0.4, "snip"), (1.0, "snip"), (0.8, "random"), (0.8, "magnitude")):
        fine = CoupledKernel(batch((10, 50, 1), blank, name="tanh"), name, density, **options)()
        assert not any("scores that vanish" in note for note in fine.notes), (density, name)


# ----------------------------------------------------------------------- scores that are none


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_equal_inputs_whose_residuals_cancel(name: str, dtype: torch.dtype) -> None:
    r = torch.tensor([[0.37], [-0.37], [0.21], [-0.21]], dtype=torch.float64)
    kernel = CoupledKernel(
        batch((10, 50, 50, 1), X[[0, 0, 1, 1]], r, name), samples=64, dtype=dtype, **FEW
    )
    with pytest.raises(ValueError, match="scores of 'snip' are all zero"):
        kernel()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "factor"), [("tanh", -1.0), ("relu", 2.0)])
def test_inputs_that_are_multiples_and_cancel(name: str, factor: float, dtype: torch.dtype) -> None:
    r = torch.cat([R[:2], -R[:2] / factor])
    kernel = CoupledKernel(
        batch((10, 50, 50, 1), torch.cat([X[:2], factor * X[:2]]), r, name),
        samples=64, dtype=dtype, **FEW,
    )  # fmt: skip
    with pytest.raises(ValueError, match="scores are all zero"):
        kernel()


def test_a_pair_that_does_not_cancel_is_as_if_it_were_one_input() -> None:
    options: dict[str, Any] = {"samples": 128, "replicates": 24, "bias": False}
    r = torch.cat([R[:3], 0.3 * R[:1]])
    double = CoupledKernel(batch((10, 50, 50, 1), X[[0, 1, 2, 0]], r), "snip", 0.3, **options)(X)
    r = torch.cat([1.3 * R[:1], R[1:3]])
    single = CoupledKernel(batch((10, 50, 50, 1), X[:3], r), "snip", 0.3, **options)(X)
    error = np.hypot(double.relative_error, single.relative_error)
    assert abs(np.mean(double.traces) / np.mean(single.traces) - 1.0) < 4.0 * error


# ------------------------------------------------------------------------- kernels that vanish


def test_errors_of_a_kernel_that_vanishes() -> None:
    dark = CoupledKernel(batch((10, 50, 50, 1)), "snip", 0.3, samples=64, replicates=2)(0.0 * X)
    assert float(dark.ntk.abs().max()) == 0.0
    assert dark.relative_error == 0.0
    assert dark.relative_error * float(dark.ntk.trace()) == 0.0
    assert dark.relative_bias == (0.0, 0.0)
