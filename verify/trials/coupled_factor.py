"""How large a factor the coupling is: three kernels of one problem, against what is varied.

No network is drawn. A replicate is one draw of the dense network's initial outputs on the batch,
and one set of random numbers for the three kernels, so that most of the noise drops out of their
ratios. Along a sweep the same normal numbers are used again, for differences.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch

from numerics.coupled_kernel import CoupledKernel
from numerics.latent_batch import LatentBatch
from numerics.losses import loss as find_loss
from numerics.seeds import derive, generator
from verify.trial import trial
from verify.trials.coupled import GAINS, READINGS, Metrics, loss_of, problem, traces

VARIED = ("density", "depth", "batch")
WIDTH = 1000
"""Of all layers. With a density for each layer it cancels."""
OUTPUTS = 1
DEPTHS = (1, 2, 3, 4)
DENSITIES = (0.05, 0.2, 0.4, 0.8)
BATCHES = (4, 16, 64)
SAMPLES = {"quick": 192, "full": 1024}
BATCH = {"quick": 8, "full": 32}
POINTS = {"quick": 4, "full": 16}


def sweep(vary: str, values: tuple[float, ...], *, ends: bool = True) -> dict[str, Any]:
    """Settings of a sweep, one for each profile; more samples where the batch is large.

    ``ends``: only the first and the last value in the quick profile.
    """
    found = {}
    for profile in SAMPLES:
        shown = (values[0], values[-1]) if ends and profile == "quick" else values
        settings = {"vary": vary, "values": shown, "points": POINTS[profile]}
        if vary == "batch":
            settings["samples"] = max(SAMPLES[profile], 4 * BATCHES[-1])
        else:
            settings.update(samples=SAMPLES[profile], batch=BATCH[profile])
        found[profile] = settings
    return found


@lru_cache(maxsize=32)
def _batch(depth: int, batch: int, points: int, activation: str) -> LatentBatch:
    """The labelled batch as a wide network sees it, its outputs not drawn yet."""
    given = problem(batch, points, OUTPUTS)
    widths = (given.x.shape[1], *([WIDTH] * depth), OUTPUTS)
    loss = find_loss(loss_of(OUTPUTS))
    return LatentBatch(given.x, widths, activation, gain=GAINS[activation], loss=loss, y=given.y)


def factors(
    seed: int, density: float, depth: int, batch: int, activation: str, points: int, samples: int
) -> dict[str, float]:
    """Logarithms of the coupled kernel's mean diagonal over that of the other two.

    SNIP, one output, squared loss, ``density`` in every layer, on inputs outside the batch.
    """
    given = problem(batch, points, OUTPUTS)
    wide = _batch(depth, batch, points, activation)
    output = wide.draw_output(generator(seed, "output"))
    seen = LatentBatch(
        given.x, wide.widths, activation, gain=GAINS[activation], loss=wide.loss, y=given.y,
        output=output,
    )  # fmt: skip
    found = {}
    for name, reading in READINGS.items():
        kernel = CoupledKernel(
            seen, "snip", density, scope="layer", samples=samples, replicates=2, bias=False,
            seed=derive(seed, "latents"), dtype=torch.float32, **reading,
        )  # fmt: skip
        found[name] = math.log(sum(traces(kernel(given.inputs).per_layer)))
    whole = found.pop("coupled")
    return {name: whole - other for name, other in found.items()}


@trial
def coupled_factor(
    seed: int, vary: str, values: tuple[float, ...], activation: str = "relu",
    density: float = 0.2, depth: int = 2, batch: int = 8, points: int = 4, samples: int = 256,
) -> Metrics:  # fmt: skip
    """The logarithms of both factors at every value of what is varied.

    ``graphon 0.2``: over the kernel of the mask graphon alone, at 0.2; ``uncoupled 0.2``: over
    the kernel with the right second moments. ``.. change``: last value less first; ``.. step k``:
    from the k-th value to the next.
    """
    if vary not in VARIED:
        raise ValueError(f"vary must be one of {', '.join(VARIED)}; got {vary!r}")
    if len(values) < 2:
        raise ValueError(f"values must be at least two, got {values!r}")
    fixed: dict[str, float] = {"density": density, "depth": depth, "batch": batch}
    found: Metrics = {}
    curves: dict[str, list[float]] = {name: [] for name in READINGS if name != "coupled"}
    for value in values:
        now = {**fixed, vary: value}
        each = factors(
            seed, float(now["density"]), int(now["depth"]), int(now["batch"]), activation,
            points, samples,
        )  # fmt: skip
        for name, factor in each.items():
            found[f"{name} {value:g}"] = factor
            curves[name].append(factor)
    for name, curve in curves.items():
        found[f"{name} change"] = curve[-1] - curve[0]
        for k in range(len(curve) - 1):
            found[f"{name} step {k + 1}"] = curve[k + 1] - curve[k]
    return found
