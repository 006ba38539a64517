"""Normalizers: the first stage, which makes texts that mean the same look the same. So far BERT's.

A normalizer has `normalize(text) -> AlignedText`, `to_json()`, `from_json(part)`, and says in `keeps_blanks_apart`
whether the pieces of a text between blanks can be normalized one by one (then whole pieces can be cached).
"""

import unicodedata

from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.characters import BLANK, CHINESE, CONTROL, NONSPACING_MARK, lower


class BertNormalizer:
    """BERT's: clean the text, set Chinese characters apart, strip accents, lower-case; in this order.

    clean_text            drop control characters, turn every kind of white space into a blank
    handle_chinese_chars  put blanks around each Chinese character, so that each becomes a word
    strip_accents         decompose and drop the marks; None means "if lowercase", as in the original BERT
    lowercase             lower-case each character by itself

    Source: Devlin et al. 2018, the released `tokenization.py`; the order and tables are the Rust library's.
    """

    keeps_blanks_apart = True

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

    def normalize(self, text: str) -> AlignedText:
        aligned = AlignedText(text)
        if self.clean_text:
            if CONTROL.search(aligned.text):
                aligned.remove(CONTROL)
            aligned.text = BLANK.sub(" ", aligned.text)
        if aligned.text.isascii():  # nothing Chinese, no accents, and str.lower() changes no length
            if self.lowercase:
                aligned.text = aligned.text.lower()
            return aligned
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
        return aligned

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
