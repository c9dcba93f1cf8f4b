"""Limit kernels of pruned one-hidden-layer networks, at the row factors of real data.

Layer 1 has the variance graphon V and the mask graphon P of the criterion, at row factors r_i in
data order and column factors ``c = |a|`` with the half-normal law; nodes of c replace positions.
``"saliency"`` is the limit of the pruned network: survivors train (T = P) and the output weight of
a neuron with factor c has second moment ``c^2``, because the mask saw it. ``"graphon"`` redraws
masks from P on independent weights, V = T = P and an independent dense output: all that the mask
graphon determines. Only the input layer is pruned.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.evaluate import numpy_function, torch_function
from numerics.kernel import GraphonKernel
from numerics.kernel_stack import Stack, StackLayer
from numerics.network import OneHiddenLayer
from theory.criteria import FACTORS, criterion
from theory.dual import q, q11, q12, q22
from theory.duals import dual
from theory.limit import LimitGraphon
from theory.profiles import EmpiricalProfile

__all__ = [
    "CRITERIA",
    "check_criterion",
    "check_data",
    "limit_kernel",
    "limit_stack",
    "linear_path_density",
    "row_factors",
]

Array = NDArray[np.float64]
CRITERIA = ("random", "magnitude", "snip", "grasp", "synflow")
"""Criteria whose scores are even in the weight, so that the kernel has a limit."""
_BOTH: Final[tuple[Literal["variance"], Literal["mask"]]] = ("variance", "mask")
_ORDER = 6
_GROWTH = 2.5
_MOST = 4096  # samples in the double average of GraSP's row factors
_SMALLEST = 1e-4  # panels below it hold too few neurons to count
_LARGEST = 7.0  # beyond it a standard normal has a share of 3e-12


# --------------------------------------------------------------------------------- factors


def check_criterion(name: str) -> str:
    """The name; ValueError if its kernel has no limit or it is unknown."""
    if name not in CRITERIA:
        raise ValueError(
            f"criterion must be one of {CRITERIA}, whose kernels have a limit; got {name!r}"
        )
    return name


def check_data(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Inputs (N, d) and labels (N,) as float64; ValueError for other shapes, NaN and infinity."""
    inputs, labels = (torch.as_tensor(part).double() for part in (x, y))
    if inputs.ndim != 2 or labels.shape != inputs.shape[:1] or not len(inputs):
        raise ValueError(
            f"x and y must have shapes (N, d) and (N,), got {tuple(inputs.shape)} "
            f"and {tuple(labels.shape)}"
        )
    if not bool(torch.isfinite(inputs).all() & torch.isfinite(labels).all()):
        raise ValueError("x and y must be finite; they hold NaN or infinity")
    return inputs, labels


def row_factors(
    criterion: str,
    x: Any,
    y: Any,
    network: OneHiddenLayer | None = None,
    *,
    activation: Any = "erf",
) -> Array | None:
    """Row factors ``r_i`` of a criterion on a data set, shape (d,), in data order, up to a scale.

    SNIP: ``|E[e x_i]|`` with the residual ``e = f - y`` of squared loss. |GraSP| (input weights):
    ``|E[(Theta e)(x) x_i]|`` with the input layer's share Theta of the dense limit kernel, the
    Gauss-Newton part to which its limit reduces; at most the first 4096 samples enter that.
    ``network`` gives f, the initialisation's own output, which is as large as the labels; None is
    f = 0 (an antisymmetric initialisation). None is returned for Random and Magnitude, which have
    no factors, ones for SynFlow. Valid for odd activations and many samples. Raises ValueError for
    an unknown criterion, wrong shapes and numbers that are not finite.
    """
    check_criterion(criterion)
    inputs, labels = check_data(x, y)
    if not FACTORS[criterion]:
        return None
    if criterion == "synflow":
        return np.ones(inputs.shape[1])
    e = -labels
    if network is not None:
        e = e + network.forward(inputs)[:, 0].double()
    if criterion == "grasp":
        inputs, e = inputs[:_MOST], e[:_MOST]
        one = np.ones((1, 1))
        first = StackLayer(np.ones((1, inputs.shape[1])))
        dense = GraphonKernel(activation, Stack([first, StackLayer(one, 0.0 * one)]))
        e = dense(inputs, get="ntk") @ e / len(inputs)
    return np.asarray((inputs.T @ e / len(inputs)).abs().cpu().numpy())


