"""BaseImageProcessor: what all image processors share.

    pictures -> one array (H, W, C) each, with the channels that the model has -> a model's own steps -> pixel_values

A model's class says its settings in `__init__` and its steps in `preprocess`, in the order in which they happen; the
steps themselves are functions of transforms.py.
"""

from __future__ import annotations

import copy
import os

import numpy as np
from PIL import Image

from ..backend import array_module, to_numpy
from ..logging import get_logger
from ..preprocessor import BatchFeature, Preprocessor
from .channels import ChannelDimension, get_image_size, to_channel_dimension_format
from .conversion import (
    channels_last,
    check_has_pixels,
    check_is_finite,
    convert_to_rgb,
    is_scaled_image,
    layout_of_image,
    to_channels,
    to_plain_mode,
)
from .loading import load_image
from .sizes import get_size_dict, output_size
from .transforms import center_crop, normalize, rescale, resize

logger = get_logger(__name__)

# The mean and standard deviation of red, green and blue over a collection of pictures, or simply ½, which brings 0 … 1
# to −1 … 1.
IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD = [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]
OPENAI_CLIP_MEAN, OPENAI_CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


class BaseImageProcessor(Preprocessor):
    """Base of image processors: `processor(images, return_tensors="np")` returns {"pixel_values": (B, C, H, W)}."""

    kind = "image_processor"
    model_input_names = ["pixel_values"]
    default_to_square = True  # what a single number means as `size`: a square, or the shortest edge

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._check_settings()

    def __call__(self, images, **kwargs) -> BatchFeature:
        """Prepare one image or several; see `preprocess`."""
        return self.preprocess(images, **kwargs)

    def preprocess(self, images, **kwargs) -> BatchFeature:
        raise NotImplementedError(f"{type(self).__name__} has no preprocess")

    def to_dict(self) -> dict:
        """All settings that are not None, and the class's name."""
        return {name: value for name, value in super().to_dict().items() if value is not None}

    # -- settings -----------------------------------------------------------------------------------------------------

    def with_settings(self, **replaced):
        """The same processor with other settings, for one call; None leaves a setting as it is.

        Raises TypeError for a name that is no setting.
        """
        unknown = [name for name in replaced if not hasattr(self, name) or name.startswith("_")]
        if unknown:
            settings = ", ".join(name for name in vars(self) if not name.startswith("_"))
            raise TypeError(f"{type(self).__name__} has no setting {unknown[0]!r}; it has {settings}")
        other = copy.copy(self)
        for name, value in replaced.items():
            if value is not None:
                setattr(other, name, value)
        other._check_settings()
        return other

    def _check_settings(self) -> None:
        """Sizes in any of their older forms become dictionaries."""
        if getattr(self, "size", None) is not None:
            self.size = get_size_dict(self.size, default_to_square=self.default_to_square)
        if getattr(self, "crop_size", None) is not None:
            self.crop_size = get_size_dict(self.crop_size, param_name="crop_size")
            if set(self.crop_size) != {"height", "width"}:
                raise ValueError(f"crop_size is {self.crop_size!r}; expected {{'height', 'width'}}")

    # -- from what the caller has to arrays ---------------------------------------------------------------------------

    def arrays_of(self, images, input_data_format: ChannelDimension | str | None = None) -> list[np.ndarray]:
        """The images as arrays (H, W, C), each checked, with the channels that this processor normalizes.

        `input_data_format` says the layout of arrays whose shape does not tell it.
        """
        images = make_list_of_images(images)
        if not images:
            raise ValueError("an empty list of images; expected at least one")
        return [self._array_of(image, input_data_format) for image in images]

    def _array_of(self, image, input_data_format) -> np.ndarray:
        wanted = self._channels()
        if not isinstance(image, (Image.Image, np.ndarray)):
            image = _host_array(image) if _is_array(image) else load_image(image)
        if isinstance(image, Image.Image):
            if min(image.size) == 0:
                raise ValueError(f"an image has {image.height} × {image.width} pixels; expected at least one")
            return channels_last(np.array(self._with_channels(image, wanted)), ChannelDimension.LAST)
        check_has_pixels(image)
        check_is_finite(image)
        if image.dtype == bool:
            image = image * np.uint8(255)  # black and white
        if image.ndim == 3:
            image = channels_last(image, layout_of_image(image, input_data_format, wanted))
        return self._with_channels(channels_last(image, ChannelDimension.LAST), wanted)

    def _channels(self) -> int | None:
        """How many channels the model has, as far as the settings tell: as many as there are means to subtract."""
        mean = getattr(self, "image_mean", None)
        return len(mean) if getattr(self, "do_normalize", False) and isinstance(mean, (list, tuple)) else None

    def _with_channels(self, image, wanted: int | None):
        """`do_convert_rgb`: True always makes three channels, False leaves all; None makes as many as the model has."""
        convert = getattr(self, "do_convert_rgb", None)
        if convert:
            return convert_to_rgb(image)
        if convert is None and wanted in (1, 3):
            found = len(image.getbands()) if isinstance(image, Image.Image) else image.shape[-1]
            plain = not isinstance(image, Image.Image) or image.mode in ("L", "RGB")
            return image if found == wanted and plain else to_channels(image, wanted)
        return to_plain_mode(image) if convert is None and isinstance(image, Image.Image) else image

    # -- the steps ----------------------------------------------------------------------------------------------------

    def resize(self, image: np.ndarray, size: dict, resample: int | None = None, **layouts) -> np.ndarray:
        """`transforms.resize` to a size as a dictionary: {"height", "width"}, {"shortest_edge"[, "longest_edge"]}."""
        size = get_size_dict(size, default_to_square=self.default_to_square)
        now = get_image_size(image, layouts.get("input_data_format"))
        return resize(image, output_size(now, size), resample, **layouts)

    def center_crop(self, image: np.ndarray, size: dict, **layouts) -> np.ndarray:
        """`transforms.center_crop` to a size as a dictionary, {"height", "width"}."""
        size = get_size_dict(size, param_name="crop_size")
        return center_crop(image, (size["height"], size["width"]), **layouts)

    def rescale(self, image: np.ndarray, scale: float, **layouts) -> np.ndarray:
        """`transforms.rescale`: image · scale."""
        return rescale(image, scale, **layouts)

    def normalize(self, image: np.ndarray, mean, std, **layouts) -> np.ndarray:
        """`transforms.normalize`: (image − mean) / std."""
        return normalize(image, mean, std, **layouts)

    def warn_if_scaled(self, images: list[np.ndarray]) -> None:
        """Pixels that are 0 … 1 before they are divided by 255 were probably divided already."""
        if any(is_scaled_image(image) for image in images):
            logger.warning_once(
                "It looks like you are trying to rescale already rescaled images. If the input images have pixel "
                "values between 0 and 1, set `do_rescale=False` to avoid rescaling them again."
            )


