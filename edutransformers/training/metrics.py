"""Metrics: how good predictions are, as plain counts. Each function takes the true labels first, then the predicted.

For classes: accuracy, precision, recall and F1, Matthews' correlation. For numbers: Pearson's and Spearman's
correlation. For names in a text: entity scores, where an entity counts only if it is found whole. For language models:
perplexity.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

AVERAGES = ("binary", "micro", "macro")

# ---------------------------------------------------------------------------------------------------------------------
# Classes
# ---------------------------------------------------------------------------------------------------------------------


def accuracy(labels, predictions) -> float:
    """The share of predictions that are right."""
    labels, predictions = _pair(labels, predictions)
    return float((labels == predictions).mean())


def confusion_matrix(labels, predictions, num_classes: int | None = None) -> np.ndarray:
    """(C, C) counts: row the true class, column the predicted one. Classes are numbered 0 … C−1.

    num_classes  C (default: the largest number that occurs, and one more)
    """
    labels, predictions = _pair(labels, predictions)
    if labels.dtype.kind not in "biu" or predictions.dtype.kind not in "biu":
        raise ValueError(f"classes must be whole numbers, got {labels.dtype} and {predictions.dtype}")
    lowest, highest = (int(f([f(labels), f(predictions)])) for f in (np.min, np.max))
    count = highest + 1 if num_classes is None else num_classes
    if lowest < 0 or highest >= count:
        raise ValueError(f"the classes run from {lowest} to {highest}: expected numbers from 0 to {count - 1}")
    pairs = labels.astype(np.int64) * count + predictions.astype(np.int64)
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


class Scores(NamedTuple):
    """Shares between 0 and 1."""

    precision: float  # of what was predicted, how much is right
    recall: float  # of what there is, how much was found
    f1: float  # their harmonic mean: high only when both are


def precision_recall_f1(labels, predictions, average: str = "binary") -> Scores:
    """How reliable, and how complete, the predictions of a class are.

        precision = right / predicted     recall = right / there     F1 = 2 right / (predicted + there)

    average  "binary": of class 1, the other being 0. "macro": the mean over all classes that occur, rare ones counting
             as much as frequent ones. "micro": all classes' counts added up first; where every item has one class,
             that is the accuracy.

    A score without anything to divide by is 0.
    """
    if average not in AVERAGES:
        raise ValueError(f"average is {average!r}: expected one of {', '.join(AVERAGES)}")
    counts = confusion_matrix(labels, predictions)
    right, predicted, there = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    if average == "binary":
        if len(counts) > 2:
            raise ValueError(
                f"average='binary' is for classes 0 and 1, but class {len(counts) - 1} occurs: use 'macro' or 'micro'"
            )
        return _scores(*(int(count[1]) if len(count) > 1 else 0 for count in (right, predicted, there)))
    if average == "micro":
        return _scores(int(right.sum()), int(predicted.sum()), int(there.sum()))
    occurring = np.flatnonzero(predicted + there)
    each = [_scores(int(right[c]), int(predicted[c]), int(there[c])) for c in occurring]
    return Scores(*(float(np.mean(column)) for column in zip(*each)))


def matthews_correlation(labels, predictions) -> float:
    """The correlation of true and predicted classes: 1 all right, 0 no better than chance, −1 (two classes) all wrong.

    Unlike accuracy it can't be high because one class is frequent. With c the number of right predictions, s of all, tₖ
    and pₖ how often class k is true and predicted (Gorodkin 2004, equation 8 in counts):

        (c s − Σ tₖ pₖ) / √((s² − Σ pₖ²) (s² − Σ tₖ²)),     0 where that divides by 0
    """
    counts = confusion_matrix(labels, predictions)
    true, predicted = ([int(n) for n in counts.sum(axis=axis)] for axis in (1, 0))  # Python's integers never overflow
    right, total = int(np.trace(counts)), int(counts.sum())
    above = right * total - sum(t * p for t, p in zip(true, predicted))
    below = (total**2 - sum(p * p for p in predicted)) * (total**2 - sum(t * t for t in true))
    return above / math.sqrt(below) if below else 0.0


# ---------------------------------------------------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------------------------------------------------


def pearson_correlation(labels, predictions) -> float:
    """How well a straight line fits: Σ(x − x̄)(y − ȳ) / √(Σ(x − x̄)² Σ(y − ȳ)²). nan if one of the two never changes."""
    x, y = (np.asarray(values, dtype=np.float64) for values in _pair(labels, predictions))
    x, y = x - x.mean(), y - y.mean()
    below = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / below if below else math.nan


def spearman_correlation(labels, predictions) -> float:
    """Pearson's correlation of the ranks: does the order agree, whatever the distances? Equal values share a rank."""
    labels, predictions = _pair(labels, predictions)
    return pearson_correlation(_ranks(labels), _ranks(predictions))


