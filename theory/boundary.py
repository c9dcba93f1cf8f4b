"""Boundary values: limits at the ends of an interval, by substitution or leading behaviour.

A limit of a sum of products is taken term by term. In each product the special functions are
replaced by equivalents (``f ~ g`` means ``f/g -> 1``, and equivalence is kept by products and
powers), which leaves elementary limits for SymPy's Gruntz algorithm. A term whose limit is
infinite or unknown stops the method, because then only the whole sum may converge.

Source of the equivalents: DLMF 10.30.2, 10.30.3, 10.25.3 (K), 11.2.2 (L), 7.12.1 (erfc) and
8.17.7 (incomplete beta).
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory.special import StruveL

__all__ = ["boundary_value"]

_SPECIAL = (sp.besselk, StruveL, sp.erfc, sp.betainc_regularized)
_JUMPS = (sp.Piecewise, sp.sign, sp.Heaviside, sp.floor, sp.ceiling)


def boundary_value(expr: sp.Expr, var: sp.Symbol, point: Any, side: str = "+") -> sp.Expr | None:
    """The limit of ``expr`` as ``var`` tends to ``point``, or None if it was not found.

    Parameters
    ----------
    point
        A finite expression, ``oo`` or ``-oo``.
    side
        From which side a finite point is approached: ``"+"`` from above, ``"-"`` from below.

    Raises
    ------
    ValueError
        If ``side`` is neither ``"+"`` nor ``"-"``.
    """
    if side not in ("+", "-"):
        raise ValueError(f"side must be '+' or '-', got {side!r}")
    expr, point = sp.sympify(expr), sp.sympify(point)
    if not expr.has(var):
        return expr
    if point is -sp.oo:
        return boundary_value(expr.subs(var, -var), var, sp.oo)
    if point.is_finite is not False and not expr.has(*_JUMPS):
        direct = expr.subs(var, point)
        if not direct.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
            return _complete_beta(direct)
    by_terms = _by_terms(expr, var, point, side)
    if by_terms is not None:
        return by_terms
    if expr.has(*_SPECIAL):
        return None
    return _elementary(expr, var, point, side)


def _complete_beta(expr: sp.Expr) -> sp.Expr:
    """``I_1(a, b) = 1``, which SymPy leaves unevaluated."""
    return expr.replace(
        lambda e: isinstance(e, sp.betainc_regularized) and e.args[2:] == (0, 1),
        lambda e: sp.Integer(1),
    )


def _elementary(expr: sp.Expr, var: sp.Symbol, point: sp.Expr, side: str) -> sp.Expr | None:
    # SymPy's limit takes the wrong branch of a Piecewise, and guesses the sign of a symbolic
    # exponent wrongly: neither is asked for.
    if expr.has(*_JUMPS) or any(
        e.exp.free_symbols - {var} and e.base.has(var) for e in expr.atoms(sp.Pow)
    ):
        return None
    try:
        limit = sp.limit(expr, var, point, side)
    except (NotImplementedError, ValueError, TypeError, AttributeError):
        return None
    known = isinstance(limit, sp.Expr) and not limit.has(sp.Limit, sp.AccumBounds, sp.nan, var)
    return limit if known else None


def _by_terms(expr: sp.Expr, var: sp.Symbol, point: sp.Expr, side: str) -> sp.Expr | None:
    total: sp.Expr = sp.Integer(0)
    for term in sp.Add.make_args(sp.expand_mul(expr)):
        limit = _term(term, var, point, side)
        if limit is None or limit.is_finite is False or limit.has(sp.oo, sp.zoo, sp.nan):
            return None
        total += limit
    return total


def _term(term: sp.Expr, var: sp.Symbol, point: sp.Expr, side: str) -> sp.Expr | None:
    constant, rest = sp.factor_terms(term).as_independent(var, as_Add=False)
    leading: sp.Expr = sp.Integer(1)
    for factor in sp.Mul.make_args(rest):
        replacement = _factor(factor, var, point, side)
        if replacement is None:
            return None
        leading *= replacement
    fixed, moved = sp.powsimp(leading).as_independent(var, as_Add=False)
    degree = _degree(moved, var)
    if point is sp.oo and degree is not None:
        if degree.is_negative:
            return sp.Integer(0)
        return constant * fixed if degree.is_zero else None
    value = _elementary(moved, var, point, side)
    return None if value is None else constant * fixed * value


def _degree(monomial: sp.Expr, var: sp.Symbol) -> sp.Expr | None:
    """The exponent of ``var`` in a product of its powers, or None if there are other factors."""
    degree: sp.Expr = sp.Integer(0)
    for factor in sp.Mul.make_args(monomial):
        base, exponent = factor.as_base_exp()
        if base != var or exponent.has(var):
            return None
        degree += exponent
    return sp.expand(degree)


def _factor(factor: sp.Expr, var: sp.Symbol, point: sp.Expr, side: str) -> sp.Expr | None:
    """An elementary equivalent of one factor, or None."""
    base, exponent = factor.as_base_exp()
    if isinstance(base, _SPECIAL) and not exponent.has(var):
        leading = _equivalent(base, var, point, side)
        if leading is None:
            return None
        parts = [_factor(part, var, point, side) for part in sp.Mul.make_args(leading)]
        return None if None in parts else sp.Mul(*parts) ** exponent
    if factor.has(*_SPECIAL):
        return None
    if point is sp.oo and not exponent.has(var) and base != var:
        return _leading_power(base, exponent, var) or factor
    return factor


def _leading_power(base: sp.Expr, exponent: sp.Expr, var: sp.Symbol) -> sp.Expr | None:
    """``R(x)^e ~ (c x^m)^e`` at infinity for a rational ``R`` with positive leading part."""
    leading: sp.Expr = sp.Integer(1)
    for part, sign in zip(sp.together(base).as_numer_denom(), (1, -1), strict=True):
        if not (part.is_polynomial(var) and var.is_positive):
            return None
        poly = sp.Poly(part, var)
        if not poly.LC().is_positive:
            return None
        leading *= poly.LC() ** (sign * exponent) * var ** (sign * exponent * poly.degree())
    return leading


def _equivalent(f: sp.Expr, var: sp.Symbol, point: sp.Expr, side: str) -> sp.Expr | None:
    """Leading behaviour of a special function, chosen by where its argument tends."""
    argument = f.args[-1]
    inner = boundary_value(argument, var, point, side)
    if inner is None:
        return None
    if isinstance(f, sp.besselk) and f.args[0].is_Integer:
        order = abs(f.args[0])
        if inner == 0:
            if order == 0:
                return -sp.log(argument / 2) - sp.EulerGamma
            return sp.gamma(order) / 2 * (2 / argument) ** order
        if inner is sp.oo:
            return sp.sqrt(sp.pi / (2 * argument)) * sp.exp(-argument)
    if isinstance(f, StruveL) and f.args[0].is_Integer and inner == 0 and f.args[0] >= -1:
        order = f.args[0]
        norm = sp.sqrt(sp.pi) / 2 * sp.gamma(order + sp.Rational(3, 2))
        return (argument / 2) ** (order + 1) / norm
    if isinstance(f, sp.erfc):
        if inner is sp.oo:
            return sp.exp(-(argument**2)) / (argument * sp.sqrt(sp.pi))
        if inner is -sp.oo:
            return sp.Integer(2)
    if isinstance(f, sp.betainc_regularized) and f.args[2] == 0 and inner == 0:
        a, b = f.args[:2]
        return argument**a / (a * sp.beta(a, b))
    if inner.is_finite and not inner.has(var):
        value = f.subs(argument, inner)
        return value if not value.has(sp.nan, sp.zoo, sp.oo) and value != 0 else None
    return None
