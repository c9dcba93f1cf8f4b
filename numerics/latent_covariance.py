"""Covariances of a wide dense network's latents on a batch: one activation's step, and roots."""

from __future__ import annotations

import torch
from torch import Tensor

from numerics.kernel_duals import DeficitValues, DualValues, SmoothValues

__all__ = ["dual_moments", "gaussian_root"]


def gaussian_root(covariance: Tensor) -> Tensor:
    """``R`` of shape (N, rank) with ``R R^T = covariance``, from eigenvectors.

    Eigenvalues below rounding (and negative ones that rounding made) are left out, so a singular
    covariance is as good as any; inputs without variance get exact zeros.
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    floor = covariance.shape[0] * torch.finfo(torch.float64).eps * float(values[-1].clamp(min=0))
    kept = values > floor
    root = vectors[:, kept] * values[kept].sqrt()
    root[covariance.diagonal() == 0.0] = 0.0
    return root


def dual_moments(values: DualValues, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """``E[s(z) s(z)^T]`` and ``E[s'(z) s'(z)^T]`` for z ~ N(0, covariance), both (N, N), float64.

    Where an input has no variance the second is that of a vanishing one.
    """
    deviation = covariance.diagonal().clamp(min=0.0).sqrt()[None]
    scale = torch.where(deviation > 0.0, 1.0 / deviation, 0.0)[0]
    cosine = (covariance * scale[:, None] * scale).clamp(-1.0, 1.0)
    cosine.fill_diagonal_(1.0)
    moments = values.moments(deviation)
    if isinstance(values, DeficitValues):
        deficit, _, slope = values.deficit(2.0 - 2.0 * cosine[None], None, True)
        root = moments.root[0]
        kappa = (1.0 - 0.5 * deficit[0]) * root[:, None] * root
    else:
        assert isinstance(values, SmoothValues)
        side = values.prepare(deviation)
        kappa, slope = values.pair(side, side, cosine[None], True)
        kappa = kappa[0]
    kappa.diagonal().copy_(moments.root[0] ** 2)
    slope = slope[0].clone()
    slope.diagonal().copy_(moments.dot[0])
    return kappa, slope
