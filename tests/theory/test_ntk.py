"""The symbolic graphon NTK: known kernels, two forms, three networks, finite networks."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import criteria
from theory.derivation import Status
from theory.dual import q12, q22, z
from theory.dual_values import dual_values
from theory.duals import dual
from theory.graphon import BlockGraphon, ConstantGraphon, ProductGraphon
from theory.integral_value import IntegralValue
from theory.ntk import (
    GraphonNetwork,
    LayerGraphon,
    independent_mask,
    saliency_mask,
    standard_kernel,
    standard_network,
    variance_profile,
)
from theory.ntk_depth import DepthRecursion, GenericDual, HomogeneousDual, standard
from theory.symbols import t, u, v

HALF = sp.Rational(1, 2)
BLOCKS = [[[1, 0], [HALF, HALF]], [[HALF, 1], [0, HALF], [1, 1]], [[1, HALF, HALF]]]
ONE, TWO = (1, 2, -1, 3), (2, 1, 1, -1)


# ------------------------------------------------------------------------------ dense networks


@pytest.mark.parametrize("depth", range(5))
def test_relu_diagonal(depth: int) -> None:
    """With gain 2 every layer keeps its variance and adds 2 to the tangent kernel."""
    solved = standard_network(depth, "relu", 2).solve((1, 1, 1))
    assert solved.nngp == 2
    assert solved.ntk == 2 * (depth + 1)
    assert solved.contributions == (2,) * (depth + 1)


def relu_ntk(cosine: Any, depth: int) -> Any:
    """The dense ReLU kernel for unit inputs, gain 2, by arc-cosine recursions in mpmath."""
    rho, tangent = cosine, cosine
    for _ in range(depth):
        angle = mp.acos(rho)
        dot = (mp.pi - angle) / mp.pi
        rho = (mp.sin(angle) + (mp.pi - angle) * mp.cos(angle)) / mp.pi
        tangent = rho + dot * tangent
    return 2 * tangent


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("cosine", ["0.3", "-0.7", "0"])
def test_relu_profile(depth: int, cosine: str) -> None:
    with mp.workdps(40):
        expected = relu_ntk(mp.mpf(cosine), depth)
        network = standard_network(depth, "relu", 2)
        found = network.evaluate((1, 1, sp.Rational(cosine)), digits=30).ntk
        assert abs(mp.mpf(found) - expected) < mp.mpf(10) ** -29
        if depth < 2:
            value = sp.N(network.profile().subs(t, sp.Rational(cosine)), 30)
            assert abs(mp.mpf(value) - expected) < mp.mpf(10) ** -28


def test_standard_kernel_of_a_linear_network() -> None:
    nngp, ntk = standard_kernel(3, dual("monomial", p=1))
    assert nngp == q12
    assert sp.expand(ntk - 4 * q12) == 0


def test_one_layer_is_the_gram_matrix() -> None:
    assert standard_kernel(0, "erf", 3) == (3 * q12, 3 * q12)


# --------------------------------------------------------------------------- graphon networks


def test_forward_and_backward_agree_on_blocks() -> None:
    for build in (independent_mask, variance_profile):
        solved = build("relu", BLOCKS, 2).solve(ONE, TWO)
        assert [len(p) for p in solved.positions] == [2, 3, 1]
        exact = sp.N(solved.ntk - sp.Add(*solved.contributions), 40)
        assert abs(exact) < 1e-35


def test_forward_and_backward_agree_on_smooth_graphons() -> None:
    layers = [LayerGraphon((1 + v) / 2, v), LayerGraphon(sp.exp(-u * v), u * v), LayerGraphon(u)]
    solved = GraphonNetwork("relu", layers).evaluate((1, 1, HALF), nodes=12)
    assert abs(solved.ntk - sp.Add(*solved.contributions)) < 1e-35


def test_smooth_graphons_converge_with_the_nodes() -> None:
    network = independent_mask("erf", [(1 + v) / 2, sp.exp(-u * v), u])
    values = [network.evaluate((1, 1, HALF), nodes=k).ntk for k in (5, 10, 14)]
    assert 0 < abs(values[0] - values[2]) < 1e-4
    assert abs(values[1] - values[2]) < 1e-9


def test_the_same_graphon_written_in_four_ways() -> None:
    a = [HALF, HALF, HALF]
    ways = [
        a,
        [[[HALF]], [[HALF] * 2] * 3, [[HALF] * 3]],
        [ConstantGraphon(HALF)] * 3,
        [BlockGraphon([[0.5, 0.5], [0.5, 0.5]]), ConstantGraphon(HALF), BlockGraphon([[0.5]])],
    ]
    found = {independent_mask("relu", way, 2).kernel(ONE, TWO) for way in ways}
    assert max(sp.N(x) for x in found) == pytest.approx(min(sp.N(x) for x in found), rel=1e-14)


def test_product_graphons_are_products() -> None:
    profile = sp.Symbol("position", nonnegative=True)
    graphon = ProductGraphon(profile, profile)
    network = independent_mask("relu", [HALF, graphon, 1])
    by_hand = independent_mask("relu", [HALF, u * v, 1])
    values = [x.evaluate((1, 1, HALF), nodes=8).ntk for x in (network, by_hand)]
    assert values[0] == values[1]


def test_blocks_beside_a_smooth_graphon() -> None:
    network = independent_mask("relu", [v, [[HALF, 1]], 1], 2)
    (symbol,) = network.solve((1, 1, 1)).positions[0]
    found = network.kernel((1, 1, 1)).doit()
    # path density: (1/2) int_0^1/2 v + int_1/2^1 v = 1/16 + 3/8, dense kernel 6
    assert sp.simplify(found.subs(symbol, 0)) == sp.Rational(7, 16) * 6


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=2), min_size=2, max_size=2),
    st.integers(1, 3),
)
@settings(max_examples=8, deadline=None)
def test_refining_the_blocks_changes_nothing(cells: list[list[int]], repeat: int) -> None:
    blocks = sp.Matrix(cells) / 4
    fine = sp.kronecker_product(blocks, sp.ones(repeat, repeat))
    first = independent_mask("relu", [sp.ones(2, 1), blocks, [[1, HALF]]], 2)
    second = independent_mask("relu", [sp.ones(2, 1), fine, [[1, HALF]]], 2)
    a, b = (sp.N(x.kernel((1, 2, HALF))) for x in (first, second))
    assert abs(a - b) < 1e-12 * max(1, abs(a))


@given(st.integers(1, 3), st.integers(-8, 8))
@settings(max_examples=8, deadline=None)
def test_equal_opposite_and_zero_inputs_have_finite_kernels(depth: int, factor: int) -> None:
    network = independent_mask("relu", [[[1, 0], [0, 1]], *[1] * depth], 2)
    x = (1, 0)
    found = sp.N(network.kernel(x, tuple(factor * a for a in x)))
    assert found.is_finite
    same = sp.N(network.kernel(x, x))
    assert abs(found) <= abs(factor) * same * (1 + 1e-12)


def finite_network(blocks: np.ndarray, x: np.ndarray, n: int, rng: Any) -> Any:
    """``Theta(x, x)`` of one masked ReLU network with one hidden layer, survivors trained."""
    d = x.size
    density = np.repeat(blocks, n // blocks.shape[0], axis=0)
    weights = rng.standard_normal((n, d)) * (rng.random((n, d)) < density)
    kept = weights != 0
    pre = weights @ x / np.sqrt(d)
    output = rng.standard_normal(n)
    hidden, slope = np.maximum(pre, 0), (pre > 0) * output
    return (hidden**2).sum() / n + (slope[:, None] ** 2 * kept * x**2).sum() / (n * d)


def test_an_independent_mask_is_what_finite_networks_have() -> None:
    rng = np.random.default_rng(11)
    x = np.array([1.0, 2.0, -1.0, 0.5, 1.0, -0.5, 2.0, 1.0])
    blocks = np.array([[0.2] * 4 + [0.9] * 4, [0.8] * 4 + [0.3] * 4])
    samples = [finite_network(blocks, x, 2000, rng) for _ in range(40)]
    exact = [[sp.Rational(str(a)) for a in row] for row in blocks]
    inputs = [sp.Rational(str(a)) for a in x]
    ours = float(independent_mask("relu", [exact, [[1, 1]]]).kernel(inputs, inputs))
    other = float(variance_profile("relu", [exact, [[1, 1]]]).kernel(inputs, inputs))
    error = float(np.std(samples) / np.sqrt(len(samples)))
    assert abs(np.mean(samples) - ours) < 4 * error
    assert abs(np.mean(samples) - other) > 20 * error


def test_a_saliency_mask_has_its_own_two_graphons() -> None:
    limit = criteria.magnitude().limit(sp.Rational(1, 5))
    network = saliency_mask("relu", [limit] * 4, 2)
    ratio = (
        network.evaluate((1, 1, HALF)).ntk
        / standard_network(3, "relu", 2).evaluate((1, 1, HALF)).ntk
    )
    kept, tau = 0.2, limit.tau
    variance = kept + 2 * tau * np.exp(-(tau**2) / 2) / np.sqrt(2 * np.pi)
    assert float(ratio) == pytest.approx(kept * variance**3, rel=1e-12)
    assert float(ratio) == pytest.approx(0.0549, abs=5e-5)


def test_snip_with_its_output_weights() -> None:
    """One hidden layer, output sorted by size: a Gauss sum by hand over the closed graphons."""
    limit = criteria.snip().limit(sp.Rational(1, 5))
    square = limit.model.column.at(u) ** 2
    x = (1, -2, 1, 1)
    found = saliency_mask("relu", [limit, (square, square)]).evaluate(x, x, digits=15, nodes=6)
    nodes, weights = np.polynomial.legendre.leggauss(6)
    nodes, weights = (nodes + 1) / 2, weights / 2
    at = (np.arange(4) + 0.5) / 4
    V, P = (limit.values(at[None, :], nodes[:, None], w) for w in ("variance", "mask"))
    energy = np.array([1.0, 4.0, 1.0, 1.0]) / 4
    size = limit.model.column(nodes) ** 2
    by_hand = (weights * size * ((V @ energy) / 2 + (P @ energy) / 2)).sum()
    assert float(found.ntk) == pytest.approx(by_hand, rel=1e-12)


# -------------------------------------------------------------------------------- as printed


def test_the_printed_sum_lacks_the_output_layer() -> None:
    network = independent_mask("relu", BLOCKS, 2)
    full = network.all_trained().solve(ONE, TWO)
    gap = full.ntk - network.as_printed(ONE, TWO)
    assert abs(sp.N(gap - full.contributions[-1], 30)) < 1e-25
    assert sp.N(full.contributions[-1]) > 0.1
    assert all(layer.T == 1 for layer in network.all_trained().layers)


# ------------------------------------------------------------------------ smooth activations


def test_values_of_smooth_duals() -> None:
    erf = dual("erf")
    for case in ((1, 1, HALF), (HALF, 1, -HALF), (1, 1, 1)):
        found = dual_values(erf, *case, digits=8)
        for value, exact in zip(found, (erf.kappa(*case), erf.kappa_dot(*case)), strict=True):
            assert abs(value - sp.N(exact, 20)) < 1e-8


def test_evaluate_without_closed_duals() -> None:
    found = float(standard_network(1, "tanh").evaluate((1, 1, 1), digits=8).ntk)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    expected = (weights * (np.tanh(nodes) ** 2 + np.cosh(nodes) ** -4.0)).sum()
    assert found == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("relu", 1, 1, 0), "must be smooth"),
        (("tanh", 0, 1, 0), "a and b must be positive"),
        (("tanh", 1, 1, 2), r"c must satisfy"),
    ],
)
def test_dual_values_refuse(arguments: tuple[Any, ...], match: str) -> None:
    name, *case = arguments
    with pytest.raises(ValueError, match=match):
        dual_values(dual(name), *case)


def test_integral_values() -> None:
    check = IntegralValue(HALF, z, z, (0, 1), sp.Rational(1, 1000))
    assert check.run().status is Status.PROVED
    assert "1" in check.describe()
    wrong = IntegralValue(sp.Rational(51, 100), z, z, (0, 1), sp.Rational(1, 1000))
    assert wrong.run().status is Status.FAILED
    with pytest.raises(ValueError, match="tolerance must be positive"):
        IntegralValue(HALF, z, z, (0, 1), 0)


# ----------------------------------------------------------------------------- symbolic depth


def test_the_symbolic_recursion_is_the_networks() -> None:
    """Layers 1, 2, 3 of the recursion, unrolled, are those of a network."""
    c = sp.Symbol("c", positive=True)
    generic = GenericDual()
    rec = DepthRecursion(
        generic, lambda *at: c, lambda *at: sp.S.One, gain=lambda at: 1, positions=False
    )
    values = {**rec.initial}
    for at in (1, 2):
        for head, rhs in rec.following(at).items():
            values[head] = rhs.subs(values, simultaneous=True)
    network = GraphonNetwork(generic, [LayerGraphon(c, 1)] * 3)
    gram = rec.gram
    assert sp.expand(values[rec.tangent(3)] - network.kernel(gram)) == 0
    assert sp.expand(values[rec.covariance(3)[2]] - network.solve(gram).nngp) == 0
    assert standard(generic).name == "s"


def test_the_general_homogeneous_dual_holds_relu() -> None:
    general, relu = HomogeneousDual(1), dual("relu")
    a, b = sp.symbols("a b", positive=True)
    cos = sp.Rational(3, 5)
    expected = relu.kappa(a, b, cos * sp.sqrt(a * b))
    found = general.kappa(a, b, cos * sp.sqrt(a * b)).subs(
        general.angular(cos), relu.kappa(sp.S.One, sp.S.One, cos)
    )
    assert abs(sp.N((expected - found).subs({a: 2, b: 3}))) < 1e-14
    assert general.expr.has(sp.Abs(z))
    assert general.degree == 1


# ----------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: LayerGraphon(-1), "V must be finite and not negative"),
        (lambda: LayerGraphon(1, [[1, -1]]), "T must be finite and not negative"),
        (lambda: LayerGraphon(1, gain=-2), "gain must be"),
        (lambda: LayerGraphon(sp.nan), "V must be finite"),
        (lambda: LayerGraphon([[]]), "V must be a graphon"),
        (lambda: LayerGraphon("1 +"), "V must be a graphon"),
        (lambda: LayerGraphon(criteria.random().limit(HALF)), "V must say which"),
        (lambda: GraphonNetwork("relu", []), "layers must be one or more"),
        (lambda: GraphonNetwork("relu", [1]), "layers must be one or more"),
        (lambda: GraphonNetwork("relu", [LayerGraphon(v)]), "does not depend on its target"),
        (lambda: GraphonNetwork("relu", [LayerGraphon([[1], [1]])]), "its target"),
        (lambda: GraphonNetwork("no such", [LayerGraphon(1)]), "no such"),
        (lambda: independent_mask("relu", [1, 1], [1]), "gain must be one number"),
        (lambda: independent_mask("relu", [u, 1]).solve(), "layer 1 depends"),
        (lambda: independent_mask("relu", [1, 1]).solve((1, 1)), "Gram triple"),
        (lambda: independent_mask("relu", [1, 1]).solve((1, 1), (1,)), "as many coordinates"),
        (
            lambda: independent_mask("relu", [[[1, 0]], 1]).solve((1, 1, 1), (1, 1, 1)),
            "a multiple of 2",
        ),
        (lambda: independent_mask("relu", [1, 1]).evaluate(), "must give a value"),
        (lambda: independent_mask("relu", [1, 1]).evaluate((1, 1, 1), nodes=0), "nodes"),
        (lambda: standard_network(-1, "relu"), "L must not be negative"),
        (
            lambda: saliency_mask("relu", [criteria.grasp_signed().limit(0.2), 1]),
            "mean graphon zero",
        ),
        (lambda: HomogeneousDual(0), "degree must be positive"),
        (
            lambda: DepthRecursion(HomogeneousDual(1), lambda at, x, y: x, lambda *at: 1),
            "must not depend on the source",
        ),
    ],
)
def test_refusals(build: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        build()


def test_a_single_input_pair_may_be_symbolic() -> None:
    a, b = sp.symbols("a b", positive=True)
    found = independent_mask(GenericDual(), [HALF, 1]).kernel((a, b), (b, a))
    assert found.free_symbols == {a, b}
    assert q22 not in found.free_symbols
