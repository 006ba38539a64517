"""Losses: Modules whose output is one number. backward(dloss, cache) gives the gradient of the predictions."""

from .binary_cross_entropy import BCEWithLogitsLoss
from .cross_entropy import CrossEntropyLoss
from .regression import L1Loss, MSELoss, SmoothL1Loss

__all__ = ["BCEWithLogitsLoss", "CrossEntropyLoss", "L1Loss", "MSELoss", "SmoothL1Loss"]
