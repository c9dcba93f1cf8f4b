"""Proofs about the generalisation bound: its constant, its union over radii, and label noise.

What is taken from the literature is said in ``generalisation.bound``, the only chain here that is
conditional; the others are complete.
"""

from __future__ import annotations

import itertools

import sympy as sp

from theory.derivation import (
    AllOf,
    Cited,
    Definition,
    Derivation,
    Identity,
    Induction,
    Sign,
    Step,
)
from theory.derivations import derivation
from theory.dual_piecewise import ReLU
from theory.generalisation import expected_complexity
from theory.structural import StructuralSign

_N = sp.Symbol("N", integer=True, positive=True)
_B, _TRACE, _S = sp.symbols("B T s", positive=True)
_I = sp.Symbol("i", integer=True, positive=True)
_HALF = sp.Rational(1, 2)


def _leading(norm: sp.Expr, trace: sp.Expr) -> sp.Expr:
    return 2 * norm * sp.sqrt(trace) / _N


def _printed(norm: sp.Expr) -> sp.Expr:
    return sp.sqrt(2 * norm**2 / _N)


@derivation("generalisation.constant")
def _constant() -> Derivation:
    """Where the 2 in the printed bound comes from, and when it is right."""
    m, second, sign = sp.symbols("m M_2 epsilon", real=True)
    q = sp.Symbol("q", positive=True)
    toss = lambda f: (f(sp.S.One) + f(-sp.S.One)) / 2  # noqa: E731
    x = sp.Symbol("x", real=True)
    return Derivation(
        "generalisation.constant",
        "The leading term for any kernel, and the constant 2",
        r"2\,\hat{\mathfrak R}_S(\|f\| \le B) \le \frac{2B\sqrt{\operatorname{tr}K}}{N}"
        r" = \sqrt{\frac{2B^2}{N}}\ \text{ iff } \operatorname{tr}K = \tfrac N2",
        "any kernel matrix K of N samples, ball of radius B in its Hilbert space",
        [
            Step(
                r"\hat{\mathfrak R}_S = \frac BN\,\mathbb E_\varepsilon\bigl\|\sum_n\varepsilon_n"
                r"\phi_n\bigr\|",
                "the supremum of a linear form over a ball (Cauchy-Schwarz, attained)",
                Definition("phi_n represents evaluation at x_n, <phi_n, phi_m> = K_nm"),
            ),
            Step(
                r"\mathbb E\varepsilon = 0,\ \mathbb E\varepsilon^2 = 1,\text{ so }"
                r"\mathbb E\|\sum\varepsilon_n\phi_n\|^2 = \sum_n K_{nn}",
                "independent fair signs: mixed terms vanish",
                AllOf((Identity(toss(lambda e: e), 0), Identity(toss(lambda e: e**2), 1))),
            ),
            Step(
                r"\mathbb E X^2 - (\mathbb E X)^2 = \mathbb E(X - \mathbb E X)^2 \ge 0",
                "so the mean norm is at most the root of the mean square, sqrt(tr K)",
                AllOf(
                    (
                        Identity((x - m) ** 2, x**2 - 2 * m * x + m**2),
                        Identity((second - 2 * m * sign + m**2).subs(sign, m), second - m**2),
                        StructuralSign((x - m) ** 2, ">=0"),
                    )
                ),
            ),
            Step(
                r"2B\sqrt{N/2}/N = \sqrt{2B^2/N}",
                "the printed constant belongs to K(x, x) = 1/2",
                Identity(_leading(_B, _N / 2), _printed(_B)),
            ),
            Step(
                r"K(x,x) = \mathbb E\sigma'(z)^2\,|x|^2 = \tfrac12",
                "the trained input layer of a ReLU network at |x| = 1 (Arora et al. 2019)",
                Identity(ReLU().second_moment_dot(q), _HALF),
            ),
            Step(
                r"K \to sK:\ B^2 \to B^2/s,\ \operatorname{tr}K \to s\operatorname{tr}K,"
                r"\text{ the leading term stays}",
                "the minimum-norm interpolant does not depend on the scale of K",
                Identity(_leading(_B / sp.sqrt(_S), _S * _TRACE), _leading(_B, _TRACE)),
            ),
        ],
        mutants={
            "the printed term does not depend on the scale": Identity(
                _printed(_B / sp.sqrt(_S)), _printed(_B)
            ),
            "the constant 2 for K(x, x) = 1": Identity(_leading(_B, _N), _printed(_B)),
            "trace in place of its root": Identity(2 * _B * (_N / 2) / _N, _printed(_B)),
        },
    )


