"""Derivations: chains of checked steps that verify themselves, with mutants that must fail.

A :class:`Derivation` is PROVED only if every step is proved by a symbolic or certified check,
at least one of them is more than a definition, and every *mutant*, a false variant of its
statement, is refuted by the same machinery. A chain with a citation is UNDECIDED and lists what
it is conditional on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from theory.certified import Enclosure, IntegralEnclosure, Sign, Tail
from theory.checks import (
    AllOf,
    Antiderivative,
    Check,
    CheckResult,
    Cited,
    Definition,
    Identity,
    Status,
)
from theory.induction import Induction

__all__ = [
    "AllOf",
    "Antiderivative",
    "Check",
    "CheckResult",
    "Cited",
    "Definition",
    "Derivation",
    "DerivationResult",
    "Enclosure",
    "Identity",
    "Induction",
    "IntegralEnclosure",
    "Sign",
    "Status",
    "Step",
    "Tail",
]


@dataclass(frozen=True)
class Step:
    """One line of a derivation.

    Parameters
    ----------
    statement
        What the step claims: an expression, an equation, or LaTeX text without dollar signs.
    reason
        Why, in words: the name of the rule or lemma.
    check
        What proves it.
    hypotheses
        What this step uses beyond the symbols' assumptions.
    """

    statement: Any
    reason: str
    check: Check
    hypotheses: tuple[str, ...] = ()

    @property
    def latex(self) -> str:
        """The statement in LaTeX, without dollar signs."""
        return self.statement if isinstance(self.statement, str) else sp.latex(self.statement)


@dataclass(frozen=True)
class DerivationResult:
    """Outcome of :meth:`Derivation.verify`."""

    status: Status
    steps: list[tuple[Step, CheckResult]]
    mutants: list[tuple[str, CheckResult]]
    seconds: float

    @property
    def conditional_on(self) -> tuple[str, ...]:
        """The cited theorems that the chain rests on."""
        return tuple(found.detail for _, found in self.steps if found.kind == "cited")

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the status is not PROVED, one line each; empty if it is."""
        lines = [
            f"step {i} ({step.reason}): {found.status}, {found.detail}"
            for i, (step, found) in enumerate(self.steps, 1)
            if found.status is not Status.PROVED
        ]
        lines += [
            f"mutant {name!r} was not refuted: {found.status}, {found.detail}"
            for name, found in self.mutants
            if found.status is not Status.FAILED
        ]
        if not lines and self.status is not Status.PROVED:
            lines.append("the chain consists of definitions only")
        return tuple(lines)


@dataclass(frozen=True)
class Derivation:
    """A named statement with its proof.

    Parameters
    ----------
    name
        Registry name.
    title
        One line for people.
    statement
        What is proved, in LaTeX without dollar signs.
    domain
        For which values it is proved, in words.
    steps
        The chain, at least one step.
    hypotheses
        What is assumed throughout.
    mutants
        False variants by name; the check of each must come out FAILED.

    Raises
    ------
    ValueError
        If there are no steps.
    """

    name: str
    title: str
    statement: str
    domain: str
    steps: Sequence[Step]
    hypotheses: tuple[str, ...] = ()
    mutants: Mapping[str, Check] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("steps must contain at least one step")

    def verify(self) -> DerivationResult:
        """Run every step and every mutant."""
        start = time.perf_counter()
        steps = [(step, step.check.run()) for step in self.steps]
        mutants = [(name, check.run()) for name, check in self.mutants.items()]
        status = _combine([found for _, found in steps], [found for _, found in mutants])
        return DerivationResult(status, steps, mutants, time.perf_counter() - start)

    def to_text(self, result: DerivationResult | None = None) -> str:
        """The derivation as plain text, with outcomes if a result is given."""
        lines = [f"{self.title} [{self.name}]", f"Statement: {self.statement}"]
        lines.append(f"Domain: {self.domain}")
        lines += [f"Assume: {hypothesis}" for hypothesis in self.hypotheses]
        for i, step in enumerate(self.steps, 1):
            mark = f" [{result.steps[i - 1][1].status}]" if result else ""
            lines.append(f"{i}. {step.latex}{mark}")
            lines.append(f"   {step.reason}; {step.check.describe()}")
            lines += [f"   uses {hypothesis}" for hypothesis in step.hypotheses]
        for i, (name, check) in enumerate(self.mutants.items()):
            mark = f" [{result.mutants[i][1].status}]" if result else ""
            lines.append(f"Mutant {name}: {check.describe()}{mark}")
        if result is not None:
            lines.append(f"Outcome: {result.status} in {result.seconds:.2f} s")
        return "\n".join(lines)

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.statement}$"

    def _repr_markdown_(self) -> str:
        lines = [f"**{self.title}**", "", rf"$${self.statement}$$", "", f"*{self.domain}*", ""]
        lines += [f"- assume {hypothesis}" for hypothesis in self.hypotheses]
        for i, step in enumerate(self.steps, 1):
            lines.append(f"{i}. $\\displaystyle {step.latex}$: {step.reason}")
        return "\n".join(lines)


def _combine(steps: list[CheckResult], mutants: list[CheckResult]) -> Status:
    """A chain is as good as its weakest step; a surviving mutant discredits it."""
    if any(found.status is Status.FAILED for found in steps):
        return Status.FAILED
    if any(found.status is Status.PROVED for found in mutants):
        return Status.FAILED  # the checks prove a false statement too
    proved = all(found.status is Status.PROVED for found in steps)
    evidence = any(found.kind in ("symbolic", "certified") for found in steps)
    refuted = all(found.status is Status.FAILED for found in mutants)
    return Status.PROVED if proved and evidence and refuted else Status.UNDECIDED
