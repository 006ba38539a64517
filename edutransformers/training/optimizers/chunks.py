"""Work in chunks that stay in the processor's cache: shared by optimizers and clipping."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ...backend import Array, array_module
from ...module import Parameter

# Numbers worked on at a time: few enough to stay in the processor's cache through all operations, enough for the work
# on them to outweigh Python's. (AdamW on 109 M weights, two threads: 64 K takes 1.5 times as long, 128 K and 1 M 1.2.)
CHUNK = 256 * 1024
SMALL = 1_000_000  # below this many numbers a second thread costs more than it saves


def chunk_bounds(array: Array) -> list[tuple[int, int]]:
    """(start, stop) pairs that cut a flat view of `array` into pieces for the cache; on a GPU, one piece."""
    size = array.size
    width = CHUNK if array_module(array) is np else max(1, size)
    return [(start, min(start + width, size)) for start in range(0, size, width)]


def writable_flat(parameter: Parameter) -> Array:
    """(size,) view of the weights that may be written to. Weights that are no plain block of memory become one."""
    data = parameter.data
    if not data.flags.c_contiguous or (isinstance(data, np.ndarray) and not data.flags.writeable):
        parameter.data = data = array_module(data).ascontiguousarray(data).copy()
    return data.reshape(-1)


class Chunk(NamedTuple):
    """A piece of a parameter's work: update(numbers, scratch, *arrays)."""

    update: Callable
    numbers: tuple[float, ...]  # what is the same for all of the parameter's numbers
    arrays: tuple[Array, ...]  # flat: weights, gradients, what the optimizer keeps


def run_chunks(chunks: list[Chunk], buffers: tuple, threads: int | None) -> None:
    """Call every chunk's update, in one or several threads: chunks don't overlap, any order will do.

    buffers  the number types of the scratch arrays that an update gets, None for that of the weights. They are as long
             as the chunk, used again for the next one, and hold anything.
    """
    if not chunks:
        return
    sizes = [chunk.arrays[0].size for chunk in chunks]
    xp, longest = array_module(chunks[0].arrays[0]), max(sizes)

    def work(mine):
        scratch = {}
        for chunk in mine:
            w = chunk.arrays[0]
            if w.dtype not in scratch:
                scratch[w.dtype] = [xp.empty(longest, dtype=w.dtype if kind is None else kind) for kind in buffers]
            chunk.update(chunk.numbers, [buffer[: w.size] for buffer in scratch[w.dtype]], *chunk.arrays)

    threads = threads_for(xp, sum(sizes), threads)
    in_threads(work, [chunks[start::threads] for start in range(threads)], threads)


def threads_for(xp, size: int, threads: int | None) -> int:
    """As many threads as were asked for; None: two for much work. A GPU works through its queue by itself."""
    if xp is not np:
        return 1
    if threads is None:
        return min(2, os.cpu_count() or 1) if size > SMALL else 1
    return threads


def in_threads(work: Callable, jobs: list, threads: int) -> None:
    """work(job) for every job, in their order of appearance."""
    if threads == 1:
        for job in jobs:
            work(job)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, jobs))