def make_list_of_images(images) -> list:
    """One image, a batch (an array with four axes) or nested lists of both -> one flat list of images.

    An image is a Pillow image, an array with two or three axes, a path, bytes, or an open file.
    """
    if isinstance(images, (list, tuple)):
        return [image for inner in images for image in make_list_of_images(inner)]
    if isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)) or hasattr(images, "read"):
        return [images]
    if not _is_array(images):
        raise TypeError(
            f"an image can't be {type(images).__name__} ({str(images)[:40]}); expected a Pillow image, an array, a "
            "path, bytes, or a list of those"
        )
    if images.ndim == 4:
        return list(images)
    if images.ndim not in (2, 3):
        raise ValueError(
            f"an array of the shape {tuple(images.shape)} is no image; expected (height, width), three axes with the "
            "channels first or last, or four for a batch"
        )
    return [images]


def _is_array(image) -> bool:
    return hasattr(image, "ndim") and hasattr(image, "shape")


def _host_array(image) -> np.ndarray:
    """An array of CuPy or of another library in host memory."""
    try:
        array_module(image)
    except TypeError:
        return np.asarray(image)
    return to_numpy(image)


def to_layout(images: list[np.ndarray], data_format: ChannelDimension | str) -> list[np.ndarray]:
    """Arrays (H, W, C) with their channels where the model wants them.

    Copies, not views: a channel whose pixels lie side by side is normalized several times as fast as one whose pixels
    are three apart, so this is done before.
    """
    last = ChannelDimension.LAST
    return [np.ascontiguousarray(to_channel_dimension_format(image, data_format, last)) for image in images]
