"""Proofs about one surviving weight: what is left of it, and what a small mean does to it."""

from __future__ import annotations

from typing import Final

import sympy as sp

from theory.coupled import selected
from theory.derivation import AllOf, Antiderivative, Derivation, Identity, Sign, Step
from theory.derivations import derivation
from theory.laws import Gaussian, Laplace, Law, Uniform
from theory.rewrite import restrict

_t, _w = sp.symbols("t w", positive=True)
_m, _theta = sp.symbols("m theta", real=True)
_HALF: Final = sp.Rational(1, 2)
_GAUSS: Final = Gaussian()
_LAWS: Final[tuple[tuple[str, Law], ...]] = (
    ("Gaussian", Gaussian()),
    ("uniform", Uniform()),
    ("Laplace", Laplace()),
)
_INSIDE: Final = {_t: (sp.Rational(1, 10), sp.Rational(3, 2))}
"""Cuts inside the support of all three laws."""


def _at_zero(order: int, times: int) -> sp.Expr:
    """The Gaussian's selected moment, derived in m, at m = 0."""
    return sp.diff(selected(_GAUSS, order, _t, _m), _m, times).subs(_m, 0)


def _moment(power: int) -> sp.Expr:
    """``E w^(2k)`` of the standard normal."""
    return 2 ** sp.Integer(power) * sp.gamma(power + _HALF) / sp.sqrt(sp.pi)


def _shift(law: Law) -> sp.Expr:
    """Slope of ``E[(e + m); |e + m| >= t]`` at m = 0: the tails, and what crosses the cut."""
    return law.two_sided_survival(_t) + 2 * _t * law.density(_t)


def _inside(expr: sp.Expr) -> sp.Expr:
    """The formula that holds for cuts inside the support."""
    return restrict(expr, _t, *_INSIDE[_t])


@derivation("coupled.regression_on_itself")
def _regression() -> Derivation:
    """A surviving weight is V times the weight, plus what no linear function of it sees."""
    P, V, scale = sp.symbols("P V a", positive=True)
    # M is 0 or 1: moments of M w^2 and M^2 w^2 are one number, E[w^2] = 1.
    cross = V - scale * 1
    square = V - 2 * scale * V + scale**2
    return Derivation(
        "coupled.regression_on_itself",
        "A surviving weight, regressed on the weight itself",
        r"M w = V\,w + \zeta,\qquad E[\zeta] = E[\zeta w] = 0,\qquad "
        r"E[\zeta^2] = V(1 - V) \ge 0",
        "every even law with E[w^2] = 1, every cut: V = E[w^2; |w| >= t]",
        [
            Step(
                r"E[Mw\cdot w] = E[(Mw)^2] = V",
                "M is 0 or 1, so M = M^2",
                AllOf(tuple(Identity(bit**2, bit) for bit in (sp.S.Zero, sp.S.One))),
            ),
            Step(r"E[(Mw - aw)\,w] = V - a = 0\iff a = V", "the coefficient",
                 Identity(cross.subs(scale, V), 0)),
            Step(r"E[\zeta^2] = V - 2V\cdot V + V^2 = V(1 - V)", "what is left over",
                 Identity(square.subs(scale, V), V * (1 - V))),
            Step(r"E[\zeta] = 0", "the rule is even: selected weights have no mean",
                 AllOf(tuple(Identity(selected(law, 1, _t), 0, domain=_INSIDE)
                             for _, law in _LAWS))),
            Step(
                r"V \in [0, 1]:\quad V' = -2t^2\varphi(t),\ V(0) = 1,\ V(\infty) = 0",
                "so the rest is a variance; Gaussian",
                Antiderivative(_GAUSS.two_sided_second(_t), -2 * _t**2 * _GAUSS.density(_t), _t,
                               {0: 1, sp.oo: 0}),
            ),
        ],
        (),
        {
            "M w = P w + rest": Identity(cross.subs(scale, P), 0),
            "M w = w + rest": Identity(cross.subs(scale, 1), 0),
            "rest of variance V": Identity(square.subs(scale, V), V),
        },
    )  # fmt: skip


