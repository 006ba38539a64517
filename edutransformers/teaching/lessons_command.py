"""`edutransformers lessons`: which lessons there are, what is done of them, and the way into one."""

from __future__ import annotations

import argparse
import json
import shutil
import site
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from .progress import progress_file, read_progress


class LessonFile(NamedTuple):
    """A student's notebook, and what its metadata says."""

    path: Path
    number: int
    title: str
    minutes: int
    exercises: list[str]


def lessons(arguments: list[str]) -> int:
    """The command. Returns the process's exit status."""
    parser = argparse.ArgumentParser(
        prog="edutransformers lessons",
        description="Lists the lessons, how long each takes, and which exercises you have solved; "
        "with a number, opens that lesson in Jupyter.",
    )
    parser.add_argument("number", nargs="?", type=int, help="the lesson to open, as 6")
    parser.add_argument("--to", type=Path, default=Path("lessons"), help="your folder for it (default: ./lessons)")
    parser.add_argument("--copy", action="store_true", help="only copy the notebook there; don't start Jupyter")
    parser.add_argument("--solution", action="store_true", help="the solved notebook, for afterwards")
    options = parser.parse_args(arguments)
    found = find_lessons()
    if not found:
        print("the notebooks are not here; they come with the package and with its source", file=sys.stderr)
        return 1
    if options.number is None:
        print(table_of(found))
        return 0
    lesson = next((lesson for lesson in found if lesson.number == options.number), None)
    if lesson is None:
        numbers = ", ".join(f"{lesson.number:02}" for lesson in found)
        print(f"there is no lesson {options.number}: there are {numbers}", file=sys.stderr)
        return 2
    path = copy_lesson(lesson, options.to, options.solution)
    print(path)
    return 0 if options.copy else _open(path)


def notebooks_folder() -> Path | None:
    """The notebooks: beside the package in its source, or where the installation put them."""
    beside = Path(__file__).resolve().parents[2] / "notebooks"
    bases = [Path(sysconfig.get_path("data")), Path(site.getuserbase())]  # the second after `pip install --user`
    installed = [base / "share" / "edutransformers" / "notebooks" for base in bases]
    return next((folder for folder in (beside, *installed) if folder.is_dir()), None)


def find_lessons() -> list[LessonFile]:
    """All lessons, in their order."""
    folder = notebooks_folder()
    if folder is None:
        return []
    found = []
    for path in sorted(folder.glob("*.ipynb")):
        about = json.loads(path.read_text(encoding="utf-8"))["metadata"]["edutransformers"]
        found.append(LessonFile(path, about["lesson"], about["title"], about["minutes"], about["exercises"]))
    return found


def table_of(found: list[LessonFile]) -> str:
    """The lessons as lines: number, title, minutes, exercises solved."""
    progress = read_progress()
    width = max(len(lesson.title) for lesson in found)
    lines, solved_of_all = [], 0
    for lesson in found:
        solved = sum(bool(progress.get(name, {}).get("solved")) for name in lesson.exercises)
        solved_of_all += solved
        bar = "■" * solved + "□" * (len(lesson.exercises) - solved)
        lines.append(f"{lesson.number:02}  {lesson.title:{width}}  {lesson.minutes:4} min  {bar}")
    exercises = sum(len(lesson.exercises) for lesson in found)
    hours = sum(lesson.minutes for lesson in found) / 60
    lines.append(f"\n{len(found)} lessons, about {hours:.0f} hours; {solved_of_all} of {exercises} exercises solved")
    lines.append(f"edutransformers lessons {found[0].number} opens the first. (Your progress: {progress_file()})")
    return "\n".join(lines)


def copy_lesson(lesson: LessonFile, folder: Path, solution: bool = False) -> Path:
    """A copy in `folder` that is the learner's own. One that is there already stays as it is."""
    source = lesson.path.parent / "solutions" / lesson.path.name if solution else lesson.path
    target = folder / (f"{lesson.path.stem}_solved.ipynb" if solution else lesson.path.name)
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return target


def _open(path: Path) -> int:
    """Start JupyterLab with this notebook."""
    try:
        import jupyterlab  # noqa: F401
    except ImportError:
        print('to open it here, install Jupyter: pip install "edutransformers[lessons]"', file=sys.stderr)
        return 1
    return subprocess.run([sys.executable, "-m", "jupyterlab", str(path)], check=False).returncode
