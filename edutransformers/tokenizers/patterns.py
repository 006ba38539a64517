"""Patterns that a tokenizer.json brings along: strings, or regular expressions in the dialect of the Rust library.

That dialect knows Unicode properties, \\p{L}, which Python's `re` does not; the `regex` package does. The classes of
letters, numbers and word characters are replaced by the tables of unicode_tables.py, so that a text is cut in the same
places whatever version of Unicode that package has.
"""

import re
import warnings
from collections.abc import Callable

import regex

from edutransformers.tokenizers import unicode_tables
from edutransformers.tokenizers.characters import TextPattern

_CLASSES = {
    r"\p{L}": unicode_tables.LETTER,
    r"\p{N}": unicode_tables.NUMBER,
    # The library's regular expressions know other words than its Whitespace: no joiners, but raised digits, fractions.
    r"\w": unicode_tables.WORD.replace("200C-200D", "00B2-00B3 00B9 00BC-00BE"),
    r"\s": unicode_tables.WHITE_SPACE,
}
_ESCAPE = re.compile(r"\\(?:[pP]\{\^?\w+\}|.)", re.DOTALL)
# What `re` and the dialect read alike: \n and \U..., {2,3}, groups that look ahead or ignore the case of a few words.
_PLAIN = re.compile(
    r"""(?: \\ (?:[rntfv\\] | U[0-9A-F]{8} | [^\w\s]) | [^\\({\[] | \[\^? | \{\d+(?:,\d*)?\}
          | \((?!\?) | \(\?[:=!] | \(\?<[=!] | \(\?i:[^()\[\]\\]*\) )*""",
    re.VERBOSE,
)


class Pattern:
    """A string, or with `is_regex` a regular expression, as tokenizer.json has it: {"String": "ab"}, {"Regex": "a|b"}.

    Raises ValueError, with the reason, for a regular expression that is none.
    """

    def __init__(self, source: str, is_regex: bool = False):
        self.source = source
        self.is_regex = is_regex
        if not is_regex:
            self.compiled, self.groups = re.compile(re.escape(source)), 0
            return
        try:
            self.compiled = TextPattern(lambda members: _with_tables(source, members), _compile)
            self.groups = self.compiled.full.groups
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


def _compile(source: str) -> re.Pattern:
    """By `re` where it reads the source as `regex` does, since it is several times quicker with large classes."""
    if _PLAIN.fullmatch(source):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of what `re` will read otherwise some day
                return re.compile(source)
        except (re.error, Warning):
            pass
    return regex.compile(source, regex.VERSION0)


def _with_tables(source: str, members: Callable[[str], str]) -> str:
    """\\p{L}, \\p{N}, \\w and \\s written out; inside [...] without brackets of their own."""
    parts, done, in_class = [], 0, False
    i = 0
    while i < len(source):
        match = _ESCAPE.match(source, i)
        if match is not None:
            if match[0] in _CLASSES:
                written = members(_CLASSES[match[0]])
                parts += [source[done:i], written if in_class else f"[{written}]"]
                done = match.end()
            elif match[0] == r"\S" and not in_class:
                parts += [source[done:i], f"[^{members(_CLASSES[chr(92) + 's'])}]"]
                done = match.end()
            i = match.end()
            continue
        if source[i] == "[":
            in_class = True
        elif source[i] == "]":
            in_class = False
        i += 1
    return "".join([*parts, source[done:]])
