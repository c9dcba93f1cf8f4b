"""Complexity, alignment, bound and test error of networks that a criterion really pruned.

One replicate is a fresh split of a binary image task (even against odd digits), a fresh network
and fresh tosses of the labels. Networks have one hidden layer, whose input weights are pruned,
and output 0 at the start (antisymmetric initialisation), as the bound wants. Masks are made from a
part of the data that the kernel is not evaluated on, unless a trial says otherwise: only then is
the kernel independent of the labels.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from numerics.complexity import (
    BoundAgainstTruth,
    alignment,
    bound_against_truth,
    complexity,
    noise_curve,
    noisy_labels,
)
from numerics.empirical_ntk import empirical_ntk
from numerics.linear_targets import data_suboptimality, linear_complexity
from numerics.pruned_kernels import (
    Kernels,
    Split,
    as_mlp,
    finite_kernel,
    image_split,
    pruned_kernels,
    pruned_network,
)
from numerics.pruned_limits import limit_kernel, linear_path_density, row_factors
from numerics.regression import gradient_flow, kernel_regression
from numerics.seeds import derive, generator
from numerics.training import train
from theory.duals import dual
from theory.path_density_optimum import edge_optimum, linear_bound, suboptimality
from verify.trial import trial

Metrics = dict[str, float | list[float]]
CRITERIA = ("random", "magnitude", "snip", "grasp")
SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of labels that are replaced by fair coin tosses."""
WAY = tuple(1.0 - (1.0 - p) ** 2 for p in SHARES)
"""How far a complexity has come from that of the clean labels to that of random ones."""
ORDER = 5
"""Of the quadrature over output weights."""
STEPS = (1, 40)
"""Of gradient descent: early, when the kernel's scale shows, and late."""
FLOOR = 0.01
"""Of the path-density bound on Gaussian teachers, where it would be infinite for SNIP."""


def split_of(seed: int, data: str, samples: int, tested: int, masked: int) -> Split:
    """The replicate's own split of the data."""
    return image_split(data, samples, tested, masked, derive(seed, "split"))


# ------------------------------------------------------------------- one density, all criteria


