r"""How dense the living are next to SynFlow's critical density: a curve without parameters.

A neuron of one hidden layer has an in-sum with noise xi and an out-sum with noise eta. It dies when
the common cut passes its own turning point ``(xi + eta) / 2``; until then its own cut lies below
the critical one by the root of what is left. ``Z`` is standard normal, ``d`` the share that died
and ``x`` its quantile.
"""

from __future__ import annotations

from typing import Any, Final

import sympy as sp

from theory import synflow
from theory.derivation import AllOf, Check, Derivation, Identity, IntegralEnclosure, Step, Tail
from theory.derivations import derivation
from theory.derivations.generic import GENERIC, SHIPPED, Q, generic
from theory.law_base import Law
from theory.laws import Gaussian
from theory.rewrite import restrict

_S: Final = sp.Symbol("s", positive=True)
_U: Final = sp.Symbol("u", real=True)
_DEAD, _N, _ROOT = sp.symbols("d n q", positive=True)
_NOISE, _KAPPA, _EXCESS = sp.symbols("N kappa R", positive=True)
_STRENGTH: Final = sp.Symbol("c", positive=True)
_Z: Final = sp.Symbol("Z", real=True)
_X: Final = sp.Symbol("x", real=True)
_SHARES: Final = {_DEAD: (Q(1, 100), Q(99, 100))}


def slope_of_density(law: Law, claimed: Any = 1) -> Check:
    """``d Pr[|w| >= s e^u] / du = -claimed cut_strength(s)`` at u = 0, inside the support."""
    kept, strength = law.two_sided_survival(_S), synflow.cut_strength(law, _S)
    if law.half_width is not sp.oo:
        kept, strength = (restrict(expr, _S, 0, law.half_width) for expr in (kept, strength))
    moved = sp.diff(kept.subs(_S, _S * sp.exp(_U)), _U).subs(_U, 0)
    return Identity(moved, -claimed * strength)


def _variance(first: sp.Expr, second: sp.Expr) -> sp.Expr:
    """Variance of ``first xi + second eta``, both of variance ``N / n`` and independent."""
    return (first**2 + second**2) * _NOISE / _N


def _own_cut(room: sp.Expr) -> sp.Expr:
    """``n^(1/4)`` times a living neuron's log cut over s_c, over the root of ``Z - x``."""
    above = sp.Symbol("y", positive=True)  # Z - x
    return _N ** Q(1, 4) * synflow.turning_point(_KAPPA, room * above) / sp.sqrt(above)


def _assembled(noise: Any, curve: Any, strength: Any, living: Any = 1 - _DEAD) -> sp.Expr:
    """Excess of the living from its four ingredients; R stands for ``E[sqrt(Z - x); Z > x]``."""
    return strength * sp.sqrt(2 * sp.sqrt(noise / 2) / curve) * _EXCESS / living


def _law_checks(factor: Any = 1, **other: Any) -> Check:
    """:func:`theory.synflow.living_excess` against the ingredients, integrals named R.

    The ingredients are written from moments of the density, for Gaussian and uniform weights.
    """
    tail, at = sp.erfc(1 / sp.sqrt(2)), sp.exp(-Q(1, 2)) / sp.sqrt(2 * sp.pi)
    root = sp.sqrt(3)
    # E[w^2; |w| >= 1] and E[|w|; |w| >= 1]; s G'(s) = 2 s^2 and s d/ds [2 s^2 / (3 - s^2)].
    ingredients = {
        "gaussian": ((tail + 2 * at) / (2 * at) ** 2 - 1, sp.Integer(2), 2 * at),
        "uniform": (((3 * root - 1) / (3 * root)) / (1 / root) ** 2 - 1, sp.Integer(3), 1 / root),
    }
    return AllOf(
        tuple(
            Identity(
                synflow.living_excess(SHIPPED[name][0], _DEAD).replace(
                    sp.Integral, lambda *_: _EXCESS
                ),
                factor * _assembled(*given, **other),
                domain=_SHARES,
            )
            for name, given in ingredients.items()
        )
    )


