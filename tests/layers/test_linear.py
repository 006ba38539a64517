import numpy as np
import pytest

from edutransformers.layers import Conv1D, Linear
from edutransformers.module import skip_initialization
from tests.contract import check_layer


@pytest.mark.parametrize("shape", [(2, 4, 5), (1, 1, 5), (3, 5), (5,), (2, 3, 2, 5)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_contract(shape, bias):
    check_layer(lambda: Linear(5, 3, bias=bias), lambda rng: (rng.standard_normal(shape),))


def test_is_x_w_transposed_plus_b(rng):
    layer = Linear(5, 3).astype("float64")
    layer.bias.data = rng.standard_normal(3)
    x = rng.standard_normal((2, 5))
    wanted = [[sum(x[n, i] * layer.weight.data[o, i] for i in range(5)) + layer.bias.data[o] for o in range(3)]
              for n in range(2)]  # fmt: skip
    np.testing.assert_allclose(layer(x), wanted, rtol=1e-13)


def test_fresh_weights():
    layer = Linear(300, 200, generator=np.random.default_rng(0))
    assert layer.weight.shape == (200, 300)
    assert layer.weight.dtype == np.float32
    assert abs(layer.weight.data.std() - 0.02) < 0.0005
    assert not layer.bias.data.any()
    same = Linear(300, 200, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(layer.weight.data, same.weight.data)
    with skip_initialization():
        assert not Linear(3, 2).weight.data.any()


def test_wrong_width_names_both():
    with pytest.raises(ValueError, match=r"width 5, got an array of shape \(2, 4\)"):
        Linear(5, 3)(np.ones((2, 4), dtype="float32"))


def test_repr():
    assert repr(Linear(5, 3)) == "Linear(5 -> 3)"
    assert repr(Linear(5, 3, bias=False)) == "Linear(5 -> 3, no bias)"


def test_gradients_of_some_rows(rng):
    """`rows` names those that have a gradient; the result is that of a dy with zeros in all others."""
    x = rng.standard_normal((2, 4, 5))
    dy = np.zeros((8, 3))
    rows = np.array([6, 1, 3])
    dy[rows] = rng.standard_normal((3, 3))
    results = []
    for given, chosen in ((dy.reshape(2, 4, 3), None), (dy[rows], rows)):
        layer = Linear(5, 3, generator=np.random.default_rng(0)).astype("float64")
        _, cache = layer.forward(x)
        results.append((layer.backward(given, cache, chosen), layer.weight.grad, layer.bias.grad))
    assert np.abs(results[0][0]).max() > 0
    for whole, some in zip(*results):
        np.testing.assert_allclose(some, whole, atol=1e-15)


# -- Conv1D -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 4, 5), (1, 1, 5), (3, 5), (5,), (2, 3, 2, 5)], ids=str)
def test_contract_of_conv1d(shape):
    check_layer(lambda: Conv1D(5, 3), lambda rng: (rng.standard_normal(shape),))


def test_conv1d_is_a_linear_layer_with_its_weight_transposed(rng):
    conv, linear = Conv1D(5, 3).astype("float64"), Linear(5, 3).astype("float64")
    linear.weight.data = np.ascontiguousarray(conv.weight.data.T)
    conv.bias.data = linear.bias.data = rng.standard_normal(3)
    x, dy = rng.standard_normal((2, 4, 5)), rng.standard_normal((2, 4, 3))
    results = []
    for layer in (conv, linear):
        y, cache = layer.forward(x)
        results.append((y, layer.backward(dy, cache), layer.bias.grad))
    for mine, other in zip(*results):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(conv.weight.grad, linear.weight.grad.T, rtol=1e-12, atol=1e-14)
    assert conv.weight.shape == conv.weight.grad.shape == (5, 3)


def test_fresh_weights_of_conv1d():
    layer = Conv1D(300, 200, generator=np.random.default_rng(0))
    assert abs(layer.weight.data.std() - 0.02) < 0.0005
    layer.initial_scale = 0.5
    layer.initialize(np.random.default_rng(0), 0.1)
    assert abs(layer.weight.data.std() - 0.05) < 0.001
    assert not layer.bias.data.any()
    with pytest.raises(ValueError, match=r"Conv1D expects inputs of width 300, got an array of shape \(2, 4\)"):
        layer(np.ones((2, 4), dtype="float32"))
