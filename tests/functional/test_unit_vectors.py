import numpy as np

from edutransformers.functional.unit_vectors import unit_vectors, unit_vectors_backward
from edutransformers.gradient_check import Function
from edutransformers.module import keep
from tests.contract import check_layer


def forward(x):
    u, length = unit_vectors(x, 0.5)
    return u, keep(u, length)


def backward(du, cache):
    return unit_vectors_backward(du, *cache, 0.5)


def test_contract():
    """Some of the vectors are shorter than ε = 0.5, which then is the divisor."""
    sizes = np.array([3.0, 0.1, 1.0, 0.2])[:, None]
    check_layer(lambda: Function(forward, backward), lambda rng: (sizes * rng.standard_normal((2, 4, 3)) / 2,))


def test_lengths(rng):
    x = rng.standard_normal((2, 4, 3))
    u, length = unit_vectors(x)
    np.testing.assert_allclose((u**2).sum(axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(u * length, x, rtol=1e-14)
    assert not unit_vectors(np.zeros((1, 3)))[0].any()


def test_the_gradient_is_across_the_vector(rng):
    x, du = rng.standard_normal((2, 5, 7))
    dx = unit_vectors_backward(du, *unit_vectors(x))
    np.testing.assert_allclose((dx * x).sum(axis=-1), 0, atol=1e-14)
    assert np.abs(dx).max() > 0.1


def test_float16_squares_do_not_overflow():
    x = np.array([[300.0, 400.0]], dtype=np.float16)
    u, length = unit_vectors(x)
    assert u.dtype == np.float16
    np.testing.assert_allclose(u, [[0.6, 0.8]], rtol=1e-3)
    assert unit_vectors_backward(np.ones_like(u), u, length).dtype == np.float16
