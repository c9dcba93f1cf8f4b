"""The threshold of a density over the scores of several layers, from samples of their latents.

A layer's scores are a *population*: either scales ``a``, where the score is ``|w| a`` (or ``w a``)
with an independent weight w, whose kept share is an average of the law's survival function, or
the scores themselves. One threshold for all layers solves ``sum_l c_l kept_l(tau) = rho sum_l c_l``
with c_l the numbers of weights; layers that are kept dense take no part.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq

from numerics.evaluate import numpy_function
from numerics.ranking import checked_density
from theory.laws import Gaussian, Law
from theory.symbols import t

__all__ = [
    "SCOPES",
    "Population",
    "Scales",
    "Scores",
    "Thresholds",
    "layer_numbers",
    "lost",
    "threshold",
]

Array = NDArray[np.float64]
SCOPES = ("global", "layer")
_BITS = {torch.float32: (torch.int32, 23 - 8), torch.float64: (torch.int64, 52 - 8)}
"""Integers of the same size, and the mantissa's bits beyond the eight that name a class."""
_PART = 1 << 22


class Population(ABC):
    """Scores of a layer as a law: ``kept`` is a decreasing function of the threshold.

    ``zero`` is the share of scores that vanish whatever the weight: an atom at zero.
    """

    zero: float
    largest: float
    signed: bool

    @abstractmethod
    def kept(self, tau: float) -> float:
        """Share of scores ``>= tau``, those that vanish left out."""

    def equal(self, tau: float) -> float:
        """Share of scores that are ``tau``, which is not zero: none unless they are samples."""
        return 0.0

    def near(self, tau: float) -> list[float]:
        """Samples of scores around ``tau``, if that is what there is."""
        return []

    def density(self, tau: float, tie: float) -> float:
        """Share of scores that a threshold keeps, with a share ``tie`` of those that equal it."""
        if tau == 0.0:
            return min(1.0, self.kept(0.0) + tie * self.zero)
        above = self.kept(tau) - (1.0 - tie) * self.equal(tau)
        return min(1.0, above + (self.zero if tau < 0.0 else 0.0))


class Scales(Population):
    """Scores ``|w| a``, or ``w a`` if ``signed``, for samples of ``a >= 0`` of any shape.

    The samples are kept as a histogram of 256 classes per octave, each standing at the mean of
    its members, so that the kept share has a relative error below 2e-6 whatever their number.
    Raises ValueError for negative samples, NaN or infinity, or none at all.
    """

    def __init__(self, values: Any, law: Law | None = None, *, signed: bool = False) -> None:
        self.signed = signed
        flat = torch.as_tensor(values).detach().reshape(-1)
        ends = [float(each) for each in torch.aminmax(flat)] if flat.numel() else [math.nan]
        if not all(0.0 <= end < math.inf for end in ends):  # NaN is no end of anything
            raise ValueError("values must be finite, non-negative numbers, at least one")
        self.law = Gaussian() if law is None else law
        expression = self.law.survival(t) if signed else self.law.two_sided_survival(t)
        self._survival: Callable[[Array], Array] = numpy_function(expression, t)
        if ends[-1] == 0.0:
            self._set(np.zeros(0), np.zeros(0))
        else:
            self._set(*_classes(flat))
        self.largest = ends[-1]

    def _set(self, centres: Array, shares: Array) -> None:
        self.centres, self.shares = centres, shares
        self.zero = max(0.0, 1.0 - float(shares.sum()))
        if self.zero < 1e-12:
            self.zero = 0.0

    @classmethod
    def mixed(cls, members: Sequence[Scales], weights: Array) -> Scales:
        """The mixture of populations of one law, with weights of sum one; classes stay as wide."""
        mixture = copy.copy(members[0])
        centres = np.concatenate([member.centres for member in members])
        shares = np.concatenate([w * each.shares for w, each in zip(weights, members, strict=True)])
        codes = centres.view(np.int64) >> _BITS[torch.float64][1]
        codes -= codes.min()
        total = np.bincount(codes, shares).astype(np.float64)
        used = total > 0.0
        mixture._set(np.bincount(codes, shares * centres)[used] / total[used], total[used])
        mixture.largest = max(member.largest for member in members)
        return mixture

    def kept(self, tau: float) -> float:
        """The average of the survival function at ``tau / a``."""
        if tau == 0.0:
            return (0.5 if self.signed else 1.0) * (1.0 - self.zero)
        if tau < 0.0 and not self.signed:
            return 1.0 - self.zero
        if not len(self.centres):
            return 0.0
        return float(self.shares @ self._survival(tau / self.centres))


