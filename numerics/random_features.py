"""Random features through a dense core, and least squares on top: [B] Theorems 5.1 and 5.7.

The inner weights of the core's neurons are drawn and left alone, the outer ones are fitted, so
approximation is shown by construction. For a target ``f = E[a(w) sigma(<w, x> + b)]`` the error
of m features is at most ``(E[a^2 sigma^2] - |f|^2) / m`` (``expressivity.random_features``);
:class:`KernelTarget` is such a function in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from numerics.activations import Activation
from numerics.activations import activation as find_activation
from numerics.dense_core import Core, core
from numerics.masks import draw
from numerics.seeds import derive, generator

if TYPE_CHECKING:
    from theory.saliency import SaliencyModel

__all__ = [
    "ErrorCurve",
    "Fit",
    "KernelTarget",
    "RandomFeatures",
    "error_curve",
    "fit",
    "random_features",
]

Target = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class RandomFeatures:
    """``sigma(<w_j, x_K> + b_j)`` for m neurons on the inputs ``coordinates``.

    ``weights`` (m, k) and ``biases`` (m,), float64.
    """

    weights: Tensor
    biases: Tensor
    coordinates: Tensor
    activation: Activation

    def __call__(self, x: Tensor) -> Tensor:
        """Features of inputs (N, d): shape (N, m), float64. ValueError for another shape."""
        if x.ndim != 2 or x.shape[1] <= int(self.coordinates.max()):
            raise ValueError(f"x must have shape (N, d) with all coordinates, got {tuple(x.shape)}")
        z = x.double()[:, self.coordinates] @ self.weights.T + self.biases
        return self.activation.value(z)


def random_features(
    chosen: Core, activation: str | Activation = "erf", *, seed: int = 0, scale: float = 1.0,
    bias: float = 1.0,
) -> RandomFeatures:  # fmt: skip
    """Features on a core: weights ``N(0, scale^2)``, biases ``N(0, bias^2)`` (none for 0).

    Biases are parameters that no mask prunes; without them odd activations reach odd functions
    only. A neuron's numbers depend on the seed and its index alone. Raises ValueError for a
    non-positive scale, a negative bias or an unknown activation.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be positive, got {scale}")
    if not (math.isfinite(bias) and bias >= 0):
        raise ValueError(f"bias must be non-negative, got {bias}")
    numbers = generator(seed, "features").standard_normal((chosen.shape[0], chosen.inputs + 1))
    rows = torch.from_numpy(numbers)[chosen.neurons]
    return RandomFeatures(
        scale * rows[:, 1:], bias * rows[:, 0], chosen.coordinates, find_activation(activation)
    )


@dataclass(frozen=True)
class Fit:
    """Least squares on features: outer ``coefficients`` (m,), errors and conditioning.

    ``train`` and ``test`` are mean squared errors, ``condition`` is the ratio of the largest to
    the smallest singular value of the features (infinite if singular), ``rank`` how many
    singular values were used.
    """

    coefficients: Tensor
    train: float
    test: float
    condition: float
    rank: int


def _labels(name: str, value: Any, rows: int) -> Tensor:
    if not isinstance(value, Tensor) or tuple(value.shape) != (rows,) or value.is_complex():
        raise ValueError(f"{name} must be a real tensor of shape ({rows},)")
    if not torch.isfinite(value).all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    return value.double()


