"""Lesson 05's checkers: normalizing, splitting, cutting into pieces, truncating, padding."""

import re
import string
import unicodedata

import numpy as np

from edutransformers.tokenizers import BertNormalizer, WordPiece
from edutransformers.tokenizers.pre_tokenizers import BertPreTokenizer
from tests.lessons.common import suite_of


def is_chinese(c):
    return "\u3400" <= c <= "\u4dbf" or "\u4e00" <= c <= "\u9fff" or "\uf900" <= c <= "\ufaff"


def normalize(
    text, accents="NFD", lower=True, control="C", blanks=" {} ", space=str.isspace, marks=True, excepted="\t\n\r"
):
    kept = []
    for c in text:
        if control and unicodedata.category(c).startswith(control) and c not in excepted:
            continue
        if space(c):
            kept.append(" ")
        elif is_chinese(c):
            kept.append(blanks.format(c))
        else:
            kept.append(c)
    text = "".join(kept)
    if accents:
        text = unicodedata.normalize(accents, text)
    if marks:
        text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    return text.lower() if lower else text


def normalize_by_steps(text):
    text = text.lower()
    text = re.sub(r"[\t\n\r]", " ", text)
    text = "".join(c for c in text if unicodedata.category(c)[0] != "C")
    text = re.sub(r"\s", " ", text)
    text = re.sub("([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])", r" \1 ", text)
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def normalize_blanks_first(text):
    return normalize("".join(" " if c.isspace() else c for c in text))


def is_mark(c):
    return c in string.punctuation or unicodedata.category(c).startswith("P")


def split_step_by_step(text, is_mark=is_mark):
    spans, start = [], 0
    while start < len(text):
        stop = start + 1
        if not text[start].isspace():
            while (
                not is_mark(text[start]) and stop < len(text) and not text[stop].isspace() and not is_mark(text[stop])
            ):
                stop += 1
            spans.append((start, stop))
        start = stop
    return spans


def split_by_blanks_put_around(text):
    """Words of the text with blanks around punctuation, each found again."""
    words = "".join(f" {c} " if is_mark(c) else c for c in text).split()
    spans, place = [], 0
    for word in words:
        start = text.index(word, place)
        place = start + len(word)
        spans.append([start, place])
    return spans


def split_if_start(text):
    return [(a, b) for a, b in split_step_by_step(text) if a or is_mark(text[0])]


def split_found_again(text):
    words = [text[a:b] for a, b in split_step_by_step(text)]
    return [(text.find(word), text.find(word) + len(word)) for word in words]


def split_without_the_last(text):
    spans, start = [], None
    for place, c in enumerate(text):
        if is_mark(c) or c.isspace():
            if start is not None:
                spans.append((start, place))
            start = None
            if is_mark(c):
                spans.append((place, place + 1))
        elif start is None:
            start = place
    return spans


def split_with_empty_words(text):
    spans, start = [], 0
    for place, c in enumerate(text):
        if is_mark(c) or c.isspace():
            spans.append((start, place))
            if is_mark(c):
                spans.append((place, place + 1))
            start = place + 1
    return [*spans, (start, len(text))]


def library_pieces(word, vocabulary):
    model = WordPiece(vocabulary)
    return [model.id_to_token[token.id] for token in model.tokenize(word)]


def pieces(word, vocabulary, prefix="##", shown="##", longest=True, unknown=lambda found: ["[UNK]"]):
    found, start = [], 0
    while start < len(word):
        stops = range(len(word), start, -1) if longest else range(start + 1, len(word) + 1)
        inside = prefix if start else ""
        stop = next((stop for stop in stops if inside + word[start:stop] in vocabulary), None)
        if stop is None:
            return unknown(found)
        found.append((shown if start else "") + word[start:stop])
        start = stop
    return found


