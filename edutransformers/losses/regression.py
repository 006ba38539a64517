"""Losses for numbers: mean squared error, absolute error, and smooth L1 between the two."""

from ..backend import array_module
from ..functional.precision import in_float32
from ..module import Module, keep
from .reduction import check_reduction, check_same_shape, reduce, reduce_backward


class MSELoss(Module):
    """L = mean (x − y)²   predictions x (…), targets y (…) -> a number;  dx = 2 (x − y) dL / size"""

    def __init__(self, reduction: str = "mean"):
        self.reduction = check_reduction(reduction)

    def forward(self, predictions, targets):
        check_same_shape(predictions, targets)
        difference = in_float32(predictions) - in_float32(targets)
        return reduce(difference * difference, self.reduction), keep(difference, predictions.dtype)

    def backward(self, dloss, cache):
        difference, dtype = cache
        dx = 2 * difference * reduce_backward(dloss, difference.size, self.reduction)
        return dx.astype(dtype, copy=False)


class L1Loss(Module):
    """L = mean |x − y|   predictions x (…), targets y (…) -> a number;  dx = sign(x − y) dL / size (0 where equal)"""

    def __init__(self, reduction: str = "mean"):
        self.reduction = check_reduction(reduction)

    def forward(self, predictions, targets):
        check_same_shape(predictions, targets)
        difference = in_float32(predictions) - in_float32(targets)
        return reduce(abs(difference), self.reduction), keep(difference, predictions.dtype)

    def backward(self, dloss, cache):
        difference, dtype = cache
        dx = array_module(difference).sign(difference) * reduce_backward(dloss, difference.size, self.reduction)
        return dx.astype(dtype, copy=False)


class SmoothL1Loss(Module):
    """L = mean s(x − y),  s(d) = d²/(2β) for |d| < β, else |d| − β/2   (Girshick 2015, "Fast R-CNN", section 2.3)

    Quadratic near 0, so that small errors get small gradients; linear far out, so that one outlier can't dominate.
    s′(d) = d/β for |d| < β, else sign(d): in one expression, clip(d/β, −1, 1). β = 0 is the L1 loss.
    """

    def __init__(self, beta: float = 1.0, reduction: str = "mean"):
        if beta < 0:
            raise ValueError(f"beta is {beta}: expected 0 or more")
        self.beta = beta
        self.reduction = check_reduction(reduction)

    def forward(self, predictions, targets):
        check_same_shape(predictions, targets)
        xp = array_module(predictions)
        difference = in_float32(predictions) - in_float32(targets)
        size = abs(difference)
        if self.beta > 0:
            quadratic = difference * difference / (2 * self.beta)
            losses = xp.where(size < self.beta, quadratic, size - 0.5 * self.beta)
        else:
            losses = size
        return reduce(losses, self.reduction), keep(difference, predictions.dtype)

    def backward(self, dloss, cache):
        difference, dtype = cache
        xp = array_module(difference)
        slope = xp.clip(difference / self.beta, -1, 1) if self.beta > 0 else xp.sign(difference)
        return (slope * reduce_backward(dloss, difference.size, self.reduction)).astype(dtype, copy=False)
