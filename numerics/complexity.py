"""Complexity ``y^T K^{-1} y`` of labels under a kernel, alignment, and bound against truth.

Labels are +1 and -1, float64 of shape (N,). Solves go through
:func:`numerics.regression.kernel_regression`, so the jitter that a nearly singular kernel needed
and the condition number are always part of the answer. A complexity depends on the scale of the
kernel, as does the bound that [B] prints; ``normalised`` does not, and is what two kernels should
be compared by (:mod:`theory.generalisation`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import beta as beta_law
from torch import Tensor

from numerics.regression import kernel_regression
from numerics.seeds import generator
from numerics.spectrum import check_kernel
from theory.generalisation import KernelBound, crossing, expected_complexity, kernel_bound

__all__ = [
    "BoundAgainstTruth",
    "Complexity",
    "NoiseCurve",
    "alignment",
    "bound_against_truth",
    "check_labels",
    "complexity",
    "curves_cross",
    "error_interval",
    "linear_floor",
    "noise_curve",
    "noisy_labels",
]

Array = NDArray[np.float64]


def check_labels(y: Any, samples: int | None = None, name: str = "y") -> Array:
    """Labels +1 and -1 as float64 of shape (N,), both of them present.

    Raises TypeError for booleans, text and complex numbers, and ValueError for another shape or
    length, values other than +1 and -1, and labels of one class.
    """
    given = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold the numbers +1 and -1, got dtype {given.dtype}")
    labels = given.astype(np.float64)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {labels.shape}")
    if samples is not None and labels.size != samples:
        raise ValueError(f"{name} must have {samples} entries, got {labels.size}")
    if not np.isin(labels, (-1.0, 1.0)).all():
        raise ValueError(f"{name} must hold the labels +1 and -1 only")
    if np.unique(labels).size == 1:
        raise ValueError(f"{name} must hold both classes, but all labels are {labels[0]:+.0f}")
    return labels


@dataclass(frozen=True)
class Complexity:
    """What labels cost under a kernel.

    Attributes: ``value``, ``y^T K^{-1} y``; ``trace`` of K; ``trace_inverse``, ``tr K^{-1}``, the
    complexity of random labels; ``samples`` N; ``jitter`` that was added to the diagonal (0 if
    none) and ``condition`` number of what was solved; ``residual``, the largest error of
    ``K alpha = y``.
    """

    value: float
    trace: float
    trace_inverse: float
    samples: int
    jitter: float
    condition: float
    residual: float

    @property
    def normalised(self) -> float:
        """``y^T K^{-1} y tr K / N^2``, free of the kernel's scale; the bound is twice its root."""
        return self.value * self.trace / self.samples**2

    @property
    def excess(self) -> float:
        """``y^T K^{-1} y / tr K^{-1}``: below 1 the labels are simpler than random ones."""
        return self.value / self.trace_inverse


def complexity(kernel: Any, y: Any, *, jitter: float | None = None) -> Complexity:
    """Complexity of real labels y (N,) under a kernel matrix (N, N).

    ``jitter`` as in :func:`numerics.regression.kernel_regression`. Raises ValueError for a kernel
    that is not symmetric, finite and positive definite (naming its least eigenvalue), and for
    labels of another length or not finite.
    """
    K = check_kernel(kernel)
    labels = torch.as_tensor(y, dtype=torch.float64, device=K.device)
    if labels.shape != (len(K),):
        raise ValueError(f"y must have shape ({len(K)},), got {tuple(labels.shape)}")
    eye = torch.eye(len(K), dtype=K.dtype, device=K.device)
    solved = kernel_regression(K, torch.cat((labels[:, None], eye), dim=1), jitter=jitter)
    return Complexity(
        value=float(labels @ solved.coefficients[:, 0]),
        trace=float(K.diagonal().sum()),
        trace_inverse=float(solved.coefficients[:, 1:].diagonal().sum()),
        samples=len(K),
        jitter=solved.jitter,
        condition=solved.condition,
        residual=float((K @ solved.coefficients[:, 0] - labels).abs().max()),
    )


def noisy_labels(y: Any, share: float, draws: int = 1, seed: int = 0) -> Array:
    """Labels of which a share is replaced by fair coin tosses, float64 of shape (draws, N).

    Each label is replaced with probability ``share``, independently, so half of the replaced ones
    stay right. The tosses are the same for every share (a label replaced at one share is replaced
    at every larger one), so a curve over shares is smooth. Raises like :func:`check_labels`, and
    ValueError for a share outside [0, 1].
    """
    labels = check_labels(y)
    share = _share(share)
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise ValueError(f"draws must be a positive integer, got {draws!r}")
    rng = generator(seed, "label noise")
    when = rng.random((draws, labels.size))
    toss = np.where(rng.random((draws, labels.size)) < 0.5, -1.0, 1.0)
    return np.where(when < share, toss, labels)


