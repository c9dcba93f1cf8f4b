"""[B] Lemma 5.6: dense cores in masks, and how many neurons they have.

The text of [B] Section 5 is not to hand: statements are reconstructed from its outline.
"""

from __future__ import annotations

from theory.core_dependence import dispersion
from verify.checks import DerivationCheck, LimitCheck, Reading
from verify.claim import Claim, Verdict, register
from verify.claims.near_misses import SHARE
from verify.trials import expressivity as trials

DENSITY = 0.2
GAMMA = (0.75, 1.25)
"""Of means: sizes n and d in proportion change them by multiples of 1/n."""
RECONSTRUCTED = "[B]'s text is not to hand: the statement is reconstructed"
SPREAD_WIDTHS = {
    "grid": {"quick": (30, 60, 120, 240), "full": (60, 120, 240, 480, 960)},
    "random": {"quick": (60, 120, 240, 480), "full": (120, 240, 480, 960)},
}
ASPECTS = {"grid": 1, "random": 4}
SPREAD_REPLICATES = {"quick": (33, 132), "full": (32, 512)}

register(
    Claim(
        id="core-lemma",
        paper="B",
        item="Lemma 5.6",
        reading="as printed",
        title="A mask drawn from a graphon bounded below holds a dense core",
        statement=r"If $P \ge p$ on $A \times B$ and $k$ inputs lie in $A$, a neuron sees all of "
        r"them with probability $q \ge |B|p^k$, and $nq \to \infty$ is necessary and sufficient "
        r"for any fixed number $m$ of such neurons with probability tending to one. "
        r"$n \ge (a + \ell + \sqrt{\ell^2 + 2a\ell})/q$ with $a = m - 1$, $\ell = -\log\delta$ "
        r"suffices for probability $1 - \delta$.",
        hypotheses=(
            RECONSTRUCTED,
            "edges independent given the positions: a threshold fixed beforehand",
            "positions of neurons random and independent",
        ),
        checks=(
            DerivationCheck("expressivity.core_probability"),
            DerivationCheck("expressivity.binomial"),
            DerivationCheck("expressivity.dense_core"),
            DerivationCheck("expressivity.chernoff"),
        ),
        recorded=Verdict.PROVED,
        explanation="$k$ may grow with $n$. That there is a core says nothing about whether it is "
        "the best subnetwork, nor how to find weights for it.",
    )
)

register(
    Claim(
        id="core-lemma-exact-count",
        paper="B",
        item="Lemma 5.6",
        reading="corrected",
        title="The lemma survives an exact global count, which makes neurons dependent",
        statement=r"With exactly $K$ edges kept: for Random and Magnitude neurons are negatively "
        r"dependent and $\operatorname{Var} N \le E N$; for every saliency model with random "
        r"latents $\Pr[N < m] \le \Pr[\mathrm{Bin}(n, q(\rho - s)) < m] + "
        r"\frac{d + n - 1}{4dns^2}$.",
        hypotheses=(r"$d, n \to \infty$ together", "$q$ continuous in the density"),
        depends=("core-lemma",),
        checks=(
            DerivationCheck("expressivity.uniform_masks"),
            DerivationCheck("expressivity.uniform_variance"),
            DerivationCheck("expressivity.global_threshold"),
        ),
        recorded=Verdict.PROVED,
        explanation="Pruning keeps a number of edges, so its threshold is a quantile of all "
        "scores and ties all neurons together. The lemma's conclusion needs no independence.",
    )
)


def predicted_spread(sources: str) -> float:
    """The limit of Var N / (n q (1 - q)) for SNIP masks with an exact count."""
    return dispersion(
        trials.snip_limit(DENSITY), factors=[trials.FACTOR] * trials.INPUTS,
        aspect=ASPECTS[sources], sources=sources,
    )  # fmt: skip


def _spread_check(sources: str, *readings: Reading, margin: object) -> LimitCheck:
    return LimitCheck(
        f"sources {sources}, n/d = {ASPECTS[sources]}",
        trials.spread_of_counts,
        widths=SPREAD_WIDTHS[sources],
        readings=readings,
        margin=margin,
        settings={"sources": sources, "aspect": ASPECTS[sources], "density": DENSITY},
        gamma=GAMMA,
        replicates=SPREAD_REPLICATES,
    )


