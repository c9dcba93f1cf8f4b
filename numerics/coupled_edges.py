"""What a mask leaves of the edges between two populations of neurons, given their latents.

An edge from source j to target i scores ``|w| kappa |<psi_i, h_j>|`` and stays where that reaches
the threshold, so given the latents it is kept with probability ``P(t)`` and has second moment
``V(t) = E[w^2; |w| >= t]`` afterwards, with ``t = tau / (kappa |<psi_i, h_j>|)``. Both
are expressions of :class:`theory.laws.Law`; the normal law has a faster twin here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from numerics.evaluate import torch_function
from theory.laws import Gaussian, Law
from theory.symbols import t as level

__all__ = [
    "ConstantEdges",
    "Edges",
    "Kept",
    "LatentEdges",
    "Moments",
    "exact_mask",
    "moments",
]

_FAR = {torch.float32: 13.0, torch.float64: 37.5}
"""Thresholds that keep less than the smallest normal number: beyond them nothing is kept.

Results below that number are far slower to compute, and many thresholds are infinite.
"""


class Kept(NamedTuple):
    """Kept share P and second moment V of each edge, both of one shape."""

    P: Tensor
    V: Tensor


Moments = Callable[[Tensor], Kept]


def _gaussian(t: Tensor) -> Kept:
    far = _FAR[t.dtype]
    near = (t < far).to(t.dtype)
    t = t.clamp(max=far)
    share = torch.special.erfc(t * math.sqrt(0.5)).mul_(near)
    density = t.square().mul_(-0.5).exp_().mul_(t).mul_(math.sqrt(2.0 / math.pi)).mul_(near)
    return Kept(share, density.add_(share))


def moments(law: Law | None = None) -> Moments:
    """P and V as a function of thresholds ``t >= 0`` in units of the weight; infinity gives 0.

    ``law`` has unit variance; None is the standard normal.
    """
    if law is None or isinstance(law, Gaussian):
        return _gaussian
    share = torch_function(law.two_sided_survival(level), level)
    second = torch_function(law.two_sided_second(level), level)

    def values(t: Tensor) -> Kept:
        finite = torch.isfinite(t)
        inside = torch.where(finite, t, 0.0)
        return Kept(*(torch.where(finite, f(inside), 0.0) for f in (share, second)))

    return values


class Edges(ABC):
    """P and V of all edges between a population of sources and one of targets."""

    @abstractmethod
    def rows(self, block: slice, by_source: bool = False) -> Kept:
        """P and V for a block of targets, (block, sources); ``by_source``: (block, targets)."""


@dataclass(frozen=True)
class ConstantEdges(Edges):
    """The same P and V, each (1, 1), for all edges between ``neurons`` and ``neurons``."""

    kept: Kept
    neurons: int

    def rows(self, block: slice, by_source: bool = False) -> Kept:
        """P and V for a block of neurons, (block, neurons)."""
        size = len(range(*block.indices(self.neurons)))
        return Kept(*(each.expand(size, self.neurons) for each in self.kept))


@dataclass(frozen=True)
class LatentEdges(Edges):
    """Edges scored by latents ``psi`` (targets, N) and ``h`` (sources, N).

    ``cut = tau / kappa``. Where ``<psi, h>`` vanishes the score does so for any weight; the edge is
    then kept only at threshold 0, with probability ``tie``. ``redrawn`` puts V = P: weights that
    the mask did not see.
    """

    psi: Tensor
    h: Tensor
    cut: float
    tie: float
    law: Moments
    redrawn: bool = False

    def rows(self, block: slice, by_source: bool = False) -> Kept:
        """P and V for a block of targets, (block, sources); ``by_source``: (block, targets)."""
        left, right = (self.h, self.psi) if by_source else (self.psi, self.h)
        overlap = left[block] @ right.T
        if self.cut == 0.0:  # everything that has a score
            share = torch.full_like(overlap, self.tie).masked_fill_(overlap != 0.0, 1.0)
            return Kept(share, share)
        kept = self.law(overlap.abs_().reciprocal_().mul_(self.cut))
        return Kept(kept.P, kept.P) if self.redrawn else kept


def exact_mask(scores: Tensor, tau: float, tie: float, uniform: Tensor) -> Tensor:
    """The mask of scores ``> tau``; those equal to it stay with probability ``tie``."""
    return (scores > tau) | ((scores == tau) & (uniform < tie))
