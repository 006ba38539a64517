"""BERT (Devlin et al. 2018, "Pre-training of Deep Bidirectional Transformers for Language Understanding").

    token ids -> embeddings (words + positions + segments) -> L layers of (self-attention, feed-forward) -> a head

Every token sees every other. Shapes: B batch, T tokens, D model width, H heads, S keys, V vocabulary, L layers.
The blocks come first, then BertModel, then one small class a task. Each backward stands below its forward.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..functional.precision import sum_dtype
from ..layers import (
    Activation,
    AddNorm,
    BatchThreads,
    Dropout,
    DropoutLinear,
    Embedding,
    FeedForward,
    FirstTokenPooler,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    RelativePositions,
)
from ..losses import ClassificationLoss, CrossEntropyLoss, NextTokenLoss, SpanLoss
from ..module import Module, Parameter, keep
from .base import PretrainedConfig, PreTrainedModel, add_gradients, check_output_names
from .outputs import (
    BaseModelOutputWithPoolingAndCrossAttentions,
    BertForPreTrainingOutput,
    CausalLMOutputWithCrossAttentions,
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    NextSentencePredictorOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from .stack import LayerStack, gradients_for_stack, output_fields, past_of
from .tasks import MultipleChoiceTask, SpanTask, TaskModel, VocabularyTask, loss_cache_of
from .text_inputs import check_text_inputs, default_ids, head_mask_by_layer, visible_source, visible_tokens


class BertConfig(PretrainedConfig):
    """BERT's hyperparameters; the defaults are bert-base-uncased's."""

    model_type = "bert"

    def __init__(
        self,
        vocab_size=30522,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        hidden_act="gelu",
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        max_position_embeddings=512,
        type_vocab_size=2,
        initializer_range=0.02,
        layer_norm_eps=1e-12,
        pad_token_id=0,
        position_embedding_type="absolute",
        use_cache=True,
        classifier_dropout=None,
        **kwargs,
    ):
        super().__init__(pad_token_id=pad_token_id, **kwargs)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_act = hidden_act
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.max_position_embeddings = max_position_embeddings
        self.type_vocab_size = type_vocab_size
        self.initializer_range = initializer_range
        self.layer_norm_eps = layer_norm_eps
        self.position_embedding_type = position_embedding_type
        self.use_cache = use_cache
        self.classifier_dropout = classifier_dropout


# ---------------------------------------------------------------------------------------------------------------------
# Blocks
# ---------------------------------------------------------------------------------------------------------------------


class EmbeddingsCache(NamedTuple):
    words: tuple | None
    segments: tuple
    positions: tuple | None
    norm: tuple
    dropout: tuple
    batch: int


class BertEmbeddings(Module):
    """x = dropout(LayerNorm(word[ids] + segment[types] + position[t]))   ids (B, T) -> x (B, T, D)"""

    checkpoint_names = {"norm": "LayerNorm"}

    def __init__(self, config: BertConfig):
        width = config.hidden_size
        self.word_embeddings = Embedding(config.vocab_size, width, padding_idx=config.pad_token_id)
        # With relative positions the table stays unused, but checkpoints hold it.
        self.position_embeddings = LearnedPositions(config.max_position_embeddings, width)
        self.token_type_embeddings = Embedding(config.type_vocab_size, width)
        self.norm = LayerNorm(width, config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.absolute = config.position_embedding_type == "absolute"

    def forward(self, input_ids, token_type_ids, position_ids, inputs_embeds=None, generator=None):
        words_cache = positions_cache = None
        if inputs_embeds is None:
            inputs_embeds, words_cache = self.word_embeddings.forward(input_ids)
        segments, segments_cache = self.token_type_embeddings.forward(token_type_ids)
        x = segments + inputs_embeds
        if self.absolute:
            positions, positions_cache = self.position_embeddings.forward(position_ids)  # (1 or B, T, D)
            x += positions
        x, norm_cache = self.norm.forward(x)
        x, dropout_cache = self.dropout.forward(x, generator)
        batch_of_positions = position_ids.shape[0]
        return x, keep(
            EmbeddingsCache, words_cache, segments_cache, positions_cache, norm_cache, dropout_cache, batch_of_positions
        )

    def backward(self, dx, cache):
        """dx (B, T, D) -> the gradient of the word vectors, (B, T, D): every summand's gradient is the sum's."""
        dx = self.dropout.backward(dx, cache.dropout)
        dx = self.norm.backward(dx, cache.norm)
        if cache.positions is not None:
            shared = cache.batch == 1  # one row of positions served the whole batch
            dpositions = dx.sum(axis=0, keepdims=True, dtype=sum_dtype(dx.dtype)) if shared else dx
            self.position_embeddings.backward(dpositions, cache.positions)
        self.token_type_embeddings.backward(dx, cache.segments)
        if cache.words is not None:
            self.word_embeddings.backward(dx, cache.words)
        return dx


class LayerCache(NamedTuple):
    attention: tuple
    attention_norm: tuple
    cross_attention: tuple | None
    cross_attention_norm: tuple | None
    feed_forward: tuple
    output_norm: tuple


class BertLayer(Module):
    """a = LayerNorm(x + attention(x)),   y = LayerNorm(a + feed_forward(a))   x (B, T, D) -> y (B, T, D)

    As a decoder (`add_cross_attention`) a second attention, over an encoder's states (B, S, D), stands in between.
    """

    checkpoint_names = {
        "attention.query": "attention.self.query",
        "attention.key": "attention.self.key",
        "attention.value": "attention.self.value",
        "attention.relative.weight": "attention.self.distance_embedding.weight",
        "attention.output": "attention.output.dense",
        "attention_norm.norm": "attention.output.LayerNorm",
        "cross_attention.query": "crossattention.self.query",
        "cross_attention.key": "crossattention.self.key",
        "cross_attention.value": "crossattention.self.value",
        "cross_attention.output": "crossattention.output.dense",
        "cross_attention_norm.norm": "crossattention.output.LayerNorm",
        "feed_forward.up": "intermediate.dense",
        "feed_forward.down": "output.dense",
        "output_norm.norm": "output.LayerNorm",
    }

    def __init__(self, config: BertConfig):
        width, heads, eps = config.hidden_size, config.num_attention_heads, config.layer_norm_eps
        relative = None
        if config.position_embedding_type != "absolute":
            kind, positions = config.position_embedding_type, config.max_position_embeddings
            relative = RelativePositions(positions, width // heads, kind)
        dropout, attention_dropout = config.hidden_dropout_prob, config.attention_probs_dropout_prob
        self.attention = MultiHeadAttention(width, heads, attention_dropout, relative)
        self.attention_norm = AddNorm(width, eps, dropout)
        if config.add_cross_attention and not config.is_decoder:
            raise ValueError("add_cross_attention=True needs is_decoder=True: cross-attention is part of a decoder")
        self.has_cross_attention = config.add_cross_attention
        if self.has_cross_attention:
            self.cross_attention = MultiHeadAttention(width, heads, attention_dropout)
            self.cross_attention_norm = AddNorm(width, eps, dropout)
        self.feed_forward = FeedForward(
            width, config.intermediate_size, config.hidden_act, chunk_size=config.chunk_size_feed_forward
        )
        self.output_norm = AddNorm(width, eps, dropout)

    def forward(
        self,
        x,
        visible=None,
        head_mask=None,
        source=None,
        source_visible=None,
        generator=None,
        return_weights=False,
        past=None,
    ):
        (a, weights), attention_cache = self.attention.forward(
            x, None, visible, head_mask, generator, return_weights, past
        )
        a, attention_norm_cache = self.attention_norm.forward(a, x, generator, out=a)
        cross_weights = cross_cache = cross_norm_cache = None
        if source is not None:
            (c, cross_weights), cross_cache = self.cross_attention.forward(
                a, source, source_visible, head_mask, generator, return_weights, past
            )
            a, cross_norm_cache = self.cross_attention_norm.forward(c, a, generator, out=c)
        f, feed_forward_cache = self.feed_forward.forward(a)
        y, output_norm_cache = self.output_norm.forward(f, a, generator, out=f)
        return (y, weights, cross_weights), keep(
            LayerCache,
            attention_cache,
            attention_norm_cache,
            cross_cache,
            cross_norm_cache,
            feed_forward_cache,
            output_norm_cache,
        )

    def backward(self, d_output, cache):
        """(dy, dweights, dcross_weights) -> dx, dsource (None without cross-attention)"""
        dy, dweights, dcross_weights = d_output
        df, da = self.output_norm.backward(dy, cache.output_norm)
        da = da + self.feed_forward.backward(df, cache.feed_forward)
        dsource = None
        if cache.cross_attention is not None:
            dc, da = self.cross_attention_norm.backward(da, cache.cross_attention_norm)
            da_of_cross, dsource = self.cross_attention.backward(dc, cache.cross_attention, dcross_weights)
            da = da + da_of_cross
        da, dx = self.attention_norm.backward(da, cache.attention_norm)
        dx = dx + self.attention.backward(da, cache.attention, dweights)
        return dx, dsource


class BertEncoder(LayerStack):
    """L layers one after the other."""

    checkpoint_names = {}  # they stand under "layer" in BERT's checkpoints

    def __init__(self, config: BertConfig):
        super().__init__(BertLayer(config) for _ in range(config.num_hidden_layers))


class BertPooler(FirstTokenPooler):
    """p = tanh(W x[0] + b): the first token's ([CLS]) last state, transformed.   x (B, T, D) -> p (B, D)"""

    def __init__(self, config: BertConfig):
        super().__init__(config.hidden_size, config.hidden_size, "tanh")


