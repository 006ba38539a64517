import math

import numpy as np
import pytest

from edutransformers.functional.attention import AttentionCache
from edutransformers.functional.masks import causal_visible
from edutransformers.layers import MultiHeadAttention, RelativePositions
from edutransformers.module import Module
from tests.contract import check_layer

B, T, S, D, H = 2, 5, 7, 6, 2


class WithWeights(Module):
    """Attention whose returned weights have a gradient too: backward takes (dy, dweights)."""

    def __init__(self, inner):
        self.inner = inner

    def forward(self, *inputs, **options):
        return self.inner.forward(*inputs, **options)

    def backward(self, d_output, cache):
        dy, dweights = d_output
        return self.inner.backward(dy, cache, dweights)


def attention(**options):
    return lambda: WithWeights(MultiHeadAttention(D, H, **options))


def relative(kind):
    return lambda: WithWeights(MultiHeadAttention(D, H, relative=RelativePositions(8, D // H, kind)))


def x(rng, batch=B, tokens=T):
    return (rng.standard_normal((batch, tokens, D)),)


def with_source(rng):
    return rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))


PADDING = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=bool)[:, None, None, :]
NOTHING = np.array([[0, 0, 0, 0, 0], [1, 0, 1, 1, 0]], dtype=bool)[:, None, None, :]
SOME_ROWS = np.random.default_rng(5).random((B, 1, T, T)) < 0.5
SOME_ROWS[0, 0, 2] = False
PER_HEAD = np.random.default_rng(6).random((1, H, T, T)) < 0.6
SOURCE_PADDING = np.array([[1] * 7, [1] * 3 + [0] * 4], dtype=bool)[:, None, None, :]

