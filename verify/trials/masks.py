"""Masks drawn from a saliency model: cut norm to the limit, degrees, and the bias of sorting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from numerics.cutnorm import bracket
from numerics.histogram import sas
from numerics.masks_stream import draw
from numerics.seeds import generator
from theory import criteria
from theory.averages import mean_density, moment_values
from theory.saliency import SaliencyModel
from theory.sorting import sas_bias_cells
from verify.trial import trial

Array = NDArray[np.float64]
Metrics = dict[str, float | list[float]]


@trial
def mask_cut(seed: int, n: int, criterion: str, density: float) -> Metrics:
    """Certified cut norm of one n x n mask against P at its latents and its own threshold.

    The own threshold solves the density equation at the drawn latents, so what is left is the
    noise of the edges; what the latents add is measured by :func:`latent_gap`. ``lower`` and
    ``upper`` bracket the norm.
    """
    model = criteria.criterion(criterion).limit(density).model
    sample = draw(model, n, n, density, seed)
    mask = sample.mask.double().numpy()
    r, c = sample.r.numpy()[None, :], sample.c.numpy()[:, None]
    level = _own_threshold(model, r, c, density)
    found = bracket(mask - moment_values(model, 0, r, c, level), seed=seed, effort="fast")
    return {"lower": found.lower, "upper": found.upper}


def _own_threshold(model: SaliencyModel, r: Array, c: Array, density: float) -> float:
    """The threshold at which the mask graphon has the density on these very factors."""
    gap = lambda level: float(moment_values(model, 0, r, c, level).mean()) - density  # noqa: E731
    low, high = (-1.0, 1.0) if model.rule.signed else (0.0, 1.0)
    while gap(high) > 0.0:
        high *= 2.0
    while gap(low) < 0.0:
        low *= 2.0
    return float(optimize.brentq(gap, low, high, rtol=1e-13))


@trial
def latent_gap(seed: int, n: int, criterion: str, density: float) -> Metrics:
    """Cut norm between P at the true and at the own threshold of n i.i.d. column factors.

    The two graphons are ordered, so their cut norm is the difference of their means, exactly.
    """
    limit = criteria.criterion(criterion).limit(density)
    positions = generator(seed, "columns").random(n)
    rows, weights = limit.model.row.nodes()
    columns = limit.model.column(positions)
    values = moment_values(limit.model, 0, rows[None, :], columns[:, None], limit.tau)
    return {"gap": abs(float((values @ weights).mean()) - density)}


def tau_off_distance(criterion: str, density: float) -> float:
    """Cut norm between P and its near miss: one sign, so the difference of their densities."""
    limit = criteria.criterion(criterion).limit(density)
    return density - mean_density(limit.model, limit.tau + 0.05 * abs(limit.tau))


@trial
def degree_variance(seed: int, n: int, criterion: str, density: float) -> Metrics:
    """How much the degrees of sources and targets vary beyond chance, without bias.

    The variance of a degree function is estimated by the covariance, over sources, of the
    degrees in the two halves of the targets (and the reverse): chance is independent there.
    """
    sample = draw(criteria.criterion(criterion), n, n, density, seed)
    mask = sample.mask.double().numpy()
    half = n // 2
    order = np.arange(n) % 2 == 0
    source = np.cov(mask[order][:half].mean(axis=0), mask[~order][:half].mean(axis=0))[0, 1]
    target = np.cov(mask[:, order].mean(axis=1), mask[:, ~order].mean(axis=1))[0, 1]
    return {"source": float(source), "target": float(target)}


def degree_variances(criterion: str, density: float, side: str) -> float:
    """Variance over positions of the limit's degree function of one side, by quadrature."""
    limit = criteria.criterion(criterion).limit(density)
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
    ``source_slope`` and ``target_slope`` those of its two halves; ``amplitude`` is the root mean
    square of the part along the prediction, which the noise of the cells does not touch.
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
        "amplitude": float((deviation * pattern).sum() / (cells * np.sqrt((pattern**2).sum()))),
        "histogram": [float(value) for value in (deviation + density).ravel()],
    }
