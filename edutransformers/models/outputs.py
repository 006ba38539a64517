"""What models return: the original's output classes, one a kind of head. Every field may be None (not asked for)."""

from __future__ import annotations

from dataclasses import dataclass

from ..backend import Array
from ..layers.key_value_cache import KeyValueCache
from ..module import ModelOutput


@dataclass(repr=False)
class BaseModelOutput(ModelOutput):
    last_hidden_state: Array | None = None  # (B, T, D)
    hidden_states: tuple[Array, ...] | None = None  # embeddings and every layer's output
    attentions: tuple[Array, ...] | None = None  # every layer's weights (B, H, T, S)
    cross_attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class BaseModelOutputWithPooling(ModelOutput):
    last_hidden_state: Array | None = None  # (B, T, D)
    pooler_output: Array | None = None  # (B, D)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class BaseModelOutputWithPoolingAndCrossAttentions(ModelOutput):
    last_hidden_state: Array | None = None  # (B, T, D)
    pooler_output: Array | None = None  # (B, D)
    past_key_values: KeyValueCache | None = None
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None
    cross_attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class BaseModelOutputWithPastAndCrossAttentions(ModelOutput):
    last_hidden_state: Array | None = None  # (B, T, D)
    past_key_values: KeyValueCache | None = None
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None
    cross_attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class MaskedLMOutput(ModelOutput):
    loss: Array | None = None
    logits: Array | None = None  # (B, T, V)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class CausalLMOutputWithCrossAttentions(ModelOutput):
    loss: Array | None = None
    logits: Array | None = None  # (B, T, V)
    past_key_values: KeyValueCache | None = None
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None
    cross_attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class NextSentencePredictorOutput(ModelOutput):
    loss: Array | None = None
    logits: Array | None = None  # (B, 2)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class SequenceClassifierOutput(ModelOutput):
    loss: Array | None = None
    logits: Array | None = None  # (B, labels)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class SequenceClassifierOutputWithPast(ModelOutput):
    loss: Array | None = None
    logits: Array | None = None  # (B, labels)
    past_key_values: KeyValueCache | None = None
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class GPT2DoubleHeadsModelOutput(ModelOutput):
    loss: Array | None = None
    mc_loss: Array | None = None
    logits: Array | None = None  # (B, C, T, V)
    mc_logits: Array | None = None  # (B, C)
    past_key_values: KeyValueCache | None = None
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class MultipleChoiceModelOutput(ModelOutput):
    loss: Array | None = None
    logits: Array | None = None  # (B, choices)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class TokenClassifierOutput(ModelOutput):
    loss: Array | None = None
    logits: Array | None = None  # (B, T, labels)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class QuestionAnsweringModelOutput(ModelOutput):
    loss: Array | None = None
    start_logits: Array | None = None  # (B, T)
    end_logits: Array | None = None  # (B, T)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class ImageClassifierOutput(ModelOutput):
    loss: Array | None = None
    logits: Array | None = None  # (B, labels)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class MaskedImageModelingOutput(ModelOutput):
    loss: Array | None = None
    reconstruction: Array | None = None  # (B, C, H, W)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class BertForPreTrainingOutput(ModelOutput):
    loss: Array | None = None
    prediction_logits: Array | None = None  # (B, T, V)
    seq_relationship_logits: Array | None = None  # (B, 2)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class Wav2Vec2BaseModelOutput(ModelOutput):
    last_hidden_state: Array | None = None  # (B, T, D)
    extract_features: Array | None = None  # (B, T, C): the normed frames before the encoder
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class CausalLMOutput(ModelOutput):
    loss: Array | None = None
    logits: Array | None = None  # (B, T, V)
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class XVectorOutput(ModelOutput):
    loss: Array | None = None
    logits: Array | None = None  # (B, X)
    embeddings: Array | None = None  # (B, X): one vector a recording
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None


@dataclass(repr=False)
class Wav2Vec2ForPreTrainingOutput(ModelOutput):
    loss: Array | None = None
    projected_states: Array | None = None  # (B, T, P)
    projected_quantized_states: Array | None = None  # (B, T, P)
    codevector_perplexity: Array | None = None
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None
    contrastive_loss: Array | None = None
    diversity_loss: Array | None = None
