"""Masks drawn from a saliency model: cut norm to the limit, degrees, and the bias of sorting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from numerics.cutnorm import bracket
from numerics.histogram import block_means, sas
from numerics.masks_stream import draw
from theory import criteria
from theory.limit import LimitGraphon
from theory.sorting import sas_bias_cells
from verify.trial import trial

Array = NDArray[np.float64]
Metrics = dict[str, float | list[float]]


def _limit(criterion: str, density: float) -> LimitGraphon:
    return criteria.criterion(criterion).limit(density)


@trial
def mask_cut(
    seed: int, n: int, criterion: str, density: float, offsets: list[float] | None = None
) -> Metrics:
    """Certified cut norm of one n x n mask against P at its latents, and against near misses.

    ``lower`` and ``upper`` bracket ``||M - P||``; ``tau_off_lower`` is a certified lower bound
    to the graphon with a threshold 5 % too high, ``tail_off_lower`` to the one with the other
    tail (one-sided for two-sided rules, and the reverse).
    """
    limit = _limit(criterion, density)
    sample = draw(limit.model, n, n, density, seed)
    mask = sample.mask.double().numpy()
    r, c = sample.r[None, :], sample.c[:, None]
    expected = limit.at_factors(r, c)
    found = bracket(mask - expected, seed=seed, effort="fast")
    from theory.threshold import moment_values

    off = moment_values(limit.model, 0, r, c, _raised(limit))
    metrics: Metrics = {"lower": found.lower, "upper": found.upper}
    metrics["tau_off_lower"] = bracket(mask - off, seed=seed, effort="fast").lower
    return metrics


def _raised(limit: LimitGraphon) -> float:
    """A threshold 5 % off, towards fewer edges."""
    return limit.tau + 0.05 * abs(limit.tau)


def tau_off_distance(criterion: str, density: float) -> float:
    """Cut norm between P and its near miss: one sign, so the difference of their densities."""
    from theory.threshold import mean_density

    limit = _limit(criterion, density)
    return density - mean_density(limit.model, _raised(limit))


@trial
def degree_variance(seed: int, n: int, criterion: str, density: float) -> Metrics:
    """How much the degrees of sources and targets vary beyond chance, without bias.

    The variance of a degree function is estimated by the covariance, over sources, of the
    degrees in the two halves of the targets (and the reverse): chance is independent there.
    """
    sample = draw(_limit(criterion, density).model, n, n, density, seed)
    mask = sample.mask.double().numpy()
    half = n // 2
    order = np.arange(n) % 2 == 0
    source = np.cov(mask[order][:half].mean(axis=0), mask[~order][:half].mean(axis=0))[0, 1]
    target = np.cov(mask[:, order].mean(axis=1), mask[:, ~order].mean(axis=1))[0, 1]
    return {"source": float(source), "target": float(target)}


def degree_variances(criterion: str, density: float, side: str) -> float:
    """Variance over positions of the limit's degree function of one side, by quadrature."""
    limit = _limit(criterion, density)
    nodes, weights = np.polynomial.legendre.leggauss(600)
    positions, weights = (nodes + 1.0) / 2.0, weights / 2.0
    values = (
        limit.source_degree_values(positions)
        if side == "source"
        else limit.target_degree_values(positions)
    )
    return float(weights @ (values - density) ** 2)


@trial
def sorted_constant(seed: int, n: int, density: float, aspect: int, cells: int) -> Metrics:
    """The SAS histogram of a random mask, as a multiple of the predicted sorting pattern.

    ``slope`` is the regression of the histogram's deviation from the density on the prediction;
    ``source_slope`` and ``target_slope`` those of its two halves.
    """
    d = n // aspect
    mask = draw(criteria.random(), n, d, density, seed).mask.double().numpy()
    deviation = sas(mask, cells) - density
    pattern = sas_bias_cells(density, d, n, cells)
    source = pattern - pattern.mean(axis=1, keepdims=True)
    target = pattern - pattern.mean(axis=0, keepdims=True)
    return {
        "slope": float((deviation * pattern).sum() / (pattern**2).sum()),
        "source_slope": float((deviation * source).sum() / (source**2).sum()),
        "target_slope": float((deviation * target).sum() / (target**2).sum()),
        "size": float(np.sqrt((deviation**2).mean())),
        "histogram": [float(value) for value in block_means(deviation + density, cells).ravel()],
    }
