"""Proofs about the graphon NTK itself: covariance, which entries train, the printed sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from theory.derivation import AllOf, Derivation, Identity, Induction, Step
from theory.derivations import derivation
from theory.derivations.reduction_claims import ANY
from theory.ntk import GraphonNetwork, LayerGraphon, standard_network, variance_profile
from theory.ntk_depth import covariance_term, tangent_term
from theory.ntk_depth import layer as n
from theory.structural import StructuralSign

_P = sp.Symbol("p", positive=True)
_L = sp.Symbol("l", integer=True, positive=True)
_H, _G = sp.Function("h", real=True), sp.Function("h'", real=True)
_SECOND, _FIRST = sp.Function("V", positive=True), sp.Function("mu", real=True)


def _bernoulli(value: Callable[[sp.Expr], Any]) -> sp.Expr:
    """``E value(M)`` for M = 1 with probability p."""
    return (1 - _P) * value(sp.S.Zero) + _P * value(sp.S.One)


@derivation("graphon_ntk.covariance")
def _covariance() -> Derivation:
    """[A] (1), (2) at every finite width, and what a mean of the weights adds to them."""
    first, other = sp.Function("E_1", real=True), sp.Function("E_2", real=True)
    both, cross = sp.Function("E_12", real=True), sp.Function("E_ij", real=True)
    second = sp.Function("E_j", real=True)
    sums = {
        name: sp.Function(name, real=True) for name in ("S_V", "S_1", "S_2", "S_mu", "S_j", "S_ij")
    }
    means = sp.Function("nu", real=True)  # the mean graphon's entries of another target
    terms = {
        "S_V": lambda at: _SECOND(at) * _H(at) * _G(at),
        "S_1": lambda at: _FIRST(at) * _H(at),
        "S_2": lambda at: _FIRST(at) * _G(at),
        "S_mu": lambda at: _FIRST(at) ** 2 * _H(at) * _G(at),
        "S_j": lambda at: means(at) * _G(at),
        "S_ij": lambda at: _FIRST(at) * means(at) * _H(at) * _G(at),
    }
    given: dict[Any, Any] = {}
    for name, term in terms.items():
        given[sums[name](1)] = term(sp.S.One)
        given[sums[name](n + 1)] = sums[name](n) + term(n + 1)
    single = {first: terms["S_1"], other: terms["S_2"], second: terms["S_j"]}
    initial = {head(1): term(sp.S.One) for head, term in single.items()}
    recurrence = {head(n + 1): head(n) + term(n + 1) for head, term in single.items()}
    for head, term, left, right in (
        (both, terms["S_V"], terms["S_1"], (other, terms["S_2"])),
        (cross, terms["S_ij"], terms["S_1"], (second, terms["S_j"])),
    ):
        initial[head(1)] = term(sp.S.One)
        recurrence[head(n + 1)] = (
            head(n) + first(n) * right[1](n + 1) + left(n + 1) * right[0](n) + term(n + 1)
        )

    def claim(pair: sp.Expr, apart: sp.Expr, mean: sp.Expr | None = None) -> Induction:
        claims = [
            sp.Eq(first(n), sums["S_1"](n) if mean is None else mean),
            sp.Eq(other(n), sums["S_2"](n)),
            sp.Eq(second(n), sums["S_j"](n)),
            sp.Eq(both(n), pair, evaluate=False),
            sp.Eq(cross(n), apart, evaluate=False),
        ]
        return Induction(n, claims, initial, recurrence, given=given)

    s = {name: head(n) for name, head in sums.items()}
    pair = s["S_V"] + s["S_1"] * s["S_2"] - s["S_mu"]
    a, b, w, mask, x, y = sp.symbols("Z Z' w M x y", real=True)
    centred = {_FIRST(n): 0, means(n): 0, s["S_1"]: 0, s["S_2"]: 0, s["S_mu"]: 0, s["S_j"]: 0}
    level = sp.symbols("Vbar mubar hbar", positive=True)
    flat = n * level[0] + (n * level[1]) ** 2 - n * level[1] ** 2
    return Derivation(
        "graphon_ntk.covariance",
        "Conditional covariance of pre-activations, at every finite width",
        r"E[z_i(x) z_i(x') \mid h] = \frac1n\sum_j \mathcal V(u_j, v_i)\,h_j(x) h_j(x')"
        r"\quad(\mu = 0),\qquad E[z_i z_{i'} \mid h] = 0\quad(i \ne i')",
        "every width n >= 1 and all sources' values h; exact, so [A] (1) is the case n = d, h = x, "
        "and (2) its limit once the average over sources converges, which is not claimed here",
        [
            Step(
                r"(Z + wMx)(Z' + wMy) = ZZ' + Z\,wM\,y + Z'\,wM\,x + (wM)^2 xy",
                "one more source; Z, Z' do not involve its weight and mask",
                Identity(
                    sp.expand((a + w * mask * x) * (b + w * mask * y)),
                    a * b + a * w * mask * y + b * w * mask * x + (w * mask) ** 2 * x * y,
                ),
            ),
            Step(
                r"E[ZZ'] = \sum V h h' + \sum\mu h \sum\mu h' - \sum \mu^2 h h',\quad "
                r"E[Z_i Z_{i'}'] = \sum \mu_i h \sum \mu_{i'} h'",
                "induction over sources, V = E[(wM)^2], mu = E[wM], entries of one mask "
                "independent given the positions",
                claim(pair, s["S_1"] * s["S_j"]),
            ),
            Step(
                r"E[ZZ'] = \sum V h h',\quad E[Z_i Z_{i'}'] = 0",
                "no mean: independent mask and weights, or a rule even in w",
                AllOf(
                    (
                        Identity(pair.subs(centred), s["S_V"]),
                        Identity((s["S_1"] * s["S_j"]).subs(centred), sp.S.Zero),
                    )
                ),
            ),
            Step(
                r"\tfrac1n E[ZZ'] = V - \mu^2 + n\,\mu^2",
                "constant V, mu and h = 1: with a mean the covariance grows like n, so signed "
                "rules leave the regime of Proposition 1",
                Identity(sp.expand(flat / n), level[0] - level[1] ** 2 + n * level[1] ** 2),
            ),
        ],
        (
            "given the positions and h, weights and masks of this layer are independent of h and "
            "over sources and targets",
        ),
        {
            "mean forgotten": claim(s["S_V"], s["S_1"] * s["S_j"]),
            "squares of the mean counted twice": claim(
                s["S_V"] + s["S_1"] * s["S_2"], s["S_1"] * s["S_j"]
            ),
            "targets always uncorrelated": claim(pair, sp.S.Zero),
            "targets share their weights": claim(pair, s["S_1"] * s["S_j"] + s["S_ij"]),
            "5 % more": claim(sp.Rational(21, 20) * pair, s["S_1"] * s["S_j"]),
        },
    )  # fmt: skip


@derivation("graphon_ntk.trained_entries")
def _trained_entries() -> Derivation:
    """Which V and T the three networks have; [A] (39) covers one of them only."""
    w, second = sp.Symbol("w", real=True), sp.Symbol("m_2", positive=True)  # E w^2
    unit = {second: 1}

    def entries(weight: Callable[[Any], Any], by: Callable[[Any], Any]) -> tuple[sp.Expr, sp.Expr]:
        """V = E W^2 and T = E (dW/dw)^2 for an effective weight W = weight(M) w."""
        moment = _bernoulli(lambda m: weight(m) ** 2) * second
        return moment.subs(unit), _bernoulli(lambda m: by(m) ** 2)

    masked = entries(lambda m: m, lambda m: sp.diff(m * w, w))
    scaled = entries(lambda m: sp.sqrt(_P), lambda m: sp.diff(sp.sqrt(_P) * w, w))
    own = entries(lambda m: sp.sqrt(_P), lambda m: sp.diff(w, w))
    rescaled = entries(lambda m: m / sp.sqrt(_P), lambda m: sp.diff(m * w / sp.sqrt(_P), w))
    delta, inner = sp.symbols("delta h", real=True)
    x, kappa, dot, before = sp.symbols("T kappa kappadot Theta", real=True)
    network = GraphonNetwork(ANY, [LayerGraphon(_P, 1), LayerGraphon(_P, 1)])
    ours = GraphonNetwork(ANY, [LayerGraphon(_P), LayerGraphon(_P)])
    gap = ours.kernel() - network.kernel()
    one = network.solve().contributions
    return Derivation(
        "graphon_ntk.trained_entries",
        "Which entries train: the factor that [A] (37)-(39) leaves out",
        r"E\Big[\Big(\frac{\partial W}{\partial w}\Big)^2\Big] = E[M^2] = \mathcal W\ "
        r"\text{(mask, survivors train)},\qquad 1\ \text{(profile, all train)}",
        "entries of a Bernoulli(p) mask or of variance p, unit weights independent of the mask",
        [
            Step(
                r"V = p,\quad T = p",
                "mask M w, trained w: the derivative of an effective weight is M, and M^2 = M",
                AllOf((Identity(masked[0], _P), Identity(masked[1], _P))),
            ),
            Step(
                r"V = p,\quad T = 1",
                "W ~ N(0, p) itself is the parameter: [A] Theorem 1 as printed",
                AllOf((Identity(own[0], _P), Identity(own[1], sp.S.One))),
            ),
            Step(
                r"V = p,\quad T = p",
                "W = sqrt(p) w with w ~ N(0, 1) the parameter: the same weights at the start, "
                "another kernel",
                AllOf((Identity(scaled[0], _P), Identity(scaled[1], _P))),
            ),
            Step(
                r"V = T = 1",
                "survivors rescaled by p^(-1/2)",
                AllOf((Identity(rescaled[0], sp.S.One), Identity(rescaled[1], sp.S.One))),
            ),
            Step(
                r"E[M^2]\,\delta\delta' h h' = p\,\delta\delta' h h'",
                "so where gradient and activation factor as in (39), the mask's square remains as "
                "a factor: independence holds for the unmasked rest only",
                Identity(_bernoulli(lambda m: m**2 * delta * inner), _P * delta * inner),
            ),
            Step(
                r"\Theta_{\text{mask}} = p\,\Theta_{\text{profile}}",
                "constant p, all layers pruned, any activation (one hidden layer): the two "
                "readings differ by the factor T",
                Identity(gap, (_P - 1) * sp.Add(*one)),
            ),
        ],
        ("the mask does not depend on weights and data; else see the saliency mask",),
        {
            "T = 1 for a mask": Identity(masked[1], sp.S.One),
            "V = p^2 for a mask": Identity(masked[0], _P**2),
            "T = sqrt(p)": Identity(scaled[1], sp.sqrt(_P)),
            "(39) for the masked derivative": Identity(
                _bernoulli(lambda m: m**2 * delta * inner), delta * inner
            ),
            "T = 0 changes nothing": Identity(
                tangent_term(_P, x, kappa, dot, before), tangent_term(_P, 0, kappa, dot, before)
            ),
            "the readings agree": Identity(ours.kernel(), network.kernel()),
        },
    )


@derivation("graphon_ntk.forward_backward")
def _forward_backward() -> Derivation:
    """The forward recursion and the sum of all L + 1 backward contributions are one kernel."""
    V, T, S, dot = (sp.Symbol(name, real=True) for name in ("V", "T", "S", "S_dot"))
    G, before = sp.symbols("G Theta", real=True)
    forward = sp.Function("J", real=True)
    share = sp.Function("C", real=True)
    total = sp.Sum(share(_L), (_L, 1, n))
    solve = lambda closed: Induction(  # noqa: E731
        n, sp.Eq(forward(n), closed), {forward(1): share(1)},
        {forward(n + 1): share(n + 1) + forward(n)},
    )  # fmt: skip
    density = sp.symbols("c_1 c_2 c_3", positive=True)
    mask = sp.symbols("T_1 T_2 T_3", positive=True)
    layers = [LayerGraphon(V_, T_) for V_, T_ in zip(density, mask, strict=True)]
    found = GraphonNetwork(ANY, layers).solve()
    return Derivation(
        "graphon_ntk.forward_backward",
        "Two forms of the kernel",
        r"\tilde\Theta_{L+1} = \sum_{l=1}^{L+1}\iint G_l(v)\,T_l(u, v)\,S_{l-1}(u)\,du\,dv,\quad "
        r"G_l(u) = \dot S_l(u)\int V_{l+1}(u, v)\,G_{l+1}(v)\,dv,\ G_{L+1} = 1",
        "every L >= 0, every activation and all V, T; gains are absorbed in V and T",
        [
            Step(
                r"G_{l+1}(v)\,[T S_l(u) + V\dot S_l(u)\tilde\Theta_l(u)] = "
                r"G_{l+1}(v)\,T S_l(u) + [V\dot S_l(u)\,G_{l+1}(v)]\,\tilde\Theta_l(u)",
                "under the double integral over (u, v)",
                Identity(
                    G * tangent_term(V, T, S, dot, before),
                    G * covariance_term(T, S) + covariance_term(V, dot * G) * before,
                ),
            ),
            Step(
                r"\int G_{n}\tilde\Theta_{n} = \sum_{l=1}^{n}\iint G_l T_l S_{l-1}",
                "induction over layers: integrated over v, the bracket is G_l; "
                "J(n + 1) = C(n + 1) + J(n). At n = L + 1, G = 1",
                solve(total),
            ),
            Step(
                r"L = 2,\ \text{constants}\ V_l, T_l",
                "the code's two forms agree for free duals",
                Identity(found.ntk, sp.Add(*found.contributions)),
            ),
        ],
        (),
        {
            "sum stops one early": solve(sp.Sum(share(_L), (_L, 1, n - 1))),
            "carried by T": Identity(
                G * tangent_term(V, T, S, dot, before),
                G * covariance_term(T, S) + covariance_term(T, dot * G) * before,
            ),
            "no output layer": Identity(found.ntk, sp.Add(*found.contributions[:-1])),
        },
    )


@derivation("graphon_ntk.printed_sum")
def _printed_sum() -> Derivation:
    """[A] (4) as printed leaves out the output layer's own term."""
    share = sp.Function("C", real=True)
    whole, printed = (sp.Sum(share(_L), (_L, 1, top)) for top in (n + 1, n))
    weights = sp.symbols("c_1 c_2 c_3", positive=True)
    network = variance_profile(ANY, weights)
    solved, short = network.solve(), network.as_printed()
    state = solved.covariance[-2][0]
    dense = standard_network(1, "relu", 2)
    unit = (sp.S.One,) * 3
    return Derivation(
        "graphon_ntk.printed_sum",
        "[A] equation (4) as printed, against the kernel",
        r"\Theta - \Theta_{(4)} = \int_0^1 \Sigma^{(L)}(u)\,du > 0\ \text{on the diagonal}",
        "every L >= 1: the sum over l = 1 .. L against that over all L + 1 weight matrices; "
        "T = 1 in both",
        [
            Step(
                r"\sum_{l=1}^{L+1} C_l - \sum_{l=1}^{L} C_l = C_{L+1}",
                "what the upper end leaves out",
                Identity(whole - printed, share(n + 1)),
            ),
            Step(
                r"C_{L+1} = \int \Sigma^{(L)}(u)\,du",
                "G_{L+1} = 1 and T = 1: the mean of the last activation covariance (L = 2, "
                "free duals)",
                AllOf(
                    (
                        Identity(solved.ntk - short, solved.contributions[-1]),
                        Identity(solved.contributions[-1], ANY.kappa(*state)),
                    )
                ),
            ),
            Step(
                r"\kappa(q, q, q) = E\,\sigma^2 > 0",
                "the missing term is positive on the diagonal",
                StructuralSign(ANY.second_moment(sp.Symbol("q", positive=True))),
            ),
            Step(
                r"L = 1,\ \text{dense ReLU}, |x|^2 = d:\quad \Theta_{\mathrm{std}} = 4,\quad"
                r"\Theta_{(4)} = 2",
                "half of the standard kernel is missing; gain 2",
                AllOf(
                    (
                        Identity(dense.kernel(unit), sp.Integer(4)),
                        Identity(dense.as_printed(unit), sp.Integer(2)),
                    )
                ),
            ),
        ],
        (),
        {
            "as printed is the kernel": Identity(solved.ntk, short),
            "as printed is the dense kernel": Identity(
                dense.as_printed(unit), dense.kernel(unit)
            ),
            "the sums agree": Identity(whole, printed),
            "the first layer's term is missing": Identity(
                solved.ntk - short, solved.contributions[0]
            ),
        },
    )  # fmt: skip


