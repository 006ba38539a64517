"""Lesson 05: words to ids, WordPiece from scratch, padding and truncation."""

import re
import string
import unicodedata

import numpy as np

from ...tokenizers import BertNormalizer, WordPiece
from ...tokenizers.pre_tokenizers import BertPreTokenizer
from ..checker import CheckFailed, call, equal, exercise, holds
from .lesson05_batches import check_pad_batch, check_truncate_pair  # noqa: F401 (exercises of this lesson)


@exercise(lesson=5)
def check_normalize_text(answer):
    rng = np.random.default_rng()
    normalizer = BertNormalizer()

    def compare(text, mistakes):
        got = call(answer, text)
        holds(isinstance(got, str), f"normalize_text(text) should return a str, but returned a {type(got).__name__}")
        equal(got, normalizer.plain(text), f"normalize_text({text!r})", mistakes)

    word = _letters(rng, 5)
    capitals = word.capitalize() + " " + word.upper()
    compare(capitals, {"capitals are left: the fifth step is missing": capitals})
    spaced = f" {word}\t{word}\n{word}\u00a0{word}\u3000 "
    compare(
        spaced,
        {
            "tabs and line ends are gone: they are control characters, too, and the exception of step 1": (
                f" {word}{word}{word} {word}  "
            ),
            "blanks at the ends are gone; they stay, the next step ignores them": f"{word} {word} {word} {word}",
            "several blanks became one; white space is replaced one for one": f" {word} {word} {word} {word} ",
            "not all white space became a blank: c.isspace() knows all kinds": spaced,
            "white space was dropped; each becomes a blank": word * 4,
        },
    )
    control = "\x00\x07\x0b\u200b\u00ad"
    place = int(rng.integers(1, 4))
    hidden = "".join(f"{word[:place]}{c}{word[place:]} " for c in control)
    compare(
        hidden,
        {
            "control characters are left: drop what has a category that begins with C": hidden.replace("\x0b", " "),
            "control characters are left; drop what has a category that begins with C": hidden,
            "only the category Cc was dropped; the zero-width space has Cf": "".join(
                c for c in hidden if unicodedata.category(c) != "Cc"
            ),
            "control characters became blanks; they are dropped": re.sub(f"[{control}]", " ", hidden),
            r"\x0b, a vertical tab, became a blank: of the control characters only tab, \n and \r are kept": "".join(
                " " if c == "\x0b" else c for c in hidden if c == "\x0b" or not unicodedata.category(c).startswith("C")
            ),
        },
    )
    marked = " ".join(_accented(rng, word) for _ in range(3)) + " " + word[:2] + "\u0301" + word[2:]
    decomposed = unicodedata.normalize("NFD", marked)
    compare(
        marked,
        {
            "accents are left: the fourth step is missing": marked,
            "the accents were taken apart, but not dropped: those characters have the category Mn": decomposed,
            "marks were dropped without decomposing first: é as one character is a letter, not a mark": "".join(
                c for c in marked if unicodedata.category(c) != "Mn"
            ),
            "letters with accents are gone; only the accents should go": "".join(c for c in marked if c.isascii()),
            "accents became blanks or other signs": "".join(c if c.isascii() else " " for c in decomposed),
        },
    )
    foreign = "".join(rng.permutation(list("ßøжλþæﬁ²½")))
    compare(
        foreign,
        {
            "what is not ASCII was dropped; only marks and control characters go": "",
            "NFKD (or NFKC) takes more apart than accents, ﬁ to fi and ² to 2; the form NFD doesn't": "".join(
                c for c in unicodedata.normalize("NFKD", foreign) if unicodedata.category(c) != "Mn"
            ),
        },
    )
    first, second = (chr(code) for code in rng.choice(np.arange(0x4E00, 0x9FA0), 2, replace=False))
    chinese = f"{word}{first}{second}{word}"
    compare(
        chinese,
        {
            "Chinese characters have no blanks around them": chinese,
            "a blank stands only before Chinese characters; one on each side is needed": (
                f"{word} {first} {second}{word}"
            ),
            "a blank stands only behind Chinese characters; one on each side is needed": (
                f"{word}{first} {second} {word}"
            ),
            "between two Chinese characters are two blanks: each has one on each side": (
                f"{word} {first} {second} {word}"
            ),
            "Chinese characters are gone": word * 2,
        },
    )
    compare(f"\u200b {_accented(rng, word).upper()}\n{first}!{word.title()}\t", {})
    compare("", {})


