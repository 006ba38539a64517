"""What encoding one text, or one pair, gives: ids, and for each id where it came from.

Two classes: `TokenizedText` is one text, cut into tokens, before anything is truncated or added. `Encoding` is a row
for a model: pieces of tokenized texts, special tokens and padding one after the other. Offsets and word numbers are
worked out when they are asked for; most callers want ids only.
"""

import re
from collections.abc import Callable
from functools import cached_property
from itertools import chain
from typing import NamedTuple

Span = tuple[int, int]


class Chunk(NamedTuple):
    """A stretch of text that was tokenized at once: tokens, each one's span within it, and the word it is of."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]  # an added token stands here as it was matched: " foo" or "naive" for the token "naïve"
    offsets: tuple[Span, ...]
    words: tuple[int, ...]
    word_count: int


class Part(NamedTuple):
    """Chunks of `text`, which begins at `start`: one for each match of `stretches`, or a single one for all of it."""

    text: str
    start: int
    chunks: list[Chunk]
    stretches: re.Pattern | None = None

    def offsets(self) -> list[Span]:
        """(start, stop) in the whole text, for each token."""
        starts = (0,) if self.stretches is None else (match.start() for match in self.stretches.finditer(self.text))
        result = []
        for start, chunk in zip(starts, self.chunks):
            base = self.start + start
            result += [(base + start, base + stop) for start, stop in chunk.offsets]
        return result

    def word_ids(self) -> tuple[list[int], int]:
        """The number of the word for each token, and how many words there are."""
        result, before = [], 0
        for chunk in self.chunks:
            result += [before + word for word in chunk.words]
            before += chunk.word_count
        return result, before


class TokenizedText:
    """The tokens of one text: of its parts, which begin or end where added tokens stand (`Part`, `RewrittenPart`)."""

    def __init__(self, text: str, parts: list):
        self.text = text
        self.parts = parts
        self.ids = list(chain.from_iterable([chunk.ids for part in parts for chunk in part.chunks]))

    @property
    def tokens(self) -> list[str]:
        return [token for part in self.parts for chunk in part.chunks for token in chunk.tokens]

    @cached_property
    def offsets(self) -> list[Span]:
        """(start, stop) in the text, for each token."""
        return [span for part in self.parts for span in part.offsets()]

    @cached_property
    def word_ids(self) -> list[int]:
        """The number of the word, for each token. Punctuation counts as a word, and so does an added token."""
        result, before = [], 0
        for part in self.parts:
            words, count = part.word_ids()
            result += [before + word for word in words] if before else words
            before += count
        return result


class TokenizedWords:
    """The tokens of a text that came as a list of words: offsets count within each word, word numbers in the list."""

    def __init__(self, words: list[TokenizedText]):
        self.words = words
        self.ids = [i for word in words for i in word.ids]

    @property
    def tokens(self) -> list[str]:
        return [token for word in self.words for token in word.tokens]

    @cached_property
    def offsets(self) -> list[Span]:
        return [span for word in self.words for span in word.offsets]

    @cached_property
    def word_ids(self) -> list[int]:
        return [number for number, word in enumerate(self.words) for _ in word.ids]


class Piece(NamedTuple):
    """A run of an Encoding: [start:stop) of a tokenized text, or special tokens, or padding."""

    ids: list[int] | tuple[int, ...]
    type_id: int
    sequence: int | None = None  # 0 or 1: of the first or second text; None: special tokens or padding
    source: TokenizedText | TokenizedWords | None = None
    start: int = 0
    stop: int = 0
    is_padding: bool = False


class Encoding:
    """One row: ids, token types, masks, and the way back to the text.

    trim   (tokens, offsets) -> offsets: what a post-processor takes off the offsets of a text's tokens
    """

    def __init__(self, pieces: list[Piece], id_to_token, trim: Callable | None = None):
        self.pieces = pieces
        self._id_to_token = id_to_token
        self.trim = trim
        self.ids = list(chain.from_iterable(piece.ids for piece in pieces))

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Encoding({len(self)} tokens: {' '.join(self.tokens[:8])}{' ...' if len(self) > 8 else ''})"

    def _per_token(self, value_of) -> list:
        result = []
        for piece in self.pieces:
            result += [value_of(piece)] * len(piece.ids)
        return result

    @property
    def type_ids(self) -> list[int]:
        return self._per_token(lambda piece: piece.type_id)

    @property
    def attention_mask(self) -> list[int]:
        return self._per_token(lambda piece: 0 if piece.is_padding else 1)

    @property
    def special_tokens_mask(self) -> list[int]:
        return self._per_token(lambda piece: 1 if piece.sequence is None else 0)

    @property
    def sequence_ids(self) -> list[int | None]:
        return self._per_token(lambda piece: piece.sequence)

    @property
    def tokens(self) -> list[str]:
        result: list[str] = []
        for piece in self.pieces:
            result += self._tokens_of(piece)
        return result

    def _tokens_of(self, piece: Piece) -> list[str]:
        if piece.source is not None:
            return piece.source.tokens[piece.start : piece.stop]
        return [self._id_to_token(i) for i in piece.ids]

    @cached_property
    def offsets(self) -> list[Span]:
        result: list[Span] = []
        for piece in self.pieces:
            if piece.source is None:
                result += [(0, 0)] * len(piece.ids)
                continue
            offsets = piece.source.offsets[piece.start : piece.stop]
            result += offsets if self.trim is None else self.trim(self._tokens_of(piece), offsets)
        return result

    @cached_property
    def word_ids(self) -> list[int | None]:
        result: list[int | None] = []
        for piece in self.pieces:
            result += piece.source.word_ids[piece.start : piece.stop] if piece.source else [None] * len(piece.ids)
        return result

    @property
    def n_sequences(self) -> int:
        return max(len({piece.sequence for piece in self.pieces} - {None}), 1)

    def _sequence_range(self, sequence: int) -> Span:
        """Where the tokens of text `sequence` are; the whole row if there is no such text, as in the original."""
        start = 0
        for piece in self.pieces:
            if piece.sequence == sequence:
                return start, start + len(piece.ids)
            start += len(piece.ids)
        return 0, len(self)

    def char_to_token(self, char: int, sequence: int = 0) -> int | None:
        """The token whose span holds character `char` of the text; None for white space and what was cut off."""
        start, stop = self._sequence_range(sequence)
        for token in range(start, stop):
            if self.offsets[token][0] <= char < self.offsets[token][1]:
                return token
        return None

    def word_to_tokens(self, word: int, sequence: int = 0) -> Span | None:
        """[first, behind the last) token of a word."""
        start, stop = self._sequence_range(sequence)
        tokens = []
        for token in range(start, stop):
            found = self.word_ids[token]
            if found is not None and found > word:
                break
            if found == word:
                tokens.append(token)
        return (tokens[0], tokens[-1] + 1) if tokens else None

    def token_to_sequence(self, token: int) -> int | None:
        return self.sequence_ids[token] if 0 <= token < len(self) else None

    def token_to_chars(self, token: int) -> Span | None:
        return None if self.token_to_sequence(token) is None else self.offsets[token]

    def token_to_word(self, token: int) -> int | None:
        return None if self.token_to_sequence(token) is None else self.word_ids[token]

    def word_to_chars(self, word: int, sequence: int = 0) -> Span | None:
        tokens = self.word_to_tokens(word, sequence)
        return (self.offsets[tokens[0]][0], self.offsets[tokens[1] - 1][1]) if tokens else None

    def char_to_word(self, char: int, sequence: int = 0) -> int | None:
        token = self.char_to_token(char, sequence)
        return None if token is None else self.token_to_word(token)
