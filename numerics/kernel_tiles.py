"""All pairs of inputs, tile by tile: symmetric tiles once, exact diagonals, a cap on memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from numerics.kernel_diagonals import Diagonals
from numerics.kernel_engine import Engine
from numerics.kernel_gram import Inputs

__all__ = ["Kernels", "compute", "relative_change"]


_WORTH_THREADS = 1 << 20
"""Pairs times nodes times layers below which tiles are not shared out among threads."""


class Kernels(NamedTuple):
    """Kernels by name, bounds of what series leave out (absolute), and largest entries."""

    kernels: dict[str, Tensor]
    error: dict[str, float]
    largest: dict[str, float]


def compute(
    engine: Engine,
    left: Inputs,
    right: Inputs | None,
    kinds: tuple[str, ...],
    memory: float | None = None,
) -> Kernels:
    """The kernels ``kinds`` of an engine for all pairs; ``right`` None means ``left`` again.

    ``memory`` is a cap in bytes. Raises ValueError if it is too small, if a dual diverges, and if
    a kernel overflows its dtype.

    While it runs, PyTorch's number of threads, a setting of the process, is 1: whole tiles are
    computed in parallel rather than each operation, so that no thread waits for another.
    """
    threads = torch.get_num_threads()
    if engine.device.type != "cpu" or threads == 1:
        return _compute(engine, left, right, kinds, memory, threads)
    torch.set_num_threads(1)
    try:
        return _compute(engine, left, right, kinds, memory, threads)
    finally:
        torch.set_num_threads(threads)


def _compute(
    engine: Engine,
    left: Inputs,
    right: Inputs | None,
    kinds: tuple[str, ...],
    memory: float | None,
    threads: int,
) -> Kernels:
    """:func:`compute`, with so many threads to share tiles among."""
    first = engine.diagonals(left)
    second = first if right is None else engine.diagonals(right)
    other = left if right is None else right
    shape = (len(left), len(other))
    fixed = engine.dtype.itemsize * shape[0] * shape[1] * len(kinds)
    for inputs, diagonals in {id(x): (x, d) for x, d in ((left, first), (other, second))}.values():
        # scaled copy of the inputs, and what each of them carries through the layers
        fixed += 8 * inputs.values.numel()
        fixed += 8 * sum(part.numel() for parts in diagonals[1:4] for part in parts)
    work = shape[0] * shape[1] * max([1, *engine.stack.nodes]) * max(1, engine.stack.depth)
    parallel = engine.device.type == "cpu" and work > _WORTH_THREADS
    threads = threads if parallel else 1
    size = engine.tile_size(max(shape), threads, memory, fixed, small=not parallel)
    out = {kind: torch.empty(shape, dtype=engine.dtype, device=engine.device) for kind in kinds}
    _fill(engine, (left, first), (other, second), right is None, size, out, threads)
    error, largest = {}, {}
    power = engine.power or 0.0
    for kind, position in (("nngp", 0), ("ntk", 1)):
        if kind not in out:
            continue
        kernel = out[kind]
        if right is None:
            diagonal = first.nngp if kind == "nngp" else first.ntk
            kernel.diagonal().copy_(diagonal * left.scale**power * left.scale**power)
        low, high = (float(end) for end in torch.aminmax(kernel))
        largest[kind] = max(abs(low), abs(high))
        if not largest[kind] < torch.finfo(engine.dtype).max:
            raise ValueError(f"x1: the {kind} of inputs of this size overflows {engine.dtype}")
        bound = max(first.error[position], second.error[position])
        scale = max(side.scale.max() for side in (left, other)) ** (2.0 * power)
        error[kind] = bound * float(scale) if bound else 0.0
    return Kernels(out, error, largest)


def _fill(
    engine: Engine,
    left: tuple[Inputs, Diagonals],
    right: tuple[Inputs, Diagonals],
    same: bool,
    size: int,
    out: dict[str, Tensor],
    threads: int,
) -> None:
    """Every tile, those below the diagonal by symmetry; a row of tiles belongs to one thread."""
    dot = "ntk" in out
    rows, columns = next(iter(out.values())).shape

    def row(i: int) -> None:
        part = slice(i, min(i + size, rows))
        one = engine.side(*left, part, left=True)
        width = engine.strip_width(size)
        first = i if same else 0
        for j in range(first, columns, size):
            at = (j - first) % width
            if at == 0:
                strip = engine.strip(one, right[0].values[j : j + width], dot)
            share = slice(j, min(j + size, columns))
            gram = (strip[0][:, :, at : at + size], _part(strip[1], at, size))
            diagonal = same and i == j
            two = one if diagonal else engine.side(*right, share, left=False)
            pairs = engine.tile(one, two, gram, diagonal, dot)
            for kind, kernel in out.items():
                block = pairs.nngp if kind == "nngp" else pairs.ntk
                assert block is not None
                block = engine.finish(block, left[0].scale[part], right[0].scale[share])
                if diagonal:  # to the last bit
                    block = torch.triu(block) + torch.triu(block, 1).T
                kernel[part, share] = block
                if same and not diagonal:
                    kernel[share, part] = block.T

    starts = range(0, rows, size)
    workers = min(threads, len(starts))
    if workers <= 1:
        for i in starts:
            row(i)
        return
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for done in [pool.submit(row, i) for i in starts]:
            done.result()


def _part(gram: Tensor | None, start: int, size: int) -> Tensor | None:
    return None if gram is None else gram[:, :, start : start + size]


def relative_change(before: Tensor, after: Tensor) -> float:
    """Largest change over the largest entry; 0 where all is 0."""
    size = float(after.abs().max())
    return float((after - before).abs().max()) / size if size > 0.0 else 0.0
