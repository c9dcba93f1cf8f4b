"""The coupled kernel where the answer is known, against real networks, and its bad inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Tensor

from numerics.coupled_kernel import CoupledKernel
from numerics.coupled_memory import tiles
from numerics.coupled_result import CoupledResult
from numerics.empirical_ntk import empirical_ntk
from numerics.kernel import GraphonKernel
from numerics.latent_batch import LatentBatch
from numerics.mlp import MLP
from numerics.pruned_limits import limit_kernel
from theory.criteria import criterion
from theory.laws import Law, Uniform
from theory.reduction import limit_factor

RNG = np.random.default_rng(5)
X = torch.from_numpy(RNG.standard_normal((6, 12)))
NEW = torch.from_numpy(RNG.standard_normal((3, 12)))
R = torch.from_numpy(RNG.standard_normal((6, 1)))
WIDTHS = (12, 200, 300, 400, 1)
LINEAR = sp.Symbol("z", real=True)


def batch(
    widths: tuple[int, ...] = WIDTHS, activation: Any = "relu", **options: Any
) -> LatentBatch:
    options = {"residual": R, "gain": 2.0 if activation == "relu" else 1.0} | options
    return LatentBatch(X, widths, activation, **options)


def deviation(found: Tensor, error: Tensor, exact: Tensor) -> float:
    """Largest distance in standard errors."""
    return float(((found - exact) / error).abs().max())


def relative(result: CoupledResult, exact: Tensor) -> float:
    """Distance of the mean diagonal, relative."""
    return float(result.ntk.diagonal().mean() / exact.diagonal().mean()) - 1.0


# ------------------------------------------------------------------------------ special cases


@pytest.mark.parametrize(
    ("name", "what"), [("relu", "snip"), ("tanh", "snip"), ("relu", "magnitude")]
)
def test_nothing_pruned_is_the_dense_kernel(name: str, what: str) -> None:
    options: dict[str, Any] = {"gain": [1.5, 2.0, 1.2, 0.7], "bias": [0.1, 0.3, 0.2, 0.4]}
    kernel = CoupledKernel(
        batch(activation=name, **options), what, 1.0, samples=256, replicates=32, bias=False
    )
    found = kernel(NEW)
    exact = GraphonKernel(name, depth=3, **options)(NEW, per_layer=True)
    assert deviation(found.ntk, found.error["ntk"], exact.ntk) < 4.5
    assert deviation(found.nngp, found.error["nngp"], exact.nngp) < 4.5
    assert deviation(found.per_layer, found.error["per_layer"], exact.per_layer) < 4.5
    assert found.relative_error < 0.04
    assert found.densities == (1.0, 1.0, 1.0, 1.0)


def test_several_outputs_are_independent_and_alike_when_nothing_is_pruned() -> None:
    several = batch((12, 200, 300, 3), residual=torch.randn(6, 3, generator=torch.manual_seed(0)))
    found = CoupledKernel(several, "snip", 1.0, samples=256, replicates=16, bias=False)(
        NEW, outputs="full"
    )
    exact = GraphonKernel("relu", depth=2, gain=2.0)(NEW, get="ntk")
    wanted = exact[:, :, None, None] * torch.eye(3, dtype=torch.float64)
    error = found.error["ntk"].clamp(min=1e-12)
    assert found.ntk.shape == (3, 3, 3, 3)
    assert deviation(found.ntk, error, wanted) < 5.0
    assert torch.allclose(found.ntk, found.ntk.permute(1, 0, 3, 2))


def test_nothing_pruned_leaves_the_latents_as_they_are() -> None:
    """On the batch itself not only the mean but each replicate is the dense one's."""
    coupled = CoupledKernel(batch(), "snip", 1.0, samples=128, replicates=2, seed=3)()
    apart = CoupledKernel(
        batch(), "snip", 1.0, samples=128, replicates=2, seed=3, coupling="none"
    )()
    # The same dense latents; only if pruned ones equal them do the two criteria coincide exactly.
    other = CoupledKernel(batch(), "magnitude", 1.0, samples=128, replicates=2, seed=3)()
    assert torch.allclose(coupled.ntk, other.ntk, rtol=1e-10)
    assert not torch.allclose(coupled.ntk, apart.ntk, rtol=1e-3)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_magnitude_multiplies_the_dense_kernel(scope: str) -> None:
    density = 0.3
    factor = float(limit_factor(criterion("magnitude").limit(density), 3))
    kernel = CoupledKernel(
        batch(), "magnitude", density, scope=scope, samples=256, replicates=32, bias=False
    )
    found = kernel(NEW)
    exact = factor * GraphonKernel("relu", depth=3, gain=2.0)(NEW, get="ntk")
    assert deviation(found.ntk, found.error["ntk"], exact) < 4.5
    assert abs(relative(found, exact)) < 0.1 < abs(density**4 / factor - 1.0)
    assert found.densities == pytest.approx((density,) * 4, abs=0.02)