@exercise(lesson=5)
def check_split_words(answer):
    rng = np.random.default_rng()
    splitter = BertPreTokenizer()

    def compare(text):
        got = call(answer, text)
        wanted = splitter.split(text)
        got = _as_pairs(got, "split_words(text)")
        equal(got, wanted, f"split_words({text!r})", _span_mistakes(text, wanted))

    word, other = _letters(rng, 3), _letters(rng, 4)
    mark, second = rng.choice(list("!?.,;:'-#"), 2, replace=False)
    compare(f"{word} {other}")
    compare(f"  {word}   {other} ")
    compare(f"{word}{mark}{other} {word}{mark}{second}")
    compare(f"({word}…{other}){second} ¿{other}?")
    compare(f"{mark}{word}")
    compare(f"{word}{rng.integers(10, 99)} {mark} {mark}")
    compare(f"{word}$+{other}_{word} {other}€~{word}")
    compare("")


def _span_mistakes(text, wanted):
    words = [text[start:stop] for start, stop in wanted]
    between_blanks = [match.span() for match in re.finditer(r"\S+", text)]
    no_marks = [span for span, word in zip(wanted, words) if word.isalnum()]
    runs = _joined(text, wanted)
    return {
        "those are the words; what is asked for is where they are: (start, stop)": words,
        "punctuation stays with the words; each such character is a word of its own": between_blanks,
        "punctuation is missing: each such character is a word of its own": no_marks,
        "neighbouring punctuation characters became one word; each is its own": runs,
        "only ASCII's punctuation was cut off; Unicode's has categories that begin with P": _split_at(
            text, lambda c: c in string.punctuation
        ),
        "only the categories P… were cut off; ASCII's other signs, such as $, + and ^, are punctuation, too": (
            _split_at(text, lambda c: unicodedata.category(c)[0] == "P")
        ),
        "all symbols became words: outside of ASCII only the categories P… do, and € has Sc": _split_at(
            text, lambda c: unicodedata.category(c)[0] in "PS"
        ),
        r"`_` is a letter to \w, and € is apart: ask string.punctuation and the category": [
            match.span() for match in re.finditer(r"\w+|[^\w\s]", text)
        ],
        "a word at the place 0 is missing: `if start:` is false for 0; ask `is not None`": [
            span for span, word in zip(wanted, words) if span[0] or not word.isalnum()
        ],
        "each word was looked for from the text's beginning: one that occurs twice is found in its first place": [
            (text.find(word), text.find(word) + len(word)) for word in words
        ],
        "stop is the place of the last character; it should be the one behind it, as in text[start:stop]": [
            (start, stop - 1) for start, stop in wanted
        ],
        "the last word is missing: the text ended in the middle of it, so keep it behind the loop": wanted[:-1],
        "a blank ends a word only if there is one: several blanks make empty words": lambda: _with_empty(text),
        "the second number is the length; it should be the place behind the word": [
            (start, stop - start) for start, stop in wanted
        ],
    }


def _joined(text, spans):
    """Spans with neighbouring punctuation made one."""
    joined = []
    for start, stop in spans:
        is_mark = not text[start:stop].isalnum()
        if joined and is_mark and joined[-1][1] == start and not text[joined[-1][0] : start].isalnum():
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def _split_at(text, is_mark):
    """Spans of words, where `is_mark` says what is one by itself."""
    spans, start = [], None
    for place, c in enumerate(text):
        if (is_mark(c) or c.isspace()) and start is not None:
            spans.append((start, place))
            start = None
        if is_mark(c):
            spans.append((place, place + 1))
        elif not c.isspace() and start is None:
            start = place
    return spans if start is None else [*spans, (start, len(text))]


def _with_empty(text):
    """What a search without the question "are we in a word?" gives for a text without punctuation."""
    spans, start = [], 0
    for place, c in enumerate(text):
        if c == " ":
            spans.append((start, place))
            start = place + 1
    return [*spans, (start, len(text))]


