"""Speed and accuracy of latent-feature graphons: all layers' limits without a network.

    python -m benchmarks.latents [--json PATH] [--repeat 3] [--device cpu]

SNIP at density 0.2 under a global threshold, 128 images of MNIST, a ReLU network
784-1024x4-10 with cross-entropy, 64 x 64 cells. *given*: one residual; its errors are the
standard errors of the cells, as their root mean square over a layer (the worst layer), their
99 % quantile and their maximum. *networks*: drawing and pruning networks of that architecture,
sorting and smoothing their masks, on as many networks as limits have replicates.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import report
from benchmarks.masks import peak_rss_mib, timed
from numerics.data import mnist5k
from numerics.histogram import sas
from numerics.latent_graphon import LatentBatch, LatentGraphon, LatentLimit
from numerics.masks import keep_largest
from numerics.mlp import MLP
from numerics.seeds import generator

IMAGES = 128
WIDTHS = (784, 1024, 1024, 1024, 1024, 10)
BINS = 64
DENSITY = 0.2


def batch(device: str) -> LatentBatch:
    """The images, with the residual of one network of infinite width."""
    data = mnist5k(normalise=True)
    chosen = generator(0, "images").permutation(len(data.x))[:IMAGES]
    x, y = data.x[chosen], data.y[chosen]
    free = LatentBatch(x, WIDTHS, "relu", gain=2.0, y=y, device=device)
    output = free.draw_output(generator(0, "output"))
    return LatentBatch(x, WIDTHS, "relu", gain=2.0, y=y, output=output, device=device)


def network(given: LatentBatch, seed: int) -> list[np.ndarray]:
    """Sorted histograms of one network's SNIP masks."""
    net = MLP(WIDTHS, "relu", gain=2.0, seed=seed, dtype=torch.float32)
    x = given.x.cpu().float()
    states = net.states(x)
    assert given.y is not None
    deltas = net.backward(states, given.loss.residual(states.z[-1], given.y.cpu()))
    scores = [
        (s * W * (d.T @ h)).abs()
        for s, W, d, h in zip(net.scales, net.weights, deltas, states.h, strict=True)
    ]
    masks = keep_largest(scores, DENSITY, per="global")
    return [sas(m, min(BINS, m.shape[0]), min(BINS, m.shape[1])) for m in masks]


def measure(repeat: int = 3, device: str = "cpu") -> dict[str, Any]:
    """All figures as one dictionary; times in seconds, memory in MiB."""
    given = batch(device)
    graphon = LatentGraphon(given, "snip", DENSITY)
    found: list[LatentLimit] = []
    figures: dict[str, Any] = {"threads": torch.get_num_threads(), "device": device}
    figures["given"] = timed(lambda: found.append(graphon.solve(bins=BINS)), repeat)
    limit = found[-1]
    errors = np.concatenate([layer.histogram.error.ravel() for layer in limit.layers])
    figures["given"] |= {
        "samples": limit.samples,
        "replicates": limit.replicates,
        "error_rms_worst_layer": limit.error,
        "error_99_percent": float(np.quantile(errors, 0.99)),
        "error_max": float(errors.max()),
        "peak_mib": peak_rss_mib(),
        "densities": limit.densities,
    }
    if device == "cpu":
        count = limit.replicates
        plain = timed(lambda: [network(given, seed) for seed in range(count)], 1)
        figures["networks"] = plain | {"count": count}
    return figures


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description="Speed and accuracy of latent-feature graphons.")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--repeat", type=int, default=3, help="calls of which the best counts")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:<index>")
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    report(measure(options.repeat, options.device), options.json)


if __name__ == "__main__":
    main()
