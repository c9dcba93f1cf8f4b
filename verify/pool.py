"""Where tasks run: in this process, or in persistent worker processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Hashable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from typing import Protocol

from verify.worker import Done, Task, one_thread, perform, start_worker, thread_variables


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
    """Persistent processes, started afresh (spawn) so that no thread or lock is inherited."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._labels: dict[Future[Done], Hashable] = {}
        self._stack = ExitStack()
        self._stack.enter_context(thread_variables())  # for as long as processes may be started
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
        return 2 * self._jobs - len(self._labels)

    def submit(self, label: Hashable, task: Task) -> None:
        try:
            future = self._executor.submit(perform, task)
        except BrokenProcessPool:
            self._restart()
            future = self._executor.submit(perform, task)
        self._labels[future] = label

    def collect(self) -> list[tuple[Hashable, Done]]:
        finished, _ = wait(self._labels, return_when=FIRST_COMPLETED)
        return [(self._labels.pop(future), self._result(future)) for future in finished]

    def _result(self, future: Future[Done]) -> Done:
        try:
            return future.result()
        except BrokenProcessPool:
            # A worker died (killed, or out of memory). Its tasks fail; the others go on.
            self._restart()
            return Done(None, 0.0, "a worker process died (out of memory?) during this task")
        except Exception as error:  # what a task returned could not be sent back
            return Done(None, 0.0, f"{type(error).__name__}: {error}")

    def _restart(self) -> None:
        if getattr(self._executor, "_broken", False):
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = self._start()

    def close(self) -> None:
        processes = list((getattr(self._executor, "_processes", None) or {}).values())
        self._executor.shutdown(wait=not self._labels, cancel_futures=True)
        if self._labels:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join(timeout=5)
            self._executor.shutdown(wait=True)  # its thread ends now; its semaphores are freed
        self._labels.clear()
        self._stack.close()
