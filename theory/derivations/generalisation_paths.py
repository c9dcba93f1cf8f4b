"""Proofs about path density: the linear part of a kernel, and the bound that it gives.

Expectations over a neuron's pre-activation are integrals against an arbitrary density, sums over
inputs have an arbitrary number d of terms, and path densities, slopes and coefficients are
undefined functions: nothing is assumed of them but their signs.
"""

from __future__ import annotations

import sympy as sp

from theory.derivation import (
    AllOf,
    Definition,
    Derivation,
    Identity,
    Sign,
    Step,
)
from theory.derivations import derivation
from theory.dual import DualActivation
from theory.dual_piecewise import ReLU
from theory.dual_smooth import Erf
from theory.structural import StructuralSign

_I, _SIZE = sp.symbols("i d", integer=True, positive=True)
_BETA = sp.Function("beta", real=True)(_I)
_D = sp.Function("D", positive=True)(_I)
_G = sp.Function("g", real=True)(_I)
_Z = sp.Symbol("z", real=True)
_HALF = sp.Rational(1, 2)


def _sum(body: sp.Expr) -> sp.Expr:
    return sp.Sum(body, (_I, 1, _SIZE))


def _mean(body: sp.Expr) -> sp.Expr:
    """The mean over a hidden pre-activation with an arbitrary density."""
    return sp.Integral(body * sp.Function("f", positive=True)(_Z), (_Z, -sp.oo, sp.oo))


def _spread(dual: DualActivation, samples: int) -> sp.Expr:
    """``E (mean slope over the sample)^2`` for samples of unit variance, pairwise orthogonal.

    With equal coefficients, a constant in place of ``(E s')^2`` that exceeds this is refuted.
    """
    own, other = dual.second_moment_dot(1), dual.kappa_dot(1, 1, 0)
    return own / samples + (1 - sp.Rational(1, samples)) * other


def _relu_slope() -> sp.Expr:
    return ReLU().mean_dot(sp.Symbol("q", positive=True))


@derivation("generalisation.mean_slope")
def _mean_slope() -> Derivation:
    """K dominates the kernel of a linear model with the path densities on its diagonal."""
    s = sp.Function("s", real=True)(_Z)
    m = sp.Symbol("m", real=True)
    spread = _mean((s - m) ** 2)
    expanded = _mean(s**2) - 2 * m * _mean(s) + m**2 * _mean(sp.S.One)
    slope = Erf().mean_dot(sp.Symbol("q", positive=True))
    q = sp.Symbol("q", positive=True)
    # two inputs of one Euclidean norm, a layer that sees only the first coordinate
    seen = lambda x: Erf().mean_dot(q).subs(q, x[0] ** 2 / 2)  # noqa: E731
    k, a, b = sp.symbols("kappa alpha_1 alpha_2", real=True)
    xi = sp.symbols("x_1 x_2", real=True)
    return Derivation(
        "generalisation.mean_slope",
        "The linear part of a one-hidden-layer kernel",
        r"K \succeq \tfrac1d X\operatorname{diag}(D)X^{\mathsf T},\quad"
        r"D_i = \int c(v)^2\,(\mathbb E\sigma'(z_v))^2 P(i,v)\,dv",
        "one hidden layer, any activation whose mean slope E s'(z_v(x)) is the same for all inputs "
        "of the sample, for almost every v: every sample for ReLU, and for others if all inputs "
        "have one V-weighted square sum_i V(i,v) x_i^2 (equal Euclidean norms are enough only "
        "where V does not depend on i). No oddness is needed. Survivors train; sums over samples "
        "are the inner product g_i = sum_n alpha_n x_ni",
        [
            Step(
                r"\alpha^{\mathsf T}K\alpha \ge \tfrac1d\sum_i\int c^2 P(i,v)\,"
                r"\mathbb E\bigl(\sum_n\alpha_n x_{ni}\,\sigma'(z_v(x_n))\bigr)^2 dv",
                "the input layer's share of the kernel; the output layer's, a covariance, adds a "
                "non-negative form",
                Definition("K is the tangent kernel; S = sum_n alpha_n x_ni s'(z_v(x_n))"),
            ),
            Step(
                r"\mathbb E S^2 - m^2 = \mathbb E(S-m)^2 \quad(m = \mathbb E S)",
                "expand the square; the law of S has mass one",
                AllOf(
                    (
                        Identity(spread, expanded),
                        Identity(
                            expanded.subs({_mean(s): m, _mean(sp.S.One): 1}), _mean(s**2) - m**2
                        ),
                    )
                ),
            ),
            Step(
                r"(S-m)^2 f \ge 0,\ \text{so } \mathbb E S^2 \ge m^2",
                "an integral of something non-negative",
                StructuralSign((s - m) ** 2 * sp.Function("f", positive=True)(_Z), ">=0"),
            ),
            Step(
                r"\mathbb E\sum_n\alpha_n x_{ni}\sigma'(z_v(x_n)) = \mathbb E\sigma'(z_v)\,g_i",
                "the mean slope is a common factor (two samples stand for any number: linearity)",
                Identity(k * a * xi[0] + k * b * xi[1], k * (a * xi[0] + b * xi[1])),
                ("the mean slope is the same for all inputs of the sample",),
            ),
            Step(
                r"\mathbb E\sigma'(z) = \tfrac12\ \text{for ReLU}",
                "for every variance, so without a condition on the inputs",
                Identity(_relu_slope(), _HALF),
            ),
            Step(
                r"\mathbb E\sigma'(z) = \frac{2}{\sqrt{\pi(1+2q)}}\ \text{for erf}",
                "depends on the variance q = sum_i V(i,v) x_i^2 / d, which must be common",
                Identity(slope, 2 / sp.sqrt(sp.pi * (1 + 2 * q))),
            ),
        ],
        ("c(v)^2 is the second moment of the output weight at v", "0 <= P"),
        mutants={
            "equal Euclidean norms are enough": Identity(
                seen((sp.S.One, sp.S.Zero)), seen((sp.S.Zero, sp.S.One))
            ),
            "slopes do not vary": Identity(Erf().second_moment_dot(1), Erf().mean_dot(1) ** 2),
            "mean square of the slope": Sign(_spread(Erf(), 2) - Erf().second_moment_dot(1), ">=0"),
            "5 % more": Sign(
                _spread(Erf(), 1000) - sp.Rational(21, 20) * Erf().mean_dot(1) ** 2, ">=0"
            ),
        },
    )


