"""Dual activations: the closed forms that every kernel evaluates, and the expansion of the rest."""

from __future__ import annotations

from verify.checks import DerivationCheck
from verify.claim import Claim, Verdict, register

FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "piecewise": (
        "ReLU, its relatives, steps and rectified powers",
        ("ab_relu", "relu", "leaky_relu", "abs", "step", "sign", "rectified_power"),
    ),
    "smooth": (
        "erf, GELU, Gaussian and Gabor",
        ("gaussian_integral", "erf", "gelu", "gaussian", "gabor"),
    ),
    "waves": (
        "sine, cosine, exponential and their kernels",
        ("sin", "cos", "rbf", "exp", "exp_normalized"),
    ),
    "polynomials": (
        "monomials, polynomials and Hermite polynomials",
        ("monomial", "polynomial", "hermite"),
    ),
}

ITEM = "closed forms of dual activations"

register(
    Claim(
        id="dual-price",
        paper="own",
        item=ITEM,
        reading="own",
        title="Gaussian moments move with the covariance by Price's theorem",
        statement=r"$\partial_{q_{12}} E[\sigma(X)\sigma(Y)] = E[\sigma'(X)\sigma'(Y)]$: the dual "
        r"of the derivative is the derivative of the dual.",
        hypotheses=(
            r"$\sigma$ weakly differentiable, of at most the growth that keeps both sides",
        ),
        checks=(DerivationCheck("dual.price"),),
        recorded=Verdict.PROVED,
    )
)

for _name, (_title, _members) in FAMILIES.items():
    register(
        Claim(
            id=f"dual-{_name}",
            paper="own",
            item=ITEM,
            reading="own",
            title=f"Duals of {_title}",
            statement=r"$\kappa = E[\sigma(X)\sigma(Y)]$ and $\dot\kappa = "
            r"E[\sigma'(X)\sigma'(Y)]$ have the closed forms in use, for all variances and "
            r"covariances.",
            depends=("dual-price",),
            checks=tuple(DerivationCheck(f"dual.{member}") for member in _members),
            recorded=Verdict.PROVED,
            explanation="By the derivative in the covariance, the value for independent arguments "
            "and the diagonal.",
        )
    )

register(
    Claim(
        id="dual-expansion",
        paper="own",
        item="expansion of dual activations",
        reading="own",
        title="The Hermite expansion of a dual converges, with a bound on what is left out",
        statement=r"$\kappa = \sum_n h_n(q_{11})\,h_n(q_{22})\,\rho^n$, and the terms beyond order "
        r"$K$ are at most $|\rho|^{K+1}\sqrt{\mathrm{tail}_K(q_{11})\,\mathrm{tail}_K(q_{22})}$.",
        hypotheses=(r"$E[\sigma(X)^2] < \infty$",),
        checks=(DerivationCheck("dual.expansion"),),
        recorded=Verdict.UNDECIDED,
        explanation="Every step is checked but one, which is taken from the literature: that "
        "Hermite polynomials are complete. The verdict stays open on principle; tests hold the "
        "expansions of tanh, sigmoid, softplus and SiLU against quadrature.",
    )
)
