"""Samples of the laws of :mod:`theory.laws`, for weights and for the noise of masks.

A Gaussian law is drawn directly, any other law by its quantile function at uniform numbers, so
a law is defined in one place. Numbers are drawn by NumPy and are the same for every device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray

from numerics.evaluate import numpy_function
from theory.laws import Gaussian, Law

__all__ = ["DTYPES", "NumpyFloat", "Sampler", "numpy_dtype", "standard_normal", "uniform"]

NumpyFloat = NDArray[Any]
"""An array of float32 or float64."""

DTYPES: dict[torch.dtype, type[np.float32] | type[np.float64]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
}
"""Floating-point types in which numbers are drawn."""

_LEVEL = sp.Symbol("level", positive=True)


def numpy_dtype(dtype: torch.dtype) -> type[np.float32] | type[np.float64]:
    """NumPy's name of a PyTorch dtype; ValueError unless it is float32 or float64."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
    return DTYPES[dtype]


def standard_normal(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: torch.dtype = torch.float64
) -> NumpyFloat:
    """Standard normal numbers, float32 or float64 (two different streams)."""
    kind: Any = numpy_dtype(dtype)
    return rng.standard_normal(shape, dtype=kind)


def uniform(rng: np.random.Generator, shape: tuple[int, ...] | int) -> NDArray[np.float64]:
    """Uniform numbers in the *open* interval (0, 1): quantile functions may diverge at its ends."""
    return rng.random(shape) + 2.0**-54


class Sampler:
    """Draws arrays of a law; ``sampler(rng, shape)``.

    ``law`` is a :class:`theory.laws.Law` (``None`` means the standard normal), ``dtype`` float32
    or float64. Raises TypeError for something that is no law, ValueError for another dtype or a
    law whose quantile cannot be evaluated.
    """

    def __init__(self, law: Law | None = None, dtype: torch.dtype = torch.float64) -> None:
        if law is not None and not isinstance(law, Law):
            raise TypeError(f"law must be a theory.laws.Law or None, got {type(law).__name__}")
        if law is not None and law.free_symbols:
            raise ValueError(f"law must have numbers as parameters to be drawn, got {law}")
        self.dtype = dtype
        self._numpy = numpy_dtype(dtype)
        self.gaussian = law is None or isinstance(law, Gaussian)
        self._scale = 1.0 if law is None else float(sp.sqrt(law.variance))
        if not self.gaussian:
            assert law is not None
            self._quantile = numpy_function(law.quantile(_LEVEL), _LEVEL)

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NumpyFloat:
        if self.gaussian:
            out = standard_normal(rng, shape, self.dtype)
            if self._scale != 1.0:
                out *= self._scale
            return out
        return self._quantile(uniform(rng, shape)).astype(self._numpy, copy=False)
