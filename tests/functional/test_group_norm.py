import numpy as np
import pytest

from edutransformers.functional.blocks import BLOCK
from edutransformers.functional.group_norm import group_norm, group_norm_backward
from edutransformers.functional.precision import in_float32


def plain(x, weight, bias, groups, eps, dy):
    """The formulas with whole arrays: a group's numbers as one row."""
    B, C = x.shape[:2]
    shape = (1, C) + (1,) * (x.ndim - 2)
    rows = x.reshape(B, groups, -1)
    std = np.sqrt(rows.var(axis=-1, keepdims=True) + eps)
    n = (rows - rows.mean(axis=-1, keepdims=True)) / std
    dn = (dy * weight.reshape(shape)).reshape(rows.shape)
    dx = (dn - dn.mean(axis=-1, keepdims=True) - n * (dn * n).mean(axis=-1, keepdims=True)) / std
    n = n.reshape(x.shape)
    axes = (0, *range(2, x.ndim))
    y = n * weight.reshape(shape) + bias.reshape(shape)
    return y, dx.reshape(x.shape), (dy * n).sum(axis=axes), dy.sum(axis=axes)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("shape", [(2, 6, 5), (3, 6), (2, 6, 3, 4), (2, 6, BLOCK // 6 + 9)], ids=str)
def test_equals_the_plain_formulas(rng, shape, groups, channels_last):
    if shape == (3, 6) and groups == 6:
        shape = (3, 6, 2)  # groups of one number: their variance is 0
    x, dy = rng.normal(1, 2, shape), rng.standard_normal(shape)
    weight, bias = rng.standard_normal((2, 6))
    wanted, *wanted_gradients = plain(x, weight, bias, groups, 1e-5, dy)
    if channels_last:
        x, dy = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) for a in (x, dy))
    y, mean, inverse_std = group_norm(x, weight, bias, groups, 1e-5)
    np.testing.assert_allclose(y, wanted, rtol=1e-10, atol=1e-12)
    for got, expected in zip(group_norm_backward(dy, x, weight, mean, inverse_std, groups), wanted_gradients):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-10)


def test_a_large_mean_costs_no_digits():
    """Σx² − μ² would lose everything here; the mean is subtracted first."""
    y, _, _ = group_norm(np.array([[[1e6 + 1, 1e6 - 1]]]), np.ones(1), np.zeros(1), 1, 0.0)
    np.testing.assert_array_equal(y, [[[1, -1]]])


def test_float16_is_worked_out_in_float32(rng):
    """Deviations of 300: their squares overflow in float16."""
    x = (300 * rng.choice([-1.0, 1.0], (2, 4, 50)) + rng.standard_normal((2, 4, 50))).astype("float16")
    weight, bias, dy = (rng.standard_normal(shape).astype("float16") for shape in ((4,), (4,), x.shape))
    y, mean, inverse_std = group_norm(x, weight, bias, 2, 1e-5)
    wide_y, wide_mean, wide_std = group_norm(in_float32(x), in_float32(weight), in_float32(bias), 2, 1e-5)
    assert y.dtype == np.float16
    np.testing.assert_array_equal(y, wide_y.astype("float16"))
    np.testing.assert_array_equal(mean, wide_mean)
    dx, dweight, dbias = group_norm_backward(dy, x, weight, mean, inverse_std, 2)
    wide = group_norm_backward(in_float32(dy), in_float32(x), in_float32(weight), wide_mean, wide_std, 2)
    assert (dx.dtype, dweight.dtype, dbias.dtype) == (np.float16, np.float32, np.float32)
    np.testing.assert_array_equal(dx, wide[0].astype("float16"))
    np.testing.assert_array_equal(dweight, wide[1])
