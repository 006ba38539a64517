import math

import numpy as np
import pytest

from edutransformers.functional.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from edutransformers.gradient_check import Function
from edutransformers.module import keep
from tests.contract import check_layer


def softmax_module():
    def forward(x):
        y = softmax(x)
        return y, keep(y)

    return Function(forward, lambda dy, cache: softmax_backward(dy, *cache))


def log_softmax_module():
    def forward(x):
        y = log_softmax(x)
        return y, keep(y)

    return Function(forward, lambda dy, cache: log_softmax_backward(dy, *cache))


@pytest.mark.parametrize("make", [softmax_module, log_softmax_module])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4), (4,), (1, 1)], ids=str)
def test_contract(make, shape):
    check_layer(make, lambda rng: (rng.normal(0, 3, shape),))


def test_values(rng):
    x = rng.normal(0, 3, (4, 6))
    for row, y, log_y in zip(x, softmax(x), log_softmax(x)):
        total = sum(math.exp(value) for value in row)
        np.testing.assert_allclose(y, [math.exp(value) / total for value in row], rtol=1e-13)
        np.testing.assert_allclose(log_y, [value - math.log(total) for value in row], rtol=1e-13, atol=1e-14)


def test_large_inputs_do_not_overflow():
    x = np.array([[1e4, 0.0, -1e4]], dtype="float32")
    np.testing.assert_array_equal(softmax(x), [[1, 0, 0]])
    np.testing.assert_array_equal(log_softmax(x), [[0, -1e4, -2e4]])


def test_in_place_only_on_request(rng):
    x = rng.standard_normal((3, 4))
    before, wanted = x.copy(), softmax(x)
    np.testing.assert_array_equal(x, before)
    assert softmax(x, out=x) is x
    np.testing.assert_array_equal(x, wanted)


def test_a_loss_that_sums_the_outputs_has_no_gradient(rng):
    """The reason why the gradient check uses random dy: with ones even a wrong softmax backward passes."""
    y = softmax(rng.standard_normal((3, 4)))
    np.testing.assert_allclose(softmax_backward(np.ones_like(y), y), 0, atol=1e-15)
