"""Proofs of the reduction laws with positions: path density, product graphons, layers' shares.

Graphons are undefined functions of layer, source and target, so nothing is assumed of them but
measurability and positive path densities (positions without a path can be left out).
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory.derivation import Derivation, Identity, Induction, Step
from theory.derivations import derivation
from theory.derivations.reduction_claims import (
    ANY,
    HYPOTHESES,
    LINEAR,
    POWER,
    K,
    constant,
    multiple,
)
from theory.ntk_depth import HomogeneousDual, covariance_term, over_positions
from theory.ntk_depth import layer as n
from theory.symbols import u, v

_W = sp.Function("W", positive=True)
_P = sp.Function("p", positive=True)
_TAU = sp.Symbol("tau_0", positive=True)
_QUADRATIC = HomogeneousDual(2)


def _graphon(at: Any, source: Any, target: Any) -> Any:
    """An arbitrary graphon per layer; in the first one the input coordinates are alike."""
    return _W(at, target) if at == 1 else _W(at, source, target)


def _paths(degree: Any) -> dict[sp.Expr, sp.Expr]:
    """Path densities: ``p_1 = W_1``, ``p_{n+1}(v) = int W_{n+1}(u, v) p_n(u)^k du``."""
    following = over_positions(_W(n + 1, u, v) * _P(n, u) ** degree)
    return {_P(1, v): _W(1, v), _P(n + 1, v): following}


def _law(dual: Any, mask: Any, tangent: Any, degree: Any, forward: Any = None) -> Induction:
    forward = _P(n, v) if forward is None else forward
    return multiple(dual, _graphon, mask, forward, tangent, _paths(degree), positions=True)


_POSITIVE = "path densities p_l are positive (positions that no path reaches are left out)"


@derivation("reduction.path_density")
def _path_density() -> Derivation:
    """Degree 1: the kernel is the dense one times the homomorphism density of the path."""
    mine = _P(n, v)
    skipped = {_P(1, v): _W(1, v), _P(n + 1, v): _P(n, v)}
    inner, other = sp.Function("x", real=True), sp.Function("y", real=True)
    coordinate, size = sp.symbols("j d", integer=True, positive=True)
    gram = sp.Sum(inner(coordinate) * other(coordinate), (coordinate, 1, size)) / size
    alike = sp.Sum(
        covariance_term(_W(1, v), inner(coordinate) * other(coordinate)), (coordinate, 1, size)
    )
    return Derivation(
        "reduction.path_density",
        "Path-density law, degree 1",
        r"\Theta = t(\mathcal W_1, \dots, \mathcal W_{L+1})\,\Theta_{\mathrm{std}},\quad "
        r"t = \int\!\!\cdots\!\!\int \mathcal W_{L+1}(u_L)\cdots\mathcal W_2(u_1, u_2)\,"
        r"\mathcal W_1(u_1)\,du_1\cdots du_L",
        "every L >= 0, all inputs, arbitrary graphons per layer; W_1 does not depend on the input "
        "coordinate; independent masks, survivors train (V = T = W)",
        [
            Step(
                r"\tilde S_n(v) = p_n(v)\,\tilde S_n^{\mathrm{std}},\quad"
                r"\tilde\Theta_n(v) = p_n(v)\,\tilde\Theta_n^{\mathrm{std}},\quad "
                r"p_{n+1}(v) = \int\mathcal W_{n+1}(u, v)\,p_n(u)\,du",
                "induction over layers; at the output p_{L+1} = t",
                _law(LINEAR, _graphon, mine, sp.S.One),
            ),
            Step(
                r"\tilde\Theta_n(v) = \tau\,p_n(v)\,\tilde\Theta_n^{\mathrm{std}}",
                "the same for T = tau W with any constant tau",
                _law(LINEAR, lambda *at: _TAU * _graphon(*at), _TAU * mine, sp.S.One),
            ),
            Step(
                r"\tfrac1d\sum_j\mathcal W_1(v)\,x_j x_j'"
                r" = \mathcal W_1(v)\,\tfrac1d\sum_j x_j x_j'",
                "first layer: all coordinates alike, so only the Gram matrix enters",
                Identity(alike / size, _W(1, v) * gram),
            ),
        ],
        (*HYPOTHESES, _POSITIVE),
        {
            "squared": _law(LINEAR, _graphon, mine**2, sp.S.One),
            "all entries train": _law(LINEAR, constant(sp.S.One), mine, sp.S.One),
            "a layer missing": multiple(
                LINEAR, _graphon, _graphon, mine, mine, skipped, positions=True
            ),
            "5 % more": _law(LINEAR, _graphon, mine * sp.Rational(21, 20), sp.S.One),
            "degree 2": _law(_QUADRATIC, _graphon, mine, sp.S.One),
            "duals left free": _law(ANY, _graphon, mine, sp.S.One),
        },
    )


@derivation("reduction.path_density_degree")
def _path_density_degree() -> Derivation:
    """Degree k: path densities with a power at every layer."""
    mine = _P(n, v)
    return Derivation(
        "reduction.path_density_degree",
        "Path-density law, degree k",
        r"\Theta = p_{L+1}\,\Theta_{\mathrm{std}},\quad p_1 = \mathcal W_1,\quad "
        r"p_{l+1}(v) = \int \mathcal W_{l+1}(u, v)\,p_l(u)^k\,du",
        "every L >= 0 and k > 0, all inputs, arbitrary graphons per layer; W_1 does not depend on "
        "the input coordinate; V = W, T = tau W gives tau times as much",
        [
            Step(
                r"\tilde S_n(v) = p_n(v)\,\tilde S_n^{\mathrm{std}},\quad"
                r"\tilde\Theta_n(v) = \tau\,p_n(v)\,\tilde\Theta_n^{\mathrm{std}}",
                "induction over layers",
                _law(POWER, lambda *at: _TAU * _graphon(*at), _TAU * mine, K),
            ),
        ],
        (*HYPOTHESES, _POSITIVE),
        {
            "degree k + 1": _law(POWER, _graphon, mine, K + 1),
            "path density without the power": _law(_QUADRATIC, _graphon, mine, sp.S.One),
            "tau squared": _law(
                POWER, lambda *at: _TAU * _graphon(*at), _TAU**2 * mine, K
            ),
            "duals left free": _law(ANY, _graphon, mine, K),
        },
    )  # fmt: skip


@derivation("reduction.layer_contributions")
def _layer_contributions() -> Derivation:
    """Every layer's share of the kernel gets the same factor."""
    j = sp.Symbol("j", integer=True, nonnegative=True)  # layers above layer m
    share, dense = sp.Function("C", real=True), sp.Function("C_s", real=True)
    before = sp.Function("p_b", positive=True)  # path density below layer m
    gain, ratio = sp.Function("g", positive=True), sp.Symbol("tau_m", positive=True)
    q = [sp.Function(f"s{pair}", positive=pair != "12", real=True) for pair in ("11", "22", "12")]
    below = [sp.Symbol(f"r{pair}", positive=True) for pair in ("11", "22")]
    below.append(sp.Symbol("r12", real=True))
    graphon = _W  # W_{m+j}, counted from layer m

    def claim(
        factor: sp.Expr,
        mask: Any,
        carry: Any = 1,
        dual: Any = POWER,
        k: Any = K,
        lowest: bool = False,
    ) -> Induction:
        seen = [before(u) * r for r in below]
        first = gain(0) * over_positions(mask * graphon(0, u, v) * dual.kappa(*seen))
        if lowest:
            first = gain(0) * mask * graphon(0, v) * below[2]
        carried = [_P(j, u) * s(j) for s in q]
        passed = carry * graphon(j + 1, u, v) * dual.kappa_dot(*carried) * share(j, u)
        after = gain(j + 1) * over_positions(passed)
        given = {
            _P(0, v): over_positions(graphon(0, u, v) * before(u) ** k),
            _P(j + 1, v): over_positions(graphon(j + 1, u, v) * _P(j, u) ** k),
            dense(0): gain(0) * dual.kappa(*below),
            dense(j + 1): gain(j + 1) * dual.kappa_dot(*(s(j) for s in q)) * dense(j),
        }
        if lowest:
            given |= {_P(0, v): graphon(0, v), dense(0): gain(0) * below[2]}
        return Induction(
            j,
            sp.Eq(share(j, v), factor * dense(j), evaluate=False),
            {share(0, v): first},
            {share(j + 1, v): after},
            start=0,
            given=given,
        )

    return Derivation(
        "reduction.layer_contributions",
        "Every layer contributes the same factor",
        r"\Theta^{(m)} = \tau_m\,p_{L+1}\,\Theta^{(m)}_{\mathrm{std}}\quad"
        r"(T_m = \tau_m V_m):\quad \tau_m = 1\ \text{(survivors)},\ 1/c_m\ \text{(all train)},\ "
        r"\rho_m/v_m\ \text{(Magnitude)}",
        "layer m of L + 1 with L + 1 - m layers above it, both symbolic; degree k > 0; arbitrary "
        "graphons, W_1 free of the input coordinate",
        [
            Step(
                r"C_j(v) = \tau_m\,p_{m+j}(v)\,C_j^{\mathrm{std}}",
                "induction over the layers above m: the share enters at layer m by T_m S_{m-1} "
                "and is carried by V and the derivative dual",
                claim(ratio * _P(j, v), ratio),
            ),
            Step(
                r"C_j(v) = \tau_1\,p_{1+j}(v)\,C_j^{\mathrm{std}}",
                "the same from the first layer, where the share enters by T_1 and the inputs",
                claim(ratio * _P(j, v), ratio, lowest=True),
            ),
        ],
        (*HYPOTHESES, _POSITIVE),
        {
            "ratio forgotten": claim(_P(j, v), ratio),
            "squared": claim(ratio * _P(j, v) ** 2, ratio),
            "5 % less": claim(ratio * _P(j, v) * sp.Rational(20, 21), ratio),
            "carried by T": claim(ratio * _P(j, v), ratio, ratio, LINEAR, sp.S.One),
        },
    )


