"""Hiding spans of time and of features while training (SpecAugment, Park et al. 2019; wav2vec 2.0, section 3.1)."""

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module, as_array_like, to_numpy
from ..module import Module, Parameter, keep, uniform_


class SpanMaskingCache(NamedTuple):
    time_mask: Array | None  # (B, T) booleans, True: replaced by the learned vector
    feature_mask: Array | None  # (B, D) booleans, True: zero


class SpanMasking(Module):
    """In training, spans of steps are replaced by one learned vector, and spans of features by zeros.   x, y (B, T, D)

        y[b, t] = e if time_mask[b, t] else x[b, t]                 e is `masked_spec_embed` (D,)
        y[b, t, d] = 0 if feature_mask[b, d]

    `time_probability` is about the share of steps that spans of `time_length` steps cover (see `span_mask`), at least
    `time_min_masks` spans an example; `feature_…` are the same for the width. In evaluation y = x, unless a time mask
    is given.
    """

    def __init__(
        self,
        width: int,
        time_probability: float = 0.05,
        time_length: int = 10,
        time_min_masks: int = 2,
        feature_probability: float = 0.0,
        feature_length: int = 10,
        feature_min_masks: int = 0,
        generator: np.random.Generator | None = None,
    ):
        self.masked_spec_embed = Parameter(np.zeros(width, dtype=np.float32))
        self.time = (time_probability, time_length, time_min_masks)
        self.feature = (feature_probability, feature_length, feature_min_masks)
        self.initialize_now(generator)

    def initialize(self, generator, std=None):
        uniform_(self.masked_spec_embed, generator, 0, 1)

    def forward(self, x, time_mask=None, attention_mask=None, generator=None):
        """time_mask (B, T) booleans: these steps, and in evaluation too; None: drawn in training, none in evaluation.

        attention_mask (B, T): 1 for steps, 0 for padding at the end, where no drawn span begins.
        """
        B, T, D = x.shape
        feature_mask = None
        if self.training:
            if time_mask is None:
                time_mask = self._draw(self.time, (B, T), generator, attention_mask)
            feature_mask = self._draw(self.feature, (B, D), generator)
        xp, y = array_module(x), x
        if time_mask is not None:
            if tuple(time_mask.shape) != (B, T):
                raise ValueError(f"the time mask has shape {tuple(time_mask.shape)}, expected {(B, T)}: one a step")
            time_mask = as_array_like(time_mask, x) != 0
            y = xp.where(time_mask[:, :, None], self.masked_spec_embed.data, y)
        if feature_mask is not None:
            feature_mask = as_array_like(feature_mask, x)
            y = xp.where(feature_mask[:, None, :], 0, y)
        return y, keep(SpanMaskingCache, time_mask, feature_mask)

    def backward(self, dy, cache):
        """dy (B, T, D) -> dx (B, T, D): zero wherever x was replaced.   de = Σ dy over the replaced steps"""
        xp, time_mask, feature_mask = array_module(dy), *cache
        dx = dy
        if feature_mask is not None:
            dx = xp.where(feature_mask[:, None, :], 0, dx)
        if time_mask is not None:
            hidden = time_mask[:, :, None]
            self.masked_spec_embed.accumulate(xp.where(hidden, dx, 0).sum(axis=(0, 1)))
            dx = xp.where(hidden, 0, dx)
        return dx

    def _draw(self, settings, shape, generator, attention_mask=None):
        probability, length, min_masks = settings
        if probability == 0:
            return None
        if generator is None:
            raise ValueError(
                "SpanMasking in training mode needs a generator: pass generator=numpy.random.default_rng(seed), "
                "or call .eval() to switch masking off"
            )
        return span_mask(shape, probability, length, generator, attention_mask, min_masks)

    def extra_repr(self):
        return f"{self.masked_spec_embed.shape[0]}, time={self.time}, feature={self.feature}"


def span_mask(shape, probability, length, generator, attention_mask=None, min_masks=0) -> np.ndarray:
    """Booleans (B, N), True inside spans of `length` places that begin anywhere at random.   shape = (B, N)

    An example of n places gets probability · n / length spans, rounded up or down at random so that the mean is right,
    and at least `min_masks`. Their beginnings are drawn without repetition; spans may overlap, so that `probability` is
    the most that they cover. `attention_mask` (B, N) tells each example's n: spans lie before its padding.

    As in the original, where other examples are masked, one with no span (too short for it) has its last place marked:
    that is padding.
    """
    B, N = shape
    if length < 1:
        raise ValueError(f"the length of masked spans is {length}: expected at least 1")
    if length > N:
        raise ValueError(f"masked spans are {length} long, but there are only {N} places: pass longer inputs")
    rounding = generator.random()

    def spans_in(n):
        spans = max(int(probability * n / length + rounding), min_masks)
        return max(min(spans, N // length, n - length + 1), 0)

    lengths = [N] * B if attention_mask is None else [int(n) for n in to_numpy(attention_mask).sum(axis=-1)]
    mask = np.zeros((B, N), dtype=bool)
    if spans_in(N) == 0:
        return mask
    for row, n in zip(mask, lengths):
        spans = spans_in(n)
        if spans == 0:
            row[-1] = True
            continue
        starts = generator.choice(n - length + 1, size=spans, replace=False)
        row[starts[:, None] + np.arange(length)] = True
    return mask
