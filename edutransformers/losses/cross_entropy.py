"""Cross-entropy between predicted logits and whole-number labels."""

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module, as_array_like
from ..functional.blocks import row_blocks
from ..functional.precision import in_float32, sum_dtype
from ..module import Module, keep, keeping
from .reduction import check_reduction


class CrossEntropyCache(NamedTuple):
    probabilities: Array  # (M, C), of the M rows that count
    rows: Array | None  # (M,) which rows these are; None: all of them
    labels: Array  # (M,), ignored ones replaced by 0
    counted: Array  # (M,) booleans: False where the label is ignored
    weight_of_row: Array  # (M,): w[label], and 0 for ignored rows
    scale: Array | float  # what a row's loss is divided by
    shape: tuple
    dtype: np.dtype  # the logits'; of float16 logits everything above is float32


class CrossEntropyLoss(Module):
    """L = Σₙ ℓₙ / Σₙ w[yₙ],   ℓₙ = −w[yₙ] log pₙ[yₙ],   p = softmax(logits)

    logits (…, C), labels (…) whole numbers below C -> a number (or (…) losses with reduction="none")

    weight           (C,) a factor w for each class (None: all 1)
    ignore_index     rows with this label count for nothing (−100, as in the original)
    label_smoothing  ε: the target is 1 − ε on the label and ε/C spread over all classes,
                     ℓₙ = −(1−ε) w[yₙ] log pₙ[yₙ] − ε/C Σ_c w[c] log pₙ[c]
    reduction        "mean" (divides by the sum of the labels' weights), "sum" or "none"

    If every label is ignored the mean is 0/0: nan, as in the original, and the gradient is zero.

    Masked language modelling labels one token in seven, and each row has a score for every word of the vocabulary. So
    rows that don't count are left out of all the work, and `backward_counted` hands out only the gradients of those
    that do. (If the labels are on a GPU all rows are worked on: to pick some, the host would have to wait for it.)
    """

    def __init__(self, weight=None, ignore_index: int = -100, label_smoothing: float = 0.0, reduction: str = "mean"):
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing is {label_smoothing}: expected a number from 0 to 1")
        self.weight = weight
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = check_reduction(reduction)

    def forward(self, logits, labels):
        xp = array_module(logits)
        classes = logits.shape[-1]
        check_labels(logits.shape[:-1], labels, classes, self.ignore_index)
        labels = labels.reshape(-1)
        rows = self._rows_that_count(labels)
        labels = as_array_like(labels if rows is None else labels[rows], logits)
        rows = rows if rows is None else as_array_like(rows, logits)
        counted = labels != self.ignore_index
        labels = xp.where(counted, labels, 0)
        dtype = sum_dtype(logits.dtype)
        class_weight = None if self.weight is None else as_array_like(self.weight, logits).astype(dtype)
        weight_of_row = counted.astype(dtype)
        if class_weight is not None:
            weight_of_row *= class_weight[labels]

        flat = logits.reshape(-1, classes)
        losses = xp.empty(len(labels), dtype=dtype)
        probabilities = xp.empty((len(labels), classes), dtype=dtype) if keeping() else None
        for block in row_blocks(len(labels), classes, xp):
            x = in_float32(flat[block] if rows is None else flat[rows[block]])
            losses[block] = self._losses(x, labels[block], weight_of_row[block], counted[block], class_weight,
                                         None if probabilities is None else probabilities[block])  # fmt: skip
        if self.reduction == "none":
            scale, loss = 1.0, losses
            if rows is not None:
                loss = xp.zeros(len(flat), dtype=dtype)
                loss[rows] = losses
            loss = loss.reshape(logits.shape[:-1])
        elif self.reduction == "sum":
            loss, scale = losses.sum(), 1.0
        else:
            scale = weight_of_row.sum()
            with np.errstate(invalid="ignore"):
                loss = losses.sum() / scale
        shape, dtype = logits.shape, logits.dtype
        return loss, keep(CrossEntropyCache, probabilities, rows, labels, counted, weight_of_row, scale, shape, dtype)

    def _rows_that_count(self, labels):
        """The places of labels (N,) that aren't ignored; None if that is all of them, or if they are on a GPU."""
        if not isinstance(labels, np.ndarray):
            return None
        rows = np.flatnonzero(labels != self.ignore_index)
        return None if len(rows) == len(labels) else rows

    def _losses(self, logits, labels, weight_of_row, counted, class_weight, out):
        """Losses of some rows; their probabilities go to `out`."""
        xp = array_module(logits)
        shifted = xp.subtract(logits, logits.max(axis=1, keepdims=True), out=out)
        of_label = shifted[xp.arange(len(labels)), labels]
        smooth = self.label_smoothing
        if smooth:
            sum_shifted = shifted.sum(axis=1) if class_weight is None else shifted @ class_weight
        xp.exp(shifted, out=shifted)
        total = shifted.sum(axis=1)
        log_total = xp.log(total)
        if out is not None:
            out *= (1 / total)[:, None]
        losses = weight_of_row * (log_total - of_label)  # −w log p = −w (x − m − log Σ exp(x − m))
        if smooth:
            classes = logits.shape[1]
            sum_of_weights = classes if class_weight is None else class_weight.sum()
            spread = (sum_of_weights * log_total - sum_shifted) * counted
            losses = (1 - smooth) * losses + (smooth / classes) * spread
        return losses

    def backward(self, dloss, cache):
        """dloss -> dlogits (…, C), zero in rows that don't count"""
        of_counted, rows = self.backward_counted(dloss, cache)
        if rows is None:
            return of_counted.reshape(cache.shape)
        dx = array_module(of_counted).zeros(cache.shape, dtype=of_counted.dtype)
        dx.reshape(-1, cache.shape[-1])[rows] = of_counted
        return dx

    def backward_counted(self, dloss, cache):
        """dloss -> dlogits (M, C) of the rows that count, and which rows of the flattened logits these are: (M,) or
        None for all.

        From ∂ log p[c]/∂x[j] = δ[c,j] − p[j], without smoothing:  dx[j] = w[y] (p[j] − δ[j,y]) · dloss / scale.
        A smoothed target q adds, for every class c with weight w[c] ε/C, the same term:
        dx[j] = (Σ_c q[c]) p[j] − q[j],  q[c] = (1−ε) w[y] δ[c,y] + ε/C w[c].
        """
        p, rows, labels, counted, weight_of_row, scale, _, dtype = cache
        xp = array_module(p)
        smooth, classes = self.label_smoothing, p.shape[1]
        if self.reduction == "none":
            factor = dloss.reshape(-1) if rows is None else dloss.reshape(-1)[rows]
        elif self.reduction == "sum":
            factor = dloss
        else:  # when all labels are ignored, every row's weight is 0: the gradient must be 0, not 0/0
            factor = dloss / xp.maximum(scale, xp.finfo(p.dtype).tiny)
        on_label = (1 - smooth) * weight_of_row * factor
        mass = on_label
        if smooth:
            class_weight = None if self.weight is None else as_array_like(self.weight, p).astype(p.dtype)
            spread = (smooth / classes) * counted * factor
            mass = on_label + spread * (classes if class_weight is None else class_weight.sum())
        dx = p  # a cache is used once, so its array may become the gradient
        dx *= mass[:, None]
        dx[xp.arange(len(labels)), labels] -= on_label
        if smooth:
            dx -= spread[:, None] if class_weight is None else spread[:, None] * class_weight
        return dx.astype(dtype, copy=False), rows


def check_labels(leading_shape, labels, classes: int, ignore_index: int) -> None:
    """Labels must be whole numbers from 0 to classes − 1, or `ignore_index`, one for each row of logits."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be whole numbers, got an array of {labels.dtype}")
    if tuple(labels.shape) != tuple(leading_shape):
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}, expected {tuple(leading_shape)}: one a row of logits"
        )
    if isinstance(labels, np.ndarray) and labels.size:
        wrong = labels[(labels != ignore_index) & ((labels < 0) | (labels >= classes))]
        if wrong.size:
            raise ValueError(
                f"labels hold {int(wrong.reshape(-1)[0])}, but there are {classes} classes: "
                f"expected 0 to {classes - 1}, or {ignore_index} for what should not count"
            )
