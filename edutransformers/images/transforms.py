"""The steps from an image to a model's input: resize, crop, pad, rescale, normalize. Each takes and returns an array.

All of them keep the layout of the array (channels first or last), unless `data_format` says another one; the layout of
what comes in is told from its shape, unless `input_data_format` says it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from enum import Enum

import numpy as np
from PIL import Image

from .channels import (
    ChannelDimension,
    check_is_array,
    get_channel_dimension_axis,
    layout_of,
    to_channel_dimension_format,
)
from .conversion import check_has_pixels, is_unit_range, to_pil_image

PILImageResampling = Image.Resampling


def resize(
    image: np.ndarray | Image.Image,
    size: tuple[int, int],
    resample: int | None = None,
    reducing_gap: float | None = None,
    data_format: ChannelDimension | str | None = None,
    return_numpy: bool = True,
    input_data_format: ChannelDimension | str | None = None,
) -> np.ndarray | Image.Image:
    """The image with `size` = (height, width) pixels, by one of Pillow's filters: bilinear if `resample` is not given.

    When an image shrinks, the filters widen with it, so that every pixel of the original counts. Pillow computes with 8
    bits a channel: floats 0 … 1 are brought to 0 … 255, cut off to whole numbers, resized, and brought back (float32);
    everything else returns uint8. `return_numpy=False` gives a Pillow image, `reducing_gap` is Pillow's.
    """
    height, width = _pair(size, "size")
    resample = PILImageResampling.BILINEAR if resample is None else pillow_filter(resample, "resample")
    was_unit_range = False
    if isinstance(image, Image.Image):
        layout = ChannelDimension.LAST
    else:
        check_is_array(image)
        check_has_pixels(image)
        layout = layout_of(image, input_data_format)
        was_unit_range = image.dtype != bool and is_unit_range(image)
        image = to_pil_image(image, was_unit_range, layout)
    if min(image.size) == 0:
        raise ValueError(f"an image of {image.height} × {image.width} pixels has nothing to resize")
    resized = image.resize((width, height), resample=resample, reducing_gap=reducing_gap)
    if not return_numpy:
        return resized
    pixels = np.array(resized)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    pixels = to_channel_dimension_format(pixels, layout if data_format is None else data_format, ChannelDimension.LAST)
    return rescale(pixels, 1 / 255) if was_unit_range else pixels


def center_crop(
    image: np.ndarray,
    size: tuple[int, int],
    data_format: ChannelDimension | str | None = None,
    input_data_format: ChannelDimension | str | None = None,
) -> np.ndarray:
    """The middle of the image, `size` = (height, width). Where the image is smaller, zeros are put around it.

    If the number of rows to cut off is odd, one more goes below; if the number to add is odd, one more goes above.
    (As in the original since version 5; version 4 added it below.)
    """
    check_is_array(image)
    crop_height, crop_width = _pair(size, "size")
    layout = layout_of(image, input_data_format)
    image = to_channel_dimension_format(image, ChannelDimension.FIRST, layout)
    height, width = image.shape[-2:]
    short_of_height, short_of_width = max(crop_height - height, 0), max(crop_width - width, 0)
    if short_of_height or short_of_width:
        above, left = math.ceil(short_of_height / 2), math.ceil(short_of_width / 2)
        rows, columns = (above, short_of_height - above), (left, short_of_width - left)
        image = np.pad(image, [(0, 0)] * (image.ndim - 2) + [rows, columns])
    top, left = max(height - crop_height, 0) // 2, max(width - crop_width, 0) // 2
    image = image[..., top : top + crop_height, left : left + crop_width]
    return to_channel_dimension_format(image, layout if data_format is None else data_format, ChannelDimension.FIRST)


def rescale(
    image: np.ndarray,
    scale: float,
    data_format: ChannelDimension | str | None = None,
    dtype=np.float32,
    input_data_format: ChannelDimension | str | None = None,
) -> np.ndarray:
    """image · scale, computed in float64 and returned as `dtype`."""
    check_is_array(image)
    rescaled = (image.astype(np.float64) * scale).astype(dtype)
    return rescaled if data_format is None else to_channel_dimension_format(rescaled, data_format, input_data_format)


def normalize(
    image: np.ndarray,
    mean: float | Collection[float],
    std: float | Collection[float],
    data_format: ChannelDimension | str | None = None,
    input_data_format: ChannelDimension | str | None = None,
) -> np.ndarray:
    """(image − mean) / std, with one number for all channels or one for each. Whole numbers become float32."""
    check_is_array(image)
    layout = layout_of(image, input_data_format)
    channels = image.shape[get_channel_dimension_axis(image, layout)]
    if image.dtype.kind != "f":
        image = image.astype(np.float32)
    mean, std = (_for_channels(v, name, channels, image.dtype) for v, name in ((mean, "mean"), (std, "std")))
    if layout is ChannelDimension.FIRST:
        mean, std = mean[:, None, None], std[:, None, None]
    image = image - mean
    image /= std
    return image if data_format is None else to_channel_dimension_format(image, data_format, layout)


def _for_channels(value, name: str, channels: int, dtype) -> np.ndarray:
    """One number a channel."""
    if not isinstance(value, (Collection, np.ndarray)):
        value = [value] * channels
    if len(value) != channels:
        raise ValueError(
            f"{name} holds {len(value)} numbers, but the image has {channels} channels; expected one number for each "
            "channel, or one for all"
        )
    value = np.array(value, dtype=dtype)
    if not np.isfinite(value).all() or (name == "std" and not value.all()):
        raise ValueError(
            f"{name} is {value.tolist()}; expected {'numbers other than 0' if name == 'std' else 'numbers'}"
        )
    return value


class PaddingMode(str, Enum):
    """What stands in the pixels that `pad` adds."""

    CONSTANT = "constant"  # one value
    REFLECT = "reflect"  # the mirror image; the edge is the mirror and is not repeated: c b | a b c | b a
    REPLICATE = "replicate"  # the edge again and again: a a | a b c | c c
    SYMMETRIC = "symmetric"  # the mirror image, with the edge: b a | a b c | c b


_NUMPY_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "symmetric": "symmetric"}


def pad(
    image: np.ndarray,
    padding: int | tuple,
    mode: PaddingMode | str = PaddingMode.CONSTANT,
    constant_values: float | tuple = 0.0,
    data_format: ChannelDimension | str | None = None,
    input_data_format: ChannelDimension | str | None = None,
) -> np.ndarray:
    """The image with pixels added around it.

    padding           how many: n or (n,) on all sides; (before, after), the same for rows and columns; or
                      ((above, below), (left, right))
    constant_values   for the mode "constant", in the same forms
    """
    check_is_array(image)
    layout = layout_of(image, input_data_format)
    if mode not in list(PaddingMode):
        raise ValueError(f"mode is {mode!r}; expected one of {', '.join(repr(m.value) for m in PaddingMode)}")
    mode = PaddingMode(mode)
    options = {"constant_values": _around(constant_values, image.ndim, layout)} if mode == "constant" else {}
    image = np.pad(image, _around(padding, image.ndim, layout), mode=_NUMPY_MODES[mode.value], **options)
    return image if data_format is None else to_channel_dimension_format(image, data_format, layout)


def _around(values, ndim: int, layout: ChannelDimension) -> list[tuple]:
    """A padding in any of its forms -> ((before, after) of each axis)."""
    if isinstance(values, (int, float)):
        rows = columns = (values, values)
    elif isinstance(values, (tuple, list)) and len(values) == 1 and isinstance(values[0], (int, float)):
        rows = columns = (values[0], values[0])
    elif isinstance(values, (tuple, list)) and len(values) == 2 and isinstance(values[0], (int, float)):
        rows = columns = tuple(values)
    elif isinstance(values, (tuple, list)) and len(values) == 2 and all(len(pair) == 2 for pair in values):
        rows, columns = map(tuple, values)
    else:
        raise ValueError(f"padding is {values!r}; expected n, (before, after) or ((above, below), (left, right))")
    image_axes = [(0, 0), rows, columns] if layout is ChannelDimension.FIRST else [rows, columns, (0, 0)]
    return [(0, 0)] * (ndim - 3) + image_axes


def pillow_filter(value: int, name: str, allowed=tuple(PILImageResampling)) -> PILImageResampling:
    """One of Pillow's filters by its number."""
    if value not in list(allowed):
        known = ", ".join(f"{int(filter)} ({filter.name.lower()})" for filter in sorted(allowed))
        raise ValueError(f"{name} is {value!r}; expected one of Pillow's filters {known}")
    return PILImageResampling(value)


def _pair(size, name: str) -> tuple[int, int]:
    if not isinstance(size, Collection) or len(size) != 2 or not all(float(n) >= 1 for n in size):
        raise ValueError(f"{name} is {size!r}; expected a pair (height, width) of whole numbers from 1 on")
    height, width = size
    return int(height), int(width)
