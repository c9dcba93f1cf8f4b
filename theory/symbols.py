"""The symbols that every expression of the package is written in.

One module owns them, because SymPy tells symbols apart by their assumptions: ``Symbol("x")``
and ``Symbol("x", positive=True)`` are different objects, and a formula written in one cannot
be substituted through the other.

Assumptions are as weak as the formulas allow. ``tau`` and ``t`` are only real, since a signed
saliency rule has a negative threshold above density one half; factors ``r`` and ``c`` and the
ratio ``x = tau / r`` are positive; positions lie in [0, 1] but SymPy has no such assumption,
so they are real and non-negative.
"""

from __future__ import annotations

from typing import Final

import sympy as sp

__all__ = [
    "L",
    "P",
    "V",
    "a",
    "c",
    "d",
    "k",
    "mu",
    "n",
    "p",
    "r",
    "rho",
    "t",
    "tau",
    "u",
    "v",
    "w",
    "x",
    "z",
]

u: Final = sp.Symbol("u", nonnegative=True)
"""Position of a source (input) in [0, 1]."""

v: Final = sp.Symbol("v", nonnegative=True)
"""Position of a target (neuron) in [0, 1]."""

rho: Final = sp.Symbol("rho", positive=True)
"""Density of kept weights, in (0, 1]."""

p: Final = sp.Symbol("p", positive=True)
"""Probability level of a quantile, in (0, 1)."""

tau: Final = sp.Symbol("tau", real=True)
"""Threshold of the score: entries at or above it are kept."""

t: Final = sp.Symbol("t", real=True)
"""Threshold of the noise, ``tau / (r c)``."""

r: Final = sp.Symbol("r", positive=True)
"""Row factor of the score, a property of the source."""

c: Final = sp.Symbol("c", positive=True)
"""Column factor of the score, a property of the target."""

w: Final = sp.Symbol("w", real=True)
"""A weight, in units of its own standard deviation."""

a: Final = sp.Symbol("a", real=True)
"""An output weight."""

x: Final = sp.Symbol("x", positive=True)
"""Ratio ``tau / r`` of threshold and row factor."""

z: Final = sp.Symbol("z", positive=True)
"""Integration variable on the positive half-line."""

d: Final = sp.Symbol("d", integer=True, positive=True)
"""Number of sources."""

n: Final = sp.Symbol("n", integer=True, positive=True)
"""Number of targets."""

k: Final = sp.Symbol("k", integer=True, nonnegative=True)
"""Order of a moment or index of a step."""

L: Final = sp.Symbol("L", integer=True, positive=True)
"""Number of hidden layers."""

P: Final = sp.Function("P", nonnegative=True)
"""Mask graphon ``P(u, v) = E[M | u, v]``, when it is left symbolic."""

V: Final = sp.Function("V", nonnegative=True)
"""Variance graphon ``V(u, v) = E[w^2 M | u, v]``, when it is left symbolic."""

mu: Final = sp.Function("mu", real=True)
"""Mean graphon ``mu(u, v) = E[w M | u, v]``, when it is left symbolic."""