@derivation("coupled.selection")
def _selection() -> Derivation:
    """Selecting a Gaussian weight with a small mean: slope V, and how far that is from linear."""
    third = 2 * _t**3 * _GAUSS.density(_t)
    cubic = _w**3 - 3 * _w
    density = _GAUSS.density(_w)
    return Derivation(
        "coupled.selection",
        "Selecting a Gaussian weight that has a small mean",
        r"E\big[(\varepsilon + m)\,1\{|\varepsilon + m| \ge t\}\big] = V(t)\,m + "
        r"\tfrac13 t^3\varphi(t)\,m^3 + O(m^5)",
        "standard normal weight, every t > 0; the cubic rest is at most sqrt(6) (1 + |m|) |m|^3/6, "
        "whatever t; mask and second moment move by O(m^2)",
        [
            Step(
                r"\partial_m E[(\varepsilon + m)\,1\{\cdot\}]_{m=0} = P + 2t\varphi(t) = V(t)",
                "closed form of the shifted moment, derived",
                AllOf((Identity(_at_zero(1, 1), _GAUSS.two_sided_second(_t)),
                       Identity(_shift(_GAUSS), _GAUSS.two_sided_second(_t)))),
            ),
            Step(
                r"E[(\varepsilon - m)\,1\{\cdot\}] = -E[(\varepsilon + m)\,1\{\cdot\}]",
                "odd in m: no constant and no square",
                Identity(selected(_GAUSS, 1, _t, -_m), -selected(_GAUSS, 1, _t, _m)),
            ),
            Step(
                r"\Pr[|\varepsilon + m| \ge t],\ E[(\varepsilon + m)^2 1\{\cdot\}]"
                r"\ \text{are even in}\ m",
                "so that mask and second moment do not move to first order",
                AllOf(tuple(Identity(selected(_GAUSS, k, _t, -_m), selected(_GAUSS, k, _t, _m))
                            for k in (0, 2))),
            ),
            Step(
                r"\partial_m^3\big|_0 = E[\varepsilon\,\mathrm{He}_3(\varepsilon);"
                r"\,|\varepsilon| \ge t] = 2t^3\varphi(t)",
                "the first correction",
                AllOf((
                    Identity(_at_zero(1, 3), third),
                    Antiderivative(-(_w**3) * density, _w * cubic * density, _w, {sp.oo: 0}),
                )),
            ),
            Step(
                r"E[\mathrm{He}_3^2] = 6,\quad E[\varepsilon^2] = 1:\qquad"
                r"|\partial_m^3| \le \sqrt6\,(1 + |m|)",
                "for every m and t by Cauchy-Schwarz: w = (w - m) + m in "
                "E[w He_3(w - m); |w| >= t]; Taylor's rest follows, uniform over edges",
                Identity(_moment(3) - 6 * _moment(2) + 9 * _moment(1), 6),
            ),
            Step(
                r"m_{ij} = O(n^{-1/2}):\quad n^{-1/2}\sum_{j \le n} m_{ij}^3 = O(n^{-1})",
                "what the sum over sources makes of the rest",
                Identity(sp.limit(sp.Symbol("n", positive=True) ** (-_HALF)
                                  * sp.Symbol("n", positive=True)
                                  * sp.Symbol("n", positive=True) ** (-3 * _HALF),
                                  sp.Symbol("n", positive=True), sp.oo), 0),
            ),
        ],
        (),
        {
            "slope P": Identity(_at_zero(1, 1), _GAUSS.two_sided_survival(_t)),
            "slope V/P, a surviving weight's own variance": Identity(
                _at_zero(1, 1), _GAUSS.two_sided_second(_t) / _GAUSS.two_sided_survival(_t)),
            "one edge": Identity(_at_zero(1, 1),
                                 _GAUSS.two_sided_survival(_t) + _t * _GAUSS.density(_t)),
            "the mask moves to second order only by chance": Identity(_at_zero(0, 2), 0),
            "no cubic rest": Identity(_at_zero(1, 3), 0),
        },
    )  # fmt: skip


