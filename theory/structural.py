"""Signs that follow from how an expression is built, on its whole domain and not just on a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from theory.checks import CheckResult, Status, Timed

_PREDICATES = {
    ">0": "is_positive",
    ">=0": "is_nonnegative",
    "<0": "is_negative",
    "<=0": "is_nonpositive",
}
_OPPOSITE = {
    ">0": "is_nonpositive",
    ">=0": "is_negative",
    "<0": "is_nonnegative",
    "<=0": "is_positive",
}


@dataclass(frozen=True)
class StructuralSign(Timed):
    """``expr relation 0`` from the assumptions of its symbols alone (sums, products, exponentials).

    Complements :class:`theory.certified.Sign`, which needs a bounded box. UNDECIDED where SymPy's
    assumptions do not settle the sign. Raises ValueError for an unknown relation.
    """

    expr: Any
    relation: str = ">0"

    def __post_init__(self) -> None:
        if self.relation not in _PREDICATES:
            raise ValueError(
                f"relation must be one of {sorted(_PREDICATES)}, got {self.relation!r}"
            )

    def describe(self) -> str:
        """One line: what is claimed and how."""
        return f"{sp.sympify(self.expr)} {self.relation} by the assumptions of its symbols"

    def _run(self) -> CheckResult:
        expr = sp.sympify(self.expr)
        if getattr(expr, _PREDICATES[self.relation]):
            return CheckResult(Status.PROVED, "symbolic", "follows from the factors' signs")
        if getattr(expr, _OPPOSITE[self.relation]):
            return CheckResult(Status.FAILED, "symbolic", "the factors' signs give the opposite")
        return CheckResult(Status.UNDECIDED, "symbolic", "assumptions do not settle the sign")
