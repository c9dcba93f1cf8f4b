"""The weight laws with every parameter a symbol, as the proofs of this package use them.

The two families whose textbook parameter is rescaled to a standard deviation are taken with that
parameter free (``FreeStudent``, ``FreeTruncated``): SymPy cannot see that the rescaling is
positive for every cut, and the formulas are the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import sympy as sp

from theory.laws import Gaussian, Laplace, Law, StudentT, TruncatedNormal, Uniform

__all__ = ["BETA", "DELTA", "GENERIC", "HALF", "KAPPA", "SHIPPED", "Q", "T", "W", "X", "generic"]

BETA: Final = sp.Symbol("beta", positive=True)
DELTA: Final = sp.Symbol("delta", positive=True)
KAPPA: Final = sp.Symbol("kappa", positive=True)
X: Final = sp.Symbol("x", positive=True)
W: Final = sp.Symbol("w", real=True)
T: Final = sp.Symbol("t", real=True)
Q: Final = sp.Rational
HALF: Final = sp.Rational(1, 2)


class FreeStudent(StudentT):
    """Student's law with the textbook scale as a free parameter."""

    @property
    def unit(self) -> sp.Expr:
        return BETA

    @property
    def scale(self) -> sp.Expr:
        return BETA * sp.sqrt(self.df / (self.df - 2))


class FreeTruncated(TruncatedNormal):
    """The truncated normal with the deviation before the cut as a free parameter."""

    @property
    def base(self) -> sp.Expr:
        return BETA

    @property
    def scale(self) -> sp.Expr:
        kept = 2 * self.cut * sp.exp(-(self.cut**2) / 2) / sp.sqrt(2 * sp.pi)
        return BETA * sp.sqrt(1 - kept / self.mass)


GENERIC: Final[dict[str, Callable[[], Law]]] = {
    "gaussian": lambda: Gaussian(BETA),
    "uniform": lambda: Uniform(BETA),
    "truncated_normal": lambda: FreeTruncated(KAPPA),
    "laplace": lambda: Laplace(BETA),
    "student_t": lambda: FreeStudent(2 + DELTA),
}

SHIPPED: Final[dict[str, tuple[Law, ...]]] = {
    "gaussian": (Gaussian(),),
    "uniform": (Uniform(),),
    "truncated_normal": (TruncatedNormal(),),
    "laplace": (Laplace(),),
    "student_t": (StudentT(Q(5, 2)), StudentT(5)),
}


def generic(name: str) -> Law:
    """The law called ``name`` with every parameter a symbol, as it is used in the proofs."""
    return GENERIC[name]()
