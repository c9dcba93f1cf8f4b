"""Proofs about |GraSP|: the Gauss-Newton part of ``H g`` is a gradient with another residual."""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory.derivation import AllOf, Cited, Derivation, Identity, Step
from theory.derivations import derivation
from theory.latent import effective_residual, softmax_hessian
from theory.structural import StructuralSign
from theory.words import MatrixIdentity, matrices


def _symmetric(name: str) -> sp.Matrix:
    a, b, c = sp.symbols(f"{name}_11 {name}_12 {name}_22", real=True)
    return sp.Matrix([[a, b], [b, c]])


def _entries(lhs: Any, rhs: Any) -> AllOf:
    return AllOf(tuple(Identity(x, y) for x, y in zip(lhs, rhs, strict=True)))


def _jets() -> dict[str, Any]:
    """Two outputs of two parameters, and a loss of the outputs, up to second order."""
    theta = sp.Matrix(sp.symbols("theta_1 theta_2", real=True))
    J = sp.Matrix(2, 2, sp.symbols("J_11 J_12 J_21 J_22", real=True))
    F = [_symmetric(f"F^{k}") for k in (1, 2)]
    r, B = sp.Matrix(sp.symbols("r_1 r_2", real=True)), _symmetric("B")
    f = J * theta + sp.Matrix([(theta.T * Fk * theta)[0] / 2 for Fk in F])
    loss = (r.T * f)[0] + (f.T * B * f)[0] / 2
    zero = dict.fromkeys(theta, 0)
    return {
        "J": J, "F": F, "r": r, "B": B,
        "gradient": sp.Matrix([sp.diff(loss, x).subs(zero) for x in theta]),
        "hessian": sp.hessian(sp.expand(loss), list(theta)).subs(zero),
    }  # fmt: skip


def _neuron() -> dict[str, Any]:
    """One of the neurons of ``f_k = n^(-1/2) sum_i phi_k(theta_i)``: its blocks of H g."""
    n = sp.Symbol("n", positive=True)
    jets = _jets()
    first, second = jets["J"], jets["F"]  # phi' (outputs x parameters) and phi''
    other = sp.Matrix(2, 2, sp.symbols("K_11 K_12 K_21 K_22", real=True))
    r, B = jets["r"], jets["B"]
    # Two of the n neurons are written out; the kernel is a mean over all of them.
    kernel = (first * first.T + other * other.T) / n
    curvature = sum((r[k] * second[k] for k in range(2)), sp.zeros(2, 2)) / sp.sqrt(n)
    gradient = first.T * r / sp.sqrt(n)
    return {
        "n": n,
        "rest": curvature * gradient,
        "part": first.T * effective_residual(B, kernel, r) / sp.sqrt(n),
        "kernel": kernel,
        "unit": (sum((r[k] * second[k] for k in range(2)), sp.zeros(2, 2)) * first.T * r),
        "first": first, "B": B, "r": r,
    }  # fmt: skip


@derivation("latent.gauss_newton")
def _gauss_newton() -> Derivation:
    """GraSP's vector, split; what is left over is smaller by the root of the width."""
    jets = _jets()
    J, F, r, B = jets["J"], jets["F"], jets["r"], jets["B"]
    rest = sum((r[k] * F[k] for k in range(2)), sp.zeros(2, 2))
    f = sp.symbols("f_1:4", real=True)
    total = sp.Add(*[sp.exp(x) for x in f])
    entropy = sp.log(total) - f[0]
    p = [sp.exp(x) / total for x in f]
    (Jw, Jt, Bw, Theta, rw, g) = matrices("J J^T B Theta r g")
    j = sp.Matrix([[1, 2, 0], [0, 1, 1]])
    values = {Jw: j, Jt: j.T, Bw: sp.Matrix([[2, 1], [1, 3]]), Theta: j * j.T,
              rw: sp.Matrix([1, -1]), g: j.T * sp.Matrix([1, -1])}  # fmt: skip
    facts = ((Jw * Jt, Theta), (Jt * rw, g))
    one = _neuron()
    return Derivation(
        "latent.gauss_newton",
        "|GraSP| is SNIP with another residual, up to a rest",
        r"Hg = J^TB\,\Theta\,r + \sum_k r_k\nabla^2 f_k\,g,\qquad \Theta = JJ^T,\quad"
        r"\text{rest} = O(n^{-1/2})\ \text{for one hidden layer}",
        "every twice differentiable network and loss, at one point; J is (outputs of all inputs) "
        "x parameters, B the loss's Hessian in the outputs, r its gradient there",
        [
            Step(r"g = J^T\,r", "chain rule", _entries(jets["gradient"], J.T * r)),
            Step(
                r"H = J^TBJ + \sum_k r_k\nabla^2 f_k",
                "chain rule once more, written out for free second-order jets of two outputs and "
                "two parameters: every entry of H involves no more",
                _entries(jets["hessian"], J.T * B * J + rest),
            ),
            Step(
                r"(J^TBJ)\,g = J^T(B\,\Theta\,r)",
                "associativity, for all sizes: a gradient with the residual r' = B Theta r",
                MatrixIdentity(Jt * Bw * Jw * Jt * rw, Jt * Bw * Theta * rw, facts, values),
            ),
            Step(
                r"B = \operatorname{diag}(p) - pp^T",
                "cross-entropy, three classes, one input (B is block-diagonal over inputs)",
                _entries(sp.hessian(entropy, f)[:2, :2], softmax_hessian(p)[:2, :2]),
            ),
            Step(
                r"\Big(\sum_k r_k\nabla^2 f_k\,g\Big)_i = \frac1n\Big(\sum_k r_k\phi_k''\Big)"
                r"\Big(\sum_k r_k\phi_k'\Big),\quad "
                r"(J^TB\,\Theta\,r)_i = \frac{1}{\sqrt n}\sum_k\phi_k'\,(B\,\Theta\,r)_k",
                "f = n^(-1/2) sum phi(theta_i), one hidden layer: neuron by neuron the rest is "
                "smaller by n^(-1/2), as Theta is a mean",
                AllOf((_entries(one["rest"] * one["n"], one["unit"]),
                       _entries(one["part"] * sp.sqrt(one["n"]),
                                one["first"].T * one["B"] * one["kernel"] * one["r"]))),
            ),
        ],
        ("g is not orthogonal to everything: B Theta r is not zero",),
        {
            "B left out": MatrixIdentity(Jt * Bw * Jw * Jt * rw, Jt * Theta * rw, facts, values),
            "Theta B r": MatrixIdentity(
                Jt * Bw * Jw * Jt * rw, Jt * Theta * Bw * rw, facts, values),
            "no curvature": _entries(jets["hessian"], J.T * B * J),
            "rest of order 1/n": _entries(one["rest"] * one["n"] ** sp.Rational(3, 2), one["unit"]),
            "B = diag(p)": _entries(sp.hessian(entropy, f)[:2, :2], sp.diag(*p)[:2, :2]),
        },
    )  # fmt: skip


