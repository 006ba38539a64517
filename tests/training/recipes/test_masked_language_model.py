"""`edutransformers train fill-mask`, blocks of joined texts, and evaluations that hide the same words."""

import math

import numpy as np
import pytest

from edutransformers import BertTokenizer, pipeline
from edutransformers.training.recipes.command import parse
from edutransformers.training.recipes.masked_language_model import HidingCollator, blocks, prepare
from tests.training.recipes.conftest import THINGS, TINY_MODEL, metrics_of

SHORT = ["--per_device_train_batch_size", "4", "--num_train_epochs", "10", "--mlm_probability", "0.3"]


@pytest.mark.parametrize("line_by_line", ["false", "true"])
def test_from_a_file_to_a_pipeline(train, lines, tmp_path, line_by_line):
    words = ["--train_file", lines, *TINY_MODEL, *SHORT, "--line_by_line", line_by_line]
    assert train("mlm", *words, "--output_dir", tmp_path / "before", "--do_train", "false")[0] == 0
    assert train("mlm", *words, "--output_dir", tmp_path / "after")[0] == 0
    before, after = metrics_of(tmp_path / "before"), metrics_of(tmp_path / "after")
    assert after["eval_perplexity"] == pytest.approx(math.exp(after["eval_loss"]))
    assert after["eval_perplexity"] < 0.4 * before["eval_perplexity"]
    use = pipeline("fill-mask", model=str(tmp_path / "after"))
    found = use("the [MASK] was very warm", top_k=1)[0]["token_str"]
    assert found in THINGS or line_by_line == "false"  # too short to learn in blocks, which begin anywhere


def test_something_is_always_hidden():
    """One short text with few words to hide: chance alone would often hide none, and the mean loss would be nan."""
    tokenizer = BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "was", "good"])
    collator = HidingCollator(tokenizer, mlm_probability=0.15, seed=0)
    for _ in range(30):
        assert (collator([tokenizer("film was good")])["labels"] != -100).any()
    assert (collator([tokenizer("")])["labels"] == -100).all()


def test_every_evaluation_hides_the_same_words(lines, tmp_path):
    words = ["--train_file", str(lines), *TINY_MODEL, "--output_dir", str(tmp_path)]
    _, model, data, training = parse(["mlm", *words])
    trainer = prepare(model, data, training).trainer(training)
    losses = [trainer.evaluate()["eval_loss"] for _ in range(2)]
    assert losses[0] == losses[1]
    training.seed += 1
    assert trainer.evaluate()["eval_loss"] != losses[0]


def test_blocks():
    encoded = {"input_ids": [[1, 2, 3], [4, 5], [6, 7]], "special_tokens_mask": [[1, 0, 1], [0, 0], [0, 1]]}
    made = blocks(encoded, 3)
    assert [item["input_ids"].tolist() for item in made] == [[1, 2, 3], [4, 5, 6]]
    assert [item["special_tokens_mask"].tolist() for item in made] == [[1, 0, 1], [0, 0, 0]]
    assert [item["input_ids"].tolist() for item in blocks(encoded, 9)] == [[1, 2, 3, 4, 5, 6, 7]]
    assert np.concatenate([item["input_ids"] for item in blocks(encoded, 7)]).tolist() == [1, 2, 3, 4, 5, 6, 7]
