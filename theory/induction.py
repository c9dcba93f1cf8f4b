"""Induction over a symbolic depth: statements for every L, not for L = 1, ..., 5.

A family is defined by its value at ``start`` and a recurrence for depth ``n + 1`` in terms of
depth ``n``. The hypothesis is an explicit rewriting rule: every occurrence of the family at
depth ``n`` is replaced by the claimed closed form, whatever its other arguments, and the step
is then an identity in a symbolic ``n``. Several families may be claimed together; a later one
may use an earlier one at depth ``n + 1``, whose step has been shown by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from theory.checks import CheckResult, Identity, Status, Timed

__all__ = ["Induction"]


@dataclass(frozen=True)
class Induction(Timed):
    """Claims about recursively defined families, proved for every depth from ``start`` on.

    Parameters
    ----------
    variable
        The depth ``n``, an integer symbol.
    claims
        Equations ``f(n, s) = closed(n, s)``; arguments of ``f`` other than ``n`` are symbols and
        are universally quantified.
    initial
        The definition at ``start``: ``{f(start, s): value}``.
    recurrence
        The definition at the next depth: ``{f(n + 1, s): expression in f(n, .)}``.
    start
        First depth.

    Raises
    ------
    ValueError
        If a claim's left side is not an undefined function of the depth and distinct symbols,
        or has no initial value or recurrence.

    Examples
    --------
    The path density of the constant graphon ``c`` over ``L`` layers is ``c^L``:

    >>> n, c, u, v = sp.Symbol("n", integer=True, positive=True), *sp.symbols("c u v")
    >>> t = sp.Function("t")
    >>> step = {t(n + 1, u): sp.Integral(c * t(n, v), (v, 0, 1))}
    >>> Induction(n, [sp.Eq(t(n, u), c**n)], {t(1, u): c}, step).run().status.value
    'proved'
    """

    variable: sp.Symbol
    claims: Any
    initial: Mapping[Any, Any]
    recurrence: Mapping[Any, Any]
    start: int = 1
    domain: Mapping[sp.Symbol, tuple[Any, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.variable.is_integer:
            raise ValueError(f"variable must be an integer symbol, got {self.variable}")
        for claim in self._claims:
            head = claim.lhs
            if not isinstance(head, AppliedUndef) or self.variable not in head.args:
                raise ValueError(f"claims must be f(n, ...) = closed form, got {claim}")
            others = [arg for arg in head.args if arg != self.variable]
            if not all(a.is_Symbol for a in others) or len(set(others)) != len(others):
                raise ValueError(f"claims must have distinct symbols as arguments, got {head}")
            if self._at(head, self.start) not in self.initial:
                raise ValueError(f"initial must define {self._at(head, self.start)}")
            if self._at(head, self.variable + 1) not in self.recurrence:
                raise ValueError(f"recurrence must define {self._at(head, self.variable + 1)}")

    @property
    def _claims(self) -> tuple[sp.Eq, ...]:
        one = isinstance(self.claims, sp.Equality)
        return (self.claims,) if one else tuple(self.claims)

    def _at(self, expr: sp.Expr, depth: Any) -> sp.Expr:
        return expr.subs(self.variable, depth)

    def base(self) -> tuple[Identity, ...]:
        """The identities to be shown at ``start``."""
        return tuple(
            Identity(
                self.initial[self._at(claim.lhs, self.start)],
                self._at(claim.rhs, self.start),
                domain=self.domain,
            )
            for claim in self._claims
        )

    def step(self) -> tuple[Identity, ...]:
        """The identities to be shown at depth ``n + 1``, with the hypothesis substituted."""
        found = []
        for index, claim in enumerate(self._claims):
            following = self.recurrence[self._at(claim.lhs, self.variable + 1)]
            for earlier in self._claims[:index]:
                following = self._use(following, earlier, self.variable + 1)
            for hypothesis in self._claims:
                following = self._use(following, hypothesis, self.variable)
            goal = self._at(claim.rhs, self.variable + 1)
            found.append(Identity(following, goal, "n a positive integer", self.domain))
        return tuple(found)

    def _use(self, expr: sp.Expr, rule: sp.Eq, depth: Any) -> sp.Expr:
        """Replace ``f(depth, s)`` by the closed form at ``depth``, for every ``s``."""
        head = rule.lhs
        place = head.args.index(self.variable)

        def matches(e: sp.Basic) -> bool:
            same = isinstance(e, AppliedUndef) and e.func == head.func
            return same and bool(sp.expand(e.args[place] - depth) == 0)

        def closed(e: sp.Expr) -> sp.Expr:
            values = dict(zip(head.args, e.args, strict=True))
            return rule.rhs.subs(values, simultaneous=True)

        return sp.sympify(expr).replace(matches, closed)

    def describe(self) -> str:
        claims = "; ".join(f"{claim.lhs} = {claim.rhs}" for claim in self._claims)
        return f"induction on {self.variable} >= {self.start}: {claims}"

    def _run(self) -> CheckResult:
        heads = {claim.lhs.func for claim in self._claims}
        for label, checks in (("base", self.base()), ("step", self.step())):
            for check in checks:
                left = {f.func for f in sp.sympify(check.lhs).atoms(AppliedUndef)} & heads
                if left:
                    detail = f"{label}: the hypothesis does not cover {left} in {check.lhs}"
                    return CheckResult(Status.UNDECIDED, "symbolic", detail)
                result = check.run()
                if result.status is not Status.PROVED:
                    return CheckResult(result.status, "symbolic", f"{label}: {result.detail}")
        return CheckResult(Status.PROVED, "symbolic", f"base and step hold, {self.describe()}")
