"""The reduction laws: every proof and mutant, and each law against the kernels themselves."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import criteria, derivations, reduction
from theory.derivation import Status
from theory.duals import dual
from theory.graphon import chain_density
from theory.ntk import GraphonNetwork, LayerGraphon, independent_mask, standard_network
from theory.ntk_depth import HomogeneousDual
from theory.symbols import u, v

NAMES = sorted(
    name for name in derivations.names() if name.startswith(("reduction.", "graphon_ntk."))
)
SQUARE = dual("monomial", p=2)
HALF = sp.Rational(1, 2)
GRAM = (sp.Integer(1), sp.Integer(2), sp.Rational(1, 3))


def test_the_chains_are_registered() -> None:
    assert {
        "reduction.survivors",
        "reduction.all_train",
        "reduction.degree",
        "reduction.exponent",
        "reduction.magnitude",
        "reduction.rescaled",
        "reduction.path_density",
        "reduction.path_density_degree",
        "reduction.layer_contributions",
        "reduction.product_graphons",
        "reduction.homogeneous_dual",
        "reduction.not_tanh",
        "reduction.not_erf",
        "reduction.input_layer",
        "graphon_ntk.covariance",
        "graphon_ntk.trained_entries",
        "graphon_ntk.forward_backward",
        "graphon_ntk.printed_sum",
        "graphon_ntk.proviso",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_chain_is_proved_and_refutes_its_mutants(name: str) -> None:
    chain = derivations.get(name)
    found = chain.verify()
    for mutant, result in found.mutants:
        assert result.status is Status.FAILED, (mutant, result.detail)
    assert len(found.mutants) >= 2
    assert found.status is Status.PROVED, found.reasons
    assert not found.conditional_on
    assert chain.name == name
    assert chain.statement.count("{") == chain.statement.count("}")
    for formula in (chain.statement, *(step.latex for step in chain.steps)):
        assert not re.search(r"\\q?quad[A-Za-z]", formula), formula  # two strings ran together
    text = chain.to_text()
    assert chain.title in text
    assert all(step.reason in text for step in chain.steps)


# ------------------------------------------------------------------- laws against the kernels


def ratio(network: GraphonNetwork, gram: Any = GRAM) -> float:
    """``Theta / Theta_std`` at one pair of inputs."""
    gains = [layer.gain for layer in network.layers]
    dense = GraphonNetwork(network.activation, [LayerGraphon(1, gain=g) for g in gains])
    return float(network.evaluate(gram, nodes=12).ntk / dense.evaluate(gram, nodes=12).ntk)


PAIRS = [GRAM, (1, 1, 1), (1, 1, -HALF)]


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize(("name", "degree"), [("relu", 1), ("abs", 1), ("monomial2", 2)])
@pytest.mark.parametrize(
    ("trained", "output"), [("survivors", "pruned"), ("survivors", "dense"), ("all", "pruned")]
)
def test_constant_density(depth: int, name: str, degree: int, trained: Any, output: Any) -> None:
    c = sp.Rational(3, 5)
    T = c if trained == "survivors" else 1
    layers = [LayerGraphon(c, T, 2)] * depth
    layers.append(LayerGraphon(c, T, 2) if output == "pruned" else LayerGraphon(1, 1, 2))
    activation = SQUARE if name == "monomial2" else name
    network = GraphonNetwork(activation, layers)
    expected = float(reduction.density_factor(c, depth, degree, trained, output))
    for gram in PAIRS:
        assert ratio(network, gram) == pytest.approx(expected, rel=1e-12)


def test_all_train_with_a_dense_output_is_no_multiple() -> None:
    c = sp.Rational(3, 5)
    network = GraphonNetwork("relu", [LayerGraphon(c, 1), LayerGraphon(1, 1)])
    assert abs(ratio(network, PAIRS[0]) - ratio(network, PAIRS[2])) > 0.05


def test_tanh_like_activations_have_no_power() -> None:
    network = independent_mask("erf", [HALF] * 3)
    values = [ratio(network, gram) for gram in PAIRS]
    assert max(values) - min(values) > 0.01


def test_exponents() -> None:
    L, k = sp.Symbol("L", integer=True, positive=True), sp.Symbol("k", positive=True)
    assert reduction.exponent(L) == L + 1
    assert reduction.exponent(L, trained="all") == L
    assert reduction.exponent(L, output="dense") == L
    assert reduction.exponent(3, 2) == 15
    assert reduction.exponent(3, 2, "all") == 14
    assert reduction.exponent(0, k) == 1
    assert sp.expand(reduction.exponent(2, k) - (1 + k + k**2)) == 0
    assert reduction.exponent(L, k).subs(L, 3).doit().subs(k, 2) == 15


@given(
    st.lists(st.fractions("1/10", 1, max_denominator=10), min_size=1, max_size=3),
    st.sampled_from([1, 2]),
)
@settings(max_examples=10, deadline=None)
def test_a_density_per_layer(densities: list[Any], degree: int) -> None:
    values = [sp.Rational(x) for x in densities]
    activation = "relu" if degree == 1 else SQUARE
    network = independent_mask(activation, values)
    expected = float(reduction.layer_factor(values, degree))
    assert ratio(network) == pytest.approx(expected, rel=1e-11)


def test_contributions_per_layer() -> None:
    V = [sp.Rational(i, 10) for i in (3, 7, 9)]
    T = [sp.Rational(i, 10) for i in (2, 5, 4)]
    for activation, degree in (("relu", 1), (SQUARE, 2)):
        layers = [LayerGraphon(a, b) for a, b in zip(V, T, strict=True)]
        found = GraphonNetwork(activation, layers).evaluate(GRAM).contributions
        dense = standard_network(2, activation).evaluate(GRAM).contributions
        factors = reduction.contribution_factors(V, T, degree)
        for ours, theirs, factor in zip(found, dense, factors, strict=True):
            assert float(ours / theirs) == pytest.approx(float(factor), rel=1e-12)


def test_magnitude() -> None:
    limit = criteria.magnitude().limit(sp.Rational(1, 5))
    found = float(reduction.limit_factor(limit, 3))
    assert found == pytest.approx(0.0549, abs=5e-5)
    random = criteria.random().limit(sp.Rational(1, 5))
    assert reduction.limit_factor(random, 3) == sp.Rational(1, 5) ** 4


def test_path_densities() -> None:
    graphons = [(1 + v) / 2, u * v, u / 2]
    exact = reduction.path_factor(graphons)
    assert exact == HALF * sp.Rational(1, 3) * sp.Rational(5, 12)
    network = independent_mask("relu", graphons, 2)
    for gram in PAIRS:
        assert ratio(network, gram) == pytest.approx(float(exact), rel=1e-11)
    square = independent_mask(SQUARE, graphons)
    assert ratio(square) == pytest.approx(float(reduction.path_factor(graphons, 2)), rel=1e-11)


def test_products_are_paths() -> None:
    f, g = [(1 + v) / 2, v, sp.Rational(2, 3)], [u**2, 1 - u / 2]
    graphons = [f[0], f[1] * g[0], f[2] * g[1]]
    for degree in (1, 2, 3):
        assert reduction.product_factor(f, g, degree) == reduction.path_factor(graphons, degree)


def test_product_graphons_weigh_the_inputs() -> None:
    weight = [HALF, 1, sp.Rational(1, 4)]
    x, y = (1, 2, -1), (2, 1, 3)
    network = independent_mask("relu", [[weight], u, HALF], 2)
    gram = tuple(
        sum(w * a * b for w, a, b in zip(weight, p, r, strict=True)) / 3
        for p, r in ((x, x), (y, y), (x, y))
    )
    dense = standard_network(2, "relu", 2)
    expected = reduction.product_factor([1, 1, 1], [u, HALF]) * dense.evaluate(gram).ntk
    assert float(network.evaluate(x, y, nodes=5).ntk) == pytest.approx(float(expected), rel=1e-12)


grids = st.lists(st.lists(st.floats(0.1, 1.0), min_size=2, max_size=2), min_size=2, max_size=2).map(
    np.array
)


@given(st.lists(grids, min_size=1, max_size=3), st.sampled_from([1, 2]))
@settings(max_examples=8, deadline=None)
def test_step_graphons(layers: list[Any], degree: int) -> None:
    chain = [np.ones((2, 1)) * 0.7, *layers, np.array([[0.9, 0.3]])]
    found = reduction.chain_factor(chain, degree)
    if degree == 1:
        assert found == chain_density(chain)
    blocks = [[[sp.Rational(float(x)) for x in row] for row in grid] for grid in chain]
    activation = "relu" if degree == 1 else SQUARE
    assert ratio(independent_mask(activation, blocks)) == pytest.approx(found, rel=1e-9)


def test_rescaling_restores_every_kernel() -> None:
    c = sp.Rational(1, 5)
    for activation in ("erf", "relu"):
        layers = [LayerGraphon(*reduction.rescaled(c, c))] * 3
        assert ratio(GraphonNetwork(activation, layers)) == pytest.approx(1.0, abs=1e-14)
        layers = [LayerGraphon(*reduction.rescaled(HALF, c))] * 3
        assert ratio(GraphonNetwork(activation, layers)) == pytest.approx(0.4, rel=1e-14)


def test_the_general_law_for_a_network_with_free_duals() -> None:
    a, b, c = sp.symbols("a b c", positive=True)
    network = independent_mask(HomogeneousDual(1), [a, b, c])
    dense = standard_network(2, HomogeneousDual(1))
    assert sp.simplify(network.kernel() / dense.kernel() - a * b * c) == 0


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: reduction.exponent(-1), "L must be"),
        (lambda: reduction.exponent(HALF), "L must be"),
        (lambda: reduction.exponent(2, 0), "degree must be"),
        (lambda: reduction.exponent(2, 1, "none"), "trained must be"),  # type: ignore[arg-type]
        (lambda: reduction.exponent(2, 1, "all", "half"), "output must be"),  # type: ignore[arg-type]
        (lambda: reduction.exponent(2, 1, "all", "dense"), "no one power"),
        (lambda: reduction.layer_factor([]), "at least one layer"),
        (lambda: reduction.contribution_factors([1], [1, 1]), "masks must have"),
        (lambda: reduction.path_factor([]), "at least one layer"),
        (lambda: reduction.path_factor([u, 1]), "must not depend"),
        (lambda: reduction.path_factor([1, v]), "must not depend"),
        (lambda: reduction.product_factor([1, 1], []), "sources must have 1"),
        (lambda: reduction.product_factor([1, v], [1]), "targets must end"),
        (lambda: reduction.rescaled(0, 1), "variance must be positive"),
        (lambda: reduction.chain_factor([], 2), "at least one layer"),
        (lambda: reduction.chain_factor([np.ones((2, 2)), np.ones((1, 3))], 2), "does not fit"),
        (lambda: reduction.limit_factor(criteria.snip().limit(0.2), 2), "limit must be"),
    ],
)
def test_refusals(build: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        build()
