"""ViTImageProcessor: from pictures to pixel_values. (The original's numbers: reference/test_images_reference.py.)"""

import io
import json
import logging

import numpy as np
import pytest
from PIL import Image

from edutransformers import logging as our_logging
from edutransformers.auto import AutoImageProcessor
from edutransformers.images import ViTFeatureExtractor, ViTImageProcessor, make_list_of_images, resize
from tests import fakecupy

from .pictures import encoded, noise, picture, smooth

SMALL = {"size": 8}


def by_hand(pixels, size=(8, 8), mean=0.5, std=0.5):
    """(H, W, C) uint8 -> (C, h, w)"""
    resized = np.array(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
    resized = resized.reshape(*size, -1).astype(np.float64)
    return ((resized / 255 - mean) / std).transpose(2, 0, 1)


def only(batch):
    (pixels,) = batch["pixel_values"]
    return pixels


# -- the numbers ------------------------------------------------------------------------------------------------------


def test_resize_rescale_normalize():
    pixels = noise()
    batch = ViTImageProcessor(**SMALL)(pixels, return_tensors="np")
    assert batch.pixel_values.shape == (1, 3, 8, 8)
    assert batch.pixel_values.dtype == np.float32
    np.testing.assert_allclose(only(batch), by_hand(pixels), atol=1e-6)
    mean, std = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    other = ViTImageProcessor(size=(4, 6), image_mean=mean, image_std=std)(pixels, return_tensors="np")
    np.testing.assert_allclose(only(other), by_hand(pixels, (4, 6), mean, std), atol=1e-6)


def test_each_step_can_be_left_out():
    pixels = noise()
    whole = ViTImageProcessor(**SMALL)
    resized = resize(pixels, (8, 8)).transpose(2, 0, 1)
    np.testing.assert_array_equal(only(whole(pixels, do_rescale=False, do_normalize=False)), resized)
    np.testing.assert_allclose(only(whole(pixels, do_normalize=False)), resized / 255, atol=1e-6)
    np.testing.assert_allclose(only(whole(pixels, do_rescale=False)), (resized - 0.5) / 0.5, atol=1e-6)
    np.testing.assert_allclose(only(whole(pixels, do_resize=False)), by_hand(pixels, (13, 17)), atol=1e-6)
    untouched = whole(pixels, do_resize=False, do_rescale=False, do_normalize=False, data_format="channels_last")
    np.testing.assert_array_equal(only(untouched), pixels)


def test_settings_of_a_call_equal_settings_of_the_class():
    pixels = noise()
    settings = {"size": {"shortest_edge": 9}, "resample": 3, "rescale_factor": 0.1, "image_mean": [0.1, 0.2, 0.3]}
    processor = ViTImageProcessor()
    before = processor.to_dict()
    once = processor(pixels, **settings, image_std=2.0)
    assert only(once).shape == (3, 9, 11)  # 17 · 9 / 13, rounded down
    np.testing.assert_array_equal(only(once), only(ViTImageProcessor(**settings, image_std=2.0)(pixels)))
    assert processor.to_dict() == before
    np.testing.assert_array_equal(only(processor(pixels, size=None)), only(processor(pixels)))


def test_layouts():
    pixels = noise()
    processor = ViTImageProcessor(**SMALL)
    expected = processor(pixels, return_tensors="np").pixel_values
    for image in (pixels, pixels.transpose(2, 0, 1), Image.fromarray(pixels)):
        np.testing.assert_array_equal(processor(image, return_tensors="np").pixel_values, expected)
        last = processor(image, return_tensors="np", data_format="channels_last").pixel_values
        np.testing.assert_array_equal(last, expected.transpose(0, 2, 3, 1))
    odd = noise(3, 8)  # (3, 8, 3): which end?
    last = processor(odd, input_data_format="channels_last", return_tensors="np").pixel_values
    np.testing.assert_array_equal(last, processor(Image.fromarray(odd), return_tensors="np").pixel_values)
    first = processor(odd, input_data_format="channels_first", return_tensors="np").pixel_values
    assert np.abs(first - last).max() > 0.1


def test_an_ambiguous_layout_is_said(caplog):
    with caplog.at_level("WARNING"):
        ViTImageProcessor(**SMALL)(noise(3, 8))
    assert "could have its channels first or last" in caplog.text


def test_the_models_channels_decide_between_one_and_three():
    """(1, 8, 3) has three channels for a model with three, and one for a model with one."""
    row = noise(1, 8)
    colour = ViTImageProcessor(do_resize=False)(row, return_tensors="np").pixel_values
    assert colour.shape == (1, 3, 1, 8)
    grey = ViTImageProcessor(do_resize=False, image_mean=[0.5], image_std=[0.5])(row, return_tensors="np").pixel_values
    assert grey.shape == (1, 1, 8, 3)
    assert ViTImageProcessor(do_resize=False)(noise(1, 1), return_tensors="np").pixel_values.shape == (1, 3, 1, 1)


# -- what a picture may be --------------------------------------------------------------------------------------------


def test_one_picture_in_all_its_forms(tmp_path):
    pixels = noise()
    (tmp_path / "picture.png").write_bytes(encoded(Image.fromarray(pixels)))
    processor = ViTImageProcessor(**SMALL)
    expected = by_hand(pixels)
    for image in (
        pixels, pixels.astype(np.int32), pixels.astype(np.float64), Image.fromarray(pixels), tmp_path / "picture.png",
        str(tmp_path / "picture.png"), encoded(Image.fromarray(pixels)), io.BytesIO(encoded(Image.fromarray(pixels))),
    ):  # fmt: skip
        np.testing.assert_allclose(only(processor(image)), expected, atol=1e-6)
    np.testing.assert_allclose(only(processor(pixels / 255, do_rescale=False)), expected, atol=2.1 / 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGBA", "P", "CMYK", "I;16", "I", "F"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_gets_the_models_channels(mode, channels):
    settings = {"image_mean": [0.5] * channels, "image_std": [0.5] * channels}
    image = picture(mode)
    pixels = only(ViTImageProcessor(**SMALL, **settings)(image))
    assert pixels.shape == (channels, 8, 8)
    rgb = ViTImageProcessor(**SMALL)(image, do_convert_rgb=True, return_tensors="np").pixel_values[0]
    if channels == 3:
        np.testing.assert_array_equal(pixels, rgb)
    else:
        assert np.abs(pixels[0] - np.tensordot([0.299, 0.587, 0.114], rgb, 1)).max() < 0.02


def test_grey_arrays():
    processor = ViTImageProcessor(size=4, image_mean=[0.5], image_std=[0.25])
    grey = noise(channels=1)
    expected = only(processor(grey))
    assert expected.shape == (1, 4, 4)
    np.testing.assert_array_equal(only(processor(grey[..., 0])), expected)
    np.testing.assert_array_equal(only(processor(Image.fromarray(grey[..., 0]))), expected)
    three = only(ViTImageProcessor(size=4, image_mean=[0.5] * 3, image_std=[0.25] * 3)(grey))
    np.testing.assert_array_equal(three, np.repeat(expected, 3, axis=0))
    white = only(processor(np.ones((5, 5), bool)))
    np.testing.assert_allclose(white, np.full((1, 4, 4), 2), atol=1e-6)


def test_channels_stay_when_told_so():
    processor = ViTImageProcessor(**SMALL)
    with pytest.raises(ValueError, match="mean holds 3 numbers, but the image has 1 channels"):
        processor(noise(channels=1), do_convert_rgb=False)
    assert only(processor(picture("RGBA"), do_normalize=False)).shape == (4, 8, 8)
    assert only(processor(picture("RGBA"), do_normalize=False, do_convert_rgb=True)).shape == (3, 8, 8)
    assert only(processor(picture("L"), image_mean=0.5, image_std=0.5)).shape == (1, 8, 8)
    assert only(processor(picture("P"), do_normalize=False)).shape == (3, 8, 8)


def test_batches_and_nested_lists():
    a, b, c = noise(), smooth(), noise(5, 9, seed=1)
    processor = ViTImageProcessor(**SMALL)
    expected = np.stack([only(processor(image)) for image in (a, b, c)])
    for images in ([a, b, c], (a, Image.fromarray(b), encoded(Image.fromarray(c))), [[a, b], [c]], [[a], [], [b, c]]):
        np.testing.assert_array_equal(processor(images, return_tensors="np").pixel_values, expected)
    stack = np.stack([a, a + 1])
    assert processor(stack, return_tensors="np").pixel_values.shape == (2, 3, 8, 8)
    assert processor([stack, stack], return_tensors="np").pixel_values.shape == (4, 3, 8, 8)
    rows = processor([a, b, c])["pixel_values"]
    assert isinstance(rows, list)
    assert [row.shape for row in rows] == [(3, 8, 8)] * 3


def test_cupy_arrays():
    pixels = noise()
    with fakecupy.installed():
        batch = ViTImageProcessor(**SMALL)(fakecupy.asarray(pixels), return_tensors="cp")
        assert isinstance(batch.pixel_values, fakecupy.ndarray)
        np.testing.assert_allclose(fakecupy.asnumpy(batch.pixel_values)[0], by_hand(pixels), atol=1e-6)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (None, TypeError, "an image can't be NoneType"),
        (3, TypeError, "an image can't be int"),
        ([noise(), {"a": 1}], TypeError, "an image can't be dict"),
        ([], ValueError, "an empty list of images"),
        (np.zeros(5), ValueError, r"shape \(5,\) is no image"),
        (np.zeros((2, 2, 5, 7, 3)), ValueError, "is no image"),
        (np.zeros((0, 5, 3)), ValueError, "no pixels"),
        (Image.new("RGB", (0, 5)), ValueError, "5 × 0 pixels"),
        (np.zeros((7, 5, 2)), ValueError, r"\(7, 5, 2\) has no channel axis.*length 1, 3 or 4"),
        (np.zeros((5, 30, 40)), ValueError, "has no channel axis"),
        (np.full((5, 7, 3), np.nan), ValueError, "105 of the image's 105 values are NaN or infinite"),
        (np.where(np.arange(105) == 7, np.inf, 0.0).reshape(5, 7, 3), ValueError, "1 of the image's 105 values"),
        (noise() * 1.01, ValueError, "expected whole numbers from 0 to 255 or floats from 0 to 1"),
        (noise() - 128.0, ValueError, "from -128"),
        ("no_such_file.png", ValueError, "there is no file 'no_such_file.png'"),
        (b"I am a cat.", ValueError, "no picture that Pillow can read"),
    ],
)
def test_bad_images(images, error, message):
    with pytest.raises(error, match=message):
        ViTImageProcessor(**SMALL)(images)


