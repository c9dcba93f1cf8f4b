r"""SynFlow at infinite width: feedback gain, critical density, linear response, local law.

An edge with weight w between neurons j and i survives while ``g_i |w| h_j >= tau``, that is while
``|w| >= s_ij = tau / (g_i h_j)``; ``h_j`` is the sum over the paths into j, ``g_i`` that over the
paths out of i. At infinite width the cut is one number s. Write x and y for the logarithms of a
neuron's h and g, relative to their means. A neuron whose out-sum is larger has a lower cut on the
edges into it, keeps more of them, and has a larger in-sum:

    x = G y + xi,   y = G x + eta,   G(s) = s^2 f(s) / E[|w|; |w| >= s],

f the density of |w|; xi and eta are what chance adds, of variance ``edge_noise(s) / n`` each. This
linear response is what says that gain one means instability: the solution diverges where G = 1, at
the cut s_c and at the density ``rho_c = Pr[|w| >= s_c]``. If |w| has a continuous density on
[0, a) and finite variance there is at least one such cut; there may be several, and none if the
density jumps. Next to it the second order decides (:func:`turning_point`): a neuron's fixed point
disappears when its noise is too negative, and it then loses all its edges.

Weights are functions of the law in :mod:`theory.laws`; only ``|w|`` matters. Own result, with
derivations in :mod:`theory.derivations.synflow`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import sympy as sp
from scipy.optimize import brentq

from theory.law_base import Law
from theory.laws import Gaussian, Laplace, StudentT, TruncatedNormal, Uniform
from theory.rewrite import restrict

__all__ = [
    "critical_cut",
    "critical_density",
    "crossings",
    "curvature",
    "cut_strength",
    "edge_noise",
    "gain",
    "living_excess",
    "response_variance",
    "root_excess",
    "turning_point",
]

_S: Final = sp.Symbol("s", positive=True)
_ROOT: Final = sp.Symbol("q", positive=True)


def gain(law: Law, s: Any) -> sp.Expr:
    """``G(s) = s^2 f(s) / E[|w|; |w| >= s]``, the feedback of a neuron's sums on themselves.

    ``s`` is a cut inside the support of |w|. It equals minus the logarithmic derivative of the
    denominator, so ``s E[|w|; |w| >= s]`` is stationary where the gain is 1.
    """
    s = sp.sympify(s)
    return s**2 * law.density(s) / law.mean_above(s)


def edge_noise(law: Law, s: Any) -> sp.Expr:
    """``E[w^2; |w| >= s] / E[|w|; |w| >= s]^2 - 1``: n times the relative variance of a path sum.

    A neuron's in-sum is a sum of n independent terms ``|w| 1{|w| >= s}``; this is the variance of
    one of them over the square of its mean.
    """
    s = sp.sympify(s)
    return law.two_sided_second(s) / (2 * law.mean_above(s)) ** 2 - 1


def response_variance(above: Any, below: Any, noise_in: Any, noise_out: Any) -> sp.Expr:
    """Variance of ``x`` where ``x = G y + xi`` and ``y = G' x + eta``, by linear response.

    ``above`` is G, the gain of the matrix into the neuron; ``below`` is G', that of the matrix out
    of it; ``noise_in`` and ``noise_out`` are the variances of the independent xi and eta. With
    equal gains and noises it is ``noise (1 + G^2) / (1 - G^2)^2``.
    """
    above, below = sp.sympify(above), sp.sympify(below)
    return (noise_in + above**2 * noise_out) / (1 - above * below) ** 2


def critical_cut(law: Law) -> sp.Expr:
    """The cut s_c with ``gain(law, s_c) = 1``: exactly one for each family of the registry.

    One standard deviation for Gaussian, uniform and Student weights. Raises ValueError for another
    law, for which :func:`crossings` finds all solutions in double precision.
    """
    if isinstance(law, Gaussian | Uniform | StudentT):
        return law.scale
    if isinstance(law, Laplace):
        return law.scale * (1 + sp.sqrt(5)) / (2 * sp.sqrt(2))  # the golden ratio over the rate
    if isinstance(law, TruncatedNormal):
        inner = sp.LambertW(sp.exp((1 - law.cut**2) / 2) / 2)
        return law.base * sp.sqrt(1 - 2 * inner)
    raise ValueError(
        f"law must be one of the registry's families, got {type(law).__name__}; "
        "for others use crossings(law)"
    )


def critical_density(law: Law) -> sp.Expr:
    """``rho_c = Pr[|w| >= s_c]``, the density at which SynFlow's constant graphon becomes unstable.

    That gain one is where it does comes from :func:`response_variance`, which diverges there.
    ``2 (1 - Phi(1))`` for Gaussian, ``1 - 1/sqrt(3)`` for uniform weights. Raises ValueError as
    :func:`critical_cut` does.
    """
    return law.two_sided_survival(critical_cut(law))


def crossings(law: Law, points: int = 4000) -> tuple[float, ...]:
    """All cuts at which the gain crosses 1, in increasing order, in double precision.

    A law without parameters, of any class. ``s E[|w|; |w| >= s]`` vanishes at both ends of the
    support (at infinity because the variance is finite), so there is at least one if the density of
    |w| is continuous on [0, a), a its largest value. A density with several humps may have three;
    one with a jump may have none, as |w| uniform on [1, 1.1], whose gain jumps from 0 to 9.5. The
    gain is scanned on ``points`` quantiles of |w|, so crossings closer than that are not told
    apart. An empty tuple says that none was found.
    """
    inside = gain(law, _S) - 1
    if law.half_width is not sp.oo:
        inside = restrict(inside, _S, 0, law.half_width)
    function: Callable[..., Any] = sp.lambdify(_S, inside, "scipy")
    levels = (np.arange(points) + 0.5) / points
    quantile = sp.lambdify(_S, law.two_sided_quantile(_S), "scipy")
    cuts = np.sort(np.asarray(quantile(levels), dtype=float))
    values = np.asarray([float(function(cut)) for cut in cuts])
    found = np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) < 0)
    return tuple(float(brentq(function, cuts[k], cuts[k + 1], xtol=1e-14)) for k in found)


def cut_strength(law: Law, s: Any) -> sp.Expr:
    """``s f(s)``: by how much the density falls when the cut rises by a small factor, per log."""
    s = sp.sympify(s)
    return 2 * s * law.density(s)


def curvature(law: Law, s: Any) -> sp.Expr:
    """``s G'(s)``, the second order of the local law at a cut; at s_c it sets the barrier."""
    s = sp.sympify(s)
    derivative = gain(law, _S).diff(_S)
    if law.half_width is not sp.oo:
        derivative = restrict(derivative, _S, 0, law.half_width)
    return s * derivative.subs(_S, s)


