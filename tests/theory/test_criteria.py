"""A battery that every criterion inherits with every weight law, and the registry's own rules."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import sympy as sp
from numpy.typing import NDArray
from scipy import special

from theory import criteria
from theory.checks import Identity, Status
from theory.laws import LAWS, Gaussian, Law, Uniform
from theory.limit import LimitGraphon
from theory.profiles import HalfNormalProfile
from theory.saliency import IndependentRule, MagnitudeRule, SaliencyModel, SignedRule
from theory.special import row_density_values
from theory.symbols import rho, u, v
from theory.threshold import Threshold

Array = NDArray[np.float64]
Q = sp.Rational
WHICH = ("mask", "mean", "variance")
DENSITIES = (Q(1, 10), Q(7, 10))
INSIDE = np.array([1e-9, 0.02, 0.3, 0.5, 0.77, 0.98, 1 - 1e-9])
POINTS = ((Q(1, 7), Q(5, 6)), (Q(24, 25), Q(9, 10)))

# Signed rules have a threshold of either sign; the others take the two densities in turn.
CASES = [
    pytest.param((name, family, density), id=f"{name}-{family}-{float(density):g}")
    for index, (name, family) in enumerate(itertools.product(criteria.CRITERIA, LAWS))
    for density in (DENSITIES if name == "grasp-signed" else (DENSITIES[index % 2],))
]


@pytest.fixture
def limit(request: pytest.FixtureRequest) -> LimitGraphon:
    """The limit of one criterion with one law at one density."""
    return limit_of(*request.param)


@cache
def limit_of(name: str, family: str, density: sp.Rational) -> LimitGraphon:
    """Built once, because every test of the battery asks for it."""
    return criteria.criterion(name, weight_law=LAWS[family]()).limit(density)


def product_tail(model: SaliencyModel) -> tuple[Callable[[Array], Array], bool]:
    """``Pr[r c >= x]`` of the model's factors, and whether it is a step at 1."""
    normal = [isinstance(side, HalfNormalProfile) for side in (model.row, model.column)]
    if all(normal):
        return row_density_values, False
    if any(normal):
        return lambda x: special.erfc(x / np.sqrt(2)), False
    return lambda x: (x <= 1.0).astype(float), True


def independent_average(limit: LimitGraphon, which: str) -> float:
    """The average of a graphon by integrating over the weight last, where the code does so first.

    A weight ``w`` of the sign of tau passes iff ``r c >= tau / |w|``.
    """
    model, level, order = limit.model, limit.tau, WHICH.index(which)
    variance = float(model.noise.variance)
    if isinstance(model.rule, IndependentRule):
        return float(limit.density) * (1.0, 0.0, variance)[order]
    tail, step = product_tail(model)
    width = model.noise.half_width
    end = 1e5 if width is sp.oo else float(width)
    start = abs(level) if step else end * 1e-12
    if start >= end:
        one_sided = 0.0
    else:
        x, weights = np.polynomial.legendre.leggauss(16)
        edges = np.geomspace(start, end, 200)
        half = np.diff(edges)[:, None] / 2
        w = (edges[:-1, None] + half * (x + 1)).ravel()
        symbol = sp.Symbol("w", positive=True)
        formula = model.noise._inner_density(symbol)
        density = np.broadcast_to(sp.lambdify(symbol, formula, ["scipy", "numpy"])(w), w.shape)
        one_sided = float((half * weights).ravel() @ (w**order * density * tail(abs(level) / w)))
    if isinstance(model.rule, MagnitudeRule):
        return 0.0 if order == 1 else 2 * one_sided
    assert isinstance(model.rule, SignedRule)
    if level >= 0:
        return one_sided
    return (1.0, 0.0, variance)[order] - (-1) ** order * one_sided


