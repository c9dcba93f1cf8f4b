"""What moves the spectrum of a SNIP-pruned network's kernel, each cause with its share."""

from __future__ import annotations

from verify.checks import Reading, ValueCheck
from verify.claim import Claim, Verdict, register
from verify.trials.coupled_spectrum import spectrum_causes

SETTINGS = {
    "quick": {"n": 256},
    "full": {
        "n": 1024,
        "samples": 1024,
        "batch": 32,
        "points": 128,
        "dataset": "mnist5k",
    },
}
REPLICATES = {"quick": (24, 96), "full": (16, 48)}
ITEM = "what moves the top-5 energy"
HYPOTHESES = (
    r"3 hidden ReLU layers, one output, squared loss, digits, $\rho = 0.1$ over all layers",
    "top-5 energy of the tangent kernel on digits outside the batch, survivors train",
    "causes switched on and off one by one; shares by Shapley's rule, which does not depend on "
    "their order",
)

register(
    Claim(
        id="spectrum-moves-by-coupling",
        paper="own",
        item=ITEM,
        reading="own",
        title="The top-5 energy of a SNIP-pruned kernel rises by coupling first, then by the input "
        "layer, and by finite width least",
        statement=r"Of the rise of the top-5 energy over that of a dense network, the larger share "
        r"is the coupling of the masks behind the first layer with the weights they saw; the "
        r"first layer's mask comes second; finite width is less than a third of the rise.",
        hypotheses=HYPOTHESES,
        depends=("coupled-kernel-networks", "path-density"),
        checks=(
            ValueCheck(
                "order of the causes",
                spectrum_causes,
                settings=SETTINGS,
                readings=(
                    Reading("coupling leads", "lead", 0.0, relation=">="),
                    Reading("the input layer adds", "input share", 0.0, relation=">="),
                    Reading("width adds less than a third", "width excess", 0.0, relation="<="),
                    Reading("the input layer leads", "input lead", 0.0, relation=">=", mutant=True),
                    Reading("width leads", "width lead", 0.0, relation=">=", mutant=True),
                ),
                margin=None,
                replicates=REPLICATES,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="An empirical statement about these data and sizes. Which weights a hidden "
        "layer's mask kept is what matters, not the shape of its graphon: for ReLU the latter "
        "cannot move the spectrum at infinite width.",
    )
)

register(
    Claim(
        id="spectrum-hidden-graphons",
        paper="A",
        item="Fig. 3; tables B, C",
        reading="as printed",
        title="Structured graphons make the spectrum of the kernel another one",
        statement=r"Masks redrawn from the structure that SNIP finds, on weights they did not "
        r"see, raise the top-5 energy like SNIP itself: by at least three quarters of it.",
        hypotheses=HYPOTHESES,
        depends=("spectrum-moves-by-coupling",),
        checks=(
            ValueCheck(
                "rise of the top-5 energy",
                spectrum_causes,
                settings=SETTINGS,
                readings=(
                    Reading(
                        "masks alone, three quarters of the rise",
                        "fresh excess",
                        0.0,
                        relation=">=",
                    ),
                    Reading("coupling adds nothing", "lead", 0.0, relation="<=", mutant=True),
                ),
                margin=None,
                replicates=REPLICATES,
            ),
        ),
        recorded=Verdict.REFUTED,
        explanation="The very masks of SNIP, put on fresh weights, keep less than that of the "
        "rise: tables of masks redrawn from a graphon leave out the larger cause.",
    )
)
