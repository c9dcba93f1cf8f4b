"""Derivations as evidence: what a chain and its mutants say of a claim."""

from __future__ import annotations

from typing import Any

import pytest
import sympy

from theory import derivations
from theory.derivation import Cited, Derivation, Identity, Step
from verify import cli
from verify.checks import DerivationCheck
from verify.outcome import CheckOutcome, Verdict, combine

x = sympy.Symbol("x")
TRUE = Identity((x + 1) ** 2, x**2 + 2 * x + 1, "x real")
FALSE = Identity((x + 1) ** 2, x**2 + 1, "x real")


def found(
    monkeypatch: pytest.MonkeyPatch, check: Any, mutant: Any = FALSE, **options: bool
) -> CheckOutcome:
    """The outcome of a chain of one step."""
    chain = Derivation(
        name="square",
        title="A square",
        statement=r"(x+1)^2 = x^2 + 2x + 1",
        domain="every real x",
        steps=(Step(sympy.Eq((x + 1) ** 2, x**2 + 2 * x + 1), "expand", check),),
        mutants={"no middle term": mutant},
    )
    monkeypatch.setattr(derivations, "get", lambda name: chain)
    return DerivationCheck("square", **options).run("quick")


def test_a_chain_that_holds_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = found(monkeypatch, TRUE)
    assert combine([outcome]) is Verdict.PROVED
    assert [m.verdict for m in outcome.mutants] == [Verdict.REFUTED]
    assert outcome.steps[0].statement.startswith("$$")
    assert outcome.steps[0].status == "proved"
    assert "every real x" in outcome.summary
    assert outcome.evidence[0].as_json()["settings"]["status"] == "proved"


def test_a_chain_with_a_false_step_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = found(monkeypatch, FALSE)
    assert combine([outcome]) is Verdict.REFUTED
    assert "expand" in outcome.evidence[0].note


def test_a_cited_chain_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = found(monkeypatch, Cited("a theorem", "a book"))
    assert combine([outcome]) is Verdict.UNDECIDED
    assert "a theorem" in outcome.evidence[0].note


def test_a_mutant_that_passes_spoils_the_chain_but_refutes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcome = found(monkeypatch, TRUE, mutant=TRUE)
    assert combine([outcome]) is Verdict.UNDECIDED
    assert [m.verdict for m in outcome.mutants] == [Verdict.SUPPORTED]


def test_mutants_can_be_left_to_another_check(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, TRUE, mutants=False).mutants == ()


def test_an_unknown_derivation_is_refused() -> None:
    with pytest.raises(ValueError, match="xqzw"):
        DerivationCheck("xqzw").run("quick")


def test_derive_prints_steps_and_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["derive", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(derivations.names())
    name = listed[0].split()[0]
    assert cli.main(["derive", name]) == 0
    text = capsys.readouterr().out
    assert "1. " in text
    assert "proved" in text
    assert "refuted" in text


def test_derive_is_1_when_a_derivation_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = derivations.names()[0]
    found(monkeypatch, FALSE)  # every name now stands for a false chain
    assert cli.main(["derive", name]) == 1
    assert "failed" in capsys.readouterr().out
