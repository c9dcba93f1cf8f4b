"""The runner: from claims to outcomes, and from experiments to what they measured.

Trials of all claims go into one queue and are spread over the jobs. A statistical check asks for
the replicates of its first look, is judged, and asks for more until decided or its budget ends.
The verdicts depend on the claims, the profile, the seed and the device, never on the number of jobs
or the order in which trials finish; finished trials come from the store.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

from rich.console import Console

from verify.checks.statistical import StatisticalCheck
from verify.claim import Claim
from verify.decision import decision_levels
from verify.environment import describe
from verify.experiment import Experiment
from verify.measured import Result
from verify.outcome import Outcome, TrialResult, combine
from verify.pool import available_cpus, make_pool
from verify.profile import for_profile, require_profile
from verify.progress import Reporter, make_reporter
from verify.standing import CheckState, ExperimentState, State, cost, lean
from verify.store import Store, StoreError
from verify.trial import Trial, trial_key, trial_seed
from verify.worker import CheckTask, Done, Drawing, FigureTask, ResolveTask, Task, TrialTask


@dataclass(frozen=True)
class Run:
    """The outcomes of a run, in the order of the claims, and the environment that made them.

    results: those of the experiments, in their order. drawings: figures by the id of a claim or the
    name of an experiment, where the run was asked for them.
    """

    claims: tuple[Claim, ...]
    outcomes: tuple[Outcome, ...]
    environment: dict[str, Any]
    experiments: tuple[Experiment, ...] = ()
    results: tuple[Result, ...] = ()
    drawings: Mapping[tuple[str, str], Drawing] = field(default_factory=dict)

    @property
    def as_recorded(self) -> bool:
        """Whether there are claims and every one came out as recorded."""
        return bool(self.outcomes) and all(outcome.as_recorded for outcome in self.outcomes)


def run(
    claims: Sequence[Claim],
    *,
    profile: str = "quick",
    jobs: int | None = None,
    device: str = "auto",
    seed: int = 0,
    store: str | PathLike[str] | None = None,
    progress: str = "none",
    console: Console | None = None,
    experiments: Sequence[Experiment] = (),
    figures: bool = False,
) -> Run:
    """Decide the claims and run the experiments.

    jobs: processes (default: the CPUs this process may use; 1 runs everything here). device: passed
    to trials that take one. seed: root of all seeds. store: file of finished trials (default: see
    `verify.store.default_path`). progress: ``"auto"``, ``"live"``, ``"plain"`` or ``"none"``.
    figures: also draw what the report shows, in the same processes. An experiment that an error
    stops has a result that says so.

    Raises ValueError for a bad argument and StoreError (a ValueError) for an unusable store. On
    KeyboardInterrupt the workers are stopped and finished trials stay in the store.
    """
    require_profile(profile)
    jobs = available_cpus() if jobs is None else jobs
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise ValueError(f"jobs must be a whole number >= 1; got {jobs!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a whole number >= 0; got {seed!r}")
    claims, experiments = tuple(claims), tuple(experiments)
    for experiment in experiments:
        experiment.require_profile(profile)
    resolved = resolve_device(device, claims, experiments)
    with Store(store) as opened:
        pending = _Run(claims, experiments, profile, resolved, seed, opened, figures)
        with make_reporter(progress, len(claims), console) as reporter:
            outcomes = pending.work(jobs, reporter)
    environment = describe(profile, seed, resolved)
    results = (replace(each.outcome, environment=environment) for each in pending.measured)
    return Run(claims, outcomes, environment, experiments, tuple(results), pending.drawings)


def resolve_device(
    device: str, claims: Sequence[Claim], experiments: Sequence[Experiment] = ()
) -> str:
    """The device that trials will be given; ValueError if it is unknown or not there.

    torch is imported only where the answer needs it.
    """
    if device == "cpu":
        return device
    trials = [part.trial for experiment in experiments for part in experiment.parts]
    checks = [check for claim in claims for check in claim.checks]
    trials += [check.trial for check in checks if isinstance(check, StatisticalCheck)]
    if device == "auto" and not any(trial.accepts("device") for trial in trials):
        return "cpu"
    from numerics.device import resolve

    return str(resolve(device))


class _Run:
    """The bookkeeping of one run. All decisions and all writing happen in this process."""

    def __init__(
        self,
        claims: Sequence[Claim],
        experiments: Sequence[Experiment],
        profile: str,
        device: str,
        seed: int,
        store: Store,
        figures: bool,
    ) -> None:
        self.claims = claims
        self.figures = figures
        self.drawings: dict[tuple[str, str], Drawing] = {}
        self.measured = [ExperimentState(each, profile, seed) for each in experiments]
        self.profile = profile
        self.device = device
        self.seed = seed
        self.store = store
        self.results: dict[str, TrialResult] = {}
        self.waiting: dict[str, list[State]] = {}
        self.tasks: dict[str, tuple[TrialTask, str]] = {}  # under way or queued: task, code digest
        self.queue: list[tuple[tuple[float, ...], int, Any, Task]] = []
        self.serial = itertools.count()
        self.done = 0
        self.known = 0
        self.outcomes: list[Outcome | None] = [None] * len(claims)
        self.states = [
            [CheckState(number, index, check) for index, check in enumerate(claim.checks)]
            for number, claim in enumerate(claims)
        ]

    def work(self, jobs: int, reporter: Reporter) -> tuple[Outcome, ...]:
        """Run everything and return the outcomes."""
        for number in range(len(self.claims)):
            self._begin(number, reporter)
        for experiment in self.measured:
            self._guarded(experiment, self._measure, reporter)
        pool = make_pool(jobs)
        try:
            under_way = 0
            while True:
                while self.queue and pool.room() > 0:
                    _, _, label, task = heapq.heappop(self.queue)
                    if isinstance(label, str) and label not in self.waiting:
                        self.known -= 1  # nobody needs this trial any more
                        continue
                    pool.submit(label, task)
                    under_way += 1
                if not under_way:
                    break
                for label, done in pool.collect():
                    under_way -= 1
                    self.done += 1
                    self._take(label, done, reporter)
                    reporter.work(self.done, self.known)
        finally:
            pool.close()
        return tuple(outcome for outcome in self.outcomes if outcome is not None)

    def _begin(self, number: int, reporter: Reporter) -> None:
        claim = self.claims[number]
        statistical = [c for c in claim.checks if isinstance(c, StatisticalCheck)]
        try:
            rate = for_profile(claim.error_rate, self.profile)
            metrics = sum(len(check.metrics()) for check in statistical)
            levels = {
                check.name: decision_levels(rate, len(check.looks(self.profile)), metrics)
                for check in statistical
            }
        except ValueError as error:
            for state in self.states[number]:
                self._finish(state, state.failed(str(error)), reporter)
            return
        for state in self.states[number]:
            state.levels = levels.get(state.check.name, ())
            kind = ResolveTask if isinstance(state.check, StatisticalCheck) else CheckTask
            task = kind(claim.module, claim.id, state.index, self.profile)
            # Readings first, since trials wait for them; then proofs, whose length is unknown.
            self._enqueue((0.0 if kind is ResolveTask else 1.0,), state, task)

    def _enqueue(self, priority: tuple[float, ...], label: Any, task: Task) -> None:
        self.known += 1
        heapq.heappush(self.queue, (priority, next(self.serial), label, task))

    def _take(self, label: Any, done: Done, reporter: Reporter) -> None:
        if isinstance(label, str):
            self._take_trial(label, done, reporter)
            return
        if isinstance(label, tuple):
            self.drawings[label] = done.value or Drawing(error=done.error)
            return
        state: CheckState = label
        if done.error:
            self._finish(state, state.failed(done.error), reporter)
        elif isinstance(state.check, StatisticalCheck):
            state.readings, state.seconds = done.value, done.seconds
            self._guarded(state, self._plan, reporter)
        else:
            self._finish(state, done.value, reporter)

    def _take_trial(self, key: str, done: Done, reporter: Reporter) -> None:
        waiting = self.waiting.pop(key, [])
        if done.error:
            for state in waiting:
                if state.outcome is None:
                    self._drop(state)
                    self._finish(state, state.failed(f"trial failed: {done.error}"), reporter)
            return
        found = self.tasks.pop(key, None)
        if found is None:  # asked for again while it was under way, and here already
            return
        task, digest = found
        result = TrialResult(task.settings, task.seed, done.value, done.seconds)
        self.results[key] = result
        self.store.put(key, task.name, digest, result)
        for state in waiting:
            if state.outcome is None:
                state.missing.discard(key)
                if not state.missing:
                    self._guarded(state, self._judge, reporter)

    def _guarded(self, state: State, step: Any, reporter: Reporter) -> None:
        """A step of a check whose own errors leave that claim undecided, and no other."""
        try:
            step(state, reporter)
        except StoreError:
            raise
        except Exception as error:
            self._drop(state)
            self._finish(state, state.failed(f"{type(error).__name__}: {error}"), reporter)

    def _plan(self, state: CheckState, reporter: Reporter) -> None:
        state.design = state.check.design(self.profile, self.device)
        self._ask(state, reporter)

    def _ask(self, state: CheckState, reporter: Reporter) -> None:
        """Ask for the replicates of the current look; judge at once if all are there."""
        design = state.design
        assert design is not None
        cells = zip(design.cells, design.counts[state.look], strict=True)
        state.missing = set()
        state.keys = self._request(state, state.check.trial, cells, state.look)
        if not state.missing:
            self._judge(state, reporter)

    def _request(
        self, state: State, trial: Trial, cells: Iterable[tuple[Mapping[str, Any], int]], look: int
    ) -> list[list[str]]:
        """Keys of the replicates of every cell; those not there are asked for and missed."""
        tasks: dict[str, TrialTask] = {}
        keys = []
        for settings, count in cells:
            row = []
            for replicate in range(count):
                seed = trial_seed(self.seed, trial.name, settings, replicate)
                key = trial_key(trial.name, trial.digest, settings, seed)
                row.append(key)
                if key not in self.results:
                    tasks[key] = TrialTask(trial.module, trial.name, dict(settings), seed)
            keys.append(row)
        unknown = [key for key in tasks if key not in self.waiting]
        self.results.update(self.store.get(unknown))
        for key in tasks:
            if key in self.results:
                continue
            if key not in self.waiting:
                self.tasks[key] = (tasks[key], trial.digest)
                self._enqueue((2.0, float(look), -cost(tasks[key])), key, tasks[key])
            self.waiting.setdefault(key, []).append(state)
            state.missing.add(key)
        return keys

    def _measure(self, state: ExperimentState, reporter: Reporter) -> None:
        for part in state.experiment.parts:
            cells = part.cells(self.profile, self.device)
            counted = ((cell, part.count(self.profile)) for cell in cells)
            state.keys.append(self._request(state, part.trial, counted, 0))
        if not state.missing:
            self._judge(state, reporter)

    def _judge(self, state: State, reporter: Reporter) -> None:
        if isinstance(state, ExperimentState):
            found = [[[self.results[k] for k in c] for c in part] for part in state.keys]
            measured = state.experiment.collect(self.profile, self.seed, found)
            self._finish(state, measured, reporter)
            return
        design = state.design
        assert design is not None
        levels = state.levels[state.look]
        results = [[self.results[key] for key in row] for row in state.keys]
        outcome = state.check.judge(state.readings, design, results, levels, self.profile)
        outcome = replace(outcome, seconds=outcome.seconds + state.seconds)
        if outcome.decided or state.look + 1 == len(design.counts):
            self._finish(state, outcome, reporter)
        else:
            state.look += 1
            self._ask(state, reporter)

    def _drop(self, state: State) -> None:
        """Stop waiting for trials; those nobody else waits for are not started."""
        for key in list(self.waiting):
            left = [other for other in self.waiting[key] if other is not state]
            if left:
                self.waiting[key] = left
            else:
                del self.waiting[key]

    def _finish(self, state: State, outcome: Any, reporter: Reporter) -> None:
        state.outcome = outcome
        if isinstance(state, ExperimentState):
            self._draw("experiment", state.experiment.module, state.experiment.name, outcome)
            return
        states = self.states[state.claim]
        checks = tuple(s.outcome for s in states if s.outcome is not None)
        if len(checks) < len(states):
            return
        claim = self.claims[state.claim]
        found = Outcome(claim.id, combine(checks), claim.recorded, checks)
        self.outcomes[state.claim] = found
        reporter.claim(claim, found)
        # The default figure is made of series: the trials themselves can stay here.
        kept = found if claim.figure else replace(found, checks=tuple(map(lean, checks)))
        self._draw("claim", claim.module, claim.id, kept)

    def _draw(self, kind: str, module: str, name: str, found: Any) -> None:
        if self.figures:
            self._enqueue((3.0,), (kind, name), FigureTask(module, name, found))
