"""Switches for speed, of the process or of a model. All are off until you ask for them; none changes what is computed.

>>> from edutransformers import speed
>>> speed.use_batch_threads(2)        # split every batch over two threads
>>> speed.keep_freed_memory()         # let malloc hold on to large arrays (Linux with glibc)   # doctest: +SKIP
>>> speed.arrange_weights(model)      # a model's weights laid out for writing                  # doctest: +SKIP

Measured on two cores (BERT-base, batch 8 of 128 tokens): see docs/performance.md.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import lru_cache

import numpy as np

LARGE_PAGE = 2 << 20  # bytes
CACHE_LINE = 64  # bytes
_counting = threading.Lock()  # guards the next two
_inside, _limit = 0, None  # how many are inside `one_blas_thread`; what restores the setting
_batch_threads: int | None = None  # None: not decided yet, so the environment variable is asked


def use_batch_threads(count: int | None = None) -> int:
    """Split the batch of every transformer stack over `count` Python threads, with one BLAS thread each.

    A matrix product uses all cores by itself; everything between the products (softmax, GELU, layer norm) runs on one.
    With one thread a share of the batch, these parts run side by side too. The environment variable
    EDUTRANSFORMERS_BATCH_THREADS does the same. Returns the number in force; without an argument changes nothing.

    Outputs are the same to the last bit for one and for several threads as far as BLAS computes rows alike; summed
    weight gradients may differ in the last digits, because the order of addition differs.
    """
    global _batch_threads
    if count is not None:
        if count < 1:
            raise ValueError(f"the number of batch threads is {count}: expected 1 or more")
        _batch_threads = count
    if _batch_threads is None:
        text = os.environ.get("EDUTRANSFORMERS_BATCH_THREADS", "1")
        if not text.isdigit() or text == "0":
            raise ValueError(f"EDUTRANSFORMERS_BATCH_THREADS is {text!r}: expected a whole number from 1")
        _batch_threads = int(text)
    return _batch_threads


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to keep large freed blocks for the next array instead of giving them back. True if it could.

    NumPy allocates a new array for most results. By default glibc maps arrays of more than 128 KB to 32 MB anew from
    the operating system each time, which must hand over zeroed pages: tens of thousands of page faults a training step.
    The price: the process keeps its peak memory. Only Linux with glibc.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD in malloc.h
    settings = ((mmap_threshold, 1 << 30), (trim_threshold, 2**31 - 1), (top_pad, 64 << 20))
    return all(mallopt(name, value) == 1 for name, value in settings)


def arrange_weights(model) -> bool:
    """Lay a model's weights out for writing. True if the system could be asked for large pages (Linux alone has them).

    Writing a word multiplies one row with every matrix once. That is no work for a processor: it waits for memory.
    So all weights move into one piece of memory,

    - with pages of 2 MB. Before a processor can read from a page it has to look up where the page lies, and it
      remembers only a few thousand of these places. GPT-2's 500 MB are 120,000 pages of the usual 4 KB, or 240 large
      ones. If few large pages are free, the system gives small ones.
    - with each matrix's longer axis innermost, so that the product goes through few long runs and not many short ones.
      `weight.data` keeps its shape and its numbers: a matrix (O, I) with O > I becomes a view of one (I, O).

    Worth it for writing. Larger products read a weight many times, and wait for arithmetic; looking up rows of a table
    that lies so takes longer (five microseconds each). Outputs may differ in the last digit, because the order of
    addition does. Training, loading and `astype` lay arrays out the usual way, so call it after them. Weights that are
    no NumPy arrays stay where they are.
    """
    weights = [
        parameter for parameter in model.parameters() if isinstance(parameter.data, np.ndarray) and parameter.data.size
    ]
    sizes = [-(-weight.data.nbytes // CACHE_LINE) * CACHE_LINE for weight in weights]
    memory, large = _piece_of_memory(sum(sizes) + LARGE_PAGE)
    place = -np.frombuffer(memory, np.uint8).ctypes.data % LARGE_PAGE
    for weight, size in zip(weights, sizes):
        old = weight.data
        new = np.frombuffer(memory, old.dtype, old.size, place)
        upright = old.ndim == 2 and old.shape[0] > old.shape[1]
        weight.data = new.reshape(old.T.shape).T if upright else new.reshape(old.shape)
        weight.data[...] = old
        place += size
    return large


def _piece_of_memory(size: int):
    """-> `size` bytes, and whether large pages could be asked for. A forked process that trains on changes its own."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return bytearray(size), False
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a system built without them
        return memory, False
    return memory, True


@contextmanager
def one_blas_thread():
    """Inside this block a matrix product uses one core, so that several Python threads don't fight over all of them.

    The setting is the process's. When several threads are inside at once, the first one sets it and the last one out
    restores it.
    """
    global _inside, _limit
    with _counting:
        if _inside == 0:
            _limit = _thread_pools().limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _counting:
            _inside -= 1
            if _inside == 0:
                _limit.restore_original_limits()


def run_side_by_side(tasks: list) -> list:
    """Call every task (a function without arguments) in a thread of its own, one BLAS thread each; their results.

    The threads see this thread's context, so that `inference_mode` holds in them as well.
    """
    with one_blas_thread():
        futures = [_workers(len(tasks) - 1).submit(copy_context().run, task) for task in tasks[1:]]
        try:
            first = tasks[0]()
        finally:  # also after an error here: nobody may go on computing behind the caller's back
            others = [future.exception() or future.result() for future in futures]
    for other in others:
        if isinstance(other, BaseException):
            raise other
    return [first, *others]


@lru_cache(maxsize=1)
def _thread_pools():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@lru_cache(maxsize=8)
def _workers(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=max(1, count), thread_name_prefix="edutransformers")
