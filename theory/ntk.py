"""The graphon NTK of a given network, symbolically: covariances, tangent kernel, layer by layer.

A network is a list of layers, each with a variance entry V (second moment of the weights that
are there), a mask entry T (which entries train) and a gain; see :mod:`theory.ntk_depth` for the
recursion. Positions on which nothing depends are averaged out, step functions become finite
sums, and everything else stays an unevaluated integral, or a Gauss sum in ``evaluate``.

Three networks are told apart ([A] prints one kernel for all):

- *variance profile*: weights N(0, W), all entries train, V = W and T = 1 ([A] Theorem 1);
- *independent mask*: Bernoulli(W) mask, survivors train, V = T = W;
- *saliency mask*: the mask saw the weights, survivors train, V and T are the variance and the
  mask graphon of a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from theory.dual import DualActivation, q11, q12, q22, z
from theory.dual_values import dual_values
from theory.duals import dual
from theory.limit import LimitGraphon
from theory.ntk_depth import covariance_term, tangent_term
from theory.ntk_layers import Axis, LayerGraphon, cells, common, entry_at, gauss
from theory.symbols import t, u, v
from theory.threshold import Threshold

__all__ = [
    "GraphonNetwork",
    "LayerGraphon",
    "Solution",
    "independent_mask",
    "saliency_mask",
    "standard_kernel",
    "standard_network",
    "variance_profile",
]


@dataclass(frozen=True)
class Solution:
    """Kernels of one pair of inputs; outer tuples run over layers 1 .. L+1, inner over positions.

    ``covariance`` holds ``(q11, q22, q12)`` of the pre-activations, ``tangent`` the tangent kernel
    there, ``gradient`` the backward covariance G, and ``contributions`` what the parameters of a
    layer add to the NTK: they sum to ``ntk``.
    """

    positions: tuple[tuple[sp.Expr, ...], ...]
    covariance: tuple[tuple[tuple[sp.Expr, sp.Expr, sp.Expr], ...], ...]
    tangent: tuple[tuple[sp.Expr, ...], ...]
    gradient: tuple[tuple[sp.Expr, ...], ...]
    contributions: tuple[sp.Expr, ...]

    @property
    def nngp(self) -> sp.Expr:
        """Covariance of the output."""
        return self.covariance[-1][0][2]

    @property
    def ntk(self) -> sp.Expr:
        """The tangent kernel of the output, by the forward recursion."""
        return self.tangent[-1][0]


@dataclass(frozen=True)
class _Level:
    """A layer at the positions of one network: entries [target][source] and what feeds them."""

    layer: LayerGraphon
    sources: Axis
    targets: Axis
    variance: list[list[sp.Expr]]
    mask: list[list[sp.Expr]]
    kappa: list[tuple[sp.Expr, sp.Expr, sp.Expr]]
    kappa_dot: list[sp.Expr]


@dataclass(frozen=True)
class GraphonNetwork:
    """A fully connected network in the limit: an activation and layers 1 .. L+1.

    ``activation`` is anything that :func:`theory.duals.dual` understands. The output layer has
    one target; it must not depend on ``v``. Where V leaves no signal at all and T trains, a kink at
    zero counts as flat.

    Raises
    ------
    ValueError
        For fewer than one layer, or an output layer that depends on its target.
    """

    activation: Any
    layers: Sequence[LayerGraphon]

    def __post_init__(self) -> None:
        if not isinstance(self.activation, DualActivation):
            object.__setattr__(self, "activation", dual(self.activation))
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers or not all(isinstance(x, LayerGraphon) for x in self.layers):
            raise ValueError("layers must be one or more LayerGraphon")
        if self.layers[-1].depends(v) or self.layers[-1].blocks(0) != 1:
            raise ValueError("layers must end in one that does not depend on its target v")

    @property
    def depth(self) -> int:
        """Number of hidden layers, L."""
        return len(self.layers) - 1

    def all_trained(self) -> GraphonNetwork:
        """The same weights with every entry trained, T = 1."""
        return replace(self, layers=[replace(x, T=sp.S.One) for x in self.layers])

    def as_printed(self, first: Any = None, second: Any = None) -> sp.Expr:
        """[A] equation (4) as printed, with W = V; arguments as for :meth:`solve`.

        All entries train (T = 1) and the sum stops at L: the output layer's own term is missing.
        """
        return sp.Add(*self.all_trained().solve(first, second).contributions[:-1])

    def kernel(self, first: Any = None, second: Any = None) -> sp.Expr:
        """The NTK as an expression; arguments as for :meth:`solve`."""
        return self.solve(first, second).ntk

    def profile(self) -> sp.Expr:
        """The NTK of inputs of mean square 1 as a function of their mean product ``t``.

        ``t`` is :data:`theory.symbols.t`: for inputs of norm sqrt(d), the cosine.
        """
        return self.kernel((sp.S.One, sp.S.One, t))

    def solve(self, first: Any = None, second: Any = None) -> Solution:
        """Kernels as expressions.

        Without arguments the inputs enter through ``q11, q22, q12``, mean squares and mean
        product of their d coordinates; with one, through that Gram triple; with two, they are
        sequences of d numbers or expressions, coordinate j at position (j + 1/2)/d.

        Raises
        ------
        ValueError
            If inputs differ in length, do not fit the blocks of the first layer, or are needed
            because the first layer depends on the coordinate.
        """
        return self._solve(first, second, self._axes(), lambda expr: expr)

    def evaluate(
        self, first: Any = None, second: Any = None, digits: int = 30, nodes: int = 30
    ) -> Solution:
        """Kernels as numbers with at least ``digits`` digits, inputs as for :meth:`solve`.

        Integrals over positions become Gauss sums with ``nodes`` points (constants and steps stay
        exact): two values of ``nodes`` show their error. Activations without closed duals must be
        smooth, see :func:`theory.dual_values.dual_values`. Raises ValueError otherwise, for
        symbols without a value and for ``nodes < 1``.
        """
        if nodes < 1:
            raise ValueError(f"nodes must be at least 1, got {nodes}")
        work = digits + 10
        axes = [gauss(nodes, work) if axis.weights is None else axis for axis in self._axes()]
        levels: dict[sp.Basic, sp.Float] = {}

        def number(expr: sp.Expr) -> sp.Float:
            for level in sp.sympify(expr).atoms(Threshold) - set(levels):
                levels[level] = level.evalf(work)
            value = sp.N(sp.sympify(expr).xreplace(levels), work)
            if value.free_symbols:
                lost = ", ".join(sorted(map(str, value.free_symbols)))
                raise ValueError(f"layers and inputs must give a value to {lost}")
            return value

        if self.activation.closed:
            return self._solve(first, second, axes, number)

        def kernels(a: Any, b: Any, c: Any) -> tuple[Any, Any, Any, Any]:
            if a.is_zero or b.is_zero:
                return (*self._kappa(a, b, c), self._kappa_dot(a, b, c))
            both, dot = dual_values(self.activation, a, b, c, digits + 5)
            one, two = (
                both if a == b == c else dual_values(self.activation, x, x, x, digits + 5)[0]
                for x in (a, b)
            )
            return one, two, both, dot

        return self._solve(first, second, axes, number, kernels)

    def _inputs(self, first: Any, second: Any) -> tuple[Axis, list[tuple[Any, ...]]]:
        """Positions of the coordinates, and each one's two squares and product."""
        entry = self.layers[0]
        if second is None:
            if entry.depends(u) or entry.blocks(1) != 1:
                raise ValueError("first and second must be inputs: layer 1 depends on them")
            gram = (q11, q22, q12) if first is None else tuple(map(sp.sympify, first))
            if len(gram) != 3:
                raise ValueError(f"first must be a Gram triple (q11, q22, q12), got {first}")
            return cells(1), [gram]
        one, two = (tuple(map(sp.sympify, x)) for x in (first, second))
        if len(one) != len(two) or not one:
            raise ValueError(f"second must have as many coordinates as first, {len(one)}")
        if len(one) % entry.blocks(1):
            raise ValueError(f"first must have a multiple of {entry.blocks(1)} coordinates")
        return cells(len(one)), [(a**2, b**2, a * b) for a, b in zip(one, two, strict=True)]

    def _axes(self) -> list[Axis]:
        """Positions of layers 1 .. L+1."""
        found = []
        for number, below in enumerate(self.layers, 1):
            above = self.layers[number] if number <= self.depth else LayerGraphon(1)
            if below.depends(v) or above.depends(u):
                found.append(Axis((sp.Symbol(f"u_{number}", nonnegative=True),), None))
            else:
                found.append(cells(common(below.blocks(0), above.blocks(1))))
        return found

    def _solve(
        self,
        first: Any,
        second: Any,
        axes: Sequence[Axis],
        tidy: Callable[[sp.Expr], sp.Expr],
        kernels: Callable[[Any, Any, Any], tuple[Any, Any, Any, Any]] | None = None,
    ) -> Solution:
        kernels = self._kernels if kernels is None else kernels
        sources, kappa = self._inputs(first, second)
        dots: list[sp.Expr] = [sp.S.Zero] * len(kappa)
        below: list[sp.Expr] = [sp.S.Zero] * len(kappa)
        levels, covariance, tangent = [], [], []
        for layer, targets in zip(self.layers, axes, strict=True):
            variance, mask = (
                [[tidy(entry_at(e, x, y)) for x in sources.points] for y in targets.points]
                for e in (layer.V, layer.T)
            )
            levels.append(_Level(layer, sources, targets, variance, mask, kappa, dots))
            states = [_covariances(levels[-1], row, tidy) for row in variance]
            above = []
            for row, kept in zip(variance, mask, strict=True):
                terms = [
                    tangent_term(var, own, k[2], dot, before)
                    for var, own, k, dot, before in zip(row, kept, kappa, dots, below, strict=True)
                ]
                above.append(tidy(layer.gain * sources.mean(terms) + layer.bias))
            covariance.append(tuple(states))
            tangent.append(tuple(above))
            if len(levels) <= self.depth:
                duals = [tuple(map(tidy, kernels(*state))) for state in states]
                kappa, dots = [x[:3] for x in duals], [x[3] for x in duals]
            below, sources = above, targets
        gradient, parts = _backward(levels, tidy)
        positions = tuple(axis.points for axis in axes)
        return Solution(positions, tuple(covariance), tuple(tangent), gradient, parts)

    def _kernels(self, a: Any, b: Any, c: Any) -> tuple[Any, Any, Any, Any]:
        """The three duals and the derivative dual, as expressions."""
        return (*self._kappa(a, b, c), self._kappa_dot(a, b, c))

    def _kappa(self, a: Any, b: Any, c: Any) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
        """Duals of the two inputs with themselves and of the pair."""
        one, two = self._square(a), self._square(b)
        if a == b == c:
            return one, two, one
        if a.is_zero or b.is_zero:  # a signal of zero: s(0) beside E s of the other one
            return one, two, self._at_zero() * self.activation.mean(b if a.is_zero else a)
        return one, two, self.activation.kappa(a, b, c)

    def _square(self, a: Any) -> sp.Expr:
        return self._at_zero() ** 2 if a.is_zero else self.activation.second_moment(a)

    def _at_zero(self) -> sp.Expr:
        return self.activation.expr.subs(z, 0)

    def _kappa_dot(self, a: Any, b: Any, c: Any) -> sp.Expr:
        if a.is_zero or b.is_zero:
            # No tangent arrives there unless V = 0 < T; a kink then counts as flat.
            flat = any(sp.sympify(kink).is_zero for kink in self.activation.kinks)
            slope = sp.S.Zero if flat else self.activation.derivative.subs(z, 0)
            rest = [x for x in (a, b) if not x.is_zero]
            other = self.activation.mean_dot(rest[0]) if slope != 0 and rest else slope
            return slope * other
        same = a == b == c
        return self.activation.second_moment_dot(a) if same else self.activation.kappa_dot(a, b, c)


