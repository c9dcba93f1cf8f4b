"""Spectra of the kernels of pruned networks: of whole networks, of masks alone, of single layers.

Two protocols. In the first, all layers are pruned under one threshold, and every kernel of a
finite network stands beside the one of infinitely wide networks with the same initial residual.
In the second, that of [A], the input and the output layer stay dense, the masks of the others are
sorted and averaged to a histogram, and new masks are drawn from it and put on new weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from numerics.attribution import shapley
from numerics.coupled_kernel import CoupledKernel
from numerics.data import Dataset, digits, mnist5k
from numerics.empirical_ntk import empirical_ntk
from numerics.kernel import GraphonKernel
from numerics.latent_batch import LatentBatch
from numerics.losses import loss as find_loss
from numerics.masks_histogram import degree_histogram
from numerics.mlp import MLP
from numerics.mlp_masks import graphon_masks
from numerics.pruning import prune
from numerics.seeds import derive, generator
from numerics.spectrum import spectrum_report
from verify.trial import trial
from verify.trials.coupled import GAINS, Metrics, Problem, loss_of
from verify.trials.coupled_spectrum import CAUSES, SETS, TOP, independent_masks

SUMMARIES = ("energy", "rank", "gap", "decay")
LIMITS = ("dense", "own", "input", "behind", "fresh")
"""Kernels that are also computed in the limit; that of random masks is the dense one's shape."""
_DATA = {"digits": digits, "mnist5k": mnist5k}


@lru_cache(maxsize=16)
def images(dataset: str, batch: int, points: int, outputs: int) -> Problem:
    """``batch`` labelled images of norm √d for the masks, ``points`` others for the kernel.

    The same ones for all seeds. One output learns the parity, ten the class.
    """
    if dataset not in _DATA:
        raise ValueError(f"dataset must be one of {', '.join(_DATA)}; got {dataset!r}")
    data: Dataset = _DATA[dataset](normalise=True, labels="parity" if outputs == 1 else "class")
    if batch + points > len(data.x):
        raise ValueError(f"batch and points must not exceed {len(data.x)} images together")
    chosen = torch.from_numpy(generator(0, "spectra").permutation(len(data.x)))
    own, other = chosen[:batch], chosen[batch : batch + points]
    return Problem(data.x[own], data.y[own], data.x[other])


def summaries(name: str, kernel: Tensor) -> dict[str, float]:
    """Top-5 energy, effective rank, gap and decay exponent, under ``"name energy"`` and so on."""
    if len(kernel) < TOP:
        raise ValueError(f"points must be at least {TOP} for an energy, got {len(kernel)}")
    report = spectrum_report(kernel, (TOP,))
    if report.decay is None:
        raise ValueError("kernel must have three eigenvalues above rounding: it has no decay")
    values = (report.energies[TOP], report.effective_rank, report.gap, report.decay.exponent)
    return {f"{name} {what}": value for what, value in zip(SUMMARIES, values, strict=True)}


