"""ViT (Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale").

    picture -> patches -> vectors, [CLS] in front, + positions -> L layers of (self-attention, feed-forward) -> a head

A picture is read like a text: each patch of 16 × 16 pixels is a word, made a vector by one linear map; from there on
it is BERT's encoder, but for the norms, which stand in front of the sublayers. Shapes: B batch, C channels, H × W
pixels, N patches, T = N + 1 tokens, D model width, L layers (in attention weights, H heads).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..backend import array_module, as_array_like
from ..functional.precision import sum_dtype
from ..layers import (
    BatchThreads,
    Dropout,
    FeedForward,
    FirstTokenPooler,
    GridPositions,
    LayerNorm,
    MultiHeadAttention,
    PatchDecoder,
    PatchEmbedding,
)
from ..layers.patch_embedding import pair
from ..losses import ClassificationLoss, MaskedImageLoss
from ..module import Module, Parameter, keep, normal_
from .base import PretrainedConfig, PreTrainedModel, add_gradients, check_output_names
from .outputs import BaseModelOutputWithPooling, ImageClassifierOutput, MaskedImageModelingOutput
from .picture_inputs import check_picture_size, checked_pictures
from .stack import LayerStack, gradients_for_stack, output_fields
from .tasks import TaskModel, loss_cache_of
from .text_inputs import check_array, head_mask_by_layer


class ViTConfig(PretrainedConfig):
    """ViT's hyperparameters; the defaults are those of ViT-B/16. Sizes in pixels: one number, or [height, width]."""

    model_type = "vit"

    def __init__(
        self,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        hidden_act="gelu",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.02,
        layer_norm_eps=1e-12,
        image_size=224,
        patch_size=16,
        num_channels=3,
        qkv_bias=True,
        encoder_stride=16,
        pooler_output_size=None,
        pooler_act="tanh",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_act = hidden_act
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.initializer_range = initializer_range
        self.layer_norm_eps = layer_norm_eps
        self.image_size = image_size if isinstance(image_size, int) else list(image_size)  # as JSON has it
        self.patch_size = patch_size if isinstance(patch_size, int) else list(patch_size)
        self.num_channels = num_channels
        self.qkv_bias = qkv_bias
        self.encoder_stride = encoder_stride
        self.pooler_output_size = pooler_output_size or hidden_size
        self.pooler_act = pooler_act


# ---------------------------------------------------------------------------------------------------------------------
# Blocks
# ---------------------------------------------------------------------------------------------------------------------


class EmbeddingsCache(NamedTuple):
    patches: tuple
    hidden: np.ndarray | None
    positions: tuple
    dropout: tuple


class ViTEmbeddings(Module):
    """x = dropout([cls, W patch₁ + b, …, W patchₙ + b] + positions)   pixel_values (B, C, H, W) -> x (B, N + 1, D)

    With `use_mask_token`, patches may be hidden: a learned vector stands in for theirs.
    """

    checkpoint_names = {
        "patch_embeddings": "patch_embeddings.projection",
        "position_embeddings.weight": "position_embeddings",
    }

    def __init__(self, config: ViTConfig, use_mask_token: bool = False):
        width = config.hidden_size
        self.image_size = pair(config.image_size)
        self.cls_token = Parameter(np.zeros((1, 1, width), dtype=np.float32))
        self.mask_token = Parameter(np.zeros((1, 1, width), dtype=np.float32)) if use_mask_token else None
        self.patch_embeddings = PatchEmbedding(config.num_channels, width, config.patch_size)
        self.position_embeddings = GridPositions(self.patch_embeddings.grid(*self.image_size), width)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def initialize(self, generator, std=0.02):
        normal_(self.cls_token, generator, std)
        if self.mask_token is not None:
            self.mask_token.data[...] = 0

    def forward(self, pixel_values, hidden=None, interpolate=False, generator=None):
        """hidden (B, N) booleans: the patches that are not to be seen; interpolate: pictures may have any size"""
        if not interpolate:
            check_picture_size(pixel_values, self.image_size)
        vectors, patches_cache = self.patch_embeddings.forward(pixel_values)
        xp = array_module(vectors)
        if hidden is not None:
            xp.copyto(vectors, self.mask_token.data, where=hidden[..., None])
        positions, positions_cache = self.position_embeddings.forward(
            self.patch_embeddings.grid(*pixel_values.shape[2:])
        )
        B, N, D = vectors.shape
        x = xp.empty((B, N + 1, D), dtype=vectors.dtype)
        x[:, :1] = self.cls_token.data
        x[:, 1:] = vectors
        x += positions
        x, dropout_cache = self.dropout.forward(x, generator)
        return x, keep(EmbeddingsCache, patches_cache, hidden, positions_cache, dropout_cache)

    def backward(self, dx, cache):
        """dx (B, N + 1, D) -> dpixel_values (B, C, H, W): every summand's gradient is the sum's."""
        dx = self.dropout.backward(dx, cache.dropout)
        dpositions = dx.sum(axis=0, keepdims=True, dtype=sum_dtype(dx.dtype))  # one table served the whole batch
        self.position_embeddings.backward(dpositions, cache.positions)
        self.cls_token.accumulate(dpositions[:, :1])
        dvectors = dx[:, 1:]
        if cache.hidden is not None:
            hidden = cache.hidden[..., None]
            dmask_token = (dvectors * hidden).sum(axis=(0, 1), dtype=sum_dtype(dx.dtype))
            self.mask_token.accumulate(dmask_token.reshape(1, 1, -1))
            dvectors = dvectors * array_module(dx).logical_not(hidden)
        return self.patch_embeddings.backward(dvectors, cache.patches)


class LayerCache(NamedTuple):
    norm_before: tuple
    attention: tuple
    attention_dropout: tuple
    norm_after: tuple
    feed_forward: tuple
    dropout: tuple


class ViTLayer(Module):
    """a = x + dropout(attention(LayerNorm(x))),   y = a + dropout(feed_forward(LayerNorm(a)))

    x (B, T, D) -> y (B, T, D). Other than in BERT the shortcuts go past the norms.
    """

    checkpoint_names = {
        "attention.query": "attention.attention.query",
        "attention.key": "attention.attention.key",
        "attention.value": "attention.attention.value",
        "attention.output": "attention.output.dense",
        "feed_forward.up": "intermediate.dense",
        "feed_forward.down": "output.dense",
    }

    def __init__(self, config: ViTConfig):
        width, eps = config.hidden_size, config.layer_norm_eps
        self.layernorm_before = LayerNorm(width, eps)
        self.attention = MultiHeadAttention(
            width, config.num_attention_heads, config.attention_probs_dropout_prob, qkv_bias=config.qkv_bias
        )
        self.layernorm_after = LayerNorm(width, eps)
        self.feed_forward = FeedForward(
            width, config.intermediate_size, config.hidden_act, chunk_size=config.chunk_size_feed_forward
        )
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, x, visible=None, head_mask=None, generator=None, return_weights=False):
        normed, norm_before_cache = self.layernorm_before.forward(x)
        (a, weights), attention_cache = self.attention.forward(
            normed, None, visible, head_mask, generator, return_weights
        )
        a, attention_dropout_cache = self.dropout.forward(a, generator)
        a += x
        normed, norm_after_cache = self.layernorm_after.forward(a)
        f, feed_forward_cache = self.feed_forward.forward(normed)
        y, dropout_cache = self.dropout.forward(f, generator)
        y += a
        cache = keep(
            LayerCache,
            norm_before_cache,
            attention_cache,
            attention_dropout_cache,
            norm_after_cache,
            feed_forward_cache,
            dropout_cache,
        )
        return (y, weights, None), cache

    def backward(self, d_output, cache):
        """(dy, dweights, None) -> dx, None. Each sum hands its gradient on to both that were added."""
        dy, dweights, _ = d_output
        df = self.dropout.backward(dy, cache.dropout)
        da = self.layernorm_after.backward(self.feed_forward.backward(df, cache.feed_forward), cache.norm_after)
        da += dy
        dattention = self.dropout.backward(da, cache.attention_dropout)
        dnormed = self.attention.backward(dattention, cache.attention, dweights)
        dx = self.layernorm_before.backward(dnormed, cache.norm_before)
        dx += da
        return dx, None