def fit(
    features: Tensor, y: Tensor, test_features: Tensor, test_y: Tensor,
    rcond: float | None = None,
) -> Fit:  # fmt: skip
    """Ridge-free least squares by the singular value decomposition, in float64.

    ``features`` (N, m) with labels (N,), the same for the test set. Singular values below
    ``rcond`` times the largest are dropped. The default ``1 / N`` is what N samples resolve:
    without it the fit is ridge-free too, but noise (and an inactive input is noise) is amplified
    along directions that the sample barely shows, by orders of magnitude for smooth features.
    With no features the prediction is 0. Raises ValueError for wrong shapes, NaN or infinity.
    """
    for name, value in (("features", features), ("test_features", test_features)):
        if not isinstance(value, Tensor) or value.ndim != 2 or len(value) == 0:
            raise ValueError(f"{name} must be a tensor of shape (N, m) with N >= 1")
        if not torch.isfinite(value).all():
            raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    if features.shape[1] != test_features.shape[1]:
        raise ValueError(f"test_features must have {features.shape[1]} columns")
    y, test_y = _labels("y", y, len(features)), _labels("test_y", test_y, len(test_features))
    if features.shape[1] == 0:
        empty = torch.zeros(0, dtype=torch.float64)
        return Fit(empty, float((y**2).mean()), float((test_y**2).mean()), 1.0, 0)
    left, values, right = torch.linalg.svd(features.double(), full_matrices=False)
    used = values > (1 / len(features) if rcond is None else rcond) * values[0]
    rank = int(used.sum())
    inverse = torch.where(used, 1 / values.clamp_min(1e-300), 0.0)
    coefficients = right.T @ (inverse * (left.T @ y))
    wide = features.shape[1] > features.shape[0]
    smallest = 0.0 if wide else float(values[-1])
    return Fit(
        coefficients,
        float(((features @ coefficients - y) ** 2).mean()),
        float(((test_features @ coefficients - test_y) ** 2).mean()),
        float(values[0]) / smallest if smallest > 0 else math.inf,
        rank,
    )


@dataclass(frozen=True)
class KernelTarget:
    """``f(x) = E[erf(<w, z> + b z_0) erf(<w, x_K> + b)]``, w and b standard normal.

    The arc-sine kernel between ``x`` and the anchor ``(z_0, z)``: ``(2/pi) asin(2 <x~, z~> /
    sqrt((1 + 2|x~|^2)(1 + 2|z~|^2)))`` with a leading one in ``x~`` (Williams 1997), the dual
    of erf with a bias. A Monte Carlo average of erf features with coefficients
    ``erf(<w, z> + b z_0)`` has this mean. ``anchor`` has length k + 1, ``coordinates`` (k,).
    Raises ValueError for lengths that do not fit.
    """

    anchor: tuple[float, ...]
    coordinates: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.anchor) != len(self.coordinates) + 1 or not self.coordinates:
            raise ValueError("anchor must be one longer than coordinates, which must not be empty")

    def _augmented(self, x: Tensor) -> Tensor:
        part = x.double()[:, list(self.coordinates)]
        return torch.cat((torch.ones(len(x), 1, dtype=torch.float64), part), dim=1)

    def __call__(self, x: Tensor) -> Tensor:
        """Values at inputs (N, d), float64, (N,)."""
        wide, z = self._augmented(x), torch.tensor(self.anchor, dtype=torch.float64)
        norm = torch.sqrt((1 + 2 * (wide**2).sum(dim=1)) * (1 + 2 * (z @ z)))
        return 2 / math.pi * torch.asin(2 * (wide @ z) / norm)

    def constant(self, samples: int = 200_000, seed: int = 0) -> tuple[float, float]:
        """``C = E[a^2 sigma^2] - |f|^2`` for standard normal inputs, and its standard error.

        The mean squared error of m Monte Carlo features is exactly ``C / m``, that of least
        squares at most this. By sampling weights and inputs; raises ValueError for few samples.
        """
        if samples < 2:
            raise ValueError(f"samples must be at least 2, got {samples}")
        rng, k = generator(seed, "kernel target"), len(self.coordinates)
        w = torch.from_numpy(rng.standard_normal((samples, k + 1)))
        x = torch.zeros(samples, max(self.coordinates) + 1, dtype=torch.float64)
        x[:, list(self.coordinates)] = torch.from_numpy(rng.standard_normal((samples, k)))
        a = torch.erf(w @ torch.tensor(self.anchor, dtype=torch.float64))
        terms = (a * torch.erf((w * self._augmented(x)).sum(dim=1))) ** 2 - self(x) ** 2
        return float(terms.mean()), float(terms.std()) / math.sqrt(samples)


