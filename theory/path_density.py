"""Path density of an input: how much of it reaches the output through a pruned network.

    D(u) = int .. int V_{L+1}(v_L) V_L(v_{L-1}, v_L) .. V_2(v_1, v_2) P_1(u, v_1) dv_1 .. dv_L

with the mask graphon P in the first layer and variance graphons V above it ([B] Section 6,
reconstructed). Weighted by the squared mean slopes ``m_l(v)^2 = (E s'(z_l))^2`` of the hidden
layers, it is the diagonal D in ``K >= d^{-1} X diag(D) X^T``, which is proved in
``generalisation.mean_slope`` for one hidden layer and in ``generalisation.deep_step`` for the
step from layer to layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.graphon import Graphon
from theory.limit import LimitGraphon
from theory.symbols import u, v

__all__ = ["path_density", "path_density_grid"]

Array = NDArray[np.float64]


def _entry(value: Any, first: bool, name: str) -> sp.Expr:
    """A layer as an expression in ``u`` and ``v``."""
    if isinstance(value, LimitGraphon):
        return value.mask if first else value.variance
    if isinstance(value, Graphon):
        expr = value.expr
        if expr is None:
            raise ValueError(f"{name} must have an expression; use path_density_grid for values")
        return expr
    try:
        expr = sp.sympify(value)
    except (sp.SympifyError, TypeError) as error:
        raise TypeError(f"{name} must be an expression in u and v or a graphon") from error
    if not isinstance(expr, sp.Expr):
        raise TypeError(f"{name} must be an expression in u and v or a graphon, got {value!r}")
    return expr


def path_density(layers: Sequence[Any], slopes: Sequence[Any] | None = None) -> sp.Expr:
    """Path density as an expression in the source position ``u``.

    ``layers`` runs from the input to the output: the mask graphon of layer 1, then the variance
    graphons of layers 2 .. L+1, each a number, an expression in ``u`` (source) and ``v`` (target),
    a graphon with an expression, or a limit graphon (its mask in layer 1, its variance above).
    The output layer's target is averaged over. ``slopes`` are the mean slopes of the hidden
    layers, expressions in ``v``; None leaves them out. Integrals stay unevaluated; ``doit()``
    does them where SymPy can. Source: [B] Section 6, reconstructed.

    >>> path_density([u * v, 2 * u]).doit()
    2*u/3

    Raises ValueError for an empty list, a graphon without an expression, and slopes that are not
    one for each hidden layer; TypeError for something that is no layer.
    """
    entries = [_entry(value, k == 0, f"layers[{k}]") for k, value in enumerate(layers)]
    if not entries:
        raise ValueError("layers must hold at least one layer")
    weights = [sp.S.One] * (len(entries) - 1) if slopes is None else [*map(sp.sympify, slopes)]
    if len(weights) != len(entries) - 1:
        raise ValueError(f"slopes must be {len(entries) - 1}, one for each hidden layer")
    onward: sp.Expr = sp.S.One
    for k in range(len(entries) - 1, -1, -1):
        at = sp.Symbol(f"v_{k + 1}", nonnegative=True)
        above = onward.subs(u, at)
        if k < len(weights):
            above = weights[k].subs(v, at) ** 2 * above
        body = entries[k].subs(v, at) * above
        onward = sp.Integral(body, (at, 0, 1)) if body.has(at) else body
    return onward


def path_density_grid(layers: Sequence[Any], slopes: Sequence[Any] | None = None) -> Array:
    """Path density per input coordinate from matrices, float64 of shape (d,).

    ``layers[l]`` has shape (targets, sources): node values on equal cells, the first with one
    column per input; the output's targets are averaged. ``slopes[l]`` (targets of layer l+1,) are
    mean slopes. Exact for step functions. Raises ValueError for shapes that do not fit, negative
    or non-finite entries.
    """
    if not layers:
        raise ValueError("layers must hold at least one layer")
    arrays = [_nonnegative(value, f"layers[{k}]", 2) for k, value in enumerate(layers)]
    hidden = [None] * (len(arrays) - 1) if slopes is None else list(slopes)
    if len(hidden) != len(arrays) - 1:
        raise ValueError(f"slopes must be {len(arrays) - 1}, one for each hidden layer")
    onward = np.ones(len(arrays[-1]))
    for k in range(len(arrays) - 1, -1, -1):
        if k < len(hidden) and hidden[k] is not None:
            m = _nonnegative(hidden[k], f"slopes[{k}]", 1)
            if m.shape != onward.shape:
                raise ValueError(f"slopes[{k}] must have shape {onward.shape}, got {m.shape}")
            onward = onward * m**2
        if len(arrays[k]) != len(onward):
            raise ValueError(
                f"layers[{k}] must have {len(onward)} targets, the sources of the next layer; "
                f"got {len(arrays[k])}"
            )
        onward = onward @ arrays[k] / len(onward)
    return np.asarray(onward)


def _nonnegative(value: Any, name: str, axes: int) -> Array:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers: {error}") from error
    if array.ndim != axes or array.size == 0:
        raise ValueError(f"{name} must be a non-empty array of {axes} axes, got {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"{name} must be finite and non-negative")
    return array
