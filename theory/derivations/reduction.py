"""Proofs of the reduction laws with one constant density: for every depth, by induction.

A pruned and a dense network are carried through one layer together. The dense kernel stays
unknown; what is shown is that the pruned one keeps being a known multiple of it.
"""

from __future__ import annotations

import sympy as sp

from theory.derivation import AllOf, Derivation, Identity, Induction, Step
from theory.derivations import derivation
from theory.derivations.reduction_claims import (
    ANY,
    EXPONENTS,
    HYPOTHESES,
    LINEAR,
    POWER,
    C,
    E,
    K,
    constant,
    last_layer,
    multiple,
    per_layer,
)
from theory.dual import q11, q12, q22, z
from theory.duals import dual
from theory.ntk_depth import layer as n
from theory.ntk_depth import standard
from theory.reduction import exponent

_BIAS = sp.Symbol("B", positive=True)
_FIVE = sp.Rational(21, 20)


@derivation("reduction.homogeneous_dual")
def _homogeneous_dual() -> Derivation:
    """Homogeneity of an activation, carried to its duals."""
    lam, mu, other = sp.symbols("lambda mu y", positive=True)
    a, b, c = q11, q22, q12
    size, value = sp.Symbol("x", positive=True), sp.Symbol("s_+", real=True)
    scaled = (lam**2 * a, mu**2 * b, lam * mu * c)
    slope, rest = (lambda a, b, c: c / sp.sqrt(a)), (lambda a, b, c: b - c**2 / a)
    relu, square = dual("relu"), dual("monomial", p=2)
    return Derivation(
        "reduction.homogeneous_dual",
        "Duals of a positively homogeneous activation",
        r"\kappa(\lambda^2 a, \mu^2 b, \lambda\mu c) = (\lambda\mu)^k\,\kappa(a, b, c),\quad"
        r"\kappa = (q_{11}q_{22})^{k/2}\varphi(r),\ \dot\kappa = (q_{11}q_{22})^{(k-1)/2}\psi(r),"
        r"\quad r = q_{12}/\sqrt{q_{11}q_{22}}",
        "every activation with s(a z) = a^k s(z), a > 0, k > 0: s is s_+ z^k on the right and "
        "s_- |z|^k on the left, so the same computation serves both sides",
        [
            Step(
                r"\sigma(\lambda z) = \lambda^k\sigma(z),\quad"
                r"\sigma'(\lambda z) = \lambda^{k-1}\sigma'(z)",
                "one side of the activation, x = |z|",
                AllOf(
                    (
                        Identity(value * (lam * size) ** K, lam**K * value * size**K),
                        Identity(
                            sp.diff(value * size**K, size).subs(size, lam * size),
                            lam ** (K - 1) * sp.diff(value * size**K, size),
                        ),
                    )
                ),
            ),
            Step(
                r"(\lambda X, \mu Y) \sim N(0,\ \lambda^2 a,\ \mu^2 b,\ \lambda\mu c)",
                "in coordinates X = sqrt(a) Z, Y = (c/sqrt a) Z + sqrt(b - c^2/a) Z'",
                AllOf(
                    (
                        Identity(sp.sqrt(scaled[0]), lam * sp.sqrt(a)),
                        Identity(slope(*scaled), mu * slope(a, b, c)),
                        Identity(rest(*scaled), mu**2 * rest(a, b, c)),
                    )
                ),
            ),
            Step(
                r"\kappa = (q_{11}q_{22})^{k/2}\,\kappa(1, 1, r)",
                "take lambda^2 = 1/q11 and mu^2 = 1/q22; the general form scales as it must",
                AllOf(
                    (
                        Identity(POWER.kappa(sp.S.One, sp.S.One, c), POWER.angular(c)),
                        Identity(POWER.kappa(*scaled), (lam * mu) ** K * POWER.kappa(a, b, c)),
                        Identity(
                            POWER.kappa_dot(*scaled),
                            (lam * mu) ** (K - 1) * POWER.kappa_dot(a, b, c),
                        ),
                    )
                ),
            ),
            Step(
                r"\text{ReLU } (k = 1),\quad z^2\ (k = 2)",
                "the closed forms of the registry scale so",
                AllOf(
                    (
                        Identity(relu.kappa(*scaled), lam * mu * relu.kappa(a, b, c)),
                        Identity(relu.kappa_dot(*scaled), relu.kappa_dot(a, b, c)),
                        Identity(square.kappa(*scaled), (lam * mu) ** 2 * square.kappa(a, b, c)),
                    )
                ),
            ),
        ],
        mutants={
            "kappa of degree k + 1": Identity(
                POWER.kappa(*scaled), (lam * mu) ** (K + 1) * POWER.kappa(a, b, c)
            ),
            "kappa_dot of degree k": Identity(
                POWER.kappa_dot(*scaled), (lam * mu) ** K * POWER.kappa_dot(a, b, c)
            ),
            "tanh is homogeneous": Identity(sp.tanh(2 * z), 2 * sp.tanh(z)),
            "erf is homogeneous": Identity(
                sp.erf(other * z) * sp.erf(1), sp.erf(z) * sp.erf(other)
            ),
        },
    )


