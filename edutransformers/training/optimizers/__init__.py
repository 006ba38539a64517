"""Optimizers: from gradients to new weights.

A layer's backward pass leaves dL/dw in `Parameter.grad`; an optimizer turns it into a step.

    optimizer = AdamW(decay_groups(model, weight_decay=0.01), lr=5e-5)
    ...backward...
    optimizer.step()
    optimizer.zero_grad()

To read: sgd.py (the simplest), adamw.py (the usual one), elementwise.py (how a step goes over all weights), base.py
(groups and states).
"""

from .adafactor import Adafactor
from .adagrad import Adagrad
from .adam import Adam
from .adamw import AdamW
from .adamw_8bit import AdamW8bit
from .base import Optimizer, as_parameters, decay_groups
from .chunks import chunk_bounds
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "SGD",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdamW8bit",
    "Optimizer",
    "RMSprop",
    "as_parameters",
    "chunk_bounds",
    "decay_groups",
]
