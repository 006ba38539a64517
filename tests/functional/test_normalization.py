import numpy as np
import pytest

from edutransformers.functional.blocks import BLOCK
from edutransformers.functional.normalization import layer_norm, layer_norm_backward, layer_norm_inference


def plain(x, weight, bias, eps, dy):
    mean = x.mean(axis=-1, keepdims=True)
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    n = (x - mean) / std
    dn = dy * weight
    dx = (dn - dn.mean(axis=-1, keepdims=True) - n * (dn * n).mean(axis=-1, keepdims=True)) / std
    axes = tuple(range(x.ndim - 1))
    return n * weight + bias, dx, (dy * n).sum(axis=axes), dy.sum(axis=axes)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4), (2 * BLOCK // 64 + 3, 64)], ids=str)
def test_equals_the_plain_formula(rng, shape):
    x, dy = rng.normal(1, 2, shape), rng.standard_normal(shape)
    weight, bias = rng.standard_normal((2, shape[-1]))
    wanted, *wanted_gradients = plain(x, weight, bias, 1e-5, dy)
    y, normalized, inverse_std = layer_norm(x, weight, bias, 1e-5)
    np.testing.assert_allclose(y, wanted, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(layer_norm_inference(x, weight, bias, 1e-5), wanted, rtol=1e-11, atol=1e-12)
    for got, expected in zip(layer_norm_backward(dy, normalized, inverse_std, weight), wanted_gradients):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


def test_a_large_mean_costs_no_digits():
    """Σx² − μ² would lose everything here; the mean is subtracted first."""
    x = np.array([[1e6 + 1, 1e6 - 1]])
    y, _, _ = layer_norm(x, np.ones(2), np.zeros(2), 0.0)
    np.testing.assert_array_equal(y, [[1, -1]])