@pytest.mark.parametrize("limit", CASES, indirect=True)
class TestEveryLimit:
    """What holds for the limit of any criterion, whatever the law of the weights."""

    def test_the_mask_graphon_is_a_probability(self, limit: LimitGraphon) -> None:
        mask = limit.values(INSIDE[None, :], INSIDE[:, None])
        assert mask.shape == (INSIDE.size, INSIDE.size)
        assert mask.dtype == np.float64
        assert np.all((mask >= 0) & (mask <= 1))

    def test_the_mean_of_the_mask_graphon_is_the_density(self, limit: LimitGraphon) -> None:
        assert abs(limit.total() - float(limit.density)) < 1e-10

    @pytest.mark.parametrize("which", WHICH)
    def test_averages_agree_with_an_integral_over_the_weight(
        self, limit: LimitGraphon, which: str
    ) -> None:
        assert abs(limit.total(which) - independent_average(limit, which)) < 1e-10

    def test_the_three_graphons_bound_each_other(self, limit: LimitGraphon) -> None:
        P, mu, V = (limit.values(INSIDE[None, :], INSIDE[:, None], which) for which in WHICH)
        assert np.all(mu**2 <= P * V * (1 + 1e-12))
        assert V.min() >= 0
        assert V.max() <= float(limit.model.noise.variance) * (1 + 1e-12)
        if limit.model.rule.even or isinstance(limit.model.rule, IndependentRule):
            assert np.all(mu == 0)
        else:
            assert np.any(mu > 0.01)

    @pytest.mark.parametrize("which", WHICH)
    def test_values_are_those_of_the_expression(self, limit: LimitGraphon, which: str) -> None:
        expr = limit.expression(which, Q(limit.tau))
        for at_u, at_v in POINTS:
            exact = float(sp.N(expr.subs({u: at_u, v: at_v}), 30))
            found = float(limit.values(float(at_u), float(at_v), which))
            assert found == pytest.approx(exact, rel=1e-10, abs=1e-300)

    def test_a_larger_density_keeps_more_everywhere(self, limit: LimitGraphon) -> None:
        more = limit.model.limit(limit.density + Q(1, 5))
        less, greater = (each.values(INSIDE[None, :], INSIDE[:, None]) for each in (limit, more))
        assert np.all(greater >= less)
        assert greater.mean() > less.mean()
        # No order in the variance graphon would contradict that of the events.
        assert np.all(
            more.values(INSIDE[None, :], INSIDE[:, None], "variance")
            >= limit.values(INSIDE[None, :], INSIDE[:, None], "variance")
        )

    @pytest.mark.parametrize("which", WHICH)
    def test_the_definition_evaluates_to_the_closed_form(
        self, limit: LimitGraphon, which: str
    ) -> None:
        if isinstance(limit.model.rule, IndependentRule):
            with pytest.raises(ValueError, match="independentrule"):
                limit.definition(which)
            return
        definition = limit.definition(which)
        assert definition.has(Threshold) or not isinstance(limit.threshold, Threshold)
        assert definition.rewrite(sp.Integral).has(sp.Integral)
        there = {u: Q(1, 2), v: Q(2, 3)}
        both = [
            sp.N(expr.subs(limit.threshold, Q(limit.tau)).subs(there), 25)
            for expr in (definition.doit(), limit.expression(which))
        ]
        assert abs(both[0] - both[1]) < 1e-22

    @pytest.mark.parametrize("which", WHICH)
    def test_prints_as_latex(self, limit: LimitGraphon, which: str) -> None:
        text = limit.latex(which)
        assert text.strip()
        if which == "mask":
            assert limit._repr_latex_().startswith(r"$\displaystyle P(u, v) = ")
            assert (r"\tau" in text) == isinstance(limit.threshold, Threshold)

    @pytest.mark.parametrize("which", WHICH)
    def test_lambdified_for_numpy_agrees(self, limit: LimitGraphon, which: str) -> None:
        inner = INSIDE[1:-1]
        function = limit.lambdify(which)
        found = np.broadcast_to(function(inner[None, :], inner[:, None]), (inner.size, inner.size))
        expected = limit.values(inner[None, :], inner[:, None], which)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)

    def test_grids_hold_cell_averages(self, limit: LimitGraphon) -> None:
        fine = limit.grid(64)
        assert abs(fine.mean() - float(limit.density)) < 1e-4
        # P is monotone in both positions, so a cell's average lies between two of its corners.
        edges = np.clip(np.arange(65) / 64, 1e-12, 1 - 1e-12)
        corners = limit.values(edges[None, :], edges[:, None])
        first, last = corners[:-1, :-1], corners[1:, 1:]
        assert np.all(fine >= np.minimum(first, last) - 1e-12)
        assert np.all(fine <= np.maximum(first, last) + 1e-12)
        assert np.abs(last - first).mean() < 0.05  # the bounds say something
        assert limit.grid(3, 5, "variance").shape == (3, 5)

    def test_degrees_average_to_the_density(self, limit: LimitGraphon) -> None:
        x, weights = np.polynomial.legendre.leggauss(48)
        positions, weights = (x + 1) / 2, weights / 2
        for degrees in (limit.source_degree_values, limit.target_degree_values):
            values = degrees(positions)
            assert values.shape == positions.shape
            assert np.all((values >= -1e-12) & (values <= 1 + 1e-12))
            assert weights @ values == pytest.approx(float(limit.density), abs=1e-3)

    def test_equal_models_make_equal_limits(self, limit: LimitGraphon) -> None:
        again = limit.model.limit(limit.density)
        assert again == limit
        assert hash(again) == hash(limit)
        assert again.threshold == limit.threshold
        assert limit.model.limit(limit.density / 2) != limit


