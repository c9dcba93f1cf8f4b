"""Validated float64 matrices and probability weights from whatever a caller holds.

Everything downstream (cut norms, alignments, histograms) reads its matrices through these
functions, so that a wrong argument is refused once, in the same words.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
MatrixLike: TypeAlias = ArrayLike | torch.Tensor

WEIGHT_SUM_TOLERANCE = 1e-9
"""How far the sum of probability weights may be from 1: room for rounding, not for mistakes."""

_LARGEST_EXACT_INTEGER = 2**53


def as_matrix(value: Any, name: str) -> FloatArray:
    """Read a real, finite, non-empty matrix as float64.

    Args:
        value: array-like or torch tensor (any device), shape (rows, columns); booleans,
            integers and floats are taken, and the conversion to float64 is exact.
        name: what the caller's argument is called, for the message.

    Raises:
        ValueError: not numeric, not two-dimensional, empty, not finite, or holding integers
            beyond 2**53, which float64 cannot hold.
    """
    array = as_real_array(value, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must have 2 dimensions (rows, columns), got {array.ndim}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if array.dtype.kind in "iu" and array.size:
        largest = max(abs(int(array.max())), abs(int(array.min())))
        if largest > _LARGEST_EXACT_INTEGER:
            raise ValueError(f"{name} holds integers beyond 2**53, which float64 cannot hold")
    matrix = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    return matrix


def as_real_array(value: Any, name: str) -> NDArray[Any]:
    """Read an array of booleans, integers or floats without changing its numbers.

    Raises:
        ValueError: the value is ragged, complex, or not numeric.
    """
    if isinstance(value, torch.Tensor):
        tensor = value.detach()
        if tensor.is_complex() or tensor.is_quantized:
            raise ValueError(f"{name} must be real and numeric, got a {tensor.dtype} tensor")
        if tensor.dtype in (torch.bfloat16, torch.float16):
            tensor = tensor.to(torch.float32)  # NumPy has no bfloat16; both embed exactly
        return tensor.to_dense().cpu().numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular numeric array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be real and numeric, got dtype {array.dtype}")
    if array.dtype.itemsize > 8:
        raise ValueError(f"{name} must fit in float64, got dtype {array.dtype}")
    return array


def as_weights(value: Any, length: int, name: str) -> FloatArray:
    """Read probability weights, shape (length,), non-negative and summing to one.

    They are used as given, never renormalised, so a sum off by rounding stays as it is.

    Raises:
        ValueError: wrong shape, negative, not finite, or a sum further than 1e-9 from 1.
    """
    array = as_real_array(value, name)
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
    weights = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(weights).all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    if (weights < 0).any():
        raise ValueError(f"{name} must be non-negative, but holds {weights.min()}")
    total = float(weights.sum())
    if abs(total - 1.0) > WEIGHT_SUM_TOLERANCE:
        raise ValueError(f"{name} must sum to 1, but sums to {total!r}")
    return weights


def as_count(value: Any, name: str, minimum: int = 1) -> int:
    """Read an integer of at least ``minimum``; booleans and fractions are refused.

    Raises:
        ValueError: not an integer, or below ``minimum``.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)
