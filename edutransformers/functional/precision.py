"""float16: which numbers it can hold, and what must not be computed in it.

A float16 has 5 bits of exponent and 11 of precision. Three things follow:

    range          the largest is 65504, so 256² overflows to inf; the smallest is 6e-8, so smaller gradients become 0
    precision      2048 + 1 = 2048: a running sum stops growing once it is 2048 times as large as what is added
    half the size  of memory, and matrix products several times as fast on a GPU (which adds them up in float32)

So weights, activations and their gradients may be float16, and every sum, square and exponential is computed in
float32: layer norm's statistics, softmax, losses, gradients of biases and tables (Micikevicius et al. 2017,
"Mixed Precision Training", section 3.3). Arrays of other number types pass through all of this untouched.
"""

from functools import wraps

import numpy as np


def in_float32(x):
    """A float16 array as float32; any other as it is."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def sum_dtype(dtype):
    """The number type in which to add up numbers of type `dtype`: float32 for float16, else the same."""
    return np.dtype(np.float32) if dtype == np.float16 else np.dtype(dtype)


def computed_in_float32(function):
    """A function of arrays, the first of which decides: if that is float16, all are widened and the result narrowed."""

    @wraps(function)
    def widened(first, *others):
        if first.dtype != np.float16:
            return function(first, *others)
        others = [in_float32(other) if hasattr(other, "dtype") else other for other in others]
        return function(in_float32(first), *others).astype(np.float16)

    return widened
