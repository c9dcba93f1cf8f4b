"""The three graphons P, V, mu on real pruned weights, the taxonomy on masks, and SAS's own bias."""

from __future__ import annotations

from typing import Any

from theory import criteria
from theory.taxonomy import is_homogeneous
from verify.checks import Certified, CertifiedCheck, LimitCheck, RateCheck, Reading
from verify.claim import Claim, Verdict, register
from verify.claims.factorised import (
    DENSITY,
    GAMMA,
    NARROW_FIRST,
    REPLICATES,
    SETTING,
    WIDTHS,
    settings,
)
from verify.claims.near_misses import SHARE, moment_margin, total
from verify.trials.masks import degree_variance, degree_variances, sorted_constant
from verify.trials.networks import pruned_network

WIDER = {**WIDTHS, "quick": (64, 128, 256, 512)}
"""For V of signed GraSP, whose second moments settle more slowly than its masks."""
PATTERN = {"quick": (4, 1, 1, 1), "full": (1, 1, 1, 1)}
"""Of replicates for what sorting does, in both checks, so that they share their masks."""


def _moment_check(criterion: str, **more: Any) -> LimitCheck:
    """Block errors of V and mu fall to zero; V = P (and mu = 0 for signed rules) is refuted."""
    readings = [
        Reading("V at the network's own factors", "variance_error", 0.0),
        Reading("mu at the network's own factors", "mean_error", 0.0),
    ]
    # For GraSP, whose masks converge more slowly, V and P are told apart by their totals below.
    if criterion == "grasp-signed":
        readings.append(Reading("mu = 0", "zero_mean", 0.0, mutant=True))
    elif criterion != "grasp":
        readings.append(Reading("V = P", "variance_is_mask", 0.0, mutant=True))
    return LimitCheck(
        f"{criterion} blocks",
        pruned_network,
        widths=WIDER if criterion == "grasp-signed" else WIDTHS,
        readings=readings,
        margin=moment_margin(criterion, DENSITY),
        settings=settings(criterion, **more),
        gamma=GAMMA,
        replicates=REPLICATES,
        allocation=NARROW_FIRST,
        nonnegative=True,
    )


def _total_check(criterion: str, percent: float, **more: Any) -> LimitCheck:
    """The surviving second moment tends to the integral of V, not to the density."""
    truth = lambda: total(criterion, DENSITY, "variance")  # noqa: E731
    share = percent / 100
    return LimitCheck(
        f"{criterion} total",
        pruned_network,
        widths=WIDTHS,
        readings=(
            Reading("the integral of V", "second_moment", truth),
            Reading(
                f"{percent:g} % more", "second_moment", lambda: (1 + share) * truth(), mutant=True
            ),
            Reading(
                f"{percent:g} % less", "second_moment", lambda: (1 - share) * truth(), mutant=True
            ),
            Reading("the density", "second_moment", DENSITY, mutant=True),
        ),
        margin=lambda: SHARE * share * truth(),
        settings=settings(criterion, **more),
        gamma=GAMMA,
        replicates={"quick": (11, 88), "full": (32, 256)},
        allocation=NARROW_FIRST,
    )


register(
    Claim(
        id="three-graphons-magnitude",
        paper="own",
        item="three graphons of a saliency mask",
        reading="own",
        title="Magnitude: constant mask graphon, but V = ρ + 2tφ(t)",
        statement=r"Weights kept by magnitude have $P = \rho$, "
        r"$V = \rho + 2t\varphi(t)$ with $t = \bar\Phi^{-1}(\rho/2)$, and $\mu = 0$.",
        hypotheses=SETTING[:1],
        depends=("fsm-random-magnitude",),
        checks=(_moment_check("magnitude"), _total_check("magnitude", 5)),
        recorded=Verdict.SUPPORTED,
    )
)

register(
    Claim(
        id="three-graphons-snip",
        paper="own",
        item="three graphons of a saliency mask",
        reading="own",
        title="SNIP: V = P + 2tφ(t), μ = 0",
        statement=r"Weights kept by SNIP have $V(u,v) = P + 2t\varphi(t)$, "
        r"$t = \tau/(r(u)c(v))$, and $\mu = 0$.",
        hypotheses=(*SETTING, r"$\sigma$ odd"),
        depends=("fsm-snip-odd",),
        checks=(_moment_check("snip"), _total_check("snip", 25)),
        recorded=Verdict.SUPPORTED,
    )
)

