import math

import numpy as np
import pytest

from edutransformers.functional import convolution as functional
from edutransformers.layers import Conv1d, Conv2d, Linear, WeightNorm
from edutransformers.module import skip_initialization
from edutransformers.teaching.phantom import PRODUCT, Ledger, Phantom
from tests.contract import Case, check_layer, inference_gives_the_same_output, the_device_gives_the_same_numbers

OPTIONS = {
    "plain": {},
    "stride": {"stride": 2},
    "padding": {"padding": 2, "stride": 3},
    "dilation": {"dilation": 2},
    "groups": {"groups": 3},
    "depthwise": {"groups": 6, "padding": "same"},
    "no bias": {"bias": False},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_contract_of_conv1d(options):
    check_layer(lambda: Conv1d(6, 12, 3, **options), lambda rng: (rng.standard_normal((2, 6, 9)),))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_contract_of_conv2d(options):
    check_layer(lambda: Conv2d(6, 12, (3, 2), **options), lambda rng: (rng.standard_normal((2, 6, 6, 5)),))


@pytest.mark.parametrize("shape", [(1, 6, 3), (1, 6, 4)], ids=str)
def test_contract_of_few_windows(shape):
    check_layer(lambda: Conv1d(6, 4, 3), lambda rng: (rng.standard_normal(shape),))


@pytest.mark.parametrize("chunk", [1, 60, 200])
def test_contract_in_chunks(chunk, monkeypatch):
    """On the host and on the device, where the chunks are larger, the windows come in chunks: the same numbers."""
    monkeypatch.setattr(functional, "CHUNK", chunk)
    monkeypatch.setattr(functional, "DEVICE_CHUNK", chunk + 1)
    case = Case(lambda: Conv1d(6, 12, 3, groups=2), lambda rng: (rng.standard_normal((2, 6, 9)),))
    inference_gives_the_same_output(case)
    the_device_gives_the_same_numbers(case)


def test_a_kernel_of_one_is_a_linear_layer(rng):
    conv, linear = Conv1d(5, 3, 1).astype("float64"), Linear(5, 3).astype("float64")
    linear.weight.data, linear.bias.data = conv.weight.data[:, :, 0], conv.bias.data
    x = rng.standard_normal((2, 7, 5))
    np.testing.assert_allclose(conv(x.swapaxes(1, 2)).swapaxes(1, 2), linear(x), atol=1e-13)


def test_a_shifted_input_gives_a_shifted_output(rng):
    """The same weights everywhere: three steps later in is, with stride 3, one step later out."""
    layer = Conv1d(2, 4, 5, stride=3).astype("float64")
    x = rng.standard_normal((1, 2, 40))
    np.testing.assert_allclose(layer(x[:, :, 3:]), layer(x)[:, :, 1:], rtol=1e-12)


def test_groups_do_not_see_each_other(rng):
    layer = Conv1d(6, 4, 3, groups=2)
    x = rng.standard_normal((1, 6, 9)).astype("float32")
    y = layer(x)
    x[:, 3:] = 7
    changed = layer(x)
    np.testing.assert_array_equal(changed[:, :2], y[:, :2])
    assert np.abs(changed[:, 2:] - y[:, 2:]).min() > 0


def test_a_dry_run_counts_the_products():
    """memory_report's arrays without numbers go through, and the three products of each output number are counted."""
    layer = Conv1d(4, 6, 3, stride=2)
    with Ledger() as ledger:
        for parameter in layer.parameters():
            parameter.data = Phantom(parameter.shape, np.float32)
        y, cache = layer.forward(Phantom((1, 4, 21), np.float32))
        dx = layer.backward(y, cache)
    assert (type(y), y.shape, type(dx), dx.shape) == (Phantom, (1, 6, 10), Phantom, (1, 4, 21))
    products = sum(n for (_, kind), n in ledger.operations.items() if kind == PRODUCT)
    assert products == 3 * 2 * (10 * 6) * (4 * 3)


def test_fresh_weights():
    layer = Conv2d(40, 60, 3, groups=2, generator=np.random.default_rng(0))
    assert (layer.weight.shape, layer.weight.dtype) == ((60, 20, 3, 3), np.float32)
    n = 20 * 9
    assert abs(layer.weight.data.std() - math.sqrt(2 / n)) < 0.002
    assert 0.9 / math.sqrt(n) < np.abs(layer.bias.data).max() <= 1 / math.sqrt(n)
    assert layer.bias.dtype == np.float32
    same = Conv2d(40, 60, 3, groups=2, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(layer.weight.data, same.weight.data)
    with skip_initialization():
        assert not Conv1d(3, 2, 3).weight.data.any()


def test_fresh_weights_of_a_weight_norm():
    layer = Conv1d(40, 60, 3)
    layer.weight = WeightNorm(layer.weight, dim=2)
    layer.initialize(np.random.default_rng(1))
    v, g = layer.weight.v.data, layer.weight.g.data
    assert abs(v.std() - math.sqrt(2 / 120)) < 0.005
    np.testing.assert_allclose(g[0, 0], np.sqrt((v**2).sum(axis=(0, 1))), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv1d(6, 4, 3, groups=4), "Conv1d with 6 input and 4 output channels can't have 4 groups"),
        (lambda: Conv2d(6, 4, 3, groups=3), "Conv2d with 6 input and 4 output channels can't have 3 groups"),
        (lambda: Conv1d(6, 4, 3, groups=0), "can't have 0 groups: both must be multiples of groups"),
        (lambda: Conv1d(6, 4, 0), "Conv1d has kernel_size 0: expected a whole number from 1 on, or 1 of them"),
        (lambda: Conv2d(6, 4, (3,)), r"Conv2d has kernel_size \(3,\): expected a whole number from 1 on, or 2 of"),
        (lambda: Conv1d(6, 4, 3)(np.ones((2, 5, 9))), r"expects an input of shape \(B, 6, T\), got .* \(2, 5, 9\)"),
        (lambda: Conv1d(6, 4, 3)(np.ones((2, 6, 2))), r"length 2 \(2 with its padding\), but the kernel reaches"),
    ],
)  # fmt: skip
def test_errors_name_the_value_and_what_was_expected(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_repr():
    assert repr(Conv1d(6, 4, 3)) == "Conv1d(6 -> 4, kernel=3)"
    wanted = "Conv2d(6 -> 4, kernel=(3, 2), stride=2, padding=same, groups=2, no bias)"
    assert repr(Conv2d(6, 4, (3, 2), stride=2, padding="same", groups=2, bias=False)) == wanted
