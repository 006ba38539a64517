"""Collators for learning a language from plain text: labels are made from the texts themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .common import RandomCollator, check_probability, on_device, pad, rows_of_ids, special_tokens


@dataclass
class DataCollatorForLanguageModeling(RandomCollator):
    """Batches whose labels are the texts' own tokens.

    mlm=True (BERT, Devlin et al. 2018, section 3.1): each token that is not special is chosen with `mlm_probability`.
    Of the chosen 80% become [MASK], 10% a random token, 10% stay as they are, so that the model can't rely on the mask
    to tell it where to predict. `labels` hold the chosen tokens and −100 (not counted) elsewhere.

    mlm=False (GPT): `labels` are the input ids, −100 on padding; the model itself shifts them by one.

    whole_word_mask      choose words instead of tokens, so that no part of a word gives the rest away. Words are found
                         by `offset_mapping` if the items have it (pieces that touch belong together), else by "##"
    mask_replace_prob    share of the chosen that become [MASK]
    random_replace_prob  share of the chosen that become a random token; what is left stays as it is
    seed or generator    where the draws come from; without either, the generator that `set_seed` sets
    """

    tokenizer: object
    mlm: bool = True
    mlm_probability: float = 0.15
    pad_to_multiple_of: int | None = None
    return_tensors: str = "np"
    seed: int | None = None
    generator: np.random.Generator | None = field(default=None, repr=False)
    whole_word_mask: bool = False
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1

    def __post_init__(self):
        if self.mlm and getattr(self.tokenizer, "mask_token_id", None) is None:
            raise ValueError("masked language modelling needs a tokenizer with a mask token; for others use mlm=False")
        if self.whole_word_mask and not self.mlm:
            raise ValueError("whole_word_mask=True hides words, but mlm=False hides nothing: use mlm=True")
        check_probability("mlm_probability", self.mlm_probability, low_open=True)
        check_probability("mask_replace_prob", self.mask_replace_prob)
        check_probability("random_replace_prob", self.random_replace_prob)
        if self.mask_replace_prob + self.random_replace_prob > 1 + 1e-9:
            raise ValueError(
                f"mask_replace_prob={self.mask_replace_prob} and random_replace_prob={self.random_replace_prob} are "
                "more than 1 together: expected shares of the chosen tokens"
            )
        self.set_generator()

    def collate(self, features: list, generator: np.random.Generator) -> dict:
        features = rows_of_ids(features)
        words = [self._words(feature) for feature in features] if self.mlm and self._chooses_words else None
        inputs = [{name: x for name, x in f.items() if name not in ("offset_mapping", "chinese_ref")} for f in features]
        batch = pad(self.tokenizer, inputs, True, None, self.pad_to_multiple_of)
        special = batch.pop("special_tokens_mask", None)
        ids = batch["input_ids"]
        if not self.mlm:
            batch["labels"] = np.where(ids == self._padding_id(), -100, ids)
            return on_device(batch, self.return_tensors)
        special = special_tokens(self.tokenizer, ids) if special is None else special.astype(bool)
        if words is None:
            chosen = (generator.random(ids.shape) < self.mlm_probability) & ~special
        else:
            chosen = self._choose_words(self._pad_words(words, ids.shape), special, generator)
        batch["input_ids"], batch["labels"] = self.mask_tokens(ids, chosen, generator)
        return on_device(batch, self.return_tensors)

    def mask_tokens(self, ids: np.ndarray, chosen: np.ndarray, generator) -> tuple[np.ndarray, np.ndarray]:
        """(B, T) ids and booleans (True: to be predicted) -> (ids with those hidden, labels)"""
        labels = np.where(chosen, ids, -100)
        what = generator.random(ids.shape)
        random_ids = generator.integers(0, len(self.tokenizer), ids.shape, dtype=ids.dtype)
        becomes_mask = chosen & (what < self.mask_replace_prob)
        becomes_random = chosen & ~becomes_mask & (what < self.mask_replace_prob + self.random_replace_prob)
        hidden = np.where(becomes_mask, self.tokenizer.mask_token_id, np.where(becomes_random, random_ids, ids))
        return hidden.astype(ids.dtype), labels

    # -- words --------------------------------------------------------------------------------------------------------

    @property
    def _chooses_words(self) -> bool:
        return self.whole_word_mask

    def _words(self, feature) -> np.ndarray:
        """(T,) the number of the word that each token belongs to"""
        offsets = feature.get("offset_mapping")
        if offsets is not None:
            offsets = np.asarray(offsets)
            # Special tokens have the empty span (0, 0): what follows one begins a word.
            empty = offsets[:, 0] == offsets[:, 1]
            touches = (offsets[1:, 0] == offsets[:-1, 1]) & ~empty[1:] & ~empty[:-1]
            return np.concatenate([[0], np.cumsum(~touches)])
        return word_numbers(self.tokenizer, feature["input_ids"], feature.get("chinese_ref"))

    def _pad_words(self, words: list[np.ndarray], shape) -> np.ndarray:
        """(B, T) numbers of words, −1 on padding"""
        padded = np.full(shape, -1)
        for row, numbers in zip(padded, words):
            place = slice(0, len(numbers)) if self._pads_right() else slice(shape[1] - len(numbers), None)
            row[place] = numbers
        return padded

    def _choose_words(self, words: np.ndarray, special: np.ndarray, generator) -> np.ndarray:
        """Each word with `mlm_probability`; its tokens share one draw."""
        draws = generator.random(words.shape)
        return (
            (np.take_along_axis(draws, np.maximum(words, 0), axis=1) < self.mlm_probability) & ~special & (words >= 0)
        )

    def _pads_right(self) -> bool:
        return getattr(self.tokenizer, "padding_side", "right") == "right"

    def _padding_id(self):
        found = self.tokenizer.pad_token_id
        return -1 if found is None else found


@dataclass
class DataCollatorForWholeWordMask(DataCollatorForLanguageModeling):
    """Masked language modelling that hides whole words, as BERT's later checkpoints were trained.

    From each text, words are taken in random order until `mlm_probability` of its tokens are chosen (at least one, at
    most 512; a word that would be too long is passed over). `whole_word_mask=True` of
    `DataCollatorForLanguageModeling`, in contrast, leaves the number to chance.

    Pieces of a word begin with "##". For Chinese, where each sign is a token, an item's "chinese_ref" lists the
    positions that go on with the word before them.
    """

    most_predictions = 512

    def __post_init__(self):
        if not self.mlm:
            raise ValueError("DataCollatorForWholeWordMask hides words: mlm=False is not for it")
        super().__post_init__()

    @property
    def _chooses_words(self) -> bool:
        return True

    def _choose_words(self, words: np.ndarray, special: np.ndarray, generator) -> np.ndarray:
        """As many words as fit into each text's number of predictions, in random order."""
        chosen = np.zeros(words.shape, dtype=bool)
        for row, numbers, is_special in zip(chosen, words, special):
            length = int((numbers >= 0).sum())
            left = min(self.most_predictions, max(1, round(length * self.mlm_probability)))
            candidates = np.unique(numbers[(numbers >= 0) & ~is_special])
            for word in generator.permutation(candidates):
                places = (numbers == word) & ~is_special
                if places.sum() <= left:
                    row |= places
                    left -= int(places.sum())
                if left == 0:
                    break
        return chosen


def word_numbers(tokenizer, ids, goes_on=None) -> np.ndarray:
    """(T,) numbers of words: a token whose text begins with "##", or whose position is in `goes_on`, belongs to the
    word before it."""
    tokens = tokenizer.convert_ids_to_tokens([int(i) for i in ids])
    begins = np.array([not token.startswith("##") for token in tokens], dtype=bool)
    if goes_on is not None:
        begins[np.asarray(goes_on, dtype=int)] = False
    begins |= special_tokens(tokenizer, np.asarray(ids))  # a piece behind one belongs to no word before it
    return np.cumsum(begins) - begins[:1].sum()
