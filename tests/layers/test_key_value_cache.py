"""Attention that remembers: MultiHeadAttention with a past is MultiHeadAttention over the whole text."""

import numpy as np
import pytest

from edutransformers.functional.masks import causal_visible
from edutransformers.layers import KeyValueCache, LayerPast, MultiHeadAttention, RelativePositions


def layer_of(**options):
    return MultiHeadAttention(6, 2, generator=np.random.default_rng(0), **options).astype("float64").eval()


@pytest.mark.parametrize("options", [{}, {"relative": RelativePositions(9, 3, "relative_key_query")}], ids=["", "rel"])
@pytest.mark.parametrize("step", [1, 3])
def test_pieces_are_the_whole(rng, step, options):
    layer, x = layer_of(**options), rng.standard_normal((2, 7, 6))
    for parameter in layer.parameters():
        parameter.data = rng.standard_normal(parameter.shape)
    whole, weights = layer(x, visible=causal_visible(7, 7), return_weights=True)
    past = LayerPast()
    for start in range(0, 7, step):
        part = x[:, start : start + step]
        visible = causal_visible(part.shape[1], start + part.shape[1])
        y, part_weights = layer(part, visible=visible, past=past, return_weights=True)
        stop = start + part.shape[1]
        np.testing.assert_allclose(y, whole[:, start:stop], atol=1e-13)
        np.testing.assert_allclose(part_weights, weights[:, :, start:stop, :stop], atol=1e-13)
    assert past.length == 7


def test_a_source_is_projected_once(rng):
    layer, past = layer_of(), LayerPast()
    x, source = rng.standard_normal((2, 3, 6)), rng.standard_normal((2, 5, 6))
    first, _ = layer(x, source, past=past)
    again, _ = layer(x, np.full_like(source, np.nan), past=past)  # not looked at any more
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, layer(x, source)[0])
    (y, _), cache = layer.forward(x, source, past=past)
    dx, dsource = layer.backward(np.ones_like(y), cache)
    assert dsource is None
    assert dx.shape == x.shape


def test_backward_reaches_the_new_tokens_alone(rng):
    """Central differences with the past held fixed."""
    layer, x = layer_of(), rng.standard_normal((2, 5, 6))
    past = LayerPast()
    layer(x[:, :3], past=past)
    dy = rng.standard_normal((2, 2, 6))
    (y, _), cache = layer.forward(x[:, 3:], visible=causal_visible(2, 5), past=past.copy())
    dx = layer.backward(dy, cache)

    def loss(new):
        return (layer(new, visible=causal_visible(2, 5), past=past.copy())[0] * dy).sum()

    for place in np.ndindex(2, 2, 6):
        h = np.zeros((2, 2, 6))
        h[place] = 1e-6
        np.testing.assert_allclose(dx[place], (loss(x[:, 3:] + h) - loss(x[:, 3:] - h)) / 2e-6, rtol=1e-7, atol=1e-9)


def cache_of(rng, batch=3, tokens=4):
    cache = KeyValueCache()
    for index in range(2):
        cache.layer(index).append(
            rng.standard_normal((batch, 2, tokens, 3)), rng.standard_normal((batch, 2, tokens, 3))
        )
    return cache


def test_reorder_copy_crop_and_join(rng):
    cache = cache_of(rng)
    keys = [cache[0][0].copy(), cache[1][1].copy()]
    twin = cache.copy()
    assert cache.reorder([2, 2, 0, 1]) is cache
    np.testing.assert_array_equal(cache[0][0], keys[0][[2, 2, 0, 1]])
    np.testing.assert_array_equal(twin[1][1], keys[1])
    cache.crop(3)
    assert cache.length == cache.get_seq_length() == 3
    assert cache.crop(-2).length == 1
    np.testing.assert_array_equal(cache[0][0], keys[0][[2, 2, 0, 1], :, :1])
    joined = KeyValueCache.join([twin, twin])
    np.testing.assert_array_equal(joined[1][1], np.concatenate([keys[1], keys[1]]))
    assert (len(joined), joined.length) == (2, 4)
    assert repr(joined) == "KeyValueCache(2 layers, 4 tokens)"


def test_after_a_crop_the_cache_goes_on(rng):
    cache = cache_of(rng)
    kept = cache[0][0][:, :, :2].copy()
    cache.crop(2)
    new = rng.standard_normal((3, 2, 1, 3))
    keys, values = cache.layer(0).append(new, new)
    np.testing.assert_array_equal(keys, np.concatenate([kept, new], axis=2))
    assert values.shape == (3, 2, 3, 3)


def test_tuples(rng):
    cache = cache_of(rng)
    again = KeyValueCache.of(tuple(cache))
    np.testing.assert_array_equal(again[1][0], cache[1][0])
    assert KeyValueCache.of(None) is None
    assert KeyValueCache.of(cache) is cache
    with pytest.raises(TypeError, match="must be a KeyValueCache or one .keys, values. a layer, got str"):
        KeyValueCache.of("past")


def test_on_a_gpu(rng, fake_cupy):
    x = fake_cupy.asarray(rng.standard_normal((2, 2, 3, 3)))
    cache = KeyValueCache()
    cache.layer(0).append(x, x)
    cache.layer(0).append(x[:, :, :1], x[:, :, :1])
    cache.reorder(np.array([1, 0]))
    assert isinstance(cache[0][0], fake_cupy.ndarray)
    assert cache[0][0].shape == (2, 2, 4, 3)