def test_random_masks_are_the_constant_graphon() -> None:
    kernel = CoupledKernel(
        batch(activation="tanh"), "random", 0.4, samples=256, replicates=32, bias=False
    )
    found = kernel(NEW)
    exact = GraphonKernel("tanh", depth=3, density=0.4)(NEW, get="ntk")
    assert deviation(found.ntk, found.error["ntk"], exact) < 4.5
    assert found.relative_error < 0.04
    assert all(np.isnan(found.thresholds))


def test_one_hidden_layer_is_the_saliency_kernel() -> None:
    """Linear: scores are ``|w| |a| |E[r x_j]|``, a product, and the output layer stays dense."""
    density, rows = 0.2, (X.T @ R)[:, 0].abs().numpy()
    one = batch((12, 100, 1), LINEAR)
    kernel = CoupledKernel(
        one, "snip", density, scope="layer", keep=(2,), samples=4096, replicates=24, bias=False
    )
    found = kernel(NEW)
    for kind, close in (("saliency", True), ("graphon", False)):
        exact = limit_kernel("snip", density, 12, rows, kind=kind, activation=LINEAR)(NEW).ntk
        assert (deviation(found.ntk, found.error["ntk"], exact) < 4.5) is close
    fresh = CoupledKernel(
        one, "snip", density, scope="layer", keep=(2,), samples=4096, replicates=24,
        coupling="none", variance="graphon", bias=False,
    )(NEW)  # fmt: skip
    # Positions of the graphon kernel's output do not depend on those of the mask.
    assert float(fresh.ntk.diagonal().mean()) < 0.7 * float(found.ntk.diagonal().mean())


def test_grasp_is_snip_at_its_effective_residual() -> None:
    squared = batch(loss="squared")
    moved = batch(residual=squared.effective_residual(R.double(), None, "grasp"))
    first = CoupledKernel(squared, "grasp", 0.3, samples=128, replicates=2)()
    second = CoupledKernel(moved, "snip", 0.3, samples=128, replicates=2)()
    plain = CoupledKernel(squared, "snip", 0.3, samples=128, replicates=2)()
    assert torch.equal(first.ntk, second.ntk)
    assert not torch.allclose(first.ntk, plain.ntk, rtol=1e-3)


# ------------------------------------------------------------------------------ real networks


