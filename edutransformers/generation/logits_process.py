"""Logits processors: rules that change a model's scores before a word is chosen.

A processor is called with the ids so far (B, T) and the scores of the next one (B, V), and returns the scores to go on
with: −inf forbids a word, adding a number makes it likelier. It never writes into the scores it was given. The words to
leave out when drawing at random (top-k, top-p, …) are in warpers.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..backend import Array, array_module, as_array_like, to_numpy

FORBIDDEN = -math.inf


class LogitsProcessor:
    """A rule: `processor(input_ids (B, T), scores (B, V))` -> scores (B, V)."""

    def __call__(self, input_ids: Array, scores: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no __call__(input_ids, scores)")


class LogitsProcessorList(list):
    """Rules, one after the other."""

    def __call__(self, input_ids: Array, scores: Array) -> Array:
        for processor in self:
            scores = processor(input_ids, scores)
        return scores


def token_list(tokens: int | Iterable[int], name: str) -> list[int]:
    """One id or several as a list. Raises ValueError for what are no ids."""
    found = [tokens] if isinstance(tokens, (int, np.integer)) and not isinstance(tokens, bool) else tokens
    if not isinstance(found, Iterable) or isinstance(found, str):
        raise ValueError(f"{name} is {tokens!r}, expected a token's id or a list of them")
    found = list(found)
    if not all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) and i >= 0 for i in found):
        raise ValueError(f"{name} is {tokens!r}, expected ids, whole numbers of 0 or more")
    return [int(i) for i in found]


def with_tokens_set(scores: Array, tokens: Sequence[int], value: float) -> Array:
    """A copy of the scores in which these words have this score."""
    _check_tokens(tokens, scores)
    changed = scores.copy()
    changed[:, as_array_like(np.asarray(tokens, dtype=np.int64), scores)] = value
    return changed


def _check_tokens(tokens: Sequence[int], scores: Array) -> None:
    beyond = [i for i in tokens if i >= scores.shape[-1]]
    if beyond:
        raise ValueError(f"the model's vocabulary has {scores.shape[-1]} words, but a rule names {beyond[0]}")


# ---------------------------------------------------------------------------------------------------------------------
# Length
# ---------------------------------------------------------------------------------------------------------------------


class MinLengthLogitsProcessor(LogitsProcessor):
    """No end before the text, prompt included, has `min_length` tokens."""

    def __init__(self, min_length: int, eos_token_id: int | list[int]):
        if not isinstance(min_length, int) or min_length < 0:
            raise ValueError(f"min_length is {min_length!r}, expected a whole number of 0 or more")
        self.min_length = min_length
        self.eos_token_id = token_list(eos_token_id, "eos_token_id")

    def __call__(self, input_ids, scores):
        if input_ids.shape[-1] >= self.min_length:
            return scores
        return with_tokens_set(scores, self.eos_token_id, FORBIDDEN)


class MinNewTokensLengthLogitsProcessor(MinLengthLogitsProcessor):
    """No end before `min_new_tokens` tokens were written behind a prompt of `prompt_length_to_skip`."""

    def __init__(self, prompt_length_to_skip: int, min_new_tokens: int, eos_token_id: int | list[int]):
        if not isinstance(min_new_tokens, int) or min_new_tokens < 0:
            raise ValueError(f"min_new_tokens is {min_new_tokens!r}, expected a whole number of 0 or more")
        super().__init__(prompt_length_to_skip + min_new_tokens, eos_token_id)


class ExponentialDecayLengthPenalty(LogitsProcessor):
    """From a start on, the end becomes likelier with each token: its score s becomes s + |s| (factorⁿ − 1).

    exponential_decay_length_penalty is (start, factor), with the start counted from the prompt's end; n counts tokens
    behind it.
    """

    def __init__(
        self, exponential_decay_length_penalty: tuple[int, float], eos_token_id: int | list[int], prompt_length: int
    ):
        start, self.factor = exponential_decay_length_penalty
        self.start = start + prompt_length
        self.eos_token_id = token_list(eos_token_id, "eos_token_id")

    def __call__(self, input_ids, scores):
        behind = input_ids.shape[-1] - self.start
        if behind <= 0:
            return scores
        xp, changed = array_module(scores), scores.copy()
        for token in self.eos_token_id:
            score = scores[:, token]
            raised = score + xp.abs(score) * (self.factor**behind - 1)
            changed[:, token] = xp.where(xp.isfinite(score), raised, score)
        return changed


# ---------------------------------------------------------------------------------------------------------------------
# Repetition
# ---------------------------------------------------------------------------------------------------------------------


class RepetitionPenaltyLogitsProcessor(LogitsProcessor):
    """Words that were written before become less likely: a score s > 0 becomes s / penalty, s < 0 becomes s · penalty.

    The prompt counts as written, but for its first `prompt_ignore_length` tokens (one number, or one for each text):
    padding. Source: Keskar et al. 2019 (CTRL), section 4.1.
    """

    def __init__(self, penalty: float, prompt_ignore_length: int | Array | None = None):
        if not isinstance(penalty, (int, float)) or not penalty > 0:
            raise ValueError(f"repetition_penalty is {penalty!r}, expected a number above 0")
        self.penalty = float(penalty)
        self.prompt_ignore_length = prompt_ignore_length

    def __call__(self, input_ids, scores):
        xp = array_module(scores)
        ids = as_array_like(input_ids, scores)
        if self.prompt_ignore_length is not None:
            ignored = as_array_like(np.reshape(self.prompt_ignore_length, (-1, 1)), scores)
            # The last token counts in any case, so it may stand for those that don't.
            ids = xp.where(xp.arange(ids.shape[1]) < ignored, ids[:, -1:], ids)
        rows = xp.arange(len(scores))[:, None]
        written = scores[rows, ids]
        changed = scores.copy()
        changed[rows, ids] = xp.where(written < 0, written * self.penalty, written / self.penalty)
        return changed


class NoRepeatNGramLogitsProcessor(LogitsProcessor):
    """No run of n tokens comes twice: a word that would complete one that was there is forbidden."""

    def __init__(self, ngram_size: int):
        if not isinstance(ngram_size, int) or ngram_size <= 0:
            raise ValueError(f"no_repeat_ngram_size is {ngram_size!r}, expected a whole number above 0")
        self.ngram_size = ngram_size

    def __call__(self, input_ids, scores):
        n = self.ngram_size
        if input_ids.shape[-1] + 1 < n:
            return scores
        changed = scores.copy()
        for row, ids in enumerate(to_numpy(input_ids).tolist()):
            prefix = ids[len(ids) + 1 - n :]
            seen = [ids[i + n - 1] for i in range(len(ids) - n + 1) if ids[i : i + n - 1] == prefix]
            if seen:
                changed[row, as_array_like(np.array(seen), scores)] = FORBIDDEN
        return changed


# ---------------------------------------------------------------------------------------------------------------------
# Words wanted and unwanted
# ---------------------------------------------------------------------------------------------------------------------


class SequenceBiasLogitsProcessor(LogitsProcessor):
    """A number is added to the score of a word that completes a sequence: {(5, 7): −2.0} makes "5 7" less likely.

    sequence_bias: a dictionary of tuples of ids, or a list of [ids, bias].
    """

    def __init__(self, sequence_bias: dict[tuple[int, ...], float] | list):
        pairs = sequence_bias.items() if isinstance(sequence_bias, dict) else sequence_bias
        if not isinstance(sequence_bias, (dict, list)) or not sequence_bias:
            raise ValueError(f"sequence_bias is {sequence_bias!r}, expected {{(ids): number}} with at least one entry")
        self.sequence_bias: dict[tuple[int, ...], float] = {}
        for ids, bias in pairs:
            if isinstance(bias, bool) or not isinstance(bias, (int, float)):
                raise ValueError(f"the bias of {ids!r} is {bias!r}, expected a number")
            self.sequence_bias[tuple(token_list(ids, "sequence_bias"))] = float(bias)
        if () in self.sequence_bias:
            raise ValueError("sequence_bias has a sequence of no tokens")

    def __call__(self, input_ids, scores):
        rows = to_numpy(input_ids).tolist()
        bias = np.zeros(scores.shape, dtype=scores.dtype)
        for sequence, number in self.sequence_bias.items():
            _check_tokens(sequence, scores)
            *prefix, last = sequence
            for row, ids in enumerate(rows):
                if not prefix or ids[-len(prefix) :] == prefix:
                    bias[row, last] += number
        return scores + as_array_like(bias, scores)


class NoBadWordsLogitsProcessor(SequenceBiasLogitsProcessor):
    """These sequences are never written. The end alone, [eos], can't be forbidden so: it is left out."""

    def __init__(self, bad_words_ids: list[list[int]], eos_token_id: int | list[int] | None = None):
        if not isinstance(bad_words_ids, list) or not bad_words_ids:
            raise ValueError(f"bad_words_ids is {bad_words_ids!r}, expected a list of lists of ids")
        wrong = next((ids for ids in bad_words_ids if not isinstance(ids, list)), None)
        if wrong is not None:
            raise ValueError(f"bad_words_ids holds {wrong!r}, expected lists of ids")
        ends = [] if eos_token_id is None else token_list(eos_token_id, "eos_token_id")
        words = [ids for ids in bad_words_ids if not (len(ids) == 1 and ids[0] in ends)]
        self.sequence_bias = {}
        if words:
            super().__init__({tuple(ids): FORBIDDEN for ids in words})


