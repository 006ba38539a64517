"""What every checker must do: take all right answers, in whatever way they compute, and name the usual mistakes.

A lesson's test file has two tables:

    RIGHT = {"softmax": {"the solution's way": f, "float32": g, "in place": h}}          at least three for an exercise
    WRONG = {"softmax": {"over columns": (f, "the columns add up to 1")}}                at least two, each with words
                                                                                         that the message must have
and one line: `test_right, test_wrong, test_complete = suite_of(1, RIGHT, WRONG)`.
"""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from edutransformers.teaching.checker import CheckFailed, Exercise

LESSONS = Path(__file__).resolve().parents[2] / "lessons"
TIMES = 5  # each answer is checked so often, as the inputs are drawn anew


def in_float32(function):
    """The function of the same inputs in float32, also inside of tuples, lists and dictionaries."""

    def narrow(value):
        if isinstance(value, np.ndarray):
            return value.astype("float32") if value.dtype.kind == "f" else value
        if isinstance(value, dict):
            return {name: narrow(part) for name, part in value.items()}
        return type(value)(map(narrow, value)) if isinstance(value, (tuple, list)) else value

    return lambda *inputs: function(*map(narrow, inputs))


def suite_of(lesson: int, right: dict, wrong: dict):
    """Three tests: right answers pass, wrong ones are named, and every exercise of the lesson has enough of both."""
    module = importlib.import_module(f"edutransformers.teaching.checks.lesson{lesson:02}")
    checkers = {value.name: value for value in vars(module).values() if isinstance(value, Exercise)}

    @pytest.mark.parametrize(("name", "way"), [(name, way) for name in right for way in right[name]])
    def test_right(name, way, progress, capsys):
        for _ in range(TIMES):
            checkers[name](right[name][way])
        assert capsys.readouterr().out.count(f"{name}: right (") == TIMES

    @pytest.mark.parametrize(("name", "mistake"), [(name, mistake) for name in wrong for mistake in wrong[name]])
    def test_wrong(name, mistake, progress):
        answer, words = wrong[name][mistake]
        for _ in range(TIMES):
            with pytest.raises(CheckFailed) as failure:
                checkers[name](answer)
            assert words in str(failure.value)

    def test_complete():
        (path,) = LESSONS.glob(f"{lesson:02}_*.py")
        exercises = re.findall(r'^# %% exercise="(\w+)"', path.read_text(encoding="utf-8"), flags=re.M)
        in_files = {}  # a lesson with many checkers has them in two files, each in the lesson's order
        for checker in sorted(checkers.values(), key=lambda checker: checker.check.__code__.co_firstlineno):
            in_files.setdefault(checker.check.__module__, []).append(checker.name)
        for names in in_files.values():
            assert names == [name for name in exercises if name in names]
        assert set(checkers) == set(exercises)
        assert set(right) == set(wrong) == set(exercises)
        for name in exercises:
            assert checkers[name].lesson == lesson
            assert len(right[name]) >= 3, name
            assert len(wrong[name]) >= 2, name
        assert all(words for of_exercise in wrong.values() for _, words in of_exercise.values())

    return test_right, test_wrong, test_complete
