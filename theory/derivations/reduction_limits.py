"""Where the reduction laws end: activations that are not homogeneous, and the input layer.

Each counterexample is a certified number with its error, not a sampled one: integrals are
enclosed by ball arithmetic with an explicit tail, and the inequality is shown for every value
within the error.
"""

from __future__ import annotations

import mpmath as mp
import sympy as sp

from theory.derivation import (
    AllOf,
    Derivation,
    Enclosure,
    Identity,
    Sign,
    Step,
)
from theory.derivations import derivation
from theory.dual import z
from theory.integral_value import IntegralValue
from theory.ntk import independent_mask, standard_network
from theory.symbols import t

_HALF = sp.Rational(1, 2)
_CUT = 12
_ERROR = sp.Rational(1, 10**10)


def _phi(x: sp.Expr) -> sp.Expr:
    return sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)


def _rounded(integrand: sp.Expr) -> sp.Rational:
    """The integral over (0, _CUT) to 12 digits; what is certified is this rational."""
    function = sp.lambdify(z, integrand, "mpmath")
    with mp.workdps(25):
        marks = [0, *(mp.mpf(2) ** i / 8 for i in range(7)), _CUT]
        return sp.Rational(mp.nstr(mp.quad(function, marks), 12))


@derivation("reduction.not_tanh")
def _not_tanh() -> Derivation:
    """One hidden tanh layer at two input sizes: the ratio of the kernels is no power of c."""
    squares = {x: 2 * sp.tanh(sp.sqrt(x) * z) ** 2 * _phi(z) for x in (_HALF, 1, 8, 16)}
    slopes = {x: 2 * sp.sech(sp.sqrt(x) * z) ** 4 * _phi(z) for x in squares}
    parts = [(f"{name}_{x}", body) for name, group in (("A", squares), ("B", slopes))
             for x, body in group.items()]  # fmt: skip
    value = {sp.Symbol(name): _rounded(body) for name, body in parts}
    box = {symbol: (v - 2 * _ERROR, v + 2 * _ERROR) for symbol, v in value.items()}
    tail = sp.erfc(_CUT / sp.sqrt(2))

    def ratio(x: int) -> sp.Expr:
        def kernel(size: sp.Expr, weight: sp.Expr) -> sp.Expr:
            return sp.Symbol(f"A_{size}") + weight * sp.Symbol(f"B_{size}")

        return _HALF * kernel(sp.sympify(x) / 2, sp.sympify(x) / 2) / kernel(sp.sympify(x), x)

    enclosures = [
        IntegralValue(value[sp.Symbol(name)], body, z, (0, _CUT), _ERROR) for name, body in parts
    ]
    kappa = sp.Symbol("A_1/2") / sp.Symbol("A_1")
    return Derivation(
        "reduction.not_tanh",
        "tanh obeys no reduction law",
        r"R(q) = \frac{\Theta(x, x)}{\Theta_{\mathrm{std}}(x, x)},\ |x|^2/d = q,\ c = \tfrac12:"
        r"\quad R(1) > c^2 + \tfrac{8}{100},\quad R(16) > R(1) + \tfrac{4}{100}",
        "one hidden tanh layer, both matrices pruned to density 1/2, survivors train, no gain; "
        "the integrals are within 2e-10",
        [
            Step(
                r"\Theta(x, x) = c\,[A(cq) + cq\,B(cq)],\quad A(q) = E\tanh^2(\sqrt q Z),\ "
                r"B(q) = E\operatorname{sech}^4(\sqrt q Z)",
                "the recursion with one hidden layer",
                _one_hidden_layer(),
            ),
            Step(
                r"0 \le \tanh^2,\ \operatorname{sech}^4 \le 1:\quad "
                r"\int_{|z| > 12} \le \operatorname{erfc}(12/\sqrt2) < 10^{-10}",
                "what the cut leaves out",
                AllOf(
                    (
                        Identity(1 - sp.tanh(z) ** 2, sp.sech(z) ** 2),
                        Sign(_ERROR - tail, ">0"),
                    )
                ),
            ),
            Step(
                r"A(q),\ B(q),\quad q = \tfrac12, 1, 8, 16",
                "rigorous quadrature on [0, 12]",
                AllOf(tuple(enclosures)),
            ),
            Step(
                r"R(1) - c^2 > \tfrac{8}{100}",
                "for all values within the error: not c^(L+1)",
                Sign(ratio(1) - sp.Rational(33, 100), ">0", _only(box, ratio(1))),
            ),
            Step(
                r"R(16) - R(1) > \tfrac{4}{100}",
                "so no other power either, and no common multiple",
                Sign(ratio(16) - ratio(1) - sp.Rational(4, 100), ">0", box),
            ),
            Step(
                r"\kappa(\tfrac12)/\kappa(1) > \tfrac12 + \tfrac{19}{100}",
                "already the forward step of [A] (58), S_1 = c S_1,std, fails",
                Sign(kappa - sp.Rational(69, 100), ">0", _only(box, kappa)),
            ),
        ],
        (),
        {
            "c^(L+1) within 8/100": Enclosure(
                ratio(1), _HALF**2, _only(box, ratio(1)), sp.Rational(8, 100)
            ),
            "[A] (58) within 19/100": Enclosure(
                kappa, _HALF, _only(box, kappa), sp.Rational(19, 100)
            ),
            "one ratio for all inputs": Enclosure(ratio(16), ratio(1), box, sp.Rational(4, 100)),
            "A(1) 5 % larger": IntegralValue(
                value[sp.Symbol("A_1")] * sp.Rational(21, 20), squares[1], z, (0, _CUT), _ERROR
            ),
        },
    )


