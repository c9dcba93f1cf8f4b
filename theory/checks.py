"""What a check is, and the symbolic ones: identities, antiderivatives, definitions, citations.

A check is three-valued. ``PROVED`` needs a proof, ``FAILED`` a *disproof* (two disjoint balls at
a point where both sides are defined), and everything else is ``UNDECIDED``; a simplifier that
gives up refutes nothing.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef

from theory.boundary import boundary_value
from theory.certify import Unsupported, disjoint, enclose
from theory.rewrite import linearise, vanishes

__all__ = [
    "AllOf",
    "Antiderivative",
    "Check",
    "CheckResult",
    "Cited",
    "Definition",
    "Identity",
    "Status",
    "Timed",
    "sample_points",
    "separate",
]


class Status(StrEnum):
    """Outcome of a check or of a derivation."""

    PROVED = "proved"
    FAILED = "failed"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class CheckResult:
    """What a check found: ``kind`` is symbolic, certified, cited or definition."""

    status: Status
    kind: str
    detail: str
    seconds: float = 0.0


@runtime_checkable
class Check(Protocol):
    """Anything that can be run to a :class:`CheckResult` and describe itself in one line."""

    def run(self) -> CheckResult:
        """Run the check."""
        ...

    def describe(self) -> str:
        """What is checked, in one line."""
        ...


class Timed(ABC):
    """Base of the checks here: ``run`` times ``_run`` and leaves the rest alone."""

    def run(self) -> CheckResult:
        """Run the check. Never raises for a false claim: that is a FAILED result."""
        start = time.perf_counter()
        found = self._run()
        return CheckResult(found.status, found.kind, found.detail, time.perf_counter() - start)

    @abstractmethod
    def describe(self) -> str:
        """What is checked, in one line."""

    @abstractmethod
    def _run(self) -> CheckResult: ...


# ----------------------------------------------------------------------------- disproof by balls


def sample_points(
    symbols: set[sp.Symbol], domain: Mapping[sp.Symbol, tuple[Any, Any]] | None = None
) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """A fixed list of rational points that respect the symbols' assumptions and ``domain``."""
    rational = sp.Rational
    for i in range(4):
        point = {}
        for j, symbol in enumerate(sorted(symbols, key=str)):
            m = (i + j) % 4
            if domain and symbol in domain:
                low, high = (sp.sympify(end) for end in domain[symbol])
                fraction = (rational(3, 10), rational(1, 2), rational(4, 5), rational(1, 7))[m]
                point[symbol] = low + (high - low) * fraction
            elif symbol.is_integer:
                point[symbol] = sp.Integer((2, 3, 1, 4)[m])
            elif symbol.is_nonnegative:
                point[symbol] = (rational(2, 3), rational(7, 5), rational(1, 4), rational(3))[m]
            elif symbol.is_nonpositive:
                point[symbol] = -(rational(2, 3), rational(7, 5), rational(1, 4), rational(3))[m]
            else:
                point[symbol] = (rational(-4, 3), rational(1, 2), rational(9, 4), rational(-1, 5))[
                    m
                ]
        yield point


def _instantiate(expr: sp.Expr) -> sp.Expr:
    """Replace each undefined function by a fixed polynomial, positive on positive arguments.

    An identity claimed for all functions fails if it fails for these.
    """
    heads = sorted({f.func for f in expr.atoms(AppliedUndef)}, key=str)
    primes = (2, 3, 5, 7, 11, 13)
    for i, head in enumerate(heads):

        def polynomial(*args: sp.Expr, i: int = i) -> sp.Expr:
            terms = [
                (a + i) ** (j + 1) / primes[(i + j) % 6] + a * j / 3 for j, a in enumerate(args)
            ]
            return sp.Rational(1, i + 2) + sp.Add(*terms)

        expr = expr.replace(head, polynomial)
    return expr


