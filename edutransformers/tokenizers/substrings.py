"""Substrings that occur more than once in a list of words, all of them at once, by a suffix array.

A suffix array lists the places of a text in the order of what stands there. Places with the same beginning are then
neighbours, so that every repeated substring is a run of neighbours:

    banana$   5 a$   3 ana$   1 anana$   0 banana$   4 na$   2 nana$      "a": the first three, "ana": two of them

Counting the substrings one by one in a dictionary would take memory for each of them, most of which occur once.

Source: Manber and Myers 1990, "Suffix arrays" (with their sorting by doubling).
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


def repeated_substrings_naively(words: Iterable[str], longest: int) -> dict[str, int]:
    """{substring of 2 to `longest` characters: how often it occurs}, of those that `RepeatedSubstrings` has."""
    counts: Counter = Counter()
    followers: dict[str, set[str]] = {}
    for word in words:
        for start in range(len(word)):
            for stop in range(start + 2, min(start + longest, len(word)) + 1):
                counts[word[start:stop]] += 1
                followers.setdefault(word[start:stop], set()).add(word[stop : stop + 1])
    return {piece: count for piece, count in counts.items() if len(followers[piece]) > 1}


class RepeatedSubstrings(NamedTuple):
    """Each of the substrings, of 2 to `longest` characters, that is followed by different characters at its places.

    Where a substring is always followed by the same one, such as "tio" by "n", the longer one says it all. A word's end
    counts as a character, as it does in the original: of what only ever ends words nothing is kept.

    codes   the words' code points (int32), a 0 behind each word
    places  the suffix array: the places of `codes` in the order of what stands there
    first, count, length   of each substring: it stands at places[first : first + count]
    """

    codes: np.ndarray
    places: np.ndarray
    first: np.ndarray
    count: np.ndarray
    length: np.ndarray


def find_repeated_substrings(words: Iterable[str], longest: int) -> RepeatedSubstrings:
    """A code point 0 inside a word ends substrings as a word's end does."""
    text = "\0".join([*words, ""])
    codes = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), np.int32)
    places = suffix_array(codes, longest)
    common = _common_prefixes(codes, places, longest + 1)
    room = _distance_to_zero(codes)[places]
    found = []
    for length in range(2, longest + 1):
        # Runs of places that have this many characters in common; a run that has no more in common ends here.
        is_border = np.concatenate([[True], common < length])[: len(places)]
        first = np.flatnonzero(is_border)
        behind = np.append(first, len(places))[1:]
        exact = np.concatenate([[0], np.cumsum(common == length)])
        chosen = (exact[behind - 1] > exact[first]) & (room[first] >= length)
        first, behind = first[chosen], behind[chosen]
        found.append((first, behind - first, np.full(len(first), length)))
    return RepeatedSubstrings(codes, places, *(np.concatenate(column) for column in zip(*found)))


def suffix_array(codes: np.ndarray, depth: int) -> np.ndarray:
    """The places 0 … n−1 of `codes` in the order of the `depth` codes (or more) that stand there.

    By doubling: where the order by the first k codes is known, a place's rank and the rank k further right give the
    order by 2k codes.
    """
    n, known = len(codes), 1
    rank = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    order = np.argsort(rank, kind="stable")
    while known < depth and n:
        behind = np.zeros(n, np.int64)  # 0: behind the end
        behind[: max(n - known, 0)] = rank[known:] + 1
        key = rank * (n + 1) + behind
        order = np.argsort(key, kind="stable")
        key = key[order]
        rank[order] = np.concatenate([[0], np.cumsum(key[1:] != key[:-1])])
        known *= 2
    return order


def _common_prefixes(codes: np.ndarray, places: np.ndarray, longest: int) -> np.ndarray:
    """How many codes, at most `longest`, each place has in common with the next one of the suffix array."""
    padded = np.concatenate([codes, np.full(longest, -1, codes.dtype)])
    common = np.zeros(max(len(places) - 1, 0), np.int32)
    alike = np.arange(len(common))
    for k in range(longest):
        alike = alike[padded[places[alike] + k] == padded[places[alike + 1] + k]]
        common[alike] += 1
    return common


def _distance_to_zero(codes: np.ndarray) -> np.ndarray:
    """How many codes stand from each place to the next 0."""
    zeros = np.flatnonzero(codes == 0)
    places = np.arange(len(codes))
    return zeros[np.searchsorted(zeros, places)] - places
