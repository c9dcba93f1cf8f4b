"""Certified checks: rigorous enclosures, computed once, against predicted values."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verify.checks.base import RELATIONS, Lazy, Relation, number
from verify.decision import decide
from verify.outcome import CheckOutcome, Evidence, Kind, Mutant, Verdict


@dataclass(frozen=True)
class Certified:
    """A rigorous enclosure [low, high] of a quantity, and what the statement says it is.

    relation and margin: as in `verify.checks.Reading`. settings: JSON-able description.
    """

    name: str
    predicted: Lazy
    low: float
    high: float
    margin: float = 0.0
    relation: Relation = "="
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def middle(self) -> float:
        """Midpoint of the enclosure."""
        return (self.low + self.high) / 2


@dataclass(frozen=True)
class CertifiedCheck:
    """Enclosures made by ``function() -> list[Certified]``, without randomness.

    mutants: by name, a function from a row to the wrong value predicted for it; a mutant is
    refuted if one of its rows is, supported if all are.
    """

    name: str
    function: Callable[[], Sequence[Certified]]
    mutants: Mapping[str, Callable[[Certified], Lazy]] = field(default_factory=dict)
    note: str = ""

    @property
    def kind(self) -> Kind:
        """Certified evidence."""
        return "certified"

    @property
    def may_have_mutants(self) -> bool:
        """Whether mutants are named."""
        return bool(self.mutants)

    def validate(self) -> None:
        """Raise TypeError unless the function and the mutants can be called."""
        if not callable(self.function):
            raise TypeError(f"function must be callable; got {self.function!r}")
        for name, mutant in self.mutants.items():
            if not callable(mutant):
                raise TypeError(f"mutant {name} must be a function of a row; got {mutant!r}")

    def run(self, profile: str) -> CheckOutcome:
        """Compute the enclosures once and hold the statement and all mutants against them."""
        start = time.process_time()
        rows = list(self.function())
        if not rows:
            raise ValueError("function must return at least one enclosure; got none")
        for row in rows:
            _require_row(row)
        evidence = tuple(
            self._evidence(row, number(row.predicted, profile, f"predicted of {row.name}"))
            for row in rows
        )
        mutants = tuple(
            self._mutant(name, wrong, rows, profile) for name, wrong in self.mutants.items()
        )
        return CheckOutcome(
            check=self.name,
            kind=self.kind,
            evidence=evidence,
            mutants=mutants,
            seconds=time.process_time() - start,
        )

    def _evidence(self, row: Certified, predicted: float) -> Evidence:
        return Evidence(
            name=f"{self.name}: {row.name}",
            kind="certified",
            verdict=decide(row.low, row.high, predicted, row.margin, row.relation),
            predicted=predicted,
            measured=row.middle,
            low=row.low,
            high=row.high,
            margin=row.margin if row.relation == "=" else None,
            settings={"relation": row.relation, **row.settings},
            relation=row.relation,
            note=self.note,
        )

    def _mutant(
        self,
        name: str,
        wrong: Callable[[Certified], Lazy],
        rows: Sequence[Certified],
        profile: str,
    ) -> Mutant:
        items = [
            self._evidence(row, number(wrong(row), profile, f"mutant {name} of {row.name}"))
            for row in rows
        ]
        refuted = [item for item in items if item.verdict is Verdict.REFUTED]
        open_items = [item for item in items if item.verdict is Verdict.UNDECIDED]
        chosen = (refuted or open_items or items)[0]
        return Mutant(f"{self.name}: {name}", chosen.verdict, chosen)


def _require_row(row: Certified) -> None:
    if math.isnan(row.low) or math.isnan(row.high) or not row.low <= row.high:
        raise ValueError(f"enclosure {row.name} must have low <= high; got [{row.low}, {row.high}]")
    if not (row.margin >= 0 and math.isfinite(row.margin)):
        raise ValueError(f"margin of {row.name} must be non-negative; got {row.margin}")
    if row.relation not in RELATIONS:
        raise ValueError(f"relation of {row.name} must be one of {', '.join(RELATIONS)}")
