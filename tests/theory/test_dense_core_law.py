"""The number of fully connected neurons: laws against enumeration, widths against their tails."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from theory.core_width import chernoff_width, markov_width, width
from theory.dense_core import (
    BinomialCount,
    PoissonBinomialCount,
    UniformMaskCount,
    exact_probability,
)

PROBABILITIES = st.fractions(Fraction(1, 1000), Fraction(999, 1000), max_denominator=1000)
DELTAS = st.fractions(Fraction(1, 10_000), Fraction(9, 10), max_denominator=10_000)

# ---------------------------------------------------------------------------------------- laws


def binomial_tail(n: int, q: Fraction, m: int) -> Fraction:
    """``Pr[Binomial(n, q) < m]`` in exact arithmetic."""
    terms = (math.comb(n, j) * q**j * (1 - q) ** (n - j) for j in range(min(m, n + 1)))
    return sum(terms, Fraction(0))


def contains(ball: arb, value: Fraction) -> bool:
    return bool((ball * value.denominator).overlaps(arb(value.numerator)))


@given(n=st.integers(1, 60), q=PROBABILITIES, m=st.integers(0, 62))
def test_binomial_tails_enclose_the_exact_ones(n: int, q: Fraction, m: int) -> None:
    law = BinomialCount(n, q)
    exact = binomial_tail(n, q, m)
    assert contains(law.below(m), exact)
    assert law.below(m).rad() < arb(2) ** -60
    assert law.probability_at_least(m) == pytest.approx(float(1 - exact), abs=1e-14)


def test_binomial_moments_and_masses() -> None:
    law = BinomialCount(50, Fraction(1, 5))
    masses = law.pmf()
    assert masses.sum() == pytest.approx(1, abs=1e-12)
    assert law.mean == pytest.approx(masses @ np.arange(51))
    assert law.variance == pytest.approx(masses @ (np.arange(51) - law.mean) ** 2)
    assert law.pmf(3) == pytest.approx([float((law.below(j + 1) - law.below(j)).mid())
                                        for j in range(4)])  # fmt: skip


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_fixed_positions_against_enumeration(values: list[float]) -> None:
    law = PoissonBinomialCount(values)
    masses = np.zeros(len(values) + 1)
    for kept in itertools.product((0, 1), repeat=len(values)):
        chance = math.prod(p if on else 1 - p for p, on in zip(values, kept, strict=True))
        masses[sum(kept)] += chance
    assert law.pmf() == pytest.approx(masses, abs=1e-12)
    for m in range(len(values) + 2):
        assert float(law.below(m).mid()) == pytest.approx(masses[:m].sum(), abs=1e-12)
    assert law.variance <= BinomialCount(len(values), law.mean / len(values)).variance + 1e-12


def test_equal_positions_are_binomial() -> None:
    fixed, random = PoissonBinomialCount([0.25] * 300), BinomialCount(300, 0.25)
    for m in (1, 60, 75, 100):
        assert fixed.below(m).overlaps(random.below(m))


@pytest.mark.parametrize(("n", "d", "k", "kept"), [(4, 3, 2, 6), (3, 4, 1, 5), (5, 2, 2, 7)])
def test_uniform_masks_against_enumeration(n: int, d: int, k: int, kept: int) -> None:
    law, counts = UniformMaskCount(n, d, k, kept), np.zeros(n + 1)
    for edges in itertools.combinations(range(n * d), kept):
        mask = np.zeros(n * d, bool)
        mask[list(edges)] = True
        counts[mask.reshape(n, d)[:, :k].all(axis=1).sum()] += 1
    masses = counts / counts.sum()
    assert law.pmf() == pytest.approx(masses, abs=1e-14)
    assert law.mean == pytest.approx(masses @ np.arange(n + 1))
    assert law.variance == pytest.approx(masses @ np.arange(n + 1) ** 2 - law.mean**2)


@pytest.mark.parametrize(("n", "d", "k"), [(400, 5, 2), (400, 20, 3), (2000, 10, 4)])
def test_uniform_masks_vary_less_than_a_binomial(n: int, d: int, k: int) -> None:
    rho = 0.3
    law = UniformMaskCount(n, d, k, int(rho * n * d))
    q = rho**k
    predicted = 1 - k**2 * q * (1 - rho) / (d * rho * (1 - q))
    assert law.variance / (n * q * (1 - q)) == pytest.approx(predicted, abs=8 * k / n)
    assert predicted < 1


def test_one_input_has_no_spread() -> None:
    law = UniformMaskCount(30, 1, 1, 12)
    assert law.variance == pytest.approx(0, abs=1e-12)
    assert law.pmf()[12] == pytest.approx(1)


# -------------------------------------------------------------------------------------- widths


@settings(deadline=None, max_examples=60)
@given(q=PROBABILITIES, m=st.integers(1, 40), delta=DELTAS)
def test_the_width_is_the_least_one(q: Fraction, m: int, delta: Fraction) -> None:
    n = width(q, m, delta)
    assert markov_width(q, m, delta) <= n <= chernoff_width(q, m, delta)
    assert n >= m
    assert stats.binom.cdf(m - 1, n, float(q)) <= float(delta) * (1 + 1e-9)
    if n > m:
        assert stats.binom.cdf(m - 1, n - 1, float(q)) > float(delta) * (1 - 1e-9)


@pytest.mark.parametrize("power", [1, 10, 200])
def test_a_tie_with_delta_is_settled_exactly(power: int) -> None:
    delta = Fraction(1, 2**power)
    assert width(Fraction(1, 2), 1, delta) == power
    assert width(Fraction(1, 2), 1, delta - Fraction(1, 2 ** (power + 300))) == power + 1


def test_widths_fall_with_q_and_rise_with_m() -> None:
    assert width(0.1, 5, 0.1) > width(0.2, 5, 0.1)
    assert width(0.1, 6, 0.1) > width(0.1, 5, 0.1)
    assert width(0.1, 5, 0.05) > width(0.1, 5, 0.1)
    assert width(1, 7, 0.01) == 7


def test_astronomical_widths_are_integers() -> None:
    q = Fraction(1, 10) ** 400
    n = width(q, 3, Fraction(1, 100))
    assert isinstance(n, int)
    # Poisson: the mean at which Pr[N < 3] = 1/100 is 8.405947...
    assert float(n * q) == pytest.approx(8.4059, abs=1e-4)


def test_a_ball_counts_by_its_lower_end() -> None:
    ball = arb(0.25, 0.05)
    assert width(ball, 4, 0.01) == width(exact_probability(ball), 4, 0.01) >= width(0.2, 4, 0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 0.1), "probability must be positive"),
        ((1.5, 1, 0.1), "probability must lie in"),
        ((0.5, 0, 0.1), "m must be at least 1"),
        ((0.5, 2.0, 0.1), "m must be an integer"),
        ((0.5, True, 0.1), "m must be an integer"),
        ((0.5, 1, 0), "delta must lie strictly"),
        ((0.5, 1, 1), "delta must lie strictly"),
        ((0.5, 1, -0.1), "delta must lie in"),
    ],
)
@pytest.mark.parametrize("function", [width, chernoff_width, markov_width])
def test_bad_arguments_are_named(function: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(*arguments)


@pytest.mark.parametrize("value", ["half", None, float("nan"), float("inf"), True, sp.Symbol("x")])
def test_no_number_is_no_probability(value: Any) -> None:
    with pytest.raises(TypeError, match="probability must be a"):
        exact_probability(value)


def test_laws_refuse_bad_sizes() -> None:
    with pytest.raises(ValueError, match="targets must be at least 1"):
        BinomialCount(0, 0.5)
    with pytest.raises(ValueError, match="probabilities must lie"):
        PoissonBinomialCount([0.5, 1.5])
    with pytest.raises(ValueError, match="probabilities must be a non-empty"):
        PoissonBinomialCount([])
    with pytest.raises(ValueError, match="inputs must be at most"):
        UniformMaskCount(3, 4, 5, 2)
    with pytest.raises(ValueError, match="kept must be at most"):
        UniformMaskCount(3, 4, 2, 13)
    with pytest.raises(ValueError, match="m must be at least 0"):
        BinomialCount(3, 0.5).below(-1)
    with pytest.raises(ValueError, match="j must lie"):
        UniformMaskCount(3, 4, 2, 6).joint(4)
