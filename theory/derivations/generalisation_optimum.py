"""Proofs about the path-density bound: where it is least, and where it is infinite.

Sums over inputs have an arbitrary number d of terms, and densities and coefficients are undefined
functions: nothing is assumed of them but their signs.
"""

from __future__ import annotations

import sympy as sp

from theory.derivation import AllOf, Antiderivative, Derivation, Identity, Sign, Step
from theory.derivations import derivation
from theory.special import path_density
from theory.structural import StructuralSign

_I, _SIZE = sp.symbols("i d", integer=True, positive=True)
_BETA = sp.Function("beta", real=True)(_I)
_D = sp.Function("D", positive=True)(_I)
_Z = sp.Symbol("z", real=True)
_HALF = sp.Rational(1, 2)


def _sum(body: sp.Expr) -> sp.Expr:
    return sp.Sum(body, (_I, 1, _SIZE))


@derivation("generalisation.optimum")
def _optimum() -> Derivation:
    """Under a fixed sum the best path densities are proportional to |beta|."""
    size = sp.Function("b", positive=True)(_I)  # |beta_i|
    t, budget = sp.symbols("t T", positive=True)
    total, best = _sum(size), budget * size / _sum(size)
    A, B, T = sp.symbols("b_1 b_2 T", positive=True)

    def value(f: sp.Expr, g: sp.Expr) -> sp.Expr:
        """The objective at D proportional to (f, g)."""
        return (A**2 / f + B**2 / g) * (f + g) / T

    least, box = (A + B) ** 2 / T, {A: (1, 2), B: (3, 4), T: (1, 2)}
    return Derivation(
        "generalisation.optimum",
        "The best path densities are proportional to the coefficients' sizes",
        r"\sum_i\frac{\beta_i^2}{D_i} \ge \frac{(\sum_i|\beta_i|)^2}{\sum_i D_i},\quad"
        r"\text{with equality iff } D_i \propto |\beta_i|",
        "any number of inputs, D_i > 0, beta_i != 0",
        [
            Step(
                r"\sum_i\bigl(|\beta_i|/\sqrt{D_i} - t\sqrt{D_i}\bigr)^2 = \sum\beta_i^2/D_i"
                r" - 2t\sum|\beta_i| + t^2\sum D_i",
                "expand",
                Identity(
                    _sum((size / sp.sqrt(_D) - t * sp.sqrt(_D)) ** 2),
                    _sum(size**2 / _D) - 2 * t * total + t**2 * _sum(_D),
                ),
            ),
            Step(
                r"(|\beta_i|/\sqrt{D_i} - t\sqrt{D_i})^2 \ge 0",
                "a square; zero for all i iff D_i = |beta_i|/t",
                StructuralSign((size / sp.sqrt(_D) - t * sp.sqrt(_D)) ** 2, ">=0"),
            ),
            Step(
                r"2t\textstyle\sum|\beta| - t^2\sum D = (\sum|\beta|)^2/\sum D\quad"
                r"(t = \sum|\beta|/\sum D)",
                "the best t",
                Identity(
                    (2 * t * A - t**2 * B).subs(t, A / B), A**2 / B
                ),
            ),
            Step(
                r"\sum_i\beta_i^2/D_i = (\sum|\beta_i|)^2/T\quad(D_i = T|\beta_i|/\sum|\beta|)",
                "the minimum is attained",
                Identity(_sum(size**2 / best), total**2 / budget),
            ),
            Step(
                r"d\sum\beta^2/(\sum|\beta|)^2 \to \frac{\mathbb E\beta^2}{(\mathbb E|\beta|)^2}"
                r" = \frac\pi2",
                "a flat D on a Gaussian teacher: Random and Magnitude, at every density",
                AllOf(
                    (
                        Antiderivative(
                            -2 * sp.exp(-(_Z**2) / 2) / sp.sqrt(2 * sp.pi),
                            2 * _Z * sp.exp(-(_Z**2) / 2) / sp.sqrt(2 * sp.pi),
                            _Z,
                            {sp.oo: 0, 0: -sp.sqrt(2 / sp.pi)},
                        ),
                        Identity(1 / sp.sqrt(2 / sp.pi) ** 2, sp.pi / 2),
                    )
                ),
            ),
        ],
        mutants={
            "D ~ beta^2": Identity(value(A**2, B**2), least),
            "flat D": Identity(value(sp.S.One, sp.S.One), least),
            "D ~ sqrt|beta|": Identity(value(sp.sqrt(A), sp.sqrt(B)), least),
            "D ~ beta^2 is better": Sign(least - value(A**2, B**2), ">=0", box),
            "squared norm in place of the sum": Identity(value(A, B), (A**2 + B**2) / T),
        },
    )  # fmt: skip