# ---------------------------------------------------------------------------- limit kernels


def _half_normal(order: int, scale: float) -> tuple[Array, Array]:
    """Nodes c > 0 and weights of the half-normal law, for functions that are flat below ``scale``.

    P changes where ``c ~ tau / r``, at any scale, so panels grow geometrically.
    """
    x, w = np.polynomial.legendre.leggauss(order)
    low = min(0.4, scale)
    count = math.ceil(math.log(_LARGEST / low) / math.log(_GROWTH))
    edges = np.concatenate(([0.0], np.geomspace(low, _LARGEST, count + 1)))
    width = np.diff(edges)[:, None]
    c = (edges[:-1, None] + 0.5 * width * (x + 1.0)).ravel()
    weights = (0.5 * width * w).ravel() * np.exp(-0.5 * c**2)
    return c, weights / weights.sum()


class _Layer(NamedTuple):
    """Layer 1 at the nodes of the column factor: V, P (nodes, d), factors c and weights."""

    variance: Array
    mask: Array
    factors: Array
    weights: Array


def _first_layer(name: str, density: float, d: int, rows: Any, order: int) -> _Layer:
    check_criterion(name)
    if not FACTORS[name]:
        limit = criterion(name).limit(density)
        flat = [np.full((1, d), limit.total(which)) for which in _BOTH]
        return _Layer(flat[0], flat[1], np.ones(1), np.ones(1))
    if rows is None:
        if name != "synflow":
            raise ValueError(f"rows must be given for {name!r}: see row_factors")
        rows = np.ones(d)
    r = np.asarray(rows, dtype=np.float64)
    if r.shape != (d,):
        raise ValueError(f"rows must have shape ({d},), got {r.shape}")
    if isinstance(order, bool) or not isinstance(order, int) or order < 2:
        raise ValueError(f"order must be an integer of at least 2, got {order!r}")
    # The factories differ in what they are called for; the row profile is that of the data.
    model = criterion("snip", row_profile=EmpiricalProfile(r))
    alive = float((r > 0.0).mean())
    if density > alive:
        raise ValueError(
            f"density must be at most {alive:.4g}, the share of inputs with a positive row "
            f"factor, for the threshold to be positive; got {density}"
        )
    limit = LimitGraphon(model, density)
    c, weights = _half_normal(order, max(_SMALLEST, limit.tau / (4.0 * float(r.max()))))
    V, P = (limit.at_factors(r[None], c[:, None], which) for which in _BOTH)
    return _Layer(V, P, c, weights)


def limit_stack(
    criterion: str,
    density: float,
    d: int,
    rows: Any = None,
    *,
    kind: str = "saliency",
    order: int = _ORDER,
) -> Stack:
    """The layers of the limit kernel for d input coordinates, in data order.

    ``rows`` are row factors (d,), as :func:`row_factors` gives them; Random and Magnitude ignore
    them. ``order`` is the number of Gauss nodes on each
    panel of the half-normal column factor. Raises ValueError for an
    unknown criterion or kind, a density outside (0, 1] or above the share of inputs with a
    positive factor, and rows of another shape.
    """
    if kind not in ("saliency", "graphon"):
        raise ValueError(f"kind must be 'saliency' or 'graphon' for a limit, got {kind!r}")
    first = _first_layer(criterion, density, d, rows, order)
    ones = np.ones((1, len(first.factors)))
    if kind == "graphon":
        return Stack([StackLayer(first.mask), StackLayer(ones, weights=first.weights)])
    return Stack(
        [
            StackLayer(first.variance, first.mask),
            StackLayer(first.factors[None] ** 2, ones, first.weights),
        ]
    )


