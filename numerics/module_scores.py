"""Pruning scores of a PyTorch module's layers, from automatic differentiation.

The scores are those of :mod:`numerics.deep_scores` in the ``"standard"`` parametrisation. The
module is evaluated as a function of its layers' weights, and nothing of it is changed: neither its
parameters, buffers and gradients nor PyTorch's global random numbers. Dropout in training mode
draws from the seed, each batch from a stream of its own, the same in all passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from numerics.deep_derivatives import no_arrays, shrunk
from numerics.deep_scores import Tempered, checked_temperature, uniform_score
from numerics.gradients import Batches, batches
from numerics.losses import Loss
from numerics.losses import loss as find_loss
from numerics.sampling import DTYPES
from numerics.seeds import derive

__all__ = [
    "PRUNABLE", "SMALL_FLOW", "Differentiable", "Flow", "LossFunction", "module_scores",
    "prunable_layers",
]  # fmt: skip

PRUNABLE = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
"""Layers whose ``weight`` may be pruned."""

SMALL_FLOW = "module must have a sum of absolute paths that float64 can hold; it is too small"
"""What is said where paths are left and their sum is not."""

LossFunction = Callable[[Tensor, Any], Tensor]
"""Mean loss of a batch: from outputs and labels to a scalar."""


def prunable_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Layers of :data:`PRUNABLE` by name, in the order of registration; each of them once.

    Raises TypeError for what is no module; ValueError if there is no such layer, if one has no
    weights yet (lazy), computes them (weight or spectral normalisation) or is in another dtype than
    float32 and float64, or if two share their weights, which no mask per layer can express.
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
        if part._parameters.get(_key(part)) is None:
            raise ValueError(
                f"module must store its layers' weights as parameters; layer {name!r} computes "
                "them (weight or spectral normalisation, say): make them permanent first"
            )
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
    return "weight_orig" if isinstance(part._buffers.get("weight_mask"), Tensor) else "weight"


def _stored(part: nn.Module) -> Tensor:
    weight: Tensor = getattr(part, _key(part))
    return weight


def _mask(part: nn.Module) -> Tensor | None:
    mask = getattr(part, "weight_mask", None)
    return mask.bool() if isinstance(mask, Tensor) else None


def _slots(module: nn.Module, kind: str) -> dict[str, Tensor]:
    """Every place in which a parameter or buffer is held, by name; each part of the module once.

    A part with two names has one place, two parts that share a tensor have two.
    """
    return {
        f"{name}.{key}".lstrip("."): held
        for name, part in module.named_modules()
        for key, held in getattr(part, kind).items()
        if held is not None
    }


def _copied(held: dict[str, Tensor], copy: Callable[[str, Tensor], Tensor]) -> dict[str, Tensor]:
    """Copies by name; what was one tensor stays one."""
    found: dict[int, Tensor] = {}
    for name, each in held.items():
        if id(each) not in found:
            found[id(each)] = copy(name, each)
    return {name: found[id(each)] for name, each in held.items()}


@contextmanager
def _own_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """PyTorch's global random numbers, seeded within and as they were afterwards."""
    places = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(places):
        torch.default_generator.manual_seed(seed)
        if places:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


