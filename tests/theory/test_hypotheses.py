"""Theorem 4.7's hypotheses: each of the three answers of each predicate, and bad settings."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import criteria
from theory.hypotheses import (
    NEEDED,
    PREDICATES,
    Answer,
    Holds,
    Setting,
    SignLaw,
    applies,
    check,
)
from theory.laws import LAWS
from theory.profiles import CallableProfile, ConstantProfile, EmpiricalProfile, SymbolicProfile
from theory.symbols import n, rho, u

Q = sp.Rational
HOLDS, FAILS, UNKNOWN = Holds.HOLDS, Holds.FAILS, Holds.CANNOT_TELL
REGULAR = criteria.snip(SymbolicProfile(1 + u), SymbolicProfile(2 - u))
SAMPLE = EmpiricalProfile([1.0, 2.0])
GIVEN = CallableProfile(lambda x: 1 + x)
STRANGE = sp.Function("f")(n)

CASES = {
    "growth holds": ("growth", Setting(REGULAR, 0.2, n / 2, sp.sqrt(n)), HOLDS),
    "growth fails for sources": ("growth", Setting(REGULAR, 0.2, 2, n), FAILS),
    "growth fails for targets": ("growth", Setting(REGULAR, 0.2, n, 100 - 1 / n), FAILS),
    "growth unknown": ("growth", Setting(REGULAR, 0.2, STRANGE, n), UNKNOWN),
    "row holds": ("row convergence", Setting(REGULAR, 0.2), HOLDS),
    "row fails": (
        "row convergence",
        Setting(REGULAR, 0.2, row_sequence=(REGULAR.row, ConstantProfile(1))),
        FAILS,
    ),
    "row recurs": (
        "row convergence",
        Setting(REGULAR, 0.2, row_sequence=(REGULAR.row, SymbolicProfile(1 + u))),
        HOLDS,
    ),
    "row unknown": ("row convergence", Setting(criteria.snip(SAMPLE), 0.2), UNKNOWN),
    "bounded": ("row bounded", Setting(REGULAR, 0.2), HOLDS),
    "unbounded": ("row bounded", Setting(criteria.snip(), 0.2), FAILS),
    "bound unknown": ("row bounded", Setting(criteria.snip(GIVEN), 0.2), UNKNOWN),
    "column holds": ("column law", Setting(REGULAR, 0.2), HOLDS),
    "column fails": (
        "column law",
        Setting(REGULAR, 0.2, column_sequence=(REGULAR.column, ConstantProfile(1))),
        FAILS,
    ),
    "column unknown": ("column law", Setting(criteria.snip(1, SAMPLE), 0.2), UNKNOWN),
    "noise per edge": ("independent noise", Setting(REGULAR, 0.2), HOLDS),
    "noise per source": ("independent noise", Setting(REGULAR, 0.2, noise_unit="source"), FAILS),
    "noise per target": ("independent noise", Setting(REGULAR, 0.2, noise_unit="target"), FAILS),
    "signs": ("continuous noise", Setting(criteria.snip(weight_law=SignLaw()), 0.2), FAILS),
    "threshold holds": ("threshold", Setting(REGULAR, 0.2), HOLDS),
    "signed threshold holds": ("threshold", Setting(criteria.grasp_signed(), 0.7), HOLDS),
    "everything kept": ("threshold", Setting(REGULAR, 1), HOLDS),
    "everything kept, as a float": ("threshold", Setting(REGULAR, 1.0), HOLDS),
    "everything signed kept": ("threshold", Setting(criteria.grasp_signed(), 1), HOLDS),
    "density tends": (
        "threshold",
        Setting(REGULAR, Q(1, 5), density_sequence=Q(1, 5) + 1 / n),
        HOLDS,
    ),
    "density, a float, tends": (
        "threshold",
        Setting(REGULAR, 0.2, density_sequence=Q(1, 5) + 1 / n),
        HOLDS,
    ),
    "density tends elsewhere": (
        "threshold",
        Setting(REGULAR, Q(1, 5), density_sequence=Q(1, 4) + 1 / n),
        FAILS,
    ),
    "density drifts": (
        "threshold",
        Setting(REGULAR, 0.2, density_sequence=sp.sin(n) / 10 + Q(1, 5)),
        FAILS,
    ),
    "density unknown": ("threshold", Setting(REGULAR, 0.2, density_sequence=STRANGE), UNKNOWN),
    "density symbolic": ("threshold", Setting(REGULAR, rho), UNKNOWN),
    "zero rows": ("threshold", Setting(criteria.snip([0.0] * 9 + [1.0]), 0.2), FAILS),
    "zero rows, signed": ("threshold", Setting(criteria.grasp_signed([0.0, 1.0]), 0.5), FAILS),
    "atom at tau": ("threshold", Setting(criteria.snip(SAMPLE, 1, SignLaw()), 0.2), FAILS),
    "gap at tau": ("threshold", Setting(criteria.snip(SAMPLE, 1, SignLaw()), 0.5), FAILS),
}


@pytest.mark.parametrize(("hypothesis", "setting", "answer"), CASES.values(), ids=CASES)
def test_answers_are_those_known_beforehand(
    hypothesis: str, setting: Setting, answer: Holds
) -> None:
    found = check(setting)[hypothesis]
    assert isinstance(found, Answer)
    assert found.hypothesis == hypothesis
    assert found.verdict is answer, found.reason
    assert found.reason


@pytest.mark.parametrize("family", LAWS)
def test_registered_laws_are_continuous(family: str) -> None:
    setting = Setting(criteria.snip(weight_law=LAWS[family]()), 0.2)
    assert check(setting)["continuous noise"].verdict is HOLDS


def test_every_predicate_is_asked() -> None:
    assert list(check(Setting(REGULAR, 0.2))) == list(PREDICATES)
    assert set(NEEDED) < set(PREDICATES)
    asked = {hypothesis for hypothesis, _, _ in CASES.values()}
    assert asked == set(PREDICATES)


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        (Setting(REGULAR, 0.2), HOLDS),
        (Setting(criteria.snip(SAMPLE, REGULAR.column), 0.2), UNKNOWN),
        (Setting(criteria.snip(SAMPLE, REGULAR.column), 0.2, noise_unit="source"), FAILS),
        (Setting(criteria.snip(), 0.2), FAILS),  # unbounded: sufficient, not needed
    ],
    ids=["all hold", "one unknown", "one fails", "unbounded"],
)
def test_the_theorem_applies_as_its_weakest_hypothesis(setting: Setting, answer: Holds) -> None:
    assert applies(setting) is answer


def test_reasons_name_what_is_at_fault() -> None:
    found = check(Setting(REGULAR, 0.2, 2, n, noise_unit="source"))
    assert "sources = 2" in found["growth"].reason
    assert "source" in found["independent noise"].reason
    assert "atom" in check(CASES["atom at tau"][1])["threshold"].reason
    assert "1/4" in check(CASES["density tends elsewhere"][1])["threshold"].reason


# ----------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("density", [0, 2, -1, float("nan"), "many"])
def test_settings_need_a_density(density: object) -> None:
    with pytest.raises(ValueError, match="density must"):
        Setting(REGULAR, density)


def test_settings_need_a_known_noise_unit() -> None:
    with pytest.raises(ValueError, match=r"noise_unit must be 'edge'.*'layer'"):
        Setting(REGULAR, 0.2, noise_unit="layer")


@pytest.mark.parametrize("side", ["sources", "targets"])
def test_sizes_are_expressions_in_the_width(side: str) -> None:
    with pytest.raises(ValueError, match=f"{side} must be an expression in n"):
        Setting(REGULAR, 0.2, **{side: rho * n})
    assert getattr(Setting(REGULAR, 0.2, **{side: "2*3"}), side) == 6


# ----------------------------------------------------------------------------------- sign law


class TestSignLaw:
    """Weights of one magnitude: every moment is a sum of two terms."""

    law = SignLaw(Q(3, 2))
    atoms = np.array([-1.5, 1.5])

    @pytest.mark.parametrize("order", [0, 1, 2])
    @pytest.mark.parametrize("x", [-2, -1.5, -1, 0, 1, 1.5, 2])
    def test_moments_are_sums_over_the_atoms(self, order: int, x: float) -> None:
        above = float(np.sum(self.atoms**order * (self.atoms >= x)) / 2)
        assert float(self.law.tail_moment(order, Q(x))) == above
        if x >= 0 and order != 1:
            both = float(np.sum(self.atoms**order * (np.abs(self.atoms) >= x)) / 2)
            found = {0: self.law.two_sided_survival, 2: self.law.two_sided_second}[order](Q(x))
            assert float(found) == both

    def test_masks_and_second_moments_agree(self) -> None:
        """All weights are of one size, so what survives of w^2 is a multiple of the mask."""
        limit = criteria.snip([1.0, 2.0], 1, self.law).limit(Q(1, 2))
        for level in (0.5, 1.5, 2.0, 3.0, 3.5):
            P, V = (
                limit.expression(which, Q(level)).subs(
                    {side: value for side in limit.mask.free_symbols for value in (1,)}
                )
                for which in ("mask", "variance")
            )
            assert sp.simplify(V - Q(9, 4) * P) == 0

    def test_quantiles_and_support(self) -> None:
        assert self.law.quantile(Q(1, 4)) == -Q(3, 2)
        assert self.law.quantile(Q(3, 4)) == Q(3, 2)
        assert self.law.two_sided_quantile(Q(1, 5)) == Q(3, 2)
        assert self.law.support == sp.Interval(-Q(3, 2), Q(3, 2))
        assert self.law.variance == Q(9, 4)
        assert not self.law.continuous
        assert "3" in sp.latex(self.law)
        assert "sign" not in LAWS

    def test_has_no_density(self) -> None:
        with pytest.raises(ValueError, match="no density"):
            self.law.density(0)

    @pytest.mark.parametrize("scale", [0, -1, "x"])
    def test_needs_a_positive_scale(self, scale: object) -> None:
        with pytest.raises(ValueError, match="scale must be positive"):
            SignLaw(scale)
