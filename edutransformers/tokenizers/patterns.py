"""Patterns that a tokenizer.json brings along: strings, or regular expressions in the dialect of the Rust library.

That dialect knows Unicode properties, \\p{L}, which Python's `re` does not; the `regex` package does. The classes of
letters, numbers and word characters are replaced by the tables of unicode_tables.py, so that a text is cut in the same
places whatever version of Unicode that package has.
"""

import re

import regex

from edutransformers.tokenizers import unicode_tables
from edutransformers.tokenizers.characters import character_class

_CLASSES = {
    r"\p{L}": character_class(unicode_tables.LETTER),
    r"\p{N}": character_class(unicode_tables.NUMBER),
    # The library's regular expressions know other words than its Whitespace: no joiners, but raised digits, fractions.
    r"\w": character_class(unicode_tables.WORD.replace("200C-200D", "00B2-00B3 00B9 00BC-00BE")),
}
_ESCAPE = re.compile(r"\\(?:[pP]\{\^?\w+\}|.)", re.DOTALL)


class Pattern:
    """A string, or with `is_regex` a regular expression, as tokenizer.json has it: {"String": "ab"}, {"Regex": "a|b"}.

    Raises ValueError, with the reason, for a regular expression that is none.
    """

    def __init__(self, source: str, is_regex: bool = False):
        self.source = source
        self.is_regex = is_regex
        if not is_regex:
            self.compiled = re.compile(re.escape(source))
            return
        try:
            self.compiled = regex.compile(_with_tables(source), regex.VERSION0)
        except regex.error as error:
            raise ValueError(f"{source!r} is no regular expression that edutransformers can read: {error}.") from None

    def to_json(self) -> dict:
        return {"Regex" if self.is_regex else "String": self.source}

    @classmethod
    def from_json(cls, part: dict) -> "Pattern":
        ((kind, source),) = part.items()
        if kind not in ("String", "Regex"):
            raise ValueError(f"a pattern is of kind {kind!r}; known are String and Regex.")
        return cls(source, kind == "Regex")


def _with_tables(source: str) -> str:
    """\\p{L}, \\p{N} and \\w written out; inside [...] without brackets of their own."""
    parts, done, in_class = [], 0, False
    i = 0
    while i < len(source):
        match = _ESCAPE.match(source, i)
        if match is not None:
            members = _CLASSES.get(match[0])
            if members is not None:
                parts += [source[done:i], members if in_class else f"[{members}]"]
                done = match.end()
            i = match.end()
            continue
        if source[i] == "[":
            in_class = True
        elif source[i] == "]":
            in_class = False
        i += 1
    return "".join([*parts, source[done:]])