def limit_kernel(
    criterion: str,
    density: float,
    d: int,
    rows: Any = None,
    *,
    kind: str = "saliency",
    activation: Any = "erf",
    order: int = _ORDER,
    dtype: torch.dtype = torch.float64,
) -> GraphonKernel:
    """The limit kernel as a function of inputs: call it with ``(x1, x2, get="ntk")``.

    Parameters and errors as :func:`limit_stack`.
    """
    stack = limit_stack(criterion, density, d, rows, kind=kind, order=order)
    return GraphonKernel(activation, stack, dtype=dtype)


# ------------------------------------------------------------------------------ path density


def linear_path_density(
    criterion: str,
    density: float,
    rows: Any = None,
    x: Any = None,
    *,
    d: int | None = None,
    slopes: str = "equal",
    activation: Any = "erf",
    order: int = _ORDER,
) -> Array:
    """``D_i = int c(v)^2 k(v) P(i, v) dv`` of the saliency-mask limit, float64 of shape (d,).

    ``slopes`` says what k is: ``"equal"``, 1 ([B]'s path density to a dense output, all that
    matters for comparing inputs if slopes are equal); ``"mean"``, the squared mean slope at the
    mean variance over the inputs ``x``, a lower bound of the kernel only if all inputs have one
    V-weighted norm; ``"certified"``, ``1/(1^T Sdot_v^{-1} 1)`` on ``x``, the largest constant
    for which ``K >= d^{-1} X diag(D) X^T`` follows on this sample, whatever the norms (up to
    ``N eps lambda_max`` of the slopes' moments on the diagonal, for rounding). Derivations
    ``generalisation.mean_slope`` and ``generalisation.slope_certificate``. Raises ValueError as
    :func:`limit_stack`, and for missing or wrong ``x``.
    """
    if slopes not in ("equal", "mean", "certified"):
        raise ValueError(f"slopes must be 'equal', 'mean' or 'certified', got {slopes!r}")
    if slopes != "equal" and x is None:
        raise ValueError(f"x must be given for slopes={slopes!r}")
    inputs = None if x is None else check_data(x, np.zeros(len(x)))[0]
    size = d
    if size is None and rows is not None:
        size = int(np.size(rows))
    if size is None and inputs is not None:
        size = int(inputs.shape[1])
    if size is None:
        raise ValueError("d must be given where neither rows nor x tells it")
    first = _first_layer(criterion, density, size, rows, order)
    factor = np.ones(len(first.factors))
    if slopes != "equal":
        assert inputs is not None
        if inputs.shape[1] != size:
            raise ValueError(f"x must have {size} coordinates, got {inputs.shape[1]}")
        factor = _slopes(first.variance, inputs, dual(activation), slopes)
    weight = first.weights * first.factors**2 * factor
    return np.asarray(weight @ first.mask)


def _slopes(variance: Array, x: Tensor, family: Any, how: str) -> Array:
    """Squared mean slopes, or their certified replacement, per node, shape (nodes,)."""
    d = x.shape[1]
    if how == "mean":
        squares = (x.square().mean(dim=0) / d).numpy()
        return np.asarray(numpy_function(family.mean_dot(q), (q,))(variance @ squares)) ** 2
    pair = torch_function(family.kappa_dot(q11, q22, q12), (q11, q22, q12))
    single = torch_function(family.second_moment_dot(q), (q,))
    result = np.zeros(len(variance))
    ones = torch.ones(len(x), 1, dtype=torch.float64)
    for k, row in enumerate(variance):
        gram = (x * torch.from_numpy(row)) @ x.T / d
        own = gram.diagonal().clone()
        if float(own.max()) == 0.0:  # no signal: every slope is s'(0)
            result[k] = float(single(own[:1]))
            continue
        moments = pair(own[:, None].expand_as(gram), own[None].expand_as(gram), gram)
        moments.diagonal().copy_(single(own))
        values, vectors = torch.linalg.eigh(0.5 * (moments + moments.T))
        floor = len(x) * torch.finfo(torch.float64).eps * float(values[-1])
        parts = (vectors.T @ ones).square()[:, 0]
        safe = values.clamp(min=0.0) + floor
        result[k] = 1.0 / float((parts / safe).sum())
    return result
