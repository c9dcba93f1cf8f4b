"""The command ``graphonlimit``.

Exit codes: 0 when every verdict is the recorded one, 1 when one is not, 2 for a usage error (one
line that names the argument and what is allowed), 130 when interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from verify import claims as claim_modules
from verify import (
    derive_command,
    experiment_command,
    kernel_command,
    ledger,
    limit_command,
    width_command,
)
from verify import experiments as experiment_modules
from verify.claim import Claim
from verify.environment import PACKAGE, version
from verify.files import require_writable, require_writable_folder
from verify.outcome import Verdict
from verify.profile import PROFILES
from verify.progress import COLOURS, why_not

AS_RECORDED, NOT_AS_RECORDED, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 130
PIPE_WIDTH = 180
DEVICES = ("auto", "cpu", "cuda")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong on one line of standard error and leave with code 2."""
        self.exit(USAGE_ERROR, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = make_parser()
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except ValueError as error:
        text = " ".join(str(error).split())
        sys.stderr.write(f"{PACKAGE} {chosen.command}: error: {text}\n")
        return USAGE_ERROR
    except KeyboardInterrupt:
        sys.stderr.write(
            "\ninterrupted; finished trials are stored, the same command goes on from there\n"
        )
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return AS_RECORDED


def make_parser() -> Parser:
    """The command line of all subcommands."""
    parser = Parser(prog=PACKAGE, description="Verify graphon limits of pruning masks.")
    parser.add_argument(
        "--version", action="version", version=f"{PACKAGE} {version(PACKAGE) or '(not installed)'}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_verify(commands)
    _add_claims(commands)
    _add_experiments(commands)
    limit = commands.add_parser("limit", help="a limit graphon: formulas, threshold, picture")
    limit_command.add_arguments(limit)
    limit.set_defaults(run=lambda chosen: limit_command.run(chosen, console()))
    derive = commands.add_parser("derive", help="a derivation, step by step")
    derive_command.add_arguments(derive)
    derive.set_defaults(run=lambda chosen: derive_command.run(chosen, console()))
    kernel = commands.add_parser("kernel", help="the limit kernel of a pruned network")
    kernel_command.add_arguments(kernel)
    kernel.set_defaults(run=lambda chosen: kernel_command.run(chosen, console()))
    width = commands.add_parser("width", help="how wide a layer must be to hold a dense core")
    width_command.add_arguments(width)
    width.set_defaults(run=lambda chosen: width_command.run(chosen, console()))
    return parser


def _add_verify(commands: Any) -> None:
    parser = commands.add_parser("verify", help="decide claims and report")
    parser.add_argument("claims", metavar="CLAIM", nargs="*", help="ids of claims (default: all)")
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="how much work")
    _add_run_arguments(parser)
    parser.add_argument("--json", metavar="FILE", help="write the verdicts here")
    parser.add_argument("--report", metavar="DIR", help="write index.html into this folder")
    parser.set_defaults(run=_verify)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=_whole("--jobs", 1), metavar="N", help="processes")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} or cuda:<index>")
    parser.add_argument(
        "--seed", type=_whole("--seed", 0), default=0, metavar="S", help="root seed"
    )
    parser.add_argument("--store", metavar="FILE", help="store of finished trials")


def _add_experiments(commands: Any) -> None:
    one = commands.add_parser("experiment", help="run one experiment: its tables and figure")
    experiment_command.add_arguments(one)
    _add_run_arguments(one)
    one.set_defaults(run=lambda chosen: experiment_command.run(chosen, console()))
    every = commands.add_parser("experiments", help="the experiments there are")
    every.add_argument("--json", action="store_true", help="print JSON")
    every.set_defaults(run=lambda chosen: experiment_command.list_all(chosen, console()))


def _add_claims(commands: Any) -> None:
    parser = commands.add_parser("claims", help="what the papers state, and what covers it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_claims)


def _whole(argument: str, least: int) -> Any:
    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"must be a whole number >= {least}; got {text!r}")
        return value

    return convert


