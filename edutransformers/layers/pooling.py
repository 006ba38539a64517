"""One vector for a whole text or picture."""

from typing import NamedTuple

from ..backend import array_module
from ..module import Module, keep
from .activation import Activation
from .linear import Linear


class FirstTokenCache(NamedTuple):
    shape: tuple
    dense: tuple
    activation: tuple | None


class FirstTokenPooler(Module):
    """p = f(W x[0] + b): the first token stands for the whole.   x (B, T, D) -> p (B, O)

    The first is one that was put in front for this purpose ([CLS]); through attention it has seen all others. Without
    an activation f, this is a classifier.
    """

    def __init__(self, width: int, outputs: int, activation: str | None = None, generator=None):
        self.dense = Linear(width, outputs, generator=generator)
        self.activation = None if activation is None else Activation(activation)

    def forward(self, x):
        p, dense_cache = self.dense.forward(x[:, 0])
        activation_cache = None
        if self.activation is not None:
            p, activation_cache = self.activation.forward(p)
        return p, keep(FirstTokenCache, x.shape, dense_cache, activation_cache)

    def backward(self, dp, cache):
        if self.activation is not None:
            dp = self.activation.backward(dp, cache.activation)
        dx = array_module(dp).zeros(cache.shape, dtype=dp.dtype)
        dx[:, 0] = self.dense.backward(dp, cache.dense)  # the other tokens did not take part
        return dx
