"""Layer normalization (Ba, Kiros, Hinton 2016)."""

import numpy as np

from ..backend import array_module
from ..module import flatten_rows
from .blocks import row_blocks
from .precision import computed_in_float32, in_float32


def layer_norm(x, weight, bias, eps):
    """y = γ ∘ n + β,  n = (x − μ) / √(σ² + ε), with mean μ and variance σ² of each row.

    x (…, D), weight γ (D,), bias β (D,) -> y (…, D), normalized n (…, D), inverse_std 1/√(σ² + ε) (rows,)
    """
    xp = array_module(x)
    if x.dtype == np.float16:  # the square of 256 overflows, sums lose digits, and 1/√ε can be larger than 65504
        y, normalized, inverse_std = layer_norm(in_float32(x), in_float32(weight), in_float32(bias), eps)
        return y.astype(np.float16), normalized.astype(np.float16), inverse_std
    rows = flatten_rows(x)
    width = rows.shape[1]
    y, normalized = xp.empty_like(rows), xp.empty_like(rows)
    inverse_std = xp.empty(len(rows), dtype=x.dtype)
    for block in row_blocks(*rows.shape, xp):
        n = normalized[block]
        mean = xp.einsum("ij->i", rows[block]) / width  # einsum sums rows faster than .mean(axis=1)
        xp.subtract(rows[block], mean[:, None], out=n)
        variance = xp.einsum("ij,ij->i", n, n) / width
        inverse = 1 / xp.sqrt(variance + eps)
        inverse_std[block] = inverse
        n *= inverse[:, None]
        xp.multiply(n, weight, out=y[block])
        y[block] += bias
    return y.reshape(x.shape), normalized.reshape(x.shape), inverse_std


def layer_norm_backward(dy, normalized, inverse_std, weight):
    """dy (…, D) -> dx (…, D), dweight (D,), dbias (D,)

    y = γ∘n + β gives at once  dβ = Σ_rows dy,  dγ = Σ_rows dy∘n,  dn = dy∘γ.
    For one row, n = (x − μ) r with r = (σ² + ε)^(−½). A change of x moves n in three ways: directly (r), through the
    mean (−r/D for every entry) and through the variance (∂r/∂xᵢ = −r³ (xᵢ − μ)/D = −r² nᵢ/D). Collected:

        dx = r ( dn − mean(dn) − n mean(dn∘n) )

    γ is inside both means. (Taken out in front, the formula is right at γ = 1 and wrong everywhere else.)
    """
    xp = array_module(dy)
    if dy.dtype == np.float16:  # the gradients of γ and β, sums over all rows, stay float32
        wide = layer_norm_backward(in_float32(dy), in_float32(normalized), inverse_std, in_float32(weight))
        return wide[0].astype(np.float16), *wide[1:]
    rows_dy, rows_n = flatten_rows(dy), flatten_rows(normalized)
    width = rows_dy.shape[1]
    dx = xp.empty_like(rows_dy)
    dweight = xp.zeros(width, dtype=dy.dtype)
    dbias = xp.zeros(width, dtype=dy.dtype)
    for block in row_blocks(*rows_dy.shape, xp):
        block_dy, n, dn = rows_dy[block], rows_n[block], dx[block]
        dweight += xp.einsum("ij,ij->j", block_dy, n)
        dbias += xp.einsum("ij->j", block_dy)
        xp.multiply(block_dy, weight, out=dn)
        mean_dn = xp.einsum("ij->i", dn) / width
        mean_dn_n = xp.einsum("ij,ij->i", dn, n) / width
        dn -= mean_dn[:, None]
        dn -= n * mean_dn_n[:, None]
        dn *= inverse_std[block][:, None]
    return dx.reshape(dy.shape), dweight, dbias


@computed_in_float32
def layer_norm_inference(x, weight, bias, eps):
    """The same y as `layer_norm`, keeping nothing: n and y share one array."""
    xp = array_module(x)
    rows = flatten_rows(x)
    width = rows.shape[1]
    y = xp.empty_like(rows)
    for block in row_blocks(*rows.shape, xp):
        n = y[block]
        mean = xp.einsum("ij->i", rows[block]) / width  # einsum sums rows faster than .mean(axis=1)
        xp.subtract(rows[block], mean[:, None], out=n)
        variance = xp.einsum("ij,ij->i", n, n) / width
        n *= (1 / xp.sqrt(variance + eps))[:, None]
        n *= weight
        n += bias
    return y.reshape(x.shape)
