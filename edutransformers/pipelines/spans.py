"""From scores for each token to be an answer's first, or last, to the best spans."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..backend import topk
from ..functional.softmax import softmax

CONTEXT, ELSEWHERE, NO_ANSWER = 0, 1, 2  # p_mask: a token of the context, one where no answer can be, and [CLS]
HIDDEN = -10000.0  # what stands for "minus infinity" among logits, in the original too


class Span(NamedTuple):
    """Tokens first … last, both included, and the probability of that."""

    first: int
    last: int
    score: float


def best_spans(
    start_logits: np.ndarray, end_logits: np.ndarray, p_mask, attention_mask, top_k: int, max_answer_len: int
) -> tuple[list[Span], float]:
    """(up to `top_k` spans of one window, best first; the score of "there is no answer")

        P(first, last) = softmax(start)[first] · softmax(end)[last],   first ≤ last < first + max_answer_len

    All arrays (T,). The softmax runs over the context and [CLS], at which models point to say "no answer": that score
    is P([CLS], [CLS]). Padding, where attention_mask is 0, and the question take no part.
    """
    p_mask = np.asarray(p_mask)
    taking_part = p_mask != ELSEWHERE
    if attention_mask is not None:
        taking_part &= np.asarray(attention_mask) != 0
    start, end = (
        softmax(np.where(taking_part, logits, np.asarray(HIDDEN, logits.dtype)))
        for logits in (start_logits, end_logits)
    )
    cls = int(np.argmax(p_mask == NO_ANSWER))  # without a [CLS], token 0, as in the original
    no_answer = float(start[cls] * end[cls])

    inside = taking_part & (p_mask == CONTEXT)
    allowed = np.tril(np.triu(np.outer(inside, inside)), max_answer_len - 1)
    firsts, lasts = np.nonzero(allowed)
    count = min(top_k, len(firsts))
    if count == 0:
        return [], no_answer
    scores, best = topk(start[firsts] * end[lasts], count)
    return [Span(*span) for span in zip(firsts[best].tolist(), lasts[best].tolist(), scores.tolist())], no_answer
