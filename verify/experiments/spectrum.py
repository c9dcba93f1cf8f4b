"""What moves the spectrum of a pruned network's kernel, and [A]'s tables of its top-5 energy."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from verify import plots
from verify.experiment import Experiment, Part, register
from verify.measured import Result, Series, Table
from verify.plots_experiments import Curves, curve_figure
from verify.trials.pruned_spectra import LIMITS, SUMMARIES, mask_spectra, redrawn_spectra

SPARSITIES = (50, 60, 70, 80, 90, 95)
PRINTED = {
    "B": {
        "random": (0.4509, 0.4584, 0.4538, 0.4756, 0.4694, 0.4644),
        "snip": (0.4584, 0.4789, 0.4851, 0.4996, 0.5379, 0.6027),
        "synflow": (0.4641, 0.4733, 0.4853, 0.4985, 0.5121, 0.6592),
    },
    "C": {
        "random": (0.4652, 0.4641, 0.4629, 0.4641, 0.4658, 0.4709),
        "snip": (0.4670, 0.4671, 0.4768, 0.4957, 0.5480, 0.6064),
        "synflow": (0.4597, 0.4687, 0.4942, 0.4858, 0.5154, 0.6433),
    },
}
"""Top-5 energies that [A]'s authors report in their rebuttal, by sparsity in percent: width 1024
with 1024 samples (table B of the ledger), and width 2048 with 512 (table C)."""
STRUCTURED = {"snip": "SNIP", "synflow": "SynFlow"}
CRITERIA = {"random": "Random", **STRUCTURED}
KINDS = {
    "own": "SNIP, own weights",
    "behind": "SNIP, behind the input layer",
    "input": "SNIP, input layer alone",
    "fresh": "SNIP's masks, new weights",
    "random": "random masks",
    "dense": "dense",
}
SHARES = {"coupling": plots.BLUE, "input": plots.ORANGE, "width": plots.GREY}
DENSITIES = {"quick": (0.5, 0.2, 0.05), "full": (0.5, 0.2, 0.1, 0.05)}


def curves(table: Table, title: str, prefix: str = "") -> Curves:
    """Energies against density, of all kinds that the table has."""
    names = table.rows[0].metrics
    measured = {
        label: table.series(f"{prefix}{kind} energy", "density")
        for kind, label in KINDS.items()
        if f"{prefix}{kind} energy" in names
    }
    return Curves(title, "density", "top-5 energy", measured, log="x")


def over_random(table: Table, kind: str, criterion: str) -> Series:
    """Energy of a criterion less that of Random at the same density; intervals added in squares.

    Levels depend on data and sizes, so this is what can be compared with [A]'s numbers.
    """
    mine, random = (
        table.series(f"{kind} energy", "density", criterion=name) for name in (criterion, "random")
    )
    half = np.hypot(mine.high - mine.mean, random.high - random.mean)
    mean = mine.mean - random.mean
    return Series(mine.x, mean, mean - half, mean + half)


def beside(table: Table, printed: str) -> Curves:
    """Energies over Random's under [A]'s protocol, masks redrawn and own; [A]'s numbers in grey."""
    measured = {
        f"{label}, {kind}": over_random(table, kind, criterion)
        for criterion, label in STRUCTURED.items()
        for kind in ("own", "redrawn")
    }
    density = 1.0 - np.array(SPARSITIES) / 100.0
    energies = {name: np.array(values) for name, values in PRINTED[printed].items()}
    lines: dict[str, Any] = {
        f"[A]: {label}": (density, energies[criterion] - energies["random"])
        for criterion, label in STRUCTURED.items()
    }
    title, y_name = f"table {printed}", "top-5 energy less Random's"
    return Curves(title, "density", y_name, measured, lines, "x")


