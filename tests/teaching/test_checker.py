"""The checker's machinery: what it takes, what it says, what it remembers."""

import json
import math
from contextlib import suppress
from functools import partial

import numpy as np
import pytest

from edutransformers.teaching.checker import (
    CheckFailed,
    call,
    draw,
    draw_integers,
    equal,
    exercise,
    holds,
    same,
    same_all,
)
from edutransformers.teaching.progress import read_progress, record_try


@pytest.fixture(autouse=True)
def progress(tmp_path, monkeypatch):
    path = tmp_path / "of the learner" / "progress.json"
    monkeypatch.setenv("EDUTRANSFORMERS_PROGRESS", str(path))
    return path


@exercise(lesson=7)
def check_double(answer):
    for shape in ((3,), (2, 4)):
        x = draw(*shape)
        mistakes = {"that is the square": x * x, "that is the half": partial(np.divide, x, 2)}
        same(call(answer, x), 2 * x, "double(x)", mistakes=mistakes, sizes={"D": shape[-1]})


@exercise(lesson=7)
def check_with_table(answer):
    same(call(answer, x := draw(3, 4)), 2 * x, "double(x)")


def said(checker, *answer) -> str:
    with pytest.raises(CheckFailed) as failure:
        checker(*answer)
    return str(failure.value)


def check_with(compare):
    @exercise(lesson=7)
    def check_it():
        compare()

    return check_it


def in_place(x):
    x *= 2
    return x


@pytest.mark.parametrize("answer", [lambda x: 2 * x, in_place, lambda x: (2 * x.astype("float32")).tolist()])
def test_right_answers(answer, capsys):
    check_double(answer)
    assert capsys.readouterr().out.splitlines()[0] == "double: right (2 comparisons)"


def test_an_answer_that_changes_its_input_is_right_and_told_so(capsys):
    @exercise(lesson=7)
    def check_pairs(answer):
        x = draw(2, 3)
        same(call(answer, 5, (x[0], [x[1]])), x[0] + x[1], "pairs(n, rows)")

    check_pairs(lambda n, rows: rows[0] + rows[1][0])
    check_double(lambda x: 2 * x)
    assert "changes" not in capsys.readouterr().out
    check_double(in_place)
    assert "(It changes what it is called with: argument number 1. Cells below" in capsys.readouterr().out
    check_pairs(lambda n, rows: np.add(rows[0], rows[1][0], out=rows[1][0]))
    assert "argument number 2." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x * x, "→ that is the square"),
        (lambda x: x / 2, "→ that is the half"),
        (lambda x: -2 * x, "every number has the wrong sign"),
        (lambda x: 3 * x, "every number is 1.5 times what is expected"),
        (lambda x: 2 * x + 5, "every number is 5 too large"),
        (lambda x: 0 * x, "all numbers are 0"),
        (lambda x: 2 * x[::-1], "opposite order along axis 0"),
        (lambda x: np.where(np.arange(len(x)) == len(x) - 1, x, 2 * x), "only the last along axis 0 is wrong"),
        (lambda x: (2 * x)[None], "the numbers are right, only their arrangement isn't"),
        (lambda x: x.sum(), "1 axis is missing"),
        (lambda x: np.full_like(x, np.nan), "holds nan at [0], in all 3 numbers"),
        (lambda x: "2x", "should be an array of numbers, but is '2x'"),
        (lambda x: x / [1, 2], "stopped with ValueError"),
        (lambda x: None, "is there a `return` in it?"),
        (5, "double should be a function, but 5 was passed"),
    ],
)
def test_wrong_answers(answer, words):
    assert words in said(check_double, answer)


def test_the_worst_number_and_the_inputs():
    def answer(x):
        y = 2 * x
        y[1] += 9
        return y

    message = said(check_double, answer)
    (x,) = check_double.failed_on
    lines = message.splitlines()
    assert lines[0] == "double(x) has the right shape (3,), but wrong numbers"
    assert lines[1].startswith(f"  worst at [1]: got {2 * x[1] + 9:.6g}, expected {2 * x[1]:.6g}; off by 9, allowed ")
    assert lines[2] == "  1 of 3 numbers are wrong"
    assert lines[-1] == "  It was called with an array (3,) of float64: they are in check_double.failed_on"
    np.testing.assert_allclose(answer(x) - 2 * x, [0, 9, 0], atol=1e-12)


