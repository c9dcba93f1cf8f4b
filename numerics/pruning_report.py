"""What became of a pruned deep network: densities, dead neurons, severed layers, odd data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from numerics.gradients import Batches
from numerics.mlp import MLP

if TYPE_CHECKING:
    from numerics.module_scores import Flow

__all__ = [
    "NO_PATH",
    "DeadNeurons",
    "Links",
    "Pruned",
    "data_notes",
    "dead_neurons",
    "range_notes",
    "report",
]

NO_PATH = "no path leads from the inputs to the outputs"
"""The note of a network that is cut in two."""


@dataclass(frozen=True)
class DeadNeurons:
    """Numbers of dead neurons, one entry for each hidden layer; biases do not count as edges.

    ``incoming``: without a kept incoming weight. ``outgoing``: without a kept outgoing one.
    ``off_path``: on no path of kept weights from an input to an output, which includes both.
    """

    incoming: tuple[int, ...]
    outgoing: tuple[int, ...]
    off_path: tuple[int, ...]


def _linked(mask: Tensor | None, live: Tensor, dim: int, size: int) -> Tensor:
    """Which of the units across a mask have a kept weight to a live one."""
    if mask is None:
        return live.any().expand(size)
    if not bool(live.all()):
        mask = mask & (live if dim == 1 else live[:, None])
    return mask.view(torch.uint8).amax(dim=dim).bool()  # fifty times as fast as `any` on bytes


def dead_neurons(masks: Sequence[Tensor | None], widths: Sequence[int]) -> DeadNeurons:
    """Dead neurons of each hidden layer; masks as in :class:`numerics.mlp.MLP`, None is dense."""
    layers = len(masks)
    device = next((m.device for m in masks if m is not None), torch.device("cpu"))
    everyone = [torch.ones(n, dtype=torch.bool, device=device) for n in widths]
    forward, backward = [everyone[0]], [everyone[-1]]
    incoming: list[int] = []
    outgoing: list[int] = []
    for layer in range(1, layers):
        mask, n = masks[layer - 1], widths[layer]
        direct = _linked(mask, everyone[layer - 1], 1, n)
        incoming.append(n - int(direct.sum()))
        forward.append(direct if bool(forward[-1].all()) else _linked(mask, forward[-1], 1, n))
    for layer in range(layers, 1, -1):
        mask, n = masks[layer - 1], widths[layer - 1]
        direct = _linked(mask, everyone[layer], 0, n)
        outgoing.insert(0, n - int(direct.sum()))
        backward.insert(0, direct if bool(backward[0].all()) else _linked(mask, backward[0], 0, n))
    off = [
        widths[layer] - int((forward[layer] & backward[layer - 1]).sum())
        for layer in range(1, layers)
    ]
    return DeadNeurons(tuple(incoming), tuple(outgoing), tuple(off))


@dataclass(frozen=True)
class Pruned:
    """Masks of a network, and what became of it.

    ``masks``: bool, (n_l, n_{l-1}), or None for a layer left dense. ``density``: as requested, of
    the prunable weights; ``achieved``: what it came to, the request rounded to whole weights.
    ``densities``: per layer. ``thresholds``: smallest score kept, per layer, the same in all under
    a global scope (SynFlow: in the last round that cut, as a share of the flow); None where
    nothing was pruned. ``dead``: neurons that are cut off. ``severed``: layers (from 1) without a
    weight.
    ``connected``: whether some path of kept weights leads from an input to an output.
    ``notes``: one sentence for each thing that a user should know; empty if there is none.
    """

    masks: list[Tensor | None] = field(repr=False)
    criterion: str
    density: float
    achieved: float
    densities: tuple[float, ...]
    thresholds: tuple[float | None, ...]
    dead: DeadNeurons
    severed: tuple[int, ...]
    connected: bool
    notes: tuple[str, ...]

    def apply(self, net: MLP) -> MLP:
        """The network under these masks; ValueError if it has other widths."""
        return net.pruned(self.masks)


def data_notes(data: Batches) -> list[str]:
    """What is degenerate about a batch: labels all equal, inputs that do not vary.

    Raises ValueError for batches whose inputs differ in shape, or are complex.
    """
    low = high = labels = None
    one_class, samples = True, 0
    for x, y in data:
        samples += len(x)
        if x.is_complex() or (low is not None and x.shape[1:] != low.shape):
            raise ValueError(
                "x must yield batches of real numbers and of one shape, "
                f"got {x.dtype} {tuple(x.shape)}"
            )
        bottom, top = x.amin(dim=0), x.amax(dim=0)
        low = bottom if low is None else torch.minimum(low, bottom)
        high = top if high is None else torch.maximum(high, top)
        labels = y[:1] if labels is None else labels
        one_class = one_class and bool((y == labels).all())
    if low is None or high is None or samples < 2:
        return ["the batch is a single sample"] if samples == 1 else []
    notes = ["all labels of the batch are equal"] if one_class else []
    constant = low == high
    if bool(constant.any()):
        zero = int((constant & (low == 0)).sum())
        notes.append(
            f"{int(constant.sum())} of {low.numel()} inputs are constant over the batch"
            + (f", {zero} of them zero: their weights score zero" if zero else "")
        )
    return notes


def range_notes(
    thresholds: Sequence[float | None], unit: float, criterion: str, dtype: torch.dtype
) -> list[str]:
    """Whether the scores were too small for their dtype; they are those divided by ``unit``.

    The unit is that of :func:`numerics.deep_scores.ranked_grasp_scores`, about the gradient.
    """
    limits = torch.finfo(dtype)
    small = any(t is not None and 0.0 < abs(t) < limits.tiny for t in thresholds)
    if not small and not (criterion.startswith("grasp") and unit < limits.tiny / limits.eps):
        return []
    return [f"scores are at the end of the range of {dtype}: their ranking is rounded"]


class Links:
    """Whether paths of kept weights lead from a module's inputs to its outputs.

    A module has no table of its paths. What is asked instead is whether the outputs have a
    derivative by the inputs, with equal positive weights in place of those that are kept.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    @torch.enable_grad()
    def _passed(self, masks: Sequence[Tensor]) -> tuple[float, float, float]:
        """Sum of the outputs, and of their derivatives by the inputs, as they are and absolute."""
        flow, leaves = self.flow, []
        for mask, inward in zip(masks, flow.net.inward, strict=True):
            sources = [axis for axis in range(mask.ndim) if axis != int(inward)]
            weight = mask.double()
            leaves.append(weight / weight.sum(dim=sources, keepdim=True).clamp_(min=1.0))
        still = {  # running averages of the inputs would act as biases do
            name: (torch.zeros_like if name.endswith("mean") else torch.ones_like)(b)
            for name, b in flow.buffers.items()
            if name.rpartition(".")[2] in ("running_mean", "running_var")
        }
        x = torch.full_like(flow.ones, 0.5).requires_grad_(True)
        total = flow.total(leaves, x, still)
        (slope,) = flow.net.slopes(total, [x])
        return float(total.detach()), float(slope.sum()), float(slope.abs().sum())

    @cached_property
    def _tells(self) -> bool:
        """Whether all weights together let a change of the inputs through.

        Behind a normalisation of the outputs it is lost, and nothing can be told.
        """
        total, slope, _ = self._passed([torch.ones_like(W) for W in self.flow.net.weights])
        return 0.0 < total < math.inf and slope > 1e-6 * total

    def __call__(self, masks: Sequence[Tensor]) -> bool | None:
        """For masks of all layers; None where it cannot be told."""
        try:
            if not self._tells:
                return None
            size = self._passed(masks)[2]
        except Exception:  # the module need not take such inputs
            return None
        return size > 0.0 if math.isfinite(size) else None


def report(
    net: MLP, masks: list[Tensor | None], thresholds: list[float | None], criterion: str,
    density: float, prunable: list[int], notes: list[str],
) -> Pruned:  # fmt: skip
    """What became of a network under masks; ``notes`` are added to."""
    notes = list(notes)
    sizes = [W.numel() for W in net.weights]
    kept = [
        size if mask is None else int(torch.count_nonzero(mask))
        for size, mask in zip(sizes, masks, strict=True)
    ]
    severed = tuple(layer for layer, left in enumerate(kept, start=1) if left == 0)
    dead = dead_neurons(masks, net.widths)
    for layer in severed:
        notes.append(f"layer {layer} lost all its weights")
    cut = any(lost == n for lost, n in zip(dead.off_path, net.widths[1:-1], strict=True))
    connected = not (cut or severed)
    if not connected:
        notes.append(NO_PATH)
    total = sum(sizes[layer - 1] for layer in prunable)
    return Pruned(
        masks, criterion, float(density), sum(kept[layer - 1] for layer in prunable) / total,
        tuple(left / size for left, size in zip(kept, sizes, strict=True)), tuple(thresholds),
        dead, severed, connected, tuple(notes),
    )  # fmt: skip
