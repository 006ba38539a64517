import numpy as np
import pytest

from edutransformers.layers import Dropout
from edutransformers.losses import MSELoss
from edutransformers.module import keep
from tests.contract import check_layer


@pytest.mark.parametrize("p", [0.1, 0.6])
def test_contract_in_training(p):
    check_layer(
        lambda: Dropout(p),
        lambda rng: (rng.standard_normal((2, 3, 5)),),
        lambda rng: {"generator": rng},
        training=True,
        passes_dy_on=True,
    )


@pytest.mark.parametrize(("p", "training"), [(0.3, False), (0.0, True)])
def test_contract_when_it_passes_everything_on(p, training):
    check_layer(lambda: Dropout(p), lambda rng: (rng.standard_normal((2, 3)),), training=training, passes_dy_on=True)


def test_one_object_three_times_before_its_backward(rng):
    """With the mask on the object, every backward would use the last one."""
    dropout = Dropout(0.5)
    x = np.ones((4, 50), dtype="float32")
    calls = [dropout.forward(x, rng) for _ in range(3)]
    assert not np.array_equal(calls[0][0], calls[1][0])
    for y, cache in calls:
        np.testing.assert_array_equal(dropout.backward(x, cache), y)  # x = dy = 1: both are mask / (1 − p)


def test_keeps_the_expected_value(rng):
    y, _ = Dropout(0.3).forward(np.ones(200_000, dtype="float32"), rng)
    assert abs(y.mean() - 1) < 0.01
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) * np.float32(1 / 0.7)}


def test_a_seed_means_the_same_everywhere(fake_cupy):
    x = np.ones((3, 7), dtype="float32")
    on_host, _ = Dropout(0.5).forward(x, np.random.default_rng(3))
    on_device, _ = Dropout(0.5).forward(fake_cupy.asarray(x), np.random.default_rng(3))
    np.testing.assert_array_equal(on_device.get(), on_host)
    np.testing.assert_array_equal(on_host[0] != 0, [True, True, False, False, True, False, True])


def test_training_needs_a_generator():
    with pytest.raises(ValueError, match=r"pass generator=numpy.random.default_rng\(seed\), or call .eval\(\)"):
        Dropout(0.1).forward(np.ones(3))


@pytest.mark.parametrize("p", [-0.1, 1.0, 2])
def test_bad_probability(p):
    with pytest.raises(ValueError, match=f"the dropout probability is {p}"):
        Dropout(p)


def test_modules_without_dropout_take_no_generator():
    """A loss has no random part; a generator passed by mistake is an error, not silence."""
    with pytest.raises(TypeError):
        MSELoss().forward(np.ones(2), np.ones(2), generator=np.random.default_rng(0))
    assert keep() == ()
