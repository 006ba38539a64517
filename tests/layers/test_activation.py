import numpy as np
import pytest

from edutransformers.functional.activations import ACTIVATIONS
from edutransformers.functional.blocks import BLOCK
from edutransformers.layers import Activation
from edutransformers.module import inference_mode
from tests.contract import (
    Case,
    check_layer,
    inference_gives_the_same_output,
    inputs_stay_untouched,
    the_device_gives_the_same_numbers,
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_contract(name):
    check_layer(lambda: Activation(name), lambda rng: (rng.normal(0, 2, (2, 3, 5)),))


@pytest.mark.parametrize("name", ["gelu", "gelu_new", "relu", "silu", "quick_gelu", "tanh", "sigmoid", "linear"])
def test_several_blocks(name):
    """More numbers than one block holds, and memory in another order than C's."""
    case = Case(
        lambda: Activation(name), lambda rng: (rng.normal(0, 2, (3, BLOCK // 2)).swapaxes(0, 1),), passes_dy_on=True
    )
    inputs_stay_untouched(case)
    inference_gives_the_same_output(case)
    # erf comes from Python's math module on the double: one number at a time, so fewer of them there
    if name != "gelu":
        the_device_gives_the_same_numbers(case)


@pytest.mark.parametrize("size", [30, BLOCK + 30])
def test_in_place_only_on_request(rng, size):
    layer = Activation("gelu")
    x = rng.standard_normal(size).astype("float32")
    before = x.copy()
    wanted = layer(x)
    np.testing.assert_array_equal(x, before)
    with inference_mode():
        y, _ = layer.forward(x, out=x)
    assert y is x
    np.testing.assert_array_equal(x, wanted)


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown activation 'gleu': expected one of linear, relu.*gelu"):
        Activation("gleu")