@derivation("generalisation.deep_step")
def _deep_step() -> Derivation:
    """From layer to layer: mean slopes and variance graphons multiply along paths."""
    s, y = sp.Function("s", real=True)(_Z), sp.Symbol("y", real=True)
    density, gradient = sp.Function("f", positive=True)(_Z), sp.Function("b", real=True)(y)
    law = sp.Function("h", positive=True)(y)
    m = sp.Symbol("m", real=True)
    low, total = sp.symbols("ell V_s", positive=True)

    def inner(body: sp.Expr) -> sp.Expr:
        return sp.Integral(body * density, (_Z, -sp.oo, sp.oo))

    spread = gradient**2 * (inner(s**2) - 2 * m * inner(s) + m**2 * inner(1)) * law
    return Derivation(
        "generalisation.deep_step",
        "Path density for any depth: the step from one layer to the next",
        r"G_{l+1}(v) \succeq \ell_{l+1}(v)\,11^{\mathsf T} \Rightarrow "
        r"G_l(u) \succeq m_l(u)^2\int V_{l+1}(u,v)\,\ell_{l+1}(v)\,dv\;11^{\mathsf T},\quad"
        r"K \succeq \tfrac1d X\operatorname{diag}\Bigl(\int \ell_1(v) P_1(\cdot,v)\,dv\Bigr)"
        r"X^{\mathsf T}",
        "any number of hidden layers; backward kernels G_{L+1} = 1, "
        "G_l(u) = Sdot_l(u) o int V_{l+1}(u,v) G_{l+1}(v) dv; mean slopes m_l(u) common to the "
        "sample (1/2 for ReLU, always). Then D is the path density weighted by the squared mean "
        "slopes, for ReLU 4^-L times the path density (times the gains)",
        [
            Step(
                r"\alpha^{\mathsf T}(\dot\Sigma\circ C)\alpha = \mathbb E_b\mathbb E_s"
                r"\bigl(\sum_n\alpha_n s_n b_n\bigr)^2",
                "both factors are second moments, of the slopes and of a Gaussian with covariance "
                "C = int V G; they are independent",
                Definition("S = sum_n alpha_n s_n b_n, with mean m B given b, B = sum alpha_n b_n"),
            ),
            Step(
                r"\mathbb E_s S^2 - (\mathbb E_s S)^2 = \mathbb E_s(S - \mathbb E_s S)^2 \ge 0",
                "for each b, as in generalisation.mean_slope",
                AllOf(
                    (
                        Identity(
                            sp.Integral(inner((gradient * (s - m)) ** 2) * law, (y, -sp.oo, sp.oo)),
                            sp.Integral(spread, (y, -sp.oo, sp.oo)),
                        ),
                        StructuralSign((gradient * (s - m)) ** 2 * density * law, ">=0"),
                    )
                ),
            ),
            Step(
                r"\alpha^{\mathsf T}C\alpha\,m^2 \ge m^2\int V\ell\,dv\,(\textstyle\sum\alpha)^2",
                "V >= 0 keeps the order, and the hypothesis bounds each G from below",
                AllOf(
                    (
                        Identity(
                            m**2 * total * (sp.Symbol("G") - low) + m**2 * total * low,
                            m**2 * total * sp.Symbol("G"),
                        ),
                        StructuralSign(m**2 * total, ">=0"),
                    )
                ),
            ),
        ],
        mutants={
            "first power of the slope": Sign(_spread(ReLU(), 2) - ReLU().mean_dot(1), ">=0"),
            "no slope factor for ReLU": Sign(_spread(ReLU(), 2) - 1, ">=0"),
        },
    )


