"""A tiny language model for the tests of generation: 13 words, weights by name, decided opinions."""

import numpy as np

from edutransformers import GPT2Config, GPT2LMHeadModel
from tests.models.seeded import seed_weights

V, EOS, PAD = 13, 12, 0
PROMPT = np.array([[5, 7, 9]])
BATCH = np.array([[PAD, PAD, 5, 7, 9], [PAD, 2, 2, 8, 4], [11, 6, 1, 10, 3]])
MASK = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]])


def model_of(**fields):
    config = {
        "vocab_size": V, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "bos_token_id": 1,
        "eos_token_id": EOS, **fields,
    }  # fmt: skip
    model = GPT2LMHeadModel(GPT2Config(**config)).astype("float64").eval()
    seed_weights(model, std=0.4)
    return model


def log_probabilities(model, ids):
    """log P(next word | ids) for every word, from the whole text without a cache."""
    logits = model(np.array([ids]), use_cache=False).logits[0, -1]
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
