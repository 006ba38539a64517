"""The collator of permutation language modelling (XLNet)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .common import RandomCollator, check_probability, on_device, pad, rows_of_ids, special_tokens


@dataclass
class DataCollatorForPermutationLanguageModeling(RandomCollator):
    """Batches for XLNet (Yang et al. 2019, section 2.2): tokens are predicted in a random order, each from the ones
    before it in that order, wherever they stand in the text.

    Spans of 1 to `max_span_length` tokens are chosen, each within a stretch of span / `plm_probability` tokens, so that
    this share of a text is predicted. The batch holds, for B texts of T tokens:

        input_ids       (B, T)     the chosen tokens are the mask token
        perm_mask       (B, T, T)  1 where token i may not see token j: j is chosen, and not before i in the order
        target_mapping  (B, T, T)  the identity: prediction i is for token i
        labels          (B, T)     the chosen tokens, −100 elsewhere

    XLNet reads a text in two halves and reuses the first one's states for the second; so each half is permuted by
    itself, with one permutation for both, and T must be even: else `ValueError`.

    seed or generator   where the draws come from; without either, the generator that `set_seed` sets
    """

    tokenizer: object
    plm_probability: float = 1 / 6
    max_span_length: int = 5
    return_tensors: str = "np"
    seed: int | None = None
    generator: np.random.Generator | None = field(default=None, repr=False)

    def __post_init__(self):
        if getattr(self.tokenizer, "mask_token_id", None) is None:
            raise ValueError("permutation language modelling needs a tokenizer with a mask token")
        check_probability("plm_probability", self.plm_probability, low_open=True)
        if self.max_span_length < 1:
            raise ValueError(f"max_span_length is {self.max_span_length}: expected a whole number from 1 up")
        self.set_generator()

    def collate(self, features: list, generator: np.random.Generator) -> dict:
        rows = [{"input_ids": feature["input_ids"]} for feature in rows_of_ids(features)]
        ids = pad(self.tokenizer, rows, True, None, None)["input_ids"]
        batch, length = ids.shape
        if length % 2:
            raise ValueError(
                f"a batch of texts of {length} tokens: expected an even number, because XLNet reads a text in two "
                "halves; tokenize with padding='max_length' and an even max_length"
            )
        special = special_tokens(self.tokenizer, ids)
        if self.tokenizer.pad_token_id is not None:
            special |= ids == self.tokenizer.pad_token_id
        chosen = np.stack([self._spans(length, generator) for _ in range(batch)]) & ~special
        perm_mask = np.stack([_perm_mask(row, none, generator) for row, none in zip(chosen, special)])
        arrays = {
            "input_ids": np.where(chosen, self.tokenizer.mask_token_id, ids).astype(ids.dtype),
            "perm_mask": perm_mask.astype(np.float32),
            "target_mapping": np.broadcast_to(np.eye(length, dtype=np.float32), (batch, length, length)).copy(),
            "labels": np.where(chosen, ids, -100),
        }
        return on_device(arrays, self.return_tensors)

    def _spans(self, length: int, generator: np.random.Generator) -> np.ndarray:
        """(T,) booleans: in each stretch of `span / plm_probability` tokens one span, somewhere."""
        chosen, start = np.zeros(length, dtype=bool), 0
        while start < length:
            span = int(generator.integers(1, self.max_span_length + 1))
            stretch = int(span / self.plm_probability)
            first = start + int(generator.integers(0, stretch - span + 1))
            chosen[first : first + span] = True
            start += stretch
        return chosen


def _perm_mask(chosen: np.ndarray, special: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(T, T) booleans, True where i may not see j. All may see what is not chosen; chosen tokens are seen by those that
    come later in the order. What is not chosen and not special comes first of all, so it sees no chosen token."""
    half = len(chosen) // 2
    order = generator.permutation(half)
    place = np.concatenate([order, order + half])
    place = np.where(~chosen & ~special, -1, place)
    return (place[:, None] <= place[None, :]) & chosen[None, :]