register(
    Claim(
        id="core-count-binomial",
        paper="B",
        item="Lemma 5.6",
        reading="as printed",
        title="Neurons are connected independently, also under a global count",
        statement=r"In SNIP masks that keep exactly $K$ edges the number of fully connected "
        r"neurons has the binomial variance $nq(1-q)$.",
        hypotheses=(
            RECONSTRUCTED,
            "factorised model, half-normal factors",
            f"{trials.INPUTS} inputs of row factor {trials.FACTOR}",
        ),
        depends=("core-lemma",),
        checks=(
            _spread_check(
                "grid",
                Reading("binomial", "spread", 1.0),
                Reading("Poisson", "spread", lambda: 1 / (1 - trials.chance(DENSITY)), mutant=True),
                margin=0.1,
            ),
        ),
        recorded=Verdict.REFUTED,
        explanation="The threshold follows the drawn positions: where strong neurons are many, it "
        "rises. What is refuted is the law of the count, not the lemma.",
    )
)

register(
    Claim(
        id="core-count-dispersion",
        paper="B",
        item="Lemma 5.6",
        reading="corrected",
        title="The variance of the number of core neurons under a global count",
        statement=r"$\operatorname{Var} N/n \to q(1-q) - 2q'\operatorname{Cov}(Q, C) + "
        r"q'^2(\operatorname{Var} C + \tfrac nd \operatorname{Var} D)$ with $C$, $D$ the degrees "
        r"of targets and sources, $Q$ the probability given the target and $q'$ the derivative "
        r"in the density; $\operatorname{Var} D$ enters where sources are random. $EN/(nq) \to 1$.",
        hypotheses=(
            "SNIP masks of the factorised model, half-normal factors",
            f"{trials.INPUTS} inputs of row factor {trials.FACTOR}; other inputs on the "
            "profile's quantiles, or random",
        ),
        depends=("core-count-binomial", "core-lemma-exact-count"),
        checks=tuple(
            _spread_check(
                sources,
                Reading(
                    "linearised threshold", "spread",
                    lambda sources=sources: predicted_spread(sources),
                ),
                Reading("binomial", "spread", 1.0, mutant=True),
                Reading(
                    "the other kind of sources", "spread",
                    lambda other=other: predicted_spread(other), mutant=True,
                ),
                Reading("the core probability q", "mean", 1.0, margin=0.1),
                Reading(
                    "independent edges of mean degrees", "mean",
                    lambda: trials.chance(DENSITY, inputs=1) ** trials.INPUTS
                    / trials.chance(DENSITY),
                    mutant=True, margin=0.1,
                ),
                margin=lambda sources=sources: SHARE * abs(predicted_spread(sources) - 1),
            )
            for sources, other in (("grid", "random"), ("random", "grid"))
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Derived by linearising the empirical threshold, which is not a proof. "
        "Less spread than a binomial law where only targets are random, more where few random "
        "sources decide the threshold.",
    )
)  # fmt: skip

register(
    Claim(
        id="core-real-networks",
        paper="B",
        item="Lemma 5.6",
        reading="extended",
        title="Cores of real networks that SNIP pruned",
        statement=r"For tanh networks pruned by SNIP on data, the number of neurons that see two "
        r"or three of the better half of the inputs is $\sum_j \prod_i P_{ij}$, at the network's "
        r"own factors $|E[e x_i]|$ and $|a_j|$.",
        hypotheses=(
            r"one hidden tanh layer, linear teacher, squared loss, $d = n/8$, $N = 2d^2$",
            "global count, density as in the other claims",
        ),
        depends=("core-lemma-exact-count", "fsm-snip-odd"),
        checks=tuple(
            LimitCheck(
                f"{k} inputs",
                trials.network_core,
                widths={"quick": (80, 160, 320, 640), "full": (160, 320, 640, 1280)},
                readings=(
                    Reading("own factors", f"own_{k}", 1.0),
                    Reading("30 % more", f"own_{k}", 1.3, mutant=True),
                    Reading("30 % fewer", f"own_{k}", 0.7, mutant=True),
                    Reading("independent edges", f"edges_{k}", 1.0, mutant=True),
                    Reading("constant graphon", f"constant_{k}", 1.0, mutant=True),
                ),
                margin=SHARE * 0.3,
                settings={"density": DENSITY},
                gamma=GAMMA,
                replicates={"quick": (10, 40), "full": (16, 128)},
                allocation={"quick": (8, 2, 2, 1), "full": (4, 2, 1, 1)},
            )
            for k in (2, 3)
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Inputs that share strong neurons are seen together far more often than their "
        "degrees say. The count is predicted before pruning, from the weights alone.",
    )
)
