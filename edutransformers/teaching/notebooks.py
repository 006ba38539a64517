"""Makes the notebooks of the lessons, and checks that they are up to date and work.

    python -m edutransformers.teaching.notebooks                 make all that are stale: runs their solutions
    python -m edutransformers.teaching.notebooks 01 06           make these
    python -m edutransformers.teaching.notebooks --check         for CI: change nothing, fail where something is wrong

The check fails for a notebook that is stale or belongs to no lesson; runs every solution from its first cell to its
last, in an empty folder and without a network, which may take a minute of the processor each; and runs each student's
notebook up to the first exercise, whose checker must say that it is not written yet. Needs
`pip install "edutransformers[lessons]"`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .lesson_source import Lesson, LessonError, read_lesson, solved_notebook, student_notebook

SECONDS = 60  # of the processor that a solved notebook may take; how long one waits also depends on what else runs
CELL_SECONDS = 300  # after which a cell is stopped
CLOCK = "import time\n\nprint(time.process_time())"  # of the notebook's process, with all its threads
LARGEST_OUTPUT = 400_000  # characters of one cell's output
PACKAGE = str(Path(__file__).resolve().parents[2])  # what is tested is this package, wherever it is
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    # no door to the outside, for whatever asks for one
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", help="lessons, as 01 (default: all that are stale; to check: all)")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a notebook is stale or broken")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the folder with lessons/ and notebooks/")
    parser.add_argument("--jobs", type=int, default=2, help="how many notebooks to run at a time")
    options = parser.parse_args(arguments)
    try:
        lessons = [read_lesson(path) for path in sorted((options.root / "lessons").glob("*.py"))]
    except LessonError as error:
        print(error, file=sys.stderr)
        return 1
    if not lessons:
        print(f"no lessons in {options.root / 'lessons'}", file=sys.stderr)
        return 1
    folder = options.root / "notebooks"
    wanted = {int(number) for number in options.numbers}
    if options.check:
        problems = stray_files(lessons, folder)
        lessons = [lesson for lesson in lessons if not wanted or lesson.number in wanted]
        work = check_lesson
    else:
        problems = []
        lessons = [lesson for lesson in lessons if (lesson.number in wanted if wanted else stale(lesson, folder))]
        work = make_lesson
    with ThreadPoolExecutor(options.jobs) as pool:
        for lesson, (found, seconds) in zip(lessons, pool.map(lambda lesson: _timed(work, lesson, folder), lessons)):
            print(f"{lesson.path.stem:32} {seconds:5.1f} s  {'; '.join(found) or 'good'}", flush=True)
            problems += [f"{lesson.path.stem}: {problem}" for problem in found]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _timed(work, lesson: Lesson, folder: Path):
    started = time.perf_counter()
    return work(lesson, folder), time.perf_counter() - started


# ---------------------------------------------------------------------------------------------------------------------
# Making
# ---------------------------------------------------------------------------------------------------------------------


def paths_of(lesson: Lesson, folder: Path) -> tuple[Path, Path]:
    """Where the student's and the solved notebook are."""
    return folder / f"{lesson.path.stem}.ipynb", folder / "solutions" / f"{lesson.path.stem}.ipynb"