def network_kernels(widths: tuple[int, ...], scope: str, law: Law | None, seeds: int) -> Any:
    """Traces by layer (seeds, L + 1) and densities of networks pruned by SNIP, relu, gain 2."""
    shares, densities = [], []
    for seed in range(seeds):
        net = MLP(widths, "relu", gain=2.0, law=law, seed=seed)
        states = net.states(X)
        deltas = net.backward(states, R)
        parts = zip(net.weights, net.scales, deltas, states.h, strict=True)
        scores = [W.abs() * s * (d.T @ h).abs() for W, s, d, h in parts]
        if scope == "layer":
            masks = [s >= s.flatten().quantile(0.75) for s in scores]
        else:
            masks = [s >= torch.cat([t.flatten() for t in scores]).quantile(0.75) for s in scores]
        pruned = net.pruned(masks)
        kernel = empirical_ntk(pruned, NEW, per_layer=True)
        shares.append(kernel.diagonal(dim1=1, dim2=2).mean(dim=1))
        densities.append(torch.tensor(pruned.densities, dtype=torch.float64))
    return torch.stack(shares), torch.stack(densities)


@pytest.mark.parametrize(
    ("scope", "law"), [("layer", None), ("global", None), ("layer", Uniform())]
)
def test_networks_pruned_by_snip_have_this_kernel(scope: str, law: Law | None) -> None:
    widths = (12, 200, 200, 200, 1)
    shares, densities = network_kernels(widths, scope, law, 40)
    wide = batch(widths, law=law)
    found = CoupledKernel(wide, "snip", 0.25, scope=scope, samples=256, replicates=40, bias=False)(
        NEW
    )
    mine = found.per_layer.diagonal(dim1=1, dim2=2).mean(dim=1)
    error = (shares.var(dim=0) / len(shares)).sqrt()
    total = float(shares.sum(dim=1).mean())
    spread = float(shares.sum(dim=1).std()) / len(shares) ** 0.5 / total
    apart = float(mine.sum()) / total - 1.0
    assert abs(apart) < 3.5 * np.hypot(spread, found.relative_error)
    own = mine * found.relative_error * 1.5
    assert bool(((shares.mean(dim=0) - mine).abs() < 4.0 * (error**2 + own**2).sqrt()).all())
    assert densities.mean(dim=0).tolist() == pytest.approx(found.densities, abs=0.02)
    for options in ({}, {"variance": "graphon"}):
        wrong = CoupledKernel(
            wide,
            "snip",
            0.25,
            scope=scope,
            samples=256,
            replicates=8,
            bias=False,
            coupling="none",
            **options,
        )(NEW)
        assert abs(np.mean(wrong.traces) / total - 1.0) > 8.0 * np.hypot(spread, 0.04)


# ------------------------------------------------------------------------- errors and notes


def test_errors_shrink_with_samples_and_say_how_far_half_the_samples_are() -> None:
    found = {
        size: CoupledKernel(batch(), "snip", 0.3, samples=size, replicates=24)(NEW)
        for size in (64, 384)
    }
    assert found[384].relative_error < 0.65 * found[64].relative_error
    bias, error = found[384].relative_bias
    assert abs(bias) < 0.05 + 3.0 * error
    assert error < 1.5 * found[384].relative_error
    assert found[64].bias["ntk"].shape == found[64].bias_error["ntk"].shape == (3, 3)
    gap = np.mean(found[64].half) - np.mean(found[64].traces)
    assert float(found[64].bias["ntk"].diagonal().mean()) == pytest.approx(gap)


def test_without_bias_there_is_none() -> None:
    found = CoupledKernel(batch(), samples=64, replicates=2, bias=False)()
    assert found.bias == {}
    with pytest.raises(ValueError, match="bias"):
        _ = found.relative_bias


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, again, other = (
        CoupledKernel(batch(), samples=64, replicates=2, seed=seed)(NEW) for seed in (1, 1, 2)
    )
    assert torch.equal(first.ntk, again.ntk)
    assert not torch.equal(first.ntk, other.ntk)


