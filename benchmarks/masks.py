"""Speed and memory of masks and scores; each against the plain way, measured in the same run.

    python -m benchmarks.masks [--json PATH] [--size 10000] [--repeat 3]

*mask*: one SNIP-type mask of shape (size, size) (Gaussian weights, half-normal factors, density
0.2) with its 64×64 histograms, streamed; peak memory is that of the whole process, imports
included. Its peer holds all scores in PyTorch and sorts out the largest with ``kthvalue``.

*snip*: the score of a network with n = 1024, d = 128 on N = 32768 samples, in closed form. Its
peer is automatic differentiation over the same batches.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import report
from numerics import data, network, scores
from numerics.masks import stream_histogram
from theory import criteria

DENSITY = 0.2
BLOCKS = 64


def peak_rss_mib() -> float:
    """Peak resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def timed(function: Callable[[], Any], repeat: int) -> dict[str, float]:
    """Wall and processor seconds of a call: the least of ``repeat`` calls, after one to warm up."""
    function()
    wall, processor = [], []
    for _ in range(repeat):
        start, cpu = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - cpu)
    return {"seconds": min(wall), "worst_seconds": max(wall), "cpu_seconds": min(processor)}


def plain_mask(size: int) -> torch.Tensor:
    """The same kind of mask with all its scores in memory."""
    scores_ = torch.randn(size, size).abs_()
    scores_ *= torch.from_numpy(criteria.snip().row((np.arange(size) + 0.5) / size)).float()
    scores_ *= torch.randn(size, 1).abs_()
    kept = round(DENSITY * size * size)
    threshold = scores_.view(-1).kthvalue(size * size - kept + 1).values
    mask = scores_ >= threshold
    rows, cols = mask.sum(dim=1).argsort(), mask.sum(dim=0).argsort()
    whole = size // BLOCKS * BLOCKS
    image = mask[rows][:, cols][:whole, :whole].float()
    image.view(BLOCKS, whole // BLOCKS, BLOCKS, whole // BLOCKS).mean(dim=(1, 3))
    return mask


def measure(size: int = 10_000, repeat: int = 3) -> dict[str, Any]:
    """All figures as one dictionary; times in seconds, memory in MiB."""
    model = criteria.snip()
    before = peak_rss_mib()
    streamed = timed(lambda: stream_histogram(model, size, size, DENSITY, seed=0, k=BLOCKS), repeat)
    memory = peak_rss_mib()
    plain = timed(lambda: plain_mask(size), 1)
    plain_memory = peak_rss_mib()

    d, n, samples = 128, 1024, 32_768
    net = network.OneHiddenLayer(d, n, "tanh", dtype=torch.float32)
    teacher = data.GaussianTeacher(d, np.full(d, d**-0.5))
    x, y = teacher.sample(samples, dtype=torch.float32)
    closed = timed(lambda: scores.score(net, x, y, "snip"), repeat)
    autograd = timed(lambda: scores.score(net, x, y, "snip", method="autograd"), repeat)
    grasp = timed(lambda: scores.score(net, x, y, "grasp"), repeat)
    return {
        "threads": torch.get_num_threads(),
        "mask": {
            "size": size,
            "density": DENSITY,
            "streamed": streamed,
            "import_peak_rss_mib": before,
            "peak_rss_mib": memory,
            "plain": plain,
            "plain_peak_rss_mib": plain_memory,
            "speed_up": plain["seconds"] / streamed["seconds"],
        },
        "snip": {
            "n": n,
            "d": d,
            "samples": samples,
            "closed": closed,
            "autograd": autograd,
            "grasp_closed": grasp,
            "speed_up": autograd["seconds"] / closed["seconds"],
        },
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description="Speed and memory of masks and scores.")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--size", type=int, default=10_000, help="rows and columns of the mask")
    parser.add_argument("--repeat", type=int, default=3, help="calls of which the best counts")
    options = parser.parse_args(arguments)
    report(measure(options.size, options.repeat), options.json)


if __name__ == "__main__":
    main()
