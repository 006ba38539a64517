import numpy as np
import pytest

from edutransformers.layers import Embedding
from tests import fakecupy
from tests.contract import check_layer

IDS = {
    "every id repeated": np.array([[1, 1, 6], [6, 1, 2]]),
    "one id only": np.full((2, 3), 4),
    "T = 1": np.array([[5]]),
    "one axis": np.array([0, 6, 0]),
    "int32": np.array([[3, 3, 1]], dtype=np.int32),
}


@pytest.mark.parametrize("name", IDS)
def test_contract(name):
    check_layer(lambda: Embedding(7, 4), lambda rng: (IDS[name],))


def test_contract_with_padding_idx():
    # No id here is the padding: its row has no gradient on purpose, which differences would call wrong.
    check_layer(lambda: Embedding(7, 4, padding_idx=0), lambda rng: (IDS["every id repeated"],))


def test_repeated_ids_add_up(rng):
    """Assigning instead of adding keeps only the last of an id's gradients."""
    layer = Embedding(7, 4)
    ids = np.array([[3, 1, 3], [3, 0, 1]])
    dy = rng.standard_normal((2, 3, 4)).astype("float32")
    _, cache = layer.forward(ids)
    assert layer.backward(dy, cache) is None
    wanted = np.zeros((7, 4))
    for b in range(2):
        for t in range(3):
            wanted[ids[b, t]] += dy[b, t]
    np.testing.assert_allclose(layer.weight.grad, wanted, rtol=1e-6, atol=1e-7)


def test_padding_row_starts_at_zero_and_gets_no_gradient(rng):
    layer = Embedding(7, 4, padding_idx=2)
    assert not layer.weight.data[2].any()
    assert layer.weight.data[[0, 1, 3, 4, 5, 6]].all()
    _, cache = layer.forward(np.array([[2, 1, 2]]))
    dy = rng.standard_normal((1, 3, 4)).astype("float32")
    layer.backward(dy, cache)
    assert not layer.weight.grad[2].any()
    np.testing.assert_array_equal(layer.weight.grad[1], dy[0, 1])
    assert "padding_idx=2" in repr(layer)


def test_bad_ids():
    layer = Embedding(7, 4)
    with pytest.raises(ValueError, match="ids holds 7, but the vocabulary has 7 entries"):
        layer(np.array([[0, 7]]))
    with pytest.raises(ValueError, match="ids holds -1, but"):
        layer(np.array([[0, -1]]))
    with pytest.raises(TypeError, match="whole numbers, got an array of float64"):
        layer(np.array([[0.0, 1.0]]))


def test_host_ids_on_a_device_layer(fake_cupy):
    """A tokenizer's ids may still be on the host: checked there, then moved."""
    layer = Embedding(7, 4)
    ids = np.array([[3, 1, 3]])
    wanted = layer(ids)
    layer.to("cuda")
    with fakecupy.no_sync():
        y, cache = layer.forward(ids)
        layer.backward(y, cache)
    np.testing.assert_array_equal(y.get(), wanted)
    with pytest.raises(ValueError, match="ids holds 9"):
        layer(np.array([[9]]))


def test_no_ids_at_all():
    layer = Embedding(7, 4)
    y, cache = layer.forward(np.zeros((2, 0), dtype=np.int64))
    assert y.shape == (2, 0, 4)
    layer.backward(y, cache)
    assert not layer.weight.grad.any()