@exercise(lesson=5)
def check_longest_pieces(answer):
    rng = np.random.default_rng()

    def compare(word, entries, mistakes):
        order = rng.permutation(len(entries))
        vocab = {"[UNK]": 0, **{entries[i]: n for n, i in enumerate(order, 1)}}
        model = WordPiece(vocab)
        wanted = [model.id_to_token[token.id] for token in model.tokenize(word)]
        name = f"longest_pieces({word!r}, vocabulary) with the entries {', '.join(sorted(entries))}"
        general = {
            "those are the ids; the pieces themselves are asked for": [vocab[piece] for piece in wanted],
            "a text was returned; it is a list, also with one piece": wanted[0],
        }
        equal(call(answer, word, vocab), wanted, name, {**mistakes, **general})

    a, b, c, d, e = _letters(rng, 5)
    word = a + b + c + d + e
    no_prefix = "inside a word the entries begin with ##: look up '##' + word[start:stop], and return the piece so"
    compare(
        word,
        [word, a, f"##{b}", word[:2]],
        {
            "the whole word is an entry, and the longest comes first: begin with stop = len(word), and go down": [
                "[UNK]"
            ],
            "the whole word is an entry: begin with stop = len(word), not one less": [word[:2]],
        },
    )
    compare(
        word,
        [a, a + b, f"##{b}", f"##{c}", f"##{c}{d}", f"##{d}", f"##{e}", c + d, e, f"##{d}{e}"],
        {
            "that is the shortest entry at each place; the longest is wanted": [a, *(f"##{x}" for x in word[1:])],
            no_prefix: [a + b, c + d, e],
            "only the first piece was found; go on behind it": [a + b],
        },
    )
    compare(word, [a + b, c + d + e, f"##{c}{d}{e}", c, d, e], {no_prefix: [a + b, c + d + e]})
    compare(
        word,
        [f"##{a}{b}", a, f"##{b}", f"##{b}{c}", f"##{c}", f"##{d}{e}"],
        {"a word's first piece has no ##": [f"##{a}{b}", f"##{c}", f"##{d}{e}"], no_prefix: ["[UNK]"]},
    )
    half = "if some place has no entry the whole word is [UNK], and not only the rest"
    compare(
        word,
        [a + b, f"##{c}", f"##{e}"],
        {
            half: [a + b, f"##{c}", "[UNK]"],
            "at a place without an entry one character was skipped; the whole word is [UNK]": [
                a + b,
                f"##{c}",
                f"##{e}",
            ],
            "one character became [UNK]; the whole word is one [UNK]": [a + b, f"##{c}", "[UNK]", f"##{e}"],
            "what was found before the unknown place was returned; the whole word is [UNK]": [a + b, f"##{c}"],
            "each character became [UNK]; the word is one": ["[UNK]"] * len(word),
            "nothing was returned for an unknown word": [],
        },
    )
    compare(
        a + b + c + d,
        [a + b, a + b + c, f"##{c}{d}"],
        {
            "greedy search never goes back: after the longest piece nothing fits, so the word is [UNK]": [
                a + b,
                f"##{c}{d}",
            ],
            half: [a + b + c, "[UNK]"],
            "what was found before the unknown place was returned; the whole word is [UNK]": [a + b + c],
        },
    )
    compare(a * 4, [a, f"##{a}", f"##{a}{a}"], {"the shortest entries were taken": [a, f"##{a}", f"##{a}", f"##{a}"]})
    compare(
        a, [b, f"##{a}"], {"a word's first piece has no ##": [f"##{a}"], "nothing was returned for an unknown word": []}
    )


# ---------------------------------------------------------------------------------------------------------------------
# Drawing, and reading what was returned
# ---------------------------------------------------------------------------------------------------------------------


def _letters(rng, count: int) -> str:
    """Different lower-case letters."""
    return "".join(rng.choice(list(string.ascii_lowercase), count, replace=False))


def _accented(rng, word: str) -> str:
    """The word with one of its letters' places taken by a letter that is composed with an accent."""
    place = int(rng.integers(len(word)))
    return word[:place] + str(rng.choice(list("éàñüçôíåžř"))) + word[place + 1 :]


def _as_pairs(got, name: str):
    """Lists and arrays of two numbers as tuples; anything else as it is."""
    if isinstance(got, np.ndarray):
        got = got.tolist()
    if not isinstance(got, (list, tuple)):
        raise CheckFailed(f"{name} should be a list, but is a {type(got).__name__}: is it a generator? list(…) it")
    return [tuple(map(int, span)) if _is_pair(span) else span for span in got]


def _is_pair(span) -> bool:
    return (
        isinstance(span, (tuple, list, np.ndarray))
        and len(span) == 2
        and all(isinstance(place, (int, np.integer)) for place in span)
    )
