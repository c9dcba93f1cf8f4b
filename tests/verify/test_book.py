"""The functions that the book's pages call: what they show, and that it is computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from verify import book, claims
from verify.checks import Certified, CertifiedCheck
from verify.claim import Claim, Registry, Verdict
from verify.outcome import StepRecord


def claim(claim_id: str, predicted: float, recorded: Verdict) -> Claim:
    """A claim about pi whose text has bars and formulas in it."""
    check = CertifiedCheck(
        "pi",
        lambda: [Certified("|pi|", predicted, 3.1415, 3.1416, margin=1e-3)],
        mutants={"four": lambda row: 4.0},
    )
    return Claim(
        id=claim_id,
        paper="B",
        item="taxonomy",
        reading="own",
        title="The |number|",
        statement=r"The number is $|\pi|$, so that $$x = |\pi|$$ holds.",
        checks=(check,),
        recorded=recorded,
        hypotheses=("$n > 0$",),
        module=__name__,
    )


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry of one true and one false claim, in place of the project's own."""
    made = Registry()
    made.add(claim("pi-is-pi", 3.14159, Verdict.SUPPORTED))
    made.add(claim("pi-is-three", 3.0, Verdict.REFUTED))
    monkeypatch.setattr(claims, "load", lambda: made)
    monkeypatch.setenv("GRAPHONLIMIT_STORE", str(tmp_path / "trials.sqlite"))
    run = book.runner.run
    monkeypatch.setattr(book.runner, "run", lambda chosen, **more: run(chosen, jobs=1, **more))
    monkeypatch.setattr(book, "_known", {})
    return made


def test_a_claim_is_shown_with_what_was_computed(registry: Registry) -> None:
    (found,) = book.outcomes(["pi-is-three"])
    text = book.claim_text(registry.get("pi-is-three"), found)
    assert text.startswith(":::{admonition} The |number|: refuted\n")
    assert "\n$$\nx = |\\pi|\n$$\n" in text
    assert r"| pi: \|pi\| | certified | 3 |" in text
    assert "`graphonlimit verify pi-is-three`" in text
    assert "Not as recorded" not in text


def test_a_surprise_is_shown(registry: Registry) -> None:
    (found,) = book.outcomes(["pi-is-three"])
    object.__setattr__(found, "recorded", Verdict.SUPPORTED)
    assert "Not as recorded" in book.claim_text(registry.get("pi-is-three"), found)


def test_tables_cover_every_claim(registry: Registry) -> None:
    assert [f"`{name}`" in book.show_claims() for name in registry.ids()] == [True, True]
    assert "pi-is-three" not in book.show_claims("pi-is-pi")
    assert "`pi-is-three`" in book.show_refuted()
    assert "(`pi-is-pi`)" not in book.show_refuted()
    assert "1 *supported*, 1 *refuted*" in book.show_summary()
    assert "`pi-is-pi`, `pi-is-three`" in book.show_ledger()
    assert "pi-is-pi" not in book.show_ledger(open_only=True)


def test_details_are_folded_below_the_table(registry: Registry) -> None:
    text = book.show_claims("pi-is-pi", details=True)
    assert text.index("(`pi-is-pi`) |") < text.index(":::::{dropdown}")
    assert "`graphonlimit verify pi-is-pi`" in text
    assert text.rstrip().endswith(":::::")
    assert "dropdown" not in book.show_claims("pi-is-pi")


def test_a_near_miss_that_survives_is_named(registry: Registry) -> None:
    (found,) = book.outcomes(["pi-is-pi"])
    assert "refuted: 1 of 1 (four)." in book.claim_text(registry.get("pi-is-pi"), found)
    near = replace(found.checks[0].mutants[0], verdict=Verdict.SUPPORTED)
    alive = replace(found, checks=(replace(found.checks[0], mutants=(near,)),))
    text = book.claim_text(registry.get("pi-is-pi"), alive)
    assert "refuted: 0 of 1 (four). **Not refuted:** pi: four (*supported*)" in text


def test_a_refuted_statement_stands_beside_what_it_is_linked_with(registry: Registry) -> None:
    assert "The |number|" not in book.show_refuted()
    linked = replace(claim("pi-is-four", 4.0, Verdict.REFUTED), depends=("pi-is-pi",))
    registry.add(linked)
    row = next(line for line in book.show_refuted().splitlines() if "`pi-is-four`" in line)
    assert r"The \|number\| (own: **supported**) |" in row


def test_a_claim_that_an_error_stopped_has_no_figure(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[object] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setattr(book.plots_checks, "figure", lambda *_: pytest.fail("nothing to draw"))
    (found,) = book.outcomes(["pi-is-pi"])
    stopped = replace(found, checks=(replace(found.checks[0], error="no trial"),))
    monkeypatch.setitem(book._known, "pi-is-pi", stopped)
    book.show_claim("pi-is-pi")
    assert len(shown) == 1


def test_what_a_derivation_is_conditional_on_is_said() -> None:
    assert "cited and not checked here: Stein's lemma." in book.show_derivation("limits.stein")
    assert "Conditional on" not in book.show_derivation("limits.magnitude_rule")


def test_each_claim_runs_once_per_page(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    first = book.outcomes(registry.ids())
    monkeypatch.setattr(book.runner, "run", None)
    assert book.outcomes(registry.ids()) == first


def test_each_claim_runs_once_per_build(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHONLIMIT_BOOK", str(tmp_path / "build"))
    first = book.outcomes(registry.ids())
    monkeypatch.setattr(book, "_known", {})  # the next page is another process
    monkeypatch.setattr(book.runner, "run", None)
    assert book.outcomes(registry.ids()) == first


def test_an_unknown_claim_is_named(registry: Registry) -> None:
    with pytest.raises(ValueError, match="CLAIM must be the id"):
        book.outcomes(["no-such-claim"])


def test_steps_are_numbered_and_set_as_formulas() -> None:
    steps = (
        StepRecord("$$x = 1$$", "given", "definition", "proved", "", ("H1",)),
        StepRecord(r"\int x", "integrate", "symbolic", "proved", ""),
        StepRecord("in words", "read", "cited", "undecided", ""),
    )
    text = "\n".join(book.steps_text(steps))
    assert "1. given Uses H1. *(definition: proved)*" in text
    assert "   $$\n   x = 1\n   $$" in text
    assert "   $$\n   \\int x\n   $$" in text
    assert "\n   in words" in text
