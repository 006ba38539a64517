"""What kind of character is this? Character classes as compiled patterns, lower case and decomposition per character.

Everything here answers as the Rust library does, on every Python version: see `unicode_tables.py` for why that needs
tables of its own.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cached_property, lru_cache

from edutransformers.tokenizers import unicode_tables


def _ranges(table: str) -> list[tuple[int, int]]:
    pairs = (entry.partition("-") for entry in table.split())
    return [(int(first, 16), int(last or first, 16)) for first, _, last in pairs]


def character_class(table: str, last_code: int = 0x10FFFF) -> str:
    """The table as the inside of a regular expression's [...], e.g. "\\U00000300-\\U0000036F", up to a code point."""
    return "".join(
        f"\\U{first:08X}-\\U{min(last, last_code):08X}" for first, last in _ranges(table) if first <= last_code
    )


class TextPattern:
    """A regular expression with such classes, compiled twice: for texts of the first 65,536 code points, and for all.

    `re` looks these code points up in a bitmap. Beyond them it goes through a class range by range, for each character
    that isn't found earlier - six times slower, even in a text that has no such character.

    write     the expression's source, from a function that turns a table into the inside of [...]
    compile   how each of the two is compiled
    """

    def __init__(self, write: Callable[[Callable[[str], str]], str], compile: Callable = re.compile):
        self.source = write(character_class)
        self._basic_source = write(lambda table: character_class(table, 0xFFFF))
        self._compile = compile

    @cached_property
    def full(self) -> re.Pattern:
        return self._compile(self.source)

    @cached_property
    def basic(self) -> re.Pattern:
        return self._compile(self._basic_source)

    def of(self, text: str) -> re.Pattern:
        """The one for this text."""
        return self.basic if text.isascii() or not _BEYOND.search(text) else self.full

    def search(self, text: str):
        return self.of(text).search(text)

    def match(self, text: str):
        return self.of(text).match(text)

    def findall(self, text: str) -> list[str]:
        return self.of(text).findall(text)

    def finditer(self, text: str):
        return self.of(text).finditer(text)

    def sub(self, replacement, text: str) -> str:
        return self.of(text).sub(replacement, text)


_BEYOND = re.compile("[\U00010000-\U0010ffff]")


def one_of(table: str) -> TextPattern:
    """Any one character of the table."""
    return TextPattern(lambda members: f"[{members(table)}]")


# A pattern over a whole text costs a few nanoseconds a character, a Python call per character two hundred.
CONTROL = one_of(unicode_tables.CONTROL)
BLANK = one_of(unicode_tables.BLANK)
CHINESE = one_of(unicode_tables.CHINESE)
MARK = one_of(unicode_tables.MARK)
NONSPACING_MARK = one_of(unicode_tables.NONSPACING_MARK)


def _code_points(table: str) -> frozenset[str]:
    return frozenset(chr(code) for first, last in _ranges(table) for code in range(first, last + 1))


WHITE_SPACE = _code_points(unicode_tables.WHITE_SPACE)
# What younger versions of Python know about and the reference doesn't: without these, Unicode's forms are Python's.
_LATE = " ".join(
    [
        unicode_tables.MARKS_AFTER_UNICODE_12,
        unicode_tables.DECOMPOSED_AFTER_UNICODE_12,
        unicode_tables.FORMS_AFTER_UNICODE_12,
    ]
)
LATE = one_of(_LATE)
_LATE_MARKS = _code_points(unicode_tables.MARKS_AFTER_UNICODE_12)
_LATE_DECOMPOSITIONS = _code_points(unicode_tables.DECOMPOSED_AFTER_UNICODE_12)
_LATE_FORMS = _code_points(unicode_tables.FORMS_AFTER_UNICODE_12)


def _late_lower_case() -> dict[str, str]:
    lower = {}
    for entry in unicode_tables.LOWER_AFTER_UNICODE_13.split():
        upper_range, _, first_lower = entry.partition(">")
        ((first, last),) = _ranges(upper_range)
        for code in range(first, last + 1):
            lower[chr(code)] = chr(int(first_lower, 16) + code - first)
    return lower


_LATE_LOWER = _late_lower_case()


def combining_class(character: str) -> int:
    """0 for a base character; marks with different non-zero classes are put in ascending order by decomposition."""
    return 0 if character in _LATE_MARKS else unicodedata.combining(character)


@lru_cache(maxsize=4096)
def decompose(character: str, compatibility: bool = False) -> str:
    """The decomposition of one character: "é" gives "e" and a combining acute accent.

    With `compatibility` also that of mere forms: "ﬁ" gives "fi".
    """
    if character in _LATE_DECOMPOSITIONS or character in _LATE_FORMS:
        return character
    return unicodedata.normalize("NFKD" if compatibility else "NFD", character)


@lru_cache(maxsize=4096)
def compose(first: str, second: str) -> str | None:
    """The one character that stands for both, None if there is none."""
    joined = unicodedata.normalize("NFC", first + second)
    return joined if len(joined) == 1 else None


@lru_cache(maxsize=4096)
def lower(character: str) -> str:
    """Lower case of one character by itself: "Σ" is always "σ", where str.lower() of a word may end in "ς"."""
    return _LATE_LOWER.get(character) or character.lower()