@trial
def criteria_compared(
    seed: int, density: float, kind: str = "network", n: int = 512, data: str = "digits",
    samples: int = 150, tested: int = 200, masked: int = 600, draws: int = 60,
) -> Metrics:  # fmt: skip
    """Random, Magnitude, SNIP and |GraSP| at one density, on one split and one network.

    For each criterion c: ``complexity_c`` (clean labels, as its logarithm), ``random_c`` (the
    same for random labels), ``excess_c`` (their ratio), ``way_c[k]``, how far the complexity at
    ``SHARES[k]`` has come from the first to the second, mean over ``draws``; ``step_c``, the least
    of its increments from share to share, over that of random labels; ``alignment_c`` and
    ``gain_c`` over Random; ``bound_c``, ``loss_c``, ``error_c``, ``looseness_c``. ``apart`` is the
    logarithm of the ratio of the largest to the smallest complexity; ``at_clean_c_e`` and
    ``at_random_c_e`` logarithms of ratios of two criteria's. Over the criteria:
    ``order``, correlation of the logarithms of bounds with losses; ``least_bound``,
    ``least_looseness``;
    ``share``, the largest of (loss + Hoeffding's margin at 1e-4)/bound, and ``share_fast``, the
    same with bound/sqrt(N) for the bound; ``worst_loss``; ``exaggerated``, the logarithm of the
    looseness for Random over that for SNIP; ``loss_gap``, Random's loss minus SNIP's.
    """
    split = split_of(seed, data, samples, tested, masked)
    found: Metrics = {}
    clean, tossed, aligned, bounds, losses = ([] for _ in range(5))
    for name in CRITERIA:
        kernels = pruned_kernels(
            name, density, split.train.x, split.mask, split.test.x, kind=kind, n=n,
            seed=derive(seed, "network"), antisymmetric=True, order=ORDER,
        )  # fmt: skip
        curve = noise_curve(
            kernels.train, split.train.y, (0.0, *SHARES), draws, derive(seed, "tosses")
        )
        at_zero, at_one = curve.clean.value, curve.clean.trace_inverse
        found[f"complexity_{name}"] = math.log(at_zero)
        found[f"random_{name}"] = math.log(at_one)
        found[f"scale_{name}"] = math.log(curve.clean.trace)
        found[f"excess_{name}"] = curve.clean.excess
        found[f"way_{name}"] = [float((v - at_zero) / (at_one - at_zero)) for v in curve.mean[1:]]
        found[f"step_{name}"] = float(np.diff(curve.mean).min() / at_one)
        aligned.append(alignment(kernels.train, split.train.y))
        found[f"alignment_{name}"] = aligned[-1]
        found[f"gain_{name}"] = aligned[-1] - aligned[0]
        truth = bound_against_truth(kernels.train, split.train.y, kernels.cross, split.test.y)
        found |= _truth(name, truth)
        clean.append(at_zero)
        tossed.append(at_one)
        bounds.append(truth.bound.total)
        losses.append(truth.loss.value)
    found["apart"] = math.log(max(clean) / min(clean))
    for (i, one), (j, other) in combinations(enumerate(CRITERIA), 2):
        found[f"at_clean_{one}_{other}"] = math.log(clean[i] / clean[j])
        found[f"at_random_{one}_{other}"] = math.log(tossed[i] / tossed[j])
    margin = math.sqrt(math.log(1e4) / (2.0 * tested))
    share = max((loss + margin) / bound for loss, bound in zip(losses, bounds, strict=True))
    looseness = [bound / loss for loss, bound in zip(losses, bounds, strict=True)]
    return found | {
        "order": float(np.corrcoef(np.log(bounds), losses)[0, 1]),
        "least_bound": min(bounds),
        "least_looseness": min(looseness),
        "share": share,
        "share_fast": share * math.sqrt(samples),
        "worst_loss": max(losses),
        "exaggerated": math.log(looseness[0] / looseness[CRITERIA.index("snip")]),
        "loss_gap": losses[0] - losses[CRITERIA.index("snip")],
    }


def _truth(name: str, found: BoundAgainstTruth) -> Metrics:
    return {
        f"bound_{name}": found.bound.total,
        f"leading_{name}": found.bound.leading,
        f"loss_{name}": found.loss.value,
        f"error_{name}": found.error.value,
        f"looseness_{name}": found.looseness,
    }


@trial
def labels_seen(
    seed: int, density: float, criterion: str, n: int = 512, data: str = "digits",
    samples: int = 200,
) -> Metrics:  # fmt: skip
    """A mask made from the very labels that the kernel is judged by, against one that was not.

    Both masks see ``samples`` images. ``alignment``: the alignment of the kernel whose mask saw
    the labels, minus the other's. ``complexity``: logarithm of the ratio of their complexities.
    ``random``: the same for random labels, which the seeing mask saw too. ``excess``: complexity
    of clean labels over that of random ones, each under the mask that saw them.
    """
    split = split_of(seed, data, samples, 1, samples)
    x, y = split.train.x, split.train.y.numpy()
    toss = noisy_labels(y, 1.0, 1, derive(seed, "tosses"))[0]

    def kernel(seen: tuple[Any, Any]) -> Tensor:
        return pruned_kernels(
            criterion, density, x, seen, kind="network", n=n, seed=derive(seed, "network"),
            antisymmetric=True,
        ).train  # fmt: skip

    apart, saw, saw_toss = kernel(split.mask), kernel((x, y)), kernel((x, toss))
    clean, random = complexity(saw, y).value, complexity(saw_toss, toss).value
    return {
        "alignment": alignment(saw, y) - alignment(apart, y),
        "complexity": math.log(clean / complexity(apart, y).value),
        "random": math.log(random / complexity(apart, toss).value),
        "excess": clean / random,
    }


# ------------------------------------------------------------- networks against their own limits


