"""`edutransformers train token-classification`, and what lies between words with tags and pieces with labels."""

import json

import numpy as np
import pytest

from edutransformers import pipeline
from edutransformers.training.outputs import EvalPrediction
from edutransformers.training.recipes.token_classification import (
    align_labels_with_tokens,
    lookup_scores,
    score_tags,
    tag_names,
)
from tests.training.recipes.conftest import HOW, KIND, THINGS, TINY_MODEL, metrics_of, some_of


def test_from_a_file_to_a_pipeline(train, names, tmp_path):
    out = tmp_path / "out"
    status, printed, _ = train(
        "ner", "--train_file", names, "--output_dir", out, *TINY_MODEL, "--num_train_epochs", "15"
    )
    assert status == 0
    results = metrics_of(out)
    assert results["eval_f1"] == 1.0
    assert results["eval_f1_person"] == results["eval_f1_place"] == 1.0
    assert {"eval_baseline_f1", "eval_baseline_accuracy"} <= set(results)
    assert "pipeline('token-classification'" in printed
    use = pipeline("ner", model=str(out), aggregation_strategy="simple")
    found = [(entity["entity_group"], entity["word"]) for entity in use("so alan wood saw oslo")]
    assert found == [("person", "alan wood"), ("place", "oslo")]


def test_parts_of_speech_have_no_entities(train, tmp_path):
    path = tmp_path / "tags.jsonl"
    combinations = some_of(HOW, THINGS, KIND, count=60)
    rows = [{"words": f"{how} {word} {thing}", "pos": ["ADV", "ADJ", "NOUN"]} for how, thing, word in combinations]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    status, _, _ = train(
        "token-classification", "--train_file", path, "--text_column_name", "words", "--label_column_name", "pos",
        "--output_dir", tmp_path / "out", "--num_train_epochs", "8", *TINY_MODEL,
    )  # fmt: skip
    assert status == 0
    results = metrics_of(tmp_path / "out")
    assert results["eval_accuracy"] == 1.0
    assert "eval_f1" not in results


def test_the_first_piece_carries_the_label():
    assert align_labels_with_tokens([3, 0], [None, 0, 0, 1, None]) == [-100, 3, -100, 0, -100]
    assert align_labels_with_tokens([5, 6], [None, 0, 1, 1, 1, None, None]) == [-100, 5, 6, -100, -100, -100, -100]
    assert align_labels_with_tokens([1, 2, 3], [None, 0, None]) == [-100, 1, -100]  # the rest was cut off


def test_tags_in_order():
    rows = [["B-place", "O"], ["I-place", "B-art"]]
    assert tag_names(rows) == ["O", "B-art", "B-place", "I-place"]


def test_scores_look_at_counted_places_only():
    names = ["O", "B-a", "I-a"]
    labels = np.array([[-100, 1, -100, 2, -100], [-100, 0, 1, -100, -100]])
    guesses = np.array([[1, 1, 0, 2, 1], [1, 0, 0, 1, 2]])
    scores = score_tags(EvalPrediction(guesses, labels), names)
    assert scores["accuracy"] == 3 / 4
    assert (scores["precision"], scores["recall"]) == (1.0, 0.5)


def test_the_table_to_compare_with():
    train = [(["in", "Rome"], ["O", "B-place"]), (["rome", "wins"], ["B-team", "O"]), (["ROME"], ["B-place"])]
    scores = lookup_scores(train, [(["Rome", "falls"], ["B-place", "O"]), (["Oslo"], ["B-place"])])
    assert scores["baseline_accuracy"] == 2 / 3
    assert scores["baseline_f1"] == pytest.approx(2 / 3)
