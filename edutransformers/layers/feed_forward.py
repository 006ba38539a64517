"""The position-wise feed-forward network, in one piece or in chunks (Reformer, Kitaev et al. 2020, section 4)."""

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module
from ..functional.dropout import dropout, dropout_backward
from ..module import Module, inference_mode, keep, keeping, training_cache
from .activation import Activation
from .dropout import Dropout
from .linear import Linear


class FeedForwardCache(NamedTuple):
    up: tuple
    activation: tuple
    drop_mask: Array | None
    down: tuple


class FeedForward(Module):
    """y = W₂ dropout(f(W₁ x + b₁)) + b₂, token by token.   x (B, T, D) -> y (B, T, D)

    In between there are F > D numbers per token.

    No token looks at another, so the tokens may be worked through a few at a time, and every chunk size gives the same
    numbers. What it saves is memory for the wide middle (B, T, F):

    chunk_size   tokens of each sequence taken at a time (the original's `chunk_size_feed_forward`); 0: all at once.
                 In inference only one chunk's middle exists at any time.
    recompute    keep only x for the backward pass, and compute each chunk's middle again there. Without it the chunks'
                 middles are all kept, as much as one piece would keep.
    dropout      of the middle (0 in BERT and GPT-2, the original's `activation_dropout` elsewhere)
    linear       the class of both linear maps: Linear, or Conv1D
    """

    def __init__(
        self,
        width: int,
        inner_width: int,
        activation: str = "gelu",
        chunk_size: int = 0,
        recompute: bool = False,
        generator: np.random.Generator | None = None,
        linear: type[Module] = Linear,
        dropout: float = 0.0,
    ):
        if chunk_size < 0:
            raise ValueError(f"chunk_size is {chunk_size}: expected 0 (no chunking) or a number of tokens")
        self.up = linear(width, inner_width, generator=generator)
        self.activation = Activation(activation)
        self.dropout = Dropout(dropout)
        self.down = linear(inner_width, width, generator=generator)
        self.chunk_size = chunk_size
        self.recompute = recompute

    def forward(self, x, generator=None):
        # One mask for all chunks: the same numbers are dropped whatever the chunks are.
        mask = self.dropout.draw((*x.shape[:-1], self.up.bias.shape[0]), generator, x)
        if self.recompute and keeping():
            with inference_mode():
                y, _ = self._forward(x, mask)
            return y, keep(x, mask, None)
        return self._forward(x, mask)

    def _forward(self, x, mask):
        chunks = self._chunks(x)
        if len(chunks) == 1:
            y, cache = self._forward_chunk(x, mask)
            return y, keep(x, mask, [cache])
        y, caches = array_module(x).empty_like(x), []
        for chunk in chunks:
            y[chunk], cache = self._forward_chunk(x[chunk], None if mask is None else mask[chunk])
            caches.append(cache)
        return y, keep(x, mask, caches)

    def backward(self, dy, cache):
        x, mask, caches = cache
        chunks = self._chunks(x)
        if len(chunks) == 1 and caches is not None:
            return self._backward_chunk(dy, caches[0])
        dx = array_module(x).empty_like(x)
        for index, chunk in enumerate(chunks):
            if caches is None:
                with training_cache():
                    _, chunk_cache = self._forward_chunk(x[chunk], None if mask is None else mask[chunk])
            else:
                chunk_cache = caches[index]
            dx[chunk] = self._backward_chunk(dy[chunk], chunk_cache)
        return dx

    def _forward_chunk(self, x, mask):
        inner, up_cache = self.up.forward(x)
        inner, activation_cache = self.activation.forward(inner, out=inner)
        if mask is not None:
            inner = dropout(inner, mask, self.dropout.p)
        y, down_cache = self.down.forward(inner)
        return y, keep(FeedForwardCache, up_cache, activation_cache, mask, down_cache)

    def _backward_chunk(self, dy, cache):
        dinner = self.down.backward(dy, cache.down)
        if cache.drop_mask is not None:
            dinner = dropout_backward(dinner, cache.drop_mask, self.dropout.p)
        dinner = self.activation.backward(dinner, cache.activation)
        return self.up.backward(dinner, cache.up)

    def _chunks(self, x):
        """Index tuples (…, tokens, :) that cover the token axis, the second from the end."""
        tokens = x.shape[-2] if x.ndim > 1 else 1
        step = self.chunk_size or max(1, tokens)
        return [(..., slice(start, start + step), slice(None)) for start in range(0, max(1, tokens), step)]

    def extra_repr(self):
        return f"chunk_size={self.chunk_size}, recompute={self.recompute}" if self.chunk_size else ""
