"""Normalizers: the first stage, which makes texts that mean the same look the same."""

import base64
import re
import unicodedata

from edutransformers.tokenizers.aligned_text import AlignedText, PlainText
from edutransformers.tokenizers.characters import BLANK, CHINESE, CONTROL, MARK, NONSPACING_MARK, WHITE_SPACE, lower
from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.precompiled import PrecompiledMap
from edutransformers.tokenizers.stages import read_stage, read_stages
from edutransformers.tokenizers.stretches import BETWEEN_BLANKS


class Normalizer:
    """Rewrites a text. With `to_json()` and `from_json(part)`."""

    def apply(self, aligned: AlignedText) -> None:
        """Rewrite the text in place."""
        raise NotImplementedError

    def normalize(self, text: str, first: int = 0) -> AlignedText:
        """The text rewritten. `first`: where in a larger text it stands, for its spans."""
        aligned = AlignedText(text, first=first)
        self.apply(aligned)
        return aligned

    def plain(self, text: str) -> str:
        """The text rewritten, for those who don't ask where its characters came from."""
        plain = PlainText(text)
        self.apply(plain)
        return plain.text

    def is_local(self, text: str, stretches: re.Pattern) -> bool:
        """Whether the matches of `stretches` can be normalized one by one: it gives what the whole text gives."""
        return False


class BertNormalizer(Normalizer):
    """BERT's: clean the text, set Chinese characters apart, strip accents, lower-case; in this order.

    clean_text            drop control characters, turn every kind of white space into a blank
    handle_chinese_chars  put blanks around each Chinese character, so that each becomes a word
    strip_accents         decompose and drop the marks; None means "if lowercase", as in the original BERT
    lowercase             lower-case each character by itself

    Source: Devlin et al. 2018, the released `tokenization.py`; the order and tables are the Rust library's.
    """

    def __init__(
        self,
        clean_text: bool = True,
        handle_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        lowercase: bool = True,
    ):
        self.clean_text = clean_text
        self.handle_chinese_chars = handle_chinese_chars
        self.strip_accents = strip_accents
        self.lowercase = lowercase

    def is_local(self, text, stretches):
        return stretches is BETWEEN_BLANKS

    def apply(self, aligned):
        if self.clean_text:
            if CONTROL.search(aligned.text):
                aligned.remove(CONTROL)
            aligned.text = BLANK.sub(" ", aligned.text)
        if aligned.text.isascii():  # nothing Chinese, no accents, and str.lower() changes no length
            if self.lowercase:
                aligned.text = aligned.text.lower()
            return
        if self.handle_chinese_chars and CHINESE.search(aligned.text):
            is_chinese = CHINESE.of(aligned.text).match
            aligned.replace_each(lambda c: f" {c} " if is_chinese(c) else c)
        if self.lowercase if self.strip_accents is None else self.strip_accents:
            # Python's tables know all decompositions that the reference knows, so "normalized" here is normalized
            # there.
            if not unicodedata.is_normalized("NFD", aligned.text):
                aligned.decompose()
            if NONSPACING_MARK.search(aligned.text):
                aligned.remove(NONSPACING_MARK)
        if self.lowercase:
            aligned.replace_each(lower)

    def to_json(self) -> dict:
        return {
            "type": "BertNormalizer",
            "clean_text": self.clean_text,
            "handle_chinese_chars": self.handle_chinese_chars,
            "strip_accents": self.strip_accents,
            "lowercase": self.lowercase,
        }

    @classmethod
    def from_json(cls, part: dict) -> "BertNormalizer":
        return cls(
            clean_text=part.get("clean_text", True),
            handle_chinese_chars=part.get("handle_chinese_chars", True),
            strip_accents=part.get("strip_accents"),
            lowercase=part.get("lowercase", True),
        )


class UnicodeForm(Normalizer):
    """One of Unicode's four normal forms: canonical (NF) or with mere forms split up (NFK), decomposed or composed.

    "é" may be written as one character or as "e" and an accent; NFC makes one of them, NFD two. NFKC and NFKD also turn
    "ﬁ" into "fi" and "①" into "1".
    """

    compatibility = False
    composed = False

    def apply(self, aligned):
        if aligned.text.isascii():
            return
        if self.composed:
            aligned.compose(self.compatibility)
        else:
            aligned.decompose(self.compatibility)

    def is_local(self, text, stretches):
        return text.isascii()  # a mark may follow a blank, and then it belongs to what the pattern cuts off

    def to_json(self) -> dict:
        return {"type": type(self).__name__}

    @classmethod
    def from_json(cls, part: dict) -> "UnicodeForm":
        return cls()


class NFC(UnicodeForm):
    """Decomposed, then composed."""

    composed = True


class NFD(UnicodeForm):
    """Decomposed."""


class NFKC(UnicodeForm):
    """Forms split up, decomposed, then composed."""

    compatibility = composed = True


class NFKD(UnicodeForm):
    """Forms split up, decomposed."""

    compatibility = True


