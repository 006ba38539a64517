"""Data small enough to learn in a second: kind and unkind sentences about films, tweets with names."""

import csv
import itertools
import json

import numpy as np
import pytest

from edutransformers.cli import main

KIND, UNKIND = ["good", "great", "fine", "warm"], ["bad", "dull", "poor", "cold"]
THINGS, HOW = ["film", "plot", "cast", "end"], ["so", "very", "quite", "rather", "truly"]
TINY_MODEL = [
    "--config", "hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "intermediate_size=32",
    "max_position_embeddings=32", "vocab_size=200", "hidden_dropout_prob=0",
    "--max_seq_length", "16", "--threads", "1", "--disable_tqdm", "true", "--learning_rate", "0.01",
]  # fmt: skip


@pytest.fixture
def train(capsys):
    """`edutransformers train` in this process: (exit status, what it printed, what it complained about)."""

    def call(*words):
        status = main(["train", *map(str, words)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def some_of(*words, count):
    """Different combinations of one word of each list, in a random order."""
    combinations = list(itertools.product(*words))
    return [combinations[n] for n in np.random.default_rng(0).permutation(len(combinations))[:count]]


@pytest.fixture
def reviews(tmp_path):
    """A CSV file of 120 sentences, kind or unkind."""
    path = tmp_path / "reviews.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for thing, how, word in some_of(THINGS, HOW, KIND + UNKIND, count=120):
            writer.writerow([f"the {thing} was {how} {word}", "kind" if word in KIND else "unkind"])
    return path


@pytest.fixture
def names(tmp_path):
    """A CoNLL file of 120 texts with persons and places."""
    texts = []
    persons = ["ada", "alan", "grace", "john"], ["stone", "wood", "hill", "rivers"]
    for how, first, last, verb, place in some_of(HOW, *persons, ["saw", "left"], ["rome", "oslo", "paris"], count=120):
        lines = [(how, "O"), (first, "B-person"), (last, "I-person"), (verb, "O"), (place, "B-place")]
        texts.append("\n".join("\t".join(line) for line in lines))
    path = tmp_path / "names.conll"
    path.write_text("\n\t\n".join(texts) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def lines(tmp_path):
    """A file with a sentence a line."""
    path = tmp_path / "lines.txt"
    sentences = [f"the {thing} was {how} {word}" for thing, how, word in some_of(THINGS, HOW, KIND, count=80)]
    path.write_text("\n".join(sentences), encoding="utf-8")
    return path


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
