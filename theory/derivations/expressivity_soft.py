"""What soft criteria make of Lemma 5.6: no uniform floor, and a boundary that is not logarithmic.

For |w| r c with Gaussian weights and a half-normal column factor (SNIP, |GraSP|, SynFlow) the
probability of an edge tends to 1 with c, so a few strong neurons see far more inputs than a
fixed edge floor p suggests: ``-log q_k`` grows as ``k^{2/3}``, not as ``k``.
"""

from __future__ import annotations

import sympy as sp

from theory.derivation import AllOf, Antiderivative, Derivation, Identity, Step
from theory.derivations import derivation
from theory.structural import StructuralSign

_X = sp.Symbol("x", positive=True)
_A = sp.Symbol("a", positive=True)
_S = sp.Symbol("s", positive=True)
_BETA = sp.Symbol("beta", positive=True)
_THETA = sp.Symbol("theta", positive=True)
_SLOPE = sp.sqrt(2 / sp.pi)


def _phi(x: sp.Expr) -> sp.Expr:
    return sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)


def _tail(x: sp.Expr) -> sp.Expr:
    return sp.erfc(x / sp.sqrt(2)) / 2


@derivation("expressivity.soft_floor")
def _soft_floor() -> Derivation:
    hazard = _phi(_X) / _tail(_X)
    excess = _phi(_X) - _X * _tail(_X)
    shortfall = _tail(_X) - _X * _phi(_X) / (1 + _X**2)
    slack = sp.log(sp.erfc(_X / sp.sqrt(2))) + _SLOPE * _X
    am_gm = 1 / _S + _S**2 / 2 - sp.Rational(3, 2)
    edges = -(_A**3 / _BETA) * sp.log(1 - _BETA / _A) / _A**2
    neurons = -sp.expand_log(sp.log(2 * _A * _phi(_A) / (1 + _A**2)), force=True) / _A**2
    size, eps = sp.Symbol("L", positive=True), sp.Symbol("epsilon", positive=True)  # L = log n
    k_n = (1 - eps) * (2 * size / 3) ** sp.Rational(3, 2) / _BETA
    exponent = sp.Rational(3, 2) * (_BETA * k_n) ** sp.Rational(2, 3)
    return Derivation(
        "expressivity.soft_floor",
        "For SNIP the core probability falls like exp(-(3/2)(beta k)^{2/3})",
        r"-\log q_k \sim \tfrac32 (\beta k)^{2/3},\quad \beta = \sqrt{2/\pi}\,\tau/r:\quad"
        r"\text{the boundary is } k_n = \tfrac1\beta\left(\tfrac23\log n\right)^{3/2}",
        "score |w| r c, Gaussian w, half-normal c of scale 1, k inputs of one factor r, fixed "
        "tau > 0, k -> infinity; the upper bound holds for every k",
        [
            Step(
                r"\varphi(x) - x\bar\Phi(x) = \int_x^\infty \bar\Phi > 0",
                "Mills: so the hazard h = phi/tail exceeds x",
                Antiderivative(excess, -_tail(_X), _X, limits={sp.oo: 0}),
            ),
            Step(
                r"h' = h (h - x) > 0",
                "the hazard grows",
                Identity(sp.diff(hazard, _X), hazard * (hazard - _X)),
            ),
            Step(
                r"\frac{d}{dx}\left[\log 2\bar\Phi(x) + \sqrt{2/\pi}\,x\right] = h(0) - h(x) \le 0,"
                r"\quad P = 2\bar\Phi(x) \le e^{-\sqrt{2/\pi}\,x}",
                "zero at x = 0 and falling",
                AllOf(
                    (
                        Identity(sp.diff(slack, _X), _SLOPE - hazard),
                        Identity(slack.subs(_X, 0), sp.S.Zero),
                        Identity(hazard.subs(_X, 0), _SLOPE),
                    )
                ),
            ),
            Step(
                r"\frac{a^3}{c} + \frac{c^2}{2} - \frac32 a^2 = a^2\frac{(s-1)^2(s+2)}{2s} \ge 0,"
                r"\quad c = a s,\ a^3 = \beta k",
                "arithmetic and geometric mean of a^3/2c, a^3/2c, c^2/2",
                AllOf(
                    (
                        Identity(am_gm, (_S - 1) ** 2 * (_S + 2) / (2 * _S)),
                        StructuralSign((_S - 1) ** 2 * (_S + 2) / (2 * _S), ">=0"),
                    )
                ),
            ),
            Step(
                r"q_k \le \theta^{-1/2} e^{-\frac32(1-\theta)a^2},\quad 0 < \theta < 1",
                "keep a share theta of c^2/2 for the integral",
                Identity(
                    sp.integrate(_SLOPE * sp.exp(-_THETA * _X**2 / 2), (_X, 0, sp.oo)),
                    1 / sp.sqrt(_THETA),
                ),
            ),
            Step(
                r"\bar\Phi(a) \ge \frac{a\varphi(a)}{1 + a^2}",
                "neurons with c >= a: the difference falls to 0",
                AllOf(
                    (
                        Antiderivative(
                            shortfall, -2 * _phi(_X) / (1 + _X**2) ** 2, _X, limits={sp.oo: 0}
                        ),
                        StructuralSign(2 * _phi(_X) / (1 + _X**2) ** 2),
                    )
                ),
            ),
            Step(
                r"2\bar\Phi(x) \ge 1 - \sqrt{2/\pi}\,x",
                "the tail is convex: value and slope at 0 agree, the curvature is 2 x phi",
                AllOf(
                    (
                        Antiderivative(
                            2 * _tail(_X) - 1 + _SLOPE * _X, _SLOPE - 2 * _phi(_X), _X,
                            limits={0: 0},
                        ),
                        Antiderivative(_SLOPE - 2 * _phi(_X), 2 * _X * _phi(_X), _X, limits={0: 0}),
                        StructuralSign(2 * _X * _phi(_X)),
                    )
                ),
            ),
            Step(
                r"-\log q_k \le -\log 2\bar\Phi(a) - k\log(1 - \beta/a),\quad"
                r"\frac{-k\log(1-\beta/a)}{a^2} \to 1,\ "
                r"\frac{-\log 2\bar\Phi(a)}{a^2} \to \tfrac12",
                "the floor bound |B| p^k with B = {c >= a}, which grows rarer with k",
                AllOf(
                    (
                        Identity(sp.limit(edges, _A, sp.oo), sp.S.One),
                        Identity(sp.limit(neurons, _A, sp.oo), sp.Rational(1, 2)),
                    )
                ),
            ),
            Step(
                r"k_n = (1 - \varepsilon)\tfrac1\beta(\tfrac23\log n)^{3/2}:\quad "
                r"\tfrac32(\beta k_n)^{2/3} = (1-\varepsilon)^{2/3}\log n",
                "so n q tends to infinity for eps > 0 and to 0 for eps < 0",
                Identity(
                    exponent.subs(eps, 1 - _S), _S ** sp.Rational(2, 3) * size
                ),
            ),
        ],
        mutants={
            "linear in k": Identity(
                sp.limit(-(_A**3 / _BETA) * sp.log(1 - _BETA / _A) / _A**3, _A, sp.oo), sp.S.One
            ),
            "constant 1 instead of 3/2": Identity(am_gm + sp.Rational(1, 2),
                                                  (_S - 1) ** 2 * (_S + 2) / (2 * _S)),
            "slope of a one-sided tail": Identity(hazard.subs(_X, 0), _SLOPE / 2),
            "boundary with log n to the power one": Identity(
                sp.Rational(3, 2) * (2 * size / 3) ** sp.Rational(2, 3), size
            ),
        },
    )  # fmt: skip
