"""The kernel of deep networks pruned by SNIP and |GraSP|, on real digits."""

from __future__ import annotations

import math
from typing import Any

from verify.checks import Reading, ValueCheck
from verify.claim import Claim, Verdict, register
from verify.trials.coupled import pruned_network

ITEM = "which kernel a pruned deep network has"
WIDTH = {"quick": 1024, "full": 2048}
SAMPLES = {"quick": 512, "full": 2048}
BATCH = {"quick": 8, "full": 32}
DATASET = {"quick": "digits", "full": "mnist5k"}
REPLICATES = {"quick": (32, 128), "full": (32, 192)}
SHALLOW = {**REPLICATES, "quick": (18, 72)}
"""For two hidden layers, whose kernels spread less."""
WITHIN = 0.15
"""Of logarithms: what finite width and finite populations may still add at these sizes."""
WITHIN_LAYER = 0.25
"""The same for one layer's share, which spreads more."""
TEN = {"depth": 2, "outputs": 10, "scope": "global"}
GRASP = {"depth": 2, "criterion": "grasp"}
TANH = {"depth": 2, "activation": "tanh"}
ALONE = {"readings": ("coupled",)}
"""Only the coupled kernel is solved."""


def settings(**fixed: Any) -> dict[str, dict[str, Any]]:
    """The sizes of each profile and what is the same in both."""
    return {
        profile: {
            "n": WIDTH[profile],
            "samples": SAMPLES[profile],
            "batch": BATCH[profile],
            "dataset": DATASET[profile],
            **fixed,
        }
        for profile in WIDTH
    }


COUPLED = Reading("coupled kernel", "coupled", 0.0)
MORE = Reading("40 % more", "coupled", math.log(1.4), mutant=True)
LESS = Reading("40 % less", "coupled", -math.log(1.4), mutant=True)
UNCOUPLED = Reading("right second moments, uncoupled", "uncoupled", 0.0, mutant=True)
GRAPHON = Reading("graphon-only kernel", "graphon", 0.0, mutant=True)
APART = 0.4
"""Of logarithms: enough to tell kernels that differ by factors, on a few networks."""


def total(replicates: Any = REPLICATES, **fixed: Any) -> ValueCheck:
    """Whether the whole kernel is the coupled one."""
    return ValueCheck(
        "mean diagonal of the kernel", pruned_network, settings=settings(**ALONE, **fixed),
        readings=(COUPLED, MORE, LESS), margin=WITHIN, replicates=replicates,
    )  # fmt: skip


def others(*readings: Reading, **fixed: Any) -> ValueCheck:
    """Whether it is one of the kernels that leave something out; all are solved."""
    return ValueCheck(
        "beside other kernels", pruned_network, settings=settings(**fixed),
        readings=(COUPLED, *readings), margin=APART,
        replicates={"quick": (9, 36), "full": (14, 28)},
    )  # fmt: skip


SHARES = tuple(Reading(f"share of layer {layer}", f"layer_{layer}", 0.0) for layer in (1, 2, 3, 4))

