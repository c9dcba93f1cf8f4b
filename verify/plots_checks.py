"""The figure of a claim, by default a panel for each check: green what is claimed, red near misses.

A check's metrics share its panel where each of them can still be seen there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verify.checks.statistical import Series
from verify.claim import Claim
from verify.outcome import CheckOutcome, Outcome
from verify.plots import BLUE, GREEN, PURPLE, RED, SKY, style

STATED = (BLUE, PURPLE, SKY)
MARKERS = "osv^D<>"
MUTANT_LINES = ((0, (1, 1.5)), (0, (4, 1.5)), (0, (4, 1.5, 1, 1.5)))
_TITLE = 58
"""Characters of a title in a line, so that it ends before the next panel begins."""
_ROW = 30
"""Characters of a row's name in a line."""
_LEGEND = 44
"""Characters of a legend in a line."""
_NAMED = 24
"""Rows that have names; more cannot be read."""
_VISIBLE = 0.04
"""A metric whose values fill less than this share of a panel's axis gets a panel of its own."""

Group = tuple[str, tuple[Series, ...]]


def figure(claim: Claim, outcome: Outcome) -> Figure | None:
    """The claim's own figure, or the default one; None if there is nothing to draw."""
    with style():
        if claim.figure is not None:
            drawn: Figure = claim.figure(claim, outcome)
            return drawn
        return default_figure(outcome.checks)


def default_figure(checks: Sequence[CheckOutcome]) -> Figure | None:
    """A panel for each statistical check, or for each metric, and one for each certified check."""
    panels: list[Group | CheckOutcome] = []
    for check in checks:
        panels.extend(_groups(check))
        # Enclosures of a single point (yes or no, exact counts) make no picture.
        if check.kind == "certified" and any(item.low != item.high for item in check.evidence):
            panels.append(check)
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [max(map(_height, row)) for row in rows]
    with style():
        drawn = Figure(figsize=(5.4 * columns, sum(heights)), layout="constrained")
        grid = drawn.subplots(len(rows), columns, squeeze=False, height_ratios=heights).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            if isinstance(panel, CheckOutcome):
                draw_enclosures(axes, panel)
            else:
                draw_series(axes, panel[1])
                axes.set_title(textwrap.fill(panel[0], _TITLE), loc="left")
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
    return drawn


def draw_series(axes: Axes, group: Sequence[Series]) -> None:
    """Metrics of one check: means with 95 % intervals, fits, what is predicted, near misses.

    ValueError unless all are of one kind and, for rates, there is one.
    """
    kinds = {series.kind for series in group}
    if len(kinds) != 1 or (kinds == {"rate"} and len(group) > 1):
        raise ValueError("group must be series of one kind, and one of them for a rate")
    if kinds == {"limit"}:
        _draw_limits(axes, group)
    elif kinds == {"rate"}:
        _draw_rate(axes, group[0])
    else:
        _draw_values(axes, group)


def draw_enclosures(axes: Axes, check: CheckOutcome) -> None:
    """Rigorous enclosures relative to what is predicted for each: (value − predicted)."""
    rows = [e for e in check.evidence if e.low is not None and e.predicted is not None]
    for index, item in enumerate(rows):
        assert item.low is not None
        assert item.high is not None
        assert item.predicted is not None
        low, high = item.low - item.predicted, item.high - item.predicted
        axes.plot([low, high], [index, index], color=BLUE, linewidth=4, solid_capstyle="butt")
        axes.plot([(low + high) / 2], [index], "o", color=BLUE, markersize=4)
        if item.margin:
            axes.plot([-item.margin, item.margin], [index, index], "|", color=GREEN, markersize=12)
    axes.axvline(0.0, color=GREEN, linewidth=1)
    names = [item.name.partition(": ")[2] or item.name for item in rows]
    if len(rows) <= _NAMED:
        axes.set_yticks(range(len(rows)), [name[:32] for name in names])
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(rows)} values, in the order of the evidence")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("enclosure − predicted")
    axes.set_title(check.check, loc="left")


def _groups(check: CheckOutcome) -> Iterator[Group]:
    """The metrics of a check together if each can be seen beside the others, else one by one."""
    series: tuple[Series, ...] = tuple(check.series)
    if not series:
        return
    spans = [_span(one) for one in series]
    whole = max(high for _, high in spans) - min(low for low, _ in spans)
    seen = all(high - low >= _VISIBLE * whole for low, high in spans)
    if len(series) == 1 or (seen and series[0].kind != "rate"):
        yield check.check, series
        return
    for one in series:
        yield f"{check.check}: {_name(one)}", (one,)


def _span(series: Series) -> tuple[float, float]:
    """The least and the greatest number that a panel shows of a metric."""
    values = [value for _, value, _ in series.references]
    values += [end for end in (series.low, series.high) if np.isfinite(end)]
    if series.kind == "limit":
        values += series.mean
    return min(values), max(values)


def _height(panel: Group | CheckOutcome) -> float:
    """Inches; panels of rows grow with their number, and so do those with long legends."""
    if isinstance(panel, CheckOutcome):
        return max(2.6, 0.8 + 0.2 * min(len(panel.evidence), _NAMED))
    if panel[1][0].kind == "rate":
        return 2.6
    count = len(panel[1])
    return max(2.6, 0.8 + 0.3 * count) if panel[1][0].kind == "value" else 2.2 + 0.2 * count


def _name(series: Series) -> str:
    """What a metric stands for: its statement or its only near miss, else the metric's name."""
    stated = [name for name, _, mutant in series.references if not mutant]
    names = stated or [name for name, _, _ in series.references]
    return names[0] if len(names) == 1 else series.metric


