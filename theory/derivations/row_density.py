"""Proofs of the Bessel-Struve row density and of the path density.

For independent standard normal ``w`` and ``a`` the law of ``|w a|`` is found by conditioning on
``a``; the substitution ``a = sqrt(x) exp(s/2)`` turns the integral into the integral
representation of ``K_0`` (or of ``x K_1``, with weight ``a^2``). The closed forms then follow
from their derivative and their value at zero, by the fundamental theorem.
"""

from __future__ import annotations

from typing import Any, Final

import sympy as sp

from theory.derivation import (
    AllOf,
    Antiderivative,
    Definition,
    Derivation,
    Identity,
    IntegralEnclosure,
    Step,
    Tail,
)
from theory.derivations import derivation
from theory.laws import Gaussian
from theory.special import StruveL, path_density, row_density
from theory.symbols import k, x, z

_POINTS: Final = [sp.Rational(1, 10), sp.Rational(1), sp.Rational(7, 2)]
_S: Final = sp.Symbol("s", real=True)
_Y: Final = sp.Symbol("y", positive=True)
_B: Final = sp.Symbol("b", positive=True)

_BESSEL: Final = Definition(
    "K_n(x) = int_0^oo exp(-x cosh s) cosh(n s) ds (DLMF 10.32.9); L_nu by its power series "
    "(DLMF 11.2.2)"
)


def _k(order: int, argument: Any) -> sp.Expr:
    return sp.besselk(order, argument)


