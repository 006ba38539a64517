"""Convolution over one axis (sound) or two (pictures): windows of the input, all multiplied with the same weights.

Shapes: B batch, C input channels, O output channels, G groups, I = C/G input channels of a group; lengths of the input
S = (T) or (H, W), of the kernel K = (K) or (KH, KW), of the output S′. One code serves both: `weight.ndim` decides.

Inside, channels come last: (B, G, S, I). A window is then a few long runs of memory that can be copied at once, and the
output is written as (B, S′, O). What is returned has torch's axes (B, O, S′), as a view: the next convolution turns it
back for nothing.
"""

import math
from typing import NamedTuple

import numpy as np

from ..backend import array_module
from .precision import sum_dtype

# Windows overlap, so all of them together are K/stride times as large as the input. They are made and multiplied in
# chunks of about this many numbers: on the host so that a chunk stays in the processor's cache, on a GPU so that it
# fits its memory.
CHUNK = 1 << 20
DEVICE_CHUNK = 1 << 26


class Geometry(NamedTuple):
    """The sizes of one convolution. Tuples have one entry an axis; `padding` has pairs (before, after)."""

    kernel: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int
    lengths: tuple  # S′


def convolution(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """y[o, t] = b[o] + Σ_i Σ_k W[o, i, k] x[i, s·t + d·k − p]       (x is 0 outside its ends: the padding)

    x (B, C, T), weight (O, C/G, K), bias (O,) -> y (B, O, T′), or
    x (B, C, H, W), weight (O, C/G, KH, KW), bias (O,) -> y (B, O, H′, W′)

    with T′ = ⌊(T + 2p − d (K − 1) − 1)/s⌋ + 1. `stride` s, `padding` p and `dilation` d are one number, or a tuple with
    one an axis; an entry of `padding` may be a pair (before, after). padding="same" keeps the length (stride 1),
    "valid" is 0. With G groups, output channel o sees only the C/G input channels of its own group.
    """
    xp = array_module(x)
    sizes = geometry(x.shape, weight.shape, stride, padding, dilation, groups)
    rows = _rows(x, sizes)  # (B, G, S, I)
    kernel = _kernel_rows(weight, groups)  # (G, O/G, K·I)
    y = xp.empty((len(x), math.prod(sizes.lengths), len(weight)), dtype=x.dtype)
    y_of_groups = _split_groups(y, groups)  # (B, G, S′, O/G), a view
    for place, windows in _windows(rows, sizes):
        xp.matmul(windows, kernel[place[1]].swapaxes(-1, -2), out=y_of_groups[place])
    if bias is not None:
        y += bias
    return xp.moveaxis(y.reshape(len(x), *sizes.lengths, -1), -1, 1)


def convolution_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1):
    """dy (B, O, S′) -> dx (B, C, S), dweight (O, C/G, K), dbias (O,)

    With windows X[t, (k, i)] = x[i, s·t + d·k − p] the forward pass is one product, Y = X Wᵀ + b. So, as for a linear
    layer,

        db = Σ_t dY[t]            dW = dYᵀ X            dX = dY W

    and as x[i, u] stands in every window (t, k) with s·t + d·k − p = u, its gradient is the sum over these places:

        dx[i, u] = Σ_{(t, k): s·t + d·k − p = u} dX[t, (k, i)]

    which is called the transposed convolution. For one tap k of the kernel the places u = s·t + d·k − p are all
    different, a slice with step s; so the sum is K additions of whole slices.
    """
    xp = array_module(dy)
    sizes = geometry(x.shape, weight.shape, stride, padding, dilation, groups)
    rows = _rows(x, sizes)
    kernel = _kernel_rows(weight, groups)
    dy_rows = xp.ascontiguousarray(xp.moveaxis(dy, 1, -1)).reshape(len(x), -1, len(weight))
    dy_of_groups = _split_groups(dy_rows, groups)
    dkernel = xp.zeros(kernel.shape, dtype=sum_dtype(dy.dtype))
    drows = xp.zeros(rows.shape, dtype=dy.dtype)
    for place, windows in _windows(rows, sizes):
        part = dy_of_groups[place]
        dkernel[place[1]] += (part.swapaxes(-1, -2) @ windows).sum(axis=0, dtype=dkernel.dtype)
        _add_windows(drows, part @ kernel[place[1]], place, sizes)
    dbias = dy_rows.sum(axis=(0, 1), dtype=sum_dtype(dy.dtype))
    return _rows_backward(drows, x.shape, sizes), _kernel_rows_backward(dkernel, weight.shape), dbias


