"""SynFlow on drawn networks: linear response, deaths on a slow path, degrees, conserved flow."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from numerics import synflow_field
from numerics.path_sums import PathSums, path_sums
from numerics.sampling import Sampler
from numerics.seeds import generator
from numerics.synflow import synflow
from theory import laws
from theory.synflow import critical_density
from verify.trial import trial

Metrics = dict[str, float | list[float]]

MARKS = np.linspace(0.05, 0.2, 7)
"""Shares of dead neurons at which the transition is located; the average has less noise."""


def drawn_weights(seed: int, widths: tuple[int, ...], law: str) -> list[Tensor]:
    """Independent float32 matrices (n_l, n_{l-1}) of a law of unit variance."""
    draw = Sampler(laws.law(law), dtype=torch.float32)
    return [
        torch.from_numpy(draw(generator(seed, "weights", index), (n, d)))
        for index, (d, n) in enumerate(itertools.pairwise(widths))
    ]


def dead_shares(sums: PathSums) -> list[float]:
    """Share of neurons that no path crosses, in each hidden layer."""
    pairs = zip(sums.incoming[1:], sums.outgoing[:-1], strict=True)
    return [float(((h == 0) | (g == 0)).float().mean()) for h, g in pairs]


@lru_cache(maxsize=64)
def _predicted(
    n: int, hidden: int, density: float, rounds: int, law: str
) -> tuple[float, float, float]:
    """Spread of log in-sums in the first hidden layer: predicted, without feedback, and one way."""
    field = synflow_field.rounds((n,) * (hidden + 2), density, rounds=rounds, law=laws.law(law))
    cut = field.cuts[-1, 0]
    noise = float(field.field.second(cut) / field.field.mean(cut) ** 2 - 1.0)
    alone = math.sqrt(noise / n)
    one_way = alone * math.sqrt(1.0 + float(field.gains[-1, 0]) ** 2)
    return float(field.spread()[0][0]), alone, one_way


def spread_ratios(density: float, rounds: int, law: str = "gaussian") -> tuple[float, float]:
    """Without feedback, and with feedback one way, over the prediction: what mutants would give."""
    predicted, alone, one_way = _predicted(1000, 3, density, rounds, law)
    return alone / predicted, one_way / predicted


@trial
def response(seed: int, n: int, density: float, rounds: int, law: str = "gaussian") -> Metrics:
    """Spread of path sums in a network of three hidden layers over the linear prediction.

    ``ratio``: standard deviation of log in-sums and log out-sums, pooled over the hidden layers
    (each centred, neurons without a sum left out), over the prediction of the recursion for this
    width and number of rounds.
    ``degree``: standard deviation of the middle layer's in-degrees, over their mean.
    """
    weights = drawn_weights(seed, (n,) * 5, law)
    found = synflow(weights, density, rounds=rounds)
    sums = path_sums(weights, found.masks)
    logs = [each[each > 0].log() for each in (*sums.incoming[1:], *sums.outgoing[:-1])]
    variance = float(torch.stack([each.var() for each in logs]).mean())
    degree = found.masks[1].sum(dim=1).double()
    return {
        "ratio": math.sqrt(variance) / _predicted(n, 3, density, rounds, law)[0],
        "degree": float(degree.std() / degree.mean()),
    }


@trial
def slow_path(
    seed: int, n: int, hidden: int, density: float, pace: float, law: str = "gaussian"
) -> Metrics:
    """Deaths on the way down to a density, with ``pace * sqrt(n)`` rounds per factor e.

    Inputs, hidden layers and outputs all have n units. ``dead``: share of dead neurons in each
    hidden layer at the end; ``outer``: mean of the first and the last. For one hidden layer also
    ``living``: density of the edges between the living, averaged over the moments at which 5 to
    20 % of its neurons have died, by interpolation between rounds; and ``excess``: what that is
    above the critical density of the law. ValueError if fewer die by the end.
    """
    seen: list[tuple[float, float]] = []

    def observe(left: float, sums: PathSums) -> None:
        seen.append((left, float(np.mean(dead_shares(sums)))))

    rounds = math.ceil(pace * math.sqrt(n) * math.log(1.0 / density))
    weights = drawn_weights(seed, (n,) * (hidden + 2), law)
    found = synflow(weights, density, rounds=rounds, observe=observe if hidden == 1 else None)
    deaths: Metrics = {
        "dead": [count / n for count in found.dead],
        "outer": (found.dead[0] + found.dead[-1]) / (2 * n),
    }
    if hidden > 1:
        return deaths
    left, dead = (np.array(column) for column in zip(*seen, strict=True))
    if dead[-1] < MARKS[-1]:
        raise ValueError(
            f"density must be low enough for {MARKS[-1]:.0%} of the neurons to die, "
            f"at {density:g} it is {dead[-1]:.0%}"
        )
    living = float((np.interp(MARKS, dead, left) / (1.0 - MARKS)).mean())
    excess = living - float(critical_density(laws.law(law)).evalf())
    return {**deaths, "living": living, "excess": excess}


def layer_flows(seed: int, width: int = 12, depth: int = 4, density: float = 0.3) -> list[int]:
    """Sum of the scores of each layer of a pruned network of whole weights, in exact arithmetic."""
    rng = generator(seed, "whole")
    weights = [rng.integers(1, 100, (width, width)) for _ in range(depth)]
    masks = synflow([torch.from_numpy(w).double() for w in weights], density, rounds=20).masks
    kept = [w.astype(object) * m.numpy().astype(int) for w, m in zip(weights, masks, strict=True)]
    incoming = [np.ones(width, dtype=object)]
    for matrix in kept:
        incoming.append(matrix @ incoming[-1])
    outgoing = [np.ones(width, dtype=object)]
    for matrix in reversed(kept):
        outgoing.append(matrix.T @ outgoing[-1])
    outgoing.reverse()
    return [
        int((outgoing[index + 1][:, None] * matrix * incoming[index][None, :]).sum())
        for index, matrix in enumerate(kept)
    ]
