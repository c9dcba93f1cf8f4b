"""Proofs of [B] Lemma 5.6 (reconstructed): when masks hold a dense core, and when they do not.

Symbols: n neurons, k inputs, q the probability that a neuron sees all k, mu = n q the expected
number of fully connected neurons, m the number wanted. Statements hold for every n, k, m unless
a step says otherwise. What they take for granted is a fixed threshold, so that neurons are
independent; :mod:`theory.derivations.expressivity_masks` removes that.
"""

from __future__ import annotations

import sympy as sp

from theory.derivation import (
    AllOf,
    Antiderivative,
    Definition,
    Derivation,
    Identity,
    Induction,
    Step,
)
from theory.derivations import derivation
from theory.structural import StructuralSign
from theory.symbols import n

_Q = sp.Symbol("q", positive=True)
_MU = sp.Symbol("mu", positive=True)
_S = sp.Symbol("s", positive=True)
_G = sp.Symbol("g", nonnegative=True)
_H = sp.Symbol("h", nonnegative=True)
_K = sp.Symbol("k", integer=True, positive=True)
_M = sp.Symbol("m", integer=True, positive=True)
_P = sp.Symbol("p", positive=True)
_B = sp.Symbol("beta", positive=True)


@derivation("expressivity.core_probability")
def _core_probability() -> Derivation:
    x = _P**_K + _H  # a product of k probabilities, by hypothesis at least p^k
    below_one = 1 / (1 + _S)
    return Derivation(
        "expressivity.core_probability",
        "A floor p on A x B bounds the core probability by |B| p^k",
        r"q = \int_0^1 \prod_{i=1}^k P(u_i, v)\,dv \ \ge\ |B|\,p^k",
        "any k inputs in A, any graphon with P >= p on A x B; edges independent given positions",
        [
            Step(
                r"q = E\prod_i M_{ij} = \int \prod_i P(u_i, v)\,dv",
                "edges are independent given the positions, the neuron's is uniform",
                Definition("core probability of the k inputs"),
            ),
            Step(
                r"P_1 = p + g \ge p",
                "one input",
                StructuralSign(_P + _G - _P, ">=0"),
            ),
            Step(
                r"\prod_{i\le k} P_i = p^k + h,\ P_{k+1} = p + g \ \Rightarrow\ "
                r"\prod_{i\le k+1} P_i - p^{k+1} = h (p + g) + p^k g \ge 0",
                "induction on k",
                AllOf(
                    (
                        Identity(x * (_P + _G) - _P ** (_K + 1), _H * (_P + _G) + _P**_K * _G),
                        StructuralSign(_H * (_P + _G) + _P**_K * _G, ">=0"),
                    )
                ),
            ),
            Step(
                r"\int_0^1 \ge \int_B \ge |B| p^k",
                "the integrand is non-negative outside B; equality for P = p on A x B, 0 outside",
                Identity(sp.Integral(_P**_K, (_S, 0, _B)).doit(), _B * _P**_K),
            ),
        ],
        mutants={
            "one edge too few": StructuralSign((_P**_K - _P ** (_K - 1)).subs(_P, below_one)
                                               .subs(_K, 2).factor(), ">=0"),
            "B counted k times": Identity(
                sp.Integral(_P**_K, (_S, 0, _B)).doit(), _B**_K * _P**_K
            ),
        },
    )  # fmt: skip


@derivation("expressivity.binomial")
def _binomial() -> Derivation:
    family = sp.Function("G")
    one = 1 - _Q + _Q * _S
    law = one**n
    mean = sp.diff(law, _S).subs(_S, 1)
    pairs = sp.diff(law, _S, 2).subs(_S, 1)
    return Derivation(
        "expressivity.binomial",
        "Mean and variance of the number of fully connected neurons",
        r"E s^N = (1 - q + q s)^n,\quad E N = n q,\quad \operatorname{Var} N = n q (1 - q)",
        "every n; independent neurons of random position, threshold fixed",
        [
            Step(
                r"G_n(s) = (1 - q + q s)^n",
                "one more independent neuron multiplies the generating function",
                Induction(
                    n, [sp.Eq(family(n, _S), one**n)], {family(1, _S): one},
                    {family(n + 1, _S): family(n, _S) * one},
                ),
            ),
            Step(sp.Eq(sp.Symbol("E N"), n * _Q), "G'(1)", Identity(mean, n * _Q)),
            Step(
                r"E N(N-1) = n (n - 1) q^2", "G''(1)", Identity(pairs, n * (n - 1) * _Q**2)
            ),
            Step(
                r"\operatorname{Var} N = n q (1 - q)",
                "from the two",
                Identity(pairs + mean - mean**2, n * _Q * (1 - _Q)),
            ),
        ],
        mutants={
            "variance of a Poisson": Identity(pairs + mean - mean**2, n * _Q),
            "pairs counted n^2 times": Identity(pairs, n**2 * _Q**2),
        },
    )  # fmt: skip


