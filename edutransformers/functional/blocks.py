"""Working through large arrays in blocks that fit a processor's cache.

An expression such as `x * 0.5 * (1 + tanh(u))` makes one temporary array an operation. On a (1024, 3072) array each is
12 MB: every operation reads and writes main memory. In blocks of about 128 K numbers the temporaries stay in the cache,
and the same lines run two to three times as fast. A GPU wants one large launch instead: there the block is everything.
"""

from functools import wraps

import numpy as np

from ..backend import array_module
from .precision import in_float32

BLOCK = 131072  # numbers in one block: 512 KB of float32; smaller ones lose to Python's cost per operation


def row_blocks(rows: int, width: int, xp=np):
    """Slices that cover `rows` rows of `width` numbers, about BLOCK numbers at a time (all at once on a GPU)."""
    step = rows if xp is not np else max(1, BLOCK // max(1, width))
    for start in range(0, rows, max(1, step)):
        yield slice(start, min(start + step, rows))


def contiguous(x):
    """x itself if its axes lie in memory one inside the other, else a copy that does."""
    return x if x.flags.c_contiguous else x.copy()


def elementwise(function):
    """Make of `function(x, y, slope)`, which fills y = f(x) and slope = f′(x), a function that works block by block:

        y = f(x),   f(x, out=y),   y, slope = f(x, derivative=True)

    `out` may be x itself. `slope` is None in the calls that don't want it.
    """

    @wraps(function)
    def in_blocks(x, derivative=False, out=None):
        xp = array_module(x)
        y = xp.empty_like(x) if out is None else out
        slope = xp.empty_like(x) if derivative else None
        if xp is not np:
            _fill(function, x, y, slope)
        else:
            with np.errstate(over="ignore"):  # an activation saturates: exp(100) = inf on the way to σ = 0 is right
                for x_part, y_part, slope_part in _parts(x, y, slope):
                    _fill(function, x_part, y_part, slope_part)
        return (y, slope) if derivative else y

    return in_blocks


def _fill(function, x, y, slope):
    """function(x, y, slope), in float32 for float16 arrays: x² overflows beyond 256, and every operation rounds."""
    if x.dtype != np.float16:
        function(x, y, slope)
        return
    wide_y = in_float32(x)
    wide_slope = None if slope is None else array_module(x).empty_like(wide_y)
    function(wide_y, wide_y, wide_slope)
    y[...] = wide_y
    if slope is not None:
        slope[...] = wide_slope


def _parts(x, y, slope):
    """Blocks of x, y and slope, in the order of their memory; one block if there are few numbers, or it has gaps.

    What a convolution returns is (B, C, T) with the channels last in memory: turned back, that is one piece.
    """
    by_memory = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    arrays = [array.transpose(by_memory) for array in (x, y, slope) if array is not None]
    if x.size <= BLOCK or not all(array.flags.c_contiguous for array in arrays):
        yield x, y, slope
        return
    flat = [array.reshape(-1) for array in arrays] + [None]
    for block in row_blocks(x.size, 1):
        yield flat[0][block], flat[1][block], None if slope is None else flat[2][block]
