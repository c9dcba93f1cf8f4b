"""How well path densities serve a linear target on given inputs, where inputs are correlated.

On images the coefficients of ``y = X beta`` are not identifiable: rare pixels get huge ones, and
``d sum beta^2/D`` says nothing. What is well defined is the complexity of the labels under the
linear part of the kernel and a ridge that stands for the rest,

    q(D) = y^T (d^{-1} X diag(D) X^T + lambda 1)^{-1} y
         = min_b  d sum_i b_i^2 / D_i + |y - X b|^2 / lambda,

convex in D. It bounds ``y^T K^{-1} y`` from above if the rest of K is at least lambda. Under a
fixed sum T the best D is ``T |b_i| / sum |b|`` at its own minimiser b, which so solves a lasso:
``min_b d (sum |b_i|)^2 / T + |y - X b|^2 / lambda``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["BestPath", "best_path_density", "data_suboptimality", "linear_complexity"]

Array = NDArray[np.float64]


def _checked(x: Any, y: Any, ridge: float) -> tuple[Array, Array, float]:
    inputs, labels = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if inputs.ndim != 2 or inputs.size == 0 or labels.shape != inputs.shape[:1]:
        raise ValueError(
            f"x and y must have shapes (N, d) and (N,), got {inputs.shape} and {labels.shape}"
        )
    if not (np.isfinite(inputs).all() and np.isfinite(labels).all()):
        raise ValueError("x and y must be finite; they hold NaN or infinity")
    if not labels.any():
        raise ValueError("y must not vanish")
    if not (math.isfinite(ridge) and ridge > 0.0):
        raise ValueError(f"ridge must be positive, got {ridge!r}")
    return inputs, labels, float(ridge)


def _solve(x: Array, y: Array, path: Array, ridge: float) -> tuple[float, Array]:
    """The complexity and the minimiser b, by the smaller of the two systems."""
    N, d = x.shape
    root = np.sqrt(path / d)
    scaled = x * root
    if d >= N:
        alpha = np.linalg.solve(scaled @ scaled.T + ridge * np.eye(N), y)
        return float(y @ alpha), root * (scaled.T @ alpha)
    inner = np.linalg.solve(scaled.T @ scaled + ridge * np.eye(d), scaled.T @ y)
    return float(y @ (y - scaled @ inner)) / ridge, root * inner


def _path(path: Any, d: int) -> Array:
    D = np.asarray(path, dtype=np.float64)
    if D.shape != (d,) or not np.isfinite(D).all() or (D < 0).any() or not D.any():
        raise ValueError(f"path must be finite, non-negative and not all zero, of shape ({d},)")
    return D


def linear_complexity(x: Any, y: Any, path: Any, ridge: float) -> float:
    """``y^T (d^{-1} X diag(D) X^T + ridge)^{-1} y`` for x (N, d), y (N,), path densities (d,).

    Raises ValueError for other shapes, numbers that are not finite, y = 0, a ridge that is not
    positive and path densities that are negative or all zero.
    """
    inputs, labels, ridge = _checked(x, y, ridge)
    return _solve(inputs, labels, _path(path, inputs.shape[1]), ridge)[0]


class BestPath(NamedTuple):
    """The best path densities ``path`` (d,), their ``value``, and a lower bound of all values."""

    path: Array
    value: float
    lower: float


def best_path_density(
    x: Any, y: Any, budget: float, ridge: float, *, steps: int = 2000, gap: float = 1e-4
) -> BestPath:
    """The path densities of sum ``budget`` with least :func:`linear_complexity`.

    Iterates ``D <- T |b| / sum |b|``, which never raises the value, until it is within a share
    ``gap`` of the certificate ``lower`` (the value is convex in D, so its tangent plane at any D
    bounds it from below) or ``steps`` are done. Raises like :func:`linear_complexity` and for a
    budget that is not positive.
    """
    inputs, labels, ridge = _checked(x, y, ridge)
    if not (math.isfinite(budget) and budget > 0.0):
        raise ValueError(f"budget must be positive, got {budget!r}")
    d = inputs.shape[1]
    path, lower = np.full(d, budget / d), 0.0
    value, b = _solve(inputs, labels, path, ridge)
    for _ in range(steps):
        # The value's slope in D_i is -(x_i^T alpha)^2 / d, with alpha = (y - X b) / ridge.
        slope = ((labels - inputs @ b) @ inputs / ridge) ** 2 / d
        lower = max(lower, value + float(slope @ path) - budget * float(slope.max()))
        if value - lower <= gap * value or not b.any():
            break
        path = budget * np.abs(b) / np.abs(b).sum()
        value, b = _solve(inputs, labels, path, ridge)
    return BestPath(path, value, lower)


def data_suboptimality(x: Any, y: Any, path: Any, ridge: float) -> float:
    """:func:`linear_complexity` over its least value for path densities of the same sum, >= 1."""
    inputs, _, ridge = _checked(x, y, ridge)
    D = _path(path, inputs.shape[1])
    best = best_path_density(x, y, float(D.sum()), ridge)
    return linear_complexity(x, y, D, ridge) / best.value