def test_a_line_of_the_answer_that_fails_is_shown():
    def answer(x):
        y = 2 * x
        return y.no_such_thing

    message = said(check_double, answer)
    assert "double stopped with AttributeError: " in message
    assert ": return y.no_such_thing" in message


def test_a_name_from_a_cell_that_was_not_run():
    assert "a cell above that makes it has not been run" in said(check_double, lambda x: twice * x)  # noqa: F821


def test_shapes_that_do_not_fit_in_a_product():
    message = said(check_double, lambda x: np.ones((5, 2)) @ x)
    assert "these are 2 and 3 long here, and must be equal" in message
    message = said(check_double, lambda x: np.ones((1, 2)) @ np.ones((4, 7)))
    assert "these are 2 and 4 long here" in message


def test_an_axis_that_is_missing_for_broadcasting():
    assert "the array (3,) has an axis less than (3, 4)" in said(check_double, lambda x: np.ones((3, 4)) / x)
    assert "the array (2, 3) has an axis less" in said(check_double, lambda x: np.ones((2, 3)) + np.ones((2, 3, 4)))


def test_sizes_that_meet_in_broadcasting():
    for shape, words in (((2,), "2 meets 4"), ((4, 3), "4 meets 3 and 3 meets 4"), ((5, 1, 1, 7), "7 meets 4")):
        answer = lambda x, shape=shape: np.ones(shape) + np.ones((3, 4))  # noqa: E731
        assert f"→ aligned on the right, {words}, and neither is 1\n" in said(check_double, answer)
    message = said(check_double, lambda x: np.ones(3) * np.ones(5))
    assert "3 meets 5, and neither is 1; if every number" in message
    assert "one must be a column: (3, 1)" in message


def test_shapes_that_do_not_fit_in_numpys_dot():
    message = said(check_double, lambda x: np.dot(np.ones((3, 4)), np.ones((2, 5))))
    assert "these are 4 and 2 long here, and must be equal" in message


def test_a_weight_where_its_array_is_meant():
    class Weight:
        data = np.ones(3)

    for answer in (lambda x: Weight().shape, lambda x: x + Weight()):
        assert "a Weight is no array: its numbers are its .data" in said(check_double, answer)


def test_an_axis_that_is_not_there():
    message = said(check_double, lambda x: np.ones(3).sum(axis=1))
    assert "the array has 1 axis there, so none is number 1; the last one is axis=-1" in message
    assert "has 2 axes there, so none is number -3" in said(check_double, lambda x: np.ones((3, 2)).max(axis=-3))


def test_one_number_where_an_array_came():
    for answer in (lambda x: math.exp(np.ones(3)), lambda x: float(np.ones((2, 2)))):
        assert "one number is needed there, and an array came" in said(check_double, answer)


def test_a_factor_of_nearly_one_explains_nothing():
    x = draw(4) + 3
    message = said(check_with(lambda: same(x * (1 + 1e-5), x, "x", tolerance=1e-7)))
    assert "4 of 4 numbers are wrong" in message
    assert "times what is expected" not in message


def test_batches_of_products_that_do_not_fit():
    message = said(check_double, lambda x: np.ones((2, 3, 5, 6)) @ np.ones((2, 4, 6, 5)))
    assert "must fit, but of (2, 3, 5, 6) and (2, 4, 6, 5) 3 meets 4" in message


def test_memory_that_was_never_filled():
    calls = []

    def answer(x):
        calls.append(x)
        return 2 * x + np.arange(x.size).reshape(x.shape) ** len(calls)

    assert "other numbers when it is called again" in said(check_double, answer)
    assert len(calls) == 2
    assert "called again" not in said(check_double, lambda x: 2 * x + np.arange(x.size) ** 2)
    assert "called again" not in said(check_double, lambda x: x * x)


def test_a_list_times_a_number():
    assert "is not multiplied number by number" in said(check_double, lambda x: x.tolist() * 2.0)


