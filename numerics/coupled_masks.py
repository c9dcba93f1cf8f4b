"""Masks of a criterion over populations of latents: thresholds, and which edges they keep.

Hidden layers keep edges with probabilities; the first layer, whose sources are input
coordinates, and the output layer, whose targets are the outputs, are sampled weight by weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from numerics.coupled_conditioning import blocks
from numerics.coupled_dense import DenseLatents, Draws
from numerics.coupled_edges import (
    ConstantEdges,
    Edges,
    Kept,
    LatentEdges,
    exact_mask,
    moments,
)
from numerics.latent_batch import LatentBatch
from numerics.latent_residual import is_rounding
from numerics.latent_threshold import (
    Population,
    Scales,
    Scores,
    Thresholds,
    threshold,
)

__all__ = ["CRITERIA", "PAIRS", "Layers", "Rule", "masks"]

CRITERIA = ("snip", "grasp", "magnitude", "random")
"""Criteria whose scores are even in the weight, so that the kernel has a limit."""
PAIRS = 1 << 22
"""At most so many pairs of neurons of a hidden layer enter its threshold."""
_PROBES = 64
"""Sources that show whether a layer's scores are rounding."""


@dataclass(frozen=True)
class Rule:
    """What is pruned: criterion, density (one, or one per layer), scope, layers left dense."""

    criterion: str
    density: float | tuple[float, ...]
    scope: str
    keep: tuple[int, ...]
    redrawn: bool
    """Whether survivors get weights that the mask did not see, V = P."""
    independent: tuple[int, ...] = ()
    """Layers whose masks are replaced by random ones of the density that the criterion gave."""


@dataclass
class Layers:
    """Masks of all layers: ``first`` (J, d) and ``last`` (J, outputs) as numbers 0 and 1,
    ``hidden[l]`` the edges into layer l + 2; the thresholds and densities they come from.
    """

    first: Tensor
    hidden: list[Edges]
    last: Tensor
    thresholds: Thresholds


@dataclass(frozen=True)
class _Scored:
    """Scores of the two ends, populations of all layers, and edges at a threshold.

    ``edges(layer, tau, tie)`` is for hidden layers that are not kept dense.
    """

    first: Tensor
    last: Tensor
    populations: list[Population | None]
    edges: Callable[[int, float, float], Edges]


def masks(
    batch: LatentBatch, rule: Rule, latents: DenseLatents, residual: Tensor | None, draws: Draws
) -> Layers:
    """Thresholds and masks of one population; ``residual`` (N, outputs) for SNIP and |GraSP|."""
    ties = (
        draws.uniform("ties", 1, batch.widths[0]),
        draws.uniform("ties", batch.layers, batch.outputs),
    )
    if rule.criterion == "random":
        level, scored = _random(batch, rule), None
    else:
        if residual is None:
            scored = _magnitude(batch, rule, latents, draws)
        else:
            scored = _first_order(batch, rule, latents, residual)
        level = _solve(batch, rule, scored.populations)

    def end(layer: int, uniform: Tensor) -> Tensor:
        if scored is None or layer in rule.independent:
            return uniform < level.densities[layer - 1]
        scores = scored.first if layer == 1 else scored.last
        return exact_mask(scores, level.tau[layer - 1], level.tie[layer - 1], uniform)

    edges = []
    for k in range(2, batch.layers):
        tau, tie, share = level.tau[k - 1], level.tie[k - 1], level.densities[k - 1]
        if scored is None or tau == -math.inf or k in rule.independent:
            edges.append(_constant(share, draws))
        else:
            edges.append(scored.edges(k, tau, tie))
    first, last = end(1, ties[0]), end(batch.layers, ties[1])
    return Layers(first.to(draws.dtype), edges, last.to(draws.dtype), level)


def _constant(share: float, draws: Draws) -> Edges:
    """Edges kept with one probability whatever their weight."""
    value = torch.full((1, 1), share, dtype=draws.dtype, device=draws.device)
    return ConstantEdges(Kept(value, value), draws.neurons)


