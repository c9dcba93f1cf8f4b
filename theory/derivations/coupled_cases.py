"""Proofs of the coupled kernel's special cases: dense, Magnitude, one hidden layer."""

from __future__ import annotations

from typing import Any, Final

import sympy as sp

from theory import criteria
from theory.coupled import contribution, regression, source_moments
from theory.derivation import AllOf, Derivation, Identity, Sign, Step
from theory.derivations import derivation
from theory.derivations.reduction_claims import ANY, LINEAR, constant, multiple
from theory.duals import ReLU
from theory.latent import backward_covariances
from theory.laws import Gaussian
from theory.ntk import GraphonNetwork, LayerGraphon, standard_network
from theory.ntk_depth import layer as n
from theory.symbols import rho
from theory.words import MatrixIdentity, matrices

_v = sp.Symbol("v_0", positive=True)
_g = sp.Symbol("g", positive=True)
_S, _Si, _R, _Rt, _Q = matrices("Sigma Sigma^{-1} R R^T Q")
_sigma, _cross = sp.Matrix([[2, 1], [1, 2]]), sp.Matrix([[1, 2], [3, 5]])
_EXAMPLE: Final[dict[Any, Any]] = {
    _S: _sigma, _Si: _sigma.inv(), _R: _cross, _Rt: _cross.T,
    _Q: sp.Matrix([[40, 1], [1, 50]]), _v: sp.Rational(1, 2),
}  # fmt: skip
_FACTS: Final = ((_S * _Si, sp.S.One), (_Si * _S, sp.S.One))


def _words(lhs: Any, rhs: Any) -> MatrixIdentity:
    return MatrixIdentity(lhs, rhs, _FACTS, _EXAMPLE)


def _mixture() -> sp.Expr:
    """Covariance of z~ over z ~ N(0, Sigma)."""
    return _R * _Si * _S * _Si * _Rt + _Q - _R * _Si * _Rt


@derivation("coupled.dense")
def _dense() -> Derivation:
    """Density one: the dense tangent kernel, layer by layer."""
    gains = sp.symbols("g_1:4", positive=True)
    solved = standard_network(2, ANY, list(gains)).solve()
    states = [solved.covariance[i][0] for i in (0, 1)]
    kappa = [ANY.kappa(*state) for state in states]
    dots = [ANY.kappa_dot(*state) for state in states]
    B = backward_covariances(gains, dots)
    q = sp.Symbol("q12", real=True)
    inputs = solved.covariance[0][0][2] / gains[0]
    shares = [
        contribution([[1]], [B[0] * dots[0]], [inputs], gains[0]),
        contribution([[1]], [B[1] * dots[1]], [kappa[0]], gains[1]),
        contribution([[1]], [1], [kappa[1]], gains[2]),
    ]
    return Derivation(
        "coupled.dense",
        "Nothing pruned: the coupled kernel is the dense kernel",
        r"P = V = 1:\quad \tilde z = z,\ \tilde b = b\ \text{on the batch},\qquad "
        r"\Theta = \sum_{l=1}^{L+1} g_l\,(B_l\dot\Sigma_l)\,\Sigma_{l-1} = \Theta_{\mathrm{std}}",
        "every activation; shares written out for L = 2, the backward product for every depth in "
        "latent.backward; evaluation inputs need not be in the batch",
        [
            Step(
                r"R = \Sigma,\ Q = \Sigma:\quad R\Sigma^{-1} = 1,\ Q - R\Sigma^{-1}R^T = 0",
                "on the batch itself",
                AllOf((_words((_R * _Si).subs(_R, _S), 1),
                       _words((_Q - _R * _Si * _Rt).subs({_Q: _S, _R: _S, _Rt: _S}), 0))),
            ),
            Step(
                r"E[\tilde z\tilde z^T] = Q,\quad E[\tilde z z^T] = R\Sigma^{-1}\Sigma = R",
                "elsewhere: with V = 1, R and Q are the dense covariances between the inputs, and "
                "the pair has them jointly",
                AllOf((_words(_mixture(), _Q), _words(_R * _Si * _S, _R))),
            ),
            Step(
                r"g_l\,E[\chi\chi']\,E[hh'] = \text{share}_l",
                "with P = 1 the mean over pairs of neurons is a product",
                AllOf(tuple(Identity(ours, theirs) for ours, theirs in
                            zip(shares, solved.contributions, strict=True))),
            ),
            Step(
                r"\Theta = \Theta_{\mathrm{std}}",
                "the sum of the shares is the forward recursion's kernel",
                Identity(sp.Add(*shares), solved.ntk),
            ),
        ],
        ("the dense network's latents of both directions are independent",),
        {
            "the output layer's share missing": Identity(sp.Add(*shares[:-1]), solved.ntk),
            "one gain too many": Identity(shares[0] * gains[0], solved.contributions[0]),
            "fresh noise on the batch": _words(
                (_Q - _R * _Si * _Rt).subs({_Q: _S, _R: _S, _Rt: _S}), _S),
            "inputs not averaged": Identity(shares[0], solved.contributions[0] + q),
        },
    )  # fmt: skip


