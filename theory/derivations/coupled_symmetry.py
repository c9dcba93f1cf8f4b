"""Proofs of the symmetry that closes the recursion: which sign is flipped, and what it kills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sympy as sp

from theory.coupled import Regression, regression, source_moments
from theory.derivation import AllOf, Antiderivative, Derivation, Identity, Step
from theory.derivations import derivation
from theory.latent import cut, graphon
from theory.laws import Gaussian
from theory.structural import StructuralSign

_V = sp.Function("V", positive=True)
"""Variance graphon as a function of the square of <psi, h>; of <psi, h> itself in mutants."""
_SIGNAL = sp.Function("s", real=True)
"""The activation."""
_ETA = sp.Function("eta", real=True)
"""A pruned activation, by the mean and variance of its z~ and by noise."""
_SLOPE = sp.Function("sdot", positive=True)
_FREE = sp.Function("k", real=True)
_z = sp.symbols("z_1 z_2", real=True)
_zt = sp.symbols("zt_1 zt_2", real=True)
_h = sp.symbols("h_1 h_2", real=True)
_kept = sp.symbols("y_1 y_2", real=True)
_r, _b, _bt = (
    tuple(sp.symbols(f"{name}_{k}1 {name}_{k}2", real=True) for k in (1, 2))
    for name in ("r", "b", "bt")
)
"""By input, then by output: residual, dense and pruned backward latents."""
_xi = sp.Symbol("xi", real=True)
_tau, _p = sp.symbols("tau p", positive=True)
_B: Final = [x for row in _b for x in row]
_BT: Final = [x for row in _bt for x in row]
_FIRST: Final = [row[0] for row in _b]


def _inner(h: tuple[sp.Expr, ...]) -> sp.Expr:
    """``<psi, h>`` on two inputs and two outputs."""
    return sp.Add(*[_SLOPE(_z[k]) * _b[k][o] * _r[k][o] * h[k] for k in (0, 1) for o in (0, 1)])


def _variance(inner: sp.Expr) -> sp.Expr:
    """V of a rule that is blind to the sign of ``<psi, h>``, left free otherwise."""
    return _V(sp.expand(inner**2))


def _flip(expr: sp.Expr, signs: list[Any]) -> sp.Expr:
    """The expression with these latents' signs changed; arguments of V multiplied out."""
    turned = expr.subs({x: -x for x in signs}, simultaneous=True)
    return turned.replace(_V, lambda x: _V(sp.expand(x)))


def _odd(expr: sp.Expr, signs: list[Any]) -> Identity:
    return Identity(_flip(expr, signs) + expr, 0)


def _same(expr: sp.Expr, signs: list[Any]) -> Identity:
    return Identity(_flip(expr, signs), expr)


def _below(graph: Callable[[sp.Expr], sp.Expr]) -> tuple[Regression, sp.Expr]:
    """The law of a neuron's z~ given its z and b, and its h~.

    h~ is a free function of that law's mean and variance and of fresh noise.
    Two sources with dense activations (1, 2) and (-1, 1) on the batch and any pruned ones; the
    cuts are those of the neuron's own latents, ``graph`` says what V is at ``<psi, h_k>``.
    """
    batch = sp.Matrix([[1, -1], [2, 1]])  # inputs x sources
    V = [graph(_inner(tuple(batch[:, k]))) for k in (0, 1)]
    found = regression(*source_moments(V, [_kept], batch))
    return found, _ETA((found.weights * sp.Matrix(_z))[0], found.covariance[0], _xi)


def _above() -> tuple[sp.Expr, list[sp.Expr]]:
    """Exponent of a source's b~ given its b, from the latents of two targets; one output.

    Returns it, and the latents b_1, b~_1 of the first target.
    """
    b, bt = sp.symbols("d_1 d_2", real=True), sp.symbols("dt_1 dt_2", real=True)
    psi = [_SLOPE(z) * x for z, x in zip(_z, b, strict=True)]
    pruned = [_SLOPE(z) * x for z, x in zip(_zt, bt, strict=True)]
    law = regression(*source_moments([_variance(x * _h[0]) for x in psi], [pruned], [psi]))
    own, its = _B[0], _BT[0]
    return (its - law.weights[0] * own) ** 2 / law.covariance[0], [b[0], bt[0]]


def _all(expressions: list[sp.Expr], check: Any, signs: list[Any]) -> AllOf:
    return AllOf(tuple(check(expr, signs) for expr in expressions))