def _ranks(values: np.ndarray) -> np.ndarray:
    """1 for the smallest; equal values all get the mean of their places."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[which]


# ---------------------------------------------------------------------------------------------------------------------
# Entities
# ---------------------------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """The words [start:end) of a text name something of this kind."""

    kind: str
    start: int
    end: int


def entity_spans(tags: Sequence[str]) -> list[Span]:
    """The entities that a text's BIO tags name: ["B-person", "I-person", "O"] -> [Span("person", 0, 2)].

    "B-x" begins an entity, "I-x" goes on with it, "O" is outside. An "I-x" that follows nothing, or another kind,
    begins one too (as in seqeval, whose default this is, and in the CoNLL evaluation before it).

    Raises `ValueError` for any other tag.
    """
    spans, kind, start = [], None, 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, tag_kind = tag.partition("-")
        if tag != "O" and (prefix not in ("B", "I") or not tag_kind):
            raise ValueError(f"the tag {tag!r} is not of the BIO scheme: expected 'O', 'B-<kind>' or 'I-<kind>'")
        if kind is not None and (prefix != "I" or tag_kind != kind):  # the open entity ends before this word
            spans.append(Span(kind, start, place))
            kind = None
        if kind is None and tag != "O":
            kind, start = tag_kind, place
    return spans


def entity_scores(labels: Iterable[Sequence[str]], predictions: Iterable[Sequence[str]]) -> dict[str, Scores]:
    """Precision, recall and F1 of entities: "all" of them together, and each kind by its name.

    labels, predictions  for each text the BIO tags of its words

    A predicted entity is right if one of the same kind begins and ends at the same words; to find half of a name is to
    find nothing and to predict something wrong.
    """
    right, predicted, there = Counter(), Counter(), Counter()
    labels, predictions = list(labels), list(predictions)
    if len(labels) != len(predictions):
        raise ValueError(f"there are tags of {len(labels)} texts, but predicted tags of {len(predictions)}")
    for number, (tags, guess) in enumerate(zip(labels, predictions)):
        if len(tags) != len(guess):
            raise ValueError(f"text {number} has {len(tags)} tags, but {len(guess)} predicted ones")
        true, found = set(entity_spans(tags)), set(entity_spans(guess))
        for counter, spans in ((right, true & found), (predicted, found), (there, true)):
            counter.update(span.kind for span in spans)
    result = {"all": _scores(right.total(), predicted.total(), there.total())}
    return result | {kind: _scores(right[kind], predicted[kind], there[kind]) for kind in sorted(predicted | there)}


# ---------------------------------------------------------------------------------------------------------------------
# Language models
# ---------------------------------------------------------------------------------------------------------------------


def perplexity(loss: float) -> float:
    """exp(loss) of a mean cross-entropy: among how many equally likely words the model, on average, still wavers."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


# ---------------------------------------------------------------------------------------------------------------------
# Shared
# ---------------------------------------------------------------------------------------------------------------------


def _scores(right: int, predicted: int, there: int) -> Scores:
    share = lambda above, below: above / below if below else 0.0  # noqa: E731
    return Scores(share(right, predicted), share(right, there), share(2 * right, predicted + there))


def _pair(labels, predictions) -> tuple[np.ndarray, np.ndarray]:
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 1 or labels.shape != predictions.shape:
        raise ValueError(
            f"labels of shape {labels.shape} and predictions of shape {predictions.shape}: expected two lists of one "
            "length"
        )
    if not len(labels):
        raise ValueError("there are no labels and no predictions: a metric needs at least one of each")
    return labels, predictions