def _only(
    box: dict[sp.Symbol, tuple[sp.Expr, sp.Expr]], expr: sp.Expr
) -> dict[sp.Symbol, tuple[sp.Expr, sp.Expr]]:
    return {symbol: ends for symbol, ends in box.items() if expr.has(symbol)}


def _one_hidden_layer() -> Identity:
    """The network's own recursion gives ``c [kappa(c q) + c q kappa_dot(c q)]``."""
    from theory.derivations.reduction_claims import ANY

    c, q = sp.symbols("c q", positive=True)
    found = independent_mask(ANY, [c, c]).kernel((q, q, q))
    return Identity(found, c * (ANY.second_moment(c * q) + c * q * ANY.second_moment_dot(c * q)))


@derivation("reduction.not_erf")
def _not_erf() -> Derivation:
    """erf, inputs of one norm: the kernel's shape changes too."""
    density = _HALF
    sparse = independent_mask("erf", [density, density]).profile()
    dense = standard_network(1, "erf").profile()
    ratio = sparse / dense
    alike, apart = ratio.subs(t, 1), ratio.subs(t, _HALF)
    fixed = independent_mask("erf", [(sp.S.One)] * 2).profile()
    return Derivation(
        "reduction.not_erf",
        "erf obeys no reduction law, even among inputs of one norm",
        r"R(t) = \frac{\Theta(x, x')}{\Theta_{\mathrm{std}}(x, x')},\ t = \cos(x, x'),\ "
        r"c = \tfrac12:\quad R(\tfrac12) > R(1) + \tfrac{2}{100},\quad R(1) > c^2 + \tfrac{8}{100}",
        "one hidden erf layer, |x|^2/d = |x'|^2/d = 1, both matrices pruned to density 1/2, "
        "survivors train, no gain; closed duals, so exact up to ball arithmetic",
        [
            Step(
                r"R(\tfrac12) - R(1) > \tfrac{2}{100}",
                "not a common multiple: the spectrum changes its shape",
                Sign(apart - alike - sp.Rational(2, 100), ">0"),
            ),
            Step(
                r"R(1) - c^2 > \tfrac{8}{100}",
                "nor the stated power",
                Sign(alike - density**2 - sp.Rational(8, 100), ">0"),
            ),
            Step(
                r"R = 1",
                "survivors rescaled by c^(-1/2), as the law for every activation says",
                Identity(fixed, dense),
            ),
        ],
        (),
        {
            "a common multiple": Identity(alike, apart),
            "c^2": Identity(alike, density**2),
            "c (no hidden-layer factor)": Identity(apart, density),
        },
    )


@derivation("reduction.input_layer")
def _input_layer() -> Derivation:
    """A graphon of the input layer that ties coordinates to neurons changes the shape."""
    blocks = [[[1, 0], [0, 1]], [[1, 1]]]
    network, dense = independent_mask("relu", blocks, 2), standard_network(1, "relu", 2)
    pairs = {"same": ((1, 1), (1, 1)), "orthogonal": ((1, 1), (1, -1))}
    found = {name: network.kernel(*pair) for name, pair in pairs.items()}
    full = {name: dense.kernel(*pair) for name, pair in pairs.items()}
    gap = found["orthogonal"] / full["orthogonal"] - found["same"] / full["same"]
    uniform = [[[_HALF, _HALF], [_HALF, _HALF]], [[1, 1]]]
    flat = independent_mask("relu", uniform, 2)
    return Derivation(
        "reduction.input_layer",
        "The input layer's graphon can change the shape of the spectrum",
        r"\frac{\Theta(x, x)}{\Theta_{\mathrm{std}}(x, x)} = \tfrac12,\qquad"
        r"\frac{\Theta(x, x')}{\Theta_{\mathrm{std}}(x, x')} = \tfrac{\pi}{2}\quad"
        r"(x = (1, 1),\ x' = (1, -1))",
        "one hidden ReLU layer of two halves, gain 2, each half sees one of two coordinates, "
        "dense output layer; the path-density law needs W_1 free of the coordinate (or a product)",
        [
            Step(
                r"\Theta(x, x) = \tfrac12\Theta_{\mathrm{std}}(x, x)",
                "both halves see the same size",
                Identity(found["same"] / full["same"], _HALF),
            ),
            Step(
                r"\Theta(x, x') = \tfrac{\pi}{2}\Theta_{\mathrm{std}}(x, x')",
                "one half sees equal inputs, the other opposite ones",
                Identity(found["orthogonal"] / full["orthogonal"], sp.pi / 2),
            ),
            Step(r"\tfrac{\pi}{2} - \tfrac12 > 1", "the two differ", Sign(gap - 1, ">0")),
            Step(
                r"\Theta = \tfrac12\Theta_{\mathrm{std}}",
                "the same density without the tie: both pairs get the path density",
                AllOf(
                    tuple(
                        Identity(flat.kernel(*pair), _HALF * full[name])
                        for name, pair in pairs.items()
                    )
                ),
            ),
        ],
        (),
        {
            "path density 1/2 for every pair": Identity(
                found["orthogonal"], _HALF * full["orthogonal"]
            ),
            "no change": Identity(found["same"], full["same"]),
        },
    )
