"""Warpers: which words may be drawn when the next one is drawn at random, and how even the odds are.

The model's own distribution has a long tail: ten thousand words of one in a million each make one word in a hundred
nonsense. Each warper cuts the tail off in its own way: it sets scores to −inf. All keep at least `min_tokens_to_keep`.
"""

from __future__ import annotations

from ..backend import Array, array_module
from ..functional.softmax import log_softmax, softmax
from .logits_process import FORBIDDEN, LogitsProcessor


class TemperatureLogitsWarper(LogitsProcessor):
    """Scores divided by the temperature: below 1 the likely words become likelier still, above 1 all more alike."""

    def __init__(self, temperature: float):
        if not isinstance(temperature, (int, float)) or not temperature > 0:
            raise ValueError(
                f"temperature is {temperature!r}, expected a number above 0; for the likeliest word use do_sample=False"
            )
        self.temperature = float(temperature)

    def __call__(self, input_ids, scores):
        return scores / self.temperature


class TopKLogitsWarper(LogitsProcessor):
    """The k likeliest words. Source: Fan, Lewis and Dauphin 2018, section 5.2."""

    def __init__(self, top_k: int, min_tokens_to_keep: int = 1):
        if not isinstance(top_k, int) or top_k <= 0:
            raise ValueError(f"top_k is {top_k!r}, expected a whole number above 0")
        self.top_k = max(top_k, min_tokens_to_keep)

    def __call__(self, input_ids, scores):
        return _without(scores, scores < _kth_largest(scores, self.top_k))


class TopPLogitsWarper(LogitsProcessor):
    """The likeliest words that together have probability `top_p` (nucleus sampling).

    Source: Holtzman et al. 2019, "The curious case of neural text degeneration".
    """

    def __init__(self, top_p: float, min_tokens_to_keep: int = 1):
        if not 0 <= float(top_p) <= 1:
            raise ValueError(f"top_p is {top_p!r}, expected a probability from 0 to 1")
        self.top_p = float(top_p)
        self.min_tokens_to_keep = _at_least_one(min_tokens_to_keep)

    def __call__(self, input_ids, scores):
        xp = array_module(scores)
        order = xp.argsort(scores, axis=-1)  # the least likely first
        cumulative = softmax(xp.take_along_axis(scores, order, axis=-1)).cumsum(axis=-1)
        dropped = cumulative <= 1 - self.top_p
        dropped[:, -self.min_tokens_to_keep :] = False
        return _without(scores, _unsorted(dropped, order))


class MinPLogitsWarper(LogitsProcessor):
    """Words with at least `min_p` times the probability of the likeliest."""

    def __init__(self, min_p: float, min_tokens_to_keep: int = 1):
        if not 0 <= float(min_p) <= 1:
            raise ValueError(f"min_p is {min_p!r}, expected a number from 0 to 1")
        self.min_p = float(min_p)
        self.min_tokens_to_keep = _at_least_one(min_tokens_to_keep)

    def __call__(self, input_ids, scores):
        probabilities = softmax(scores)
        dropped = probabilities < self.min_p * probabilities.max(axis=-1, keepdims=True)
        return _without(scores, dropped & (scores < _kth_largest(scores, self.min_tokens_to_keep)))


class TypicalLogitsWarper(LogitsProcessor):
    """The words whose surprise −log p is nearest to the expected surprise, up to probability `mass` together.

    Source: Meister et al. 2022, "Locally typical sampling".
    """

    def __init__(self, mass: float = 0.9, min_tokens_to_keep: int = 1):
        if not 0 < float(mass) < 1:
            raise ValueError(f"typical_p is {mass!r}, expected a number between 0 and 1")
        self.mass = float(mass)
        self.min_tokens_to_keep = _at_least_one(min_tokens_to_keep)

    def __call__(self, input_ids, scores):
        xp = array_module(scores)
        log_p, p, entropy = _entropy(scores)
        distance = xp.abs(-log_p - entropy)
        order = xp.argsort(distance, axis=-1)
        nearest = xp.take_along_axis(distance, order, axis=-1)
        cumulative = xp.take_along_axis(p, order, axis=-1).cumsum(axis=-1)
        last = xp.clip((cumulative < self.mass).sum(axis=-1, keepdims=True), 0, scores.shape[-1] - 1)
        dropped = nearest > xp.take_along_axis(nearest, last, axis=-1)
        dropped[:, : self.min_tokens_to_keep] = False
        return _without(scores, _unsorted(dropped, order))


class EpsilonLogitsWarper(LogitsProcessor):
    """Words with at least probability `epsilon`. Source: Hewitt, Manning and Liang 2022."""

    def __init__(self, epsilon: float, min_tokens_to_keep: int = 1):
        if not 0 < float(epsilon) < 1:
            raise ValueError(f"epsilon_cutoff is {epsilon!r}, expected a number between 0 and 1")
        self.epsilon = float(epsilon)
        self.min_tokens_to_keep = _at_least_one(min_tokens_to_keep)

    def __call__(self, input_ids, scores):
        dropped = softmax(scores) < self.epsilon
        return _without(scores, dropped & (scores < _kth_largest(scores, self.min_tokens_to_keep)))


class EtaLogitsWarper(LogitsProcessor):
    """Words with at least min(ε, √ε exp(−entropy)): fewer where the model is sure. Source: Hewitt et al. 2022."""

    def __init__(self, epsilon: float, min_tokens_to_keep: int = 1):
        if not 0 < float(epsilon) < 1:
            raise ValueError(f"eta_cutoff is {epsilon!r}, expected a number between 0 and 1")
        self.epsilon = float(epsilon)
        self.min_tokens_to_keep = _at_least_one(min_tokens_to_keep)

    def __call__(self, input_ids, scores):
        xp = array_module(scores)
        _, p, entropy = _entropy(scores)
        eta = xp.minimum(self.epsilon, self.epsilon**0.5 * xp.exp(-entropy))
        return _without(scores, (p < eta) & (scores < _kth_largest(scores, self.min_tokens_to_keep)))


class LogitNormalization(LogitsProcessor):
    """Log-probabilities of what is left."""

    def __call__(self, input_ids, scores):
        return log_softmax(scores)


def _entropy(scores: Array) -> tuple[Array, Array, Array]:
    """log p, p, and −Σ p log p (B, 1), in which 0 · log 0 is 0."""
    xp = array_module(scores)
    log_p = log_softmax(scores)
    p = xp.exp(log_p)
    entropy = -(p * xp.where(p > 0, log_p, 0.0)).sum(axis=-1, keepdims=True)
    return log_p, p, entropy


def _without(scores: Array, dropped: Array) -> Array:
    xp = array_module(scores)
    return xp.where(dropped, xp.asarray(FORBIDDEN, dtype=scores.dtype), scores)


def _kth_largest(scores: Array, k: int) -> Array:
    """(B, 1)"""
    k = min(k, scores.shape[-1])
    return array_module(scores).partition(scores, -k, axis=-1)[:, -k][:, None]


def _unsorted(flags: Array, order: Array) -> Array:
    """Flags of sorted scores, put back where those scores stand: flags[i] is that of place order[i]."""
    xp = array_module(flags)
    return xp.take_along_axis(flags, xp.argsort(order, axis=-1), axis=-1)


def _at_least_one(count: int) -> int:
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"min_tokens_to_keep is {count!r}, expected a whole number of 1 or more")
    return count
