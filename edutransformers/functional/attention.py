"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1), forward and backward.

Shapes: B batch, H heads, T queries, S keys, K head width. `visible` (B|1, H|1, T|1, S) says with True which key a query
may see. A query that may see nothing attends to nothing: its output and its gradients are zero.
"""

import math
from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module
from ..module import keep, keeping
from .dropout import dropout, dropout_backward
from .precision import in_float32, sum_dtype

# Scores are worked through in blocks of about this many numbers (1 MB of float32), so that they stay in the cache.
BLOCK = 262144
# Up to this many scores for one head, the weights are saved for the backward pass; beyond, they are computed again.
SAVED_SCORES = 768 * 768
# So many queries a block where each sees other keys (see `_blocks`).
CAUSAL_QUERIES = 128


class AttentionCache(NamedTuple):
    q: Array
    k: Array
    v: Array
    visible: Array | None
    bias: Array | None
    weights: Array | None  # softmax output (B, H, T, S), or None: compute it again
    drop_mask: Array | None
    drop_p: float
    head_mask: Array | None
    scale: float


def attention(
    q, k, v, visible=None, bias=None, scale=None, drop_mask=None, drop_p=0.0, head_mask=None, return_weights=False
):
    """softmax((q kᵀ + bias) · scale) v

    q (B, H, T, K), k and v (B, H, S, K), bias (B, H, T, S) added before scaling, scale 1/√K unless given,
    drop_mask (B, H, T, S) booleans from `random_keep_mask`, head_mask broadcastable to (B, H, 1, 1)
    -> ((context (B, H, T, K), weights (B, H, T, S) or None), cache). The weights are those that were used: after
    dropout and head mask, as the original returns them.
    """
    xp = array_module(q)
    B, H, T, K = q.shape
    S = k.shape[2]
    scale = 1 / math.sqrt(K) if scale is None else scale
    store = return_weights or (keeping() and T * S <= SAVED_SCORES)
    new = xp.empty if visible is None else xp.zeros  # what a block leaves out has the weight 0
    weights = new((B, H, T, S), dtype=q.dtype) if store else None
    altered = drop_mask is not None or head_mask is not None
    used_weights = new((B, H, T, S), dtype=q.dtype) if return_weights and altered else weights
    # Laid out as (B, T, H, K) in memory: merging the heads afterwards moves nothing.
    context = xp.empty((B, T, H, v.shape[-1]), dtype=q.dtype).transpose(0, 2, 1, 3)

    for block in _blocks(B, H, T, S, visible, xp):
        b, h, t, s = block
        p = _weights(q, k, visible, bias, scale, block, out=weights[block] if store else None)
        used = _used_weights(p, drop_mask, drop_p, head_mask, block)
        if return_weights and altered:
            used_weights[block] = used
        context[b, h, t] = xp.matmul(used, v[b, h, s])
    kept_weights = weights if T * S <= SAVED_SCORES else None
    cache = keep(AttentionCache, q, k, v, visible, bias, kept_weights, drop_mask, drop_p, head_mask, scale)
    return (context, used_weights if return_weights else None), cache


def attention_backward(dcontext, cache, dweights=None):
    """dcontext (B, H, T, K), and dweights (B, H, T, S) if the loss used the returned weights -> dq, dk, dv, dbias

    Read the forward pass backwards. With P = softmax(scores), U = P ∘ dropout ∘ head mask, context = U v:

        dU = dcontext vᵀ (+ dweights)          dv = Uᵀ dcontext
        dP = dU ∘ dropout ∘ head mask
        dscores = P ∘ (dP − Σₛ dP P)           softmax, row by row; P = 0 keeps hidden keys at zero
        dq = dscores k · scale                 dk = dscoresᵀ q · scale             dbias = dscores · scale
    """
    xp = array_module(dcontext)
    q, k, v = cache.q, cache.k, cache.v
    B, H, T, K = q.shape
    S = k.shape[2]
    dq = xp.empty((B, T, H, K), dtype=q.dtype).transpose(0, 2, 1, 3)
    dk = xp.zeros((B, S, H, K), dtype=sum_dtype(q.dtype)).transpose(0, 2, 1, 3)
    dv = xp.zeros((B, S, H, v.shape[-1]), dtype=sum_dtype(q.dtype)).transpose(0, 2, 1, 3)
    new = xp.empty if cache.visible is None else xp.zeros
    dbias = None if cache.bias is None else new((B, H, T, S), dtype=q.dtype)

    for block in _blocks(B, H, T, S, cache.visible, xp):
        b, h, t, s = block
        if cache.weights is not None:
            weights = cache.weights[block]
        else:
            weights = _weights(q, k, cache.visible, cache.bias, cache.scale, block)
        used = _used_weights(weights, cache.drop_mask, cache.drop_p, cache.head_mask, block)

        dused = in_float32(xp.matmul(dcontext[b, h, t], v[b, h, s].swapaxes(-1, -2)))
        if dweights is not None:
            dused += dweights[block]
        dv[b, h, s] += xp.matmul(used.swapaxes(-1, -2), dcontext[b, h, t])

        if cache.head_mask is not None:
            dused *= _part(cache.head_mask, block)
        if cache.drop_mask is not None:
            dused = dropout_backward(dused, cache.drop_mask[block], cache.drop_p)
        dscores = dused
        dscores -= xp.einsum("bhts,bhts->bht", dused, in_float32(weights))[..., None]
        dscores *= weights
        dscores *= cache.scale
        dscores = dscores.astype(q.dtype, copy=False)

        dq[b, h, t] = xp.matmul(dscores, k[b, h, s])
        dk[b, h, s] += xp.matmul(dscores.swapaxes(-1, -2), q[b, h, t])
        if dbias is not None:
            dbias[block] = dscores
    return dq, dk.astype(q.dtype, copy=False), dv.astype(q.dtype, copy=False), dbias


def _blocks(B, H, T, S, visible, xp):
    """(examples, heads, queries, keys) slices whose scores fit the cache. On a GPU: one block.

    Whole examples while they fit; else one head at a time, so that a block has many queries: with few, its products
    are thin and the keys' gradients (S, K) are read and written for each handful of them. Where each query sees other
    keys, blocks of fewer queries leave more keys out: a causal mask hides half of all scores.
    """
    if xp is not np:
        yield slice(0, B), slice(0, H), slice(0, T), slice(0, S)
        return
    examples = BLOCK // max(1, H * T * S)
    heads = H if examples else max(1, BLOCK // max(1, T * S))
    queries = T if examples or heads > 1 else max(1, min(T, BLOCK // max(1, S)))
    if queries > CAUSAL_QUERIES and heads == 1 and visible is not None and visible.shape[2] > 1:
        queries = CAUSAL_QUERIES
    for b in range(0, B, max(1, examples)):
        for h in range(0, H, heads):
            for t in range(0, T, queries):
                block = (
                    slice(b, min(b + max(1, examples), B)),
                    slice(h, min(h + heads, H)),
                    slice(t, min(t + queries, T)),
                )
                yield *block, slice(0, S if visible is None else _last_seen(visible, block, S))


def _last_seen(visible, block, S):
    """How many keys a block needs, from the first on: no query of the block sees one behind them."""
    seen = _part(visible, (*block, slice(0, S)))
    if seen[..., -1].any():
        return S
    return S - seen.any(axis=(0, 1, 2))[::-1].argmax()


def _part(x, block):
    """The block of an array that may have 1 instead of B, H, T or S along these axes."""
    return x[tuple(part if size > 1 else slice(None) for part, size in zip(block, x.shape))]


def _weights(q, k, visible, bias, scale, block, out=None):
    """softmax over the visible keys of (q kᵀ + bias) · scale for one block, in one buffer."""
    xp = array_module(q)
    b, h, t, s = block
    keys = k[b, h, s].swapaxes(-1, -2)
    if q.dtype == np.float16:
        return _float16_weights(q, keys, visible, bias, scale, block, out)
    scores = xp.matmul(q[b, h, t], keys, out=out)  # (b, h, t, K) @ (b, h, K, s) -> (b, h, t, s)
    if bias is not None:
        scores += _part(bias, block)
    scores *= scale
    return _softmax_of_visible(scores, visible, block)


def _float16_weights(q, keys, visible, bias, scale, block, out):
    """The same for float16: scaled before the product, which may overflow without, and the rest in float32."""
    scores = in_float32(array_module(q).matmul(q[block[:3]] * scale, keys))
    if bias is not None:
        scores += in_float32(_part(bias, block)) * scale
    weights = _softmax_of_visible(scores, visible, block)
    if out is None:
        return weights.astype(np.float16)
    out[...] = weights
    return out


def _softmax_of_visible(scores, visible, block):
    """softmax over the visible keys, in place; a query that sees nothing gets zeros."""
    xp = array_module(scores)
    if visible is None:
        scores -= scores.max(axis=-1, keepdims=True)
        xp.exp(scores, out=scores)
        scores *= 1 / scores.sum(axis=-1, keepdims=True)
        return scores
    seen = _part(visible, block)
    # Hidden scores are replaced, not added to: no score is so large that it shows through. Half of the smallest finite
    # number leaves room for subtracting the largest score, and its exp is 0.
    xp.copyto(scores, float(np.finfo(scores.dtype).min) / 2, where=xp.logical_not(seen))
    scores -= scores.max(axis=-1, keepdims=True)
    xp.exp(scores, out=scores)
    sees_something = seen.any(axis=-1, keepdims=True)
    scores *= sees_something / scores.sum(axis=-1, keepdims=True)
    return scores


def _used_weights(weights, drop_mask, drop_p, head_mask, block):
    if drop_mask is not None:
        weights = dropout(weights, drop_mask[block], drop_p)
    if head_mask is not None:
        weights = weights * _part(head_mask, block)
    return weights
