"""Layer normalization as a layer."""

import numpy as np

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
