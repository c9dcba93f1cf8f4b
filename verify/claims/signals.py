"""[A] Proposition 1, Lindeberg's condition and the remarks: what flows through a pruned network."""

from __future__ import annotations

from verify.checks import DerivationCheck, LimitCheck, RateCheck, Reading
from verify.claim import Claim, Verdict, register
from verify.trials.networks import signed_output
from verify.trials.signals import (
    FREQUENCIES,
    gaussian_cosine,
    gradients,
    laplace_cosine,
    positions,
    ratio_of_gradients,
    ratio_of_variances,
    uniform_cosine,
)

WIDTHS = {"quick": (128, 256, 512, 1024), "full": (256, 512, 1024, 2048)}
REPLICATES = {"quick": (26, 208), "full": (16, 384)}
NARROW_FIRST = {"quick": (6, 2, 2, 1), "full": (1, 1, 1, 1)}
"""Replicates of narrow networks cost little, and the limit hangs on their noise."""
GAMMA = (0.75, 1.25)
"""Of means: to first order a finite width changes them by a multiple of 1/n."""
NORM_GAMMA = 0.5
"""Of the norm of an error that is random noise of relative size n^(-1/2)."""

NETWORK = (
    r"two hidden ReLU layers, $d = n/2$, all layers pruned by masks drawn from block graphons",
    "weights of a uniform law, independent of the masks",
)