@derivation("reduction.exponent")
def _exponent() -> Derivation:
    """The exponent's recursion, solved."""
    step = sp.Function("d", real=True)
    closed = (K**n - 1) / (K - 1)
    growing = {step(1): K, step(n + 1): K * step(n)}
    sums = sp.Sum(K ** sp.Symbol("j", integer=True), (sp.Symbol("j", integer=True), 0, n))
    solve = lambda claim: Induction(  # noqa: E731
        n, sp.Eq(E(n), claim), {E(1): 1}, {E(n + 1): 1 + K * E(n)}
    )
    hidden = sp.Symbol("L", integer=True, positive=True)
    return Derivation(
        "reduction.exponent",
        "The exponent of the degree-k law is a geometric sum",
        r"e_1 = 1,\ e_{n+1} = 1 + k\,e_n \implies e_{L+1} = 1 + k + \dots + k^L",
        "every L >= 1 and k > 0; the quotient (k^n - 1)/(k - 1) for k other than 1",
        [
            Step(
                r"e_{n+2} - e_{n+1} = k\,(e_{n+1} - e_n)",
                "subtract the recursion at n from that at n + 1",
                Identity((1 + K * (1 + K * E(n))) - (1 + K * E(n)), K * (1 + K * E(n) - E(n))),
            ),
            Step(
                r"e_{n+1} - e_n = k^n",
                "induction; e_2 - e_1 = k",
                Induction(
                    n,
                    sp.Eq(step(n), K**n),
                    {step(1): growing[step(1)]},
                    {step(n + 1): growing[step(n + 1)]},
                ),
            ),
            Step(
                r"1 + k + \dots + k^n - (1 + k + \dots + k^{n-1}) = k^n",
                "so both start at 1 and grow by the same terms; the sum is the one in use",
                AllOf(
                    (
                        Identity(sums - sums.subs(n, n - 1), K**n),
                        Identity(exponent(hidden, K) - sums.subs(n, hidden), sp.S.Zero),
                    )
                ),
            ),
            Step(sp.Eq(E(n), closed), "induction, for k other than 1", solve(closed)),
            Step(
                sp.Eq(E(n), n),
                "induction, for k = 1",
                Induction(n, sp.Eq(E(n), n), {E(1): 1}, {E(n + 1): 1 + E(n)}),
            ),
        ],
        mutants={
            "k^n": solve(K**n),
            "starts at k": solve(K * closed),
            "one term more": solve((K ** (n + 1) - 1) / (K - 1)),
            "(k + 1)": solve(((K + 1) ** n - 1) / K),
        },
    )


