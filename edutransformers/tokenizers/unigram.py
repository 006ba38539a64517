"""Unigram: of all the ways to cut a word into pieces of the vocabulary, the most probable one.

Each piece has a log-probability, its score; a cut's score is the sum of its pieces' scores. A word of n characters has
up to 2ⁿ⁻¹ cuts, but the best cut that ends at a place is the best that ends at some earlier place, plus one piece
(Viterbi 1967):

    best[stop] = max over pieces word[start:stop] of  best[start] + score(piece)

which takes n times as many steps as pieces can begin at a place. These are found by walking down a trie of the
vocabulary's characters. `cuts` lists all cuts: the oracle of the tests.

Other than BPE it can also give the second best cut, or draw one: training on drawn cuts makes a model robust.

Source: Kudo 2018, "Subword regularization"; SentencePiece (Kudo and Richardson 2018).
"""

import heapq
import math
import random
from collections.abc import Iterator
from numbers import Real
from typing import NamedTuple

from edutransformers.tokenizers.bpe import ids_of_bytes
from edutransformers.tokenizers.wordpiece import Token, check_vocabulary

UNKNOWN_PENALTY = 10.0  # an unknown character's score is this much below the lowest of the vocabulary


class Edge(NamedTuple):
    """A piece that could stand at word[start:stop]."""

    start: int
    stop: int
    id: int
    score: float


