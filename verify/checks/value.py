"""Value checks: the mean of a metric at one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verify.checks.base import Lazy, Reading, ResolvedReading, require_readings, resolve
from verify.checks.statistical import Estimate, StatisticalCheck
from verify.decision import Samples, contrast_interval
from verify.planning import Plan, plan_value
from verify.profile import for_profile
from verify.trial import Trial


@dataclass(frozen=True)
class ValueCheck(StatisticalCheck):
    """The mean of each metric at one setting against its readings, by an equivalence test."""

    name: str
    trial: Trial
    settings: Mapping[str, Any]
    readings: Sequence[Reading]
    margin: Lazy = None
    replicates: Any = (8, 32)
    note: str = ""

    allocation = None
    series_kind = "value"

    def __post_init__(self) -> None:
        object.__setattr__(self, "readings", tuple(self.readings))

    @property
    def may_have_mutants(self) -> bool:
        """Whether one of the readings is a mutant."""
        return any(reading.mutant for reading in self.readings)

    def validate(self) -> None:
        """Raise ValueError unless readings and margins are well formed."""
        require_readings(tuple(self.readings), self.margin)
        self._validate_design()

    def resolve(self, profile: str) -> tuple[ResolvedReading, ...]:
        """Readings with all numbers evaluated."""
        return resolve(tuple(self.readings), self.margin, profile)

    def metrics(self) -> tuple[str, ...]:
        """Metrics of the readings, each once."""
        return tuple(dict.fromkeys(reading.metric for reading in self.readings))

    def cells(self, profile: str) -> tuple[tuple[dict[str, Any], ...], tuple[float, ...], str]:
        """The one cell."""
        return (dict(for_profile(self.settings, profile)),), (0.0,), ""

    def plan(
        self,
        pilot: Samples,
        margin: float,
        level: float,
        profile: str = "quick",
        undecided_rate: float = 0.05,
    ) -> Plan:
        """Replicates that decide a true reading; see `StatisticalCheck.plan`."""
        return plan_value(float(pilot.variance[0] ** 0.5), margin, level, undecided_rate)

    def estimate(
        self, positions: Sequence[float], samples: Samples, level: float, profile: str
    ) -> Estimate:
        """Student interval for the mean."""
        found = contrast_interval([1.0], samples, level)
        return Estimate(
            float(found.estimate), float(found.low), float(found.high), details={"level": level}
        )
