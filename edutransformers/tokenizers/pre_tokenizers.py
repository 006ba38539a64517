"""Pre-tokenizers: the second stage, which cuts a normalized text into words. Tokens never cross a word's border."""

import re

from edutransformers.tokenizers import unicode_tables
from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.characters import TextPattern, one_of
from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.stages import read_stages
from edutransformers.tokenizers.stretches import BETWEEN_BLANKS

_SPACE, _PUNCTUATION, _WORD = unicode_tables.WHITE_SPACE, unicode_tables.PUNCTUATION, unicode_tables.WORD
_NUMBER = unicode_tables.NUMBER + unicode_tables.LATE_NUMBER


class PreTokenizer:
    """Cuts a text into words, and may write them in another way. With `to_json()` and `from_json(part)`.

    stretches           a pattern: a text's matches can be pre-tokenized one by one, and what no match covers gives no
                        word. Then stretches can be cached (stretches.py). None: only the whole text gives the words
    gaps_are_words      what no match covers is a word too: a text that has such can't be cut into stretches
    begins_differently  a text's first stretch is not treated as those behind it are
    needs_place         a word also depends on whether it begins the whole text
    """

    stretches: re.Pattern | TextPattern | None = None
    gaps_are_words = False
    begins_differently = False
    needs_place = False

    @property
    def of_stretch(self) -> "PreTokenizer | None":
        """What is left to do with a stretch behind the first one; None: nothing, it is a word."""
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
    _word = TextPattern(lambda of: f"[^{of(_SPACE)}{of(_PUNCTUATION)}]+|[{of(_PUNCTUATION)}]")

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
    _word = TextPattern(lambda of: f"[^{of(_SPACE)}]+")

    def split(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._word.finditer(text)]

    def to_json(self) -> dict:
        return {"type": "WhitespaceSplit"}

    @classmethod
    def from_json(cls, part: dict) -> "WhitespaceSplit":
        return cls()


class Whitespace(PreTokenizer):
    """Words are runs of letters, digits and underscores, and runs of what is neither that nor white space."""

    stretches = BETWEEN_BLANKS
    _word = TextPattern(lambda of: f"[{of(_WORD)}]+|[^{of(_WORD)}{of(_SPACE)}]+")

    def split(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._word.finditer(text)]

    def to_json(self) -> dict:
        return {"type": "Whitespace"}

    @classmethod
    def from_json(cls, part: dict) -> "Whitespace":
        return cls()


class Punctuation(PreTokenizer):
    """Cut at punctuation characters; `behavior` says what becomes of them (see `split_behavior`)."""

    _mark = one_of(_PUNCTUATION)

    def __init__(self, behavior: str = "Isolated"):
        self.behavior = check_behavior(behavior)

    def split(self, text: str) -> list[tuple[int, int]]:
        return split_behavior(parts_of(text, self._mark), self.behavior)

    def to_json(self) -> dict:
        return {"type": "Punctuation", "behavior": self.behavior}

    @classmethod
    def from_json(cls, part: dict) -> "Punctuation":
        return cls(part.get("behavior", "Isolated"))


class Digits(PreTokenizer):
    """Set runs of digits apart; with `individual_digits` each digit."""

    _digit = one_of(_NUMBER)

    def __init__(self, individual_digits: bool = False):
        self.individual_digits = individual_digits

    def split(self, text: str) -> list[tuple[int, int]]:
        return split_behavior(parts_of(text, self._digit), "Isolated" if self.individual_digits else "Contiguous")

    def to_json(self) -> dict:
        return {"type": "Digits", "individual_digits": self.individual_digits}

    @classmethod
    def from_json(cls, part: dict) -> "Digits":
        return cls(part["individual_digits"])


class CharDelimiterSplit(PreTokenizer):
    """Words are what stands between occurrences of one character."""

    def __init__(self, delimiter: str):
        if len(delimiter) != 1:
            raise ValueError(f"the delimiter is {delimiter!r}: expected one character.")
        self.delimiter = delimiter
        self._pattern = re.compile(re.escape(delimiter))

    def split(self, text: str) -> list[tuple[int, int]]:
        return split_behavior(parts_of(text, self._pattern), "Removed")

    def to_json(self) -> dict:
        return {"type": "CharDelimiterSplit", "delimiter": self.delimiter}

    @classmethod
    def from_json(cls, part: dict) -> "CharDelimiterSplit":
        return cls(part["delimiter"])


