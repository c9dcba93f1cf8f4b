"""Pruning a deep network at initialisation: masks by criterion, and what became of the network.

A global threshold is one τ for all prunable layers, and exactly ``kept_count(density, weights)``
of their weights are kept; a threshold per layer keeps that count in each. Layers may be left
dense. Ties are drawn from a seed. A network that has masks is pruned further: densities still
refer to all weights of a layer, and what is gone stays gone.

Nothing that goes wrong is silent. A layer that loses all its weights, neurons without incoming or
outgoing weights or on no path from inputs to outputs, a batch of one class, constant inputs and
weights kept by lot because their score is zero are in the result, and so are scores too small for
single precision; scores that are not finite, or all zero, are an error.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from torch import Tensor

from numerics.deep_derivatives import in_batches
from numerics.deep_scores import (
    magnitude_scores,
    random_scores,
    ranked_grasp_scores,
    snip_scores,
)
from numerics.gradients import Batches
from numerics.initialisation import stored_scales
from numerics.losses import Loss
from numerics.mlp import MLP
from numerics.pruning_report import Pruned, data_notes, range_notes, report
from numerics.ranking import kept_count
from numerics.seeds import derive
from numerics.selection import check_left, check_ranking, keep_share
from numerics.synflow import synflow

__all__ = ["DEEP_CRITERIA", "SCOPES", "Pruned", "check_criterion", "prune", "scores"]

DEEP_CRITERIA = ("random", "magnitude", "snip", "grasp", "grasp-signed", "synflow")
"""Criteria by name: ``"grasp-signed"`` is the signed one, which keeps the largest ``θ ∘ H g``, and
``"grasp"`` its absolute value."""
SCOPES = ("global", "layer")

NEED_DATA = ("snip", "grasp", "grasp-signed")
"""Criteria that look at data."""


# --------------------------------------------------------------------------------------- scores


def check_criterion(criterion: str, temperature: float | None = None) -> None:
    """ValueError for an unknown criterion, and for a temperature where it has none."""
    if criterion not in DEEP_CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(DEEP_CRITERIA)}; got {criterion!r}")
    if temperature is not None and not criterion.startswith("grasp"):
        raise ValueError(f"temperature belongs to GraSP, criterion {criterion!r} has none")


def scores(
    net: MLP,
    criterion: str,
    x: Tensor | Batches | None = None,
    y: Tensor | None = None,
    *,
    loss: str | Loss = "cross-entropy",
    temperature: float | None = None,
    parametrisation: str | None = None,
    batch_size: int | None = None,
    seed: int = 0,
) -> list[Tensor]:
    """Scores per layer, by name, the largest to be kept; see :mod:`numerics.deep_scores`.

    SynFlow is iterative and has none that decide by themselves. Raises ValueError for it, an
    unknown name, missing data, and a temperature where the criterion has none.
    """
    check_criterion(criterion, temperature)
    if criterion == "synflow":
        raise ValueError("criterion 'synflow' scores in rounds: use prune")
    found, unit = _ranked(
        net, criterion, x, y, loss=loss, temperature=temperature, parametrisation=parametrisation,
        batch_size=batch_size, seed=seed,
    )  # fmt: skip
    return found if unit == 1.0 else [each.mul_(unit) for each in found]


def _ranked(
    net: MLP, criterion: str, x: Tensor | Batches | None, y: Tensor | None, *,
    loss: str | Loss, temperature: float | None, parametrisation: str | None,
    batch_size: int | None, seed: int,
) -> tuple[list[Tensor], float]:  # fmt: skip
    """Scores over their unit, and that; see :func:`numerics.deep_scores.ranked_grasp_scores`."""
    if criterion == "random":
        return random_scores(net, seed), 1.0
    if criterion == "magnitude":
        return magnitude_scores(net, parametrisation), 1.0
    if x is None:
        raise ValueError(f"criterion {criterion!r} needs data: x is None")
    if not isinstance(loss, str | Loss):
        raise ValueError(f"loss must be a name or a Loss, got {loss!r}")
    if criterion == "snip":
        return snip_scores(net, x, y, loss, batch_size=batch_size), 1.0
    signed, unit = ranked_grasp_scores(
        net, x, y, loss, temperature=temperature, parametrisation=parametrisation,
        batch_size=batch_size,
    )  # fmt: skip
    return (signed if criterion == "grasp-signed" else [each.abs_() for each in signed]), unit


# -------------------------------------------------------------------------------------- pruning


def _kept_layers(keep: Sequence[int], layers: int) -> frozenset[int]:
    if not isinstance(keep, Collection) or not all(
        isinstance(k, int) and not isinstance(k, bool) and 1 <= k <= layers for k in keep
    ):
        raise ValueError(f"keep must hold layers from 1 to {layers}, got {keep!r}")
    if len(set(keep)) == layers:
        raise ValueError("keep must leave at least one layer to prune")
    return frozenset(keep)


def _units(prunable: list[int], scope: str) -> list[list[int]]:
    """Layers that share a threshold."""
    return [prunable] if scope == "global" else [[layer] for layer in prunable]


def _by_scores(
    net: MLP, values: list[Tensor], prunable: list[int], density: float, scope: str, seed: int
) -> tuple[list[Tensor | None], list[float | None], list[str]]:
    """Masks and thresholds of all layers, and notes."""
    masks: list[Tensor | None] = list(net.masks)
    thresholds: list[float | None] = [None] * net.layers
    notes = []
    for unit in _units(prunable, scope):
        key = seed if len(unit) > 1 or scope == "global" else derive(seed, "layer", unit[0])
        before = [net.masks[layer - 1] for layer in unit]
        found, threshold, lots = keep_share(
            [values[layer - 1] for layer in unit], before, density, key
        )
        for layer, mask in zip(unit, found, strict=True):
            masks[layer - 1], thresholds[layer - 1] = mask, threshold
        if lots:
            where = "" if scope == "global" else f" of layer {unit[0]}"
            notes.append(f"{lots} kept weights{where} score zero and were drawn by lot")
    return masks, thresholds, notes


def _by_synflow(
    net: MLP, prunable: list[int], density: float, scope: str, rounds: int, schedule: str, seed: int
) -> tuple[list[Tensor | None], list[float | None], list[str]]:
    """The same from SynFlow."""
    keep = [layer for layer in range(1, net.layers + 1) if layer not in prunable]
    found = synflow(
        [net.effective(layer) for layer in range(1, net.layers + 1)], density, masks=net.masks,
        rounds=rounds, schedule=schedule, scope=scope, keep=keep, seed=seed,
    )  # fmt: skip
    masks: list[Tensor | None] = list(net.masks)
    thresholds: list[float | None] = [None] * net.layers
    notes = [note for note in found.notes if "at random" in note]
    for unit, column in zip(_units(prunable, scope), found.thresholds.T.tolist(), strict=True):
        last = next((each for each in reversed(column) if not math.isnan(each)), math.nan)
        for layer in unit:
            masks[layer - 1] = found.masks[layer - 1]
            thresholds[layer - 1] = None if math.isnan(last) else last
    return masks, thresholds, notes


def prune(
    net: MLP,
    criterion: str,
    density: float,
    x: Tensor | Batches | None = None,
    y: Tensor | None = None,
    *,
    loss: str | Loss = "cross-entropy",
    scope: str = "global",
    keep: Sequence[int] = (),
    rounds: int = 100,
    schedule: str = "exponential",
    temperature: float | None = None,
    parametrisation: str | None = None,
    batch_size: int | None = None,
    seed: int = 0,
) -> Pruned:
    """Masks that keep a share of a network's weights by a criterion.

    Parameters
    ----------
    criterion: one of :data:`DEEP_CRITERIA`. SynFlow takes no data and ignores ``x`` and ``y``. Its
        path sums leave biases out, and activations; its authors' code keeps the biases' absolute
        values in the forward pass, and so has other masks for a network whose biases are not zero.
    density: share of prunable weights kept, in (0, 1].
    x, y: data for SNIP and GraSP, inputs (N, d) and labels, or ``x`` an iterable of pairs that
        can be iterated several times, and ``y=None``. ``batch_size`` samples are held at a time.
    loss: ``"cross-entropy"`` or ``"squared"``, means over samples.
    scope: ``"global"``, one threshold for all layers, or ``"layer"``.
    keep: layers (from 1) that are left as they are, and do not count.
    rounds, schedule: of SynFlow, ``"exponential"`` or ``"linear"``.
    temperature: of GraSP, None is 1.
    parametrisation: what a weight is to Magnitude and GraSP, ``"ntk"`` or ``"standard"``; None
        is what the network was made with.
    seed: of Random; for the others it decides ties and nothing else.

    Raises ValueError for unknown names, missing or wrong data, a density outside (0, 1] or above
    what the network's masks have left, scores that are not finite or all zero (under
    ``scope="layer"``: in any layer); TypeError for another network or data in arrays of NumPy.
    """
    if not isinstance(net, MLP):
        raise TypeError(
            f"net must be an MLP, got {type(net).__name__}; prune_module takes PyTorch's modules"
        )
    check_criterion(criterion, temperature)
    stored_scales(net, parametrisation)
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {SCOPES}, got {scope!r}")
    kept_count(density, 1)
    dense = _kept_layers(keep, net.layers)
    prunable = [layer for layer in range(1, net.layers + 1) if layer not in dense]
    notes: list[str] = []
    if criterion in NEED_DATA and x is not None:
        x, y = in_batches(net, x, y, batch_size), None
        notes += data_notes(x)
    for unit in _units(prunable, scope):
        sizes = [net.weights[layer - 1].numel() for layer in unit]
        check_left(sizes, [net.masks[layer - 1] for layer in unit], density)
    if criterion == "synflow":
        masks, thresholds, more = _by_synflow(net, prunable, density, scope, rounds, schedule, seed)
    else:
        values, scale = _ranked(
            net, criterion, x, y, loss=loss, temperature=temperature,
            parametrisation=parametrisation, batch_size=batch_size, seed=seed,
        )  # fmt: skip
        check_ranking(
            [values[layer - 1] for layer in prunable], [str(k) for k in prunable], scope == "layer"
        )
        masks, thresholds, more = _by_scores(net, values, prunable, density, scope, seed)
        more += range_notes(thresholds, scale, criterion, net.weights[0].dtype)
        thresholds = [each if each is None else each * scale for each in thresholds]
    notes += more
    return report(net, masks, thresholds, criterion, density, prunable, notes)
