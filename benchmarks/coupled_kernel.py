"""Speed, memory and accuracy of the coupled kernel of networks pruned by SNIP.

    python -m benchmarks.coupled_kernel [--json PATH] [--repeat 1] [--threads 2] [--device cpu]

Batch and inputs of the kernel are the same 32 digits, 3 hidden ReLU layers of 1000, density 0.2
under one threshold: *one* with one output and a given residual, *ten* with ten outputs and a
random cross-entropy residual. ``seconds_to_two_percent`` is the time of as many replicates as a
standard error of 2 % of the mean diagonal takes, at the spread that was measured; the estimate of
the bias is part of it. Memory is what a call adds to a process that has made a small one already,
measured in a process of its own. The peer is the plain way: real networks of that width, scored,
pruned and evaluated one by one; theirs is the kernel of a finite width.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import report
from benchmarks.kernels import _resident_mib
from benchmarks.masks import peak_rss_mib
from numerics.coupled_kernel import CoupledKernel
from numerics.coupled_result import CoupledResult
from numerics.data import digits
from numerics.empirical_ntk import empirical_ntk
from numerics.latent_batch import LatentBatch
from numerics.mlp import MLP

INPUTS, WIDTH, DEPTH, DENSITY, TARGET = 32, 1000, 3, 0.2, 0.02
OUTPUTS = {"one": 1, "ten": 10}
REPLICATES = 16
NETWORKS = 20


def batch(section: str) -> LatentBatch:
    """The digits, centred and on a sphere, with their labels or a given residual."""
    data = digits()
    chosen = np.random.default_rng(0).permutation(len(data.x))[:INPUTS]
    x = data.x.double() - data.x.double().mean(dim=0)
    x = x[chosen] * (math.sqrt(x.shape[1]) / x[chosen].norm(dim=1, keepdim=True))
    widths = (x.shape[1], *[WIDTH] * DEPTH, OUTPUTS[section])
    if section == "one":
        residual = torch.from_numpy(np.random.default_rng(1).standard_normal((INPUTS, 1)))
        return LatentBatch(x, widths, "relu", gain=2.0, residual=residual)
    return LatentBatch(x, widths, "relu", gain=2.0, y=data.y[chosen].long())


def solve(section: str, device: str, replicates: int = REPLICATES) -> CoupledResult:
    """The kernel of a section."""
    return CoupledKernel(batch(section), "snip", DENSITY, replicates=replicates, device=device)()


def memory(section: str, device: str) -> float:
    """What a call adds at its peak, MiB, in this process; meant for a process of its own."""
    small = batch("one")
    CoupledKernel(small, "snip", DENSITY, samples=128, replicates=2, device=device)()
    before = _resident_mib()
    solve(section, device, 2)
    return max(0.0, peak_rss_mib() - before)


def _child(section: str, device: str) -> float:
    command = [sys.executable, "-m", "benchmarks.coupled_kernel", "--memory-of", section]
    command += ["--threads", str(torch.get_num_threads()), "--device", device]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def timed(function: Callable[[], Any], repeat: int) -> dict[str, float]:
    """Wall and processor seconds, the least of ``repeat`` calls; too long to be warmed up."""
    wall, processor = [], []
    for _ in range(repeat):
        start, cpu = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - cpu)
    return {"seconds": min(wall), "cpu_seconds": min(processor)}


def networks(section: str) -> list[float]:
    """Mean diagonals of real networks pruned by SNIP under one threshold, float32."""
    held, found = batch(section), []
    x = held.x.float()
    for seed in range(NETWORKS):
        net = MLP(held.widths, "relu", gain=2.0, seed=seed, dtype=torch.float32)
        states = net.states(x)
        given = held.given
        residual = held.residual_of(states.z[-1]) if given is None else given
        deltas = net.backward(states, residual.float())
        parts = zip(net.weights, deltas, net.scales, states.h, strict=True)
        scores = [W.abs() * s * (d.T @ h).abs() for W, d, s, h in parts]
        flat = torch.cat([s.flatten() for s in scores])
        dropped = flat.numel() - round(DENSITY * flat.numel())
        tau = flat.kthvalue(dropped + 1).values
        kernel = empirical_ntk(net.pruned([s >= tau for s in scores]), x)
        found.append(float(kernel.diagonal().mean()))
    return found


def section(name: str, repeat: int, device: str) -> dict[str, Any]:
    """One section: time, memory, error, bias, and real networks."""
    results: list[CoupledResult] = []
    figures: dict[str, Any] = {"inputs": INPUTS, "depth": DEPTH, "outputs": OUTPUTS[name]}
    figures |= timed(lambda: results.append(solve(name, device)), repeat)
    result = results[-1]
    bias, bias_error = result.relative_bias
    figures |= {
        "samples": result.samples,
        "replicates": result.replicates,
        "relative_error": result.relative_error,
        "relative_bias": bias,
        "relative_bias_error": bias_error,
        "mean_diagonal": float(np.mean(result.traces)),
        "densities": list(result.densities),
    }
    figures["seconds_to_two_percent"] = figures["seconds"] * (result.relative_error / TARGET) ** 2
    figures["added_mib"] = _child(name, device)
    real: list[list[float]] = []
    plain = timed(lambda: real.append(networks(name)), 1)
    spread = float(np.std(real[-1], ddof=1) / np.mean(real[-1]))
    figures["networks"] = {
        "width": WIDTH,
        "seconds": plain["seconds"],
        "mean_diagonal": float(np.mean(real[-1])),
        "relative_error": spread / math.sqrt(NETWORKS),
        "seconds_to_two_percent": plain["seconds"] * spread**2 / NETWORKS / TARGET**2,
    }
    return figures


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description="Speed and accuracy of the coupled kernel.")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--repeat", type=int, default=1, help="calls of which the best counts")
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    parser.add_argument("--device", default="cpu", help="device of the work")
    parser.add_argument("--memory-of", choices=sorted(OUTPUTS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.memory_of is not None:
        print(memory(options.memory_of, options.device))
        return
    figures: dict[str, Any] = {"threads": torch.get_num_threads()}
    figures |= {name: section(name, options.repeat, options.device) for name in OUTPUTS}
    report(figures, options.json)


if __name__ == "__main__":
    main()
