"""Every claim is a test, by its id: the verdict is the recorded one and every mutant is refuted.

Finished trials come from the store that ``graphonlimit verify`` fills, so after a run of that
command these tests only judge. ``pytest -k ID`` runs one claim.
"""

from __future__ import annotations

import pytest

from verify import claims, runner
from verify.outcome import Outcome
from verify.progress import why_not

IDS = claims.load().ids()


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    """Outcomes of the claims that were asked for, in one run, so that they share trials."""
    wanted = {
        item.callspec.params["claim_id"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "claim_id" in getattr(item, "fixturenames", ())
    }
    found = runner.run([claim for claim in claims.load() if claim.id in wanted], profile="quick")
    return {outcome.claim_id: outcome for outcome in found.outcomes}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("claim_id", IDS)
def test_claim(claim_id: str, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[claim_id]
    assert outcome.as_recorded, why_not(outcome)
