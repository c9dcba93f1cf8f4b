"""Proofs of the closed forms of activations with a Gaussian factor: Gaussian, erf, Gabor, GELU.

A factor ``exp(b z^2)`` turns the law of the pair into another centred Gaussian (the *tilted*
one), so what it multiplies has a dual at the tilted covariance. The slope of erf and the second
derivative of GELU are of this kind; Price's theorem leads back to the activation itself.
"""

from __future__ import annotations

from typing import Any, Final

import sympy as sp

from theory.derivation import AllOf, Antiderivative, Derivation, Identity, Step
from theory.derivations import derivation
from theory.derivations.duals_lemmas import (
    DELTA,
    NORMAL,
    Lemma,
    X,
    gaussian_lemma,
    price_lemma,
)
from theory.derivations.duals_steps import along, ends, reflection, variants
from theory.dual import q, q11, q12, q22, z
from theory.dual_polynomial import Polynomial
from theory.dual_smooth import GELU, Erf, Gabor, Gaussian
from theory.dual_waves import Sin

__all__: list[str] = []

_Q: Final = sp.Rational
_A, _B, _C = (sp.Symbol(name, real=True) for name in "abc")
_G: Final = sp.Symbol("gamma", positive=True)
_FIVE: Final = _Q(21, 20)


def _precision(b: Any) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """``(P, S, R)`` of the exponent of ``exp(b x^2 + b y^2)`` times the density."""
    return q22 / DELTA - 2 * b, q11 / DELTA - 2 * b, -q12 / DELTA


def _tilted(b: Any) -> tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]:
    """Covariance ``(s11, s22, s12)`` of the tilted pair and the determinant ``D``."""
    det = (1 - 2 * b * q11) * (1 - 2 * b * q22) - (2 * b * q12) ** 2
    return (q11 - 2 * b * DELTA) / det, (q22 - 2 * b * DELTA) / det, q12 / det, det


def _tilt(b: Any) -> list[Step]:
    """``exp(b x^2 + b y^2)`` times the density is ``D^{-1/2}`` times a tilted density."""
    p, s, r = _precision(b)
    s11, s22, s12, det = _tilted(b)
    return [
        gaussian_lemma(
            r"\mathbb{E}[e^{bX^2 + bY^2}] = \frac{1}{2\pi\sqrt\Delta}\frac{2\pi}{\sqrt{PS - R^2}}"
        ),
        Step(
            r"\Delta (P S - R^2) = D = (1 - 2 b q_{11})(1 - 2 b q_{22}) - 4 b^2 q_{12}^2",
            "the tilted precision is the old one less 2b",
            Identity(DELTA * (p * s - r**2), det),
        ),
        Step(
            r"\begin{pmatrix} P & R \\ R & S \end{pmatrix} \Sigma' = 1,\quad"
            r" \Sigma'_{12} = q_{12}/D",
            "covariance of the tilted pair",
            AllOf(
                (
                    Identity(p * s11 + r * s12, 1),
                    Identity(r * s12 + s * s22, 1),
                    Identity(p * s12 + r * s22, 0),
                )
            ),
        ),
    ]


# --------------------------------------------------------------------------- Gaussian factors


@derivation("dual.gaussian")
def _gaussian() -> Derivation:
    activation = Gaussian(_A, _B)
    det = _tilted(_B)[3]
    closed = activation.kappa()
    return Derivation(
        name="dual.gaussian",
        title="Dual of the Gaussian activation",
        statement=rf"\mathbb{{E}}[\sigma\sigma] = {sp.latex(closed)}",
        domain="q12^2 <= q11 q22; for b > 0 variances below 1/(4b)",
        steps=(
            *_tilt(_B),
            Step(
                r"\kappa^2 D = a^4",
                "the closed form is the positive root",
                Identity(closed**2 * det, _A**4),
            ),
            Step(
                r"\mathbb{E}[e^{bX^2}] = (1 - 2bq)^{-1/2}",
                "the Gaussian integral in one variable with W = 1/q - 2b",
                Identity(activation.mean(q) ** 2 * q * (1 / q - 2 * _B), _A**2),
            ),
            price_lemma(r"\mathbb{E}[\sigma'\sigma'] = \partial_{q_{12}} \kappa"),
            along(activation),
            Step(
                r"\kappa(0)^2 = \mathbb{E}[\sigma(X)]^2\, \mathbb{E}[\sigma(Y)]^2",
                "independent Gaussians; all three are positive",
                Identity(
                    activation.kappa(q11, q22, 0) ** 2,
                    activation.mean(q11) ** 2 * activation.mean(q22) ** 2,
                ),
            ),
            ends(activation)[1],
            *ends(activation, dot=True),
            reflection(activation),
        ),
        mutants={
            **variants(activation),
            "sign of b": Identity(Gaussian(_A, -_B).kappa() ** 2 * det, _A**4),
            "cross term missing": Identity(DELTA * _precision(_B)[0] * _precision(_B)[1], det),
        },
    )


