"""One vector for a whole sequence, as XLM, XLNet and GPT-2's double heads make it."""

from __future__ import annotations

from typing import NamedTuple

from ..backend import array_module, as_array_like
from ..layers import Activation, Dropout, Linear
from ..layers.embedding import check_ids
from ..module import Module, keep

WRONG_TOKEN = "the text has {rows} tokens, counted from 0"


class SummaryCache(NamedTuple):
    shape: tuple
    place: object  # the index of the chosen state, or None for the mean
    first_dropout: tuple
    summary: tuple | None
    activation: tuple | None
    last_dropout: tuple


class SequenceSummary(Module):
    """y = dropout(f(W dropout(s) + b)), with s one state of the sequence.   x (…, T, D) -> y (…, O)

    config.summary_type   s
    "last"                the last token's state
    "first"               the first one's
    "mean"                the mean of all
    "cls_index"           that of the token `cls_index` (…,), by default the last

    `summary_use_proj=False` leaves out W; with `summary_proj_to_labels` O is the number of labels, else D. f is tanh
    for `summary_activation="tanh"`.
    """

    def __init__(self, config):
        self.kind = getattr(config, "summary_type", "last")
        if self.kind not in ("last", "first", "mean", "cls_index"):
            raise ValueError(f"summary_type is {self.kind!r}, expected last, first, mean or cls_index")
        self.summary = None
        if getattr(config, "summary_use_proj", False):
            to_labels = getattr(config, "summary_proj_to_labels", False) and config.num_labels > 0
            self.summary = Linear(config.hidden_size, config.num_labels if to_labels else config.hidden_size)
        activation = getattr(config, "summary_activation", None)
        self.activation = Activation(activation) if activation else None
        self.first_dropout = Dropout(getattr(config, "summary_first_dropout", 0.0))
        self.last_dropout = Dropout(getattr(config, "summary_last_dropout", 0.0))

    def forward(self, x, cls_index=None, generator=None, name="cls_index"):
        """name: what the model that uses this calls `cls_index`, for messages."""
        place = self._place(x, cls_index, name)
        y = x.mean(axis=-2) if place is None else x[place]
        y, first_cache = self.first_dropout.forward(y, generator)
        summary_cache = activation_cache = None
        if self.summary is not None:
            y, summary_cache = self.summary.forward(y)
        if self.activation is not None:
            y, activation_cache = self.activation.forward(y)
        y, last_cache = self.last_dropout.forward(y, generator)
        return y, keep(SummaryCache, x.shape, place, first_cache, summary_cache, activation_cache, last_cache)

    def backward(self, dy, cache):
        """dy (…, O) -> dx (…, T, D): zero but for the state that was taken; of a mean, each has its 1/T."""
        dy = self.last_dropout.backward(dy, cache.last_dropout)
        if self.activation is not None:
            dy = self.activation.backward(dy, cache.activation)
        if self.summary is not None:
            dy = self.summary.backward(dy, cache.summary)
        dy = self.first_dropout.backward(dy, cache.first_dropout)
        xp = array_module(dy)
        if cache.place is None:
            T = cache.shape[-2]
            return xp.broadcast_to(dy[..., None, :] * (1 / T), cache.shape).astype(dy.dtype)
        dx = xp.zeros(cache.shape, dtype=dy.dtype)
        dx[cache.place] = dy
        return dx

    def _place(self, x, cls_index, name):
        """What x is indexed with to get one state for each sequence; None for the mean."""
        if self.kind == "mean":
            return None
        if self.kind == "first":
            return (..., 0, slice(None))
        if self.kind == "last" or cls_index is None:
            return (..., -1, slice(None))
        check_ids(cls_index, x.shape[-2], name, WRONG_TOKEN)
        if tuple(cls_index.shape) != tuple(x.shape[:-2]):
            raise ValueError(f"{name} has shape {tuple(cls_index.shape)}, expected {tuple(x.shape[:-2])}")
        return (*array_module(x).indices(x.shape[:-2]), as_array_like(cls_index, x))
