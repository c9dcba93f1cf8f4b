"""How wide a pruned network must be to hold a dense core: the table, and what it is a table of."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import mpmath as mp
from flint import arb

from theory import criteria
from theory.core_width import chernoff_width, markov_width, width
from theory.dense_core import BinomialCount, UniformMaskCount
from theory.expressivity import core_probability_ball, factors_of, least_factor
from theory.expressivity_table import core_width
from verify.checks import Certified, CertifiedCheck, DerivationCheck, Reading, ValueCheck
from verify.claim import Claim, Verdict, register
from verify.trials import expressivity as trials
from verify.trials.expressivity import DELTA

ITEM = "width of a dense core"
NEURONS = 16
SHARE = 0.5
"""The k inputs are any of the best half, counted with the worst factor in it."""
DENSITIES = (0.1, 0.2, 0.5)
SIZES = (2, 4, 8)
FEW_SOURCES = 8
"""n / d of a layer with few inputs."""

MUTANTS = {
    "delta / 2": lambda row: 1 - DELTA / 2,
    "2 delta": lambda row: 1 - 2 * DELTA,
    "one half": lambda row: 0.5,
}


def _bounds(n: int, q: arb) -> tuple[float, float]:
    """Enclosure of Pr[at least NEURONS of n] for every q in the ball: the tail grows with q."""
    low = BinomialCount(n, q.lower()).at_least(NEURONS)
    high = BinomialCount(n, q.upper()).at_least(NEURONS)
    return float(low.lower()), float(high.upper())


def _pair(name: str, n: int, low: tuple[float, float], high: tuple[float, float],
          settings: dict[str, Any]) -> list[Certified]:  # fmt: skip
    """Two rows: the width keeps delta, one neuron fewer does not."""
    level = float(1 - DELTA)
    return [
        Certified(f"{name}: n* = {n}", level, *high, relation=">=", settings=settings),
        Certified(f"{name}: n* - 1", level, *low, relation="<=", settings=settings),
    ]


def _table_rows() -> list[Certified]:
    rows = []
    for name in ("magnitude", "snip", "grasp-signed", "synflow"):
        for density in DENSITIES:
            limit = criteria.criterion(name).limit(density)
            for k in SIZES:
                q = core_probability_ball(limit, factors=factors_of(limit, k, SHARE))
                n = core_width(limit, k, NEURONS, DELTA, share=SHARE)
                rows += _pair(
                    f"{name}, {density:g}, k = {k}", n, _bounds(n - 1, q), _bounds(n, q),
                    {"criterion": name, "density": density, "k": k},
                )  # fmt: skip
    return rows


def _uniform_rows() -> list[Certified]:
    """Random with an exact global count: the law is known, and the binomial width suffices."""
    rows = []
    for density in DENSITIES:
        n = width(Fraction(density).limit_denominator(1000) ** 2, NEURONS, DELTA)
        for d in (n // 8, n):
            found = UniformMaskCount(n, d, 2, math.floor(density * n * d + 0.5)).at_least(NEURONS)
            rows.append(
                Certified(
                    f"density {density:g}, {n} x {d}", float(1 - DELTA), float(found.lower()),
                    float(found.upper()), relation=">=", settings={"n": n, "d": d},
                )
            )  # fmt: skip
    return rows


register(
    Claim(
        id="core-width-table",
        paper="B",
        item="Lemma 5.6",
        reading="extended",
        title="The width that guarantees a dense core is exact to one neuron",
        statement=r"$n^*(k, m, \delta)$ is the least width with $\Pr[\mathrm{Bin}(n, q) \ge m] "
        r"\ge 1 - \delta$: at $n^*$ that probability is at least $1 - \delta$, at $n^* - 1$ it is "
        r"less. Under Random's exact count the same width suffices.",
        hypotheses=(
            "fixed threshold, random positions of neurons, Gaussian weights, half-normal factors",
            f"{NEURONS} neurons, delta {float(DELTA):g}, any k of the best half of the inputs",
        ),
        depends=("core-lemma", "core-lemma-exact-count"),
        checks=(
            CertifiedCheck(
                "both sides of the width",
                _table_rows,
                mutants=MUTANTS | {"certainty": lambda row: 1.0},
                note="q enclosed, tails in ball arithmetic",
            ),
            CertifiedCheck(
                "Random with an exact count",
                _uniform_rows,
                mutants={"delta / 2": MUTANTS["delta / 2"]},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Certified at the parameters named in the rows; the table of the book is "
        "computed by the same function. Where factors are those of data, so is the width.",
    )
)


def _tiny_rows() -> list[Certified]:
    """Bounds of log10 of the least width as weaker inputs are asked for, by Markov and Chernoff."""
    rows, limit = [], trials.snip_limit(0.2)
    for share, decades in ((0.5, 2.0), (0.9, 5.0), (0.99, 30.0), (0.999, 300.0)):
        q = core_probability_ball(limit, factors=factors_of(limit, 2, share))
        low = markov_width(q, NEURONS, DELTA)
        high = chernoff_width(q, NEURONS, DELTA)
        rows.append(
            Certified(
                f"best {share:g} of the inputs", decades, math.log10(low), math.log10(high),
                relation=">=", settings={"share": share},
            )
        )  # fmt: skip
    return rows


def _typical_decades(row: Certified) -> float:
    """Decades of 1/P^2 at the mean square column factor: what a typical neuron would ask for."""
    limit = trials.snip_limit(0.2)
    factor = least_factor(limit, row.settings["share"])
    return float(-2 * mp.log10(mp.erfc(limit.tau / (factor * mp.sqrt(2)))))


register(
    Claim(
        id="core-width-tiny",
        paper="own",
        item=ITEM,
        reading="own",
        title="Where P > 0 is tiny the theorem asks for a width nobody has",
        statement=r"At density one fifth SNIP's limit is positive everywhere. The least width for "
        r"two inputs of the best 50, 90, 99 and 99.9 % exceeds $10^2$, $10^5$, $10^{30}$ and "
        r"$10^{300}$.",
        hypotheses=("half-normal factors, fixed threshold, Gaussian weights",),
        depends=("core-soft-exponents", "core-width-table"),
        checks=(
            CertifiedCheck(
                "decades of the width",
                _tiny_rows,
                mutants={"typical neurons decide": _typical_decades},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Universality on all active inputs is then a statement about no network that "
        "can be built; the honest active set is the share of inputs whose width one can afford.",
    )
)


register(
    Claim(
        id="core-width-few-sources",
        paper="own",
        item=ITEM,
        reading="own",
        title="The binomial width keeps δ under an exact count as well",
        statement=r"In SNIP masks with exactly $K$ edges, random latents and $n/d = "
        f"{FEW_SOURCES}$, fewer than {NEURONS} neurons see two median inputs with probability "
        r"at most $\delta$ at the table's width.",
        hypotheses=("factorised model, half-normal factors, density one fifth",),
        depends=("core-width-table", "core-count-dispersion"),
        checks=(
            ValueCheck(
                "share of failures",
                trials.core_failures,
                settings={"m": NEURONS, "aspect": FEW_SOURCES, "density": 0.2},
                readings=(
                    Reading("at most delta", "failed", float(DELTA), relation="<="),
                    Reading("none", "failed", 0.0, mutant=True, margin=float(DELTA) / 3),
                    Reading("one half", "failed", 0.5, relation=">=", mutant=True),
                ),
                replicates={"quick": (16, 64), "full": (48, 384)},
            ),
        ),
        recorded=Verdict.REFUTED,
        explanation="With few sources the threshold is itself random, and the count spreads more "
        "than a binomial. The claim that follows covers this case, at a price.",
    )
)

register(
    Claim(
        id="core-width-exact-count",
        paper="own",
        item=ITEM,
        reading="corrected",
        title="A width that suffices under an exact count",
        statement=r"With $\Pr[N < m] \le \Pr[\mathrm{Bin}(n, q(\rho - s)) < m] + e^{-2s^2/w}$, "
        r"$w = \frac1n + \frac1d + \frac1{dn}$, the width at which the right-hand side is at most "
        r"$\delta$ suffices for masks with exactly $K$ edges.",
        hypotheses=("independent latents and noise, given inputs counted as if all were kept",),
        depends=("core-width-few-sources",),
        checks=(DerivationCheck("expressivity.bounded_differences"),),
        recorded=Verdict.UNDECIDED,
        explanation="Conditional on McDiarmid's inequality, which is cited, so the verdict stays "
        "open on principle. With Chebyshev's inequality in its place "
        "the bound is proved (`core-lemma-exact-count`), and much wider. It need not be the least.",
    )
)
