"""The HTML report: one page that needs no network, made from a run."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from verify import graph, ledger, markup, plots, plots_checks
from verify.claim import Claim
from verify.claim import registered_in as claim_in
from verify.experiment import Experiment
from verify.experiment import registered_in as experiment_in
from verify.files import write_atomically
from verify.measured import Result
from verify.outcome import Evidence, Outcome, Verdict, finite_or_none
from verify.profile import for_profile
from verify.progress import why_not
from verify.runner import Run
from verify.worker import Drawing

PAGE = "index.html"
LARGEST_SVG = 300_000  # bytes; beyond this a bitmap is smaller and drawn faster
SIGNS = {"=": "", "<=": "≤ ", ">=": "≥ "}


@dataclass(frozen=True)
class Section:
    """What the template needs of one claim. Texts are HTML."""

    claim: Claim
    outcome: Outcome
    statement: str
    hypotheses: tuple[str, ...]
    explanation: str
    figure: str
    figure_error: str
    error_rate: float

    @property
    def source(self) -> str:
        """Paper and item."""
        return (
            self.claim.item
            if self.claim.paper == "own"
            else (f"[{self.claim.paper}] {self.claim.item}")
        )

    @property
    def why(self) -> str:
        """Why it is not as recorded; empty if it is."""
        return "" if self.outcome.as_recorded else why_not(self.outcome)

    @property
    def mutants_refuted(self) -> int:
        """How many mutants are refuted."""
        return sum(m.verdict is Verdict.REFUTED for m in self.outcome.mutants)

    @property
    def statistical(self) -> bool:
        """Whether some evidence is statistical."""
        return any(item.kind == "statistical" for item in self.outcome.evidence)


@dataclass(frozen=True)
class Measured:
    """What the template needs of one experiment. Texts are HTML."""

    experiment: Experiment
    result: Result
    protocol: str
    figure: str
    figure_error: str


def write(run: Run, folder: str | PathLike[str], registry: Iterable[Claim] | None = None) -> Path:
    """Write ``index.html`` into `folder` and return its path.

    registry: all claims of the project, for the ledger's coverage (default: those of the run).
    """
    return write_atomically(Path(folder) / PAGE, render(run, registry))


def render(run: Run, registry: Iterable[Claim] | None = None) -> str:
    """The page as text."""
    sections = [
        section(c, o, run.environment["profile"], run.drawings.get(("claim", c.id)))
        for c, o in zip(run.claims, run.outcomes, strict=True)
    ]
    covered = ledger.coverage(run.claims if registry is None else registry)
    tally = Counter(str(outcome.verdict) for outcome in run.outcomes)
    mutants = [mutant for outcome in run.outcomes for mutant in outcome.mutants]
    return _template().render(
        environment=run.environment,
        sections=sections,
        surprises=[item for item in sections if item.why],
        counts={str(verdict): tally[str(verdict)] for verdict in Verdict},
        mutants={
            "total": len(mutants),
            "refuted": sum(mutant.verdict is Verdict.REFUTED for mutant in mutants),
        },
        seconds=duration(sum(outcome.seconds for outcome in run.outcomes)),
        ledger=covered,
        covered=sum(not entry.is_open for entry in covered),
        verdicts={outcome.claim_id: str(outcome.verdict) for outcome in run.outcomes},
        graph=graph.svg(run.claims, run.outcomes),
        experiments=[
            measured(e, r, run.drawings.get(("experiment", e.name)))
            for e, r in zip(run.experiments, run.results, strict=True)
        ],
    )


def section(claim: Claim, outcome: Outcome, profile: str, drawn: Drawing | None = None) -> Section:
    """Texts as HTML and the figure as a data address: `drawn`, or made here."""
    drawn = drawing(lambda: plots_checks.figure(claim, outcome)) if drawn is None else drawn
    return Section(
        claim=claim,
        outcome=outcome,
        statement=markup.to_html(claim.statement),
        hypotheses=tuple(markup.inline(text) for text in claim.hypotheses),
        explanation=markup.to_html(claim.explanation),
        figure=drawn.address,
        figure_error=drawn.error,
        error_rate=for_profile(claim.error_rate, profile),
    )


def measured(experiment: Experiment, result: Result, drawn: Drawing | None = None) -> Measured:
    """The same for an experiment."""
    drawn = drawing(lambda: experiment.figure(result)) if drawn is None else drawn
    protocol = markup.to_html(experiment.protocol)
    return Measured(experiment, result, protocol, drawn.address, drawn.error)


def drawing(make: Callable[[], plots.Figure | None]) -> Drawing:
    """A figure as a data address. A failing one is said to fail, and does not cost the report."""
    try:
        drawn = make()
        return Drawing("" if drawn is None else data_address(drawn))
    except Exception as problem:
        return Drawing(error=f"{type(problem).__name__}: {problem}")


def drawing_in(module: str, name: str, found: Outcome | Result) -> Drawing:
    """The drawing of a claim or an experiment that `module`, already imported, registered."""
    if isinstance(found, Result):
        experiment = experiment_in(module, name)
        return drawing(lambda: experiment.figure(found))
    claim = claim_in(module, name)
    return drawing(lambda: plots_checks.figure(claim, found))


def data_address(drawn: plots.Figure) -> str:
    """A figure as a ``data:`` address: SVG, or PNG where that would be very large."""
    svg = plots.to_svg(drawn)
    kind, data = ("svg+xml", svg) if len(svg) <= LARGEST_SVG else ("png", plots.to_png(drawn))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def number(value: float | None) -> str:
    """Four significant digits; a dash for what is unknown or infinite."""
    found = finite_or_none(value)
    return "–" if found is None else f"{found:.4g}"


def interval(item: Evidence) -> str:
    """``[low, high]``, or a dash."""
    if finite_or_none(item.low) is None or finite_or_none(item.high) is None:
        return "–"
    return f"[{number(item.low)}, {number(item.high)}]"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _predicted(item: Evidence) -> str:
    return "–" if item.predicted is None else SIGNS[item.relation] + number(item.predicted)


def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("verify"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters.update(
        number=number,
        interval=interval,
        predicted=_predicted,
        replicates=lambda item: "–" if item.replicates is None else str(item.replicates),
        myst=markup.to_html,
        words=markup.inline,
    )
    return environment.get_template("report.html.j2")
