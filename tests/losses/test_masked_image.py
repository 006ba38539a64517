import numpy as np
import pytest

from edutransformers.losses import MaskedImageLoss
from tests.contract import check_layer

HIDDEN = np.array([[True, False, True, True, False, False], [False, False, False, True, False, False]])


@pytest.mark.parametrize("hidden", [HIDDEN, HIDDEN[:, ::-1], np.ones((2, 6), bool)], ids=["some", "others", "all"])
def test_contract(hidden):
    check_layer(
        MaskedImageLoss,
        lambda rng: (rng.standard_normal((2, 3, 4, 9)), rng.standard_normal((2, 3, 4, 9)), hidden, (2, 3)),
    )


def test_is_the_mean_error_of_the_hidden_pixels(rng):
    painted, picture = rng.standard_normal((2, 2, 3, 4, 9))
    errors = [
        abs(painted[b, c, i, j] - picture[b, c, i, j])
        for b in range(2) for c in range(3) for i in range(4) for j in range(9)
        if HIDDEN[b, 3 * (i // 2) + j // 3]
    ]  # fmt: skip
    loss = MaskedImageLoss()(painted, picture, HIDDEN, (2, 3))
    assert loss == pytest.approx(np.mean(errors), rel=1e-6)
    assert loss == pytest.approx(sum(errors) / (len(errors) / 3 + 1e-5) / 3, rel=1e-12)


def test_nothing_hidden(rng):
    painted, picture = rng.standard_normal((2, 2, 3, 4, 9))
    loss, cache = MaskedImageLoss().forward(painted, picture, np.zeros((2, 6), bool), (2, 3))
    assert loss == 0
    assert not any(gradient.any() for gradient in MaskedImageLoss().backward(1.0, cache))


def test_float16_is_summed_in_float32():
    painted, picture = np.full((1, 1, 64, 64), 30.0, "float16"), np.zeros((1, 1, 64, 64), "float16")
    loss, cache = MaskedImageLoss().forward(painted, picture, np.ones((1, 4), bool), (2, 2))
    assert loss.dtype == np.float32
    assert loss == pytest.approx(30, rel=1e-6)  # the sum, 122,880, is more than float16 can hold
    assert {gradient.dtype for gradient in MaskedImageLoss().backward(1.0, cache)} == {np.dtype("float16")}


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="expected the same shape"):
        MaskedImageLoss()(np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 4, 5)), np.ones((1, 4), bool), (2, 2))
