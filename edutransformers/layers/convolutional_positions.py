"""Positions told by a convolution (Mohamed et al. 2019; Baevski et al. 2020, "wav2vec 2.0", section 2)."""

import math
from typing import NamedTuple

from ..module import Module, keep
from .activation import Activation
from .convolution import Conv1d
from .weight_norm import WeightNorm


class ConvolutionalPositionsCache(NamedTuple):
    conv: tuple
    activation: tuple


class ConvolutionalPositions(Module):
    """p = f(conv(x)): a vector for each step from the K steps around it, to be added to x.   x (B, T, D) -> p (B, T, D)

    A grouped convolution over time with a weight-normed kernel of length K, one length for each of its places. It sees
    K/2 steps to the left, and to the right as many, or one less when K is even: so the output has T steps again. The
    zeros around the sequence are what tells its beginning and end.
    """

    def __init__(self, width: int, kernel_size: int = 128, groups: int = 16, activation: str = "gelu", generator=None):
        before, after = kernel_size // 2, (kernel_size - 1) // 2  # the original pads K/2 and drops the last of T + 1
        self.conv = _PositionsConv(width, width, kernel_size, padding=((before, after),), groups=groups)
        self.activation = Activation(activation)
        self.conv.weight = WeightNorm(self.conv.weight, dim=2)
        self.conv.initialize_now(generator)

    def forward(self, x):
        y, conv_cache = self.conv.forward(x.swapaxes(1, 2))
        y, activation_cache = self.activation.forward(y.swapaxes(1, 2))
        return y, keep(ConvolutionalPositionsCache, conv_cache, activation_cache)

    def backward(self, dy, cache):
        dy = self.activation.backward(dy, cache.activation)
        return self.conv.backward(dy.swapaxes(1, 2), cache.conv).swapaxes(1, 2)


class _PositionsConv(Conv1d):
    def initialize(self, generator, std=None):
        """v has the standard deviation 2/√(K·D), as in the original; the bias is 0."""
        width, _, kernel = self.weight.shape
        self._draw_weight(generator, 2 / math.sqrt(kernel * width))
        self.bias.data[...] = 0