class PredictionHeadCache(NamedTuple):
    dense: tuple
    activation: tuple
    norm: tuple
    decoder: tuple


class BertPredictionHead(Module):
    """Scores for every word of the vocabulary: logits = LayerNorm(f(W x + b)) Eᵀ + c   (B, T, D) -> (B, T, V)

    E is the table of word embeddings itself (tied), c its own bias.
    """

    checkpoint_names = {"dense": "transform.dense", "norm": "transform.LayerNorm"}

    def __init__(self, config: BertConfig):
        self.bias = Parameter(np.zeros(config.vocab_size, dtype=np.float32))
        self.dense = Linear(config.hidden_size, config.hidden_size)
        self.activation = Activation(config.hidden_act)
        self.norm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.decoder = Linear(config.hidden_size, config.vocab_size)
        if config.tie_word_embeddings:
            self.decoder.bias = self.bias  # one bias under two names. Untied, the first of them is of no use, as in 5.x

    def forward(self, x):
        x, dense_cache = self.dense.forward(x)
        x, activation_cache = self.activation.forward(x)
        x, norm_cache = self.norm.forward(x)
        logits, decoder_cache = self.decoder.forward(x)
        return logits, keep(PredictionHeadCache, dense_cache, activation_cache, norm_cache, decoder_cache)

    def backward(self, dlogits, cache, rows=None):
        """dlogits (B, T, V), or (M, V) of the M tokens `rows` alone -> dx (B, T, D)"""
        dx = self.decoder.backward(dlogits, cache.decoder, rows)
        dx = self.norm.backward(dx, cache.norm)
        dx = self.activation.backward(dx, cache.activation)
        return self.dense.backward(dx, cache.dense)


