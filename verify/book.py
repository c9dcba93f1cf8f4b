"""What the pages of the book show: claims, derivations and tables, computed while they are built.

Text is MyST, so that formulas are set as in the page around them. Verdicts come from the runner,
in the quick profile. Finished trials come from the store that ``graphonlimit verify`` fills; it is
keyed by the code that computes them, so no page shows what the code no longer says.
"""

from __future__ import annotations

import os
import pickle
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from verify import claims, graph, ledger, plots, runner
from verify.checks.derivation import DerivationCheck
from verify.claim import Claim
from verify.environment import describe
from verify.files import write_atomically
from verify.outcome import Evidence, Outcome, StepRecord, Verdict
from verify.progress import why_not
from verify.report import SIGNS, duration, interval, number

BUILD_VARIABLE = "GRAPHONLIMIT_BOOK"

BOXES = {
    Verdict.PROVED: "tip",
    Verdict.SUPPORTED: "note",
    Verdict.REFUTED: "important",
    Verdict.UNDECIDED: "warning",
}
"""The class of the box that a verdict is shown in."""

_DISPLAYED = re.compile(r"\$\$\s*(.+?)\s*\$\$", flags=re.DOTALL)
_LINK = re.compile(r"</?a\b[^>]*>")
_known: dict[str, Outcome] = {}


class Myst(str):
    """Text that a notebook shows as MyST Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


class Markup(str):
    """Text that a notebook shows as HTML."""

    def _repr_html_(self) -> str:
        return str(self)


def outcomes(claim_ids: Iterable[str]) -> list[Outcome]:
    """Outcomes in the quick profile; ValueError for an unknown claim.

    Each claim runs once: in one page, or in one build of all pages if ``GRAPHONLIMIT_BOOK`` names a
    folder that is made for the build and removed before the next.
    """
    chosen = [claims.load().get(name) for name in claim_ids]
    named = os.environ.get(BUILD_VARIABLE, "").strip()
    folder = Path(named) if named else None
    if folder is not None:
        for claim in chosen:
            kept = folder / f"{claim.id}.pickle"
            if claim.id not in _known and kept.exists():
                _known[claim.id] = pickle.loads(kept.read_bytes())
    new = [claim for claim in chosen if claim.id not in _known]
    if new:
        for found in runner.run(new, profile="quick").outcomes:
            _known[found.claim_id] = found
            if folder is not None:
                write_atomically(folder / f"{found.claim_id}.pickle", pickle.dumps(found))
    return [_known[claim.id] for claim in chosen]


def show_claim(claim_id: str, figure: bool = True) -> None:
    """Display statement, verdict, evidence, mutants, figure and command of a claim.

    Raises ValueError if there is no such claim.
    """
    from IPython.display import display

    (found,) = outcomes([claim_id])
    claim = claims.load().get(claim_id)
    display(claim_text(claim, found))
    drawn = plots.figure(claim, found) if figure else None
    if drawn is not None:
        show_figure(drawn)


def show_figure(drawn: plots.Figure) -> None:
    """Display a figure, sharp on fine screens and no wider than the page."""
    from IPython.display import Image, display

    width = round(drawn.get_figwidth() * 96)
    display(Image(plots.to_png(drawn, dpi=192), width=min(width, 860)))


def show_derivation(name: str) -> Myst:
    """A derivation with the result of every step; ValueError if there is no such derivation."""
    from theory import derivations

    chain = derivations.get(name)
    found = DerivationCheck(name).run("quick")
    mutants = ", ".join(f"{m.name.partition(': ')[2]} ({m.verdict})" for m in found.mutants)
    parts = [
        *_box(f"{chain.title}: {found.evidence[0].verdict}", found.evidence[0].verdict),
        _formula(chain.statement),
        f"\nDomain: {chain.domain}.",
        ":::",
        *steps_text(found.steps),
    ]
    if mutants:
        parts.append(f"\nNear misses, each of which must fail: {mutants}.")
    parts.append(f"\nRun it again: `graphonlimit derive {name}`")
    return Myst("\n".join(parts))


def show_claims(*claim_ids: str) -> Myst:
    """A table of claims with their computed verdicts: those named, or all."""
    registry = claims.load()
    names = claim_ids or registry.ids()
    return Myst(
        _table(
            ("id", "claim", "source", "verdict", "time"),
            (
                (
                    f"`{name}`",
                    registry.get(name).title,
                    source(registry.get(name)),
                    f"**{found.verdict}**" + _surprise(found),
                    duration(found.seconds),
                )
                for name, found in zip(names, outcomes(names), strict=True)
            ),
        )
    )


def show_refuted() -> Myst:
    """The refuted statements, each beside the other claims on the same item."""
    registry = claims.load()
    found = dict(zip(registry.ids(), outcomes(registry.ids()), strict=True))
    rows = []
    for claim in registry:
        if found[claim.id].verdict is not Verdict.REFUTED:
            continue
        instead = (
            f"{other.title} ({other.reading}: **{found[other.id].verdict}**)"
            for other in registry
            if (other.paper, other.item) == (claim.paper, claim.item) and other is not claim
        )
        statement = _DISPLAYED.sub(r"$\\displaystyle \1$", claim.statement)
        rows.append((source(claim), statement, f"`{claim.id}`", "; ".join(instead)))
    header = ("source", "refuted statement", "claim", "on the same item")
    return Myst(_table(header, rows) if rows else "No claim is refuted.")


def show_summary() -> Myst:
    """How many claims there are of each verdict, in a sentence or two."""
    registry = claims.load()
    results = outcomes(registry.ids())
    count = Counter(found.verdict for found in results)
    said = ", ".join(f"{count[verdict]} *{verdict}*" for verdict in Verdict)
    covered = ledger.coverage(registry)
    mutants = [mutant for found in results for mutant in found.mutants]
    refuted = sum(mutant.verdict is Verdict.REFUTED for mutant in mutants)
    return Myst(
        f"Of {len(registry)} claims: {said}. Near misses refuted: {refuted} of {len(mutants)}. "
        f"Statements of the two papers without a claim yet: "
        f"{sum(entry.is_open for entry in covered)} of {len(covered)}."
    )


def show_ledger(open_only: bool = False) -> Myst:
    """The papers' statements with the claims that cover them, or only those that are open."""
    rows = (
        (
            f"[{entry.row.paper}] {entry.row.item}",
            entry.row.states,
            ", ".join(f"`{claim.id}`" for claim in entry.claims) or "*open*",
        )
        for entry in ledger.coverage(claims.load())
        if entry.is_open or not open_only
    )
    return Myst(_table(("item", "states", "claims"), rows))


