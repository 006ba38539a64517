"""From pictures to tokens and back: every patch of pixels becomes a vector, every vector a patch of pixels."""

import numpy as np

from ..functional.linear import linear, linear_backward
from ..functional.patches import cut_into_patches, join_patches
from ..module import Module, Parameter, keep, normal_


class PatchEmbedding(Module):
    """y = W patch + b for each patch of P × Q pixels.   x (B, C, H, W) -> y (B, N, D), N = ⌊H/P⌋ ⌊W/Q⌋

    Everywhere else this is written as a convolution whose stride is its kernel's size, and `weight` has that
    convolution's shape (D, C, P, Q). As no two patches overlap, cutting the picture up and one matrix product give the
    same numbers. Patches are numbered row by row.

    Raises ValueError for pictures with another number of channels, or smaller than one patch.
    """

    def __init__(self, channels: int, width: int, patch_size: int | tuple[int, int], generator=None):
        self.patch_size = pair(patch_size)
        self.weight = Parameter(np.zeros((width, channels, *self.patch_size), dtype=np.float32))
        self.bias = Parameter(np.zeros(width, dtype=np.float32))
        self.initialize_now(generator)

    def initialize(self, generator, std=0.02):
        normal_(self.weight, generator, std)
        self.bias.data[...] = 0

    def forward(self, x):
        channels = self.weight.shape[1]
        if x.ndim != 4 or x.shape[1] != channels:
            raise ValueError(f"PatchEmbedding expects pictures (batch, {channels}, height, width), got shape {x.shape}")
        self.grid(*x.shape[2:])
        patches = cut_into_patches(x, self.patch_size)
        return linear(patches, self._matrix(), self.bias.data), keep(patches, x.shape)

    def backward(self, dy, cache):
        """dy (B, N, D) -> dx (B, C, H, W), 0 for pixels that no patch reached"""
        patches, shape = cache
        dpatches, dweight, dbias = linear_backward(dy, patches, self._matrix())
        self.weight.accumulate(dweight.reshape(self.weight.shape))
        self.bias.accumulate(dbias)
        return join_patches(dpatches, self.patch_size, shape[2:])

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """How many patches lie below and beside each other in a picture of that many pixels: one at least."""
        P, Q = self.patch_size
        if height < P or width < Q:
            raise ValueError(f"pictures of {height}×{width} pixels are smaller than one patch of {P}×{Q}")
        return height // P, width // Q

    def _matrix(self):
        return self.weight.data.reshape(len(self.weight.data), -1)  # (D, C·P·Q)

    def extra_repr(self):
        width, channels, P, Q = self.weight.shape
        return f"{channels} channels, patches of {P}×{Q} -> {width}"


class PatchDecoder(Module):
    """patch = W x + b for each vector: pictures out of tokens.   x (B, N, D) -> y (B, C, h·P, w·P), N = h·w

    The original's 1 × 1 convolution and pixel shuffle: `weight` is (C·P·P, D, 1, 1), `bias` (C·P·P,). Joining the
    patches is the inverse of cutting a picture up, so this is a PatchEmbedding in a mirror.
    """

    def __init__(self, width: int, channels: int, patch_size: int, generator=None):
        self.patch_size = pair(patch_size)
        numbers = channels * self.patch_size[0] * self.patch_size[1]
        self.weight = Parameter(np.zeros((numbers, width, 1, 1), dtype=np.float32))
        self.bias = Parameter(np.zeros(numbers, dtype=np.float32))
        self.initialize_now(generator)

    initialize = PatchEmbedding.initialize

    def forward(self, x, grid: tuple[int, int]):
        """grid (h, w): how many of the N vectors lie below and beside each other"""
        patches = linear(x, self.weight.data[:, :, 0, 0], self.bias.data)
        (P, Q), (rows, columns) = self.patch_size, grid
        return join_patches(patches, self.patch_size, (rows * P, columns * Q)), keep(x)

    def backward(self, dy, cache):
        """dy (B, C, h·P, w·P) -> dx (B, N, D)"""
        (x,) = cache
        dpatches = cut_into_patches(dy, self.patch_size)
        dx, dweight, dbias = linear_backward(dpatches, x, self.weight.data[:, :, 0, 0])
        self.weight.accumulate(dweight[:, :, None, None])
        self.bias.accumulate(dbias)
        return dx

    def extra_repr(self):
        numbers, width = self.weight.shape[:2]
        P, Q = self.patch_size
        return f"{width} -> {numbers // (P * Q)} channels, patches of {P}×{Q}"


def pair(size) -> tuple[int, int]:
    """5 -> (5, 5), and [5, 3] -> (5, 3): a config's image_size or patch_size as (height, width)."""
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f"a size is {size}: expected 1 or more pixels, as one number or (height, width)")
    return height, width
