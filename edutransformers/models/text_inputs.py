"""What every text model does first with what the caller passed: check it, and fill in what was left out."""

import numpy as np

from ..backend import array_module, as_array_like
from ..layers.embedding import check_ids


def check_text_inputs(config, input_ids, inputs_embeds) -> tuple[int, int]:
    """-> (B, T). Exactly one of input_ids (B, T) and inputs_embeds (B, T, D), not empty, not longer than the model."""
    if (input_ids is None) == (inputs_embeds is None):
        raise ValueError("pass either input_ids or inputs_embeds, not both and not neither")
    given, name = (input_ids, "input_ids") if inputs_embeds is None else (inputs_embeds, "inputs_embeds")
    if not hasattr(given, "ndim"):
        raise TypeError(f"{name} must be a NumPy or CuPy array, got {type(given).__name__}; use numpy.asarray(...)")
    expected = 2 if inputs_embeds is None else 3
    if given.ndim != expected:
        shape = "(batch, tokens)" if expected == 2 else "(batch, tokens, width)"
        raise ValueError(f"{name} has shape {tuple(given.shape)}, expected {shape}")
    B, T = given.shape[:2]
    if B == 0 or T == 0:
        raise ValueError(f"{name} has shape {tuple(given.shape)}: the batch is empty")
    if input_ids is not None:
        check_ids(input_ids, config.vocab_size, "input_ids")
    longest = config.max_position_embeddings
    if longest < T:
        raise ValueError(
            f"{name} has {T} tokens, but this model has positions for {longest}; "
            f"tokenize with truncation=True, max_length={longest}"
        )
    return B, T


def default_ids(B: int, T: int, token_type_ids, position_ids):
    """Segments default to all 0, positions to 0 … T−1."""
    if token_type_ids is None:
        token_type_ids = np.zeros((B, T), dtype=np.int64)
    elif tuple(token_type_ids.shape) != (B, T):
        raise ValueError(f"token_type_ids have shape {tuple(token_type_ids.shape)}, expected {(B, T)}")
    if position_ids is None:
        position_ids = np.arange(T)[None]
    elif tuple(position_ids.shape) not in ((B, T), (1, T)):
        raise ValueError(f"position_ids have shape {tuple(position_ids.shape)}, expected {(B, T)} or {(1, T)}")
    return token_type_ids, position_ids


def head_mask_by_layer(config, head_mask, like):
    """(H,) or (L, H) -> (L, 1, H, 1, 1): a factor for every head of every layer."""
    if head_mask is None:
        return None
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    if tuple(head_mask.shape) not in ((heads,), (layers, heads)):
        raise ValueError(f"head_mask has shape {tuple(head_mask.shape)}, expected {(heads,)} or {(layers, heads)}")
    xp = array_module(like)
    head_mask = as_array_like(head_mask, like).astype(like.dtype)
    return xp.broadcast_to(head_mask, (layers, heads))[:, None, :, None, None]
