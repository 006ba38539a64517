"""Pre-tokenizers: the second stage, which cuts a normalized text into words. Tokens never cross a word's border.

A pre-tokenizer has `split(text) -> [(start, stop), ...]`, `to_json()`, `from_json(part)`, and says in
`keeps_blanks_apart` whether a blank always ends a word and leaves no trace in the next one.
"""

import re

from edutransformers.tokenizers import unicode_tables
from edutransformers.tokenizers.characters import character_class

_SPACE = character_class(unicode_tables.WHITE_SPACE)
_PUNCTUATION = character_class(unicode_tables.PUNCTUATION)


class BertPreTokenizer:
    """Words are what stands between white space; each punctuation character is a word of its own."""

    keeps_blanks_apart = True
    _word = re.compile(f"[^{_SPACE}{_PUNCTUATION}]+|[{_PUNCTUATION}]")

    def split(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._word.finditer(text)]

    def to_json(self) -> dict:
        return {"type": "BertPreTokenizer"}

    @classmethod
    def from_json(cls, part: dict) -> "BertPreTokenizer":
        return cls()


class WhitespaceSplit:
    """Words are what stands between white space, punctuation included (BERT with do_basic_tokenize=False)."""

    keeps_blanks_apart = True
    _word = re.compile(f"[^{_SPACE}]+")

    def split(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._word.finditer(text)]

    def to_json(self) -> dict:
        return {"type": "WhitespaceSplit"}

    @classmethod
    def from_json(cls, part: dict) -> "WhitespaceSplit":
        return cls()


PRE_TOKENIZERS = {"BertPreTokenizer": BertPreTokenizer, "WhitespaceSplit": WhitespaceSplit}
