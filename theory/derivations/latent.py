"""Proofs about latent features: the score of a deep layer, its graphons, backward latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sympy as sp

from theory.derivation import AllOf, Antiderivative, Derivation, Identity, Induction, Step
from theory.derivations import derivation
from theory.latent import (
    backward_covariances,
    cut,
    graphon,
    hidden_scale,
    output_scale,
)
from theory.laws import Gaussian
from theory.ntk import standard_network
from theory.structural import StructuralSign

_g, _g2 = sp.symbols("g_l g_{l+1}", positive=True)
_below, _here, _above = sp.symbols("n_{l-1} n_l n_{l+1}", positive=True)
_t, _tau, _q, _kappa = sp.symbols("t tau q kappa", positive=True)
_M: Final = sp.Symbol("m", integer=True, positive=True)


class _Activation(sp.Function):
    """Any differentiable activation, with a free function as its derivative."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sp.Function("s'")(self.args[0])


def _free(expr: sp.Expr) -> sp.Expr:
    """The expression with the activation as a free function too: a value, not to be derived."""
    return expr.replace(_Activation, sp.Function("s"))


def _network() -> tuple[Callable[[sp.Expr], sp.Expr], dict[str, Any]]:
    """Two inputs, widths 1-2-2-1, any activation: the derivative of a fixed-residual loss."""
    n = {0: 1, 1: 2, 2: 2}
    gains = sp.symbols("g_1 g_2 g_3", positive=True)
    w1, w2 = sp.Matrix(2, 1, sp.symbols("u_1 u_2")), sp.Matrix(2, 2, sp.symbols("w_1:5"))
    a, x, r = (sp.Matrix(1, 2, sp.symbols(f"{name}_1 {name}_2")) for name in ("a", "x", "r"))
    s = [sp.sqrt(gains[i] / n[i]) for i in range(3)]
    h = [x]
    z = [s[0] * w1 * x]
    h.append(z[0].applyfunc(_Activation))
    z.append(s[1] * w2 * h[1])
    h.append(z[1].applyfunc(_Activation))
    f = s[2] * a * h[2]
    loss = sum(r[k] * f[k] for k in range(2))
    slope = [each.applyfunc(lambda e: _Activation(e).fdiff()) for each in z]
    b2 = sp.sqrt(gains[2]) * a.T * sp.ones(1, 2)  # neurons x inputs
    psi2 = slope[1].multiply_elementwise(b2)
    b1 = sp.sqrt(gains[1] / n[2]) * w2.T * psi2
    psi1 = slope[0].multiply_elementwise(b1)
    scores = {
        "w_1": (w1[0], hidden_scale(gains[0], n[0], n[1]), psi1[0, :], h[0][0, :]),
        "w_2": (w2[1], hidden_scale(gains[1], n[1], n[2]), psi2[0, :], h[1][1, :]),
        "a": (a[1], output_scale(gains[2], n[2]), sp.ones(1, 2), h[2][1, :]),
    }
    return lambda weight: _free(sp.diff(loss, weight)), {"scores": scores, "r": r}


def _inner(psi: sp.Matrix, h: sp.Matrix, r: sp.Matrix) -> sp.Expr:
    return sum(psi[k] * r[k] * h[k] for k in range(2))


