"""Memory measured: how many bytes arrays hold now, and held at the worst moment, on the host or on a GPU.

with memory_of(model) as memory:
    ...
    memory.reset_peak()
    ...
memory.peak
"""

from __future__ import annotations

import copy
import tracemalloc

import numpy as np

from ..backend import array_module
from ..module import Module
from .dry_run import gradient_of


class HostMemory:
    """What Python and NumPy take from the heap inside the block; NumPy reports its arrays to `tracemalloc`.

    A trace that runs already goes on; only its peak is reset.
    """

    def __enter__(self):
        self._ours = not tracemalloc.is_tracing()
        if self._ours:
            tracemalloc.start()
        self._before = tracemalloc.get_traced_memory()[0]
        self.reset_peak()
        return self

    def __exit__(self, *exception):
        self._last = self.size, self.peak
        if self._ours:
            tracemalloc.stop()

    def reset_peak(self) -> None:
        tracemalloc.reset_peak()

    @property
    def size(self) -> int:
        return tracemalloc.get_traced_memory()[0] - self._before

    @property
    def peak(self) -> int:
        if not tracemalloc.is_tracing():
            return self._last[1]
        return tracemalloc.get_traced_memory()[1] - self._before


def device_memory(cupy):
    """What CuPy's memory pool gives out inside the block, counted by a hook that the pool calls.

    In the pool's own sizes: multiples of 512 bytes. What the pool holds on to beyond that, to give it out again, shows
    in `cupy.get_default_memory_pool().total_bytes()`.
    """

    class DeviceMemory(cupy.cuda.MemoryHook):
        name = "edutransformers memory report"
        size = peak = 0

        def malloc_postprocess(self, **what):
            self.size += what["mem_size"]
            self.peak = max(self.peak, self.size)

        def free_postprocess(self, **what):
            self.size -= what["mem_size"]

        def reset_peak(self):
            self.peak = self.size

    return DeviceMemory()


def memory_of(model: Module):
    """The measuring instrument for where a model lives: a context manager with `size`, `peak` and `reset_peak()`."""
    xp = array_module(next(model.parameters()).data)
    return HostMemory() if xp is np else device_memory(xp)


def measured_peak(model: Module, batch: dict, optimizer=None, accumulation: int = 1) -> int:
    """The most bytes at one time in a real training step, weights and optimizer states included.

    The step is the second one of copies of model and optimizer: the first one makes the states.
    """
    if optimizer is not None:
        optimizer.zero_grad()
    with memory_of(model) as memory:
        model, optimizer = copy.deepcopy((model, optimizer))
        model.train()
        for _ in range(2):
            model.zero_grad()
            memory.reset_peak()
            for _ in range(accumulation):
                output, cache = model.forward(**batch)
                model.backward(gradient_of(output), cache)
                del output, cache
            if optimizer is not None:
                optimizer.step()
        return memory.peak
