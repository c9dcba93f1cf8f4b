"""First layer: weighted Gram matrices of inputs, as cosines or deficits, tile by tile.

Inputs are scaled by powers of two first, so that neither 1e-160 nor 1e160 loses a digit. Gram
matrices are accumulated in float64 whatever the kernel's dtype. Pairs that are nearly parallel
or nearly opposite at some node are computed again from differences, because ``2 - 2 cosine``
has lost its digits there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from numerics.kernel_stack import StackLayer
from numerics.matrix_input import FloatArray, as_matrix

__all__ = ["FirstLayer", "GivenGram", "Inputs", "WeightedGram", "inverse", "read_gram"]

NEAR = 1e-4
"""Deficits below this are computed from differences: from cosines they have 1e-12 precision."""
ROUNDING = 1e-9
"""Relative room for the rounding of a Gram matrix that somebody else has computed."""
_GATHER = 1 << 21
"""Entries gathered at once when pairs are computed from differences."""


class Inputs(NamedTuple):
    """Inputs scaled to entries of size one: ``values * scale[:, None]`` are the originals."""

    values: Tensor
    scale: Tensor

    @classmethod
    def read(cls, value: Any, name: str, device: torch.device) -> Inputs:
        """Inputs from a real matrix (inputs, coordinates).

        Raises ValueError for another shape, NaN or infinity.
        """
        matrix = torch.as_tensor(np.asarray(value) if not isinstance(value, Tensor) else value)
        if matrix.ndim != 2 or 0 in matrix.shape:
            raise ValueError(
                f"{name} must be a non-empty matrix (inputs, coordinates), got shape "
                f"{tuple(matrix.shape)}"
            )
        if matrix.is_complex() or matrix.dtype == torch.bool:
            raise ValueError(f"{name} must be real, got {matrix.dtype}")
        matrix = matrix.detach().to(device, torch.float64)
        if not bool(torch.isfinite(matrix).all()):
            raise ValueError(f"{name} must be finite, but holds NaN or infinity")
        largest = matrix.abs().amax(dim=1)
        exponent = torch.where(largest > 0, torch.frexp(largest).exponent, 0).to(torch.float64)
        # in two steps: 2^-1074 has no float64 inverse
        half = torch.floor(exponent / 2.0)
        scaled = matrix * torch.exp2(-half)[:, None] * torch.exp2(half - exponent)[:, None]
        return cls(scaled, torch.exp2(half) * torch.exp2(exponent - half))

    def __len__(self) -> int:
        return int(self.values.shape[0])


class WeightedGram:
    """``G_k(x, x') = sum_j P[k, j] x_j x'_j`` for weights P of shape (nodes, coordinates).

    Coordinates with equal columns of P share one plain Gram matrix where that is cheaper.
    """

    def __init__(self, weights: FloatArray, coordinates: int, device: torch.device) -> None:
        if weights.shape[1] == 1 and coordinates > 1:
            weights = np.repeat(weights / coordinates, coordinates, axis=1)
        self.weights = torch.from_numpy(np.ascontiguousarray(weights)).to(device)
        columns, inverse = np.unique(weights, axis=1, return_inverse=True)
        inverse = inverse.reshape(-1)
        self.nodes = int(weights.shape[0])
        groups = columns.shape[1]
        self.grouped = groups == 1 or (groups <= coordinates // 8 and self.nodes > 1)
        if self.grouped:
            self.order = torch.from_numpy(np.argsort(inverse, kind="stable")).to(device)
            self.sizes = np.bincount(inverse, minlength=groups).tolist()
            self.columns = torch.from_numpy(np.ascontiguousarray(columns)).to(device)

    def diagonal(self, values: Tensor) -> Tensor:
        """``G(x, x)``, shape (nodes, inputs)."""
        return self.weights @ (values * values).T

    def left(self, values: Tensor) -> Tensor:
        """What a left tile (inputs, coordinates) needs to know, reused for all right tiles."""
        if self.grouped:
            return values if len(self.sizes) == 1 else values[:, self.order]
        return (values[None] * self.weights[:, None, :]).flatten(0, 1)

    def tile(self, left: Tensor, right: Tensor) -> Tensor:
        """``G`` for a prepared left tile and a plain right one, (nodes, left, right), float64."""
        if not self.grouped:
            return (left @ right.T).view(self.nodes, -1, right.shape[0])
        if len(self.sizes) > 1:
            right = right[:, self.order]
        pieces = zip(left.split(self.sizes, dim=1), right.split(self.sizes, dim=1), strict=True)
        grams = [a @ b.T for a, b in pieces]
        if self.nodes == 1 and len(grams) == 1:
            return (grams[0] * self.columns[0, 0])[None]
        return torch.tensordot(self.columns, torch.stack(grams), dims=1)


def _listed(mask: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Indices (node, left, right) of the true entries of a mask."""
    index = mask.nonzero()
    if index.numel():
        yield index[:, 0], index[:, 1], index[:, 2]


class FirstLayer:
    """Deficits or cosines at the targets of the first layer, before its biases.

    ``left`` and ``right`` are scaled inputs; ``deviation`` of each has shape (nodes, inputs).
    """

    def __init__(self, layer: StackLayer, coordinates: int, device: torch.device) -> None:
        self.gram = WeightedGram(layer.forward, coordinates, device)
        self.tangent: WeightedGram | None = None
        self.rows: Tensor | None = None
        if not layer.shared:
            rows, inverse = np.unique(layer.tangent, axis=0, return_inverse=True)
            self.tangent = WeightedGram(rows, coordinates, device)
            self.rows = torch.from_numpy(inverse.reshape(-1)).to(device)

    @property
    def copies(self) -> int:
        """How many copies of a left tile are held."""
        return 1 if self.gram.grouped else self.gram.nodes

    def left(self, values: Tensor) -> Tensor:
        """What a left tile needs to know."""
        return self.gram.left(values)

    def deviation_of(self, values: Tensor) -> Tensor:
        """Root of ``gain int V x^2``, shape (nodes, inputs), of scaled inputs."""
        return self.gram.diagonal(values).sqrt()

    def tangent_diagonal(self, values: Tensor, deviation: Tensor, scale: Tensor) -> Tensor:
        """``gain int T x^2``, shape (nodes, inputs), at the given scale."""
        if self.tangent is None or self.rows is None:
            return deviation**2
        return self.tangent.diagonal(values)[self.rows] * scale**2

    def strip(
        self, left: Tensor, values: Tensor, right: Tensor, dot: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Gram matrices ``gain int V x x'`` and ``gain int T x x'``, (nodes, left, right).

        ``left`` is what :meth:`left` made of ``values``. The second is None where T is V, or
        without ``dot``, and has one node for each different row of T.
        """
        tangent = None
        if self.tangent is not None and dot:
            tangent = self.tangent.tile(self.tangent.left(values), right)
        return self.gram.tile(left, right), tangent

    def tangent_nodes(self, gram: Tensor) -> Tensor:
        """A Gram matrix of :meth:`strip` for each node."""
        return gram if self.rows is None else gram[self.rows]

    def cosine(self, gram: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Cosines from Gram matrices (nodes, left, right), in [-1, 1]."""
        out = gram * inverse(a)[:, :, None]
        return out.mul_(inverse(b)[:, None, :]).clamp_(-1.0, 1.0)

    def deficit(
        self,
        cosine: Tensor,
        left: Tensor,
        right: Tensor,
        a: Tensor,
        b: Tensor,
        diagonal: bool,
        precise: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """``2 - 2 cosine`` (overwritten), and ``2 + 2 cosine`` if a pair is nearly opposite.

        ``left`` and ``right`` are plain here; ``diagonal`` says that they are the same inputs,
        whose deficits are 0; without ``precise``, nothing is computed from differences.
        """
        r = cosine.mul_(-2.0).add_(2.0)
        if diagonal:
            r.diagonal(dim1=1, dim2=2).fill_(2.0)
        low, high = (float(end) for end in torch.aminmax(r))
        opposite = None
        if precise and (low < NEAR or high > 4.0 - NEAR):
            weights = self.gram.weights
            for mask, sign in ((r < NEAR, 1.0), (r > 4.0 - NEAR, -1.0)):
                for k, i, j in _listed(mask):
                    exact = self._exact(weights, left, right, a, b, (k, i, j), sign)
                    if sign > 0:
                        r[k, i, j] = exact
                        continue
                    opposite = 4.0 - r
                    opposite[k, i, j] = exact
                    r[k, i, j] = 4.0 - exact
        if diagonal:
            r.diagonal(dim1=1, dim2=2).fill_(0.0)
            if opposite is not None:
                opposite.diagonal(dim1=1, dim2=2).fill_(4.0)
        return r, opposite

    def _exact(
        self,
        weights: Tensor,
        left: Tensor,
        right: Tensor,
        a: Tensor,
        b: Tensor,
        index: tuple[Tensor, Tensor, Tensor],
        sign: float,
    ) -> Tensor:
        """Deficits of listed pairs from the differences of the normalised inputs."""
        node, i, j = index
        out = torch.empty(node.numel(), dtype=torch.float64, device=left.device)
        inverse_a, inverse_b = inverse(a), inverse(b)
        chunk = max(1, _GATHER // left.shape[1])
        for start in range(0, node.numel(), chunk):
            k, x, y = (part[start : start + chunk] for part in (node, i, j))
            gap = left[x] * inverse_a[k, x, None] - sign * right[y] * inverse_b[k, y, None]
            out[start : start + chunk] = (weights[k] * gap * gap).sum(dim=1)
        return out


def inverse(deviation: Tensor) -> Tensor:
    """1 / deviation, and 0 for a side without variance: its cosine is then 0."""
    return torch.where(deviation > 0, 1.0 / deviation.clamp(min=1e-300), 0.0)


class GivenGram:
    """Stands in for :class:`FirstLayer` where ``<x, x'>/d`` is given instead of the inputs.

    ``cross`` has shape (left inputs, right inputs), ``squares`` hold ``<x, x>/d`` of either side.
    The "values" of inputs are their indices, shape (inputs, 1); a right index counts on from the
    last left one, unless both sides are the ``same``. The first layer must treat all coordinates
    alike.
    """

    copies = 1

    def __init__(
        self, layer: StackLayer, cross: Tensor, squares: tuple[Tensor, Tensor], same: bool
    ) -> None:
        self.forward = torch.from_numpy(layer.forward).to(cross.device)
        self.own = torch.from_numpy(layer.tangent).to(cross.device)
        self.cross, self.count = cross, 0 if same else cross.shape[0]
        self.squares = squares[0] if same else torch.cat(squares)
        self.shared = layer.shared

    def left(self, values: Tensor) -> Tensor:
        """The indices."""
        return values

    def deviation_of(self, values: Tensor) -> Tensor:
        """As for inputs."""
        return (self.forward * self.squares[values[:, 0]]).sqrt()

    def tangent_diagonal(self, values: Tensor, deviation: Tensor, scale: Tensor) -> Tensor:
        """As for inputs."""
        return self.own * self.squares[values[:, 0]]

    def _block(self, left: Tensor, right: Tensor) -> Tensor:
        return self.cross[left[:, 0]][:, right[:, 0] - self.count]

    def strip(
        self, left: Tensor, values: Tensor, right: Tensor, dot: bool
    ) -> tuple[Tensor, Tensor | None]:
        """As for inputs, the first of them without the weights."""
        block = self.cross[left[:, 0]][:, right[:, 0] - self.count]
        tangent = None if self.shared or not dot else self.own[:, :, None] * block
        return block[None], tangent

    def tangent_nodes(self, gram: Tensor) -> Tensor:
        """As for inputs."""
        return gram

    def cosine(self, gram: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """As for inputs; the same at all nodes, because all of them see the same."""
        root = self.forward.sqrt()[:, :, None]
        out = gram * (root * inverse(a)[:, :, None])
        return out.mul_(root * inverse(b)[:, None, :]).clamp_(-1.0, 1.0)

    def deficit(
        self,
        cosine: Tensor,
        left: Tensor,
        right: Tensor,
        a: Tensor,
        b: Tensor,
        diagonal: bool,
        precise: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """As for inputs, from ``|x -+ x'|^2``, which is exact for equal and opposite inputs."""
        x, y = (self.squares[side[:, 0]] for side in (left, right))
        block, _ = self.strip(left, left, right, False)
        sums = x[:, None] + y[None, :]
        apart = (x.sqrt()[:, None] - y.sqrt()[None, :]) ** 2
        unit = inverse(x.sqrt())[:, None] * inverse(y.sqrt())[None, :]
        dead = unit == 0.0
        ends = []
        for sign in (-2.0, 2.0):
            end = ((sums + sign * block[0] - apart) * unit).clamp_(0.0, 4.0)
            ends.append(end.masked_fill_(dead, 2.0).repeat(a.shape[0], 1, 1))
        return ends[0], ends[1]


def read_gram(
    gram: Any, squares: tuple[Any, Any] | None, device: torch.device
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A Gram matrix and the squared norms of its two sides, checked.

    Raises ValueError for entries that are not finite, a matrix that is not symmetric positive
    semidefinite (``squares`` None) or breaks the Cauchy-Schwarz inequality, beyond rounding.
    """
    cross = torch.from_numpy(as_matrix(gram, "gram")).to(device)
    if squares is None:
        if cross.shape[0] != cross.shape[1]:
            raise ValueError(f"gram must be square without squares, got {tuple(cross.shape)}")
        own = cross.diagonal()
        largest = float(own.max())
        if float((cross - cross.T).abs().max()) > ROUNDING * largest:
            raise ValueError("gram must be symmetric")
        lifted = cross + torch.diag(torch.full_like(own, ROUNDING * largest))
        if largest < 0.0 or (largest > 0.0 and int(torch.linalg.cholesky_ex(lifted).info)):
            raise ValueError("gram must be positive semidefinite")
        if largest == 0.0 and bool(cross.any()):
            raise ValueError("gram must be positive semidefinite")
        return cross, (own.clamp(min=0.0), own.clamp(min=0.0))
    sides = []
    for k, count in enumerate(cross.shape):
        side = torch.as_tensor(squares[k], dtype=torch.float64, device=device).reshape(-1)
        if side.numel() != count or not bool((torch.isfinite(side) & (side >= 0.0)).all()):
            raise ValueError(f"squares[{k}] must hold {count} non-negative numbers")
        sides.append(side)
    bound = (sides[0].sqrt()[:, None] * sides[1].sqrt()[None, :]) * (1.0 + ROUNDING)
    if bool((cross.abs() > bound).any()):
        raise ValueError("gram must satisfy gram[i, j]^2 <= squares[0][i] squares[1][j]")
    return cross, (sides[0], sides[1])