@derivation("latent.score")
def _score() -> Derivation:
    """The score of every layer, and the order of its two factors."""
    slope, net = _network()
    # The loss is linear in r, so for the first layer's long sums one input says it all.
    single = {"w_1": {net["r"][1]: 0}}
    checks = {
        name: Identity(
            slope(weight).subs(single.get(name, {})),
            _free(scale * _inner(psi, h, net["r"])).subs(single.get(name, {})),
        )
        for name, (weight, scale, psi, h) in net["scores"].items()
    }
    weight, _, psi, h = net["scores"]["w_2"]
    s = sp.sqrt(_g / _below)
    unscaled = sp.Symbol("delta", real=True)
    term = sp.Symbol("E_{psi psi}", positive=True)
    index = sp.Symbol("i", integer=True, positive=True)
    count = sp.Symbol("N", integer=True, positive=True)
    variance = (_g2 / count) * sp.Sum(term, (index, 1, count))
    # z and b take two values each: (sdot, sdot') by z, (b, b') by b, with any chances.
    slopes = [sp.symbols(f"sdot_{k} sdot_{k}'", real=True) for k in (1, 2)]
    signals = [sp.symbols(f"b_{k} b_{k}'", real=True) for k in (1, 2)]
    p, q = sp.symbols("p q", positive=True)
    chances = [(p, 1 - p), (q, 1 - q)]
    separate = [
        sum(chance * x * y for chance, (x, y) in zip(own, values, strict=True))
        for own, values in zip(chances, (slopes, signals), strict=True)
    ]

    def joint(chance: Callable[[int, int], sp.Expr]) -> sp.Expr:
        """``E[sdot b sdot' b']`` over all four outcomes."""
        return sum(
            chance(i, k) * slopes[i][0] * signals[k][0] * slopes[i][1] * signals[k][1]
            for i in (0, 1)
            for k in (0, 1)
        )

    return Derivation(
        "latent.score",
        "The score of a deep layer is a weight times an inner product of latents",
        r"\frac{\partial\mathcal L}{\partial w_{ij}} = \kappa_l\,\langle\psi_i, h_j\rangle,\quad "
        r"\kappa_l = \sqrt{\tfrac{g_l}{n_{l-1} n_l}}\ (l \le L),\quad "
        r"\kappa_{L+1} = \sqrt{\tfrac{g_{L+1}}{n_L}}",
        "every differentiable activation, every width; sums over the batch, so a mean over it is "
        "one more factor, the same in all layers",
        [
            Step(
                r"\kappa_l = s_l/\sqrt{n_l},\qquad \delta_l = \psi_l/\sqrt{n_l}",
                "the derivative by w_ij is s_l times the sum over the batch of delta_i h_j",
                Identity(s * unscaled / sp.sqrt(_here),
                         hidden_scale(_g, _below, _here) * unscaled),
            ),
            Step(
                r"b_l = \sqrt{n_l}\,s_{l+1} W_{l+1}^T\delta_{l+1} = "
                r"\sqrt{g_{l+1}/n_{l+1}}\; W_{l+1}^T\psi_{l+1}",
                "in units in which the backward latents have order one",
                Identity(
                    sp.sqrt(_here) * sp.sqrt(_g2 / _here) / sp.sqrt(_above), sp.sqrt(_g2 / _above)
                ),
            ),
            Step(
                r"\frac{\partial\mathcal L}{\partial w_{ij}} = "
                r"\kappa_l\sum_k \sigma'(z_i(x_k))\,b_i(x_k)\,r(x_k)\,h_j(x_k)",
                "held against the derivative itself: two hidden layers, two inputs, any "
                "activation, a weight of each layer",
                AllOf(tuple(checks.values())),
            ),
            Step(
                r"\frac{g}{n}\sum_{i \le n} E[\psi_i\psi_i'] = g\,E[\psi\psi']",
                "covariance of b_l over fresh weights W_{l+1}: variances add, the width cancels",
                Identity(variance, _g2 * term),
            ),
            Step(
                r"E[\sigma' b\cdot\sigma'' b'] = \dot\Sigma\,B",
                "b is independent of z: all outcomes of two values each, with any chances",
                Identity(joint(lambda i, k: chances[0][i] * chances[1][k]), sp.Mul(*separate)),
                ("forward and backward latents of a dense network are independent in the limit",),
            ),
        ],
        ("the residual r is given; it does not move with one weight",),
        {
            "the target's width forgotten": Identity(
                slope(weight), _free(output_scale(sp.Symbol("g_2", positive=True), 2)
                                     * _inner(psi, h, net["r"]))
            ),
            "no derivative of the activation": Identity(
                slope(weight),
                _free(net["scores"]["w_2"][1] * sp.sqrt(sp.Symbol("g_3", positive=True))
                      * sum(sp.Symbol("a_1") * net["r"][k] * h[k] for k in range(2))),
            ),
            "output layer scaled like a hidden one": Identity(
                output_scale(_g, _below), hidden_scale(_g, _below, _here)
            ),
            "z and b dependent": Identity(
                joint(lambda i, k: chances[0][i] if i == k else sp.S.Zero), sp.Mul(*separate)),
            "source width in b": Identity(
                sp.sqrt(_here) * sp.sqrt(_g2 / _here) / sp.sqrt(_above), sp.sqrt(_g2 / _here)
            ),
        },
    )  # fmt: skip


