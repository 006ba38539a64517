"""The linear layer, and the one whose weight lies the other way round."""

import numpy as np

from ..backend import array_module
from ..functional.linear import linear, linear_backward
from ..functional.precision import sum_dtype
from ..module import Module, Parameter, flatten_rows, keep, normal_


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

    def backward(self, dy, cache, rows=None):
        """dy (…, O) -> dx (…, I). With `rows` (M,), dy is (M, O): the gradients of these rows, all others being 0."""
        (x,) = cache
        used = x if rows is None else flatten_rows(x)[rows]
        dx, dweight, dbias = linear_backward(dy, used, self.weight.data)
        self.weight.accumulate(dweight)
        if self.bias is not None:
            self.bias.accumulate(dbias)
        if rows is None:
            return dx
        dx_of_all = array_module(dx).zeros(x.shape, dtype=dx.dtype)
        flatten_rows(dx_of_all)[rows] = dx
        return dx_of_all

    def extra_repr(self):
        outputs, inputs = self.weight.shape
        return f"{inputs} -> {outputs}" + ("" if self.bias is not None else ", no bias")


class Conv1D(Module):
    """y = x W + b, over the last axis: a linear layer whose `weight` is (I, O), as GPT-2's checkpoints have it.

    The name is the original's: a convolution over single tokens. `initial_scale` is a factor for the standard deviation
    of fresh weights.
    """

    def __init__(self, inputs: int, outputs: int, generator: np.random.Generator | None = None):
        self.weight = Parameter(np.zeros((inputs, outputs), dtype=np.float32))
        self.bias = Parameter(np.zeros(outputs, dtype=np.float32))
        self.initial_scale = 1.0
        self.initialize_now(generator)

    def initialize(self, generator, std=0.02):
        normal_(self.weight, generator, std * self.initial_scale)
        self.bias.data[...] = 0

    def forward(self, x):
        if x.shape[-1] != self.weight.shape[0]:
            raise ValueError(f"Conv1D expects inputs of width {self.weight.shape[0]}, got an array of shape {x.shape}")
        return linear(x, self.weight.data.T, self.bias.data), keep(x)

    def backward(self, dy, cache):
        """dy (…, O) -> dx (…, I).   dx = dy Wᵀ,   dW = Σ xᵀ dy,   db = Σ dy"""
        (x,) = cache
        rows_dy, rows_x = flatten_rows(dy), flatten_rows(x)
        self.weight.accumulate(rows_x.T @ rows_dy)
        self.bias.accumulate(rows_dy.sum(axis=0, dtype=sum_dtype(dy.dtype)))
        return (rows_dy @ self.weight.data.T).reshape(x.shape)

    def extra_repr(self):
        inputs, outputs = self.weight.shape
        return f"{inputs} -> {outputs}"
