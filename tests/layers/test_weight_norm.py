import numpy as np
import pytest

from edutransformers.layers import Conv1d, Conv2d, WeightNorm
from edutransformers.module import Module, Parameter, keep
from tests.contract import check_layer


class Weighted(Module):
    """x ∘ w for a weight-normed w, so that the layer has an input too."""

    def __init__(self, shape, dim):
        self.weight = WeightNorm(Parameter(np.zeros(shape, dtype=np.float32)), dim)

    def forward(self, x):
        w, cache = self.weight.forward()
        return x * w, keep(x, (w, cache))

    def backward(self, dy, cache):
        x, (w, weight_cache) = cache
        self.weight.backward(dy * x, weight_cache)
        return dy * w


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_contract(dim):
    check_layer(lambda: Weighted((4, 3, 5), dim), lambda rng: (rng.standard_normal((4, 3, 5)),))


def test_contract_of_a_matrix():
    check_layer(lambda: Weighted((4, 3), 0), lambda rng: (rng.standard_normal((4, 3)),))


def convolution_with(dim, kind=Conv1d):
    layer = kind(6, 4, 3, padding=1, groups=2)
    layer.weight = WeightNorm(layer.weight, dim)
    return layer


@pytest.mark.parametrize("dim", [0, 2])
def test_contract_of_a_convolution(dim):
    check_layer(lambda: convolution_with(dim), lambda rng: (rng.standard_normal((2, 6, 7)),))


def test_contract_of_a_convolution_over_two_axes():
    check_layer(lambda: convolution_with(0, Conv2d), lambda rng: (rng.standard_normal((2, 6, 4, 5)),))


@pytest.mark.parametrize(("dim", "shape"), [(0, (4, 1, 1)), (2, (1, 1, 3))])
def test_changes_no_number_of_a_fresh_layer(dim, shape, rng):
    x = rng.standard_normal((2, 6, 7)).astype("float32")
    plain = Conv1d(6, 4, 3, padding=1, groups=2, generator=np.random.default_rng(0))
    wanted, bias = plain(x), plain.bias
    plain.weight = WeightNorm(plain.weight, dim)
    np.testing.assert_allclose(plain(x), wanted, rtol=1e-5, atol=1e-6)
    assert {name: p.shape for name, p in plain.named_parameters()} == {
        "weight_g": shape, "weight_v": (4, 3, 3), "bias": (4,)
    }  # fmt: skip
    assert plain.bias is bias


def test_the_length_of_v_does_not_matter(rng):
    layer = WeightNorm(Parameter(rng.standard_normal((4, 3, 5))), dim=2)
    w, _ = layer.forward()
    layer.v.data = layer.v.data * 7
    np.testing.assert_allclose(layer.forward()[0], w, rtol=1e-14)


def test_the_gradient_of_v_is_orthogonal_to_v(rng):
    layer = WeightNorm(Parameter(rng.standard_normal((4, 3, 5))), dim=0)
    w, cache = layer.forward()
    layer.backward(rng.standard_normal(w.shape), cache)
    assert np.abs(layer.v.grad).max() > 0.01
    np.testing.assert_allclose((layer.v.grad * layer.v.data).sum(axis=(1, 2)), 0, atol=1e-13)
