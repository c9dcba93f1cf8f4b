"""The bias of sorting a random mask by its degrees, and its cell averages."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy import integrate, special

from theory.sorting import cell_quantiles, sas_bias, sas_bias_cells
from theory.symbols import d, n, rho, u, v


@pytest.mark.parametrize("cells", [1, 2, 3, 8, 21])
def test_cell_quantiles_are_averages_of_the_normal_quantile(cells: int) -> None:
    found = cell_quantiles(cells)
    assert found.shape == (cells,)
    edges = np.linspace(0, 1, cells + 1)
    for value, low, high in zip(found, edges[:-1], edges[1:], strict=True):
        exact = cells * integrate.quad(special.ndtri, low, high, epsabs=1e-12, limit=200)[0]
        assert value == pytest.approx(exact, abs=1e-8)
    np.testing.assert_allclose(found, -found[::-1], atol=1e-13)
    assert found.sum() == pytest.approx(0, abs=1e-12)
    assert np.all(np.diff(found) > 0)


def test_cell_quantiles_are_means_of_sorted_samples() -> None:
    """A million sorted normal numbers, whose block means have deviations below 0.002."""
    draws = np.sort(np.random.default_rng(5).standard_normal(1_000_000))
    means = draws.reshape(10, -1).mean(axis=1)
    np.testing.assert_allclose(means, cell_quantiles(10), atol=0.012)


def test_small_cells_give_the_expression() -> None:
    density, sources, targets, cells = 0.3, 200, 800, 401
    found = sas_bias_cells(density, sources, targets, cells)
    assert found.shape == (cells, cells)
    expr = sas_bias().subs({rho: sp.Rational(3, 10), d: sources, n: targets})
    for row, column in ((200, 200), (100, 300), (320, 40)):
        position = {
            v: sp.Rational(2 * row + 1, 2 * cells),
            u: sp.Rational(2 * column + 1, 2 * cells),
        }
        exact = float(sp.N(expr.subs(position), 20)) - density
        assert found[row, column] == pytest.approx(exact, abs=1e-6)


def test_a_source_has_as_many_edges_as_there_are_targets() -> None:
    """Degrees of sources average over targets, so more targets leave a smaller pattern along u."""
    few, many = (sas_bias_cells(0.5, 100, targets, 4) for targets in (100, 10_000))
    assert np.ptp(many, axis=1) == pytest.approx(np.ptp(few, axis=1) / 10)
    assert np.ptp(many, axis=0) == pytest.approx(np.ptp(few, axis=0))
    assert sas_bias().diff(u).has(n)
    assert not sas_bias().diff(u).has(d)


def test_the_pattern_averages_to_the_density() -> None:
    assert sas_bias_cells(0.2, 50, 70, 16).mean() == pytest.approx(0, abs=1e-13)
    middle = {u: sp.Rational(1, 2), v: sp.Rational(1, 2)}
    assert sas_bias().subs(middle) == rho


@pytest.mark.parametrize("density", [0.0, 1.0, -0.5, float("nan")])
def test_densities_lie_strictly_inside(density: float) -> None:
    with pytest.raises(ValueError, match=r"density must lie in \(0, 1\)"):
        sas_bias_cells(density, 10, 10, 4)


@pytest.mark.parametrize(
    ("sources", "targets", "cells", "name"),
    [(0, 10, 4, "sources"), (10, 0, 4, "targets"), (10, 10, 0, "cells")],
)
def test_sizes_are_positive(sources: int, targets: int, cells: int, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        sas_bias_cells(0.5, sources, targets, cells)
