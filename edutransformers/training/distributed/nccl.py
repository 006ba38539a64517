"""Sums over GPUs: NCCL, NVIDIA's library for it, through cupyx.distributed."""

from __future__ import annotations

import numpy as np

from ...backend import Array, module_for, nccl_group
from .communicator import Communicator


class NcclCommunicator(Communicator):
    """GPU arrays by NCCL, from GPU to GPU; objects, meetings and host arrays by another communicator, `host`.

    Every rank needs a GPU of its own: its local rank's. The sum is queued behind the work that computes the gradients,
    so the host does not wait for the GPU.

    Source: NVIDIA's NCCL; cupyx.distributed.NCCLBackend. Tested against a double of that interface, not yet on GPUs.
    """

    def __init__(self, host: Communicator):
        self.host = host
        self.rank, self.size = host.rank, host.size
        self.local_rank, self.local_size = host.local_rank, host.local_size
        devices = module_for("cupy").cuda.runtime.getDeviceCount()
        if host.local_size > devices:
            raise RuntimeError(
                f"{host.local_size} ranks on a machine with {devices} GPU(s): NCCL needs a GPU for each rank; launch "
                f"{devices} rank(s) a machine"
            )
        self._group = nccl_group(host.rank, host.size, host.local_rank)

    def allreduce_(self, array: Array) -> None:
        if isinstance(array, np.ndarray):
            self.host.allreduce_(array)
            return
        self.host.barrier()  # NCCL would wait for ever for a rank that has gone
        self._group.all_reduce(array, array, op="sum")

    def broadcast_(self, array: Array, root: int = 0) -> None:
        if isinstance(array, np.ndarray):
            self.host.broadcast_(array, root)
            return
        self.host.barrier()
        self._group.broadcast(array.reshape(-1).view(np.uint8), root)  # as bytes: NCCL knows no booleans

    def broadcast_object(self, value, root: int = 0):
        return self.host.broadcast_object(value, root)

    def gather_objects(self, value) -> list:
        return self.host.gather_objects(value)

    def barrier(self) -> None:
        self.host.barrier()

    def abort(self, code: int = 1) -> None:
        self.host.abort(code)
