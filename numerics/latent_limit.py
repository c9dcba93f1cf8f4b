"""What a latent-feature limit is: layers with sorted histograms, degrees, thresholds, densities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numerics.latent_histogram import Estimate, Sorted, combined

__all__ = ["LatentLimit", "LayerLimit"]


@dataclass(frozen=True)
class LayerLimit:
    """One layer of weights in the limit.

    ``histogram.value`` is (bins of targets, bins of sources), sorted by increasing degree;
    ``row_degrees`` and ``column_degrees`` are quantile functions of the degrees at the middles
    of the bins; ``threshold`` and ``density`` are estimates without axes. ``exact`` says that
    there is no Monte Carlo in the layer.
    """

    layer: int
    histogram: Estimate
    row_degrees: Estimate
    column_degrees: Estimate
    threshold: Estimate
    density: Estimate
    exact: bool = False

    @classmethod
    def of(
        cls, layer: int, found: Sequence[Sequence[Sorted]], tau: Sequence[Sequence[float]]
    ) -> LayerLimit:
        """The layer from replicates grouped by their residual (see :func:`combined`)."""
        levels = np.array(tau, dtype=np.float64)
        finite = bool(np.isfinite(levels).all())  # not where everything is kept, or at random
        return cls(
            layer,
            combined([[each.histogram for each in group] for group in found]),
            combined([[each.rows for each in group] for group in found]),
            combined([[each.columns for each in group] for group in found]),
            combined(list(levels)) if finite else Estimate.exact(np.asarray(levels.flat[0])),
            combined([[np.asarray(each.density) for each in group] for group in found]),
        )

    @classmethod
    def known(cls, layer: int, histogram: np.ndarray, tau: float) -> LayerLimit:
        """A layer without Monte Carlo whose rows and columns are sorted already."""
        return cls(
            layer,
            Estimate.exact(histogram),
            Estimate.exact(histogram.mean(axis=1)),
            Estimate.exact(histogram.mean(axis=0)),
            Estimate.exact(np.asarray(tau)),
            Estimate.exact(np.asarray(histogram.mean())),
            exact=True,
        )


@dataclass(frozen=True)
class LatentLimit:
    """All layers of a limit, from the input upwards.

    ``residual`` is "given", "averaged" over its law at initialisation, or "none" where the
    criterion has none. Thresholds are in units of the scores of the summed loss. ``kind`` is
    "limit", or "width n" for masks sampled from it.
    """

    layers: tuple[LayerLimit, ...]
    criterion: str
    density: float
    scope: str
    residual: str
    samples: int
    replicates: int
    kind: str
    notes: tuple[str, ...]

    @property
    def histograms(self) -> list[np.ndarray]:
        """The histograms of all layers."""
        return [layer.histogram.value for layer in self.layers]

    @property
    def densities(self) -> list[float]:
        """The densities of all layers."""
        return [float(layer.density.value) for layer in self.layers]

    @property
    def error(self) -> float:
        """The largest, over layers, root mean square of the standard errors of the cells."""
        return max(float(np.sqrt((each.histogram.error**2).mean())) for each in self.layers)

    def minus(self, other: LatentLimit) -> list[Estimate]:
        """Histograms of all layers less those of another limit, as if they were independent.

        ``spread`` is that of this one. Raises ValueError for grids that do not fit.
        """
        if len(self.layers) != len(other.layers):
            raise ValueError(f"other must have {len(self.layers)} layers, got {len(other.layers)}")
        out = []
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            a, b = mine.histogram, theirs.histogram
            if a.value.shape != b.value.shape:
                raise ValueError(
                    f"other must have the grid {a.value.shape} in layer {mine.layer}, "
                    f"got {b.value.shape}"
                )
            error, noise = np.hypot(a.error, b.error), np.hypot(a.noise, b.noise)
            out.append(Estimate(a.value - b.value, error, a.spread, noise))
        return out