class FixedLength(PreTokenizer):
    """Words of `length` characters each, the last one shorter: for what has no words, such as DNA."""

    def __init__(self, length: int = 5):
        if length < 1:
            raise ValueError(f"length is {length}: expected 1 character or more.")
        self.length = length

    def split(self, text: str) -> list[tuple[int, int]]:
        return [(start, min(start + self.length, len(text))) for start in range(0, len(text), self.length)]

    def to_json(self) -> dict:
        return {"type": "FixedLength", "length": self.length}

    @classmethod
    def from_json(cls, part: dict) -> "FixedLength":
        return cls(part.get("length", 5))


class Split(PreTokenizer):
    """Cut at the matches of a pattern; with `invert` between them. `behavior`: see `split_behavior`."""

    def __init__(self, pattern: str | Pattern, behavior: str, invert: bool = False):
        self.pattern = Pattern(pattern) if isinstance(pattern, str) else pattern
        self.behavior = check_behavior(behavior)
        self.invert = invert

    @property
    def stretches(self):
        """The matches, where they are the words."""
        is_wanted = (self.behavior, self.invert) in (("Isolated", False), ("Removed", True))
        return self.pattern.compiled if is_wanted and self.pattern.groups == 0 else None

    @property
    def gaps_are_words(self):
        return self.behavior == "Isolated"

    @property
    def of_stretch(self):
        return None

    def pre_tokenize(self, piece):
        if self.stretches is not None:
            words = piece.matches(self.stretches)
            if not self.gaps_are_words or sum(map(len, words)) == len(piece):
                return words
        return super().pre_tokenize(piece)

    def split(self, text: str) -> list[tuple[int, int]]:
        parts = parts_of(text, self.pattern.compiled)
        return split_behavior([(span, is_match != self.invert) for span, is_match in parts], self.behavior)

    def to_json(self) -> dict:
        return {
            "type": "Split",
            "pattern": self.pattern.to_json(),
            "behavior": self.behavior,
            "invert": self.invert,
        }

    @classmethod
    def from_json(cls, part: dict) -> "Split":
        return cls(Pattern.from_json(part["pattern"]), part["behavior"], part["invert"])


class Metaspace(PreTokenizer):
    """SentencePiece's way: a blank is written as "▁" and begins the word behind it, so that no blank is lost.

    replacement     the character that stands for a blank
    prepend_scheme  "always": a text that doesn't begin with a blank gets one, so that its first word looks like all
                    others; "first": only where the whole text begins, not behind an added token; "never"
    split           False: write blanks so, and don't cut
    """

    def __init__(self, replacement: str = "▁", prepend_scheme: str = "always", split: bool = True):
        if len(replacement) != 1:
            raise ValueError(f"Metaspace's replacement is {replacement!r}: expected one character.")
        if prepend_scheme not in ("always", "first", "never"):
            raise ValueError(f"prepend_scheme is {prepend_scheme!r}: expected 'always', 'first' or 'never'.")
        self.replacement = replacement
        self.prepend_scheme = prepend_scheme
        self.cuts = split
        sign = re.escape(replacement)
        self._blank = Pattern(" ")
        self._words = re.compile(f"{sign}[^{sign}]*|[^{sign}]+")
        self._stretches = re.compile(f"[ {sign}][^ {sign}]*|[^ {sign}]+")

    @property
    def stretches(self):
        return self._stretches if self.cuts else None

    @property
    def needs_place(self) -> bool:
        return self.prepend_scheme == "first"

    begins_differently = needs_place

    @property
    def of_stretch(self):
        return Metaspace(self.replacement, "never", self.cuts) if self.prepend_scheme == "first" else self

    def pre_tokenize(self, piece):
        begins = bool(piece.text) and piece.original_span(0, 1)[0] == 0
        piece.replace(self._blank, self.replacement)
        wanted = self.prepend_scheme == "always" or (self.prepend_scheme == "first" and begins)
        if wanted and not piece.text.startswith(self.replacement):
            piece.prepend(self.replacement)
        if not self.cuts:
            return [piece]
        return piece.matches(self._words)

    def to_json(self) -> dict:
        return {
            "type": "Metaspace",
            "replacement": self.replacement,
            "prepend_scheme": self.prepend_scheme,
            "split": self.cuts,
        }

    @classmethod
    def from_json(cls, part: dict) -> "Metaspace":
        """Older files say add_prefix_space in place of prepend_scheme."""
        scheme = part.get("prepend_scheme", "always" if part.get("add_prefix_space", True) else "never")
        return cls(part["replacement"], scheme, part.get("split", True))


