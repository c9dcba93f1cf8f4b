r"""A neuron under SynFlow: linear response above the critical density, turning point next to it.

``x`` and ``y`` are the logarithms of a neuron's in-sum and out-sum, relative to their means. The
cut of an edge into it moves with its out-sum, the cut of an edge out of it with its in-sum.
``psi(sigma) = log J(e^sigma)`` is the logarithm of the mean that survives a cut, as a function of
the logarithm of the cut.
"""

from __future__ import annotations

from typing import Final

import sympy as sp

from theory import synflow
from theory.derivation import AllOf, Check, Derivation, Identity, Step
from theory.derivations import derivation
from theory.derivations.generic import GENERIC, generic
from theory.derivations.synflow_excess import slope_of_density
from theory.laws import Gaussian
from theory.structural import StructuralSign

_S: Final = sp.Symbol("s", positive=True)
_SIGMA: Final = sp.Symbol("sigma", real=True)
_XI, _ETA, _Y = sp.symbols("xi eta y", real=True)
_GAIN, _BELOW = sp.symbols("G H", positive=True)
_IN, _OUT = sp.symbols("a b", positive=True)  # variances of xi and eta
_KAPPA, _ROOM = sp.symbols("kappa z", positive=True)
_THETA: Final = sp.Symbol("theta", real=True)


def _psi_prime(factor: sp.Expr) -> Check:
    """``psi' = -factor G`` and ``psi'' = -factor s G'``, for any J with ``J' = -s f``."""
    upper = sp.Function("J", positive=True)
    gain = -_S * sp.diff(upper(_S), _S) / upper(_S)
    psi = sp.log(upper(sp.exp(_SIGMA)))
    first, second = (sp.diff(psi, _SIGMA, k).doit().subs(_SIGMA, sp.log(_S)).doit() for k in (1, 2))
    return AllOf(
        (
            Identity(first, -factor * gain),
            Identity(second, -factor * _S * sp.diff(gain, _S)),
        )
    )


def _variance(claimed: sp.Expr) -> Check:
    """Second moment of ``(xi + G eta) / (1 - G H)`` for independent xi, eta."""
    x = sp.expand((_XI + _GAIN * _ETA) ** 2)
    moments = {_XI**2: _IN, _ETA**2: _OUT, _XI * _ETA: 0}
    mean = sum(x.coeff(a, 1).subs({_XI: 0, _ETA: 0}) * m for a, m in moments.items())
    return Identity(mean / (1 - _GAIN * _BELOW) ** 2, claimed)


