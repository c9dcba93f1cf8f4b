"""SynFlow: seconds for all rounds on a network of 784–1024×4–10, and against autograd.

The plain version scores every edge with autograd in every round and finds the threshold with
``kthvalue`` over all of them. Medians of several runs in one process, the two in turn.

    python -m benchmarks.synflow --runs 3 --threads 2 --json synflow.json
"""

from __future__ import annotations

import argparse
import itertools
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import report
from numerics.sampling import standard_normal
from numerics.seeds import generator
from numerics.synflow import scheduled, synflow

WIDTHS = (784, 1024, 1024, 1024, 1024, 10)


def weights(widths: Sequence[int], seed: int) -> list[Tensor]:
    """Standard normal matrices, float32."""
    return [
        torch.from_numpy(
            standard_normal(generator(seed, "benchmark", index), (n, d), torch.float32)
        )
        for index, (d, n) in enumerate(itertools.pairwise(widths))
    ]


def by_autograd(given: Sequence[Tensor], density: float, rounds: int) -> list[Tensor]:
    """The plain version: a backward pass and a global ``kthvalue`` in each round."""
    masks = [torch.ones_like(weight) for weight in given]
    size = sum(weight.numel() for weight in given)
    for step in range(1, rounds + 1):
        leaves = [weight.abs().requires_grad_() for weight in given]
        h = torch.ones(given[0].shape[1])
        for leaf, mask in zip(leaves, masks, strict=True):
            h = (leaf * mask) @ h
            h = h / h.detach().mean()  # float32 would overflow on the way down otherwise
        h.sum().backward()
        scores = [leaf.grad * leaf.detach() for leaf in leaves if leaf.grad is not None]
        flat = torch.cat([(each / each.sum()).ravel() for each in scores])
        left = round(scheduled(density, step, rounds) * size)
        threshold = flat.kthvalue(size - left).values
        pieces = (flat > threshold).float().split([weight.numel() for weight in given])
        masks = [each.view(weight.shape) for each, weight in zip(pieces, given, strict=True)]
    return masks


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds on the wall clock, and the result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--density", type=float, default=0.2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ours, plain, agree = [], [], []
    for run in range(options.runs):
        given = weights(WIDTHS, run)
        seconds, found = timed(partial(synflow, given, options.density, rounds=options.rounds))
        ours.append(seconds)
        seconds, masks = timed(partial(by_autograd, given, options.density, options.rounds))
        plain.append(seconds)
        pairs = zip(found.masks, masks, strict=True)
        differing = sum(int((a != b.bool()).sum()) for a, b in pairs)
        agree.append(1.0 - differing / sum(each.numel() for each in given))
    report(
        {
            "widths": WIDTHS,
            "density": options.density,
            "rounds": options.rounds,
            "threads": options.threads,
            "torch": torch.__version__,
            "processor": platform.machine(),
            "seconds": statistics.median(ours),
            "autograd_seconds": statistics.median(plain),
            "speedup": statistics.median(plain) / statistics.median(ours),
            "entries_that_agree": min(agree),
        },
        options.json,
    )


if __name__ == "__main__":
    main()
