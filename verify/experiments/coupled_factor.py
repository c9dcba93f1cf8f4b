"""The factor of the coupled kernel over simpler ones, against depth, density and batch size."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from verify.experiment import Experiment, Part, register
from verify.measured import Result, Row, Series
from verify.plots_experiments import Curves, curve_figure
from verify.trials.coupled_factor import BATCHES, DENSITIES, DEPTHS, coupled_factor, sweep

SWEEPS: dict[str, tuple[float, ...]] = {"depth": DEPTHS, "density": DENSITIES, "batch": BATCHES}
NAMES = {"depth": "hidden layers", "density": "density", "batch": "batch size"}
OVER = {"graphon": "graphon only", "uncoupled": "uncoupled"}
ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh"}


def series(row: Row, over: str, vary: str) -> Series:
    """Geometric means of the factor along a sweep, with their intervals."""
    values = SWEEPS[vary]
    found = [row[f"{over} {value:g}"] for value in values]
    ends = (
        np.exp([float(getattr(each, end)) for each in found]) for end in ("mean", "low", "high")
    )
    return Series(np.asarray(values, dtype=float), *ends)


def draw(result: Result) -> Figure:
    """One panel for each thing that is varied."""
    panels = []
    for vary, name in NAMES.items():
        measured = {
            f"{label}, over {kernel}": series(result[vary].row(activation=activation), over, vary)
            for activation, label in ACTIVATIONS.items()
            for over, kernel in OVER.items()
        }
        log = "y" if vary == "depth" else "xy"
        panels.append(Curves(f"against {name}", name, "factor", measured, log=log))
    return curve_figure(panels)


register(
    Experiment(
        name="coupled-factor",
        title="How large the factor of the coupled kernel is",
        protocol="Own; no network is drawn. SNIP on a batch of digits with the same density in "
        "every layer, one output, squared loss; mean diagonal of the tangent kernel on digits "
        "outside the batch. What is not varied: two hidden layers, density 0.2, eight images in "
        "the batch (32 in the full profile). A replicate is a draw of the initial outputs, with "
        "the same random numbers for all three kernels. The table has natural logarithms of the "
        "factor: *graphon*, over the kernel of the mask graphon alone; *uncoupled*, over the one "
        "with the right second moments whose pruned signals are independent of the dense ones.",
        paper="own",
        item="size of the factor",
        parts=tuple(
            Part(
                vary,
                coupled_factor,
                axes={"activation": tuple(ACTIVATIONS)},
                settings=sweep(vary, values, ends=False),
                replicates={"quick": 6, "full": 16},
                show=tuple(f"{over} {value:g}" for over in OVER for value in values),
            )
            for vary, values in SWEEPS.items()
        ),
        draw=draw,
    )
)