@derivation("latent.graphons")
def _graphons() -> Derivation:
    """P and V of two neurons, and that only the size of one number matters."""
    t = cut(_tau, _kappa, _q)
    mask, variance = (graphon(which, _q, _tau, _kappa) for which in ("mask", "variance"))
    density = Gaussian().density(t)
    signed = sp.Symbol("p", real=True, nonzero=True)
    means = [graphon("mean", sign * _q, _tau, _kappa, signed=True) for sign in (1, -1)]
    return Derivation(
        "latent.graphons",
        "The graphons of a deep layer on latents",
        r"P = 2\bar\Phi(t),\quad V = P + 2t\varphi(t),\quad \mu = 0,\qquad "
        r"t = \frac{\tau}{\kappa\,|\langle\psi, h\rangle|}",
        "tau > 0, Gaussian weights, <psi, h> not zero; scores |w| kappa |<psi, h>|",
        [
            Step(
                r"P = \operatorname{erfc}(t/\sqrt2)",
                "two tails",
                Identity(mask, sp.erfc(t / sp.sqrt(2))),
            ),
            Step(r"V = P + 2t\varphi(t)", "second moment of two tails",
                 Identity(variance, mask + 2 * t * density)),
            Step(r"\mu = 0", "the score is even in the weight",
                 Identity(graphon("mean", _q, _tau, _kappa), sp.S.Zero)),
            Step(
                r"P(-q) = P(q),\quad V(-q) = V(q)",
                "the sign of <psi, h> does not matter: what the symmetry argument will need",
                AllOf(tuple(
                    Identity(graphon(which, -signed, _tau, _kappa),
                             graphon(which, signed, _tau, _kappa))
                    for which in ("mask", "variance")
                )),
            ),
            Step(
                r"\partial_q P = \frac{2t\varphi(t)}{q} > 0,\qquad "
                r"\partial_q V = \frac{2t^3\varphi(t)}{q} > 0",
                "neurons that agree are denser",
                AllOf((
                    Identity(sp.diff(mask, _q), 2 * t * density / _q),
                    Identity(sp.diff(variance, _q), 2 * t**3 * density / _q),
                    StructuralSign(2 * t * density / _q),
                    StructuralSign(2 * t**3 * density / _q),
                )),
            ),
            Step(
                r"0 \le V \le 1:\quad V'(t) = -2t^2\varphi(t),\ V(0) = 1,\ V(\infty) = 0",
                "as a function of the cut",
                Antiderivative(Gaussian().two_sided_second(_t),
                               -2 * _t**2 * Gaussian().density(_t), _t, {0: 1, sp.oo: 0}),
            ),
            Step(
                r"\mu = -\operatorname{sign}(q)\,\varphi(t)\quad\text{for } -w\kappa q \ge \tau",
                "the signed rule has a mean, E[w; w >= t] = phi(t) on the side that stays, and it "
                "is odd in <psi, h>",
                AllOf((
                    Identity(means[0], -density),
                    Identity(means[1], density),
                    Antiderivative(-Gaussian().density(_t), _t * Gaussian().density(_t), _t,
                                   {sp.oo: 0}),
                )),
            ),
        ],
        (),
        {
            "V = P": Identity(variance, mask),
            "one tail's edge": Identity(variance, mask + t * density),
            "the layer's scale forgotten": Identity(mask, graphon("mask", _q, _tau)),
            "the signed rule is even": Identity(means[1], means[0]),
            "the signed rule keeps weights of the sign of <psi, h>": Identity(means[0], density),
            "the signed rule's mean is that of the survivors alone": Identity(
                means[0], -density / graphon("mask", _q, _tau, _kappa, signed=True)),
            "V moves like P": Identity(sp.diff(variance, _q), 2 * t * density / _q),
        },
    )  # fmt: skip


