"""Moses' normalization of punctuation and its tokenizer, by the package sacremoses, with the places in the text.

XLM and Transformer-XL were trained on words that Moses, the machine translation system of the years before
transformers, had cut. sacremoses rewrites texts, and knows nothing of places. Two things bring them back:
- its rules of normalization are patterns and what is put for them: they are applied here one by one (`substitute`);
- its tokenizer puts blanks in, and hardly changes anything else: its words are found again in the text, character by
  character (`align_words`).

Ids need no places. On a `PlainText` both do only what sacremoses does.
"""

import re
from collections.abc import Callable

from edutransformers.tokenizers.aligned_text import AlignedText, PlainText
from edutransformers.tokenizers.pre_tokenizers import PreTokenizer

# Inside its tokenizer sacremoses writes a run of dots as a word, DOTDOTMULTI, and so takes such a word for dots.
_DOTS = re.compile("(?:DOT)+MULTI")


def load_sacremoses(name: str):
    """The package. Raises ImportError, which says what to do for a class `name`, where it isn't installed."""
    try:
        import sacremoses
    except ImportError as error:
        raise ImportError(
            f"{name} cuts texts into words with sacremoses, which is not installed: `pip install sacremoses`."
        ) from error
    return sacremoses


class MosesPunctuation:
    """Moses' normalization of punctuation: quotation marks, dashes, blanks around brackets; by language."""

    def __init__(self, language: str):
        rules = load_sacremoses("MosesPunctuation").MosesPunctNormalizer(lang=language).substitutions
        self.rules = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def apply(self, text: AlignedText) -> None:
        for pattern, replacement in self.rules:
            substitute(text, pattern, replacement)
        strip(text)


class MosesWords(PreTokenizer):
    """Moses' tokenizer: words and punctuation, by language.

    aggressive_dash_splits  "well-known" becomes "well", "@-@", "known"
    protected_patterns      regular expressions; what matches is left whole
    """

    def __init__(self, language: str, aggressive_dash_splits: bool = False, protected_patterns: tuple[str, ...] = ()):
        self.tokenizer = load_sacremoses("MosesWords").MosesTokenizer(lang=language)
        self.options = {
            "aggressive_dash_splits": aggressive_dash_splits,
            "protected_patterns": list(protected_patterns) or None,
            "return_str": False,
            "escape": False,
        }

    def pre_tokenize(self, piece):
        return align_words(piece, self.tokenizer.tokenize(piece.text, **self.options))


def substitute(text: AlignedText, pattern: re.Pattern, replacement: str | Callable[[re.Match], str]) -> None:
    """pattern.sub(replacement, text), in place.

    What a replacement has in common with its match at both ends stays where it was. What is between has the span of all
    that it replaces; where it replaces nothing, an empty one.
    """
    if isinstance(text, PlainText):
        text.text = pattern.sub(replacement, text.text)
        return
    old, pieces, spans, done = text.text, [], [], 0
    for match in pattern.finditer(old):
        new = _written(match, replacement)
        if new == match[0]:
            continue
        begin, end = _common_ends(match[0], new)
        start, stop = match.start() + begin, match.end() - end
        spans += [text.original_span(i, i + 1) for i in range(done, start)]
        spans += [_span(text, start, stop)] * (len(new) - begin - end)
        pieces += [old[done:start], new[begin : len(new) - end]]
        done = stop
    if pieces:
        spans += [text.original_span(i, i + 1) for i in range(done, len(old))]
        text.text, text.spans = "".join([*pieces, old[done:]]), spans


def _written(match: re.Match, replacement: str | Callable[[re.Match], str]) -> str:
    if callable(replacement):
        return replacement(match)
    return match.expand(replacement) if "\\" in replacement else replacement  # `expand` takes its time even for that


def _common_ends(old: str, new: str) -> tuple[int, int]:
    """How many characters two strings have in common at the beginning, and at the end of what is left."""
    shorter, begin, end = min(len(old), len(new)), 0, 0
    while begin < shorter and old[begin] == new[begin]:
        begin += 1
    while end < shorter - begin and old[-1 - end] == new[-1 - end]:
        end += 1
    return begin, end


def _span(text: AlignedText, start: int, stop: int) -> tuple[int, int]:
    """Where text[start:stop] came from, also where it is empty."""
    if start < stop:
        return text.original_span(start, stop)
    if start:
        place = text.original_span(start - 1, start)[1]
    else:
        place = text.original_span(0, 1)[0] if text.text else text.first
    return place, place


def rewrite(text: AlignedText, replacement: Callable[[str], str]) -> None:
    """Put replacement(character), none or more characters, in each one's place."""
    pieces = [replacement(character) for character in text.text]
    if not isinstance(text, PlainText):
        text.spans = [text.original_span(i, i + 1) for i, piece in enumerate(pieces) for _ in piece]
    text.text = "".join(pieces)


def strip(text: AlignedText) -> None:
    """text.strip(), in place."""
    bare = text.text.lstrip()
    start = len(text.text) - len(bare)
    text.cut(start, start + len(bare.rstrip()))


def align_words(text: AlignedText, words: list[str]) -> list[AlignedText]:
    """The words that sacremoses cut a text into, with their places.

    They have the text's characters in its order. White space and control characters may be left out, and what else a
    word has ("@-@" for "-") is put in: it has the span of the character beside it.
    """
    if isinstance(text, PlainText):
        return [PlainText(word) for word in words]
    if _DOTS.search(text.text):
        text = AlignedText(text.text, text.spans, text.first)
        substitute(text, _DOTS, lambda match: "." * (len(match[0]) // 3 - 1))
    found, place = [], 0
    for word in words:
        start = _skip(text.text, place, word[:1])
        if text.text.startswith(word, start):
            place = start + len(word)
            found.append(text.slice(start, place))
        else:
            aligned, place = _align_word(text, word, place)
            found.append(aligned)
    return found


def _skip(text: str, place: int, wanted: str) -> int:
    """The next place from which nothing may be left out."""
    while place < len(text) and text[place] != wanted and (text[place].isspace() or text[place] < " "):
        place += 1
    return place


def _align_word(text: AlignedText, word: str, place: int) -> tuple[AlignedText, int]:
    """The word, and the place in the text behind it."""
    spans: list[tuple[int, int] | None] = []
    for character in word:
        start = _skip(text.text, place, character)
        if text.text.startswith(character, start):
            spans.append(text.original_span(start, start + 1))
            place = start + 1
        else:
            spans.append(None)
    known = [span for span in spans if span is not None] or [_span(text, place, place)]
    last = known[0]
    for i, span in enumerate(spans):
        last = spans[i] = last if span is None else span
    return AlignedText(word, spans), place
