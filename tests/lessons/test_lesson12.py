"""Lesson 12's checkers: merging, training BPE, cutting by ranks, Viterbi, expected counts."""

import math
from collections import Counter

import numpy as np

from edutransformers.tokenizers import Unigram
from edutransformers.tokenizers.bpe import merge_naively
from edutransformers.tokenizers.training import bpe_from_counts
from edutransformers.tokenizers.unigram_training import expected_counts_naively
from tests.lessons.common import suite_of


def join(pieces, pair, step=2, last=True, most=100):
    joined, place = [], 0
    while place < len(pieces):
        if tuple(pieces[place : place + 2]) == tuple(pair) and most:
            joined.append(pieces[place] + pieces[place + 1])
            place += step
            most -= 1
        else:
            if last or place + 1 < len(pieces):
                joined.append(pieces[place])
            place += 1
    return joined


def join_recursively(pieces, pair):
    if len(pieces) < 2:
        return list(pieces)
    if (pieces[0], pieces[1]) == pair:
        return [pieces[0] + pieces[1], *join_recursively(pieces[2:], pair)]
    return [pieces[0], *join_recursively(pieces[1:], pair)]


def join_with_a_mark(pieces, pair):
    """A piece that was joined is marked, so that it isn't joined again."""
    joined, fresh = [], False
    for piece in pieces:
        if joined and not fresh and joined[-1] == pair[0] and piece == pair[1]:
            joined[-1] += piece
            fresh = True
        else:
            joined.append(piece)
            fresh = False
    return tuple(joined)


def join_over_pairs(pieces, pair):
    if tuple(pair) not in list(zip(pieces, pieces[1:])):
        return list(pieces)
    return [a + b if (a, b) == tuple(pair) else a for a, b in zip(pieces, pieces[1:])]


def join_for_ever(pieces, pair):
    joined, place = [], 0
    while place < len(pieces):
        if tuple(pieces[place : place + 2]) == tuple(pair):
            joined.append(pieces[place] + pieces[place + 1])
            place += 2
        else:
            joined.append(pieces[place])
    return joined


def join_again(pieces, pair):
    joined = []
    for piece in pieces:
        if joined and set(joined[-1]) == set(pair[0]) and len(joined[-1]) >= len(pair[0]) and (pair[1] == piece):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def join_in_place(pieces, pair):
    place = 0
    while place + 1 < len(pieces):
        if (pieces[place], pieces[place + 1]) == pair:
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        place += 1
    return pieces


def join_by_strings(pieces, pair):
    joined, place = [], 0
    while place < len(pieces):
        if "".join(pieces[place : place + 2]) == "".join(pair):
            joined.append("".join(pair))
            place += 2
        else:
            joined.append(pieces[place])
            place += 1
    return joined


def train(word_counts, number, weighted=True, sign=1, anew=True, key=None):
    words = {word: list(word) for word in word_counts}
    numbers = {character: i for i, character in enumerate(sorted(set("".join(word_counts))))}
    key = key or (lambda pair, numbers: (numbers[pair[0]], numbers[pair[1]]))
    merges, counts = [], Counter()
    for turn in range(number):
        if anew or not turn:
            counts = Counter()
            for word, pieces in words.items():
                for pair in zip(pieces, pieces[1:]):
                    counts[pair] += word_counts[word] if weighted else 1
        if not counts:
            break
        best = min(counts, key=lambda pair: (-sign * counts[pair], key(pair, numbers)))
        if not anew:
            del counts[best]
        merges.append(best)
        numbers.setdefault("".join(best), len(numbers))
        words = {word: join(pieces, best) for word, pieces in words.items()}
    return merges


def train_once_a_word(word_counts, number):
    words, merges = {word: list(word) for word in word_counts}, []
    numbers = {character: i for i, character in enumerate(sorted(set("".join(word_counts))))}
    for _ in range(number):
        counts = Counter()
        for word, pieces in words.items():
            counts.update(dict.fromkeys(zip(pieces, pieces[1:]), word_counts[word]))
        if not counts:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], numbers[pair[0]], numbers[pair[1]])))
        numbers.setdefault("".join(merges[-1]), len(numbers))
        words = {word: join(pieces, merges[-1]) for word, pieces in words.items()}
    return merges


def train_by_the_library(word_counts, number):
    return bpe_from_counts(word_counts, vocab_size=10_000, show_progress=False)[1][:number]


def train_with_a_list(word_counts, number):
    """Words as a list, pieces' numbers by their places in a list, pairs as lists."""
    words, counts = [list(word) for word in word_counts], list(word_counts.values())
    tokens, merges = sorted({character for word in words for character in word}), []
    while len(merges) < number:
        pairs = {}
        for word, count in zip(words, counts):
            for i in range(len(word) - 1):
                pairs[word[i], word[i + 1]] = pairs.get((word[i], word[i + 1]), 0) + count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], -tokens.index(pair[0]), -tokens.index(pair[1])))
        merges.append(list(best))
        tokens.append(best[0] + best[1])
        words = [join_recursively(word, best) for word in words]
    return merges


