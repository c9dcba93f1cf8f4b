"""Sums over surviving edges, drawn given the dense sums that the mask saw.

Over one population of J neurons with dense features ``a_j`` (K) and pruned ones ``c_j`` (Q), a
target's dense and pruned sums are

    z = (gain / J)^{1/2} sum_j w_j a_j,        z' = (gain / J)^{1/2} sum_j m_j w_j c_j.

Given the target's latents the pairs ``(w_j, m_j w_j)`` have mean 0, variances 1 and V_j and
covariance V_j, so (z, z') is jointly Gaussian for large J, and given z

    E z' = R S^{-1} z,    Cov z' = C - R S^{-1} R^T,
    S = gain E_j[a a^T],  R = gain E_j[V c a^T],  C = gain E_j[V c c^T].

C and R differ from target to target. Instead of factorising a matrix for each of them, a pair
``(z_0, z_0')`` with the joint law is drawn as a sum over the population and corrected:
``z' = z_0' + R S^{-1} (z - z_0)`` has exactly the conditional law, and costs as much as a matrix
product with the features. S is that of the same population, so that V = 1 and ``c = a``
give ``z' = z`` without error, whatever J.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.coupled_edges import Kept

__all__ = ["Covariance", "Noise", "blocks", "covariance", "given_dense"]

Noise = Callable[[int, int], Tensor]
"""Standard normal numbers of a shape, from a stream."""
_SINGULAR = 1e-10


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` that cover ``range(count)``."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


@dataclass(frozen=True)
class Covariance:
    """``S = root root^T`` (K, rank) and ``inverse = S^{-1/2}`` (K, rank) on the same eigenvectors.

    Eigenvalues below 1e-10 of the largest (or the precision of float32) are left out, so
    ``rank`` may be less than K; the inverse is then the pseudo-inverse.
    """

    root: Tensor
    inverse: Tensor

    @property
    def rank(self) -> int:
        """Number of eigenvalues kept."""
        return self.root.shape[1]


def covariance(features: Tensor, gain: float, bias: float = 0.0) -> Covariance:
    """``gain E_j[a a^T] + bias`` of features (J, K), with its roots."""
    # In float64, and symmetric: the features may be float32.
    moment = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    moment = moment.to(features.device)
    for block in blocks(len(features), 4096):
        part = features[block].double()
        moment += part.T @ part
    values, vectors = torch.linalg.eigh(moment * (gain / len(features)) + bias)
    floor = max(_SINGULAR, 4.0 * torch.finfo(features.dtype).eps * math.sqrt(len(values)))
    kept = values > floor * values[-1].clamp(min=0.0)
    root = values[kept].sqrt()
    return Covariance(
        (vectors[:, kept] * root).to(features.dtype), (vectors[:, kept] / root).to(features.dtype)
    )


def given_dense(
    dense: Tensor,
    pruned: Tensor,
    rows: Callable[[slice], Kept],
    sums: Tensor,
    S: Covariance,
    gain: float,
    noise: tuple[Noise, Noise, Noise],
    *,
    bias: float = 0.0,
    coupled: bool = True,
    size: int = 256,
) -> Tensor:
    """Pruned sums (I, Q) of all targets, given their dense sums ``sums`` (I, K).

    ``dense`` (J, K) and ``pruned`` (J, Q) are the features of the population, ``rows`` gives P and
    V of a block of targets, ``S`` is :func:`covariance` of ``dense``, ``bias`` the variance of a
    term that both sums share. ``coupled=False`` leaves the mean out and draws from the
    covariance C, as if the dense sums were independent of the pruned ones. ``size`` targets are
    treated at once; the numbers drawn do not depend on it.
    """
    J, scale = len(dense), math.sqrt(gain / len(dense))
    out = torch.empty(len(sums), pruned.shape[1], dtype=pruned.dtype, device=pruned.device)
    for block in blocks(len(sums), size):
        V = rows(block).V
        survivors = noise[0](len(V), J).mul_(V.sqrt())
        drawn = (survivors @ pruned).mul_(scale)
        if bias > 0.0:
            shared = noise[2](len(V), 1).mul_(math.sqrt(bias))
            drawn += shared
        if coupled:
            weights = noise[1](len(V), J).mul_((1.0 - V).clamp_(min=0.0).sqrt_())
            weights += survivors
            gap = sums[block] - (weights @ dense).mul_(scale)
            if bias > 0.0:
                gap -= shared
            solved = (gap @ S.inverse) @ S.inverse.T
            tilt = (solved @ dense.T).mul_(V)
            drawn += (tilt @ pruned).mul_(gain / J)
            if bias > 0.0:
                drawn += bias * solved.sum(dim=1, keepdim=True)
        out[block] = drawn
    return out
