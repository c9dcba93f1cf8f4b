"""[B] Section 6: path density, its optimum, and how far each criterion is from it."""

from __future__ import annotations

import math
from typing import Any

from verify.checks import DerivationCheck, LimitCheck, Reading, ValueCheck
from verify.claim import Claim, Verdict, register
from verify.trials.generalisation import bound_by_paths, data_paths, flat_teacher, teacher_paths

RECONSTRUCTED = "The text of [B] is not to hand; its path density is reconstructed."
TEACHER = r"$y = X\beta$ with a Gaussian $\beta$; weights of a half-normal column law"

register(
    Claim(
        id="path-density-bound",
        paper="B",
        item="path density",
        reading="corrected",
        title="Path densities bound the complexity of a linear target",
        statement=r"$y^{\mathsf T}K^{-1}y \le d\sum_i\beta_i^2/D_i$ for $y = X\beta$, with the "
        r"path density $D_i$ weighted by squared mean slopes, since $K \succeq "
        r"d^{-1}X\operatorname{diag}(D)X^{\mathsf T}$; for any depth.",
        hypotheses=(
            "mean slopes common to the sample (always for ReLU; for others equal $V$-weighted "
            "norms), or their certified replacement on the sample",
        ),
        checks=(
            DerivationCheck("generalisation.path_bound"),
            DerivationCheck("generalisation.mean_slope"),
            DerivationCheck("generalisation.deep_step"),
            DerivationCheck("generalisation.slope_certificate"),
        ),
        recorded=Verdict.PROVED,
        explanation=RECONSTRUCTED + " Equal Euclidean norms are not enough (a near miss).",
    )
)

register(
    Claim(
        id="path-density-optimum",
        paper="B",
        item="path density",
        reading="extended",
        title="The best path densities are proportional to the coefficients' sizes",
        statement=r"Under a fixed $\sum_i D_i$ the bound is least for $D_i \propto |\beta_i|$, cut "
        "off where an input has all it can get.",
        hypotheses=(r"any number of inputs, $D_i > 0$",),
        depends=("path-density-bound",),
        checks=(
            DerivationCheck("generalisation.optimum"),
            DerivationCheck("generalisation.ceiling"),
        ),
        recorded=Verdict.PROVED,
    )
)

register(
    Claim(
        id="path-density-bound-tried",
        paper="B",
        item="path density",
        reading="corrected",
        title="The bound by path densities on limit kernels",
        statement=r"On Gaussian inputs $y^{\mathsf T}K^{-1}y$ is at most $d\sum_i\beta_i^2/D_i$ "
        "with certified slopes, for Random, Magnitude and SNIP.",
        hypotheses=(TEACHER, r"$d = 30$, 120 samples, density 0.2"),
        depends=("path-density-bound",),
        checks=tuple(
            ValueCheck(
                f"complexity over its bound, {criterion}",
                bound_by_paths,
                settings={"criterion": criterion, "density": 0.2},
                readings=(
                    Reading("at most 1", "certified", 1.0, relation="<="),
                    Reading("without d", "no_dimension", 1.0, mutant=True, relation="<="),
                ),
                replicates={"quick": (8, 64), "full": (48, 192)},
            )
            for criterion in ("random", "magnitude", "snip")
        ),
        recorded=Verdict.SUPPORTED,
        explanation="With slopes certified for every sample the bound is about ten times too "
        "large.",
    )
)