@derivation("synflow.response")
def response() -> Derivation:
    """Linear response of a neuron's path sums to the noise of its own weights."""
    x = (_XI + _GAIN * _ETA) / (1 - _GAIN * _BELOW)
    y = (_ETA + _BELOW * _XI) / (1 - _GAIN * _BELOW)
    one, second, mean = sp.symbols("w M J", positive=True)
    square = sp.Poly((one / mean - 1) ** 2, one)
    noise = sum(square.coeff_monomial(one**k) * (1, mean, second)[k] for k in range(3))
    law = Gaussian()
    return Derivation(
        name="synflow.response",
        title="SynFlow's linear response",
        statement=r"x = \frac{\xi + G\eta}{1 - G H},\quad"
        r" \operatorname{Var} x = \frac{a + G^2 b}{(1 - G H)^2}",
        domain="G H < 1: G and H are the gains of the matrices into and out of the neuron, a and b "
        "the variances of xi and eta",
        hypotheses=(
            "cuts only rise, so an edge is there exactly if its weight is above the cut of today",
            "first order in the deviations; those of other neurons average out to this order",
            "xi and eta come from different matrices and are independent",
        ),
        steps=[
            Step(
                r"\psi' = -G,\quad \psi'' = -s\,G'(s)",
                "J' = -s f, so the surviving mean answers a cut with the gain",
                _psi_prime(sp.Integer(1)),
            ),
            Step(
                r"x = G y + \xi,\quad y = H x + \eta",
                "a cut on edges into the neuron is its mean times e^{-y}, one on edges out of it "
                "its mean times e^{-x}",
                AllOf((Identity(_GAIN * y + _XI, x), Identity(_BELOW * x + _ETA, y))),
            ),
            Step(
                r"\operatorname{Var}\xi = \frac{1}{n}\Big(\frac{M}{J^2} - 1\Big)",
                "n independent terms w 1{w >= s} of mean J and second moment M, over their mean",
                Identity(noise, second / mean**2 - 1),
            ),
            Step(
                r"\operatorname{Var} x = \frac{a + G^2 b}{(1 - G H)^2}",
                "independence",
                AllOf(
                    (
                        _variance(synflow.response_variance(_GAIN, _BELOW, _IN, _OUT)),
                        Identity(
                            synflow.response_variance(_GAIN, _GAIN, _IN, _IN),
                            _IN * (1 + _GAIN**2) / (1 - _GAIN**2) ** 2,
                        ),
                    )
                ),
            ),
            Step(
                r"G = s^2 \text{ for Gaussian weights}",
                "closed forms of the law",
                AllOf(
                    (
                        Identity(synflow.gain(law, _S), _S**2),
                        Identity(
                            synflow.edge_noise(law, _S) + 1,
                            law.two_sided_second(_S) / (2 * law.density(_S)) ** 2,
                        ),
                    )
                ),
            ),
        ],
        mutants={
            "one way only": Identity(_GAIN * (_ETA + _XI) + _XI, x),
            "no square below": _variance((_IN + _GAIN**2 * _OUT) / (1 - _GAIN * _BELOW)),
            "no coupled noise": _variance(_IN / (1 - _GAIN * _BELOW) ** 2),
            "half the gain": _psi_prime(sp.Rational(1, 2)),
        },
    )


def _turning(height: sp.Expr) -> Check:
    """Both fixed-point equations, to second order, at ``u = v = -height`` with noise to spare.

    Their sum reads ``0 = 2 theta - xi - eta + kappa (u^2 + v^2) / 2``.
    """
    total = 2 * _THETA - _XI - _ETA + _KAPPA * (height**2 + height**2) / 2
    return Identity(total.subs(_THETA, (_XI + _ETA) / 2 - _ROOM), 0)


