"""The kernel recursion on a stack of layers, in tiles of input pairs that stay in cache.

With ``S`` the covariance after an activation, ``S~`` before it, ``k`` and ``k'`` the dual and
its derivative dual, and P_V, P_T the layer's matrices times gain and node weights,

    S~_{l+1} = P_V S_l + b^2,      T~_{l+1} = P_T S_l + P_V (k'_l T~_l) + b^2

(the bias enters T~ if it trains). The tangent kernel is carried *forward*, so that no layer is
kept; at the output ``S~`` is the NNGP kernel and ``T~`` the NTK. Variances are carried once per
input rather than per pair; a pair carries the cosine, or the deficit ``2 - 2 cosine`` for
activations whose dual is not smooth at equal inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from numerics.kernel_diagonals import Diagonals, Matrices, diagonals
from numerics.kernel_duals import DeficitValues, DualValues, SmoothValues
from numerics.kernel_gram import NEAR, FirstLayer, Inputs, inverse
from numerics.kernel_stack import Stack

__all__ = ["Engine", "Pairs"]

_CACHED = 1 << 16
"""Pairs times nodes of a tile: 512 KiB of float64, a share of a core's cache."""
_SERIAL = 1 << 15
"""The same where the whole kernel is small and one thread computes it."""
_ON_GPU = 1 << 22
_STRIP = 1 << 20
_BUFFERS = 14
"""Arrays of the size of a tile that live at the same time, at most."""
_GATHER = 1 << 20
_MANY = 0.02
"""Share of a tile's pairs from which on all are computed by distances."""


@dataclass
class _Side:
    """A tile's share of one set of inputs, in the dtype of the recursion."""

    values: Tensor
    scale: Tensor
    bare: Tensor
    plain: list[Tensor]
    deviation: list[Tensor]
    root: list[Tensor]
    prepared: list[Any]
    left: Tensor | None = None


Gram = tuple[Tensor, Tensor | None]
"""Gram matrices of the first layer for V and, where it differs, for T."""


class Pairs(NamedTuple):
    """NNGP kernel and NTK (None unless asked for) of a tile."""

    nngp: Tensor
    ntk: Tensor | None


