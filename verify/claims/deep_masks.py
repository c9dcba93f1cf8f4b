"""[A] §4.2: masks of deep networks on images converge to the limit that latents predict.

The setting of [A] where it is stated: four or five hidden layers, one global threshold, sparsity
70, 80 and 90 %, masks between hidden layers. The quick profile looks at parts of that grid on
small digits; the full one at all of it on MNIST, up to width 2000.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from verify.checks import LimitCheck, RateCheck, Reading, ValueCheck
from verify.claim import Claim, Verdict, register
from verify.claims.near_misses import SHARE
from verify.trials.deep_masks import (
    CONSTANT,
    NEAR,
    deep_cut,
    deep_histograms,
    near_miss,
    reference,
    rms,
    root,
    sampled_ratio,
    sorted_constant_deep,
)

WIDTHS = {"quick": (64, 128, 256, 512), "full": (250, 500, 1000, 2000)}
LIGHTER = {**WIDTHS, "quick": (48, 96, 192, 384)}
LAST = {profile: widths[-1] for profile, widths in WIDTHS.items()}
WHOLE_GRID = [[depth, density] for depth in (4, 5) for density in (0.3, 0.2, 0.1)]
FULL: dict[str, Any] = {"dataset": "mnist5k", "batch": 128, "bins": 64}
QUICK: dict[str, Any] = {"dataset": "digits", "batch": 32, "bins": 8}
RATE_MUTANTS = {"n^-1": -1.0, "n^-1/4": -0.25, "no convergence": 0.0}
# Sorted histograms have parts of order n^(-1/2) (degrees) and n^(-1) (entries per cell).
GAMMA = (0.5, 1.0)

SETTING = (
    r"ReLU, cross-entropy at initialisation, Kaiming's normal weights that carry their scale, no "
    r"biases: [A] states none of these",
    r"four or five hidden layers of width n, one threshold for all layers; masks between hidden "
    r"layers",
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
    "grasp": "|GraSP|'s limit",
    "snip": "SNIP's limit",
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


def cases(criterion: str) -> dict[str, list[list[float]]]:
    """(hidden layers, density) per profile."""
    quick = [[4, 0.2], [5, 0.1]] if criterion == "snip" else [[4, 0.2]]
    return {"quick": quick, "full": WHOLE_GRID}


def _settings(criterion: str, *left_out: str) -> dict[str, dict[str, Any]]:
    found = {}
    for profile, base in (("quick", QUICK), ("full", FULL)):
        chosen = {name: value for name, value in base.items() if name not in left_out}
        found[profile] = {**chosen, "criterion": criterion, "cases": cases(criterion)[profile]}
    found["full"] |= {} if "bins" in left_out else {"samples": 2048}
    return found


def _per_profile(make: Callable[[str], float]) -> dict[str, Callable[[], float]]:
    return {
        "quick": lambda: make("quick"),
        "full": lambda: make("full"),
    }


def _histogram_margin(criterion: str, profile: str) -> float:
    """Share of the distance from the limit to its nearest near miss, mean over the cases.

    SNIP on a batch of one class is nearer than the near misses that these networks are held to.
    """
    base = QUICK if profile == "quick" else FULL
    distances: dict[str, list[float]] = {}
    for depth, density in cases(criterion)[profile]:
        place = (LAST[profile], int(depth), density, base["batch"], base["bins"], base["dataset"])
        truth = reference(criterion, *place, "relu").histograms[1:-1]
        misses = {"flat": [np.full_like(each, each.mean()) for each in truth]}
        also = ("one class",) if criterion == "snip" else ()
        for miss in (*NEAR[criterion], *also):
            misses[miss] = near_miss(criterion, miss, *place, "relu")
        if criterion in CONSTANT:
            del misses["flat"]
        for miss, other in misses.items():
            distances.setdefault(miss, []).append(root(truth, other))
    return SHARE * min(float(np.mean(each)) for each in distances.values())


def _density_margin(criterion: str, profile: str) -> float:
    """The same for densities; the nearest near miss is the uniform density."""
    base = QUICK if profile == "quick" else FULL
    distances = []
    for depth, density in cases(criterion)[profile]:
        place = (LAST[profile], int(depth), density, base["batch"], base["bins"], base["dataset"])
        truth = np.array(reference(criterion, *place, "relu").densities)
        distances.append(rms(truth, np.full_like(truth, density)))
    return SHARE * float(np.mean(distances))


def _checks(criterion: str) -> list[RateCheck | LimitCheck]:
    found: list[RateCheck | LimitCheck] = [
        RateCheck(
            f"edges, {end} end",
            deep_cut,
            widths=LIGHTER,
            metric=end,
            exponent=-0.5,
            margin=0.12,
            mutants=RATE_MUTANTS,
            settings=_settings(criterion, "bins"),
            replicates={"quick": (16, 64), "full": (8, 32)},
        )
        for end in ("upper", "lower")
    ]
    misses = [Reading(MISSES[miss], miss, 0.0, mutant=True) for miss in NEAR[criterion]]
    if criterion not in CONSTANT:
        misses.append(Reading("a constant for each layer", "flat", 0.0, mutant=True))
    found.append(
        LimitCheck(
            "sorted histograms",
            deep_histograms,
            widths=WIDTHS,
            readings=(Reading("the limit of its own residual", "distance", 0.0), *misses),
            margin=_per_profile(lambda profile: _histogram_margin(criterion, profile)),
            settings=_settings(criterion),
            gamma=GAMMA,
            replicates={"quick": (12, 48), "full": (8, 32)},
            nonnegative=True,
        )
    )
    if criterion == "random":
        return found
    wrong = [Reading("the same in all layers", "density_uniform", 0.0, mutant=True)]
    if criterion not in CONSTANT:
        wrong.append(
            Reading("the ends on the scale of hidden layers", "density_ends", 0.0, mutant=True)
        )
    found.append(
        LimitCheck(
            "densities of layers",
            deep_histograms,
            widths=WIDTHS,
            readings=(Reading("one threshold", "density_gap", 0.0), *wrong),
            margin=_per_profile(lambda profile: _density_margin(criterion, profile)),
            settings=_settings(criterion),
            gamma=GAMMA,
            replicates={"quick": (12, 48), "full": (8, 32)},
            nonnegative=True,
        )
    )
    return found


_CUT = (
    "The cut norm is that of the middle layer's mask less P at the network's own latents, so it is "
    "the noise of the edges; the latents themselves are what the histograms test. What is compared "
    "with zero includes the Monte-Carlo error of the predicted limit. "
)
_NOT = (
    "No rate is claimed for sorted histograms, and no joint limit of several layers: layers are "
    "looked at one by one."
)

for _criterion, _name in NAMES.items():
    register(
        Claim(
            id=f"deep-limit-{_criterion}",
            paper="A",
            item="hypothesis (§4.2)",
            reading="corrected" if _criterion not in CONSTANT else "extended",
            title=f"Deep masks of {_name} converge to the limit that is predicted without them",
            statement=f"Masks of {_name} between hidden layers tend to {LIMITS[_criterion]}: the "
            r"certified cut norm of the noise of the edges falls like $n^{-1/2}$, and "
            "degree-sorted histograms and the densities of all layers tend to the predicted ones."
            if _criterion != "random"
            else r"Masks of Random tend to the constant $\rho$: the certified cut norm of "
            r"$M - \rho$ falls like $n^{-1/2}$, and degree-sorted histograms tend to the constant.",
            hypotheses=SETTING,
            checks=_checks(_criterion),
            recorded=Verdict.SUPPORTED,
            explanation=(_CUT if _criterion not in CONSTANT else "") + _NOT,
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
                "criterion": criterion, "depth": 4, "density": 0.2, "bins": 64,
                "dataset": "mnist5k",
            },
        },
        gamma=(0.5, 2.0),
        replicates={"quick": (16, 128), "full": (16, 64)},
    )  # fmt: skip


def _ratio(criterion: str) -> ValueCheck:
    settings = {"criterion": criterion, "depth": 4, "density": 0.2}
    return ValueCheck(
        f"{criterion}, against masks drawn from the limit",
        sampled_ratio,
        settings={
            "quick": {**QUICK, **settings, "n": 128},
            "full": {**FULL, **settings, "n": 1000, "samples": 2048},
        },
        readings=(
            Reading("no more than 1.5 times", "ratio", 1.5, relation="<="),
            Reading("no less than 0.4 times", "ratio", 0.4, relation=">="),
            Reading("twice and more", "ratio", 2.0, relation=">=", mutant=True),
            Reading("a fifth at most", "ratio", 0.2, relation="<=", mutant=True),
        ),
        replicates={"quick": (32, 128), "full": (16, 64)},
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
