"""Proofs about models around the factorised one: offsets, Stein's lemma, paths, sorting."""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory.derivation import (
    AllOf,
    Antiderivative,
    Cited,
    Derivation,
    Identity,
    Induction,
    Step,
)
from theory.derivations import derivation
from theory.saliency import OffsetRule
from theory.symbols import L as depth
from theory.symbols import c, p, r, u, v, x


def _phi(t: Any) -> Any:
    return sp.exp(-(t**2) / 2) / sp.sqrt(2 * sp.pi)


@derivation("limits.offset_rule")
def _offset_rule() -> Derivation:
    """Which weights pass ``|w| |r + B w| c >= tau``: the four roots, and where two are real."""
    offset = sp.Symbol("B", positive=True)
    level = x  # tau / c, positive
    outer = sp.sqrt(r**2 + 4 * offset * level)
    inner = sp.Symbol("s", nonnegative=True)  # sqrt(r^2 - 4 B t) where that is real
    real = {level: (r**2 - inner**2) / (4 * offset)}
    polynomial = lambda w: offset * w**2 + r * w  # noqa: E731
    high, low = 2 * level / (r + outer), -(r + outer) / (2 * offset)
    near, far = -2 * level / (r + inner), -(r + inner) / (2 * offset)
    rule = OffsetRule(offset)
    ends = [end for pair in rule.intervals(level * c) for end in pair if end.is_finite is not False]
    used = AllOf(
        (
            Identity(ends[0], high, domain={r: (1, 3), offset: (1, 2), level: (1, 2), c: (1, 2)}),
            Identity(ends[1], low, domain={r: (1, 3), offset: (1, 2), level: (1, 2), c: (1, 2)}),
        )
    )
    return Derivation(
        "limits.offset_rule",
        "The weights kept by the conditional model |w| |r + B w| c",
        r"|B w^2 + r w| \ge t \iff w \ge w_+ \ \text{or}\ w \le w_-\ \text{or}\ "
        r"w_1 \le w \le w_2\ (\text{the last only if}\ r^2 > 4Bt)",
        "r, B, t > 0; the outer roots solve B w^2 + r w = t, the inner ones = -t",
        [
            Step(
                r"B w_\pm^2 + r w_\pm = t",
                "outer roots",
                AllOf((Identity(polynomial(high), level), Identity(polynomial(low), level))),
            ),
            Step(
                r"B w_{1,2}^2 + r w_{1,2} = -t",
                "inner roots, written in s = sqrt(r^2 - 4 B t)",
                AllOf(
                    tuple(
                        Identity(polynomial(root).subs(real), -level.subs(real))
                        for root in (near, far)
                    )
                ),
            ),
            Step(
                r"\min_w (B w^2 + r w) = -r^2/(4B)",
                "so inner roots are real iff r^2 >= 4 B t",
                Identity(polynomial(-r / (2 * offset)), -(r**2) / (4 * offset)),
            ),
            Step("w_+, w_-", "the roots above are those that the code uses", used),
        ],
        mutants={
            "root without its sign": Identity(polynomial(-high), level),
            "discriminant with 2 B t": Identity(
                polynomial((-r + sp.sqrt(r**2 + 2 * offset * level)) / (2 * offset)), level
            ),
        },
    )


