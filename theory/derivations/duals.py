"""Proofs of the closed forms of piecewise power activations: steps, the ReLU family, powers.

Every chain starts at independence (``q12 = 0``), where a dual is a product of means, and moves
along the covariance: by the fundamental theorem the derivative and that value determine the
closed form on ``q12^2 < q11 q22``, and continuity gives the two ends.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import sympy as sp

from theory.derivation import AllOf, Antiderivative, Check, Derivation, Identity, Step
from theory.derivations import derivation
from theory.derivations.duals_lemmas import (
    DELTA,
    DENSITY,
    NORMAL,
    Lemma,
    X,
    Y,
    form,
    price_lemma,
)
from theory.derivations.duals_steps import along, ends, scaling, variants
from theory.dual import q, q11, q12, q22, z
from theory.dual_piecewise import ABReLU, Abs, LeakyReLU, RectifiedPower, ReLU, Sign
from theory.dual_piecewise import Step as Jump

__all__: list[str] = []

_Q: Final = sp.Rational
_A: Final = sp.Symbol("a", real=True)
_B: Final = sp.Symbol("b", real=True)
_C: Final = sp.Symbol("s", positive=True)
_T: Final = sp.Symbol("x", positive=True)


# ----------------------------------------------------------------------------- steps and signs


@derivation("dual.step")
def _step() -> Derivation:
    activation, peak = Jump(), 1 / (2 * sp.pi * sp.sqrt(DELTA))
    shape = form()
    corner, edge = shape.diff(Y), shape.subs(X, 0)
    return Derivation(
        name="dual.step",
        title="Dual of the unit step: the arc-cosine kernel of order 0",
        statement=r"\Pr[X > 0, Y > 0] = \frac{\pi - \theta}{2\pi},\quad"
        r" \cos\theta = q_{12}/\sqrt{q_{11} q_{22}}",
        domain="q12^2 <= q11 q22",
        steps=(
            Step(
                r"\partial_{q_{12}} \Pr[X > 0, Y > 0] = \iint_{x, y > 0}"
                r" \partial_x \partial_y \varphi",
                "heat equation of the density, under the integral sign",
                Identity(DENSITY.diff(q12), DENSITY.diff(X, Y)),
            ),
            Step(
                r"\iint_{x, y > 0} \partial_x \partial_y \varphi = \varphi(0, 0)",
                "fundamental theorem twice, for any positive definite form",
                AllOf(
                    (
                        Antiderivative(
                            corner, shape.diff(X, Y), X, {0: corner.subs(X, 0), sp.oo: 0}
                        ),
                        Antiderivative(edge, edge.diff(Y), Y, {0: 1, sp.oo: 0}),
                        Identity(DENSITY.subs({X: 0, Y: 0}), peak),
                    )
                ),
            ),
            along(activation, peak),
            *ends(activation),
            Step(
                r"\kappa|_{q_{12} = -q_{11} = -q_{22}} = 0",
                "opposite Gaussians are never both positive",
                Identity(activation.kappa(q, q, -q), 0),
            ),
            scaling(activation),
        ),
        mutants={
            **variants(activation, peak),
            "angle for its supplement": Identity((1 / 2 - activation.kappa()).diff(q12), peak),
            "missing factor 2": Identity(2 * activation.kappa().diff(q12), peak),
        },
    )


@derivation("dual.sign")
def _sign() -> Derivation:
    activation, step = Sign(), Jump()
    linear = 4 * step.kappa() - 2 * step.mean(q11) - 2 * step.mean(q22) + 1
    peak = 2 / (sp.pi * sp.sqrt(DELTA))
    return Derivation(
        name="dual.sign",
        title="Dual of the sign: the arcsine law of Sheppard",
        statement=r"\mathbb{E}[\mathrm{sign}(X)\,\mathrm{sign}(Y)]"
        r" = \frac{2}{\pi} \arcsin\frac{q_{12}}{\sqrt{q_{11} q_{22}}}",
        domain="q12^2 <= q11 q22",
        steps=(
            Step(
                r"\Pr[X > 0, Y > 0] = (\pi - \theta)/(2\pi)",
                "the dual of the step",
                Lemma("dual.step"),
            ),
            Step(
                r"\partial_{q_{12}} \kappa = 4\, \partial_{q_{12}} \Pr[X > 0, Y > 0]",
                "sign is two steps less one, almost everywhere",
                AllOf(
                    (
                        Identity(activation.kappa().diff(q12), linear.diff(q12)),
                        Identity(activation.kappa().diff(q12), peak),
                    )
                ),
            ),
            Step(
                r"\kappa = 4 \Pr[X > 0, Y > 0] - 1 \text{ at } q_{12} = 0",
                "both vanish at independence",
                Identity(activation.kappa(q11, q22, 0), linear.subs(q12, 0)),
            ),
            *ends(activation),
            scaling(activation),
        ),
        mutants={
            **variants(activation, peak),
            "one step": Identity(activation.kappa().diff(q12), step.kappa().diff(q12)),
        },
    )


# ------------------------------------------------------------------------------ the ReLU family


def _half_line_mean() -> Step:
    """``E[X; X > 0]``."""
    inner = -q * NORMAL.subs(X, _T)
    return Step(
        r"\mathbb{E}[X; X > 0] = \sqrt{q/(2\pi)}",
        "fundamental theorem",
        Antiderivative(
            inner, _T * NORMAL.subs(X, _T), _T, {0: -sp.sqrt(q / (2 * sp.pi)), sp.oo: 0}
        ),
    )


def _piecewise_linear(name: str, title: str, activation: ABReLU) -> Derivation:
    a, b = activation.a, activation.b
    half = sp.sqrt(q / (2 * sp.pi))
    squares = a**2 + a * (b - a) + (b - a) ** 2 * Jump().kappa()
    negative = -z  # z < 0 is -|z|
    return Derivation(
        name=name,
        title=title,
        statement=rf"\kappa = {sp.latex(activation.kappa())},\quad"
        rf" \dot\kappa = {sp.latex(activation.kappa_dot())}",
        domain="q12^2 <= q11 q22, every pair of slopes",
        steps=(
            Step(
                r"\Pr[X > 0, Y > 0] = (\pi - \theta)/(2\pi)",
                "the dual of the step",
                Lemma("dual.step"),
            ),
            Step(
                r"\dot\kappa = a^2 + 2 a (b - a)\tfrac12 + (b - a)^2 \Pr[X > 0, Y > 0]",
                "the slope is a + (b - a) 1{z > 0}",
                Identity(activation.kappa_dot(), squares),
            ),
            price_lemma(r"\partial_{q_{12}} \kappa = \dot\kappa"),
            along(activation),
            _half_line_mean(),
            Step(
                r"\mathbb{E}[\sigma(X)] = (b - a) \mathbb{E}[X; X > 0]",
                "reflect the left half",
                AllOf(
                    (
                        Identity(activation.mean(q), b * half - a * half),
                        Identity(activation.expr.subs(z, 1), b),
                        Identity(activation.expr.subs(z, negative).subs(z, 1), -a),
                    )
                ),
            ),
            *ends(activation),
            *ends(activation, dot=True),
            scaling(activation),
            Step(
                r"\kappa_{a,b} = \kappa_{-b,-a}",
                "reflection z to -z exchanges the halves",
                Identity(activation.kappa(), ABReLU(-b, -a).kappa()),
            ),
        ),
        mutants={
            **variants(activation),
            "angle for its supplement": Identity(
                activation.kappa().diff(q12), a**2 + b**2 - activation.kappa_dot()
            ),
            "one step too many": Identity(activation.kappa_dot(), squares + Jump().kappa()),
            "degree 2": Identity(
                activation.kappa(_C * q11, _C * q22, _C * q12), _C**2 * activation.kappa()
            ),
        },
    )


def _register_relu() -> None:
    alpha = sp.Symbol("alpha", real=True)
    for name, title, activation in (
        ("ab_relu", "Dual of a two-slope activation", ABReLU(_A, _B)),
        ("relu", "Dual of ReLU: the arc-cosine kernel of order 1", ReLU()),
        ("leaky_relu", "Dual of leaky ReLU", LeakyReLU(alpha)),
        ("abs", "Dual of the modulus", Abs()),
    ):
        build = partial(_piecewise_linear, f"dual.{name}", title, activation)
        derivation(f"dual.{name}")(build)


_register_relu()


# ---------------------------------------------------------------------------- rectified powers


def _legendre(p: Any, g: sp.Expr, r: sp.Symbol) -> sp.Expr:
    """The equation that the ``(p-1)``-st derivative of ``(pi - theta)/sin theta`` solves."""
    return (1 - r**2) * g.diff(r, 2) - (2 * p + 1) * r * g.diff(r) - p**2 * g


@derivation("dual.rectified_power")
def _power() -> Derivation:
    r, p = sp.Symbol("r", real=True), sp.Symbol("p", positive=True, integer=True)
    g = sp.Function("g")(r)
    first = (sp.pi - sp.acos(r)) / sp.sqrt(1 - r**2)
    half, one = _Q(1, 2), NORMAL.subs({q: 1, X: _T})
    apart = RectifiedPower(0).mean(1) ** 2, RectifiedPower(1).mean(1) ** 2
    at_zero = [first.diff(r, n).subs(r, 0) / (2 * sp.pi) for n in (0, 1)]
    g0, g1, g2 = sp.symbols("g0:3", real=True)
    equation = _legendre(p, g, r).subs([(g.diff(r, 2), g2), (g.diff(r), g1), (g, g0)])
    shipped = [RectifiedPower(n) for n in range(5)]
    density = NORMAL.subs(X, _T)
    means: list[Check] = [
        Antiderivative(
            -q * _T ** (n + 1) * density,
            (_T ** (n + 2) - (n + 1) * q * _T**n) * density,
            _T,
            {0: -sp.sqrt(q / (2 * sp.pi)) if n == -1 else 0, sp.oo: 0},
        )
        for n in range(3)
    ]
    means += [Identity(shipped[n + 2].mean(q), (n + 1) * q * shipped[n].mean(q)) for n in range(3)]
    powers = shipped[1:]
    return Derivation(
        name="dual.rectified_power",
        title="Duals of rectified powers: the arc-cosine kernels",
        statement=r"\mathbb{E}[X_+^p Y_+^p] = \frac{(q_{11}q_{22})^{p/2}}{2\pi} J_p(\theta),\quad"
        r" J_p = (1 - \rho^2)^{p + 1/2} \frac{d^p}{d\rho^p}"
        r" \frac{\pi - \theta}{\sqrt{1 - \rho^2}}",
        domain="the formula for every whole p; the polynomials as shipped for p = 1, 2, 3, 4",
        steps=(
            Step(
                r"\Pr[X > 0, Y > 0] = (\pi - \theta)/(2\pi)",
                "the case p = 0",
                Lemma("dual.step"),
            ),
            Step(
                r"(1-\rho^2) g_1'' - 3\rho g_1' - g_1 = 0,\quad g_1 = (\pi-\theta)/\sin\theta",
                "base of the induction",
                Identity(_legendre(1, first, r).doit(), 0, domain={r: (-1, 1)}),
            ),
            Step(
                r"(1-\rho^2) g_p'' - (2p+1)\rho g_p' - p^2 g_p = 0 \Rightarrow"
                r" \text{the same for } g_{p+1} = g_p'",
                "induction on p: differentiate the equation",
                Identity(
                    _legendre(p, g, r).diff(r), _legendre(p + 1, g.diff(r), r), "p a whole number"
                ),
            ),
            Step(
                r"\frac{d}{d\rho}\left[(1-\rho^2)^{p+1/2} g_p'\right]"
                r" = p^2 (1-\rho^2)^{p-1/2} g_p",
                "so that J_p' = p^2 J_{p-1}, which is Price's theorem for every p",
                Identity(
                    ((1 - r**2) ** (p + half) * g.diff(r)).diff(r) / (1 - r**2) ** (p - half),
                    _legendre(p, g, r) + p**2 * g,
                ),
            ),
            Step(
                r"g_{p+2}(0) = p^2 g_p(0),\quad m_{p+1} = p\, m_{p-1},\quad"
                r" m_p = \mathbb{E}[Z_+^p]",
                "so g_{p+1}(0) = 2 pi m_p^2 for every p, starting from p = 0 and 1",
                AllOf(
                    (
                        Identity(equation.subs(r, 0), g2 - p**2 * g0),
                        Identity(
                            (-(_T**p) * one).diff(_T), (_T ** (p + 1) - p * _T ** (p - 1)) * one
                        ),
                        *(Identity(*pair) for pair in zip(at_zero, apart, strict=True)),
                    )
                ),
            ),
            price_lemma(r"\partial_{q_{12}} \kappa_p = \dot\kappa_p = p^2 \kappa_{p-1}"),
            _half_line_mean(),
            Step(
                r"\mathbb{E}[X_+^{p+2}] = (p+1) q\, \mathbb{E}[X_+^p]",
                "by parts; the values at independence",
                AllOf(tuple(means)),
            ),
            *(
                Step(
                    rf"p = {each.p}:\ \partial_{{q_{{12}}}}\kappa_p = p^2 \kappa_{{p-1}},"
                    r"\ \kappa_p(0) = \mathbb{E}[X_+^p]\,\mathbb{E}[Y_+^p]",
                    "the shipped polynomials",
                    AllOf(
                        (
                            Identity(
                                each.kappa().diff(q12), each.p**2 * shipped[each.p - 1].kappa()
                            ),
                            Identity(each.kappa_dot(), each.p**2 * shipped[each.p - 1].kappa()),
                            *(step.check for step in ends(each)),
                            scaling(each).check,
                        )
                    ),
                )
                for each in powers
            ),
        ),
        mutants={
            **{f"{name}, p = 2": check for name, check in variants(shipped[2]).items()},
            **{f"{name}, p = 3": check for name, check in variants(shipped[3]).items()},
            "p for p^2": Identity(shipped[2].kappa().diff(q12), 2 * shipped[1].kappa()),
            "degree 1": Identity(
                shipped[2].kappa(_C * q11, _C * q22, _C * q12), _C * shipped[2].kappa()
            ),
            "equation off by one": Identity(_legendre(p, g, r).diff(r), _legendre(p, g.diff(r), r)),
        },
    )
