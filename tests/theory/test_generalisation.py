"""The generalisation bound, label noise and their proofs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory import derivations
from theory.derivation import Status
from theory.generalisation import (
    crossing,
    expected_complexity,
    hypotheses,
    kernel_bound,
    printed_bound,
)
from theory.hypotheses import Holds

NAMES = sorted(name for name in derivations.names() if name.startswith("generalisation."))
CONDITIONAL = {"generalisation.bound"}


def test_the_chains_are_registered() -> None:
    assert len(NAMES) == 11
    assert set(NAMES) >= CONDITIONAL | {"generalisation.path_bound", "generalisation.optimum"}


@pytest.mark.parametrize("name", NAMES)
def test_chains_are_proved_or_conditional_and_mutants_fail(name: str) -> None:
    found = derivations.get(name).verify()
    assert found.mutants
    for mutant, result in found.mutants:
        assert result.status is Status.FAILED, (mutant, result.detail)
    if name in CONDITIONAL:
        assert found.status is Status.UNDECIDED
        assert len(found.conditional_on) == 3
        others = [each for _, each in found.steps if each.kind != "cited"]
        assert all(each.status is Status.PROVED for each in others)
    else:
        assert found.status is Status.PROVED, found.reasons


POSITIVE = st.floats(1e-3, 1e6)


@given(POSITIVE, POSITIVE, st.integers(2, 10**6), st.floats(1e-9, 0.999))
def test_the_bound_is_the_sum_of_its_terms(q: float, trace: float, n: int, delta: float) -> None:
    found = kernel_bound(q, trace, n, delta)
    assert found.leading == pytest.approx(2.0 * math.sqrt(q * trace) / n)
    radius = max(1, math.ceil(math.sqrt(q)))
    assert found.leading + found.rounding == pytest.approx(2.0 * radius * math.sqrt(trace) / n)
    log = math.log(2.0 * radius * (radius + 1) / delta)
    assert found.confidence == pytest.approx(3.0 * math.sqrt(log / (2.0 * n)))
    assert found.total > found.leading
    assert found.vacuous == (found.total >= 1.0)


@given(POSITIVE, st.integers(2, 1000), st.floats(1e-3, 1e3))
def test_only_the_printed_term_depends_on_the_scale(q: float, n: int, scale: float) -> None:
    dense = kernel_bound(q, n / 2.0, n, 0.1)
    assert dense.leading == pytest.approx(dense.printed)  # K(x, x) = 1/2
    scaled = kernel_bound(q / scale, scale * n / 2.0, n, 0.1)
    assert scaled.leading == pytest.approx(dense.leading)
    assert scaled.printed == pytest.approx(dense.printed / math.sqrt(scale))


def test_the_bound_covers_finite_function_classes() -> None:
    """Kernel regression on fresh samples exceeds the bound far less often than delta."""
    rng = np.random.default_rng(0)
    failures = 0
    for _ in range(200):
        x = rng.standard_normal((160, 3))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        y = np.sign(x[:, 0] + 1e-9)
        gram = 0.5 * (x @ x.T + (x @ x.T) ** 2 + 0.1 * np.eye(160)) / 2.1
        K, cross = gram[:60, :60], gram[60:, :60]
        alpha = np.linalg.solve(K, y[:60])
        loss = np.minimum(1.0, np.abs(cross @ alpha - y[60:])).mean()
        failures += loss > kernel_bound(y[:60] @ alpha, float(np.trace(K)), 60, 0.5).total
    assert failures == 0


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"complexity": -1.0}, "complexity"),
        ({"complexity": math.nan}, "complexity"),
        ({"trace": -1.0}, "trace"),
        ({"samples": 0}, "samples"),
        ({"samples": True}, "samples"),
        ({"delta": 0.0}, "delta"),
        ({"delta": 1.0}, "delta"),
        ({"unit": 0.0}, "unit"),
        ({"training": 1.5}, "training"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, float], name: str) -> None:
    arguments = {"complexity": 1.0, "trace": 1.0, "samples": 10} | change
    with pytest.raises(ValueError, match=name):
        kernel_bound(**arguments)


def test_printed_bound() -> None:
    assert printed_bound(8.0, 4) == 2.0
    with pytest.raises(ValueError, match="samples"):
        printed_bound(1.0, 0)


@given(st.integers(0, 10**6), st.floats(0.0, 1.0))
def test_expected_complexity_is_the_mean_over_all_outcomes(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((3, 3))
    inverse = root @ root.T
    y = np.where(rng.random(3) < 0.5, -1.0, 1.0)
    mean = 0.0
    for outcome in itertools.product((0.0, 1.0, -1.0), repeat=3):
        labels = np.where(np.array(outcome) == 0.0, y, outcome)
        chance = math.prod((1 - share) if o == 0.0 else share / 2 for o in outcome)
        mean += chance * labels @ inverse @ labels
    expected = expected_complexity(y @ inverse @ y, np.trace(inverse), share)
    assert mean == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_expected_complexity_takes_symbols() -> None:
    q, t, p = sp.symbols("q t p")
    assert expected_complexity(q, t, p).subs(p, 1) == t


@given(*[st.floats(0.1, 100.0)] * 4)
def test_crossing(q1: float, t1: float, q2: float, t2: float) -> None:
    at = crossing((q1, t1), (q2, t2))
    if at is None:
        assert (q1 - q2) * (t1 - t2) >= 0.0
    else:
        assert 0.0 <= at <= 1.0
        first, second = expected_complexity(q1, t1, at), expected_complexity(q2, t2, at)
        assert first == pytest.approx(second, rel=1e-9)
        assert crossing((q2, t2), (q1, t1)) == pytest.approx(at)


def _verdicts(**change: object) -> dict[str, Holds]:
    arguments: dict[str, object] = {
        "least_eigenvalue": 0.1,
        "largest_eigenvalue": 10.0,
        "labels": [1.0, -1.0],
        "mask_saw_sample": False,
        "initial_output": 0.0,
    }
    found = hypotheses(**(arguments | change))  # type: ignore[arg-type]
    return {answer.hypothesis: answer.verdict for answer in found}


def test_hypotheses() -> None:
    assert set(_verdicts().values()) == {Holds.HOLDS}
    assert _verdicts(least_eigenvalue=1e-18)["lambda_min(K) > 0"] is Holds.CANNOT_TELL
    assert _verdicts(least_eigenvalue=-1.0)["lambda_min(K) > 0"] is Holds.FAILS
    assert _verdicts(labels=[2.0, -1.0])["|y| <= 1"] is Holds.FAILS
    signed = _verdicts(mean_graphon=sp.Rational(1, 3))
    assert signed["mu = 0"] is Holds.FAILS
    assert signed["lazy training"] is Holds.FAILS
    assert _verdicts(width=100)["lazy training"] is Holds.CANNOT_TELL
    saw = "K does not depend on the sample"
    assert _verdicts(mask_saw_sample=True)[saw] is Holds.FAILS
    assert _verdicts(mask_saw_sample=None)[saw] is Holds.CANNOT_TELL
    assert _verdicts(initial_output=0.5)["f = 0 at initialisation"] is Holds.FAILS
    assert _verdicts(initial_output=None)["f = 0 at initialisation"] is Holds.CANNOT_TELL
    with pytest.raises(ValueError, match="labels"):
        _verdicts(labels=[math.nan])
