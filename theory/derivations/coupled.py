"""The coupled kernel as a chain: what is proved of it, and the two statements it rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import sympy as sp

from theory.coupled import contribution, selected
from theory.derivation import AllOf, Cited, Derivation, Identity, Step
from theory.derivations import derivation
from theory.derivations.coupled_conditioning import given_signals
from theory.derivations.coupled_examples import (
    Masks,
    kernel_by_definition,
    kernel_by_shares,
    last_share,
)
from theory.latent import graphon, hidden_scale
from theory.laws import Gaussian
from theory.words import MatrixIdentity, matrices, transpose

_g, _below, _here = sp.symbols("g n_{l-1} n_l", positive=True)
_t, _n = sp.symbols("t n", positive=True)
_m, _q = sp.symbols("m q", real=True)
_GAUSS: Final = Gaussian()

_H, _Ht, _K, _T, _Tt, _D = matrices("H H^T K T T^T D")
_h, _ht = sp.Matrix([[1, 2, 0], [0, 1, 1]]), sp.Matrix([[1, -1, 2], [0, 3, 1]])
_EXAMPLE: Final = {
    _H: _h, _Ht: _h.T, _K: (_h * _h.T).inv(), _T: _ht, _Tt: _ht.T,
    _D: sp.diag(sp.Rational(1, 2), sp.Rational(1, 3), sp.Rational(1, 5)),
}  # fmt: skip


def _conditioned(kept: sp.Expr) -> MatrixIdentity:
    """Projection and selection noise against ``kept - R Sigma^-1 R'``, in units of g/n."""
    cross = _T * _D * _Ht
    found = _T * _D * (1 - _Ht * _K * _H) * _D * _Tt + _T * (_D - _D * _D) * _Tt
    regressed = cross * _K * transpose(cross, {_H: _Ht, _T: _Tt})
    facts = ((_H * _Ht * _K, sp.S.One), (_K * _H * _Ht, sp.S.One))
    return MatrixIdentity(found, kept - regressed, facts, _EXAMPLE)


_MASKS: Final[tuple[Masks, ...]] = (
    ([[1, 0], [1, 1]], [[1, 1], [0, 1]]),
    ([[0, 1], [1, 1]], [[1, 0], [1, 1]]),
)
"""Two masks of a network with two inputs, two hidden neurons and two outputs."""


def _held_to_definition(
    last: Callable[[Masks, int, int, sp.Matrix], sp.Expr], cases: Sequence[Masks] = _MASKS[:1]
) -> AllOf:
    """The shares, with this one for the output layer, against sums over all weights."""
    return AllOf(tuple(
        Identity(found, expected)
        for masks in cases
        for found, expected in zip(
            kernel_by_shares(masks, partial(last, masks)), kernel_by_definition(masks), strict=True)
    ))  # fmt: skip


def _by_output(masks: Masks, o: int, p: int, signal: sp.Matrix) -> sp.Expr:
    return last_share(masks, o, signal) if o == p else sp.S.Zero


def _over_outputs(masks: Masks, o: int, p: int, signal: sp.Matrix) -> sp.Expr:
    """The mistake: the output layer's share as a mean over its targets too."""
    return (
        (last_share(masks, 0, signal) + last_share(masks, 1, signal)) / 2 if o == p else sp.S.Zero
    )