@derivation("synflow.turning")
def turning() -> Derivation:
    """Where a neuron's own fixed point ends, and how far below the critical cut it lives."""
    u, v = sp.symbols("u v", real=True)
    expanded_v = _THETA - _XI + u + _KAPPA * u**2 / 2
    expanded_u = _THETA - _ETA + v + _KAPPA * v**2 / 2
    law, gaussian = Gaussian(), sp.symbols("y", real=True)
    exact = sp.log(law.mean_above(_S * sp.exp(-gaussian)) / law.mean_above(_S))
    height = -synflow.turning_point(_KAPPA, _ROOM)
    # Around the loop: u -> v -> u, and the slope of that at a fixed point u = v = -+p.
    around = expanded_u.subs(v, expanded_v)
    loop = sp.diff(around, u)
    share = sp.Symbol("c", positive=True)
    below = (1 - 2 * share / (1 + share)) ** 2 - 1  # all p with 0 < kappa p < 2
    above = (1 + _KAPPA * sp.Symbol("p", positive=True)) ** 2 - 1
    gain = sp.Function("G", positive=True)
    nearby = sp.diff(gain(_S * sp.exp(u)), u).subs(u, 0).doit()
    return Derivation(
        name="synflow.turning",
        title="SynFlow next to the critical density: a neuron's turning point",
        statement=r"u = -\sqrt{2 z/\kappa},\quad z = \tfrac{1}{2}(\xi + \eta) - \theta,\quad"
        r" \kappa = s\,G'(s)\big|_{s_c}",
        domain="theta, the common log cut above the critical one, and the noises xi, eta small",
        hypotheses=(
            "second order in u and v, the neuron's own log cuts above s_c on its two sides",
            "u - v is of the order of the noise, and the square of that is left out",
        ),
        steps=[
            Step(
                r"\psi(u) = \psi(0) - u - \tfrac{\kappa}{2} u^2 + \dots",
                "the derivatives of psi, at the cut where G = 1",
                _psi_prime(sp.Integer(1)),
            ),
            Step(
                r"v = \theta - \xi + u + \tfrac{\kappa}{2} u^2,\quad"
                r" u = \theta - \eta + v + \tfrac{\kappa}{2} v^2",
                "log cut on one side = common log cut minus the log sum of the other side; the "
                "linear terms cancel in the sum of the two",
                Identity(
                    (expanded_v - v) + (expanded_u - u),
                    2 * _THETA - _XI - _ETA + _KAPPA * (u**2 + v**2) / 2,
                ),
            ),
            Step(
                r"\kappa u^2 = \xi + \eta - 2\theta",
                "so there are two solutions while theta < (xi + eta) / 2, and none beyond",
                _turning(height),
            ),
            Step(
                r"(1 + \kappa u)(1 + \kappa v)\big|_{v = u} < 1"
                r"\iff -\tfrac{2}{\kappa} < u < 0",
                "slope of the map u to v to u: the lower solution is stable, the upper one is not. "
                "1 + kappa u is the gain at the neuron's own cut to first order",
                AllOf(
                    (
                        Identity(loop, (1 + _KAPPA * u) * (1 + _KAPPA * expanded_v)),
                        Identity(nearby, _S * sp.diff(gain(_S), _S)),
                        Identity(
                            sp.diff(synflow.gain(law, _S * sp.exp(u)), u).subs({u: 0, _S: 1}),
                            synflow.curvature(law, 1),
                        ),
                        Identity(below, -4 * share / (1 + share) ** 2),
                        StructuralSign(-4 * share / (1 + share) ** 2, "<0"),
                        StructuralSign(sp.expand(above), ">0"),
                        StructuralSign(synflow.turning_point(_KAPPA, _ROOM), "<0"),
                    )
                ),
            ),
            Step(
                r"\kappa = 2 \text{ for Gaussian weights}",
                "G = s^2 at s = 1",
                Identity(synflow.curvature(law, 1), 2),
            ),
            Step(
                r"\log\frac{J(s e^{-y})}{J(s)} = \frac{s^2}{2}\,(1 - e^{-2y})",
                "exact for Gaussian weights; its second order in y is not zero, so the two "
                "branches cross (a transcritical bifurcation) in the absence of noise",
                AllOf(
                    (
                        Identity(exact, _S**2 * (1 - sp.exp(-2 * gaussian)) / 2),
                        Identity(sp.diff(exact, gaussian, 2).subs(gaussian, 0), -2 * _S**2),
                    )
                ),
            ),
            Step(
                r"\theta_j = \tfrac{1}{2}(\xi_j + \eta_j),\quad"
                r" \operatorname{Var}\theta_j = \frac{1}{2n}\Big(\frac{M}{J^2} - 1\Big)",
                "neurons die in the order of theta_j; both noises have the variance of the "
                "linear response",
                Identity((_IN + _IN) / 4, _IN / 2),
            ),
            Step(
                r"\frac{d}{du}\Pr[|w| \geq s e^u]\Big|_0 = -s f(s)",
                "the density is linear in u, f the density of |w|, all laws of the registry: so "
                "between one neuron's death and the next the living are denser than rho_c by an "
                "amount of order n^{-1/4} (synflow.excess)",
                AllOf(tuple(slope_of_density(generic(name)) for name in GENERIC)),
            ),
        ],
        mutants={
            "the upper one is stable": StructuralSign(sp.expand(above), "<0"),
            "the density of w for that of |w|": AllOf(
                tuple(slope_of_density(generic(name), sp.Rational(1, 2)) for name in GENERIC)
            ),
            "linear in the room": _turning(2 * _ROOM / _KAPPA),
            "no factor two": _turning(sp.sqrt(_ROOM / _KAPPA)),
            "half the gain": _psi_prime(sp.Rational(1, 2)),
        },
    )
