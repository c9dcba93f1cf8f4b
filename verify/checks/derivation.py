"""Derivation checks: a chain of symbolic steps from `theory.derivations`, run again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from verify.outcome import CheckOutcome, Evidence, Kind, Mutant, StepRecord, Verdict


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
        why_not = "; ".join(result.reasons)
        evidence = Evidence(
            name=self.derivation,
            kind="symbolic",
            verdict=_verdict(result),
            settings={
                "derivation": self.derivation,
                "status": status_name(result.status).lower(),
                "domain": str(chain.domain),
                "steps": [f"{s.status}: {s.detail}" if s.detail else s.status for s in steps],
            },
            note=why_not,
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
            summary=f"{chain.title}. {displayed(chain.statement)}\n\nDomain: {chain.domain}.",
        )


def step_record(step: Any, found: Any) -> StepRecord:
    """A derivation's step and its check's result as plain text and LaTeX."""
    return StepRecord(
        statement=displayed(step.latex),
        reason=str(step.reason),
        kind=str(found.kind),
        status=status_name(found.status).lower(),
        detail=str(found.detail),
        hypotheses=tuple(str(item) for item in step.hypotheses),
    )


def displayed(latex: str) -> str:
    """LaTeX without dollars as a displayed formula; MyST text, which has dollars, as it is."""
    return latex if "$" in latex else f"$${latex}$$"


def status_name(status: Any) -> str:
    """Name of a derivation's status, in capitals."""
    return str(status.name)


def _verdict(result: Any) -> Verdict:
    """Proved if the chain is; refuted if a step is false; undecided otherwise.

    A chain that fails only because its checks let a mutant pass shows nothing either way.
    """
    if status_name(result.status) == "PROVED":
        return Verdict.PROVED
    failed = any(status_name(found.status) == "FAILED" for _, found in result.steps)
    return Verdict.REFUTED if failed else Verdict.UNDECIDED


def _mutant_verdict(status: Any) -> Verdict:
    return {
        "FAILED": Verdict.REFUTED,
        "PROVED": Verdict.SUPPORTED,
        "UNDECIDED": Verdict.UNDECIDED,
    }[status_name(status)]