@derivation("expressivity.dense_core")
def _dense_core() -> Derivation:
    """Both sides of Lemma 5.6 by second and first moments: no tail of a special law is needed."""
    a = _M - 1
    bound = _MU / (_MU - a) ** 2
    rate = sp.Symbol("lambda", positive=True)
    none = sp.limit((1 - rate / _S) ** _S, _S, sp.oo)
    return Derivation(
        "expressivity.dense_core",
        "m fully connected neurons with probability tending to one iff n q tends to infinity",
        r"\Pr[N < m] \le \frac{\mu}{(\mu - m + 1)^2} \to 0 \ (\mu = nq \to \infty),\qquad"
        r"\Pr[N \ge m] \le \frac{\mu}{m} \to 0 \ (\mu \to 0)",
        "every m, n, q (so k may depend on n); mu > m - 1 in the first bound; pairwise "
        "uncorrelated or negatively correlated neurons suffice",
        [
            Step(
                r"N = m - 1 - h,\ \mu = m - 1 + g:\quad (\mu - N)^2 - (\mu - m + 1)^2 = h(h + 2g)"
                r" \ge 0",
                "so 1{N < m} <= (N - mu)^2 / (mu - m + 1)^2 (Chebyshev)",
                AllOf(
                    (
                        Identity((a + _G - (a - _H)) ** 2 - (a + _G - a) ** 2, _H * (_H + 2 * _G)),
                        StructuralSign(_H * (_H + 2 * _G), ">=0"),
                    )
                ),
            ),
            Step(
                r"\operatorname{Var} N = \mu - \mu q \le \mu",
                "expressivity.binomial",
                StructuralSign(sp.expand(_MU - _MU * (1 - _Q)), ">=0"),
            ),
            Step(
                r"\mu / (\mu - m + 1)^2 \to 0",
                "for every fixed m",
                Identity(sp.limit(bound, _MU, sp.oo), sp.S.Zero),
            ),
            Step(
                r"m = \gamma\mu,\ \gamma < 1:\quad \mu / (\mu - m + 1)^2 \to 0",
                "even m growing in proportion to mu",
                Identity(
                    sp.limit(bound.subs(_M, _MU / (1 + rate)), _MU, sp.oo), sp.S.Zero
                ),
            ),
            Step(
                r"1\{N \ge m\} \le N / m",
                "Markov: N = m + h gives N/m - 1 = h/m",
                AllOf(
                    (
                        Identity((_M + _H) / _M - 1, _H / _M),
                        StructuralSign(_H / _M, ">=0"),
                    )
                ),
            ),
            Step(
                r"\mu / m \to 0",
                "the other side",
                Identity(sp.limit(_MU / _M, _MU, 0), sp.S.Zero),
            ),
            Step(
                r"nq = \lambda:\quad \Pr[N = 0] = (1 - \lambda/n)^n \to e^{-\lambda} > 0",
                "so nothing weaker than mu -> infinity will do",
                AllOf((Identity(none, sp.exp(-rate)), StructuralSign(sp.exp(-rate)))),
            ),
        ],
        mutants={
            "a bounded mean is enough": Identity(none, sp.S.Zero),
            "m may grow as fast as the mean": Identity(
                sp.limit(bound.subs(a, _MU - sp.sqrt(_MU)), _MU, sp.oo), sp.S.Zero
            ),
            "the second moment falls faster": Identity(
                sp.limit(_MU * bound, _MU, sp.oo), sp.S.Zero
            ),
        },
    )  # fmt: skip


