"""[A] §4.2: what the limits of deep masks depend on, and what sorted histograms see of them."""

from __future__ import annotations

from typing import Any

from verify.checks import LimitCheck, RateCheck, Reading, ValueCheck
from verify.claim import Claim, Verdict, register
from verify.claims.deep_masks import GAMMA, LIGHTER, NAMES, RATE_MUTANTS, SETTING, WIDTHS
from verify.claims.near_misses import SHARE
from verify.trials.deep_limits import (
    batches_apart,
    between_residuals,
    gauss_newton,
    sorted_average,
    sorted_average_limit,
    synflow_mask,
    two_batches,
    two_networks,
)

CASE = {"depth": 4, "density": 0.2}
# Where two limits differ by L the square of what is measured is L² plus terms of order 1/n (noise
# of degrees) and n^(-2) (entries per cell), so the root differs from L at those orders too.
GAMMA_APART = (0.75, 1.5)
# A density of 4-cycles sums over pairs of neurons that may be one, a share 1/n of them, and the
# noise of degrees moves a block average at the same order.
GAMMA_CYCLES = (0.75, 1.5)
POWERS_OF_TWO = {"quick": (64, 128, 256, 512), "full": (256, 512, 1024, 2048)}
IMAGES: dict[str, dict[str, Any]] = {
    "quick": {"dataset": "digits", "batch": 32},
    "full": {"dataset": "mnist5k", "batch": 128},
}


# ------------------------------------------------------------------------- what a limit depends on
def _batches_apart(profile: str, criterion: str) -> float:
    """Distance of the two limits that the outputs of one network on both batches predict."""
    sampling = {"quick": {"samples": 256, "draws": 16}, "full": {"samples": 512, "draws": 32}}
    return batches_apart(
        criterion, WIDTHS[profile][-1], **CASE, **IMAGES[profile], bins=8, **sampling[profile]
    )


def _apart(criterion: str, times: float = 1.0) -> Any:
    return {
        "quick": lambda: times * _batches_apart("quick", criterion),
        "full": lambda: times * _batches_apart("full", criterion),
    }


def _batch_check(criterion: str, readings: tuple[Reading, ...], share: float) -> LimitCheck:
    settings = {
        profile: {
            **CASE,
            **images,
            "criterion": criterion,
            "bins": 8,
        }
        for profile, images in IMAGES.items()
    }
    return LimitCheck(
        f"{NAMES[criterion]}, two batches",
        two_batches,
        widths=WIDTHS,
        readings=readings,
        margin=_apart(criterion, share),
        settings=settings,
        gamma=GAMMA_APART,
        replicates={"quick": (24, 96), "full": (32, 256)},
    )


def _one_limit(criterion: str) -> LimitCheck:
    return _batch_check(
        criterion,
        (
            Reading("one limit", "apart", 0.0),
            Reading("twice as far as predicted", "apart", _apart(criterion, 2.0), mutant=True),
        ),
        SHARE,
    )


def _two_limits(criterion: str) -> LimitCheck:
    return _batch_check(
        criterion,
        (
            Reading("the predicted limits", "apart", _apart(criterion)),
            Reading("one limit", "apart", 0.0, mutant=True),
            Reading("half as far as predicted", "apart", _apart(criterion, 0.5), mutant=True),
            Reading("one and a half times", "apart", _apart(criterion, 1.5), mutant=True),
        ),
        0.5 * SHARE,
    )


BATCHES = (
    "one network, pruned on a batch of all classes and on a batch of one class, of the same size "
    "and from the same data set"
)

register(
    Claim(
        id="hypothesis-as-printed",
        paper="A",
        item="hypothesis (§4.2)",
        reading="as printed",
        title="Limits depend on architecture, density and method alone",
        statement=r"For a fixed class of architectures, method and sparsity the masks of a layer "
        r"converge to one deterministic graphon.",
        hypotheses=(*SETTING[:2], BATCHES),
        depends=("deep-limit-snip",),
        checks=(_one_limit("snip"),),
        recorded=Verdict.REFUTED,
        explanation="True of Random and Magnitude, which see no data. For the other methods the "
        "batch is an argument of the limit, and so is the residual: the corrected claims stand "
        "beside this one.",
    )
)

register(
    Claim(
        id="hypothesis-batch",
        paper="A",
        item="hypothesis (§4.2)",
        reading="corrected",
        title="The limit of data-driven masks depends on the batch, by as much as predicted",
        statement=r"The distance of the sorted histograms of one network on two batches tends to "
        r"that of the two predicted limits, which is not zero.",
        hypotheses=(*SETTING[:2], BATCHES),
        depends=("hypothesis-as-printed",),
        checks=(_two_limits("snip"), _two_limits("grasp-signed")),
        recorded=Verdict.SUPPORTED,
        explanation="The distance of sorted histograms is not the cut distance, but graphons that "
        "agree have one sorted histogram. Limits are predicted from outputs on both batches that "
        "are drawn together, as those of one network are (limits averaged over residuals would "
        "lie closer together). The Monte-Carlo error of the prediction is in no interval.",
    )
)


