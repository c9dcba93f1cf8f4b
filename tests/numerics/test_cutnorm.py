"""Cut-norm brackets against enumeration, symmetries, known norms, and planted faults."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics import cutnorm, cutnorm_upper
from numerics.cutnorm import CutNormBracket, bracket, bracket_between, exact
from numerics.cutnorm_lower import bordered
from numerics.cutnorm_problem import Problem, merge_equal, rounded_down, rounded_up
from numerics.refinement import equal_overlap, overlap


def oracle(matrix: np.ndarray) -> int:
    """max |sum over S × T| of an integer matrix, by Python integers alone."""
    rows = [[int(x) for x in row] for row in matrix]
    if len(rows) > len(rows[0]):
        rows = [list(column) for column in zip(*rows, strict=True)]
    best = 0
    for chosen in itertools.product((0, 1), repeat=len(rows)):
        sums = [
            sum(row[j] for row, take in zip(rows, chosen, strict=True) if take)
            for j in range(len(rows[0]))
        ]
        best = max(best, sum(s for s in sums if s > 0), -sum(s for s in sums if s < 0))
    return best


def weighted_oracle(matrix: np.ndarray, mu: np.ndarray, nu: np.ndarray) -> Fraction:
    """The weighted cut norm of a small float matrix in exact rationals."""
    entries = [
        [
            Fraction(float(m)) * Fraction(float(a)) * Fraction(float(n))
            for a, n in zip(row, nu, strict=True)
        ]
        for row, m in zip(matrix, mu, strict=True)
    ]
    best = Fraction(0)
    for chosen in itertools.product((0, 1), repeat=len(entries)):
        sums = [
            sum((r[j] for r, take in zip(entries, chosen, strict=True) if take), Fraction(0))
            for j in range(len(nu))
        ]
        positive = sum((s for s in sums if s > 0), Fraction(0))
        negative = -sum((s for s in sums if s < 0), Fraction(0))
        best = max(best, positive, negative)
    return best


def assert_contains(found: CutNormBracket, true: Fraction) -> None:
    """The bracket holds the true value, in exact arithmetic, with no tolerance."""
    assert Fraction(found.lower) <= true, f"lower bound {found.lower} above {float(true)}"
    assert Fraction(found.upper) >= true, f"upper bound {found.upper} below {float(true)}"


@pytest.fixture(autouse=True)
def relaxed_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """An effort that never enumerates, so that small cases meet the dual certificate."""
    settings = dataclasses.replace(cutnorm.EFFORTS["fast"], enumeration=0)
    monkeypatch.setitem(cutnorm.EFFORTS, "relaxed", settings)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small problems are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_integer_matrices():
    rng = np.random.default_rng(20)
    for _ in range(200):
        m, n = rng.integers(1, 8), rng.integers(1, 12)
        kind = rng.integers(3)
        if kind == 0:
            yield rng.integers(-9, 10, (m, n))
        elif kind == 1:
            yield rng.choice([-1, 1], (m, n))
        else:
            yield np.outer(rng.integers(-3, 4, m), rng.integers(-3, 4, n)) + rng.integers(0, 2)


@pytest.mark.parametrize("effort", ["relaxed", "fast"])
def test_brackets_hold_the_enumerated_norm(effort):
    for matrix in small_integer_matrices():
        true = Fraction(oracle(matrix), matrix.size)
        assert_contains(bracket(matrix, effort=effort), true)
        assert_contains(bracket(matrix.T, effort=effort), true)


def test_enumeration_is_exact_on_integers():
    for matrix in itertools.islice(small_integer_matrices(), 80):
        found = exact(matrix)
        true = Fraction(oracle(matrix), matrix.size)
        assert found.lower == rounded_down(true)
        assert found.upper == rounded_up(true)


def test_a_dual_bound_is_close_where_it_is_known_to_be():
    # The relaxation loses at most Grothendieck's factor on either side of its bordered matrix.
    worst = max(bracket(matrix, effort="relaxed").ratio for matrix in small_integer_matrices())
    assert worst < 1.783


@given(
    data=st.data(),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    effort=st.sampled_from(["relaxed", "fast"]),
)
def test_weighted_brackets_hold_the_rational_norm(data, shape, effort):
    finite = st.floats(-1e6, 1e6, allow_subnormal=True)
    row = st.lists(finite, min_size=shape[1], max_size=shape[1])
    matrix = np.array(data.draw(st.lists(row, min_size=shape[0], max_size=shape[0])))
    counts = [
        np.array(data.draw(st.lists(st.integers(0, 9), min_size=k, max_size=k)), float) + (k == 1)
        for k in shape
    ]
    weights = [c / c.sum() if c.sum() else np.full(len(c), 1 / len(c)) for c in counts]
    found = bracket(matrix, row_weights=weights[0], column_weights=weights[1], effort=effort)
    assert_contains(found, weighted_oracle(matrix, *weights))


@given(
    matrix=st.integers(1, 6).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(-5, 5), min_size=n, max_size=n), min_size=1, max_size=6
        )
    ),
    power=st.integers(-600, 600),
)
def test_powers_of_two_scale_the_bracket(matrix, power):
    array = np.array(matrix, dtype=np.float64)
    true = Fraction(oracle(array), array.size) * Fraction(2) ** power
    assert_contains(bracket(np.ldexp(array, power), effort="relaxed"), true)


@given(
    shape=st.tuples(st.integers(2, 40), st.integers(2, 40)),
    seed=st.integers(0, 10**6),
    effort=st.sampled_from(["relaxed", "fast"]),
)
def test_brackets_overlap_under_transposition_permutation_and_sign(shape, seed, effort):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal(shape)
    plain = bracket(matrix, effort=effort)
    assert 0.0 < plain.lower <= plain.upper
    shuffled = matrix[rng.permutation(shape[0])][:, rng.permutation(shape[1])]
    for other in (matrix.T, shuffled, -matrix, np.repeat(matrix, 2, axis=1)):
        found = bracket(other, effort=effort)
        assert found.lower <= plain.upper
        assert plain.lower <= found.upper


@given(shape=st.tuples(st.integers(1, 30), st.integers(1, 30)), seed=st.integers(0, 10**6))
def test_the_sets_attain_lower(shape, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal(shape)
    found = bracket(matrix, effort="relaxed")
    block = matrix[found.rows][:, found.columns]
    total = abs(sum((Fraction(x) for x in block.ravel().tolist()), Fraction(0)))
    value = total / matrix.size
    assert Fraction(found.lower) <= value
    assert float(value) - found.lower <= 4 * math.ulp(float(value))


@given(shape=st.tuples(st.integers(1, 6), st.integers(1, 6)), seed=st.integers(0, 10**6))
def test_bordering_multiplies_the_sign_norm_by_four(shape, seed):
    rng = np.random.default_rng(seed)
    matrix = torch.from_numpy(rng.integers(-4, 5, shape)).double()
    wide = bordered(matrix, matrix.sum(1), matrix.sum(0)).numpy()
    assert not wide.sum(0).any()
    assert not wide.sum(1).any()
    best = max(
        np.abs(np.array(signs) @ wide).sum()
        for signs in itertools.product((-1, 1), repeat=shape[0] + 1)
    )
    assert best == 4 * oracle(matrix.numpy())


@pytest.mark.parametrize("effort", ["relaxed", "fast", "default", "high"])
def test_known_norms(effort):
    signs = np.outer(np.repeat([1, -1], 8), np.repeat([1, -1], 6))
    assert_contains(bracket(signs, effort=effort), Fraction(1, 4))
    assert bracket(signs, effort=effort).ratio < 1.001
    assert_contains(bracket(np.full((7, 5), 0.5), effort=effort), Fraction(1, 2))
    assert_contains(bracket(np.eye(9), effort=effort), Fraction(1, 9))
    assert_contains(bracket([[-3.0]], effort=effort), Fraction(3))
    zero = bracket(np.zeros((3, 4)), effort=effort)
    assert (zero.lower, zero.upper, zero.ratio) == (0.0, 0.0, 1.0)


def test_rank_one_norm_is_a_product():
    rng = np.random.default_rng(5)
    a, b = rng.integers(-50, 51, 70), rng.integers(-50, 51, 45)
    sides = [max(x[x > 0].sum(), -x[x < 0].sum()) for x in (a, b)]
    found = bracket(np.outer(a, b), effort="default")
    assert_contains(found, Fraction(int(sides[0]) * int(sides[1]), 70 * 45))
    assert found.ratio < 1.001


def test_graphons_of_different_sizes():
    # The package cutnorm gives 2.15 and 1.36 here; the difference is 1 everywhere.
    for sizes in ((3, 5), (4, 6), (2, 3), (1, 3)):
        found = bracket_between(np.ones((sizes[0],) * 2), np.zeros((sizes[1],) * 2))
        assert (found.lower, found.upper) == (1.0, 1.0)
    rng = np.random.default_rng(1)
    step = rng.integers(0, 3, (3, 2))
    other = np.repeat(np.repeat(step, 4, axis=0), 3, axis=1)
    same = bracket_between(step, other)
    assert (same.lower, same.upper) == (0.0, 0.0)


@given(
    sizes=st.tuples(*[st.integers(1, 4)] * 4),
    seed=st.integers(0, 10**6),
)
def test_between_is_the_norm_on_a_common_grid(sizes, seed):
    rng = np.random.default_rng(seed)
    P, Q = rng.integers(0, 4, sizes[:2]), rng.integers(0, 4, sizes[2:])
    rows, columns = math.lcm(sizes[0], sizes[2]), math.lcm(sizes[1], sizes[3])
    fine = [
        np.repeat(np.repeat(x, rows // x.shape[0], axis=0), columns // x.shape[1], axis=1)
        for x in (P, Q)
    ]
    found = bracket_between(P, Q, effort="relaxed")
    reference = exact(fine[0] - fine[1])
    assert found.lower <= reference.upper
    assert found.upper >= reference.lower
    widths = (np.full(sizes[0], 1 / sizes[0]), None)
    loose = bracket_between(P, Q, row_widths=widths)
    assert loose.lower <= reference.upper * (1 + 1e-12)
    assert loose.upper >= reference.lower * (1 - 1e-12)


def test_equal_and_general_refinements_agree():
    for a, b in ((1, 1), (2, 3), (4, 6), (5, 7)):
        equal = equal_overlap(a, b)
        general = overlap([Fraction(1, a)] * a, [Fraction(1, b)] * b)
        np.testing.assert_array_equal(equal.first, general.first)
        np.testing.assert_array_equal(equal.second, general.second)
        np.testing.assert_allclose(equal.measure / equal.total, general.measure, rtol=1e-15)
    halves = [Fraction(1, 2), Fraction(0), Fraction(1, 2)]
    pieces = overlap(halves, [Fraction(1)])
    np.testing.assert_array_equal(pieces.first, [0, 2])


def test_merging_keeps_the_problem():
    rng = np.random.default_rng(3)
    core = rng.integers(-3, 4, (4, 5))
    matrix = core[rng.integers(0, 4, 90)][:, rng.integers(0, 5, 80)].astype(np.float64)
    problem = Problem(matrix, np.ones(90), np.ones(80), Fraction(7200))
    merged = merge_equal(problem)
    small = merged.problem
    assert max(small.shape) <= 5
    np.testing.assert_array_equal(
        small.entries[merged.row_label][:, merged.column_label], problem.entries
    )
    assert small.weighted.sum() == problem.weighted.sum()


def test_any_dual_weights_give_a_bound():
    rng = np.random.default_rng(8)
    for _ in range(60):
        matrix = rng.integers(-3, 4, (7, 6)).astype(np.float64)
        problem = Problem(matrix, np.ones(7), np.ones(6), Fraction(42))
        sums = cutnorm_upper.sums_of(problem)
        dual = rng.uniform(0.1, 10.0, 14)
        bounds = [cutnorm_upper.one_sided(problem, sums, s, dual, 0.0) for s in (1.0, -1.0)]
        assert Fraction(max(bounds)) >= oracle(matrix)


def test_the_certified_eigenvalue_is_above_the_true_one():
    rng = np.random.default_rng(9)
    for size in (3, 20, 60):
        matrix = rng.standard_normal((size + 4, size))
        rows, columns = rng.standard_normal(size + 4), rng.standard_normal(size)
        full = np.block(
            [
                [np.zeros((size + 4,) * 2), matrix, rows[:, None]],
                [matrix.T, np.zeros((size, size)), columns[:, None]],
                [rows[None], columns[None], np.zeros((1, 1))],
            ]
        )
        top = float(np.linalg.eigvalsh(full)[-1])
        pencil = cutnorm_upper._Pencil(matrix, rows, columns, 1.0)
        assert pencil.eigenvalue_below(top * (1 - 1e-6)) is None
        assert top <= pencil.eigenvalue_below(top * (1 + 1e-6)) <= top * (1 + 2e-6)
        scaled = cutnorm_upper._Pencil(matrix / top, rows / top, columns / top, 1.0)
        assert abs(scaled.estimate() - 1.0) < 1e-3


def _battery() -> None:
    for matrix in itertools.islice(small_integer_matrices(), 60):
        assert_contains(bracket(matrix, effort="relaxed"), Fraction(oracle(matrix), matrix.size))


def test_a_wrong_upper_bound_is_detected(monkeypatch):
    _battery()
    monkeypatch.setattr(
        cutnorm_upper._Pencil, "eigenvalue_below", lambda self, value: 0.97 * self.estimate()
    )
    with pytest.raises(AssertionError, match="upper bound"):
        _battery()


def test_a_wrong_lower_bound_is_detected(monkeypatch):
    honest = Problem.attained
    monkeypatch.setattr(Problem, "attained", lambda self, *sets: 1.001 * honest(self, *sets))
    with pytest.raises(AssertionError, match="lower bound"):
        _battery()


def test_a_forgotten_sign_of_the_sum_is_detected(monkeypatch):
    monkeypatch.setattr(cutnorm_upper, "SIGNS", (1.0, 1.0))
    with pytest.raises(AssertionError, match="upper bound"):
        _battery()


def test_noise_is_bracketed_within_a_fifth():
    rng = np.random.default_rng(0)
    mask = (rng.random((300, 260)) < 0.2) - 0.2
    for effort in ("fast", "default"):
        found = bracket(mask, effort=effort)
        assert 1.0 <= found.ratio <= 1.2
    again = bracket(mask, effort="default")
    assert (again.lower, again.upper) == (found.lower, found.upper)
    assert found.width == found.upper - found.lower
    assert found.contains(found.lower)
    assert not found.contains(found.upper * 1.01)


def test_tensors_and_dtypes_give_the_same_bracket():
    rng = np.random.default_rng(4)
    mask = rng.random((30, 40)) < 0.3
    signed = mask.astype(np.int8) - (rng.random((30, 40)) < 0.3)
    reference = bracket(signed)
    for other in (
        signed.astype(np.float64),
        torch.from_numpy(signed.astype(np.float32)),
        torch.from_numpy(signed).to(torch.bfloat16),
        signed.tolist(),
    ):
        found = bracket(other)
        assert (found.lower, found.upper) == (reference.lower, reference.upper)


@pytest.mark.gpu
def test_a_cuda_tensor_is_bracketed():
    rng = np.random.default_rng(6)
    matrix = rng.standard_normal((80, 70))
    there, here = bracket(torch.from_numpy(matrix).cuda()), bracket(matrix)
    assert there.lower <= here.upper
    assert here.lower <= there.upper
    assert there.ratio <= 1.2


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (9, 4), (12, 12)])
def test_the_lower_bound_alone_is_attained_and_below_the_exact_norm(shape: tuple[int, int]):
    for seed in range(20):
        A = np.random.default_rng(seed).standard_normal(shape)
        found, truth = cutnorm.lower_bound(A, seed=seed), cutnorm.exact(A)
        attained = abs(A[np.ix_(found.rows, found.columns)].sum()) / A.size
        assert found.lower <= attained * (1 + 1e-12)
        assert found.lower <= truth.upper
        assert truth.lower <= found.upper
        assert found.lower >= 0.9 * truth.lower  # small matrices: the search is nearly exact


def test_the_lower_bound_of_nothing_is_zero():
    assert cutnorm.lower_bound(np.zeros((3, 4))).lower == 0.0
