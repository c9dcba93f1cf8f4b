"""[B] Theorems 5.1 and 5.7 by construction: what goes through a dense core, and what cannot.

The text of [B] Section 5 is not to hand: statements are reconstructed from its outline.
"""

from __future__ import annotations

from typing import Any

from sympy import latex

from theory.expressivity import core_probability
from verify.checks import DerivationCheck, LimitCheck, RateCheck, Reading, ValueCheck
from verify.claim import Claim, Verdict, register
from verify.claims.expressivity import RECONSTRUCTED
from verify.claims.near_misses import SHARE
from verify.trial import Trial
from verify.trials import expressivity as trials

GAMMA = (1.0, 2.0)
"""Of errors of least squares: at least the 1/m of Monte Carlo weights, often twice its power."""
FLOOR_GAMMA = (0.75, 1.25)
REPLICATES = {"quick": (12, 96), "full": (16, 192)}
AVERAGED = {"quick": (32, 128), "full": (32, 256)}
"""For mean errors of Monte Carlo weights, whose checks share their networks."""
CORE_WIDTHS = {"quick": (60, 120, 240, 480), "full": (120, 240, 480, 960, 1920)}
DENSE_WIDTHS = {"quick": (20, 40, 80, 160), "full": (40, 80, 160, 320, 640)}
LEFT = 0.1
"""The near miss: that share of a function's variance is never explained."""


def _product_check(name: str, trial: Trial, widths: Any, settings: dict[str, Any]) -> LimitCheck:
    """The error for |x y| falls to zero; features of one of the inputs leave most of it."""
    return LimitCheck(
        name,
        trial,
        widths=widths,
        readings=(
            Reading("error", "error", 0.0),
            Reading("a part is never explained", "error", LEFT, mutant=True),
            Reading("one of the two inputs is enough", "one_input", 0.0, mutant=True),
        ),
        margin=SHARE * LEFT,
        settings=settings,
        gamma=GAMMA,
        replicates=REPLICATES,
        nonnegative=True,
    )


def _average_checks(criterion: str, density: float, widths: Any) -> tuple[Any, ...]:
    settings = {"criterion": criterion, "density": density}
    return (
        RateCheck(
            "rate of Monte Carlo weights",
            trials.kernel_target,
            widths=widths,
            metric="average",
            exponent=-1.0,
            margin=0.2,
            mutants={"n^-1/2": -0.5, "n^-3/2": -1.5, "n^-2": -2.0},
            settings=settings,
            replicates=AVERAGED,
        ),
        LimitCheck(
            "error times neurons, over C",
            trials.kernel_target,
            widths=widths,
            readings=(
                Reading("Monte Carlo weights", "average_per_core", 1.0),
                Reading("half of C", "average_per_core", 0.5, mutant=True),
                Reading("twice C", "average_per_core", 2.0, mutant=True),
                Reading("least squares, no worse", "fitted_per_core", 1.0, relation="<="),
            ),
            margin=0.22,
            settings=settings,
            gamma=FLOOR_GAMMA,
            replicates=AVERAGED,
        ),
    )


