"""Lesson 12, its second half: the best cut, and what EM counts."""

import math
import string

import numpy as np

from ...tokenizers import Unigram
from ...tokenizers.unigram_training import expected_counts_naively
from ..checker import CheckFailed, call, equal, exercise, holds, same


class WatchedDict(dict):
    """A dictionary that ends a search in it which never ends, saying `words`."""

    def __init__(self, items, most: int, words: str):
        super().__init__(items)
        self.looked, self.most, self.words = 0, most, words

    def _look(self):
        self.looked += 1
        if self.looked > self.most:
            raise CheckFailed(self.words)

    def __contains__(self, key):
        self._look()
        return super().__contains__(key)

    def __getitem__(self, key):
        self._look()
        return super().__getitem__(key)

    def get(self, key, default=None):
        self._look()
        return super().get(key, default)


def list_of_pieces(got, name: str) -> list:
    if isinstance(got, str):
        raise CheckFailed(f"{name} should return a list of pieces, but returned the one text {got!r}")
    if not isinstance(got, (list, tuple)) or any(isinstance(piece, list) for piece in got):
        raise CheckFailed(f"{name} should return a list of pieces and nothing else, but returned {got!r}")
    return list(got)


@exercise(lesson=12)
def check_best_cut(answer):
    rng = np.random.default_rng()

    def compare(word, scores, mistakes):
        watched = WatchedDict(
            scores,
            50_000,
            f"best_cut has asked for the scores of 50,000 pieces, for a word of {len(word)} characters\n"
            "  → it seems to go through all cuts, or never to end; two loops over places ask for less than a thousand",
        )
        got = list_of_pieces(call(answer, word, watched), "best_cut")
        model = _unigram(scores)
        wanted = [model.id_to_token[edge.id] for edge in model.best_cut(word)]
        if all(piece in scores for piece in got) and "".join(got) == word:
            best = sum(scores[piece] for piece in wanted)
            mine = sum(scores[piece] for piece in got)
            if math.isclose(mine, best, rel_tol=1e-9):
                wanted = got  # as good: the same pieces in another order, for example
            mistakes = {
                **mistakes,
                f"that is a cut, but not the best: its score is {mine:.3f}, that of the best cut {best:.3f}": got,
            }
        unknown = [piece for piece in got if piece not in scores]
        if unknown:
            mistakes = {**mistakes, f"{unknown[0]!r} has no score, so it is no piece": got}
        shown = {piece: round(score, 2) for piece, score in scores.items()} if len(scores) < 9 else "scores"
        equal(got, wanted, f"best_cut({word!r}, {shown})", mistakes)

    a, b, c, d = letters(rng, 4)
    low, high = -5 - rng.random(), -1 - rng.random()
    characters = {letter: low - 0.1 * i for i, letter in enumerate((a, b, c, d))}
    backwards = "the pieces are in the wrong order: they were collected from the end, so turn them round"
    compare(
        a + b + c + d,
        {**characters, a + b: high, c + d: high - 0.5},
        {
            backwards: [c + d, a + b],
            "those are the single characters; is a longer piece ever tried?": [a, b, c, d],
            "the last piece is missing: follow the notes until the place is 0": [a + b],
            "the first piece is missing: follow the notes until the place is 0": [c + d],
            "the lowest sum of scores was taken; the highest is wanted": [a, b, c, d],
        },
    )
    compare(
        a + b + c,
        {**characters, a + b: high, b + c: high + 0.3, a: high - 0.2, c: low - 3},
        {
            "at each place the longest or the best next piece was taken; only the whole sum counts": [a + b, c],
            backwards: [b + c, a],
        },
    )
    compare(
        a + b + c,
        {**characters, a + b + c: 4 * low, a + b: high},
        {"the longest piece was taken; its score may be worse than that of two": [a + b + c], backwards: [c, a + b]},
    )
    compare(a, {a: low}, {"a word of one character is cut into that": []})
    alphabet = list(letters(rng, 4))
    for word in drawn_words(rng, alphabet, 4, longest=9):
        compare(word, _drawn_scores(rng, alphabet, word), {})
    long = "".join(rng.choice(alphabet, 40))
    compare(long, _drawn_scores(rng, alphabet, long[:12]), {})
    compare((a + b) * 20, {a: low, b: low - 0.1, a + b: high, b + a: high - 0.2, a + b + a: high - 0.5}, {})


