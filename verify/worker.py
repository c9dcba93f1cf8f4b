"""What happens inside a worker process: one trial, or one part of a check, at a time.

Kept free of heavy imports, so that the thread settings are in place before any numerical library
is loaded.
"""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# glibc gives the memory of large arrays back to the system and gets it anew, page by page, for the
# next ones. These let a process keep it; the first is the largest that every glibc takes.
# SymPy's cache of a thousand results is too small for a proof. All last as long as their process.
MEMORY_VARIABLES = {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "SYMPY_CACHE_SIZE": "None",
}


@dataclass(frozen=True)
class TrialTask:
    """Run the trial called `name` of `module` once."""

    module: str
    name: str
    settings: dict[str, Any]
    seed: int


@dataclass(frozen=True)
class ResolveTask:
    """Evaluate the readings of a statistical check."""

    module: str
    claim_id: str
    index: int
    profile: str


@dataclass(frozen=True)
class CheckTask:
    """Run a symbolic or certified check."""

    module: str
    claim_id: str
    index: int
    profile: str


@dataclass(frozen=True)
class FigureTask:
    """Draw the figure of a claim (`found`: its outcome) or of an experiment (its result)."""

    module: str
    name: str
    found: Any


@dataclass(frozen=True)
class Drawing:
    """A figure as a ``data:`` address (empty if there is none), or why it could not be drawn."""

    address: str = ""
    error: str = ""


Task = TrialTask | ResolveTask | CheckTask | FigureTask


@dataclass(frozen=True)
class Done:
    """What a task came to: its value and CPU seconds, or the text of its error."""

    value: Any
    seconds: float
    error: str = ""


def start_worker(path: list[str]) -> None:
    """Prepare a worker process: the parent's import path, one thread, no interrupts of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    sys.path[:] = path
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this process when the parent is gone: a killed run must not leave workers behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def perform(task: Task) -> Done:
    """Run a task; an exception becomes `Done.error`, so that one failure stops nothing else."""
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _import(task.module)
            _limit_torch(1)
            value = _perform[type(task)](task)
        return Done(value, time.process_time() - start)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
        return Done(None, time.process_time() - start, text)


def _import(module: str) -> None:
    """Import a task's module; a module of claims with the ones before it, which it depends on."""
    package = "verify.claims"
    if module.startswith(f"{package}."):
        importlib.import_module(package).load()
    importlib.import_module(module)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS and torch use one thread in this process, for a while, loaded yet or not."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    before = _limit_torch(1) or (os.cpu_count() or 1)
    try:
        with process_variables(), threadpool_limits(1):
            yield
    finally:
        _limit_torch(before)


@contextmanager
def process_variables() -> Iterator[None]:
    """Ask libraries that are yet to be loaded, here or in child processes, for one thread.

    Child processes also keep memory that they free, unless the caller's environment says otherwise.
    A spawned process imports the parent's main module, and with it NumPy, before its initialiser
    runs, so what it sets itself comes too late.
    """
    asked = dict.fromkeys(THREAD_VARIABLES, "1")
    asked |= {name: v for name, v in MEMORY_VARIABLES.items() if name not in os.environ}
    before = {name: os.environ.get(name) for name in asked}
    os.environ.update(asked)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _limit_torch(threads: int) -> int:
    """Set torch's threads if torch is loaded; the number it had, or 0."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_num_threads"):
        return 0
    before = int(torch.get_num_threads())
    if before != threads:
        torch.set_num_threads(threads)
    return before


def _run_trial(task: TrialTask) -> dict[str, Any]:
    from verify.trial import Trial

    found = getattr(sys.modules[task.module], task.name.rpartition(".")[2], None)
    if not isinstance(found, Trial):
        raise ValueError(f"module {task.module} has no trial {task.name}")
    return found(task.seed, **task.settings)


def _check(task: ResolveTask | CheckTask) -> Any:
    from verify.claim import registered_in

    return registered_in(task.module, task.claim_id).checks[task.index]


def _resolve(task: ResolveTask) -> Any:
    return _check(task).resolve(task.profile)


def _run_check(task: CheckTask) -> Any:
    return _check(task).run(task.profile)


def _draw(task: FigureTask) -> Drawing:
    from verify import report

    return report.drawing_in(task.module, task.name, task.found)


_perform: dict[type, Callable[[Any], Any]] = {
    TrialTask: _run_trial,
    ResolveTask: _resolve,
    CheckTask: _run_check,
    FigureTask: _draw,
}
