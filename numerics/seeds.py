"""Random streams: one integer seed and a path of keys name each of them.

A stream's state is a hash of the seed and the path, so what is drawn for
``(seed, "noise", 7)`` depends neither on what else was drawn, nor on the order, nor on the
number of threads. Two paths that differ in one key, or in the type of one key, are independent
streams.

NumPy generators are the default everywhere, because they are keyed by 128 bits and draw the same
numbers for every device. PyTorch's CPU generator keeps only the low 32 bits of its seed, so two
of many thousands of its streams may coincide: use :func:`torch_generator` where a PyTorch
function insists on one, not for replicates.
"""

from __future__ import annotations

import hashlib
import operator

import numpy as np
import torch

from numerics.device import resolve

__all__ = ["Key", "derive", "generator", "torch_generator"]

Key = int | str


def _digest(seed: int, key: tuple[Key, ...], size: int) -> int:
    words = []
    for item in (seed, *key):
        if isinstance(item, str):
            words.append(b"s" + item.encode())
            continue
        try:
            if isinstance(item, bool):
                raise TypeError
            words.append(b"i" + str(operator.index(item)).encode())
        except TypeError:
            what = "seed must be an integer" if not words else "key must hold integers and strings"
            raise TypeError(f"{what}, got {item!r}") from None
    if words[0].startswith(b"s"):
        raise TypeError(f"seed must be an integer, got {seed!r}")
    # Each word carries its length, so no two paths spell the same bytes.
    text = b"".join(len(word).to_bytes(8, "little") + word for word in words)
    return int.from_bytes(hashlib.blake2b(text, digest_size=size).digest(), "little")


def derive(seed: int, *key: Key) -> int:
    """A new 63-bit seed for the stream ``key`` below ``seed``; for functions that take a seed."""
    return _digest(seed, key, 8) >> 1


def generator(seed: int, *key: Key) -> np.random.Generator:
    """The NumPy generator of a stream: SFC64, seeded with a 128-bit hash of seed and path.

    SFC64 is the fastest of NumPy's bit generators at normal numbers, which is what masks consist
    of; with hashed seeds nothing is gained by a counter-based one.

    Raises TypeError if the seed is no integer or a key is neither integer nor string.
    """
    return np.random.Generator(np.random.SFC64(_digest(seed, key, 16)))


def torch_generator(seed: int, *key: Key, device: str | torch.device = "cpu") -> torch.Generator:
    """A PyTorch generator of a stream on a device.

    Its numbers differ between devices, and on the CPU only 32 bits of the hash take effect (see
    the module's docstring). Raises like :func:`generator` and :func:`numerics.device.resolve`.
    """
    result = torch.Generator(resolve(device))
    result.manual_seed(_digest(seed, key, 8) >> 1)
    return result
