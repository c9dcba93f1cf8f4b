"""Pruning a PyTorch module at initialisation, through ``torch.nn.utils.prune``.

Any module will do whose layers to prune are ``Linear`` or convolutions. Scores come from automatic
differentiation, of the loss for SNIP and GraSP and of the sum of absolute path products for
SynFlow (:mod:`numerics.module_scores`); counts, ties and thresholds are those of
:mod:`numerics.pruning`. On a chain of linear layers and activations the masks are the same, those
of SynFlow if the activations are positively homogeneous and leave positive numbers as they are:
here the flow goes through the module's activations, there through the weights alone. Biases are
left out of it in both.

A module's weights are the stored ones, the ``"standard"`` parametrisation. What gets a mask is a
layer's ``weight``; biases and normalisations take part in the forward pass and are left alone. A
layer that is used twice, or has two names, is one layer, and its derivative the sum over its uses.
Weights that a layer shares with another part, such as an embedding, cannot be pruned: name the
layer in ``keep``. Nor can those that a layer computes, by weight or spectral normalisation.

A layer that ``torch.nn.utils.prune`` has masked already is pruned further: densities refer to all
its weights, and what is gone stays gone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from numerics.deep_derivatives import no_arrays
from numerics.gradients import Batches, batches
from numerics.losses import Loss
from numerics.module_scores import (
    SMALL_FLOW,
    Differentiable,
    Flow,
    LossFunction,
    module_scores,
)
from numerics.pruning import NEED_DATA, SCOPES, check_criterion
from numerics.pruning_report import NO_PATH, Links, data_notes, range_notes
from numerics.ranking import kept_count
from numerics.seeds import derive
from numerics.selection import check_left, check_ranking, keep_share
from numerics.synflow import scheduled

__all__ = ["PrunedModule", "prune_module"]


@dataclass(frozen=True)
class PrunedModule:
    """Masks of a module's layers by name, and what became of them.

    ``masks``: bool, in the weight's shape. ``density``: as requested, of all prunable weights;
    ``achieved``: what it came to. ``densities``, ``thresholds``: per layer; a threshold is the
    smallest score kept (SynFlow: in the last round that cut), None if nothing was cut.
    ``no_incoming``, ``no_outgoing``: numbers of outputs (or output channels)
    of a layer, and of its inputs, that have lost all their weights in it. ``severed``: layers
    without a weight. ``connected``: whether a path of kept weights leads from the inputs to the
    outputs; None where that cannot be told: without an input's shape, where the module does not
    take real numbers, or where its outputs are normalised.
    ``notes``: one sentence for each thing that a user should know.
    """

    masks: dict[str, Tensor] = field(repr=False)
    criterion: str
    density: float
    achieved: float
    densities: dict[str, float]
    thresholds: dict[str, float | None]
    no_incoming: dict[str, int]
    no_outgoing: dict[str, int]
    severed: tuple[str, ...]
    connected: bool | None
    notes: tuple[str, ...]

    def apply(self, module: nn.Module) -> nn.Module:
        """Mask the layers of a module, in place, by ``torch.nn.utils.prune.custom_from_mask``.

        Returns the module. ``torch.nn.utils.prune.remove`` makes it permanent. Raises ValueError,
        before anything is masked, for a module without these layers.
        """
        parts = dict(module.named_modules())
        for name, mask in self.masks.items():
            weight = getattr(parts.get(name), "weight", None)
            if not isinstance(weight, Tensor) or weight.shape != mask.shape:
                raise ValueError(
                    f"module must have a layer {name!r} with weights of shape {tuple(mask.shape)}"
                )
        for name, mask in self.masks.items():
            part = parts[name]
            torch_prune.custom_from_mask(part, "weight", mask.to(part.weight.device))
        return module


Kept = tuple[list[Tensor], list[float | None], list[str]]
"""Masks and thresholds of all layers that are pruned, and notes."""


def _by_scores(
    net: Differentiable, values: list[Tensor], units: list[list[int]], density: float, seed: int
) -> Kept:
    masks = net.masks
    thresholds: list[float | None] = [None] * len(masks)
    notes: list[str] = []
    for unit in units:
        key = derive(seed, "layer", unit[0] + 1) if len(units) > 1 else seed
        found, threshold, lots = keep_share(
            [values[k].contiguous() for k in unit], [net.before[k] for k in unit], density, key
        )
        for k, mask in zip(unit, found, strict=True):
            masks[k], thresholds[k] = mask, threshold
        if lots:
            where = f" of layer {net.layers[unit[0]]!r}" if len(units) > 1 else ""
            notes.append(f"{lots} kept weights{where} score zero and were drawn by lot")
    return masks, thresholds, notes


def _by_synflow(
    net: Differentiable, flow: Flow, units: list[list[int]], density: float, rounds: int,
    schedule: str, seed: int,
) -> Kept:  # fmt: skip
    masks = net.masks
    thresholds: list[float | None] = [None] * len(masks)
    notes: list[str] = []
    chance = ""
    if not flow.homogeneous:
        notes.append("the module is not positively homogeneous: its flow is no sum over paths")
    for step in range(1, rounds + 1):
        goal = scheduled(density, step, rounds, schedule)
        values, total = flow.shares(masks)
        if total == 0.0 and not chance:
            edges = [mask & (W != 0) for W, mask in zip(net.weights, masks, strict=True)]
            if Links(flow)(edges):
                raise ValueError(SMALL_FLOW)
            chance = f"no path was left before round {step}: the cuts from there are at random"
        for unit in units:
            size = sum(masks[k].numel() for k in unit)
            if kept_count(goal, size) >= sum(int(masks[k].sum()) for k in unit):
                continue
            found, threshold, lots = keep_share(
                [values[k].contiguous() for k in unit], [masks[k] for k in unit], goal,
                derive(seed, "round", step, unit[0]),
            )  # fmt: skip
            for k, mask in zip(unit, found, strict=True):
                masks[k], thresholds[k] = mask, threshold
            if lots and not chance:
                chance = f"from round {step} edges without flow are kept, at random"
    return masks, thresholds, notes + [chance] * bool(chance)


def _chosen(layers: list[str], keep: Sequence[str]) -> list[int]:
    """Indices of the layers to prune."""
    if isinstance(keep, str) or not isinstance(keep, Collection) or not set(keep) <= set(layers):
        raise ValueError(f"keep must hold names among {', '.join(layers)}; got {keep!r}")
    left = [k for k, name in enumerate(layers) if name not in keep]
    if not left:
        raise ValueError("keep must leave at least one layer to prune")
    return left


def prune_module(
    module: nn.Module,
    criterion: str,
    density: float,
    x: Tensor | Batches | None = None,
    y: Any = None,
    *,
    loss: str | Loss | LossFunction = "cross-entropy",
    scope: str = "global",
    keep: Sequence[str] = (),
    rounds: int = 100,
    schedule: str = "exponential",
    temperature: float | None = None,
    input_shape: Sequence[int] | None = None,
    batch_size: int = 4096,
    seed: int = 0,
    apply: bool = True,
) -> PrunedModule:
    """Mask a module's layers so that a share of their weights is left.

    Parameters
    ----------
    module: on any device, with weights in float32 or float64; its mode (training or evaluation) is
        respected for the loss, its buffers and gradients are not touched, and neither are
        PyTorch's global random numbers.
    criterion: one of :data:`numerics.pruning.DEEP_CRITERIA`.
    density: share of prunable weights kept, in (0, 1].
    x, y: data for SNIP and GraSP, a tensor with samples along its first axis and labels, or ``x``
        an iterable of pairs that can be iterated several times, and ``y=None``.
    loss: ``"cross-entropy"``, ``"squared"`` (sum over outputs of half squares, mean over samples),
        or a callable ``(outputs, labels) -> mean``, such as a module of ``torch.nn``.
    scope: ``"global"`` or ``"layer"``.
    keep: names of layers that are left as they are, and do not count.
    rounds, schedule: of SynFlow. temperature: of GraSP.
    input_shape: of one sample, for SynFlow and for ``connected``; by default that of ``x``.
    seed: of Random, and of dropout in training mode; else it decides ties and nothing else.
    apply: whether to mask the module, in place; if not, the result's ``apply`` does.

    Raises ValueError for unknown names, a module without layers to prune or with weights that are
    shared or computed, missing data, a density outside (0, 1] or above what earlier masks have
    left, scores that are not finite or all zero, a sum of absolute paths outside the range of
    float64, and inside ``torch.inference_mode``; nothing has been masked then. Raises TypeError for
    arrays of NumPy.
    """
    if torch.is_inference_mode_enabled():
        raise ValueError("module must be pruned outside torch.inference_mode: masks stay in use")
    no_arrays(x, y)
    check_criterion(criterion, temperature)
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {SCOPES}, got {scope!r}")
    kept_count(density, 1)
    net = Differentiable(module)
    every = net.layers
    chosen = _chosen(every, keep)
    for name in (every[k] for k in chosen if net.tied[every[k]]):
        raise ValueError(
            f"module must not tie weights that are pruned; those of layer {name!r} are "
            f"{net.tied[name][0]!r} too, which a mask would not reach: name the layer in keep"
        )
    units = [chosen] if scope == "global" else [[k] for k in chosen]
    for unit in units:
        check_left([net.weights[k].numel() for k in unit], [net.before[k] for k in unit], density)
    notes: list[str] = []
    flow = None
    if input_shape is None and isinstance(x, Tensor) and x.ndim > 0:
        input_shape = tuple(x.shape[1:])
    if criterion in NEED_DATA and x is not None:
        x, y = batches(x, y, batch_size), None
        notes += data_notes(x)
    if criterion == "synflow":
        if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
            raise ValueError(f"rounds must be a whole number of at least 1, got {rounds!r}")
        if input_shape is None:
            raise ValueError("input_shape must be given for 'synflow' where x is no tensor")
        flow = Flow(net, input_shape)
        masks, thresholds, more = _by_synflow(net, flow, units, density, rounds, schedule, seed)
    else:
        if input_shape is not None:
            flow = Flow(net, input_shape)
        values, scale = module_scores(
            net, criterion, x, y, loss=loss, temperature=temperature, batch_size=batch_size,
            seed=seed,
        )  # fmt: skip
        check_ranking(
            [values[k] for k in chosen], [repr(every[k]) for k in chosen], scope == "layer"
        )
        masks, thresholds, more = _by_scores(net, values, units, density, seed)
        more += range_notes(thresholds, scale, criterion, values[0].dtype)
        thresholds = [each if each is None else each * scale for each in thresholds]
    connected = None if flow is None else Links(flow)(masks)
    result = _result(net, masks, thresholds, chosen, criterion, density, connected, (*notes, *more))
    if apply:
        result.apply(module)
    return result


def _table(mask: Tensor, groups: int) -> Tensor:
    """Which units of a layer's two sides a mask connects; what crosses groups is not connected."""
    edges = mask.flatten(2).any(dim=2) if mask.ndim > 2 else mask
    return edges if groups == 1 else torch.block_diag(*edges.byte().chunk(groups)).bool()