def share_bars(table: Table) -> Figure:
    """Shapley's shares in the rise of the energy, stacked, against density.

    Negative shares hang below the axis; a dot with a 95 % interval is the whole rise.
    """
    rows = sorted(table.rows, key=lambda row: -float(row.settings["density"]))
    with plots.style():
        drawn = Figure(figsize=(5.8, 3.2), layout="constrained")
        axes = drawn.subplots()
        at = np.arange(len(rows))
        above, below = np.zeros(len(rows)), np.zeros(len(rows))
        for cause, colour in SHARES.items():
            share = np.array([row.mean(f"{cause} share") for row in rows])
            start = np.where(share >= 0.0, above, below)
            axes.bar(at, share, 0.6, bottom=start, color=colour, label=cause)
            above, below = above + np.maximum(share, 0.0), below + np.minimum(share, 0.0)
        rise = [row["rise"] for row in rows]
        axes.errorbar(
            at, [float(r.mean) for r in rise], [float(np.nan_to_num(r.half_width)) for r in rise],
            fmt="o", color="black", markersize=4, capsize=3, label="whole rise",
        )  # fmt: skip
        axes.axhline(0.0, color="black", linewidth=0.8)
        axes.set_xticks(at, [f"{float(row.settings['density']):g}" for row in rows])
        axes.set_xlabel("density")
        axes.set_ylabel("rise of the top-5 energy")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


def draw(result: Result) -> Figure:
    """Kinds of masks at finite width and in the limit, then [A]'s tables beside ours."""
    panels = [
        curves(result["energy"], "finite width"),
        curves(result["energy"], "infinitely wide", "limit "),
        *(beside(result[f"table {name}"], name) for name in PRINTED),
    ]
    return curve_figure(panels)


_SETTINGS: dict[str, dict[str, Any]] = {
    "quick": {"n": 256},
    "full": {
        "dataset": "mnist5k", "n": 1024, "depth": 4, "outputs": 10, "batch": 16, "points": 128,
        "samples": 1024,
    },
}  # fmt: skip
_FULL = {"dataset": "mnist5k", "batch": 256, "cells": 64, "networks": 4}
_QUICK = {"batch": 32, "cells": 16, "networks": 2, "rounds": 10}
_TABLES = {
    "B": {
        "quick": {"n": 192, "points": 48, **_QUICK},
        "full": {"n": 1024, "points": 1024, **_FULL},
    },
    "C": {"quick": {"n": 256, "points": 32, **_QUICK}, "full": {"n": 2048, "points": 512, **_FULL}},
}


def _part(name: str, *show: str) -> Part:
    """Some columns of the first protocol; parts share their trials."""
    return Part(
        name, mask_spectra, {p: {"density": d} for p, d in DENSITIES.items()}, _SETTINGS,
        replicates={"quick": 6, "full": 4}, show=show,
    )  # fmt: skip


register(
    Experiment(
        name="spectrum",
        title="The top-5 energy of pruned networks' kernels",
        protocol="[A] states: SNIP, SynFlow and random masks of four-layer ReLU networks (four "
        "hidden layers, says its appendix) of width 1024, later 2048; masks exclude the input and "
        "the output layer; new masks are drawn from the methods' graphons; the kernel is computed "
        "on 128, later 1024 and 512 samples of MNIST; sparsities 50 to 95 %. *Assumed*, where it "
        "is silent: no biases, gain two, NTK parametrisation, mean over ten outputs, images of "
        "norm $\\sqrt d$, cross-entropy on 256 images for SNIP; new masks from the mean of four "
        "networks' 64 × 64 degree-sorted histograms, on normal weights that no mask has seen. "
        "Shown: *energy*, all layers pruned under one threshold, networks and their limits; "
        "*tables B and C*, [A]'s protocol. The quick profile has 8 × 8 digits and small networks "
        "(three hidden layers and one output for *energy*), so that its levels are not those of "
        "MNIST, but the order of the rows can be compared; the full one has the widths and samples "
        "of the tables at four of the six sparsities.",
        paper="A",
        item="Fig. 3; tables B, C",
        parts=(
            _part(
                "energy",
                *(f"{kind} energy" for kind in reversed(KINDS)),
                *(f"limit {kind} energy" for kind in reversed(KINDS) if kind in LIMITS),
            ),
            _part(
                "causes, rank, gap and decay",
                *(f"{cause} share" for cause in SHARES),
                "rise",
                *(f"{kind} {what}" for what in SUMMARIES[1:] for kind in ("dense", "own")),
            ),
            *(
                Part(
                    f"table {name}",
                    redrawn_spectra,
                    {p: {"criterion": tuple(CRITERIA), "density": d} for p, d in DENSITIES.items()},
                    settings,
                    replicates={"quick": 6, "full": 4},
                    show=("dense energy", "redrawn energy", "own energy"),
                )
                for name, settings in _TABLES.items()
            ),
        ),
        draw=draw,
    )
)  # fmt: skip
