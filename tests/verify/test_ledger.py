"""No row of the ledger vanishes, and coverage says which are open."""

from __future__ import annotations

import demo_claims
import pytest

from verify import ledger
from verify.claim import Registry

ROWS = {
    "B-fsm",
    "B-thm-4-7",
    "B-remarks",
    "B-taxonomy",
    "B-fig-1",
    "B-fig-3-4",
    "B-fig-5",
    "B-thm-5-1",
    "B-lemma-5-6",
    "B-thm-5-7",
    "B-thm-6-1",
    "B-path-density",
    "B-fig-2",
    "B-alignment",
    "A-hypothesis",
    "A-fig-1",
    "A-widths",
    "A-prop-1",
    "A-lindeberg",
    "A-thm-1",
    "A-remarks",
    "A-constant",
    "A-modes",
    "A-fig-3",
    "A-fig-2",
    "A-magnitude",
    "A-app-c",
}


def test_no_row_vanishes() -> None:
    assert {row.id for row in ledger.rows()} >= ROWS


@pytest.mark.parametrize("row", ledger.rows(), ids=lambda row: row.id)
def test_rows_say_what_is_stated_and_what_to_show(row: ledger.Row) -> None:
    assert row.id.startswith(f"{row.paper}-")
    assert row.item == row.item.strip() != ""
    assert row.states.endswith(".")
    assert row.show.endswith(".")


def test_items_are_unique_inside_a_paper() -> None:
    for paper in ("A", "B"):
        assert len(set(ledger.items(paper))) == len(ledger.items(paper))


def test_coverage_tells_covered_rows_from_open_ones() -> None:
    found = {entry.row.id: entry for entry in ledger.coverage(demo_claims.DEMO)}
    assert not found["B-taxonomy"].is_open
    assert [claim.id for claim in found["B-taxonomy"].claims] == ["demo-limit", "demo-wrong"]
    assert found["A-thm-1"].is_open
    assert all(entry.is_open for entry in ledger.coverage(Registry()))
