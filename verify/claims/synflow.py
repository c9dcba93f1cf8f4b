"""SynFlow in rounds: the critical density, linear response above it, deaths at and below it."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from theory import laws
from theory.synflow import critical_density
from verify.checks import Certified, CertifiedCheck, DerivationCheck, LimitCheck, RateCheck, Reading
from verify.claim import Claim, Verdict, register
from verify.trials.synflow import layer_flows, response, slow_path, spread_ratios

ITEM = "SynFlow in rounds and in depth"
SLOW = 10.0
"""Rounds per factor e in the density, over the square root of the width."""
SMALL = {"quick": (48, 96, 192, 384), "full": (128, 256, 512, 1024, 2048)}
WIDE = {"quick": (96, 192, 384, 768), "full": (128, 256, 512, 1024, 2048)}
DEEP = {"quick": (40, 80, 160, 320), "full": (96, 192, 384, 768)}
NARROW_FIRST = {"quick": (5, 1, 1, 1), "full": (8, 4, 2, 1, 1)}
"""Replicates of narrow networks cost little, and the limit hangs on their noise."""
DEATHS: dict[str, Any] = {
    "replicates": {"quick": (8, 64), "full": (12, 48)},
    "allocation": {"quick": (5, 1, 1, 1), "full": (5, 2, 1, 1)},
}
"""Of the claims about three hidden layers, so that they share their networks."""
SLOWLY = (
    "Deaths are found in networks whose inputs, hidden layers and outputs have n units each, cut "
    "with a number of rounds that grows like the square root of n: fewer rounds overtake the "
    "feedback, which needs about n^(1/4) rounds next to the transition."
)


def _critical(law: str) -> float:
    return float(critical_density(laws.law(law)).evalf())


register(
    Claim(
        id="synflow-critical-density",
        paper="own",
        item=ITEM,
        reading="own",
        title="The gain of SynFlow's feedback is one at an exact density, for five weight laws",
        statement=r"The feedback of a neuron on itself has gain "
        r"$G(s) = s^2 f(s) / E[|w|; |w| \geq s]$; it is one at a single cut, one standard "
        r"deviation for Gaussian, uniform and Student weights. The density there is "
        r"$2\bar\Phi(1)$ for Gaussian, $1 - 1/\sqrt 3$ for uniform and $e^{-(1+\sqrt 5)/2}$ for "
        r"Laplace weights. Any law with a continuous density of $|w|$ on $[0, a)$ and a finite "
        r"variance has at least one such cut; it may have several.",
        hypotheses=("infinite width, equal widths", "cuts that rise slowly"),
        checks=tuple(
            DerivationCheck(f"synflow.critical.{name}") for name in (*laws.LAWS, "exists")
        ),
        recorded=Verdict.PROVED,
        explanation="That a gain of one is where the constant graphon stops being stable is what "
        "the linear response of one neuron says, in the claim below. A density that jumps upwards "
        "may pass one without meeting it.",
    )
)

register(
    Claim(
        id="synflow-neuron",
        paper="own",
        item=ITEM,
        reading="own",
        title="A neuron under SynFlow: its linear response, and where its fixed point ends",
        statement=r"Log path sums have the deviation $\sqrt{a + G^2 b}/(1 - GH)$, with $G$, $H$ "
        r"the gains of the matrices into and out of the neuron and $a$, $b$ the variances of what "
        r"chance adds to its two sums, of order $1/n$. Next to the critical cut a neuron with "
        r"noises $\xi, \eta$ has a fixed point while the common log cut is at most $(\xi+\eta)/2$ "
        r"above it, and loses all its edges beyond. With Gaussian noises this fixes the density "
        r"among the living as a function of the share of the dead.",
        hypotheses=("first and second order in the deviations of one neuron",),
        depends=("synflow-critical-density",),
        checks=(
            DerivationCheck("synflow.response"),
            DerivationCheck("synflow.turning"),
            DerivationCheck("synflow.excess"),
        ),
        recorded=Verdict.PROVED,
    )
)


def _flows() -> list[Certified]:
    """Exact integers, so their ratio to the first layer's is a number without an error."""
    flows = layer_flows(seed=1)
    return [
        Certified(f"layer {index}", 1.0, flow / flows[0], flow / flows[0], margin=1e-3)
        for index, flow in enumerate(flows[1:], 2)
    ]