def _magnitude(batch: LatentBatch, rule: Rule, latents: DenseLatents, draws: Draws) -> _Scored:
    """Scores ``|w|``, times the weights' scales in the standard parametrisation."""
    law, standard = moments(batch.law), batch.parametrisation == "standard"
    units = [batch.scale(k) if standard else 1.0 for k in range(1, batch.layers + 1)]

    def edges(layer: int, tau: float, tie: float) -> Edges:
        cut = torch.full((1, 1), tau / units[layer - 1], dtype=draws.dtype, device=draws.device)
        kept = law(cut)
        return ConstantEdges(Kept(kept.P, kept.P) if rule.redrawn else kept, draws.neurons)

    return _Scored(
        latents.first.abs() * units[0],
        latents.last.abs() * units[-1],
        [Scales([unit], batch.law) for unit in units],
        edges,
    )


def _first_order(
    batch: LatentBatch, rule: Rule, latents: DenseLatents, residual: Tensor
) -> _Scored:
    """Scores ``|w| kappa |<psi, h>|``; those of the ends with the weights of the population."""
    law, x = moments(batch.law), batch.x.to(residual)
    psi = [latents.psi(k, residual) for k in range(1, batch.depth + 1)]
    for k, h in enumerate([x.T, *latents.h[:-1]]):
        if is_rounding(psi[k], h[:_PROBES] if k else h):
            psi[k].zero_()  # exact zeros are no scores, and no ranking of noise
    if is_rounding(residual.T, latents.h[-1]):
        residual = torch.zeros_like(residual)
    first = latents.first.abs() * (psi[0] @ x).abs() * batch.kappa(1)
    last = latents.last.abs() * (latents.h[-1] @ residual).abs() * batch.kappa(batch.layers)
    populations: list[Population | None] = [Scores(first)]
    for k in range(2, batch.layers):
        if k in rule.keep:
            populations.append(None)
        else:
            pairs = _overlaps(psi[k - 1], latents.h[k - 2])
            populations.append(Scales(pairs.mul_(batch.kappa(k)), batch.law))

    def edges(layer: int, tau: float, tie: float) -> Edges:
        cut = tau / batch.kappa(layer)
        return LatentEdges(psi[layer - 1], latents.h[layer - 2], cut, tie, law, rule.redrawn)

    return _Scored(first, last, [*populations, Scores(last)], edges)


def _overlaps(psi: Tensor, h: Tensor) -> Tensor:
    """``|<psi_i, h_j>|`` of all pairs, or of PAIRS of them in which each neuron is as frequent."""
    J = len(h)
    width = min(J, max(1, PAIRS // J))
    if width == J:
        return (psi @ h.T).abs_()
    doubled = torch.cat([h, h[:width]])
    out = torch.empty(J, width, dtype=h.dtype, device=h.device)
    for number, block in enumerate(blocks(J, 64)):
        start = (number * 64) % J
        out[block] = psi[block] @ doubled[start : start + width].T
    return out.abs_()


def _counts(batch: LatentBatch) -> list[int]:
    return [n * m for n, m in pairwise(batch.widths)]


def _listed(batch: LatentBatch, rule: Rule, densities: Sequence[float]) -> float:
    """Density of the layers that are not kept dense, together."""
    pruned = [
        (count, p)
        for k, (count, p) in enumerate(zip(_counts(batch), densities, strict=True), start=1)
        if k not in rule.keep
    ]
    return sum(count * p for count, p in pruned) / sum(count for count, _ in pruned)


def _random(batch: LatentBatch, rule: Rule) -> Thresholds:
    """Densities of a criterion that ignores weights and data; there is no threshold."""
    given = rule.density if isinstance(rule.density, tuple) else (rule.density,) * batch.layers
    kept = tuple(1.0 if k in rule.keep else p for k, p in enumerate(given, start=1))
    none = (math.nan,) * batch.layers
    return Thresholds(none, (1.0,) * batch.layers, kept, _listed(batch, rule, kept), rule.scope)


def _solve(batch: LatentBatch, rule: Rule, populations: list[Population | None]) -> Thresholds:
    counts = _counts(batch)
    if not isinstance(rule.density, tuple):
        return threshold(populations, counts, rule.density, rule.scope, rule.keep)
    tau, tie, kept = [-math.inf] * batch.layers, [1.0] * batch.layers, [1.0] * batch.layers
    for index, (each, p) in enumerate(zip(populations, rule.density, strict=True)):
        if index + 1 not in rule.keep:
            part = threshold([each], [1], p, "layer")
            tau[index], tie[index], kept[index] = part.tau[0], part.tie[0], part.densities[0]
    total = _listed(batch, rule, kept)
    return Thresholds(tuple(tau), tuple(tie), tuple(kept), total, rule.scope)