def test_densities_and_layers_left_dense() -> None:
    found = CoupledKernel(batch(), "snip", 0.3, keep=(1, 4), samples=256, replicates=2)()
    assert found.densities[0] == found.densities[3] == 1.0
    assert found.thresholds[0] == -np.inf
    counts = np.array([200 * 300, 300 * 400])
    assert counts @ found.densities[1:3] / counts.sum() == pytest.approx(0.3, abs=1e-6)
    assert found.thresholds[1] == found.thresholds[2]
    listed = CoupledKernel(
        batch(), "snip", [0.5, 0.2, 0.4, 1.0], scope="layer", samples=256, replicates=2
    )()
    assert listed.densities == pytest.approx((0.5, 0.2, 0.4, 1.0), abs=0.002)


def test_masks_put_aside_for_random_ones() -> None:
    """Everywhere: the constant graphon of each layer's density. In one layer: something else."""
    options: dict[str, Any] = {"samples": 256, "replicates": 24, "bias": False}
    seen = CoupledKernel(batch(), "snip", 0.3, **options)(NEW)
    blind = CoupledKernel(batch(), "snip", 0.3, independent=(1, 2, 3, 4), **options)(NEW)
    first = CoupledKernel(batch(), "snip", 0.3, independent=(1,), **options)(NEW)
    factor = float(np.prod(seen.densities))
    exact = factor * GraphonKernel("relu", depth=3, gain=2.0)(NEW, get="ntk")
    assert blind.densities == seen.densities
    assert deviation(blind.ntk, blind.error["ntk"], exact) < 4.5
    gaps = [s - f for s, f in zip(seen.traces, first.traces, strict=True)]
    assert np.mean(blind.traces) < 0.5 * np.mean(first.traces)
    assert np.mean(gaps) > 4.0 * np.std(gaps) / len(gaps) ** 0.5


def test_float32_agrees() -> None:
    low, high = (
        CoupledKernel(batch(), "snip", 0.3, samples=256, replicates=8, bias=False, dtype=dtype)(NEW)
        for dtype in (torch.float32, torch.float64)
    )
    assert low.ntk.dtype == torch.float64
    error = np.hypot(low.relative_error, high.relative_error)
    assert abs(np.mean(low.traces) / np.mean(high.traces) - 1.0) < 4.0 * error


def test_notes() -> None:
    doubled = torch.cat([X[:5], X[:1]])
    copies = LatentBatch(doubled, WIDTHS, "relu", residual=R)
    found = CoupledKernel(copies, "snip", 0.3, samples=256, replicates=2)()
    assert torch.isfinite(found.ntk).all()
    assert any("duplicates" in note for note in found.notes)
    assert any("covariance of z in layer 2 is singular (rank 5 of 6)" in n for n in found.notes)
    random = LatentBatch(X, (12, 50, 50, 3), "tanh", y=torch.arange(6) % 3)
    few = CoupledKernel(random, "snip", 0.3, samples=64, replicates=2)()
    assert any("residual is random" in note for note in few.notes)
    assert any("less than four times" in note for note in few.notes)


# ----------------------------------------------------------------------------------- memory


def test_a_small_cap_changes_nothing_but_the_tiles() -> None:
    wide, points = batch(), torch.from_numpy(RNG.standard_normal((40, 12)))
    roomy, tight = (
        CoupledKernel(wide, samples=256, replicates=2, memory=memory)(points)
        for memory in (4096, 32)
    )
    device = torch.device("cpu")
    many, few = (tiles(wide, 256, 40, False, torch.float64, device, m) for m in (4096, 32))
    assert few.rows * few.pairs < many.rows * many.pairs
    assert few.mib <= 32 < many.mib
    assert torch.allclose(roomy.ntk, tight.ntk, rtol=1e-10)


def test_a_cap_that_is_too_small() -> None:
    with pytest.raises(ValueError, match="memory must be at least"):
        CoupledKernel(batch(), samples=1024, replicates=2, memory=20)()