def _share(share: Any) -> float:
    number = float(share)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"share must lie in [0, 1], got {share!r}")
    return number


@dataclass(frozen=True)
class NoiseCurve:
    """Complexity against the share of random labels.

    Attributes: ``shares`` (S,); ``values`` (S, draws), one complexity per draw of the tosses;
    ``expected`` (S,), the exact mean over tosses; ``clean``, the complexity at share 0.
    """

    shares: Array
    values: Array
    expected: Array
    clean: Complexity

    @property
    def mean(self) -> Array:
        """Mean over draws, (S,)."""
        return np.asarray(self.values.mean(axis=1))

    @property
    def error(self) -> Array:
        """Standard error of the mean over draws, (S,); NaN for a single draw."""
        draws = self.values.shape[1]
        if draws == 1:
            return np.full(len(self.shares), math.nan)
        return np.asarray(self.values.std(axis=1, ddof=1) / math.sqrt(draws))


def noise_curve(
    kernel: Any,
    y: Any,
    shares: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    draws: int = 10,
    seed: int = 0,
    *,
    jitter: float | None = None,
) -> NoiseCurve:
    """[B] Fig. 2 for one kernel, in the same form (reconstructed): complexity against label noise.

    The kernel stays as it is: a mask that saw the noisy labels needs a new kernel per share. The
    exact mean over tosses is ``theory.generalisation.expected_complexity``. Raises like
    :func:`complexity` and :func:`noisy_labels`.
    """
    K = check_kernel(kernel)
    labels = check_labels(y, len(K))
    at = np.array([_share(share) for share in shares])
    if at.size == 0:
        raise ValueError("shares must hold at least one number")
    clean = complexity(K, labels, jitter=jitter)
    all_draws = np.concatenate([noisy_labels(labels, p, draws, seed) for p in at])
    columns = torch.from_numpy(all_draws).T.to(K.device)
    solved = kernel_regression(K, columns, jitter=jitter)
    values = (columns * solved.coefficients).sum(dim=0).reshape(at.size, draws)
    expected = np.array([expected_complexity(clean.value, clean.trace_inverse, p) for p in at])
    return NoiseCurve(at, values.cpu().numpy(), expected, clean)


def curves_cross(
    first: Complexity, second: Complexity, *, normalised: bool = False
) -> float | None:
    """The share of random labels at which two kernels' expected complexities meet, or None.

    ``normalised`` compares ``y^T K^{-1} y tr K`` instead, which does not depend on the kernels'
    scales. Raises ValueError for different sample sizes.
    """
    if first.samples != second.samples:
        raise ValueError(f"second must be of {first.samples} samples, got {second.samples}")
    pairs = [
        tuple(each.trace * v if normalised else v for v in (each.value, each.trace_inverse))
        for each in (first, second)
    ]
    return crossing((pairs[0][0], pairs[0][1]), (pairs[1][0], pairs[1][1]))


def alignment(kernel: Any, y: Any, *, centred: bool = True) -> float:
    """Kernel-target alignment ``<K, y y^T> / (|K| |y y^T|)`` in Frobenius norms, in [-1, 1].

    ``centred`` removes means in feature space from both first (Cortes, Mohri and Rostamizadeh
    2012); without it a constant part of K counts as alignment with unbalanced labels. Raises
    ValueError for a kernel or labels that are not right, and where centring leaves nothing.
    """
    K = check_kernel(kernel)
    labels = torch.from_numpy(check_labels(y, len(K))).to(K.device)
    if centred:
        K = K - K.mean(dim=0) - K.mean(dim=1)[:, None] + K.mean()
        labels = labels - labels.mean()
    size = float(K.norm()) * float(labels @ labels)
    if not size > 0.0:
        raise ValueError("kernel must not be constant")
    return float(labels @ K @ labels) / size


class LinearFloor(NamedTuple):
    """What a kernel has beyond its linear part: ``least`` eigenvalue lambda of
    ``K - d^{-1} X diag(D) X^T``, ``floor = d lambda / (s N)`` for the path-density bound.
    """

    least: float
    floor: float


