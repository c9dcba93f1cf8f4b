"""Where tasks run: in this process, or in persistent worker processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Hashable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from typing import Protocol

from verify.worker import Done, Task, one_thread, perform, process_variables, start_worker

DIED = "a worker process died (out of memory?) during this task"


class Pool(Protocol):
    """Takes tasks while it has room and gives back what is done."""

    def room(self) -> int:
        """How many more tasks should be submitted now."""

    def submit(self, label: Hashable, task: Task) -> None:
        """Start a task; its result comes back under `label`."""

    def collect(self) -> list[tuple[Hashable, Done]]:
        """Wait for results: at least one if any task is under way."""

    def close(self) -> None:
        """Stop at once; unfinished tasks are lost."""


def available_cpus() -> int:
    """CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_pool(jobs: int) -> Pool:
    """A pool of `jobs` worker processes; tasks run in this process if `jobs` is 1."""
    return _Here() if jobs == 1 else _Workers(jobs)


class _Here:
    """Runs each task when its result is asked for, in one thread as the workers do.

    The order of a floating-point sum depends on the number of threads; with one everywhere, the
    numbers do not depend on the number of jobs.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Hashable, Task]] = []
        self._stack = ExitStack()
        self._stack.enter_context(one_thread())

    def room(self) -> int:
        return 1 - len(self._waiting)

    def submit(self, label: Hashable, task: Task) -> None:
        self._waiting.append((label, task))

    def collect(self) -> list[tuple[Hashable, Done]]:
        done = [(label, perform(task)) for label, task in self._waiting]
        self._waiting.clear()
        return done

    def close(self) -> None:
        self._waiting.clear()
        self._stack.close()


class _Workers:
    """Persistent processes, started afresh (spawn) so that no thread or lock is inherited.

    When one of them dies, all tasks under way are lost and none says which it was. They are then
    repeated one at a time, and only a task that is alone when its process dies has failed.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._under_way: dict[Future[Done], tuple[Hashable, Task]] = {}
        self._lost: deque[tuple[Hashable, Task]] = deque()
        self._stack = ExitStack()
        self._stack.enter_context(process_variables())  # for as long as processes may be started
        self._executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._jobs,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=start_worker,
            initargs=(list(sys.path),),
        )

    def room(self) -> int:
        # Two each: one at work and one waiting, so that no worker idles between results.
        return 0 if self._lost else 2 * self._jobs - len(self._under_way)

    def submit(self, label: Hashable, task: Task) -> None:
        try:
            self._under_way[self._executor.submit(perform, task)] = (label, task)
        except BrokenProcessPool:  # it died since the last result: this task has to wait its turn
            self._lost.append((label, task))

    def collect(self) -> list[tuple[Hashable, Done]]:
        done: list[tuple[Hashable, Done]] = []
        while not done and (self._under_way or self._lost):
            alone = not self._under_way
            if alone:
                self._repeat()
            finished, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
            for future in finished:
                label, task = self._under_way.pop(future)
                found = self._result(future)
                if found is None and not alone:
                    self._lost.append((label, task))
                else:
                    done.append((label, found or Done(None, 0.0, DIED)))
        return done

    def _repeat(self) -> None:
        """Submit one of the lost tasks, which has the pool to itself."""
        label, task = self._lost.popleft()
        try:
            future = self._executor.submit(perform, task)
        except BrokenProcessPool:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = self._start()
            future = self._executor.submit(perform, task)
        self._under_way[future] = (label, task)

    def _result(self, future: Future[Done]) -> Done | None:
        """What a task came to; None if a process died."""
        try:
            return future.result()
        except BrokenProcessPool:
            return None
        except Exception as error:  # what a task returned could not be sent back
            return Done(None, 0.0, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        processes = list((getattr(self._executor, "_processes", None) or {}).values())
        self._executor.shutdown(wait=not self._under_way, cancel_futures=True)
        if self._under_way:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join(timeout=5)
            self._executor.shutdown(wait=True)  # its thread ends now; its semaphores are freed
        self._under_way.clear()
        self._lost.clear()
        self._stack.close()