def _conditioning(power: int) -> Step:
    """``-d/dx E[a^power; |w a| >= x]`` as an integral over ``s``."""
    law = Gaussian()
    kept = law.two_sided_survival(x / _B)  # given |a| = b
    slope = -sp.diff(kept, x) * _B**power * 2 * law.density(_B)  # |a| has density 2 phi
    moved = slope.subs(_B, sp.sqrt(x) * sp.exp(_S / 2)) * sp.sqrt(x) * sp.exp(_S / 2) / 2
    claimed = sp.exp(-x * sp.cosh(_S)) / sp.pi * (x * sp.exp(_S)) ** (power // 2)
    order = power // 2
    return Step(
        rf"-\frac{{d}}{{dx}} \mathbb{{E}}[a^{power}; |wa| \geq x]"
        rf" = \frac{{1}}{{\pi}} \int_{{-\infty}}^{{\infty}}"
        rf" {'x e^{s}' if order else ''} e^{{-x \cosh s}}\, ds = \frac{{2}}{{\pi}}"
        rf" {'x' if order else ''} K_{order}(x)",
        "condition on a, differentiate, substitute a = sqrt(x) exp(s/2), fold s to -s",
        Identity(moved, claimed),
    )


def _representation(order: int) -> Step:
    """The implemented ``K_n`` agrees with its definition, after ``y = exp(s)``."""
    checks = []
    for point in _POINTS:
        weight = sp.exp(-point * (_Y + 1 / _Y) / 2)
        checks.append(
            IntegralEnclosure(
                _k(order, point),
                weight * (_Y**order + _Y**-order) / (2 * _Y),
                _Y,
                (1, sp.oo),
                tail=Tail(4 / point * _Y**order * weight, sp.Integer(1200), weight),
                split=tuple(sp.Integer(2) ** m for m in (1, 3, 5, 7)),
            )
        )
    return Step(
        rf"K_{order}(x) = \int_0^\infty e^{{-x\cosh s}} \cosh({order}s)\, ds",
        "the implemented function agrees with its definition at three points",
        AllOf(tuple(checks)),
    )


def _bessel_recurrence() -> Step:
    """``K_1' = -K_0 - K_1/x`` from the definition: the difference is a boundary term."""
    weight = sp.exp(-x * sp.cosh(_S))
    slope = -(sp.cosh(_S) ** 2) * weight + weight + sp.cosh(_S) * weight / x
    boundary = sp.sinh(_S) * weight / x
    return Step(
        r"K_0' = -K_1,\quad K_1' = -K_0 - K_1/x",
        "differentiate under the integral sign; the difference of integrands is the derivative"
        " of sinh(s) exp(-x cosh s)/x, which vanishes at both ends",
        Antiderivative(boundary, slope, _S, {0: 0, sp.oo: 0}),
    )


def _struve_recurrences() -> Step:
    """``L_0' = L_{-1}`` and ``(x L_{-1})' = 2/pi + x L_0``, term by term in the power series."""

    def term(nu: int, m: sp.Expr) -> sp.Expr:
        return (x / 2) ** (nu + 2 * m + 1) / (
            sp.gamma(m + sp.Rational(3, 2)) * sp.gamma(m + nu + sp.Rational(3, 2))
        )

    first = Identity(sp.diff(term(0, k), x), term(-1, k))
    constant = Identity(sp.diff(x * term(-1, sp.Integer(0)), x), 2 / sp.pi)
    second = Identity(sp.diff(x * term(-1, k + 1), x), x * term(0, k))
    return Step(
        r"\mathbf{L}_0' = \mathbf{L}_{-1},\quad"
        r" (x\mathbf{L}_{-1})' = \tfrac{2}{\pi} + x\mathbf{L}_0",
        "term by term in the power series DLMF 11.2.2, which converges everywhere",
        AllOf((first, constant, second)),
    )


@derivation("row_density.closed_form")
def _row() -> Derivation:
    closed, slope = row_density(x), -2 / sp.pi * _k(0, x)
    area = 2 / sp.pi * _k(0, z)
    tail = Tail(area, sp.Integer(40), order_gap=True)
    swapped = 1 - x * (_k(1, x) * StruveL(-1, x) + _k(0, x) * StruveL(0, x))
    return Derivation(
        name="row_density.closed_form",
        title="Density of an input under a Gaussian product score",
        statement=r"\Pr[|wa| \geq x] = \frac{2}{\pi}\int_x^\infty K_0(z)\,dz"
        r" = 1 - x\left[K_0(x)\mathbf{L}_{-1}(x) + K_1(x)\mathbf{L}_0(x)\right]",
        domain="x > 0, w and a independent standard normal",
        steps=(
            Step(r"K_n,\ \mathbf{L}_\nu", "definitions", _BESSEL),
            _representation(0),
            _bessel_recurrence(),
            _struve_recurrences(),
            _conditioning(0),
            Step(
                r"D'(x) = -\frac{2}{\pi} K_0(x),\quad D(0) = 1",
                "recurrences of K and L; x K_0 L_{-1} and x K_1 L_0 vanish at 0",
                Antiderivative(closed, slope, x, {0: 1}),
            ),
            Step(
                r"D(x) = \frac{2}{\pi}\int_x^\infty K_0(z)\,dz",
                "ball quadrature with the tail bound K_0 <= K_1 = -K_0'",
                IntegralEnclosure(closed, area, z, (x, sp.oo), {x: _POINTS}, tail=tail),
            ),
        ),
        mutants={
            "five per cent": Antiderivative(closed * sp.Rational(21, 20), slope, x, {0: 1}),
            "shifted": Antiderivative(closed + sp.Rational(1, 20), slope, x, {0: 1}),
            "wrong tail": Antiderivative(1 - closed, slope, x, {0: 1}),
            "orders swapped": Antiderivative(swapped, slope, x, {0: 1}),
            "missing factor x": Antiderivative(1 - (1 - closed) / x, slope, x, {0: 1}),
            "integral of K_1": IntegralEnclosure(
                closed, area.subs(_k(0, z), _k(1, z)), z, (x, sp.Integer(60)), {x: _POINTS}
            ),
            "five per cent, certified": IntegralEnclosure(
                closed * sp.Rational(21, 20), area, z, (x, sp.oo), {x: _POINTS}, tail=tail
            ),
        },
    )


@derivation("path_density.closed_form")
def _path() -> Derivation:
    closed, slope = path_density(x), -2 / sp.pi * x * _k(1, x)
    area = 2 / sp.pi * z * _k(1, z)
    tail = Tail(2 / sp.pi * (z + 1) * _k(0, z), sp.Integer(45), order_gap=True)
    return Derivation(
        name="path_density.closed_form",
        title="Path density of an input under a Gaussian product score",
        statement=r"\mathbb{E}[a^2; |wa| \geq x] = \frac{2}{\pi}\int_x^\infty z K_1(z)\,dz"
        r" = D(x) + \frac{2}{\pi} x K_0(x)",
        domain="x > 0, w and a independent standard normal",
        steps=(
            Step(r"K_n,\ \mathbf{L}_\nu", "definitions", _BESSEL),
            _representation(1),
            _bessel_recurrence(),
            _struve_recurrences(),
            _conditioning(2),
            Step(
                r"A'(x) = -\frac{2}{\pi} x K_1(x),\quad A(0) = \mathbb{E}[a^2] = 1",
                "K_0' = -K_1 and the derivative of D; x K_0 vanishes at 0",
                Antiderivative(closed, slope, x, {0: 1}),
            ),
            Step(
                r"A(x) = \frac{2}{\pi}\int_x^\infty z K_1(z)\,dz",
                "ball quadrature with the tail bound ((z + 1) K_0)' <= -z K_1",
                IntegralEnclosure(closed, area, z, (x, sp.oo), {x: _POINTS[1:]}, tail=tail),
            ),
            Step(
                r"A(x) - D(x) = \tfrac{2}{\pi} x K_0(x) > 0",
                "kept weights are paired with larger outputs",
                Identity(closed - row_density(x), 2 / sp.pi * x * _k(0, x)),
            ),
        ),
        mutants={
            "five per cent": Antiderivative(closed * sp.Rational(21, 20), slope, x, {0: 1}),
            "shifted": Antiderivative(closed - sp.Rational(1, 20), slope, x, {0: 1}),
            "wrong tail": Antiderivative(1 - closed, slope, x, {0: 1}),
            "row density": Antiderivative(row_density(x), slope, x, {0: 1}),
            "K_1 for K_0": Antiderivative(
                row_density(x) + 2 / sp.pi * x * _k(1, x), slope, x, {0: 1}
            ),
            "missing factor 2/pi": Antiderivative(row_density(x) + x * _k(0, x), slope, x, {0: 1}),
        },
    )
