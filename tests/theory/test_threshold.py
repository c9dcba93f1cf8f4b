"""The density equation: two solvers against each other and against a Mellin-Barnes integral."""

from __future__ import annotations

import copy
import itertools

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import criteria
from theory.averages import average, mean_density, moment_values
from theory.laws import LAWS, Gaussian, Laplace, Uniform
from theory.profiles import CallableProfile, SymbolicProfile
from theory.special import row_density_mp
from theory.symbols import rho, u
from theory.threshold import (
    Threshold,
    _row_density_sum,
    check_density,
    mean_density_mp,
    solve,
    solve_mp,
)

Q = sp.Rational


def triple_product_tail(level: object) -> object:
    """``Pr[|w a b| >= level]`` of three standard normals, by inverting its Mellin transform.

    With ``y = level^2 / 8`` it is ``(2 pi i)^-1 int Gamma(s + 1/2)^3 / (pi^{3/2} s) y^-s ds`` along
    ``Re s = 1``, where the trapezoidal rule converges geometrically.
    """
    y, step = mp.mpf(level) ** 2 / 8, mp.mpf(1) / 20
    last = int(mp.mp.dps * mp.log(10) / 4 / step) + 40

    def term(index: int) -> object:
        s = mp.mpc(1, index * step)
        return mp.re(mp.gamma(s + mp.mpf(1) / 2) ** 3 / s * y**-s)

    total = term(0) + 2 * mp.fsum(term(index) for index in range(1, last))
    return total * step / (2 * mp.pi ** mp.mpf("2.5"))


def test_the_independent_tail_is_a_probability() -> None:
    with mp.workdps(30):
        assert mp.almosteq(triple_product_tail(mp.mpf(10) ** -12), 1, abs_eps=1e-8)
        # E|w a b|^2 = 1 = int 2 x Pr[|w a b| >= x] dx: by Simpson's rule on a coarse grid.
    levels = np.linspace(0, 40, 801)[1:]
    with mp.workdps(16):
        tail = [float(triple_product_tail(level)) for level in levels[::20]]
    assert all(a > b for a, b in itertools.pairwise(tail))
    assert tail[-1] < 1e-5


@pytest.mark.parametrize(
    ("model", "density", "tail"),
    [
        (criteria.snip(), Q(1, 5), Q(1, 5)),
        (criteria.grasp_signed(), Q(7, 10), Q(3, 5)),  # 1 - tail/2 is kept below zero
    ],
    ids=["snip", "signed"],
)
def test_forty_digits_of_the_threshold(
    model: object, density: sp.Rational, tail: sp.Rational
) -> None:
    found = model.limit(density).threshold.evalf(40)
    with mp.workdps(45):
        level = mp.mpf(str(found))
        assert abs(triple_product_tail(level) - mp.mpf(tail.p) / tail.q) < mp.mpf(10) ** -38
        assert (
            abs(mean_density_mp(model, level) - mp.mpf(density.p) / density.q) < mp.mpf(10) ** -38
        )
        wrong = level * (1 + mp.mpf(10) ** -30)
        assert abs(triple_product_tail(wrong) - mp.mpf(tail.p) / tail.q) > mp.mpf(10) ** -32
    assert float(found) == pytest.approx(solve(model, float(density)), rel=1e-12)


def test_a_signed_threshold_is_that_of_the_magnitude_at_twice_the_density() -> None:
    signed, even = criteria.grasp_signed(), criteria.snip()
    for density in (0.05, 0.3, 0.45):
        assert solve(signed, density) == pytest.approx(solve(even, 2 * density), rel=1e-12)
        assert solve(signed, 1 - density) == pytest.approx(-solve(even, 2 * density), rel=1e-12)


@pytest.mark.parametrize("x", ["1e-9", "0.01", "0.7", "3", "12", "45"])
def test_the_fast_sum_is_the_row_density(x: str) -> None:
    with mp.workdps(50):
        point = mp.mpf(x)
        assert abs(_row_density_sum(point) - row_density_mp(point)) < mp.mpf(10) ** -49


PRECISE = {
    **{f"synflow {name}": criteria.synflow(weight_law=family()) for name, family in LAWS.items()},
    "sample uniform": criteria.snip([0.0, 0.5, 1.0, 2.0], None, Uniform()),
    "signed laplace": criteria.grasp_signed(1, weight_law=Laplace()),
    "row half-normal": criteria.snip(None, 1, Uniform()),
    "scaled": criteria.snip(2, None, Gaussian(3)),
    "sample": criteria.snip([0.5, 1.0, 2.0], None),
    "two samples": criteria.snip([0.5, 1.0, 2.0], [0.0, 1.0], Uniform()),
    "smooth": criteria.snip(SymbolicProfile(1 + u), 1),
    "sample with offset": criteria.snip([0.0, 1.0, 2.0], [1.0, 2.0], offset=1),
}


