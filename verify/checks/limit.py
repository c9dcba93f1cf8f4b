"""Limit checks: a metric at four widths or more, its limit, and an equivalence test."""

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
from verify.decision import Samples, fit_limit
from verify.planning import Plan, plan_limit
from verify.profile import for_profile
from verify.trial import Trial


@dataclass(frozen=True)
class LimitCheck(StatisticalCheck):
    """The limit of a metric as the width grows, from a fit m(n) = ℓ + b n^{-γ}.

    widths: at least four, in geometric progression; passed to the trial as `width_name`.
    gamma: a range of exponents (or one) that the finite-width term is assumed to have; the interval
    for ℓ is the hull over it. margin: how close ℓ must be to count as equal; less than half the
    distance to the nearest mutant. replicates: a number, or (start, budget) for planned looks at
    start, 2·start, … until statement and mutants are decided. allocation: multiplier of the
    replicates at each width. nonnegative: the metrics are norms, whose limits cannot be negative:
    the part of an interval below zero is cut off. All but name, trial and nonnegative may be
    given per profile.
    """

    name: str
    trial: Trial
    widths: Any
    readings: Sequence[Reading]
    margin: Lazy = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    width_name: str = "n"
    gamma: Any = (0.25, 2.0)
    replicates: Any = (8, 32)
    allocation: Any = None
    note: str = ""
    nonnegative: bool = False

    series_kind = "limit"

    def __post_init__(self) -> None:
        object.__setattr__(self, "readings", tuple(self.readings))

    @property
    def may_have_mutants(self) -> bool:
        """Whether one of the readings is a mutant."""
        return any(reading.mutant for reading in self.readings)

    def validate(self) -> None:
        """Raise ValueError unless widths, exponents, readings and margins are well formed."""
        every_profile(self.widths, geometric_axis)
        every_profile(self.gamma, _require_gamma)
        require_readings(tuple(self.readings), self.margin)
        self._validate_design()

    def resolve(self, profile: str) -> tuple[ResolvedReading, ...]:
        """Readings with all numbers evaluated."""
        return resolve(tuple(self.readings), self.margin, profile)

    def metrics(self) -> tuple[str, ...]:
        """Metrics of the readings, each once."""
        return tuple(dict.fromkeys(reading.metric for reading in self.readings))

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
        return plan_limit(
            for_profile(self.widths, profile),
            np.sqrt(pilot.variance),
            for_profile(self.gamma, profile),
            margin,
            level,
            undecided_rate,
            means=pilot.mean,
            allocation=for_profile(self.allocation, profile),
        )

    def estimate(
        self, positions: Sequence[float], samples: Samples, level: float, profile: str
    ) -> Estimate:
        """Hull over γ of the intervals for ℓ."""
        fit = fit_limit(positions, samples, for_profile(self.gamma, profile), level)
        x = np.geomspace(positions[0], positions[-1] * 2, 60)
        low = float(fit.interval.low)
        if self.nonnegative and fit.interval.high >= 0.0:
            low = max(low, 0.0)
        return Estimate(
            estimate=float(fit.interval.estimate),
            low=low,
            high=float(fit.interval.high),
            curve=(tuple(map(float, x)), tuple(map(float, fit.curve(x)))),
            details={
                "gamma": float(fit.gamma),
                "slope": float(fit.slope),
                "lack_of_fit": float(fit.lack_of_fit),
                "allowance": float(fit.allowance),
                "level": level,
            },
        )


def _require_gamma(value: Any) -> None:
    pair = (value, value) if isinstance(value, int | float) else tuple(value)
    if len(pair) != 2 or not 0 < pair[0] <= pair[1] < float("inf"):
        raise ValueError(f"gamma must be positive, or a range 0 < low <= high; got {value!r}")