def _result(
    net: Differentiable, masks: list[Tensor], thresholds: list[float | None],
    chosen: list[int], criterion: str, density: float, connected: bool | None,
    notes: tuple[str, ...],
) -> PrunedModule:  # fmt: skip
    """What became of the layers that were pruned."""
    every = net.layers
    found = {every[k]: masks[k] for k in chosen}
    kept = {name: int(torch.count_nonzero(mask)) for name, mask in found.items()}
    incoming, outgoing = {}, {}
    for name, mask in found.items():
        k = every.index(name)
        edges = _table(mask, net.groups[k])
        if net.inward[k]:
            edges = edges.T
        incoming[name] = int((~edges.any(dim=1)).sum())
        outgoing[name] = int((~edges.any(dim=0)).sum())
    severed = tuple(name for name, left in kept.items() if left == 0)
    notes += tuple(f"layer {name!r} lost all its weights" for name in severed)
    if connected is False:
        notes += (NO_PATH,)
    return PrunedModule(
        masks=found,
        criterion=criterion,
        density=float(density),
        achieved=sum(kept.values()) / sum(mask.numel() for mask in found.values()),
        densities={name: kept[name] / mask.numel() for name, mask in found.items()},
        thresholds={every[k]: thresholds[k] for k in chosen},
        no_incoming=incoming,
        no_outgoing=outgoing,
        severed=severed,
        connected=connected,
        notes=notes,
    )
