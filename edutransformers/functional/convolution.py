"""Convolution over one axis (sound) or two (pictures): windows of the input, all multiplied with the same weights.

Shapes: B batch, C input channels, O output channels, G groups, I = C/G input channels of a group; lengths of the input
S = (T) or (H, W), of the kernel K = (K) or (KH, KW), of the output S′. One code serves both: `weight.ndim` decides.

Inside, channels come last: (G, B, S, I). A window is then a few long runs of memory that can be copied at once, and the
output is written as rows (B·S′, O). What is returned has torch's axes (B, O, S′), as a view: the next convolution turns
it back for nothing.
"""

import math
from typing import NamedTuple

import numpy as np

from ..backend import array_module
from .blocks import contiguous
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
    kernel = _kernel_rows(weight, groups)  # (G, O/G, K·I)
    y = xp.empty((len(x) * math.prod(sizes.lengths), len(weight)), dtype=x.dtype)
    y_of_groups = _split_groups(y, groups)  # (G, B·S′, O/G), a view
    for chunk, windows in _windows(_padded(x, sizes), sizes):
        g, rows = chunk.groups, chunk.rows
        xp.matmul(windows, kernel[g].swapaxes(1, 2), out=y_of_groups[g, rows])
    if bias is not None:
        y += bias
    return xp.moveaxis(y.reshape(len(x), *sizes.lengths, len(weight)), -1, 1)


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
    padded, kernel = _padded(x, sizes), _kernel_rows(weight, groups)
    dy = contiguous(xp.moveaxis(dy, 1, -1)).reshape(-1, len(weight))  # rows (B·S′, O)
    dy_of_groups = _split_groups(dy, groups)
    dkernel = xp.zeros(kernel.shape, dtype=sum_dtype(dy.dtype))
    dpadded = xp.zeros(padded.shape, dtype=dy.dtype)
    for chunk, windows in _windows(padded, sizes):
        g, rows = chunk.groups, chunk.rows
        dkernel[g] += dy_of_groups[g, rows].swapaxes(1, 2) @ windows
        _add_windows(dpadded, dy_of_groups[g, rows] @ kernel[g], chunk, sizes)
    dbias = dy.sum(axis=0, dtype=sum_dtype(dy.dtype))
    return _padded_backward(dpadded, x.shape, sizes), _kernel_rows_backward(dkernel, weight.shape), dbias


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


