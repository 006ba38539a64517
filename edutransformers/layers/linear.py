"""The linear layer."""

import numpy as np

from ..functional.linear import linear, linear_backward
from ..module import Module, Parameter, keep, normal_


class Linear(Module):
    """y = x Wᵀ + b, over the last axis.   x (…, I) -> y (…, O)

    `weight` is (O, I), `bias` is (O,) or None. Fresh weights come from a normal distribution with standard deviation
    0.02, biases are zero.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True, generator: np.random.Generator | None = None):
        self.weight = Parameter(np.zeros((outputs, inputs), dtype=np.float32))
        self.bias = Parameter(np.zeros(outputs, dtype=np.float32)) if bias else None
        self.initialize_now(generator)

    def initialize(self, generator, std=0.02):
        normal_(self.weight, generator, std)
        if self.bias is not None:
            self.bias.data[...] = 0

    def forward(self, x):
        if x.shape[-1] != self.weight.shape[1]:
            raise ValueError(f"Linear expects inputs of width {self.weight.shape[1]}, got an array of shape {x.shape}")
        y = linear(x, self.weight.data, None if self.bias is None else self.bias.data)
        return y, keep(x)

    def backward(self, dy, cache):
        (x,) = cache
        dx, dweight, dbias = linear_backward(dy, x, self.weight.data)
        self.weight.accumulate(dweight)
        if self.bias is not None:
            self.bias.accumulate(dbias)
        return dx

    def extra_repr(self):
        outputs, inputs = self.weight.shape
        return f"{inputs} -> {outputs}" + ("" if self.bias is not None else ", no bias")
