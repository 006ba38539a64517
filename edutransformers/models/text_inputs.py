"""What every text model does first with what the caller passed: check it, and fill in what was left out."""

import numpy as np

from ..backend import array_module, as_array_like
from ..functional.masks import causal_visible, padding_visible
from ..layers.embedding import check_ids


def check_text_inputs(config, input_ids, inputs_embeds, past_length: int = 0) -> tuple[int, int]:
    """-> (B, T). Exactly one of input_ids (B, T) and inputs_embeds (B, T, D), not empty, not longer than the model.

    past_length: how many tokens were read before these.
    """
    given, name = ids_or_vectors(input_ids, inputs_embeds)
    expected = 2 if inputs_embeds is None else 3
    if given.ndim != expected:
        shape = "(batch, tokens)" if expected == 2 else "(batch, tokens, width)"
        raise ValueError(f"{name} has shape {tuple(given.shape)}, expected {shape}")
    B, T = given.shape[:2]
    if B == 0 or T == 0:
        raise ValueError(f"{name} has shape {tuple(given.shape)}: the batch is empty")
    width = getattr(config, "embedding_size", config.hidden_size)
    if input_ids is not None:
        check_ids(input_ids, config.vocab_size, "input_ids")
    elif given.shape[2] != width:
        raise ValueError(f"inputs_embeds has vectors of width {given.shape[2]}, but this model's width is {width}")
    longest = config.max_position_embeddings
    if longest < T:
        raise ValueError(
            f"{name} has {T} tokens, but this model has positions for {longest}; "
            f"tokenize with truncation=True, max_length={longest}"
        )
    if longest < past_length + T:
        raise ValueError(
            f"{name} has {T} tokens and past_key_values {past_length}, but this model has positions for {longest}"
        )
    return B, T


def ids_or_vectors(input_ids, inputs_embeds):
    """-> (the one of the two that was given, its name)"""
    if (input_ids is None) == (inputs_embeds is None):
        raise ValueError("pass either input_ids or inputs_embeds, not both and not neither")
    given, name = (input_ids, "input_ids") if inputs_embeds is None else (inputs_embeds, "inputs_embeds")
    check_array(given, name)
    return given, name


def check_choices(input_ids, inputs_embeds) -> tuple[int, int]:
    """-> (B, C). Several texts an example: input_ids (B, C, T) or inputs_embeds (B, C, T, D)."""
    given, name = ids_or_vectors(input_ids, inputs_embeds)
    if given.ndim != (3 if inputs_embeds is None else 4):
        expected = "(batch, choices, tokens)" if inputs_embeds is None else "(batch, choices, tokens, width)"
        raise ValueError(f"{name} has shape {tuple(given.shape)}, expected {expected}")
    return given.shape[:2]


def default_ids(config, B: int, T: int, token_type_ids, position_ids, past_length: int = 0):
    """Segments default to all 0, positions to 0 … T−1, counted on from what was read before."""
    if token_type_ids is None:
        token_type_ids = np.zeros((B, T), dtype=np.int64)
    else:
        check_token_types(token_type_ids, B, T)
        check_range(token_type_ids, config.type_vocab_size, "token_type_ids", "segments")
    return token_type_ids, default_positions(config, B, T, position_ids, past_length)


def check_token_types(token_type_ids, B: int, T: int) -> None:
    check_array(token_type_ids, "token_type_ids")
    if tuple(token_type_ids.shape) != (B, T):
        raise ValueError(f"token_type_ids has shape {tuple(token_type_ids.shape)}, expected {(B, T)}")


def default_positions(config, B: int, T: int, position_ids, past_length: int = 0):
    """position_ids (B or 1, T), checked; without them P … P+T−1 behind P tokens that were read before."""
    if position_ids is None:
        return np.arange(past_length, past_length + T)[None]
    check_array(position_ids, "position_ids")
    if tuple(position_ids.shape) not in ((B, T), (1, T)):
        raise ValueError(f"position_ids has shape {tuple(position_ids.shape)}, expected {(B, T)} or {(1, T)}")
    check_range(position_ids, config.max_position_embeddings, "position_ids", "positions")
    return position_ids


def check_array(x, name: str) -> None:
    if not hasattr(x, "ndim"):
        raise TypeError(f"{name} must be a NumPy or CuPy array, got {type(x).__name__}; use numpy.asarray(...)")


def check_range(ids, count: int, name: str, things: str) -> None:
    """Whole numbers from 0 to count − 1. Not checked on a GPU, where looking at them would make every step wait."""
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{name} must be whole numbers, got an array of {ids.dtype}; use {name}.astype('int64')")
    if isinstance(ids, np.ndarray) and (ids.min() < 0 or ids.max() >= count):
        wrong = int(ids.min()) if ids.min() < 0 else int(ids.max())
        raise ValueError(f"{name} holds {wrong}, but this model has {count} {things}: expected 0 to {count - 1}")


def visible_tokens(is_decoder: bool, attention_mask, B: int, T: int, like, past_length: int = 0):
    """Which tokens each token may see, booleans (B|1, 1, T|1, S), or None: all. S = past_length + T.

    A decoder's tokens see only what stands before them; a mask (B, T, S) says even that itself, as in the original.
    """
    S = past_length + T
    visible = None
    if attention_mask is not None:
        check_array(attention_mask, "attention_mask")
        visible = padding_visible(attention_mask, B, T, S, like)
    if is_decoder and T > 1 and (attention_mask is None or attention_mask.ndim == 2):  # a last token alone sees all
        causal = causal_visible(T, S, array_module(like))
        visible = causal if visible is None else visible & causal
    return visible


def visible_source(config, encoder_hidden_states, encoder_attention_mask, B: int, T: int, like):
    """Which of the encoder's S states a decoder's tokens may see, booleans (B, 1, T|1, S), or None: all."""
    if encoder_hidden_states is None:
        return None
    check_array(encoder_hidden_states, "encoder_hidden_states")
    shape = tuple(encoder_hidden_states.shape)
    if len(shape) != 3 or shape[0] != B or shape[2] != config.hidden_size or shape[1] == 0:
        raise ValueError(f"encoder_hidden_states has shape {shape}, expected ({B}, tokens, {config.hidden_size})")
    if encoder_attention_mask is None:
        return None
    check_array(encoder_attention_mask, "encoder_attention_mask")
    return padding_visible(encoder_attention_mask, B, T, shape[1], like, "encoder_attention_mask")


def head_mask_by_layer(config, head_mask, like):
    """(H,) or (L, H) -> (L, 1, H, 1, 1): a factor for every head of every layer."""
    if head_mask is None:
        return None
    check_array(head_mask, "head_mask")
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    if tuple(head_mask.shape) not in ((heads,), (layers, heads)):
        raise ValueError(f"head_mask has shape {tuple(head_mask.shape)}, expected {(heads,)} or {(layers, heads)}")
    xp = array_module(like)
    head_mask = as_array_like(head_mask, like).astype(like.dtype)
    return xp.broadcast_to(head_mask, (layers, heads))[:, None, :, None, None]
