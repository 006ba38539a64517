"""Pillow images and arrays into each other, and into red, green and blue."""

import numpy as np
import pytest
from PIL import Image

from edutransformers.images import convert_to_rgb, to_numpy_array, to_pil_image
from edutransformers.images.conversion import is_scaled_image, is_unit_range, to_channels, to_eight_bits, to_plain_mode

from .pictures import noise, picture

# -- arrays to Pillow images ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_the_number_of_channels_makes_the_mode(channels, mode):
    pixels = noise(channels=channels)
    for array in (pixels, pixels.transpose(2, 0, 1), pixels.astype(np.int64), pixels.astype(np.float32)):
        image = to_pil_image(array)
        assert image.mode == mode
        np.testing.assert_array_equal(np.array(image).reshape(pixels.shape), pixels)


def test_two_axes_are_grey():
    pixels = noise(channels=1)[..., 0]
    np.testing.assert_array_equal(np.array(to_pil_image(pixels)), pixels)
    np.testing.assert_array_equal(np.array(to_pil_image(pixels > 127)), (pixels > 127) * 255)


def test_floats_from_0_to_1_are_multiplied():
    pixels = np.random.default_rng(0).random((5, 7, 3))
    np.testing.assert_array_equal(np.array(to_pil_image(pixels)), (pixels.astype(np.float32) * 255).astype(np.uint8))
    black_and_white = np.round(pixels)  # zeros and ones are whole numbers
    assert np.array(to_pil_image(black_and_white)).max() == 1
    assert np.array(to_pil_image(black_and_white, do_rescale=True)).max() == 255
    assert not is_unit_range(black_and_white)
    assert is_unit_range(pixels)


def test_a_pillow_image_stays_itself():
    image = picture()
    assert to_pil_image(image) is image
    np.testing.assert_array_equal(to_numpy_array(image), np.array(image))
    pixels = noise()
    assert to_numpy_array(pixels) is pixels


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros((5, 7, 2)), ValueError, r"\(5, 7, 2\) has no channel axis"),
        (np.zeros(5), ValueError, r"\(5,\) is no image; expected \(height, width\)"),
        (np.zeros((2, 5, 7, 3)), ValueError, "is no image"),
        (np.zeros((0, 7)), ValueError, "no pixels"),
        (np.full((5, 7), np.inf), ValueError, "35 of the image's 35 values are NaN or infinite"),
        (np.array([["a"]]), ValueError, "expected numbers"),
        ([[1, 2]], TypeError, "got list"),
    ],
)
def test_what_is_no_image(array, error, message):
    with pytest.raises(error, match=message):
        to_pil_image(array)


def test_scaled_pixels_are_recognized():
    assert is_scaled_image(np.float32([[0, 0.5, 1]]))
    assert not is_scaled_image(np.float32([[0, 0.5, 1.5]]))
    assert not is_scaled_image(np.float32([[-0.1, 0.5]]))
    assert not is_scaled_image(np.uint8([[0, 1]]))


# -- red, green, blue -------------------------------------------------------------------------------------------------


def test_opacity_shows_white():
    rgba = noise(channels=4)
    opacity = rgba[..., 3:] / 255
    expected = opacity * rgba[..., :3] + (1 - opacity) * 255
    for image in (rgba, rgba.transpose(2, 0, 1)):
        found = convert_to_rgb(image)
        assert found.dtype == np.uint8
        found = found if found.shape[-1] == 3 else found.transpose(1, 2, 0)
        np.testing.assert_array_equal(found, np.round(expected))
    pil = convert_to_rgb(Image.fromarray(rgba))
    assert pil.mode == "RGB"
    assert np.abs(np.array(pil) - expected).max() <= 1  # Pillow computes in whole numbers
    floats = convert_to_rgb(rgba / 255)
    np.testing.assert_allclose(floats, expected / 255, atol=1e-12)


def test_grey_becomes_three_channels():
    grey = noise(channels=1)
    expected = np.repeat(grey, 3, axis=-1)
    np.testing.assert_array_equal(convert_to_rgb(grey), expected)
    np.testing.assert_array_equal(convert_to_rgb(grey[..., 0]), expected)
    np.testing.assert_array_equal(convert_to_rgb(grey.transpose(2, 0, 1)), expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(np.array(convert_to_rgb(Image.fromarray(grey[..., 0]))), expected)
    colour = noise()
    assert convert_to_rgb(colour) is colour


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "YCbCr", "HSV", "LAB"])
def test_modes_without_opacity_as_pillow_converts_them(mode):
    image = picture(mode)
    np.testing.assert_array_equal(np.array(convert_to_rgb(image)), np.array(image.convert("RGB")))


def test_a_transparent_palette_shows_white():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.info["transparency"] = 0  # red is transparent
    assert np.array(convert_to_rgb(image)).tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_opacity_needs_floats_from_0_to_1():
    with pytest.raises(ValueError, match="with opacity, floats from 0 to 1 are expected"):
        convert_to_rgb(noise(channels=4) * 1.0)


def test_three_channels_become_one_by_brightness():
    colour = noise()
    expected = colour @ np.array([0.299, 0.587, 0.114])
    for image in (colour, colour.transpose(2, 0, 1), colour.astype(np.float32), colour / 255):
        grey = to_channels(image, 1)
        assert grey.shape == (13, 17, 1)
        assert grey.dtype == image.dtype
        scale = 255 if image.dtype == np.float64 else 1
        assert np.abs(grey[..., 0] * scale - expected).max() <= 0.5
    assert np.abs(np.array(to_channels(Image.fromarray(colour), 1)) - expected).max() <= 0.5
    grey = noise(channels=1)
    np.testing.assert_array_equal(to_channels(grey, 1), grey)
    np.testing.assert_array_equal(to_channels(grey[..., 0], 1), grey)


# -- more than eight bits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_sixteen_bits_become_eight(mode):
    """Pillow's own conversion cuts off at 255: nearly all would be white."""
    image = to_eight_bits(picture(mode))
    assert image.mode == "L"
    ramp = np.array(image).ravel().astype(float)
    off = np.abs(ramp - np.linspace(0, 255, ramp.size)).max()
    assert off < (1 if mode == "F" else 0.51)  # floats are cut off, whole numbers rounded
    assert (ramp[0], ramp[-1]) == (0, 255)
    np.testing.assert_array_equal(np.array(to_channels(picture(mode), 1)), np.array(image))


def test_a_32_bit_picture_of_8_bits_stays():
    pixels = noise(channels=1)[..., 0]
    np.testing.assert_array_equal(np.array(to_eight_bits(Image.fromarray(pixels.astype(np.int32)))), pixels)
    with pytest.raises(ValueError, match="whole numbers from 0 to 70000; expected 0 to 65535"):
        to_eight_bits(Image.fromarray(np.int32([[0, 70000]])))


def test_plain_modes():
    for mode, expected in [("L", "L"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("1", "L"), ("P", "RGB"), ("I;16", "L"),
                           ("LA", "RGB"), ("CMYK", "RGB")]:  # fmt: skip
        assert to_plain_mode(picture(mode)).mode == expected, mode