@derivation("generalisation.radius")
def _radius() -> Derivation:
    """A radius that depends on the sample costs a logarithm."""
    n = sp.Symbol("n", integer=True, positive=True)
    share = sp.Function("p")
    o, low, gap, unit, rest = sp.symbols("o lambda_0 h u r", positive=True)
    total = {share(1): _HALF}
    step = {share(n + 1): share(n) + 1 / ((n + 1) * (n + 2))}
    return Derivation(
        "generalisation.radius",
        "The union over radii, and where lambda_min enters",
        r"\sum_{i=1}^{n}\frac{\delta}{i(i+1)} = \delta\Bigl(1 - \frac1{n+1}\Bigr) \le \delta,\qquad"
        r" B^2 = y^{\mathsf T}K^{-1}y \le \frac{N}{\lambda_{\min}}\ (|y| \le 1)",
        "every n >= 1; K positive definite",
        [
            Step(
                r"p_n = \sum_{i\le n}\frac1{i(i+1)} = \frac n{n+1}",
                "induction on the number of radii",
                Induction(n, sp.Eq(share(n), n / (n + 1)), total, step),
            ),
            Step(
                r"1 - p_n = \frac1{n+1} > 0",
                "so all radii together fail with probability at most delta",
                AllOf((Identity(1 - n / (n + 1), 1 / (n + 1)), StructuralSign(1 / (n + 1), ">0"))),
            ),
            Step(
                r"u\,\lceil B/u\rceil < B + u",
                "the radius chosen exceeds the norm by less than the unit: B = u (i - r), r < 1",
                Identity(unit * _I - unit * (_I - rest), unit * rest),
            ),
            Step(
                r"\frac{o_i^2}{\lambda_{\min}} - \frac{o_i^2}{\lambda_i} \ge 0",
                "in the eigenbasis, lambda_i = lambda_min + h with h >= 0; sum over i",
                AllOf(
                    (
                        Identity(
                            o**2 / low - o**2 / (low + gap), o**2 * gap / (low * (low + gap))
                        ),
                        StructuralSign(o**2 * gap / (low * (low + gap)), ">0"),
                    )
                ),
            ),
        ],
        mutants={
            "weights 1/i": Induction(
                n, sp.Eq(share(n), n / (n + 1)), {share(1): sp.S.One},
                {share(n + 1): share(n) + 1 / (n + 1)},
            ),
            "largest eigenvalue": Sign(
                o**2 / (low + gap) - o**2 / low, ">=0", {o: (1, 2), low: (1, 2), gap: (1, 2)}
            ),
        },
    )  # fmt: skip


@derivation("generalisation.bound")
def _bound() -> Derivation:
    """The whole bound, conditional on three textbook theorems."""
    f, count, delta = sp.symbols("f i delta", positive=True)
    label = sp.Symbol("y", real=True)
    distance = (f - label) ** 2
    confidence = 3 * sp.sqrt(sp.log(2 / delta) / (2 * _N))
    return Derivation(
        "generalisation.bound",
        "Generalisation of the minimum-norm interpolant, with explicit constants",
        r"\mathbb E\ell(f(x),y) \le \hat{\mathbb E}\ell + \frac{2u\lceil B/u\rceil"
        r"\sqrt{\operatorname{tr}K}}{N} + 3\sqrt{\frac{\log(2i(i+1)/\delta)}{2N}},\quad"
        r"i = \lceil B/u\rceil",
        "losses in [0, 1], 1-Lipschitz in the prediction, 0 at the label; i.i.d. sample; K and u "
        "fixed before the sample was seen. [B] Theorem 6.1 (reconstructed) is this with tr K = N/2 "
        "and the rest in O-notation",
        [
            Step(
                r"\mathbb E g \le \hat{\mathbb E} g + 2\hat{\mathfrak R}_S(G)"
                r" + 3\sqrt{\log(2/\delta)/(2N)}",
                "symmetrisation and bounded differences",
                Cited(
                    "the Rademacher bound (its proof uses McDiarmid's inequality)",
                    "Mohri, Rostamizadeh and Talwalkar 2018, Theorem 3.3",
                ),
            ),
            Step(
                r"\hat{\mathfrak R}_S(\ell\circ F) \le \hat{\mathfrak R}_S(F)",
                "a 1-Lipschitz loss",
                Cited("Talagrand's contraction lemma",
                      "Mohri, Rostamizadeh and Talwalkar 2018, Lemma 5.7"),
            ),
            Step(
                r"\text{wide lazy training from } f = 0 \text{ ends at the interpolant of } K",
                "what makes it a statement about networks",
                Cited("convergence of training to kernel regression",
                      "Arora, Du, Hu, Li and Wang 2019; for pruned networks [B], reconstructed"),
            ),
            Step(
                r"\log\frac{2}{\delta_i} = \log\frac{2i(i+1)}{\delta},\quad"
                r"\delta_i = \frac{\delta}{i(i+1)}",
                "the confidence left for radius u i",
                Identity(
                    confidence.subs(delta, delta / (count * (count + 1))),
                    3 * sp.sqrt(sp.log(2 * count * (count + 1) / delta) / (2 * _N)),
                ),
            ),
            Step(
                r"y = \pm1,\ yf \le 0 \Rightarrow |f-y|^2 = 1 + f^2 + 2|f| \ge 1",
                "so min(1, |f - y|) is 1 where the sign is wrong: the error rate obeys the bound",
                AllOf(
                    (
                        Identity(distance.subs(label, -1), 1 + f**2 + 2 * f),
                        StructuralSign(f**2 + 2 * f, ">0"),
                    )
                ),
            ),
        ],
        mutants={
            "halved squared loss": Sign(  # it may be little more than 1/2 at a wrong sign
                distance.subs(label, -1) / 2 - 1, ">=0", {f: (_HALF / 5, _HALF / 4)}
            ),
            "confidence of the radius left out": Identity(
                confidence.subs(delta, delta / (count * (count + 1))), confidence
            ),
        },
    )  # fmt: skip