# ------------------------------------------------------------------------------- the registry


def test_every_criterion_states_its_factors() -> None:
    assert set(criteria.FACTORS) == set(criteria.CRITERIA)
    assert {criteria.criterion(name).name for name in criteria.CRITERIA} == set(criteria.CRITERIA)


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_criteria_take_the_factors_that_they_state_and_no_others(name: str) -> None:
    for factor in ("row_profile", "column_law"):
        if factor in criteria.FACTORS[name]:
            model = criteria.criterion(name, **{factor: 3})
            side = model.row if factor == "row_profile" else model.column
            assert side.constant == 3
            with pytest.raises(ValueError, match=factor):
                criteria.criterion(name, **{factor: [1.0, float("nan")]})
        else:
            with pytest.raises(TypeError, match=factor):
                criteria.criterion(name, **{factor: 3})


@pytest.mark.parametrize("name", criteria.CRITERIA)
@pytest.mark.parametrize("wrong", ["gaussian", 1.0, Gaussian])
def test_a_weight_law_must_be_a_law(name: str, wrong: object) -> None:
    with pytest.raises(TypeError, match="weight_law"):
        criteria.criterion(name, weight_law=wrong)


def test_an_unknown_criterion_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"criterion must be one of random, magnitude.*'grip'"):
        criteria.criterion("grip")


def test_shorthands_are_the_criteria_they_stand_for() -> None:
    assert criteria.grasp_signed() == criteria.grasp(signed=True)
    assert criteria.grasp().rule == criteria.snip().rule
    assert criteria.synflow().row.constant == 1
    assert not criteria.random().weight_is_noise
    assert criteria.snip(offset=1).rule.offset == 1
    assert not criteria.snip(offset=1).factorised
    with pytest.raises(ValueError, match="offset"):
        criteria.snip(offset=0)


# ------------------------------------------------------------------------- symbolic densities


def test_magnitude_keeps_its_density_whatever_it_is() -> None:
    limit = criteria.magnitude().limit(rho)
    domain = {rho: (Q(1, 100), Q(99, 100))}
    assert Identity(limit.mask, rho, domain=domain).run().status is Status.PROVED
    assert Identity(limit.variance, rho, domain=domain).run().status is Status.FAILED


@pytest.mark.parametrize("family", LAWS)
@pytest.mark.parametrize("name", ["random", "magnitude"])
def test_symbolic_densities_stand_for_every_number(name: str, family: str) -> None:
    limit = criteria.criterion(name, weight_law=LAWS[family]()).limit(rho)
    assert limit.is_homogeneous is True
    for density in (Q(1, 20), Q(9, 10)):
        assert abs(sp.N(limit.mask.subs(rho, density) - density, 25)) < 1e-22
        number = limit.model.limit(density)
        second = float(sp.N(limit.variance.subs(rho, density), 25))
        assert second == pytest.approx(number.total("variance"), rel=1e-12)


def test_a_signed_criterion_with_constant_factors_has_a_symbolic_threshold() -> None:
    limit = criteria.grasp_signed(2, 3).limit(rho)
    assert not limit.threshold.has(Threshold)
    assert sp.N(limit.mask.subs(rho, Q(2, 7)), 25) == pytest.approx(2 / 7, rel=1e-14)
    assert limit.model.limit(Q(2, 7)).tau == pytest.approx(
        6 * np.sqrt(2) * special.erfinv(1 - 4 / 7), rel=1e-13
    )


@pytest.mark.parametrize(
    ("law", "second"),
    [
        (Gaussian(), lambda rho: rho + 2 * special.ndtri(1 - rho / 2) * phi(rho)),
        (Uniform(), lambda rho: 1 - (1 - rho) ** 3),
    ],
    ids=["gaussian", "uniform"],
)
def test_magnitude_keeps_more_second_moment_than_weights(
    law: Law, second: Callable[[float], float]
) -> None:
    for density in (0.05, 0.5, 0.95):
        found = criteria.magnitude(law).limit(density).total("variance")
        assert found == pytest.approx(second(density), rel=1e-10)
        assert found > density


def phi(density: float) -> float:
    """Normal density at the two-sided threshold of a density."""
    level = special.ndtri(1 - density / 2)
    return float(np.exp(-(level**2) / 2) / np.sqrt(2 * np.pi))