# ------------------------------------------------------------------------------- bad inputs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "grasp-signed"}, "criterion must be one of"),
        ({"density": 0.0}, "density must lie"),
        ({"density": [0.2, 0.3], "scope": "layer"}, "density must be one number, or 4"),
        ({"density": [0.2] * 4}, "density must be one number, or 4"),
        ({"scope": "row"}, "scope must be"),
        ({"keep": (5,)}, "keep must name layers from 1 to 4"),
        ({"keep": (1, 2, 3, 4)}, "keep must leave"),
        ({"independent": (0,)}, "independent must name layers from 1 to 4"),
        ({"samples": 12}, "samples must exceed 12"),
        ({"samples": 65}, "samples must be an even"),
        ({"replicates": 1}, "replicates must be"),
        ({"coupling": "half"}, "coupling must be"),
        ({"variance": "graphon"}, "variance must be 'saliency'"),
        ({"memory": 0}, "memory must be positive"),
        ({"dtype": torch.float16}, "dtype must be"),
        ({"device": "tpu"}, "device"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CoupledKernel(batch(), **options)


def test_bad_batch_and_inputs() -> None:
    with pytest.raises(TypeError, match="batch must be a LatentBatch"):
        CoupledKernel(X)  # type: ignore[arg-type]
    kernel = CoupledKernel(batch(), samples=64, replicates=2)
    with pytest.raises(ValueError, match="x must have shape"):
        kernel(NEW[:, :5])
    with pytest.raises(ValueError, match="x must be finite"):
        kernel(NEW * np.nan)
    with pytest.raises(ValueError, match="outputs must be one of"):
        kernel(NEW, outputs="some")


def test_the_size_of_a_residual_does_not_matter() -> None:
    options: dict[str, Any] = {"samples": 64, "replicates": 2, "dtype": torch.float32}
    small, plain, large = (
        CoupledKernel(batch(residual=size * R), "snip", 0.3, **options)()
        for size in (1e-60, 1.0, 1e60)
    )
    for size, found in ((1e-60, small), (1e60, large)):
        assert torch.allclose(found.ntk, plain.ntk, rtol=1e-3)
        assert found.thresholds == pytest.approx([size * t for t in plain.thresholds], rel=1e-3)
        assert found.densities == pytest.approx(plain.densities, abs=1e-4)


def test_nothing_is_lost_in_silence() -> None:
    options: dict[str, Any] = {"samples": 64, "replicates": 2, "bias": False}
    for name in ("snip", "magnitude", "random"):
        found = CoupledKernel(batch(), name, 1e-6, **options)()
        assert any("layer 2 keeps less than one of its 60000 weights" in n for n in found.notes)
    kernel = CoupledKernel(batch(), "snip", 0.3, **options)
    with pytest.raises(ValueError, match=r"must give a kernel finite in torch\.float64"):
        kernel(NEW * 1e200)
    for keep in (1, (1.0,), None):
        with pytest.raises(ValueError, match="keep must name layers from 1 to 4"):
            CoupledKernel(batch(), "snip", 0.3, keep=keep)  # type: ignore[arg-type]
    for x in ("abc", [[1.0], [1.0, 2.0]]):
        with pytest.raises(ValueError, match="x must be"):
            kernel(x)
    with pytest.raises(ValueError, match="memory must be positive"):
        CoupledKernel(batch(), memory="much")  # type: ignore[arg-type]
    arrays = CoupledKernel(batch(), "snip", np.full(4, 0.3), scope="layer", **options)()
    assert arrays.densities == pytest.approx((0.3,) * 4, abs=0.01)


@pytest.mark.gpu
def test_gpu_agrees_with_the_cpu() -> None:
    here, there = (
        CoupledKernel(batch(), "snip", 0.3, samples=1024, replicates=12, device=device)(NEW)
        for device in ("cpu", "cuda")
    )
    assert there.ntk.device.type == "cuda"
    error = (here.error["ntk"] ** 2 + there.error["ntk"].cpu() ** 2).sqrt()
    assert deviation(here.ntk, error, there.ntk.cpu()) < 4.5