def _is_stated(series: Series) -> bool:
    return any(not mutant for _, _, mutant in series.references)


def _draw_limits(axes: Axes, group: Sequence[Series]) -> None:
    far = max((one.curve[0] or one.x)[-1] for one in group) * 1.25
    stated = wrong = 0
    for marker, one in zip(MARKERS * len(group), group, strict=False):
        line: Any = "solid"
        if _is_stated(one):
            colour = STATED[stated % len(STATED)]
            stated += 1
        else:
            colour, line = RED, MUTANT_LINES[wrong % len(MUTANT_LINES)]
            wrong += 1
        _points(axes, one, marker, colour)
        axes.plot(*one.curve, color=colour, linestyle=line, linewidth=1, alpha=0.7)
        _estimate(axes, one, far, marker, colour)
    _levels(axes, group)
    axes.set_xscale("log")
    x = group[0].x
    axes.set_xticks([*x, far], [*(f"{value:g}" for value in x), "\N{INFINITY}"])
    axes.minorticks_off()
    axes.set_xlabel(group[0].x_name)
    _legend(axes)


def _draw_rate(axes: Axes, series: Series) -> None:
    _points(axes, series, "o", BLUE)
    x, y = np.array(series.x), np.array(series.mean)
    if series.curve[0]:
        label = f"slope: [{series.low:.3f}, {series.high:.3f}]"
        axes.plot(*series.curve, color=BLUE, linewidth=1, alpha=0.7, label=label)
    if np.all(y > 0):
        centre, level = np.exp(np.log(x).mean()), np.exp(np.log(y).mean())
        for line, (name, slope, mutant) in _lines(series.references):
            axes.plot(
                x,
                level * (x / centre) ** slope,
                color=RED if mutant else GREEN,
                linestyle=line,
                linewidth=1,
                label=_label(name, f"{slope:.3g}"),
            )
        axes.set_yscale("log")
    axes.set_xscale("log")
    axes.set_xticks(series.x, [f"{value:g}" for value in series.x])
    axes.minorticks_off()
    axes.set_xlabel(series.x_name)
    _legend(axes)


def _draw_values(axes: Axes, group: Sequence[Series]) -> None:
    """A row for each metric: its interval, and ticks for what is claimed and for near misses."""
    for row, one in enumerate(group):
        if np.isfinite(one.low) and np.isfinite(one.high):
            axes.plot([one.low, one.high], [row, row], color="black", linewidth=2, zorder=3)
        axes.plot([one.estimate], [row], "D", color="black", markersize=4, zorder=3)
        for line, (name, value, mutant) in _lines(one.references):
            colour = RED if mutant else GREEN
            # One metric has room for names; of several the ticks are explained once.
            label = _label(name, f"{value:.4g}") if len(group) == 1 else ""
            axes.plot(
                [value, value], [row - 0.4, row + 0.4], color=colour, linestyle=line, label=label
            )
    if len(group) > 1:
        for colour, label in ((GREEN, "claimed"), (RED, "near miss")):
            axes.plot([], [], color=colour, label=label)
        names = [textwrap.fill(_name(one), _ROW) for one in group]
        axes.set_yticks(range(len(group)), names)
    else:
        one = group[0]
        axes.plot([], [], "D", color="black", label=f"mean: [{one.low:.4g}, {one.high:.4g}]")
        axes.set_yticks([])
    axes.set_ylim(len(group) - 0.4, -0.6)
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Beside the axes, where it covers no data."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


def _label(name: str, value: str) -> str:
    return textwrap.fill(f"{name}: {value}", _LEGEND)


def _points(axes: Axes, series: Series, marker: str, colour: str) -> None:
    axes.errorbar(
        series.x,
        series.mean,
        yerr=series.half_width,
        fmt=marker,
        markersize=4,
        capsize=2,
        color=colour,
    )


def _estimate(axes: Axes, series: Series, x: float, marker: str, colour: str) -> None:
    if not (np.isfinite(series.low) and np.isfinite(series.high)):
        return
    below, above = series.estimate - series.low, series.high - series.estimate
    axes.errorbar(
        [x],
        [series.estimate],
        yerr=[[max(below, 0.0)], [max(above, 0.0)]],
        fmt=marker,
        markersize=4,
        capsize=4,
        color=colour,
        label=_label(_name(series), f"[{series.low:.4g}, {series.high:.4g}]"),
    )


def _levels(axes: Axes, group: Sequence[Series]) -> None:
    """A line for each predicted value, once; what is claimed hides a near miss's equal value."""
    claimed = dict.fromkeys(value for one in group for _, value, mutant in one.references
                            if not mutant)  # fmt: skip
    for value in claimed:
        axes.axhline(value, color=GREEN, linewidth=1, label=f"claimed: {value:.4g}")
    wrong = [
        reference
        for one in group
        for reference in one.references
        if reference[2] and reference[1] not in claimed
    ]
    for line, (name, value, _) in _lines(wrong):
        axes.axhline(
            value, color=RED, linestyle=line, linewidth=1, label=_label(name, f"{value:.4g}")
        )


def _lines(
    references: Sequence[tuple[str, float, bool]],
) -> Iterator[tuple[object, tuple[str, float, bool]]]:
    """Each reference with its line: solid for a statement, patterns in turn for near misses."""
    wrong = 0
    for reference in references:
        if reference[2]:
            yield MUTANT_LINES[wrong % len(MUTANT_LINES)], reference
            wrong += 1
        else:
            yield "solid", reference
