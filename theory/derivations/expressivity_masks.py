"""Neurons of a mask with an exact global count are dependent: what survives of Lemma 5.6.

A mask that keeps exactly K entries has a threshold taken from all scores, so its neurons are
only asymptotically independent. For Random and Magnitude every such mask is equally likely and
the joint law is exact; for any other rule the mask contains a fixed-threshold mask of a lower
density with probability tending to one.
"""

from __future__ import annotations

import sympy as sp

from theory.derivation import (
    AllOf,
    Cited,
    Definition,
    Derivation,
    Identity,
    Induction,
    Sign,
    Step,
)
from theory.derivations import derivation
from theory.structural import StructuralSign

_E = sp.Symbol("e", integer=True, positive=True)  # number of edges
_D = sp.Symbol("D", positive=True)  # size of the mask, d n
_KEPT = sp.Symbol("K", positive=True)
_G = sp.Symbol("g", nonnegative=True)
_H = sp.Symbol("h", nonnegative=True)
_RHO = sp.Symbol("rho", positive=True)
_n, _d = sp.symbols("n d", positive=True)
_S = sp.Symbol("s", positive=True)


@derivation("expressivity.uniform_masks")
def _uniform_masks() -> Derivation:
    family = sp.Function("joint")
    falling = sp.gamma(_KEPT + 1) / sp.gamma(_KEPT - _E + 1)
    falling_all = sp.gamma(_D + 1) / sp.gamma(_D - _E + 1)
    closed = falling / falling_all
    step = (_KEPT - _E) / (_D - _E)
    i = sp.Symbol("i", nonnegative=True)
    pair = (_KEPT - i) * _D - _KEPT * (_D - i)  # numerator of (K-i)/(D-i) - K/D, negated
    mean = sp.Symbol("mu", positive=True)
    one = sp.Symbol("q", positive=True)
    return Derivation(
        "expressivity.uniform_masks",
        "Random and Magnitude with an exact count: negatively dependent neurons",
        r"\Pr[e\ \text{given edges kept}] = \frac{(K)_e}{(D)_e} \le \left(\frac KD\right)^e,\quad"
        r"\Pr[\text{two neurons}] \le \Pr[\text{one}]^2,\quad \operatorname{Var} N \le E N",
        "every mask of size D = d n with K <= D kept entries is equally likely; every e <= K",
        [
            Step(
                r"\Pr[e + 1] = \Pr[e]\,\frac{K - e}{D - e}",
                "of D - e entries left, K - e are kept",
                Definition("uniform law on masks with K entries"),
            ),
            Step(
                sp.Eq(family(_E), closed),
                "induction on the number of edges; falling factorials",
                Induction(
                    _E, [sp.Eq(family(_E), closed)], {family(1): _KEPT / _D},
                    {family(_E + 1): family(_E) * step},
                    domain={_KEPT: (20, 30), _D: (40, 60)},
                ),
            ),
            Step(
                r"\frac{K - i}{D - i} \le \frac KD",
                "so a kept edge makes the next less likely: (K - i) D - K (D - i) = -i (D - K)",
                AllOf(
                    (
                        Identity(pair, -i * (_D - _KEPT)),
                        StructuralSign(-i * _G, "<=0"),
                    )
                ),
            ),
            Step(
                r"K = \rho D:\quad \frac{K - i}{D - i} \to \rho\ (D \to \infty)",
                "for every fixed i, so k edges of one neuron are kept with probability -> rho^k",
                Identity(sp.limit((_RHO * _D - i) / (_D - i), _D, sp.oo), _RHO),
            ),
            Step(
                r"\operatorname{Var} N = \mu + \mu(\mu - q)\frac{q_2}{q^2} - \mu^2 \le \mu - \mu q"
                r" \le \mu,\quad \mu = n q,\ q_2 \le q^2",
                "n (n - 1) pairs; negative correlation: q_2 = q^2 / (1 + g)",
                AllOf(
                    (
                        Identity(
                            mean - mean * one - (mean + mean * (mean - one) / (1 + _G) - mean**2),
                            mean * (mean - one) * _G / (1 + _G),
                        ),
                        StructuralSign(mean * _H * _G / (1 + _G), ">=0"),
                    )
                ),
                ("n >= 1, so mu - q = h >= 0",),
            ),
            Step(
                r"\Pr[N < m] \le \mu / (\mu - m + 1)^2",
                "Chebyshev needs no more: expressivity.dense_core, second moment",
                Identity(
                    sp.limit(mean / (mean - _E + 1) ** 2, mean, sp.oo), sp.S.Zero
                ),
            ),
        ],
        mutants={
            "edges independent": Identity(
                closed.subs({_KEPT: 20, _D: 100, _E: 4}), sp.Rational(1, 5) ** 4
            ),
            "the next edge more likely": Sign(
                pair, ">0", {i: (1, 2), _KEPT: (20, 30), _D: (40, 60)}
            ),
            "one factor too many": Induction(
                _E, [sp.Eq(family(_E), closed * step)], {family(1): _KEPT / _D},
                {family(_E + 1): family(_E) * step}, domain={_KEPT: (20, 30), _D: (40, 60)},
            ),
        },
    )  # fmt: skip


