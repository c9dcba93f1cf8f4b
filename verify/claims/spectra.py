"""[A] (68) and the rebuttal on Magnitude: rates of modes, and eigenvalues that move together."""

from __future__ import annotations

from typing import Any

from verify.checks import DerivationCheck, LimitCheck, Reading
from verify.claim import Claim, Verdict, register
from verify.claims.reductions import GAMMA, HOMOGENEOUS, REPLICATES, WIDTHS
from verify.claims.tangent_kernel import NARROW_FIRST
from verify.trials.dynamics import (
    magnitude_law,
    magnitude_shift,
    magnitude_spectrum,
    mode_decay,
)

MODE_WIDTHS = {"quick": (64, 128, 256, 512), "full": (256, 512, 1024, 2048)}
MODE_REPLICATES = {"quick": (28, 112), "full": (24, 384)}

DENSITY = 0.5

register(
    Claim(
        id="modes-decay-printed",
        paper="A",
        item="(68)",
        reading="as printed",
        title="Modes of randomly pruned networks decay at the rates c^L λ_k",
        statement=r"Residuals along the eigenvectors of $\Theta_{\mathrm{std}}$ decay like "
        r"$\exp(-c^L \lambda_k t)$ in a network whose matrices are all pruned to density $c$.",
        hypotheses=(
            "ReLU, one hidden layer, gradient descent in small steps on survivors",
            r"independent masks of density $c = 1/2$ in both layers",
        ),
        checks=(
            LimitCheck(
                "rates, 1 hidden, pruned output",
                mode_decay,
                widths=MODE_WIDTHS,
                readings=(
                    Reading("c^L", "rate_less", 1.0),
                    Reading("c^(L+2)", "rate_more", 1.0, mutant=True),
                ),
                margin=0.2,
                settings={"depth": 1, "density": DENSITY, "output": "pruned"},
                gamma=GAMMA,
                replicates=MODE_REPLICATES,
                allocation=NARROW_FIRST,
            ),
        ),
        recorded=Verdict.REFUTED,
        explanation="The exponent of (55) belongs to a variance profile that trains everywhere. "
        "Survivors of masks in all L + 1 matrices learn at c^(L+1); with a dense output layer the "
        "printed rate is right.",
    )
)

