"""Normalizers: the first stage, which makes texts that mean the same look the same."""

import re
import unicodedata

from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.characters import BLANK, CHINESE, CONTROL, NONSPACING_MARK, lower
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
            aligned.replace_each(lambda c: f" {c} " if CHINESE.match(c) else c)
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


NORMALIZERS = {"BertNormalizer": BertNormalizer}
