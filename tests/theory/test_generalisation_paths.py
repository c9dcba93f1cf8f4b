"""Path density for any depth, the bound that it gives, and the optimum under two budgets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize

from theory import criteria
from theory.graphon import BlockGraphon, ConstantGraphon, ProductGraphon
from theory.path_density import path_density, path_density_grid
from theory.path_density_optimum import (
    edge_optimum,
    linear_bound,
    optimal_density,
    suboptimality,
)
from theory.special import path_density as closed
from theory.symbols import c, rho, u, v

VECTORS = st.lists(st.floats(0.05, 20.0), min_size=2, max_size=8)


class TestPathDensity:
    """Symbolic and on grids."""

    def test_constant_layers_multiply(self) -> None:
        assert path_density([rho, rho, rho]) == rho**3
        assert path_density([rho]) == rho

    def test_polynomials(self) -> None:
        found = path_density([u * v, u + v, u**2])
        a, b = sp.symbols("a b", nonnegative=True)
        expected = sp.integrate(sp.integrate(u * a * (a + b) * b**2, (a, 0, 1)), (b, 0, 1))
        assert sp.expand(found.doit() - expected) == 0

    def test_slopes_are_squared(self) -> None:
        assert path_density([rho, rho], slopes=[c]) == c**2 * rho**2
        with pytest.raises(ValueError, match="slopes"):
            path_density([rho, rho], slopes=[])

    def test_one_hidden_layer_of_a_limit(self) -> None:
        """The chain with a dense sorted output is the limit graphon's own path density."""
        limit = criteria.snip().limit(sp.Rational(1, 5))
        column = limit.model.column.at(u) ** 2
        integral = path_density([limit, column])
        at = sp.Rational(7, 10)
        level = limit.threshold.evalf(30)
        body = integral.args[0].subs(limit.threshold, level).subs(u, at)
        function = sp.lambdify(integral.args[1][0], body, ["scipy", "numpy"])
        number, _ = quad(function, 0.0, 1.0, epsabs=0.0, epsrel=1e-9, limit=400)
        expected = sp.N(closed(level / limit.model.row.at(at)), 20)
        assert number == pytest.approx(float(expected), rel=1e-7)

    def test_variance_above_the_first_layer(self) -> None:
        magnitude = criteria.magnitude().limit(sp.Rational(1, 2))
        found = path_density([magnitude, magnitude])
        assert float(found) == pytest.approx(0.5 * magnitude.total("variance"))

    def test_graphons(self) -> None:
        product = ProductGraphon(v, u)
        found = path_density([ConstantGraphon(rho), product])
        assert sp.simplify(found.doit() - rho / 4) == 0
        with pytest.raises(ValueError, match=r"layers\[0\].*path_density_grid"):
            path_density([BlockGraphon([[0.5]])])
        with pytest.raises(TypeError, match="layers"):
            path_density([sp.Eq(u, v)])
        with pytest.raises(ValueError, match="layers"):
            path_density([])

    def test_grid_against_symbols(self) -> None:
        blocks = [
            [[sp.Rational(1, 2), sp.Rational(1, 5)], [sp.Rational(1, 3), 1]],
            [[sp.Rational(1, 7), sp.Rational(3, 4)]],
        ]

        def step(matrix: list[list[sp.Expr]]) -> sp.Expr:
            rows = [
                row[0] if len(row) == 1 else sp.Piecewise((row[0], u < 0.5), (row[1], True))
                for row in matrix
            ]
            return rows[0] if len(rows) == 1 else sp.Piecewise((rows[0], v < 0.5), (rows[1], True))

        grid = path_density_grid([np.array(b, dtype=float) for b in blocks])
        for i, at in enumerate((sp.Rational(1, 4), sp.Rational(3, 4))):
            exact = path_density([step(b) for b in blocks]).subs(u, at).doit()
            assert grid[i] == pytest.approx(float(exact), rel=1e-12)

    def test_grid_slopes_and_errors(self) -> None:
        layers = [np.full((2, 3), 0.5), np.array([[0.4, 0.8]])]
        assert path_density_grid(layers, [np.array([1.0, 0.0])]) == pytest.approx(0.1)
        for bad, name in (
            ([], "layers"),
            ([np.ones(3)], r"layers\[0\]"),
            ([np.ones((2, 3)), np.ones((1, 3))], r"layers\[0\]"),
            ([-np.ones((1, 1))], "non-negative"),
            ([[["a"]]], r"layers\[0\]"),
        ):
            with pytest.raises(ValueError, match=name):
                path_density_grid(bad)
        with pytest.raises(ValueError, match=r"slopes\[0\]"):
            path_density_grid(layers, [np.ones(3)])
        with pytest.raises(ValueError, match="slopes"):
            path_density_grid(layers, [])


