"""Figures of experiments: images under one colour scale, and curves with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from numpy.typing import ArrayLike

from verify import plots
from verify.measured import Series
from verify.plots import Panel

LINES = ("solid", (0, (4, 1.5)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)))
MOST_TICKS = 7
"""Measured positions up to this number are labelled one by one on a logarithmic axis."""
LOWEST = 3.0
"""A logarithmic axis goes on below the smallest mean by this factor at most."""
MARKS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Curves:
    """One pair of axes: measured series with intervals, and predicted lines without.

    measured: series by label; predicted: ``(x, y)`` by label, drawn in grey. log: which axes are
    logarithmic, ``""``, ``"x"``, ``"y"`` or ``"xy"``. start: how many colours, marks and lines are
    passed over, so that a label looks the same beside a panel that has others before it.
    """

    title: str
    x_name: str
    y_name: str
    measured: dict[str, Series]
    predicted: dict[str, tuple[ArrayLike, ArrayLike]] | None = None
    log: str = "xy"
    start: int = 0


class _Plain(LogFormatter):
    """Labels the ticks that Matplotlib would, as 0.6 and not as a multiple of a power of ten."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def draw_curves(axes: Axes, curves: Curves) -> None:
    """Means with 95 % intervals, told apart by colour, mark and line."""
    if curves.log not in ("", "x", "y", "xy"):
        raise ValueError(f"log must be '', 'x', 'y' or 'xy'; got {curves.log!r}")
    for k, (label, series) in enumerate(curves.measured.items(), curves.start):
        known = np.isfinite(series.low) & np.isfinite(series.high)
        ends = np.where(known, [series.mean - series.low, series.high - series.mean], 0.0)
        axes.errorbar(
            series.x, series.mean, yerr=ends, label=label, capsize=2, markersize=4,
            color=plots.CYCLE[k % len(plots.CYCLE)], fmt=MARKS[k % len(MARKS)],
            linestyle=LINES[k % len(LINES)],
        )  # fmt: skip
    for k, (label, (x, y)) in enumerate((curves.predicted or {}).items(), curves.start):
        axes.plot(x, y, color=plots.GREY, linestyle=LINES[k % len(LINES)], linewidth=1, label=label)
    if "x" in curves.log:
        ticks = sorted({float(x) for series in curves.measured.values() for x in series.x})
        axes.set_xscale("log")
        if len(ticks) <= MOST_TICKS:
            axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
            axes.xaxis.minorticks_off()
    if "y" in curves.log:
        axes.set_yscale("log")
        means = np.concatenate([series.mean for series in curves.measured.values()])
        if np.any(means > 0.0):  # an interval that ends near zero does not stretch the axis
            axes.set_ylim(bottom=max(axes.get_ylim()[0], means[means > 0.0].min() / LOWEST))
        for formatted in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            formatted(_Plain(labelOnlyBase=False))
    axes.set_xlabel(curves.x_name)
    axes.set_ylabel(curves.y_name)
    axes.set_title(curves.title, loc="left")
    shown = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    order = [each for each in (*curves.measured, *(curves.predicted or {})) if each in shown]
    axes.legend(
        [shown[each] for each in order], order, loc="upper left", bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.2,
    )  # fmt: skip


def curve_figure(panels: Sequence[Curves], columns: int = 2) -> Figure:
    """Pairs of axes side by side; ValueError for none."""
    if not panels:
        raise ValueError("panels must not be empty")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with plots.style():
        drawn = Figure(figsize=(5.0 * columns, 2.8 * rows), layout="constrained")
        grid = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            draw_curves(axes, panel)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
    return drawn


def images_over_curves(
    images: Sequence[Panel],
    curves: Sequence[Curves],
    *,
    columns: int,
    high: float | None = None,
    label: str = "",
    across: int | None = None,
) -> Figure:
    """Rows of images under one colour scale, and below them pairs of axes with curves.

    A panel of NaN leaves its place empty, so that rows of different length stay aligned. across:
    how many pairs of axes stand side by side (default: all).
    """
    if not images or not curves:
        raise ValueError("images and curves must not be empty")
    columns = min(columns, len(images))
    width, above = plots.heatmaps_size(len(images), columns)
    with plots.style():
        across = min(across or len(curves), len(curves))
        width, below = max(width, 4.6 * across), 2.8 * -(-len(curves) // across)
        drawn = Figure(figsize=(width, above + below), layout="constrained")
        parts = drawn.add_gridspec(2, 1, height_ratios=[above, below])
        upper, lower = (drawn.add_subfigure(parts[k]) for k in range(2))
        plots.draw_heatmaps(upper, images, columns=columns, high=high, label=label)
        grid = lower.subplots(-(-len(curves) // across), across, squeeze=False).ravel()
        for axes, panel in zip(grid, curves, strict=False):
            draw_curves(axes, panel)
        for axes in grid[len(curves) :]:
            axes.set_axis_off()
    return drawn
