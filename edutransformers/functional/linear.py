"""The linear map y = x Wᵀ + b, and its backward pass."""

from ..module import flatten_rows
from .precision import sum_dtype


def linear(x, weight, bias=None):
    """y = x Wᵀ + b over the last axis.   x (…, I), weight (O, I), bias (O,) -> y (…, O)

    All leading axes are flattened into rows first, so that one large matrix product does the work.
    """
    y = flatten_rows(x) @ weight.T
    if bias is not None:
        y += bias
    return y.reshape(*x.shape[:-1], weight.shape[0])


def linear_backward(dy, x, weight):
    """dy (…, O) -> dx (…, I), dweight (O, I), dbias (O,)

    Row n of the output is y[n,o] = Σᵢ x[n,i] W[o,i] + b[o]. So

        dL/dx[n,i] = Σₒ dy[n,o] W[o,i]            dx = dy W
        dL/dW[o,i] = Σₙ dy[n,o] x[n,i]            dW = dyᵀ x
        dL/db[o]   = Σₙ dy[n,o]                   db = Σ dy
    """
    rows_dy, rows_x = flatten_rows(dy), flatten_rows(x)
    dx = (rows_dy @ weight).reshape(x.shape)
    return dx, rows_dy.T @ rows_x, rows_dy.sum(axis=0, dtype=sum_dtype(dy.dtype))
