"""Resize, crop, rescale, normalize, pad."""

import numpy as np
import pytest
from PIL import Image

from edutransformers.images import PaddingMode, center_crop, normalize, pad, rescale, resize

from .pictures import noise, smooth

FILTERS = list(Image.Resampling)


# -- resize -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resample", FILTERS)
def test_resize_is_pillows(resample):
    image = noise()
    expected = np.array(Image.fromarray(image).resize((9, 6), resample))
    np.testing.assert_array_equal(resize(image, (6, 9), resample), expected)
    first = resize(image.transpose(2, 0, 1), (6, 9), resample)
    np.testing.assert_array_equal(first, expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(resize(Image.fromarray(image), (6, 9), resample), expected)


def test_resize_is_bilinear_by_default_and_keeps_or_changes_the_layout():
    image = noise()
    expected = resize(image, (6, 9), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resize(image, (6, 9)), expected)
    np.testing.assert_array_equal(resize(image, (6, 9), data_format="channels_first"), expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(np.array(resize(image, (6, 9), return_numpy=False)), expected)
    odd = noise(3, 8)  # (3, 8, 3)
    assert resize(odd, (6, 9), input_data_format="channels_last").shape == (6, 9, 3)
    assert resize(odd, (6, 9), input_data_format="channels_first").shape == (3, 6, 9)


def test_one_and_four_channels_stay():
    grey = noise(channels=1)
    resized = resize(grey, (6, 9))
    np.testing.assert_array_equal(resized[..., 0], np.array(Image.fromarray(grey[..., 0]).resize((9, 6), 2)))
    assert resize(noise(channels=4), (6, 9), input_data_format="channels_last").shape == (6, 9, 4)


def test_floats_from_0_to_1_pass_through_eight_bits():
    image = np.random.default_rng(0).random((13, 17, 3))
    resized = resize(image, (6, 9))
    assert resized.dtype == np.float32
    expected = resize((image.astype(np.float32) * 255).astype(np.uint8), (6, 9))
    np.testing.assert_allclose(resized, expected / 255, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.float32, np.float64])
def test_whole_numbers_are_pixels_whatever_their_type(dtype):
    image = noise()
    resized = resize(image.astype(dtype), (6, 9))
    assert resized.dtype == np.uint8
    np.testing.assert_array_equal(resized, resize(image, (6, 9)))


def test_truth_values_are_black_and_white():
    image = noise(channels=1) > 127
    np.testing.assert_array_equal(resize(image, (13, 17)), image * 255)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (noise() * 1.5, r"floats from 0 to 382.5; expected whole numbers from 0 to 255 or floats from 0 to 1"),
        (noise() - 300.0, "expected whole numbers"),
        (noise() / 200, "floats from 0 to 1.275"),
        (noise().astype(np.int16) - 1, "int16 from -1"),
        (noise().astype(np.uint16) * 257, "divide by 257 to make 8 bits of 16"),
        (np.full((5, 5, 3), np.nan), "75 of the image's 75 values are NaN or infinite"),
        (np.zeros((0, 5, 3)), "no pixels"),
        (np.zeros((5, 7, 2)), r"\(5, 7, 2\) has no channel axis"),
        (np.zeros((5, 7, 3), complex), "complex128; expected numbers"),
    ],
)
def test_what_can_not_be_resized(image, message):
    with pytest.raises(ValueError, match=message):
        resize(image, (6, 9))


@pytest.mark.parametrize("size", [5, (5,), (5, 6, 7), (0, 5), (5, -1)])
def test_a_wrong_size(size):
    with pytest.raises(ValueError, match="expected a pair"):
        resize(noise(), size)


# -- center crop ------------------------------------------------------------------------------------------------------


def test_center_crop_of_a_larger_image():
    image = smooth(10, 12)
    np.testing.assert_array_equal(center_crop(image, (4, 6)), image[3:7, 3:9])
    np.testing.assert_array_equal(center_crop(image, (5, 7)), image[2:7, 2:9])  # one more is cut off below and right
    np.testing.assert_array_equal(center_crop(image, (10, 12)), image)
    first = center_crop(image, (5, 7), data_format="channels_first")
    np.testing.assert_array_equal(first, image[2:7, 2:9].transpose(2, 0, 1))
    np.testing.assert_array_equal(center_crop(np.stack([image, image]), (4, 6))[1], image[3:7, 3:9])


