"""What an experiment measured: for every cell a mean, a spread and a 95 % interval per metric.

Lists of floats (histograms, curves, spectra) are aggregated entry by entry, as arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.decision import MIN_REPLICATES, critical_value
from verify.outcome import TrialResult, finite_or_none

Array = NDArray[np.float64]
LEVEL = 0.05
"""One minus the confidence of the intervals, each by itself: nothing is decided with them."""


@dataclass(frozen=True)
class Summary:
    """One metric in one cell: arrays of its shape, () for a scalar and (k,) for a list.

    sd: standard deviation of one replicate; half_width: of the 95 % Student interval for the mean.
    Both are NaN below `MIN_REPLICATES` replicates (and sd for one).
    """

    mean: Array
    sd: Array
    half_width: Array

    @property
    def low(self) -> Array:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> Array:
        """Upper end of the interval."""
        return self.mean + self.half_width

    @property
    def is_list(self) -> bool:
        """Whether the metric is a list."""
        return self.mean.ndim > 0

    def to_json(self) -> dict[str, Any]:
        """``mean``, ``sd``, ``low`` and ``high``, numbers or lists; null where there is none."""
        return {name: _plain(getattr(self, name)) for name in ("mean", "sd", "low", "high")}


@dataclass(frozen=True)
class Row:
    """One cell: its settings, the number of replicates, and a summary of each metric."""

    settings: Mapping[str, Any]
    replicates: int
    metrics: Mapping[str, Summary]

    def __getitem__(self, metric: str) -> Summary:
        try:
            return self.metrics[metric]
        except KeyError:
            raise ValueError(
                f"metric must be one of {', '.join(self.metrics)}; got {metric!r}"
            ) from None

    def mean(self, metric: str) -> float:
        """Mean of a scalar metric; ValueError if it is a list or unknown."""
        found = self[metric]
        if found.is_list:
            raise ValueError(f"metric {metric!r} is a list: ask for array({metric!r}, shape)")
        return float(found.mean)

    def array(self, metric: str, *shape: int) -> Array:
        """Mean of a list metric, reshaped; ValueError if it is a scalar or does not fit."""
        found = self[metric]
        if not found.is_list:
            raise ValueError(f"metric {metric!r} is a scalar: ask for mean({metric!r})")
        return found.mean.reshape(shape or (-1,))

    def to_json(self) -> dict[str, Any]:
        """Settings, replicates, and every metric's summary."""
        return {
            "settings": dict(self.settings),
            "replicates": self.replicates,
            "metrics": {name: found.to_json() for name, found in self.metrics.items()},
        }


@dataclass(frozen=True)
class Series:
    """A scalar metric along one axis: positions, means and ends of the 95 % intervals."""

    x: Array
    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Table:
    """The cells of one part, in the order of the grid. axes: names of what varies."""

    name: str
    axes: tuple[str, ...]
    rows: tuple[Row, ...]
    show: tuple[str, ...] = ()

    def select(self, **settings: Any) -> tuple[Row, ...]:
        """The cells with these settings; ValueError if there are none."""
        found = tuple(
            row
            for row in self.rows
            if all(key in row.settings and row.settings[key] == settings[key] for key in settings)
        )
        if not found:
            raise ValueError(f"no cell of {self.name} has settings {settings}")
        return found

    def row(self, **settings: Any) -> Row:
        """The one cell with these settings; ValueError if there is none or more than one."""
        found = self.select(**settings)
        if len(found) > 1:
            raise ValueError(f"{len(found)} cells of {self.name} have settings {settings}")
        return found[0]

    def values(self, axis: str) -> tuple[Any, ...]:
        """The different values of an axis, in order; ValueError if it is none."""
        if axis not in self.axes:
            raise ValueError(f"axis must be one of {', '.join(self.axes)}; got {axis!r}")
        return tuple(dict.fromkeys(row.settings[axis] for row in self.rows))

    def series(self, metric: str, axis: str, **settings: Any) -> Series:
        """A scalar metric along an axis, in the cells with these settings."""
        rows = self.select(**settings)
        at = [row.settings[axis] for row in rows] if axis in self.axes else self.values(axis)
        if len(set(at)) < len(at):
            free = [name for name in self.axes if name != axis and name not in settings]
            raise ValueError(f"settings must fix {', '.join(free)}, so that {axis} alone varies")
        order = np.argsort(np.asarray(at, dtype=float))
        found = [rows[k][metric] for k in order]
        parts = (np.array([float(getattr(s, e)) for s in found]) for e in ("mean", "low", "high"))
        return Series(np.asarray(at, dtype=float)[order], *parts)

    def shown(self) -> tuple[str, ...]:
        """The scalar metrics that tables print."""
        if self.show:
            return self.show
        names = dict.fromkeys(name for row in self.rows for name in row.metrics)
        return tuple(
            n for n in names if all(n in r.metrics and not r[n].is_list for r in self.rows)
        )

    def cells(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Header and lines as text: what varies, the replicates, and the metrics shown."""
        header = (*self.axes, "replicates", *self.shown())
        return header, tuple(
            (
                *(_text(row.settings[axis]) for axis in self.axes),
                str(row.replicates),
                *(_with_interval(row[name]) for name in self.shown()),
            )
            for row in self.rows
        )

    def to_json(self) -> dict[str, Any]:
        """Name, axes and rows."""
        rows = [row.to_json() for row in self.rows]
        return {"name": self.name, "axes": list(self.axes), "rows": rows}


@dataclass(frozen=True)
class Result:
    """What an experiment measured in one run. seconds: CPU time; error: why there are no tables."""

    experiment: str
    profile: str
    seed: int
    tables: tuple[Table, ...] = ()
    seconds: float = 0.0
    error: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, part: str) -> Table:
        for table in self.tables:
            if table.name == part:
                return table
        known = ", ".join(table.name for table in self.tables)
        raise ValueError(f"part must be one of {known}; got {part!r}")

    @property
    def table(self) -> Table:
        """The only table; ValueError if there are several."""
        if len(self.tables) != 1:
            raise ValueError(f"{self.experiment} has {len(self.tables)} tables: name one")
        return self.tables[0]

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all tables."""
        return tuple(row for table in self.tables for row in table.rows)

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "experiment": self.experiment,
            "profile": self.profile,
            "seed": self.seed,
            "environment": dict(self.environment),
            "seconds": self.seconds,
            "error": self.error or None,
            "tables": [table.to_json() for table in self.tables],
        }


