r"""Where SynFlow's constant graphon becomes unstable: the gain of every weight law, and its root.

``G(s) = s^2 f(s) / J(s)`` with f the density of |w| and ``J(s) = E[|w|; |w| >= s]``. For each law
the gain is brought to a closed form, shown to increase from 0, and set to one. If |w| has a
continuous density on [0, a) and finite variance there is at least one root, because ``s J(s)``
vanishes at both ends; there may be several, and none if the density jumps. That the constant
graphon loses its stability where the gain is one comes from the linear response
(``synflow.response``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import sympy as sp

from theory import synflow
from theory.derivation import (
    AllOf,
    Check,
    Definition,
    Derivation,
    Enclosure,
    Identity,
    Sign,
    Step,
)
from theory.derivations import derivation
from theory.derivations.generic import BETA, DELTA, KAPPA, SHIPPED, Q, generic
from theory.law_base import Law
from theory.rewrite import restrict

_S: Final = sp.Symbol("s", positive=True)
_Y: Final = sp.Symbol("y", positive=True)
_M: Final = sp.Symbol("m", positive=True)
_LAMBERT: Final = sp.sqrt(1 - 2 * sp.log(2 * _M) - 2 * _M)
"""The truncation as a function of ``m = W(exp((1 - kappa^2) / 2) / 2)``."""


@dataclass(frozen=True)
class _Case:
    """How one law is brought to its closed form.

    cut: the cut as a function of a positive variable y that runs over the support. gain: the gain
    in y. root: the y at which it is one. density: what is left there.
    """

    cut: sp.Expr
    gain: sp.Expr
    root: sp.Expr
    density: sp.Expr


_DF: Final = 2 + DELTA
_CASES: Final[dict[str, _Case]] = {
    "gaussian": _Case(BETA * _Y, _Y**2, sp.Integer(1), sp.erfc(1 / sp.sqrt(2))),
    "uniform": _Case(
        sp.sqrt(3) * BETA * _Y / (1 + _Y),
        2 * _Y**2 / (1 + 2 * _Y),
        (1 + sp.sqrt(3)) / 2,
        1 - 1 / sp.sqrt(3),
    ),
    "laplace": _Case(
        BETA * _Y / sp.sqrt(2), _Y**2 / (1 + _Y), (1 + sp.sqrt(5)) / 2,
        sp.exp(-(1 + sp.sqrt(5)) / 2),
    ),
    "student_t": _Case(
        BETA * _Y,
        (_DF - 1) * _Y**2 / (_DF + _Y**2),
        sp.sqrt(_DF / (_DF - 2)),
        sp.betainc_regularized(_DF / 2, Q(1, 2), 0, (_DF - 2) / (_DF - 1)),
    ),
}  # fmt: skip


def _inside(expr: sp.Expr, law: Law) -> sp.Expr:
    """An expression in s on the inside of the support."""
    return expr if law.half_width is sp.oo else restrict(expr, _S, 0, law.half_width)


def _gain(law: Law) -> sp.Expr:
    return _inside(synflow.gain(law, _S), law)


def _root_checks(name: str, root: sp.Expr) -> Check:
    case = _CASES[name]
    return Identity(case.gain.subs(_Y, root), 1)


def _critical(name: str) -> Derivation:
    law, case = generic(name), _CASES[name]
    slope = sp.factor(sp.diff(case.gain, _Y))
    at_root = case.cut.subs(_Y, case.root)
    tail = _inside(law.two_sided_survival(_S), law).subs(_S, at_root)
    upper = _inside(law.mean_above(_S), law)
    density = _inside(law.density(_S), law)
    shipped = SHIPPED[name][-1]
    return Derivation(
        name=f"synflow.critical.{name}",
        title=f"SynFlow's critical density, {name.replace('_', ' ')} weights",
        statement=rf"\rho_c = {sp.latex(case.density)}",
        domain="every parameter of the law; the gain increases over the whole support",
        steps=[
            Step(
                r"\frac{d}{ds} \mathbb{E}[w; w \geq s] = -s f(s)",
                "so the gain is minus the logarithmic derivative of what it divides by",
                Identity(sp.diff(upper, _S), -_S * density),
            ),
            Step(
                rf"G = {sp.latex(case.gain)},\quad s = {sp.latex(case.cut)}",
                "closed forms of the law",
                Identity(_gain(law).subs(_S, case.cut), case.gain),
            ),
            Step(
                rf"\frac{{dG}}{{dy}} = {sp.latex(slope)} > 0,\quad G(0) = 0",
                "the gain increases, so it is one at most once",
                AllOf(
                    (
                        Identity(sp.diff(case.gain, _Y), slope),
                        Identity(sp.Abs(slope), slope),
                        Identity(case.gain.subs(_Y, 0), 0),
                    )
                ),
            ),
            Step(
                rf"G = 1 \text{{ at }} y = {sp.latex(case.root)}",
                "substitution, and the same cut from the law as shipped",
                AllOf(
                    (
                        _root_checks(name, case.root),
                        Identity(synflow.critical_cut(law), at_root),
                        Enclosure(
                            synflow.gain(shipped, synflow.critical_cut(shipped)),
                            1, {}, Q(1, 10**12),
                        ),
                    )
                ),
            ),
            Step(
                rf"\rho_c = \Pr[|w| \geq s_c] = {sp.latex(case.density)}",
                "the two-sided tail at that cut",
                AllOf(
                    (
                        Identity(tail, case.density),
                        Enclosure(
                            synflow.critical_density(shipped),
                            case.density.subs(DELTA, 3), {}, Q(1, 10**12),
                        ),
                    )
                ),
            ),
        ],
        mutants={
            "a cut five per cent higher": _root_checks(name, Q(21, 20) * case.root),
            "gain without the square": Identity(
                (_S * density / upper).subs(_S, case.cut), case.gain
            ),
            "half the gain": Identity(_gain(law).subs(_S, case.cut) / 2, case.gain),
            "one-sided density": Identity(tail / 2, case.density),
        },
    )  # fmt: skip


def _register() -> None:
    for name in _CASES:
        derivation(f"synflow.critical.{name}")(partial(_critical, name))


_register()


@derivation("synflow.critical.truncated_normal")
def truncated() -> Derivation:
    """The truncated normal, whose cut is a value of Lambert's function."""
    law = generic("truncated_normal")
    gain = _gain(law).subs(_S, BETA * _Y)
    room = sp.Symbol("q", positive=True)  # (kappa^2 - y^2) / 2
    closed = _Y**2 / (1 - sp.exp(-room))
    slope = 2 / _Y + _Y / (sp.exp(room) - 1)
    log_slope = sp.diff(sp.log(closed.subs(room, (KAPPA**2 - _Y**2) / 2)), _Y)
    grown = sp.Symbol("p", positive=True)  # e^q - 1
    positive = slope.subs(room, sp.log(1 + grown))
    root = sp.sqrt(1 - 2 * _M)
    (shipped,) = SHIPPED["truncated_normal"]
    cut = synflow.critical_cut(shipped)

    def at_root(value: sp.Expr) -> Check:
        found = (_Y**2 / (1 - sp.exp((_Y**2 - KAPPA**2) / 2))).subs({_Y: value, KAPPA: _LAMBERT})
        return Identity(found, 1, domain={_M: (Q(1, 50), Q(2, 5))})

    return Derivation(
        name="synflow.critical.truncated_normal",
        title="SynFlow's critical density, truncated normal weights",
        statement=r"s_c = \beta\sqrt{1 - 2m},\quad m e^m = \tfrac{1}{2} e^{(1-\kappa^2)/2}",
        domain="every truncation kappa, with beta the deviation before the cut; 0 < m < 1/2",
        steps=[
            Step(
                r"G = \frac{y^2}{1 - e^{-q}},\quad s = \beta y,\ q = (\kappa^2 - y^2)/2 > 0",
                "closed forms of the law",
                Identity(gain, closed.subs(room, (KAPPA**2 - _Y**2) / 2)),
            ),
            Step(
                r"\frac{d \log G}{dy} = \frac{2}{y} + \frac{y}{e^q - 1} > 0",
                "the gain increases from 0 and diverges at the edge, so it is one exactly once",
                Identity(log_slope, slope.subs(room, (KAPPA**2 - _Y**2) / 2)),
            ),
            Step(
                r"\frac{2}{y} + \frac{y}{e^q - 1} > 0",
                "with e^q = 1 + p both terms are positive",
                Identity(sp.Abs(positive), positive),
            ),
            Step(
                r"m = W\!\big(\tfrac{1}{2} e^{(1-\kappa^2)/2}\big)",
                "name the root of Lambert's equation",
                Definition("m e^m = exp((1 - kappa^2)/2)/2"),
            ),
            Step(
                r"G = 1 \text{ at } y = \sqrt{1 - 2m}",
                "substitute the truncation as a function of m",
                at_root(root),
            ),
            Step(
                r"G(s_c) = 1",
                "the law as shipped, by balls",
                Enclosure(synflow.gain(shipped, cut), 1, {}, Q(1, 10**12)),
            ),
        ],
        mutants={
            "the normal's cut": at_root(sp.Integer(1)),
            "m for 2 m": at_root(sp.sqrt(1 - _M)),
            "five per cent": Enclosure(synflow.gain(shipped, cut * Q(21, 20)), 1, {}, Q(1, 10**12)),
        },
    )


