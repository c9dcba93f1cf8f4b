"""Demonstration claims in a registry of their own; worker processes import this module by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import demo_trials as trials

from verify.checks import (
    Certified,
    CertifiedCheck,
    LimitCheck,
    RateCheck,
    Reading,
    ValueCheck,
)
from verify.claim import Claim, Registry, Verdict, register

DEMO = Registry()


def claim(claim_id: str, checks: Sequence[Any], recorded: Verdict, **more: Any) -> Claim:
    """Register a demonstration claim."""
    filled = Claim(
        id=claim_id,
        paper=more.pop("paper", "own"),
        item=more.pop("item", "demonstration"),
        reading=more.pop("reading", "own"),
        title=more.pop("title", f"Demonstration {claim_id}"),
        statement=more.pop("statement", r"The mean tends to $\tfrac15$."),
        checks=checks,
        recorded=recorded,
        module=__name__,
        **more,
    )
    return register(filled, DEMO)


WIDTHS = (10, 20, 40, 80)


def limit_check(predicted: float = 0.2, mutant: float = 0.4, name: str = "limit") -> LimitCheck:
    """The limit of `noisy_mean`, 0.2."""
    return LimitCheck(
        name,
        trials.noisy_mean,
        WIDTHS,
        (Reading("value", "mean", predicted), Reading("other", "mean", mutant, mutant=True)),
        margin=0.09,
        gamma=(0.8, 1.2),
        replicates=(16, 64),
    )


LIMIT = claim(
    "demo-limit",
    [limit_check()],
    Verdict.SUPPORTED,
    paper="B",
    item="taxonomy",
    reading="as printed",
    hypotheses=(r"$n \to \infty$ & nothing < else",),
    explanation="The *mean* is `near` its limit. Nothing is claimed of $n < 10$.",
)
WRONG = claim(
    "demo-wrong",
    [limit_check(predicted=0.9, mutant=0.6)],
    Verdict.REFUTED,
    paper="B",
    item="taxonomy",
    reading="as printed",
    depends=("demo-limit",),
)
RATE = claim(
    "demo-rate",
    [
        RateCheck(
            "rate",
            trials.noisy_mean,
            WIDTHS,
            "noise",
            exponent=-0.5,
            margin=0.2,
            mutants={"no decay": 0.0, "1/n": -1.0},
            replicates=(16, 32),
        )
    ],
    Verdict.SUPPORTED,
    depends=("demo-limit",),
)
VALUE = claim(
    "demo-value",
    [
        ValueCheck(
            "value",
            trials.noisy_mean,
            {"n": 80},
            (
                Reading("first", "profile[0]", lambda: 0.2),
                Reading("larger", "profile[0]", 0.4, mutant=True),
                Reading("bounded", "profile[1]", 1.0, relation="<="),
                Reading("too small", "profile[1]", 0.0, relation="<=", mutant=True),
            ),
            margin=0.05,
            replicates=16,
        )
    ],
    Verdict.SUPPORTED,
)


def enclosures() -> list[Certified]:
    """Two rigorous enclosures of pi."""
    return [
        Certified("low", 3.14159, 3.1415, 3.1416, margin=1e-3),
        Certified("bound", 22 / 7, 3.1415, 3.1416, relation="<="),
    ]


CERTIFIED = claim(
    "demo-certified",
    [CertifiedCheck("pi", enclosures, {"three": lambda row: 3.0})],
    Verdict.SUPPORTED,
)
CHEAP = (LIMIT, WRONG, RATE, VALUE, CERTIFIED)

FAILING = claim(
    "demo-failing",
    [
        LimitCheck(
            "limit",
            trials.failing,
            WIDTHS,
            (Reading("value", "mean", 1.0), Reading("other", "mean", 2.0, mutant=True)),
            margin=0.1,
            replicates=8,
        )
    ],
    Verdict.SUPPORTED,
)
DEADLY = claim(
    "demo-deadly",
    [
        LimitCheck(
            "limit",
            trials.deadly,
            WIDTHS,
            (Reading("value", "mean", 1.0), Reading("other", "mean", 2.0, mutant=True)),
            margin=0.1,
            replicates=4,
        )
    ],
    Verdict.SUPPORTED,
)
CONSTANT = claim(
    "demo-constant",
    [
        ValueCheck(
            "value",
            trials.noisy_mean,
            {"n": 10},
            (Reading("one", "constant", 1.0), Reading("two", "constant", 2.0, mutant=True)),
            margin=0.1,
            replicates=8,
        )
    ],
    Verdict.SUPPORTED,
)
DEVICE = claim(
    "demo-device",
    [
        ValueCheck(
            "value",
            trials.device_name_length,
            {},
            (Reading("cpu", "length", 3.0), Reading("none", "length", 0.0, mutant=True)),
            margin=0.5,
            replicates=8,
        )
    ],
    Verdict.SUPPORTED,
)