def pieces_recursively(word, vocabulary, prefix=""):
    for stop in range(len(word), 0, -1):
        if prefix + word[:stop] in vocabulary:
            rest = pieces_recursively(word[stop:], vocabulary, "##") if stop < len(word) else []
            return ["[UNK]"] if "[UNK]" in rest else [prefix + word[:stop], *rest]
    return ["[UNK]"]


def pieces_that_go_back(word, vocabulary, prefix=""):
    if not word:
        return []
    for stop in range(len(word), 0, -1):
        if prefix + word[:stop] in vocabulary:
            rest = pieces_that_go_back(word[stop:], vocabulary, "##")
            if rest != ["[UNK]"]:
                return [prefix + word[:stop], *rest]
    return ["[UNK]"]


def truncate(first, second, room):
    first, second = first[:], second[:]
    for _ in range(len(first) + len(second) - room):
        (first if len(first) > len(second) else second).pop()
    return first, second


def truncate_other_ties(first, second, room):
    while len(first) + len(second) > room:
        if len(first) >= len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    return [first, second]


def truncate_by_counting(first, second, room):
    short = min(len(first), len(second), room // 2)
    if len(first) <= len(second):
        m = short
        n = min(len(second), room - m)
    else:
        n = short
        m = min(len(first), room - n)
    return np.array(first[:m], int), np.array(second[:n], int)


def truncate_in_place(first, second, room):
    while len(first) + len(second) > room:
        (first if len(first) > len(second) else second).pop()
    return first, second


def truncate_once(first, second, room):
    if len(first) + len(second) > room:
        return (first[:-1], second) if len(first) > len(second) else (first, second[:-1])
    return first, second


def truncate_all_at_once(first, second, room):
    excess = len(first) + len(second) - room
    if excess <= 0:
        return first, second
    if len(first) > len(second):
        return first[: len(first) - excess], second
    return first, second[: len(second) - excess]


def truncate_both_alike(first, second, room):
    excess = max(len(first) + len(second) - room, 0)
    return first[: len(first) - (excess - excess // 2)], second[: len(second) - excess // 2]


def truncate_at_the_front(first, second, room):
    m, n = map(len, truncate(first, second, room))
    return first[len(first) - m :], second[len(second) - n :]


def pad(rows, pad_id, side="right", fill=None, dtype=int):
    T = max(map(len, rows))
    ids = np.full((len(rows), T), pad_id if fill is None else fill, dtype=dtype)
    mask = np.zeros((len(rows), T), dtype=int)
    for b, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(T - len(row), T)
        ids[b, place], mask[b, place] = row, 1
    return ids, mask


def pad_lists(rows, pad_id, side="right"):
    T = max(map(len, rows))
    ids, mask = [], []
    for row in rows:
        filler, nothing = [pad_id] * (T - len(row)), [0] * (T - len(row))
        ids.append(row + filler if side == "right" else filler + row)
        mask.append([1] * len(row) + nothing if side == "right" else nothing + [1] * len(row))
    return ids, mask


def pad_with_booleans(rows, pad_id, side="right"):
    ids, mask = pad(rows, pad_id, side)
    return ids.astype(np.int32), mask.astype(bool)


def pad_in_place(rows, pad_id, side="right"):
    T = max(map(len, rows))
    mask = []
    for row in rows:
        missing = T - len(row)
        mask.append([1] * len(row) + [0] * missing)
        if side == "left":
            mask[-1] = mask[-1][::-1]
        row[len(row) if side == "right" else 0 : 0 if side == "left" else None] = [pad_id] * missing
    return np.array(rows), np.array(mask)


def mask_of_ids(rows, pad_id, side="right"):
    ids, _ = pad(rows, pad_id, side)
    return ids, (ids != pad_id).astype(int)


RIGHT = {
    "normalize_text": {
        "the library's": lambda text: BertNormalizer().plain(text),
        "character by character": normalize,
        "lower case first, regular expressions": normalize_by_steps,
    },
    "split_words": {
        "the library's": lambda text: BertPreTokenizer().split(text),
        "step by step": split_step_by_step,
        "blanks put around, found again, as lists": split_by_blanks_put_around,
        "an array": lambda text: np.array(split_step_by_step(text)).reshape(-1, 2),
    },
    "longest_pieces": {
        "the library's": library_pieces,
        "two loops": pieces,
        "recursively": pieces_recursively,
        "a tuple": lambda word, vocabulary: tuple(pieces(word, vocabulary)),
    },
    "truncate_pair": {
        "one by one": truncate,
        "other ties, lists": truncate_other_ties,
        "by counting, arrays": truncate_by_counting,
    },
    "pad_batch": {
        "arrays": pad,
        "lists": pad_lists,
        "int32 and booleans": pad_with_booleans,
        "in place": pad_in_place,
    },
}

WRONG = {
    "normalize_text": {
        "capitals": (lambda text: normalize(text, lower=False), "the fifth step is missing"),
        "no exceptions": (lambda text: normalize(text, excepted=""), "the exception of step 1"),
        "blanks before controls": (normalize_blanks_first, "a vertical tab, became a blank"),
        "NFKD": (lambda text: normalize(text, accents="NFKD"), "takes more apart than accents"),
        "stripped": (lambda text: normalize(text).strip(), "blanks at the ends are gone"),
        "joined blanks": (lambda text: re.sub(" +", " ", normalize(text)), "replaced one for one"),
        "controls kept": (lambda text: normalize(text, control=None), "control characters are left"),
        "only Cc": (lambda text: normalize(text, control="Cc"), "the zero-width space has Cf"),
        "accents kept": (lambda text: normalize(text, accents=None, marks=False), "accents are left"),
        "not decomposed": (lambda text: normalize(text, accents=None), "without decomposing first"),
        "marks kept": (lambda text: normalize(text, marks=False), "but not dropped"),
        "Chinese glued": (lambda text: normalize(text, blanks="{}"), "no blanks around"),
        "Chinese half": (lambda text: normalize(text, blanks=" {}"), "one on each side is needed"),
        "ASCII only": (
            lambda text: normalize(text).encode("ascii", "ignore").decode() if text else "",
            "what is not ASCII was dropped",
        ),
        "not written": (lambda text: (_ for _ in ()).throw(NotImplementedError("x")), "is not written yet"),
    },
    "split_words": {
        "words": (lambda text: [text[a:b] for a, b in split_step_by_step(text)], "where they are: (start, stop)"),
        "at blanks": (lambda text: [m.span() for m in re.finditer(r"\S+", text)], "punctuation stays with the words"),
        "the last missing": (split_without_the_last, "the last word is missing"),
        "last place": (lambda text: [(a, b - 1) for a, b in split_step_by_step(text)], "the one behind it"),
        "lengths": (lambda text: [(a, b - a) for a, b in split_step_by_step(text)], "the second number is the length"),
        "empty words": (split_with_empty_words, "several blanks make empty words"),
        "only P": (
            lambda text: split_step_by_step(text, lambda c: unicodedata.category(c)[0] == "P"),
            "only the categories P… were cut off",
        ),
        "P and S": (
            lambda text: split_step_by_step(text, lambda c: unicodedata.category(c)[0] in "PS"),
            "all symbols became words",
        ),
        "only ASCII": (lambda text: split_step_by_step(text, string.punctuation.__contains__), "only ASCII's"),
        "\\w": (lambda text: [m.span() for m in re.finditer(r"\w+|[^\w\s]", text)], "`_` is a letter to"),
        "if start": (split_if_start, "`if start:` is false for 0"),
        "found again": (split_found_again, "found in its first place"),
        "a generator": (lambda text: iter(split_step_by_step(text)), "list(…) it"),
        "no punctuation": (
            lambda text: [(a, b) for a, b in split_step_by_step(text) if not is_mark(text[a])],
            "punctuation is missing",
        ),
        "runs": (
            lambda text: [m.span() for m in re.finditer(r"[^\W_]+|[^\w\s]+", text)],
            "neighbouring punctuation characters became one word",
        ),
    },
    "longest_pieces": {
        "no prefix": (lambda word, v: pieces(word, v, prefix="", shown=""), "inside a word the entries begin with ##"),
        "shortest": (lambda word, v: pieces(word, v, longest=False), "begin with stop = len(word), and go down"),
        "returned without ##": (lambda word, v: pieces(word, v, shown=""), "and return the piece so"),
        "half a word": (
            lambda word, v: pieces(word, v, unknown=lambda found: [*found, "[UNK]"]),
            "and not only the rest",
        ),
        "what was found": (lambda word, v: pieces(word, v, unknown=lambda found: found), "before the unknown place"),
        "ids": (lambda word, v: [v[piece] for piece in pieces(word, v)], "those are the ids"),
        "a text": (lambda word, v: ["[UNK]", pieces(word, v)][pieces(word, v) != ["[UNK]"]], "a text was returned"),
        "going back": (pieces_that_go_back, "greedy search never goes back"),
        "endless, cut short": (lambda word, v: pieces(word, v)[:1], "only the first piece was found"),
    },
    "truncate_pair": {
        "not at all": (lambda a, b, room: (a, b), "nothing was cut"),
        "the first only": (lambda a, b, room: (a[: max(room - len(b), 0)], b), "only the first text was cut"),
        "the second only": (lambda a, b, room: (a, b[: max(room - len(a), 0)]), "only the second text was cut"),
        "halves": (lambda a, b, room: (a[: room // 2], b[: room // 2]), "the shorter one may stay whole"),
        "halves if it must": (
            lambda a, b, room: (a, b) if len(a) + len(b) <= room else (a[: room // 2], b[: room // 2]),
            "the shorter one may stay whole",
        ),
        "each by itself": (lambda a, b, room: (a[:room], b[:room]), "together they must fit"),
        "the front": (truncate_at_the_front, "ids were taken off the beginning"),
        "in place": (truncate_in_place, "work on copies"),
        "once": (truncate_once, "`while` until both fit"),
        "one text only": (truncate_all_at_once, "must be asked again after each id"),
        "both alike": (truncate_both_alike, "the same number was taken off both"),
        "the first, then the second": (
            lambda a, b, room: (a[:room], b[: max(room - len(a), 0)]),
            "the first text filled the room",
        ),
        "special tokens counted": (lambda a, b, room: truncate(a, b, room - 3), "for these ids alone"),
        "one too many": (lambda a, b, room: truncate(a, b, room - 1), "one id too many"),
        "one list": (lambda a, b, room: a[:room], "should return two lists"),
    },
    "pad_batch": {
        "zeros": (lambda rows, pad_id, side="right": pad(rows, pad_id, side, fill=0), "filled up with 0"),
        "side": (lambda rows, pad_id, side="right": pad(rows, pad_id, "right"), "padding is on the other side"),
        "inverted": (lambda rows, pad_id, side="right": _inverted(pad(rows, pad_id, side)), "the other way round"),
        "mask of ids": (mask_of_ids, "use the lengths"),
        "ones": (lambda rows, pad_id, side="right": _of_ones(pad(rows, pad_id, side)), "says 1 everywhere"),
        "floats": (lambda rows, pad_id, side="right": pad(rows, pad_id, side, dtype=float), "no whole numbers"),
        "swapped": (lambda rows, pad_id, side="right": pad(rows, pad_id, side)[::-1], "return ids, mask"),
        "ids only": (lambda rows, pad_id, side="right": pad(rows, pad_id, side)[0], "expected 2 things"),
    },
}


def _inverted(batch):
    return batch[0], 1 - batch[1]


def _of_ones(batch):
    return batch[0], np.ones_like(batch[1])


test_right, test_wrong, test_complete = suite_of(5, RIGHT, WRONG)
