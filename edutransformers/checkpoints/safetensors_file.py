"""The safetensors format: an 8-byte length, that many bytes of JSON, then the tensors' numbers, one after the other.

    8 bytes     length N of the header, little-endian
    N bytes     {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …, "__metadata__": {…}}
    the rest    the numbers; data_offsets count from here

It is read here directly, not through the `safetensors` package, for three reasons: bfloat16 (which NumPy lacks) needs
the header anyway; while the package reads, file and arrays are in memory together (836 MB for BERT-base, here 418 MB);
and what is checked can be read in one place.
https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from .errors import looks_like
from .tensors import FileState, LazyTensor, are_naturals, count, dtype_name, is_shape, item_size, to_bfloat16

DTYPES = {  # the format's name -> ours
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "C64": "complex64",
}  # fmt: skip
FORMAT_NAMES = {ours: theirs for theirs, ours in DTYPES.items()}
BITS = {theirs: 8 * item_size(ours) for theirs, ours in DTYPES.items()}
BITS.update({"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8})  # known, but not read

LARGEST_HEADER = 100_000_000  # the format's own limit


def read_safetensors(path) -> dict[str, LazyTensor]:
    """name -> tensor, in the order of the file. Only the header is read; every offset in it is checked.

    Raises `CheckpointFormatError` for a file that is truncated, corrupt, or something else.
    """
    source = FileState.of(path)
    header, data_start = read_header(source)
    header.pop("__metadata__", None)
    data_length = source.size - data_start

    tensors, ranges = {}, []
    for name, entry in header.items():
        dtype, shape, begin, end = _check_entry(source, name, entry, data_length)
        tensors[name] = LazyTensor(source, DTYPES.get(dtype, dtype), shape, data_start + begin)
        ranges.append((begin, end, name))

    position, before = 0, None
    for begin, end, name in sorted(ranges):
        if begin < position:
            raise source.wrong(f"the tensors {before!r} and {name!r} overlap; the file is corrupt: fetch it again")
        if begin > position:
            raise source.wrong(f"no tensor owns the bytes before {name!r}; the file is corrupt: fetch it again")
        position, before = end, name
    if position != data_length:
        raise source.wrong(f"its tensors end at byte {position} of {data_length}; the file is corrupt: fetch it again")
    return tensors


def read_metadata(path) -> dict[str, str]:
    """The text that a file carries besides its tensors, for example {"format": "pt"}."""
    header, _ = read_header(FileState.of(path))
    metadata = header.get("__metadata__", {})
    return metadata if isinstance(metadata, dict) else {}


def read_header(source: FileState) -> tuple[dict, int]:
    """(the header, the byte where the numbers start)."""
    if source.size < 8:
        raise source.wrong(f"it has {source.size} bytes, a safetensors file starts with 8; fetch it again")
    with source.open() as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(source.size - 8, LARGEST_HEADER):
            kind = {"zip": "a zip file, as torch.save writes it", "pickle": "a pickle"}.get(looks_like(source.path))
            if kind is not None:
                raise source.wrong(f"it is {kind}, not a safetensors file; name it pytorch_model.bin to load it")
            raise source.wrong(
                f"its first 8 bytes say that the header has {length} bytes, but the file has {source.size}; "
                "it is truncated or not a safetensors file: fetch it again"
            )
        raw = file.read(length)
    try:
        header = json.loads(raw, object_pairs_hook=_refuse_duplicates)
    except (ValueError, RecursionError) as error:
        raise source.wrong(f"its header is not JSON ({error}); the file is corrupt: fetch it again") from error
    if not isinstance(header, dict):
        raise source.wrong(f"its header is a JSON {type(header).__name__}; expected an object of tensors by name")
    return header, 8 + length


def _refuse_duplicates(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


def _check_entry(source: FileState, name: str, entry, data_length: int):
    """(dtype, shape, first byte, byte behind the last) of one header entry, after checking that they fit together."""

    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise source.wrong(f"the header's entry for {name!r} lacks dtype, shape or data_offsets; fetch the file again")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not is_shape(shape):
        raise source.wrong(f"{name!r} has the shape {shape!r:.100}; expected a list of natural numbers")
    if not are_naturals(offsets) or len(offsets) != 2:
        raise source.wrong(f"{name!r} has the offsets {offsets!r:.100}; expected two natural numbers")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise source.wrong(f"{name!r} has the number type {dtype!r:.100}, which is not one of {', '.join(BITS)}")
    begin, end = offsets
    if not begin <= end <= data_length:
        raise source.wrong(
            f"{name!r} lies at bytes {begin} to {end}, but the file has only {data_length} after its header; "
            "it is truncated: fetch it again"
        )
    needed = (count(shape) * BITS[dtype] + 7) // 8
    if end - begin != needed:
        raise source.wrong(f"{name!r} has {end - begin} bytes, but {dtype} of shape {shape} needs {needed}")
    return dtype, shape, begin, end


# -- writing ----------------------------------------------------------------------------------------------------------


def write_safetensors(file, arrays: Mapping[str, np.ndarray], dtype: str | None = None, metadata=None) -> None:
    """Write arrays (host or GPU) to an open binary file, one at a time, so that no second copy of the model is made.

    `dtype` ("float16", "bfloat16", …) changes the number type of the floating-point arrays on the way.
    """
    # Widest numbers first, so that every tensor starts at a multiple of its number's size, as the format asks.
    order = sorted(arrays, key=lambda name: -item_size(stored_dtype(arrays[name], dtype)))
    header, position = {"__metadata__": metadata or {"format": "pt"}}, 0
    for name in order:
        kind = stored_dtype(arrays[name], dtype)
        end = position + count(arrays[name].shape) * item_size(kind)
        header[name] = {"dtype": FORMAT_NAMES[kind], "shape": list(arrays[name].shape), "data_offsets": [position, end]}
        position = end
    raw = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    raw += b" " * (-len(raw) % 8)
    file.write(len(raw).to_bytes(8, "little"))
    file.write(raw)
    for name in order:
        file.write(memoryview(stored_bytes(arrays[name], dtype)))


def stored_dtype(array, dtype: str | None) -> str:
    """The number type that an array is written in: floating-point ones may be changed, others stay."""
    name = array.dtype.name
    if name not in FORMAT_NAMES:
        raise ValueError(f"an array of {name} can't be saved; expected float32, float16, float64 or whole numbers")
    return dtype_name(dtype) if dtype is not None and name.startswith("float") else name


def stored_bytes(array, dtype: str | None) -> np.ndarray:
    """The bytes of an array as they stand in the file, as a flat uint8 array."""
    from ..backend import to_numpy
    from .tensors import STORED_AS, convert

    kind = stored_dtype(array, dtype)
    array = to_numpy(array)
    array = to_bfloat16(array) if kind == "bfloat16" else convert(array, np.dtype(STORED_AS[kind]))
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def total_bytes(arrays: Mapping[str, np.ndarray], dtype: str | None = None) -> int:
    """How many bytes these arrays take in a file."""
    return sum(count(x.shape) * item_size(stored_dtype(x, dtype)) for x in arrays.values())
