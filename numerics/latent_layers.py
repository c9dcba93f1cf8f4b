"""Samples of one layer's edges in the limit of wide layers: who would be kept, with no network.

Between hidden layers sources and targets are independent draws of latents, and an edge between
them is kept with the probability that its own weight passes the threshold. The two ends are
finite: the first layer's sources are the d input coordinates, whose d weights are what a
target's pre-activation is made of, so the weights are drawn and the mask is exact; the output
layer's targets are the outputs, and its weights are drawn too, because a source's degree is a
share of so few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from numerics.evaluate import torch_function
from numerics.latent_batch import LatentBatch
from numerics.latent_residual import is_rounding
from numerics.latent_threshold import Population, Scales, Scores
from theory.laws import Gaussian, Law
from theory.symbols import t

__all__ = ["LayerDraw", "draw_layer", "draw_sources", "draw_targets"]

_ROWS = 256
_BLOCK = 512


@dataclass(frozen=True)
class LayerDraw:
    """Targets and sources of a layer, (targets, N) and (sources, N); kappa is in the targets.

    ``weights`` (targets, sources) are those of the layer where they are part of the draw (first
    and output layer), else None. ``law`` is that of the weights, None for the standard normal.
    """

    targets: Tensor
    sources: Tensor
    weights: Tensor | None
    law: Law | None
    signed: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of targets and sources."""
        return len(self.targets), len(self.sources)

    def population(self) -> Population:
        """The layer's scores as a law.

        Between hidden layers the scales of disjoint blocks of latents stand for those of all
        pairs: each latent occurs, at an eighth of the work for 4096 of them.
        """
        if self.weights is not None:
            return Scores(self._scores(slice(None)), signed=self.signed)
        pieces = []
        for start in range(0, max(self.shape), _BLOCK):
            rows = _wrapped(self.targets, start, max(self.shape))
            columns = _wrapped(self.sources, start, max(self.shape))
            pieces.append((rows @ columns.T).abs_().reshape(-1))
        return Scales(torch.cat(pieces), self.law, signed=self.signed)

    def _scores(self, part: slice) -> Tensor:
        assert self.weights is not None
        scores = (self.targets[part] @ self.sources.T).mul_(self.weights[part])
        return scores if self.signed else scores.abs_()

    def kept(self, tau: float, tie: float, rng: np.random.Generator) -> Tensor:
        """Who is kept, (targets, sources): probabilities, or 0 and 1 where weights are drawn.

        ``tie`` is the share of the scores equal to ``tau`` that is kept; ``rng`` draws which ones.
        """
        out = torch.empty(self.shape, dtype=self.targets.dtype, device=self.targets.device)
        survival = _survival(self.law, self.signed)
        for start in range(0, self.shape[0], _ROWS):
            part = slice(start, start + _ROWS)
            if self.weights is not None:
                out[part] = _drawn(self._scores(part), tau, tie, rng)
                continue
            scales = (self.targets[part] @ self.sources.T).abs_()
            if tau == 0.0:
                out[part] = torch.where(scales > 0.0, 0.5 if self.signed else 1.0, tie)
            else:
                out[part] = survival(scales.reciprocal_().mul_(tau))
        return out

    def mask(self, tau: float, tie: float, rng: np.random.Generator) -> Tensor:
        """A mask of such a layer, (targets, sources), bool: edges are independent given latents."""
        kept = self.kept(tau, tie, rng)
        if self.weights is not None:
            return kept > 0.5
        noise = torch.from_numpy(rng.random(self.shape, dtype=np.float32))
        return noise.to(kept.device, kept.dtype) < kept


def _wrapped(rows: Tensor, start: int, total: int) -> Tensor:
    """A block of rows, taken round and round where there are fewer than ``total``."""
    index = torch.arange(start, min(start + _BLOCK, total), device=rows.device) % len(rows)
    return rows[index]


def _drawn(scores: Tensor, tau: float, tie: float, rng: np.random.Generator) -> Tensor:
    """The mask of scores above a threshold, and at random of those equal to it."""
    out = scores > tau
    if tie > 0.0:
        equal = scores == tau
        chosen = torch.from_numpy(rng.random(int(equal.sum())) < tie)
        out[equal] = chosen.to(out.device)
    return out


@lru_cache(maxsize=32)
def _survival(law: Law | None, signed: bool) -> Callable[..., Tensor]:
    weight = Gaussian() if law is None else law
    return torch_function(weight.survival(t) if signed else weight.two_sided_survival(t), t)


