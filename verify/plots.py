"""Figures: one style for the report, the book and the command.

Colours are those of Okabe and Ito, told apart by colour-blind readers; lines also differ in
pattern. Figures are made without pyplot, so that nothing stays open.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure, FigureBase
from numpy.typing import ArrayLike

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


@contextmanager
def style() -> Iterator[None]:
    """The project's style, for anything drawn inside the block."""
    with mpl.rc_context(STYLE):
        yield


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
