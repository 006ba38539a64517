"""Layers: Modules with parameters, each forward pass with its backward pass directly below it."""

from .activation import Activation
from .attention import MultiHeadAttention
from .batch_threads import BatchThreads
from .composition import AddNorm, Checkpoint, DropoutLinear, Residual, Sequential
from .dropout import Dropout
from .embedding import Embedding
from .feed_forward import FeedForward
from .linear import Linear
from .normalization import LayerNorm
from .positions import LearnedPositions, RelativePositions, SinusoidalPositions, sinusoids

__all__ = [
    "Activation",
    "AddNorm",
    "BatchThreads",
    "Checkpoint",
    "Dropout",
    "DropoutLinear",
    "Embedding",
    "FeedForward",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "MultiHeadAttention",
    "RelativePositions",
    "Residual",
    "Sequential",
    "SinusoidalPositions",
    "sinusoids",
]