@dataclass(frozen=True)
class ErrorCurve:
    """Test errors against width: ``errors``, ``cores`` and ``conditions``, (widths, draws).

    ``slope`` is the exponent of a power law in the width fitted to all logarithms by least
    squares, ``slope_error`` its standard error; ``core_slope`` the same in the core's size
    (draws without a core are left out of that).
    """

    widths: np.ndarray
    errors: np.ndarray
    cores: np.ndarray
    conditions: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean test error per width."""
        return np.asarray(self.errors.mean(axis=1))

    @property
    def slope(self) -> float:
        """Fitted exponent in the width."""
        return self._fitted(np.broadcast_to(self.widths[:, None], self.errors.shape))[0]

    @property
    def slope_error(self) -> float:
        """Standard error of :attr:`slope`."""
        return self._fitted(np.broadcast_to(self.widths[:, None], self.errors.shape))[1]

    @property
    def core_slope(self) -> tuple[float, float]:
        """Fitted exponent in the size of the core and its standard error."""
        return self._fitted(self.cores)

    def _fitted(self, sizes: np.ndarray) -> tuple[float, float]:
        there = (sizes > 0) & (self.errors > 0)
        x, y = np.log(sizes[there].astype(np.float64)), np.log(self.errors[there])
        if np.unique(x).size < 3:
            raise ValueError("widths must give at least three sizes for a slope")
        x = x - x.mean()
        slope = float(x @ y / (x @ x))
        residual = y - y.mean() - slope * x
        return slope, float(math.sqrt(residual @ residual / (x.size - 2) / (x @ x)))

    def to_text(self) -> str:
        """Widths, mean core sizes and mean errors as a plain table."""
        lines = [f"{'width':>8} {'core':>9} {'error':>11} {'condition':>10}"]
        for i, n in enumerate(self.widths):
            lines.append(
                f"{n:8d} {self.cores[i].mean():9.1f} {self.mean[i]:11.3e} "
                f"{np.median(self.conditions[i]):10.1e}"
            )
        return "\n".join(lines)

    __str__ = to_text


def error_curve(
    model: SaliencyModel, density: float, widths: Sequence[int], d: int,
    coordinates: Sequence[int], target: Target, *, activation: str | Activation = "erf",
    draws: int = 5, samples: int = 4000, test_samples: int = 4000, through: str = "core",
    seed: int = 0, scale: float = 1.0, bias: float = 1.0, rcond: float | None = None,
) -> ErrorCurve:  # fmt: skip
    """Test error of least squares on random features of sparse networks, against width.

    Parameters
    ----------
    model, density, d: masks of shape (n, d) are drawn from the model (exact count, sources on a
        grid, targets random), one per width and draw.
    coordinates: inputs K of the core, distinct indices below d.
    target: function of inputs (N, d), standard normal, to labels (N,).
    through: ``"core"`` uses the fully connected neurons with all other weights zero, ``"all"``
        every neuron with its own kept weights (what an inactive input defeats all the same).
    samples, test_samples: inputs to fit on and to measure on (fresh ones per draw).
    scale, bias: standard deviations of the features' weights and biases.
    rcond: cut of singular values, see :func:`fit`.

    Raises ValueError for an unknown ``through``, empty widths, sizes out of range and labels
    that are not finite.
    """
    if through not in ("core", "all"):
        raise ValueError(f"through must be 'core' or 'all', got {through!r}")
    if len(widths) == 0 or draws < 1 or samples < 1 or test_samples < 1:
        raise ValueError("widths, draws, samples and test_samples must be positive")
    shape = (len(widths), int(draws))
    errors, conditions = np.empty(shape), np.empty(shape)
    cores = np.empty(shape, np.int64)
    for i, n in enumerate(widths):
        for j in range(int(draws)):
            key = derive(seed, "error curve", n, j)
            mask = draw(model, int(n), d, density, key).mask
            chosen = core(mask, coordinates)
            numbers = generator(key, "inputs").standard_normal((samples + test_samples, d))
            x = torch.from_numpy(numbers)
            y = target(x)
            h = _features(mask, chosen, through, x, activation, key, scale, bias)
            found = fit(h[:samples], y[:samples], h[samples:], y[samples:], rcond)
            errors[i, j], conditions[i, j] = found.test, found.condition
            cores[i, j] = chosen.size
    return ErrorCurve(np.asarray(widths, np.int64), errors, cores, conditions)


def _features(
    mask: Tensor, chosen: Core, through: str, x: Tensor, activation: str | Activation, key: int,
    scale: float, bias: float,
) -> Tensor:  # fmt: skip
    if through == "core":
        return random_features(chosen, activation, seed=key, scale=scale, bias=bias)(x)
    n, d = mask.shape
    everything = Core(torch.arange(n), torch.arange(d), (n, d))
    dense = random_features(everything, activation, seed=key, scale=scale, bias=bias)
    masked = RandomFeatures(dense.weights * mask, dense.biases, dense.coordinates, dense.activation)
    return masked(x)