@derivation("expressivity.uniform_variance")
def _uniform_variance() -> Derivation:
    """The binomial variance is right only while k^2 q / d is small, even for Random."""
    k = sp.Symbol("k", integer=True, positive=True)
    i = sp.Symbol("i", nonnegative=True)
    q, loss = _RHO**k, sp.Symbol("c", positive=True)
    one, two = sp.symbols("q_1 q_2", positive=True)
    factor = (_KEPT - k - i) * (_D - i) / ((_D - k - i) * (_KEPT - i))
    excess = k * (_D - _KEPT) / ((_D - k - i) * (_KEPT - i))
    rate = k * (1 - _RHO) / (_d * _RHO)
    ratio = 1 - q**2 * k * rate / (q * (1 - q))
    return Derivation(
        "expressivity.uniform_variance",
        "With an exact count, the number of Random's core neurons varies less than a binomial",
        r"\frac{\operatorname{Var} N}{n q (1 - q)} \to 1 - \frac{k^2 q (1 - \rho)}"
        r"{d \rho (1 - q)}\quad (n \to \infty,\ d\ \text{fixed}),\quad q = \rho^k",
        "every mask of size D = d n with K = rho D entries equally likely; every k <= d",
        [
            Step(
                r"\frac{q_2}{q_1^2} = \prod_{i<k} \frac{(K-k-i)(D-i)}{(D-k-i)(K-i)} ="
                r" \prod_{i<k}\left(1 - \frac{k(D-K)}{(D-k-i)(K-i)}\right)",
                "two neurons against one squared, from expressivity.uniform_masks",
                Identity(factor, 1 - excess),
            ),
            Step(
                r"n \frac{k(D-K)}{(D-k-i)(K-i)} \to \frac{k(1-\rho)}{d\rho}",
                "for each of the k factors",
                Identity(
                    sp.limit(_n * excess.subs({_KEPT: _RHO * _d * _n, _D: _d * _n}), _n, sp.oo),
                    rate,
                ),
            ),
            Step(
                r"n\left(\frac{q_2}{q_1^2} - 1\right) \to -k\,\frac{k(1-\rho)}{d\rho}",
                "k factors 1 - c/n + o(1/n): the derivative of (1 - c h)^k at h = 0",
                Identity(sp.diff((1 - loss * _S) ** k, _S).subs(_S, 0), -k * loss),
            ),
            Step(
                r"\operatorname{Var} N = n q_1 (1 - q_1) + n(n-1)(q_2 - q_1^2)",
                "so Var N / n tends to q (1 - q) - q^2 k^2 (1 - rho) / (d rho)",
                AllOf(
                    (
                        Identity(
                            _n * one + _n * (_n - 1) * two - (_n * one) ** 2,
                            _n * one * (1 - one) + _n * (_n - 1) * (two - one**2),
                        ),
                        Identity(ratio, 1 - k**2 * q * (1 - _RHO) / (_d * _RHO * (1 - q))),
                    )
                ),
            ),
            Step(
                r"k = d = 1:\quad 0",
                "one input: the count is the total, which is fixed",
                Identity(ratio.subs({k: 1, _d: 1}), sp.S.Zero),
            ),
            Step(
                r"d \to \infty:\quad 1",
                "binomial again",
                Identity(sp.limit(ratio.subs(k, 3), _d, sp.oo), sp.S.One),
            ),
        ],
        mutants={
            "linear in k": Identity(ratio, 1 - k * q * (1 - _RHO) / (_d * _RHO * (1 - q))),
            "binomial at every d": Identity(ratio, sp.S.One),
            "neurons share no edges, so are independent": Identity(factor, sp.S.One),
        },
    )