@derivation("coupled.magnitude")
def _magnitude() -> Derivation:
    """Constant V: coupling changes the pair, but neither marginal, so the kernel is uncoupled."""
    limit = criteria.magnitude().limit(rho)
    domain = {rho: (sp.Rational(1, 100), sp.Rational(99, 100))}
    density = Gaussian().density(limit.threshold)
    first = {_R: _v * _S, _Rt: _v * _S, _Q: _v * _S}
    pairs, weights = sp.symbols("e_1:4 f_1:4", real=True)[:3], sp.symbols("f_1:4", real=True)
    q, _, _ = source_moments([_v] * 3, [pairs], [weights], gain=_g)
    psi, signal = sp.symbols("p_1:3", real=True), sp.symbols("s_1:4", real=True)
    share = contribution(sp.ones(2, 3) * rho, psi, signal, _g)
    corr, size = sp.symbols("c Sigma", positive=True)
    level = sp.Symbol("l", integer=True, positive=True)
    at = _v ** (sp.Rational(1, 2) * level)
    hat = LINEAR.angular
    carried = _v * _g * LINEAR.kappa(size, _v**level * size, corr * at * size)
    ahead = _g * LINEAR.kappa(size, size, size)
    mean = sp.Symbol("E_psi", positive=True) * sp.Symbol("E_h", positive=True)
    z, t = sp.Symbol("z", real=True), sp.Symbol("t", positive=True)
    relu = (z + sp.Abs(z)) / 2
    # Two coordinates, inputs e_1 and e_2: z~ = sqrt(g/2) (M_1 w_1, M_2 w_2), two free weights.
    few = _g / 2 * Gaussian().mean_above(t) ** 2
    kept = Gaussian().two_sided_second(t)
    many = ReLU().kappa(size, size, 0).subs(size, _g / 2 * kept)
    gap = sp.diff(many - few, t) / (t * Gaussian().density(t))
    return Derivation(
        "coupled.magnitude",
        "Magnitude: the coupled kernel is the uncoupled one",
        r"V_{ij} = v,\ P_{ij} = \rho:\quad \Theta = \text{the recursion with}\ V = v,\ T = \rho;"
        r"\qquad \sigma\ \text{homogeneous, degree 1}:\ \Theta = \rho\,v^L\,\Theta_{\mathrm{std}}",
        "every depth L, every activation (the factor: homogeneous ones), all layers pruned to rho "
        "by a threshold of their own; many inputs, none of which dominates x x^T",
        [
            Step(
                r"P = \rho,\quad V = v = \rho + 2t\varphi(t)",
                "the cut is the same for all pairs of neurons",
                AllOf((Identity(limit.mask, rho, domain=domain),
                       Identity(limit.variance, rho + 2 * limit.threshold * density,
                                domain=domain))),
            ),
            Step(
                r"L = 1:\quad \tilde z = v\,z + \sqrt{v - v^2}\cdot\text{fresh}",
                "first layer, on the batch: R = Q = v Sigma",
                AllOf((_words((_R * _Si).subs(first), _v),
                       _words((_Q - _R * _Si * _Rt).subs(first), (_v - _v**2) * _S))),
            ),
            Step(
                r"E_j[V\tilde h\tilde h'] = v\,E_j[\tilde h\tilde h'],\qquad "
                r"E_{ij}[P\,\tilde\chi\tilde\chi'\tilde h\tilde h'] = "
                r"\rho\,E_i[\tilde\chi\tilde\chi']\,E_j[\tilde h\tilde h']",
                "constants leave the means: Q is the same for all targets",
                AllOf((Identity(q[0], _v * _g * sp.Add(*[x**2 for x in pairs]) / 3),
                       Identity(share, rho * _g * (sp.Add(*psi) / 2) * (sp.Add(*signal) / 3)))),
            ),
            Step(
                r"\tilde z_i \sim N(0, Q)",
                "averaged over z the regression is forgotten; the same backward: the marginal "
                "laws obey the recursion with V = v, T = rho, for every activation",
                _words(_mixture(), _Q),
                ("the first layer has d coordinates and its weights are masked as they are: z~_1 "
                 "is Gaussian for many inputs, none of which dominates x x^T, by a central limit "
                 "theorem over coordinates",),
            ),
            Step(
                r"\text{any } d:\quad \sigma(z)^2 + \sigma(-z)^2 = z^2,\qquad "
                r"E[\sigma(\tilde z)^2] = \tfrac12 E[\tilde z^2]",
                "with few inputs too the diagonal is exact for ReLU (likewise for homogeneous "
                "activations), since z~_1 has an even law",
                AllOf((Identity(relu**2 + relu.subs(z, -z) ** 2, z**2),
                       Identity(ReLU().kappa(size, size, size), size / 2))),
            ),
            Step(
                r"d = 2,\ x = e_1,\ x' = e_2:\quad E[\sigma(\tilde z)\sigma(\tilde z')] = "
                r"\tfrac g2\varphi(t)^2 < \tfrac g2\cdot\frac{v}{2\pi}",
                "off the diagonal it is not: two weights, ReLU, against the dual at covariance v. "
                "The gap is 0 without pruning, rises while t e^(t^2/2) < sqrt(2 pi), and falls to "
                "0 after",
                AllOf((
                    Identity(many, _g * kept / (4 * sp.pi)),
                    Identity(few, _g * Gaussian().density(t) ** 2 / 2),
                    Identity(gap, _g * (sp.sqrt(2 * sp.pi) * sp.exp(-(t**2) / 2) - t)
                             / (2 * sp.pi)),
                    Identity(sp.limit(many - few, t, 0), 0),
                    Identity(sp.limit(many - few, t, sp.oo), 0),
                    Sign(((many - few) / _g).simplify(), ">0",
                         {t: (sp.Rational(1, 10), sp.Integer(3))}),
                )),
            ),
            Step(
                r"\tilde\Sigma_n = v^n\,\tilde\Sigma_n^{\mathrm{std}},\quad"
                r"\tilde\Theta_n = \rho\,v^{n-1}\,\tilde\Theta_n^{\mathrm{std}}",
                "induction over layers, homogeneous activations of degree one; at n = L + 1 "
                "rho v^L",
                multiple(LINEAR, constant(_v), constant(rho), _v**n, rho * _v ** (n - 1)),
            ),
            Step(
                r"c_1 = \sqrt v,\qquad c_{l+1} = \sqrt v\,\hat\kappa(c_l)",
                "what coupling does do: correlation of z~ and z at one input, with the dual "
                "normalised to one at one; pruned and dense drift apart with depth",
                AllOf((
                    Identity(_v / sp.sqrt(_v * 1), sp.sqrt(_v)),
                    Identity(carried / (sp.sqrt(_v) * at * ahead),
                             sp.sqrt(_v) * hat(corr) / hat(1)),
                )),
            ),
        ],
        (
            "each layer has its own threshold, and the weights' law is one in all layers",
            "many inputs, none of which dominates x x^T: a central limit theorem over coordinates; "
            "with few inputs exact for the diagonal of homogeneous activations only",
        ),
        {
            "rho for v": multiple(LINEAR, constant(rho), constant(rho), _v**n, rho * _v ** (n - 1)),
            "rho^(L+1)": multiple(LINEAR, constant(_v), constant(rho), _v**n, rho**n),
            "z~ = sqrt(v) z": _words((_Q - _R * _Si * _Rt).subs(first), 0),
            "z~ = v z alone": _words((_R * _Si).subs(first) * _S * (_R * _Si).subs(first), _v * _S),
            "two coordinates are many": Identity(few, many),
            "the mean of P psi h for a mask that is not constant": Identity(
                contribution([[rho, 0], [0, rho]], psi, signal[:2], _g),
                rho * _g * mean),
        },
    )  # fmt: skip