@pytest.mark.parametrize("model", PRECISE.values(), ids=PRECISE)
def test_the_two_solvers_agree(model: object) -> None:
    density = Q(1, 7)
    precise = solve_mp(model, density, 20)
    assert float(precise) == pytest.approx(solve(model, float(density)), rel=1e-11)
    with mp.workdps(28):
        target = mp.mpf(density.p) / density.q
        assert abs(mean_density_mp(model, precise) - target) < mp.mpf(10) ** -20


ROUGH = {
    "callable": criteria.snip(CallableProfile(lambda x: 1 + x)),
    "offset": criteria.snip(offset=1),
    "kinks nowhere known": criteria.snip(SymbolicProfile(1 + u), SymbolicProfile(2 + u), Uniform()),
}


@pytest.mark.parametrize("model", ROUGH.values(), ids=ROUGH)
def test_where_more_digits_are_not_known_none_are_given(model: object) -> None:
    with pytest.raises(TypeError, match="double precision only"):
        solve_mp(model, Q(1, 5), 30)
    assert float(model.limit(Q(1, 5)).threshold.evalf(30)) == solve(model, 0.2)


def test_fifteen_digits_come_from_the_fast_solver() -> None:
    threshold = criteria.snip().limit(Q(3, 11)).threshold
    assert float(threshold.evalf()) == float(threshold) == solve(criteria.snip(), float(Q(3, 11)))


# ------------------------------------------------------------------------- degenerate densities


@pytest.mark.parametrize("family", LAWS)
@pytest.mark.parametrize("name", criteria.CRITERIA)
@pytest.mark.parametrize("density", [1, 1.0], ids=["exact", "float"])
def test_at_density_one_everything_is_kept(name: str, family: str, density: object) -> None:
    model = criteria.criterion(name, weight_law=LAWS[family]())
    limit = model.limit(density)
    assert limit.threshold == (-sp.oo if model.rule.signed else 0)
    full = {"mask": 1, "mean": 0, "variance": 1}
    for which, value in full.items():
        np.testing.assert_array_equal(limit.values([0.1, 0.9], [0.5, 0.2], which), value)
        assert limit.expression(which) == value
        assert limit.total(which) == pytest.approx(value, abs=1e-12)
    assert float(limit.lambdify()(0.3, 0.4)) == 1.0
    assert limit.is_homogeneous is True


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_thresholds_near_density_one_tend_to_the_end(name: str) -> None:
    model = criteria.criterion(name)
    levels = [model.limit(1 - gap).tau for gap in (1e-3, 1e-6, 1e-12, 1.2e-16)]
    assert all(a > b for a, b in itertools.pairwise(levels))
    assert levels[-2] < (-6 if model.rule.signed else 1e-9)


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_tiny_densities_are_solved_relatively(name: str) -> None:
    limit = criteria.criterion(name).limit(Q(1, 10**9))
    assert limit.total() == pytest.approx(1e-9, rel=1e-9)
    assert limit.total("variance") > (1e-9 if name != "random" else 0)


def test_a_signed_rule_splits_its_scores_at_zero() -> None:
    for density in (Q(1, 2), 0.5):
        limit = criteria.grasp_signed().limit(density)
        assert limit.threshold == 0
        assert np.all(limit.values([0.1, 0.9], [0.3, 0.7]) == 0.5)
        assert limit.mask == Q(1, 2)
    assert solve(criteria.grasp_signed(), 0.5) == pytest.approx(0, abs=1e-15)
    direct = Threshold(criteria.grasp_signed(), Q(1, 2))
    assert direct.evalf(40) == 0


def test_vanishing_factors_are_an_atom_at_zero() -> None:
    even = criteria.snip([0.0, 1.0, 2.0], [0.0, 1.0, 3.0])
    signed = criteria.grasp_signed([0.0, 1.0, 2.0], [0.0, 1.0, 3.0])
    for model, low, high in ((even, 4 / 9, 1.0), (signed, 2 / 9, 7 / 9)):
        for density in (low - 1e-3, high):
            assert mean_density(model, solve(model, density)) == pytest.approx(density, abs=1e-12)
        for density in (low + 1e-3, high - 1e-3):
            with pytest.raises(ValueError, match=rf"density {density} cannot be reached"):
                solve(model, density)
    # Below zero the dead entries are kept: their score, zero, is the larger.
    assert np.all(moment_values(signed, 0, 0.0, 1.0, -0.1) == 1.0)
    assert np.all(moment_values(signed, 0, 0.0, 1.0, 0.1) == 0.0)
    assert signed.limit(Q(1, 2)).threshold.has(Threshold)


