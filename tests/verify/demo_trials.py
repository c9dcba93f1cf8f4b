"""Trials of the demonstration claims: sample means, and ways to go wrong."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from verify.trial import trial


@trial
def noisy_mean(seed: int, n: int, limit: float = 0.2, bias: float = 1.0) -> dict[str, object]:
    """limit + bias / n + noise of size 1 / n, a positive metric of order n^-1/2, and a list."""
    rng = np.random.default_rng(seed)
    return {
        "mean": limit + bias / n + rng.normal() / n,
        "noise": abs(1 + 0.1 * rng.normal()) / np.sqrt(n),
        "profile": limit + rng.normal(size=3) / n,
        "constant": 1.0,
    }


@trial
def device_name_length(seed: int, device: str) -> dict[str, float]:
    """How long the device's name is, plus noise: shows what was passed."""
    return {"length": len(device) + 1e-3 * np.random.default_rng(seed).normal()}


@trial
def failing(seed: int, n: int) -> dict[str, float]:
    """Fails at the largest width."""
    if n >= 80:
        raise RuntimeError("no such network")
    return {"mean": float(n + seed % 7)}


@trial
def deadly(seed: int, n: int) -> dict[str, float]:
    """Takes its process with it at the largest width, as one that runs out of memory does."""
    if n >= 80:
        os._exit(1)
    return {"mean": float(n + seed % 7)}


@trial
def slow_and_counted(seed: int, folder: str, pause: float = 0.02) -> dict[str, float]:
    """Leaves a file for every call, so that a test can count them."""
    time.sleep(pause)
    (Path(folder) / f"{seed}-{os.getpid()}-{time.monotonic_ns()}").touch()
    return {"mean": float(np.random.default_rng(seed).normal())}


@trial
def histograms(seed: int, n: int, method: str, cells: int = 64) -> dict[str, object]:
    """As a figure of sorted masks needs them: an image and a distance per layer, lists flat."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 0.4, cells) * (1.0 if method == "ramp" else 0.0)
    found: dict[str, object] = {}
    for layer in (1, 2):
        image = 0.2 + ramp[None, :] + rng.normal(size=(cells, cells)) / np.sqrt(n)
        found[f"image_{layer}"] = image.ravel()
        found[f"distance_{layer}"] = float(np.abs(image - 0.2 - ramp).mean())
    return found


@trial
def predicted(seed: int, method: str, cells: int = 64) -> dict[str, object]:
    """What `histograms` tends to."""
    ramp = np.linspace(0, 0.4, cells) * (1.0 if method == "ramp" else 0.0)
    return {"image": (0.2 + ramp[None, :] + np.zeros((cells, 1))).ravel()}
