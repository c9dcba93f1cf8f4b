"""A run that a test kills: `python interrupted_run.py FOLDER STORE JOBS`."""

from __future__ import annotations

import signal
import sys

import demo_trials as trials

from verify import runner
from verify.checks import Reading, ValueCheck
from verify.claim import Claim, Registry, register

REPLICATES = 120


def claim(folder: str) -> Claim:
    """A claim of many slow trials, each of which leaves a file in `folder`."""
    check = ValueCheck(
        "value",
        trials.slow_and_counted,
        {"folder": folder},
        (Reading("zero", "mean", 0.0), Reading("three", "mean", 3.0, mutant=True)),
        margin=1.0,
        replicates=REPLICATES,
    )
    return register(
        Claim(
            id="slow",
            paper="own",
            item="demonstration",
            reading="own",
            title="Slow",
            statement="Slow.",
            checks=[check],
            recorded="supported",
        ),
        Registry(),
    )


# Worker processes import this module again and must find the claim registered.
FOLDER = sys.argv[1] if len(sys.argv) > 1 else "."
CLAIM = claim(FOLDER)

if __name__ == "__main__":
    # What a shell starts in the background has interrupts ignored, and so have its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    found = runner.run([CLAIM], store=sys.argv[2], jobs=int(sys.argv[3]))
    sys.exit(0 if found.as_recorded else 1)
