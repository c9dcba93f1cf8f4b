"""Steps and mutants that the proofs of all duals share.

A dual is determined by its derivative along the covariance and its value at independence; the
functions here state both for a shipped closed form, with what must refute a false one.
"""

from __future__ import annotations

from typing import Final

import sympy as sp

from theory.derivation import AllOf, Check, Identity, Step
from theory.dual import DualActivation, q, q11, q12, q22

__all__ = ["along", "ends", "reflection", "scaling", "variants"]

_Q: Final = sp.Rational
_C: Final = sp.Symbol("s", positive=True)
_FIVE: Final = _Q(21, 20)


def along(activation: DualActivation, slope: sp.Expr | None = None) -> Step:
    """``d kappa / d q12``, equal to ``kappa_dot`` unless another slope is given."""
    found = activation.kappa_dot() if slope is None else slope
    return Step(
        r"\frac{\partial}{\partial q_{12}} \kappa = "
        + (r"\dot\kappa" if slope is None else sp.latex(slope)),
        "differentiate the closed form in the covariance",
        Identity(activation.kappa().diff(q12), found),
    )


def ends(activation: DualActivation, dot: bool = False) -> list[Step]:
    """The value at independence and on the diagonal, for ``kappa`` or ``kappa_dot``."""
    if dot:
        kappa, mean, second = (
            activation.kappa_dot,
            activation.mean_dot,
            activation.second_moment_dot,
        )
    else:
        kappa, mean, second = activation.kappa, activation.mean, activation.second_moment
    mark, prime = (r"\dot\kappa", "'") if dot else (r"\kappa", "")
    return [
        Step(
            rf"{mark}|_{{q_{{12}}=0}} = \mathbb{{E}}[\sigma{prime}(X)]"
            rf"\, \mathbb{{E}}[\sigma{prime}(Y)]",
            "independent Gaussians: a product of means",
            Identity(kappa(q11, q22, 0), mean(q11) * mean(q22)),
        ),
        Step(
            rf"{mark}|_{{q_{{11}}=q_{{22}}=q_{{12}}=q}} = \mathbb{{E}}[\sigma{prime}(X)^2]",
            "equal Gaussians, by continuity: the second moment",
            Identity(kappa(q, q, q), second(q)),
        ),
    ]


def scaling(activation: DualActivation) -> Step:
    """Homogeneity: ``s(a z) = a^k s(z)`` makes ``kappa`` homogeneous of degree ``k``."""
    k = activation.degree
    scaled = activation.kappa(_C * q11, _C * q22, _C * q12)
    return Step(
        rf"\kappa(s\,q) = s^{{{k}}} \kappa(q),\quad \dot\kappa(s\,q) = s^{{{k} - 1}} \dot\kappa(q)",
        "positive homogeneity",
        AllOf(
            (
                Identity(scaled, _C**k * activation.kappa()),
                Identity(
                    activation.kappa_dot(_C * q11, _C * q22, _C * q12),
                    _C ** (k - 1) * activation.kappa_dot(),
                ),
            )
        ),
    )


def reflection(activation: DualActivation) -> Step:
    """Parity of ``s`` is parity of its duals in the covariance."""
    sign = 1 if activation.parity == "even" else -1
    mark = "" if sign > 0 else "-"
    return Step(
        rf"\kappa(-q_{{12}}) = {mark}\kappa(q_{{12}}),\quad"
        rf" \dot\kappa(-q_{{12}}) = {'-' if sign > 0 else ''}\dot\kappa(q_{{12}})",
        f"the activation is {activation.parity}: reflect one of the two Gaussians",
        AllOf(
            (
                Identity(activation.kappa(q11, q22, -q12), sign * activation.kappa()),
                Identity(activation.kappa_dot(q11, q22, -q12), -sign * activation.kappa_dot()),
            )
        ),
    )


def variants(activation: DualActivation, slope: sp.Expr | None = None) -> dict[str, Check]:
    """False variants that every family must refute."""
    closed, mean = activation.kappa(), activation.mean
    found = activation.kappa_dot() if slope is None else slope
    apart = mean(q11) * mean(q22)
    turned = -closed if activation.parity == "even" else closed  # else it would be true
    return {
        "five per cent": Identity(_FIVE * closed.diff(q12), found),
        "shifted": Identity(activation.kappa(q11, q22, 0) + _Q(1, 20), apart),
        "covariance reversed": Identity(turned.subs(q12, -q12).diff(q12), found),
        "five per cent on the diagonal": Identity(
            _FIVE * activation.kappa(q, q, q), activation.second_moment(q)
        ),
    }