def show_graph() -> Markup:
    """What builds on what, as a drawing coloured by the computed verdicts."""
    registry = claims.load()
    style = (
        ".graph .edge{fill:none;stroke:#bbb;stroke-width:1.4}"
        ".graph rect{fill:none;stroke:currentColor;stroke-width:1.5}"
        ".graph .settled rect{fill:currentColor;fill-opacity:.16}"
        ".graph .unsettled rect{stroke-dasharray:4 3}"
        ".graph text{font:11px sans-serif;text-anchor:middle;fill:var(--pst-color-text-base)}"
        ".graph .proved{color:#0b6b47}.graph .supported{color:#1f78b4}"
        ".graph .refuted{color:#a13d97}.graph .undecided{color:#9a6700}"
    )
    # The report's links lead to its own sections.
    drawn = _LINK.sub("", graph.svg(list(registry), outcomes(registry.ids())))
    return Markup(f'<style>{style}</style><div style="overflow-x:auto">{drawn}</div>')


def show_environment() -> Myst:
    """Versions and machine that the page was built with."""
    found = describe("quick", 0, "auto")
    return Myst(_table(("", "value"), ((name, f"{value}") for name, value in found.items())))


def source(claim: Claim) -> str:
    """Where a claim comes from: paper, item and reading, in one line."""
    paper = "" if claim.paper == "own" else f"[{claim.paper}] "
    return f"{paper}{claim.item} ({claim.reading})"


def claim_text(claim: Claim, found: Outcome) -> Myst:
    """Everything but the figure that a page shows of a claim."""
    parts = [*_box(f"{claim.title}: {found.verdict}", found.verdict), _paragraphs(claim.statement)]
    if claim.hypotheses:
        parts.append("\nHypotheses: " + "; ".join(claim.hypotheses) + ".")
    parts += [f"\n*Source:* {source(claim)}.{_surprise(found)}", ":::", "", _evidence(found)]
    for check in found.checks:
        if check.steps:
            parts += [f"\n::::{{dropdown}} Derivation *{check.check}*, {len(check.steps)} steps"]
            parts += [*steps_text(check.steps), "::::"]
    if found.mutants:
        said = ", ".join(f"{mutant.name} (*{mutant.verdict}*)" for mutant in found.mutants)
        parts.append(f"\nNear misses, held against the same evidence: {said}.")
    if claim.explanation:
        parts.append("\n" + _paragraphs(claim.explanation))
    if claim.depends:
        parts.append("\nBuilds on " + ", ".join(f"`{name}`" for name in claim.depends) + ".")
    parts.append(f"\nRun it again: `graphonlimit verify {claim.id}` ({duration(found.seconds)})")
    return Myst("\n".join(parts))


def steps_text(steps: Iterable[StepRecord]) -> list[str]:
    """Lines of a numbered list of a derivation's steps, each with what checked it."""
    lines = []
    for index, step in enumerate(steps, start=1):
        uses = f" Uses {'; '.join(step.hypotheses)}." if step.hypotheses else ""
        lines += ["", f"{index}. {step.reason}{uses} *({step.kind}: {step.status})*", ""]
        lines += ["   " + line for line in _formula(step.statement).splitlines()]
    return [*lines, ""]


def _paragraphs(text: str) -> str:
    """``text`` with every displayed formula in a paragraph of its own."""
    return _DISPLAYED.sub(r"\n\n$$\n\1\n$$\n\n", text).strip()


def _formula(text: str) -> str:
    """MyST as it is; bare LaTeX as a displayed formula; words as they are."""
    bare = "\\" in text and "$" not in text
    return _paragraphs(f"$${text}$$" if bare else text)


def _surprise(found: Outcome) -> str:
    return "" if found.as_recorded else f" **Not as recorded:** {why_not(found)}."


def _box(title: str, verdict: Verdict) -> list[str]:
    return [f":::{{admonition}} {title}", f":class: {BOXES[verdict]}", ""]


def _evidence(found: Outcome) -> str:
    def row(item: Evidence) -> tuple[str, ...]:
        predicted = "" if item.predicted is None else SIGNS[item.relation] + number(item.predicted)
        count = "" if item.replicates is None else str(item.replicates)
        values = (predicted, number(item.measured), interval(item), number(item.margin), count)
        return (item.name, item.kind, *values, str(item.verdict))

    columns = ("predicted", "measured", "interval", "margin", "replicates")
    return _table(("evidence", "kind", *columns, "verdict"), map(row, found.evidence))


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    titles = tuple(header)
    return "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in line) + " |"
        for line in (titles, ("---",) * len(titles), *rows)
    )