@derivation("coupled.kernel")
def _kernel() -> Derivation:
    """From gradients of the pruned network to a mean over pairs of latents."""
    s = sp.sqrt(_g / _below)
    P = sp.Matrix(2, 3, sp.symbols("P_11 P_12 P_13 P_21 P_22 P_23", positive=True))
    back, forth = sp.symbols("e_1 e_2", real=True), sp.symbols("f_1:4", real=True)
    share = contribution(P, back, forth, _g)
    written = sum(P[i, j] * back[i] * forth[j] for i in range(2) for j in range(3))
    apart = _g * sp.Add(*P) / 6 * sp.Add(*back) / 2 * sp.Add(*forth) / 3
    move = [sp.diff(selected(_GAUSS, 0, _t, _m), _m, k).subs(_m, 0) for k in (1, 2)]
    return Derivation(
        "coupled.kernel",
        "The tangent kernel as a mean over pairs of neurons",
        r"\Theta_{oo'} = \sum_{l=1}^{L} g_l\,E_{ij}\big[P_{ij}\,\tilde\chi_{io}"
        r"\tilde\chi_{io'}'\,\tilde h_j\tilde h_j'\big] + "
        r"\delta_{oo'}\,g_{L+1}\,E_j\big[M_{oj}\,\tilde h_j\tilde h_j'\big]",
        "survivors train; hidden layers with wide sources and targets, any number of outputs. In "
        "the first and the output layer the mask is that of drawn weights, M_ij for P_ij when "
        "l = 1; the output layer's share is no mean over the outputs",
        [
            Step(
                r"\frac{\partial f}{\partial w_{ij}} = s_l M_{ij}\,\tilde\delta_i\tilde h_j,\qquad "
                r"s_l^2\,\tilde\delta\tilde\delta' = \frac{g_l}{n_{l-1}n_l}\,\tilde\chi\tilde\chi'",
                "derivatives of the pruned network, in units in which latents have order one",
                AllOf((
                    Identity(s**2 / _here, _g / (_below * _here)),
                    Identity(hidden_scale(_g, _below, _here) ** 2, _g / (_below * _here)),
                )),
            ),
            Step(
                r"\sum_w\frac{\partial f_o}{\partial w}\frac{\partial f_{o'}'}{\partial w} = "
                r"g_1E_{ij}\big[M_{ij}\,\tilde\chi_{io}\tilde\chi_{io'}'\,x_jx_j'\big] + "
                r"\delta_{oo'}\,g_2\,E_j\big[M_{oj}\,\tilde h_j\tilde h_j'\big]",
                "from the definition: two outputs, two hidden neurons, any activation and any "
                "weights, two masks. A product of gradients has the mask once, since M^2 = M; an "
                "output weight reaches one output, so its layer's share has no mean over outputs",
                _held_to_definition(_by_output, _MASKS),
            ),
            Step(
                r"\partial_m P\big|_0 = 0,\qquad \partial_m^2 P\big|_0 = 2t\varphi(t)",
                "M_ij is made by w_ij, and so are, in a small part, chi~_i and h~_j: they shift "
                "w_ij by m = O(n^(-1/2)), and P feels that to second order only",
                AllOf((Identity(move[0], 0), Identity(move[1], 2 * _t * _GAUSS.density(_t)))),
            ),
            Step(
                r"\frac{g}{n_{l-1}n_l}\sum_{i,j}P_{ij}\,\tilde\chi_i\tilde\chi_i'\,"
                r"\tilde h_j\tilde h_j'",
                "the library's exact share of a layer: two targets, three sources",
                Identity(share, _g * written / 6),
            ),
            Step(
                r"E_{ij}[P_{ij}\cdots] - E[P]\,E[\tilde\chi\tilde\chi']\,E[\tilde h\tilde h'] = 0"
                r"\ \text{if}\ P\ \text{is constant}",
                "and not otherwise: neurons that agree are denser and their signals larger",
                Identity((share - apart).subs(dict.fromkeys(P, sp.Symbol("c", positive=True))), 0),
            ),
        ],
        ("the means over pairs of neurons have limits: see coupled.recursion",),
        {
            "P squared": Identity(share.subs({x: x**2 for x in P}), _g * written / 6),
            "means multiply": Identity(share, apart),
            "mean over the outputs too": _held_to_definition(_over_outputs),
            "output weights shared by the outputs": _held_to_definition(
                lambda masks, o, p, signal: last_share(masks, o, signal)),
            "the mask moves to first order": Identity(move[0], 2 * _t * _GAUSS.density(_t)),
            "source width only": Identity(s**2, _g / (_below * _here)),
        },
    )  # fmt: skip


