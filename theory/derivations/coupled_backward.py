"""Proofs about the backward pass: conditioning on both networks' forward signals as well."""

from __future__ import annotations

from typing import Any, Final

import sympy as sp

from theory.derivation import AllOf, Derivation, Identity, Step
from theory.derivations import derivation
from theory.derivations.coupled_examples import KEPT, expectation
from theory.latent import graphon
from theory.structural import StructuralSign
from theory.words import MatrixIdentity, matrices, transpose

_P, _Pt, _Y, _Yt, _D, _F = matrices("Psi Psi^T Y Y^T D F")
_S, _Si, _R, _Rt, _Q, _C = matrices("Sigma Sigma^{-1} R R^T Q C")
_h, _ht, _z, _zt = matrices("h ht z zt")
_s = sp.Symbol("s", positive=True)
_PAIRS: Final = {_P: _Pt, _Y: _Yt, _R: _Rt}

_psi = sp.Matrix([[1, 0], [2, 1], [0, 1]])
_y = sp.Matrix([[1, 3], [-1, 0], [2, 1]])
_sigma, _cross = sp.Matrix([[2, 1], [1, 2]]), sp.Matrix([[1, 2], [0, 1]])
_own = sp.Matrix([[9, 1], [1, 7]])
_EXAMPLE: Final[dict[Any, Any]] = {
    _P: _psi, _Pt: _psi.T, _Y: _y, _Yt: _y.T, _F: (_psi.T * _psi).inv(),
    _D: sp.diag(sp.Rational(1, 2), sp.Rational(1, 3), sp.Rational(1, 5)),
    _S: _sigma, _Si: _sigma.inv(), _R: _cross, _Rt: _cross.T, _Q: _own,
    _C: (_own - _cross * _sigma.inv() * _cross.T).inv(),
    _h: sp.Matrix([[1, 2]]), _ht: sp.Matrix([[3, -1]]),
    _z: sp.Matrix([1, 5]), _zt: sp.Matrix([-2, 1]), _s: sp.Rational(1, 3),
}  # fmt: skip
_GRAM: Final = ((_Pt * _P * _F, sp.S.One), (_F * _Pt * _P, sp.S.One))
_BLOCKS: Final = (
    (_S * _Si, sp.S.One),
    (_Si * _S, sp.S.One),
    (_C * _Q, 1 + _C * _R * _Si * _Rt),
    (_Q * _C, 1 + _R * _Si * _Rt * _C),
)


def _words(lhs: Any, rhs: Any, facts: Any = _GRAM) -> MatrixIdentity:
    return MatrixIdentity(lhs, rhs, tuple(facts), _EXAMPLE)


