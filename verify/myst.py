"""Claims and derivations as MyST text, for the pages of the book.

Formulas are set as in the page around them; numbers and verdicts are those of the outcome.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from verify.claim import Claim
from verify.outcome import Evidence, Mutant, Outcome, StepRecord, Verdict
from verify.progress import why_not
from verify.report import SIGNS, duration, interval, number

BOXES = {
    Verdict.PROVED: "tip",
    Verdict.SUPPORTED: "note",
    Verdict.REFUTED: "important",
    Verdict.UNDECIDED: "warning",
}
"""The class of the box that a verdict is shown in."""

_DISPLAYED = re.compile(r"\$\$\s*(.+?)\s*\$\$", flags=re.DOTALL)


class Myst(str):
    """Text that a notebook shows as MyST Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


def source(claim: Claim) -> str:
    """Where a claim comes from: paper, item and reading, in one line."""
    paper = "" if claim.paper == "own" else f"[{claim.paper}] "
    return f"{paper}{claim.item} ({claim.reading})"


def claim_text(claim: Claim, found: Outcome) -> Myst:
    """Everything but the figure that a page shows of a claim."""
    parts = [*box(f"{claim.title}: {found.verdict}", found.verdict), _paragraphs(claim.statement)]
    if claim.hypotheses:
        parts.append("\nHypotheses: " + "; ".join(claim.hypotheses) + ".")
    parts += [f"\n*Source:* {source(claim)}.{surprise(found)}", ":::", "", _evidence(found)]
    for check in found.checks:
        if check.steps:
            parts += [
                f"\n::::{{dropdown}} Derivation *{check.check}*, {len(check.steps)} steps: "
                f"{check.evidence[0].verdict}"
            ]
            parts += [*steps_text(check.steps), "::::"]
    if found.mutants:
        parts.append(near_misses(found.mutants, several=len(found.checks) > 1))
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
        lines += ["   " + line for line in set_formula(step.statement).splitlines()]
    return [*lines, ""]


def in_a_line(text: str) -> str:
    """``text`` with displayed formulas set in the line, for the cells of a table."""
    return _DISPLAYED.sub(r"$\\displaystyle \1$", text)


def _paragraphs(text: str) -> str:
    """``text`` with every displayed formula in a paragraph of its own."""
    return _DISPLAYED.sub(r"\n\n$$\n\1\n$$\n\n", text).strip()


def set_formula(text: str) -> str:
    """MyST as it is; bare LaTeX as a displayed formula; words as they are."""
    bare = "\\" in text and "$" not in text
    return _paragraphs(f"$${text}$$" if bare else text)


def surprise(found: Outcome) -> str:
    """Why an outcome is not as recorded, to be put behind its verdict; empty if it is."""
    return "" if found.as_recorded else f" **Not as recorded:** {why_not(found)}."


def box(title: str, verdict: Verdict) -> list[str]:
    """First lines of an admonition in the colour of a verdict; close it with ``:::``."""
    return [f":::{{admonition}} {title}", f":class: {BOXES[verdict]}", ""]


def refuted_share(mutants: Sequence[Mutant]) -> str:
    """How many of the near misses are refuted."""
    return f"{sum(m.verdict is Verdict.REFUTED for m in mutants)} of {len(mutants)}"


def near_misses(mutants: Sequence[Mutant], several: bool = False) -> str:
    """Names of the near misses and how many are refuted; ``several`` keeps the check's name."""
    if not mutants:
        return ""
    alive = [m for m in mutants if m.verdict is not Verdict.REFUTED]
    groups: dict[str, list[str]] = {}
    for mutant in mutants:
        check, _, name = mutant.name.rpartition(": ")
        groups.setdefault(check if several else "", []).append(name)
    said = "; ".join(
        (f"{check}: " if check else "") + ", ".join(names) for check, names in groups.items()
    )
    text = f"\nNear misses refuted: {refuted_share(mutants)} ({said})."
    left = ", ".join(f"{m.name} (*{m.verdict}*)" for m in alive)
    return text + (f" **Not refuted:** {left}." if alive else "")


def _evidence(found: Outcome) -> str:
    """The numbers behind a verdict; nothing for derivations, whose steps say more."""

    def row(item: Evidence) -> tuple[str, ...]:
        predicted = "–" if item.predicted is None else SIGNS[item.relation] + number(item.predicted)
        count = "–" if item.replicates is None else str(item.replicates)
        values = (predicted, number(item.measured), interval(item), number(item.margin), count)
        whole = (value.replace("-", "−").replace(" ", "\N{NO-BREAK SPACE}") for value in values)
        return (item.name, item.kind, *whole, str(item.verdict))

    rows = [row(item) for item in found.evidence if item.kind != "symbolic"]
    if not rows:
        return ""
    columns = ("predicted", "measured", "interval", "margin", "replicates")
    header = ("evidence", "kind", *columns, "verdict")
    used = [k for k in range(len(header)) if any(line[k] != "–" for line in rows)]
    return table([header[k] for k in used], ([line[k] for k in used] for line in rows))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Myst:
    """A Markdown table; a bar inside a cell is escaped."""
    titles = tuple(header)
    return Myst(
        "\n".join(
            "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in line) + " |"
            for line in (titles, ("---",) * len(titles), *rows)
        )
    )


def formula(expression: object) -> str:
    """A SymPy expression as an inline formula, for the cells of a table."""
    from sympy import latex

    return f"${latex(expression)}$"
