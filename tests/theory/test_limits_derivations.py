"""Proofs about limits: every chain and mutant comes out, and statements agree with numbers."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy import integrate

from theory import criteria, derivations
from theory.derivation import Status
from theory.laws import Gaussian
from theory.saliency import MagnitudeRule, SignedRule
from theory.symbols import c, r, tau

NAMES = sorted(name for name in derivations.names() if name.startswith("limits."))
CONDITIONAL = {"limits.stein"}


def test_the_chains_are_registered() -> None:
    assert {
        "limits.magnitude_rule",
        "limits.signed_rule",
        "limits.magnitude",
        "limits.taxonomy",
        "limits.turn_over",
        "limits.three_graphons",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
class TestEveryChain:
    """Each chain verifies itself and refutes its own near misses."""

    def test_is_proved_or_says_what_it_is_conditional_on(self, name: str) -> None:
        chain = derivations.get(name)
        found = chain.verify()
        for mutant, result in found.mutants:
            assert result.status is Status.FAILED, (mutant, result.detail)
        assert found.mutants
        if name in CONDITIONAL:
            assert found.status is Status.UNDECIDED
            assert found.conditional_on
            others = [each for _, each in found.steps if each.kind != "cited"]
            assert all(each.status is Status.PROVED for each in others)
        else:
            assert found.status is Status.PROVED, found.reasons
            assert not found.conditional_on

    def test_is_readable(self, name: str) -> None:
        chain = derivations.get(name)
        assert chain.name == name
        assert chain.title
        assert chain.domain
        assert chain.statement.count("{") == chain.statement.count("}")
        text = chain.to_text()
        assert chain.title in text
        assert all(step.reason in text for step in chain.steps)


# ------------------------------------------------------------- the statements, as plain numbers


def moment(level: float, order: int, two_sided: bool) -> float:
    """Truncated moment of the normal law by quadrature."""

    def integrand(x: float) -> float:
        return float(x**order * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))

    above = integrate.quad(integrand, level, np.inf, epsabs=1e-14)[0]
    return above + (integrate.quad(integrand, -np.inf, -level)[0] if two_sided else 0.0)


@pytest.mark.parametrize("rule", [MagnitudeRule(), SignedRule()], ids=lambda rule: rule.name)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_rules_are_truncated_moments(rule: object, order: int) -> None:
    expr = rule.moment(Gaussian(), order, tau)
    for row, column, level in ((1.0, 1.0, 0.7), (2.0, 0.3, 1.1), (0.5, 4.0, 0.2)):
        found = float(sp.sympify(expr).subs({r: row, c: column, tau: level}))
        expected = moment(level / (row * column), order, isinstance(rule, MagnitudeRule))
        assert found == pytest.approx(expected, abs=1e-11)


def test_a_signed_mask_turns_over_where_the_threshold_changes_sign() -> None:
    slope = sp.lambdify((r, c, tau), sp.diff(SignedRule().moment(Gaussian(), 0, tau), r))
    for density in (0.1, 0.4, 0.6, 0.9):
        level = criteria.grasp_signed().limit(density).tau
        assert np.sign(level) == np.sign(0.5 - density)
        assert np.sign(slope(1.3, 0.8, level)) == np.sign(level)


def test_magnitude_keeps_more_second_moment_than_its_density() -> None:
    for density in (0.01, 0.2, 0.8):
        limit = criteria.magnitude().limit(density)
        assert limit.total("variance") == pytest.approx(moment(limit.tau, 2, True), abs=1e-11)
        assert density < limit.total("variance") < 1
