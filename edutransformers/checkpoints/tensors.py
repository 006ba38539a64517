"""A tensor that is still in its file, and the number types of checkpoint files.

Names of number types are the original's: "float32", "bfloat16", "int64". NumPy lacks bfloat16, which is a float32 cut
after its upper 16 bits: it is read by putting 16 zero bits behind, and written by rounding to the nearest.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..backend import to_numpy
from ..logging import get_logger
from .errors import CheckpointFormatError, explain_wrong_file

logger = get_logger(__name__)

STORED_AS = {  # name -> the NumPy type of its bytes in the file; checkpoint files are little-endian
    "bool": "|b1", "uint8": "|u1", "int8": "|i1", "uint16": "<u2", "int16": "<i2", "uint32": "<u4", "int32": "<i4",
    "uint64": "<u8", "int64": "<i8", "float16": "<f2", "bfloat16": "<u2", "float32": "<f4", "float64": "<f8",
    "complex64": "<c8",
}  # fmt: skip


MOST_AXES = 32  # of a NumPy array, in NumPy 1
BLOCK = 2**16  # numbers converted at a time


def item_size(dtype: str) -> int:
    """Bytes of one number of the type with this name."""
    return np.dtype(STORED_AS[dtype]).itemsize


class FileState(NamedTuple):
    """What a file was when its list of tensors was read; tensors are read later, and the file must still be that."""

    path: Path
    size: int
    modified: int

    @classmethod
    def of(cls, path) -> FileState:
        path = Path(path)
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)

    def open(self):
        """The file, opened to read numbers. Raises `CheckpointFormatError` when it is no longer the same file."""
        file = open(self.path, "rb", buffering=0)  # noqa: SIM115 (the caller closes it)
        status = os.fstat(file.fileno())
        if (status.st_size, status.st_mtime_ns) != (self.size, self.modified):
            file.close()
            raise CheckpointFormatError(f"{self.path} was changed while it was being read; load it again")
        return file

    def wrong(self, why: str) -> CheckpointFormatError:
        """The error that says what is wrong with this file, in terms of its first bytes when those tell more."""
        return CheckpointFormatError(f"{self.path} can't be read: {explain_wrong_file(self.path) or why}")


class LazyTensor:
    """A tensor in a file: shape and number type are known, its numbers are read when asked for.

    `start` is the byte of the file where its first number is; `strides` (in numbers, not bytes) are given when its
    numbers don't simply follow one another. Whoever makes one has checked that all of it lies inside the file.
    """

    def __init__(self, source: FileState, dtype: str, shape, start: int, strides=None):
        self.source = source
        self.dtype = dtype
        self.shape = tuple(shape)
        self.start = start
        self.strides = None if strides is None or is_contiguous(self.shape, strides) else tuple(strides)

    @property
    def size(self) -> int:
        return count(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * item_size(self.dtype) if self.dtype in STORED_AS else 0

    def read(self, dtype=None) -> np.ndarray:
        """The numbers, as a new array of `dtype` (default: the file's type; bfloat16 becomes float32)."""
        if self.dtype not in STORED_AS:
            raise CheckpointFormatError(
                f"{self.source.path} holds numbers of type {self.dtype}, which this library can't read; "
                "expected float32, float16 or bfloat16 (save the model in one of these first)"
            )
        stored = np.dtype(STORED_AS[self.dtype])
        length = self.size if self.strides is None else extent(self.shape, self.strides)
        flat = np.empty(length, dtype=stored)
        self._read_into(flat)
        if self.strides is not None:
            steps = tuple(step * stored.itemsize for step in self.strides)
            array = np.lib.stride_tricks.as_strided(flat, self.shape, steps, writeable=False).copy()
        else:
            array = flat.reshape(self.shape)
        if self.dtype == "bfloat16":
            array = from_bfloat16(array)
        return convert(array, array.dtype.newbyteorder("=") if dtype is None else dtype)

    def _read_into(self, flat: np.ndarray) -> None:
        view = memoryview(flat.view(np.uint8)) if flat.size else memoryview(b"")
        with self.source.open() as file:
            file.seek(self.start)
            done = 0
            while done < len(view):  # one call reads at most 2 GB on some systems
                got = file.readinto(view[done:])
                if not got:
                    raise self.source.wrong("it ends in the middle of a tensor; fetch the file again")
                done += got

    def __array__(self, dtype=None, copy=None):
        return self.read(dtype)

    def __repr__(self):
        return f"LazyTensor(shape={self.shape}, dtype={self.dtype}, file={self.source.path.name!r})"


class HeldTensor:
    """An array in memory with the face of a LazyTensor: what `from_pretrained(..., state_dict=...)` hands over."""

    def __init__(self, array):
        self.array = array if isinstance(array, np.ndarray) else to_numpy(array)
        self.dtype = self.array.dtype.name
        self.shape = self.array.shape

    def read(self, dtype=None) -> np.ndarray:
        return convert(self.array.copy(), self.array.dtype if dtype is None else dtype)


# -- shapes and strides -----------------------------------------------------------------------------------------------


def count(shape) -> int:
    """How many numbers a tensor of this shape has (a Python integer: NumPy's would overflow on a hostile shape)."""
    total = 1
    for side in shape:
        total *= side
    return total


def are_naturals(numbers) -> bool:
    """True for a list of 0, 1, 2, … as shapes, strides and offsets must be; none absurdly large, nor too many."""
    if not isinstance(numbers, (list, tuple)) or len(numbers) > MOST_AXES:
        return False
    return all(type(n) is int and 0 <= n < 2**48 for n in numbers)


def is_shape(shape) -> bool:
    """True for a list of natural numbers that NumPy can make an array of."""
    return are_naturals(shape) and count(max(side, 1) for side in shape) < 2**56


def extent(shape, strides) -> int:
    """From the first to just behind the last number that these strides reach, counted in numbers."""
    if 0 in shape:
        return 0
    return 1 + sum((side - 1) * step for side, step in zip(shape, strides))


def is_contiguous(shape, strides) -> bool:
    """True when row-major order is the order in memory."""
    expected = 1
    for side, step in zip(reversed(shape), reversed(strides)):
        if side != 1 and step != expected:
            return False
        expected *= side
    return True


# -- number types -----------------------------------------------------------------------------------------------------


def dtype_name(dtype) -> str:
    """ "float32" for numpy.float32, "float32", numpy.dtype("float32"), torch.float32 and "torch.float32"."""
    if isinstance(dtype, str):
        return dtype.removeprefix("torch.")
    text = str(dtype)
    return text.removeprefix("torch.") if text.startswith("torch.") else np.dtype(dtype).name


def float_dtype(dtype) -> np.dtype:
    """The NumPy type that a model shall compute in. Raises ValueError for one that it can't."""
    name = dtype_name(dtype)
    if name == "bfloat16":
        raise ValueError("a model can't compute in bfloat16, which NumPy lacks; use 'float32' or 'float16'")
    if name not in ("float16", "float32", "float64"):
        raise ValueError(f"the number type of a model is {name!r}; expected 'float32', 'float16', 'float64' or 'auto'")
    return np.dtype(name)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """float32 from the 16 bits of bfloat16: they are float32's upper half."""
    wide = bits.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def to_bfloat16(x: np.ndarray) -> np.ndarray:
    """The 16 bits of bfloat16 nearest to each number (ties to even), as uint16."""
    flat = np.ascontiguousarray(x, dtype=np.float32).reshape(-1).view(np.uint32)
    result = np.empty(flat.shape, dtype=np.uint16)
    for start in range(0, flat.size, BLOCK):  # what lies between stays in the processor's cache
        bits = flat[start : start + BLOCK]
        # Adding just under half of the last kept bit's worth rounds up exactly what lies above the middle; the last
        # kept bit itself decides a tie. It carries into the exponent by itself, up to infinity.
        rounded = bits + (0x7FFF + ((bits >> 16) & 1))
        nan = (bits & 0x7FFFFFFF) > 0x7F800000
        rounded[nan] = bits[nan] | 0x00400000  # a NaN must stay one, even if all its set bits were in the lower half
        result[start : start + BLOCK] = rounded >> 16
    return result.reshape(x.shape)


def convert(array: np.ndarray, dtype) -> np.ndarray:
    """`array` in another number type; the same array if it has that type. Numbers that don't fit become infinite."""
    with np.errstate(over="raise"):
        try:
            return array.astype(dtype, copy=False)
        except FloatingPointError:
            logger.warning("some weights are too large for %s and become infinite; load with float32", np.dtype(dtype))
    with np.errstate(over="ignore"):
        return array.astype(dtype, copy=False)
