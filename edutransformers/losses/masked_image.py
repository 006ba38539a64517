"""How well hidden patches of a picture were painted in."""

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module, as_array_like
from ..functional.precision import in_float32
from ..module import Module, keep
from .reduction import check_same_shape


class MaskedImageCache(NamedTuple):
    difference: Array  # (B, C, H, W)
    mask: Array  # (B, 1, H, W)
    scale: Array  # (1, 1, 1, 1)
    dtype: np.dtype  # the prediction's; of float16 ones all above is float32


class MaskedImageLoss(Module):
    """L = Σ m |y − x| / (C (Σ m + 10⁻⁵)): the mean error of the hidden pixels (Xie et al. 2021, "SimMIM", section 3.2)

    prediction y and picture x (B, C, H, W), hidden (B, N) booleans, True for those of the h·w patches that count;
    m (B, 1, H, W) says it for each pixel. Without any hidden patch the loss is 0.
    """

    def forward(self, prediction, picture, hidden, grid: tuple[int, int]):
        """grid (h, w): how many patches lie below and beside each other"""
        check_same_shape(prediction, picture)
        xp = array_module(prediction)
        B, C, H, W = prediction.shape
        difference = in_float32(prediction) - in_float32(picture)
        mask = as_array_like(hidden, prediction).astype(difference.dtype).reshape(B, 1, *grid)
        mask = xp.repeat(xp.repeat(mask, H // grid[0], axis=2), W // grid[1], axis=3)
        scale = 1 / (C * (mask.sum(keepdims=True) + 1e-5))  # no plain number: NumPy 1.26 would make float64 of it
        loss = (abs(difference) * mask).sum(keepdims=True) * scale
        return loss.reshape(-1)[0], keep(MaskedImageCache, difference, mask, scale, prediction.dtype)

    def backward(self, dloss, cache):
        """dL -> dy, dx.   dy = sign(y − x) m dL / (C (Σ m + 10⁻⁵)),  dx = −dy: the picture itself is compared with."""
        difference, mask, scale, dtype = cache
        dprediction = array_module(difference).sign(difference)
        dprediction *= mask
        dprediction *= scale * dloss
        dprediction = dprediction.astype(dtype, copy=False)
        return dprediction, -dprediction
