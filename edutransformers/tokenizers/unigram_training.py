"""Training a Unigram vocabulary: start with far too many pieces, again and again drop those that matter least.

A text is taken to come about by drawing pieces one after the other, each by itself, with probabilities p. A word's
probability is the sum over all its cuts, and the best p makes the words, each as often as it occurs, most probable:

    L(p) = Σ_words count · log Z(word)         Z(word) = Σ_cuts Π_pieces p(piece)

Nobody tells which cut was drawn, so p is found by expectation maximization:

    E  c(piece) = Σ_words count · E[how often the piece is in the word's cut]      (lattices.py: the gradient of log Z)
    M  p(piece) = exp(ψ(c(piece)) − ψ(Σ c))        ψ: the digamma function

c / Σ c would be the maximum of L. exp(ψ(c)) is about c − 1/2 for large c and far less for small c, so that rare pieces
fade: it is the mean of log p under a Dirichlet distribution instead of its most probable value ("sparse prior"). Pieces
with c < 1/2 go at once.

**Pruning.** How much likelihood would be lost without a piece? Its occurrences in the best cuts, freq of them, would be
written by its alternative, the best cut of the piece's own characters into others:

    loss = freq / Σ count · (log p(piece) − Σ log p(alternative's pieces))

with p by relative frequencies, in the second term after the alternative has taken over. Those with the smallest loss
go, until `shrinking_factor` of the vocabulary is left; then EM again, until it has 1.1 · vocab_size pieces. Characters
have no alternative and stay.

**Where it starts**: all characters and the repeated substrings with the highest (occurrences · length); substrings.py.

Source: Kudo 2018, "Subword regularization", section 3.2; its code, SentencePiece (Kudo and Richardson 2018); the prior:
Liang and Klein 2007, "Structured Bayesian nonparametric models with variational inference".
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from edutransformers.tokenizers.lattices import Matches, lattices_in_blocks, ranges
from edutransformers.tokenizers.substrings import RepeatedSubstrings, find_repeated_substrings
from edutransformers.tokenizers.unigram import UNKNOWN_PENALTY, Unigram

FEWEST = 0.5  # pieces that are expected less often vanish
UNKNOWN = 0  # the id, while training, of every character that has no piece of its own
CHARACTER_PENALTY = 0.0001  # between the scores of characters that training had dropped and that come back


# ----- by hand -------------------------------------------------------------------------------------------------------


def expected_counts_naively(model: Unigram, word_counts: dict[str, int]) -> tuple[float, dict[int, float]]:
    """(L, {id: expected count}), by looking at every cut of every word."""
    log_likelihood, expected = 0.0, defaultdict(float)
    for word, count in word_counts.items():
        cuts = list(model.cuts(word))
        weights = [math.exp(sum(edge.score for edge in cut)) for cut in cuts]
        log_likelihood += count * math.log(sum(weights))
        for cut, weight in zip(cuts, weights):
            for edge in cut:
                expected[edge.id] += count * weight / sum(weights)
    return log_likelihood, dict(expected)


def digamma(x: np.ndarray) -> np.ndarray:
    """ψ(x) = d log Γ(x) / dx for x > 0, to 1e-10 (the original's series, so that scores agree).

    ψ(x) = ψ(x + 1) − 1/x until x is at least 7, then the asymptotic series in y = 1/(x − 1/2)².
    """
    x = np.array(x, np.float64)
    result = np.zeros_like(x)
    while np.any(small := x < 7):
        result[small] -= 1 / x[small]
        x[small] += 1
    y = 1 / (x - 0.5) ** 2
    return result + np.log(x - 0.5) + y * (1 / 24 - y * (7 / 960 - y * (31 / 8064 - y * 127 / 30720)))


# ----- training ------------------------------------------------------------------------------------------------------


def unigram_from_counts(
    word_counts: dict[str, int],
    vocab_size: int = 8000,
    special_tokens: Sequence[str] = (),
    unk_token: str | None = None,
    initial_alphabet: Sequence[str] = (),
    shrinking_factor: float = 0.75,
    n_sub_iterations: int = 2,
    max_piece_length: int = 16,
    seed_size: int = 1_000_000,
    progress: Callable[[int], object] | None = None,
) -> tuple[list[tuple[str, float]], int | None]:
    """(vocabulary, unk_id), as `Unigram` takes them, from counted words. Arguments: `train_unigram`.

    progress   called with the number of pieces after each round
    """
    _check(vocab_size, shrinking_factor, n_sub_iterations, max_piece_length, seed_size)
    special = list(dict.fromkeys(map(str, special_tokens)))
    if unk_token is not None and unk_token not in special:
        special.insert(0, unk_token)
    alphabet = {character for word in word_counts for character in word}
    alphabet |= {string[0] for string in initial_alphabet if string}
    alphabet -= set(special)
    room = vocab_size - len(special)
    if len(alphabet) > room:
        raise ValueError(
            f"vocab_size is {vocab_size}, but the texts have {len(alphabet)} different characters, which with "
            f"{len(special)} special tokens need {len(alphabet) + len(special)} entries: pass a larger vocab_size, or "
            "a normalizer that leaves fewer characters."
        )
    em = ExpectationMaximization(word_counts, max_piece_length, seed_size)
    enough = vocab_size * 11 // 10
    before = None
    while em.size != before:  # what is left may all be characters
        for _ in range(n_sub_iterations):
            em.step()
        if progress is not None:
            progress(em.size)
        if em.size <= enough:
            break
        before = em.size
        em.prune(max(enough, int(em.size * shrinking_factor)))
    unk_id = None if unk_token is None else special.index(unk_token)
    return [(token, 0.0) for token in special] + _final_pieces(em.pieces(), alphabet, set(special), room), unk_id


def _final_pieces(
    pieces: dict[str, float], alphabet: set[str], special: set[str], room: int
) -> list[tuple[str, float]]:
    """All characters, and as many of the other pieces as there is room for; those with the highest scores first."""
    lowest = min(pieces.values(), default=0.0)
    dropped = sorted(alphabet - set(pieces))
    chosen = {character: pieces[character] for character in sorted(alphabet & set(pieces))}
    chosen |= {character: lowest + i * CHARACTER_PENALTY for i, character in enumerate(dropped)}
    for piece, score in pieces.items():
        if len(chosen) >= room:
            break
        if piece not in special:
            chosen[piece] = score
    return sorted(chosen.items(), key=lambda item: -item[1])


class ExpectationMaximization:
    """Pieces with scores, and what stands where in the words.

    Pieces are numbered; number 0 is the unknown character. They are kept as places in the text, (start, length), and
    become strings at the end. What could stand where is found once, with the seed; lattices are built from it, block by
    block, whenever they are needed.
    """

    def __init__(self, word_counts: dict[str, int], max_piece_length: int = 16, seed_size: int = 1_000_000):
        words = [word for word in word_counts if word]
        self.counts = np.array([word_counts[word] for word in words], np.float64)
        self.word_lengths = np.array([len(word) for word in words], np.int64)
        self.word_starts = np.cumsum(self.word_lengths + 1) - self.word_lengths - 1
        found = find_repeated_substrings(words, max_piece_length)
        self.codes = found.codes
        self.starts, self.lengths, weights, self.matches = _seed(
            found, np.repeat(self.counts, self.word_lengths + 1), seed_size
        )
        self._set_scores(np.log(weights) - math.log(max(weights.sum(), 1)))

    @property
    def size(self) -> int:
        """How many pieces there are, the unknown character included."""
        return len(self.scores)

    def _set_scores(self, of_pieces: np.ndarray) -> None:
        self.scores = np.concatenate([[of_pieces.min(initial=0.0) - UNKNOWN_PENALTY], of_pieces])

    def expected_counts(self) -> tuple[float, np.ndarray]:
        """(L, how often each piece is expected)."""
        log_likelihood, expected = 0.0, np.zeros(self.size)
        for block, lattices in lattices_in_blocks(self.matches, self.word_starts, self.word_lengths):
            log_z, share = lattices.forward(self.scores)
            log_likelihood += self.counts[block] @ log_z
            d_score = lattices.backward(self.counts[block], share)
            expected += np.bincount(lattices.ids, d_score, self.size)
        return log_likelihood, expected

    def step(self) -> None:
        """One E-step and one M-step."""
        _, expected = self.expected_counts()
        kept = 1 + np.flatnonzero(expected[1:] >= FEWEST)
        self._keep(kept)
        self._set_scores(digamma(expected[kept]) - digamma(max(expected[kept].sum(), FEWEST)))

    def losses(self) -> np.ndarray:
        """The likelihood that is lost without each piece: inf for characters, −inf for what no best cut has."""
        freq = np.zeros(self.size)
        for block, lattices in lattices_in_blocks(self.matches, self.word_starts, self.word_lengths):
            _, word, piece = lattices.best_cuts(self.scores)
            freq += np.bincount(piece, self.counts[block[word]], self.size)
        total, words = freq.sum(), self.counts.sum()
        loss = np.where(self.lengths == 1, np.inf, -np.inf)
        used = np.flatnonzero((freq > 0) & (self.lengths > 1))
        # Each piece is a word whose best cut, without the piece itself, is its alternative.
        for block, lattices in lattices_in_blocks(
            self.matches, self.starts[used], self.lengths[used], with_whole=False
        ):
            mine = used[block]
            _, word, other = lattices.best_cuts(self.scores)
            # An alternative's pieces occur `freq` times more, all pieces together `freq` times (pieces − 1) more. The
            # original, and SentencePiece, count the vocabulary's pieces there, not the alternative's; so it is here.
            log_total = np.log(total + freq[mine] * (self.size - 1))
            log_p_others = np.bincount(word, np.log(freq[other] + freq[mine[word]]) - log_total[word], len(mine))
            loss[mine] = freq[mine] / words * (np.log(freq[mine]) - np.log(total) - log_p_others)
        return loss

    def prune(self, size: int) -> None:
        """Keep the `size` pieces whose loss is largest, all characters among them, and of the others none unused."""
        loss = self.losses()[1:]
        order = 1 + np.argsort(-loss, kind="stable")
        number = min(max(size - 1, np.sum(loss == np.inf)), np.sum(loss > -np.inf))
        self._keep(order[:number])

    def _keep(self, kept: np.ndarray) -> None:
        """Keep these pieces, in this order, and number them anew."""
        new = np.full(self.size, -1, np.int32)
        new[self.lengths == 1] = UNKNOWN  # a character that is dropped becomes an unknown one
        new[kept] = np.arange(1, len(kept) + 1)
        new[UNKNOWN] = UNKNOWN
        kept = np.concatenate([[UNKNOWN], kept])
        self.starts, self.lengths, self.scores = self.starts[kept], self.lengths[kept], self.scores[kept]
        self.matches = self.matches.renamed(new)

    def pieces(self) -> dict[str, float]:
        """{piece: score}, those with the largest loss first."""
        text = self.codes.tobytes().decode("utf-32-le", errors="surrogatepass")
        return {
            text[start : start + length]: score
            for start, length, score in zip(
                self.starts[1:].tolist(), self.lengths[1:].tolist(), self.scores[1:].tolist()
            )
        }


def _seed(found: RepeatedSubstrings, weight: np.ndarray, seed_size: int):
    """(start, length and weight of each piece, matches) to begin with.

    Characters come first, weighted by how often they occur, in words as often as these do; then substrings, weighted by
    length times the number of places in *different* words (as in the original: it decides which ones are in the seed,
    and EM the rest).
    """
    characters, first, which = np.unique(found.codes, return_index=True, return_inverse=True)
    occurrences = np.bincount(which, weight, len(characters))
    order = np.lexsort((-characters, -occurrences))
    order = order[characters[order] > 0]
    number_of = np.full(len(characters), UNKNOWN)
    number_of[order] = np.arange(1, len(order) + 1)

    worth = found.count * found.length
    best = np.lexsort((-found.length, -found.first, -worth))[: max(seed_size - len(order), 0)]
    starts = np.concatenate([[0], first[order], found.places[found.first[best]]])
    lengths = np.concatenate([[0], np.ones(len(order), np.int64), found.length[best]])
    weights = np.concatenate([occurrences[order], worth[best]]).astype(np.float64)

    matches = [(1, np.arange(len(found.codes), dtype=np.int32), number_of[which].astype(np.int32))]
    ids = np.arange(1 + len(order), len(starts), dtype=np.int32)
    for length in np.unique(found.length[best]).tolist():
        chosen = found.length[best] == length
        nth, offset = ranges(found.count[best][chosen])
        places = found.places[found.first[best][chosen][nth] + offset]
        matches.append((length, places.astype(np.int32), ids[chosen][nth]))
    return starts, lengths, weights, Matches.of(matches, len(found.codes))


def _check(vocab_size, shrinking_factor, n_sub_iterations, max_piece_length, seed_size) -> None:
    if not 0 < shrinking_factor < 1:
        raise ValueError(f"shrinking_factor is {shrinking_factor}: expected a share between 0 and 1 that is kept.")
    for name, value in {
        "vocab_size": vocab_size,
        "n_sub_iterations": n_sub_iterations,
        "max_piece_length": max_piece_length,
        "seed_size": seed_size,
    }.items():
        if value < 1:
            raise ValueError(f"{name} is {value}: expected 1 or more.")
