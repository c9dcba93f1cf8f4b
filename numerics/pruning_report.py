"""What became of a pruned deep network: densities, dead neurons, severed layers, odd data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from numerics.gradients import Batches
from numerics.mlp import MLP

__all__ = ["DeadNeurons", "Pruned", "data_notes", "dead_neurons", "report"]


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
        notes.append("no path leads from the inputs to the outputs")
    total = sum(sizes[layer - 1] for layer in prunable)
    return Pruned(
        masks, criterion, float(density), sum(kept[layer - 1] for layer in prunable) / total,
        tuple(left / size for left, size in zip(kept, sizes, strict=True)), tuple(thresholds),
        dead, severed, connected, tuple(notes),
    )  # fmt: skip
