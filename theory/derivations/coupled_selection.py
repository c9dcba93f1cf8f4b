"""Proofs about one surviving weight: what is left of it, and what a small mean does to it."""

from __future__ import annotations

from typing import Final

import sympy as sp

from theory.coupled import selected
from theory.derivation import AllOf, Antiderivative, Derivation, Identity, Sign, Step
from theory.derivations import derivation
from theory.derivations.coupled_examples import KEPT, SHARE, expectation
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


def _tilt_slope(law: Law) -> sp.Expr:
    """Derivative at 0 of ``E[w e^(theta w); |w| >= t] / E[e^(theta w)]``, by integrals.

    The integrals are done over w > 0 for ``e^(theta w)`` and ``e^(-theta w)``; on the whole line
    the rate at which the density falls is a symbol while it is integrated, so that it converges.
    """
    rate = sp.Symbol("r", positive=True)
    density = law.density(_w)
    if law.half_width is not sp.oo:
        density = restrict(density, _w, 0, law.half_width)
    falls = -sp.diff(sp.log(density), _w).simplify()  # 0 or a number for the laws here

    def side(power: int, low: sp.Expr, sign: int) -> sp.Expr:
        """Integral of ``(sign w)^k e^(sign theta w) f(w)`` from ``low``."""
        body = (sign * _w) ** power * sp.powsimp(density * sp.exp((falls - rate) * _w))
        found = sp.integrate(sp.simplify(body), (_w, low, law.half_width))
        return found.subs(rate, falls - sign * _theta)

    top = side(1, _t, 1) + side(1, _t, -1)
    bottom = side(0, sp.S.Zero, 1) + side(0, sp.S.Zero, -1)
    if law.half_width is sp.oo:
        return sp.simplify(sp.diff(top / bottom, _theta).subs(_theta, 0))
    return sp.limit(sp.simplify(top / (bottom * _theta)), _theta, 0)  # 0/0 at theta = 0


