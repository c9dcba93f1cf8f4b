"""What the dense core can approximate ([B] Theorems 5.1 and 5.7, reconstructed) and what not.

The mask limits the support of the weights only: weights outside the core are set to zero, and
the sparse network is the dense one on the core's inputs. What classical universality adds is
cited; the rate for random features, the floor of inactive inputs and the floor of networks
without bias are proved.
"""

from __future__ import annotations

import sympy as sp

from theory.derivation import AllOf, Cited, Derivation, Identity, Induction, Step
from theory.derivations import derivation
from theory.structural import StructuralSign

_m = sp.Symbol("m", integer=True, positive=True)


def _reduction_steps() -> list[Step]:
    """A network whose mask contains J x K computes any dense network on K with |J| neurons."""
    i, j = sp.symbols("i j", integer=True, positive=True)
    k, rest, many, others = sp.symbols("k d m n", integer=True, positive=True)
    dense, x, sigma = sp.Function("w"), sp.Function("x"), sp.Function("sigma")
    scale_in, scale_out = sp.symbols("s_in s_out", positive=True)
    out = sp.Function("a")
    masked = sp.Sum(dense(j, i) / scale_in * x(i), (i, 1, k)) + sp.Sum(
        0 * x(i), (i, k + 1, k + rest)
    )
    outer = sp.Sum(out(j) / scale_out * sigma(j), (j, 1, many)) + sp.Sum(
        0 * sigma(j), (j, many + 1, many + others)
    )
    return [
        Step(
            r"s_{\mathrm{in}} \sum_{i \le d} M_{ji} W_{ji} x_i = \sum_{i \in K} w_{ji} x_i,\quad"
            r"W_{ji} = w_{ji}/s_{\mathrm{in}}\ (i \in K),\ 0\ \text{otherwise}",
            "for j in the core M_ji = 1 on K, and zero weights are allowed under any mask",
            Identity(
                scale_in * masked.doit(), sp.Sum(dense(j, i) * x(i), (i, 1, k))
            ),
        ),
        Step(
            r"s_{\mathrm{out}} \sum_{j \le n} A_j \sigma_j = \sum_{j \in J} a_j \sigma_j,\quad"
            r"A_j = a_j/s_{\mathrm{out}}\ (j \in J),\ 0\ \text{otherwise}",
            "neurons outside the core are switched off by their output weight",
            Identity(
                scale_out * outer.doit(), sp.Sum(out(j) * sigma(j), (j, 1, many))
            ),
        ),
    ]  # fmt: skip


@derivation("expressivity.reduction")
def _reduction() -> Derivation:
    i, j = sp.symbols("i j", integer=True, positive=True)
    dense, x = sp.Function("w"), sp.Function("x")
    scale = sp.Symbol("s_in", positive=True)
    return Derivation(
        "expressivity.reduction",
        "The sparse network contains the dense one on its core",
        r"\left\{\sum_{j\le m} a_j \sigma(\langle w_j, x_K\rangle + b_j)\right\} \subseteq "
        r"\left\{ f_{M}(x; W, A, b) \right\}\quad\text{if } M \ge 1_{J \times K},\ |J| = m",
        "any activation, any mask that holds the core, biases not masked",
        _reduction_steps(),
        mutants={
            "weights not rescaled": Identity(
                scale * sp.Sum(dense(j, i) * x(i), (i, 1, 2)).doit(),
                sp.Sum(dense(j, i) * x(i), (i, 1, 2)).doit(),
            ),
            "an edge of the core missing": Identity(
                sp.Sum(dense(j, i) * x(i), (i, 1, 2)).doit(),
                sp.Sum(dense(j, i) * x(i), (i, 1, 3)).doit(),
            ),
        },
    )


@derivation("expressivity.universality")
def _universality() -> Derivation:
    t = sp.Symbol("t", real=True)
    size = sp.Symbol("n", positive=True)
    q = sp.Symbol("q", positive=True)
    odd = sp.tanh(t)
    return Derivation(
        "expressivity.universality",
        "Universality on active coordinates, as far as it is a theorem of this project",
        r"q = \int \prod_{i\in K} P(u_i, v)\,dv > 0:\ \inf_{W, A, b} \|f_M - g\|_\infty \to 0 "
        r"\text{ in probability, for } g \in C(\text{compact} \subset R^K)",
        "conditional on classical universality (Theorem 5.1); bias, and an activation that is no "
        "polynomial; k fixed, n -> infinity",
        [
            Step(
                r"nq \to \infty",
                "then a core of any size m is there with probability tending to one "
                "(expressivity.dense_core, expressivity.global_threshold)",
                Identity(sp.limit(1 / (size * q), size, sp.oo), sp.S.Zero),
            ),
            *_reduction_steps(),
            Step(
                r"\inf_{a, w, b} \|\sum_{j \le m} a_j\sigma(\langle w_j, \cdot\rangle + b_j) - g\|"
                r" \to 0\ (m \to \infty)",
                "dense one-hidden-layer universality",
                Cited(
                    "universality of networks whose activation is no polynomial",
                    "Leshno, Lin, Pinkus, Schocken 1993",
                ),
            ),
        ],
        mutants={
            "without bias an odd activation reaches even functions": Identity(
                odd + odd.subs(t, -t), 2 * odd
            ),
            "a bounded n q is enough": Identity(
                sp.limit(1 / (size * (1 / size)), size, sp.oo), sp.S.Zero
            ),
        },
    )


