"""Softmax and log-softmax over the last axis."""

import numpy as np

from ..backend import array_module
from .precision import computed_in_float32, in_float32


def softmax(x, out=None):
    """yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ)   x (…, N) -> y (…, N)

    The largest x is subtracted first: the result is the same, since exp(m) cancels, and nothing overflows. `out=x`
    works in place.
    """
    xp = array_module(x)
    if x.dtype == np.float16:  # a sum of 65505 ones overflows
        y = xp.empty_like(x) if out is None else out
        y[...] = softmax(in_float32(x))
        return y
    y = xp.subtract(x, x.max(axis=-1, keepdims=True), out=out)
    xp.exp(y, out=y)
    y /= y.sum(axis=-1, keepdims=True)
    return y


@computed_in_float32
def softmax_backward(dy, y):
    """dx = y ∘ (dy − Σⱼ dyⱼ yⱼ)

    From ∂yⱼ/∂xᵢ = yⱼ (δᵢⱼ − yᵢ):  dxᵢ = Σⱼ dyⱼ yⱼ (δᵢⱼ − yᵢ) = yᵢ (dyᵢ − Σⱼ dyⱼ yⱼ). If all dy are equal, dx is 0: the
    outputs always sum to 1, so a loss that only sums them can't change. (A gradient check whose loss is `.sum()`
    therefore compares zeros with zeros and proves nothing.)
    """
    xp = array_module(dy)
    dx = dy - xp.einsum("...i,...i->...", dy, y)[..., None]
    dx *= y
    return dx


@computed_in_float32
def log_softmax(x):
    """yᵢ = xᵢ − log Σⱼ exp(xⱼ), computed as (xᵢ − m) − log Σⱼ exp(xⱼ − m) with m the largest x."""
    xp = array_module(x)
    y = x - x.max(axis=-1, keepdims=True)
    y -= xp.log(xp.exp(y).sum(axis=-1, keepdims=True))
    return y


@computed_in_float32
def log_softmax_backward(dy, y):
    """dx = dy − softmax(x) Σⱼ dyⱼ, where softmax(x) = exp(y)

    From ∂yⱼ/∂xᵢ = δᵢⱼ − softmax(x)ᵢ.
    """
    xp = array_module(dy)
    dx = xp.exp(y)
    dx *= -dy.sum(axis=-1, keepdims=True)
    dx += dy
    return dx
