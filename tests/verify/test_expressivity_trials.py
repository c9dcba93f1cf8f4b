"""The trials behind the expressivity claims: what they count, and what they would notice."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from scipy import integrate, stats

from numerics.masks import draw
from theory.expressivity import active_coordinates, core_probability
from theory.expressivity_table import boundary_inputs
from verify import claims
from verify.checks import Certified, CertifiedCheck
from verify.trials import expressivity as trials


@pytest.fixture(scope="module")
def rows() -> Callable[[str, str], list[Certified]]:
    """The enclosures of a claim's certified check, by the names of both."""

    def find(claim_id: str, check: str) -> list[Certified]:
        claim = claims.load().get(claim_id)
        (found,) = (each for each in claim.checks if each.name == check)
        assert isinstance(found, CertifiedCheck)
        return list(found.function())

    return find


TRIALS = [
    (trials.spread_of_counts, {"n": 24, "sources": "grid", "batch": 8}),
    (trials.spread_of_counts, {"n": 32, "sources": "random", "aspect": 4, "batch": 8}),
    (trials.core_failures, {"m": 16, "aspect": 8, "batch": 8}),
    (trials.boundary_masks, {"n": 16, "side": "outside"}),
    (trials.network_core, {"n": 80}),
    (trials.kernel_target, {"n": 60, "criterion": "snip", "density": 0.2, "draws": 2}),
    (trials.absolute_product, {"n": 30, "criterion": "random", "density": 1.0}),
    (trials.network_product, {"n": 60}),
    (trials.inactive_input, {"n": 15}),
    (trials.without_bias, {"n": 25, "bias": 0.0}),
]


@pytest.mark.parametrize(("trial", "settings"), TRIALS, ids=lambda value: str(value)[:70])
def test_trials_depend_on_their_seed_alone(trial: Any, settings: dict[str, Any]) -> None:
    first, again, other = (trial(seed, **settings) for seed in (1, 1, 2))
    assert first == again
    assert first != other or trial is trials.core_failures  # a share of few masks
    assert all(np.all(np.isfinite(value)) for value in first.values())


def test_counts_have_the_core_probability() -> None:
    """At d >> 1 the two chosen inputs see n q neurons, whatever the other sources are."""
    n, d, batch = 200, 200, 60
    q = core_probability(trials.snip_limit(0.2), factors=[trials.FACTOR] * trials.INPUTS)
    assert trials.chance(0.2) == q
    for sources in ("grid", "random"):
        counts = trials.model_counts(3, n, d, 0.2, sources, trials.FACTOR, batch)
        error = counts.std(ddof=1) / math.sqrt(batch)
        assert abs(counts.mean() - n * q) < 4.5 * error + 0.03 * n * q
    weaker = trials.model_counts(3, n, d, 0.2, "grid", 0.5, batch)
    assert weaker.mean() < 0.6 * counts.mean()


def test_unknown_sources_are_refused() -> None:
    with pytest.raises(ValueError, match="sources must be 'grid' or 'random'"):
        trials.model_counts(0, 8, 8, 0.5, "sorted", 1.0, 2)


@pytest.mark.parametrize("n", [4**j for j in range(2, 11)])
def test_the_sequences_lie_exactly_on_their_powers(n: int) -> None:
    """Rounding would otherwise move them across the boundary."""
    for side, epsilon in trials.SIDES.items():
        k = boundary_inputs(n, trials.EDGE, epsilon)
        assert n * trials.EDGE**k == n**epsilon, side


def test_sets_on_the_boundary_are_disjoint_and_counted() -> None:
    found = trials.boundary_masks(5, n=64, side="on")
    mask = draw(trials.criteria.random(), 64, 6 * trials.SETS, trials.EDGE, 5).mask
    counts = [
        int(mask[:, 6 * i : 6 * i + 6].all(dim=1).sum()) for i in range(trials.SETS)
    ]  # fmt: skip
    assert found["count"] == pytest.approx(np.mean(counts))
    assert found["core"] == pytest.approx(np.mean(np.array(counts) > 0))


def test_the_product_has_its_variance() -> None:
    mean = 2 / math.pi  # E|x| E|y|
    assert pytest.approx(1 - mean**2) == trials.PRODUCT_VARIANCE


def test_floors_are_conditional_variances() -> None:
    """By quadrature, from the functions themselves."""
    x, y = trials.SEEN, trials.UNSEEN
    density = stats.norm.pdf
    spread = sp.expand(trials.INACTIVE_TARGET - trials.blind_floor().best) ** 2
    value = sp.lambdify((x, y), spread, "math")
    found, _ = integrate.dblquad(
        lambda b, a: value(a, b) * density(a) * density(b), -9, 9, -9, 9
    )  # fmt: skip
    assert found == pytest.approx(float(trials.blind_floor().value), rel=1e-6)
    even = sp.simplify((trials.EVEN_TARGET + trials.EVEN_TARGET.subs({x: -x, y: -y})) / 2)
    square = sp.lambdify(x, even**2, "math")
    found, _ = integrate.quad(lambda a: square(a) * density(a), -9, 9)
    assert found == pytest.approx(float(trials.even_floor().value), rel=1e-6)


def test_the_blind_input_is_inactive_and_the_other_is_not() -> None:
    active = active_coordinates(trials.bounded_model().limit(0.3))
    factors = (np.array(trials.BLIND) + 0.5) / 8
    assert active.contains(factors).tolist() == [False, True]
    assert trials.inactive_input(1, n=30)["edges"] == 0.0


def test_restored_edges_pass_below_the_floor() -> None:
    blind = trials.inactive_input(2, n=100)["error"]
    seeing = trials.inactive_input(2, n=100, kept=True)["error"]
    assert seeing < 0.95 < 0.9 + blind / 10


def test_the_core_needs_both_inputs() -> None:
    found = trials.absolute_product(1, n=120, criterion="random", density=1.0)
    floor = float(1 - 2 / sp.pi) / trials.PRODUCT_VARIANCE  # E Var(|xy| | y) over the variance
    assert found["error"] < 0.1
    assert found["one_input"] == pytest.approx(floor, abs=0.12)


def test_an_empty_core_explains_nothing() -> None:
    mask = torch.zeros(5, trials.SOURCES, dtype=torch.bool)
    found = trials._product_errors(1, mask)  # predicts 0, and the mean is not zero
    assert found["one_input"] == found["error"] > 1.0  # type: ignore[operator]


def test_widths_straddle_delta(rows: Callable[[str, str], list[Certified]]) -> None:
    found = rows("core-width-table", "both sides of the width")
    assert all(row.low >= row.predicted for row in found[::2])
    assert all(row.high < row.predicted for row in found[1::2])
    width = trials.table_width(16, 0.2)
    assert any(row.name == f"snip, 0.2, k = 2: n* = {width}" for row in found)


def test_local_exponents_come_from_probabilities(
    rows: Callable[[str, str], list[Certified]],
) -> None:
    row = rows("core-soft-exponents", "number of inputs")[0]
    first, second = (
        -math.log(core_probability(trials.snip_limit(0.2), factors=[1.0] * k)) for k in (64, 128)
    )
    assert row.middle == pytest.approx(math.log2(second / first), rel=1e-6)
