"""Speed and memory of the tangent kernel of a finite network, against two peers.

    python -m benchmarks.empirical_ntk [--json PATH] [--samples 128] [--width 1024] [--repeat 5]
                                       [--peer PYTHON]

The network is 784–width×4–1, ReLU, float32; *masked* keeps a fifth of the weights at random and
trains survivors, *dense* has no masks. Each row runs in a process of its own: ``peak_mib`` is
how much the kernel's calls raised the peak resident memory above what network and inputs hold.
``error`` is the median difference to the same kernel in float64, relative to its largest entry,
``worst_error`` the largest; one neuron whose pre-activation is zero to rounding takes the other
side of ReLU's kink in float64, and then the worst is of the order of one neuron's share.

*jacobian*: ``torch.func``'s ``vmap(jacrev)`` over all weights, survivors selected by the mask
inside the function, and the product of the Jacobians; in the same environment. *neural_tangents*:
``empirical_ntk_fn`` (Jacobian contraction, jitted, compilation not counted) in the interpreter
that ``--peer`` names, which must have neural-tangents and jax; skipped if none is given. It has
no masks, so it is compared with the dense network alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import report

DENSITY = 0.2
ROWS = {
    "masked": ("ours", True), "dense": ("ours", False),
    "masked_jacobian": ("jacobian", True), "dense_jacobian": ("jacobian", False),
}  # fmt: skip

PEER = """
import json, resource, sys, time
import numpy as np
import jax, jax.numpy as jnp
# This jax has moved two names that the peer's fastest mode looks up here.
import jax.interpreters.ad
from jax._src import source_info_util
jax.interpreters.ad.source_info_util = source_info_util
jax.interpreters.ad.config = jax.config
import neural_tangents as nt
from neural_tangents import stax
samples, width, repeat = map(int, sys.argv[1:4])
layers = []
for _ in range(4):
    layers += [stax.Dense(width, W_std=2**0.5, b_std=None), stax.Relu()]
init, apply, _ = stax.serial(*layers, stax.Dense(1, W_std=2**0.5, b_std=None))
x = jnp.asarray(np.random.default_rng(0).standard_normal((samples, 784)), jnp.float32)
params = init(jax.random.PRNGKey(0), x.shape)[1]
kernel = jax.jit(nt.empirical_ntk_fn(
    apply, trace_axes=(-1,), vmap_axes=0,
    implementation=nt.NtkImplementation[sys.argv[4]]), static_argnums=(1,))
jax.block_until_ready(apply(params, x))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
before, seconds = peak(), []
for _ in range(repeat + 1):
    start = time.perf_counter()
    jax.block_until_ready(kernel(x, None, params))
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(seconds[1:]), "worst_seconds": max(seconds[1:]),
                  "peak_mib": peak() - before, "version": nt.__version__}))
"""


def peak_rss_mib() -> float:
    """Peak resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def row(name: str, samples: int, width: int, repeat: int) -> dict[str, float]:
    """One row of the table, measured in this process."""
    import numpy as np
    import torch
    from torch.func import functional_call, jacrev, vmap

    from numerics.empirical_ntk import empirical_ntk
    from numerics.mlp import MLP
    from numerics.mlp_masks import graphon_masks

    way, masked = ROWS[name]
    widths = (784, *(width,) * 4, 1)
    net = MLP(widths, "relu", gain=2.0, dtype=torch.float32)
    if masked:
        net = net.pruned(graphon_masks(DENSITY, widths))
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((samples, 784)))
    single = x.float()

    class Module(torch.nn.Module):
        """The same network for torch.func; a pruned weight has derivative zero."""

        def __init__(self) -> None:
            super().__init__()
            self.W = torch.nn.ParameterList(net.weights)

        def forward(self, h: torch.Tensor) -> torch.Tensor:
            for k, W in enumerate(self.W):
                M = net.masks[k]
                z = h @ ((W if M is None else W * M) * net.scales[k]).T
                h = torch.relu(z)
            return z

    def by_jacobian() -> torch.Tensor:
        module = Module()
        weights = {key: value.detach() for key, value in module.named_parameters()}
        jacobian = vmap(
            jacrev(lambda p, point: functional_call(module, p, (point[None],)).squeeze()),
            in_dims=(None, 0),
        )(weights, single)
        return sum(J.flatten(1) @ J.flatten(1).T for J in jacobian.values())

    function = by_jacobian if way == "jacobian" else lambda: empirical_ntk(net, single)
    net(single)
    before, seconds = peak_rss_mib(), []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        kernel = function()
        seconds.append(time.perf_counter() - start)
    peak = peak_rss_mib() - before
    exact = net.replaced([W.double() for W in net.weights])
    expected = empirical_ntk(exact, single)
    errors = (kernel.double() - expected).abs() / expected.abs().max()
    return {
        "seconds": min(seconds[1:]), "worst_seconds": max(seconds[1:]), "peak_mib": peak,
        "error": float(errors.median()), "worst_error": float(errors.max()),
        "threads": torch.get_num_threads(),
    }  # fmt: skip


def _child(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if re.match(r"[\w.]*Error\b", line)]
        return {"failed": lines[-1] if lines else f"exit status {done.returncode}"}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def measure(
    samples: int = 128, width: int = 1024, repeat: int = 5, peer: str | None = None
) -> dict[str, Any]:
    """All rows as one dictionary; times in seconds, memory in MiB."""
    sizes = [str(samples), str(width), str(repeat)]
    result: dict[str, Any] = {
        "samples": samples, "width": width, "density": DENSITY, "processors": os.cpu_count(),
    }  # fmt: skip
    for name in ROWS:
        # jacrev takes seconds, so it is run once after the warm-up.
        runs = "1" if name.endswith("jacobian") else sizes[2]
        command = [sys.executable, "-m", "benchmarks.empirical_ntk", "--row", name]
        options = ["--samples", sizes[0], "--width", sizes[1], "--repeat", runs]
        result[name] = _child([*command, *options])
    for kind in ("masked", "dense"):
        ours, theirs = result[kind].get("seconds"), result[f"{kind}_jacobian"].get("seconds")
        if ours and theirs:
            result[kind]["speed_up_to_jacobian"] = theirs / ours
    if peer is None:
        result["neural_tangents"] = "skipped: no --peer given"
        return result
    for name in ("JACOBIAN_CONTRACTION", "NTK_VECTOR_PRODUCTS", "STRUCTURED_DERIVATIVES"):
        found = _child([peer, "-c", PEER, sizes[0], sizes[1], "2", name])
        result[f"neural_tangents_{name.lower()}"] = found
    return result


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description="Speed and memory of empirical tangent kernels.")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--samples", type=int, default=128, help="inputs N")
    parser.add_argument("--width", type=int, default=1024, help="neurons of a hidden layer")
    parser.add_argument("--repeat", type=int, default=5, help="calls of which the best counts")
    parser.add_argument("--peer", help="an interpreter that has neural-tangents")
    parser.add_argument("--row", choices=sorted(ROWS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.row is not None:
        print(json.dumps(row(options.row, options.samples, options.width, options.repeat)))
        return
    report(measure(options.samples, options.width, options.repeat, options.peer), options.json)


if __name__ == "__main__":
    main()
