"""Binary cross-entropy on logits: one yes/no question per number (multi-label classification)."""

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module, as_array_like
from ..functional.activations import sigmoid
from ..functional.precision import in_float32
from ..module import Module, keep
from .reduction import check_reduction, check_same_shape, reduce, reduce_backward


class BCEWithLogitsCache(NamedTuple):
    logits: Array
    targets: Array
    dtype: np.dtype  # the logits' own; float16 ones are kept as float32


class BCEWithLogitsLoss(Module):
    """L = mean −[ w₊ y log σ(x) + (1 − y) log(1 − σ(x)) ]   logits x (…), targets y (…) in [0, 1] -> a number

    `pos_weight` w₊ (broadcastable to x) makes positives count more. With log σ(x) = −log(1 + exp(−x)) this is
    (1 − y) x + (1 + (w₊ − 1) y) log(1 + exp(−x)), where log(1 + exp(−x)) = max(−x, 0) + log(1 + exp(−|x|)) can't
    overflow.
    """

    def __init__(self, pos_weight=None, reduction: str = "mean"):
        self.pos_weight = pos_weight
        self.reduction = check_reduction(reduction)

    def forward(self, logits, targets):
        check_same_shape(logits, targets)
        if targets.dtype.kind not in "f":
            raise TypeError(f"targets must be floating-point numbers from 0 to 1, got an array of {targets.dtype}")
        xp, dtype = array_module(logits), logits.dtype
        logits, targets = in_float32(logits), in_float32(targets)
        softplus = xp.maximum(-logits, 0) + xp.log1p(xp.exp(-abs(logits)))  # log(1 + exp(−x))
        factor = 1.0 if self.pos_weight is None else self._factor(logits, targets)
        losses = (1 - targets) * logits + factor * softplus
        return reduce(losses, self.reduction), keep(BCEWithLogitsCache, logits, targets, dtype)

    def backward(self, dloss, cache):
        """dx = ((1 − y) − (1 + (w₊ − 1) y) (1 − σ(x))) dL / size; without w₊ simply (σ(x) − y) dL / size."""
        logits, targets, dtype = cache
        factor = 1.0 if self.pos_weight is None else self._factor(logits, targets)
        dx = (1 - targets) - factor * (1 - sigmoid(logits))
        return (dx * reduce_backward(dloss, logits.size, self.reduction)).astype(dtype, copy=False)

    def _factor(self, logits, targets):
        pos_weight = as_array_like(self.pos_weight, logits).astype(logits.dtype)
        return 1 + (pos_weight - 1) * targets
