"""``graphonlimit kernel``: the limit kernel of a pruned network, as a function of the cosine."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

NETWORKS = ("independent-mask", "variance-profile", "magnitude")
COSINES = ("-1", "-0.5", "0", "0.5", "1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("activation", metavar="ACTIVATION", help="name, or expression in z")
    parser.add_argument("--depth", default="3", help="number of hidden layers")
    parser.add_argument("--density", default="1", help="density kept, in (0, 1]")
    parser.add_argument("--network", choices=NETWORKS, default=NETWORKS[0], help="who is pruned")
    parser.add_argument("--dense-output", action="store_true", help="keep the output layer dense")
    parser.add_argument("--gain", default="1", help="variance of weights times their fan-in")
    parser.add_argument("--cosines", nargs="+", default=COSINES, help="cosines between inputs")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print NNGP and NTK for inputs with ``<x, x> = d``, beside the dense network's."""
    from numerics.kernel import GraphonKernel
    from theory.criteria import magnitude
    from theory.duals import dual

    depth = _number(arguments.depth, "--depth", int, 0)
    density = _number(arguments.density, "--density", float)
    gain = _number(arguments.gain, "--gain", float)
    if not 0.0 < density <= 1.0:
        raise ValueError(f"--density must lie in (0, 1]; got {arguments.density!r}")
    cosines = [_number(text, "--cosines", float, -1.0) for text in arguments.cosines]
    if max(cosines) > 1.0:
        raise ValueError("--cosines must lie in [-1, 1]")
    activation = dual(_activation(arguments.activation))
    v = magnitude().limit(density).total("variance")
    layer: Any = {
        "independent-mask": density,
        "variance-profile": (density, 1.0),
        "magnitude": (v, density),
    }[arguments.network]
    layers = [layer] * depth + [1.0 if arguments.dense_output else layer]
    kernels = {
        "pruned": GraphonKernel(activation, layers, gain=gain),
        "dense": GraphonKernel(activation, depth=depth, gain=gain),
    }
    table = Table(title=f"{arguments.network}, {depth} hidden layers, density {density:g}")
    for name in ("cosine", "NNGP", "NTK", "dense NTK", "ratio"):
        table.add_column(name, justify="right")
    nngp = kernels["pruned"].profile(cosines, get="nngp").tolist()
    pruned, dense = (kernels[name].profile(cosines).tolist() for name in ("pruned", "dense"))
    for cosine, signal, ours, theirs in zip(cosines, nngp, pruned, dense, strict=True):
        ratio = f"{ours / theirs:.6g}" if theirs else "-"
        table.add_row(f"{cosine:g}", f"{signal:.6g}", f"{ours:.6g}", f"{theirs:.6g}", ratio)
    console.print(table)
    return 0


def _activation(text: str) -> Any:
    """The name of a known activation, or an expression in z."""
    import sympy

    from theory.dual import z
    from theory.duals import DUALS

    if text in DUALS:
        return text
    try:
        expression = sympy.sympify(text, locals={"z": z})
    except (sympy.SympifyError, SyntaxError, TypeError, AttributeError):
        expression = None
    if not isinstance(expression, sympy.Expr) or expression.free_symbols != {z}:
        raise ValueError(
            f"ACTIVATION must be one of {', '.join(DUALS)}, or an expression in z; got {text!r}"
        )
    return expression


def _number(text: str, argument: str, kind: Any, least: float | None = None) -> Any:
    try:
        value = kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ValueError(f"{argument} must be {wanted}; got {text!r}") from None
    if least is not None and not value >= least:
        raise ValueError(f"{argument} must be at least {least:g}; got {text!r}")
    return value