def merge(word, ranks, choose=min, once=False):
    pieces = list(word)
    while True:
        known = [pair for pair in zip(pieces, pieces[1:]) if pair in ranks]
        if not known:
            return pieces
        pieces = join(pieces, choose(known, key=ranks.get))
        if once:
            return pieces


def merge_one_by_one(word, ranks):
    tokens = sorted({*word, *(piece for pair in ranks for piece in (*pair, "".join(pair)))})
    ids = {token: i for i, token in enumerate(tokens)}
    merges = {(ids[a], ids[b]): (rank, ids[a + b]) for (a, b), rank in ranks.items()}
    return [tokens[i] for i in merge_naively([ids[character] for character in word], merges)]


def merge_through_the_list(word, ranks):
    pieces = list(word)
    for pair in sorted(ranks, key=ranks.get):
        pieces = join(pieces, pair)
    return tuple(pieces)


def merge_from_the_left(word, ranks):
    pieces, place = list(word), 0
    while place + 1 < len(pieces):
        if (pieces[place], pieces[place + 1]) in ranks:
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
            place = 0
        else:
            place += 1
    return pieces


def merge_the_longest(word, ranks):
    known = {"".join(pair) for pair in ranks} | set(word)
    pieces, start = [], 0
    while start < len(word):
        stop = next(stop for stop in range(len(word), start, -1) if word[start:stop] in known)
        pieces.append(word[start:stop])
        start = stop
    return pieces


def merge_in_order(word, ranks):
    pieces = list(word)
    for pair in ranks:
        pieces = join(pieces, pair)
    return pieces


def merge_for_ever(word, ranks):
    pieces = list(word)
    while any(pair in ranks for pair in zip(pieces, pieces[1:])):
        join(pieces, min((pair for pair in zip(pieces, pieces[1:]) if pair in ranks), key=ranks.get))
    return pieces


def best_of_all_cuts(word, scores):
    def search(rest):
        ends = [stop for stop in range(1, len(rest) + 1) if rest[:stop] in scores]
        found = [[rest[:stop], *search(rest[stop:])] for stop in ends]
        return max(found, key=lambda cut: sum(scores[piece] for piece in cut), default=[])

    return search(word)


def cut_by_last_pieces(word, scores):
    """At each place the last piece with the best score of its own, from the end."""
    if len(word) < 8:
        return viterbi(word, scores)
    starts = [start for start in range(len(word)) if word[start:] in scores]
    start = min(starts, key=lambda start: scores[word[start:]])
    rest = word[:start]
    return [*(viterbi(rest, scores) if rest else []), word[start:]]


def viterbi(word, scores):
    best = {0: (0.0, [])}
    for stop in range(1, len(word) + 1):
        ways = [
            (best[start][0] + scores[word[start:stop]], [*best[start][1], word[start:stop]])
            for start in range(stop)
            if word[start:stop] in scores
        ]
        best[stop] = max(ways)
    return best[len(word)][1]


def viterbi_forward(word, scores):
    best, begins = np.full(len(word) + 1, -np.inf), [0] * (len(word) + 1)
    best[0] = 0
    for start in range(len(word)):
        for stop in range(start + 1, len(word) + 1):
            score = scores.get(word[start:stop])
            if score is not None and best[start] + score > best[stop]:
                best[stop], begins[stop] = best[start] + score, start
    cut, stop = (), len(word)
    while stop:
        cut, stop = (word[begins[stop] : stop], *cut), begins[stop]
    return cut


def library_cut(word, scores):
    model = Unigram([("<unk>", 0.0), *scores.items()], unk_id=0)
    return [model.id_to_token[edge.id] for edge in model.best_cut(word)]


def greedy(word, scores, key=len):
    pieces, start = [], 0
    while start < len(word):
        ends = [stop for stop in range(start + 1, len(word) + 1) if word[start:stop] in scores]
        stop = max(ends, key=lambda stop: key(word[start:stop]) if key is len else scores[word[start:stop]])
        pieces.append(word[start:stop])
        start = stop
    return pieces


def cuts(word, pieces):
    if not word:
        return [[]]
    ends = [stop for stop in range(1, len(word) + 1) if word[:stop] in pieces]
    return [[word[:stop], *rest] for stop in ends for rest in cuts(word[stop:], pieces)]


