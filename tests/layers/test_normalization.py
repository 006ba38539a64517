import numpy as np
import pytest

from edutransformers.functional.blocks import BLOCK
from edutransformers.layers import GroupNorm, LayerNorm
from tests.contract import Case, check_layer, inference_gives_the_same_output, the_device_gives_the_same_numbers


@pytest.mark.parametrize("shape", [(2, 4, 5), (1, 1, 5), (3, 5), (5,)], ids=str)
@pytest.mark.parametrize("eps", [1e-5, 1e-12, 0.1])
def test_contract(shape, eps):
    check_layer(lambda: LayerNorm(5, eps), lambda rng: (rng.normal(2, 3, shape),))


def test_rows_get_mean_beta_and_spread_gamma(rng):
    layer = LayerNorm(64, eps=0.0).astype("float64")
    layer.weight.data[...], layer.bias.data[...] = 3.0, 0.5
    y = layer(rng.normal(7, 2, (10, 64)))
    np.testing.assert_allclose(y.mean(axis=-1), 0.5, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=-1), 3.0, rtol=1e-12)


def test_a_constant_row_is_beta():
    layer = LayerNorm(4)
    np.testing.assert_array_equal(layer(np.full((1, 4), 3.0, dtype="float32")), np.zeros((1, 4)))


def test_several_blocks_of_rows():
    """More rows than fit one block: on the host they are worked through in blocks, on the device all at once."""
    rows = BLOCK // 48 + 7
    case = Case(lambda: LayerNorm(48), lambda rng: (rng.standard_normal((rows, 48)),))
    inference_gives_the_same_output(case)
    the_device_gives_the_same_numbers(case)


def test_starts_as_one_and_zero():
    layer = LayerNorm(5)
    layer.weight.data[...] = 9
    layer.bias.data[...] = 9
    layer.initialize(np.random.default_rng(0))
    np.testing.assert_array_equal(layer.weight.data, np.ones(5))
    np.testing.assert_array_equal(layer.bias.data, np.zeros(5))
    assert repr(layer) == "LayerNorm(5, eps=1e-05)"


# -- GroupNorm --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 6, 5), (1, 6, 1), (2, 6), (2, 6, 3, 4)], ids=str)
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_contract_of_group_norm(groups, shape):
    check_layer(lambda: GroupNorm(groups, 6, 0.1), lambda rng: (rng.normal(2, 3, shape),))


def test_contract_of_one_group_a_channel():
    check_layer(lambda: GroupNorm(6, 6), lambda rng: (rng.normal(2, 3, (2, 6, 9)),))


def test_groups_get_mean_beta_and_spread_gamma(rng):
    layer = GroupNorm(3, 6, eps=0.0).astype("float64")
    layer.weight.data[...], layer.bias.data[...] = 3.0, 0.5
    groups = layer(rng.normal(7, 2, (4, 6, 50))).reshape(4, 3, 100)
    np.testing.assert_allclose(groups.mean(axis=-1), 0.5, atol=1e-12)
    np.testing.assert_allclose(groups.std(axis=-1), 3.0, rtol=1e-12)


def test_one_group_over_one_position_is_a_layer_norm(rng):
    x = rng.standard_normal((4, 6))
    np.testing.assert_allclose(GroupNorm(1, 6)(x), LayerNorm(6)(x), rtol=1e-12)


def test_group_norm_in_several_blocks():
    """On the host in blocks of one example's positions, on the device all at once."""
    case = Case(lambda: GroupNorm(2, 4), lambda rng: (rng.standard_normal((2, 4, BLOCK // 4 + 7)),))
    inference_gives_the_same_output(case)
    the_device_gives_the_same_numbers(case)


def test_group_norm_starts_as_one_and_zero_and_names_what_is_wrong():
    layer = GroupNorm(2, 6)
    layer.weight.data[...] = 9
    layer.bias.data[...] = 9
    layer.initialize(np.random.default_rng(0))
    np.testing.assert_array_equal(layer.weight.data, np.ones(6))
    np.testing.assert_array_equal(layer.bias.data, np.zeros(6))
    assert repr(layer) == "GroupNorm(2 groups, 6, eps=1e-05)"
    with pytest.raises(ValueError, match="GroupNorm can't split 6 channels into 4 groups of the same size"):
        GroupNorm(4, 6)
    with pytest.raises(ValueError, match=r"an input of shape \(B, 6, …\), got an array of shape \(2, 5, 6\)"):
        layer(np.ones((2, 5, 6)))