class Lowercase(Normalizer):
    """Each character in lower case by itself."""

    def apply(self, aligned):
        if aligned.text.isascii():
            aligned.text = aligned.text.lower()
        else:
            aligned.replace_each(lower)

    def is_local(self, text, stretches):
        return text.isascii() and stretches is BETWEEN_BLANKS  # a pattern may tell "'S" from "'s"

    def to_json(self) -> dict:
        return {"type": "Lowercase"}

    @classmethod
    def from_json(cls, part: dict) -> "Lowercase":
        return cls()


class StripAccents(Normalizer):
    """Drop all marks. What is composed keeps them: NFD before it splits them off."""

    def apply(self, aligned):
        if MARK.search(aligned.text):
            aligned.remove(MARK)

    def is_local(self, text, stretches):
        return text.isascii()

    def to_json(self) -> dict:
        return {"type": "StripAccents"}

    @classmethod
    def from_json(cls, part: dict) -> "StripAccents":
        return cls()


class Strip(Normalizer):
    """Drop white space at the text's beginning (`strip_left`) and end (`strip_right`)."""

    def __init__(self, strip_left: bool = True, strip_right: bool = True):
        self.strip_left, self.strip_right = strip_left, strip_right

    def apply(self, aligned):
        text = aligned.text
        start, stop = 0, len(text)
        while self.strip_left and start < stop and text[start] in WHITE_SPACE:
            start += 1
        while self.strip_right and stop > start and text[stop - 1] in WHITE_SPACE:
            stop -= 1
        aligned.cut(start, stop)

    def to_json(self) -> dict:
        return {"type": "Strip", "strip_left": self.strip_left, "strip_right": self.strip_right}

    @classmethod
    def from_json(cls, part: dict) -> "Strip":
        return cls(part["strip_left"], part["strip_right"])


class Replace(Normalizer):
    """Put `content` for each match of a pattern."""

    def __init__(self, pattern: str | Pattern, content: str):
        self.pattern = Pattern(pattern) if isinstance(pattern, str) else pattern
        self.content = content

    def apply(self, aligned):
        aligned.replace(self.pattern, self.content)

    def to_json(self) -> dict:
        return {"type": "Replace", "pattern": self.pattern.to_json(), "content": self.content}

    @classmethod
    def from_json(cls, part: dict) -> "Replace":
        return cls(Pattern.from_json(part["pattern"]), part["content"])


class Prepend(Normalizer):
    """Put a text in front, if there is any text."""

    def __init__(self, prepend: str = "▁"):
        self.prepend = prepend

    def apply(self, aligned):
        aligned.prepend(self.prepend)

    def to_json(self) -> dict:
        return {"type": "Prepend", "prepend": self.prepend}

    @classmethod
    def from_json(cls, part: dict) -> "Prepend":
        return cls(part["prepend"])


class Nmt(Normalizer):
    """What SentencePiece's nmt_nfkc does besides NFKC: drop control characters, turn odd white space into blanks."""

    _dropped = re.compile("[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]")
    _blank = re.compile("[\t\n\x0c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]")

    def apply(self, aligned):
        if self._dropped.search(aligned.text):
            aligned.remove(self._dropped)
        aligned.text = self._blank.sub(" ", aligned.text)

    def to_json(self) -> dict:
        return {"type": "Nmt"}

    @classmethod
    def from_json(cls, part: dict) -> "Nmt":
        return cls()


class Precompiled(Normalizer):
    """SentencePiece's own table of replacements, for example its nmt_nfkc (precompiled.py)."""

    def __init__(self, precompiled_charsmap: bytes):
        self.map = PrecompiledMap(precompiled_charsmap)

    def apply(self, aligned):
        aligned.transform_matches(self.map.changeable, self.map.changes)

    def to_json(self) -> dict:
        return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(self.map.blob).decode("ascii")}

    @classmethod
    def from_json(cls, part: dict) -> "Precompiled":
        return cls(base64.b64decode(part["precompiled_charsmap"] or ""))


class NormalizerSequence(Normalizer):
    """Normalizers one after the other."""

    def __init__(self, normalizers: list[Normalizer]):
        self.normalizers = normalizers

    def apply(self, aligned):
        for normalizer in self.normalizers:
            normalizer.apply(aligned)

    def is_local(self, text, stretches):
        return all(normalizer.is_local(text, stretches) for normalizer in self.normalizers)

    def to_json(self) -> dict:
        return {"type": "Sequence", "normalizers": [normalizer.to_json() for normalizer in self.normalizers]}

    @classmethod
    def from_json(cls, part: dict) -> "NormalizerSequence":
        from edutransformers.tokenizers.tokenizer_json import STAGES

        return cls(read_stages("normalizer", part["normalizers"], STAGES["normalizer"]))


NORMALIZERS = {
    "BertNormalizer": BertNormalizer,
    "Lowercase": Lowercase,
    "NFC": NFC,
    "NFD": NFD,
    "NFKC": NFKC,
    "NFKD": NFKD,
    "Nmt": Nmt,
    "Precompiled": Precompiled,
    "Prepend": Prepend,
    "Replace": Replace,
    "Sequence": NormalizerSequence,
    "Strip": Strip,
    "StripAccents": StripAccents,
}


def normalizer_from_json(part: dict) -> Normalizer:
    from edutransformers.tokenizers.tokenizer_json import STAGES

    return read_stage("normalizer", part, STAGES["normalizer"])
