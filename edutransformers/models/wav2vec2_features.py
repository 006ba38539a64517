"""Wav2Vec2's way from samples to frames: seven strided convolutions, and a projection to the model's width.

Shapes: B batch, N samples, T frames, C channels of the convolutions, D model width.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..layers import Activation, Checkpoint, Conv1d, Dropout, GroupNorm, LayerNorm, Linear
from ..module import Module, ModuleList, inference_mode, keep, keeping, uniform_
from .base import add_gradients


def frame_counts(config, samples, with_adapter: bool = False):
    """How many frames come of so many samples: n -> ⌊(n − kernel)/stride⌋ + 1, convolution by convolution.

    `samples` is a number or an array of whole numbers; so is what is returned. The adapter's layers, if it counts, have
    a stride too.
    """
    for kernel, stride in zip(config.conv_kernel, config.conv_stride):
        samples = (samples - kernel) // stride + 1
    for _ in range(config.num_adapter_layers if with_adapter else 0):
        samples = (samples - 1) // config.adapter_stride + 1
    return samples


class FeatureLayerCache(NamedTuple):
    conv: tuple
    norm: tuple | None
    activation: tuple


class FeatureLayer(Module):
    """y = f(norm(conv(x)))   x (B, C, N) -> y (B, C′, N′)

    `norm` "group": each channel by itself over all of time; "layer": each step by itself over all channels; or None.
    In memory a step's channels lie side by side, so that is how the norms and the activation look at them.
    """

    checkpoint_names = {"norm": "layer_norm"}

    def __init__(self, config, layer: int, norm: str | None):
        channels = config.conv_dim[layer]
        before = config.conv_dim[layer - 1] if layer else 1
        kernel, stride = config.conv_kernel[layer], config.conv_stride[layer]
        self.conv = Conv1d(before, channels, kernel, stride, bias=config.conv_bias)
        self.norm = {
            "group": lambda: GroupNorm(channels, channels),
            "layer": lambda: LayerNorm(channels),
            None: lambda: None,
        }[norm]()
        self.activation = Activation(config.feat_extract_activation)

    def forward(self, x):
        y, conv_cache = self.conv.forward(x)
        norm_cache = None
        if isinstance(self.norm, GroupNorm):
            y, norm_cache = self.norm.forward(y)
        y = y.swapaxes(1, 2)  # (B, N′, C′)
        if isinstance(self.norm, LayerNorm):
            y, norm_cache = self.norm.forward(y)
        y, activation_cache = self.activation.forward(y, out=y)
        return y.swapaxes(1, 2), keep(FeatureLayerCache, conv_cache, norm_cache, activation_cache)

    def backward(self, dy, cache):
        dy = self.activation.backward(dy.swapaxes(1, 2), cache.activation)
        if isinstance(self.norm, LayerNorm):
            dy = self.norm.backward(dy, cache.norm)
        dy = dy.swapaxes(1, 2)
        if isinstance(self.norm, GroupNorm):
            dy = self.norm.backward(dy, cache.norm)
        return self.conv.backward(dy, cache.conv)


class FeatureEncoder(Module):
    """The convolutions, one after the other.   samples (B, N) -> frames (B, T, C)

    `frozen`: it is finished learning, so nothing is kept and no backward pass goes through it.
    """

    def __init__(self, config):
        norms = ["group" if layer == 0 else None for layer in range(len(config.conv_dim))]
        if config.feat_extract_norm == "layer":
            norms = ["layer"] * len(config.conv_dim)
        self.conv_layers = ModuleList(FeatureLayer(config, layer, norm) for layer, norm in enumerate(norms))
        self.gradient_checkpointing = False
        self.frozen = False

    def forward(self, samples, generator=None):
        if self.frozen and keeping():
            with inference_mode():
                frames, _ = self.forward(samples)
            return frames, keep()
        x, caches = samples[:, None], []
        for layer in self.steps():
            x, cache = layer.forward(x)
            caches.append(cache)
        return x.swapaxes(1, 2), keep(*caches)

    def backward(self, dframes, cache):
        dx = dframes.swapaxes(1, 2)
        for layer, layer_cache in zip(reversed(self.steps()), reversed(cache)):
            dx = layer.backward(dx, layer_cache)
        return dx[:, 0]

    def steps(self):
        return [Checkpoint(layer) if self.gradient_checkpointing else layer for layer in self.conv_layers]

    def freeze(self):
        self.requires_grad_(False)
        self.frozen = True


class UniformLinear(Linear):
    """A linear layer whose fresh weights are uniform in ±1/√I, as torch draws them."""

    def initialize(self, generator, std=None):
        bound = 1 / math.sqrt(self.weight.shape[1])
        uniform_(self.weight, generator, -bound, bound)
        uniform_(self.bias, generator, -bound, bound)


class FeatureProjectionCache(NamedTuple):
    norm: tuple
    projection: tuple
    dropout: tuple


class FeatureProjection(Module):
    """f = LayerNorm(frames),  x = dropout(W f + b)   frames (B, T, C) -> x (B, T, D), and f, which pre-training uses"""

    checkpoint_names = {"norm": "layer_norm"}

    def __init__(self, config):
        self.norm = LayerNorm(config.conv_dim[-1], config.layer_norm_eps)
        self.projection = UniformLinear(config.conv_dim[-1], config.hidden_size)
        self.dropout = Dropout(config.feat_proj_dropout)

    def forward(self, frames, generator=None):
        features, norm_cache = self.norm.forward(frames)
        x, projection_cache = self.projection.forward(features)
        x, dropout_cache = self.dropout.forward(x, generator)
        return (x, features), keep(FeatureProjectionCache, norm_cache, projection_cache, dropout_cache)

    def backward(self, d_output, cache):
        """(dx, dfeatures or None) -> dframes"""
        dx, dfeatures = d_output
        of_projection = self.projection.backward(self.dropout.backward(dx, cache.dropout), cache.projection)
        return self.norm.backward(add_gradients(of_projection, dfeatures), cache.norm)


def check_samples(config, input_values, attention_mask) -> None:
    """Samples (B, N), enough of them for one frame; of a mask on the host also that each example has so many."""
    if not hasattr(input_values, "ndim"):
        raise TypeError(
            f"input_values must be a NumPy or CuPy array, got {type(input_values).__name__}; use numpy.asarray(...)"
        )
    if input_values.ndim != 2 or input_values.shape[0] == 0:
        raise ValueError(f"input_values has shape {tuple(input_values.shape)}, expected (batch, samples)")
    if input_values.dtype.kind != "f":
        raise TypeError(
            f"input_values must be floating-point samples, got an array of {input_values.dtype}; "
            "prepare the sound with Wav2Vec2FeatureExtractor"
        )
    needed = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride)):
        needed = (needed - 1) * stride + kernel
    fewest = input_values.shape[1]
    if attention_mask is not None:
        if tuple(attention_mask.shape) != tuple(input_values.shape):
            raise ValueError(
                f"attention_mask has shape {tuple(attention_mask.shape)}, expected that of input_values, "
                f"{tuple(input_values.shape)}"
            )
        if isinstance(attention_mask, np.ndarray):
            fewest = min(fewest, int((attention_mask != 0).sum(axis=-1).min()))
    if fewest < needed:
        raise ValueError(
            f"input_values has an example of {fewest} samples, but this model's convolutions need at least {needed} "
            "for one frame: pass a longer recording, or pad it"
        )
