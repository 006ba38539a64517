"""From what a CTC model says in every frame to a text, and back: reading, searching, aligning.

    ctc_greedy_search(logits)             the best path, collapsed
    ctc_beam_search(logits)               the best texts: each with all its paths together
    forced_alignment(logits, tokens)      the best path of a text that is known: when was each token said?

All three take the logits of one utterance, (T, C), as many frames as it really has, and work on the host in float64. A
path is one token id a frame, so `Wav2Vec2CTCTokenizer.decode(path, output_word_offsets=True)` reads any of them, and
gives the places of characters and words in frames, of `config.inputs_to_logits_ratio / sampling_rate` seconds each. A
text that was searched for has no one path; `forced_alignment` finds its best.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..backend import Array, to_numpy
from ..functional.softmax import log_softmax


class CTCHypothesis(NamedTuple):
    """A text that was heard, and how sure that is."""

    tokens: list[int]
    log_probability: float  # of all of the text's paths; of a greedy search, of the one path found
    score: float  # what the search ranked by: log_probability, and what a language model and the length added


class TokenSpan(NamedTuple):
    """Where a token was said: frames start … end − 1, and the mean probability that it has in them."""

    token: int
    start: int
    end: int
    probability: float


class Alignment(NamedTuple):
    """The best path of a text: a token id for each frame, the path's log-probability, and the tokens' places."""

    path: np.ndarray  # (T,)
    log_probability: float
    spans: list[TokenSpan]


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


def collapse_path(path, blank: int = 0) -> list[int]:
    """One id a frame to tokens: equal neighbours are one, then blanks go. [0, 3, 3, 0, 3, 5] -> [3, 3, 5]"""
    path = to_numpy(path)
    new = np.ones(len(path), dtype=bool)
    new[1:] = path[1:] != path[:-1]
    return path[new & (path != blank)].tolist()


def ctc_greedy_search(logits: Array, blank: int = 0) -> CTCHypothesis:
    """The most probable path, collapsed: the best class of each frame. logits (T, C)

    Quick, and with a model that is sure of what it hears as good as any. But the best path need not belong to the best
    text: that may have many paths of middling probability.
    """
    log_y = _log_probabilities(logits, blank)
    best = float(log_y.max(axis=1).sum())
    return CTCHypothesis(collapse_path(log_y.argmax(axis=1), blank), best, best)


# ---------------------------------------------------------------------------------------------------------------------
# Searching
# ---------------------------------------------------------------------------------------------------------------------


def ctc_beam_search(
    logits: Array,
    blank: int = 0,
    beam_width: int = 50,
    language_model: Callable[[list[int]], Array] | None = None,
    alpha: float = 0.5,
    beta: float = 0.0,
) -> list[CTCHypothesis]:
    """The best texts, best first, at most `beam_width`. logits (T, C)

    language_model   called with the tokens so far, returns (C,) log-probabilities of the next one
    alpha, beta      a text's score is  log p(text | sound) + alpha · log p_LM(text) + beta · (number of tokens)

    A beam of texts grows frame by frame. Two probabilities are kept for each: p_blank, of its paths that end in a
    blank, and p_token, of those that end in its last token. With class k of probability y_k in the next frame, a text
    becomes

        itself        by a blank:                      p_blank' = (p_blank + p_token) y_blank
                      by its last token once more:     p_token' = p_token y_last
        text + k      by a k other than its last:      p_token' = (p_blank + p_token) y_k
        text + last   only from paths that end in a blank, else the two would be one:  p_token' = p_blank y_last

    If text + k is in the beam already, the two ways to it are added up. Then the best `beam_width` stay. With a beam as
    wide as there are texts that is an exact search.

    Source: Graves 2012, "Supervised Sequence Labelling with Recurrent Neural Networks", section 7.5; Hannun et al.
    2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs" (with the
    language model).
    """
    log_y = _log_probabilities(logits, blank)
    if beam_width < 1:
        raise ValueError(f"beam_width is {beam_width}: expected 1 or more")
    texts = _Texts(language_model, alpha, beta, log_y.shape[1])
    beam = np.array([_Texts.EMPTY])  # (W,) numbers of texts
    by_blank, by_token = np.zeros(1), np.full(1, -np.inf)  # (W,) log-probabilities

    for frame in log_y:
        width = len(beam)
        last = texts.last[beam]  # (W,) −1 for the empty text
        repeat = np.flatnonzero(last >= 0)
        total = np.logaddexp(by_blank, by_token)

        longer = total[:, None] + frame  # (W, C): text + k
        longer[:, blank] = -np.inf
        longer[repeat, last[repeat]] = by_blank[repeat] + frame[last[repeat]]
        same_by_blank = total + frame[blank]
        same_by_token = np.where(last >= 0, by_token + frame[last], -np.inf)

        # Texts of the beam that come about once more, as another one and a token.
        place = {text: at for at, text in enumerate(beam.tolist())}
        for at, text in enumerate(beam.tolist()):
            parent = place.get(texts.parent[text])
            if parent is not None:
                same_by_token[at] = np.logaddexp(same_by_token[at], longer[parent, last[at]])
                longer[parent, last[at]] = -np.inf

        # The best of both kinds: the beam's own texts come first, then text + k row by row.
        same = np.logaddexp(same_by_blank, same_by_token)
        scores = np.concatenate([same + texts.bonus[beam], (longer + texts.bonus_of_longer(beam)).ravel()])
        best = _largest(scores, beam_width)
        best = best[scores[best] > -np.inf]
        kept, new = best[best < width], best[best >= width] - width
        grown = [texts.number(beam[row], token) for row, token in zip(*np.divmod(new, len(frame)))]
        beam = np.concatenate([beam[kept], np.array(grown, dtype=beam.dtype)])
        by_blank = np.concatenate([same_by_blank[kept], np.full(len(new), -np.inf)])
        by_token = np.concatenate([same_by_token[kept], longer.ravel()[new]])

    log_probabilities = np.logaddexp(by_blank, by_token)
    scores = log_probabilities + texts.bonus[beam]
    order = np.argsort(-scores, kind="stable")
    return [CTCHypothesis(texts.tokens(beam[at]), float(log_probabilities[at]), float(scores[at])) for at in order]


class _Texts:
    """All texts that were ever in the beam, by number: each is a shorter one and a token, so that they form a tree."""

    EMPTY = 0

    def __init__(self, language_model, alpha: float, beta: float, classes: int):
        self.language_model, self.alpha, self.beta, self.classes = language_model, alpha, beta, classes
        self.count = 1
        self.parent, self.last, self.bonus = [-1], np.array([-1]), np.zeros(1)
        self._numbers: dict[tuple[int, int], int] = {}
        self._bonus_of_longer: dict[int, np.ndarray] = {}

    def number(self, parent: int, token: int) -> int:
        """The number of text `parent` + token."""
        key = int(parent), int(token)
        if key not in self._numbers:
            if self.count == len(self.last):  # room for twice as many
                self.last = np.concatenate([self.last, np.zeros_like(self.last)])
                self.bonus = np.concatenate([self.bonus, np.zeros_like(self.bonus)])
            self.last[self.count] = token
            self.bonus[self.count] = self.bonus[parent] + self.beta
            if self.language_model is not None:
                self.bonus[self.count] = self._bonus_of(key[0])[token]
            self.parent.append(key[0])
            self._numbers[key] = self.count
            self.count += 1
        return self._numbers[key]

    def tokens(self, text: int) -> list[int]:
        found = []
        while text != self.EMPTY:
            found.append(int(self.last[text]))
            text = self.parent[text]
        return found[::-1]

    def bonus_of_longer(self, beam) -> np.ndarray:
        """(W, C) alpha · log p_LM + beta · length of every text of the beam with every token added."""
        if self.language_model is None:
            return (self.bonus[beam] + self.beta)[:, None]
        return np.stack([self._bonus_of(text) for text in beam.tolist()])

    def _bonus_of(self, text: int) -> np.ndarray:
        if text not in self._bonus_of_longer:
            self._bonus_of_longer[text] = self.bonus[text] + self.beta + self.alpha * self._next_token(text)
        return self._bonus_of_longer[text]

    def _next_token(self, text: int) -> np.ndarray:
        scores = to_numpy(self.language_model(self.tokens(text)))
        if scores.shape != (self.classes,):
            raise ValueError(
                f"the language model returned an array of shape {scores.shape}, expected ({self.classes},): the "
                f"log-probability of each class as the next token"
            )
        return scores


def _largest(scores: np.ndarray, count: int) -> np.ndarray:
    """The places of the `count` largest, in rising order."""
    if count >= len(scores):
        return np.arange(len(scores))
    return np.sort(np.argpartition(-scores, count - 1)[:count])


# ---------------------------------------------------------------------------------------------------------------------
# Aligning
# ---------------------------------------------------------------------------------------------------------------------


def forced_alignment(logits: Array, tokens, blank: int = 0) -> Alignment:
    """The most probable of all paths that collapse to `tokens`: when each was said. logits (T, C), tokens (S,)

    The lattice of `CTCLoss` with the largest in place of the sum (Viterbi's algorithm): δ_t(s), the log-probability of
    the best beginning that is in state s at time t, and which state that came from; then back from the end.

        δ_t(s) = log y_t(s) + max[ δ_{t−1}(s), δ_{t−1}(s−1), (δ_{t−1}(s−2) if s is a label unlike that of s−2) ]

    Raises ValueError where the tokens need more frames than there are: one each, and one between equal neighbours.
    """
    log_y = _log_probabilities(logits, blank)
    tokens = _checked_tokens(tokens, log_y.shape, blank)
    frames, last = len(log_y), 2 * len(tokens)
    states = np.full(last + 1, blank)
    states[1::2] = tokens
    penalty = np.full(last + 1, -np.inf)
    penalty[3::2][states[3::2] != states[1:-2:2]] = 0.0

    before = np.full(last + 3, -np.inf)  # two more in front of the first state, from which nothing comes
    before[2] = 0.0
    steps = np.empty((frames, last + 1), dtype=np.int8)
    for emitted, step in zip(log_y[:, states], steps):
        ways = np.stack([before[2:], before[1:-1], before[:-2] + penalty])
        step[...] = ways.argmax(axis=0)
        before[2:] = ways.max(axis=0) + emitted

    state = last if before[last + 2] >= before[last + 1] else last - 1  # the last blank may be left out
    log_probability = float(before[state + 2])
    if log_probability == -np.inf:
        raise ValueError("every path of these tokens goes through a class with probability 0: nothing can be aligned")
    visited = np.empty(frames, dtype=np.int64)
    for t in range(frames - 1, -1, -1):
        visited[t] = state
        state -= steps[t, state]
    return Alignment(states[visited], log_probability, _spans(visited, states, log_y))


def _spans(visited, states, log_y) -> list[TokenSpan]:
    probability = np.exp(log_y[np.arange(len(visited)), states[visited]])
    edges = np.flatnonzero(np.diff(visited, prepend=-1, append=-1))
    return [
        TokenSpan(int(states[visited[start]]), int(start), int(end), float(probability[start:end].mean()))
        for start, end in zip(edges[:-1], edges[1:])
        if visited[start] % 2
    ]


def _checked_tokens(tokens, shape, blank: int) -> np.ndarray:
    frames, classes = shape
    tokens = np.asarray(to_numpy(tokens) if hasattr(tokens, "dtype") else list(tokens))
    if tokens.size == 0:
        return np.zeros(0, dtype=np.int64)
    if tokens.dtype.kind not in "iu" or tokens.ndim != 1:
        raise TypeError(f"tokens must be a row of whole numbers, got {tokens.dtype} of shape {tokens.shape}")
    wrong = tokens[(tokens < 0) | (tokens >= classes) | (tokens == blank)]
    if wrong.size:
        raise ValueError(f"tokens hold {wrong[0]}: expected 0 to {classes - 1} other than the blank, {blank}")
    needed = len(tokens) + int((tokens[1:] == tokens[:-1]).sum())
    if needed > frames:
        raise ValueError(
            f"the {len(tokens)} tokens need {needed} frames, but there are {frames}: is it their recording?"
        )
    return tokens


def _log_probabilities(logits: Array, blank: int) -> np.ndarray:
    logits = to_numpy(logits)
    if logits.ndim != 2:
        raise ValueError(f"logits have shape {logits.shape}, expected (T, C): one utterance at a time")
    if not 0 <= blank < logits.shape[1]:
        raise ValueError(
            f"blank is {blank}, but there are {logits.shape[1]} classes: expected 0 to {logits.shape[1] - 1}"
        )
    if np.isnan(logits).any():
        raise ValueError("logits hold nan: no text can be read from them; did the sound hold nan?")
    return log_softmax(logits.astype(np.float64))