@derivation("coupled.backward")
def _backward() -> Derivation:
    """The pruned backward latents of a source given its dense ones."""
    B, Binv = _s**2 * _Pt * _P, _F / _s**2
    S, U = _s**2 * _Yt * _D * _P, _s**2 * _Yt * _D * _Y
    St = transpose(S, _PAIRS)
    column = _P * _F * _Pt
    linear = _s**2 * _Yt * _D * (1 - column) * _D * _Y
    noise = _s**2 * _Yt * (_D - _D * _D) * _Y
    fit = _R * _Si
    # Inverse of the joint covariance of (z, z~), block by block, and a weight regressed on both.
    inverse = [[_Si + _Si * _Rt * _C * fit, -_Si * _Rt * _C], [-_C * fit, _C]]
    joint = [[_S, _Rt], [_R, _Q]]
    product = [
        [joint[i][0] * inverse[0][k] + joint[i][1] * inverse[1][k] for k in (0, 1)] for i in (0, 1)
    ]
    sides, signals = (_h, _ht), (_z, _zt)
    slope = sp.Add(*[sides[i] * inverse[i][k] * signals[k] for i in (0, 1) for k in (0, 1)])
    tidy = _h * _Si * _z + (_ht - _h * _Si * _Rt) * _C * (_zt - fit * _z)
    half = (1 - column) * _D * _Y
    v, below = sp.symbols("v x", nonnegative=True)  # V and 1 - V
    h, y = sp.symbols("h_1 h_2", real=True), sp.symbols("y_1 y_2", real=True)
    held = [
        expectation(lambda w, M, u, N: M * w * _s * (h[0] * w + h[1] * u), 2),
        expectation(lambda w, M, u, N: M * w * _s * (y[0] * M * w + y[1] * N * u), 2),
    ]
    dot = sp.Function("sdot", positive=True)
    z, zt, b, bt = sp.symbols("z zt b bt", real=True)
    kept = graphon("variance", dot(z) * b * h[0], sp.Symbol("tau", positive=True))
    terms = [kept * dot(zt) * bt * signal for signal in (z, zt)]
    batch = {_D: sp.S.One, _Y: _P, _Yt: _Pt}
    return Derivation(
        "coupled.backward",
        "Backward: pruned derivatives given the dense ones",
        r"\tilde b_j \mid z_j, b_j, \tilde z_j \sim "
        r"N\big(S_jB^{-1}b_j,\ U_j - S_jB^{-1}S_j^T\big),\quad "
        r"S_j = g\,E_i[V_{ij}\tilde\chi_i\chi_i^T],\ "
        r"U_j = g\,E_i[V_{ij}\tilde\chi_i\tilde\chi_i^T]",
        "every number of targets, inputs and outputs; Psi and Y are the dense and the pruned "
        "backward latents (targets x pairs of input and output), s^2 = g/n. The matrix "
        "identities at a given cut are exact at every width; as conditional moments of b~ they "
        "hold up to O(n^(-1/2)). Gaussian by a central limit theorem over the targets, free of z "
        "and z~ by the symmetry",
        [
            Step(
                r"\operatorname{Cov}(M_{ij}w_{ij}, (z_i, \tilde z_i)) = sV_{ij}\,(h_j, \tilde h_j)",
                "z_i holds w and z~_i holds M w: both covariances with M w are V, since M = M^2; "
                "two sources, weights of two levels with any P and V, all outcomes",
                AllOf((Identity(held[0], _s * KEPT * h[0]), Identity(held[1], _s * KEPT * y[0]))),
            ),
            Step(
                r"\begin{pmatrix}\Sigma & R^T\\ R & Q\end{pmatrix}^{-1},\quad "
                r"C = (Q - R\Sigma^{-1}R^T)^{-1}",
                "the joint covariance of both forward signals, inverted by blocks",
                AllOf(tuple(_words(product[i][k], int(i == k), _BLOCKS)
                            for i in (0, 1) for k in (0, 1))),
            ),
            Step(
                r"E[M_{ij}w_{ij} \mid z_i, \tilde z_i] = sV_{ij}\big[h_j^T\Sigma^{-1}z_i + "
                r"(\tilde h_j - R\Sigma^{-1}h_j)^TC(\tilde z_i - R\Sigma^{-1}z_i)\big]",
                "the regression on both: pruned derivatives use s'(z~_i), which these weights "
                "have made, so z_i alone is not enough",
                _words(slope, tidy, _BLOCKS),
            ),
            Step(
                r"E_i[V_{ij}\tilde\chi_i\,(z_i, \tilde z_i)^T] = 0",
                "so all of this drops out of the sum over i: odd under the joint flip of b_i and "
                "b~_i (the symmetry); a mean over n independent terms without mean is of order "
                "n^(-1/2)",
                AllOf(tuple(Identity(term.subs({b: -b, bt: -bt}, simultaneous=True) + term, 0)
                            for term in terms)),
            ),
            Step(
                r"s\tilde\Psi^TD\Psi F\,\tfrac1s b = S\,B^{-1}b",
                "the b-part of the mean: M w = V w + zeta, regression on b",
                _words(_s * _Yt * _D * _P * _F / _s, S * Binv),
            ),
            Step(
                r"s^2\tilde\Psi^TD(1 - \Psi F\Psi^T)D\tilde\Psi + "
                r"s^2\tilde\Psi^T(D - D^2)\tilde\Psi = U - SB^{-1}S^T",
                "covariance: the projection, and the selection's own noise",
                _words(linear + noise, U - S * Binv * St),
            ),
            Step(
                r"U - SB^{-1}S^T = s^2A^TA + s^2\tilde\Psi^T(D - D^2)\tilde\Psi \succeq 0",
                "A = (1 - Psi F Psi^T) D Psi~, and V(1 - V) >= 0: positive semidefinite at every "
                "width, so it may serve as a covariance there",
                AllOf((
                    _words(_s**2 * transpose(half, _PAIRS) * half, linear),
                    StructuralSign(v * below, ">=0"),
                )),
            ),
            Step(
                r"V = 1,\ \tilde\chi = \chi:\quad SB^{-1} = 1,\quad U - SB^{-1}S^T = 0",
                "nothing pruned, same inputs",
                AllOf((_words((S * Binv).subs(batch), 1), _words((linear + noise).subs(batch), 0),
                       _words(B * Binv, 1))),
            ),
        ],
        (
            "the derivatives from above do not involve this layer's weights beyond z, z~ and b",
            "the residual is given and the mask is even in b: the symmetry",
            "b~ given its moments is Gaussian: a central limit theorem over the targets",
        ),
        {
            "regression on z alone": _words(slope, _h * _Si * _z, _BLOCKS),
            "z and z~ treated as independent": _words(
                slope, _h * _Si * _z + _ht * _C * _zt, _BLOCKS),
            "independent of b": _words(linear + noise, U),
            "no noise of the selection": _words(linear, U - S * Binv * St),
            "P-free mean": _words(_s * _Yt * _D * _P * _F / _s, _s**2 * _Yt * _P * Binv),
            "A without the projection": _words(
                _s**2 * transpose(_D * _Y, _PAIRS) * _D * _Y, linear),
            "b alone is flipped": Identity(terms[0].subs(b, -b) + terms[0], 0),
            "z~ holds w": Identity(held[1], held[0]),
        },
    )  # fmt: skip
