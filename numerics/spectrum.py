"""The spectrum of a kernel matrix, and the four summaries that [A] (Appendix D) reads off it.

Eigenvalues are in descending order, in float64. A kernel matrix is positive semi-definite;
eigenvalues that are negative by no more than rounding are set to zero, others are refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "Decay",
    "SpectrumReport",
    "check_kernel",
    "decay_exponent",
    "effective_rank",
    "eigenvalues",
    "energy",
    "entropy_rank",
    "gap",
    "rounding_floor",
    "spectrum_report",
]

_SYMMETRY = 1e-6
"""Largest asymmetry, relative to the largest entry, that passes for rounding (of float32)."""


def check_kernel(kernel: Any, name: str = "kernel") -> Tensor:
    """A square symmetric matrix of finite numbers as a float64 tensor, symmetrised exactly.

    Accepts tensors (the device is kept) and arrays. Raises ValueError naming the argument for
    another shape, an empty matrix, numbers that are not finite, and asymmetry beyond 1e-6 of the
    largest entry.
    """
    try:
        matrix = torch.as_tensor(kernel)
        if matrix.is_complex():
            raise TypeError
        matrix = matrix.detach().to(torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be a matrix of real numbers") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.numel() == 0:
        raise ValueError(f"{name} must be a square matrix, got shape {tuple(matrix.shape)}")
    if not bool(torch.isfinite(matrix).all()):
        raise ValueError(f"{name} must hold finite numbers; it holds NaN or infinity")
    size = float(matrix.abs().max())
    asymmetry = float((matrix - matrix.T).abs().max())
    if asymmetry > _SYMMETRY * size:
        raise ValueError(f"{name} must be symmetric, entries differ by {asymmetry:.3g}")
    return (matrix + matrix.T) / 2.0


def rounding_floor(values: NDArray[np.float64], dtype: torch.dtype = torch.float64) -> float:
    """Below ``N · eps · λ_1`` an eigenvalue of a matrix computed in ``dtype`` is rounding."""
    largest = float(np.abs(values).max())
    return len(values) * torch.finfo(dtype).eps * largest


def _dtype_of(kernel: Any) -> torch.dtype:
    """Precision that the entries were computed in, as far as their type tells."""
    low = (torch.float16, torch.bfloat16, torch.float32)
    dtype = torch.as_tensor(kernel).dtype
    return dtype if dtype in low else torch.float64


def eigenvalues(kernel: Any) -> NDArray[np.float64]:
    """Eigenvalues of a kernel matrix (N, N), descending, none negative.

    Raises ValueError as :func:`check_kernel` does, and for an eigenvalue below minus the square
    root of machine precision (of the matrix's own dtype) times the largest: no kernel then.
    """
    matrix = check_kernel(kernel)
    values = torch.linalg.eigvalsh(matrix).flip(0).cpu().numpy()
    tolerance = math.sqrt(torch.finfo(_dtype_of(kernel)).eps)
    if values[-1] < -tolerance * max(values[0], -values[-1]):
        raise ValueError(
            f"kernel must be positive semi-definite, its least eigenvalue is {values[-1]:.3g} "
            f"at a largest of {values[0]:.3g}"
        )
    return np.maximum(values, 0.0)


def _spectrum(values: Any) -> NDArray[np.float64]:
    """Eigenvalues that a caller gave: non-negative, descending, not all zero."""
    try:
        spectrum = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("values must be a vector of eigenvalues") from None
    if spectrum.ndim != 1 or spectrum.size == 0:
        raise ValueError(f"values must be a vector of eigenvalues, got shape {spectrum.shape}")
    if not np.isfinite(spectrum).all() or spectrum.min() < 0.0 or spectrum.max() == 0.0:
        raise ValueError("values must be finite, non-negative and not all zero")
    return np.sort(spectrum)[::-1]


class Decay(NamedTuple):
    """A fit ``λ_k ≈ c k^-α`` over the ranks ``first .. last`` (from 1).

    ``error`` is the standard error of least squares, which takes the scatter about the line for
    independent noise. Ordered eigenvalues are neither, so it says how straight the line is; for
    how much α varies between networks, repeat with other seeds.
    """

    exponent: float
    error: float
    constant: float
    first: int
    last: int
    r_squared: float


def decay_exponent(values: Any, first: int = 1, last: int | None = None) -> Decay:
    """α of ``λ_k ∝ k^-α`` by least squares of log λ_k on log k ([A] Appendix D).

    ``values`` are eigenvalues (any order); ``first`` and ``last`` the ranks that count, from 1,
    ``last=None`` the last above :func:`rounding_floor` in float64. Raises ValueError for fewer
    than three ranks and for an eigenvalue of zero among them.
    """
    spectrum = _spectrum(values)
    if last is None:
        last = int((spectrum > rounding_floor(spectrum)).sum())
    if not 1 <= first <= last <= len(spectrum) or last - first < 2:
        raise ValueError(
            f"first and last must enclose at least three of {len(spectrum)} ranks "
            f"(with eigenvalues above rounding), got {first} and {last}"
        )
    part = spectrum[first - 1 : last]
    if part[-1] <= 0.0:
        raise ValueError(f"last must leave out eigenvalues of zero, got {last}")
    x, y = np.log(np.arange(first, last + 1)), np.log(part)
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    residual = dy - slope * dx
    error = math.sqrt(float(residual @ residual) / (len(x) - 2) / float(dx @ dx))
    scatter = float(dy @ dy)
    explained = 1.0 - float(residual @ residual) / scatter if scatter > 0.0 else 1.0
    constant = math.exp(float(y.mean() - slope * x.mean()))
    return Decay(-slope, error, constant, first, last, explained)


def effective_rank(values: Any) -> float:
    """``trace / λ_1``, between 1 and N ([A] Appendix D; the intrinsic dimension)."""
    spectrum = _spectrum(values)
    return float(spectrum.sum() / spectrum[0])


def entropy_rank(values: Any) -> float:
    """``exp(-Σ p_k log p_k)`` with ``p_k = λ_k / trace`` (Roy and Vetterli 2007), in [1, N]."""
    spectrum = _spectrum(values)
    p = spectrum[spectrum > 0.0] / spectrum.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def gap(values: Any) -> float:
    """``λ_1 / λ_2``; infinite where λ_2 is zero. ValueError for a single eigenvalue."""
    spectrum = _spectrum(values)
    if len(spectrum) < 2:
        raise ValueError("values must hold at least two eigenvalues for a gap")
    return float(spectrum[0] / spectrum[1]) if spectrum[1] > 0.0 else math.inf


def energy(values: Any, k: int = 5) -> float:
    """Share of the trace in the ``k`` largest eigenvalues ([A] Appendix D takes 5).

    Raises ValueError unless ``1 ≤ k ≤ N``.
    """
    spectrum = _spectrum(values)
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= len(spectrum):
        raise ValueError(f"k must be an integer from 1 to {len(spectrum)}, got {k!r}")
    return float(spectrum[:k].sum() / spectrum.sum())


@dataclass(frozen=True)
class SpectrumReport:
    """The summaries of one kernel matrix; see the functions of the same names.

    ``eigenvalues`` descend; ``energies[k]`` is the share of the k largest. ``decay`` is None
    where fewer than three eigenvalues stand above rounding.
    """

    eigenvalues: NDArray[np.float64]
    decay: Decay | None
    effective_rank: float
    entropy_rank: float
    gap: float
    energies: dict[int, float]

    @property
    def trace(self) -> float:
        """Sum of the eigenvalues."""
        return float(self.eigenvalues.sum())

    @property
    def condition(self) -> float:
        """``λ_1 / λ_N``; infinite where λ_N is zero."""
        least = float(self.eigenvalues[-1])
        return float(self.eigenvalues[0]) / least if least > 0.0 else math.inf


def spectrum_report(
    kernel: Any, top: tuple[int, ...] = (5,), first: int = 1, last: int | None = None
) -> SpectrumReport:
    """All summaries of a kernel matrix (N, N).

    ``top`` are the k of the energies, ``first`` and ``last`` the ranks of the decay fit. Raises
    ValueError as :func:`eigenvalues`, :func:`energy` and :func:`decay_exponent` do.
    """
    values = eigenvalues(kernel)
    positive = int((values > rounding_floor(values, _dtype_of(kernel))).sum())
    decay = None
    if last is not None or positive - first >= 2:
        decay = decay_exponent(values, first, positive if last is None else last)
    return SpectrumReport(
        values,
        decay,
        effective_rank(values),
        entropy_rank(values),
        gap(values) if len(values) > 1 else math.inf,
        {k: energy(values, k) for k in top},
    )