@derivation("synflow.excess")
def excess() -> Derivation:
    """Mean density of the living neurons' edges at a given share of dead ones."""
    room = sp.sqrt(_NOISE / (2 * _N))
    quantile = Gaussian().quantile(_DEAD)
    area = synflow.root_excess(_DEAD)
    integrand = area.args[0]
    (variable, low, high) = area.args[1]
    normal = Gaussian().density
    height = sp.sqrt(2) * sp.erfinv(2 * _DEAD - 1)
    claimed = -sp.sqrt(2 / _KAPPA) * (_NOISE / 2) ** Q(1, 4)
    half = sp.gamma(Q(3, 4)) / (2 ** Q(1, 4) * sp.sqrt(2 * sp.pi))
    tail = Tail(sp.exp(-(variable**4) / 2) / variable, sp.Integer(3), sp.exp(-(variable**4) / 2))

    def substituted(power: int, jacobian: sp.Expr) -> Check:
        """``sqrt(Z - x) phi(Z) dZ`` at ``Z = x + q^2``."""
        moved = (_ROOT**2) ** Q(power, 2) * normal(_X + _ROOT**2) * jacobian
        written = integrand.subs(variable, _ROOT).subs(height, _X)
        return Identity(moved, written)

    return Derivation(
        name="synflow.excess",
        title="SynFlow next to the critical density: how dense the living are",
        statement=r"n^{1/4}\,(\rho_{\mathrm{living}} - \rho_c) \to s f(s)"
        r"\sqrt{\frac{2}{\kappa}}\Big(\frac{N}{2}\Big)^{1/4}"
        r"\frac{E[\sqrt{Z - x};\, Z > x]}{1 - d},\quad d = \Pr[Z < x],\quad N = \frac{M}{J^2} - 1",
        domain="one hidden layer of n neurons between n inputs and n outputs, a share 0 < d < 1 of "
        "dead neurons, at the cut s where the gain is one and rises, kappa = s G'(s) > 0",
        hypotheses=(
            "a neuron dies when the common cut passes its turning point, and lives at the lower "
            "fixed point until then: synflow.turning",
            "xi and eta are sums of n independent terms each, so Gaussian, and independent",
            "inputs and outputs see sums over many neurons, so neurons meet in the common cut only",
            "the deaths are slow against the relaxation of the living, and the next order, "
            "n^(-1/2), is left out",
        ),
        steps=[
            Step(
                r"\theta_j = \tfrac12(\xi_j + \eta_j) = \sqrt{\frac{N}{2n}}\,Z_j",
                "two independent noises of variance N/n each, halved",
                AllOf(
                    (
                        Identity(_variance(Q(1, 2), Q(1, 2)), room**2),
                        Identity(
                            synflow.edge_noise(Gaussian(), 1) + 1,
                            Gaussian().two_sided_second(1) / (2 * Gaussian().density(1)) ** 2,
                        ),
                    )
                ),
            ),
            Step(
                r"\theta = \sqrt{\frac{N}{2n}}\,x,\quad \Pr[Z < x] = d",
                "the dead are those with theta_j below the common log cut theta",
                AllOf(
                    (
                        Identity(quantile, height, domain=_SHARES),
                        Identity(Gaussian().cdf(height), _DEAD, domain=_SHARES),
                    )
                ),
            ),
            Step(
                r"n^{1/4}\,u_j = -\sqrt{\frac{2}{\kappa}}\Big(\frac N2\Big)^{1/4}\sqrt{Z_j - x}",
                "the turning point with room theta_j - theta = sqrt(N/2n) (Z_j - x)",
                Identity(_own_cut(room), claimed),
            ),
            Step(
                r"\frac{d}{du}\Pr[|w| \geq s e^u]\Big|_0 = -s f(s)",
                "every edge of a living neuron has the log cut u_j above s, on either side, so "
                "its density is rho_c - s f(s) u_j; f the density of |w|, all laws of the registry",
                AllOf(tuple(slope_of_density(generic(name)) for name in GENERIC)),
            ),
            Step(
                r"E[\sqrt{Z - x};\, Z > x] = \int_0^\infty 2q^2\,\varphi(x + q^2)\,dq",
                "Z = x + q^2; the integral is the library's, and at d = 1/2 it is "
                "Gamma(3/4) / (2^(1/4) sqrt(2 pi))",
                AllOf(
                    (
                        substituted(1, sp.diff(_X + _ROOT**2, _ROOT)),
                        IntegralEnclosure(
                            half, integrand.subs(_DEAD, Q(1, 2)), variable, (low, high), tail=tail
                        ),
                    )
                ),
            ),
            Step(
                r"n^{1/4}\,(\rho_{\mathrm{living}} - \rho_c) \to s f(s)"
                r"\sqrt{\frac{2}{\kappa}}\Big(\frac N2\Big)^{1/4}\frac{R}{1 - d}",
                "a mean over the living, R the integral; held against the library's curve with "
                "moments of the density written out, Gaussian and uniform weights",
                AllOf(
                    (
                        Identity(
                            _assembled(_NOISE, _KAPPA, _STRENGTH),
                            -_STRENGTH * claimed * _EXCESS / (1 - _DEAD),
                        ),
                        _law_checks(),
                    )
                ),
            ),
        ],
        mutants={
            "an amplitude five times as large": _law_checks(factor=5),
            "the root missing": Identity(_own_cut(room), claimed**2),
            "linear in the noise": Identity(
                _own_cut(room), -sp.sqrt(2 / _KAPPA) * sp.sqrt(_NOISE / 2)
            ),
            "one noise alone": Identity(_variance(sp.Integer(1), sp.Integer(0)), room**2),
            "per neuron, dead or alive": _law_checks(living=sp.Integer(1)),
            "the density of w for that of |w|": AllOf(
                tuple(slope_of_density(generic(name), Q(1, 2)) for name in GENERIC)
            ),
            "no Jacobian": substituted(1, sp.Integer(1)),
            "Z - x for its root": substituted(2, sp.diff(_X + _ROOT**2, _ROOT)),
        },
    )
