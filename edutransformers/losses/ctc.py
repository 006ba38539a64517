"""CTC: a loss for a text without times, where a model says something in every frame (speech, handwriting)."""

import numpy as np

from ..backend import array_module, as_array_like
from ..functional.ctc import ctc_loss, ctc_loss_backward, pad_targets
from ..module import Module, keep
from .reduction import check_reduction


class CTCLoss(Module):
    """L = mean_b ℓ_b / max(S_b, 1),   ℓ = −log p(target | x), summed over all alignments (functional/ctc.py)

    logits          (B, T, C) floats; softmax is inside
    targets         (B, S) whole numbers, padded with anything, or (Σ S_b,): one target after the other
    input_lengths   (B,) frames of each example, at most T
    target_lengths  (B,) labels of each example, at most S
    blank           the class that stands for "nothing new"; it can't be in a target
    reduction       "mean" (of the losses per label), "sum", or "none" (B,)
    zero_infinity   a target longer than its input has no alignment: its loss is inf and its gradient nan. True: both
                    are 0

    -> a number (or (B,) losses). An example without labels is divided by 1. A logit that is nan makes its example's
    loss nan, as in the original.

    Raises TypeError for targets or lengths that aren't whole numbers, and ValueError for shapes that don't fit, lengths
    beyond the arrays, and labels that are the blank or no class. Values that lie on a GPU aren't looked at.

    Source: Graves et al. 2006, "Connectionist Temporal Classification".
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False):
        self.blank = blank
        self.reduction = check_reduction(reduction)
        self.zero_infinity = zero_infinity

    def forward(self, logits, targets, input_lengths, target_lengths):
        check_ctc_inputs(logits, targets, input_lengths, target_lengths, self.blank)
        targets, input_lengths, target_lengths = (
            x.astype("int64", copy=False) for x in (targets, input_lengths, target_lengths)
        )
        if targets.ndim == 1:
            targets = pad_targets(targets, target_lengths)
        targets, input_lengths, target_lengths = (
            as_array_like(x, logits) for x in (targets, input_lengths, target_lengths)
        )
        losses, lattice = ctc_loss(logits, targets, input_lengths, target_lengths, self.blank, self.zero_infinity)
        scale = 1.0
        if self.reduction == "mean":
            scale = array_module(logits).maximum(target_lengths, 1).astype(losses.dtype) * len(losses)
        loss = losses if self.reduction == "none" else (losses / scale).sum()
        return loss, keep(lattice, scale)

    def backward(self, dloss, cache):
        """dloss -> dlogits (B, T, C): what the model says less what the alignments say, in each frame."""
        lattice, scale = cache
        return ctc_loss_backward(dloss / scale, lattice)


def check_ctc_inputs(logits, targets, input_lengths, target_lengths, blank: int) -> None:
    """Types, shapes; and, of arrays on the host, that lengths fit and that labels are classes other than the blank."""
    if logits.ndim != 3:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)}, expected (B, T, C): a score for each class and frame"
        )
    batch, frames, classes = logits.shape
    if not 0 <= blank < classes:
        raise ValueError(f"blank is {blank}, but there are {classes} classes: expected 0 to {classes - 1}")
    given = {"targets": targets, "input_lengths": input_lengths, "target_lengths": target_lengths}
    for name, x in given.items():
        if getattr(x, "dtype", np.dtype(object)).kind not in "iu":
            what = f"an array of {x.dtype}" if hasattr(x, "dtype") else type(x).__name__
            raise TypeError(f"{name} must be an array of whole numbers, got {what}")
        if name != "targets" and tuple(x.shape) != (batch,):
            raise ValueError(f"{name} have shape {tuple(x.shape)}, expected ({batch},): one an example")
    if targets.ndim != 1 and (targets.ndim != 2 or len(targets) != batch):
        raise ValueError(
            f"targets have shape {tuple(targets.shape)}, expected ({batch}, S), or (the sum of target_lengths,)"
        )
    _check_lengths("input_lengths", input_lengths, frames, "frames")
    if targets.ndim == 2:
        _check_lengths("target_lengths", target_lengths, targets.shape[1], "labels")
    elif isinstance(target_lengths, np.ndarray):
        _check_lengths("target_lengths", target_lengths, len(targets), "labels")
        if target_lengths.sum() != len(targets):
            raise ValueError(
                f"target_lengths sum to {target_lengths.sum()}, but there are {len(targets)} labels in a row"
            )
    if isinstance(targets, np.ndarray) and isinstance(target_lengths, np.ndarray):
        counted = targets
        if targets.ndim == 2:
            counted = targets[np.arange(targets.shape[1]) < target_lengths[:, None]]
        wrong = counted[(counted < 0) | (counted >= classes) | (counted == blank)]
        if wrong.size:
            raise ValueError(
                f"targets hold {int(wrong[0])}: expected labels from 0 to {classes - 1} other than the blank, {blank}"
            )


def _check_lengths(name, lengths, limit: int, things: str) -> None:
    if isinstance(lengths, np.ndarray) and lengths.size:
        wrong = lengths[(lengths < 0) | (lengths > limit)]
        if wrong.size:
            raise ValueError(f"{name} hold {int(wrong[0])}, but there are {limit} {things}: expected 0 to {limit}")