@exercise(lesson=12)
def check_expected_counts(answer):
    rng = np.random.default_rng()
    alphabet = list(letters(rng, 3))
    a, b, c = alphabet
    x, y = 0.2 + 0.1 * rng.random(2)
    cases = [
        (a + b, {a: x, b: y, a + b: 0.3, c: 0.1}),
        (a + b + a, {a: x, b: y, a + b: 0.2, b + a: 0.1, c: 0.1}),
        (a * 4, {a: x, a * 2: y, b: 0.3}),
    ]
    for size in (6, 8):
        word = "".join(rng.choice(alphabet, size))
        cases.append((word, {piece: math.exp(score) for piece, score in _drawn_scores(rng, alphabet, word).items()}))
    for word, p in cases:
        pieces = list(p)
        log_z, wanted = _expected(word, p)
        got = call(answer, word, dict(p))
        if not isinstance(got, (tuple, list)) or len(got) != 2 or not hasattr(got[1], "get"):
            raise CheckFailed("expected two things, log Z and a dictionary {piece: expected count}")
        cuts = _cuts(word, p)
        weights = np.array([math.prod(p[piece] for piece in cut) for cut in cuts])
        best = cuts[int(weights.argmax())]
        name = f"expected_counts({word!r}, p)"
        same(
            got[0],
            log_z,
            f"log Z, the first result of {name},",
            mistakes={
                "that is Z; its logarithm is wanted": math.exp(log_z),
                "that is the logarithm to base 10; natural ones are meant": log_z / math.log(10),
                "those are the pieces' own probabilities, added up; a cut's is a product of them": math.log(
                    sum(p.get(word[i:j], 0.0) for j in range(len(word) + 1) for i in range(j))
                ),
                "the sign is wrong: Z is below 1, so log Z is negative": -log_z,
                "that is the best cut's score; Z sums over all cuts": math.log(weights.max()),
                "that is the sum of log P over the cuts; add the probabilities first, then take the logarithm": (
                    np.log(weights).sum()
                ),
                "that is the logarithm to base 2; natural ones are meant": log_z / math.log(2),
                "the cuts were counted, and their probabilities play no part": math.log(len(cuts)),
            },
            tolerance=1e-5,
        )
        unknown = [piece for piece in got[1] if piece not in p]
        holds(not unknown, f"the counts of {name} have {unknown[:3]}, which are no pieces of p")
        shares = weights / weights.sum()
        z = weights.sum()

        def of(shares, cuts=cuts, pieces=pieces, times=list.count):
            return [sum(share * times(cut, piece) for share, cut in zip(shares, cuts)) for piece in pieces]

        same(
            [float(got[1].get(piece, 0.0)) for piece in pieces],
            of(shares),
            f"the counts of {name} for the pieces {', '.join(pieces[:8])}{' …' if len(pieces) > 8 else ''}",
            mistakes={
                "only the best cut was counted; each cut counts by its share": [best.count(piece) for piece in pieces],
                "the shares are missing: divide by Z, so that the cuts' shares add up to 1": of(weights),
                "it was divided by Z twice": of(shares / z),
                "every cut counts the same here; it counts by its probability": of(np.full(len(cuts), 1 / len(cuts))),
                "a piece that is twice in a cut counts twice; its arcs' parts add up": of(
                    shares, times=lambda cut, piece: int(piece in cut)
                ),
                "only a piece's last arc was kept; its arcs' parts add up: counts[piece] += …": _one_arc(
                    word, p, pieces, last=True
                ),
                "only a piece's first arc was kept; its arcs' parts add up: counts[piece] += …": _one_arc(
                    word, p, pieces, last=False
                ),
                "alpha of the arc's end was taken; the ways *to* the arc end where it starts": _by_walks(
                    word, p, pieces, lambda alpha, d_alpha, start, stop: alpha[stop] * d_alpha[stop]
                ),
                "d_alpha of the arc's start was taken; the ways *from* it begin where it stops": _by_walks(
                    word, p, pieces, lambda alpha, d_alpha, start, stop: alpha[start] * d_alpha[start]
                ),
                "d_alpha[start] was overwritten; all arcs that begin there add to it": _by_walks(
                    word, p, pieces, lambda alpha, d_alpha, start, stop: alpha[start] * d_alpha[stop], assign=True
                ),
                "the second walk went from left to right; d_alpha comes from the end": _by_walks(
                    word, p, pieces, lambda alpha, d_alpha, start, stop: alpha[start] * d_alpha[stop], backward=False
                ),
                "p(e) is missing: an arc's part is alpha[start] · p(e) · d_alpha[stop]": [
                    count / p[piece] for piece, count in zip(pieces, of(shares))
                ],
                "the counts are probabilities here, divided by their sum; that is the M-step, over all words": np.array(
                    of(shares)
                )
                / sum(of(shares)),
            },
            tolerance=1e-5,
        )


