"""The pruned network's latents and its kernels, given the dense latents that made the masks.

Upwards ``z'`` given z, downwards ``b'`` given b, each by :mod:`numerics.coupled_conditioning`; the
ends of the network, which are finite, weight by weight. Signals from below and from above never
meet in a mean. A neuron's b tells about the weights that leave it, which would move ``z'`` of
the layer above by ``E_j[V h'_j b_j^T] B^{-1} psi_i``; but masks depend on b through ``|<psi, h>|``
alone, so the joint law of b and ``z'`` is the same for -b and this mean vanishes. In the same way
``E_i[V psi'_i z_i^T]``, which is odd in b of the layer above, keeps z out of the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from numerics.coupled_conditioning import blocks, covariance, given_dense
from numerics.coupled_dense import DenseLatents, Draws
from numerics.coupled_edges import Kept
from numerics.coupled_masks import Layers
from numerics.latent_batch import LatentBatch

__all__ = ["Evaluation", "Kernels", "kernels"]


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated and how: inputs (M, d), all outputs or their mean, which coupling, and
    how many rows and pairs of inputs are treated at once. ``output`` (N, outputs) is what the
    dense network gives where its residual makes the masks, else None.
    """

    x: Tensor
    full: bool
    coupled: bool
    redrawn: bool
    rows: int
    pairs: int
    output: Tensor | None = None


@dataclass(frozen=True)
class Kernels:
    """Shares of the layers (L + 1, M, M) or (L + 1, M, M, O, O), and the second moment of the
    outputs, mean over outputs, (M, M).
    """

    shares: Tensor
    nngp: Tensor


def kernels(
    batch: LatentBatch, latents: DenseLatents, layers: Layers, draws: Draws, how: Evaluation
) -> Kernels:
    """Kernels of one population."""
    dense = latents
    h, slope = _forward(batch, dense, layers, draws, how)
    J, M, depth = draws.neurons, len(how.x), batch.depth
    last = _end_weights(batch, depth + 1, dense.last, layers.last, draws, how)
    nngp = _outputs(batch, dense, h[-1], last, how)
    blocked = (batch.outputs, batch.outputs) if how.full else ()
    shares = torch.zeros(batch.layers, M, M, *blocked, dtype=torch.float64, device=h[-1].device)
    _output_share(shares[-1], batch, layers.last, h[-1], how)
    b = batch.gains[-1] ** 0.5 * last[:, :, None].expand(-1, -1, M)
    for layer in range(depth, 1, -1):
        edges, gain = layers.hidden[layer - 2], batch.gains[layer - 1]
        psi = slope[layer - 1][:, None] * b
        bias = batch.biases[layer - 1]
        _share(shares[layer - 1], h[layer - 1], psi, edges.rows, gain, bias, how)
        b = given_dense(
            dense.gradients(layer).flatten(1),
            psi.flatten(1),
            partial(edges.rows, by_source=True),
            dense.b[layer - 2].flatten(1),
            dense.B[layer - 2],
            gain,
            draws.edges("backward", layer),
            coupled=how.coupled,
            size=how.rows,
        ).view(J, batch.outputs, M)

    def first(block: slice) -> Kept:
        return Kept(layers.first[block], layers.first[block])

    psi = slope[0][:, None] * b
    _share(shares[0], how.x.T, psi, first, batch.gains[0], batch.biases[0], how)
    return Kernels(shares, nngp)


def _outputs(
    batch: LatentBatch, dense: DenseLatents, h: Tensor, last: Tensor, how: Evaluation
) -> Tensor:
    """Second moment of the pruned outputs, mean over outputs, (M, M).

    ``C_o = gain E_j[w_o'^2 h' h'^T]`` unless the masks know the dense outputs f. Given those of all
    outputs q the pruned one o has mean ``sum_q R_oq S^{-1} f_q`` and covariance
    ``C_o - sum_q R_oq S^{-1} R_oq^T``, with S the covariance of one f_q, which are independent,
    and ``R_oq = gain E_j[w_o' w_q h' h^T]``; where R depends on f that does not average to C. Masks
    couple the outputs: h' of a neuron depends on all weights that it sends to them, so that R_oq
    for q != o does not vanish, though only ``R_oo`` holds the bias.
    """
    scale, bias = batch.gains[-1] / len(h), batch.biases[-1]
    weighted = h * last.square().mean(dim=1, keepdim=True).sqrt()
    total = (weighted.T @ weighted).double().mul_(scale).add_(bias)
    if how.output is None or not how.coupled:
        return total
    inverse = covariance(dense.h[-1], batch.gains[-1], bias).inverse.double()
    solved = inverse.T @ how.output.to(inverse)  # S^{-1/2} f, (rank, outputs)
    sent = (dense.last[:, :, None] * dense.h[-1][:, None]).flatten(1)  # w_q h, (J, outputs N)
    for o in range(batch.outputs):
        crossed = ((h * last[:, o, None]).T @ sent).double().mul_(scale)
        R = crossed.view(len(how.x), batch.outputs, batch.n)
        R[:, o] += bias
        R = R @ inverse
        mean = torch.einsum("mqk,kq->m", R, solved)
        spread = R.flatten(1)
        total += torch.outer(mean, mean).sub_(spread @ spread.T).div_(batch.outputs)
    return total


