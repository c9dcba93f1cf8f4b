"""Figures: one style for the report, the book and the command.

Colours are those of Okabe and Ito, told apart by colour-blind readers; lines also differ in
pattern. Figures are made without pyplot, so that nothing stays open.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure, FigureBase
from numpy.typing import ArrayLike

from verify.checks.statistical import Series
from verify.claim import Claim
from verify.outcome import CheckOutcome, Outcome

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#6B6B6B",
)
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
MAPS = {"density": "viridis", "signed": "PuOr"}

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=CYCLE),
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.dpi": 110,
    "svg.hashsalt": "graphonlimit",
    "image.cmap": MAPS["density"],
}
_TITLE = 58
"""Characters of a title in a line, so that it ends before the next panel begins."""
MUTANT_LINES = ((0, (1, 1.5)), (0, (4, 1.5)), (0, (4, 1.5, 1, 1.5)))


@contextmanager
def style() -> Iterator[None]:
    """The project's style, for anything drawn inside the block."""
    with mpl.rc_context(STYLE):
        yield


def figure(claim: Claim, outcome: Outcome) -> Figure | None:
    """The claim's own figure, or the default one; None if there is nothing to draw."""
    with style():
        if claim.figure is not None:
            drawn: Figure = claim.figure(claim, outcome)
            return drawn
        return default_figure(outcome.checks)


def default_figure(checks: Sequence[CheckOutcome]) -> Figure | None:
    """A panel for each metric of each statistical check, then one for each certified check."""
    panels: list[tuple[str, Series] | CheckOutcome] = []
    for check in checks:
        panels.extend((_title(check, series), series) for series in check.series)
        # Enclosures of a single point (yes or no, exact counts) make no picture.
        if check.kind == "certified" and any(item.low != item.high for item in check.evidence):
            panels.append(check)
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with style():
        drawn = Figure(figsize=(5.0 * columns, 2.6 * rows), layout="constrained")
        grid = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            if isinstance(panel, CheckOutcome):
                draw_enclosures(axes, panel)
            else:
                draw_series(axes, panel[1])
                axes.set_title(textwrap.fill(panel[0], _TITLE), loc="left")
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
    return drawn


def draw_series(axes: Axes, series: Series) -> None:
    """One metric: means with 95 % intervals, the fit, what is predicted, and the mutants."""
    {"limit": _draw_limit, "rate": _draw_rate, "value": _draw_value}[series.kind](axes, series)
    axes.set_title(series.metric, loc="left")


def _title(check: CheckOutcome, series: Series) -> str:
    """The check, and where it has several metrics the reading (or the metric) this one is for."""
    if len(check.series) == 1:
        return check.check
    names = [name for name, _, _ in series.references]
    return f"{check.check}: {names[0] if len(names) == 1 else series.metric}"


def _draw_limit(axes: Axes, series: Series) -> None:
    _points(axes, series)
    axes.plot(*series.curve, color=BLUE, linewidth=1, alpha=0.7)
    far = series.curve[0][-1] * 1.25 if series.curve[0] else series.x[-1] * 2.5
    _estimate(axes, series, far, "limit")
    _levels(axes, series)
    axes.set_xscale("log")
    axes.set_xticks([*series.x, far], [*(f"{x:g}" for x in series.x), "∞"])
    axes.minorticks_off()
    axes.set_xlabel(series.x_name)
    _legend(axes)


def _draw_rate(axes: Axes, series: Series) -> None:
    _points(axes, series)
    x, y = np.array(series.x), np.array(series.mean)
    if series.curve[0]:
        label = f"slope {series.estimate:.3f} [{series.low:.3f}, {series.high:.3f}]"
        axes.plot(*series.curve, color=BLUE, linewidth=1, alpha=0.7, label=label)
    if np.all(y > 0):
        centre, level = np.exp(np.log(x).mean()), np.exp(np.log(y).mean())
        for line, (name, slope, mutant) in _lines(series):
            axes.plot(
                x,
                level * (x / centre) ** slope,
                color=RED if mutant else GREEN,
                linestyle=line,
                linewidth=1,
                label=f"{name}: {slope:.3g}",
            )
        axes.set_yscale("log")
    axes.set_xscale("log")
    axes.set_xticks(series.x, [f"{value:g}" for value in series.x])
    axes.minorticks_off()
    axes.set_xlabel(series.x_name)
    _legend(axes)


def _draw_value(axes: Axes, series: Series) -> None:
    _estimate(axes, series, 0.0, "mean")
    _levels(axes, series)
    axes.set_xlim(-1, 1)
    axes.set_xticks([])
    _legend(axes)


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
    axes.set_yticks(range(len(rows)), [name[:32] for name in names])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("enclosure − predicted")
    axes.set_title(check.check, loc="left")


