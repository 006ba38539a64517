"""Work in chunks that stay in the processor's cache: shared by optimizers and clipping."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ...backend import Array, array_module
from ...module import Parameter

CHUNK = 128 * 1024  # numbers worked on at a time: few enough to stay in the processor's cache through all operations
SMALL = 1_000_000  # below this many numbers a second thread costs more than it saves


def chunk_bounds(array: Array):
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


def flat_state(state: dict, name: str) -> Array:
    if not state[name].flags.c_contiguous:
        state[name] = array_module(state[name]).ascontiguousarray(state[name])
    return state[name].reshape(-1)


def run_chunks(update, chunks: list[tuple], threads: int | None) -> None:
    """update(*chunk, scratch) for every chunk, in one or several threads: chunks don't overlap, any order will do."""
    if not chunks:
        return
    if threads is None:
        large = sum(chunk[0].size for chunk in chunks) > SMALL
        threads = min(2, os.cpu_count() or 1) if large else 1
    if array_module(chunks[0][0]) is not np:
        threads = 1  # a GPU works through its queue by itself

    longest = max(chunk[0].size for chunk in chunks)

    def work(mine):
        scratch = {}  # one buffer a number type
        for chunk in mine:
            dtype = chunk[0].dtype
            if dtype not in scratch:
                scratch[dtype] = array_module(chunk[0]).empty(longest, dtype=dtype)
            update(*chunk, scratch[dtype])

    if threads == 1:
        work(chunks)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [chunks[start::threads] for start in range(threads)]))
