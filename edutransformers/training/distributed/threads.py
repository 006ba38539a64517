"""Ranks as threads of one process: to learn and to test on, with nothing installed and nothing launched.

    def train():
        accelerator = Accelerator()          # finds its rank by itself
        ...
    run_in_threads(train, 2)                 # [what rank 0 returned, what rank 1 returned]

Not for speed: Python runs one thread at a time between array operations.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from contextvars import copy_context

from ...backend import Array, array_module
from .communicator import Communicator, use_communicator


class _Group:
    """What the ranks share: a barrier, and a place for what each brings along."""

    def __init__(self, size: int):
        self.barrier = threading.Barrier(size)
        self.brought = [None] * size


class ThreadCommunicator(Communicator):
    """One of several ranks that are threads of one process. They exchange by looking at each other's objects."""

    def __init__(self, group: _Group, rank: int):
        self._group = group
        self.rank = self.local_rank = rank
        self.size = self.local_size = len(group.brought)

    def _exchange(self, value) -> list:
        """Every rank's value; they stay as they are until all ranks come to the next meeting."""
        self._group.brought[self.rank] = value
        self._group.barrier.wait()
        return list(self._group.brought)

    def allreduce_(self, array: Array) -> None:
        arrays = self._exchange(array)
        total = sum(arrays[1:], start=arrays[0])  # in the order of ranks on all of them: the same bits
        self._group.barrier.wait()  # before anyone writes
        array[...] = total
        self._group.barrier.wait()

    def broadcast_(self, array: Array, root: int = 0) -> None:
        arrays = self._exchange(array)
        if self.rank != root:
            array_module(array).copyto(array, arrays[root])
        self._group.barrier.wait()

    def broadcast_object(self, value, root: int = 0):
        return self.gather_objects(value)[root]

    def gather_objects(self, value) -> list:
        gathered = copy.deepcopy(self._exchange(value))
        self._group.barrier.wait()
        return gathered

    def barrier(self) -> None:
        self._group.barrier.wait()

    def abort(self, code: int = 1) -> None:
        self._group.barrier.abort()
        raise SystemExit(code)


def run_in_threads(function: Callable, size: int) -> list:
    """Call `function()` once a rank, each in a thread in which `communicator()` is its rank's. Returns all results.

    An exception in one rank ends the waiting of the others, and is raised here.
    """
    group = _Group(size)
    results, errors = [None] * size, [None] * size

    def work(rank):
        try:
            with use_communicator(ThreadCommunicator(group, rank)):
                results[rank] = function()
        except BaseException as error:
            errors[rank] = error
            group.barrier.abort()

    threads = [threading.Thread(target=copy_context().run, args=(work, rank)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A rank that waited for a failed one has a BrokenBarrierError: the cause comes first.
    for error in sorted(
        (e for e in errors if e is not None), key=lambda e: isinstance(e, threading.BrokenBarrierError)
    ):
        raise error
    return results
