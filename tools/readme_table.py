"""Write the README's table of claims, between its two markers, from the claims themselves.

Usage: ``python tools/readme_table.py`` (or ``make readme``). The verdict in the table is the
recorded one; ``graphonlimit verify`` and the tests hold it to the computed one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from verify import claims, ledger

README = Path(__file__).resolve().parents[1] / "README.md"
MARKERS = ("<!-- claims: begin -->", "<!-- claims: end -->")
HEADER = ("| statement | claim | reading | verdict |", "|---|---|---|---|")


def cells(*texts: str) -> str:
    """One row of a Markdown table; a bar inside a cell is escaped."""
    return "| " + " | ".join(text.replace("|", r"\|") for text in texts) + " |"


def rows() -> Iterator[str]:
    """One line for each claim, under the row of the ledger that it covers; open rows last."""
    registry = claims.load()
    covered = ledger.coverage(registry)
    for entry in covered:
        for claim in entry.claims:
            yield cells(
                f"[{claim.paper}] {claim.item}", claim.title, claim.reading, str(claim.recorded)
            )
    for claim in registry:
        if claim.paper == "own":
            yield cells(claim.item, claim.title, claim.reading, str(claim.recorded))
    for entry in covered:
        if entry.is_open:
            yield cells(f"[{entry.row.paper}] {entry.row.item}", entry.row.states, "", "*open*")


def inserted(readme: str) -> str:
    """``readme`` with the table between its markers; ValueError if a marker is missing."""
    begin, end = MARKERS
    if readme.count(begin) != 1 or readme.count(end) != 1:
        raise ValueError(f"the marker lines {begin!r} and {end!r} must each stand there once")
    table = "\n".join((*HEADER, *rows()))
    pattern = re.compile(re.escape(begin) + ".*" + re.escape(end), flags=re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{table}\n{end}", readme)


def main() -> None:
    """Rewrite the README in place."""
    README.write_text(inserted(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
