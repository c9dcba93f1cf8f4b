"""Dense cores of drawn or real masks: neurons that see all of k inputs, and their network.

A core is a set of neurons J and of inputs K with every edge between them kept. For given inputs
the largest one is unique: all neurons that see them all. Which k inputs give the largest core
is a biclique problem, so :func:`best_coordinates` is a heuristic (greedy or by degree); what
it returns is a core all the same.

The sparse network that realises a core has its weights outside the core set to zero: the mask
limits the support of the weights, nothing else ([B] Theorem 5.7, reconstructed).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from numerics.masks import draw
from numerics.network import OneHiddenLayer
from numerics.seeds import derive

if TYPE_CHECKING:
    from theory.saliency import SaliencyModel

__all__ = [
    "METHODS",
    "Core",
    "active_inputs",
    "best_coordinates",
    "core",
    "core_counts",
    "full_neurons",
    "largest_core",
    "realise",
]

METHODS = ("greedy", "degree")


def _mask(mask: Any) -> Tensor:
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.ndim != 2:
        raise ValueError("mask must be a tensor of dtype torch.bool with two axes (n, d)")
    if mask.numel() == 0:
        raise ValueError(f"mask must hold at least one entry, got shape {tuple(mask.shape)}")
    return mask


def _coordinates(value: Any, sources: int) -> Tensor:
    try:
        index = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"coordinates must be a vector of indices: {error}") from None
    if index.ndim != 1 or index.numel() == 0 or index.is_floating_point() or index.is_complex():
        raise ValueError(f"coordinates must be a non-empty vector of indices, got {value!r}")
    if index.dtype == torch.bool:
        raise ValueError("coordinates must be indices, not a bool vector")
    index = index.to("cpu", torch.int64)
    if int(index.min()) < 0 or int(index.max()) >= sources:
        raise ValueError(f"coordinates must lie between 0 and {sources - 1}")
    if index.unique().numel() != index.numel():
        raise ValueError("coordinates must be distinct")
    return index


@dataclass(frozen=True)
class Core:
    """Neurons (m,) and inputs (k,) of a core, int64 indices, in a mask of ``shape`` (n, d)."""

    neurons: Tensor
    coordinates: Tensor
    shape: tuple[int, int]

    @property
    def size(self) -> int:
        """How many neurons m it has."""
        return int(self.neurons.numel())

    @property
    def inputs(self) -> int:
        """How many inputs k it has."""
        return int(self.coordinates.numel())

    @property
    def mask(self) -> Tensor:
        """The core's own mask: bool, (n, d), true on J x K only."""
        result = torch.zeros(self.shape, dtype=torch.bool)
        result[self.neurons[:, None], self.coordinates[None, :]] = True
        return result


def active_inputs(mask: Tensor) -> Tensor:
    """Indices of the inputs with at least one kept edge, int64. Raises ValueError for no mask."""
    return torch.nonzero(_mask(mask).any(dim=0)).ravel().cpu()


def full_neurons(mask: Tensor, coordinates: Any) -> Tensor:
    """Indices of the neurons connected to all given inputs, int64, (m,), ascending.

    ``mask`` is bool, (n, d); ``coordinates`` distinct indices below d, (k,). Raises ValueError
    for anything else.
    """
    index = _coordinates(coordinates, _mask(mask).shape[1]).to(mask.device)
    return torch.nonzero(mask[:, index].all(dim=1)).ravel().cpu()


def core(mask: Tensor, coordinates: Any) -> Core:
    """The largest core on the given inputs. Raises like :func:`full_neurons`."""
    neurons = full_neurons(mask, coordinates)
    return Core(neurons, _coordinates(coordinates, mask.shape[1]), (mask.shape[0], mask.shape[1]))


