"""Pruning scores of a PyTorch module's layers, from automatic differentiation.

The scores are those of :mod:`numerics.deep_scores` in the ``"standard"`` parametrisation. The
module is evaluated as a function of its layers' weights, and nothing of it is changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from numerics.deep_scores import Tempered, uniform_score
from numerics.gradients import Batches, batches
from numerics.losses import Loss
from numerics.losses import loss as find_loss
from numerics.sampling import DTYPES

__all__ = ["PRUNABLE", "Differentiable", "Flow", "LossFunction", "module_scores", "prunable_layers"]

PRUNABLE = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
"""Layers whose ``weight`` may be pruned."""

LossFunction = Callable[[Tensor, Any], Tensor]
"""Mean loss of a batch: from outputs and labels to a scalar."""


def prunable_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Layers of :data:`PRUNABLE` by name, in the order of registration.

    Raises TypeError for what is no module; ValueError if there is no such layer, if one has no
    weights yet (lazy) or is in another dtype than float32 and float64, or if two share their
    weights, which no mask per layer can express.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    layers: dict[str, nn.Module] = {
        name: part for name, part in module.named_modules() if isinstance(part, PRUNABLE)
    }
    if not layers:
        raise ValueError("module must have a Linear or convolution layer; it has none to prune")
    owners: dict[int, str] = {}
    for name, part in layers.items():
        weight = _stored(part)
        if nn.parameter.is_lazy(weight):
            raise ValueError(f"module must be initialised; layer {name!r} has no weights yet")
        if weight.dtype not in DTYPES:
            raise ValueError(f"module must have float32 or float64 weights, got {weight.dtype}")
        other = owners.setdefault(id(weight), name)
        if other != name:
            raise ValueError(f"module must not share weights; {other!r} and {name!r} do")
    return layers


def _key(part: nn.Module) -> str:
    """What PyTorch calls the weight that is stored, masked or not."""
    return "weight_orig" if "weight_orig" in part._parameters else "weight"


def _stored(part: nn.Module) -> Tensor:
    weight: Tensor = getattr(part, _key(part))
    return weight


def _mask(part: nn.Module) -> Tensor | None:
    mask = getattr(part, "weight_mask", None)
    return mask.bool() if isinstance(mask, Tensor) else None


class Differentiable:
    """A module as a function of its layers' weights; nothing of it is changed.

    Lists have one entry for each of :func:`prunable_layers`, in that order.
    """

    def __init__(self, module: nn.Module) -> None:
        layers = prunable_layers(module)
        self.module, self.layers, self.parts = module, list(layers), list(layers.values())
        self.names = [f"{name}.{_key(part)}".lstrip(".") for name, part in layers.items()]
        self.inward = [bool(getattr(part, "transposed", False)) for part in self.parts]
        self.weights = [_stored(part).detach() for part in layers.values()]
        self.before = [_mask(part) for part in layers.values()]
        self.fixed = {name: p.detach() for name, p in module.named_parameters()}

    @property
    def pairs(self) -> list[tuple[Tensor, Tensor | None]]:
        """Stored weights and the masks that they have."""
        return list(zip(self.weights, self.before, strict=True))

    @property
    def effective(self) -> list[Tensor]:
        """Weights under the masks that they have."""
        return [W.clone() if mask is None else W * mask for W, mask in self.pairs]

    def __call__(self, leaves: Sequence[Tensor], x: Tensor) -> Tensor:
        # Buffers are copies: a forward pass in training mode writes to running averages.
        buffers = {name: b.detach().clone() for name, b in self.module.named_buffers()}
        return self.called(self.fixed | buffers | dict(zip(self.names, leaves, strict=True)), x)

    def called(self, state: dict[str, Tensor], x: Tensor) -> Tensor:
        """The module's outputs under other parameters and buffers."""
        hooked = [(part, part.weight) for part in self.parts if _key(part) != "weight"]
        try:
            result = functional_call(self.module, state, (x,))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise ValueError(
                f"module must take inputs of shape {tuple(x.shape)} and {x.dtype} with its "
                f"weights; it says: {error}"
            ) from error
        finally:  # a masked layer's hook leaves its product there
            for part, weight in hooked:
                part.weight = weight
        if not isinstance(result, Tensor):
            raise ValueError(f"module must give a tensor, got {type(result).__name__}")
        return result

    def leaves(self) -> list[Tensor]:
        """Fresh leaves of the stored weights."""
        return [W.clone().requires_grad_(True) for W in self.weights]

    def slopes(self, value: Tensor, leaves: Sequence[Tensor], graph: bool = False) -> list[Tensor]:
        """Derivatives by the leaves; zero for a layer that the value does not use."""
        if not value.requires_grad:
            return [torch.zeros_like(leaf) for leaf in leaves]
        found = torch.autograd.grad(value, leaves, create_graph=graph, allow_unused=True)
        return [
            torch.zeros_like(leaf) if slope is None else slope
            for slope, leaf in zip(found, leaves, strict=True)
        ]


def _mean_loss(
    loss: str | Loss | LossFunction, temperature: float | None
) -> Callable[[Tensor, Any], Tensor]:
    """The mean loss of a batch's outputs."""
    if isinstance(loss, (str, Loss)):
        chosen = find_loss(loss)
        if temperature is not None:
            chosen = Tempered(chosen, temperature)

        def by_name(f: Tensor, y: Tensor) -> Tensor:
            if f.ndim != 2:
                raise ValueError(f"module must give outputs (N, outputs), got {tuple(f.shape)}")
            return chosen.total(f, chosen.check(y, len(f), f.shape[1], f)) / len(f)

        return by_name
    if not callable(loss):
        raise ValueError(f"loss must be a name, a Loss or a callable, got {loss!r}")
    unit = 1.0 if temperature is None else float(temperature)
    if not 0.0 < unit < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature}")

    def by_call(f: Tensor, y: Any) -> Tensor:
        value = loss(f / unit, y)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ValueError("loss must give one number, the mean over the batch, as a tensor")
        return value

    return by_call