register(
    Claim(
        id="path-density-flat",
        paper="B",
        item="path density",
        reading="extended",
        title="Random and Magnitude are π/2 from the optimum on a Gaussian teacher",
        statement=r"For flat path densities the bound is $d\,|\beta|_2^2/|\beta|_1^2 \to \pi/2$ "
        "times its least value for the same sum.",
        hypotheses=(r"Gaussian coefficients, $d \to \infty$",),
        depends=("path-density-optimum",),
        checks=(
            LimitCheck(
                "times the least bound",
                flat_teacher,
                widths=(50, 100, 200, 400),
                width_name="d",
                readings=(
                    Reading("pi/2", "far", math.pi / 2),
                    Reading("optimal", "far", 1.0, mutant=True),
                    Reading("pi/2 - 0.1", "far", math.pi / 2 - 0.1, mutant=True),
                    Reading("pi/2 + 0.1", "far", math.pi / 2 + 0.1, mutant=True),
                ),
                margin=0.045,
                gamma=1.0,
                replicates={"quick": (256, 2048), "full": (1024, 8192)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
    )
)

register(
    Claim(
        id="path-density-snip-diverges",
        paper="B",
        item="path density",
        reading="extended",
        title="SNIP starves weak inputs: the bound is infinite",
        statement=r"At any density below 1, $\int \beta^2/D\,$ diverges for SNIP's limit graphon "
        r"with $r = |\beta|$: path densities fall off like $e^{-\tau/(2r)}$ or faster.",
        hypotheses=(r"a law of $\beta$ with density bounded below near 0", "half-normal columns"),
        depends=("path-density-bound",),
        checks=(DerivationCheck("generalisation.snip_diverges"),),
        recorded=Verdict.PROVED,
        explanation="The bound is at fault, not the network: what the rest of the kernel adds for "
        "every input is left out of it. With a floor for that it is finite.",
    )
)


def _against(value: float, metric: str, name: str, wrong: float, low: bool) -> tuple[Reading, ...]:
    """At most (or at least) `value`, and the near miss beyond `wrong`."""
    here: Any = "<=" if low else ">="
    there: Any = ">=" if low else "<="
    return (
        Reading(f"{name} {'at most' if low else 'at least'} {value:g}", metric, value,
                relation=here),
        Reading(f"{name} {'at least' if low else 'at most'} {wrong:g}", metric, wrong, mutant=True,
                relation=there),
    )  # fmt: skip


def _teacher(density: float, readings: Any) -> ValueCheck:
    return ValueCheck(
        f"times the least bound, density {density:g}",
        teacher_paths,
        settings={"d": 200, "density": density},
        readings=tuple(readings),
        replicates={"quick": (9, 72), "full": (48, 384)},
    )


register(
    Claim(
        id="path-density-teacher",
        paper="own",
        item="path densities of the criteria",
        reading="own",
        title="With a floor SNIP comes close to the best path densities, if its network is quiet",
        statement=r"On a Gaussian teacher at density 0.2, floor 0.01: SNIP's bound is within 15 % "
        "of the least where the network's output is 0 at the start, and further from it than "
        "Random's where it is the random network's own. At density 0.9 it is within 10 % of "
        "Random's.",
        hypotheses=(TEACHER, "$d = 200$; the graphon's path densities, not drawn masks"),
        depends=("path-density-snip-diverges", "path-density-flat"),
        checks=(
            _teacher(0.2, (
                *_against(1.15, "snip_quiet", "SNIP, quiet", 1.25, low=True),
                *_against(1.4, "flat", "Random", 1.25, low=False),
                *_against(1.9, "snip_noisy", "SNIP, noisy", 1.6, low=False),
            )),
            _teacher(0.9, (
                *_against(1.4, "snip_quiet", "SNIP, quiet", 1.25, low=False),
                *_against(1.75, "flat", "Random", 1.9, low=True),
            )),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="The floor is the share of the rest of the kernel; 0.01 is an example. The "
        "noise is the linear part of the network's output, as large as the labels.",
    )
)  # fmt: skip

register(
    Claim(
        id="path-density-digits",
        paper="own",
        item="path densities of the criteria",
        reading="own",
        title="On digits SNIP and |GraSP| are nearer the best path densities than Random",
        statement="Under the linear part of the kernel and a ridge for the rest, complexities are "
        "at most 1.25 times the least for the same sum of path densities for SNIP and |GraSP|, "
        "and at least 1.25 times for Random and Magnitude, at density 0.05; at 0.9 all four are "
        "within 1.25.",
        hypotheses=("even against odd digits, 300 images", "masks from 600 others, output 0"),
        depends=("path-density-teacher",),
        checks=(
            ValueCheck(
                "times the least, density 0.05",
                data_paths,
                settings={"density": 0.05},
                readings=(
                    *_against(1.25, "far_snip", "SNIP", 1.4, low=True),
                    *_against(1.25, "far_grasp", "|GraSP|", 1.4, low=True),
                    *_against(1.25, "far_random", "Random", 1.15, low=False),
                    *_against(1.25, "far_magnitude", "Magnitude", 1.15, low=False),
                ),
                replicates={"quick": (9, 72), "full": (24, 96)},
            ),
            ValueCheck(
                "times the least, density 0.9",
                data_paths,
                settings={"density": 0.9},
                readings=(
                    *_against(1.25, "far_snip", "SNIP", 1.4, low=True),
                    *_against(1.25, "far_random", "Random", 1.4, low=True),
                ),
                replicates={"quick": (9, 72), "full": (24, 96)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Coefficients of correlated pixels are not identifiable, so the comparison is "
        "by complexity under the linear part, not by a list of coefficients.",
    )
)
