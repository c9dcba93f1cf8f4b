"""Latent features of a wide network and the score of a deep layer: what the mask depends on.

One normalisation for all layers. With ``s_l = sqrt(g_l/n_{l-1})`` the network is
``z_l = s_l W_l h_{l-1}``, ``W ~ N(0, 1)``, and the loss's derivative by ``z_l`` is
``delta_l = psi_l/sqrt(n_l)``. On a batch of N inputs with residual ``r`` (N x O, the loss's
derivative by the outputs) a neuron has latents of order one,

    z_i ~ N(0, Sigma_l),  b_io ~ N(0, B_l) independently over the outputs o,
    h_i = s(z_i),  psi_i = s'(z_i) sum_o b_io r_o,

and the first-order score of a weight is ``|w_ij| kappa_l |<psi_i, h_j>|``. All that a mask knows of
two neurons is the number ``<psi_i, h_j>``. Proofs: :mod:`theory.derivations.latent`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import sympy as sp

from theory.laws import Gaussian, Law
from theory.saliency import MagnitudeRule, SignedRule
from theory.symbols import c, r

__all__ = [
    "Which",
    "backward_covariances",
    "cut",
    "effective_residual",
    "graphon",
    "hidden_scale",
    "kept_share",
    "output_scale",
    "softmax_hessian",
]

Which = Literal["mask", "mean", "variance"]
_ORDERS = {"mask": 0, "mean": 1, "variance": 2}


def _positive(value: Any, name: str) -> sp.Expr:
    value = sp.sympify(value)
    if value.is_nonpositive:
        raise ValueError(f"{name} must be positive, got {value}")
    return value


def hidden_scale(gain: Any, sources: Any, targets: Any) -> sp.Expr:
    """``kappa_l = sqrt(g_l/(n_{l-1} n_l))``: the score is ``|w| kappa |<psi, h>|``, 1 <= l <= L.

    Raises ValueError for a gain or a width that is not positive.
    """
    named = {"gain": gain, "sources": sources, "targets": targets}
    g, below, above = (_positive(value, name) for name, value in named.items())
    return sp.sqrt(g / (below * above))


def output_scale(gain: Any, sources: Any) -> sp.Expr:
    """``kappa_{L+1} = sqrt(g_{L+1}/n_L)``: the score is ``|a_oj| kappa |<r_o, h_j>|``.

    Raises ValueError for a gain or a width that is not positive.
    """
    return sp.sqrt(_positive(gain, "gain") / _positive(sources, "sources"))


def cut(level: Any, scale: Any, inner: Any) -> sp.Expr:
    """``t = tau/(kappa |<psi, h>|)``: the weights with ``|w| >= t`` stay.

    ``level`` is the threshold tau of the scores, ``inner`` the product ``<psi, h>``, not zero.
    """
    return sp.sympify(level) / (sp.sympify(scale) * sp.Abs(inner))


def graphon(
    which: Which,
    inner: Any,
    level: Any,
    scale: Any = 1,
    law: Law | None = None,
    *,
    signed: bool = False,
) -> sp.Expr:
    """Mask, mean or variance graphon at ``inner = <psi, h>``: ``E[w^k M]`` for k = 0, 1, 2.

    ``level`` is tau, ``scale`` the layer's kappa, ``law`` that of the weights (Gaussian if not
    given). With ``signed`` the score is ``-w kappa <psi, h>`` without the absolute value.
    Raises ValueError for another ``which``.
    """
    if which not in _ORDERS:
        raise ValueError(f"which must be one of {sorted(_ORDERS)}, got {which!r}")
    law = Gaussian() if law is None else law
    rule = SignedRule() if signed else MagnitudeRule()
    value = rule.moment(law, _ORDERS[which], sp.sympify(level))
    # The rule's weight has the sign of its score.
    side = -sp.sign(sp.sympify(inner)) if signed and which == "mean" else sp.S.One
    size = sp.sympify(scale) * sp.Abs(inner)
    return side * sp.sympify(value).subs({r: size, c: sp.S.One}, simultaneous=True)


def backward_covariances(gains: Sequence[Any], dots: Sequence[Any]) -> list[sp.Expr]:
    """``B_1 .. B_L`` for a pair of inputs; ``B_L = g_{L+1}``, ``B_l = g_{l+1} B_{l+1} S'_{l+1}``.

    ``gains`` are ``g_1 .. g_{L+1}``, ``dots`` the derivative duals ``S'_1 .. S'_L`` of the pair.
    Raises ValueError unless there is one gain more than duals.
    """
    if len(gains) != len(dots) + 1:
        raise ValueError(f"gains must have one entry more than dots, {len(dots) + 1}")
    found = [sp.sympify(gains[-1])] if dots else []
    for layer in range(len(dots) - 1, 0, -1):
        found.append(sp.sympify(gains[layer]) * sp.sympify(dots[layer]) * found[-1])
    return found[::-1]


def kept_share(counts: Sequence[Any], densities: Sequence[Any]) -> sp.Expr:
    """Density of the whole network from those of its layers: one threshold couples the layers.

    ``counts`` are the numbers of weights, ``densities`` the layers' means of P at their cuts.
    Raises ValueError unless both have one entry for each layer.
    """
    if len(counts) != len(densities) or not counts:
        raise ValueError(f"densities must have one entry per layer, {len(counts)}")
    kept = [sp.sympify(x) * sp.sympify(y) for x, y in zip(counts, densities, strict=True)]
    return sp.Add(*kept) / sp.Add(*map(sp.sympify, counts))


def effective_residual(hessian: Any, kernel: Any, residual: Any) -> sp.Matrix:
    """``B Theta r``: with this residual SNIP's score is |GraSP|'s Gauss-Newton part.

    ``hessian`` is the loss's second derivative by the stacked outputs (NO x NO), ``kernel`` the
    dense NTK there (NO x NO), ``residual`` the first derivative (NO). Raises ValueError if the
    shapes do not fit.
    """
    B, Theta, first = (sp.ImmutableMatrix(x) for x in (hessian, kernel, residual))
    size = first.rows
    for name, matrix in (("hessian", B), ("kernel", Theta)):
        if matrix.shape != (size, size):
            raise ValueError(f"{name} must be {size} x {size} as the residual, got {matrix.shape}")
    return B * Theta * first


def softmax_hessian(probabilities: Sequence[Any]) -> sp.Matrix:
    """``diag(p) - p p^T``: the cross-entropy's second derivative by one input's outputs."""
    p = sp.Matrix([sp.sympify(x) for x in probabilities])
    return sp.ImmutableMatrix(sp.diag(*p) - p * p.T)
