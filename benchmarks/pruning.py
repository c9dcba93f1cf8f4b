"""Speed and memory of pruning a deep network at initialisation, against automatic differentiation.

    python -m benchmarks.pruning [--json PATH] [--samples 256] [--width 1024] [--wide 10000]
                                 [--repeat 9]

The network is 784–width×4–10, ReLU, Kaiming, float32; density 0.2 under a global threshold. Each
row runs in a process of its own: ``seconds`` is the best of some calls, ``worst_seconds`` the
worst, after a warm-up that does not count; ``peak_mib`` is how much the calls raised the peak
resident memory above what network and data hold.

*snip*, *grasp*, ..: :func:`numerics.pruning.prune`, scores, exact masks and the report on what is
dead. *snip_scores*, *grasp_scores*: the scores alone. *snip_autograd*, *grasp-signed_autograd*:
what the public codes do, a module's scores by one or two backward passes and a threshold by
``topk`` over all of them, without a report; ``disagree`` is the share of mask entries in which
ours differs, which is rounding in single precision. *wide*: a network of four hidden layers of
``--wide`` neurons drawn, pruned by SNIP and reduced to 64×64 histograms; 0 leaves it out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import report

DENSITY = 0.2
CRITERIA = ("random", "magnitude", "snip", "grasp-signed", "synflow")
ROWS = (
    *CRITERIA, "snip_scores", "grasp_scores", "snip_autograd", "grasp-signed_autograd", "wide",
)  # fmt: skip


def peak_rss_mib() -> float:
    """Peak resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def by_autograd(module: Any, x: Any, y: Any, second: bool) -> list[Any]:
    """Masks of a module by SNIP or signed GraSP, from automatic differentiation."""
    import torch

    weights = [part.weight for part in module if isinstance(part, torch.nn.Linear)]
    loss = torch.nn.functional.cross_entropy(module(x), y)
    grads = torch.autograd.grad(loss, weights, create_graph=second)
    if second:
        product = sum((g * g.detach()).sum() for g in grads)
        grads = torch.autograd.grad(product, weights)
    with torch.no_grad():
        scores = [W * g if second else (W * g).abs() for W, g in zip(weights, grads, strict=True)]
        flat = torch.cat([each.view(-1) for each in scores])
        threshold = torch.topk(flat, round(DENSITY * len(flat)), sorted=True)[0][-1]
        return [each >= threshold for each in scores]


def row(name: str, samples: int, width: int, repeat: int) -> dict[str, float]:
    """One row of the table, measured in this process."""
    import numpy as np
    import torch

    from numerics.deep_scores import grasp_scores, snip_scores
    from numerics.initialisation import initialised
    from numerics.pruning import prune
    from numerics.wide_pruning import pruned_histograms

    widths = (784, *(width,) * 4, 10)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((samples, 784), dtype=np.float32))
    y = torch.from_numpy(rng.integers(10, size=samples))
    result: dict[str, float] = {"threads": torch.get_num_threads()}
    call: Callable[[], Any]
    if name == "wide":
        before, repeat = peak_rss_mib(), 1
        call = lambda: pruned_histograms(  # noqa: E731
            widths, "relu", "snip", DENSITY, x, y, scheme="kaiming"
        )
    else:
        net = initialised(widths, "relu", "kaiming", dtype=torch.float32)
        parts: list[torch.nn.Module] = []
        for W, s in zip(net.weights, net.scales, strict=True):
            linear = torch.nn.Linear(W.shape[1], W.shape[0], bias=False)
            linear.weight.data = W * s
            parts += [linear, torch.nn.ReLU()]
        module = torch.nn.Sequential(*parts[:-1])
        if name.endswith("_autograd"):
            criterion = name.removesuffix("_autograd")
            call = lambda: by_autograd(module, x, y, criterion == "grasp-signed")  # noqa: E731
            ours = prune(net, criterion, DENSITY, x, y).masks
            differ = sum(int((a != b).sum()) for a, b in zip(call(), ours, strict=True))
            result["disagree"] = differ / sum(W.numel() for W in net.weights)
        elif name.endswith("_scores"):
            function = snip_scores if name == "snip_scores" else grasp_scores
            call = lambda: function(net, x, y)  # noqa: E731
        else:
            call = lambda: prune(net, name, DENSITY, x, y)  # noqa: E731
        before = peak_rss_mib()
        call()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return result | {
        "seconds": min(seconds), "worst_seconds": max(seconds),
        "peak_mib": peak_rss_mib() - before,
    }  # fmt: skip


def measure(
    samples: int = 256, width: int = 1024, wide: int = 10_000, repeat: int = 9
) -> dict[str, Any]:
    """All rows as one dictionary; times in seconds, memory in MiB."""
    result: dict[str, Any] = {
        "samples": samples, "width": width, "wide_width": wide, "density": DENSITY,
        "processors": os.cpu_count(),
    }  # fmt: skip
    for name in ROWS:
        if name == "wide" and not wide:
            continue
        size = wide if name == "wide" else width
        command = [sys.executable, "-m", "benchmarks.pruning", "--row", name]
        options = ["--samples", samples, "--width", size, "--repeat", repeat]
        done = subprocess.run(
            [*command, *map(str, options)], capture_output=True, text=True, timeout=900
        )
        if done.returncode != 0:
            result[name] = {"failed": done.stderr.strip().splitlines()[-1:]}
            continue
        result[name] = json.loads(done.stdout.strip().splitlines()[-1])
    for kind in ("snip", "grasp-signed"):
        ours, theirs = result[kind].get("seconds"), result[f"{kind}_autograd"].get("seconds")
        if ours and theirs:
            result[kind]["speed_up_to_autograd"] = theirs / ours
    return result


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description="Speed and memory of pruning at initialisation.")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--samples", type=int, default=256, help="inputs N")
    parser.add_argument("--width", type=int, default=1024, help="neurons of a hidden layer")
    parser.add_argument("--wide", type=int, default=10_000, help="the same of the wide network")
    parser.add_argument("--repeat", type=int, default=9, help="calls of which the best counts")
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.row is not None:
        print(json.dumps(row(options.row, options.samples, options.width, options.repeat)))
        return
    report(measure(options.samples, options.width, options.wide, options.repeat), options.json)


if __name__ == "__main__":
    main()