def mean_of(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    """Entry by entry, of rows with the same names."""
    held = list(rows)
    return {name: sum(row[name] for row in held) / len(held) for name in held[0]}


@trial
def mask_spectra(
    seed: int, n: int, density: float, dataset: str = "digits", depth: int = 3, outputs: int = 1,
    batch: int = 8, points: int = 24, samples: int = 256, solutions: int = 4, others: int = 4,
) -> Metrics:  # fmt: skip
    """Summaries of the kernels of one ReLU network, pruned in several ways.

    ``own``: SNIP's masks on the weights they saw; ``input``: its first mask, independent ones of
    the same densities behind it; ``behind``: the reverse; ``independent``: all of them. Means over
    ``others`` draws of new weights: ``fresh``, SNIP's masks on them; ``random`` masks; ``dense``.
    ``limit ..``: infinitely wide, with the same initial residual. ``.. share``: the causes of the
    rise of the energy from the dense limit to ``own``, and ``rise`` itself, as in
    :mod:`verify.trials.coupled_spectrum`.
    """
    given = images(dataset, batch, points, outputs)
    widths = (given.x.shape[1], *([n] * depth), outputs)
    gain, loss = GAINS["relu"], loss_of(outputs)

    def network(*labels: str | int) -> MLP:
        return MLP(widths, "relu", gain=gain, seed=derive(seed, *labels), dtype=torch.float32)

    net = network("weights")
    pruned = prune(net, "snip", density, given.x, given.y, loss=loss)
    masks = [mask for mask in pruned.masks if mask is not None]
    chance = independent_masks(masks, seed)
    networks = {
        "independent": net.pruned(chance),
        "own": net.pruned(masks),
        "input": net.pruned([masks[0], *chance[1:]]),
        "behind": net.pruned([chance[0], *masks[1:]]),
    }
    found: Metrics = {}
    for name, each in networks.items():
        found.update(summaries(name, empirical_ntk(each, given.inputs)))
    found.update(
        mean_of(
            {
                **summaries("dense", empirical_ntk(other, given.inputs)),
                **summaries("fresh", empirical_ntk(other.pruned(masks), given.inputs)),
                **summaries("random", empirical_ntk(drawn.apply(other), given.inputs)),
            }
            for k in range(others)
            for other in [network("fresh", k)]
            for drawn in [prune(other, "random", density, seed=derive(seed, "random", k))]
        )
    )
    seen = LatentBatch(
        given.x, widths, "relu", gain=gain, loss=find_loss(loss), y=given.y,
        output=net(given.x).double(),
    )  # fmt: skip
    behind = tuple(range(2, depth + 2))
    for name in LIMITS:
        if name == "dense":
            kernel = GraphonKernel("relu", depth=depth, gain=gain)(given.inputs, get="ntk")
        else:
            redrawn = name == "fresh"
            limit = CoupledKernel(
                seen, "snip", density, samples=samples, replicates=solutions, bias=False,
                independent={"input": behind, "behind": (1,)}.get(name, ()),
                coupling="none" if redrawn else "full",
                variance="graphon" if redrawn else "saliency",
                seed=derive(seed, "latents"), dtype=torch.float32,
            )  # fmt: skip
            kernel = limit(given.inputs).ntk
        found.update(summaries(f"limit {name}", kernel))
    found.update(_shares(found))
    return found


def _shares(found: Metrics) -> dict[str, float]:
    """Shapley shares of the three causes in the rise of the energy, and the rise."""
    wide = {(): "dense", ("input",): "input", ("coupling",): "behind"}
    effect = {}
    for on in SETS:
        masks = tuple(cause for cause in CAUSES[:2] if cause in on)
        name = wide.get(masks, "own")
        if "width" in on:
            key = "independent" if name == "dense" else name
        else:
            key = f"limit {name}"
        effect[on] = float(found[f"{key} energy"])  # type: ignore[arg-type]
    shares = {f"{cause} share": each for cause, each in shapley(CAUSES, effect).items()}
    return {**shares, "rise": effect[SETS[-1]] - effect[SETS[0]]}


@trial
def redrawn_spectra(
    seed: int, n: int, criterion: str, density: float, dataset: str = "digits", depth: int = 4,
    outputs: int = 10, batch: int = 32, points: int = 64, cells: int = 16, networks: int = 4,
    rounds: int = 100,
) -> Metrics:  # fmt: skip
    """The protocol of [A]: masks drawn from sorted histograms, on weights they did not see.

    Only the layers between hidden ones are pruned. ``redrawn``: from the mean of ``networks``
    histograms with ``cells`` × ``cells`` cells; ``flat``: from constants of the same densities, on
    the same new weights; ``own``: the masks of one of the networks, on the weights they saw;
    ``dense``. ``structure`` and ``coupled`` are the energies of the first and of the third over
    that of the second.
    """
    given = images(dataset, batch, points, outputs)
    widths = (given.x.shape[1], *([n] * depth), outputs)
    ends, loss = (1, depth + 1), loss_of(outputs)
    histograms = [np.zeros((cells, cells)) for _ in range(depth - 1)]
    for index in range(networks):
        net = MLP(
            widths, "relu", gain=GAINS["relu"], seed=derive(seed, "weights", index),
            dtype=torch.float32,
        )  # fmt: skip
        pruned = prune(
            net, criterion, density, given.x, given.y, loss=loss, keep=ends, rounds=rounds,
            seed=derive(seed, "ties", index),
        )  # fmt: skip
        inner = [mask for mask in pruned.masks[1:-1] if mask is not None]
        for total, mask in zip(histograms, inner, strict=True):
            total += degree_histogram(mask.numpy(), cells) / networks
    other = MLP(widths, "relu", gain=GAINS["relu"], seed=derive(seed, "fresh"), dtype=torch.float32)
    drawn = graphon_masks([None, *histograms, None], widths, derive(seed, "redrawn"))
    constants = [float(each.mean()) for each in histograms]
    level = graphon_masks([None, *constants, None], widths, derive(seed, "flat"))
    found: Metrics = {}
    for name, network in (
        ("redrawn", other.pruned(drawn)),
        ("flat", other.pruned(level)),
        ("own", net.pruned([None, *inner, None])),
        ("dense", other),
    ):
        found.update(summaries(name, empirical_ntk(network, given.inputs)))
    for name, kind in (("structure", "redrawn"), ("coupled", "own")):
        found[name] = found[f"{kind} energy"] - found["flat energy"]  # type: ignore[operator]
    return found