register(
    Claim(
        id="synflow-flow",
        paper="own",
        item=ITEM,
        reading="own",
        title="Every layer of a pruned network carries the same total flow",
        statement=r"$\sum_{ij} g_i |w_{ij}| h_j$ is the same for every layer, whatever the masks.",
        hypotheses=("whole weights and a network pruned by SynFlow, in exact arithmetic",),
        checks=(
            CertifiedCheck(
                "flow over the first layer's",
                _flows,
                mutants={
                    "flow falls with the layer": lambda row: 1.0 / int(row.name.split()[1]),
                    "five per cent more": lambda row: 1.05,
                },
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Every path crosses every layer once. So scores may be divided by their sum in "
        "each layer, which is how the pruner keeps them in range.",
    )
)


def _response(name: str, density: float, rounds: int, widths: Any) -> LimitCheck:
    def ratio(index: int) -> float:
        return spread_ratios(density, rounds)[index]

    def margin() -> float:
        return 0.45 * min(abs(1.0 - ratio(0)), abs(1.0 - ratio(1)))

    return LimitCheck(
        name,
        response,
        widths=widths,
        readings=(
            Reading("prediction", "ratio", 1.0),
            Reading("no feedback", "ratio", lambda: ratio(0), mutant=True),
            Reading("feedback one way", "ratio", lambda: ratio(1), mutant=True),
        ),
        margin=margin,
        settings={"density": density, "rounds": rounds},
        gamma=1.0,  # the next order in the deviations is even
        replicates={"quick": (11, 44), "full": (16, 64)},
        allocation={"quick": (3, 1, 1, 1), "full": (3, 1, 1, 1, 1)},
    )


register(
    Claim(
        id="synflow-linear-response",
        paper="own",
        item=ITEM,
        reading="own",
        title="Path sums of pruned networks vary as linear response says, in one round or many",
        statement=r"The spread of log path sums, over that of the linear recursion, tends to 1: "
        r"in five rounds to density 0.5, and in one to 0.3, which is "
        r"below $\rho_c$.",
        hypotheses=("three hidden layers, equal widths, Gaussian weights",),
        depends=("synflow-neuron",),
        checks=(
            _response("five rounds, to 0.5", 0.5, 5, WIDE),
            _response("one round, to 0.3", 0.3, 1, SMALL),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="One round feels only the sums of the dense network, so it has no feedback to "
        "diverge: with few rounds there is no transition.",
    )
)  # fmt: skip

register(
    Claim(
        id="synflow-constant-above",
        paper="own",
        item=ITEM,
        reading="own",
        title="Above the critical density SynFlow's middle layers have a constant graphon",
        statement=r"At density 0.5 the relative spread of a middle layer's degrees falls like "
        r"$n^{-1/2}$.",
        hypotheses=("three hidden layers, equal widths, Gaussian weights, five rounds",),
        depends=("synflow-linear-response",),
        checks=(
            RateCheck(
                "spread of degrees",
                response,
                widths=WIDE,
                metric="degree",
                exponent=-0.5,
                margin=0.11,
                mutants={"a pattern": 0.0, "n^(-1/4)": -0.25, "n^(-1)": -1.0},
                settings={"density": 0.5, "rounds": 5},
                replicates={"quick": (11, 44), "full": (16, 64)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
    )
)

_ONSET = {"hidden": 1, "density": 0.25, "pace": SLOW}
_DEEP = {"hidden": 3, "density": 0.2, "pace": SLOW}


def _living(law: str) -> LimitCheck:
    """Where the excess ends, for weights of one law; others' critical densities are near misses."""
    names = {"gaussian": "Gaussian", "uniform": "uniform", "laplace": "Laplace"}
    return LimitCheck(
        f"density among the living, {names[law]} weights",
        slow_path,
        widths=SMALL,
        readings=(
            Reading("critical density", "living", lambda: _critical(law)),
            *(
                Reading(f"that of {names[other]} weights", "living", partial(_critical, other),
                        mutant=True)
                for other in names
                if other != law
            ),
        ),
        margin=0.045,
        settings=_ONSET if law == "gaussian" else {**_ONSET, "law": law, "density": 0.3},
        gamma=0.25,
        replicates={"quick": (8, 64), "full": (12, 48)},
        allocation=NARROW_FIRST,
    )  # fmt: skip


register(
    Claim(
        id="synflow-transition",
        paper="own",
        item=ITEM,
        reading="own",
        title="Neurons die at the critical density, rounded over a width n^(-1/4)",
        statement=r"While 5 to 20 % of the neurons of one hidden layer die, the density of the "
        r"edges between the living exceeds $\rho_c$ by an amount that falls like $n^{-1/4}$: "
        r"$2\bar\Phi(1)$ for Gaussian weights, $1 - 1/\sqrt 3$ for uniform ones.",
        hypotheses=(
            "one hidden layer between n inputs and n outputs",
            r"$10\sqrt n$ rounds per factor $e$ in the density",
        ),
        depends=("synflow-neuron",),
        checks=(
            RateCheck(
                "excess over the critical density",
                slow_path,
                widths=SMALL,
                metric="excess",
                exponent=-0.25,
                margin=0.11,
                mutants={"n^(-1/2)": -0.5, "never reached": 0.0},
                settings=_ONSET,
                replicates={"quick": (8, 64), "full": (12, 48)},
                allocation=NARROW_FIRST,
            ),
            *(_living(law) for law in ("gaussian", "uniform")),
        ),
        recorded=Verdict.SUPPORTED,
        explanation=SLOWLY + " The rate is measured with the critical density given, the limit "
        "with the rate given; two laws with different critical densities and one rate tie them "
        "together.",
    )
)  # fmt: skip


def _share_dead(density: float) -> float:
    """What is missing if the living keep the critical density and only whole neurons go."""
    return 1.0 - density / _critical("gaussian")


def _root_dead(density: float) -> float:
    return 1.0 - math.sqrt(density / _critical("gaussian"))


def _deaths(name: str, settings: dict[str, Any], widths: Any, margin: float) -> LimitCheck:
    density = settings["density"]
    return LimitCheck(
        name,
        slow_path,
        widths=widths,
        readings=(
            Reading("density over the critical one lives", "outer", _share_dead(density)),
            Reading("its square root lives", "outer", _root_dead(density), mutant=True),
            Reading("nobody dies", "outer", 0.0, mutant=True),
        ),
        margin=margin,
        settings=settings,
        gamma=0.25,
        **DEATHS,
    )


register(
    Claim(
        id="synflow-pinned",
        paper="own",
        item=ITEM,
        reading="own",
        title="Below the critical density whole neurons die, in the share that it sets",
        statement=r"In the first and the last of three hidden layers a share $\rho/\rho_c$ of the "
        r"neurons is alive at density $\rho = 0.2$; $\sqrt{\rho/\rho_c}$ in every layer would be "
        r"the uniform answer.",
        hypotheses=(
            "three hidden layers, all widths n, Gaussian weights",
            r"$10\sqrt n$ rounds per factor $e$ in the density",
        ),
        depends=("synflow-transition",),
        checks=(
            _deaths(
                "outer two of three hidden layers, density 0.2", _DEEP, DEEP, 0.08,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation=SLOWLY,
    )
)  # fmt: skip

register(
    Claim(
        id="synflow-constant-below",
        paper="own",
        item=ITEM,
        reading="own",
        title="SynFlow's graphon is constant below the critical density too",
        statement=r"The share of dead neurons tends to 0 at density 0.2, as it must if the graphon "
        r"of a layer is constant there.",
        hypotheses=("as for the deaths below it",),
        depends=("synflow-constant-above", "synflow-pinned"),
        checks=(
            LimitCheck(
                "dead neurons",
                slow_path,
                widths=DEEP,
                readings=(
                    Reading("nobody dies", "outer", 0.0),
                    Reading("everybody dies", "outer", 1.0, mutant=True),
                ),
                margin=0.08,
                settings=_DEEP,
                gamma=0.25,
                **DEATHS,
            ),
        ),
        recorded=Verdict.REFUTED,
        explanation="The mean-field graphon is a solution, and an unstable one.",
    )
)
