"""The graphon NTK with the layer as a symbol: what an induction over depth works on.

One layer's step is written here once, for the proofs (layer ``n``, symbolic) and for
:mod:`theory.ntk` (layers 1, 2, ... of a given network). With ``u`` a source and ``v`` a target
position, ``S_l`` the dual of the pre-activations' covariance and ``S'_l`` its derivative dual,

    St_{l+1}(v)    = gain int V_{l+1}(u, v) S_l(u) du,
    Theta_{l+1}(v) = gain int [T_{l+1}(u, v) S_l(u) + V_{l+1}(u, v) S'_l(u) Theta_l(u)] du.

V holds the second moment of the weights that are there, T says which entries train. The tangent
kernel of the network is ``Theta_{L+1}`` at the output. [A] equations (1)-(4), with T added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import sympy as sp

from theory.dual import DualActivation, q11, q12, q22, z

__all__ = [
    "DepthRecursion",
    "GenericDual",
    "HomogeneousDual",
    "covariance_term",
    "layer",
    "over_positions",
    "standard",
    "tangent_term",
]

layer: Final = sp.Symbol("n", integer=True, positive=True)
"""The layer over which inductions run."""

_GAIN: Final = sp.Function("g", positive=True)
_SOURCE: Final = sp.Symbol("u", nonnegative=True)
_TARGET: Final = sp.Symbol("v", nonnegative=True)

Entry = Callable[[Any, sp.Expr, sp.Expr], Any]


def covariance_term(variance: Any, kappa: Any) -> Any:
    """What one source adds to the covariance of a target ([A] equations (1), (2)).

    ``variance`` is the entry V, ``kappa`` the previous layer's dual at the source.
    """
    return variance * kappa


def tangent_term(variance: Any, mask: Any, kappa: Any, kappa_dot: Any, tangent: Any) -> Any:
    """What one source adds to the tangent kernel of a target.

    ``mask`` is the entry T, the second moment of the derivative of an effective weight by its
    parameter; ``tangent`` is the previous layer's tangent kernel.
    """
    return mask * kappa + variance * kappa_dot * tangent


class HomogeneousDual(DualActivation):
    """Any positively homogeneous activation of degree k, through two free functions.

    ``kappa = (q11 q22)^(k/2) phi(r)`` and ``kappa_dot = (q11 q22)^((k-1)/2) psi(r)`` with the
    correlation r: what homogeneity says about the duals, and all it says (derivation
    ``reduction.homogeneous_dual``). Raises ValueError for a degree that is not positive.
    """

    name = "homogeneous"

    def __init__(self, degree: Any = 1) -> None:
        self.degree = sp.sympify(degree)
        if not self.degree.is_positive:
            raise ValueError(f"degree must be positive, got {degree}")
        self.angular = sp.Function("phi", real=True)
        self.angular_dot = sp.Function("psi", real=True)

    @property
    def expr(self) -> sp.Expr:
        """``s(1) z^k`` for positive z and ``s(-1) |z|^k`` for negative z."""
        right, left = sp.symbols("s_+ s_-", real=True)
        size = sp.Abs(z) ** self.degree
        return right * size * sp.Heaviside(z, 0) + left * size * sp.Heaviside(-z, 0)

    def kappa(self, a: Any = q11, b: Any = q22, c: Any = q12) -> sp.Expr:
        """The dual, with ``phi`` free."""
        return (a * b) ** (self.degree / 2) * self.angular(c / sp.sqrt(a * b))

    def kappa_dot(self, a: Any = q11, b: Any = q22, c: Any = q12) -> sp.Expr:
        """The derivative dual, with ``psi`` free."""
        return (a * b) ** ((self.degree - 1) / 2) * self.angular_dot(c / sp.sqrt(a * b))

    def second_moment(self, a: Any = q11) -> sp.Expr:
        """``a^k phi(1)``."""
        return a**self.degree * self.angular(1)

    def second_moment_dot(self, a: Any = q11) -> sp.Expr:
        """``a^(k-1) psi(1)``."""
        return a ** (self.degree - 1) * self.angular_dot(1)


class GenericDual(DualActivation):
    """Any activation: its duals are free functions of the two variances and the covariance."""

    name = "generic"

    def __init__(self) -> None:
        self.function = sp.Function("kappa", positive=True)
        self.function_dot = sp.Function("kappadot", positive=True)

    @property
    def expr(self) -> sp.Expr:
        """An undefined function of ``z``."""
        return sp.Function("sigma")(z)

    def kappa(self, a: Any = q11, b: Any = q22, c: Any = q12) -> sp.Expr:
        """A free function."""
        return self.function(a, b, c)

    def kappa_dot(self, a: Any = q11, b: Any = q22, c: Any = q12) -> sp.Expr:
        """A free function."""
        return self.function_dot(a, b, c)

    def second_moment(self, a: Any = q11) -> sp.Expr:
        """The dual on the diagonal."""
        return self.function(a, a, a)

    def second_moment_dot(self, a: Any = q11) -> sp.Expr:
        """The derivative dual on the diagonal."""
        return self.function_dot(a, a, a)


def over_positions(expr: sp.Expr) -> sp.Expr:
    """``int_0^1 expr du``: the mean over source positions."""
    return sp.Integral(expr, (_SOURCE, 0, 1))


@dataclass(frozen=True)
class DepthRecursion:
    """Covariances and tangent kernel of layer ``n``, as undefined functions with a recurrence.

    Parameters
    ----------
    dual
        The activation; a generic one for statements about a class.
    variance, mask
        ``V(l, u, v)`` and ``T(l, u, v)`` as functions of layer, source and target position. In
        the first layer they may not depend on the source: inputs then enter through their Gram
        matrix ``x11, x22, x12 = <x, x'>/d`` alone.
    gain
        Factor on the variance of layer l.
    name
        Prefix of the four families ``<name>11``, ``<name>22``, ``<name>12``, ``Theta_<name>``.
    positions
        Whether layers have positions: if not, the families depend on the layer alone.
    bias
        Variance of the biases; they train whenever they are there.

    Raises
    ------
    ValueError
        If V or T of the first layer depends on the source position.
    """

    dual: DualActivation
    variance: Entry
    mask: Entry
    gain: Callable[[Any], Any] = _GAIN
    name: str = "q"
    positions: bool = True
    bias: Any = 0

    def __post_init__(self) -> None:
        for label, entry in (("variance", self.variance), ("mask", self.mask)):
            if sp.sympify(entry(1, _SOURCE, _TARGET)).has(_SOURCE):
                raise ValueError(f"{label} of the first layer must not depend on the source")

    @property
    def gram(self) -> tuple[sp.Symbol, sp.Symbol, sp.Symbol]:
        """The input's two mean squares and mean product."""
        first, second = sp.symbols("x11 x22", positive=True)
        return first, second, sp.Symbol("x12", real=True)

    def covariance(self, at: Any, position: Any = _TARGET) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
        """The two variances and the covariance at a layer and position, as function values."""
        place = (position,) if self.positions else ()
        first, second = (
            sp.Function(self.name + pair, positive=True)(at, *place) for pair in ("11", "22")
        )
        return first, second, sp.Function(self.name + "12", real=True)(at, *place)

    def tangent(self, at: Any, position: Any = _TARGET) -> sp.Expr:
        """The tangent kernel at a layer and position, as a function value."""
        place = (position,) if self.positions else ()
        return sp.Function("Theta_" + self.name, real=True)(at, *place)

    @property
    def initial(self) -> dict[sp.Expr, sp.Expr]:
        """The definition at the first layer."""
        one, x12 = sp.S.One, self.gram[2]
        variance, mask = (entry(1, _SOURCE, _TARGET) for entry in (self.variance, self.mask))
        found = {
            head: self.gain(one) * covariance_term(variance, x) + self.bias
            for head, x in zip(self.covariance(one), self.gram, strict=True)
        }
        term = tangent_term(variance, mask, x12, 0, 0)
        return {**found, self.tangent(one): self.gain(one) * term + self.bias}

    @property
    def recurrence(self) -> dict[sp.Expr, sp.Expr]:
        """The definition at layer ``n + 1`` in terms of layer ``n``."""
        return self.following(layer)

    def following(self, at: Any) -> dict[sp.Expr, sp.Expr]:
        """The definition at the layer after ``at``, for any V and T of that layer."""
        variance, mask = (entry(at + 1, _SOURCE, _TARGET) for entry in (self.variance, self.mask))
        a, b, c = self.covariance(at, _SOURCE)
        duals = (self.dual.kappa(a, a, a), self.dual.kappa(b, b, b), self.dual.kappa(a, b, c))
        found = {
            head: self._collect(at + 1, covariance_term(variance, kappa))
            for head, kappa in zip(self.covariance(at + 1), duals, strict=True)
        }
        dot, tangent = self.dual.kappa_dot(a, b, c), self.tangent(at, _SOURCE)
        term = tangent_term(variance, mask, duals[2], dot, tangent)
        return {**found, self.tangent(at + 1): self._collect(at + 1, term)}

    def _collect(self, at: Any, term: sp.Expr) -> sp.Expr:
        """Gain times the mean over sources, plus the bias."""
        mean = over_positions(term) if self.positions else term
        return self.gain(at) * mean + self.bias

    @property
    def definitions(self) -> dict[sp.Expr, sp.Expr]:
        """Both, as another induction's given families."""
        return {**self.initial, **self.recurrence}


def standard(dual: DualActivation, name: str = "s", bias: Any = 0) -> DepthRecursion:
    """The fully connected network, V = T = 1, without positions."""
    return DepthRecursion(dual, _one, _one, name=name, positions=False, bias=bias)


def _one(at: Any, source: Any, target: Any) -> Any:
    return sp.S.One
