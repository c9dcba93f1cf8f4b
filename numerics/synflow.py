"""SynFlow on a list of weight matrices: no data, no autograd, exact counts.

Each round scores every surviving edge by the flow through it (:mod:`numerics.path_sums`), and
drops the smallest (:mod:`numerics.synflow_cut`) until the scheduled density is left.

Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by iteratively
conserving synaptic flow", NeurIPS 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.path_sums import PathSums, least_entries, magnitudes, source_vector, sums
from numerics.ranking import kept_count
from numerics.seeds import generator
from numerics.selection import check_left
from numerics.synflow_cut import Group
from numerics.synflow_flat import FlatGroup

__all__ = ["SCHEDULES", "SCOPES", "SynFlow", "layers_left", "scheduled", "synflow"]

SCHEDULES = ("exponential", "linear")
SCOPES = ("global", "layer")
_FLAT = 1 << 19  # groups of at most so many edges are cut from one flat list


@dataclass(frozen=True)
class SynFlow:
    """What SynFlow kept.

    masks: bool tensors (n_l, n_{l-1}), True where an edge is kept. density: as asked for, of the
    layers that are pruned. thresholds: float64 (rounds, groups), the smallest score kept in each
    round as a share of the flow through its layer, one group for ``scope="global"`` and else one
    for each pruned layer; NaN where nothing was dropped. dead: for each hidden layer the number of
    neurons that no path crosses. collapsed: 1-based layers without a kept edge. notes: what went
    wrong, in words; empty if nothing did.
    """

    masks: tuple[Tensor, ...]
    density: float
    rounds: int
    schedule: str
    scope: str
    thresholds: Tensor
    dead: tuple[int, ...]
    collapsed: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def kept(self) -> tuple[int, ...]:
        """Edges kept in each layer."""
        return tuple(int(mask.sum()) for mask in self.masks)

    @property
    def densities(self) -> tuple[float, ...]:
        """Density of each layer."""
        return tuple(kept / mask.numel() for kept, mask in zip(self.kept, self.masks, strict=True))


def scheduled(density: float, step: int, rounds: int, schedule: str = "exponential") -> float:
    """The density after round ``step`` of ``rounds``: ρ^(step/rounds), or linear in the step.

    Raises ValueError for an unknown schedule, a density outside (0, 1] or a step outside
    0 .. rounds.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {SCHEDULES}, got {schedule!r}")
    if not 0.0 < density <= 1.0:
        raise ValueError(f"density must lie in (0, 1], got {density}")
    if not 0 <= step <= rounds:
        raise ValueError(f"step must lie between 0 and rounds = {rounds}, got {step}")
    if step == rounds:
        return float(density)
    if schedule == "exponential":
        return float(density ** (step / rounds))
    return float(1.0 - (1.0 - density) * step / rounds)


def layers_left(keep: Collection[int], layers: int) -> list[int]:
    """Indices of the layers that are pruned, from the 1-based numbers of those that are not."""
    if not isinstance(keep, Collection):
        raise ValueError(f"keep must hold layer numbers from 1 to {layers}, got {keep!r}")
    for number in keep:
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= layers:
            raise ValueError(f"keep must hold layer numbers from 1 to {layers}, got {number!r}")
    pruned = [index for index in range(layers) if index + 1 not in keep]
    if not pruned:
        raise ValueError("keep must leave at least one layer to prune")
    return pruned


def _earlier(
    masks: Sequence[Tensor | None] | None, layers: Sequence[Tensor]
) -> list[Tensor | None]:
    """Checked copies of earlier masks."""
    if masks is None:
        return [None] * len(layers)
    if len(masks) != len(layers):
        raise ValueError(f"masks must hold {len(layers)} tensors or None, got {len(masks)}")
    result: list[Tensor | None] = []
    for index, (mask, layer) in enumerate(zip(masks, layers, strict=True)):
        good = mask is None or (isinstance(mask, Tensor) and mask.dtype == torch.bool)
        if not good or (mask is not None and mask.shape != layer.shape):
            raise ValueError(f"masks[{index}] must be None or bool of shape {tuple(layer.shape)}")
        # Contiguous, as the weights are: cuts write through flat views.
        own = None if mask is None else mask.detach().to(layer.device)
        result.append(None if own is None else own.clone(memory_format=torch.contiguous_format))
    return result


def _group(
    part: Sequence[int], weights: Sequence[Tensor], masks: Sequence[Tensor | None]
) -> Group | FlatGroup:
    """What cuts these layers: lists of candidates, or for few edges one list of all."""
    small = sum(weights[index].numel() for index in part) <= _FLAT
    flat = small and all(weights[index].device.type == "cpu" for index in part)
    return (FlatGroup if flat else Group)(part, weights, masks)


