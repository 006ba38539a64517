import math

import numpy as np
import pytest

from edutransformers.losses import BCEWithLogitsLoss
from tests.contract import check_layer


def inputs(rng):
    return rng.normal(0, 2, (3, 4)), (rng.random((3, 4)) < 0.5).astype("float64")


def soft_inputs(rng):
    return rng.normal(0, 2, (3, 4)), rng.random((3, 4))


WEIGHTS = {"none": None, "a number": np.array(2.5), "one for each class": np.array([0.5, 1.0, 3.0, 0.0])}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("pos_weight", WEIGHTS)
@pytest.mark.parametrize("make_inputs", [inputs, soft_inputs], ids=["hard", "soft"])
def test_contract(make_inputs, pos_weight, reduction):
    check_layer(lambda: BCEWithLogitsLoss(WEIGHTS[pos_weight], reduction), make_inputs)


def test_is_the_formula(rng):
    x, y = soft_inputs(rng)
    weight = WEIGHTS["one for each class"]
    sigmoid = 1 / (1 + np.exp(-x))
    wanted = -(weight * y * np.log(sigmoid) + (1 - y) * np.log(1 - sigmoid))
    np.testing.assert_allclose(BCEWithLogitsLoss(weight, "none")(x, y), wanted, rtol=1e-12)
    np.testing.assert_allclose(BCEWithLogitsLoss(weight)(x, y), wanted.mean(), rtol=1e-12)
    assert BCEWithLogitsLoss()(np.zeros(3), np.ones(3)) == pytest.approx(math.log(2))


def test_large_logits_do_not_overflow():
    x, y = np.array([1000.0, -1000.0], dtype="float32"), np.array([0.0, 1.0], dtype="float32")
    loss, cache = BCEWithLogitsLoss(reduction="sum").forward(x, y)
    assert loss == 2000
    np.testing.assert_array_equal(BCEWithLogitsLoss(reduction="sum").backward(1.0, cache), [1, -1])


def test_bad_targets():
    with pytest.raises(TypeError, match="floating-point numbers from 0 to 1, got an array of int64"):
        BCEWithLogitsLoss()(np.zeros(3), np.ones(3, dtype=np.int64))
    with pytest.raises(ValueError, match=r"predictions have shape \(3,\) and targets \(3, 1\)"):
        BCEWithLogitsLoss()(np.zeros(3), np.ones((3, 1)))