# ---------------------------------------------------------------------------------------------------------------------
# The model without a head
# ---------------------------------------------------------------------------------------------------------------------


class ViTPreTrainedModel(PreTrainedModel):
    """Name and config of all ViT models."""

    config_class = ViTConfig
    base_model_prefix = "vit"
    main_input_name = "pixel_values"
    # In the memory of transformers 5.x the weights have other names than in its files. A state dict of theirs fits too.
    checkpoint_renames = {
        r"layers\.(\d+)\.attention\.q_proj": r"encoder.layer.\1.attention.attention.query",
        r"layers\.(\d+)\.attention\.k_proj": r"encoder.layer.\1.attention.attention.key",
        r"layers\.(\d+)\.attention\.v_proj": r"encoder.layer.\1.attention.attention.value",
        r"layers\.(\d+)\.attention\.o_proj": r"encoder.layer.\1.attention.output.dense",
        r"layers\.(\d+)\.mlp\.fc1": r"encoder.layer.\1.intermediate.dense",
        r"layers\.(\d+)\.mlp\.fc2": r"encoder.layer.\1.output.dense",
        r"layers\.(\d+)\.layernorm": r"encoder.layer.\1.layernorm",
    }


class ModelCache(NamedTuple):
    embeddings: tuple
    encoder: tuple
    norm: tuple
    pooler: tuple | None
    shape: tuple[int, int, int]


