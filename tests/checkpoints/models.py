"""Small models to load and save: a stand-in with every special case, and the real BERT."""

import numpy as np

from edutransformers.layers import LayerNorm, Linear
from edutransformers.models.base import PreTrainedModel
from edutransformers.models.bert import BertConfig
from edutransformers.models.configuration import PretrainedConfig
from edutransformers.module import Buffer, Module

CONFIG = BertConfig(
    vocab_size=17,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=11,
)


def bert(model_class, seed=0, **fields):
    """A tiny BERT with random weights everywhere (fresh ones have biases of 0 and norms of 1, which hides mistakes)."""
    config = BertConfig(**{**CONFIG.to_dict(), **fields})
    return randomize(model_class(config, generator=np.random.default_rng(seed)), seed).eval()


def randomize(model, seed=0):
    generator = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data = generator.standard_normal(parameter.shape).astype(parameter.dtype)
    return model


class ToyConfig(PretrainedConfig):
    model_type = "toy"

    def __init__(self, width=4, initializer_range=0.5, **kwargs):
        self.width = width
        self.initializer_range = initializer_range
        super().__init__(**kwargs)


class ToyBase(PreTrainedModel):
    """base: one linear layer, a norm, a saved and an unsaved buffer."""

    config_class = ToyConfig
    base_model_prefix = "toy"

    def build(self, config):
        self.dense = Linear(config.width, config.width)
        self.norm = LayerNorm(config.width)
        self.steps = Buffer(np.zeros(1, dtype=np.int64))
        self.positions = Buffer(np.arange(3), persistent=False)


class ToyHead(PreTrainedModel):
    """The base, a head, and an extra option of the constructor."""

    config_class = ToyConfig
    base_model_prefix = "toy"

    def build(self, config, *args, extra=None):
        self.toy = ToyBase(config)
        self.head = Linear(config.width, 3)
        self.args, self.extra = args, extra


class ToyTied(ToyHead):
    """Its output layer is its input layer."""

    def build(self, config):
        self.first = Module()
        self.second = Module()
        self.first.dense = Linear(config.width, config.width)
        self.second.dense = self.first.dense


class ToyRenamed(ToyHead):
    checkpoint_renames = {r"^old_(\w+)\.": r"toy.\1.", r"kernel$": "weight"}
    _keys_to_ignore_on_load_unexpected = [r"^leftover"]
    _keys_to_ignore_on_load_missing = [r"^head\."]
