"""Proofs of the laws for Magnitude, whose V and T differ, and for rescaled survivors."""

from __future__ import annotations

import sympy as sp

from theory import criteria
from theory.derivation import AllOf, Derivation, Identity, Sign, Step
from theory.derivations import derivation
from theory.derivations.reduction_claims import (
    ANY,
    EXPONENTS,
    HYPOTHESES,
    LINEAR,
    POWER,
    C,
    E,
    constant,
    last_layer,
    multiple,
)
from theory.ntk_depth import layer as n
from theory.ntk_depth import standard
from theory.symbols import rho

_V = sp.Symbol("v_0", positive=True)


@derivation("reduction.magnitude")
def _magnitude() -> Derivation:
    """Magnitude: the mask trains, the variance propagates."""
    limit = criteria.magnitude().limit(rho)
    density = sp.exp(-(limit.threshold**2) / 2) / sp.sqrt(2 * sp.pi)
    domain = {rho: (sp.Rational(1, 100), sp.Rational(99, 100))}
    mask, variance = constant(rho), constant(_V)
    ours = multiple(LINEAR, variance, mask, _V**n, rho * _V ** (n - 1))
    output, dense = last_layer(LINEAR, 1, 1, _V**n, rho * _V ** (n - 1))
    own = sp.Function("g", positive=True)(n + 1) * LINEAR.kappa(*standard(LINEAR).covariance(n))
    return Derivation(
        "reduction.magnitude",
        "Magnitude pruning of all layers",
        r"\Theta = \rho\,v^L\,\Theta_{\mathrm{std}},\quad v = \rho + 2t\varphi(t),\quad "
        r"t = \bar\Phi^{-1}(\rho/2);\qquad \text{degree } k:\ \rho\,v^{k + \dots + k^L}",
        "every L >= 0, all inputs, all L + 1 layers pruned layerwise to rho in (0, 1); "
        "Gaussian weights (v for 0.01 <= rho <= 0.99), survivors train: V = v and T = rho",
        [
            Step(
                r"T = \rho,\quad V = v = \rho + 2t\varphi(t) > \rho",
                "mask and variance graphon of the criterion",
                AllOf(
                    (
                        Identity(limit.mask, rho, domain=domain),
                        Identity(
                            limit.variance, rho + 2 * limit.threshold * density, domain=domain
                        ),
                        Sign(2 * limit.threshold * density, ">0", domain),
                    )
                ),
            ),
            Step(
                r"\tilde S_1 = v\,\tilde S_1^{\mathrm{std}},\quad"
                r"\tilde\Theta_1 = \rho\,\tilde\Theta_1^{\mathrm{std}}",
                "first layer: inputs feel V, training feels T",
                AllOf(ours.base()),
            ),
            Step(
                r"\tilde S_n = v^n\,\tilde S_n^{\mathrm{std}},\quad"
                r"\tilde\Theta_n = \rho\,v^{n-1}\,\tilde\Theta_n^{\mathrm{std}}",
                "induction over layers",
                ours,
            ),
            Step(
                r"\tilde\Theta_n = \rho\,v^{e_n - 1}\,\tilde\Theta_n^{\mathrm{std}}",
                "induction, degree k",
                multiple(
                    POWER, variance, mask, _V ** E(n), rho * _V ** (E(n) - 1), EXPONENTS
                ),
            ),
            Step(
                r"\Theta - \rho v^{L-1}\,\Theta_{\mathrm{std}} = (v - \rho)\,v^{L-1}\,g\,S_L",
                "dense output layer: no common factor, its own term scales by v^L",
                Identity(output - rho * _V ** (n - 1) * dense, (_V - rho) * _V ** (n - 1) * own),
            ),
        ],
        (*HYPOTHESES, "the kept weights' law is that of the layer's own threshold"),
        {
            "rho for v": multiple(LINEAR, variance, mask, rho**n, rho**n),
            "v for rho": multiple(LINEAR, variance, mask, _V**n, _V**n),
            "v^(L+1)": multiple(LINEAR, variance, mask, _V**n, rho * _V**n),
            "all entries train": multiple(
                LINEAR, variance, constant(sp.S.One), _V**n, rho * _V ** (n - 1)
            ),
            "5 % more": multiple(
                LINEAR, variance, mask, _V**n, sp.Rational(21, 20) * rho * _V ** (n - 1)
            ),
            "rho v^(L-1) with a dense output": Identity(output, rho * _V ** (n - 1) * dense),
            "v^L with a dense output": Identity(output, _V**n * dense),
            "one tail's edge in v": Identity(
                limit.variance, rho + limit.threshold * density, domain=domain
            ),
        },
    )  # fmt: skip


@derivation("reduction.rescaled")
def _rescaled() -> Derivation:
    """Rescaled survivors: the only law for every activation."""
    bias = sp.Symbol("B", positive=True)
    one = constant(sp.S.One)
    ratio = constant(rho / _V)
    scale = sp.Symbol("a", positive=True)
    return Derivation(
        "reduction.rescaled",
        "Survivors rescaled: the kernel of every activation is restored",
        r"\Theta = \Theta_{\mathrm{std}}\ (c^{-1/2}\text{, independent mask}),\quad"
        r"\Theta = \tfrac{\rho}{v}\,\Theta_{\mathrm{std}}\ (v^{-1/2}\text{, Magnitude})",
        "every activation, every L >= 0, all inputs; the first with biases too",
        [
            Step(
                r"V \to a^2 V,\quad T \to a^2 T",
                "an effective weight a M w has second moment a^2 V, its derivative by w a^2 T; "
                "a^2 = 1/V",
                AllOf(
                    (
                        Identity((scale**2 * C).subs(scale, 1 / sp.sqrt(C)), 1),
                        Identity((scale**2 * rho).subs(scale, 1 / sp.sqrt(_V)), rho / _V),
                    )
                ),
            ),
            Step(
                r"\tilde S_n = \tilde S_n^{\mathrm{std}},\quad"
                r"\tilde\Theta_n = \tilde\Theta_n^{\mathrm{std}}",
                "induction with V = T = 1, duals left free, biases allowed",
                multiple(ANY, one, one, sp.S.One, sp.S.One, bias=bias),
            ),
            Step(
                r"\tilde\Theta_n = \tfrac{\rho}{v}\,\tilde\Theta_n^{\mathrm{std}}",
                "induction with V = 1, T = rho/v, duals left free",
                multiple(ANY, one, ratio, sp.S.One, rho / _V),
            ),
        ],
        ("the infinite-width recursion of the kernel, [A] (1)-(4) with T added",),
        {
            "not rescaled": multiple(ANY, constant(C), constant(C), sp.S.One, sp.S.One),
            "rescaled by 1/c": multiple(ANY, constant(1 / C), constant(1 / C), sp.S.One, sp.S.One),
            "Magnitude rescaled by rho": multiple(
                ANY, constant(_V / rho), constant(sp.S.One), sp.S.One, sp.S.One
            ),
            "Magnitude, (rho/v)^n": multiple(ANY, one, ratio, sp.S.One, (rho / _V) ** n),
        },
    )  # fmt: skip
