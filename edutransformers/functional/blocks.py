"""Working through large arrays in blocks that fit a processor's cache.

An expression such as `x * 0.5 * (1 + tanh(u))` makes one temporary array an operation. On a (1024, 3072) array each is
12 MB: every operation reads and writes main memory. In blocks of about 128 K numbers the temporaries stay in the cache,
and the same lines run two to three times as fast. A GPU wants one large launch instead: there the block is everything.
"""

from functools import wraps

import numpy as np

from ..backend import array_module

BLOCK = 131072  # numbers in one block: 512 KB of float32; smaller ones lose to Python's cost per operation


def row_blocks(rows: int, width: int, xp=np):
    """Slices that cover `rows` rows of `width` numbers, about BLOCK numbers at a time (all at once on a GPU)."""
    step = rows if xp is not np else max(1, BLOCK // max(1, width))
    for start in range(0, rows, max(1, step)):
        yield slice(start, min(start + step, rows))


def elementwise(function):
    """Run an activation `function(x, derivative) -> (y, dy/dx or None)` block by block.

    The decorated function takes `derivative=False` and `out=None` (where y goes; `out=x` works in place).
    """

    @wraps(function)
    def in_blocks(x, derivative=False, out=None):
        if array_module(x) is not np:
            return answer(*function(x, derivative), derivative, out)
        with np.errstate(over="ignore"):  # an activation saturates: exp(100) = inf on the way to σ = 0 is right
            if x.size <= BLOCK:
                return answer(*function(x, derivative), derivative, out)
            x = np.ascontiguousarray(x)
            y = out if out is not None and out.flags.c_contiguous else np.empty_like(x)
            slope = np.empty_like(x) if derivative else None
            flat_x, flat_y = x.reshape(-1), y.reshape(-1)
            flat_slope = slope.reshape(-1) if derivative else None
            for block in row_blocks(x.size, 1):
                block_y, block_slope = function(flat_x[block], derivative)
                flat_y[block] = block_y
                if derivative:
                    flat_slope[block] = block_slope
            # Where out's memory has gaps, a flat view of it would have been a copy: y was made beside it.
            return answer(y, slope, derivative, None if y is out else out)

    def answer(y, slope, derivative, out):
        if out is not None:
            out[...] = y
            y = out
        return (y, slope) if derivative else y

    return in_blocks
