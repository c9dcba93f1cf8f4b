"""What takes the residual's place in a criterion's scores, without what is mere rounding.

Scores are ranked, so where a residual cancels exactly, rounding noise would be ranked instead.
"""

from __future__ import annotations

import torch
from torch import Tensor

from numerics.losses import CrossEntropy, Loss, Squared

__all__ = ["gauss_newton", "is_rounding", "merged"]

_ROUNDING = 16.0
"""Units of rounding, relative to the sum of the terms, below which a sum of them is zero."""
_OVERLAP = {torch.float64: 1e-12, torch.float32: 2e-5}
_DISTRIBUTION = 1e-5


def merged(x: Tensor, residual: Tensor) -> Tensor:
    """The residual (N, outputs) with those of equal inputs (N, d) summed at the first of them.

    No score changes: equal inputs have equal latents. Sums that cancel are exact zeros.
    """
    _, group = x.unique(dim=0, return_inverse=True)
    count = int(group.max()) + 1
    if count == len(x):
        return residual
    sums, terms = residual.new_zeros(2, count, residual.shape[1])
    sums.index_add_(0, group, residual)
    terms.index_add_(0, group, residual.abs())
    sums[sums.abs() <= _unit(residual) * terms] = 0.0
    places = torch.arange(len(x), device=x.device)
    first = torch.full((count,), len(x), device=x.device)
    first.scatter_reduce_(0, group, places, reduce="amin")
    out = torch.zeros_like(residual)
    out[first] = sums
    return out


def gauss_newton(
    x: Tensor,
    kernel: Tensor,
    loss: Loss,
    y: Tensor | None,
    residual: Tensor,
    output: Tensor | None,
) -> Tensor:
    """``C Theta r`` with the loss's curvature C in the outputs, (N, outputs).

    ``kernel`` is Theta (N, N) of the inputs x. ``output`` may be None where C does not depend on it
    (squared loss) or follows from labels and residual (cross-entropy). Raises ValueError where it
    does not, and, naming residual, where these contradict each other.
    """
    summed = merged(x, residual)
    direction, terms = kernel @ summed, kernel.abs() @ summed.abs()
    direction[direction.abs() <= _unit(direction) * terms] = 0.0
    if isinstance(loss, Squared):
        return loss.curvature(direction if output is None else output, direction)
    if output is None:
        if y is None or type(loss) is not CrossEntropy:
            raise ValueError(
                "output must be given (or y, for cross-entropy), because the loss's "
                "curvature depends on the outputs"
            )
        p = residual + torch.nn.functional.one_hot(y, residual.shape[1])
        off = max(float(-p.min()), float((p.sum(dim=1) - 1.0).abs().max()))
        if off > _DISTRIBUTION:
            raise ValueError(
                "residual must be probabilities less the one-hot labels y under cross-entropy, "
                f"because its curvature follows from them; probabilities are off by {off:.3g}"
            )
        output = p.clamp(min=torch.finfo(p.dtype).tiny).log()
    found = loss.curvature(output, direction)
    terms = torch.zeros_like(found)
    for each in range(residual.shape[1]):
        column = torch.zeros_like(direction)
        column[:, each] = direction[:, each]
        terms += loss.curvature(output, column).abs()
    return torch.where(found.abs() <= _unit(found) * terms, 0.0, found)


def is_rounding(psi: Tensor, h: Tensor) -> bool:
    """Whether all ``<psi, h>``, of (targets, N) and (sources, N), are rounding of exact zeros.

    Below 1e-12 of the largest norms (2e-5 in float32), but not zeros themselves.
    """
    size = float(psi.norm(dim=1).max() * h.norm(dim=1).max())
    return 0.0 < float((psi @ h.T).abs().max()) <= _OVERLAP[psi.dtype] * size < float("inf")


def _unit(values: Tensor) -> float:
    return _ROUNDING * torch.finfo(values.dtype).eps