@derivation("latent.gauss_newton_deep")
def _deep() -> Derivation:
    """More hidden layers: the same order, on a theorem that is not proved here."""
    # A symmetric matrix by its eigenvalues, the first one larger, and an angle; any vector.
    angle, *g = sp.symbols("alpha g_1 g_2", real=True)
    small = sp.Symbol("lambda_2", real=True)
    extra = sp.Symbol("e", nonnegative=True)
    large = sp.sqrt(small**2 + extra)
    turn = sp.Matrix([[sp.cos(angle), -sp.sin(angle)], [sp.sin(angle), sp.cos(angle)]])
    vector = sp.Matrix(g)
    image = turn * sp.diag(large, small) * turn.T * vector
    along = turn.T * vector  # components along the eigenvectors
    J, Jt, B, Theta, r, rt, Bt = matrices("J J^T B Theta r r^T B^T")
    j, first = sp.Matrix([[1, 2, 0], [0, 1, 1]]), sp.Matrix([1, -1])
    second = sp.Matrix([[2, 1], [1, 3]])
    values = {J: j, Jt: j.T, B: second, Bt: second.T, Theta: j * j.T, r: first, rt: first.T}

    def norms(lhs: Any, rhs: Any) -> MatrixIdentity:
        return MatrixIdentity(lhs, rhs, ((J * Jt, Theta),), values)

    return Derivation(
        "latent.gauss_newton_deep",
        "The rest of |GraSP| in deep networks",
        r"\frac{\|\sum_k r_k\nabla^2 f_k\,g\|}{\|J^TB\,\Theta\,r\|} = \tilde O(n^{-1/2})",
        "any number of hidden layers of width n, a fixed batch, Gaussian weights; logarithms of n "
        "are not counted",
        [
            Step(
                r"\Big\|\sum_k r_k\nabla^2 f_k\,g\Big\| \le "
                r"\sum_k |r_k|\,\|\nabla^2 f_k\|\;\|g\|",
                "triangle inequality over k and operator norms: two parameters, where "
                "lambda_1^2 = lambda_2^2 + e is the larger square of an eigenvalue, so "
                "lambda_1^2 |g|^2 - |F g|^2 is e times a square",
                AllOf((
                    Identity(
                        sp.expand(large**2 * (g[0] ** 2 + g[1] ** 2) - image.dot(image)),
                        extra * along[1] ** 2,
                    ),
                    StructuralSign(extra * sp.Symbol("x", real=True) ** 2, ">=0"),
                )),
            ),
            Step(
                r"\|\nabla^2 f\| = \tilde O(n^{-1/2})",
                "curvature of wide networks",
                Cited("the spectral norm of a wide network's Hessian is of order n^(-1/2)",
                      "Liu, Zhu and Belkin 2020, On the linearity of large non-linear models"),
                ("activations that are twice differentiable: not ReLU",),
            ),
            Step(
                r"\|g\|^2 = r^T\Theta\,r,\qquad "
                r"\|J^TB\,\Theta\,r\|^2 = (B\,\Theta\,r)^T\,\Theta\,(B\,\Theta\,r)",
                "so the other norms depend on the kernel alone, g = J^T r and Theta = J J^T, and "
                "have limits with it; the ratio is of the order of the curvature",
                AllOf((
                    norms(rt * J * Jt * r, rt * Theta * r),
                    norms(rt * Theta * Bt * J * Jt * B * Theta * r,
                          rt * Theta * Bt * Theta * B * Theta * r),
                )),
                ("Theta has a positive definite limit, and B Theta r is not zero there",),
            ),
        ],
        (),
        {
            "the Frobenius norm's remainder": Identity(
                sp.expand(large**2 * (g[0] ** 2 + g[1] ** 2) - image.dot(image)),
                extra * (along[0] ** 2 + along[1] ** 2)),
            "the smaller eigenvalue bounds": Identity(
                sp.expand(small**2 * (g[0] ** 2 + g[1] ** 2) - image.dot(image)),
                extra * along[0] ** 2),
            "gradients without the kernel": norms(rt * J * Jt * r, rt * r),
            "B once": norms(rt * Theta * Bt * J * Jt * B * Theta * r,
                            rt * Theta * Theta * B * Theta * r),
        },
    )  # fmt: skip
