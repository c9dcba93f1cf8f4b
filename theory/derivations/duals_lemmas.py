"""What every closed form of a dual rests on: Price's theorem and the Gaussian integral.

Both come down to identities of the normal density. Price's theorem (1958) is its heat equation
``d phi / d q12 = d^2 phi / dx dy`` and two integrations by parts, so that
``d/dq12 E[f(X) g(Y)] = E[f'(X) g'(Y)]``; on the quadrant of a step function the same equation is
integrated by the fundamental theorem.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import sympy as sp

from theory.checks import CheckResult, Timed
from theory.derivation import (
    AllOf,
    Antiderivative,
    Cited,
    Derivation,
    DerivationResult,
    Identity,
    Step,
)
from theory.derivations import derivation, get
from theory.dual import q, q11, q12, q22

__all__ = ["DELTA", "DENSITY", "Lemma", "NORMAL", "X", "Y", "form", "gaussian_lemma", "price_lemma"]

X: Final = sp.Symbol("x", real=True)
Y: Final = sp.Symbol("y", real=True)
DELTA: Final = q11 * q22 - q12**2
"""Determinant of the covariance, positive."""
DENSITY: Final = sp.exp(-(q22 * X**2 - 2 * q12 * X * Y + q11 * Y**2) / (2 * DELTA)) / (
    2 * sp.pi * sp.sqrt(DELTA)
)
"""Density of the centred Gaussian pair."""
NORMAL: Final = sp.exp(-(X**2) / (2 * q)) / sp.sqrt(2 * sp.pi * q)
"""Density of one centred Gaussian of variance ``q``."""

_W: Final = sp.Symbol("W", positive=True)
_S: Final = sp.Symbol("S", positive=True)
_R: Final = sp.Symbol("R", real=True)
_F, _G, _PHI = (sp.Function(name) for name in ("f", "g", "phi"))
_Q: Final = sp.Rational


def form() -> sp.Expr:
    """``exp(-(P x^2 + 2 R x y + S y^2)/2)``, ``P = W + R^2/S``: any positive definite form."""
    return sp.exp(-((_W + _R**2 / _S) * X**2 + 2 * _R * X * Y + _S * Y**2) / 2)


@dataclass(frozen=True)
class Lemma(Timed):
    """Another derivation of the registry, which must be proved by itself."""

    name: str

    def describe(self) -> str:
        return f"lemma {self.name}"

    def _run(self) -> CheckResult:
        found = _verified(self.name)
        return CheckResult(found.status, "symbolic", f"{self.name} is {found.status}")


@lru_cache(maxsize=64)
def _verified(name: str) -> DerivationResult:
    return get(name).verify()


def price_lemma(statement: str) -> Step:
    """A use of Price's theorem; ``statement`` is what it gives here, in LaTeX."""
    return Step(
        statement,
        "Price's theorem",
        Lemma("dual.price"),
        ("absolutely continuous with Gaussian-dominated growth",),
    )


def gaussian_lemma(statement: str) -> Step:
    """A use of the Gaussian integral; ``statement`` is what it gives here, in LaTeX."""
    return Step(statement, "Gaussian integral", Lemma("dual.gaussian_integral"))


