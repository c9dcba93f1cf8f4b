"""The kernel recursion against the backward formula of the kernel, slowly and to 400 digits."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import hermegauss

from numerics.kernel import GraphonKernel
from numerics.kernel_stack import Stack, StackLayer
from theory.dual import q11, q12, q22, z
from theory.duals import DUALS

Pair = Callable[[Any, Any, Any], Any]
RNG = np.random.default_rng(7)


@cache
def closed(name: str) -> tuple[Pair, Pair]:
    """kappa and kappa_dot of the theory as mpmath functions; second moments where c^2 = a b."""
    activation = DUALS[name]
    entries = (q11, q22, q12)
    pair = [
        sp.lambdify(entries, f(q11, q22, q12), "mpmath")
        for f in (activation.kappa, activation.kappa_dot)
    ]
    single = [
        sp.lambdify(q11, f(q11), "mpmath")
        for f in (activation.second_moment, activation.second_moment_dot)
    ]

    def value(k: int) -> Pair:
        def dual_at(a: Any, b: Any, c: Any) -> Any:
            if activation.degree == 0 and 0 in (a, b):
                return mp.mpf(0)  # s(0) = 0 for a step and for sign
            a, b = a or mp.mpf("1e-900"), b or mp.mpf("1e-900")
            return single[k](a) if a == b == c else mp.re(pair[k](a, b, c))

        return dual_at

    return value(0), value(1)


@cache
def quadrature(name: str) -> tuple[Pair, Pair]:
    """The same by a tensor Gauss-Hermite rule, float64."""
    activation = DUALS[name]
    x, w = hermegauss(180)
    w = w / w.sum()
    functions = [sp.lambdify(z, f, "numpy") for f in (activation.expr, activation.derivative)]

    def value(k: int) -> Pair:
        def pair(a: Any, b: Any, c: Any) -> Any:
            a, b, c = float(a), float(b), float(c)
            first = np.sqrt(a) * x[:, None]
            rest = max(b - c * c / a, 0.0)
            second = c / np.sqrt(a) * x[:, None] + np.sqrt(rest) * x[None, :]
            return mp.mpf(float(w @ (functions[k](first) * functions[k](second)) @ w))

        return pair

    return value(0), value(1)


def reference(
    stack: Stack, duals: list[tuple[Pair, Pair]], x: np.ndarray, y: np.ndarray
) -> tuple[Any, Any]:
    """NNGP and NTK of one pair by forward covariances and backward sensitivities."""
    layers = stack.layers
    sides = [(x, x), (y, y), (x, y)]
    n = len(layers[0].V[0])
    state = [[mp.mpf(a[j]) * mp.mpf(b[j]) for j in range(n)] for a, b in sides]
    covariances, slopes = [state[2]], []
    for index, layer in enumerate(layers):
        P = layer.forward
        before = [
            [
                mp.fsum(mp.mpf(P[v, u]) * s[u] for u in range(P.shape[1])) + layer.bias
                for v in range(P.shape[0])
            ]
            for s in state
        ]
        if index == len(duals):
            break
        kappa, kappa_dot = duals[index]
        state = [
            [kappa(p, p, p) for p in before[0]],
            [kappa(p, p, p) for p in before[1]],
            [kappa(p, r, t) for p, r, t in zip(*before, strict=True)],
        ]
        covariances.append(state[2])
        slopes.append([kappa_dot(p, r, t) for p, r, t in zip(*before, strict=True)])
    # sensitivities, as densities with respect to the nodes' own measure
    back = [mp.mpf(1)] * layers[-1].V.shape[0]
    share = [mp.mpf(1) / len(back)] * len(back)
    total = mp.mpf(0)
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        P, Q = layer.forward, layer.tangent
        weights = (
            share if index == len(layers) - 1 else [mp.mpf(w) for w in layers[index + 1].weights]
        )
        for v in range(P.shape[0]):
            inner = mp.fsum(mp.mpf(Q[v, u]) * covariances[index][u] for u in range(P.shape[1]))
            total += weights[v] * back[v] * (inner + layer.bias)
        if index:
            back = [
                slopes[index - 1][u]
                * mp.fsum(
                    weights[v] * back[v] * mp.mpf(layer.gain * layer.V[v, u])
                    for v in range(P.shape[0])
                )
                for u in range(P.shape[1])
            ]
    nngp = mp.fsum(s * before[2][v] for v, s in enumerate(share))
    return nngp, total


def random_stack(sizes: list[int], rng: np.random.Generator, bias: float = 0.0) -> Stack:
    layers = []
    for sources, targets in itertools.pairwise(sizes):
        V = rng.uniform(0.05, 1.0, (targets, sources))
        T = rng.uniform(0.0, 1.0, (targets, sources))
        weights = None if not layers else rng.dirichlet(np.ones(sources))
        layers.append(StackLayer(V, T, weights, gain=1.7, bias=bias))
    return Stack(layers)


def matrices(stack: Stack, names: list[str], x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    with mp.workdps(400):
        duals = [closed(name) for name in names]
        pairs = [[reference(stack, duals, a, b) for b in y] for a in x]
    return [np.array([[float(p[k]) for p in row] for row in pairs]) for k in (0, 1)]


def awkward(d: int, factor: float = 3.7, tiny: float = 1e-160) -> np.ndarray:
    """Inputs that are equal, opposite, parallel, zero, tiny, huge, nearly equal, and ordinary."""
    x = np.random.default_rng(3).standard_normal((8, d))
    x[1] = x[0]
    x[2] = -x[0]
    x[3] = factor * x[0]
    x[4] = 0.0
    x[5] = tiny * x[6]
    x[7] = x[0] * (1.0 + 1e-9 * np.sin(np.arange(d)))
    return x


def close(got: torch.Tensor, expected: np.ndarray, bound: float) -> None:
    """Entries agree relative to themselves or to the mean of their two diagonal entries."""
    assert torch.isfinite(got).all()
    own = np.sqrt(np.abs(np.diag(expected)))
    size = np.maximum(np.abs(expected), np.outer(own, own))
    wrong = np.abs(got.double().numpy() - expected) / (bound * size + 1e-305)
    assert wrong.max() <= 1.0, f"{wrong.max() * bound} at {np.argwhere(wrong > 1.0).tolist()}"


CLOSED = [name for name, each in DUALS.items() if each.closed]


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("sizes", [[5, 1, 1, 1], [5, 3, 4, 2]], ids=["one node", "many"])
def test_recursion_agrees_with_the_backward_formula(name: str, sizes: list[int]) -> None:
    stack = random_stack(sizes, np.random.default_rng(1))
    # a jump turns the rounding of 3.7 x, some 1e-16, into its root
    x = awkward(5, 4.0, 2.0**-530) if DUALS[name].degree == 0 else awkward(5)
    x *= 0.1 if name == "exp" else 0.6
    nngp, ntk = matrices(stack, [name] * 2, x, x)
    k = GraphonKernel(name, stack, ae_derivative=True)
    result = k(x)
    close(result.nngp, nngp, 1e-12)
    close(result.ntk, ntk, 1e-12)
    across = k(x[:3], x[2:])
    close_across = np.abs(across.ntk.numpy() - ntk[:3, 2:])
    assert (close_across <= 1e-12 * np.abs(ntk).max()).all()


@pytest.mark.parametrize("names", [["relu", "erf", "leaky_relu"], ["abs", "sin", "relu"]])
def test_mixed_activations_with_biases(names: list[str]) -> None:
    stack = random_stack([4, 3, 2, 3, 1], np.random.default_rng(2), bias=0.3)
    x = awkward(4)
    nngp, ntk = matrices(stack, names, x, x)
    result = GraphonKernel(names, stack)(x)
    close(result.nngp, nngp, 1e-12)
    # after a smooth layer 1 - cosine is known to 1e-16, and a kink takes its root
    close(result.ntk, ntk, 1e-8)
    apart = [2, 3, 4, 5, 6, 7]
    close(result.ntk[apart][:, apart], ntk[np.ix_(apart, apart)], 1e-12)


def test_few_and_many_nearly_equal_pairs() -> None:
    # one pair in a large tile is computed by itself, many of them all together
    stack = random_stack([5, 3, 4, 2], np.random.default_rng(4))
    x = np.random.default_rng(5).standard_normal((60, 5))
    x[59] = x[0] * (1.0 + 1e-7 * np.arange(5))
    pair = x[[0, 59]]
    expected = matrices(stack, ["relu"] * 2, pair, pair)[1]
    k = GraphonKernel("relu", stack)
    np.testing.assert_allclose(k(x, get="ntk")[0, 59], expected[0, 1], rtol=1e-13)
    np.testing.assert_allclose(k(pair, get="ntk"), expected, rtol=1e-13)


def test_deep_network_whose_inputs_become_equal() -> None:
    # gain below 2 and biases: cosines go to 1 geometrically, to 1 - 1e-12 here
    stack = Stack(
        [StackLayer(np.ones((1, 4)), gain=0.5, bias=1.0)]
        + [StackLayer(np.array([[1.0], [0.4]]), gain=0.5, bias=1.0)]
        + [StackLayer(np.array([[1.0, 0.6], [0.3, 1.0]]), gain=0.6, bias=1.0)] * 20
        + [StackLayer(np.ones((1, 2)))]
    )
    x = np.random.default_rng(6).standard_normal((3, 4))
    expected = matrices(stack, ["relu"] * stack.depth, x, x)
    result = GraphonKernel("relu", stack)(x)
    for got, exact in zip((result.nngp, result.ntk), expected, strict=True):
        np.testing.assert_allclose(got.numpy(), exact, rtol=1e-12)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    name=st.sampled_from(["relu", "leaky_relu", "erf", "rectified_power"]),
    bias=st.sampled_from([0.0, 0.5]),
)
def test_random_stacks(seed: int, sizes: list[int], name: str, bias: float) -> None:
    rng = np.random.default_rng(seed)
    stack = random_stack([3, *sizes, 1], rng, bias)
    x = rng.standard_normal((2, 3)) * 10.0 ** rng.uniform(-3, 1, (2, 1))
    nngp, ntk = matrices(stack, [name] * len(sizes), x, x)
    result = GraphonKernel(name, stack)(x)
    close(result.nngp, nngp, 1e-12)
    close(result.ntk, ntk, 1e-12)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "silu"])
def test_series_agree_with_quadrature(name: str) -> None:
    stack = random_stack([4, 2, 3, 1], np.random.default_rng(8), bias=0.1)
    x = 0.5 * awkward(4)[[0, 1, 2, 6, 7]]
    duals = [quadrature(name)] * 2
    result = GraphonKernel(name, stack, tolerance=1e-12)(x)
    for i in range(len(x)):
        for j in range(len(x)):
            nngp, ntk = reference(stack, duals, x[i], x[j])
            assert abs(float(result.nngp[i, j]) - float(nngp)) < 1e-12
            assert abs(float(result.ntk[i, j]) - float(ntk)) < 1e-12
