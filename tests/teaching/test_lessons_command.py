"""`edutransformers lessons`: the list, the progress, and a learner's own copy."""

import json
import sys

import pytest

from edutransformers.cli import main
from edutransformers.teaching import lessons_command
from edutransformers.teaching.progress import record_try


@pytest.fixture
def two_lessons(tmp_path, monkeypatch):
    """Two notebooks as the generator writes them, and a learner without progress."""
    folder = tmp_path / "notebooks"
    for number, name, exercises in ((1, "softmax", ["softmax", "cross_entropy"]), (6, "attention", ["attend"])):
        about = {"lesson": number, "title": name.title(), "minutes": 45 * number, "exercises": exercises}
        for place, cells in ((folder, ["yours"]), (folder / "solutions", ["solved"])):
            place.mkdir(parents=True, exist_ok=True)
            notebook = {"metadata": {"edutransformers": about}, "cells": cells}
            (place / f"{number:02}_{name}.ipynb").write_text(json.dumps(notebook))
    monkeypatch.setattr(lessons_command, "notebooks_folder", lambda: folder)
    monkeypatch.setenv("EDUTRANSFORMERS_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.chdir(tmp_path)
    return folder


def test_list_with_progress(two_lessons, capsys):
    record_try("cross_entropy", 1, solved=True)
    record_try("softmax", 1, solved=False)
    record_try("attend", 6, solved=True)
    assert main(["lessons"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "01  Softmax      45 min  ■□"
    assert lines[1] == "06  Attention   270 min  ■"
    assert lines[3] == "2 lessons, about 5 hours; 2 of 3 exercises solved"
    assert lines[4].startswith("edutransformers lessons 1 opens the first.")


def test_a_copy_of_ones_own_stays(two_lessons, tmp_path, capsys):
    assert main(["lessons", "6", "--copy"]) == 0
    copy = tmp_path / "lessons" / "06_attention.ipynb"
    assert capsys.readouterr().out.strip() == str(copy.relative_to(tmp_path))
    assert json.loads(copy.read_text())["cells"] == ["yours"]
    copy.write_text("my work")
    assert main(["lessons", "6", "--copy"]) == 0
    assert copy.read_text() == "my work"
    assert main(["lessons", "6", "--copy", "--solution", "--to", "elsewhere"]) == 0
    assert json.loads((tmp_path / "elsewhere" / "06_attention_solved.ipynb").read_text())["cells"] == ["solved"]


def test_it_opens_jupyter(two_lessons, monkeypatch):
    started = []

    class Done:
        returncode = 0

    monkeypatch.setattr(lessons_command.subprocess, "run", lambda command, check: started.append(command) or Done)
    monkeypatch.setitem(sys.modules, "jupyterlab", object())
    assert main(["lessons", "1"]) == 0
    assert started[0][1:] == ["-m", "jupyterlab", "lessons/01_softmax.ipynb"]


def test_without_jupyter_it_says_what_to_install(two_lessons, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    assert main(["lessons", "1"]) == 1
    assert 'pip install "edutransformers[lessons]"' in capsys.readouterr().err


def test_a_lesson_that_is_not_there(two_lessons, capsys):
    assert main(["lessons", "3"]) == 2
    assert "there is no lesson 3: there are 01, 06" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["lessons", "first"])


def test_no_notebooks(monkeypatch, capsys):
    monkeypatch.setattr(lessons_command, "notebooks_folder", lambda: None)
    assert main(["lessons"]) == 1
    assert "the notebooks are not here" in capsys.readouterr().err


def test_the_real_ones_are_found(monkeypatch, capsys, tmp_path):
    """In the source, and where the package is installed: the test command tests what pip has installed."""
    monkeypatch.setenv("EDUTRANSFORMERS_PROGRESS", str(tmp_path / "progress.json"))
    found = lessons_command.find_lessons()
    assert [lesson.number for lesson in found] == list(range(found[0].number, found[-1].number + 1))
    assert len({name for lesson in found for name in lesson.exercises}) == sum(len(x.exercises) for x in found)
    assert all((lesson.path.parent / "solutions" / lesson.path.name).is_file() for lesson in found)
    assert main(["lessons"]) == 0
    assert f"{len(found)} lessons, about" in capsys.readouterr().out
