"""The three networks that a graphon may stand for, as kernels ([A] section 5).

They differ in what the graphon says about the weights, and have different kernels:

* :func:`variance_profile`: it is the variance of the weights, all of which train;
* :func:`independent_mask`: masks are drawn from it independently of the weights, survivors train;
* :func:`saliency_mask`: it is the limit of a criterion that looked at the weights, so survivors
  have second moment V and share P of :class:`theory.limit.LimitGraphon`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from numerics.kernel import GraphonKernel, KernelLayer
from numerics.kernel_graphons import Surface, profile_cells
from numerics.matrix_input import FloatArray, as_real_array
from theory.limit import LimitGraphon

__all__ = ["coordinates", "independent_mask", "saliency_mask", "sorted_output", "variance_profile"]


def variance_profile(activation: Any, graphons: Sequence[Any], **options: Any) -> GraphonKernel:
    """Weights of variance ``W_l(u, v)``, all of which train: ``V = W``, ``T = 1``.

    ``graphons`` from the input to the output layer, as :class:`KernelLayer` takes them; the
    kernel of [A] eq. (4) with the output layer's own term, which the printed sum leaves out.
    Other arguments are those of :class:`GraphonKernel`.
    """
    return GraphonKernel(activation, [KernelLayer(each, 1.0) for each in graphons], **options)


def independent_mask(activation: Any, graphons: Sequence[Any], **options: Any) -> GraphonKernel:
    """Masks drawn from ``W_l`` independently of the weights, survivors train: ``V = T = W``."""
    return GraphonKernel(activation, list(graphons), **options)


def coordinates(
    limit: LimitGraphon, row_factors: ArrayLike | None = None, **options: Any
) -> KernelLayer:
    """A first layer pruned to ``limit``, survivors train, with the given factor for each input.

    ``row_factors`` has shape (coordinates,): ``r_j`` of input coordinate j, in the order of the
    coordinates (a profile of the same numbers would be sorted); None takes the limit's own row
    profile at ``(j + 1/2) / d``. ``options`` are gain and bias of :class:`KernelLayer`. Raises
    ValueError for factors that are negative, not finite or all zero.
    """
    if row_factors is None:
        return KernelLayer(limit, limit, **options)
    r = np.asarray(as_real_array(row_factors, "row_factors"), dtype=np.float64)
    if r.ndim != 1 or r.size == 0 or not np.isfinite(r).all() or (r < 0).any() or not r.any():
        raise ValueError(
            "row_factors must be a vector of finite non-negative numbers, not all zero"
        )
    column = limit.model.column

    def face(which: Literal["mask", "variance"]) -> Surface:
        def values(uu: FloatArray, vv: FloatArray) -> FloatArray:
            if np.shape(uu)[-1] != r.size:
                raise ValueError(
                    f"x1 must have {r.size} coordinates as row_factors, got {np.shape(uu)[-1]}"
                )
            return limit.at_factors(r[None, :], column(np.asarray(vv, np.float64)), which)

        return Surface(values, r.size, profile_cells(column))

    return KernelLayer(face("variance"), face("mask"), **options)


def sorted_output(limit: LimitGraphon, **options: Any) -> KernelLayer:
    """A dense output layer whose hidden neurons are sorted by the size of their output weight.

    That is what the positions of a limit with column law ``c = |a|`` mean, so the output weight
    has second moment ``c(v)^2 / E c^2`` at position v. ``options``: gain and bias.
    """
    column = limit.model.column
    values, weights = column.nodes()
    square = float((weights * values**2).sum())

    def second_moment(uu: FloatArray, vv: FloatArray) -> FloatArray:
        moment = column(np.asarray(uu, np.float64)) ** 2 / square
        return np.broadcast_to(moment, np.broadcast_shapes(np.shape(uu), np.shape(vv)))

    return KernelLayer(Surface(second_moment, profile_cells(column), 1), 1.0, **options)


def saliency_mask(
    activation: Any,
    limits: Sequence[Any],
    *,
    row_factors: ArrayLike | None = None,
    output: Any = "sorted",
    **options: Any,
) -> GraphonKernel:
    """Masks that looked at the weights, survivors train: V and P of each limit graphon.

    ``limits`` holds one :class:`theory.limit.LimitGraphon` (or anything that
    :class:`GraphonKernel` takes as a layer) for the first layer and each hidden one; ``output`` is
    the output layer: "sorted" for :func:`sorted_output` of the last limit, "dense" for weights
    that do not depend on the position, or a layer. ``row_factors``: see :func:`coordinates`.

    For one hidden layer this is the limit. Deeper, it takes the weights' masks to be independent
    from layer to layer, which masks of a deep network are not.

    Raises ValueError for limits that leave weights a mean (signed rules): then signals grow with
    the width and there is no kernel.
    """
    if not limits:
        raise ValueError("limits must hold at least one limit graphon")
    for each in (*limits, output):
        if isinstance(each, LimitGraphon) and not each.model.rule.even:
            raise ValueError(
                f"limits must have mean graphon zero, which the rule {each.model.rule.name!r} "
                "does not: there is no kernel"
            )

    def layer(each: Any) -> Any:
        return KernelLayer(each, each) if isinstance(each, LimitGraphon) else each

    layers = [layer(each) for each in limits]
    if row_factors is not None:
        if not isinstance(limits[0], LimitGraphon):
            raise TypeError("limits[0] must be a LimitGraphon where row_factors is given")
        layers[0] = coordinates(limits[0], row_factors)
    if isinstance(output, str):
        if output not in ("sorted", "dense"):
            raise ValueError(f"output must be 'sorted', 'dense' or a layer, got {output!r}")
        if output == "sorted" and not isinstance(limits[-1], LimitGraphon):
            raise TypeError("limits[-1] must be a LimitGraphon where output is 'sorted'")
        output = sorted_output(limits[-1]) if output == "sorted" else 1.0
    return GraphonKernel(activation, [*layers, layer(output)], **options)