@derivation("coupled.recursion")
def _recursion() -> Derivation:
    """The whole chain, conditional on two limit theorems."""
    gain = sp.Symbol("V", positive=True)
    slope = sp.diff(selected(_GAUSS, 1, _t, _m), _m).subs(_m, 0)
    return Derivation(
        "coupled.recursion",
        "The coupled recursion",
        r"\tilde z_i \mid z_i, b_i \sim N(R_i\Sigma^{-1}z_i,\, Q_i - R_i\Sigma^{-1}R_i^T),\quad "
        r"\tilde b_j \mid z_j, b_j, \tilde z_j \sim N(S_jB^{-1}b_j,\, U_j - S_jB^{-1}S_j^T),\quad "
        r"\Theta_{oo'} = \sum_{l \le L} g_l E_{ij}[P_{ij}\tilde\chi_{io}\tilde\chi_{io'}'"
        r"\tilde h_j\tilde h_j'] + \delta_{oo'}\,g_{L+1}E_j[M_{oj}\tilde h_j\tilde h_j']",
        "widths to infinity, batch and residual fixed, scores |w| |<psi, h>| of the dense network",
        [
            Step(
                r"z_i \sim N(0, \Sigma),\ b_{io} \sim N(0, B)\ \text{independent}",
                "dense latents, both directions",
                Cited(
                    "in a wide dense network forward and backward signals of finitely many inputs "
                    "are jointly Gaussian, the two directions independent",
                    "Yang 2020, Tensor Programs II and III",
                ),
                ("output weights not used in the forward pass: true for the NTK",),
            ),
            Step(
                r"W_l \mid \text{all dense signals}:\ \text{Gaussian, independent over } l,\ "
                r"m_{ij} = s\,h_j^T\Sigma^{-1}z_i + s'\chi_i^TB^{-1}b_j + O(n^{-1})",
                "each signal is linear in the next weights: the fit has the given products, the "
                "rest is uncorrelated with them, at every width (coupled.weights_given_signals)",
                given_signals(),
            ),
            Step(
                r"E[M_{ij}w_{ij}] = V_{ij}\,m_{ij} + O(m^3)",
                "a survivor feels a small mean with slope V (coupled.selection)",
                Identity(slope, graphon("variance", 1, _t)),
            ),
            Step(
                r"\operatorname{Cov}(\tilde z_i \mid z_i, b_i) = Q_i - R_i\Sigma^{-1}R_i^T",
                "projection and noise of the selection (coupled.forward); the same with targets "
                "for sources backward (coupled.backward)",
                _conditioned(_T * _D * _Tt),
            ),
            Step(
                r"E_j[V_{ij}\tilde h_jb_j^T] = 0,\qquad E_i[V_{ij}\tilde\chi_i\,k(z_i, \tilde z_i)]"
                r" = 0",
                "joint sign flip of b and b~ (coupled.symmetry): V is even",
                Identity(graphon("variance", -_q, _t), graphon("variance", _q, _t)),
            ),
            Step(
                r"\text{latents of different neurons are independent in the limit}",
                "so that sums over neurons are means",
                Cited(
                    "propagation of chaos for the pair of networks",
                    "assumed; masks act on single entries of the weights, which the master "
                    "theorems of tensor programs do not cover. Claims on finite networks test it",
                ),
            ),
            Step(
                r"M_{ij} \to P_{ij}",
                "P moves to second order only (coupled.kernel)",
                Identity(sp.diff(selected(_GAUSS, 0, _t, _m), _m).subs(_m, 0), 0),
            ),
        ],
        (
            "first and output layer: weights drawn and masked as they are, M_ij for P_ij when "
            "l = 1; z~ of the first layer is Gaussian for many inputs, none of which dominates",
            "Gaussian weights; for another even law V is that law's, and the dense signals are "
            "Gaussian all the same",
            "scores by magnitude, V and P of the weights' law",
        ),
        {
            "independent masks: no regression": _conditioned(
                _T * _D * _Tt + _T * _D * _Ht * _K * _H * _D * _Tt),
            "slope P": Identity(slope, graphon("mask", 1, _t)),
            "a rule that sees signs": Identity(
                graphon("mean", -sp.Symbol("q", positive=True), _t, signed=True),
                graphon("mean", sp.Symbol("q", positive=True), _t, signed=True)),
            "survivors' own variance": Identity(slope, gain / graphon("mask", 1, _t)),
        },
    )  # fmt: skip


