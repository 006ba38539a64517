"""Lesson 12: byte-pair encoding and unigrams, trained by hand."""

from collections import Counter

import numpy as np

from ...tokenizers.training import bpe_from_counts
from ..checker import CheckFailed, call, equal, exercise, holds
from .lesson12_unigrams import (  # noqa: F401 (exercises of this lesson)
    WatchedDict,
    check_best_cut,
    check_expected_counts,
    drawn_words,
    letters,
    list_of_pieces,
)


class _WatchedList(list):
    """A list that ends a walk over it which never ends."""

    looked = 0

    def __getitem__(self, place):
        self.looked += 1
        if self.looked > 1000:
            raise CheckFailed(
                f"join_pair has looked a thousand times at its {len(self)} pieces\n"
                "  → the place has to go on in every turn, whether a pair was joined or not"
            )
        return super().__getitem__(place)


@exercise(lesson=12)
def check_join_pair(answer):
    rng = np.random.default_rng()
    a, b, c, d = letters(rng, 4)
    overlapping = "what was joined is joined again: in a a a the pair (a, a) stands once, at the beginning"
    only_first = "only the first place was joined; join all of them"

    def compare(pieces, pair, wanted, mistakes):
        given = _WatchedList(pieces)
        got = list_of_pieces(call(answer, given, pair), "join_pair")
        answer(given, pair)
        holds(given == pieces, "the list that was passed is changed afterwards\n  → make a new list")
        equal(got, wanted, f"join_pair({pieces!r}, {pair!r})", mistakes)

    compare(
        [a, b, c, a, b],
        (a, b),
        [a + b, c, a + b],
        {
            only_first: [a + b, c, a, b],
            "only the last place was joined; join all of them": [a, b, c, a + b],
            "the two pieces stand in one list entry: add the strings, left + right": [(a, b), c, (a, b)],
            "the right piece is still there: after a join go on by two": [a + b, b, c, a + b, b],
            "after a join the right piece was kept as well, and the last piece never looked at": [a + b, b, c, a + b],
            "it ended with the first join; the rest follows": [a + b],
            "the last piece is missing: a pair ends before it, and it has to be kept": [a + b, c],
            "nothing was joined": [a, b, c, a, b],
        },
    )
    compare(
        [a, b, c, d],
        (a, b),
        [a + b, c, d],
        {
            "the last piece is missing: it begins no pair, and it has to be kept": [a + b, c],
            "nothing was joined": [a, b, c, d],
        },
    )
    compare(
        [b, a],
        (a, b),
        [b, a],
        {
            "the order counts: (left, right) is not (right, left)": [b + a],
            "the last piece is missing: it begins no pair, and it has to be kept": [b],
        },
    )
    compare([a] * 3, (a, a), [a + a, a], {overlapping: [a * 3], "it goes from left to right": [a, a + a]})
    compare([a] * 5, (a, a), [a + a, a + a, a], {overlapping: [a * 4, a], only_first: [a + a, a, a, a]})
    compare(
        [a + b, c, a, b + c],
        (a + b, c),
        [a + b + c, a, b + c],
        {"pieces were compared by their joined string: both have to be equal, left and right": [a + b + c, a + b + c]},
    )
    compare(
        [c + a, b, a, b + c],
        (a, b),
        [c + a, b, a, b + c],
        {f"that is a search in one text: {c + a!r} ends with {a!r}, but is another piece": [c + a + b, a + b + c]},
    )
    compare([a], (a, b), [a], {"a word of one piece stays as it is": []})


