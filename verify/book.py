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

from verify import claims, experiments, graph, ledger, plots, plots_checks, runner
from verify.checks.derivation import DerivationCheck
from verify.environment import describe
from verify.files import write_atomically
from verify.myst import (
    Myst,
    box,
    claim_text,
    formula,
    in_a_line,
    near_misses,
    refuted_share,
    set_formula,
    source,
    steps_text,
    surprise,
    table,
)
from verify.outcome import Outcome, Verdict
from verify.profile import for_profile
from verify.report import duration

__all__ = [
    "BUILD_VARIABLE",
    "Markup",
    "Myst",
    "claim_text",
    "formula",
    "outcomes",
    "show_claim",
    "show_claims",
    "show_derivation",
    "show_environment",
    "show_experiment",
    "show_figure",
    "show_graph",
    "show_ledger",
    "show_refuted",
    "show_summary",
    "steps_text",
    "table",
]

BUILD_VARIABLE = "GRAPHONLIMIT_BOOK"

_LINK = re.compile(r"</?a\b[^>]*>")
_known: dict[str, Outcome] = {}


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
    # A check that an error stopped may have left nothing to draw; the text says what happened.
    drawn = plots_checks.figure(claim, found) if figure and not found.errors else None
    if drawn is not None:
        show_figure(drawn)


def show_experiment(name: str, figure: bool = True, tables: bool = True) -> None:
    """Display protocol, figure, tables and command of an experiment, in the quick profile.

    Raises ValueError if there is no such experiment, RuntimeError if it fails.
    """
    from IPython.display import display

    experiment = experiments.load().get(name)
    result = experiment.run("quick")
    display(Myst(f"**{experiment.title}** ({experiment.source}). {experiment.protocol}"))
    drawn = experiment.figure(result) if figure else None
    if drawn is not None:
        show_figure(drawn)
    for part in result.tables:
        if tables and part.shown():
            header, lines = part.cells()
            display(Myst(table(header, lines)))
    command = f"`graphonlimit experiment {name}` ({duration(result.seconds)})"
    display(Myst(f"Means over independent seeds, ± half a 95 % interval. Run it again: {command}"))


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
    cited = [step.reason for step in found.steps if step.kind == "cited"]
    parts = [
        *box(f"{chain.title}: {found.evidence[0].verdict}", found.evidence[0].verdict),
        set_formula(chain.statement),
        f"\nDomain: {chain.domain}.",
    ]
    if cited:
        parts.append(f"\nConditional on what is cited and not checked here: {'; '.join(cited)}.")
    parts += [":::", *steps_text(found.steps), near_misses(found.mutants)]
    parts.append(f"\nRun it again: `graphonlimit derive {name}`")
    return Myst("\n".join(parts))


def show_claims(*claim_ids: str, details: bool = False) -> Myst:
    """A table of claims with their computed verdicts: those named, or all.

    details: below the table, all that `show_claim` says but the figures, folded.
    """
    registry = claims.load()
    names = claim_ids or registry.ids()
    found = outcomes(names)
    rows = (
        (
            f"{registry.get(name).title} (`{name}`)",
            source(registry.get(name)),
            f"**{outcome.verdict}**" + surprise(outcome),
            refuted_share(outcome.mutants),
            duration(outcome.seconds),
        )
        for name, outcome in zip(names, found, strict=True)
    )
    header = ("claim", "source", "verdict", "near misses refuted", "time")
    parts: list[str] = [table(header, rows)]
    if details:
        parts += ["", ":::::{dropdown} Statements, evidence and commands"]
        for name, outcome in zip(names, found, strict=True):
            parts += [claim_text(registry.get(name), outcome), ""]
        parts.append(":::::")
    return Myst("\n".join(parts))


def show_refuted() -> Myst:
    """The refuted statements, each beside the claims that it builds on or that build on it."""
    registry = claims.load()
    found = dict(zip(registry.ids(), outcomes(registry.ids()), strict=True))
    rows = []
    for claim in registry:
        if found[claim.id].verdict is not Verdict.REFUTED:
            continue
        beside = (
            f"{other.title} ({other.reading}: **{found[other.id].verdict}**)"
            for other in registry
            if other.id in claim.depends or claim.id in other.depends
        )
        statement = f"{in_a_line(claim.statement)} (`{claim.id}`)"
        rows.append((source(claim), statement, "; ".join(beside)))
    header = ("source", "refuted statement", "beside it")
    return Myst(table(header, rows) if rows else "No claim is refuted.")


def show_summary() -> Myst:
    """How many claims there are of each verdict, and at which error rate, in a few sentences."""
    registry = claims.load()
    results = outcomes(registry.ids())
    count = Counter(found.verdict for found in results)
    said = ", ".join(f"{count[verdict]} *{verdict}*" for verdict in Verdict)
    covered = ledger.coverage(registry)
    mutants = [mutant for found in results for mutant in found.mutants]
    surprises = sum(not found.as_recorded for found in results)
    rate = max(for_profile(claim.error_rate, "quick") for claim in registry)
    return Myst(
        f"Of {len(registry)} claims: {said}. Not as recorded: {surprises}. Near misses refuted: "
        f"{refuted_share(mutants)}. For each claim the chance that sampling lets it pass "
        f"although one of its statements is false or a near miss of it true, and the chance that "
        f"sampling overturns one that holds, are at most {rate:g} each, over all looks. "
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
    return Myst(table(("item", "states", "claims"), rows))


def show_graph() -> Markup:
    """What builds on what, as a drawing coloured by the computed verdicts."""
    registry = claims.load()
    style = (
        ".graph{max-width:100%;height:auto;--page:var(--pst-color-background)}"
        ".graph .edge{fill:none;stroke:#bbb;stroke-width:1.4}"
        ".graph rect{fill:var(--page);stroke:currentColor;stroke-width:1.5}"
        ".graph .settled rect{fill:color-mix(in srgb,currentColor 16%,var(--page))}"
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
    return Myst(table(("", "value"), ((name, f"{value}") for name, value in found.items())))
