"""Digits drawn with a pen. (That they can be read: tests/pretrained/test_vit_small_mnist.py.)"""

import numpy as np
import pytest

from edutransformers.teaching.drawn_digits import draw_digit


def test_each_digit_has_its_picture():
    pictures = [np.asarray(draw_digit(digit)) for digit in range(10)]
    assert all(picture.shape == (28, 28) and picture.dtype == np.uint8 for picture in pictures)
    assert all(picture.max() == 255 and 20 < picture.mean() < 60 for picture in pictures)
    assert all(not picture[:2].any() and not picture[-2:].any() for picture in pictures)  # a margin, as MNIST has it
    assert len({picture.tobytes() for picture in pictures}) == 10


def test_a_generator_draws_other_ones():
    one, same, other = (draw_digit(3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(np.asarray(one, dtype=int) - np.asarray(other)).max() > 100


def test_sizes():
    large = np.asarray(draw_digit(8, size=112))
    assert large.shape == (112, 112)
    small = large.reshape(28, 4, 28, 4).mean(axis=(1, 3))
    assert np.abs(small - np.asarray(draw_digit(8))).mean() < 3


def test_what_is_no_digit():
    with pytest.raises(ValueError, match="digit is 10, expected a whole number from 0 to 9"):
        draw_digit(10)
