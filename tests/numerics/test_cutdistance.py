"""Cut-distance brackets: invariance, known distances, and the lower bounds' constants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics import cutdistance
from numerics.cutdistance import cut_distance_bracket
from numerics.cutnorm import bracket_between, exact


def pairs(count: int, seed: int, largest: float = 1.0):
    rng = np.random.default_rng(seed)
    for k in range(count):
        shape = tuple(rng.integers(1, 7, 2))
        other = shape if k % 2 else tuple(rng.integers(1, 7, 2))
        power = rng.choice([0.2, 1.0, 4.0])
        yield rng.random(shape) ** power * largest, rng.random(other) ** power * largest


def assert_below_every_alignment(P: np.ndarray, Q: np.ndarray) -> None:
    """No arrangement of Q's steps has a cut norm below the lower bound."""
    found = cut_distance_bracket(P, Q, effort="fast")
    smallest = min(
        exact(P - Q[list(rows)][:, list(columns)]).upper
        for rows in itertools.permutations(range(Q.shape[0]))
        for columns in itertools.permutations(range(Q.shape[1]))
    )
    assert found.lower <= smallest, "lower bound above an alignment"
    assert found.upper >= found.lower


def test_lower_is_below_every_alignment_of_small_graphons():
    rng = np.random.default_rng(12)
    for k in range(12):
        P = rng.random((3, 3)) ** (1 + k % 4)
        Q = P[rng.permutation(3)][:, rng.permutation(3)]
        Q = np.clip(Q + rng.choice([0.0, 0.05, 0.5]) * rng.standard_normal((3, 3)), 0.0, 1.0)
        assert_below_every_alignment(P, Q)


@pytest.mark.parametrize("name", ["row degrees", "column degrees", "4-cycles", "3-paths"])
def test_every_invariant_is_below_the_cut_norm(name):
    # a cut norm bounds the distance from above, so each invariant must lie below it
    tightest = 0.0
    for largest in (1.0, 3.0):
        for P, Q in pairs(60, 31, largest):
            bound = cut_distance_bracket(P, Q, effort="fast").invariants[name]
            norm = bracket_between(P, Q).upper
            assert bound <= norm
            tightest = max(tightest, bound / norm)
    assert tightest > 0.1  # and none is so small that it could not fail


def test_a_wrong_constant_is_detected(monkeypatch):
    honest = cutdistance._quotient
    monkeypatch.setattr(
        cutdistance, "_quotient", lambda a, b, constant, error: honest(a, b, constant / 8, error)
    )
    with pytest.raises(AssertionError):
        test_every_invariant_is_below_the_cut_norm("4-cycles")


def test_known_distances():
    # constants: the distance is the gap of the densities
    found = cut_distance_bracket(np.full((3, 2), 0.75), np.full((5, 4), 0.25))
    assert found.lower == pytest.approx(0.5, abs=1e-12)
    assert found.upper == pytest.approx(0.5, abs=1e-12)
    # a kernel of rows alone against a constant: half the L1 distance of the degrees
    P = np.repeat([[0.0], [1.0]], 2, axis=1)
    found = cut_distance_bracket(P, np.full((3, 3), 0.5))
    assert found.lower == pytest.approx(0.25, abs=1e-12)
    assert found.upper == pytest.approx(0.25, abs=1e-12)
    assert found.invariant == "row degrees"
    # equal degrees everywhere: only the 4-cycles tell a checkerboard from its density
    found = cut_distance_bracket(np.eye(2), np.full((2, 2), 0.5))
    assert found.invariants["row degrees"] == 0.0
    assert found.invariant == "4-cycles"
    assert 0.0 < found.lower <= 0.125 <= found.upper


@given(
    shape=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    seed=st.integers(0, 10**6),
)
def test_a_permuted_graphon_is_at_distance_zero(shape, seed):
    rng = np.random.default_rng(seed)
    P = rng.random(shape)
    Q = P[rng.permutation(shape[0])][:, rng.permutation(shape[1])]
    found = cut_distance_bracket(P, Q)
    assert found.lower == 0.0
    assert found.upper == 0.0  # generic degrees are distinct, so sorting undoes the shuffle


def test_matching_finds_what_degrees_cannot():
    # all degrees equal: sorting them says nothing about the order
    P = np.eye(6)
    Q = P[np.random.default_rng(2).permutation(6)]
    found = cut_distance_bracket(P, Q)
    assert found.upper == 0.0
    assert found.alignment in {"matching", "matched degrees"}


@given(sizes=st.tuples(*[st.integers(1, 5)] * 4), seed=st.integers(0, 10**6))
def test_the_aligned_pair_attains_upper(sizes, seed):
    rng = np.random.default_rng(seed)
    P, Q = rng.random(sizes[:2]), rng.random(sizes[2:])
    widths = rng.dirichlet(np.ones(sizes[0])), None
    for row_widths in (None, widths):
        found = cut_distance_bracket(P, Q, row_widths=row_widths)
        again = bracket_between(
            *found.aligned, row_widths=found.row_widths, column_widths=found.column_widths
        )
        assert found.lower <= again.upper
        assert again.lower <= found.upper
        assert found.upper <= bracket_between(P, Q, row_widths=row_widths).upper


def test_signed_kernels_use_degrees_alone():
    found = cut_distance_bracket(-np.ones((2, 2)), np.ones((3, 3)))
    assert set(found.invariants) == {"row degrees", "column degrees"}
    assert found.lower == pytest.approx(2.0, abs=1e-12)


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"^P must"):
        cut_distance_bracket([[np.nan]], [[1.0]])
    with pytest.raises(ValueError, match=r"^row_widths\[0\] must"):
        cut_distance_bracket([[1.0]], [[1.0]], row_widths=([0.4], None))
