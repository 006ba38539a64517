"""Group normalization (Wu and He 2018)."""

import math

import numpy as np

from ..backend import array_module
from .blocks import contiguous, row_blocks
from .precision import in_float32


def group_norm(x, weight, bias, groups, eps):
    """y = γ ∘ n + β,  n = (x − μ) / √(σ² + ε), with mean μ and variance σ² of each example's group of channels.

    x (B, C, …), weight γ (C,), bias β (C,) -> y (B, C, …), mean μ (B, 1, C), inverse_std r = 1/√(σ² + ε).
    A group is C/G neighbouring channels, with all that follows them: time, or height and width. The statistics are the
    same for all channels of a group.

    Everything is worked out channel by channel: y = (x − μ) rγ + β has one factor and one offset for each, and what a
    group's sum needs is the sum of its channels' sums.
    """
    xp = array_module(x)
    if x.dtype == np.float16:  # sums lose digits, and squares overflow
        y, mean, inverse_std = group_norm(in_float32(x), in_float32(weight), in_float32(bias), groups, eps)
        return y.astype(np.float16), mean, inverse_std
    rows = _rows(x)  # (B, S, C)
    B, S, C = rows.shape
    count = S * C // groups  # numbers in a group
    sums = xp.zeros((B, 1, C), dtype=x.dtype)
    for b, block in _blocks(rows):
        sums[b, 0] += xp.einsum("bsc->bc", rows[b, block])
    mean = _over_groups(sums, groups) / count
    squares = xp.zeros((B, 1, C), dtype=x.dtype)
    for b, block in _blocks(rows):
        centred = rows[b, block] - mean[b]
        squares[b, 0] += xp.einsum("bsc,bsc->bc", centred, centred)
    inverse_std = 1 / xp.sqrt(_over_groups(squares, groups) / count + eps)
    factor = inverse_std * weight
    y = xp.empty_like(rows)
    for b, block in _blocks(rows):
        part = y[b, block]
        xp.subtract(rows[b, block], mean[b], out=part)
        part *= factor[b]
        part += bias
    return _like(y, x), mean, inverse_std


def group_norm_backward(dy, x, weight, mean, inverse_std, groups):
    """dy (B, C, …) -> dx (B, C, …), dweight (C,), dbias (C,)

    As for layer norm, with the group's C/G · S numbers in the place of a row's D. Over examples and positions

        dβ = Σ dy,  dγ = Σ dy∘n,  and  dn = dy∘γ
        dx = r ( dn − mean(dn) − n mean(dn∘n) )

    γ differs from channel to channel, so it is inside both means. Each channel's Σ dy and Σ dy∘n over positions serve
    twice: added up over examples they are dβ and dγ, multiplied with γ and added up over a group its two means.
    """
    xp = array_module(dy)
    if dy.dtype == np.float16:
        wide = group_norm_backward(in_float32(dy), in_float32(x), in_float32(weight), mean, inverse_std, groups)
        return wide[0].astype(np.float16), *wide[1:]
    rows_dy, rows = _rows(dy), _rows(x)
    B, S, C = rows.shape
    count = S * C // groups
    sums, products = xp.zeros((B, 1, C), dtype=dy.dtype), xp.zeros((B, 1, C), dtype=dy.dtype)
    for b, block in _blocks(rows):
        centred = rows[b, block] - mean[b]
        sums[b, 0] += xp.einsum("bsc->bc", rows_dy[b, block])
        products[b, 0] += xp.einsum("bsc,bsc->bc", rows_dy[b, block], centred)
    products *= inverse_std  # Σ dy∘n
    mean_dn = _over_groups(sums * weight, groups) / count
    mean_dn_n = _over_groups(products * weight, groups) / count

    of_dy, of_centred, offset = inverse_std * weight, inverse_std**2 * mean_dn_n, inverse_std * mean_dn
    dx = xp.empty_like(rows)
    for b, block in _blocks(rows):
        part = dx[b, block]
        centred = rows[b, block] - mean[b]
        centred *= of_centred[b]
        xp.multiply(rows_dy[b, block], of_dy[b], out=part)
        part -= centred
        part -= offset[b]
    return _like(dx, dy), products.sum(axis=(0, 1)), sums.sum(axis=(0, 1))


def _rows(x):
    """(B, C, …) -> (B, S, C), contiguous: a view of what a convolution returns, else a copy."""
    rows = contiguous(array_module(x).moveaxis(x, 1, -1))
    return rows.reshape(len(x), math.prod(x.shape[2:]), x.shape[1])


def _like(rows, x):
    """The way back: (B, S, C) -> (B, C, …), a view."""
    return array_module(rows).moveaxis(rows.reshape(len(x), *x.shape[2:], x.shape[1]), -1, 1)


def _blocks(rows):
    """(examples, positions) slices: blocks of one example that fit the cache. On a GPU: all at once."""
    B, S, C = rows.shape
    xp = array_module(rows)
    examples = [slice(b, b + 1) for b in range(B)] if xp is np else [slice(0, B)]
    for b in examples:
        for block in row_blocks(S, C, xp):
            yield b, block


def _over_groups(sums, groups):
    """Channels' sums (B, 1, C) -> for every channel the sum over its group (B, 1, C)."""
    B, _, C = sums.shape
    of_groups = sums.reshape(B, 1, groups, C // groups).sum(axis=-1)
    return array_module(sums).repeat(of_groups, C // groups, axis=-1)
