import numpy as np
import pytest

from edutransformers.losses import L1Loss, MSELoss, SmoothL1Loss
from tests.contract import check_layer

LOSSES = {
    "MSE": MSELoss,
    "L1": L1Loss,
    "smooth L1": SmoothL1Loss,
    "smooth L1, beta 0.2": lambda reduction: SmoothL1Loss(0.2, reduction),
    "smooth L1, beta 0": lambda reduction: SmoothL1Loss(0.0, reduction),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(3, 4), (1,), (2, 1, 3)], ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_contract(name, shape, reduction):
    check_layer(
        lambda: LOSSES[name](reduction=reduction), lambda rng: (rng.standard_normal(shape), rng.standard_normal(shape))
    )


def test_values():
    x, y = np.array([3.0, -1.0, 0.5, 0.0]), np.array([1.0, -1.0, 0.0, 3.0])
    assert MSELoss()(x, y) == (4 + 0 + 0.25 + 9) / 4
    assert L1Loss()(x, y) == (2 + 0 + 0.5 + 3) / 4
    assert SmoothL1Loss()(x, y) == (1.5 + 0 + 0.125 + 2.5) / 4
    assert SmoothL1Loss(2.0, "sum")(x, y) == 1 + 0 + 0.0625 + 2


def test_no_slope_where_equal():
    x = np.zeros(2)
    for loss in (L1Loss(), SmoothL1Loss(0.0), SmoothL1Loss(), MSELoss()):
        _, cache = loss.forward(x, x)
        np.testing.assert_array_equal(loss.backward(1.0, cache), x)


def test_errors():
    with pytest.raises(ValueError, match=r"predictions have shape \(2,\) and targets \(2, 1\): expected the same"):
        MSELoss()(np.zeros(2), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="beta is -1: expected 0 or more"):
        SmoothL1Loss(-1)
    with pytest.raises(ValueError, match="unknown reduction"):
        L1Loss("median")
