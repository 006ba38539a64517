"""A lesson's source, `lessons/NN_name.py`, and the two notebooks that are made of it.

The source is a Python file in jupytext's percent format. Cells are marked like this:

    # %% exercise="softmax"             a cell with a solution between ### BEGIN SOLUTION and ### END SOLUTION
    # %% check="softmax" points=2       the cell that checks it, for two points
    # %% [markdown] hints="softmax"     hints, from the gentlest to the plainest, with a line --- between two
    # %% [markdown] instructor=true     a note for teachers

The student's notebook has `raise NotImplementedError` in place of solutions, hints that open on a click, and no notes
for teachers. The solved notebook has everything. Both carry nbgrader's metadata: `nbgrader generate_assignment` makes
an assignment of the solved one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
HINTS = 3
KEYS = {"exercise", "check", "points", "hints", "instructor"}


class LessonError(ValueError):
    """A lesson's source is not as it must be; the text says where."""


@dataclass
class Lesson:
    """A lesson's source, read: its cells are jupytext's, with our marks in their metadata."""

    path: Path
    title: str
    minutes: int
    goal: str
    needs: list[int]
    cells: list[Any]
    source_hash: str

    @property
    def number(self) -> int:
        return int(self.path.name[:2])

    @property
    def exercises(self) -> list[str]:
        return [cell.metadata["exercise"] for cell in self.cells if "exercise" in cell.metadata]


def read_lesson(path: str | Path) -> Lesson:
    """Read and check `lessons/NN_name.py`. Raises LessonError for what can't become a notebook."""
    import jupytext

    path = Path(path)
    if not re.fullmatch(r"\d\d_[a-z0-9_]+\.py", path.name):
        raise LessonError(f"{path.name}: a lesson is named NN_name.py")
    text = path.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    about = notebook.metadata.get("lesson")
    if not isinstance(about, dict) or not {"title", "minutes", "goal", "needs"} <= set(about):
        raise LessonError(f"{path.name}: the header must have `lesson:` with title, minutes, goal and needs")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    fields = about["title"], int(about["minutes"]), about["goal"], list(about["needs"])
    lesson = Lesson(path, *fields, notebook.cells, digest)
    _check(lesson)
    return lesson


def _check(lesson: Lesson) -> None:
    name, exercises = lesson.path.name, lesson.exercises
    if len(set(exercises)) != len(exercises):
        raise LessonError(f"{name}: two exercises have the same name")
    checked = [cell.metadata["check"] for cell in lesson.cells if "check" in cell.metadata]
    hinted = [cell.metadata["hints"] for cell in lesson.cells if "hints" in cell.metadata]
    for what, names in (("checked", checked), ("given hints", hinted)):
        if names != exercises:
            raise LessonError(f"{name}: the exercises are {exercises}, but {what} are {names}")
    for cell in lesson.cells:
        unknown = set(cell.metadata) - KEYS - {"tags", "lines_to_next_cell"}
        if unknown:
            raise LessonError(f"{name}: unknown marks {sorted(unknown)} on the cell {cell.source[:50]!r}")
        if (BEGIN in cell.source) != ("exercise" in cell.metadata) or cell.source.count(BEGIN) != cell.source.count(
            END
        ):
            raise LessonError(f"{name}: solutions belong between {BEGIN} and {END}, in a cell marked exercise=…")
        if "hints" in cell.metadata and len(_hints(cell)) != HINTS:
            raise LessonError(f"{name}: {cell.metadata['hints']} needs {HINTS} hints, with --- between them")


# ---------------------------------------------------------------------------------------------------------------------
# Notebooks
# ---------------------------------------------------------------------------------------------------------------------


def student_notebook(lesson: Lesson):
    """The notebook that a learner fills in."""
    cells = []
    for cell in lesson.cells:
        if cell.metadata.get("instructor"):
            continue
        source = cell.source
        if "exercise" in cell.metadata:
            source = without_solution(source, cell.metadata["exercise"])
        elif "hints" in cell.metadata:
            source = _folded(_hints(cell))
        cells.append((cell.cell_type, source, _nbgrader(cell)))
    return _notebook(lesson, cells, "student")