register(
    Claim(
        id="modes-decay",
        paper="A",
        item="(68)",
        reading="corrected",
        title="Modes of wide pruned networks decay at the rates c^m λ_k",
        statement=r"Residuals along the eigenvectors of $\Theta_{\mathrm{std}}$ decay like "
        r"$\exp(-c^m \lambda_k t)$ with $m$ the number of pruned matrices; the ratios of the rates "
        r"are those of the dense network.",
        hypotheses=(
            "ReLU, gradient descent in small steps on survivors",
            r"independent masks of density $c = 1/2$",
            "one hidden layer and all matrices pruned; two hidden layers and a dense output",
        ),
        depends=("power-survivors", "power-dense-output", "modes-decay-printed"),
        checks=(
            *(
                LimitCheck(
                    f"rates, {depth} hidden, {output} output",
                    mode_decay,
                    widths=MODE_WIDTHS,
                    readings=(
                        Reading("c^m", "rate", 1.0),
                        Reading("c^(m-1)", "rate_less", 1.0, mutant=True),
                        Reading("c^(m+1)", "rate_more", 1.0, mutant=True),
                        Reading("by half faster", "rate", 1.5, mutant=True),
                    ),
                    margin=0.24,
                    settings={"depth": depth, "density": DENSITY, "output": output},
                    gamma=GAMMA,
                    replicates=MODE_REPLICATES,
                    allocation=NARROW_FIRST,
                )
                for depth, output in ((1, "pruned"), (2, "dense"))
            ),
            LimitCheck(
                "ratio of two rates",
                mode_decay,
                widths=MODE_WIDTHS,
                readings=(
                    Reading("as in the dense network", "tilt", 1.0),
                    Reading("the slower mode slows down by half", "tilt", 0.5, mutant=True),
                ),
                margin=0.24,
                settings={"depth": 2, "density": DENSITY, "output": "dense"},
                gamma=GAMMA,
                replicates=MODE_REPLICATES,
                allocation=NARROW_FIRST,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="With all matrices pruned the exponent is L + 1, not the L of (68).",
    )
)

MAGNITUDE_DEPTH, MAGNITUDE_DENSITY = 3, 0.2


def _shift(mask_power: int, variance_power: int) -> Any:
    return lambda: magnitude_shift(MAGNITUDE_DENSITY, mask_power, variance_power)


register(
    Claim(
        id="magnitude-larger-eigenvalues",
        paper="A",
        item="rebuttal, Magnitude; tables G, H, I",
        reading="as printed",
        title="Magnitude has larger eigenvalues than Random at the same density",
        statement="Though both have a constant graphon, the eigenvalues of the kernel of a "
        "Magnitude-pruned network are larger than those of a randomly pruned one.",
        hypotheses=("three hidden ReLU layers, all layers pruned to density 0.2",),
        checks=(
            LimitCheck(
                "mean logarithm",
                magnitude_spectrum,
                widths=WIDTHS,
                readings=(
                    Reading(
                        "above Random's",
                        "shift",
                        _shift(MAGNITUDE_DEPTH + 1, 0),
                        relation=">=",
                    ),
                    Reading("Random's", "shift", _shift(MAGNITUDE_DEPTH + 1, 0), mutant=True),
                    Reading("the dense network's", "shift", 0.0, mutant=True),
                ),
                margin=0.15,
                settings={"depth": MAGNITUDE_DEPTH, "density": MAGNITUDE_DENSITY},
                gamma=GAMMA,
                replicates=REPLICATES,
                allocation=NARROW_FIRST,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="By how much is the claim on the factor ρ v^L.",
    )
)

register(
    Claim(
        id="magnitude-shift",
        paper="A",
        item="rebuttal, Magnitude; tables G, H, I",
        reading="corrected",
        title="Magnitude multiplies every eigenvalue by ρ v^L",
        statement=r"$\Theta = \rho\, v^L\,\Theta_{\mathrm{std}}$ with "
        r"$v = \rho + 2t\varphi(t)$: the constant mask graphon of Random, larger eigenvalues, one "
        r"shift of all logarithms.",
        hypotheses=(HOMOGENEOUS + r", $k = 1$", "all layers pruned to density ρ by magnitude"),
        checks=(
            DerivationCheck("reduction.magnitude"),
            LimitCheck(
                "shift of the logarithms",
                magnitude_spectrum,
                widths=WIDTHS,
                readings=(
                    Reading(
                        "ρ v^L",
                        "shift",
                        lambda: magnitude_law(MAGNITUDE_DENSITY, MAGNITUDE_DEPTH),
                    ),
                    Reading("ρ^(L+1)", "shift", _shift(MAGNITUDE_DEPTH + 1, 0), mutant=True),
                    Reading("v^(L+1)", "shift", _shift(0, MAGNITUDE_DEPTH + 1), mutant=True),
                    Reading("ρ v^(L-1)", "shift", _shift(1, MAGNITUDE_DEPTH - 1), mutant=True),
                ),
                margin=0.15,
                settings={"depth": MAGNITUDE_DEPTH, "density": MAGNITUDE_DENSITY},
                gamma=GAMMA,
                replicates=REPLICATES,
                allocation=NARROW_FIRST,
            ),
            LimitCheck(
                "same shift for all",
                magnitude_spectrum,
                widths=WIDTHS,
                readings=(
                    Reading("no tilt", "tilt", 0.0),
                    Reading("tilt of a fifth", "tilt", 0.2, mutant=True),
                ),
                margin=0.09,
                settings={"depth": MAGNITUDE_DEPTH, "density": MAGNITUDE_DENSITY},
                gamma=GAMMA,
                replicates={**REPLICATES, "quick": (56, 224)},
                allocation=NARROW_FIRST,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Energy concentration, effective rank and gap are ratios of eigenvalues, so "
        "by this law they are those of Random and of the dense network. The losses of table H are "
        "not part of this claim.",
    )
)
