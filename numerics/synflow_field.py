"""SynFlow at infinite width, round by round; its linear response; what lives below the transition.

The graphon of each layer is constant there: one cut s_l on |w|, hence one density. Path sums of
layer l's neurons are equal, and its edges share one flow, so the cut of matrix l is proportional
to its number of (living) edges and to ``J(s) = E[|w|; |w| >= s]``:

    s_l = c n_l n_{l-1} J(s_l),   c one number for all layers (global threshold).

Expressions are those of :mod:`theory.synflow`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gamma, ndtri, pbdv

from numerics.evaluate import numpy_function
from numerics.ranking import kept_count
from numerics.synflow import SCOPES, layers_left, scheduled
from theory import synflow as theory
from theory.law_base import Law
from theory.laws import Gaussian
from theory.rewrite import restrict

__all__ = ["Field", "QuasiStatic", "RoundByRound", "excess_curve", "quasi_static", "rounds"]

Array = NDArray[np.float64]
_S = sp.Symbol("s", positive=True)
_EDGE = 1.0 - 1e-9  # cuts stay this share inside a bounded support


class Field:
    """The functions of the cut that the recursions need, compiled for one law of |w|.

    Each takes and returns float64 arrays: ``kept`` is Pr[|w| >= s], ``mean`` is E[|w|; |w| >= s],
    ``second`` is E[w^2; |w| >= s], ``gain`` is G(s).
    """

    def __init__(self, law: Law | None = None) -> None:
        self.law = Gaussian() if law is None else law
        width = self.law.half_width
        self.top = math.inf if width is sp.oo else float(width) * _EDGE

        def compiled(expr: sp.Expr) -> Any:
            inside = expr if width is sp.oo else restrict(expr, _S, 0, width)
            return numpy_function(inside, [_S])

        self.kept = compiled(self.law.two_sided_survival(_S))
        self.mean = compiled(2 * self.law.mean_above(_S))
        self.second = compiled(self.law.two_sided_second(_S))
        self.gain = compiled(theory.gain(self.law, _S))

    @cached_property
    def _table(self) -> tuple[Array, Array]:
        """Logarithms of s / J(s), which increases, and of s."""
        high = self.top if math.isfinite(self.top) else float(self.kept_below(1e-12))
        log_cut = np.log(np.geomspace(1e-6, high, 20_000))
        return log_cut - np.log(self.mean(np.exp(log_cut))), log_cut

    def kept_below(self, density: float) -> float:
        """A cut that leaves less than ``density``."""
        cut = 1.0
        while float(self.kept(cut)) >= density:
            cut *= 1.5
        return cut

    def own_cut(self, strength: Array) -> Array:
        """The cuts with ``s = strength * J(s)``, interpolated; strengths are positive."""
        return np.asarray(np.exp(np.interp(np.log(strength), *self._table)), dtype=float)


@dataclass(frozen=True)
class RoundByRound:
    """The recursion's cuts, densities and gains, float64 of shape (rounds + 1, layers).

    Row 0 is the network before the first round. A layer that is not pruned has cut and gain 0.
    """

    widths: tuple[int, ...]
    field: Field
    cuts: Array
    densities: Array
    gains: Array

    @property
    def feedback(self) -> Array:
        """``G_l G_{l+1}`` of each hidden layer after each round, (rounds + 1, L).

        Above 1, deviations of that layer's neurons grow from round to round.
        """
        return self.gains[:, :-1] * self.gains[:, 1:]

    def spread(self, step: int = -1) -> tuple[Array, Array]:
        """Standard deviations of log in-sums and of log out-sums in each hidden layer, (L,) each.

        To first order in the deviations, at these widths, after round ``step``: exact about the
        number of rounds, since a mask made with the sums of one round is felt in the next.
        """
        last = range(len(self.cuts))[step]
        layers = self.cuts.shape[1]
        above = np.empty(layers - 1)
        below = np.empty(layers - 1)
        for hidden in range(layers - 1):
            first, second = hidden, hidden + 1  # matrices into and out of the neuron
            sources, targets = self.widths[hidden], self.widths[hidden + 2]
            above[hidden] = self._deviation(last, first, second, sources, targets)
            below[hidden] = self._deviation(last, second, first, targets, sources)
        return above, below

    def _deviation(self, last: int, own: int, other: int, near: int, far: int) -> float:
        """Standard deviation of the sum through matrix ``own``, fed back through ``other``."""
        steps = np.arange(last, -1, -1)
        through = np.where(np.arange(last + 1) % 2 == 0, own, other)
        factors = np.concatenate(([1.0], self.gains[steps, through][:-1]))
        chain = np.cumprod(factors)
        total = 0.0
        for matrix, parity, terms in ((own, 0, near), (other, 1, far)):
            cut = self.cuts[steps[parity::2], matrix]
            weight = chain[parity::2]
            mean = self.field.mean(cut)
            shared = self.field.second(np.maximum(cut[:, None], cut[None, :]))
            noise = shared / (mean[:, None] * mean[None, :]) - 1.0
            total += float(weight @ noise @ weight) / terms
        return math.sqrt(total)


def _sizes(widths: Sequence[int]) -> tuple[int, ...]:
    if len(widths) < 2 or any(isinstance(n, bool) or int(n) != n or n < 1 for n in widths):
        raise ValueError(f"widths must be two positive whole numbers or more, got {widths!r}")
    return tuple(int(n) for n in widths)


def rounds(
    widths: Sequence[int],
    density: float,
    *,
    rounds: int = 100,
    schedule: str = "exponential",
    scope: str = "global",
    keep: Collection[int] = (),
    law: Law | None = None,
) -> RoundByRound:
    """The mean-field recursion of :func:`numerics.synflow.synflow`, same arguments.

    ``widths`` are ``(d, n_1, .., outputs)``; their products weigh the layers. ``law`` is that of
    the weights, standard normal by default (scales of layers do not matter). Raises ValueError
    like ``synflow``.
    """
    sizes = _sizes(widths)
    kept_count(density, 1)
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {SCOPES}, got {scope!r}")
    edges = np.array([n * d for d, n in pairwise(sizes)], dtype=float)
    pruned = layers_left(keep, len(edges))
    groups = [pruned] if scope == "global" else [[index] for index in pruned]
    field = Field(law)
    cuts = np.zeros((rounds + 1, len(edges)))
    for step in range(1, rounds + 1):
        goal = scheduled(density, step, rounds, schedule)
        cuts[step] = cuts[step - 1]
        for group in groups:
            before = cuts[step - 1, group]
            reach = edges[group] * field.mean(before)
            cuts[step, group] = _common_cut(field, before, reach, edges[group], goal)
    gains = np.where(cuts > 0.0, field.gain(np.maximum(cuts, 1e-300)), 0.0)
    return RoundByRound(sizes, field, cuts, np.asarray(field.kept(cuts), dtype=float), gains)


def _common_cut(field: Field, before: Array, reach: Array, edges: Array, goal: float) -> Array:
    """Cuts ``max(before, c reach)`` with c such that the share ``goal`` of all edges is left."""

    def cuts(log_c: float) -> Array:
        found: Array = np.minimum(np.maximum(before, math.exp(log_c) * reach), field.top)
        return found

    def gap(log_c: float) -> float:
        return float(edges @ field.kept(cuts(log_c))) / float(edges.sum()) - goal

    low = high = -math.log(float(reach.max()))
    while gap(low) < 0.0 and low > -700.0:
        low -= 1.0
    while gap(high) > 0.0 and high < 700.0:
        high += 1.0
    return cuts(float(brentq(gap, low, high, xtol=1e-14)) if gap(low) > 0.0 else low)


@dataclass(frozen=True)
class QuasiStatic:
    """States of the slowly cut network at infinite width, one row for each density asked for.

    densities: of each matrix. cuts: the largest that each matrix has seen. alive: share of the
    neurons of each hidden layer that have not died. All float64.
    """

    densities: Array
    cuts: Array
    alive: Array


def quasi_static(
    widths: Sequence[int],
    densities: Sequence[float],
    *,
    keep: Collection[int] = (),
    law: Law | None = None,
    step: float = 1e-3,
) -> QuasiStatic:
    """What is left of a network cut infinitely slowly, at infinite width and global threshold.

    As long as ``G_l G_{l+1} < 1`` in each hidden layer, all neurons are alike. Where the product
    would exceed 1, neurons die one after another, which thins out the flow and lowers the cuts of
    the matrices on both sides, until it does not. A cut that has been lowered drops no edge and
    has no gain. ``densities`` (of the pruned layers) must fall; ``step`` is the step in the
    logarithm of the common cut, and about the error of the logarithms of the results.

    Raises ValueError for densities outside (0, 1) or not falling, and bad widths or layers.
    """
    sizes = _sizes(widths)
    goals = [float(density) for density in densities]
    if not goals or not all(0.0 < g < 1.0 for g in goals) or sorted(goals, reverse=True) != goals:
        raise ValueError(f"densities must lie in (0, 1) and fall, got {list(densities)!r}")
    if not 0.0 < step <= 0.1:
        raise ValueError(f"step must lie in (0, 0.1], got {step}")
    edges = np.array([n * d for d, n in pairwise(sizes)], dtype=float)
    pruned = np.zeros(len(edges), dtype=bool)
    pruned[layers_left(keep, len(edges))] = True
    share = np.where(pruned, edges, 0.0) / edges[pruned].sum()
    field = Field(law)
    alive = np.ones(len(sizes))  # of inputs, hidden layers, outputs
    peak = np.zeros(len(edges))
    log_c = math.log(1e-2 / float((edges * field.mean(0.0)).max()))
    found: list[tuple[Array, Array, Array]] = []
    while len(found) < len(goals):
        log_c += step
        while True:
            strength = math.exp(log_c) * edges * alive[1:] * alive[:-1]
            rising = pruned & (strength * field.mean(peak) >= peak)
            now = np.where(rising, field.own_cut(strength), peak)
            gains = np.where(rising, field.gain(np.maximum(now, 1e-300)), 0.0)
            feedback = gains[:-1] * gains[1:]
            if not len(feedback) or feedback.max() < 1.0:
                break
            alive[int(feedback.argmax()) + 1] *= 1.0 - step / 4.0
        peak = now
        left = alive[1:] * alive[:-1] * np.where(pruned, field.kept(peak), 1.0)
        while len(found) < len(goals) and float(share @ left) <= goals[len(found)]:
            found.append((left.copy(), peak.copy(), alive[1:-1].copy()))
    states = zip(*found, strict=True)
    return QuasiStatic(*(np.array(rows) for rows in states))


def excess_curve(dead: Any, law: Law | None = None) -> Array:
    """:func:`theory.synflow.living_excess` at shares of dead neurons, float64 of their shape.

    Finite-size scaling of one hidden layer: the same numbers for every width. Shares in (0, 1);
    ValueError otherwise. By the parabolic cylinder function, held to the integral by a test.
    """
    share = np.asarray(dead, dtype=float)
    if not ((share > 0.0) & (share < 1.0)).all():
        raise ValueError("dead must lie strictly between 0 and 1")
    chosen = Gaussian() if law is None else law
    cut = theory.critical_cut(chosen)
    deviation = math.sqrt(float(theory.edge_noise(chosen, cut).evalf()) / 2.0)
    strength = float(theory.cut_strength(chosen, cut).evalf())
    amplitude = strength * math.sqrt(2.0 * deviation / float(theory.curvature(chosen, cut).evalf()))
    x = ndtri(share)
    root = gamma(1.5) / math.sqrt(2.0 * math.pi) * np.exp(-(x**2) / 4.0) * pbdv(-1.5, x)[0]
    return np.asarray(amplitude * root / (1.0 - share), dtype=float)
