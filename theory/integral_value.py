"""A number for an integral, with its error: what is certified where there is no closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from theory.certify import ball, integrate
from theory.checks import CheckResult, Status, Timed

__all__ = ["IntegralValue"]


@dataclass(frozen=True)
class IntegralValue(Timed):
    """The integral of ``integrand`` over a finite interval is within ``tolerance`` of ``value``.

    Unlike :class:`theory.certified.IntegralEnclosure`, ``value`` is a rounded number, not a
    claimed closed form. FAILED means that rigorous quadrature puts it further away.

    Raises
    ------
    ValueError
        If ``tolerance`` is not positive.
    """

    value: Any
    integrand: Any
    var: sp.Symbol
    interval: tuple[Any, Any]
    tolerance: Any

    def __post_init__(self) -> None:
        if not sp.sympify(self.tolerance).is_positive:
            raise ValueError(f"tolerance must be positive, got {self.tolerance}")

    def describe(self) -> str:
        """One line: the number, its error and the integral."""
        low, high = self.interval
        value, error = sp.N(self.value, 12), sp.N(self.tolerance, 2)
        return (
            f"{value} +/- {error} is the integral of {self.integrand}, {self.var} = {low}..{high}"
        )

    def _run(self) -> CheckResult:
        tolerance = sp.sympify(self.tolerance)
        low, high = self.interval
        area = integrate(sp.sympify(self.integrand), self.var, low, high, tolerance=tolerance / 4)
        gap, goal = abs(area - ball(self.value)), ball(tolerance)
        if gap <= goal:
            detail = f"within {gap.upper().str(3, radius=False)} by rigorous quadrature"
            return CheckResult(Status.PROVED, "certified", detail)
        detail = f"value {sp.N(self.value, 12)}, integral {area.str(12)}"
        status = Status.FAILED if gap > goal else Status.UNDECIDED
        return CheckResult(status, "certified", detail)