@derivation("coupled.one_hidden_layer")
def _one_hidden_layer() -> Derivation:
    """One hidden layer: nothing to condition on, and the saliency-mask kernel comes out."""
    V, P = (
        sp.Matrix(2, 2, sp.symbols("V_11 V_12 V_21 V_22", positive=True)),
        sp.Matrix(2, 2, sp.symbols("P_11 P_12 P_21 P_22", positive=True)),
    )
    a = sp.symbols("a_1 a_2", positive=True)
    x, y = sp.symbols("x_1 x_2", real=True), sp.symbols("y_1 y_2", real=True)
    gains = sp.symbols("g_1 g_2", positive=True)
    network = GraphonNetwork(ANY, [
        LayerGraphon(V, P, gains[0]),
        LayerGraphon([[a[0] ** 2, a[1] ** 2]], sp.S.One, gains[1]),
    ])  # fmt: skip
    solved = network.solve(x, y)
    # The two kinds' duals by name, once their arguments have been shown to be the same.
    named: dict[Any, Any] = {}
    duals, dots = sp.symbols("k_1 k_2"), sp.symbols("kdot_1 kdot_2")
    states, backward = [], []
    for i in (0, 1):
        q, _, _ = source_moments(list(V.row(i)), [x, y], [x, y], gains[0])
        states.append((q[0, 0], q[1, 1], q[0, 1]))
        backward.append(gains[1] * a[i] ** 2 * dots[i])
        known = solved.covariance[0][i]
        named |= {ANY.kappa(*known): duals[i], ANY.kappa_dot(*known): dots[i]}
    shares = [sp.sympify(share).xreplace(named) for share in solved.contributions]
    products = [p * q for p, q in zip(x, y, strict=True)]
    first = contribution(P, backward, products, gains[0])
    last = contribution([[1, 1]], [1], duals, gains[1])
    residual, slope = sp.symbols("r_1:4", real=True), sp.symbols("D_1:4", real=True)
    pixel = sp.symbols("u_1:4", real=True)
    b = sp.Symbol("b", real=True)
    inner = sum(s * b * r * u for s, r, u in zip(slope, residual, pixel, strict=True))
    factor = sum(s * r * u for s, r, u in zip(slope, residual, pixel, strict=True))
    flat = contribution(sp.ones(2, 2) * sp.Add(*P) / 4, backward, products, gains[0])
    return Derivation(
        "coupled.one_hidden_layer",
        "One hidden layer: the coupled kernel is the saliency-mask kernel",
        r"\Theta = \frac{g_1}{d}\sum_j x_jx_j'\int P(u_j, v)\,g_2\,c(v)^2\,\dot S_1(v)\,dv + "
        r"g_2\int S_1(v)\,dv",
        "every activation; two coordinates and two kinds of neurons with free P, V and output "
        "weights; dense output layer",
        [
            Step(
                r"\langle\psi_i, x_j\rangle = b_i\sum_k \sigma'(z_i(x_k))\,r(x_k)\,x_{kj}",
                "one output, b_i = sqrt(g_2) a_i: factorised once the sum is the same for all "
                "neurons, |b_i| times r_j",
                Identity(inner, b * factor),
                ("the batch average of sigma' r x_j does not depend on the neuron: odd "
                 "activations, many samples",),
            ),
            Step(
                r"E[\tilde z_i(x)\tilde z_i(x')] = \frac{g_1}{d}\sum_j V_{ij}x_jx_j'",
                "the inputs of the layer are not random: z~_i is a sum over w_i, masked as they "
                "are; its covariance is that of the limit",
                AllOf(tuple(Identity(found, expected)
                            for state, known in zip(states, solved.covariance[0], strict=True)
                            for found, expected in zip(state, known, strict=True))),
            ),
            Step(
                r"g_1\,E_{ij}[P_{ij}\,b_i^2\,\sigma'(\tilde z_i)\sigma'(\tilde z_i')\,x_jx_j']",
                "first layer's share; output weights stay with their neuron, second moment c(v)^2",
                Identity(first, shares[0]),
            ),
            Step(r"g_2\,E_i[\tilde h_i\tilde h_i']", "the dense output layer's share",
                 Identity(last, shares[1])),
            Step(r"\Theta = \Theta_{\text{saliency mask}}", "the sum",
                 Identity(first + last, solved.ntk.xreplace(named))),
        ],
        ("d is large: z~_i is Gaussian given c(v)",),
        {
            "V for P in the share": Identity(
                contribution(V, backward, products, gains[0]), shares[0],
                domain=dict.fromkeys(P, (0, sp.Rational(1, 2)))),
            "P for V in the covariance": Identity(
                source_moments(list(P.row(0)), [x, y], [x, y], gains[0])[0][0, 1],
                solved.covariance[0][0][2]),
            "output weights of variance one": Identity(
                contribution(P, [s / a[i] ** 2 for i, s in enumerate(backward)], products,
                             gains[0]), shares[0]),
            "the mean density everywhere": Identity(flat, shares[0]),
        },
    )  # fmt: skip


def pruned_given_dense(v: Any, size: Any) -> tuple[sp.Expr, sp.Expr]:
    """Magnitude's first layer: weight of z in z~, and variance of the rest (for tests)."""
    found = regression([[v * size]], [[v * size]], [[size]])
    return found.weights[0], found.covariance[0]
