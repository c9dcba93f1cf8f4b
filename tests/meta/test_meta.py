"""The battery can fail: a false claim, a surviving near miss and a broken chain are all noticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from theory import derivations
from verify import claims, cli, runner
from verify.checks import Certified, CertifiedCheck, DerivationCheck
from verify.claim import Claim, Registry, Verdict

PI = (3.1415, 3.1416)


def claim(predicted: float, recorded: Verdict, mutants: dict[str, float]) -> Claim:
    """A claim about pi, registered nowhere."""
    wrong = {name: (lambda row, value=value: value) for name, value in mutants.items()}
    check = CertifiedCheck(
        "pi", lambda: [Certified("pi", predicted, *PI, margin=1e-3)], mutants=wrong
    )
    return Claim(
        id="meta-pi",
        paper="own",
        item="the battery itself",
        reading="own",
        title="A number between two bounds",
        statement=r"$\pi$ is this number.",
        checks=(check,),
        recorded=recorded,
        module=__name__,
    )


def decided(wanted: Claim, store: Path) -> Any:
    """The run of one claim, in this process."""
    registry = Registry()
    registry.add(wanted)
    return runner.run([wanted], jobs=1, store=store / "trials.sqlite")


def test_a_true_claim_comes_out_as_recorded(tmp_path: Path) -> None:
    run = decided(claim(3.14159, Verdict.SUPPORTED, {"22/7": 22 / 7 + 0.1}), tmp_path)
    assert run.as_recorded


def test_a_false_claim_does_not(tmp_path: Path) -> None:
    run = decided(claim(3.0, Verdict.SUPPORTED, {"four": 4.0}), tmp_path)
    assert run.outcomes[0].verdict is Verdict.REFUTED
    assert not run.as_recorded


def test_a_near_miss_that_survives_spoils_a_true_claim(tmp_path: Path) -> None:
    run = decided(claim(3.14159, Verdict.SUPPORTED, {"no miss at all": 3.1416}), tmp_path)
    assert run.outcomes[0].verdict is Verdict.SUPPORTED
    assert not run.as_recorded


def test_a_true_claim_recorded_as_refuted_does_not(tmp_path: Path) -> None:
    run = decided(claim(3.14159, Verdict.REFUTED, {"four": 4.0}), tmp_path)
    assert not run.as_recorded


@pytest.mark.parametrize(("predicted", "code"), [(3.14159, 0), (3.0, 1)])
def test_the_exit_code_says_so(
    predicted: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry()
    registry.add(claim(predicted, Verdict.SUPPORTED, {"four": 4.0}))
    monkeypatch.setattr(claims, "load", lambda: registry)
    assert cli.main(["verify", "--jobs", "1", "--store", str(tmp_path / "s.sqlite")]) == code


def test_every_claim_can_fail() -> None:
    """Each claim has a near miss of its own, or a derivation that brings some."""
    without = []
    for each in claims.load():
        chains = [c for c in each.checks if isinstance(c, DerivationCheck) and c.mutants]
        others = [c for c in each.checks if not isinstance(c, DerivationCheck)]
        brought = any(derivations.get(chain.derivation).mutants for chain in chains)
        if not brought and not any(check.may_have_mutants for check in others):
            without.append(each.id)
    assert without == []


def test_every_derivation_can_fail() -> None:
    """A chain without mutants would be a proof that nothing could have contradicted."""
    names = list(derivations.names())
    assert names
    assert [name for name in names if not derivations.get(name).mutants] == []


def test_a_chain_with_its_steps_swapped_for_a_mutant_fails() -> None:
    """Not only the mutants on record: put one into the chain itself, and the chain must fail."""
    chain = derivations.get(min(derivations.names()))
    name, check = next(iter(chain.mutants.items()))
    spoiled = replace(chain, steps=(*chain.steps, replace(chain.steps[-1], check=check)))
    assert spoiled.verify().status.name == "FAILED", name
