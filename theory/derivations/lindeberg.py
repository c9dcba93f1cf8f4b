"""Lindeberg's condition for pre-activations: when it holds ([A] equation (14)), and when not.

A pre-activation is a sum of independent terms ``sqrt(W_j) w_j`` (variance profile) or ``M_j w_j``
(mask), with Gaussian w and activations of one size. Lindeberg's sum is the share of the variance
that comes from terms larger than ``eps`` times the deviation of the whole; with
``V(t) = E[w^2; |w| >= t]`` it is a mean of ``V`` at ``eps s_n / sqrt(W_j)``.
"""

from __future__ import annotations

from typing import Final

import sympy as sp

from theory.derivation import (
    AllOf,
    Antiderivative,
    Derivation,
    Identity,
    Sign,
    Step,
)
from theory.derivations import derivation
from theory.laws import Gaussian

_T: Final = sp.Symbol("t", positive=True)
_N: Final = sp.Symbol("n", positive=True)
_EPS: Final = sp.Symbol("epsilon", positive=True)
_MEAN: Final = sp.Symbol("m", positive=True)
_BOUND: Final = sp.Symbol("B", positive=True)
_ALPHA: Final = sp.Symbol("alpha", positive=True)
_J: Final = sp.Symbol("j", positive=True, integer=True)
_HALF: Final = sp.Rational(1, 2)


def tail_variance(t: sp.Expr) -> sp.Expr:
    """``V(t) = E[w^2; |w| >= t]`` of the standard normal."""
    return Gaussian().two_sided_second(t)


def _falls(scale: sp.Expr, end: sp.Expr = sp.S.Zero) -> Antiderivative:
    """``V(scale sqrt(n))`` is decreasing in n, with this limit."""
    argument = scale * sp.sqrt(_N)
    slope = -2 * argument**2 * Gaussian().density(argument) * sp.diff(argument, _N)
    return Antiderivative(tail_variance(argument), slope, _N, {sp.oo: end})


@derivation("lindeberg.bounded")
def bounded() -> Derivation:
    """Bounded profiles: the sum is at most ``V(eps sqrt(n m / B))``, which vanishes."""
    monotone = Antiderivative(
        tail_variance(_T), -2 * _T**2 * Gaussian().density(_T), _T, {0: 1, sp.oo: 0}
    )
    root = sp.sqrt(_MEAN / _BOUND)
    size = 2 * _T**2 * Gaussian().density(_T)
    return Derivation(
        name="lindeberg.bounded",
        title="Lindeberg's condition holds for every bounded profile",
        statement=r"L_n(\varepsilon) = \frac{1}{s_n^2}\sum_{j \leq n}"
        r" \mathcal{W}_j V\!\Big(\frac{\varepsilon s_n}{\sqrt{\mathcal{W}_j}}\Big)"
        r" \leq V\!\big(\varepsilon\sqrt{n m/B}\big) \to 0",
        domain="0 <= W_j <= B with mean m > 0, every epsilon > 0; V(t) = E[w^2; |w| >= t]",
        hypotheses=("Gaussian weights, independent of each other and of the mask",),
        steps=[
            Step(
                r"V(t) = 2\bar\Phi(t) + 2t\varphi(t),\quad V' = -2t^2\varphi(t) < 0,"
                r"\quad V(0) = 1,\ V(\infty) = 0",
                "closed form of the truncated moment: it decreases, so the largest term's "
                "argument bounds the mean from above",
                AllOf((monotone, Identity(sp.Abs(size), size))),
            ),
            Step(
                r"\frac{\varepsilon s_n}{\sqrt{\mathcal{W}_j}} \geq"
                r" \varepsilon \sqrt{\frac{n m}{B}}",
                "s_n^2 = n m, and no profile value is above B",
                Identity(_EPS * sp.sqrt(_N * _MEAN) / sp.sqrt(_BOUND), _EPS * root * sp.sqrt(_N)),
            ),
            Step(
                r"\lim_{n \to \infty} V\big(\varepsilon\sqrt{n m/B}\big) = 0",
                "limit of the closed form",
                _falls(_EPS * root),
            ),
        ],
        mutants={
            "the tail keeps half of its mass": _falls(_EPS * root, _HALF),
            "one tail": Antiderivative(
                tail_variance(_T), -(_T**2) * Gaussian().density(_T), _T, {0: 1, sp.oo: 0}
            ),
            "P for V": Antiderivative(
                tail_variance(_T), -2 * Gaussian().density(_T), _T, {0: 1, sp.oo: 0}
            ),
        },
    )


@derivation("lindeberg.heavy")
def heavy() -> Derivation:
    """Profiles that are not integrable: the first term alone keeps a share of the variance."""
    term = (_N / _J) ** _ALPHA
    zeta = sp.zeta(2)
    floor = tail_variance(_HALF * sp.sqrt(zeta)) / zeta
    return Derivation(
        name="lindeberg.heavy",
        title="Lindeberg's condition fails for a profile that is not integrable",
        statement=r"\mathcal{W}(u) = u^{-2}:\quad L_n(\tfrac12) \geq"
        r" \frac{V\big(\tfrac12\sqrt{\zeta(2)}\big)}{\zeta(2)} > \tfrac12"
        r"\quad\text{for every } n",
        domain="positions u = j/n, epsilon = 1/2; V(t) = E[w^2; |w| >= t]",
        hypotheses=("Gaussian weights with that variance profile, unbounded at u = 0",),
        steps=[
            Step(
                r"\mathcal{W}_j = (n/j)^\alpha,\quad \mathcal{W}_1 = n^\alpha,"
                r"\quad \mathcal{W}_j/\mathcal{W}_1 = j^{-\alpha}",
                "the profile at u = j/n",
                AllOf(
                    (
                        Identity(term.subs(_J, 1), _N**_ALPHA),
                        Identity(term / term.subs(_J, 1), _J ** (-_ALPHA)),
                    )
                ),
            ),
            Step(
                r"s_n^2/\mathcal{W}_1 = \sum_{j \leq n} j^{-2} \leq \zeta(2) = \pi^2/6",
                "partial sums of a positive series",
                Identity(sp.Sum(_J**-2, (_J, 1, sp.oo)).doit(), sp.pi**2 / 6),
            ),
            Step(
                r"\frac{\mathcal{W}_1}{s_n^2}"
                r" V\!\Big(\frac{s_n}{2\sqrt{\mathcal{W}_1}}\Big) \geq"
                r" \frac{V(\sqrt{\zeta(2)}/2)}{\zeta(2)} > \tfrac12",
                "V(t)/t^2 decreases on the range of t, [1/2, sqrt(zeta(2))/2]; terms are positive",
                AllOf(
                    (
                        Sign(floor - _HALF, ">0"),
                        Sign(sp.diff(tail_variance(_T) / _T**2, _T), "<0", {_T: (_HALF, 1)}),
                    )
                ),
            ),
        ],
        mutants={
            "five sixths of the variance": Sign(floor - sp.Rational(5, 6), ">0"),
            "the series sums to 3/2": Identity(sp.zeta(2), sp.Rational(3, 2)),
            "epsilon = 2": Sign(tail_variance(2 * sp.sqrt(zeta)) / zeta - _HALF, ">0"),
        },
    )