def solved_notebook(lesson: Lesson):
    """The notebook with solutions, hints and notes for teachers."""
    cells = []
    for cell in lesson.cells:
        source = cell.source
        if "hints" in cell.metadata:
            source = _folded(_hints(cell))
        elif cell.metadata.get("instructor"):
            source = "> **For teachers.** " + source.strip().replace("\n", "\n> ")
        cells.append((cell.cell_type, source, _nbgrader(cell)))
    return _notebook(lesson, cells, "solved")


def without_solution(source: str, exercise: str) -> str:
    """The lines between the marks become one that raises NotImplementedError."""
    lines, inside = [], False
    for line in source.splitlines():
        if line.strip() == BEGIN:
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            lines += [f"{indent}# YOUR CODE HERE", f'{indent}raise NotImplementedError("{exercise}")']
        elif line.strip() == END:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def _hints(cell) -> list[str]:
    return [hint.strip() for hint in re.split(r"^---$", cell.source, flags=re.M)]


def _folded(hints: list[str]) -> str:
    """Each hint opens on a click, and the next one stands inside it: no one reads the last by accident."""
    text = ""
    for number in range(len(hints), 0, -1):
        text = f"<details><summary>Hint {number}</summary>\n\n{hints[number - 1]}\n\n{text}</details>\n"
    return text.strip()


def _nbgrader(cell) -> dict:
    """nbgrader's marks: cells to be solved, cells that grade, which students must not change."""
    marks = {"schema_version": 3, "task": False}
    if "exercise" in cell.metadata:
        name = cell.metadata["exercise"]
        marks |= {"grade": False, "solution": True, "locked": False, "grade_id": name, "cell_type": "code"}
    elif "check" in cell.metadata:
        points = int(cell.metadata.get("points", 1))
        name = f"check_{cell.metadata['check']}"
        marks |= {
            "grade": True, "solution": False, "locked": True, "grade_id": name, "points": points, "cell_type": "code",
        }  # fmt: skip
    else:
        return {}
    return {"nbgrader": marks}


def _notebook(lesson: Lesson, cells: list[tuple], kind: str):
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    made = []
    for number, (cell_type, source, metadata) in enumerate([*_first_cells(lesson), *cells]):
        new = new_code_cell if cell_type == "code" else new_markdown_cell
        cell_id = hashlib.sha256(f"{lesson.path.name} {number}".encode()).hexdigest()[:8]
        made.append(new(source, metadata=metadata, id=cell_id))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "edutransformers": {
            "lesson": lesson.number,
            "title": lesson.title,
            "minutes": lesson.minutes,
            "kind": kind,
            "exercises": lesson.exercises,
            "source": lesson.source_hash,
        },
    }
    return new_notebook(cells=made, metadata=metadata)


def _first_cells(lesson: Lesson) -> list[tuple]:
    """Title, goal, minutes, what one needs to know; and the line that installs the package where it is missing."""
    from .. import __version__

    needs = ", ".join(f"{number:02}" for number in lesson.needs) or "no other lesson"
    count = len(lesson.exercises)
    title = (
        f"# {lesson.number:02} · {lesson.title}\n\n{lesson.goal}\n\n"
        f"*About {lesson.minutes} minutes, {count} exercise{'s' * (count != 1)}. Before it: {needs}.*"
    )
    install = (
        "# Where edutransformers is not installed yet, as in Colab, this installs it. Elsewhere it does nothing.\n"
        "import importlib.util\n\n"
        'if importlib.util.find_spec("edutransformers") is None:\n'
        f'    %pip install -q "edutransformers=={__version__}"'
    )
    return [("markdown", title, {}), ("code", install, {})]
