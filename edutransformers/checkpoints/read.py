"""A checkpoint's tensors by name, wherever it is and in whatever format."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from .environment import offline_variable
from .errors import CheckpointNotFoundError
from .resolve import commit_of, resolve_file
from .safetensors_file import read_safetensors
from .sharded import read_shards
from .tensors import LazyTensor
from .torch_bin import read_torch_bin

FORMATS = (  # in order of preference: (file of all weights, index of several files, reader)
    ("model.safetensors", "model.safetensors.index.json", read_safetensors),
    ("pytorch_model.bin", "pytorch_model.bin.index.json", read_torch_bin),
)
FOREIGN = {  # weights of other frameworks: only to say what to do
    "tf_model.h5": "TensorFlow", "flax_model.msgpack": "Flax", "model.ckpt.index": "TensorFlow 1",
}  # fmt: skip


def read_checkpoint(
    name: str | os.PathLike, *, use_safetensors: bool | None = None, variant: str | None = None, **hub
) -> dict[str, LazyTensor]:
    """name of tensor -> tensor, its numbers still in the file (`tensor.read()` or `numpy.asarray(tensor)` brings them).

    `name` is what `resolve_file` finds, or the path of one weights file. Safetensors are preferred over
    pytorch_model.bin, one file over several. `use_safetensors=True` or `False` allows only one of the formats;
    `variant="fp16"` asks for model.fp16.safetensors. `hub` goes to `resolve_file`.

    Raises `CheckpointNotFoundError` when there are no weights, `CheckpointFormatError` when they are not to be read.
    """
    if os.path.isfile(name):
        return read_weights_file(Path(name))

    for filename, index_name, read in FORMATS:
        if use_safetensors is not None and use_safetensors != (read is read_safetensors):
            continue
        path = resolve_file(name, with_variant(filename, variant), **hub)
        if path is not None:
            return read(path)
        index = resolve_file(name, with_variant(index_name, variant), **hub)
        if index is not None:
            pinned = {**hub, "_commit_hash": commit_of(index) or hub.get("_commit_hash")}
            return read_shards(index, partial(resolve_file, name, **pinned), read)
    raise _no_weights(name, use_safetensors, variant, hub)


def read_weights_file(path: Path) -> dict[str, LazyTensor]:
    """The tensors of one file that was named itself: by its suffix, safetensors or torch.save."""
    if ".index." in path.name:
        read = read_safetensors if ".safetensors." in path.name else read_torch_bin
        return read_shards(path, lambda shard: _existing(path.parent / shard), read)
    return read_safetensors(path) if path.suffix == ".safetensors" else read_torch_bin(path)


def with_variant(filename: str, variant: str | None) -> str:
    """model.safetensors -> model.fp16.safetensors; an index gets it before its last suffix, as in the original."""
    if variant is None:
        return filename
    stem, suffix = filename.rsplit(".", 1)
    return f"{stem}.{variant}.{suffix}"


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _no_weights(name, use_safetensors, variant, hub) -> CheckpointNotFoundError:
    wanted = [
        with_variant(file, variant)
        for single, index, read in FORMATS
        if use_safetensors is None or use_safetensors == (read is read_safetensors)
        for file in (single, index)
    ]
    for filename, framework in FOREIGN.items():
        if resolve_file(name, filename, **hub) is not None:
            return CheckpointNotFoundError(
                f"{name} has only {framework} weights ({filename}); expected {' or '.join(wanted)}: load it with "
                "transformers and save it there with save_pretrained"
            )
    advice = "copy or download the whole checkpoint"
    if offline_variable() is not None and not os.path.isdir(name):
        advice = f"the cache holds only a part of it: unset {offline_variable()} to download the rest"
    return CheckpointNotFoundError(f"{name} has no weights: none of {', '.join(wanted)} is there; {advice}")
