"""What the reduction laws' proofs share: a pruned recursion claimed to be a multiple of the dense.

The claims are four families at once, the two variances, the covariance and the tangent kernel of
layer ``n``; the dense network's own recursion is given, not solved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sympy as sp

from theory.derivation import Induction
from theory.dual import DualActivation
from theory.ntk_depth import DepthRecursion, GenericDual, HomogeneousDual, standard
from theory.ntk_depth import layer as n

__all__ = [
    "ANY",
    "C",
    "E",
    "EXPONENTS",
    "HYPOTHESES",
    "K",
    "LINEAR",
    "POWER",
    "constant",
    "last_layer",
    "multiple",
    "per_layer",
]

C: Final = sp.Symbol("c", positive=True)
"""A density."""
K: Final = sp.Symbol("k", positive=True)
"""A degree of homogeneity."""
ANY: Final = GenericDual()
LINEAR: Final = HomogeneousDual(1)
POWER: Final = HomogeneousDual(K)

E: Final = sp.Function("e", real=True)
"""Exponent of the degree-k law at layer n."""
EXPONENTS: Final = {E(1): sp.S.One, E(n + 1): 1 + K * E(n)}

HYPOTHESES: Final = (
    "s(a z) = a^k s(z) for a > 0, enough for finite duals, with E s(Z)^2 > 0",
    "no biases; every layer has its own gain g_l, the same in both networks",
    "the infinite-width recursion of the kernel, [A] (1)-(4) with T added",
)


def constant(value: Any) -> Any:
    """An entry that is the same in every layer and at every position."""
    return lambda at, source, target: value


def per_layer(value: Any) -> Any:
    """An entry that depends on the layer alone."""
    return lambda at, source, target: value(at)


def multiple(
    dual: DualActivation,
    variance: Any,
    mask: Any,
    forward: sp.Expr,
    tangent: sp.Expr,
    given: Mapping[Any, Any] | None = None,
    *,
    positions: bool = False,
    bias: Any = 0,
) -> Induction:
    """Claim: in layer n the covariance is ``forward`` and the kernel ``tangent`` times the dense.

    ``given`` defines further families that the two factors are written in.
    """
    pruned = DepthRecursion(dual, variance, mask, positions=positions, bias=bias)
    dense = standard(dual, bias=bias)
    pairs = zip(pruned.covariance(n), dense.covariance(n), strict=True)
    claims = [sp.Eq(left, forward * right, evaluate=False) for left, right in pairs]
    claims.append(sp.Eq(pruned.tangent(n), tangent * dense.tangent(n), evaluate=False))
    return Induction(
        n,
        claims,
        pruned.initial,
        pruned.recurrence,
        given={**dense.definitions, **(given or {})},
    )


def last_layer(
    dual: DualActivation, variance: Any, mask: Any, forward: sp.Expr, tangent: sp.Expr
) -> tuple[sp.Expr, sp.Expr]:
    """Output kernel after n hidden layers that obey a law, and the dense network's.

    The output layer has constants ``variance`` and ``mask``; ``forward`` and ``tangent`` are the
    factors of layer n. Both results are in the dense families at layer n.
    """
    pruned = DepthRecursion(dual, constant(variance), constant(mask), positions=False)
    dense = standard(dual)
    law = {
        old: forward * new
        for old, new in zip(pruned.covariance(n), dense.covariance(n), strict=True)
    }
    law[pruned.tangent(n)] = tangent * dense.tangent(n)
    output = pruned.following(n)[pruned.tangent(n + 1)]
    return output.subs(law, simultaneous=True), dense.following(n)[dense.tangent(n + 1)]
