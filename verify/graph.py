"""The dependency graph of claims as a small SVG, coloured from computed verdicts.

The border of a node shows its verdict as it is; it is filled only if the claim and everything it
builds on came out as recorded.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from verify.claim import Claim
from verify.outcome import Outcome

WIDTH, HEIGHT, GAP_X, GAP_Y = 190, 26, 56, 10


def svg(claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> str:
    """The graph of all claims that build on, or are built on by, another one; "" if none does."""
    present = {claim.id for claim in claims}
    edges = [(d, c.id) for c in claims for d in c.depends if d in present]
    linked = {name for edge in edges for name in edge}
    if not edges:
        return ""
    shown = [claim for claim in claims if claim.id in linked]
    found = {outcome.claim_id: outcome for outcome in outcomes}
    place = _places(shown, present)
    height = max(y for _, y in place.values()) + HEIGHT + 4
    width = max(x for x, _ in place.values()) + WIDTH + 4
    parts = [
        f'<svg class="graph" viewBox="-2 -2 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="Which claims build on which">'
    ]
    for source, target in edges:
        (x0, y0), (x1, y1) = place[source], place[target]
        ax, ay, bx, by = x0 + WIDTH, y0 + HEIGHT / 2, x1, y1 + HEIGHT / 2
        middle = (ax + bx) / 2
        parts.append(f'<path class="edge" d="M{ax} {ay} C{middle} {ay} {middle} {by} {bx} {by}"/>')
    for claim in shown:
        x, y = place[claim.id]
        settled = "settled" if _settled(claim, claims, found) else "unsettled"
        label = claim.id if len(claim.id) <= 29 else claim.id[:28] + "…"
        parts.append(
            f'<a href="#{claim.id}"><g class="node {found[claim.id].verdict} {settled}">'
            f"<title>{html.escape(claim.title)}: {found[claim.id].verdict}</title>"
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
            f'<text x="{x + WIDTH / 2}" y="{y + HEIGHT / 2 + 4}">{html.escape(label)}</text>'
            f"</g></a>"
        )
    return "".join(parts) + "</svg>"


def _places(shown: Sequence[Claim], present: set[str]) -> dict[str, tuple[float, float]]:
    """Column: the longest way from a claim that builds on nothing; row: order in the run."""
    by_id = {claim.id: claim for claim in shown}
    column: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in column:
            parents = [d for d in by_id[name].depends if d in present]
            column[name] = 1 + max((depth(d) for d in parents), default=-1)
        return column[name]

    rows: dict[int, int] = {}
    place = {}
    for claim in shown:
        x = depth(claim.id)
        y = rows.get(x, 0)
        rows[x] = y + 1
        place[claim.id] = (float(x * (WIDTH + GAP_X)), float(y * (HEIGHT + GAP_Y)))
    return place


def _settled(claim: Claim, claims: Sequence[Claim], found: dict[str, Outcome]) -> bool:
    by_id = {item.id: item for item in claims}
    todo, seen = [claim.id], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        # An ancestor that was not part of this run is not known to hold.
        if name not in found or not found[name].as_recorded:
            return False
        todo.extend(by_id[name].depends)
    return True
