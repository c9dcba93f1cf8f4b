"""Kernels of infinitely wide pruned networks: NNGP and neural tangent kernel of layered graphons.

    z_l = sqrt(gain_l / n_{l-1}) (M_l o W_l) h_{l-1} + b_l,   h_l = s(z_l),   h_0 = x

in NTK parametrisation, where layer l's weights have second moment ``V_l(u, v)`` and a share
``T_l(u, v)`` of them trains, for source position u and target position v ([A] eqs. (3), (4)
with the output layer's term and with T). Positions of input coordinates are ``(j + 1/2) / d``.

>>> kernel = GraphonKernel("relu", depth=2, density=0.5)
>>> x = np.eye(3)
>>> kernel(x, get="ntk").shape
torch.Size([3, 3])
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from numerics import device as devices
from numerics.kernel_duals import DualValues
from numerics.kernel_engine import Engine
from numerics.kernel_gram import GivenGram, Inputs, read_gram
from numerics.kernel_graphons import FINEST, KernelLayer, Network
from numerics.kernel_hermite import dual_values
from numerics.kernel_stack import Stack, as_factor
from numerics.kernel_tiles import compute, relative_change
from theory.duals import dual

__all__ = ["GraphonKernel", "KernelLayer", "KernelResult", "kernel_fn"]

Kind = Literal["nngp", "ntk"]
Builder = Callable[[Stack, torch.dtype], Engine]
_KINDS = ("nngp", "ntk")
_PROBES = 4


@dataclass(frozen=True)
class KernelResult:
    """Kernels of all pairs of inputs.

    Attributes:
        nngp, ntk: shape (inputs, other inputs), in the kernel's dtype; None if not asked for.
        error: for each of them an estimate of the largest absolute error, without rounding:
            what Hermite series leave out (a bound) and what quadrature over positions does (the
            change at the last refinement, measured on a few pairs).
        per_layer: shares of the layers of weights in the NTK, shape (layers, inputs, others).
        nodes: nodes of each hidden layer after equal ones were merged.
    """

    nngp: Tensor | None
    ntk: Tensor | None
    error: dict[str, float]
    per_layer: Tensor | None
    nodes: list[int]


class GraphonKernel:
    """The kernel of an infinitely wide network whose layers are graphons.

    Args:
        activation: what :func:`theory.duals.dual` takes, or one for each hidden layer.
        layers: one for each matrix of weights, from the input to the output, the output layer
            included. Each is a :class:`KernelLayer`, a pair (variance, mask), or one graphon for
            both (independent masks whose survivors train). Or a :class:`Stack`.
        depth: number of hidden layers, where ``layers`` is not given.
        density: the constant graphon of all layers then.
        gain: factor on the variance of all weights, or one for each layer; 2 is He's for ReLU.
        bias: variance of the biases, which train; or one for each layer.
        tolerance: relative accuracy asked of quadrature over positions and of Hermite series.
        memory: cap in MiB on what a call adds, its result included; None for no cap.
        device: as :func:`numerics.device.resolve`.
        dtype: float64 or float32; Gram matrices and variances are float64 in any case.
        ae_derivative: allow the NTK of an activation that jumps, with the derivative almost
            everywhere; a finite network's kernel does not converge to it.

    Raises:
        ValueError, TypeError: naming the argument.
    """

    def __init__(
        self,
        activation: Any = "relu",
        layers: Sequence[Any] | Stack | None = None,
        *,
        depth: int | None = None,
        density: float | None = None,
        gain: float | Sequence[float] = 1.0,
        bias: float | Sequence[float] = 0.0,
        tolerance: float = 1e-8,
        memory: float | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float64,
        ae_derivative: bool = False,
    ) -> None:
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
        if not (math.isfinite(tolerance) and tolerance > 0.0):
            raise ValueError(f"tolerance must be positive, got {tolerance}")
        if memory is not None and not memory > 0.0:
            raise ValueError(f"memory must be positive, in MiB, or None, got {memory}")
        self.tolerance, self.memory, self.dtype = tolerance, memory, dtype
        self.device = devices.resolve(device)
        self.ae_derivative = ae_derivative
        self._fixed: Stack | None = None
        self._network: Network | None = None
        if layers is None:
            layers = _constant(depth, density)
        elif density is not None:
            raise ValueError("density must not be given along with layers")
        if isinstance(layers, Stack):
            if gain != 1.0 or bias != 0.0:
                raise ValueError("gain and bias must be those of the stack's own layers")
            self._fixed = layers.collapsed()
            hidden = layers.depth
        else:
            layers = list(layers)
            if not layers:
                raise ValueError("layers must hold at least the output layer")
            hidden = len(layers) - 1
            gains, biases = (
                _each(value, hidden + 1, name) for value, name in ((gain, "gain"), (bias, "bias"))
            )
            self._network = Network(layers, gains, biases)
        if depth is not None and depth != hidden:
            raise ValueError(
                f"depth must be {hidden} for {hidden + 1} layers (the output is one), got {depth}"
            )
        self.depth = hidden
        self.duals = _duals(activation, hidden, tolerance)
        self._stacks: dict[tuple[int, int], Stack] = {}

    # ------------------------------------------------------------------------------- stacks
    def stack(self, coordinates: int, level: int = 0) -> Stack:
        """The discrete layers for inputs of ``coordinates`` entries at a level of refinement."""
        if self._fixed is not None:
            own = self._fixed.coordinates
            if own is not None and own != coordinates:
                raise ValueError(f"x1 must have {own} coordinates, got {coordinates}")
            return self._fixed
        assert self._network is not None
        key = (coordinates, level)
        if key not in self._stacks:
            self._stacks[key] = self._network.stack(coordinates, level)
        return self._stacks[key]

    # -------------------------------------------------------------------------------- calls
    def __call__(
        self,
        x1: Any,
        x2: Any = None,
        get: Kind | Sequence[Kind] = ("nngp", "ntk"),
        *,
        per_layer: bool = False,
    ) -> Any:
        """Kernels between inputs ``x1`` (inputs, coordinates) and ``x2`` (None: ``x1`` itself).

        Returns a :class:`KernelResult`, or the tensor itself if ``get`` is one name. Inputs enter
        as ``<x, x'> / d``. Raises ValueError for inputs that do not fit or are not finite, for
        values outside a dual's range (naming the hidden layer), and for the NTK of an activation
        that jumps.
        """
        kinds = self._kinds(get)
        left = Inputs.read(x1, "x1", self.device)
        right = None if x2 is None else Inputs.read(x2, "x2", self.device)
        coordinates = int(left.values.shape[1])
        if right is not None and right.values.shape[1] != coordinates:
            raise ValueError(
                f"x2 must have {coordinates} coordinates as x1 has, got {right.values.shape[1]}"
            )

        def build(stack: Stack, dtype: torch.dtype) -> Engine:
            return Engine(stack, self.duals, coordinates, self.device, dtype)

        stack, relative = self._refined(left, coordinates, kinds, build)
        result = self._result(build(stack, self.dtype), left, right, kinds, relative)
        if per_layer:
            result = replace(result, per_layer=self._shares(stack, left, right, build))
        return getattr(result, get) if isinstance(get, str) else result

    def from_gram(
        self,
        gram: Any,
        squares: tuple[Any, Any] | None = None,
        get: Kind | Sequence[Kind] = ("nngp", "ntk"),
    ) -> Any:
        """The same from ``gram[i, j] = <x_i, x'_j> / d``.

        ``squares`` are ``(<x, x>/d, <x', x'>/d)`` of either side; None says that ``gram`` is
        that of one set of inputs. The first layer must not tell coordinates apart. Raises
        ValueError if ``gram`` is not finite, or is no Gram matrix (beyond rounding).
        """
        kinds = self._kinds(get)
        if not self._alike():
            raise ValueError("gram needs a first layer that treats all coordinates alike")
        cross, sides = read_gram(gram, squares, self.device)

        def build(stack: Stack, dtype: torch.dtype) -> Engine:
            first = GivenGram(stack.layers[0], cross, sides, same=squares is None)
            return Engine(stack, self.duals, 1, self.device, dtype, first)

        count = cross.shape[0]
        left = _indices(0, count, self.device)
        right = None if squares is None else _indices(count, cross.shape[1], self.device)
        stack, relative = self._refined(left, 1, kinds, build)
        result = self._result(build(stack, self.dtype), left, right, kinds, relative)
        return getattr(result, get) if isinstance(get, str) else result

    def profile(self, cosines: Any, square: float = 1.0, get: Kind = "ntk") -> Tensor:
        """The kernel as a function of the cosine between inputs with ``<x, x>/d = square``.

        ``cosines`` has shape (m,), in [-1, 1]; so has the result. Raises ValueError as
        :meth:`from_gram`.
        """
        t = torch.as_tensor(cosines, dtype=torch.float64, device=self.device).reshape(-1)
        if t.numel() == 0 or not bool((t.abs() <= 1.0).all()):
            raise ValueError("cosines must be a non-empty vector of numbers in [-1, 1]")
        if not (math.isfinite(square) and square > 0.0):
            raise ValueError(f"square must be positive, got {square}")
        sides = (torch.full((1,), square), torch.full((t.numel(),), square))
        result: Tensor = self.from_gram(square * t[None], sides, get)
        return result[0]

    # ---------------------------------------------------------------------------- internals
    def _kinds(self, get: Any) -> tuple[str, ...]:
        kinds = (get,) if isinstance(get, str) else tuple(get)
        if not kinds or any(kind not in _KINDS for kind in kinds):
            raise ValueError(f"get must be among {_KINDS}, got {get!r}")
        if "ntk" in kinds and not self.ae_derivative:
            for index, values in enumerate(self.duals):
                if not values.dual.weakly_differentiable:
                    raise ValueError(
                        f"activation of hidden layer {index + 1}, {values.name}, jumps: its NTK "
                        "is not the limit of finite networks; ae_derivative=True computes it "
                        "with the derivative almost everywhere"
                    )
        return kinds

    def _alike(self) -> bool:
        """Whether the first layer treats all coordinates alike."""
        if self._fixed is not None:
            return self._fixed.coordinates is None
        assert self._network is not None
        return self._network.alike

    def _refined(
        self, inputs: Inputs, coordinates: int, kinds: tuple[str, ...], build: Builder
    ) -> tuple[Stack, dict[str, float]]:
        """The stack whose kernels stand still on a few inputs, and their last relative change."""
        change = dict.fromkeys(kinds, 0.0)
        if self._network is None or not self._network.smooth:
            return self.stack(coordinates), change
        chosen = np.unique(np.linspace(0, len(inputs) - 1, _PROBES).astype(np.int64))
        index = torch.from_numpy(chosen).to(self.device)
        probes = Inputs(inputs.values[index], inputs.scale[index])
        before: dict[str, Tensor] | None = None
        for level in range(FINEST + 1):
            stack = self.stack(coordinates, level)
            now = compute(build(stack, torch.float64), probes, None, kinds).kernels
            if before is not None:
                change = {kind: relative_change(before[kind], now[kind]) for kind in kinds}
                if max(change.values()) < self.tolerance:
                    break
            before = now
        return stack, change

    def _result(
        self,
        engine: Engine,
        left: Inputs,
        right: Inputs | None,
        kinds: tuple[str, ...],
        relative: dict[str, float],
    ) -> KernelResult:
        memory = None if self.memory is None else self.memory * 2**20
        found = compute(engine, left, right, kinds, memory)
        error = {kind: found.error[kind] + relative[kind] * found.largest[kind] for kind in kinds}
        kernels = found.kernels
        return KernelResult(
            kernels.get("nngp"), kernels.get("ntk"), error, None, engine.stack.nodes
        )

    def _shares(self, stack: Stack, left: Inputs, right: Inputs | None, build: Builder) -> Tensor:
        parts = []
        for index in range(len(stack.layers)):
            engine = build(stack.only_trained(index), self.dtype)
            parts.append(compute(engine, left, right, ("ntk",)).kernels["ntk"])
        return torch.stack(parts)


def kernel_fn(
    activation: Any = "relu", layers: Sequence[Any] | Stack | None = None, **options: Any
) -> GraphonKernel:
    """A function ``kernel_fn(x1, x2, get)`` for a network; arguments of :class:`GraphonKernel`."""
    return GraphonKernel(activation, layers, **options)


def _constant(depth: int | None, density: float | None) -> list[float]:
    """All layers of a network with one density."""
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 0:
        raise ValueError(
            f"depth must be a number of hidden layers where layers is not given, got {depth!r}"
        )
    value = 1.0 if density is None else float(density)
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"density must lie in [0, 1], got {density}")
    return [value] * (depth + 1)


def _each(value: Any, count: int, name: str) -> list[float]:
    """One number for each layer."""
    listed = list(value) if isinstance(value, Sequence | np.ndarray) else [value] * count
    if len(listed) != count:
        raise ValueError(
            f"{name} must be one number or {count}, one for each layer; got {len(listed)}"
        )
    return [as_factor(each, name) for each in listed]


def _duals(activation: Any, hidden: int, tolerance: float) -> list[DualValues]:
    """Twins of one activation for all hidden layers, or of one each."""
    if isinstance(activation, list | tuple):
        if len(activation) != hidden:
            raise ValueError(
                f"activation must be one or {hidden}, one for each hidden layer; "
                f"got {len(activation)}"
            )
        given = list(activation)
    else:
        given = [activation] * hidden
    return [dual_values(dual(each), 0.1 * tolerance) for each in given]


def _indices(start: int, count: int, where: torch.device) -> Inputs:
    """Stand-ins for inputs of which the Gram matrix is known."""
    values = torch.arange(start, start + count, device=where)[:, None]
    return Inputs(values, torch.ones(count, dtype=torch.float64, device=where))
