"""Speed, memory and accuracy of analytic kernels; each against an exact reference, and a peer.

    python -m benchmarks.kernels [--json PATH] [--repeat 3] [--peer PYTHON]

*relu*: NTK of 4 hidden ReLU layers, all weights kept, 2048 inputs. *tanh*: 4 hidden tanh layers,
256 inputs, by Hermite series. *positions*: 4 hidden ReLU layers with 64 positions each and
graphons without structure, 512 inputs of 784 coordinates, where the work is matrix products; its
speed is given as a share of that of a large matrix product too.

Errors are relative to the exact kernel of some pairs of inputs, equal ones included, computed
from the same numbers with mpmath. Memory is what a call adds to a process that has made a small
one already, measured in a process of its own. The peer is neural-tangents, run by the
interpreter given, on the same inputs; without ``--peer`` it is left out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import torch

from benchmarks import report
from benchmarks.masks import peak_rss_mib, timed
from numerics.kernel import GraphonKernel

DEPTH = 4
POSITIONS = 64
COORDINATES = 784
SIZES = {"relu": 2048, "tanh": 256, "positions": 512}
PAIRS = 6
"""The first inputs; all pairs of them are checked."""


def inputs(section: str) -> np.ndarray:
    """Standard normal inputs, the same in every process."""
    return np.random.default_rng(0).standard_normal((SIZES[section], COORDINATES))


def matrices() -> list[np.ndarray]:
    """Graphons of the section with positions, uniform on [0, 1], from the input upwards."""
    rng = np.random.default_rng(1)
    sizes = [COORDINATES, *[POSITIONS] * DEPTH, 1]
    return [rng.random((n, m)) for m, n in itertools.pairwise(sizes)]


def kernel(section: str) -> GraphonKernel:
    """The kernel of a section."""
    if section == "tanh":
        return GraphonKernel("tanh", depth=DEPTH)
    layers = matrices() if section == "positions" else None
    return GraphonKernel("relu", layers, depth=DEPTH, gain=2.0)


# --------------------------------------------------------------------------------- references
def _relu_duals(a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    root = mp.sqrt(a * b)
    angle = mp.acos(min(mp.mpf(1), c / root))
    return (root * mp.sin(angle) + c * (mp.pi - angle)) / (2 * mp.pi), 1 - angle / mp.pi


def _relu_pair(layers: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> Any:
    """NTK of one pair for gain 2 and masks drawn from ``layers`` (targets, sources)."""
    sides = [(x, x), (y, y), (x, y)]
    products = [[mp.mpf(p) * mp.mpf(q) for p, q in zip(*side, strict=True)] for side in sides]
    states, tangent = products, [mp.mpf(0)] * len(x)
    for index, P in enumerate(layers):
        share = mp.mpf(2) / P.shape[1]
        rows = [[mp.mpf(p) for p in row] for row in P]
        before = [[share * mp.fdot(row, state) for row in rows] for state in states]
        received = [s + t for s, t in zip(states[2], tangent, strict=True)]
        tangent = [share * mp.fdot(row, received) for row in rows]
        if index == len(layers) - 1:
            return tangent[0]
        duals = [_relu_duals(*entry) for entry in zip(*before, strict=True)]
        states = [[v / 2 for v in before[0]], [v / 2 for v in before[1]], [d[0] for d in duals]]
        tangent = [d[1] / 2 * t for d, t in zip(duals, tangent, strict=True)]
    raise AssertionError("layers must not be empty")


def _tanh_pair(x: np.ndarray, y: np.ndarray) -> float:
    """NTK of one pair, all weights kept: a tensor Gauss-Hermite rule of 300 nodes a side.

    Its error is below 1e-13 at these variances (at most one), as doubling the nodes shows.
    """
    z, w = np.polynomial.hermite_e.hermegauss(300)
    w /= w.sum()
    dots = (float(np.dot(p, q)) / COORDINATES for p, q in ((x, x), (y, y), (x, y)))
    a, b, c = dots
    tangent = c
    for _ in range(DEPTH):
        first = np.sqrt(a) * z[:, None]
        second = c / np.sqrt(a) * z[:, None] + np.sqrt(max(b - c * c / a, 0.0)) * z[None, :]
        s, t = np.tanh(first), np.tanh(second)
        slope = float(w @ ((1 - s**2) * (1 - t**2)) @ w)
        own = float(w @ np.tanh(np.sqrt(b) * z) ** 2)
        a, b, c = float(w @ s[:, 0] ** 2), own, float(w @ (s * t) @ w)
        tangent = slope * tangent + c
    return tangent


def reference(section: str) -> np.ndarray:
    """Exact NTK of all pairs of the first inputs, float64 of shape (PAIRS, PAIRS)."""
    x = inputs(section)[:PAIRS]
    out = np.zeros((PAIRS, PAIRS))
    layers = matrices() if section == "positions" else [np.ones((1, COORDINATES))]
    if section == "relu":
        layers += [np.ones((1, 1))] * DEPTH
    with mp.workdps(30):
        for i in range(PAIRS):
            for j in range(i, PAIRS):
                exact = section != "tanh"
                value = _relu_pair(layers, x[i], x[j]) if exact else _tanh_pair(x[i], x[j])
                out[i, j] = out[j, i] = float(value)
    return out


# ------------------------------------------------------------------------------- measurements
def memory(section: str) -> float:
    """What a call adds at its peak, MiB, in this process; meant for a process of its own."""
    x, k = inputs(section), kernel(section)
    k(x[:16], get="ntk")
    before = _resident_mib()
    k(x, get="ntk")
    return max(0.0, peak_rss_mib() - before)


def _resident_mib() -> float:
    """Resident memory now, MiB; the peak so far where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return peak_rss_mib()
    import resource

    return pages * resource.getpagesize() / 2**20


