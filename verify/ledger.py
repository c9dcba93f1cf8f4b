"""The ledger: what the two papers state, row by row, and which claims cover it.

The rows live in ``ledger.toml``. A row that no claim names is *open*.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verify.claim import Claim

PAPERS = ("A", "B", "own")
PAPER_TITLES = {
    "A": "The Graphon Limit Hypothesis",
    "B": "Pruning at Initialisation through the Lens of Graphon Limit",
    "own": "Own statements",
}


@dataclass(frozen=True)
class Row:
    """One row of the ledger. `id` is stable; `item` is the wording that claims quote."""

    id: str
    paper: str
    item: str
    states: str
    show: str


@dataclass(frozen=True)
class Covered:
    """A row and the claims that name its item."""

    row: Row
    claims: tuple[Claim, ...]

    @property
    def is_open(self) -> bool:
        """Whether no claim covers the row."""
        return not self.claims


@lru_cache(maxsize=1)
def rows() -> tuple[Row, ...]:
    """All rows in order. ValueError if the file is malformed or a row is given twice."""
    text = resources.files("verify").joinpath("ledger.toml").read_text(encoding="utf-8")
    found = tuple(Row(**entry) for entry in tomllib.loads(text)["row"])
    for key in ("id", "item"):
        seen = [(row.paper if key == "item" else "", getattr(row, key)) for row in found]
        if len(set(seen)) < len(seen):
            raise ValueError(f"ledger.toml: two rows have the same {key}")
    for row in found:
        if row.paper not in ("A", "B"):
            raise ValueError(f"ledger.toml: paper of {row.id} must be A or B; got {row.paper!r}")
    return found


@lru_cache(maxsize=4)
def items(paper: str) -> tuple[str, ...]:
    """The items of one paper, in the ledger's wording."""
    return tuple(row.item for row in rows() if row.paper == paper)


def coverage(claims: Iterable[Claim]) -> tuple[Covered, ...]:
    """Every row with the claims that cover it, in the order of the ledger."""
    claims = tuple(claims)
    return tuple(
        Covered(row, tuple(c for c in claims if (c.paper, c.item) == (row.paper, row.item)))
        for row in rows()
    )