def make_lesson(lesson: Lesson, folder: Path) -> list[str]:
    """Write both notebooks, the solved one after running it. -> what is wrong with it; then nothing is written."""
    solved = solved_notebook(lesson)
    problems = run_solved(solved, lesson)
    if problems:
        return problems
    for path, notebook in zip(paths_of(lesson, folder), (student_notebook(lesson), solved)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(notebook_text(notebook), encoding="utf-8")
    return []


def notebook_text(notebook) -> str:
    """The file's text: the same notebook always gives the same."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def stale(lesson: Lesson, folder: Path) -> list[str]:
    """How the notebooks differ from what the lesson's source would give now."""
    problems = []
    for path, fresh in zip(paths_of(lesson, folder), (student_notebook(lesson), solved_notebook(lesson))):
        command = f"run `python -m edutransformers.teaching.notebooks {lesson.number:02}`"
        if not path.is_file():
            problems.append(f"{path.name} is not there: {command}")
            continue
        found = json.loads(path.read_text(encoding="utf-8"))
        for cell in found["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
        if found != json.loads(notebook_text(fresh)):
            problems.append(f"{path.parent.name}/{path.name} is stale: {command}")
    return problems


def stray_files(lessons: list[Lesson], folder: Path) -> list[str]:
    """Notebooks that no lesson makes."""
    wanted = {path for lesson in lessons for path in paths_of(lesson, folder)}
    return [f"{path} belongs to no lesson" for path in sorted(folder.rglob("*.ipynb")) if path not in wanted]


# ---------------------------------------------------------------------------------------------------------------------
# Running
# ---------------------------------------------------------------------------------------------------------------------


def check_lesson(lesson: Lesson, folder: Path) -> list[str]:
    """What is wrong with a lesson's notebooks, their files and what they do."""
    return [*stale(lesson, folder), *run_solved(solved_notebook(lesson), lesson), *run_student(lesson)]


def run_solved(notebook, lesson: Lesson) -> list[str]:
    """Run all cells in place. -> what is wrong: an error, a warning, a picture without a description, too slow."""
    from nbformat.v4 import new_code_cell

    notebook.cells.append(new_code_cell(CLOCK))
    error = _run(notebook)
    clock = notebook.cells.pop()
    if error:
        return [f"the solution fails: {error}"]
    problems = [problem for cell in notebook.cells for problem in problems_of_cell(cell)]
    seconds = float(_printed(clock))
    if seconds > SECONDS:
        problems.append(f"it took {seconds:.0f} s of the processor, and may take {SECONDS}")
    solved = {name for cell in notebook.cells for name in re.findall(r"^(\w+): right \(", _printed(cell), flags=re.M)}
    missing = [name for name in lesson.exercises if name not in solved]
    if missing:
        problems.append(f"the solution was not found right: {', '.join(missing)}")
    return problems


def run_student(lesson: Lesson) -> list[str]:
    """Run a student's notebook up to the check of its first exercise, which must say that nothing is written yet."""
    notebook = student_notebook(lesson)
    first = next((i for i, cell in enumerate(notebook.cells) if _grades(cell)), None)
    if first is None:
        return ["it has no exercise"]
    notebook.cells = notebook.cells[: first + 1]
    error = _run(notebook)
    if "is not written yet" not in error:
        return [f"the student's first check says {error or 'that all is right'!r}"]
    return []


def _run(notebook) -> str:
    """Run the notebook in an empty folder. -> the error that stopped it, or nothing."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            **ENVIRONMENT,
            "EDUTRANSFORMERS_PROGRESS": str(Path(folder) / "progress.json"),
            "PYTHONPATH": os.pathsep.join([PACKAGE, *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
        )
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            return f"{error.ename}: {error.evalue}"
        except (CellTimeoutError, DeadKernelError) as error:
            return str(error).splitlines()[0]
    notebook.metadata["language_info"] = {"name": "python"}
    return ""


def problems_of_cell(cell) -> list[str]:
    """What a solved notebook must not show."""
    problems, start = [], cell.source.strip().splitlines()[0][:60] if cell.source.strip() else ""
    for output in cell.get("outputs", []):
        data, text = output.get("data", {}), json.dumps(output)
        if output.get("name") == "stderr":
            problems.append(f"the cell {start!r} writes to stderr: {output['text'][:200]!r}")
        if "image/png" in data and len(output["metadata"].get("image/png", {}).get("alt", "")) < 20:
            problems.append(f"a picture of the cell {start!r} has no description: plots.show(figure, alt=…)")
        if len(text) > LARGEST_OUTPUT:
            problems.append(f"the cell {start!r} gives {len(text):,} characters: smaller pictures")
        if re.search(r"/(home|root|tmp|Users)/", text) or re.search(r" object at 0x[0-9a-f]+", text):
            problems.append(f"the cell {start!r} shows a path or an address of this machine")
    return problems


def _printed(cell) -> str:
    return "".join(output["text"] for output in cell.get("outputs", []) if output.get("name") == "stdout")


def _grades(cell) -> bool:
    return cell.metadata.get("nbgrader", {}).get("grade", False)


if __name__ == "__main__":
    sys.exit(main())
