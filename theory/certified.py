"""Checks by ball arithmetic: inequalities on a box, and closed forms against integrals.

These prove statements about whole boxes of parameters, not samples of them (unless rational
points are given as parameters, in which case the statement is about those points and says so).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sympy as sp
from flint import arb

from theory.boundary import boundary_value
from theory.certify import ball, decide, disjoint, enclose, integrate
from theory.checks import CheckResult, Status, Timed
from theory.rewrite import bessel_basis

__all__ = ["Enclosure", "IntegralEnclosure", "Sign", "Tail"]

_TOLERANCE: Final = sp.Rational(1, 10**12)
_RELATIONS: Final = {">0": (1, True), ">=0": (1, False), "<0": (-1, True), "<=0": (-1, False)}


@dataclass(frozen=True)
class Sign(Timed):
    """``expr`` has one sign on a closed box: ``relation`` is one of >0, >=0, <0, <=0.

    Raises
    ------
    ValueError
        If ``relation`` is none of these.
    """

    expr: Any
    relation: str
    domain: Mapping[sp.Symbol, tuple[Any, Any]] = field(default_factory=dict)
    budget: int = 4000

    def __post_init__(self) -> None:
        if self.relation not in _RELATIONS:
            raise ValueError(f"relation must be one of {sorted(_RELATIONS)}, got {self.relation!r}")

    def describe(self) -> str:
        return f"{self.expr} {self.relation} on {_box(self.domain)}, by ball arithmetic"

    def _run(self) -> CheckResult:
        sign, strict = _RELATIONS[self.relation]
        decision = decide(sign * sp.sympify(self.expr), self.domain, strict, self.budget)
        if decision.truth is None:
            detail = f"undecided after {decision.boxes} boxes"
            return CheckResult(Status.UNDECIDED, "certified", detail)
        if decision.truth:
            detail = f"holds on all of {_box(self.domain)} ({decision.boxes} boxes)"
            return CheckResult(Status.PROVED, "certified", detail)
        return CheckResult(Status.FAILED, "certified", f"violated at {decision.witness}")


@dataclass(frozen=True)
class Enclosure(Timed):
    """``|lhs - rhs| <= tolerance`` on a closed box, by subdivision.

    FAILED needs one point at which the difference is provably larger.
    """

    lhs: Any
    rhs: Any
    domain: Mapping[sp.Symbol, tuple[Any, Any]]
    tolerance: Any
    budget: int = 4000

    def describe(self) -> str:
        return f"|{self.lhs} - ({self.rhs})| <= {self.tolerance} on {_box(self.domain)}"

    def _run(self) -> CheckResult:
        gap = sp.sympify(self.lhs) - sp.sympify(self.rhs)
        tolerance = sp.sympify(self.tolerance)
        boxes = 0
        for signed in (tolerance - gap, tolerance + gap):
            decision = decide(signed, self.domain, False, self.budget)
            boxes += decision.boxes
            if decision.truth is False:
                detail = f"difference exceeds {tolerance} at {decision.witness}"
                return CheckResult(Status.FAILED, "certified", detail)
            if decision.truth is None:
                return CheckResult(Status.UNDECIDED, "certified", f"undecided after {boxes} boxes")
        detail = f"difference within {tolerance} on {_box(self.domain)} ({boxes} boxes)"
        return CheckResult(Status.PROVED, "certified", detail)


@dataclass(frozen=True)
class Tail:
    """A bound on what lies beyond ``cutoff``: ``0 <= f <= -bound'`` there and ``bound -> 0``.

    Then ``0 <= int_cutoff^oo f <= bound(cutoff)``. Both inequalities are proved for every
    ``var >= cutoff`` from positive coefficients: after division by ``weight`` (positive) the
    expressions are polynomials in ``var - cutoff`` and positive symbols. ``order_gap`` lets
    ``K_1`` be written as ``K_0`` plus something non-negative, since ``K_nu`` grows with ``nu``.
    """

    bound: Any
    cutoff: Any
    weight: Any = 1
    order_gap: bool = False

    def holds(self, integrand: sp.Expr, var: sp.Symbol) -> str | None:
        """None if the bound is proved, otherwise the reason why not."""
        bound = sp.sympify(self.bound)
        if not sp.sympify(self.weight).is_positive:
            return f"the weight {self.weight} is not known to be positive"
        if boundary_value(bound, var, sp.oo) != 0:
            return "the tail bound does not vanish at infinity"
        for label, expr in (
            ("the integrand", integrand),
            ("the majorant minus the integrand", -sp.diff(bound, var) - integrand),
        ):
            if not self._nonnegative(expr, var):
                return f"{label} was not shown to be non-negative beyond {self.cutoff}"
        return None

    def _nonnegative(self, expr: sp.Expr, var: sp.Symbol) -> bool:
        shift = sp.Dummy("shift", nonnegative=True)
        k0, gap = sp.Dummy("K0", positive=True), sp.Dummy("gap", nonnegative=True)
        expr = bessel_basis(sp.expand(expr))
        if self.order_gap:
            expr = expr.subs({sp.besselk(1, var): k0 + gap, sp.besselk(0, var): k0})
        reduced = sp.powsimp(sp.expand(expr / self.weight))
        numerator, denominator = sp.together(
            reduced.subs(var, self.cutoff + shift)
        ).as_numer_denom()
        for part in (numerator, denominator):
            generators = [shift, k0, gap]
            if not part.is_polynomial(*generators):
                return False
            terms = sp.Poly(part, *generators).coeffs()
            if not all(sp.simplify(term).is_nonnegative for term in terms):
                return False
        return bool(denominator != 0)


@dataclass(frozen=True)
class IntegralEnclosure(Timed):
    """A closed form against a rigorous quadrature, at parameter points or on parameter boxes.

    ``closed`` must lie within ``tolerance`` of the integral of ``integrand`` over ``interval``.
    The upper end may be ``oo`` if a :class:`Tail` bounds the rest. FAILED means that the two
    enclosures have no point in common.

    Parameters
    ----------
    parameters
        For each other symbol a sequence of rational points or ``(lo, hi)`` boxes; all
        combinations are checked.
    split
        Points where the integrand is not smooth (for speed only).
    """

    closed: Any
    integrand: Any
    var: sp.Symbol
    interval: tuple[Any, Any]
    parameters: Mapping[sp.Symbol, Sequence[Any]] = field(default_factory=dict)
    tolerance: Any = _TOLERANCE
    tail: Tail | None = None
    split: tuple[Any, ...] = ()

    def describe(self) -> str:
        low, high = self.interval
        return f"{self.closed} is the integral of {self.integrand}, {self.var} = {low}..{high}"

    def _run(self) -> CheckResult:
        low, high = (sp.sympify(end) for end in self.interval)
        integrand, closed = sp.sympify(self.integrand), sp.sympify(self.closed)
        if high is sp.oo:
            if self.tail is None:
                detail = "the upper end is infinite and no tail bound is given"
                return CheckResult(Status.UNDECIDED, "certified", detail)
            reason = self.tail.holds(integrand, self.var)
            if reason is not None:
                return CheckResult(Status.UNDECIDED, "certified", reason)
            high = sp.sympify(self.tail.cutoff)
        goal = ball(sp.sympify(self.tolerance))
        symbols = list(self.parameters)
        worst = arb(0)
        cases = list(itertools.product(*(self.parameters[s] for s in symbols)))
        for case in cases:
            point = dict(zip(symbols, case, strict=True))
            split = tuple(s for s in self.split if low < s < high)
            area = integrate(
                integrand, self.var, low, high, point, 64, split, sp.sympify(self.tolerance) / 4
            )
            if self.tail is not None:
                rest = enclose(sp.sympify(self.tail.bound).subs(self.var, high), point)
                area += arb(0).union(rest.upper())
            value = enclose(closed, point, 96)
            where = ", ".join(f"{s} = {v}" for s, v in point.items()) or "the given interval"
            if disjoint(area, value):
                detail = f"at {where}: closed form {value.str(12)}, integral {area.str(12)}"
                return CheckResult(Status.FAILED, "certified", detail)
            gap = abs(value - area).upper()
            if not gap <= goal:
                detail = f"at {where}: enclosures overlap but the gap is only below {gap.str(4)}"
                return CheckResult(Status.UNDECIDED, "certified", detail)
            worst = gap if gap > worst else worst
        detail = f"within {worst.str(3, radius=False)} at {len(cases)} parameter choice(s)"
        return CheckResult(Status.PROVED, "certified", detail)


def _box(domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> str:
    return ", ".join(f"{s} in [{lo}, {hi}]" for s, (lo, hi) in domain.items()) or "constants"