@trial
def limit_reached(
    seed: int, n: int, criterion: str, density: float, data: str = "digits", samples: int = 100,
    masked: int = 600,
) -> Metrics:  # fmt: skip
    """A network's kernel against its two limits, ``saliency`` and ``graphon``.

    Under these names the ratio of complexities; ``align_saliency`` and ``align_graphon``: the
    network's alignment minus the limit's.
    """
    split = split_of(seed, data, samples, 1, masked)
    values, aligned = {}, {}
    for kind in ("network", "saliency", "graphon"):
        kernel = pruned_kernels(
            criterion, density, split.train.x, split.mask, kind=kind, n=n,
            seed=derive(seed, "network"), antisymmetric=True, order=ORDER,
        ).train  # fmt: skip
        values[kind] = complexity(kernel, split.train.y).value
        aligned[kind] = alignment(kernel, split.train.y)
    limits = ("saliency", "graphon")
    found: Metrics = {kind: values["network"] / values[kind] for kind in limits}
    return found | {f"align_{kind}": aligned["network"] - aligned[kind] for kind in limits}


@trial
def trained_network(
    seed: int, n: int, criterion: str, density: float, data: str = "digits", samples: int = 80,
    tested: int = 150, masked: int = 400,
) -> Metrics:  # fmt: skip
    """Gradient descent of a pruned network, step by step as a limit kernel predicts it.

    Step size ``1/(2 lambda_1)`` of the saliency-mask limit. ``early_saliency``, ``late_graphon``
    and so on: root mean square difference on the test inputs, after ``STEPS``, from descent with
    that limit's kernel, over the root mean square of the saliency limit's. ``moved``: relative
    change of the network's kernel. ``off``: mean test loss ``min(1, |f - y|)`` of the trained
    network minus that of the limit after as many steps; ``off_end``, minus that of the limit's
    interpolant; ``loss`` and ``error`` are the network's own test loss and share of wrong signs.
    """
    split = split_of(seed, data, samples, tested, masked)
    x, y, x_test, y_test = split.train.x, split.train.y, split.test.x, split.test.y
    net = pruned_network(
        criterion, density, n, *split.mask, antisymmetric=True, seed=derive(seed, "network")
    )
    limits = {
        kind: pruned_kernels(
            criterion, density, x, split.mask, x_test, kind=kind, antisymmetric=True, order=ORDER
        )
        for kind in ("saliency", "graphon")
    }
    rate = 0.5 / float(torch.linalg.eigvalsh(limits["saliency"].train)[-1])
    predicted = {kind: _descent(limit, y, rate) for kind, limit in limits.items()}
    found: Metrics = {}
    start, outputs = 0, []
    trained = as_mlp(net)
    for stop in STEPS:
        trained = train(trained, x, y, stop - start, rate, record=stop - start).network
        outputs.append(trained.forward(x_test)[:, 0])
        start = stop
    for when, (name, output) in enumerate(zip(("early", "late"), outputs, strict=True)):
        size = _size(predicted["saliency"][when])
        for kind, flow in predicted.items():
            found[f"{name}_{kind}"] = _size(output - flow[when]) / size
    before, after = finite_kernel(net, x), empirical_ntk(trained, x)
    limit = limits["saliency"]
    end = kernel_regression(limit.train, y).predict(limit.cross)
    loss = _loss(outputs[-1], y_test)
    return found | {
        "moved": float((after - before).norm() / before.norm()),
        "off": loss - _loss(predicted["saliency"][-1], y_test),
        "off_end": loss - _loss(end, y_test),
        "loss": loss,
        "error": float((outputs[-1] * y_test <= 0.0).double().mean()),
    }


def _descent(limit: Kernels, y: Tensor, rate: float) -> Tensor:
    """Outputs on the test inputs after ``STEPS``, shape (2, N_test)."""
    flow = gradient_flow(
        limit.train, y, STEPS, rate=rate, cross=limit.cross, dynamics="descent"
    ).test
    assert flow is not None
    return flow


def _loss(output: Tensor, y: Tensor) -> float:
    return float((output - y).abs().clamp(max=1.0).mean())


