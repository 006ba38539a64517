"""How Whisper's transcripts are compared: punctuation, case, spelling and ways to write numbers are taken off both.

The word error rate of a transcript counts what was misheard, and "Mr. Smith paid $20." and "mister smith paid twenty
dollars" are the same to the ear. `EnglishTextNormalizer` makes the same text of both; `BasicTextNormalizer`, for all
languages, takes off case and punctuation only.

Source: Radford et al. 2022, "Robust speech recognition via large-scale weak supervision", section 4.4 and appendix C,
and its released normalizers.
"""

import re
import unicodedata

from edutransformers.tokenizers.classes.whisper_numbers import EnglishNumberNormalizer

# Letters with marks in them that Unicode doesn't decompose.
_LETTERS = str.maketrans(
    {
        "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "ß": "ss", "ẞ": "SS", "đ": "d", "Đ": "D",
        "ð": "d", "Ð": "D", "þ": "th", "Þ": "th", "ł": "l", "Ł": "L",
    }
)  # fmt: skip

_TITLES = {
    "mr": "mister", "mrs": "missus", "st": "saint", "dr": "doctor", "prof": "professor", "capt": "captain",
    "gov": "governor", "ald": "alderman", "gen": "general", "sen": "senator", "rep": "representative",
    "pres": "president", "rev": "reverend", "hon": "honorable", "asst": "assistant", "assoc": "associate",
    "lt": "lieutenant", "col": "colonel", "jr": "junior", "sr": "senior", "esq": "esquire",
}  # fmt: skip
_WHOLE_WORDS = {
    "won't": "will not", "can't": "can not", "let's": "let us", "ain't": "aint", "y'all": "you all",
    "wanna": "want to", "gotta": "got to", "gonna": "going to", "i'ma": "i am going to", "imma": "i am going to",
    "woulda": "would have", "coulda": "could have", "shoulda": "should have", "ma'am": "madam",
}  # fmt: skip
# At a word's end. What "'s" and "'d" stand for depends on the word behind, so those with one come first.
_ENDINGS = {
    "'d been": " had been", "'s been": " has been", "'d gone": " had gone", "'s gone": " has gone",
    "'d done": " had done", "'s got": " has got", "n't": " not", "'re": " are", "'s": " is", "'d": " would",
    "'ll": " will", "'t": " not", "'ve": " have", "'m": " am",
}  # fmt: skip
_SHORT_FORMS = [
    *((re.compile(rf"\b{short}\b"), long) for short, long in _WHOLE_WORDS.items()),
    *((re.compile(rf"\b{short}\b"), long + " ") for short, long in _TITLES.items()),
    *((re.compile(rf"{short}\b"), long) for short, long in _ENDINGS.items()),
]

_IN_NUMBERS = ".%$¢€£"  # symbols that mean something beside digits


def without_symbols(text: str) -> str:
    """Marks, symbols and punctuation become blanks; letters keep their accents (NFKC)."""
    return "".join(" " if unicodedata.category(c)[0] in "MSP" else c for c in unicodedata.normalize("NFKC", text))


def without_symbols_and_accents(text: str, keep: str = "") -> str:
    """The same, and letters lose their accents (NFKD). The characters of `keep` stay."""

    def plain(character: str) -> str:
        if character in keep:
            return character
        if ord(character) in _LETTERS:
            return character.translate(_LETTERS)
        category = unicodedata.category(character)
        return "" if category == "Mn" else " " if category[0] in "MSP" else character

    return "".join(map(plain, unicodedata.normalize("NFKD", text)))


def _without_remarks(text: str) -> str:
    """Without what stands in brackets, which nobody said: "[laughter] (inaudible) well" -> "  well"."""
    return re.sub(r"\(([^)]+?)\)", "", re.sub(r"[<\[][^>\]]*[>\]]", "", text))


class BasicTextNormalizer:
    """Lower case, without remarks in brackets, symbols and needless blanks.

    remove_diacritics   "é" becomes "e"; in many languages that makes other words
    split_letters       a blank between any two letters, for languages that write none between words
    """

    def __init__(self, remove_diacritics: bool = False, split_letters: bool = False):
        self.remove_diacritics = remove_diacritics
        self.split_letters = split_letters

    def __call__(self, text: str) -> str:
        text = _without_remarks(text.lower())
        text = (without_symbols_and_accents if self.remove_diacritics else without_symbols)(text).lower()
        if self.split_letters:
            import regex

            text = " ".join(regex.findall(r"\X", text))
        return re.sub(r"\s+", " ", text)


class EnglishTextNormalizer:
    """English in lower case and without symbols, short forms written out, numbers in digits, American spelling.

    english_spelling_mapping   {British spelling: American spelling}, a checkpoint's normalizer.json

    >>> EnglishTextNormalizer({"colour": "color"})("Mr. Lee's got twenty-one pots, uh, of colour!")
    'mister lee has got 21 pots of color'
    """

    def __init__(self, english_spelling_mapping: dict[str, str]):
        self.spelling = english_spelling_mapping
        self.numbers = EnglishNumberNormalizer()

    def __call__(self, text: str) -> str:
        text = _without_remarks(text.lower())
        text = re.sub(r"\b(hmm|mm|mhm|mmm|uh|um)\b", "", text)
        text = re.sub(r"\s+'", "'", text)
        for short_form, long_form in _SHORT_FORMS:
            text = short_form.sub(long_form, text)
        text = re.sub(r"(\d),(\d)", r"\1\2", text)  # 1,000
        text = re.sub(r"\.([^0-9]|$)", r" \1", text)  # a point that is none of a number
        text = self.numbers(without_symbols_and_accents(text, keep=_IN_NUMBERS))
        text = " ".join(self.spelling.get(word, word) for word in text.split())
        # symbols that turned out not to stand beside digits
        text = re.sub(r"[.$¢€£]([^0-9])", r" \1", text)
        text = re.sub(r"([^0-9])%", r"\1 ", text)
        return re.sub(r"\s+", " ", text)
