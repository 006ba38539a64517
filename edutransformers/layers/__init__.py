"""Layers: Modules with parameters, each forward pass with its backward pass directly below it."""

from .activation import Activation
from .attention import MultiHeadAttention
from .dropout import Dropout
from .embedding import Embedding
from .feed_forward import FeedForward
from .linear import Linear
from .normalization import LayerNorm
from .positions import LearnedPositions, RelativePositions, SinusoidalPositions, sinusoids

__all__ = [
    "Activation",
    "Dropout",
    "Embedding",
    "FeedForward",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "MultiHeadAttention",
    "RelativePositions",
    "SinusoidalPositions",
    "sinusoids",
]