# ----------------------------------------------------------------------------------- latents
def _normal(rng: np.random.Generator, count: int, root: Tensor, dtype: torch.dtype) -> Tensor:
    """Draws (count, N) of the Gaussian with a root (N, rank)."""
    kind = np.float32 if dtype == torch.float32 else np.float64
    normal = torch.from_numpy(rng.standard_normal((count, root.shape[1]), dtype=kind))
    return normal.to(root.device) @ root.to(dtype).T


def _weights(
    batch: LatentBatch, rng: np.random.Generator, shape: tuple[int, int], dtype: torch.dtype
) -> Tensor:
    return torch.from_numpy(batch.sampler(rng, shape)).to(batch.device, dtype)


def _first(
    batch: LatentBatch, count: int, rng: np.random.Generator, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Input weights (count, d) and the pre-activations (count, N) that they make."""
    W = _weights(batch, rng, (count, batch.widths[0]), dtype)
    z = W @ (batch.scale(1) * batch.x).to(dtype).T
    if batch.biases[0] > 0.0:
        noise = torch.from_numpy(rng.standard_normal((count, 1))).to(batch.device, dtype)
        z = z + batch.biases[0] ** 0.5 * noise
    return W, z


def _preactivation(
    batch: LatentBatch, layer: int, count: int, rng: np.random.Generator, dtype: torch.dtype
) -> Tensor:
    if layer == 1 and batch.law is not None:  # no Gaussian: the weights are too few
        return _first(batch, count, rng, dtype)[1]
    return _normal(rng, count, batch.roots[layer - 1], dtype)


def draw_sources(
    batch: LatentBatch, layer: int, count: int, rng: np.random.Generator,
    dtype: torch.dtype = torch.float32,
) -> Tensor:  # fmt: skip
    """States ``h`` of neurons of hidden layer ``layer`` on the batch, (count, N)."""
    return batch.activation.value(_preactivation(batch, layer, count, rng, dtype))


def draw_targets(
    batch: LatentBatch, layer: int, residual: Tensor, z: Tensor, rng: np.random.Generator
) -> Tensor:
    """``psi = s'(z) o sum_o b_o o r_o`` for pre-activations z (count, N) of a hidden layer."""
    root = batch.send_root(layer, residual)
    if layer == batch.depth:  # the normal numbers are output weights, of whatever law
        sent = _weights(batch, rng, (len(z), root.shape[1]), z.dtype) @ root.to(z.dtype).T
    else:
        sent = _normal(rng, len(z), root, z.dtype)
    return batch.activation.first(z).mul_(sent)


def draw_layer(
    batch: LatentBatch,
    layer: int,
    residual: Tensor,
    targets: int,
    sources: int,
    rng: np.random.Generator,
    *,
    signed: bool = False,
    dtype: torch.dtype = torch.float32,
) -> LayerDraw:
    """Latents of a layer of weights from 1 to L + 1.

    ``targets`` is not used for the output layer nor ``sources`` for the first one, whose sides
    are finite. ``residual`` (N, outputs) is the criterion's effective one.
    """
    kappa = batch.kappa(layer)
    if layer == 1:
        W, z = _first(batch, targets, rng, dtype)
        psi, x = draw_targets(batch, 1, residual, z, rng).mul_(kappa), batch.x.to(dtype).T
        return LayerDraw(_scoring(psi, x), x.contiguous(), W, batch.law, signed)
    if layer == batch.layers:
        h = draw_sources(batch, batch.depth, sources, rng, dtype)
        a = _weights(batch, rng, (batch.outputs, sources), dtype)
        ends = (kappa * residual.T).to(dtype)
        return LayerDraw(_scoring(ends, h[:_BLOCK]), h, a, batch.law, signed)
    z = _preactivation(batch, layer, targets, rng, dtype)
    psi = draw_targets(batch, layer, residual, z, rng).mul_(kappa)
    h = draw_sources(batch, layer - 1, sources, rng, dtype)
    return LayerDraw(_scoring(psi, h[:_BLOCK]), h, None, batch.law, signed)


def _scoring(targets: Tensor, sources: Tensor) -> Tensor:
    """Targets, zeros where all scores are: what rounding leaves of those must not be ranked."""
    return torch.zeros_like(targets) if is_rounding(targets[:_BLOCK], sources) else targets
