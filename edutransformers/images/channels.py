"""Where an image array keeps its channels: last, (H, W, C), as files and Pillow do, or first, (C, H, W), as models do.

Height and width are whatever they are, so the axis is recognized by its length: 1 (grey) or 3 (red, green, blue).
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from ..logging import get_logger

logger = get_logger(__name__)


class ChannelDimension(str, Enum):
    """The two layouts of an image array."""

    FIRST = "channels_first"
    LAST = "channels_last"

    @classmethod
    def _missing_(cls, value):
        raise ValueError(f"{value!r} is no layout of an image; expected 'channels_first' or 'channels_last'")


def infer_channel_dimension_format(
    image: np.ndarray, num_channels: int | tuple[int, ...] | None = None
) -> ChannelDimension:
    """The layout of an image (3 axes), a batch of them (4) or a batch of videos (5), told from the axes' lengths.

    `num_channels` says which lengths a channel axis may have: 1 or 3 if not given. Where both ends could be it, the
    first is taken, with a warning. Raises ValueError where none could.
    """
    num_channels = (1, 3) if num_channels is None else num_channels
    allowed = (num_channels,) if isinstance(num_channels, int) else tuple(num_channels)
    if image.ndim not in (3, 4, 5):
        raise ValueError(
            f"an image of the shape {image.shape} has {image.ndim} axes; expected 3 (height, width and channels), or 4 "
            "for a batch"
        )
    first, last = image.shape[-3] in allowed, image.shape[-1] in allowed
    if first and last:
        logger.warning(
            "an image of the shape %s could have its channels first or last; first is assumed: say "
            "input_data_format='channels_last' if they are last",
            image.shape,
        )
    if first:
        return ChannelDimension.FIRST
    if last:
        return ChannelDimension.LAST
    lengths = " or ".join(filter(None, (", ".join(map(str, allowed[:-1])), str(allowed[-1]))))
    raise ValueError(
        f"an image of the shape {image.shape} has no channel axis: neither its first nor its last axis has the length "
        f"{lengths}; say input_data_format='channels_last' (or 'channels_first') if that is meant"
    )


def layout_of(image: np.ndarray, layout: ChannelDimension | str | None) -> ChannelDimension:
    """What the caller said, or else what the shape says."""
    return infer_channel_dimension_format(image) if layout is None else ChannelDimension(layout)


def get_channel_dimension_axis(image: np.ndarray, input_data_format: ChannelDimension | str | None = None) -> int:
    """The number of the channel axis."""
    return image.ndim - (3 if layout_of(image, input_data_format) is ChannelDimension.FIRST else 1)


def get_image_size(image: np.ndarray, channel_dim: ChannelDimension | str | None = None) -> tuple[int, int]:
    """(height, width)"""
    if layout_of(image, channel_dim) is ChannelDimension.FIRST:
        return image.shape[-2], image.shape[-1]
    return image.shape[-3], image.shape[-2]


def to_channel_dimension_format(
    image: np.ndarray, channel_dim: ChannelDimension | str, input_channel_dim: ChannelDimension | str | None = None
) -> np.ndarray:
    """The image in the layout `channel_dim`: a view, nothing is copied. Axes before the last three stay in front."""
    check_is_array(image)
    source, target = layout_of(image, input_channel_dim), ChannelDimension(channel_dim)
    if source is target:
        return image
    return np.moveaxis(image, -1, -3) if target is ChannelDimension.FIRST else np.moveaxis(image, -3, -1)


def flip_channel_order(
    image: np.ndarray,
    data_format: ChannelDimension | str | None = None,
    input_data_format: ChannelDimension | str | None = None,
) -> np.ndarray:
    """Red, green, blue -> blue, green, red, and back: what some models were trained on."""
    layout = layout_of(image, input_data_format)
    flipped = np.flip(image, axis=get_channel_dimension_axis(image, layout))
    return flipped if data_format is None else to_channel_dimension_format(flipped, data_format, layout)


def check_is_array(image) -> None:
    if not isinstance(image, np.ndarray):
        raise TypeError(f"expected an image as a NumPy array, got {type(image).__name__}; numpy.asarray(...) makes one")
