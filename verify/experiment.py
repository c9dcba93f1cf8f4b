"""Experiments: measurements that decide nothing, with their protocol, table and figure.

A claim asks whether a statement holds; an experiment shows what a figure or table of a paper
shows. It is made of *parts*, each one trial over a grid of settings, and the runner computes the
replicates of every cell with the same seeds and keys as a claim would, so finished trials are
shared. What comes back is a mean, a standard deviation and a 95 % interval of every metric in every
cell (`verify.measured`).
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from verify.claim import main_as_itself
from verify.ledger import PAPERS
from verify.measured import Result, Table, summarised
from verify.outcome import TrialResult
from verify.profile import PROFILES, for_profile, is_per_profile, require_profile
from verify.trial import Trial, canonical

if TYPE_CHECKING:
    from os import PathLike

Draw = Callable[[Result], Any]


@dataclass(frozen=True)
class Part:
    """One trial over a grid of settings.

    name: unique inside its experiment. axes: what varies, ``{setting: values}``; a cell is one
    choice of each, the last one varying fastest; no axes is one cell. settings: what all cells
    have in common. replicates: independent seeds a cell; one (for what is deterministic) gives no
    interval. axes, settings and replicates may each be given per profile. show: scalar metrics that
    tables print (default: all of them).
    """

    name: str
    trial: Trial
    axes: Any = field(default_factory=dict)
    settings: Any = field(default_factory=dict)
    replicates: Any = field(default_factory=lambda: {"quick": 8, "full": 32})
    show: Sequence[str] = ()

    def cells(self, profile: str, device: str | None = None) -> tuple[dict[str, Any], ...]:
        """The settings of every cell; `device` is passed on if the trial takes one."""
        axes = dict(for_profile(self.axes, profile))
        common = dict(for_profile(self.settings, profile))
        if device is not None and self.trial.accepts("device"):
            common = {"device": device, **common}
        return tuple(
            {**common, **dict(zip(axes, values, strict=True))}
            for values in itertools.product(*axes.values())
        )

    def count(self, profile: str) -> int:
        """Replicates of a cell."""
        return int(for_profile(self.replicates, profile))

    def validate(self) -> None:
        """Raise ValueError or TypeError unless the grid is well formed in every profile it has."""
        for profile in self.profiles():
            for name, values in dict(for_profile(self.axes, profile)).items():
                if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                    raise ValueError(f"axes must hold sequences of values; got {name}={values!r}")
                if len({canonical({name: value}) for value in values}) < len(values):
                    raise ValueError(f"axes must hold different values; got {name}={values!r}")
            shared = set(for_profile(self.axes, profile)) & set(for_profile(self.settings, profile))
            if shared:
                raise ValueError(f"settings must not repeat axes; both have {sorted(shared)}")
            count = for_profile(self.replicates, profile)
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ValueError(f"replicates must be a whole number >= 1; got {count!r}")
            for cell in self.cells(profile, "cpu"):
                self.trial.require_settings(cell)

    def profiles(self) -> tuple[str, ...]:
        """Profiles that every setting is given for."""
        given = [v for v in (self.axes, self.settings, self.replicates) if is_per_profile(v)]
        return tuple(name for name in PROFILES if all(name in value for value in given))


@dataclass(frozen=True)
class Experiment:
    """A figure or table: what the paper states and shows, and how it is measured here.

    name: kebab-case, unique; also its argument on the command line. title: a plain-text line.
    protocol: MyST text: what the source states, and what is assumed where it is silent. paper:
    ``"A"``, ``"B"`` or ``"own"``; item: which figure or table. parts: what is measured. draw:
    ``draw(result) -> matplotlib Figure``, made with `verify.plots` and its siblings; None for
    tables only. reported: whether the report of a run of all claims shows it; that must be cheap
    in the quick profile.
    """

    name: str
    title: str
    protocol: str
    paper: str
    item: str
    parts: Sequence[Part]
    draw: Draw | None = None
    reported: bool = False
    module: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise ValueError(
                f"name of an experiment must be kebab-case (letters, digits, single hyphens); "
                f"got {self.name!r}"
            )
        for text in ("title", "protocol", "item"):
            if not getattr(self, text).strip():
                raise ValueError(f"experiment {self.name}: {text} must not be empty")
        if self.paper not in PAPERS:
            raise ValueError(
                f"experiment {self.name}: paper must be one of {', '.join(PAPERS)}; "
                f"got {self.paper!r}"
            )
        names = [part.name for part in self.parts]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"experiment {self.name}: names of parts must differ; got {names}")
        for part in self.parts:
            try:
                part.validate()
            except (TypeError, ValueError) as error:
                raise type(error)(f"experiment {self.name}, part {part.name}: {error}") from error
        if not self.profiles():
            raise ValueError(f"experiment {self.name}: its parts have no profile in common")

    @property
    def source(self) -> str:
        """Paper and item."""
        return self.item if self.paper == "own" else f"[{self.paper}] {self.item}"

    def profiles(self) -> tuple[str, ...]:
        """Profiles that it can run in."""
        return tuple(p for p in PROFILES if all(p in part.profiles() for part in self.parts))

    def require_profile(self, profile: str) -> str:
        """Return `profile`; ValueError unless it is one of this experiment's."""
        if require_profile(profile) not in self.profiles():
            raise ValueError(
                f"profile must be {' or '.join(self.profiles())} for experiment {self.name}; "
                f"got {profile!r}"
            )
        return profile

    def trials(self, profile: str) -> int:
        """How many trials a run in `profile` needs."""
        self.require_profile(profile)
        return sum(len(part.cells(profile)) * part.count(profile) for part in self.parts)

    def run(
        self,
        profile: str = "quick",
        *,
        jobs: int | None = None,
        device: str = "auto",
        seed: int = 0,
        store: str | PathLike[str] | None = None,
        progress: str = "none",
    ) -> Result:
        """Run it alone and return what it measured; arguments as `verify.runner.run` takes them.

        Raises RuntimeError, with the text of the error, if a trial failed.
        """
        from verify import runner

        self.require_profile(profile)
        found = runner.run(
            (), experiments=(self,), profile=profile, jobs=jobs, device=device, seed=seed,
            store=store, progress=progress,
        )  # fmt: skip
        (result,) = found.results
        if result.error:
            raise RuntimeError(f"experiment {self.name}: {result.error}")
        return result

    def figure(self, result: Result) -> Any:
        """The drawing of a result in the project's style; None if there is nothing to draw."""
        from verify import plots

        if self.draw is None or result.error:
            return None
        with plots.style():
            return self.draw(result)

    def collect(
        self, profile: str, seed: int, found: Sequence[Sequence[Sequence[TrialResult]]]
    ) -> Result:
        """Aggregate the trials of every cell (``found[part][cell]``) into a result."""
        tables = []
        for part, cells in zip(self.parts, found, strict=True):
            axes = tuple(for_profile(part.axes, profile))
            rows = tuple(summarised(trials) for trials in cells)
            tables.append(Table(part.name, axes, rows, tuple(part.show)))
        seconds = math.fsum(trial.seconds for part in found for cell in part for trial in cell)
        return Result(self.name, profile, seed, tuple(tables), seconds)