class TestLinearBound:
    """What the inequality says of actual kernels, and where it is attained."""

    @given(st.integers(0, 10**6), st.integers(1, 6), st.integers(0, 3))
    def test_holds_for_kernels_above_their_linear_part(self, seed: int, n: int, extra: int) -> None:
        rng = np.random.default_rng(seed)
        d = n + extra
        x, beta = rng.standard_normal((n, d)), rng.standard_normal(d)
        path = rng.uniform(0.1, 1.0, d)
        rest = rng.standard_normal((n, 2))
        linear = (x * path) @ x.T / d
        y = x @ beta
        for kernel in (linear, linear + rest @ rest.T):
            assert y @ np.linalg.solve(kernel, y) <= linear_bound(beta, path) * (1 + 1e-6)
        least = 0.3
        wide = linear + least * np.eye(n)
        floor = d * least / np.linalg.eigvalsh(x.T @ x)[-1]
        assert y @ np.linalg.solve(wide, y) <= linear_bound(beta, path, floor) * (1 + 1e-6)

    def test_is_attained(self) -> None:
        rng = np.random.default_rng(1)
        x, beta, path = rng.standard_normal((4, 4)), rng.standard_normal(4), rng.random(4) + 0.1
        y = x @ beta
        exact = y @ np.linalg.solve((x * path) @ x.T / 4, y)
        assert exact == pytest.approx(linear_bound(beta, path), rel=1e-9)

    def test_infinite_without_a_path(self) -> None:
        assert linear_bound([1.0, 1.0], [1.0, 0.0]) == math.inf
        assert linear_bound([1.0, 0.0], [1.0, 0.0]) == 2.0
        assert linear_bound([1.0, 1.0], [1.0, 0.0], floor=0.5) == pytest.approx(2 * (1 / 1.5 + 2))

    def test_snip_is_astronomic_without_a_floor(self) -> None:
        """generalisation.snip_diverges in numbers: the bound grows with d; a flat one does not."""
        limit = criteria.snip().limit(0.2)
        found = []
        for d in (20, 40, 80):
            beta = limit.model.row((np.arange(d) + 0.5) / d)
            found.append(
                suboptimality(beta, limit.source_degree_values((np.arange(d) + 0.5) / d, 2))
            )
            flat = suboptimality(beta, np.full(d, 0.2))
            assert flat == pytest.approx(math.pi / 2, rel=0.05)
        assert found[1] > 1e3 * found[0]
        assert found[2] > 1e3 * found[1]

    @given(VECTORS, st.floats(0.1, 10.0))
    def test_optimum_is_proportional(self, beta: list[float], budget: float) -> None:
        best = optimal_density(beta, budget)
        assert best == pytest.approx(budget * np.array(beta) / sum(beta), rel=1e-9)
        assert suboptimality(beta, best) == pytest.approx(1.0)
        assert suboptimality(beta, np.ones(len(beta))) >= 1.0 - 1e-12

    @given(VECTORS, st.floats(0.05, 0.95), st.floats(0.0, 1.0), st.integers(0, 10**6))
    def test_optimum_with_ceiling_and_floor(
        self, beta: list[float], share: float, floor: float, seed: int
    ) -> None:
        budget = share * len(beta)
        best = optimal_density(beta, budget, ceiling=1.0, floor=floor)
        assert best.sum() == pytest.approx(budget, rel=1e-9)
        assert best.max() <= 1.0 + 1e-12
        assert best.min() >= 0.0
        rng = np.random.default_rng(seed)
        for _ in range(20):  # no admissible exchange between two inputs helps
            i, j = rng.choice(len(beta), 2, replace=False)
            step = 0.5 * min(best[i], 1.0 - best[j]) * rng.random()
            other = best.copy()
            other[i] -= step
            other[j] += step
            value = linear_bound(beta, best, floor) * (1 - 1e-9)
            assert value <= linear_bound(beta, other, floor)

    @given(VECTORS, VECTORS, st.floats(0.01, 2.0))
    def test_suboptimality_is_at_least_one(
        self, beta: list[float], path: list[float], floor: float
    ) -> None:
        size = min(len(beta), len(path))
        for base in (0.0, floor):
            assert suboptimality(beta[:size], path[:size], base) >= 1.0 - 1e-9

    @pytest.mark.parametrize(
        ("call", "name"),
        [
            (lambda: linear_bound([1.0], [1.0, 2.0]), "path"),
            (lambda: linear_bound([0.0], [1.0]), "beta"),
            (lambda: linear_bound([math.nan], [1.0]), "beta"),
            (lambda: linear_bound([1.0], [-1.0]), "path"),
            (lambda: linear_bound([], []), "beta"),
            (lambda: linear_bound(["a"], [1.0]), "beta"),
            (lambda: linear_bound([1.0], [1.0], -1.0), "floor"),
            (lambda: optimal_density([1.0], 0.0), "budget"),
            (lambda: optimal_density([1.0, 0.0], 1.5, ceiling=1.0), "budget"),
            (lambda: optimal_density([1.0], 0.5, ceiling=0.0), "ceiling"),
            (lambda: suboptimality([1.0], [0.0]), "path"),
            (lambda: edge_optimum([1.0], 1.0), "density"),
        ],
    )
    def test_bad_arguments_are_named(self, call: object, name: str) -> None:
        with pytest.raises(ValueError, match=name):
            call()  # type: ignore[operator]


