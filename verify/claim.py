"""Claims: one statement of the theory, its checks, and the verdict that is on record.

A claim module calls `register(Claim(...))` for each of its claims. Registration validates, so that
a claim without mutants, with an item the ledger does not know, or that depends on a claim nobody
registered, cannot be listed.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from verify.ledger import PAPERS, items
from verify.outcome import Outcome, Verdict
from verify.profile import PROFILES, for_profile

if TYPE_CHECKING:
    from verify.checks.base import Check

READINGS = ("as printed", "corrected", "extended", "own")
ERROR_RATES = {"quick": 1e-3, "full": 1e-4}
"""The full profile is what to cite; the quick one, for every day, takes more chances."""

FigureMaker = Callable[["Claim", Outcome], Any]

_by_module: dict[tuple[str, str], Claim] = {}


@dataclass(frozen=True)
class Claim:
    """One statement, in one reading, with everything that decides it.

    id: kebab-case name, unique; also the name of its test and its argument on the command line.
    paper: ``"A"``, ``"B"`` or ``"own"``; item: the ledger's wording (any text for ``"own"``).
    reading: ``"as printed"``, ``"corrected"``, ``"extended"`` or ``"own"``.
    title: a plain-text line; statement: MyST text with LaTeX between dollars.
    hypotheses: what the statement assumes, one MyST text each.
    depends: ids of claims whose truth this one builds on.
    checks: what decides it (`verify.checks`); recorded: the verdict the project stands by.
    explanation: what the verdict means, and what is not claimed.
    figure: ``figure(claim, outcome) -> matplotlib Figure``; None for the default plot.
    error_rate: bound on the probability that sampling gives a wrong verdict: that the claim passes
    although one of its statements is false or one of its near misses true, and that a statement is
    refuted, or a near miss supported, although none should be (see `verify.decision`). One number,
    or one per profile.
    """

    id: str
    paper: str
    item: str
    reading: str
    title: str
    statement: str
    checks: Sequence[Check]
    recorded: Verdict
    hypotheses: Sequence[str] = ()
    depends: Sequence[str] = ()
    explanation: str = ""
    figure: FigureMaker | None = None
    error_rate: float | Mapping[str, float] = field(default_factory=lambda: dict(ERROR_RATES))
    module: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recorded", Verdict(self.recorded))
        for name in ("checks", "hypotheses", "depends"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise TypeError(f"claim {self.id}: {name} must be a sequence, not one string")
            object.__setattr__(self, name, tuple(value))
        self._require_text()
        self._require_source()
        self._require_checks()

    def _require_text(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.id):
            raise ValueError(
                f"id of a claim must be kebab-case (letters, digits, single hyphens); "
                f"got {self.id!r}"
            )
        for name in ("title", "statement"):
            if not getattr(self, name).strip():
                raise ValueError(f"claim {self.id}: {name} must not be empty")
        for profile in PROFILES:
            if not 0 < for_profile(self.error_rate, profile) < 0.5:
                raise ValueError(
                    f"claim {self.id}: error_rate must lie in (0, 0.5); got {self.error_rate}"
                )

    def _require_source(self) -> None:
        if self.paper not in PAPERS:
            raise ValueError(
                f"claim {self.id}: paper must be one of {', '.join(PAPERS)}; got {self.paper!r}"
            )
        if self.reading not in READINGS:
            raise ValueError(
                f"claim {self.id}: reading must be one of {', '.join(READINGS)}; "
                f"got {self.reading!r}"
            )
        if self.paper == "own":
            if not self.item.strip():
                raise ValueError(f"claim {self.id}: item must not be empty")
        elif self.item not in items(self.paper):
            near = difflib.get_close_matches(self.item, items(self.paper), n=3, cutoff=0.3)
            raise ValueError(
                f"claim {self.id}: item must be a ledger item of paper {self.paper}; got "
                f"{self.item!r}" + (f" (did you mean {' or '.join(map(repr, near))}?)" * bool(near))
            )

    def _require_checks(self) -> None:
        if not self.checks:
            raise ValueError(f"claim {self.id}: checks must not be empty")
        names = [check.name for check in self.checks]
        if len(set(names)) < len(names):
            raise ValueError(f"claim {self.id}: names of checks must differ; got {names}")
        for check in self.checks:
            try:
                check.validate()
            except (TypeError, ValueError) as error:
                raise type(error)(f"claim {self.id}, check {check.name}: {error}") from error
        # A derivation brings its own mutants; the runner looks at those before it counts it.
        if not any(check.may_have_mutants for check in self.checks):
            raise ValueError(
                f"claim {self.id}: at least one mutant is needed: a check that cannot fail "
                f"says nothing"
            )


class Registry:
    """Claims by id, in the order they were registered."""

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}

    def add(self, claim: Claim) -> Claim:
        """Register a claim; ValueError if its id is taken or it depends on an unknown claim."""
        if claim.id in self._claims:
            raise ValueError(f"claim {claim.id} is registered twice")
        unknown = [name for name in claim.depends if name not in self._claims]
        if unknown:
            raise ValueError(
                f"claim {claim.id}: depends must name claims registered before it; "
                f"unknown: {', '.join(unknown)}"
            )
        self._claims[claim.id] = claim
        _by_module[main_as_itself(claim.module), claim.id] = claim
        return claim

    def get(self, claim_id: str) -> Claim:
        """The claim of that id; ValueError, with the nearest ids, if there is none."""
        if claim_id in self._claims:
            return self._claims[claim_id]
        near = difflib.get_close_matches(claim_id, self._claims, n=3, cutoff=0.4)
        near += [
            name for name in self._claims if claim_id and claim_id in name and name not in near
        ]
        hint = f"did you mean {', '.join(near[:5])}?" if near else "see `graphonlimit claims`"
        raise ValueError(f"CLAIM must be the id of a claim; got {claim_id!r}; {hint}")

    def ids(self) -> tuple[str, ...]:
        """All ids, in order of registration."""
        return tuple(self._claims)

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims.values())

    def __len__(self) -> int:
        return len(self._claims)

    def __contains__(self, claim_id: object) -> bool:
        return claim_id in self._claims


REGISTRY = Registry()


def register(claim: Claim, registry: Registry | None = None) -> Claim:
    """Add a claim to the project's registry (or to `registry`), noting the calling module.

    Worker processes find the claim again by importing that module, so call this at its top level.
    """
    if not claim.module:
        object.__setattr__(claim, "module", sys._getframe(1).f_globals["__name__"])
    return (REGISTRY if registry is None else registry).add(claim)


def registered_in(module: str, claim_id: str) -> Claim:
    """The claim that `module`, already imported, registered under `claim_id`."""
    try:
        return _by_module[main_as_itself(module), claim_id]
    except KeyError:
        raise ValueError(f"module {module} registers no claim {claim_id!r}") from None


def main_as_itself(module: str) -> str:
    """The script that was started has another name in worker processes."""
    return "__main__" if module == "__mp_main__" else module
