"""The scripts of examples/ about fine-tuning, each whole, on data small enough for a second."""

import importlib.util
from pathlib import Path

import pytest

from edutransformers import AutoConfig, AutoModel, AutoTokenizer
from edutransformers.pretrained.reviews import Review

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
QUICK = ["--max_steps", "2", "--disable_tqdm", "true", "--save_strategy", "no"]
SHIPPED = ["--model_name_or_path", "edutransformers/bert-small-imdb"]


def script(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def reviews():
    words = ("a wonderful, moving film", "a dull waste of time")
    rows = [Review(f"{words[n % 2]}, number {n}", 1 - n % 2) for n in range(40)]
    return rows[:32], rows[32:]


def test_sentiment(tmp_path, monkeypatch, capsys, reviews):
    module = script("sentiment")
    monkeypatch.setattr(module, "load_reviews", lambda: reviews)
    metrics = module.main([*SHIPPED, *QUICK, "--max_train_samples", "16", "--output_dir", str(tmp_path)])
    assert metrics["eval_accuracy"] == 1.0  # the shipped model knows these words already
    assert "of 8 held-out reviews right" in capsys.readouterr().out
    assert AutoTokenizer.from_pretrained(tmp_path).model_max_length == 256


def test_entities(tmp_path, capsys):
    path = tmp_path / "names.conll"
    path.write_text("\n\n".join(f"{n} O\nParis B-place\nTexas I-place" for n in range(20)), encoding="utf-8")
    AutoModel.from_pretrained("bert-small-imdb").save_pretrained(tmp_path)  # a model without a head
    AutoTokenizer.from_pretrained("bert-small-imdb").save_pretrained(tmp_path)
    words = [*QUICK, "--model_name_or_path", str(tmp_path), "--train_file", str(path)]
    words += ["--output_dir", str(tmp_path / "out")]
    metrics = script("entities").main(words)
    assert 0 <= metrics["eval_f1"] <= 1
    assert "a table of the words' usual tags reaches 1.000" in capsys.readouterr().out
    assert AutoConfig.from_pretrained(tmp_path / "out").id2label == {0: "O", 1: "B-place", 2: "I-place"}


def test_masked_language_model(tmp_path, monkeypatch, capsys, reviews):
    module = script("masked_language_model")
    monkeypatch.setattr(module, "load_reviews", lambda: reviews)
    words = [*SHIPPED, *QUICK, "--block_size", "16", "--learning_rate", "0.01", "--output_dir", str(tmp_path / "out")]
    metrics = module.main(words)
    printed = capsys.readouterr().out
    assert metrics["eval_perplexity"] < 5000
    assert printed.count("this film was") == 5
    (tmp_path / "texts.txt").write_text("\n".join(review.text for review in reviews[0]), encoding="utf-8")
    module.main([*words, "--train_file", str(tmp_path / "texts.txt")])
    assert "blocks to train on" in capsys.readouterr().out