def test_a_pair_used_as_one_array():
    def answer(x):
        y = np.empty_like(x)
        y[...] = (2 * x, x[:1])
        return y

    assert "return several things?" in said(check_double, answer)


def test_pieces_that_were_not_put_together():
    x = draw(2, 6, 3)
    pieces = [x[:, :2], x[:, 2:4], x[:, 4:]]
    assert "np.concatenate(pieces, axis=1) puts them together" in said(check_with(lambda: same(pieces, x, "x")))
    assert "np.concatenate" not in said(check_with(lambda: same(pieces[::-1], x, "x")))


def test_rows_of_different_lengths_are_no_array():
    message = said(check_double, lambda x: np.array([[1.0, 2.0], [3.0]]))
    assert "parts of different shapes can't be one array: are there rows of different lengths" in message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x / max(x, 1), "want one True or False, and an array has many"),
        (lambda x: 2 * np.copyto(x, x), "something there is None"),
        (lambda x: 2 * x.reshape(len(x) / 1, -1), "`/` gives a float"),
        (lambda x: 2 * x[np.ones((len(x), 7), dtype=bool)], "np.where(mask, …, …) broadcasts"),
        (lambda x: 2 * x[len(x)], "long, and places are counted from 0"),
        (lambda x: 2 * x[()[-1]], "an empty list or tuple has no [0] and no [-1]"),
        (lambda x: 2 * x[[][0]], "an empty list or tuple has no [0] and no [-1]"),
        (lambda x: [seen.update({n + 9: x}) for seen in [{0: x}] for n in seen], "fill a new one"),
    ],
)
def test_what_errors_of_numpy_and_python_mean(answer, words):
    message = said(check_with_table, answer)
    assert "stopped with" in message
    assert words in message


def test_not_written_yet():
    def answer(x):
        raise NotImplementedError("double")

    assert said(check_double, answer) == (
        "double is not written yet: put your lines where `raise NotImplementedError` stands"
    )


def test_factors_are_named_by_sizes():
    for factor, words in ((1 / 7, "1/B times"), (7, "B times"), (49, "B² times"), (-1 / 7, "minus 1/B times")):
        x = draw(3, 4)
        check = check_with(lambda x=x, factor=factor: same(factor * x, x, "x", sizes={"B": 7}))
        assert f"every number is {words} what is expected (B = 7)" in said(check)


def test_transposed():
    x, square = draw(2, 3), draw(3, 3)
    assert "got (3, 2), expected (2, 3)\n  → it is what is expected, transposed" in said(
        check_with(lambda: same(x.T, x, "x"))
    )
    assert "→ it is what is expected, transposed" in said(check_with(lambda: same(square.T, square, "x")))
    other = draw(3, 2)
    assert "→ the axes are the other way round" in said(check_with(lambda: same(other, x, "x")))


def test_a_sum_that_is_missing():
    x = draw(4, 2, 3)
    assert "that sum is missing" in said(check_with(lambda: same(x, x.sum(axis=0), "x")))
    assert "is a sum missing?" in said(check_with(lambda: same(x, draw(2, 3), "x")))


def test_whole_numbers_must_be_equal():
    ids = draw_integers(0, 9, 30)
    check_with(lambda: same(ids.tolist(), ids, "ids"))()
    wrong = ids.copy()
    wrong[4] += 1
    assert "worst at [4]" in said(check_with(lambda: same(wrong, ids, "ids")))


def test_infinities_that_are_expected():
    x = np.array([1.0, -np.inf])
    check_with(lambda: same(x, x, "x"))()
    assert "wrong numbers" in said(check_with(lambda: same([1.0, 2.0], x, "x")))


def test_several_results():
    a, b = draw(2), draw(3)
    check_with(lambda: same_all((a, b), {"da": a, "db": b}))()
    assert "db has the right shape" in said(check_with(lambda: same_all((a, b + 1), {"da": a, "db": b})))
    assert "→ twice" in said(check_with(lambda: same_all((2 * a, b), {"da": a, "db": b}, {"da": {"twice": 2 * a}})))
    assert "expected 2 things, (da, db), but 1 were" in said(check_with(lambda: same_all((a,), {"da": a, "db": b})))
    assert "but one was returned" in said(check_with(lambda: same_all(a, {"da": a, "db": b})))
    for wanted in ({"da": a, "db": b}, {"da": a, "db": a[::-1]}):  # also where the shapes are the same
        message = said(check_with(lambda wanted=wanted: same_all([*wanted.values()][::-1], wanted)))
        assert "→ that is db: the order is da, db" in message
    message = said(check_with(lambda: same_all((3.0, 5.0), {"sum": 4.0, "product": 5.0})))
    assert message == "sum is wrong\n  got 3, expected 4; off by 1, allowed 0.0004"