def test_center_crop_of_a_smaller_image_puts_zeros_around_it():
    image = smooth(4, 12) + 1
    cropped = center_crop(image, (7, 6))
    assert cropped.shape == (7, 6, 3)
    np.testing.assert_array_equal(cropped[2:6], image[:, 3:9])  # two rows above, one below
    assert not cropped[:2].any()
    assert not cropped[6:].any()


# -- rescale and normalize --------------------------------------------------------------------------------------------


def test_rescale():
    image = noise()
    rescaled = rescale(image, 1 / 255)
    assert rescaled.dtype == np.float32
    np.testing.assert_array_equal(rescaled, (image * (1 / 255)).astype(np.float32))
    assert rescale(image, 2, dtype=np.float64).dtype == np.float64
    np.testing.assert_array_equal(rescale(image, 2, data_format="channels_first"), 2.0 * image.transpose(2, 0, 1))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_normalize(dtype):
    image = np.random.default_rng(0).random((5, 7, 3)).astype(dtype)
    mean, std = [0.1, 0.5, 0.7], [0.2, 0.4, 2.0]
    normalized = normalize(image, mean, std)
    assert normalized.dtype == dtype
    expected = (image.astype(np.float64) - mean) / std
    np.testing.assert_allclose(normalized, expected, rtol=0, atol=4 * np.finfo(dtype).eps * np.abs(expected).max())
    first = normalize(image.transpose(2, 0, 1), mean, std)
    np.testing.assert_array_equal(first, normalized.transpose(2, 0, 1))
    np.testing.assert_array_equal(normalize(image, mean, std, data_format="channels_first"), first)
    np.testing.assert_array_equal(normalize(image, 0.5, 2.0), (image - dtype(0.5)) / dtype(2))


def test_normalize_does_not_write_into_its_input_and_makes_floats_of_whole_numbers():
    image = noise()
    image.flags.writeable = False
    normalized = normalize(image, 3, [1, 2, 4])
    assert normalized.dtype == np.float32
    np.testing.assert_array_equal(normalized, ((image.astype(np.float32) - 3) / np.float32([1, 2, 4])))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.5], 1, "mean holds 1 numbers, but the image has 3 channels"),
        (0.5, [1, 2], "std holds 2 numbers, but the image has 3 channels"),
        (0.5, [1, 0, 1], r"std is \[1.0, 0.0, 1.0\]; expected numbers other than 0"),
        (float("nan"), 1, "mean is .*nan"),
    ],
)
def test_wrong_means(mean, std, message):
    with pytest.raises(ValueError, match=message):
        normalize(noise(), mean, std)


# -- pad --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (2, ((2, 2), (2, 2))),
        ((2,), ((2, 2), (2, 2))),
        ((1, 2), ((1, 2), (1, 2))),
        (((1, 2), (3, 0)), ((1, 2), (3, 0))),
    ],
)
@pytest.mark.parametrize(
    ("mode", "numpys"),
    [("constant", "constant"), ("reflect", "reflect"), ("replicate", "edge"), (PaddingMode.SYMMETRIC, "symmetric")],
)
def test_pad(padding, expected, mode, numpys):
    image = noise(5, 7)
    reference = np.pad(image, (*expected, (0, 0)), mode=numpys)
    np.testing.assert_array_equal(pad(image, padding, mode), reference)
    np.testing.assert_array_equal(pad(image.transpose(2, 0, 1), padding, mode), reference.transpose(2, 0, 1))
    batch = pad(np.stack([image, image[::-1]]), padding, mode, data_format="channels_first")
    np.testing.assert_array_equal(batch[0], reference.transpose(2, 0, 1))


def test_what_is_padded_with():
    image = noise(2, 2)
    padded = pad(image, 1, constant_values=((7, 8), (9, 10)))
    assert padded[0, 1, 0] == 7
    assert padded[-1, 1, 0] == 8
    assert padded[1, 0, 0] == 9
    assert padded[1, -1, 0] == 10


def test_wrong_padding():
    with pytest.raises(ValueError, match="padding is 'much'"):
        pad(noise(), "much")
    with pytest.raises(ValueError, match="mode is 'wrap'; expected one of 'constant'"):
        pad(noise(), 1, "wrap")