def count_cuts(word, p, share=lambda weights: weights / weights.sum(), times=list.count, log_z=None):
    found = cuts(word, p)
    weights = np.array([math.prod(p[piece] for piece in cut) for cut in found])
    counts = {}
    for cut, weight in zip(found, share(weights)):
        for piece in set(cut):
            counts[piece] = counts.get(piece, 0.0) + weight * times(cut, piece)
    return (math.log(weights.sum()) if log_z is None else log_z(weights)), counts


def best_only(weights):
    return (np.arange(len(weights)) == weights.argmax()).astype(float)


def count_by_walks(word, p, assign=False):
    n = len(word)
    alpha, beta = np.zeros(n + 1), np.zeros(n + 1)
    alpha[0] = beta[n] = 1
    for stop in range(1, n + 1):
        alpha[stop] = sum(alpha[start] * p.get(word[start:stop], 0) for start in range(stop))
    for start in reversed(range(n)):
        beta[start] = sum(beta[stop] * p.get(word[start:stop], 0) for stop in range(start + 1, n + 1))
    counts = Counter()
    for start in range(n):
        for stop in range(start + 1, n + 1):
            piece = word[start:stop]
            if piece in p:
                part = alpha[start] * p[piece] * beta[stop] / alpha[n]
                counts[piece] = part if assign else counts[piece] + part
    return np.log(alpha[n]), counts


def walks(word, p, to=0, back=1, keep=1.0, turn=-1):
    """expected_counts; `to` and `back` say at which end of an arc alpha and d_alpha are taken."""
    n = len(word)
    arcs = [(start, stop) for stop in range(1, n + 1) for start in range(stop) if word[start:stop] in p]
    alpha, d_alpha, counts = [1.0] + [0.0] * n, [0.0] * (n + 1), Counter()
    for start, stop in arcs:
        alpha[stop] += alpha[start] * p[word[start:stop]]
    d_alpha[n] = 1 / alpha[n]
    for arc in arcs[::turn]:
        piece = word[slice(*arc)]
        d_alpha[arc[0]] = keep * d_alpha[arc[0]] + d_alpha[arc[1]] * p[piece]
        counts[piece] += alpha[arc[to]] * p[piece] * d_alpha[arc[back]]
    return math.log(alpha[n]), counts


def library_counts(word, p):
    model = Unigram([("<unk>", 0.0), *((piece, math.log(value)) for piece, value in p.items())], unk_id=0)
    log_z, counts = expected_counts_naively(model, {word: 1})
    return [log_z, {model.id_to_token[i]: np.float32(count) for i, count in counts.items()}]


def numerical_counts(word, p):
    """The gradient of log Z, by central differences: it is the expected count."""

    def log_z(p):
        return count_by_walks(word, p)[0]

    h = 1e-4
    return log_z(p), {
        piece: (log_z({**p, piece: value * math.exp(h)}) - log_z({**p, piece: value * math.exp(-h)})) / (2 * h)
        for piece, value in p.items()
    }


RIGHT = {
    "join_pair": {
        "a walk": join,
        "recursively": join_recursively,
        "a mark, a tuple": join_with_a_mark,
    },
    "learn_merges": {
        "counting anew": train,
        "the library's": train_by_the_library,
        "lists": train_with_a_list,
    },
    "merge_word": {
        "lowest rank": merge,
        "the leftmost one by one": merge_one_by_one,
        "through the whole list": merge_through_the_list,
    },
    "best_cut": {
        "whole cuts kept": viterbi,
        "forward, a tuple": viterbi_forward,
        "the library's": library_cut,
    },
    "expected_counts": {
        "two walks": count_by_walks,
        "all cuts": count_cuts,
        "the numerical gradient of log Z": numerical_counts,
        "the library's, float32": lambda word, p: _widened(library_counts(word, p)),
    },
}