class Scores(Population):
    """Scores themselves, samples of any shape; ``signed`` if they may be negative.

    Raises ValueError for NaN or infinity, no samples, or negative ones without ``signed``.
    """

    def __init__(self, values: Any, *, signed: bool = False) -> None:
        self.signed = signed
        flat = torch.as_tensor(values).detach().reshape(-1)
        if not flat.numel() or not bool(torch.isfinite(flat).all()):
            raise ValueError("values must be finite numbers, at least one")
        self.sorted = np.sort(flat.cpu().numpy())
        if not signed and self.sorted[0] < 0.0:
            raise ValueError("values must be non-negative unless scores are signed")
        self.largest = float(np.abs(self.sorted[[0, -1]]).max())
        low, high = np.searchsorted(self.sorted, 0.0, "left"), self._above(0.0)
        self.zero = float(high - low) / len(self.sorted)

    def _above(self, tau: float) -> int:
        return int(np.searchsorted(self.sorted, tau, "right"))

    def kept(self, tau: float) -> float:
        """Share of the samples at or above the threshold."""
        size = len(self.sorted)
        if tau == 0.0:
            return float(size - self._above(0.0)) / size
        below = int(np.searchsorted(self.sorted, tau, "left"))
        share = float(size - below) / size
        return share - self.zero if tau < 0.0 else share

    def equal(self, tau: float) -> float:
        """Share of the samples that are ``tau``."""
        below = int(np.searchsorted(self.sorted, tau, "left"))
        return float(self._above(tau) - below) / len(self.sorted)

    def near(self, tau: float) -> list[float]:
        """The two samples on each side of ``tau``."""
        place = self._above(tau)
        return [float(each) for each in self.sorted[max(0, place - 2) : place + 2]]


@dataclass(frozen=True)
class Thresholds:
    """Thresholds and densities of all layers, from the input upwards.

    ``tau``: one per layer, ``-inf`` where a layer is kept dense. ``tie``: the share of the scores
    *equal* to the threshold that is kept, at random: of those that vanish where it is zero, and of
    the sample on the boundary where scores are samples, so that the density is met on average
    however few they are; 0 where no score is equal, 1 in dense layers. ``densities``: share of
    each layer's weights that is kept. ``density``: that of all layers that are not kept dense.
    """

    tau: tuple[float, ...]
    tie: tuple[float, ...]
    densities: tuple[float, ...]
    density: float
    scope: str


def layer_numbers(name: str, value: Any, layers: int) -> tuple[int, ...]:
    """Sorted numbers of layers from 1; ValueError, naming the argument, for anything else."""
    whole = isinstance(value, Collection) and all(
        isinstance(each, int) and not isinstance(each, bool) for each in value
    )
    if not whole or not set(value) <= set(range(1, layers + 1)):
        raise ValueError(f"{name} must name layers from 1 to {layers}, got {value!r}")
    return tuple(sorted(set(value)))


def threshold(
    populations: Sequence[Population | None],
    counts: Sequence[int],
    density: float,
    scope: str = "global",
    keep: Sequence[int] = (),
) -> Thresholds:
    """Thresholds that keep a share ``density`` of the weights that are pruned.

    Args:
        populations: one for each layer; None for a layer that is kept dense.
        counts: number of weights of each layer.
        density: in (0, 1], of the layers not kept dense, together or ("layer") one by one.
        scope: "global" for one threshold, "layer" for one each.
        keep: layers from 1 that stay dense.

    Raises ValueError naming the argument for lists of different length, a density out of range,
    an unknown scope, layers that do not exist, all layers kept, populations missing, and scores
    that are all zero; TypeError for a density that is no number.
    """
    layers = len(populations)
    if layers == 0 or len(counts) != layers or min(counts) < 1:
        raise ValueError(f"counts must be {layers} positive numbers, one per layer, got {counts}")
    density = checked_density(density)
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {SCOPES}, got {scope!r}")
    kept = set(layer_numbers("keep", keep, layers))
    pruned = [index for index in range(layers) if index + 1 not in kept]
    if not pruned:
        raise ValueError("keep must leave at least one layer to be pruned")
    if any(populations[index] is None for index in pruned):
        raise ValueError("populations must hold one for each layer that is not kept dense")
    tau, tie = [-math.inf] * layers, [1.0] * layers
    densities = [1.0] * layers
    groups = [pruned] if scope == "global" else [[index] for index in pruned]
    for group in groups:
        members = [_present(populations[index]) for index in group]
        if not any(member.largest > 0.0 for member in members):
            which = "" if scope == "global" else f" of layer {group[0] + 1}"
            raise ValueError(f"scores{which} are all zero: no ranking, hence no threshold")
        weights = np.array([counts[index] for index in group], dtype=np.float64)
        level, share = _solve(members, weights / weights.sum(), float(density))
        for index, member in zip(group, members, strict=True):
            tau[index], tie[index] = level, share
            densities[index] = member.density(level, share)
    sizes = np.array([counts[index] for index in pruned], dtype=np.float64)
    total = float(sizes @ np.array([densities[index] for index in pruned]) / sizes.sum())
    return Thresholds(tuple(tau), tuple(tie), tuple(densities), total, scope)


