"""Thresholds over samples of latents: closed forms, atoms, several layers, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
import torch
from scipy.stats import norm

from numerics.latent_threshold import Scales, Scores, threshold
from theory.laws import Uniform
from theory.special import row_density_values

RNG = np.random.default_rng(0)
HALF_NORMAL = norm.ppf(0.5 + (np.arange(20_000) + 0.5) / 40_000)


def test_kept_share_of_half_normal_scales_is_the_row_density() -> None:
    population = Scales(HALF_NORMAL)
    for tau in (0.05, 0.5, 2.0):
        assert population.kept(tau) == pytest.approx(float(row_density_values(tau)), abs=2e-5)


@pytest.mark.parametrize("signed", [False, True])
def test_classes_lose_nothing_that_matters(signed: bool) -> None:
    a = np.exp(3.0 * RNG.standard_normal(30_000))
    population = Scales(torch.from_numpy(a), signed=signed)
    for tau in (0.01, 1.0, 30.0):
        share = scipy.special.erfc(tau / a / math.sqrt(2.0)).mean() * (0.5 if signed else 1.0)
        assert population.kept(tau) == pytest.approx(share, rel=2e-6)


@pytest.mark.parametrize("signed", [False, True])
def test_a_mixture_keeps_what_its_members_keep(signed: bool) -> None:
    wide = np.exp(2.0 * RNG.standard_normal(20_000))
    some = np.where(RNG.random(5_000) < 0.3, 0.0, 5.0 * np.abs(RNG.standard_normal(5_000)))
    single = torch.from_numpy(some).float()
    members = [Scales(wide, signed=signed), Scales(single, signed=signed)]
    weights = np.array([0.2, 0.8])
    mixture = Scales.mixed(members, weights)
    assert mixture.zero == pytest.approx(weights @ [each.zero for each in members], abs=1e-12)
    assert mixture.largest == max(each.largest for each in members)
    for tau in (0.0, 0.01, 1.0, 30.0, *([-1.0] if signed else [])):
        expected = weights @ [each.kept(tau) for each in members]
        assert mixture.kept(tau) == pytest.approx(expected, rel=3e-6)
    assert [each.kept(1.0) for each in members] == [
        Scales(wide, signed=signed).kept(1.0), Scales(single, signed=signed).kept(1.0)
    ]  # fmt: skip


def test_classes_of_views_zeros_of_either_sign_and_tiny_numbers() -> None:
    values = torch.tensor([0.0, -0.0, 1e-40, 1.0, 2.0, 3.0])
    population = Scales(values)
    assert population.zero == pytest.approx(2 / 6, abs=1e-12)
    assert population.kept(1e-30) == pytest.approx(3 / 6, abs=1e-6)
    every_other = torch.linspace(0.1, 1.0, 101).double()[::2]
    assert Scales(every_other).kept(0.3) == pytest.approx(
        Scales(every_other.clone()).kept(0.3), rel=1e-12
    )


def test_one_threshold_couples_layers_and_one_each_does_not() -> None:
    a = np.abs(RNG.standard_normal(50_000))
    exact = 3.0 * np.abs(a * RNG.standard_normal(50_000))
    both = [Scales(a), Scores(exact)]
    found = threshold(both, [100, 300], 0.2)
    assert found.tau[0] == found.tau[1]
    assert 0.25 * found.densities[0] + 0.75 * found.densities[1] == pytest.approx(0.2, abs=2e-5)
    assert found.densities[0] < 0.08 < 0.22 < found.densities[1]
    apart = threshold(both, [100, 300], 0.2, "layer")
    assert apart.densities == pytest.approx((0.2, 0.2), abs=3e-5)
    assert apart.tau[1] / apart.tau[0] == pytest.approx(3.0, rel=0.03)
    kept = threshold(both, [100, 300], 0.2, keep=(2,))
    assert kept.densities == pytest.approx((0.2, 1.0), abs=1e-6)
    assert kept.tau[1] == -math.inf
    assert kept.density == pytest.approx(0.2, abs=1e-6)


def test_scales_and_scores_of_the_same_weights_agree() -> None:
    a = np.abs(RNG.standard_normal(200_000))
    w = RNG.standard_normal(200_000)
    for signed in (False, True):
        score = a * w if signed else np.abs(a * w)
        one = threshold([Scales(a, signed=signed)], [1], 0.3)
        other = threshold([Scores(score, signed=signed)], [1], 0.3)
        assert one.tau[0] == pytest.approx(other.tau[0], rel=0.02)


def test_uniform_weights_are_bounded() -> None:
    found = threshold([Scales(np.ones(1), Uniform())], [1], 0.25)
    assert found.tau[0] == pytest.approx(0.75 * math.sqrt(3.0), rel=1e-9)


def test_signed_threshold_changes_sign_at_one_half() -> None:
    population = Scales(HALF_NORMAL, signed=True)
    low, high = (threshold([population], [1], rho).tau[0] for rho in (0.3, 0.7))
    assert low > 0.0
    assert high == pytest.approx(-low, rel=1e-9)
    assert threshold([population], [1], 1.0).tau[0] == -math.inf


def test_scores_that_vanish_are_kept_last_and_at_random() -> None:
    a = np.where(RNG.random(40_000) < 0.25, 0.0, np.abs(RNG.standard_normal(40_000)))
    zero = float((a == 0.0).mean())
    below = threshold([Scales(a)], [1], 0.5)
    assert below.tie == (0.0,)
    assert below.densities[0] == pytest.approx(0.5, abs=1e-9)
    above = threshold([Scales(a)], [1], 0.9)
    assert above.tau == (0.0,)
    assert above.densities[0] == pytest.approx(0.9, abs=1e-9)
    assert above.tie[0] == pytest.approx((0.9 - (1.0 - zero)) / zero, rel=1e-6)
    signed = threshold([Scales(a, signed=True)], [1], 0.5)
    assert signed.tau == (0.0,)
    assert signed.tie[0] == pytest.approx(0.5, abs=1e-6)
    negative = threshold([Scores(a * RNG.standard_normal(40_000), signed=True)], [1], 0.9)
    assert negative.tau[0] < 0.0
    assert negative.densities[0] == pytest.approx(0.9, abs=1e-9)


@pytest.mark.parametrize("size", [1, 2, 30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("signed", [False, True])
def test_few_samples_meet_the_density_on_average(
    size: int, dtype: torch.dtype, signed: bool
) -> None:
    """The sample on the boundary is kept with a probability, not always or never."""
    scores = torch.from_numpy(RNG.standard_normal(size)).to(dtype)
    scores = scores if signed else scores.abs()
    for density in (0.004, 0.31, 0.5, 0.93):
        found = threshold([Scores(scores, signed=signed)], [1], density)
        tau, tie = found.tau[0], found.tie[0]
        mean = float((scores > tau).double().mean() + tie * (scores == tau).double().mean())
        assert mean == pytest.approx(density, abs=1e-9)
        assert found.densities[0] == pytest.approx(density, abs=1e-9)


def test_steps_of_samples_under_a_common_threshold() -> None:
    scores = np.array([1.0, 2.0, 4.0, 5.0])
    found = threshold([Scores(scores), Scores(0.5 * scores)], [100, 100], 0.45)
    # 5 and 4 are kept, of 2.5, 2 and the other 2 the first and a share of the two that are equal.
    assert found.tau == (2.0, 2.0)
    assert found.tie == pytest.approx((0.3, 0.3))
    assert found.densities == pytest.approx((0.575, 0.325))
    assert found.density == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([Scales(np.ones(1))], [1, 2], 0.5), "counts must be 1"),
        (([Scales(np.ones(1))], [1], 0.0), "density must lie"),
        (([Scales(np.ones(1))], [1], 0.5, "row"), "scope must be"),
        (([Scales(np.ones(1))], [1], 0.5, "layer", (2,)), "keep must name"),
        (([Scales(np.ones(1))], [1], 0.5, "layer", (1,)), "keep must leave"),
        (([None], [1], 0.5), "populations must hold"),
    ],
)
def test_bad_input(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        threshold(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [[], [1.0, -1.0], [math.nan], [math.inf]])
def test_bad_samples(values: list[float]) -> None:
    for kind in (Scales, Scores):
        with pytest.raises(ValueError, match="values must be"):
            kind(np.array(values))