@derivation("latent.backward")
def _backward() -> Derivation:
    """The backward covariance at every depth, and the dense kernel's contributions."""
    B = sp.Function("B", positive=True)
    gain, dot = sp.Function("g", positive=True), sp.Function("kappadot", positive=True)
    k = sp.Symbol("k", integer=True, positive=True)

    def claim(shift: int, also: Any = 1) -> Induction:
        """From the top: B(m) is that of layer L + 1 - m; g(m), kappadot(m) likewise."""
        closed = also * sp.Product(gain(k + shift), (k, 1, _M)) * sp.Product(dot(k), (k, 1, _M - 1))
        return Induction(
            _M, sp.Eq(B(_M), closed), {B(1): gain(1)}, {B(_M + 1): gain(_M + 1) * B(_M) * dot(_M)}
        )

    gains = sp.symbols("g_1:5", positive=True)
    dots = sp.symbols("kappadot_1:4", positive=True)
    network = standard_network(2, _any(), list(gains[:3]))
    solved = network.solve()
    states = [solved.covariance[i][0] for i in range(2)]
    slopes = [network.activation.kappa_dot(*state) for state in states]
    signals = [_mean_product(), *(network.activation.kappa(*state) for state in states)]
    B_ = backward_covariances(gains[:3], slopes)
    shares = [gains[i] * B_[i] * slopes[i] * signals[i] for i in range(2)]
    shares.append(gains[2] * signals[2])
    return Derivation(
        "latent.backward",
        "The covariance of backward latents",
        r"B_L = g_{L+1},\quad B_l = g_{l+1}\,B_{l+1}\,\dot\Sigma_{l+1} = "
        r"\prod_{k=l+1}^{L+1} g_k\prod_{k=l+1}^{L}\dot\Sigma_k",
        "every depth; entry by entry over pairs of inputs, the same for every output",
        [
            Step(r"B_{L+1-m} = \prod_{k \le m} g\prod_{k < m}\dot\Sigma",
                 "induction from the output down, layers counted from the top", claim(0)),
            Step(
                r"L = 3:\quad B_1, B_2, B_3",
                "the library's list",
                AllOf(tuple(
                    Identity(found, expected) for found, expected in zip(
                        backward_covariances(gains, dots),
                        (gains[1] * gains[2] * gains[3] * dots[1] * dots[2],
                         gains[2] * gains[3] * dots[2], gains[3]), strict=True)
                )),
            ),
            Step(
                r"g_l\,E[\psi\psi'] \,E[hh'] = g_l\,(B_l\dot\Sigma_l)\,\Sigma_{l-1},\qquad "
                r"g_{L+1}\,\Sigma_L",
                "the layers' shares are those of the dense tangent kernel (L = 2, free duals): "
                "nothing was lost in the change of units",
                AllOf(tuple(
                    Identity(ours, theirs)
                    for ours, theirs in zip(shares, solved.contributions, strict=True)
                )),
            ),
        ],
        ("one output at a time: latents of different outputs are independent",),
        {
            "the gain of the layer below": claim(1),
            "5 % more": claim(0, sp.Rational(21, 20)),
            "own derivative counted twice": Identity(
                gains[1] * B_[1] * slopes[1] ** 2 * signals[1], solved.contributions[1]),
        },
    )  # fmt: skip


def _any() -> Any:
    from theory.derivations.reduction_claims import ANY

    return ANY


def _mean_product() -> sp.Expr:
    """Mean product of the two inputs' coordinates."""
    from theory.dual import q12

    return q12
