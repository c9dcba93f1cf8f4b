"""[A] Figure 1: sorted histograms of deep masks at growing width, and their distances."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from verify.experiment import Experiment, Part, register
from verify.measured import Result, Series
from verify.plots import Panel
from verify.plots_experiments import Curves, images_over_curves
from verify.trials.deep_figures import predicted_histogram, sorted_mask
from verify.trials.deep_masks import deep_cut

Array = NDArray[np.float64]

CRITERIA = {
    "random": "Random",
    "magnitude": "Magnitude",
    "snip": "SNIP",
    "grasp": "|GraSP|",
    "grasp-signed": "signed GraSP",
    "synflow": "SynFlow",
}
PREDICTED = [name for name in CRITERIA if name != "synflow"]
CASE = {"depth": 4, "density": 0.2}
WIDTHS = {"quick": (48, 96, 192, 384), "full": (100, 500, 1000, 2000)}
QUICK = {**CASE, "dataset": "digits", "batch": 32, "bins": 24}
FULL = {**CASE, "dataset": "mnist5k", "batch": 128, "bins": 64}

PROTOCOL = """\
**Stated in [A]:** Random, SNIP, GraSP and SynFlow; 80 % sparsity; widths 100, 500, 1000 and 2000;
100 independent trials; masks of input and output layer left out; rows and columns sorted by
degree and averaged over 64 × 64 cells; masks made with the public SynFlow code; Euclidean distance
between the histogram at a width and that at 2000.

**Assumed here, since it is not stated:** four hidden ReLU layers, Kaiming's normal weights that
carry their scale, no biases; one threshold for all layers; cross-entropy on one fixed batch of 128
images of MNIST, scaled to norm √d; SynFlow with 100 rounds of the exponential schedule. GraSP is
shown as that code has it, signed and without its temperature, and by magnitude. Magnitude is added.
The layer shown is the middle one. The quick profile has small digits, a batch of 32, 24 × 24 cells,
few trials and widths up to 384.

**Added:** beside each row the limit that is predicted from the batch alone, averaged over the
residuals, as a mean over trials is; the distance to it; and, below each image, the certified upper
end of the cut norm of a mask less P at its own latents. For SynFlow no limit is predicted at this
density.
"""


def _euclidean(first: Array, second: Array) -> float:
    """[A]'s distance: the root of the *sum* of squares over cells."""
    return float(np.sqrt(np.sum((first - second) ** 2)))


def _series(x: tuple[int, ...], y: list[float]) -> Series:
    """A curve without intervals."""
    unknown = np.full(len(y), math.nan)
    return Series(np.array(x, dtype=float), np.array(y), unknown, unknown)


def distances(result: Result) -> dict[str, dict[str, list[float]]]:
    """Euclidean distances of mean histograms by criterion: to the "widest" and to the "limit".

    Lists over widths, without the widest in the first; "limit" is missing for SynFlow.
    """
    masks, limits = result["masks"], result["limits"]
    widths = masks.values("n")
    found: dict[str, dict[str, list[float]]] = {}
    for name in CRITERIA:
        means = [masks.row(criterion=name, n=n).array("histogram") for n in widths]
        found[name] = {"widest": [_euclidean(each, means[-1]) for each in means[:-1]]}
        if name in PREDICTED:
            limit = limits.row(criterion=name).array("histogram")
            found[name]["limit"] = [_euclidean(each, limit) for each in means]
    return found


def draw(result: Result) -> Figure:
    """A row of mean histograms for each criterion, then the limit; distances below."""
    masks, limits, cuts = result["masks"], result["limits"], result["cuts"]
    widths = masks.values("n")
    apart = distances(result)
    panels = []
    for name, title in CRITERIA.items():
        for k, n in enumerate(widths):
            row = masks.row(criterion=name, n=n)
            bins = int(row.settings["bins"])
            head = f"{title}\nn = {n}" if k == 0 else f"n = {n}"
            below = f"{row.replicates} networks"
            if name in PREDICTED:
                below = f"edges ≤ {cuts.row(criterion=name, n=n).mean('upper'):.4f}"
            panels.append(Panel(head, row.array("histogram", bins, bins), below))
        if name in PREDICTED:
            row = limits.row(criterion=name)
            panels.append(Panel("predicted", row.array("histogram", bins, bins), "no network"))
        else:
            panels.append(Panel("", np.full((1, 1), np.nan)))
    shown = {
        "to the widest": {
            title: _series(widths[:-1], apart[name]["widest"]) for name, title in CRITERIA.items()
        },
        "to the predicted limit": {
            CRITERIA[name]: _series(widths, apart[name]["limit"]) for name in PREDICTED
        },
    }
    curves = [
        Curves(f"distance {title}", "n", "Euclidean", series) for title, series in shown.items()
    ]
    return images_over_curves(
        panels, curves, columns=len(widths) + 1, high=1.0, label="density of kept weights"
    )


register(
    Experiment(
        name="a-figure-1",
        title="Sorted histograms of deep masks at 80 % sparsity, and the limits predicted",
        protocol=PROTOCOL,
        paper="A",
        item="Fig. 1, 4–9",
        parts=(
            Part(
                "masks",
                sorted_mask,
                axes={
                    profile: {"criterion": tuple(CRITERIA), "n": widths}
                    for profile, widths in WIDTHS.items()
                },
                settings={"quick": QUICK, "full": FULL},
                replicates={"quick": 6, "full": 100},
                show=("density",),
            ),
            Part(
                "limits",
                predicted_histogram,
                axes={"criterion": tuple(PREDICTED)},
                settings={
                    "quick": {**QUICK, "n": WIDTHS["quick"][-1], "samples": 512},
                    "full": {**FULL, "n": WIDTHS["full"][-1], "samples": 2048},
                },
                replicates=1,
                show=("density", "error"),
            ),
            Part(
                "cuts",
                deep_cut,
                axes={
                    profile: {"criterion": tuple(PREDICTED), "n": widths}
                    for profile, widths in WIDTHS.items()
                },
                settings={
                    "quick": {"dataset": "digits", "batch": 32, "cases": [[4, 0.2]]},
                    "full": {"dataset": "mnist5k", "batch": 128, "cases": [[4, 0.2]]},
                },
                replicates={"quick": 8, "full": 16},
            ),
        ),
        draw=draw,
    )
)
