"""Layers made of layers: one after the other, around a shortcut, and recomputed instead of kept."""

import copy

import numpy as np

from ..backend import BatchShare, array_module
from ..module import Module, ModuleList, inference_mode, keep, keeping, training_cache
from .dropout import Dropout
from .linear import Linear
from .normalization import LayerNorm


class Sequential(ModuleList):
    """One module after the other: y = fₙ(… f₂(f₁(x)))."""

    def __init__(self, *modules):
        super().__init__(modules)

    def forward(self, x):
        caches = []
        for module in self:
            x, cache = module.forward(x)
            caches.append(cache)
        return x, keep(*caches)

    def backward(self, dy, cache):
        for module, module_cache in zip(reversed(list(self)), reversed(cache)):
            dy = module.backward(dy, module_cache)
        return dy


class Residual(Module):
    """y = x + f(x). The input is used twice, so its gradient is the sum of both ways."""

    def __init__(self, inner: Module):
        self.inner = inner

    def forward(self, x):
        y, cache = self.inner.forward(x)
        return x + y, keep(cache)

    def backward(self, dy, cache):
        (inner_cache,) = cache
        return dy + self.inner.backward(dy, inner_cache)


class AddNorm(Module):
    """y = LayerNorm(x + dropout(f)): how a post-norm transformer (Vaswani et al. 2017, BERT, BART) ends each sublayer.

    f (…, D) is the sublayer's output, x (…, D) what went into it. A caller who needs f no more passes `out=f`: the sum
    is then made in its place.
    """

    def __init__(self, width: int, eps: float, dropout: float = 0.0):
        self.dropout = Dropout(dropout)
        self.norm = LayerNorm(width, eps)

    def forward(self, f, x, generator=None, out=None):
        f, dropout_cache = self.dropout.forward(f, generator)
        total = array_module(f).add(f, x, out=f if self.dropout.active else out)  # what dropout made is ours
        y, norm_cache = self.norm.forward(total)
        return y, keep(dropout_cache, norm_cache)

    def backward(self, dy, cache):
        """-> df, dx. Without dropout both are the same array: use one before changing the other."""
        dropout_cache, norm_cache = cache
        dx = self.norm.backward(dy, norm_cache)
        return self.dropout.backward(dx, dropout_cache), dx


class DropoutLinear(Module):
    """y = W dropout(x) + b: the classifier head of most models.   x (…, D) -> y (…, O)"""

    def __init__(self, width: int, outputs: int, dropout: float, generator=None):
        self.dropout = Dropout(dropout)
        self.linear = Linear(width, outputs, generator=generator)

    def forward(self, x, generator=None):
        x, dropout_cache = self.dropout.forward(x, generator)
        y, linear_cache = self.linear.forward(x)
        return y, keep(dropout_cache, linear_cache)

    def backward(self, dy, cache):
        dropout_cache, linear_cache = cache
        dx = self.linear.backward(dy, linear_cache)
        return self.dropout.backward(dx, dropout_cache)


class Checkpoint(Module):
    """Forward without keeping anything but the inputs; backward runs the forward a second time, then its backward.

    Memory for one layer's activations instead of all layers', at the price of one more forward pass (Chen et al. 2016,
    "Training Deep Nets with Sublinear Memory Cost"). Random draws repeat exactly: a generator among the inputs is
    copied before the first run, and the copy makes the second run's draws.
    """

    checkpoint_names = {"inner": ""}  # wrapping a layer does not rename its weights

    def __init__(self, inner: Module):
        self.inner = inner

    def forward(self, *inputs, **options):
        if not keeping():
            return self.inner.forward(*inputs, **options)
        kept = [_keep_input(x) for x in inputs]
        kept_options = {name: _keep_input(x) for name, x in options.items()}
        with inference_mode():
            output, _ = self.inner.forward(*inputs, **options)
        return output, keep(kept, kept_options)

    def backward(self, d_output, cache):
        inputs, options = cache
        with training_cache():
            _, inner_cache = self.inner.forward(*inputs, **options)
        return self.inner.backward(d_output, inner_cache)


def _keep_input(x):
    return copy.deepcopy(x) if isinstance(x, (np.random.Generator, BatchShare)) else x
