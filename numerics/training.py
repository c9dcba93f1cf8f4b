"""Full-batch gradient descent of a deep network under its masks.

One step is ``θ ← θ - rate · ∂/∂θ Σ_n loss(f(x_n), y_n)``: the loss is a *sum* over samples, as in
:mod:`numerics.regression`, so that the same rate means the same time there. For a mean divide
the rate by N. Gradients are the closed ones of :meth:`numerics.mlp.MLP.backward`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.empirical_ntk import TRAINABLE
from numerics.losses import Loss
from numerics.losses import loss as find_loss
from numerics.mlp import MLP

__all__ = ["Gradients", "History", "gradients", "train"]


@dataclass(frozen=True)
class Gradients:
    """Derivatives of a summed loss: one tensor per layer, like the network's own; its value too.

    ``weights[l-1]`` is zero at pruned entries if survivors train.
    """

    value: float
    weights: list[Tensor]
    biases: list[Tensor | None]
    outputs: Tensor


@torch.no_grad()
def gradients(
    net: MLP, x: Tensor, y: Tensor, loss: str | Loss = "squared", trainable: str = "survivors"
) -> Gradients:
    """Gradient of the loss summed over samples, by weights ``W`` (``M ∘ W`` for ``"all"``).

    ``x`` is (N, d), ``y`` as the loss wants it. Raises ValueError for unknown names, wrong shapes
    and inputs that are not finite.
    """
    if trainable not in TRAINABLE:
        raise ValueError(f"trainable must be one of {TRAINABLE}, got {trainable!r}")
    chosen = find_loss(loss)
    if not isinstance(y, Tensor):
        raise ValueError(f"y must be a tensor, got {type(y).__name__}")
    states = net.states(net.check_inputs(x))
    f = states.z[-1]
    labels = chosen.check(y, len(f), net.outputs, f)
    weights, biases = [], []
    for layer, delta in enumerate(net.backward(states, chosen.residual(f, labels)), start=1):
        slope = (delta * net.scales[layer - 1]).T @ states.h[layer - 1]
        mask = net.masks[layer - 1]
        if mask is not None and trainable == "survivors":
            slope *= mask
        weights.append(slope)
        beta = net.bias_scales[layer - 1]
        biases.append(None if net.biases[layer - 1] is None else beta * delta.sum(dim=0))
    return Gradients(float(chosen.total(f, labels)), weights, biases, f)


@dataclass(frozen=True)
class History:
    """What training recorded, at ``steps`` (T,): ``losses`` (T,), summed over samples, and
    ``outputs`` (T, N, outputs); ``network`` is the trained one, the given one is untouched.
    """

    steps: Tensor
    losses: Tensor
    outputs: Tensor
    network: MLP

    def accuracy(self, y: Tensor) -> Tensor:
        """Share of samples classified right at each step, (T,).

        Classes (N,) for several outputs, or the sign of (N,) labels for one. Raises ValueError
        for labels of another shape.
        """
        if y.shape != self.outputs.shape[1:2]:
            raise ValueError(
                f"y must have shape {tuple(self.outputs.shape[1:2])}, got {tuple(y.shape)}"
            )
        labels = y.to(self.outputs.device)
        if self.outputs.shape[2] == 1:
            right = torch.sign(self.outputs[:, :, 0]) == torch.sign(labels)
        else:
            right = self.outputs.argmax(dim=2) == labels
        return right.double().mean(dim=1)


@torch.no_grad()
def train(
    net: MLP,
    x: Tensor,
    y: Tensor,
    steps: int,
    rate: float,
    *,
    loss: str | Loss = "squared",
    trainable: str = "survivors",
    record: int | Iterable[int] = 1,
) -> History:
    """Gradient descent on all samples at once.

    Parameters
    ----------
    steps, rate: number of steps (≥ 0) and their size, for a loss summed over samples.
    trainable: ``"survivors"`` keeps pruned weights at zero for ever; ``"all"`` starts from
        ``M ∘ W`` and lets every entry move, so the trained network has no masks.
    record: outputs and loss are kept every so many steps and at the last, or at these steps.

    Raises ValueError for arguments that are not right, and if the loss stops being finite: the
    rate is then too large (beyond ``2 / λ_1`` of the tangent kernel).
    """
    for name, value, least in (("steps", steps, 0), ("record", record, 1)):
        if name == "record" and not isinstance(value, int):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    if not (isinstance(rate, (int, float)) and math.isfinite(rate) and rate > 0.0):
        raise ValueError(f"rate must be a positive number, got {rate!r}")
    if isinstance(record, int):
        kept = {*range(0, steps + 1, record), steps}
    else:
        kept = set(record)
        if not kept or any(not isinstance(k, int) or not 0 <= k <= steps for k in kept):
            raise ValueError(f"record must hold steps from 0 to {steps}")
    if trainable not in TRAINABLE:
        raise ValueError(f"trainable must be one of {TRAINABLE}, got {trainable!r}")
    if trainable == "all":
        effective = [net.effective(layer) for layer in range(1, net.layers + 1)]
        net = net.pruned([None] * net.layers).replaced(effective)
    net = net.replaced(
        [W.clone() for W in net.weights], [None if b is None else b.clone() for b in net.biases]
    )
    losses, outputs = [], []
    for step in range(steps + 1):
        found = gradients(net, x, y, loss)
        if not math.isfinite(found.value):
            raise ValueError(
                f"rate must be small enough to converge; the loss is not finite at step {step}"
            )
        if step in kept:
            losses.append(found.value)
            outputs.append(found.outputs.clone())
        if step == steps:
            break
        for W, slope in zip(net.weights, found.weights, strict=True):
            W.sub_(slope, alpha=rate)
        for b, slope_b in zip(net.biases, found.biases, strict=True):
            if b is not None and slope_b is not None:
                b.sub_(slope_b, alpha=rate)
    return History(
        torch.tensor(sorted(kept)), torch.tensor(losses, dtype=torch.float64),
        torch.stack(outputs), net,
    )  # fmt: skip