@derivation("reduction.product_graphons")
def _product_graphons() -> Derivation:
    """Product graphons: one scalar product per pair of neighbouring layers."""
    f, g = sp.Function("f", positive=True), sp.Function("h", positive=True)
    scale = sp.Function("A", positive=True)

    def product(at: Any, source: Any, target: Any) -> Any:
        # g_1 goes into the input metric
        return f(at, target) if at == 1 else f(at, target) * g(at, source)

    def law(power: Any, factor: sp.Expr, dual: Any = POWER, chain: Any = K) -> Induction:
        pair = over_positions(f(n, u) ** power * g(n + 1, u))
        given = {scale(1): sp.S.One, scale(n + 1): pair * scale(n) ** chain}
        return multiple(dual, product, product, factor, factor, given, positions=True)

    right = f(n, v) * scale(n)
    inner = sp.Function("x", real=True)
    other, weight = sp.Function("y", real=True), sp.Function("g_1", positive=True)
    coordinate, size = sp.symbols("j d", integer=True, positive=True)
    metric = sp.Sum(
        weight(coordinate) * inner(coordinate) * other(coordinate), (coordinate, 1, size)
    )
    full = sp.Sum(
        f(1, v) * weight(coordinate) * inner(coordinate) * other(coordinate), (coordinate, 1, size)
    )
    return Derivation(
        "reduction.product_graphons",
        "Product graphons",
        r"\mathcal W_l(u, v) = f_l(v)\,g_l(u):\quad \Theta = f_{L+1}\prod_{l=1}^{L}"
        r"\langle f_l, g_{l+1}\rangle\,\Theta_{\mathrm{std}};\qquad \text{degree } k:\ "
        r"f_{L+1}\prod_{l=1}^{L}\langle f_l^k, g_{l+1}\rangle^{k^{L-l}}",
        "every L >= 0 and k > 0, all inputs; Theta_std in the input metric weighted by g_1; "
        "independent masks, survivors train",
        [
            Step(
                r"\tfrac1d\sum_j f_1(v) g_1(j) x_j x_j' = f_1(v)\,\langle x, x'\rangle_{g_1}",
                "first layer: the source factor is a weight on the coordinates",
                Identity(full / size, f(1, v) * metric / size),
            ),
            Step(
                r"\tilde S_n(v) = f_n(v)\,A_n\,\tilde S_n^{\mathrm{std}},\quad"
                r"\tilde\Theta_n(v) = f_n(v)\,A_n\,\tilde\Theta_n^{\mathrm{std}},\quad "
                r"A_{n+1} = \langle f_n^k, g_{n+1}\rangle\,A_n^k",
                "induction over layers, A_1 = 1",
                law(K, right),
            ),
            Step(
                r"A_{n+1} = \langle f_n, g_{n+1}\rangle\,A_n",
                "degree 1: a plain product",
                law(sp.S.One, right, LINEAR, sp.S.One),
            ),
        ],
        (*HYPOTHESES, "the factors are positive"),
        {
            "without the target factor": law(K, scale(n)),
            "scalar products without the power": law(sp.S.One, right, _QUADRATIC, 2),
            "a plain product for degree 2": law(2, right, _QUADRATIC, sp.S.One),
            "degree k + 1": law(K + 1, right, POWER, K + 1),
            "duals left free": law(K, right, ANY),
        },
    )  # fmt: skip
