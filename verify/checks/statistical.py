"""The common part of checks made of trials: design, looks, and judging by intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from verify.checks.base import ResolvedReading, every_profile, metric_value
from verify.decision import Bounds, Levels, Samples, decide_both, mean_interval, summarise
from verify.outcome import CheckOutcome, Evidence, Kind, Mutant, TrialResult, Verdict
from verify.planning import Plan, looks
from verify.profile import for_profile, is_per_profile
from verify.trial import Trial

DISPLAY_LEVEL = 0.05
SIDES = {"=": "", "<=": ", at most", ">=": ", at least"}
NO_SPREAD = (
    "replicates agree exactly at some width, so a t-interval says nothing; "
    "use a certified check for exact quantities"
)


@dataclass(frozen=True)
class Design:
    """What a check asks for in one profile: cells (settings, one per width) and planned looks.

    counts[look][cell] is the total number of replicates of a cell at a look.
    """

    cells: tuple[Mapping[str, Any], ...]
    positions: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Series:
    """What the default plot of one metric needs.

    kind: "limit", "rate" or "value". x: widths; mean, half_width: per width, with a 95 % interval.
    estimate, low, high: of the limit, slope or value, at the level for passing. curve: fitted
    (x, y). references: (name, value, is a mutant) for each reading.
    """

    kind: str
    metric: str
    x_name: str
    x: tuple[float, ...]
    mean: tuple[float, ...]
    half_width: tuple[float, ...]
    estimate: float
    low: float
    high: float
    curve: tuple[tuple[float, ...], tuple[float, ...]]
    references: tuple[tuple[str, float, bool], ...]


@dataclass(frozen=True)
class Estimate:
    """An interval for the judged quantity of one metric, with what the plot and evidence add."""

    estimate: float
    low: float
    high: float
    curve: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    details: Mapping[str, Any] | None = None
    note: str = ""

    @property
    def bounds(self) -> Bounds:
        """Both ends of the interval."""
        return self.low, self.high


class Both(NamedTuple):
    """The estimates of one metric at both levels (`verify.decision.Levels`)."""

    passing: Estimate
    overturning: Estimate


class StatisticalCheck:
    """Base of `LimitCheck`, `RateCheck` and `ValueCheck`.

    A subclass is a frozen dataclass with fields name, trial, settings, replicates, allocation and
    note, and says how to estimate (`estimate`) and which readings it has (`resolve`).
    """

    name: str
    trial: Trial
    settings: Any
    replicates: Any
    allocation: Any
    note: str
    series_kind: str = ""

    @property
    def kind(self) -> Kind:
        """Statistical evidence."""
        return "statistical"

    def resolve(self, profile: str) -> tuple[ResolvedReading, ...]:
        """Readings with all numbers evaluated; ValueError if margins and mutants do not fit."""
        raise NotImplementedError

    def metrics(self) -> tuple[str, ...]:
        """Metrics that intervals are made for, each once."""
        raise NotImplementedError

    def cells(self, profile: str) -> tuple[tuple[dict[str, Any], ...], tuple[float, ...], str]:
        """Settings per cell, positions on the axis, name of the axis."""
        raise NotImplementedError

    def estimate(
        self, positions: Sequence[float], samples: Samples, level: float, profile: str
    ) -> Estimate:
        """Interval for the judged quantity from the replicates of all cells."""
        raise NotImplementedError

    def plan(
        self,
        pilot: Samples,
        margin: float,
        level: float,
        profile: str = "quick",
        undecided_rate: float = 0.05,
    ) -> Plan:
        """Replicates that decide a true reading of this margin, from a pilot's statistics.

        pilot: means and variances of a few replicates at the widths of `profile`; level: of each
        interval (`verify.decision.decision_levels`). See `verify.planning` for the error kinds.
        """
        raise NotImplementedError

    def design(self, profile: str, device: str | None = None) -> Design:
        """Cells and looks in `profile`; `device` is passed on if the trial takes one."""
        cells, positions, _ = self.cells(profile)
        if device is not None and self.trial.accepts("device"):
            cells = tuple({"device": device, **cell} for cell in cells)
        for cell in cells:
            self.trial.require_settings(cell)
        allocation = for_profile(self.allocation, profile) or (1,) * len(cells)
        if len(allocation) != len(cells) or min(allocation) < 1:
            raise ValueError(
                f"allocation must be one whole number >= 1 per width; got {allocation}"
            )
        counts = tuple(
            tuple(int(count * share) for share in allocation) for count in self.looks(profile)
        )
        return Design(cells, positions, counts)

    def looks(self, profile: str) -> tuple[int, ...]:
        """Planned numbers of replicates (of a cell with allocation 1)."""
        planned = for_profile(self.replicates, profile)
        if isinstance(planned, int):
            return looks(planned, planned)
        start, budget = planned
        return looks(start, budget)

    def judge(
        self,
        readings: Sequence[ResolvedReading],
        design: Design,
        results: Sequence[Sequence[TrialResult]],
        levels: Levels,
        profile: str,
    ) -> CheckOutcome:
        """Decide every reading from the trial results of each cell, at the given levels."""
        values = {
            metric: [
                np.array([metric_value(result.values, metric) for result in cell])
                for cell in results
            ]
            for metric in self.metrics()
        }
        estimates = {
            metric: Both(
                *(self._estimate_metric(replicates, design, level, profile) for level in levels)
            )
            for metric, replicates in values.items()
        }
        evidence, mutants = [], []
        for reading in readings:
            both = estimates[reading.metric]
            item, level = self._evidence(reading, both, levels, design, results)
            if item.verdict is Verdict.UNDECIDED and not item.note:
                note = self._outlook(item, values[reading.metric], level, profile)
                item = replace(item, note=note)
            elif not item.note:
                item = replace(item, note=self.note)
            if reading.mutant:
                mutants.append(Mutant(item.name, item.verdict, item))
            else:
                evidence.append(item)
        trials = tuple(result for cell in results for result in cell)
        return CheckOutcome(
            check=self.name,
            kind=self.kind,
            evidence=tuple(evidence),
            mutants=tuple(mutants),
            seconds=math.fsum(result.seconds for result in trials),
            trials=trials,
            series=tuple(
                self._series(
                    metric, estimates[metric].passing, values[metric], readings, design, profile
                )
                for metric in self.metrics()
            ),
        )

    def _estimate_metric(
        self, values: Sequence[np.ndarray], design: Design, level: float, profile: str
    ) -> Estimate:
        samples = summarise(values)
        if not samples.has_spread:
            return Estimate(float(samples.mean[-1]), -math.inf, math.inf, note=NO_SPREAD)
        return self.estimate(design.positions, samples, level, profile)

    def _evidence(
        self,
        reading: ResolvedReading,
        both: Both,
        levels: Levels,
        design: Design,
        results: Sequence[Sequence[TrialResult]],
    ) -> tuple[Evidence, float]:
        """The evidence, and the level of the interval that it rests on."""
        verdict, overturning = decide_both(
            both.passing.bounds,
            both.overturning.bounds,
            reading.predicted,
            reading.margin,
            reading.relation,
            hoped=Verdict.REFUTED if reading.mutant else Verdict.SUPPORTED,
        )
        estimate = both.overturning if overturning else both.passing
        level = levels.overturning if overturning else levels.passing
        counts = [len(cell) for cell in results]
        evidence = Evidence(
            name=f"{self.name}: {reading.name}",
            kind="statistical",
            verdict=verdict,
            predicted=reading.predicted,
            measured=estimate.estimate,
            low=estimate.low,
            high=estimate.high,
            margin=reading.margin if reading.relation == "=" else None,
            replicates=min(counts),
            settings={
                "trial": self.trial.name,
                "metric": reading.metric,
                "relation": reading.relation,
                "cells": [dict(cell) for cell in design.cells],
                "replicates": counts,
                "level": level,
                **(estimate.details or {}),
            },
            relation=reading.relation,
            note=estimate.note,
        )
        return evidence, level

    def _outlook(self, item: Evidence, values: list[np.ndarray], level: float, profile: str) -> str:
        """How many replicates would decide an undecided reading, going by those there are."""
        if item.measured is None or item.predicted is None or not math.isfinite(item.measured):
            return ""
        room = abs(abs(item.measured - item.predicted) - (item.margin or 0.0))
        if room == 0:
            return "undecided: the estimate lies on the edge of the margin"
        plan = self.plan(summarise(values), room, level, profile)
        if plan.replicates is None:
            return (
                f"undecided: no number of replicates would do, since the range of gamma alone "
                f"leaves ±{plan.systematic:.3g}"
            )
        return f"undecided: about {min(plan.replicates)} replicates at each width would be needed"

    def _series(
        self,
        metric: str,
        estimate: Estimate,
        values: list[np.ndarray],
        readings: Sequence[ResolvedReading],
        design: Design,
        profile: str,
    ) -> Series:
        means = tuple(float(v.mean()) for v in values)
        half = []
        for cell, mean in zip(values, means, strict=True):
            half.append(float(mean_interval(cell, DISPLAY_LEVEL).high) - mean)
        return Series(
            kind=self.series_kind,
            metric=metric,
            x_name=self.cells(profile)[2],
            x=design.positions,
            mean=means,
            half_width=tuple(half),
            estimate=estimate.estimate,
            low=estimate.low,
            high=estimate.high,
            curve=estimate.curve,
            references=tuple(
                (r.name + SIDES[r.relation], r.predicted, r.mutant)
                for r in readings
                if r.metric == metric
            ),
        )

    def _validate_design(self) -> None:
        every_profile(self.replicates, _require_replicates)
        profiles = {"quick", "full"}
        for value in (self.settings, self.replicates, self.allocation):
            if is_per_profile(value):
                profiles &= set(value)
        for profile in sorted(profiles):
            self.design(profile, "cpu")


def geometric_axis(widths: Sequence[float]) -> None:
    """Raise ValueError unless there are four widths or more in geometric progression, roughly.

    Roughly: successive ratios are at least √2 and within a factor 1.5 of each other.
    """
    if len(widths) < 4:
        raise ValueError(f"widths must be at least 4; got {list(widths)}")
    ratios = [b / a for a, b in itertools.pairwise(widths)]
    if min(widths) <= 0 or min(ratios) < math.sqrt(2) - 1e-9 or max(ratios) > 1.5 * min(ratios):
        raise ValueError(
            f"widths must be in geometric progression (ratios at least 1.41, within a factor 1.5 "
            f"of each other); got {list(widths)}"
        )


def _require_replicates(value: Any) -> None:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(item, int) for item in pair):
        raise ValueError(f"replicates must be a number or (start, budget); got {value!r}")
    looks(*pair)
