"""Wav2Vec2 (Baevski et al. 2020, "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations").

    samples -> 7 strided convolutions -> frames -> positions by a convolution -> L layers of (self-attention,
    feed-forward) -> a head

16,000 samples a second become 50 frames a second. Every frame sees every other. Shapes: B batch, N samples, T frames,
C channels of the convolutions, D model width, L layers. The convolutions are in wav2vec2_features.py; here come the
encoder's blocks, then Wav2Vec2Model. The heads are in wav2vec2_heads.py, pre-training in wav2vec2_pretraining.py. Each
backward stands below its forward.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..backend import array_module, as_array_like
from ..functional.activations import sigmoid
from ..layers import (
    AddNorm,
    BatchThreads,
    Conv1d,
    ConvolutionalPositions,
    Dropout,
    FeedForward,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    SpanMasking,
)
from ..module import Module, ModuleList, keep
from .base import PretrainedConfig, PreTrainedModel, add_gradients, check_output_names
from .outputs import Wav2Vec2BaseModelOutput
from .stack import LayerStack, gradients_for_stack, output_fields
from .wav2vec2_features import FeatureEncoder, FeatureProjection, check_samples, frame_counts


class Wav2Vec2Config(PretrainedConfig):
    """Wav2Vec2's hyperparameters; the defaults are wav2vec2-base-960h's."""

    model_type = "wav2vec2"

    def __init__(
        self,
        vocab_size=32,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        hidden_act="gelu",
        hidden_dropout=0.1,
        activation_dropout=0.1,
        attention_dropout=0.1,
        feat_proj_dropout=0.0,
        feat_quantizer_dropout=0.0,
        final_dropout=0.1,
        layerdrop=0.1,
        initializer_range=0.02,
        layer_norm_eps=1e-5,
        feat_extract_norm="group",
        feat_extract_activation="gelu",
        conv_dim=(512, 512, 512, 512, 512, 512, 512),
        conv_stride=(5, 2, 2, 2, 2, 2, 2),
        conv_kernel=(10, 3, 3, 3, 3, 2, 2),
        conv_bias=False,
        num_conv_pos_embeddings=128,
        num_conv_pos_embedding_groups=16,
        do_stable_layer_norm=False,
        apply_spec_augment=True,
        mask_time_prob=0.05,
        mask_time_length=10,
        mask_time_min_masks=2,
        mask_feature_prob=0.0,
        mask_feature_length=10,
        mask_feature_min_masks=0,
        num_codevectors_per_group=320,
        num_codevector_groups=2,
        contrastive_logits_temperature=0.1,
        num_negatives=100,
        codevector_dim=256,
        proj_codevector_dim=256,
        diversity_loss_weight=0.1,
        ctc_loss_reduction="sum",
        ctc_zero_infinity=False,
        use_weighted_layer_sum=False,
        classifier_proj_size=256,
        tdnn_dim=(512, 512, 512, 512, 1500),
        tdnn_kernel=(5, 3, 3, 1, 1),
        tdnn_dilation=(1, 2, 3, 1, 1),
        xvector_output_dim=512,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        add_adapter=False,
        adapter_kernel_size=3,
        adapter_stride=2,
        num_adapter_layers=3,
        output_hidden_size=None,
        adapter_attn_dim=None,
        **kwargs,
    ):
        kwargs.pop("num_feat_extract_layers", None)  # follows from conv_dim
        super().__init__(pad_token_id=pad_token_id, bos_token_id=bos_token_id, eos_token_id=eos_token_id, **kwargs)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_act = hidden_act
        self.hidden_dropout = hidden_dropout
        self.activation_dropout = activation_dropout
        self.attention_dropout = attention_dropout
        self.feat_proj_dropout = feat_proj_dropout
        self.feat_quantizer_dropout = feat_quantizer_dropout
        self.final_dropout = final_dropout
        self.layerdrop = layerdrop
        self.initializer_range = initializer_range
        self.layer_norm_eps = layer_norm_eps
        self.feat_extract_norm = feat_extract_norm
        self.feat_extract_activation = feat_extract_activation
        self.conv_dim, self.conv_stride, self.conv_kernel = list(conv_dim), list(conv_stride), list(conv_kernel)
        self.conv_bias = conv_bias
        self.num_feat_extract_layers = len(self.conv_dim)
        self.num_conv_pos_embeddings = num_conv_pos_embeddings
        self.num_conv_pos_embedding_groups = num_conv_pos_embedding_groups
        self.do_stable_layer_norm = do_stable_layer_norm
        # Masking while training (SpecAugment)
        self.apply_spec_augment = apply_spec_augment
        self.mask_time_prob = mask_time_prob
        self.mask_time_length = mask_time_length
        self.mask_time_min_masks = mask_time_min_masks
        self.mask_feature_prob = mask_feature_prob
        self.mask_feature_length = mask_feature_length
        self.mask_feature_min_masks = mask_feature_min_masks
        # Pre-training
        self.num_codevectors_per_group = num_codevectors_per_group
        self.num_codevector_groups = num_codevector_groups
        self.contrastive_logits_temperature = contrastive_logits_temperature
        self.num_negatives = num_negatives
        self.codevector_dim = codevector_dim
        self.proj_codevector_dim = proj_codevector_dim
        self.diversity_loss_weight = diversity_loss_weight
        # Heads
        self.ctc_loss_reduction = ctc_loss_reduction
        self.ctc_zero_infinity = ctc_zero_infinity
        self.use_weighted_layer_sum = use_weighted_layer_sum
        self.classifier_proj_size = classifier_proj_size
        self.tdnn_dim, self.tdnn_kernel, self.tdnn_dilation = list(tdnn_dim), list(tdnn_kernel), list(tdnn_dilation)
        self.xvector_output_dim = xvector_output_dim
        # Adapters
        self.add_adapter = add_adapter
        self.adapter_kernel_size = adapter_kernel_size
        self.adapter_stride = adapter_stride
        self.num_adapter_layers = num_adapter_layers
        self.output_hidden_size = output_hidden_size or hidden_size
        self.adapter_attn_dim = adapter_attn_dim
        if not len(self.conv_dim) == len(self.conv_stride) == len(self.conv_kernel):
            raise ValueError(
                f"conv_dim, conv_stride and conv_kernel have {len(self.conv_dim)}, {len(self.conv_stride)} and "
                f"{len(self.conv_kernel)} entries: expected one of each for every convolution"
            )
        if feat_extract_norm not in ("group", "layer"):
            raise ValueError(f"feat_extract_norm is {feat_extract_norm!r}: expected 'group' or 'layer'")

    @property
    def inputs_to_logits_ratio(self) -> int:
        """Samples from one frame to the next: 320, or 20 ms at 16,000 a second."""
        return math.prod(self.conv_stride)


# ---------------------------------------------------------------------------------------------------------------------
# The encoder
# ---------------------------------------------------------------------------------------------------------------------

ATTENTION_NAMES = {
    "attention.query": "attention.q_proj",
    "attention.key": "attention.k_proj",
    "attention.value": "attention.v_proj",
    "attention.output": "attention.out_proj",
    "feed_forward.up": "feed_forward.intermediate_dense",
    "feed_forward.down": "feed_forward.output_dense",
}


def attention_of(config: Wav2Vec2Config) -> MultiHeadAttention:
    return MultiHeadAttention(config.hidden_size, config.num_attention_heads, config.attention_dropout)


def feed_forward_of(config: Wav2Vec2Config) -> FeedForward:
    return FeedForward(
        config.hidden_size, config.intermediate_size, config.hidden_act, dropout=config.activation_dropout
    )


class PostNormCache(NamedTuple):
    attention: tuple
    attention_norm: tuple
    feed_forward: tuple
    output_norm: tuple


class PostNormLayer(Module):
    """a = LayerNorm(x + dropout(attention(x))),   y = LayerNorm(a + dropout(feed_forward(a)))   x, y (B, T, D)"""

    checkpoint_names = {
        **ATTENTION_NAMES,
        "attention_norm.norm": "layer_norm",
        "output_norm.norm": "final_layer_norm",
    }

    def __init__(self, config: Wav2Vec2Config):
        width, eps, dropout = config.hidden_size, config.layer_norm_eps, config.hidden_dropout
        self.attention = attention_of(config)
        self.attention_norm = AddNorm(width, eps, dropout)
        self.feed_forward = feed_forward_of(config)
        self.output_norm = AddNorm(width, eps, dropout)

    def forward(self, x, visible=None, head_mask=None, generator=None, return_weights=False):
        (a, weights), attention_cache = self.attention.forward(x, None, visible, head_mask, generator, return_weights)
        a, attention_norm_cache = self.attention_norm.forward(a, x, generator, out=a)
        f, feed_forward_cache = self.feed_forward.forward(a, generator)
        y, output_norm_cache = self.output_norm.forward(f, a, generator, out=f)
        cache = keep(PostNormCache, attention_cache, attention_norm_cache, feed_forward_cache, output_norm_cache)
        return (y, weights, None), cache

    def backward(self, d_output, cache):
        """(dy, dweights, None) -> dx, None"""
        dy, dweights, _ = d_output
        df, da = self.output_norm.backward(dy, cache.output_norm)
        da = da + self.feed_forward.backward(df, cache.feed_forward)
        da, dx = self.attention_norm.backward(da, cache.attention_norm)
        return dx + self.attention.backward(da, cache.attention, dweights), None


class AttentionAdapterCache(NamedTuple):
    norm: tuple
    narrow: tuple


class AttentionAdapter(Module):
    """y = x + W₂ relu(W₁ LayerNorm(x) + b₁) + b₂ with a narrow middle: what alone is trained for one more language."""

    checkpoint_names = {"narrow.up": "linear_1", "narrow.down": "linear_2"}

    def __init__(self, width: int, inner_width: int):
        self.norm = LayerNorm(width)
        self.narrow = FeedForward(width, inner_width, "relu")

    def forward(self, x):
        y, norm_cache = self.norm.forward(x)
        y, narrow_cache = self.narrow.forward(y)
        y += x
        return y, keep(AttentionAdapterCache, norm_cache, narrow_cache)

    def backward(self, dy, cache):
        return dy + self.norm.backward(self.narrow.backward(dy, cache.narrow), cache.norm)


class PreNormCache(NamedTuple):
    norm_1: tuple
    attention: tuple
    attention_dropout: tuple
    norm_2: tuple
    feed_forward: tuple
    feed_forward_dropout: tuple
    adapter: tuple | None


class PreNormLayer(Module):
    """a = x + dropout(attention(LayerNorm(x))),   y = a + dropout(feed_forward(LayerNorm(a)))   x, y (B, T, D)

    What the large models have (`do_stable_layer_norm`); with `adapter_attn_dim` an AttentionAdapter follows.
    """

    checkpoint_names = {**ATTENTION_NAMES, "norm_1": "layer_norm", "norm_2": "final_layer_norm"}

    def __init__(self, config: Wav2Vec2Config):
        width, eps = config.hidden_size, config.layer_norm_eps
        self.norm_1 = LayerNorm(width, eps)
        self.attention = attention_of(config)
        self.dropout = Dropout(config.hidden_dropout)
        self.norm_2 = LayerNorm(width, eps)
        self.feed_forward = feed_forward_of(config)
        self.adapter_layer = None
        if config.adapter_attn_dim is not None:
            self.adapter_layer = AttentionAdapter(width, config.adapter_attn_dim)

    def forward(self, x, visible=None, head_mask=None, generator=None, return_weights=False):
        normed, norm_1_cache = self.norm_1.forward(x)
        (a, weights), attention_cache = self.attention.forward(
            normed, None, visible, head_mask, generator, return_weights
        )
        a, attention_dropout_cache = self.dropout.forward(a, generator)
        a += x
        normed, norm_2_cache = self.norm_2.forward(a)
        f, feed_forward_cache = self.feed_forward.forward(normed, generator)
        y, feed_forward_dropout_cache = self.dropout.forward(f, generator)
        y += a
        adapter_cache = None
        if self.adapter_layer is not None:
            y, adapter_cache = self.adapter_layer.forward(y)
        cache = keep(
            PreNormCache,
            norm_1_cache,
            attention_cache,
            attention_dropout_cache,
            norm_2_cache,
            feed_forward_cache,
            feed_forward_dropout_cache,
            adapter_cache,
        )
        return (y, weights, None), cache

    def backward(self, d_output, cache):
        """(dy, dweights, None) -> dx, None. Each sum hands its gradient on to both that were added."""
        dy, dweights, _ = d_output
        if cache.adapter is not None:
            dy = self.adapter_layer.backward(dy, cache.adapter)
        df = self.feed_forward.backward(self.dropout.backward(dy, cache.feed_forward_dropout), cache.feed_forward)
        da = dy + self.norm_2.backward(df, cache.norm_2)
        dnormed = self.attention.backward(self.dropout.backward(da, cache.attention_dropout), cache.attention, dweights)
        return da + self.norm_1.backward(dnormed, cache.norm_1), None


class EncoderCache(NamedTuple):
    real: object  # (B, T, 1) booleans, False for padding; None: no padding
    positions: tuple
    norm: tuple
    dropout: tuple
    layers: tuple


class Encoder(Module):
    """x + convolutional positions -> L layers.   x (B, T, D) -> states (B, T, D)

    With post-norm layers the LayerNorm stands before the first of them, with pre-norm layers after the last. Padding
    is set to zero first: the positions' convolution looks across it.
    """

    # Weight norm's length and direction as 5.x and 4.34 (with a torch of its time) call them; older files say weight_g
    # and weight_v, and are read too.
    checkpoint_names = {
        "positions.conv.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
        "positions.conv.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
        "positions": "pos_conv_embed",
        "norm": "layer_norm",
    }

    def __init__(self, config: Wav2Vec2Config):
        self.positions = ConvolutionalPositions(
            config.hidden_size,
            config.num_conv_pos_embeddings,
            config.num_conv_pos_embedding_groups,
            config.feat_extract_activation,
        )
        self.norm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout)
        self.pre_norm = config.do_stable_layer_norm
        layer_class = PreNormLayer if self.pre_norm else PostNormLayer
        self.layers = LayerStack(layer_class(config) for _ in range(config.num_hidden_layers))

    def forward(self, x, real=None, generator=None, **options):
        """real (B, T) booleans: which frames are no padding. -> ((last state, StackOutput), cache)"""
        visible = None
        if real is not None:
            visible, real = real[:, None, None, :], real[:, :, None]
            x = array_module(x).where(real, x, 0)
        positions, positions_cache = self.positions.forward(x)
        x = x + positions
        norm_cache = None
        if not self.pre_norm:
            x, norm_cache = self.norm.forward(x)
        x, dropout_cache = self.dropout.forward(x, generator)
        layers, layers_cache = self.layers.forward(x, visible, generator=generator, **options)
        last = layers.x
        if self.pre_norm:
            last, norm_cache = self.norm.forward(last)
        return (last, layers), keep(EncoderCache, real, positions_cache, norm_cache, dropout_cache, layers_cache)

    def backward(self, d_output, cache):
        """(d_last, (d_states, d_weights, d_cross)) -> dx"""
        d_last, (d_states, d_weights, d_cross) = d_output
        if self.pre_norm and d_last is not None:
            d_last = self.norm.backward(d_last, cache.norm)
        d_states = [*d_states[:-1], add_gradients(d_states[-1], d_last)]
        dx, _ = self.layers.backward((d_states, d_weights, d_cross), cache.layers)
        dx = self.dropout.backward(dx, cache.dropout)
        if not self.pre_norm:
            dx = self.norm.backward(dx, cache.norm)
        dx = dx + self.positions.backward(dx, cache.positions)
        return dx if cache.real is None else array_module(dx).where(cache.real, dx, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Adapter: fewer frames for what comes after (a text decoder)
# ---------------------------------------------------------------------------------------------------------------------


class AdapterLayerCache(NamedTuple):
    conv: tuple
    value: object
    gate: object


class AdapterLayer(Module):
    """[a b] = conv(x),  y = a ∘ σ(b)   x (B, T, D) -> y (B, T/stride, D): one half of it gates the other (GLU)"""

    def __init__(self, config: Wav2Vec2Config):
        width, stride = config.output_hidden_size, config.adapter_stride
        self.conv = Conv1d(width, 2 * width, config.adapter_kernel_size, stride, padding=1)

    def forward(self, x):
        y, conv_cache = self.conv.forward(x.swapaxes(1, 2))
        value, gate = array_module(y).split(y.swapaxes(1, 2), 2, axis=-1)
        gate = sigmoid(gate)
        return value * gate, keep(AdapterLayerCache, conv_cache, value, gate)

    def backward(self, dy, cache):
        """da = dy ∘ σ,  db = dy ∘ a ∘ σ (1 − σ)"""
        dvalue = dy * cache.gate
        dgate = dvalue * cache.value * (1 - cache.gate)
        dy = array_module(dy).concatenate([dvalue, dgate], axis=-1)
        return self.conv.backward(dy.swapaxes(1, 2), cache.conv).swapaxes(1, 2)


class AdapterCache(NamedTuple):
    projection: tuple | None
    norm: tuple | None
    layers: list


class Adapter(Module):
    """A projection to another width, if it is another, and convolutions with a stride.   (B, T, D) -> (B, T′, D′)"""

    checkpoint_names = {"projection": "proj", "norm": "proj_layer_norm"}

    def __init__(self, config: Wav2Vec2Config):
        width = config.output_hidden_size
        self.projects = width != config.hidden_size
        if self.projects:
            self.projection = Linear(config.hidden_size, width)
            self.norm = LayerNorm(width)
        self.layers = ModuleList(AdapterLayer(config) for _ in range(config.num_adapter_layers))

    def forward(self, x, skipped=()):
        """skipped: for each layer whether LayerDrop leaves it out"""
        projection_cache = norm_cache = None
        if self.projects:
            x, projection_cache = self.projection.forward(x)
            x, norm_cache = self.norm.forward(x)
        caches = []
        for index, layer in enumerate(self.layers):
            cache = None
            if not (skipped and skipped[index]):
                x, cache = layer.forward(x)
            caches.append(cache)
        return x, keep(AdapterCache, projection_cache, norm_cache, caches)

    def backward(self, dx, cache):
        for layer, layer_cache in zip(reversed(list(self.layers)), reversed(cache.layers)):
            if layer_cache is not None:
                dx = layer.backward(dx, layer_cache)
        if self.projects:
            dx = self.projection.backward(self.norm.backward(dx, cache.norm), cache.projection)
        return dx


# ---------------------------------------------------------------------------------------------------------------------
# The model without a head
# ---------------------------------------------------------------------------------------------------------------------


class Wav2Vec2PreTrainedModel(PreTrainedModel):
    """Name and config of all Wav2Vec2 models."""

    config_class = Wav2Vec2Config
    base_model_prefix = "wav2vec2"
    main_input_name = "input_values"

    def freeze_feature_encoder(self) -> None:
        """The convolutions learn no more, as is usual in fine-tuning. backward then ends above them: it returns no
        gradient for input_values, and forward keeps nothing for them.
        """
        self.base_model.feature_extractor.freeze()

    def freeze_base_model(self) -> None:
        """Everything but the head learns no more."""
        self.base_model.requires_grad_(False)

    def _get_feat_extract_output_lengths(self, input_lengths, add_adapter: bool | None = None):
        """Frames of so many samples (a number, or an array), by the original's name; behind the adapter if there is."""
        return frame_counts(self.config, input_lengths, self.config.add_adapter if add_adapter is None else add_adapter)

    def real_frames(self, attention_mask, frames: int, like, add_adapter: bool | None = None):
        """attention_mask (B, N) over samples -> (B, T) booleans over frames: which have no padding in their window."""
        xp = array_module(like)
        samples = as_array_like(attention_mask != 0, like).sum(axis=-1)
        return xp.arange(frames) < self._get_feat_extract_output_lengths(samples, add_adapter)[:, None]


