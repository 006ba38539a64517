"""Connectionist temporal classification: the probability of a text, over all the ways to spread it over time."""

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module, as_array_like
from ..module import keep, keeping
from .precision import in_float32
from .softmax import log_softmax

# The logarithm of "impossible". Unlike −inf it can be subtracted from itself, and it stays far below every possible
# value, and within float32, whatever is added to it.
IMPOSSIBLE = -1e30


class CTCCache(NamedTuple):
    log_y: Array  # (B, T, C) log-probabilities of the classes
    visits: Array  # (B, T, L) γ: the probability that the alignment is in state s at time t
    states: Array  # (B, L) the class that each state emits
    input_lengths: Array  # (B,)
    factor: Array  # (B,) 1; nan, or 0 with zero_infinity, where no alignment exists
    dtype: np.dtype  # the logits' own


def ctc_loss(logits, targets, input_lengths, target_lengths, blank: int = 0, zero_infinity: bool = False):
    """ℓ = −log p(target | x),   p = Σ over all alignments of Π_t y_t(class at time t),   y = softmax(logits)

    logits (B, T, C), targets (B, S), both padded at their ends; lengths (B,) -> losses (B,), cache

    A model says one of C classes in each of T frames. Equal neighbours count once and blanks are dropped, so many
    alignments mean one text ("hhe-ll-l" and "-he-l-lo" with a short time for each). Their number grows exponentially
    with T, but they are all paths through one lattice. Between, before and after the S labels stand blanks,

        states   s   0   1   2   3   4   …   2S        L = 2S + 1
        class       –   h   –   e   –   …   –

    and a path stays in its state, goes on to the next, or skips a blank between two different labels (between equal
    ones the blank is what keeps them two). The forward variable α_t(s) sums the probabilities of all beginnings that
    are in state s at time t:

        α_t(s) = y_t(s) [ α_{t−1}(s) + α_{t−1}(s−1) + (α_{t−1}(s−2) if s is a label unlike that of s−2) ]

    Each frame depends on the one before, so that is a loop over t; states and examples are worked on at once. It runs
    on logarithms, since a product of T probabilities soon falls below what any float can hold.

    Two devices make all examples, and both directions, one and the same loop. Behind the last frame of each example
    follow frames in which only its last state is possible, with probability 1: the path goes there, waits, and
    p = α_T(2S) for all lengths. And the backward variables β, the same sums over all endings, are the forward variables
    of time and text reversed: the reversed lattice is a second batch.

    A text that needs more frames than there are (S, and one for each pair of equal neighbours) has no alignment:
    ℓ = inf.

    Source: Graves et al. 2006, "Connectionist Temporal Classification", sections 3 and 4.
    """
    xp, dtype = array_module(logits), logits.dtype
    batch, width = targets.shape
    labels = xp.where(xp.arange(width)[:, None] < target_lengths, targets.T, blank)  # (S, B)
    states = xp.full((2 * width + 1, batch), blank, dtype=labels.dtype)  # (L, B)
    states[1::2] = labels
    may_skip = xp.zeros(states.shape, dtype=bool)
    may_skip[3::2] = labels[1:] != labels[:-1]

    log_y = log_softmax(in_float32(logits))  # (B, T, C)
    last = 2 * target_lengths  # the last state
    log_emitted = _emissions(log_y, states, last, input_lengths, blank)  # (T + 1, L, B)
    places = xp.arange(len(states))[:, None]
    start, end = (xp.where(places == place, 0.0, IMPOSSIBLE) for place in (xp.zeros_like(last), last))
    if keeping():
        log_alpha, log_beta = _both_directions(log_emitted, may_skip, start, end, log_y.dtype)
    else:
        log_alpha = _forward_variables(log_emitted, may_skip, start, log_y.dtype)
    log_p = log_alpha[-1][last, xp.arange(batch)]  # (B,)
    impossible = log_p < 0.5 * IMPOSSIBLE
    losses = xp.where(impossible, 0.0 if zero_infinity else xp.inf, -log_p).astype(log_y.dtype)
    if not keeping():
        return losses, None

    log_p = xp.where(impossible, 0.0, log_p)  # where there is no alignment no state is visited
    log_visits = log_alpha[:-1]  # in its memory: α itself has done its work
    log_visits += log_beta[:-1]
    log_visits -= log_emitted[:-1]
    log_visits -= log_p
    visits = log_visits.astype(log_y.dtype)
    xp.exp(visits, out=visits)
    factor = xp.where(impossible, 0.0 if zero_infinity else xp.nan, 1.0).astype(log_y.dtype)
    return losses, keep(CTCCache, log_y, visits.transpose(2, 0, 1), states.T, input_lengths, factor, dtype)