@derivation("graphon_ntk.proviso")
def _proviso() -> Derivation:
    """[A] (66) needs no dominance of the activation integral; with a bias it would be wrong."""
    c, S, G = sp.symbols("c S G", positive=True)
    one = sp.symbols("beta", positive=True)
    term = c ** (n + 1 - _L) * G * (c ** (_L - 1) * S)
    biased = c ** (n + 1 - _L) * G * (c ** (_L - 1) * S + one)
    return Derivation(
        "graphon_ntk.proviso",
        "[A] (66) without its proviso",
        r"\Theta_l = c^{L+1-l}\,G_l\cdot c^{l-1}\,S_{l-1} = c^L\,\Theta_{l,\mathrm{std}}",
        "every L >= l >= 1, degree 1, no biases, all entries train: exact, whatever the size of "
        "the activation integral. (A bias adds a term of another power, which no size makes exact)",
        [
            Step(
                r"c^{L+1-l}\,c^{l-1} = c^L",
                "forward and backward powers, both proved in reduction.all_train",
                Identity(term, c**n * G * S),
            ),
            Step(
                r"\Theta_l - c^L\Theta_{l,\mathrm{std}} = (c^{L+1-l} - c^L)\,\beta\,G_l",
                "with a bias of variance beta in the bracket: zero for no c < 1 unless l = 1",
                Identity(biased - c**n * G * (S + one), (c ** (n + 1 - _L) - c**n) * one * G),
            ),
            Step(
                r"(c^{L+1-1} - c^L)\,\beta\,G_1 = 0",
                "the case l = 1",
                Identity(((c ** (n + 1 - _L) - c**n) * one * G).subs(_L, 1), sp.S.Zero),
            ),
        ],
        (),
        {
            "with a bias": Identity(biased, c**n * G * (S + one)),
            "c^(L+1)": Identity(term, c ** (n + 1) * G * S),
            "c^(L-l)": Identity(term, c ** (n - _L) * G * S),
        },
    )
