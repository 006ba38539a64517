"""Writes pytorch_model.bin: the zip format that torch.load reads (see torch_bin.py), made without torch.

Safetensors are the better choice; this is for programs that only know `pytorch_model.bin`. The pickle is put together
from its few instructions by hand. Every tensor gets its own storage, and both are written one tensor at a time.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping

from .pickle_reader import STORAGE_DTYPES
from .safetensors_file import stored_bytes, stored_dtype
from .tensors import count

FOLDER = "archive"  # torch.save's own name for what is inside
STORAGE_NAMES = {dtype: name.removeprefix("torch.") for name, dtype in STORAGE_DTYPES.items()}


def write_torch_bin(file, arrays: Mapping, dtype: str | None = None, metadata=None) -> None:
    """Write arrays (host or GPU) to an open binary file. `dtype` changes the type of floating-point arrays on the way.

    The format has no place for `metadata`. Raises ValueError for number types that torch has no storage for.
    """
    kinds = {name: stored_dtype(array, dtype) for name, array in arrays.items()}
    for name, kind in kinds.items():
        if kind not in STORAGE_NAMES:
            raise ValueError(f"{name} holds {kind}, which pytorch_model.bin can't; save as safetensors")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{FOLDER}/data.pkl", _pickle(arrays, kinds))
        archive.writestr(f"{FOLDER}/byteorder", b"little")
        for key, array in enumerate(arrays.values()):
            with archive.open(f"{FOLDER}/data/{key}", "w", force_zip64=True) as entry:
                entry.write(memoryview(stored_bytes(array, dtype)))
        archive.writestr(f"{FOLDER}/version", b"3\n")


def _pickle(arrays: Mapping, kinds: Mapping[str, str]) -> bytes:
    """The pickle of {name: tensor}, protocol 2."""
    items = b"".join(
        _text(name) + _tensor(str(key), kinds[name], tuple(array.shape))
        for key, (name, array) in enumerate(arrays.items())
    )
    return b"\x80\x02" + b"}" + b"(" + items + b"u" + b"."  # PROTO 2, EMPTY_DICT, MARK, …, SETITEMS, STOP


def _tensor(key: str, kind: str, shape: tuple[int, ...]) -> bytes:
    """_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, backward_hooks), as pickle instructions."""
    strides, step = [], 1
    for side in reversed(shape):
        strides.insert(0, step)
        step *= max(side, 1)
    storage = (
        _text("storage") + _name("torch", STORAGE_NAMES[kind]) + _text(key) + _text("cpu") + _integer(count(shape))
    )
    no_hooks = _name("collections", "OrderedDict") + b")R"  # EMPTY_TUPLE, REDUCE: a call without arguments
    persistent_id = b"(" + storage + b"tQ"  # MARK, …, TUPLE, BINPERSID
    arguments = persistent_id + _integer(0) + _integers(shape) + _integers(strides) + b"\x89" + no_hooks  # NEWFALSE
    return _name("torch._utils", "_rebuild_tensor_v2") + b"(" + arguments + b"tR"  # MARK, …, TUPLE, REDUCE


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()  # GLOBAL


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw  # BINUNICODE


def _integer(n: int) -> bytes:
    if n < 2**31:
        return b"J" + struct.pack("<i", n)  # BININT
    return b"\x8a\x09" + n.to_bytes(9, "little")  # LONG1, nine bytes


def _integers(numbers) -> bytes:
    return b"(" + b"".join(map(_integer, numbers)) + b"t"  # MARK, …, TUPLE
