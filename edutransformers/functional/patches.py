"""Cutting pictures into square patches and putting them together again: two rearrangements, each other's inverse.

Nothing is computed: every pixel of the one side is a number of the other. So the backward pass of the one is the other.
Shapes: B pictures, C channels, H × W pixels, P × Q pixels a patch, N = ⌊H/P⌋ ⌊W/Q⌋ patches, row by row.
"""

from ..backend import array_module


def cut_into_patches(x, patch):
    """x (B, C, H, W), patch (P, Q) -> (B, N, C·P·Q): the pixels of each patch, channel by channel, row by row.

    What a patch does not fit into, at the right and at the bottom, is left out, as a strided convolution does.
    """
    (B, C, H, W), (P, Q) = x.shape, patch
    rows, columns = H // P, W // Q
    x = x[:, :, : rows * P, : columns * Q]
    x = x.reshape(B, C, rows, P, columns, Q).transpose(0, 2, 4, 1, 3, 5)  # (B, rows, columns, C, P, Q)
    return x.reshape(B, rows * columns, C * P * Q)


def join_patches(patches, patch, size):
    """patches (B, N, C·P·Q), patch (P, Q), size (H, W) -> (B, C, H, W), 0 where no patch lies.

    On the outputs of a 1 × 1 convolution this is what is called a pixel shuffle (Shi et al. 2016, section 3.2).
    """
    (B, N, numbers), (P, Q), (H, W) = patches.shape, patch, size
    C, rows, columns = numbers // (P * Q), H // P, W // Q
    if (N, numbers) != (rows * columns, C * P * Q):
        raise ValueError(
            f"{N} patches of {numbers} numbers can't make pictures of {H}×{W} pixels in patches of {P}×{Q}: "
            f"expected {rows * columns} patches, and a multiple of {P * Q} numbers"
        )
    x = patches.reshape(B, rows, columns, C, P, Q).transpose(0, 3, 1, 4, 2, 5)  # (B, C, rows, P, columns, Q)
    x = x.reshape(B, C, rows * P, columns * Q)
    if x.shape[2:] == (H, W):
        return x
    whole = array_module(x).zeros((B, C, H, W), dtype=x.dtype)
    whole[:, :, : rows * P, : columns * Q] = x
    return whole
