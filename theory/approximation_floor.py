"""Errors that no width removes: functions of inactive inputs, and even parts without bias.

A network that sees only the active inputs ``x_A`` has mean squared error at least
``E Var(y | x_A)``, and reaches it only as ``E[y | x_A]``. Inputs are independent standard
normals. Polynomials are averaged exactly, other functions by Gauss-Hermite rules.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

__all__ = ["ApproximationFloor", "gaussian_mean", "inactive_floor", "parity_floor"]

_ORDER = 60
_MOST_VARIABLES = 3


@dataclass(frozen=True)
class ApproximationFloor:
    """The least mean squared error and the function that attains it.

    ``value`` is exact (a SymPy expression) for polynomials, else a SymPy float; ``best`` is that
    function, or None where it has no closed form. ``total`` is ``E y^2``.
    """

    value: sp.Expr
    best: sp.Expr | None
    total: sp.Expr

    @property
    def relative(self) -> float:
        """The floor as a share of ``E y^2``."""
        return float(self.value / self.total)


def _function(target: Any) -> sp.Expr:
    try:
        expr = sp.sympify(target)
    except (sp.SympifyError, TypeError) as error:
        raise TypeError(f"target must be a SymPy expression, got {target!r}") from error
    if not isinstance(expr, sp.Expr):
        raise TypeError(f"target must be a SymPy expression, got {target!r}")
    return expr


def _symbols(names: Any, argument: str) -> tuple[sp.Symbol, ...]:
    chosen = (
        tuple(names) if isinstance(names, Iterable) and not isinstance(names, str) else (names,)
    )
    if not all(isinstance(each, sp.Symbol) for each in chosen):
        raise TypeError(f"{argument} must hold SymPy symbols, got {names!r}")
    return chosen


def gaussian_mean(expr: Any, variables: Any) -> sp.Expr:
    """``E`` over independent standard normal ``variables``: exact for polynomials in them.

    Otherwise by a Gauss-Hermite rule of 60 nodes per variable, which needs an expression in at
    most three variables and no other symbol. Raises ValueError where neither applies.
    """
    function, chosen = _function(expr), _symbols(variables, "variables")
    chosen = tuple(x for x in chosen if function.has(x))
    if not chosen:
        return function
    if function.is_polynomial(*chosen):
        polynomial = sp.Poly(function, *chosen)
        return sp.Add(
            *(
                coefficient * sp.Mul(*(_moment(power) for power in powers))
                for powers, coefficient in polynomial.terms()
            )
        )
    if function.free_symbols - set(chosen):
        raise ValueError(f"expr must be a polynomial in {chosen} or have no other symbols")
    if len(chosen) > _MOST_VARIABLES:
        raise ValueError(f"expr must have at most {_MOST_VARIABLES} variables, got {len(chosen)}")
    values, weights = _tensor(len(chosen))
    return sp.Float(float(weights @ _values(function, chosen, values)))


def _moment(power: int) -> sp.Expr:
    return sp.S.Zero if power % 2 else sp.factorial2(power - 1)


def _tensor(count: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(_ORDER)
    weights = weights / weights.sum()
    grid = np.array(list(itertools.product(nodes, repeat=count)))
    return grid, np.prod(list(itertools.product(weights, repeat=count)), axis=1)


def _values(function: sp.Expr, names: tuple[sp.Symbol, ...], at: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        found = sp.lambdify(names, function, ["scipy", "numpy"])(*at.T)
    values = np.broadcast_to(np.asarray(found, np.float64), at.shape[:1])
    if not np.isfinite(values).all():
        raise ValueError("target must be finite for all inputs; it has NaN or infinity")
    return values


def inactive_floor(target: Any, inactive: Any) -> ApproximationFloor:
    """The least error of any function of the other inputs: ``E Var(target | active)``.

    ``target`` is a SymPy expression in input symbols, ``inactive`` the symbols that no neuron
    sees. Zero if the target does not need them. Raises TypeError for wrong types and ValueError
    for functions that can be averaged neither exactly nor by quadrature.

    >>> x, y = sp.symbols("x y")
    >>> inactive_floor(x + x * y, y).value
    1
    """
    function, hidden = _function(target), _symbols(inactive, "inactive")
    hidden = tuple(x for x in hidden if function.has(x))
    seen = tuple(sorted(function.free_symbols - set(hidden), key=str))
    total = gaussian_mean(sp.expand(function**2), seen + hidden)
    if not hidden:
        return ApproximationFloor(sp.S.Zero, function, total)
    if function.is_polynomial(*hidden):
        best = sp.expand(gaussian_mean(sp.expand(function), hidden))
        attained = gaussian_mean(sp.expand(best**2), seen)
        return ApproximationFloor(sp.simplify(total - attained), best, total)
    if len(seen) + len(hidden) > _MOST_VARIABLES:
        raise ValueError(f"target must have at most {_MOST_VARIABLES} inputs unless polynomial")
    outer, outer_weights = _tensor(len(seen))
    inner, inner_weights = _tensor(len(hidden))
    pairs = np.hstack((np.repeat(outer, len(inner), axis=0), np.tile(inner, (len(outer), 1))))
    values = _values(function, seen + hidden, pairs).reshape(len(outer), len(inner))
    mean = values @ inner_weights
    spread = ((values - mean[:, None]) ** 2) @ inner_weights
    return ApproximationFloor(sp.Float(float(outer_weights @ spread)), None, total)


def parity_floor(target: Any, *, odd: bool = True) -> ApproximationFloor:
    """The least error of odd functions (or of even ones): the mean square that is left.

    What a network without bias reaches with an odd activation (tanh, erf), or an even one, at
    any width. Raises like :func:`inactive_floor`.
    """
    function = _function(target)
    names = tuple(sorted(function.free_symbols, key=str))
    mirrored = function.subs({x: -x for x in names}, simultaneous=True)
    reached, missed = (function - mirrored) / 2, (function + mirrored) / 2
    if not odd:
        reached, missed = missed, reached
    return ApproximationFloor(
        gaussian_mean(sp.expand(missed**2), names),
        sp.simplify(reached),
        gaussian_mean(sp.expand(function**2), names),
    )