@derivation("generalisation.ceiling")
def _ceiling() -> Derivation:
    """With a largest path density per input the optimum is cut off there."""
    new = sp.Function("E", positive=True)(_I)
    tangent = _BETA**2 / _D - _BETA**2 * (new - _D) / _D**2
    level, gap, room = sp.symbols("lambda s r", positive=True)
    A, B = sp.symbols("b_1 b_2", positive=True)
    return Derivation(
        "generalisation.ceiling",
        "The optimum when no input can have more than its dense path density",
        r"D_i = \min(c_i, \lambda|\beta_i|),\ \sum D_i = T \ \Rightarrow\ "
        r"\sum\beta_i^2/E_i \ge \sum\beta_i^2/D_i\ \text{ for all } E \le c,\ \sum E_i \le T",
        "any number of inputs, D_i, E_i, lambda > 0",
        [
            Step(
                r"\frac{\beta_i^2}{E_i} - \frac{\beta_i^2}{D_i} + \frac{\beta_i^2}{D_i^2}"
                r"(E_i - D_i) = \frac{\beta_i^2(E_i-D_i)^2}{E_iD_i^2} \ge 0",
                "the tangent of a convex function lies below it",
                AllOf(
                    (
                        Identity(_BETA**2 / new - tangent,
                                 _BETA**2 * (new - _D) ** 2 / (new * _D**2)),
                        StructuralSign(_BETA**2 * (new - _D) ** 2 / (new * _D**2), ">=0"),
                    )
                ),
            ),
            Step(
                r"\frac{\beta_i^2}{D_i^2} = \frac1{\lambda^2}\ (D_i < c_i),\quad"
                r"\frac{\beta_i^2}{D_i^2} \ge \frac1{\lambda^2},\ E_i - D_i \le 0\ (D_i = c_i)",
                "slopes of free and of filled inputs, s >= 0 the excess and r = D_i - E_i >= 0",
                AllOf(
                    (
                        Identity((A / (level * A)) ** 2, 1 / level**2),
                        Identity((1 / level**2 + gap) * -room + room / level**2, -gap * room),
                        StructuralSign(-gap * room, "<=0"),
                    )
                ),
            ),
            Step(
                r"\frac{\beta_i^2}{\varphi^2} \le \frac1{\lambda^2},\ E_i - D_i \ge 0\quad"
                r"(D_i = \varphi)",
                "with a smallest value phi the same holds for inputs that rest on it",
                AllOf(
                    (
                        Identity(-(1 / level**2 - gap) * room + room / level**2, gap * room),
                        StructuralSign(gap * room, ">=0"),
                    )
                ),
            ),
            Step(
                r"-\sum_i\frac{\beta_i^2}{D_i^2}(E_i-D_i) \ge -\frac1{\lambda^2}"
                r"\Bigl(\sum E_i - T\Bigr) \ge 0",
                "sum over inputs",
                Identity(
                    _sum(-(new - _D) / level**2), -(_sum(new) - _sum(_D)) / level**2
                ),
            ),
        ],
        mutants={
            "tangent with D in place of D^2": Identity(
                _BETA**2 / new - _BETA**2 / _D + _BETA**2 * (new - _D) / _D,
                _BETA**2 * (new - _D) ** 2 / (new * _D**2),
            ),
            "cut off the flat density": Sign(
                # b = (1, 3), ceiling 1, T = 3/2: the claim would be D = (3/4, 3/4) is best
                (A**2 / _HALF + B**2 / 1) - (A**2 + B**2) * sp.Rational(4, 3), ">=0",
                {A: (1, 1), B: (3, 3)},
            ),
        },
    )  # fmt: skip