def _expected(word, p):
    model = _unigram({piece: math.log(value) for piece, value in p.items()})
    log_z, counts = expected_counts_naively(model, {word: 1})
    return log_z, {model.id_to_token[i]: count for i, count in counts.items()}


def _by_walks(word, p, pieces, part, assign=False, backward=True):
    """The two walks of Exercise 5 with an arc's part made in another way, or with d_alpha wrong."""
    n = len(word)
    arcs = [(start, stop) for stop in range(1, n + 1) for start in range(stop) if word[start:stop] in p]
    alpha, d_alpha, counts = [1.0] + [0.0] * n, [0.0] * (n + 1), {}
    for start, stop in arcs:
        alpha[stop] += alpha[start] * p[word[start:stop]]
    d_alpha[n] = 1 / alpha[n]
    for start, stop in reversed(arcs) if backward else arcs:
        piece = word[start:stop]
        d_alpha[start] = d_alpha[stop] * p[piece] + (0.0 if assign else d_alpha[start])
        counts[piece] = counts.get(piece, 0.0) + p[piece] * part(alpha, d_alpha, start, stop)
    return [counts.get(piece, 0.0) for piece in pieces]


def _one_arc(word, p, pieces, last):
    """The counts if of each piece only one arc is kept."""
    n = len(word)
    alpha, beta = np.zeros(n + 1), np.zeros(n + 1)
    alpha[0] = beta[n] = 1
    arcs = [(start, stop) for stop in range(1, n + 1) for start in range(stop) if word[start:stop] in p]
    for start, stop in arcs:
        alpha[stop] += alpha[start] * p[word[start:stop]]
    for start, stop in reversed(arcs):
        beta[start] += beta[stop] * p[word[start:stop]]
    parts = {}
    for start, stop in arcs if last else reversed(arcs):
        piece = word[start:stop]
        parts[piece] = alpha[start] * p[piece] * beta[stop] / alpha[n]
    return [parts.get(piece, 0.0) for piece in pieces]


def letters(rng, count: int) -> str:
    """Different lower-case letters."""
    return "".join(rng.choice(list(string.ascii_lowercase), count, replace=False))


def drawn_words(rng, alphabet, count: int, longest: int = 7) -> dict[str, int]:
    """{word: count} of words over a small alphabet, so that pairs come again."""
    words = {"".join(rng.choice(alphabet, rng.integers(3, longest + 1))) for _ in range(count)}
    return {word: int(rng.integers(1, 20)) for word in sorted(words)}


def _drawn_scores(rng, alphabet, word: str) -> dict[str, float]:
    """Log-probabilities of all characters and about half of the word's substrings of two to four characters."""
    found = {word[start : start + size] for start in range(len(word)) for size in (2, 3, 4)}
    chosen = [piece for piece in sorted(found) if len(piece) > 1 and rng.random() < 0.6]
    pieces = list(dict.fromkeys([*alphabet, *chosen]))
    return dict(zip(pieces, np.log(rng.dirichlet(np.full(len(pieces), 2.0))).tolist()))


def _unigram(scores: dict[str, float]) -> Unigram:
    return Unigram([("<unk>", 0.0), *scores.items()], unk_id=0)


def _cuts(word: str, pieces) -> list[list[str]]:
    if not word:
        return [[]]
    ends = [stop for stop in range(1, len(word) + 1) if word[:stop] in pieces]
    return [[word[:stop], *rest] for stop in ends for rest in _cuts(word[stop:], pieces)]