@exercise(lesson=12)
def check_learn_merges(answer):
    rng = np.random.default_rng()

    def compare(word_counts, number):
        wanted = _library_merges(word_counts)[:number]
        got = call(answer, dict(word_counts), number)
        if isinstance(got, tuple) and any(isinstance(part, dict) for part in got):
            raise CheckFailed(f"learn_merges should return the list of merges and nothing else, but returned {got!r}")
        if isinstance(got, (list, tuple)) and all(isinstance(pair, (list, tuple)) for pair in got):
            got = [tuple(pair) for pair in got]
        shown = word_counts if len(word_counts) < 8 else f"{len(word_counts)} words"
        equal(got, wanted, f"learn_merges({shown}, {number})", _training_mistakes(word_counts, number))

    a, b, c, d = letters(rng, 4)
    few, many = int(rng.integers(2, 5)), int(rng.integers(11, 19))
    compare({a + b + c: few, a + b: few}, 1)
    compare({a + b: many, c + d: few, d + c + d: few, c + d + c: 2 * few}, 2)  # words' counts matter
    first, second, third = sorted((a, b, c))
    compare({third + second: few, first + third: few, second + first: few}, 3)  # ties by number, not by first seen
    # A tie of a new piece, which sorts before a character, and of that character: the new piece has the larger number.
    compare({third + first: few, first + second + third: few, first + second: few + 2}, 2)
    compare({a + b + a + b: few, c + d: few + 1}, 1)  # a pair that stands twice in a word
    compare({a + b: 3}, 5)  # no pair is left
    compare({a * 4 + b: 2, b + a: 1}, 4)
    alphabet = list(letters(rng, 5))
    compare(drawn_words(rng, alphabet, 40), 12)


def _library_merges(word_counts):
    return bpe_from_counts(word_counts, vocab_size=10**6, show_progress=False)[1]


def _training_mistakes(word_counts, number):
    return {
        "each word was counted once; its pairs count as often as the word occurs": lambda: _train(
            dict.fromkeys(word_counts, 1), number
        ),
        "the pairs were counted once, at the beginning; count anew after each merge": lambda: _train_once(
            word_counts, number
        ),
        "the same pair comes again: join it in all words, and begin each time with a new Counter": lambda: _train(
            word_counts, number, joined=False
        ),
        "a pair that stands twice in a word counts twice": lambda: _train(word_counts, number, count=_count_once),
        "equally frequent pairs: the left piece's number decides, and only if that is the same, the right "
        "one's": lambda: _train(word_counts, number, ties="right"),
        "the rarest pair was taken; take the most frequent": lambda: _train(word_counts, number, sign=-1),
        "equally frequent pairs: the one with the smaller numbers goes first, and here it is the one that was seen "
        "first": lambda: _train(word_counts, number, ties="seen"),
        "equally frequent pairs: pieces are compared by their numbers, and here they are compared as strings: new "
        "pieces come behind all characters": lambda: _train(word_counts, number, ties="strings"),
        "equally frequent pairs: the one with the smaller numbers goes first, and here it is the one with the larger "
        "numbers": lambda: _train(word_counts, number, ties="larger"),
        "those are the joined pieces; return the pairs (left, right)": lambda: [
            "".join(pair) for pair in _train(word_counts, number)
        ],
        "one merge too few": lambda: _train(word_counts, number - 1),
        "one merge too many": lambda: _train(word_counts, number + 1),
        "when no pair is left, stop": lambda: _train(word_counts, number)[:-1],
    }


def _train(word_counts, number, sign=1, ties="numbers", joined=True, count=None):
    words = {word: list(word) for word in word_counts}
    numbers = {character: i for i, character in enumerate(sorted(set("".join(word_counts))))}
    keys = {
        "numbers": lambda pair: (numbers[pair[0]], numbers[pair[1]]),
        "right": lambda pair: (numbers[pair[1]], numbers[pair[0]]),
        "larger": lambda pair: (-numbers[pair[0]], -numbers[pair[1]]),
        "strings": lambda pair: pair,
        "seen": lambda pair: (),
    }
    merges = []
    for _ in range(number):
        counts = (count or _count_pairs)(words, word_counts)
        if not counts:
            break
        best = min(counts, key=lambda pair: (-sign * counts[pair], keys[ties](pair)))
        merges.append(best)
        numbers.setdefault("".join(best), len(numbers))
        if joined:
            words = {word: _joined(pieces, best) for word, pieces in words.items()}
    return merges


