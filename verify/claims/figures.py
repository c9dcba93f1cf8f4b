"""[B] Figures 1, 3, 4, 5: mean masks of real networks at growing width beside their limit.

The papers' figures say "visually close"; here each panel carries its error, and a claim says
that the error tends to zero. Rows and columns are sorted by the factors that the theory
predicts, never by the mask itself (sorting by degrees would add a pattern of its own).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from theory import criteria
from verify import plots
from verify.checks import LimitCheck, Reading
from verify.claim import Claim, Verdict, register
from verify.claims.factorised import GAMMA, NEAR
from verify.claims.near_misses import mask_margin
from verify.outcome import CheckOutcome, Outcome
from verify.trials.networks import FIGURE_GRID, pruned_network, rms

WIDTHS = {"quick": (48, 96, 192, 384), "full": (250, 500, 1000, 2000, 4000)}
REPLICATES = {"quick": (8, 32), "full": (25, 25)}
SEEDS = {**REPLICATES, "full": (100, 100)}
"""Fig. 1 averages over 100 seeds; of the other figures no number is stated."""
NARROW_FIRST = {"quick": (3, 1, 1, 1), "full": (1,) * 5}
ODD = ("tanh", "erf", "sigmoid")
CURVED = ("relu", "gelu")


def _settings(criterion: str, activation: str, density: float, **more: Any) -> dict[str, Any]:
    """Settings per profile: at n = 4000 the full one needs fewer inputs and samples."""
    quick = {"criterion": criterion, "activation": activation, "density": density, **more}
    return {"quick": quick, "full": {**quick, "aspect": 20, "sample_factor": 1.0}}


def _check(
    criterion: str, activation: str, density: float, replicates: Any = REPLICATES, **more: Any
) -> LimitCheck:
    """Block errors of masks to the deterministic limit tend to zero."""
    near = {"snip": "flat_row", "grasp": "other_tail", "grasp-signed": "other_tail"}.get(
        criterion, "as_snip"
    )
    return LimitCheck(
        f"{criterion} {activation}",
        pruned_network,
        widths=WIDTHS,
        readings=(
            Reading("P", "limit_error", 0.0),
            Reading(NEAR[near], near, 0.0, mutant=True),
            Reading(NEAR["flat_column"], "flat_column", 0.0, mutant=True),
        ),
        margin=mask_margin(criterion, density, near, "flat_column"),
        settings=_settings(criterion, activation, density, **more),
        gamma=GAMMA,
        replicates=replicates,
        allocation=NARROW_FIRST,
        nonnegative=True,
    )


def _conditional(activation: str, density: float) -> LimitCheck:
    """Curved activations: the conditional model at the network's own factors."""
    return LimitCheck(
        f"snip {activation}",
        pruned_network,
        widths=WIDTHS,
        readings=(
            Reading("the conditional model", "conditional_error", 0.0),
            Reading(NEAR["flat_column"], "flat_column", 0.0, mutant=True),
        ),
        margin=mask_margin("snip", density, "flat_column"),
        settings=_settings("snip", activation, density),
        gamma=GAMMA,
        replicates=REPLICATES,
        nonnegative=True,
    )


def _row(check: CheckOutcome) -> list[plots.Panel]:
    """Mean masks of one check by width, and the limit, with the error of each mean."""
    first = check.trials[0].settings
    limit = criteria.criterion(first["criterion"]).limit(first["density"])
    expected = limit.grid(FIGURE_GRID)
    name = {"grasp-signed": "signed GraSP", "grasp": "|GraSP|"}.get(first["criterion"])
    label = f"{name or first['criterion']}, {first['activation']}"
    widths = sorted({trial.settings["n"] for trial in check.trials})
    panels: list[plots.Panel] = []
    for width in widths:
        mean, seeds = _mean(check, width, "blocks")
        title = f"{label}\nn = {width}" if not panels else f"n = {width}"
        panels.append(plots.Panel(title, mean, f"error {rms(mean, expected):.3f}, {seeds} seeds"))
    if first["activation"] in CURVED:
        model, _ = _mean(check, widths[-1], "model_blocks")
        mean, _ = _mean(check, widths[-1], "blocks")
        panels.append(
            plots.Panel(f"conditional model\nn = {widths[-1]}", model,
                        f"error of masks {rms(mean, model):.3f}")
        )  # fmt: skip
    panels.append(plots.Panel("limit P", expected, "sources →, targets ↑"))
    return panels


