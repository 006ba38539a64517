"""GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners").

    token ids -> words + positions -> L blocks of (attention to what stands before, feed-forward) -> LayerNorm -> a head

A decoder: every token sees itself and those before it, so each position can predict the next token. Other than in BERT
the norms stand in front of the sublayers and the shortcuts go past them. The linear layers are `Conv1D`, whose weights
lie the other way round, and one of them makes queries, keys and values at once. Shapes: B batch, T tokens, S keys,
D model width, H heads, V vocabulary, L layers, C choices.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..backend import array_module
from ..functional.attention import attention, attention_backward
from ..functional.precision import sum_dtype
from ..generation.mixin import GenerationMixin
from ..layers import (
    BatchThreads,
    Conv1D,
    Dropout,
    DropoutLinear,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    Linear,
)
from ..layers.embedding import check_ids
from ..losses import ClassificationLoss, CrossEntropyLoss, NextTokenLoss, SpanLoss
from ..module import Module, keep
from .base import PretrainedConfig, PreTrainedModel, add_gradients, check_output_names
from .outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
    GPT2DoubleHeadsModelOutput,
    SequenceClassifierOutputWithPast,
    TokenClassifierOutput,
)
from .sequence_summary import SequenceSummary
from .stack import LayerStack, gradients_for_stack, output_fields, past_of
from .tasks import CausalTask, LastTokenTask, SpanTask, TaskModel, loss_cache_of
from .text_inputs import (
    check_text_inputs,
    check_token_types,
    default_positions,
    head_mask_by_layer,
    ids_or_vectors,
    visible_source,
    visible_tokens,
)


class GPT2Config(PretrainedConfig):
    """GPT-2's hyperparameters; the defaults are those of the smallest of the four, with 124 million parameters."""

    model_type = "gpt2"
    attribute_map = {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }

    def __init__(
        self,
        vocab_size=50257,
        n_positions=1024,
        n_embd=768,
        n_layer=12,
        n_head=12,
        n_inner=None,
        activation_function="gelu_new",
        resid_pdrop=0.1,
        embd_pdrop=0.1,
        attn_pdrop=0.1,
        layer_norm_epsilon=1e-5,
        initializer_range=0.02,
        summary_type="cls_index",
        summary_use_proj=True,
        summary_activation=None,
        summary_proj_to_labels=True,
        summary_first_dropout=0.1,
        scale_attn_weights=True,
        use_cache=True,
        bos_token_id=50256,
        eos_token_id=50256,
        scale_attn_by_inverse_layer_idx=False,
        reorder_and_upcast_attn=False,
        **kwargs,
    ):
        self.vocab_size = vocab_size
        self.n_positions = n_positions
        self.n_embd = n_embd
        self.n_layer = n_layer
        self.n_head = n_head
        self.n_inner = n_inner
        self.activation_function = activation_function
        self.resid_pdrop = resid_pdrop
        self.embd_pdrop = embd_pdrop
        self.attn_pdrop = attn_pdrop
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.summary_type = summary_type
        self.summary_use_proj = summary_use_proj
        self.summary_activation = summary_activation
        self.summary_proj_to_labels = summary_proj_to_labels
        self.summary_first_dropout = summary_first_dropout
        self.scale_attn_weights = scale_attn_weights
        self.use_cache = use_cache
        self.scale_attn_by_inverse_layer_idx = scale_attn_by_inverse_layer_idx
        # Of no effect here: scores are always made so that float16 does not overflow (functional/attention.py).
        self.reorder_and_upcast_attn = reorder_and_upcast_attn
        # Last, so that a field's other name counts too: GPT2Config(hidden_size=96).
        super().__init__(bos_token_id=bos_token_id, eos_token_id=eos_token_id, **kwargs)


# ---------------------------------------------------------------------------------------------------------------------
# Blocks
# ---------------------------------------------------------------------------------------------------------------------


class AttentionCache(NamedTuple):
    projection: tuple | None
    source: tuple | None
    attention: tuple
    output: tuple
    dropout: tuple


