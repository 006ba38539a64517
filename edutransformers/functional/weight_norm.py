"""Weight normalization (Salimans and Kingma 2016): a weight as a length times a direction."""

from ..backend import array_module
from .precision import in_float32


def weight_norm(v, g, dim):
    """w = g v/‖v‖, with one length g for every index along axis `dim`; ‖v‖ goes over all other axes.

    v (…), g like v with 1 in the place of all axes but `dim` -> w like v, norm ‖v‖ like g
    """
    wide = in_float32(v)
    norm = weight_lengths(wide, dim)
    return (wide * (in_float32(g) / norm)).astype(v.dtype, copy=False), norm


def weight_norm_backward(dw, v, g, norm, dim):
    """dw like v -> dv like v, dg like g

    With the direction u = v/‖v‖ the weight is w = g u. Its length alone gives dg = Σ dw∘u, the part of dw along u. A
    change of v turns u, but along u itself it changes only ‖v‖, which is divided out: ∂u/∂v = (1 − u uᵀ)/‖v‖. So

        dg = Σ dw∘u                    dv = g/‖v‖ (dw − u dg)

    dv is orthogonal to v: a step of gradient descent along it can only make v longer.
    """
    dw, v, g = in_float32(dw), in_float32(v), in_float32(g)
    dg = (dw * v).sum(axis=_all_but(dim, v), keepdims=True) / norm
    dv = dw - v * (dg / norm)
    dv *= g / norm
    return dv, dg


def weight_lengths(v, dim):
    """‖v‖ for every index along `dim`, like v with 1 in the place of all other axes."""
    return array_module(v).sqrt((v * v).sum(axis=_all_but(dim, v), keepdims=True))


def _all_but(dim, v):
    return tuple(axis for axis in range(v.ndim) if axis != dim % v.ndim)
