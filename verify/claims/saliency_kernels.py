"""Which kernel a network pruned by SNIP, |GraSP| or Magnitude has: one hidden layer."""

from __future__ import annotations

from verify.checks import LimitCheck, Reading, ValueCheck
from verify.claim import Claim, Verdict, register
from verify.trials.saliency import digits_kernel, model_kernel, teacher_kernel

GAMMA = (0.75, 1.25)
"""Of means: finite widths, input dimensions and samples change them by multiples of 1/n."""
NORM_GAMMA = (0.5, 1.0)
"""Of distances: noise of relative size n^(-1/2), and those means."""
NAMES = {"snip": "SNIP", "grasp": "|GraSP|", "magnitude": "Magnitude"}
TEACHER_WIDTHS = {"quick": (32, 64, 128, 256), "full": (128, 256, 512, 1024)}
MODEL_WIDTHS = {"quick": (100, 200, 400, 800), "full": (400, 800, 1600, 3200)}
DIGIT_WIDTH = {"quick": 1000, "full": 4000}
REPLICATES = {"quick": (15, 60), "full": (16, 192)}
NARROW_FIRST = {"quick": (2, 1, 1, 1), "full": (1, 1, 1, 1)}
DENSITY = 0.2
WITHIN = 0.2
"""Relative Frobenius distance that counts as agreement on digits, where no limit is claimed."""

register(
    Claim(
        id="mask-does-not-fix-kernel",
        paper="own",
        item="which kernel a pruned network has",
        reading="own",
        title="The mask graphon alone does not determine the kernel",
        statement=r"Masks by $|w|\,r\,c$ and masks drawn from the same graphon $P$ on fresh "
        r"weights have different kernels: surviving weights have second moment $V$, not $P$, and "
        r"sit where the output weights are large. The kernel with $V$, $P$ and $c(v)^2$ is right.",
        hypotheses=(
            r"one hidden ReLU layer, factorised scores, $d = n/4$",
            "half-normal row and column factors",
        ),
        checks=(
            LimitCheck(
                "networks pruned by the factorised model",
                model_kernel,
                widths=MODEL_WIDTHS,
                readings=(
                    Reading("saliency-mask kernel", "saliency_scale", 1.0),
                    Reading("graphon-only kernel", "graphon_scale", 1.0, mutant=True),
                    Reading("V = P, output weights kept", "shape_scale", 1.0, mutant=True),
                    Reading("20 % more", "saliency_scale", 1.2, mutant=True),
                ),
                margin=0.09,
                settings={"density": DENSITY, "activation": "relu"},
                gamma=GAMMA,
                replicates=REPLICATES,
                allocation=NARROW_FIRST,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="The two kinds of network have the same limit graphon, so no theory of the "
        "graphon alone can tell them apart.",
    )
)

for _criterion, _name in NAMES.items():
    _replicates = {**REPLICATES, "quick": (28, 112)} if _criterion == "grasp" else REPLICATES
    register(
        Claim(
            id=f"saliency-kernel-{_criterion}",
            paper="own",
            item="which kernel a pruned network has",
            reading="own",
            title=f"The kernel of {_name}-pruned networks, Gaussian teacher",
            statement=rf"The tangent kernel of real {_name}-pruned networks tends to the "
            r"saliency-mask kernel at their own factors.",
            hypotheses=(
                r"one hidden erf layer, squared loss, linear teacher, $d = n/4$, $N = 2d^2$",
                r"$\sigma$ odd; survivors train, dense output layer trains",
            ),
            depends=("mask-does-not-fix-kernel",),
            checks=(
                LimitCheck(
                    "multiple of the kernel",
                    teacher_kernel,
                    widths=TEACHER_WIDTHS,
                    readings=(
                        Reading("saliency-mask kernel", "saliency_scale", 1.0),
                        Reading("graphon-only kernel", "graphon_scale", 1.0, mutant=True),
                        Reading("25 % more", "saliency_scale", 1.25, mutant=True),
                    ),
                    margin=0.12,
                    settings={"criterion": _criterion, "density": DENSITY},
                    gamma=GAMMA,
                    replicates=_replicates,
                    allocation=NARROW_FIRST,
                ),
                LimitCheck(
                    "distance from the kernel",
                    teacher_kernel,
                    widths=TEACHER_WIDTHS,
                    readings=(
                        Reading("saliency-mask kernel", "saliency_error", 0.0),
                        Reading("graphon-only kernel", "graphon_error", 0.0, mutant=True),
                    ),
                    margin=0.15,
                    settings={"criterion": _criterion, "density": DENSITY},
                    gamma=NORM_GAMMA,
                    replicates=_replicates,
                    allocation=NARROW_FIRST,
                    nonnegative=True,
                ),
            ),
            recorded=Verdict.SUPPORTED,
        )
    )
    register(
        Claim(
            id=f"saliency-kernel-digits-{_criterion}",
            paper="own",
            item="which kernel a pruned network has",
            reading="own",
            title=f"The kernel of {_name}-pruned networks on real digits",
            statement=rf"On 1797 digits with $r_i = |E[e\,x_i]|$, the kernel of {_name}-pruned "
            r"networks is within 20 % of the saliency-mask kernel (relative Frobenius distance, "
            r"mean over seeds), and the graphon-only kernel is not.",
            hypotheses=(
                "one hidden erf layer, squared loss, labels even/odd, standardised pixels",
            ),
            depends=(f"saliency-kernel-{_criterion}",),
            checks=(
                ValueCheck(
                    "distance from the kernel",
                    digits_kernel,
                    settings={
                        profile: {"criterion": _criterion, "density": DENSITY, "n": n}
                        for profile, n in DIGIT_WIDTH.items()
                    },
                    readings=(
                        Reading("saliency-mask kernel", "saliency_error", WITHIN, relation="<="),
                        Reading(
                            "graphon-only kernel",
                            "graphon_error",
                            WITHIN,
                            relation="<=",
                            mutant=True,
                        ),
                    ),
                    margin=None,
                    replicates={"quick": (15, 60), "full": (16, 96)},
                ),
            ),
            recorded=Verdict.SUPPORTED,
            explanation="Not a limit theorem: on these inputs scores are not factorised, the "
            "input dimension stays finite, and how close the kernel comes is an empirical fact "
            "about this data set.",
        )
    )
