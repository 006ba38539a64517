"""What processes that train together need of each other: sums, copies, objects, a meeting place, an emergency stop.

Processes are numbered: `rank` 0 … `size` − 1. Every method but `abort` is collective: all ranks must call it, in the
same order, or the others wait.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

from ...backend import Array
from .mpi_environment import launched_under_mpi


class Communicator:
    """One process, alone: every sum has one term. Also the interface of the others (MPI, NCCL, threads).

    rank, size               this process's number, and how many there are
    local_rank, local_size   the same among the processes on this machine: which GPU is whose
    """

    rank = 0
    size = 1
    local_rank = 0
    local_size = 1

    def allreduce_(self, array: Array) -> None:
        """array ← Σ over ranks of their arrays, in place. `array` is contiguous, and of one shape on all ranks."""

    def broadcast_(self, array: Array, root: int = 0) -> None:
        """array ← the array of rank `root`, in place, to the last bit."""

    def broadcast_object(self, value, root: int = 0):
        """The `value` of rank `root`; anything that pickle knows."""
        return value

    def gather_objects(self, value) -> list:
        """[value of rank 0, value of rank 1, …], on every rank."""
        return [value]

    def barrier(self) -> None:
        """Return when all ranks have come here."""

    def abort(self, code: int = 1) -> None:
        """End all processes at once."""
        raise SystemExit(code)

    def __repr__(self):
        return f"{type(self).__name__}(rank {self.rank} of {self.size})"


_current: ContextVar[Communicator | None] = ContextVar("edutransformers_communicator", default=None)


def communicator() -> Communicator:
    """The communicator of this process: MPI's when it was launched by `mpiexec` with several ranks, else one alone."""
    return _current.get() or _of_the_process()


@contextmanager
def use_communicator(chosen: Communicator):
    """Inside this block `communicator()`, and so Accelerator and Trainer, is `chosen`."""
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)


@lru_cache(maxsize=1)
def _of_the_process() -> Communicator:
    if launched_under_mpi():
        from .mpi import MpiCommunicator

        return MpiCommunicator()
    return Communicator()