def summarised(trials: Sequence[TrialResult]) -> Row:
    """The row of one cell from its replicates; ValueError if they differ in metrics or lengths."""
    first = trials[0]
    for other in trials:
        if set(other.values) != set(first.values):
            raise ValueError(f"replicates must return the same metrics; {other.seed} does not")
    try:
        metrics = {name: summary([t.values[name] for t in trials]) for name in first.values}
    except ValueError as error:
        raise ValueError(f"replicates must return lists of one length: {error}") from None
    return Row(dict(first.settings), len(trials), metrics)


def summary(values: Sequence[Any]) -> Summary:
    """Mean, spread and Student interval of one metric, from its replicates."""
    stack = np.asarray(values, dtype=float)
    mean = stack.mean(axis=0)
    unknown = np.full_like(mean, np.nan)
    if len(stack) < 2:
        return Summary(mean, unknown, unknown)
    sd = np.asarray(stack.std(axis=0, ddof=1))
    if len(stack) < MIN_REPLICATES:
        return Summary(mean, sd, unknown)
    return Summary(mean, sd, sd / np.sqrt(len(stack)) * critical_value(LEVEL, len(stack)))


def exactly(value: float) -> Summary:
    """A number without replicates, so without spread and interval; NaN for none at all."""
    unknown = np.array(np.nan)
    return Summary(np.array(value), unknown, unknown)


def jackknifed(statistic: Callable[..., float], *samples: Array) -> Summary:
    """A statistic of whole samples, such as a distance of means, with its jackknife interval.

    samples: independent of one another, replicates along the first axis; `statistic` takes as many
    arrays. Each replicate is left out in turn, and the smallest sample sets the Student quantile.
    There is no spread of one replicate (sd is NaN), and no interval below `MIN_REPLICATES`.
    Raises ValueError without samples.
    """
    if not samples:
        raise ValueError("samples must not be empty")
    value, least = statistic(*samples), min(map(len, samples))
    if least < MIN_REPLICATES:
        return exactly(value)
    variance = 0.0
    for k, sample in enumerate(samples):
        before, after = samples[:k], samples[k + 1 :]
        left_out = [
            statistic(*before, np.delete(sample, j, axis=0), *after) for j in range(len(sample))
        ]
        variance += (len(sample) - 1) * float(np.var(left_out))
    half_width = np.sqrt(variance) * critical_value(LEVEL, least)
    return Summary(np.array(value), np.array(np.nan), np.asarray(half_width))


def _plain(values: Array) -> Any:
    if values.ndim:
        return [finite_or_none(item) for item in values.tolist()]
    return finite_or_none(float(values))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_interval(found: Summary) -> str:
    if found.is_list:
        return f"{found.mean.size} numbers"
    if np.isnan(found.mean):
        return "–"
    half = float(found.half_width)
    return f"{float(found.mean):.4g}" + (f" ± {half:.2g}" if np.isfinite(half) else "")