class GPT2Attention(Module):
    """Multi-head attention with one linear map for queries, keys and values.

        [q k v] = x W + b                              x (B, T, D), W (D, 3D); each is split into heads (B, H, T, K)
        y = dropout(merge(softmax(q kᵀ · s) v) W_o + b_o)

    s is 1/√K (1 without `scale_attn_weights`), divided by the layer's number from 1 with
    `scale_attn_by_inverse_layer_idx`. For cross-attention q = x W_q + b_q, and [k v] come from an encoder's states.
    """

    def __init__(self, config: GPT2Config, layer: int, cross: bool = False):
        width, self.heads = config.n_embd, config.n_head
        if width % self.heads:
            raise ValueError(f"n_embd is {width}, which is not a multiple of n_head, {self.heads}")
        self.cross = cross
        self.c_attn = Conv1D(width, (2 if cross else 3) * width)
        if cross:
            self.q_attn = Conv1D(width, width)
        self.c_proj = residual_projection(config, Conv1D(width, width))
        self.attn_dropout = Dropout(config.attn_pdrop)
        self.resid_dropout = Dropout(config.resid_pdrop)
        self.scale = 1 / math.sqrt(width // self.heads) if config.scale_attn_weights else 1.0
        if config.scale_attn_by_inverse_layer_idx:
            self.scale /= layer + 1

    def forward(self, x, visible=None, head_mask=None, source=None, generator=None, return_weights=False, past=None):
        """-> ((y (B, T, D), weights (B, H, T, S) or None), cache);  source (B, S, D) for cross-attention

        past: this layer's LayerPast, to which the keys and values of x are added. Those it had have no gradient.
        """
        source_cache = None
        if not self.cross:
            qkv, projection_cache = self.c_attn.forward(x)
            q, k, v = self.split(qkv, 3)
            if past is not None:
                k, v = past.append(k, v)
        else:
            q, projection_cache = self.q_attn.forward(x)
            (q,) = self.split(q, 1)
            if past is not None and past.source is not None:
                k, v = past.source
            else:
                kv, source_cache = self.c_attn.forward(source)
                k, v = self.split(kv, 2)
                if past is not None:
                    past.source = (k, v)
        drop_mask = self.attn_dropout.draw((*q.shape[:3], k.shape[2]), generator, q)
        (context, weights), attention_cache = attention(
            q,
            k,
            v,
            visible=visible,
            scale=self.scale,
            drop_mask=drop_mask,
            drop_p=self.attn_dropout.p,
            head_mask=head_mask,
            return_weights=return_weights,
        )
        y, output_cache = self.c_proj.forward(self.merge(context))
        y, dropout_cache = self.resid_dropout.forward(y, generator)
        cache = keep(AttentionCache, projection_cache, source_cache, attention_cache, output_cache, dropout_cache)
        return (y, weights), cache

    def backward(self, dy, cache, dweights=None):
        """dy (B, T, D) -> dx (B, T, D), dsource (B, S, D) or None"""
        dy = self.resid_dropout.backward(dy, cache.dropout)
        (dcontext,) = self.split(self.c_proj.backward(dy, cache.output), 1)
        dq, dk, dv, _ = attention_backward(dcontext, cache.attention, dweights)
        if not self.cross:
            T = dq.shape[2]  # of the keys, those of x are the last T
            return self.c_attn.backward(self.merge(dq, dk[:, :, -T:], dv[:, :, -T:]), cache.projection), None
        dx = self.q_attn.backward(self.merge(dq), cache.projection)
        if cache.source is None:
            return dx, None
        return dx, self.c_attn.backward(self.merge(dk, dv), cache.source)

    def split(self, x, parts: int):
        """(B, T, parts · D) -> `parts` times (B, H, T, K): views, nothing moves."""
        B, T, width = x.shape
        heads = x.reshape(B, T, parts, self.heads, width // (parts * self.heads)).transpose(2, 0, 3, 1, 4)
        return tuple(heads)

    def merge(self, *parts):
        """The way back: so many arrays (B, H, T, K) side by side in one (B, T, parts · H · K)."""
        B, H, T, K = parts[0].shape
        if len(parts) == 1:
            return parts[0].transpose(0, 2, 1, 3).reshape(B, T, H * K)
        merged = array_module(parts[0]).empty((B, T, len(parts), H, K), dtype=parts[0].dtype)
        for place, part in enumerate(parts):
            merged[:, :, place] = part.transpose(0, 2, 1, 3)
        return merged.reshape(B, T, len(parts) * H * K)

    def extra_repr(self):
        return f"{self.heads} heads"


def residual_projection(config: GPT2Config, layer: Conv1D) -> Conv1D:
    """A layer whose output is added to the shortcut: fresh weights smaller by √(2L), as there are 2L such additions."""
    layer.initial_scale = 1 / math.sqrt(2 * config.n_layer)
    return layer


class BlockCache(NamedTuple):
    norm_1: tuple
    attention: tuple
    cross_norm: tuple | None
    cross_attention: tuple | None
    norm_2: tuple
    feed_forward: tuple
    dropout: tuple


class GPT2Block(Module):
    """a = x + attention(LayerNorm(x)),   y = a + dropout(feed_forward(LayerNorm(a)))   x (B, T, D) -> y (B, T, D)

    With `add_cross_attention` a second attention, over an encoder's states, stands in between.
    """

    checkpoint_names = {"mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"}

    def __init__(self, config: GPT2Config, layer: int):
        width, eps = config.n_embd, config.layer_norm_epsilon
        self.ln_1 = LayerNorm(width, eps)
        self.attn = GPT2Attention(config, layer)
        self.ln_2 = LayerNorm(width, eps)
        if config.add_cross_attention:
            self.crossattention = GPT2Attention(config, layer, cross=True)
            self.ln_cross_attn = LayerNorm(width, eps)
        self.mlp = FeedForward(
            width,
            4 * width if config.n_inner is None else config.n_inner,
            config.activation_function,
            config.chunk_size_feed_forward,
            linear=Conv1D,
        )
        residual_projection(config, self.mlp.down)
        self.dropout = Dropout(config.resid_pdrop)

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
        normed, norm_1_cache = self.ln_1.forward(x)
        (a, weights), attention_cache = self.attn.forward(
            normed, visible, head_mask, None, generator, return_weights, past
        )
        a += x
        cross_weights = cross_norm_cache = cross_cache = None
        if source is not None:
            normed, cross_norm_cache = self.ln_cross_attn.forward(a)
            (c, cross_weights), cross_cache = self.crossattention.forward(
                normed, source_visible, head_mask, source, generator, return_weights, past
            )
            c += a
            a = c
        normed, norm_2_cache = self.ln_2.forward(a)
        f, feed_forward_cache = self.mlp.forward(normed)
        y, dropout_cache = self.dropout.forward(f, generator)
        y += a
        cache = keep(
            BlockCache,
            norm_1_cache,
            attention_cache,
            cross_norm_cache,
            cross_cache,
            norm_2_cache,
            feed_forward_cache,
            dropout_cache,
        )
        return (y, weights, cross_weights), cache

    def backward(self, d_output, cache):
        """(dy, dweights, dcross_weights) -> dx, dsource. Each sum hands its gradient on to both that were added."""
        dy, dweights, dcross_weights = d_output
        df = self.mlp.backward(self.dropout.backward(dy, cache.dropout), cache.feed_forward)
        da = dy + self.ln_2.backward(df, cache.norm_2)
        dsource = None
        if cache.cross_attention is not None:
            dnormed, dsource = self.crossattention.backward(da, cache.cross_attention, dcross_weights)
            da = da + self.ln_cross_attn.backward(dnormed, cache.cross_norm)
        dnormed, _ = self.attn.backward(da, cache.attention, dweights)
        return da + self.ln_1.backward(dnormed, cache.norm_1), dsource


# ---------------------------------------------------------------------------------------------------------------------
# The model without a head
# ---------------------------------------------------------------------------------------------------------------------


class GPT2PreTrainedModel(PreTrainedModel):
    """Name and config of all GPT-2 models."""

    config_class = GPT2Config
    base_model_prefix = "transformer"
    _keys_to_ignore_on_load_unexpected = [r"attn\.masked_bias$", r"attn\.bias$", r"crossattention\.bias$"]


class ModelCache(NamedTuple):
    words: tuple | None
    types: tuple | None
    positions: tuple
    dropout: tuple
    stack: tuple
    norm: tuple
    shape: tuple[int, int, int]
    shared_positions: bool


class GPT2Model(GPT2PreTrainedModel):
    """Token ids in, hidden states out; the last of them are normed."""

    def build(self, config: GPT2Config):
        self.wte = Embedding(config.vocab_size, config.n_embd)
        self.wpe = LearnedPositions(config.n_positions, config.n_embd)
        self.drop = Dropout(config.embd_pdrop)
        self.h = LayerStack(GPT2Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = LayerNorm(config.n_embd, config.layer_norm_epsilon)

    def get_input_embeddings(self):
        return self.wte

    def forward(
        self,
        input_ids=None,
        past_key_values=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        head_mask=None,
        inputs_embeds=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
        generator=None,
    ):
        """-> (BaseModelOutputWithPastAndCrossAttentions, cache)

        input_ids (B, T), or inputs_embeds (B, T, D) instead; past_key_values, a KeyValueCache of the P tokens before;
        attention_mask (B, P + T), 1 = look, 0 = hide; token_type_ids (B, T), ids of words whose vectors are added;
        position_ids (B or 1, T), by default P … P+T−1; head_mask (H,) or (L, H) factors; encoder_hidden_states
        (B, S, D) with encoder_attention_mask (B, S) for a model with cross-attention; generator for dropout.
        """
        config = self.config
        output_attentions = config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        generator = self.generator if generator is None else generator
        if encoder_hidden_states is not None and not config.add_cross_attention:
            raise ValueError(
                "encoder_hidden_states were passed, but this model has no cross-attention: "
                "build it with GPT2Config(add_cross_attention=True)"
            )
        past, use_cache = past_of(config, past_key_values, use_cache)
        past_length = 0 if past is None else past.length
        B, T = check_text_inputs(config, input_ids, inputs_embeds, past_length)
        position_ids = default_positions(config, B, T, position_ids, past_length)
        table = self.wte.weight.data

        words_cache = types_cache = None
        if inputs_embeds is None:
            inputs_embeds, words_cache = self.wte.forward(input_ids)
        positions, positions_cache = self.wpe.forward(position_ids)  # (1 or B, T, D)
        x = inputs_embeds + positions
        if token_type_ids is not None:
            check_token_types(token_type_ids, B, T)
            check_ids(token_type_ids, config.vocab_size, "token_type_ids")
            types, types_cache = self.wte.forward(token_type_ids)
            x += types
        x, dropout_cache = self.drop.forward(x, generator)
        layers, stack_cache = BatchThreads(self.h).forward(
            x,
            visible_tokens(True, attention_mask, B, T, table, past_length),
            encoder_hidden_states,
            visible_source(config, encoder_hidden_states, encoder_attention_mask, B, T, table),
            head_mask=head_mask_by_layer(config, head_mask, table),
            past=past,
            use_cache=use_cache,
            return_weights=output_attentions,
            return_hidden_states=output_hidden_states,
            generator=generator,
        )
        y, norm_cache = self.ln_f.forward(layers.x)
        if output_hidden_states:
            layers.hidden_states[-1] = y
        fields = output_fields(layers, output_hidden_states, output_attentions, encoder_hidden_states is not None)
        cache = keep(
            ModelCache,
            words_cache,
            types_cache,
            positions_cache,
            dropout_cache,
            stack_cache,
            norm_cache,
            y.shape,
            position_ids.shape[0] == 1,
        )
        return BaseModelOutputWithPastAndCrossAttentions(y, **fields), cache

    def backward(self, d_output, cache):
        """Gradients by output name -> gradients by input name: "inputs_embeds", and "encoder_hidden_states" if given.

        "hidden_states", "attentions" and "cross_attentions" take a list with None for what the loss did not use.
        """
        check_output_names(d_output, ("last_hidden_state", "hidden_states", "attentions", "cross_attentions"), self)
        d_states, d_weights, d_cross = gradients_for_stack(
            d_output, d_output.get("last_hidden_state"), self.config.n_layer, cache.shape, self.wte.weight.data
        )
        d_states[-1] = self.ln_f.backward(d_states[-1], cache.norm)
        dx, dsource = BatchThreads(self.h).backward((d_states, d_weights, d_cross), cache.stack)
        dx = self.drop.backward(dx, cache.dropout)
        # x was a sum: each part's gradient is the sum's own.
        if cache.shared_positions:  # one row of positions served the whole batch
            self.wpe.backward(dx.sum(axis=0, keepdims=True, dtype=sum_dtype(dx.dtype)), cache.positions)
        else:
            self.wpe.backward(dx, cache.positions)
        if cache.types is not None:
            self.wte.backward(dx, cache.types)
        if cache.words is not None:
            self.wte.backward(dx, cache.words)
        d_inputs = {"inputs_embeds": dx}
        if dsource is not None:
            d_inputs["encoder_hidden_states"] = dsource
        return d_inputs


# ---------------------------------------------------------------------------------------------------------------------
# One class a task
# ---------------------------------------------------------------------------------------------------------------------


class GPT2LMHeadModel(GenerationMixin, CausalTask, GPT2PreTrainedModel):
    """Which word comes next? logits = x Eᵀ, with E the table of the words' vectors. labels are the input ids."""

    checkpoint_names = {"head": "lm_head"}
    output_class = CausalLMOutputWithCrossAttentions

    def build(self, config):
        self.transformer = GPT2Model(config)
        self.head = Linear(config.n_embd, config.vocab_size, bias=False)
        self.loss = NextTokenLoss()

    def get_output_embeddings(self):
        return self.head


class GPT2ForSequenceClassification(LastTokenTask, GPT2PreTrainedModel):
    """A class (or several, or a number) for a text, from its last token, the only one that has seen all of it."""

    checkpoint_names = {"head": "score"}
    output_class = SequenceClassifierOutputWithPast

    def build(self, config):
        self.transformer = GPT2Model(config)
        self.head = Linear(config.n_embd, config.num_labels, bias=False)
        self.loss = ClassificationLoss(config)


class GPT2ForTokenClassification(TaskModel, GPT2PreTrainedModel):
    """A class for each token, from what stands before it. labels (B, T), −100 where it does not count."""

    checkpoint_names = {"head.linear": "classifier"}
    output_class = TokenClassifierOutput

    def build(self, config):
        dropout = next(
            (p for name in ("classifier_dropout", "hidden_dropout") if (p := getattr(config, name, None)) is not None),
            0.1,
        )
        self.transformer = GPT2Model(config)
        self.head = DropoutLinear(config.n_embd, config.num_labels, dropout)
        self.loss = CrossEntropyLoss()


class GPT2ForQuestionAnswering(SpanTask, GPT2PreTrainedModel):
    """Where in the text is the answer? A score for each token to be its first, and to be its last."""

    checkpoint_names = {"head": "qa_outputs"}

    def build(self, config):
        self.transformer = GPT2Model(config)
        self.head = Linear(config.n_embd, 2)
        self.loss = SpanLoss()


class DoubleHeadsCache(NamedTuple):
    base: tuple
    words: tuple
    choice: tuple
    loss: tuple | None
    mc_loss: tuple | None
    shape: tuple


class GPT2DoubleHeadsModel(GPT2PreTrainedModel):
    """Two heads: the next word of each of C continuations, and which continuation fits. Ids and masks (B, C, T).

    mc_token_ids (B, C) says which token's state stands for a continuation, by default the last; labels (B, C, T) are
    the ids, mc_labels (B,) the right continuation. There are two losses, `loss` and `mc_loss`; training takes their
    sum, in whatever proportion: backward({"loss": 1.0, "mc_loss": 0.5}, cache).
    """

    def build(self, config):
        config.num_labels = 1
        self.transformer = GPT2Model(config)
        self.lm_head = Linear(config.n_embd, config.vocab_size, bias=False)
        self.multiple_choice_head = SequenceSummary(config)
        self.loss = NextTokenLoss()
        self.mc_loss = CrossEntropyLoss()

    def get_output_embeddings(self):
        return self.lm_head

    def forward(
        self,
        input_ids=None,
        past_key_values=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        head_mask=None,
        inputs_embeds=None,
        mc_token_ids=None,
        labels=None,
        mc_labels=None,
        generator=None,
        **options,
    ):
        generator = self.generator if generator is None else generator
        given, _ = ids_or_vectors(input_ids, inputs_embeds)
        leading = tuple(given.shape[: given.ndim - (1 if inputs_embeds is None else 2)])  # (B, C), or (B,)

        def texts(x):
            return None if x is None else x.reshape(-1, *x.shape[len(leading) :])

        ids = [texts(x) for x in (attention_mask, token_type_ids, position_ids)]
        states, base_cache = self.transformer.forward(
            texts(input_ids), past_key_values, *ids, head_mask, texts(inputs_embeds), generator=generator, **options
        )
        x = states.last_hidden_state.reshape(*leading, *states.last_hidden_state.shape[1:])
        logits, words_cache = self.lm_head.forward(x)
        choices, choice_cache = self.multiple_choice_head.forward(x, mc_token_ids, generator, name="mc_token_ids")
        if choices.shape[-1] == 1:
            choices = choices[..., 0]
        loss = loss_cache = mc_loss = mc_loss_cache = None
        if mc_labels is not None:
            rows = choices.reshape(-1, choices.shape[-1])
            mc_loss, mc_loss_cache = self.mc_loss.forward(rows, mc_labels.reshape(-1))
        if labels is not None:
            loss, loss_cache = self.loss.forward(logits, labels)
        hidden_states = states.hidden_states and (*states.hidden_states[:-1], x)  # the last with C, as in the original
        output = GPT2DoubleHeadsModelOutput(
            loss, mc_loss, logits, choices, states.past_key_values, hidden_states, states.attentions
        )
        return output, keep(
            DoubleHeadsCache, base_cache, words_cache, choice_cache, loss_cache, mc_loss_cache, logits.shape
        )

    def backward(self, d_output, cache):
        names = ("loss", "mc_loss", "logits", "mc_logits", "hidden_states", "attentions")
        check_output_names(d_output, names, self)
        dlogits, dchoices = d_output.get("logits"), d_output.get("mc_logits")
        if d_output.get("loss") is not None:
            dlogits = add_gradients(dlogits, self.loss.backward(d_output["loss"], loss_cache_of(self, cache)))
        if d_output.get("mc_loss") is not None:
            of_loss = self.mc_loss.backward(d_output["mc_loss"], loss_cache_of(self, cache, "mc_loss"))
            dchoices = add_gradients(dchoices, of_loss.reshape(cache.shape[:-2]))
        dx = None if dlogits is None else self.lm_head.backward(dlogits, cache.words)
        if dchoices is not None:
            dchoices = dchoices.reshape(*cache.shape[:-2], -1)
            dx = add_gradients(dx, self.multiple_choice_head.backward(dchoices, cache.choice))
        d_states = {"attentions": d_output.get("attentions")}
        if d_output.get("hidden_states") is not None:
            *before, last = d_output["hidden_states"]
            d_states["hidden_states"], dx = [*before, None], add_gradients(dx, last)
        if dx is not None:
            d_states["last_hidden_state"] = dx.reshape(-1, *dx.shape[-2:])
        dvectors = self.transformer.backward(d_states, cache.base)["inputs_embeds"]
        return {"inputs_embeds": dvectors.reshape(*cache.shape[:-1], -1)}