class ViTModel(ViTPreTrainedModel):
    """Pictures in, hidden states out: that of [CLS], then one a patch, row by row; the last of them are normed."""

    checkpoint_names = {"encoder": "encoder.layer"}

    def build(self, config: ViTConfig, add_pooling_layer: bool = True, use_mask_token: bool = False):
        self.embeddings = ViTEmbeddings(config, use_mask_token)
        self.encoder = LayerStack(ViTLayer(config) for _ in range(config.num_hidden_layers))
        self.layernorm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.pooler = None
        if add_pooling_layer:
            self.pooler = FirstTokenPooler(config.hidden_size, config.pooler_output_size, config.pooler_act)

    def get_input_embeddings(self):
        return self.embeddings.patch_embeddings

    def forward(
        self,
        pixel_values=None,
        bool_masked_pos=None,
        head_mask=None,
        output_attentions=None,
        output_hidden_states=None,
        interpolate_pos_encoding=None,
        generator=None,
    ):
        """-> (BaseModelOutputWithPooling, cache)

        pixel_values (B, C, H, W), moved to the model's device and number type; bool_masked_pos (B, N), 1 for patches to
        be hidden, for a model with `use_mask_token`; head_mask (H,) or (L, H) factors; interpolate_pos_encoding=True
        takes pictures of any size; generator for dropout in training mode (default: the model's own).
        """
        config = self.config
        output_attentions = config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        generator = self.generator if generator is None else generator
        table = self.embeddings.cls_token.data
        pixel_values = checked_pictures(pixel_values, config.num_channels, table)
        hidden = self.checked_mask(bool_masked_pos, pixel_values)

        x, embeddings_cache = BatchThreads(self.embeddings).forward(
            pixel_values, hidden, interpolate=interpolate_pos_encoding, generator=generator
        )
        layers, encoder_cache = BatchThreads(self.encoder).forward(
            x,
            head_mask=head_mask_by_layer(config, head_mask, table),
            return_weights=output_attentions,
            return_hidden_states=output_hidden_states,
            generator=generator,
        )
        y, norm_cache = self.layernorm.forward(layers.x)
        pooled, pooler_cache = None, None
        if self.pooler is not None:
            pooled, pooler_cache = self.pooler.forward(y)
        fields = output_fields(layers, output_hidden_states, output_attentions, False)
        output = BaseModelOutputWithPooling(y, pooled, fields["hidden_states"], fields["attentions"])
        return output, keep(ModelCache, embeddings_cache, encoder_cache, norm_cache, pooler_cache, y.shape)

    def backward(self, d_output, cache):
        """Gradients by output name -> {"pixel_values": (B, C, H, W)}: which pixels moved the loss, and which way.

        "hidden_states" and "attentions" take a list with None for what the loss did not use. The last hidden state is
        the last layer's, before the norm whose output is "last_hidden_state".
        """
        names = ("last_hidden_state", "hidden_states", "attentions")
        check_output_names(d_output, names if self.pooler is None else (*names, "pooler_output"), self)
        d_last = d_output.get("last_hidden_state")
        if d_output.get("pooler_output") is not None:
            d_last = add_gradients(d_last, self.pooler.backward(d_output["pooler_output"], cache.pooler))
        if d_last is not None:
            d_last = self.layernorm.backward(d_last, cache.norm)
        table = self.embeddings.cls_token.data
        d_stack = gradients_for_stack(d_output, d_last, self.config.num_hidden_layers, cache.shape, table)
        dx, _ = BatchThreads(self.encoder).backward(d_stack, cache.encoder)
        return {"pixel_values": BatchThreads(self.embeddings).backward(dx, cache.embeddings)}

    def checked_mask(self, bool_masked_pos, pixel_values):
        """bool_masked_pos as booleans (B, N) where the model is; None if no patch is to be hidden."""
        if bool_masked_pos is None:
            return None
        if self.embeddings.mask_token is None:
            raise ValueError(
                "bool_masked_pos was passed, but this model has no vector for hidden patches: "
                "build it with ViTModel(config, use_mask_token=True)"
            )
        check_array(bool_masked_pos, "bool_masked_pos")
        rows, columns = self.embeddings.patch_embeddings.grid(*pixel_values.shape[2:])
        expected = (len(pixel_values), rows * columns)
        if tuple(bool_masked_pos.shape) != expected:
            raise ValueError(
                f"bool_masked_pos has shape {tuple(bool_masked_pos.shape)}, expected {expected}: "
                f"one number for each of the {rows}×{columns} patches"
            )
        return as_array_like(bool_masked_pos, pixel_values) != 0


