"""[B] Theorem 4.7: masks converge to P in cut norm; the rate, and what each hypothesis is for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from theory import criteria, hypotheses
from theory.profiles import CallableProfile, ConstantProfile, EmpiricalProfile, SymbolicProfile
from theory.symbols import n as width
from theory.symbols import u
from verify.checks import Certified, CertifiedCheck, LimitCheck, RateCheck, Reading
from verify.claim import Claim, Verdict, register
from verify.trial import Trial
from verify.trials import counterexamples as examples
from verify.trials.masks import latent_gap, mask_cut, tau_off_distance

DENSITY = 0.2
WIDTHS = {"quick": (50, 100, 200, 400), "full": (128, 256, 512, 1024, 2048)}
LATENT_WIDTHS = (30, 150, 750, 3750)
REPLICATES = {"quick": (7, 112), "full": (16, 256)}
LATENT_DESIGN: dict[str, Any] = {
    "replicates": {"quick": (60, 240), "full": (16, 256)},
    "allocation": {"quick": (4, 1, 1, 1), "full": (1, 1, 1, 1)},
}
"""Narrow networks cost little, and what their latents do varies most."""
RATE_MUTANTS = {"n^-1": -1.0, "n^-1/4": -0.25, "no convergence": 0.0}

HAVE_LATENTS = ("snip", "grasp-signed", "synflow")
MATCHED = (
    "Rows and columns are matched by their latents, so this bounds the cut distance from above: "
    "alignment can only make it smaller."
)
LATENTS = (
    " The two parts add up by the triangle inequality; they are measured apart because the second "
    "is one random number per mask and far noisier than the first."
)
NAMES = {
    "random": "Random",
    "magnitude": "Magnitude",
    "snip": "SNIP and |GraSP|",
    "grasp-signed": "signed GraSP",
    "synflow": "SynFlow (one shot)",
}


def _rate(
    name: str, trial: Trial, metric: str, widths: Any, settings: Any, **design: Any
) -> RateCheck:  # fmt: skip
    """A metric falls like n^(-1/2)."""
    return RateCheck(
        name, trial, widths=widths, metric=metric, exponent=-0.5, margin=0.12,
        mutants=RATE_MUTANTS, settings=settings, **{"replicates": REPLICATES, **design},
    )  # fmt: skip


def _checks(criterion: str) -> Iterator[LimitCheck | RateCheck]:
    settings = {"criterion": criterion, "density": DENSITY}
    for end in ("upper", "lower"):
        yield _rate(f"edges, {end} end", mask_cut, end, WIDTHS, settings)
    if criterion in HAVE_LATENTS:
        yield _rate("latents", latent_gap, "gap", LATENT_WIDTHS, settings, **LATENT_DESIGN)
    distance = lambda: tau_off_distance(criterion, DENSITY)  # noqa: E731
    yield LimitCheck(
        "limit",
        mask_cut,
        widths=WIDTHS,
        readings=(
            Reading("P", "upper", 0.0),
            # Masks that converged to that graphon would stay at its distance from P.
            Reading("P with a threshold 5 % too high", "upper", distance, mutant=True),
        ),
        margin=lambda: 0.45 * distance(),
        settings=settings,
        gamma=0.5,
        replicates=REPLICATES,
        nonnegative=True,
    )


for _criterion, _name in NAMES.items():
    register(
        Claim(
            id=f"thm47-{_criterion}",
            paper="B",
            item="Thm 4.7",
            reading="extended",
            title=f"Masks of {_name} converge in cut norm at rate n^(-1/2)",
            statement=r"$\|M_n - P\|_\square \to 0$ like $n^{-1/2}$: certified brackets of the "
            r"noise of the edges fall at that rate"
            + (
                ", and so does the exact distance that random latents add through the threshold."
                if _criterion in HAVE_LATENTS
                else "."
            ),
            hypotheses=(
                r"factorised model, Gaussian weights, $d = n$",
                r"half-normal row profile and column law where the criterion has them",
            ),
            checks=tuple(_checks(_criterion)),
            recorded=Verdict.SUPPORTED,
            explanation=MATCHED + (LATENTS if _criterion in HAVE_LATENTS else ""),
        )
    )

register(
    Claim(
        id="thm47-needs-growth",
        paper="B",
        item="Thm 4.7",
        reading="extended",
        title="Without d → ∞ masks do not converge",
        statement=r"With $d = 2$ sources the cut norm of $M - \rho$ tends to "
        r"$\max_k E(\mathrm{Bin}(k,\rho) - k\rho)_+/d > 0$.",
        hypotheses=("Magnitude masks, two sources",),
        checks=(
            LimitCheck(
                "distance",
                examples.few_sources,
                widths=(500, 1000, 2000, 4000),
                readings=(
                    Reading("the exact constant", "lower", examples.few_sources_limit),
                    Reading("convergence", "lower", 0.0, mutant=True),
                    Reading(
                        "5 % more",
                        "lower",
                        lambda: 1.05 * examples.few_sources_limit(),
                        mutant=True,
                    ),
                ),
                margin=lambda: 0.02 * examples.few_sources_limit(),
                gamma=(0.4, 1.0),
                replicates={"quick": (16, 128), "full": (64, 512)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
    )
)

for _side, _what in (("row", "row profiles"), ("column", "column laws")):
    register(
        Claim(
            id=f"thm47-needs-{_side}-convergence",
            paper="B",
            item="Thm 4.7",
            reading="extended",
            title=f"If {_what} alternate between two limits, masks have no limit",
            statement=r"Along one parity of the width, masks stay at half the $L^1$ distance of "
            r"the two limits from the other parity's limit.",
            hypotheses=(f"{_what} alternate with the parity of n, Gaussian weights",),
            checks=(
                LimitCheck(
                    "distance",
                    examples.alternating,
                    widths=(100, 200, 400, 800),
                    readings=(
                        Reading(
                            "half the L1 distance", "lower",
                            lambda side=_side: examples.alternating_limit(side),
                        ),
                        Reading("convergence", "lower", 0.0, mutant=True),
                        Reading(
                            "5 % more", "lower",
                            lambda side=_side: 1.05 * examples.alternating_limit(side), mutant=True,
                        ),
                    ),
                    margin=lambda side=_side: 0.02 * examples.alternating_limit(side),
                    settings={"side": _side},
                    gamma=(0.4, 1.0),
                    replicates={"quick": (11, 44), "full": (16, 128)},
                    allocation={"quick": (8, 2, 2, 1), "full": (1, 1, 1, 1)},
                ),
            ),
            recorded=Verdict.SUPPORTED,
        )
    )  # fmt: skip


def _shared_noise_rows() -> list[Certified]:
    """One drawn mask per width: the distance is the same for every draw, so one is enough."""
    rows = []
    for size in (50, 100, 200, 400):
        found = dict(examples.shared_noise(seed=size, n=size))
        rows.append(
            Certified(
                f"n = {size}", examples.shared_noise_limit(), float(found["lower"]),
                float(found["upper"]), margin=0.02 * examples.shared_noise_limit(),
                settings={"n": size, "seed": size},
            )
        )  # fmt: skip
    return rows


register(
    Claim(
        id="thm47-needs-independent-noise",
        paper="B",
        item="Thm 4.7",
        reading="extended",
        title="If the noise is shared by all edges of a source, masks do not converge to P",
        statement=r"With one draw of $\zeta$ per source, whole sources are kept: "
        r"$\|M - \rho\|_\square = \rho(1-\rho)$ at every width.",
        hypotheses=("noise shared along a source, constant factors",),
        checks=(
            CertifiedCheck(
                "distance",
                _shared_noise_rows,
                mutants={
                    "convergence": lambda row: 0.0,
                    "rho / 2": lambda row: DENSITY / 2,
                    "5 % more": lambda row: 1.05 * DENSITY * (1 - DENSITY),
                },
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="The mask itself converges, to a graphon with values 0 and 1, but not to P.",
    )
)

for _example, _slug, _what in (
    ("sign noise", "continuous-noise", "the noise has atoms and so has the score"),
    ("zero rows", "threshold", "more than 1 − ρ of the sources have a vanishing factor"),
):
    register(
        Claim(
            id=f"thm47-needs-{_slug}",
            paper="B",
            item="Thm 4.7",
            reading="extended",
            title=f"If {_what}, the limit depends on how ties are broken",
            statement=r"Two masks of the same tied scores, ties broken at random and in index "
            r"order, stay apart: $\|M - M'\|_\square \to s\,q(1-q)$ with $s$ the share of tied "
            r"sources and $q$ the share of tied edges that is kept.",
            hypotheses=(_what,),
            checks=(
                LimitCheck(
                    "distance",
                    examples.tied_scores,
                    widths=(50, 100, 200, 400),
                    readings=(
                        Reading(
                            "s q (1 - q)", "lower",
                            lambda example=_example: examples.tied_scores_limit(example),
                        ),
                        Reading("one limit", "lower", 0.0, mutant=True),
                        Reading(
                            "5 % more", "lower",
                            lambda example=_example: 1.05 * examples.tied_scores_limit(example),
                            mutant=True,
                        ),
                    ),
                    margin=lambda example=_example: 0.02 * examples.tied_scores_limit(example),
                    settings={"example": _example},
                    gamma=(0.5, 1.5),
                    replicates={"quick": (11, 44), "full": (16, 128)},
                    allocation={"quick": (8, 2, 2, 1), "full": (1, 1, 1, 1)},
                ),
            ),
            recorded=Verdict.SUPPORTED,
        )
    )  # fmt: skip

for _slug, _trial, _widths, _design, _title, _statement in (
    (
        "uniqueness",
        examples.gap_at_threshold,
        (20, 80, 320, 1280),
        {
            "replicates": {"quick": (80, 320), "full": (32, 512)},
            "allocation": {"quick": (10, 2, 2, 1), "full": (1, 1, 1, 1)},
        },
        "Uniqueness of the threshold is not needed",
        r"If the score has a gap at its $(1-\rho)$-quantile every $\tau$ in the gap solves the "
        r"density equation, yet all give the same $P$ almost everywhere, and masks converge to it.",
    ),
    (
        "boundedness",
        examples.unbounded_profile,
        (50, 100, 200, 400),
        {"replicates": {"quick": (7, 112), "full": (32, 512)}},
        "Boundedness of the row profile is not needed",
        r"With $r(u) = (1-u)^{-1/2}$, which has no bound, masks converge to $P$ all the same.",
    ),
):
    register(
        Claim(
            id=f"thm47-{_slug}-not-needed",
            paper="own",
            item="Theorem 4.7's hypotheses",
            reading="own",
            title=_title,
            statement=_statement,
            hypotheses=("the other hypotheses of Theorem 4.7",),
            checks=(
                RateCheck(
                    "upper end",
                    _trial,
                    widths=_widths,
                    metric="upper",
                    exponent=-0.5,
                    margin=0.12,
                    mutants=RATE_MUTANTS,
                    **_design,
                ),
            ),
            recorded=Verdict.SUPPORTED,
            explanation="P is a decreasing function of tau, so two thresholds with the same mean "
            "give the same P almost everywhere. One example each: no general theorem is claimed.",
        )
    )  # fmt: skip


def _expected_answers() -> list[tuple[str, hypotheses.Setting, str, hypotheses.Holds]]:
    """Settings whose answers are known beforehand: (name, setting, hypothesis, answer)."""
    snip, magnitude = criteria.snip(SymbolicProfile(1 + u)), criteria.magnitude()
    holds, fails, unknown = (
        hypotheses.Holds.HOLDS, hypotheses.Holds.FAILS, hypotheses.Holds.CANNOT_TELL
    )  # fmt: skip
    setting = hypotheses.Setting
    gap = criteria.snip(EmpiricalProfile([0.0] * 9 + [1.0]))
    two_rows = EmpiricalProfile([1.0, 2.0])
    atoms = criteria.snip(two_rows, ConstantProfile(1), hypotheses.SignLaw())
    return [
        ("growing", setting(snip, 0.2, width / 2, width), "growth", holds),
        ("two sources", setting(snip, 0.2, 2, width), "growth", fails),
        ("bounded profile", setting(snip, 0.2), "row bounded", holds),
        ("half-normal profile", setting(criteria.snip(), 0.2), "row bounded", fails),
        ("python profile", setting(criteria.snip(CallableProfile(lambda x: 1 + x)), 0.2),
         "row bounded", unknown),
        ("one data set", setting(criteria.snip(two_rows), 0.2), "row convergence", unknown),
        ("alternating rows", setting(snip, 0.2, row_sequence=(snip.row, magnitude.row)),
         "row convergence", fails),
        ("alternating columns", setting(snip, 0.2, column_sequence=(snip.column, magnitude.column)),
         "column law", fails),
        ("shared noise", setting(snip, 0.2, noise_unit="source"), "independent noise", fails),
        ("sign weights", setting(atoms, 0.2), "continuous noise", fails),
        ("atom at tau", setting(atoms, 0.2), "threshold", fails),
        ("zero rows", setting(gap, 0.2), "threshold", fails),
        ("regular", setting(snip, 0.2), "threshold", holds),
        ("drifting density",
         setting(snip, 0.2, density_sequence=sp.sin(width) / 10 + sp.Rational(1, 5)),
         "threshold", fails),
    ]  # fmt: skip


def _predicate_rows() -> list[Certified]:
    rows = []
    for name, setting, hypothesis, answer in _expected_answers():
        found = hypotheses.check(setting)[hypothesis]
        agree = 1.0 if found.verdict is answer else 0.0
        rows.append(
            Certified(
                f"{name}: {hypothesis} {answer}", 1.0, agree, agree,
                settings={"found": str(found.verdict), "reason": found.reason},
            )
        )  # fmt: skip
    return rows


register(
    Claim(
        id="thm47-hypotheses-checkable",
        paper="B",
        item="Remarks 4.6, 4.8, 4.9",
        reading="extended",
        title="The theorem's hypotheses can be asked of a concrete model",
        statement=r"Predicates answer *holds*, *fails* with a reason, or *cannot tell*, and give "
        r"the known answer on models built to satisfy or violate one hypothesis each.",
        hypotheses=("the hypotheses as reconstructed: the text of the remarks is not to hand",),
        checks=(
            CertifiedCheck(
                "answers",
                _predicate_rows,
                mutants={"every predicate says the opposite": lambda row: 0.0},
            ),
        ),
        recorded=Verdict.SUPPORTED,
    )
)
