"""Homogeneous or heterogeneous: [B]'s taxonomy as a decision on expressions.

A limit graphon is homogeneous iff its mask graphon is constant, ``dP/du = dP/dv = 0``. The test
proves either answer: constancy by differentiating, heterogeneity by a pair of positions at
which rigorous enclosures of P are disjoint, for every threshold near tau. It never compares two
floating-point values, and says "cannot tell" (None) when neither proof is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from theory.certify import disjoint, enclose
from theory.profiles import Profile
from theory.saliency import IndependentRule
from theory.symbols import c, r, tau, u, v

if TYPE_CHECKING:
    from theory.limit import LimitGraphon

_LEVELS = [sp.Rational(k, 8) for k in (4, 7, 1)]


@dataclass(frozen=True)
class Witness:
    """Two positions ``(u, v)`` at which P provably differs, with enclosures of both values."""

    first: tuple[sp.Expr, sp.Expr]
    second: tuple[sp.Expr, sp.Expr]
    values: tuple[str, str]


def _factor(profile: Profile, position: sp.Expr) -> Any:
    """The factor at a rational position: an expression, or the exact rational of a float."""
    if profile.expr is not None:
        return profile.at(position)
    return sp.Rational(float(profile(np.array(float(position)))))


def witness(limit: LimitGraphon) -> Witness | None:
    """Two positions at which P provably differs, or None if none was found on a small grid.

    The threshold enters as an interval of relative width 1e-3 around its numerical value, far
    wider than the solver's error, so the proof does not rest on the solver's last digits.
    """
    if isinstance(limit.model.rule, IndependentRule):
        return None
    level = limit.tau
    margin = abs(level) * 1e-3 + 1e-15
    box = (sp.Rational(level - margin), sp.Rational(level + margin))
    mask = limit.model.rule.moment(limit.model.noise, 0, tau)
    found: list[tuple[tuple[sp.Expr, sp.Expr], Any]] = []
    for position_u in _LEVELS:
        for position_v in _LEVELS:
            factors = {
                r: _factor(limit.model.row, position_u),
                c: _factor(limit.model.column, position_v),
            }
            if any(value == 0 for value in factors.values()):
                continue
            ball = enclose(mask.subs(factors), {tau: box})
            for other, other_ball in found:
                if disjoint(ball, other_ball):
                    return Witness(other, (position_u, position_v), (str(other_ball), str(ball)))
            found.append(((position_u, position_v), ball))
    return None


def is_homogeneous(limit: LimitGraphon) -> bool | None:
    """Whether the mask graphon is constant: True or False where proved, else None.

    Source: [B], taxonomy (abstract and Section 4, reconstructed).
    """
    model = limit.model
    if model.row.constant is not None and model.column.constant is not None:
        return True
    # A threshold with a closed form may make constant what is not constant for every threshold.
    special = limit.threshold in (sp.S.Zero, sp.S.NegativeInfinity)
    expr = limit.expression("mask", limit.threshold if special else tau)
    # Not simplified: a factorised P is constant iff its factors are, which was asked above, and
    # simplifying the roots of an offset takes minutes.
    if all(sp.diff(expr, position) == 0 for position in (u, v)):
        return True
    if sp.sympify(limit.density).free_symbols:
        return None
    return False if witness(limit) is not None else None


def classify(limit: LimitGraphon) -> str:
    """``"homogeneous"``, ``"heterogeneous"`` or ``"cannot tell"``, for tables."""
    return {True: "homogeneous", False: "heterogeneous", None: "cannot tell"}[is_homogeneous(limit)]