@derivation("dual.price")
def _price() -> Derivation:
    f, g, phi = _F(X), _G(Y), _PHI(X, Y)
    parts = (
        f.diff(X) * g.diff(Y) * phi + (f * g * phi.diff(Y)).diff(X) - (f.diff(X) * g * phi).diff(Y)
    )
    one = f.diff(X, 2) * NORMAL + (f * NORMAL.diff(X) - f.diff(X) * NORMAL).diff(X)
    slope, mixed = DENSITY.diff(q12), DENSITY.diff(X, Y)
    p1, p2, growth = sp.Symbol("p1"), sp.Symbol("p2"), X * sp.exp(-_W * X**2 / 2)
    return Derivation(
        name="dual.price",
        title="Price's theorem: how Gaussian moments move with the covariance",
        statement=r"\frac{\partial}{\partial q_{12}} \mathbb{E}[f(X) g(Y)]"
        r" = \mathbb{E}[f'(X) g'(Y)],\quad"
        r" \frac{d}{dq} \mathbb{E}[f(X)] = \tfrac12 \mathbb{E}[f''(X)]",
        domain="q12^2 < q11 q22",
        hypotheses=(
            "f, g (and f' for the second formula) locally absolutely continuous",
            "f, g and their derivatives are O(exp(e z^2)) with e < 1/(4 max(q11, q22))",
        ),
        steps=(
            Step(
                r"\partial_{q_{12}} \varphi = \partial_x \partial_y \varphi",
                "heat equation of the bivariate normal density",
                Identity(slope, mixed),
            ),
            Step(
                r"f g\, \partial_x\partial_y\varphi = f' g' \varphi"
                r" + \partial_x(f g\, \partial_y\varphi) - \partial_y(f' g \varphi)",
                "product rule; the last two terms integrate to boundary values",
                Identity(f * g * phi.diff(X, Y), parts),
            ),
            Step(
                r"(1 - \tfrac{p_1}{2})(1 - \tfrac{p_2}{2}) - \tfrac{p_1 p_2}{4}"
                r" = \tfrac12[(1-p_1) + (1-p_2)]",
                "with p = 4 e q < 1, exp(e x^2 + e y^2) times the density still has a positive"
                " definite form, since q12^2 <= q11 q22",
                Identity((1 - p1 / 2) * (1 - p2 / 2) - p1 * p2 / 4, (2 - p1 - p2) / 2),
            ),
            Step(
                r"x e^{-W x^2/2} \to 0",
                "so the boundary terms vanish at infinity",
                Antiderivative(growth, growth.diff(X), X, {sp.oo: 0, -sp.oo: 0}),
            ),
            Step(
                r"\partial_q \varphi_q = \tfrac12 \varphi_q''",
                "heat equation of the normal density",
                Identity(NORMAL.diff(q), NORMAL.diff(X, 2) / 2),
            ),
            Step(
                r"f \varphi_q'' = f'' \varphi_q + \partial_x(f \varphi_q' - f' \varphi_q)",
                "product rule, with the same boundary terms",
                Identity(f * NORMAL.diff(X, 2), one),
            ),
        ),
        mutants={
            "sign": Identity(slope, -mixed),
            "half": Identity(slope, mixed / 2),
            "five per cent": Identity(slope * _Q(21, 20), mixed),
            "density instead of its derivative": Identity(slope, DENSITY),
            "missing half in one dimension": Identity(NORMAL.diff(q), NORMAL.diff(X, 2)),
            "boundary term dropped": Identity(f * g * phi.diff(X, Y), f.diff(X) * g.diff(Y) * phi),
        },
    )


@derivation("dual.gaussian_integral")
def _gaussian() -> Derivation:
    shifted = sp.sqrt(_S / 2) * (Y + _R * X / _S)
    inner = sp.sqrt(sp.pi / (2 * _S)) * sp.erf(shifted) * sp.exp(-_W * X**2 / 2)
    level = sp.sqrt(sp.pi / (2 * _S)) * sp.exp(-_W * X**2 / 2)
    outer = sp.sqrt(sp.pi / (2 * _W)) * sp.erf(sp.sqrt(_W / 2) * X)
    ends = sp.sqrt(sp.pi / (2 * _W))
    weight = sp.exp(-_W * X**2 / 2)
    return Derivation(
        name="dual.gaussian_integral",
        title="Integral of a Gaussian of two variables",
        statement=r"\iint e^{-(P x^2 + 2 R x y + S y^2)/2}\,dx\,dy"
        r" = \frac{2\pi}{\sqrt{PS - R^2}},\quad \int e^{-W x^2/2}\,dx = \sqrt{2\pi/W}",
        domain="every positive definite form; P = W + R^2/S with S, W > 0",
        steps=(
            Step(
                r"\int e^{-(P x^2 + 2Rxy + Sy^2)/2} dy = \sqrt{2\pi/S}\, e^{-W x^2/2}",
                "complete the square in y; fundamental theorem",
                Antiderivative(inner, form(), Y, {sp.oo: level, -sp.oo: -level}),
            ),
            Step(
                r"\int e^{-W x^2/2} dx = \sqrt{2\pi/W}",
                "fundamental theorem",
                Antiderivative(outer, weight, X, {sp.oo: ends, -sp.oo: -ends}),
            ),
            Step(
                r"\sqrt{2\pi/S}\sqrt{2\pi/W} = 2\pi/\sqrt{PS - R^2}",
                "SW = PS - R^2",
                AllOf(
                    (
                        Identity(_S * (_W + _R**2 / _S) - _R**2, _S * _W),
                        Identity(4 * level.subs(X, 0) * ends, 2 * sp.pi / sp.sqrt(_S * _W)),
                    )
                ),
            ),
            Step(
                r"\iint \varphi = 1",
                "the density of the pair has precision of determinant 1/(q11 q22 - q12^2)",
                Identity((q22 / DELTA) * (q11 / DELTA) - (q12 / DELTA) ** 2, 1 / DELTA),
            ),
        ),
        mutants={
            "five per cent": Antiderivative(inner * _Q(21, 20), form(), Y),
            "square not completed": Antiderivative(inner.subs(_R, -_R), form(), Y),
            "half the line": Antiderivative(outer, weight, X, {-sp.oo: 0}),
            "wrong determinant": Identity(_S * (_W + _R**2 / _S) + _R**2, _S * _W),
        },
    )


