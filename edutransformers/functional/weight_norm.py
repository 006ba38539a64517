"""Weight normalization (Salimans and Kingma 2016): a weight as a length times a direction."""

from ..backend import array_module


def weight_norm(v, g, dim):
    """w = g v/‖v‖, with one length g for every index along axis `dim`; ‖v‖ goes over all other axes.

    v (…), g like v with 1 in the place of all axes but `dim` -> w like v, norm ‖v‖ like g
    """
    xp = array_module(v)
    norm = xp.sqrt((v * v).sum(axis=tuple(a for a in range(v.ndim) if a != dim), keepdims=True))
    return v * (g / norm), norm


def weight_norm_backward(dw, v, g, norm, dim):
    """dw like v -> dv like v, dg like g

    With the direction u = v/‖v‖ the weight is w = g u. Its length alone gives dg = Σ dw∘u, the part of dw along u. A
    change of v turns u, but along u itself it changes only ‖v‖, which is divided out: ∂u/∂v = (1 − u uᵀ)/‖v‖. So

        dg = Σ dw∘u                    dv = g/‖v‖ (dw − u dg)

    dv is orthogonal to v: a step of gradient descent can only make v longer, never shorter.
    """
    xp = array_module(dw)
    other_axes = tuple(a for a in range(v.ndim) if a != dim)
    dg = (dw * v).sum(axis=other_axes, keepdims=True) / norm
    dv = dw - v * (dg / norm)
    dv *= g / norm
    return dv, xp.ascontiguousarray(dg)
