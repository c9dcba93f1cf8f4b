"""One battery that every weight law inherits: a new family registers itself and gets all of it.

Numbers are compared with rigorous enclosures: the tolerance is the ball, not a choice.
"""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.core.function import ArgumentIndexError

from theory.certify import ball, disjoint, enclose, integrate
from theory.law_base import as_parameter
from theory.laws import (
    LAWS,
    Gaussian,
    Laplace,
    Law,
    StudentQuantile,
    StudentT,
    TailMoment,
    TruncatedNormal,
    TwoSidedTail,
    Uniform,
    law,
)

Q = sp.Rational
W = sp.Symbol("w", real=True)
P = sp.Symbol("p", positive=True)

SAMPLES: list[Law] = [
    Gaussian(),
    Gaussian(Q(3, 2)),
    Uniform(),
    Uniform(Q(1, 3)),
    TruncatedNormal(),
    TruncatedNormal(cut=Q(1, 2), scale=2),
    Laplace(),
    Laplace(2),
    StudentT(5),
    StudentT(Q(5, 2), Q(1, 2)),
]
POINTS = [Q(-5, 2), Q(-2, 3), Q(0), Q(1, 4), Q(1), Q(3)]


def overlap(found: object, expected: object) -> bool:
    """Whether two enclosures are compatible and both are tight enough to mean something."""
    left, right = (
        value if hasattr(value, "overlaps") else enclose(value) for value in (found, expected)
    )
    assert left.rad() < 1e-9, "the enclosure is too wide to test anything"
    assert right.rad() < 1e-9, "the enclosure is too wide to test anything"
    return bool(left.overlaps(right))


def test_every_family_is_in_the_battery() -> None:
    assert {type(sample).name for sample in SAMPLES} == set(LAWS)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
