"""Where tensors live: one name, resolved once, refused clearly."""

from __future__ import annotations

import re

import torch

__all__ = ["NAMES", "resolve"]

NAMES = ("auto", "cpu", "cuda", "cuda:<index>")
"""What :func:`resolve` understands."""


def resolve(name: str | torch.device = "auto") -> torch.device:
    """The device a name stands for.

    ``"auto"`` is CUDA where PyTorch sees a CUDA device, else the CPU; ``"cuda:1"`` is the second
    CUDA device. Raises TypeError for something that is no name, ValueError for an unknown name,
    for CUDA where there is none, and for the index of a device that is not there.
    """
    if isinstance(name, torch.device):
        name = str(name)
    if not isinstance(name, str):
        raise TypeError(f"device must be a name, one of {', '.join(NAMES)}; got {name!r}")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise ValueError(f"device must be one of {', '.join(NAMES)}; got {name!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise ValueError(f"device {name!r} needs CUDA and PyTorch sees no CUDA device; use 'cpu'")
    if match[1] is not None and int(match[1]) >= count:
        raise ValueError(f"device {name!r} does not exist: PyTorch sees {count} CUDA device(s)")
    return torch.device(name)
