"""`edutransformers train fill-mask`, blocks of joined texts, and evaluations that hide the same words."""

import math

import numpy as np
import pytest

from edutransformers import pipeline
from edutransformers.training.recipes.masked_language_model import blocks
from tests.training.recipes.conftest import TINY_MODEL, metrics_of


@pytest.mark.parametrize("more", [[], ["--line_by_line", "true"]])
def test_from_a_file_to_a_pipeline(train, lines, tmp_path, more):
    out, words = tmp_path / "out", ["--train_file", lines, *TINY_MODEL, *more]
    status, printed, _ = train("mlm", *words, "--output_dir", tmp_path / "before", "--do_train", "false")
    assert status == 0
    assert train("mlm", *words, "--output_dir", out, "--num_train_epochs", "40")[0] == 0
    before, after = metrics_of(tmp_path / "before"), metrics_of(out)
    assert after["eval_perplexity"] == pytest.approx(math.exp(after["eval_loss"]))
    assert after["eval_perplexity"] < 0.5 * before["eval_perplexity"]
    use = pipeline("fill-mask", model=str(out))
    assert use("7 the [MASK] was warm", top_k=3)
    assert {found["token_str"] for found in use("7 the [MASK] was warm", top_k=3)} == {"film", "plot", "cast"}


def test_every_evaluation_hides_the_same_words(train, lines, tmp_path):
    words = ["--train_file", lines, *TINY_MODEL, "--do_train", "false"]
    losses = []
    for seed in ("1", "1", "2"):
        assert train("mlm", *words, "--output_dir", tmp_path, "--seed", seed)[0] == 0
        losses.append(metrics_of(tmp_path)["eval_loss"])
    assert losses[0] == losses[1] != losses[2]


def test_blocks():
    encoded = {"input_ids": [[1, 2, 3], [4, 5], [6, 7]], "special_tokens_mask": [[1, 0, 1], [0, 0], [0, 1]]}
    made = blocks(encoded, 3)
    assert [item["input_ids"].tolist() for item in made] == [[1, 2, 3], [4, 5, 6]]
    assert [item["special_tokens_mask"].tolist() for item in made] == [[1, 0, 1], [0, 0, 0]]
    assert [item["input_ids"].tolist() for item in blocks(encoded, 9)] == [[1, 2, 3, 4, 5, 6, 7]]
    assert np.concatenate([item["input_ids"] for item in blocks(encoded, 7)]).tolist() == [1, 2, 3, 4, 5, 6, 7]