def test_widely_spread_factors_are_no_trouble() -> None:
    model = criteria.snip([1.0, 1e-200, 1e-250])
    assert mean_density(model, solve(model, 0.5)) == pytest.approx(0.5, abs=1e-12)


# ---------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    "density",
    [0, -0.1, 1.0000001, float("nan"), float("inf"), sp.zoo, 1j, sp.I, True, None, [0.2], (1,)],
    ids=str,
)
def test_densities_lie_in_the_unit_interval(density: object) -> None:
    with pytest.raises(ValueError, match="density must"):
        criteria.snip().limit(density)


@pytest.mark.parametrize("text", ["abc", "rho", "", "0.2*", "u + 1", "[0.2]"])
def test_words_are_no_densities(text: str) -> None:
    with pytest.raises(ValueError, match="density must"):
        check_density(text)


def test_numbers_in_text_are_densities() -> None:
    assert check_density("1/3") == Q(1, 3)
    assert check_density(rho) == rho
    assert check_density(np.float64(0.25)) == sp.Float(0.25)


@settings(max_examples=15)
@given(st.floats(1e-6, 1 - 1e-6))
def test_every_density_is_met(density: float) -> None:
    for model in (criteria.snip(), criteria.grasp_signed()):
        assert average(model, 0, solve(model, density)) == pytest.approx(density, rel=1e-12)


# ------------------------------------------------------------------------- a number for SymPy


MODEL = criteria.synflow()


class TestThreshold:
    """The threshold as an expression among expressions."""

    one = Threshold(MODEL, Q(1, 5))
    other = Threshold(criteria.snip([1.0, 2.0], 3), Q(1, 5))

    def test_rebuilds_from_its_arguments(self) -> None:
        assert self.one.func(*self.one.args) == self.one
        assert self.one.args == (Q(1, 5),)
        assert self.one.subs(Q(1, 5), Q(1, 4)) == Threshold(MODEL, Q(1, 4))

    def test_equality_needs_the_same_model(self) -> None:
        again = Threshold(MODEL, Q(1, 5))
        assert self.one == again
        assert hash(self.one) == hash(again)
        assert self.one != self.other
        assert self.one != Threshold(MODEL, Q(1, 4))
        assert len({self.one, again, self.other}) == 2

    def test_stands_in_sums_with_thresholds_of_other_models(self) -> None:
        for expr in (self.one + self.other, self.one * self.other, self.one - self.other):
            assert expr.atoms(Threshold) == {self.one, self.other}
        difference = (self.one - self.other).evalf(20)
        assert float(difference) == pytest.approx(float(self.one) - float(self.other), rel=1e-14)
        assert self.one - Threshold(MODEL, Q(1, 5)) == 0

    def test_prints_as_tau(self) -> None:
        assert str(self.one) == "tau"
        assert sp.latex(2 * self.one**2) == r"2 \tau^{2}"

    def test_copies(self) -> None:
        assert copy.copy(self.one) == self.one
        assert copy.deepcopy(self.one) == self.one

    def test_knows_its_sign(self) -> None:
        assert self.one.is_real
        assert self.one.is_positive
        assert Threshold(criteria.grasp_signed(), Q(1, 5)).is_positive is None
        assert Threshold(MODEL, 1).is_positive is None

    def test_a_symbolic_density_waits(self) -> None:
        waiting = Threshold(MODEL, rho)
        assert waiting.free_symbols == {rho}
        assert waiting.evalf(30) == waiting
        assert waiting.subs(rho, Q(1, 5)) == self.one
        assert self.one.free_symbols == set()

    def test_numbers(self) -> None:
        assert float(self.one) == solve(MODEL, 0.2)
        assert sp.N(self.one + 1, 25) == pytest.approx(float(self.one) + 1, rel=1e-15)
        assert Threshold(MODEL, 1).evalf(30) == 0
        assert Threshold(criteria.grasp_signed(), 1).evalf(30) == -sp.oo

    def test_checks_its_density(self) -> None:
        with pytest.raises(ValueError, match="density must lie"):
            Threshold(MODEL, 2)
