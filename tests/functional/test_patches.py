import numpy as np
import pytest

from edutransformers.functional.patches import cut_into_patches, join_patches

SIZES = {"square": ((6, 9), (3, 3)), "wide": ((6, 9), (2, 3)), "single pixels": ((2, 3), (1, 1)),
         "one patch": ((4, 5), (4, 5)), "a rest": ((7, 11), (3, 2))}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_patches_row_by_row_and_their_pixels_channel_by_channel(name, rng):
    (H, W), (P, Q) = SIZES[name]
    x = rng.standard_normal((2, 3, H, W))
    patches = cut_into_patches(x, (P, Q))
    assert patches.shape == (2, (H // P) * (W // Q), 3 * P * Q)
    places = [(row * P, column * Q) for row in range(H // P) for column in range(W // Q)]
    for n, (top, left) in enumerate(places):
        np.testing.assert_array_equal(patches[:, n], x[:, :, top : top + P, left : left + Q].reshape(2, -1))


@pytest.mark.parametrize("name", SIZES)
def test_joining_is_the_transposed_map(name, rng):
    """⟨cut(x), y⟩ = ⟨x, join(y)⟩ for all x and y: what makes the one the other's backward pass."""
    (H, W), patch = SIZES[name]
    x = rng.standard_normal((2, 3, H, W))
    patches = cut_into_patches(x, patch)
    y = rng.standard_normal(patches.shape)
    joined = join_patches(y, patch, (H, W))
    assert joined.shape == x.shape
    np.testing.assert_allclose((patches * y).sum(), (x * joined).sum(), rtol=1e-12)


def test_joining_is_the_inverse(rng):
    x = rng.standard_normal((2, 3, 6, 9))
    np.testing.assert_array_equal(join_patches(cut_into_patches(x, (2, 3)), (2, 3), (6, 9)), x)


def test_a_rest_comes_back_as_zeros(rng):
    x = rng.standard_normal((1, 1, 5, 7)) + 10
    back = join_patches(cut_into_patches(x, (2, 3)), (2, 3), (5, 7))
    np.testing.assert_array_equal(back[..., :4, :6], x[..., :4, :6])
    assert not back[..., 4:, :].any()
    assert not back[..., 6:].any()


def test_joining_is_a_pixel_shuffle(rng):
    """What PixelShuffle(r) does to (B, C·r², h, w): y[c, hr+i, wr+j] = x[c·r²+i·r+j, h, w]"""
    x = rng.standard_normal((2, 5 * 9, 4, 2))
    y = join_patches(x.reshape(2, 45, 8).transpose(0, 2, 1), (3, 3), (12, 6))
    for c, h, w, i, j in [(0, 0, 0, 0, 0), (4, 3, 1, 2, 0), (2, 1, 0, 1, 2)]:
        np.testing.assert_array_equal(y[:, c, 3 * h + i, 3 * w + j], x[:, 9 * c + 3 * i + j, h, w])


@pytest.mark.parametrize("shape", [(1, 5, 4), (1, 6, 5)], ids=str)
def test_patches_that_make_no_picture(shape):
    with pytest.raises(
        ValueError, match=rf"{shape[1]} patches of {shape[2]} numbers can't make pictures of 4×6 pixels"
    ):
        join_patches(np.zeros(shape), (2, 2), (4, 6))
