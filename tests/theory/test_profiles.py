"""Profiles: one battery for every kind, exact averages, and arguments that are refused."""

from __future__ import annotations

import itertools

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, special

from theory import criteria
from theory.profiles import (
    CallableProfile,
    ConstantProfile,
    EmpiricalProfile,
    HalfNormalProfile,
    Profile,
    SymbolicProfile,
    as_profile,
)

X = sp.Symbol("x")
Q = sp.Rational

SAMPLES = {
    "constant": ConstantProfile(Q(3, 2)),
    "half-normal": HalfNormalProfile(),
    "wide half-normal": HalfNormalProfile(Q(5, 2)),
    "line": SymbolicProfile(1 + X),
    "root": SymbolicProfile(sp.sqrt(X)),
    "unbounded": SymbolicProfile(1 / sp.sqrt(1 - X)),
    "ramp": SymbolicProfile(sp.Max(0, X - Q(1, 2)), name="ramp"),
    "callable": CallableProfile(lambda x: 2 - x),
    "sample": EmpiricalProfile([3.0, 0.0, 1.0, 1.0]),
}
MEANS = {
    "constant": 1.5,
    "half-normal": np.sqrt(2 / np.pi),
    "wide half-normal": 2.5 * np.sqrt(2 / np.pi),
    "line": 1.5,
    "root": 2 / 3,
    "unbounded": 2.0,
    "ramp": 1 / 8,
    "callable": 1.5,
    "sample": 1.25,
}
POSITIONS = np.linspace(0.01, 0.99, 31)


@pytest.mark.parametrize(("name", "profile"), SAMPLES.items(), ids=SAMPLES)
class TestEveryProfile:
    """What holds for every kind of profile."""

    def test_values_are_finite_and_non_negative(self, name: str, profile: Profile) -> None:
        values = profile(POSITIONS)
        assert values.dtype == np.float64
        assert values.shape == POSITIONS.shape
        assert np.all(np.isfinite(values) & (values >= 0))
        grid = profile(np.array([[0.25, 0.5], [0.75, 0.9]]))
        assert grid.shape == (2, 2)
        assert profile(np.array(0.25)).shape == ()
        assert float(profile(np.array(0.25))) == grid[0, 0]

    def test_weights_of_the_nodes_add_up_to_one(self, name: str, profile: Profile) -> None:
        values, weights = profile.nodes()
        assert values.shape == weights.shape
        assert np.all(values >= 0)
        assert weights.sum() == pytest.approx(1.0, abs=1e-13)

    def test_averages_over_the_nodes(self, name: str, profile: Profile) -> None:
        values, weights = profile.nodes()
        # A panel of the graded rule contains the ramp's kink; the inverse root's tail is cut.
        loose = {"unbounded": 1e-5, "ramp": 1e-3}.get(name, 1e-12)
        assert weights @ values == pytest.approx(MEANS[name], rel=loose)

    def test_equality_is_by_content(self, name: str, profile: Profile) -> None:
        assert profile == profile
        assert hash(profile) == hash(profile)
        assert [other for other, each in SAMPLES.items() if each == profile] == [name]
        assert profile != name
        assert repr(profile)

    def test_expression_and_values_agree(self, name: str, profile: Profile) -> None:
        here = profile.at(Q(3, 4))
        if profile.expr is None:
            assert here.func.__name__ in ("r", "c")
            assert here.is_nonnegative
        else:
            exact = float(sp.N(here, 25))
            assert float(profile(np.array(0.75))) == pytest.approx(exact, rel=1e-14)
            with mp.workdps(30):
                assert mp.almosteq(profile.at_mp(mp.mpf(3) / 4), mp.mpf(str(sp.N(here, 30))))

    def test_a_constant_is_known_as_one(self, name: str, profile: Profile) -> None:
        assert (profile.constant is not None) == (name == "constant")

    def test_share_of_zeros(self, name: str, profile: Profile) -> None:
        expected = {"sample": 0.25, "ramp": 0.5}.get(name, 0.0)
        assert profile.zero_share == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "bounded", "convergent"),
    [
        ("constant", True, True),
        ("half-normal", False, True),
        ("line", True, True),
        ("root", True, True),
        ("unbounded", False, True),
        ("callable", None, None),
        ("sample", True, None),
    ],
)
def test_what_is_known_about_bounds_and_limits(
    name: str, bounded: bool | None, convergent: bool | None
) -> None:
    assert SAMPLES[name].bounded is bounded
    assert SAMPLES[name].convergent is convergent


