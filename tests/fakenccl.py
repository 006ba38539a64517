"""A strict double of `cupyx.distributed` (CuPy 13 and 14): NCCL's rules on the device arrays of fakecupy.

    with fakecupy.installed(), fakenccl.installed(devices=2, exchange=...):
        group = cupyx.distributed.init_process_group(2, rank, backend="nccl", use_mpi=True)

`exchange(value)` is how ranks get each other's arrays here: every rank's value, in the order of ranks.
"""

import sys
import threading
import types
from contextlib import contextmanager

import numpy as np

from tests import fakecupy

DTYPES = "bBiIlLqQefdFD"  # those that cupyx.distributed knows: no booleans
REDUCTIONS = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
current_device = threading.local()  # of each rank: ranks are threads or processes


class NCCLBackend:
    """What `init_process_group` returns."""

    def __init__(self, n_devices: int, rank: int, exchange):
        self.rank = rank
        self._n_devices = n_devices
        self._exchange = exchange
        devices = exchange(getattr(current_device, "id", 0))
        if len(set(devices)) < n_devices:
            raise RuntimeError(f"NCCL_ERROR_INVALID_USAGE: duplicate GPU detected, ranks use {devices}")

    def _check(self, array):
        if not isinstance(array, fakecupy.ndarray):
            raise AttributeError("'memoryview' object has no attribute 'ptr'")
        if not array.flags.c_contiguous and not array.flags.f_contiguous:
            raise RuntimeError("NCCL requires arrays to be either c- or f-contiguous")
        if array.dtype.char not in DTYPES:
            raise TypeError(f"Unknown dtype {array.dtype} for NCCL")

    def _of_all(self, array):
        arrays = self._exchange(array._host.copy())
        if len({(other.size, other.dtype) for other in arrays}) > 1:
            raise RuntimeError("ranks bring different counts or types: NCCL would hang, or mix numbers up")
        return arrays

    def all_reduce(self, in_array, out_array, op="sum", stream=None):
        self._check(in_array)
        self._check(out_array)
        if op not in REDUCTIONS:
            raise RuntimeError(f"Unknown op {op} for NCCL")
        fakecupy.counts.launch()
        arrays = self._of_all(in_array)
        total = arrays[0]
        for other in arrays[1:]:
            total = REDUCTIONS[op](total, other)
        out_array._host.reshape(-1)[:] = total.reshape(-1)

    def broadcast(self, in_out_array, root=0, stream=None):
        self._check(in_out_array)
        fakecupy.counts.launch()
        in_out_array._host.reshape(-1)[:] = self._of_all(in_out_array)[root].reshape(-1)


@contextmanager
def installed(devices: int, exchange):
    """`import cupyx.distributed` gives the double, and the machine has so many GPUs. Inside `fakecupy.installed()`."""

    def init_process_group(n_devices, rank, *, backend="nccl", host=None, port=None, use_mpi=False):
        if n_devices <= 0:
            raise ValueError(f"Invalid number of devices {n_devices}")
        if not 0 <= rank < n_devices:
            raise ValueError(f"Invalid number of rank {rank} {n_devices}")
        if backend != "nccl":
            raise ValueError(f"{backend} is not supported")
        return NCCLBackend(n_devices, rank, exchange)

    module = types.ModuleType("cupyx.distributed")
    module.init_process_group, module.NCCLBackend = init_process_group, NCCLBackend
    before = fakecupy.cuda.runtime.getDeviceCount, fakecupy.Device.use
    fakecupy.cuda.runtime.getDeviceCount = lambda: devices
    fakecupy.Device.use = lambda self: setattr(current_device, "id", self.id)
    sys.modules["cupyx.distributed"] = module
    try:
        yield module
    finally:
        fakecupy.cuda.runtime.getDeviceCount, fakecupy.Device.use = before
        del sys.modules["cupyx.distributed"]