def ctc_loss_backward(dlosses, cache):
    """dx_t(k) = [ y_t(k) − Σ_{s emits k} γ_t(s) ] dℓ     dlosses (B,) -> dlogits (B, T, C)

    Every alignment is in exactly one state at time t, so for any t  p = Σ_s α_t(s) β_t(s) / y_t(s): both α and β hold
    the factor y_t(s), which belongs in once. As polynomials in y_t(k), the terms with s emitting k are of the first
    degree, and the others don't hold it:

        ∂p/∂y_t(k) = 1/y_t(k)² Σ_{s emits k} α_t(s) β_t(s)

    So with γ_t(s) = α_t(s) β_t(s) / (p y_t(s)), the probability that the alignment is in state s at time t given the
    text, ∂ℓ/∂y_t(k) = −1/p ∂p/∂y_t(k) = −1/y_t(k) Σ_{s emits k} γ_t(s). Softmax has ∂y(j)/∂x(k) = y(j)(δ_jk − y(k)),
    and Σ_s γ_t(s) = 1:

        dx_t(k) = Σ_j −1/y(j) Σ_{s emits j} γ(s) · y(j)(δ_jk − y(k)) = y_t(k) − Σ_{s emits k} γ_t(s)

    what the model says less what the alignments say (the paper's equation 16). It is zero behind the last frame. Where
    no alignment exists it is nan, or 0 with zero_infinity.
    """
    log_y, visits, states, input_lengths, factor, dtype = cache
    xp = array_module(log_y)
    emits = (states[:, :, None] == xp.arange(log_y.shape[2])).astype(visits.dtype)  # (B, L, C)
    dx = xp.exp(log_y)
    dx -= visits @ emits
    dx *= (factor * dlosses)[:, None, None]
    inside = xp.arange(log_y.shape[1]) < input_lengths[:, None]
    return xp.where(inside[..., None], dx, 0).astype(dtype, copy=False)


def _emissions(log_y, states, last, input_lengths, blank: int):
    """log y_t(s), (T + 1, L, B): the log-probability of each state's class, from a table with two more columns.

    column C      for states behind the last: impossible
    column C + 1  for the last state: the blank, and behind the last frame certain, where all else is impossible
    """
    xp = array_module(log_y)
    batch, frames, classes = log_y.shape
    behind = xp.arange(frames + 1)[:, None] >= input_lengths  # (T + 1, B)
    table = xp.full((frames + 1, batch, classes + 2), IMPOSSIBLE, dtype=log_y.dtype)
    table[:-1, :, :classes] = xp.maximum(log_y.transpose(1, 0, 2), IMPOSSIBLE)
    table = xp.where(behind[..., None], IMPOSSIBLE, table)
    table[..., classes + 1] = xp.where(behind, 0.0, table[..., blank])

    places = xp.arange(len(states))[:, None]
    columns = xp.where(places < last, states, xp.where(places == last, classes + 1, classes))
    columns += xp.arange(batch) * (classes + 2)
    return xp.take(table.reshape(frames + 1, -1), columns, axis=1)


def _both_directions(log_emitted, may_skip, start, end, dtype):
    """log α and log β, both (T + 1, L, B), by one loop over the lattices as they are and, beside them, reversed.

    Reversed, a path skips from s to s − 2 where it skipped from s − 2 to s.
    """
    xp = array_module(log_emitted)
    may_skip_back = xp.zeros_like(may_skip)
    may_skip_back[2:] = may_skip[:1:-1]
    both = _forward_variables(
        xp.stack([log_emitted, log_emitted[::-1, ::-1]], axis=1),
        xp.stack([may_skip, may_skip_back]),
        xp.stack([start, end[::-1]]),
        dtype,
    )
    return both[:, 0], both[::-1, 1, ::-1]


def _forward_variables(log_emitted, may_skip, start, dtype):
    """log α of all frames: (T + 1, …, L, B) emissions and (…, L, B) start -> (T + 1, …, L, B)

    log(eᵃ + eᵇ + eᶜ) = m + log(1 + eᵒ⁻ᵐ + eᵖ⁻ᵐ) with m the largest of the three, o and p the others. What is added
    to m lies between 0 and log 3, so that the digits of `dtype` (the logits') do for it; the sums, which reach
    thousands, are float64. As B is the last axis, a step back by one state is a step over whole rows: every operation
    runs over long pieces of memory.
    """
    xp, (frames, *lead, states, batch) = array_module(log_emitted), log_emitted.shape
    padded = xp.full((frames + 1, *lead, states + 2, batch), IMPOSSIBLE)  # two more rows before the first state
    padded[0, ..., 2:, :] = start
    log_alpha, before = padded[1:, ..., 2:, :], padded[:-1]
    penalty = xp.where(may_skip, 0.0, IMPOSSIBLE)
    skipped, high, low, largest = (xp.empty_like(start) for _ in range(4))
    terms = xp.empty((2, *start.shape), dtype=dtype)
    total, other = terms
    arrays = before[..., 2:, :], before[..., 1:-1, :], before[..., :-2, :], log_emitted, log_alpha
    for stay, advance, skip, emitted, result in zip(*arrays):
        xp.add(skip, penalty, out=skipped)
        xp.maximum(stay, advance, out=high)
        xp.minimum(stay, advance, out=low)
        xp.maximum(high, skipped, out=largest)
        xp.minimum(high, skipped, out=high)
        xp.subtract(low, largest, out=total)
        xp.subtract(high, largest, out=other)
        xp.exp(terms, out=terms)
        total += other
        total += 1
        xp.log(total, out=total)
        xp.add(largest, total, out=result)
        result += emitted
    return log_alpha


def pad_targets(targets, target_lengths):
    """Targets in one row (Σ lengths,) as (B, longest); what lies behind a target's end is some label of the others."""
    if isinstance(target_lengths, np.ndarray):
        ends = np.cumsum(target_lengths)
        width = int(target_lengths.max(initial=0))
        places = np.minimum((ends - target_lengths)[:, None] + np.arange(width), max(targets.size - 1, 0))
        return targets[as_array_like(places, targets)]
    raise TypeError("target_lengths lie on the device: targets in one row can't be cut there, pass them as (B, S)")
