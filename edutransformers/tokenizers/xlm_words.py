"""How XLM cuts a text into words: Moses' way, and for Chinese, Thai and Japanese with packages of those languages."""

import os
import re
import unicodedata
from functools import lru_cache

from edutransformers.tokenizers.aligned_text import AlignedText, PlainText
from edutransformers.tokenizers.moses import MosesPunctuation, MosesWords, align_words, rewrite, substitute
from edutransformers.tokenizers.pre_tokenizers import PreTokenizer

# What Moses' replace-unicode-punctuation script puts for the wide punctuation and digits of Chinese and Japanese.
_NARROW = {
    **dict(zip("０１２３４５６７８９", "0123456789")),
    **dict(zip("，、：∶；？！～━％（）【】〈〉", ",,::;?!~-%()[]<>")),
    **dict.fromkeys("“”《》「」", '"'),
    "’": "'",
    "…": "...",
}
_WIDE = re.compile(rf"[。．]\s*|[{''.join(_NARROW)}]")
# Romanian without diacritics, for the models of English and Romanian.
_ROMANIAN = dict(zip("ŞşȘșŢţȚțĂăÂâÎî", "SsSsTtTtAaAaIi"))
_BETWEEN_BLANKS = re.compile("[^ ]+")
_BETWEEN_WHITE_SPACE = re.compile(r"\S+")


class XLMWords(PreTokenizer):
    """The words of a text in a language, its punctuation normalized; with `lowercase` in lower case without accents.

    Raises ImportError where a language needs a package that isn't installed.
    """

    def __init__(self, language: str, lowercase: bool):
        self.language, self.lowercase = language, lowercase
        self.punctuation = MosesPunctuation(language)
        self.moses = None if language in _CUT_BY else MosesWords(language)

    def pre_tokenize(self, piece):
        words = self.moses_words(piece) if self.moses is not None else _CUT_BY[self.language](self, piece)
        if self.lowercase:
            words = [lowercase_and_remove_accent(word) for word in words]
        return [part for word in words for part in word.matches(_BETWEEN_BLANKS)]

    def normalize(self, text: AlignedText) -> None:
        """Narrow punctuation, Moses' normalization, and no control, format or unassigned characters (line ends too)."""
        substitute(text, _WIDE, lambda match: _NARROW.get(match[0], ". "))
        self.punctuation.apply(text)
        if not text.text.isprintable():
            rewrite(text, lambda character: "" if unicodedata.category(character)[0] == "C" else character)

    def moses_words(self, piece: AlignedText) -> list[AlignedText]:
        self.normalize(piece)
        if self.language == "ro":
            rewrite(piece, lambda character: _ROMANIAN.get(character, character))
        return self.moses.pre_tokenize(piece)


def lowercase_and_remove_accent(word: AlignedText) -> AlignedText:
    """The word in lower case, decomposed, its marks dropped; each character with the span of what it was."""
    text = _bare(word.text)
    if isinstance(word, PlainText):
        return PlainText(text)
    pieces = list(map(_bare_character, word.text))
    if sum(map(len, pieces)) == len(text):  # else the parts depend on each other, which no character known does
        spans = [word.original_span(i, i + 1) for i, piece in enumerate(pieces) for _ in piece]
    else:
        spans = [word.original_span(0, len(word))] * len(text)
    return AlignedText(text, spans)


def _bare(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join([c for c in decomposed if unicodedata.category(c) != "Mn"]).lower()


_bare_character = lru_cache(1 << 12)(_bare)


# ---------------------------------------------------------------------------------------------------------------------
# Languages that write no blanks
# ---------------------------------------------------------------------------------------------------------------------


def _chinese(words: XLMWords, piece: AlignedText) -> list[AlignedText]:
    """Cut as the text stands, and normalized then."""
    try:
        import jieba
    except ImportError as error:
        raise ImportError("XLM cuts Chinese with jieba, which is not installed: `pip install jieba`.") from error
    text = _with_blanks(piece, align_words(piece, list(jieba.cut(piece.text))))
    words.normalize(text)
    return text.matches(_BETWEEN_WHITE_SPACE)


def _thai(words: XLMWords, piece: AlignedText) -> list[AlignedText]:
    try:
        from pythainlp import word_tokenize
    except ImportError as error:
        raise ImportError("XLM cuts Thai with pythainlp, which is not installed: `pip install pythainlp`.") from error
    words.normalize(piece)
    return align_words(piece, word_tokenize(piece.text))


def _japanese(words: XLMWords, piece: AlignedText) -> list[AlignedText]:
    words.normalize(piece)
    return align_words(piece, list(_kytea().getWS(piece.text)))


_CUT_BY = {"zh": _chinese, "th": _thai, "ja": _japanese}


@lru_cache
def _kytea():
    try:
        import Mykytea
    except ImportError as error:
        raise ImportError(
            "XLM cuts Japanese with KyTea (www.phontron.com/kytea), which is not installed: build it with "
            "--prefix=$HOME/local, then `pip install kytea`."
        ) from error
    return Mykytea.Mykytea(f"-model {os.path.expanduser('~')}/local/share/kytea/model.bin")


def _with_blanks(piece: AlignedText, words: list[AlignedText]) -> AlignedText:
    """The words with a blank between each two."""
    text = " ".join([word.text for word in words])
    if isinstance(piece, PlainText):
        return PlainText(text)
    spans = []
    for word in words:
        if spans:
            spans.append((spans[-1][1], spans[-1][1]))
        spans += [word.original_span(i, i + 1) for i in range(len(word))]
    return AlignedText(text, spans)
