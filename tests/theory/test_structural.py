"""Signs read off an expression's structure: proved, refuted, or left undecided."""

from __future__ import annotations

import pytest
import sympy as sp

from theory.checks import Check, Status
from theory.structural import StructuralSign
from theory.symbols import c, r, t, x

POSITIVE = x * sp.exp(-(t**2)) / (r**2 * c)
UNKNOWN = x - r


@pytest.mark.parametrize(
    ("expr", "relation", "status"),
    [
        (POSITIVE, ">0", Status.PROVED),
        (POSITIVE, ">=0", Status.PROVED),
        (-POSITIVE, "<0", Status.PROVED),
        (-POSITIVE, "<=0", Status.PROVED),
        (t**2, ">=0", Status.PROVED),
        (sp.Integer(0), ">=0", Status.PROVED),
        (sp.Integer(0), "<=0", Status.PROVED),
        (3, ">0", Status.PROVED),
        (POSITIVE, "<0", Status.FAILED),
        (POSITIVE, "<=0", Status.FAILED),
        (-POSITIVE, ">0", Status.FAILED),
        (-POSITIVE, ">=0", Status.FAILED),
        (sp.Integer(0), ">0", Status.FAILED),
        (-(t**2), ">0", Status.FAILED),
        (t**2, "<0", Status.FAILED),
        # t**2 may be zero: neither strict claim about it follows.
        (t**2, ">0", Status.UNDECIDED),
        (UNKNOWN, ">0", Status.UNDECIDED),
        (UNKNOWN, "<=0", Status.UNDECIDED),
        (sp.Symbol("anything"), ">0", Status.UNDECIDED),
        (sp.nan, ">0", Status.UNDECIDED),
    ],
    ids=str,
)
def test_signs(expr: object, relation: str, status: Status) -> None:
    check = StructuralSign(expr, relation)
    found = check.run()
    assert found.status is status
    assert found.kind == "symbolic"
    assert found.detail
    assert isinstance(check, Check)
    assert relation in check.describe()


def test_the_default_is_positivity() -> None:
    assert StructuralSign(POSITIVE).relation == ">0"
    assert StructuralSign(POSITIVE).run().status is Status.PROVED


@pytest.mark.parametrize("relation", ["==0", "", "> 0", "positive"])
def test_other_relations_are_refused(relation: str) -> None:
    with pytest.raises(ValueError, match="relation must be one of"):
        StructuralSign(POSITIVE, relation)
