"""Putting the inputs of several texts into one batch, and taking its results apart again."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np

from ..module import ModelOutput


def join(rows: list[dict], tokenizer=None, side: str | None = None) -> dict:
    """Dictionaries of arrays (1, T, …) -> one of arrays (B, longest T, …); what is no array becomes a list of B.

    Shorter rows are filled up with what marks a place as "nothing here": on this side, or on the tokenizer's.
    """
    side = getattr(tokenizer, "padding_side", "right") if side is None else side
    return {key: _join_values([row[key] for row in rows], key, tokenizer, side) for key in rows[0]}


def _join_values(values: list, key: str, tokenizer, side: str):
    if not isinstance(values[0], np.ndarray) or values[0].ndim == 0:
        return values
    if len({value.shape[1:] for value in values}) == 1:
        return np.concatenate(values)
    if len({value.shape[2:] for value in values}) > 1:
        sizes = ", ".join(" × ".join(map(str, value.shape[2:])) for value in values[:4])
        raise ValueError(f"{key} of different sizes ({sizes}) make no batch; use batch_size=1, or one size for all")
    longest = max(value.shape[1] for value in values)
    fill = _fill(key, tokenizer)
    return np.concatenate([_pad(value, longest, fill, side) for value in values])


def _fill(key: str, tokenizer):
    if key == "input_ids":
        if getattr(tokenizer, "pad_token_id", None) is None:
            raise ValueError(
                "texts of different lengths need padding to become one batch, and this tokenizer has no padding token; "
                "set one (tokenizer.pad_token = tokenizer.eos_token) or use batch_size=1"
            )
        return tokenizer.pad_token_id
    if key == "token_type_ids":
        return getattr(tokenizer, "pad_token_type_id", 0)
    return 1 if key in ("special_tokens_mask", "p_mask") else 0


def _pad(value: np.ndarray, length: int, fill, side: str) -> np.ndarray:
    missing = length - value.shape[1]
    width = (0, missing) if side == "right" else (missing, 0)
    return np.pad(value, [(0, 0), width] + [(0, 0)] * (value.ndim - 2), constant_values=fill)


def split(batch, size: int) -> list:
    """The results of a batch -> one of the same kind for each of its `size` rows, arrays of the shape (1, …)."""
    return [row_of(batch, index) for index in range(size)]


def row_of(value, index: int):
    if isinstance(value, ModelOutput):
        return map_output(value, lambda inner: row_of(inner, index))
    if isinstance(value, dict):
        return {key: row_of(inner, index) for key, inner in value.items()}
    if isinstance(value, tuple):  # hidden states, attentions: an array for each layer
        return tuple(row_of(inner, index) for inner in value)
    if isinstance(value, np.ndarray) and value.ndim:
        return value[index : index + 1]
    return value[index] if isinstance(value, list) else value


def map_output(output: ModelOutput, change) -> ModelOutput:
    """The same kind of output, with `change` applied to each value that it has."""
    if not is_dataclass(output):
        raise TypeError(f"a model's output must be a dataclass, {type(output).__name__} is not")
    values = {field.name: getattr(output, field.name) for field in fields(output)}
    return type(output)(**{name: None if value is None else change(value) for name, value in values.items()})
