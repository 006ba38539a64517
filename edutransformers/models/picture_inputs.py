"""What every model that looks at pictures does first with what the caller passed: check it."""

import numpy as np

from ..backend import as_array_like
from .text_inputs import check_array


def checked_pictures(pixel_values, channels: int, like):
    """pixel_values (B, C, H, W), as they come from an image processor, moved to where the model is, in its number type.

    Raises ValueError or TypeError, in one sentence, for what can't be such pictures.
    """
    if pixel_values is None:
        raise ValueError("pass pixel_values: an image processor makes them of pictures")
    check_array(pixel_values, "pixel_values")
    shape = tuple(pixel_values.shape)
    if len(shape) != 4:
        raise ValueError(f"pixel_values has shape {shape}, expected (batch, {channels}, height, width)")
    if 0 in shape:
        raise ValueError(f"pixel_values has shape {shape}: there is nothing to see")
    if shape[1] != channels:
        advice = "; channels come first: use pixel_values.transpose(0, 3, 1, 2)" if shape[3] == channels else ""
        raise ValueError(f"pixel_values has {shape[1]} channels, but this model's pictures have {channels}{advice}")
    if pixel_values.dtype.kind != "f":
        raise TypeError(
            f"pixel_values must be floating-point numbers, got an array of {pixel_values.dtype}; "
            "an image processor rescales and normalizes them"
        )
    if isinstance(pixel_values, np.ndarray):  # a GPU would have to be waited for
        with np.errstate(invalid="ignore"):  # ∞ − ∞
            total = pixel_values.sum(dtype="float64")
        if not np.isfinite(total):
            raise ValueError("pixel_values hold nan or infinite numbers, of which all of the output would become nan")
    return as_array_like(pixel_values, like).astype(like.dtype, copy=False)


def check_picture_size(pixel_values, image_size: tuple[int, int]) -> None:
    """A model whose positions are not interpolated sees pictures of one size only."""
    height, width = pixel_values.shape[2:]
    if (height, width) != tuple(image_size):
        raise ValueError(
            f"pixel_values are pictures of {height}×{width} pixels, but this model's have {image_size[0]}×"
            f"{image_size[1]}; resize them, or pass interpolate_pos_encoding=True"
        )