def linear_floor(kernel: Any, x: Any, path: Any) -> LinearFloor:
    """The floor that :func:`theory.path_density_optimum.linear_bound` may add to path densities.

    ``kernel`` (N, N), inputs ``x`` (N, d), path densities ``path`` (d,); s is the largest
    eigenvalue of ``X^T X / N``. A negative ``least`` beyond rounding says that the path densities
    are no lower bound of this kernel; the floor is then 0. Raises ValueError for shapes that do
    not fit.
    """
    K = check_kernel(kernel)
    inputs = torch.as_tensor(x, dtype=torch.float64, device=K.device)
    D = torch.as_tensor(path, dtype=torch.float64, device=K.device)
    if inputs.ndim != 2 or len(inputs) != len(K):
        raise ValueError(f"x must have shape ({len(K)}, d), got {tuple(inputs.shape)}")
    if D.shape != inputs.shape[1:]:
        raise ValueError(f"path must have shape ({inputs.shape[1]},), got {tuple(D.shape)}")
    d = inputs.shape[1]
    least = float(torch.linalg.eigvalsh(K - (inputs * D) @ inputs.T / d)[0])
    most = float(torch.linalg.eigvalsh(inputs.T @ inputs)[-1])
    return LinearFloor(least, d * max(0.0, least) / most)


class Interval(NamedTuple):
    """An estimate with its confidence limits."""

    value: float
    low: float
    high: float


def error_interval(errors: int, count: int, confidence: float = 0.95) -> Interval:
    """Share of errors with its exact (Clopper-Pearson) confidence interval.

    Raises ValueError unless ``0 <= errors <= count``, ``count >= 1`` and confidence in (0, 1).
    """
    if count < 1 or not 0 <= errors <= count:
        raise ValueError(f"errors must lie between 0 and count >= 1, got {errors} of {count}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence!r}")
    tail = 0.5 * (1.0 - confidence)
    low = 0.0 if errors == 0 else float(beta_law.ppf(tail, errors, count - errors + 1))
    high = 1.0 if errors == count else float(beta_law.ppf(1 - tail, errors + 1, count - errors))
    return Interval(errors / count, low, high)


@dataclass(frozen=True)
class BoundAgainstTruth:
    """The bound beside what happened on a test set.

    Attributes: ``bound``; ``loss``, mean of ``min(1, |f - y|)`` on the test set with a normal
    interval; ``error``, share of wrong signs with its exact interval; ``complexity``.
    """

    bound: KernelBound
    loss: Interval
    error: Interval
    complexity: Complexity

    @property
    def looseness(self) -> float:
        """The bound over the measured loss that it bounds."""
        return self.bound.total / self.loss.value if self.loss.value > 0.0 else math.inf


def bound_against_truth(
    kernel: Any,
    y: Any,
    cross: Any,
    y_test: Any,
    *,
    delta: float = 0.05,
    unit: float = 1.0,
    jitter: float | None = None,
    confidence: float = 0.95,
) -> BoundAgainstTruth:
    """Kernel regression on a split: its bound and its test loss.

    ``kernel`` (N, N) and ``cross`` (N_test, N) blocks; labels are +1 and -1. The bound
    holds only if neither kernel nor ``unit`` was made from ``y``
    (:func:`theory.generalisation.hypotheses`). Raises like :func:`complexity`, `check_labels`.
    """
    K = check_kernel(kernel)
    labels = check_labels(y, len(K))
    found = complexity(K, labels, jitter=jitter)
    solved = kernel_regression(K, labels, jitter=jitter)
    alpha = solved.coefficients
    target = check_labels(y_test, name="y_test")
    outputs = solved.predict(cross).cpu().numpy()
    if outputs.shape != target.shape:
        raise ValueError(f"cross must have {target.size} rows, got {len(outputs)}")
    fitted = (K @ alpha).cpu().numpy()
    training = float(np.minimum(1.0, np.abs(fitted - labels)).mean())
    norm = max(0.0, float(alpha @ K @ alpha))
    bound = kernel_bound(norm, found.trace, len(K), delta, unit=unit, training=training)
    losses = np.minimum(1.0, np.abs(outputs - target))
    spread = float(losses.std(ddof=1)) / math.sqrt(target.size)
    z = math.sqrt(2.0) * float(torch.erfinv(torch.tensor(confidence, dtype=torch.float64)))
    mean = float(losses.mean())
    wrong = int((outputs * target <= 0.0).sum())
    return BoundAgainstTruth(
        bound,
        Interval(mean, mean - z * spread, mean + z * spread),
        error_interval(wrong, target.size, confidence),
        found,
    )
