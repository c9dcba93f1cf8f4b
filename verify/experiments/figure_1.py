"""[A] Figure 1: sorted histograms of deep masks at growing width, and their distances."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from theory.sorting import sas_bias_cells
from verify.experiment import Experiment, Part, register
from verify.measured import Result, Row, Summary, Table, exactly, jackknifed, summary
from verify.outcome import TrialResult
from verify.plots import Panel
from verify.plots_experiments import Curves, images_over_curves
from verify.trials.deep_figures import MASKS, drawn_histogram, predicted_histogram, sorted_mask
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
CONSTANT = ["random", "magnitude"]
WITH_DATA = [name for name in PREDICTED if name not in CONSTANT]
CASE = {"depth": 4, "density": 0.2}
WIDTHS = {"quick": (48, 96, 192, 384), "full": (100, 500, 1000, 2000)}
QUICK = {**CASE, "dataset": "digits", "batch": 32, "bins": 24}
FULL = {**CASE, "dataset": "mnist5k", "batch": 128, "bins": 64}
LIMIT, WIDEST, PROXY = "distance to the limit", "distance to the widest", "distance and cut norm"
"""Tables that are made of those of the parts."""

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
few trials, widths up to 384 and 25 rounds of SynFlow.

**Added:** beside each row the limit that is predicted from the batch alone, averaged over the
residuals, as a mean over trials is; below each image, the certified upper end of the cut norm of a
mask less P at its own latents. For SynFlow no limit is predicted at this density.

**Distances** are [A]'s, the root of the *sum* of squares over the cells, so they grow with the
number of cells. *network*: one network's histogram to the limit, mean over networks. *mean*: the
mean histogram of all networks to the limit, or to that of the widest. *drawn* and *drawn mean*: the
same for as many masks of this width whose limit is the predicted one, so what sorting alone is
expected to leave (root of the expected square); grey in the figure. For Random and Magnitude it is
the pattern of sorting and the noise of the cells, in closed form; for the others it comes from
masks drawn from the limit, without a network. Their threshold is that of their own width, and the
limit's that of the widest.

**Distance and cut norm:** *distance* is *network* again; *lower* and *upper* are the certified ends
of the cut norm of a mask less P at its own latents, from the table of cuts, with as many networks
as stand there. That is the noise of the edges alone, while the distance also has what sorting does
and how a network's residual differs from the mean. *ratio*: the root mean square over cells, which
does not grow with their number, over *upper*; it would be the same in all rows if the distance
stood for the cut norm. Intervals are Student's, and for mean histograms and drawn masks the
jackknife's over networks and draws.
"""


# ------------------------------------------------------------------------------------ distances
def euclidean(first: Array, second: Array) -> float:
    """[A]'s distance: the root of the *sum* of squares over cells."""
    return float(np.sqrt(np.sum((first - second) ** 2)))


def between_means(first: Array, second: Array) -> float:
    """The distance between the mean histograms of two samples, (networks, cells) each."""
    return euclidean(first.mean(axis=0), second.mean(axis=0))


@dataclass(frozen=True)
class Sorted:
    """Sorted histograms of masks drawn from a limit: their mean over masks, and what varies.

    scatter: variance of one mask's cells, added over the cells. error: that of `mean`, where it is
    itself a mean of few.
    """

    mean: Array
    scatter: float = 0.0
    error: float = 0.0

    @classmethod
    def of_constant(cls, density: float, n: int, cells: int) -> Sorted:
        """Of a constant graphon: the pattern that sorting makes, and the noise of the cells."""
        noise = density * (1.0 - density) * (cells / n) ** 2
        return cls(density + sas_bias_cells(density, n, n, cells).ravel(), noise * cells**2)

    @classmethod
    def of_masks(cls, histograms: Array) -> Sorted:
        """From independent histograms (replicates, cells), each the mean of `MASKS` masks."""
        scatter = MASKS * float(histograms.var(axis=0, ddof=1).sum())
        return cls(histograms.mean(axis=0), scatter, scatter / (MASKS * len(histograms)))

    def apart(self, other: Sorted, masks: int) -> float:
        """Distance of the means of so many masks each: the root of its expected square."""
        square = np.sum((self.mean - other.mean) ** 2) - self.error - other.error
        square += (self.scatter + other.scatter) / masks
        return float(np.sqrt(max(square, 0.0)))