class TestLaw:
    """What holds for every symmetric law of finite variance."""

    def edge(self, sample: Law) -> sp.Expr:
        """A rational end that holds the support, or a large part of it."""
        top = sample.half_width
        return top if top is not sp.oo else Q(6)

    def quadrature(self, sample: Law, k: int, low: sp.Expr, high: sp.Expr) -> object:
        breaks = sample.breakpoints if sample.half_width is sp.oo else ()
        split = tuple(b for b in breaks if low < b < high)
        top = sample.half_width
        density = sample._inner_density(W) if top is not sp.oo else sample.density(W)
        return integrate(W**k * density, W, low, high, split=split, tolerance=Q(1, 10**10))

    def test_is_a_basic_object_that_rebuilds_from_its_arguments(self, sample: Law) -> None:
        assert sample.func(*sample.args) == sample
        assert hash(sample.func(*sample.args)) == hash(sample)

    def test_total_mass_is_one(self, sample: Law) -> None:
        bottom = -self.edge(sample)
        area = self.quadrature(sample, 0, bottom, -bottom)
        assert overlap(area + enclose(2 * sample.survival(-bottom)), 1)

    @pytest.mark.parametrize("k", [0, 1, 2])
    @pytest.mark.parametrize("low", [Q(-1, 3), Q(1, 5)])
    def test_moments_agree_with_rigorous_quadrature(
        self, sample: Law, k: int, low: sp.Expr
    ) -> None:
        high = self.edge(sample)
        closed = sample.tail_moment(k, low) - sample.tail_moment(k, high)
        assert overlap(self.quadrature(sample, k, low, high), closed)

    @pytest.mark.parametrize("k", [0, 1, 2])
    def test_a_formula_five_per_cent_off_is_refuted(self, sample: Law, k: int) -> None:
        low, high = Q(1, 5), self.edge(sample)
        closed = sample.tail_moment(k, low) - sample.tail_moment(k, high)
        area = self.quadrature(sample, k, low, high)
        assert disjoint(area, enclose(Q(21, 20) * closed))

    def test_variance_is_the_second_moment_of_everything(self, sample: Law) -> None:
        far = -sample.half_width if sample.half_width is not sp.oo else sp.Integer(-(10**9))
        tight = enclose(sample.second_above(far))
        assert abs(tight - ball(sample.variance)) < 1e-4
        assert overlap(sample.second_above(0), sample.variance / 2)
        assert sample.variance == sample.scale**2

    def test_survival_decreases_from_one_to_zero(self, sample: Law) -> None:
        values = [enclose(sample.survival(point)) for point in POINTS]
        for above, below in itertools.pairwise(values):
            assert not above < below
        assert all(value >= 0 and value <= 1 for value in values)
        inside = [enclose(sample.survival(sample.scale * q)) for q in (Q(-1, 2), 0, Q(1, 2))]
        assert inside[0] > inside[1] > inside[2]

    @pytest.mark.parametrize("point", POINTS)
    def test_reflection(self, sample: Law, point: sp.Expr) -> None:
        assert overlap(sample.survival(point) + sample.survival(-point), 1)
        assert overlap(sample.density(point), sample.density(-point))
        assert overlap(sample.mean_above(point), sample.mean_above(-point))
        both = sample.second_above(point) + sample.second_above(-point)
        assert overlap(both, sample.variance)
        assert overlap(sample.cdf(point), 1 - sample.survival(point))

    @pytest.mark.parametrize("level", [Q(1, 100), Q(2, 5), Q(1, 2), Q(3, 4)])
    def test_quantile_inverts_the_cdf(self, sample: Law, level: sp.Expr) -> None:
        assert overlap(sample.cdf(sample.quantile(level)), level)
        assert overlap(sample.two_sided_survival(sample.two_sided_quantile(level)), level)

    @pytest.mark.parametrize("point", [Q(0), Q(1, 4), Q(1), Q(3)])
    def test_two_sided_tails_are_both_one_sided_ones(self, sample: Law, point: sp.Expr) -> None:
        assert overlap(sample.two_sided_survival(point), 2 * sample.survival(point))
        assert overlap(sample.two_sided_second(point), 2 * sample.second_above(point))

    def test_two_sided_tails_hold_everything_below_zero(self, sample: Law) -> None:
        assert sample.two_sided_survival(-1) == 1
        assert sample.two_sided_second(-1) == sample.variance

    @pytest.mark.parametrize("k", [0, 1, 2])
    def test_symbolic_expressions_agree_with_numeric_ones(self, sample: Law, k: int) -> None:
        general = sample.tail_moment(k, W)
        for point in POINTS:
            assert overlap(general.subs(W, point), sample.tail_moment(k, point))

    @pytest.mark.parametrize("name", ["density", "survival", "mean_above", "second_above"])
    def test_lambdify_to_numpy_agrees_with_mpmath(self, sample: Law, name: str) -> None:
        expr = getattr(sample, name)(W)
        points = np.array([-2.5, -0.7, 0.2, 1.1, 2.9])
        with np.errstate(all="ignore"):
            fast = sp.lambdify(W, expr, ["scipy", "numpy"])(points)
        with mpmath.workdps(30):
            slow = [float(expr.subs(W, sp.Rational(str(x))).evalf(30)) for x in points]
        np.testing.assert_allclose(fast * np.ones(5), slow, rtol=1e-12, atol=1e-14)

    def test_quantile_lambdifies(self, sample: Law) -> None:
        expr = sample.quantile(P)
        levels = np.array([0.03, 0.4, 0.5, 0.91])
        with np.errstate(all="ignore"):
            fast = sp.lambdify(P, expr, ["scipy", "numpy"])(levels)
        slow = [float(expr.subs(P, Q(str(q))).evalf(25)) for q in levels]
        np.testing.assert_allclose(fast, slow, rtol=1e-10, atol=1e-13)

    def test_prints_as_latex_and_text(self, sample: Law) -> None:
        assert sp.latex(sample) == sample.latex
        assert "$" not in sample.latex
        assert sample.latex.count("{") == sample.latex.count("}")
        assert str(sample).startswith(type(sample).__name__)
        for expr in (sample.density(W), sample.survival(W), sample.quantile(P)):
            assert sp.latex(expr)

    @pytest.mark.parametrize("k", [0, 1, 2])
    def test_tail_moment_object(self, sample: Law, k: int) -> None:
        point = Q(1, 3)
        moment = TailMoment(sample, k, point)
        assert moment.func(*moment.args) == moment
        assert moment.doit() == sample.tail_moment(k, point)
        integral = TailMoment(sample, k, W).rewrite(sp.Integral)
        assert isinstance(integral, sp.Integral)
        assert integral.limits[0][1:] == (W, sp.oo)
        slope = TailMoment(sample, k, W).diff(W)
        assert overlap(slope.subs(W, point), -(point**k) * sample.density(point))
        twin = TwoSidedTail(sample, k, point)
        expected = 0 if k == 1 else 2 * sample.tail_moment(k, point)
        assert overlap(twin.doit(), expected)
        assert sp.latex(moment)
        assert sp.latex(twin)
        assert abs(float(moment.evalf(20)) - float(enclose(moment.doit()).mid())) < 1e-12
        assert len(twin.rewrite(sp.Integral).atoms(sp.Integral)) == 2

    def test_two_sided_tail_differentiates(self, sample: Law) -> None:
        slope = TwoSidedTail(sample, 2, P).diff(P)
        assert overlap(slope.subs(P, Q(1, 3)), -2 * Q(1, 9) * sample.density(Q(1, 3)))
        assert TwoSidedTail(sample, 1, P).diff(P) == 0


