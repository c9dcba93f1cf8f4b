"""Where the checks and experiments of a run stand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from verify.checks.base import ResolvedReading
from verify.checks.statistical import Design
from verify.decision import Levels
from verify.experiment import Experiment
from verify.measured import Result
from verify.outcome import CheckOutcome, Evidence, Verdict
from verify.worker import TrialTask


@dataclass
class CheckState:
    """Where one check stands."""

    claim: int
    index: int
    check: Any
    levels: tuple[Levels, ...] = ()
    design: Design | None = None
    readings: tuple[ResolvedReading, ...] = ()
    look: int = 0
    keys: list[list[str]] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    outcome: CheckOutcome | None = None
    seconds: float = 0.0

    def failed(self, text: str) -> CheckOutcome:
        """The outcome of a check that an error stopped: undecided, with the error as evidence."""
        check = self.check
        evidence = Evidence(
            name=check.name,
            kind=check.kind,
            verdict=Verdict.UNDECIDED,
            settings={"error": text},
            note=text,
        )
        return CheckOutcome(check.name, check.kind, (evidence,), error=text)


@dataclass
class ExperimentState:
    """Where one experiment stands; keys[part][cell] are those of its replicates."""

    experiment: Experiment
    profile: str
    seed: int
    keys: list[list[list[str]]] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    outcome: Any = None

    def failed(self, text: str) -> Result:
        """The result of an experiment that an error stopped."""
        return Result(self.experiment.name, self.profile, self.seed, error=text)


State = CheckState | ExperimentState


def lean(check: CheckOutcome) -> CheckOutcome:
    """The outcome without its trials, which only figures of a claim's own need."""
    return replace(check, trials=())


def cost(task: TrialTask) -> float:
    """A guess at the cost of a trial, so that long ones start first."""
    numbers = [v for v in task.settings.values() if isinstance(v, int) and v > 0]
    return float(max(numbers, default=0))
