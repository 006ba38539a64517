"""Multi-head attention (Vaswani et al. 2017, section 3.2.2)."""

from typing import NamedTuple

from ..backend import Array
from ..functional.attention import attention, attention_backward
from ..module import Module, keep
from .dropout import Dropout
from .linear import Linear
from .positions import RelativePositions


class MultiHeadAttentionCache(NamedTuple):
    query: tuple
    key: tuple | None
    value: tuple | None
    relative: tuple | None
    attention: tuple
    output: tuple
    self_attention: bool


class MultiHeadAttention(Module):
    """H attentions side by side, each over its own K = D/H of the width, then one linear map over all of them.

        q = x W_q + b_q,  k = s W_k + b_k,  v = s W_v + b_v         split into heads (B, H, T, K)
        y = merge(softmax(q kᵀ/√K) v) W_o + b_o

    x (B, T, D) asks; the keys and values come from x itself (self-attention) or from `source` (B, S, D) (cross-
    attention: a decoder that looks at an encoder, with any number of keys S). `qkv_bias=False`: W_o alone has a bias.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float = 0.0,
        relative: RelativePositions | None = None,
        source_width: int | None = None,
        qkv_bias: bool = True,
        generator=None,
    ):
        if width % heads:
            raise ValueError(f"the width {width} is not a multiple of the number of attention heads {heads}")
        self.heads = heads
        self.query = Linear(width, width, qkv_bias, generator)
        self.key = Linear(source_width or width, width, qkv_bias, generator)
        self.value = Linear(source_width or width, width, qkv_bias, generator)
        self.relative = relative
        self.dropout = Dropout(dropout)
        self.output = Linear(width, width, generator=generator)

    def forward(self, x, source=None, visible=None, head_mask=None, generator=None, return_weights=False, past=None):
        """-> ((y (B, T, D), weights (B, H, T, S) or None), cache)

        visible    booleans (B|1, H|1, T|1, S): which keys a query may see; None: all
        head_mask  (H,) or broadcastable to (B, H, 1, 1): a factor for each head's weights
        generator  for dropout in training mode
        past       this layer's LayerPast: keys and values of earlier tokens, to which those of x are added (for
                   cross-attention: those of the source, computed once)
        """
        q, query_cache = self.query.forward(x)
        q = self.split(q)
        key_cache = value_cache = None
        if source is not None and past is not None and past.source is not None:
            k, v = past.source
        else:
            keys_from = x if source is None else source
            k, key_cache = self.key.forward(keys_from)
            v, value_cache = self.value.forward(keys_from)
            k, v = self.split(k), self.split(v)
            if past is not None and source is None:
                k, v = past.append(k, v)
            elif past is not None:
                past.source = (k, v)

        bias, relative_cache = None, None
        if self.relative is not None:
            bias, relative_cache = self.relative.forward(q, k)
        if head_mask is not None and head_mask.ndim == 1:
            head_mask = head_mask[None, :, None, None]
        drop_mask = self.dropout.draw((*q.shape[:3], k.shape[2]), generator, q)
        (context, weights), attention_cache = attention(
            q,
            k,
            v,
            visible=visible,
            bias=bias,
            drop_mask=drop_mask,
            drop_p=self.dropout.p,
            head_mask=head_mask,
            return_weights=return_weights,
        )
        y, output_cache = self.output.forward(self.merge(context))
        cache = keep(
            MultiHeadAttentionCache,
            query_cache,
            key_cache,
            value_cache,
            relative_cache,
            attention_cache,
            output_cache,
            source is None,
        )
        return (y, weights), cache

    def backward(self, dy, cache, dweights=None):
        """dy (B, T, D) -> dx for self-attention; dx, dsource for cross-attention.

        Self-attention uses x three times (for queries, keys and values), so its gradient is the sum of three. What came
        out of a `past` has no gradient.
        """
        dcontext = self.split(self.output.backward(dy, cache.output))
        dq, dk, dv, dbias = attention_backward(dcontext, cache.attention, dweights)
        if self.relative is not None:
            dq_of_bias, dk_of_bias = self.relative.backward(dbias, cache.relative)
            dq += dq_of_bias
            dk += dk_of_bias
        dx = self.query.backward(self.merge(dq), cache.query)
        if cache.key is None:
            return dx, None
        if cache.self_attention:
            dk, dv = dk[:, :, -dq.shape[2] :], dv[:, :, -dq.shape[2] :]
        dsource = self.key.backward(self.merge(dk), cache.key)
        dsource += self.value.backward(self.merge(dv), cache.value)
        if cache.self_attention:
            dx += dsource
            return dx
        return dx, dsource

    def split(self, x: Array) -> Array:
        """(B, T, H·K) -> (B, H, T, K): a view, nothing moves."""
        B, T, D = x.shape
        return x.reshape(B, T, self.heads, D // self.heads).transpose(0, 2, 1, 3)

    def merge(self, x: Array) -> Array:
        """(B, H, T, K) -> (B, T, H·K): the way back."""
        B, H, T, K = x.shape
        return x.transpose(0, 2, 1, 3).reshape(B, T, H * K)

    def extra_repr(self):
        return f"{self.heads} heads"
