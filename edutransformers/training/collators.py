"""Collators: a list of items becomes one batch of arrays.

An item is a dictionary of one text's (or picture's) inputs: {"input_ids": [...], "label": 1}. A batch is a dictionary
of arrays: {"input_ids": (B, T), "labels": (B,)}, as `model.forward(**batch)` takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..backend import default_generator, module_for


def default_data_collator(features: list, return_tensors: str = "np") -> dict:
    """Stack every entry of the items into an array; "label" or "label_ids" become "labels". Nothing is padded.

    Entries that are None or strings in the first item are left out. Whole labels become int64, others float32.
    """
    xp = array_module_for(return_tensors)
    features = as_dictionaries(features)
    batch = {}
    for name, first in features[0].items():
        if name in ("label", "label_ids"):
            if first is not None and "labels" not in batch:
                batch["labels"] = label_array([feature[name] for feature in features])
        elif first is not None and not isinstance(first, str):
            batch[name] = _stack(name, features)
    return {name: xp.asarray(array) for name, array in batch.items()}


@dataclass
class DataCollatorWithPadding:
    """Pad the texts of a batch to the longest of them (not of the whole data set), and stack the rest.

    tokenizer           its `pad` knows what to pad with, and on which side
    padding             True or "longest"; "max_length" (to `max_length`); False for texts of one length
    pad_to_multiple_of  round the length up to a multiple of this
    return_tensors      "np", or "cp" for arrays on the GPU

    "label" or "label_ids" become "labels". Strings, and what the tokenizer doesn't know how to pad, are no good here:
    keep only what the model takes (the Trainer does so by itself).
    """

    tokenizer: object
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "np"

    def __call__(self, features: list) -> dict:
        features = as_dictionaries(features)
        labels_name = next((name for name in ("label", "label_ids") if features[0].get(name) is not None), None)
        inputs = [{k: v for k, v in f.items() if k not in ("label", "label_ids")} for f in features]
        batch = pad(self.tokenizer, inputs, self.padding, self.max_length, self.pad_to_multiple_of)
        if labels_name is not None:
            batch["labels"] = label_array([feature[labels_name] for feature in features])
        xp = array_module_for(self.return_tensors)
        return {name: xp.asarray(array) for name, array in batch.items()}


@dataclass
class DataCollatorForLanguageModeling:
    """Batches for learning a language from plain text: labels are made from the texts themselves.

    mlm=True (BERT, Devlin et al. 2018, section 3.1): each token that is not special is chosen with `mlm_probability`.
    Of the chosen 80% become [MASK], 10% a random token, 10% stay as they are, so that the model can't rely on the mask
    to tell it where to predict. `labels` hold the chosen tokens and −100 (not counted) elsewhere.

    mlm=False (GPT): `labels` are the input ids, −100 on padding; the model itself shifts them by one.

    seed or generator   where the draws come from; without either, the generator that `set_seed` sets
    """

    tokenizer: object
    mlm: bool = True
    mlm_probability: float = 0.15
    pad_to_multiple_of: int | None = None
    return_tensors: str = "np"
    seed: int | None = None
    generator: np.random.Generator | None = field(default=None, repr=False)

    def __post_init__(self):
        if self.mlm and getattr(self.tokenizer, "mask_token_id", None) is None:
            raise ValueError("masked language modelling needs a tokenizer with a mask token; for others use mlm=False")
        if not 0 < self.mlm_probability < 1:
            raise ValueError(f"mlm_probability is {self.mlm_probability}: expected a number between 0 and 1")
        if self.generator is None:
            self.generator = default_generator() if self.seed is None else np.random.default_rng(self.seed)

    def __call__(self, features: list) -> dict:
        if not isinstance(features[0], Mapping):
            features = [{"input_ids": ids} for ids in features]
        batch = pad(self.tokenizer, features, True, None, self.pad_to_multiple_of)
        special = batch.pop("special_tokens_mask", None)
        if self.mlm:
            special = self._special_tokens(batch["input_ids"]) if special is None else special.astype(bool)
            batch["input_ids"], batch["labels"] = self.mask_tokens(batch["input_ids"], special)
        else:
            is_padding = batch["input_ids"] == self._padding_id()
            batch["labels"] = np.where(is_padding, -100, batch["input_ids"])
        xp = array_module_for(self.return_tensors)
        return {name: xp.asarray(array) for name, array in batch.items()}

    def mask_tokens(self, ids: np.ndarray, special: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, T) ids and booleans (True: leave alone) -> (ids with some hidden, labels)"""
        chosen = (self.generator.random(ids.shape) < self.mlm_probability) & ~special
        labels = np.where(chosen, ids, -100)
        what = self.generator.random(ids.shape)  # below 0.8: mask; 0.8 to 0.9: random token; above: as it is
        random_ids = self.generator.integers(0, len(self.tokenizer), ids.shape, dtype=ids.dtype)
        hidden = np.where(chosen & (what < 0.8), self.tokenizer.mask_token_id, ids)
        hidden = np.where(chosen & (what >= 0.8) & (what < 0.9), random_ids, hidden)
        return hidden.astype(ids.dtype), labels

    def _special_tokens(self, ids):
        return np.isin(ids, np.asarray(self.tokenizer.all_special_ids))

    def _padding_id(self):
        found = self.tokenizer.pad_token_id
        return -1 if found is None else found


# ---------------------------------------------------------------------------------------------------------------------
# What the collators share
# ---------------------------------------------------------------------------------------------------------------------


def pad(tokenizer, features: list, padding, max_length, pad_to_multiple_of) -> dict[str, np.ndarray]:
    """The tokenizer's `pad`, on the host, as a plain dictionary of arrays."""
    padded = tokenizer.pad(
        features,
        padding=padding,
        max_length=max_length,
        pad_to_multiple_of=pad_to_multiple_of,
        return_tensors="np",
    )
    return dict(padded.items())


def as_dictionaries(features: list) -> list[Mapping]:
    """Items as mappings (of a BatchEncoding, a dictionary, or an object with attributes)."""
    if not features:
        raise ValueError("a collator got no items: is the batch empty?")
    if isinstance(features[0], Mapping) or hasattr(features[0], "keys"):
        return features
    if hasattr(features[0], "__dict__"):
        return [vars(feature) for feature in features]
    raise TypeError(f"items must be dictionaries such as {{'input_ids': …}}, got {type(features[0]).__name__}")


def label_array(labels: list) -> np.ndarray:
    """Labels of a batch: int64 if they are whole numbers, else float32 (regression, several labels at once)."""
    try:
        array = np.asarray(labels)
    except ValueError:
        array = np.asarray(labels, dtype=object)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"labels {labels[:3]}… make no array of numbers: class names must be numbered, lists be of one length"
        )
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


def _stack(name: str, features: list) -> np.ndarray:
    try:
        array = np.stack([np.asarray(feature[name]) for feature in features])
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"the items' {name!r} make no array ({error}): texts of different lengths need "
            "DataCollatorWithPadding(tokenizer)"
        ) from error
    return (
        array.astype(np.float32)
        if array.dtype == np.float64 and isinstance(features[0][name], (float, list))
        else array
    )


def array_module_for(return_tensors: str):
    if return_tensors not in ("np", "cp"):
        raise ValueError(f"return_tensors is {return_tensors!r}: expected 'np' (NumPy) or 'cp' (CuPy, on the GPU)")
    return module_for(return_tensors)