@dataclass(frozen=True)
class Stacks:
    """Histograms of all replicates, (replicates, cells), by criterion and width."""

    networks: dict[tuple[str, int], Array]
    drawn: dict[tuple[str, int], Array]
    constants: dict[tuple[str, int], Array]
    limits: dict[str, Array]

    @classmethod
    def of(cls, result: Result, found: Sequence[Sequence[Sequence[TrialResult]]]) -> Stacks:
        """From the trials of the parts, in their order."""
        stacks: dict[str, dict[tuple[str, int], Array]] = {}
        for table, cells in zip(result.tables, found, strict=True):
            stacks[table.name] = {
                (row.settings["criterion"], row.settings["n"]): np.array(
                    [each.values["histogram"] for each in trials]
                )
                for row, trials in zip(table.rows, cells, strict=True)
                if "histogram" in row.metrics
            }
        limits = {name: stack[0] for (name, _), stack in stacks["limits"].items()}
        return cls(stacks["masks"], stacks["drawn"], stacks["constants"], limits)

    def expected(self, name: str, n: int, far: int | None, masks: int) -> Summary:
        """What sorting leaves between the mean of drawn masks and their limit, or width `far`.

        NaN where no limit is predicted.
        """
        if name not in PREDICTED:
            return exactly(math.nan)
        limit = Sorted(self.limits[name])
        if name in CONSTANT:
            near = self._constant(name, n)
            return exactly(near.apart(limit if far is None else self._constant(name, far), masks))
        if far is None:
            return jackknifed(
                lambda near: Sorted.of_masks(near).apart(limit, masks), self.drawn[name, n]
            )
        return jackknifed(
            lambda near, wide: Sorted.of_masks(near).apart(Sorted.of_masks(wide), masks),
            self.drawn[name, n], self.drawn[name, far],
        )  # fmt: skip

    def _constant(self, name: str, n: int) -> Sorted:
        flat = self.constants[name, n]
        return Sorted.of_constant(float(flat.mean()), n, round(flat.size**0.5))


def compared(result: Result, stacks: Stacks) -> tuple[Table, ...]:
    """Tables of distances: to the limit, to the widest, and beside the certified cut norm."""
    masks, cuts = result["masks"], result["cuts"]
    widest = max(masks.values("n"))
    cells = next(iter(stacks.limits.values())).size

    def network(name: str, n: int) -> Summary:
        return summary([euclidean(each, stacks.limits[name]) for each in stacks.networks[name, n]])

    def to_limit(row: Row, name: str, n: int) -> dict[str, Summary]:
        stack, limit = stacks.networks[name, n], stacks.limits[name]
        return {
            "network": network(name, n),
            "drawn": stacks.expected(name, n, None, 1),
            "mean": jackknifed(lambda chosen: between_means(chosen, limit[None]), stack),
            "drawn mean": stacks.expected(name, n, None, row.replicates),
        }

    def to_widest(row: Row, name: str, n: int) -> dict[str, Summary]:
        near, far = stacks.networks[name, n], stacks.networks[name, widest]
        return {
            "mean": jackknifed(between_means, near, far),
            "drawn mean": stacks.expected(name, n, widest, row.replicates),
        }

    def proxy(row: Row, name: str, n: int) -> dict[str, Summary]:
        distance, cut = network(name, n), cuts.row(criterion=name, n=n)
        return {
            "distance": distance,
            "lower": cut["lower"],
            "upper": cut["upper"],
            "ratio": _quotient(distance, cut["upper"], cells**0.5),
        }

    def table(
        title: str, make: Callable[[Row, str, int], dict[str, Summary]], rows: Sequence[Row]
    ) -> Table:
        made = (
            Row(row.settings, row.replicates, make(row, *(row.settings[a] for a in masks.axes)))
            for row in rows
        )
        return Table(title, masks.axes, tuple(made))

    predicted = [row for row in masks.rows if row.settings["criterion"] in PREDICTED]
    narrower = [row for row in masks.rows if row.settings["n"] < widest]
    return (
        table(LIMIT, to_limit, predicted),
        table(WIDEST, to_widest, narrower),
        table(PROXY, proxy, predicted),
    )