class TestEdgeOptimum:
    """The best mask for a number of edges."""

    @pytest.mark.parametrize("density", [0.02, 0.2, 0.7])
    def test_against_a_general_optimiser(self, density: float) -> None:
        beta = np.array([0.3, 1.0, 2.5, 0.1])
        found = edge_optimum(beta, density)
        assert found.mask.mean() == pytest.approx(density, rel=1e-9)

        def bound(logits: np.ndarray) -> float:
            from scipy.special import expit, ndtri

            p = expit(logits)
            p = np.clip(p * density / p.mean(), 1e-9, 1.0 - 1e-9)
            t = ndtri(1.0 - p / 2.0)
            return linear_bound(beta, p + 2.0 * t * np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi))

        best = min(
            minimize(bound, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-9})
            .fun
            for start in (np.zeros(4), np.array([-1.0, 0.0, 1.0, -1.0]))
        )  # fmt: skip
        assert found.bound <= best * (1 + 1e-6)
        assert found.bound == pytest.approx(best, rel=1e-3)

    @settings(max_examples=15)
    @given(VECTORS, st.floats(0.02, 0.95))
    def test_beats_flat_masks(self, beta: list[float], density: float) -> None:
        best = edge_optimum(beta, density)
        assert best.bound <= linear_bound(beta, np.full(len(beta), density)) * (1 + 1e-9)
        assert (best.path >= best.mask - 1e-12).all()

    def test_unused_inputs_get_nothing(self) -> None:
        found = edge_optimum([1.0, 0.0, 2.0], 0.3)
        assert found.mask[1] == 0.0
        assert found.mask.mean() == pytest.approx(0.3)
        assert edge_optimum([1.0, 0.0], 0.9).mask.tolist() == [1.0, 0.0]