def _at(expr: sp.Expr, point: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """The expression at a point: replacement where it is the same, in a fraction of the time."""
    bound = {name for each in expr.atoms(ExprWithLimits) for name in each.variables}
    if bound & set(point) or expr.has(sp.Derivative, sp.Subs, sp.Lambda):
        return expr.subs(point)
    return expr.xreplace(point)


def separate(
    lhs: sp.Expr,
    rhs: sp.Expr,
    domain: Mapping[sp.Symbol, tuple[Any, Any]] | None = None,
) -> str | None:
    """A point at which ball arithmetic proves ``lhs != rhs``, as text, or None if none was found.

    Undefined functions are instantiated by fixed polynomials first.
    """
    both = _instantiate(sp.Tuple(lhs, rhs))
    for point in sample_points(both.free_symbols, domain):
        try:
            at = _at(linearise(_at(both, point).doit(integrals=False)), point)
            left, right = (enclose(side, prec=128) for side in at)
        except (Unsupported, ValueError, TypeError, NotImplementedError, RecursionError):
            continue
        if disjoint(left, right):
            where = ", ".join(f"{s} = {value}" for s, value in point.items()) or "constants"
            return f"at {where}: {left.str(12)} against {right.str(12)}"
    return None


# ------------------------------------------------------------------------------------- checks


@dataclass(frozen=True)
class Identity(Timed):
    """``lhs = rhs`` for all values of the symbols that their assumptions (and ``domain``) allow.

    Proved by a fixed list of sound simplification strategies; refuted by disjoint balls at a
    rational point. A proof that some ball contradicts is reported as FAILED: then a
    simplification was wrong.
    """

    lhs: Any
    rhs: Any
    assumptions: str = ""
    domain: Mapping[sp.Symbol, tuple[Any, Any]] = field(default_factory=dict)

    def describe(self) -> str:
        return f"{_short(self.lhs)} = {_short(self.rhs)} by exact simplification"

    def _run(self) -> CheckResult:
        lhs, rhs = sp.sympify(self.lhs), sp.sympify(self.rhs)
        contradiction = separate(lhs, rhs, self.domain)
        if contradiction is not None:
            return CheckResult(Status.FAILED, "symbolic", f"the sides differ {contradiction}")
        strategy = vanishes(lhs - rhs)
        if strategy is None:
            return CheckResult(Status.UNDECIDED, "symbolic", "no strategy reduced the difference")
        return CheckResult(Status.PROVED, "symbolic", f"difference is zero ({strategy})")


@dataclass(frozen=True)
class Antiderivative(Timed):
    """``F`` is the antiderivative of ``f`` in ``var`` with the given boundary values.

    ``limits`` maps a point (finite, ``oo`` or ``-oo``) to the value that ``F`` must tend to
    there; ``from_below`` names the finite points approached from below. By the fundamental
    theorem this is a closed form of the integral: ``int_a^b f = F(b) - F(a)``.
    """

    F: Any
    f: Any
    var: sp.Symbol
    limits: Mapping[Any, Any] = field(default_factory=dict)
    from_below: tuple[Any, ...] = ()
    domain: Mapping[sp.Symbol, tuple[Any, Any]] = field(default_factory=dict)

    def describe(self) -> str:
        ends = "".join(f"; -> {_short(value)} at {at}" for at, value in self.limits.items())
        return f"d/d{self.var} [{_short(self.F)}] = {_short(self.f)}{ends}"

    def _run(self) -> CheckResult:
        derivative = sp.diff(sp.sympify(self.F), self.var)
        slope = Identity(derivative, self.f, domain=self.domain).run()
        if slope.status is not Status.PROVED:
            return CheckResult(slope.status, "symbolic", f"derivative: {slope.detail}")
        for point, expected in self.limits.items():
            side = "-" if point in self.from_below else "+"
            found = boundary_value(self.F, self.var, point, side)
            if found is None:
                detail = f"no limit of {_short(self.F)} found at {point}"
                return CheckResult(Status.UNDECIDED, "symbolic", detail)
            value = Identity(found, expected).run()
            if value.status is not Status.PROVED:
                detail = f"limit at {point} is {_short(found)}: {value.detail}"
                return CheckResult(value.status, "symbolic", detail)
        ends = f" and {len(self.limits)} boundary value(s)" if self.limits else ""
        return CheckResult(Status.PROVED, "symbolic", f"derivative{ends} agree: {slope.detail}")


@dataclass(frozen=True)
class AllOf(Timed):
    """Several checks as one: proved if all are, failed if one is.

    Raises
    ------
    ValueError
        If there are no checks.
    """

    checks: tuple[Check, ...]

    def __post_init__(self) -> None:
        if not self.checks:
            raise ValueError("checks must contain at least one check")

    def describe(self) -> str:
        return "; ".join(check.describe() for check in self.checks)

    def _run(self) -> CheckResult:
        results = [check.run() for check in self.checks]
        for status in (Status.FAILED, Status.UNDECIDED):
            for found in results:
                if found.status is status:
                    return found
        kinds = sorted({found.kind for found in results})
        details = dict.fromkeys(found.detail for found in results)
        return CheckResult(Status.PROVED, kinds[-1], "; ".join(details))


@dataclass(frozen=True)
class Definition(Timed):
    """A naming convention. True by fiat, so it adds nothing to a proof."""

    text: str

    def describe(self) -> str:
        return f"definition: {self.text}"

    def _run(self) -> CheckResult:
        return CheckResult(Status.PROVED, "definition", self.text)


@dataclass(frozen=True)
class Cited(Timed):
    """A theorem taken from elsewhere. A derivation that uses one is conditional on it."""

    theorem: str
    source: str

    def describe(self) -> str:
        return f"{self.theorem} ({self.source})"

    def _run(self) -> CheckResult:
        detail = f"conditional on {self.theorem} ({self.source})"
        return CheckResult(Status.UNDECIDED, "cited", detail)


def _short(value: Any, width: int = 90) -> str:
    text = str(value)
    return text if len(text) <= width else text[: width - 3] + "..."