@derivation("coupled.symmetry")
def _symmetry() -> Derivation:
    """One neuron's backward latents change their sign, dense and pruned together."""
    conditional, signal = _below(_variance)
    # A target i with a psi_i of its own, linear in b_i; the flipped b_j is the source's.
    target = sp.symbols("psi_1 psi_2", real=True)
    mixed = _variance(target[0] * _SIGNAL(_z[0]) + target[1] * _SIGNAL(_z[1]))
    forward = [mixed * signal * x for x in _b[0]]
    backward = [_variance(_inner(_h)) * _SLOPE(_zt[0]) * x * _FREE(*_z, *_zt) for x in _bt[0]]
    exponent, first_target = _above()
    # Gaussian exponents: b ~ N(0, B) and b~ given b, two outputs at one input; any matrices.
    prec = sp.Matrix(2, 2, sp.symbols("c_11 c_12 c_12 c_22"))
    fit = sp.Matrix(2, 2, sp.symbols("f_11 f_12 f_21 f_22"))
    b, bt = sp.Matrix(_b[0]), sp.Matrix(_bt[0])
    law = ((bt - fit * b).T * prec * (bt - fit * b))[0].expand()
    dense = (b.T * prec * b)[0].expand()
    one = _B[:2] + _BT[:2]
    a, q = sp.symbols("a q", real=True, nonzero=True)
    output = a * sp.Piecewise((1, sp.Abs(a) * sp.Abs(q) >= _tau), (0, True))
    lam = sp.Symbol("q", positive=True)
    mean = [graphon("mean", sign * lam, _tau, signed=True) for sign in (1, -1)]
    return Derivation(
        "coupled.symmetry",
        "The sign symmetry that decouples the two directions",
        r"(b_i, \tilde b_i) \to (-b_i, -\tilde b_i):\quad "
        r"E_j[V_{ij}\tilde h_jb_j^T] = 0,\quad E_i[V_{ij}\tilde\chi_i\,k(z_i, \tilde z_i)] = 0",
        "the flip, of one neuron and all outputs at once, leaves |<psi_i, h_j>|, V, P and the law "
        "of (z_i, z~_i, b_i, b~_i) alone; shown for two inputs, two outputs, two sources and two "
        "targets, with V (even) and the activation left free, for a given residual and symmetric "
        "output weights",
        [
            Step(
                r"\langle\psi, h\rangle \to -\langle\psi, h\rangle,\qquad V \to V",
                "psi is linear in b, and V and P see the size of the product only",
                AllOf((_odd(_inner(_h), _B),
                       Identity(graphon("variance", -q, _tau), graphon("variance", q, _tau)),
                       Identity(graphon("mask", -q, _tau), graphon("mask", q, _tau)))),
            ),
            Step(
                r"b^TB^{-1}b \to b^TB^{-1}b",
                "b is centred Gaussian given z: its law is even",
                _same(dense, _B[:2]),
            ),
            Step(
                r"\text{first layer, then by induction: the law of}\ \tilde z_i\ "
                r"\text{given}\ (z_i, b_i)\ \text{is even in}\ b_i",
                "mean and covariance of z~ involve b_i through V_ij alone, provided the cross "
                "term of the next line is absent below: R Sigma^-1 and Q - R Sigma^-1 R' of two "
                "sources; in the first layer the mask itself is even in b_i",
                AllOf((_same(conditional.weights[0], _B), _same(conditional.weights[1], _B),
                       _same(conditional.covariance[0], _B))),
            ),
            Step(
                r"E_j[V_{ij}\,\tilde h_j\,b_j^T] = 0",
                "odd in b_j under the law of the line above: V_ij holds b_i of the target, which "
                "is not flipped, and h_j; h~_j, a function of that law and of noise, is even in "
                "b_j. So there is no b-term in the forward pass, at the next layer either",
                _all(forward, _odd, _B),
            ),
            Step(
                r"\tilde b_{L,o} = \sqrt g\,a_o\,1\{|a_o|\,|\langle r_o, h\rangle| \ge \tau'\}"
                r"\to -\tilde b_{L,o}",
                "output layer: odd together with b_L = sqrt(g) a, output weights symmetric",
                Identity(output.subs(a, -a) + output, 0),
            ),
            Step(
                r"(\tilde b - SB^{-1}b)^TC^{-1}(\tilde b - SB^{-1}b)\ \text{is even under the "
                r"joint flip}",
                "from the output down: S, B and C involve h_j = s(z_j) and not b_j, so the law of "
                "b~ given b keeps the symmetry; nor do they move under the flip of a target above, "
                "b_i and b~_i together. Any matrices for two outputs, and the moments of two "
                "targets for one",
                AllOf((_same(law, one), _same(exponent, [_B[0], _BT[0]]),
                       _same(exponent, first_target))),
            ),
            Step(
                r"E_i[V_{ij}\,\tilde\chi_i\,k(z_i, \tilde z_i)] = 0",
                "chi~ is linear in b~, and z, z~ do not move: no z-term in the backward pass",
                _all(backward, _odd, _B + _BT),
            ),
            Step(
                r"\mu(-q) = -\mu(q) \ne 0\ \text{for}\ -w\,q \ge \tau",
                "a signed rule has a mean that is odd in b_i: the law of z~_i is not even in b_i "
                "(and its mean grows like the root of n), so the argument is void there",
                AllOf((Identity(mean[0] + mean[1], 0), StructuralSign(mean[0], "<0"))),
            ),
        ],
        (
            "the residual r is given: a single neuron moves the outputs by O(n^(-1/2)) only",
            "the mask is even in b: scores by magnitude",
            "output weights have a symmetric law",
        ),
        {
            "b alone in the backward pass": _odd(backward[0], _B),
            "b alone in the law of b~": _same(law, _B[:2]),
            "one output's sign alone": _odd(forward[0], _FIRST),
            "the sign of z instead": _odd(
                _variance(_h[0] * _z[0] ** 2) * _SLOPE(_zt[0]) * _bt[0][0], list(_z)),
            "V h~ is odd": _odd(mixed * signal, _B),
            "a mask that sees the sign": _odd(_V(_inner(_h)) * _b[0][0], _B),
            "a law of z~ under a mask that sees the sign": _same(_below(_V)[1], _B),
            "a target's b without its b~": _same(exponent, first_target[:1]),
            "the target's b in the forward pass": _odd(forward[0], list(target)),
            "the signed rule's mean is even": Identity(mean[0], mean[1]),
        },
    )  # fmt: skip