def test_stated_bounds_are_kept() -> None:
    assert SymbolicProfile(1 / X, bounded=True).bounded is True
    assert CallableProfile(lambda x: x, bounded=True).bounded is True


def test_callables_are_known_in_double_precision_only() -> None:
    with pytest.raises(TypeError, match="double precision"):
        SAMPLES["callable"].at_mp(mp.mpf(1) / 2)
    assert SAMPLES["sample"].at_mp(mp.mpf("0.9")) == 3


def test_equal_profiles_by_different_symbols_are_one() -> None:
    assert SymbolicProfile(1 + X) == SymbolicProfile(1 + sp.Symbol("v", nonnegative=True))
    assert ConstantProfile(2) == SymbolicProfile(2)
    assert EmpiricalProfile([1.0, 2.0]) == EmpiricalProfile([2.0, 1.0])
    assert EmpiricalProfile([1.0, 2.0]) != EmpiricalProfile([1.0, 2.5])
    function = np.sqrt
    assert CallableProfile(function) == CallableProfile(function)
    assert CallableProfile(np.sqrt) != CallableProfile(np.exp)


# ------------------------------------------------------------------------- half-normal nodes


def test_half_normal_is_the_quantile_of_an_absolute_normal() -> None:
    np.testing.assert_allclose(
        HalfNormalProfile(2)(POSITIONS), 2 * special.ndtri((1 + POSITIONS) / 2), rtol=1e-12
    )


@pytest.mark.parametrize("power", [0, 1, 2, 4])
def test_half_normal_moments_by_either_rule(power: int) -> None:
    profile = HalfNormalProfile(3)
    exact = 3**power * 2 ** (power / 2) * special.gamma((power + 1) / 2) / np.sqrt(np.pi)
    values, weights = profile.nodes()
    assert weights @ values**power == pytest.approx(exact, rel=1e-13)
    values, weights = profile.nodes_around(np.array([0.0, 0.7, 5.0, np.inf]))
    np.testing.assert_allclose((weights * values**power).sum(axis=1), exact, rtol=1e-12)


@pytest.mark.parametrize("edge", [1e-5, 0.3, 2.0, 9.0])
def test_graded_nodes_resolve_kinks_and_roots(edge: float) -> None:
    values, weights = (part[0] for part in HalfNormalProfile(2).nodes_around(np.array([edge])))

    def density(g: float) -> float:
        return float(np.sqrt(2 / np.pi) * np.exp(-(g**2) / 2))

    for function in (
        lambda x: np.maximum(1 - edge / np.maximum(x, edge / 2), 0),
        lambda x: np.sqrt(np.maximum(x - edge, 0)),
    ):
        pieces = [0, edge / 2, edge / 2 + 1, 14]
        exact = sum(
            integrate.quad(lambda g, f=function: f(2 * g) * density(g), a, b, epsabs=1e-14)[0]
            for a, b in itertools.pairwise(pieces)
        )
        assert weights @ function(values) == pytest.approx(exact, rel=1e-8, abs=1e-13)


# ------------------------------------------------------------------------------- as_profile


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (2, ConstantProfile),
        (2.5, ConstantProfile),
        (np.float64(2), ConstantProfile),
        (np.int64(2), ConstantProfile),
        (Q(1, 2), ConstantProfile),
        ("3/2", ConstantProfile),
        ("1 + u", SymbolicProfile),
        (1 + X, SymbolicProfile),
        (np.sqrt, CallableProfile),
        ([1.0, 2.0], EmpiricalProfile),
        (np.array([1, 2]), EmpiricalProfile),
        ((1.0, 2.0), EmpiricalProfile),
    ],
    ids=repr,
)
def test_what_profiles_are_made_of(value: object, kind: type[Profile]) -> None:
    profile = as_profile(value, "row_profile")
    assert type(profile) is kind
    assert as_profile(profile, "row_profile") is profile


