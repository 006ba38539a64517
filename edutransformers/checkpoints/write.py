"""Writing several files so that an interruption leaves either the old ones or the new ones."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".unfinished"  # .model.safetensors.1f0c9a2b.unfinished: never read, replaced or removed by the next save
LEFTOVER_SECONDS = 24 * 3600  # an unfinished file this old belongs to no save that is still running


def write_files(
    folder: str | os.PathLike, files: Mapping[str, Callable[[BinaryIO], None]], remove: Iterable[str] = ()
) -> None:
    """Write each file by calling its function with an open file, then put all of them in place, then `remove` old ones.

    Everything is first written beside its place, under a hidden name, and forced onto the disk. Only when all of it is
    there are the files renamed, in the order given: so the last one should be the one that makes a reader see the rest.
    A failure before that leaves the folder as it was. Renaming takes microseconds, and an exception in between (Ctrl-C)
    does not stop it.

    Raises OSError when the folder can't be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; expected a folder to save into")
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)

    written: list[tuple[Path, Path]] = []
    try:
        for name, write in files.items():
            temporary = folder / f".{name}.{secrets.token_hex(4)}{UNFINISHED}"
            written.append((temporary, folder / name))
            with open(temporary, "xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        for temporary, _ in written:
            temporary.unlink(missing_ok=True)
        raise
    _put_in_place(written)
    for name in remove:
        (folder / name).unlink(missing_ok=True)
    _sync_folder(folder)


def _put_in_place(written: list[tuple[Path, Path]]) -> None:
    done = 0
    try:
        for temporary, final in written:
            os.replace(temporary, final)
            done += 1
    finally:
        # After an interruption the remaining files are whole and on the disk too: half of a checkpoint would be worse.
        for temporary, final in written[done:]:
            if temporary.exists():
                os.replace(temporary, final)


def _remove_leftovers(folder: Path) -> None:
    """Remove what saves that were killed have left behind."""
    for path in folder.glob(f".*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    """Force the new names onto the disk too. Windows can't, and needs not."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