def _train_once(word_counts, number):
    numbers = {character: i for i, character in enumerate(sorted(set("".join(word_counts))))}
    counts = _count_pairs({word: list(word) for word in word_counts}, word_counts)
    return sorted(counts, key=lambda pair: (-counts[pair], numbers[pair[0]], numbers[pair[1]]))[:number]


def _count_pairs(words, word_counts):
    counts = Counter()
    for word, pieces in words.items():
        for pair in zip(pieces, pieces[1:]):
            counts[pair] += word_counts[word]
    return counts


def _count_once(words, word_counts):
    """Each pair once a word, however often it stands there."""
    counts = Counter()
    for word, pieces in words.items():
        for pair in dict.fromkeys(zip(pieces, pieces[1:])):
            counts[pair] += word_counts[word]
    return counts


def _joined(pieces, pair):
    joined, place = [], 0
    while place < len(pieces):
        if tuple(pieces[place : place + 2]) == pair:
            joined.append(pieces[place] + pieces[place + 1])
            place += 2
        else:
            joined.append(pieces[place])
            place += 1
    return joined


@exercise(lesson=12)
def check_merge_word(answer):
    rng = np.random.default_rng()

    def compare(word, merges, mistakes):
        ranks = {pair: rank for rank, pair in enumerate(merges)}
        wanted = _merged(word, ranks)
        watched = WatchedDict(
            reversed(ranks.items()),  # a pair's place in the dictionary says nothing
            20_000,
            f"merge_word({word!r}, ranks) has asked 20,000 times whether a pair is a merge, and goes on\n"
            "  → each turn looks at the pieces as they are by now, joins two of them (join_pair returns a new list), "
            "and the last one ends where no pair is a merge",
        )
        got = list_of_pieces(call(answer, word, watched), "merge_word")
        if got == _merged(word, ranks, one_by_one=True):
            got = wanted  # where joining all places at once and one by one differ, both are right
        shown = ", ".join("+".join(pair) for pair in merges) if len(merges) < 8 else f"{len(merges)} merges"
        equal(got, wanted, f"merge_word({word!r}, ranks) with the merges {shown}", mistakes)

    a, b, c, d = letters(rng, 4)
    compare(
        a + b + c,
        [(b, c), (a, b), (a + b, d)],
        {
            "the pair with the lowest rank goes first, and not the leftmost, the longest, the one that was learned "
            "last or the one that stands first in the dictionary": [a + b, c],
            "nothing was joined": [a, b, c],
        },
    )
    compare(
        a + b + c + d,
        [(a, b), (c, d), (a + b, c + d)],
        {
            "only one merge was made; go on until no pair is a merge": [a + b, c, d],
            "after the first walk new pairs stand together; go on until no pair is a merge": [a + b, c + d],
            "nothing was joined": [a, b, c, d],
        },
    )
    compare(
        a + b + c,
        [(a, b), (b, c), (c, d), (a, b + c), (b + c, d)],
        {"the longest pieces were taken; the pair with the lowest rank goes first": [a, b + c]},
    )
    compare(
        d + a + b + a + b,
        [(d, a), (a, b), (a + b, a + b)],
        {"the longest piece was taken; the pair with the lowest rank goes first": [d, a + b + a + b]},
    )
    compare(a, [(a, b)], {})
    alphabet = list(letters(rng, 4))
    for word in drawn_words(rng, alphabet, 6, longest=12):
        compare(word, _train(drawn_words(rng, alphabet, 30), 15), {})


def _merged(word, ranks, one_by_one=False):
    pieces = list(word)
    while True:
        known = [(ranks[pair], place) for place, pair in enumerate(zip(pieces, pieces[1:])) if pair in ranks]
        if not known:
            return pieces
        place = min(known)[1]
        if one_by_one:
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        else:
            pieces = _joined(pieces, tuple(pieces[place : place + 2]))