def _child(section: str) -> float:
    """:func:`memory` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.kernels", "--memory-of", section]
    command += ["--threads", str(torch.get_num_threads())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def matmul_gflops(size: int = 2048, repeat: int = 3) -> float:
    """Speed of a large float64 matrix product, GFLOP/s, the best of ``repeat``."""
    a = torch.randn(size, size, dtype=torch.float64)
    best = timed(lambda: a @ a, repeat)["seconds"]
    return 2.0 * size**3 / best / 1e9


def _position_flops() -> float:
    """Floating-point operations of the matrix products of *positions*, equal pairs once."""
    pairs = SIZES["positions"] * (SIZES["positions"] + 1) / 2
    first = 2.0 * POSITIONS * COORDINATES
    between = 2.0 * 2.0 * POSITIONS**2 * (DEPTH - 1)  # covariance and tangent kernel
    return pairs * (first + between + 4.0 * POSITIONS)


def analytic(section: str, repeat: int, peer: str | None) -> dict[str, Any]:
    """One section: time, memory, error, and the peer's where asked for."""
    x, k = inputs(section), kernel(section)
    figures: dict[str, Any] = {"inputs": SIZES[section], "depth": DEPTH}
    figures |= timed(lambda: k(x, get="ntk"), repeat)
    figures["added_mib"] = _child(section)
    exact = reference(section)
    got = k(x)
    ours = got.ntk[:PAIRS, :PAIRS].numpy()
    figures["relative_error"] = float(np.abs(ours / exact - 1.0).max())
    figures["estimated_relative_error"] = got.error["ntk"] / float(got.ntk.abs().max())
    if section == "positions":
        speed = _position_flops() / figures["seconds"] / 1e9
        figures |= {"gflops": speed, "share_of_matmul": speed / matmul_gflops()}
    if peer is not None and section != "positions":
        figures["peer"] = _peer(peer, section, repeat, exact)
        figures["speed_up"] = figures["peer"]["seconds"] / figures["seconds"]
    return figures


PEER = """
import json, sys, time
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
import neural_tangents as nt
from neural_tangents import stax
job = json.loads(sys.argv[1])
x = np.random.default_rng(0).standard_normal((job["inputs"], job["coordinates"]))
relu = job["section"] == "relu"
phi = stax.Relu() if relu else stax.ElementwiseNumerical(jax.numpy.tanh, deg=25)
layers = []
for _ in range(job["depth"]):
    layers += [stax.Dense(512, W_std=2 ** 0.5 if relu else 1.0, b_std=None), phi]
layers.append(stax.Dense(1, W_std=2 ** 0.5 if relu else 1.0, b_std=None))
kernel_fn = jax.jit(stax.serial(*layers)[2], static_argnames="get")
run = lambda: np.asarray(kernel_fn(x, None, get="ntk"))
k = run()
seconds = []
for _ in range(job["repeat"]):
    start = time.perf_counter()
    k = run()
    seconds.append(time.perf_counter() - start)
pairs = job["pairs"]
print(json.dumps({"seconds": min(seconds), "worst_seconds": max(seconds),
                  "kernel": k[:pairs, :pairs].tolist()}))
"""


def _peer(python: str, section: str, repeat: int, exact: np.ndarray) -> dict[str, Any]:
    """neural-tangents on the same inputs, compiled first; all its threads."""
    job = {
        "section": section,
        "inputs": SIZES[section],
        "coordinates": COORDINATES,
        "depth": DEPTH,
        "repeat": repeat,
        "pairs": PAIRS,
    }
    command = [python, "-c", PEER, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    theirs = np.array(figures.pop("kernel"))
    figures["relative_error"] = float(np.abs(theirs / exact - 1.0).max())
    return figures


Section = Callable[[int, str | None], dict[str, Any]]
SECTIONS: dict[str, Section] = {name: partial(analytic, name) for name in SIZES}
"""What is measured, by name; each takes the number of calls and the peer's interpreter."""


def measure(repeat: int = 3, peer: str | None = None) -> dict[str, Any]:
    """All figures as one dictionary; times in seconds, memory in MiB."""
    start = time.perf_counter()
    figures: dict[str, Any] = {"threads": torch.get_num_threads()}
    figures |= {name: section(repeat, peer) for name, section in SECTIONS.items()}
    return figures | {"seconds": time.perf_counter() - start}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description="Speed, memory and accuracy of kernels.")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--repeat", type=int, default=3, help="calls of which the best counts")
    parser.add_argument("--peer", help="an interpreter that has neural-tangents")
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    parser.add_argument("--memory-of", choices=sorted(SIZES), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.memory_of is not None:
        print(memory(options.memory_of))
        return
    report(measure(options.repeat, options.peer), options.json)


if __name__ == "__main__":
    main()
