"""What an expression tells about an activation, exactly: pieces, kinks, jumps, parity, degree.

An expression made of smooth functions and of ``Abs``, ``sign``, ``Max``, ``Min``, ``Heaviside``
and ``Piecewise`` is smooth between the zeros of the arguments at which these switch. On each of
the intervals in between they are resolved at one inner point, and every property is then a
statement about smooth expressions. What SymPy cannot settle is reported as unknown.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.core.relational import Relational

from theory.dual import Parity, z

__all__ = ["Pieces", "pieces"]

_SWITCHES = (sp.Abs, sp.sign, sp.Max, sp.Min, sp.Heaviside, sp.Piecewise)


@dataclass(frozen=True)
class Pieces:
    """A function of ``z`` as smooth expressions between finitely many points.

    ``parts[i]`` holds on ``(points[i-1], points[i])``, with infinite ends.
    """

    points: tuple[sp.Expr, ...]
    parts: tuple[sp.Expr, ...]

    @property
    def kinks(self) -> tuple[sp.Expr, ...]:
        """The points at which the two neighbouring parts are not known to be the same."""
        return tuple(
            point
            for point, left, right in zip(self.points, self.parts, self.parts[1:], strict=False)
            if not _zero(left - right)
        )

    @property
    def lipschitz(self) -> bool:
        """False unless the parts are known to agree, with finite slopes, at every point."""
        return all(
            _zero(left.subs(z, point) - right.subs(z, point))
            and _finite_slope(left, point, "-")
            and _finite_slope(right, point, "+")
            for point, left, right in zip(self.points, self.parts, self.parts[1:], strict=False)
        )

    @property
    def parity(self) -> Parity | None:
        """``"even"`` or ``"odd"`` if that is certain, else None."""
        if any(
            not _zero(left + right)
            for left, right in zip(self.points, reversed(self.points), strict=True)
        ):
            return None
        mirrored = [part.subs(z, -z) for part in reversed(self.parts)]
        if all(_zero(a - b) for a, b in zip(self.parts, mirrored, strict=True)):
            return "even"
        if all(_zero(a + b) for a, b in zip(self.parts, mirrored, strict=True)):
            return "odd"
        return None

    @property
    def degree(self) -> sp.Expr | None:
        """``k`` if the function is positively homogeneous of degree ``k`` for certain."""
        if any(point != 0 for point in self.kinks):
            return None
        found = None
        for part, side in ((self.parts[0], -1), (self.parts[-1], 1)):
            scale = part.subs(z, side)
            if not scale.is_finite:
                return None
            if part == 0:
                continue
            if scale == 0:
                return None
            x = sp.Dummy("x", positive=True)
            exponent = sp.simplify(x * sp.diff(part.subs(z, side * x), x) / part.subs(z, side * x))
            if exponent.free_symbols & {x} or (found is not None and not _zero(exponent - found)):
                return None
            found = exponent
        return found


def _finite_slope(part: sp.Expr, point: sp.Expr, side: str) -> bool:
    """Whether the slope has a finite limit at ``point``; False if SymPy cannot tell."""
    slope = part.diff(z)
    if slope.subs(z, point).is_finite:
        return True
    try:
        return bool(sp.limit(slope, z, point, side).is_finite)
    except (NotImplementedError, ValueError, TypeError):
        return False


def pieces(expr: sp.Expr) -> Pieces | None:
    """The pieces of an expression in ``z``, or None if its switches cannot be located.

    Examples
    --------
    >>> pieces(sp.Abs(z) + z).parts
    (0, 2*z)
    """
    points: set[sp.Expr] = set()
    for gap in _gaps(expr):
        if not gap.has(z):
            continue
        zeros = _zeros(gap)
        if zeros is None:
            return None
        points |= zeros
    if not all(point.is_comparable for point in points):
        return None
    ordered = sorted(points, key=lambda point: point.evalf(30))
    ends = [*ordered]
    middles: list[sp.Expr]
    if not ends:
        middles = [sp.S.One]
    else:
        between = [(left + right) / 2 for left, right in itertools.pairwise(ends)]
        middles = [ends[0] - 1, *between, ends[-1] + 1]
    try:
        parts = tuple(_resolve(expr, middle) for middle in middles)
    except (TypeError, ValueError):
        return None
    return Pieces(tuple(ordered), parts)


def _zero(expr: sp.Expr) -> bool:
    return bool(sp.simplify(expr) == 0)


def _gaps(expr: sp.Expr) -> list[sp.Expr]:
    """Every expression whose sign switches something."""
    found: list[sp.Expr] = []
    for e in expr.atoms(*_SWITCHES):
        if isinstance(e, sp.Max | sp.Min):
            found += [left - right for left, right in itertools.combinations(e.args, 2)]
        elif isinstance(e, sp.Piecewise):
            found += [test.lhs - test.rhs for test in e.atoms(Relational)]
        else:
            found.append(e.args[0])
    return found


def _zeros(gap: sp.Expr) -> set[sp.Expr] | None:
    try:
        solution = sp.solveset(gap, z, sp.S.Reals)
    except (NotImplementedError, ValueError, TypeError):
        return None
    if solution is sp.S.EmptySet:
        return set()
    return set(solution) if isinstance(solution, sp.FiniteSet) else None


def _resolve(expr: sp.Expr, at: sp.Expr) -> sp.Expr:
    """The smooth expression that equals ``expr`` around ``at``; TypeError if a sign is unknown."""
    if not expr.args or not expr.has(*_SWITCHES):
        return expr
    if isinstance(expr, sp.Piecewise):
        for branch, test in expr.args:
            if bool(test.subs(z, at)):
                return _resolve(branch, at)
        raise ValueError("no branch applies")
    args = [_resolve(arg, at) for arg in expr.args]

    def value(arg: Any) -> sp.Expr:
        number = arg.subs(z, at).evalf(30)
        if not number.is_comparable:
            raise TypeError(f"{arg} is not a number at {at}")
        return number

    if isinstance(expr, sp.Abs):
        return args[0] if value(args[0]) > 0 else -args[0]
    if isinstance(expr, sp.sign):
        return sp.sign(value(args[0]))
    if isinstance(expr, sp.Heaviside):
        return (1 + sp.sign(value(args[0]))) / 2
    if isinstance(expr, sp.Max):
        return max(args, key=value)
    if isinstance(expr, sp.Min):
        return min(args, key=value)
    return expr.func(*args)
