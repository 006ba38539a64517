"""Padding: making rows equally long with a token that the attention mask hides."""

from collections.abc import Callable
from typing import NamedTuple

from edutransformers.tokenizers.encoding import Encoding, Piece


class Padding(NamedTuple):
    """`length=None` pads to the longest row; then up to a multiple of `multiple_of`, if given."""

    length: int | None = None
    multiple_of: int | None = None
    side: str = "right"
    pad_id: int = 0
    pad_type_id: int = 0
    pad_token: str = "[PAD]"

    def to_json(self) -> dict:
        return {
            "strategy": "BatchLongest" if self.length is None else {"Fixed": self.length},
            "direction": self.side.capitalize(),
            "pad_to_multiple_of": self.multiple_of,
            "pad_id": self.pad_id,
            "pad_type_id": self.pad_type_id,
            "pad_token": self.pad_token,
        }


def padded_length(lengths: list[int], length: int | None, multiple_of: int | None) -> int:
    """The length that rows of the given `lengths` are padded to; rows that are longer stay as they are."""
    target = max(lengths, default=0) if length is None else length
    if multiple_of:
        target = -(-target // multiple_of) * multiple_of
    return target


def pad_encoding(encoding: Encoding, target: int, padding: Padding, id_to_token: Callable[[int], str]) -> Encoding:
    missing = target - len(encoding)
    if missing <= 0:
        return encoding
    piece = Piece([padding.pad_id] * missing, padding.pad_type_id, is_padding=True)
    pieces = [*encoding.pieces, piece] if padding.side == "right" else [piece, *encoding.pieces]
    return Encoding(pieces, id_to_token, encoding.trim)


def pad_rows(
    encoded_inputs, padding: Padding | None, return_attention_mask: bool, main_input: str
) -> tuple[dict[str, list], bool]:
    """Pad rows given as dictionaries; returns (rows, whether they came as arrays). `padding=None` only adds the mask.

    `encoded_inputs` is a dictionary of rows, of one row, or a list of dictionaries of one row each. Besides
    `main_input` the attention mask, token types and special-tokens mask are padded; other keys stay as they are.
    """
    if isinstance(encoded_inputs, (list, tuple)):
        if not encoded_inputs:
            raise ValueError("There is nothing to pad: the list of rows is empty.")
        encoded_inputs = {key: [row[key] for row in encoded_inputs] for key in encoded_inputs[0]}
    if main_input not in encoded_inputs:
        raise ValueError(
            f"Padding needs {main_input!r}, but there is only {', '.join(map(repr, encoded_inputs)) or 'nothing'}."
        )
    main = encoded_inputs[main_input]
    if main is None or len(main) == 0:
        return {**encoded_inputs, **({"attention_mask": []} if return_attention_mask else {})}, False
    holds_arrays = hasattr(main, "tolist") or hasattr(main[0], "tolist")
    data = {key: _as_lists(value) for key, value in encoded_inputs.items()}
    is_one_row = not isinstance(data[main_input][0], (list, tuple))
    if is_one_row:
        data = {key: [value] for key, value in data.items()}
    lengths = [len(row) for row in data[main_input]]
    for key, value in data.items():
        if len(value) != len(lengths):
            raise ValueError(f"{key!r} has {len(value)} rows, but {main_input!r} has {len(lengths)}.")
    if return_attention_mask and "attention_mask" not in data:
        data["attention_mask"] = [[1] * length for length in lengths]
    if padding is not None:
        target = padded_length(lengths, padding.length, padding.multiple_of)
        fills = {main_input: padding.pad_id, "token_type_ids": padding.pad_type_id, "special_tokens_mask": 1}
        if return_attention_mask:
            fills["attention_mask"] = 0
        for key, fill in fills.items():
            if key in data:
                data[key] = [_pad_row(list(row), target, fill, padding.side) for row in data[key]]
    return ({key: value[0] for key, value in data.items()} if is_one_row else data), holds_arrays


def _pad_row(row: list, target: int, fill: int, side: str) -> list:
    missing = [fill] * (target - len(row))
    return row + missing if side == "right" else missing + row


def _as_lists(value):
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_as_lists(item) for item in value]
    return value