def _gradients(
    net: Differentiable, data: Batches, loss: Callable[[Tensor, Any], Tensor]
) -> list[Tensor]:
    """Gradients of the mean loss."""
    total = [torch.zeros_like(W) for W in net.weights]
    samples = 0
    for x, y in data:
        leaves = net.leaves()
        for held, slope in zip(total, net.slopes(loss(net(leaves, x), y), leaves), strict=True):
            held.add_(slope, alpha=len(x))
        samples += len(x)
    if samples == 0:
        raise ValueError("x must hold at least one sample")
    return [held / samples for held in total]


def _hessian_gradients(
    net: Differentiable, data: Batches, loss: Callable[[Tensor, Any], Tensor]
) -> list[Tensor]:
    """``H g`` of the mean loss."""
    g = _gradients(net, data, loss)
    total = [torch.zeros_like(W) for W in net.weights]
    samples = 0
    for x, y in data:
        leaves = net.leaves()
        first = net.slopes(loss(net(leaves, x), y), leaves, graph=True)
        product = torch.stack([(u * v).sum() for u, v in zip(first, g, strict=True)]).sum()
        for held, slope in zip(total, net.slopes(product, leaves), strict=True):
            held.add_(slope, alpha=len(x))
        samples += len(x)
    return [held / samples for held in total]


@torch.enable_grad()
def module_scores(
    net: Differentiable,
    criterion: str,
    x: Tensor | Batches | None = None,
    y: Any = None,
    *,
    loss: str | Loss | LossFunction = "cross-entropy",
    temperature: float | None = None,
    batch_size: int = 4096,
    seed: int = 0,
) -> list[Tensor]:
    """Scores of each layer, the largest to be kept, by any criterion but SynFlow.

    Arguments and errors as in :func:`numerics.module_pruning.prune_module`.
    """
    if criterion == "random":
        found = [uniform_score(W, k, seed) for k, W in enumerate(net.weights, start=1)]
        masks = (torch.ones_like(W) if m is None else m for W, m in net.pairs)
        return [each * mask for each, mask in zip(found, masks, strict=True)]
    if criterion == "magnitude":
        return [W.abs() for W in net.effective]
    if x is None:
        raise ValueError(f"criterion {criterion!r} needs data: x is None")
    data, mean = batches(x, y, batch_size), _mean_loss(loss, temperature)
    slopes = (_gradients if criterion == "snip" else _hessian_gradients)(net, data, mean)
    products = [W * slope for W, slope in zip(net.effective, slopes, strict=True)]
    return products if criterion == "grasp-signed" else [each.abs() for each in products]


class Flow:
    """The sum of absolute path products of a module, for SynFlow, and its derivatives.

    Weights are taken absolute, biases zero, in double precision and evaluation mode, on one input
    of ones.
    """

    def __init__(self, net: Differentiable, shape: Sequence[int]) -> None:
        if not isinstance(shape, Sequence) or not all(
            isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in shape
        ):
            raise ValueError(f"input_shape must hold positive integers, got {shape!r}")
        self.net = net
        self.fixed = {
            name: torch.zeros_like(p, dtype=torch.float64)
            if name.rpartition(".")[2] == "bias"
            else p.detach().abs().double()
            for name, p in net.module.named_parameters()
        }
        self.buffers = {
            name: b.detach().double() if b.is_floating_point() else b.detach().clone()
            for name, b in net.module.named_buffers()
        }
        self.ones = torch.ones(1, *shape, dtype=torch.float64, device=net.weights[0].device)

    def total(self, leaves: Sequence[Tensor], size: float = 1.0) -> Tensor:
        """The module's outputs, summed, for an input of constant ``size``."""
        state = self.fixed | self.buffers | dict(zip(self.net.names, leaves, strict=True))
        training = {part: part.training for part in self.net.module.modules()}
        self.net.module.eval()
        try:
            return self.net.called(state, self.ones * size).sum()
        finally:
            for part, mode in training.items():
                part.training = mode

    @torch.enable_grad()
    def shares(self, masks: Sequence[Tensor]) -> tuple[list[Tensor], float]:
        """Each edge's share of the flow through its layer, float64, and the flow."""
        leaves = [
            (W.abs().double() * mask).requires_grad_(True)
            for W, mask in zip(self.net.weights, masks, strict=True)
        ]
        total = self.total(leaves)
        slopes = self.net.slopes(total, leaves)
        flow = float(total.detach())
        if not math.isfinite(flow):
            raise ValueError("module must have a finite sum of absolute paths; it is not")
        unit = 1.0 / flow if flow > 0.0 else 0.0
        return [
            (leaf.detach() * slope * unit).abs_()
            for leaf, slope in zip(leaves, slopes, strict=True)
        ], flow

    @property
    def homogeneous(self) -> bool:
        """Whether twice the input is twice the flow, without which path sums mean little."""
        leaves = [W.abs().double() for W in self.net.weights]
        with torch.no_grad():
            one, two = float(self.total(leaves)), float(self.total(leaves, 2.0))
        return math.isclose(two, 2.0 * one, rel_tol=1e-9)
