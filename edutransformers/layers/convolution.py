"""Convolutions over time, and over height and width."""

import math
from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..functional.convolution import convolution, convolution_backward
from ..module import Module, Parameter, keep, normal_, uniform_
from .weight_norm import WeightNorm


class ConvolutionCache(NamedTuple):
    x: Array
    weight: Array  # of a WeightNorm: as computed in the forward pass
    weight_norm: tuple | None


class _Convolution(Module):
    """What Conv1d and Conv2d share: they differ in the number of axes only."""

    axes: int
    checkpoint_names = {"weight.g": "weight_g", "weight.v": "weight_v"}  # when `weight` is a WeightNorm

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple,
        stride: int | tuple = 1,
        padding: int | tuple | str = 0,
        dilation: int | tuple = 1,
        groups: int = 1,
        bias: bool = True,
        generator: np.random.Generator | None = None,
    ):
        name = type(self).__name__
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name} with {in_channels} input and {out_channels} output channels can't have {groups} groups: "
                "both must be multiples of groups"
            )
        kernel = (kernel_size,) * self.axes if isinstance(kernel_size, int) else tuple(kernel_size)
        if len(kernel) != self.axes or any(k < 1 for k in kernel):
            raise ValueError(
                f"{name} has kernel_size {kernel_size}: expected a whole number from 1 on, or {self.axes} of them"
            )
        self.weight = Parameter(np.zeros((out_channels, in_channels // groups, *kernel), dtype=np.float32))
        self.bias = Parameter(np.zeros(out_channels, dtype=np.float32)) if bias else None
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.initialize_now(generator)

    def initialize(self, generator, std=None):
        """Kaiming's normal distribution, whatever `std` is: the scale of a kernel depends on its size.

        W has the standard deviation √(2/n), n = I·K being the numbers in a window (He et al. 2015); the bias is uniform
        in ±1/√n.
        """
        fan_in = math.prod(self.weight.shape[1:])
        self._draw_weight(generator, math.sqrt(2 / fan_in))
        if self.bias is not None:
            uniform_(self.bias, generator, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def _draw_weight(self, generator, std):
        if isinstance(self.weight, WeightNorm):
            self.weight.draw(generator, std)
        else:
            normal_(self.weight, generator, std)

    def forward(self, x):
        if isinstance(self.weight, WeightNorm):
            weight, weight_cache = self.weight.forward()
        else:
            weight, weight_cache = self.weight.data, None
        y = convolution(x, weight, None if self.bias is None else self.bias.data, **self._options())
        return y, keep(ConvolutionCache, x, weight, weight_cache)

    def backward(self, dy, cache):
        """dy like y -> dx like x"""
        dx, dweight, dbias = convolution_backward(dy, cache.x, cache.weight, **self._options())
        if isinstance(self.weight, WeightNorm):
            self.weight.backward(dweight, cache.weight_norm)
        else:
            self.weight.accumulate(dweight)
        if self.bias is not None:
            self.bias.accumulate(dbias)
        return dx

    def _options(self):
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    def extra_repr(self):
        outputs, inputs, *kernel = self.weight.shape
        parts = [f"{inputs * self.groups} -> {outputs}", f"kernel={kernel[0] if self.axes == 1 else tuple(kernel)}"]
        defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        parts += [f"{name}={value}" for name, value in self._options().items() if value != defaults[name]]
        return ", ".join(parts) + ("" if self.bias is not None else ", no bias")


class Conv1d(_Convolution):
    """y[o, t] = b[o] + Σ_i Σ_k W[o, i, k] x[i, s·t + d·k − p]: a convolution over time.   x (B, C, T) -> y (B, O, T′)

    T′ = ⌊(T + 2p − d (K − 1) − 1)/s⌋ + 1. `weight` is (O, C/G, K), `bias` (O,) or None. `padding` p is a number, "same"
    or "valid"; with `groups` G, output channel o sees only the C/G input channels of its group.
    See functional/convolution.py for the derivation.
    """

    axes = 1


class Conv2d(_Convolution):
    """A convolution over height and width.   x (B, C, H, W) -> y (B, O, H′, W′)

    `weight` is (O, C/G, KH, KW); kernel_size, stride, padding and dilation are one number, or a pair. Else as Conv1d.
    """

    axes = 2
