"""Masks: exact counts, ties, and streams that no tiling changes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from numerics import histogram, masks, masks_stream
from numerics.evaluate import numpy_function
from numerics.ranking import select_largest
from theory import criteria, laws
from theory.profiles import CallableProfile
from theory.symbols import c, r, w

DENSITIES = st.floats(1e-6, 1.0)
# Few distinct values, so that ties are common.
TIED = arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.sampled_from(
    [-1.5, 0.0, 0.25, 1.0, 3.0]
)).filter(lambda s: bool(s.any()))  # fmt: skip

# ------------------------------------------------------------------------------- keep_largest


@given(density=DENSITIES, size=st.integers(1, 10_000))
def test_kept_count_rounds_half_up(density: float, size: int) -> None:
    exact = Fraction(repr(density)) * size
    count = masks.kept_count(density, size)
    assert count == max(1, math.floor(exact + Fraction(1, 2)))
    assert 1 <= count <= size


@given(scores=TIED, density=DENSITIES, seed=st.integers(0, 2**70))
def test_counts_are_exact_and_order_is_kept(scores: np.ndarray, density: float, seed: int) -> None:
    mask = masks.keep_largest(torch.from_numpy(scores), density, seed).numpy()
    assert mask.shape == scores.shape
    assert mask.dtype == np.bool_
    assert mask.sum() == masks.kept_count(density, scores.size)
    if not mask.all():
        assert scores[mask].min() >= scores[~mask].max()


@given(scores=TIED, density=DENSITIES, seed=st.integers(0, 9), data=st.data())
def test_counts_per_line(scores: np.ndarray, density: float, seed: int, data: Any) -> None:
    per, axis = data.draw(st.sampled_from([("target", 1), ("source", 0)]))
    mask = masks.keep_largest(torch.from_numpy(scores), density, seed, per).numpy()
    assert (mask.sum(axis=axis) == masks.kept_count(density, scores.shape[axis])).all()
    lines = zip(scores, mask, strict=True) if axis else zip(scores.T, mask.T, strict=True)
    for line, kept in lines:
        if not kept.all():
            assert line[kept].min() >= line[~kept].max()


@given(
    size=st.integers(2, 60), density=DENSITIES, seed=st.integers(0, 9), order=st.randoms(),
)  # fmt: skip
def test_permutations_pass_through_without_ties(
    size: int, density: float, seed: int, order: Any
) -> None:
    scores = torch.linspace(-1.0, 2.0, size, dtype=torch.float64)
    shuffled = list(range(size))
    order.shuffle(shuffled)
    index = torch.tensor(shuffled)
    direct = masks.keep_largest(scores[index], density, seed)
    assert torch.equal(direct, masks.keep_largest(scores, density, seed + 1)[index])


@given(scale=st.floats(1e-3, 1e3), density=DENSITIES)
def test_monotone_maps_change_nothing(scale: float, density: float) -> None:
    scores = torch.linspace(0.1, 1.0, 37, dtype=torch.float64)
    one = masks.keep_largest(scores, density)
    assert torch.equal(one, masks.keep_largest(torch.log(scores) * scale, density))


def test_ties_are_drawn_uniformly() -> None:
    """Each of 40 tied entries is kept with probability 1/4: five standard errors over seeds."""
    scores, seeds = torch.ones(40), 2000
    kept = sum(masks.keep_largest(scores, 0.25, seed).double() for seed in range(seeds))
    error = 5 * math.sqrt(0.25 * 0.75 / seeds)
    assert isinstance(kept, torch.Tensor)
    assert float((kept / seeds - 0.25).abs().max()) < error


def test_ties_depend_on_the_seed_alone() -> None:
    scores = torch.ones(10, 10)
    assert torch.equal(masks.keep_largest(scores, 0.5, 7), masks.keep_largest(scores, 0.5, 7))
    assert not torch.equal(masks.keep_largest(scores, 0.5, 7), masks.keep_largest(scores, 0.5, 8))


def test_layers() -> None:
    layers = [torch.tensor([[5.0, 1.0], [4.0, 2.0]]), torch.tensor([3.0, 0.5, 0.1])]
    whole = masks.keep_largest(layers, 3 / 7)
    assert [m.tolist() for m in whole] == [
        [[True, False], [True, False]], [True, False, False],
    ]  # fmt: skip
    each = masks.keep_largest(layers, 0.5, per="layer")
    assert [int(m.sum()) for m in each] == [2, 2]


def test_full_density_keeps_everything() -> None:
    assert bool(masks.keep_largest(torch.tensor([0.0, 1.0]), 1).all())


@pytest.mark.parametrize("density", [0.0, -0.1, 1.1, float("nan"), float("inf")])
def test_bad_densities(density: float) -> None:
    with pytest.raises(ValueError, match=r"density must lie in \(0, 1\]"):
        masks.keep_largest(torch.ones(3), density)


def test_bad_scores() -> None:
    with pytest.raises(ValueError, match="all-zero score"):
        masks.keep_largest(torch.zeros(3, 3), 0.5)
    with pytest.raises(ValueError, match="scores must be finite; it has NaN"):
        masks.keep_largest(torch.tensor([1.0, float("nan")]), 0.5)
    with pytest.raises(ValueError, match="scores must be finite; it has infinity"):
        masks.keep_largest(torch.tensor([1.0, float("-inf")]), 0.5)
    with pytest.raises(ValueError, match="at least one entry"):
        masks.keep_largest(torch.ones(0, 3), 0.5)
    with pytest.raises(ValueError, match="at least one tensor"):
        masks.keep_largest([], 0.5)
    with pytest.raises(ValueError, match="real numbers"):
        masks.keep_largest(torch.ones(3, dtype=torch.bool), 0.5)
    with pytest.raises(TypeError, match=r"must be a torch\.Tensor"):
        masks.keep_largest([1.0, 2.0], 0.5)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="per must be one of"):
        masks.keep_largest(torch.ones(3), 0.5, per="neuron")
    with pytest.raises(ValueError, match="must be a matrix for per='target'"):
        masks.keep_largest(torch.ones(3), 0.5, per="target")
    with pytest.raises(TypeError, match="density must be a number"):
        masks.keep_largest(torch.ones(3), "half")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count must lie between"):
        select_largest(np.ones(3), 4, np.random.default_rng(0))


def test_report() -> None:
    mask = torch.tensor([[True, False, True], [False, False, False]])
    got = masks.report(mask)
    assert (got.kept, got.size, got.density) == (2, 6, 1 / 3)
    assert got.dead_targets.tolist() == [1]
    assert got.dead_sources.tolist() == [1]
    assert "1 dead neurons, 1 dead inputs" in str(got)
    with pytest.raises(ValueError, match="mask must be a tensor of dtype"):
        masks.report(torch.ones(2, 2))
    with pytest.raises(ValueError, match="at least one entry"):
        masks.report(torch.ones(0, 2, dtype=torch.bool))


# --------------------------------------------------------------------------------------- draw

MODELS = {
    "random": criteria.random(),
    "magnitude": criteria.magnitude(),
    "snip": criteria.snip(),
    "snip-uniform": criteria.snip(weight_law=laws.Uniform()),
    "snip-student": criteria.snip(weight_law=laws.StudentT(5)),
    "snip-laplace": criteria.snip(weight_law=laws.Laplace(2)),
    "grasp-signed": criteria.grasp_signed(),
    "offset": criteria.snip(offset=sp.Rational(1, 2)),
    "synflow": criteria.synflow(),
}


def scores_of(sample: masks.MaskSample, model: Any) -> np.ndarray:
    """The model's own expression at the sample's factors and weights, float64."""
    assert sample.weights is not None
    function = numpy_function(model.score, (r, c, w))
    factors = sample.r.numpy()[None, :], sample.c.numpy()[:, None]
    return function(*factors, sample.weights.double().numpy())


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"random"}))
def test_masks_keep_the_largest_scores_of_the_expression(name: str) -> None:
    """Every fast path against the model's SymPy score."""
    model = MODELS[name]
    sample = masks.draw(model, 40, 30, 0.3, seed=3, weights=True, dtype=torch.float64)
    expected = scores_of(sample, model)
    mask = sample.mask.numpy()
    assert mask.sum() == 360
    assert expected[mask].min() > expected[~mask].max()
    assert sample.threshold == pytest.approx(expected[mask].min(), rel=1e-14)
    assert sample.achieved == 0.3