class Differentiable:
    """A module as a function of its layers' weights; nothing of it is changed.

    Lists have one entry for each of :func:`prunable_layers`, in that order. ``tied`` names, by
    layer, the other parts' parameters that are the same tensor as its weight.
    """

    def __init__(self, module: nn.Module) -> None:
        layers = prunable_layers(module)
        self.module, self.layers, self.parts = module, list(layers), list(layers.values())
        self.names = [f"{name}.{_key(part)}".lstrip(".") for name, part in layers.items()]
        self.inward = [bool(getattr(part, "transposed", False)) for part in self.parts]
        self.groups = [int(getattr(part, "groups", 1)) for part in self.parts]
        self.weights = [_stored(part).detach() for part in layers.values()]
        self.before = [_mask(part) for part in layers.values()]
        held = _slots(module, "_parameters")
        self.tied = {
            name: [other for other in held if held[other] is held[own] and other != own]
            for name, own in zip(self.layers, self.names, strict=True)
        }
        self.fixed = _copied(held, lambda _, p: p.detach())

    @property
    def pairs(self) -> list[tuple[Tensor, Tensor | None]]:
        """Stored weights and the masks that they have."""
        return list(zip(self.weights, self.before, strict=True))

    @property
    def masks(self) -> list[Tensor]:
        """The masks that they have, in a new list; all true where there is none."""
        return [torch.ones_like(W, dtype=torch.bool) if M is None else M for W, M in self.pairs]

    @property
    def effective(self) -> list[Tensor]:
        """Weights under the masks that they have."""
        return [W.clone() if mask is None else W * mask for W, mask in self.pairs]

    def __call__(self, leaves: Sequence[Tensor], x: Tensor, seed: int = 0) -> Tensor:
        """Outputs, in the module's own mode; ``seed`` is that of its dropout."""
        # Buffers are copies: a forward pass in training mode writes to running averages.
        buffers = _copied(_slots(self.module, "_buffers"), lambda _, b: b.detach().clone())
        with _own_numbers(seed, self.weights[0].device):
            return self.called(self.fixed | buffers, leaves, x.detach())

    def called(self, state: dict[str, Tensor], leaves: Sequence[Tensor], x: Tensor) -> Tensor:
        """The module's outputs under other parameters and buffers, and these weights."""
        state = dict(state)
        for layer, name, leaf in zip(self.layers, self.names, leaves, strict=True):
            # A weight that another part has too counts there as well, also in the derivative.
            state |= dict.fromkeys((name, *self.tied[layer]), leaf)
        # Hooks of masked and of normalised layers leave what they compute as attributes.
        held = [(part, dict(vars(part))) for part in self.module.modules()]
        try:
            # Names are those of places, so nothing is to be tied. The module may write to x.
            result = functional_call(self.module, state, (x.clone(),), tie_weights=False)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise ValueError(
                f"module must take inputs of shape {tuple(x.shape)} and {x.dtype} with its "
                f"weights; it says: {error}"
            ) from error
        finally:
            for part, attributes in held:
                vars(part).clear()
                vars(part).update(attributes)
        if not isinstance(result, Tensor):
            raise ValueError(f"module must give a tensor, got {type(result).__name__}")
        return result

    def leaves(self) -> list[Tensor]:
        """Fresh leaves of the stored weights."""
        return [W.clone().requires_grad_(True) for W in self.weights]

    def slopes(self, value: Tensor, leaves: Sequence[Tensor], graph: bool = False) -> list[Tensor]:
        """Derivatives by the leaves; zero for a layer that the value does not use.

        Raises ValueError for a value that autograd has not followed.
        """
        if not value.requires_grad:
            raise ValueError(
                "module must be differentiable in its layers' weights; its outputs come without "
                "a graph (torch.no_grad or detach within, say)"
            )
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
    unit = 1.0 if temperature is None else checked_temperature(temperature)

    def by_call(f: Tensor, y: Any) -> Tensor:
        value = loss(f / unit, y)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ValueError("loss must give one number, the mean over the batch, as a tensor")
        return value

    return by_call


def _gradients(
    net: Differentiable, data: Batches, loss: Callable[[Tensor, Any], Tensor], seed: int
) -> list[Tensor]:
    """Gradients of the mean loss."""
    total = [torch.zeros_like(W) for W in net.weights]
    samples = 0
    for index, (x, y) in enumerate(data):
        leaves = net.leaves()
        value = loss(net(leaves, x, derive(seed, "forward", index)), y)
        for held, slope in zip(total, net.slopes(value, leaves), strict=True):
            held.add_(slope, alpha=len(x))
        samples += len(x)
    if samples == 0:
        raise ValueError("x must hold at least one sample")
    return [held / samples for held in total]


