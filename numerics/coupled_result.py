"""What a coupled kernel returns: means over replicates, their errors, and the bias of finite J."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from numerics.coupled_conditioning import blocks
from numerics.coupled_pruned import Kernels
from numerics.latent_threshold import Thresholds

__all__ = ["CoupledResult", "Running"]

_BLOCK = 1 << 18
"""So many numbers of a kernel are brought up to date at once: kernels of many inputs are large."""


@dataclass(frozen=True)
class CoupledResult:
    """Kernels between M inputs, float64, on the device of the work.

    Attributes:
        ntk: tangent kernel, survivors train; (M, M), the mean over outputs, or (M, M, O, O).
        per_layer: shares of the L + 1 layers in it, with a leading dimension.
        nngp: second moment of the pruned network's outputs, mean over outputs, (M, M). Where masks
            come from the dense outputs (random, or ``output`` of the batch) it is the one given
            those, averaged over them; for a given ``residual`` there is nothing that ties the two.
        error: standard errors of "ntk", "per_layer", "nngp" (tensors of their shapes), "densities"
            and "thresholds" (tuples), from the spread over replicates.
        bias: estimate of what a finite number of samples adds to "ntk", "per_layer" and "nngp":
            the mean at half the samples minus the mean, which is the bias where it falls like
            1/samples; empty if it was not asked for. ``bias_error``: its standard errors.
        densities, thresholds: of each layer, means over replicates. Thresholds are in units of
            scores of the summed loss; -inf for a layer kept dense, NaN for "random".
        traces: mean of the NTK's diagonal (over inputs and outputs) in each replicate; ``half``:
            at half the samples.
        samples, replicates, notes.
    """

    ntk: Tensor
    nngp: Tensor
    per_layer: Tensor
    error: dict[str, Tensor | tuple[float, ...]]
    bias: dict[str, Tensor]
    bias_error: dict[str, Tensor]
    densities: tuple[float, ...]
    thresholds: tuple[float, ...]
    traces: tuple[float, ...]
    half: tuple[float, ...]
    samples: int
    notes: tuple[str, ...] = ()

    @property
    def replicates(self) -> int:
        """Number of independent solutions."""
        return len(self.traces)

    @property
    def relative_error(self) -> float:
        """Standard error of the mean of the NTK's diagonal, relative to it.

        0 for a kernel that vanishes in all replicates, whose error does too; see ``notes`` for why.
        """
        mean, error = _mean(self.traces)
        return _ratio(error, mean)

    @property
    def relative_bias(self) -> tuple[float, float]:
        """Bias of the mean of the NTK's diagonal, relative to it, and its standard error.

        Where the kernel vanishes both are 0 if it does so at half the samples too, else infinite.
        ValueError if the kernel was computed with ``bias=False``.
        """
        if not self.half:
            raise ValueError("bias must be True for an estimate of it")
        mean = _mean(self.traces)[0]
        gap, error = _mean([h - t for h, t in zip(self.half, self.traces, strict=True)])
        return _ratio(gap, mean), _ratio(error, mean)


def _ratio(part: float, mean: float) -> float:
    if mean > 0.0:
        return part / mean
    return 0.0 if part == 0.0 else math.inf


def _mean(values: list[float] | tuple[float, ...]) -> tuple[float, float]:
    """Mean and its standard error."""
    mean = sum(values) / len(values)
    gaps = [v - mean for v in values]
    return mean, math.hypot(*gaps) / math.sqrt((len(values) - 1) * len(values))


@dataclass
class _Moments:
    """Mean and sum of squared deviations of tensors that arrive one by one."""

    count: int = 0
    mean: Tensor = field(default_factory=lambda: torch.zeros(()))
    squares: Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(self, value: Tensor) -> None:
        self.count += 1
        if self.count == 1:
            self.mean = value.clone(memory_format=torch.contiguous_format)
            self.squares = torch.zeros_like(self.mean)
            return
        mean, squares, flat = self.mean.view(-1), self.squares.view(-1), value.reshape(-1)
        for part in blocks(len(flat), _BLOCK):
            gap = flat[part] - mean[part]
            mean[part].add_(gap, alpha=1.0 / self.count)
            squares[part].addcmul_(gap, gap, value=(self.count - 1) / self.count)

    def error(self) -> Tensor:
        """Standard errors of the mean, in the place of the sums: the last thing to ask for."""
        return self.squares.div_(self.count * (self.count - 1)).sqrt_()


class Running:
    """Replicates, summed up as they come."""

    def __init__(self) -> None:
        self._kernels = {name: _Moments() for name in ("ntk", "per_layer", "nngp")}
        self._gaps = {name: _Moments() for name in self._kernels}
        self._densities: list[tuple[float, ...]] = []
        self._thresholds: list[tuple[float, ...]] = []
        self._traces: list[float] = []
        self._half: list[float] = []

    def add(self, whole: Kernels, level: Thresholds) -> None:
        """One replicate."""
        _each(whole, self._kernels)
        self._traces.append(_trace(whole.shares))
        self._densities.append(level.densities)
        self._thresholds.append(level.tau)

    def add_gap(self, gap: Kernels) -> None:
        """What the replicate added last has more at half the samples."""
        _each(gap, self._gaps)
        self._half.append(self._traces[-1] + _trace(gap.shares))

    def result(self, samples: int, notes: tuple[str, ...]) -> CoupledResult:
        """Means and errors of what was added; at least two replicates."""
        kernels = self._kernels
        error: dict[str, Tensor | tuple[float, ...]] = {
            name: each.error() for name, each in kernels.items()
        }
        densities = [_mean(each) for each in zip(*self._densities, strict=True)]
        # A layer kept dense has no threshold, in any replicate.
        levels = [
            _mean(each) if all(map(math.isfinite, each)) else (each[0], 0.0)
            for each in zip(*self._thresholds, strict=True)
        ]
        error["densities"] = tuple(e for _, e in densities)
        error["thresholds"] = tuple(e for _, e in levels)
        gaps = {name: each for name, each in self._gaps.items() if each.count}
        return CoupledResult(
            kernels["ntk"].mean,
            kernels["nngp"].mean,
            kernels["per_layer"].mean,
            error,
            {name: each.mean for name, each in gaps.items()},
            {name: each.error() for name, each in gaps.items()},
            tuple(m for m, _ in densities),
            tuple(m for m, _ in levels),
            tuple(self._traces),
            tuple(self._half),
            samples,
            notes,
        )


def _each(kernels: Kernels, moments: dict[str, _Moments]) -> None:
    moments["ntk"].add(kernels.shares.sum(dim=0))
    moments["per_layer"].add(kernels.shares)
    moments["nngp"].add(kernels.nngp)


def _trace(shares: Tensor) -> float:
    """Mean over inputs (and outputs) of the diagonal of the sum of the shares."""
    diagonal = torch.diagonal(shares, dim1=1, dim2=2)
    if shares.ndim == 5:
        diagonal = torch.diagonal(diagonal, dim1=1, dim2=2)
    return float(diagonal.sum(dim=0).mean())
