"""From a lesson's source to its two notebooks, and what the check finds wrong. Needs the `lessons` extra."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output

from edutransformers.teaching.lesson_source import LessonError, read_lesson, without_solution
from edutransformers.teaching.notebooks import main, problems_of_cell

pytestmark = pytest.mark.extras
NEEDS = ("jupytext", "nbclient", "nbformat", "ipykernel")

SOURCE = '''# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   lesson:
#     title: A small one
#     minutes: 5
#     goal: You see that it works.
#     needs: [0]
# ---

# %% [markdown]
# Some words.

# %%
import numpy as np

from edutransformers.teaching import lesson_plots, plots

plots.show(lesson_plots.bars(["a"], [1.0], "x", "t"), alt="A single bar of length one.")

# %% exercise="softmax"
def softmax(x):
    """Probabilities."""
    ### BEGIN SOLUTION
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
    ### END SOLUTION

# %% check="softmax" points=3
from edutransformers.teaching.checks.lesson01 import check_softmax

check_softmax(softmax)

# %% [markdown] hints="softmax"
# first
# ---
# second
# ---
# third

# %% [markdown] instructor=true
# Ask who
# overflowed.
'''


@pytest.fixture
def root(tmp_path):
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "01_small.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def change(root, old: str, new: str) -> None:
    path = root / "lessons" / "01_small.py"
    assert old in SOURCE
    path.write_text(SOURCE.replace(old, new), encoding="utf-8")


def notebook(root, where: str) -> dict:
    return json.loads((root / "notebooks" / where / "01_small.ipynb").read_text(encoding="utf-8"))


def sources(found: dict) -> list[str]:
    return ["".join(cell["source"]) for cell in found["cells"]]


def make(root, *arguments) -> int:
    return main([*arguments, "--root", str(root)])


def test_both_notebooks(root, capsys):
    assert make(root) == 0
    student, solved = notebook(root, ""), notebook(root, "solutions")

    cells = sources(student)
    assert cells[0].startswith(
        "# 01 · A small one\n\nYou see that it works.\n\n*About 5 minutes, 1 exercise. Before it: 00"
    )
    assert "%pip install -q" in cells[1]
    assert 'raise NotImplementedError("softmax")' in cells[4]
    assert "keepdims" not in "".join(cells)
    assert not any("overflowed" in cell for cell in cells)
    hints = cells[6]
    assert [hints.index(word) for word in ("Hint 1", "first", "Hint 2", "second", "Hint 3", "third")] == sorted(
        hints.index(word) for word in ("Hint 1", "first", "Hint 2", "second", "Hint 3", "third")
    )
    assert hints.count("<details>") == hints.count("</details>") == 3
    assert all(not cell["outputs"] for cell in student["cells"] if cell["cell_type"] == "code")

    assert "> **For teachers.** Ask who\n> overflowed." in sources(solved)
    assert "### BEGIN SOLUTION" in sources(solved)[4]  # where nbgrader cuts
    outputs = [output for cell in solved["cells"] for output in cell.get("outputs", [])]
    assert outputs[0]["metadata"]["image/png"]["alt"] == "A single bar of length one."
    assert "softmax: right (5 comparisons)\n" in "".join(outputs[1]["text"])
    for found in (student, solved):
        marks = [cell["metadata"].get("nbgrader") for cell in found["cells"]]
        assert (marks[4]["grade"], marks[4]["solution"], marks[4]["grade_id"]) == (False, True, "softmax")
        assert (marks[5]["grade"], marks[5]["locked"], marks[5]["points"]) == (True, True, 3)
        assert found["metadata"]["edutransformers"]["exercises"] == ["softmax"]

    assert make(root, "--check") == 0
    before = (root / "notebooks" / "solutions" / "01_small.ipynb").read_bytes()
    assert make(root) == 0  # nothing is stale, so nothing is made
    assert (root / "notebooks" / "solutions" / "01_small.ipynb").read_bytes() == before


def test_nbgrader_and_jupyter_can_read_them(root):
    assert make(root) == 0
    for where in ("", "solutions"):
        nbformat.validate(nbformat.read(root / "notebooks" / where / "01_small.ipynb", as_version=4))


def test_stale_and_stray_notebooks(root, monkeypatch, capsys):
    monkeypatch.setattr("edutransformers.teaching.notebooks.run_solved", lambda notebook, lesson: [])
    monkeypatch.setattr("edutransformers.teaching.notebooks.run_student", lambda lesson: [])
    assert make(root, "--check") == 1
    assert (
        "01_small.ipynb is not there: run `python -m edutransformers.teaching.notebooks 01`" in capsys.readouterr().err
    )
    assert make(root) == 0
    change(root, "Some words.", "Other words.")
    assert make(root, "--check") == 1
    assert "solutions/01_small.ipynb is stale" in capsys.readouterr().err
    assert make(root, "--check", "2") == 0  # of lesson 02, of which there is none, nothing is stale
    assert make(root, "--check", "01") == 1
    capsys.readouterr()
    assert make(root) == 0
    (root / "notebooks" / "02_gone.ipynb").write_text("{}")
    assert make(root, "--check") == 1
    assert "02_gone.ipynb belongs to no lesson" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("e / e.sum(axis=-1, keepdims=True)", "e", "the solution fails: CheckFailed"),
        ("check_softmax(softmax)", "softmax", "the solution was not found right: softmax"),
        ("A single bar of length one.", "A bar.", "has no description"),
    ],
)
def test_solutions_that_are_not_good_enough(root, old, new, words, capsys):
    change(root, old, new)
    assert make(root) == 1
    assert words in capsys.readouterr().err
    assert not (root / "notebooks").exists()


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (new_output("stream", name="stderr", text="UserWarning: …"), "writes to stderr: 'UserWarning"),
        (new_output("stream", name="stdout", text="read /home/ann/x.txt"), "shows a path or an address"),
        (new_output("stream", name="stdout", text="<A object at 0x7f0a>"), "shows a path or an address"),
        (new_output("stream", name="stdout", text="x" * 500_000), "smaller pictures"),
        (new_output("display_data", data={"image/png": "iVBO"}), "has no description: plots.show(figure, alt=…)"),
    ],
)
def test_outputs_that_no_notebook_may_show(output, words):
    (problem,) = problems_of_cell(new_code_cell("x = 1\nx", outputs=[output]))
    assert words in problem
    assert problems_of_cell(new_code_cell("x", outputs=[new_output("stream", name="stdout", text="fine")])) == []


def test_a_slow_solution(root, monkeypatch, capsys):
    monkeypatch.setattr("edutransformers.teaching.notebooks.CLOCK", "print(61.0)")
    assert make(root) == 1
    assert "it took 61 s of the processor, and may take 60" in capsys.readouterr().err
    monkeypatch.setattr("edutransformers.teaching.notebooks.CLOCK", "print(59.0)")
    assert make(root) == 0
    (path,) = (root / "notebooks" / "solutions").glob("*.ipynb")
    assert "59.0" not in path.read_text(encoding="utf-8")


def test_an_exercise_that_is_solved_already(root, capsys):
    change(
        root,
        '"""Probabilities."""',
        '"""Probabilities."""\n    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)',
    )
    assert make(root, "--check") == 1
    assert "the student's first check says" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("#     minutes: 5\n", "", "title, minutes, goal and needs"),
        ("# ---\n# second\n", "", "softmax needs 3 hints"),
        ('check="softmax"', 'check="other"', "the exercises are ['softmax'], but checked are ['other']"),
        ('hints="softmax"', 'hints="other"', "but given hints are ['other']"),
        ("    ### END SOLUTION\n", "", "solutions belong between"),
        (' exercise="softmax"', "", "the exercises are []"),
        ("instructor=true", "teacher=true", "unknown marks ['teacher']"),
    ],
)
def test_sources_that_are_wrong(root, old, new, words, capsys):
    change(root, old, new)
    with pytest.raises(LessonError) as error:
        read_lesson(root / "lessons" / "01_small.py")
    assert words in str(error.value)
    assert make(root) == 1
    assert words in capsys.readouterr().err


def test_names_and_empty_folders(root, capsys):
    path = root / "lessons" / "01_small.py"
    path.rename(root / "lessons" / "small.py")
    with pytest.raises(LessonError, match=r"a lesson is named NN_name\.py"):
        read_lesson(root / "lessons" / "small.py")
    (root / "lessons" / "small.py").unlink()
    assert make(root) == 1
    assert "no lessons in" in capsys.readouterr().err


def test_solutions_are_cut_where_they_stand():
    source = "def f(x):\n    ### BEGIN SOLUTION\n    y = x\n    ### END SOLUTION\n    return y"
    assert without_solution(source, "f") == (
        'def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError("f")\n    return y'
    )
