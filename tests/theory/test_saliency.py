"""Rules keep the weights whose score passes: moments against integrals over the weight itself."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from theory import criteria
from theory.averages import average, moment_values
from theory.laws import LAWS, Gaussian, Law, Uniform
from theory.profiles import ConstantProfile, HalfNormalProfile
from theory.saliency import (
    IndependentRule,
    MagnitudeRule,
    OffsetRule,
    Rule,
    SaliencyModel,
    SignedRule,
)
from theory.symbols import c, r, tau, w

Q = sp.Rational
RULES: dict[str, Rule] = {
    "magnitude": MagnitudeRule(),
    "signed": SignedRule(),
    "independent": IndependentRule(),
    "offset": OffsetRule(Q(1, 2)),
    "small offset": OffsetRule(Q(1, 100)),
    "large offset": OffsetRule(5),
}
FACTORS = [(0.3, 2.0), (1.0, 1.0), (2.5, 0.4), (4.0, 3.0)]


def density_of(law: Law) -> Callable[[float], float]:
    """The law's density as a function of a number."""
    symbol = sp.Symbol("w", real=True)
    return sp.lambdify(symbol, law.density(symbol), ["scipy", "numpy"])


def kept(rule: Rule, row: float, column: float, level: float) -> list[float]:
    """Where the score crosses the level, found from the polynomial that it is piecewise."""
    offset = float(getattr(rule, "offset", 0.0))
    crossings = [0.0]
    for sign in (1.0, -1.0):
        polynomial = [offset, row, -sign * level / column]
        roots = np.roots(polynomial if offset else polynomial[1:])
        crossings += [float(root.real) for root in roots if abs(root.imag) < 1e-12]
    return crossings


def by_quadrature(
    rule: Rule, law: Law, order: int, row: float, column: float, level: float
) -> float:
    """``E[w^order; score >= level]`` from the score's own expression, piece by piece."""
    score = sp.lambdify(w, rule.score.subs({r: row, c: column}), "numpy")
    density = density_of(law)
    edge = 60.0 if law.half_width is sp.oo else float(law.half_width)
    crossings = [level] if rule.name == "independentrule" else kept(rule, row, column, level)
    inner = [x for x in crossings if -edge < x < edge]
    inner += [x for x in (-4.0, -1.0, 1.0, 4.0) if abs(x) < edge]
    points = sorted({-edge, edge, *inner})
    total = 0.0
    for low, high in itertools.pairwise(points):
        if score(0.5 * (low + high)) >= level:
            total += integrate.quad(
                lambda x: x**order * density(x), low, high, epsabs=1e-13, limit=200
            )[0]
    return total


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("family", ["gaussian", "uniform", "laplace"])
@pytest.mark.parametrize("name", ["magnitude", "signed", "offset", "small offset", "large offset"])
def test_moments_are_integrals_over_the_kept_weights(name: str, family: str, order: int) -> None:
    law, rule = LAWS[family](), RULES[name]
    model = SaliencyModel(name, rule, law)
    for row, column in FACTORS:
        for level in (0.2, 1.3, -0.7) if rule.signed else (0.05, 0.2, 1.3):
            found = float(moment_values(model, order, row, column, level))
            expected = by_quadrature(rule, law, order, row, column, level)
            assert found == pytest.approx(expected, abs=2e-10), (row, column, level)


@pytest.mark.parametrize("name", RULES)
def test_orders_other_than_three_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="order must be 0"):
        RULES[name].moment(Gaussian(), 3)


@pytest.mark.parametrize("name", RULES)
def test_what_a_rule_says_of_itself_is_true_of_its_score(name: str) -> None:
    rule = RULES[name]
    assert rule.name == type(rule).__name__.lower()
    if rule.weight_is_noise:
        mirrored = sp.simplify(rule.score.subs(w, -w) - rule.score)
        assert (mirrored == 0) == rule.even
        quotient = sp.simplify(rule.score / (r * c))
        assert (quotient.free_symbols == {w}) == rule.factorised
        low = rule.score.subs({w: -Q(1, 3), r: 1, c: 1})
        assert bool(low < 0) == rule.signed
    else:
        assert rule.score == w


def test_an_independent_mask_leaves_the_weights_law_alone() -> None:
    rule, law = IndependentRule(), Uniform(2)
    keep = rule.moment(law, 0, tau)
    assert rule.moment(law, 1, tau) == 0
    assert sp.simplify(rule.moment(law, 2, tau) - 4 * keep) == 0
    assert not SaliencyModel("x", rule, law).weight_is_noise


# ------------------------------------------------------------------------------- offset rule

positive = st.floats(0.05, 8.0)
_B = sp.Symbol("B", positive=True)
_ENDS = OffsetRule(_B).intervals(tau)
INTERVALS = sp.lambdify((_B, r, c, tau), [list(pair) for pair in _ENDS], "math")


