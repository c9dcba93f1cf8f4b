"""Proofs of the closed forms of sine, exponential and polynomials.

Sine and exponential are their own second derivatives up to a factor, so their duals solve a
linear equation in the covariance. A polynomial is a finite chain of derivatives.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import Final

import sympy as sp

from theory.derivation import AllOf, Antiderivative, Check, Derivation, Identity, Step
from theory.derivations import derivation
from theory.derivations.duals_lemmas import NORMAL, Lemma, X, price_lemma
from theory.derivations.duals_steps import along, ends, scaling, variants
from theory.dual import q, q11, q12, q22, z
from theory.dual_polynomial import Hermite, Monomial, Polynomial
from theory.dual_waves import Cos, Exp, ExpNormalized, Rbf, Sin

__all__: list[str] = []

_Q: Final = sp.Rational
_A, _B, _C = (sp.Symbol(name, real=True) for name in "abc")
_G: Final = sp.Symbol("gamma", positive=True)


# ----------------------------------------------------------------------------------- exponents


def _wave(name: str, title: str, activation: Sin | Exp) -> Derivation:
    """``s'' = k s``: then ``kappa`` solves a linear equation in the covariance."""
    rate = activation.b**2 if isinstance(activation, Exp) else -(activation.b**2)
    start, mean = activation.expr.subs(z, 0), activation.mean(q)
    other = sp.Symbol("y", real=True)
    bend = activation.expr.diff(z, 2)
    closed, dot = activation.kappa(), activation.kappa_dot()
    return Derivation(
        name=name,
        title=title,
        statement=rf"\kappa = {sp.latex(closed)},\quad \dot\kappa = {sp.latex(dot)}",
        domain="every variance and covariance, every parameter",
        steps=(
            Step(
                r"\sigma'' = k \sigma,\quad \sigma''(x)\sigma''(y) = k^2 \sigma(x)\sigma(y)",
                f"the activation is its own second derivative up to k = {rate}",
                AllOf(
                    (
                        Identity(bend, rate * activation.expr),
                        Identity(
                            bend.subs(z, X) * bend.subs(z, other),
                            rate**2 * (activation.expr.subs(z, X) * activation.expr.subs(z, other)),
                        ),
                    )
                ),
            ),
            price_lemma(
                r"\partial_{q_{12}} \kappa = \dot\kappa,\quad"
                r" \partial_{q_{12}} \dot\kappa = k^2 \kappa,\quad \tfrac{d}{dq} m = \tfrac{k}{2} m"
            ),
            along(activation),
            Step(
                r"\frac{\partial}{\partial q_{12}} \dot\kappa = k^2 \kappa",
                "a linear system of first order: its solution is fixed by the values at 0",
                Identity(dot.diff(q12), rate**2 * closed),
            ),
            Step(
                r"\frac{d}{dq} m = \frac{k}{2} m,\quad m(0) = \sigma(0)",
                "the same in one dimension: the mean, and that of the slope",
                AllOf(
                    (
                        Antiderivative(mean, rate * mean / 2, q, {0: start}),
                        Antiderivative(
                            activation.mean_dot(q),
                            rate * activation.mean_dot(q) / 2,
                            q,
                            {0: activation.expr.diff(z).subs(z, 0)},
                        ),
                    )
                ),
            ),
            *ends(activation),
            *ends(activation, dot=True),
        ),
        mutants={
            **variants(activation),
            "sign of the second wave": Identity(dot.diff(q12), -(rate**2) * closed),
            "mean without its half": Antiderivative(mean, rate * mean, q, {0: start}),
        },
    )


@derivation("dual.rbf")
def _rbf() -> Derivation:
    activation = Rbf(_G)
    wave = Sin(sp.sqrt(2), sp.sqrt(2 * _G), sp.pi / 4)
    kernel = sp.exp(-_G * (q11 + q22 - 2 * q12))
    return Derivation(
        name="dual.rbf",
        title="A sine whose dual is the squared-exponential kernel",
        statement=r"\kappa = e^{-\gamma \mathbb{E}(X - Y)^2}",
        domain="gamma > 0",
        steps=(
            Step(r"\kappa_{\sin}", "dual of the sine for every parameter", Lemma("dual.sin")),
            Step(
                r"\sigma(z) = \sqrt2 \sin(\sqrt{2\gamma}\, z + \pi/4)",
                "one case of the sine: the wave of the sum drops out, cos(pi/2) = 0",
                AllOf(
                    (
                        Identity(activation.expr, wave.expr),
                        Identity(wave.kappa(), kernel),
                        Identity(activation.kappa(), kernel),
                    )
                ),
            ),
            along(activation),
            *ends(activation),
        ),
        mutants={
            **variants(activation),
            "phase 0": Identity(Sin(sp.sqrt(2), sp.sqrt(2 * _G), 0).kappa(), kernel),
            "gamma halved": Identity(Rbf(_G / 2).kappa(), kernel),
        },
    )


@derivation("dual.exp_normalized")
def _exp_normalized() -> Derivation:
    shift = sp.Symbol("s", real=True)
    kernel = ExpNormalized(_G, shift)
    n, t = sp.Symbol("n", integer=True, nonnegative=True), sp.Symbol("t", positive=True)
    rho = q12 / sp.sqrt(q11 * q22)
    first = sp.sqrt(q11 * q22) * sp.exp(_G * shift)
    term = first * (_G * rho) ** n / sp.factorial(n)
    checks = [
        Identity(kernel.hermite(m, q11) * kernel.hermite(m, q22) * rho**m, term.subs(n, m))
        for m in range(5)
    ]
    scaled = kernel.kappa(t * q11, t * q22, t * q12)
    return Derivation(
        name="dual.exp_normalized",
        title="The normalised exponential kernel as a map of covariances",
        statement=rf"\kappa = {sp.latex(kernel.kappa())},\quad"
        r" h_n(q) = \sqrt{q\, \gamma^n e^{\gamma s} / n!}",
        domain="q12^2 <= q11 q22, gamma > 0, every real shift",
        steps=(
            along(kernel),
            *ends(kernel),
            Step(
                r"h_n(q_{11}) h_n(q_{22}) \rho^n = \sqrt{q_{11} q_{22}}\, e^{\gamma s}"
                r" (\gamma\rho)^n / n!",
                "the terms of the exponential series, all positive: a covariance for every gamma"
                " (the coefficients as shipped for n up to 4, their ratio for every n)",
                AllOf(
                    (
                        *checks,
                        Identity(term.subs(n, n + 1) * (n + 1), term * _G * rho),
                        Identity(term.subs(n, 0) * sp.exp(_G * rho), kernel.kappa()),
                    )
                ),
            ),
            Step(
                r"\kappa(t q) = t \kappa(q)",
                "homogeneous of degree 1, like the dual of ReLU",
                Identity(scaled, t * kernel.kappa()),
            ),
        ),
        mutants={
            **variants(kernel),
            "degree 2": Identity(scaled, t**2 * kernel.kappa()),
            "factorial missing": Identity(term.subs(n, n + 1), term * _G * rho),
        },
    )


# --------------------------------------------------------------------------------- polynomials


def _algebra(name: str, title: str, activation: Polynomial) -> Derivation:
    """Repeat Price's theorem until nothing is left."""
    chain = [activation]
    while len(chain[-1].coefficients) > 1:
        terms = chain[-1].coefficients
        chain.append(Polynomial([i * term for i, term in enumerate(terms)][1:]))
    moments = [
        Identity(Monomial(n + 2).mean(q).diff(q), _Q((n + 2) * (n + 1), 2) * Monomial(n).mean(q))
        for n in range(len(activation.coefficients) - 1)
    ]
    homogeneous = [] if activation.degree is None else [scaling(activation)]
    checks: list[Check] = []
    for each, slope in itertools.pairwise(chain):
        checks += [
            Identity(each.expr.diff(z), slope.expr),
            Identity(each.kappa().diff(q12), slope.kappa()),
            Identity(each.kappa_dot(), slope.kappa()),
            *(step.check for step in ends(each)),
        ]
    combined = sp.Add(
        *[term * Monomial(n).mean(q) for n, term in enumerate(activation.coefficients)]
    )
    return Derivation(
        name=name,
        title=title,
        statement=rf"\kappa = \sum_l \frac{{q_{{12}}^l}}{{l!}} R_l(q_{{11}}) R_l(q_{{22}}),\quad"
        rf" R_l(q) = \mathbb{{E}}[\sigma^{{(l)}}(X)],\quad \sigma(z) = {sp.latex(activation.expr)}",
        domain="every variance and covariance",
        steps=(
            price_lemma(
                r"\partial_{q_{12}} \kappa = \dot\kappa,\quad"
                r" \tfrac{d}{dq}\mathbb{E}[X^{n+2}] = \tfrac{(n+2)(n+1)}{2} \mathbb{E}[X^n]"
            ),
            Step(
                r"\mathbb{E}[X^{2m}] = (2m-1)!!\, q^m",
                "heat equation from m = 0; odd moments vanish",
                AllOf(
                    (
                        *moments,
                        Identity(Monomial(0).mean(q), 1),
                        Identity(Monomial(1).mean(q), 0),
                        Identity(activation.mean(q), combined),
                    )
                ),
            ),
            Step(
                r"\partial_{q_{12}} \kappa[\sigma] = \kappa[\sigma'],\quad"
                r" \kappa[\sigma](0) = \mathbb{E}[\sigma(X)] \mathbb{E}[\sigma(Y)]",
                "for the activation and each of its derivatives, down to a constant",
                AllOf((*checks, Identity(chain[-1].kappa(), chain[-1].coefficients[0] ** 2))),
            ),
            *ends(activation),
            *homogeneous,
            *(_orthogonality() if isinstance(activation, Hermite) else []),
        ),
        mutants={
            **variants(activation),
            "derivative's dual for its own": Identity(activation.kappa(), activation.kappa_dot()),
            "without the factorials": Identity(
                sp.Add(
                    *[
                        q12**n
                        * activation.derivative_mean(n, q11)
                        * activation.derivative_mean(n, q22)
                        for n in range(len(activation.coefficients))
                    ]
                ),
                activation.kappa(),
            ),
        },
    )


