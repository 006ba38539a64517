"""A checkpoint in several files: an index says which tensor is in which file.

{"metadata": {"total_size": 28966928},
 "weight_map": {"bert.pooler.dense.bias": "model-00002-of-00002.safetensors", …}}
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .errors import CheckpointFormatError, CheckpointNotFoundError, explain_wrong_file
from .safetensors_file import read_metadata
from .tensors import LazyTensor

SAVE_MARK = "edutransformers_save"


def read_index(path) -> dict[str, str]:
    """The index's map from tensor names to file names. Every file name is a plain name, without any folder.

    Raises `CheckpointFormatError` for an index that is no JSON, lacks its map, or names a file outside the folder.
    """
    path = Path(path)
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        why = explain_wrong_file(path) or f"it is not JSON ({error}); fetch the file again"
        raise CheckpointFormatError(f"{path} can't be read: {why}") from error
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointFormatError(f"{path} can't be read: expected a 'weight_map' from tensor names to files")
    for tensor, filename in weight_map.items():
        check_plain_name(filename, path, tensor)
    return weight_map


def check_plain_name(filename, index: Path, tensor: str) -> None:
    """Refuse a file name that is anything but one plain name: an index must not reach outside its folder."""
    plain = isinstance(filename, str) and filename not in ("", ".", "..") and not re.search(r"[/\\:\0]", filename)
    if not plain:
        raise CheckpointFormatError(
            f"{index} says that {tensor!r} is in the file {filename!r}, which is not a plain file name inside the "
            "checkpoint's folder; the index is corrupt or malicious, so nothing was loaded"
        )


def check_inside(shard: Path, index: Path) -> None:
    """Refuse a shard that is really, links followed, somewhere else than in the folder or beside the real index.

    A link in a checkpoint that came as an archive could make us read any file of this machine. In the Hugging Face
    cache all files are links, into the folders of blobs of that cache.
    """
    real = Path(os.path.realpath(shard)).parent
    if real in (Path(os.path.realpath(index.parent)), Path(os.path.realpath(index)).parent):
        return
    if any(real.is_relative_to(blobs) for blobs in _blob_folders(index)):
        return
    raise CheckpointFormatError(
        f"{shard} is a link that leads out of the checkpoint's folder, to {os.path.realpath(shard)}; "
        "put the file itself there if you trust it"
    )


def _blob_folders(index: Path) -> list[Path]:
    """Where a file of the Hugging Face cache may really be; nothing for a path that is not in such a cache.

    <cache>/models--owner--name/snapshots/<commit>/model.safetensors.index.json   a link
    <cache>/models--owner--name/blobs/                                            to here
    <cache>/blobs/                                                                or here: shared by repositories
    """
    parts = index.absolute().parts
    if "snapshots" not in parts:
        return []
    repository = Path(*parts[: len(parts) - 1 - parts[::-1].index("snapshots")])
    if not repository.name.startswith("models--"):
        return []
    cache = Path(os.path.realpath(repository.parent))
    return [cache / repository.name / "blobs", cache / "blobs"]


def read_shards(
    index: Path, find: Callable[[str], Path | None], read: Callable[[Path], dict[str, LazyTensor]]
) -> dict[str, LazyTensor]:
    """All tensors of a sharded checkpoint by name.

    `find` brings a file of the checkpoint by name (None: missing), `read` lists the tensors of one file.
    Raises `CheckpointNotFoundError` when files are missing, `CheckpointFormatError` when they are not one checkpoint.
    """
    weight_map = read_index(index)
    paths = {filename: find(filename) for filename in dict.fromkeys(weight_map.values())}
    missing = sorted(filename for filename, path in paths.items() if path is None)
    if missing:
        raise CheckpointNotFoundError(
            f"{index} names {len(paths)} files, of which {len(missing)} are missing: {', '.join(missing)}; "
            "copy or download the whole checkpoint"
        )
    for path in paths.values():
        check_inside(path, index)
    check_one_save(path for path in paths.values() if path.suffix == ".safetensors")
    shards = {filename: read(path) for filename, path in paths.items()}
    tensors = {}
    for name, filename in weight_map.items():
        if name not in shards[filename]:
            raise CheckpointFormatError(
                f"{index} says that {name!r} is in {filename}, but that file does not hold it; "
                "the files are of different versions: fetch the whole checkpoint again"
            )
        tensors[name] = shards[filename][name]
    return tensors


def check_one_save(paths: Iterable[Path]) -> None:
    """Refuse files of which some are older than others: a save that was killed while it renamed them.

    Files that this library writes carry a mark, the same in all files of one save; others have none.
    """
    marks = {path: read_metadata(path).get(SAVE_MARK) for path in paths}
    if len(set(marks.values())) > 1:
        first, *others = marks
        other = next(path for path in others if marks[path] != marks[first])
        raise CheckpointFormatError(
            f"{first} and {other.name} come from two different saves, one of which was interrupted; "
            "save the model again, or use an earlier checkpoint"
        )


# -- writing ----------------------------------------------------------------------------------------------------------

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_size(size: int | str) -> int:
    """Bytes from 5000000, "5MB" or "5MiB". Raises ValueError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B)\s*", size, re.IGNORECASE) if isinstance(size, str) else None
    if match:
        size = int(float(match[1]) * UNITS[match[2].upper()])
    if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
        raise ValueError(f"max_shard_size is {size!r}; expected a number of bytes or a text such as '200MB' or '5GB'")
    return size


def split(sizes: Mapping[str, int], limit: int, filename: str) -> dict[str, list[str]]:
    """File name -> names of its tensors, so that no file is larger than `limit`, unless a single tensor is.

    Tensors stay in order, as in the original. One file keeps the plain name; several are numbered from 1.
    """
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if groups[-1] and filled + size > limit:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    if len(groups) == 1:
        return {filename: groups[0]}
    stem, suffix = filename.rsplit(".", 1)
    return {f"{stem}-{n:05d}-of-{len(groups):05d}.{suffix}": group for n, group in enumerate(groups, 1)}


def index_text(shards: Mapping[str, list[str]], total_size: int) -> str:
    """The index file of these shards."""
    weight_map = {name: filename for filename, names in shards.items() for name in names}
    return (
        json.dumps({"metadata": {"total_size": total_size}, "weight_map": weight_map}, indent=2, sort_keys=True) + "\n"
    )