def _verify(chosen: argparse.Namespace) -> int:
    from verify import report, runner, verdicts

    if chosen.json is not None:
        require_writable(chosen.json, "--json")
    if chosen.report is not None:
        require_writable_folder(chosen.report, "--report")
        require_writable(os.path.join(chosen.report, report.PAGE), "--report")
    registry = claim_modules.load()
    wanted = {registry.get(name).id for name in chosen.claims}
    selected = [claim for claim in registry if not wanted or claim.id in wanted]
    shown = chosen.report is not None and not wanted
    reported = experiment_modules.load().reported(chosen.profile) if shown else ()
    found = runner.run(
        selected,
        profile=chosen.profile,
        jobs=chosen.jobs,
        device=chosen.device,
        seed=chosen.seed,
        store=chosen.store,
        progress="auto",
        experiments=reported,
        figures=chosen.report is not None,
    )
    if chosen.json is not None:
        verdicts.write(found, chosen.json)
    if chosen.report is not None:
        report.write(found, chosen.report, registry)
    screen = console()
    screen.print(verdict_table(found))
    for path in (chosen.json, chosen.report and os.path.join(chosen.report, report.PAGE)):
        if path:
            screen.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return AS_RECORDED if found.as_recorded else NOT_AS_RECORDED


def verdict_table(found: Any) -> Table:
    """The claims of a run with their verdicts, mutants and CPU seconds."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("claim", "source", "reading", "verdict", "mutants", "CPU s", ""):
        right = title in ("mutants", "CPU s")
        table.add_column(title, justify="right" if right else "left", no_wrap=title == "claim")
    for claim, outcome in zip(found.claims, found.outcomes, strict=True):
        refuted = sum(m.verdict is Verdict.REFUTED for m in outcome.mutants)
        table.add_row(
            claim.id,
            _source(claim),
            claim.reading,
            f"[{COLOURS[outcome.verdict]}]{outcome.verdict}[/]",
            f"{refuted}/{len(outcome.mutants)}",
            f"{outcome.seconds:.1f}",
            "" if outcome.as_recorded else f"[bold red]{_escaped(why_not(outcome))}[/]",
        )
    wrong = sum(not outcome.as_recorded for outcome in found.outcomes)
    table.caption = f"{len(found.outcomes)} claims, " + (
        f"{wrong} not as recorded" if wrong else "all as recorded"
    )
    table.caption_justify = "left"
    return table


def _claims(chosen: argparse.Namespace) -> int:
    registry = claim_modules.load()
    covered = ledger.coverage(registry)
    if chosen.json:
        sys.stdout.write(json.dumps(claims_json(registry, covered), indent=2, ensure_ascii=False))
        sys.stdout.write("\n")
        return AS_RECORDED
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("item", "claim", "reading", "recorded verdict"):
        table.add_column(title, no_wrap=title == "claim")
    for entry in covered:
        name = _escaped(f"[{entry.row.paper}] {entry.row.item}")
        if entry.is_open:
            table.add_row(name, "[dim]open[/]", "", "")
        for claim in entry.claims:
            table.add_row(name, *_claim_cells(claim))
            name = ""
    for claim in registry:
        if claim.paper == "own":
            table.add_row(_escaped(claim.item), *_claim_cells(claim))
    is_open = sum(entry.is_open for entry in covered)
    table.caption = f"{len(registry)} claims; {len(covered)} rows of the ledger, {is_open} open"
    table.caption_justify = "left"
    console().print(table)
    return AS_RECORDED


def claims_json(registry: Any, covered: Sequence[ledger.Covered]) -> dict[str, Any]:
    """The ledger and the claims as JSON."""
    return {
        "rows": [
            {
                "id": entry.row.id,
                "paper": entry.row.paper,
                "item": entry.row.item,
                "states": entry.row.states,
                "show": entry.row.show,
                "claims": [claim.id for claim in entry.claims],
            }
            for entry in covered
        ],
        "claims": [
            {
                "id": claim.id,
                "paper": claim.paper,
                "item": claim.item,
                "reading": claim.reading,
                "title": claim.title,
                "recorded": str(claim.recorded),
                "depends": list(claim.depends),
            }
            for claim in registry
        ],
    }


def _claim_cells(claim: Claim) -> tuple[str, str, str]:
    verdict = claim.recorded
    return claim.id, claim.reading, f"[{COLOURS[verdict]}]{verdict}[/]"


def console() -> Console:
    """Standard output: as wide as the terminal, and wide enough for tables in a pipe or file."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


def _source(claim: Claim) -> str:
    return _escaped(claim.item if claim.paper == "own" else f"[{claim.paper}] {claim.item}")


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


if __name__ == "__main__":
    sys.exit(main())
