"""How many neurons see all of k inputs: the law of that number, with enclosed tails.

The setting is [B] Section 5 (reconstructed). Given the positions of ``k`` chosen inputs, each
neuron of a mask with a *fixed threshold* sees all of them with the core probability ``q``,
independently of the other neurons. So the number of fully connected neurons is

* :class:`BinomialCount` where neurons have random positions (i.i.d. latents),
* :class:`PoissonBinomialCount` where their positions are fixed and their probabilities differ,
* :class:`UniformMaskCount` where every mask with the same number of kept entries is equally
  likely: Random and Magnitude with an exact global count, which makes neurons dependent.

A count is exact global only with a threshold taken from the scores themselves; what that does to
the other criteria is in :mod:`theory.core_dependence`. Tails are enclosed by ball arithmetic.
"""

from __future__ import annotations

import itertools
import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import numpy as np
import sympy as sp
from flint import arb, arb_poly, fmpq, fmpz

from theory.balls import precision

__all__ = [
    "BinomialCount",
    "CountLaw",
    "PoissonBinomialCount",
    "UniformMaskCount",
    "binomial_below",
    "check_count",
    "exact_ball",
    "exact_probability",
]

_MOST_BITS: Final = 4096


def check_count(value: Any, name: str, least: int = 1) -> int:
    """``value`` as an integer of at least ``least``.

    Raises ValueError naming ``name`` otherwise (booleans and floats included).
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral | sp.Integer):
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def exact_probability(value: Any, name: str = "probability") -> Fraction:
    """``value`` as an exact rational in [0, 1].

    Floats are read as the binary fractions that they are, and a ball as its lower end, because
    a width that suffices for a smaller probability suffices. Raises ValueError outside [0, 1]
    and TypeError for what is no number.
    """
    if isinstance(value, arb):
        if not value.is_finite():
            raise ValueError(f"{name} must lie in [0, 1], got {value}")
        mantissa, exponent = (int(part) for part in value.lower().man_exp())
        number = Fraction(mantissa) * Fraction(2) ** exponent
        if number < 0 <= value.upper():
            number = Fraction(0)
    elif isinstance(value, bool):
        raise TypeError(f"{name} must be a number in [0, 1], got {value!r}")
    elif isinstance(value, sp.Rational):
        number = Fraction(int(value.p), int(value.q))
    elif isinstance(value, Fraction | int | np.integer):
        number = Fraction(int(value)) if not isinstance(value, Fraction) else value
    else:
        try:
            number = Fraction(float(value))
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"{name} must be a finite number in [0, 1], got {value!r}") from None
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value}")
    return number


def exact_ball(value: Fraction) -> arb:
    """A ball around a rational, at the working precision."""
    return arb(fmpq(value.numerator, value.denominator))


# --------------------------------------------------------------------------------------- laws


class CountLaw(ABC):
    """The law of a number of fully connected neurons."""

    @property
    @abstractmethod
    def mean(self) -> float:
        """Expected number."""

    @property
    @abstractmethod
    def variance(self) -> float:
        """Variance of the number."""

    @property
    @abstractmethod
    def largest(self) -> int:
        """The width: no more neurons than there are can be fully connected."""

    @abstractmethod
    def _below(self, m: int) -> arb:
        """Enclosure of ``Pr[N < m]`` for ``1 <= m <= largest``, at the working precision."""

    def below(self, m: int, bits: int = 64) -> arb:
        """A ball that contains ``Pr[N < m]``, accurate to ``bits`` (relatively) where possible.

        Raises ValueError for an ``m`` that is no non-negative integer.
        """
        if check_count(m, "m", 0) == 0:
            return arb(0)
        if m > self.largest:
            return arb(1)
        work = bits + 64 + self.largest.bit_length()
        while True:
            with precision(work):
                value = self._below(m)
            enough = value.is_finite() and value.rel_accuracy_bits() >= bits
            if enough or work >= _MOST_BITS + self.largest:
                return value
            work *= 2

    def at_least(self, m: int, bits: int = 64) -> arb:
        """A ball that contains ``Pr[N >= m]``."""
        lower = self.below(m, bits)
        with precision(bits + 64):
            return 1 - lower

    def probability_at_least(self, m: int) -> float:
        """``Pr[N >= m]`` in double precision."""
        return float(self.at_least(m).mid())

    def pmf(self, most: int | None = None) -> np.ndarray:
        """``Pr[N = j]`` for ``j = 0 .. most`` (default: all), float64.

        Differences of certified tails, so absolutely accurate to rounding.
        """
        last = self.largest if most is None else check_count(most, "most", 0)
        tails = [self.below(j) for j in range(last + 2)]
        return np.array([max(0.0, float((b - a).mid())) for a, b in itertools.pairwise(tails)])


@dataclass(frozen=True)
class BinomialCount(CountLaw):
    """``N ~ Binomial(n, q)``: i.i.d. neurons, fixed threshold.

    ``targets`` is the width n, ``probability`` the core probability q (number or ball, of which
    the lower end counts). Raises ValueError for n < 1 or q outside [0, 1].

    >>> law = BinomialCount(10, Fraction(1, 2))
    >>> law.below(1).contains(arb(2) ** -10)
    True
    """

    targets: int
    probability: Any
    _q: Fraction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_count(self.targets, "targets")
        object.__setattr__(self, "_q", exact_probability(self.probability))

    @property
    def mean(self) -> float:
        return float(self.targets * self._q)

    @property
    def variance(self) -> float:
        return float(self.targets * self._q * (1 - self._q))

    @property
    def largest(self) -> int:
        return int(self.targets)

    def _below(self, m: int) -> arb:
        return binomial_below(self.largest, self._q, m)

    def pmf(self, most: int | None = None) -> np.ndarray:
        """``Pr[N = j]`` for ``j = 0 .. most`` (default: all), float64."""
        from scipy.stats import binom

        last = self.largest if most is None else check_count(most, "most", 0)
        return np.asarray(binom.pmf(np.arange(last + 1), self.largest, float(self._q)))


def binomial_below(n: int, q: Fraction, m: int) -> arb:
    """Enclosure of ``sum_{j<m} C(n, j) q^j (1-q)^(n-j)`` at the working precision."""
    if q == 1 or m > n:
        return arb(int(m > n))
    p = exact_ball(q)
    ratio = p / (1 - p)
    term = (arb(fmpz(n)) * (-p).log1p()).exp()
    total = term
    for j in range(1, m):
        term = term * ratio * fmpz(n - j + 1) / j
        total += term
    return total


@dataclass(frozen=True)
class PoissonBinomialCount(CountLaw):
    """Independent neurons with probabilities of their own: fixed positions, fixed threshold.

    ``probabilities`` has shape (n,), floats in [0, 1] read as exact. Raises ValueError for an
    empty vector or values outside [0, 1].
    """

    probabilities: Sequence[float]
    _p: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        values = np.asarray(self.probabilities, np.float64)
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f"probabilities must be a non-empty vector, got shape {values.shape}")
        if not (np.all(values >= 0) and np.all(values <= 1)):
            raise ValueError("probabilities must lie in [0, 1]")
        object.__setattr__(self, "_p", values)

    @property
    def mean(self) -> float:
        return float(self._p.sum())

    @property
    def variance(self) -> float:
        return float((self._p * (1 - self._p)).sum())

    @property
    def largest(self) -> int:
        return int(self._p.size)

    def _below(self, m: int) -> arb:
        factors = [arb_poly([1 - arb(float(p)), arb(float(p))]) for p in self._p]
        while len(factors) > 1:
            paired = [
                _truncated(a * b, m) for a, b in zip(factors[::2], factors[1::2], strict=False)
            ]
            factors = paired + ([factors[-1]] if len(factors) % 2 else [])
        total = arb(0)
        for coefficient in factors[0].coeffs()[:m]:
            total += coefficient
        return total

    def pmf(self, most: int | None = None) -> np.ndarray:
        """``Pr[N = j]`` for ``j = 0 .. most`` (default: all), float64, by adding neurons."""
        last = self.largest if most is None else check_count(most, "most", 0)
        out = np.zeros(last + 1)
        out[0] = 1.0
        for p in self._p:  # sums of positive terms: full relative accuracy
            out[1:] = out[1:] * (1 - p) + out[:-1] * p
            out[0] *= 1 - p
        return out


def _truncated(poly: Any, length: int) -> Any:
    return poly.truncate(length) if poly.length() > length else poly


@dataclass(frozen=True)
class UniformMaskCount(CountLaw):
    """Every mask of shape (n, d) with exactly ``kept`` entries is equally likely.

    This is Random and Magnitude with a global count: neurons are negatively dependent, and
    ``Pr[N >= m] = sum_{j>=m} (-1)^(j-m) C(j-1, m-1) C(n, j) (K)_{jk} / (dn)_{jk}`` with falling
    factorials. ``targets`` n, ``sources`` d, ``inputs`` k <= d, ``kept`` K. Raises ValueError
    for sizes out of range.
    """

    targets: int
    sources: int
    inputs: int
    kept: int

    def __post_init__(self) -> None:
        for name in ("targets", "sources", "inputs"):
            check_count(getattr(self, name), name)
        check_count(self.kept, "kept", 0)
        if self.inputs > self.sources:
            raise ValueError(f"inputs must be at most sources = {self.sources}, got {self.inputs}")
        if self.kept > self.targets * self.sources:
            raise ValueError(f"kept must be at most {self.targets * self.sources}, got {self.kept}")

    def joint(self, j: int) -> Fraction:
        """Probability that ``j`` given neurons are all fully connected, exact.

        Raises ValueError unless ``0 <= j <= targets``.
        """
        if not 0 <= check_count(j, "j", 0) <= self.targets:
            raise ValueError(f"j must lie between 0 and {self.targets}, got {j}")
        size, edges = self.targets * self.sources, j * self.inputs
        if edges > self.kept:
            return Fraction(0)
        return Fraction(math.perm(self.kept, edges), math.perm(size, edges))

    @property
    def mean(self) -> float:
        return float(self.targets * self.joint(1))

    @property
    def variance(self) -> float:
        pair = self.joint(2) if self.targets > 1 else Fraction(0)
        mean, n = self.targets * self.joint(1), self.targets
        return float(mean + n * (n - 1) * pair - mean**2)

    @property
    def largest(self) -> int:
        return int(self.targets)

    def _below(self, m: int) -> arb:
        n, k, size = self.targets, self.inputs, self.targets * self.sources
        from flint import ctx

        with precision(ctx.prec + n):  # the alternating terms are at most 2^n large
            moment, total = arb(1), arb(0)  # moment = C(n, j) * joint(j)
            for j in range(1, min(n, self.kept // k) + 1):
                for i in range((j - 1) * k, j * k):
                    moment = moment * (self.kept - i) / (size - i)
                moment = moment * (n - j + 1) / j
                if j >= m:
                    total += (-1) ** (j - m) * moment * fmpz(math.comb(j - 1, m - 1))
            return 1 - total
