"""What `generate(..., return_dict_in_generate=True)` returns. Tuples have one entry for each token that was written."""

from __future__ import annotations

from dataclasses import dataclass

from ..backend import Array
from ..layers import KeyValueCache
from ..module import ModelOutput


@dataclass(repr=False)
class GenerateDecoderOnlyOutput(ModelOutput):
    """Of greedy search and sampling."""

    sequences: Array | None = None  # (B · returned, T), the prompt first
    scores: tuple[Array, ...] | None = None  # (B · returned, V) each, after all rules
    logits: tuple[Array, ...] | None = None  # the same before them
    attentions: tuple[tuple[Array, ...], ...] | None = None
    hidden_states: tuple[tuple[Array, ...], ...] | None = None
    past_key_values: KeyValueCache | None = None


@dataclass(repr=False)
class GenerateBeamDecoderOnlyOutput(ModelOutput):
    """Of beam search, with rows for all beams in scores, logits, attentions and states."""

    sequences: Array | None = None  # (B · returned, T), the best of each text first
    sequences_scores: Array | None = None  # (B · returned,) summed log-probability / length^length_penalty
    scores: tuple[Array, ...] | None = None  # (B · beams, V) each: log-probabilities after all rules
    logits: tuple[Array, ...] | None = None
    beam_indices: Array | None = None  # (B · returned, T'): the row of `scores` each token came from; −1 behind the end
    attentions: tuple[tuple[Array, ...], ...] | None = None
    hidden_states: tuple[tuple[Array, ...], ...] | None = None
    past_key_values: KeyValueCache | None = None
