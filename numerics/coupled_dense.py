"""The dense network's latents on a batch, as populations of neurons that were never wired up.

Layer by layer, J neurons: weights of the first layer themselves (its sources are the finitely many
input coordinates), then ``z ~ N(0, S_l)`` with S_l the second moment of the population below;
downwards the output weights themselves, then ``b ~ N(0, B_l)`` over inputs and outputs with
B_l the second moment of ``psi_o = s'(z) b_o`` in the population above. Nothing ties a neuron's z to
its b: in a wide network they are independent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from numerics.coupled_conditioning import Covariance, Noise, covariance
from numerics.latent_batch import LatentBatch
from numerics.sampling import numpy_dtype
from numerics.seeds import Key, derive, generator, torch_generator

__all__ = ["DenseLatents", "Draws", "dense_latents"]


class Draws:
    """Random numbers of one replicate, for the populations made of some of its blocks of neurons.

    A block draws the same numbers whether it stands alone or with others, so that populations of
    different sizes can share them. Edges get streams of their own.
    """

    def __init__(
        self,
        seed: int,
        replicate: int,
        members: tuple[int, ...],
        size: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.seed, self.members, self.size = derive(seed, "replicate", replicate), members, size
        self.device, self.dtype = device, dtype
        self._kind = numpy_dtype(dtype)

    @property
    def neurons(self) -> int:
        """Neurons of a population."""
        return self.size * len(self.members)

    def rows(
        self,
        name: str,
        layer: int,
        columns: int,
        draw: Callable[[np.random.Generator, tuple[int, ...]], object],
    ) -> Tensor:
        """Numbers (J, columns), a block of neurons after the other."""
        parts = [
            np.asarray(draw(generator(self.seed, name, layer, k), (self.size, columns)))
            for k in self.members
        ]
        return torch.from_numpy(np.concatenate(parts)).to(self.device, self.dtype)

    def normal(self, name: str, layer: int, columns: int) -> Tensor:
        """Standard normal numbers (J, columns)."""
        return self.rows(name, layer, columns, lambda rng, shape: rng.standard_normal(shape))

    def uniform(self, name: str, layer: int, columns: int) -> Tensor:
        """Uniform numbers in [0, 1), (J, columns)."""
        return self.rows(name, layer, columns, lambda rng, shape: rng.random(shape))

    def edges(self, name: str, layer: int) -> tuple[Noise, Noise, Noise]:
        """Three streams of standard normal numbers, drawn on the device."""
        first, second, third = (self._stream(name, layer, k) for k in range(3))
        return first, second, third

    def _stream(self, name: str, layer: int, index: int) -> Noise:
        key: tuple[Key, ...] = (name, layer, index, *self.members)
        if self.device.type == "cuda":
            source = torch_generator(self.seed, *key, device=self.device)
            return lambda n, m: torch.randn(
                n, m, generator=source, device=self.device, dtype=self.dtype
            )
        rng, kind = generator(self.seed, *key), self._kind
        return lambda n, m: torch.from_numpy(rng.standard_normal((n, m), dtype=kind))


@dataclass
class DenseLatents:
    """Dense latents of all hidden layers; lists are indexed from layer 1.

    Attributes: ``first`` weights of the first layer (J, d); ``shift`` its biases (J, 1) or None;
    ``last`` output weights (J, outputs); ``z``, ``h`` and ``slope`` (J, N); ``b``
    (J, outputs, N); ``S[l]`` covariance of z in layer l + 2 (from layer l + 1), ``B[l]`` of b in
    layer l + 1 (from layer l + 2), over outputs and inputs together.
    """

    first: Tensor
    shift: Tensor | None
    last: Tensor
    z: list[Tensor]
    h: list[Tensor]
    slope: list[Tensor]
    b: list[Tensor]
    S: list[Covariance]
    B: list[Covariance]

    def gradients(self, layer: int) -> Tensor:
        """``psi_o = s'(z) b_o`` of hidden layer ``layer`` from 1, (J, outputs, N)."""
        return self.slope[layer - 1][:, None] * self.b[layer - 1]

    def psi(self, layer: int, residual: Tensor) -> Tensor:
        """``s'(z) sum_o b_o r_o``, (J, N), for a residual (N, outputs)."""
        return torch.einsum("jon,no->jn", self.b[layer - 1], residual) * self.slope[layer - 1]


def dense_latents(batch: LatentBatch, draws: Draws) -> DenseLatents:
    """Latents of all hidden layers of a wide dense network on the batch."""
    dtype, device, depth = draws.dtype, draws.device, batch.depth
    x = batch.x.to(device, dtype)
    first = draws.rows("first", 1, batch.widths[0], batch.sampler)
    z = [batch.scale(1) * (first @ x.T)]
    shift = None
    if batch.biases[0] > 0.0:
        shift = batch.biases[0] ** 0.5 * draws.normal("shift", 1, 1)
        z[0] += shift
    h, slope, S = [], [], []
    for layer in range(1, depth + 1):
        h.append(batch.activation.value(z[-1]))
        slope.append(batch.activation.slope(z[-1], h[-1]))
        if layer < depth:
            S.append(covariance(h[-1], batch.gains[layer], batch.biases[layer]))
            normal = draws.normal("z", layer + 1, batch.n)
            z.append(normal[:, : S[-1].rank] @ S[-1].root.T)
    last = draws.rows("last", depth + 1, batch.outputs, batch.sampler)
    b = [batch.gains[-1] ** 0.5 * last[:, :, None].expand(-1, -1, batch.n)]
    B: list[Covariance] = []
    for layer in range(depth, 1, -1):
        psi = (slope[layer - 1][:, None] * b[0]).flatten(1)
        B.insert(0, covariance(psi, batch.gains[layer - 1]))
        normal = draws.normal("b", layer - 1, batch.n * batch.outputs)
        drawn = normal[:, : B[0].rank] @ B[0].root.T
        b.insert(0, drawn.view(-1, batch.outputs, batch.n))
    return DenseLatents(first, shift, last, z, h, slope, b, S, B)