class ModelCache(NamedTuple):
    features: tuple
    projection: tuple
    masking: tuple | None
    encoder: tuple
    adapter: tuple | None
    shape: tuple[int, int, int]


class Wav2Vec2Model(Wav2Vec2PreTrainedModel):
    """Samples in, a vector for every 20 ms out."""

    checkpoint_names = {"masking": ""}

    def build(self, config: Wav2Vec2Config):
        self.feature_extractor = FeatureEncoder(config)
        self.feature_projection = FeatureProjection(config)
        self.masking = None
        if config.mask_time_prob > 0 or config.mask_feature_prob > 0:
            self.masking = SpanMasking(
                config.hidden_size,
                config.mask_time_prob,
                config.mask_time_length,
                config.mask_time_min_masks,
                config.mask_feature_prob,
                config.mask_feature_length,
                config.mask_feature_min_masks,
            )
        self.encoder = Encoder(config)
        self.adapter = Adapter(config) if config.add_adapter else None

    def forward(
        self,
        input_values=None,
        attention_mask=None,
        mask_time_indices=None,
        output_attentions=None,
        output_hidden_states=None,
        generator=None,
    ):
        """-> (Wav2Vec2BaseModelOutput, cache)

        input_values (B, N) samples; attention_mask (B, N), 1 for samples, 0 for padding at the end; mask_time_indices
        (B, T) booleans: frames to hide, in the place of those that training draws; generator for dropout, LayerDrop and
        masking in training mode (default: the model's own).
        """
        config, weight = self.config, self.feature_projection.projection.weight.data
        output_attentions = config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        generator = self.generator if generator is None else generator
        check_samples(config, input_values, attention_mask)
        samples = as_array_like(input_values, weight).astype(weight.dtype, copy=False)

        frames, features_cache = BatchThreads(self.feature_extractor).forward(samples)
        (x, features), projection_cache = self.feature_projection.forward(frames, generator)
        real = None
        if attention_mask is not None:
            real = self.real_frames(attention_mask, x.shape[1], x, add_adapter=False)
        masking_cache = None
        if self.masking is not None and config.apply_spec_augment:
            x, masking_cache = self.masking.forward(x, mask_time_indices, real, generator)
        elif mask_time_indices is not None and self.masking is None:
            raise ValueError(
                "mask_time_indices were passed, but this model has no vector for hidden frames: "
                "build it with a mask_time_prob above 0"
            )
        (x, layers), encoder_cache = BatchThreads(self.encoder).forward(
            x,
            real,
            generator=generator,
            skipped=self.layers_to_skip(config.num_hidden_layers, generator),
            return_weights=output_attentions,
            return_hidden_states=output_hidden_states,
        )
        shape, adapter_cache = x.shape, None
        if self.adapter is not None:
            x, adapter_cache = self.adapter.forward(x, self.layers_to_skip(config.num_adapter_layers, generator))
        fields = output_fields(layers, output_hidden_states, output_attentions, False)
        output = Wav2Vec2BaseModelOutput(x, features, fields["hidden_states"], fields["attentions"])
        return output, keep(
            ModelCache, features_cache, projection_cache, masking_cache, encoder_cache, adapter_cache, shape
        )

    def backward(self, d_output, cache):
        """Gradients by output name -> {"input_values": (B, N)}; nothing in it if the feature encoder is frozen."""
        check_output_names(d_output, ("last_hidden_state", "extract_features", "hidden_states", "attentions"), self)
        weight = self.feature_projection.projection.weight.data
        d_last = d_output.get("last_hidden_state")
        if d_last is not None and cache.adapter is not None:
            d_last = self.adapter.backward(d_last, cache.adapter)
        d_stack = gradients_for_stack(d_output, None, self.config.num_hidden_layers, cache.shape, weight)
        dx = BatchThreads(self.encoder).backward((d_last, d_stack), cache.encoder)
        if cache.masking is not None:
            dx = self.masking.backward(dx, cache.masking)
        dframes = self.feature_projection.backward((dx, d_output.get("extract_features")), cache.projection)
        if self.feature_extractor.frozen:
            return {}
        return {"input_values": BatchThreads(self.feature_extractor).backward(dframes, cache.features)}

    def layers_to_skip(self, count: int, generator) -> tuple[bool, ...]:
        """LayerDrop (Fan et al. 2019): in training each layer is left out with probability `layerdrop`, for the batch.

        Drawn before the batch is split over threads, so that all its examples skip the same layers.
        """
        if not self.training or self.config.layerdrop == 0:
            return ()
        return tuple(generator.random(count) < self.config.layerdrop)