# ---------------------------------------------------------------------------------------------------------------------
# The model without a head
# ---------------------------------------------------------------------------------------------------------------------


class BertPreTrainedModel(PreTrainedModel):
    """Name and config of all BERT models."""

    config_class = BertConfig
    base_model_prefix = "bert"
    _keys_to_ignore_on_load_unexpected = [r"embeddings\.position_ids$"]
    checkpoint_substitutes = {"cls.predictions.decoder.bias": "cls.predictions.bias"}  # 4.x ties the two always


class ModelCache(NamedTuple):
    embeddings: tuple
    encoder: tuple
    pooler: tuple | None
    shape: tuple[int, int, int]


class BertModel(BertPreTrainedModel):
    """Token ids in, hidden states out; with `pooler_output`, a vector for the whole text."""

    def build(self, config: BertConfig, add_pooling_layer: bool = True):
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None

    def get_input_embeddings(self):
        return self.embeddings.word_embeddings

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        head_mask=None,
        inputs_embeds=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
        past_key_values=None,
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
        generator=None,
    ):
        """-> (BaseModelOutputWithPoolingAndCrossAttentions, cache)

        input_ids (B, T), or inputs_embeds (B, T, D) instead; attention_mask (B, T) or (B, T, T), 1 = look, 0 = hide;
        token_type_ids (B, T) segments; position_ids (B or 1, T); head_mask (H,) or (L, H) factors;
        encoder_hidden_states (B, S, D) with encoder_attention_mask (B, S) for a decoder with cross-attention;
        past_key_values and use_cache for a decoder that reads a text piece by piece (see KeyValueCache);
        generator for dropout in training mode (default: the model's own).
        """
        config = self.config
        output_attentions = config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        generator = self.generator if generator is None else generator
        if encoder_hidden_states is not None and not (config.is_decoder and config.add_cross_attention):
            raise ValueError(
                "encoder_hidden_states were passed, but this model has no cross-attention: "
                "build it with BertConfig(is_decoder=True, add_cross_attention=True)"
            )
        past, use_cache = past_of(config, past_key_values, use_cache if config.is_decoder else False)
        past_length = 0 if past is None else past.length
        B, T = check_text_inputs(config, input_ids, inputs_embeds, past_length)
        table = self.get_input_embeddings().weight.data
        token_type_ids, position_ids = default_ids(config, B, T, token_type_ids, position_ids, past_length)

        x, embeddings_cache = self.embeddings.forward(input_ids, token_type_ids, position_ids, inputs_embeds, generator)
        layers, encoder_cache = BatchThreads(self.encoder).forward(
            x,
            visible_tokens(config.is_decoder, attention_mask, B, T, table, past_length),
            encoder_hidden_states,
            visible_source(config, encoder_hidden_states, encoder_attention_mask, B, T, table),
            head_mask=head_mask_by_layer(config, head_mask, table),
            past=past,
            use_cache=use_cache,
            return_weights=output_attentions,
            return_hidden_states=output_hidden_states,
            generator=generator,
        )
        x, pooled, pooler_cache = layers.x, None, None
        if self.pooler is not None:
            pooled, pooler_cache = self.pooler.forward(x)
        fields = output_fields(layers, output_hidden_states, output_attentions, encoder_hidden_states is not None)
        output = BaseModelOutputWithPoolingAndCrossAttentions(x, pooled, **fields)
        return output, keep(ModelCache, embeddings_cache, encoder_cache, pooler_cache, x.shape)

    def backward(self, d_output, cache):
        """Gradients by output name -> gradients by input name: "inputs_embeds", and "encoder_hidden_states" if given.

        "hidden_states", "attentions" and "cross_attentions" take a list with None for what the loss did not use.
        """
        names = ("last_hidden_state", "hidden_states", "attentions", "cross_attentions")
        check_output_names(d_output, names if self.pooler is None else (*names, "pooler_output"), self)
        d_last = d_output.get("last_hidden_state")
        if d_output.get("pooler_output") is not None:
            d_last = add_gradients(d_last, self.pooler.backward(d_output["pooler_output"], cache.pooler))
        table = self.get_input_embeddings().weight.data
        d_stack = gradients_for_stack(d_output, d_last, self.config.num_hidden_layers, cache.shape, table)
        dx, dsource = BatchThreads(self.encoder).backward(d_stack, cache.encoder)
        d_inputs = {"inputs_embeds": self.embeddings.backward(dx, cache.embeddings)}
        if dsource is not None:
            d_inputs["encoder_hidden_states"] = dsource
        return d_inputs


