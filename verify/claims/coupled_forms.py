"""Latent features of deep layers and the coupled kernel: what is proved of them, and on what.

Whether networks follow is measured elsewhere; here are the derivations.
"""

from __future__ import annotations

from verify.checks import DerivationCheck
from verify.claim import Claim, Verdict, register

LATENT = "latent features of a deep layer"
COUPLED = "coupled kernel"

for _id, _item, _derivations, _title, _statement, _hypotheses, _depends, _explanation in (
    (
        "latent-score", LATENT, ("latent.score", "latent.backward"),
        "The score of a deep layer is a weight times an inner product of two latents",
        r"$\partial\mathcal L/\partial w_{ij} = \kappa_l\,\langle\psi_i, h_j\rangle$ with "
        r"$\kappa_l = \sqrt{g_l/(n_{l-1}n_l)}$, $\kappa_{L+1} = \sqrt{g_{L+1}/n_L}$, and backward "
        r"latents of covariance $B_L = g_{L+1}$, $B_l = g_{l+1}B_{l+1}\circ\dot\Sigma_{l+1}$.",
        ("the residual is given",),
        (),
        "The first is an identity at every width; the covariance is that of a wide dense network.",
    ),
    (
        "latent-graphons", LATENT, ("latent.graphons",),
        "The graphons of a deep layer depend on one number",
        r"$P = 2\bar\Phi(t)$ and $V = P + 2t\varphi(t)$ with "
        r"$t = \tau/(\kappa\,|\langle\psi, h\rangle|)$: even in $\langle\psi, h\rangle$, and "
        r"increasing in its size.",
        ("scores by magnitude, Gaussian weights",),
        ("latent-score",),
        "A signed rule has the same two functions with one tail each, and a mean that is odd.",
    ),
    (
        "latent-threshold", LATENT, ("latent.threshold",),
        "A global threshold keeps the first and the last layer whole as the width grows",
        r"At equal $|\langle\psi, h\rangle|$ the cuts obey $t_1/t_l = \sqrt{d/n}$ and "
        r"$t_{L+1}/t_l = n^{-1/2}$; with $d$ fixed both vanish and hidden layers alone make up the "
        r"density.",
        ("hidden layers of one width and one gain", "NTK parametrisation"),
        ("latent-score",),
        "So the widths are part of the question wherever one threshold serves all layers.",
    ),
    (
        "grasp-residual", "|GraSP| in deep layers", ("latent.gauss_newton",),
        "|GraSP| is SNIP with the residual BΘr, up to the curvature of the network",
        r"$Hg = J^TB\,\Theta\,r + \sum_k r_k\nabla^2 f_k\,g$, and for one hidden layer the rest is "
        r"smaller than the first term by $n^{-1/2}$, neuron by neuron.",
        (r"$B\,\Theta\,r \ne 0$",),
        ("latent-score",),
        "",
    ),
    (
        "coupled-selection", COUPLED,
        ("coupled.regression_on_itself", "coupled.selection", "coupled.other_laws"),
        "A surviving weight follows a small mean with slope V",
        r"$Mw = Vw + \zeta$ with $E[\zeta] = E[\zeta w] = 0$ for every even law; for the Gaussian "
        r"$E[(\varepsilon + m)1\{|\varepsilon + m| \ge t\}] = Vm + \tfrac13t^3\varphi(t)m^3 + "
        r"O(m^5)$, with a bound that no cut exceeds.",
        (),
        (),
        "For weights of another law the slope of a shift is $P + 2tf(t)$ and not $V$, but "
        "conditioning on sums tilts a law and does not shift it, and the slope of a tilt is $V$.",
    ),
    (
        "coupled-conditioning", COUPLED,
        ("coupled.regression", "coupled.weights_given_signals", "coupled.forward",
         "coupled.backward", "coupled.sampling"),
        "Pruned signals given dense ones, in both directions",
        r"Given $z$: mean $R\Sigma^{-1}z$, covariance $Q - R\Sigma^{-1}R^T$; given $b$: mean "
        r"$SB^{-1}b$, covariance $U - SB^{-1}S^T$. Both are positive semidefinite at every width; "
        r"with nothing pruned both signals are the dense ones, without noise.",
        (
            "sums over sources and targets are Gaussian", "cross terms vanish by the symmetry",
            r"Gaussian weights; as conditional moments up to $O(n^{-1/2})$",
        ),
        ("coupled-selection",),
        "The backward pass is conditioned on both networks' forward signals; their part is "
        "written out and then dropped by the symmetry, not forgotten.",
    ),
    (
        "coupled-symmetry", COUPLED, ("coupled.symmetry",),
        "Flipping the backward latents of one neuron, dense and pruned together, changes no mask",
        r"$(b_i, \tilde b_i) \to (-b_i, -\tilde b_i)$ leaves $V$, $P$ and the law of "
        r"$(z_i, \tilde z_i)$ alone; so $E_j[V_{ij}\tilde h_jb_j^T] = 0$ and "
        r"$E_i[V_{ij}\tilde\chi_i\,k(z_i, \tilde z_i)] = 0$.",
        ("residual given", "masks by magnitude", "symmetric output weights"),
        ("latent-graphons",),
        "It fails for signed rules, for one output's sign alone, and if $b$ is flipped without "
        r"$\tilde b$.",
    ),
    (
        "coupled-outputs", COUPLED, ("coupled.outputs",),
        "Pruning correlates the outputs of a network",
        r"Dense backward latents of different outputs are independent. Surviving ones are not: "
        r"for $r = (1, 1)$ and one input $E[V b_1b_2] = E[t^3\varphi(t)] > 0$.",
        ("SNIP or |GraSP|, several outputs",),
        ("latent-graphons",),
        "So the pruned kernel is no multiple of the identity over outputs, and the covariances "
        "of the recursion run over pairs of input and output.",
    ),
    (
        "coupled-special-cases", COUPLED,
        ("coupled.kernel", "coupled.dense", "coupled.magnitude", "coupled.one_hidden_layer"),
        "The coupled kernel contains the dense, the Magnitude and the saliency-mask kernel",
        r"$P = V = 1$: $\Theta_{\mathrm{std}}$. Constant $V = v$, $P = \rho$: the uncoupled "
        r"recursion, for ReLU $\rho\,v^L\,\Theta_{\mathrm{std}}$ at every depth. One hidden layer: "
        r"the saliency-mask kernel.",
        (
            "the recursion",
            "Magnitude and one hidden layer: many inputs, none of which dominates",
            "one hidden layer: dense output layer, scores that factorise",
        ),
        ("magnitude-shift", "coupled-conditioning"),
        "",
    ),
):  # fmt: skip
    register(
        Claim(
            id=_id,
            paper="own",
            item=_item,
            reading="own",
            title=_title,
            statement=_statement,
            hypotheses=_hypotheses,
            depends=_depends,
            checks=tuple(DerivationCheck(name) for name in _derivations),
            recorded=Verdict.PROVED,
            explanation=_explanation,
        )
    )

