"""Runs that are killed or interrupted leave no workers, keep what is finished and go on from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from interrupted_run import REPLICATES

from verify.store import Store

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def start(folder: Path, store: Path, jobs: int) -> subprocess.Popen[bytes]:
    """A run of slow trials in a process of its own."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "interrupted_run.py"), str(folder), str(store), str(jobs)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something holds; fail if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("jobs", "how"), [(1, signal.SIGKILL), (2, signal.SIGKILL), (2, signal.SIGINT)]
)
def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, jobs: int, how: int) -> None:
    folder, store = tmp_path / "calls", tmp_path / "s.sqlite"
    folder.mkdir()
    process = start(folder, store, jobs)
    try:
        wait_for(lambda: len(list(folder.iterdir())) >= 30 or process.poll() is not None)
        process.send_signal(how)
    finally:
        _, err = process.communicate(timeout=60)
    assert process.returncode not in (0, 1), err
    assert how == signal.SIGKILL or b"leaked" not in err
    workers = {int(path.name.split("-")[1]) for path in folder.iterdir()}
    wait_for(lambda: not any(is_running(pid) for pid in workers), 20)
    with Store(store) as opened:
        kept = len(opened)
    called = len(list(folder.iterdir()))
    assert kept >= 30 - 2 * jobs  # all but what was under way
    assert kept < REPLICATES

    again = start(folder, store, jobs)
    again.communicate(timeout=120)
    assert again.returncode == 0
    assert len(list(folder.iterdir())) == called + REPLICATES - kept
