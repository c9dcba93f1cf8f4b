"""What a run shows while it is under way: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from verify.claim import Claim
from verify.outcome import Outcome, Verdict

STYLES = ("auto", "live", "plain", "none")
COLOURS = {
    Verdict.PROVED: "bold green",
    Verdict.SUPPORTED: "green",
    Verdict.REFUTED: "magenta",
    Verdict.UNDECIDED: "yellow",
}
HEARTBEAT_SECONDS = 15.0


class Reporter(Protocol):
    """Told by the runner what happens."""

    def __enter__(self) -> Reporter: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def work(self, done: int, known: int) -> None:
        """So many pieces of work of those known so far are done."""

    def claim(self, claim: Claim, outcome: Outcome) -> None:
        """A claim has its verdict."""


def make_reporter(style: str, claims: int, console: Console | None = None) -> Reporter:
    """The reporter of a style: ``auto`` is ``live`` on a terminal and ``plain`` elsewhere."""
    if style not in STYLES:
        raise ValueError(f"progress must be one of {', '.join(STYLES)}; got {style!r}")
    console = console or Console(stderr=True)
    if style == "auto":
        style = "live" if console.is_terminal else "plain"
    if style == "live":
        return _Live(claims, console)
    return _Plain(claims, console, silent=style == "none")


def verdict_line(claim: Claim, outcome: Outcome) -> Text:
    """One line: verdict, id, CPU seconds, and whether it is not as recorded."""
    line = Text()
    line.append(f"{outcome.verdict:<10}", style=COLOURS[outcome.verdict])
    line.append(f" {claim.id}")
    line.append(f"  {outcome.seconds:.1f} s", style="dim")
    if not outcome.as_recorded:
        line.append(f"  not as recorded ({why_not(outcome)})", style="bold red")
    return line


def why_not(outcome: Outcome) -> str:
    """Why an outcome is not as recorded, in a few words."""
    if outcome.errors:
        return outcome.errors[0]
    if outcome.verdict is not outcome.recorded:
        cause = next((e.note for e in outcome.evidence if e.verdict is outcome.verdict), "")
        return f"recorded: {outcome.recorded}" + (f"; {cause}" if cause else "")
    if not outcome.mutants:
        return "no mutant was run"
    alive = [m.name for m in outcome.mutants if m.verdict is not Verdict.REFUTED]
    return f"mutants not refuted: {', '.join(alive)}"


class _Live:
    def __init__(self, claims: int, console: Console) -> None:
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._claims = self._bars.add_task("claims", total=claims)
        self._work = self._bars.add_task("trials and proofs", total=None)

    def __enter__(self) -> Reporter:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def work(self, done: int, known: int) -> None:
        self._bars.update(self._work, completed=done, total=known)

    def claim(self, claim: Claim, outcome: Outcome) -> None:
        self._bars.console.print(verdict_line(claim, outcome), soft_wrap=True)
        self._bars.advance(self._claims)


class _Plain:
    def __init__(self, claims: int, console: Console, silent: bool) -> None:
        self._total = claims
        self._decided = 0
        self._console = console
        self._silent = silent
        self._last = time.monotonic()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def work(self, done: int, known: int) -> None:
        if self._silent or time.monotonic() - self._last < HEARTBEAT_SECONDS:
            return
        self._last = time.monotonic()
        self._console.print(
            f"… {done} of {known} trials and proofs, {self._decided} of {self._total} claims",
            soft_wrap=True,
        )

    def claim(self, claim: Claim, outcome: Outcome) -> None:
        self._decided += 1
        if not self._silent:
            self._last = time.monotonic()
            self._console.print(verdict_line(claim, outcome), soft_wrap=True)
