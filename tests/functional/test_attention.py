"""The functional core of attention against the formula written out plainly, up to sizes where it works in blocks."""

import math

import numpy as np
import pytest

from edutransformers.backend import random_keep_mask
from edutransformers.functional import attention as module
from edutransformers.functional.attention import attention, attention_backward
from edutransformers.functional.masks import causal_visible
from edutransformers.module import inference_mode
from tests.contract import assert_same


def plain(q, k, v, visible, bias, drop_mask, drop_p, head_mask, dcontext, dweights):
    """softmax((q kᵀ + bias)/√K) v and its gradients as whole-array expressions."""
    scale = 1 / math.sqrt(q.shape[-1])
    scores = (q @ k.swapaxes(-1, -2) + (0 if bias is None else bias)) * scale
    if visible is not None:
        scores = np.where(visible, scores, -1e300)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p = p if visible is None else p * visible
    total = p.sum(axis=-1, keepdims=True)
    p = p / np.where(total == 0, 1, total)
    factor = np.ones_like(p)
    if drop_mask is not None:
        factor = factor * drop_mask / (1 - drop_p)
    if head_mask is not None:
        factor = factor * head_mask
    used = p * factor
    dused = dcontext @ v.swapaxes(-1, -2) + (0 if dweights is None else dweights)
    dp = dused * factor
    dscores = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) * scale
    gradients = dscores @ k, dscores.swapaxes(-1, -2) @ q, used.swapaxes(-1, -2) @ dcontext
    return (used @ v, used), (*gradients, None if bias is None else dscores)


SIZES = {
    "small": (2, 3, 5, 7),
    "T = 1": (2, 3, 1, 7),
    "many examples, several blocks": (9, 4, 96, 96),
    "weights kept, several blocks a head": (1, 2, 400, 420),
    "weights computed again, several blocks": (2, 2, 800, 790),
    "one query, many keys": (1, 1, 1, 600_000),
}
CASES = {
    "plain": {},
    "causal": {"visible": "causal"},
    "padding and an example with nothing to see": {"visible": "padding"},
    "bias": {"bias": True},
    "dropout, head mask, padding": {"visible": "padding", "dropout": 0.3, "head_mask": True},
    "gradient of the weights": {"return_weights": True},
    "everything": {
        "visible": "rows",
        "bias": True,
        "dropout": 0.2,
        "head_mask": True,
        "return_weights": True,
    },
}


ALL = [(size, case) for size in SIZES for case in CASES if size != "one query, many keys" or case in ("plain", "bias")]


@pytest.mark.parametrize(("size", "case"), ALL, ids=lambda name: name)
def test_equals_the_plain_formula(rng, size, case):
    B, H, T, S = SIZES[size]
    K, options = 4, CASES[case]
    q = rng.standard_normal((B, H, T, K))
    k, v = rng.standard_normal((2, B, H, S, K))
    visible = None
    if options.get("visible") == "causal":
        visible = causal_visible(T, S) if T <= S else np.tril(np.ones((T, S), dtype=bool))[None, None]
    elif options.get("visible") == "padding":
        visible = np.arange(S) < np.linspace(S, 0, B).astype(int)[:, None, None, None]  # the last example: nothing
    elif options.get("visible") == "rows":
        visible = rng.random((B, 1, T, S)) < 0.3
        visible[:, :, ::5] = False
    bias = rng.standard_normal((B, H, T, S)) if options.get("bias") else None
    drop_p = options.get("dropout", 0.0)
    drop_mask = random_keep_mask(rng, (B, H, T, S), drop_p, q) if drop_p else None
    head_mask = rng.random((1, H, 1, 1)) if options.get("head_mask") else None
    dcontext = rng.standard_normal((B, H, T, K))
    dweights = rng.standard_normal((B, H, T, S)) if options.get("return_weights") else None

    arguments = {"visible": visible, "bias": bias, "drop_mask": drop_mask, "drop_p": drop_p, "head_mask": head_mask}
    return_weights = dweights is not None
    (wanted_context, wanted_weights), wanted_gradients = plain(q, k, v, *arguments.values(), dcontext, dweights)

    (context, weights), cache = attention(q, k, v, **arguments, return_weights=return_weights)
    assert_same(context, wanted_context, "context")
    if return_weights:
        assert_same(weights, wanted_weights, "weights")
    else:
        assert weights is None
    gradients = attention_backward(dcontext, cache, dweights)
    assert_same(gradients, wanted_gradients, "gradients")
    with inference_mode():
        (unkept, _), no_cache = attention(q, k, v, **arguments, return_weights=return_weights)
    assert no_cache is None
    assert_same(unkept, wanted_context, "context in inference_mode")


def test_long_sequences_do_not_keep_their_weights(rng):
    """Beyond SAVED_SCORES the cache holds no (T, S) array, and backward computes the weights again."""
    T = math.isqrt(module.SAVED_SCORES) + 1
    for tokens, kept in ((T, False), (40, True)):
        q, k, v = rng.standard_normal((3, 1, 1, tokens, 2))
        _, cache = attention(q, k, v)
        largest = max(array.size for array in cache if isinstance(array, np.ndarray))
        assert (largest >= tokens * tokens) == kept


@pytest.mark.parametrize("T", [40, 400])
def test_keys_behind_the_last_that_is_seen_are_not_read(rng, monkeypatch, T):
    """Padding at the end, and of a causal mask the corner of later keys: whatever stands there, even NaN. What belongs
    to them in a result is 0, whatever stood in its memory before."""
    q, k, v, dcontext = rng.standard_normal((4, 1, 2, T, 4))
    visible = causal_visible(T, T) & (np.arange(T) < T - 9)
    options = {"visible": visible, "bias": rng.standard_normal((1, 2, T, T)), "head_mask": np.full((1, 2, 1, 1), 0.5)}
    wanted, cache = attention(q, k, v, **options, return_weights=True)
    gradients = attention_backward(dcontext, cache)
    assert not gradients[3][:, :, :, -9:].any()
    k[:, :, -9:] = v[:, :, -9:] = np.nan
    monkeypatch.setattr(np, "empty", lambda shape, dtype: np.full(shape, np.nan, dtype))
    found, cache = attention(q, k, v, **options, return_weights=True)
    assert_same(found, wanted, "context and weights")
    assert_same(attention_backward(dcontext, cache), gradients, "gradients")


def test_scale_is_the_callers(rng):
    q, k, v = rng.standard_normal((3, 1, 2, 3, 4))
    (a, _), _ = attention(q, k, v, scale=1.0)
    (b, _), _ = attention(q * 2, k, v)  # 1/√4 · 2
    assert_same(a, b, "context")