def _enumerated(kernel: sp.Matrix, labels: tuple[sp.Expr, ...], p: sp.Expr) -> sp.Expr:
    """The expectation by going through all outcomes of the tosses."""
    total = sp.S.Zero
    for kept in itertools.product((0, 1, -1), repeat=len(labels)):  # 0: kept, else the toss
        chance = sp.Mul(*[(1 - p) if k == 0 else p / 2 for k in kept])
        y = sp.Matrix([own if k == 0 else k for own, k in zip(labels, kept, strict=True)])
        total += chance * (y.T * kernel * y)[0]
    return sp.expand(total)


@derivation("generalisation.label_noise")
def _label_noise() -> Derivation:
    """Complexity against the share of random labels is known in closed form."""
    p, q, t, y = sp.symbols("p q t y", real=True)
    q2, t2 = sp.symbols("q_2 t_2", real=True)
    A, B, C = sp.symbols("A B C", real=True)
    inverse = sp.Matrix([[A, C], [C, B]])
    one = (sp.S.One, sp.S.One)
    opposite = (sp.S.One, -sp.S.One)
    curve = expected_complexity(q, t, p)
    kept = (t2 - t) / ((t2 - t) + (q - q2))
    excess, more, weight = sp.symbols("e h w", positive=True)
    return Derivation(
        "generalisation.label_noise",
        "Expected complexity when a share p of the labels is random",
        r"\mathbb E\,y'^{\mathsf T}K^{-1}y' = (1-p)^2\,y^{\mathsf T}K^{-1}y"
        r" + \bigl(1-(1-p)^2\bigr)\operatorname{tr}K^{-1}",
        "labels +1, -1, each replaced by a fair coin toss with probability p, independently; a "
        "kernel that does not depend on the noise. So two kernels' curves are straight in "
        "(1 - p)^2 and cross at most once",
        [
            Step(
                r"\mathbb E y' = (1-p)\,y,\quad \mathbb E y'^2 = 1",
                "one label, y^2 = 1",
                AllOf(
                    (
                        Identity((1 - p) * y + p / 2 - p / 2, (1 - p) * y),
                        Identity(((1 - p) * y**2 + p / 2 + p / 2).subs(y**2, 1), 1),
                    )
                ),
            ),
            Step(
                r"\sum_{n\ne m}(K^{-1})_{nm}(1-p)^2y_ny_m + \sum_n (K^{-1})_{nn}",
                "independence off the diagonal; the off-diagonal sum is q - tr K^{-1}",
                Identity((1 - p) ** 2 * (q - t) + t, curve),
            ),
            Step(
                r"N = 2:\ \text{all nine outcomes}",
                "the statement in full, for equal and for opposite labels",
                AllOf(
                    tuple(
                        Identity(
                            _enumerated(inverse, labels, p),
                            expected_complexity(A + B + 2 * C * labels[1], A + B, p),
                        )
                        for labels in (one, opposite)
                    )
                ),
            ),
            Step(
                r"\partial_p\,\mathbb E = 2(1-p)(\operatorname{tr}K^{-1} - q)",
                "it grows iff the true labels are simpler than random ones",
                Identity(sp.diff(curve, p), 2 * (1 - p) * (t - q)),
            ),
            Step(
                r"(1-p)^2 = \frac{t_2 - t}{(t_2 - t) + (q - q_2)}",
                "where two kernels' curves meet",
                Identity(
                    (kept * (q - q2) + (1 - kept) * (t - t2)) * (t2 - t + q - q2), 0
                ),
            ),
            Step(
                r"q < q_2,\ t < t_2 \Rightarrow \text{ no crossing}",
                "the difference is a mean of two positive numbers, with (1-p)^2 = w/(1+w)",
                AllOf(
                    (
                        Identity(
                            (expected_complexity(q + excess, t + more, p) - curve).subs(
                                p, 1 - sp.sqrt(weight / (1 + weight))
                            ),
                            (weight * excess + more) / (1 + weight),
                        ),
                        StructuralSign((weight * excess + more) / (1 + weight), ">0"),
                    )
                ),
            ),
        ],
        mutants={
            "linear in the share kept": Identity(
                _enumerated(inverse, one, p), (1 - p) * (A + B + 2 * C) + p * (A + B)
            ),
            "without the trace": Identity(
                _enumerated(inverse, one, p), (1 - p) ** 2 * (A + B + 2 * C)
            ),
            "flipped, not tossed": Identity(
                _enumerated(inverse, one, p),
                expected_complexity(A + B + 2 * C, A + B, 2 * p),
            ),
        },
    )  # fmt: skip
