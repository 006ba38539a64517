"""When a text is finished: at its end token, at a length, after a time, or where your own rule says so."""

from __future__ import annotations

import time

import numpy as np

from ..backend import Array, to_numpy
from .logits_process import token_list


class StoppingCriteria:
    """A rule: `criterion(input_ids (B, T), scores)` -> True or False for all texts, or booleans (B,)."""

    def __call__(self, input_ids: Array, scores, **kwargs) -> bool | Array:
        raise NotImplementedError(f"{type(self).__name__} has no __call__(input_ids, scores)")


class MaxLengthCriteria(StoppingCriteria):
    """Stop at `max_length` tokens, prompt included."""

    def __init__(self, max_length: int):
        self.max_length = max_length

    def __call__(self, input_ids, scores, **kwargs):
        return input_ids.shape[-1] >= self.max_length


class MaxTimeCriteria(StoppingCriteria):
    """Stop when `max_time` seconds have passed since `initial_timestamp` (now)."""

    def __init__(self, max_time: float, initial_timestamp: float | None = None):
        self.max_time = max_time
        self.initial_timestamp = time.time() if initial_timestamp is None else initial_timestamp

    def __call__(self, input_ids, scores, **kwargs):
        return time.time() - self.initial_timestamp > self.max_time


class EosTokenCriteria(StoppingCriteria):
    """A text stops behind an end token."""

    def __init__(self, eos_token_id: int | list[int]):
        self.eos_token_id = np.array(token_list(eos_token_id, "eos_token_id"))

    def __call__(self, input_ids, scores, **kwargs):
        return (to_numpy(input_ids[:, -1:]) == self.eos_token_id).any(axis=1)


class StoppingCriteriaList(list):
    """Rules of which any may stop a text: booleans (B,), on the host."""

    def __call__(self, input_ids, scores, **kwargs) -> np.ndarray:
        stopped = np.zeros(len(input_ids), dtype=bool)
        for criterion in self:
            said = criterion(input_ids, scores, **kwargs)
            stopped |= np.asarray(said if isinstance(said, bool) else to_numpy(said), dtype=bool)
        return stopped

    @property
    def max_length(self) -> int | None:
        lengths = [criterion.max_length for criterion in self if isinstance(criterion, MaxLengthCriteria)]
        return min(lengths, default=None)
