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
    Definition,
    Derivation,
    Identity,
    Sign,
    Step,
)
from theory.derivations import derivation
from theory.laws import Gaussian, TailMoment, TwoSidedTail
from theory.saliency import MagnitudeRule, SignedRule
from theory.structural import StructuralSign
from theory.symbols import c, r, rho, tau, u, v

_R = sp.Function("r", positive=True)(u)
_C = sp.Function("c", positive=True)(v)
_LEVEL = sp.Symbol("tau", positive=True)  # a magnitude rule's threshold is positive
_T = _LEVEL / (r * c)


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
            "V = P": Identity(MagnitudeRule().moment(Gaussian(), 2, _LEVEL), mask),
            "V with one tail's edge": Identity(
                MagnitudeRule().moment(Gaussian(), 2, _LEVEL), mask + _T * _phi(_T)
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
    snip = MagnitudeRule().moment(Gaussian(), 0, _LEVEL).subs({r: _R, c: _C})
    t = _LEVEL / (_R * _C)
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
    low, high = mask.subs(tau, -_LEVEL), mask.subs(tau, _LEVEL)
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
                Sign(gap.subs({r: 1, c: 1}), ">0", {_LEVEL: (sp.Rational(1, 10), 6)}),
            ),
        ],
        mutants={"mu = P": Identity(SignedRule().moment(law, 1, tau), law.survival(t))},
    )
