"""[B] FSM for GraSP by magnitude, signed and over all parameters, and for one shot of SynFlow."""

from __future__ import annotations

from verify.checks import RateCheck
from verify.claim import Claim, Verdict, register
from verify.claims.factorised import (
    DENSITY,
    NARROW_FIRST,
    REPLICATES,
    SETTING,
    WRONG_ANYWAY,
    block_check,
)
from verify.trials.networks import signed_output

register(
    Claim(
        id="fsm-grasp-magnitude",
        paper="B",
        item="FSM",
        reading="corrected",
        title="|GraSP| on the input weights is factorised, with SNIP's factors",
        statement=r"With $g$ and $H$ restricted to the input weights, $|w_{ij} (Hg)_{ij}|$ has the "
        r"factors of SNIP: block densities tend to the same "
        r"$\operatorname{erfc}\!\big(\tau/(\sqrt2\, r_i c_j)\big)$.",
        hypotheses=(*SETTING[:2], r"$N = d^2$", r"$\sigma$ odd"),
        depends=("fsm-snip-odd",),
        checks=(
            block_check("grasp", ("other_tail", "flat_column", "flat_row"), sample_factor=1.0),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="If the output weights enter g and H as well, as in the public code, the "
        "column factor is no longer |a|: see the claim on GraSP over all parameters.",
    )
)

register(
    Claim(
        id="fsm-grasp-signed",
        paper="B",
        item="FSM",
        reading="corrected",
        title="Signed GraSP keeps the one-sided tail",
        statement=r"Without the absolute value, $w_{ij}(Hg)_{ij}$ keeps an edge with probability "
        r"$\bar\Phi\big(\tau/(r_i c_j)\big)$.",
        hypotheses=(*SETTING[:2], r"$N = d^2$", r"$\sigma$ odd"),
        depends=("fsm-grasp-magnitude",),
        checks=(
            block_check(
                "grasp-signed", ("other_tail", "flat_column", "flat_row"), sample_factor=1.0
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="The mask converges all the same; the weights under it have a mean, see "
        "`signed-output-grows`.",
    )
)

register(
    Claim(
        id="fsm-grasp-all-parameters",
        paper="own",
        item="GraSP over all parameters",
        reading="own",
        title="GraSP over all parameters keeps SNIP's factors",
        statement=r"When gradient and Hessian run over both layers, block densities of |GraSP| "
        r"masks still tend to $\operatorname{erfc}\!\big(\tau/(\sqrt2\, r_i |a_j|)\big)$.",
        hypotheses=(*SETTING[:2], r"$N = d^2$", r"$\sigma$ the sigmoid"),
        depends=("fsm-grasp-magnitude",),
        checks=(
            block_check(
                "grasp",
                WRONG_ANYWAY,
                margin_from=("other_tail", "flat_column"),
                activation="sigmoid",
                parameters="all",
                sample_factor=1.0,
            ),
        ),
        recorded=Verdict.REFUTED,
        explanation="The cross terms of the Hessian add a second direction to the column factor "
        "that is of the same order when d is proportional to n. Which saliency model replaces it "
        "is not claimed here.",
    )
)

register(
    Claim(
        id="fsm-synflow",
        paper="B",
        item="FSM",
        reading="extended",
        title="One shot of SynFlow on one hidden layer is exactly factorised",
        statement=r"The path score is $|w_{ij}|\,|a_j|$: block densities tend to "
        r"$\operatorname{erfc}\!\big(\tau/(\sqrt2\, c_j)\big)$, the same for all inputs.",
        hypotheses=SETTING[:1],
        checks=(block_check("synflow", ("as_snip", "constant")),),
        recorded=Verdict.SUPPORTED,
        explanation="One shot and one hidden layer only; rounds and depth change the picture.",
    )
)

register(
    Claim(
        id="signed-output-grows",
        paper="own",
        item="signed rules leave the kernel regime",
        reading="own",
        title="Under signed GraSP the output grows like the square root of the width",
        statement=r"The kept weights of a signed rule share a mean $\pm\varphi(t)$; the root mean "
        r"square output of the pruned network grows like $n^{1/2}$.",
        hypotheses=(r"sampled factorised scores, $d = 100$ fixed, tanh",),
        checks=(
            RateCheck(
                "signed rule",
                signed_output,
                widths=(250, 500, 1000, 2000),
                metric="rms",
                exponent=0.5,
                margin=0.1,
                mutants={"bounded": 0.0, "n^1/4": 0.25, "n": 1.0},
                settings={"criterion": "grasp-signed", "d": 100, "density": DENSITY},
                replicates=REPLICATES,
                allocation=NARROW_FIRST,
            ),
            RateCheck(
                "magnitude rule",
                signed_output,
                widths=(250, 500, 1000, 2000),
                metric="rms",
                exponent=0.0,
                margin=0.12,
                mutants={"n^1/2": 0.5, "n^1/4": 0.25, "n^-1/4": -0.25},
                settings={"criterion": "grasp", "d": 100, "density": DENSITY},
                replicates={"quick": (16, 128), "full": (64, 512)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Any statement that needs a centred kernel at infinite width, [A] Proposition "
        "1 among them, is therefore out of reach of signed rules.",
    )
)
