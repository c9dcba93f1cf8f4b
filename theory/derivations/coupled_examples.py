"""Small cases of the coupled kernel, written out: two-level weights, a network of two outputs.

Nothing here knows the statements that are proved with it: expectations are sums over outcomes, and
the tangent kernel is the sum over weights of products of derivatives.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

import sympy as sp

from theory.coupled import contribution

__all__ = [
    "KEPT",
    "SHARE",
    "Masks",
    "expectation",
    "kernel_by_definition",
    "kernel_by_shares",
    "last_share",
]

SHARE: Final = sp.Symbol("P", positive=True)
"""Probability that a two-level weight stays."""
KEPT: Final = sp.Symbol("V", positive=True)
"""Second moment of what stays; the law has ``E[w^2] = 1``."""

Masks = tuple[list[list[int]], list[list[int]]]
"""Masks of the first and the output layer, targets x sources."""

_LARGE, _SMALL = sp.symbols("w_+ w_-", positive=True)
_SQUARES: Final = {_LARGE**2: KEPT / SHARE, _SMALL**2: (1 - KEPT) / (1 - SHARE)}
_OUTCOMES: Final = tuple(
    (sp.Rational(1, 2) * chance, sign * size, kept)
    for chance, size, kept in ((SHARE, _LARGE, 1), (1 - SHARE, _SMALL, 0))
    for sign in (1, -1)
)
"""The even two-level law: chance, weight, mask. The larger level is above the cut."""


def expectation(function: Callable[..., Any], number: int = 1) -> sp.Expr:
    """``E f(w_1, M_1, w_2, M_2, ..)`` over ``number`` independent two-level weights, all outcomes.

    P and V are free, so this covers every pair of moments that an even law can have; ``function``
    may be of second order in each weight.
    """
    total = sp.S.Zero
    for outcome in itertools.product(_OUTCOMES, repeat=number):
        chance = sp.Mul(*[each[0] for each in outcome])
        total += chance * function(*(x for each in outcome for x in each[1:]))
    return sp.expand(sp.cancel(sp.expand(total).subs(_SQUARES)))


_GAINS: Final = sp.symbols("g_1 g_2", positive=True)
_X: Final = (sp.symbols("x_1 x_2", real=True), sp.symbols("y_1 y_2", real=True))  # two inputs
_W: Final = sp.Matrix(2, 2, sp.symbols("w_11 w_12 w_21 w_22", real=True))
_A: Final = sp.Matrix(2, 2, sp.symbols("a_11 a_12 a_21 a_22", real=True))


class _Signal(sp.Function):
    """Any differentiable activation, with a free function as its derivative."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sp.Function("s'")(self.args[0])


def _free(expr: sp.Expr) -> sp.Expr:
    """The expression with the activation as a free function too: a value, not to be derived."""
    return expr.replace(_Signal, sp.Function("s"))


def _forward(masks: Masks, x: tuple[sp.Expr, ...]) -> tuple[sp.Matrix, sp.Matrix]:
    """Pre-activations and outputs of the pruned network 2-2-2 at one input."""
    first, last = (sp.Matrix(mask) for mask in masks)
    z = sp.sqrt(_GAINS[0] / 2) * first.multiply_elementwise(_W) * sp.Matrix(x)
    f = sp.sqrt(_GAINS[1] / 2) * last.multiply_elementwise(_A) * z.applyfunc(_Signal)
    return z, f


def kernel_by_definition(masks: Masks) -> sp.Matrix:
    """``sum_w df_o(x)/dw df_o'(y)/dw`` over the outputs o, o'."""
    over, under = (_forward(masks, x)[1] for x in _X)
    weights = [*_W, *_A]
    return sp.Matrix(
        2, 2, lambda o, p: _free(sum(sp.diff(over[o], w) * sp.diff(under[p], w) for w in weights))
    )


def kernel_by_shares(masks: Masks, last: Callable[[int, int, sp.Matrix], sp.Expr]) -> sp.Matrix:
    """The same from :func:`theory.coupled.contribution`: first layer, and ``last(o, o', h h')``."""
    z = [_forward(masks, x)[0] for x in _X]
    slope = [each.applyfunc(lambda e: _Signal(e).fdiff()) for each in z]
    signal = z[0].applyfunc(_Signal).multiply_elementwise(z[1].applyfunc(_Signal))
    b = sp.sqrt(_GAINS[1]) * sp.Matrix(masks[1]).multiply_elementwise(_A)  # outputs x neurons
    inputs = [p * q for p, q in zip(*_X, strict=True)]

    def entry(o: int, p: int) -> sp.Expr:
        pairs = [slope[0][i] * b[o, i] * slope[1][i] * b[p, i] for i in (0, 1)]
        return _free(contribution(masks[0], pairs, inputs, _GAINS[0]) + last(o, p, signal))

    return sp.Matrix(2, 2, entry)


def last_share(masks: Masks, o: int, signal: sp.Matrix) -> sp.Expr:
    """``g_{L+1} E_j[M_oj h_j h_j']``: the output layer's share for one output."""
    return contribution([masks[1][o]], [1], list(signal), _GAINS[1])
