"""Induction over a symbolic depth: statements for every L, not for L = 1, ..., 5.

A family is defined by its value at ``start`` and a recurrence for depth ``n + 1`` in terms of
depth ``n``. The hypothesis is an explicit rewriting rule: every occurrence of the family at
depth ``n`` is replaced by the claimed closed form, whatever its other arguments, and the step
is then an identity in a symbolic ``n``. Several families may be claimed together; a later one
may use an earlier one at depth ``n + 1``, whose step has been shown by then. A closed form may
itself be written in families that are only known by their recurrence (a pruned kernel as a
multiple of the dense one): those are *given*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef

from theory.checks import CheckResult, Identity, Status, Timed, separate

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
    given
        Definitions of other families, at ``start`` and at ``n + 1``, that closed forms refer to:
        ``{g(start, s): value, g(n + 1, s): expression in g(n, .)}``. Both sides of the base and
        of the step are unfolded by them.

    A failing step alone refutes only the argument, not the claim: then the recurrence is
    unrolled at the next depths, and the outcome is FAILED if the claim is false at one of them
    and UNDECIDED otherwise.

    Raises
    ------
    ValueError
        If a claim's left side is not an undefined function of the depth and distinct symbols,
        or has no initial value or recurrence, or a given definition is not of such a function
        or refers to a claimed family.

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
    given: Mapping[Any, Any] = field(default_factory=dict)

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
        claimed = {claim.lhs.func for claim in self._claims}
        for head, value in self.given.items():
            if not isinstance(head, AppliedUndef) or head.func in claimed:
                raise ValueError(f"given must define families that are not claimed, got {head}")
            others = [arg for arg in head.args if arg not in (self.variable + 1, self.start)]
            symbols = all(arg.is_Symbol for arg in others) and len(set(others)) == len(others)
            if len(others) != len(head.args) - 1 or not symbols:
                raise ValueError(f"given must be at n + 1 or the start, with symbols, got {head}")
            used = sp.sympify(value).atoms(AppliedUndef)
            if {f.func for f in used} & claimed:
                raise ValueError(f"given must not refer to claimed families, got {value}")
            if any(
                f.func == head.func and set(f.args) & set(head.args) - set(others) for f in used
            ):
                raise ValueError(f"given must not define {head} by itself")

    @property
    def _claims(self) -> tuple[sp.Eq, ...]:
        one = isinstance(self.claims, sp.Equality)
        return (self.claims,) if one else tuple(self.claims)

    def _at(self, expr: sp.Expr, depth: Any) -> sp.Expr:
        return _finite(expr.subs(self.variable, depth))

    def base(self) -> tuple[Identity, ...]:
        """The identities to be shown at ``start``."""
        return tuple(
            Identity(
                self._unfold(self.initial[self._at(claim.lhs, self.start)], self.start),
                self._unfold(self._at(claim.rhs, self.start), self.start),
                domain=self.domain,
            )
            for claim in self._claims
        )

    def step(self) -> tuple[Identity, ...]:
        """The identities to be shown at depth ``n + 1``, with the hypothesis substituted."""
        following = self.variable + 1
        found = []
        for index, claim in enumerate(self._claims):
            value = self.recurrence[self._at(claim.lhs, following)]
            for earlier in self._claims[:index]:
                value = self._use(value, earlier, following)
            for hypothesis in self._claims:
                value = self._use(value, hypothesis, self.variable)
            goal = self._at(claim.rhs, following)
            left, right = (self._unfold(side, following) for side in (value, goal))
            found.append(Identity(left, right, "n a positive integer", self.domain))
        return tuple(found)

    def unrolled(self, depth: int) -> tuple[Identity, ...]:
        """The claims at one depth, both sides computed from the recurrences alone.

        Raises ValueError for a depth before ``start``.
        """
        if depth < self.start:
            raise ValueError(f"depth must be at least {self.start}, got {depth}")
        return tuple(
            Identity(
                self._computed(self._at(claim.lhs, depth)),
                self._computed(self._at(claim.rhs, depth)),
                domain=self.domain,
            )
            for claim in self._claims
        )

    def _use(self, expr: sp.Expr, rule: sp.Eq, depth: Any) -> sp.Expr:
        """Replace ``f(depth, s)`` by the closed form at ``depth``, for every ``s``."""
        place = rule.lhs.args.index(self.variable)

        def matches(e: sp.Basic) -> bool:
            same = isinstance(e, AppliedUndef) and e.func == rule.lhs.func
            return same and bool(sp.expand(e.args[place] - depth) == 0)

        return sp.sympify(expr).replace(matches, lambda e: _closed(rule.lhs, rule.rhs, e))

    def _unfold(self, expr: sp.Expr, depth: Any) -> sp.Expr:
        """Replace given families at ``depth`` (``start`` or ``n + 1``) by their definitions."""
        rules = {head.func: (head, rhs) for head, rhs in self.given.items() if depth in head.args}
        expr = sp.sympify(expr)
        for _ in rules:  # a definition may use another one at the same depth

            def matches(e: sp.Basic) -> bool:
                if not isinstance(e, AppliedUndef) or e.func not in rules:
                    return False
                place = rules[e.func][0].args.index(depth)
                return bool(sp.expand(e.args[place] - depth) == 0)

            expr = expr.replace(matches, lambda e: _closed(*rules[e.func], e))
        return expr

    def _computed(self, expr: sp.Expr) -> sp.Expr:
        """Apply the recurrences at whole depths until only initial values are left."""
        rules: dict[Any, dict[str, tuple[sp.Expr, sp.Expr]]] = {}
        for head, rhs in [*self.initial.items(), *self.recurrence.items(), *self.given.items()]:
            when = "next" if self.variable + 1 in head.args else "first"
            rules.setdefault(head.func, {})[when] = (head, rhs)

        def applies(e: sp.Basic) -> bool:
            return isinstance(e, AppliedUndef) and e.func in rules

        def value(e: sp.Expr) -> sp.Expr:
            known = rules[e.func]
            if "next" not in known or "first" not in known:
                return e
            place = known["next"][0].args.index(self.variable + 1)
            depth = e.args[place]
            if not depth.is_Integer or depth < self.start:
                return e
            if depth == self.start:
                return _closed(*known["first"], e)
            head, rhs = (side.subs(self.variable, depth - 1) for side in known["next"])
            return self._computed(_closed(head, rhs, e))

        return sp.sympify(expr).replace(applies, value)

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
                if result.status is Status.PROVED:
                    continue
                if label == "base" and result.status is Status.FAILED:
                    return CheckResult(Status.FAILED, "symbolic", f"base: {result.detail}")
                return self._refute(f"{label}: {result.detail}")
        return CheckResult(Status.PROVED, "symbolic", f"base and step hold, {self.describe()}")

    def _refute(self, reason: str) -> CheckResult:
        """A depth at which the claim is false, if there is one near the start."""
        for depth in range(self.start + 1, self.start + 3):
            for check in self.unrolled(depth):
                found = separate(sp.sympify(check.lhs), sp.sympify(check.rhs), self.domain)
                if found is not None:
                    detail = f"at {self.variable} = {depth} the sides differ {found}"
                    return CheckResult(Status.FAILED, "symbolic", detail)
        detail = f"{reason}; no depth was found at which the claim is false"
        return CheckResult(Status.UNDECIDED, "symbolic", detail)


def _finite(expr: sp.Expr) -> sp.Expr:
    """``expr`` with sums and products over a known range written out."""

    def known(e: sp.Basic) -> bool:
        over = isinstance(e, sp.Sum | sp.Product)
        return over and all(end.is_Integer for limit in e.limits for end in limit[1:])

    return sp.sympify(expr).replace(known, lambda e: e.doit())


def _closed(head: sp.Expr, rhs: sp.Expr, call: sp.Expr) -> sp.Expr:
    """``rhs`` with the arguments of ``head`` replaced by those of ``call``.

    SymPy's substitution lets an integral capture a variable of its own name, so bound variables
    that clash are renamed first.
    """
    values = {old: new for old, new in zip(head.args, call.args, strict=True) if old.is_Symbol}
    rhs = sp.sympify(rhs)
    arriving = set().union(*(sp.sympify(new).free_symbols for new in values.values()))
    return _rename(rhs, arriving).subs(values, simultaneous=True)


def _rename(expr: sp.Expr, avoid: set[sp.Symbol]) -> sp.Expr:
    """``expr`` with bound variables that are in ``avoid`` given new names."""
    taken = avoid | expr.atoms(sp.Symbol)

    def fresh(e: sp.Expr) -> sp.Expr:
        renamed = {}
        for limit in e.limits:
            if limit[0] in avoid:
                number = 1
                while (new := _numbered(limit[0], number)) in taken:
                    number += 1
                renamed[limit[0]] = new
                taken.add(new)
        return e.func(*(arg.xreplace(renamed) for arg in e.args))

    return expr.replace(lambda e: isinstance(e, ExprWithLimits), fresh)


def _numbered(symbol: sp.Symbol, number: int) -> sp.Symbol:
    return sp.Symbol(f"{symbol.name}_{number}", **symbol._assumptions_orig)
