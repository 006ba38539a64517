"""`edutransformers train text-classification`, from a file to a pipeline."""

import json

import numpy as np
import pytest

from edutransformers import AutoConfig, BertConfig, pipeline
from edutransformers.checkpoints.safetensors_file import read_safetensors
from edutransformers.training.recipes.text_classification import label_names
from tests.training.recipes.conftest import HOW, KIND, THINGS, TINY_MODEL, UNKIND, metrics_of, some_of


def test_from_a_file_to_a_pipeline(train, reviews, tmp_path):
    out = tmp_path / "out"
    words = ["--train_file", reviews, "--output_dir", out, *TINY_MODEL, "--num_train_epochs", "6"]
    status, printed, _ = train("text-classification", *words)
    assert status == 0
    results = metrics_of(out)
    assert results["eval_accuracy"] == 1.0 > results["eval_baseline_accuracy"]
    assert (results["train_samples"], results["eval_samples"]) == (108, 12)
    assert results["command"] == " ".join(["edutransformers train text-classification", *map(str, words)])
    assert results["train_processor_seconds"] > 0
    assert f"use = pipeline('text-classification', model='{out}')" in printed
    assert "108 items to train on, 12 to evaluate on" in printed

    use = pipeline("text-classification", model=str(out))
    assert [use(f"the plot was so {word}")[0]["label"] for word in ("great", "dull")] == ["kind", "unkind"]
    assert use("the plot was so great " * 30, truncation=True)[0]["label"] == "kind"  # cut where training cut

    status, _, _ = train(
        "sentiment-analysis", "--train_file", reviews, "--model_name_or_path", out, "--output_dir", tmp_path / "again",
        "--do_train", "false", "--max_seq_length", "16", "--disable_tqdm", "true",
    )  # fmt: skip
    assert status == 0
    again = metrics_of(tmp_path / "again")
    assert again["eval_loss"] == pytest.approx(results["eval_loss"])  # the seed is the same, so is the split
    assert "train_seconds" not in again
    assert not (tmp_path / "again" / "model.safetensors").exists()


def test_an_interrupted_run_goes_on(train, reviews, tmp_path):
    words = ["--train_file", reviews, *TINY_MODEL, "--save_strategy", "steps", "--save_steps", "4"]
    words += ["--max_steps", "8", "--save_total_limit", "3"]
    assert train("text-classification", *words, "--output_dir", tmp_path / "whole")[0] == 0
    (tmp_path / "halves").mkdir()
    (tmp_path / "whole" / "checkpoint-4").rename(tmp_path / "halves" / "checkpoint-4")
    written = (tmp_path / "halves" / "checkpoint-4").stat().st_ino
    status, _, _ = train(
        "text-classification", *words, "--output_dir", tmp_path / "halves", "--resume_from_checkpoint", "true"
    )
    assert status == 0
    assert (tmp_path / "halves" / "checkpoint-4").stat().st_ino == written  # the first half was not done again
    whole, halves = (read_safetensors(tmp_path / name / "model.safetensors") for name in ("whole", "halves"))
    for name, tensor in whole.items():
        np.testing.assert_array_equal(tensor.read(), halves[name].read(), err_msg=name)


def test_a_number_for_each_text(train, tmp_path):
    path = tmp_path / "numbers.jsonl"
    rows = [
        {"sentence": f"{thing} {how} {word}", "stars": 0.5 + (word in KIND) + (how == "very")}
        for thing, how, word in some_of(THINGS, HOW, KIND + UNKIND, count=100)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    status, _, _ = train(
        "text-classification", "--train_file", path, "--text_column_name", "sentence", "--label_column_name", "stars",
        "--output_dir", tmp_path / "out", "--num_train_epochs", "12", *TINY_MODEL,
    )  # fmt: skip
    assert status == 0
    config = AutoConfig.from_pretrained(tmp_path / "out")
    assert (config.num_labels, config.problem_type) == (1, "regression")
    assert metrics_of(tmp_path / "out")["eval_spearman"] > 0.8


def test_names_of_labels(tmp_path):
    assert label_names(["b", "a", "b"]) == ["a", "b"]
    assert label_names([10, 9, 10]) == ["9", "10"]
    assert label_names([0.5, 1.0]) is None
    shipped = "edutransformers/bert-small-imdb"
    assert label_names([1, 0], shipped) == ["NEGATIVE", "POSITIVE"]
    assert label_names(["POSITIVE", "NEGATIVE"], shipped) == ["NEGATIVE", "POSITIVE"]
    assert label_names(["no", "yes"], shipped) == ["no", "yes"]
    BertConfig(id2label={0: "yes", 1: "no"}).save_pretrained(tmp_path)
    assert label_names(["no", "yes"], str(tmp_path)) == ["yes", "no"]  # as the model has learned them
    assert label_names([1, 2], shipped) == ["1", "2"]
    with pytest.raises(ValueError, match="all labels are 'a'"):
        label_names(["a", "a"])


def test_the_shipped_model_with_other_labels(train, reviews, tmp_path):
    """Its head has two classes of other names: a new one is drawn."""
    words = ["--train_file", reviews, "--model_name_or_path", "bert-small-imdb", "--output_dir", tmp_path / "out"]
    words += ["--max_seq_length", "16", "--max_steps", "1", "--disable_tqdm", "true", "--threads", "1"]
    assert train("text-classification", *words)[0] == 0
    assert AutoConfig.from_pretrained(tmp_path / "out").id2label == {0: "kind", 1: "unkind"}
