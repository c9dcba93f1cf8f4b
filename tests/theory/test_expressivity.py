"""Active inputs, edge floors, core probabilities, dependence, tables, and floors of the error."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import criteria, derivations
from theory.approximation_floor import gaussian_mean, inactive_floor, parity_floor
from theory.core_dependence import dispersion, guaranteed_width, overflow_bound
from theory.core_width import width
from theory.derivation import Status
from theory.edge_floor import _nested, _peeled, edge_floor
from theory.expressivity import (
    active_coordinates,
    core_probability,
    core_probability_ball,
    direction,
    fixed_count,
    floor_probability,
    least_factor,
)
from theory.expressivity_table import (
    boundary_inputs,
    boundary_probability,
    core_width,
    most_inputs,
    width_table,
)
from theory.graphon import BlockGraphon, ConstantGraphon, ProductGraphon
from theory.laws import TruncatedNormal, Uniform
from theory.limit import LimitGraphon

Q = sp.Rational
SNIP = criteria.snip().limit(Q(1, 5))
RANDOM = criteria.random().limit(Q(1, 5))
TURNED = criteria.grasp_signed().limit(Q(7, 10))
OFFSET = criteria.snip(offset=1).limit(Q(1, 5))
ROWS = np.concatenate((np.zeros(5), np.linspace(0.1, 2, 15)))
HARD = criteria.snip(ROWS, np.linspace(0.2, 2, 30), Uniform()).limit(Q(1, 10))

NAMES = sorted(name for name in derivations.names() if name.startswith("expressivity."))
CONDITIONAL = {"expressivity.universality", "expressivity.bounded_differences"}

# -------------------------------------------------------------------------------------- proofs


def test_the_chains_are_registered() -> None:
    assert {
        "expressivity.dense_core",
        "expressivity.boundary",
        "expressivity.soft_floor",
        "expressivity.global_threshold",
        "expressivity.reduction",
        "expressivity.inactive_floor",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_chain_verifies_itself_and_refutes_its_mutants(name: str) -> None:
    chain = derivations.get(name)
    found = chain.verify()
    assert found.mutants
    for mutant, result in found.mutants:
        assert result.status is Status.FAILED, (mutant, result.detail)
    if name in CONDITIONAL:
        assert found.status is Status.UNDECIDED
        assert found.conditional_on
        others = [each for _, each in found.steps if each.kind != "cited"]
        assert all(each.status is Status.PROVED for each in others)
    else:
        assert found.status is Status.PROVED, found.reasons
    assert chain.statement.count("{") == chain.statement.count("}")


# ------------------------------------------------------------------------------- active inputs


@pytest.mark.parametrize("limit", [SNIP, RANDOM, TURNED, OFFSET])
def test_weights_of_unbounded_support_leave_every_input_active(limit: LimitGraphon) -> None:
    active = active_coordinates(limit)
    assert active.measure == 1.0
    assert active.contains([1e-9, 1.0]).all()


def test_weights_of_bounded_support_do_not() -> None:
    active = active_coordinates(HARD)
    bar = HARD.tau / (math.sqrt(3) * 2)
    assert active.factor_above == pytest.approx(bar)
    assert active.measure == pytest.approx(np.mean(bar < ROWS))
    assert active.count(ROWS) == (bar < ROWS).sum()
    degrees = HARD.at_factors(ROWS[:, None], np.linspace(0.2, 2, 30)[None, :]).sum(axis=1)
    assert (active.contains(ROWS) == (degrees > 0)).all()


def test_an_offset_reaches_further() -> None:
    plain = criteria.snip("u", 1, TruncatedNormal()).limit(Q(1, 20))
    moved = criteria.snip("u", 1, TruncatedNormal(), offset=Q(1, 10)).limit(Q(1, 20))
    for limit in (plain, moved):
        active = active_coordinates(limit)
        assert active.factor_above is not None
        edge = active.factor_above
        assert limit.at_factors(edge * 1.01, 1.0) > 0
        assert limit.at_factors(edge * 0.99, 1.0) == 0


# ------------------------------------------------------------------------------------ the floor


@pytest.mark.parametrize("limit", [SNIP, TURNED, OFFSET, HARD])
def test_the_floor_is_reached_and_not_passed(limit: LimitGraphon) -> None:
    """On a grid of positions no pair of sets does better than the claimed one."""
    alpha, beta, cells = 0.5, 0.5, 8
    at = (np.arange(cells) + 0.5) / cells
    grid = limit.values(at[None, :], at[:, None])  # (target, source)
    best = max(
        np.sort(grid[:, list(sources)].min(axis=1))[-int(beta * cells)]
        for sources in itertools.combinations(range(cells), int(alpha * cells))
    )
    floor = edge_floor(limit, alpha, beta)
    # Cell centres lie half a cell inside the best sets, so the grid's floor is a little higher.
    assert floor.value <= best + 1e-12
    inner = edge_floor(limit, alpha - 0.99 / cells, beta - 0.99 / cells)
    assert inner.value >= best - 1e-12


@settings(deadline=None, max_examples=30)
@given(alpha=st.floats(0.01, 1), beta=st.floats(0.01, 1))
def test_the_floor_falls_with_the_measures(alpha: float, beta: float) -> None:
    for limit in (SNIP, TURNED):
        assert edge_floor(limit, alpha, beta).value <= edge_floor(limit, alpha / 2, beta).value
        assert edge_floor(limit, alpha, beta).value <= edge_floor(limit, alpha, beta / 2).value


def test_no_floor_on_the_whole_square() -> None:
    assert edge_floor(SNIP, 1, 1).value == 0.0
    assert edge_floor(TURNED, 1, 1).value == 0.5
    assert edge_floor(RANDOM, 1, 1).value == pytest.approx(0.2)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 6))
def test_blocks_are_bracketed(seed: int, targets: int, sources: int) -> None:
    blocks = np.random.default_rng(seed).random((targets, sources))
    a, b = (sources + 1) // 2, (targets + 1) // 2
    exact = edge_floor(BlockGraphon(blocks), a / sources, b / targets)
    brute = max(
        blocks[np.ix_(rows, columns)].min()
        for rows in itertools.combinations(range(targets), b)
        for columns in itertools.combinations(range(sources), a)
    )
    assert exact.exact
    assert exact.value == brute
    assert _nested(blocks, a, b) <= brute <= _peeled(blocks, a, b)


def test_large_blocks_and_other_graphons() -> None:
    blocks = np.random.default_rng(5).random((30, 30))
    found = edge_floor(BlockGraphon(blocks), 0.5, 0.5)
    assert not found.exact
    assert found.lower <= found.upper
    assert edge_floor(ConstantGraphon(0.3), 0.2, 0.9).value == 0.3
    product = edge_floor(ProductGraphon("u", "u"), 0.5, 0.25)
    assert product.value == pytest.approx(0.5 * 0.75, abs=1e-3)
    with pytest.raises(TypeError, match="limit must be a"):
        edge_floor("snip", 0.5, 0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="target_measure must lie"):
        edge_floor(SNIP, 0.5, 0)


# ------------------------------------------------------------------------------ core probability


def quadrature(limit: LimitGraphon, factors: list[float]) -> Any:
    with mp.workdps(25):
        level = mp.mpf(limit.tau)

        def body(x: Any) -> Any:
            each = (mp.erfc(level / (r * x) / mp.sqrt(2)) for r in factors)
            return mp.fprod(each) * mp.sqrt(2 / mp.pi) * mp.exp(-(x**2) / 2)

        return mp.quad(body, [0, 0.25, 0.5, 1, 2, 3, 4, 6, 9, 14])


@pytest.mark.parametrize("factors", [[0.7], [0.5, 1.5], [1.0] * 12])
def test_core_probabilities_of_snip(factors: list[float]) -> None:
    expected = quadrature(SNIP, factors)
    assert core_probability(SNIP, factors=factors) == pytest.approx(float(expected), rel=1e-10)
    ball = core_probability_ball(SNIP, factors=factors)
    assert ball.contains(float(expected)) or abs(ball.mid() - float(expected)) < 1e-14
    assert ball.rel_accuracy_bits() > 24


@pytest.mark.parametrize("limit", [SNIP, RANDOM, TURNED, HARD])
def test_two_ways_to_the_same_number(limit: LimitGraphon) -> None:
    factors = [1.5, 2.0]
    ball = core_probability_ball(limit, factors=factors)
    assert float(ball.mid()) == pytest.approx(core_probability(limit, factors=factors), rel=1e-8)
    assert float(ball.mid()) <= limit.at_factors(1.5, 1e6) + 1e-9


def test_a_precise_threshold_agrees() -> None:
    limit = criteria.synflow().limit(Q(1, 10))
    rough = core_probability_ball(limit, factors=[1.0, 1.0])
    fine = core_probability_ball(limit, factors=[1.0, 1.0], precise=True)
    assert rough.overlaps(fine)
    assert fine.rad() < rough.rad()


def test_constant_graphons_are_exact() -> None:
    assert core_probability(RANDOM, positions=[0.1, 0.5, 0.9]) == pytest.approx(0.2**3)
    ball = core_probability_ball(RANDOM, positions=[0.1, 0.5, 0.9])
    assert (ball * 125).overlaps(1 + 0 * ball)
    assert floor_probability(RANDOM, 3, 0.5)[0] == pytest.approx(0.2**3)


def test_inactive_inputs_have_no_core() -> None:
    assert core_probability(HARD, factors=[0.0, 2.0]) == 0.0
    assert core_probability_ball(HARD, factors=[0.0, 2.0]) == 0


@pytest.mark.parametrize("k", [1, 3, 10, 40])
@pytest.mark.parametrize("limit", [SNIP, TURNED])
def test_the_floor_bound_is_a_lower_bound(limit: LimitGraphon, k: int) -> None:
    bound, measure = floor_probability(limit, k, 0.5)
    exact = core_probability(limit, factors=[least_factor(limit, 0.5)] * k)
    assert 0 < bound <= exact
    assert 0 < measure <= 1
    by_hand = measure * edge_floor(limit, 0.5, measure).value ** k
    assert bound == pytest.approx(by_hand, rel=1e-9)


def test_soft_criteria_fall_like_a_power_of_k() -> None:
    """``-log q`` against its limit law ``3/2 (beta k)^(2/3)``: from above, slowly."""
    factor = least_factor(SNIP, 0.5)
    beta = math.sqrt(2 / math.pi) * SNIP.tau / factor
    ratios = []
    for k in (30, 300, 3000):
        log = float(core_probability_ball(SNIP, factors=[factor] * k).log())
        assert -log >= 1.5 * 0.9 * (beta * k) ** (2 / 3) - 0.5 * math.log(10)  # theta = 1/10
        ratios.append(-log / (1.5 * (beta * k) ** (2 / 3)))
    assert ratios == sorted(ratios, reverse=True)
    assert 1 < ratios[-1] < 1.15


def test_fixed_targets_are_a_poisson_binomial() -> None:
    columns = np.array([0.1, 0.5, 2.0])
    law = fixed_count(SNIP, [1.0, 1.5], columns)
    each = SNIP.at_factors(1.0, columns) * SNIP.at_factors(1.5, columns)
    assert law.mean == pytest.approx(each.sum())
    with pytest.raises(ValueError, match="columns must be"):
        fixed_count(SNIP, [1.0], [-1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one of positions and factors"),
        ({"positions": [0.5], "factors": [1.0]}, "exactly one of positions and factors"),
        ({"positions": [0.0]}, "positions must lie strictly"),
        ({"positions": []}, "positions must be a non-empty vector"),
        ({"factors": [-1.0]}, "factors must be finite"),
        ({"factors": ["a"]}, "factors must be a vector of numbers"),
    ],
)
def test_bad_inputs_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        core_probability(SNIP, **arguments)


def test_what_has_no_answer_is_refused() -> None:
    with pytest.raises(TypeError, match="limit must be a"):
        core_probability("snip", factors=[1.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have a number as density"):
        active_coordinates(criteria.random().limit(sp.Symbol("rho", positive=True)))
    with pytest.raises(ValueError, match="offset rule"):
        least_factor(OFFSET, 0.5)
    with pytest.raises(ValueError, match="no certified core probability"):
        core_probability_ball(OFFSET, factors=[1.0])
    assert direction(SNIP) == 1
    assert direction(TURNED) == -1
    assert direction(criteria.grasp_signed().limit(Q(1, 10))) == 1
    assert direction(RANDOM) == 0


# ----------------------------------------------------------------------------------- dependence


def test_constant_graphons_do_not_disperse() -> None:
    assert dispersion(RANDOM, factors=[1.0]) == 1.0
    with pytest.raises(ValueError, match="sources must be one of"):
        dispersion(SNIP, factors=[1.0], sources="sorted")
    with pytest.raises(ValueError, match="strictly inside"):
        dispersion(HARD, factors=[0.0])


def test_random_sources_add_spread_and_random_targets_need_not() -> None:
    factors = [2.0, 1.5]
    plain = dispersion(SNIP, factors=factors)
    assert dispersion(SNIP, factors=factors, sources="random") > plain
    assert dispersion(SNIP, factors=factors, sources="random", aspect=4) > dispersion(
        SNIP, factors=factors, sources="random"
    )
    assert 0 < dispersion(SNIP, factors=factors, targets="grid") < 1


def test_an_exact_count_asks_for_more() -> None:
    for limit in (SNIP, RANDOM):
        found = guaranteed_width(limit, 2, 8, 0.05)
        assert found.width >= core_width(limit, 2, 8, 0.05)
        assert found.overflow < 0.05
        assert found.lowered < 0.2
    assert overflow_bound(100, 100, 0.0) == 1.0
    assert overflow_bound(100, 100, 0.2, latents=False) < overflow_bound(100, 100, 0.2)
    with pytest.raises(ValueError, match="aspect must be positive"):
        guaranteed_width(SNIP, 2, 8, 0.05, aspect=0)
    with pytest.raises(ValueError, match="delta must lie strictly"):
        guaranteed_width(SNIP, 2, 8, 1.0)


# --------------------------------------------------------------------------------------- tables


def test_the_table_prints_what_the_functions_return() -> None:
    table = width_table(["random", "snip"], (0.2,), (2, 64), (4,), 0.05)
    assert len(table) == 4
    row = next(each for each in table if each.criterion == "snip" and each.k == 2)
    assert row.width == core_width(criteria.snip().limit(0.2), 2, 4, 0.05)
    assert row.width is not None
    assert row.chernoff is not None
    assert row.floor is not None
    assert row.width <= row.chernoff <= row.floor
    text, markdown = table.to_text(), table.to_markdown()
    assert str(row.width) in text
    assert markdown.count("\n|") == len(table) + 1 + 1
    assert len({len(line) for line in text.splitlines()[2:]}) == 1
    assert "e+" in text  # the honest width of 64 inputs under random pruning


def test_inactive_inputs_have_no_width() -> None:
    table = width_table({"hard": HARD.model}, (0.1,), (2,), (4,), share=1.0)
    assert table[0].width is None
    assert "none" in table.to_text()
    with pytest.raises(ValueError, match="measure of the active inputs"):
        core_width(HARD, 2, 4, 0.05, share=1.0)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((SNIP, 0, 4, 0.1), {}, "k must be at least 1"),
        ((SNIP, 2, 0, 0.1), {}, "m must be at least 1"),
        ((SNIP, 2, 4, 1.0), {}, "delta must lie strictly"),
        ((SNIP, 2, 4, 0.1), {"share": 0.0}, "share must lie in"),
        ((SNIP, 6, 4, 0.1), {"inputs": 10}, "k must be at most 5"),
        ((HARD, 9, 4, 0.1), {"inputs": 10, "share": 0.9}, "k must be at most"),
    ],
)
def test_bad_requests_are_named(
    arguments: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        core_width(*arguments, **options)


def test_bad_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="criterion must be one of"):
        width_table(["snap"])
    with pytest.raises(ValueError, match="at least one entry"):
        width_table(["snip"], ())
    with pytest.raises(ValueError, match="density must lie in"):
        width_table(["snip"], (0.0,))


@pytest.mark.parametrize("n", [10, 1000, 30_000])
def test_most_inputs_inverts_the_width(n: int) -> None:
    k = most_inputs(RANDOM, n, 4, 0.1)
    widths = [width(Fraction(1, 5) ** j, 4, 0.1) for j in range(1, 12)]
    assert k == sum(each <= n for each in widths)


def test_both_sides_of_the_boundary() -> None:
    p = Fraction(1, 2)
    inside, outside = [], []
    for power in (4, 12, 40, 120):
        n = 10**power
        inside.append(boundary_probability(n, p, boundary_inputs(n, p, 0.25), m=3))
        outside.append(boundary_probability(n, p, boundary_inputs(n, p, -0.25), m=3))
    assert inside == sorted(inside)
    assert inside[-1] > 1 - 1e-12
    assert outside == sorted(outside, reverse=True)
    assert outside[-1] < 1e-60
    at = boundary_probability(2**100, p, 100, m=1)
    assert at == pytest.approx(1 - math.exp(-1))
    with pytest.raises(ValueError, match="p must lie strictly"):
        boundary_inputs(10, 1, 0.1)


# --------------------------------------------------------------------------- floors of the error


def test_floors_by_hand() -> None:
    x, y = sp.symbols("x y")
    found = inactive_floor(x * (1 + y) + y**2 / 2, y)
    assert found.value == Q(3, 2)
    assert sp.expand(found.best - x - Q(1, 2)) == 0
    assert found.relative == pytest.approx(1.5 / 2.75)
    assert inactive_floor(x**3, y).value == 0
    waves = inactive_floor(sp.sin(x) * sp.cos(y), y)
    expected = (1 - math.exp(-2)) / 2 * ((1 + math.exp(-2)) / 2 - math.exp(-1))
    assert float(waves.value) == pytest.approx(expected, rel=1e-12)
    assert parity_floor(x**2 + x).value == 3
    assert parity_floor(x**2 + x, odd=False).value == 1
    assert gaussian_mean(x**4 * y, [x]) == 3 * y


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=4, max_size=4), st.integers(-3, 3))
def test_no_other_function_does_better(coefficients: list[int], shift: int) -> None:
    x, y = sp.symbols("x y")
    a, b, c, e = coefficients
    target = a * x + b * x * y + c * y**2 + e * x**2 * y
    floor = inactive_floor(target, y)
    assert floor.value >= 0
    assert floor.best is not None
    other = floor.best + shift * x
    error = gaussian_mean(sp.expand((target - other) ** 2), (x, y))
    assert sp.simplify(error - floor.value - shift**2) == 0


def test_floors_refuse_what_they_cannot_average() -> None:
    x, y, z, w = sp.symbols("x y z w")
    with pytest.raises(TypeError, match="inactive must hold"):
        inactive_floor(x, "y")
    with pytest.raises(TypeError, match="target must be"):
        inactive_floor([x], y)
    with pytest.raises(ValueError, match="at most 3"):
        inactive_floor(sp.sin(x + y + z + w), w)
    with pytest.raises(ValueError, match="finite"):
        inactive_floor(sp.log(x) * sp.sqrt(y), y)
