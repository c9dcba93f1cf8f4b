"""What every check has in common: readings, lazily evaluated numbers, the protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from verify.outcome import Kind
from verify.profile import for_profile, is_per_profile

Relation = Literal["=", "<=", ">="]
RELATIONS: tuple[Relation, ...] = ("=", "<=", ">=")

# A number, a SymPy number, a zero-argument function giving either, or one of these per profile.
Lazy = Any


@runtime_checkable
class Check(Protocol):
    """A check decides one or more statements and the mutants that go with them."""

    @property
    def name(self) -> str:
        """Name, unique inside its claim."""

    @property
    def kind(self) -> Kind:
        """What kind of evidence it gives."""

    @property
    def may_have_mutants(self) -> bool:
        """Whether the check declares mutants, or brings them when it runs."""

    def validate(self) -> None:
        """Raise ValueError or TypeError if the check is not well posed."""


@runtime_checkable
class DirectCheck(Check, Protocol):
    """A check that runs in one piece, without trials (symbolic and certified checks)."""

    def run(self, profile: str) -> Any:
        """Run and return a `verify.outcome.CheckOutcome`."""


@dataclass(frozen=True)
class Reading:
    """One value that a measured quantity may have: the statement's, or a mutant's.

    name: short text for tables; metric: name of the trial's metric, or ``"name[3]"`` for an entry
    of a list. predicted: a float, a SymPy number, a zero-argument function giving either (evaluated
    once, when the check runs), or one of these per profile. mutant: a wrong value, to be refuted.
    margin: overrides the check's margin. relation: ``"="`` (equal up to the margin), or ``"<="`` /
    ``">="`` (the true value is on that side of `predicted`; the margin plays no part).
    """

    name: str
    metric: str
    predicted: Lazy
    mutant: bool = False
    margin: Lazy = None
    relation: Relation = "="


@dataclass(frozen=True)
class ResolvedReading:
    """A reading whose numbers have been evaluated."""

    name: str
    metric: str
    predicted: float
    margin: float
    mutant: bool
    relation: Relation


def number(value: Lazy, profile: str, what: str) -> float:
    """Evaluate a lazy number; ValueError unless it comes out finite and real."""
    value = for_profile(value, profile)
    if callable(value) and not hasattr(value, "evalf"):
        value = value()
    try:
        found = float(value.evalf(30)) if hasattr(value, "evalf") else float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must evaluate to a real number; got {value!r}") from error
    if not math.isfinite(found):
        raise ValueError(f"{what} must be finite; got {found}")
    return found


def is_plain_number(value: Lazy) -> bool:
    """Whether `value` is known without evaluating anything."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def resolve(
    readings: tuple[Reading, ...], margin: Lazy, profile: str
) -> tuple[ResolvedReading, ...]:
    """Evaluate all readings and hold them to `require_separated`."""
    default = None if margin is None else number(margin, profile, "margin")
    resolved = []
    for reading in readings:
        own = reading.margin
        chosen = default if own is None else number(own, profile, f"margin of {reading.name}")
        resolved.append(
            ResolvedReading(
                name=reading.name,
                metric=reading.metric,
                predicted=number(reading.predicted, profile, f"predicted of {reading.name}"),
                margin=0.0 if chosen is None or reading.relation != "=" else chosen,
                mutant=reading.mutant,
                relation=reading.relation,
            )
        )
    found = tuple(resolved)
    require_separated(found)
    return found


def require_separated(readings: tuple[ResolvedReading, ...]) -> None:
    """Raise ValueError unless every margin is less than half the distance to each mutant.

    Holds between each statement and each mutant of the same metric that both state a value; a
    margin wider than that would let one measurement support both.
    """
    for one in readings:
        if one.relation == "=" and not one.margin > 0:
            raise ValueError(f"margin of {one.name} must be positive; got {one.margin}")
    for statement in readings:
        for mutant in readings:
            if (
                statement.mutant
                or not mutant.mutant
                or statement.metric != mutant.metric
                or not statement.relation == mutant.relation == "="
            ):
                continue
            distance = abs(statement.predicted - mutant.predicted)
            widest = max(statement.margin, mutant.margin)
            if not widest < distance / 2:
                raise ValueError(
                    f"margin must be less than half the distance between {statement.name} "
                    f"({statement.predicted:.6g}) and its mutant {mutant.name} "
                    f"({mutant.predicted:.6g}), that is {distance / 2:.6g}; got {widest:.6g}"
                )


def require_readings(readings: tuple[Reading, ...], margin: Lazy) -> None:
    """Raise ValueError unless readings are well formed, as far as plain numbers tell."""
    if not any(not reading.mutant for reading in readings):
        raise ValueError("readings must contain at least one statement (mutant=False)")
    names = [reading.name for reading in readings]
    if len(set(names)) < len(names):
        raise ValueError(f"names of readings must differ; got {names}")
    for reading in readings:
        if reading.relation not in RELATIONS:
            raise ValueError(
                f"relation of {reading.name} must be one of {', '.join(RELATIONS)}; "
                f"got {reading.relation!r}"
            )
        if reading.relation == "=" and reading.margin is None and margin is None:
            raise ValueError(f"a margin is needed: reading {reading.name} states a value")
    known = [r for r in readings if is_plain_number(r.predicted)]
    margins = [margin if r.margin is None else r.margin for r in known]
    if all(m is None or is_plain_number(m) for m in margins):
        resolve(tuple(known), margin if is_plain_number(margin) else None, "quick")


def metric_value(values: Mapping[str, Any], metric: str) -> float:
    """The metric called `metric` (or entry ``"name[i]"`` of a list metric) as a float."""
    name, bracket, index = metric.partition("[")
    if name not in values:
        raise ValueError(f"metric must be one of {', '.join(values)}; got {metric!r}")
    value = values[name]
    if bracket:
        if not isinstance(value, list):
            raise ValueError(f"metric {name!r} is no list, so {metric!r} does not exist")
        return float(value[int(index.rstrip("]"))])
    if isinstance(value, list):
        raise ValueError(f"metric {name!r} is a list: name an entry, such as {name}[0]")
    return float(value)


def every_profile(value: Any, test: Callable[[Any], None]) -> None:
    """Apply `test` to `value`, or to each of its values if it is given per profile."""
    for item in value.values() if is_per_profile(value) else (value,):
        test(item)