@derivation("reduction.survivors")
def _survivors() -> Derivation:
    """Survivors train: one factor c for each pruned matrix."""
    kept = constant(C)
    pruned = sp.Function("b", integer=True, nonnegative=True)
    count = sp.Function("m", integer=True, nonnegative=True)
    counting = {count(1): pruned(1), count(n + 1): count(n) + pruned(n + 1)}
    some = per_layer(lambda at: C ** pruned(at))
    power = C ** count(n)
    density, product = sp.Function("c", positive=True), sp.Function("Pi", positive=True)
    each = per_layer(density)
    products = {product(1): density(1), product(n + 1): density(n + 1) * product(n)}
    late = {product(1): density(2), product(n + 1): density(n + 2) * product(n)}
    output, dense = last_layer(LINEAR, 1, 1, C**n, C**n)
    return Derivation(
        "reduction.survivors",
        "Independent masks of constant density, survivors trained, degree 1",
        r"\begin{gathered}\Theta = \prod_{l=1}^{L+1} c_l\,\Theta_{\mathrm{std}};\quad"
        r" \Theta = c^m\,\Theta_{\mathrm{std}}\ (m\text{ matrices pruned});\\"
        r" c^{L+1}\text{ if all are},\ c^L\text{ if the output layer is dense}\end{gathered}",
        "every L >= 0, all inputs, c in (0, 1]; V = T = c_l in layer l",
        [
            Step(
                r"\tilde S_n = \prod_{l\le n} c_l\,\tilde S_n^{\mathrm{std}},\quad"
                r"\tilde\Theta_n = \prod_{l\le n} c_l\,\tilde\Theta_n^{\mathrm{std}}",
                "induction over layers, each with its own density; the kernel is the case L + 1",
                multiple(LINEAR, each, each, product(n), product(n), products),
            ),
            Step(
                r"\Theta = c^{m}\,\Theta_{\mathrm{std}},\quad m_{n+1} = m_n + b_{n+1}",
                "the same with densities c^b, b = 1 in pruned layers and 0 in dense ones",
                multiple(LINEAR, some, some, power, power, counting),
            ),
            Step(
                r"\tilde\Theta_{L+1} = c^{L+1}\,\tilde\Theta_{L+1}^{\mathrm{std}}",
                "induction with c in every layer",
                multiple(LINEAR, kept, kept, C**n, C**n),
            ),
            Step(
                r"\Theta = c^L\,\Theta_{\mathrm{std}}",
                "L layers with c, then V = T = 1",
                Identity(output, C**n * dense),
            ),
        ],
        HYPOTHESES,
        {
            "exponent one more": multiple(LINEAR, kept, kept, C**n, C ** (n + 1)),
            "c^L with all layers pruned": multiple(LINEAR, kept, kept, C**n, C ** (n - 1)),
            "c^(L+1) with a dense output": Identity(output, C ** (n + 1) * dense),
            "first layer missing": multiple(LINEAR, each, each, product(n), product(n), late),
            "last layer missing": multiple(
                LINEAR, each, each, product(n), product(n) / density(n), products
            ),
            "5 % more": multiple(LINEAR, kept, kept, C**n, _FIVE * C**n),
            "erf": multiple(dual("erf"), kept, kept, C**n, C**n),
            "duals left free": multiple(ANY, kept, kept, C**n, C**n),
            "degree 2": multiple(dual("monomial", p=2), kept, kept, C**n, C**n),
            "with biases": multiple(LINEAR, kept, kept, C**n, C**n, bias=_BIAS),
        },
    )  # fmt: skip


