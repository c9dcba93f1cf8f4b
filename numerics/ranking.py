"""How many entries a density keeps, and which are the largest: exact counts, ties at random."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

__all__ = ["checked_density", "kept_count", "select_largest"]


def checked_density(density: object) -> float:
    """A density as a float; ValueError unless it lies in (0, 1], TypeError for no number."""
    try:
        if isinstance(density, str | bytes | bool):
            raise TypeError
        value = float(density)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"density must be a number in (0, 1], got {density!r}") from None
    if not 0.0 < value <= 1.0:
        raise ValueError(f"density must lie in (0, 1], got {density}")
    return value


def kept_count(density: float, size: int) -> int:
    """How many of ``size`` entries a density keeps: ``density * size`` rounded half up, at least 1.

    The density is read as the decimal it prints as, so that 0.145 of 100 is 15 and not 14.
    Raises ValueError unless ``0 < density <= 1`` and ``size >= 1``; TypeError for no number.

    >>> kept_count(0.145, 100), kept_count(0.25, 10), kept_count(0.001, 10)
    (15, 3, 1)
    """
    value = checked_density(density)
    if size < 1:
        raise ValueError("scores must hold at least one entry")
    return max(1, int(Fraction(repr(value)) * size + Fraction(1, 2)))


def select_largest(
    values: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Indices of the ``count`` largest of a vector of finite values, and the smallest of those.

    Ties at that value are drawn without replacement by ``rng``.
    """
    size = values.size
    if not 1 <= count <= size:
        raise ValueError(f"count must lie between 1 and {size}, got {count}")
    threshold = np.partition(values, size - count)[size - count]
    above = np.flatnonzero(values > threshold)
    ties = np.flatnonzero(values == threshold)
    missing = count - above.size
    if missing < ties.size:
        ties = rng.choice(ties, size=missing, replace=False, shuffle=False)
    return np.concatenate((above, ties)), float(threshold)
