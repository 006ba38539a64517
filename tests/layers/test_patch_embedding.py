import numpy as np
import pytest

from edutransformers.layers import Conv2d, PatchDecoder, PatchEmbedding
from edutransformers.layers.patch_embedding import pair
from tests.contract import check_layer

SIZES = {
    "square": ((6, 9), 3),
    "wide patches": ((4, 9), (2, 3)),
    "a rest": ((7, 8), (3, 2)),
    "one patch": ((4, 5), (4, 5)),
    "single pixels": ((2, 3), 1),
}


@pytest.mark.parametrize("name", SIZES)
def test_contract(name):
    size, patch = SIZES[name]
    check_layer(lambda: PatchEmbedding(2, 5, patch), lambda rng: (rng.standard_normal((3, 2, *size)),))


def test_contract_of_one_picture():
    check_layer(lambda: PatchEmbedding(1, 4, 2), lambda rng: (rng.standard_normal((1, 1, 4, 6)),))


@pytest.mark.parametrize("name", SIZES)
def test_is_the_strided_convolution(name, rng):
    """The sum over channels and pixels, written out for every patch."""
    (H, W), patch = SIZES[name]
    P, Q = pair(patch)
    layer = PatchEmbedding(2, 5, patch).astype("float64")
    layer.bias.data = rng.standard_normal(5)
    x, kernel = rng.standard_normal((3, 2, H, W)), layer.weight.data
    assert kernel.shape == (5, 2, P, Q)
    wanted = np.zeros((3, 5, H // P, W // Q))
    for row in range(H // P):
        for column in range(W // Q):
            window = x[:, :, row * P : (row + 1) * P, column * Q : (column + 1) * Q]
            wanted[:, :, row, column] = np.einsum("bcpq,dcpq->bd", window, kernel) + layer.bias.data
    np.testing.assert_allclose(layer(x), wanted.reshape(3, 5, -1).transpose(0, 2, 1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", SIZES)
def test_is_our_conv2d_with_its_stride_the_kernels_size(name, rng):
    size, patch = SIZES[name]
    layer, conv = PatchEmbedding(2, 5, patch).astype("float64"), Conv2d(2, 5, patch, stride=patch).astype("float64")
    layer.weight.data = conv.weight.data = rng.standard_normal(conv.weight.shape)
    layer.bias.data = conv.bias.data = rng.standard_normal(5)
    x = rng.standard_normal((3, 2, *size))
    y, cache = layer.forward(x)
    y_conv, conv_cache = conv.forward(x)
    as_rows = lambda picture: picture.reshape(3, 5, -1).transpose(0, 2, 1)  # noqa: E731
    np.testing.assert_allclose(y, as_rows(y_conv), rtol=1e-12, atol=1e-14)
    dy_conv = rng.standard_normal(y_conv.shape)
    dx = layer.backward(as_rows(dy_conv), cache)
    np.testing.assert_allclose(dx, conv.backward(dy_conv, conv_cache), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(layer.weight.grad, conv.weight.grad, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(layer.bias.grad, conv.bias.grad, rtol=1e-12, atol=1e-13)


def test_fresh_weights_of_both():
    for layer in (PatchEmbedding(3, 50, 8, np.random.default_rng(0)), PatchDecoder(50, 3, 8, np.random.default_rng(0))):
        assert abs(layer.weight.data.std() - 0.02) < 0.001
        assert layer.weight.dtype == np.float32
        assert not layer.bias.data.any()


def test_errors():
    layer = PatchEmbedding(3, 5, (4, 2))
    for shape in ((1, 2, 8, 8), (3, 8, 8)):
        with pytest.raises(ValueError, match=r"expects pictures \(batch, 3, height, width\), got shape"):
            layer(np.ones(shape, "float32"))
    with pytest.raises(ValueError, match="pictures of 3×8 pixels are smaller than one patch of 4×2"):
        layer(np.ones((1, 3, 3, 8), "float32"))
    for size in (0, (3, 0), (-1, 2)):
        with pytest.raises(ValueError, match="expected 1 or more pixels, as one number or"):
            PatchEmbedding(3, 5, size)


def test_repr():
    assert repr(PatchEmbedding(3, 5, (4, 2))) == "PatchEmbedding(3 channels, patches of 4×2 -> 5)"
    assert repr(PatchDecoder(5, 3, 2)) == "PatchDecoder(5 -> 3 channels, patches of 2×2)"


# -- PatchDecoder -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("patch", "grid"), [(2, (3, 2)), ((1, 3), (2, 2)), (1, (1, 1))], ids=str)
def test_contract_of_the_decoder(patch, grid):
    tokens = grid[0] * grid[1]
    check_layer(
        lambda: PatchDecoder(5, 2, patch),
        lambda rng: (rng.standard_normal((3, tokens, 5)),),
        lambda rng: {"grid": grid},
    )


def test_the_decoder_is_a_1x1_convolution_and_a_pixel_shuffle(rng):
    layer, conv = PatchDecoder(5, 3, 2).astype("float64"), Conv2d(5, 12, 1).astype("float64")
    layer.weight.data = conv.weight.data = rng.standard_normal((12, 5, 1, 1))
    layer.bias.data = conv.bias.data = rng.standard_normal(12)
    x = rng.standard_normal((2, 6, 5))
    y = layer(x, (3, 2))
    assert y.shape == (2, 3, 6, 4)
    channels = conv(x.transpose(0, 2, 1).reshape(2, 5, 3, 2))  # (2, 12, 3, 2)
    for c, row, column in [(0, 0, 0), (1, 5, 2), (2, 3, 3)]:
        wanted = channels[:, 4 * c + 2 * (row % 2) + column % 2, row // 2, column // 2]
        np.testing.assert_allclose(y[:, c, row, column], wanted, rtol=1e-12)
