"""Rate checks: the slope of log mean against log width, with its confidence interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from verify.checks.base import (
    Lazy,
    Reading,
    ResolvedReading,
    every_profile,
    require_readings,
    resolve,
)
from verify.checks.statistical import Estimate, StatisticalCheck, geometric_axis
from verify.decision import Samples, fit_rate
from verify.planning import Plan, plan_rate
from verify.profile import for_profile
from verify.trial import Trial


@dataclass(frozen=True)
class RateCheck(StatisticalCheck):
    """The exponent s in E[m(n)] ∝ n^s.

    exponent: the stated s (negative for a decay); mutants: other exponents by name. margin: how
    close the slope must be; less than half the distance to the nearest mutant. widths, settings,
    replicates, allocation: as in `LimitCheck`. The metric must be positive.
    """

    name: str
    trial: Trial
    widths: Any
    metric: str
    exponent: Lazy
    margin: Lazy
    mutants: Mapping[str, Lazy] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    width_name: str = "n"
    replicates: Any = (8, 32)
    allocation: Any = None
    note: str = ""

    series_kind = "rate"

    @property
    def may_have_mutants(self) -> bool:
        """Whether other exponents are named."""
        return bool(self.mutants)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The stated exponent and the mutants, as readings of the slope."""
        return (
            Reading("exponent", self.metric, self.exponent),
            *(
                Reading(name, self.metric, value, mutant=True)
                for name, value in self.mutants.items()
            ),
        )

    def validate(self) -> None:
        """Raise ValueError unless widths, exponents and margin are well formed."""
        every_profile(self.widths, geometric_axis)
        require_readings(self.readings, self.margin)
        self._validate_design()

    def resolve(self, profile: str) -> tuple[ResolvedReading, ...]:
        """Exponents and margin evaluated."""
        return resolve(self.readings, self.margin, profile)

    def metrics(self) -> tuple[str, ...]:
        """The one metric."""
        return (self.metric,)

    def cells(self, profile: str) -> tuple[tuple[dict[str, Any], ...], tuple[float, ...], str]:
        """One cell per width."""
        widths = tuple(for_profile(self.widths, profile))
        settings = for_profile(self.settings, profile)
        cells = tuple({**settings, self.width_name: width} for width in widths)
        return cells, tuple(float(width) for width in widths), self.width_name

    def plan(
        self,
        pilot: Samples,
        margin: float,
        level: float,
        profile: str = "quick",
        undecided_rate: float = 0.05,
    ) -> Plan:
        """Replicates that decide a true reading; see `StatisticalCheck.plan`."""
        return plan_rate(
            for_profile(self.widths, profile),
            np.sqrt(pilot.variance) / np.abs(pilot.mean),
            margin,
            level,
            undecided_rate,
            allocation=for_profile(self.allocation, profile),
        )

    def estimate(
        self, positions: Sequence[float], samples: Samples, level: float, profile: str
    ) -> Estimate:
        """Interval for the slope; undecided if a mean is not positive."""
        if not np.all(samples.mean > 0):
            return Estimate(
                float("nan"),
                -np.inf,
                np.inf,
                note="a rate needs positive means at every width",
            )
        fit = fit_rate(positions, samples, level)
        x = np.geomspace(positions[0], positions[-1], 30)
        return Estimate(
            estimate=float(fit.interval.estimate),
            low=float(fit.interval.low),
            high=float(fit.interval.high),
            curve=(tuple(map(float, x)), tuple(map(float, fit.curve(x)))),
            details={
                "lack_of_fit": float(fit.lack_of_fit),
                "allowance": float(fit.allowance),
                "level": level,
            },
        )
