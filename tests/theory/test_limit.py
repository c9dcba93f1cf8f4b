"""Limit graphons: three forms of each quantity, degrees, path densities, and what is refused."""

from __future__ import annotations

import dataclasses

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, special

from theory import criteria
from theory.laws import LAWS, Gaussian, Laplace, StudentT, Uniform
from theory.limit import LimitGraphon
from theory.profiles import CallableProfile, HalfNormalProfile, SymbolicProfile
from theory.symbols import rho, tau, u, v
from theory.threshold import Threshold

Q = sp.Rational
POSITIONS = np.array([0.03, 0.4, 0.81, 0.995])
SNIP = criteria.snip().limit(Q(1, 5))


def test_the_graphon_of_snip_is_written_out() -> None:
    limit = criteria.snip().limit(rho)
    t = limit.threshold / (2 * sp.erfinv(u) * sp.erfinv(v))
    assert sp.simplify(limit.mask - sp.erfc(t / sp.sqrt(2))) == 0
    phi = sp.exp(-(t**2) / 2) / sp.sqrt(2 * sp.pi)
    assert sp.simplify(limit.variance - limit.mask - 2 * t * phi) == 0
    assert limit.mean == 0
    assert limit.expression("mask", tau).has(tau)
    assert SNIP.mask == SNIP.expression("mask") != SNIP.variance


def test_a_limit_is_a_value() -> None:
    assert criteria.snip().limit(Q(1, 5)) == SNIP
    with pytest.raises(dataclasses.FrozenInstanceError):
        SNIP.density = 1
    assert isinstance(SNIP.threshold, Threshold)
    assert SNIP.tau == float(SNIP.threshold)


@pytest.mark.parametrize("method", ["expression", "definition", "latex", "lambdify", "total"])
def test_an_unknown_graphon_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="which must be one of"):
        getattr(SNIP, method)("masks")
    with pytest.raises(ValueError, match="which must be one of"):
        SNIP.values(0.5, 0.5, "masks")


# ----------------------------------------------------------------------------------- evaluate


def test_numbers_to_many_digits() -> None:
    at = {u: Q(1, 3), v: Q(2, 3)}
    limit = criteria.synflow().limit(Q(1, 5))
    long, short = limit.evaluate(limit.mask, at, 30), limit.evaluate(limit.mask, at)
    assert len(str(long)) > 28
    assert abs(long - short) < 1e-15
    assert float(short) == pytest.approx(float(limit.values(1 / 3, 2 / 3)), rel=1e-14)
    with mp.workdps(40):
        level = mp.mpf(str(limit.threshold.evalf(38)))
        factor = mp.sqrt(2) * mp.erfinv(mp.mpf(2) / 3)
        exact = mp.erfc(level / (factor * mp.sqrt(2)))
        assert abs(mp.mpf(str(long)) - exact) < mp.mpf(10) ** -29


def test_positions_that_are_missing_are_named() -> None:
    limit = criteria.snip(2, None).limit(Q(1, 5))
    with pytest.raises(ValueError, match=r"at must give values for \['v'\]"):
        limit.evaluate(limit.mask, {u: Q(1, 2)})


@pytest.mark.parametrize("family", ["gaussian", "uniform", "laplace", "student_t"])
def test_lambdified_for_mpmath_agrees(family: str) -> None:
    limit = criteria.synflow(weight_law=LAWS[family]()).limit(Q(1, 5))
    for which in ("mask", "variance"):
        function = limit.lambdify(which, "mpmath")
        for at in (0.2, 0.85):
            found = function(mp.mpf("0.5"), mp.mpf(at))
            assert float(found) == pytest.approx(float(limit.values(0.5, at, which)), rel=1e-11)


# -------------------------------------------------------------------- degrees and path density


