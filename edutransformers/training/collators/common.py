"""What the collators share: padding, labels, where arrays are made, and where random numbers come from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...backend import default_generator, module_for

LABEL_NAMES = ("label", "labels", "label_ids")


class RandomCollator:
    """A collator that draws. `collate(features, generator)` says where from; `collator(features)` takes its own.

    A DataLoader gives each batch a generator of its own: seeded once an epoch from `self.generator`, and by the batch's
    number. So a batch is the same whichever worker makes it, and whether or not the ones before it were made.
    """

    seed: int | None
    generator: np.random.Generator | None

    def __call__(self, features: list) -> dict:
        return self.collate(features, self.generator)

    def collate(self, features: list, generator: np.random.Generator) -> dict:
        raise NotImplementedError(f"{type(self).__name__} has no collate(features, generator)")

    def set_generator(self) -> None:
        """The generator that was given; else one of the seed; else the one that `set_seed` sets."""
        if self.generator is None:
            self.generator = default_generator() if self.seed is None else np.random.default_rng(self.seed)


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


def stack(name: str, features: list) -> np.ndarray:
    try:
        array = np.stack([np.asarray(feature[name]) for feature in features])
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"the items' {name!r} make no array ({error}): what differs in length has to be padded, texts by "
            "DataCollatorWithPadding(tokenizer), sounds by a collator that calls the feature extractor"
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


def on_device(batch: Mapping, return_tensors: str) -> dict:
    """The batch's arrays where `return_tensors` wants them."""
    xp = array_module_for(return_tensors)
    return {name: xp.asarray(array) for name, array in batch.items()}


def rows_of_ids(features: list) -> list[Mapping]:
    """Items as dictionaries; a plain list of ids is one too."""
    if not features:
        raise ValueError("a collator got no items: is the batch empty?")
    return [item if isinstance(item, Mapping) or hasattr(item, "keys") else {"input_ids": item} for item in features]


def special_tokens(tokenizer, ids: np.ndarray) -> np.ndarray:
    """Booleans of the shape of `ids`: True where a token stands for no text."""
    return np.isin(ids, np.asarray(tokenizer.all_special_ids))


def check_probability(name: str, value: float, low_open: bool = False) -> None:
    if not (value > 0 if low_open else value >= 0) or not value <= 1:
        raise ValueError(f"{name} is {value}: expected a number {'above' if low_open else 'from'} 0 up to 1")