@derivation("expressivity.random_features")
def _random_features() -> Derivation:
    """Variance of a mean of independent functions, by induction on their number."""
    second, norm = sp.symbols("C_2 F", positive=True)  # E |a sigma|^2 and |f|^2
    family = sp.Function("S")  # E | sum of m terms |^2
    mean_square = _m * second + _m * (_m - 1) * norm
    error = mean_square / _m**2 - 2 * norm + norm
    q, n, rho = sp.symbols("q n rho", positive=True)
    return Derivation(
        "expressivity.random_features",
        "Random features approximate at the rate 1/m, through the core at 1/(n q)",
        r"f(x) = E_\omega[a(\omega)\sigma(\omega, x)]:\quad \min_{c} E\Big\|\sum_{j\le m} c_j "
        r"\sigma(\omega_j, \cdot) - f\Big\|^2 \le \frac{E\|a\sigma\|^2 - \|f\|^2}{m}",
        "every m; any law of the features, any square-integrable a; least squares does at least "
        "as well as the Monte Carlo coefficients a(omega_j)/m",
        [
            Step(
                sp.Eq(family(_m), mean_square),
                "one more independent term adds its square and 2 m inner products with the mean",
                Induction(
                    _m,
                    [sp.Eq(family(_m), mean_square)],
                    {family(1): second},
                    {family(_m + 1): family(_m) + 2 * _m * norm + second},
                ),
            ),
            Step(
                r"E\|f_m - f\|^2 = (E\|a\sigma\|^2 - \|f\|^2)/m",
                "expand the square; E <f_m, f> = |f|^2",
                Identity(error, (second - norm) / _m),
            ),
            Step(
                r"m = nq\,(1 + o(1)):\quad (E\|a\sigma\|^2 - \|f\|^2)/(nq)",
                "the core's size, in probability; for Random q = rho^k",
                Identity(error.subs(_m, n * q), (second - norm) / (n * q)),
            ),
        ],
        mutants={
            "rate 1/m^2": Identity(error, (second - norm) / _m**2),
            "terms not centred": Identity(error, second / _m),
            "width instead of core size": Identity(error.subs(_m, n * rho**2), (second - norm) / n),
        },
    )


@derivation("expressivity.inactive_floor")
def _inactive_floor() -> Derivation:
    f, best, square = sp.symbols("f g Y_2", real=True)  # at fixed active inputs; Y_2 = E[y^2 | .]
    conditional = f**2 - 2 * f * best + square
    return Derivation(
        "expressivity.inactive_floor",
        "No width helps against an inactive input: the error keeps its conditional variance",
        r"E(f(x_A) - y)^2 = E(f(x_A) - E[y|x_A])^2 + E\operatorname{Var}(y | x_A) \ge "
        r"E\operatorname{Var}(y|x_A)",
        "any function of the active inputs alone, any law of the inputs with E y^2 finite",
        [
            Step(
                r"E[(f - y)^2 | x_A] = f^2 - 2 f\,E[y|x_A] + E[y^2|x_A]",
                "f is known given the active inputs; linearity",
                Identity(sp.expand((f - best) ** 2) + square - best**2, conditional),
            ),
            Step(
                r"= (f - E[y|x_A])^2 + \operatorname{Var}(y | x_A)",
                "complete the square",
                Identity(conditional, (f - best) ** 2 + (square - best**2)),
            ),
            Step(
                r"(f - E[y|x_A])^2 \ge 0",
                "equality for the conditional mean, which the core approximates",
                StructuralSign((f - best) ** 2, ">=0"),
            ),
        ],
        mutants={
            "floor without subtracting the mean": Identity(conditional, (f - best) ** 2 + square),
            "no floor": Identity(conditional, (f - best) ** 2),
        },
    )


@derivation("expressivity.no_bias")
def _no_bias() -> Derivation:
    t, w, x = sp.symbols("t w x", real=True)
    even, odd, f = sp.symbols("y_e y_o f", real=True)  # values at x; odd parts change sign at -x
    both = ((f - even - odd) ** 2 + (-f - even + odd) ** 2) / 2
    relu = (t + sp.Abs(t)) / 2
    scale = sp.Symbol("c", positive=True)
    return Derivation(
        "expressivity.no_bias",
        "Without bias universality fails on every input: odd activations reach odd functions only",
        r"\sigma\ \text{odd}: f(-x) = -f(x),\quad E(f - y)^2 = E(f - y_{\mathrm{odd}})^2 + "
        r"E y_{\mathrm{even}}^2;\qquad \text{ReLU}: f(cx) = c f(x)",
        "one hidden layer without bias, any mask and width; input law symmetric under x -> -x",
        [
            Step(
                r"\tanh(-t) = -\tanh t,\quad \operatorname{erf}(-t) = -\operatorname{erf}(t)",
                "odd activations, so sums of sigma(<w, x>) are odd in x",
                AllOf(
                    (
                        Identity(sp.tanh(-w * x), -sp.tanh(w * x)),
                        Identity(sp.erf(-w * x), -sp.erf(w * x)),
                    )
                ),
            ),
            Step(
                r"\tfrac12[(f(x) - y(x))^2 + (f(-x) - y(-x))^2] = (f - y_o)^2 + y_e^2",
                "average over x and -x",
                Identity(both, (f - odd) ** 2 + even**2),
            ),
            Step(
                r"\max(0, ct) = c\max(0, t),\ c > 0",
                "ReLU networks without bias are homogeneous of degree one",
                Identity(relu.subs(t, scale * t), scale * relu),
            ),
        ],
        mutants={
            "the even part is reached": Identity(both, (f - odd) ** 2),
            "a bias keeps oddness": Identity(sp.tanh(-x + 1), -sp.tanh(x + 1)),
        },
    )