@derivation("generalisation.snip_diverges")
def _snip_diverges() -> Derivation:
    """SNIP's graphon starves weak inputs so much that the bound is infinite in the limit."""
    x, b, a, s = (sp.Symbol(name, positive=True) for name in ("x", "b", "a", "s"))
    level, cut, large = sp.symbols("tau delta M", positive=True)
    weight = sp.exp(-(a**2) / 2) / sp.sqrt(2 * sp.pi)
    sixth = sp.Rational(4, 3)
    # d/da of a closed form of the integral of a^2 e^{a^2/8} phi(a)
    closed = sixth * (
        sp.sqrt(sixth) * sp.erf(a * sp.sqrt(sp.Rational(3, 8))) / 2
        - a * sp.exp(-3 * a**2 / 8) / sp.sqrt(2 * sp.pi)
    )
    series = (level / (2 * b)) ** 4 / 24
    return Derivation(
        "generalisation.snip_diverges",
        "The path-density bound is infinite for SNIP's limit graphon",
        r"A(x) \le 4\left(\tfrac43\right)^{3/2} e^{-x/2},\quad"
        r"\int_\delta^1 \frac{\beta^2}{A(\tau/\beta)}\,d\beta \ge C\tau^4(\tfrac1\delta - 1)"
        r"\to\infty\ (\delta\to0)",
        "half-normal column law, Gaussian weights, r = |beta|, any law of beta whose density is "
        "bounded below near 0 (a Gaussian teacher's is), any density rho < 1 (tau > 0); so "
        "sum_i beta_i^2/D_i per input grows without bound with d. With the initialisation's own "
        "noise, r = |b - beta|, the numerator does not even vanish where r does",
        [
            Step(
                r"A(x) = \mathbb E[a^2;|wa|\ge x] \le e^{-x/2}\,\mathbb E[a^2 e^{|wa|/2}]"
                r" \le 2e^{-x/2}\,\mathbb E[a^2 e^{a^2/8}]",
                "1{y >= x} <= exp((y - x)/2), and E exp(s|w|) <= E(e^{sw} + e^{-sw}) = 2 e^{s^2/2}",
                Antiderivative(
                    sp.exp(s**2 / 2) * sp.erf((b - s) / sp.sqrt(2)) / 2,
                    sp.exp(s * b) * sp.exp(-(b**2) / 2) / sp.sqrt(2 * sp.pi), b,
                    {sp.oo: sp.exp(s**2 / 2) / 2},
                ),
            ),
            Step(
                r"\int_0^\infty a^2 e^{a^2/8}\varphi(a)\,da = \tfrac12(\tfrac43)^{3/2}",
                "closed form; twice that over both signs of a",
                Antiderivative(
                    closed, a**2 * sp.exp(a**2 / 8) * weight, a,
                    {0: 0, sp.oo: sixth * sp.sqrt(sixth) / 2},
                ),
            ),
            Step(
                r"A(x) < 4(\tfrac43)^{3/2}e^{-x/2}",
                "the closed form of A obeys it on a box, as it must",
                Sign(
                    4 * sixth ** sp.Rational(3, 2) * sp.exp(-x / 2) - path_density(x), ">0",
                    {x: (sp.Rational(1, 10), 3)},
                ),
            ),
            Step(
                r"e^{y} \ge y^4/24,\quad y = \tau/(2\beta)",
                "a term of the exponential series, all of whose terms are positive",
                AllOf(
                    (
                        StructuralSign(series, ">0"),
                        Identity(sp.series(sp.exp(x), x, 0, 5).removeO().coeff(x, 4),
                                 sp.Rational(1, 24)),
                    )
                ),
            ),
            Step(
                r"\int_\delta^1\beta^2\,\frac{\tau^4}{384\,\beta^4}\,d\beta"
                r" = \frac{\tau^4}{384}\left(\frac1\delta - 1\right)",
                "beyond any M, for delta = 1/(1 + 384 M/tau^4)",
                AllOf(
                    (
                        Antiderivative(-level**4 / (384 * b), b**2 * series, b,
                                       {1: -level**4 / 384}),
                        Identity(
                            (level**4 / 384 * (1 / cut - 1)).subs(
                                cut, level**4 / (level**4 + 384 * large)
                            ),
                            large,
                        ),
                    )
                ),
            ),
        ],
        mutants={
            "no faster than exp(-x/2)": Sign(
                path_density(x) - 4 * sixth ** sp.Rational(3, 2) * sp.exp(-x / 2) / 20, ">0",
                {x: (8, 9)},
            ),
            "a bounded integrand": Antiderivative(
                -level**4 * b / 384, b**2 * series, b, {1: -level**4 / 384}
            ),
        },
    )  # fmt: skip
