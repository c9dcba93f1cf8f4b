"""[B] Lemma 5.6: how many inputs neurons can see, on both sides of the boundary.

For one edge probability the number is of order log n; where P > 0 everywhere but small, as for
SNIP, it is of order (log n)^(3/2), and weak inputs ask for widths that nobody has. The text of
[B] Section 5 is not to hand: statements are reconstructed from its outline.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

from flint import arb

from theory.balls import precision
from theory.dense_core import BinomialCount
from theory.expressivity import core_probability_ball
from theory.expressivity_table import boundary_inputs
from verify.checks import (
    Certified,
    CertifiedCheck,
    DerivationCheck,
    LimitCheck,
    RateCheck,
    Reading,
)
from verify.claim import Claim, Verdict, register
from verify.claims.expressivity import DENSITY, GAMMA, RECONSTRUCTED
from verify.claims.near_misses import SHARE
from verify.trials import expressivity as trials

register(
    Claim(
        id="core-boundary",
        paper="B",
        item="Lemma 5.6",
        reading="extended",
        title="The boundary α_n p^k → ∞, with a sequence on each side",
        statement=r"For the constant graphon $p$ and $k_n = (1 \mp \varepsilon)\log n/\log(1/p)$, "
        r"$np^{k_n} = n^{\pm\varepsilon}$ and $\Pr[N \ge m] \to 1$ or $0$; on the boundary itself "
        r"$N$ becomes Poisson with mean one.",
        hypotheses=(RECONSTRUCTED,),
        depends=("core-lemma",),
        checks=(DerivationCheck("expressivity.boundary"),),
        recorded=Verdict.PROVED,
    )
)


def _sequence_rows() -> list[Certified]:
    """Exact probabilities of at least one neuron along the three sequences."""
    rows = []
    limits = {"inside": 1.0, "on": 1 - math.exp(-1), "outside": 0.0}
    for side, epsilon in trials.SIDES.items():
        for n in (4**7, 4**8, 4**9, 4**10):
            k = boundary_inputs(n, trials.EDGE, epsilon)
            found = BinomialCount(n, Fraction(1, 2) ** k).at_least(1)
            rows.append(
                Certified(
                    f"{side}, n = {n}, k = {k}", limits[side], float(found.lower()),
                    float(found.upper()), margin=0.01, settings={"n": n, "k": k},
                )
            )  # fmt: skip
    return rows


register(
    Claim(
        id="core-boundary-masks",
        paper="B",
        item="Lemma 5.6",
        reading="extended",
        title="Both sides of the boundary, and the boundary, on drawn masks",
        statement=r"For $k_n = (1 - \varepsilon)\log_2 n$ inputs at density one half the number "
        r"of neurons that see them grows like $n^{\varepsilon}$, $\varepsilon = \pm\frac12$; for "
        r"$\varepsilon = 0$ the share of sets with a core tends to $1 - e^{-1}$. Exact "
        r"probabilities are within 0.01 of their limits from $n = 4^7$ on.",
        hypotheses=("random masks with a global count",),
        depends=("core-boundary",),
        checks=(
            CertifiedCheck(
                "exact probabilities",
                _sequence_rows,
                mutants={
                    "sides exchanged": lambda row: 1 - row.predicted,
                    "one half on every side": lambda row: 0.5,
                },
            ),
            *(
                RateCheck(
                    f"{side} the boundary",
                    trials.boundary_masks,
                    widths={"quick": (16, 64, 256, 1024), "full": (16, 64, 256, 1024, 4096)},
                    metric="count",
                    exponent=trials.SIDES[side],
                    margin=0.2,
                    mutants={
                        "the other side": -trials.SIDES[side],
                        "a bounded number": 0.0,
                        "twice as fast": 2 * trials.SIDES[side],
                    },
                    settings={"side": side},
                    replicates={"quick": (13, 104), "full": (32, 256)},
                )
                for side in ("inside", "outside")
            ),
            LimitCheck(
                "on the boundary",
                trials.boundary_masks,
                widths={"quick": (16, 64, 256, 1024), "full": (16, 64, 256, 1024, 4096)},
                readings=(
                    Reading("Poisson of mean one", "core", 1 - math.exp(-1)),
                    Reading("one half", "core", 0.5, mutant=True),
                    Reading("certain", "core", 1.0, mutant=True),
                    Reading("none", "core", 0.0, mutant=True),
                ),
                margin=SHARE * (0.5 - math.exp(-1)),
                settings={"side": "on"},
                gamma=GAMMA,
                replicates={"quick": (13, 104), "full": (32, 256)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
    )
)

register(
    Claim(
        id="core-soft-boundary",
        paper="own",
        item="dense cores of soft criteria",
        reading="own",
        title="SNIP's boundary is (log n)^(3/2), not log n",
        statement=r"For the score $|w|rc$ with a half-normal column factor, $-\log q_k \sim "
        r"\frac32(\beta k)^{2/3}$ with $\beta = \sqrt{2/\pi}\,\tau/r$, so $nq \to \infty$ up to "
        r"$k_n = \frac1\beta(\frac23\log n)^{3/2}$ inputs.",
        hypotheses=("Gaussian weights, $k$ inputs of one row factor, fixed threshold",),
        depends=("core-boundary",),
        checks=(DerivationCheck("expressivity.soft_floor"),),
        recorded=Verdict.PROVED,
        explanation="There is no positive floor on the whole square, and the best rectangle moves "
        "with $k$: a few neurons with large $|a|$ keep nearly everything.",
    )
)


def _log_chance(factor: float, k: int) -> arb:
    with precision(128):
        ball = core_probability_ball(trials.snip_limit(DENSITY), factors=[factor] * k)
        return -ball.log()


def _doubling(
    name: str, first: arb, second: arb, predicted: float, settings: dict[str, int]
) -> Certified:
    with precision(128):
        found = (second / first).log() / arb(2).log()
        low, high = float(found.lower()), float(found.upper())
    return Certified(name, predicted, low, high, margin=0.03, settings=settings)


def _exponent_rows() -> list[Certified]:
    """Local exponents of -log q in the number of inputs, doubled from one row to the next."""
    sizes = [2**j for j in range(6, 12)]
    logs = [_log_chance(1.0, k) for k in sizes]
    return [
        _doubling(f"k = {k} to {2 * k}", a, b, 2 / 3, {"k": k})
        for k, (a, b) in zip(sizes[:-1], itertools.pairwise(logs), strict=True)
    ]


def _weak_rows() -> list[Certified]:
    """Local exponents of -log q in a row factor that is halved: -log q ~ sqrt(k) tau / r."""
    rows = []
    for k in (1, 2, 4):
        logs = [_log_chance(2.0**-j, k) for j in (8, 9, 10)]
        for j, (a, b) in zip((8, 9), itertools.pairwise(logs), strict=True):
            rows.append(_doubling(f"k = {k}, r = 2^-{j} halved", a, b, 1.0, {"k": k, "j": j}))
    return rows


register(
    Claim(
        id="core-soft-exponents",
        paper="own",
        item="dense cores of soft criteria",
        reading="own",
        title="P > 0 everywhere but small: what the core probability does",
        statement=r"In SNIP's limit, enclosed: $-\log q$ grows like $k^{2/3}$ in the number of "
        r"inputs of one factor, and like $1/r$ as their factor $r$ falls to zero.",
        hypotheses=("density one fifth, half-normal factors, Gaussian weights",),
        depends=("core-soft-boundary",),
        checks=(
            CertifiedCheck(
                "number of inputs",
                _exponent_rows,
                mutants={
                    "a fixed floor p^k": lambda row: 1.0,
                    "exponent 1/2": lambda row: 0.5,
                    "exponent 3/4": lambda row: 0.75,
                },
            ),
            CertifiedCheck(
                "weak inputs",
                _weak_rows,
                mutants={
                    "a typical neuron's tail, 1/r^2": lambda row: 2.0,
                    "a power of r": lambda row: 0.0,
                    "exponent 9/10": lambda row: 0.9,
                },
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="No input is inactive, so the lemma applies to all of them; the width that it "
        "asks for is exponential in $1/r$. Exponents are local, between neighbouring values.",
    )
)