@derivation("synflow.critical.exists")
def exists() -> Derivation:
    """A continuous density of finite variance has a cut at which the gain is one."""
    upper = sp.Function("J", positive=True)(_S)
    second = sp.Function("M", positive=True)(_S)
    gain = -_S * sp.diff(upper, _S) / upper

    def bound(factor: sp.Expr) -> Check:
        # M' = -s^2 f = s J'
        slope = sp.diff(second - factor * _S * upper, _S)
        return Identity(slope.subs(sp.diff(second, _S), _S * sp.diff(upper, _S)), -upper)

    # |w| uniform on [1, 1.1]: a density that jumps.
    low, high = sp.Integer(1), Q(11, 10)
    mass = sp.integrate(_Y / (high - low), (_Y, _S, high))
    jumps = _S**2 / (high - low) / mass
    inside = {_S: (low, high)}
    return Derivation(
        name="synflow.critical.exists",
        title="Where the gain of SynFlow is one: at least one cut for a continuous density",
        statement=r"\text{there is at least one cut } s_c \in (0, a) \text{ with } G(s_c) = 1"
        r"\text{; there may be several}",
        domain="|w| with a continuous density on [0, a), a its largest value, finite or not, and "
        "E[w^2] finite",
        hypotheses=(
            "J(s) = E[|w|; |w| >= s] and M(s) = E[w^2; |w| >= s]",
            "that stability is lost where the gain is one is the linear response: synflow.response",
        ),
        steps=[
            Step(
                r"\frac{d}{ds}\big(M(s) - s J(s)\big) = -J(s) < 0",
                "J' = -s f and M' = -s^2 f; the difference falls to 0 at the upper end, so it is "
                "positive, and s J(s) < M(s) tends to 0 there with the tail of the variance",
                bound(sp.Integer(1)),
            ),
            Step(
                r"\frac{d}{ds}\big(s J(s)\big) = J(s)\,(1 - G(s))",
                "s J(s) is positive and vanishes at both ends, so its derivative vanishes inside; "
                "J does not",
                Identity(sp.diff(_S * upper, _S), upper * (1 - gain)),
            ),
            Step(
                r"|w| \text{ uniform on } [1, 1.1]:\quad G = 0\ (s < 1),\quad "
                r"G = \frac{2s^2}{1.21 - s^2} \ge \frac{2}{0.21} > 1\ (s \ge 1)",
                "the density must be continuous: here it jumps, the gain with it, from 0 to 9.5, "
                "and is never one",
                AllOf(
                    (
                        Identity(jumps, 2 * _S**2 / (Q(121, 100) - _S**2)),
                        Identity(jumps.subs(_S, low), Q(200, 21)),
                        Sign(2 * _S**2 - (Q(121, 100) - _S**2), ">0", inside),
                    )
                ),
            ),
        ],
        mutants={
            "2 s J": bound(sp.Integer(2)),
            "1 + G": Identity(sp.diff(_S * upper, _S), upper * (1 + gain)),
            "a density that jumps has a cut too": Sign(
                2 * _S**2 - (Q(121, 100) - _S**2), "<=0", inside
            ),
        },
    )
