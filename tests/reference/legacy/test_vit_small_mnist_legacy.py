"""The shipped reader of digits, read by transformers 4.34.1 from the same folder."""

import numpy as np
import pytest

from edutransformers import AutoImageProcessor, AutoModelForImageClassification, pipeline
from edutransformers.checkpoints.packaged import SHIPPED_FOLDER
from edutransformers.teaching.drawn_digits import draw_digit

from ..common import MAJOR, torch, transformers

pytestmark = [
    pytest.mark.legacy,
    pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1"),
    pytest.mark.filterwarnings("ignore"),
]
FOLDER = SHIPPED_FOLDER / "vit-small-mnist"
PICTURES = [draw_digit(digit, np.random.default_rng(digit), size).convert("RGB")
            for digit, size in zip(range(10), (28, 28, 28, 40, 56, 64, 100, 28, 20, 224))]  # fmt: skip


def test_logits():
    ours = AutoModelForImageClassification.from_pretrained(FOLDER)
    theirs, report = transformers.ViTForImageClassification.from_pretrained(FOLDER, output_loading_info=True)
    assert not any(report.values()), report
    mine = AutoImageProcessor.from_pretrained(FOLDER)(PICTURES, return_tensors="np")
    other = transformers.AutoImageProcessor.from_pretrained(FOLDER)(PICTURES, return_tensors="pt")
    np.testing.assert_allclose(mine.pixel_values, other["pixel_values"].numpy(), atol=1e-5)
    with torch.no_grad():
        expected = theirs.float().eval()(**other).logits.numpy()
    np.testing.assert_allclose(ours(**mine).logits, expected, atol=1e-4)


def test_the_pipeline():
    theirs = transformers.pipeline("image-classification", model=str(FOLDER))
    for mine, other in zip(pipeline("image-classification", model=str(FOLDER))(PICTURES), theirs(PICTURES)):
        assert [label["label"] for label in mine] == [label["label"] for label in other]
        np.testing.assert_allclose([x["score"] for x in mine], [x["score"] for x in other], atol=1e-4)