@derivation("expressivity.chernoff")
def _chernoff() -> Derivation:
    a, ell = sp.symbols("a l", nonnegative=True)
    e = sp.Symbol("e", nonnegative=True)
    gap = e + (1 - e) * sp.log(1 - e) - e**2 / 2
    root = a + ell + sp.sqrt(ell**2 + 2 * a * ell)
    within = e / (1 + e)  # maps [0, oo) onto [0, 1)
    return Derivation(
        "expressivity.chernoff",
        "A closed form for a width that suffices",
        r"n \ge \frac{a + \ell + \sqrt{\ell^2 + 2 a \ell}}{q},\ a = m - 1,\ \ell = -\log\delta"
        r"\ \Rightarrow\ \Pr[N < m] \le \delta",
        "every m >= 1, 0 < q <= 1, 0 < delta < 1, N binomial (or negatively dependent)",
        [
            Step(
                r"E e^{-\lambda N} = (1 - q(1 - e^{-\lambda}))^n \le e^{-\mu(1 - e^{-\lambda})}",
                "1 - x <= e^{-x}: the gap vanishes with its slope at 0 and has curvature e^{-x}",
                AllOf(
                    (
                        Antiderivative(
                            sp.exp(-_H) - 1 + _H, 1 - sp.exp(-_H), _H, limits={0: 0}
                        ),
                        Antiderivative(1 - sp.exp(-_H), sp.exp(-_H), _H, limits={0: 0}),
                        StructuralSign(sp.exp(-_H)),
                    )
                ),
            ),
            Step(
                r"\lambda = -\log(1 - \varepsilon):\quad \lambda(1-\varepsilon)\mu - "
                r"\mu(1 - e^{-\lambda}) = "
                r"-\mu(\varepsilon + (1 - \varepsilon)\log(1 - \varepsilon))",
                "Markov's inequality for exp(-lambda N) at (1 - eps) mu",
                Identity(
                    -sp.log(1 - e) * (1 - e) * _MU - _MU * (1 - (1 - e)),
                    -_MU * (e + (1 - e) * sp.log(1 - e)),
                ),
            ),
            Step(
                r"\varepsilon + (1-\varepsilon)\log(1-\varepsilon) \ge \varepsilon^2/2,\ "
                r"0 \le \varepsilon < 1",
                "gap and slope vanish at 0, the curvature is eps/(1 - eps)",
                AllOf(
                    (
                        Antiderivative(gap, -sp.log(1 - e) - e, e, limits={0: 0}),
                        Antiderivative(-sp.log(1 - e) - e, e / (1 - e), e, limits={0: 0}),
                        StructuralSign(sp.simplify((e / (1 - e)).subs(e, within)), ">=0"),
                    )
                ),
            ),
            Step(
                r"(\mu - a)^2 = 2\mu\ell \ \text{at}\ \mu = a + \ell + \sqrt{\ell^2 + 2a\ell}",
                "eps mu = mu - a, so the bound is exp(-(mu - a)^2 / (2 mu)); the larger root",
                Identity((root - a) ** 2, 2 * root * ell),
            ),
            Step(
                r"\frac{d}{d\mu}\frac{(\mu - a)^2}{2\mu} = \frac{(\mu - a)(\mu + a)}{2\mu^2} \ge 0",
                "beyond a the bound only improves",
                AllOf(
                    (
                        Identity(
                            sp.diff((_MU - a) ** 2 / (2 * _MU), _MU),
                            (_MU - a) * (_MU + a) / (2 * _MU**2),
                        ),
                        StructuralSign(_G * (2 * a + _G) / (2 * _MU**2), ">=0"),
                    )
                ),
            ),
        ],
        mutants={
            "the smaller root": Identity((2 * a + ell - root) ** 2, 2 * root * ell),
            "without a": Identity((2 * ell - a) ** 2, 2 * (2 * ell) * ell),
            "exponent eps^2": StructuralSign(
                sp.diff(gap - e**2 / 2, e, 2).subs(e, sp.Rational(1, 4)), ">=0"
            ),
        },
    )  # fmt: skip


@derivation("expressivity.boundary")
def _boundary() -> Derivation:
    size, eps = sp.Symbol("n", positive=True), sp.Symbol("epsilon", positive=True)
    base = sp.Symbol("b", positive=True)  # p = e^{-b}
    chance = sp.exp(-base)

    def mean(k: sp.Expr) -> sp.Expr:
        return size * chance**k

    at = sp.log(size) / base
    poisson = [
        sp.limit(sp.ff(size, j) / sp.factorial(j) / size**j * (1 - 1 / size) ** (size - j), size,
                 sp.oo) for j in range(3)
    ]  # fmt: skip
    return Derivation(
        "expressivity.boundary",
        "The boundary n p^k -> infinity, with a sequence on each side",
        r"k_n = (1 \mp \varepsilon)\frac{\log n}{\log(1/p)}:\quad n p^{k_n} = n^{\pm\varepsilon}"
        r"\to \infty \text{ or } 0,\quad \Pr[N \ge m] \to 1 \text{ or } 0",
        "fixed p in (0, 1), every eps > 0, k_n as real numbers (rounding away from the boundary "
        "only helps); the constant graphon P = p",
        [
            Step(
                r"k_n = (1-\varepsilon)\log n/\log(1/p):\ n p^{k_n} = n^{\varepsilon}",
                "p = e^{-b}",
                Identity(mean((1 - eps) * at), size**eps),
            ),
            Step(
                r"k_n = (1+\varepsilon)\log n/\log(1/p):\ n p^{k_n} = n^{-\varepsilon}",
                "the same",
                Identity(mean((1 + eps) * at), size**-eps),
            ),
            Step(
                r"n^{\varepsilon} \to \infty,\quad n^{-\varepsilon} \to 0",
                "so expressivity.dense_core gives probability 1 and 0",
                AllOf(
                    (
                        Identity(sp.limit(sp.exp(-eps * _S), _S, sp.oo), sp.S.Zero),
                        Identity(size**-eps, sp.exp(-eps * sp.log(size))),
                    )
                ),
            ),
            Step(
                r"k_n = \log n/\log(1/p):\quad \Pr[N = j] \to e^{-1}/j!,\ j = 0, 1, 2",
                "on the boundary the number is Poisson with mean one: neither 0 nor 1",
                AllOf(
                    tuple(
                        Identity(found, sp.exp(-1) / sp.factorial(j))
                        for j, found in enumerate(poisson)
                    )
                ),
            ),
        ],
        mutants={
            "the boundary itself is enough": Identity(1 - poisson[0], sp.S.One),
            "natural logarithm of p forgotten": Identity(
                mean((1 - eps) * sp.log(size)), size**eps
            ),
            "k of the other side": Identity(mean((1 + eps) * at), size**eps),
        },
    )  # fmt: skip
