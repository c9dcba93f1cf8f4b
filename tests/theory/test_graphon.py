"""Graphons that are no limits of a criterion, cell averages, and the density of a chain."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theory.graphon import (
    BlockGraphon,
    ConstantGraphon,
    Graphon,
    ProductGraphon,
    cell_averages,
    chain_density,
)
from theory.symbols import rho, u, v

BLOCKS = np.array([[0.1, 0.9, 0.4], [0.0, 1.0, 0.25]])
SAMPLES: dict[str, Graphon] = {
    "constant": ConstantGraphon(sp.Rational(3, 10)),
    "block": BlockGraphon(BLOCKS),
    "product": ProductGraphon(sp.sqrt(v), 1 - u / 2),
    "sampled product": ProductGraphon([0.2, 0.4, 1.0], lambda x: x**2),
}
INSIDE = np.linspace(0.01, 0.99, 23)


@pytest.mark.parametrize(("name", "graphon"), SAMPLES.items(), ids=SAMPLES)
class TestEveryGraphon:
    """What holds for every graphon here."""

    def test_values_are_probabilities_and_broadcast(self, name: str, graphon: Graphon) -> None:
        values = graphon.values(INSIDE[None, :], INSIDE[:, None])
        assert values.shape == (INSIDE.size, INSIDE.size)
        assert values.dtype == np.float64
        assert np.all((values >= 0) & (values <= 1))
        assert graphon.values(0.3, INSIDE).shape == INSIDE.shape
        assert float(graphon.values(0.3, 0.7)) == pytest.approx(
            float(graphon.values(np.array([0.3]), np.array([[0.7]]))[0, 0])
        )

    def test_grids_are_target_by_source(self, name: str, graphon: Graphon) -> None:
        grid = graphon.grid(3, 6)
        assert grid.shape == (3, 6)
        finer = graphon.grid(12, 12).reshape(3, 4, 6, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(finer, grid, atol=2e-2)

    def test_the_expression_is_the_function(self, name: str, graphon: Graphon) -> None:
        if name in ("block", "sampled product"):
            assert graphon.expr is None or graphon.expr.atoms(sp.core.function.AppliedUndef)
            return
        exact = float(graphon.expr.subs({u: sp.Rational(1, 4), v: sp.Rational(4, 9)}))
        assert float(graphon.values(0.25, 4 / 9)) == pytest.approx(exact, rel=1e-14)


def test_sources_are_columns() -> None:
    graphon = ProductGraphon(1, u)
    assert float(graphon.values(0.2, 0.9)) == pytest.approx(0.2)
    grid = graphon.grid(2, 4)
    np.testing.assert_allclose(grid, np.tile([0.125, 0.375, 0.625, 0.875], (2, 1)), rtol=1e-13)
    block = BlockGraphon(BLOCKS)
    assert float(block.values(0.5, 0.9)) == 1.0  # middle source block, last target block
    assert float(block.values(1.0, 1.0)) == 0.25
    np.testing.assert_allclose(block.grid(2, 3), BLOCKS, rtol=1e-14)


def test_a_symbolic_constant_has_an_expression_only() -> None:
    graphon = ConstantGraphon(rho)
    assert graphon.expr == rho
    with pytest.raises(TypeError):
        graphon.values(0.5, 0.5)


# ------------------------------------------------------------------------------ cell averages

coefficients = hnp.arrays(np.float64, (6, 6), elements=st.floats(-1, 1))


@given(coefficients, st.integers(1, 5), st.integers(1, 5))
def test_cell_averages_of_polynomials_are_exact(
    table: np.ndarray, targets: int, sources: int
) -> None:
    powers = np.arange(6)

    def means(cells: int) -> np.ndarray:
        edges = np.arange(cells + 1) / cells
        return np.diff(edges[:, None] ** (powers + 1) / (powers + 1), axis=0) * cells

    found = cell_averages(
        lambda uu, vv: np.polynomial.polynomial.polyval2d(*np.broadcast_arrays(vv, uu), table),
        targets,
        sources,
    )
    np.testing.assert_allclose(found, means(targets) @ table @ means(sources).T, atol=1e-13)


def test_a_rule_of_lower_order_is_exact_for_less() -> None:
    def quartic(uu: np.ndarray, vv: np.ndarray) -> np.ndarray:
        return uu**4 + 0 * vv

    assert cell_averages(quartic, 1, order=3)[0, 0] == pytest.approx(0.2, rel=1e-13)
    assert abs(cell_averages(quartic, 1, order=2)[0, 0] - 0.2) > 1e-3


@pytest.mark.parametrize(("targets", "sources"), [(0, 1), (1, 0), (-1, 2)])
def test_grids_need_cells(targets: int, sources: int) -> None:
    with pytest.raises(ValueError, match="targets and sources must be at least 1"):
        cell_averages(lambda uu, vv: uu + vv, targets, sources)


# ----------------------------------------------------------------------------------- argument


@pytest.mark.parametrize("density", [-0.1, 1.1, float("nan"), float("inf"), sp.I], ids=str)
def test_constants_lie_in_the_unit_interval(density: object) -> None:
    with pytest.raises(ValueError, match="density must lie in"):
        ConstantGraphon(density)


@pytest.mark.parametrize(
    "blocks",
    [
        [[0.1, 1.2]],
        [[-0.1]],
        [[float("nan")]],
        [[0.1, 0.2], [0.3]],
        [0.1, 0.2],
        [[]],
        [["many"]],
        [[1j]],
    ],
    ids=str,
)
def test_blocks_are_a_matrix_of_probabilities(blocks: object) -> None:
    with pytest.raises(ValueError, match="blocks must"):
        BlockGraphon(blocks)


def test_products_lie_in_the_unit_interval() -> None:
    with pytest.raises(ValueError, match="target_factor"):
        ProductGraphon(2, 1)
    with pytest.raises(ValueError, match="source_factor"):
        ProductGraphon(1, -1)
    with pytest.raises(TypeError, match="source_factor"):
        ProductGraphon(1, None)
    assert float(ProductGraphon(2, sp.Rational(1, 4)).values(0.5, 0.5)) == 0.5


# --------------------------------------------------------------------------------------- chain


def by_loops(grids: list[np.ndarray]) -> float:
    """The sum over every path of cells, one term at a time."""
    sizes = [grids[0].shape[1], *(grid.shape[0] for grid in grids)]
    total = 0.0
    for path in itertools.product(*(range(size) for size in sizes)):
        term = 1.0
        for layer, grid in enumerate(grids):
            term *= grid[path[layer + 1], path[layer]]
        total += term
    return total / float(np.prod(sizes))


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(0, 2**32 - 1))
def test_chains_are_sums_over_paths(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    grids = [rng.random((high, low)) for low, high in itertools.pairwise(sizes)]
    assert chain_density(grids) == pytest.approx(by_loops(grids), rel=1e-12)


@given(st.floats(0, 1), st.integers(1, 6), st.integers(1, 5))
def test_constant_layers_multiply(density: float, layers: int, cells: int) -> None:
    grids = [ConstantGraphon(density).grid(cells)] * layers
    assert chain_density(grids) == pytest.approx(density**layers, rel=1e-12, abs=1e-300)


def test_product_layers_pair_their_neighbours() -> None:
    layers = [ProductGraphon(v, 1 - u / 2), ProductGraphon(sp.sqrt(v), u)]
    grids = [layer.grid(200) for layer in layers]
    # <1 - u/2> <v u> <sqrt v>: the middle factors meet in one integral.
    assert chain_density(grids) == pytest.approx(3 / 4 * 1 / 3 * 2 / 3, rel=1e-4)


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ([], "grids must hold at least one layer"),
        ([np.ones(3)], r"grids\[0\] must be a matrix"),
        ([np.ones((2, 3)), np.ones((2, 3))], r"grids\[1\] must have 2 source cells"),
        ([np.ones((2, 3)), np.ones((2, 2, 2))], r"grids\[1\] must be a matrix"),
        ([np.ones((0, 3))], r"grids\[0\] must be a matrix"),
    ],
    ids=["empty", "vector", "mismatch", "cube", "no cells"],
)
def test_chains_that_do_not_fit(grids: list[np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chain_density(grids)
