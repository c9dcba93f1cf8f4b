"""One SynFlow run on its way down: the order parameter, the response, and the excess at deaths."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from numerics.path_sums import PathSums
from numerics.synflow import synflow
from numerics.synflow_field import excess_curve, rounds
from theory import laws
from theory.synflow import critical_density
from verify.trial import trial
from verify.trials.synflow import MARKS, Metrics, dead_shares, drawn_weights

__all__ = ["DENSITIES", "FLOOR", "SHARES", "critical", "limit_excess", "linear_spread", "passage"]

Array = NDArray[np.float64]

DENSITIES = np.linspace(0.8, 0.16, 33)
"""Where the order parameter and the response are read off, by interpolation between rounds."""
FLOOR = 0.15
"""Where runs end."""
SHARES = np.linspace(0.02, 0.4, 20)
"""Shares of dead neurons at which the density among the living is read off."""


def critical(law: str = "gaussian") -> float:
    """The critical density of a law of weights."""
    return float(critical_density(laws.law(law)).evalf())


@lru_cache(maxsize=8)
def linear_spread(lowest: float, slow: int = 400) -> tuple[Array, Array]:
    """Densities above ``lowest``, and √n times the spread that linear response predicts there.

    One hidden layer, Gaussian weights, ``slow`` rounds: next to the transition a run of finitely
    many rounds cannot diverge.
    """
    above = DENSITIES[lowest < DENSITIES]
    n = 100
    found = [rounds((n,) * 3, float(rho), rounds=slow).spread()[0][0] for rho in above]
    return above, math.sqrt(n) * np.array(found)


def limit_excess(shares: Array = MARKS) -> float:
    """Mean over shares of dead neurons of n^(1/4) times the excess, cut infinitely slowly."""
    return float(excess_curve(shares).mean())


def _spread(sums: PathSums) -> float:
    """Standard deviation of the log path sums of the one hidden layer's living neurons."""
    pairs = ((sums.incoming[1], sums.outgoing[0]), (sums.outgoing[0], sums.incoming[1]))
    logs = [one[(one > 0) & (other > 0)].double().log() for one, other in pairs]
    if logs[0].numel() < 2:
        return 0.0
    return math.sqrt(float(np.mean([float(each.var()) for each in logs])))


@trial
def passage(seed: int, n: int, pace: float, law: str = "gaussian") -> Metrics:
    """One hidden layer of n neurons between n inputs and n outputs, cut to :data:`FLOOR`.

    ``pace``: rounds per factor e in the density. ``dead``: share of neurons without a path, at
    :data:`DENSITIES`. ``spread``: √n times the spread of log path sums of the living, there.
    ``excess``: n^(1/4) times the density among the living less the critical one, at
    :data:`SHARES`; ``scaled``: its mean over the shares that the claims on the transition use.
    ValueError for a run so fast that fewer than the last share of :data:`SHARES` die.
    """
    seen: list[tuple[float, float, float]] = []

    def observe(left: float, sums: PathSums) -> None:
        seen.append((left, float(np.mean(dead_shares(sums))), _spread(sums)))

    steps = math.ceil(pace * math.log(1.0 / FLOOR))
    synflow(drawn_weights(seed, (n,) * 3, law), FLOOR, rounds=steps, observe=observe)
    left, dead, spread = (np.array(column) for column in zip(*seen, strict=True))
    if dead[-1] < SHARES[-1]:
        raise ValueError(
            f"pace must let {SHARES[-1]:.0%} of the neurons die; at {pace:g} it is {dead[-1]:.0%}"
        )

    def among_living(shares: Array) -> Array:
        found: Array = np.interp(shares, dead, left) / (1.0 - shares) - critical(law)
        return n**0.25 * found

    return {
        "dead": np.interp(-DENSITIES, -left, dead).tolist(),
        "spread": (math.sqrt(n) * np.interp(-DENSITIES, -left, spread)).tolist(),
        "excess": among_living(SHARES).tolist(),
        "scaled": float(among_living(MARKS).mean()),
    }
