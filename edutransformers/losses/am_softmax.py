"""Cross-entropy of cosines with a margin: vectors of one class are to lie close together."""

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module, as_array_like
from ..functional.precision import in_float32
from ..functional.unit_vectors import unit_vectors, unit_vectors_backward
from ..module import Module, Parameter, keep, normal_
from .cross_entropy import CrossEntropyLoss, check_labels


class AMSoftmaxCache(NamedTuple):
    unit: Array  # (B, D)
    length: Array
    unit_weight: Array  # (C, D)
    weight_length: Array
    loss: tuple
    dtype: np.dtype


class AMSoftmaxLoss(Module):
    """Additive-margin softmax (Wang et al. 2018): cross-entropy of s·cos θ, the right class's cosine made smaller by m.

        cosₙ꜀ = x̂ₙ · ŵ꜀          logitsₙ꜀ = s (cosₙ꜀ − m [c = yₙ])          L = mean −log softmax(logitsₙ)[yₙ]

    x (B, D), labels y (B,) -> a number. `weight` (D, C) holds one direction a class; x̂, ŵ are unit vectors. Only the
    angle counts, and the right class has to win by the margin m = 0.4, so that what is not trained on (another
    speaker) is told apart by its angle too. s = 30 lets the softmax of numbers from −1 to 1 become certain.

    The margin is a constant, so with dlogits of the cross-entropy  dcos = s dlogits,  dx̂ = dcos ŵ,  dŵ = dcosᵀ x̂; the
    lengths' part is `unit_vectors_backward`.
    """

    def __init__(self, width: int, classes: int, scale: float = 30.0, margin: float = 0.4, generator=None):
        self.weight = Parameter(np.zeros((width, classes), dtype=np.float32))
        self.scale, self.margin = scale, margin
        self.cross_entropy = CrossEntropyLoss()
        self.initialize_now(generator)

    def initialize(self, generator, std=0.02):
        normal_(self.weight, generator, 1.0)  # only directions count

    def forward(self, x, labels):
        xp = array_module(x)
        classes = self.weight.shape[1]
        check_labels(x.shape[:1], labels, classes, -100)
        unit, length = unit_vectors(in_float32(x))
        unit_weight, weight_length = unit_vectors(in_float32(self.weight.data.T))
        logits = unit @ unit_weight.T
        of_label = as_array_like(labels, x)[:, None] == xp.arange(classes)
        logits -= self.margin * of_label
        logits *= self.scale
        loss, loss_cache = self.cross_entropy.forward(logits, labels)
        return loss, keep(AMSoftmaxCache, unit, length, unit_weight, weight_length, loss_cache, x.dtype)

    def backward(self, dloss, cache):
        """dloss -> dx (B, D)"""
        dcos = self.cross_entropy.backward(dloss, cache.loss)
        dcos *= self.scale
        dweight = unit_vectors_backward(dcos.T @ cache.unit, cache.unit_weight, cache.weight_length)
        self.weight.accumulate(dweight.T.copy())
        dx = unit_vectors_backward(dcos @ cache.unit_weight, cache.unit, cache.length)
        return dx.astype(cache.dtype, copy=False)

    def extra_repr(self):
        width, classes = self.weight.shape
        return f"{width} -> {classes}, scale={self.scale}, margin={self.margin}"