@derivation("coupled.sampling")
def _sampling() -> Derivation:
    """How the conditional law is drawn without a matrix factorised for every neuron."""
    S, Si, R, Rt, Q = matrices("Sigma Sigma^{-1} R R^T Q")
    sigma, cross = sp.Matrix([[2, 1], [1, 2]]), sp.Matrix([[1, 2], [3, 5]])
    example = {S: sigma, Si: sigma.inv(), R: cross, Rt: cross.T, Q: sp.Matrix([[40, 1], [1, 50]])}
    facts = ((S * Si, sp.S.One), (Si * S, sp.S.One))
    fit = R * Si
    spread = Q - fit * Rt - R * transpose(fit, {R: Rt}) + fit * S * transpose(fit, {R: Rt})
    V = sp.Symbol("V", positive=True)
    x, y = sp.symbols("xi xi'", real=True)
    kept = sp.sqrt(V) * x
    weight = kept + sp.sqrt(1 - V) * y

    def mean(product: sp.Expr) -> sp.Expr:
        """Expectation over independent standard normal xi, xi' of a quadratic form."""
        form = sp.Poly(sp.expand(product), x, y)
        return form.coeff_monomial(x**2) + form.coeff_monomial(y**2)

    def words(lhs: sp.Expr, rhs: sp.Expr) -> MatrixIdentity:
        return MatrixIdentity(lhs, rhs, facts, example)

    return Derivation(
        "coupled.sampling",
        "Drawing pruned signals given dense ones",
        r"\tilde z = \tilde z_0 + R\Sigma^{-1}(z - z_0)\sim N(R\Sigma^{-1}z,\ "
        r"Q - R\Sigma^{-1}R^T)\ \text{given}\ z",
        "(z_0, z~_0) any pair with the joint law of (z, z~), drawn afresh; one matrix product per "
        "population instead of one factorisation per neuron",
        [
            Step(
                r"u = \sqrt V\,\xi,\ w = u + \sqrt{1 - V}\,\xi':\quad "
                r"E[w^2] = 1,\ E[u^2] = E[uw] = V",
                "Gaussians with the moments of w and M w: what a sum over many sources sees",
                AllOf((Identity(mean(weight**2), 1), Identity(mean(kept**2), V),
                       Identity(mean(kept * weight), V))),
            ),
            Step(
                r"\operatorname{Cov}(\tilde z_0 - R\Sigma^{-1}z_0) = Q - R\Sigma^{-1}R^T",
                "the fresh pair, less its own regression: independent of z, right covariance",
                words(spread, Q - fit * Rt),
            ),
            Step(
                r"V = 1,\ \tilde h = h:\quad \tilde z_0 = z_0,\ R = \Sigma:\quad \tilde z = z",
                "nothing is lost where nothing is pruned, at any number of samples",
                words(S * Si, 1),
            ),
        ],
        (),
        {
            "no correction": words(Q, Q - fit * Rt),
            "w and M w independent": Identity(mean(kept * weight), 0),
            "unit survivors": Identity(mean(kept**2), 1),
        },
    )  # fmt: skip