# ---------------------------------------------------------------------------------------------------------------------
# One class a task
# ---------------------------------------------------------------------------------------------------------------------


class ViTForImageClassification(TaskModel, ViTPreTrainedModel):
    """A class (or several, or a number) for a picture, from the state of [CLS]. labels: see ClassificationLoss."""

    checkpoint_names = {"head.dense": "classifier"}
    output_class = ImageClassifierOutput

    def build(self, config):
        self.vit = ViTModel(config, add_pooling_layer=False)
        self.head = FirstTokenPooler(config.hidden_size, config.num_labels)
        self.loss = ClassificationLoss(config)


class MaskedImageCacheOfModel(NamedTuple):
    base: tuple
    decoder: tuple
    loss: tuple | None
    shape: tuple


class ViTForMaskedImageModeling(ViTPreTrainedModel):
    """What was in the hidden patches? Every state is made a patch of pixels again (Xie et al. 2021, "SimMIM").

    bool_masked_pos (B, N) is input and label at once: these patches are hidden, and the loss is their mean error. It
    needs `encoder_stride`, the size of the patches that are painted, to be `patch_size`.
    """

    checkpoint_names = {"decoder": "decoder.0"}

    def build(self, config):
        self.vit = ViTModel(config, add_pooling_layer=False, use_mask_token=True)
        self.decoder = PatchDecoder(config.hidden_size, config.num_channels, config.encoder_stride)
        self.loss = MaskedImageLoss()

    def forward(self, pixel_values=None, bool_masked_pos=None, generator=None, **options):
        """-> (MaskedImageModelingOutput, cache); the options are ViTModel's"""
        generator = self.generator if generator is None else generator
        config = self.config
        if bool_masked_pos is not None and pair(config.patch_size) != pair(config.encoder_stride):
            raise ValueError(
                f"encoder_stride is {config.encoder_stride}, but patch_size {config.patch_size}: with bool_masked_pos "
                "they must be equal, so that the painted picture can be compared with the real one"
            )
        states, base_cache = self.vit.forward(pixel_values, bool_masked_pos, generator=generator, **options)
        x = states.last_hidden_state
        grid = self.vit.embeddings.patch_embeddings.grid(*pixel_values.shape[2:])
        reconstruction, decoder_cache = self.decoder.forward(x[:, 1:], grid)
        loss, loss_cache = None, None
        if bool_masked_pos is not None:
            picture = checked_pictures(pixel_values, config.num_channels, x)
            if picture.shape != reconstruction.shape:
                raise ValueError(
                    f"pixel_values are pictures of {picture.shape[2]}×{picture.shape[3]} pixels, which patches of "
                    f"{config.patch_size} can't cover; with bool_masked_pos they must"
                )
            loss, loss_cache = self.loss.forward(reconstruction, picture, bool_masked_pos, grid)
        output = MaskedImageModelingOutput(loss, reconstruction, states.hidden_states, states.attentions)
        return output, keep(MaskedImageCacheOfModel, base_cache, decoder_cache, loss_cache, x.shape)

    def backward(self, d_output, cache):
        """The picture is input and label: its gradient is the sum of both ways."""
        check_output_names(d_output, ("loss", "reconstruction", "hidden_states", "attentions"), self)
        d_reconstruction, d_picture = d_output.get("reconstruction"), None
        if d_output.get("loss") is not None:
            of_loss, d_picture = self.loss.backward(d_output["loss"], loss_cache_of(self, cache))
            d_reconstruction = add_gradients(d_reconstruction, of_loss)
        d_states = {name: d_output[name] for name in ("hidden_states", "attentions") if name in d_output}
        if d_reconstruction is not None:
            dx = array_module(d_reconstruction).zeros(cache.shape, dtype=d_reconstruction.dtype)
            dx[:, 1:] = self.decoder.backward(d_reconstruction, cache.decoder)
            d_states["last_hidden_state"] = dx
        d_pixels = self.vit.backward(d_states, cache.base)["pixel_values"]
        return {"pixel_values": add_gradients(d_pixels, d_picture)}
