"""Latent-feature graphons: against networks, an integral and exact cases; errors and bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from numerics.data import digits
from numerics.deep_scores import grasp_scores, snip_scores
from numerics.histogram import sas
from numerics.initialisation import initialised
from numerics.latent_batch import LatentBatch
from numerics.latent_graphon import LatentGraphon, LatentLimit
from numerics.latent_histogram import combined
from numerics.masks import keep_largest
from numerics.mlp import MLP
from theory.laws import Gaussian, Uniform

DATA = digits(normalise=True)
SMALL = (64, 40, 40, 40, 10)
BINS = 16


def images(count: int, start: int = 0) -> tuple[Tensor, Tensor]:
    return DATA.x[start : start + count], DATA.y[start : start + count]


def distance(limit: LatentLimit, masks: list[Tensor]) -> list[float]:
    """Root mean square between sorted masks and a limit, for each layer."""
    out = []
    for layer, mask in zip(limit.layers, masks, strict=True):
        found = sas(mask, *layer.histogram.value.shape)
        out.append(float(np.sqrt(((found - layer.histogram.value) ** 2).mean())))
    return out


def misfit(graphon: LatentGraphon, limit: LatentLimit, masks: list[Tensor], n: int) -> float:
    """That distance over what a mask of width n *sampled* from the limit shows: 1 if it is true.

    Root mean square over the layers.
    """
    sampled = graphon.sampled(n, bins=BINS, replicates=3)
    ratios = []
    for found, layer, bias in zip(
        distance(limit, masks), sampled.layers, sampled.minus(limit), strict=True
    ):
        expected = (bias.value**2 + layer.histogram.noise**2 * 2.0 / 3.0).mean()
        ratios.append(found**2 / expected)
    return float(np.sqrt(np.mean(ratios)))


NEAR = 1.3
CASES = [("relu", 2.0, "global"), ("tanh", 1.0, "layer"), ("sigmoid", 1.0, "global")]


@pytest.mark.parametrize(("name", "gain", "scope"), CASES)
def test_snip_masks_of_a_network_and_their_densities(name: str, gain: float, scope: str) -> None:
    x, y = images(24)
    net = MLP((64, 700, 700, 700, 10), name, gain=gain, seed=2)
    masks = keep_largest(snip_scores(net, x, y), 0.2, per=scope)
    graphon = LatentGraphon(LatentBatch.of(net, x, y), "snip", 0.2, scope=scope)
    limit = graphon.solve(samples=1024, replicates=3, bins=BINS)
    for mine, layer in zip(limit.densities, masks, strict=True):
        assert mine == pytest.approx(float(layer.double().mean()), abs=0.03)
    assert misfit(graphon, limit, masks, 700) < NEAR
    blind = LatentBatch(x, net.widths, name, gain=gain, residual=torch.ones(24, 10))
    mutant = LatentGraphon(blind, "snip", 0.2, scope=scope)
    wrong = mutant.solve(samples=1024, replicates=3, bins=BINS)
    assert misfit(mutant, wrong, masks, 700) > NEAR


@pytest.mark.parametrize("signed", [False, True])
def test_grasp_through_the_gauss_newton_residual(signed: bool) -> None:
    x, y = images(24)
    net = initialised((64, 800, 800, 10), "relu", "kaiming", seed=4)
    scores = grasp_scores(net, x, y, gauss_newton=True)
    masks = keep_largest([s if signed else s.abs() for s in scores], 0.3)
    name = "grasp-signed" if signed else "grasp"
    graphon = LatentGraphon(LatentBatch.of(net, x, y), name, 0.3)
    limit = graphon.solve(samples=1024, replicates=3, bins=BINS)
    for mine, layer in zip(limit.densities, masks, strict=True):
        assert mine == pytest.approx(float(layer.double().mean()), abs=0.03)
    assert misfit(graphon, limit, masks, 800) < NEAR
    snip = LatentGraphon(graphon.batch, "snip", 0.3)
    wrong = snip.solve(samples=1024, replicates=3, bins=BINS)
    assert misfit(snip, wrong, masks, 800) > 2.0 * NEAR
    if signed:  # at most half of a large score's edges: the sign decides
        assert limit.layers[1].histogram.value.max() < 0.55


def test_uniform_weights_with_a_bias() -> None:
    x, y = images(24)
    net = initialised((64, 800, 800, 10), "tanh", "pytorch", bias=True, seed=1)
    masks = keep_largest(snip_scores(net, x, y), 0.2)
    found = {}
    assert LatentBatch.of(net, x, y).law == Uniform()
    for law in (Uniform(), Gaussian()):
        graphon = LatentGraphon(LatentBatch.of(net, x, y, law=law), "snip", 0.2)
        limit = graphon.solve(samples=1024, replicates=3, bins=BINS)
        found[law] = limit.densities[0]
        if law == Uniform():
            assert misfit(graphon, limit, masks, 800) < NEAR
    first = float(masks[0].double().mean())
    assert found[Uniform()] == pytest.approx(first, abs=0.005)
    assert abs(found[Gaussian()] - first) > 0.005


def test_one_input_is_an_integral_over_two_scalars() -> None:
    """With N = 1 the graphon is 2 Phi_bar(tau / |psi h|), sorted by |psi| and |h|."""
    x, y = images(1)
    batch = LatentBatch(x, SMALL, "tanh", y=y, residual=torch.linspace(-1.0, 0.5, 10)[None])
    graphon = LatentGraphon(batch, "snip", 0.3, scope="layer")
    found = graphon.solve(samples=1024, replicates=8, bins=8).layers[1]
    rng = np.random.default_rng(0)
    deviation = [float(each[0, 0]) ** 0.5 for each in batch.covariance]
    h = np.abs(np.tanh(deviation[0] * rng.standard_normal(400_000)))
    send = float(batch.backward[1][0, 0] * (batch.given**2).sum()) ** 0.5  # type: ignore[operator]
    slope = 1.0 - np.tanh(deviation[1] * rng.standard_normal(400_000)) ** 2
    psi = np.abs(slope * send * rng.standard_normal(400_000))
    levels = (np.arange(1024) + 0.5) / 1024
    a = np.quantile(psi, levels)[:, None] * np.quantile(h, levels) * batch.kappa(2)
    tau = float(found.threshold.value)
    P = 2.0 * norm.sf(tau / a)
    exact = P.reshape(8, 128, 8, 128).mean(axis=(1, 3))
    assert P.mean() == pytest.approx(0.3, abs=0.004)
    assert np.abs(found.histogram.value - exact).max() < 0.015
    assert np.sqrt(np.mean((found.histogram.value - exact) ** 2)) < 0.006


@pytest.mark.parametrize("criterion", ["random", "magnitude"])
def test_constant_graphons_are_exact_and_their_samples_show_the_known_bias(criterion: str) -> None:
    x, y = images(4)
    graphon = LatentGraphon(LatentBatch(x, SMALL, "relu", y=y), criterion, 0.2)
    limit = graphon.solve(bins=BINS)
    assert limit.residual == "none"
    assert limit.error == 0.0
    assert all(layer.exact for layer in limit.layers)
    assert np.allclose(limit.layers[1].histogram.value, 0.2)
    assert np.allclose(limit.densities, 0.2)
    first = limit.layers[0].histogram.value  # degrees over 64 inputs are binomial
    assert first[-1, 0] - first[0, 0] > 3.0 * np.sqrt(0.16 / 64)
    sampled = graphon.sampled(512, bins=BINS, replicates=6)
    assert np.isnan(sampled.layers[1].threshold.value) == (criterion == "random")
    bias = sampled.minus(limit)
    q = norm.ppf((np.arange(BINS) + 0.5) / BINS)
    known = np.sqrt(0.16 / 512) * (q[:, None] + q)
    middle = bias[1].value
    assert np.corrcoef(middle.ravel(), known.ravel())[0, 1] > 0.97
    assert np.sqrt(np.mean((middle - known) ** 2)) < 0.25 * known.std()
    assert np.abs(bias[0].value).max() < 0.35 * first.max()


def test_standard_magnitude_prunes_what_has_the_larger_fan_in() -> None:
    x, y = images(4)
    batch = LatentBatch(x, (64, 640, 64, 10), "relu", gain=2.0, y=y, parametrisation="standard")
    limit = LatentGraphon(batch, "magnitude", 0.2).solve(bins=BINS)
    assert limit.densities[1] < 0.2 < limit.densities[0]
    counts = np.array([64 * 640, 640 * 64, 640])
    assert counts @ limit.densities / counts.sum() == pytest.approx(0.2, abs=1e-6)


def test_averaged_residuals_spread_and_given_ones_do_not() -> None:
    x, y = images(16)
    free = LatentBatch(x, SMALL, "relu", gain=2.0, y=y)
    options = {"samples": 1024, "replicates": 6, "bins": 8}
    averaged = LatentGraphon(free, "snip", 0.2).solve(**options)  # type: ignore[arg-type]
    assert averaged.residual == "averaged"
    assert any("the limit is random" in note for note in averaged.notes)
    output = free.draw_output(np.random.default_rng(0))
    one = LatentBatch(x, SMALL, "relu", gain=2.0, y=y, output=output)
    given = LatentGraphon(one, "snip", 0.2).solve(**options)  # type: ignore[arg-type]
    assert given.residual == "given"
    assert not any(layer.histogram.spread.any() for layer in given.layers)
    ratios = []  # variance between residuals over what Monte Carlo alone would make of it
    for layer in averaged.layers:
        found = layer.histogram
        ratios.append(float((6 * found.error**2).mean() / (found.noise**2 / 2).mean()))
    assert ratios[-1] > 5.0
    assert np.mean(ratios[:-1]) > 1.5


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_spread_and_noise_are_told_apart(spread: float) -> None:
    rng = np.random.default_rng(0)
    centres = spread * rng.standard_normal((40, 1, 500))
    values = 1.0 + centres + 0.2 * rng.standard_normal((40, 2, 500))
    found = combined([list(group) for group in values])
    assert np.sqrt((found.noise**2).mean()) == pytest.approx(0.2, rel=0.03)
    assert np.sqrt((found.spread**2).mean()) == pytest.approx(spread, rel=0.05, abs=0.07)
    truth = np.sqrt((spread**2 + 0.02) / 40)
    assert np.sqrt((found.error**2).mean()) == pytest.approx(truth, rel=0.05)
    assert found.value.std() == pytest.approx(truth, rel=0.1)


def test_stated_errors_are_those_of_independent_runs() -> None:
    x, y = images(16)
    output = torch.linspace(-1.0, 1.0, 160).reshape(16, 10).sin()
    graphon = LatentGraphon(
        LatentBatch(x, SMALL, "relu", gain=2.0, y=y, output=output), "snip", 0.2
    )
    runs = [graphon.solve(samples=128, replicates=6, bins=8, seed=s) for s in range(6)]
    for layer in range(4):
        values = np.array([run.layers[layer].histogram.value for run in runs])
        stated = np.sqrt(np.mean([run.layers[layer].histogram.error ** 2 for run in runs]))
        actual = np.sqrt(values.var(axis=0, ddof=1).mean())
        assert 0.75 < actual / stated < 1.33, (layer, actual, stated)


def test_sampled_widths_come_closer() -> None:
    x, y = images(16)
    output = torch.linspace(-1.0, 1.0, 160).reshape(16, 10).cos()
    graphon = LatentGraphon(
        LatentBatch(x, SMALL, "relu", gain=2.0, y=y, output=output), "snip", 0.2
    )
    limit = graphon.solve(samples=1024, replicates=4, bins=8)
    off = []
    for n in (64, 512):
        sampled = graphon.sampled(n, bins=8, replicates=6)
        assert sampled.kind == f"width {n}"
        bias = sampled.minus(limit)[1]
        off.append(float(np.sqrt((bias.value**2).mean())))
    assert off[1] < 0.5 * off[0]


def test_same_seed_same_result_and_dense_layers_stay_dense() -> None:
    x, y = images(8)
    batch = LatentBatch(x, SMALL, "relu", gain=2.0, y=y)
    graphon = LatentGraphon(batch, "snip", 0.1, keep=(1, 4))
    a, b, c = (graphon.solve(samples=128, replicates=2, bins=8, seed=s) for s in (0, 0, 1))
    assert np.array_equal(a.layers[1].histogram.value, b.layers[1].histogram.value)
    assert not np.array_equal(a.layers[1].histogram.value, c.layers[1].histogram.value)
    assert a.densities[0] == a.densities[3] == 1.0
    assert np.mean(a.densities[1:3]) == pytest.approx(0.1, abs=0.01)


def test_degrees_are_sorted_and_average_to_the_density() -> None:
    x, y = images(8)
    batch = LatentBatch(x, SMALL, "tanh", y=y)
    limit = LatentGraphon(batch, "snip", 0.2).solve(samples=256, replicates=2, bins=32)
    assert [layer.histogram.value.shape for layer in limit.layers] == [
        (32, 32), (32, 32), (32, 32), (10, 32),
    ]  # fmt: skip
    assert any("layer 4 has 10 outputs" in note for note in limit.notes)
    for layer in limit.layers:
        for degrees in (layer.row_degrees.value, layer.column_degrees.value):
            assert (np.diff(degrees) >= 0.0).all()
            assert degrees.mean() == pytest.approx(float(layer.density.value), abs=0.01)


def test_more_than_all_scores_keeps_ties_at_random_and_says_so() -> None:
    x, y = images(8)  # a quarter of the pixels is blank: scores there vanish
    blank = float((~x.any(dim=0)).double().mean())
    assert blank > 0.05
    graphon = LatentGraphon(LatentBatch(x, SMALL, "relu", gain=2.0, y=y), "snip", 0.98,
                            scope="layer")  # fmt: skip
    limit = graphon.solve(samples=256, replicates=2, bins=8)
    assert limit.densities[0] == pytest.approx(0.98, abs=0.01)
    assert any("scores that vanish" in note for note in limit.notes)


@pytest.mark.parametrize("criterion", ["snip", "grasp-signed", "magnitude", "random"])
def test_density_one_keeps_everything(criterion: str) -> None:
    x, y = images(8)
    graphon = LatentGraphon(LatentBatch(x, SMALL, "relu", gain=2.0, y=y), criterion, 1.0)
    for limit in (
        graphon.solve(samples=64, replicates=2, bins=8),
        graphon.sampled(64, replicates=2, bins=8),
    ):
        assert all((h == 1.0).all() for h in limit.histograms)
        assert limit.error == 0.0


def test_odd_batches_are_solved_with_notes() -> None:
    x = torch.cat((DATA.x[:70], DATA.x[:10]))
    batch = LatentBatch(x, SMALL, "tanh", y=torch.full((80,), 7))
    limit = LatentGraphon(batch, "grasp", 0.2).solve(samples=128, replicates=2, bins=8)
    text = " / ".join(limit.notes)
    for part in ("one class", "constant", "duplicates", "singular"):
        assert part in text
    assert all(np.isfinite(h).all() for h in limit.histograms)


def test_bad_input() -> None:
    x, y = images(4)
    batch = LatentBatch(x, SMALL, "relu", y=y)
    for change, message in (
        (("synflow", 0.2), "criterion must be"),
        (("snip", 0.0), "density must lie"),
        (("snip", 1.5), "density must lie"),
    ):
        with pytest.raises(ValueError, match=message):
            LatentGraphon(batch, *change)
    with pytest.raises(ValueError, match="keep must"):
        LatentGraphon(batch, "snip", 0.2, keep=(5,))
    with pytest.raises(ValueError, match="dtype"):
        LatentGraphon(batch, "snip", 0.2, dtype=torch.float16)
    graphon = LatentGraphon(batch, "snip", 0.2)
    with pytest.raises(ValueError, match="n must be at least the 64 bins"):
        graphon.sampled(40)
    with pytest.raises(ValueError, match="bins must lie"):
        graphon.solve(samples=8, bins=9)
    with pytest.raises(ValueError, match="replicates must be"):
        graphon.solve(replicates=1)
    squared = LatentBatch(x, SMALL, "relu", loss="squared", y=torch.zeros(4, 10),
                          residual=torch.ones(4, 10))  # fmt: skip
    fine = LatentGraphon(squared, "grasp-signed", 0.2).solve(samples=64, replicates=2, bins=8)
    with pytest.raises(ValueError, match="other must have the grid"):
        fine.minus(LatentGraphon(squared, "random", 0.2).solve(bins=4))


def test_the_size_of_a_residual_does_not_matter() -> None:
    """Scores are proportional to it; single precision must not lose them."""
    x, _ = images(8)
    r = torch.from_numpy(np.random.default_rng(0).standard_normal((8, 10)))
    found = {
        size: LatentGraphon(
            LatentBatch(x, (64, 50, 50, 10), "tanh", residual=size * r), "snip", 0.2
        ).solve(samples=64, replicates=2, bins=4)
        for size in (1e-60, 1.0, 1e30)
    }
    for size, limit in found.items():
        assert limit.densities == pytest.approx(found[1.0].densities, abs=1e-6)
        taus = [float(layer.threshold.value) for layer in limit.layers]
        plain = [size * float(layer.threshold.value) for layer in found[1.0].layers]
        assert taus == pytest.approx(plain, rel=1e-4)


def test_layers_that_lose_their_weights_are_noted() -> None:
    x, y = images(8)
    batch = LatentBatch(x, (64, 50, 50, 10), "tanh", y=y)
    options = {"samples": 64, "replicates": 2, "bins": 4}
    for criterion in ("snip", "random", "magnitude"):
        limit = LatentGraphon(batch, criterion, 1e-6).solve(**options)
        assert "layer 2 keeps less than one of its 2500 weights" in limit.notes
        kept = LatentGraphon(batch, criterion, 0.2).solve(**options)
        assert not any("less than one" in note for note in kept.notes)


def test_scores_that_are_all_zero_have_no_limit() -> None:
    x, y = images(8)
    dark = LatentBatch(x * 0.0, (64, 50, 50, 10), "tanh", y=y)
    with pytest.raises(ValueError, match="scores are all zero"):
        LatentGraphon(dark, "snip", 0.2).solve(samples=64, replicates=2, bins=4)
    lit = LatentBatch(x * 0.0, (64, 50, 50, 10), "tanh", y=y, bias=1.0)
    with pytest.raises(ValueError, match="scores of layer 1 are all zero"):
        LatentGraphon(lit, "snip", 0.2, scope="layer").solve(samples=64, replicates=2, bins=4)
    huge = LatentBatch(x * 1e30, (64, 50, 50, 10), "relu", y=y, gain=1e10)
    with pytest.raises(ValueError, match=r"scores that are finite in torch\.float32"):
        LatentGraphon(huge, "snip", 0.2).solve(samples=64, replicates=2, bins=4)


def test_numbers_that_are_none() -> None:
    x, y = images(8)
    batch = LatentBatch(x, (64, 50, 50, 10), "tanh", y=y)
    with pytest.raises(TypeError, match="batch must be a LatentBatch"):
        LatentGraphon(x, "snip", 0.2)  # type: ignore[arg-type]
    for keep in (1, (1.0,), (True,), None):
        with pytest.raises(ValueError, match="keep must name layers from 1 to 3"):
            LatentGraphon(batch, "snip", 0.2, keep=keep)  # type: ignore[arg-type]
    graphon = LatentGraphon(batch, "snip", 0.2)
    for name in ("samples", "replicates", "repeats", "bins"):
        with pytest.raises(ValueError, match=f"{name} must be an integer"):
            graphon.solve(**({"samples": 64, "bins": 4} | {name: 8.5}))
    with pytest.raises(ValueError, match="n must be an integer"):
        graphon.sampled(64.5, bins=4)  # type: ignore[arg-type]


@pytest.mark.gpu
def test_the_gpu_makes_the_same_histograms() -> None:
    x, y = images(16)
    found = []
    for device in ("cpu", "cuda"):
        output = torch.linspace(-1.0, 1.0, 160, dtype=torch.float64).reshape(16, 10)
        batch = LatentBatch(x, SMALL, "tanh", y=y, output=output, device=device)
        graphon = LatentGraphon(batch, "snip", 0.2)
        found.append(graphon.solve(samples=1024, replicates=4, bins=8))
    for a, b in zip(found[0].layers, found[1].layers, strict=True):
        off = a.histogram.value - b.histogram.value
        assert np.sqrt((off**2).mean()) < 3.0 * np.sqrt((a.histogram.error**2).mean()) + 1e-4
