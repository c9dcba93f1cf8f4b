"""SynFlow's gain and critical density, from closed forms, quadrature and a law of its own."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pytest
import sympy as sp
from scipy.integrate import quad

from theory import derivations, laws, synflow
from theory.derivation import Status
from theory.law_base import Law

NAMES = sorted(name for name in derivations.names() if name.startswith("synflow."))
SHIPPED = [laws.law(name) for name in laws.LAWS]
S = sp.Symbol("s", positive=True)


def number(expr: sp.Expr) -> float:
    """A value with its integrals done by quadrature in double precision."""

    def area(integrand: sp.Expr, limits: sp.Tuple) -> sp.Expr:
        function = sp.lambdify(limits[0], integrand, "scipy")
        return sp.Float(quad(function, 0, math.inf, epsabs=1e-13, epsrel=1e-12)[0])

    return float(expr.replace(sp.Integral, area).evalf())


class Mixture(Law):
    """A narrow and a wide normal law: not of the registry, and with a gain that is not monotone."""

    name: ClassVar[str] = "mixture"
    share = sp.Rational(1, 50)
    wide = sp.Integer(8)

    @property
    def scale(self) -> sp.Expr:
        return sp.sqrt(1 - self.share + self.share * self.wide**2)

    def _mix(self, method: str, x: sp.Expr) -> sp.Expr:
        parts = (laws.Gaussian(1), 1 - self.share), (laws.Gaussian(self.wide), self.share)
        return sp.Add(*(weight * getattr(law, method)(x) for law, weight in parts))

    def _inner_density(self, x: sp.Expr) -> sp.Expr:
        return self._mix("density", x)

    def _inner_survival(self, x: sp.Expr) -> sp.Expr:
        return self._mix("survival", x)

    def _inner_mean(self, x: sp.Expr) -> sp.Expr:
        return self._mix("mean_above", x)

    def _inner_second(self, x: sp.Expr) -> sp.Expr:
        return self._mix("second_above", x)

    def quantile(self, p: Any) -> sp.Expr:
        return self.wide * laws.Gaussian().quantile(p)

    def two_sided_quantile(self, rho: Any) -> sp.Expr:
        """Not the quantile, but it sweeps the cuts that matter."""
        return self.wide * laws.Gaussian().two_sided_quantile(rho)

    @property
    def latex(self) -> str:
        return "m"


class Shell(Law):
    """|w| uniform on [1, 1.1]: a density that jumps."""

    name: ClassVar[str] = "shell"
    edge = sp.Rational(11, 10)

    @property
    def scale(self) -> sp.Expr:
        return sp.sqrt((self.edge**3 - 1) / 3 * 10)

    @property
    def half_width(self) -> sp.Expr:
        return self.edge

    def _inner_density(self, x: sp.Expr) -> sp.Expr:
        return 5 * sp.Heaviside(x - 1, 1)

    def _above(self, power: int, x: sp.Expr) -> sp.Expr:
        return 5 * (self.edge**power - sp.Max(x, 1) ** power) / power

    def _inner_survival(self, x: sp.Expr) -> sp.Expr:
        return self._above(1, x)

    def _inner_mean(self, x: sp.Expr) -> sp.Expr:
        return self._above(2, x)

    def _inner_second(self, x: sp.Expr) -> sp.Expr:
        return self._above(3, x)

    def quantile(self, p: Any) -> sp.Expr:
        return self.edge - (1 - sp.sympify(p)) / 5

    def two_sided_quantile(self, rho: Any) -> sp.Expr:
        return self.edge - sp.sympify(rho) / 10

    @property
    def latex(self) -> str:
        return "s"


def test_all_derivations_are_registered() -> None:
    expected = {f"synflow.critical.{name}" for name in (*laws.LAWS, "exists")}
    assert set(NAMES) == expected | {"synflow.excess", "synflow.response", "synflow.turning"}


@pytest.mark.parametrize("name", NAMES)
def test_chain_is_proved_and_every_mutant_refuted(name: str) -> None:
    result = derivations.get(name).verify()
    assert result.status is Status.PROVED, result.reasons
    assert result.conditional_on == ()


@pytest.mark.parametrize("law", SHIPPED, ids=str)
@pytest.mark.parametrize("share", [0.7, 0.2])
def test_gain_and_noise_are_those_of_the_integrals(law: Law, share: float) -> None:
    s = float(law.two_sided_quantile(sp.Rational(str(share))).evalf())
    density = sp.lambdify(S, law._inner_density(S), "scipy")
    top = float(law.half_width) if law.half_width is not sp.oo else math.inf
    moment = [2 * quad(lambda w, k=k: w**k * density(w), s, top)[0] for k in range(3)]
    assert moment[0] == pytest.approx(share, rel=1e-7)
    gain = float(synflow.gain(law, sp.Float(s)).evalf())
    assert gain == pytest.approx(s**2 * 2 * density(s) / moment[1], rel=1e-7)
    noise = float(synflow.edge_noise(law, sp.Float(s)).evalf())
    assert noise == pytest.approx(moment[2] / moment[1] ** 2 - 1, rel=1e-7)
    strength = float(synflow.cut_strength(law, sp.Float(s)).evalf())
    step = 1e-5
    kept = [law.two_sided_survival(sp.Float(s * math.exp(k * step))).evalf(20) for k in (-1, 1)]
    assert strength == pytest.approx(float(kept[0] - kept[1]) / (2 * step), rel=1e-4)


@pytest.mark.parametrize("law", SHIPPED, ids=str)
def test_there_is_one_crossing_and_it_is_the_critical_cut(law: Law) -> None:
    (found,) = synflow.crossings(law)
    assert found == pytest.approx(float(synflow.critical_cut(law).evalf()), rel=1e-10)


def test_known_densities() -> None:
    density = {name: float(synflow.critical_density(laws.law(name)).evalf()) for name in laws.LAWS}
    assert density["gaussian"] == pytest.approx(math.erfc(1 / math.sqrt(2)), rel=1e-14)
    assert density["uniform"] == pytest.approx(1 - 1 / math.sqrt(3), rel=1e-14)
    assert density["laplace"] == pytest.approx(math.exp(-(1 + math.sqrt(5)) / 2), rel=1e-14)
    order = ["laplace", "student_t", "gaussian", "truncated_normal", "uniform"]
    assert sorted(density, key=lambda name: density[name]) == order  # heavier tails hold longer


@pytest.mark.parametrize("scale", [sp.Rational(1, 3), 7])
def test_the_scale_of_the_weights_does_not_matter(scale: Any) -> None:
    for family in (laws.Gaussian, laws.Uniform, laws.Laplace):
        one, other = family(), family(scale)
        assert sp.simplify(synflow.critical_density(one) - synflow.critical_density(other)) == 0


def test_a_law_may_have_three_crossings() -> None:
    found = synflow.crossings(Mixture())
    assert len(found) == 3
    for cut in found:
        assert float(synflow.gain(Mixture(), sp.Float(cut)).evalf()) == pytest.approx(1.0)


def test_a_law_whose_density_jumps_may_have_none() -> None:
    gains = [float(synflow.gain(Shell(), sp.Rational(k, 1000))) for k in (999, 1000, 1050)]
    assert gains[0] == 0
    assert gains[1] == pytest.approx(200 / 21)
    assert gains[2] > gains[1]
    assert synflow.crossings(Shell()) == ()


def test_other_laws_have_no_closed_form() -> None:
    with pytest.raises(ValueError, match="registry's families"):
        synflow.critical_cut(Mixture())


def test_response_diverges_and_without_feedback_is_the_noise() -> None:
    assert synflow.response_variance(0, 0, 3, 5) == 3
    near = [float(synflow.response_variance(g, g, 1, 1)) for g in (0.5, 0.9, 0.99)]
    assert near[0] == pytest.approx(1.25 / 0.75**2)
    assert near[0] < near[1] < near[2]
    assert synflow.response_variance(sp.Rational(1, 2), 0, 1, 4) == 2  # one matrix left dense


@pytest.mark.parametrize("law", SHIPPED, ids=str)
def test_curvature_is_the_slope_of_the_gain(law: Law) -> None:
    cut = float(synflow.critical_cut(law).evalf())
    step = 1e-6
    up, down = (
        float(synflow.gain(law, sp.Float(cut * math.exp(k * step), 30)).evalf(20)) for k in (1, -1)
    )
    found = float(synflow.curvature(law, synflow.critical_cut(law)).evalf())
    assert found == pytest.approx((up - down) / (2 * step), rel=1e-5)


def test_a_neuron_solves_its_own_equations_at_the_turning_point() -> None:
    """Both exact fixed-point equations with equal noises, solved by iteration."""
    noise, theta = 0.004, 0.001
    u = v = -0.3
    for _ in range(3000):  # log J(e^u) = -e^(2u) / 2 for Gaussian weights
        u, v = (theta - noise + (math.exp(2 * other) - 1) / 2 for other in (v, u))
    expected = float(synflow.turning_point(2, noise - theta))
    assert u == pytest.approx(expected, rel=0.08)  # first order in a small number of 0.05


@pytest.mark.parametrize("dead", [0.2, 0.7])
def test_excess_of_the_living_by_solving_for_each_neuron(dead: float) -> None:
    """Exact fixed points and densities of Gaussian weights at a very large width, averaged."""
    root_n = 1e8
    x = float(laws.Gaussian().quantile(sp.Float(dead)).evalf())
    M, J = (
        (math.erfc(1 / math.sqrt(2)) + 2 * math.exp(-0.5) / math.sqrt(2 * math.pi)),
        (2 * math.exp(-0.5) / math.sqrt(2 * math.pi)),
    )
    spread = math.sqrt((M / J**2 - 1) / 2) / root_n

    def lift(z: float) -> float:
        room = spread * (z - x)
        u = -math.sqrt(room)
        for _ in range(50):  # e^(2u) - 1 - 2u = 2 room, the lower of two solutions
            u -= (math.expm1(2 * u) - 2 * u - 2 * room) / (2 * math.expm1(2 * u))
        return math.erfc(math.exp(u) / math.sqrt(2)) - math.erfc(1 / math.sqrt(2))

    def weighted(q: float) -> float:
        z = x + q**2
        return lift(z) * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * 2 * q

    found = math.sqrt(root_n) * quad(weighted, 1e-6, 3)[0] / (1 - dead)
    expected = number(synflow.living_excess(laws.Gaussian(), sp.Float(dead)))
    assert found == pytest.approx(expected, rel=2e-3)


def test_excess_falls_with_the_dead_and_scales_with_the_law() -> None:
    found = [number(synflow.root_excess(sp.Rational(k, 100))) for k in (10, 50, 90)]
    assert found[0] > found[1] > found[2] > 0
    half = math.gamma(0.75) / (2 ** (1 / 4) * math.sqrt(2 * math.pi))
    assert found[1] == pytest.approx(half, rel=1e-8)
    gaussian, uniform = (
        number(synflow.living_excess(law, sp.Rational(1, 10)))
        for law in (laws.Gaussian(), laws.Uniform())
    )
    assert gaussian != pytest.approx(uniform, rel=0.05)