register(
    Claim(
        id="prop1-covariance",
        paper="A",
        item="Prop. 1",
        reading="as printed",
        title="Covariances of pre-activations follow the graphons, position by position",
        statement=r"For masks drawn independently of the weights, the covariance of the "
        r"pre-activations of neurons near position $v$ tends to $\tilde\Sigma^{(l)}(v)$ of "
        r"[A] (1)–(3).",
        hypotheses=NETWORK,
        checks=(
            DerivationCheck("graphon_ntk.covariance"),
            LimitCheck(
                "two halves of the second layer",
                positions,
                widths=WIDTHS,
                readings=(
                    Reading("covariance at the position", "error", 0.0),
                    Reading("covariance of constant graphons", "blind_error", 0.0, mutant=True),
                ),
                margin=0.1,
                gamma=NORM_GAMMA,
                replicates=REPLICATES,
                allocation=NARROW_FIRST,
                nonnegative=True,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="The derivation shows the conditional second moments at every width; that "
        "they settle is measured. Sources are the numbers [A] writes as functions of positions; "
        "the Dirac factor in (1)–(3) says that different neurons are uncorrelated.",
    )
)

register(
    Claim(
        id="prop1-gaussian",
        paper="A",
        item="Prop. 1",
        reading="as printed",
        title="Pre-activations become Gaussian",
        statement=r"With $q$ the predicted variance, $E\cos(tz/\sqrt q) \to e^{-t^2/2}$ for "
        r"$t = 1, 2$ and $E z^4/(3q^2) \to 1$ although neither weights nor masks are Gaussian.",
        hypotheses=NETWORK,
        depends=("prop1-covariance",),
        checks=(
            *(
                LimitCheck(
                    f"characteristic function at {t:g}",
                    positions,
                    widths=WIDTHS,
                    readings=(
                        Reading("normal law", f"cosine_{index}", gaussian_cosine(t)),
                        Reading("Laplace law", f"cosine_{index}", laplace_cosine(t), mutant=True),
                        Reading("uniform law", f"cosine_{index}", uniform_cosine(t), mutant=True),
                    ),
                    margin=0.45
                    * min(
                        abs(other(t) - gaussian_cosine(t))
                        for other in (laplace_cosine, uniform_cosine)
                    ),
                    gamma=GAMMA,
                    replicates=REPLICATES,
                    allocation=NARROW_FIRST,
                )
                for index, t in enumerate(FREQUENCIES, 1)
            ),
            LimitCheck(
                "fourth moment",
                positions,
                widths=WIDTHS,
                readings=(
                    Reading("normal law", "fourth", 1.0),
                    Reading("Laplace law", "fourth", 2.0, mutant=True),
                    Reading("uniform law", "fourth", 0.6, mutant=True),
                ),
                margin=0.18,
                gamma=GAMMA,
                replicates=REPLICATES,
                allocation=NARROW_FIRST,
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Marginals of one input at a time are tested, at three functionals; joint "
        "Gaussianity over inputs and neurons is not.",
    )
)

register(
    Claim(
        id="prop1-signed-masks",
        paper="A",
        item="Prop. 1",
        reading="as printed",
        title="Proposition 1 for every pruning method",
        statement="Outputs of networks pruned by any rule keep a bounded, centred limit; here: by "
        "signed GraSP.",
        hypotheses=("one hidden tanh layer, scores of the factorised model",),
        checks=(
            RateCheck(
                "root mean square output",
                signed_output,
                widths={"quick": (200, 400, 800, 1600), "full": (200, 400, 800, 1600, 3200)},
                metric="rms",
                exponent=0.0,
                margin=0.12,
                mutants={"n^1/4": 0.25, "n^-1/4": -0.25},
                settings={"criterion": "grasp-signed", "d": 100, "density": 0.2},
                replicates={"quick": (32, 256), "full": (64, 512)},
            ),
        ),
        recorded=Verdict.REFUTED,
        explanation="A signed rule leaves weights a mean (see the three graphons), so "
        "pre-activations share a direction and the output grows like the root of the width. The "
        "proposition needs masks whose mean graphon vanishes.",
    )
)

register(
    Claim(
        id="lindeberg-bounded",
        paper="A",
        item="Lindeberg (14)",
        reading="as printed",
        title="Lindeberg's condition holds for bounded graphons",
        statement=r"$L_n(\varepsilon) \le V\big(\varepsilon\sqrt{nm/B}\big) \to 0$ for every "
        r"profile with values in $[0, B]$ and mean $m > 0$, where $V(t) = E[w^2; |w| \ge t]$.",
        hypotheses=("independent Gaussian weights, activations of one size",),
        checks=(DerivationCheck("lindeberg.bounded"),),
        recorded=Verdict.PROVED,
        explanation="Graphons are bounded by 1, so (14) needs no further hypothesis but a row of "
        "positive mean.",
    )
)

register(
    Claim(
        id="lindeberg-heavy-tailed",
        paper="A",
        item="Lindeberg (14)",
        reading="extended",
        title="Lindeberg's condition fails for a variance profile that is not integrable",
        statement=r"For $\mathcal{W}(u) = u^{-2}$, $L_n(1/2) > 1/2$ at every width: the first "
        "weight alone carries more than half of the variance.",
        hypotheses=("independent Gaussian weights with that variance profile",),
        depends=("lindeberg-bounded",),
        checks=(DerivationCheck("lindeberg.heavy"),),
        recorded=Verdict.PROVED,
        explanation="Not a graphon, but what unbounded saliency factors can come close to.",
    )
)

register(
    Claim(
        id="uneven-forward",
        paper="A",
        item="Remark 1, 2, A.3.3",
        reading="as printed",
        title="Variances of pre-activations depend on the position",
        statement=r"Variances of the two halves of a layer have the ratio "
        r"$\tilde\Sigma(v)/\tilde\Sigma(v')$ that the recursion predicts.",
        hypotheses=NETWORK,
        depends=("prop1-covariance",),
        checks=(
            LimitCheck(
                "ratio of variances",
                positions,
                widths=WIDTHS,
                readings=(
                    Reading("the recursion", "ratio", ratio_of_variances),
                    Reading("even propagation", "ratio", 1.0, mutant=True),
                    Reading("15 % more", "ratio", lambda: 1.15 * ratio_of_variances(), mutant=True),
                ),
                margin=lambda: 0.065 * ratio_of_variances(),
                gamma=GAMMA,
                replicates=REPLICATES,
                allocation=NARROW_FIRST,
            ),
        ),
        recorded=Verdict.SUPPORTED,
    )
)

register(
    Claim(
        id="uneven-backward",
        paper="A",
        item="Remark 1, 2, A.3.3",
        reading="extended",
        title="So do the derivatives of the output",
        statement=r"Mean squared derivatives by the pre-activations of two halves of a layer have "
        r"the ratio of $\int V_{l+1}(u, v)\, G_{l+1}(v)\,dv$.",
        hypotheses=NETWORK[:1],
        depends=("uneven-forward",),
        checks=(
            LimitCheck(
                "ratio of derivatives",
                gradients,
                widths=WIDTHS,
                readings=(
                    Reading("the recursion", "ratio", ratio_of_gradients),
                    Reading("even propagation", "ratio", 1.0, mutant=True),
                    Reading("the forward ratio", "ratio", ratio_of_variances, mutant=True),
                ),
                margin=lambda: 0.12 * ratio_of_gradients(),
                gamma=GAMMA,
                replicates={"quick": (48, 384), "full": (16, 512)},
                allocation={"quick": (8, 1, 2, 1), "full": (1, 1, 1, 1)},
            ),
        ),
        recorded=Verdict.SUPPORTED,
        explanation="Remark 2 speaks of the kernel as a whole; forward and backward signals are "
        "its two factors at a position.",
    )
)
