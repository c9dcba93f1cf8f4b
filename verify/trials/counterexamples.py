"""Masks for which one hypothesis of [B] Theorem 4.7 fails, and what they converge to instead.

Each trial draws one mask (float64 numpy, targets x sources) and returns a certified bracket of
its cut norm distance to the graphon that the theorem would name. The expected distances are
computed by the functions beside the trials, from the definition of the example.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy import stats

from numerics.cutnorm import bracket
from numerics.seeds import generator
from theory import criteria
from theory.limit import LimitGraphon
from theory.profiles import ConstantProfile, HalfNormalProfile, SymbolicProfile
from theory.saliency import SaliencyModel
from theory.symbols import u
from verify.trial import trial

Array = NDArray[np.float64]
DENSITY = 0.2


def _keep(scores: Array, density: float, ties: Array) -> Array:
    """The largest scores, ties broken by the smaller value of ``ties`` (same shape)."""
    keep, flat = round(density * scores.size), scores.ravel()
    threshold = np.partition(flat, flat.size - keep)[flat.size - keep]
    mask = (flat > threshold).astype(float)
    tied = np.flatnonzero(flat == threshold)
    first = np.argsort(ties.ravel()[tied], kind="stable")
    mask[tied[first[: keep - np.count_nonzero(mask)]]] = 1.0
    return mask.reshape(scores.shape)


def _cut(difference: Array, seed: int, **more: float) -> dict[str, float | list[float]]:
    found = bracket(difference, seed=seed, effort="fast")
    return {"lower": found.lower, "upper": found.upper, **more}


# --- growth: a number of sources that stays finite ------------------------------------------
SOURCES = 2


@trial
def few_sources(seed: int, n: int) -> dict[str, float | list[float]]:
    """Magnitude masks with two sources: the noise of an edge never averages out."""
    weights = generator(seed, "weights").standard_normal((n, SOURCES))
    mask = _keep(np.abs(weights), DENSITY, np.zeros_like(weights))
    return _cut(mask - DENSITY, seed)


def few_sources_limit() -> float:
    """``max_S E[(sum_{i in S} (B_i - rho))_+] / d``, B binomial: every target picks its side."""
    best = 0.0
    for size in range(1, SOURCES + 1):
        counts = np.arange(size + 1)
        mass = stats.binom.pmf(counts, size, DENSITY)
        best = max(best, float(mass @ np.maximum(counts - size * DENSITY, 0.0)) / SOURCES)
    return best


# --- row convergence and column law: factors that alternate between two limits ---------------
def alternating_models(side: str) -> tuple[SaliencyModel, SaliencyModel]:
    """The two models between which the factors of one ``side`` alternate with the width."""
    if side == "row":
        return criteria.snip(SymbolicProfile(u), ConstantProfile(1)), criteria.magnitude()
    return criteria.snip(ConstantProfile(1), HalfNormalProfile()), criteria.magnitude()


@trial
def alternating(seed: int, n: int, side: str) -> dict[str, float | list[float]]:
    """A mask at a width of one parity against the limit along the other parity."""
    mine, other = (model.limit(DENSITY) for model in alternating_models(side))
    positions = (np.arange(n) + 0.5) / n
    row, column = mine.model.row(positions), mine.model.column(positions)
    weights = generator(seed, "weights").standard_normal((n, n))
    scores = np.abs(weights) * column[:, None] * row[None, :]
    mask = _keep(scores, DENSITY, np.zeros_like(scores))
    difference = mask - other.values(positions[None, :], positions[:, None])
    # Explicit sets: where the two limits differ in one direction. Their sum bounds the norm below.
    axis = 0 if side == "row" else 1
    gap = (mine.source_degree_values if side == "row" else mine.target_degree_values)(positions)
    return {"lower": float(abs(difference.sum(axis=axis)[gap > DENSITY].sum()) / n**2)}


def alternating_limit(side: str) -> float:
    """Cut norm between the two limits: half the L1 norm, since they differ along one side only."""
    first, second = (model.limit(DENSITY) for model in alternating_models(side))
    return _one_sided_cut(first, second, side)


def _one_sided_cut(first: LimitGraphon, second: LimitGraphon, side: str) -> float:
    nodes, weights = np.polynomial.legendre.leggauss(400)
    positions, weights = (nodes + 1.0) / 2.0, weights / 2.0
    if side == "row":
        gap = first.source_degree_values(positions) - second.source_degree_values(positions)
    else:
        gap = first.target_degree_values(positions) - second.target_degree_values(positions)
    return float(weights @ np.abs(gap)) / 2.0


# --- independent noise: one draw shared by all edges of a source ------------------------------
@trial
def shared_noise(seed: int, n: int) -> dict[str, float | list[float]]:
    """One noise value per source: whole sources are kept or lost."""
    noise = np.abs(generator(seed, "noise").standard_normal(n))
    scores = np.broadcast_to(noise[None, :], (n, n)).copy()
    ties = generator(seed, "ties").random((n, n))
    return _cut(_keep(scores, DENSITY, ties) - DENSITY, seed)


def shared_noise_limit() -> float:
    """``rho (1 - rho)``: the kept sources against the constant."""
    return DENSITY * (1.0 - DENSITY)


# --- continuity: atoms of the score at tau ---------------------------------------------------
@trial
def tied_scores(seed: int, n: int, example: str) -> dict[str, float | list[float]]:
    """Two legitimate masks of the same tied scores: ties at random, and ties in index order.

    ``example`` is "sign noise" (weights of one magnitude, two row factors) or "zero rows" (more
    than ``1 - rho`` of the rows have no score).
    """
    positions = (np.arange(n) + 0.5) / n
    if example == "sign noise":
        row = np.where(positions < 0.5, 1.0, 2.0)
        weights = np.ones((n, n))
    else:
        row = np.where(positions < 0.9, 0.0, 1.0)
        weights = np.abs(generator(seed, "weights").standard_normal((n, n)))
    scores = weights * row[None, :]
    by_index = _keep(scores, DENSITY, np.arange(n * n, dtype=np.float64).reshape(n, n))
    at_random = _keep(scores, DENSITY, generator(seed, "ties").random((n, n)))
    return _cut(at_random - by_index, seed)


def tied_scores_limit(example: str) -> float:
    """Cut norm between the two masks: share of tied sources times ``q (1 - q)``.

    ``q`` is the share of the tied edges that is kept: at random it is spread over all targets,
    by index the first ``q`` of the targets keep all of theirs.
    """
    tied, kept_outside = (0.5, 0.0) if example == "sign noise" else (0.9, 0.1)
    q = (DENSITY - kept_outside) / tied
    return tied * q * (1.0 - q)


# --- what is not needed: a unique threshold, a bounded profile --------------------------------
@trial
def gap_at_threshold(seed: int, n: int) -> dict[str, float | list[float]]:
    """Scores with a gap exactly at the density: every tau in the gap is a solution.

    The L1 norm of the difference is returned as ``upper``: it bounds the cut norm.
    """
    rng = generator(seed, "scores")
    high = rng.random(n) < DENSITY
    scores = (1.0 + rng.random((n, n))) * np.where(high, 10.0, 1.0)[:, None]
    keep = round(DENSITY * n * n)
    mask = scores >= np.partition(scores.ravel(), n * n - keep)[n * n - keep]
    return {"upper": float(np.abs(mask - np.where(high, 1.0, 0.0)[:, None]).mean())}


@trial
def unbounded_profile(seed: int, n: int) -> dict[str, float | list[float]]:
    """A row profile with a power singularity, ``r(u) = (1 - u)^(-1/2)``; factors on the grid."""
    model = criteria.snip(SymbolicProfile(1 / sp.sqrt(1 - u)), HalfNormalProfile())
    limit = model.limit(DENSITY)
    positions = (np.arange(n) + 0.5) / n
    row, column = model.row(positions), model.column(positions)
    weights = np.abs(generator(seed, "weights").standard_normal((n, n)))
    mask = _keep(weights * column[:, None] * row[None, :], DENSITY, np.zeros((n, n)))
    return _cut(mask - limit.at_factors(row[None, :], column[:, None]), seed)