@derivation("coupled.other_laws")
def _other_laws() -> Derivation:
    """Weights of another law: V stays right, the shift does not; conditioning tilts a law."""
    top, bottom = sp.Function("N", real=True), sp.Function("D", positive=True)
    f = sp.Function("f", positive=True)(_w)
    quotient = sp.diff(top(_theta) / bottom(_theta), _theta)
    slope, base = sp.symbols("N' D'", real=True)
    at_zero = quotient.subs(
        {sp.Derivative(top(_theta), _theta): slope, sp.Derivative(bottom(_theta), _theta): base}
    ).subs({top(_theta): 0, bottom(_theta): 1, base: 0})
    x = sp.Symbol("x", real=True)
    tilted = _GAUSS.density(x) * sp.exp(_theta * x - _theta**2 / 2)

    def shift_is_second(law: Law) -> Identity:
        return Identity(_shift(law), law.two_sided_second(_t), domain=_INSIDE)

    return Derivation(
        "coupled.other_laws",
        "Why the regression is V for every weight law, and the slope of a shift is not",
        r"\partial_\theta\,\frac{E[w e^{\theta w};|w| \ge t]}{E[e^{\theta w}]}\Big|_0 = V(t)"
        r"\quad\text{(tilt)},\qquad \partial_m E[\varepsilon + m; |\varepsilon + m| \ge t]\big|_0"
        r" = P + 2tf(t)\quad\text{(shift)}",
        "even densities f with E[w^2] = 1 that vanish fast enough at infinity; examples for "
        "0.1 <= t <= 1.5",
        [
            Step(
                r"\left(\frac{N}{D}\right)' = N' = E[w\cdot w; |w| \ge t] = V",
                "a linear constraint on many weights tilts the law of each (Gibbs conditioning); "
                "N(0) = 0 and D'(0) = 0, as the law is even, D(0) = 1",
                Identity(at_zero, slope),
                ("exponential moments near zero, where the tilt is meant literally; the "
                 "covariance E[Mw w] = V needs none",),
            ),
            Step(r"\varphi(x)\,e^{\theta x - \theta^2/2} = \varphi(x - \theta)",
                 "a Gaussian that is tilted is shifted: the two agree",
                 Identity(tilted, _GAUSS.density(x - _theta))),
            Step(
                r"-w f'(w) = f(w) - (wf)':\quad \int_{|w| \ge t} -wf' = P + 2tf(t)",
                "a shift by parts, any even f",
                Identity(-_w * sp.diff(f, _w), f - sp.diff(_w * f, _w)),
            ),
            Step(r"P + 2t\varphi(t) = V(t)", "Stein's lemma: Gaussian only",
                 shift_is_second(Gaussian())),
            Step(
                r"P + 2tf(t) = 1,\qquad V = 1 - \frac{t^3}{3\sqrt3}",
                "uniform weights: the shift slope forgets the mask",
                AllOf((
                    Identity(_inside(_shift(Uniform())), 1),
                    Identity(_inside(Uniform().two_sided_second(_t)),
                             1 - _t**3 / (3 * sp.sqrt(3))),
                )),
            ),
            Step(
                r"V - P - 2tf(t) = t^2e^{-\sqrt2 t} > 0",
                "Laplace weights: it is too small",
                AllOf((
                    Identity(Laplace().two_sided_second(_t) - _shift(Laplace()),
                             _t**2 * sp.exp(-sp.sqrt(2) * _t)),
                    Sign(_t**2 * sp.exp(-sp.sqrt(2) * _t), ">0", _INSIDE),
                )),
            ),
        ],
        (),
        {
            "the shift slope is V for uniform weights": shift_is_second(Uniform()),
            "the shift slope is V for Laplace weights": shift_is_second(Laplace()),
            "a tilt of Laplace weights is a shift": Identity(
                (Laplace().density(_w) * sp.exp(_theta * _w)
                 * (1 - _theta**2 / 2)).subs(_theta, _HALF),
                Laplace().density(_w + 1 - _HALF)),
            "slope P under a tilt": Identity(
                Gaussian().two_sided_second(_t), Gaussian().two_sided_survival(_t)),
        },
    )  # fmt: skip