@derivation("generalisation.path_bound")
def _path_bound() -> Derivation:
    """yᵀK⁻¹y ≤ d Σ β²/D, and that nothing smaller holds."""
    square = _sum(_BETA**2 / _D)
    inner = _sum(_BETA * _G)
    t = sp.Symbol("t", real=True)
    q, bound, lam, sN = sp.symbols("q S lambda s_N", positive=True)
    B, C = sp.symbols("beta_1 beta_2", positive=True)
    E, F = sp.symbols("D_1 D_2", positive=True)
    x = sp.Matrix(2, 2, sp.symbols("x_11 x_12 x_21 x_22", positive=True))
    y = x * sp.Matrix([B, C])
    kernel = x * sp.diag(E, F) * x.T / 2
    exact = sp.cancel((y.T * kernel.adjugate() * y)[0] / kernel.det(method="berkowitz"))
    claimed = 2 * (B**2 / E + C**2 / F)
    box = {B: (1, 2), C: (1, 2), E: (sp.Rational(1, 4), _HALF), F: (sp.Rational(1, 4), _HALF)}
    return Derivation(
        "generalisation.path_bound",
        "The complexity of a linear target is bounded by inverse path densities",
        r"K \succeq \tfrac1d X\operatorname{diag}(D)X^{\mathsf T},\ y = X\beta \ \Rightarrow\ "
        r"y^{\mathsf T}K^{-1}y \le d\sum_i\beta_i^2/D_i",
        "any N and d, K positive definite, D_i > 0 (inputs with beta_i = 0 may be left out); "
        "attained if X is square and invertible and K equals its linear part",
        [
            Step(
                r"q = \alpha^{\mathsf T}K\alpha = y^{\mathsf T}\alpha = \sum_i\beta_i g_i,\quad"
                r"\alpha = K^{-1}y,\ g = X^{\mathsf T}\alpha",
                "names",
                Definition("q is the complexity"),
            ),
            Step(
                r"\sum_i D_i\bigl(g_i - t\,\beta_i/D_i\bigr)^2 = \sum_i D_i g_i^2"
                r" - 2t\sum_i\beta_i g_i + t^2\sum_i\beta_i^2/D_i",
                "expand, for any number of inputs",
                Identity(
                    _sum(_D * (_G - t * _BETA / _D) ** 2),
                    _sum(_D * _G**2) - 2 * t * inner + t**2 * square,
                ),
            ),
            Step(
                r"\sum_i D_i(g_i - t\beta_i/D_i)^2 \ge 0",
                "each term is",
                StructuralSign(_D * (_G - t * _BETA / _D) ** 2, ">=0"),
            ),
            Step(
                r"\sum_i D_i g_i^2 \ge q^2/S \quad (t = q/S,\ S = \sum\beta_i^2/D_i)",
                "the best t",
                Identity((2 * t * q - t**2 * bound).subs(t, q / bound), q**2 / bound),
            ),
            Step(
                r"q \ge \tfrac1d\sum_i D_i g_i^2 \ge \frac{q^2}{dS}\ \Rightarrow\ q \le dS",
                "divide by q > 0",
                Identity((q - q**2 / (_SIZE * bound)) * _SIZE * bound / q, _SIZE * bound - q),
                ("K dominates its linear part",),
            ),
            Step(
                r"\tfrac1d\sum_i D_i g_i^2 + \lambda|\alpha|^2 \ge \tfrac1d\sum_i"
                r"\bigl(D_i + \tfrac{d\lambda}{sN}\bigr)g_i^2",
                "if the rest of K is at least lambda and X^T X at most s N, so |g|^2 <= s N "
                "|alpha|^2: then D_i + d lambda/(s N) takes the place of D_i",
                Identity(
                    _sum(_D * _G**2) / _SIZE + lam * _sum(_G**2) / (sN),
                    _sum((_D + _SIZE * lam / sN) * _G**2) / _SIZE,
                ),
            ),
            Step(
                r"y^{\mathsf T}K^{-1}y = d\sum_i\beta_i^2/D_i\quad(d = N = 2,"
                r"\ K = XDX^{\mathsf T}/d)",
                "so the bound is attained",
                Identity(exact, claimed),
            ),
        ],
        mutants={
            "without the factor d": Sign(claimed / 2 - exact, ">=0", box),
            "first power of beta": Sign(2 * (B / E + C / F) - exact, ">=0",
                                        box | {B: (sp.Rational(3, 2), 2)}),
            "D in place of 1/D": Sign(2 * (B**2 * E + C**2 * F) - exact, ">=0", box),
            "5 % less": Sign(sp.Rational(19, 20) * claimed - exact, ">=0", box),
            "mean path density": Sign(2 * (B**2 + C**2) * 2 / (E + F) - exact, ">=0",
                                      box | {E: (sp.Rational(1, 10), sp.Rational(1, 9)),
                                             F: (sp.Rational(9, 10), 1)}),
        },
    )  # fmt: skip


