"""What can be wrong with a checkpoint, as exceptions. All derive from OSError, as the original's do."""

from __future__ import annotations

import os


class CheckpointError(OSError):
    """Something about a checkpoint's files is wrong. The message says what was found, expected, and what to do."""


class CheckpointNotFoundError(CheckpointError):
    """The checkpoint, or a file that it needs, can't be found or reached."""


class CheckpointFormatError(CheckpointError, ValueError):
    """A file is there, but is not what its name says: truncated, corrupt, of another format, or not to be trusted."""


class MismatchedSizesError(ValueError, RuntimeError):
    """Tensors of the checkpoint have other shapes than the model's. (The original raises a RuntimeError.)"""


def explain_wrong_file(path) -> str | None:
    """Why `path` can't hold what it should, told from its first bytes; None when nothing is obvious.

    The accidents that really happen to downloads: nothing arrived, git-lfs left its pointer, a server answered with a
    web page, or one format was saved under the other's name.
    """
    size = os.path.getsize(path)
    if size == 0:
        return "it is empty; the download or copy was interrupted: fetch the file again"
    with open(path, "rb") as file:
        start = file.read(256)
    if start.startswith(b"version https://git-lfs"):
        return "it is a git-lfs pointer, not the file itself; run `git lfs pull` in that folder"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, probably a server's error page saved as a file; fetch the file again"
    return None


def looks_like(path) -> str | None:
    """The kind of weights file that `path` starts like: "zip" (torch.save since 1.6), "pickle" (before), or None."""
    with open(path, "rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":
        return "zip"
    return "pickle" if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" else None