def _between(share: float) -> Any:
    return {
        "quick": lambda: share * between_residuals(**CASE, residuals=48),
        "full": lambda: share * between_residuals(
            **CASE, batch=16, dataset="mnist5k", n=2000, residuals=48
        ),
    }  # fmt: skip


register(
    Claim(
        id="hypothesis-random-limit",
        paper="A",
        item="hypothesis (§4.2)",
        reading="corrected",
        title="With everything fixed but the seed, SNIP's limit is still random",
        statement=r"The limit is a function of the residual at initialisation, which has a law and "
        r"no limit. Of two networks on one batch each is nearer to the limit of its own residual, "
        r"and by the mean squared distance of the two limits.",
        hypotheses=(
            "ReLU, four hidden layers, one output, squared loss, labels +1 and −1 for even and odd "
            "digits, a batch of eight (quick) or sixteen (full)",
        ),
        depends=("hypothesis-as-printed", "deep-limit-snip"),
        checks=(
            ValueCheck(
                "own limit and the other's",
                two_networks,
                settings={
                    "quick": {**CASE, "n": 256, "batch": 8},
                    "full": {**CASE, "n": 2000, "batch": 16, "dataset": "mnist5k"},
                },
                readings=(
                    Reading("what the limits differ by", "excess", 0.0),
                    Reading("a tenth of it", "gain", _between(0.1), relation=">="),
                    Reading("one limit", "gain", _between(0.1), relation="<=", mutant=True),
                ),
                margin=_between(SHARE),
                replicates={"quick": (48, 192), "full": (48, 96)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="The distance between limits, less the mean squared noise of masks, is a "
        "number that does not know the width: the residual of wide networks is a Gaussian process "
        "passed through the loss. It is small in [A]'s setting, ten outputs and many inputs "
        "(the page shows how small), and a mean over seeds shows the average of such limits. One "
        "width is measured, since pairs differ so much that no curve over widths would be decided.",
    )
)


# ------------------------------------------------------------------- what sorting by degree sees
LATENTS: dict[str, dict[str, Any]] = {
    profile: {**CASE, **images, "n": {"quick": 512, "full": 2048}[profile]}
    for profile, images in IMAGES.items()
}


def _sorted_limit(name: str, share: float = 1.0) -> Any:
    return {
        "quick": lambda: share * sorted_average_limit(**LATENTS["quick"])[name],
        "full": lambda: share * sorted_average_limit(**LATENTS["full"])[name],
    }


def _third_margin(profile: str) -> float:
    found = sorted_average_limit(**LATENTS[profile])
    return SHARE * (found["third"] - found["third_sorted"])


def _sorted_check(
    name: str, metric: str, mutants: tuple[Reading, ...], margin: Any, truth: str,
    gamma: tuple[float, float] = GAMMA,
) -> LimitCheck:  # fmt: skip
    return LimitCheck(
        name,
        sorted_average,
        widths=POWERS_OF_TWO,
        readings=(Reading(truth, metric, _sorted_limit(metric)), *mutants),
        margin=margin,
        settings={profile: {**CASE, **images, "bins": 16} for profile, images in IMAGES.items()},
        gamma=gamma,
        replicates={"quick": (9, 36), "full": (6, 48)},
        allocation={"quick": (3, 1, 1, 1), "full": (1, 1, 1, 1)},
    )


register(
    Claim(
        id="proxy-misses-structure",
        paper="A",
        item="App. C",
        reading="corrected",
        title="In deep layers the degree-sorted histogram is not the graphon",
        statement=r"SNIP's $P$ in a middle layer and its degree-sorted block average $\bar P$ have "
        r"the same sorted histogram, so [A]'s proxy for the cut distance is zero. But "
        r"$\|P - \bar P\|_\square$ does not fall with the width, the third singular value of $P$ "
        r"is that of the predicted limit and several times that of $\bar P$, and their densities "
        r"of 4-cycles keep $\delta_\square(P, \bar P) \ge \tfrac14|t(C_4, P) - t(C_4, \bar P)|$ "
        r"above zero, however rows and columns are matched.",
        hypotheses=(*SETTING, "density 0.2, four hidden layers, 16 × 16 cells"),
        depends=("deep-limit-snip",),
        checks=(
            _sorted_check(
                "cut norm, lower end", "lower",
                (Reading("faithful", "lower", 0.0, mutant=True),),
                _sorted_limit("lower", SHARE), "that of the limit",
            ),
            _sorted_check(
                "third singular value", "third",
                (Reading("that of the sorted average", "third", _sorted_limit("third_sorted"),
                         mutant=True),),
                {"quick": lambda: _third_margin("quick"), "full": lambda: _third_margin("full")},
                "that of the limit",
            ),
            _sorted_check(
                "4-cycles", "cycles",
                (Reading("faithful", "cycles", 0.0, mutant=True),),
                _sorted_limit("cycles", SHARE), "that of the limit", GAMMA_CYCLES,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation=r"Replacing $P$ by $\bar P$ in one factor of the 4-cycle integral at a time "
        r"changes it by $\int (P - \bar P)(x, y) f(x) g(y)$ with $0 \le f, g \le 1$ at most, hence "
        r"by $\|P - \bar P\|_\square$ at most, four times; and densities do not change under "
        r"relabelling. The bound is crude, the singular values tell more. Where $P$ increases with "
        r"both degrees, as for one hidden layer in the factorised model, the average over "
        r"$K \times K$ cells is within $1/K$ of $P$, and sorting is faithful. Predictions are made "
        r"from 1024 latents a side, residuals averaged over.",
    )
)  # fmt: skip


# ------------------------------------------------------------------------------ GraSP and SynFlow
COARSE = {"n^-1": -1.0, "no convergence": 0.0}


def _rest(
    activation: str, metric: str, name: str, margin: float, mutants: dict[str, float],
    replicates: Any,
) -> RateCheck:  # fmt: skip
    return RateCheck(
        f"{activation}, {name}",
        gauss_newton,
        widths={"quick": (48, 96, 192, 384), "full": (128, 256, 512, 1024, 2048)},
        metric=metric,
        exponent=-0.5,
        margin=margin,
        mutants=mutants,
        settings={"depth": 4, "activation": activation},
        replicates=replicates,
        allocation={"quick": (3, 1, 1, 1), "full": (1,) * 5},
    )


register(
    Claim(
        id="grasp-rest-rate",
        paper="own",
        item="|GraSP| in deep layers",
        reading="own",
        title="GraSP is its Gauss–Newton part, up to a rest that falls like n^(-1/2)",
        statement=r"Over the weights between hidden layers $\|Hg - J^TB\Theta r\|$ and its ratio "
        r"to $\|J^TB\Theta r\|$ fall like $n^{-1/2}$.",
        hypotheses=("four hidden layers, cross-entropy, 16 digits, NTK parametrisation",),
        depends=("grasp-residual", "grasp-residual-deep"),
        checks=(
            _rest("tanh", "rest", "rest", 0.12, RATE_MUTANTS,
                  {"quick": (24, 96), "full": (32, 128)}),
            _rest("tanh", "relative", "ratio", 0.24, COARSE,
                  {"quick": (24, 96), "full": (32, 128)}),
            _rest("relu", "relative", "ratio", 0.24, COARSE,
                  {"quick": (26, 104), "full": (32, 128)}),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="A measurement where the proof rests on a citation (tanh) or there is none "
        "(ReLU). The ratio varies much from network to network, so its exponent is told from 0 and "
        "−1 only; that of tanh's rest also from −1/4. At usual widths the rest is not small, and "
        "much of |GraSP|'s distance to its limit comes from it.",
    )
)  # fmt: skip


def _synflow(name: str, density: float, readings: tuple[Reading, ...]) -> LimitCheck:
    return LimitCheck(
        name,
        synflow_mask,
        widths=LIGHTER,
        readings=readings,
        margin=0.04,
        settings={
            "quick": {"depth": 4, "density": density, "rounds": 25},
            "full": {"depth": 4, "density": density, "rounds": 100, "dataset": "mnist5k"},
        },
        gamma=GAMMA,
        replicates={"quick": (6, 48), "full": (6, 24)},
        nonnegative=True,
    )


register(
    Claim(
        id="deep-limit-synflow",
        paper="A",
        item="hypothesis (§4.2)",
        reading="extended",
        title="SynFlow's middle layer is constant above the critical density, at [A]'s it is not",
        statement=r"At density 0.5 the middle layer's masks tend to a constant in cut norm. At "
        r"density 0.2 their certified distance to their own density stays above 0.05.",
        hypotheses=(
            SETTING[1],
            "25 rounds (quick) or 100 (full) of the exponential schedule, inputs of ones, ten "
            "outputs",
        ),
        depends=("synflow-constant-above", "synflow-critical-density"),
        checks=(
            _synflow(
                "density 0.5", 0.5,
                (
                    Reading("constant", "upper", 0.0),
                    Reading("not constant", "lower", 0.05, relation=">=", mutant=True),
                ),
            ),
            _synflow(
                "density 0.2", 0.2,
                (
                    Reading("not constant", "lower", 0.05, relation=">="),
                    Reading("constant", "upper", 0.0, mutant=True),
                ),
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="The densities at which [A] shows graphons, 0.3, 0.2 and 0.1, lie below the "
        "critical one of Gaussian weights. No "
        "limit is predicted there, and none is claimed. The last layer between hidden ones is no "
        "such case: its targets have only as many outgoing weights as there are classes.",
    )
)  # fmt: skip
