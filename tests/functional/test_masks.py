import numpy as np
import pytest

from edutransformers.functional.masks import causal_visible, padding_visible


def test_causal_sees_itself_and_the_past():
    seen = causal_visible(4, 4)
    assert seen.shape == (1, 1, 4, 4)
    for t in range(4):
        for s in range(4):
            assert seen[0, 0, t, s] == (s <= t)


def test_causal_with_more_keys_than_queries():
    """Cached decoding: the queries are the last positions."""
    np.testing.assert_array_equal(causal_visible(2, 4)[0, 0], [[1, 1, 1, 0], [1, 1, 1, 1]])
    np.testing.assert_array_equal(causal_visible(1, 3)[0, 0], [[1, 1, 1]])


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool", "int32"])
def test_padding(dtype):
    mask = np.array([[1, 1, 0], [1, 0, 0]], dtype=dtype)
    seen = padding_visible(mask, 2, 5, 3, np.ones(1))
    assert seen.shape == (2, 1, 1, 3)
    assert seen.dtype == bool
    np.testing.assert_array_equal(seen[:, 0, 0], mask.astype(bool))


def test_padding_for_each_query(rng):
    mask = rng.integers(0, 2, (2, 5, 3))
    seen = padding_visible(mask, 2, 5, 3, np.ones(1))
    np.testing.assert_array_equal(seen[:, 0], mask.astype(bool))


def test_a_mask_of_another_shape_names_what_was_expected():
    with pytest.raises(ValueError, match=r"attention_mask has shape \(2, 4\), expected \(2, 3\) .* or \(2, 5, 3\)"):
        padding_visible(np.ones((2, 4)), 2, 5, 3, np.ones(1))


def test_a_mask_moves_to_the_device(fake_cupy):
    like = fake_cupy.zeros(1)
    assert isinstance(padding_visible(np.ones((2, 3)), 2, 5, 3, like), fake_cupy.ndarray)
    assert isinstance(causal_visible(2, 3, fake_cupy), fake_cupy.ndarray)