@derivation("dual.erf")
def _erf() -> Derivation:
    activation = Erf(_A, _B, _C)
    factor = Gaussian(2 * _A * _B / sp.sqrt(sp.pi), -(_B**2))
    return Derivation(
        name="dual.erf",
        title="Dual of the error function: the arcsine kernel",
        statement=rf"\mathbb{{E}}[\sigma\sigma] = {sp.latex(activation.kappa())}",
        domain="q12^2 <= q11 q22, every a, b, c (the sigmoid-like erf is one case)",
        steps=(
            Step(
                r"\sigma'(z) = \frac{2ab}{\sqrt\pi} e^{-b^2 z^2}",
                "derivative of the error function",
                Identity(activation.expr.diff(z), factor.expr),
            ),
            Step(
                r"\mathbb{E}[e^{-b^2(X^2 + Y^2)}] = D^{-1/2}",
                "dual of the Gaussian activation",
                Lemma("dual.gaussian"),
            ),
            Step(
                r"\dot\kappa = \frac{4a^2b^2}{\pi} D^{-1/2}",
                "the slope is a Gaussian activation",
                Identity(activation.kappa_dot(), factor.kappa()),
            ),
            price_lemma(r"\partial_{q_{12}} \kappa = \dot\kappa"),
            along(activation),
            Step(
                r"\sigma(z) + \sigma(-z) = 2c",
                "so the mean is c",
                Identity(activation.expr + activation.expr.subs(z, -z), 2 * activation.mean(q)),
            ),
            Step(
                r"\mathbb{E}[\sigma'(X)] = 2ab / \sqrt{\pi(1 + 2b^2 q)}",
                "mean of the Gaussian activation",
                Identity(activation.mean_dot(q), factor.mean(q)),
            ),
            *ends(activation),
            *ends(activation, dot=True),
            reflection(Erf(_A, _B, 0)),
        ),
        mutants={
            **variants(activation),
            "b for b^2": Identity(Erf(_A, sp.sqrt(_G), 0).kappa_dot(), Erf(_A, _G, 0).kappa_dot()),
            "offset not squared": Identity(activation.kappa(q11, q22, 0), activation.mean(q)),
        },
    )


@derivation("dual.gabor")
def _gabor() -> Derivation:
    activation, wave = Gabor(), Sin()
    s11, s22, s12, det = _tilted(-1)
    tilted = wave.kappa(s11, s22, s12) / sp.sqrt(det)
    slope, dot = activation.kappa().diff(q12), activation.kappa_dot()
    # The two exponentials are kept as they are: the identity is one of rational functions.
    waves = {e: sp.Dummy(f"e{i}", positive=True) for i, e in enumerate(dot.atoms(sp.exp))}
    one = sp.exp(-q / (2 * (1 + 2 * q)))
    return Derivation(
        name="dual.gabor",
        title="Dual of the Gabor function",
        statement=r"\kappa = D^{-1/2}\, \kappa_{\sin}(\Sigma'),\quad"
        r" \Sigma' = (\Sigma^{-1} + 2)^{-1},\quad D = \det(1 + 2\Sigma)",
        domain="q12^2 <= q11 q22",
        steps=(
            *_tilt(sp.Integer(-1)),
            Step(
                r"\mathbb{E}[\sin X \sin Y] = e^{-(q_{11}+q_{22})/2} \sinh q_{12}",
                "dual of the sine, at the tilted covariance",
                Lemma("dual.sin"),
            ),
            Step(
                r"\kappa = D^{-1/2} \kappa_{\sin}(\Sigma')",
                "the Gaussian factors tilt the pair",
                Identity(activation.kappa(), tilted),
            ),
            price_lemma(r"\mathbb{E}[\sigma'\sigma'] = \partial_{q_{12}} \kappa"),
            Step(
                r"\frac{\partial}{\partial q_{12}} \kappa = \dot\kappa",
                "an identity of rational functions beside each exponential",
                Identity(slope.xreplace(waves), dot.xreplace(waves)),
            ),
            Step(
                r"\mathbb{E}[\sigma'(X)] = \mathbb{E}[X \sigma(X)]/q ="
                r" (1+2q)^{-3/2} e^{-q/(2(1+2q))}",
                "by parts; then the tilted variance q/(1 + 2q) and the mean of the cosine",
                AllOf(
                    (
                        Identity(X * NORMAL / q, -NORMAL.diff(X)),
                        Identity(
                            activation.mean_dot(q),
                            Sin().mean_dot(q / (1 + 2 * q))
                            * (q / (1 + 2 * q))
                            / q
                            / sp.sqrt(1 + 2 * q),
                        ),
                        Identity(activation.mean_dot(q), one / (1 + 2 * q) ** _Q(3, 2)),
                    )
                ),
            ),
            *ends(activation),
            *ends(activation, dot=True),
            reflection(activation),
        ),
        mutants={
            **variants(activation),
            "covariance not tilted": Identity(activation.kappa(), wave.kappa() / sp.sqrt(det)),
            "mass forgotten": Identity(activation.kappa(), wave.kappa(s11, s22, s12)),
        },
    )


