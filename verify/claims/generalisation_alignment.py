"""Kernel-target alignment of pruned networks: where pruning that sees data helps, and where not."""

from __future__ import annotations

from verify.checks import LimitCheck, Reading
from verify.claim import Claim, Verdict, register
from verify.claims.generalisation import TASK, compared
from verify.claims.generalisation_curves import WIDTHS, both
from verify.trials.generalisation import limit_reached

register(
    Claim(
        id="alignment-low-density",
        paper="B",
        item="alignment",
        reading="as printed",
        title="Pruning that sees data improves kernel alignment: at low density",
        statement="At densities 0.05 and 0.2 the centred kernel-target alignment of SNIP- and "
        "|GraSP|-pruned networks exceeds that of randomly pruned ones.",
        hypotheses=TASK,
        checks=(
            compared("gain over Random", 0.05, (
                *both("SNIP", "gain_snip", 0.02, ">=", 0.01),
                *both("|GraSP|", "gain_grasp", 0.02, ">=", 0.01),
            )),
            compared("gain over Random", 0.2, (
                *both("SNIP", "gain_snip", 0.0, ">=", 0.005),
                *both("|GraSP|", "gain_grasp", 0.0, ">=", 0.005),
            )),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Labels of the evaluation are not those that the mask saw.",
    )
)  # fmt: skip

register(
    Claim(
        id="alignment-high-density",
        paper="B",
        item="alignment",
        reading="as printed",
        title="Pruning that sees data improves kernel alignment: at every density",
        statement="At densities 0.7 and 0.9 too, alignments of SNIP and |GraSP| exceed that of "
        "Random by 0.02 or more.",
        hypotheses=TASK,
        depends=("alignment-low-density",),
        checks=(
            compared("gain over Random", 0.9, (
                Reading("SNIP", "gain_snip", 0.02, relation=">="),
                Reading("|GraSP|", "gain_grasp", 0.02, relation=">="),
                Reading("Magnitude", "gain_magnitude", 0.02, mutant=True, relation=">="),
                Reading("SNIP, by 0.03", "gain_snip", 0.03, mutant=True, relation=">="),
            )),
        ),
        recorded=Verdict.REFUTED,
        explanation="The gain is a matter of density: it fades as pruning does, and what is left "
        "of it at 0.7 and 0.9 is in the table of the book.",
    )
)  # fmt: skip

register(
    Claim(
        id="alignment-magnitude",
        paper="own",
        item="alignment of pruned kernels",
        reading="own",
        title="Magnitude aligns nothing, at any density",
        statement="The alignment of Magnitude-pruned networks is Random's: to 0.04 at density "
        "0.05, where SNIP's is not, and to 0.02 at 0.7.",
        hypotheses=TASK,
        depends=("alignment-low-density",),
        checks=tuple(
            compared(
                "gain over Random", density,
                (
                    Reading("none", "gain_magnitude", 0.0),
                    Reading(f"{wrong:g} more", "gain_magnitude", wrong, mutant=True),
                    Reading(f"{wrong:g} less", "gain_magnitude", -wrong, mutant=True),
                    Reading(f"{snip:g} for SNIP", "gain_snip", snip, mutant=True),
                ),
                margin=margin,
            )
            for density, margin, wrong, snip in ((0.05, 0.04, 0.1, 0.0), (0.7, 0.02, 0.05, 0.05))
        ),
        recorded=Verdict.SUPPORTED,
    )
)  # fmt: skip

register(
    Claim(
        id="alignment-overstated",
        paper="own",
        item="alignment of pruned kernels",
        reading="own",
        title="The graphon-only kernel overstates what SNIP gains in alignment",
        statement="As the width grows, the alignment of SNIP-pruned networks stays below that of "
        "the graphon-only kernel by 0.04 or more, and within 0.05 of the saliency-mask kernel's.",
        hypotheses=(*TASK, "density 0.2, 100 samples"),
        depends=("complexity-limit-snip",),
        checks=(
            LimitCheck(
                "difference of alignments",
                limit_reached,
                widths=WIDTHS,
                readings=(
                    Reading("graphon-only kernel", "align_graphon", -0.04, relation="<="),
                    Reading("saliency-mask kernel", "align_saliency", 0.0),
                    Reading("graphon-only kernel is right", "align_graphon", 0.0, mutant=True,
                            margin=0.02),
                    Reading("0.11 below", "align_saliency", -0.11, mutant=True),
                ),
                margin=0.05,
                settings={"criterion": "snip", "density": 0.2},
                gamma=(0.75, 1.25),
                replicates={"quick": (12, 96), "full": (16, 128)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="The saliency-mask kernel overstates it too, by less: on digits scores are not "
        "factorised, and no limit theorem is claimed.",
    )
)  # fmt: skip