# ---------------------------------------------------------------------------------------------------------------------
# One class a task
# ---------------------------------------------------------------------------------------------------------------------


class BertForMaskedLM(VocabularyTask, BertPreTrainedModel):
    """Which word stands behind each [MASK]? labels (B, T): the word's id where it counts, −100 elsewhere."""

    checkpoint_names = {"head": "cls.predictions"}
    output_class = MaskedLMOutput

    def build(self, config):
        self.bert = BertModel(config, add_pooling_layer=False)
        self.head = BertPredictionHead(config)
        self.loss = CrossEntropyLoss()

    def get_output_embeddings(self):
        return self.head.decoder


class BertLMHeadModel(VocabularyTask, BertPreTrainedModel):
    """Which word comes next? With `is_decoder=True` each token sees only itself and those before it."""

    checkpoint_names = {"head": "cls.predictions"}
    output_class = CausalLMOutputWithCrossAttentions

    def build(self, config):
        self.bert = BertModel(config, add_pooling_layer=False)
        self.head = BertPredictionHead(config)
        self.loss = NextTokenLoss()

    def get_output_embeddings(self):
        return self.head.decoder


class BertForNextSentencePrediction(TaskModel, BertPreTrainedModel):
    """Does sentence B follow sentence A? labels (B,) or (B, 1): 0 yes, 1 no."""

    checkpoint_names = {"head": "cls.seq_relationship"}
    output_class = NextSentencePredictorOutput
    feature = "pooler_output"

    def build(self, config):
        self.bert = BertModel(config)
        self.head = Linear(config.hidden_size, 2)
        self.loss = CrossEntropyLoss()

    def forward(self, *inputs, labels=None, **options):
        return super().forward(*inputs, labels=None if labels is None else labels.reshape(-1), **options)


