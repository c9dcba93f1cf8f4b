"""Proofs about the global threshold: how it couples layers of different widths."""

from __future__ import annotations

import sympy as sp

from theory.derivation import AllOf, Derivation, Identity, Step
from theory.derivations import derivation
from theory.latent import cut, hidden_scale, kept_share, output_scale

_g, _d, _n, _O, _tau = sp.symbols("g d n O tau", positive=True)


@derivation("latent.threshold")
def _threshold() -> Derivation:
    """One threshold for all layers: cuts in the ratio of the scales, and what width does."""
    hidden, first = hidden_scale(_g, _n, _n), hidden_scale(_g, _d, _n)
    last = output_scale(_g, _n)
    q = sp.Symbol("q", positive=True)
    at = [cut(_tau, scale, q) for scale in (first, hidden, last)]
    ratio_first, ratio_last = at[0] / at[1], at[2] / at[1]
    counts = (_d * _n, _n**2, _n * _O)
    share = sp.symbols("D_1 D_2 D_3", positive=True)
    total = kept_share(counts, share)
    ratio = sp.Symbol("a", positive=True)
    return Derivation(
        "latent.threshold",
        "A global threshold couples the layers through their widths",
        r"\frac{t_1}{t_l} = \sqrt{\frac{d}{n}},\quad \frac{t_{L+1}}{t_l} = \frac{1}{\sqrt n}"
        r"\ \text{at equal}\ |\langle\psi, h\rangle|,\qquad "
        r"\sum_l n_l n_{l-1} D_l(\tau) = \rho\sum_l n_l n_{l-1}",
        "hidden layers of one width n, one gain; d inputs, O outputs",
        [
            Step(r"t_1/t_l = \sqrt{d/n}", "ratio of the scales, first against hidden layers",
                 Identity(ratio_first, sp.sqrt(_d / _n))),
            Step(r"t_{L+1}/t_l = 1/\sqrt n", "output against hidden layers",
                 Identity(ratio_last, 1 / sp.sqrt(_n))),
            Step(r"\sum_l n_l n_{l-1} D_l = \rho\sum_l n_l n_{l-1}",
                 "one threshold: the layers' densities average to rho, weighted by their sizes",
                 Identity(total * sp.Add(*counts),
                          sp.Add(*[x * y for x, y in zip(counts, share, strict=True)]))),
            Step(
                r"n \to \infty,\ d, O\ \text{fixed}:\quad \frac{t_1}{t_l},\ "
                r"\frac{t_{L+1}}{t_l} \to 0,\qquad \rho = D_l",
                "the first and the last layer are kept whole, and weigh nothing in the average",
                AllOf((
                    Identity(sp.limit(ratio_first, _n, sp.oo), 0),
                    Identity(sp.limit(ratio_last, _n, sp.oo), 0),
                    Identity(sp.limit(total, _n, sp.oo), share[1]),
                )),
            ),
            Step(
                r"d = an:\quad \frac{t_1}{t_l} = \sqrt a,\qquad \rho = \frac{aD_1 + D_l}{a + 1}",
                "inputs that grow with the width stay in the game",
                AllOf((
                    Identity(ratio_first.subs(_d, ratio * _n), sp.sqrt(ratio)),
                    Identity(sp.limit(total.subs(_d, ratio * _n), _n, sp.oo),
                             (ratio * share[0] + share[1]) / (ratio + 1)),
                )),
            ),
        ],
        (),
        {
            "layers share one cut": Identity(ratio_first, 1),
            "the output layer like the first": Identity(ratio_last, sp.sqrt(_d / _n)),
            "plain mean of the densities": Identity(total, sp.Add(*share) / 3),
            "the first layer keeps its share as n grows": Identity(
                sp.limit(total, _n, sp.oo), (share[0] + share[1]) / 2),
        },
    )  # fmt: skip
