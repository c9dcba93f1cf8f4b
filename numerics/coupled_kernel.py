"""The coupled kernel: kernels of infinitely wide networks pruned by what their gradients say.

SNIP, |GraSP| and Magnitude look at the weights, so below the surface of a deep network pruned
signals and dense ones stay correlated: the mask that a neuron's inputs pass saw the dense
network's states and gradients, which were built from the very weights that survive. The kernel
therefore follows both at once. A neuron has dense latents on the batch that made the masks,
(z, b), and pruned ones on the inputs of the kernel, (z', b'); populations of J neurons per layer
stand for the layers, and no network is drawn. With P and V of :mod:`numerics.coupled_edges`,

    Theta = sum_l gain_l E_ij[P_ij psi'_i psi'_i^T o h'_j h'_j^T],    psi' = s'(z') b'.

Widths of the batch enter only where one threshold weighs the layers against each other.

>>> from numerics.latent_batch import LatentBatch
>>> x, r = torch.eye(3, 8), torch.tensor([[1.0], [-1.0], [0.5]])
>>> batch = LatentBatch(x, (8, 100, 100, 1), "relu", gain=2.0, residual=r)
>>> found = CoupledKernel(batch, "snip", 0.2, samples=64, replicates=4)(torch.ones(2, 8))
>>> found.ntk.shape, found.per_layer.shape
(torch.Size([2, 2]), torch.Size([3, 2, 2]))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from numerics.coupled_dense import Draws, dense_latents
from numerics.coupled_masks import CRITERIA, Rule, masks
from numerics.coupled_memory import tiles
from numerics.coupled_notes import Notes
from numerics.coupled_pruned import Evaluation, Kernels, kernels
from numerics.coupled_result import CoupledResult, Running
from numerics.device import resolve
from numerics.empirical_ntk import OUTPUTS
from numerics.latent_batch import LatentBatch
from numerics.latent_threshold import SCOPES, Thresholds, layer_numbers
from numerics.matrix_input import as_real_array
from numerics.ranking import checked_density
from numerics.sampling import numpy_dtype
from numerics.seeds import generator

__all__ = ["COUPLINGS", "CRITERIA", "VARIANCES", "CoupledKernel"]

COUPLINGS = ("full", "none")
VARIANCES = ("saliency", "graphon")


class CoupledKernel:
    """The kernel of a wide network pruned by a criterion on a batch; call it on inputs.

    Survivors train. Biases are neither pruned nor scored; they train too. The first layer has as
    many sources as the inputs have coordinates, and its mask is drawn as it is. So for masks that
    see no data the closed forms, ``rho v^L Theta`` of Magnitude and ``rho^(L+1) Theta`` of Random
    with Theta the dense kernel, are limits of many coordinates: with two of them, ReLU and
    orthogonal inputs the kernel is more than twice that.

    Under one threshold, or at low densities, few of the J weights that stand for an output's (or of
    the J d of the first layer) may be kept. The one on the boundary is kept at random, so that
    densities are met on average; ``notes`` says where fewer than 50 are too coarse a mask.

    Args:
        batch: inputs, architecture and residual; see :class:`LatentBatch`. A random residual is
            drawn anew in each replicate, so the kernel is then the average over it.
        criterion: "snip"; "grasp", SNIP at the Gauss-Newton residual; "magnitude";
            "random".
        density: share of weights kept, in (0, 1]: of all layers that are not in ``keep``
            together (scope "global") or of each; or a sequence with one for each layer (scope
            "layer").
        scope: "global", one threshold, or "layer".
        keep: layers from 1 (input) to L + 1 (output) that stay dense.
        independent: layers from 1 whose masks are put aside for random ones of the same density,
            independent of everything; to see what a layer's mask does to the kernel.
        samples: neurons J in each population, even. None: the least power of two that is at
            least 1024 and 4 times the latents of a neuron, inputs times outputs.
        replicates: independent solutions, at least two; errors come from their spread.
        coupling: "none" draws pruned latents independent of the dense ones, with the same
            covariance: what one gets from second moments alone.
        variance: "graphon" (with ``coupling="none"``) gives the same masks fresh weights, V = P:
            what the mask graphon alone determines. Both are there to be compared with.
        bias: whether to estimate the bias of finite J, from populations of half the size on the
            same numbers; takes half as long again.
        memory: cap in MiB on what a call adds, its result included.
        seed, device, dtype: of the random numbers and the work, float64 or float32. Sums over
            edges draw on the device, so CPU and GPU agree within the error only.

    Raises ValueError, naming the argument, for unknown words, densities out of range, J that is
    not above the number of latents or odd, and a memory cap that is too small (at the call).
    """

    def __init__(
        self,
        batch: LatentBatch,
        criterion: str = "snip",
        density: float | Sequence[float] = 0.2,
        *,
        scope: str = "global",
        keep: Sequence[int] = (),
        independent: Sequence[int] = (),
        samples: int | None = None,
        replicates: int = 16,
        coupling: str = "full",
        variance: str = "saliency",
        bias: bool = True,
        memory: float = 4096.0,
        seed: int = 0,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        if not isinstance(batch, LatentBatch):
            raise TypeError(f"batch must be a LatentBatch, got {type(batch).__name__}")
        _word("criterion", criterion, CRITERIA)
        _word("scope", scope, SCOPES)
        _word("coupling", coupling, COUPLINGS)
        _word("variance", variance, VARIANCES)
        if variance == "graphon" and coupling == "full":
            raise ValueError(
                "variance must be 'saliency' where coupling is 'full': fresh weights are coupled "
                "to nothing"
            )
        numpy_dtype(dtype)
        if isinstance(memory, bool) or not isinstance(memory, int | float) or not memory > 0.0:
            raise ValueError(f"memory must be positive, in MiB, got {memory!r}")
        self.batch, self.seed, self.dtype, self.memory = batch, seed, dtype, float(memory)
        self.device = resolve(device)
        kept = _layers("keep", keep, batch)
        if len(kept) == batch.layers:
            raise ValueError("keep must leave at least one layer to be pruned")
        self.rule = Rule(
            criterion,
            _density(density, scope, batch),
            scope,
            kept,
            variance == "graphon",
            _layers("independent", independent, batch),
        )
        self.coupled = coupling == "full"
        self.halves = bool(bias)
        self.latents = batch.n * (batch.outputs if batch.depth > 1 else 1)
        self.samples = self._samples(samples)
        if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 2:
            raise ValueError(f"replicates must be an integer of at least 2, got {replicates!r}")
        self.replicates = replicates

    def __call__(self, x: Any = None, *, outputs: str = "trace-mean") -> CoupledResult:
        """Kernels between inputs ``x`` (M, d); None is the batch itself.

        ``outputs``: "trace-mean", the mean over outputs of ``Theta_oo``, or "full", all pairs of
        outputs, (M, M, outputs, outputs). Raises ValueError for inputs of another shape or not
        finite, and where the work does not fit in ``memory``.
        """
        _word("outputs", outputs, OUTPUTS)
        inputs = self._inputs(x)
        full = outputs == "full"
        fit = tiles(
            self.batch, self.samples, len(inputs), full, self.dtype, self.device, self.memory,
            halves=self.halves,
        )  # fmt: skip
        how = Evaluation(inputs, full, self.coupled, self.rule.redrawn, fit.rows, fit.pairs)
        running = Running()
        notes = Notes(self.batch, self.rule, self.samples)
        for replicate in range(self.replicates):
            residual, unit, output = self._residual(replicate)
            how = replace(how, output=output)
            whole, level = self._solve(replicate, (0, 1), residual, how, notes)
            running.add(whole, replace(level, tau=tuple(unit * tau for tau in level.tau)))
            if self.halves:
                running.add_gap(self._gap(replicate, whole, residual, how))
        return running.result(self.samples, (*self.batch.notes, *notes.all()))

    # ---------------------------------------------------------------------------- internals
    def _gap(
        self, replicate: int, whole: Kernels, residual: Tensor | None, how: Evaluation
    ) -> Kernels:
        """Mean over the halves of the populations, less the whole; in its place."""
        for each in (whole.shares, whole.nngp):
            each.neg_()
        for k in (0, 1):
            part, _ = self._solve(replicate, (k,), residual, how, None)
            whole.shares.add_(part.shares, alpha=0.5)
            whole.nngp.add_(part.nngp, alpha=0.5)
            del part  # not beside the next one
        return whole

    def _solve(
        self,
        replicate: int,
        members: tuple[int, ...],
        residual: Tensor | None,
        how: Evaluation,
        notes: Notes | None,
    ) -> tuple[Kernels, Thresholds]:
        size = self.samples // 2
        draws = Draws(self.seed, replicate, members, size, self.device, self.dtype)
        latents = dense_latents(self.batch, draws)
        layers = masks(self.batch, self.rule, latents, residual, draws)
        if notes is not None:
            notes.latents(latents)
            notes.thresholds(layers.thresholds)
        found = kernels(self.batch, latents, layers, draws, how)
        for each in (found.shares, found.nngp):
            if not all(bool(torch.isfinite(end)) for end in torch.aminmax(each)):
                raise ValueError(
                    f"x, gain and activation must give a kernel finite in {self.dtype}"
                )
        return found, layers.thresholds

    def _residual(self, replicate: int) -> tuple[Tensor | None, float, Tensor | None]:
        """What takes the residual's place, of size one, the factor that was taken out, and the
        outputs that it comes from, if it does.
        """
        batch, criterion = self.batch, self.rule.criterion
        if criterion not in ("snip", "grasp"):
            return None, 1.0, None
        output = batch.output
        if batch.given is None:
            output = batch.draw_output(generator(self.seed, "residual", replicate))
            residual = batch.residual_of(output)
        else:
            residual = batch.given
        chosen = batch.scored_residual(residual, output, criterion)
        unit = float(chosen.abs().max())
        return (chosen / unit).to(self.device, self.dtype), unit, output

    def _inputs(self, x: Any) -> Tensor:
        if x is None:
            return self.batch.x.to(self.device, self.dtype)
        d = self.batch.widths[0]
        inputs = x if isinstance(x, Tensor) else torch.as_tensor(as_real_array(x, "x"))
        if inputs.ndim != 2 or inputs.shape[1] != d or not len(inputs) or inputs.is_complex():
            raise ValueError(f"x must have shape (M, {d}) with M ≥ 1, got {tuple(inputs.shape)}")
        moved = inputs.to(self.device, self.dtype)
        if not bool(torch.isfinite(moved).all()):
            raise ValueError("x must be finite; it holds NaN or infinity")
        return moved

    def _samples(self, samples: int | None) -> int:
        least = self.latents * (2 if self.halves else 1)
        if samples is None:
            return 1 << (max(1024, 4 * self.latents) - 1).bit_length()
        if isinstance(samples, bool) or not isinstance(samples, int) or samples % 2 or samples < 4:
            raise ValueError(f"samples must be an even integer of at least 4, got {samples!r}")
        if samples <= least:
            raise ValueError(
                f"samples must exceed {least}, {'twice ' * self.halves}the number of a neuron's "
                f"latents ({self.latents}), got {samples}: else dense latents determine pruned ones"
            )
        return samples


def _word(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, got {value!r}")


def _density(value: Any, scope: str, batch: LatentBatch) -> float | tuple[float, ...]:
    if isinstance(value, np.ndarray | Tensor) and value.ndim == 1:
        value = value.tolist()
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    values = [checked_density(each) for each in (value if listed else [value])]
    if listed and (scope != "layer" or len(values) != batch.layers):
        raise ValueError(
            f"density must be one number, or {batch.layers} (one per layer) with scope 'layer'; "
            f"got {value!r}"
        )
    return tuple(values) if listed else values[0]


def _layers(name: str, value: Sequence[int], batch: LatentBatch) -> tuple[int, ...]:
    return layer_numbers(name, value, batch.layers)
