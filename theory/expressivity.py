"""What a limit graphon can express: active inputs, edge floors, core probabilities.

[B] Section 5 (reconstructed) turns a limit graphon P into a statement about sparse networks:
where ``P >= p > 0`` on a set ``A x B`` of sources and targets, neurons of B see ``k`` inputs of
A with probability at least ``p^k``, so wide networks hold a dense one on those inputs. Here are
the ingredients, for any criterion: which inputs are active at all, how large ``p`` can be for
sets of given measure, and the exact probability ``q = int prod_i P(u_i, v) dv`` of which
``|B| p^k`` is a lower bound.

Soft criteria (Gaussian weights) have P > 0 everywhere, yet no positive floor on the whole
square; rules on weights of bounded support leave inputs with P = 0, which nothing can reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp
from flint import arb, fmpq
from numpy.typing import NDArray

from theory.averages import moment_values, nodes_given
from theory.balls import precision
from theory.certify import ball, enclose, integrate
from theory.dense_core import PoissonBinomialCount, check_count, exact_probability
from theory.factor_range import FactorRange, check_share, factor_range
from theory.limit import LimitGraphon
from theory.profiles import EmpiricalProfile, HalfNormalProfile, Profile
from theory.saliency import MagnitudeRule, OffsetRule, SaliencyModel, SignedRule
from theory.symbols import c, r, tau

__all__ = [
    "ActiveSet",
    "active_coordinates",
    "core_probability",
    "core_probability_ball",
    "direction",
    "factors_of",
    "fixed_count",
    "floor_probability",
    "least_factor",
]

Array = NDArray[np.float64]


def check_limit(limit: Any) -> LimitGraphon:
    """``limit`` itself; TypeError unless it is a LimitGraphon, ValueError if it is symbolic."""
    if not isinstance(limit, LimitGraphon):
        raise TypeError(f"limit must be a theory.limit.LimitGraphon, got {type(limit).__name__}")
    if limit.density.free_symbols:
        raise ValueError(f"limit must have a number as density, got {limit.density}")
    return limit


def constant_value(limit: LimitGraphon) -> float | None:
    """The value of a graphon that is constant because both its factors are, else None."""
    return float(limit.density) if _constant(limit.model) else None


@lru_cache(maxsize=256)
def _constant(model: SaliencyModel) -> bool:
    if not model.weight_is_noise:
        return True
    return model.row.constant is not None and model.column.constant is not None


def direction(limit: LimitGraphon) -> int | None:
    """How P depends on the factors: 1 if it grows with both, -1 if it falls with both.

    0 where P is constant, None where it grows with the column factor only (an offset rule). A
    signed rule changes direction at density one half.
    """
    limit = check_limit(limit)
    if constant_value(limit) is not None or limit.density == 1:
        return 0
    if isinstance(limit.model.rule, OffsetRule):
        return None
    if isinstance(limit.model.rule, SignedRule):
        return int(np.sign(limit.tau))
    if isinstance(limit.model.rule, MagnitudeRule):
        return 1
    raise ValueError(f"rule {limit.model.rule.name!r} is not known to be monotone in its factors")


# --------------------------------------------------------------------------------- active inputs


@dataclass(frozen=True)
class ActiveSet:
    """The inputs with ``P(u, v) > 0`` for a positive share of the targets.

    They are those whose row factor is above ``factor_above`` (or any, if that is None).
    ``measure`` is their share; ``exact`` says whether it is exact or counted on a fine grid.
    """

    factor_above: float | None
    measure: float
    exact: bool

    def contains(self, factors: Any) -> NDArray[np.bool_]:
        """Whether inputs with these row factors are active, elementwise."""
        values = np.asarray(factors, np.float64)
        if self.factor_above is None:
            return np.ones(values.shape, bool)
        return np.asarray(values > self.factor_above)

    def count(self, factors: Any) -> int:
        """How many of the given inputs are active."""
        return int(self.contains(factors).sum())


def active_coordinates(limit: LimitGraphon) -> ActiveSet:
    """The active inputs of a limit graphon ([B] Section 5, reconstructed).

    With a weight law of unbounded support every input of positive factor is active; with one
    of half-width h an input is active iff ``r h C > tau`` (C the largest column factor), with an
    offset B iff ``h (r + B h) C > tau``. For ``tau <= 0`` all are.

    Raises TypeError for no limit graphon, ValueError for a symbolic density.
    """
    limit = check_limit(limit)
    model, level = limit.model, limit.tau
    if not model.weight_is_noise or level <= 0:
        return ActiveSet(None, 1.0, True)
    half = float(model.noise.half_width)
    top = factor_range(model.column).highest
    if np.isinf(half) or np.isinf(top):
        bar = 0.0
    else:
        bar = level / (half * top)
    if isinstance(model.rule, OffsetRule):
        if bar == 0.0:
            return ActiveSet(None, 1.0, True)
        bar -= float(model.rule.offset) * half
        if bar < 0:
            return ActiveSet(None, 1.0, True)
    rows = factor_range(model.row)
    return ActiveSet(bar, rows.share_above(bar), rows.exact)


def least_factor(limit: LimitGraphon, share: Any) -> float:
    """The worst row factor among the best ``share`` of the inputs.

    Best means densest: the largest factors, or the smallest where a signed rule has turned over.
    Every input of that share sees each neuron with at least the probability of this factor.
    Raises ValueError where the rule is not monotone in the row factor.
    """
    limit, share = check_limit(limit), check_share(share)
    way = direction(limit)
    rows: FactorRange = factor_range(limit.model.row)
    if way is None:
        raise ValueError("limit must be monotone in the row factor; an offset rule is not")
    return rows.from_below(share) if way < 0 else rows.from_above(share)


# ---------------------------------------------------------------------------- core probability


def _row_factors(limit: LimitGraphon, positions: Any, factors: Any) -> Array:
    if (positions is None) == (factors is None):
        raise ValueError("exactly one of positions and factors must be given")
    name = "positions" if factors is None else "factors"
    try:
        values = np.asarray(positions if factors is None else factors, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a vector of numbers: {error}") from None
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {values.shape}")
    if factors is None:
        if not (np.all(values > 0) and np.all(values < 1)):
            raise ValueError("positions must lie strictly between 0 and 1")
        return np.asarray(limit.model.row(values))
    if not (np.all(np.isfinite(values)) and np.all(values >= 0)):
        raise ValueError("factors must be finite and non-negative")
    return values


def core_probability(limit: LimitGraphon, *, positions: Any = None, factors: Any = None) -> float:
    """``q = int prod_i P(u_i, v) dv``: the chance that a neuron sees all of the chosen inputs.

    Parameters
    ----------
    positions: positions of the k inputs in (0, 1), shape (k,); or
    factors: their row factors, non-negative. Exactly one of the two.

    By quadrature in double precision: relative accuracy about 1e-10 down to 1e-25 for smooth
    rules (1e-5 for noise of bounded support with several different factors); smaller values
    need :func:`core_probability_ball`. Raises ValueError and TypeError for bad arguments.
    """
    limit = check_limit(limit)
    rr = _row_factors(limit, positions, factors)
    constant = constant_value(limit)
    if constant is not None:
        return float(constant**rr.size)
    # Noise of bounded support: the product opens where its weakest factor does.
    weakest = np.array([rr.min()]) if limit.model.factorised else rr[:1]
    values, weights = nodes_given(limit.model, "column", weakest, limit.tau)
    kinds, counts = np.unique(rr, return_counts=True)
    each = moment_values(limit.model, 0, kinds[:, None], values[0][None, :], limit.tau)
    with np.errstate(under="ignore"):
        return float((np.clip(each, 0, 1) ** counts[:, None]).prod(axis=0) @ weights[0])


def core_probability_ball(
    limit: LimitGraphon, *, positions: Any = None, factors: Any = None, precise: bool = False
) -> arb:
    """An enclosure of the core probability.

    Exact for constant graphons, a finite sum where the column factors are a sample, rigorous
    quadrature with both tails bounded where they are half-normal. The threshold enters as a ball
    around its solution in double precision, of relative radius 1e-11, ten times the error that
    :func:`theory.threshold.solve` states (1e-4 where it states 1e-5); with ``precise`` around its
    solution to 20 digits, of radius 1e-18 (seconds; weights of unbounded support only).
    Everything after it is enclosed.

    Raises ValueError for other columns and for rules that are no one- or two-sided tail.
    """
    limit = check_limit(limit)
    rr = _row_factors(limit, positions, factors)
    if not limit.model.weight_is_noise or constant_value(limit) is not None:
        share = exact_probability(limit.density, "density")
        with precision(256):
            return arb(fmpq(share.numerator, share.denominator)) ** int(rr.size)
    if limit.density == 1:
        return arb(1)
    if not isinstance(limit.model.rule, MagnitudeRule | SignedRule):
        raise ValueError(f"rule {limit.model.rule.name!r} has no certified core probability")
    if limit.tau > 0 and rr.min() == 0:
        return arb(0)
    kinds, counts = np.unique(rr, return_counts=True)
    mask = limit.model.rule.moment(limit.model.noise, 0, tau)
    product = sp.Mul(
        *(mask.subs(r, sp.Rational(float(x))) ** int(k) for x, k in zip(kinds, counts, strict=True))
    )
    level_ball = _threshold_ball(limit, precise)
    column = limit.model.column
    if column.constant is not None:
        return enclose(product.subs(c, column.constant), {tau: level_ball})
    if isinstance(column, EmpiricalProfile):
        values, weights = column.nodes()
        total = arb(0)
        for value, weight in zip(values, weights, strict=True):
            if value == 0.0:
                term = arb(0 if limit.tau > 0 else 1)
            else:
                term = enclose(product, {tau: level_ball, c: sp.Rational(float(value))})
            total += term * arb(float(weight), float(weight) * 2.0**-50)  # counts over the size
        return total
    if isinstance(column, HalfNormalProfile):
        return _half_normal_core(limit, product, kinds, counts, level_ball, column.scale)
    raise ValueError(
        f"limit must have constant, half-normal or sampled column factors, got {column!r}"
    )


def _threshold_ball(limit: LimitGraphon, precise: bool) -> arb:
    """The threshold with ten times the error that its solver states."""
    model = limit.model
    smooth = model.noise.half_width is sp.oo
    exact_row = isinstance(model.row, HalfNormalProfile | EmpiricalProfile)
    digits = 18 if precise and smooth else 11
    if not (smooth or exact_row or _is_constant(model.row)):
        # Kinks of bounded noise average out only over a half-normal factor.
        digits = 11 if isinstance(model.column, HalfNormalProfile) else 4
    level = limit.threshold.evalf(20) if digits == 18 else sp.Rational(limit.tau)
    with precision(128):
        centre = ball(level, 128)
        return centre + abs(centre) * arb(10) ** -digits * arb(0, 1)


def _is_constant(profile: Profile) -> bool:
    return profile.constant is not None


def _half_normal_core(
    limit: LimitGraphon, product: sp.Expr, kinds: Array, counts: Any, level: arb,
    scale: sp.Expr,
) -> arb:  # fmt: skip
    """``int_0^oo prod P(r_i, s g) sqrt(2/pi) exp(-g^2/2) dg`` with both tails bounded.

    Below the lower cut the product is at most its value there (1 if it falls with c), above the
    upper cut at most one; the cuts are moved out until that is small beside the integral.
    """
    g = sp.Symbol("g", positive=True)
    integrand = product.subs(c, scale * g) * sp.sqrt(2 / sp.pi) * sp.exp(-(g**2) / 2)
    density = product.subs(c, scale * g)
    peak, top = _peak(limit, kinds, counts, float(scale))
    with precision(160):
        goal = arb(top).exp() * arb(10) ** -16  # beside the size of the integrand
    high = peak + 1.0
    while not enclose(sp.erfc(sp.Rational(high) / sp.sqrt(2))) < goal / 8:
        high *= 1.2
    low = min(peak, 1.0) / 2
    rising = limit.tau > 0
    while True:
        cut = sp.Rational(low)
        below = enclose(density, {g: cut, tau: level}) if rising else arb(1)
        lost = below * enclose(sp.erf(cut / sp.sqrt(2)))
        if lost < goal / 8 or low < 1e-60:
            break
        low /= 1.3 if rising else 16
    marks = [x for x in (peak / 2, peak, (peak + high) / 2) if low < x < high]
    split = tuple(sp.Rational(x) for x in marks)
    with precision(160):
        aim = goal.mid()
    inner = integrate(integrand, g, cut, sp.Rational(high), {tau: level}, 96, split, aim)
    with precision(160):
        rest = enclose(sp.erfc(sp.Rational(high) / sp.sqrt(2)))
        return inner + arb(0).union(lost.upper()) + arb(0).union(rest.upper())


def _peak(limit: LimitGraphon, kinds: Array, counts: Any, scale: float) -> tuple[float, float]:
    """Where the integrand of the core probability is largest, and its logarithm there.

    Logarithms of tails come from mpmath, which does not underflow.
    """
    noise, level = limit.model.noise, limit.tau
    t = sp.Symbol("t", positive=True)
    signed = isinstance(limit.model.rule, SignedRule)
    tail = (noise.survival if signed else noise.two_sided_survival)(t if level > 0 else -t)
    function = sp.lambdify(t, tail, "mpmath")

    def height(x: float) -> float:
        total = mp.mpf(-0.5) * x**2
        for factor, count in zip(kinds, counts, strict=True):
            value = function(mp.mpf(abs(level)) / (factor * scale * x)) if factor > 0 else 1
            total += int(count) * mp.log(value) if value > 0 else mp.mpf("-inf")
        return float(total)

    grid = np.geomspace(1e-3, 1e3, 121)
    heights = [height(x) for x in grid]
    best = int(np.argmax(heights))
    if not np.isfinite(heights[best]):
        raise ValueError("factors must not be so small that the core probability underflows")
    return float(grid[best]), heights[best]


def floor_probability(limit: LimitGraphon, k: int, share: Any) -> tuple[float, float]:
    """The best bound ``|B| p^k`` for k inputs of the best ``share``: its value and ``|B|``.

    The maximum of ``beta * floor(share, beta)^k`` over the measure beta of the targets, in
    double precision (0 where it underflows): what Lemma 5.6's argument guarantees, to be
    compared with the exact core probability.
    """
    k, factor = check_count(k, "k"), least_factor(limit, share)
    constant = constant_value(limit)
    if constant is not None:
        return float(constant**k), 1.0
    edges, measure = factor_range(limit.model.column).best_sets(falling=direction(limit) == -1)
    each = moment_values(limit.model, 0, np.array([factor]), edges, limit.tau)
    with np.errstate(under="ignore"):
        bounds = measure * each**k
    best = int(np.argmax(bounds))
    return float(bounds[best]), float(measure[best])


def fixed_count(limit: LimitGraphon, factors: Any, columns: Any) -> PoissonBinomialCount:
    """The count law of a network whose targets' factors are known: Poisson-binomial.

    ``factors`` (k,) are the row factors of the chosen inputs, ``columns`` (n,) the column
    factors of all targets, e.g. ``|a_j|`` of a real network; the threshold is the limit's. Raises
    ValueError for factors that are negative, not finite or empty.
    """
    limit = check_limit(limit)
    rr = _row_factors(limit, None, factors)
    cc = np.asarray(columns, np.float64)
    if cc.ndim != 1 or cc.size == 0 or not (np.all(np.isfinite(cc)) and np.all(cc >= 0)):
        raise ValueError("columns must be a non-empty vector of finite non-negative numbers")
    each = moment_values(limit.model, 0, rr[:, None], cc[None, :], limit.tau)
    return PoissonBinomialCount(np.clip(each, 0.0, 1.0).prod(axis=0))


def factors_of(limit: LimitGraphon, k: int, share: Any) -> Sequence[float]:
    """k copies of the worst factor in the best ``share``: the least core probability there."""
    return [least_factor(limit, share)] * check_count(k, "k")
