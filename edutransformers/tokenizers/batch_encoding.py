"""`BatchEncoding`: what calling a tokenizer gives, a dictionary of rows that also knows the way back to the text."""

from typing import Any, NamedTuple

from edutransformers.batch_feature import BatchFeature
from edutransformers.tokenizers.encoding import Encoding


class CharSpan(NamedTuple):
    """Characters [start:end) of a text."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """Tokens [start:end) of a row."""

    start: int
    end: int


class BatchEncoding(BatchFeature):
    """Dictionary with `input_ids`, `attention_mask` and so on, also as attributes (`batch.input_ids`).

    `batch[0]` and `batch.encodings` give rows as `Encoding`; the methods below answer where tokens came from. Those
    that take (batch_or_token_index, token_index) may leave out the first for a batch of one: `batch.token_to_chars(3)`.
    """

    ragged_advice = "pass padding=True, and truncation=True for texts longer than the model"

    def __init__(
        self,
        data: dict[str, Any] | None = None,
        encoding: Encoding | list[Encoding] | None = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
    ):
        super().__init__(data)
        self._encodings = [encoding] if isinstance(encoding, Encoding) else encoding
        if n_sequences is None and self._encodings:
            n_sequences = self._encodings[0].n_sequences
        self._n_sequences = n_sequences
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    @property
    def n_sequences(self) -> int | None:
        """1 for single texts, 2 for pairs, None when unknown."""
        return self._n_sequences

    @property
    def is_fast(self) -> bool:
        """Whether offsets and word numbers are known."""
        return self._encodings is not None

    @property
    def encodings(self) -> list[Encoding] | None:
        return self._encodings

    def __getitem__(self, item):
        if isinstance(item, str):
            return self.data[item]
        if isinstance(item, slice):
            return {key: value[item] for key, value in self.data.items()}
        return self._known_encodings()[item]

    # ----- the way back to the text ----------------------------------------------------------------------------------

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The tokens of a row, special tokens and padding included."""
        return self._known_encodings()[batch_index].tokens

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """For each token 0 or 1, the text it is from; None for special tokens and padding."""
        return self._known_encodings()[batch_index].sequence_ids

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """For each token the number of its word; None for special tokens and padding."""
        return self._known_encodings()[batch_index].word_ids

    words = word_ids

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """0 or 1: the text a token is from."""
        row, token = self._row_and_token(batch_or_token_index, token_index)
        return row.token_to_sequence(token)

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """The number of the word a token is of."""
        row, token = self._row_and_token(batch_or_token_index, token_index)
        return row.token_to_word(token)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """The tokens of a word; None if it was cut off."""
        row, word = self._row_and_position(batch_or_word_index, word_index)
        span = row.word_to_tokens(word, sequence_index)
        return TokenSpan(*span) if span else None

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """The characters of the text that a token stands for; None for special tokens."""
        row, token = self._row_and_position(batch_or_token_index, token_index)
        span = row.token_to_chars(token)
        return CharSpan(*span) if span else None

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The token a character of the text went into; None for white space."""
        row, char = self._row_and_position(batch_or_char_index, char_index)
        return row.char_to_token(char, sequence_index)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """The characters of a word."""
        row, word = self._row_and_position(batch_or_word_index, word_index)
        span = row.word_to_chars(word, sequence_index)
        return CharSpan(*span) if span else None

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The number of the word that holds a character."""
        row, char = self._row_and_position(batch_or_char_index, char_index)
        return row.char_to_word(char, sequence_index)

    def _known_encodings(self) -> list[Encoding]:
        if not self._encodings:
            raise ValueError(
                "This BatchEncoding doesn't know where its tokens came from: it was not made by calling a tokenizer "
                "on text."
            )
        return self._encodings

    def _row_and_position(self, first: int, second: int | None) -> tuple[Encoding, int]:
        batch_index, position = (0, first) if second is None else (first, second)
        encodings = self._known_encodings()
        if not -len(encodings) <= batch_index < len(encodings):
            raise IndexError(f"batch index {batch_index} is out of range: the batch has {len(encodings)} rows.")
        return encodings[batch_index], position

    def _row_and_token(self, first: int, second: int | None) -> tuple[Encoding, int]:
        row, token = self._row_and_position(first, second)
        return row, token + len(row) if token < 0 else token

    # ----- arrays ----------------------------------------------------------------------------------------------------

    def convert_to_tensors(self, tensor_type: str | None = None, prepend_batch_axis: bool = False) -> "BatchEncoding":
        """Turn every value into an array: "np" for NumPy, "cp" for CuPy; None does nothing.

        `prepend_batch_axis` makes one text a batch of one. Raises ValueError for rows of different lengths, and for
        "pt", "tf" and "jax", which this library doesn't have.
        """
        if tensor_type is not None and prepend_batch_axis:
            self.data = {key: [value] for key, value in self.data.items()}
        return super().convert_to_tensors(tensor_type)
