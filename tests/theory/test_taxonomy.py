"""Homogeneous, heterogeneous or cannot tell: each answer is given, a witness really differs."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import criteria
from theory.certify import disjoint, enclose
from theory.laws import LAWS, Laplace
from theory.profiles import EmpiricalProfile, SymbolicProfile
from theory.saliency import MagnitudeRule
from theory.symbols import rho, tau, u, v
from theory.taxonomy import Witness, classify, is_homogeneous, witness

Q = sp.Rational
FLAT = ("random", "magnitude")


@pytest.mark.parametrize("family", LAWS)
@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_the_taxonomy_of_the_criteria(name: str, family: str) -> None:
    limit = criteria.criterion(name, weight_law=LAWS[family]()).limit(Q(1, 5))
    assert is_homogeneous(limit) is (name in FLAT)
    assert limit.is_homogeneous is (name in FLAT)
    assert classify(limit) == ("homogeneous" if name in FLAT else "heterogeneous")


ANSWERS = {
    "constant factors": (criteria.snip(2, 3), Q(1, 5), True),
    "constant in disguise": (
        criteria.snip(SymbolicProfile(sp.sin(u) ** 2 + sp.cos(u) ** 2), 1),
        Q(1, 5),
        True,
    ),
    "row": (criteria.snip(1 + u, 1), Q(1, 5), False),
    "column": (criteria.snip(1, 1 + v), Q(1, 5), False),
    "offset": (criteria.snip(offset=1), Q(1, 5), False),
    "sample": (criteria.snip([1.0, 2.0, 3.0], 1), Q(1, 5), False),
    "callable": (criteria.snip(lambda x: 1 + x, 1), Q(1, 5), False),
    "signed": (criteria.grasp_signed(1 + u, 1), Q(4, 5), False),
    # Too fine for the grid, or equal on it: nothing is claimed.
    "equal sample": (criteria.snip([1.0] * 5, 1), Q(1, 5), None),
    "equal callable": (criteria.snip(lambda x: np.ones_like(x), 1), Q(1, 5), None),
    "too fine": (criteria.snip(1 + sp.Max(0, u - Q(99, 100)), 1), Q(1, 5), None),
    "symbolic density": (criteria.snip(), rho, None),
    "symbolic density, magnitude": (criteria.magnitude(), rho, True),
    "symbolic density, offset": (criteria.snip(offset=1), rho, None),
    # Where tau is zero or everything is kept, no factor matters.
    "everything kept": (criteria.snip(), 1, True),
    "everything kept of a sample": (criteria.snip([0.0, 1.0], 1), 1, True),
    "split at zero": (criteria.grasp_signed(), Q(1, 2), True),
    "sample split at zero": (criteria.grasp_signed([1.0, 2.0], 1), Q(1, 2), True),
}


@pytest.mark.parametrize(("model", "density", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_is_given(model: object, density: object, answer: bool | None) -> None:
    limit = model.limit(density)
    assert is_homogeneous(limit) is answer
    known = {True: "homogeneous", False: "heterogeneous", None: "cannot tell"}
    assert classify(limit) == known[answer]


@pytest.mark.parametrize(
    "model",
    [
        criteria.snip(),
        criteria.snip(1 + u, 1, Laplace()),
        criteria.grasp_signed(),
        criteria.synflow(),
        criteria.snip([1.0, 2.0, 5.0], 1),
        criteria.snip(offset=Q(1, 3)),
    ],
    ids=["snip", "laplace", "signed", "synflow", "sample", "offset"],
)
def test_a_witness_differs_for_every_threshold_nearby(model: object) -> None:
    limit = model.limit(Q(1, 5))
    found = witness(limit)
    assert isinstance(found, Witness)
    first, second = (
        float(limit.values(float(at_u), float(at_v))) for at_u, at_v in (found.first, found.second)
    )
    assert abs(first - second) > 1e-6
    mask = limit.model.rule.moment(limit.model.noise, 0, tau)
    balls = []
    for at_u, at_v in (found.first, found.second):
        row, column = (
            Q(float(side(np.array(float(at)))))
            for side, at in ((limit.model.row, at_u), (limit.model.column, at_v))
        )
        level = (Q(limit.tau) * Q(999, 1000), Q(limit.tau) * Q(1001, 1000))
        symbols = {str(s): s for s in mask.free_symbols}
        values = {
            symbols[name]: value for name, value in (("r", row), ("c", column)) if name in symbols
        }
        balls.append(enclose(mask.subs(values), {tau: level}))
    assert disjoint(*balls)  # even for thresholds a thousandth apart
    assert len(found.values) == 2


def test_constant_graphons_have_no_witness() -> None:
    for model in (
        criteria.random(),
        criteria.magnitude(),
        criteria.snip(EmpiricalProfile([2.0]), 1),
    ):
        assert witness(model.limit(Q(1, 3))) is None


def test_positions_without_a_factor_are_passed_over() -> None:
    limit = criteria.snip([0.0, 0.0, 1.0], 1).limit(Q(1, 5))
    assert isinstance(limit.model.rule, MagnitudeRule)
    assert witness(limit) is None
    assert classify(limit) == "cannot tell"