register(
    Claim(
        id="three-graphons-grasp",
        paper="own",
        item="three graphons of a saliency mask",
        reading="own",
        title="GraSP: by magnitude μ = 0, signed μ = φ(t)",
        statement=r"|GraSP| has $V = P + 2t\varphi(t)$ and $\mu = 0$; signed GraSP has "
        r"$V = \bar\Phi(t) + t\varphi(t)$ and, oriented as the score, $\mu = \varphi(t)$.",
        hypotheses=(*SETTING[:2], r"$N = d^2$", r"$\sigma$ odd"),
        depends=("fsm-grasp-magnitude", "fsm-grasp-signed"),
        checks=(
            _moment_check("grasp", sample_factor=1.0),
            _moment_check("grasp-signed", sample_factor=1.0),
            _total_check("grasp", 30, sample_factor=1.0),
            _total_check("grasp-signed", 30, sample_factor=1.0),
        ),
        recorded=Verdict.SUPPORTED,
    )
)

register(
    Claim(
        id="variance-is-not-mask",
        paper="A",
        item="Prop. 1",
        reading="as printed",
        title="The variance of pruned weights is the mask graphon ([A] eq. 10)",
        statement=r"Pruned weights have the second moment of the mask, "
        r"$E[w^2 M] = \mathcal{W}$, whatever the criterion.",
        hypotheses=("Magnitude pruning, Gaussian weights",),
        depends=("three-graphons-magnitude",),
        checks=(
            LimitCheck(
                "second moment",
                pruned_network,
                widths=WIDTHS,
                readings=(
                    Reading("the density", "second_moment", DENSITY),
                    Reading("all weights", "second_moment", 1.0, mutant=True),
                    Reading(
                        "half of V's excess", "second_moment",
                        lambda: (DENSITY + total("magnitude", DENSITY, "variance")) / 2,
                        mutant=True,
                    ),
                ),
                margin=lambda: SHARE * (total("magnitude", DENSITY, "variance") - DENSITY) / 2,
                settings=settings("magnitude"),
                gamma=GAMMA,
                replicates=REPLICATES,
                allocation=NARROW_FIRST,
            ),
        ),
        recorded=Verdict.REFUTED,
        explanation="True for masks that ignore the weights (Random). A magnitude rule keeps the "
        "large ones, so V exceeds P at every density below one.",
    )
)  # fmt: skip

VARIANCE_CASES = (
    ("random", "source", 0.0), ("random", "target", 0.0),
    ("magnitude", "source", 0.0), ("magnitude", "target", 0.0),
    ("snip", "source", None), ("snip", "target", None),
    ("grasp-signed", "source", None), ("grasp-signed", "target", None),
    ("synflow", "source", 0.0), ("synflow", "target", None),
)  # fmt: skip


def _degree_check(criterion: str, side: str, known: float | None) -> LimitCheck:
    reference = lambda: degree_variances("snip", DENSITY, "source")  # noqa: E731
    truth = (lambda: degree_variances(criterion, DENSITY, side)) if known is None else known
    wrong = (
        [
            Reading("homogeneous", side, 0.0, mutant=True),
            Reading("20 % more", side, lambda: 1.2 * truth(), mutant=True),
        ]
        if callable(truth)
        else [Reading("as heterogeneous as SNIP", side, reference, mutant=True)]
    )
    return LimitCheck(
        f"{criterion} {side}",
        degree_variance,
        widths=(100, 200, 400, 800),
        readings=[Reading("variance of the degree function", side, truth), *wrong],
        margin=(lambda: 0.09 * truth()) if callable(truth) else (lambda: 0.1 * reference()),
        settings={"criterion": criterion, "density": DENSITY},
        gamma=(0.5, 1.0),
        replicates={"quick": (28, 112), "full": (32, 512)},
    )


