"""``graphonlimit limit``: the limit graphon of a criterion, as formulas, numbers and pictures."""

from __future__ import annotations

import argparse
import io
import re
from fractions import Fraction
from typing import Any

import numpy as np
from rich.console import Console

from verify import plots
from verify.files import require_writable, write_atomically

GRID = 64
LARGEST_GRID = 4096
GRAPHONS = (("mask", "P(u, v)"), ("variance", "V(u, v)"), ("mean", "μ(u, v)"))
FUNCTIONS = ("sqrt", "exp", "log", "sin", "cos", "tan", "tanh", "erf", "erfc", "erfinv", "Abs")
CONSTANTS = ("pi", "E")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("criterion", metavar="CRITERION", help="pruning criterion")
    parser.add_argument(
        "--density", required=True, metavar="RHO", help="density kept, in (0, 1]: 0.2, 1/5"
    )
    parser.add_argument(
        "--weight-law",
        default="gaussian",
        metavar="LAW",
        help="law of the weights, with parameters after colons: gaussian, uniform, student-t:df=5",
    )
    parser.add_argument(
        "--row-profile",
        metavar="EXPR",
        help="profile of the sources, an expression in u such as '1 + u/2' (default: half-normal)",
    )
    parser.add_argument(
        "--column-profile",
        metavar="EXPR",
        help="profile of the targets, an expression in v (default: half-normal)",
    )
    parser.add_argument(
        "--signed", action="store_true", help="keep the largest signed scores (grasp only)"
    )
    parser.add_argument("--offset", metavar="B", help="output offset, positive (snip only)")
    parser.add_argument(
        "--digits", type=int, default=15, metavar="N", help="digits of the threshold (default 15)"
    )
    parser.add_argument(
        "--grid", type=int, default=GRID, metavar="K", help=f"cells of picture and file ({GRID})"
    )
    parser.add_argument("--latex", action="store_true", help="print formulas as LaTeX")
    parser.add_argument("--png", metavar="FILE", help="write a picture of the graphons")
    parser.add_argument(
        "--npz", metavar="FILE", help="write arrays mask, variance, mean of shape (target, source)"
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the limit graphon and write the files asked for; ValueError for bad arguments."""
    for path, name in ((arguments.png, "--png"), (arguments.npz, "--npz")):
        if path is not None:
            require_writable(path, name)
    if not 1 <= arguments.digits <= 1000:
        raise ValueError(f"--digits must be between 1 and 1000; got {arguments.digits}")
    if not 1 <= arguments.grid <= LARGEST_GRID:
        raise ValueError(f"--grid must be between 1 and {LARGEST_GRID}; got {arguments.grid}")
    limit = make_limit(arguments)
    for line in description(limit, arguments.digits, arguments.latex):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if arguments.png is not None or arguments.npz is not None:
        arrays = {which: limit.grid(arguments.grid, which=which) for which, _ in GRAPHONS}
        if arguments.npz is not None:
            write_atomically(arguments.npz, npz(arrays, limit))
        if arguments.png is not None:
            write_atomically(arguments.png, plots.to_png(picture(limit, arrays)))
    return 0


def make_limit(arguments: argparse.Namespace) -> Any:
    """The limit graphon that the arguments describe."""
    from theory.criteria import CRITERIA, criterion

    name = arguments.criterion
    if arguments.signed:
        if name not in ("grasp", "grasp-signed"):
            raise ValueError(f"--signed goes with the criterion grasp only; got {name!r}")
        name = "grasp-signed"
    if name not in CRITERIA:
        raise ValueError(f"CRITERION must be one of {', '.join(CRITERIA)}; got {name!r}")
    options: dict[str, Any] = {"weight_law": weight_law(arguments.weight_law)}
    if arguments.row_profile is not None:
        options["row_profile"] = expression(arguments.row_profile, "u", "--row-profile")
    if arguments.column_profile is not None:
        options["column_law"] = expression(arguments.column_profile, "v", "--column-profile")
    if arguments.offset is not None:
        options["offset"] = rational(arguments.offset, "--offset")
    try:
        model = criterion(name, **options)
    except TypeError as error:
        taken = {"row_profile": "--row-profile", "column_law": "--column-profile"}
        named = next((flag for key, flag in taken.items() if f"'{key}'" in str(error)), "")
        named = named or ("--offset" if "'offset'" in str(error) else "")
        if not named:
            raise
        raise ValueError(f"{named} has no meaning for the criterion {name}") from None
    return model.limit(rational(arguments.density, "--density"))


def rational(text: str, argument: str) -> Any:
    """An exact number from ``0.2``, ``1e-3`` or ``1/5``; ValueError for anything else."""
    import sympy

    try:
        value = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{argument} must be a number such as 0.2 or 1/5; got {text!r}") from None
    if argument == "--density" and not 0 < value <= 1:
        raise ValueError(f"--density must lie in (0, 1]; got {text}")
    if argument == "--offset" and not value > 0:
        raise ValueError(f"--offset must be positive; got {text}")
    return sympy.Rational(value.numerator, value.denominator)


def weight_law(text: str) -> Any:
    """A law from ``name`` or ``name:parameter=value:…``."""
    from theory.laws import LAWS, law

    name, *parameters = text.split(":")
    if name not in LAWS:
        raise ValueError(f"--weight-law must be one of {', '.join(LAWS)}; got {name!r}")
    options = {}
    for item in parameters:
        key, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"--weight-law: parameters are written name=value; got {item!r}")
        options[key] = rational(value, f"--weight-law {key}")
    try:
        return law(name, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"--weight-law: {error}") from None


def expression(text: str, symbol: str, argument: str) -> Any:
    """A SymPy expression in one symbol, from known functions and numbers only.

    ValueError for anything else; the text is never evaluated as Python.
    """
    import sympy
    from sympy.parsing.sympy_parser import parse_expr

    allowed = {symbol, *FUNCTIONS, *CONSTANTS}
    message = (
        f"{argument} must be an expression in {symbol} made of numbers, + - * / **, "
        f"{', '.join(FUNCTIONS)}, {', '.join(CONSTANTS)}; got {text!r}"
    )
    names = set(re.findall(r"[^\W\d]\w*", re.sub(r"\d+\.?\d*[eE][-+]?\d+", "0", text)))
    if not re.fullmatch(r"[\w\s.+\-*/()]{1,500}", text) or not names <= allowed:
        raise ValueError(message)
    if re.search(r"\.\s*[^\W\d]|\)\s*\.|\*\*\s*\S*\*\*|\d{13,}", text):
        raise ValueError(message)
    known = {name: getattr(sympy, name) for name in (*FUNCTIONS, *CONSTANTS)}
    numbers = {name: getattr(sympy, name) for name in ("Integer", "Float", "Rational", "Symbol")}
    try:
        found = parse_expr(
            text, local_dict={symbol: sympy.Symbol(symbol), **known}, global_dict=dict(numbers)
        )
    except Exception:  # the parser raises errors of many kinds
        raise ValueError(message) from None
    if not isinstance(found, sympy.Expr):
        raise ValueError(message)
    return found


def description(limit: Any, digits: int, latex: bool) -> list[str]:
    """Lines of text: model, threshold, formulas, whether it is homogeneous, totals."""
    import sympy

    write = sympy.latex if latex else sympy.sstr
    known = {True: "homogeneous (constant)", False: "heterogeneous", None: "not known"}
    lines = [
        f"criterion   {limit.model.name}",
        f"score       {write(limit.model.score)}",
        f"weights     {limit.model.noise}",
        f"density     {limit.density}",
        f"threshold   τ = {limit.threshold.evalf(digits)}",
        f"topology    {known[limit.is_homogeneous]}",
    ]
    for which, name in GRAPHONS:
        formula = write(limit.expression(which))
        lines.append(f"{which:<11} {name} = {formula}")
        lines.append(f"{'':<11} ∫∫ = {limit.total(which):.10g}")
    return lines


def npz(arrays: dict[str, Any], limit: Any) -> bytes:
    """The arrays with density and threshold as an NPZ file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, density=float(limit.density), threshold=limit.tau, **arrays)
    return buffer.getvalue()


def picture(limit: Any, arrays: dict[str, Any]) -> plots.Figure:
    """Mask, variance and mean graphon side by side, each with its own scale."""
    from matplotlib.figure import Figure

    with plots.style():
        drawn = Figure(figsize=(9.6, 3.1), layout="constrained")
        drawn.suptitle(f"{limit.model.name}, density {float(limit.density):.4g}")
        grid = drawn.subplots(1, len(GRAPHONS))
        for axes, (which, name) in zip(grid, GRAPHONS, strict=True):
            values = arrays[which]
            signed = which == "mean"
            top = float(np.abs(values).max()) or 1.0
            image = axes.imshow(
                values,
                origin="lower",
                extent=(0, 1, 0, 1),
                cmap=plots.MAPS["signed" if signed else "density"],
                vmin=-top if signed else 0.0,
                vmax=top,
            )
            axes.set_title(f"{which}  {name}")
            axes.set_xlabel("source u")
            axes.set_ylabel("target v")
            drawn.colorbar(image, ax=axes, shrink=0.85)
    return drawn
