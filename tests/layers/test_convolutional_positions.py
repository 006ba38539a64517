import numpy as np
import pytest

from edutransformers.layers import ConvolutionalPositions
from tests.contract import check_layer


@pytest.mark.parametrize("kernel", [4, 5, 1])
@pytest.mark.parametrize("tokens", [7, 1])
def test_contract(kernel, tokens):
    check_layer(lambda: ConvolutionalPositions(6, kernel, 2), lambda rng: (rng.standard_normal((2, tokens, 6)),))


@pytest.mark.parametrize(("kernel", "before", "after"), [(4, 2, 1), (5, 2, 2)])
def test_a_step_sees_half_a_kernel_to_each_side(kernel, before, after, rng):
    layer = ConvolutionalPositions(6, kernel, 2, generator=rng)
    x = rng.standard_normal((1, 12, 6)).astype("float32")
    y = layer(x)
    changed = x.copy()
    changed[:, 6] += 1
    steps = np.nonzero(np.abs(layer(changed) - y).max(axis=(0, 2)))[0]
    np.testing.assert_array_equal(steps, np.arange(6 - after, 6 + before + 1))


def test_equal_steps_get_positions_from_the_ends(rng):
    """In: one vector everywhere. Out: the same in the middle, but near the ends the zeros outside tell the place."""
    layer = ConvolutionalPositions(6, 4, 2, generator=rng)
    layer.conv.bias.data += 1
    y = layer(np.ones((1, 12, 6), dtype="float32"))[0]
    np.testing.assert_allclose(y[2:11], np.broadcast_to(y[5], (9, 6)), rtol=1e-5)
    for step in (0, 1, 11):
        assert np.abs(y[step] - y[5]).max() > 1e-3


def test_fresh_weights_and_names():
    layer = ConvolutionalPositions(48, 16, 4, generator=np.random.default_rng(0))
    shapes = {name: parameter.shape for name, parameter in layer.named_parameters()}
    assert shapes == {"conv.weight_g": (1, 1, 16), "conv.weight_v": (48, 12, 16), "conv.bias": (48,)}
    assert abs(layer.conv.weight.v.data.std() - 2 / (16 * 48) ** 0.5) < 0.002
    assert not layer.conv.bias.data.any()
    np.testing.assert_allclose(layer.conv.weight.forward()[0], layer.conv.weight.v.data, rtol=1e-5, atol=1e-7)


def test_the_output_is_one_piece_of_memory(rng):
    """(B, T, D) with D last, as the layers after it want it."""
    layer = ConvolutionalPositions(6, 4, 2)
    assert layer(rng.standard_normal((2, 5, 6)).astype("float32")).flags.c_contiguous
