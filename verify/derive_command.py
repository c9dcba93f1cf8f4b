"""``graphonlimit derive``: a derivation, step by step, with the result of every check."""

from __future__ import annotations

import argparse
import difflib
from typing import Any

from rich.console import Console
from rich.text import Text

from verify.checks.derivation import status_name

COLOURS = {"PROVED": "green", "FAILED": "red", "UNDECIDED": "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="name of a derivation")
    parser.add_argument("--list", action="store_true", help="list the derivations")
    parser.add_argument("--latex", action="store_true", help="print formulas as LaTeX")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the list, or verify one derivation and print it. 1 if it, or a mutant, fails."""
    from theory import derivations

    names = tuple(derivations.names())
    if arguments.list:
        for name in names:
            chain = derivations.get(name)
            console.print(
                f"{name:<34} {chain.title}", markup=False, highlight=False, soft_wrap=True
            )
        return 0
    if arguments.name is None:
        raise ValueError("NAME of a derivation is needed; `graphonlimit derive --list` shows them")
    if arguments.name not in names:
        near = difflib.get_close_matches(arguments.name, names, n=4, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "see `graphonlimit derive --list`"
        raise ValueError(f"NAME must be a derivation; got {arguments.name!r}; {hint}")
    return show(derivations.get(arguments.name), console, arguments.latex)


def show(chain: Any, console: Console, latex: bool) -> int:
    """Verify a derivation and print every step with its result."""
    import sympy

    def line(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), highlight=False, soft_wrap=True)

    result = chain.verify()
    line(f"{chain.title}", "bold")
    line(f"{chain.statement}")
    line(f"domain: {chain.domain}", "dim")
    for text in chain.hypotheses:
        line(f"assumes: {text}", "dim")
    for number, (step, found) in enumerate(result.steps, 1):
        status = status_name(found.status)
        line("")
        line(f"{number}. {step.reason}")
        if isinstance(step.statement, str):
            line(f"   {step.statement}")
        else:
            line(f"   {sympy.latex(step.statement) if latex else sympy.sstr(step.statement)}")
        for text in step.hypotheses:
            line(f"   uses: {text}", "dim")
        detail = f": {found.detail}" if found.detail else ""
        line(f"   {status.lower()} ({found.kind}){detail}", COLOURS.get(status, ""))
    refuted = True
    for name, found in result.mutants:
        status = status_name(found.status)
        refuted = refuted and status == "FAILED"
        said = "refuted" if status == "FAILED" else f"not refuted ({status.lower()})"
        line(f"mutant {name}: {said}", "green" if status == "FAILED" else "red")
    status = status_name(result.status)
    line("")
    line(f"{status.lower()} in {result.seconds:.2f} s", COLOURS.get(status, ""))
    return 0 if status == "PROVED" and refuted else 1