def _orthogonality() -> list[Step]:
    """For every order: ``he_n`` has mean 0 and its dual at unit variance is ``rho^n``."""
    n = sp.Symbol("n", integer=True, positive=True)
    r, g, unit = sp.Symbol("r", positive=True), sp.Function("g")(X), NORMAL.subs(q, 1)
    return [
        Step(
            r"he_{n+1} \varphi = -(he_n \varphi)'",
            "with he_{n+1} = x he_n - he_n': every he_n beyond the first has mean 0",
            Identity((X * g - g.diff(X)) * unit, -(g * unit).diff(X)),
        ),
        Step(
            r"\kappa_n = \int_0^\rho n \kappa_{n-1},\quad \kappa_n = \rho^n",
            "he_n' = n he_{n-1}, so the normalised dual gains the factor n: induction on n",
            Antiderivative(r ** (n + 1), (n + 1) * r**n, r, {0: 0}),
        ),
        Step(
            r"\kappa_n(1, 1, \rho) = \rho^n",
            "the shipped polynomials, n = 0, ..., 6",
            AllOf(tuple(Identity(Hermite(m).kappa(1, 1, q12), q12**m) for m in range(7))),
        ),
    ]


def _register() -> None:
    waves: tuple[tuple[str, str, Sin | Exp], ...] = (
        ("dual.sin", "Dual of the sine with any phase", Sin(_A, _B, _C)),
        ("dual.cos", "Dual of the cosine with any phase", Cos(_A, _B, _C)),
        ("dual.exp", "Dual of the exponential", Exp(_A, _B)),
    )
    for name, title, wave in waves:
        derivation(name)(partial(_wave, name, title, wave))
    general = Polynomial(sp.symbols("c0:6", real=True))
    for label, words, activation in (
        ("dual.polynomial", "Dual of any polynomial of degree 5", general),
        ("dual.monomial", "Dual of a monomial", Monomial(4)),
        ("dual.hermite", "Duals of Hermite polynomials", Hermite(4)),
    ):
        derivation(label)(partial(_algebra, label, words, activation))


_register()
