"""Pre-tokenizers: the second stage, which cuts a normalized text into words. Tokens never cross a word's border."""

import re

from edutransformers.tokenizers import unicode_tables
from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.characters import character_class
from edutransformers.tokenizers.stretches import BETWEEN_BLANKS

_SPACE = character_class(unicode_tables.WHITE_SPACE)
_PUNCTUATION = character_class(unicode_tables.PUNCTUATION)


class PreTokenizer:
    """Cuts a text into words, and may write them in another way. With `to_json()` and `from_json(part)`.

    stretches   a pattern: a text's matches can be pre-tokenized one by one, and what no match covers gives no word.
                Then stretches can be cached (stretches.py). None: only the whole text gives the words
    """

    stretches: re.Pattern | None = None

    @property
    def behind_first(self) -> "PreTokenizer":
        """What treats stretches that don't begin a text: itself, unless a text's first one is treated otherwise."""
        return self

    def split(self, text: str) -> list[tuple[int, int]]:
        """(start, stop) of each word, for those that only cut."""
        raise NotImplementedError(f"{type(self).__name__} does more than cutting: call pre_tokenize")

    def pre_tokenize(self, piece: AlignedText) -> list[AlignedText]:
        """The words of a piece of text, each of which knows where it came from. The piece may be changed."""
        return [piece.slice(start, stop) for start, stop in self.split(piece.text)]


class BertPreTokenizer(PreTokenizer):
    """Words are what stands between white space; each punctuation character is a word of its own."""

    stretches = BETWEEN_BLANKS
    _word = re.compile(f"[^{_SPACE}{_PUNCTUATION}]+|[{_PUNCTUATION}]")

    def split(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._word.finditer(text)]

    def to_json(self) -> dict:
        return {"type": "BertPreTokenizer"}

    @classmethod
    def from_json(cls, part: dict) -> "BertPreTokenizer":
        return cls()


class WhitespaceSplit(PreTokenizer):
    """Words are what stands between white space, punctuation included (BERT with do_basic_tokenize=False)."""

    stretches = BETWEEN_BLANKS
    _word = re.compile(f"[^{_SPACE}]+")

    def split(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._word.finditer(text)]

    def to_json(self) -> dict:
        return {"type": "WhitespaceSplit"}

    @classmethod
    def from_json(cls, part: dict) -> "WhitespaceSplit":
        return cls()


PRE_TOKENIZERS = {"BertPreTokenizer": BertPreTokenizer, "WhitespaceSplit": WhitespaceSplit}