def _homogeneity_rows() -> list[Certified]:
    expected = {"random": 1.0, "magnitude": 1.0, "snip": 0.0, "grasp": 0.0,
                "grasp-signed": 0.0, "synflow": 0.0}  # fmt: skip
    rows = []
    for name, predicted in expected.items():
        answer = is_homogeneous(criteria.criterion(name).limit(DENSITY))
        low, high = (0.0, 1.0) if answer is None else (float(answer), float(answer))
        rows.append(Certified(f"{name} is homogeneous", predicted, low, high))
    return rows


register(
    Claim(
        id="taxonomy-symbolic",
        paper="B",
        item="taxonomy",
        reading="as printed",
        title="Random and Magnitude are homogeneous, SNIP and GraSP heterogeneous",
        statement=r"$\partial P/\partial u = \partial P/\partial v = 0$ for Random and Magnitude; "
        r"for SNIP, |GraSP|, signed GraSP and SynFlow there are two positions at which $P$ "
        r"provably differs (disjoint enclosures).",
        hypotheses=("Gaussian weights; half-normal factors; density 0.2",),
        checks=(
            CertifiedCheck(
                "P is constant",
                _homogeneity_rows,
                mutants={
                    "the opposite": lambda row: 1.0 - float(row.predicted),
                    "all are homogeneous": lambda row: 1.0,
                    "none is": lambda row: 0.0,
                },
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="SynFlow, which sees no data, is heterogeneous too, on the side of the "
        "neurons: data are not what makes a graphon heterogeneous.",
    )
)

register(
    Claim(
        id="taxonomy-masks",
        paper="B",
        item="taxonomy",
        reading="extended",
        title="The taxonomy on drawn masks: how much degrees vary",
        statement=r"The variance of the degree function of sources and of targets tends to "
        r"$\int (D - \rho)^2$ of the limit: zero for Random and Magnitude, on the source side for "
        r"SynFlow, and the predicted positive number elsewhere.",
        hypotheses=("masks drawn from the saliency models, Gaussian weights, $d = n$",),
        depends=("taxonomy-symbolic",),
        checks=[_degree_check(*case) for case in VARIANCE_CASES],
        recorded=Verdict.SUPPORTED,
    )
)

register(
    Claim(
        id="sas-bias",
        paper="A",
        item="App. C",
        reading="extended",
        title="Sorting by degree gives a constant graphon a pattern of its own",
        statement=r"For $P = \rho$ the degree-sorted histogram deviates from $\rho$ by "
        r"$\sqrt{\rho(1-\rho)}\,\big(\Phi^{-1}(u)/\sqrt n + \Phi^{-1}(v)/\sqrt d\big)$ to first "
        r"order.",
        hypotheses=(r"random masks at density 0.2, $d = n/2$, 16 × 16 cells",),
        checks=(
            LimitCheck(
                "multiple of the prediction",
                sorted_constant,
                widths={"quick": (200, 400, 800, 1600), "full": (400, 800, 1600, 3200)},
                readings=(
                    Reading("one, source side", "source_slope", 1.0),
                    Reading("one, target side", "target_slope", 1.0),
                    Reading("no pattern", "source_slope", 0.0, mutant=True),
                    Reading("10 % larger", "source_slope", 1.1, mutant=True),
                    Reading("the other side's width", "source_slope", 2**0.5, mutant=True),
                    Reading("10 % smaller", "target_slope", 0.9, mutant=True),
                ),
                margin=0.045,
                settings={"density": DENSITY, "aspect": 2, "cells": 16},
                gamma=(0.5, 1.0),
                replicates={"quick": (32, 128), "full": (64, 256)},
                allocation=PATTERN,
            ),
            RateCheck(
                "size of the pattern",
                sorted_constant,
                widths={"quick": (200, 400, 800, 1600), "full": (400, 800, 1600, 3200)},
                metric="amplitude",
                exponent=-0.5,
                margin=0.1,
                mutants={"n^-1": -1.0, "n^-1/4": -0.25, "stays": 0.0},
                settings={"density": DENSITY, "aspect": 2, "cells": 16},
                replicates={"quick": (32, 128), "full": (64, 256)},
                allocation=PATTERN,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Part of every convergence curve that is measured on sorted histograms is this "
        "bias, which has nothing to do with the graphon.",
    )
)