@derivation("dual.expansion")
def _expansion() -> Derivation:
    n, k = sp.Symbol("n", integer=True, nonnegative=True), sp.Symbol("K", positive=True)
    r1, r2, t = (
        sp.Symbol("R1", real=True),
        sp.Symbol("R2", real=True),
        sp.Symbol("t", positive=True),
    )
    rho, h1, h2 = q12 / sp.sqrt(q11 * q22), sp.Symbol("h1", real=True), sp.Symbol("h2", real=True)
    g, f, unit = _G(X), _F(X), NORMAL.subs(q, 1)
    # he_{n+1} = x he_n - he_n', whatever polynomial g = he_n is
    following = X * g - g.diff(X)
    scaled = sp.Function("s")(sp.sqrt(q) * X)
    coefficient = [q11 ** (n / 2) * r1, q22 ** (n / 2) * r2]
    mehler = coefficient[0] * coefficient[1] * rho**n / sp.factorial(n)
    return Derivation(
        name="dual.expansion",
        title="Hermite expansion of a dual, with its error",
        statement=r"\kappa = \sum_{n \leq K} h_n(q_{11}) h_n(q_{22}) \rho^n + R,\quad"
        r" |R| \leq |\rho|^{K+1} \sqrt{T(q_{11}) T(q_{22})},\quad"
        r" T(q) = \mathbb{E}\sigma^2 - \sum_{n \leq K} h_n(q)^2",
        domain="|rho| <= 1, E[s(X)^2] finite at both variances",
        hypotheses=("h_n = E[s(X) he_n(X / sqrt(q))] / sqrt(n!)",),
        steps=(
            Step(
                r"\mathbb{E}[f\, he_{n+1}] = \mathbb{E}[f'\, he_n]",
                "by parts; hence h_n = q^{n/2} E[s^{(n)}] / sqrt(n!)",
                AllOf(
                    (
                        Identity(
                            f * following * unit, f.diff(X) * g * unit - (f * g * unit).diff(X)
                        ),
                        Identity(scaled.diff(X).doit(), sp.sqrt(q) * _slope(scaled)),
                    )
                ),
            ),
            price_lemma(
                r"\partial_{q_{12}}^n \kappa |_{q_{12} = 0} = R_n(q_{11}) R_n(q_{22}),"
                r"\ R_n = \mathbb{E}[\sigma^{(n)}]"
            ),
            Step(
                r"\frac{q_{12}^n}{n!} R_n(q_{11}) R_n(q_{22}) = h_n(q_{11}) h_n(q_{22}) \rho^n",
                "the terms of the Taylor series in the covariance",
                Identity(q12**n * r1 * r2 / sp.factorial(n), mehler),
            ),
            Step(
                r"t h^2 + h'^2/t - 2 h h' = (\sqrt{t} h - h'/\sqrt{t})^2",
                "Cauchy-Schwarz for the terms beyond K, with t^2 = T(q22)/T(q11)",
                AllOf(
                    (
                        Identity(
                            t * h1**2 + h2**2 / t - 2 * h1 * h2,
                            (sp.sqrt(t) * h1 - h2 / sp.sqrt(t)) ** 2,
                        ),
                        Identity(
                            sp.sqrt(k / t) * t + sp.sqrt(t / k) * k, 2 * sp.sqrt(k) * sp.sqrt(t)
                        ),
                    )
                ),
            ),
            Step(
                r"\mathbb{E}\sigma^2 = \sum_n h_n^2",
                "Parseval",
                Cited(
                    "completeness of the Hermite polynomials in L^2 of the normal law",
                    "Szego, Orthogonal Polynomials, Theorem 5.7.1",
                ),
            ),
        ),
        mutants={
            "missing factorial": Identity(q12**n * r1 * r2, mehler),
            "covariance for correlation": Identity(
                q12**n * r1 * r2 / sp.factorial(n), mehler * (q12 / rho) ** n
            ),
            "sign by parts": Identity(
                f * following * unit, -f.diff(X) * g * unit - (f * g * unit).diff(X)
            ),
        },
    )


def _slope(composed: sp.Expr) -> sp.Expr:
    """``s'`` at the argument of ``s(argument)``."""
    inner = sp.Symbol("w", real=True)
    return sp.Subs(composed.func(inner).diff(inner), inner, composed.args[0])
