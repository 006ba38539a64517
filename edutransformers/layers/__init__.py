"""Layers: Modules with parameters, each forward pass with its backward pass directly below it."""

from .activation import Activation
from .attention import MultiHeadAttention
from .batch_threads import BatchThreads
from .composition import AddNorm, Checkpoint, DropoutLinear, Residual, Sequential
from .convolution import Conv1d, Conv2d
from .convolutional_positions import ConvolutionalPositions
from .dropout import Dropout
from .embedding import Embedding
from .feed_forward import FeedForward
from .key_value_cache import KeyValueCache, LayerPast
from .linear import Conv1D, Linear
from .normalization import GroupNorm, LayerNorm
from .patch_embedding import PatchDecoder, PatchEmbedding
from .pooling import FirstTokenPooler
from .positions import GridPositions, LearnedPositions, RelativePositions, SinusoidalPositions, sinusoids
from .span_masking import SpanMasking, span_mask
from .weight_norm import WeightNorm

__all__ = [
    "Activation",
    "AddNorm",
    "BatchThreads",
    "Checkpoint",
    "Conv1D",
    "Conv1d",
    "Conv2d",
    "ConvolutionalPositions",
    "Dropout",
    "DropoutLinear",
    "Embedding",
    "FeedForward",
    "FirstTokenPooler",
    "GridPositions",
    "GroupNorm",
    "KeyValueCache",
    "LayerNorm",
    "LayerPast",
    "LearnedPositions",
    "Linear",
    "MultiHeadAttention",
    "PatchDecoder",
    "PatchEmbedding",
    "RelativePositions",
    "Residual",
    "Sequential",
    "SinusoidalPositions",
    "SpanMasking",
    "WeightNorm",
    "sinusoids",
    "span_mask",
]
