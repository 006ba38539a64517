"""Which exercises have been solved: a small JSON file of the learner's own.

~/.edutransformers/progress.json        or the file that the environment variable EDUTRANSFORMERS_PROGRESS names

{"softmax": {"lesson": 1, "tries": 3, "solved": "2026-11-23"}, …}
"""

from __future__ import annotations

import json
import os
import tempfile
from datetime import date
from pathlib import Path

from ..logging import get_logger

logger = get_logger(__name__)


def progress_file() -> Path:
    named = os.environ.get("EDUTRANSFORMERS_PROGRESS")
    return Path(named) if named else Path.home() / ".edutransformers" / "progress.json"


def read_progress() -> dict[str, dict]:
    """{exercise: {"lesson": …, "tries": …, "solved": a day or None}}; nothing if there is no file, or a damaged one."""
    path = progress_file()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        logger.warning("your progress can't be read from %s (%s); it starts anew", path, error)
        return {}
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)} if isinstance(found, dict) else {}


def record_try(exercise: str, lesson: int, solved: bool) -> None:
    """Count a try; the day of the first right answer stays. A file that can't be written is a warning, no error."""
    progress = read_progress()
    entry = progress.setdefault(exercise, {})
    entry["lesson"] = lesson
    entry["tries"] = int(entry.get("tries") or 0) + 1
    entry["solved"] = entry.get("solved") or (date.today().isoformat() if solved else None)
    path = progress_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            json.dump(progress, file, indent=1)
        os.replace(file.name, path)
    except OSError as error:
        logger.warning("your progress can't be written to %s (%s)", path, error)
