"""What checking gives: evidence, verdicts on readings and mutants, and a claim's outcome."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["symbolic", "certified", "statistical"]


class Verdict(enum.StrEnum):
    """The four things that can be said of a statement.

    ``proved``: a chain of checked symbolic steps holds. ``supported``: the evidence agrees
    within the stated margin and error rate. ``refuted``: it contradicts, at the same error
    rate. ``undecided``: neither, within the budget.
    """

    PROVED = "proved"
    SUPPORTED = "supported"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Evidence:
    """One number (or one derivation) that speaks for or against one reading.

    `low` and `high` bound the measured quantity: rigorously if `kind` is certified, each with the
    claim's error rate or less if statistical. `predicted`, `measured`, `low`, `high` and `margin`
    are None where they have no meaning (symbolic evidence). `settings` is JSON-able.
    """

    name: str
    kind: Kind
    verdict: Verdict
    predicted: float | None = None
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    replicates: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    relation: str = "="
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The entry of ``verdicts.json``; infinite and undefined numbers become null."""
        return {
            "name": self.name,
            "kind": self.kind,
            "predicted": finite_or_none(self.predicted),
            "measured": finite_or_none(self.measured),
            "low": finite_or_none(self.low),
            "high": finite_or_none(self.high),
            "margin": finite_or_none(self.margin),
            "replicates": self.replicates,
            "settings": dict(self.settings),
        }


@dataclass(frozen=True)
class Mutant:
    """A deliberately wrong reading and what the same evidence says of it (refuted, one hopes)."""

    name: str
    verdict: Verdict
    evidence: Evidence | None = None

    def as_json(self) -> dict[str, Any]:
        """The entry of ``verdicts.json``."""
        return {"name": self.name, "verdict": str(self.verdict)}


@dataclass(frozen=True)
class StepRecord:
    """One step of a derivation as it was checked: LaTeX statement, reason, result."""

    statement: str
    reason: str
    kind: str
    status: str
    detail: str
    hypotheses: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialResult:
    """The values that one trial returned, with the settings and seed that made them.

    `seconds` is CPU time. `values` maps metric names to floats or flat lists of floats.
    """

    settings: Mapping[str, Any]
    seed: int
    values: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class CheckOutcome:
    """What one check found: evidence for its statements, verdicts on its mutants, and the data.

    `series` holds what a plot needs (see `verify.plots`); `trials` every trial result used; `steps`
    the steps of a derivation and `summary` its title, statement and domain; `error` the text of an
    exception that stopped the check.
    """

    check: str
    kind: Kind
    evidence: tuple[Evidence, ...]
    mutants: tuple[Mutant, ...] = ()
    seconds: float = 0.0
    steps: tuple[StepRecord, ...] = ()
    summary: str = ""
    trials: tuple[TrialResult, ...] = ()
    series: tuple[Any, ...] = ()
    error: str = ""

    @property
    def decided(self) -> bool:
        """Whether no statement and no mutant is undecided."""
        verdicts = [e.verdict for e in self.evidence] + [m.verdict for m in self.mutants]
        return Verdict.UNDECIDED not in verdicts


@dataclass(frozen=True)
class Outcome:
    """The verdict on a claim, and everything it rests on. `seconds` is CPU time."""

    claim_id: str
    verdict: Verdict
    recorded: Verdict
    checks: tuple[CheckOutcome, ...]

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Evidence of all checks, in order."""
        return tuple(item for check in self.checks for item in check.evidence)

    @property
    def mutants(self) -> tuple[Mutant, ...]:
        """Mutants of all checks, in order."""
        return tuple(item for check in self.checks for item in check.mutants)

    @property
    def seconds(self) -> float:
        """CPU seconds behind this verdict, whether spent now or taken from the store."""
        return math.fsum(check.seconds for check in self.checks)

    @property
    def errors(self) -> tuple[str, ...]:
        """Texts of the exceptions that stopped a check."""
        return tuple(check.error for check in self.checks if check.error)

    @property
    def as_recorded(self) -> bool:
        """Verdict equals the recorded one, there are mutants, all are refuted, no error."""
        mutants = self.mutants
        return (
            self.verdict is self.recorded
            and bool(mutants)
            and all(m.verdict is Verdict.REFUTED for m in mutants)
            and not self.errors
        )

    def check(self, name: str) -> CheckOutcome:
        """The outcome of the check called `name`; ValueError if there is none."""
        for item in self.checks:
            if item.check == name:
                return item
        known = ", ".join(item.check for item in self.checks)
        raise ValueError(f"name must be a check of {self.claim_id} ({known}); got {name!r}")

    def trials(self, name: str) -> tuple[TrialResult, ...]:
        """All trial results behind the check called `name` (what a figure is drawn from)."""
        return self.check(name).trials


def combine(checks: Iterable[CheckOutcome]) -> Verdict:
    """The verdict on a claim from its checks.

    Refuted if any statement is; else undecided if any is (or if there is no evidence, or a check
    stopped with an error); proved if all evidence is symbolic; supported otherwise.
    """
    checks = tuple(checks)
    evidence = [item for check in checks for item in check.evidence]
    verdicts = {item.verdict for item in evidence}
    if Verdict.REFUTED in verdicts:
        return Verdict.REFUTED
    if not evidence or Verdict.UNDECIDED in verdicts or any(check.error for check in checks):
        return Verdict.UNDECIDED
    if all(item.kind == "symbolic" for item in evidence):
        return Verdict.PROVED
    return Verdict.SUPPORTED


def finite_or_none(value: float | None) -> float | None:
    """`value` as a float, or None if it is None, infinite or NaN (JSON knows neither)."""
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else None
