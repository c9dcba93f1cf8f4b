"""Proofs of the quantiles of every weight law, one- and two-sided.

Four families have an elementary inverse, which is substituted into the closed form of the tail.
Student's law has none: its quantile is proved to solve the differential equation of the inverse
cdf from the median, and its numbers are certified by balls.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import sympy as sp

from theory.derivation import AllOf, Check, Derivation, Enclosure, Identity, Step
from theory.derivations import derivation
from theory.derivations.generic import BETA, GENERIC, HALF, SHIPPED, Q, W, X, generic
from theory.laws import Law, StudentQuantile
from theory.rewrite import restrict


def _quantile_checks(law: Law, stretch: Any = 1) -> list[tuple[str, Check]]:
    """``Pr[w >= q(p)] = 1 - p`` and ``Pr[|w| >= q2(p)] = p``, with quantiles times ``stretch``."""
    p, top = sp.Symbol("p", positive=True), law.half_width
    unit_interval = {p: (0, 1)}
    two_sided = restrict(law.two_sided_survival(X), X, 0, top)
    pairs: list[tuple[str, Check]] = []
    halves = [(-top, top, 0, 1)] if law.entire else [(-top, 0, 0, HALF), (0, top, HALF, 1)]
    for low, high, start, stop in halves:
        ends = sp.sympify(start), sp.sympify(stop)
        closed = restrict(law.survival(W), W, low, high)
        quantile = restrict(law.quantile(p), p, *ends)
        check = Identity(closed.subs(W, stretch * quantile), 1 - p, domain={p: ends})
        pairs.append((rf"\Pr[w \geq q(p)] = 1 - p,\ {ends[0]} < p < {ends[1]}", check))
    upper = two_sided.subs(X, stretch * law.two_sided_quantile(p))
    pairs.append((r"\Pr[|w| \geq q_2(p)] = p", Identity(upper, p, domain=unit_interval)))
    return pairs


def _student_quantile_steps() -> list[Step]:
    """The inverse of the incomplete beta function by its differential equation, and by balls."""
    law, p, y = generic("student_t"), sp.Symbol("p", positive=True), sp.Symbol("y", positive=True)
    df = law.args[0]
    slope = law.quantile(p).diff(p).subs(StudentQuantile(df, p), y)
    levels = [Q(1, 50), Q(2, 5), Q(9, 10)]
    bound = Q(1, 10**12)
    values = []
    for shipped in SHIPPED["student_t"]:
        for level in levels:
            values.append(Enclosure(shipped.cdf(shipped.quantile(level)), level, {}, bound))
            two = shipped.two_sided_survival(shipped.two_sided_quantile(level))
            values.append(Enclosure(two, level, {}, bound))
    return [
        Step(
            r"q'(p) f(q(p)) = 1,\quad q(\tfrac{1}{2}) = 0",
            "the quantile solves the equation of the inverse cdf from the median",
            AllOf(
                (
                    Identity(slope * law.density(BETA * y), 1),
                    Identity(law.quantile(Q(1, 2)), 0),
                )
            ),
        ),
        Step(
            r"\Pr[w < q(p)] = p",
            "balls around the computed roots, at three levels and two degrees of freedom",
            AllOf(tuple(values)),
        ),
    ]


def _quantile(name: str) -> Derivation:
    law = generic(name)
    p = sp.Symbol("p", positive=True)
    stretched, level = Q(21, 20), Q(2, 5)
    if name == "student_t":
        shipped = SHIPPED[name][1]
        steps = _student_quantile_steps()
        off = shipped.cdf(stretched * shipped.quantile(level))
        flipped = shipped.cdf(shipped.quantile(1 - level))
        mutants: dict[str, Check] = {
            "five per cent": Enclosure(off, level, {}, Q(1, 10**12)),
            "complement": Enclosure(flipped, level, {}, Q(1, 10**12)),
        }
    else:
        steps = [
            Step(text, "substitute the quantile into the closed form", check)
            for text, check in _quantile_checks(law)
        ]
        mutants = {
            f"five per cent ({i})": check
            for i, (_, check) in enumerate(_quantile_checks(law, stretched), 1)
        }
    return Derivation(
        name=f"laws.{name}.quantile",
        title=f"Quantiles of the {name} law",
        statement=rf"q(p) = {sp.latex(law.quantile(p))},\quad"
        rf" q_2(p) = {sp.latex(law.two_sided_quantile(p))}",
        domain="0 < p < 1",
        steps=steps,
        mutants=mutants,
    )


def _register() -> None:
    for name in GENERIC:
        derivation(f"laws.{name}.quantile")(partial(_quantile, name))


_register()
