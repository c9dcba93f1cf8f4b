"""Claims that are not well posed cannot be registered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import demo_trials as trials
import pytest
import sympy

from verify.checks import (
    Certified,
    CertifiedCheck,
    DerivationCheck,
    LimitCheck,
    RateCheck,
    Reading,
    ValueCheck,
)
from verify.claim import Claim, Registry, Verdict, register, registered_in
from verify.outcome import CheckOutcome, Evidence, Mutant, Outcome, combine

CHECK = CertifiedCheck("c", lambda: [Certified("x", 1.0, 0.9, 1.1)], {"m": lambda row: 2.0})


def make(**changes: Any) -> Claim:
    """A claim that is well posed but for `changes`."""
    fields: dict[str, Any] = {
        "id": "a-claim",
        "paper": "B",
        "item": "FSM",
        "reading": "as printed",
        "title": "A claim",
        "statement": "$1 = 1$",
        "checks": [CHECK],
        "recorded": "supported",
    }
    return Claim(**(fields | changes))


def test_a_claim_is_registered_and_found_again() -> None:
    registry = Registry()
    claim = register(make(), registry)
    assert registry.get("a-claim") is claim
    assert claim.module == __name__
    assert registered_in(__name__, "a-claim") is claim
    assert claim.recorded is Verdict.SUPPORTED
    assert list(registry) == [claim]
    assert "a-claim" in registry
    assert len(registry) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "A claim"}, "kebab-case"),
        ({"id": "a--b"}, "kebab-case"),
        ({"paper": "C"}, "paper must be one of A, B, own"),
        ({"item": "Theorem 4.7"}, "did you mean 'Thm 4.7'"),
        ({"paper": "own", "item": " "}, "item must not be empty"),
        ({"reading": "mine"}, "reading must be one of as printed"),
        ({"title": ""}, "title"),
        ({"statement": "  "}, "statement"),
        ({"checks": []}, "checks must not be empty"),
        ({"checks": [CHECK, CHECK]}, "names of checks must differ"),
        ({"checks": [replace(CHECK, mutants={})]}, "at least one mutant"),
        ({"checks": [DerivationCheck("d", mutants=False)]}, "at least one mutant"),
        ({"recorded": "true"}, "true"),
        ({"error_rate": 0.0}, "error_rate"),
        ({"error_rate": {"quick": 0.01, "full": 0.5}}, "error_rate"),
        ({"error_rate": {"quick": 0.01}}, "no value for profile 'full'"),
    ],
)
def test_what_is_not_well_posed_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_text_in_place_of_a_sequence_is_refused() -> None:
    with pytest.raises(TypeError, match="hypotheses"):
        make(hypotheses="n is large")


def test_duplicates_and_unknown_dependences_are_refused() -> None:
    registry = Registry()
    register(make(), registry)
    with pytest.raises(ValueError, match="registered twice"):
        register(make(), registry)
    with pytest.raises(ValueError, match="depends must name claims registered before it"):
        register(make(id="other", depends=["missing"]), registry)
    register(make(id="other", depends=["a-claim"]), registry)


def test_an_unknown_id_brings_suggestions() -> None:
    registry = Registry()
    register(make(id="magnitude-limit"), registry)
    with pytest.raises(ValueError, match="did you mean magnitude-limit"):
        registry.get("magnitud-limit")


# ------------------------------------------------------------------------- checks

READINGS = (Reading("true", "mean", 0.2), Reading("false", "mean", 0.4, mutant=True))


def limit(**changes: Any) -> LimitCheck:
    """A limit check that is well posed but for `changes`."""
    fields: dict[str, Any] = {
        "name": "l",
        "trial": trials.noisy_mean,
        "widths": (10, 20, 40, 80),
        "readings": READINGS,
        "margin": 0.09,
    }
    return LimitCheck(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (10, 20, 40)}, "at least 4"),
        ({"widths": (10, 20, 30, 40)}, "geometric progression"),
        ({"widths": {"quick": (10, 20, 40, 80), "full": (1, 2)}}, "at least 4"),
        ({"margin": 0.1}, "less than half the distance"),
        ({"margin": -0.1}, "margin of true must be positive"),
        ({"margin": None}, "a margin is needed"),
        ({"gamma": (1.0, 0.5)}, "gamma must be positive"),
        ({"gamma": 0}, "gamma must be positive"),
        ({"replicates": 1}, "replicates must satisfy"),
        ({"replicates": (8, 4)}, "replicates must satisfy"),
        ({"replicates": (8, 16, 32)}, "replicates must be a number or"),
        ({"allocation": (1, 1)}, "allocation"),
        ({"settings": {"q": 1}}, "unexpected keyword argument 'q'"),
        ({"settings": {"limit": sympy.Rational(1, 5)}}, "JSON-able"),
        ({"width_name": "width"}, "missing a required argument: 'n'"),
        ({"readings": READINGS[1:]}, "at least one statement"),
        ({"readings": (READINGS[0], READINGS[0])}, "names of readings must differ"),
        ({"readings": (Reading("a", "mean", 1.0, relation="<"),)}, "relation of a"),
    ],
)
def test_limit_checks_that_are_not_well_posed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        limit(**changes).validate()


def test_well_posed_checks_pass() -> None:
    limit().validate()
    limit(widths=(200, 500, 1000, 2000, 4000)).validate()
    limit(replicates={"quick": 8, "full": (8, 64)}).validate()


def test_a_lazy_margin_is_held_to_the_mutants_when_it_is_evaluated() -> None:
    check = limit(margin=lambda: 0.15)
    check.validate()
    with pytest.raises(ValueError, match="less than half the distance"):
        check.resolve("quick")


def test_lazy_and_symbolic_values_are_evaluated() -> None:
    readings = (
        Reading("symbolic", "mean", sympy.Rational(1, 5)),
        Reading("lazy", "noise", lambda: sympy.sqrt(2), margin=0.01),
        Reading("by profile", "mean", {"quick": 0.4, "full": 0.6}, mutant=True),
    )
    quick, full = (limit(readings=readings).resolve(profile) for profile in ("quick", "full"))
    assert [r.predicted for r in quick] == pytest.approx([0.2, 2**0.5, 0.4])
    assert [r.margin for r in quick] == pytest.approx([0.09, 0.01, 0.09])
    assert full[2].predicted == pytest.approx(0.6)
    with pytest.raises(ValueError, match="predicted of x must be finite"):
        limit(readings=(Reading("x", "mean", lambda: float("nan")),)).resolve("quick")
    with pytest.raises(ValueError, match="predicted of x must evaluate to a real number"):
        limit(readings=(Reading("x", "mean", sympy.Symbol("t")),)).resolve("quick")


def test_rates_and_values_are_validated_too() -> None:
    rate = RateCheck("r", trials.noisy_mean, (1, 2, 4, 8), "noise", -0.5, 0.3, {"none": 0.0})
    with pytest.raises(ValueError, match="less than half the distance"):
        rate.validate()
    value = ValueCheck("v", trials.noisy_mean, {}, READINGS, 0.05)
    with pytest.raises(ValueError, match="missing a required argument: 'n'"):
        value.validate()


def test_metrics_are_counted_once_and_looks_per_profile() -> None:
    check = limit(
        readings=(*READINGS, Reading("more", "noise", 1.0)),
        replicates={"quick": (8, 32), "full": 8},
    )
    assert len(check.metrics()) == 2
    assert check.looks("quick") == (8, 16, 32)
    assert check.looks("full") == (8,)


def test_allocation_multiplies_replicates() -> None:
    design = limit(replicates=(8, 16), allocation=(4, 2, 1, 1)).design("quick")
    assert design.counts == ((32, 16, 8, 8), (64, 32, 16, 16))


# ------------------------------------------------------------------------- certified checks


def run_certified(rows: list[Certified], **mutants: Any) -> CheckOutcome:
    return CertifiedCheck("c", lambda: rows, mutants).run("quick")


def test_certified_evidence_is_three_valued() -> None:
    found = run_certified(
        [
            Certified("in", 1.0, 0.99, 1.01, margin=0.1),
            Certified("out", 2.0, 0.99, 1.01, margin=0.1),
            Certified("between", 1.0, 0.8, 1.01, margin=0.1),
            Certified("below", sympy.Integer(2), 0.9, 1.1, relation="<="),
        ]
    )
    assert [item.verdict for item in found.evidence] == [
        Verdict.SUPPORTED,
        Verdict.REFUTED,
        Verdict.UNDECIDED,
        Verdict.SUPPORTED,
    ]


def test_a_mutant_is_refuted_by_any_row_and_alive_otherwise() -> None:
    rows = [Certified(str(n), n, n - 0.1, n + 0.1, margin=0.2) for n in (1, 2)]
    found = run_certified(
        rows, double=lambda row: 2 * row.predicted, same=lambda row: row.predicted + 0.01
    )
    assert [m.verdict for m in found.mutants] == [Verdict.REFUTED, Verdict.SUPPORTED]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [Certified("x", 1.0, 2.0, 1.0)],
        [Certified("x", 1.0, float("nan"), 1.0)],
        [Certified("x", 1.0, 0.0, 1.0, margin=-1)],
    ],
)
def test_enclosures_that_are_none_are_refused(rows: list[Certified]) -> None:
    with pytest.raises(ValueError, match=r"enclosure|margin"):
        run_certified(rows)


# ------------------------------------------------------------------------- combining

P, S, R, U = Verdict.PROVED, Verdict.SUPPORTED, Verdict.REFUTED, Verdict.UNDECIDED


def outcome(
    *items: tuple[str, Verdict], mutants: tuple[Verdict, ...] = (R,), error: str = ""
) -> CheckOutcome:
    evidence = tuple(Evidence("e", kind, verdict) for kind, verdict in items)  # type: ignore[arg-type]
    return CheckOutcome(
        "c", "symbolic", evidence, tuple(Mutant("m", v) for v in mutants), error=error
    )


@pytest.mark.parametrize(
    ("items", "verdict"),
    [
        ([("symbolic", P)], P),
        ([("symbolic", P), ("statistical", S)], S),
        ([("symbolic", P), ("certified", S)], S),
        ([("symbolic", U), ("statistical", S)], U),
        ([("symbolic", U), ("statistical", R)], R),
        ([("statistical", S), ("statistical", U)], U),
        ([], U),
    ],
)
def test_combined_verdict(items: list[tuple[str, Verdict]], verdict: Verdict) -> None:
    assert combine([outcome(*items)]) is verdict


def test_as_recorded_needs_the_verdict_and_every_mutant_refuted() -> None:
    def recorded(check: CheckOutcome, verdict: Verdict = P) -> bool:
        return Outcome("x", combine([check]), verdict, (check,)).as_recorded

    assert recorded(outcome(("symbolic", P)))
    assert not recorded(outcome(("symbolic", P)), S)
    assert not recorded(outcome(("symbolic", P), mutants=(R, U)))
    assert not recorded(outcome(("symbolic", P), mutants=(R, S)))
    assert not recorded(outcome(("symbolic", P), mutants=()))
    assert not recorded(outcome(("symbolic", P), error="boom"))
    assert recorded(outcome(("statistical", R)), R)
