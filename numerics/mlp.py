"""Deep fully connected networks with masks: ``z_l = (gain_l / n_{l-1})^{1/2} (M_l ∘ W_l) h_{l-1}``.

NTK parametrisation throughout: the scale stands outside the weights, ``h_0 = x``,
``h_l = σ(z_l)`` for the hidden layers ``l = 1 .. L`` and ``f = z_{L+1}``. A bias, where there is
one, adds ``β_l b_l`` with ``b_l ~ N(0, 1)``. ``M_l`` is a mask or absent. Lists are indexed from
the input upwards, so ``weights[0]`` belongs to layer 1.

Masks and variance profiles drawn from graphons are made by :mod:`numerics.mlp_masks`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from numerics.activations import Activation, Elementwise
from numerics.activations import activation as find_activation
from numerics.device import resolve
from numerics.sampling import Sampler, standard_normal
from numerics.seeds import generator
from theory.laws import Law

__all__ = ["MLP", "Masks", "States", "Variances", "check_widths"]

Masks = Sequence[Tensor | None]
"""One bool tensor of shape (n_l, n_{l-1}), or None for a dense layer, for each layer."""
Variances = Sequence[Any]
"""For each layer None (1), a number, or an array of shape (n_l, n_{l-1}); never negative."""


class States(NamedTuple):
    """What a forward pass leaves: ``z[l-1]`` of shape (N, n_l) for layer l, ``h[l]`` for h_l.

    ``h[0]`` is the input and ``z[-1]`` the output, so both lists have L + 1 entries.
    """

    z: list[Tensor]
    h: list[Tensor]


def check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """``(d, n_1, .., n_L, outputs)`` as a tuple; ValueError unless they are positive integers."""
    try:
        result = tuple(widths)
    except TypeError:
        raise ValueError(f"widths must be a sequence of integers, got {widths!r}") from None
    good = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in result)
    if len(result) < 2 or not good or min(result) < 1:
        raise ValueError(
            "widths must be positive integers (inputs, hidden layers.., outputs), "
            f"at least two of them, got {widths!r}"
        )
    return tuple(int(n) for n in result)


def _per_layer(name: str, value: Any, layers: int) -> tuple[float, ...]:
    """A number for all layers or one for each, non-negative."""
    values = value if isinstance(value, Sequence) else [value] * layers
    try:
        numbers = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must hold numbers, got {value!r}") from None
    if len(numbers) != layers:
        raise ValueError(f"{name} must be one number or {layers}, one per layer, got {value!r}")
    if not all(math.isfinite(v) and v >= 0.0 for v in numbers):
        raise ValueError(f"{name} must be finite and non-negative, got {value!r}")
    return numbers


def _per_matrix(name: str, value: object, layers: int) -> list[Any]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != layers:
        got = f"{len(value)} entries" if isinstance(value, Sequence) else type(value).__name__
        raise ValueError(f"{name} must be a list with one entry per layer ({layers}), got {got}")
    return list(value)


_MANY = 2**22
"""Weights from which layers are drawn by several threads; the numbers are the same."""


def _in_parallel(
    draw: Callable[[int], Tensor], pairs: Sequence[tuple[int, int]]
) -> Iterator[Tensor]:
    """``draw(1), draw(2), ..``, one for each pair of widths."""
    layers = range(1, len(pairs) + 1)
    if sum(sources * targets for sources, targets in pairs) < _MANY:
        yield from map(draw, layers)
        return
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        yield from pool.map(draw, layers)


class MLP:
    """A random network of ``L`` hidden layers, L ≥ 0, in the NTK parametrisation.

    Attributes: ``weights[l-1]`` of shape (n_l, n_{l-1}); ``biases[l-1]`` of shape (n_l,) or None
    where ``bias`` is 0; ``masks[l-1]`` bool or None; ``scales[l-1] = (gain_l / n_{l-1})^{1/2}``
    and ``bias_scales[l-1] = β_l``, which the forward pass applies. ``law`` is that of the weights.
    ``parametrisation`` says what a weight is to a pruning score: ``"ntk"``, the stored ``W``, or
    ``"standard"``, ``scale_l W``.

    Parameters
    ----------
    widths: ``(d, n_1, .., n_L, outputs)``.
    gain: variance of a weight times its fan-in, one number or one per layer (2 keeps the scale
        of ReLU signals).
    bias: variance ``β²`` of the bias term, one number or one per layer; 0 is no bias.
    law: law of the weights in units of their scale; None is the standard normal.
    variances: variance profile, ``W_ij ~ N(0, 𝒲_ij)``, in place of variance one. The weight that
        trains is then ``W_ij`` itself, so a kernel has no further factor.
    seed: integer; a layer's weights depend on it, the law and the layer's shape alone.
    dtype: torch.float64 or torch.float32; the two are different draws.

    Raises ValueError, naming the argument, for sizes that are not positive, lists of the wrong
    length, negative or non-finite numbers, an unknown activation, device or dtype.
    """

    parametrisation: str = "ntk"
    law: Law | None = None
    profiled: bool = False
    """Whether the weights have a variance profile."""

    def __init__(
        self,
        widths: Sequence[int],
        activation: str | Activation | Elementwise = "relu",
        *,
        gain: float | Sequence[float] = 1.0,
        bias: float | Sequence[float] = 0.0,
        law: Law | None = None,
        variances: Variances | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.widths = check_widths(widths)
        layers = len(self.widths) - 1
        self.activation = find_activation(activation)
        self.gains = _per_layer("gain", gain, layers)
        self.seed, self.law = seed, law
        self.scales = tuple(
            math.sqrt(g / n) for g, n in zip(self.gains, self.widths[:-1], strict=True)
        )
        self.bias_scales = tuple(math.sqrt(v) for v in _per_layer("bias", bias, layers))
        place, sample = resolve(device), Sampler(law, dtype)
        profile = [None] * layers if variances is None else variances
        profile = _per_matrix("variances", profile, layers)
        self.profiled = any(each is not None for each in profile)

        self.weights: list[Tensor] = []
        self.biases: list[Tensor | None] = []

        def draw(layer: int) -> Tensor:
            sources, targets = self._pairs()[layer - 1]
            return torch.from_numpy(sample(generator(seed, "weights", layer), (targets, sources)))

        for layer, W in enumerate(_in_parallel(draw, self._pairs()), start=1):
            if profile[layer - 1] is not None:
                W *= self._deviations(profile[layer - 1], layer).to(dtype)
            self.weights.append(W.to(place))
            b = None
            if self.bias_scales[layer - 1] > 0.0:
                drawn = standard_normal(generator(seed, "biases", layer), (len(W),), dtype)
                b = torch.from_numpy(drawn).to(place)
            self.biases.append(b)
        self.masks: list[Tensor | None] = [None] * layers

    def _pairs(self) -> list[tuple[int, int]]:
        return list(zip(self.widths[:-1], self.widths[1:], strict=True))

    def _deviations(self, variance: Any, layer: int) -> Tensor:
        name = f"variances[{layer - 1}]"
        sources, targets = self._pairs()[layer - 1]
        try:
            values = torch.as_tensor(variance, dtype=torch.float64, device="cpu")
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"{name} must hold numbers, got {type(variance).__name__}") from None
        if values.ndim and values.shape != (targets, sources):
            raise ValueError(
                f"{name} must have shape {(targets, sources)}, got {tuple(values.shape)}"
            )
        if not bool(torch.isfinite(values).all()) or float(values.min()) < 0.0:
            raise ValueError(f"{name} must be finite and non-negative")
        return values.sqrt()

    @property
    def layers(self) -> int:
        """Number of weight matrices, L + 1."""
        return len(self.weights)

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.widths[-1]

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.weights[0].device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' floating-point type."""
        return self.weights[0].dtype

    @property
    def densities(self) -> tuple[float, ...]:
        """Share of surviving weights in each layer, 1 without a mask."""
        return tuple(1.0 if m is None else float(m.double().mean()) for m in self.masks)

    @property
    def severed(self) -> tuple[int, ...]:
        """Layers (from 1) without a surviving weight; if there is one, f does not depend on x.

        Such networks are allowed: they are what a global threshold may leave at low densities.
        """
        return tuple(
            index
            for index, mask in enumerate(self.masks, start=1)
            if mask is not None and not bool(mask.any())
        )

    def pruned(self, masks: Masks) -> MLP:
        """The network with one mask (or None) per layer, on the same weights.

        Masks that are there already are replaced. Raises ValueError for a list of another length,
        another dtype than bool and another shape than ``(n_l, n_{l-1})``.
        """
        checked: list[Tensor | None] = []
        given = _per_matrix("masks", masks, self.layers)
        for index, (mask, W) in enumerate(zip(given, self.weights, strict=True)):
            if mask is None:
                checked.append(None)
                continue
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
                raise ValueError(
                    f"masks[{index}] must be None or a tensor of dtype torch.bool, got {got}"
                )
            if mask.shape != W.shape:
                raise ValueError(
                    f"masks[{index}] must have shape {tuple(W.shape)}, got {tuple(mask.shape)}"
                )
            checked.append(mask.to(self.device))
        result = copy.copy(self)
        result.masks = checked
        return result

    def replaced(
        self, weights: Sequence[Tensor], biases: Sequence[Tensor | None] | None = None
    ) -> MLP:
        """The network with other weights (and biases) under the same masks and scales.

        Raises ValueError for lists of another length and tensors of another shape.
        """
        result = copy.copy(self)
        pairs: list[tuple[str, Any, Any]] = [("weights", weights, self.weights)]
        pairs += [] if biases is None else [("biases", biases, self.biases)]
        for name, new, old in pairs:
            for index, (a, b) in enumerate(
                zip(_per_matrix(name, new, self.layers), old, strict=True)
            ):
                if (a is None) != (b is None) or (a is not None and a.shape != b.shape):
                    wanted = None if b is None else tuple(b.shape)
                    raise ValueError(f"{name}[{index}] must have shape {wanted}")
            setattr(result, name, list(new))
        return result

    def effective(self, layer: int) -> Tensor:
        """``M_l ∘ W_l`` of a layer from 1 to L + 1, without its scale, shape (n_l, n_{l-1})."""
        if not 1 <= layer <= self.layers:
            raise ValueError(f"layer must lie between 1 and {self.layers}, got {layer}")
        W, mask = self.weights[layer - 1], self.masks[layer - 1]
        return W if mask is None else W * mask

    def check_inputs(self, x: Tensor, name: str = "x") -> Tensor:
        """``x`` on the network's device and dtype.

        ValueError unless it is a tensor of real, finite numbers of shape (N, d) with N ≥ 1.
        """
        d = self.widths[0]
        if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] != d or len(x) == 0:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"{name} must be a tensor of shape (N, {d}) with N ≥ 1, got {got}")
        if x.is_complex():
            raise ValueError(f"{name} must hold real numbers, got dtype {x.dtype}")
        moved = x.to(self.device, self.dtype)
        if not bool(torch.isfinite(moved.detach()).all()):
            raise ValueError(f"{name} must be finite in {self.dtype}")
        return moved

    def states(self, x: Tensor) -> States:
        """All pre-activations and hidden states for inputs of shape (N, d)."""
        h = self.check_inputs(x)
        states = States([], [h])
        for layer in range(1, self.layers + 1):
            z = (h * self.scales[layer - 1]) @ self.effective(layer).T
            b = self.biases[layer - 1]
            if b is not None:
                z = z + self.bias_scales[layer - 1] * b
            states.z.append(z)
            if layer < self.layers:
                h = self.activation.value(z)
                states.h.append(h)
        return states

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of shape (N, outputs) for inputs of shape (N, d)."""
        return self.states(x).z[-1]

    __call__ = forward

    def backward(self, states: States, residual: Tensor) -> list[Tensor]:
        """Derivatives of ``Σ residual · f`` by every pre-activation, each of shape (.., N, n_l).

        ``residual`` has shape (N, outputs), or (R, N, outputs) for R of them at once. The
        derivative by the effective weight ``M_l ∘ W_l`` is ``scale_l δ_lᵀ h_{l-1}``.
        """
        deltas = [residual]
        for layer in range(self.layers, 1, -1):
            passed = (deltas[0] * self.scales[layer - 1]) @ self.effective(layer)
            z, h = states.z[layer - 2], states.h[layer - 1]
            deltas.insert(0, passed * self.activation.slope(z, h))
        return deltas

    def __repr__(self) -> str:
        sizes = "–".join(map(str, self.widths))
        kept = ""
        if any(mask is not None for mask in self.masks):
            kept = f", densities=({', '.join(f'{p:.3g}' for p in self.densities)})"
            kept += f", severed={self.severed}" if self.severed else ""
        return f"MLP({sizes}, {self.activation.name!r}{kept})"