def best_coordinates(mask: Tensor, k: int, method: str = "greedy") -> Tensor:
    """k inputs with many fully connected neurons, int64, in the order they were chosen.

    ``"degree"`` takes the inputs with most kept edges; ``"greedy"`` adds at each step the input
    that keeps most of the neurons left (ties: the smaller index). Neither is optimal. Raises
    ValueError for an unknown method, a mask without entries kept and a k that is no integer
    between 1 and the number of active inputs.
    """
    _mask(mask)
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    active = active_inputs(mask)
    if active.numel() == 0:
        raise ValueError("mask must keep at least one entry: the layer is empty")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= active.numel():
        raise ValueError(
            f"k must be an integer between 1 and {active.numel()}, the number of active inputs; "
            f"got {k!r}"
        )
    if method == "degree":
        return torch.argsort(mask.sum(dim=0).cpu(), descending=True, stable=True)[: int(k)]
    edges = mask.cpu().numpy().astype(np.float32)
    left = np.ones(mask.shape[0], np.float32)
    chosen: list[int] = []
    for _ in range(int(k)):
        counts = left @ edges
        counts[chosen] = -1.0
        chosen.append(int(np.argmax(counts)))
        left *= edges[:, chosen[-1]]
    return torch.tensor(chosen)


def largest_core(mask: Tensor, k: int, method: str = "greedy") -> Core:
    """The core on the inputs of :func:`best_coordinates`; raises like it."""
    return core(mask, best_coordinates(mask, k, method))


def core_counts(
    model: SaliencyModel, n: int, d: int, density: float, coordinates: Sequence[int],
    draws: int, seed: int = 0, **options: Any,
) -> np.ndarray:  # fmt: skip
    """Numbers of fully connected neurons in masks drawn from a model, int64, (draws,).

    Masks keep an exact number of entries. ``coordinates`` are indices into the d inputs, whose
    positions are on a grid unless ``options`` say otherwise; those go to
    :func:`numerics.masks.draw`. Raises ValueError like it and for ``draws`` below 1.
    """
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise ValueError(f"draws must be a positive integer, got {draws!r}")
    found = np.empty(int(draws), np.int64)
    for i in range(int(draws)):
        sample = draw(model, n, d, density, derive(seed, "core counts", i), **options)
        found[i] = full_neurons(sample.mask, coordinates).numel()
    return found


def realise(
    network: OneHiddenLayer, chosen: Core, weights: Tensor | None = None,
    output: Tensor | None = None,
) -> OneHiddenLayer:  # fmt: skip
    """The sparse network that computes a dense one on the core.

    Parameters
    ----------
    network: with a mask that holds the core.
    chosen: the core, m neurons on k inputs.
    weights: (m, k), of the dense network ``sum_j a_j sigma(<w_j, x_K>)`` that is to be computed,
        without the scales of the parametrisation; default: the network's own on the core.
    output: its output weights, (outputs, m) or (m,); default: the network's own.

    Returns a network with the same mask whose weights vanish outside the core. Raises ValueError
    for a network without mask, a mask that lacks an edge of the core, and wrong shapes.
    """
    if network.mask is None:
        raise ValueError("network must have a mask")
    if chosen.shape != tuple(network.W.shape):
        raise ValueError(f"chosen must be a core of shape {tuple(network.W.shape)}")
    inside = chosen.mask.to(network.device)
    if bool((inside & ~network.mask).any()):
        raise ValueError("chosen must lie inside the network's mask; an edge of it is missing")
    rows, columns = chosen.neurons.to(network.device), chosen.coordinates.to(network.device)
    result = copy.copy(network)
    result.W, result.a = network.W * inside, torch.zeros_like(network.a)
    result.a[:, rows] = network.a[:, rows]
    if weights is not None:
        expected = (chosen.size, chosen.inputs)
        if tuple(weights.shape) != expected:
            raise ValueError(f"weights must have shape {expected}, got {tuple(weights.shape)}")
        values = weights.to(network.W) / network.input_scale
        result.W = torch.zeros_like(network.W)
        result.W[rows[:, None], columns[None, :]] = values
    if output is not None:
        if tuple(output.shape) not in ((chosen.size,), (network.outputs, chosen.size)):
            raise ValueError(f"output must have shape ({chosen.size},), got {tuple(output.shape)}")
        shaped = output.to(network.a).reshape(-1, chosen.size) / network.output_scale
        result.a[:, rows] = shaped.expand(network.outputs, -1)
    return result