def _hessian_gradients(
    net: Differentiable, data: Batches, loss: Callable[[Tensor, Any], Tensor], seed: int
) -> tuple[list[Tensor], float]:
    """``H g / u`` of the mean loss, and u, about the largest entry of the gradient g."""
    g = _gradients(net, data, loss, seed)
    unit = shrunk(g)
    total = [torch.zeros_like(W) for W in net.weights]
    samples = 0
    for index, (x, y) in enumerate(data):
        leaves = net.leaves()
        value = loss(net(leaves, x, derive(seed, "forward", index)), y)
        first = net.slopes(value, leaves, graph=True)
        product = torch.stack([(u * v).sum() for u, v in zip(first, g, strict=True)]).sum()
        samples += len(x)
        if not product.requires_grad:  # the loss is linear in the weights
            continue
        for held, slope in zip(total, net.slopes(product, leaves), strict=True):
            held.add_(slope, alpha=len(x))
    return [held / samples for held in total], unit


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
) -> tuple[list[Tensor], float]:
    """Scores of each layer, the largest to be kept, by any criterion but SynFlow, and their unit.

    The unit is a power of two that the scores are still to be multiplied by: that of GraSP is
    about the largest entry of the gradient, so that single precision can hold them; others have 1.
    Arguments and errors as in :func:`numerics.module_pruning.prune_module`.
    """
    if criterion == "random":
        found = [uniform_score(W, k, seed) for k, W in enumerate(net.weights, start=1)]
        masks = (torch.ones_like(W) if m is None else m for W, m in net.pairs)
        return [each * mask for each, mask in zip(found, masks, strict=True)], 1.0
    if criterion == "magnitude":
        return [W.abs() for W in net.effective], 1.0
    if x is None:
        raise ValueError(f"criterion {criterion!r} needs data: x is None")
    no_arrays(x, y)
    data, mean, unit = batches(x, y, batch_size), _mean_loss(loss, temperature), 1.0
    if criterion == "snip":
        slopes = _gradients(net, data, mean, seed)
    else:
        slopes, unit = _hessian_gradients(net, data, mean, seed)
    products = [W * slope for W, slope in zip(net.effective, slopes, strict=True)]
    return (products if criterion == "grasp-signed" else [each.abs() for each in products]), unit


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
        weights = {*net.names, *(name for names in net.tied.values() for name in names)}

        def positive(name: str, p: Tensor) -> Tensor:
            key = name.rpartition(".")[2]
            if key.startswith("bias") or key.endswith("bias"):
                return torch.zeros_like(p, dtype=torch.float64)
            return p.abs().double()

        self.fixed = _copied({k: p for k, p in net.fixed.items() if k not in weights}, positive)
        self.buffers = _copied(
            _slots(net.module, "_buffers"),
            lambda _, b: b.detach().double() if b.is_floating_point() else b.detach().clone(),
        )
        self.ones = torch.ones(1, *shape, dtype=torch.float64, device=net.weights[0].device)

    def total(
        self, leaves: Sequence[Tensor], x: Tensor | None = None,
        buffers: dict[str, Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        """The module's outputs, summed, for ones or another x; with other buffers, if given."""
        training = {part: part.training for part in self.net.module.modules()}
        self.net.module.eval()
        try:
            with _own_numbers(0, self.ones.device):
                state = self.fixed | self.buffers | (buffers or {})
                return self.net.called(state, leaves, self.ones if x is None else x).sum()
        finally:
            for part, mode in training.items():
                part.training = mode

    @torch.enable_grad()
    def shares(self, masks: Sequence[Tensor]) -> tuple[list[Tensor], float]:
        """Each edge's share of the flow through its layer, float64, and the flow.

        Raises ValueError where float64 has not the range for the flow, or a share.
        """
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
        shares = [
            (leaf.detach() * slope * unit).abs_()
            for leaf, slope in zip(leaves, slopes, strict=True)
        ]
        if 0.0 < flow < 2.0**-960:  # derivatives lose digits, the reciprocal may be infinite
            raise ValueError(SMALL_FLOW)
        if not all(bool(share.isfinite().all()) for share in shares):
            raise ValueError("module must have finite derivatives of its sum of absolute paths")
        return shares, flow

    @property
    def homogeneous(self) -> bool:
        """Whether twice the input is twice the flow, without which path sums mean little."""
        leaves = [W.abs().double() for W in self.net.weights]
        with torch.no_grad():
            one, two = float(self.total(leaves)), float(self.total(leaves, 2.0 * self.ones))
        return math.isclose(two, 2.0 * one, rel_tol=1e-9)
