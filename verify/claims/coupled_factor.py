"""How much the coupling of masks and weights is worth, against depth, density and batch size.

In the quick profile only the ends of the sweeps are asked for.
"""

from __future__ import annotations

import math

from verify.checks import Reading, ValueCheck
from verify.claim import Claim, Verdict, register
from verify.trials.coupled_factor import BATCHES, DENSITIES, DEPTHS, coupled_factor, sweep

ITEM = "how large the factor of the coupled kernel is"
ROOT = 0.5 * math.log(BATCHES[-1] / BATCHES[0])
"""What growth with the square root of the batch size would add to a logarithm."""
HYPOTHESES = (
    "SNIP, ReLU, one output, squared loss, digits, the same density in every layer",
    "mean diagonals of kernels of infinitely wide networks on digits outside the batch; no network "
    "is drawn",
    "mean over initial residuals of the logarithm of the ratio",
)
LAYERS = len(DEPTHS) - 1

register(
    Claim(
        id="coupled-factor-depth",
        paper="own",
        item=ITEM,
        reading="own",
        title="The factor of the coupled kernel at least doubles with every layer, on average",
        statement=r"From one hidden layer to four the coupled kernel grows over that of the mask "
        r"graphon alone by at least 2 per layer on average, and is more than twice as large at "
        r"one; over the kernel with the right second moments it grows by at least 1.3 per layer.",
        hypotheses=(*HYPOTHESES, r"$\rho = 0.2$"),
        depends=("coupled-recursion",),
        checks=(
            ValueCheck(
                "growth from one hidden layer to four",
                coupled_factor,
                settings=sweep("depth", DEPTHS),
                readings=(
                    Reading("2 per layer", "graphon change", LAYERS * math.log(2.0), relation=">="),
                    Reading(
                        "1.3 per layer over uncoupled",
                        "uncoupled change",
                        LAYERS * math.log(1.3),
                        relation=">=",
                    ),
                    Reading("2 at one layer", "graphon 1", math.log(2.0), relation=">="),
                    Reading("the same at every depth", "graphon change", 0.0, mutant=True,
                            relation="<="),
                    Reading("4 per layer", "graphon change", LAYERS * math.log(4.0), mutant=True,
                            relation=">="),
                    Reading("all in the second moments", "uncoupled change", 0.0, mutant=True,
                            relation="<="),
                ),
                replicates={"quick": (10, 40), "full": (16, 64)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="How fast is a matter of the activation: over the kernel with the right second "
        "moments the factor of tanh is near one at these depths.",
    )
)  # fmt: skip

register(
    Claim(
        id="coupled-factor-density",
        paper="own",
        item=ITEM,
        reading="own",
        title="The factor of the coupled kernel grows with sparsity",
        statement=r"From density 0.8 to 0.05 the coupled kernel grows at least fourfold over that "
        r"of the mask graphon alone, and at least by a quarter over the kernel with the right "
        r"second moments. At 0.8 it is larger than both.",
        hypotheses=(*HYPOTHESES, "2 hidden layers"),
        depends=("coupled-recursion",),
        checks=(
            ValueCheck(
                "growth from density 0.8 to 0.05",
                coupled_factor,
                settings=sweep("density", DENSITIES),
                readings=(
                    Reading("fourfold", "graphon change", -math.log(4.0), relation="<="),
                    Reading(
                        "by a quarter over uncoupled",
                        "uncoupled change",
                        -math.log(1.25),
                        relation="<=",
                    ),
                    Reading("at density 0.8", "graphon 0.8", 0.0, relation=">="),
                    Reading("uncoupled, at density 0.8", "uncoupled 0.8", 0.0, relation=">="),
                    Reading("the same at every density", "graphon change", 0.0, mutant=True,
                            relation=">="),
                    Reading("like the inverse square of the density", "graphon change",
                            -2.0 * math.log(DENSITIES[-1] / DENSITIES[0]), mutant=True,
                            relation="<="),
                ),
                replicates={"quick": (10, 40), "full": (16, 64)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
    )
)  # fmt: skip

register(
    Claim(
        id="coupled-factor-batch",
        paper="own",
        item=ITEM,
        reading="own",
        title="The factor of the coupled kernel does not need a small batch",
        statement=r"As the batch grows from 4 to 64, both factors stay the same up to what a "
        r"power $\pm\tfrac14$ of its size would do (quick profile; $\pm\tfrac18$ in the full one).",
        hypotheses=(*HYPOTHESES, r"2 hidden layers, $\rho = 0.2$"),
        depends=("coupled-recursion",),
        checks=(
            ValueCheck(
                "change from batch 4 to 64",
                coupled_factor,
                settings=sweep("batch", BATCHES),
                readings=(
                    Reading("over the graphon-only kernel", "graphon change", 0.0),
                    Reading("over the uncoupled kernel", "uncoupled change", 0.0),
                    Reading("grows like the root of the batch", "graphon change", ROOT,
                            mutant=True),
                    Reading("falls like the root of the batch", "graphon change", -ROOT,
                            mutant=True),
                    Reading("uncoupled, falls like the root", "uncoupled change", -ROOT,
                            mutant=True),
                ),
                margin={"quick": 0.45 * ROOT, "full": 0.25 * ROOT},
                replicates={"quick": (10, 40), "full": (16, 64)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="A mask made by one batch of any of these sizes is coupled to its weights by "
        "about as much: the score sums over the batch, and what survives is coherent with the sum. "
        "Batches that grow with the width are outside.",
    )
)  # fmt: skip