def _covariances(level: _Level, row: list[sp.Expr], tidy: Any) -> tuple[Any, Any, Any]:
    """Two variances and the covariance at one target."""
    pair = []
    for i in range(3):
        terms = [covariance_term(var, k[i]) for var, k in zip(row, level.kappa, strict=True)]
        pair.append(tidy(level.layer.gain * level.sources.mean(terms) + level.layer.bias))
    return pair[0], pair[1], pair[2]


def _backward(
    levels: list[_Level], tidy: Callable[[sp.Expr], sp.Expr]
) -> tuple[tuple[tuple[sp.Expr, ...], ...], tuple[sp.Expr, ...]]:
    """Backward covariances ([A] equation (62), with the gains) and contributions per layer."""
    gradient: list[sp.Expr] = [sp.S.One]
    gradients, parts = [], []
    for level in reversed(levels):
        gain, bias = level.layer.gain, level.layer.bias
        rows = []
        for g, kept in zip(gradient, level.mask, strict=True):
            terms = [own * k[2] for own, k in zip(kept, level.kappa, strict=True)]
            rows.append(g * (gain * level.sources.mean(terms) + bias))
        parts.append(tidy(level.targets.mean(rows)))
        gradients.append(tuple(gradient))
        gradient = [
            tidy(dot * gain * level.targets.mean([
                g * row[i] for g, row in zip(gradient, level.variance, strict=True)
            ])) for i, dot in enumerate(level.kappa_dot)
        ]  # fmt: skip
    return tuple(reversed(gradients)), tuple(reversed(parts))


