"""pytorch_model.bin: what torch.save writes, read without torch and without executing anything.

Since torch 1.6 it is a zip file:
    <name>/data.pkl        a pickle of {tensor name: tensor}; a tensor says which part of which storage it is
    <name>/data/<key>      the numbers of one storage, not compressed
    <name>/byteorder       "little" (newer versions)
Before, it was five parts one after the other: the pickles of a magic number, a protocol number, and a dictionary about
the system; the pickle of {tensor name: tensor}; the pickle of the list of storage keys; then for each key an 8-byte
length and the numbers.

A storage is a byte range of the file either way, so a tensor can be read when it is wanted.
"""

from __future__ import annotations

import io
import struct
import zipfile

from .errors import CheckpointFormatError, looks_like
from .pickle_reader import Storage, StoredTensor, UnsafePickleError, read_pickle
from .tensors import FileState, LazyTensor, item_size

MAGIC = 0x1950A86A20F9469CFC6C  # torch's mark of its old format
PROTOCOL = 1001
ZIP_LOCAL_HEADER = 30  # bytes before the name in front of each file of a zip


def read_torch_bin(path) -> dict[str, LazyTensor]:
    """name -> tensor. Every offset and length is checked against the file.

    Raises `CheckpointFormatError` for a file that is damaged, something else, or holds more than tensors; a name that
    has no business in a checkpoint is named, never imported.
    """
    source = FileState.of(path)
    kind = looks_like(path)
    try:
        if kind == "zip":
            saved, ranges = _read_zip(source)
        elif kind == "pickle":
            saved, ranges = _read_legacy(source)
        else:
            raise source.wrong("it is not a file of torch.save; fetch it again")
        return _tensors(source, saved, ranges)
    except UnsafePickleError as error:
        raise source.wrong(str(error)) from error
    except CheckpointFormatError:
        raise
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, OverflowError, struct.error) as error:
        raise source.wrong(f"its zip archive is damaged ({error}); fetch it again") from error


def _tensors(source: FileState, saved, ranges: dict[str, tuple[int, int]]) -> dict[str, LazyTensor]:
    if not isinstance(saved, dict):
        raise source.wrong(f"it holds a {type(saved).__name__}; expected tensors by name")
    tensors = {}
    for name, tensor in saved.items():
        if not isinstance(tensor, StoredTensor):
            found = f"a {type(tensor).__name__} under {name!r:.100}"
            raise source.wrong(f"it holds {found}; expected tensors only (is it a whole training state, not a model?)")
        start, length = _find_storage(source, name, tensor.storage, ranges)
        width = item_size(tensor.storage.dtype)
        if length < tensor.storage.length * width:
            raise source.wrong(
                f"the numbers of {name!r} have {length} bytes, but {tensor.storage.length} of {tensor.storage.dtype} "
                f"need {tensor.storage.length * width}; fetch it again"
            )
        begin = start + tensor.offset * width
        tensors[str(name)] = LazyTensor(source, tensor.storage.dtype, tensor.shape, begin, tensor.strides)
    return tensors


def _find_storage(source, name, storage: Storage, ranges) -> tuple[int, int]:
    """(first byte, length in bytes) of a storage."""
    key, skip, length = storage.key, 0, None
    if storage.view is not None:  # a part of another storage, as files of very old versions have
        key, offset, view_length = storage.view
        skip, length = offset * item_size(storage.dtype), view_length * item_size(storage.dtype)
    if key not in ranges:
        raise source.wrong(f"the numbers of {name!r} (storage {key!r}) are not in it; fetch it again")
    start, available = ranges[key]
    available = max(available - skip, 0)
    return start + skip, available if length is None else min(available, length)


# -- the zip format ---------------------------------------------------------------------------------------------------


def _read_zip(source: FileState):
    """(the saved object, storage key -> (first byte, length))."""
    with source.open() as raw, zipfile.ZipFile(raw) as archive:
        entries = archive.infolist()
        pickles = [entry for entry in entries if entry.filename.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise source.wrong("it is a zip file without one data.pkl, so not a file of torch.save; fetch it again")
        folder = pickles[0].filename.split("/")[0]
        ranges = {}
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise source.wrong(f"{entry.filename} in it is compressed, which torch.save never does")
            if entry.filename == f"{folder}/byteorder":
                start, length = _entry_range(source, raw, entry)
                raw.seek(start)
                if raw.read(min(length, 8)) != b"little":
                    raise source.wrong("it was saved on a big-endian machine; save it again as safetensors")
            if entry.filename.startswith(f"{folder}/data/"):
                ranges[entry.filename.removeprefix(f"{folder}/data/")] = _entry_range(source, raw, entry)
        start, length = _entry_range(source, raw, pickles[0])
        raw.seek(start)
        return read_pickle(io.BytesIO(raw.read(length))), ranges


def _entry_range(source: FileState, raw, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Where the bytes of an entry of a zip file are. Its own header repeats name and extra data, of any length."""
    raw.seek(max(entry.header_offset, 0))
    header = raw.read(ZIP_LOCAL_HEADER)
    if len(header) < ZIP_LOCAL_HEADER or header[:4] != b"PK\x03\x04":
        raise source.wrong(f"{entry.filename} in it is not where the zip's list says; fetch it again")
    name_length, extra_length = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    start = entry.header_offset + ZIP_LOCAL_HEADER + name_length + extra_length
    if start + entry.file_size > source.size:
        raise source.wrong(f"{entry.filename} in it reaches behind the file's end; it is truncated: fetch it again")
    return start, entry.file_size


# -- the format before torch 1.6 --------------------------------------------------------------------------------------


def _read_legacy(source: FileState):
    """(the saved object, storage key -> (first byte, length))."""
    with source.open() as raw, io.BufferedReader(raw) as file:
        if read_pickle(file) != MAGIC:
            raise source.wrong("it is a pickle, but not one of torch.save; nothing of it was executed")
        if read_pickle(file) != PROTOCOL:
            raise source.wrong(f"it has another version of torch.save's format; expected {PROTOCOL}")
        system = read_pickle(file)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise source.wrong("it was saved on a big-endian machine; save it again as safetensors")
        saved = read_pickle(file)
        keys = read_pickle(file)
        dtypes = _storage_dtypes(saved)
        ranges = {}
        for key in keys if isinstance(keys, list) else ():
            if not isinstance(key, str) or key not in dtypes:
                raise source.wrong(f"it lists a storage {key!r:.50} that no tensor uses, so its length is unknown")
            length = int.from_bytes(file.read(8), "little") * item_size(dtypes[key])
            start = file.tell()
            if start + length > source.size:
                raise source.wrong(
                    f"storage {key!r} needs {length} bytes, but only {source.size - start} are left; it is truncated: "
                    "fetch it again"
                )
            ranges[key] = (start, length)
            file.seek(start + length)
        return saved, ranges


def _storage_dtypes(saved) -> dict[str, str]:
    """Storage key -> number type, from the tensors: the old format does not repeat it beside the numbers."""
    if not isinstance(saved, dict):
        return {}
    storages = [tensor.storage for tensor in saved.values() if isinstance(tensor, StoredTensor)]
    dtypes = {storage.view[0]: storage.dtype for storage in storages if storage.view is not None}
    dtypes.update((storage.key, storage.dtype) for storage in storages if storage.view is None)
    return dtypes
