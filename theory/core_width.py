"""How wide a network must be to hold m fully connected neurons with probability 1 - delta.

The number of fully connected neurons is Binomial(n, q) for a fixed threshold (see
:mod:`theory.dense_core`). The least width is certified: every comparison with ``delta`` is
decided by disjoint balls, or by exact integers if balls touch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from flint import arb

from theory.balls import precision
from theory.dense_core import binomial_below, check_count, exact_ball, exact_probability

__all__ = ["check_delta", "chernoff_width", "markov_width", "width"]

_MOST_BITS: Final = 4096
_LARGEST_EXACT: Final = 20_000_000
"""Bits up to which an undecided comparison is settled by exact integers."""


def check_delta(value: Any) -> Fraction:
    """``delta`` as an exact rational strictly between 0 and 1; ValueError otherwise."""
    number = exact_probability(value, "delta")
    if not 0 < number < 1:
        raise ValueError(f"delta must lie strictly between 0 and 1, got {value}")
    return number


def _ceiling(value: Callable[[], arb]) -> int:
    """The least integer above the ball that ``value`` computes; precise for huge values too."""
    bits = 128
    while True:
        with precision(bits):
            upper, lower = value().upper().ceil(), value().lower().ceil()
            whole = upper.unique_fmpz()
            if whole is not None and (upper - lower < 2 or bits >= _MOST_BITS):
                return int(whole)
        bits *= 2


def chernoff_width(probability: Any, m: int, delta: Any) -> int:
    """A width that suffices by Chernoff's bound, in closed form.

    ``n >= (a + l + sqrt(l^2 + 2 a l)) / q`` with ``a = m - 1`` and ``l = log(1/delta)`` gives
    ``Pr[Binomial(n, q) < m] <= delta``. Raises like :func:`width`.
    """
    q, m, delta = _checked(probability, m, delta)

    def bound() -> arb:
        ell = -exact_ball(delta).log()
        return (m - 1 + ell + (ell**2 + 2 * (m - 1) * ell).sqrt()) / exact_ball(q)

    return max(m, _ceiling(bound))


def markov_width(probability: Any, m: int, delta: Any) -> int:
    """A width that is necessary by Markov's inequality: ``n >= m (1 - delta) / q``, and n >= m.

    Raises like :func:`width`.
    """
    q, m, delta = _checked(probability, m, delta)
    return max(m, math.ceil(m * (1 - delta) / q))


def _checked(probability: Any, m: int, delta: Any) -> tuple[Fraction, int, Fraction]:
    q = exact_probability(probability)
    if q == 0:
        raise ValueError("probability must be positive: no width gives a core with probability 0")
    return q, check_count(m, "m"), check_delta(delta)


def width(probability: Any, m: int, delta: Any) -> int:
    """The smallest n with ``Pr[Binomial(n, q) >= m] >= 1 - delta``, certified.

    Parameters
    ----------
    probability: core probability ``q`` in (0, 1]: int, Fraction, float (read as the binary
        fraction it is), SymPy rational or ball (its lower end, so that the width suffices).
    m: neurons wanted, at least 1.
    delta: allowed probability of failure, strictly between 0 and 1.

    The tail falls in n, so bisection between the Markov and the Chernoff width finds it. Raises
    ValueError for q = 0 or anything out of range, ArithmeticError if a comparison with delta is
    too close for balls and too large for exact integers.

    >>> width(Fraction(1, 2), 1, Fraction(1, 1024)), width(0.2**4, 64, 0.01)
    (10, 52532)
    """
    q, m, delta = _checked(probability, m, delta)
    low, high = markov_width(q, m, delta), chernoff_width(q, m, delta)
    if _fails_at_most(low, q, m, delta):
        high = low
    while high - low > 1:
        middle = (low + high) // 2
        if _fails_at_most(middle, q, m, delta):
            high = middle
        else:
            low = middle
    return high


def _fails_at_most(n: int, q: Fraction, m: int, delta: Fraction) -> bool:
    """Whether ``Pr[Binomial(n, q) < m] <= delta``, rigorously."""
    bits = 96 + n.bit_length()
    while bits <= _MOST_BITS + n.bit_length():
        with precision(bits):
            tail, level = binomial_below(n, q, m), exact_ball(delta)
            if tail < level:
                return True
            if tail > level:
                return False
        bits *= 2
    if n * q.denominator.bit_length() > _LARGEST_EXACT:
        raise ArithmeticError(f"delta = {delta} is too close to the tail at n = {n} to decide")
    a, b = q.numerator, q.denominator - q.numerator
    tail_exact = sum(math.comb(n, j) * a**j * b ** (n - j) for j in range(min(m, n + 1)))
    return tail_exact * delta.denominator <= delta.numerator * q.denominator**n