def _network(activation: Any, pairs: Sequence[tuple[Any, Any]], gain: Any) -> GraphonNetwork:
    gains = list(gain) if isinstance(gain, list | tuple) else [gain] * len(pairs)
    if len(gains) != len(pairs):
        raise ValueError(f"gain must be one number or one per layer, {len(pairs)} of them")
    layers = [LayerGraphon(V, T, g) for (V, T), g in zip(pairs, gains, strict=True)]
    return GraphonNetwork(activation, layers)


def variance_profile(activation: Any, graphons: Sequence[Any], gain: Any = 1) -> GraphonNetwork:
    """Weights N(0, W_l), all entries train: V = W, T = 1 ([A] Theorem 1).

    ``graphons`` lists W_1 .. W_{L+1}; ``gain`` is one number or one per layer.
    """
    return _network(activation, [(W, sp.S.One) for W in graphons], gain)


def independent_mask(activation: Any, graphons: Sequence[Any], gain: Any = 1) -> GraphonNetwork:
    """Masks drawn from graphons, independent of the weights; survivors train: V = T = W."""
    return _network(activation, [(W, W) for W in graphons], gain)


def saliency_mask(activation: Any, limits: Sequence[Any], gain: Any = 1) -> GraphonNetwork:
    """Masks that saw the weights; survivors train: V and T are variance and mask graphon.

    An item of ``limits`` is a LimitGraphon, a pair ``(V, T)``, or a graphon that was not pruned by
    saliency (V = T). The formula supposes that pre-activations keep no mean (mu = 0) and that a
    mask depends on other layers through positions only: exact for one hidden layer. Raises
    ValueError for a limit whose mean graphon is not zero.
    """
    pairs = []
    for limit in limits:
        if isinstance(limit, LimitGraphon):
            if limit.mean != 0:
                raise ValueError("limits must have mean graphon zero: the output grows with width")
            pairs.append((limit.variance, limit.mask))
        else:
            pairs.append(limit if isinstance(limit, tuple) and len(limit) == 2 else (limit, limit))
    return _network(activation, pairs, gain)


def standard_network(L: int, activation: Any, gain: Any = 1) -> GraphonNetwork:
    """The dense network with L hidden layers, V = T = 1. Raises ValueError for negative L."""
    if L < 0:
        raise ValueError(f"L must not be negative, got {L}")
    return _network(activation, [(1, 1)] * (L + 1), gain)


def standard_kernel(L: int, activation: Any, gain: Any = 1) -> tuple[sp.Expr, sp.Expr]:
    """NNGP and NTK of the dense network with L hidden layers, in ``q11, q22, q12``."""
    solved = standard_network(L, activation, gain).solve()
    return solved.nngp, solved.ntk
