"""Figures of experiments: images under one colour scale, and curves with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from verify import plots
from verify.measured import Series
from verify.plots import Panel

LINES = ("solid", (0, (4, 1.5)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)))
MARKS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Curves:
    """One pair of axes: measured series with intervals, and predicted lines without.

    measured: series by label; predicted: ``(x, y)`` by label, drawn in grey. log: which axes are
    logarithmic, ``""``, ``"x"``, ``"y"`` or ``"xy"``.
    """

    title: str
    x_name: str
    y_name: str
    measured: dict[str, Series]
    predicted: dict[str, tuple[ArrayLike, ArrayLike]] | None = None
    log: str = "xy"


def draw_curves(axes: Axes, curves: Curves) -> None:
    """Means with 95 % intervals, told apart by colour, mark and line."""
    if curves.log not in ("", "x", "y", "xy"):
        raise ValueError(f"log must be '', 'x', 'y' or 'xy'; got {curves.log!r}")
    for k, (label, series) in enumerate(curves.measured.items()):
        known = np.isfinite(series.low) & np.isfinite(series.high)
        ends = np.where(known, [series.mean - series.low, series.high - series.mean], 0.0)
        axes.errorbar(
            series.x, series.mean, yerr=ends, label=label, capsize=2, markersize=4,
            color=plots.CYCLE[k % len(plots.CYCLE)], fmt=MARKS[k % len(MARKS)],
            linestyle=LINES[k % len(LINES)],
        )  # fmt: skip
    for k, (label, (x, y)) in enumerate((curves.predicted or {}).items()):
        axes.plot(x, y, color=plots.GREY, linestyle=LINES[k % len(LINES)], linewidth=1, label=label)
    if "x" in curves.log:
        ticks = sorted({float(x) for series in curves.measured.values() for x in series.x})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
        axes.xaxis.minorticks_off()
    if "y" in curves.log:
        axes.set_yscale("log")
    axes.set_xlabel(curves.x_name)
    axes.set_ylabel(curves.y_name)
    axes.set_title(curves.title, loc="left")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


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
) -> Figure:
    """Rows of images under one colour scale, and below them pairs of axes with curves.

    A panel of NaN leaves its place empty, so that rows of different length stay aligned.
    """
    if not images or not curves:
        raise ValueError("images and curves must not be empty")
    columns = min(columns, len(images))
    width, above = plots.heatmaps_size(len(images), columns)
    with plots.style():
        width = max(width, 4.6 * len(curves))
        drawn = Figure(figsize=(width, above + 2.8), layout="constrained")
        parts = drawn.add_gridspec(2, 1, height_ratios=[above, 2.8])
        upper, lower = (drawn.add_subfigure(parts[k]) for k in range(2))
        plots.draw_heatmaps(upper, images, columns=columns, high=high, label=label)
        grid = lower.subplots(1, len(curves), squeeze=False).ravel()
        for axes, panel in zip(grid, curves, strict=True):
            draw_curves(axes, panel)
    return drawn
