"""Layers: Modules with parameters, each forward pass with its backward pass directly below it."""

from .activation import Activation
from .attention import MultiHeadAttention
from .batch_threads import BatchThreads
from .composition import AddNorm, Checkpoint, DropoutLinear, Residual, Sequential
from .dropout import Dropout
from .embedding import Embedding
from .feed_forward import FeedForward
from .key_value_cache import KeyValueCache, LayerPast
from .linear import Conv1D, Linear
from .normalization import LayerNorm
from .positions import LearnedPositions, RelativePositions, SinusoidalPositions, sinusoids

__all__ = [
    "Activation",
    "AddNorm",
    "BatchThreads",
    "Checkpoint",
    "Conv1D",
    "Dropout",
    "DropoutLinear",
    "Embedding",
    "FeedForward",
    "KeyValueCache",
    "LayerNorm",
    "LayerPast",
    "LearnedPositions",
    "Linear",
    "MultiHeadAttention",
    "RelativePositions",
    "Residual",
    "Sequential",
    "SinusoidalPositions",
    "sinusoids",
]
