"""From the labels of word pieces to entities: the aggregation strategies.

    pieces      Micro  ##soft  opens  in  Ber  ##lin        each with a score for every label
    label_words Microsoft      opens  in  Berlin            first, average, max: the pieces of a word agree on a label
    group       [Microsoft] ORG           [Berlin] LOC      neighbours of one label become one entity

Labels follow the BIO scheme: "B-ORG" begins a name, "I-ORG" goes on with it, "O" is outside of all names. Labels that
don't (parts of speech) are treated as if each went on.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import numpy as np


class AggregationStrategy(str, Enum):
    NONE = "none"
    SIMPLE = "simple"
    FIRST = "first"
    AVERAGE = "average"
    MAX = "max"


WORD_STRATEGIES = (AggregationStrategy.FIRST, AggregationStrategy.AVERAGE, AggregationStrategy.MAX)


def aggregation_strategy_of(strategy) -> AggregationStrategy:
    try:
        return AggregationStrategy(strategy.lower() if isinstance(strategy, str) else strategy)
    except ValueError:
        known = ", ".join(repr(member.value) for member in AggregationStrategy)
        raise ValueError(f"aggregation_strategy is {strategy!r}; expected one of {known}") from None


class Piece(NamedTuple):
    """One token of the text. `scores` (labels,) sum to 1; text[start:end] is what it stands for."""

    word: str
    scores: np.ndarray
    start: int
    end: int
    index: int
    is_subword: bool  # it goes on with the word of the piece before it

    def labelled(self, id2label: dict[int, str]) -> dict:
        best = int(self.scores.argmax())
        return {
            "entity": id2label[best],
            "score": float(self.scores[best]),
            "index": self.index,
            "word": self.word,
            "start": self.start,
            "end": self.end,
        }


def label_words(
    pieces: list[Piece], strategy: AggregationStrategy, id2label: dict[int, str], join: Callable[[list[str]], str]
) -> list[dict]:
    """One label for each word. (A window that begins within a word begins a word there.)"""
    words: list[list[Piece]] = []
    for piece in pieces:
        if piece.is_subword and words:
            words[-1].append(piece)
        else:
            words.append([piece])
    return [_label_word(word, strategy, id2label, join) for word in words]


def _label_word(word: list[Piece], strategy, id2label, join) -> dict:
    if strategy is AggregationStrategy.FIRST:
        scores = word[0].scores
    elif strategy is AggregationStrategy.MAX:
        scores = max(word, key=lambda piece: piece.scores.max()).scores
    else:
        scores = np.mean([piece.scores for piece in word], axis=0)
    best = int(scores.argmax())
    return {
        "entity": id2label[best],
        "score": float(scores[best]),
        "word": join([piece.word for piece in word]),
        "start": word[0].start,
        "end": word[-1].end,
    }


def group(entities: list[dict], join: Callable[[list[str]], str]) -> list[dict]:
    """Neighbours of the same label, up to the next "B-", become one entity."""
    groups: list[list[dict]] = []
    for entity in entities:
        begins, tag = tag_of(entity["entity"])
        if groups and not begins and tag == tag_of(groups[-1][-1]["entity"])[1]:
            groups[-1].append(entity)
        else:
            groups.append([entity])
    return [_grouped(entities, join) for entities in groups]


def _grouped(entities: list[dict], join) -> dict:
    return {
        "entity_group": entities[0]["entity"].split("-", 1)[-1],
        "score": float(np.mean([entity["score"] for entity in entities])),
        "word": join([entity["word"] for entity in entities]),
        "start": entities[0]["start"],
        "end": entities[-1]["end"],
    }


def tag_of(label: str) -> tuple[bool, str]:
    """(whether it begins an entity, of which kind): "B-ORG" -> (True, "ORG"), "I-ORG" -> (False, "ORG")."""
    return label.startswith("B-"), label[2:] if label.startswith(("B-", "I-")) else label


def merge_windows(entities: list[dict]) -> list[dict]:
    """Where entities of two windows of a text overlap, the longer one stays; of equally long ones, the surer."""
    merged: list[dict] = []
    for entity in sorted(entities, key=lambda entity: entity["start"]):
        if not merged or not merged[-1]["start"] <= entity["start"] < merged[-1]["end"]:
            merged.append(entity)
            continue
        length, before = (e["end"] - e["start"] for e in (entity, merged[-1]))
        if (length, entity["score"]) > (before, merged[-1]["score"]):
            merged[-1] = entity
    return merged
