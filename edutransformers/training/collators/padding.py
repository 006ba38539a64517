"""Collators for one label a text: stack what is of one shape, pad what isn't."""

from __future__ import annotations

from dataclasses import dataclass

from .common import array_module_for, as_dictionaries, label_array, on_device, pad, stack


def default_data_collator(features: list, return_tensors: str = "np") -> dict:
    """Stack every entry of the items into an array; "label" or "label_ids" become "labels". Nothing is padded.

    Entries that are None or strings in the first item are left out. Whole labels become int64, others float32.
    """
    array_module_for(return_tensors)  # before the work: is it a known one?
    features = as_dictionaries(features)
    batch = {}
    for name, first in features[0].items():
        if name in ("label", "label_ids"):
            if first is not None and "labels" not in batch:
                batch["labels"] = label_array([feature[name] for feature in features])
        elif first is not None and not isinstance(first, str):
            batch[name] = stack(name, features)
    return on_device(batch, return_tensors)


@dataclass
class DefaultDataCollator:
    """`default_data_collator` as an object that remembers `return_tensors`."""

    return_tensors: str = "np"

    def __call__(self, features: list) -> dict:
        return default_data_collator(features, self.return_tensors)


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
        return on_device(batch, self.return_tensors)
