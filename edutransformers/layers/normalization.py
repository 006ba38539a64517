"""Layer normalization and group normalization as layers."""

from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..functional.group_norm import group_norm, group_norm_backward
from ..functional.normalization import layer_norm, layer_norm_backward, layer_norm_inference
from ..module import Module, Parameter, keep, keeping


class LayerNorm(Module):
    """y = γ ∘ (x − μ)/√(σ² + ε) + β, with mean and variance of each row.   x (…, D) -> y (…, D)

    γ is `weight`, β is `bias`, both (D,). See functional/normalization.py for the derivation.
    """

    def __init__(self, width: int, eps: float = 1e-5):
        self.weight = Parameter(np.ones(width, dtype=np.float32))
        self.bias = Parameter(np.zeros(width, dtype=np.float32))
        self.eps = eps

    def initialize(self, generator, std=0.02):
        self.weight.data[...] = 1
        self.bias.data[...] = 0

    def forward(self, x):
        if not keeping():
            return layer_norm_inference(x, self.weight.data, self.bias.data, self.eps), None
        y, normalized, inverse_std = layer_norm(x, self.weight.data, self.bias.data, self.eps)
        return y, keep(normalized, inverse_std)

    def backward(self, dy, cache):
        normalized, inverse_std = cache
        dx, dweight, dbias = layer_norm_backward(dy, normalized, inverse_std, self.weight.data)
        self.weight.accumulate(dweight)
        self.bias.accumulate(dbias)
        return dx

    def extra_repr(self):
        return f"{self.weight.shape[0]}, eps={self.eps}"


class GroupNormCache(NamedTuple):
    x: Array
    mean: Array  # (B, 1, C): the group's, for each of its channels
    inverse_std: Array  # (B, 1, C)


class GroupNorm(Module):
    """y = γ ∘ (x − μ)/√(σ² + ε) + β, with mean and variance of each group of channels.   x (B, C, …) -> y (B, C, …)

    The C channels form `groups` groups of neighbours; a mean goes over a group's channels and all positions of one
    example. groups = C normalizes each channel by itself over time (Wav2Vec2's first convolution); groups = 1 is a
    layer norm over everything. γ is `weight`, β is `bias`, both (C,). See functional/group_norm.py.
    """

    def __init__(self, groups: int, channels: int, eps: float = 1e-5):
        if groups < 1 or channels % groups:
            raise ValueError(f"GroupNorm can't split {channels} channels into {groups} groups of the same size")
        self.groups = groups
        self.weight = Parameter(np.ones(channels, dtype=np.float32))
        self.bias = Parameter(np.zeros(channels, dtype=np.float32))
        self.eps = eps

    def initialize(self, generator, std=0.02):
        self.weight.data[...] = 1
        self.bias.data[...] = 0

    def forward(self, x):
        if x.ndim < 2 or x.shape[1] != self.weight.shape[0]:
            raise ValueError(
                f"GroupNorm expects an input of shape (B, {self.weight.shape[0]}, …), got an array of shape {x.shape}"
            )
        y, mean, inverse_std = group_norm(x, self.weight.data, self.bias.data, self.groups, self.eps)
        return y, keep(GroupNormCache, x, mean, inverse_std)

    def backward(self, dy, cache):
        x, mean, inverse_std = cache
        dx, dweight, dbias = group_norm_backward(dy, x, self.weight.data, mean, inverse_std, self.groups)
        self.weight.accumulate(dweight)
        self.bias.accumulate(dbias)
        return dx

    def extra_repr(self):
        return f"{self.groups} groups, {self.weight.shape[0]}, eps={self.eps}"