class BertForSequenceClassification(TaskModel, BertPreTrainedModel):
    """A class (or several, or a number) for a whole text; `config.problem_type` or the labels decide which loss."""

    checkpoint_names = {"head.linear": "classifier"}
    output_class = SequenceClassifierOutput
    feature = "pooler_output"

    def build(self, config):
        self.bert = BertModel(config)
        self.head = DropoutLinear(config.hidden_size, config.num_labels, classifier_dropout(config))
        self.loss = ClassificationLoss(config)


class BertForTokenClassification(TaskModel, BertPreTrainedModel):
    """A class for each token. labels (B, T), −100 where it does not count."""

    checkpoint_names = {"head.linear": "classifier"}
    output_class = TokenClassifierOutput

    def build(self, config):
        self.bert = BertModel(config, add_pooling_layer=False)
        self.head = DropoutLinear(config.hidden_size, config.num_labels, classifier_dropout(config))
        self.loss = CrossEntropyLoss()


def classifier_dropout(config) -> float:
    return config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout


class BertForMultipleChoice(MultipleChoiceTask, BertPreTrainedModel):
    """Which of C continuations fits? Ids and masks (B, C, T), labels (B,) -> logits (B, C)"""

    checkpoint_names = {"head.linear": "classifier"}
    output_class = MultipleChoiceModelOutput
    feature = "pooler_output"

    def build(self, config):
        self.bert = BertModel(config)
        self.head = DropoutLinear(config.hidden_size, 1, classifier_dropout(config))
        self.loss = CrossEntropyLoss()


class BertForQuestionAnswering(SpanTask, BertPreTrainedModel):
    """Where in the text is the answer? A score for each token to be its first, and to be its last."""

    checkpoint_names = {"head": "qa_outputs"}

    def build(self, config):
        self.bert = BertModel(config, add_pooling_layer=False)
        self.head = Linear(config.hidden_size, 2)
        self.loss = SpanLoss()


class PreTrainingCache(NamedTuple):
    bert: tuple
    predictions: tuple
    seq_relationship: tuple
    losses: tuple | None


class BertForPreTraining(BertPreTrainedModel):
    """Both of BERT's pre-training tasks at once: masked words (labels) and next sentence (next_sentence_label)."""

    checkpoint_names = {"predictions": "cls.predictions", "seq_relationship": "cls.seq_relationship"}

    def build(self, config):
        self.bert = BertModel(config)
        self.predictions = BertPredictionHead(config)
        self.seq_relationship = Linear(config.hidden_size, 2)
        self.loss = CrossEntropyLoss()

    def get_output_embeddings(self):
        return self.predictions.decoder

    def forward(self, *inputs, labels=None, next_sentence_label=None, generator=None, **options):
        generator = self.generator if generator is None else generator
        states, bert_cache = self.bert.forward(*inputs, generator=generator, **options)
        words, words_cache = self.predictions.forward(states.last_hidden_state)
        order, order_cache = self.seq_relationship.forward(states.pooler_output)
        loss, loss_caches = None, None
        if labels is not None and next_sentence_label is not None:
            words_loss, words_loss_cache = self.loss.forward(words, labels)
            order_loss, order_loss_cache = self.loss.forward(order, next_sentence_label.reshape(-1))
            loss, loss_caches = words_loss + order_loss, (words_loss_cache, order_loss_cache)
        output = BertForPreTrainingOutput(loss, words, order, states.hidden_states, states.attentions)
        return output, keep(PreTrainingCache, bert_cache, words_cache, order_cache, loss_caches)

    def backward(self, d_output, cache):
        names = ("loss", "prediction_logits", "seq_relationship_logits", "hidden_states", "attentions")
        check_output_names(d_output, names, self)
        dwords, dorder = d_output.get("prediction_logits"), d_output.get("seq_relationship_logits")
        rows = None  # of the words, those that dwords is about
        if d_output.get("loss") is not None:
            words_loss_cache, order_loss_cache = loss_cache_of(self, cache, "losses")
            if dwords is None:
                dwords, rows = self.loss.backward_counted(d_output["loss"], words_loss_cache)
            else:
                dwords = add_gradients(dwords, self.loss.backward(d_output["loss"], words_loss_cache))
            dorder = add_gradients(dorder, self.loss.backward(d_output["loss"], order_loss_cache))
        d_states = {name: d_output[name] for name in ("hidden_states", "attentions") if name in d_output}
        if dorder is not None:
            d_states["pooler_output"] = self.seq_relationship.backward(dorder, cache.seq_relationship)
        if dwords is not None:
            d_states["last_hidden_state"] = self.predictions.backward(dwords, cache.predictions, rows)
        return self.bert.backward(d_states, cache.bert)
