import numpy as np
import pytest

from edutransformers.functional.linear import linear, linear_backward


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4)], ids=str)
def test_forward_and_gradients(rng, shape):
    x, weight, bias = rng.standard_normal(shape), rng.standard_normal((5, 4)), rng.standard_normal(5)
    y = linear(x, weight, bias)
    np.testing.assert_allclose(y, np.einsum("...i,oi->...o", x, weight) + bias, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(linear(x, weight), y - bias, atol=1e-12)
    dy = rng.standard_normal(y.shape)
    dx, dweight, dbias = linear_backward(dy, x, weight)
    np.testing.assert_allclose(dx, np.einsum("...o,oi->...i", dy, weight), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dweight, np.einsum("no,ni->oi", dy.reshape(-1, 5), x.reshape(-1, 4)), atol=1e-13)
    np.testing.assert_allclose(dbias, dy.reshape(-1, 5).sum(axis=0), atol=1e-13)
