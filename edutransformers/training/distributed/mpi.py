"""Ranks as processes that mpiexec has started, through mpi4py."""

from __future__ import annotations

import atexit
import os
import sys
import time
import traceback

import numpy as np

from ...backend import Array
from .communicator import Communicator
from .mpi_environment import launched_under_mpi

__all__ = ["MpiCommunicator", "launched_under_mpi"]

LEFT = 1  # tag of the message of a rank that ends
SPINS = 200  # looks at a meeting without a pause; then with one, so that a waiting rank leaves its core to others
LAST_WORDS = 0.3  # seconds for the launcher to read what a failing rank wrote: told to end, it drops what it has not
PAUSE = 5e-5  # seconds
PIECE = 4 * 1024 * 1024  # numbers in one message: for larger ones MPICH's temporary memory is mapped anew each time


class MpiCommunicator(Communicator):
    """All ranks of the job. GPU arrays are summed and copied by NCCL, all else by MPI.

    A rank that fails must not leave the others waiting:

    * an exception that nothing catches is printed with its rank, and ends all ranks;
    * a rank that ends in another way (sys.exit, or the end of its script) says so to the others. If one of them comes
      to a meeting that the ended rank has not been to, it raises `RuntimeError`, and the job ends as above;
    * one that calls os._exit says so, and mpiexec ends the others;
    * a process that is killed can say nothing: mpiexec notices, names it by its process number, and ends the others.

    Every collective call begins with a meeting (`Ibarrier`, looked at now and then), because MPI's own calls would wait
    for ever for a rank that has gone.
    """

    def __init__(self):
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise ImportError(
                "this process was launched under MPI, which needs mpi4py: pip install 'edutransformers[distributed]'"
            ) from error
        self._mpi = MPI
        self._world, self._control = MPI.COMM_WORLD.Dup(), MPI.COMM_WORLD.Dup()
        self.rank, self.size = self._world.rank, self._world.size
        machine = self._world.Split_type(MPI.COMM_TYPE_SHARED)
        self.local_rank, self.local_size = machine.rank, machine.size
        self._meetings = 0  # that this rank has been to
        self._left: dict[int, int] = {}  # rank that has ended -> meetings it had been to
        self._goodbyes = []  # messages under way
        self._process = os.getpid()
        self._device = None
        if self.size > 1:
            sys.excepthook = self._fail
            self._exit_process, os._exit = os._exit, self._exit
            atexit.register(self._leave)
            self._limit_blas()
            self._introduce()

    # -- the interface ------------------------------------------------------------------------------------------------

    def allreduce_(self, array: Array) -> None:
        if not isinstance(array, np.ndarray):
            self._for_device().allreduce_(array)
            return
        self._meet()
        flat = array.reshape(-1)
        for start in range(0, flat.size, PIECE):
            self._world.Allreduce(self._mpi.IN_PLACE, flat[start : start + PIECE])

    def broadcast_(self, array: Array, root: int = 0) -> None:
        if not isinstance(array, np.ndarray):
            self._for_device().broadcast_(array, root)
            return
        self._meet()
        self._world.Bcast(array.reshape(-1).view(np.uint8), root)  # as bytes: MPI knows no float16

    def broadcast_object(self, value, root: int = 0):
        self._meet()
        return self._world.bcast(value, root)

    def gather_objects(self, value) -> list:
        self._meet()
        return self._world.allgather(value)

    def barrier(self) -> None:
        self._meet()

    def abort(self, code: int = 1) -> None:
        self._mpi.COMM_WORLD.Abort(code)

    def _for_device(self) -> Communicator:
        if self._device is None:
            from .nccl import NcclCommunicator

            self._device = NcclCommunicator(self)
        return self._device

    # -- nobody waits for ever ----------------------------------------------------------------------------------------

    def _meet(self) -> None:
        """Return when all ranks have come to this meeting. Raises `RuntimeError` if one of them never will."""
        self._meetings += 1
        request, looks = self._control.Ibarrier(), 0
        while not request.Test():
            self._hear()
            missing = [rank for rank, meetings in self._left.items() if meetings < self._meetings]
            if missing:
                raise RuntimeError(
                    f"rank {missing[0]} of {self.size} has ended while rank {self.rank} waits for it: did it leave by "
                    "sys.exit, or take fewer steps than the others? All ranks must come to the same sums"
                )
            looks += 1
            if looks > SPINS:
                time.sleep(PAUSE)

    def _hear(self) -> None:
        """Take note of a rank that says it has ended."""
        status = self._mpi.Status()
        if self._control.Iprobe(tag=LEFT, status=status):
            meetings = np.empty(1, dtype=np.int64)
            self._control.Recv(meetings, source=status.source, tag=LEFT)
            self._left[status.source] = int(meetings[0])

    def _leave(self) -> None:
        """At the end of the process: tell the others."""
        if os.getpid() != self._process or self._mpi.Is_finalized():
            return
        message = np.array([self._meetings], dtype=np.int64)
        others = [rank for rank in range(self.size) if rank != self.rank]
        self._goodbyes = [(message, self._control.Isend(message, dest=rank, tag=LEFT)) for rank in others]

    def _fail(self, kind, error, trace) -> None:
        """In place of sys.excepthook: print what happened on which rank, and end the job."""
        lines = "".join(traceback.format_exception(kind, error, trace)).splitlines()
        if os.getpid() == self._process:
            lines.append(f"rank {self.rank} of {self.size} failed: the whole job ends")
        text = "".join(f"[rank {self.rank}] {line}\n" for line in lines)
        sys.stdout.flush()
        sys.stderr.write(text)
        sys.stderr.flush()
        if os.getpid() == self._process:  # not in a process that a rank has forked
            self._process = None  # no goodbyes
            time.sleep(LAST_WORDS)
            self.abort(130 if issubclass(kind, KeyboardInterrupt) else 1)

    def _exit(self, code: int) -> None:
        """In place of os._exit: say who it is. mpiexec names any of those that it ends."""
        if os.getpid() == self._process and code != 0:
            sys.stderr.write(f"[rank {self.rank}] rank {self.rank} of {self.size} left by os._exit({code})\n")
            sys.stderr.flush()
        self._exit_process(code)

    # -- at the start -------------------------------------------------------------------------------------------------

    def _limit_blas(self) -> None:
        """Share the cores out: every rank's matrix products would else take all of them."""
        if any(name in os.environ for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")):
            return
        from threadpoolctl import threadpool_limits

        self._limits = threadpool_limits(max(1, (os.cpu_count() or 1) // self.local_size))

    def _introduce(self) -> None:
        """Say which process is which rank: mpiexec reports a killed one by its process number."""
        processes = self.gather_objects(f"rank {self.rank} is process {self._process}")
        if self.rank == 0:
            print(f"{self.size} ranks: {', '.join(processes)}", file=sys.stderr, flush=True)