@settings(max_examples=12)
@given(st.integers(1, 50), st.integers(1, 10))
def test_scaling_is_linear(numerator: int, denominator: int) -> None:
    factor = Q(numerator, denominator)
    for family in LAWS.values():
        unit, wide = family(), family(scale=factor)
        assert overlap(wide.survival(factor * Q(1, 2)), unit.survival(Q(1, 2)))
        ratio = wide.second_above(factor * Q(1, 2)) / factor**2
        assert overlap(ratio, unit.second_above(Q(1, 2)))


def test_shorter_formula_for_a_positive_symbol() -> None:
    x = sp.Symbol("x", positive=True)
    assert not Laplace().survival(x).has(sp.Piecewise)
    assert not StudentT(5).second_above(x).has(sp.Piecewise)
    assert len(Uniform().survival(x).args) == 2
    assert Laplace().survival(-x) == 1 - Laplace().survival(x)


def test_student_median_and_symmetry_of_its_quantile() -> None:
    assert StudentQuantile(7, Q(1, 2)) == 0
    assert StudentQuantile(3, Q(1, 10)).evalf(30) == -StudentQuantile(3, Q(9, 10)).evalf(30)
    with pytest.raises(ArgumentIndexError):
        StudentQuantile(sp.Symbol("d"), Q(1, 3)).fdiff(1)


def test_student_quantile_far_out_and_near_the_median() -> None:
    law_ = StudentT(3)
    for level in (Q(1, 10**30), Q(1, 2) + Q(1, 10**20)):
        assert overlap(StudentT(3).cdf(law_.quantile(level)), level)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_registry(name: str) -> None:
    assert law(name).name == name
    assert isinstance(law(name, scale=2), LAWS[name])


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: law("cauchy"), "name must be one of"),
        (lambda: law([]), "name must be one of"),
        (lambda: Gaussian(0), "scale must be positive"),
        (lambda: Uniform(-1), "scale must be positive"),
        (lambda: Laplace(sp.Symbol("q")), "scale must be positive"),
        (lambda: TruncatedNormal(cut=0), "cut must be positive"),
        (lambda: TruncatedNormal(scale=-2), "scale must be positive"),
        (lambda: StudentT(2), "df must be greater than 2"),
        (lambda: StudentT(3, scale=0), "scale must be positive"),
        (lambda: Gaussian().tail_moment(3, 0), "k must be 0, 1 or 2"),
        (lambda: TailMoment(Gaussian(), 3, 0), "k must be 0, 1 or 2"),
        (lambda: TwoSidedTail(Gaussian(), 0, -1), "t must be non-negative"),
    ],
)
def test_bad_values_name_the_argument(build: object, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        build()  # type: ignore[operator]


@pytest.mark.parametrize("value", [True, "1 +", None, sp.true, [1]])
def test_parameters_must_be_numbers(value: object) -> None:
    with pytest.raises(TypeError, match="scale must be a number"):
        as_parameter(value, "scale")


def test_tail_moment_needs_a_law() -> None:
    with pytest.raises(TypeError, match="law must be a Law"):
        TailMoment("gaussian", 0, 0)


def test_a_float_is_the_decimal_it_prints_as() -> None:
    assert as_parameter(0.1, "scale") == Q(1, 10)
    assert StudentT(2.5) == StudentT(Q(5, 2))
