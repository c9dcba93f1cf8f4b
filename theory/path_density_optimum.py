"""Which path density serves a linear target best, and how far a criterion is from it.

For labels ``y = X beta`` and a kernel ``K >= d^{-1} X diag(D) X^T`` the complexity obeys
``y^T K^{-1} y <= d sum_i beta_i^2 / D_i`` (``generalisation.path_bound``). Two budgets make sense:

* a fixed sum of path densities: the best D is proportional to ``|beta|``
  (``generalisation.optimum``), cut off where no input can get more than its dense value
  (``generalisation.ceiling``);
* a fixed number of edges, which is what pruning fixes: an edge to a neuron with a large output
  weight carries more, so the best mask fills these first.

Everything here is float64 on vectors of inputs, shape (d,).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["EdgeOptimum", "edge_optimum", "linear_bound", "optimal_density", "suboptimality"]

Array = NDArray[np.float64]


def _vector(value: Any, name: str) -> Array:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold real numbers: {error}") from error
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; it holds NaN or infinity")
    return array


def _pair(beta: Any, path: Any) -> tuple[Array, Array]:
    b, D = np.abs(_vector(beta, "beta")), _vector(path, "path")
    if b.shape != D.shape:
        raise ValueError(f"path must have shape {b.shape} as beta has, got {D.shape}")
    if (D < 0).any():
        raise ValueError("path must be non-negative")
    if not b.any():
        raise ValueError("beta must not vanish: there is nothing to learn")
    return b, D


def _positive(value: Any, name: str) -> float:
    number = float(value)
    if not (np.isfinite(number) and number > 0.0):
        raise ValueError(f"{name} must be positive, got {value!r}")
    return number


def linear_bound(beta: Any, path: Any, floor: float = 0.0) -> float:
    """``d sum_i beta_i^2 / (D_i + floor)``; infinite if an input with ``beta_i != 0`` has nothing.

    ``beta`` and ``path`` have shape (d,). ``floor`` is 0 in [B] Section 6 (reconstructed); if the
    rest of the kernel has ``K - d^{-1} X diag(D) X^T >= lambda`` and ``X^T X <= s N``, then
    ``floor = d lambda / (s N)`` is allowed. Without it the bound is astronomic for SNIP, whose D
    falls off like ``exp(-tau / r)`` (``generalisation.snip_diverges``). Raises ValueError for other
    shapes, numbers that are not finite, negative densities or floor, and ``beta = 0``.
    """
    b, D = _pair(beta, path)
    D = D + _floor(floor)
    if (D[b > 0] == 0.0).any():
        return float("inf")
    with np.errstate(over="ignore"):
        return float(b.size * (b[b > 0] ** 2 / D[b > 0]).sum())


def optimal_density(beta: Any, budget: float, ceiling: Any = None, floor: float = 0.0) -> Array:
    """The path densities of sum ``budget`` that make :func:`linear_bound` least, shape (d,).

    ``D_i = lambda |beta_i| - floor``, cut off at 0 and at the ``ceiling``, a number or a vector of
    what each input can get at most (None: no limit). Raises ValueError for a budget that is not
    positive, or beyond the ceilings of the inputs with ``beta_i != 0``.
    """
    b, _ = _pair(beta, np.ones_like(_vector(beta, "beta")))
    budget, base = _positive(budget, "budget"), _floor(floor)
    top = np.full(b.shape, budget) if ceiling is None else np.asarray(ceiling, np.float64)
    top = np.broadcast_to(top, b.shape)
    if not np.isfinite(top).all() or (top <= 0.0).any():
        raise ValueError("ceiling must be positive and finite")
    used = b > 0.0
    most = float(top[used].sum())
    if budget > most * (1.0 + 1e-12):
        raise ValueError(f"budget must be at most {most:.6g}, the sum of the ceilings in use")

    def at(level: float) -> Array:
        return np.where(used, np.clip(level * b - base, 0.0, top), 0.0)

    low, high = 0.0, float(((top + base)[used] / b[used]).max())
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if at(middle).sum() < budget else (low, middle)
    return at(high)


def suboptimality(beta: Any, path: Any, floor: float = 0.0) -> float:
    """:func:`linear_bound` over its least value for path densities of the same sum; at least 1.

    Without a floor ``(sum beta^2/D) (sum D) / (sum |beta|)^2``, which is 1 only for D ~ |beta| and
    does not depend on the scale of either; a flat D gives ``d sum beta^2 / (sum |beta|)^2``, pi/2
    for a large Gaussian teacher. Raises like :func:`linear_bound`, and ValueError for ``path = 0``.
    """
    b, D = _pair(beta, path)
    if not D.any():
        raise ValueError("path must not vanish everywhere")
    if _floor(floor) == 0.0:
        return float(linear_bound(b, D) / b.size * D.sum() / b.sum() ** 2)
    best = optimal_density(b, float(D.sum()), floor=floor)
    return linear_bound(b, D, floor) / linear_bound(b, best, floor)


def _floor(value: Any) -> float:
    number = float(value)
    if not (np.isfinite(number) and number >= 0.0):
        raise ValueError(f"floor must be finite and non-negative, got {value!r}")
    return number


class EdgeOptimum(NamedTuple):
    """Shares of edges kept ``mask`` (d,), path densities ``path`` (d,), and their ``bound``."""

    mask: Array
    path: Array
    bound: float


def edge_optimum(beta: Any, density: float) -> EdgeOptimum:
    """The best first layer of a given density, for output weights ``a ~ N(0, 1)``.

    Minimises ``d sum beta_i^2 / D_i`` over all masks of mean ``density``, where ``D_i`` is the mean
    of ``a^2`` over the neurons that see input i: it keeps the neurons of largest ``|a|``, so
    ``D(p) = p + 2 t phi(t)`` at ``p = 2 (1 - Phi(t))``, concave in p, and the shares solve
    ``beta_i^2 t_i^2 / D_i^2 = const`` (stationarity; the problem is convex). Slopes are left out:
    they are taken to be equal. No criterion is meant to know beta: this is the yardstick. Raises
    ValueError for a density outside (0, 1) and like :func:`linear_bound`.
    """
    b, _ = _pair(beta, np.ones_like(_vector(beta, "beta")))
    density = float(density)
    if not 0.0 < density < 1.0:
        raise ValueError(f"density must lie in (0, 1), got {density}")
    used = b > 0.0
    if density >= used.mean():  # nothing left to trade: every useful edge is kept
        mask = used.astype(np.float64)
        return EdgeOptimum(mask, mask.copy(), linear_bound(b, mask))
    logs = np.log(b[used])

    def cuts(level: float) -> Array:
        """The t with ``log beta + log t - log D(t) = level``; the left side increases with t."""
        low, high = np.full(logs.shape, 1e-12), np.full(logs.shape, 12.0)
        for _ in range(60):
            middle = 0.5 * (low + high)
            above = logs + np.log(middle) - np.log(_carried(middle)) > level
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return 0.5 * (low + high)

    low, high = logs.min() - 60.0, logs.max() + 100.0
    for _ in range(80):
        level = 0.5 * (low + high)
        kept = 2.0 * ndtr(-cuts(level)).sum() / b.size
        low, high = (low, level) if kept < density else (level, high)
    t = cuts(0.5 * (low + high))
    mask, path = np.zeros_like(b), np.zeros_like(b)
    mask[used], path[used] = 2.0 * ndtr(-t), _carried(t)
    return EdgeOptimum(mask, path, linear_bound(b, path))


def _carried(t: Array) -> Array:
    """``E[a^2; |a| >= t]`` for a standard normal a."""
    return np.asarray(2.0 * ndtr(-t) + 2.0 * t * np.exp(-0.5 * t**2) / np.sqrt(2.0 * np.pi))