register(
    Claim(
        id="universality-dense",
        paper="B",
        item="Thm 5.1",
        reading="as printed",
        title="Dense networks approximate: random features and least squares",
        statement=r"For $f = E[a(\omega)\sigma(\omega, \cdot)]$ the error of $m$ random features "
        r"with weights $a(\omega_j)/m$ is $C/m$, that of least squares no larger; and the error "
        r"of ReLU features for $|xy|$ falls to zero.",
        hypotheses=(
            RECONSTRUCTED,
            "standard normal inputs, biases, least squares on the outer weights",
        ),
        checks=(
            DerivationCheck("expressivity.random_features"),
            *_average_checks("random", 1.0, DENSE_WIDTHS),
            _product_check(
                "ReLU features for |xy|", trials.absolute_product, DENSE_WIDTHS,
                {"criterion": "random", "density": 1.0},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Universality itself is classical and cited (Leshno, Lin, Pinkus, Schocken "
        "1993), not proved: two functions are shown, one smooth and one with a kink.",
    )
)  # fmt: skip

register(
    Claim(
        id="universality-active",
        paper="B",
        item="Thm 5.7",
        reading="as printed",
        title="Sparse networks are universal on their active coordinates",
        statement=r"If $q = \int \prod_{i \in K} P(u_i, v)\,dv > 0$, then for every continuous "
        r"$g$ on a compact set of $\mathbb R^K$ the least uniform error of the masked networks "
        r"tends to zero in probability.",
        hypotheses=(
            RECONSTRUCTED,
            "biases, which no mask prunes; an activation that is no polynomial",
            "$K$ fixed as $n \\to \\infty$",
        ),
        depends=("core-lemma", "core-lemma-exact-count", "universality-dense"),
        checks=(DerivationCheck("expressivity.universality"),),
        recorded=Verdict.UNDECIDED,
        explanation="Every step is checked but one, which is cited: that dense networks with one "
        "hidden layer are universal. The verdict stays open on principle. The construction is "
        "tried in the claim that follows.",
    )
)


def _inverse_chance() -> float:
    """Neurons per core neuron: 1/q for the target's inputs, whose positions are on the grid."""
    positions = [(i + 0.5) / trials.SOURCES for i in trials.KERNEL_TARGET.coordinates]
    return 1 / core_probability(trials.snip_limit(0.2), positions=positions)


register(
    Claim(
        id="universality-through-core",
        paper="B",
        item="Thm 5.7",
        reading="extended",
        title="Approximation through the core, with its rate",
        statement=r"A sparse network computes every dense network on its core. Through the core "
        r"of masks the error of Monte Carlo weights is $C/m$ with $m \approx nq$ neurons, so it "
        r"falls like $1/n$, and least squares is no worse; $|xy|$ is reached through cores of "
        r"drawn masks and of real SNIP-pruned networks.",
        hypotheses=(
            "weights outside the core set to zero, biases kept",
            "inputs of the two largest row factors; standard normal inputs",
        ),
        depends=("universality-active",),
        checks=(
            DerivationCheck("expressivity.reduction"),
            *_average_checks("snip", 0.2, CORE_WIDTHS),
            LimitCheck(
                "the width does not count",
                trials.kernel_target,
                widths=CORE_WIDTHS,
                readings=(
                    Reading("1/q neurons for one", "average_per_width", _inverse_chance),
                    Reading("width for core size", "average_per_width", 1.0, mutant=True),
                ),
                margin=lambda: 0.22 * _inverse_chance(),
                settings={"criterion": "snip", "density": 0.2},
                gamma=FLOOR_GAMMA,
                replicates=AVERAGED,
            ),
            _product_check(
                "|xy| through drawn masks", trials.absolute_product, CORE_WIDTHS,
                {"criterion": "snip", "density": 0.2},
            ),
            _product_check(
                "|xy| through networks pruned by SNIP", trials.network_product, CORE_WIDTHS,
                {"density": 0.2},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="A core is a convenience of the proof: trained sparse networks use their "
        "other edges too. What is shown is an upper bound of the error.",
    )
)  # fmt: skip

# ------------------------------------------------------------------------------ the other side

FLOOR_WIDTHS = {"quick": (15, 30, 60, 120), "full": (30, 60, 120, 240)}


def _nothing(floor: Any) -> float:
    """The error of the zero function in units of the floor."""
    return 1 / floor.relative


register(
    Claim(
        id="inactive-input-floor",
        paper="B",
        item="Thm 5.7",
        reading="extended",
        title="A function of an inactive input has an error floor",
        statement=r"For $y = x_1(1 + x_2) + x_2^2/2$ with $P(u_2, \cdot) = 0$ the error cannot "
        r"pass $E\operatorname{Var}(y | x_1) = "
        f"{latex(trials.blind_floor().value)}$, "
        r"and wide sparse networks reach it. With "
        r"the edges of $x_2$ restored, they pass below.",
        hypotheses=(
            r"SNIP's model with uniform weights, $r(u) = u$ and $c = 1$: inputs with "
            r"$r \le \tau/\sqrt3$ are inactive",
            "erf features of all neurons, standard normal inputs",
        ),
        depends=("universality-active",),
        checks=(
            DerivationCheck("expressivity.inactive_floor"),
            LimitCheck(
                "error over the floor",
                trials.inactive_input,
                widths=FLOOR_WIDTHS,
                readings=(
                    Reading("the floor", "error", 1.0),
                    Reading("no floor", "error", 0.0, mutant=True),
                    Reading("half of the floor", "error", 0.5, mutant=True),
                    Reading(
                        "nothing is learnt", "error", lambda: _nothing(trials.blind_floor()),
                        mutant=True,
                    ),
                ),
                margin=0.2,
                gamma=FLOOR_GAMMA,
                replicates=REPLICATES,
            ),
            ValueCheck(
                "with the edges restored",
                trials.inactive_input,
                settings={"quick": {"n": 120, "kept": True}, "full": {"n": 240, "kept": True}},
                readings=(
                    Reading("below the floor", "error", 1.0, relation="<="),
                    Reading("the floor holds all the same", "error", 1.0, relation=">=",
                            mutant=True),
                ),
                replicates={"quick": (8, 32), "full": (16, 96)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="The floor is computed from the function alone and holds for every network "
        "that does not see the input, trained or not.",
    )
)  # fmt: skip


def _parity_check(name: str, bias: float, *readings: Reading, margin: float) -> LimitCheck:
    # With biases the error falls faster than any power: no power fits it where it is still large.
    full = (50, 100, 200, 400, 800) if bias == 0 else (200, 300, 450, 675)
    return LimitCheck(
        name,
        trials.without_bias,
        widths={"quick": (25, 50, 100, 200), "full": full},
        readings=readings,
        margin=margin,
        settings={"bias": bias},
        gamma=FLOOR_GAMMA if bias == 0 else GAMMA,
        replicates=REPLICATES,
        nonnegative=True,
    )


register(
    Claim(
        id="universality-without-bias",
        paper="B",
        item="Thm 5.7",
        reading="extended",
        title="Universality without biases",
        statement=r"The same for one hidden layer without biases, as in the networks that this "
        r"project scores: for $x + y + x^2$ the error of erf features falls to zero.",
        hypotheses=("erf activation, no bias, both inputs active",),
        depends=("universality-through-core",),
        checks=(
            _parity_check(
                "error over the floor of odd functions",
                0.0,
                Reading("universality", "error", 0.0),
                Reading("half of the floor", "error", 0.5, mutant=True),
                margin=0.2,
            ),
        ),
        recorded=Verdict.REFUTED,
        explanation="Odd activations without bias reach odd functions only, at any width and "
        "density. Whether [B]'s networks have biases is not known here; the theorem needs them, "
        "or a constant input.",
    )
)

register(
    Claim(
        id="no-bias-floor",
        paper="B",
        item="Thm 5.7",
        reading="corrected",
        title="Without bias the even part stays, with bias it does not",
        statement=r"For odd $\sigma$ without bias the error of every such network is at least "
        rf"$E y_{{\mathrm{{even}}}}^2 = {latex(trials.even_floor().value)}$ for $x + y + x^2$, and "
        r"features reach it; with biases the error of the same features falls to zero.",
        hypotheses=("input law symmetric under $x \\to -x$",),
        depends=("universality-without-bias",),
        checks=(
            DerivationCheck("expressivity.no_bias"),
            _parity_check(
                "without bias",
                0.0,
                Reading("the floor of odd functions", "error", 1.0),
                Reading("universality", "error", 0.0, mutant=True),
                Reading("half of the floor", "error", 0.5, mutant=True),
                Reading(
                    "nothing is learnt", "error", lambda: _nothing(trials.even_floor()), mutant=True
                ),
                margin=0.2,
            ),
            _parity_check(
                "with bias",
                1.0,
                Reading("universality", "error", 0.0),
                Reading("a fifth of the floor", "error", 0.2, mutant=True),
                margin=SHARE * 0.2,
            ),
        ),
        recorded=Verdict.SUPPORTED,
    )
)