class SuppressTokensLogitsProcessor(LogitsProcessor):
    """These words are never written."""

    def __init__(self, suppress_tokens: list[int]):
        self.suppress_tokens = token_list(suppress_tokens, "suppress_tokens")

    def __call__(self, input_ids, scores):
        return with_tokens_set(scores, self.suppress_tokens, FORBIDDEN)


class SuppressTokensAtBeginLogitsProcessor(LogitsProcessor):
    """These words are not written at place `begin_index`."""

    def __init__(self, begin_suppress_tokens: list[int], begin_index: int):
        self.begin_suppress_tokens = token_list(begin_suppress_tokens, "begin_suppress_tokens")
        self.begin_index = begin_index

    def __call__(self, input_ids, scores):
        if input_ids.shape[-1] != self.begin_index:
            return scores
        return with_tokens_set(scores, self.begin_suppress_tokens, FORBIDDEN)


def _only(scores: Array, tokens: Sequence[int]) -> Array:
    """Scores with which nothing but these words can come."""
    return with_tokens_set(array_module(scores).full_like(scores, FORBIDDEN), tokens, 0.0)


class ForcedBOSTokenLogitsProcessor(LogitsProcessor):
    """Behind a single first token comes this one: translation models begin so with the language."""

    def __init__(self, bos_token_id: int):
        self.bos_token_id = token_list(bos_token_id, "forced_bos_token_id")

    def __call__(self, input_ids, scores):
        return _only(scores, self.bos_token_id) if input_ids.shape[-1] == 1 else scores