class PreTokenizerSequence(PreTokenizer):
    """Each pre-tokenizer cuts the words of the one before."""

    def __init__(self, pre_tokenizers: list[PreTokenizer]):
        self.pre_tokenizers = pre_tokenizers

    @property
    def stretches(self):
        first, *others = self.pre_tokenizers or [None]
        return None if first is None or any(stage.needs_place for stage in others) else first.stretches

    @property
    def needs_place(self) -> bool:
        return any(stage.needs_place for stage in self.pre_tokenizers)

    @property
    def gaps_are_words(self):
        return bool(self.pre_tokenizers) and self.pre_tokenizers[0].gaps_are_words

    @property
    def begins_differently(self):
        return bool(self.pre_tokenizers) and self.pre_tokenizers[0].begins_differently

    @property
    def of_stretch(self):
        first = [stage.of_stretch for stage in self.pre_tokenizers[:1] if stage.of_stretch is not None]
        return PreTokenizerSequence(first + self.pre_tokenizers[1:])

    def pre_tokenize(self, piece):
        pieces = [piece]
        for stage in self.pre_tokenizers:
            pieces = [word for part in pieces if part.text for word in stage.pre_tokenize(part)]
        return pieces

    def to_json(self) -> dict:
        return {"type": "Sequence", "pretokenizers": [stage.to_json() for stage in self.pre_tokenizers]}

    @classmethod
    def from_json(cls, part: dict) -> "PreTokenizerSequence":
        from edutransformers.tokenizers.tokenizer_json import STAGES

        return cls(read_stages("pre_tokenizer", part["pretokenizers"], STAGES["pre_tokenizer"]))


PRE_TOKENIZERS = {
    "BertPreTokenizer": BertPreTokenizer,
    "CharDelimiterSplit": CharDelimiterSplit,
    "Digits": Digits,
    "FixedLength": FixedLength,
    "Metaspace": Metaspace,
    "Punctuation": Punctuation,
    "Sequence": PreTokenizerSequence,
    "Split": Split,
    "Whitespace": Whitespace,
    "WhitespaceSplit": WhitespaceSplit,
}


# ---------------------------------------------------------------------------------------------------------------------
# Cutting at matches
# ---------------------------------------------------------------------------------------------------------------------

Part = tuple[tuple[int, int], bool]  # (start, stop), and whether it is a match

BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")


def check_behavior(behavior: str) -> str:
    """Also accepts "merged_with_next", as the original's Python writes it."""
    name = "".join(word[:1].upper() + word[1:] for word in behavior.split("_"))
    if name not in BEHAVIORS:
        raise ValueError(f"the behavior is {behavior!r}: expected one of {', '.join(BEHAVIORS)}.")
    return name


def parts_of(text: str, pattern: re.Pattern | TextPattern) -> list[Part]:
    """The matches of a pattern, and what stands between them. An empty match directly behind another doesn't count."""
    parts, done = [], 0
    for match in pattern.finditer(text):
        if parts and match.start() == match.end() == done:
            continue
        if done < match.start():
            parts.append(((done, match.start()), False))
        parts.append((match.span(), True))
        done = match.end()
    if done < len(text):
        parts.append(((done, len(text)), False))
    return parts


def split_behavior(parts: list[Part], behavior: str) -> list[tuple[int, int]]:
    """What becomes of matches: "the-final--countdown" cut at "-"

    Removed             the final countdown
    Isolated            the - final - - countdown
    MergedWithPrevious  the- final- - countdown
    MergedWithNext      the -final - -countdown
    Contiguous          the - final -- countdown
    """
    if behavior == "Removed":
        spans = [span for span, is_match in parts if not is_match]
    elif behavior == "Isolated":
        spans = [span for span, _ in parts]
    else:
        parts = parts[::-1] if behavior == "MergedWithNext" else parts
        spans, before = [], False
        for (start, stop), is_match in parts:
            joins = is_match == before if behavior == "Contiguous" else is_match and not before
            if joins and spans:
                spans[-1] = (min(start, spans[-1][0]), max(stop, spans[-1][1]))
            else:
                spans.append((start, stop))
            before = is_match
        spans.sort()
    return [(start, stop) for start, stop in spans if start < stop]