@pytest.mark.parametrize("expr", list(masks_stream._TWINS), ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_twins_are_their_expressions(expr: sp.Expr, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((50, 40)).astype(masks_stream.numpy_dtype(dtype))
    rows, cols = rng.random(40), rng.random((50, 1))
    expected = numpy_function(expr, (r, c, w))(rows, cols, noise)
    got = masks_stream._scorer(expr, dtype)(noise.copy(), rows, cols)
    assert got.dtype == noise.dtype
    np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(noise.dtype).eps)


def test_random_masks_ignore_the_weights() -> None:
    """Kept and dropped weights have the same law: a two-sample check at five standard errors."""
    sample = masks.draw(MODELS["random"], 300, 300, 0.3, seed=1, weights=True)
    assert sample.weights is not None
    kept, dropped = sample.weights[sample.mask].double(), sample.weights[~sample.mask].double()
    for moment in (lambda t: t, lambda t: t**2):
        gap = float(moment(kept).mean() - moment(dropped).mean())
        error = math.sqrt(float(moment(kept).var()) / len(kept) + 2 / len(dropped))
        assert abs(gap) < 5 * error


@pytest.fixture
def small_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several panels, a pilot and a bracket, in a small array."""
    monkeypatch.setattr(masks_stream, "PANEL_ENTRIES", 1500)
    monkeypatch.setattr(masks_stream, "_PILOT", 2000)


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize("name", sorted(MODELS))
def test_tiling_and_jobs_change_no_bit(name: str) -> None:
    model, n, d = MODELS[name], 157, 90
    one = masks.draw(model, n, d, 0.2, seed=8, jobs=1, weights=True)
    assert one.weights is not None
    for tile in (1, 16, 33, 1000):
        for jobs in (1, 3):
            two = masks.draw(model, n, d, 0.2, seed=8, tile=tile, jobs=jobs, weights=True)
            assert torch.equal(one.mask, two.mask)
            assert two.weights is not None
            assert torch.equal(one.weights, two.weights)
            assert one.threshold == two.threshold
    assert not torch.equal(one.mask, masks.draw(model, n, d, 0.2, seed=9).mask)


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize("density", [0.001, 0.05, 0.5, 0.97, 0.9999, 1.0])
@pytest.mark.parametrize("name", ["snip", "grasp-signed"])
def test_streamed_thresholds_are_exact(name: str, density: float) -> None:
    """The bracket and the pass against one sort of all scores, ties included."""
    model, n, d = MODELS[name], 157, 90
    sample = masks.draw(model, n, d, density, seed=5, weights=True, dtype=torch.float64)
    held = torch.from_numpy(scores_of(sample, model))
    assert torch.equal(sample.mask, masks.keep_largest(held, density, seed=5))
    assert int(sample.mask.sum()) == masks.kept_count(density, n * d)


@pytest.mark.usefixtures("small_panels")
def test_a_bracket_that_misses_is_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = masks.draw(MODELS["snip"], 157, 90, 0.2, seed=5)
    tried = []

    def misleading(self: Any, pilot: Any, width: float) -> tuple[float, float]:
        tried.append(width)
        return (50.0, 60.0) if width < 10 else (0.0, 0.1)

    monkeypatch.setattr(masks_stream.MaskStream, "bracket", misleading)
    got = masks.draw(MODELS["snip"], 157, 90, 0.2, seed=5)
    assert torch.equal(got.mask, expected.mask)
    assert tried == [6.0, 48.0]


@pytest.mark.usefixtures("small_panels")
def test_atoms_of_the_score_are_tied_at_random() -> None:
    """Half the sources have factor 0: beyond their share, zeros are kept at random."""
    row = CallableProfile(lambda u: (u > 0.5).astype(float), name="step")
    model = criteria.snip(row_profile=row)
    sample = masks.draw(model, 200, 100, 0.6, seed=2)
    assert int(sample.mask.sum()) == 12_000
    assert bool(sample.mask[:, 50:].all())
    assert sample.threshold == 0.0
    left = sample.mask[:, :50].double().mean(dim=0)
    assert float((left - 0.2).abs().max()) < 5 * math.sqrt(0.2 * 0.8 / 200)


def test_positions() -> None:
    grid = masks.draw(MODELS["snip"], 20, 10, 0.5, seed=1, columns="grid")
    np.testing.assert_allclose(grid.u, (np.arange(10) + 0.5) / 10)
    np.testing.assert_allclose(grid.v, (np.arange(20) + 0.5) / 20)
    np.testing.assert_allclose(grid.c, MODELS["snip"].column(grid.v.numpy()))
    free = masks.draw(MODELS["snip"], 20, 10, 0.5, seed=1, positions="random")
    assert len(set(free.u.tolist())) == 10
    np.testing.assert_allclose(free.r, MODELS["snip"].row(free.u.numpy()))
    ordered = masks.draw(MODELS["snip"], 20, 10, 0.5, 1, positions="random", weights=True).sorted()
    assert bool((ordered.u.diff() > 0).all())
    assert bool((ordered.v.diff() > 0).all())
    assert ordered.weights is not None
    expected = scores_of(ordered, MODELS["snip"])
    kept = ordered.mask.numpy()
    assert expected[kept].min() >= expected[~kept].max() * (1 - 1e-6)


def test_bad_draws() -> None:
    model = MODELS["snip"]
    for arguments, match in (
        ({"n": 0}, "n must be a positive integer"),
        ({"d": 1.5}, "d must be a positive integer"),
        ({"density": 0.0}, r"density must lie in \(0, 1\]"),
        ({"positions": "sorted"}, "positions must be 'grid' or 'random'"),
        ({"columns": "sorted"}, "columns must be 'grid' or 'random'"),
        ({"dtype": torch.float16}, r"dtype must be torch\.float32"),
        ({"tile": 0}, "tile must be a positive integer"),
        ({"jobs": 0}, "jobs must be a positive integer"),
        ({"device": "tpu"}, "device must be one of"),
    ):
        valid: dict[str, Any] = {"n": 4, "d": 4, "density": 0.5, "seed": 0}
        with pytest.raises(ValueError, match=match):
            masks.draw(model, **(valid | arguments))
    with pytest.raises(TypeError, match="model must be a saliency model"):
        masks.draw("snip", 4, 4, 0.5, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k must be a positive integer"):
        masks.stream_histogram(model, 4, 5, 0.5, 0, k=0)


class Broken:
    """A model whose parts can be replaced."""

    row = column = staticmethod(np.ones_like)
    noise = laws.Gaussian()
    score = sp.Abs(w) * r * c
    weight_is_noise = True


def test_scores_that_no_mask_can_rank() -> None:
    broken: Any = Broken()
    broken.row = np.zeros_like
    with pytest.raises(ValueError, match="all-zero score"):
        masks.draw(broken, 4, 4, 0.5, 0)
    broken.score = sp.Abs(w) * r * c**2
    with pytest.raises(ValueError, match="all-zero score"):
        masks.draw(broken, 4, 4, 0.5, 0)
    broken.score = sp.log(w)
    with pytest.raises(ValueError, match=r"model\.score must be finite"):
        masks.draw(broken, 4, 4, 0.5, 0)
    broken.column = lambda v: v / 0.0
    with (
        pytest.raises(ValueError, match=r"model\.column must map positions"),
        np.errstate(all="ignore"),
    ):
        masks.draw(broken, 4, 4, 0.5, 0)


# ---------------------------------------------------------------------------------- histogram


@pytest.mark.usefixtures("small_panels")
@pytest.mark.parametrize(
    ("n", "d", "k"),
    [(60, 90, 1), (61, 90, 7), (300, 64, 64), (600, 20, 2), (5, 7, 11), (17, 300, 16)],
)
def test_histograms_are_block_means(n: int, d: int, k: int) -> None:
    options: dict[str, Any] = {"density": 0.3, "seed": 4, "positions": "random"}
    sample = masks.draw(MODELS["snip"], n, d, **options)
    got = masks.stream_histogram(MODELS["snip"], n, d, k=k, **options)
    np.testing.assert_array_equal(got.latent, histogram.block_means(sample.sorted().mask, k))
    np.testing.assert_array_equal(got.degree, histogram.sas(sample.mask, k))
    assert got.threshold == sample.threshold
    assert got.kept == int(sample.mask.sum())
    assert got.latent.mean() == pytest.approx(got.kept / (n * d), rel=1e-12)
    assert got.latent.dtype == got.degree.dtype == np.float64


def test_histogram_converges_to_the_limit() -> None:
    """Block means on a grid of latents have mean P: standardised errors of all 64 blocks.

    With the threshold at its limit a block of b edges has variance at most P(1-P)/b; five
    standard errors, plus the change of P across half a cell, which the limit's grid averages.
    """
    model, n, d, k = MODELS["snip"], 1024, 1024, 8
    got = masks.stream_histogram(model, n, d, 0.2, seed=6, k=k, columns="grid").latent
    limit = model.limit(0.2).grid(k)
    error = 5 * np.sqrt(limit * (1 - limit) / (n * d / k**2)) + 1e-3
    assert (np.abs(got - limit) < error).all()


def test_different_panel_sizes_are_different_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the fixture above: it must really change the panels."""
    one = masks.draw(MODELS["snip"], 157, 90, 0.2, seed=5)
    monkeypatch.setattr(masks_stream, "PANEL_ENTRIES", 1500)
    assert not torch.equal(one.mask, masks.draw(MODELS["snip"], 157, 90, 0.2, seed=5).mask)


@pytest.mark.slow
def test_ten_thousand_squared_fits_in_a_gigabyte() -> None:
    import subprocess
    import sys

    code = (
        "import resource\n"
        "from numerics.masks import stream_histogram\n"
        "from theory import criteria\n"
        "h = stream_histogram(criteria.snip(), 10_000, 10_000, 0.2, seed=0)\n"
        "assert h.kept == 20_000_000\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True
    )
    assert int(done.stdout) < 1_000_000  # kB on Linux


@pytest.mark.gpu
def test_masks_are_the_same_on_every_device() -> None:
    here = masks.draw(MODELS["snip"], 50, 40, 0.2, seed=5)
    there = masks.draw(MODELS["snip"], 50, 40, 0.2, seed=5, device="cuda")
    assert there.mask.device.type == "cuda"
    assert torch.equal(here.mask, there.mask.cpu())
    scores = torch.rand(30, 30)
    expected = masks.keep_largest(scores, 0.3)
    assert torch.equal(masks.keep_largest(scores.cuda(), 0.3).cpu(), expected)
