"""Cut-norm brackets against the package ``cutnorm``, on centred noise and on structure.

Medians of several runs in one process, the peer's and ours in turn, so that both see the same
machine. The structured table has no peer: it asks how close the two bounds come.

    python -m benchmarks.cutnorm --sizes 500 1000 2000 --runs 3 --json cutnorm.json
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import erfc, erfinv

from numerics.cutnorm import EFFORTS, bracket, lower_bound
from numerics.matrix_input import FloatArray

DENSITY = 0.2
LOWER_ONLY = "lower"  # explicit sets, no certified upper bound: what the peer is asked for
MISSING = "the peer is missing: install it with  pip install cutnorm==0.1.10 numba"


def peer_function() -> Callable[[FloatArray, FloatArray], float] | None:
    """The peer's lower value as a function of two matrices, or None where it is missing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compute_cutnorm = import_module("cutnorm").compute_cutnorm
    except (ImportError, AttributeError):  # missing, or this file under the peer's name
        return None

    def value(first: FloatArray, second: FloatArray) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(compute_cutnorm(first, second)[0])

    return value


def environment() -> dict[str, Any]:
    """What the seconds depend on."""
    return {
        "python": platform.python_version(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "numpy": np.__version__,
    }


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds on the wall clock, and the result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def against_peer(
    sizes: list[int], runs: int, efforts: list[str], peer: Callable[..., float] | None
) -> Iterator[dict[str, Any]]:
    """One record per size and effort on Bernoulli(0.2) − 0.2, medians over fresh matrices."""
    for n in sizes:
        seconds: dict[str, list[float]] = {name: [] for name in ("peer", *efforts)}
        lower: dict[str, list[float]] = {name: [] for name in ("peer", *efforts)}
        upper: dict[str, list[float]] = {name: [] for name in efforts}
        for run in range(runs):
            rng = np.random.default_rng([n, run])
            mask = (rng.random((n, n)) < DENSITY).astype(np.float64)
            if peer is not None:
                spent, value = timed(partial(peer, mask, np.full(mask.shape, DENSITY)))
                seconds["peer"].append(spent)
                lower["peer"].append(value)
            for effort in efforts:
                call = (
                    partial(lower_bound, mask - DENSITY)
                    if effort == LOWER_ONLY
                    else partial(bracket, mask - DENSITY, effort=effort)
                )
                spent, found = timed(call)
                seconds[effort].append(spent)
                lower[effort].append(found.lower)
                upper[effort].append(found.upper)
        for effort in efforts:
            record: dict[str, Any] = {
                "n": n,
                "effort": effort,
                "lower": statistics.median(lower[effort]),
                "upper": statistics.median(upper[effort]),
                "seconds": statistics.median(seconds[effort]),
                "worst_ratio": max(
                    u / low for u, low in zip(upper[effort], lower[effort], strict=True)
                ),
            }
            if peer is not None:
                record["peer_lower"] = statistics.median(lower["peer"])
                record["peer_seconds"] = statistics.median(seconds["peer"])
                record["speedup"] = record["peer_seconds"] / record["seconds"]
                record["lower_gain_worst"] = min(
                    ours / theirs for ours, theirs in zip(lower[effort], lower["peer"], strict=True)
                )
            yield record


def structured_cases(n: int) -> Iterator[tuple[str, FloatArray]]:
    """Differences with structure: limits of saliency masks, block models, and their samples."""
    rng = np.random.default_rng([n, 2024])
    position = (np.arange(n) + 0.5) / n
    column = math.sqrt(2.0) * erfinv(position)

    def limit(row: FloatArray, tau: float) -> FloatArray:
        return erfc(tau / (math.sqrt(2.0) * row[None, :] * column[:, None]))

    def sampled(values: FloatArray) -> FloatArray:
        return (rng.random((n, n)) < values).astype(np.float64)

    rising, curved = 0.3 + position, 0.6 + 0.6 * position**2
    first, second = limit(rising, 1.0), limit(curved, 1.05)
    place = np.minimum((4 * position).astype(int), 3)
    blocks = [rng.random((4, 4))[place][:, place] for _ in range(2)]
    yield "limit at τ and 1.1 τ", first - limit(rising, 1.1)
    yield "two limits", first - second
    yield "two limits, sampled", sampled(first) - sampled(second)
    yield "sampled limit − density", sampled(first) - first.mean()
    yield "two block models", blocks[0] - blocks[1]
    yield "two block models, sampled", sampled(blocks[0]) - sampled(blocks[1])
    yield "sampled limit − limit", sampled(first) - first


def structured(sizes: list[int], effort: str) -> Iterator[dict[str, Any]]:
    """One record per size and structured difference."""
    for n in sizes:
        for name, matrix in structured_cases(n):
            spent, found = timed(partial(bracket, matrix, effort=effort))
            yield {
                "n": n,
                "case": name,
                "lower": found.lower,
                "upper": found.upper,
                "ratio": found.ratio,
                "method": found.method,
                "seconds": spent,
            }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the tables, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--structured-sizes", type=int, nargs="*", default=[500, 1000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--efforts",
        nargs="+",
        choices=[LOWER_ONLY, *EFFORTS],
        default=[LOWER_ONLY, "fast", "default"],
    )
    parser.add_argument("--json", type=Path, default=None, help="where to write the numbers")
    options = parser.parse_args(arguments)
    if options.runs < 1 or min([*options.sizes, *options.structured_sizes]) < 2:
        parser.error("--runs must be at least 1 and sizes at least 2")
    peer = peer_function()
    if peer is None:
        print(MISSING)
    bracket(np.random.default_rng(0).standard_normal((64, 64)))  # first calls load libraries
    print(f"Bernoulli({DENSITY}) − {DENSITY}, medians of {options.runs}")
    print(
        f"{'n':>6} {'effort':>8} {'peer lower':>11} {'peer s':>8} {'lower':>10} {'upper':>10} "
        f"{'s':>8} {'upper/lower':>12} {'peer s / s':>11} {'lower/peer':>11}"
    )
    noise = []
    for record in against_peer(options.sizes, options.runs, options.efforts, peer):
        noise.append(record)
        blank = float("nan")
        print(
            f"{record['n']:>6} {record['effort']:>8} {record.get('peer_lower', blank):>11.6f} "
            f"{record.get('peer_seconds', blank):>8.3f} {record['lower']:>10.6f} "
            f"{record['upper']:>10.6f} {record['seconds']:>8.3f} {record['worst_ratio']:>12.4f} "
            f"{record.get('speedup', blank):>11.2f} {record.get('lower_gain_worst', blank):>11.4f}",
            flush=True,
        )
    print("\nStructured differences")
    print(f"{'n':>6} {'case':<28} {'lower':>10} {'upper':>10} {'upper/lower':>12} {'s':>8}")
    shaped = []
    for record in structured(options.structured_sizes, "default"):
        shaped.append(record)
        print(
            f"{record['n']:>6} {record['case']:<28} {record['lower']:>10.6f} "
            f"{record['upper']:>10.6f} {record['ratio']:>12.5f} {record['seconds']:>8.3f}",
            flush=True,
        )
    if options.json is not None:
        numbers = {"noise": noise, "structured": shaped, "environment": environment()}
        options.json.write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