@derivation("reduction.all_train")
def _all_train() -> Derivation:
    """[A] (55): weights of variance c, every entry trained."""
    kept, one = constant(C), constant(sp.S.One)
    partial, dense = last_layer(LINEAR, 1, 1, C**n, C ** (n - 1))
    own = LINEAR.kappa(*standard(LINEAR).covariance(n))
    gain = sp.Function("g", positive=True)(n + 1)
    return Derivation(
        "reduction.all_train",
        "Variance profile of constant density, all entries trained, degree 1",
        r"\tilde S_n = c^n\,\tilde S_n^{\mathrm{std}},\quad"
        r"\tilde\Theta_n = c^{n-1}\,\tilde\Theta_n^{\mathrm{std}},\quad"
        r"\Theta = c^L\,\Theta_{\mathrm{std}}",
        "every L >= 0, all inputs; V = c and T = 1 in all L + 1 layers. With a dense output "
        "layer there is no such law",
        [
            Step(
                r"\tilde S_n = c^n\,\tilde S_n^{\mathrm{std}},\quad"
                r"\tilde\Theta_n = c^{n-1}\,\tilde\Theta_n^{\mathrm{std}}",
                "induction; the two carry different powers, and the kernel is the case L + 1",
                multiple(LINEAR, kept, one, C**n, C ** (n - 1)),
            ),
            Step(
                r"c^{L+1-l}\,c^{l-1} = c^L",
                "backward and forward power of layer l, [A] (65): exact, so the proviso of (66) "
                "on the size of the integral is not needed",
                Identity(C ** (n + 1 - sp.Symbol("l", integer=True, positive=True))
                         * C ** (sp.Symbol("l", integer=True, positive=True) - 1), C**n),
            ),
            Step(
                r"\Theta - c^{L-1}\,\Theta_{\mathrm{std}} = (c^L - c^{L-1})\,g\,S_L",
                "dense output layer: its own term scales by c^L, all others by c^(L-1)",
                Identity(partial - C ** (n - 1) * dense, (C**n - C ** (n - 1)) * gain * own),
            ),
        ],
        HYPOTHESES,
        {
            "same power forward and in the kernel": multiple(LINEAR, kept, one, C**n, C**n),
            "exponent one less": multiple(LINEAR, kept, one, C**n, C ** (n - 2)),
            "5 % less": multiple(LINEAR, kept, one, C**n, C ** (n - 1) / _FIVE),
            "erf, [A] (58)": multiple(dual("erf"), kept, one, C**n, C ** (n - 1)),
            "duals left free": multiple(ANY, kept, one, C**n, C ** (n - 1)),
            "c^L with a dense output": Identity(partial, C**n * dense),
            "c^(L-1) with a dense output": Identity(partial, C ** (n - 1) * dense),
            "with biases": multiple(
                LINEAR, kept, one, C**n, C ** (n - 1), bias=_BIAS
            ),
        },
    )  # fmt: skip


@derivation("reduction.degree")
def _degree() -> Derivation:
    """Degree k: the exponent grows geometrically with depth."""
    kept, one = constant(C), constant(sp.S.One)
    power, below = C ** E(n), C ** (E(n) - 1)
    wrong = {E(1): sp.S.One, E(n + 1): 1 + (K + 1) * E(n)}
    late = {E(1): K, E(n + 1): 1 + K * E(n)}
    output, dense = last_layer(POWER, 1, 1, power, power)
    return Derivation(
        "reduction.degree",
        "Constant density, activation of degree k",
        r"\Theta = c^{1 + k + \dots + k^L}\,\Theta_{\mathrm{std}}\ \text{(survivors train)},\quad "
        r"c^{k + \dots + k^L}\ \text{(all entries train, or a dense output layer)}",
        "every L >= 0 and k > 0, all inputs; the sums are those of reduction.exponent",
        [
            Step(
                r"\tilde S_n = c^{e_n}\tilde S_n^{\mathrm{std}},\quad"
                r"\tilde\Theta_n = c^{e_n}\tilde\Theta_n^{\mathrm{std}},\quad e_{n+1} = 1 + k e_n",
                "induction, survivors train",
                multiple(POWER, kept, kept, power, power, EXPONENTS),
            ),
            Step(
                r"\tilde S_n = c^{e_n}\tilde S_n^{\mathrm{std}},\quad"
                r"\tilde\Theta_n = c^{e_n - 1}\tilde\Theta_n^{\mathrm{std}}",
                "induction, all entries train",
                multiple(POWER, kept, one, power, below, EXPONENTS),
            ),
            Step(
                r"\Theta = c^{k e_L}\,\Theta_{\mathrm{std}}",
                "survivors train, dense output layer",
                Identity(output, C ** (K * E(n)) * dense),
            ),
        ],
        HYPOTHESES,
        {
            "degree k + 1": multiple(POWER, kept, kept, power, power, wrong),
            "degree 1's exponent": multiple(POWER, kept, kept, C**n, C**n),
            "starts at k": multiple(POWER, kept, kept, power, power, late),
            "all entries train, survivors' exponent": multiple(
                POWER, kept, one, power, power, EXPONENTS
            ),
            "dense output, all layers' exponent": Identity(output, C ** (1 + K * E(n)) * dense),
            "duals left free": multiple(ANY, kept, kept, power, power, EXPONENTS),
        },
    )
