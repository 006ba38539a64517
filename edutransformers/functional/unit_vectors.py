"""Vectors made one long: what is left is their direction, and the product of two is the cosine of their angle."""

from ..backend import array_module
from .precision import computed_in_float32, in_float32


def unit_vectors(x, eps: float = 1e-12):
    """u = x / max(‖x‖, ε), over the last axis.   x (…, D) -> u (…, D), the divisor max(‖x‖, ε) (…, 1)"""
    xp = array_module(x)
    wide = in_float32(x)
    length = xp.maximum(xp.sqrt(xp.einsum("...d,...d->...", wide, wide))[..., None], eps)
    return (wide / length).astype(x.dtype, copy=False), length


def unit_vectors_backward(du, u, length, eps: float = 1e-12):
    """du (…, D) -> dx (…, D)

    With n = ‖x‖ and ∂n/∂x = u the quotient rule gives ∂uᵢ/∂xⱼ = (δᵢⱼ − uᵢuⱼ)/n, so

        dx = (du − u (u·du)) / n

    What points along x is taken out of the gradient: making x longer changes nothing. For a vector shorter than ε the
    divisor is the constant ε, and dx = du/ε.
    """
    return _backward(du, u, length, eps)


@computed_in_float32
def _backward(du, u, length, eps):
    xp = array_module(du)
    along = xp.einsum("...d,...d->...", u, du)[..., None]
    return (du - u * xp.where(length > eps, along, 0)) / length
