"""Gradient clipping: no step along a gradient that is out of all proportion."""

from __future__ import annotations

import math

import numpy as np

from ..backend import array_module
from .optimizers import as_parameters, chunk_bounds


def clip_grad_norm_(parameters, max_norm: float, error_if_nonfinite: bool = False):
    """Scale all gradients, together, so that their common norm is at most `max_norm`. Returns the norm before.

        ‖g‖ = √(Σ over all parameters and entries g²),     g ← g · min(1, max_norm / (‖g‖ + 1e-6))

    The direction stays, only the length is limited: one bad batch then can't throw the weights far away (Pascanu et al.
    2012). Equal to torch.nn.utils.clip_grad_norm_.

    parameters  Parameters, (name, Parameter) pairs, or a Module; those without gradient count for nothing

    On the CPU the norm is a Python float, and gradients that are short enough aren't touched. On a GPU it is an array
    with one number that stays there, and every gradient is multiplied: to look at the number would make the step wait.

    Raises `ValueError` with `error_if_nonfinite` if the norm is nan or infinite (this waits for the GPU).
    """
    if not max_norm >= 0:
        raise ValueError(f"max_norm is {max_norm}: expected a number from 0 up")
    gradients = [p.grad for p in as_parameters(parameters) if p.grad is not None]
    if not gradients:
        return 0.0
    xp = array_module(gradients[0])
    if xp is np:
        norm = math.sqrt(sum(_sum_of_squares(g) for g in gradients))
    else:
        norm = xp.sqrt(sum(xp.vdot(g, g) for g in gradients))
    if error_if_nonfinite and not math.isfinite(float(norm)):
        raise ValueError(f"the gradients' norm is {float(norm)}: some gradient is not a finite number")

    if xp is np:
        factor = max_norm / (norm + 1e-6)
        if factor < 1 or factor != factor:  # nan: every gradient becomes nan, so that it can't go unnoticed
            with np.errstate(invalid="ignore"):  # an infinite one times 0
                for g in gradients:
                    g *= factor
    else:
        factor = xp.minimum(max_norm / (norm + 1e-6), 1.0)
        for g in gradients:
            g *= factor.astype(g.dtype)
    return norm


def _sum_of_squares(gradient: np.ndarray) -> float:
    """Σ g², chunk by chunk and added up as Python floats: float32 sums over millions of numbers would lose digits."""
    flat = gradient.reshape(-1)
    return sum(float(np.dot(flat[start:stop], flat[start:stop])) for start, stop in chunk_bounds(flat))