class Experiments:
    """Experiments by name, in the order they were registered."""

    def __init__(self) -> None:
        self._known: dict[str, Experiment] = {}

    def add(self, experiment: Experiment) -> Experiment:
        """Register an experiment; ValueError if its name is taken."""
        if experiment.name in self._known:
            raise ValueError(f"experiment {experiment.name} is registered twice")
        self._known[experiment.name] = experiment
        return experiment

    def get(self, name: str) -> Experiment:
        """The experiment of that name; ValueError, with the nearest names, if there is none."""
        if name in self._known:
            return self._known[name]
        near = difflib.get_close_matches(name, self._known, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "see `graphonlimit experiments`"
        raise ValueError(f"NAME must be the name of an experiment; got {name!r}; {hint}")

    def names(self) -> tuple[str, ...]:
        """All names, in order of registration."""
        return tuple(self._known)

    def reported(self, profile: str) -> tuple[Experiment, ...]:
        """Those that the report of a run in `profile` shows."""
        return tuple(each for each in self if each.reported and profile in each.profiles())

    def __iter__(self) -> Iterator[Experiment]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, name: object) -> bool:
        return name in self._known


REGISTRY = Experiments()
_by_module: dict[tuple[str, str], Experiment] = {}


def register(experiment: Experiment, registry: Experiments | None = None) -> Experiment:
    """Add an experiment to the project's registry (or to `registry`), noting the calling module."""
    if not experiment.module:
        module = sys._getframe(1).f_globals["__name__"]
        experiment = replace(experiment, module=module)
    added = (REGISTRY if registry is None else registry).add(experiment)
    _by_module[main_as_itself(added.module), added.name] = added
    return added


def registered_in(module: str, name: str) -> Experiment:
    """The experiment that `module`, already imported, registered under `name`."""
    try:
        return _by_module[main_as_itself(module), name]
    except KeyError:
        raise ValueError(f"module {module} registers no experiment {name!r}") from None


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings in a few words: ``n=64, criterion=snip``."""
    return ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in settings.items()
    )
