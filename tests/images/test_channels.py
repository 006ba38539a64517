"""Where the channels are."""

import numpy as np
import pytest

from edutransformers.images import (
    ChannelDimension,
    flip_channel_order,
    get_image_size,
    infer_channel_dimension_format,
    to_channel_dimension_format,
)
from edutransformers.images.channels import get_channel_dimension_axis

from .pictures import noise

FIRST, LAST = ChannelDimension.FIRST, ChannelDimension.LAST


@pytest.mark.parametrize(
    ("shape", "expected", "axis", "size"),
    [
        ((3, 5, 7), FIRST, 0, (5, 7)),
        ((5, 7, 3), LAST, 2, (5, 7)),
        ((1, 5, 7), FIRST, 0, (5, 7)),
        ((5, 7, 1), LAST, 2, (5, 7)),
        ((2, 3, 5, 7), FIRST, 1, (5, 7)),
        ((2, 5, 7, 3), LAST, 3, (5, 7)),
        ((2, 4, 3, 5, 7), FIRST, 2, (5, 7)),
    ],
)
def test_told_from_the_shape(shape, expected, axis, size):
    image = np.zeros(shape)
    assert infer_channel_dimension_format(image) is expected
    assert get_channel_dimension_axis(image) == axis
    assert get_image_size(image) == size
    assert get_image_size(np.moveaxis(image, axis, -1), "channels_last") == size


def test_where_both_ends_fit_the_first_wins_and_it_is_said(caplog):
    with caplog.at_level("WARNING"):
        assert infer_channel_dimension_format(np.zeros((3, 5, 3))) is FIRST
    assert "(3, 5, 3) could have its channels first or last" in caplog.text
    caplog.clear()
    assert infer_channel_dimension_format(np.zeros((3, 5, 4)), num_channels=4) is LAST
    assert not caplog.text


@pytest.mark.parametrize(
    ("shape", "message"),
    [((4, 5, 6), r"\(4, 5, 6\) has no channel axis: .* length 1 or 3"), ((5, 7), "has 2 axes")],
)
def test_no_channel_axis(shape, message):
    with pytest.raises(ValueError, match=message):
        infer_channel_dimension_format(np.zeros(shape))


def test_to_the_other_layout_and_back():
    image = noise(5, 7)
    first = to_channel_dimension_format(image, "channels_first")
    np.testing.assert_array_equal(first, image.transpose(2, 0, 1))
    assert np.shares_memory(first, image)
    np.testing.assert_array_equal(to_channel_dimension_format(first, LAST), image)
    assert to_channel_dimension_format(image, LAST) is image
    batch = np.stack([image, image + 1])
    np.testing.assert_array_equal(to_channel_dimension_format(batch, FIRST), batch.transpose(0, 3, 1, 2))
    odd = np.zeros((3, 5, 3))  # the shape does not tell it
    assert to_channel_dimension_format(odd, FIRST, LAST).shape == (3, 3, 5)
    assert to_channel_dimension_format(odd, FIRST, FIRST) is odd


def test_flip_channel_order():
    image = noise(5, 7)
    np.testing.assert_array_equal(flip_channel_order(image), image[..., [2, 1, 0]])
    np.testing.assert_array_equal(flip_channel_order(image.transpose(2, 0, 1)), image.transpose(2, 0, 1)[[2, 1, 0]])
    flipped = flip_channel_order(image, data_format="channels_first")
    np.testing.assert_array_equal(flipped, image[..., ::-1].transpose(2, 0, 1))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'first' is no layout of an image; expected 'channels_first'"):
        to_channel_dimension_format(noise(), "first")
    with pytest.raises(TypeError, match="got list"):
        to_channel_dimension_format([[1]], FIRST)