register(
    Claim(
        id="grasp-residual-deep",
        paper="own",
        item="|GraSP| in deep layers",
        reading="own",
        title="The rest of |GraSP| vanishes in deep networks as well",
        statement=r"$\|\sum_k r_k\nabla^2 f_k\,g\| = \tilde O(n^{-1/2})\,\|J^TB\,\Theta\,r\|$ for "
        r"any number of hidden layers.",
        hypotheses=("twice differentiable activation", r"$B\,\Theta\,r \ne 0$"),
        depends=("grasp-residual",),
        checks=(DerivationCheck("latent.gauss_newton_deep"),),
        recorded=Verdict.UNDECIDED,
        explanation="Rests on a theorem from the literature, so the verdict stays open on "
        "principle. ReLU is outside that theorem.",
    )
)

register(
    Claim(
        id="coupled-recursion",
        paper="own",
        item=COUPLED,
        reading="own",
        title="The coupled recursion, as a chain",
        statement=r"As the widths grow, the kernel of a network pruned by SNIP, |GraSP| or "
        r"Magnitude tends to $\sum_{l\le L} g_l\,E_{ij}[P_{ij}\,\tilde\chi_{io}"
        r"\tilde\chi_{io'}'\,\tilde h_j\tilde h_j'] + \delta_{oo'}\,g_{L+1}\,E_j[M_{oj}\,"
        r"\tilde h_j\tilde h_j']$ over the coupled latents, $o$, $o'$ outputs.",
        hypotheses=(
            "batch and residual fixed",
            "latents of different neurons of the pruned network are independent in the limit",
        ),
        depends=(
            "coupled-conditioning",
            "coupled-symmetry",
            "coupled-special-cases",
        ),
        checks=(DerivationCheck("coupled.recursion"),),
        recorded=Verdict.UNDECIDED,
        explanation="Every step is checked but two. One is a theorem on dense networks; the other, "
        "propagation of chaos for the pair of networks, is assumed, and what finite networks say "
        "about it is measured in claims of its own. The verdict stays open on principle.",
    )
)
