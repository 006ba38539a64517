"""Nested dictionaries and lists with arrays in them, as one safetensors file: no pickle, so nothing can be executed."""

from __future__ import annotations

import json

from ..checkpoints.safetensors_file import read_metadata, read_safetensors, write_safetensors


def write_tree(file, tree) -> None:
    """`tree` may hold dictionaries, lists, arrays, and what JSON knows. Tuples come back as lists, keys as strings."""
    arrays = {}
    plain = _take_out(tree, "", arrays)
    write_safetensors(file, arrays, metadata={"tree": json.dumps(plain)})


def read_tree(path):
    """What `write_tree` wrote; the arrays are new ones."""
    plain = json.loads(read_metadata(path)["tree"])
    tensors = read_safetensors(path)
    return _put_in(plain, tensors)


def _take_out(value, name: str, arrays: dict):
    if isinstance(value, dict):
        return {str(key): _take_out(inner, f"{name}.{key}", arrays) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_take_out(inner, f"{name}.{index}", arrays) for index, inner in enumerate(value)]
    if hasattr(value, "dtype"):
        arrays[name.lstrip(".")] = value
        return {"array": name.lstrip(".")}
    return value


def _put_in(value, tensors: dict):
    if isinstance(value, dict):
        if set(value) == {"array"}:
            return tensors[value["array"]].read()
        return {key: _put_in(inner, tensors) for key, inner in value.items()}
    if isinstance(value, list):
        return [_put_in(inner, tensors) for inner in value]
    return value