def turning_point(curve: Any, room: Any) -> sp.Expr:
    """Logarithm of a neuron's own cut over s_c, at ``room`` below the point where it dies.

    A neuron with noises xi and eta has a fixed point while the common log cut lies at most
    ``(xi + eta) / 2`` above the critical one. With ``room`` left to that, its own cut lies
    ``sqrt(2 room / curve)`` below s_c, in logarithms; ``curve`` is :func:`curvature`.
    """
    return -sp.sqrt(2 * sp.sympify(room) / sp.sympify(curve))


def root_excess(level: Any) -> sp.Expr:
    """``E[sqrt(Z - x); Z > x]`` of a standard normal Z at its quantile ``x`` of level ``level``."""
    x = sp.sqrt(2) * sp.erfinv(2 * sp.sympify(level) - 1)
    density = sp.exp(-((_ROOT**2 + x) ** 2) / 2) / sp.sqrt(2 * sp.pi)
    return sp.Integral(2 * _ROOT**2 * density, (_ROOT, 0, sp.oo))


def living_excess(law: Law, dead: Any) -> sp.Expr:
    """Limit of ``n^(1/4) (density among the living - rho_c)`` when a share ``dead`` has died.

    One hidden layer between as many inputs and outputs as it has neurons, cut slowly. The common
    cut is then within ``n^(-1/2)`` of the critical one, and each living neuron's own cut lies below
    s_c by :func:`turning_point`, which is of order ``n^(-1/4)``. The chain is ``synflow.excess``.
    """
    s = critical_cut(law)
    deviation = sp.sqrt(edge_noise(law, s) / 2)
    amplitude = cut_strength(law, s) * sp.sqrt(2 * deviation / curvature(law, s))
    return amplitude * root_excess(dead) / (1 - sp.sympify(dead))
