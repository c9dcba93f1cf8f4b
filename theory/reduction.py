"""Reduction laws: when the graphon NTK is a multiple of the dense one, and which multiple.

All laws need an activation with ``s(a z) = a^k s(z)`` for a > 0, zero biases and a first layer
that treats input coordinates alike (or weights them, see :func:`product_factor`). The exception
is :func:`rescaled`, which holds for every activation. Layers are numbered 1 .. L+1, all of them
pruned unless said. Proofs for every L, by induction, are the derivations ``reduction.*``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.graphon import chain_density
from theory.limit import LimitGraphon
from theory.symbols import u, v

__all__ = [
    "chain_factor",
    "constant_factor",
    "contribution_factors",
    "density_factor",
    "exponent",
    "layer_factor",
    "limit_factor",
    "path_factor",
    "product_factor",
    "rescaled",
]

Trained = Literal["survivors", "all"]
Output = Literal["pruned", "dense"]
Array = NDArray[np.float64]


def _depth(L: Any) -> Any:
    L = sp.sympify(L)
    if L.is_integer is not True or L.is_negative:
        raise ValueError(f"L must be a non-negative integer or an integer symbol, got {L}")
    return L


def _degree(degree: Any) -> Any:
    degree = sp.sympify(degree)
    if degree.is_positive is not True:
        raise ValueError(f"degree must be positive, got {degree}")
    return degree


def _powers(k: Any, first: int, last: Any) -> sp.Expr:
    """``k^first + ... + k^last``."""
    if k == 1:
        return last - first + 1
    if last.is_Integer:
        return sp.Add(*[k**j for j in range(first, int(last) + 1)])
    j = sp.Symbol("j", integer=True)
    return sp.Sum(k**j, (j, first, last))


def exponent(
    L: Any, degree: Any = 1, trained: Trained = "survivors", output: Output = "pruned"
) -> sp.Expr:
    """The e in ``Theta = c^e Theta_std`` for density c in every pruned layer, L hidden layers.

    Survivors train: ``1 + k + ... + k^L``, with a dense output layer ``k + ... + k^L``. All
    entries train (variance profile): ``k + ... + k^L``. For k = 1 these are L + 1, L and L; the
    last is [A] equation (55).

    Raises
    ------
    ValueError
        For a depth or degree out of range, an unknown word, or ``trained="all"`` with
        ``output="dense"``: there the layers' contributions scale differently and no e exists.
    """
    L, k = _depth(L), _degree(degree)
    if trained not in ("survivors", "all"):
        raise ValueError(f"trained must be 'survivors' or 'all', got {trained!r}")
    if output not in ("pruned", "dense"):
        raise ValueError(f"output must be 'pruned' or 'dense', got {output!r}")
    if trained == "all" and output == "dense":
        raise ValueError("output must be 'pruned' if all entries train: else there is no one power")
    return _powers(k, 0 if (trained, output) == ("survivors", "pruned") else 1, L)


def density_factor(
    density: Any,
    L: Any,
    degree: Any = 1,
    trained: Trained = "survivors",
    output: Output = "pruned",
) -> sp.Expr:
    """``Theta / Theta_std`` for one density in every pruned layer; see :func:`exponent`."""
    return sp.sympify(density) ** exponent(L, degree, trained, output)


def constant_factor(variance: Any, mask: Any, L: Any, degree: Any = 1) -> sp.Expr:
    """``Theta / Theta_std = T V^(k + ... + k^L)`` for constants V, T in all L + 1 layers."""
    return sp.sympify(mask) * sp.sympify(variance) ** _powers(_degree(degree), 1, _depth(L))


def limit_factor(limit: LimitGraphon, L: Any, degree: Any = 1) -> sp.Expr:
    """:func:`constant_factor` of a homogeneous limit, such as Magnitude's ``rho v^L``.

    Raises ValueError for limits that are not provably homogeneous or keep a mean.
    """
    if limit.is_homogeneous is not True or limit.mean != 0:
        raise ValueError("limit must be homogeneous with mean graphon zero")
    return constant_factor(limit.variance, limit.mask, L, degree)


def layer_factor(densities: Sequence[Any], degree: Any = 1) -> sp.Expr:
    """``prod_l c_l^(k^(L+1-l))`` for densities c_1 .. c_{L+1}, survivors trained.

    With k = 1 the product of the densities, so ``c^m`` if m matrices are pruned to c and the
    others are dense.
    """
    k, total = _degree(degree), len(densities)
    if total == 0:
        raise ValueError("densities must hold at least one layer")
    return sp.Mul(*[sp.sympify(c) ** k ** (total - i) for i, c in enumerate(densities, 1)])


def contribution_factors(
    variances: Sequence[Any], masks: Sequence[Any], degree: Any = 1
) -> tuple[sp.Expr, ...]:
    """Factor of each layer's contribution to the NTK: ``(T_m / V_m) prod_l V_l^(k^(L+1-l))``.

    The NTK is a multiple of the dense one for all inputs only if these agree. Raises ValueError
    if the two lists differ in length.
    """
    if len(variances) != len(masks):
        raise ValueError(f"masks must have one entry per layer, {len(variances)}")
    common = layer_factor(variances, degree)
    pairs = zip(variances, masks, strict=True)
    return tuple(sp.sympify(T) / sp.sympify(V) * common for V, T in pairs)


def path_factor(graphons: Sequence[Any], degree: Any = 1) -> sp.Expr:
    """``Theta / Theta_std = p_{L+1}`` for graphons W_1 .. W_{L+1} in ``u``, ``v`` (V = T = W).

    ``p_1 = W_1``, ``p_{l+1}(v) = int W_{l+1}(u, v) p_l(u)^k du``: for k = 1 the homomorphism
    density of the path. Integrals are done where SymPy can. Raises ValueError if W_1 depends on
    the input coordinate ``u`` or the last one on its target ``v``.
    """
    entries = [sp.sympify(W) for W in graphons]
    k = _degree(degree)
    if not entries:
        raise ValueError("graphons must hold at least one layer")
    if entries[0].has(u) or entries[-1].has(v):
        raise ValueError("graphons must not depend on the input coordinate or on the output")
    state = entries[0]
    for entry in entries[1:]:
        state = sp.integrate(sp.expand(entry * state.subs(v, u) ** k), (u, 0, 1))
    return state


def chain_factor(grids: Sequence[Array], degree: Any = 1) -> float:
    """:func:`path_factor` of step graphons given as cell averages (targets, sources), float64.

    Exact for step graphons; the first may have one column, the last has one row. Raises
    ValueError for grids that do not fit.
    """
    k = float(_degree(degree))
    if k == 1.0:
        return chain_density(grids)
    if len(grids) == 0:
        raise ValueError("grids must hold at least one layer")
    state: Array | None = None
    for number, grid in enumerate(grids):
        fits = grid.ndim == 2 and grid.size and (state is None or grid.shape[1] == state.size)
        if not fits:
            raise ValueError(f"grids[{number}] does not fit, its shape is {grid.shape}")
        state = grid.mean(axis=1) if state is None else grid @ state**k / grid.shape[1]
    assert state is not None
    return float(state.mean())


def product_factor(targets: Sequence[Any], sources: Sequence[Any], degree: Any = 1) -> sp.Expr:
    """``Theta / Theta_std`` for product graphons ``W_l(u, v) = f_l(v) g_l(u)``.

    ``targets`` lists f_1 .. f_{L+1} in ``v``, ``sources`` g_2 .. g_{L+1} in ``u``; the
    factor is ``f_{L+1} prod_l (int f_l^k g_{l+1})^(k^(L-l))``. ``Theta_std`` is to be taken in
    the input metric weighted by g_1: ``<x, x'> = d^-1 sum_j g_1(j) x_j x'_j``. Raises
    ValueError if there is not one source factor fewer than target factors.
    """
    f, g = [sp.sympify(x) for x in targets], [sp.sympify(x) for x in sources]
    k = _degree(degree)
    if len(g) != len(f) - 1:
        raise ValueError(f"sources must have {len(f) - 1} factors, of layers 2 and up")
    if f[-1].has(v):
        raise ValueError("targets must end in a factor that does not depend on v")
    hidden = len(g)
    pairs = [
        sp.integrate(sp.expand(below.subs(v, u) ** k * above), (u, 0, 1)) ** k ** (hidden - i)
        for i, (below, above) in enumerate(zip(f, g, strict=False), 1)
    ]
    return f[-1] * sp.Mul(*pairs)


def rescaled(variance: Any, mask: Any) -> tuple[sp.Expr, sp.Expr]:
    """V and T after surviving weights are multiplied by ``V^(-1/2)``: ``(1, T/V)``.

    For every activation: ``Theta = Theta_std`` for an independent mask of density c rescaled by
    ``c^(-1/2)``, and ``(rho / v) Theta_std`` for Magnitude rescaled by ``v^(-1/2)``. V must not
    vanish. Raises ValueError for V = 0.
    """
    variance = sp.sympify(variance)
    if variance == 0:
        raise ValueError("variance must be positive")
    return sp.S.One, sp.sympify(mask) / variance