# ---------------------------------------------------------------------------------------------------------------------
# Sizes
# ---------------------------------------------------------------------------------------------------------------------


def geometry(x_shape, weight_shape, stride=1, padding=0, dilation=1, groups=1) -> Geometry:
    """Check shapes and options against each other, and work out the output's lengths."""
    axes = len(weight_shape) - 2
    kernel = tuple(weight_shape[2:])
    channels = weight_shape[1] * groups
    if len(x_shape) != axes + 2 or x_shape[1] != channels:
        expected = ", ".join(("B", str(channels), "T") if axes == 1 else ("B", str(channels), "H", "W"))
        raise ValueError(f"the convolution expects an input of shape ({expected}), got an array of shape {x_shape}")
    stride, dilation = _one_an_axis(stride, axes, "stride"), _one_an_axis(dilation, axes, "dilation")
    padding = _padding_pairs(padding, kernel, stride, dilation)
    lengths = []
    for axis in range(axes):
        padded = x_shape[2 + axis] + sum(padding[axis])
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        if padded < reach:
            raise ValueError(
                f"the input has length {x_shape[2 + axis]} ({padded} with its padding), but the kernel reaches over "
                f"{reach}: pass a longer input, or pad it"
            )
        lengths.append((padded - reach) // stride[axis] + 1)
    return Geometry(kernel, stride, padding, dilation, groups, tuple(lengths))


def _one_an_axis(value, axes, name):
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes or any(v < 1 for v in values):
        raise ValueError(f"{name} is {value}: expected a whole number from 1 on, or {axes} of them, one an axis")
    return values


def _padding_pairs(padding, kernel, stride, dilation):
    """What a `padding` argument means: one pair (before, after) an axis."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ValueError(f'padding="same" keeps the length, which a stride of {stride} can not: use stride 1')
        missing = [d * (k - 1) for k, d in zip(kernel, dilation)]
        return tuple((m // 2, m - m // 2) for m in missing)
    values = (padding,) * len(kernel) if isinstance(padding, int) else padding
    if isinstance(values, str) or len(values) != len(kernel):
        raise ValueError(f"padding is {padding!r}: expected a whole number, {len(kernel)} of them, 'same' or 'valid'")
    pairs = tuple((value, value) if isinstance(value, int) else tuple(value) for value in values)
    if any(p < 0 for pair in pairs for p in pair):
        raise ValueError(f"padding is {padding}: expected numbers from 0 on")
    return pairs


# ---------------------------------------------------------------------------------------------------------------------
# Other orders of the axes
# ---------------------------------------------------------------------------------------------------------------------


def _rows(x, sizes):
    """x (B, C, S) -> (B, G, S + padding, I), contiguous. A view if x lies so in memory and nothing is padded."""
    xp = array_module(x)
    B, C, *lengths = x.shape
    apart = xp.moveaxis(x.reshape(B, sizes.groups, C // sizes.groups, *lengths), 2, -1)
    if not any(before or after for before, after in sizes.padding):
        return xp.ascontiguousarray(apart)
    padded = [length + sum(pair) for length, pair in zip(lengths, sizes.padding)]
    rows = xp.zeros((B, sizes.groups, *padded, C // sizes.groups), dtype=x.dtype)
    rows[_inside(sizes, lengths)] = apart
    return rows


def _rows_backward(drows, x_shape, sizes):
    """(B, G, S + padding, I) -> dx (B, C, S): what flowed into the padding is dropped."""
    dx = array_module(drows).moveaxis(drows[_inside(sizes, x_shape[2:])], -1, 2)
    return dx.reshape(x_shape)


def _inside(sizes, lengths):
    """The index of everything but the padding in (B, G, S + padding, I)."""
    return (..., *(slice(before, before + n) for n, (before, _) in zip(lengths, sizes.padding)), slice(None))


def _kernel_rows(weight, groups):
    """weight (O, I, K) -> (G, O/G, K·I): a kernel's numbers in the order in which they lie in a window."""
    xp = array_module(weight)
    return xp.ascontiguousarray(xp.moveaxis(weight, 1, -1)).reshape(groups, len(weight) // groups, -1)


def _kernel_rows_backward(dkernel, weight_shape):
    """(G, O/G, K·I) -> dweight (O, I, K)"""
    O, I, *kernel = weight_shape
    xp = array_module(dkernel)
    return xp.ascontiguousarray(xp.moveaxis(dkernel.reshape(O, *kernel, I), -1, 1))


def _split_groups(y, groups):
    """(B, S′, O) -> (B, G, S′, O/G), a view"""
    return y.reshape(*y.shape[:2], groups, -1).swapaxes(1, 2)


# ---------------------------------------------------------------------------------------------------------------------
# Windows
# ---------------------------------------------------------------------------------------------------------------------


def _windows(rows, sizes):
    """For chunk after chunk of the output: its place (examples, groups, positions), and the windows it looks at.

    rows (B, G, S, I) -> windows (b, g, n, K·I)
    """
    xp = array_module(rows)
    B, G, I = rows.shape[0], rows.shape[1], rows.shape[-1]
    steps = rows.strides
    every = tuple(s * step for s, step in zip(sizes.stride, steps[2:]))
    within = tuple(d * step for d, step in zip(sizes.dilation, steps[2:]))
    view = xp.lib.stride_tricks.as_strided(
        rows, (B, G, *sizes.lengths, *sizes.kernel, I), (*steps[:2], *every, *within, steps[-1])
    )  # every window by its place in memory: nothing is copied yet
    across = math.prod(sizes.lengths[1:])
    buffer = None
    for examples, groups, first in _chunks(B, sizes, I, xp):
        part = view[examples, groups, first]
        if not part.flags.c_contiguous:  # windows that touch without overlap are in order already
            buffer = (
                xp.empty(part.size, dtype=rows.dtype) if buffer is None else buffer
            )  # the first part is the largest
            copy = buffer[: part.size].reshape(part.shape)
            copy[...] = part
            part = copy
        place = examples, groups, slice(first.start * across, first.stop * across)
        yield place, part.reshape(*part.shape[:2], -1, math.prod(sizes.kernel) * I)


def _chunks(B, sizes, width, xp):
    """(examples, groups, positions along the first axis) slices whose windows are about CHUNK numbers.

    Whole examples while they fit, else whole groups of one, else positions of one group: a product of many rows is
    quicker than several of few.
    """
    limit = CHUNK if xp is np else DEVICE_CHUNK
    length = sizes.lengths[0]
    position = math.prod(sizes.lengths[1:]) * math.prod(sizes.kernel) * width
    examples = min(B, limit // max(1, sizes.groups * length * position))
    groups = sizes.groups if examples else min(sizes.groups, limit // max(1, length * position))
    positions = length if groups else max(1, limit // position)
    for b in range(0, B, examples or 1):
        for g in range(0, sizes.groups, groups or 1):
            for t in range(0, length, positions):
                yield (
                    slice(b, min(b + (examples or 1), B)),
                    slice(g, min(g + (groups or 1), sizes.groups)),
                    slice(t, min(t + positions, length)),
                )


def _add_windows(drows, dwindows, place, sizes):
    """drows[where the windows stand] += dwindows, tap by tap. dwindows (b, g, n, K·I)"""
    examples, groups, positions = place
    across = math.prod(sizes.lengths[1:])
    counts = ((positions.stop - positions.start) // across, *sizes.lengths[1:])
    first = (positions.start // across, *(0 for _ in counts[1:]))
    b, g = dwindows.shape[:2]
    dwindows = dwindows.reshape(b, g, *counts, *sizes.kernel, -1)
    for tap in np.ndindex(*sizes.kernel):
        starts = [s * f + d * k for s, f, d, k in zip(sizes.stride, first, sizes.dilation, tap)]
        where = tuple(slice(a, a + s * (n - 1) + 1, s) for a, s, n in zip(starts, sizes.stride, counts))
        taps = tuple(slice(None) for _ in counts) + tap
        drows[(examples, groups, *where)] += dwindows[(slice(None), slice(None), *taps)]