class ForcedEOSTokenLogitsProcessor(LogitsProcessor):
    """The last token that `max_length` has room for is the end."""

    def __init__(self, max_length: int, eos_token_id: int | list[int]):
        self.max_length = max_length
        self.eos_token_id = token_list(eos_token_id, "forced_eos_token_id")

    def __call__(self, input_ids, scores):
        return _only(scores, self.eos_token_id) if input_ids.shape[-1] == self.max_length - 1 else scores


class ForceTokensLogitsProcessor(LogitsProcessor):
    """At these places come these words: [(place, id), …]; an id of None leaves a place free."""

    def __init__(self, force_token_map: list[tuple[int, int | None]]):
        self.force_token_map = {int(place): token for place, token in force_token_map}

    def __call__(self, input_ids, scores):
        token = self.force_token_map.get(input_ids.shape[-1])
        return scores if token is None else _only(scores, [token])


class PrefixConstrainedLogitsProcessor(LogitsProcessor):
    """Only the words that `prefix_allowed_tokens_fn(number of the text, its ids so far)` lists may come."""

    def __init__(self, prefix_allowed_tokens_fn: Callable[[int, Array], list[int]], num_beams: int):
        self.prefix_allowed_tokens_fn = prefix_allowed_tokens_fn
        self.num_beams = num_beams

    def __call__(self, input_ids, scores):
        allowed = array_module(scores).full_like(scores, FORBIDDEN)
        for row, ids in enumerate(input_ids):
            tokens = self.prefix_allowed_tokens_fn(row // self.num_beams, ids)
            if not len(tokens):
                raise ValueError(f"prefix_allowed_tokens_fn allows no word for text {row // self.num_beams}: {ids}")
            allowed[row, as_array_like(np.asarray(tokens), scores)] = 0.0
        return scores + allowed


class InfNanRemoveLogitsProcessor(LogitsProcessor):
    """nan becomes 0, and infinities the largest and smallest numbers of the type."""

    def __call__(self, input_ids, scores):
        xp, limits = array_module(scores), np.finfo(scores.dtype)
        scores = xp.where(xp.isnan(scores), 0.0, scores)
        return xp.clip(scores, float(limits.min), float(limits.max)).astype(limits.dtype)