def _end_weights(
    batch: LatentBatch, layer: int, weights: Tensor, mask: Tensor, draws: Draws, how: Evaluation
) -> Tensor:
    """Surviving weights of the first or last layer.

    Uncoupled, signs are drawn anew, which keeps their squares; redrawn, the weights are.
    """
    if how.redrawn:
        return mask * draws.rows("redrawn", layer, mask.shape[1], batch.sampler)
    kept = mask * weights
    if not how.coupled:
        kept *= (draws.uniform("signs", layer, mask.shape[1]) < 0.5).to(kept.dtype) * 2 - 1
    return kept


def _forward(
    batch: LatentBatch, dense: DenseLatents, layers: Layers, draws: Draws, how: Evaluation
) -> tuple[list[Tensor], list[Tensor]]:
    """States and slopes of all hidden layers on the inputs, each (J, M)."""
    first = _end_weights(batch, 1, dense.first, layers.first, draws, how)
    z = batch.scale(1) * (first @ how.x.T)
    if dense.shift is not None:
        alone = batch.biases[0] ** 0.5 * draws.normal("shift alone", 1, 1)
        z += dense.shift if how.coupled else alone
    h, slope = [], []
    for layer in range(1, batch.depth + 1):
        h.append(batch.activation.value(z))
        slope.append(batch.activation.slope(z, h[-1]))
        if layer < batch.depth:
            z = given_dense(
                dense.h[layer - 1],
                h[-1],
                layers.hidden[layer - 1].rows,
                dense.z[layer],
                dense.S[layer - 1],
                batch.gains[layer],
                draws.edges("forward", layer + 1),
                bias=batch.biases[layer],
                coupled=how.coupled,
                size=how.rows,
            )
    return [how.x, *h], slope


def _output_share(
    out: Tensor, batch: LatentBatch, mask: Tensor, h: Tensor, how: Evaluation
) -> None:
    """``gain E_j[m_jo h h^T]`` to ``out``: mean over outputs, or on their diagonal."""
    scale, bias = batch.gains[-1] / len(h), batch.biases[-1]
    if not how.full:
        part = h * mask.mean(dim=1, keepdim=True).sqrt()
        out.copy_(part.T @ part).mul_(scale).add_(bias)
        return
    for o in range(mask.shape[1]):
        part = h * mask[:, o, None]
        out[:, :, o, o].copy_(part.T @ h).mul_(scale).add_(bias)


def _share(
    out: Tensor,
    sources: Tensor,
    psi: Tensor,
    rows: Callable[[slice], Kept],
    gain: float,
    bias: float,
    how: Evaluation,
) -> None:
    """``gain E_ij[P_ij psi_i psi_i'^T o h_j h_j'^T]`` and the bias's ``bias E_i[psi_i psi_i'^T]``.

    Added to ``out`` (M, M) or (M, M, O, O), zeros. ``sources`` (sources, M), ``psi`` (targets, O,
    M), ``rows`` gives P of a block of targets.
    """
    J, outputs, M = psi.shape
    a, b = torch.triu_indices(M, M, device=psi.device)
    for block in blocks(J, how.rows):
        P, own = rows(block).P, psi[block]
        for part in blocks(len(a), how.pairs):
            reached = P @ (sources[:, a[part]] * sources[:, b[part]])
            reached = reached.mul_(gain / sources.shape[0]).add_(bias)
            left, right = own[:, :, a[part]], own[:, :, b[part]]
            if how.full:
                left = (left * reached[:, None]).permute(2, 1, 0)
                out[a[part], b[part]] += (left @ right.permute(2, 0, 1)).double()
            else:
                out[a[part], b[part]] += ((left * right).sum(dim=1) * reached).sum(dim=0).double()
    out /= J if how.full else J * outputs
    for row in range(M):  # the other half, in place
        upper = out[row, row + 1 :]
        out[row + 1 :, row] = upper.transpose(-1, -2) if how.full else upper
