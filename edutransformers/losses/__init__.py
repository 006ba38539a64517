"""Losses: Modules whose output is one number. backward(dloss, cache) gives the gradient of the predictions."""

from .am_softmax import AMSoftmaxLoss
from .binary_cross_entropy import BCEWithLogitsLoss
from .contrastive import ContrastiveLoss
from .cross_entropy import CrossEntropyLoss
from .ctc import CTCLoss
from .masked_image import MaskedImageLoss
from .regression import L1Loss, MSELoss, SmoothL1Loss
from .tasks import ClassificationLoss, NextTokenLoss, SpanLoss

__all__ = [
    "AMSoftmaxLoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "ClassificationLoss",
    "ContrastiveLoss",
    "CrossEntropyLoss",
    "L1Loss",
    "MSELoss",
    "MaskedImageLoss",
    "NextTokenLoss",
    "SmoothL1Loss",
    "SpanLoss",
]