def lost(densities: Sequence[float], counts: Sequence[int]) -> list[int]:
    """Layers, from 1, of which fewer than half a weight is kept on average."""
    pairs = enumerate(zip(densities, counts, strict=True), start=1)
    return [layer for layer, (density, count) in pairs if density * count < 0.5]


def _present(population: Population | None) -> Population:
    assert population is not None
    return population


def _solve(members: list[Population], weights: Array, density: float) -> tuple[float, float]:
    """The common threshold and the share of the scores equal to it that is kept."""

    members, weights = _mixed(members, weights)

    def kept(tau: float) -> float:
        return float(weights @ np.array([member.kept(tau) for member in members]))

    if density == 1.0:
        return (-math.inf if members[0].signed else 0.0), 1.0
    atom = float(weights @ np.array([member.zero for member in members]))
    positive = kept(0.0)
    if positive <= density <= positive + atom:
        return 0.0, min(1.0, (density - positive) / atom) if atom > 0.0 else 0.0
    sign = 1.0 if density < positive else -1.0
    rest = 0.0 if sign > 0.0 else atom

    def excess(log_level: float) -> float:
        return kept(sign * math.exp(log_level)) + rest - density

    high = math.log(max(member.largest for member in members))
    while sign * excess(high) > 0.0 and high < 700.0:
        high += 1.0
    low = high - 1.0
    while sign * excess(low) < 0.0 and low > -700.0:
        low -= 2.0
    level = brentq(excess, low, high, xtol=1e-12, rtol=1e-12, maxiter=500)
    tau = sign * math.exp(float(level))
    # Samples make steps: on one of them the boundary score is kept with a probability.
    for score in sorted({each for member in members for each in member.near(tau)}):
        step = float(weights @ np.array([member.equal(score) for member in members]))
        missing = density - (kept(score) + rest - step)
        if score * sign > 0.0 and 0.0 <= missing <= step:
            return score, missing / step
    return tau, 0.0


def _mixed(members: list[Population], weights: Array) -> tuple[list[Population], Array]:
    """The same mixture of fewer populations: those of scales become one, if of one law."""
    scales = {
        k: each for k, each in enumerate(members) if isinstance(each, Scales) and each.largest > 0.0
    }
    if len({(each.law, each.signed) for each in scales.values()}) != 1:
        return members, weights
    share = weights[list(scales)]
    mixture = Scales.mixed(list(scales.values()), share / share.sum())
    apart = [k for k in range(len(members)) if k not in scales]
    return [mixture, *(members[k] for k in apart)], np.array([share.sum(), *weights[apart]])


def _classes(flat: torch.Tensor) -> tuple[Array, Array]:
    """Means of the positive values in classes of nearly equal ratio, and the share of each.

    A class is what the leading bits of a number say: its exponent and eight bits of its mantissa.
    """
    values = flat if flat.dtype in _BITS else flat.double()
    kind, shift = _BITS[values.dtype]
    bits = values.view(kind) >> shift
    first = int(bits.min())
    size = int(bits.max()) - first + 1
    counts = torch.zeros(size, dtype=torch.int64, device=flat.device)
    sums = torch.zeros(size, dtype=torch.float64, device=flat.device)
    for codes, part in zip(bits.split(_PART), values.split(_PART), strict=True):
        counts += torch.bincount(codes - first, minlength=size)
        sums += torch.bincount(codes - first, weights=part.double(), minlength=size)
    used = sums > 0.0
    centres = (sums[used] / counts[used]).cpu().numpy()
    return centres, (counts[used].double() / flat.numel()).cpu().numpy()
