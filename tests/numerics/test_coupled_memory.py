"""What a coupled kernel adds to a process, against what it says beforehand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from numerics.coupled_kernel import CoupledKernel
from numerics.coupled_memory import tiles
from numerics.latent_batch import LatentBatch

MEASURE = """
import ctypes, sys, threading, time
import torch
torch.set_num_threads(1)
from tests.numerics.test_coupled_memory import kernel, points

def held():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

outputs, inputs, full = (int(each) for each in sys.argv[1:])
made = kernel(outputs)
what = "full" if full else "trace-mean"
made(points(3), outputs=what)  # what the first call alone needs
ctypes.CDLL(None).malloc_trim(0)
before = peak = held()
done = threading.Event()

def watch():
    global peak
    while not done.is_set():
        peak = max(peak, held())
        time.sleep(0.001)

watcher = threading.Thread(target=watch)
watcher.start()
found = made(points(inputs), outputs=what)
done.set()
watcher.join()
print(max(peak, held()) - before)
"""


def points(count: int) -> torch.Tensor:
    """Inputs (count, 5)."""
    return torch.randn(count, 5, generator=torch.manual_seed(0), dtype=torch.float64)


def kernel(outputs: int) -> CoupledKernel:
    """Few samples, so that kernels are what takes memory."""
    residual = torch.ones(2, outputs, dtype=torch.float64)
    batch = LatentBatch(points(2), (5, 50, 50, outputs), "relu", residual=residual)
    return CoupledKernel(batch, "snip", 0.3, samples=32, replicates=2)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("outputs", "inputs", "full"), [(1, 500, False), (4, 120, True)])
def test_kernels_of_many_inputs_take_what_was_said(outputs: int, inputs: int, full: bool) -> None:
    command = [sys.executable, "-c", MEASURE, str(outputs), str(inputs), str(int(full))]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    made = kernel(outputs)
    said = tiles(
        made.batch, made.samples, inputs, full, made.dtype, made.device, made.memory
    ).mib  # fmt: skip
    assert 0.5 * said < float(done.stdout) < said


def test_without_the_estimate_of_the_bias_it_takes_less() -> None:
    made, device = kernel(1), torch.device("cpu")
    most, least = (
        tiles(made.batch, 32, 800, False, torch.float64, device, 4096, halves=halves).mib
        for halves in (True, False)
    )
    assert least < 0.65 * most
    with pytest.raises(ValueError, match="memory must be at least"):
        tiles(made.batch, 32, 800, False, torch.float64, device, 0.9 * most)
    tiles(made.batch, 32, 800, False, torch.float64, device, 0.9 * most, halves=False)
