"""Proofs about Gaussian conditioning: weights given dense signals, pruned signals given both.

Matrices have any size: ``H`` is the batch's activations (inputs x sources), ``T`` those of the
pruned network (called h~ in the text), ``D`` the diagonal of V over the sources, ``Psi`` the
backward latents of the targets (targets x (inputs, outputs)). ``^T`` marks transposes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sympy as sp

from theory.coupled import regression, selected, source_moments
from theory.derivation import AllOf, Derivation, Identity, Step
from theory.derivations import derivation
from theory.derivations.coupled_examples import KEPT, expectation
from theory.laws import Gaussian
from theory.structural import StructuralSign
from theory.words import MatrixIdentity, matrices, transpose

_H, _Ht, _K, _T, _Tt, _D = matrices("H H^T K T T^T D")
_W, _Psi, _Psit, _F = matrices("W Psi Psi^T F")
_R, _Rt, _S, _Si, _Q = matrices("R R^T Sigma Sigma^{-1} Q")
_s = sp.Symbol("s", positive=True)
_PAIRS: Final = {_H: _Ht, _T: _Tt, _R: _Rt, _Psi: _Psit}

_h = sp.Matrix([[1, 2, 0], [0, 1, 1]])
_psi = sp.Matrix([[1, 0], [2, 1], [0, 1], [1, 1]])
_EXAMPLE: Final[dict[Any, Any]] = {
    _H: _h, _Ht: _h.T, _K: (_h * _h.T).inv(),
    _T: sp.Matrix([[1, -1, 2], [0, 3, 1]]), _Tt: sp.Matrix([[1, -1, 2], [0, 3, 1]]).T,
    _D: sp.diag(sp.Rational(1, 2), sp.Rational(1, 3), sp.Rational(1, 5)),
    _W: sp.Matrix(4, 3, range(1, 13)),
    _Psi: _psi, _Psit: _psi.T, _F: (_psi.T * _psi).inv(),
    _R: sp.Matrix([[1, 2], [3, 5]]), _Rt: sp.Matrix([[1, 3], [2, 5]]),
    _S: sp.Matrix([[2, 1], [1, 2]]), _Si: sp.Matrix([[2, 1], [1, 2]]).inv(),
    _Q: sp.Matrix([[40, 1], [1, 50]]), _s: sp.Rational(1, 3),
}  # fmt: skip
_GRAM: Final = ((_H * _Ht * _K, sp.S.One), (_K * _H * _Ht, sp.S.One))
_DUAL: Final = ((_Psit * _Psi * _F, sp.S.One), (_F * _Psit * _Psi, sp.S.One))
_ROW: Final = _Ht * _K * _H  # projection onto the rows that the batch sees
_COLUMN: Final = _Psi * _F * _Psit


def _words(lhs: Any, rhs: Any, facts: Any = _GRAM) -> MatrixIdentity:
    return MatrixIdentity(lhs, rhs, tuple(facts), _EXAMPLE)


_FIT: Final = _W * _Ht * _K * _H + _Psi * _F * _Psit * _W - _COLUMN * _W * _Ht * _K * _H
_REST: Final = (1 - _COLUMN) * _W * (1 - _ROW)
_BOTH: Final = (*_GRAM, *_DUAL)


def given_signals() -> AllOf:
    """``W = fit + rest``: the fit reproduces what is given, the rest is blind to it.

    The entries of W are independent, so a linear image of the rows ``x W`` is uncorrelated with
    another one, ``y W``, if the product of the two maps vanishes; jointly Gaussian, they are
    independent then.
    """
    return AllOf((
        _words(_FIT + _REST, _W, _BOTH),
        _words(_FIT * _Ht, _W * _Ht, _BOTH),
        _words(_Psit * _FIT, _Psit * _W, _BOTH),
        _words(_REST * _Ht, 0, _BOTH),
        _words(_Psit * _REST, 0, _BOTH),
        _words((1 - _ROW) * _Ht, 0),
        _words(_Psit * (1 - _COLUMN), 0, _DUAL),
        _words((_s * _W * _Ht) * (_K / _s**2) * _H * _s, _W * _Ht * _K * _H),
        _words(_Psi * (_F / _s**2) * (_s * _Psit * _W) * _s, _Psi * _F * _Psit * _W),
    ))  # fmt: skip


@derivation("coupled.regression")
def _regression() -> Derivation:
    """Gaussian conditioning by blocks, in any dimension."""
    facts = ((_S * _Si, sp.S.One), (_Si * _S, sp.S.One))
    fit = _R * _Si
    own = _Q - fit * _Rt
    # The residual z~ - R Sigma^-1 z against z, and its covariance, from the joint moments.
    cross = _R - fit * _S
    spread = _Q - fit * _Rt - _R * transpose(fit, _PAIRS) + fit * _S * transpose(fit, _PAIRS)
    a, b, c, q, r1, r2 = sp.symbols("a b c q r_1 r_2", real=True)
    small = regression([[q]], [[r1, r2]], [[a, b], [b, c]])
    return Derivation(
        "coupled.regression",
        "A Gaussian vector given another one",
        r"\tilde z \mid z \sim N\big(R\Sigma^{-1}z,\ Q - R\Sigma^{-1}R^T\big),\qquad "
        r"E[zz^T] = \Sigma,\ E[\tilde z z^T] = R,\ E[\tilde z\tilde z^T] = Q",
        "jointly Gaussian and centred, every dimension, Sigma invertible (else on its range)",
        [
            Step(
                r"E[(\tilde z - R\Sigma^{-1}z)\,z^T] = R - R\Sigma^{-1}\Sigma = 0",
                "uncorrelated, so independent of z",
                _words(cross, 0, facts),
            ),
            Step(
                r"\operatorname{Cov}(\tilde z - R\Sigma^{-1}z) = Q - R\Sigma^{-1}R^T",
                "four terms, two of which cancel",
                _words(spread, own, facts),
            ),
            Step(
                r"E_z[\,R\Sigma^{-1}zz^T\Sigma^{-1}R^T\,] + Q - R\Sigma^{-1}R^T = Q",
                "the mixture over z has covariance Q again",
                _words(fit * _S * transpose(fit, _PAIRS) + own, _Q, facts),
            ),
            Step(
                r"\dim z = 2",
                "the library's exact regression, written out",
                AllOf((
                    Identity(small.weights[0], (r1 * c - r2 * b) / (a * c - b**2)),
                    Identity(small.covariance[0],
                             q - (r1**2 * c - 2 * r1 * r2 * b + r2**2 * a) / (a * c - b**2)),
                )),
            ),
        ],
        (),
        {
            "no regression": _words(_R, 0, facts),
            "R Sigma^-1 R' added": _words(spread, _Q + fit * _Rt, facts),
            "mean R z": _words(_R - _R * _S, 0, facts),
            "the mixture forgets": _words(fit * _S * transpose(fit, _PAIRS) + own, own, facts),
        },
    )  # fmt: skip


@derivation("coupled.weights_given_signals")
def _weights() -> Derivation:
    """A Gaussian matrix given what it does to the activations and to the backward signals."""
    A = _W * _Ht  # what is given forward
    fit, rest, facts = _FIT, _REST, _BOTH
    # One input, one output: the sums over neurons by their limits or their mean squares.
    below, above = sp.symbols("n_{l-1} n_l", positive=True)
    g, B, Sigma, psi, h = sp.symbols("g B Sigma psi h", positive=True)
    squares = {"psi": above * B, "h": below * Sigma / g, "cross": above * B * Sigma * below / g}
    third = psi**2 * h**2 * squares["cross"] / (squares["psi"] * squares["h"]) ** 2
    forward = (g / below) * h**2 * Sigma / Sigma**2
    z, b = sp.symbols("z b", real=True)
    odd = sp.Function("sdot")(z) * b * z  # psi z
    return Derivation(
        "coupled.weights_given_signals",
        "Weights given the dense signals of both directions",
        r"W = WH^TKH + \Psi F\Psi^TW + T + (1 - \Psi F\Psi^T)\,W\,(1 - H^TKH),\qquad "
        r"T = -\Psi F(\Psi^TWH^T)KH,\quad T_{ij} = O(n^{-1})",
        "every size; W has independent standard normal entries, H and Psi are given and of full "
        "rank, K = (H H^T)^-1, F = (Psi^T Psi)^-1. The first two terms are of order n^(-1/2); the "
        "third, T, is smaller by n^(-1/2), as the sum over i of chi_i z_i^T has mean zero",
        [
            Step(
                r"(H^TKH)^2 = H^TKH = (H^TKH)^T,\quad H\,H^TKH = H",
                "projection onto what the batch sees of the sources",
                AllOf((_words(_ROW * _ROW, _ROW), _words(transpose(_ROW, _PAIRS), _ROW),
                       _words(_H * _ROW, _H))),
            ),
            Step(
                r"W = \text{fit} + \text{rest}",
                "the fit is made of the given products alone, and it has them: fit H^T = W H^T and "
                "Psi^T fit = Psi^T W",
                AllOf((_words(fit + rest, _W, facts), _words(fit * _Ht, _W * _Ht, facts),
                       _words(_Psit * fit, _Psit * _W, facts))),
            ),
            Step(
                r"\text{rest}\cdot H^T = 0,\qquad \Psi^T\cdot\text{rest} = 0",
                "the rest is invisible to both directions",
                AllOf((_words(rest * _Ht, 0, facts), _words(_Psit * rest, 0, facts))),
            ),
            Step(
                r"(1 - H^TKH)\,H^T = 0",
                "rows of the rest are uncorrelated with rows of W H^T, so independent of them: "
                "given the signals, W is the fit plus a fresh copy of the rest",
                _words((1 - _ROW) * _Ht, 0),
            ),
            Step(
                r"m_{ij} = s\,h_j^T\Sigma^{-1}z_i + s'\,\chi_i^TB^{-1}b_j + T_{ij},\qquad "
                r"s = \sqrt{g/n},\ \Sigma = s^2HH^T,\ z = sWH^T",
                "the mean of one weight in the units of the signals, forward and backward part",
                AllOf((
                    _words((_s * _W * _Ht) * (_K / _s**2) * _H * _s, A * _K * _H),
                    _words(_Psi * (_F / _s**2) * (_s * _Psit * _W) * _s, _COLUMN * _W),
                )),
            ),
            Step(
                r"E[\chi_iz_i^T] = 0:\quad E[T_{ij}^2] = \frac{\chi_i^2}{n_l\,B}\cdot"
                r"\frac{g\,h_j^2}{n_{l-1}\Sigma}",
                "chi is odd in b and z is not, so the squares of chi_i z_i add up over i, to "
                "n_l B Sigma: T is smaller than the forward part, the second factor, by the root "
                "of n_l; here for one input and one output",
                AllOf((
                    Identity(odd + odd.subs(b, -b), 0),
                    Identity(forward, g * h**2 / (below * Sigma)),
                    Identity(third / forward, psi**2 / (above * B)),
                )),
                ("forward and backward latents of a dense network are independent in the limit",),
            ),
        ],
        (),
        {
            "one direction only": _words(A * _K * _H + rest, _W, facts),
            "the overlap counted twice": _words(fit + _Psi * _F * (_Psit * A) * _K * _H + rest, _W,
                                                facts),
            "the fit without its third term": _words(
                (A * _K * _H + _COLUMN * _W) * _Ht, _W * _Ht, facts),
            "a third term as large as the mean": Identity(third / forward, psi**2 / B),
            "the rest is a fresh matrix": _words(_W * _Ht, 0, facts),
            "projection without the Gram matrix": _words(_Ht * _H * _Ht * _H, _Ht * _H),
        },
    )  # fmt: skip


def _with_bias(*factors: Any) -> Iterator[AllOf]:
    """Moments of z~ and z with a bias, by outcomes, against the library's; gain 1, one source.

    One check for each of the ``factors`` that are claimed before the bias' variance.
    """
    beta = sp.Symbol("beta", positive=True)
    pruned, dense = (sp.Matrix(2, 1, sp.symbols(f"{name}_1:3", real=True)) for name in ("y", "h"))

    def moment(left: sp.Matrix, right: sp.Matrix, over: bool, under: bool) -> sp.Matrix:
        """Mean product of the signals at both inputs; masked where told."""
        return sp.Matrix(2, 2, lambda one, two: expectation(
            lambda w, M, b, _: (left[one] * (M if over else 1) * w + sp.sqrt(beta) * b)
            * (right[two] * (M if under else 1) * w + sp.sqrt(beta) * b), 2))  # fmt: skip

    expected = (
        moment(pruned, pruned, True, True),
        moment(pruned, dense, True, False),
        moment(dense, dense, False, False),
    )
    for factor in factors:
        found = source_moments([KEPT], pruned, dense, bias=factor * beta)
        yield AllOf(tuple(
            Identity(x, y)
            for ours, theirs in zip(found, expected, strict=True)
            for x, y in zip(ours, theirs, strict=True)
        ))  # fmt: skip


@derivation("coupled.forward")
def _forward() -> Derivation:
    """The pruned pre-activations of one neuron given its dense ones."""
    Sigma, Sinv = _s**2 * _H * _Ht, _K / _s**2
    R, Q = _s**2 * _T * _D * _Ht, _s**2 * _T * _D * _Tt
    Rt = transpose(R, _PAIRS)
    linear = _s**2 * _T * _D * (1 - _ROW) * _D * _Tt
    rest = _s**2 * _T * (_D - _D * _D) * _Tt
    half = (1 - _ROW) * _D * _Tt
    v = sp.Symbol("v", nonnegative=True)
    t, m = sp.Symbol("t", positive=True), sp.Symbol("m", real=True)
    below = sp.Symbol("x", nonnegative=True)  # 1 - V
    batch = {_D: sp.S.One, _T: _H, _Tt: _Ht}
    dense = [expr.subs(batch) for expr in (R * Sinv, linear + rest)]
    h, y, V = (sp.symbols(f"{name}_1:4", real=True) for name in ("h", "y", "V"))
    q, r, sigma = source_moments(V, [y], [h], gain=2)
    bias, pruned_bias, doubled_bias = _with_bias(1, KEPT, 2)
    slopes = [
        sp.diff(selected(Gaussian(), 1, t, m) - Gaussian().two_sided_second(t) * m, m, k).subs(m, 0)
        for k in range(4)
    ]
    return Derivation(
        "coupled.forward",
        "Forward: pruned pre-activations given the dense ones",
        r"\tilde z_i \mid z_i, b_i \sim N\big(R_i\Sigma^{-1}z_i,\ Q_i - R_i\Sigma^{-1}R_i^T\big),"
        r"\quad R_i = g\,E_j[V_{ij}\tilde h_jh_j^T],\ Q_i = g\,E_j[V_{ij}\tilde h_j\tilde h_j^T]",
        "every number of sources and inputs, V diagonal over sources; s^2 = g/n. The matrix "
        "identities at a given cut are exact at every width. As conditional moments of z~ they "
        "hold up to O(n^(-1/2)): given z a weight has a small mean m and a variance below 1, so "
        "E[M w | z] = V m + t^3 phi(t) m^3/3 + .. at best. That z~ is Gaussian is a central limit "
        "theorem over the sources, that b does not enter the mean is the symmetry",
        [
            Step(
                r"\tilde z_i = s\sum_j\tilde h_j V_{ij}w_{ij} + s\sum_j\tilde h_j\zeta_{ij}",
                "M w = V w + zeta, see the regression of a weight on itself; a small mean m moves "
                "E[M w] - V m by nothing in first order: zeta is blind to a linear constraint",
                Identity(sp.diff(selected(Gaussian(), 1, t, m), m).subs(m, 0)
                         - Gaussian().two_sided_second(t), 0),
            ),
            Step(
                r"s\tilde HD\cdot H^TK\,\tfrac1s z = R\,\Sigma^{-1}z",
                "mean of the linear part given z (T stands for the pruned activations)",
                _words(_s * _T * _D * _Ht * _K / _s, R * Sinv),
            ),
            Step(
                r"s^2\tilde HD(1 - H^TKH)D\tilde H^T = s^2\tilde HD^2\tilde H^T - R\Sigma^{-1}R^T",
                "its covariance: what the projection leaves",
                _words(linear, _s**2 * _T * _D * _D * _Tt - R * Sinv * Rt),
            ),
            Step(
                r"s^2\tilde HD^2\tilde H^T - R\Sigma^{-1}R^T + s^2\tilde H(D - D^2)\tilde H^T "
                r"= Q - R\Sigma^{-1}R^T",
                "the selection's own noise, of variance V(1 - V), fills it up",
                _words(linear + rest, Q - R * Sinv * Rt),
            ),
            Step(
                r"Q - R\Sigma^{-1}R^T = s^2A^TA + s^2\tilde H(D - D^2)\tilde H^T \succeq 0",
                "A = (1 - H^TKH) D H~^T, and V(1 - V) >= 0: positive semidefinite at every width, "
                "so it may serve as a covariance there",
                AllOf((
                    _words(_s**2 * transpose(half, _PAIRS) * half, linear),
                    StructuralSign(v * below, ">=0"),
                )),
            ),
            Step(
                r"V = 1,\ \tilde h = h:\quad R\Sigma^{-1} = 1,\quad Q - R\Sigma^{-1}R^T = 0",
                "nothing pruned, same inputs: the pruned signal is the dense one",
                AllOf((_words(dense[0], 1), _words(dense[1], 0))),
            ),
            Step(
                r"R = \tfrac gn\sum_j V_j\tilde h_jh_j",
                "the library's exact moments: three sources, one input on either side, gain 2",
                AllOf((
                    Identity(r[0], 2 * sum(a * b * c for a, b, c in zip(V, y, h, strict=True)) / 3),
                    Identity(q[0], 2 * sum(a * b**2 for a, b in zip(V, y, strict=True)) / 3),
                    Identity(sigma[0], 2 * sum(a**2 for a in h) / 3),
                )),
            ),
            Step(
                r"E[\zeta] = E[\zeta\,\mathrm{He}_1] = E[\zeta\,\mathrm{He}_2] = 0,\qquad "
                r"E[\zeta\,\mathrm{He}_3] = 2t^3\varphi(t)",
                "derivatives at m = 0 of what selection makes of a mean, less V m. Weights given z "
                "have correlations of order 1/n, so covariances of zeta are cubic in them (Price), "
                "and s^2 times the n^2 of them is of order n^(-1) n^2 n^(-3)",
                AllOf(tuple(Identity(found, expected) for found, expected in zip(
                    slopes, (0, 0, 0, 2 * t**3 * Gaussian().density(t)), strict=True))),
            ),
            Step(
                r"z = s\sum_jh_jw_j + \sqrt\beta\,w_0,\ "
                r"\tilde z = s\sum_j\tilde h_jM_jw_j + \sqrt\beta\,w_0:\quad "
                r"Q + \beta,\ R + \beta,\ \Sigma + \beta",
                "a bias of variance beta, which no mask removes: one source, two inputs, weights "
                "of two levels with any P and V, all outcomes of signs and masks",
                bias,
            ),
        ],
        (
            "the pruned activations h~ do not involve this layer's weights beyond z and b",
            "z~ given its moments is Gaussian: a central limit theorem over the sources",
        ),
        {
            "independent of z": _words(linear + rest, Q),
            "variance V of a fresh weight, mean kept": _words(linear + rest, Q + R * Sinv * Rt),
            "no noise of the selection": _words(linear, Q - R * Sinv * Rt),
            "R with V squared": _words(_s * _T * _D * _Ht * _K / _s,
                                       _s**2 * _T * _D * _D * _Ht * Sinv),
            "mean V-free": _words(_s * _T * _D * _Ht * _K / _s, _s**2 * _T * _Ht * Sinv),
            "dense signal with noise": _words(dense[1], Sigma),
            "zeta has a linear part": Identity(slopes[1], Gaussian().two_sided_survival(t)),
            "the mask removes biases": pruned_bias,
            "a bias with the layer's gain": doubled_bias,
        },
    )  # fmt: skip