@derivation("sorting.cell_quantiles")
def _cell_quantiles() -> Derivation:
    """The normal quantile integrates to minus the density at the quantile."""
    level = sp.Symbol("q", real=True)  # the quantile itself; p = Phi(q)
    mass = sp.erfc(-level / sp.sqrt(2)) / 2
    return Derivation(
        "sorting.cell_quantiles",
        "Cell averages of the normal quantile",
        r"\int_a^b \Phi^{-1}(p)\,dp = \varphi(\Phi^{-1}(a)) - \varphi(\Phi^{-1}(b))",
        "0 <= a < b <= 1",
        [
            Step(
                r"-\varphi'(q) = q\,\varphi(q) = q\,\tfrac{d}{dq}\Phi(q)",
                "substitute p = Phi(q)",
                Identity(-sp.diff(_phi(level), level), level * sp.diff(mass, level)),
            ),
            Step(
                r"-\varphi(q) \to 0 \ (q \to \pm\infty)",
                "so the formula holds up to the ends",
                Antiderivative(-_phi(level), level * _phi(level), level, {sp.oo: 0, -sp.oo: 0}),
            ),
        ],
        mutants={
            "wrong sign": Identity(sp.diff(_phi(level), level), level * sp.diff(mass, level)),
            "5 % more": Identity(
                -sp.diff(_phi(level), level) * sp.Rational(21, 20), level * sp.diff(mass, level)
            ),
        },
    )


@derivation("paths.constant")
def _constant_paths() -> Derivation:
    """The path density of constant graphons, for every number of layers, by induction."""
    density = sp.Symbol("c", positive=True)
    paths = sp.Function("t")
    base = {paths(1, u): density}
    step = {paths(depth + 1, u): sp.Integral(density * paths(depth, v), (v, 0, 1))}
    return Derivation(
        "paths.constant",
        "Path density of constant graphons",
        r"t(c, \dots, c) = c^L",
        "every L >= 1",
        [
            Step(
                sp.Eq(paths(depth, u), density**depth),
                "induction over the number of layers",
                Induction(depth, sp.Eq(paths(depth, u), density**depth), base, step),
            )
        ],
        mutants={
            "c^(L+1)": Induction(depth, sp.Eq(paths(depth, u), density ** (depth + 1)), base, step),
            "L c": Induction(depth, sp.Eq(paths(depth, u), depth * density), base, step),
        },
    )


@derivation("limits.stein")
def _stein() -> Derivation:
    """SNIP's factor for Gaussian inputs; conditional on Stein's lemma, which is cited."""
    weight, rest, scale = sp.symbols("w s d", positive=True)
    error, sigma = sp.Function("e"), sp.Function("sigma")
    position = weight * p / sp.sqrt(scale) + rest
    first = sp.diff(sigma(x), x).subs(x, position)
    product = error(p) * first
    expected = sp.diff(error(p), p) * first + error(p) * weight / sp.sqrt(scale) * sp.diff(
        sigma(x), (x, 2)
    ).subs(x, position)
    curvature = sp.tanh(x).diff(x, 2) * _phi(x)
    sigmoid = (1 / (1 + sp.exp(-x))).diff(x, 2)
    return Derivation(
        "limits.stein",
        "What SNIP's gradient is made of, for Gaussian inputs",
        r"E[e\,\sigma'(z_j)\,x_i] = E[\partial_i e\;\sigma'(z_j)]"
        r" + \frac{w_{ij}}{\sqrt d}\,E[e\,\sigma''(z_j)]",
        "x ~ N(0, I)",
        [
            Step(
                r"E[x_i\, g(x)] = E[\partial_i g(x)]",
                "Stein's lemma",
                Cited("Stein's lemma", "Stein 1981"),
            ),
            Step(
                r"\partial_i\big(e\,\sigma'(z_j)\big) = \partial_i e\;\sigma'(z_j)"
                r" + e\,\sigma''(z_j)\,w_{ij}/\sqrt d",
                "product and chain rule",
                Identity(sp.diff(product, p).doit(), expected.doit()),
            ),
            Step(
                r"E[\sigma''(z)] = 0",
                "for tanh and for the sigmoid: the second derivative is odd",
                AllOf(
                    (
                        Identity(curvature.subs(x, -x), -curvature),
                        Identity(sp.simplify(sigmoid.subs(x, -x) + sigmoid), sp.S.Zero),
                    )
                ),
            ),
        ],
        mutants={
            "no curvature term": Identity(
                2 * p * sp.diff(sp.erf(p), p), sp.diff(p**2 * sp.diff(sp.erf(p), p), p)
            ),
        },
    )