def _padded(x, sizes):
    """x (B, C, S) -> (G, B, S + padding, I), contiguous. A view if x lies so in memory and nothing is padded."""
    xp = array_module(x)
    B, C, *lengths = x.shape
    apart = x.reshape(B, sizes.groups, C // sizes.groups, *lengths)
    apart = xp.moveaxis(apart.swapaxes(0, 1), 2, -1)
    if not any(before or after for before, after in sizes.padding):
        return contiguous(apart)
    ends = [length + sum(pair) for length, pair in zip(lengths, sizes.padding)]
    padded = xp.zeros((sizes.groups, B, *ends, C // sizes.groups), dtype=x.dtype)
    padded[_inside(sizes, lengths)] = apart
    return padded


def _padded_backward(dpadded, x_shape, sizes):
    """(G, B, S + padding, I) -> dx (B, C, S): what flowed into the padding is dropped."""
    apart = dpadded[_inside(sizes, x_shape[2:])]
    return array_module(apart).moveaxis(apart, -1, 2).swapaxes(0, 1).reshape(x_shape)


def _inside(sizes, lengths):
    """The index of everything but the padding in (G, B, S + padding, I)."""
    return (..., *(slice(before, before + n) for n, (before, _) in zip(lengths, sizes.padding)), slice(None))


def _kernel_rows(weight, groups):
    """weight (O, I, K) -> (G, O/G, K·I): a kernel's numbers in the order in which they lie in a window."""
    return contiguous(array_module(weight).moveaxis(weight, 1, -1)).reshape(groups, len(weight) // groups, -1)


def _kernel_rows_backward(dkernel, weight_shape):
    """(G, O/G, K·I) -> dweight (O, I, K)"""
    O, I, *kernel = weight_shape
    return contiguous(array_module(dkernel).moveaxis(dkernel.reshape(O, *kernel, I), -1, 1))


def _split_groups(y, groups):
    """Rows (N, O) -> (G, N, O/G), a view"""
    return y.reshape(len(y), groups, y.shape[1] // groups).swapaxes(0, 1)


# ---------------------------------------------------------------------------------------------------------------------
# Windows
# ---------------------------------------------------------------------------------------------------------------------


class Chunk(NamedTuple):
    """A part of the output, as slices; `positions` go along the first axis of S′."""

    groups: slice
    examples: slice
    positions: slice
    rows: slice  # the same examples and positions as rows of (B·S′, O)


def _windows(padded, sizes):
    """For chunk after chunk of the output: the chunk, and the windows it looks at.

    padded (G, B, S, I) -> windows (g, rows, K·I)
    """
    xp = array_module(padded)
    G, B, I = padded.shape[0], padded.shape[1], padded.shape[-1]
    group, example, *axes, channel = padded.strides
    every = [s * step for s, step in zip(sizes.stride, axes)]
    within = [d * step for d, step in zip(sizes.dilation, axes)]
    view = xp.lib.stride_tricks.as_strided(
        padded, (G, B, *sizes.lengths, *sizes.kernel, I), (group, example, *every, *within, channel)
    )  # every window by its place in memory: nothing is copied yet
    buffer = None
    for chunk in _chunks(B, sizes, I, xp):
        part = view[chunk.groups, chunk.examples, chunk.positions]
        if not part.flags.c_contiguous:  # windows that touch without overlap are in order already
            buffer = xp.empty(part.size, dtype=padded.dtype) if buffer is None else buffer  # the first is the largest
            copy = buffer[: part.size].reshape(part.shape)
            copy[...] = part
            part = copy
        yield chunk, part.reshape(len(part), -1, math.prod(sizes.kernel) * I)


def _chunks(B, sizes, width, xp):
    """Chunks whose windows are about CHUNK numbers.

    Whole examples while they fit, else whole groups of one, else positions of one group: a product of many rows is
    quicker than several of few.
    """
    limit = CHUNK if xp is np else DEVICE_CHUNK
    length, across = sizes.lengths[0], math.prod(sizes.lengths[1:])
    position = across * math.prod(sizes.kernel) * width  # numbers for one position of one group
    examples = limit // (sizes.groups * length * position)
    groups = sizes.groups if examples else limit // (length * position)
    positions = length if groups else max(1, limit // position)
    for b in _slices(B, examples):
        for g in _slices(sizes.groups, groups):
            for t in _slices(length, positions):
                first = b.start * length + t.start
                count = (b.stop - b.start - 1) * length + t.stop - t.start
                yield Chunk(g, b, t, slice(first * across, (first + count) * across))


def _slices(length, step):
    """Slices that cover `length` places, `step` of them at a time, at least one."""
    step = max(1, step)
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _add_windows(dpadded, dwindows, chunk, sizes):
    """dpadded[where the windows stand] += dwindows, tap by tap.   dwindows (g, rows, K·I)"""
    part = dpadded[chunk.groups, chunk.examples]
    first = (chunk.positions.start, *(0 for _ in sizes.kernel[1:]))
    counts = (chunk.positions.stop - chunk.positions.start, *sizes.lengths[1:])
    dwindows = dwindows.reshape(*part.shape[:2], *counts, *sizes.kernel, -1)
    for tap in np.ndindex(*sizes.kernel):
        starts = [s * f + d * k for s, f, d, k in zip(sizes.stride, first, sizes.dilation, tap)]
        where = [slice(start, start + s * (n - 1) + 1, s) for start, s, n in zip(starts, sizes.stride, counts)]
        part[(..., *where, slice(None))] += dwindows[(..., *tap, slice(None))]
