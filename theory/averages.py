"""Averages of a limit graphon over the factors of its model, in double precision.

Every such average is an iterated quadrature: the outer factor at the profile's own nodes, the
inner one at nodes that may depend on the outer. They do where the graphon is not smooth in the
inner factor, at a place that the rule knows; the inner average is smooth again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.profiles import HalfNormalProfile, Profile
from theory.saliency import OffsetRule
from theory.symbols import c, r, tau

if TYPE_CHECKING:
    from theory.laws import Law
    from theory.saliency import SaliencyModel

Array = NDArray[np.float64]
Side = Literal["row", "column"]


_B = sp.Symbol("B", positive=True)


@lru_cache(maxsize=256)
def _lambdified(model: SaliencyModel, order: int) -> Any:
    rule = model.rule
    if isinstance(rule, OffsetRule) and not rule.offset.free_symbols:
        general, offset = _with_offset(model.noise, order), float(rule.offset)
        return lambda rr, cc, threshold: general(rr, cc, threshold, offset)
    return _compiled(rule.moment(model.noise, order, tau))


@lru_cache(maxsize=64)
def _with_offset(law: Law, order: int) -> Any:
    # The offset is every network's own number: one formula for all of them.
    moment = OffsetRule(_B).moment(law, order, tau)
    return sp.lambdify((r, c, tau, _B), moment, modules=["scipy", "numpy"])


@lru_cache(maxsize=256)
def _compiled(expr: sp.Expr) -> Any:
    # By expression, since models of one rule differ in their factors and not in their formula.
    return sp.lambdify((r, c, tau), expr, modules=["scipy", "numpy"])


def moment_values(model: SaliencyModel, order: int, rr: Any, cc: Any, threshold: float) -> Any:
    """``E[w^order; s >= threshold]`` at factors ``rr`` and ``cc`` (broadcast), float64.

    Where a factor vanishes the score is 0, so everything is kept iff ``threshold <= 0``.
    """
    rr, cc = np.broadcast_arrays(np.asarray(rr, np.float64), np.asarray(cc, np.float64))
    full = (1.0, 0.0, float(model.noise.variance))[order]
    if threshold <= (-np.inf if model.rule.signed else 0.0):
        return np.full(rr.shape, full)
    dead = (cc <= 0) if not model.factorised else (rr <= 0) | (cc <= 0)
    if not model.weight_is_noise:
        dead = np.zeros_like(dead)
    safe_r, safe_c = np.where(dead, 1.0, rr), np.where(dead, 1.0, cc)
    with np.errstate(all="ignore"):
        out = np.asarray(_lambdified(model, order)(safe_r, safe_c, threshold), np.float64)
    out = np.broadcast_to(out, rr.shape).copy()
    if dead.any():
        out[dead] = full if threshold <= 0 else 0.0
    return out


def _break(model: SaliencyModel, side: Side, factors: Array, threshold: float) -> Array | None:
    """Factor of one side at which P is not smooth, per value of the other side's, or None.

    Noise of bounded support stops passing at ``r c = |tau| / width``. The offset rule's inner
    interval opens at ``r^2 c = 4 B tau``, like a square root.
    """
    if isinstance(model.rule, OffsetRule):
        level = 4.0 * float(model.rule.offset) * threshold
        if side == "row":
            level, factors = np.sqrt(level), np.sqrt(factors)
        else:
            factors = factors**2
    elif model.noise.half_width is sp.oo or not model.weight_is_noise:
        return None
    else:
        level = abs(threshold) / float(model.noise.half_width)
    with np.errstate(over="ignore"):
        return np.divide(level, factors, out=np.full(factors.shape, np.inf), where=factors > 0)


def nodes_given(
    model: SaliencyModel, side: Side, factors: Array, threshold: float
) -> tuple[Array, Array]:
    """Nodes of one side's profile and weights, per value of the other factor: (m, k) or (1, k).

    ``factors`` (m,) are values of the other side's factor. The nodes are graded towards the break
    in P where there is one and the profile is half-normal.
    """
    profile: Profile = model.row if side == "row" else model.column
    at = _break(model, side, np.asarray(factors, np.float64), threshold)
    if at is not None and isinstance(profile, HalfNormalProfile):
        return profile.nodes_around(at)
    values, weights = profile.nodes()
    return values[None, :], weights[None, :]


def average(model: SaliencyModel, order: int, threshold: float) -> float:
    """``E[w^order; s >= threshold]`` over the model's factors, by quadrature.

    Accurate to about 1e-12, but only to about 1e-5 where noise of bounded support or an offset
    makes kinks and the profiles that average over them are not half-normal.
    """
    inside = not model.factorised or isinstance(model.column, HalfNormalProfile)
    values, weights = (model.row if inside else model.column).nodes()
    nodes, inner_weights = nodes_given(model, "column" if inside else "row", values, threshold)
    pair = (values[:, None], nodes) if inside else (nodes, values[:, None])
    moments = moment_values(model, order, *pair, threshold)
    return float(weights @ (moments * inner_weights).sum(axis=1))


def mean_density(model: SaliencyModel, threshold: float) -> float:
    """``E[P]`` over the model's factors at a threshold; see :func:`average`."""
    return average(model, 0, threshold)
