"""Which keys a query may see, as booleans (B|1, H|1, T|1, S)."""

import numpy as np

from ..backend import as_array_like


def causal_visible(queries: int, keys: int, xp=np):
    """(1, 1, T, S): query t sees keys 0 … t. With more keys than queries, the queries are the last ones."""
    return (xp.arange(keys)[None, :] <= xp.arange(keys - queries, keys)[:, None])[None, None]


def padding_visible(attention_mask, batch: int, queries: int, keys: int, like, name: str = "attention_mask"):
    """The original's attention_mask (0 hides a key) as booleans: (B, S) -> (B, 1, 1, S), (B, T, S) -> (B, 1, T, S)."""
    shape = tuple(attention_mask.shape)
    if shape not in ((batch, keys), (batch, queries, keys)):
        raise ValueError(
            f"{name} has shape {shape}, expected {(batch, keys)} (one number a token: 1 keeps it, 0 hides it) "
            f"or {(batch, queries, keys)}"
        )
    visible = as_array_like(attention_mask, like) != 0
    return visible[:, None, None, :] if len(shape) == 2 else visible[:, None]
