"""Losses of a network's outputs, with the derivatives that closed-form scores need."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

__all__ = ["LOSSES", "CrossEntropy", "Loss", "Squared", "loss"]


class Loss(ABC):
    """A loss that is a *sum* over samples here; scores divide by the number of samples."""

    name: str

    @abstractmethod
    def check(self, y: Tensor, samples: int, outputs: int, like: Tensor) -> Tensor:
        """Labels in the loss's own shape, dtype and device of ``like``; ValueError if wrong."""

    @abstractmethod
    def total(self, f: Tensor, y: Tensor) -> Tensor:
        """Sum over samples, for outputs (N, outputs) and checked labels; a scalar."""

    @abstractmethod
    def residual(self, f: Tensor, y: Tensor) -> Tensor:
        """Derivative of :meth:`total` by the outputs, shape (N, outputs)."""

    @abstractmethod
    def curvature(self, f: Tensor, direction: Tensor) -> Tensor:
        """Hessian of :meth:`total` in the outputs, applied to a direction (N, outputs)."""


class Squared(Loss):
    """``½ Σ_o (f_o − y_o)²`` for each sample; labels (N,) or (N, outputs)."""

    name = "squared"

    def check(self, y: Tensor, samples: int, outputs: int, like: Tensor) -> Tensor:
        """Real labels of shape (N, outputs); (N,) is accepted for one output."""
        shaped = y[:, None] if y.ndim == 1 and outputs == 1 else y
        if y.is_complex():
            raise ValueError(f"y must hold real numbers, got {y.dtype}")
        if shaped.shape != (samples, outputs):
            raise ValueError(f"y must have shape ({samples}, {outputs}), got {tuple(y.shape)}")
        return shaped.to(like)

    def total(self, f: Tensor, y: Tensor) -> Tensor:
        """Half the sum of squared residuals."""
        return 0.5 * (f - y).square().sum()

    def residual(self, f: Tensor, y: Tensor) -> Tensor:
        """``f − y``."""
        return f - y

    def curvature(self, f: Tensor, direction: Tensor) -> Tensor:
        """The identity."""
        return direction


class CrossEntropy(Loss):
    """``−log softmax(f)_y`` for each sample; labels are classes (N,), at least two outputs."""

    name = "cross-entropy"

    def check(self, y: Tensor, samples: int, outputs: int, like: Tensor) -> Tensor:
        """Integer classes of shape (N,) in [0, outputs)."""
        if outputs < 2:
            raise ValueError("loss 'cross-entropy' needs a network with at least two outputs")
        if y.shape != (samples,) or y.is_floating_point() or y.is_complex():
            raise ValueError(
                f"y must hold integer classes of shape ({samples},), "
                f"got shape {tuple(y.shape)} and dtype {y.dtype}"
            )
        y = y.to(like.device, torch.int64)
        if len(y) and (int(y.min()) < 0 or int(y.max()) >= outputs):
            raise ValueError(f"y must hold classes from 0 to {outputs - 1}")
        return y

    def total(self, f: Tensor, y: Tensor) -> Tensor:
        """Sum of negative log-likelihoods."""
        return torch.nn.functional.cross_entropy(f, y, reduction="sum")

    def residual(self, f: Tensor, y: Tensor) -> Tensor:
        """``softmax(f)`` minus the one-hot label."""
        p = torch.softmax(f, dim=1)
        p[torch.arange(len(y), device=y.device), y] -= 1.0
        return p

    def curvature(self, f: Tensor, direction: Tensor) -> Tensor:
        """``(diag p − p pᵀ)`` times the direction."""
        p = torch.softmax(f, dim=1)
        weighted = p * direction
        return weighted - p * weighted.sum(dim=1, keepdim=True)


LOSSES: dict[str, Loss] = {each.name: each for each in (Squared(), CrossEntropy())}
"""Losses by name."""


def loss(name: str | Loss) -> Loss:
    """The loss of a name; ValueError names the known ones."""
    if isinstance(name, Loss):
        return name
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {sorted(LOSSES)}, got {name!r}")
    return LOSSES[name]