@derivation("generalisation.slope_certificate")
def _slope_certificate() -> Derivation:
    """The best constant for a given sample, without a condition on its norms."""
    o = sp.Function("o", real=True)(_I)
    lam = sp.Function("lambda", positive=True)(_I)
    b = sp.Function("b", real=True)(_I)
    t = sp.Symbol("t", real=True)
    kappa, sigma = sp.symbols("kappa sigma", positive=True)
    A, B = sp.symbols("a b", positive=True)
    C = sp.Symbol("c", real=True)
    best = (A * B - C**2) / (A + B - 2 * C)
    form = sp.Matrix([[A - kappa, C - kappa], [C - kappa, B - kappa]]).det()
    return Derivation(
        "generalisation.slope_certificate",
        "What replaces the squared mean slope when norms differ",
        r"\dot\Sigma_v \succeq \kappa_v 11^{\mathsf T} \iff \kappa_v \le 1/(1^{\mathsf T}"
        r"\dot\Sigma_v^{-1}1),\quad\text{so } K \succeq \tfrac1d X\operatorname{diag}\Bigl(\int c^2"
        r"\kappa_v P(\cdot,v)\,dv\Bigr)X^{\mathsf T}",
        "any sample, any activation, Sdot_v positive definite with eigenvalues lambda_i; o_i and "
        "b_i are the components of 1 and of alpha in its eigenbasis",
        [
            Step(
                r"\sum\lambda_i\bigl(b_i - t\,o_i/\lambda_i\bigr)^2 = \alpha^{\mathsf T}\dot\Sigma"
                r"\alpha - 2t\,1^{\mathsf T}\alpha + t^2\,1^{\mathsf T}\dot\Sigma^{-1}1",
                "expand in the eigenbasis",
                Identity(
                    _sum(lam * (b - t * o / lam) ** 2),
                    _sum(lam * b**2) - 2 * t * _sum(o * b) + t**2 * _sum(o**2 / lam),
                ),
            ),
            Step(
                r"\alpha^{\mathsf T}\dot\Sigma\alpha \ge (1^{\mathsf T}\alpha)^2/"
                r"(1^{\mathsf T}\dot\Sigma^{-1}1)",
                "the sum is non-negative; the best t",
                AllOf(
                    (
                        StructuralSign(lam * (b - t * o / lam) ** 2, ">=0"),
                        Identity((2 * t * kappa - t**2 * sigma).subs(t, kappa / sigma),
                                 kappa**2 / sigma),
                    )
                ),
            ),
            Step(
                r"\alpha = \dot\Sigma^{-1}1:\quad \alpha^{\mathsf T}\dot\Sigma\alpha = "
                r"1^{\mathsf T}\dot\Sigma^{-1}1",
                "equality, so no larger constant will do",
                Identity(_sum(lam * (o / lam) ** 2), _sum(o**2 / lam)),
            ),
            Step(
                r"\det(\dot\Sigma - \kappa 11^{\mathsf T}) = 0 \iff \kappa = \frac{ab-c^2}{a+b-2c}",
                "two samples, in full",
                Identity(form.subs(kappa, best), 0),
            ),
        ],
        mutants={
            "5 % more": Sign(
                form.subs(kappa, sp.Rational(21, 20) * best), ">=0",
                {A: (1, 2), B: (1, 2), C: (sp.Rational(1, 10), _HALF)},
            ),
            "the least entry": Sign(
                form.subs(kappa, C), ">=0",
                {A: (sp.Rational(1, 2), sp.Rational(1, 2)), B: (3, 4),
                 C: (sp.Rational(3, 4), sp.Rational(4, 5))},
            ),
        },
    )  # fmt: skip