@pytest.mark.parametrize("settings", [{}, {"do_resize": False}])
def test_nan_is_noticed_and_truth_values_are_black_and_white_in_any_case(settings):
    processor = ViTImageProcessor(size=5, **settings)
    with pytest.raises(ValueError, match="1 of the image's 75 values are NaN or infinite"):
        processor(np.where(np.arange(75) == 7, np.nan, 1.0).reshape(5, 5, 3))
    np.testing.assert_allclose(only(processor(np.ones((5, 5), bool))), np.ones((3, 5, 5)), atol=1e-6)


def test_several_sizes_make_no_array():
    images = [noise(8, 8), noise(8, 9)]
    processor = ViTImageProcessor(do_resize=False)
    assert [row.shape for row in processor(images)["pixel_values"]] == [(3, 8, 8), (3, 8, 9)]
    with pytest.raises(ValueError, match="different lengths and make no array: .*do_resize=True"):
        processor(images, return_tensors="np")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"sise": 4}, TypeError, "ViTImageProcessor has no setting 'sise'; it has do_resize, size"),
        ({"size": "big"}, ValueError, "size is 'big'"),
        ({"size": {"longest_edge": 4}}, ValueError, "does not say how large"),
        ({"resample": 9}, ValueError, "resample is 9; expected one of Pillow's filters 0"),
        ({"image_std": [1, 0, 1]}, ValueError, "std is .*other than 0"),
        ({"image_mean": [1, 2]}, ValueError, "mean holds 2 numbers"),
        ({"data_format": "first"}, ValueError, "'first' is no layout"),
        ({"input_data_format": "first"}, ValueError, "'first' is no layout"),
        ({"return_tensors": "pt"}, ValueError, "'pt' needs a framework"),
    ],
)
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        ViTImageProcessor(**SMALL)(noise(), **settings)


