"""Proofs of the tail moments of every weight law.

For each law and each ``k`` in {0, 1, 2} the tail moment ``M(x) = E[w^k; w >= x]`` is proved by
the fundamental theorem: on each piece of the line ``M' = -x^k f``, the pieces agree where they
meet, ``M`` vanishes at the top of the support and is the full moment at the bottom. Scales are
symbols, and so are Student's degrees of freedom and the cut of the truncated normal. An
independent ball quadrature certifies the same formula of the law as shipped.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import sympy as sp

from theory.derivation import (
    AllOf,
    Antiderivative,
    Check,
    Definition,
    Derivation,
    Identity,
    IntegralEnclosure,
    Sign,
    Step,
    Tail,
)
from theory.derivations import derivation
from theory.derivations.generic import BETA, DELTA, GENERIC, KAPPA, SHIPPED, Q, T, W, X, generic
from theory.laws import Gaussian, Laplace, Law, StudentT, TruncatedNormal
from theory.rewrite import restrict

__all__ = ["FORMULAS"]

FORMULAS: Final = {0: "survival", 1: "mean_above", 2: "second_above"}
"""The closed form that each order of tail moment has."""


def _moments(law: Law, k: int) -> sp.Expr:
    """``E[w^k]``."""
    return (sp.Integer(1), sp.Integer(0), law.variance)[k]


def _main_piece(law: Law, k: int) -> tuple[sp.Expr, sp.Expr, sp.Symbol, dict[Any, Any], Any]:
    """Closed form, its slope, the variable, end values and upper end on the main piece."""
    total = _moments(law, k)
    if not law.entire:
        closed, density = law.tail_moment(k, X), law.density(X)
        return closed, -(X**k) * density, X, {sp.oo: 0}, sp.oo
    a = law.half_width
    closed = restrict(law.tail_moment(k, W), W, -a, a)
    density = restrict(law.density(W), W, -a, a)
    return closed, -(W**k) * density, W, {a: 0, -a: total}, a


def _fundamental(law: Law, k: int) -> list[Step]:
    """The fundamental theorem on every piece of the line."""
    closed, slope, var, ends, top = _main_piece(law, k)
    total = _moments(law, k)
    name = rf"\mathbb{{E}}[w^{k}; w \geq x]"
    if law.entire:
        steps = [
            Step(
                rf"\frac{{d}}{{dx}} {name} = -x^{k} f(x) \text{{ inside the support}}",
                "derivative, and the values at both ends of the support",
                Antiderivative(closed, slope, var, ends, (top,)),
            )
        ]
        if top is sp.oo:
            return steps
        above = restrict(law.tail_moment(k, W), W, top, sp.oo)
        below = restrict(law.tail_moment(k, W), W, -sp.oo, -top)
        steps.append(
            Step(
                rf"{name} = 0 \text{{ above the support, }} \mathbb{{E}}[w^{k}] \text{{ below}}",
                "there is no mass outside",
                AllOf((Identity(above, 0), Identity(below, total))),
            )
        )
        return steps
    at_zero = law.tail_moment(k, sp.Integer(0))
    mirrored = law.tail_moment(k, -X)
    return [
        Step(
            rf"\frac{{d}}{{dx}} {name} = -x^{k} f(x),\ x > 0",
            "derivative, and the values at zero and infinity",
            Antiderivative(closed, slope, var, {**ends, 0: at_zero}),
        ),
        Step(
            rf"\frac{{d}}{{dx}} {name} = -x^{k} f(x),\ x < 0",
            "the same for the reflected formula, with the full moment at minus infinity",
            Antiderivative(mirrored, (-X) ** k * law.density(-X), X, {0: at_zero, sp.oo: total}),
        ),
    ]


def _tail(law: Law, k: int) -> tuple[Tail, Any] | None:
    """A tail bound for the quadrature of the shipped law, and its variable."""
    z = sp.Symbol("z", positive=True)
    if isinstance(law, Gaussian):
        bound = (law.density(z) / z, law.density(z), (z + 1 / z) * law.density(z))[k]
        return Tail(bound, sp.Integer(12), law.density(z)), z
    if isinstance(law, Laplace):
        return Tail(law.tail_moment(k, z), sp.Integer(40), law.density(z)), z
    return None


def _quadrature(law: Law, k: int, factor: Any = 1) -> Check:
    """The closed form against a rigorous integral, from both signs of the lower end."""
    found = _tail(law, k)
    top = law.half_width
    if found is not None:
        tail, z = found
        lows = [Q(1, 3), Q(9, 4)]
        area, end = z**k * law.density(z), sp.oo
        closed = factor * law.tail_moment(k, T)
        return IntegralEnclosure(closed, area, z, (T, end), {T: lows}, tail=tail)
    if top is not sp.oo:
        inside = restrict(law.density(W), W, -top, top)
        closed = factor * law.tail_moment(k, T)
        lows = [Q(-4, 3), Q(1, 2)]
        return IntegralEnclosure(closed, W**k * inside, W, (T, top), {T: lows})
    end = Q(5)  # heavy tail: the closed form's own difference over a bounded interval
    closed = factor * (law.tail_moment(k, T) - law.tail_moment(k, end))
    lows = [Q(-4, 3), Q(1, 2)]
    return IntegralEnclosure(closed, W**k * law.density(W), W, (T, end), {T: lows})


def _mutants(name: str, law: Law, k: int) -> dict[str, Check]:
    closed, slope, var, ends, top = _main_piece(law, k)
    below = (top,) if law.entire else ()

    def variant(expr: sp.Expr) -> Check:
        return Antiderivative(expr, slope, var, ends, below)

    total = _moments(law, k)
    return {
        "five per cent": variant(closed * Q(21, 20)),
        "shifted": variant(closed + Q(1, 20)),
        "wrong tail": variant(total - closed),
        "missing scale": variant(closed.subs(BETA, 2 * BETA)),
        "five per cent, certified": _quadrature(SHIPPED[name][0], k, Q(21, 20)),
    }


def _scale_steps(name: str) -> list[Step]:
    """What ties the free parameter of a rescaled family to its standard deviation."""
    if name == "student_t":
        law: Law = StudentT(2 + DELTA, BETA)
        rescaled = law.unit**2 * law.df / (law.df - 2)
        return [
            Step(
                r"\mathrm{sd}(w) = \mathrm{scale}",
                "the textbook Student law has variance df / (df - 2)",
                Identity(rescaled, BETA**2),
            )
        ]
    if name == "truncated_normal":
        cut = TruncatedNormal(KAPPA, BETA)
        kept = 1 - 2 * KAPPA * sp.exp(-(KAPPA**2) / 2) / (sp.sqrt(2 * sp.pi) * cut.mass)
        return [
            Step(
                r"\mathrm{sd}(w) = \mathrm{scale}",
                "the cut takes away the factor that the base deviation restores",
                Identity(cut.base**2 * kept, BETA**2),
            ),
            Step(
                sp.StrictGreaterThan(kept, 0),
                "the rescaling is real (on the cuts in use)",
                Sign(kept, ">0", {KAPPA: (Q(1, 4), 10)}),
            ),
        ]
    return []


def _tail_moment(name: str, k: int) -> Derivation:
    law = generic(name)
    closed = _main_piece(law, k)[0]
    steps = [
        Step("f(x)", "density of the law", Definition(f"f = {law.density(X)}")),
        *_fundamental(law, k),
        *(_scale_steps(name) if k == 2 else []),
        Step(
            rf"\mathbb{{E}}[w^{k}; w \geq t] = \int_t^\infty w^{k} f(w)\,dw",
            "ball quadrature of the law of unit variance",
            AllOf(tuple(_quadrature(shipped, k) for shipped in SHIPPED[name])),
        ),
    ]
    return Derivation(
        name=f"laws.{name}.{FORMULAS[k]}",
        title=f"{FORMULAS[k].replace('_', ' ').capitalize()} of the {name} law",
        statement=rf"\mathbb{{E}}[w^{k}; w \geq x] = {sp.latex(closed)}",
        domain="every real x and every parameter of the family (the formula is the one for the"
        " inside of the support, x >= 0 for laws written in |x|)",
        steps=steps,
        mutants=_mutants(name, law, k),
    )


def _two_sided(name: str) -> Derivation:
    law = generic(name)
    top = law.half_width
    tail, second = law.two_sided_survival(X), law.two_sided_second(X)
    right, left = law.survival(X), 1 - law.survival(-X)
    right2, left2 = law.second_above(X), law.variance - law.second_above(-X)

    def on(expr: sp.Expr, low: Any, high: Any) -> sp.Expr:
        return restrict(expr, X, low, high)

    pieces = [(sp.Integer(0), top)] + ([(top, sp.oo)] if top is not sp.oo else [])
    steps = [
        Step(
            rf"\Pr[|w| \geq t],\ \mathbb{{E}}[w^2; |w| \geq t] \text{{ on }}"
            rf" ({sp.latex(low)}, {sp.latex(high)})",
            "the event is w >= t or w <= -t",
            AllOf(
                (
                    Identity(on(tail, low, high), on(right + left, low, high)),
                    Identity(on(second, low, high), on(right2 + left2, low, high)),
                )
            ),
        )
        for low, high in pieces
    ]
    inside, inside2 = on(tail, 0, top), on(second, 0, top)
    both, both2 = on(right + left, 0, top), on(right2 + left2, 0, top)
    return Derivation(
        name=f"laws.{name}.two_sided",
        title=f"Two-sided tails of the {name} law",
        statement=rf"\Pr[|w| \geq t] = {sp.latex(inside)},\quad"
        rf" \mathbb{{E}}[w^2; |w| \geq t] = {sp.latex(inside2)}",
        domain="t >= 0; zero beyond the support",
        steps=steps,
        mutants={
            "one side only": Identity(inside / 2, both),
            "five per cent": Identity(inside * Q(21, 20), both),
            "complement": Identity(1 - inside, both),
            "one side only, second": Identity(inside2 / 2, both2),
            "complement, second": Identity(law.variance - inside2, both2),
        },
    )


def _register() -> None:
    for name in GENERIC:
        for k, formula in FORMULAS.items():
            derivation(f"laws.{name}.{formula}")(partial(_tail_moment, name, k))
        derivation(f"laws.{name}.two_sided")(partial(_two_sided, name))


_register()
