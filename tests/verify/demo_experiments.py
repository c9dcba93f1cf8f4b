"""Demonstration experiments in a registry of their own; worker processes import this module."""

from __future__ import annotations

import demo_trials as trials
import numpy as np
from matplotlib.figure import Figure

from verify.experiment import Experiment, Experiments, Part, register
from verify.measured import Result
from verify.plots import Panel
from verify.plots_experiments import Curves, images_over_curves

DEMO = Experiments()
METHODS = ("flat", "ramp")
WIDTHS = (16, 64)
CELLS = 64


def draw(result: Result) -> Figure:
    """Mean images per method, layer and width with the limit beside, and distances over widths."""
    networks, limits = result["networks"], result["limit"]
    images, curves = [], []
    for method in METHODS:
        for layer in (1, 2):
            for n in WIDTHS:
                row = networks.row(method=method, n=n)
                image = row.array(f"image_{layer}", CELLS, CELLS)
                images.append(Panel(f"{method}, layer {layer}\nn = {n}", image))
            limit = limits.row(method=method).array("image", CELLS, CELLS)
            images.append(Panel("limit", limit))
    for layer in (1, 2):
        measured = {m: networks.series(f"distance_{layer}", "n", method=m) for m in METHODS}
        x = np.array(WIDTHS, dtype=float)
        line = {"$n^{-1/2}$": (x, 0.8 * x**-0.5)}
        curves.append(Curves(f"layer {layer}", "n", "distance", measured, line))
    return images_over_curves(images, curves, columns=len(WIDTHS) + 1, high=1.0, label="density")


FIGURE = register(
    Experiment(
        name="demo-figure",
        title="Images and distances",
        protocol=r"The source states $n \to \infty$ & <nothing> else. *Assumed:* noise of size "
        r"$n^{-1/2}$.",
        paper="A",
        item="Fig. 1",
        parts=(
            Part(
                "networks",
                trials.histograms,
                axes={"method": METHODS, "n": WIDTHS},
                settings={"cells": CELLS},
                replicates={"quick": 4, "full": 6},
            ),
            Part("limit", trials.predicted, {"method": METHODS}, {"cells": CELLS}, replicates=1),
        ),
        draw=draw,
        reported=True,
    ),
    DEMO,
)

SHARED = register(
    Experiment(
        name="demo-shared",
        title="The trials of a claim",
        protocol="As the claim.",
        paper="own",
        item="demonstration",
        parts=(Part("means", trials.noisy_mean, {"n": (10, 20, 40, 80)}, replicates=16),),
    ),
    DEMO,
)

FAILING = register(
    Experiment(
        name="demo-failing",
        title="A trial that fails",
        protocol="It fails at the largest width.",
        paper="own",
        item="demonstration",
        parts=(Part("means", trials.failing, {"n": (40, 80)}, replicates=2),),
    ),
    DEMO,
)
