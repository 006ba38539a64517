"""Data small enough to learn in a second: kind and unkind sentences about films, tweets with names."""

import csv
import json

import numpy as np
import pytest

from edutransformers.cli import main

KIND, UNKIND, THINGS = ["good", "great", "fine", "warm"], ["bad", "dull", "poor", "cold"], ["film", "plot", "cast"]
TINY_MODEL = [
    "--config", "hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "intermediate_size=32",
    "max_position_embeddings=32", "vocab_size=90", "hidden_dropout_prob=0",
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


@pytest.fixture
def reviews(tmp_path):
    """A CSV file of 120 sentences; each begins with its number, so that none occurs twice."""
    rng = np.random.default_rng(0)
    path = tmp_path / "reviews.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(120):
            kind = bool(rng.integers(2))
            writer.writerow(
                [
                    f"{number} the {rng.choice(THINGS)} was {rng.choice(KIND if kind else UNKIND)}",
                    "kind" if kind else "unkind",
                ]
            )
    return path


@pytest.fixture
def names(tmp_path):
    """A CoNLL file of 80 texts with persons and places."""
    rng = np.random.default_rng(0)
    texts = []
    for number in range(80):
        first, last, place = rng.choice(["ada", "alan"]), rng.choice(["stone", "wood"]), rng.choice(["rome", "oslo"])
        lines = [(str(number), "O"), (first, "B-person"), (last, "I-person"), ("saw", "O"), (place, "B-place")]
        texts.append("\n".join("\t".join(line) for line in lines))
    path = tmp_path / "names.conll"
    path.write_text("\n\t\n".join(texts) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def lines(tmp_path):
    """A file with a sentence a line."""
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(f"{n} the {THINGS[n % 3]} was {KIND[n % 4]}" for n in range(60)), encoding="utf-8")
    return path


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