class Engine:
    """The recursion for one stack, one dual per hidden layer and one number of coordinates.

    ``stack`` is best collapsed; ``first`` stands in for the first layer's Gram matrices (see
    :class:`numerics.kernel_gram.GivenGram`). ``dtype`` is that of the pairs; variances and Gram
    matrices are float64 always.
    """

    def __init__(
        self,
        stack: Stack,
        duals: list[DualValues],
        coordinates: int,
        device: torch.device,
        dtype: torch.dtype,
        first: Any = None,
    ) -> None:
        self.stack, self.duals, self.device, self.dtype = stack, duals, device, dtype
        self.coordinates = coordinates
        self.deficits = any(isinstance(dual, DeficitValues) for dual in duals)
        self.near = NEAR if dtype == torch.float64 else 1e-2
        layers = stack.layers
        self.first = FirstLayer(layers[0], coordinates, device) if first is None else first
        self.forward = [self._matrix(layer.forward) for layer in layers]
        self.tangent = [self._matrix(layer.tangent) for layer in layers]
        degrees = [dual.degree for dual in duals]
        self.power: float | None = None
        if None not in degrees and not stack.has_bias:
            self.power = math.prod(d for d in degrees if d is not None)

    def _matrix(self, array: Any) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    # ---------------------------------------------------------------------------- diagonals
    def _scale(self, inputs: Inputs) -> Tensor:
        """Scales that enter the recursion; homogeneous kernels are scaled at the end."""
        return torch.ones_like(inputs.scale) if self.power is not None else inputs.scale

    def diagonals(self, inputs: Inputs) -> Diagonals:
        """What belongs to single inputs; raises ValueError for a dual that diverges."""
        matrices = Matrices(self.forward, self.tangent)
        return diagonals(self.stack, self.duals, self.first, matrices, inputs, self._scale(inputs))

    def finish(self, kernel: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """A tile of a homogeneous kernel at the original scale of its inputs."""
        if self.power is None or self.power == 0.0:
            return kernel
        a, b = left**self.power, right**self.power
        return (kernel.to(torch.float64) * a[:, None] * b[None, :]).to(kernel.dtype)

    # -------------------------------------------------------------------------------- sides
    def side(self, inputs: Inputs, diagonals: Diagonals, part: slice, left: bool) -> _Side:
        """The inputs of a tile, with what each activation has to know of them."""
        values = inputs.values[part]

        def cut(tensors: list[Tensor]) -> list[Tensor]:
            return [tensor[:, part].to(self.dtype) for tensor in tensors]

        deviation = cut(diagonals.deviation)
        prepared = [
            dual.prepare(own) if isinstance(dual, SmoothValues) else None
            for dual, own in zip(self.duals, deviation, strict=True)
        ]
        return _Side(
            values,
            self._scale(inputs)[part],
            diagonals.bare[:, part],
            cut(diagonals.plain),
            deviation,
            cut(diagonals.root),
            prepared,
            self.first.left(values) if left else None,
        )

    # -------------------------------------------------------------------------------- tiles
    def strip(self, left: _Side, values: Tensor, dot: bool) -> Gram:
        """Gram matrices of a left tile with many scaled inputs at once, which is faster."""
        assert left.left is not None
        return self.first.strip(left.left, left.values, values, dot)

    def _start(
        self, left: _Side, right: _Side, gram: Gram, same: bool, dot: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """State at the first hidden layer, before its biases, and the first tangent term."""
        a, b = left.bare, right.bare
        state = self.first.cosine(gram[0], a, b)
        opposite = tangent = None
        if gram[1] is not None:
            scaled = self.first.tangent_nodes(gram[1]) * left.scale[:, None] * right.scale
            tangent = scaled.to(self.dtype)
        if self.deficits:
            precise = self.dtype == torch.float64
            state, opposite = self.first.deficit(
                state, left.values, right.values, a, b, same, precise
            )
            opposite = None if opposite is None else opposite.to(self.dtype)
        state = state.to(self.dtype)
        if dot and tangent is None:
            a, b = _outer((a * left.scale).to(self.dtype), (b * right.scale).to(self.dtype))
            cosine = torch.rsub(state, 1.0, alpha=0.5) if self.deficits else state
            tangent = cosine * a * b
        return state, opposite, tangent

    def tile(self, left: _Side, right: _Side, gram: Gram, same: bool, dot: bool) -> Pairs:
        """Kernels of all pairs of two sides, (left inputs, right inputs).

        ``gram`` is their part of :meth:`strip`; ``same`` says that the sides are the same inputs.
        """
        return self._run(left, right, *self._start(left, right, gram, same, dot))

    def _run(
        self,
        left: _Side,
        right: _Side,
        state: Tensor,
        opposite: Tensor | None,
        tangent: Tensor | None,
    ) -> Pairs:
        """The recursion from the first hidden layer on; ``tangent`` None leaves the NTK out."""
        layers = self.stack.layers
        dot = tangent is not None
        if tangent is not None and layers[0].bias_trains and layers[0].bias:
            tangent = tangent + layers[0].bias
        if not self.duals:
            kernel = self._linear(left, right, state)
            return Pairs(kernel, None if tangent is None else tangent[0])
        for index, dual in enumerate(self.duals):
            bias = layers[index].bias
            if bias:
                state = self._with_bias(index, left, right, state, bias)
                opposite = None
            kappa, state, opposite, slope = self._activate(
                index, dual, left, right, state, opposite, dot
            )
            above, forward = layers[index + 1], self.forward[index + 1].to(self.dtype)
            if tangent is not None:
                tangent = tangent.mul_(slope)
                if above.shared:
                    tangent = _mix(forward, tangent.add_(kappa))
                else:
                    own = _mix(self.tangent[index + 1].to(self.dtype), kappa)
                    tangent = _mix(forward, tangent) + own
                if above.bias_trains and above.bias:
                    tangent = tangent.add_(above.bias)
            if index == len(self.duals) - 1:
                nngp = _mix(forward, kappa).add_(above.bias)
                return Pairs(nngp[0], None if tangent is None else tangent[0])
            if opposite is not None:  # |x + y|^2 averages as |x - y|^2 does
                opposite = self._opposite(index, left, right, opposite, forward)
            state = self._upwards(index, left, right, state, kappa, forward)
        raise AssertionError("the last layer returns")

    def _linear(self, left: _Side, right: _Side, state: Tensor) -> Tensor:
        """The kernel of a network without hidden layers."""
        a, b = ((side.bare * side.scale).to(self.dtype) for side in (left, right))
        first, second = _outer(a, b)
        return (state * first * second + self.stack.layers[0].bias)[0]

    def _activate(
        self,
        index: int,
        dual: DualValues,
        left: _Side,
        right: _Side,
        state: Tensor,
        opposite: Tensor | None,
        dot: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """kappa, the state after the activation (deficits only) with opposite, and kappa_dot."""
        a, b = _outer(left.root[index], right.root[index])
        if isinstance(dual, DeficitValues):
            state, opposite, slope = dual.deficit(state, opposite, dot)
            kappa = torch.rsub(state, 1.0, alpha=0.5).mul_(a).mul_(b)
            return kappa, state, opposite, slope
        assert isinstance(dual, SmoothValues)
        cosine = torch.rsub(state, 1.0, alpha=0.5) if self.deficits else state
        kappa, slope = dual.pair(left.prepared[index], right.prepared[index], cosine, dot)
        if self.deficits:
            wide_a, wide_b = _outer(left.deviation[index], right.deviation[index])
            equal = (state == 0.0) & (wide_a == wide_b)
            state = (2.0 - 2.0 * kappa * inverse(a) * inverse(b)).clamp_(0.0, 4.0)
            state.masked_fill_(equal, 0.0)
        return kappa, state, None, slope

    def _with_bias(
        self, index: int, left: _Side, right: _Side, state: Tensor, bias: float
    ) -> Tensor:
        """Add the variance of the biases to a state."""
        a, b = _outer(left.plain[index], right.plain[index])
        wide_a, wide_b = _outer(left.deviation[index], right.deviation[index])
        if not self.deficits:
            return ((state * a * b + bias) / (wide_a * wide_b)).clamp_(-1.0, 1.0)
        # 2 (A' B' - A B - bias) without cancellation
        apart = 2.0 * bias * (a - b) ** 2 / (wide_a * wide_b + a * b + bias)
        return ((a * b * state + apart) / (wide_a * wide_b)).clamp_(0.0, 4.0)

    def _upwards(
        self,
        index: int,
        left: _Side,
        right: _Side,
        state: Tensor,
        kappa: Tensor,
        forward: Tensor,
    ) -> Tensor:
        """State before the biases of the next layer: averages over this layer's nodes."""
        targets, sources = forward.shape
        if sources == 1 and self.deficits:
            return state if targets == 1 else state.repeat(targets, 1, 1)
        upper_a, upper_b = left.plain[index + 1], right.plain[index + 1]
        a, b = _outer(inverse(upper_a), inverse(upper_b))
        if not self.deficits:
            return (_mix(forward, kappa) * a * b).clamp_(-1.0, 1.0)
        same = left is right
        out = _mix(forward, kappa).mul_(a * -2.0).mul_(b).add_(2.0)
        if same:
            out.diagonal(dim1=1, dim2=2).fill_(2.0)
        low, high = (float(end) for end in torch.aminmax(out))
        if low < self.near:
            sides = (left.root[index], right.root[index], upper_a, upper_b)
            near = out < self.near
            if float(near.sum()) > _MANY * out.numel():
                out = self._by_distances(*sides, state, forward)
            else:
                listed = near.nonzero().unbind(dim=1)
                out[listed] = self._listed(*sides, state, forward, listed)
        if same:
            out.diagonal(dim1=1, dim2=2).fill_(0.0)
        return out.clamp_(0.0, 4.0) if high > 4.0 or low < self.near else out

    def _opposite(
        self, index: int, left: _Side, right: _Side, opposite: Tensor, forward: Tensor
    ) -> Tensor:
        """The same for ``2 + 2 cosine``."""
        targets, sources = forward.shape
        if sources == 1:
            return opposite if targets == 1 else opposite.repeat(targets, 1, 1)
        sides = (left.root[index], right.root[index])
        upper = (left.plain[index + 1], right.plain[index + 1])
        return self._by_distances(*sides, *upper, opposite, forward).clamp_(0.0, 4.0)

    def _by_distances(
        self,
        root_a: Tensor,
        root_b: Tensor,
        upper_a: Tensor,
        upper_b: Tensor,
        state: Tensor,
        forward: Tensor,
    ) -> Tensor:
        """Deficits by ``|x - y|^2`` of inputs scaled to norm one: averages of positive terms."""
        unit_a, unit_b = (inverse(root.amax(dim=0)) for root in (root_a, root_b))
        a, b = _outer(root_a * unit_a, root_b * unit_b)
        distance = _mix(forward, torch.sub(a, b).square_().addcmul_(state, a * b))
        a, b = _outer(upper_a * unit_a, upper_b * unit_b)
        out = distance - (a - b) ** 2
        listed = (out < 0.1 * self.near * distance).nonzero().unbind(dim=1)
        out.mul_(inverse(a)).mul_(inverse(b))
        if listed[0].numel():
            out[listed] = self._listed(root_a, root_b, upper_a, upper_b, state, forward, listed)
        return out

    def _listed(
        self,
        root_a: Tensor,
        root_b: Tensor,
        upper_a: Tensor,
        upper_b: Tensor,
        state: Tensor,
        forward: Tensor,
        listed: tuple[Tensor, ...],
    ) -> Tensor:
        """Deficits of listed (target, left, right) as sums of positive terms."""
        out = torch.empty(listed[0].numel(), dtype=self.dtype, device=self.device)
        chunk = max(1, _GATHER // forward.shape[1])
        for start in range(0, out.numel(), chunk):
            v, i, j = (part[start : start + chunk] for part in listed)
            a = root_a[:, i] * inverse(upper_a[v, i])
            b = root_b[:, j] * inverse(upper_b[v, j])
            terms = (a - b) ** 2 + a * b * state[:, i, j]
            out[start : start + chunk] = (forward[v].T * terms).sum(dim=0)
        return out

    # --------------------------------------------------------------------------------- sizes
    def tile_size(
        self, inputs: int, threads: int, memory: float | None, fixed: float, small: bool = False
    ) -> int:
        """Inputs on a tile's side, so that each thread has one and it stays in its cache.

        ``memory`` is a cap in bytes, of which ``fixed`` are spoken for. Raises ValueError if not
        even tiles of one pair fit.
        """
        nodes = max([1, *self.stack.nodes])
        cached = _SERIAL if small else _CACHED
        cached = cached if self.device.type == "cpu" else _ON_GPU
        side = max(16, int(math.sqrt(cached / nodes)) // 16 * 16)
        side = min(side, max(16, -(-inputs // threads)))
        tiles = float(threads)
        while memory is not None and side > 1 and fixed + tiles * self._bytes(side, nodes) > memory:
            side = side // 2
        if memory is not None and fixed + tiles * self._bytes(side, nodes) > memory:
            needed = (fixed + tiles * self._bytes(1, nodes)) / 2**20
            raise ValueError(f"memory must be at least {needed:.1f} MiB for this kernel")
        return side

    def strip_width(self, side: int) -> int:
        """Columns of a strip: whole tiles, and 8 MiB at most unless one tile is more."""
        return side * max(1, min(16, _STRIP // (self.first.copies * side * side)))

    def _bytes(self, side: int, nodes: int) -> float:
        copies = self.first.copies
        series = max((getattr(dual, "terms", 0) for dual in self.duals), default=0)
        return 8.0 * (
            _BUFFERS * nodes * side**2
            + 2 * copies * side * (self.coordinates + 2 * self.strip_width(side))
            + 3 * series * nodes * side * len(self.duals)
        )


def _outer(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    return left[:, :, None], right[:, None, :]


def _mix(matrix: Tensor, state: Tensor) -> Tensor:
    """Averages over source nodes: (targets, sources) times (sources, left, right)."""
    if matrix.shape == (1, 1):
        return state * matrix[0, 0]
    shape = state.shape[1:]
    return (matrix @ state.reshape(state.shape[0], -1)).view(-1, *shape)
