"""The coupled kernel: a dense network and its pruned self carried together, neuron by neuron.

The mask saw the dense network's signals, and these were made by the weights that survive. So a
neuron of a pruned network is described by four latents: ``z, b`` of the dense network on the batch
that the score saw, and ``z~, b~`` of the pruned one on any inputs. With t and V of
:mod:`theory.latent`, ``E_j`` a mean over sources, ``E_i`` one over targets and g a gain,

    Sigma = g E_j[h_j h_j'],  R_i = g E_j[V_ij h~_j h_j'],   Q_i = g E_j[V_ij h~_j h~_j'],
    z~_i | z_i, b_i ~ N(R_i Sigma^-1 z_i, Q_i - R_i Sigma^-1 R_i'),

    B = g E_i[chi_i chi_i'],  S_j = g E_i[V_ij chi~_i chi_i'],  U_j = g E_i[V_ij chi~_i chi~_i'],
    b~_j | z_j, b_j, z~_j ~ N(S_j B^-1 b_j, U_j - S_j B^-1 S_j'),

where ``chi_io = s'(z_i) b_io`` and ``chi~`` run over pairs (input, output); with the residual r
``psi = sum_o chi_o r_o`` is what scores see. For outputs o, o' the kernel is

    Theta_oo' = sum_{l<=L} g_l E_ij[P_ij chi~_io chi~_io' h~_j h~_j']
                + delta_oo' g_{L+1} E_j[M_oj h~_j h~_j'],

where a primed signal is that of the second input. An output weight reaches one output: the last
layer's share is a mean over its sources alone, zero between different outputs, and *not* a mean
over the outputs. First and output layer have finitely many sources or targets: there weights are
drawn and masked as they are, M_ij for P_ij when l = 1.

The matrix identities behind the conditional laws are exact at every width, at a given cut. As
moments of z~ given z they hold up to ``O(n^(-1/2))``: given z a weight has a small mean m and a
variance just below 1, and ``E[M w] = V m + t^3 phi(t) m^3 / 3 + ..``
(:mod:`theory.derivations.coupled_selection`). With few inputs the first layer's z~ is not Gaussian
either; that takes many coordinates, none of which dominates.

What is here are the pieces in exact arithmetic, for proofs (:mod:`theory.derivations.coupled`) and
for small cases; the recursion by sampling is in :mod:`numerics.coupled_kernel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from theory.laws import Law

__all__ = ["Regression", "contribution", "regression", "selected", "source_moments"]


def selected(law: Law, order: int, cut: Any, mean: Any = 0) -> sp.Expr:
    """``E[(e + m)^k; |e + m| >= t]``, k = ``order`` in {0, 1, 2}: what stays of a shifted weight.

    ``e`` follows the law, ``m`` is the ``mean`` that conditioning on the dense signals gives to it,
    ``t`` the cut. Raises ValueError for another order.
    """
    if order not in (0, 1, 2):
        raise ValueError(f"order must be 0, 1 or 2, got {order}")
    t, m = sp.sympify(cut), sp.sympify(mean)
    right, left = t - m, t + m  # e >= right, or -e >= left
    if order == 0:
        return law.survival(right) + law.survival(left)
    first = law.mean_above(right) - law.mean_above(left)
    share = law.survival(right) + law.survival(left)
    if order == 1:
        return first + m * share
    second = law.second_above(right) + law.second_above(left)
    return second + 2 * m * first + m**2 * share


@dataclass(frozen=True)
class Regression:
    """A Gaussian vector given another: mean ``weights * given``, and a covariance free of it."""

    weights: sp.Matrix
    covariance: sp.Matrix


def regression(own: Any, cross: Any, given: Any) -> Regression:
    """The law of z~ given z: mean ``R Sigma^-1 z`` and covariance ``Q - R Sigma^-1 R'``.

    ``own`` is Q (m x m), ``cross`` R (m x k), ``given`` Sigma (k x k, invertible). The mixture
    over ``z ~ N(0, Sigma)`` has covariance Q again. Raises ValueError if shapes do not fit or
    Sigma is singular.
    """
    Q, R, Sigma = (sp.ImmutableMatrix(x) for x in (own, cross, given))
    if Sigma.rows != Sigma.cols or R.cols != Sigma.rows:
        raise ValueError(f"given must be square with {R.cols} rows, got {Sigma.shape}")
    if Q.shape != (R.rows, R.rows):
        raise ValueError(f"own must be {R.rows} x {R.rows}, got {Q.shape}")
    if Sigma.det().is_zero:
        raise ValueError("given must be invertible: inputs of the batch repeat each other")
    weights = R * Sigma.inv()
    return Regression(weights, sp.ImmutableMatrix(Q - weights * R.T))


def source_moments(
    variances: Sequence[Any], pruned: Any, dense: Any, gain: Any = 1, bias: Any = 0
) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """``Q``, ``R`` and ``Sigma`` of one target from finitely many sources.

    ``variances`` are V_ij over the n sources, ``pruned`` their h~ (inputs x n), ``dense`` their h
    (batch x n). ``bias`` is the variance of a bias, which no mask removes: a source with h = h~ = 1
    and V = 1. Raises ValueError unless all have n sources.
    """
    over, under = sp.ImmutableMatrix(pruned), sp.ImmutableMatrix(dense)
    n = len(variances)
    if over.cols != n or under.cols != n:
        raise ValueError(f"pruned and dense must have {n} columns, one per source")
    V, g = sp.diag(*variances), sp.sympify(gain) / n

    def moment(left: sp.Matrix, middle: sp.Matrix, right: sp.Matrix) -> sp.Matrix:
        shared = sp.sympify(bias) * sp.ones(left.rows, right.rows)
        return sp.ImmutableMatrix(g * left * middle * right.T + shared)

    eye = sp.eye(n)
    return moment(over, V, over), moment(over, V, under), moment(under, eye, under)


def contribution(masks: Any, backward: Any, forward: Any, gain: Any = 1) -> sp.Expr:
    """A layer's share of the kernel at a pair: ``g E_ij[P_ij chi~_i chi~_i' h~_j h~_j']``.

    ``masks`` are P_ij (targets x sources), ``backward`` the products chi~_i chi~_i' of the
    targets, ``forward`` the products h~_j h~_j' of the sources. The output layer's share for output
    o takes that output's row of the mask alone, 1 x sources, and ``backward = [1]``. Raises
    ValueError if they do not fit.
    """
    P = sp.ImmutableMatrix(masks)
    left, right = list(map(sp.sympify, backward)), list(map(sp.sympify, forward))
    if P.shape != (len(left), len(right)):
        raise ValueError(f"masks must be {len(left)} x {len(right)}, got {P.shape}")
    terms = [P[i, j] * left[i] * right[j] for i in range(P.rows) for j in range(P.cols)]
    return sp.sympify(gain) * sp.Add(*terms) / (P.rows * P.cols)