def synflow(
    weights: Sequence[Tensor],
    density: float,
    *,
    rounds: int = 100,
    schedule: str = "exponential",
    scope: str = "global",
    keep: Collection[int] = (),
    masks: Sequence[Tensor | None] | None = None,
    source: Tensor | None = None,
    seed: int = 0,
    observe: Callable[[float, PathSums], None] | None = None,
) -> SynFlow:
    """Prune by synaptic flow, re-scored in every round.

    Parameters
    ----------
    weights: matrices (n_l, n_{l-1}), inputs to outputs; only their absolute values count. A scale
        of a whole layer does not matter. Computes in float64 if they do, or in rounds for which
        float32 has not the range, else in float32.
    density: share kept of the layers that are pruned, in (0, 1].
    rounds: cuts; after cut k `scheduled` says what is left.
    schedule: ``"exponential"`` or ``"linear"``.
    scope: one threshold over all layers, ``"global"``, or one in each, ``"layer"``.
    keep: numbers of layers left as they are, counted from 1.
    masks: earlier masks, one bool tensor or None for each layer. Densities refer to all weights of
        a layer, and what is gone stays gone.
    source: what each input carries, all ones by default.
    seed: decides ties, and nothing else. Edges that no path uses score zero and go first.
    observe: called before each cut and after the last with the density so far (of the pruned
        layers) and the path sums; it must not write to them.

    Each round keeps exactly :func:`numerics.ranking.kept_count` edges of each group; what is
    dropped never returns. If no path is left, further cuts are at random, and so is the choice
    among edges without flow where some of them must stay; a note says so.

    Raises ValueError for matrices that do not chain or are not finite, or whose path sums leave the
    range of float64, a density outside (0, 1] or above what the masks have left, rounds below 1,
    an unknown schedule or scope, bad layer numbers, masks or source; TypeError for weights that
    are no tensors.
    """
    absolute = magnitudes(weights)
    carried = source_vector(source, absolute[0])
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise ValueError(f"rounds must be a whole number of at least 1, got {rounds!r}")
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {SCOPES}, got {scope!r}")
    kept_count(density, 1)
    scheduled(density, 0, rounds, schedule)
    pruned = layers_left(keep, len(absolute))
    parts = [pruned] if scope == "global" else [[index] for index in pruned]
    before = _earlier(masks, absolute)
    for part in parts:
        check_left([absolute[i].numel() for i in part], [before[i] for i in part], density)
    for each, mask in zip(absolute, before, strict=True):
        if mask is not None:
            each.mul_(mask)
    groups = [_group(part, absolute, before) for part in parts]
    floors = least_entries(absolute)
    size = sum(group.size for group in groups)
    rng = generator(seed, "ties")
    thresholds = torch.full((rounds, len(groups)), torch.nan, dtype=torch.float64)
    notes: list[str] = []
    for step in range(1, rounds + 1):
        goal = scheduled(density, step, rounds, schedule)
        counts = [max(0, group.left - kept_count(goal, group.size)) for group in groups]
        if not any(counts):
            continue
        found = sums(absolute, carried, floors)
        if observe is not None:
            observe(sum(group.left for group in groups) / size, found)
        if found.severed and not notes:
            notes.append(f"no path was left before round {step}: the cuts from there are at random")
        for index, (group, count) in enumerate(zip(groups, counts, strict=True)):
            if count:
                smallest = group.cut(count, found, rng)
                thresholds[step - 1, index] = smallest
                if smallest == 0.0 and not notes:
                    notes.append(f"from round {step} edges without flow are kept, at random")
    kept = [
        torch.ones_like(each, dtype=torch.bool) if mask is None else mask
        for each, mask in zip(absolute, before, strict=True)
    ]
    for group in groups:
        for index, alive in zip(group.numbers, group.alive, strict=True):
            kept[index] = alive
    final = sums(absolute, carried, floors)
    if observe is not None:
        observe(sum(group.left for group in groups) / size, final)
    dead = tuple(
        int(((h == 0) | (back == 0)).sum())
        for h, back in zip(final.incoming[1:], final.outgoing[:-1], strict=True)
    )
    collapsed = tuple(index + 1 for index, mask in enumerate(kept) if not bool(mask.any()))
    notes += [f"layer {number} lost all its edges" for number in collapsed]
    if final.severed and not notes:
        notes.append("no path is left from the inputs to the outputs")
    return SynFlow(
        tuple(kept), float(density), rounds, schedule, scope, thresholds, dead, collapsed,
        tuple(notes),
    )  # fmt: skip
