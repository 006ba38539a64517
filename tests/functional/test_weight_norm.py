import numpy as np
import pytest

from edutransformers.functional.precision import in_float32
from edutransformers.functional.weight_norm import weight_lengths, weight_norm, weight_norm_backward
from edutransformers.gradient_check import Function, assert_gradients
from edutransformers.module import keep


@pytest.mark.parametrize(("dim", "shape"), [(0, (4, 1, 1)), (1, (1, 3, 1)), (2, (1, 1, 5)), (-1, (1, 1, 5))])
def test_every_slice_has_the_length_g(rng, dim, shape):
    v, g = rng.standard_normal((4, 3, 5)), rng.standard_normal(shape)
    w, norm = weight_norm(v, g, dim)
    assert norm.shape == shape
    np.testing.assert_allclose(weight_lengths(w, dim), np.abs(g), rtol=1e-13)
    for index in range(v.shape[dim]):
        w_slice, v_slice = np.take(w, index, dim), np.take(v, index, dim)
        wanted = v_slice * g.reshape(-1)[index] / np.linalg.norm(v_slice)
        np.testing.assert_allclose(w_slice, wanted, rtol=1e-13)


@pytest.mark.parametrize("dim", [0, 2])
def test_gradients_are_the_differences(rng, dim):
    def forward(v, g):
        w, norm = weight_norm(v, g, dim)
        return w, keep(v, (g, norm))

    def backward(dw, cache):
        v, (g, norm) = cache
        return weight_norm_backward(dw, v, g, norm, dim)

    v = rng.standard_normal((4, 3, 5))
    assert_gradients(Function(forward, backward), v, 2 + weight_lengths(v, dim))


def test_float16_lengths_are_worked_out_in_float32(rng):
    """300² overflows in float16."""
    v, g = np.full((2, 3), 300, dtype="float16"), np.ones((2, 1), dtype="float16")
    w, norm = weight_norm(v, g, 0)
    assert (w.dtype, norm.dtype) == (np.float16, np.float32)
    np.testing.assert_allclose(in_float32(w), 3**-0.5, rtol=1e-3)
