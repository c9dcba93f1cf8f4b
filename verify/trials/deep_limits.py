"""Masks of deep networks: what a limit depends on, what sorting sees of it, and what is left over.

Networks and batches are those of :mod:`verify.trials.deep_networks`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from numerics.cutnorm import bracket
from numerics.data import Dataset
from numerics.deep_derivatives import hessian_product
from numerics.initialisation import initialised
from numerics.latent_graphon import LatentGraphon
from numerics.latent_histogram import Estimate
from numerics.masks import keep_largest
from numerics.pruning import prune
from numerics.seeds import derive, generator
from verify.trial import trial
from verify.trials.deep_networks import (
    OUTPUTS,
    Array,
    Metrics,
    batch_of,
    between,
    gain_of,
    graphon_of,
    hidden,
    latents_of,
    mean_square,
    middle_of,
    network,
    probabilities,
    pruned_by,
    root,
    widths_of,
)


# ------------------------------------------------------------------- what sorting by degree sees
def functionals(P: Tensor, bins: int, seed: int) -> dict[str, float]:
    """What a graphon (n, n) and its degree-sorted block average have, and do not have, in common.

    ``lower``, ``upper``: certified cut norm of their difference, rows and columns in the order of
    the degrees. ``third``, ``third_sorted``: their third singular values; ``cycles``: difference
    of their densities of 4-cycles over four, a lower bound of their cut *distance*. Raises
    ValueError unless ``bins`` divides n.
    """
    n = len(P)
    if n % bins:
        raise ValueError(f"n must be a multiple of the {bins} bins, got {n}")
    ordered = P[P.mean(dim=1).argsort()][:, P.mean(dim=0).argsort()]
    cell = n // bins
    blocks = ordered.reshape(bins, cell, bins, cell).mean(dim=(1, 3))
    spread = blocks.repeat_interleave(cell, 0).repeat_interleave(cell, 1)
    found = bracket((ordered - spread).numpy(), seed=seed, effort="fast")
    own = torch.linalg.eigvalsh(P.T @ P).clamp(min=0.0).sqrt() / n
    sorted_ = torch.linalg.svdvals(blocks) / bins
    cycles = float((own**4).sum() - (sorted_**4).sum())
    return {
        "lower": found.lower,
        "upper": found.upper,
        "third": float(own[-3]),
        "third_sorted": float(sorted_[2]),
        "cycles": cycles / 4.0,
    }


@trial
def sorted_average(
    seed: int, n: int, depth: int, density: float, batch: int = 32, bins: int = 16,
    dataset: str = "digits", activation: str = "relu",
) -> dict[str, float]:  # fmt: skip
    """SNIP's P at a network's own latents, middle layer, beside its degree-sorted block average.

    The two have the same sorted histogram. Metrics: see the functionals above.
    """
    data = batch_of(dataset, batch)
    net = network(seed, widths_of(dataset, n, depth), activation)
    pruned = pruned_by(net, data, "snip", density, seed)
    return functionals(probabilities(net, data, pruned, middle_of(depth)), bins, seed)


@lru_cache(maxsize=16)
def sorted_average_limit(
    depth: int, density: float, batch: int = 32, bins: int = 16, dataset: str = "digits",
    activation: str = "relu", n: int = 1024, draws: int = 6,
) -> dict[str, float]:  # fmt: skip
    """The same functionals of the limit, with no network: latents drawn, residuals averaged over.

    ``n`` latents a side; the layer widths of the threshold are n too.
    """
    data = batch_of(dataset, batch)
    graphon = LatentGraphon(latents_of(data, n, depth, activation), "snip", density)
    layer, rows = middle_of(depth), []
    for draw in range(draws):
        sides = [(n, n)] * (depth + 1)
        drawn = graphon.draws(graphon.residual(1, draw), sides, 1, draw)
        level = graphon.thresholds(drawn).tau[layer - 1]
        kept = drawn[layer].kept(level, 0.0, generator(1, "edges", draw))
        rows.append(functionals(kept.double(), bins, draw))
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


# ----------------------------------------------------------------------- what the limit depends on
@trial
def two_batches(
    seed: int, n: int, criterion: str, depth: int, density: float, other: str = "single",
    batch: int = 32, bins: int = 8, dataset: str = "digits", activation: str = "relu",
) -> Metrics:  # fmt: skip
    """Sorted masks of *one* network for two batches (:func:`batch_of`), "mixed" and ``other``.

    ``apart``: root mean square distance of the histograms between hidden layers.
    """
    net = network(seed, widths_of(dataset, n, depth), activation)
    found = [
        hidden(pruned_by(net, batch_of(dataset, batch, which), criterion, density, seed), bins)
        for which in ("mixed", other)
    ]
    return {"apart": root(*found)}


@lru_cache(maxsize=16)
def batches_apart(
    criterion: str, n: int, depth: int, density: float, other: str = "single", batch: int = 32,
    bins: int = 8, dataset: str = "digits", activation: str = "relu", samples: int = 256,
    draws: int = 16,
) -> float:  # fmt: skip
    """What ``apart`` of :func:`two_batches` tends to, with no network.

    The outputs of one network on both batches are drawn together, and each draw gives two limits;
    the mean of their distances over ``draws``, each less what its own sampling adds.
    """
    parts = [batch_of(dataset, batch, which) for which in ("mixed", other)]
    x, y = (torch.cat(each) for each in zip(*((part.x, part.y) for part in parts), strict=True))
    both = latents_of(Dataset(x, y), n, depth, activation)
    found = []
    for draw in range(draws):
        outputs = both.draw_output(generator(3, "outputs", draw)).split(batch)
        limits: list[list[Estimate]] = []
        for part, output in zip(parts, outputs, strict=True):
            seen = latents_of(part, n, depth, activation, output=output)
            solved = LatentGraphon(seen, criterion, density).solve(
                samples=samples, replicates=2, bins=bins, seed=derive(3, "limit", draw, len(limits))
            )
            limits.append([each.histogram for each in solved.layers[1:-1]])
        found.append(math.sqrt(max(between(*limits), 0.0)))
    return float(np.mean(found))


@trial
def two_networks(
    seed: int, n: int, depth: int, density: float, batch: int = 8, bins: int = 8,
    dataset: str = "digits", activation: str = "relu", labels: str = "parity", samples: int = 256,
) -> Metrics:  # fmt: skip
    """SNIP masks of two independent networks on *one* batch, and the limits of their residuals.

    ``gain``: how much further, in mean squares of sorted histograms, a mask is from the other's
    limit than from its own, mean over the two. Noise of masks and of sampled limits cancels in
    it, and what is left is the squared distance of the limits. ``between`` is that distance as
    predicted, without bias; ``excess`` is ``gain - between``.
    """
    outputs = 1 if labels == "parity" else OUTPUTS
    data = batch_of(dataset, batch, "mixed", labels)
    masks: list[list[Array]] = []
    limits: list[list[Estimate]] = []
    for name in ("first", "second"):
        net = network(derive(seed, name), widths_of(dataset, n, depth, outputs), activation)
        masks.append(hidden(pruned_by(net, data, "snip", density, seed), bins))
        graphon = graphon_of(net, data, "snip", density)
        found = graphon.solve(
            samples=samples, replicates=2, bins=bins, seed=derive(seed, name, "limit")
        )
        limits.append([each.histogram for each in found.layers[1:-1]])
    values = [[each.value for each in limit] for limit in limits]
    gains = []
    for own, mask in zip((0, 1), masks, strict=True):
        gains.append(mean_square(mask, values[1 - own]) - mean_square(mask, values[own]))
    gain, apart = float(np.mean(gains)), between(*limits)
    return {"gain": gain, "between": apart, "excess": gain - apart}


@lru_cache(maxsize=8)
def between_residuals(
    depth: int, density: float, batch: int = 8, bins: int = 8, dataset: str = "digits",
    activation: str = "relu", labels: str = "parity", n: int = 256, residuals: int = 24,
) -> float:  # fmt: skip
    """Mean squared distance of two SNIP limits whose residuals are drawn, with no network."""
    outputs = 1 if labels == "parity" else OUTPUTS
    data = batch_of(dataset, batch, "mixed", labels)
    graphon = LatentGraphon(latents_of(data, n, depth, activation, outputs), "snip", density)
    found = graphon.solve(samples=256, replicates=residuals, repeats=2, bins=bins, seed=2)
    inner = [each.histogram for each in found.layers[1:-1]]
    # The variance of a mean over two repeats is that over residuals and half of the noise.
    total = np.mean([np.mean(e.error**2 * residuals - e.noise**2 / 2.0) for e in inner])
    return float(2.0 * total)


# ------------------------------------------------------------------- criteria of their own kind
@trial
def gauss_newton(
    seed: int, n: int, depth: int, activation: str, batch: int = 16, dataset: str = "digits"
) -> Metrics:
    """How much of GraSP's ``H g`` the Gauss-Newton part leaves out, and what that does to masks.

    ``rest``, ``part``: Frobenius norms, over all weights between hidden layers, of the difference
    and of the Gauss-Newton part; ``relative``: their ratio; ``masks``: share of the edges that one
    of the two rankings by magnitude keeps, layer by layer at density 0.2, and the other drops.
    """
    data = batch_of(dataset, batch)
    net = initialised(
        widths_of(dataset, n, depth), activation, "ntk", derive(seed, "network"),
        gain=gain_of(activation), dtype=torch.float64,
    )  # fmt: skip
    whole = hessian_product(net, data.x, data.y, "cross-entropy")
    part = hessian_product(net, data.x, data.y, "cross-entropy", gauss_newton=True)
    over, under, lost = 0.0, 0.0, []
    for H, G, W in zip(whole[1:-1], part[1:-1], net.weights[1:-1], strict=True):
        over += float((H - G).square().sum())
        under += float(G.square().sum())
        kept = [keep_largest((each * W).abs(), 0.2, seed=seed) for each in (H, G)]
        lost.append(float((kept[0] & ~kept[1]).sum()) / float(kept[0].sum()))
    return {
        "rest": math.sqrt(over),
        "part": math.sqrt(under),
        "relative": math.sqrt(over / under),
        "masks": float(np.mean(lost)),
    }


@trial
def synflow_mask(
    seed: int, n: int, depth: int, density: float, rounds: int = 100, dataset: str = "digits"
) -> Metrics:
    """SynFlow's masks less their densities: certified cut norms of two layers.

    ``lower``, ``upper``: of the middle layer, whose neurons on both sides have about n edges in
    and out; ``last``: lower end for the last one between hidden layers, whose targets have no
    more than one outgoing weight for each class.
    """
    net = network(seed, widths_of(dataset, n, depth))
    pruned = prune(net, "synflow", density, rounds=rounds, seed=derive(seed, "ties"))
    found = {}
    for name, layer in (("middle", middle_of(depth)), ("last", depth)):
        mask = pruned.masks[layer - 1]
        assert mask is not None
        gap = mask.double() - pruned.densities[layer - 1]
        found[name] = bracket(gap.numpy(), seed=seed, effort="fast")
    return {
        "lower": found["middle"].lower,
        "upper": found["middle"].upper,
        "last": found["last"].lower,
    }
