"""Beam search: not only the likeliest next word, but the likeliest texts.

The likeliest word now may lead where no likely word follows. So for each prompt `num_beams` texts are continued side by
side. At each step every beam is continued with every word; of these num_beams · V texts the best are kept:

    log P(text) = Σₜ log P(word t | words before)

A text that ends leaves the race with the score log P / length^length_penalty: without the division short texts would
win, since each further word can only make a text less likely. The race goes on until no running text can still win.

Written as the original (5.x) has it, so that ties and ends fall as they do there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..backend import Array, topk

NEVER = -1e9  # the score of a place that no text has taken


class Beams(NamedTuple):
    """Texts of each prompt, best first."""

    ids: Array  # (B, n, T)
    scores: Array  # (B, n)
    origins: Array  # (B, n, T'): which row of the batch each new token came from

    def take(self, places: Array) -> Beams:
        """The texts at these places (B, m)."""
        rows = np.arange(len(places))[:, None]
        return Beams(self.ids[rows, places], self.scores[rows, places], self.origins[rows, places])


class BeamSearch:
    """The state of a search: running and finished texts of each of B prompts. Its arrays live on the host.

    prompt     (B, T) ids
    fill       the id that stands behind the end of a text
    """

    def __init__(
        self,
        prompt: np.ndarray,
        num_beams: int,
        max_length: int,
        end_count: int,
        fill: int,
        length_penalty: float = 1.0,
        early_stopping: bool | str = False,
    ):
        self.num_beams, self.max_length, self.prompt_length = num_beams, max_length, prompt.shape[1]
        self.length_penalty, self.early_stopping = length_penalty, early_stopping
        # So many candidates that, however many of them end, num_beams are left to go on.
        self.kept = max(2, 1 + end_count) * num_beams
        B = len(prompt)
        ids = np.full((B, num_beams, max_length), fill, dtype=np.int64)
        ids[:, :, : self.prompt_length] = prompt[:, None]
        origins = np.full((B, num_beams, max_length - self.prompt_length), -1, dtype=np.int64)
        scores = np.full((B, num_beams), NEVER)
        self.finished = Beams(ids, scores, origins)
        scores = scores.copy()
        scores[:, 0] = 0.0  # the beams begin alike: only one of them counts, or all would stay alike
        self.running = Beams(ids, scores, origins)
        self.is_finished = np.zeros((B, num_beams), dtype=bool)
        self.may_improve = np.ones((B, 1), dtype=bool)
        self.length = self.prompt_length

    @property
    def ids(self) -> np.ndarray:
        """The running texts as rows of a batch, (B · num_beams, T)."""
        return self.running.ids[:, :, : self.length].reshape(-1, self.length)

    def step(self, log_probabilities: np.ndarray, has_stopped, draw=None) -> tuple[np.ndarray, bool]:
        """Continue all running texts with one word. -> (the row that each new row continues, whether to go on)

        log_probabilities (B · num_beams, V) of the next word of each running text, after all rules
        has_stopped       a function of ids (N, T) -> booleans (N,): which of these texts end here
        draw              a function of scores (B, num_beams · V) -> places (B, kept), to draw in place of the best
        """
        B, n = self.running.scores.shape
        V = log_probabilities.shape[-1]
        total = (log_probabilities.reshape(B, n, V) + self.running.scores[:, :, None]).reshape(B, n * V)
        if draw is None:
            scores, places = topk(total, self.kept)
        else:
            places = draw(total)
            scores = np.take_along_axis(total, places, axis=-1)
        beams, words = places // V, places % V
        candidates = self.running.take(beams)._replace(scores=scores)
        candidates.ids[:, :, self.length] = words
        candidates.origins[:, :, self.length - self.prompt_length] = beams + np.arange(B)[:, None] * n
        stopped = has_stopped(candidates.ids[:, :, : self.length + 1].reshape(B * self.kept, -1))
        stopped = stopped.reshape(B, self.kept)

        scores_of_running = np.where(stopped, scores + NEVER, scores)
        _, places = topk(scores_of_running, n)
        self._finish(candidates, stopped)
        self.running = candidates._replace(scores=scores_of_running).take(places)
        origins = self.running.origins[:, :, self.length - self.prompt_length].reshape(-1)
        self.length += 1
        self._look_ahead()
        all_done = self.is_finished.all() and self.early_stopping is True
        return origins, bool(self.may_improve.any() and not all_done and not stopped.all())

    def _finish(self, candidates: Beams, stopped: np.ndarray) -> None:
        """Take texts that have ended among the finished ones, if they are better. Only the num_beams best candidates
        count: the others are there so that enough can go on."""
        n = self.num_beams
        scores = candidates.scores / (self.length + 1 - self.prompt_length) ** self.length_penalty
        may_enter = stopped & (np.arange(self.kept) < n)
        closed = self.is_finished.all(axis=-1, keepdims=True) & (self.early_stopping is True)
        scores = scores + NEVER * closed + NEVER * ~self.may_improve + NEVER * ~may_enter
        candidates = candidates._replace(scores=scores)
        together = Beams(*(np.concatenate(pair, axis=1) for pair in zip(self.finished, candidates)))
        is_finished = np.concatenate([self.is_finished, may_enter], axis=1)
        _, places = topk(together.scores, n)
        self.finished = together.take(places)
        self.is_finished = np.take_along_axis(is_finished, places, axis=1)

    def _look_ahead(self) -> None:
        """Could the best running text still beat the worst finished one?"""
        longest = self.early_stopping == "never" and self.length_penalty > 0
        length = (self.max_length if longest else self.length) - self.prompt_length
        best = self.running.scores[:, :1] / length**self.length_penalty
        worst = np.where(self.is_finished, self.finished.scores.min(axis=1, keepdims=True), NEVER)
        self.may_improve = self.may_improve & (best > worst).any(axis=-1, keepdims=True)

    def best(self, count: int) -> Beams:
        """The `count` best finished texts of each prompt, as rows (B · count, T)."""
        ids, scores, origins = (part[:, :count].reshape(-1, *part.shape[2:]) for part in self.finished)
        written = int((origins != -1).sum(axis=-1).max(initial=0))
        return Beams(ids[:, : self.prompt_length + written], scores, origins[:, :written])
