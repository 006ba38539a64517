"""The embedding layer: a table of learned vectors."""

import numpy as np

from ..backend import as_array_like
from ..functional.embedding import embedding
from ..module import Module, Parameter, keep, normal_

WRONG_TOKEN = "the vocabulary has {rows} entries; was the text tokenized with another model's tokenizer?"
WRONG_POSITION = "the table has {rows} positions, counted from 0; is the text longer than the model?"


class Embedding(Module):
    """y = W[ids].   ids (…) whole numbers from 0 to V−1 -> y (…, D)

    `weight` is (V, D). The row `padding_idx`, if given, starts at zero and gets no gradient, so it stays there.
    """

    wrong_id = WRONG_TOKEN

    def __init__(self, rows: int, width: int, padding_idx: int | None = None, generator=None):
        self.weight = Parameter(np.zeros((rows, width), dtype=np.float32))
        self.padding_idx = padding_idx
        self.initialize_now(generator)

    def initialize(self, generator, std=0.02):
        normal_(self.weight, generator, std)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, ids):
        check_ids(ids, self.weight.shape[0], "ids", self.wrong_id)
        ids = as_array_like(ids, self.weight.data)
        return embedding(ids, self.weight.data), keep(ids)

    def backward(self, dy, cache):
        """Adds to the rows that were looked up. Ids have no gradient, so nothing is returned."""
        (ids,) = cache
        ids, rows = ids.reshape(-1), dy.reshape(-1, dy.shape[-1])
        if self.padding_idx is not None:
            rows = rows * (ids != self.padding_idx)[:, None]
        self.weight.accumulate_rows(ids, rows)

    def extra_repr(self):
        rows, width = self.weight.shape
        return f"{rows} rows of {width}" + ("" if self.padding_idx is None else f", padding_idx={self.padding_idx}")


def check_ids(ids, rows: int, name: str, wrong_id: str = WRONG_TOKEN) -> None:
    """Refuse ids that are no whole numbers or have no row in the table, before they silently read something else.

    Checked only in host memory: a GPU wraps wrong ids around, and looking at them there would make every step wait.
    """
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{name} must be whole numbers, got an array of {ids.dtype}; use {name}.astype('int64')")
    if isinstance(ids, np.ndarray) and ids.size:
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= rows:
            wrong = low if low < 0 else high
            raise ValueError(f"{name} holds {wrong}, but {wrong_id.format(rows=rows)}")