@derivation("expressivity.global_threshold")
def _global_threshold() -> Derivation:
    apart = _d * _n * (_d - 1) * (_n - 1)
    together = _d * _n * (_d + _n - 1)
    chance = sp.Symbol("x", real=True)
    bound = (_d + _n - 1) / (4 * _d * _n * _S**2)
    ratio = sp.Symbol("a", positive=True)
    return Derivation(
        "expressivity.global_threshold",
        "Lemma 5.6 with an exact global count, for any saliency model with random latents",
        r"\Pr[N < m] \le \Pr[\mathrm{Bin}(n, q(\rho - s)) < m] + \frac{d + n - 1}{4 d n s^2}",
        "every 0 < s < rho with K >= rho d n; d, n -> infinity together; q continuous at rho",
        [
            Step(
                r"\#\{S_{ij} \ge \tau(\rho - s)\} \le K \ \Rightarrow\ "
                r"M_{\tau(\rho-s)} \le M_K \ \text{entrywise}",
                "the K largest scores contain every set of at most K largest",
                Definition("the mask of the K largest scores"),
            ),
            Step(
                r"(dn)^2 - dn(d-1)(n-1) = dn(d + n - 1)",
                "pairs of edges that share a source or a target; all others are independent",
                Identity((_d * _n) ** 2 - apart, together),
            ),
            Step(
                r"x(1 - x) \le \tfrac14",
                "so each covariance is at most 1/4",
                AllOf(
                    (
                        Identity(
                            sp.Rational(1, 4) - chance * (1 - chance),
                            (chance - sp.Rational(1, 2)) ** 2,
                        ),
                        StructuralSign((chance - sp.Rational(1, 2)) ** 2, ">=0"),
                    )
                ),
            ),
            Step(
                r"\Pr[\#/(dn) - (\rho - s) > s] \le \frac{dn(d+n-1)}{4 (dn)^2 s^2}",
                "Chebyshev for the share of scores above tau(rho - s), whose mean is rho - s",
                Identity(together / (4 * (_d * _n) ** 2 * _S**2), bound),
            ),
            Step(
                r"\to 0 \quad (n = a d \to \infty)",
                "for every s > 0, so also for some s -> 0: the lemma keeps its boundary",
                AllOf(
                    (
                        Identity(sp.limit(bound.subs(_n, ratio * _d), _d, sp.oo), sp.S.Zero),
                        Identity(
                            sp.limit(
                                bound.subs({_n: ratio * _d, _S: _d ** sp.Rational(-1, 3)}),
                                _d, sp.oo,
                            ),
                            sp.S.Zero,
                        ),
                    )
                ),
            ),
        ],
        mutants={
            "all pairs of edges independent": Identity((_d * _n) ** 2 - apart, _d * _n),
            "one side may stay finite": Identity(sp.limit(bound, _n, sp.oo), sp.S.Zero),
            "s may fall like the square root": Identity(
                sp.limit(bound.subs({_n: _d, _S: 1 / sp.sqrt(_d)}), _d, sp.oo), sp.S.Zero
            ),
        },
    )  # fmt: skip


@derivation("expressivity.bounded_differences")
def _bounded_differences() -> Derivation:
    squares = _d * (1 / _d) ** 2 + _n * (1 / _n) ** 2 + _d * _n * (1 / (_d * _n)) ** 2
    return Derivation(
        "expressivity.bounded_differences",
        "An exponential bound for the threshold of an exact global count",
        r"\Pr[\#\{S \ge \tau(\rho - s)\} > \rho d n] \le "
        r"\exp\left(-\frac{2 s^2}{1/n + 1/d + 1/(dn)}\right)",
        "independent latents and noise; conditional on McDiarmid's inequality",
        [
            Step(
                r"\sum c_i^2 = d\,d^{-2} + n\,n^{-2} + dn\,(dn)^{-2} = \tfrac1n + \tfrac1d"
                r" + \tfrac1{dn}",
                "one source moves the share of kept entries by at most 1/d, one target by 1/n, "
                "one edge by 1/(dn)",
                Identity(squares, 1 / _n + 1 / _d + 1 / (_d * _n)),
            ),
            Step(
                r"\Pr[X - EX \ge s] \le e^{-2s^2/\sum c_i^2}",
                "bounded differences",
                Cited("McDiarmid's inequality", "McDiarmid 1989"),
            ),
        ],
        mutants={
            "edges only": Identity(squares, 1 / (_d * _n)),
        },
    )