@given(positive, positive, positive, positive)
def test_offset_intervals_are_disjoint_and_bounded_by_the_level(
    offset: float, row: float, column: float, level: float
) -> None:
    ends = INTERVALS(offset, row, column, level)
    right, left, inner = ends
    assert left[1] <= inner[0] <= inner[1] <= right[0]

    def score(x: float) -> float:
        return abs(x) * abs(row + offset * x) * column

    for end in (right[0], left[1]):
        assert score(end) == pytest.approx(level, rel=1e-9)
    if row**2 > 4 * offset * level / column * (1 + 1e-9):
        assert score(inner[0]) == pytest.approx(level, rel=1e-6)
        assert score(inner[1]) == pytest.approx(level, rel=1e-6)
        assert score(0.5 * (inner[0] + inner[1])) >= level * (1 - 1e-12)
    elif row**2 < 4 * offset * level / column * (1 - 1e-9):
        assert inner[0] == inner[1]
        assert score(inner[0]) < level


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_vanishing_offset_is_no_offset(order: int) -> None:
    plain = SaliencyModel("snip", MagnitudeRule(), Gaussian())
    errors = []
    for offset in (Q(1, 10**3), Q(1, 10**4), Q(1, 10**9)):
        model = SaliencyModel("snip", OffsetRule(offset), Gaussian())
        both = [
            [float(moment_values(each, order, *pair, 0.8)) for pair in FACTORS]
            for each in (model, plain)
        ]
        errors.append(float(np.abs(np.subtract(*both)).max()))
    assert errors[0] < 1e-2
    assert errors[1] < 0.2 * errors[0]
    assert errors[2] < 1e-7


def test_a_row_without_data_is_scored_by_the_offset_alone() -> None:
    model = criteria.snip(offset=2)
    for column, level in ((1.0, 0.5), (0.3, 1.2)):
        found = float(moment_values(model, 0, 0.0, column, level))
        assert found == pytest.approx(special.erfc(np.sqrt(level / (4 * column))), rel=1e-12)
    assert moment_values(model, 0, 1.0, 0.0, 0.5) == 0.0
    assert moment_values(model, 2, 1.0, 0.0, 0.0) == 1.0


def test_offset_models_with_vanishing_rows_have_thresholds() -> None:
    model = criteria.snip([0.0, 1.0, 2.0], [0.0, 1.0, 3.0], offset=Q(1, 2))
    for density in (0.1, 0.5, 0.66):
        limit = model.limit(density)
        kept = limit.at_factors(np.array([[0.0, 1.0, 2.0]]), np.array([[0.0], [1.0], [3.0]]))
        assert kept.mean() == pytest.approx(density, abs=1e-12)
        assert np.all(kept[0] == 0)  # a target with c = 0 has no score
        assert np.all(kept[1:, 0] > 0)  # a source with r = 0 still has one
    with pytest.raises(ValueError, match=r"density 0\.9 cannot be reached"):
        _ = model.limit(0.9).tau
    assert np.all(model.limit(1).values([0.1, 0.9], [0.1, 0.9]) == 1)


@pytest.mark.parametrize("offset", [Q(1, 10), 1, 3])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_averages_over_factors_resolve_the_opening_interval(
    offset: sp.Rational, order: int
) -> None:
    model = criteria.snip(offset=offset)
    level, b = 0.6, float(offset)
    # The other order: over the target's factor in closed form, then over weight and source.
    x, weights = np.polynomial.legendre.leggauss(20)

    def rule(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half = np.diff(edges)[:, None] / 2
        return (edges[:-1, None] + half * (x + 1)).ravel(), (half * weights).ravel()

    rows, row_weights = rule(np.concatenate(([0.0], np.geomspace(1e-3, 12, 25))))
    row_weights = row_weights * np.sqrt(2 / np.pi) * np.exp(-(rows**2) / 2)
    total = 0.0
    for row, weight in zip(rows, row_weights, strict=True):
        steps = np.geomspace(1e-3, 12, 20)
        marks = np.concatenate(([0.0, -row / b], steps, -steps, -row / b + steps, -row / b - steps))
        ws, ww = rule(np.unique(np.clip(marks, -12, 12)))
        passing = special.erfc(level / (np.sqrt(2) * np.abs(ws) * np.abs(row + b * ws)))
        total += weight * (ww @ (ws**order * passing * np.exp(-(ws**2) / 2))) / np.sqrt(2 * np.pi)
    assert average(model, order, level) == pytest.approx(total, abs=1e-11)


@pytest.mark.parametrize("offset", [0, -1, float("nan"), sp.I], ids=str)
def test_an_offset_must_be_positive(offset: object) -> None:
    with pytest.raises(ValueError, match="offset must be positive"):
        OffsetRule(offset)


def test_a_symbolic_offset_stays_symbolic() -> None:
    offset = sp.Symbol("B", positive=True)
    assert offset in OffsetRule(offset).moment(Gaussian(), 0).free_symbols


# -------------------------------------------------------------------------------------- models


def test_models_are_values() -> None:
    one, other = criteria.snip(HalfNormalProfile(2)), criteria.snip(HalfNormalProfile(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != criteria.snip()
    assert one != criteria.grasp(HalfNormalProfile(2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "other"
    assert one.score == sp.Abs(w) * r * c
    plain = SaliencyModel("x", SignedRule(), Gaussian())
    assert plain.row == plain.column == ConstantProfile(1)
