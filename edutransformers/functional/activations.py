"""Activation functions, each with its derivative.

An activation works on every number by itself, so its whole backward pass is one product: dx = dy · f′(x). Each function
here returns y = f(x), or with `derivative=True` the pair (y, f′(x)): the forward pass saves the slope instead of the
input (the same memory), and most of the work for both is shared.
"""

import math

import numpy as np

from ..backend import NORMAL_CDF_POLYNOMIAL, array_module, erf, horner
from .blocks import elementwise


def activation_backward(dy, slope):
    """dx = dy · f′(x), where `slope` = f′(x) was saved by the forward pass."""
    return dy * slope


# Each function below is written for one block: it fills `y` with f(x), and `slope` with f′(x) unless that is None. `y`
# may be `x` itself (working in place), so it is written last. `elementwise` makes of it gelu(x), gelu(x, out=x) and
# gelu(x, derivative=True).


@elementwise
def linear_activation(x, y, slope):
    """f(x) = x,  f′(x) = 1"""
    if slope is not None:
        slope[...] = 1
    y[...] = x


@elementwise
def relu(x, y, slope):
    """f(x) = max(x, 0),  f′(x) = 1 for x > 0, else 0 (at 0 itself, where there is no slope, 0 as everywhere else)."""
    if slope is not None:
        slope[...] = x > 0
    array_module(x).maximum(x, 0, out=y)


@elementwise
def sigmoid(x, y, slope):
    """σ(x) = 1 / (1 + exp(−x)),  σ′ = σ (1 − σ)"""
    s = _sigmoid(x)
    if slope is not None:
        array_module(x).subtract(1, s, out=slope)
        slope *= s
    y[...] = s


def _sigmoid(x):
    # ½ + ½ tanh(x/2) is the same function, and tanh can't overflow as exp(−x) does for x = −1000.
    xp = array_module(x)
    s = 0.5 * x
    xp.tanh(s, out=s)
    s *= 0.5
    s += 0.5
    return s


@elementwise
def tanh(x, y, slope):
    """f(x) = tanh(x),  f′ = 1 − tanh²(x)"""
    xp = array_module(x)
    xp.tanh(x, out=y)
    if slope is not None:
        xp.multiply(y, y, out=slope)
        xp.subtract(1, slope, out=slope)


@elementwise
def silu(x, y, slope):
    """f(x) = x σ(x),  f′ = σ + x σ (1 − σ). Also called swish (Elfwing et al. 2017; Ramachandran et al. 2017)."""
    _sigmoid_linear(x, y, slope, 1.0)


@elementwise
def quick_gelu(x, y, slope):
    """f(x) = x σ(1.702 x),  f′ = σ + 1.702 x σ (1 − σ): a cheap stand-in for GELU, used by CLIP."""
    _sigmoid_linear(x, y, slope, 1.702)


def _sigmoid_linear(x, y, slope, c):
    """f(x) = x σ(c x) = x / (1 + exp(−c x)),  f′(x) = σ + x σ (1 − σ) c"""
    xp = array_module(x)
    t = -c * x
    xp.exp(t, out=t)
    t += 1  # 1/σ
    if slope is not None:
        s = 1 / t
        xp.subtract(1, s, out=slope)
        slope *= s
        slope *= x
        slope *= c
        slope += s
    xp.divide(x, t, out=y)


@elementwise
def gelu(x, y, slope):
    """The exact GELU (Hendrycks and Gimpel 2016): f(x) = x Φ(x), Φ(x) = ½ (1 + erf(x/√2))

    Φ is the normal distribution's cumulative probability, its slope the bell curve φ(x) = exp(−x²/2)/√(2π). By the
    product rule f′(x) = Φ(x) + x φ(x).
    """
    xp = array_module(x)
    if xp is np and x.dtype == np.float32:  # y = x / (1/Φ): a pass fewer than x Φ
        inverse = _inverse_of_normal_cdf(x)
        if slope is not None:
            _bell_curve_times(x, slope)
            slope += np.reciprocal(inverse)
        np.divide(x, inverse, out=y)
        return
    cdf = erf(x * math.sqrt(0.5))
    cdf *= 0.5
    cdf += 0.5
    if slope is not None:
        _bell_curve_times(x, slope)
        slope += cdf
    xp.multiply(x, cdf, out=y)


def _bell_curve_times(x, out):
    """x φ(x)"""
    xp = array_module(x)
    xp.multiply(x, x, out=out)
    out *= -0.5
    xp.exp(out, out=out)
    out *= x
    out *= 1 / math.sqrt(2 * math.pi)


def _inverse_of_normal_cdf(x):
    """1/Φ(x) = 1 + exp(−x P(x²)): see NORMAL_CDF_POLYNOMIAL; several times as fast as erf."""
    y = horner(_MINUS_POLYNOMIAL, x * x)
    y *= x
    array_module(x).exp(y, out=y)
    y += 1
    return y


_MINUS_POLYNOMIAL = tuple(-c for c in NORMAL_CDF_POLYNOMIAL)


@elementwise
def gelu_new(x, y, slope):
    """GELU's tanh form: f(x) = ½ x (1 + tanh u),  u = √(2/π) (x + 0.044715 x³). GPT-2's activation.

    As ½ (1 + tanh u) = σ(2u), it is x σ(2u) = x / (1 + exp(−2u)): exp is twice as fast as tanh, and nothing cancels
    where tanh u is nearly −1. With s = σ(2u),  f′(x) = s + x s (1 − s) 2u′,  u′ = √(2/π) (1 + 3 · 0.044715 x²).
    """
    xp = array_module(x)
    root = 2 * math.sqrt(2 / math.pi)
    square = x * x
    t = square * (-0.044715 * root)
    t -= root
    t *= x
    xp.exp(t, out=t)
    t += 1  # 1/s
    if slope is not None:
        s = 1 / t
        xp.subtract(1, s, out=slope)
        slope *= s
        square *= 3 * 0.044715 * root
        square += root  # 2u′
        slope *= square
        slope *= x
        slope += s
    xp.divide(x, t, out=y)


# The original's names for them (its ACT2FN table).
ACTIVATIONS = {
    "linear": linear_activation,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "silu": silu,
    "swish": silu,
    "gelu": gelu,
    "gelu_python": gelu,
    "gelu_new": gelu_new,
    "gelu_fast": gelu_new,
    "gelu_pytorch_tanh": gelu_new,
    "quick_gelu": quick_gelu,
}


def get_activation(name: str):
    """The activation with the original's name, for example a config's `hidden_act`."""
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}: expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