REFUSED = {
    "zero": 0,
    "negative": -1,
    "true": True,
    "nan": float("nan"),
    "infinite": float("inf"),
    "imaginary": sp.I,
    "unreadable": "u**",
    "a list in text": "[1, 2]",
    "empty text": "",
    "two symbols": X * sp.Symbol("y"),
    "negative expression": X - 2,
    "zero expression": X - X + 0 * X,
    "vanishing expression": sp.Max(0, X - 2),
    "pole": 1 / (X - Q(1, 2)),
    "complex expression": sp.I * X,
    "root of negatives": sp.sqrt(X - Q(1, 2)),
    "negative callable": lambda x: -x,
    "nan callable": lambda x: np.nan * x,
    "complex callable": lambda x: 1j * x,
    "wrong shape": lambda x: np.ones(3),
    "negative sample": [1.0, -1.0],
    "nan sample": [1.0, float("nan")],
    "infinite sample": [1.0, float("inf")],
    "complex sample": [1 + 2j, 1.0],
    "words": ["a", "b"],
    "empty sample": [],
    "matrix": [[1.0, 2.0]],
    "scalar array": np.array(3.0),
    "all zero": [0.0, 0.0],
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_bad_values_name_the_argument(value: object) -> None:
    with pytest.raises(ValueError, match="column_law"):
        as_profile(value, "column_law")


@pytest.mark.parametrize("value", [None, {1.0, 2.0}, {"a": 1}, 1j, object()], ids=repr)
def test_other_types_name_the_argument(value: object) -> None:
    with pytest.raises(TypeError, match="column_law must be a Profile, a number"):
        as_profile(value, "column_law")


@pytest.mark.parametrize("scale", [0, -1, X, float("nan")], ids=str)
def test_half_normal_needs_a_positive_scale(scale: object) -> None:
    with pytest.raises(ValueError, match="scale must be a positive number"):
        HalfNormalProfile(scale)


def test_a_callable_is_checked_wherever_it_is_asked() -> None:
    late = CallableProfile(lambda x: np.where(x < 1e-3, -1.0, 1.0), name="late")
    with pytest.raises(ValueError, match="late must be non-negative"):
        late(np.array([1e-4]))


# --------------------------------------------------------------------------- random samples

samples = hnp.arrays(
    np.float64, st.integers(1, 30), elements=st.floats(0, 1e6, allow_subnormal=False)
).filter(lambda values: values.max() > 1e-6)


@given(samples)
def test_a_sample_is_its_own_quantile_function(values: np.ndarray) -> None:
    profile = as_profile(values, "row_profile")
    size = values.size
    np.testing.assert_array_equal(profile((np.arange(size) + 0.5) / size), np.sort(values))
    at, weights = profile.nodes()
    assert weights @ at == pytest.approx(values.mean(), rel=1e-12)
    assert profile.zero_share == pytest.approx(np.mean(values == 0), abs=1e-12)
    assert np.all(np.diff(profile(np.linspace(0.001, 0.999, 50))) >= 0)


@given(samples, st.floats(0.01, 0.99))
def test_the_density_equation_is_solved_for_any_sample(values: np.ndarray, density: float) -> None:
    share = np.mean(values > 0)
    assume(abs(share - density) > 1e-9)
    limit = criteria.snip(values, 1).limit(density)
    if share < density:
        with pytest.raises(ValueError, match="cannot be reached"):
            _ = limit.tau
        return
    # The sum over the sample itself, with the Gaussian's tail from another library.
    with np.errstate(divide="ignore"):
        kept = 2 * special.ndtr(-limit.tau / values)
    assert kept.mean() == pytest.approx(density, abs=1e-10)
    assert np.all(limit.at_factors(values, 1.0)[values == 0] == 0)


@given(samples, st.floats(0.01, 0.99), st.floats(0.01, 100))
def test_scores_have_no_unit(values: np.ndarray, density: float, factor: float) -> None:
    assume(np.mean(values > 0) - density > 1e-9)
    one = criteria.snip(values, [1.0, 2.0]).limit(density)
    other = criteria.snip(values * factor, [1.0, 2.0]).limit(density)
    assert other.tau == pytest.approx(one.tau * factor, rel=1e-6, abs=1e-300)
