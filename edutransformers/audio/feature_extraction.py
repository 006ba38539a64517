"""Rows of sound, each of its own length, to one batch: cutting, padding, and the mask that says what is sound.

    row                0.3 0.1 0.7           0.2 0.9
    padded             0.3 0.1 0.7 0.0 0.0   0.2 0.9 0.0 0.0 0.0
    attention_mask      1   1   1   0   0     1   1   0   0   0

A row is (T,) samples, or (T, F) with `feature_size` F > 1, such as a spectrogram.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..preprocessor import BatchFeature, Preprocessor
from ..tokenizers.strategies import PaddingStrategy


class SequenceFeatureExtractor(Preprocessor):
    """Base of feature extractors for sound: it pads.

    feature_size            numbers at each moment: 1 for samples, more for a spectrogram
    sampling_rate           moments a second (hertz) of the sound that the model takes
    padding_value           what short rows are filled up with
    padding_side            "right" or "left": where
    return_attention_mask   whether to return the mask, when a call doesn't say it
    """

    kind = "feature_extractor"

    def __init__(self, feature_size: int, sampling_rate: int, padding_value: float, **kwargs):
        self.feature_size = feature_size
        self.sampling_rate = sampling_rate
        self.padding_value = padding_value
        self.padding_side = kwargs.pop("padding_side", "right")
        self.return_attention_mask = kwargs.pop("return_attention_mask", True)
        super().__init__(**kwargs)

    def pad(
        self,
        processed_features,
        padding: bool | str | PaddingStrategy = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Make rows equally long.

        processed_features   a dictionary of rows by name, or a list of dictionaries of one row each. The model's main
                             input and the mask are cut and padded, other entries stay as they are
        padding              True or "longest", "max_length", False or "do_not_pad"
        max_length           how long, in moments, for "max_length" and for truncation
        truncation           cut longer rows to `max_length`
        pad_to_multiple_of   pad (and cut) to the next multiple of this number
        return_tensors       "np" or "cp"; None gives arrays where the rows make one, else lists of arrays

        Raises ValueError for rows and arguments that don't fit together.
        """
        data = self._as_columns(processed_features)
        strategy = self._strategy(padding, max_length)
        if return_attention_mask is None:
            return_attention_mask = self.return_attention_mask
        main = self.model_input_names[0]
        rows = [self._as_row(row, number) for number, row in enumerate(data[main])]
        masks = data.get("attention_mask")
        if masks is not None:
            masks = [np.asarray(mask, dtype=np.int32) for mask in masks]
        elif return_attention_mask:
            masks = [np.ones(len(row), dtype=np.int32) for row in rows]

        if truncation:
            longest = _length_to(max_length, pad_to_multiple_of)
            rows = [row[:longest] for row in rows]
            masks = masks and [mask[:longest] for mask in masks]
        if strategy is not PaddingStrategy.DO_NOT_PAD:
            if strategy is PaddingStrategy.LONGEST:
                max_length = max((len(row) for row in rows), default=0)
            target = _length_to(max_length, pad_to_multiple_of)
            rows = [self._pad_row(row, target, self.padding_value) for row in rows]
            masks = masks and [self._pad_row(mask, target, 0) for mask in masks]
        data[main] = rows
        if masks is not None:
            data["attention_mask"] = masks
        if return_tensors is None:
            return BatchFeature({key: _stacked(value) for key, value in data.items()})
        return BatchFeature(data, tensor_type=return_tensors)

    def _as_columns(self, features) -> dict:
        """{name: list of rows}, all with the same number of rows."""
        if isinstance(features, (list, tuple)) and features and isinstance(features[0], (Mapping, BatchFeature)):
            missing = [number for number, row in enumerate(features) if set(row) != set(features[0])]
            if missing:
                raise ValueError(
                    f"row {missing[0]} has {', '.join(features[missing[0]])}, but row 0 has {', '.join(features[0])}; "
                    "rows of one batch must have the same entries"
                )
            features = {key: [row[key] for row in features] for key in features[0]}
        main = self.model_input_names[0]
        if not isinstance(features, (Mapping, BatchFeature)) or main not in features:
            found = ", ".join(map(repr, features)) if isinstance(features, (Mapping, BatchFeature)) else None
            raise ValueError(
                f"padding needs a dictionary with {main!r}, or a list of such; got {found or type(features).__name__}"
            )
        for key, value in features.items():
            if len(value) != len(features[main]):
                raise ValueError(f"{key!r} has {len(value)} rows, but {main!r} has {len(features[main])}")
        return dict(features)

    def _as_row(self, row, number: int) -> np.ndarray:
        row = np.asarray(row)
        expected = 1 if self.feature_size == 1 else 2
        if row.ndim != expected or row.dtype.kind not in "fiu":
            shape = "(samples,)" if expected == 1 else f"(moments, {self.feature_size})"
            raise ValueError(
                f"row {number} of {self.model_input_names[0]!r} has the shape {row.shape} and the type {row.dtype}; "
                f"expected numbers of the shape {shape}"
            )
        return row.astype(np.float32, copy=False)

    def _strategy(self, padding, max_length: int | None) -> PaddingStrategy:
        try:
            strategy = PaddingStrategy("longest" if padding is True else padding or "do_not_pad")
        except ValueError:
            known = ", ".join(repr(member.value) for member in PaddingStrategy)
            raise ValueError(f"padding={padding!r} is not a strategy; use True, False or one of {known}") from None
        if strategy is PaddingStrategy.MAX_LENGTH and max_length is None:
            raise ValueError("padding='max_length' needs max_length")
        if strategy is not PaddingStrategy.DO_NOT_PAD and self.padding_value is None:
            raise ValueError(
                f"{type(self).__name__} has no padding_value, so it can't pad; set one, such as padding_value = 0.0"
            )
        return strategy

    def _pad_row(self, row: np.ndarray, target: int, value: float) -> np.ndarray:
        missing = target - len(row)
        if missing <= 0:
            return row
        if self.padding_side not in ("right", "left"):
            raise ValueError(f"padding_side is {self.padding_side!r}; expected 'right' or 'left'")
        width = (0, missing) if self.padding_side == "right" else (missing, 0)
        return np.pad(row, [width] + [(0, 0)] * (row.ndim - 1), constant_values=value)


def _length_to(max_length: int | None, multiple_of: int | None) -> int:
    """`max_length`, up to the next multiple."""
    if max_length is None:
        raise ValueError("truncation=True needs max_length")
    return -(-max_length // multiple_of) * multiple_of if multiple_of else max_length


def _stacked(rows):
    """Rows of arrays as one array, if they have one shape."""
    if len(rows) == 0 or not isinstance(rows[0], np.ndarray):
        return rows
    return np.stack(rows) if len({row.shape for row in rows}) == 1 else rows