register(
    Claim(
        id="coupled-kernel-networks",
        paper="own",
        item=ITEM,
        reading="own",
        title="The kernel of deep SNIP-pruned networks is the coupled kernel",
        statement=r"On digits, the tangent kernel of SNIP-pruned ReLU networks is the coupled "
        r"kernel solved for their own initial residual: in total, in every layer's share and "
        r"beside the diagonal. Without the correlation of pruned and dense signals the kernel "
        r"is more than three times too small, and from the mask graphon alone more than ten.",
        hypotheses=(
            "3 hidden ReLU layers, one output, squared loss, labels even/odd, digits of norm "
            r"$\sqrt d$",
            r"$\rho = 0.2$ in every layer; survivors train; kernel on digits that are not in the "
            "batch",
            "mean over networks of the logarithm of the ratio, at one width",
        ),
        depends=("coupled-recursion", "mask-does-not-fix-kernel"),
        checks=(
            total(),
            others(
                UNCOUPLED, GRAPHON,
                Reading("over three times the uncoupled one", "uncoupled", math.log(3.0),
                        relation=">="),
                Reading("over ten times the graphon's", "graphon", math.log(10.0), relation=">="),
            ),
            ValueCheck(
                "where it comes from",
                pruned_network,
                settings=settings(**ALONE),
                readings=(
                    *SHARES,
                    Reading("off the diagonal", "beside", 0.0),
                    *(
                        Reading(f"70 % {word} in layer {layer}", f"layer_{layer}",
                                sign * math.log(1.7), mutant=True)
                        for layer in (1, 2, 3, 4)
                        for word, sign in (("more", 1.0), ("less", -1.0))
                    ),
                    Reading("70 % more off the diagonal", "beside", math.log(1.7), mutant=True),
                ),
                margin=WITHIN_LAYER,
                replicates=REPLICATES,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="What is tested is agreement at one width within the margin, not the limit "
        "itself. The derivation takes as a hypothesis that the neurons of a layer become "
        "independent in the limit.",
    )
)  # fmt: skip

register(
    Claim(
        id="coupled-kernel-digits",
        paper="own",
        item=ITEM,
        reading="own",
        title="The coupled kernel with ten outputs and one global threshold",
        statement=r"With ten outputs, cross-entropy and one threshold for all layers, the kernel "
        r"of SNIP-pruned networks on digits is the coupled kernel, and the layers' densities "
        r"are those it predicts.",
        hypotheses=(
            r"2 hidden ReLU layers, ten classes, $\rho = 0.2$ over all layers together",
            "mean over networks of the logarithm of the ratio, at one width",
        ),
        depends=("coupled-kernel-networks",),
        checks=(
            total(SHALLOW, **TEN),
            others(UNCOUPLED, GRAPHON, **TEN),
            ValueCheck(
                "densities of the layers",
                pruned_network,
                settings=settings(**ALONE, **TEN),
                readings=(
                    Reading("predicted densities", "density", 0.05, relation="<="),
                    Reading(
                        "the same density everywhere", "uneven", 0.05, relation="<=", mutant=True
                    ),
                ),
                margin=None,
                replicates=SHALLOW,
            ),
        ),
        recorded=Verdict.SUPPORTED,
    )
)  # fmt: skip

register(
    Claim(
        id="coupled-kernel-grasp",
        paper="own",
        item=ITEM,
        reading="own",
        title="The coupled kernel of |GraSP|",
        statement=r"The kernel of |GraSP|-pruned networks is the coupled kernel of SNIP at the "
        r"residual $B\,\Theta\,r$.",
        hypotheses=(
            r"2 hidden ReLU layers, one output, squared loss, $\rho = 0.2$ in every layer",
            "mean over networks of the logarithm of the ratio, at one width",
        ),
        depends=("coupled-kernel-networks",),
        checks=(
            total(SHALLOW, **GRASP),
            others(UNCOUPLED, GRAPHON, **GRASP),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="How fast the part of |GraSP|'s score beside Gauss-Newton vanishes is a claim "
        "of its own.",
    )
)  # fmt: skip

register(
    Claim(
        id="coupled-kernel-tanh",
        paper="own",
        item=ITEM,
        reading="own",
        title="The coupled kernel of tanh networks",
        statement=r"The kernel of SNIP-pruned tanh networks is the coupled kernel: nothing in it "
        r"is special to homogeneous activations.",
        hypotheses=(
            r"2 hidden tanh layers, gain 3/2, one output, $\rho = 0.2$ in every layer",
            "mean over networks of the logarithm of the ratio, at one width",
        ),
        depends=("coupled-kernel-networks",),
        checks=(
            total(SHALLOW, **TANH),
            others(GRAPHON, **TANH),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="For tanh the uncoupled kernel with the right second moments is off by much "
        "less than for ReLU, so it is no near miss that this data could refute.",
    )
)