@dataclass(frozen=True)
class Panel:
    """An image on [0, 1]²: values[target, source], a title above and a line below."""

    title: str
    values: ArrayLike
    caption: str = ""


def heatmaps(
    panels: Sequence[Panel],
    *,
    columns: int = 6,
    kind: str = "density",
    low: float = 0.0,
    high: float | None = None,
    label: str = "",
) -> Figure:
    """Images side by side under one colour scale, sources to the right and targets upwards.

    kind: ``"density"`` (from `low` to `high`, default the largest value) or ``"signed"``
    (symmetric about zero). Raises ValueError for no panels or an unknown kind.
    """
    if not panels:
        raise ValueError("panels must not be empty")
    if kind not in MAPS:
        raise ValueError(f"kind must be one of {', '.join(MAPS)}; got {kind!r}")
    columns = min(columns, len(panels))
    with style():
        drawn = Figure(figsize=heatmaps_size(len(panels), columns), layout="constrained")
        draw_heatmaps(drawn, panels, columns=columns, kind=kind, low=low, high=high, label=label)
    return drawn


def heatmaps_size(panels: int, columns: int) -> tuple[float, float]:
    """Width and height in inches of so many images in so many columns."""
    return 1.75 * columns + 0.6, 2.1 * -(-panels // columns)


def draw_heatmaps(
    drawn: FigureBase,
    panels: Sequence[Panel],
    *,
    columns: int,
    kind: str = "density",
    low: float = 0.0,
    high: float | None = None,
    label: str = "",
) -> None:
    """The same inside a figure or a part of one."""
    images = [np.asarray(panel.values, dtype=float) for panel in panels]
    top = float(max(np.nanmax(np.abs(image)) for image in images)) if high is None else high
    bottom = -top if kind == "signed" else low
    grid = drawn.subplots(-(-len(panels) // columns), columns, squeeze=False).ravel()
    shown = None
    for axes, panel, image in zip(grid, panels, images, strict=False):
        if np.isnan(image).all():  # a place left empty
            axes.set_axis_off()
            continue
        shown = axes.imshow(
            image,
            origin="lower",
            extent=(0, 1, 0, 1),
            vmin=bottom,
            vmax=top,
            cmap=MAPS[kind],
            interpolation="nearest",
            aspect="auto",
        )
        axes.set_title(panel.title)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(panel.caption)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    if shown is not None:
        drawn.colorbar(shown, ax=list(grid), shrink=0.8, label=label)


def to_svg(drawn: Figure) -> bytes:
    """The figure as SVG (no date inside, so equal figures are equal bytes)."""
    buffer = io.BytesIO()
    with style():
        # Not `savefig`, which draws everything once more to find the layout that drawing finds.
        FigureCanvasSVG(drawn).print_svg(buffer, metadata={"Date": None})
        drawn.set_layout_engine("none")  # found: it need not be found again
    return buffer.getvalue()


def to_png(drawn: Figure, dpi: int = 150) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    with style():
        drawn.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _legend(axes: Axes) -> None:
    """Beside the axes, where it covers no data."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


def _points(axes: Axes, series: Series) -> None:
    axes.errorbar(
        series.x,
        series.mean,
        yerr=series.half_width,
        fmt="o",
        markersize=4,
        capsize=2,
        color=BLUE,
        label="mean, 95 %",
    )


def _estimate(axes: Axes, series: Series, x: float, name: str) -> None:
    if not (np.isfinite(series.low) and np.isfinite(series.high)):
        return
    below, above = series.estimate - series.low, series.high - series.estimate
    axes.errorbar(
        [x],
        [series.estimate],
        yerr=[[max(below, 0.0)], [max(above, 0.0)]],
        fmt="D",
        markersize=4,
        capsize=4,
        color="black",
        label=f"{name}: [{series.low:.4g}, {series.high:.4g}]",
    )


def _levels(axes: Axes, series: Series) -> None:
    for line, (name, value, mutant) in _lines(series):
        colour = RED if mutant else GREEN
        axes.axhline(value, color=colour, linestyle=line, linewidth=1, label=f"{name}: {value:.4g}")


def _lines(series: Series) -> Iterator[tuple[object, tuple[str, float, bool]]]:
    wrong = 0
    for reference in series.references:
        if reference[2]:
            yield MUTANT_LINES[wrong % len(MUTANT_LINES)], reference
            wrong += 1
        else:
            yield "solid", reference
