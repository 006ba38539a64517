"""Collators whose labels are padded too: a label for each token, a choice among texts, a text as the label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...tokenizers.padding import padded_length
from .common import LABEL_NAMES, as_dictionaries, label_array, on_device, pad


@dataclass
class DataCollatorForTokenClassification:
    """Pad texts and their labels, one a token, to the longest text of the batch.

    label_pad_token_id  stands where there is no token; the loss doesn't count −100

    Padding stands on the tokenizer's `padding_side`, for labels as for ids. "label" is another name for "labels".
    `tokenizer`, `padding`, `max_length`, `pad_to_multiple_of`, `return_tensors`: as in `DataCollatorWithPadding`.
    """

    tokenizer: object
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    label_pad_token_id: int = -100
    return_tensors: str = "np"

    def __call__(self, features: list) -> dict:
        features, labels = take_labels(as_dictionaries(features))
        batch = pad(self.tokenizer, features, self.padding, self.max_length, self.pad_to_multiple_of)
        if labels is not None:
            for number, (feature, row) in enumerate(zip(features, labels)):
                if len(row) != len(feature["input_ids"]):
                    raise ValueError(
                        f"item {number} has {len(row)} labels for {len(feature['input_ids'])} tokens: expected one for "
                        f"each, and {self.label_pad_token_id} for tokens that are not counted"
                    )
            side = getattr(self.tokenizer, "padding_side", "right")
            batch["labels"] = pad_labels(labels, batch["input_ids"].shape[1], self.label_pad_token_id, side)
        return on_device(batch, self.return_tensors)


@dataclass
class DataCollatorForMultipleChoice:
    """Items of C texts each, and the number of the right one: (B, C, T) arrays, all texts padded to one length.

    An item is {"input_ids": [[…], […]], "attention_mask": [[…], […]], "label": 1}, as a tokenizer gives for a list of
    texts. `tokenizer` and the other fields: as in `DataCollatorWithPadding`.
    """

    tokenizer: object
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "np"

    def __call__(self, features: list) -> dict:
        features, labels = take_labels(as_dictionaries(features))
        counts = sorted({len(feature["input_ids"]) for feature in features})
        if len(counts) > 1:
            raise ValueError(f"items of a batch have {counts[0]} and {counts[-1]} choices: expected the same number")
        choices = counts[0]
        texts = [{name: feature[name][n] for name in feature} for feature in features for n in range(choices)]
        flat = pad(self.tokenizer, texts, self.padding, self.max_length, self.pad_to_multiple_of)
        batch = {name: x.reshape(len(features), choices, *x.shape[1:]) for name, x in flat.items()}
        if labels is not None:
            batch["labels"] = label_array(labels)
        return on_device(batch, self.return_tensors)


@dataclass
class DataCollatorForSeq2Seq:
    """Pad the texts of a batch and, on their own, the texts that are their labels.

    model               if it has `prepare_decoder_input_ids_from_labels`, the batch gets `decoder_input_ids` from it:
                        the labels moved one to the right. Needed when the model itself doesn't see the labels, for
                        example with label smoothing
    padding             True or "longest"; "max_length": texts and labels to `max_length`; False: all of one length
    label_pad_token_id  stands where a label text has ended; the loss doesn't count −100

    `tokenizer`, `max_length`, `pad_to_multiple_of`, `return_tensors`: as in `DataCollatorWithPadding`.
    """

    tokenizer: object
    model: object = None
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    label_pad_token_id: int = -100
    return_tensors: str = "np"

    def __call__(self, features: list) -> dict:
        features, labels = take_labels(as_dictionaries(features))
        batch = pad(self.tokenizer, features, self.padding, self.max_length, self.pad_to_multiple_of)
        if labels is not None:
            lengths = [len(row) for row in labels]
            strategy = getattr(self.padding, "value", self.padding)
            if strategy in (False, "do_not_pad"):
                length = max(lengths)
                if min(lengths) < length:
                    raise ValueError(f"labels of {min(lengths)} and of {length} tokens make no array: use padding=True")
            else:
                fixed = self.max_length if strategy == "max_length" else None
                length = padded_length(lengths, fixed, self.pad_to_multiple_of)
                if max(lengths) > length:
                    raise ValueError(f"a label of {max(lengths)} tokens is longer than max_length={self.max_length}")
            side = getattr(self.tokenizer, "padding_side", "right")
            batch["labels"] = pad_labels(labels, length, self.label_pad_token_id, side)
            if hasattr(self.model, "prepare_decoder_input_ids_from_labels"):
                batch["decoder_input_ids"] = self.model.prepare_decoder_input_ids_from_labels(labels=batch["labels"])
        return on_device(batch, self.return_tensors)


def take_labels(features: list[Mapping]) -> tuple[list[dict], list | None]:
    """(items without labels, their labels); None if there are none."""
    name = next((name for name in LABEL_NAMES if features[0].get(name) is not None), None)
    inputs = [{key: value for key, value in feature.items() if key not in LABEL_NAMES} for feature in features]
    without = next((n for n, feature in enumerate(features) if name is not None and feature.get(name) is None), None)
    if without is not None:
        raise ValueError(f"item {without} has no {name!r}, but the batch's first item has")
    return inputs, None if name is None else [feature[name] for feature in features]


def pad_labels(labels: list, length: int, fill: int, side: str) -> np.ndarray:
    """Rows of labels -> (B, length) int64, with `fill` after them (or before them: side "left")."""
    padded = np.full((len(labels), length), fill, dtype=np.int64)
    for row, values in zip(padded, labels):
        if side == "right":
            row[: len(values)] = values
        else:
            row[length - len(values) :] = values
    return padded