def test_pixels_that_are_scaled_already_are_noticed(caplog, monkeypatch):
    monkeypatch.setattr(our_logging, "_said_once", set())
    processor = ViTImageProcessor(**SMALL)
    with caplog.at_level(logging.WARNING):
        processor(noise())
        processor(noise() / 255, do_rescale=False)
        assert not caplog.text
        processor([noise() / 255])
        assert "already rescaled images" in caplog.text


def test_make_list_of_images_keeps_what_it_is_given():
    a = noise()
    assert make_list_of_images(a) == [a]
    assert [image is a for image in make_list_of_images([a, [a]])] == [True, True]


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_saved_processor_comes_back(tmp_path):
    processor = ViTImageProcessor(size=(4, 6), resample=3, image_mean=[0.1, 0.2, 0.3])
    processor.save_pretrained(tmp_path)
    for loaded in (ViTImageProcessor.from_pretrained(tmp_path), AutoImageProcessor.from_pretrained(tmp_path)):
        assert type(loaded) is ViTImageProcessor
        assert loaded.to_dict() == processor.to_dict()
        np.testing.assert_array_equal(only(loaded(noise())), only(processor(noise())))
    assert ViTImageProcessor.from_pretrained(tmp_path, size=9).size == {"height": 9, "width": 9}


