"""The proofs of the duals: what is proved, what is conditional, and that spoiled ones fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from theory import derivations
from theory.checks import Identity, Status
from theory.derivations.duals_lemmas import Lemma
from theory.derivations.duals_steps import along, ends, reflection, scaling, variants
from theory.dual import DualActivation, q11, q12, q22
from theory.duals import DUALS, ABReLU, Erf, ReLU

NAMES = sorted(name for name in derivations.names() if name.startswith("dual."))
CONDITIONAL = {"dual.expansion"}
NOT_ACTIVATIONS = {
    "dual.price",
    "dual.gaussian_integral",
    "dual.expansion",
    "dual.exp_normalized",
}


@pytest.mark.parametrize("name", NAMES)
def test_status(name: str) -> None:
    chain = derivations.get(name)
    result = chain.verify()
    if name in CONDITIONAL:
        assert result.status is Status.UNDECIDED
        assert len(result.conditional_on) == 1
        assert len(result.reasons) == 1
    else:
        assert result.status is Status.PROVED, result.reasons
    assert len(result.mutants) >= 3
    assert all(found.status is Status.FAILED for _, found in result.mutants), result.reasons
    assert chain.to_text(result)
    assert chain._repr_markdown_()


def test_every_closed_form_has_a_proof() -> None:
    """The sigmoid-like erf is a case of erf; everything else has a chain of its name."""
    closed = {name for name, each in DUALS.items() if each.closed} - {"sigmoid_like"}
    assert closed == {name.removeprefix("dual.") for name in set(NAMES) - NOT_ACTIVATIONS}


@pytest.mark.parametrize("name", NAMES)
def test_a_mutant_in_the_chain_fails_it(name: str) -> None:
    chain = derivations.get(name)
    check = next(iter(chain.mutants.values()))
    spoiled = replace(chain, steps=(replace(chain.steps[0], check=check),), mutants={})
    assert spoiled.verify().status is Status.FAILED


class _Wrong(ReLU):
    """ReLU with the angle's coefficient one per cent off."""

    def _kappa(self, a: sp.Expr, b: sp.Expr, c: sp.Expr) -> sp.Expr:
        return super()._kappa(a, b, c) + c * sp.acos(c / sp.sqrt(a * b)) / 200


class _Odd(Erf):
    """An error function that says it is odd, with an offset."""

    parity = "odd"

    def __init__(self) -> None:
        super().__init__(1, 1, 1)


def test_the_shared_steps_refute_a_wrong_closed_form() -> None:
    wrong: DualActivation = _Wrong()
    assert along(wrong).check.run().status is Status.FAILED
    assert along(ReLU()).check.run().status is Status.PROVED
    tilted = ABReLU(1, 2)
    assert along(tilted, ReLU().kappa_dot()).check.run().status is Status.FAILED
    assert reflection(_Odd()).check.run().status is Status.FAILED
    relu = ReLU()
    relu.degree = 2
    assert scaling(relu).check.run().status is Status.FAILED
    for step in ends(ReLU()) + ends(ReLU(), dot=True):
        assert step.check.run().status is Status.PROVED
    assert {check.run().status for check in variants(ReLU()).values()} == {Status.FAILED}


def test_a_lemma_is_as_good_as_its_proof() -> None:
    assert Lemma("dual.price").run().status is Status.PROVED
    assert Lemma("dual.expansion").run().status is Status.UNDECIDED
    with pytest.raises(ValueError, match="name must be one of"):
        Lemma("dual.nothing").run()
    assert "dual.price" in Lemma("dual.price").describe()


def test_price_fails_for_an_activation_that_jumps() -> None:
    """The a.e. derivative of the step misses the mass at the jump: that is no NTK limit."""
    step = DUALS["step"]
    assert Identity(step.kappa().diff(q12), step.kappa_dot()).run().status is Status.FAILED
    peak = 1 / (2 * sp.pi * sp.sqrt(q11 * q22 - q12**2))
    assert Identity(step.kappa().diff(q12), peak).run().status is Status.PROVED
