"""``graphonlimit width``: how wide a layer must be to hold a dense core."""

from __future__ import annotations

import argparse
import difflib
from typing import Any

from rich.console import Console

DENSITIES = ("0.05", "0.1", "0.2", "0.5")
INPUTS = ("2", "4", "8", "16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "criteria", metavar="CRITERION", nargs="*", help="names of criteria (default: all)"
    )
    parser.add_argument("--density", nargs="+", default=DENSITIES, help="densities kept, in (0, 1]")
    parser.add_argument("--inputs", nargs="+", default=INPUTS, help="numbers of inputs k")
    parser.add_argument("--neurons", nargs="+", default=("16",), help="numbers of neurons m")
    parser.add_argument("--delta", default="0.01", help="probability of failure, in (0, 1)")
    parser.add_argument(
        "--share", default="0.5", help="the best share of the inputs that the k are taken from"
    )
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the table of widths."""
    from theory.criteria import CRITERIA
    from theory.expressivity_table import width_table

    for name in arguments.criteria:
        if name not in CRITERIA:
            near = difflib.get_close_matches(name, CRITERIA, n=3, cutoff=0.3)
            hint = f"did you mean {', '.join(near)}? " if near else ""
            raise ValueError(
                f"CRITERION must be one of {', '.join(CRITERIA)}; got {name!r}. {hint}".rstrip()
            )
    table = width_table(
        arguments.criteria or None,
        densities=[_number(text, "--density", float) for text in arguments.density],
        ks=[_number(text, "--inputs", int) for text in arguments.inputs],
        ms=[_number(text, "--neurons", int) for text in arguments.neurons],
        delta=_number(arguments.delta, "--delta", float),
        share=_number(arguments.share, "--share", float),
    )
    text = table.to_markdown() if arguments.markdown else table.to_text()
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 0


def _number(text: str, argument: str, kind: Any) -> Any:
    try:
        value = kind(text)
    except ValueError:
        wanted = "whole numbers" if kind is int else "numbers"
        raise ValueError(f"{argument} must be {wanted}; got {text!r}") from None
    top = 1.0 if kind is float else float("inf")
    if not 0 < value <= top:
        allowed = "in (0, 1]" if kind is float else "at least 1"
        raise ValueError(f"{argument} must be {allowed}; got {text!r}")
    return value
