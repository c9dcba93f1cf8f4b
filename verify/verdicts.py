"""``verdicts.json``: what a run found, for machines."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from verify.files import write_atomically
from verify.runner import Run

SCHEMA = 1


def as_json(run: Run) -> dict[str, Any]:
    """The content of ``verdicts.json``."""
    return {
        "schema": SCHEMA,
        "environment": run.environment,
        "claims": [
            {
                "id": claim.id,
                "paper": claim.paper,
                "item": claim.item,
                "reading": claim.reading,
                "title": claim.title,
                "verdict": str(outcome.verdict),
                "recorded": str(outcome.recorded),
                "evidence": [item.as_json() for item in outcome.evidence],
                "mutants": [mutant.as_json() for mutant in outcome.mutants],
                "seconds": round(outcome.seconds, 3),
            }
            for claim, outcome in zip(run.claims, run.outcomes, strict=True)
        ],
    }


def write(run: Run, path: str | PathLike[str]) -> Path:
    """Write ``verdicts.json`` whole or not at all."""
    text = json.dumps(as_json(run), indent=2, ensure_ascii=False, allow_nan=False)
    return write_atomically(path, text + "\n")