@derivation("coupled.regression_on_itself")
def _regression() -> Derivation:
    """A surviving weight is V times the weight, plus what no linear function of it sees."""
    scale = sp.Symbol("a", positive=True)
    # By outcomes of a two-level weight, and by what a law has on either side of the cut.
    cross = expectation(lambda w, M: (M * w - scale * w) * w)
    square = expectation(lambda w, M: (M * w - scale * w) ** 2)

    def apart(law: Law, coefficient: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """``E[(M w - a w) w]`` and ``E[(M w - a w)^2]``."""
        kept = _inside(selected(law, 2, _t))
        lost = law.variance - kept
        slope = (1 - coefficient) * kept - coefficient * lost
        return slope, (1 - coefficient) ** 2 * kept + coefficient**2 * lost

    second = {name: _inside(law.two_sided_second(_t)) for name, law in _LAWS}
    return Derivation(
        "coupled.regression_on_itself",
        "A surviving weight, regressed on the weight itself",
        r"M w = V\,w + \zeta,\qquad E[\zeta] = E[\zeta w] = 0,\qquad "
        r"E[\zeta^2] = V(1 - V) \ge 0",
        "every even law with E[w^2] = 1, every cut: V = E[w^2; |w| >= t]",
        [
            Step(
                r"E[Mw\cdot w] = E[(Mw)^2] = V",
                "M is 0 or 1, so M = M^2; all outcomes of a weight of two levels, with any P and "
                "V, and for the three laws V is the integral: V' = -2 t^2 f(t)",
                AllOf((
                    Identity(expectation(lambda w, M: M * w * w), KEPT),
                    Identity(expectation(lambda w, M: (M * w) ** 2), KEPT),
                    *(Identity(sp.diff(second[name], _t), _inside(-2 * _t**2 * law.density(_t)))
                      for name, law in _LAWS),
                    *(Identity(sp.limit(second[name], _t, 0), law.variance)
                      for name, law in _LAWS),
                )),
            ),
            Step(r"E[(Mw - aw)\,w] = V - a = 0\iff a = V",
                 "the coefficient: by outcomes, and by what each law has on either side of the cut",
                 AllOf((
                     Identity(cross, KEPT - scale),
                     *(Identity(apart(law, second[name])[0], 0) for name, law in _LAWS),
                 ))),
            Step(r"E[\zeta^2] = V - 2V\cdot V + V^2 = V(1 - V)", "what is left over, likewise",
                 AllOf((
                     Identity(square.subs(scale, KEPT), KEPT * (1 - KEPT)),
                     *(Identity(apart(law, second[name])[1], second[name] * (1 - second[name]))
                       for name, law in _LAWS),
                 ))),
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
            "M w = P w + rest": Identity(cross.subs(scale, SHARE), 0),
            "M w = P w + rest, Laplace weights": Identity(
                apart(Laplace(), Laplace().two_sided_survival(_t))[0], 0),
            "M w = w + rest": Identity(cross.subs(scale, 1), 0),
            "rest of variance V": Identity(square.subs(scale, KEPT), KEPT),
        },
    )  # fmt: skip


@derivation("coupled.selection")
def _selection() -> Derivation:
    """Selecting a Gaussian weight with a small mean: slope V, and how far that is from linear."""
    third = 2 * _t**3 * _GAUSS.density(_t)
    cubic = _w**3 - 3 * _w
    density = _GAUSS.density(_w)
    edges = [_GAUSS.density(_t - _m), _GAUSS.density(_t + _m)]

    def leibniz(order: int, sign: int = 1) -> Identity:
        """What moves inside the kept region, and what crosses its two edges."""
        inner = order * selected(_GAUSS, order - 1, _t, _m) if order else sp.S.Zero
        crossing = _t**order * (edges[0] - sign * (-1) ** order * edges[1])
        return Identity(sp.diff(selected(_GAUSS, order, _t, _m), _m), inner + crossing)

    bend = (2 * _t**3 + 4 * _t) * _GAUSS.density(_t) + _GAUSS.two_sided_survival(_t) * 2
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
                r"\partial_mS_k = k\,S_{k-1} + t^k\big[\varphi(t - m) - (-1)^k\varphi(t + m)\big],"
                r"\qquad S_k(0) = P,\ 0,\ V",
                "S_k = E[(e + m)^k; |e + m| >= t] for k = 0, 1, 2, by Leibniz' rule: the shifted "
                "weight moves, and crosses the two edges. With the values at m = 0 this is all of "
                "the closed forms, every m",
                AllOf((
                    *(leibniz(order) for order in (0, 1, 2)),
                    *(Identity(_at_zero(order, 0), value) for order, value in enumerate(
                        (_GAUSS.two_sided_survival(_t), 0, _GAUSS.two_sided_second(_t)))),
                )),
            ),
            Step(
                r"\partial_m^2S_2\big|_0 = E[\varepsilon^2\,\mathrm{He}_2(\varepsilon);"
                r"\,|\varepsilon| \ge t] = 2P + (2t^3 + 4t)\varphi(t)",
                "how the second moment moves; the integral by its antiderivative",
                AllOf((
                    Identity(_at_zero(2, 2), bend),
                    Antiderivative(-(_w**3 + 2 * _w) * density - 2 * _GAUSS.survival(_w),
                                   _w**2 * (_w**2 - 1) * density, _w, {sp.oo: 0}),
                )),
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
                "E[w He_3(w - m); |w| >= t]; Taylor's rest follows, uniform over edges. With m of "
                "order n^(-1/2) a sum over n sources, n^(-1/2) sum m^3, is of order 1/n",
                Identity(_moment(3) - 6 * _moment(2) + 9 * _moment(1), 6),
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
            "both edges lose": leibniz(1, -1),
            "the second moment moves like the weight's": Identity(
                _at_zero(2, 2), 2 * _GAUSS.two_sided_survival(_t)),
        },
    )  # fmt: skip


@derivation("coupled.other_laws")
def _other_laws() -> Derivation:
    """Weights of another law: V stays right, the shift does not; conditioning tilts a law."""
    f = sp.Function("f", positive=True)(_w)
    tilts = {law: _tilt_slope(law) for law in (Uniform(), Laplace())}
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
                r"\partial_\theta\frac{E[w e^{\theta w}; |w| \ge t]}{E[e^{\theta w}]}\Big|_0 = "
                r"E[w\cdot w; |w| \ge t] = V",
                "a linear constraint on many weights tilts the law of each (Gibbs conditioning): "
                "both integrals done at every theta, then derived; uniform and Laplace weights",
                AllOf(tuple(Identity(slope, _inside(law.two_sided_second(_t)))
                            for law, slope in tilts.items())),
                ("exponential moments near zero, where the tilt is meant literally; the "
                 "covariance E[Mw w] = V needs none",),
            ),
            Step(r"\varphi(x)\,e^{\theta x - \theta^2/2} = \varphi(x - \theta)",
                 "a Gaussian that is tilted is shifted: the two agree, so the slope of its tilt is "
                 "that of a shift",
                 AllOf((Identity(tilted, _GAUSS.density(x - _theta)),
                        Identity(_at_zero(1, 1), _GAUSS.two_sided_second(_t))))),
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
                tilts[Laplace()], Laplace().two_sided_survival(_t)),
            "a tilt's slope is a shift's": Identity(
                tilts[Uniform()], _inside(_shift(Uniform())), domain=_INSIDE),
        },
    )  # fmt: skip