def _size(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


# ------------------------------------------------------------------------------- path densities


@trial
def teacher_paths(seed: int, d: int, density: float, floor: float = FLOOR) -> Metrics:
    """Path densities on a Gaussian linear teacher ``y = X beta`` with ``|beta|^2`` near 1.

    How far the bound ``d sum beta^2/(D + floor)`` is above its least value for the same sum of
    path densities: ``flat``, and for SNIP ``snip_quiet`` (output 0 at the start, so
    ``r = |beta|``) and ``snip_noisy`` (``r = |b - beta|`` with the linear part b of a random
    network's own output, erf). ``flat_bare``: the first without a floor; ``edges``: the flat bound
    over the least at the same number of edges.
    """
    rng = generator(seed, "teacher")
    beta = rng.standard_normal(d) / math.sqrt(d)
    slope = float(dual("erf").mean_dot(1))  # of a standard normal pre-activation
    own = slope * rng.standard_normal(d) / math.sqrt(d)
    flat = np.full(d, density)
    quiet, noisy = (
        linear_path_density("snip", density, rows, order=ORDER)
        for rows in (np.abs(beta), np.abs(own - beta))
    )
    return {
        "flat": suboptimality(beta, flat, floor),
        "flat_bare": suboptimality(beta, flat),
        "snip_quiet": suboptimality(beta, quiet, floor),
        "snip_noisy": suboptimality(beta, noisy, floor),
        "edges": linear_bound(beta, flat) / edge_optimum(beta, density).bound,
    }


@trial
def flat_teacher(seed: int, d: int) -> Metrics:
    """``far``: how far flat path densities are from the best ones, for a Gaussian teacher."""
    beta = generator(seed, "teacher").standard_normal(d)
    return {"far": suboptimality(beta, np.ones(d))}


@trial
def data_paths(
    seed: int, density: float, data: str = "digits", samples: int = 300, masked: int = 600
) -> Metrics:
    """Path densities on images: how far each criterion's is from the best of the same sum.

    By :func:`numerics.linear_targets.data_suboptimality`, whose ridge is the mean diagonal of the
    dense kernel without its linear part, in units of the squared mean slope. ``far_c`` for each
    criterion; ``value_c``: the logarithm of its complexity under the linear part and the ridge.
    """
    split = split_of(seed, data, samples, 1, masked)
    x, y = split.train.x.numpy(), split.train.y.numpy()
    d = x.shape[1]
    dense = float(limit_kernel("random", 1.0, d)(split.train.x, get="ntk").diagonal().mean())
    slope = float(linear_path_density("random", 1.0, x=split.train.x, slopes="mean")[0])
    ridge = (dense - slope) / slope
    found: Metrics = {"ridge": ridge}
    for name in CRITERIA:
        rows = row_factors(name, split.mask.x, split.mask.y)
        path = linear_path_density(name, density, rows, d=d, order=ORDER)
        found[f"far_{name}"] = data_suboptimality(x, y, path, ridge)
        found[f"value_{name}"] = math.log(linear_complexity(x, y, path, ridge))
    return found


@trial
def bound_by_paths(
    seed: int, criterion: str, density: float, d: int = 30, samples: int = 120
) -> Metrics:
    """Complexity of a linear teacher's labels over ``d sum beta^2/D``, Gaussian inputs.

    ``certified``: with the slopes that are proved for the sample; ``no_dimension``: without the
    factor d.
    """
    rng = generator(seed, "teacher")
    x, beta = rng.standard_normal((samples, d)), rng.standard_normal(d) / math.sqrt(d)
    y = x @ beta
    rows = None if criterion in ("random", "magnitude") else np.abs(beta) + 0.1 / math.sqrt(d)
    kernel = limit_kernel(criterion, density, d, rows, order=ORDER)
    value = complexity(kernel(torch.from_numpy(x), get="ntk"), y).value
    path = linear_path_density(
        criterion, density, rows, torch.from_numpy(x), slopes="certified", order=ORDER
    )
    share = value / linear_bound(beta, path)
    return {"certified": share, "no_dimension": share * d}
