"""SynFlow's mean field: densities, linear response, and what lives below the transition."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from scipy.integrate import quad

from numerics import synflow_field
from numerics.path_sums import path_sums
from numerics.seeds import generator
from numerics.synflow import synflow
from theory import laws
from theory import synflow as theory

GAUSS = theory.critical_density(laws.Gaussian())
RHO_C = float(GAUSS.evalf())


@pytest.mark.parametrize("schedule", ["exponential", "linear"])
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("law", [laws.Gaussian(), laws.Uniform(), laws.Laplace()], ids=str)
def test_densities_follow_the_schedule(schedule: str, scope: str, law: Any) -> None:
    widths = (784, 300, 300, 100, 10)
    found = synflow_field.rounds(widths, 0.4, rounds=20, schedule=schedule, scope=scope, law=law)
    edges = np.array([a * b for a, b in itertools.pairwise(widths)])
    total = (found.densities[-1] * edges).sum() / edges.sum()
    assert total == pytest.approx(0.4, abs=1e-9)
    assert (np.diff(found.cuts, axis=0) >= 0).all()
    if scope == "layer":
        np.testing.assert_allclose(found.densities[-1], 0.4, atol=1e-9)
    else:
        assert found.densities[-1, -1] > 0.9  # ten outputs: few edges carry all the flow


def test_dense_layers_are_left_out() -> None:
    found = synflow_field.rounds((50, 50, 50, 50), 0.3, rounds=10, keep=(1, 3))
    np.testing.assert_allclose(found.densities[-1], [1.0, 0.3, 1.0], atol=1e-9)
    assert (found.gains[:, [0, 2]] == 0).all()
    assert found.feedback[-1] == pytest.approx([0.0, 0.0])


def test_many_rounds_give_the_closed_form_of_the_response() -> None:
    n, density = 1000, 0.5
    found = synflow_field.rounds((n,) * 4, density, rounds=2000)
    law = laws.Gaussian()
    cut = law.two_sided_quantile(sp.Rational(1, 2))
    gain, noise = theory.gain(law, cut), theory.edge_noise(law, cut) / n
    expected = math.sqrt(float(theory.response_variance(gain, gain, noise, noise).evalf()))
    for side in found.spread():
        np.testing.assert_allclose(side, expected, rtol=2e-3)
    assert found.gains[-1, 1] == pytest.approx(float(gain.evalf()), rel=1e-9)


def test_one_round_feels_the_dense_network_only() -> None:
    n, density = 500, 0.1
    found = synflow_field.rounds((n,) * 4, density, rounds=1)
    law = laws.Gaussian()
    cut = law.two_sided_quantile(sp.Rational(1, 10))
    dense = theory.edge_noise(law, sp.Integer(0))
    variance = theory.edge_noise(law, cut) + theory.gain(law, cut) ** 2 * dense
    np.testing.assert_allclose(found.spread()[0] ** 2 * n, float(variance.evalf()), rtol=1e-9)
    assert found.feedback[-1, 0] > 1.0  # and yet nothing diverges


@pytest.mark.parametrize(
    ("widths", "density", "rounds"),
    [((700, 600, 800, 500), 0.65, 20), ((600, 600, 600), 0.4, 2)],
)
def test_drawn_networks_have_these_densities_and_spreads(
    widths: tuple[int, ...], density: float, rounds: int
) -> None:
    expected = synflow_field.rounds(widths, density, rounds=rounds)
    spread = []
    for seed in range(4):
        weights = [
            torch.from_numpy(generator(seed, i).standard_normal((b, a))).float()
            for i, (a, b) in enumerate(itertools.pairwise(widths))
        ]
        found = synflow(weights, density, rounds=rounds)
        np.testing.assert_allclose(found.densities, expected.densities[-1], atol=0.01)
        sums = path_sums(weights, found.masks)
        spread.append([float(h.log().std()) for h in sums.incoming[1:]])
    np.testing.assert_allclose(np.mean(spread, axis=0), expected.spread()[0], rtol=0.06)


def test_nobody_dies_above_the_transition() -> None:
    found = synflow_field.quasi_static((100,) * 5, [0.9, 0.5, 0.33])
    assert (found.alive == 1.0).all()
    np.testing.assert_allclose(found.densities[-1], 0.33, atol=2e-3)


@pytest.mark.parametrize("law", [laws.Gaussian(), laws.Uniform()], ids=str)
def test_one_hidden_layer_keeps_the_critical_density_among_the_living(law: Any) -> None:
    critical = float(theory.critical_density(law).evalf())
    goals = [0.8 * critical, 0.3 * critical]
    found = synflow_field.quasi_static((100, 100, 100), goals, law=law)
    np.testing.assert_allclose(found.alive[:, 0], [0.8, 0.3], rtol=3e-3)
    np.testing.assert_allclose(found.densities / found.alive, critical, rtol=3e-3)


def test_three_hidden_layers_take_turns() -> None:
    found = synflow_field.quasi_static((100,) * 5, [0.2])
    np.testing.assert_allclose(found.alive[0], [0.2 / RHO_C, 1.0, 0.2 / RHO_C], rtol=4e-3)


def test_four_hidden_layers_have_the_solution_by_hand() -> None:
    """Cuts of the even matrices stay at 1; then the shares are a^2, a, a, a^2."""
    found = synflow_field.quasi_static((100,) * 6, [0.1], step=5e-4)
    a = found.alive[0, 1]
    np.testing.assert_allclose(found.alive[0], [a**2, a, a, a**2], rtol=4e-3)
    np.testing.assert_allclose(found.cuts[0, [1, 3]], 1.0, rtol=2e-3)
    cut = found.cuts[0, 0]
    np.testing.assert_allclose(cut * math.exp(cut**2 / 2), math.exp(0.5) / a, rtol=6e-3)


def test_narrow_outputs_keep_the_last_layer_alive() -> None:
    found = synflow_field.quasi_static((784, 300, 300, 300, 10), [0.1])
    assert found.alive[0, -1] == 1.0
    assert found.alive[0, :2].min() < 0.5


def test_the_excess_is_the_integral() -> None:
    shares = np.array([0.02, 0.1, 0.5, 0.9])
    found = synflow_field.excess_curve(shares, laws.Uniform())
    exact = []
    for share in shares:
        expr = theory.living_excess(laws.Uniform(), sp.Rational(str(share)))
        (integral,) = expr.atoms(sp.Integral)
        function = sp.lambdify(integral.variables[0], integral.function, "scipy")
        area = quad(function, 0, math.inf, epsabs=1e-13, epsrel=1e-12)[0]
        exact.append(float(expr.subs(integral, sp.Float(area, 17)).evalf()))
    np.testing.assert_allclose(found, exact, rtol=1e-9)
    assert synflow_field.excess_curve(0.25).shape == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: synflow_field.rounds((5,), 0.5), "widths must be"),
        (lambda: synflow_field.rounds((5, 0), 0.5), "widths must be"),
        (lambda: synflow_field.rounds((5, 5), 0.0), "density must lie"),
        (lambda: synflow_field.rounds((5, 5), 0.5, rounds=0), "rounds must be"),
        (lambda: synflow_field.rounds((5, 5), 0.5, scope="row"), "scope must be"),
        (lambda: synflow_field.rounds((5, 5), 0.5, keep=(2,)), "keep must hold"),
        (lambda: synflow_field.quasi_static((5, 5), [0.2, 0.3]), "densities must"),
        (lambda: synflow_field.quasi_static((5, 5), []), "densities must"),
        (lambda: synflow_field.quasi_static((5, 5), [0.5], step=1.0), "step must lie"),
        (lambda: synflow_field.excess_curve(1.0), "dead must lie"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
