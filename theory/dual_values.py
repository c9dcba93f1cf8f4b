"""Duals of smooth activations as numbers, to any precision, where there is no closed form.

The trapezoidal rule on the whole line converges exponentially for integrands that are analytic in
a strip, so halving the step until two values agree is cheap and reliable; it is a reference for
tests and tables, not an enclosure.
"""

from __future__ import annotations

from typing import Any

import mpmath as mp
import sympy as sp

from theory.dual import DualActivation, z

__all__ = ["dual_values"]

_HALVINGS = 5


def dual_values(
    activation: DualActivation, a: Any, b: Any, c: Any, digits: int = 20
) -> tuple[sp.Float, sp.Float]:
    """``kappa`` and ``kappa_dot`` at variances ``a``, ``b`` and covariance ``c``.

    Raises
    ------
    ValueError
        If the activation has kinks, the covariance matrix is not positive semidefinite with
        positive variances, or the steps do not settle.
    """
    if activation.kinks:
        raise ValueError(f"activation {activation.name!r} must be smooth: it has kinks")
    with mp.workdps(digits + 15):
        one, two, both = (mp.mpf(sp.N(x, digits + 15)) for x in (a, b, c))
        if not (one > 0 and two > 0):
            raise ValueError(f"a and b must be positive, got {a}, {b}")
        rest = two - both**2 / one
        if rest < -(two * mp.mpf(10) ** (-digits - 5)):
            raise ValueError(f"c must satisfy c^2 <= a b, got {a}, {b}, {c}")
        slopes = mp.sqrt(one), both / mp.sqrt(one), mp.sqrt(max(rest, mp.mpf(0)))
        pair = [sp.lambdify(z, f, "mpmath") for f in (activation.expr, activation.derivative)]
        found: list[Any] = []
        step = mp.mpf(1) / 4
        for _ in range(_HALVINGS):
            values = [_trapezoid(f, slopes, step, digits) for f in pair]
            goal = mp.mpf(10) ** (-digits)
            if found and all(
                abs(new - old) <= goal * max(abs(new), mp.mpf(10) ** (-6))
                for new, old in zip(values, found, strict=True)
            ):
                return sp.Float(values[0], digits), sp.Float(values[1], digits)
            found, step = values, step / 2
    raise ValueError(
        f"activation {activation.name!r} must be smooth: its quadrature did not settle"
    )


def _trapezoid(function: Any, slopes: tuple[Any, Any, Any], step: Any, digits: int) -> Any:
    """``E f(s0 Z) f(s1 Z + s2 Y)`` on a grid of one step in both directions."""
    cut = mp.sqrt(2 * (digits + 8) * mp.log(10))
    count = int(cut / step)
    grid = [i * step for i in range(-count, count + 1)]
    weight = [mp.exp(-(x**2) / 2) * step / mp.sqrt(2 * mp.pi) for x in grid]
    if slopes[2] == 0:
        terms = (
            w * function(slopes[0] * x) * function(slopes[1] * x)
            for x, w in zip(grid, weight, strict=True)
        )
        return mp.fsum(terms)
    floor = mp.mpf(10) ** (-digits - 8)
    total = mp.mpf(0)
    for x, w in zip(grid, weight, strict=True):
        line = (
            other * function(slopes[1] * x + slopes[2] * y)
            for y, other in zip(grid, weight, strict=True)
            if w * other > floor
        )
        total += w * function(slopes[0] * x) * mp.fsum(line)
    return total
