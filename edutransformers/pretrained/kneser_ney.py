"""A Kneser–Ney model of n-grams: the best that counting does, and so what a small GPT has to beat.

Chen and Goodman 1998, "An Empirical Study of Smoothing Techniques for Language Modeling": interpolated, with three
discounts an order ("modified"). How often a word follows the four before it is counted; what is taken off the rare
counts goes to the words that follow the three before it, and so on down to single words and to no knowledge at all:

    p(w | h) = max(c(h w) − D(c(h w)), 0) / c(h ·)  +  γ(h) p(w | h'),      h' = h without its first word
    γ(h) = Σ_w D(c(h w)) / c(h ·),                                          what the discounts set free

In all orders but the highest, c is not how often h w occurs but how many different words stand before it: "Francisco"
is frequent, but follows only "San". The discounts follow from n_i, the number of n-grams that occur i times:

    Y = n_1 / (n_1 + 2 n_2),   D(i) = i − (i + 1) Y n_{i+1} / n_i   for i = 1, 2 and (from there on) 3

N-grams are numbers (words are their digits), tables are sorted arrays, so that training is a few calls of np.unique.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Order(NamedTuple):
    """What is known of the n-grams of one length; arrays of words come with one of how much they count."""

    grams: np.ndarray  # sorted
    counts: np.ndarray  # c − D(c)
    contexts: np.ndarray  # sorted: the n-grams without their last word
    totals: np.ndarray  # c(h ·)
    freed: np.ndarray  # Σ D(c(h w)) over w


class KneserNey:
    """p(token | up to `order` − 1 tokens before it), from documents of token ids.

    `boundary` is the token before a document's first and behind its last one; no n-gram reaches over it. Ids must be
    below `vocab_size`, and vocab_size ** order below 2 ** 64.
    """

    def __init__(self, documents: Sequence[Sequence[int]], vocab_size: int, order: int = 5, boundary: int = 0):
        if vocab_size**order >= 2**64:
            raise ValueError(f"{order}-grams of {vocab_size} words don't fit in 64 bits; take a lower order")
        self.vocab_size, self.boundary = vocab_size, boundary
        texts = [self._enclose(document) for document in documents]
        seen = [np.unique(_joined(self._grams(t, n) for t in texts), return_counts=True) for n in range(1, order + 1)]
        self.orders = [self._order(n, seen) for n in range(1, order + 1)]

    def log_probabilities(self, document: Sequence[int]) -> np.ndarray:
        """log p of each token of a document and of the boundary behind it: (T + 1,), natural logarithms."""
        text = self._enclose(document)
        p = np.full(len(text) - 1, 1 / self.vocab_size)
        for n, order in enumerate(self.orders, start=1):
            first = max(n - 2, 0)  # near the beginning there are fewer words before
            p[first:] = self._refine(order, self._grams(text, n)[n == 1 :], p[first:])
        return np.log(p)

    def distribution(self, context: Sequence[int]) -> np.ndarray:
        """p of every word after a context: (V,), its sum is 1."""
        words = np.arange(self.vocab_size, dtype=np.uint64)
        p = np.full(self.vocab_size, 1 / self.vocab_size)
        for n, order in enumerate(self.orders[: len(context) + 1], start=1):
            history = np.asarray(context[len(context) - n + 1 :], dtype=np.uint64)
            p = self._refine(order, self._number(history) * np.uint64(self.vocab_size) + words, p)
        return p

    def _refine(self, order: Order, grams: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The formula above: from p(w | h') to p(w | h). A context that never occurred says nothing."""
        place, known = _find(order.contexts, grams // np.uint64(self.vocab_size))
        gram, counted = _find(order.grams, grams)
        share = np.where(counted, order.counts[gram], 0)
        return np.where(known, (share + order.freed[place] * p) / order.totals[place], p)

    def _order(self, n: int, seen: list[tuple[np.ndarray, np.ndarray]]) -> Order:
        grams, counts = seen[n - 1]
        if n < len(seen):
            size = np.uint64(self.vocab_size ** (n - 1))
            before, lefts = np.unique(seen[n][0] % np.uint64(self.vocab_size**n), return_counts=True)
            # Nothing stands before a text's beginning: n-grams from there keep their own counts.
            from_start = (grams // size == self.boundary) & (n > 1)
            grams, inverse = np.unique(np.concatenate([before, grams[from_start]]), return_inverse=True)
            counts = np.bincount(inverse, weights=np.concatenate([lefts, counts[from_start]])).astype(np.int64)
        taken = discounts(counts)[np.minimum(counts, 3)]
        contexts, starts = np.unique(grams // np.uint64(self.vocab_size), return_index=True)
        totals, freed = np.add.reduceat(counts, starts), np.add.reduceat(taken, starts)
        return Order(grams, counts - taken, contexts, totals, freed)

    def _enclose(self, document: Sequence[int]) -> np.ndarray:
        text = np.asarray([self.boundary, *document, self.boundary], dtype=np.uint64)
        if text.max() >= self.vocab_size:
            raise ValueError(f"a document holds {text.max()}, but the vocabulary has {self.vocab_size} entries")
        return text

    def _grams(self, text: np.ndarray, n: int) -> np.ndarray:
        """The n-grams of a text as numbers in base V: (T − n + 1,)"""
        if len(text) < n:
            return np.empty(0, dtype=np.uint64)
        return self._number(np.lib.stride_tricks.sliding_window_view(text, n))

    def _number(self, words: np.ndarray) -> np.ndarray:
        number = np.zeros(words.shape[:-1], dtype=np.uint64)
        for place in range(words.shape[-1]):
            number = number * np.uint64(self.vocab_size) + words[..., place]
        return number


def discounts(counts: np.ndarray) -> np.ndarray:
    """(0, D(1), D(2), D(3)) by the formulas above; where a vocabulary is too small for them, ½, 1 and 1½."""
    n = [int((counts == i).sum()) for i in range(1, 5)]
    if min(n) > 0:
        y = n[0] / (n[0] + 2 * n[1])
        found = np.array([i - (i + 1) * y * n[i] / n[i - 1] for i in range(4)[1:]])
        if (found >= 0).all():
            return np.array([0, *found])
    return np.array([0, 0.5, 1, 1.5])


def _joined(parts) -> np.ndarray:
    return np.concatenate(list(parts))


def _find(table: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(places in a sorted table, whether it is really there)"""
    place = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return place, table[place] == wanted
