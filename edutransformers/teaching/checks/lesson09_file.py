"""Lesson 09, its fourth exercise: reading a safetensors file."""

import json

import numpy as np

from ..checker import CheckFailed, call, draw, draw_integers, equal, exercise, holds, same


def call_explained(explanations, answer, *inputs):
    """`call`; an error of the answer gets the words of the first name or text that is found in it."""
    try:
        return call(answer, *inputs)
    except CheckFailed as failure:
        for part, words in explanations.items():
            if "stopped with" in str(failure) and part in str(failure):
                raise CheckFailed(f"{failure}\n  → {words}") from None
        raise


READING_ERRORS = {
    "JSONDecodeError": "the header is raw[8 : 8 + N], with N = int.from_bytes(raw[:8], 'little')",
    "UnicodeDecodeError": "the header is raw[8 : 8 + N], with N = int.from_bytes(raw[:8], 'little')",
    "KeyError: 'data_offsets'": "`__metadata__` is no tensor and has no data_offsets: pass over it",
    "data type '": "the header's names of the types are not NumPy's: TYPES translates them",
    "buffer size must be": "a tensor's bytes are raw[8 + N + begin : 8 + N + end]; its type says how many a number has",
    "cannot reshape": "too many or too few bytes: a tensor's are raw[8 + N + begin : 8 + N + end]",
}


TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


@exercise(lesson=9)
def check_read_safetensors(answer):
    rng = np.random.default_rng()
    for with_metadata in (False, True):
        D = int(rng.integers(3, 7))
        arrays = {
            "b.weight": draw(D, 2 * D, dtype="float32"),
            "a.bias": draw(D, dtype="float16"),
            "scale": np.asarray(draw(), dtype="float64"),
            "ids": draw_integers(0, 1000, 1, D),
            "cube": draw(2, 3, D),
        }
        raw, starts, N = _file_of(arrays, rng, with_metadata)
        got = call_explained(READING_ERRORS, answer, raw)
        holds(isinstance(got, dict), "read_safetensors(raw) should return a dictionary {name: array}")
        equal(
            sorted(got),
            sorted(arrays),
            "the list of names",
            mistakes={
                "__metadata__ is no tensor: pass over it": sorted([*arrays, "__metadata__"]),
                "only the first tensor was read: is the `return` inside the loop?": [next(iter(arrays))],
                "nothing was read: `continue` passes over __metadata__, `break` and `return` end the loop": [],
            },
        )
        begin = 8 + N
        for name, wanted in arrays.items():
            flat = np.asarray(got[name])
            if flat.shape != wanted.shape and flat.size == wanted.size:
                same(
                    flat, wanted, f"the tensor {name!r}", {"`shape` of the header is not used: reshape": wanted.ravel()}
                )
            same(
                got[name],
                wanted,
                f"the tensor {name!r} {list(wanted.shape)}",
                mistakes={
                    words: _decoded(raw, starts[name] + shift, wanted)
                    for words, shift in (
                        ("data_offsets count from the end of the header, not from the start of the file", 0),
                        ("data_offsets count from the end of the header: the 8 bytes before it are missing", N),
                        ("data_offsets count from the end of the header: its length N is missing", 8),
                    )
                }
                | {
                    "the tensors don't lie in the header's order: data_offsets say where each begins": _decoded(
                        raw, begin, wanted
                    )
                }
                | _other_orders(raw, starts[name] + 8 + N, wanted),
            )
            begin += wanted.nbytes
            kind = np.asarray(got[name]).dtype
            holds(
                np.can_cast(wanted.dtype, kind, "safe"),
                f"the tensor {name!r} is of the type {kind}, but the header says {wanted.dtype}",
            )


def _file_of(arrays, rng, with_metadata):
    """-> the file's bytes, {name: first byte}, the header's length. Tensors lie in another order than in the header."""
    starts, data = {}, b""
    names = list(arrays)
    while names[0] in ("b.weight", "scale"):  # "scale" has 8 bytes, like the number before the header
        names = [list(arrays)[place] for place in rng.permutation(len(arrays))]
    for name in names:
        starts[name] = len(data)
        data += arrays[name].tobytes()
    kinds = {np.dtype(code): kind for kind, code in TYPES.items()}
    header = {"__metadata__": {"format": "pt"}} if with_metadata else {}
    for name, array in arrays.items():
        offsets = [starts[name], starts[name] + array.nbytes]
        header[name] = {"dtype": kinds[array.dtype], "shape": list(array.shape), "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data, starts, len(text)


def _decoded(raw, start, like):
    return np.frombuffer(raw[start : start + like.nbytes], dtype=like.dtype).reshape(like.shape)


def _other_orders(raw, start, wanted):
    mistakes = {}
    if wanted.ndim > 1:
        columns_first = wanted.ravel().reshape(wanted.shape, order="F")
        mistakes["the numbers lie row by row: reshape without order='F'"] = columns_first
    swapped = wanted.view(wanted.dtype.newbyteorder(">"))
    mistakes["the bytes of each number are taken in the wrong order: little-endian, '<'"] = swapped
    return mistakes
