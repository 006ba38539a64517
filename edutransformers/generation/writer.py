"""The model's side of generate's loop: from the text so far to the scores of its next word."""

from __future__ import annotations

import numpy as np

from ..backend import Array, array_module, as_array_like
from ..layers import KeyValueCache
from .configuration import GenerationConfig


class Writer:
    """The model's side of the loop: the cache, the mask that grows, what is kept for the output."""

    def __init__(self, model, config: GenerationConfig, given: dict, mask: np.ndarray | None, copies: int, past):
        self.model, self.config = model, config
        self.mask = None if mask is None else np.repeat(mask, copies, axis=0)
        self.given = {name: _repeated(value, copies) for name, value in given.items()}
        self.copies = copies
        self.past: KeyValueCache | None = past
        if past is not None and past.length and copies > 1:
            past.reorder(np.repeat(np.arange(len(past[0][0])), copies))
        self.kept: dict[str, list] = {}

    def next_logits(self, ids: np.ndarray) -> Array:
        """The scores (B, V) of the word behind `ids` (B, T), in float32 at least."""
        mask = self.mask
        if mask is not None:
            written = ids.shape[1] - mask.shape[1]
            mask = np.concatenate([mask, np.ones((len(mask), written), dtype=mask.dtype)], axis=1)
        inputs = self.model.prepare_inputs_for_generation(
            ids, past_key_values=self.past, attention_mask=mask, use_cache=self.config.use_cache, **self._more(ids)
        )
        output = self.model(
            **inputs,
            output_attentions=self.config.output_attentions,
            output_hidden_states=self.config.output_hidden_states,
            logits_to_keep=1,
        )
        self.past = output.get("past_key_values")
        self._keep("attentions", output.get("attentions"), self.config.output_attentions)
        self._keep("hidden_states", output.get("hidden_states"), self.config.output_hidden_states)
        logits = output.logits[:, -1]
        return logits.astype(np.float32) if logits.dtype == np.float16 else logits

    def _more(self, ids: np.ndarray) -> dict:
        """The caller's other arguments; token types go on with the last one."""
        more = dict(self.given)
        types = more.get("token_type_ids")
        if types is not None:
            written = ids.shape[1] - types.shape[1]
            more["token_type_ids"] = np.concatenate([types, np.repeat(types[:, -1:], written, axis=1)], axis=1)
        return more

    def reorder(self, rows: np.ndarray) -> None:
        """Beams have changed places: each row goes on where row rows[i] was."""
        if self.past is not None:
            self.past.reorder(rows)

    def remember(self, logits: Array, scores: Array) -> None:
        self._keep("logits", logits, self.config.output_logits)
        self._keep("scores", scores, self.config.output_scores)

    def _keep(self, name: str, value, wanted: bool) -> None:
        if wanted and self.config.return_dict_in_generate:
            self.kept.setdefault(name, []).append(value)

    def output(self, kind: type, ids: np.ndarray, **more):
        ids = as_array_like(ids, next(self.model.parameters()).data)
        if not self.config.return_dict_in_generate:
            return ids
        kept = {name: tuple(values) for name, values in self.kept.items()}
        return kind(sequences=ids, past_key_values=self.past, **kept, **more)


def _repeated(value, copies: int):
    """Each row of an array `copies` times; anything else as it is."""
    if copies == 1 or not hasattr(value, "ndim") or value.ndim == 0:
        return value
    return array_module(value).repeat(value, copies, axis=0)