@pytest.mark.parametrize(
    "model",
    [
        criteria.snip(),
        criteria.snip(1 + u, HalfNormalProfile(2), Gaussian(Q(1, 2))),
        criteria.synflow(),
    ],
    ids=["snip", "scaled", "synflow"],
)
def test_closed_degrees_agree_with_quadrature(model: object) -> None:
    limit = model.limit(Q(3, 10))
    level = sp.Rational(limit.tau)
    for power, expr in ((0, limit.source_degree()), (2, limit.path_density())):
        assert not expr.has(sp.Integral)
        found = limit.source_degree_values(POSITIONS, power)
        for position, value in zip(POSITIONS, found, strict=True):
            exact = sp.N(expr.subs({limit.threshold: level, u: Q(position)}), 20)
            assert value == pytest.approx(float(exact), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize(
    "model",
    [
        criteria.grasp_signed(),
        criteria.snip(weight_law=Uniform()),
        criteria.snip(weight_law=StudentT(4)),
        criteria.snip(offset=1),
        criteria.snip(1 + u, 2 - v),
    ],
    ids=["signed", "uniform", "student", "offset", "bounded"],
)
def test_other_degrees_are_integrals_of_the_graphon(model: object) -> None:
    limit = model.limit(Q(3, 10))
    assert limit.source_degree() == sp.Integral(limit.mask, (v, 0, 1))
    assert limit.path_density().has(sp.Integral)
    for power in (0, 2):
        found = limit.source_degree_values(POSITIONS, power)
        for position, value in zip(POSITIONS, found, strict=True):
            exact = integrate.quad(
                lambda x, position=position, power=power: float(
                    limit.values(position, x) * limit.model.column(np.array(x)) ** power
                ),
                0,
                1,
                limit=200,
                epsabs=1e-10,
            )[0]
            assert value == pytest.approx(exact, abs=2e-7)
    found = limit.target_degree_values(POSITIONS)
    for position, value in zip(POSITIONS, found, strict=True):
        exact = integrate.quad(
            lambda x, position=position: float(limit.values(x, position)), 0, 1, limit=200
        )[0]
        assert value == pytest.approx(exact, abs=2e-7)


def test_degrees_without_a_pattern() -> None:
    limit = criteria.magnitude().limit(rho)
    assert sp.simplify(limit.target_degree() - limit.mask) == 0
    assert limit.source_degree().doit() == limit.mask
    assert limit.path_density().doit() == limit.mask
    synflow = criteria.synflow().limit(Q(1, 5))
    assert synflow.target_degree() == synflow.mask
    assert not synflow.source_degree().has(u)
    assert isinstance(SNIP.target_degree(), sp.Integral)


def test_strong_sources_keep_more_paths_than_weights() -> None:
    degree, path = (SNIP.source_degree_values(POSITIONS, power) for power in (0, 2))
    assert np.all(path > degree)  # a large |a| keeps more of its weights
    assert np.all(np.diff(degree) > 0)
    total = np.trapezoid(SNIP.source_degree_values(np.linspace(0, 1, 2002)[1:-1], 2), dx=1 / 2001)
    assert 0.2 < total < 1


def test_degrees_are_one_at_density_one() -> None:
    limit = criteria.snip().limit(1)
    assert limit.source_degree() == 1
    assert limit.path_density() == 1
    np.testing.assert_allclose(limit.source_degree_values(POSITIONS), 1, rtol=1e-13)
    np.testing.assert_allclose(limit.target_degree_values(POSITIONS), 1, rtol=1e-13)


# ------------------------------------------------------------------------------ other profiles


def test_profiles_without_a_formula_are_written_as_functions() -> None:
    limit = criteria.snip(lambda x: 1 + x, [1.0, 2.0]).limit(Q(1, 5))
    text = limit.latex()
    assert r"r{\left(u \right)}" in text
    assert r"c{\left(v \right)}" in text
    same = criteria.snip(SymbolicProfile(1 + u), [1.0, 2.0]).limit(Q(1, 5))
    assert limit.tau == pytest.approx(same.tau, rel=1e-14)
    np.testing.assert_allclose(limit.grid(5), same.grid(5), rtol=1e-12)
    assert limit.at_factors(1.5, 2.0, "variance") == pytest.approx(
        float(limit.values(0.5, 0.75, "variance")), rel=1e-14
    )


def test_weights_of_another_scale_keep_the_same_mask() -> None:
    one, wide = (criteria.snip(weight_law=Laplace(scale)).limit(Q(1, 5)) for scale in (1, 3))
    for which, factor in (("mask", 1), ("variance", 9)):
        found, expected = wide.grid(6, which=which), factor * one.grid(6, which=which)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    assert wide.tau == pytest.approx(3 * one.tau, rel=1e-12)


def test_an_unbounded_profile_has_a_limit() -> None:
    limit = criteria.snip(1 / sp.sqrt(1 - u), 1).limit(Q(1, 5))
    kept = integrate.quad(
        lambda x: special.erfc(limit.tau * np.sqrt((1 - x) / 2)), 0, 1, epsabs=1e-13
    )[0]
    assert kept == pytest.approx(0.2, abs=1e-9)


def test_signed_rules_turn_over_at_one_half() -> None:
    below, above = (criteria.grasp_signed().limit(d).values(POSITIONS, 0.7) for d in (0.3, 0.7))
    assert np.all(np.diff(below) > 0)
    assert np.all(np.diff(above) < 0)
    np.testing.assert_allclose(below + above, 1, rtol=1e-12)
    strongest = criteria.grasp_signed().limit(0.7).values(1 - 1e-15, 1 - 1e-15)
    assert 0.5 < strongest < 0.51


factors = hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(0.01, 100))


@settings(max_examples=40)
@given(factors, factors, st.floats(0.02, 0.98), st.sampled_from(["snip", "grasp-signed"]))
def test_a_sample_of_factors_has_its_density_exactly(
    rows: np.ndarray, columns: np.ndarray, density: float, name: str
) -> None:
    limit = criteria.criterion(name, row_profile=rows, column_law=columns).limit(density)
    P, mu, V = (
        limit.at_factors(rows[None, :], columns[:, None], which)
        for which in ("mask", "mean", "variance")
    )
    assert P.mean() == pytest.approx(density, abs=1e-11)
    assert np.all((P >= 0) & (P <= 1))
    assert np.all(mu**2 <= P * V * (1 + 1e-12))
    assert V.max() <= 1 + 1e-12
    # The score grows with a factor where tau is positive, and so does the share kept.
    order = np.argsort(rows)
    steps = np.diff(P[:, order], axis=1) * np.sign(limit.tau)
    assert np.all(steps >= -1e-15)


def test_a_callable_profile_that_misbehaves_late_is_caught() -> None:
    with pytest.raises(ValueError, match="bad must be finite"):
        criteria.snip(CallableProfile(lambda x: np.where(x > 0.9999, np.nan, x), name="bad")).limit(
            0.2
        ).grid(400)


def test_grids_need_cells() -> None:
    with pytest.raises(ValueError, match="targets and sources must be at least 1"):
        SNIP.grid(0)
    assert isinstance(SNIP, LimitGraphon)