class Unigram:
    """Pieces with scores: `vocab` is a list of (token, log-probability), the place in the list is the id.

    unk_id         the id of the unknown token; None: an unknown character is an error
    byte_fallback  unknown characters become the tokens of their UTF-8 bytes, "<0xE5>", if all are there

    Neighbouring unknown characters make one unknown token. Raises ValueError for an empty vocabulary, a token that
    comes twice, an `unk_id` outside the vocabulary, and an unknown character when there is no unknown token.
    """

    is_random = False

    def __init__(self, vocab: list[tuple[str, float]], unk_id: int | None = None, byte_fallback: bool = False):
        for number, entry in enumerate(vocab):
            if not _is_entry(entry):
                raise ValueError(f"Entry {number} of the vocabulary is {entry!r}; expected (token, log-probability).")
        self.vocab = {token: i for i, (token, _) in enumerate(vocab)}
        check_vocabulary(self.vocab)
        if len(self.vocab) < len(vocab):
            seen: set[str] = set()
            twice = next(token for token, _ in vocab if token in seen or seen.add(token))
            raise ValueError(f"The vocabulary has {twice!r} twice; tokens must be unique.")
        if unk_id is not None and (type(unk_id) is not int or not 0 <= unk_id < len(vocab)):
            raise ValueError(f"unk_id is {unk_id!r}, but the vocabulary has {len(vocab)} entries.")
        self.scores = [float(score) for _, score in vocab]
        self.unk_id = unk_id
        self.byte_fallback = byte_fallback
        self.id_to_token = {i: token for i, (token, _) in enumerate(vocab)}
        self.unknown_score = min(self.scores) - UNKNOWN_PENALTY
        self.trie = _trie(self.vocab)
        self.longest = max(map(len, self.vocab))

    @property
    def unk_token(self) -> str | None:
        return None if self.unk_id is None else self.id_to_token[self.unk_id]

    # ----- the lattice: every piece at every place --------------------------------------------------------------------

    def edges(self, word: str, start: int) -> Iterator[Edge]:
        """The pieces that can begin at `start`, the shortest first; an unknown one where no single character fits."""
        has_character = False
        node = self.trie
        for stop in range(start + 1, len(word) + 1):
            node = node.get(word[stop - 1])
            if node is None:
                break
            i = node.get("")
            if i is not None:
                has_character = has_character or stop == start + 1
                yield Edge(start, stop, i, self.scores[i])
        if not has_character:
            yield self._unknown_edge(word, start)

    def _unknown_edge(self, word: str, start: int) -> Edge:
        if self.unk_id is None:
            raise ValueError(
                f"The character {word[start]!r} of {word[:40]!r} is not in the vocabulary, and there is no unknown "
                "token: pass unk_id."
            )
        return Edge(start, start + 1, self.unk_id, self.unknown_score)

    def cuts(self, word: str, start: int = 0) -> Iterator[list[Edge]]:
        """Every cut of word[start:]. There are many: for short words only."""
        if start == len(word):
            yield []
            return
        for edge in self.edges(word, start):
            for rest in self.cuts(word, edge.stop):
                yield [edge, *rest]

    def best_cut(self, word: str) -> list[Edge]:
        """The cut with the highest score; of equal ones that whose last piece is the longest, and so on."""
        best = [0.0, *[-math.inf] * len(word)]
        last: list[tuple | None] = [None] * (
            len(word) + 1
        )  # (start, id, score) of the piece that ends the best cut here
        scores = self.scores
        for start in range(len(word)):
            # `edges`, with no object for each: hardly any of them is part of the best cut.
            so_far, node, has_character = best[start], self.trie, False
            for stop, character in enumerate(word[start : start + self.longest], start + 1):
                node = node.get(character)
                if node is None:
                    break
                i = node.get("")
                if i is not None:
                    has_character = has_character or stop == start + 1
                    score = scores[i]
                    if last[stop] is None or so_far + score > best[stop]:
                        best[stop], last[stop] = so_far + score, (start, i, score)
            if not has_character:
                _, stop, i, score = self._unknown_edge(word, start)
                if last[stop] is None or so_far + score > best[stop]:
                    best[stop], last[stop] = so_far + score, (start, i, score)
        cut, stop = [], len(word)
        while stop > 0:
            start, i, score = last[stop]
            cut.append(Edge(start, stop, i, score))
            stop = start
        return cut[::-1]

    def n_best_cuts(self, word: str, n: int) -> list[tuple[float, list[Edge]]]:
        """The n cuts with the highest scores, best first, with their scores.

        The same recursion, keeping at each place the n best ways to get there: (score, piece, which of the ways to the
        piece's start).
        """
        if n < 1:
            raise ValueError(f"n is {n}: expected 1 cut or more.")
        ways: list[list[tuple[float, Edge | None, int]]] = [[] for _ in range(len(word) + 1)]
        ways[0] = [(0.0, None, 0)]
        for start in range(len(word)):
            ways[start] = heapq.nlargest(n, ways[start], key=lambda way: way[0])
            for edge in self.edges(word, start):
                ways[edge.stop] += [
                    (so_far + edge.score, edge, rank) for rank, (so_far, _, _) in enumerate(ways[start])
                ]
        best = []
        for score, edge, rank in heapq.nlargest(n, ways[-1], key=lambda way: way[0]):
            cut = []
            while edge is not None:
                cut.append(edge)
                _, edge, rank = ways[edge.start][rank]
            best.append((score, cut[::-1]))
        return best

    def draw_cut(self, word: str, alpha: float, generator: random.Random) -> list[Edge]:
        """A cut drawn from all of them, each with a probability in proportion to exp(alpha · score).

        alpha=1 draws from the model's own distribution; 0 takes all cuts as equally likely; towards infinity only the
        best one is drawn. Forward: the log of the summed weight of all cuts up to each place. Backward: draw the last
        piece by its share in the sum, then the one before it.
        """
        arriving: list[list[tuple[float, Edge]]] = [[] for _ in range(len(word) + 1)]
        total = [0.0] + [-math.inf] * len(word)
        for start in range(len(word) + 1):
            if start:
                total[start] = _log_sum_exp([weight for weight, _ in arriving[start]])
            if start < len(word):
                for edge in self.edges(word, start):
                    arriving[edge.stop].append((total[start] + alpha * edge.score, edge))
        cut, stop = [], len(word)
        while stop > 0:
            weights = [math.exp(weight - total[stop]) for weight, _ in arriving[stop]]
            (edge,) = generator.choices([edge for _, edge in arriving[stop]], weights)
            cut.append(edge)
            stop = edge.start
        return cut[::-1]

    # ----- tokens -----------------------------------------------------------------------------------------------------

    def tokenize(self, word: str) -> list[Token]:
        return self.tokens_of(word, self.best_cut(word))

    def sample(self, word: str, nbest_size: int = -1, alpha: float = 0.1, generator=random) -> list[Token]:
        """A drawn cut as tokens: from the `nbest_size` best cuts, or from all of them (−1)."""
        if nbest_size < 0:
            return self.tokens_of(word, self.draw_cut(word, alpha, generator))
        cuts = self.n_best_cuts(word, max(1, nbest_size))
        weights = [math.exp(alpha * (score - cuts[0][0])) for score, _ in cuts]
        (drawn,) = generator.choices([cut for _, cut in cuts], weights)
        return self.tokens_of(word, drawn)

    def tokens_of(self, word: str, cut: list[Edge]) -> list[Token]:
        """Tokens of a cut: neighbouring unknown characters fused, or written as bytes."""
        tokens, place = [], 0
        while place < len(cut):
            edge = cut[place]
            place += 1
            if edge.id != self.unk_id:
                tokens.append(Token(edge.id, edge.start, edge.stop))
                continue
            stop = edge.stop
            while place < len(cut) and cut[place].id == self.unk_id:
                stop = cut[place].stop
                place += 1
            tokens += self._unknown(word[edge.start : stop], edge.start, stop)
        return tokens

    def _unknown(self, text: str, start: int, stop: int) -> list[Token]:
        if text in self.vocab:  # the unknown token itself, written out in the text
            return [Token(self.vocab[text], start, stop)]
        if self.byte_fallback:
            of_bytes = ids_of_bytes(text, self.vocab)
            if of_bytes is not None:
                return [Token(i, start, stop) for i in of_bytes]
        return [Token(self.unk_id, start, stop, text)]

    def to_json(self) -> dict:
        vocab = [[token, self.scores[i]] for token, i in self.vocab.items()]
        return {"type": "Unigram", "unk_id": self.unk_id, "vocab": vocab, "byte_fallback": self.byte_fallback}

    @classmethod
    def from_json(cls, part: dict) -> "Unigram":
        return cls(part["vocab"], part.get("unk_id"), part.get("byte_fallback", False))


def _is_entry(entry) -> bool:
    """Whether this is (token, log-probability); the first may be any string, the second any finite number."""
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        return False
    token, score = entry
    return isinstance(token, str) and isinstance(score, Real) and math.isfinite(score)


def _trie(vocab: dict[str, int]) -> dict:
    """{character: {character: ... {"": id}}}: the tokens that begin a text are found by walking down its characters."""
    trie: dict = {}
    for token, i in vocab.items():
        node = trie
        for character in token:
            node = node.setdefault(character, {})
        if token:
            node[""] = i
    return trie


def _log_sum_exp(values: list[float]) -> float:
    largest = max(values)
    return largest + math.log(sum(math.exp(value - largest) for value in values))