def test_a_row_of_numbers_is_several_results(capsys):
    check_with(lambda: same_all(np.array([1.0, 2.0]), {"a": 1.0, "b": 2.0}))()
    assert "2 comparisons" in capsys.readouterr().out
    message = said(check_with(lambda: same_all(np.ones(3), {"a": 1.0, "b": 2.0})))
    assert "expected 2 things" in message


def test_several_results_where_one_is_expected():
    message = said(check_double, lambda x: (2 * x, x))
    assert "a tuple of 2 was returned, where one array is expected" in message
    assert "but is a tuple of 2" in said(check_double, lambda x: (2 * x, x[:1]))


def test_an_array_of_whole_numbers_that_cut_the_decimals_off():
    def answer(x):
        y = np.zeros(x.shape, dtype=int)
        y[...] = 200 * x
        return y

    assert "the numbers are of the type int64: an array of whole numbers" in said(check_double, answer)
    assert "int64" not in said(check_double, lambda x: 3.0 * x)


def test_a_list_is_right_where_an_array_is_expected_and_says_so(capsys):
    check_double(lambda x: (2 * x).tolist())
    assert "double(x) came as a list. Cells below may need an array" in capsys.readouterr().out
    check_double(lambda x: 2 * x)
    check_with(lambda: same([1, 2], [1, 2], "ids"))()
    check_with(lambda: same([1.0, 2.0], np.array([1.0, 2.0]), "losses"))()  # a row of numbers may be one
    assert "list" not in capsys.readouterr().out


def test_what_is_no_array():
    check_with(lambda: equal(("a", "b"), ["a", "b"], "words"))()
    message = said(check_with(lambda: equal(["a", "c"], ["a", "b"], "words", {"c came": ["a", "c"]})))
    assert "got       ['a', 'c']\n  expected  ['a', 'b']\n  the first difference is at [1]\n  → c came" in message
    assert "is wrong" in said(check_with(lambda: equal(1, True, "truth")))
    check_with(lambda: holds(True, "never"))()
    assert said(check_with(lambda: holds(False, "x was changed"))) == "x was changed"


def test_a_checker_that_compares_nothing_is_a_mistake_of_ours():
    with pytest.raises(RuntimeError, match="compared nothing"):
        check_with(lambda: None)()
    with pytest.raises(ValueError, match="is named check_"):
        exercise(lesson=1)(lambda answer: None)


def test_jupyter_shows_the_message_alone():
    assert CheckFailed("a\nb")._render_traceback_() == ["a", "b"]


# -- progress ---------------------------------------------------------------------------------------------------------


def test_tries_are_counted_and_the_day_stays(progress, capsys):
    for answer in (lambda x: x, lambda x: 2 * x, lambda x: x):
        with suppress(CheckFailed):
            check_double(answer)
    entry = json.loads(progress.read_text())["double"]
    assert (entry["lesson"], entry["tries"]) == (7, 3)
    assert len(entry["solved"]) == 10
    assert [path.name for path in progress.parent.iterdir()] == ["progress.json"]


def test_a_damaged_file_starts_anew(progress, caplog):
    progress.parent.mkdir()
    for text in ("{", "[1]", '{"double": 5}'):
        progress.write_text(text)
        assert read_progress() == {}
        record_try("double", 7, solved=True)
        assert set(read_progress()) == {"double"}


def test_a_file_that_cannot_be_written_is_no_error(progress, monkeypatch, capsys):
    monkeypatch.setenv("EDUTRANSFORMERS_PROGRESS", "/dev/null/progress.json")
    check_double(lambda x: 2 * x)
    assert "right" in capsys.readouterr().out
