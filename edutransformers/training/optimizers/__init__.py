"""Optimizers: from gradients to new weights.

A layer's backward pass leaves dL/dw in `Parameter.grad`; an optimizer turns it into a step.

    optimizer = AdamW(decay_groups(model, weight_decay=0.01), lr=5e-5)
    ...backward...
    optimizer.step()
    optimizer.zero_grad()
"""

from .adamw import AdamW
from .base import Optimizer, as_parameters, decay_groups
from .chunks import chunk_bounds

__all__ = ["AdamW", "Optimizer", "as_parameters", "chunk_bounds", "decay_groups"]
