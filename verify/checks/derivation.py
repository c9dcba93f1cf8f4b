"""Derivation checks: a chain of symbolic steps from `theory.derivations`, run again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from verify.outcome import CheckOutcome, Evidence, Kind, Mutant, StepRecord, Verdict

# What the state of a chain says of the statement it ends in. A chain that fails does so because a
# step was shown to be false, which is evidence against the chain; the statement is then refuted
# only in the sense that the derivation on record does not hold.
_VERDICTS = {
    "PROVED": Verdict.PROVED,
    "FAILED": Verdict.REFUTED,
    "UNDECIDED": Verdict.UNDECIDED,
}


@dataclass(frozen=True)
class DerivationCheck:
    """The derivation of that name in `theory.derivations`, with its own mutants.

    mutants=False leaves the derivation's mutants out (when another check of the claim, or another
    claim, runs them).
    """

    derivation: str
    mutants: bool = True

    @property
    def name(self) -> str:
        """The derivation's name."""
        return self.derivation

    @property
    def kind(self) -> Kind:
        """Symbolic evidence."""
        return "symbolic"

    @property
    def may_have_mutants(self) -> bool:
        """Whether the derivation's mutants are run."""
        return self.mutants

    def validate(self) -> None:
        """Raise ValueError for an empty name. (Derivations are looked up when they run.)"""
        if not self.derivation.strip():
            raise ValueError("derivation must be a name in theory.derivations; got an empty one")

    def run(self, profile: str) -> CheckOutcome:
        """Verify the chain and its mutants; every step's result is kept."""
        from theory import derivations

        start = time.process_time()
        chain = derivations.get(self.derivation)
        result = chain.verify()
        steps = tuple(step_record(step, found) for step, found in result.steps)
        evidence = Evidence(
            name=self.derivation,
            kind="symbolic",
            verdict=_verdict(result.status),
            settings={
                "derivation": self.derivation,
                "status": status_name(result.status).lower(),
                "domain": str(chain.domain),
                "steps": [f"{s.status}: {s.detail}" if s.detail else s.status for s in steps],
            },
        )
        mutants = tuple(
            Mutant(f"{self.derivation}: {name}", _mutant_verdict(found.status))
            for name, found in (result.mutants if self.mutants else ())
        )
        return CheckOutcome(
            check=self.name,
            kind=self.kind,
            evidence=(evidence,),
            mutants=mutants,
            seconds=time.process_time() - start,
            steps=steps,
        )


def step_record(step: Any, found: Any) -> StepRecord:
    """A derivation's step and its check's result as plain text and LaTeX."""
    return StepRecord(
        statement=latex_of(step.statement),
        reason=str(step.reason),
        kind=str(found.kind),
        status=status_name(found.status).lower(),
        detail=str(found.detail),
        hypotheses=tuple(str(item) for item in step.hypotheses),
    )


def latex_of(statement: Any) -> str:
    """LaTeX between dollars of an expression; text as it is."""
    if isinstance(statement, str):
        return statement
    import sympy

    return f"$${sympy.latex(statement)}$$"


def status_name(status: Any) -> str:
    """Name of a derivation status, in capitals, whatever kind of enumeration it is."""
    return str(getattr(status, "name", status)).upper()


def _verdict(status: Any) -> Verdict:
    return _VERDICTS.get(status_name(status), Verdict.UNDECIDED)


def _mutant_verdict(status: Any) -> Verdict:
    return Verdict.SUPPORTED if status_name(status) == "PROVED" else _verdict(status)
