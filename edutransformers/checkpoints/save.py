"""A whole model into a folder: config.json and its weights, as the original reads them."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

import numpy as np

from ..logging import get_logger
from .config_file import CONFIG_NAME, config_text
from .read import with_variant
from .safetensors_file import stored_dtype, total_bytes, write_safetensors
from .sharded import SAVE_MARK, index_text, parse_size, split
from .sharing import check_not_pushed
from .tensors import count, dtype_name, item_size
from .torch_bin_writer import write_torch_bin
from .write import write_files

logger = get_logger(__name__)


def save_model(
    model,
    folder: str | os.PathLike,
    *,
    is_main_process: bool = True,
    state_dict=None,
    max_shard_size: int | str = "5GB",
    safe_serialization: bool = True,
    variant: str | None = None,
    dtype=None,
    push_to_hub: bool = False,
    **ignored,
) -> None:
    """Write config.json and model.safetensors (or numbered files and an index, if larger than `max_shard_size`).

    `dtype` ("float16", "bfloat16", "float32") is the number type in the file; by default the model's own. A tied weight
    is written once. `state_dict` saves these arrays in place of the model's. `is_main_process=False` writes nothing
    (several processes share a folder). An interrupted save leaves the old checkpoint as it was; see write.py.

    Raises `ValueError` for options that can't be had, OSError when the folder can't be written.
    """
    check_not_pushed(push_to_hub)
    unknown = set(ignored) - {"token", "use_auth_token", "save_function", "save_peft_format"}
    if unknown:
        raise TypeError(f"save_pretrained got an unknown argument {sorted(unknown)[0]!r}")
    if not is_main_process:
        return
    dtype = _file_dtype(dtype)
    arrays = unique_arrays(model) if state_dict is None else dict(state_dict)
    arrays = {name: array for name, array in arrays.items() if name not in (_ignored_keys(model) or ())}

    weights_name = with_variant("model.safetensors" if safe_serialization else "pytorch_model.bin", variant)
    write = write_safetensors if safe_serialization else write_torch_bin
    sizes = {name: count(x.shape) * item_size(stored_dtype(x, dtype)) for name, x in arrays.items()}
    shards = split(sizes, parse_size(max_shard_size), weights_name)

    metadata = {"format": "pt"}
    if len(shards) > 1:
        metadata[SAVE_MARK] = secrets.token_hex(8)  # so that shards of two saves, one interrupted, are told apart

    def writer(names):
        return lambda file: write(file, {name: arrays[name] for name in names}, dtype, metadata)

    files = {filename: writer(names) for filename, names in shards.items()}
    floats = [array.dtype for array in arrays.values() if array.dtype.kind == "f"]
    known = {"architectures": [type(model).__name__], "torch_dtype": dtype or dtype_name((floats or [np.float32])[0])}
    config = config_text(model.config, **known)
    files = {CONFIG_NAME: lambda file: file.write(config), **files}
    if len(shards) > 1:
        index = index_text(shards, total_bytes(arrays, dtype)).encode()
        files[index_name(weights_name, variant)] = lambda file: file.write(index)
    write_files(folder, files, remove=stale_files(folder, files, variant))
    for field, value in known.items():  # as in the original, the model's config then says what the file says
        setattr(model.config, field, value)
    logger.info("Model weights saved in %s", folder)


def unique_arrays(model) -> dict:
    """name -> array, a tied weight under one name: the one that the original keeps.

    The first name counts, except that a class may list in `_tied_weights_keys` (regular expressions) the names that the
    original drops.
    """
    groups: dict[int, list[str]] = {}
    data = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
        data[id(parameter)] = parameter.data
    dropped = list(getattr(model, "_tied_weights_keys", None) or ())
    arrays = {}
    for identity, names in groups.items():
        kept = [name for name in names if not any(re.search(pattern, name) for pattern in dropped)]
        arrays[(kept or names)[0]] = data[identity]
    arrays.update((name, buffer.data) for name, buffer in model.named_buffers() if buffer.persistent)
    return arrays


def index_name(weights_name: str, variant: str | None) -> str:
    """model.safetensors.index.json, for a variant model.safetensors.index.fp16.json."""
    plain = weights_name if variant is None else weights_name.replace(f".{variant}.", ".")
    return with_variant(f"{plain}.index.json", variant)


def stale_files(folder: str | os.PathLike, new_files, variant: str | None) -> list[str]:
    """Weights of an earlier save that would be found beside, or instead of, the new ones.

    All spellings of one checkpoint: single file, numbered files, index, in both formats.
    """
    if not Path(folder).is_dir():
        return []
    middle = "" if variant is None else re.escape(f".{variant}")
    pattern = re.compile(
        rf"(model|pytorch_model){middle}(-\d{{5}}-of-\d{{5}})?\.(safetensors|bin)"
        rf"|(model\.safetensors|pytorch_model\.bin)\.index{middle}\.json"
    )
    # The index goes first: while shards disappear, nothing must point to them.
    found = sorted((entry.name for entry in os.scandir(folder) if pattern.fullmatch(entry.name)), key=_index_first)
    return [name for name in found if name not in new_files]


def _index_first(name: str):
    return not name.endswith(".json"), name


def _file_dtype(dtype) -> str | None:
    if dtype is None:
        return None
    name = dtype_name(dtype)
    if name not in ("float16", "bfloat16", "float32", "float64"):
        raise ValueError(f"dtype is {name!r}; weights can be saved as 'float32', 'float16', 'bfloat16' or 'float64'")
    return name


def _ignored_keys(model):
    return getattr(model, "_keys_to_ignore_on_save", None)