CASES = {
    "plain": (attention(), x, {}),
    "T = 1": (attention(), lambda rng: x(rng, tokens=1), {}),
    "B = 1": (attention(), lambda rng: x(rng, batch=1), {}),
    "one token of one example": (attention(), lambda rng: x(rng, 1, 1), {}),
    "padding": (attention(), x, {"visible": PADDING}),
    "causal": (attention(), x, {"visible": causal_visible(T, T)}),
    "causal and padding": (attention(), x, {"visible": causal_visible(T, T) & PADDING}),
    "an example with nothing to see": (attention(), x, {"visible": NOTHING}),
    "rows with nothing to see": (attention(), x, {"visible": SOME_ROWS}),
    "a mask per head": (attention(), x, {"visible": PER_HEAD}),
    "cross-attention": (attention(), with_source, {}),
    "cross-attention, padded source": (attention(), with_source, {"visible": SOURCE_PADDING}),
    "another width in the source": (
        attention(source_width=4),
        lambda rng: (rng.standard_normal((B, T, D)), rng.standard_normal((B, S, 4))),
        {},
    ),
    "no bias for queries, keys and values": (attention(qkv_bias=False), x, {"visible": PADDING}),
    "weights with a gradient": (attention(), x, {"return_weights": True}),
    "weights with a gradient, masked": (attention(), x, {"return_weights": True, "visible": SOME_ROWS}),
    "weights of cross-attention": (attention(), with_source, {"return_weights": True, "visible": SOURCE_PADDING}),
    "head mask": (attention(), x, {"head_mask": np.array([0.0, 1.0])}),
    "head mask, weights": (attention(), x, {"head_mask": np.array([0.7, 1.3]), "return_weights": True}),
    "head mask for each example": (
        attention(),
        x,
        {"head_mask": np.random.default_rng(2).random((B, H, 1, 1)), "visible": PADDING},
    ),
    "relative_key": (relative("relative_key"), x, {}),
    "relative_key_query": (relative("relative_key_query"), x, {}),
    "relative_key, masked, weights": (relative("relative_key"), x, {"visible": SOME_ROWS, "return_weights": True}),
    "relative_key_query, causal": (relative("relative_key_query"), x, {"visible": causal_visible(T, T)}),
    "relative_key, T = 1": (relative("relative_key"), lambda rng: x(rng, tokens=1), {}),
    "relative_key_query, B = 1": (relative("relative_key_query"), lambda rng: x(rng, batch=1), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_contract(name):
    make, inputs, options = CASES[name]
    check_layer(make, inputs, lambda rng: dict(options))


DROPOUT_CASES = {
    "dropout": (attention(dropout=0.4), x, {}),
    "dropout, padding": (attention(dropout=0.4), x, {"visible": PADDING}),
    "dropout, weights": (attention(dropout=0.4), x, {"return_weights": True}),
    "dropout, head mask, weights, cross-attention": (
        attention(dropout=0.2),
        with_source,
        {"return_weights": True, "head_mask": np.array([0.5, 2.0]), "visible": SOURCE_PADDING},
    ),
}


@pytest.mark.parametrize("name", DROPOUT_CASES)
def test_contract_with_dropout(name):
    make, inputs, options = DROPOUT_CASES[name]
    check_layer(make, inputs, lambda rng: {"generator": rng, **options}, training=True)


def softmax(scores):
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum()


def test_is_the_papers_formula(rng):
    """Written out once more, one head and one query at a time."""
    layer = MultiHeadAttention(D, H).astype("float64")
    for parameter in layer.parameters():
        parameter.data = rng.standard_normal(parameter.shape)
    inputs, source = with_source(rng)
    (y, weights), _ = layer.forward(inputs, source, visible=SOURCE_PADDING, return_weights=True)
    width = D // H
    for b in range(B):
        q, k, v = layer.query(inputs[b]), layer.key(source[b]), layer.value(source[b])
        seen = SOURCE_PADDING[b, 0, 0]
        rows = []
        for t in range(T):
            heads = []
            for h in range(H):
                part = slice(h * width, (h + 1) * width)
                p = softmax(k[seen][:, part] @ q[t, part] / math.sqrt(width))
                np.testing.assert_allclose(weights[b, h, t][seen], p, rtol=1e-12)
                assert not weights[b, h, t][~seen].any()
                heads.append(p @ v[seen][:, part])
            rows.append(np.concatenate(heads))
        np.testing.assert_allclose(y[b], layer.output(np.array(rows)), rtol=1e-11)


def test_hidden_tokens_change_nothing(rng):
    layer = MultiHeadAttention(D, H)
    inputs = rng.standard_normal((B, T, D)).astype("float32")
    changed = inputs.copy()
    changed[1, 3:] = 1e4
    (a, _), (b, _) = layer(inputs, visible=PADDING), layer(changed, visible=PADDING)
    np.testing.assert_array_equal(a[1, :3], b[1, :3])


def check_nothing_to_see(layer):
    """Neither nan nor the mean of what is hidden: the output is only the last bias, and no gradient flows."""
    rng = np.random.default_rng(0)
    layer.output.bias.data[...] = np.arange(D)
    inputs = rng.standard_normal((B, T, D)).astype("float32")
    (y, weights), cache = layer.forward(inputs, visible=NOTHING, return_weights=True)
    np.testing.assert_array_equal(y[0], np.tile(np.arange(D, dtype="float32"), (T, 1)))
    assert not weights[0].any()
    dx = layer.backward(np.ones_like(y), cache)
    assert not dx[0].any()
    assert np.isfinite(dx).all()
    assert dx[1].any()


def check_the_future_stays_hidden(layer, dtype):
    """Also where the only visible score is much lower than the hidden ones: a finite mask value may be too small."""
    layer.query.weight.data = np.eye(4, dtype="float32") * 100
    layer.key.weight.data = -layer.query.weight.data
    layer.astype(dtype)
    inputs = np.full((1, 3, 4), 0.8, dtype=dtype)
    inputs[0, 0] *= -1  # scores of token 0: −12800 with itself, +12800 with the two after it
    _, weights = layer(inputs, visible=causal_visible(3, 3), return_weights=True)
    assert weights.dtype == dtype
    np.testing.assert_array_equal(weights[0, 0][np.triu_indices(3, 1)], 0)
    np.testing.assert_allclose(weights.astype("float32").sum(axis=-1), 1, atol=1e-3)


def test_nothing_to_see():
    check_nothing_to_see(MultiHeadAttention(D, H))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_future_stays_hidden(dtype):
    check_the_future_stays_hidden(MultiHeadAttention(4, 1), dtype)


def test_other_mask_values_are_caught(monkeypatch):
    """−10000 shows the future, −∞ makes nan of a row with nothing to see: both checks above can fail."""

    def with_mask_value(value):
        def wrong(q, k, v, visible=None, return_weights=False, **options):
            scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]) + np.where(visible, 0.0, value).astype(q.dtype)
            with np.errstate(invalid="ignore"):
                exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
            return (weights @ v, weights), AttentionCache(q, k, v, visible, None, weights, None, 0.0, None, 1.0)

        return wrong

    monkeypatch.setattr("edutransformers.layers.attention.attention", with_mask_value(-10000.0))
    with pytest.raises(AssertionError):
        check_the_future_stays_hidden(MultiHeadAttention(4, 1), "float16")
    with pytest.raises(AssertionError):
        check_nothing_to_see(MultiHeadAttention(D, H))
    monkeypatch.setattr("edutransformers.layers.attention.attention", with_mask_value(-np.inf))
    with pytest.raises(AssertionError):
        check_nothing_to_see(MultiHeadAttention(D, H))


def test_width_and_heads_must_fit():
    with pytest.raises(ValueError, match="width 7 is not a multiple of the number of attention heads 2"):
        MultiHeadAttention(7, 2)
