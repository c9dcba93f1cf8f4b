"""[A] §4.2: masks of deep networks on images converge to the limit that latents predict.

The setting of [A] where it is stated: four or five hidden layers, one global threshold, sparsity
70, 80 and 90 %, masks between hidden layers. The quick profile looks at one or two cases of that
grid for each criterion, on small digits; the full one at all of it on MNIST, up to width 2000.
Histograms are judged by the worst of the cases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from verify.checks import LimitCheck, RateCheck, Reading, ValueCheck
from verify.claim import Claim, Verdict, register
from verify.claims.near_misses import SHARE
from verify.trials.deep_masks import (
    between_graphons,
    deep_cut,
    deep_histograms,
    sampled_ratio,
    sorted_constant_deep,
)
from verify.trials.deep_near import NEAR, reference
from verify.trials.deep_networks import CONSTANT, OFF, rms

WIDTHS = {"quick": (64, 128, 256, 512), "full": (250, 500, 1000, 2000)}
LIGHTER = {"quick": (48, 96, 192, 384), "full": (200, 400, 800, 1600)}
LAST = {profile: widths[-1] for profile, widths in WIDTHS.items()}
WIDER = {**WIDTHS, "quick": (128, 256, 512, 1024)}
"""For GraSP, whose rest beside Gauss-Newton is large in narrow networks."""
CASES = {
    "random": [[5, 0.3], [4, 0.1]],
    "magnitude": [[4, 0.3], [5, 0.1]],
    "snip": [[4, 0.3], [5, 0.1]],
    "grasp": [[5, 0.2]],
    "grasp-signed": [[4, 0.1]],
}
"""(hidden layers, density) in the quick profile."""
FIRST = {"random": (9, 36), "magnitude": (9, 36), "snip": (24, 96), "grasp": (18, 72)}
SHARES = {"snip": (1, 1, 1, 2), "grasp": (2, 1, 1, 1)}
"""Replicates of sorted histograms in the quick profile and their shares at the four widths, where
not (30, 120), evenly."""
WHOLE_GRID = [[depth, density] for depth in (4, 5) for density in (0.3, 0.2, 0.1)]
FULL: dict[str, Any] = {"dataset": "mnist5k", "batch": 128, "bins": 32}
QUICK: dict[str, Any] = {"dataset": "digits", "batch": 32, "bins": 8}
FINER = {"samples": 1024}
"""Latents of a limit on the finer grid of the full profile."""
RATE_MUTANTS = {"n^-1": -1.0, "n^-1/4": -0.25, "no convergence": 0.0}
# Sorted histograms have parts of order n^(-1/2) (degrees) and n^(-1) (entries per cell), their
# squares at the squares of these.
GAMMA = (0.5, 1.0)
SQUARES = (1.0, 2.0)

SETTING = (
    r"ReLU, cross-entropy at initialisation, Kaiming's normal weights that carry their scale, no "
    r"biases: [A] states none of these",
    r"four or five hidden layers of width n, density 0.3, 0.2 or 0.1 under one threshold for all "
    r"layers (quick: the one or two cases that the evidence names); masks between hidden layers",
    r"a fixed batch: 32 digits of 8 × 8 pixels (quick), 128 images of MNIST (full)",
)
NAMES = {
    "random": "Random",
    "magnitude": "Magnitude",
    "snip": "SNIP",
    "grasp": "|GraSP|",
    "grasp-signed": "signed GraSP",
}
MISSES = {
    "one input": "the first image alone (a product of factors)",
    "one class": "a batch of one class",
    "grasp": "|GraSP|'s limit",
    "snip": "SNIP's limit",
    "flat": "a constant for each layer",
    "more": "a fifth more",
    "less": "a fifth less",
}
WRONG = {
    "random": "a fifth more",
    "magnitude": "a fifth more",
    "snip": "scores that factorise",
    "grasp": "SNIP's scores",
    "grasp-signed": "two tails",
}
LIMITS = {
    "random": r"the constant $\rho$",
    "magnitude": r"a constant for each layer, set by the layers' scales",
    "snip": r"$2\bar\Phi\big(\tau/(\kappa_l|\langle\psi, h\rangle|)\big)$ on latents $\psi$ of "
    r"targets and $h$ of sources, given the residual",
    "grasp": r"that of SNIP with the residual $r$ replaced by $B\Theta r$",
    "grasp-signed": r"$\bar\Phi\big(\tau/(\kappa_l|\langle\psi, h\rangle|)\big)$, latents with the "
    r"residual $B\Theta r$",
}


def cases(criterion: str, profile: str) -> list[list[float]]:
    """(hidden layers, density)."""
    return WHOLE_GRID if profile == "full" else CASES[criterion]


def _settings(criterion: str, *left_out: str, **more: Any) -> dict[str, dict[str, Any]]:
    found = {}
    for profile, base in (("quick", QUICK), ("full", FULL)):
        chosen = {name: value for name, value in base.items() if name not in left_out}
        found[profile] = {**chosen, "criterion": criterion, "cases": cases(criterion, profile)}
        found[profile] |= {name: value[profile] for name, value in more.items()}
    found["full"] |= {} if "bins" in left_out else FINER
    return found


def _per_profile(make: Callable[[str], float]) -> dict[str, Callable[[], float]]:
    return {
        "quick": lambda: make("quick"),
        "full": lambda: make("full"),
    }


def _density_margin(criterion: str, profile: str) -> float:
    """Share of the distance of predicted densities from wrong ones, mean over the cases."""
    base = QUICK if profile == "quick" else FULL
    distances = []
    for depth, density in cases(criterion, profile):
        place = (LAST[profile], int(depth), density, base["batch"], base["bins"], base["dataset"])
        truth = np.array(reference(criterion, *place, "relu").densities)
        wrong = (1.0 + OFF) * truth if criterion in CONSTANT else np.full_like(truth, density)
        distances.append(rms(truth, wrong))
    return SHARE * float(np.mean(distances))


def _cut_margin(criterion: str, profile: str) -> float:
    """Share of the cut norm between P and the nearest wrong theory, mean over the cases."""
    base, n = (QUICK if profile == "quick" else FULL), LIGHTER[profile][-1]
    distances = [
        between_graphons(criterion, n, int(depth), density, base["batch"], base["dataset"])
        for depth, density in cases(criterion, profile)
    ]
    return SHARE * float(np.mean(distances))


def _cuts(criterion: str) -> list[RateCheck | LimitCheck]:
    constant = criterion in CONSTANT
    common: dict[str, Any] = {
        "widths": LIGHTER,
        "settings": _settings(criterion, "bins"),
        "replicates": {"quick": (7, 28) if constant else (9, 36), "full": (12, 48)},
        "allocation": {"quick": (1 if constant else 4, 1, 1, 1), "full": (1, 1, 1, 1)},
    }
    found: list[RateCheck | LimitCheck] = [
        RateCheck(f"edges, {end} end", deep_cut, metric=f"{end}_unit", exponent=-0.5, margin=0.12,
                  mutants=RATE_MUTANTS, **common)
        for end in ("upper", "lower")
    ]  # fmt: skip
    found.append(
        LimitCheck(
            "cut norm over the density" if constant else "cut norm",
            deep_cut,
            readings=(
                Reading("of the mask less P", "upper_share" if constant else "upper", 0.0),
                Reading(
                    f"of {'the mask' if constant else 'P'} less {WRONG[criterion]}",
                    "wrong_share" if constant else "wrong", 0.0, mutant=True,
                ),
            ),
            margin=(
                SHARE * OFF
                if constant
                else _per_profile(lambda profile: _cut_margin(criterion, profile))
            ),
            gamma=0.5,
            nonnegative=True,
            **common,
        )
    )  # fmt: skip
    return found


def _histograms(criterion: str) -> list[RateCheck | LimitCheck]:
    common: dict[str, Any] = {
        "widths": WIDER if criterion.startswith("grasp") else WIDTHS,
        "settings": _settings(criterion, widest=LAST),
        "replicates": {
            "quick": FIRST.get(criterion, (30, 120)),
            "full": (12, 48) if criterion in CONSTANT else (16, 64),
        },
        "allocation": {"quick": SHARES.get(criterion, (1,) * 4), "full": (1,) * 4},
    }
    constant = criterion in CONSTANT
    misses = ("more", "less") if constant else (*NEAR[criterion], "flat")
    found: list[RateCheck | LimitCheck] = [
        LimitCheck(
            f"sorted histograms, {'squared ' if constant else ''}distance over that of the nearest "
            "near miss",
            deep_histograms,
            readings=(
                Reading("the limit", "excess" if constant else "distance", 0.0),
                *(Reading(MISSES[miss], miss, 0.0, mutant=True) for miss in misses),
            ),
            margin=SHARE**2 if constant else SHARE,
            gamma=SQUARES if constant else GAMMA,
            nonnegative=not constant,
            **common,
        )
    ]
    if criterion == "snip":
        found.append(
            RateCheck(
                "sorted histograms, squared distance", deep_histograms, metric="sorted",
                exponent=-1.5, margin=0.7, mutants={"n^-3": -3.0, "no convergence": 0.0}, **common,
            )
        )  # fmt: skip
    if criterion == "random":
        return found
    if constant:
        # Not the same in all layers: where hidden layers are as wide as the input they are that.
        wrong = [Reading("a fifth more in each", "density_more", 0.0, mutant=True)]
    else:
        wrong = [
            Reading("the same in all layers", "density_uniform", 0.0, mutant=True),
            Reading("the ends on the scale of hidden layers", "density_ends", 0.0, mutant=True),
        ]
    found.append(
        LimitCheck(
            "densities of layers",
            deep_histograms,
            readings=(Reading("one threshold", "density_gap", 0.0), *wrong),
            margin=_per_profile(lambda profile: _density_margin(criterion, profile)),
            gamma=GAMMA,
            nonnegative=True,
            **common,
        )
    )
    return found


_UNIT = (
    r"The rate is that of the cut norm over the edges' root mean variance $(\int P(1-P))^{1/2}$: "
    "one threshold over all layers leaves a share to each that itself depends on n. "
)
_CUT = (
    "The cut norm is that of the middle layer's mask less P at the network's own latents and "
    "threshold, so it is the noise of the edges; the wrong graphon has the same latents and the "
    "same density. Latents and thresholds themselves are what histograms and densities test. "
)
_SQUARES = (
    "Squared distances are corrected for the Monte-Carlo error of the predicted limit, and for the "
    "noise of the edges in a cell. "
)
_RATE = (
    "Their rate is that of what is left beside the noise of the edges in a cell, which has a size "
    "of its own, "
    r"$K^2/n^2$ times $\int P(1-P)$, and rules where $n \ll K^2$. What is left has parts of order "
    r"$n^{-1}$, from finitely many latents, and $n^{-2}$, from their order; which of them rules at "
    "a width is not claimed. "
)
_FLAT = (
    "What sorting does to a constant graphon and the noise of the cells are known and taken away "
    f"from the squared distance; the near misses are constants {OFF:.0%} off. "
)
_NOT = "No joint limit of several layers is claimed: layers are looked at one by one."


def _statement(criterion: str) -> str:
    if criterion == "random":
        return (
            r"Masks of Random tend to the constant $\rho$: the certified cut norm of $M - \rho$ "
            r"falls like $n^{-1/2}$, and degree-sorted histograms tend to the constant."
        )
    rate = (
        r", with a squared distance that falls between $n^{-1}$ and $n^{-2}$,"
        if criterion == "snip"
        else ""
    )
    return (
        f"Masks of {NAMES[criterion]} between hidden layers tend to {LIMITS[criterion]}: the "
        r"certified cut norm of the noise of the edges falls like $n^{-1/2}$, and degree-sorted "
        f"histograms{rate} and the densities of all layers tend to the predicted ones."
    )


for _criterion, _name in NAMES.items():
    _constant = _criterion in CONSTANT
    register(
        Claim(
            id=f"deep-limit-{_criterion}",
            paper="A",
            item="hypothesis (§4.2)",
            reading="extended" if _constant else "corrected",
            title=f"Deep masks of {_name} converge to the limit that is predicted without them",
            statement=_statement(_criterion),
            hypotheses=SETTING,
            checks=(*_cuts(_criterion), *_histograms(_criterion)),
            recorded=Verdict.SUPPORTED,
            explanation=_UNIT
            + (_FLAT if _constant else _CUT + _SQUARES)
            + (_RATE if _criterion == "snip" else "")
            + _NOT,
        )
    )


def _explained(criterion: str) -> LimitCheck:
    return LimitCheck(
        f"{criterion}, as a multiple of the prediction",
        sorted_constant_deep,
        widths=LIGHTER,
        readings=(
            Reading("one", "explained", 1.0),
            Reading("a quarter more", "explained", 1.25, mutant=True),
            Reading("a quarter less", "explained", 0.75, mutant=True),
        ),
        margin=0.12,
        settings={
            "quick": {"criterion": criterion, "depth": 4, "density": 0.2, "bins": 8},
            "full": {
                "criterion": criterion, "depth": 4, "density": 0.2, "bins": FULL["bins"],
                "dataset": "mnist5k",
            },
        },
        gamma=(0.5, 2.0),
        replicates={"quick": (12, 96), "full": (16, 64)},
    )  # fmt: skip


def _ratio(criterion: str) -> ValueCheck:
    settings = {"criterion": criterion, "depth": 4, "density": 0.2}
    return ValueCheck(
        f"{criterion}, against masks drawn from the limit",
        sampled_ratio,
        settings={
            "quick": {**QUICK, **settings, "n": 128},
            "full": {**FULL, **FINER, **settings, "n": 1000},
        },
        readings=(
            Reading("no more than 1.5 times", "ratio", 1.5, relation="<="),
            Reading("no less than 0.4 times", "ratio", 0.4, relation=">="),
            Reading("twice and more", "ratio", 2.0, relation=">=", mutant=True),
            Reading("a fifth at most", "ratio", 0.2, relation="<=", mutant=True),
        ),
        replicates={"quick": (16, 64), "full": (16, 64)},
    )


register(
    Claim(
        id="sas-distance-explained",
        paper="A",
        item="Fig. 1, 4–9",
        reading="corrected",
        title="What a sorted histogram's distance measures is mostly its own sampling",
        statement=r"For a constant graphon the mean squared distance of a sorted histogram from it "
        r"is that of the pattern of sorting, $\rho(1-\rho)\,(\Phi^{-1}(u)/\sqrt n + "
        r"\Phi^{-1}(v)/\sqrt n)^2$ on the average, plus the noise of the cells, "
        r"$\rho(1-\rho)K^2/n^2$. For SNIP it lies between 0.4 and 1.5 times that of masks of the "
        r"same width drawn from the limit itself.",
        hypotheses=(*SETTING, "density 0.2, four hidden layers"),
        depends=("sas-bias", "deep-limit-magnitude", "deep-limit-snip"),
        checks=(_explained("magnitude"), _ratio("snip")),
        recorded=Verdict.SUPPORTED,
        explanation="A falling curve of distances is what any exchangeable mask would show, "
        "whatever its limit; it tells limits apart only where it is lower than that to a near "
        "miss. That the ratio is one is not claimed: neurons of one network share covariances that "
        "vary from network to network, and one threshold, so its latents are not quite independent "
        "draws.",
    )
)