def _quotient(first: Summary, second: Summary, scale: float) -> Summary:
    """Of independent means, over `scale`; relative half widths added in squares."""
    value = first.mean / second.mean / scale
    relative = np.hypot(first.half_width / first.mean, second.half_width / second.mean)
    return Summary(value, np.array(np.nan), value * relative)


class WithDistances(Experiment):
    """The experiment with the tables that are made of the histograms of all its networks."""

    def collect(
        self, profile: str, seed: int, found: Sequence[Sequence[Sequence[TrialResult]]]
    ) -> Result:
        """The tables of the parts, and those that compare them."""
        result = super().collect(profile, seed, found)
        more = compared(result, Stacks.of(result, found))
        return replace(result, tables=(*result.tables, *more))


# --------------------------------------------------------------------------------------- figure
def _against_drawn(table: Table, names: Sequence[str]) -> Curves:
    """Distances of mean histograms to the limit, with what sorting alone leaves in grey."""
    drawn = {name: table.series("drawn mean", "n", criterion=name) for name in names}
    return Curves(
        "mean histogram, to the limit", "n", "Euclidean",
        {CRITERIA[name]: table.series("mean", "n", criterion=name) for name in names},
        {f"{CRITERIA[name]}, sorting": (line.x, line.mean) for name, line in drawn.items()},
        start=list(CRITERIA).index(names[0]),
    )  # fmt: skip


def draw(result: Result) -> Figure:
    """A row of mean histograms for each criterion, then the limit; distances below."""
    masks, limits, cuts = result["masks"], result["limits"], result["cuts"]
    widths = masks.values("n")
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
    apart = result[WIDEST]
    curves = [
        Curves(
            "mean histogram, to the widest", "n", "Euclidean",
            {title: apart.series("mean", "n", criterion=name) for name, title in CRITERIA.items()},
        ),
        Curves(
            "edges of one mask", "n", "cut norm, upper end",
            {CRITERIA[name]: cuts.series("upper", "n", criterion=name) for name in PREDICTED},
        ),
        _against_drawn(result[LIMIT], CONSTANT),
        _against_drawn(result[LIMIT], WITH_DATA),
    ]  # fmt: skip
    return images_over_curves(
        panels, curves, columns=len(widths) + 1, high=1.0, label="density of kept weights", across=2
    )


register(
    WithDistances(
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
                settings={"quick": {**QUICK, "rounds": 25}, "full": FULL},
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
                "constants",
                predicted_histogram,
                axes={
                    profile: {"criterion": tuple(CONSTANT), "n": widths}
                    for profile, widths in WIDTHS.items()
                },
                settings={
                    "quick": {**QUICK, "samples": 512},
                    "full": {**FULL, "samples": 2048},
                },
                replicates=1,
                show=("density",),
            ),
            Part(
                "drawn",
                drawn_histogram,
                axes={
                    profile: {"criterion": tuple(WITH_DATA), "n": widths}
                    for profile, widths in WIDTHS.items()
                },
                settings={"quick": QUICK, "full": FULL},
                replicates={"quick": 6, "full": 16},
                show=("density",),
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
                replicates={"quick": 6, "full": 16},
                show=("lower", "upper"),
            ),
        ),
        draw=draw,
        reported=True,
    )
)
