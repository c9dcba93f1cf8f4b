"""SynFlow's transition: order parameter, response, and scaling in width and in rounds."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from numerics.synflow_field import excess_curve
from verify.experiment import Experiment, Part, register
from verify.measured import Result, Row, Series
from verify.plots_experiments import Curves, curve_figure
from verify.trials.synflow_transition import (
    DENSITIES,
    SHARES,
    critical,
    limit_excess,
    linear_spread,
    passage,
)

Array = NDArray[np.float64]

RESPONDING = 0.4
"""Where the response is drawn from: below, sums of neurons on their way out have no spread left."""
EXCESS = r"$n^{1/4}\,\times$ (density $- \rho_c$)"
PACES = {"quick": (16, 64, 256), "full": (16, 64, 256, 1024)}

PROTOCOL = """\
Own. One hidden layer of n neurons between n inputs and n outputs, all weights standard normal, one
threshold for both matrices; SynFlow with the exponential schedule down to density 0.15, and a
number of rounds that is stated per factor e in the density. A neuron is dead when no path crosses
it.

**Order parameter:** the share of dead neurons. **Response:** √n times the standard deviation of the
logarithms of the living neurons' path sums. **Excess:** the density of the edges between the living
less the critical density, times n^(1/4); `scaled` is its mean while 5 to 20 % die.

**Predicted, without a fitted number:** the share 1 − ρ/ρ_c below the transition; linear response
above it; the limit of the scaled excess for a run that is cut infinitely slowly.
"""


def curve(row: Row, metric: str, x: Array, above: float = -np.inf) -> Series:
    """A list metric over the positions above a level at which it was read off, with intervals."""
    found, shown = row[metric], x > above
    return Series(x[shown], found.mean[shown], found.low[shown], found.high[shown])


def against_rounds(result: Result, power: float) -> dict[str, Series]:
    """The scaled excess of every width over its rounds divided by n to a power."""
    table = result["passage"]
    shown = {}
    for n in table.values("n"):
        found = table.series("scaled", "pace", n=n)
        shown[f"n = {n}"] = Series(found.x / n**power, found.mean, found.low, found.high)
    return shown


def draw(result: Result) -> Figure:
    """Order parameter and response over density; scaled excess over deaths, and over rounds."""
    table = result["passage"]
    widths, slowest = table.values("n"), max(table.values("pace"))
    slow = {f"n = {n}": table.row(n=n, pace=slowest) for n in widths}
    dead, spread, excess = (
        {label: curve(row, metric, x, above) for label, row in slow.items()}
        for metric, x, above in (
            ("dead", DENSITIES, 0.0),
            ("spread", DENSITIES, RESPONDING),
            ("excess", SHARES, 0.0),
        )
    )
    rounds = f"{slowest} rounds per factor e"
    expected = np.maximum(0.0, 1.0 - DENSITIES / critical())
    panels = [
        Curves(f"order parameter, {rounds}", "density", "share of dead neurons", dead,
               {"infinite width": (DENSITIES, expected)}, log=""),
        Curves(f"response, {rounds}", "density", r"$\sqrt{n}\,\times$ spread of log sums", spread,
               {"linear response": linear_spread(RESPONDING)}, log=""),
        Curves(f"scaled excess, {rounds}", "share of dead neurons",
               EXCESS, excess,
               {"limit": (SHARES, excess_curve(SHARES))}, log=""),
    ]  # fmt: skip
    measured = against_rounds(result, 0.5)
    ends = [min(s.x.min() for s in measured.values()), max(s.x.max() for s in measured.values())]
    panels.append(
        Curves("scaled excess at 5 to 20 % dead", r"rounds per factor e, over $\sqrt{n}$",
               EXCESS, measured,
               {"limit": (ends, [limit_excess()] * 2)}, log="x")
    )  # fmt: skip
    return curve_figure(panels)


register(
    Experiment(
        name="synflow-transition",
        title="SynFlow's transition: order parameter, and scaling in width and rounds",
        protocol=PROTOCOL,
        paper="own",
        item="SynFlow in rounds and in depth",
        parts=(
            Part(
                "passage",
                passage,
                axes={
                    "quick": {"n": (64, 128, 256), "pace": PACES["quick"]},
                    "full": {"n": (128, 256, 512, 1024), "pace": PACES["full"]},
                },
                replicates={"quick": 4, "full": 16},
                show=("scaled",),
            ),
        ),
        draw=draw,
    )
)
