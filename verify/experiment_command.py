"""``graphonlimit experiment`` and ``graphonlimit experiments``: run one, list them all."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from verify import experiments
from verify.files import require_writable, write_atomically
from verify.measured import Result
from verify.profile import PROFILES

FIGURES = (".png", ".svg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``experiment`` that other commands do not have."""
    parser.add_argument("name", metavar="NAME", help="name of an experiment")
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="how much work")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--figure", metavar="FILE", help="draw it here (.png or .svg)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run one experiment and print its tables; 1 if a trial failed."""
    experiment = experiments.load().get(arguments.name)
    if arguments.figure is not None:
        require_writable(arguments.figure, "--figure")
        if not arguments.figure.endswith(FIGURES):
            raise ValueError(
                f"--figure must end with {' or '.join(FIGURES)}; got {arguments.figure!r}"
            )
        folder = Path(arguments.figure).parent
        if not folder.is_dir():
            raise ValueError(f"--figure must name a file in a folder that exists; got {folder}")
        if experiment.draw is None:
            raise ValueError(f"--figure: experiment {experiment.name} has no figure")
    try:
        result = experiment.run(
            arguments.profile, jobs=arguments.jobs, device=arguments.device, seed=arguments.seed,
            store=arguments.store, progress="auto",
        )  # fmt: skip
    except RuntimeError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 1
    if arguments.figure is not None:
        from verify import plots

        drawn = experiment.figure(result)
        png = arguments.figure.endswith(".png")
        write_atomically(arguments.figure, (plots.to_png if png else plots.to_svg)(drawn))
    if arguments.json:
        sys.stdout.write(json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n")
        return 0
    console.print(f"{experiment.title} ({experiment.source})", style="bold", highlight=False)
    for table in tables(result):
        console.print(table)
    if arguments.figure is not None:
        console.print(f"wrote {arguments.figure}", markup=False, highlight=False, soft_wrap=True)
    return 0


def tables(result: Result) -> list[Table]:
    """One table for each part that has scalar metrics."""
    found = []
    for part in result.tables:
        if not part.shown():
            continue
        header, lines = part.cells()
        table = Table(
            box=None, pad_edge=False, header_style="dim", title=part.name, title_justify="left"
        )
        for title in header:
            table.add_column(title, no_wrap=True)
        for line in lines:
            table.add_row(*(cell.replace("[", "\\[") for cell in line))
        found.append(table)
    return found


def list_all(arguments: argparse.Namespace, console: Console) -> int:
    """Print names, sources and how many trials each experiment needs."""
    known = experiments.load()
    if arguments.json:
        listed = [
            {
                "name": each.name,
                "paper": each.paper,
                "item": each.item,
                "title": each.title,
                "trials": {profile: each.trials(profile) for profile in each.profiles()},
            }
            for each in known
        ]
        sys.stdout.write(json.dumps(listed, indent=2, ensure_ascii=False) + "\n")
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("experiment", "source", "title", "trials"):
        table.add_column(title, no_wrap=title == "experiment")
    for each in known:
        trials = ", ".join(f"{each.trials(profile)} {profile}" for profile in each.profiles())
        table.add_row(each.name, each.source.replace("[", "\\["), each.title, trials)
    table.caption = f"{len(known)} experiments"
    table.caption_justify = "left"
    console.print(table)
    return 0
