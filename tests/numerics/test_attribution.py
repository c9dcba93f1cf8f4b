"""Shapley shares: additive effects are their own shares, interactions are divided evenly."""

from __future__ import annotations

from itertools import combinations

import pytest

from numerics.attribution import shapley

CAUSES = ("a", "b", "c")
SETS = [frozenset(each) for k in range(4) for each in combinations(CAUSES, k)]


def test_effects_that_add_are_their_own_shares() -> None:
    own = {"a": 2.0, "b": -1.0, "c": 0.0}
    found = shapley(CAUSES, {each: sum(own[name] for name in each) for each in SETS})
    assert found == pytest.approx(own)


def test_an_interaction_is_shared_and_the_whole_is_kept() -> None:
    effect = {each: 3.0 * ({"a", "b"} <= each) + 1.0 * (len(each) == 3) + 0.5 for each in SETS}
    found = shapley(CAUSES, effect)
    assert found["a"] == pytest.approx(1.5 + 1 / 3) == found["b"]
    assert found["c"] == pytest.approx(1 / 3)
    assert sum(found.values()) == pytest.approx(4.0)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="causes must be different"):
        shapley(("a", "a"), {})
    with pytest.raises(ValueError, match="effect must have a value for"):
        shapley(("a", "b"), {frozenset(): 0.0})