@derivation("dual.gelu")
def _gelu() -> Derivation:
    activation, bend = GELU(), Polynomial([2, 0, -1])
    s11, s22, s12, det = _tilted(-_Q(1, 2))
    normal = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
    curvature = bend.kappa(s11, s22, s12) / (2 * sp.pi * sp.sqrt(det))
    single = bend.mean(q / (1 + q)) / sp.sqrt(2 * sp.pi * (1 + q)) / 2
    slope = activation.expr.diff(z)
    dot = activation.kappa_dot().diff(q12)
    return Derivation(
        name="dual.gelu",
        title="Dual of the exact GELU",
        statement=rf"\mathbb{{E}}[\sigma\sigma] = {sp.latex(activation.kappa())}",
        domain="q12^2 <= q11 q22",
        steps=(
            Step(
                r"\sigma''(z) = (2 - z^2) \varphi(z)",
                "differentiate z Phi(z) twice",
                Identity(slope.diff(z), bend.expr * normal),
            ),
            *_tilt(-_Q(1, 2)),
            Step(
                r"\mathbb{E}[(2 - X^2)(2 - Y^2)] = (2 - q_{11})(2 - q_{22}) + 2 q_{12}^2",
                "dual of a polynomial, at the tilted covariance",
                Lemma("dual.polynomial"),
            ),
            price_lemma(
                r"\partial_{q_{12}} \dot\kappa = \mathbb{E}[\sigma''\sigma''],\quad"
                r" \partial_{q_{12}} \kappa = \dot\kappa"
            ),
            Step(
                r"\frac{\partial}{\partial q_{12}} \dot\kappa = \mathbb{E}[\sigma''(X)\sigma''(Y)]",
                "differentiate the closed form",
                Identity(dot, curvature),
            ),
            along(activation),
            Step(
                r"\sigma'(z) + \sigma'(-z) = 1",
                "so the mean slope is 1/2",
                Identity(slope + slope.subs(z, -z), 2 * activation.mean_dot(q)),
            ),
            Step(
                r"\frac{d}{dq}\mathbb{E}[\sigma(X)] = \tfrac12 \mathbb{E}[\sigma''(X)],\quad"
                r" \mathbb{E}[\sigma] \to 0 \text{ as } q \to 0",
                "heat equation in one dimension, and the tilted variance q/(1 + q)",
                Antiderivative(activation.mean(q), single, q, {0: 0}),
            ),
            *ends(activation),
            *ends(activation, dot=True),
        ),
        mutants={
            **variants(activation),
            "slope off by a tenth of the angle": Identity(
                dot + 1 / (20 * sp.pi * sp.sqrt(det)), curvature
            ),
            "mean shifted": Antiderivative(activation.mean(q) + _Q(1, 20), single, q, {0: 0}),
            "bend without its 2": Identity(slope.diff(z), -(z**2) * normal),
        },
    )
