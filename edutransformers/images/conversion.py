"""Pillow images and arrays into each other, and both into red, green, blue.

A Pillow image has a mode (L is grey, RGB, RGBA, P is a palette, …) and 8 bits a channel; an array has a number type. An
array becomes an image by two rules, which are the original's:

    whole numbers 0 … 255, whatever their type    are taken as they are
    floats 0 … 1                                   are multiplied by 255, and cut off to whole numbers
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from .channels import ChannelDimension, check_is_array, get_channel_dimension_axis, infer_channel_dimension_format

GREY_MODES = {"1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
BRIGHTNESS = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R 601)


def to_pil_image(
    image: np.ndarray | Image.Image,
    do_rescale: bool | None = None,
    input_data_format: ChannelDimension | str | None = None,
) -> Image.Image:
    """An array (H, W), (H, W, C) or (C, H, W) as a Pillow image; a Pillow image as it is.

    `do_rescale` says whether the values are 0 … 1; left out, the values tell it.
    Raises ValueError for values outside both ranges, for NaN, and for arrays of another shape.
    """
    if isinstance(image, Image.Image):
        return image
    check_is_array(image)
    image = channels_last(image, input_data_format)
    check_has_pixels(image)
    if image.dtype == bool:
        image = image * np.uint8(255)
    if is_unit_range(image) if do_rescale is None else do_rescale:
        image = (image.astype(np.float64) * 255).astype(np.float32)
    if image.shape[-1] not in (1, 3, 4):
        raise ValueError(f"an image has 1, 3 or 4 channels; this one has {image.shape[-1]}, of the shape {image.shape}")
    image = image.astype(np.uint8)
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def is_unit_range(image: np.ndarray) -> bool:
    """True for pixels as floats 0 … 1, False for whole numbers 0 … 255. Raises ValueError for anything else.

    Zeros and ones alone are whole numbers: a black picture with a few white pixels, as floats, comes out black.
    """
    if image.dtype == np.uint8:
        return False
    check_is_finite(image)
    low, high = image.min(), image.max()
    if low >= 0 and high <= 255:
        if np.allclose(image, image.astype(int)):
            return False
        if high <= 1:
            return True
    kind = "floats" if image.dtype.kind == "f" else image.dtype.name
    advice = "; divide by 257 to make 8 bits of 16" if image.dtype == np.uint16 else ""
    raise ValueError(
        f"the pixels are {kind} from {low:g} to {high:g}; expected whole numbers from 0 to 255 or floats from 0 to 1"
        + advice
    )


def is_scaled_image(image: np.ndarray) -> bool:
    """True for pixels that are 0 … 1 already, so that dividing them by 255 once more would be a mistake."""
    return image.dtype != np.uint8 and bool(image.min() >= 0) and bool(image.max() <= 1)


def to_numpy_array(image) -> np.ndarray:
    """The pixels of a Pillow image, (H, W) or (H, W, C); an array as it is."""
    if isinstance(image, Image.Image):
        return np.array(image)
    check_is_array(image)
    return image


def convert_to_rgb(
    image: np.ndarray | Image.Image, input_data_format: ChannelDimension | str | None = None
) -> np.ndarray | Image.Image:
    """Red, green, blue, of the kind that came in; what is transparent shows a white background.

    Grey becomes three equal channels; c with opacity a becomes a c + (1 − a) · white. (As in the original since version
    5; version 4 drops the opacity of Pillow images, so that the colour under transparent pixels appears, and leaves
    arrays as they are.)
    """
    if isinstance(image, Image.Image):
        return _pil_to_rgb(image)
    check_is_array(image)
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=-1)
    layout = layout_of_image(image, input_data_format)
    axis = get_channel_dimension_axis(image, layout)
    channels = image.shape[axis]
    if channels == 1:
        return np.repeat(image, 3, axis=axis)
    if channels != 4:
        return image
    white = 1.0 if image.dtype.kind == "f" else 255
    if white == 1.0 and (image.min() < 0 or image.max() > 1):
        raise ValueError(
            f"the pixels are floats from {image.min():g} to {image.max():g}; with opacity, floats from 0 to 1 "
            "are expected"
        )
    colour, opacity = np.split(image, [3], axis=axis)
    opacity = opacity / white
    mixed = opacity * colour + (1 - opacity) * white
    return (mixed if white == 1.0 else np.round(mixed)).astype(image.dtype)


def _pil_to_rgb(image: Image.Image) -> Image.Image:
    image = to_eight_bits(image)
    if "A" not in image.getbands() and image.info.get("transparency") is None:
        return image.convert("RGB")
    image = image.convert("RGBA")
    background = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(background, image).convert("RGB")


def to_channels(
    image: np.ndarray | Image.Image, channels: int, input_data_format: ChannelDimension | str | None = None
) -> np.ndarray | Image.Image:
    """The image with 1 or 3 channels, so that a model for that many can read it. An array comes back as (H, W, C).

    Three become one by their brightness, 0.299 R + 0.587 G + 0.114 B (ITU-R 601, as in Pillow).
    """
    if channels == 3 and isinstance(image, Image.Image):
        return convert_to_rgb(image)
    if channels == 3:
        return convert_to_rgb(channels_last(image, input_data_format), ChannelDimension.LAST)
    if isinstance(image, Image.Image):
        return to_eight_bits(image).convert("L") if image.mode in GREY_MODES else _pil_to_rgb(image).convert("L")
    image = channels_last(image, input_data_format)
    if image.shape[-1] == 1:
        return image
    image = convert_to_rgb(image, ChannelDimension.LAST)
    if image.dtype.kind == "f":
        return (image @ np.array(BRIGHTNESS, image.dtype))[..., None]
    return np.array(to_pil_image(image, input_data_format=ChannelDimension.LAST).convert("L"))[..., None]


def to_plain_mode(image: Image.Image) -> Image.Image:
    """An image of a mode whose numbers are brightness from 0 to 255: L, RGB and RGBA as they are.

    Palettes (numbers of colours), ink, other colour spaces and grey with opacity become RGB; black and white, and grey
    of more than 8 bits, L.
    """
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    return to_channels(image, 1 if image.mode in GREY_MODES else 3)


def to_eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of 16 bits, 32 bits or floats with 8 bits; any other as it is.

    Pillow's own conversion takes the numbers for 0 … 255 and cuts off at 255, so that a 16-bit picture turns white.
    Here 16 bits are divided by 257, so that 65535 becomes 255.
    """
    if image.mode not in GREY_MODES - {"1", "L"}:
        return image
    pixels = np.array(image)
    if image.mode != "F" and (image.mode != "I" or pixels.max(initial=0) > 255):
        if pixels.min(initial=0) < 0 or pixels.max(initial=0) > 65535:
            raise ValueError(
                f"the image's pixels are whole numbers from {pixels.min()} to {pixels.max()}; expected 0 to 65535"
            )
        pixels = ((pixels.astype(np.int64) + 128) // 257).astype(np.uint8)
    return to_pil_image(pixels)


# -- checks -----------------------------------------------------------------------------------------------------------


def channels_last(image: np.ndarray, input_data_format: ChannelDimension | str | None = None) -> np.ndarray:
    """(H, W), (H, W, C) or (C, H, W) -> (H, W, C)"""
    if image.ndim == 2:
        return image[..., None]
    layout = layout_of_image(image, input_data_format)
    return np.moveaxis(image, 0, -1) if layout is ChannelDimension.FIRST else image


def layout_of_image(
    image: np.ndarray, layout: ChannelDimension | str | None = None, channels: int | None = None
) -> ChannelDimension:
    """The layout of one image, which may have an opacity channel. Where both ends fit, `channels` many win."""
    if image.ndim != 3:
        raise ValueError(
            f"an array of the shape {image.shape} is no image; expected (height, width), (height, width, channels) or "
            "(channels, height, width)"
        )
    if layout is not None:
        return ChannelDimension(layout)
    ends = {image.shape[0], image.shape[-1]}
    return infer_channel_dimension_format(
        image, channels if channels in ends else (1, 3) if ends & {1, 3} else (1, 3, 4)
    )


def check_has_pixels(image: np.ndarray) -> None:
    if image.size == 0:
        raise ValueError(f"an image of the shape {image.shape} has no pixels")


def check_is_finite(image: np.ndarray) -> None:
    """No NaN, no infinity, or a ValueError that says how many."""
    if image.dtype.kind not in "fiub":
        raise ValueError(f"the pixels are of the type {image.dtype}; expected numbers")
    if image.dtype.kind == "f":
        wrong = image.size - np.count_nonzero(np.isfinite(image))
        if wrong:
            raise ValueError(
                f"{wrong} of the image's {image.size} values are NaN or infinite; expected numbers: was something "
                "divided by zero before?"
            )