WRONG = {
    "join_pair": {
        "the last missing": (lambda pieces, pair: join(pieces, pair, last=False), "the last piece is missing"),
        "step of one": (lambda pieces, pair: join(pieces, pair, step=1), "go on by two"),
        "the first only": (lambda pieces, pair: join(pieces, pair, most=1), "only the first place"),
        "again": (join_again, "what was joined is joined again"),
        "in place": (join_in_place, "make a new list"),
        "by strings": (join_by_strings, "both have to be equal"),
        "nothing": (lambda pieces, pair: list(pieces), "nothing was joined"),
        "over pairs": (join_over_pairs, "the right piece was kept as well"),
        "ends early": (lambda pieces, pair: join(pieces, pair)[:1], "it ended with the first join"),
        "in one text": (
            lambda pieces, pair: " ".join(pieces).replace(" ".join(pair), "".join(pair)).split(),
            "that is a search in one text",
        ),
        "a text": (lambda pieces, pair: "".join(join(pieces, pair)), "but returned the one text"),
        "for ever": (join_for_ever, "has to go on in every turn"),
    },
    "learn_merges": {
        "words once": (lambda words, n: train(words, n, weighted=False), "each word was counted once"),
        "pairs counted once": (lambda words, n: train(words, n, anew=False), "count anew after each merge"),
        "the rarest": (lambda words, n: train(words, n, sign=-1), "the rarest pair"),
        "first seen": (lambda words, n: train(words, n, key=lambda pair, numbers: ()), "that was seen first"),
        "as strings": (lambda words, n: train(words, n, key=lambda pair, numbers: pair), "compared as strings"),
        "joined": (lambda words, n: ["".join(pair) for pair in train(words, n)], "return the pairs"),
        "never joined": (lambda words, n: [train(words, 1)[0]] * n, "the same pair comes again"),
        "with the words": (lambda words, n: (train(words, n), {}), "the list of merges and nothing else"),
        "once a word": (train_once_a_word, "a pair that stands twice in a word"),
        "right number first": (
            lambda words, n: train(words, n, key=lambda pair, numbers: (numbers[pair[1]], numbers[pair[0]])),
            "the left piece's number decides",
        ),
        "one too few": (lambda words, n: train(words, n)[: n - 1], "one merge too few"),
    },
    "merge_word": {
        "from the left": (merge_from_the_left, "the pair with the lowest rank goes first"),
        "highest rank": (lambda word, ranks: merge(word, ranks, choose=max), "the lowest"),
        "once": (lambda word, ranks: merge(word, ranks, once=True), "go on until no pair is a merge"),
        "the longest": (merge_the_longest, "the pair with the lowest rank goes first"),
        "not at all": (lambda word, ranks: list(word), "nothing was joined"),
        "order of the dictionary": (merge_in_order, "stands first in the dictionary"),
        "a text": (lambda word, ranks: " ".join(merge(word, ranks)), "but returned the one text"),
        "for ever": (merge_for_ever, "joins two of them"),
    },
    "best_cut": {
        "longest first": (greedy, "only the whole sum counts"),
        "best next": (lambda word, scores: greedy(word, scores, key=None), "only the whole sum counts"),
        "backwards": (lambda word, scores: viterbi(word, scores)[::-1], "turn them round"),
        "characters": (lambda word, scores: list(word), "is a longer piece ever tried?"),
        "all cuts": (best_of_all_cuts, "it seems to go through all cuts"),
        "no piece": (lambda word, scores: [word], "has no score, so it is no piece"),
        "with the score": (lambda word, scores: (viterbi(word, scores), 0.0), "and nothing else"),
        "not the best": (cut_by_last_pieces, "that is a cut, but not the best"),
        "the last missing": (lambda word, scores: viterbi(word, scores)[:-1], "the last piece is missing"),
        "the first missing": (lambda word, scores: viterbi(word, scores)[1:], "the first piece is missing"),
    },
    "expected_counts": {
        "the best cut": (lambda word, p: count_cuts(word, p, share=best_only), "only the best cut was counted"),
        "no shares": (lambda word, p: count_cuts(word, p, share=lambda w: w), "divide by Z"),
        "all alike": (
            lambda word, p: count_cuts(word, p, share=lambda w: np.full(len(w), 1 / len(w))),
            "it counts by its probability",
        ),
        "assigned": (lambda word, p: count_by_walks(word, p, assign=True), "only a piece's last arc was kept"),
        "once a cut": (
            lambda word, p: count_cuts(word, p, times=lambda cut, piece: 1),
            "counts twice",
        ),
        "Z": (lambda word, p: count_cuts(word, p, log_z=np.sum), "that is Z; its logarithm is wanted"),
        "best score": (
            lambda word, p: count_cuts(word, p, log_z=lambda w: math.log(w.max())),
            "that is the best cut's score",
        ),
        "base 10": (
            lambda word, p: count_cuts(word, p, log_z=lambda w: math.log10(w.sum())),
            "that is the logarithm to base 10",
        ),
        "sum of pieces": (
            lambda word, p: (
                math.log(sum(p.get(word[i:j], 0.0) for j in range(len(word) + 1) for i in range(j))),
                count_cuts(word, p)[1],
            ),
            "a cut's is a product of them",
        ),
        "alpha behind the arc": (lambda word, p: walks(word, p, to=1), "end where it starts"),
        "d_alpha before the arc": (lambda word, p: walks(word, p, back=0), "begin where it stops"),
        "d_alpha overwritten": (lambda word, p: walks(word, p, keep=0.0), "d_alpha[start] was overwritten"),
        "left to right": (lambda word, p: walks(word, p, turn=1), "d_alpha comes from the end"),
        "counts only": (lambda word, p: count_cuts(word, p)[1], "expected two things"),
    },
}


def _widened(result):
    return result[0], {piece: float(count) for piece, count in result[1].items()}


test_right, test_wrong, test_complete = suite_of(12, RIGHT, WRONG)