@derivation("coupled.outputs")
def _outputs() -> Derivation:
    """Several outputs: independent in the dense network, correlated in the pruned one."""
    b1, b2, p, q = sp.symbols("b_1 b_2 p q", real=True)
    turn = {p: (b1 + b2) / sp.sqrt(2), q: (b1 - b2) / sp.sqrt(2)}
    sign = sp.Symbol("epsilon", real=True)
    density = Gaussian().density
    x = sp.Symbol("x", positive=True)
    level = cut(_tau, 1, sp.sqrt(2) * x)
    variance = graphon("variance", sp.sqrt(2) * x, _tau)
    slope = 2 * level**3 * density(level)
    return Derivation(
        "coupled.outputs",
        "Pruning correlates the outputs",
        r"B = 1_O \otimes B_l,\qquad\text{but for}\ r = (1, \pm1):\quad "
        r"E[V\,b_1b_2] = \pm E\big[t^3\varphi(t)\big] \ne 0,\quad t = \frac{\tau}{|b_1 \pm b_2|}",
        "b_1, b_2 independent standard normal, one input, tau > 0: the smallest example",
        [
            Step(
                r"b_1b_2 = \tfrac12(p^2 - q^2),\qquad p, q = (b_1 \pm b_2)/\sqrt2",
                "an orthogonal turn; V sees p only",
                Identity(((p**2 - q**2) / 2).subs(turn), b1 * b2),
            ),
            Step(
                r"E[V(p)\,b_1b_2] = \tfrac12 E[V(p)(p^2 - 1)] = \tfrac12 E[pV'(p)]",
                "q is independent of p, of variance one; then by parts",
                Antiderivative(-x * density(x), (x**2 - 1) * density(x), x, {0: 0, sp.oo: 0}),
            ),
            Step(
                r"pV'(p) = 2t^3\varphi(t) > 0",
                "neurons whose outputs agree keep more",
                AllOf((Identity(x * sp.diff(variance, x), slope), StructuralSign(slope))),
            ),
            Step(
                r"r = (1, -1):\quad b_2 \to -b_2",
                "the same with the other sign",
                Identity((b1 + sign * b2).subs(sign, -1), (b1 + b2).subs(b2, -b2)),
            ),
        ],
        ("score |w| |<psi, h>| with psi = s'(z) sum_o b_o r_o",),
        {
            "block-diagonal": Identity(x * sp.diff(variance, x), 0),
            "P's slope": Identity(x * sp.diff(variance, x), 2 * level * density(level)),
            "no turn": Identity(((p**2 + q**2) / 2).subs(turn), b1 * b2),
        },
    )  # fmt: skip
