"""Proofs about limit graphons: the three graphons, Magnitude's constants, taxonomy, turn-over.

The statements hold for every pair of positive factors ``r``, ``c`` or every pair of profiles;
what they take for granted are the tail moments of the Gaussian, proved in
:mod:`theory.derivations.laws`.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory import criteria
from theory.derivation import (
    AllOf,
    Antiderivative,
    Cited,
    Definition,
    Derivation,
    Identity,
    Induction,
    Sign,
    Step,
)
from theory.derivations import derivation
from theory.laws import Gaussian, TailMoment, TwoSidedTail
from theory.saliency import MagnitudeRule, OffsetRule, SignedRule
from theory.structural import StructuralSign
from theory.symbols import L as depth
from theory.symbols import c, p, r, rho, tau, u, v, x

_R = sp.Function("r", positive=True)(u)
_C = sp.Function("c", positive=True)(v)
_T = x / (r * c)  # the threshold x is positive where a rule asks for it


def _phi(t: Any) -> Any:
    return sp.exp(-(t**2) / 2) / sp.sqrt(2 * sp.pi)


def _rule_steps(rule: Any, tail: Any, t: sp.Expr, closed: dict[int, sp.Expr]) -> list[Step]:
    """Unevaluated moments of the kept weights, then their closed forms."""
    law, steps = Gaussian(), []
    level = t * r * c
    for order, name in ((0, "P"), (2, "V"), (1, r"\mu")):
        steps.append(
            Step(
                sp.Eq(sp.Symbol(name), tail(law, order, t)),
                "the rule keeps w iff its noise passes t = tau/(r c), since r c > 0",
                Identity(rule.moment(law, order, level), tail(law, order, t).doit()),
            )
        )
        steps.append(
            Step(
                sp.Eq(sp.Symbol(name), closed[order]),
                "closed form of the Gaussian's truncated moment",
                Identity(rule.moment(law, order, level), closed[order]),
            )
        )
    return steps


@derivation("limits.magnitude_rule")
def _magnitude_rule() -> Derivation:
    mask = sp.erfc(_T / sp.sqrt(2))
    closed = {0: mask, 2: mask + 2 * _T * _phi(_T), 1: sp.S.Zero}
    return Derivation(
        "limits.magnitude_rule",
        "P, V and mu of a rule |w| r c",
        r"P = \operatorname{erfc}(t/\sqrt2),\quad V = P + 2t\varphi(t),\quad \mu = 0,"
        r"\quad t = \tau/(rc)",
        "Gaussian weights of unit variance, r, c, tau > 0",
        _rule_steps(MagnitudeRule(), TwoSidedTail, _T, closed),
        mutants={
            "one-sided tail": Identity(closed[0], Gaussian().survival(_T)),
            "V = P": Identity(MagnitudeRule().moment(Gaussian(), 2, x), mask),
            "V with one tail's edge": Identity(
                MagnitudeRule().moment(Gaussian(), 2, x), mask + _T * _phi(_T)
            ),
        },
    )


@derivation("limits.signed_rule")
def _signed_rule() -> Derivation:
    t = tau / (r * c)
    tail = sp.erfc(t / sp.sqrt(2)) / 2
    closed = {0: tail, 2: tail + t * _phi(t), 1: _phi(t)}
    return Derivation(
        "limits.signed_rule",
        "P, V and mu of a rule w r c",
        r"P = \bar\Phi(t),\quad V = \bar\Phi(t) + t\varphi(t),\quad \mu = \varphi(t),"
        r"\quad t = \tau/(rc)",
        "Gaussian weights of unit variance, r, c > 0, tau of either sign",
        _rule_steps(SignedRule(), TailMoment, t, closed),
        mutants={
            "two-sided tail": Identity(SignedRule().moment(Gaussian(), 0, tau), 2 * tail),
            "centred weights": Identity(SignedRule().moment(Gaussian(), 1, tau), sp.S.Zero),
            "V with the wrong sign": Identity(
                SignedRule().moment(Gaussian(), 2, tau), tail - t * _phi(t)
            ),
        },
    )


@derivation("limits.magnitude")
def _magnitude() -> Derivation:
    limit = criteria.magnitude().limit(rho)
    t = limit.threshold
    domain = {rho: (sp.Rational(1, 100), sp.Rational(99, 100))}
    return Derivation(
        "limits.magnitude",
        "Magnitude: constant mask graphon, larger variance graphon",
        r"t = \bar\Phi^{-1}(\rho/2),\quad P = \rho,\quad V = \rho + 2t\varphi(t) > \rho",
        "Gaussian weights, 0 < rho < 1 (the inequality: 0.01 <= rho <= 0.99)",
        [
            Step(
                sp.Eq(sp.Symbol("P"), rho),
                "the threshold is the two-sided quantile",
                Identity(limit.mask, rho, domain=domain),
            ),
            Step(
                sp.Eq(sp.Symbol("V"), rho + 2 * t * _phi(t)),
                "two-sided second moment at that threshold",
                Identity(limit.variance, rho + 2 * t * _phi(t), domain=domain),
            ),
            Step(
                r"V > \rho",
                "the edge term is positive",
                Sign(2 * t * _phi(t), ">0", domain),
            ),
        ],
        mutants={
            "V = rho": Identity(limit.variance, rho, domain=domain),
            "V = rho + t phi(t)": Identity(limit.variance, rho + t * _phi(t), domain=domain),
            "one-sided threshold": Identity(
                Gaussian().two_sided_survival(Gaussian().quantile(1 - rho)), rho,
                domain={rho: (sp.Rational(1, 100), sp.Rational(1, 3))},
            ),
        },
    )  # fmt: skip


@derivation("limits.taxonomy")
def _taxonomy() -> Derivation:
    constant = [criteria.random().limit(rho).mask, criteria.magnitude().limit(rho).mask]
    snip = MagnitudeRule().moment(Gaussian(), 0, x).subs({r: _R, c: _C})
    t = x / (_R * _C)
    along = {u: sp.diff(_R, u) / _R, v: sp.diff(_C, v) / _C}
    slopes = AllOf(tuple(Identity(sp.diff(snip, at), 2 * t * _phi(t) * along[at]) for at in (u, v)))
    return Derivation(
        "limits.taxonomy",
        "When a graphon of the rule |w| r c is constant",
        r"\partial_u P = 2t\varphi(t)\,\frac{r'(u)}{r(u)},\quad"
        r"\partial_v P = 2t\varphi(t)\,\frac{c'(v)}{c(v)}",
        "Gaussian weights, any differentiable positive factors, tau > 0: so P is constant iff both "
        "factors are; Random and Magnitude for every density",
        [
            Step(
                r"\partial_u P = \partial_v P = 0",
                "Random and Magnitude: no factor depends on a position",
                AllOf(
                    tuple(Identity(sp.diff(m, at), sp.S.Zero) for m in constant for at in (u, v))
                ),
            ),
            Step(r"\partial P = 2t\varphi(t)\,\partial\log(rc)", "chain rule", slopes),
            Step(
                r"2t\varphi(t) > 0",
                "so a derivative of P vanishes only where that of the factor does",
                StructuralSign(2 * _T * _phi(_T)),
            ),
        ],
        mutants={
            "SNIP is homogeneous": Identity(sp.diff(snip, u), sp.S.Zero),
            "the slope lacks its factor 2": Identity(
                sp.diff(snip, v), t * _phi(t) * sp.diff(_C, v) / _C
            ),
        },
    )


@derivation("limits.turn_over")
def _turn_over() -> Derivation:
    mask = SignedRule().moment(Gaussian(), 0, tau)
    t = tau / (r * c)
    factor = _phi(t) / (r**2 * c)
    low, high = mask.subs(tau, -x), mask.subs(tau, x)
    return Derivation(
        "limits.turn_over",
        "Signed rules turn over at density one half",
        r"\partial_r P = \tau\,\varphi(t)/(r^2 c):\ \text{strong sources are denser for } \tau > 0,"
        r"\ \text{sparser for } \tau < 0;\quad P \equiv \tfrac12 \text{ at } \tau = 0",
        "Gaussian weights, r, c > 0, every real tau; tau has the sign of 1/2 - rho",
        [
            Step(
                sp.Eq(sp.Derivative(sp.Function("P")(r), r), tau * factor),
                "differentiate the tail",
                Identity(sp.diff(mask, r), tau * factor),
            ),
            Step(
                r"\varphi(t)/(r^2 c) > 0",
                "so the slope has the sign of tau",
                StructuralSign(factor),
            ),
            Step(
                sp.Eq(sp.Symbol("P"), sp.Rational(1, 2)),
                "at tau = 0, for all factors, so that is density one half",
                Identity(mask.subs(tau, 0), sp.Rational(1, 2)),
            ),
            Step(
                r"\partial_\tau P < 0",
                "density falls with tau: tau > 0 below one half and tau < 0 above",
                StructuralSign(sp.diff(mask, tau), "<0"),
            ),
            Step(
                r"P \to \tfrac12\ (r \to \infty),\quad P \to 1\ (r \to 0),\quad \tau < 0",
                "limits of the tail for a negative threshold",
                AllOf(
                    (
                        Identity(sp.limit(low, r, sp.oo), sp.Rational(1, 2)),
                        Identity(sp.limit(low, r, 0, "+"), sp.S.One),
                        Identity(sp.limit(high, r, 0, "+"), sp.S.Zero),
                    )
                ),
            ),
        ],
        mutants={
            "no turn-over": Identity(sp.diff(mask, r), sp.Abs(tau) * factor),
            "turns over with the two-sided tail": Identity(
                MagnitudeRule().moment(Gaussian(), 0, tau).subs(tau, 0), sp.Rational(1, 2)
            ),
        },
    )


@derivation("limits.offset_rule")
def _offset_rule() -> Derivation:
    """Which weights pass ``|w| |r + B w| c >= tau``: the four roots, and where two are real."""
    offset = sp.Symbol("B", positive=True)
    level = x  # tau / c, positive
    outer = sp.sqrt(r**2 + 4 * offset * level)
    inner = sp.Symbol("s", nonnegative=True)  # sqrt(r^2 - 4 B t) where that is real
    real = {level: (r**2 - inner**2) / (4 * offset)}
    polynomial = lambda w: offset * w**2 + r * w  # noqa: E731
    high, low = 2 * level / (r + outer), -(r + outer) / (2 * offset)
    near, far = -2 * level / (r + inner), -(r + inner) / (2 * offset)
    rule = OffsetRule(offset)
    ends = [end for pair in rule.intervals(level * c) for end in pair if end.is_finite is not False]
    used = AllOf(
        (
            Identity(ends[0], high, domain={r: (1, 3), offset: (1, 2), level: (1, 2), c: (1, 2)}),
            Identity(ends[1], low, domain={r: (1, 3), offset: (1, 2), level: (1, 2), c: (1, 2)}),
        )
    )
    return Derivation(
        "limits.offset_rule",
        "The weights kept by the conditional model |w| |r + B w| c",
        r"|B w^2 + r w| \ge t \iff w \ge w_+ \ \text{or}\ w \le w_-\ \text{or}\ "
        r"w_1 \le w \le w_2\ (\text{the last only if}\ r^2 > 4Bt)",
        "r, B, t > 0; the outer roots solve B w^2 + r w = t, the inner ones = -t",
        [
            Step(
                r"B w_\pm^2 + r w_\pm = t",
                "outer roots",
                AllOf((Identity(polynomial(high), level), Identity(polynomial(low), level))),
            ),
            Step(
                r"B w_{1,2}^2 + r w_{1,2} = -t",
                "inner roots, written in s = sqrt(r^2 - 4 B t)",
                AllOf(
                    tuple(
                        Identity(polynomial(root).subs(real), -level.subs(real))
                        for root in (near, far)
                    )
                ),
            ),
            Step(
                r"\min_w (B w^2 + r w) = -r^2/(4B)",
                "so inner roots are real iff r^2 >= 4 B t",
                Identity(polynomial(-r / (2 * offset)), -(r**2) / (4 * offset)),
            ),
            Step("w_+, w_-", "the roots above are those that the code uses", used),
        ],
        mutants={
            "root without its sign": Identity(polynomial(-high), level),
            "discriminant with 2 B t": Identity(
                polynomial((-r + sp.sqrt(r**2 + 2 * offset * level)) / (2 * offset)), level
            ),
        },
    )


@derivation("sorting.cell_quantiles")
def _cell_quantiles() -> Derivation:
    """The normal quantile integrates to minus the density at the quantile."""
    level = sp.Symbol("q", real=True)  # the quantile itself; p = Phi(q)
    mass = sp.erfc(-level / sp.sqrt(2)) / 2
    return Derivation(
        "sorting.cell_quantiles",
        "Cell averages of the normal quantile",
        r"\int_a^b \Phi^{-1}(p)\,dp = \varphi(\Phi^{-1}(a)) - \varphi(\Phi^{-1}(b))",
        "0 <= a < b <= 1",
        [
            Step(
                r"-\varphi'(q) = q\,\varphi(q) = q\,\tfrac{d}{dq}\Phi(q)",
                "substitute p = Phi(q)",
                Identity(-sp.diff(_phi(level), level), level * sp.diff(mass, level)),
            ),
            Step(
                r"-\varphi(q) \to 0 \ (q \to \pm\infty)",
                "so the formula holds up to the ends",
                Antiderivative(-_phi(level), level * _phi(level), level, {sp.oo: 0, -sp.oo: 0}),
            ),
        ],
        mutants={
            "wrong sign": Identity(sp.diff(_phi(level), level), level * sp.diff(mass, level)),
            "5 % more": Identity(
                -sp.diff(_phi(level), level) * sp.Rational(21, 20), level * sp.diff(mass, level)
            ),
        },
    )


@derivation("paths.constant")
def _constant_paths() -> Derivation:
    """The path density of constant graphons, for every number of layers, by induction."""
    density = sp.Symbol("c", positive=True)
    paths = sp.Function("t")
    base = {paths(1, u): density}
    step = {paths(depth + 1, u): sp.Integral(density * paths(depth, v), (v, 0, 1))}
    return Derivation(
        "paths.constant",
        "Path density of constant graphons",
        r"t(c, \dots, c) = c^L",
        "every L >= 1",
        [
            Step(
                sp.Eq(paths(depth, u), density**depth),
                "induction over the number of layers",
                Induction(depth, sp.Eq(paths(depth, u), density**depth), base, step),
            )
        ],
        mutants={
            "c^(L+1)": Induction(depth, sp.Eq(paths(depth, u), density ** (depth + 1)), base, step),
            "L c": Induction(depth, sp.Eq(paths(depth, u), depth * density), base, step),
        },
    )


@derivation("limits.stein")
def _stein() -> Derivation:
    """SNIP's factor for Gaussian inputs; conditional on Stein's lemma, which is cited."""
    weight, rest, scale = sp.symbols("w s d", positive=True)
    error, sigma = sp.Function("e"), sp.Function("sigma")
    position = weight * p / sp.sqrt(scale) + rest
    first = sp.diff(sigma(x), x).subs(x, position)
    product = error(p) * first
    expected = sp.diff(error(p), p) * first + error(p) * weight / sp.sqrt(scale) * sp.diff(
        sigma(x), (x, 2)
    ).subs(x, position)
    curvature = sp.tanh(x).diff(x, 2) * _phi(x)
    sigmoid = (1 / (1 + sp.exp(-x))).diff(x, 2)
    return Derivation(
        "limits.stein",
        "What SNIP's gradient is made of, for Gaussian inputs",
        r"E[e\,\sigma'(z_j)\,x_i] = E[\partial_i e\;\sigma'(z_j)]"
        r" + \frac{w_{ij}}{\sqrt d}\,E[e\,\sigma''(z_j)]",
        "x ~ N(0, I); conditional on Stein's lemma",
        [
            Step(
                r"E[x_i\, g(x)] = E[\partial_i g(x)]",
                "Stein's lemma",
                Cited("Stein's lemma", "Stein 1981"),
            ),
            Step(
                r"\partial_i\big(e\,\sigma'(z_j)\big) = \partial_i e\;\sigma'(z_j)"
                r" + e\,\sigma''(z_j)\,w_{ij}/\sqrt d",
                "product and chain rule",
                Identity(sp.diff(product, p).doit(), expected.doit()),
            ),
            Step(
                r"E[\sigma''(z)] = 0",
                "for tanh and for the sigmoid: the second derivative is odd",
                AllOf(
                    (
                        Identity(curvature.subs(x, -x), -curvature),
                        Identity(sp.simplify(sigmoid.subs(x, -x) + sigmoid), sp.S.Zero),
                    )
                ),
            ),
        ],
        mutants={
            "no curvature term": Identity(
                2 * p * sp.diff(sp.erf(p), p), sp.diff(p**2 * sp.diff(sp.erf(p), p), p)
            ),
        },
    )


@derivation("limits.three_graphons")
def _three_graphons() -> Derivation:
    """The three graphons are three moments of one event; they are bounded by each other."""
    t = tau / (r * c)
    law = Gaussian()
    gap = law.variance - law.two_sided_second(_T)
    return Derivation(
        "limits.three_graphons",
        "Cauchy-Schwarz between the three graphons",
        r"\mu^2 \le P\,V,\qquad V \le 1",
        "Gaussian weights; on the box |t| <= 3",
        [
            Step(r"P, \mu, V = E[w^k M],\ k = 0, 1, 2", "definition", Definition("moments of M")),
            Step(
                r"\mu^2 \le P V",
                "Cauchy-Schwarz, checked on the box for the signed rule",
                Sign(
                    SignedRule().moment(law, 0, tau) * SignedRule().moment(law, 2, tau)
                    - SignedRule().moment(law, 1, tau) ** 2,
                    ">0",
                    {tau: (-3, 3), r: (1, 1), c: (1, 1)},
                ),
            ),
            Step(
                r"V < 1",
                "pruning removes second moment",
                Sign(gap.subs({r: 1, c: 1}), ">0", {x: (sp.Rational(1, 10), 6)}),
            ),
        ],
        mutants={"mu = P": Identity(SignedRule().moment(law, 1, tau), law.survival(t))},
    )