def test_the_file_is_the_originals(tmp_path):
    ViTImageProcessor().save_pretrained(tmp_path)
    assert json.loads((tmp_path / "preprocessor_config.json").read_text()) == {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "ViTImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": 224, "width": 224},
    }


@pytest.mark.parametrize("kind", ["feature_extractor_type", "image_processor_type"])
def test_an_old_file(tmp_path, kind):
    """As checkpoints of 2021 have it: a feature extractor, one number as the size."""
    fields = {"do_normalize": True, "do_resize": True, kind: "ViTFeatureExtractor", "image_mean": [0.5, 0.5, 0.5],
              "image_std": [0.5, 0.5, 0.5], "resample": 2, "size": 32}  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(fields))
    processor = ViTImageProcessor.from_pretrained(tmp_path)
    assert processor.size == {"height": 32, "width": 32}
    assert processor.do_rescale
    assert "feature_extractor_type" not in processor.to_dict()
    if kind == "feature_extractor_type":
        assert type(AutoImageProcessor.from_pretrained(tmp_path)) is ViTImageProcessor


def test_the_older_name():
    with pytest.warns(FutureWarning, match="use ViTImageProcessor"):
        older = ViTFeatureExtractor(size=8)
    pixels = noise()
    np.testing.assert_array_equal(only(older(pixels)), only(ViTImageProcessor(size=8)(pixels)))


def test_settings_of_other_versions_survive():
    processor = ViTImageProcessor(do_reduce_labels=False)
    assert processor.to_dict()["do_reduce_labels"] is False
    assert "ViTImageProcessor {" in repr(processor)