def _mean(check: CheckOutcome, width: int, metric: str) -> tuple[NDArray[np.float64], int]:
    """Mean of a block metric over the seeds of one width, and their number."""
    stack = [t.values[metric] for t in check.trials if t.settings["n"] == width]
    return np.mean(stack, axis=0).reshape(FIGURE_GRID, FIGURE_GRID), len(stack)


def mean_masks(claim: Claim, outcome: Outcome) -> Figure:
    """One row of panels per check: mean masks by width, then the limit."""
    rows = [_row(check) for check in outcome.checks if check.trials]
    columns = max(len(row) for row in rows)
    for row in rows:  # rows without a conditional model leave its place empty
        row[-1:-1] = [plots.Panel("", np.full((1, 1), np.nan))] * (columns - len(row))
    panels = [panel for row in rows for panel in row]
    return plots.heatmaps(panels, columns=columns, high=1.0, label="density of kept weights")


register(
    Claim(
        id="figure-1",
        paper="B",
        item="Fig. 1",
        reading="extended",
        title="Mean masks approach the limit graphon at density 0.2",
        statement=r"Block densities of Random, Magnitude, SNIP (tanh) and SynFlow masks tend to "
        r"the deterministic limit $P(u, v)$.",
        hypotheses=(
            r"one hidden layer, Gaussian inputs and linear teacher, $d = n/4$, $N = 2d^2$: the "
            r"figure's own set-up is not stated in what is to hand",
        ),
        depends=("fsm-snip-odd", "fsm-random-magnitude", "fsm-synflow"),
        checks=(
            *[
                _check(criterion, "tanh", 0.2, SEEDS)
                for criterion in ("random", "magnitude", "snip", "synflow")
            ],
        ),
        recorded=Verdict.SUPPORTED,
        figure=mean_masks,
    )
)

for _id, _density in (("figure-3", 0.1), ("figure-4", 0.2)):
    register(
        Claim(
            id=_id,
            paper="B",
            item="Fig. 3, 4",
            reading="extended",
            title=f"Mean SNIP masks of five activations at density {_density}",
            statement=r"For tanh, erf and sigmoid block densities tend to the deterministic limit; "
            r"for ReLU and GELU to the conditional model given the network's own offset.",
            hypotheses=(r"as in Fig. 1, SNIP",),
            depends=("fsm-snip-odd", "fsm-snip-relu-conditional"),
            checks=(
                *[_check("snip", activation, _density) for activation in ODD],
                *[_conditional(activation, _density) for activation in CURVED],
            ),
            recorded=Verdict.SUPPORTED,
            explanation="For ReLU and GELU the last panel is still the factorised limit; the one "
            "before it is the mean of the conditional model's predictions for the same networks.",
            figure=mean_masks,
        )
    )

register(
    Claim(
        id="figure-5",
        paper="B",
        item="Fig. 5",
        reading="extended",
        title="Mean masks of GraSP by magnitude and signed, tanh and sigmoid",
        statement=r"|GraSP| masks tend to $\operatorname{erfc}(t/\sqrt2)$ and signed ones to "
        r"$\bar\Phi(t)$, $t = \tau/(r(u) c(v))$, for tanh and sigmoid.",
        hypotheses=(r"as in Fig. 1, $N = d^2$, gradient and Hessian over the input weights",),
        depends=("fsm-grasp-magnitude", "fsm-grasp-signed"),
        checks=[
            _check(criterion, activation, 0.2, sample_factor=1.0)
            for activation in ("tanh", "sigmoid")
            for criterion in ("grasp", "grasp-signed")
        ],
        recorded=Verdict.SUPPORTED,
        figure=mean_masks,
    )
)
