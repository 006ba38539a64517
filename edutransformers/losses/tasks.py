"""The losses of whole tasks, as every architecture's heads use them."""

from typing import NamedTuple

from ..backend import array_module, as_array_like
from ..functional.precision import sum_dtype
from ..module import Module, keep
from .binary_cross_entropy import BCEWithLogitsLoss
from .cross_entropy import CrossEntropyLoss
from .regression import MSELoss


class ClassificationLossCache(NamedTuple):
    loss_function: Module  # the one that was chosen
    loss: tuple
    shape: tuple


class ClassificationLoss(Module):
    """The loss of a sequence-classification head, chosen by the original's rule.

    config.problem_type   logits (B, L) and labels                                  loss
    "regression"          labels (B,) or (B, L) numbers (also when L is 1)          mean squared error
    "single_label_..."    labels (B,) whole numbers (when labels are whole)         cross-entropy
    "multi_label_..."     labels (B, L) zeros and ones as floats (otherwise)        binary cross-entropy, each label
    """

    def __init__(self, config):
        self.config = config

    def forward(self, logits, labels):
        loss_function, labels = self._choose(logits, labels)
        target_shape = labels.shape if isinstance(loss_function, MSELoss) else logits.shape
        loss, cache = loss_function.forward(logits.reshape(target_shape), labels)
        return loss, keep(ClassificationLossCache, loss_function, cache, logits.shape)

    def backward(self, dloss, cache):
        return cache.loss_function.backward(dloss, cache.loss).reshape(cache.shape)

    def _choose(self, logits, labels):
        kind, count = self.config.problem_type, logits.shape[-1]
        if labels.dtype.kind not in "biuf":
            raise TypeError(
                f"labels are an array of {labels.dtype}: expected numbers; config.label2id says which is whose"
            )
        if kind is None:
            whole = labels.dtype.kind in "iu"
            kind = "regression" if count == 1 else "single_label_classification" if whole else "multi_label"
        if kind == "regression":
            labels = as_array_like(labels, logits).astype(sum_dtype(logits.dtype))
            expected = [logits.shape, logits.shape[:-1]] if count == 1 else [logits.shape]
            if labels.shape not in expected:
                raise ValueError(f"labels have shape {labels.shape}, expected {expected[-1]} numbers for regression")
            return MSELoss(), labels
        if kind == "single_label_classification":
            return CrossEntropyLoss(), labels.reshape(-1) if labels.shape == (len(logits), 1) else labels
        return BCEWithLogitsLoss(), as_array_like(labels, logits).astype(sum_dtype(logits.dtype))


class NextTokenLoss(Module):
    """Causal language modelling: position t predicts token t + 1. logits (…, T, V), labels (…, T) (−100: not counted).

    The labels are the input ids; the shift is made here, so the last position's logits and the first label go unused.
    """

    def __init__(self):
        self.cross_entropy = CrossEntropyLoss()

    def forward(self, logits, labels):
        if tuple(labels.shape) != tuple(logits.shape[:-1]):
            raise ValueError(f"labels have shape {tuple(labels.shape)}, expected {tuple(logits.shape[:-1])}")
        next_tokens = array_module(labels).full_like(labels, self.cross_entropy.ignore_index)
        next_tokens[..., :-1] = labels[..., 1:]
        return self.cross_entropy.forward(logits, next_tokens)

    def backward(self, dloss, cache):
        return self.cross_entropy.backward(dloss, cache)

    def backward_counted(self, dloss, cache):
        """dloss -> dlogits of the rows that count, and which rows these are: see CrossEntropyLoss."""
        return self.cross_entropy.backward_counted(dloss, cache)


class SpanLoss(Module):
    """Extractive question answering: the mean of two cross-entropies over the T tokens, for the answer's two ends.

    start_logits, end_logits (B, T), start_positions, end_positions (B,). A position of T or more (the answer was cut
    off) counts for nothing; a negative one counts as 0, both as in the original.
    """

    def forward(self, start_logits, end_logits, start_positions, end_positions):
        tokens = start_logits.shape[1]
        cross_entropy = CrossEntropyLoss(ignore_index=tokens)
        start, start_cache = cross_entropy.forward(start_logits, self._clip(start_positions, tokens))
        end, end_cache = cross_entropy.forward(end_logits, self._clip(end_positions, tokens))
        half = start.dtype.type(0.5)  # NumPy 1.26 makes a float64 of a float32 number times a Python one
        return half * (start + end), keep(start_cache, end_cache)

    def backward(self, dloss, cache):
        start_cache, end_cache = cache
        cross_entropy = CrossEntropyLoss()
        return cross_entropy.backward(0.5 * dloss, start_cache), cross_entropy.backward(0.5 * dloss, end_cache)

    @staticmethod
    def _clip(positions, tokens):
        positions = positions.reshape(-1)  # (B, 1) is accepted for (B,)
        return array_module(positions).clip(positions, 0, tokens)
