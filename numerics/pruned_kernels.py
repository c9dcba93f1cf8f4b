"""Tangent kernels of one-hidden-layer networks pruned by a criterion, on given data, three ways.

* ``"network"``: a real network, scored and pruned; its own tangent kernel, survivors train.
* ``"saliency"`` and ``"graphon"``: its limit, and what the mask graphon alone determines; see
  :mod:`numerics.pruned_limits`.

Masks are made from ``mask_data`` (inputs, labels), which may be the sample that the kernel is
evaluated on, as a practitioner would do, or another one: only then is the kernel independent of
the sample's labels, as the generalisation bound wants. Only the input layer is pruned.

>>> split = image_split("digits", train=100, test=50, mask=400)
>>> found = pruned_kernels("snip", 0.2, split.train.x, split.mask, split.test.x)
>>> found.train.shape, found.cross.shape
(torch.Size([100, 100]), torch.Size([50, 100]))
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from numerics.data import Dataset, digits, mnist5k
from numerics.empirical_ntk import empirical_ntk
from numerics.masks import keep_largest
from numerics.mlp import MLP
from numerics.network import OneHiddenLayer
from numerics.pruned_limits import (
    CRITERIA,
    check_criterion,
    check_data,
    limit_kernel,
    row_factors,
)
from numerics.scores import score
from numerics.seeds import derive, generator

__all__ = [
    "CRITERIA",
    "KINDS",
    "Kernels",
    "Split",
    "as_mlp",
    "finite_kernel",
    "image_split",
    "pruned_kernels",
    "pruned_network",
]

KINDS = ("saliency", "graphon", "network")


# ----------------------------------------------------------------------------------- data


class Split(NamedTuple):
    """Disjoint parts of a data set: for the kernel, for testing, and for the mask alone."""

    train: Dataset
    test: Dataset
    mask: Dataset


def image_split(
    data: str | Dataset,
    train: int,
    test: int,
    mask: int = 0,
    seed: int = 0,
    *,
    scaling: str = "sphere",
) -> Split:
    """A binary image task in three parts, drawn without replacement.

    ``data`` is ``"digits"`` or ``"mnist5k"`` (even against odd digits), or a data set with labels
    +1 and -1, for instance two classes of :func:`numerics.image_files.cifar10`. Pixels that are
    constant on the training part are dropped, and its mean image is subtracted. ``scaling`` is
    ``"sphere"``, each image to norm sqrt(d), or ``"standard"``, each pixel to variance one on the
    training part (rare pixels then have huge values). Raises ValueError for an unknown name or
    scaling, sizes that are negative or too large together, and inputs that are not finite.
    """
    if isinstance(data, str):
        sets = {"digits": digits, "mnist5k": mnist5k}
        if data not in sets:
            raise ValueError(f"data must be one of {sorted(sets)} or a Dataset, got {data!r}")
        data = sets[data](labels="parity")
    x, y = data.x.double().numpy(), data.y.double().numpy()
    if not np.isfinite(x).all():
        raise ValueError("data must have finite inputs; they hold NaN or infinity")
    if min(train, test) < 1 or mask < 0 or train + test + mask > len(x):
        raise ValueError(f"train, test and mask must be sizes with sum at most {len(x)}")
    if scaling not in ("sphere", "standard"):
        raise ValueError(f"scaling must be 'sphere' or 'standard', got {scaling!r}")
    order = generator(seed, "split").permutation(len(x))
    parts = np.split(order, np.cumsum([train, test, mask]))[:3]
    spread = x[parts[0]].std(axis=0)
    x = x[:, spread > 0.0] - x[parts[0]][:, spread > 0.0].mean(axis=0)
    if scaling == "standard":
        x = x / spread[spread > 0.0]
    else:
        norm = np.linalg.norm(x, axis=1, keepdims=True)
        x = x * np.divide(math.sqrt(x.shape[1]), norm, out=np.zeros_like(norm), where=norm > 0.0)
    return Split(*(Dataset(torch.from_numpy(x[p]), torch.from_numpy(y[p])) for p in parts))


# ------------------------------------------------------------------------------ real networks


def pruned_network(
    criterion: str,
    density: float,
    n: int,
    x: Any,
    y: Any,
    *,
    activation: Any = "erf",
    antisymmetric: bool = False,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> OneHiddenLayer:
    """A network of n neurons in NTK parametrisation, its input layer pruned by the criterion.

    Scores use squared loss on ``(x, y)``, |GraSP| the input weights only. ``antisymmetric`` makes
    f = 0 before and after pruning (both copies of an edge score the same; ties are drawn).
    Raises ValueError for an unknown criterion, wrong shapes, a density outside (0, 1].
    """
    check_criterion(criterion)
    inputs, labels = check_data(x, y)
    net = OneHiddenLayer(
        inputs.shape[1], n, activation, antisymmetric=antisymmetric, seed=seed, dtype=dtype
    )
    values = score(net, inputs.to(dtype), labels.to(dtype), criterion, seed=derive(seed, "scores"))
    if not antisymmetric:
        return net.pruned(keep_largest(values, density, derive(seed, "mask")))
    # Masks of the two halves are made alike, else their outputs no longer cancel.
    half = keep_largest(values[: n // 2], density, derive(seed, "mask"))
    return net.pruned(half.repeat(2, 1))


def as_mlp(network: OneHiddenLayer) -> MLP:
    """The same network for :mod:`numerics.training` and the tangent kernel.

    Raises ValueError for a network that is not in NTK parametrisation.
    """
    if network.parametrisation != "ntk":
        raise ValueError("network must be in NTK parametrisation")
    net = MLP(
        (network.d, network.n, network.outputs), network.activation, seed=0, dtype=network.dtype
    )
    return net.replaced([network.W, network.a]).pruned([network.mask, None])


def finite_kernel(network: OneHiddenLayer, x1: Any, x2: Any = None) -> Tensor:
    """Tangent kernel of a pruned network, survivors of the input layer and all outputs training.

    ``x1`` (N1, d), ``x2`` (N2, d) or None; float64 (N1, N2). Raises like
    :func:`numerics.empirical_ntk.empirical_ntk`.
    """
    first, second = (None if x is None else torch.as_tensor(x) for x in (x1, x2))
    assert first is not None
    return empirical_ntk(as_mlp(network), first, second)


class Kernels(NamedTuple):
    """``train`` (N, N), ``cross`` (N_test, N) or None, and the network, for kind ``"network"``."""

    train: Tensor
    cross: Tensor | None
    network: OneHiddenLayer | None


def pruned_kernels(
    criterion: str,
    density: float,
    x: Any,
    mask_data: tuple[Any, Any],
    x_test: Any = None,
    *,
    kind: str = "saliency",
    n: int = 2048,
    seed: int = 0,
    activation: Any = "erf",
    antisymmetric: bool = False,
    order: int = 6,
) -> Kernels:
    """Kernel blocks of a criterion at a density, of any kind, in one call.

    ``x`` (N, d) and ``x_test`` (N_test, d) are where the kernel is evaluated, ``mask_data`` the
    inputs and labels that the mask sees. ``n`` and ``seed`` are the network's, which the limits
    use too where its output enters the row factors (``antisymmetric=False``), so that the kinds
    can be compared draw by draw. Raises ValueError as the functions that it calls.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    seen, labels = check_data(*mask_data)
    if kind == "network":
        net = pruned_network(
            criterion, density, n, seen, labels, activation=activation,
            antisymmetric=antisymmetric, seed=seed,
        )  # fmt: skip
        cross = None if x_test is None else finite_kernel(net, x_test, x)
        return Kernels(finite_kernel(net, x), cross, net)
    dense = None
    if not antisymmetric and criterion in ("snip", "grasp"):
        dense = OneHiddenLayer(seen.shape[1], n, activation, seed=seed)
    rows = row_factors(criterion, seen, labels, dense, activation=activation)
    kernel = limit_kernel(
        criterion, density, seen.shape[1], rows, kind=kind, activation=activation, order=order
    )
    cross = None if x_test is None else kernel(x_test, x, get="ntk")
    return Kernels(kernel(x, get="ntk"), cross, None)
